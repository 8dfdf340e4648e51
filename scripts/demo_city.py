"""``wangge demo-city``: write the demo town into a GeoPackage."""

from __future__ import annotations

from pathlib import Path

import click

from gis import demo
from gis.exchange import town_file
from scripts.program import Program, pass_program, print_json


@click.command()
@click.option("--out", "path", type=click.Path(path_type=Path), required=True, help="GeoPackage to write, TOWN.gpkg.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives another town.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(program: Program, path: Path, seed: int, as_json: bool) -> None:
    """Make a fictitious town: 27 km², 18 communities, 168 compounds, 1,800 buildings, 96,817 households."""
    town = demo.make_town(seed=seed)
    town_file.write(town, path)
    inhabited = town["buildings"][town["buildings"]["households"] > 0]
    figures = {
        "path": str(path),
        "seed": seed,
        "streets": int((town["areas"]["level"] == "street").sum()),
        "communities": len(town["communities"]),
        "compounds": len(town["compounds"]),
        "buildings": len(town["buildings"]),
        "residential_buildings": len(inhabited),
        "households": int(inhabited["households"].sum()),
    }
    if as_json:
        print_json(figures)
    else:
        program.say("demo.written", **figures)
