"""Plans: a partition to be run, a publication."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.deps import AwareTime
from api.schemas.lists import Input

Id = Field(ge=1, le=2**62)


Codes = Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=20_000)]


class Locks(Input):
    """What a redraw leaves alone, by codes of the plan that it begins with."""

    buildings: Codes = Field([], description="Stay in their grid")
    grids: Codes = Field([], description="Keep ground, parts and what they are cut into")
    micro_grids: Codes = Field([], description="Keep ground and parts")


class NewPlan(Input):
    """A draft to be made by the partitioner."""

    area_id: int = Id
    rule_set_id: int | None = Field(None, ge=1, le=2**62, description="Without it the rules in force for the area")
    community_ids: list[int] | None = Field(None, max_length=5000, description="Without it all below the area")
    title: str = Field(min_length=1, max_length=200)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    effort: Literal["draft", "full", "deep"] = "draft"
    stability: float | None = Field(
        None, ge=0, le=1, description="Redraw from what is in force: 0 as if there was nothing, 1 only what is broken"
    )
    based_on_id: int | None = Field(None, ge=1, le=2**62, description="Redraw from this plan instead")
    locks: Locks | None = None


class Publication(Input):
    """What publishing a plan needs; shows what would happen unless ``commit`` is set."""

    document_no: str = Field("", max_length=200)
    effective_from: AwareTime | None = Field(None, description="Without it, now")
    commit: bool = False
    replaces: list[int] | None = Field(
        None, max_length=5000, description="Ids of the plans that the preview named; 409 if it would be others now"
    )


class Run(BaseModel):
    """How far a run of the partitioner is."""

    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    message: str | None
    error: dict[str, Any] | None = None
    cancel_requested: bool = False
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PlanAndRun(BaseModel):
    """A draft that was accepted, and its run in the queue."""

    plan: dict[str, Any]
    run: Run
