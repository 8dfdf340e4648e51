"""Bringing an existing division."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


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
    language: Literal["zh", "en"] | None = None


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


class ImportOut(BaseModel):
    """The draft that a file has become, and all that was noticed."""

    plan_id: int
    communities: int
    cells: list[int]
    buildings: int
    households: int
    counts: dict[str, int]
    findings: list[ImportItem]


class ImportItems(BaseModel):
    """What was noticed when a plan was brought."""

    items: list[ImportItem]
    total: int
