"""``wangge partition``: a town file in, a plan file out, no database."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from gis import households
from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput, NotFound
from gis.exchange import moves_file, plan_file, plan_report_page, read_any, town_file
from gis.findings import Finding
from gis.messages import text
from gis.partition import divide
from gis.partition.quality import statistics
from gis.partition.simplifying import simplified
from gis.rule_set import RuleSet, load_file, load_preset, preset_codes
from gis.town import Town
from scripts.interrupting import asked_to_finish
from scripts.program import Program, pass_program, print_json
from scripts.summary import say_statistics
from scripts.targets import IsOurs, check_ending, check_targets, with_layer

SHOWN = 12
MOST_SIMPLE_M = 10.0  # coarser, and buildings come to lie outside of their cells
LOCKS = {"grid": "grids", "building": "buildings", "micro_grid": "micro_grids"}


@dataclass(frozen=True)
class _Files:
    """What is read and written."""

    source: Path
    out: Path
    cleaned: Path | None
    previous: Path | None
    moves: Path | None
    report: Path | None
    plans: int
    simplify_m: float

    @property
    def outs(self) -> list[Path]:
        """The plan file, or one a plan: ``PLAN-1.gpkg``, ``PLAN-2.gpkg`` …"""
        return self._numbered(self.out)

    @property
    def reports(self) -> list[Path]:
        """The report, or one a plan; empty where none is asked for."""
        return [] if self.report is None else self._numbered(self.report)

    def _numbered(self, path: Path) -> list[Path]:
        if self.plans == 1:
            return [path]
        return [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, self.plans + 1)]

    @property
    def targets(self) -> list[tuple[Path | None, IsOurs]]:
        """All that is written, with what tells whether a file there is ours."""
        written: list[tuple[Path | None, IsOurs]] = [(path, with_layer("grids")) for path in self.outs]
        written += [(self.cleaned, with_layer("communities")), (self.moves, moves_file.is_one)]
        return written + [(path, plan_report_page.is_one) for path in self.reports]


@click.command("partition")
@click.argument("source", metavar="INPUT.gpkg", type=click.Path(path_type=Path))
@click.option(
    "--rules", default="bishan", show_default=True, help=f"Preset ({', '.join(preset_codes())}) or TOML file."
)
@click.option("--out", required=True, metavar="PLAN.gpkg", type=click.Path(path_type=Path), help="Plan file to write.")
@click.option("--cleaned", metavar="TOWN.gpkg", type=click.Path(path_type=Path), help="Write all the cleaned input.")
@click.option("--community", "communities", multiple=True, help="Divide only this one (may be repeated).")
@click.option(
    "--previous", metavar="PLAN.gpkg", type=click.Path(path_type=Path), help="Redraw from this plan in force."
)
@click.option("--stability", type=click.FloatRange(0, 1), default=0.5, show_default=True,
              help="Redrawing: 0 as if there was no plan, 1 change only what is broken.")  # fmt: skip
@click.option("--lock", "locks", multiple=True, metavar="KIND:CODE",
              help="Redrawing: keep this grid, building (in its grid) or micro_grid (may be repeated).")  # fmt: skip
@click.option("--moves", metavar="MOVES.csv", type=click.Path(path_type=Path),
              help="Redrawing: write what moves (.csv, or .json with totals and lineage).")  # fmt: skip
@click.option("--report", metavar="REPORT.html", type=click.Path(path_type=Path),
              help="Write the plan's report (.html to read and print, .json).")  # fmt: skip
@click.option("--alternatives", type=click.IntRange(2, 9), help="Make so many plans that differ: PLAN-1.gpkg …")
@click.option("--simplify", metavar="METRES", type=float, default=0.0,
              help="Leave corners out of the cells, by so much (1 to 2 m: half of them).")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same plan.")
@click.option("--effort", type=click.Choice(["draft", "full", "deep"]), default="draft", show_default=True)
@click.option("--crs", help="Coordinates of the input, where it does not say: wgs84, cgcs2000, gcj02, bd09, EPSG:…")
@click.option("--processes", type=click.IntRange(min=1), help="By default one a core for a large town.")
@click.option("--cluster", metavar="tcp://HOST:PORT", help="Spread over the workers of this Dask scheduler.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_program
def command(
    program: Program,
    /,
    source: Path,
    rules: str,
    out: Path,
    cleaned: Path | None,
    communities: tuple[str, ...],
    previous: Path | None,
    stability: float,
    locks: tuple[str, ...],
    moves: Path | None,
    report: Path | None,
    alternatives: int | None,
    simplify: float,
    crs: str | None,
    as_json: bool,
    **search: Any,
) -> None:
    """Divide the communities of a town file into grids and micro-grids.

    \b
    INPUT.gpkg has the layers communities (polygons: code) and buildings (polygons: code, households, and floors,
    units, compound where known), and may have compounds and barriers. PLAN.gpkg gets grids, micro_grids and parts.
    Ctrl-C finishes with the best plan so far; a second Ctrl-C stops with nothing written.
    """
    files = _Files(source, out, cleaned, previous, moves, report, alternatives or 1, simplify)
    if not 0 <= simplify <= MOST_SIMPLE_M:
        raise InvalidInput("partition.bad_simplify", metres=simplify, most=MOST_SIMPLE_M)
    check_ending(report, ".html", ".json")
    check_ending(moves, ".csv", ".json")
    check_targets([source, *([previous] if previous else [])], files.targets)
    search |= {"communities": communities or None}
    rule_set = load_file(Path(rules)) if rules.endswith(".toml") else load_preset(rules)
    redraw = _redraw(files, stability, locks)
    town, noticed = _town(source, crs)
    began = time.perf_counter()
    if alternatives:
        reports = _alternatives(program, files, town, noticed, rule_set, alternatives, search)
    else:
        division = _divide(program, town, lambda **told: divide(town, rule_set, **redraw, **search, **told))
        division = _lighter(division, files)
        reports = {"report": _report(division, town, noticed, round(time.perf_counter() - began, 2))}
        plan_file.write(division, out)
        if previous is not None:
            reports["report"]["moves"] = _moves(redraw["previous"], division, town, moves)
        if as_json or report is not None:
            scored = _plan_report(program, files, 0, division, town, noticed, reports["report"])
            reports["report"]["principles"] = scored
    if cleaned is not None:
        town_file.write(town, cleaned)
    if as_json:
        print_json(reports.get("report", reports))
    else:
        _say(program, reports, files, noticed)


# --- What is read ----------------------------------------------------------------------------------------------------


def _town(source: Path, crs: str | None) -> tuple[Town, tuple[Finding, ...]]:
    """The rows that an import would take, estimated where households are missing, then cleaned."""
    town, read = read_any(source, crs=crs)
    town, estimated = households.estimate(town)
    town, repaired = clean(town)
    return town, (*read, *estimated, *repaired)


def _redraw(files: _Files, stability: float, locks: tuple[str, ...]) -> dict[str, Any]:
    """The options of a redraw; none where there is no plan in force."""
    if files.previous is None:
        if locks:
            raise InvalidInput("partition.locks_without_plan")
        if files.moves is not None:
            raise InvalidInput("partition.moves_without_plan")
        return {}
    if files.plans > 1:
        raise InvalidInput("partition.alternatives_with_plan")
    if not files.previous.is_file():
        raise NotFound("import.no_file", path=str(files.previous))
    return {"previous": plan_file.read(files.previous), "stability": stability, "locks": _locks(locks)}


def _locks(words: Iterable[str]) -> Any:
    from gis.partition.redraw import Locks

    found: dict[str, list[str]] = {kind: [] for kind in LOCKS.values()}
    for word in words:
        kind, _, code = word.partition(":")
        if kind not in LOCKS or not code:
            raise InvalidInput("partition.bad_lock", lock=word)
        found[LOCKS[kind]].append(code)
    return Locks(**{kind: tuple(codes) for kind, codes in found.items()})


# --- Dividing --------------------------------------------------------------------------------------------------------


def _divide(program: Program, town: Town, work: Callable[..., Any]) -> Any:
    """Do the work with a bar, and with Ctrl-C in two steps."""
    watched = sys.stderr.isatty()
    with (
        tqdm(total=float(len(town["communities"])), desc="partition", disable=not watched, leave=False,
             bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar,
        asked_to_finish(lambda: program.say("partition.stopping")) as enough,
    ):  # fmt: skip
        shares: dict[int, float] = {}

        def within(job: int, share: float, best: float) -> None:
            shares[job] = share
            bar.set_postfix_str(f"{best:.0f}", refresh=False)
            bar.update(max(sum(shares.values()) - bar.n, 0.0))

        def show(done: int, total: int, code: str) -> None:
            bar.total = float(total)
            bar.set_postfix_str(code, refresh=False)
            bar.update(max(done - bar.n, 0.0))

        return work(progress=show, enough=enough, within=within)


def _alternatives(
    program: Program, files: _Files, town: Town, noticed: tuple[Finding, ...], rules: RuleSet, count: int,
    search: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Several plans, each in its file; their scores side by side."""
    from gis.partition.alternatives import divide_alternatives
    from gis.partition.principles import principles

    began = time.perf_counter()
    made = _divide(program, town, lambda **told: divide_alternatives(town, rules, count=count, **search, **told))
    seconds = round(time.perf_counter() - began, 2)
    for plan, path in zip(made.plans, files.outs, strict=True):
        plan_file.write(_lighter(plan.division, files), path)
    table: dict[str, Any] = made.as_dict()
    for row, plan, path in zip(table["plans"], made.plans, files.outs, strict=True):
        row |= {"path": str(path), **_report(plan.division, town, noticed, seconds)}
        scored = principles(plan.division, town)
        row |= {"principles": scored["plan"], "principles_table": scored["table"]}
    for number, plan in enumerate(made.plans if files.report else ()):
        _plan_report(program, files, number, plan.division, town, noticed, table["plans"][number])
    return table


def _lighter(division: Division, files: _Files) -> Division:
    return simplified(division, files.simplify_m) if files.simplify_m else division


def _moves(previous: Division, division: Division, town: Town, path: Path | None) -> dict[str, Any]:
    from gis.partition.moves import moves

    found = moves(previous, division, town)
    if path is not None:
        moves_file.write(found, path)
    return {"tiers": [dict(tier) for tier in found.tiers], "path": None if path is None else str(path)}


def _plan_report(
    program: Program, files: _Files, number: int, division: Division, town: Town, noticed: tuple[Finding, ...],
    known: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write the report where one is asked for; gives the plan's scores by the principles."""
    from gis import plan_report
    from scripts.plan_reports import write

    made = plan_report.collect(
        division, town, title=files.outs[number].stem, quality=known["statistics"], noticed=noticed,
        moves=known.get("moves"),
    )  # fmt: skip
    for path in files.reports[number : number + 1]:
        write(path, made, division, town, language=program.language)
    return {"plan": made["principles"]["plan"], "components": made["principles"]["plan_components"],
            "cells": [{"code": row["code"], **row["scores"]} for row in made["got"]["cells"]["rows"]]}  # fmt: skip


# --- What is told ----------------------------------------------------------------------------------------------------


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


def _say(program: Program, reports: dict[str, Any], files: _Files, noticed: tuple[Finding, ...]) -> None:
    if "report" in reports:
        _say_plan(program, reports["report"])
        findings = reports["report"]["findings"]
    else:
        for row in reports["plans"]:
            click.echo(f"— {row['name_zh' if program.language == 'zh' else 'name_en']}")
            _say_plan(program, row)
        click.echo(_side_by_side(program, reports))
        findings = reports["plans"][-1]["findings"]
    known = [*(asdict(finding) for finding in noticed), *findings]
    if known:
        program.say("partition.summary_findings", count=len(known))
        for finding in known[:SHOWN]:
            click.echo(text(finding["code"], _words(finding), language=program.language), err=True)
    for path in files.outs:
        click.echo(program.sentence("partition.written", path=path))
    for path in files.reports:
        click.echo(program.sentence("report.made", path=path))
    if files.moves is not None:
        click.echo(program.sentence("partition.moves_written", path=files.moves))
    if files.cleaned is not None:
        click.echo(program.sentence("partition.cleaned_written", path=files.cleaned))


def _words(finding: dict[str, Any]) -> dict[str, Any]:
    return {"layer": finding["layer"], "row": finding["row"], "key": finding["key"], **finding["params"]}


def _say_plan(program: Program, report: dict[str, Any]) -> None:
    numbers = {key: report[key] for key in ("communities", "households", "seconds")}
    click.echo(program.sentence("partition.summary", **numbers))
    name = "name_zh" if program.language == "zh" else "name_en"
    say_statistics(program, report["statistics"])
    kinds = [proof["kind"] for proof in report["recipe"].get("proofs", {}).values()]
    if kinds and report["recipe"]["effort"] != "draft":
        click.echo(program.sentence("partition.summary_proofs", count=len(kinds), proven=kinds.count("optimal")))
    for tier in report.get("moves", {}).get("tiers", ()):
        ratio = tier["kept_ratio"]
        click.echo(
            program.sentence(
                "partition.summary_moves",
                name=tier[name],
                kept="–" if ratio is None else f"{ratio:.1%}",
                moved=tier["households_moved"],
                buildings=tier["buildings_moved"],
                new=tier["cells_new"],
                ended=tier["cells_ended"],
            )
        )


def _side_by_side(program: Program, table: dict[str, Any]) -> str:
    """Plans as columns, scores as rows, and how much each two differ."""
    plans = table["plans"]
    ground = [row["statistics"] for row in plans]
    rows: list[tuple[str, list[str]]] = [
        ("partition.row_cost", [f"{row['cost'] / 1000:.1f}" for row in plans]),
        ("partition.row_in_band", [_percent(one["tiers"][_banded(one)]["in_band_ratio"]) for one in ground]),
        ("partition.row_compounds", [str(one["small_compounds_cut"]) for one in ground]),
        ("partition.row_borders", [_percent(one["boundary_on_barriers_ratio"]) for one in ground]),
        ("partition.row_compactness", [f"{one['compactness_mean']:.2f}" for one in ground]),
    ]
    shown = [(program.sentence(code), values) for code, values in rows]
    name = "name_zh" if program.language == "zh" else "name_en"
    for principle in plans[0]["principles_table"]:
        points = [row["principles"].get(principle["code"]) for row in plans]
        shown.append((principle[name], ["–" if value is None else f"{value:.0f}" for value in points]))
    shown += [
        (program.sentence("partition.row_difference", number=i + 1), [_percent(value) for value in line])
        for i, line in enumerate(table["difference"])
    ]
    width = max(_wide(label) for label, _ in shown)
    lines = [" " * width + "".join(f"{n:>10}" for n in range(1, len(plans) + 1))]
    lines += [label + " " * (width - _wide(label)) + "".join(f"{v:>10}" for v in values) for label, values in shown]
    return "\n".join(lines)


def _banded(measured: dict[str, Any]) -> int:
    return next((i for i, tier in enumerate(measured["tiers"]) if tier["in_band_ratio"] is not None), 0)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _wide(words: str) -> int:
    """Columns of a terminal: two a Chinese character."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in words)
