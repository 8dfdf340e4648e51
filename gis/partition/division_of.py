"""A whole town: communities as independent jobs, in this process or spread over several, put together in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.coverage import stitched_wgs84
from gis.division import Division
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import Geometries
from gis.partition import kernel
from gis.partition.diagnosis_of_town import neighbours_of
from gis.partition.moves import moves
from gis.partition.proof import SETS_OF_EFFORT
from gis.partition.redraw import Locks, pasts_of, stated
from gis.partition.run import Answer, divide_community
from gis.partition.search import effort_named
from gis.partition.site import Job
from gis.rule_set import RuleSet
from gis.spreading import spread
from gis.town import WGS84, Town

LITTLE_WORK = 16_000  # buildings × restarts; starting processes costs about as much as dividing so many
COLUMNS = ("code", "households", "floors", "units", "height_m", "compound", "use")
NEAR_DEGREES = 1e-4


def divide_town(
    town: Town,
    rules: RuleSet,
    *,
    seed: int,
    effort: str,
    communities: Sequence[str] | None,
    processes: int | None,
    progress: Callable[[int, int, str], None] | None,
    cancelled: Callable[[], bool] | None,
    enough: Callable[[], bool] | None = None,
    previous: Division | None = None,
    stability: float = 0.5,
    locks: Locks | None = None,
    cluster: str | None = None,
    within: Callable[[int, float, float], None] | None = None,
) -> Division:
    """See `gis.partition.divide`."""
    jobs = jobs_of(town, rules, seed=seed, effort=effort, communities=communities)
    recipe = recipe_of(jobs, seed, effort)
    locks = locks or Locks()
    if previous is not None:
        pasts = pasts_of(previous, rules, stability=stability, locks=locks)
        if not pasts.keys() & {job.code for job in jobs}:
            raise InvalidInput("partition.other_plan")
        jobs = [replace(job, past=pasts.get(job.code)) for job in jobs]
        recipe["redraw"] = stated(stability, locks)
    elif locks:
        raise InvalidInput("partition.locks_without_plan")
    answers: dict[int, Answer] = {}
    few = processes is None and is_little(jobs)
    for number, answer in spread(
        divide_community,
        jobs,
        order=largest_first(jobs),
        processes=1 if few else processes,
        cluster=cluster,
        cancelled=cancelled,
        enough=enough,
        progress=within,
        warm=kernel.warm,
    ):
        answers[number] = answer
        if progress is not None:
            progress(len(answers), len(jobs), jobs[number].code)
    division = put_together([answers[i] for i in range(len(jobs))], rules, recipe)
    if previous is not None:
        recipe["redraw"]["moved"] = [dict(tier) for tier in moves(previous, division, town).tiers]
    return division


def is_little(jobs: Sequence[Job]) -> bool:
    """Whether the work is done sooner here than by processes that must be started first."""
    return sum(len(job.buildings) * job.effort.restarts for job in jobs) <= LITTLE_WORK


def jobs_of(
    town: Town, rules: RuleSet, *, seed: int, effort: str, communities: Sequence[str] | None = None
) -> list[Job]:
    """One job a community, with what stands and runs there; in the order of the town's communities."""
    chosen = _chosen(town, communities)
    zone = crs.zone_of(town.geo("communities"))
    search = effort_named(effort)
    beside = neighbours_of(town, zone)
    buildings, barriers, compounds = town["buildings"], town["barriers"], town["compounds"]
    home = buildings["community"].astype("string").to_numpy() if len(buildings) else np.empty(0, dtype=object)
    housing = dict(zip(compounds["code"].astype(str), compounds["housing_class"], strict=True))
    jobs = []
    for code, outline in zip(chosen["code"].astype(str), chosen.geometry, strict=True):
        here = buildings[np.asarray(home == code, dtype=bool)]
        near_barriers = _near(barriers, outline)
        jobs.append(
            Job(
                code=code,
                outline=outline,
                buildings=pd.DataFrame(
                    {c: here[c].to_numpy() for c in COLUMNS}
                    | {"housing_class": here["compound"].astype(object).map(housing).to_numpy(dtype=object)}
                ),
                footprints=_geometries(here),
                barriers=_geometries(near_barriers),
                barrier_kinds=tuple(near_barriers["kind"].astype(str)),
                compounds=_geometries(_near(compounds, outline)),
                rules=rules,
                zone=zone,
                seed=seed,
                effort=search,
                neighbours=beside[code],
                prove=SETS_OF_EFFORT[effort],
            )
        )
    return jobs


def largest_first(jobs: Sequence[Job]) -> list[int]:
    """An order in which no long job is left for the end."""
    return sorted(range(len(jobs)), key=lambda i: (-len(jobs[i].buildings), i))


def _chosen(town: Town, codes: Sequence[str] | None) -> gpd.GeoDataFrame:
    frame = town.geo("communities")
    if not len(frame):
        raise InvalidInput("partition.no_communities")
    if codes is None:
        return frame
    unknown = sorted(set(codes) - set(frame["code"]))
    if unknown:
        raise InvalidInput("partition.unknown_community", codes=unknown)
    return frame[frame["code"].isin(list(codes))]


def _near(frame: pd.DataFrame, outline: shapely.Geometry) -> pd.DataFrame:
    if not len(frame):
        return frame
    geometry = _geometries(frame)
    kept = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    kept &= shapely.intersects(geometry, shapely.buffer(outline, NEAR_DEGREES))
    return frame[kept]


def _geometries(frame: pd.DataFrame) -> Geometries:
    if not isinstance(frame, gpd.GeoDataFrame):
        return np.empty(0, dtype=object)
    return np.asarray(frame.geometry.to_numpy(), dtype=object)


# --- Putting together ------------------------------------------------------------------------------------------------


def recipe_of(jobs: Sequence[Job], seed: int, effort: str) -> dict[str, Any]:
    """What is needed to make a division again."""
    return {
        "seed": seed,
        "effort": effort,
        "zone": jobs[0].zone if jobs else None,
        "communities": [job.code for job in jobs],
        "search": {name: getattr(jobs[0].effort, name) for name in jobs[0].effort.__dataclass_fields__},
        "versions": {"shapely": shapely.__version__, "geos": shapely.geos_version_string, "numpy": np.__version__},
    }


def put_together(answers: Sequence[Answer], rules: RuleSet, recipe: dict[str, Any]) -> Division:
    cells = []
    tiers = range(len(rules.grid_tiers))
    # Neighbouring communities get each other's corners on their common border: the town is one coverage.
    stitched = stitched_wgs84(
        [np.concatenate([answer.geometry[depth] for answer in answers]) for depth in tiers],
        [np.repeat(np.arange(len(answers)), [len(answer.geometry[depth]) for answer in answers]) for depth in tiers],
    )
    for depth, geometry in zip(tiers, stitched, strict=True):
        frame = pd.concat([answer.cells[depth] for answer in answers], ignore_index=True)
        cells.append(gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(geometry, crs=WGS84)))
    parts = pd.concat([answer.parts for answer in answers], ignore_index=True)
    findings: list[Finding] = [finding for answer in answers for finding in answer.findings]
    recipe["cost"] = _costs(answers, rules)
    proofs = {str(answer.cells[0]["community"].iloc[0]): dict(answer.proof) for answer in answers if answer.proof}
    if proofs:
        recipe["proofs"] = proofs
    if any(answer.is_cut_short for answer in answers):
        recipe["is_cut_short"] = True
        findings.append(Finding("partition.cut_short", Severity.NOTE, "communities"))
    return Division(rules, tuple(cells), parts, tuple(findings), recipe)


def _costs(answers: Sequence[Answer], rules: RuleSet) -> dict[str, dict[str, float]]:
    """The cost of each tier by terms, over all communities."""
    tiers: dict[str, dict[str, float]] = {}
    for depth, tier in enumerate(rules.grid_tiers):
        terms: dict[str, float] = {}
        for answer in answers:
            for term, cost in answer.costs[depth].items():
                terms[term] = terms.get(term, 0.0) + cost
        tiers[tier.name_zh] = {term: round(cost, 1) for term, cost in terms.items()}
    return tiers
