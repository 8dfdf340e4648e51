"""``wangge partition``: a town file in, a plan file out, no database."""

from __future__ import annotations

import sys
import time
import tomllib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from gis import households
from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput, NotFound
from gis.exchange import plan_file, read_any, town_file
from gis.findings import Finding
from gis.messages import text
from gis.partition import divide
from gis.partition.quality import statistics
from gis.rule_set import RuleSet, from_mapping, load_preset, preset_codes
from gis.town import Town
from scripts.program import Program, pass_program, print_json

SHOWN = 12


@click.command("partition")
@click.argument("source", metavar="INPUT.gpkg", type=click.Path(path_type=Path))
@click.option(
    "--rules", default="bishan", show_default=True, help=f"Preset ({', '.join(preset_codes())}) or TOML file."
)
@click.option("--out", required=True, metavar="PLAN.gpkg", type=click.Path(path_type=Path), help="Plan file to write.")
@click.option("--cleaned", metavar="TOWN.gpkg", type=click.Path(path_type=Path), help="Write the cleaned input too.")
@click.option("--community", "communities", multiple=True, help="Divide only this one (may be repeated).")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same plan.")
@click.option("--effort", type=click.Choice(["draft", "full", "deep"]), default="draft", show_default=True)
@click.option("--crs", help="Coordinates of the input, where it does not say: wgs84, cgcs2000, gcj02, bd09, EPSG:…")
@click.option("--processes", type=click.IntRange(min=1), help="By default one a core for a large town.")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Spread over the workers of this Dask scheduler.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_program
def command(
    program: Program,
    source: Path,
    rules: str,
    out: Path,
    cleaned: Path | None,
    communities: tuple[str, ...],
    seed: int,
    effort: str,
    crs: str | None,
    processes: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Divide the communities of a town file into grids and micro-grids.

    \b
    INPUT.gpkg has the layers communities (polygons: code) and buildings (polygons: code, households, and floors,
    units, compound where known), and may have compounds and barriers. PLAN.gpkg gets grids, micro_grids and parts.
    """
    _check_targets(source, out, cleaned)
    rule_set = _rules(rules)
    town, noticed = _town(source, crs)
    began = time.perf_counter()
    division = _divide(
        town, rule_set, seed=seed, effort=effort, communities=communities or None, processes=processes, cluster=cluster
    )
    seconds = round(time.perf_counter() - began, 2)
    plan_file.write(division, out)
    if cleaned is not None:
        town_file.write(town, cleaned)
    report = _report(division, town, noticed, seconds)
    if as_json:
        print_json(report)
    else:
        _say(program, report, [*noticed, *division.findings], out, cleaned)


def _town(source: Path, crs: str | None) -> tuple[Town, tuple[Finding, ...]]:
    """The rows that an import would take, estimated where households are missing, then cleaned."""
    town, read = read_any(source, crs=crs)
    town, estimated = households.estimate(town)
    town, repaired = clean(town)
    return town, (*read, *estimated, *repaired)


def _check_targets(source: Path, out: Path, cleaned: Path | None) -> None:
    """Never write over what is read, two results into one file, or a file that is none of ours."""
    taken = [source]
    for target, ours in ((out, "grids"), (cleaned, "communities")):
        if target is None:
            continue
        if any(_is_same(target, other) for other in taken):
            raise InvalidInput("partition.same_file", path=str(target))
        if not target.absolute().parent.is_dir():
            raise NotFound("partition.no_folder", path=str(target))
        if target.exists() and not (_is_writable(target) and ours in _layers(target)):
            raise InvalidInput("partition.not_ours", path=str(target))
        taken.append(target)


def _is_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _is_writable(path: Path) -> bool:
    # By its mode, not by what this account may do: root may write anything.
    return path.is_file() and bool(path.stat().st_mode & 0o222)


def _layers(path: Path) -> list[str]:
    try:
        return town_file.layer_names(path)
    except InvalidInput:
        return []


def _rules(name: str) -> RuleSet:
    if not name.endswith(".toml"):
        return load_preset(name)
    path = Path(name)
    if not path.is_file():
        raise NotFound("import.no_file", path=name)
    try:
        return from_mapping({"code": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))})
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InvalidInput("partition.bad_rules", path=name, reason=str(error)) from error


def _divide(town: Town, rules: RuleSet, **options: Any) -> Division:
    """Divide with a bar; options as `gis.partition.divide` takes them."""
    with tqdm(total=len(town["communities"]), desc="partition", disable=not sys.stderr.isatty(), leave=False) as bar:

        def show(done: int, total: int, code: str) -> None:
            bar.total = total
            bar.set_postfix_str(code, refresh=False)
            bar.update(done - bar.n)

        return divide(town, rules, progress=show, **options)


def _report(division: Division, town: Town, noticed: tuple[Finding, ...], seconds: float) -> dict[str, Any]:
    return {
        "communities": len(set(division.cells[0]["community"])),
        "buildings": int(division.parts["building"].nunique()),
        "households": int(division.parts["households"].sum()),
        "seconds": seconds,
        "recipe": dict(division.recipe),
        "statistics": statistics(division, town),
        "cleaning": [asdict(finding) for finding in noticed],
        "findings": [asdict(finding) for finding in division.findings],
        "finding_counts": dict(Counter(finding.code for finding in (*noticed, *division.findings))),
    }


def _words(finding: Finding) -> dict[str, Any]:
    return {"layer": finding.layer, "row": finding.row, "key": finding.key, **finding.params}


def _say(program: Program, report: dict[str, Any], findings: list[Finding], out: Path, cleaned: Path | None) -> None:
    numbers = {key: report[key] for key in ("communities", "households", "seconds")}
    click.echo(program.sentence("partition.summary", **numbers))
    for tier in report["statistics"]["tiers"]:
        ratio = tier["in_band_ratio"]
        click.echo(
            program.sentence(
                "partition.summary_tier",
                name=tier["name_zh" if program.language == "zh" else "name_en"],
                cells=tier["cells"],
                in_band="–" if ratio is None else f"{ratio:.1%}",
                least=tier["households_min"],
                most=tier["households_max"],
                mean=tier["households_mean"],
            )
        )
    ground = report["statistics"]
    click.echo(
        program.sentence(
            "partition.summary_ground",
            gap=ground["gap_m2"],
            overlap=ground["overlap_m2"],
            torn=ground["pieces_not_contiguous"],
        )
    )
    if findings:
        program.say("partition.summary_findings", count=len(findings))
        for finding in findings[:SHOWN]:
            click.echo(text(finding.code, _words(finding), language=program.language), err=True)
    click.echo(program.sentence("partition.written", path=out))
    if cleaned is not None:
        click.echo(program.sentence("partition.cleaned_written", path=cleaned))
