"""Layers out of vector files, as GDAL and pyarrow give them, with the coordinate system that the file states."""

from __future__ import annotations

import glob
import re
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio

from gis.crs import Crs, from_proj
from gis.exchange.town_file import layer_names, readable

PARQUET_SUFFIXES = (".parquet", ".geoparquet")
SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".zip", ".fgb", ".kml", ".gpx", ".gml", *PARQUET_SUFFIXES)
_CODE_PAGES = {"936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "utf8": "utf-8"}
_HEAD_BYTES = 100_000
_DBF_SAMPLE_BYTES = 1_000_000

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
    names = layer_names(path)
    if path.suffix.lower() == ".gpx":  # routes and tracks are somebody's way, not things
        names = [name for name in names if name == "waypoints"]
    return [_layer(path, name) for name in names]


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
    if path.suffix.lower() == ".shp":
        beside = {file.suffix.lower(): file.read_bytes for file in path.parent.glob(f"{glob.escape(path.stem)}.*")}
        return _encoding_of(beside)
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return _encoding_of({Path(n).suffix.lower(): partial(packed.read, n) for n in packed.namelist()})
    return None


def _encoding_of(files: Mapping[str, Callable[[], bytes]]) -> str | None:
    if ".cpg" in files:
        name = files[".cpg"]().decode("ascii", errors="ignore").strip()
        return _CODE_PAGES.get(re.sub(r"[\s_\-]", "", name.lower()), name or "utf-8")
    return _encoding_of_dbf(files[".dbf"]()) if ".dbf" in files else None


def _encoding_of_dbf(table: bytes) -> str:
    """UTF-8 if the field names and records are, but for a few letters cut at the end of a field."""
    header = int.from_bytes(table[8:10], "little")
    names = b"".join(table[at : at + 11] for at in range(32, header - 1, 32))
    words = names + table[header : header + _DBF_SAMPLE_BYTES]
    foreign = sum(byte >= 0x80 for byte in words)
    broken = words.decode("utf-8", errors="replace").count("\ufffd")
    return "utf-8" if broken <= 0.05 * foreign else "gb18030"
