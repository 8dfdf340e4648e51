"""A whole town: communities as independent jobs, in this process or spread over several, put together in order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.division import Division
from gis.errors import InvalidInput
from gis.findings import Finding
from gis.geometry import Geometries
from gis.partition import kernel
from gis.partition.run import Answer, Job, divide_community
from gis.partition.search import effort_named
from gis.rule_set import RuleSet
from gis.town import WGS84, Town

FEW_BUILDINGS = 600  # starting a process costs about as much as dividing so many
COLUMNS = ("code", "households", "floors", "units", "height_m", "compound")
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
) -> Division:
    """See `gis.partition.divide`."""
    jobs = jobs_of(town, rules, seed=seed, effort=effort, communities=communities)
    answers: dict[int, Answer] = {}
    for number, answer in _answers(jobs, _process_count(jobs, processes), cancelled):
        answers[number] = answer
        if progress is not None:
            progress(len(answers), len(jobs), jobs[number].code)
    return _put_together([answers[i] for i in range(len(jobs))], rules, _recipe(jobs, seed, effort))


def jobs_of(
    town: Town, rules: RuleSet, *, seed: int, effort: str, communities: Sequence[str] | None = None
) -> list[Job]:
    """One job a community, with what stands and runs there; in the order of the town's communities."""
    chosen = _chosen(town, communities)
    zone = crs.zone_of(town.geo("communities"))
    search = effort_named(effort)
    buildings, barriers, compounds = town["buildings"], town["barriers"], town["compounds"]
    home = buildings["community"].astype("string").to_numpy() if len(buildings) else np.empty(0, dtype=object)
    jobs = []
    for code, outline in zip(chosen["code"].astype(str), chosen.geometry, strict=True):
        here = buildings[np.asarray(home == code, dtype=bool)]
        near_barriers = _near(barriers, outline)
        jobs.append(
            Job(
                code=code,
                outline=outline,
                buildings=pd.DataFrame({c: here[c].to_numpy() for c in COLUMNS}),
                footprints=_geometries(here),
                barriers=_geometries(near_barriers),
                barrier_kinds=tuple(near_barriers["kind"].astype(str)),
                compounds=_geometries(_near(compounds, outline)),
                rules=rules,
                zone=zone,
                seed=seed,
                effort=search,
            )
        )
    return jobs


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


# --- Running ---------------------------------------------------------------------------------------------------------


def _process_count(jobs: list[Job], asked: int | None) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked is None:
        asked = cores if sum(len(job.buildings) for job in jobs) > FEW_BUILDINGS else 1
    # A daemonic process (a pool's worker) may not have children.
    alone = multiprocessing.current_process().daemon
    return 1 if alone else max(min(asked, len(jobs)), 1)


def _answers(jobs: list[Job], processes: int, cancelled: Callable[[], bool] | None) -> Iterator[tuple[int, Answer]]:
    if processes == 1:
        for number, job in enumerate(jobs):
            _stop_if(cancelled)
            yield number, divide_community(job, cancelled)
        return
    kernel.warm()  # so that the workers find the compiled search and do not compile it each
    # Largest first, so that no long one is left for the end. Spawned, because forking a process with threads is unsafe.
    order = sorted(range(len(jobs)), key=lambda i: (-len(jobs[i].buildings), i))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: dict[Any, int] = {pool.submit(divide_community, jobs[i]): i for i in order}
        try:
            while waiting:
                done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                _stop_if(cancelled)
                for future in done:
                    yield waiting.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise InvalidInput("partition.cancelled")


# --- Putting together ------------------------------------------------------------------------------------------------


def _recipe(jobs: list[Job], seed: int, effort: str) -> dict[str, Any]:
    return {
        "seed": seed,
        "effort": effort,
        "zone": jobs[0].zone if jobs else None,
        "communities": [job.code for job in jobs],
        "search": {name: getattr(jobs[0].effort, name) for name in jobs[0].effort.__dataclass_fields__},
        "versions": {"shapely": shapely.__version__, "geos": shapely.geos_version_string, "numpy": np.__version__},
    }


def _put_together(answers: list[Answer], rules: RuleSet, recipe: dict[str, Any]) -> Division:
    cells = []
    for depth in range(len(rules.grid_tiers)):
        frame = pd.concat([answer.cells[depth] for answer in answers], ignore_index=True)
        geometry = np.concatenate([answer.geometry[depth] for answer in answers])
        cells.append(gpd.GeoDataFrame(frame, geometry=gpd.GeoSeries(geometry, crs=WGS84)))
    parts = pd.concat([answer.parts for answer in answers], ignore_index=True)
    findings: list[Finding] = [finding for answer in answers for finding in answer.findings]
    return Division(rules, tuple(cells), parts, tuple(findings), recipe)
