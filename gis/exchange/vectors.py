"""Layers out of vector files, as GDAL and pyarrow give them, with the coordinate system that the file states."""

from __future__ import annotations

import re
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from gis.crs import Crs, from_proj
from gis.exchange.town_file import layer_names, readable

PARQUET_SUFFIXES = (".parquet", ".geoparquet")
SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".zip", ".fgb", ".kml", ".gml", *PARQUET_SUFFIXES)
_CODE_PAGES = {"936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf8": "utf-8"}
_HEAD_BYTES = 100_000

VectorLayer = tuple[str, pd.DataFrame, Crs | None]


def read(path: Path) -> list[VectorLayer]:
    """All layers of a file: name, rows indexed from 1, and the coordinate system that it states, if any.

    Notes
    -----
    GeoJSON without a ``crs`` member states none: RFC 7946 says WGS 84, but GCJ-02 is written into such files every
    day. KML and FlatGeobuf, GeoPackage, Shapefile (.prj) and GeoParquet say it themselves.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file``.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return [_parquet(path)]
    return [_layer(path, name) for name in layer_names(path)]


def _parquet(path: Path) -> VectorLayer:
    with readable(path):
        try:
            frame: pd.DataFrame = gpd.read_parquet(path)
        except ValueError:  # no geometry in its metadata: a plain table
            frame = pd.read_parquet(path)
        # Text is decoded when it is looked at: look now, where a broken file is told as one.
        for name in frame.columns.difference(["geometry"]):
            frame[name] = frame[name].astype(object)
        stated = _stated(frame)
    return path.stem, _numbered(frame), stated


def _layer(path: Path, name: str) -> VectorLayer:
    with readable(path):
        frame = _numbered(pyogrio.read_dataframe(path, layer=name, encoding=_encoding(path), on_invalid="ignore"))
    silent = path.suffix.lower() in (".geojson", ".json") and not _has_crs_member(path)
    return name, frame, None if silent else _stated(frame)


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    if isinstance(frame, gpd.GeoDataFrame) and frame.geometry.name != "geometry":
        frame = frame.rename_geometry("geometry")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def _stated(frame: pd.DataFrame) -> Crs | None:
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
        return None
    # GeoPackage's "undefined" systems come as engineering ones.
    return None if "undefined" in frame.crs.name.lower() else from_proj(frame.crs)


def _has_crs_member(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return re.search(rb'"crs"\s*:\s*\{', head) is not None


def _encoding(path: Path) -> str | None:
    """Encoding of a Shapefile's attributes: as its .cpg says, else UTF-8 if they are, else GB 18030."""
    if path.suffix.lower() != ".shp":
        return None
    said = next((path.with_suffix(suffix) for suffix in (".cpg", ".CPG") if path.with_suffix(suffix).is_file()), None)
    if said is not None:
        name = said.read_text(encoding="ascii", errors="ignore").strip()
        return _CODE_PAGES.get(re.sub(r"[\s_\-]", "", name.lower()), name or "utf-8")
    table = path.with_suffix(".dbf")
    if not table.is_file():
        return None
    try:
        table.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"
