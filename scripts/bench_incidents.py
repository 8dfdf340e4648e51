"""``wangge bench incidents``: lists, counts and tiles of a million incidents, as the pages ask for them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import numpy as np
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from gis import listing
from gis.db import unit_of_work
from gis.listing import IncidentFilter, Window
from gis.permissions import EVERYWHERE
from scripts import incident_rows
from scripts.bench_database import BenchDatabase, bench_database
from scripts.program import Program, pass_program, print_json
from tiles.layers import read_sql

Ask = Callable[[Session], Any]
_INDEX = re.compile(r"(?:Index(?: Only)? Scan(?: Backward)? using|Bitmap Index Scan on) (\w+)")
_OURS = re.compile(r"(idx|ix|pk)_incident_(?!category$)")
_TABLES = re.compile(r"Seq Scan on (incident(?:_tally|_event)?)\b")


@click.command("incidents")
@click.option("--rows", type=click.IntRange(1000, 20_000_000), default=1_000_000, show_default=True)
@click.option("--repeat", type=click.IntRange(1, 1000), default=10, show_default=True, help="Times that each is asked.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(program: Program, rows: int, repeat: int, as_json: bool) -> None:
    """Fill a throw-away database with two years of incidents and ask what the pages ask.

    \b
    By an administrator, a dispatcher of the street and one of a community, each question of other places and times
    every time it is asked. The indexes are those of the plans that PostgreSQL made.
    """
    with bench_database(program.settings, buildings_of_a_cell=1) as town:
        began = time.monotonic()
        incident_rows.fill(town.engine, rows)
        filled_s = round(time.monotonic() - began, 1)
        figures = [_measured(town.engine, name, asks, repeat) for name, asks in _questions(town)]
    worst = max(figure["p95_ms"] for figure in figures)
    if as_json:
        print_json({"rows": rows, "filled_s": filled_s, "worst_p95_ms": worst, "questions": figures})
        return
    program.say("bench.incidents", rows=f"{rows:,}", seconds=filled_s, worst=worst)
    for figure in figures:
        whole = f" · reads {', '.join(figure['read_whole'])} whole" if figure["read_whole"] else ""
        indexes = ", ".join(figure["indexes"])
        click.echo(f"{figure['question']:44}{figure['p50_ms']:>9} {figure['p95_ms']:>9} ms  {indexes}{whole}")


def _measured(engine: Engine, name: str, asks: Callable[[np.random.Generator], Ask], repeat: int) -> dict[str, Any]:
    draw, times = np.random.default_rng(1), []
    for _ in range(repeat):
        ask = asks(draw)
        with unit_of_work(engine) as session:
            began = time.perf_counter()
            ask(session)
            times.append((time.perf_counter() - began) * 1000)
    plans = _plans(engine, asks(draw))
    return {
        "question": name,
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
        "indexes": sorted({index for plan in plans for index in _INDEX.findall(plan) if _OURS.match(index)}),
        "read_whole": sorted({table for plan in plans for table in _TABLES.findall(plan)}),
    }


def _plans(engine: Engine, ask: Ask) -> list[str]:
    """The plans of all that a question asks the database."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, params: Any, _context: Any, _many: bool) -> None:
        if "incident" in statement and not statement.startswith("EXPLAIN"):
            asked.append((statement, params))

    with unit_of_work(engine) as session:
        event.listen(engine, "before_cursor_execute", note)
        try:
            ask(session)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        connection = session.connection()
        return [
            "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", params))
            for statement, params in asked
        ]


def _questions(town: BenchDatabase) -> Iterator[tuple[str, Callable[[np.random.Generator], Ask]]]:
    now = datetime.now(UTC)
    bounds = town.coverage.bounds
    who = {"administrator": EVERYWHERE, "street": town.paths[0].rpartition(".")[0], "community": town.paths[3]}
    with unit_of_work(town.engine) as session:
        grids = list(session.execute(text("SELECT id FROM grids_in_force ORDER BY id")).scalars())
        categories = list(session.execute(text("SELECT code FROM incident_category ORDER BY code")).scalars())

    plain = Window(limit=200)
    questions: dict[str, Callable[..., Ask]] = {
        "list, last 7 days, 1,000 rows": _listed(
            lambda _: Window(limit=1000), lambda _: IncidentFilter(since=now - timedelta(days=7))
        ),
        "list, any period": _listed(lambda _: plain, lambda draw: IncidentFilter(**_period(draw))),
        "list, open": _listed(lambda _: plain, lambda _: IncidentFilter(is_open=True)),
        "list, status": _listed(lambda _: plain, lambda _: IncidentFilter(status=("dispatched", "in_progress"))),
        "list, category and period": _listed(
            lambda _: plain, lambda draw: IncidentFilter(category=str(draw.choice(categories)), **_period(draw))
        ),
        "list, grid": _listed(lambda _: plain, lambda draw: IncidentFilter(grid_id=int(draw.choice(grids)))),
        "list, box of a street corner": _listed(
            lambda draw: Window(limit=200, bbox=_box(draw, bounds, 0.02)), lambda _: IncidentFilter()
        ),
        "list, box of half the town": _listed(
            lambda draw: Window(limit=200, bbox=_box(draw, bounds, 0.5)), lambda _: IncidentFilter()
        ),
        **{
            f"counts by {by}, any period": _counted(by, lambda draw: IncidentFilter(**_period(draw)))
            for by in ("grid", "community", "category", "status")
        },
        "counts by grid, ever": _counted("grid", lambda _: IncidentFilter()),
        **{f"tile, zoom {z}": _tile(z, bounds) for z in (10, 13, 16)},
    }
    for role, scope in who.items():
        for name, asks in questions.items():
            yield f"{role}: {name}", lambda draw, asks=asks, scope=scope: asks(draw, scope)  # type: ignore[misc]


def _period(draw: np.random.Generator) -> dict[str, Any]:
    days = np.sort(draw.uniform(0, 730, 2))
    return {
        "since": datetime.now(UTC) - timedelta(days=float(days[1])),
        "until": datetime.now(UTC) - timedelta(days=float(days[0])),
    }


def _box(
    draw: np.random.Generator, bounds: tuple[float, float, float, float], part: float
) -> tuple[float, float, float, float]:
    west, south, east, north = bounds
    x, y = draw.uniform(west, east - part * (east - west)), draw.uniform(south, north - part * (north - south))
    return float(x), float(y), float(x + part * (east - west)), float(y + part * (north - south))


def _listed(window: Callable[..., Window], wanted: Callable[..., IncidentFilter]) -> Callable[..., Ask]:
    def asks(draw: np.random.Generator, scope: str) -> Ask:
        there, narrowed = window(draw), wanted(draw)
        return lambda session: listing.incidents(session, there, scopes=[scope], wanted=narrowed)

    return asks


def _counted(by: Any, wanted: Callable[..., IncidentFilter]) -> Callable[..., Ask]:
    def asks(draw: np.random.Generator, scope: str) -> Ask:
        narrowed = wanted(draw)
        return lambda session: listing.counts(session, scopes=[scope], wanted=narrowed, by=by)

    return asks


def _tile(z: int, bounds: tuple[float, float, float, float]) -> Callable[..., Ask]:
    west, south, east, north = bounds

    def asks(draw: np.random.Generator, scope: str) -> Ask:
        x, y = _tile_of(draw.uniform(west, east), draw.uniform(south, north), z)
        params = {"z": z, "x": x, "y": y, "scopes": [scope], "at": datetime.now(UTC)}
        return lambda session: session.execute(text(read_sql("incidents")), params).scalar_one()

    return asks


def _tile_of(lon: float, lat: float, z: int) -> tuple[int, int]:
    n = 1 << z
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return int((lon + 180) / 360 * n), int(y * n)
