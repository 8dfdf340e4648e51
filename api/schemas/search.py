"""What a search answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class ItemOut(BaseModel):
    """One thing found; see `gis.search_answer.described`."""

    model_config = ConfigDict(extra="allow")

    kind: str
    id: int
    code: str | None
    label: str
    marks: list[tuple[int, int]]
    detail: str | None
    how: Literal["code", "exact", "sound", "prefix", "initials", "part", "alike"]
    score: float
    lon: float | None
    lat: float | None
    bbox: list[float] | None
    grid: dict[str, Any] | None = None
    micro_grid: dict[str, Any] | None = None
    people: list[dict[str, Any]] = []


class FoundOut(BaseModel):
    """The items, the likeliest first."""

    query: str
    items: list[ItemOut]
