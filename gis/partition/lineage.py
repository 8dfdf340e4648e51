"""What two divisions of one place have in common: households by parts, shares old → new, and which cells go on.

The rule is that of the database (`gis.plan_lineage`): a cell goes on where more than half of its households, and more
than half of the new cell's, are the same (of ground where nobody lives), or where its ground and floors are the same,
whoever lives there now. So at most one new cell continues an old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis.division import Division
from gis.geometry import FloatArray, Geometries, IntArray

MAJORITY = 0.5
SAME = 0.999  # share of ground from which on it is the same
NEAR_DEGREES = 1e-5
SPANS = (("unit_from", "unit_to"), ("floor_from", "floor_to"))


@dataclass(frozen=True)
class Shares:
    """What the cells of one tier share, a row a pair of an old and a new cell.

    Attributes
    ----------
    old, new : int arrays, shape (pairs,)
        Positions in the frames of cells.
    old_households, new_households : float arrays, shape (pairs,)
        Households of the old plan that went this way; households now that came this way.
    old_ground, new_ground : float arrays, shape (pairs,)
        Share of the old and of the new cell's ground that they have in common; 0 where both have households.
    old_share, new_share : float arrays, shape (pairs,)
        Share of the old cell that went to the new one, and of the new one that came from the old: of households, or
        of ground where one of them has none. What is missing to 1 was pulled down (old) or is newly built (new).
    is_same_place : bool array, shape (pairs,)
        Whether ground and floors are the same.
    """

    old: IntArray
    new: IntArray
    old_households: FloatArray
    new_households: FloatArray
    old_ground: FloatArray
    new_ground: FloatArray
    old_share: FloatArray
    new_share: FloatArray
    is_same_place: NDArray[np.bool_]

    @property
    def continues(self) -> IntArray:
        """The pairs along which an old cell goes on; at most one a cell, old or new."""
        taken: set[tuple[str, int]] = set()
        chosen = []
        for i in np.lexsort((self.new, self.old, -self.old_share, -self.old_households, ~self.is_same_place)):
            ends = {("old", int(self.old[i])), ("new", int(self.new[i]))}
            goes_on = min(self.old_share[i], self.new_share[i]) > MAJORITY or self.is_same_place[i]
            if goes_on and not ends & taken:
                taken |= ends
                chosen.append(i)
        return np.array(sorted(chosen), dtype=np.int64)


def cell_numbers(division: Division, depth: int) -> IntArray:
    """For each row of the parts the position of its cell in the frame of a tier (0 = top)."""
    lowest = len(division.cells) - 1
    number = _positions(division.cells[lowest]["code"], division.parts["cell"])
    for level in range(lowest, depth, -1):
        number = _positions(division.cells[level - 1]["code"], division.cells[level]["parent"])[number]
    return number


def _positions(codes: pd.Series, wanted: pd.Series) -> IntArray:
    return np.asarray(pd.Index(codes.astype(object)).get_indexer(wanted.astype(object)), dtype=np.int64)


def part_pairs(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Pairs of parts of one building that overlap.

    Parameters
    ----------
    old, new : DataFrame
        As `gis.division.PART_COLUMNS`; the index is of no account.

    Returns
    -------
    DataFrame
        ``old``, ``new`` (positions of the rows), ``old_part``, ``new_part`` (share of the old and of the new part
        that the other covers: of its staircases times of its floors), in the order of the new rows.
    """
    left = pd.DataFrame({"building": new["building"].astype(object).to_numpy(), "new": np.arange(len(new))})
    right = pd.DataFrame({"building": old["building"].astype(object).to_numpy(), "old": np.arange(len(old))})
    pairs = left.merge(right, on="building", how="inner")
    i, j = pairs["old"].to_numpy(), pairs["new"].to_numpy()
    of_old, of_new = np.ones(len(pairs)), np.ones(len(pairs))
    for low, high in SPANS:
        most = pd.concat([old[["building", high]], new[["building", high]]]).groupby("building")[high].max()
        end = pairs["building"].map(most).astype("Float64").fillna(1.0).to_numpy(dtype=float)
        old_from, old_to = _span(old, low, high, i, end)
        new_from, new_to = _span(new, low, high, j, end)
        common = np.maximum(np.minimum(old_to, new_to) - np.maximum(old_from, new_from), 0.0)
        of_old *= common / np.maximum(old_to - old_from, 1e-9)
        of_new *= common / np.maximum(new_to - new_from, 1e-9)
    pairs["old_part"], pairs["new_part"] = np.minimum(of_old, 1.0), np.minimum(of_new, 1.0)
    return pairs[(of_old > 0) & (of_new > 0)].sort_values(["new", "old"], ignore_index=True)


def _span(frame: pd.DataFrame, low: str, high: str, rows: IntArray, end: FloatArray) -> tuple[FloatArray, FloatArray]:
    """From and to of parts on an axis from 0; missing ends are those of the building."""
    start = frame[low].astype("Float64").fillna(1.0).to_numpy(dtype=float)[rows] - 1.0
    stop = frame[high].astype("Float64").to_numpy(dtype=float, na_value=np.nan)[rows]
    return start, np.where(np.isnan(stop), end, stop)


def shares(old: Division, new: Division, old_depth: int, new_depth: int, pairs: pd.DataFrame | None = None) -> Shares:
    """What the cells of a tier of two divisions share.

    Parameters
    ----------
    pairs : DataFrame, optional
        `part_pairs` of both, where they are known already.
    """
    if pairs is None:
        pairs = part_pairs(old.parts, new.parts)
    before, after = old.cells[old_depth], new.cells[new_depth]
    i, j = pairs["old"].to_numpy(), pairs["new"].to_numpy()
    had = old.parts["households"].to_numpy(dtype=float)[i] * pairs["old_part"].to_numpy()
    has = new.parts["households"].to_numpy(dtype=float)[j] * pairs["new_part"].to_numpy()
    # Households of zero on one side (a building emptied or filled since) tie no cells together.
    both = (had > 0) & (has > 0)
    o, n = cell_numbers(old, old_depth)[i[both]], cell_numbers(new, new_depth)[j[both]]
    shared = pd.DataFrame({"old": o, "new": n, "had": had[both], "has": has[both]})
    by = shared[(o >= 0) & (n >= 0)].groupby(["old", "new"], as_index=False).sum()
    return _with_ground(by, before, after)


def _with_ground(by: pd.DataFrame, before: gpd.GeoDataFrame, after: gpd.GeoDataFrame) -> Shares:
    """Add pairs of cells that share ground alone: those of which one has no households, and those of one place."""
    same = _same_places(before, after)
    old_h = before["households"].to_numpy(dtype=float)
    new_h = after["households"].to_numpy(dtype=float)
    empty = _ground_pairs(before, after, np.flatnonzero(old_h == 0), np.flatnonzero(new_h == 0))
    known = set(zip(by["old"].tolist(), by["new"].tolist(), strict=True))
    added = [(o, n, of_old, of_new) for o, n, of_old, of_new in empty if (o, n) not in known]
    known |= {(int(o), int(n)) for o, n, _, _ in added}
    added += [(o, n, 1.0, 1.0) for o, n in sorted(same - known)]
    extra = np.array(added, dtype=float).reshape(-1, 4)
    o = np.concatenate([by["old"].to_numpy(dtype=np.int64), extra[:, 0].astype(np.int64)])
    n = np.concatenate([by["new"].to_numpy(dtype=np.int64), extra[:, 1].astype(np.int64)])
    had = np.concatenate([by["had"].to_numpy(dtype=float), np.zeros(len(extra))])
    has = np.concatenate([by["has"].to_numpy(dtype=float), np.zeros(len(extra))])
    ground_old = np.concatenate([np.zeros(len(by)), extra[:, 2]])
    ground_new = np.concatenate([np.zeros(len(by)), extra[:, 3]])
    both_live = (old_h[o] > 0) & (new_h[n] > 0)
    old_share = np.where(both_live, had / np.maximum(old_h[o], 1.0), ground_old)
    new_share = np.where(both_live, has / np.maximum(new_h[n], 1.0), ground_new)
    order = np.lexsort((n, o))
    return Shares(
        o[order], n[order], had[order], has[order], ground_old[order], ground_new[order],
        np.minimum(old_share, 1.0)[order], np.minimum(new_share, 1.0)[order],
        np.array([(int(i), int(j)) in same for i, j in zip(o[order], n[order], strict=True)], dtype=bool),
    )  # fmt: skip


def _same_places(before: gpd.GeoDataFrame, after: gpd.GeoDataFrame) -> set[tuple[int, int]]:
    """Pairs of an old and a new cell on the same ground and floors."""
    old_ground = np.asarray(before.geometry.to_numpy(), dtype=object)
    new_ground = np.asarray(after.geometry.to_numpy(), dtype=object)
    if not len(old_ground) or not len(new_ground):
        return set()
    middle = (shapely.bounds(new_ground)[:, :2] + shapely.bounds(new_ground)[:, 2:]) / 2
    n, o = shapely.STRtree(shapely.points(middle)).query(
        shapely.points((shapely.bounds(old_ground)[:, :2] + shapely.bounds(old_ground)[:, 2:]) / 2),
        predicate="dwithin", distance=NEAR_DEGREES,
    )[::-1]  # fmt: skip
    floors = [_floors(frame) for frame in (before, after)]
    close = (np.abs(shapely.bounds(old_ground[o]) - shapely.bounds(new_ground[n])) < NEAR_DEGREES).all(axis=1)
    close &= (floors[0][o] == floors[1][n]).all(axis=1)
    o, n = o[close], n[close]
    common = shapely.area(shapely.intersection(old_ground[o], new_ground[n]))
    same = common > SAME * np.maximum(shapely.area(old_ground[o]), shapely.area(new_ground[n]))
    return set(zip(o[same].tolist(), n[same].tolist(), strict=True))


def _floors(cells: gpd.GeoDataFrame) -> FloatArray:
    spans = [cells[c].astype("Float64").fillna(0).to_numpy(dtype=float) for c in ("floor_from", "floor_to")]
    return np.column_stack(spans)


def _ground_pairs(
    before: gpd.GeoDataFrame, after: gpd.GeoDataFrame, old_empty: IntArray, new_empty: IntArray
) -> Iterable[tuple[int, int, float, float]]:
    """Pairs with shared ground of which one is without households: positions, share of the old, of the new."""
    if not len(old_empty) and not len(new_empty):
        return []
    old_ground = np.asarray(before.geometry.to_numpy(), dtype=object)
    new_ground = np.asarray(after.geometry.to_numpy(), dtype=object)
    n, o = shapely.STRtree(old_ground).query(new_ground, predicate="intersects")
    wanted = np.isin(o, old_empty) | np.isin(n, new_empty)
    n, o = n[wanted], o[wanted]
    area = shapely.area(shapely.intersection(old_ground[o], new_ground[n]))
    of_old, of_new = area / shapely.area(old_ground[o]), area / shapely.area(new_ground[n])
    kept = np.maximum(of_old, of_new) > 1e-3
    return zip(o[kept].tolist(), n[kept].tolist(), of_old[kept].tolist(), of_new[kept].tolist(), strict=True)


def grounds(cells: gpd.GeoDataFrame) -> tuple[Geometries, IntArray]:
    """The different polygons of a tier, stacks once, and which of them each cell stands on."""
    geometry = np.asarray(cells.geometry.to_numpy(), dtype=object)
    parent = cells["parent"].astype(object).where(cells["parent"].notna(), "").to_numpy()
    key = [(str(p), w) for p, w in zip(parent, shapely.to_wkb(geometry), strict=True)]
    number: dict[tuple[str, bytes], int] = {}
    of = np.array([number.setdefault(k, len(number)) for k in key], dtype=np.int64)
    first = np.unique(of, return_index=True)[1]
    return geometry[first], of


def apportion(total: int, shares_of_it: Sequence[float]) -> IntArray:
    """Split a whole number by shares: each the whole number below, the rest to the largest remainders.

    What the shares lack to 1 stays undivided.
    """
    exact = np.asarray(shares_of_it, dtype=float) * total
    down = np.floor(exact + 1e-9).astype(np.int64)
    left = round(float(exact.sum())) - int(down.sum())
    order = np.lexsort((np.arange(len(exact)), down - exact))
    down[order[: max(left, 0)]] += 1
    return down
