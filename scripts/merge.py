"""``wangge merge``: overlapping line networks into one cover, with what becomes of every old cell."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pandas as pd
from tqdm import tqdm

from gis import households
from gis.cleaning import clean
from gis.errors import InvalidInput
from gis.exchange import merge_file, network_file, plan_file, read_any, town_file
from gis.findings import Finding
from gis.messages import text
from gis.partition.merging import LEAD_STABILITY, Merged, merge
from gis.partition.quality import statistics
from gis.rule_set import load_file, load_preset, preset_codes
from gis.town import Town
from scripts.program import Program, pass_program, print_json
from scripts.summary import say_statistics
from scripts.targets import check_targets, with_layer

SHOWN = 12


@click.command("merge")
@click.argument("source", metavar="TOWN.gpkg", type=click.Path(path_type=Path))
@click.option(
    "--network", "networks", metavar="NAME=FILE[:LAYER]", multiple=True, required=True,
    help="Cells of one line, such as 综治=zz.gpkg:cells (give several).",
)  # fmt: skip
@click.option(
    "--rules", default="bishan", show_default=True, help=f"Preset ({', '.join(preset_codes())}) or TOML file."
)
@click.option("--out", required=True, metavar="PLAN.gpkg", type=click.Path(path_type=Path), help="Plan file to write.")
@click.option("--shares", metavar="SHARES.csv|.xlsx", type=click.Path(path_type=Path), help="Write old → new.")
@click.option("--gaps", metavar="GAPS.gpkg", type=click.Path(path_type=Path), help="Write gaps and overlaps.")
@click.option("--cleaned", metavar="TOWN.gpkg", type=click.Path(path_type=Path), help="Write the cleaned town too.")
@click.option("--lead", metavar="NAME", help="The line whose cells are kept where they can be.")
@click.option(
    "--stability", type=click.FloatRange(0, 1), default=LEAD_STABILITY, show_default=True,
    help="How much they are kept: 0 not at all, 1 unless broken.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same plan.")
@click.option("--effort", type=click.Choice(["draft", "full", "deep"]), default="draft", show_default=True)
@click.option("--crs", help="Coordinates of files that do not say: wgs84, cgcs2000, gcj02, bd09, EPSG:…")
@click.option("--processes", type=click.IntRange(min=1), help="By default one a core for a large town.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_program
def command(
    program: Program,
    source: Path,
    networks: tuple[str, ...],
    rules: str,
    out: Path,
    shares: Path | None,
    gaps: Path | None,
    cleaned: Path | None,
    lead: str | None,
    stability: float,
    seed: int,
    effort: str,
    crs: str | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Merge the overlapping grids of several lines (综治, 城管, 食药监 …) into one cover.

    \b
    TOWN.gpkg is as for `wangge partition`. Each network is a vector file, or a table with outlines as WKT, with a
    column for the code of the cell and, where known, name, households, people and who is responsible. PLAN.gpkg gets
    the new grids; SHARES says which share of each old cell went to which new grid, each adding up to 100 %.
    """
    files = [_named(words) for words in networks]
    check_targets(
        [source, *(path for _, path, _ in files)],
        [(out, with_layer("grids")), (shares, _is_share_table), (gaps, with_layer("gaps")),
         (cleaned, with_layer("communities"))],
    )  # fmt: skip
    if shares is not None and shares.suffix.lower() not in merge_file.SHARE_SUFFIXES:
        raise InvalidInput("merge.unknown_table", path=shares.name, known=list(merge_file.SHARE_SUFFIXES))
    rule_set = load_file(Path(rules)) if rules.endswith(".toml") else load_preset(rules)
    read = [network_file.read(path, name, layer=layer, crs=crs) for name, path, layer in files]
    town, noticed = _town(source, crs)
    noticed = (*noticed, *(finding for _, more in read for finding in more))
    began = time.perf_counter()
    with tqdm(total=len(town["communities"]), desc="merge", disable=not sys.stderr.isatty(), leave=False) as bar:
        merged = merge(
            town, rule_set, [network for network, _ in read], lead=lead, stability=stability, seed=seed, effort=effort,
            processes=processes, progress=lambda done, _total, _code: bar.update(done - bar.n),
        )  # fmt: skip
    seconds = round(time.perf_counter() - began, 2)
    plan_file.write(merged.division, out)
    if shares is not None:
        merge_file.write_shares(merged, shares, language=program.language)
    if gaps is not None:
        merge_file.write_gaps(merged.overview, gaps)
    if cleaned is not None:
        town_file.write(town, cleaned)
    report = _report(merged, town, noticed, seconds)
    if as_json:
        print_json(report)
    else:
        _say(program, report, [*noticed, *merged.division.findings], [out, shares, gaps, cleaned])


def _named(words: str) -> tuple[str, Path, str | None]:
    """``NAME=FILE[:LAYER]`` in its parts; a file whose name has a colon goes before a layer."""
    name, equals, place = words.partition("=")
    if not (name.strip() and equals and place.strip()):
        raise InvalidInput("merge.bad_network_words", words=words)
    whole = Path(place)
    if whole.is_file() or ":" not in place:
        return name.strip(), whole, None
    file, _, layer = place.rpartition(":")
    return name.strip(), Path(file), layer or None


def _is_share_table(path: Path) -> bool:
    """Whether a table was written by this command: its first line, or its first sheet, says so."""
    heads = [word["network"] for word in merge_file.WORDS.values()]
    if path.suffix.lower() == ".csv":
        with path.open("rb") as file:
            return any(file.read(60).decode("utf-8-sig", errors="replace").startswith(f"{head},") for head in heads)
    try:
        with pd.ExcelFile(path, engine="openpyxl") as book:
            return book.sheet_names[0] in [word["shares"] for word in merge_file.WORDS.values()]
    except (ValueError, OSError, KeyError, IndexError):
        return False


def _town(source: Path, crs: str | None) -> tuple[Town, tuple[Finding, ...]]:
    town, read = read_any(source, crs=crs)
    town, estimated = households.estimate(town)
    town, repaired = clean(town)
    return town, (*read, *estimated, *repaired)


def _report(merged: Merged, town: Town, noticed: tuple[Finding, ...], seconds: float) -> dict[str, Any]:
    overview, division, patrol = merged.overview, merged.division, merged.overview.patrol
    lived = overview.buildings.groupby("networks")["households"].sum()
    return {
        "communities": len(set(division.cells[0]["community"])),
        "households": int(division.parts["households"].sum()),
        "seconds": seconds,
        "recipe": dict(division.recipe),
        "networks": _rows(overview.networks),
        "cover": _rows(overview.cover),
        "pairs": _rows(overview.pairs),
        "households_by_networks": {str(number): int(count) for number, count in lived.items()},
        "patrol": {**asdict(patrol), "before_m": patrol.before_m, "saving_m": patrol.saving_m,
                   "saving_ratio": patrol.saving_ratio},
        "shares": _rows(merged.shares),
        "handover": _rows(merged.handover),
        "statistics": statistics(division, town),
        "cleaning": [asdict(finding) for finding in noticed],
        "findings": [asdict(finding) for finding in division.findings],
        "finding_counts": dict(Counter(finding.code for finding in (*noticed, *division.findings))),
    }  # fmt: skip


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def _say(program: Program, report: dict[str, Any], findings: list[Finding], written: Sequence[Path | None]) -> None:
    numbers = {key: report[key] for key in ("communities", "households", "seconds")}
    click.echo(program.sentence("merge.summary", networks=len(report["networks"]), **numbers))
    walked = report["patrol"]["walked_m"]
    rows = [program.sentence("merge.table").split("|")]
    for net in report["networks"]:
        lived = net["covered_households_ratio"]
        rows.append(
            [net["name"], str(net["cells"]), f"{net['covered_ratio']:.1%}", "–" if lived is None else f"{lived:.1%}",
             f"{net['gaps']} ({net['gap_households']})", f"{net['overlaps']} ({net['overlap_households']})",
             str(net["across"]), f"{walked[net['network']] / 1000:.1f}"]
        )  # fmt: skip
    for line in _aligned(rows):
        click.echo(line)
    patrol = report["patrol"]
    saving = patrol["saving_ratio"]
    click.echo(
        program.sentence(
            "merge.patrol",
            streets=f"{patrol['street_m'] / 1000:.1f}",
            before=f"{patrol['before_m'] / 1000:.1f}",
            duplicate=f"{patrol['duplicate_m'] / 1000:.1f}",
            after=f"{patrol['after_m'] / 1000:.1f}",
            saving="–" if saving is None else f"{saving:.1%}",
        )
    )
    say_statistics(program, report["statistics"])
    if findings:
        program.say("partition.summary_findings", count=len(findings))
        for finding in findings[:SHOWN]:
            words = {"layer": finding.layer, "row": finding.row, "key": finding.key, **finding.params}
            click.echo(text(finding.code, words, language=program.language), err=True)
    for path in written:
        if path is not None:
            click.echo(program.sentence("merge.written", path=path))


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns as wide as their widest word; a Chinese letter is two wide. The first to the left, numbers right."""

    def width(word: str) -> int:
        return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word)

    widest = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        spaces = [" " * (widest[i] - width(word)) for i, word in enumerate(row)]
        lines.append("  " + row[0] + spaces[0] + "".join(f"  {s}{w}" for s, w in zip(spaces[1:], row[1:], strict=True)))
    return lines
