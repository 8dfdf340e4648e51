"""``wangge plan``: look at plans; publish, withdraw, return, discard them, shown first and done with ``--commit``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gis import areas, jobs, plan_approval, plan_codes, plan_copy, plans, taking
from gis.codes import SCHEMES
from gis.errors import InvalidInput
from gis.messages import text as sentence
from gis.permissions import SYSTEM
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.transaction import transaction

SHOWN_OF_A_KIND = 5

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
        if commit:
            jobs.survey_ahead(session, plan_id, now=datetime.now(UTC))
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


@command.command()
@click.argument("plan_id", type=int)
@click.option("--scheme", type=click.Choice(SCHEMES), default="wangge", show_default=True)
@click.option("--template", default="", help="For --scheme template, such as '{street}-{grid:03d}'.")
@click.option("--object-class", default="010000", show_default=True, help="For cjt349: 6 digits of CJ/T 348.")
@_json
@pass_program
def codes(program: Program, plan_id: int, scheme: str, template: str, object_class: str, as_json: bool) -> None:
    """List every cell's code, and what it is in another scheme."""
    with transaction(program) as session:
        plans.get(session, plan_id)
        rows = plan_codes.table(session, plan_id, scheme=scheme, template=template, object_class=object_class)
    if as_json:
        print_json({"codes": [asdict(row) for row in rows]})
        return
    for row in rows:
        click.echo(f"{row.depth}\t{row.code}\t{row.other}")


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


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--area", required=True, help="Code of the area whose communities it divides.")
@click.option("--title", help="Title of the draft; the file's name without one.")
@click.option("--crs", help="Coordinates: wgs84, cgcs2000, gcj02, bd09, EPSG:… Needed where the file is silent.")
@click.option("--layer", "layers", multiple=True, metavar="grids=NAME|micro_grids=NAME", help="Which layer is which.")
@click.option("--map", "mapping", multiple=True, metavar="HEADER=COLUMN", help="A header that is not known by itself.")
@click.option("--trust-crs", is_flag=True, help="Go on although borders and buildings look shifted.")
@click.option("--dry-run", is_flag=True, help="Do everything but keep nothing.")
@_json
@pass_program
def import_(
    program: Program,
    file: Path,
    area: str,
    title: str | None,
    crs: str | None,
    layers: tuple[str, ...],
    mapping: tuple[str, ...],
    trust_crs: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a draft of an existing division in FILE.

    \b
    Polygons of grids and micro-grids (GeoPackage, Shapefile, GeoJSON, KML …), or a table building → grid (and
    micro-grid) as CSV or Excel. The cells of the draft tile their communities; all that was changed is told.
    """
    with transaction(program) as session:
        wish = taking.Wish(
            file, file.name, areas.by_code(session, area).id, title or file.stem, crs=crs, layers=_pairs(layers),
            mapping=_pairs(mapping), trust_crs=trust_crs,
        )  # fmt: skip
        taken = taking.take(session, wish, actor=SYSTEM, now=datetime.now(UTC))
        if dry_run:
            session.rollback()
        else:
            jobs.survey_ahead(session, taken.plan_id, now=datetime.now(UTC))
    found = taking.as_dict(taken, language=program.language)
    if as_json:
        print_json({**found, "dry_run": dry_run})
        return
    shown: Counter[str] = Counter()
    for item in found["findings"]:
        shown[item["code"]] += 1
        if shown[item["code"]] <= SHOWN_OF_A_KIND:
            click.echo(f"{program.sentence('severity.' + item['severity'])}\t{item['text']}")
    hidden = sum(max(count - SHOWN_OF_A_KIND, 0) for count in shown.values())
    if hidden:
        program.say("take.more", count=hidden)
    program.say("import.dry_run" if dry_run else "take.done", plan=taken.plan_id, **found)


def _pairs(said: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in said]
    for before, equals, after in split:
        if not (before and equals and after):
            raise InvalidInput("import.bad_mapping", mapping=before)
    return {before: after for before, _, after in split}


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
