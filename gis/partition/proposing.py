"""Proposals for a draft: other divisions of all of it, of chosen cells, or of as much as what is broken needs.

What is not to change is locked (`gis.partition.redraw.Locks`), so the ground of every other cell stays as it is. Where
only the broken is to be mended, its neighbours are freed ring by ring until a plan mends it or no more may be freed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import geopandas as gpd
import numpy as np
import shapely

from gis.division import Division
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import Geometries
from gis.partition import kernel
from gis.partition.alternatives import EMPHASES, Emphasis, plans_on
from gis.partition.division_of import is_little, jobs_of, largest_first, put_together, recipe_of
from gis.partition.objectives import Limits
from gis.partition.redraw import Locks, Past, pasts_of, stated
from gis.partition.run import Answer, with_old_codes
from gis.partition.site import Job, settle
from gis.rule_set import RuleSet
from gis.spreading import Signals, spread
from gis.town import Town

SCOPES = ("all", "selected", "broken")
MOST_ALTERNATIVES = 3
MOST_RINGS = 4  # of neighbours; farther away than that nothing helps a grid
TOUCH_DEGREES = 1e-7
PIECE_SHARE = 1e-4  # of a cell's ground: what is smaller is no piece of its own


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    scope : {"all", "selected", "broken"}
    chosen : frozenset of str
        Codes of cells of any grid tier: what is selected, or broken. Nothing for ``all``.
    locks : Locks
        Of the draft.
    stability : float
        0 (the best plan, whatever moves) to 1 (change only what is broken).
    count : int
        1 to `MOST_ALTERNATIVES`.
    """

    scope: str
    chosen: frozenset[str] = frozenset()
    locks: Locks = field(default_factory=Locks)
    stability: float = 0.5
    count: int = 1
    seed: int = 0
    effort: str = "draft"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise InvalidInput("proposal.bad_scope", scope=self.scope)
        if not 1 <= self.count <= MOST_ALTERNATIVES:
            raise InvalidInput("partition.bad_count", count=self.count, most=MOST_ALTERNATIVES)


@dataclass(frozen=True)
class Proposed:
    """One division with what it puts first; codes are those of the draft where a cell goes on."""

    emphasis: Emphasis
    division: Division


@dataclass(frozen=True)
class _Task:
    job: Job
    request: Request
    emphases: tuple[Emphasis, ...]


def grid_position(rules: RuleSet) -> int:
    """Position among the grid tiers of the lowest one of grids: what is freed and locked."""
    return max(i for i, tier in enumerate(rules.grid_tiers) if tier.kind == "grid")


def propose(
    town: Town,
    rules: RuleSet,
    previous: Division,
    request: Request,
    *,
    processes: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    within: Callable[[int, float, float], None] | None = None,
) -> tuple[Proposed, ...]:
    """Divide the communities of a draft again within what was asked for.

    Parameters
    ----------
    town : Town
        With the communities that are concerned, and no others.
    previous : Division
        The draft as it is.

    Raises
    ------
    InvalidInput
        Those of `gis.partition.divide`.
    """
    jobs = jobs_of(town, rules, seed=request.seed, effort=request.effort)
    pasts = pasts_of(previous, rules, stability=request.stability, locks=request.locks)
    emphases = EMPHASES[: request.count]
    tasks = [_Task(replace(job, past=pasts[job.code], prove=0), request, emphases) for job in jobs if job.code in pasts]
    if not tasks:
        raise InvalidInput("partition.other_plan")
    jobs = [task.job for task in tasks]
    made: dict[int, list[Answer]] = {}
    few = processes is None and is_little(jobs)
    for number, answers in spread(
        _plans_of, tasks, order=largest_first(jobs), processes=1 if few else processes, cancelled=cancelled,
        progress=within, warm=kernel.warm,
    ):  # fmt: skip
        made[number] = answers
        if progress is not None:
            progress(len(made), len(jobs), jobs[number].code)
    recipe = {**recipe_of(jobs, request.seed, request.effort), "redraw": stated(request.stability, request.locks)}
    return tuple(
        Proposed(
            emphasis, put_together([made[n][i] for n in range(len(jobs))], rules, {**recipe, "emphasis": emphasis.code})
        )
        for i, emphasis in enumerate(emphases)
    )


# --- One community ---------------------------------------------------------------------------------------------------


def _plans_of(task: _Task, signals: Signals) -> list[Answer]:
    """The plans of one community; where only what is broken is asked for, on as little ground as mends it."""
    past = task.job.past
    assert past is not None
    grids = _grids(past)
    free = _freed(past, task.request)
    if task.request.scope != "broken":
        return _on(task, past, free, signals)
    best: list[Answer] = []
    fewest: tuple[int, int] | None = None
    wrong = free
    for _ in range(MOST_RINGS + 1):
        made = _on(task, past, free, signals)
        faults = _faults(task.job.rules, made[0])
        if fewest is None or faults < fewest:
            best, fewest = made, faults
        wrong = _still_wrong(past, grids, made[0])
        wider = free | (_beside(grids, wrong) - set(past.locks.grids))
        if faults[0] == 0 or wider == free or signals.enough():
            break
        free = wider
    return best


def _grids(past: Past) -> gpd.GeoDataFrame:
    return past.division.cells[grid_position(past.division.rules)]


def _freed(past: Past, request: Request) -> set[str]:
    """Codes of the grids of a community that may change."""
    grids = set(_grids(past)["code"].astype(str))
    if request.scope == "all":
        return grids - set(past.locks.grids)
    position = grid_position(past.division.rules)
    wanted = set(request.chosen)
    for above, below in zip(past.division.cells[: position + 1], past.division.cells[1 : position + 1], strict=False):
        chosen_above = set(above["code"].astype(str)) & wanted
        wanted |= set(below["code"][below["parent"].isin(chosen_above)].astype(str))
    for below in reversed(past.division.cells[position + 1 :]):
        wanted |= set(below["parent"][below["code"].isin(wanted)].astype(str))
    return (wanted & grids) - set(past.locks.grids)


def _on(task: _Task, past: Past, free: set[str], signals: Signals) -> list[Answer]:
    """The plans of one community in which only some grids may change."""
    grids = set(_grids(past)["code"].astype(str))
    locks = replace(past.locks, grids=tuple(grids - free), micro_grids=_held_below(past, free, task.request))
    own = replace(past, locks=locks)
    job = replace(task.job, past=own)
    # Not forced apart: a reward for change would be paid in quality, and the emphases differ by themselves.
    made = plans_on(settle(job), task.emphases, signals, least=0.0)
    return [with_old_codes(job, own, answer) for answer in made]


def _held_below(past: Past, free: set[str], request: Request) -> tuple[str, ...]:
    """Lowest cells that stay: those locked, and in a grid of which only some are selected, the others."""
    held = set(past.locks.micro_grids)
    if request.scope == "selected" and len(past.division.cells) == grid_position(past.division.rules) + 2:
        low = past.division.cells[-1]
        picked = low[low["code"].isin(request.chosen)]
        partly = set(picked["parent"].astype(str)) & free - set(request.chosen)
        held |= set(low["code"][low["parent"].isin(partly) & ~low["code"].isin(request.chosen)].astype(str))
    return tuple(held)


# --- What is broken --------------------------------------------------------------------------------------------------


def broken(division: Division, unassigned: Mapping[str, str] | None = None) -> dict[str, str]:
    """Cells that are not as the rules ask, each with why: ``under``, ``over``, ``pieces`` or ``unassigned``.

    Parameters
    ----------
    unassigned : mapping of str to str, optional
        From buildings that lie in no cell to the lowest cell on whose ground they stand.
    """
    found: dict[str, str] = {}
    for tier, cells in zip(division.rules.grid_tiers, division.cells, strict=True):
        limits = Limits.of(tier) if tier.cell_of == "band" else None
        for code, households, shape in zip(cells["code"].astype(str), cells["households"], cells.geometry, strict=True):
            if limits is not None and not limits.holds(float(households)):
                found[code] = "under" if households < limits.least else "over"
            elif _pieces(shape) > 1:
                found[code] = "pieces"
    return {**dict.fromkeys((unassigned or {}).values(), "unassigned"), **found}


def _pieces(shape: shapely.Geometry) -> int:
    area = shapely.area(shapely.get_parts(shape))
    return int((area > PIECE_SHARE * area.sum()).sum())


def _faults(rules: RuleSet, answer: Answer) -> tuple[int, int]:
    """Cells out of band: grids, and all below them."""
    grids = below = 0
    for tier, frame in zip(rules.grid_tiers, answer.cells, strict=True):
        limits = Limits.of(tier) if tier.cell_of == "band" else None
        out = 0 if limits is None else sum(not limits.holds(float(h)) for h in frame["households"])
        grids, below = (grids + out, below) if tier.kind == "grid" else (grids, below + out)
    return grids, below


def _still_wrong(past: Past, grids: gpd.GeoDataFrame, answer: Answer) -> set[str]:
    """Grids of the draft on the ground of the new ones that are out of their band."""
    position = grid_position(past.division.rules)
    limits = Limits.of(past.division.rules.grid_tiers[position])
    if limits is None:
        return set()
    out = [not limits.holds(float(h)) for h in answer.cells[position]["households"]]
    shapes = answer.geometry[position][np.array(out, dtype=bool)]
    _, old = shapely.STRtree(_shapes(grids)).query(shapely.point_on_surface(shapes), predicate="intersects")
    return set(grids["code"].astype(str).to_numpy()[old])


def _beside(grids: gpd.GeoDataFrame, wrong: set[str]) -> set[str]:
    """Grids that share a border with any of some, or with what was freed beside them."""
    shapes, code = _shapes(grids), grids["code"].astype(str).to_numpy()
    here = shapes[np.isin(code, list(wrong))]
    _, other = shapely.STRtree(shapes).query(here, predicate="dwithin", distance=TOUCH_DEGREES)
    return set(code[np.unique(other)])


def _shapes(frame: gpd.GeoDataFrame) -> Geometries:
    return np.asarray(frame.geometry.to_numpy(), dtype=object)


def not_better(before: Mapping[str, str], after: Division) -> Finding | None:
    """A note where a proposal leaves as much broken as there was."""
    left = broken(after)
    if before and len(left) >= len(before):
        return Finding("proposal.not_better", Severity.NOTE, "communities", params={"before": len(before),
                                                                                   "after": len(left)})  # fmt: skip
    return None
