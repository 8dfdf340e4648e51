"""``wangge bench publish``: a plan is published under load, and every process answers by it; how soon, and what failed.

Two processes serve from their memory; wrk asks for cells all the while. The time runs from the commit of the
publication to the last answer and the last tile by the plan before, seen over connections opened anew, so that each
process is asked.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.in_force import in_force
from gis.responsibility.responsibility import load, store_of
from gis.settings import Settings
from scripts import bench_servers
from scripts.bench_coverage import uniform_points
from scripts.bench_database import BenchDatabase, bench_database, draft_again, publish
from scripts.bench_online import AT
from scripts.load import Load, measure
from scripts.program import Program, pass_program, print_json
from tiles.cells import world_of
from tiles.present import SHELF_KIND
from tiles.versions import name_of

WORKERS = 2
IN_A_ROW = 60
"""So many answers by the new plan, over as many connections, count as all processes."""
LIMIT_S = 600.0
PAUSE_S = 0.02
"""Between looks: they take from the cores that they wait for."""
TILE_ZOOM = 16
UNCHECKED_FROM = 5_000
"""From so many grids on the draft's ground is not checked before it is published, since made-up ground has no faults,
and a cell has one building: filling the database takes longer than all that is measured."""


@click.command("publish")
@click.option("--grids", default=600, show_default=True, help="Grids of the town, with five micro-grids each.")
@click.option("--seconds", default=10.0, show_default=True, help="Load round the publication.")
@click.option("--rate", default=0.0, help="Requests a second meanwhile; without, as many as are answered.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def command(program: Program, grids: int, seconds: float, rate: float, as_json: bool) -> None:
    """Publish a plan under load: how soon every process answers by it, and how many requests failed."""
    buildings = 1 if grids >= UNCHECKED_FROM else 2
    with bench_database(program.settings, grids=grids, buildings_of_a_cell=buildings) as town:
        told = measured(program, town, seconds=seconds, rate=rate)
    if as_json:
        print_json(told)
    else:
        click.echo(program.sentence("bench.publish", **_rounded(told), **_rounded(told["load"])))


def _rounded(told: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 2) if isinstance(value, float) else value for name, value in told.items()}


def measured(program: Program, town: BenchDatabase, *, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    """The figures of one publication."""
    grids = len(town.coverage.grids)
    draft = draft_again(town)
    headers = {"Cookie": f"wangge_session={town.tokens['all']}"}
    points = uniform_points(town.coverage, 500).tolist()
    found: list[Load] = []
    with bench_servers.running("ours", town.url, program.settings.home, workers=WORKERS) as address:
        urls = [f"{address}{AT}?lon={lon!r}&lat={lat!r}" for lon, lat in points]
        tile = address + _tile_of(*points[0])
        _until_all(lambda: json.loads(_asked(f"{address}/healthz", headers)[1])["version"] is not None)
        _until_all(lambda: _has_shelf(program.settings, town))
        old_tile = _asked(tile, headers)[0]
        asked = partial(measure, urls, seconds=seconds, headers=headers, rate=rate)
        load_on = threading.Thread(target=lambda: found.append(asked()))
        load_on.start()
        began = time.monotonic()
        publish(town, draft, is_checked=grids < UNCHECKED_FROM)
        committed = time.monotonic()
        last_old = _until_all(lambda: json.loads(_asked(urls[0], headers)[1])["plan_id"] == draft)
        last_tile = _until_all(lambda: _asked(tile, headers)[0] != old_tile)
        load_on.join()
    made_s, swap_ms = _made(town)
    return {
        "grids": grids,
        "micro_grids": len(town.coverage.micro_grids),
        "workers": WORKERS,
        "transaction_s": committed - began,
        "all_answer_s": max(0.0, last_old - committed),
        "all_tiles_s": max(0.0, last_tile - committed),
        "made_s": made_s,
        "swap_ms": swap_ms,
        "failed": sum(load.errors for load in found),
        "load": asdict(found[0]),
    }


def _until_all(is_so: Callable[[], bool]) -> float:
    """Wait until something is so however often it is asked, of every process; gives when it last was not."""
    ends, last_other, row = time.monotonic() + LIMIT_S, time.monotonic(), 0
    while row < IN_A_ROW:
        if is_so():
            row += 1
        else:
            row, last_other = 0, time.monotonic()
            time.sleep(PAUSE_S)
        if time.monotonic() > ends:
            raise Unavailable("bench.load_failed", url="-", said="another version after ten minutes")
    return last_other


def _asked(url: str, headers: dict[str, str]) -> tuple[str | None, bytes]:
    """ETag and body of an answer over a connection of its own, so that each process is asked."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.headers["etag"], answer.read()


def _tile_of(lon: float, lat: float) -> str:
    """The tile of micro-grids at a point, from near; it names the grid above each, so each plan has its own."""
    x, y = (int(unit) >> 12 for unit in world_of(np.array([[lon, lat]]), TILE_ZOOM)[0])
    return f"/tiles/micro_grids/{TILE_ZOOM}/{x}/{y}.mvt"


def _has_shelf(settings: Settings, town: BenchDatabase) -> bool:
    """Whether all tiles of the version in force are made."""
    with unit_of_work(town.engine) as session:
        key = in_force(session, datetime.now(UTC)).cells_key
    return store_of(settings).has(SHELF_KIND, name_of(key, 1000 * settings.tile_limit_kb))


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
