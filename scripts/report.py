"""``wangge report``: a plan as one self-contained HTML file with a map."""

from __future__ import annotations

from pathlib import Path

import click

from gis import embedded, plan_review
from gis.db import make_engine, unit_of_work
from gis.exchange import folium_map, plan_file, town_file
from gis.town import Town
from scripts.program import Program, pass_program


@click.command()
@click.argument("plan")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="HTML file to write.")
@click.option(
    "--town", type=click.Path(path_type=Path, exists=True), help="GeoPackage of the ground below a plan file."
)
@click.option("--title", help="Heading, for a plan file.")
@pass_program
def command(program: Program, plan: str, out: Path, town: Path | None, title: str | None) -> None:
    """Write the report of PLAN: the number of a plan in the database, or a file that `wangge partition` wrote.

    The HTML file holds all it needs and opens without a network.
    """
    leaflet = folium_map.leaflet_folder(program.settings.web_dist)
    if plan.isdecimal():
        page = _of_database(program, int(plan), leaflet)
    else:
        page = _of_file(program, Path(plan), town, title=title or Path(plan).stem, leaflet=leaflet)
    out.write_text(page, encoding="utf-8")
    program.say("report.written", path=str(out), size_mb=f"{out.stat().st_size / 1e6:.1f}")


def _of_database(program: Program, plan_id: int, leaflet: Path) -> str:
    engine = make_engine(embedded.database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            return plan_review.report_html(session, plan_id, leaflet=leaflet, language=program.language)
    finally:
        engine.dispose()


def _of_file(program: Program, path: Path, town_path: Path | None, *, title: str, leaflet: Path) -> str:
    division = plan_file.read(path)
    town = Town() if town_path is None else town_file.read(town_path)
    return folium_map.report_html(division, town, title=title, leaflet=leaflet, language=program.language)
