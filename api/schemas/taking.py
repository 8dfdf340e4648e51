"""Bringing an existing division."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.file_run import FileRunOut


class ImportIn(BaseModel):
    """The fields beside the file."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    area_id: int = Field(ge=1, le=2**62, description="The area whose communities it divides")
    title: str = Field(min_length=1, max_length=200)
    rule_set_id: int | None = Field(None, ge=1, le=2**62, description="By default the rules in force for the area")
    crs: str | None = Field(None, max_length=60, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:n")
    grids: str | None = Field(None, max_length=200, description="The layer of grids, where its name does not tell")
    micro_grids: str | None = Field(None, max_length=200, description="The layer of micro-grids")
    trust_crs: bool = Field(False, description="Go on although borders and buildings look shifted")

    def layers(self) -> dict[str, str]:
        """The layers that are named, by tier."""
        named = {"grids": self.grids, "micro_grids": self.micro_grids}
        return {tier: name for tier, name in named.items() if name}


class ImportItem(BaseModel):
    """One thing that was noticed."""

    code: str
    severity: str
    text: str
    layer: str | None
    key: str | None
    row: int | None
    params: dict[str, Any]
    cell_id: int | None
    building_id: int | None
    bbox: list[float] | None


class ImportSummary(BaseModel):
    """What a file has become."""

    communities: int
    cells: list[int]
    buildings: int
    households: int
    counts: dict[str, int]


class ImportOut(FileRunOut):
    """A division handed in: how far it is, the draft that it has become, or why it failed."""

    step: Literal["reading", "checking", "placing", "dividing", "storing"] | None
    done: int = Field(description="Communities of the step that are done")
    total: int
    title: str
    area_id: int
    crs: str | None
    plan_id: int | None
    summary: ImportSummary | None


class ImportsOut(BaseModel):
    """One's own imports."""

    items: list[ImportOut]


class ImportAgainIn(BaseModel):
    """How a file is to be read this time."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    crs: str | None = Field(None, max_length=60, description="By default as it was stated")
    trust_crs: bool = False


class ImportItems(BaseModel):
    """What was noticed when a plan was brought."""

    items: list[ImportItem]
    total: int
