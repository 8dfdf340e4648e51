"""Which cell answers for a point, and for many."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Located(BaseModel):
    """Which cell answers for a point, and who. `version` names the state of plans and posts that gave the answer."""

    how: Literal["inside", "border", "nearest", "none"]
    distance_m: float | None
    micro_grid: dict[str, Any] | None
    grid: dict[str, Any] | None
    community: dict[str, Any] | None
    area: list[dict[str, Any]] | None = None
    """Not told in brief."""
    people: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    flags: list[str]
    plan_id: int | None
    version: str


class LocatedMany(BaseModel):
    """Which cell covers each point: `cell` has a row of `cells` for each, -1 where none does; `reasons` say why."""

    version: str
    cell: list[int]
    cells: list[dict[str, Any]]
    reasons: dict[str, list[int]]


MANY_POINTS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["points"],
                    "properties": {
                        "points": {
                            "type": "array",
                            "maxItems": 10_000,
                            "items": {"type": "array", "items": {"type": "number", "nullable": True}},
                        }
                    },
                },
                "example": {"points": [[120.305, 31.505], [120.306, 31.507]]},
            },
            "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""What `POST /api/v1/locate` reads by itself."""
