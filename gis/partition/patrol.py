"""Street metres on patrol: how often the same street is walked, before networks are merged and after.

The streets (arterial, secondary, minor) on the communities' ground are cut into pieces of at most `PIECE_M`. A cell
has a piece on its round where the middle of the piece lies in the cell or within `BESIDE_M` of it: a street along the
border is on the rounds of both sides. With *c(n, s)* the number of cells of network *n* that have piece *s* of length
*l(s)* on their round:

- walked by a network, each cell's round once:        W(n) = Σ_s l(s) c(n, s)
- reached by a network:                               R(n) = Σ_s l(s) [c(n, s) > 0]
- walked before:                                      W    = Σ_n W(n)
- walked by more than one network (duplicate):        D    = Σ_s l(s) max(|{n : c(n, s) > 0}| - 1, 0)
- walked after, by one officer of each new grid:      A    = Σ_s l(s) c(grids, s)
- saving:                                             W - A, of W

A saving below D says that the new grids are smaller than the old cells, so that more streets lie on a border.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from gis.geometry import FloatArray, Geometries, IntArray

PIECE_M = 5.0
BESIDE_M = 5.0


@dataclass(frozen=True)
class Patrol:
    """Street metres on patrol.

    Attributes
    ----------
    street_m : float
        Streets on the communities' ground, each once.
    walked_m, reached_m : mapping of network to float
        By one round of every cell; and streets that lie on at least one round.
    duplicate_m : float
        Metres walked by a second, third … network.
    unreached_m : float
        Streets on no round of any network.
    after_m, after_unreached_m : float or None
        The same after merging; ``None`` while nothing is merged.
    """

    street_m: float
    walked_m: Mapping[str, float]
    reached_m: Mapping[str, float]
    duplicate_m: float
    unreached_m: float
    after_m: float | None = None
    after_unreached_m: float | None = None

    @property
    def before_m(self) -> float:
        """Metres walked by all networks."""
        return float(sum(self.walked_m.values()))

    @property
    def saving_m(self) -> float | None:
        """Metres that need not be walked any more."""
        return None if self.after_m is None else self.before_m - self.after_m

    @property
    def saving_ratio(self) -> float | None:
        """Saving as a share of what was walked before."""
        return None if self.saving_m is None or not self.before_m else self.saving_m / self.before_m


@dataclass(frozen=True)
class Pieces:
    """Short straight pieces of lines: their middles, shape (pieces, 2), and lengths."""

    start: FloatArray
    end: FloatArray

    @property
    def length_m(self) -> FloatArray:
        """Metres of each piece."""
        return np.asarray(np.hypot(*(self.end - self.start).T))

    @property
    def middle(self) -> Geometries:
        """Points half-way."""
        return np.asarray(shapely.points((self.start + self.end) / 2), dtype=object)

    def near(self, other: Pieces, distance_m: float) -> NDArray[np.bool_]:
        """Which pieces have their middle near a piece of others."""
        found = np.zeros(len(self.start), dtype=bool)
        if len(other.start) and len(self.start):
            lines = shapely.linestrings(np.stack([other.start, other.end], axis=1))
            found[shapely.STRtree(lines).query(self.middle, predicate="dwithin", distance=distance_m)[0]] = True
        return found

    def cells_near(self, cells: Geometries, distance_m: float) -> IntArray:
        """How many cells each piece lies in or beside."""
        if not len(cells) or not len(self.start):
            return np.zeros(len(self.start), dtype=np.int64)
        piece, _ = shapely.STRtree(cells).query(self.middle, predicate="dwithin", distance=distance_m)
        return np.bincount(piece, minlength=len(self.start)).astype(np.int64)


def straight_pieces(lines: shapely.Geometry, longest_m: float) -> Pieces:
    """Cut lines (metres) into straight pieces no longer than so much; points and areas are left out."""
    parts = shapely.get_parts(shapely.get_parts(lines))
    parts = parts[shapely.get_dimensions(parts) == 1]
    points, line = shapely.get_coordinates(shapely.segmentize(parts, longest_m), return_index=True)
    follows = np.flatnonzero(line[:-1] == line[1:])
    return Pieces(points[follows], points[follows + 1])


def patrol_of(streets_m: Geometries, ground: shapely.Geometry, networks: Mapping[str, Geometries]) -> Patrol:
    """Measure the rounds of networks; lines and polygons in metres."""
    pieces = _on_ground(streets_m, ground)
    length = pieces.length_m
    counts = {code: pieces.cells_near(cells, BESIDE_M) for code, cells in networks.items()}
    by = np.sum([count > 0 for count in counts.values()], axis=0) if counts else np.zeros(len(length))
    return Patrol(
        float(length.sum()),
        {code: float((length * count).sum()) for code, count in counts.items()},
        {code: float(length[count > 0].sum()) for code, count in counts.items()},
        float((length * np.maximum(by - 1, 0)).sum()),
        float(length[by == 0].sum()),
    )


def after_merging(before: Patrol, streets_m: Geometries, ground: shapely.Geometry, grids: Geometries) -> Patrol:
    """The same with the rounds of the new grids."""
    pieces = _on_ground(streets_m, ground)
    count = pieces.cells_near(grids, BESIDE_M)
    length = pieces.length_m
    return replace(before, after_m=float((length * count).sum()), after_unreached_m=float(length[count == 0].sum()))


def _on_ground(streets_m: Geometries, ground: shapely.Geometry) -> Pieces:
    # A little beyond the ground, so that a street along its edge is not lost to rounding.
    once = shapely.union_all(streets_m) if len(streets_m) else shapely.GeometryCollection()
    return straight_pieces(shapely.intersection(once, shapely.buffer(ground, 0.5, quad_segs=2)), PIECE_M)
