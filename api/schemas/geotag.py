"""Geotagging: one place or a batch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.deps import AwareTime
from api.schemas.file_run import FileRunOut
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


class GeotagRunIn(BaseModel):
    """How a table that is handed in is to be read and given back: fields of the form beside ``file``."""

    model_config = ConfigDict(extra="forbid")

    crs: str | None = Field(
        None, max_length=60, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:n; needed where the file is silent"
    )
    lon: str | None = Field(None, max_length=200, description="Column of longitudes or eastings")
    lat: str | None = Field(None, max_length=200, description="Column of latitudes or northings")
    address: str | None = Field(None, max_length=200, description="Column looked up where there are no coordinates")
    layer: str | None = Field(None, max_length=200, description="Layer or sheet, where there are several")
    format: Literal["csv", "xlsx", "gpkg", "parquet", "ndjson"] | None = Field(
        None, description="Of the result; by default that of the file"
    )
    language: Literal["zh", "en"] | None = Field(None, description="Of the added columns")
    phones: bool = Field(False, description="Telephones of the people responsible, where the caller may see them")
    default_point: float = Field(
        0.01, ge=0, le=1, description="A point that so many of the rows share (and 100 do) is a default; 0: none is"
    )
    at: AwareTime | None = Field(None, description="As of this time; without it, when it is worked on")

    def wanted(self) -> dict[str, Any]:
        """As the use case takes it, without the language."""
        return self.model_dump(exclude={"language", "at"}) | {"at": self.at.isoformat() if self.at else None}


class GeotagRunOut(FileRunOut):
    """A table handed in, how far it is, and what became of its rows."""

    result_name: str | None
    options: dict[str, Any]
    summary: dict[str, Any] | None


class GeotagRunsOut(BaseModel):
    """One's own runs."""

    items: list[GeotagRunOut]
