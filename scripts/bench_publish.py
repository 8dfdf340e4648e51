"""``wangge bench publish``: a plan is published under load, and every process answers by it; how soon, and what failed.

Two processes serve; wrk asks for cells all the while. The time runs from the commit of the publication to the last
answer by the plan before, seen over connections opened anew, so that each process is asked.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.in_force import in_force
from gis.responsibility.responsibility import load
from scripts import bench_servers
from scripts.bench_coverage import uniform_points
from scripts.bench_database import BenchDatabase, bench_database, draft_again, publish
from scripts.bench_online import AT
from scripts.load import Load, measure
from scripts.program import Program, pass_program, print_json

WORKERS = 2
IN_A_ROW = 60
"""So many answers by the new plan, over as many connections, count as all processes."""
LIMIT_S = 600.0
UNCHECKED_FROM = 5_000
"""From so many grids on the draft's ground is not checked before it is published, since made-up ground has no faults,
and a cell has one building: filling the database takes longer than all that is measured."""


@click.command("publish")
@click.option("--grids", default=600, show_default=True, help="Grids of the town, with five micro-grids each.")
@click.option("--seconds", default=10.0, show_default=True, help="Load round the publication.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, grids: int, seconds: float, as_json: bool) -> None:
    """Publish a plan under load: how soon every process answers by it, and how many requests failed."""
    buildings = 1 if grids >= UNCHECKED_FROM else 2
    with bench_database(program.settings, grids=grids, buildings_of_a_cell=buildings) as town:
        told = measured(program, town, seconds=seconds)
    if as_json:
        print_json(told)
    else:
        click.echo(program.sentence("bench.publish", **_rounded(told), **_rounded(told["load"])))


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in told.items()}


def measured(program: Program, town: BenchDatabase, *, seconds: float) -> dict[str, Any]:
    """The figures of one publication."""
    grids = len(town.coverage.grids)
    draft = draft_again(town)
    headers = {"Cookie": f"wangge_session={town.tokens['all']}"}
    points = uniform_points(town.coverage, 500).tolist()
    found: list[Load] = []
    with bench_servers.running("ours", town.url, program.settings.home, workers=WORKERS) as address:
        urls = [f"{address}{AT}?lon={lon!r}&lat={lat!r}" for lon, lat in points]
        _until_all(urls[0], headers, town.plan_id)
        load_on = threading.Thread(target=lambda: found.append(measure(urls, seconds=seconds, headers=headers)))
        load_on.start()
        began = time.monotonic()
        publish(town, draft, is_checked=grids < UNCHECKED_FROM)
        committed = time.monotonic()
        last_old = _until_all(urls[0], headers, draft)
        load_on.join()
    made_s, swap_ms = _made(town)
    return {
        "grids": grids,
        "micro_grids": len(town.coverage.micro_grids),
        "workers": WORKERS,
        "transaction_s": committed - began,
        "all_answer_s": max(0.0, last_old - committed),
        "made_s": made_s,
        "swap_ms": swap_ms,
        "failed": sum(load.errors for load in found),
        "load": asdict(found[0]),
    }


def _until_all(url: str, headers: dict[str, str], plan_id: int) -> float:
    """Wait until answers come by a plan alone; gives when the last other one came."""
    ends, last_other, row = time.monotonic() + LIMIT_S, time.monotonic(), 0
    parts = urlsplit(url)
    while row < IN_A_ROW:
        with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
            connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
            told = json.loads(connection.getresponse().read())
        if told.get("plan_id") == plan_id:
            row += 1
        else:
            row, last_other = 0, time.monotonic()
        if time.monotonic() > ends:
            raise Unavailable("bench.load_failed", url=url, said=str(told)[:200])
    return last_other


def _made(town: BenchDatabase) -> tuple[float, float]:
    """Seconds to make a version from nothing, and milliseconds to map, warm and take one that is made."""
    with unit_of_work(town.engine) as session:
        found = in_force(session, datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix="wangge-bench-") as folder:
        store = ArtifactStore(Path(folder))
        began = time.perf_counter()
        load(store, town.engine, found)
        made = time.perf_counter()
        load(store, town.engine, found)
        return made - began, (time.perf_counter() - made) * 1e3
