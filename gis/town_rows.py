"""Rows of the database as a `Town`: what the partitioner takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from gis.town import WGS84, Town, conform


def town_of(session: Session, *, community_ids: Sequence[int]) -> Town:
    """Communities with all that lies in them, and the lines and ground around them.

    Raises nothing for an unknown id: its layers are empty, which the partitioner reports.
    """
    known = {"ids": list(community_ids)}
    layers = {name: _frame(name, session.execute(text(statement), known).all()) for name, statement in _LAYERS.items()}
    return Town(layers=layers)


def _frame(name: str, rows: Sequence[Row[Any]]) -> pd.DataFrame:
    frame = pd.DataFrame([row._asdict() for row in rows])
    if "wkb" not in frame:
        return conform(name, frame)
    wkb = [None if value is None else bytes(value) for value in frame.pop("wkb")]
    return conform(name, gpd.GeoDataFrame(frame, geometry=shapely.from_wkb(wkb), crs=WGS84))


# A hull of the communities, somewhat wider: what lies just outside shapes borders too.
_AROUND = "(SELECT ST_Expand(ST_Extent(geom)::geometry, 0.002) FROM admin_area WHERE id = ANY(CAST(:ids AS bigint[])))"

_LAYERS = {
    "areas": """
        SELECT DISTINCT a.code, a.name, a.name_en, a.level, p.code AS parent, ST_AsBinary(a.geom) AS wkb
        FROM admin_area c JOIN admin_area a ON a.path @> c.path AND a.id <> c.id
        LEFT JOIN admin_area p ON p.id = a.parent_id
        WHERE c.id = ANY(CAST(:ids AS bigint[])) AND a.level <> 'community' ORDER BY a.code
    """,
    "communities": """
        SELECT a.code, a.name, a.name_en, p.code AS parent, ST_AsBinary(a.geom) AS wkb
        FROM admin_area a LEFT JOIN admin_area p ON p.id = a.parent_id
        WHERE a.id = ANY(CAST(:ids AS bigint[])) ORDER BY a.code
    """,
    "compounds": """
        SELECT k.code, k.name, k.name_en, a.code AS community, k.housing_class, k.is_walled, ST_AsBinary(k.geom) AS wkb
        FROM compound k JOIN admin_area a ON a.id = k.area_id
        WHERE k.area_id = ANY(CAST(:ids AS bigint[])) ORDER BY k.code
    """,
    "buildings": """
        SELECT b.code, b.name, b.address, b.use, b.floors, b.units, b.height_m, b.households, b.households_estimated,
               b.units_estimated, k.code AS compound, a.code AS community, ST_AsBinary(b.geom) AS wkb
        FROM building b JOIN admin_area a ON a.id = b.area_id LEFT JOIN compound k ON k.id = b.compound_id
        WHERE b.area_id = ANY(CAST(:ids AS bigint[])) ORDER BY b.code
    """,
    "barriers": f"""
        SELECT kind, name, is_bridge, ST_AsBinary(geom) AS wkb FROM barrier
        WHERE geom && {_AROUND} ORDER BY id
    """,
    "ground": f"SELECT kind, name, ST_AsBinary(geom) AS wkb FROM ground WHERE geom && {_AROUND} ORDER BY id",
    "pois": f"""
        SELECT p.code, p.kind, p.name, k.code AS compound, ST_AsBinary(p.geom) AS wkb
        FROM poi p LEFT JOIN compound k ON k.id = p.compound_id WHERE p.geom && {_AROUND} ORDER BY p.code
    """,
}
