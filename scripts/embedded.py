"""``wangge embedded``: look after the private database cluster."""

from __future__ import annotations

import dataclasses

import click

from gis import embedded
from scripts.program import Program, pass_program, print_json


@click.group("embedded")
def command() -> None:
    """Start, stop and look at the embedded database cluster.

    It starts by itself whenever a command needs it. WANGGE_HOME says where it lives; WANGGE_DATABASE_URL
    chooses an existing server instead.
    """


@command.command()
@click.option("--show-url", is_flag=True, help="Print the URL, with its password, on standard output.")
@pass_program
def start(program: Program, *, show_url: bool) -> None:
    """Create the cluster if need be, and start it."""
    url = embedded.ensure(program.settings.home, database=program.settings.database)
    found = embedded.status(program.settings.home)
    program.say("cli.embedded_running", version=found.version, data=str(found.data), pid=found.pid)
    if show_url:
        click.echo(url)


@command.command()
@pass_program
def stop(program: Program) -> None:
    """Stop the cluster; its data stay."""
    stopped = embedded.stop(program.settings.home)
    program.say("cli.embedded_stopped" if stopped else "cli.embedded_not_running", home=str(program.settings.home))


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@pass_program
def status(program: Program, *, as_json: bool) -> None:
    """Tell whether the cluster runs, where, and under which account. Exit code 0 if it runs, 3 if not."""
    found = embedded.status(program.settings.home)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        click.echo(program.sentence(f"cli.embedded_{found.state}", **dataclasses.asdict(found)))
    if found.state != "running":
        raise click.exceptions.Exit(3)
