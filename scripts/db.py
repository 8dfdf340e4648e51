"""``wangge db``: bring the schema up to date, say where it stands, print the address."""

from __future__ import annotations

import time

import click
from sqlalchemy import text

from gis import db as database
from gis import embedded, search_index
from scripts.program import Program, pass_program, print_json


@click.group()
def command() -> None:
    """The database and its schema."""


@command.command()
@pass_program
def migrate(program: Program) -> None:
    """Bring the schema to the newest version; harmless to repeat."""
    engine = database.make_engine(embedded.database_url(program.settings))
    database.migrate(engine)
    with database.unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        search_index.work_off(session)
    present, _ = database.revisions(engine)
    program.say("db.migrated", revision=present)


@command.command("search-rebuild")
@pass_program
def search_rebuild(program: Program) -> None:
    """Make the search table anew; it keeps itself, this is for repairs."""
    begun = time.perf_counter()
    engine = database.make_engine(embedded.database_url(program.settings))
    with database.unit_of_work(engine) as session:
        entries = search_index.rebuild(session)
    program.say("search.rebuilt", entries=entries, seconds=round(time.perf_counter() - begun, 1))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def status(program: Program, as_json: bool) -> None:
    """Say which version the schema has; exit code 5 if it is behind."""
    engine = database.make_engine(embedded.database_url(program.settings))
    present, newest = database.revisions(engine)
    is_behind = present != newest
    if as_json:
        print_json({"present": present, "newest": newest, "is_behind": is_behind})
    else:
        program.say("db.behind" if is_behind else "db.status", present=present or "-", newest=newest)
    if is_behind:
        raise click.exceptions.Exit(5)


@command.command()
@pass_program
def url(program: Program) -> None:
    """Print the address of the database, password included, for psql or QGIS."""
    click.echo(embedded.database_url(program.settings))
