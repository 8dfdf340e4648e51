"""A town as one value: the layers that imports give, the demo makes, files carry and the database stores.

Data flows one way through it: *file or generator → Town → cleaning → Town → partition or database*. All geometry is
in EPSG:4326, longitude first; whatever had another coordinate system was converted at the door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import geopandas as gpd
import pandas as pd

from gis.errors import InvalidInput

WGS84 = "EPSG:4326"

AREA_LEVELS = ("city", "county", "street", "community")
BARRIER_KINDS = ("arterial", "secondary", "minor", "river", "rail", "wall")
GROUND_KINDS = ("water", "green", "farmland", "square", "industrial", "residential", "other")
BUILDING_USES = (
    "residential",
    "mixed",
    "commercial",
    "office",
    "industrial",
    "school",
    "hospital",
    "market",
    "public",
    "other",
)
HOUSING_CLASSES = ("commodity", "reformed", "public", "affordable", "collective", "unknown")
POI_KINDS = (
    "gate",
    "bridge",
    "school",
    "hospital",
    "market",
    "station",
    "service",
    "police",
    "fire",
    "elderly",
    "park",
    "other",
)

Kind = Literal["text", "integer", "number", "flag", "date", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a layer: its type, whether a row may lack it, and the words it is limited to."""

    kind: Kind
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: its geometry (``None`` for a plain table), its key, and its columns."""

    name: str
    geometry: Literal["polygon", "line", "point"] | None
    columns: Mapping[str, Column]
    key: str | None = "code"
    geometry_required: bool = True


def _text(*, required: bool = False) -> Column:
    return Column("text", required)


LAYERS: Mapping[str, Layer] = {
    layer.name: layer
    for layer in (
        # The tree above the communities; a row without ground is a node of the tree all the same.
        Layer(
            "areas",
            "polygon",
            {
                "code": _text(required=True),
                "name": _text(required=True),
                "name_en": _text(),
                "level": Column("text", True, AREA_LEVELS[:-1]),
                "parent": _text(),
            },
            geometry_required=False,
        ),
        Layer(
            "communities",
            "polygon",
            {
                "code": _text(required=True),
                "name": _text(),
                "name_en": _text(),
                "parent": _text(),
            },
        ),
        Layer(
            "compounds",
            "polygon",
            {
                "code": _text(required=True),
                "name": _text(),
                "name_en": _text(),
                "community": _text(),
                "housing_class": Column("text", choices=HOUSING_CLASSES),
                "is_walled": Column("flag"),
            },
        ),
        Layer(
            "buildings",
            "polygon",
            {
                "code": _text(required=True),
                "name": _text(),
                "address": _text(),
                "use": Column("text", choices=BUILDING_USES),
                "floors": Column("integer"),
                "units": Column("integer"),
                "height_m": Column("number"),
                "households": Column("integer"),
                "households_estimated": Column("flag"),
                "units_estimated": Column("flag"),
                "compound": _text(),
                "community": _text(),
            },
        ),
        Layer(
            "barriers",
            "line",
            {
                "kind": Column("text", True, BARRIER_KINDS),
                "name": _text(),
                "is_bridge": Column("flag"),
            },
            key=None,
        ),
        Layer("ground", "polygon", {"kind": Column("text", True, GROUND_KINDS), "name": _text()}, key=None),
        Layer(
            "pois",
            "point",
            {
                "code": _text(required=True),
                "kind": Column("text", True, POI_KINDS),
                "name": _text(),
                "compound": _text(),
            },
        ),
        Layer(
            "departments",
            None,
            {
                "code": _text(required=True),
                "name": _text(required=True),
                "name_en": _text(),
                "area": _text(),
                "parent": _text(),
            },
        ),
        Layer(
            "staff",
            None,
            {
                "code": _text(required=True),
                "name": _text(required=True),
                "phone": _text(),
                "department": _text(),
            },
        ),
        # place: code of a grid in force, of an area or of a building, according to the post.
        Layer(
            "assignments",
            None,
            {
                "staff": _text(required=True),
                "post": _text(required=True),
                "place": _text(required=True),
                "valid_from": Column("date"),
                "valid_to": Column("date"),
            },
            key=None,
        ),
    )
}


@dataclass(frozen=True)
class Town:
    """The layers of a town, each a frame with at least the columns of `LAYERS`.

    Attributes
    ----------
    layers : mapping of str to GeoDataFrame or DataFrame
        By the names of `LAYERS`. A layer that is absent reads as an empty frame (`town["pois"]`).
    title : str
    """

    layers: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    title: str = ""

    def __post_init__(self) -> None:
        for name in self.layers:
            if name not in LAYERS:
                raise InvalidInput("town.unknown_layer", layer=name, known=list(LAYERS))

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.layers[name] if name in self.layers else empty(name)

    def geo(self, name: str) -> gpd.GeoDataFrame:
        """A layer that has geometry, as such."""
        frame = self[name]
        assert isinstance(frame, gpd.GeoDataFrame), name
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def with_layers(self, **frames: pd.DataFrame) -> Town:
        """The same town with some layers replaced."""
        return replace(self, layers={**self.layers, **frames})


def empty(name: str) -> pd.DataFrame:
    """A layer without rows, with all its columns."""
    layer = LAYERS[name]
    frame = pd.DataFrame({column: pd.Series(dtype=dtype(spec)) for column, spec in layer.columns.items()})
    if layer.geometry is None:
        return frame
    return gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries([], crs=WGS84))


def conform(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Give a frame the columns, order and types of its layer; columns it lacks come in empty, others are dropped.

    Raises
    ------
    InvalidInput
        ``town.bad_column`` if a column cannot be read as its type.
    """
    layer = LAYERS[name]
    columns: dict[str, pd.Series] = {}
    for column, spec in layer.columns.items():
        values = frame[column] if column in frame else pd.Series([None] * len(frame), index=frame.index)
        try:
            columns[column] = _as(values, spec)
        except (TypeError, ValueError) as error:
            raise InvalidInput("town.bad_column", layer=name, column=column, kind=spec.kind) from error
    data = pd.DataFrame(columns, index=frame.index)
    if layer.geometry is None:
        return data
    if not isinstance(frame, gpd.GeoDataFrame):
        return gpd.GeoDataFrame(data, geometry=gpd.GeoSeries([None] * len(frame), index=frame.index, crs=WGS84))
    geometry = frame.geometry if frame.crs is None else frame.geometry.to_crs(WGS84)
    return gpd.GeoDataFrame(data, geometry=geometry.set_crs(WGS84, allow_override=True))


def dtype(column: Column) -> str:
    """The pandas dtype of a column: nullable types, so that a missing number stays missing."""
    return {
        "text": "string",
        "integer": "Int64",
        "number": "Float64",
        "flag": "boolean",
        "date": "datetime64[s]",
        "time": "datetime64[us, UTC]",
    }[column.kind]


def _as(values: pd.Series, column: Column) -> pd.Series:
    if column.kind in ("date", "time"):
        return pd.to_datetime(values, utc=column.kind == "time").astype(dtype(column))
    if column.kind == "text" and pd.api.types.is_numeric_dtype(values):
        return values.astype("Int64").astype("string")
    if column.kind in ("integer", "number"):
        numbers = pd.to_numeric(values)
        return numbers.round().astype("Int64") if column.kind == "integer" else numbers.astype("Float64")
    return values.astype(dtype(column))
