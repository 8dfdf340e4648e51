"""``wangge user``: accounts and grants. Passwords are asked for, or made and printed once."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from gis import accounts, areas, staff, tokens
from gis.permissions import SYSTEM, Role
from gis.worktime import CHINA
from scripts.program import Program, pass_program, print_json
from scripts.transaction import transaction

_role = click.option(
    "--role", type=click.Choice([str(role) for role in Role]), required=True, help="What the person is here."
)
_area = click.option("--area", help="Code of the area whose subtree the role is for; without it, everywhere.")


@click.group()
def command() -> None:
    """Accounts, roles and passwords."""


@command.command()
@click.argument("username")
@click.option("--name", help="The person's name; the user name if not given.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), help="A role to grant at once.")
@_area
@click.option("--staff", "staff_code", help="Code of the person in staff (field workers).")
@click.option("--ask", is_flag=True, help="Ask for the password instead of making one.")
@pass_program
def add(
    program: Program,
    username: str,
    name: str | None,
    role: str | None,
    area: str | None,
    staff_code: str | None,
    ask: bool,
) -> None:
    """Make an account; prints a password to be changed at the first log-in."""
    password = _password(ask)
    now = datetime.now(UTC)
    with transaction(program) as session:
        user = accounts.create_user(
            session,
            username=username,
            name=name or username,
            password=password,
            staff_id=staff.by_code(session, staff_code).id if staff_code else None,
            actor=SYSTEM,
            now=now,
        )
        if role is not None:
            area_id = areas.by_code(session, area).id if area else None
            accounts.grant(session, username=username, role=Role(role), area_id=area_id, actor=SYSTEM, now=now)
    program.say("access.user_added", username=user.username)
    if not ask:
        click.echo(program.sentence("access.new_password", username=user.username, password=password))


@command.command()
@click.argument("username")
@_role
@_area
@pass_program
def grant(program: Program, username: str, role: str, area: str | None) -> None:
    """Give a role in the subtree of an area."""
    with transaction(program) as session:
        area_id = areas.by_code(session, area).id if area else None
        accounts.grant(
            session, username=username, role=Role(role), area_id=area_id, actor=SYSTEM, now=datetime.now(UTC)
        )
    program.say("access.granted", username=username, role=role, area=area or program.sentence("access.everywhere"))


@command.command()
@click.argument("username")
@_role
@_area
@pass_program
def revoke(program: Program, username: str, role: str, area: str | None) -> None:
    """End a role; it holds from the next request on."""
    with transaction(program) as session:
        area_id = areas.by_code(session, area).id if area else None
        accounts.revoke(
            session, username=username, role=Role(role), area_id=area_id, actor=SYSTEM, now=datetime.now(UTC)
        )
    program.say("access.revoked", username=username, role=role, area=area or program.sentence("access.everywhere"))


@command.command()
@click.argument("username")
@click.option("--ask", is_flag=True, help="Ask for the password instead of making one.")
@pass_program
def password(program: Program, username: str, ask: bool) -> None:
    """Set a new password and end the person's sessions."""
    new = _password(ask)
    with transaction(program) as session:
        accounts.set_password(session, username=username, password=new, actor=SYSTEM, now=datetime.now(UTC))
    program.say("access.password_set", username=username)
    if not ask:
        click.echo(program.sentence("access.new_password", username=username, password=new))


@command.command()
@click.argument("username")
@click.option("--open", "is_open", is_flag=True, help="Open it again.")
@pass_program
def lock(program: Program, username: str, is_open: bool) -> None:
    """Lock an account and end its sessions, or open it again."""
    with transaction(program) as session:
        accounts.set_active(session, username=username, is_active=is_open, actor=SYSTEM, now=datetime.now(UTC))
    program.say("access.user_unlocked" if is_open else "access.user_locked", username=username)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def list_(program: Program, as_json: bool) -> None:
    """List accounts with their roles."""
    now = datetime.now(UTC)
    with transaction(program) as session:
        users: list[dict[str, Any]] = [
            {
                "username": user.username,
                "name": user.name,
                "is_active": user.is_active,
                "locked_until": user.locked_until,
                "grants": [
                    {"role": role, "area": area.code if area else None}
                    for role, area in accounts.grants_of(session, user.id, now=now)
                ],
            }
            for user in accounts.find(session, actor=SYSTEM)
        ]
    if as_json:
        print_json({"users": users})
        return
    for user in users:
        grants = ", ".join(f"{grant['role']}@{grant['area'] or '*'}" for grant in user["grants"])
        click.echo(f"{user['username']}\t{user['name']}\t{'' if user['is_active'] else 'locked'}\t{grants}")


def _password(ask: bool) -> str:
    if ask:
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return secrets.token_urlsafe(12)


@command.group()
def token() -> None:
    """Tokens of programs: what QGIS, ArcGIS or a script shows instead of a password."""


@token.command("add")
@click.argument("username")
@click.option("--label", required=True, help="What it is for, such as “QGIS at the planning office”.")
@click.option("--days", type=int, default=tokens.DAYS, show_default=True, help="How long it lasts.")
@click.option("--write", is_flag=True, help="It may also change things (report incidents); without, it only reads.")
@pass_program
def token_add(program: Program, username: str, label: str, days: int, write: bool) -> None:
    """Make a token with the grants of an account; the token is printed once."""
    with transaction(program) as session:
        secret, made = tokens.issue(
            session, username=username, label=label, days=days, can_write=write, actor=SYSTEM, now=datetime.now(UTC)
        )
    until = made.expires_at.astimezone(CHINA).date().isoformat()
    program.say("access.token_made", token=made.id, username=username, label=made.label, until=until)
    click.echo(secret)


@token.command("revoke")
@click.argument("username")
@click.argument("number", type=int)
@pass_program
def token_revoke(program: Program, username: str, number: int) -> None:
    """End a token by its number; the next request that shows it is refused."""
    with transaction(program) as session:
        tokens.revoke(session, token_id=number, username=username, actor=SYSTEM, now=datetime.now(UTC))
    program.say("access.token_revoked", token=number, username=username)


@token.command("list")
@click.argument("username")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@pass_program
def token_list(program: Program, username: str, as_json: bool) -> None:
    """List the tokens of an account, ended ones too; the tokens themselves are nowhere."""
    with transaction(program) as session:
        found = [asdict(tokens.shown(one)) for one in tokens.tokens_of(session, username=username, actor=SYSTEM)]
    if as_json:
        print_json({"tokens": found})
        return
    for one in found:
        told = (one["id"], one["label"], one["expires_at"], one["last_used_at"], one["revoked_at"])
        click.echo("\t".join(str(value or "") for value in told))
