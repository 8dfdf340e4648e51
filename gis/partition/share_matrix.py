"""From old cells to new grids: which share of each went where, so that staff, cases and statistics can be carried over.

A row of the matrix is an old cell, a column a new grid; beside the grids there is *outside* (ground in no community),
and beside the old cells of a network *in none* (a gap of that network). Shares are of households; of ground where
nobody lives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.division import Division
from gis.geometry import FloatArray, Geometries, IntArray, as_polygons, sums
from gis.partition.networks import Network, Sheet
from gis.rule_set import RuleSet

HUNDRED = 10_000  # hundredths of a percent
SLIVER_M2 = 10.0
SLIVER_RATIO = 0.001  # of the smaller of the two; two drawings of one line share so little along it

COLUMNS = (
    "network", "old", "new", "households", "area_m2", "old_ratio", "old_hundredths", "old_area_hundredths",
    "new_ratio", "new_hundredths", "responsible",
)  # fmt: skip


def grid_depth(rules: RuleSet) -> int:
    """Position of the tier that old cells are compared with: the first grids that are cut by a band."""
    tiers = rules.grid_tiers
    banded = [i for i, tier in enumerate(tiers) if tier.kind == "grid" and tier.cell_of == "band"]
    return banded[0] if banded else max(i for i, tier in enumerate(tiers) if tier.kind == "grid")


def hundredths(values: FloatArray) -> IntArray:
    """Shares in hundredths of a percent that add up to exactly 100 % (largest remainders; ties to the first).

    Examples
    --------
    >>> hundredths(np.array([1.0, 1.0, 1.0])).tolist()
    [3334, 3333, 3333]
    """
    return apportioned(HUNDRED, values)


def apportioned(total: int, values: FloatArray) -> IntArray:
    """Split a whole number in proportion to values; all to the first where all are 0."""
    whole = float(values.sum())
    exact = values * (total / whole) if whole > 0 else np.where(np.arange(len(values)) == 0, float(total), 0.0)
    result = np.floor(exact + 1e-9).astype(np.int64)
    order = np.lexsort((np.arange(len(values)), -(exact - result)))
    result[order[: total - int(result.sum())]] += 1
    return result


def share_matrix(sheet: Sheet, division: Division) -> pd.DataFrame:
    """Compare the cells of all networks with the grids of a division.

    Returns
    -------
    DataFrame
        One row a pair of an old cell and a new grid that share anything, `COLUMNS`. ``new`` is missing for the ground
        outside all communities, ``old`` for what lies in no cell of the network. ``old_ratio`` is the share of the old
        cell that went to the new grid, ``old_hundredths`` the same in hundredths of a percent, adding up to exactly
        10,000 over each old cell; ``old_area_hundredths`` likewise by ground. ``new_ratio`` and ``new_hundredths``
        are the shares of the new grid, adding up over the old cells of each network and its gaps.

    Notes
    -----
    A building lies in the old cells that hold a point on its footprint. Households in several cells of one network
    count in full for each of these cells, and in even parts for the new grid; overlapped ground likewise in
    proportion.
    """
    depth = grid_depth(division.rules)
    grids = division.cells[depth]
    codes = [str(code) for code in grids["code"]]
    shapes = np.asarray(shapely.transform(grids.geometry.to_numpy(), lambda xy: crs.points_to_metric(xy, sheet.zone)))
    shapes = np.where(shapely.is_valid(shapes), shapes, as_polygons(shapes))
    living = _living(sheet, division, depth, codes)
    frames = [
        _of_network(network, cells, sheet, shapes, codes, living)
        for network, cells in zip(sheet.networks, sheet.cells, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def _living(sheet: Sheet, division: Division, depth: int, codes: list[str]) -> pd.DataFrame:
    """Households by building and grid, both by number."""
    cell = division.parts["cell"].astype(str)
    for cells in reversed(division.cells[depth + 1 :]):
        cell = cell.map(dict(zip(cells["code"].astype(str), cells["parent"].astype(str), strict=True)))
    building = {code: i for i, code in enumerate(sheet.buildings)}
    grid = {code: i for i, code in enumerate(codes)}
    parts = pd.DataFrame(
        {"building": division.parts["building"].map(building), "grid": cell.map(grid),
         "households": division.parts["households"]}
    )  # fmt: skip
    parts = parts[parts["households"] > 0].dropna()
    return parts.groupby(["building", "grid"], as_index=False, sort=True)["households"].sum().astype("int64")


def _of_network(
    network: Network, cells: Geometries, sheet: Sheet, grids: Geometries, codes: list[str], living: pd.DataFrame
) -> pd.DataFrame:
    building, cell = sheet.holds(cells)
    times = np.bincount(building, minlength=len(sheet.buildings))
    held = pd.DataFrame({"building": building, "cell": cell, "part": 1.0 / np.maximum(times[building], 1)})
    nobody = np.flatnonzero(times == 0)
    held = pd.concat([held, pd.DataFrame({"building": nobody, "cell": -1, "part": 1.0})], ignore_index=True)
    lived = living.merge(held, on="building", how="inner")
    lived["fair"] = lived["households"] * lived["part"]
    people = lived.groupby(["cell", "grid"], as_index=False)[["households", "fair"]].sum()
    rows = _ground(cells, grids).merge(people, on=["cell", "grid"], how="outer").fillna(0.0)
    rows = rows[(rows["households"] > 0) | (rows["area_m2"] > _least_ground(rows, cells, grids))]
    rows = _missing_cells(rows, len(cells)).sort_values(["cell", "grid"], kind="stable", ignore_index=True)
    rows["grid"] = rows["grid"].astype(np.int64)
    rows = _old_shares(rows)
    rows = _new_shares(rows)
    responsible = network.cells["responsible"].tolist()
    old, new = rows["cell"].to_numpy(dtype=int), rows["grid"].to_numpy(dtype=int)
    names = network.codes
    made = rows.assign(
        network=network.code,
        old=pd.array([names[i] if i >= 0 else None for i in old], dtype="string"),
        new=pd.array([codes[i] if i >= 0 else None for i in new], dtype="string"),
        responsible=pd.array([responsible[i] if i >= 0 else None for i in old], dtype="string"),
        households=rows["households"].round().astype("int64"),
    )
    return made[list(COLUMNS)]


def _least_ground(rows: pd.DataFrame, cells: Geometries, grids: Geometries) -> FloatArray:
    """Common ground that is more than the same line drawn twice."""
    old = np.append(shapely.area(cells), np.inf)[rows["cell"].to_numpy(dtype=int)]
    new = np.append(shapely.area(grids), np.inf)[rows["grid"].to_numpy(dtype=int)]
    return np.asarray(np.maximum(SLIVER_RATIO * np.minimum(old, new), SLIVER_M2))


def _missing_cells(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """A cell with no ground worth the name anywhere still has its row: all of it is outside."""
    lost = sorted(set(range(count)) - set(rows["cell"].astype(int)))
    more = pd.DataFrame({"cell": lost, "grid": -1, "area_m2": 0.0, "fair_m2": 0.0, "households": 0.0, "fair": 0.0})
    return pd.concat([rows, more], ignore_index=True) if lost else rows


def _ground(cells: Geometries, grids: Geometries) -> pd.DataFrame:
    """Common ground of cells and grids; grid -1 is outside all, cell -1 in none."""
    cell, grid = shapely.STRtree(grids).query(cells, predicate="intersects")
    area = shapely.area(shapely.intersection(cells[cell], grids[grid]))
    outside = np.maximum(shapely.area(cells) - sums(cell, area, len(cells)), 0.0)
    union = shapely.union_all(cells)
    reached = shapely.area(shapely.intersection(grids, union))
    twice = sums(grid, area, len(grids))
    free = np.maximum(shapely.area(grids) - reached, 0.0)
    fair = area * (reached / np.maximum(twice, 1e-9))[grid]
    here, there = np.arange(len(cells)), np.arange(len(grids))
    return pd.DataFrame(
        {
            "cell": np.concatenate([cell, here, np.full(len(grids), -1)]),
            "grid": np.concatenate([grid, np.full(len(cells), -1), there]),
            "area_m2": np.concatenate([area, outside, free]),
            "fair_m2": np.concatenate([fair, outside, free]),
        }
    )


def _old_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares over each old cell; what lies in none has no such share."""
    ratio, whole, ground = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for cell, at in rows.groupby("cell").indices.items():
        if cell < 0:
            continue
        area = rows["area_m2"].to_numpy()[at]
        lived = rows["households"].to_numpy(dtype=float)[at]
        values = lived if lived.sum() > 0 else area
        ratio[at] = values / values.sum() if values.sum() > 0 else hundredths(values) / HUNDRED
        whole[at], ground[at] = hundredths(values), hundredths(area)
    none = rows["cell"].to_numpy() < 0
    return rows.assign(
        old_ratio=ratio,
        old_hundredths=pd.array(np.where(none, 0, whole), dtype="Int64"),
        old_area_hundredths=pd.array(np.where(none, 0, ground), dtype="Int64"),
    ).pipe(lambda f: f.assign(**{c: f[c].mask(none) for c in ("old_hundredths", "old_area_hundredths")}))


def _new_shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares over each new grid; what lies outside has none."""
    ratio, whole = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64)
    for grid, at in rows.groupby("grid").indices.items():
        if grid < 0:
            continue
        lived = rows["fair"].to_numpy(dtype=float)[at]
        values = lived if lived.sum() > 0 else rows["fair_m2"].to_numpy()[at]
        ratio[at] = values / max(values.sum(), 1e-9)
        whole[at] = hundredths(values)
    return rows.assign(new_ratio=ratio, new_hundredths=pd.array(whole, dtype="Int64")).pipe(
        lambda f: f.assign(new_hundredths=f["new_hundredths"].mask(f["grid"] < 0))
    )


def carry_over(shares: pd.DataFrame, counts: Mapping[tuple[str, str], int]) -> pd.DataFrame:
    """Carry whole numbers (cases, visits, posts) from old cells to new grids; each total stays what it was.

    Parameters
    ----------
    shares : DataFrame
        Of `share_matrix`.
    counts : mapping of (network, old cell) to int

    Returns
    -------
    DataFrame
        network, old, new (missing: outside), count.
    """
    rows = []
    for (network, old), of in shares.dropna(subset=["old"]).groupby(["network", "old"], sort=True):
        total = counts.get((str(network), str(old)), 0)
        if total:
            split = apportioned(total, of["old_ratio"].to_numpy(dtype=float))
            rows.append(of[["network", "old", "new"]].assign(count=split))
    kept = [frame[frame["count"] > 0] for frame in rows]
    return pd.concat(kept, ignore_index=True) if kept else shares[["network", "old", "new"]].head(0).assign(count=0)


def handover(shares: pd.DataFrame) -> pd.DataFrame:
    """Who is responsible, old → new: for each new grid and network the old cell that most of it comes from.

    Returns
    -------
    DataFrame
        new, network, old (missing: most of it was in a gap), responsible, new_hundredths, and ``others``: how many more
        old cells of the network have a part in the grid.
    """
    inside = shares.dropna(subset=["new"])
    order = inside.sort_values(["new", "network", "new_hundredths", "area_m2"], ascending=[True, True, False, False],
                               kind="stable")  # fmt: skip
    groups = order.groupby(["new", "network"], sort=True)
    first = groups.head(1).set_index(["new", "network"])
    some = inside[inside["old"].notna() & (inside["new_hundredths"] > 0)]
    others = some.groupby(["new", "network"]).size().reindex(first.index).fillna(0).astype(int)
    others -= (first["old"].notna() & (first["new_hundredths"] > 0)).astype(int)
    made = first[["old", "responsible", "new_hundredths"]].assign(others=others)
    return made.reset_index()
