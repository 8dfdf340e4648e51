"""``wangge bench ground``: how fast ground is surveyed citywide, and whether it is a valid coverage."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import shapely

from gis import crs, demo
from gis.cleaning import clean
from gis.geometry import coverage_faults
from gis.partition import kernel
from gis.partition.division_of import jobs_of
from gis.partition.ground import Ground
from gis.partition.site import Job
from gis.partition.surveying import survey_all
from gis.rule_set import load_preset
from scripts.peer_environment import peer_python, run_ended
from scripts.program import Program, pass_program, print_json
from scripts.spent import Spent

MOMEPY = Path(__file__).parent / "peers" / "run_momepy.py"
APART_M = (9_000.0, 7_500.0)  # of demo towns laid beside each other
ABREAST = 3


@click.command("ground")
@click.option("--buildings", type=click.IntRange(min=1), default=16_200, show_default=True, help="At least.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--peers", is_flag=True, help="momepy's enclosed tessellation of the same ground, too.")
@click.option("--limit", "limit_s", type=float, default=900.0, show_default=True, help="Seconds for it.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(program: Program, buildings: int, processes: int, peers: bool, limit_s: float, as_json: bool) -> None:
    """Survey the ground of demo towns (seeds 1, 2, …) with so many buildings, and check it.

    \b
    Drawing, cleaning and checking are not counted. A community passes if its atoms tile it: no gap (also none
    narrower than 5 cm between atoms), no overlap, every edge shared.
    """
    towns = list(program.progress(_towns(buildings), label="towns"))
    jobs = [job for town in towns for job in town]
    kernel.warm()
    with Spent() as spent:
        surveyed = dict(survey_all(jobs, processes=processes))
    faults = [
        coverage_faults(ground.lattice.to_metric(ground.faces), _outline(job, ground))
        for job, ground in program.progress(_pairs(jobs, surveyed), label="check", total=len(jobs))
    ]
    figures: dict[str, Any] = {
        "buildings": sum(len(job.buildings) for job in jobs),
        "communities": len(jobs),
        "atoms": sum(len(ground.building) for ground in surveyed.values()),
        "borders": sum(len(ground.a) for ground in surveyed.values()),
        "processes": processes,
        **spent.figures(),
        "gap_m2": sum(fault.gap_m2 for fault in faults),
        "overlap_m2": sum(fault.overlap_m2 for fault in faults),
        "invalid_communities": sum(not fault.is_valid for fault in faults),
    }
    if peers:
        figures["momepy"] = _momepy(towns, processes, limit_s)
    if as_json:
        print_json(figures)
    else:
        _print(program, figures)


def _towns(buildings: int) -> Iterator[list[Job]]:
    total = 0
    for seed in count(1):
        if total >= buildings:
            return
        town, _ = clean(demo.make_town(seed=seed))
        jobs = jobs_of(town, load_preset("bishan"), seed=1, effort="draft")
        total += sum(len(job.buildings) for job in jobs)
        yield jobs


def _pairs(jobs: Sequence[Job], surveyed: dict[int, Ground]) -> list[tuple[Job, Ground]]:
    return [(job, surveyed[number]) for number, job in enumerate(jobs)]


def _outline(job: Job, ground: Ground) -> shapely.Geometry:
    return ground.lattice.to_metric(ground.lattice.from_wgs84(np.array([job.outline], dtype=object)))[0]


def _momepy(towns: Sequence[Sequence[Job]], processes: int, limit_s: float) -> dict[str, Any]:
    """The same ground by momepy; towns laid beside each other, since they all are in one place."""
    layers: dict[str, list[Any]] = {"buildings": [], "barriers": [], "limit": []}
    for number, jobs in enumerate(towns):
        shift = np.array([number % ABREAST * APART_M[0], number // ABREAST * APART_M[1]])
        layers["limit"] += _moved([shapely.union_all([job.outline for job in jobs])], jobs[0].zone, shift)
        barriers = {line.wkb: line for job in jobs for line in job.barriers}  # those on a border are in two jobs
        layers["barriers"] += _moved(list(barriers.values()), jobs[0].zone, shift)
        for job in jobs:
            layers["buildings"] += _moved(list(job.footprints), job.zone, shift)
    with tempfile.TemporaryDirectory(prefix="wangge-momepy-") as folder:
        source, out = Path(folder) / "ground.gpkg", Path(folder) / "out.json"
        for name, shapes in layers.items():
            gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4550").to_file(source, layer=name, engine="pyogrio")
        said, is_over = run_ended([str(peer_python()), str(MOMEPY), str(source), str(out), str(processes)], limit_s)
        with suppress(OSError, ValueError):
            return dict(json.loads(out.read_text(encoding="utf-8")))
    return {"error": f"> {limit_s:.0f} s" if is_over else said}


def _moved(shapes: list[shapely.Geometry], zone: int, shift: np.ndarray) -> list[shapely.Geometry]:
    return list(shapely.transform(np.array(shapes, dtype=object), lambda xy: crs.points_to_metric(xy, zone) + shift))


def _print(program: Program, figures: dict[str, Any]) -> None:
    shown = {name: round(value, 1) if isinstance(value, float) else value for name, value in figures.items()}
    click.echo(program.sentence("bench.ground", **shown))
    if "momepy" in figures:
        other = figures["momepy"]
        if "error" in other:
            click.echo(program.sentence("bench.momepy_failed", reason=other["error"]))
        else:
            click.echo(
                program.sentence(
                    "bench.momepy", **other | {name: round(other[name], 1) for name in ("seconds", "cpu_seconds")}
                )
            )
