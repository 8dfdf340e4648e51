"""The shapes that all lists share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Input(BaseModel):
    """A body that somebody sends: words that are not known are refused, they are mostly mistyped."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Feature(BaseModel):
    """A GeoJSON feature; its ``id`` is that of the row and of the tiles' feature."""

    type: Literal["Feature"] = "Feature"
    id: int
    geometry: dict[str, Any] | None
    properties: dict[str, Any]


class Collection(BaseModel):
    """A page of a list with geometry."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]
    next: str | None
    total: int


class Items(BaseModel):
    """A page of a list without geometry."""

    items: list[dict[str, Any]]
    next: str | None = None
    total: int | None = None


Page = Collection | Items
