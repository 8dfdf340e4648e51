"""``wangge backup`` and ``wangge restore``: the whole database in one file, and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import click

from gis import backup as archive
from gis import embedded
from scripts.program import Program, pass_program, print_json


@click.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
@pass_program
def backup(program: Program, out: Path, *, as_json: bool) -> None:
    """Write the whole database into the file OUT.

    The file holds password hashes and phone numbers: keep it safe. An existing file is never overwritten.
    """
    url = embedded.database_url(program.settings)
    manifest = archive.backup(url, out.absolute(), now=datetime.now(UTC))
    if as_json:
        print_json(dataclasses.asdict(manifest))
    size_mb = f"{out.stat().st_size / 1e6:.1f}"
    program.say("backup.written", path=str(out), size_mb=size_mb, rows=f"{sum(manifest.rows.values()):,}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--commit", is_flag=True, help="Replace the present database; without it only tell what would happen.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as one JSON object.")
@pass_program
def restore(program: Program, file: Path, *, commit: bool, as_json: bool) -> None:
    """Replace the database by the backup FILE, wholly or not at all.

    Without --commit, tells what the backup holds and what it would replace.
    """
    url = embedded.database_url(program.settings)
    manifest = archive.restore(url, file) if commit else archive.read_manifest(file)
    if as_json:
        print_json(dataclasses.asdict(manifest))
    rows = f"{sum(manifest.rows.values()):,}"
    if commit:
        program.say("backup.restored", path=str(file), made_at=manifest.made_at, rows=rows)
        return
    present = f"{sum(archive.rows_of(url).values()):,}"
    program.say("backup.would_replace", path=str(file), made_at=manifest.made_at, rows=rows, present=present)
