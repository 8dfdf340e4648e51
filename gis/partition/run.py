"""One community from ground to cells: reads like the method's description.

`divide_community` is pure (a picklable `Job` in, a picklable `Answer` out), so communities can be spread over
processes or machines in any order with the same result.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import FloatArray, Geometries, IntArray, dissolve, sums
from gis.partition.diagnosis import diagnose, explain
from gis.partition.ground import BARRIER_CLASS, Ground, Plot, survey
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.search import Effort, solve
from gis.partition.units import Parts, floor_bands, plan_parts, shares
from gis.rule_set import RuleSet, Tier

LEAST_STACK_FLOORS = 4


@dataclass(frozen=True)
class Job:
    """A community with all that its division depends on; geometry in EPSG:4326.

    Attributes
    ----------
    code : str
    outline : Polygon or MultiPolygon
    buildings : DataFrame
        Columns code, households, floors, units, height_m, compound; positions are building numbers.
    footprints : array of polygons, shape (buildings,)
    barriers : array of lines
    barrier_kinds : tuple of str
    compounds : array of polygons
        Outlines that cells follow where nothing else speaks against it.
    zone : int
        EPSG code of the metric system.
    """

    code: str
    outline: shapely.Geometry
    buildings: pd.DataFrame
    footprints: Geometries
    barriers: Geometries
    barrier_kinds: tuple[str, ...]
    compounds: Geometries
    rules: RuleSet
    zone: int
    seed: int
    effort: Effort


@dataclass(frozen=True)
class Cell:
    """A cell while it is made: its atoms, and its floors where it is one of a stack."""

    code: str
    parent: str | None
    atoms: IntArray
    households: int
    floors: tuple[int, int] | None = None


@dataclass(frozen=True)
class Answer:
    """Cells of every grid tier of one community, top first, with geometry; parts; what was noticed."""

    cells: tuple[pd.DataFrame, ...]
    geometry: tuple[Geometries, ...]
    parts: pd.DataFrame
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Site:
    """A community's atoms with who lives there.

    Attributes
    ----------
    building, unit, atom, households : int arrays, shape (dwellings,)
        One entry a building's unit: where it stands and who lives there.
    """

    job: Job
    parts: Parts
    ground: Ground
    building: IntArray
    unit: IntArray
    atom: IntArray
    households: IntArray
    atom_households: FloatArray = field(repr=False)

    @property
    def atoms(self) -> int:
        return len(self.ground.building)


@dataclass(frozen=True)
class _Group:
    """Atoms that become one cell, or a stack of cells."""

    atoms: IntArray
    bands: tuple[tuple[int, int], ...] = ()


def divide_community(job: Job, cancelled: Callable[[], bool] | None = None) -> Answer:
    """Cut one community into the cells of every grid tier of its rule set."""
    site = _settle(job)
    findings = list(_opened(site))
    above = [Cell(job.code, None, np.arange(site.atoms), int(site.households.sum()))]
    tiers: list[list[Cell]] = []
    for depth, tier in enumerate(job.rules.grid_tiers):
        here: list[Cell] = []
        for parent in above:
            groups, noticed = _cut(site, parent, tier, cancelled)
            cells = _number(site, parent, groups, tier, top=depth == 0)
            findings += noticed + _out_of_band(site, parent, cells, tier)
            here += cells
        tiers.append(here)
        above = here
    frames = tuple(_frame(site, cells) for cells in tiers)
    geometry = tuple(_polygons(site, cells) for cells in tiers)
    return Answer(frames, geometry, _parts(site, tiers[-1]), tuple(findings))


def graph_of(job: Job, tier: Tier) -> tuple[Problem, FloatArray]:
    """A whole community as the graph of one tier.

    Returns
    -------
    problem : Problem
    barrier_m : float array, shape (borders,)
        Metres of each border of the problem that lie on a road, river or wall.

    Raises
    ------
    InvalidInput
        ``partition.no_band`` if the tier names no numbers of households.
    """
    limits = Limits.of(tier)
    if limits is None or tier.cell_of != "band":
        raise InvalidInput("partition.no_band", tier=tier.name_zh)
    site = _settle(job)
    whole = Cell(job.code, None, np.arange(site.atoms), int(site.households.sum()))
    node_of = _nodes(site, whole, tier, limits)
    problem = _problem(site, whole, node_of, tier, limits)
    nodes = len(problem.households)
    a, b = node_of[site.ground.a], node_of[site.ground.b]
    name = np.minimum(a, b) * nodes + np.maximum(a, b)
    border = np.searchsorted(problem.a * nodes + problem.b, name[a != b])  # the problem keeps its borders in this order
    return problem, sums(border, site.ground.barrier_m[a != b], len(problem.a))


# --- Ground and people -----------------------------------------------------------------------------------------------


def _settle(job: Job) -> _Site:
    """Survey the ground, and put every building's units on their atoms."""
    bands = [(tier, Limits.of(tier)) for tier in job.rules.grid_tiers if tier.cell_of == "band"]
    whole = [limits for tier, limits in bands if limits and tier.kind == "grid"]
    small = [limits for tier, limits in bands if limits and tier.kind == "micro_grid"]
    to_metric = _metric(job)
    parts = plan_parts(
        job.buildings,
        to_metric,
        grid=min(whole, key=lambda limits: limits.most) if whole else None,
        micro=small[-1] if small else None,
        keep_whole=job.rules.keep_buildings_whole,
    )
    classes = np.array([BARRIER_CLASS[kind] for kind in job.barrier_kinds], dtype=np.int64)
    is_wall = np.array([kind == "wall" for kind in job.barrier_kinds], dtype=bool)
    plot = Plot(job.outline, job.footprints, parts.units, job.barriers, classes, is_wall, job.compounds)
    ground = survey(plot, job.zone)
    building = np.repeat(np.arange(len(parts.units)), parts.units)
    unit = np.concatenate([np.arange(n) for n in parts.units]) if len(parts.units) else np.empty(0, dtype=np.int64)
    households = (
        np.concatenate([parts.unit_households(b) for b in range(len(parts.units))])
        if len(parts.units)
        else np.empty(0, dtype=np.int64)
    )
    atom = _atoms_of(job, ground, building, unit)
    atom_households = sums(atom, households, len(ground.building))
    return _Site(job, parts, ground, building, unit, atom, households, atom_households)


def _metric(job: Job) -> Geometries:
    if not len(job.footprints):
        return job.footprints
    return np.asarray(shapely.transform(job.footprints, lambda xy: crs.points_to_metric(xy, job.zone)), dtype=object)


def _atoms_of(job: Job, ground: Ground, building: IntArray, unit: IntArray) -> IntArray:
    """The atom of each unit; of a unit without ground of its own that of the nearest unit, or what covers it."""
    of: dict[int, dict[int, int]] = {}
    for atom, (b, u) in enumerate(zip(ground.building.tolist(), ground.unit.tolist(), strict=True)):
        if b >= 0:
            of.setdefault(b, {})[u] = atom
    atoms = np.full(len(building), -1, dtype=np.int64)
    for i, (b, u) in enumerate(zip(building.tolist(), unit.tolist(), strict=True)):
        if b in of:
            nearest = min(of[b], key=lambda v: (abs(v - u), v))
            atoms[i] = of[b][nearest]
    lost = np.flatnonzero(atoms < 0)
    if len(lost):
        faces = ground.lattice.to_wgs84(ground.faces)
        places = shapely.point_on_surface(job.footprints[building[lost]])
        atoms[lost] = ground.atom_of_face[shapely.STRtree(faces).nearest(places)]
    return atoms


def _opened(site: _Site) -> list[Finding]:
    """Buildings over the maximum of the grid: cut by staircases, or kept whole because the rules say so."""
    parts, found = site.parts, []
    limits = [Limits.of(t) for t in site.job.rules.grid_tiers if t.kind == "grid" and t.cell_of == "band"]
    high = min((limit.most for limit in limits if limit), default=np.inf)
    for b in np.flatnonzero(parts.households > high):
        params = {"households": int(parts.households[b]), "high": round(high), "units": int(parts.units[b])}
        if parts.is_cut[b]:
            code = "partition.building_cut_estimated" if parts.units_estimated[b] else "partition.building_cut"
        else:
            code = "partition.building_kept_whole"
        found.append(
            Finding(code, Severity.NOTE, "buildings", key=str(site.job.buildings["code"].iloc[b]), params=params)
        )
    for b in np.flatnonzero(parts.floors_estimated & (parts.households > _most_of_parts(site))):
        params = {"households": int(parts.households[b]), "floors": int(parts.floors[b])}
        key = str(site.job.buildings["code"].iloc[b])
        found.append(Finding("partition.floors_estimated", Severity.NOTE, "buildings", key=key, params=params))
    return found


def _most_of_parts(site: _Site) -> float:
    """Most households of a cell made of parts; infinite where no tier has such cells."""
    limits = [Limits.of(t) for t in site.job.rules.grid_tiers if t.kind == "micro_grid" and t.cell_of == "band"]
    return min((limit.most for limit in limits if limit), default=np.inf)


# --- Cutting ---------------------------------------------------------------------------------------------------------


def _cut(
    site: _Site, parent: Cell, tier: Tier, cancelled: Callable[[], bool] | None
) -> tuple[list[_Group], list[Finding]]:
    limits = Limits.of(tier)
    if tier.cell_of == "building":
        return _by_building(site, parent), []
    if tier.cell_of == "parent" or limits is None:
        return [_Group(parent.atoms)], []
    node_of = _nodes(site, parent, tier, limits)
    problem = _problem(site, parent, node_of, tier, limits)
    noticed = []
    if tier.kind == "grid":
        noticed = diagnose(problem, limits, layer=tier.name_zh, key=parent.code)
    seed = zlib.crc32(f"{site.job.seed}/{parent.code}/{tier.ordinal}".encode())
    effort = site.job.effort if tier.kind == "grid" else site.job.effort.for_parts()
    solution = solve(problem, seed=seed, effort=effort, cancelled=cancelled)
    label = solution.label[node_of]
    groups = [_Group(parent.atoms[label == number]) for number in range(solution.cells)]
    if tier.kind == "micro_grid":
        groups = [_stacked(site, group, limits) for group in groups]
    return groups, noticed


def _nodes(site: _Site, parent: Cell, tier: Tier, limits: Limits) -> IntArray:
    """Number the nodes of the graph over the parent's atoms: whole buildings, or parts where those are wanted."""
    owner = site.ground.building[parent.atoms]
    alone = np.full(len(parent.atoms), True)
    if tier.kind == "grid":
        here = sums(owner[owner >= 0], site.atom_households[parent.atoms][owner >= 0], owner.max(initial=0) + 1)
        opened = site.parts.is_cut[owner] if len(site.parts.is_cut) else np.zeros(len(owner), dtype=bool)
        alone = (owner < 0) | (opened & (here[owner] > limits.most))
    name = np.where(alone, -1 - np.arange(len(owner)), owner)
    return np.unique(name, return_inverse=True)[1].astype(np.int64)


def _problem(site: _Site, parent: Cell, node_of: IntArray, tier: Tier, limits: Limits) -> Problem:
    ground, atoms = site.ground, parent.atoms
    nodes = int(node_of.max()) + 1
    at = np.full(site.atoms, -1, dtype=np.int64)
    at[atoms] = node_of
    inner = (at[ground.a] >= 0) & (at[ground.b] >= 0)
    a, b = at[ground.a[inner]], at[ground.b[inner]]
    length, cost, walkable = ground.length_m[inner], ground.cut_cost_m[inner], ground.walkable[inner]
    within = a == b
    perimeter = sums(node_of, ground.perimeter_m[atoms], nodes)
    perimeter -= 2 * sums(a[within], length[within], nodes)
    low, high = np.minimum(a, b)[~within], np.maximum(a, b)[~within]
    pair, where = np.unique(low * nodes + high, return_inverse=True)
    area = sums(node_of, ground.area_m2[atoms], nodes)
    middle = np.column_stack(
        [sums(node_of, ground.middle_m[atoms, i] * ground.area_m2[atoms], nodes) / area for i in (0, 1)]
    )
    households = sums(node_of, site.atom_households[atoms], nodes)
    group = np.full(nodes, -1, dtype=np.int64)
    group[node_of] = _groups(site, atoms, tier)
    tall = np.zeros(nodes, dtype=bool)
    if tier.kind == "micro_grid":
        tall[node_of] = _tall(site, atoms, limits)
    return Problem(
        households, area, perimeter, middle, group, tall, pair // nodes, pair % nodes,
        sums(where, length[~within], len(pair)), sums(where, cost[~within], len(pair)),
        sums(where, walkable[~within], len(pair)) > 0,
        terms_for(tier, site.job.rules.weights, limits),
    )  # fmt: skip


def _groups(site: _Site, atoms: IntArray, tier: Tier) -> IntArray:
    """What should stay together: compounds in grids, buildings in micro-grids."""
    owner = site.ground.building[atoms]
    if tier.kind == "micro_grid" or not len(site.job.buildings):
        return owner
    code, known = pd.factorize(site.job.buildings["compound"])
    compound = np.where(owner >= 0, code[owner], -1)
    # A cut building outside every compound holds together as a compound of its own.
    opened = (owner >= 0) & (compound < 0) & site.parts.is_cut[owner]
    return np.where(opened, len(known) + owner, compound)


def _tall(site: _Site, atoms: IntArray, limits: Limits) -> NDArray[np.bool_]:
    """Atoms that may become a stack of floor bands: half a micro-grid or more, on several floors."""
    owner = site.ground.building[atoms]
    floors = np.where(owner >= 0, site.parts.floors[owner], 1) if len(site.parts.floors) else np.ones(len(owner))
    return np.asarray((site.atom_households[atoms] > limits.high / 2) & (floors >= LEAST_STACK_FLOORS))


def _stacked(site: _Site, group: _Group, limits: Limits) -> _Group:
    """Cut a group that holds a tower into floor bands."""
    inside = np.isin(site.atom, group.atoms) & (site.households > 0)
    total = int(site.households[inside].sum())
    if total <= limits.most or not _tall(site, group.atoms, limits).any():
        return group
    floors = site.parts.floors[site.building]
    profile = np.zeros(int(floors[inside].max()), dtype=np.int64)
    for i in np.flatnonzero(inside):
        profile[: floors[i]] += shares(int(site.households[i]), int(floors[i]))
    bands = floor_bands(profile, limits)
    return _Group(group.atoms, tuple(bands) if len(bands) > 1 else ())


def _by_building(site: _Site, parent: Cell) -> list[_Group]:
    """One cell an inhabited building; the other ground goes to the building that it leans on most."""
    ground, atoms = site.ground, parent.atoms
    cell = np.full(site.atoms, -1, dtype=np.int64)
    lived = np.isin(atoms, site.atom[site.households > 0])
    cell[atoms[lived]] = np.where(ground.building[atoms[lived]] >= 0, ground.building[atoms[lived]], -1)
    if not lived.any():
        return [_Group(parent.atoms)]
    held = np.zeros(site.atoms, dtype=bool)
    held[atoms] = True
    inner = np.flatnonzero(held[ground.a] & held[ground.b])
    weight = ground.length_m[inner] + 3 * ground.cut_cost_m[inner]
    while True:
        a, b = ground.a[inner], ground.b[inner]
        edge = np.flatnonzero((cell[a] < 0) != (cell[b] < 0))
        if not len(edge):
            break
        best = edge[np.lexsort((inner[edge], -weight[edge]))[0]]
        i, j = int(a[best]), int(b[best])
        if cell[i] < 0:
            cell[i] = cell[j]
        else:
            cell[j] = cell[i]
    lost = atoms[cell[atoms] < 0]
    if len(lost):  # ground that touches no inhabited building of the cell (islands)
        settled = atoms[cell[atoms] >= 0]
        for atom in lost:
            away = np.hypot(*(ground.middle_m[settled] - ground.middle_m[atom]).T)
            cell[atom] = cell[settled[away.argmin()]]
    return [_Group(atoms[cell[atoms] == number]) for number in np.unique(cell[atoms])]


# --- Numbers, polygons, parts ----------------------------------------------------------------------------------------


def _number(site: _Site, parent: Cell, groups: list[_Group], tier: Tier, *, top: bool) -> list[Cell]:
    """Give codes in reading order: rows from the north, each from the west; stacks from the ground up."""
    middle = np.array(
        [np.average(site.ground.middle_m[g.atoms], axis=0, weights=site.ground.area_m2[g.atoms]) for g in groups]
    )
    count = sum(max(len(group.bands), 1) for group in groups)
    digits = max(tier.code_digits, len(str(count)))
    cells: list[Cell] = []
    for number in reading_order(middle):
        group = groups[number]
        for band in group.bands or (None,):
            code = f"{parent.code}{len(cells) + 1:0{digits}d}"
            households = _living(site, group.atoms, band)
            cells.append(Cell(code, None if top else parent.code, group.atoms, households, band))
    return cells


def reading_order(middle_m: FloatArray) -> list[int]:
    """Order places as one reads: in rows from north to south, each from west to east."""
    count = len(middle_m)
    if count < 2:
        return list(range(count))
    rows = max(round(np.sqrt(count)), 1)
    south, north = middle_m[:, 1].min(), middle_m[:, 1].max()
    row = np.minimum(((north - middle_m[:, 1]) / max(north - south, 1e-9) * rows).astype(int), rows - 1)
    return [int(i) for i in np.lexsort((np.arange(count), middle_m[:, 0], row))]


def _living(site: _Site, atoms: IntArray, band: tuple[int, int] | None) -> int:
    inside = np.flatnonzero(np.isin(site.atom, atoms))
    if band is None:
        return int(site.households[inside].sum())
    return sum(_on_floors(site, int(i), band) for i in inside)


def _on_floors(site: _Site, dwelling: int, band: tuple[int, int]) -> int:
    """Households of a unit on the floors of a band."""
    floors = int(site.parts.floors[site.building[dwelling]])
    return int(shares(int(site.households[dwelling]), floors)[band[0] - 1 : band[1]].sum())


def _frame(site: _Site, cells: list[Cell]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "code": pd.array([c.code for c in cells], dtype="string"),
            "community": pd.array([site.job.code] * len(cells), dtype="string"),
            "parent": pd.array([c.parent for c in cells], dtype="string"),
            "households": np.array([c.households for c in cells], dtype=np.int64),
            "area_m2": [float(site.ground.area_m2[c.atoms].sum()) for c in cells],
            "floor_from": pd.array([c.floors[0] if c.floors else None for c in cells], dtype="Int64"),
            "floor_to": pd.array([c.floors[1] if c.floors else None for c in cells], dtype="Int64"),
        }
    )


def _polygons(site: _Site, cells: list[Cell]) -> Geometries:
    """Dissolve faces to cells; the cells of a stack get the same polygon."""
    number = np.full(site.atoms, -1, dtype=np.int64)
    shown = []
    for i, cell in enumerate(cells):
        if number[cell.atoms[0]] < 0:
            number[cell.atoms] = i
        shown.append(number[cell.atoms[0]])
    polygons = dissolve(site.ground.faces, number[site.ground.atom_of_face], len(cells))
    return np.asarray(site.ground.lattice.to_wgs84(polygons)[np.array(shown)], dtype=object)


def _parts(site: _Site, cells: list[Cell]) -> pd.DataFrame:
    """Every building's parts with the lowest cell of each."""
    of_atom: dict[int, list[Cell]] = {}
    for cell in cells:
        for atom in cell.atoms.tolist():
            of_atom.setdefault(atom, []).append(cell)
    rows: list[tuple[object, ...]] = []
    start = np.concatenate([[0], np.cumsum(site.parts.units)])
    for b, code in enumerate(site.job.buildings["code"]):
        rows += _building_parts(site, b, str(code), range(int(start[b]), int(start[b + 1])), of_atom)
    columns = ("building", "unit_from", "unit_to", "floor_from", "floor_to", "households", "units_estimated", "cell")
    frame = pd.DataFrame(rows, columns=list(columns))
    types = dict.fromkeys(("unit_from", "unit_to", "floor_from", "floor_to"), "Int64")
    return frame.astype({**types, "households": "int64", "units_estimated": "bool", "building": "string",
                         "cell": "string"})  # fmt: skip


def _building_parts(
    site: _Site, b: int, code: str, dwellings: range, of_atom: dict[int, list[Cell]]
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    units, floors = int(site.parts.units[b]), int(site.parts.floors[b])
    first = dwellings.start
    while first < dwellings.stop:
        cells = of_atom[int(site.atom[first])]
        last = first
        while last + 1 < dwellings.stop and of_atom[int(site.atom[last + 1])][0].code == cells[0].code:
            last += 1
        span = (first - dwellings.start + 1, last - dwellings.start + 1)
        unit_from, unit_to = (None, None) if span == (1, units) else span
        estimated = bool(site.parts.units_estimated[b]) and unit_from is not None
        run = range(first, last + 1)
        if len(cells) == 1 or not site.parts.households[b]:
            total = int(sum(site.households[i] for i in run))
            rows.append((code, unit_from, unit_to, None, None, total, estimated, cells[0].code))
        else:
            for cell in cells:
                assert cell.floors is not None
                if cell.floors[0] <= floors:
                    total = sum(_on_floors(site, i, cell.floors) for i in run)
                    top = min(cell.floors[1], floors)
                    rows.append((code, unit_from, unit_to, cell.floors[0], top, total, estimated, cell.code))
        first = last + 1
    return rows


def _out_of_band(site: _Site, parent: Cell, cells: list[Cell], tier: Tier) -> list[Finding]:
    limits = Limits.of(tier)
    if limits is None or tier.cell_of != "band":
        return []
    found = []
    for cell in cells:
        if limits.holds(cell.households):
            continue
        nodes: FloatArray = site.atom_households[cell.atoms]
        if tier.kind == "grid":
            owner = site.ground.building[cell.atoms]
            nodes = sums(owner[owner >= 0], nodes[owner >= 0]) if (owner >= 0).any() else nodes
        reason = explain(cell.households, nodes, parent.households, limits)
        params = {"households": cell.households, "low": round(limits.least), "high": round(limits.most)}
        code = f"partition.out_of_band.{reason}"
        found.append(Finding(code, Severity.NOTE, tier.name_zh, key=cell.code, params=params))
    return found
