"""Several plans of one town that really differ, each with its emphasis, all scored by the rule set's own weights.

A community's ground is surveyed once. Where a plan comes out like an earlier one, the search is repeated with other
seeds and a reward for every household that is in another cell than there: the term of stability with its sign turned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
from scipy.optimize import linear_sum_assignment

from gis.division import Division
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import FloatArray
from gis.partition import kernel
from gis.partition.division_of import is_little, jobs_of, largest_first, put_together, recipe_of
from gis.partition.lineage import cell_numbers, part_pairs
from gis.partition.objectives import TERMS, Limits
from gis.partition.redraw import Past, remember
from gis.partition.run import Answer, divided
from gis.partition.site import Job, Site, settle
from gis.rule_set import RuleSet
from gis.spreading import Signals, spread
from gis.town import WGS84, Town

LEAST_DIFFERENCE = 0.05  # share of households in another grid
REWARDS = (1.5, 4.0, 10.0)  # for a household that is in another cell than in the plan nearest to this one, in turn
MOST_PLANS = 9


@dataclass(frozen=True, slots=True)
class Emphasis:
    """What a plan puts first: factors on the rule set's weights of grids, by term."""

    code: str
    name_zh: str
    name_en: str
    factors: Mapping[str, float]

    def applied(self, rules: RuleSet) -> RuleSet:
        """The rule set with this emphasis."""
        base = {term.code: term.grid for term in TERMS}
        weights = {
            f"grid.{term}": factor * float(rules.weights.get(f"grid.{term}", rules.weights.get(term, base[term])))
            for term, factor in self.factors.items()
        }
        return replace(rules, weights={**rules.weights, **weights})


EMPHASES: tuple[Emphasis, ...] = (
    Emphasis("as_ruled", "按规则集", "As the rule set says", {}),
    Emphasis("borders", "界线与小区优先", "Borders and compounds first", {"boundary": 2.5, "group_piece": 2.0}),
    Emphasis("equal_loads", "任务均衡优先", "Equal loads first", {"balance": 4.0}),
    Emphasis("walking", "便于服务优先", "Short walks first", {"reach": 3.0, "compactness": 2.0, "boundary": 0.7}),
    Emphasis("alike", "构成相似优先", "Like with like first", {"similarity": 6.0}),
)


@dataclass(frozen=True)
class Alternative:
    """One of several plans.

    Attributes
    ----------
    emphasis : Emphasis
    division : Division
        Its recipe names the emphasis; findings tell where it could not differ.
    cost : float
        Of the grids, by the rule set's own weights; how micro-grids come out in them says nothing of an emphasis.
    terms : mapping of str to float
        The same by terms.
    """

    emphasis: Emphasis
    division: Division
    cost: float
    terms: Mapping[str, float]


@dataclass(frozen=True)
class Alternatives:
    """Plans side by side.

    Attributes
    ----------
    difference : float array, shape (plans, plans)
        Share of households that are in another grid, grids matched so that as many as possible are not.
    """

    plans: tuple[Alternative, ...]
    difference: FloatArray

    def as_dict(self) -> dict[str, Any]:
        """Scores and differences as plain values."""
        return {
            "plans": [
                {
                    "emphasis": plan.emphasis.code, "name_zh": plan.emphasis.name_zh, "name_en": plan.emphasis.name_en,
                    "cost": round(plan.cost, 1), "terms": {t: round(c, 1) for t, c in plan.terms.items()},
                }
                for plan in self.plans
            ],
            "difference": [[round(float(value), 4) for value in row] for row in self.difference],
        }  # fmt: skip


@dataclass(frozen=True)
class _Task:
    """A community with the emphases that it is to be divided by."""

    job: Job
    emphases: tuple[Emphasis, ...]
    least: float


def divide_alternatives(
    town: Town,
    rules: RuleSet,
    *,
    count: int = 3,
    least_difference: float = LEAST_DIFFERENCE,
    seed: int = 0,
    effort: str = "draft",
    communities: Sequence[str] | None = None,
    processes: int | None = None,
    cluster: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    enough: Callable[[], bool] | None = None,
    within: Callable[[int, float, float], None] | None = None,
) -> Alternatives:
    """Make several plans that differ from one another in every community that allows it.

    Parameters
    ----------
    count : int
        2 to `MOST_PLANS`. The first is the plan that `gis.partition.divide` gives.
    least_difference : float
        Share of a community's households that is to be in another grid, between any two plans.

    Raises
    ------
    InvalidInput
        ``partition.bad_count``, and those of `gis.partition.divide`.
    """
    if not 2 <= count <= MOST_PLANS:
        raise InvalidInput("partition.bad_count", count=count, most=MOST_PLANS)
    emphases = tuple(EMPHASES[i % len(EMPHASES)] for i in range(count))
    jobs = jobs_of(town, rules, seed=seed, effort=effort, communities=communities)
    tasks = [_Task(job, emphases, least_difference) for job in jobs]
    few = processes is None and is_little(jobs)
    made: dict[int, list[Answer]] = {}
    for number, answers in spread(
        _plans_of, tasks, order=largest_first(jobs), processes=1 if few else processes, cluster=cluster,
        cancelled=cancelled, enough=enough, progress=within, warm=kernel.warm,
    ):  # fmt: skip
        made[number] = answers
        if progress is not None:
            progress(len(made), len(jobs), jobs[number].code)
    plans = []
    for i, emphasis in enumerate(emphases):
        recipe = {
            **recipe_of(jobs, seed, effort),
            "emphasis": {"code": emphasis.code, "factors": dict(emphasis.factors)},
        }
        division = put_together([made[number][i] for number in range(len(jobs))], rules, recipe)
        terms = _ruled_terms(division, emphasis)
        plans.append(Alternative(emphasis, division, sum(terms.values()), terms))
    return Alternatives(tuple(plans), _differences([plan.division for plan in plans]))


def _ruled_terms(division: Division, emphasis: Emphasis) -> dict[str, float]:
    """The cost by terms without the emphasis; each term is its weight times what it measures."""
    terms: dict[str, float] = {}
    for tier in division.rules.grid_tiers:
        priced = division.recipe["cost"].get(tier.name_zh, {}) if tier.kind == "grid" else {}
        for term, cost in priced.items():
            if term != "stability":
                terms[term] = terms.get(term, 0.0) + cost / emphasis.factors.get(term, 1.0)
    return terms


# --- One community ---------------------------------------------------------------------------------------------------


def _plans_of(task: _Task, signals: Signals) -> list[Answer]:
    """All plans of one community, on ground that is surveyed once."""
    return plans_on(settle(task.job), task.emphases, signals, least=task.least)


def plans_on(site: Site, emphases: Sequence[Emphasis], signals: Signals, *, least: float) -> list[Answer]:
    """A plan for each emphasis on surveyed ground, with the codes as drawn.

    Parameters
    ----------
    least : float
        Share of households by which any two are to differ; with 0 they come out as they come out.
    """
    task = _Task(site.job, tuple(emphases), least)
    made: list[Answer] = []
    for number, emphasis in enumerate(task.emphases):
        told = _Turn(signals, number / len(task.emphases), 1 / len(task.emphases))
        rules = emphasis.applied(task.job.rules)
        job = replace(task.job, rules=rules, seed=task.job.seed + 7919 * (number // len(EMPHASES)))
        # What is proven is proven of the rule set's own cost: of the first plan.
        turned = replace(site, job=job if number == 0 else replace(job, prove=0))
        answer = divided(turned, told)
        if made and least > 0:
            answer = _different(turned, answer, made, task, told)
        made.append(answer)
    return made


@dataclass(frozen=True)
class _Turn:
    """One plan of several, told as a share of the whole."""

    signals: Signals
    before: float
    share: float

    def enough(self) -> bool:
        return self.signals.enough()

    def progress(self, share: float, best: float) -> None:
        self.signals.progress(self.before + self.share * share, best)


def _different(site: Site, answer: Answer, made: Sequence[Answer], task: _Task, signals: Signals) -> Answer:
    """The answer, or one that differs enough from those before it and has no more cells out of band."""
    code, layer = task.job.code, site.job.rules.grid_tiers[_grid_depth(site.job.rules)].name_zh
    grids = _grid_depth(task.job.rules)
    if all(len(one.cells[grids]) == 1 for one in (answer, *made)):
        return replace(
            answer, findings=(*answer.findings, Finding("partition.one_way_only", Severity.NOTE, layer, key=code))
        )
    allowed = min(_outside(task.job.rules, one) for one in made)
    best, best_key = answer, _rank(task, answer, made, allowed)
    for turn, reward in enumerate(REWARDS, start=1):
        if best_key[0] == 0 or signals.enough():
            break
        nearest = min(made, key=lambda one: _difference(site.job, one, best))
        seed = site.job.seed + 104_729 * turn
        other = replace(site, job=replace(site.job, seed=seed), memory=_memory(site, nearest, reward))
        tried = divided(other, signals)
        key = _rank(task, tried, made, allowed)
        if key < best_key:
            best, best_key = tried, key
    if best_key[0] == 0:
        return best
    apart = [_difference(site.job, one, best) for one in made]
    params = {
        "first": int(np.argmin(apart)) + 1, "second": len(made) + 1,
        "asked": f"{task.least:.0%}", "found": f"{min(apart):.1%}",
    }  # fmt: skip
    return replace(
        best, findings=(*best.findings, Finding("partition.alike", Severity.NOTE, layer, key=code, params=params))
    )


def _rank(task: _Task, answer: Answer, made: Sequence[Answer], allowed: int) -> tuple[float, ...]:
    """The lower the better: 0 first where it differs enough and is as good; then cells out of band, and likeness."""
    outside = max(_outside(task.job.rules, answer) - allowed, 0)
    differs = min(_difference(task.job, one, answer) for one in made)
    return (0 if differs >= task.least and not outside else 1, outside, -min(differs, task.least))


def _grid_depth(rules: RuleSet) -> int:
    """The lowest tier of grids."""
    return max(i for i, tier in enumerate(rules.grid_tiers) if tier.kind == "grid")


def _outside(rules: RuleSet, answer: Answer) -> int:
    found = 0
    for tier, frame in zip(rules.grid_tiers, answer.cells, strict=True):
        limits = Limits.of(tier) if tier.cell_of == "band" and tier.kind == "grid" else None
        found += 0 if limits is None else sum(not limits.holds(float(h)) for h in frame["households"])
    return found


def _as_division(job: Job, answer: Answer) -> Division:
    cells = tuple(
        gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(shapes, crs=WGS84))
        for frame, shapes in zip(answer.cells, answer.geometry, strict=True)
    )
    return Division(job.rules, cells, answer.parts)


def _memory(site: Site, answer: Answer, reward: float) -> Any:
    """An earlier plan to keep away from."""
    past = Past(_as_division(site.job, answer), tuple(range(len(answer.cells))), -reward)
    return remember(
        past, site.ground, site.job.buildings, site.building, site.unit, site.parts.units, site.atom, site.households
    )


def _difference(job: Job, one: Answer, other: Answer) -> float:
    return difference(_as_division(job, one), _as_division(job, other))


# --- How much plans differ -------------------------------------------------------------------------------------------


def difference(one: Division, other: Division) -> float:
    """Share of households that are in another grid, grids matched so that as many as possible are in the same."""
    depth = _grid_depth(one.rules)
    pairs = part_pairs(one.parts, other.parts)
    i, j = pairs["old"].to_numpy(), pairs["new"].to_numpy()
    households = other.parts["households"].to_numpy(dtype=float)[j] * pairs["new_part"].to_numpy()
    if households.sum() == 0:
        return 0.0
    shared = np.zeros((len(one.cells[depth]), len(other.cells[depth])))
    np.add.at(shared, (cell_numbers(one, depth)[i], cell_numbers(other, depth)[j]), households)
    row, column = linear_sum_assignment(-shared)
    return float(1 - shared[row, column].sum() / shared.sum())


def _differences(divisions: Sequence[Division]) -> FloatArray:
    count = len(divisions)
    found = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            found[i, j] = found[j, i] = difference(divisions[i], divisions[j])
    return found
