"""The cells of the plans in force as arrays, a set for each zoom, ready to be cut into tiles.

What depends on no tile is done once a version: corners in whole units of the zoom's tiles, borders simplified as a
coverage where a screen shows no difference, commands of the geometry and properties as they are sent. A tile then
copies; only what its edge crosses is worked on. All arrays are mapped from files that every process shares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from tiles import arrays, kernel
from tiles.layers import BUFFER, EXTENT, Layer

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Geometries = NDArray[np.object_]

EXACT_FROM = 15
"""From this zoom on borders are exact, but for rounding to the units of a tile."""
DETAIL = 2.0
"""Units of a tile that simplifying may take away below that, a quarter of a pixel on the screen."""
DIGEST = 16


@dataclass(frozen=True, eq=False)
class CellTable:
    """The cells of one layer as the database has them, by community, depth and id.

    Attributes
    ----------
    ids, communities, depths : int arrays, shape (cells,)
    columns : mapping of str to sequence
        Property → a value or None for each cell, in the order of `Layer.fields`.
    grounds : array of Geometry, shape (cells,)
        Polygons and MultiPolygons in degrees (EPSG:4326).
    """

    ids: Ints
    communities: Ints
    depths: Ints
    columns: Mapping[str, Sequence[Any]]
    grounds: Geometries


@dataclass(frozen=True, eq=False)
class Level:
    """The cells of a layer at one zoom. Units: 4096 a tile, from the world's north-west corner, y to the south.

    Attributes
    ----------
    blob, first, anchor, box : arrays
        As `kernel.quantise` gives them, by cell; a cell that a pixel swallows has no bytes.
    tile_key : int array, shape (tiles,)
        The tiles that any box touches, their margin included, as x * 2^32 + y, sorted.
    tile_first, tile_cells : int arrays
        The cells of each tile, in the order in which they are drawn.
    digests : uint8 array, shape (communities, 16)
        Hash of all that the cells of a community give to tiles of this zoom.
    """

    blob: Bytes
    first: Ints
    anchor: Ints
    box: Ints
    tile_key: Ints
    tile_first: Ints
    tile_cells: Ints
    digests: Bytes

    def cells_of(self, x: int, y: int) -> Ints:
        """The cells whose boxes touch a tile."""
        key = (x << 32) | y
        place = int(self.tile_key.searchsorted(key))
        if place == len(self.tile_key) or self.tile_key[place] != key:
            return self.tile_cells[:0]
        return self.tile_cells[self.tile_first[place] : self.tile_first[place + 1]]

    def largest(self, overhead: int) -> int:
        """About how many bytes the largest tile has, with so many for the properties of a cell."""
        if not len(self.tile_cells):
            return 0
        sizes = np.diff(self.first)[self.tile_cells] + overhead
        return int(np.add.reduceat(sizes, self.tile_first[:-1]).max())

    @cached_property
    def tiles(self) -> list[tuple[int, int]]:
        """The tiles that any box touches."""
        return [(key >> 32, key & 0xFFFFFFFF) for key in self.tile_key.tolist()]


@dataclass(frozen=True, eq=False)
class CellLayer:
    """A layer's cells: what is the same at all zooms, and a `Level` for each.

    Attributes
    ----------
    layer : Layer
    ids : int array, shape (cells,)
    community : int array, shape (cells,)
        Place of the cell's community in ``communities``.
    communities : int array, shape (communities,)
        Ids, sorted.
    values : int array, shape (cells, columns)
        Numbers of values, -1 for none; columns in the order of `Layer.fields`.
    value_blob, value_first : arrays
        Each different value as it is sent.
    levels : mapping of int to Level
    """

    layer: Layer
    ids: Ints
    community: Ints
    communities: Ints
    values: Ints
    value_blob: Bytes
    value_first: Ints
    levels: Mapping[int, Level]

    def columns_at(self, zoom: int) -> list[int]:
        """Places of the columns that a zoom shows."""
        return [place for place, name in enumerate(self.layer.fields) if zoom >= self.layer.shown_from.get(name, 0)]

    def save(self, path: Path) -> None:
        """Write all of it into a file, for `load`."""
        own = {name: getattr(self, name) for name in _OWN}
        levels = {f"{zoom}.{name}": getattr(level, name) for zoom, level in self.levels.items() for name in _LEVEL}
        arrays.save(path, own | levels)


_OWN = ("ids", "community", "communities", "values", "value_blob", "value_first")
_LEVEL = ("blob", "first", "anchor", "box", "tile_key", "tile_first", "tile_cells", "digests")


def load(path: Path, layer: Layer) -> CellLayer:
    """Map a file that `CellLayer.save` wrote."""
    held = arrays.load(path)
    zooms = sorted({int(name.partition(".")[0]) for name in held if "." in name})
    levels = {zoom: Level(**{name: held[f"{zoom}.{name}"] for name in _LEVEL}) for zoom in zooms}
    return CellLayer(layer, **{name: held[name] for name in _OWN}, levels=levels)


# --- From the database's rows to arrays ------------------------------------------------------------------------------


def build(layer: Layer, table: CellTable, *, zooms: Sequence[int] | None = None) -> CellLayer:
    """Make the arrays of a layer.

    Parameters
    ----------
    layer : Layer
    table : CellTable
    zooms : sequence of int, optional
        Make the levels of these only; without, of all that the layer has.
    """
    communities, community = np.unique(table.communities, return_inverse=True)
    values, value_blob, value_first = _values(table, list(layer.fields))
    told = _digests_of_rows(table, community, len(communities))
    order = np.lexsort((table.ids, table.depths))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    levels = {}
    finest = layer.max_zoom
    ground = shapely.transform(table.grounds, lambda xy: world_of(xy, finest))
    for zoom in range(finest, (min(zooms) if zooms else layer.min_zoom) - 1, -1):
        if zoom < EXACT_FROM:
            ground = _simplified(ground, table.depths, DETAIL * 2.0 ** (finest - zoom))
        if zooms is None or zoom in zooms:
            levels[zoom] = _level(ground, 2.0 ** (zoom - finest), community.astype(np.int64), rank, told)
    return CellLayer(layer, table.ids, community.astype(np.int64), communities, values, value_blob, value_first, levels)


def world_of(degrees: NDArray[np.float64], zoom: int) -> NDArray[np.float64]:
    """Web Mercator (EPSG:3857) in units of a zoom's tiles, from degrees; shape (points, 2)."""
    turn = np.radians(degrees)
    x = turn[:, 0] / (2 * np.pi) + 0.5
    y = 0.5 - np.arcsinh(np.tan(turn[:, 1])) / (2 * np.pi)
    return np.column_stack([x, y]) * (EXTENT * 2.0**zoom)


def _simplified(ground: Geometries, depths: Ints, detail: float) -> Geometries:
    """Each tier simplified as a whole, so that neighbours keep their common borders."""
    result = ground.copy()
    for depth in np.unique(depths):
        here = np.flatnonzero(depths == depth)
        # Cells over one another are the same ground, which may stand in a coverage once.
        _, one, of = np.unique(shapely.to_wkb(ground[here]), return_index=True, return_inverse=True)
        fewer = shapely.coverage_simplify(ground[here][one], detail)
        lost = shapely.is_empty(fewer)
        fewer[lost] = ground[here][one][lost]
        result[here] = fewer[of]
    return result


def _level(ground: Geometries, scale: float, community: Ints, rank: Ints, told: list[bytes]) -> Level:
    blob, first, anchor, box, state = kernel.quantise(*_rings_of(ground, scale), True)
    broken = np.flatnonzero(state == 2)
    if len(broken):
        # Rounded so that they stay valid; what falls below a unit is gone.
        mended = ground.copy()
        mended[broken] = _whole(shapely.transform(shapely.make_valid(ground[broken]), lambda xy: xy * scale), scale)
        blob, first, anchor, box, state = kernel.quantise(*_rings_of(mended, scale), False)
    tile_key, tile_first, tile_cells = _by_tile(box, first, rank)
    digests = _digests(told, community, blob, first, anchor)
    return Level(blob, first, anchor, box, tile_key, tile_first, tile_cells, digests)


def _whole(ground: Geometries, scale: float) -> Geometries:
    """Valid polygons with whole corners, given in units and given back divided by the scale, which is a power of 2."""
    made = shapely.set_precision(ground, 1.0)
    parts, of = shapely.get_parts(shapely.transform(made, lambda xy: xy / scale), return_index=True)
    is_ground = shapely.get_dimensions(parts) == 2
    parts, of = parts[is_ground], of[is_ground]
    result = np.full(len(ground), shapely.MultiPolygon(), dtype=object)
    for place in np.unique(of):
        result[place] = shapely.multipolygons(shapely.get_parts(parts[of == place]))
    return result


def _rings_of(ground: Geometries, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64], Ints, Ints, Ints]:
    """Coordinates without the closing ones, and where rings, polygons and features begin."""
    parts, of = shapely.get_parts(ground, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    kept = np.append(ring[1:] == ring[:-1], False) if len(ring) else np.zeros(0, dtype=bool)
    points, ring = points[kept] * scale, ring[kept]
    x, y = (np.ascontiguousarray(column) for column in points.T)
    return x, y, _begins(ring, len(rings)), _begins(part, len(parts)), _begins(of, len(ground))


def _begins(sorted_places: Ints, count: int) -> Ints:
    return np.searchsorted(sorted_places, np.arange(count + 1)).astype(np.int64)


def _by_tile(box: Ints, first: Ints, rank: Ints) -> tuple[Ints, Ints, Ints]:
    cells = np.flatnonzero(np.diff(first))
    low = -((EXTENT + BUFFER - box[cells, :2]) // EXTENT)
    high = (box[cells, 2:] + BUFFER) // EXTENT
    wide, tall = (high - low + 1).T
    count = wide * tall
    cell = np.repeat(cells, count)
    step = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    x = np.repeat(low[:, 0], count) + step // np.repeat(tall, count)
    y = np.repeat(low[:, 1], count) + step % np.repeat(tall, count)
    inside = (x >= 0) & (y >= 0)
    cell, key = cell[inside], ((x << 32) | y)[inside]
    order = np.lexsort((rank[cell], key))
    tile_key, tile_first = np.unique(key[order], return_index=True)
    return tile_key, np.append(tile_first, len(order)).astype(np.int64), cell[order]


# --- Properties ------------------------------------------------------------------------------------------------------


def _values(table: CellTable, names: Sequence[str]) -> tuple[Ints, Bytes, Ints]:
    numbers: dict[bytes, int] = {}
    values = np.full((len(table.ids), len(names)), -1, dtype=np.int64)
    for place, name in enumerate(names):
        known: dict[Any, int] = {}
        for row, value in enumerate(table.columns[name]):
            if value is None:
                continue
            if value not in known:
                known[value] = numbers.setdefault(message(4, value_of(value)), len(numbers))
            values[row, place] = known[value]
    blob = np.frombuffer(b"".join(numbers), dtype=np.uint8)
    first = np.cumsum([0, *map(len, numbers)], dtype=np.int64)
    return values, blob, first


def value_of(value: str | int | bool) -> bytes:
    """A property's value as the specification's message ``Value``; kinds as `ST_AsMVT` chooses them."""
    if isinstance(value, bool):
        return bytes([0x38, value])
    if isinstance(value, int):
        return b"\x28" + varint(value) if value >= 0 else b"\x30" + varint(-2 * value - 1)
    return message(1, value.encode())


def message(field: int, content: bytes) -> bytes:
    """A field of bytes in a protobuf message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """An integer from zero up as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


# --- What a community gives, as a hash -------------------------------------------------------------------------------


def _digests_of_rows(table: CellTable, community: Ints, communities: int) -> list[bytes]:
    """All that rows say but for the ground, a hash a community."""
    rows = [table.ids.tolist(), *table.columns.values()]
    lines = [orjson.dumps(row) for row in zip(*rows, strict=True)]
    first = _begins(community, communities)
    return [_hash(*lines[a:b]) for a, b in pairwise(first.tolist())]


def _digests(told: list[bytes], community: Ints, blob: Bytes, first: Ints, anchor: Ints) -> Bytes:
    begins = _begins(community, len(told)).tolist()
    made = [
        _hash(row, blob[first[a] : first[b]], np.diff(first[a : b + 1]), anchor[a:b])
        for row, (a, b) in zip(told, pairwise(begins), strict=True)
    ]
    return np.frombuffer(b"".join(made), dtype=np.uint8).reshape(len(told), DIGEST)


def _hash(*parts: Any) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        digest.update(part)
    return digest.digest()
