"""``wangge import requests.json|xml``: another Open311 server's requests as incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gis import open311
from gis.db import make_engine, unit_of_work
from gis.embedded import database_url
from gis.errors import InvalidInput
from gis.exchange import open311_file
from gis.findings import Finding
from gis.permissions import SYSTEM
from scripts.program import Program, print_json

SHOWN = 5


def take(
    program: Program, files: Sequence[Path], *, source: str, mapping: Mapping[str, str], dry_run: bool, as_json: bool
) -> list[Finding]:
    """Take the requests of files; gives what could not be taken.

    Raises
    ------
    InvalidInput
        ``open311.alone`` if there are other files among them.
    """
    if not all(map(open311_file.is_open311, files)):
        raise InvalidInput("open311.alone")
    told = []
    findings: list[Finding] = []
    engine = make_engine(database_url(program.settings))
    try:
        with unit_of_work(engine) as session:
            for file in files:
                made = open311.take(
                    session,
                    open311_file.read(file),
                    source=source,
                    mapping=mapping,
                    actor=SYSTEM,
                    now=datetime.now(UTC),
                )
                told.append((file, made))
                findings += made.findings
            if dry_run:
                session.rollback()
    finally:
        engine.dispose()
    if as_json:
        counts = [{"file": file, "inserted": made.inserted, "known": made.known} for file, made in told]
        rows = [{**asdict(one), "text": program.sentence(one.code, **one.params)} for one in findings]
        print_json({"files": counts, "dry_run": dry_run, "rejected": len(findings), "findings": rows})
        return findings
    for file, made in told:
        for one in made.findings[:SHOWN]:
            program.say("import.finding", severity=str(one.key), text=program.sentence(one.code, **one.params))
        rejected = len(made.findings)
        click.echo(
            program.sentence(
                "open311.taken", file=file.name, inserted=made.inserted, known=made.known, rejected=rejected
            )
        )
    if dry_run:
        click.echo(program.sentence("import.dry_run"))
    return findings
