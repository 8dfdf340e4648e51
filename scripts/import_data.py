"""``wangge import``: files → rows looked at → households estimated → geometry cleaned → database."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from gis import households, ingest
from gis.db import make_engine, migrate, unit_of_work
from gis.embedded import database_url
from gis.errors import InvalidInput
from gis.exchange import open311_file, read_any
from gis.exchange.reading import LIMIT_MB, combine
from gis.exchange.town_file import replacing
from gis.findings import Finding, Severity
from gis.permissions import SYSTEM
from gis.town import LAYERS, Town
from scripts import import_open311
from scripts.program import Program, pass_program, print_json

SHOWN_OF_A_KIND = 5
NOTHING_TAKEN = 2  # the exit code of invalid input: a script must notice


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--crs", help="Coordinates: wgs84, cgcs2000, cgcs2000/123E, gcj02, bd09, EPSG:… Needed where a file is silent."
)
@click.option("--layer", help=f"What the files are: {', '.join(LAYERS)}. By default told by their names and headers.")
@click.option("--map", "mapping", multiple=True, metavar="HEADER=COLUMN", help="A header that is not known by itself.")
@click.option("--household-rule", type=click.Path(path_type=Path), help="Own rule for estimating households (TOML).")
@click.option("--limit-mb", type=int, default=LIMIT_MB, show_default=True, help="Refuse larger files.")
@click.option(
    "--trust-crs", is_flag=True, help="Store although buildings and compounds look shifted against each other."
)
@click.option("--source", default="open311", show_default=True, help="Of service requests: the server they come from.")
@click.option("--dry-run", is_flag=True, help="Do everything but keep nothing.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Write every finding into this CSV file.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@pass_program
def command(
    program: Program,
    files: tuple[Path, ...],
    crs: str | None,
    layer: str | None,
    mapping: tuple[str, ...],
    household_rule: Path | None,
    limit_mb: int,
    trust_crs: bool,
    source: str,
    dry_run: bool,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Take buildings, areas, roads, people and posts from FILES into the database.

    \b
    Formats: OpenStreetMap (.osm, .osm.gz, .osm.pbf), GeoPackage, GeoJSON, Shapefile (also zipped), FlatGeobuf,
    GeoParquet, KML, GPX, CSV, Excel. Rows that cannot be used are told one by one and left out; the rest is stored at
    once or not at all. The same file twice changes nothing. Service requests of an Open311 server (JSON, XML) become
    incidents; there --map says SERVICE_CODE=CATEGORY.
    """
    said = _mapping(mapping)
    if any(map(open311_file.is_open311, files)):
        left_out = import_open311.take(program, files, source=source, mapping=said, dry_run=dry_run, as_json=as_json)
        if rejects is not None:
            _write_rejects(program, left_out, rejects)
        return
    read = [
        read_any(file, crs=crs, layer=layer, mapping=said, limit_mb=limit_mb)
        for file in program.progress(files, label="import")
    ]
    town, repeated = combine([made for made, _ in read])
    findings = [found for _, more in read for found in more] + list(repeated)
    rule = households.load_rule(household_rule or households.PRESET)
    engine = make_engine(database_url(program.settings))
    try:
        if program.settings.database_url is None:
            migrate(engine)  # the embedded cluster is ours alone: nobody else brings it up to date
        report, findings = _store(engine, town, findings, rule, files, trust_crs=trust_crs, dry_run=dry_run)
    finally:
        engine.dispose()
    if rejects is not None:
        _write_rejects(program, findings, rejects)
    if as_json:
        print_json(_as_json(program, report, findings, files, dry_run=dry_run))
    else:
        _tell(program, report, findings, files, rejects, dry_run=dry_run)
    if not _taken(report) and _count(findings, Severity.REJECTED):
        program.say("import.nothing_taken", files=", ".join(file.name for file in files))
        raise click.exceptions.Exit(NOTHING_TAKEN)


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    for header, equals, column in split:
        if not (header and equals and column):
            raise InvalidInput("import.bad_mapping", mapping=header)
    return {header: column for header, _, column in split}


def _store(
    engine: Engine,
    town: Town,
    findings: list[Finding],
    rule: households.HouseholdRule,
    files: Sequence[Path],
    *,
    trust_crs: bool,
    dry_run: bool,
) -> tuple[ingest.IngestReport, list[Finding]]:
    with unit_of_work(engine) as session:
        prepared, more = ingest.prepare(session, town, rule=rule, trust_crs=trust_crs)
        report = ingest.store(
            session,
            prepared,
            actor=SYSTEM,
            now=datetime.now(UTC),
            source=", ".join(file.name for file in files),
            digest=_digest(files),
            findings=[*findings, *more],
        )
        if dry_run:
            session.rollback()
    return report, [*findings, *more, *report.findings]


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


# --- Telling ---------------------------------------------------------------------------------------------------------


def _sentence(program: Program, found: Finding) -> str:
    layer = _layer(program, found.layer)
    params: Mapping[str, Any] = {"layer": layer, "row": found.row, "key": found.key, **found.params}
    return program.sentence(found.code, **params)


def _layer(program: Program, name: str) -> str:
    return program.sentence(f"layer.{name}") if name in LAYERS else name


def _taken(report: ingest.IngestReport) -> int:
    """Rows that are in the database now, whether they came or were there."""
    return sum(counts.inserted + counts.updated + counts.unchanged for counts in report.counts.values())


def _count(findings: Iterable[Finding], severity: Severity) -> int:
    return sum(found.severity is severity for found in findings)


def _tell(
    program: Program,
    report: ingest.IngestReport,
    findings: Sequence[Finding],
    files: Sequence[Path],
    rejects: Path | None,
    *,
    dry_run: bool,
) -> None:
    def kind(found: Finding) -> tuple[str, str, str]:
        return str(found.severity), found.layer, found.code

    for _, group in groupby(sorted(findings, key=kind), key=kind):
        alike = list(group)
        for found in alike[:SHOWN_OF_A_KIND]:
            told = f"{_layer(program, found.layer)}: {_sentence(program, found)}"
            program.say("import.finding", severity=program.sentence(f"severity.{found.severity}"), text=told)
        if len(alike) > SHOWN_OF_A_KIND:
            program.say("import.more_findings", count=len(alike) - SHOWN_OF_A_KIND)
    for layer, counts in report.counts.items():
        click.echo(program.sentence("import.layer_counts", layer=_layer(program, layer), **asdict(counts)))
    click.echo(
        program.sentence(
            "import.done",
            files=", ".join(file.name for file in files),
            rows=_taken(report),
            rejected=_count(findings, Severity.REJECTED),
            repaired=_count(findings, Severity.REPAIRED),
        )
    )
    if rejects is not None:
        click.echo(program.sentence("import.rejects_written", path=str(rejects)))
    if dry_run:
        click.echo(program.sentence("import.dry_run"))


def _write_rejects(program: Program, findings: Sequence[Finding], path: Path) -> None:
    """All findings, for a spreadsheet: UTF-8 with the mark that Excel needs to see it is."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["layer", "row", "key", "severity", "code", "reason"])
        for found in findings:
            row = [found.layer, found.row or "", found.key or "", str(found.severity), found.code]
            writer.writerow([_harmless(str(cell)) for cell in (*row, _sentence(program, found))])


def _harmless(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) and not cell[1:].isdigit() else cell


def _as_json(
    program: Program,
    report: ingest.IngestReport,
    findings: Sequence[Finding],
    files: Sequence[Path],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "files": [str(file) for file in files],
        "dry_run": dry_run,
        "import_run_id": None if dry_run else report.import_run_id,
        "layers": {layer: asdict(counts) for layer, counts in report.counts.items()},
        "rejected": _count(findings, Severity.REJECTED),
        "repaired": _count(findings, Severity.REPAIRED),
        "findings": [{**asdict(found), "text": _sentence(program, found)} for found in findings],
    }
