"""A community with who lives on which piece of its ground, and the graphs that are cut from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.errors import InvalidInput
from gis.geometry import FloatArray, Geometries, IntArray, sums
from gis.partition.ground import BARRIER_CLASS, Ground, Plot, survey
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.redraw import Memory, Past, kept_units, locked_grounds, majority, remember, repairing
from gis.partition.search import Effort
from gis.partition.units import Parts, plan_parts
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
        Columns code, households, floors, units, height_m, compound, use, housing_class; positions are building
        numbers.
    footprints : array of polygons, shape (buildings,)
    barriers : array of lines
    barrier_kinds : tuple of str
    compounds : array of polygons
        Outlines that cells follow where nothing else speaks against it.
    zone : int
        EPSG code of the metric system.
    past : Past or None
        The plan in force, where this is a redraw.
    neighbours : mapping of str to (float, float) or None
        Households of the communities beside this one, and the metres between their middles.
    prove : int
        How many sets of nodes a proof of the grids may look at; 0 for no proof.
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
    past: Past | None = None
    neighbours: Mapping[str, tuple[float, float]] | None = None
    prove: int = 0


@dataclass(frozen=True)
class Cell:
    """A cell while it is made: its atoms, and its floors where it is one of a stack."""

    code: str
    parent: str | None
    atoms: IntArray
    households: int
    floors: tuple[int, int] | None = None


@dataclass(frozen=True)
class Site:
    """A community's atoms with who lives there.

    Attributes
    ----------
    building, unit, atom, households : int arrays, shape (dwellings,)
        One entry a building's unit: where it stands and who lives there.
    is_split : bool array, shape (buildings,)
        Buildings whose parts may not be put together, because a lock holds them in several grids.
    memory : Memory or None
        The plan in force, where this is a redraw.
    """

    job: Job
    parts: Parts
    ground: Ground
    building: IntArray
    unit: IntArray
    atom: IntArray
    households: IntArray
    atom_households: FloatArray = field(repr=False)
    is_split: NDArray[np.bool_] = field(repr=False)
    memory: Memory | None = None

    @property
    def atoms(self) -> int:
        return len(self.ground.building)


# --- Ground and people -----------------------------------------------------------------------------------------------


def parts_of(job: Job) -> tuple[Parts, NDArray[np.bool_]]:
    """The parts that each building may be cut into, and which buildings locks hold in several grids."""
    bands = [(tier, Limits.of(tier)) for tier in job.rules.grid_tiers if tier.cell_of == "band"]
    whole = [limits for tier, limits in bands if limits and tier.kind == "grid"]
    small = [limits for tier, limits in bands if limits and tier.kind == "micro_grid"]
    parts = plan_parts(
        job.buildings,
        _metric(job),
        grid=min(whole, key=lambda limits: limits.most) if whole else None,
        micro=small[-1] if small else None,
        keep_whole=job.rules.keep_buildings_whole,
    )
    if job.past is None:
        return parts, np.zeros(len(parts.units), dtype=bool)
    return kept_units(parts, job.buildings, job.past)


def plot_of(job: Job, parts: Parts) -> Plot:
    """What stands on a community's ground, as the survey needs it."""
    classes = np.array([BARRIER_CLASS[kind] for kind in job.barrier_kinds], dtype=np.int64)
    is_wall = np.array([kind == "wall" for kind in job.barrier_kinds], dtype=bool)
    parcels = np.empty(0, dtype=object) if job.past is None else locked_grounds(job.past)
    return Plot(job.outline, job.footprints, parts.units, job.barriers, classes, is_wall, job.compounds, parcels)


def settle(job: Job) -> Site:
    """Survey the ground, and put every building's units on their atoms."""
    parts, is_split = parts_of(job)
    ground = survey(plot_of(job, parts), job.zone)
    building = np.repeat(np.arange(len(parts.units)), parts.units)
    unit = np.concatenate([np.arange(n) for n in parts.units]) if len(parts.units) else np.empty(0, dtype=np.int64)
    households = (
        np.concatenate([parts.unit_households(b) for b in range(len(parts.units))])
        if len(parts.units)
        else np.empty(0, dtype=np.int64)
    )
    atom = _atoms_of(job, ground, building, unit)
    atom_households = sums(atom, households, len(ground.building))
    memory = None
    if job.past is not None:
        memory = remember(job.past, ground, job.buildings, building, unit, parts.units, atom, households)
    return Site(job, parts, ground, building, unit, atom, households, atom_households, is_split, memory)


def _metric(job: Job) -> Geometries:
    if not len(job.footprints):
        return job.footprints
    return np.asarray(shapely.transform(job.footprints, lambda xy: crs.points_to_metric(xy, job.zone)), dtype=object)


def _atoms_of(job: Job, ground: Ground, building: IntArray, unit: IntArray) -> IntArray:
    """The atom of each unit; of a unit without ground of its own that of the nearest unit, or what covers it."""
    of: dict[int, dict[int, int]] = {}
    for atom in np.argsort(ground.area_m2, kind="stable").tolist():  # the largest last, which wins
        if ground.building[atom] >= 0:
            of.setdefault(int(ground.building[atom]), {})[int(ground.unit[atom])] = atom
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


# --- Graphs ----------------------------------------------------------------------------------------------------------


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
    site = settle(job)
    whole = Cell(job.code, None, np.arange(site.atoms), int(site.households.sum()))
    node_of = nodes_of(site, whole, tier, limits)
    problem = problem_of(site, whole, node_of, job.rules.grid_tiers.index(tier), job.rules)
    nodes = len(problem.households)
    a, b = node_of[site.ground.a], node_of[site.ground.b]
    name = np.minimum(a, b) * nodes + np.maximum(a, b)
    border = np.searchsorted(problem.a * nodes + problem.b, name[a != b])  # the problem keeps its borders in this order
    return problem, sums(border, site.ground.barrier_m[a != b], len(problem.a))


def nodes_of(site: Site, parent: Cell, tier: Tier, limits: Limits) -> IntArray:
    """Number the nodes of the graph over the parent's atoms: whole buildings, or parts where those are wanted."""
    owner = site.ground.building[parent.atoms]
    alone = np.full(len(parent.atoms), True)
    if tier.kind == "grid":
        here = sums(owner[owner >= 0], site.atom_households[parent.atoms][owner >= 0], owner.max(initial=0) + 1)
        opened, split = (
            mask[owner] if len(mask) else np.zeros(len(owner), dtype=bool)
            for mask in (site.parts.is_cut, site.is_split)
        )
        alone = (owner < 0) | (opened & ((here[owner] > limits.most) | split))
    # A building does not hold together across the border of ground that is locked.
    parcel = site.ground.parcel[parent.atoms]
    name = np.where(alone, -1 - np.arange(len(owner)), owner * (parcel.max() + 2) + parcel + 1)
    return np.unique(name, return_inverse=True)[1].astype(np.int64)


def problem_of(site: Site, parent: Cell, node_of: IntArray, depth: int, rules: RuleSet) -> Problem:
    ground, atoms, tier = site.ground, parent.atoms, rules.grid_tiers[depth]
    limits = Limits.of(tier)
    assert limits is not None
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
        tall[node_of] = tall_atoms(site, atoms, limits)
    past, held, weights = _past(site, parent, node_of, depth, rules)
    staying = 0.0 if past is None or site.memory is None else site.memory.past.weight
    return Problem(
        households, area, perimeter, middle, group, tall, pair // nodes, pair % nodes,
        sums(where, length[~within], len(pair)), sums(where, cost[~within], len(pair)),
        sums(where, walkable[~within], len(pair)) > 0,
        repairing(terms_for(tier, weights, limits), staying),
        mix=_mix(site, parent, node_of) if tier.kind == "grid" else None, past=past, held=held,
    )  # fmt: skip


def weight_of(site: Site, parent: Cell) -> FloatArray:
    """What an atom counts where most decide: its households, and its ground where none have any."""
    ground = site.ground.area_m2[parent.atoms]
    return np.asarray(site.atom_households[parent.atoms] + 1e-6 * ground / max(float(ground.sum()), 1e-9))


def _past(
    site: Site, parent: Cell, node_of: IntArray, depth: int, rules: RuleSet
) -> tuple[IntArray | None, IntArray | None, Mapping[str, float]]:
    """The past cell of each node, what is held, and the weights with that of a moved household."""
    memory, tier = site.memory, rules.grid_tiers[depth]
    home = None if memory is None else memory.cell(depth, parent.atoms)
    # A reward for change (`gis.partition.alternatives`) is for grids alone.
    if memory is None or home is None or (memory.past.weight < 0 and tier.kind == "micro_grid"):
        return None, None, rules.weights
    nodes = int(node_of.max()) + 1
    known = np.where(memory.was_there[parent.atoms], home, -1)
    past = majority(node_of, known, weight_of(site, parent), nodes)
    held = np.zeros(nodes, dtype=np.int64)
    np.maximum.at(held, node_of, memory.held[depth][parent.atoms])
    kind = "micro_grid" if tier.kind == "micro_grid" else "grid"
    return past, held, {**rules.weights, f"{kind}.stability": memory.past.weight}


def _mix(site: Site, parent: Cell, node_of: IntArray) -> FloatArray | None:
    """Households of each node by housing class and use; ``None`` where all are alike."""
    frame = site.job.buildings
    words = frame["housing_class"].fillna("unknown").astype(str) + "/" + frame["use"].fillna("residential").astype(str)
    kind, kinds = pd.factorize(words, sort=True)
    at = np.full(site.atoms, -1, dtype=np.int64)
    at[parent.atoms] = node_of
    here = np.flatnonzero(at[site.atom] >= 0)
    mix = np.zeros((int(node_of.max()) + 1, max(len(kinds), 1)))
    np.add.at(mix, (at[site.atom[here]], kind[site.building[here]]), site.households[here])
    mix = mix[:, mix.any(axis=0)]
    return np.ascontiguousarray(mix) if mix.shape[1] > 1 else None


def _groups(site: Site, atoms: IntArray, tier: Tier) -> IntArray:
    """What should stay together: compounds in grids, buildings in micro-grids."""
    owner = site.ground.building[atoms]
    if tier.kind == "micro_grid" or not len(site.job.buildings):
        return owner
    code, known = pd.factorize(site.job.buildings["compound"])
    compound = np.where(owner >= 0, code[owner], -1)
    # A cut building outside every compound holds together as a compound of its own.
    opened = (owner >= 0) & (compound < 0) & site.parts.is_cut[owner]
    return np.where(opened, len(known) + owner, compound)


def tall_atoms(site: Site, atoms: IntArray, limits: Limits) -> NDArray[np.bool_]:
    """Atoms that may become a stack of floor bands: half a micro-grid or more, on several floors."""
    owner = site.ground.building[atoms]
    floors = np.where(owner >= 0, site.parts.floors[owner], 1) if len(site.parts.floors) else np.ones(len(owner))
    return np.asarray((site.atom_households[atoms] > limits.high / 2) & (floors >= LEAST_STACK_FLOORS))
