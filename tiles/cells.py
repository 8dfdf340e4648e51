"""The cells of the plans in force as arrays, a set for each zoom, ready to be cut into tiles.

What depends on no tile is done once a version: corners in whole units of the zoom's tiles, borders simplified as a
coverage where a screen shows no difference, commands of the geometry and properties as they are sent. A tile then
copies; only what its edge crosses is worked on. All arrays are mapped from files that every process shares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Geometries = NDArray[np.object_]

EXACT_FROM = 15
"""From this zoom on borders are exact, but for rounding to the units of a tile."""
DETAIL = 2.0
"""Units of a tile by which simplifying may move a border below that, a quarter of a pixel on the screen."""
TRIES = 4
DIGEST = 16
THREADS = 2
"""Zooms of a layer that are made at a time; of a city each takes half a gigabyte."""


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
    finest = layer.max_zoom
    outlines = _outlines(table.grounds, finest)
    outlines.feature_of_point  # noqa: B018 (made once, not by each thread)

    def level(zoom: int) -> Level:
        commands = _commands(outlines, 2.0 ** (zoom - finest), is_exact=zoom >= EXACT_FROM)
        return _level(*commands, community.astype(np.int64), rank, told)

    wanted = list(zooms or range(layer.min_zoom, finest + 1))
    with ThreadPoolExecutor(THREADS) as pool:  # most of it holds no lock of the interpreter
        levels = dict(zip(wanted, pool.map(level, wanted), strict=True))
    return CellLayer(layer, table.ids, community.astype(np.int64), communities, values, value_blob, value_first, levels)


def world_of(degrees: NDArray[np.float64], zoom: int) -> NDArray[np.float64]:
    """Web Mercator (EPSG:3857) in units of a zoom's tiles, from degrees; shape (points, 2)."""
    turn = np.radians(degrees)
    x = turn[:, 0] / (2 * np.pi) + 0.5
    y = 0.5 - np.arcsinh(np.tan(turn[:, 1])) / (2 * np.pi)
    return np.column_stack([x, y]) * (EXTENT * 2.0**zoom)


@dataclass(frozen=True, eq=False)
class _Outlines:
    """The rings of all cells, without their closing points.

    Attributes
    ----------
    x, y : float arrays, shape (points,)
        Units of the finest zoom.
    rings, polygons, features : int arrays
        Where the points of a ring, the rings of a polygon, the polygons of a cell begin.
    vertex : int array, shape (points,)
        Number of the place of each point; cells side by side share places.
    is_node : bool array, shape (places,)
        Where borders of several cells meet.
    """

    x: Floats
    y: Floats
    rings: Ints
    polygons: Ints
    features: Ints
    vertex: Ints
    is_node: NDArray[np.bool_]

    @cached_property
    def feature_of_point(self) -> Ints:
        """The cell of each point."""
        begins = self.rings[self.polygons[self.features]]
        return np.repeat(np.arange(len(begins) - 1), np.diff(begins))


def _outlines(grounds: Geometries, zoom: int) -> _Outlines:
    degrees, rings, polygons, features = _rings_of(grounds)
    lattice = np.rint((degrees + np.array([180.0, 90.0])) * 1e7).astype(np.uint64)
    places, vertex = np.unique((lattice[:, 0] << np.uint64(32)) | lattice[:, 1], return_inverse=True)
    x, y = (np.ascontiguousarray(column) for column in world_of(degrees, zoom).T)
    vertex = vertex.reshape(-1).astype(np.int64)
    return _Outlines(x, y, rings, polygons, features, vertex, kernel.nodes_of(vertex, rings, len(places)))


def _commands(of: _Outlines, scale: float, *, is_exact: bool) -> tuple[Bytes, Ints, Ints, Ints]:
    """Commands of all cells at a zoom, its unit being so much of the finest zoom's.

    Borders are simplified from node to node, the same for all who share them; with half the detail where a polygon
    would not be valid, for its neighbours too. What is not valid even so GEOS rounds.
    """
    is_fixed, detail = of.is_node.copy(), DETAIL / scale
    everything = np.ones(len(of.features) - 1, dtype=bool)
    stays = np.ones(len(of.x), dtype=bool) if is_exact else _stays(of, is_fixed, detail, everything)
    for tried in range(1, TRIES + 1):
        rings = np.concatenate([[0], np.cumsum(stays)])[of.rings]
        x, y = of.x[stays] * scale, of.y[stays] * scale
        blob, first, anchor, box, state = kernel.quantise(x, y, rings, of.polygons, of.features, True)
        broken = state == 2
        if is_exact or tried == TRIES or not broken.any():
            break
        added = np.zeros(len(is_fixed), dtype=bool)
        added[of.vertex[_stays(of, of.is_node, detail / 2**tried, broken)]] = True
        is_fixed |= added
        touched = np.zeros(len(everything), dtype=bool)
        touched[of.feature_of_point[added[of.vertex]]] = True
        stays[touched[of.feature_of_point]] = False
        stays |= _stays(of, is_fixed, detail, touched)
    parts, sizes, begin = [], np.diff(first), 0
    for cell in np.flatnonzero(broken).tolist():
        commands, _, anchors, boxes, _ = kernel.quantise(*_mended(x, y, rings, of, cell), False)
        parts += [blob[begin : first[cell]], commands]
        begin = first[cell]
        sizes[cell] += len(commands)
        anchor[cell], box[cell] = anchors[0], boxes[0]
    return np.concatenate([*parts, blob[begin:]]), np.concatenate([[0], np.cumsum(sizes)]), anchor, box


def _stays(of: _Outlines, is_fixed: NDArray[np.bool_], detail: float, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which points of some cells stay; none of the others'."""
    stays = wanted[of.feature_of_point]
    sizes = np.diff(of.rings)
    ring_wanted = wanted[np.repeat(np.arange(len(wanted)), np.diff(of.polygons[of.features]))]
    rings = np.concatenate([[0], np.cumsum(sizes[ring_wanted])])
    stays[stays] = kernel.fewer(of.x[stays], of.y[stays], of.vertex[stays], rings, is_fixed, detail)
    return stays


def _mended(x: Floats, y: Floats, rings: Ints, of: _Outlines, cell: int) -> tuple[Floats, Floats, Ints, Ints, Ints]:
    """A cell with whole corners so that it stays valid; what falls below a unit is gone."""
    made = []
    for polygon in range(of.features[cell], of.features[cell + 1]):
        numbers = range(of.polygons[polygon], of.polygons[polygon + 1])
        parts_of = (slice(rings[ring], rings[ring + 1]) for ring in numbers)
        shell, *holes = (np.column_stack([x[part], y[part]]) for part in parts_of)
        made.append(shapely.Polygon(shell, [hole for hole in holes if len(hole) > 2]) if len(shell) > 2 else None)
    valid = shapely.make_valid([polygon for polygon in made if polygon is not None])
    parts = shapely.get_parts(shapely.set_precision(shapely.union_all(valid), 1.0))
    parts = parts[shapely.get_dimensions(parts) == 2]
    points, *begins = _rings_of(np.array([shapely.multipolygons(shapely.get_parts(parts))], dtype=object))
    across, down = (np.ascontiguousarray(column) for column in points.T)
    return across, down, begins[0], begins[1], begins[2]


def _level(blob: Bytes, first: Ints, anchor: Ints, box: Ints, community: Ints, rank: Ints, told: list[bytes]) -> Level:
    tile_key, tile_first, tile_cells = _by_tile(box, first, rank)
    digests = _digests(told, community, blob, first, anchor)
    return Level(blob, first, anchor, box, tile_key, tile_first, tile_cells, digests)


def _rings_of(ground: Geometries) -> tuple[Floats, Ints, Ints, Ints]:
    """Points without the closing ones, and where rings, polygons and features begin."""
    parts, of = shapely.get_parts(ground, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    kept = np.append(ring[1:] == ring[:-1], False) if len(ring) else np.zeros(0, dtype=bool)
    begins = _begins(ring[kept], len(rings)), _begins(part, len(parts)), _begins(of, len(ground))
    return points[kept], *begins


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
    if field < 16 and len(content) < 128:  # nearly always: both numbers take a byte
        return bytes((field << 3 | 2, len(content))) + content
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
