"""Chunks of rows tagged: where each lies, in which cell, and if in none, why.

The same rule as everywhere: *covers, then the lowest id*. ``inside``; ``border`` if another cell is within 15 m;
``nearest`` if no cell covers the place and one is within 200 m; else ``none``, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gis import crs as systems
from gis.crs import Crs
from gis.geotagging.cells import Cells
from gis.geotagging.chunk import Chunk, FloatArray
from gis.geotagging.heaps import Heaps
from gis.geotagging.words import (
    BAD,
    BORDER,
    DEFAULT_POINT,
    HINTS,
    HOW,
    INSIDE,
    NEAREST,
    NEEDS_FLOOR,
    NO_COORDINATES,
    NO_PLAN,
    NONE,
    OUTSIDE,
    REASONS,
    SWAPPED,
    UNKNOWN_ADDRESS,
    UNREADABLE,
)
from gis.responsibility.cell_index import ASK, FAR_M, NEAR_M

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Found:
    """Where an address is, as `gis.geotag` knows it: a lowest cell by id, or none and why."""

    leaf: int | None
    lon: float | None
    lat: float | None
    reason: int = 0
    hint: int = 0


Resolve = Callable[[Sequence[str]], Sequence[Found]]


@dataclass(frozen=True)
class Tags:
    """The answers for a chunk, one a row.

    Attributes
    ----------
    how, reason, hint : uint8 array
        Numbers of `words.HOW`, `words.REASONS`, `words.HINTS`.
    row : int array
        The cell's row in `Cells.words`; -1 none.
    beside : int array
        The ground on the other side of the border; -1 none.
    distance_m : float array
        To the cell, 0 inside it; NaN without one.
    xy_wgs84 : float array, shape (rows, 2)
        As understood; NaN where nothing was.
    """

    how: Bytes
    reason: Bytes
    hint: Bytes
    row: Ints
    beside: Ints
    distance_m: FloatArray
    xy_wgs84: FloatArray


@dataclass
class Counts:
    """How many rows there were of each kind."""

    rows: int = 0
    how: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    hints: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Take in the rows of another chunk."""
        self.rows += other.rows
        self.how += other.how
        self.reasons += other.reasons
        self.hints += other.hints


def count(tags: Tags) -> Counts:
    """Count the answers of a chunk."""

    def of(values: Bytes, names: Sequence[str]) -> Counter[str]:
        counts = np.bincount(values, minlength=len(names)).tolist()
        return Counter({name: n for name, n in zip(names, counts, strict=True) if name and n})

    return Counts(len(tags.how), of(tags.how, HOW), of(tags.reason, REASONS), of(tags.hint, HINTS))


@dataclass(frozen=True)
class Tagger:
    """Tags chunks of one file.

    Attributes
    ----------
    crs : Crs
        Of the coordinates, as the file or the caller states it.
    heaps : Heaps
        Its default points.
    """

    cells: Cells
    crs: Crs
    heaps: Heaps

    def tag(self, chunk: Chunk, resolve: Resolve | None = None) -> Tags:
        """The answers for a chunk.

        Parameters
        ----------
        resolve : callable, optional
            Finds addresses, for rows without coordinates.
        """
        size = len(chunk)
        tags = Tags(
            how=np.full(size, NONE, dtype=np.uint8),
            reason=chunk.state.copy(),
            hint=np.zeros(size, dtype=np.uint8),
            row=np.full(size, -1, dtype=np.int64),
            beside=np.full(size, -1, dtype=np.int64),
            distance_m=np.full(size, np.nan),
            xy_wgs84=np.full((size, 2), np.nan),
        )
        given = chunk.state == 0
        at = np.arange(size) if given.all() else np.flatnonzero(given)
        at = self._understood(at, chunk.xy, tags)
        self._placed(at, tags)
        if resolve is not None and chunk.addresses is not None:
            self._addressed(chunk.addresses, resolve, tags)
        return tags

    def _understood(self, at: Ints, given: FloatArray, tags: Tags) -> Ints:
        """The rows whose coordinates can be used, in WGS-84 to 7 decimals; the others get their reason."""
        heaped = self.heaps.holds(given[at])
        tags.reason[at[heaped]] = DEFAULT_POINT
        at = at[~heaped]
        xy = given[at]
        # What no system reaches is taken out first, so that no formula meets it.
        sound = np.isfinite(xy).all(axis=1)
        if self.crs.is_geographic:
            sound &= (np.abs(xy[:, 0]) <= 180) & (np.abs(xy[:, 1]) <= 90)
        self._bad(at[~sound], xy[~sound], tags)
        at, xy = at[sound], xy[sound]
        turned = systems.points_to_wgs84(xy, self.crs) if len(at) else xy
        sound = np.isfinite(turned).all(axis=1) & (np.abs(turned[:, 0]) <= 180) & (np.abs(turned[:, 1]) <= 90)
        self._bad(at[~sound], xy[~sound], tags)
        at = at[sound]
        tags.xy_wgs84[at] = turned[sound] if self.crs.is_wgs84 else turned[sound].round(7)
        return at

    def _bad(self, at: Ints, xy: FloatArray, tags: Tags) -> None:
        tags.reason[at] = BAD
        if self.crs.is_geographic:
            with np.errstate(invalid="ignore"):
                tags.hint[at[(np.abs(xy[:, 0]) <= 90) & (np.abs(xy[:, 1]) <= 180)]] = SWAPPED

    def _placed(self, at: Ints, tags: Tags) -> None:
        """Most rows lie deep in a cell and are answered at once; the others' neighbourhood is asked."""
        lon, lat = tags.xy_wgs84[at].T
        deep = self.cells.index.locate_deep_many(lon, lat)
        hidden = deep >= 0
        hidden[hidden] = ~self.cells.shown[deep[hidden]]
        inside = (deep >= 0) & ~hidden
        tags.how[at[inside]], tags.row[at[inside]], tags.distance_m[at[inside]] = INSIDE, deep[inside], 0.0
        asked = at[(deep == ASK) | hidden]
        missed = self._near(asked, tags, NEAR_M, nearest=False)
        missed = self._near(missed, tags, FAR_M, nearest=True)
        self._lost(np.concatenate([at[deep == -1], missed]), tags)
        stacked = np.flatnonzero(tags.row >= 0)
        stacked = stacked[self.cells.is_stack[tags.row[stacked]]]
        tags.hint[stacked] = NEEDS_FLOOR

    def _near(self, at: Ints, tags: Tags, reach_m: float, *, nearest: bool) -> Ints:
        """Answer rows by the grounds around them; gives those that are still without."""
        if not len(at):
            return at
        lon, lat = tags.xy_wgs84[at].T
        begins, grounds, metres = self.cells.index.around_many(lon, lat, np.full(len(at), reach_m))
        of = np.repeat(np.arange(len(at)), np.diff(begins))
        seen = self.cells.shown[grounds]
        of, grounds, metres = of[seen], grounds[seen], metres[seen]
        first = np.searchsorted(of, np.arange(len(at) + 1))
        begin, found = first[:-1], first[1:] > first[:-1]
        if not nearest:
            found[found] = metres[begin[found]] == 0.0
        rows, begin = at[found], begin[found]
        others = first[1:][found] - begin > 1
        tags.row[rows], tags.distance_m[rows] = grounds[begin], metres[begin]
        tags.how[rows] = NEAREST if nearest else np.where(others, BORDER, INSIDE)
        if nearest:
            others[others] = metres[begin[others] + 1] - metres[begin[others]] < NEAR_M
        tags.beside[rows[others]] = grounds[begin[others] + 1]
        return at[~found]

    def _lost(self, at: Ints, tags: Tags) -> None:
        lon, lat = tags.xy_wgs84[at].T
        tags.reason[at] = np.where(self._in_community(lon, lat), NO_PLAN, OUTSIDE)
        swapped = self._in_community(lat, lon)
        tags.hint[at[swapped]] = SWAPPED

    def _in_community(self, lon: FloatArray, lat: FloatArray) -> NDArray[np.bool_]:
        outline = self.cells.outlines.locate_many(lon, lat)
        inside = outline >= 0
        inside[inside] = self.cells.shown_outlines[outline[inside]]
        return np.asarray(inside)

    def _addressed(self, addresses: Sequence[str | None], resolve: Resolve, tags: Tags) -> None:
        unplaced = np.isin(tags.reason, (NO_COORDINATES, UNREADABLE, BAD, DEFAULT_POINT))
        lost = [n for n in np.flatnonzero(unplaced).tolist() if addresses[n]]
        for n, found in zip(lost, resolve([addresses[n] or "" for n in lost]), strict=True):
            tags.hint[n] = found.hint
            if found.lon is not None:
                tags.xy_wgs84[n] = found.lon, found.lat
            row = None if found.leaf is None else self.cells.leaf_rows.get(found.leaf)
            if row is None:
                if tags.reason[n] == NO_COORDINATES:
                    tags.reason[n] = found.reason or UNKNOWN_ADDRESS
            else:
                tags.how[n], tags.row[n], tags.distance_m[n], tags.reason[n] = INSIDE, row, 0.0, 0
