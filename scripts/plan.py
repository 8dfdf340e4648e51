"""``wangge plan``: look at plans; publish, withdraw, return and discard them, shown first and done with ``--commit``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from gis import plan_approval, plan_copy, plans
from gis.messages import text as sentence
from gis.permissions import SYSTEM
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.transaction import transaction

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
_commit = click.option("--commit", is_flag=True, help="Do it; without this it is only shown.")


@click.group()
def command() -> None:
    """Plans: versions of the division of communities into grids."""


@command.command("list")
@_json
@pass_program
def list_(program: Program, as_json: bool) -> None:
    """List plans, the newest first."""
    with transaction(program) as session:
        rows = [asdict(line) for line in plans.find(session, actor=SYSTEM)]
    if as_json:
        print_json({"plans": rows})
        return
    if not rows:
        program.say("plan.none")
    for row in rows:
        click.echo("\t".join(str(value if value is not None else "") for value in row.values()))


@command.command()
@click.argument("plan_id", type=int)
@_json
@pass_program
def show(program: Program, plan_id: int, as_json: bool) -> None:
    """Show a plan's figures and what is out of its bands."""
    with transaction(program) as session:
        plan = plans.get(session, plan_id)
        found: dict[str, Any] = {
            "id": plan.id,
            "title": plan.title,
            "state": plans.state_of(session, plan_id),
            "effective_from": plan.effective_from,
            "statistics": plans.statistics(session, plan_id),
            "violations": plans.violations(session, plan_id),
        }
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['id']}\t{found['title']}\t{found['state']}\t{found['effective_from'] or ''}")
    for tier in found["statistics"]["tiers"]:
        name = tier["name_zh"] if program.language == "zh" else tier["name_en"]
        click.echo(
            f"{name}\t{tier['cells']}\t{tier['in_band']}/{tier['cells']}\t"
            f"{tier['households_min']}-{tier['households_max']}"
        )
    for violation in found["violations"]:
        click.echo(sentence(violation["code"], violation["params"], language=program.language))


@command.command()
@click.argument("plan_id", type=int)
@click.option("--from", "since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="China time; now if absent.")
@click.option("--document", help="Number of the document that approves the plan.")
@_commit
@_json
@pass_program
def publish(
    program: Program, plan_id: int, since: datetime | None, document: str | None, commit: bool, as_json: bool
) -> None:
    """Bring a plan into force; the steps that it still lacks are taken with it, each logged."""
    with transaction(program) as session:
        outcome = plans.publish(
            session,
            plan_id,
            effective_from=since.replace(tzinfo=CHINA) if since else None,
            document_no=document,
            actor=SYSTEM,
            now=datetime.now(UTC),
            commit=commit,
        )
    if as_json:
        print_json(asdict(outcome))
        return
    for replaced in outcome.replaces:
        program.say("plan.replaces", plan=replaced.plan_id, title=replaced.title, communities=replaced.communities)
    program.say(
        "plan.published",
        plan=plan_id,
        since=outcome.effective_from.astimezone(CHINA).isoformat(timespec="minutes"),
        communities=outcome.communities,
        cells=outcome.cells,
        kept=outcome.cells_kept,
        incidents=outcome.incidents_rehomed,
        posts=outcome.posts_moved,
    )
    if outcome.posts_lost:
        program.say("plan.posts_lost", posts=outcome.posts_lost)
    if not commit:
        program.say("plan.shown")


@command.command()
@click.argument("plan_id", type=int)
@_commit
@pass_program
def withdraw(program: Program, plan_id: int, commit: bool) -> None:
    """Take a published plan back before its day."""
    with transaction(program) as session:
        plans.withdraw(session, plan_id, actor=SYSTEM, now=datetime.now(UTC))
        if not commit:
            session.rollback()
    program.say("plan.withdrawn" if commit else "plan.shown", plan=plan_id)


@command.command("return")
@click.argument("plan_id", type=int)
@click.option("--reason", required=True, help="Why; it stands in the plan's log.")
@_commit
@pass_program
def return_(program: Program, plan_id: int, reason: str, commit: bool) -> None:
    """Make a submitted or approved plan a draft again."""
    with transaction(program) as session:
        plan_approval.return_(session, plan_id, note=reason, actor=SYSTEM, now=datetime.now(UTC))
        if not commit:
            session.rollback()
    program.say("plan.returned" if commit else "plan.shown", plan=plan_id)


@command.command()
@click.argument("plan_id", type=int)
@click.option("--title", required=True, help="Title of the new draft.")
@pass_program
def copy(program: Program, plan_id: int, title: str) -> None:
    """Make a draft of a plan of the past, to go back to it."""
    with transaction(program) as session:
        draft = plan_copy.copy(session, plan_id, title=title, actor=SYSTEM, now=datetime.now(UTC))
    program.say("plan.copied", plan=plan_id, draft=draft.id)


@command.command()
@click.argument("plan_id", type=int)
@_commit
@pass_program
def discard(program: Program, plan_id: int, commit: bool) -> None:
    """Give a draft up."""
    with transaction(program) as session:
        plans.discard(session, plan_id, actor=SYSTEM, now=datetime.now(UTC))
        if not commit:
            session.rollback()
    program.say("plan.discarded" if commit else "plan.shown", plan=plan_id)
