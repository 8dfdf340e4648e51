"""Rows of a town's layer in a temporary table of the session, so that one statement can take them over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.crs import WGS84_CODE
from gis.town import LAYERS

DECIMALS = 7  # 1 cm
_TYPES = {
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "flag": "boolean",
    "date": "timestamp",
    "time": "timestamptz",
}


@contextmanager
def staged(session: Session, layer: str, frame: pd.DataFrame) -> Iterator[str]:
    """Copy a layer's rows into a temporary table with its columns, ``row`` (1-based) and ``geom``; gives its name."""
    table = f"staged_{layer}"
    spec = LAYERS[layer]
    columns = [f'"{name}" {_TYPES[column.kind]}' for name, column in spec.columns.items()]
    columns += ['"row" bigint'] + (["geom geometry"] if spec.geometry else [])
    session.execute(text(f"DROP TABLE IF EXISTS {table}"))
    session.execute(text(f"CREATE TEMPORARY TABLE {table} ({', '.join(columns)}) ON COMMIT DROP"))
    _copy(session, table, layer, frame)
    session.execute(text(f"ANALYZE {table}"))
    yield table
    session.execute(text(f"DROP TABLE {table}"))


def _copy(session: Session, table: str, layer: str, frame: pd.DataFrame) -> None:
    spec = LAYERS[layer]
    names = list(spec.columns)
    values: list[list[Any]] = [_plain(frame[name]) for name in names]
    values.append(row_numbers(frame))
    header = [*names, "row"]
    if spec.geometry:
        assert isinstance(frame, gpd.GeoDataFrame)
        values.append(stored_wkb(frame.geometry.to_numpy(), spec.geometry))
        header.append("geom")
    driver: Any = session.connection().connection.driver_connection
    listed = ", ".join(f'"{name}"' for name in header)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({listed}) FROM STDIN") as copy:
        for row in zip(*values, strict=True):
            copy.write_row(row)


def row_numbers(frame: pd.DataFrame) -> list[int]:
    """Numbers of a frame's rows as people count them: its labels from 0, or its positions where labels say nothing."""
    if frame.index.is_unique and pd.api.types.is_integer_dtype(frame.index):
        return [int(label) + 1 for label in frame.index]
    return list(range(1, len(frame) + 1))


def _plain(column: pd.Series) -> list[Any]:
    values = column.astype(object).where(column.notna(), None)
    return [value.isoformat() if isinstance(value, pd.Timestamp) else value for value in values]


def stored_wkb(geometries_wgs84: NDArray[np.object_], kind: str) -> list[str | None]:
    """Geometries as they are stored: two dimensions, seven decimals, valid, multi (polygons and lines); WKB in hex."""
    shapes = shapely.force_2d(np.asarray(geometries_wgs84, dtype=object))
    shapes = shapely.transform(shapes, lambda xy: np.round(xy, DECIMALS))
    if kind == "polygon":
        broken = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
        shapes[broken] = shapely.set_precision(shapely.make_valid(shapes[broken]), 10.0**-DECIMALS)
        shapes = np.array([_multi(shape, shapely.MultiPolygon, 3) for shape in shapes], dtype=object)
    elif kind == "line":
        shapes = np.array([_multi(shape, shapely.MultiLineString, 1) for shape in shapes], dtype=object)
    marked = shapely.set_srid(shapes, WGS84_CODE)
    return [None if shape is None else shapely.to_wkb(shape, hex=True, include_srid=True) for shape in marked]


def _multi(shape: Any, kind: Any, part_type: int) -> Any:
    if shape is None or shape.is_empty:
        return None
    flat = shapely.get_parts(shapely.get_parts(shape))
    return kind(list(flat[shapely.get_type_id(flat) == part_type])) or None
