"""The cells of a plan as an index of points: exact, and most answers without any geometry.

Grounds are polygons in degrees (WGS-84), numbered from 0 in the order of the tie rule: *covers, then the lowest
number*. They need not be a coverage: gaps answer "none", where they overlap the lowest number owns.

How it works. A raster lies over the grounds. In a raster cell without a border every point has the same answer, kept in
two levels (blocks of 8 × 8). A cell with a border keeps its few edges, the grounds beside each, and which grounds cover
its middle; an edge between middle and point turns the answer of its grounds, and the sign of each test is exact
(`gis.responsibility.orientation`), so there is no tolerance and no point without a decision. Published relatives: "true
hit filtering" (A. Kipf et al., Adaptive Main-Memory Indexing for High-Performance Point-Polygon Joins, EDBT 2020) and
S2's shape index (edges clipped to cells, with the containment of each cell's centre).

Distances are metres on a plane that touches the ellipsoid at the point: within 200 m as good as the ellipsoid's to a
tenth of a millimetre.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gis.responsibility import kernel as compiled
from gis.responsibility import raster

NEAR_M = 15.0
"""So near another ground a point is at a border."""
FAR_M = 200.0
"""Beyond this nothing answers for a point in no ground."""
ASK = -2
"""`CellIndex.locate_deep_many`: the neighbourhood has to be asked."""

_BORDER_SHARE = 0.06  # of the raster's cells should hold a border: fewer cost memory, more cost time
_MOST_CELLS = 40_000_000
_LEAST_SIDE_M = 0.5
_ARRAYS = ("frame", "coarse", "fine", "starts", "segment", "slots", "members", "near_starts", "near")
_GOLDEN = 0.6180339887498949

kernel: Any = compiled
"""Numba finds the types of its functions itself; to a type checker they are unknown."""

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]


class CellIndex:
    """Which ground covers a point, and which are near. Read-only; any number of threads may ask at once.

    Attributes
    ----------
    size : int
        Number of grounds.
    arrays : dict of str to ndarray
        What `save` writes.
    """

    def __init__(self, size: int, arrays: dict[str, NDArray[Any]]) -> None:
        self.size = size
        # Plain read-only arrays, whether made here or mapped from a file: compiled code is one for both.
        self.arrays = {name: np.asarray(arrays[name]).view(np.ndarray) for name in _ARRAYS}
        for array in self.arrays.values():
            array.flags.writeable = False
        frame = self.arrays["frame"].tolist()
        self._x0, self._y0, self._width, self._height, self._per_x, self._per_y = frame
        coarse = self.arrays["coarse"]
        self._columns, self._rows = coarse.shape[1] * raster.BLOCK, coarse.shape[0] * raster.BLOCK
        self._block_columns = coarse.shape[1]
        # One element of a memoryview costs a third of one of an array.
        self._coarse: Any = coarse.reshape(-1).data
        self._fine: Any = self.arrays["fine"].reshape(-1).data
        self._geometry = tuple(self.arrays[name] for name in _ARRAYS[3:7])
        self._points = tuple(self.arrays[name] for name in _ARRAYS[:7])
        self._all = tuple(self.arrays[name] for name in _ARRAYS)
        self._local = threading.local()

    # --- making and keeping ---------------------------------------------------------------------------------------

    @classmethod
    def build(cls, grounds: Geometries, *, side_m: float | None = None) -> CellIndex:
        """Make the index of grounds.

        Parameters
        ----------
        grounds : array of Polygon or MultiPolygon, shape (grounds,)
            Degrees; an empty or missing one covers nothing.
        side_m : float, optional
            Side of a raster cell; by default chosen so that one in seventeen holds a border.
        """
        starts, ends = _edges_of(grounds)
        if len(ends) == 0:
            return cls(len(grounds), _empty())
        numbers = np.repeat(np.arange(len(grounds), dtype=np.int32), np.diff(starts))
        edges, sides = raster.unique_edges(ends, numbers)
        del numbers
        for attempt in range(16):
            frame, shape, near, far = _frame(edges, side_m, attempt)
            first = np.zeros(shape, dtype=np.int32)
            more = _filled(starts, ends, frame, first)
            if more is not None and raster.check_frame(edges, frame):
                break
        else:
            raise ArithmeticError("no raster without a corner level with a reference point in sixteen tries")
        del ends  # of a city these are hundreds of megabytes, as are the edges
        borders = _borders_of(edges, sides, frame, first, more)
        del edges, sides
        return cls(len(grounds), _arrays_of(borders, frame, first, more[1], near=near, far=far))

    def save(self, folder: Path) -> None:
        """Write the arrays into an existing folder."""
        for name, array in self.arrays.items():
            np.save(folder / f"{name}.npy", array)
        np.save(folder / "size.npy", np.array(self.size))

    @classmethod
    def load(cls, folder: Path) -> CellIndex:
        """Map what `save` wrote into memory; processes of one machine share it.

        Raises
        ------
        FileNotFoundError
        """
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return cls(int(np.load(folder / "size.npy")), arrays)

    # --- asking ---------------------------------------------------------------------------------------------------

    def locate(self, lon: float, lat: float) -> int:
        """The lowest number of the grounds that cover a point (degrees); -1 if none does."""
        code, column, row = self._code(lon, lat)
        if code >= 0:
            return (code >> 1) - 1
        return self._decide(code, column, row, lon, lat)

    def locate_many(self, lon: ArrayLike, lat: ArrayLike, *, threads: int = 1) -> NDArray[np.int32]:
        """`locate` for many points, in as many threads as are allowed.

        Parameters
        ----------
        lon, lat : array of float, shape (points,)
            Degrees; what is not finite lies in no ground.

        Returns
        -------
        array of int32, shape (points,)
        """
        x, y = _contiguous(lon), _contiguous(lat)
        answer = np.empty(len(x), dtype=np.int32)
        _spread(lambda a, b: kernel.locate_many(x[a:b], y[a:b], *self._points, answer[a:b]), len(x), threads)
        return answer

    def locate_deep_many(self, lon: ArrayLike, lat: ArrayLike, *, threads: int = 1) -> NDArray[np.int32]:
        """As `locate_many` where nothing else is near, else `ASK`.

        Returns
        -------
        array of int32, shape (points,)
            The ground, if no other and no uncovered place is within `NEAR_M`; -1 if nothing is within `FAR_M`; `ASK` if
            only `around` can tell.
        """
        x, y = _contiguous(lon), _contiguous(lat)
        answer = np.empty(len(x), dtype=np.int32)
        _spread(lambda a, b: kernel.locate_deep_many(x[a:b], y[a:b], *self._points[:3], answer[a:b]), len(x), threads)
        return answer

    def around(self, lon: float, lat: float, reach_m: float) -> list[tuple[int, float]]:
        """Grounds within reach of a point with their distance in metres.

        Those that cover the point come first, by number, at 0 m (and only those are at 0 m); then the others by
        distance, then number.
        """
        found, metres = kernel.around_one(float(lon), float(lat), float(reach_m), *self._all)
        return list(zip(found.tolist(), metres.tolist(), strict=True))

    def book(self) -> Any:
        """Where the arrays lie, for `gis.responsibility.kernel.ask`; kept for each thread."""
        book = getattr(self._local, "book", None)
        if book is None:
            book = self._local.book = kernel.Book(self._all)
        return book

    def around_many(
        self, lon: ArrayLike, lat: ArrayLike, reach_m: ArrayLike, *, threads: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """`around` for many points.

        Parameters
        ----------
        lon, lat, reach_m : array of float, shape (points,)

        Returns
        -------
        begins : array of int, shape (points + 1,)
            Where the answers of each point begin.
        grounds : array of int
        metres : array of float
        """
        x, y = _contiguous(lon), _contiguous(lat)
        reach = _contiguous(np.broadcast_to(np.asarray(reach_m, dtype=np.float64), x.shape))
        found = _spread(lambda a, b: kernel.around_many(x[a:b], y[a:b], reach[a:b], *self._all), len(x), threads)
        if len(found) == 1:
            begins, grounds, metres = found[0]
            return begins, grounds, metres
        counts = np.concatenate([np.diff(begins) for begins, _, _ in found])
        begins = np.concatenate([[0], np.cumsum(counts)])
        return begins, np.concatenate([part[1] for part in found]), np.concatenate([part[2] for part in found])

    def warm(self) -> None:
        """Ask each question once, so that no user waits for its code to be loaded or compiled."""
        column, row = self._columns // 2, self._rows // 2
        x, y = self._x0 + column * self._width, self._y0 + row * self._height
        self.locate_many([x], [y])
        self.locate_deep_many([x], [y])
        self.around(x, y, NEAR_M)
        self.around_many([x], [y], [NEAR_M])
        if len(self.arrays["starts"]) > 1:
            self._decide(-1, column, row, x, y)

    def __reduce__(self) -> tuple[Any, ...]:
        return CellIndex, (self.size, self.arrays)

    def _code(self, lon: float, lat: float) -> tuple[int, int, int]:
        u, v = (lon - self._x0) * self._per_x, (lat - self._y0) * self._per_y
        if not (u >= 0.0 and v >= 0.0 and u < self._columns and v < self._rows):
            return 1, 0, 0
        column, row = int(u), int(v)
        code = self._coarse[(row >> 3) * self._block_columns + (column >> 3)]
        if code < 0:
            code = self._fine[(-code - 1) << 6 | (row & 7) << 3 | (column & 7)]
        return code, column, row

    def _decide(self, code: int, column: int, row: int, lon: float, lat: float) -> int:
        rx, ry = self._x0 + (column + 0.5) * self._width, self._y0 + (row + 0.5) * self._height
        return int(kernel.first_in(-code - 1, rx, ry, float(lon), float(lat), *self._geometry))


def warm() -> None:
    """Compile all that an index needs, once a machine; later processes load it."""
    CellIndex.build(shapely.box([0.0, 0.001], 0.0, [0.001, 0.002], 0.001)).warm()


def _contiguous(values: ArrayLike) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _spread(work: Callable[[int, int], Any], count: int, threads: int) -> list[Any]:
    """Do a piece of work for ranges of points, in threads; the compiled code lets others run meanwhile."""
    pieces = max(1, min(threads, count // (4 * kernel.CHUNK)))
    if pieces == 1:
        return [work(0, count)]
    bounds = np.linspace(0, count, 4 * pieces + 1).astype(int).tolist()
    with ThreadPoolExecutor(pieces) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))


def _edges_of(grounds: Geometries) -> tuple[NDArray[np.int64], Floats]:
    """Where each ground's edges begin, and the edges: x1, y1, x2, y2 with the lesser end first."""
    parts, of_part = shapely.get_parts(grounds, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    of_ground = of_part[ring_part]
    at, of_ring = shapely.get_coordinates(rings, return_index=True)
    del parts, rings  # copies, as large as the grounds
    ends, ground = raster.edges_between(at, of_ring, of_ground)
    return np.asarray(np.searchsorted(ground, np.arange(len(grounds) + 1)), dtype=np.int64), ends


def _frame(edges: Floats, side_m: float | None, attempt: int) -> tuple[Floats, tuple[int, int], int, int]:
    """The raster: its frame, its shape, and the cells that `NEAR_M` and `FAR_M` reach over."""
    west, east = float(edges[:, 0].min()), float(edges[:, 2].max())
    south, north = float(edges[:, [1, 3]].min()), float(edges[:, [1, 3]].max())
    mx, my = kernel.metres_per_degree((south + north) / 2)
    across_m, up_m = (east - west) * mx + 2 * FAR_M, (north - south) * my + 2 * FAR_M
    if side_m is None:
        length_m = float(np.hypot((edges[:, 2] - edges[:, 0]) * mx, (edges[:, 3] - edges[:, 1]) * my).sum())
        side_m = _BORDER_SHARE * math.pi / 4 * across_m * up_m / max(length_m, 1.0)
    side_m = max(min(side_m, NEAR_M), math.sqrt(across_m * up_m / _MOST_CELLS), _LEAST_SIDE_M)
    columns, rows = (math.ceil(m / side_m) + 3 for m in (across_m, up_m))
    columns, rows = (n + -n % raster.BLOCK for n in (columns, rows))
    width, height = side_m / mx, side_m / my
    shift = (attempt + 1) * _GOLDEN % 1.0
    frame = np.array([west - FAR_M / mx - shift * width, south - FAR_M / my - shift * height, width, height, 0, 0])
    frame[4:] = 1.0 / frame[2:4]
    # A degree of longitude is longest nearest the equator: what is near there reaches furthest.
    narrow = (
        1.0
        if south * north <= 0
        else float(min(np.cos(np.radians([south, north])))) / math.cos(math.radians((south + north) / 2))
    )
    near, far = (math.ceil(m / (side_m * min(narrow, 1.0))) + 1 for m in (NEAR_M, FAR_M))
    return frame, (rows, columns), near, far


def _filled(
    starts: NDArray[np.int64], ends: Floats, frame: Floats, first: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Fill ``first``; what more than one ground covers, sorted; ``None`` if a reference point lies on an edge."""
    room = 1 << 16
    while True:
        cells, grounds = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        count = raster.fill(starts, ends, frame, first, cells, grounds)
        if count < 0:
            return None
        if count <= room:
            order = np.lexsort((grounds[:count], cells[:count]))
            return cells[:count][order], grounds[:count][order]
        room = count
        first[:] = 0


@dataclass
class _Borders:
    """The border cells: their starts, and by edge the ends and the grounds; what covers the reference points."""

    starts: NDArray[np.int32]
    segment: Floats
    grounds: NDArray[np.int32]
    inner: NDArray[np.int32]
    more: NDArray[np.int64]


def _borders_of(
    edges: Floats,
    sides: NDArray[np.int32],
    frame: Floats,
    first: NDArray[np.int32],
    more: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> _Borders:
    """Number the border cells, in ``first`` too, and put the edges into them."""
    count = np.zeros(first.shape, dtype=np.uint16)
    raster.count_edges(edges, frame, count)
    borders = raster.number_borders(count, first, more[0], np.empty((0, 2), dtype=np.int32))
    starts = np.empty((borders + 1, 2), dtype=np.int32)
    covered = first.copy()
    raster.number_borders(count, first, more[0], starts)
    inner = covered[first < 0]
    numbers = -first.reshape(-1)[more[0]].astype(np.int64) - 1
    del count, covered
    segment = np.empty((starts[-1, 0], 4))
    grounds = np.empty((starts[-1, 0], 2), dtype=np.int32)
    raster.scatter_edges(edges, sides, frame, first, starts[:-1, 0].copy(), segment, grounds)
    return _Borders(starts, segment, grounds, inner, numbers)


def _arrays_of(
    borders: _Borders,
    frame: Floats,
    first: NDArray[np.int32],
    more_grounds: NDArray[np.int64],
    *,
    near: int,
    far: int,
) -> dict[str, NDArray[Any]]:
    slots = np.empty(borders.grounds.shape, dtype=np.uint16)
    given = (borders.starts, borders.grounds, borders.inner, borders.more, more_grounds)
    raster.list_grounds(*given, np.empty(0, dtype=np.int32), slots)
    members = np.empty(borders.starts[-1, 1], dtype=np.int32)
    raster.list_grounds(*given, members, slots)
    raster.mark_deep(first, near, far)
    coarse, fine = raster.blocks_of(first)
    near_starts = np.empty(len(fine) + 1, dtype=np.int32)
    of_blocks = (first, coarse, borders.starts, borders.segment, borders.grounds, near_starts)
    raster.edges_of_blocks(*of_blocks, np.empty((0, 3), dtype=np.int32))
    edges_near = np.empty((near_starts[-1], 3), dtype=np.int32)
    raster.edges_of_blocks(*of_blocks, edges_near)
    return {
        "frame": frame,
        "coarse": coarse,
        "fine": fine,
        "starts": borders.starts,
        "segment": borders.segment,
        "slots": slots,
        "members": members,
        "near_starts": near_starts,
        "near": edges_near,
    }


def _empty() -> dict[str, NDArray[Any]]:
    """Arrays of an index that covers nothing."""
    frame = np.array([0.0, 0.0, 1e-9, 1e-9, 1e9, 1e9])
    return {
        "frame": frame,
        "coarse": np.ones((1, 1), dtype=np.int32),
        "fine": np.zeros((0, 64), dtype=np.int32),
        "starts": np.zeros((1, 2), dtype=np.int32),
        "segment": np.zeros((0, 4)),
        "slots": np.zeros((0, 2), dtype=np.uint16),
        "members": np.zeros(0, dtype=np.int32),
        "near_starts": np.zeros(1, dtype=np.int32),
        "near": np.zeros((0, 3), dtype=np.int32),
    }
