"""Small made-up towns, drawn in metres and given in degrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from gis import crs
from gis.town import WGS84, Town, conform

ZONE = 4550
EAST, NORTH = 500_000.0, 4_412_000.0


def wgs84(geometries: Sequence[shapely.Geometry]) -> np.ndarray:
    """Metres from the corner of the town to degrees."""
    moved = shapely.transform(np.array(geometries, dtype=object), lambda xy: xy + np.array([EAST, NORTH]))
    return crs.geometries_to_wgs84(moved, f"EPSG:{ZONE}")


def frame(layer: str, geometries: Sequence[shapely.Geometry], columns: Mapping[str, Any]) -> gpd.GeoDataFrame:
    data = gpd.GeoDataFrame(dict(columns), geometry=gpd.GeoSeries(wgs84(geometries), crs=WGS84))
    made = conform(layer, data)
    assert isinstance(made, gpd.GeoDataFrame)
    return made


def house(x: float, y: float, *, length: float = 40.0, width: float = 12.0) -> shapely.Polygon:
    """A footprint by its south-west corner."""
    return shapely.box(x, y, x + length, y + width)


def town(
    communities: Mapping[str, shapely.Geometry],
    houses: Sequence[Mapping[str, Any]],
    streets: Sequence[tuple[str, Sequence[tuple[float, float]]]] = (),
    compounds: Mapping[str, shapely.Geometry] | None = None,
) -> Town:
    """A town of communities, houses (``at`` a polygon, ``households``, and other columns) and streets."""
    keys = sorted({key for house in houses for key in house} - {"at"})
    columns = {key: [house.get(key) for house in houses] for key in keys}
    columns.setdefault("code", [f"b{i:03d}" for i in range(len(houses))])
    layers = {
        "communities": frame("communities", list(communities.values()), {"code": list(communities)}),
        "buildings": frame("buildings", [house["at"] for house in houses], columns),
    }
    if streets:
        lines = [shapely.LineString(points) for _, points in streets]
        layers["barriers"] = frame("barriers", lines, {"kind": [kind for kind, _ in streets]})
    if compounds:
        layers["compounds"] = frame("compounds", list(compounds.values()), {"code": list(compounds)})
    return Town(layers)


def estate(columns: int, rows: int, households: int, *, x: float = 0.0, y: float = 0.0) -> list[dict[str, Any]]:
    """Rows of slab houses, 60 m by 40 m of ground each."""
    return [
        {"at": house(x + 60 * i + 10, y + 40 * j + 14), "households": households, "floors": 6, "units": 3}
        for j in range(rows)
        for i in range(columns)
    ]


def ground(columns: int, rows: int, *, x: float = 0.0, y: float = 0.0) -> shapely.Polygon:
    """The ground of an estate."""
    return shapely.box(x, y, x + 60 * columns, y + 40 * rows)
