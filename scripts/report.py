"""``wangge report``: a plan as one self-contained file: a page to read and print, JSON, or a map to look around in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gis import embedded, plan_report, plan_review
from gis.db import make_engine, unit_of_work
from gis.division import Division
from gis.errors import InvalidInput, NotFound
from gis.exchange import folium_map, plan_file, plan_report_page, town_file
from gis.exchange.town_file import replacing
from gis.town import Town
from scripts.plan_reports import write
from scripts.program import Program, pass_program
from scripts.targets import check_ending, check_targets


@click.command()
@click.argument("plan")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write: .html or .json."
)
@click.option(
    "--town", type=click.Path(path_type=Path, exists=True), help="GeoPackage of the ground below a plan file."
)
@click.option("--title", help="Heading, for a plan file.")
@click.option("--map", "as_map", is_flag=True, help="An interactive map with figures instead of the report.")
@click.option("--lang", type=click.Choice(["zh", "en", "both"]), help="Shown first; the page holds both.")
@pass_program
def command(
    program: Program, plan: str, out: Path, town: Path | None, title: str | None, as_map: bool, lang: str | None
) -> None:
    """Write the report of PLAN: the number of a plan in the database, or a file that `wangge partition` wrote.

    What was asked, what was got, every cell out of band with its reason, what was proven, seed and versions. The file
    holds all it needs and opens without a network.
    """
    language = lang or program.language
    sources = [path for path in (Path(plan) if not plan.isdecimal() else None, town) if path is not None]
    check_ending(out, ".html", *(() if as_map else (".json",)))
    check_targets(sources, [(out, _is_page)])
    if as_map:
        with replacing(out) as file:
            file.write_text(_map(program, plan, town, title), encoding="utf-8")
    else:
        report, division, ground = _report(program, plan, town, title)
        write(out, report, division, ground, language=language)
    program.say("report.written", path=str(out), size_mb=f"{out.stat().st_size / 1e6:.1f}")


def _report(
    program: Program, plan: str, town: Path | None, title: str | None
) -> tuple[Mapping[str, Any], Division, Town]:
    if not plan.isdecimal():
        division = _division(plan)
        ground = _ground(town, division)
        return plan_report.collect(division, ground, title=title or Path(plan).stem), division, ground
    engine = make_engine(embedded.database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            return plan_review.report(session, int(plan))
    finally:
        engine.dispose()


def _is_page(path: Path) -> bool:
    """Whether a file is a report or a map, and so may be replaced."""
    return plan_report_page.is_one(path) or (path.suffix == ".html" and folium_map.is_one(path))


def _division(plan: str) -> Division:
    if not Path(plan).is_file():
        raise NotFound("import.no_file", path=plan)
    return plan_file.read(Path(plan))


def _ground(path: Path | None, division: Division) -> Town:
    """The town below a plan.

    Raises
    ------
    InvalidInput
        ``report.other_town`` where the plan's communities are not in it.
    """
    if path is None:
        return Town()
    town = town_file.read(path)
    missing = sorted(set(division.cells[0]["community"].astype(str)) - set(town["communities"]["code"].astype(str)))
    if missing:
        raise InvalidInput("report.other_town", path=str(path), communities=missing[:5])
    return town


def _map(program: Program, plan: str, town: Path | None, title: str | None) -> str:
    leaflet = folium_map.leaflet_folder(program.settings.web_dist)
    if not plan.isdecimal():
        division, name = _division(plan), title or Path(plan).stem
        ground = _ground(town, division)
        return folium_map.report_html(division, ground, title=name, leaflet=leaflet, language=program.language)
    engine = make_engine(embedded.database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            return plan_review.map_html(session, int(plan), leaflet=leaflet, language=program.language)
    finally:
        engine.dispose()
