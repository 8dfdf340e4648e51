"""GeoParquet, Parquet and GeoPackage: rows come as tables, places as geometries or in two columns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray

from gis.crs import Crs, from_proj
from gis.errors import InvalidInput
from gis.exchange.town_file import layer_names, readable
from gis.geotagging.chunk import Chunk, FloatArray, Form
from gis.geotagging.numbers import numbers, pairs
from gis.geotagging.words import NO_COORDINATES, UNREADABLE

BATCH_ROWS = 65_536
# Times as text: as timestamps those without a zone would be taken for UTC, and others lose theirs.
_READING: Mapping[str, Any] = MappingProxyType({"use_pyarrow": True, "datetime_as_string": True})
_POINT_BYTES = 21  # of a point in two dimensions as well-known binary
_HEAD = np.frombuffer(b"\x01\x01\x00\x00\x00", dtype=np.uint8)


@dataclass(frozen=True)
class ArrowFile:
    """A file whose rows come as tables, or what a worker needs to know of it.

    Attributes
    ----------
    schema : Schema
        As the file has it, with its own metadata.
    stated : Crs or None
        The system that the file says its geometry is in.
    geometry : str or None
        The column of geometry, as well-known binary.
    layer : str or None
        Of a GeoPackage.
    lon, lat, address : str or None
        Names of these columns; they go before the geometry.
    """

    path: Path
    schema: pa.Schema
    rows: int
    stated: Crs | None = None
    geometry: str | None = None
    geometry_type: str | None = None
    crs_wkt: str | None = None
    layer: str | None = None
    lon: str | None = None
    lat: str | None = None
    address: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def blocks(self) -> Iterator[pa.Table]:
        """Some ten thousand rows at a time.

        Raises
        ------
        InvalidInput
            ``import.unreadable_file`` where the file is torn.
        """
        with readable(self.path):
            yield from self._of_layer() if self.layer is not None else self._of_parquet()

    def _of_parquet(self) -> Iterator[pa.Table]:
        with pq.ParquetFile(self.path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield pa.Table.from_batches([batch], schema=self.schema)

    def _of_layer(self) -> Iterator[pa.Table]:
        with pyogrio.open_arrow(self.path, layer=self.layer, batch_size=BATCH_ROWS, **_READING) as (_, reader):
            for batch in reader:
                table = pa.Table.from_batches([batch]).rename_columns(self.schema.names)
                yield table.cast(self.schema)

    def share(self, block: pa.Table) -> float:
        """How much of the file a block is."""
        return len(block) / max(self.rows, 1)

    def parse(self, block: pa.Table, *, form: Form) -> Chunk:  # noqa: ARG002 (a table is what there is)
        """Rows of a block."""
        addresses = None if self.address is None else block[self.address].to_pylist()
        if self.lon and self.lat:
            xy, state = pairs(numbers(block[self.lon]), numbers(block[self.lat]))
        elif self.geometry is not None:
            xy, state = points_of(block[self.geometry].combine_chunks())
        else:
            xy, state = np.full((len(block), 2), np.nan), np.full(len(block), NO_COORDINATES, dtype=np.uint8)
        return Chunk(xy, state, block, None, addresses)


def points_of(column: Any) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Where geometries are: of a point itself, of anything else a point on it; and a state for each."""
    array = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_struct(array.type):  # points as GeoParquet 1.1 may have them
        return pairs(numbers(array.field("x")), numbers(array.field("y")))
    plain = _plain_points(array)
    if plain is not None:
        return plain, np.where(np.isnan(plain).any(axis=1), NO_COORDINATES, 0).astype(np.uint8)
    given = np.array(array.to_pylist(), dtype=object)
    shapes = shapely.from_wkb(given, on_invalid="ignore")
    state = np.where(shapely.is_missing(shapes) | shapely.is_empty(shapes), NO_COORDINATES, 0).astype(np.uint8)
    state[shapely.is_missing(shapes) & np.array([one is not None for one in given], dtype=bool)] = UNREADABLE
    area = (state == 0) & (shapely.get_type_id(shapes) != 0)
    shapes[area] = shapely.point_on_surface(shapes[area])
    xy = np.column_stack([shapely.get_x(shapes), shapely.get_y(shapes)])
    state[(state == 0) & np.isnan(xy).any(axis=1)] = NO_COORDINATES
    return xy, state


def _plain_points(array: pa.Array) -> FloatArray | None:
    """Coordinates of little-endian points straight out of their bytes; ``None`` if others are among them."""
    if array.null_count or not pa.types.is_binary(array.type):
        return None
    _, offsets, data = array.buffers()
    if data is None:
        return np.empty((0, 2))
    ends = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    if not (np.diff(ends) == _POINT_BYTES).all():
        return None
    raw = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]].reshape(-1, _POINT_BYTES)
    if not (raw[:, :5] == _HEAD).all():
        return None
    return np.ascontiguousarray(raw[:, 5:]).view("<f8").reshape(-1, 2).copy()


def open_parquet(path: Path) -> ArrowFile:
    """Look at the footer of a Parquet file.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file``; ``geotag.geometry_encoding`` for anything but well-known binary and points.
    """
    with readable(path), pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
        geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
        name, encoding, stated = _geometry_of(geo) if geo else (None, "WKB", None)
    if encoding not in ("WKB", "point"):
        raise InvalidInput("geotag.geometry_encoding", path=path.name, encoding=encoding)
    return ArrowFile(path, schema, rows, stated, name)


def _geometry_of(geo: Any) -> tuple[str, str, Crs | None]:
    """Name, encoding and system of the geometry that GeoParquet's metadata describe."""
    try:
        name = str(geo["primary_column"])
        column = geo["columns"][name]
        # Without a "crs" GeoParquet means OGC:CRS84; with null nobody knows.
        projection = column.get("crs", "OGC:CRS84")
        stated = None if projection is None else from_proj(pyproj.CRS.from_user_input(projection))
        return name, str(column.get("encoding", "WKB")), stated
    except (TypeError, AttributeError) as error:
        raise ValueError(f"geo metadata: {error}") from error


def open_layer(path: Path, layer: str | None) -> ArrowFile:
    """Look at a layer of a GeoPackage, its only one unless it is named.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file``; ``geotag.which_layer``.
    """
    names = layer_names(path)
    if (layer is None and len(names) != 1) or (layer is not None and layer not in names):
        raise InvalidInput("geotag.which_layer", path=path.name, layers=names)
    layer = layer or names[0]
    _check_table(path, layer)
    with readable(path):
        info = pyogrio.read_info(path, layer=layer, force_feature_count=True)
        with pyogrio.open_arrow(path, layer=layer, batch_size=1, **_READING) as (meta, reader):
            schema = reader.schema
    geometry = meta["geometry_name"] or None
    found = "wkb_geometry" if not geometry and "wkb_geometry" in schema.names else geometry
    has_shapes = info["geometry_type"] is not None and found is not None
    crs = pyproj.CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    stated = None if crs is None or "undefined" in crs.name.lower() else from_proj(crs)
    return ArrowFile(
        path, schema, info["features"], stated if has_shapes else None, found if has_shapes else None,
        info["geometry_type"], meta["crs"] or None, layer,
    )  # fmt: skip


def _check_table(path: Path, layer: str) -> None:
    """Refuse a layer that is a view: a query of somebody else's, which may never end."""
    with readable(path), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            kind = database.execute("SELECT type FROM sqlite_master WHERE name = ?", (layer,)).fetchone()
        except sqlite3.Error as error:
            raise ValueError(str(error)) from error
    if kind != ("table",):
        raise InvalidInput("geotag.which_layer", path=path.name, layers=[])
