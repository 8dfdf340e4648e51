"""Files of one JSON object a line: plain ones with coordinates in two members, or GeoJSON features (RFC 8142)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json as pajson
import shapely

from gis.errors import InvalidInput
from gis.geotagging import text_blocks
from gis.geotagging.chunk import Chunk, Form
from gis.geotagging.numbers import numbers, pairs
from gis.geotagging.words import BROKEN, NO_COORDINATES

_SAMPLE_LINES = 1000
_SAMPLE_BYTES = 8 << 20
_LINE_MOST = 4 << 20
_SEPARATOR = b"\x1e"


@dataclass
class Members:
    """The members that objects of a file have, in the order of their first coming, and the type that holds all."""

    types: dict[str, pa.DataType] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Take note of a row."""
        for name, value in row.items():
            if value is not None:
                self.types[name] = _wider(self.types.get(name, pa.null()), _type(value))
            else:
                self.types.setdefault(name, pa.null())

    def merge(self, other: Members) -> None:
        """Take in what rows further down have."""
        for name, kind in other.types.items():
            self.types[name] = _wider(self.types.get(name, pa.null()), kind)

    @property
    def schema(self) -> pa.Schema:
        """Columns of a table; what is always null is text."""
        return pa.schema([(n, pa.string() if pa.types.is_null(t) else t) for n, t in self.types.items()])


def _type(value: Any) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64() if abs(value) < 2**63 else pa.string()
    return pa.float64() if isinstance(value, float) else pa.string()


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(one):
        return other
    if pa.types.is_null(other):
        return one
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else pa.string()


@dataclass(frozen=True)
class NdjsonFile:
    """A file of lines of JSON, or what a worker needs to know of it.

    Attributes
    ----------
    lon, lat, address : str or None
        Names of these members.
    is_features : bool
        Lines are GeoJSON features; their properties are the columns.
    schema : Schema
        Of all rows, once `gis.geotagging.reading.look` has seen them; of the first ones before.
    """

    path: Path
    schema: pa.Schema
    is_features: bool
    lon: str | None = None
    lat: str | None = None
    address: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def blocks(self) -> Iterator[bytes]:
        """Whole lines."""
        return text_blocks.blocks(self.path)

    def share(self, block: bytes) -> float:
        """How much of the file a block is."""
        return len(block) / max(self.path.stat().st_size, 1)

    def members(self, block: bytes) -> Members:
        """The members of a block's objects."""
        found = Members()
        for line in _lines(block):
            row = _object(line)
            if row is not None:
                found.add(_properties(row) if self.is_features else row)
        return found

    def parse(self, block: bytes, *, form: Form) -> Chunk:
        """Rows of a block; raw ones are lines of text, or objects and, where they are none, lines."""
        lines = _lines(block)
        if form != "table" and not self.is_features and self.address is None and self.lon and self.lat:
            try:
                return self._quickly(lines)
            except pa.ArrowInvalid:
                pass
        rows = [_object(line) for line in lines]
        broken = np.array([row is None for row in rows], dtype=bool)
        known = [row or {} for row in rows]
        xy, state = self._points(known)
        state[broken], xy[broken] = BROKEN, np.nan
        columns = [_properties(row) for row in known] if self.is_features else known
        addresses = None if self.address is None else [_text(row.get(self.address)) for row in columns]
        if form == "table":
            return Chunk(xy, state, self._table(columns), None, addresses)
        return Chunk(xy, state, None, [line if is_bad else row for line, row, is_bad
                                       in zip(lines, rows, broken, strict=True)], addresses)  # fmt: skip

    def _quickly(self, lines: list[bytes]) -> Chunk:
        asked = pa.schema([(self.lon, pa.float64()), (self.lat, pa.float64())])
        data = b"\n".join(lines)
        table = pajson.read_json(
            pa.BufferReader(data),
            pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
            pajson.ParseOptions(explicit_schema=asked, unexpected_field_behavior="ignore"),
        )
        if table.num_rows != len(lines):
            raise pa.ArrowInvalid("objects and lines differ")
        xy, state = pairs(numbers(table[self.lon]), numbers(table[self.lat]))
        return Chunk(xy, state, None, pa.array(lines, pa.large_binary()))

    def _points(self, rows: Sequence[dict[str, Any]]) -> Any:
        if self.is_features:
            xy = np.array([_centre(row.get("geometry")) for row in rows], dtype=np.float64).reshape(-1, 2)
            return xy, np.where(np.isnan(xy).any(axis=1), NO_COORDINATES, 0).astype(np.uint8)
        if not (self.lon and self.lat):
            return np.full((len(rows), 2), np.nan), np.full(len(rows), NO_COORDINATES, dtype=np.uint8)
        pair = [numbers(pa.array([_text(row.get(name)) for row in rows], pa.string())) for name in (self.lon, self.lat)]
        return pairs(pair[0], pair[1])

    def _table(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        arrays = [pa.array([_as(row.get(one.name), one.type) for row in rows], one.type) for one in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _lines(block: bytes) -> list[bytes]:
    lines = [line.strip(b" \t\r" + _SEPARATOR) for line in block.split(b"\n")]
    return [line for line in lines if line]


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _properties(row: dict[str, Any]) -> dict[str, Any]:
    properties = row.get("properties")
    known: dict[str, Any] = {} if row.get("id") is None else {"id": row["id"]}
    return {**known, **properties} if isinstance(properties, dict) else known


def _centre(geometry: Any) -> tuple[float, float]:
    """The place of a geometry: of a point itself, of anything else a point on it."""
    nowhere = (float("nan"), float("nan"))
    if not isinstance(geometry, dict):
        return nowhere
    try:
        if geometry.get("type") == "Point":
            x, y, *_ = geometry["coordinates"]
            return float(x), float(y)
        point = shapely.point_on_surface(shapely.from_geojson(orjson.dumps(geometry)))
        return (point.x, point.y) if not point.is_empty else nowhere
    except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError):
        return nowhere


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _as(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return _text(value)
    if pa.types.is_floating(kind):
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return value if _type(value) == kind else None


def open_ndjson(path: Path) -> NdjsonFile:
    """Look at the first lines.

    Raises
    ------
    InvalidInput
        ``import.unreadable_text``; ``geotag.no_objects`` where none of the first lines is a JSON object.
    """
    encoding, mark = text_blocks.encoding_of(path)
    if encoding != "utf-8" or mark:
        raise InvalidInput("import.unreadable_text", path=path.name)
    members, features, seen = Members(), 0, 0
    with path.open("rb") as file:
        for _ in range(_SAMPLE_LINES):
            line = file.readline(_LINE_MOST)
            if not line or file.tell() > _SAMPLE_BYTES:
                break
            row = _object(line.strip(b" \t\r\n" + _SEPARATOR))
            if row is not None:
                seen += 1
                is_feature = row.get("type") == "Feature" and "geometry" in row
                features += is_feature
                members.add(_properties(row) if is_feature else row)
    if not seen:
        raise InvalidInput("geotag.no_objects", path=path.name)
    return NdjsonFile(path, members.schema, features == seen)
