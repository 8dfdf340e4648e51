"""``wangge bench live``: reports over HTTP until every open stream has heard them, beside the least that could do so.

The server is ``wangge serve`` in a process of its own, the listeners another (`scripts.live_load`). The ceiling in the
same run is a row with a notice that psycopg hears and asyncio writes to plain sockets: no HTTP, no rights, no replay.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from sqlalchemy import text

from gis import incidents
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.permissions import SYSTEM
from gis.settings import ROOT
from scripts.bench_database import BenchDatabase, bench_database
from scripts.live_load import Wish
from scripts.program import Program, pass_program, print_json

BARE = Path(__file__).parent / "peers" / "bare_broadcast.py"
START_S = 120.0
SETTLE_S = 6.0
"""Until what the server makes of the plan in force does not compete with the first reports any more."""
OUTSIDERS = 5
COLUMNS = (
    "p50_ms",
    "p99_ms",
    "max_ms",
    "storm_p99_ms",
    "answered_p50_ms",
    "answered_p99_ms",
    "lost",
    "twice",
    "replayed",
    "leaked",
)


@click.command("live")
@click.option("--listeners", type=click.IntRange(1, 20_000), default=500, show_default=True)
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=20.0, show_default=True, help="Reports a second.")
@click.option("--seconds", type=click.FloatRange(1, 3600), default=15.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(program: Program, listeners: int, rate: float, seconds: float, as_json: bool) -> None:
    """Report incidents at a steady rate and see when every listener has heard of each.

    \b
    Times begin when a report is due to be sent and end when a listener has it. A fifth of the listeners lose their
    connection twice, all at once, and come back with the last number seen: what they missed is counted as replayed, and
    times of these moments apart (storm). A few listeners more may see none of it: what they hear is counted as leaked.
    """
    with bench_database(program.settings, buildings_of_a_cell=1) as town:
        wish = _wish(town, listeners=listeners, rate=rate, seconds=seconds)
        with _served(town, program.settings.home) as (port, pid):
            time.sleep(SETTLE_S)
            _listen(Wish(**asdict(wish) | {"port": port, "listeners": 20, "seconds": 4.0, "run": uuid4().hex[:8]}))
            before_mb = _memory_mb(pid)
            ours = _listen(Wish(**asdict(wish) | {"port": port}))
            ours |= {"memory_mb": _memory_mb(pid), "memory_before_mb": before_mb}
        with _bare(town) as port:
            ceiling = _listen(Wish(**asdict(wish) | {"port": port, "conninfo": town.url, "outsiders": 0}))
    ratio = round(ours["p99_ms"] / ceiling["p99_ms"], 2) if ours["p99_ms"] and ceiling["p99_ms"] else None
    figures = {"ours": ours, "ceiling": ceiling, "p99_ratio": ratio}
    if as_json:
        print_json(figures)
        return
    program.say("bench.live", listeners=listeners, rate=rate, reports=ours["reports"], ratio=ratio)
    click.echo(f"{'':14}" + "".join(f"{name:>17}" for name in COLUMNS))
    for name, row in (("wangge serve", ours), ("ceiling", ceiling)):
        click.echo(
            f"{name:14}" + "".join(f"{row[column] if row[column] is not None else '–':>17}" for column in COLUMNS)
        )


def _wish(town: BenchDatabase, *, listeners: int, rate: float, seconds: float) -> Wish:
    """Reports lie where the account ``half`` may not see them."""
    with unit_of_work(town.engine) as session:
        incidents.store_categories(session, actor=SYSTEM, now=session.execute(text("SELECT now()")).scalar_one())
        points = session.execute(
            text(
                "SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_PointOnSurface(g.geom) AS p FROM micro_grids_in_force AS g"
                " INNER JOIN admin_area AS a ON a.id = g.community_id WHERE a.path::text = ANY(:paths)"
                " ORDER BY g.id LIMIT 200) AS places"
            ),
            {"paths": town.paths[1::2]},
        ).all()
        category = session.execute(text("SELECT min(code) FROM incident_category")).scalar_one()
    cookies = [f"wangge_session={town.tokens[name]}" for name in ("all", "half", "all")]
    return Wish(
        host="127.0.0.1", port=0, listeners=listeners, outsiders=OUTSIDERS, rate=rate, seconds=seconds,
        cookies=cookies, points=[(x, y) for x, y in points], category=category, run=uuid4().hex[:8],
    )  # fmt: skip


@contextmanager
def _served(town: BenchDatabase, home: Path) -> Iterator[tuple[int, int]]:
    """The service on the town's database: its port and process number."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "serve", "--no-worker", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "WANGGE_DATABASE_URL": town.url, "WANGGE_HOME": str(home)},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_S
        while not _is_well(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise Unavailable("bench.live_not_served")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def _is_well(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def _bare(town: BenchDatabase) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, str(BARE), town.url], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def _listen(wish: Wish) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.live_load"],
        cwd=ROOT,
        input=json.dumps(asdict(wish)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable("bench.live_failed", said=done.stderr.strip().rpartition("\n")[2][:300])
    return dict(json.loads(done.stdout))


def _memory_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)
