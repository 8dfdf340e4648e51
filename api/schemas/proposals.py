"""Proposals: what a planner asks the partitioner for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.lists import Input

Ids = Annotated[list[Annotated[int, Field(ge=1, le=2**62)]], Field(max_length=20_000)]


class NewProposals(Input):
    """What of a draft is to be divided again, and how."""

    scope: Literal["all", "selected", "broken"] = Field(
        description="Everything, the named cells, or what is out of band, torn or holds a building without a cell"
    )
    cells: Ids = Field([], description="Cells of the draft, of any tier; with `broken` only these are looked at")
    stability: float = Field(0.5, ge=0, le=1, description="0 the best plan, whatever moves; 1 only what is broken")
    effort: Literal["draft", "full", "deep"] = "draft"
    alternatives: int = Field(1, ge=1, le=3)
    seed: int = Field(0, ge=0, le=2**31 - 1)


class ProposalRunAnswer(BaseModel):
    """A run as it was queued or cancelled."""

    run: dict[str, Any]


class Proposals(BaseModel):
    """The latest run, what it gave, and what is broken now."""

    run: dict[str, Any] | None
    items: list[dict[str, Any]]
    broken: list[dict[str, Any]]
