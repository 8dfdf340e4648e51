"""``wangge bench instance``: the grids' graph of a town as a file that any engine can be given."""

from __future__ import annotations

from pathlib import Path

import click

from gis import households
from gis.cleaning import clean
from gis.errors import InvalidInput
from gis.exchange import read_any
from gis.partition import instance
from gis.partition.division_of import jobs_of
from gis.partition.instance import Tables
from gis.partition.site import graph_of
from gis.partition.synthetic import make_district
from gis.rule_set import Tier, load_preset
from scripts.program import Program, pass_program, print_json
from scripts.targets import check_targets


@click.command("instance")
@click.argument("towns", metavar="TOWN.gpkg…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, metavar="X.json.gz", type=click.Path(path_type=Path), help="Instance to write.")
@click.option("--rules", default="bishan", show_default=True, help="Preset whose band and units count.")
@click.option("--tier", "ordinal", type=int, help="Ordinal of the tier; by default the first with a band.")
@click.option("--crs", help="Coordinates of the towns, where they do not say.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(
    program: Program,
    towns: tuple[Path, ...],
    out: Path,
    rules: str,
    ordinal: int | None,
    crs: str | None,
    as_json: bool,
) -> None:
    """Write the graph of one or more town files: what grids are made of, and the borders between.

    \b
    Several towns become one instance, their communities numbered on. Its form stands in gis/partition/instance.py.
    """
    check_targets(towns, [(out, is_instance)])
    rule_set = load_preset(rules)
    tier = _tier(rule_set.grid_tiers, ordinal)
    graphs = []
    for path in program.progress(towns, label="instance"):
        town, _ = read_any(path, crs=crs)
        town, _ = households.estimate(town)
        town, _ = clean(town)
        graphs += [graph_of(job, tier) for job in jobs_of(town, rule_set, seed=0, effort="draft")]
    tables = instance.tables_of(out.name.removesuffix(".gz").removesuffix(".json"), graphs)
    _write(program, out, tables, as_json=as_json)


@click.command("synthetic")
@click.option("--out", required=True, metavar="X.json.gz", type=click.Path(path_type=Path), help="Instance to write.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives another district.")
@click.option(
    "--columns", type=click.IntRange(min=1), default=6, show_default=True, help="Communities beside each other."
)
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def synthetic(program: Program, out: Path, seed: int, columns: int, rows: int, as_json: bool) -> None:
    """Write a made-up district: about 5,400 households in each community, cells as tessellations give them."""
    check_targets((), [(out, is_instance)])
    _write(program, out, make_district(seed=seed, columns=columns, rows=rows), as_json=as_json)


def is_instance(path: Path) -> bool:
    """Whether a file is an instance, and so may be replaced."""
    try:
        instance.load(path)
    except InvalidInput:
        return False
    return True


def _write(program: Program, out: Path, tables: Tables, *, as_json: bool) -> None:
    instance.write(out, tables)
    figures = {
        "path": str(out),
        "communities": len(tables.communities),
        "households": int(tables.nodes["households"].sum()),
        "nodes": len(tables.nodes["households"]),
        "edges": len(tables.edges["a"]),
    }
    if as_json:
        print_json(figures)
    else:
        click.echo(program.sentence("bench.instance", **figures))


def _tier(tiers: tuple[Tier, ...], ordinal: int | None) -> Tier:
    for tier in tiers:
        if tier.ordinal == ordinal or (ordinal is None and tier.cell_of == "band" and tier.households_min is not None):
            return tier
    raise InvalidInput("bench.no_tier", tier=ordinal, known=[tier.ordinal for tier in tiers])
