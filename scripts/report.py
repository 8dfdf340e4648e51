"""``wangge report``: a plan as one self-contained file: a page to read and print, JSON, or a map to look around in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gis import embedded, plan_report, plan_review
from gis.db import make_engine, unit_of_work
from gis.division import Division
from gis.exchange import folium_map, plan_file, town_file
from gis.town import Town
from scripts.plan_reports import write
from scripts.program import Program, pass_program


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
    if as_map:
        out.write_text(_map(program, plan, town, title), encoding="utf-8")
    else:
        report, division, ground = _report(program, plan, town, title)
        write(out, report, division, ground, language=language)
    program.say("report.written", path=str(out), size_mb=f"{out.stat().st_size / 1e6:.1f}")


def _report(
    program: Program, plan: str, town: Path | None, title: str | None
) -> tuple[Mapping[str, Any], Division, Town]:
    if not plan.isdecimal():
        division, ground = plan_file.read(Path(plan)), _ground(town)
        return plan_report.collect(division, ground, title=title or Path(plan).stem), division, ground
    engine = make_engine(embedded.database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            return plan_review.report(session, int(plan))
    finally:
        engine.dispose()


def _ground(town: Path | None) -> Town:
    return Town() if town is None else town_file.read(town)


def _map(program: Program, plan: str, town: Path | None, title: str | None) -> str:
    leaflet = folium_map.leaflet_folder(program.settings.web_dist)
    if not plan.isdecimal():
        division, name = plan_file.read(Path(plan)), title or Path(plan).stem
        return folium_map.report_html(division, _ground(town), title=name, leaflet=leaflet, language=program.language)
    engine = make_engine(embedded.database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            return plan_review.map_html(session, int(plan), leaflet=leaflet, language=program.language)
    finally:
        engine.dispose()
