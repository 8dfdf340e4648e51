"""``wangge diagnose``: what no division of a town can meet, named before anything is divided."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click

from gis import households
from gis.cleaning import clean
from gis.exchange import read_any
from gis.messages import text
from gis.partition.diagnosis import RELAXATIONS
from gis.partition.diagnosis_of_town import diagnose_town
from gis.rule_set import load_file, load_preset, preset_codes
from scripts.program import Program, pass_program, print_json


@click.command("diagnose")
@click.argument("source", metavar="INPUT.gpkg", type=click.Path(path_type=Path))
@click.option(
    "--rules", default="bishan", show_default=True, help=f"Preset ({', '.join(preset_codes())}) or TOML file."
)
@click.option("--community", "communities", multiple=True, help="Look at only this one (may be repeated).")
@click.option("--crs", help="Coordinates of the input, where it does not say: wgs84, cgcs2000, gcj02, bd09, EPSG:…")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@pass_program
def command(
    program: Program, source: Path, rules: str, communities: tuple[str, ...], crs: str | None, as_json: bool
) -> None:
    """Name what makes the household bands impossible in INPUT.gpkg, and the cheapest way out of each.

    \b
    Nothing is divided and nothing is written. Communities under the minimum, totals that fit no number of grids,
    towers over the maximum or that fit with nothing, islands, ground behind rivers without a bridge, empty land.
    """
    rule_set = load_file(Path(rules)) if rules.endswith(".toml") else load_preset(rules)
    town, _ = read_any(source, crs=crs)
    town, _ = households.estimate(town)
    town, _ = clean(town)
    began = time.perf_counter()
    found = diagnose_town(town, rule_set, communities=communities or None)
    seconds = round(time.perf_counter() - began, 3)
    sentences = [text(each.code, {"key": each.key, **each.params}, language=program.language) for each in found]
    chosen = set(communities or town["communities"]["code"].astype(str))
    here = town["buildings"]["community"].astype(str).isin(chosen)
    numbers = {
        "communities": len(chosen),
        "households": int(town["buildings"]["households"][here].sum()),
        "count": len(found),
        "touched": len({each.key for each in found}),
    }
    if as_json:
        report = {
            **numbers,
            "seconds": seconds,
            "findings": [{**asdict(each), "text": said} for each, said in zip(found, sentences, strict=True)],
            "finding_counts": dict(Counter(each.code for each in found)),
            "relaxations": dict(RELAXATIONS),
        }
        print_json(report)
        return
    program.say("diagnose.summary" if found else "diagnose.possible", **numbers)
    for sentence in sentences:
        click.echo(sentence)
