"""Made-up districts as graph instances, for comparing engines where no real town may be had.

Unlike the demo town, whose ground Wangge surveys itself, these have the cells that a tessellation library gives:
empty land as cells of its own, slivers beside roads, towers of up to 292 households as single nodes, walled
compounds of less and of more than a grid, a river with few bridges, and outskirts of much land and few people. A
seed gives the same district to the last digit.

A community is a rectangle, cut again and again into leaves by streets and walls; a leaf is a compound or empty land;
its houses' cells are Voronoi cells within it. All lines are noded, and then bent together, so that nothing is square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from gis.geometry import FloatArray
from gis.partition.ground import ARTERIAL, BRIDGE_REACH_M, CUT_WEIGHT, MINOR, NO_BARRIER, SECONDARY, WATER
from gis.partition.instance import Tables

COLUMNS, ROWS = 6, 3
SIDE_M = 1225.0  # of a community: 27 km² in all
GRID_M = 0.05
BAND = (300.0, 500.0)
KINDS = {  # houses in a compound; households in a house
    "tower": ((2, 7), (110, 300)),
    "mid": ((4, 12), (50, 130)),
    "slab": ((6, 18), (16, 64)),
    "court": ((8, 20), (8, 30)),
    "village": ((8, 22), (1, 8)),
}
MIXES = (  # share of the kinds above and of empty land, from the middle of the town to its edge
    (0.26, 0.30, 0.30, 0.10, 0.00, 0.04),
    (0.16, 0.26, 0.34, 0.12, 0.06, 0.06),
    (0.05, 0.12, 0.30, 0.18, 0.21, 0.14),
)
MOST_IN_A_HOUSE = 292

Rect = tuple[float, float, float, float]


@dataclass
class _Plan:
    """A district while it is drawn, in straight metres."""

    cells: list[shapely.Geometry] = field(default_factory=list)
    households: list[int] = field(default_factory=list)
    community: list[int] = field(default_factory=list)
    compound: list[int] = field(default_factory=list)
    lines: list[shapely.Geometry] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    bridges: list[tuple[float, float]] = field(default_factory=list)
    compounds: int = 0

    def add(self, cell: shapely.Geometry, households: int, community: int, compound: int) -> None:
        self.cells.append(cell)
        self.households.append(households)
        self.community.append(community)
        self.compound.append(compound)

    def draw(self, rect: Rect, kind: int) -> None:
        self.lines.append(shapely.LineString([rect[:2], rect[2:]]))
        self.kinds.append(kind)


def make_district(*, seed: int = 1, columns: int = COLUMNS, rows: int = ROWS) -> Tables:
    """Make a district up.

    Parameters
    ----------
    seed : int
    columns, rows : int
        Of communities, about 5,400 households in each.

    Returns
    -------
    Tables
        An instance with the band 300-500.
    """
    rng = np.random.default_rng([seed, columns, rows])
    plan = _Plan()
    for number in range(columns * rows):
        column, row = number % columns, number // columns
        rect = (column * SIDE_M, row * SIDE_M, (column + 1) * SIDE_M, (row + 1) * SIDE_M)
        out = np.hypot((column + 0.5) / columns - 0.5, (row + 0.5) / rows - 0.5) / 0.71
        _community(plan, number, rect, min(int(out * 3), 2), has_river=row == rows // 2 and rows > 1, rng=rng)
    return _tables(plan, f"synthetic-{seed}", _Bend(rng, columns * SIDE_M, rows * SIDE_M))


def _community(plan: _Plan, number: int, rect: Rect, ring: int, *, has_river: bool, rng: np.random.Generator) -> None:
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        corners = ((rect[0], rect[1]), (rect[2], rect[1]), (rect[2], rect[3]), (rect[0], rect[3]))
        plan.draw((*corners[a], *corners[b]), ARTERIAL)
    leaf_m2 = SIDE_M**2 / (rng.uniform(8, 13) if ring < 2 else rng.uniform(5, 9))
    for leaf in _leaves(plan, rect, leaf_m2, 0, has_river, rng):
        _settle(plan, number, _verge(plan, number, leaf, rng), ring, rng)


def _leaves(
    plan: _Plan, rect: Rect, leaf_m2: float, depth: int, has_river: bool, rng: np.random.Generator
) -> Iterator[Rect]:
    """Cut a rectangle into leaves, drawing a street or wall along every cut."""
    width, height = rect[2] - rect[0], rect[3] - rect[1]
    if width * height < leaf_m2 * rng.uniform(0.9, 1.7):
        yield rect
        return
    share = rng.uniform(0.36, 0.64)
    river = has_river and depth == 0
    kind = WATER if river else (ARTERIAL, SECONDARY, MINOR)[min(depth + int(rng.random() < 0.6), 2)]
    if width * height < 2.2 * leaf_m2 and rng.random() < 0.5:
        kind = SECONDARY  # a wall between two compounds
    if width > height and not river:
        at = rect[0] + share * width
        parts = [(rect[0], rect[1], at, rect[3]), (at, rect[1], rect[2], rect[3])]
        plan.draw((at, rect[1], at, rect[3]), kind)
    else:
        at = rect[1] + share * height
        parts = [(rect[0], rect[1], rect[2], at), (rect[0], at, rect[2], rect[3])]
        plan.draw((rect[0], at, rect[2], at), kind)
    if river:
        plan.bridges += [(rect[0] + x * width, at) for x in rng.uniform(0.1, 0.9, rng.integers(0, 3))]
    for part in parts:
        yield from _leaves(plan, part, leaf_m2, depth + 1, False, rng)


def _verge(plan: _Plan, community: int, leaf: Rect, rng: np.random.Generator) -> Rect:
    """Sometimes take a strip of road-side green off a leaf: a cell of its own, long, thin and empty."""
    if rng.random() > 0.2:
        return leaf
    wide = rng.uniform(4.0, 14.0)
    at = leaf[1] + wide
    plan.draw((leaf[0], at, leaf[2], at), SECONDARY)
    plan.add(shapely.box(leaf[0], leaf[1], leaf[2], at), 0, community, -1)
    return (leaf[0], at, leaf[2], leaf[3])


def _settle(plan: _Plan, community: int, leaf: Rect, ring: int, rng: np.random.Generator) -> None:
    """Put houses on a leaf, or leave it empty."""
    kind = rng.choice([*KINDS, "land"], p=np.array(MIXES[ring]) / sum(MIXES[ring]))
    box = shapely.box(*leaf)
    if kind == "land":
        plan.add(box, 0, community, -1)
        return
    (fewest, most), (least, largest) = KINDS[kind]
    count = int(rng.integers(fewest, most + 1))
    usual = rng.uniform(least, largest)
    spread = 0.05 if usual > 100 else 0.22  # towers of one compound are built alike, and then no sum of them may fit
    homes = np.clip(usual * rng.lognormal(0.0, spread, count), 1, MOST_IN_A_HOUSE).astype(int)
    homes[rng.random(count) < 0.06] = 0  # a school, a shop
    compound = -1
    if rng.random() < 0.93:
        compound, plan.compounds = plan.compounds, plan.compounds + 1
    points = shapely.multipoints(_places(leaf, count, rng))
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=box, ordered=True))
    for cell, households in zip(shapely.intersection(cells, box), homes.tolist(), strict=True):
        plan.add(cell, households, community, compound)


def _places(leaf: Rect, count: int, rng: np.random.Generator) -> FloatArray:
    """Places of houses, in rows that are not quite even."""
    width, height = leaf[2] - leaf[0], leaf[3] - leaf[1]
    across = max(round(np.sqrt(count * width / height)), 1)
    rows = -(-count // across)
    number = np.arange(count)
    x = (number % across + 0.5 + rng.uniform(-0.25, 0.25, count)) / across
    y = (number // across + 0.5 + rng.uniform(-0.25, 0.25, count)) / rows
    return np.column_stack([leaf[0] + x * width, leaf[1] + y * height])


@dataclass
class _Bend:
    """A smooth bend of the plane, so that no street is straight; it folds nothing."""

    rng: np.random.Generator
    width_m: float
    height_m: float
    wave: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.wave = self.rng.uniform(0.0, 2 * np.pi, 4)

    def __call__(self, xy: FloatArray) -> FloatArray:
        x, y = xy[:, 0] / 1900.0, xy[:, 1] / 1600.0
        moved = np.column_stack(
            [
                90 * np.sin(2 * np.pi * y + self.wave[0]) + 35 * np.sin(4 * np.pi * x + self.wave[1]),
                80 * np.sin(2 * np.pi * x + self.wave[2]) + 30 * np.sin(4 * np.pi * y + self.wave[3]),
            ]
        )
        return np.asarray(xy + moved)


# --- A year's change -------------------------------------------------------------------------------------------------

NEW_COMPOUNDS, NEW_HOUSEHOLDS = 6, 400
DEMOLISHED = (5, 6)
CHANGED_SHARE, CHANGED_BY = 0.1, 0.1
FEW_HOUSEHOLDS = 12  # nodes with no more are where new compounds are built


def year_later(tables: Tables, *, seed: int) -> tuple[Tables, NDArray[np.bool_]]:
    """The same ground after a year: compounds built and pulled down, households a tenth up or down on a tenth of it.

    Returns
    -------
    Tables
        The same nodes and borders.
    is_new : bool array, shape (nodes,)
        Nodes with a building that was not there.
    """
    rng = np.random.default_rng([seed, len(tables.nodes["households"])])
    households = tables.nodes["households"].astype(np.int64)
    compound = tables.nodes["compound"].astype(np.int64)
    changed = np.flatnonzero((households > 0) & (rng.random(len(households)) < CHANGED_SHARE))
    households[changed] = np.rint(households[changed] * (1 + rng.choice([-CHANGED_BY, CHANGED_BY], len(changed))))
    totals = np.bincount(compound[compound >= 0], households[compound >= 0])
    usual = np.flatnonzero((totals >= 150) & (totals <= 500))
    gone = rng.choice(usual, min(int(rng.integers(*DEMOLISHED, endpoint=True)), len(usual)), replace=False)
    households[np.isin(compound, gone)] = 0
    is_new = np.zeros(len(households), dtype=bool)
    for number, site in enumerate(_sites(tables, rng)):
        even = np.full(len(site), NEW_HOUSEHOLDS / len(site))
        households[site] = np.rint(even * rng.uniform(0.8, 1.2, len(site)))
        compound[site] = compound.max() + 1
        is_new[site] = True
        if number + 1 == NEW_COMPOUNDS:
            break
    nodes = dict(tables.nodes) | {"households": households, "compound": compound}
    return Tables(f"{tables.name}-later", tables.low, tables.high, nodes, tables.edges), is_new


def _sites(tables: Tables, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Places for new compounds: a few neighbouring nodes of one community where few live."""
    near: dict[int, list[int]] = defaultdict(list)
    home = tables.nodes["community"]
    for a, b in zip(tables.edges["a"].tolist(), tables.edges["b"].tolist(), strict=True):
        if home[a] == home[b]:
            near[a].append(b)
            near[b].append(a)
    free = tables.nodes["households"] <= FEW_HOUSEHOLDS
    for first in rng.permutation(np.flatnonzero(free)).tolist():
        site = [first]
        for node in site:
            site += [other for other in near[node] if free[other] and other not in site][: 6 - len(site)]
        if free[first] and len(site) >= 3:
            free[site] = False
            yield np.array(site)


# --- From lines to a graph -------------------------------------------------------------------------------------------


def _tables(plan: _Plan, name: str, bend: _Bend) -> Tables:
    lines = shapely.union_all([*shapely.boundary(np.array(plan.cells)), *plan.lines], grid_size=GRID_M)
    faces = np.array(shapely.get_parts(shapely.polygonize([lines])), dtype=object)
    place = shapely.STRtree(plan.cells).nearest(shapely.point_on_surface(faces))
    bent = shapely.transform(faces, bend)
    n = len(plan.cells)
    area = np.bincount(place, shapely.area(bent), n)
    middle = shapely.get_coordinates(shapely.centroid(bent)) * shapely.area(bent)[:, None]
    # Rounding may lose a sliver; what has no ground is no node.
    kept = np.flatnonzero(area > 0)
    at = np.full(n, -1)
    at[kept] = np.arange(len(kept))
    nodes = {
        "households": np.array(plan.households)[kept],
        "community": np.array(plan.community)[kept],
        "compound": np.array(plan.compound)[kept],
        "x_m": (np.bincount(place, middle[:, 0], n)[kept] / area[kept]),
        "y_m": (np.bincount(place, middle[:, 1], n)[kept] / area[kept]),
        "area_m2": area[kept],
        "perimeter_m": np.zeros(len(kept)),
    }
    edges = _borders(plan, faces, at[place], bend, nodes["perimeter_m"])
    return Tables(name, *BAND, nodes, edges)


def _borders(
    plan: _Plan, faces: NDArray[np.object_], node: NDArray[np.int64], bend: _Bend, perimeter_m: FloatArray
) -> dict[str, NDArray[np.generic]]:
    """The borders between nodes, and (added up in place) around each."""
    start, end, owner = _sides(faces)
    length = np.hypot(*(bend(end) - bend(start)).T)
    kind = _kinds(plan, (start + end) / 2)
    by_place: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for i, (p, q) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        by_place[(*min(p, q), *max(p, q))].append(i)
    bridges = shapely.STRtree(shapely.points(plan.bridges or [(1e9, 1e9)]))
    crossable = bridges.query_nearest(shapely.points((start + end) / 2), all_matches=False, return_distance=True)[1]
    totals: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for sides in by_place.values():
        i = sides[0]
        ends = {int(node[owner[j]]) for j in sides}
        for each in ends if len(ends) > 1 or len(sides) == 1 else ():
            perimeter_m[each] += length[i]
        if len(ends) == 2:
            total = totals[min(ends), max(ends)]
            total[0] += length[i]
            total[1] += length[i] * (kind[i] != NO_BARRIER)
            total[2] += length[i] * CUT_WEIGHT[kind[i]]
            total[3] += length[i] * (kind[i] != WATER or crossable[i] <= BRIDGE_REACH_M)
    pairs = sorted(totals)
    ends_of, metres = np.array(pairs), np.array([totals[pair] for pair in pairs])
    return {
        "a": ends_of[:, 0], "b": ends_of[:, 1], "length_m": metres[:, 0], "barrier_m": metres[:, 1],
        "cut_cost_m": metres[:, 2], "walkable": metres[:, 3] > 0.5,
    }  # fmt: skip


def _sides(faces: NDArray[np.object_]) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Every straight side of every face: from, to, and which face."""
    rings, face = shapely.get_rings(faces, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    inner = np.flatnonzero(ring[1:] == ring[:-1])
    return xy[inner], xy[inner + 1], face[ring[inner]]


def _kinds(plan: _Plan, middle: FloatArray) -> NDArray[np.int64]:
    """The strongest barrier on which each place lies."""
    kind = np.full(len(middle), NO_BARRIER)
    tree = shapely.STRtree(plan.lines)
    place, line = tree.query(shapely.points(middle), predicate="dwithin", distance=2 * GRID_M)
    np.maximum.at(kind, place, np.array(plan.kinds)[line])
    return kind
