"""Tiles of the cells in force, made in this process from the arrays of `tiles.cells`; nothing is asked of a database.

What leaves is valid and drawn as the specification of vector tiles 2.1 demands. A cell is in a tile if a part of it
with an area lies in the tile or its margin, as with `ST_AsMVTGeom`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from tiles import kernel
from tiles.cells import Bytes, CellLayer, CellTable, Ints, Level, build, message, varint
from tiles.layers import BUFFER, EXTENT, LAYERS

_NO_INTS = np.zeros(0, dtype=np.int64)
_NO_BYTES = np.zeros(0, dtype=np.uint8)
_NO_FIRST = np.zeros(1, dtype=np.int64)
_SQUARE = shapely.box(-BUFFER, -BUFFER, EXTENT + BUFFER, EXTENT + BUFFER)
_REST = b"\x28" + varint(EXTENT) + b"\x78\x02"  # extent, version 2


def encode(held: CellLayer, z: int, x: int, y: int, seen: NDArray[np.bool_]) -> bytes:
    """One tile of a layer; empty where no cell that is seen lies in it.

    Parameters
    ----------
    held : CellLayer
    z, x, y : int
        A tile of the world.
    seen : bool array, shape (communities,)
        Whether the cells of a community are shown.
    """
    level = held.levels.get(z)
    cells = _NO_INTS if level is None else level.cells_of(x, y)
    if level is None or not len(cells):
        return b""
    columns = held.columns_at(z)
    out, failed, shown = _run(held, level, x, y, seen, cells, columns)
    if len(failed):
        commands = [_mended(level, int(cell), x, y) for cell in failed]
        extra = np.frombuffer(bytearray().join(commands), dtype=np.uint8)
        first = np.cumsum([0, *map(len, commands)], dtype=np.int64)
        out, _, shown = _run(held, level, x, y, seen, cells, columns, (failed, extra, first))
    if not shown:
        return b""
    names = list(held.layer.fields)
    keys = b"".join(message(3, names[column].encode()) for column in columns)
    return message(3, message(1, held.layer.name.encode()) + out.tobytes() + keys + _REST)


def _run(
    held: CellLayer,
    level: Level,
    x: int,
    y: int,
    seen: NDArray[np.bool_],
    cells: Ints,
    columns: list[int],
    extra: tuple[Ints, Bytes, Ints] = (_NO_INTS, _NO_BYTES, _NO_FIRST),
) -> tuple[Bytes, Ints, int]:
    made: tuple[Bytes, Ints, int] = kernel.encode(
        level.blob, level.first, level.anchor, level.box, held.ids, held.community, held.values,
        np.array(columns, dtype=np.int64), held.value_blob, held.value_first, cells, seen,
        x * EXTENT, y * EXTENT, -BUFFER, EXTENT + BUFFER, extra[0], extra[1], extra[2],
    )  # fmt: skip
    return made


def ground_of(level: Level, cell: int, x: int = 0, y: int = 0) -> shapely.MultiPolygon:
    """A cell's ground at a zoom, in units from the corner of a tile."""
    place = level.first[cell], level.first[cell + 1]
    corner = level.anchor[cell, 0] - x * EXTENT, level.anchor[cell, 1] - y * EXTENT
    return polygons(*kernel.points_of(level.blob, *place, *corner))


def polygons(px: Ints, py: Ints, first: Ints) -> shapely.MultiPolygon:
    """Rings as commands draw them, each shell before its holes, put together."""
    rings = [np.column_stack([px[a:b], py[a:b]]) for a, b in pairwise(first.tolist())]
    polygons: list[tuple[NDArray[np.int64], list[NDArray[np.int64]]]] = []
    for ring in rings:
        across, down = ring.T - ring[0][:, None]
        if (across * np.roll(down, -1) - np.roll(across, -1) * down).sum() > 0:
            polygons.append((ring, []))
        else:
            polygons[-1][1].append(ring)
    return shapely.MultiPolygon([shapely.Polygon(shell, holes) for shell, holes in polygons])


def _mended(level: Level, cell: int, x: int, y: int) -> bytes:
    """Commands of what of a cell lies in a tile, by GEOS."""
    ground = ground_of(level, cell, x, y)
    inside = shapely.intersection(ground, _SQUARE, grid_size=1.0)
    parts = shapely.get_parts(inside)
    parts = parts[(shapely.get_dimensions(parts) == 2) & ~shapely.is_empty(parts)]
    out = bytearray()
    px = py = 0
    for part in parts:
        shell, *holes = shapely.get_rings(shapely.orient_polygons(part))  # counter-clockwise: a positive area
        for ring in (shell, *holes):
            points = shapely.get_coordinates(ring)[:-1].astype(np.int64).tolist()
            for place, (across, down) in enumerate(points):
                if place == 0:
                    out += b"\x09"
                elif place == 1:
                    out += varint((len(points) - 1) << 3 | 2)
                out += varint(_zigzag(across - px)) + varint(_zigzag(down - py))
                px, py = across, down
            out += b"\x0f"
    return bytes(out)


def warm() -> None:
    """Compile all that the encoder and its arrays need, or load it from where it was kept; some 15 s the first time."""
    ground = shapely.box([0.0, 0.001], 0.0, [0.001, 0.002], 0.001)
    ids = np.arange(1, 3)
    names = LAYERS["grids"].fields
    table = CellTable(ids, ids, np.ones(2, dtype=np.int64), {name: [None, 1] for name in names}, ground)
    held = build(LAYERS["grids"], table, zooms=[8])
    level = held.levels[8]
    for array in (*vars(held).values(), *(getattr(level, name) for name in level.__dataclass_fields__)):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False  # as they are when they are mapped: the compiler tells these kinds apart
    x, y = level.tiles[0]
    encode(held, 8, x, y, np.ones(2, dtype=bool))
    ground_of(level, 0)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else -2 * value - 1
