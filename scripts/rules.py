"""``wangge rules``: rule sets of places and times; presets and files come into force for an area from a date on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from gis import areas, rules
from gis.models import RuleSetRow
from gis.permissions import SYSTEM
from gis.rule_set import RuleSet, load_file, load_preset, preset_codes
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.transaction import transaction

_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@click.group()
def command() -> None:
    """Rule sets: tiers, bands and posts of a place from a date on."""


@command.command("list")
@_json
@pass_program
def list_(program: Program, as_json: bool) -> None:
    """List the rule sets in the database, the newest first, and the presets that could be stored."""
    with transaction(program) as session:
        stored = [_line(session, row) for row in rules.find(session)]
    if as_json:
        print_json({"rule_sets": stored, "presets": preset_codes()})
        return
    for line in stored:
        click.echo("\t".join(str(value if value is not None else "") for value in line.values()))
    program.say("rules.presets", known=preset_codes())


@command.command()
@click.argument("preset_or_file")
@click.option("--area", required=True, help="Code of the area that they are for; its communities inherit them.")
@click.option("--from", "valid_from", type=click.DateTime(["%Y-%m-%d"]), help="First day; today by default.")
@_json
@pass_program
def store(program: Program, preset_or_file: str, area: str, valid_from: datetime | None, as_json: bool) -> None:
    """Put a preset, or a TOML file of the same form, in force for an area; the rules before it end there."""
    rule_set = _load(preset_or_file)
    now = datetime.now(UTC)
    first_day = valid_from.date() if valid_from else now.astimezone(CHINA).date()
    with transaction(program) as session:
        place = areas.by_code(session, area)
        row = rules.store(session, rule_set, area_id=place.id, valid_from=first_day, actor=SYSTEM, now=now)
        line = _line(session, row)
    if as_json:
        print_json(line)
        return
    program.say("rules.stored", rule_set=rule_set.code, area=area, day=str(line["valid_from"]))


def _load(preset_or_file: str) -> RuleSet:
    path = Path(preset_or_file)
    return load_file(path) if path.suffix == ".toml" else load_preset(preset_or_file)


def _line(session: Session, row: RuleSetRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "code": row.code,
        "area": areas.get(session, row.area_id).code,
        "valid_from": row.valid_during.lower,
        "valid_to": row.valid_during.upper,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
    }
