"""Redrawing with little change: what the plan in force says of every piece of ground, where to begin, what stays.

The search pays for every household that leaves the cell it is in (`weight_per_household`), starts from the plan in
force, and may not touch what is locked. New buildings and changed borders of the community find their place here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis import codes
from gis.codes import NewCell
from gis.division import Division
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import FloatArray, Geometries, IntArray, sums
from gis.partition.ground import Ground
from gis.partition.kernel import Terms
from gis.partition.lineage import cell_numbers, grounds, shares
from gis.partition.objectives import TERMS
from gis.partition.problem import Problem
from gis.partition.search import EFFORTS, Effort, Solution, solve
from gis.partition.units import Parts
from gis.rule_set import RuleSet, matching_tiers

FREE, STAYS, FIXED = range(3)  # what `Problem.held` says of a node
# Cost of a moved household half way of the slider: keeps 97.5 to 98.8 % of households, at most about 1 % dearer than a
# plan from scratch (`wangge bench redraw --weight 1.5`).
MIDDLE_WEIGHT = next(term.grid for term in TERMS if term.code == "stability")
END_WEIGHT = 30.0  # at its end
# A cell out of its band costs so many cells' moves more than the rule set says: no slider is to keep what is broken.
BAND_BEFORE_STAYING = 2.0


@dataclass(frozen=True, slots=True)
class Locks:
    """What a redraw may not change, by codes of the plan in force.

    Attributes
    ----------
    buildings : tuple of str
        Stay in their present grid.
    grids, micro_grids : tuple of str
        Keep their ground, their parts and what they are cut into.
    """

    buildings: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    micro_grids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("buildings", "grids", "micro_grids"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def __bool__(self) -> bool:
        return bool(self.buildings or self.grids or self.micro_grids)

    def check(self, previous: Division) -> None:
        """Refuse what the plan does not have.

        Raises
        ------
        InvalidInput
            ``partition.lock_unknown`` with the kind of the lock and the codes.
        """
        known: dict[str, set[str]] = {"buildings": set(previous.parts["building"].astype(str)),
                                      "grids": set(), "micro_grids": set()}  # fmt: skip
        for tier, cells in zip(previous.rules.grid_tiers, previous.cells, strict=True):
            known["grids" if tier.kind == "grid" else "micro_grids"] |= set(cells["code"].astype(str))
        for kind, there in known.items():
            unknown = sorted(set(getattr(self, kind)) - there)
            if unknown:
                raise InvalidInput("partition.lock_unknown", kind=kind, codes=unknown)

    def as_dict(self) -> dict[str, list[str]]:
        """The same as plain values, for a recipe."""
        return {kind: list(value) for kind, value in asdict(self).items()}


def weight_per_household(stability: float) -> float:
    """Cost of a household that moves, for a place of the slider between quality (0) and no change (1).

    Notes
    -----
    (361^s - 1) / 12: 0 at 0, 1.5 at one half, 30 at 1, each step of the slider as many times more as the one before.

    Raises
    ------
    InvalidInput
        ``partition.bad_stability`` outside 0 … 1.
    """
    if not 0 <= stability <= 1:
        raise InvalidInput("partition.bad_stability", stability=stability)
    base = (END_WEIGHT / MIDDLE_WEIGHT - 1) ** 2
    return float(MIDDLE_WEIGHT / (base**0.5 - 1) * (base**stability - 1))


def repairing(terms: Terms, weight: float) -> Terms:
    """The terms of a redraw: what a cell out of its band costs grows with what staying is worth."""
    return terms._replace(outside=terms.outside + BAND_BEFORE_STAYING * max(weight, 0.0) * terms.target)


@dataclass(frozen=True)
class Past:
    """The plan in force of one community, and how much of it is to stay.

    Attributes
    ----------
    division : Division
        Of this community alone.
    tiers : tuple of int or None
        For each grid tier now the position of that of the plan in force.
    weight : float
        Cost of a household that moves.
    """

    division: Division
    tiers: tuple[int | None, ...]
    weight: float
    locks: Locks = field(default_factory=Locks)


def pasts_of(previous: Division, rules: RuleSet, *, stability: float, locks: Locks) -> dict[str, Past]:
    """The plan in force by communities.

    Raises
    ------
    InvalidInput
        ``partition.lock_unknown``, ``partition.bad_stability``.
    """
    locks.check(previous)
    weight = weight_per_household(stability)
    tiers = tuple(matching_tiers(previous.rules, rules))
    return {
        code: Past(community_of(previous, code), tiers, weight, locks)
        for code in sorted(set(previous.cells[0]["community"].astype(str)))
    }


def community_of(division: Division, code: str) -> Division:
    """The part of a division that is one community's."""
    cells = tuple(
        frame[(frame["community"].astype(str) == code).to_numpy()].reset_index(drop=True) for frame in division.cells
    )
    mine = division.parts["cell"].isin(set(cells[-1]["code"])).to_numpy()
    return replace(division, cells=cells, parts=division.parts[mine].reset_index(drop=True), findings=())


# --- What the ground remembers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """Where each atom of the ground belongs in the plan in force.

    A place is the ground of a lowest cell; the cells of a stack share one.

    Attributes
    ----------
    past : Past
    place : int array, shape (atoms,)
        Of those who live there; of new buildings and empty land by where it lies.
    was_there : bool array, shape (atoms,)
        Whether who lives there did so in the plan in force.
    cell_of_place : tuple of int arrays or None, shape (places,)
        For each grid tier now, the number of the past cell that each place is in.
    held : tuple of int arrays, shape (atoms,)
        For each grid tier now: `FREE`, `STAYS` or `FIXED`.
    locked : bool array, shape (places,)
        Lowest cells that stay as they are.
    bands : tuple
        For each place the floors of its stack; empty where it is none.
    """

    past: Past
    place: IntArray
    was_there: NDArray[np.bool_]
    cell_of_place: tuple[IntArray | None, ...]
    held: tuple[IntArray, ...]
    locked: NDArray[np.bool_]
    bands: tuple[tuple[tuple[int, int], ...], ...]

    def cell(self, depth: int, atoms: IntArray) -> IntArray | None:
        """The past cell of atoms at a tier; ``None`` where the plan in force has no such tier."""
        of = self.cell_of_place[depth]
        return None if of is None else of[self.place[atoms]]


def kept_units(parts: Parts, buildings: pd.DataFrame, past: Past) -> tuple[Parts, NDArray[np.bool_]]:
    """Cut buildings as the plan in force does where that is not worse, and where a lock asks for it.

    Returns
    -------
    parts : Parts
    is_split : bool array, shape (buildings,)
        Buildings that a lock holds in several cells, so that they may not be put together.
    """
    old = past.division.parts
    code = buildings["code"].astype(object)
    units = _numbers(code.map(old.groupby("building")["unit_to"].max()))
    held = set(old["building"][_locked_parts(past)].astype(str)) | set(past.locks.buildings)
    is_split = (_numbers(code.map(_cells_of_buildings(past))) > 1) & (units > 1) & code.isin(held).to_numpy()
    same = (units > 1) & ((parts.units > 1) & parts.units_estimated | is_split)
    kept = np.where(same, np.minimum(units, np.maximum(parts.households, 1)), parts.units)
    return replace(parts, units=kept, is_cut=(parts.is_cut | is_split) & (kept > 1)), is_split


def _cells_of_buildings(past: Past) -> pd.Series:
    """In how many cells of the lowest tier of grids each building lies."""
    tiers = past.division.rules.grid_tiers
    depth = max(i for i, tier in enumerate(tiers) if tier.kind == "grid")
    cell = pd.Series(cell_numbers(past.division, depth))
    return cell.groupby(past.division.parts["building"].astype(object).to_numpy()).nunique()


def _numbers(values: pd.Series) -> IntArray:
    return np.asarray(values.astype("Float64").fillna(0).to_numpy(dtype=float), dtype=np.int64)


def _locked_parts(past: Past) -> NDArray[np.bool_]:
    found = np.zeros(len(past.division.parts), dtype=bool)
    for depth, codes_here in _locked_codes(past).items():
        cell = cell_numbers(past.division, depth)
        code = past.division.cells[depth]["code"].astype(str).to_numpy()
        found |= (cell >= 0) & np.isin(code[cell], list(codes_here))
    return found


def _locked_codes(past: Past) -> dict[int, set[str]]:
    return {
        depth: set(past.locks.grids if tier.kind == "grid" else past.locks.micro_grids)
        for depth, tier in enumerate(past.division.rules.grid_tiers)
    }


def locked_grounds(past: Past) -> Geometries:
    """Polygons of the lowest cells that stay exactly as they are, in the order of `Memory.locked`."""
    shapes, _ = grounds(past.division.cells[-1])
    return shapes[_locked_places(past)]


def _locked_places(past: Past) -> NDArray[np.bool_]:
    up = _ups(past.division)
    locked = np.zeros(len(up[0]), dtype=bool)
    for depth, wanted in _locked_codes(past).items():
        code = past.division.cells[depth]["code"].astype(str).to_numpy()
        locked |= np.isin(code, list(wanted))[up[depth]]
    return locked


def _ups(division: Division) -> list[IntArray]:
    """For each tier the cell that each place of the lowest is in; for the lowest the first of its stack."""
    _, of = grounds(division.cells[-1])
    number = np.unique(of, return_index=True)[1].astype(np.int64)
    ups = [number]
    for level in range(len(division.cells) - 1, 0, -1):
        above = pd.Index(division.cells[level - 1]["code"].astype(object))
        parent = division.cells[level]["parent"].astype(object).to_numpy()
        number = above.get_indexer(parent[number]).astype(np.int64)
        ups.append(number)
    return ups[::-1]


def remember(
    past: Past, ground: Ground, buildings: pd.DataFrame, building: IntArray, unit: IntArray, units: IntArray,
    atom: IntArray, households: IntArray,
) -> Memory:  # fmt: skip
    """Find the past of every atom.

    Parameters
    ----------
    building, unit, atom, households : int arrays, shape (dwellings,)
    units : int array, shape (buildings,)
    """
    shapes, of_cell = grounds(past.division.cells[-1])
    dwelling = _places_of_dwellings(past, of_cell, buildings, building, unit, units)
    locked = _locked_places(past)
    place, was_there = _places_of_atoms(ground, shapes, atom, dwelling, households)
    place = _inside_parcels(ground, shapes, place, locked)
    up = _ups(past.division)
    lowest = len(past.division.cells) - 1
    cell_of_place = tuple(None if m is None else (np.arange(len(shapes)) if m == lowest else up[m]) for m in past.tiers)
    return Memory(past, place, was_there, cell_of_place, _held(past, up, place, ground, buildings), locked,
                  _bands(past, of_cell, len(shapes)))  # fmt: skip


def _places_of_dwellings(
    past: Past, of_cell: IntArray, buildings: pd.DataFrame, building: IntArray, unit: IntArray, units: IntArray
) -> IntArray:
    """The past place of each dwelling; -1 in new buildings."""
    parts = past.division.parts
    cell = of_cell[cell_numbers(past.division, len(past.division.cells) - 1)]
    first = parts["unit_from"].astype("Float64").fillna(1).to_numpy(dtype=float)
    last = parts["unit_to"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    rows: dict[str, list[tuple[float, float, int]]] = {}
    for code, low, high, number in zip(parts["building"].astype(str), first, last, cell, strict=True):
        rows.setdefault(code, []).append((low, high, int(number)))
    code_of = buildings["code"].astype(str).to_numpy()
    found = np.full(len(building), -1, dtype=np.int64)
    for i, (b, u) in enumerate(zip(building.tolist(), unit.tolist(), strict=True)):
        here = rows.get(code_of[b])
        if here is None:
            continue
        count = np.nanmax([1.0, *(high for _, high, _ in here)])
        at = np.floor((u + 0.5) / units[b] * count) + 1  # the same share of the building where units were recounted
        found[i] = next((n for low, high, n in here if low <= at and not at > high), here[0][2])
    return found


def _places_of_atoms(
    ground: Ground, shapes: Geometries, atom: IntArray, dwelling: IntArray, households: IntArray
) -> tuple[IntArray, NDArray[np.bool_]]:
    atoms, places = len(ground.building), len(shapes)
    main = _largest_faces(ground)
    point = ground.lattice.to_wgs84(shapely.point_on_surface(ground.faces[main]))
    place = np.asarray(shapely.STRtree(shapes).nearest(point), dtype=np.int64)
    known = dwelling >= 0
    weight = np.zeros((atoms, places))
    np.add.at(weight, (atom[known], dwelling[known]), households[known] + 1e-6)
    was_there = np.asarray(weight.any(axis=1), dtype=bool)
    place[was_there] = weight[was_there].argmax(axis=1)
    return place, was_there


def _inside_parcels(ground: Ground, shapes: Geometries, place: IntArray, locked: NDArray[np.bool_]) -> IntArray:
    """Give each locked place the atoms of its ground, and no others."""
    if not locked.any():
        return place
    place = place.copy()
    inside = ground.parcel >= 0
    place[inside] = np.flatnonzero(locked)[ground.parcel[inside]]
    astray = np.flatnonzero(~inside & locked[place])
    if len(astray) and not locked.all():
        free = np.flatnonzero(~locked)
        main = _largest_faces(ground)[astray]
        points = ground.lattice.to_wgs84(shapely.point_on_surface(ground.faces[main]))
        place[astray] = free[shapely.STRtree(shapes[free]).nearest(points)]
    return place


def _largest_faces(ground: Ground) -> IntArray:
    area = shapely.area(ground.faces)
    order = np.argsort(area, kind="stable")
    main = np.zeros(len(ground.building), dtype=np.int64)
    main[ground.atom_of_face[order]] = order
    return main


def _held(
    past: Past, up: list[IntArray], place: IntArray, ground: Ground, buildings: pd.DataFrame
) -> tuple[IntArray, ...]:
    """What each atom may do at each tier now."""
    locked = {
        depth: np.isin(past.division.cells[depth]["code"].astype(str).to_numpy(), list(wanted))[up[depth]]
        for depth, wanted in _locked_codes(past).items()
    }
    pinned = np.isin(buildings["code"].astype(str).to_numpy(), list(past.locks.buildings))
    is_pinned = pinned[ground.building] & (ground.building >= 0) if len(pinned) else np.zeros(len(place), dtype=bool)
    held = []
    for tier in past.tiers:
        state = np.full(len(place), FREE, dtype=np.int64)
        if tier is not None:
            below = [of for level, of in locked.items() if level > tier]
            above = [of for level, of in locked.items() if level <= tier]
            for of in below:
                state[of[place]] = STAYS
            if past.division.rules.grid_tiers[tier].kind == "grid":
                state[is_pinned] = STAYS
            for of in above:
                state[of[place]] = FIXED
        held.append(state)
    return tuple(held)


def _bands(past: Past, of_cell: IntArray, places: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    low = past.division.cells[-1]
    found: list[list[tuple[int, int]]] = [[] for _ in range(places)]
    for place, first, last in zip(of_cell.tolist(), low["floor_from"], low["floor_to"], strict=True):
        if pd.notna(first) and pd.notna(last):
            found[place].append((int(first), int(last)))
    return tuple(tuple(sorted(bands)) for bands in found)


# --- Where the search begins -----------------------------------------------------------------------------------------


def majority(node_of: IntArray, value: IntArray, weight: FloatArray, nodes: int) -> IntArray:
    """For each node the value that most of its atoms' weight has; -1 where no atom has one."""
    known = value >= 0
    if not known.any():
        return np.full(nodes, -1, dtype=np.int64)
    most = int(value.max()) + 1
    pair, where = np.unique(node_of[known] * most + value[known], return_inverse=True)
    total = sums(where, weight[known], len(pair))
    found = np.full(nodes, -1, dtype=np.int64)
    order = np.lexsort((-pair, total))  # the last written wins: most weight, then the lowest number
    found[(pair // most)[order]] = (pair % most)[order]
    return found


def start_labels(problem: Problem, home: IntArray, held: IntArray) -> IntArray:
    """A labelling like the plan in force in which every cell is in one piece.

    Parameters
    ----------
    home : int array, shape (nodes,)
        The past cell of each node; -1 where it has none.
    held : int array, shape (nodes,)

    Notes
    -----
    Of a cell that has fallen apart the piece with what is held, then with most households, goes on; what else there
    is joins the neighbour that it leans on most, or becomes cells of its own between fixed ones.
    """
    nodes = len(home)
    a, b, _ = problem.links
    label = np.where(held == FIXED, home, _main_pieces(problem, home, held, a, b))
    closed = np.unique(home[held == FIXED])
    lean = _leaning(problem, a, b)
    order = np.lexsort((np.arange(len(a)), -lean))
    open_links = order[(held[a[order]] != FIXED) & (held[b[order]] != FIXED)]
    while (label < 0).any():
        edge = [i for i in open_links if (label[a[i]] < 0) != (label[b[i]] < 0)]
        if edge:
            i = edge[0]
            if label[a[i]] < 0:
                label[a[i]] = label[b[i]]
            else:
                label[b[i]] = label[a[i]]
            continue
        # Cut off from all that may take it: a cell of its own for the first piece, and so on.
        first = int(np.flatnonzero(label < 0)[0])
        label[first] = max(int(label.max()), int(closed.max(initial=-1))) + 1
    assert len(label) == nodes
    return label


def solve_from(
    problem: Problem,
    start: IntArray,
    *,
    seed: int,
    effort: Effort,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Solution:
    """Search from the plan in force, and afresh where that can help; give what costs less, moves and all.

    Notes
    -----
    Small steps from the plan in force miss what only a wider change mends: a cell out of its band, and (looked for in
    more than a draft) a plan so much better that it is worth its moves. Where something is held there is one start.
    """
    found = solve(problem, seed=seed, effort=effort, start=start, cancelled=cancelled, progress=progress)
    size = found.sizes(problem)
    is_broken = bool(((size < problem.terms.low) | (size > problem.terms.high)).any())
    is_draft = effort.restarts <= EFFORTS["draft"].restarts
    is_held = problem.held is not None and bool(problem.held.any())
    if is_held or (is_draft and not is_broken) or (cancelled is not None and cancelled()):
        return found
    afresh = solve(problem, seed=seed, effort=effort, cancelled=cancelled, progress=progress)
    return min(found, afresh, key=lambda solution: solution.cost)


def _main_pieces(problem: Problem, home: IntArray, held: IntArray, a: IntArray, b: IntArray) -> IntArray:
    nodes = len(home)
    same = (home[a] == home[b]) & (home[a] >= 0)
    piece = connected_components(
        coo_array((np.ones(int(same.sum())), (a[same], b[same])), shape=(nodes, nodes)), directed=False
    )[1].astype(np.int64)
    count = int(piece.max()) + 1
    of_piece = np.full(count, -1, dtype=np.int64)
    of_piece[piece] = home
    keys = (
        np.arange(count),
        -sums(piece, problem.area_m2, count),
        -sums(piece, problem.households, count),
        -sums(piece, (held > FREE).astype(float), count),
        of_piece,
    )
    order = np.lexsort(keys)
    first = np.ones(count, dtype=bool)
    first[1:] = of_piece[order][1:] != of_piece[order][:-1]
    is_main = np.zeros(count, dtype=bool)
    is_main[order[first]] = True
    return np.where(is_main[piece] & (home >= 0), home, -1)


def _leaning(problem: Problem, a: IntArray, b: IntArray) -> FloatArray:
    """How much two linked nodes belong together: metres without a barrier count most, a shared compound more."""
    at = {(int(i), int(j)): k for k, (i, j) in enumerate(zip(problem.a, problem.b, strict=True))}
    lean = np.zeros(len(a))
    for i, (p, q) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        border = at.get((p, q), at.get((q, p)))
        if border is not None:
            lean[i] = problem.length_m[border] + 3.0 * problem.cut_cost_m[border]
    together = (problem.group[a] == problem.group[b]) & (problem.group[a] >= 0)
    return np.asarray(lean + 1e6 * together)


# --- Codes -----------------------------------------------------------------------------------------------------------


def recoded(division: Division, past: Past, community: str) -> Mapping[str, str]:
    """From the drawn codes of a community's cells to those they bear: of the cell that they continue, or never used.

    Parameters
    ----------
    division : Division
        Of this community alone, as drawn.
    """
    survivors: dict[str, str] = {}
    for depth, tier in enumerate(past.tiers):
        if tier is None:
            continue
        common = shares(past.division, division, tier, depth)
        old = past.division.cells[tier]["code"].astype(str).to_numpy()
        new = division.cells[depth]["code"].astype(str).to_numpy()
        kept = _locked_cells(past, division, tier, depth)
        went_on = {new[common.new[i]]: old[common.old[i]] for i in common.continues}
        survivors |= {n: o for n, o in went_on.items() if n not in kept and o not in kept.values()} | kept
    given = {str(code) for frame in past.division.cells for code in frame["code"]}
    wider = 0
    while True:
        try:
            return codes.recode(_new_cells(division, community, wider), survivors=survivors, given=given)
        except InvalidInput:
            if wider > 4:
                raise
            wider += 1  # all numbers of so many digits are spent


def _locked_cells(past: Past, division: Division, tier: int, depth: int) -> dict[str, str]:
    """From the drawn to the old codes of locked cells: they go on even if most who lived there are gone."""
    old, new = past.division.cells[tier], division.cells[depth]
    codes_here = old["code"].astype(str).to_numpy()
    up, (_, of) = _ups(past.division), grounds(past.division.cells[-1])
    locked = np.flatnonzero(_is_locked(past, up, tier))
    is_lowest = tier == len(past.division.cells) - 1
    cells = np.flatnonzero(np.isin(of, locked)) if is_lowest else np.unique(up[tier][locked])
    points = shapely.point_on_surface(np.asarray(old.geometry.to_numpy(), dtype=object)[cells])
    point, found = shapely.STRtree(np.asarray(new.geometry.to_numpy(), dtype=object)).query(points, predicate="within")
    floors = [frame["floor_from"].astype("Float64").fillna(0).to_numpy(dtype=float) for frame in (old, new)]
    same = floors[0][cells[point]] == floors[1][found]
    drawn = new["code"].astype(str).to_numpy()
    return {str(drawn[n]): str(codes_here[cells[p]]) for p, n in zip(point[same], found[same], strict=True)}


def _is_locked(past: Past, up: list[IntArray], tier: int) -> NDArray[np.bool_]:
    """The places whose cell at a tier, or one above it, is locked."""
    found = np.zeros(len(up[tier]), dtype=bool)
    for level, wanted in _locked_codes(past).items():
        if level <= tier:
            found |= np.isin(past.division.cells[level]["code"].astype(str).to_numpy(), list(wanted))[up[level]]
    return found


def _new_cells(division: Division, community: str, wider: int) -> Iterable[NewCell]:
    for depth, (frame, tier) in enumerate(zip(division.cells, division.rules.grid_tiers, strict=True)):
        for code, parent in zip(frame["code"].astype(str), frame["parent"], strict=True):
            above = community if depth == 0 else str(parent)
            yield NewCell(code, above, depth, max(tier.code_digits, len(code) - len(above)) + wider)


# --- What was noticed ------------------------------------------------------------------------------------------------


def lock_findings(past: Past, buildings: pd.DataFrame) -> list[Finding]:
    """Locks on buildings that are not there any more."""
    here = set(past.division.parts["building"].astype(str)) & set(past.locks.buildings)
    gone = sorted(here - set(buildings["code"].astype(str)))
    return [Finding("partition.lock_gone", Severity.NOTE, "buildings", key=code) for code in gone]


def stated(stability: float, locks: Locks) -> dict[str, Any]:
    """What a recipe says of a redraw."""
    return {"stability": stability, "weight_per_household": weight_per_household(stability), "locks": locks.as_dict()}
