"""The shapes that all lists share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError


class Input(BaseModel):
    """A body that somebody sends: words that are not known are refused, they are mostly mistyped."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="after")
    @classmethod
    def _without_nul(cls, value: Any) -> Any:
        # PostgreSQL cannot keep it in a text.
        if isinstance(value, str) and "\0" in value:
            raise PydanticCustomError("no_nul", "must not contain a NUL character")
        return value


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
    total_is_estimate: bool = False
    last_event: int | None = None


class Items(BaseModel):
    """A page of a list without geometry."""

    items: list[dict[str, Any]]
    next: str | None = None
    total: int | None = None
    total_is_estimate: bool = False
    last_event: int | None = None


Page = Collection | Items
