"""Geotagging: one place or a batch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from api.deps import AwareTime
from api.schemas.lists import Input
from gis.geotag import BATCH_LIMIT, Place


class PlaceIn(Input):
    """A place: coordinates with their system and accuracy, or a building's code, or an address.

    What cannot be read is flagged in the answer, not refused: one bad row must not cost a batch.
    """

    lon: float | None = None
    lat: float | None = None
    crs: str | None = Field(None, max_length=60, description="wgs84 (default), cgcs2000, gcj02, bd09 or EPSG:n")
    accuracy_m: float | None = None
    building_code: str | None = Field(None, max_length=100)
    address: str | None = Field(None, max_length=300)
    unit: int | None = Field(None, ge=0, le=10_000, description="Staircase unit (单元)")
    floor: int | None = Field(None, ge=-20, le=500)

    def place(self, *, crs: str) -> Place:
        """As the use case takes it; ``crs`` counts where the place states none of its own."""
        return Place(
            lon=self.lon,
            lat=self.lat,
            crs=self.crs or crs,
            accuracy_m=self.accuracy_m,
            building_code=self.building_code or None,
            address=self.address or None,
            unit=self.unit,
            floor=self.floor,
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to place."""
        return self.lon is None and self.lat is None and not self.building_code and not self.address


class GeotagIn(PlaceIn):
    """One place, or ``items``; ``crs`` beside ``items`` counts for those that state none."""

    items: list[PlaceIn] | None = Field(None, max_length=BATCH_LIMIT)
    at: AwareTime | None = Field(None, description="As of this time; without it, now")


class TagOut(BaseModel):
    """Where a place lies and who answers for it; see `gis.geotag.Tag`."""

    how: Literal["inside", "nearest", "border", "none"]
    distance_m: float | None
    lon: float | None
    lat: float | None
    area: list[dict[str, Any]]
    community: dict[str, Any] | None
    compound: dict[str, Any] | None
    building: dict[str, Any] | None
    grid: dict[str, Any] | None
    micro_grid: dict[str, Any] | None
    candidates: list[dict[str, Any]]
    people: list[dict[str, Any]]
    flags: list[str]
    grid_id: int | None


class TagsOut(BaseModel):
    """The answers of a batch, in its order."""

    items: list[TagOut]
