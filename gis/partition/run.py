"""One community from ground to cells: reads like the method's description.

`divide_community` is pure (a picklable `Job` in, a picklable `Answer` out), so communities can be spread over
processes or machines in any order with the same result.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.division import Division
from gis.findings import Finding, Severity
from gis.geometry import Geometries, IntArray, sums
from gis.partition.cells import Group, frame_of, numbered, parts_table, polygons_of
from gis.partition.costs import breakdown
from gis.partition.diagnosis import Known, Study, counts_that_fit, diagnose, explain_cell, remedy, tower
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.proof import Proof, certify
from gis.partition.redraw import FIXED, FREE, Past, lock_findings, majority, recoded, solve_from, start_labels
from gis.partition.search import Effort, Solution, solve
from gis.partition.site import Cell, Job, Site, graph_of, nodes_of, problem_of, settle, tall_atoms, weight_of
from gis.partition.units import floor_bands, shares
from gis.rule_set import RuleSet, Tier
from gis.spreading import Signals
from gis.town import WGS84

__all__ = ["Answer", "Job", "divide_community", "graph_of", "with_old_codes"]

MOST_PROVING = 900.0  # seconds for one community; the limit by sets comes first, and gives the same answer each time
AT_ONCE = Effort(1, 0, 0, 1.0, 1.0)  # the quick start alone, when there is to be no more searching


@dataclass(frozen=True)
class Answer:
    """Cells of every grid tier of one community, top first, with geometry; parts; what was noticed.

    Attributes
    ----------
    costs : tuple of mapping
        For each grid tier the cost by terms, as the search saw it.
    is_cut_short : bool
        Whether the search was told that it was enough.
    proof : mapping, optional
        What was proven of the grids (`gis.partition.proof.Proof.stated`).
    """

    cells: tuple[pd.DataFrame, ...]
    geometry: tuple[Geometries, ...]
    parts: pd.DataFrame
    findings: tuple[Finding, ...]
    costs: tuple[Mapping[str, float], ...] = ()
    is_cut_short: bool = False
    proof: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Cut:
    """What came of one cell above: groups of atoms, what was noticed, the cost by terms; the problem, if there was."""

    groups: list[Group]
    findings: list[Finding] = field(default_factory=list)
    costs: Mapping[str, float] = field(default_factory=dict)
    study: Study | None = None
    node_of: IntArray | None = None
    proof: Proof | None = None


class _Unwatched:
    """Nobody waits: never enough, nobody to tell."""

    def enough(self) -> bool:
        return False

    def progress(self, share: float, best: float) -> None:
        pass


def divide_community(job: Job, signals: Signals | None = None) -> Answer:
    """Cut one community into the cells of every grid tier of its rule set."""
    signals = signals or _Unwatched()
    site = settle(job)
    answer = divided(site, signals)
    return answer if job.past is None else with_old_codes(job, job.past, answer)


def divided(site: Site, signals: Signals) -> Answer:
    """Cut a community whose ground is surveyed, with the codes as drawn."""
    job, rules = site.job, site.job.rules
    findings = list(_opened(site))
    above = [Cell(job.code, None, np.arange(site.atoms), int(site.households.sum()))]
    tiers: list[list[Cell]] = []
    costs: list[dict[str, float]] = []
    proof: Proof | None = None
    for depth, tier in enumerate(rules.grid_tiers):
        here: list[Cell] = []
        spent: dict[str, float] = {}
        for number, parent in enumerate(above):
            told = _Progress(signals, (depth + number / len(above)) / len(rules.grid_tiers),
                             1 / len(above) / len(rules.grid_tiers))  # fmt: skip
            cut = _cut(site, parent, depth, rules, told)
            cells = numbered(site, parent, cut.groups, tier, top=depth == 0)
            findings += cut.findings + _out_of_band(site, parent, cells, cut, depth)
            for term, cost in cut.costs.items():
                spent[term] = spent.get(term, 0.0) + cost
            here += cells
            proof = cut.proof or proof
        tiers.append(here)
        costs.append(spent)
        above = here
    frames = tuple(frame_of(site, cells) for cells in tiers)
    geometry = tuple(polygons_of(site, cells) for cells in tiers)
    cut_short = signals.enough()
    proven = None if proof is None else proof.stated()
    return Answer(frames, geometry, parts_table(site, tiers[-1]), tuple(findings), tuple(costs), cut_short, proven)


@dataclass(frozen=True)
class _Progress:
    """A part of a community's work, told as a share of the whole."""

    signals: Signals
    before: float
    share: float

    def __call__(self, share: float, best: float) -> None:
        self.signals.progress(self.before + self.share * share, best)


def with_old_codes(job: Job, past: Past, answer: Answer) -> Answer:
    """Rename cells that continue one of the plan in force, and the others to what was never used."""
    frames = tuple(
        gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(shapes, crs=WGS84))
        for frame, shapes in zip(answer.cells, answer.geometry, strict=True)
    )
    name = recoded(Division(job.rules, frames, answer.parts), past, job.code)
    cells = tuple(
        frame.assign(
            code=frame["code"].map(name).astype("string"),
            parent=frame["parent"].map(name).astype("string") if depth else frame["parent"],
        )
        for depth, frame in enumerate(answer.cells)
    )
    parts = answer.parts.assign(cell=answer.parts["cell"].map(name).astype("string"))
    findings = [replace(f, key=name.get(f.key or "", f.key)) for f in answer.findings]
    findings += lock_findings(past, job.buildings)
    return replace(answer, cells=cells, parts=parts, findings=tuple(findings))


# --- Cutting ---------------------------------------------------------------------------------------------------------


def _cut(site: Site, parent: Cell, depth: int, rules: RuleSet, told: _Progress) -> _Cut:
    tier = rules.grid_tiers[depth]
    limits = Limits.of(tier)
    if tier.cell_of == "building":
        return _Cut(_by_building(site, parent))
    if tier.cell_of == "parent" or limits is None:
        return _Cut([Group(parent.atoms)])
    node_of = nodes_of(site, parent, tier, limits)
    problem = problem_of(site, parent, node_of, depth, rules)
    study = Study(problem, limits, _known(site, parent, node_of, tier))
    noticed = []
    if tier.kind == "grid":
        noticed = diagnose(problem, limits, layer=tier.name_zh, key=parent.code, known=study.known)
        noticed += _left_by_locks(problem, limits, tier, parent)
    start = _start(site, parent, problem, node_of, depth)
    label = None if start is None else _as_it_was(site, parent, problem, start, depth)
    if label is None:
        label = _searched(site, parent, problem, start, tier, told)
    proof = None
    if depth == 0 and tier.kind == "grid" and site.job.prove > 0 and not told.signals.enough():
        proof = certify(problem, Solution(label, 0.0), seconds=MOST_PROVING, most_sets=site.job.prove,
                        cancelled=told.signals.enough)  # fmt: skip
        label = label if proof.label is None else proof.label
    costs = {term: float(cost.sum()) for term, cost in breakdown(problem, label).items()}
    ruled = terms_for(tier, rules.weights, limits)
    costs["outside"] *= ruled.outside / max(problem.terms.outside, 1e-9)  # a redraw prices it higher
    groups = [Group(parent.atoms[label[node_of] == number]) for number in range(int(label.max()) + 1)]
    if tier.kind == "micro_grid":
        groups = [_stacked(site, group, depth, limits) for group in groups]
    return _Cut(groups, noticed, costs, study, node_of, proof)


def _known(site: Site, parent: Cell, node_of: IntArray, tier: Tier) -> Known:
    """Whose the nodes are, and by how many staircases they could still be cut."""
    rules, nodes = site.job.rules, int(node_of.max()) + 1
    owner = np.full(nodes, -1, dtype=np.int64)
    np.maximum.at(owner, node_of, site.ground.building[parent.atoms])
    codes = np.append(site.job.buildings["code"].astype(str).to_numpy(dtype=object), "")
    units = np.ones(nodes, dtype=np.int64)
    if tier.kind == "grid" and len(site.parts.units):
        whole = (owner >= 0) & ~site.parts.is_cut[owner] & (site.parts.households[owner] > 0)
        units[whole] = np.maximum(site.parts.units[owner[whole]], 2)
    return Known(
        names=codes[owner].tolist(), units=units, keep_whole=rules.keep_buildings_whole, towers_told=True,
        neighbours=site.job.neighbours,
    )  # fmt: skip


def _left_by_locks(problem: Problem, limits: Limits, tier: Tier, parent: Cell) -> list[Finding]:
    """Ground between fixed cells that can be divided in no way."""
    if problem.held is None or not (problem.held == FIXED).any():
        return []
    a, b, _ = problem.links
    free = problem.held != FIXED
    kept = free[a] & free[b]
    n = len(free)
    piece = connected_components(coo_array((np.ones(int(kept.sum())), (a[kept], b[kept])), shape=(n, n)))[1]
    size = sums(piece[free], problem.households[free])
    band = {"low": round(limits.least), "high": round(limits.most)}
    return [
        Finding("partition.locks_leave", Severity.NOTE, tier.name_zh, key=parent.code,
                params={"households": round(float(total)), **band})
        for total in size if total > 0 and not counts_that_fit(float(total), limits)
    ]  # fmt: skip


def _searched(
    site: Site, parent: Cell, problem: Problem, start: IntArray | None, tier: Tier, told: _Progress
) -> IntArray:
    seed = zlib.crc32(f"{site.job.seed}/{parent.code}/{tier.ordinal}".encode())
    effort = site.job.effort if tier.kind == "grid" else site.job.effort.for_parts()
    if told.signals.enough():
        effort = AT_ONCE
    enough = told.signals.enough
    if start is not None and tier.kind == "grid":
        return solve_from(problem, start, seed=seed, effort=effort, cancelled=enough, progress=told).label
    return solve(problem, seed=seed, effort=effort, start=start, cancelled=enough, progress=told).label


def _start(site: Site, parent: Cell, problem: Problem, node_of: IntArray, depth: int) -> IntArray | None:
    """The plan in force as labels to begin from; nothing where it has no such tier or nothing of it is to stay."""
    memory = site.memory
    if memory is None or problem.held is None:
        return None
    if memory.past.weight <= 0 and not (problem.held > FREE).any():
        return None
    home = memory.cell(depth, parent.atoms)
    assert home is not None
    nodes = len(problem.households)
    return start_labels(problem, majority(node_of, home, weight_of(site, parent), nodes), problem.held)


def _as_it_was(site: Site, parent: Cell, problem: Problem, start: IntArray, depth: int) -> IntArray | None:
    """The plan in force where a lock or nothing to better lets it stay; else ``None``."""
    memory, tier = site.memory, site.job.rules.grid_tiers[depth]
    limits = Limits.of(tier)
    assert memory is not None
    assert limits is not None
    assert problem.held is not None
    label = np.unique(start, return_inverse=True)[1].astype(np.int64)
    if (problem.held == FIXED).all():
        return label
    lived = site.atom_households[parent.atoms] > 0
    if tier.kind == "grid" or memory.past.weight <= 0 or not memory.was_there[parent.atoms][lived].all():
        return None
    if memory.past.tiers[depth] != len(memory.past.division.cells) - 1:
        return None
    place = memory.place[parent.atoms]
    here = sums(place, site.atom_households[parent.atoms], len(memory.locked))
    in_all = sums(memory.place, site.atom_households, len(memory.locked))
    size = sums(label, problem.households)
    bands = [len(memory.bands[p]) or 1 if p < len(memory.bands) else 1 for p in start.tolist()]
    stacked = sums(label, np.array(bands, dtype=float)) / sums(label, np.ones(len(label)))
    fits = all(limits.holds(h / n) for h, n in zip(size, stacked, strict=True))
    unchanged = (here[np.unique(place)] == in_all[np.unique(place)]).all()
    return label if fits and unchanged and len(np.unique(start)) == len(np.unique(place)) else None


def _stacked(site: Site, group: Group, depth: int, limits: Limits) -> Group:
    """Cut a group that holds a tower into floor bands; into those of the plan in force where they still do."""
    inside = np.isin(site.atom, group.atoms) & (site.households > 0)
    total = int(site.households[inside].sum())
    before = _bands_before(site, group, depth)
    if before and _is_fixed(site, group, depth):
        return Group(group.atoms, before)
    if total <= limits.most or not tall_atoms(site, group.atoms, limits).any():
        return group
    floors = site.parts.floors[site.building]
    profile = np.zeros(int(floors[inside].max()), dtype=np.int64)
    for i in np.flatnonzero(inside):
        profile[: floors[i]] += shares(int(site.households[i]), int(floors[i]))
    if before and before[-1][1] == len(profile) and all(limits.holds(profile[a - 1 : b].sum()) for a, b in before):
        return Group(group.atoms, before)
    bands = floor_bands(profile, limits)
    return Group(group.atoms, tuple(bands) if len(bands) > 1 else ())


def _bands_before(site: Site, group: Group, depth: int) -> tuple[tuple[int, int], ...]:
    """The floor bands of the one past cell that a group is, with the floors there now; empty where it is none."""
    memory = site.memory
    if memory is None or memory.past.tiers[depth] != len(memory.past.division.cells) - 1:
        return ()
    atoms = group.atoms[site.atom_households[group.atoms] > 0]
    place = np.unique(memory.place[atoms])
    if len(place) != 1 or not memory.was_there[atoms].all():
        return ()
    floors = int(site.parts.floors[site.building[np.isin(site.atom, atoms)]].max())
    bands = [(low, min(high, floors)) for low, high in memory.bands[int(place[0])] if low <= floors]
    return (*bands[:-1], (bands[-1][0], floors)) if bands else ()


def _is_fixed(site: Site, group: Group, depth: int) -> bool:
    return site.memory is not None and bool((site.memory.held[depth][group.atoms] == FIXED).all())


def _by_building(site: Site, parent: Cell) -> list[Group]:
    """One cell an inhabited building; the other ground goes to the building that it leans on most."""
    ground, atoms = site.ground, parent.atoms
    cell = np.full(site.atoms, -1, dtype=np.int64)
    lived = np.isin(atoms, site.atom[site.households > 0])
    cell[atoms[lived]] = np.where(ground.building[atoms[lived]] >= 0, ground.building[atoms[lived]], -1)
    if not lived.any():
        return [Group(parent.atoms)]
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
    return [Group(atoms[cell[atoms] == number]) for number in np.unique(cell[atoms])]


# --- What was noticed ------------------------------------------------------------------------------------------------


def _opened(site: Site) -> list[Finding]:
    """Buildings over the maximum of the grid: cut by staircases, or kept whole because the rules say so."""
    parts, found = site.parts, []
    limits = [Limits.of(t) for t in site.job.rules.grid_tiers if t.kind == "grid" and t.cell_of == "band"]
    high = min((limit.most for limit in limits if limit), default=np.inf)
    for b in np.flatnonzero(parts.households > high):
        params: dict[str, Any] = {
            "households": int(parts.households[b]), "high": round(high), "units": int(parts.units[b])
        }  # fmt: skip
        if parts.is_cut[b]:
            code = "partition.building_cut_estimated" if parts.units_estimated[b] else "partition.building_cut"
        else:
            code = "partition.building_kept_whole"
            params |= _remedy_of_tower(site, float(parts.households[b]))
        found.append(
            Finding(code, Severity.NOTE, "buildings", key=str(site.job.buildings["code"].iloc[b]), params=params)
        )
    for b in np.flatnonzero(parts.floors_estimated & (parts.households > _most_of_parts(site))):
        params = {"households": int(parts.households[b]), "floors": int(parts.floors[b])}
        key = str(site.job.buildings["code"].iloc[b])
        found.append(Finding("partition.floors_estimated", Severity.NOTE, "buildings", key=key, params=params))
    return found


def _remedy_of_tower(site: Site, households: float) -> dict[str, Any]:
    """What would help a building over the maximum that is not cut."""
    rules = site.job.rules
    tier = min(
        (t for t in rules.grid_tiers if t.kind == "grid" and t.cell_of == "band" and Limits.of(t) is not None),
        key=lambda t: t.households_max or np.inf,
    )
    limits = Limits.of(tier)
    assert limits is not None
    terms = terms_for(tier, rules.weights, limits)
    keep = rules.keep_buildings_whole
    return remedy(tower(households, limits, terms, units=None if keep else 1, keep_whole=keep))


def _most_of_parts(site: Site) -> float:
    """Most households of a cell made of parts; infinite where no tier has such cells."""
    limits = [Limits.of(t) for t in site.job.rules.grid_tiers if t.kind == "micro_grid" and t.cell_of == "band"]
    return min((limit.most for limit in limits if limit), default=np.inf)


def _out_of_band(site: Site, parent: Cell, cells: list[Cell], cut: _Cut, depth: int) -> list[Finding]:
    """Cells out of their band, each with its reason and what would help."""
    tier = site.job.rules.grid_tiers[depth]
    if cut.study is None or cut.node_of is None:
        return []
    found = []
    out = [cell for cell in cells if not cut.study.limits.holds(cell.households)]
    least_out = 0 if cut.proof is None else cut.proof.out_of_band_bound
    for cell in out:
        members = np.unique(cut.node_of[np.isin(parent.atoms, cell.atoms)])
        reason = explain_cell(
            cut.study, members, cell.households, out=len(out), least_out=least_out, is_stacked=cell.floors is not None
        )
        code, params = reason.code, {**reason.params, **remedy(reason.relaxations)}
        if not reason.is_proven and _is_locked(site, cell, depth, cut.study.limits):
            code = "locked"
        found.append(
            Finding(f"partition.out_of_band.{code}", Severity.NOTE, tier.name_zh, key=cell.code, params=params)
        )
    return found


def _is_locked(site: Site, cell: Cell, depth: int, limits: Limits) -> bool:
    """Whether a cell is out of its band because it, or more of it than fits, is locked."""
    if site.memory is None:
        return False
    held = site.memory.held[depth][cell.atoms]
    stays = float(site.atom_households[cell.atoms[held > FREE]].sum())
    return bool((held == FIXED).all()) or stays > limits.most
