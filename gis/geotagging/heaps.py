"""Rows that lie on one default point: coordinates that far too many rows have in common.

Geocoders and call centres that know no better put a record on the city's centre or on their own door. A point shared
by at least `LEAST` rows and by at least a given share of all rows counts as such, and 0/0 always. Counted in two tables
of fixed size, whatever the number of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gis.geotagging.chunk import FloatArray

LEAST = 100
RATIO = 0.01
_BITS = 20
_CLOSE = 0.5  # of what is needed: from then on a point is counted by itself
_TURN = np.uint64(0x9E3779B97F4A7C15)


def _slots(xy: FloatArray) -> NDArray[np.int64]:
    """A slot out of 2^20 for each point, by its bits."""
    bits = np.ascontiguousarray(xy + 0.0).view(np.uint64)  # + 0.0: of the two zeros one
    mixed = (bits[:, 0] * _TURN) ^ ((bits[:, 1] ^ (bits[:, 0] >> np.uint64(29))) * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed ^= mixed >> np.uint64(32)
    return ((mixed * _TURN) >> np.uint64(64 - _BITS)).astype(np.int64)


@dataclass
class HeapCount:
    """Counts points, block by block."""

    ratio: float = RATIO
    least: int = LEAST
    rows: int = 0
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1 << _BITS, dtype=np.int64), repr=False)
    _points: Counter[tuple[float, float]] = field(default_factory=Counter, repr=False)

    def add(self, xy: FloatArray, rows: int) -> None:
        """Count the points of a block that has so many rows, with coordinates or without."""
        self.rows += rows
        if not len(xy) or self.ratio <= 0:
            return
        slots = _slots(xy)
        self._counts += np.bincount(slots, minlength=1 << _BITS)
        many = self._counts[slots] >= _CLOSE * max(self.least, self.ratio * self.rows)
        if many.any():
            points, counts = np.unique(xy[many] + 0.0, axis=0, return_counts=True)
            common = counts > 1
            for (x, y), count in zip(points[common].tolist(), counts[common].tolist(), strict=True):
                self._points[x, y] += count

    def found(self) -> Heaps:
        """The points that are heaps, with their rows.

        Notes
        -----
        A point's rows are those of its slot, so that what came before it was noticed counts too; the slot of a heap
        holds next to nothing else (a millionth of the other rows).
        """
        needed = max(self.least, self.ratio * self.rows)
        counted: dict[tuple[float, float], int] = {}
        for point, seen in self._points.items():
            total = int(self._counts[_slots(np.array([point]))[0]])
            if self.ratio > 0 and total >= needed and 2 * seen >= (1 - _CLOSE) * total:
                counted[point] = total
        return Heaps(counted)


@dataclass(frozen=True)
class Heaps:
    """Default points of a file, as given there, with the rows on each."""

    points: dict[tuple[float, float], int]

    def holds(self, xy: FloatArray) -> NDArray[np.bool_]:
        """Which points lie on a default point."""
        found: NDArray[np.bool_] = (xy == 0.0).all(axis=1)
        for x, y in self.points:
            found |= (xy[:, 0] == x) & (xy[:, 1] == y)
        return found
