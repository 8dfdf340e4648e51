"""The demo put into a database by the same use cases that people use: town, plan, people, accounts, incidents.

Each step finds out whether it was done already, so that an interrupted demo is completed and a finished one is left
as it is. The records begin `HISTORY_DAYS` before the day of installation, so that there is a past to look at.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import accounts, areas, incident_history, incidents, ingest, plan_review, plans, rules, staff
from gis.demo import DemoIncident, staff_for
from gis.demo.departments import DEPARTMENTS
from gis.division import Division
from gis.errors import NotFound
from gis.findings import Finding
from gis.models import AdminArea
from gis.permissions import SYSTEM, Role
from gis.rule_set import RuleSet
from gis.town import Town, conform

HISTORY_DAYS = 60


@dataclass(frozen=True, slots=True)
class SampleAccount:
    """An account of the demo: the role it shows, and the words for the log-in page."""

    username: str
    role: Role
    area: str
    password: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What the demo made."""

    buildings: int
    residential_buildings: int
    households: int
    communities: int
    compounds: int
    staff: int
    incidents: int
    tiers: tuple[Mapping[str, Any], ...]
    gap_m2: float | None
    overlap_m2: float | None
    not_contiguous: int | None


def root_code(town: Town) -> str:
    """Code of the area at the top of a town's tree."""
    tree = town["areas"]
    return str(tree.loc[tree["parent"].isna(), "code"].iloc[0])


def with_departments(town: Town) -> Town:
    """The town with departments to send incidents to; its own if it has some."""
    if len(town["departments"]):
        return town
    rows = [
        {"code": code, "name": name, "name_en": name_en, "area": root_code(town), "parent": parent}
        for code, name, name_en, parent in DEPARTMENTS
    ]
    return town.with_layers(departments=conform("departments", pd.DataFrame(rows)))


def published_plan(session: Session) -> int | None:
    """The plan in force that the demo published last, if any."""
    found = session.scalar(text("SELECT max(plan_id) FROM plan_community WHERE upper_inf(in_force_during)"))
    return None if found is None else int(found)


def store_town(session: Session, town: Town, findings: Sequence[Finding], *, source: str, since: datetime) -> None:
    """The town's rows are in the database, and the categories of incidents."""
    ingest.store(session, town, actor=SYSTEM, now=since, source=source, findings=findings)
    incidents.store_categories(session, actor=SYSTEM, now=since)


def store_rules(session: Session, rule_set: RuleSet, *, root: str, since: datetime) -> int:
    """The rules are in force for the town; gives their id."""
    area = areas.by_code(session, root)
    try:
        return rules.in_force(session, area_id=area.id, on=since.date()).id
    except NotFound:
        return rules.store(session, rule_set, area_id=area.id, valid_from=since.date(), actor=SYSTEM, now=since).id


def publish_division(
    session: Session,
    division: Division,
    *,
    root: str,
    rule_set_id: int,
    title: str,
    quality: Mapping[str, Any],
    since: datetime,
) -> int:
    """The division is a plan in force since the beginning of the records; gives its id."""
    area = areas.by_code(session, root)
    plan = plans.create_draft(
        session,
        area_id=area.id,
        rule_set_id=rule_set_id,
        title=title,
        recipe=dict(division.recipe),
        actor=SYSTEM,
        now=since,
    )
    plans.store_division(session, plan.id, division=division, quality=dict(quality), actor=SYSTEM, now=since)
    plans.publish(session, plan.id, effective_from=since, actor=SYSTEM, now=since)
    return plan.id


def store_staff(session: Session, town: Town, plan_id: int, *, seed: int, since: datetime) -> None:
    """Every post of the rules is held, for the cells as they are coded in the database."""
    if session.scalar(text("SELECT count(*) FROM staff")):
        return
    people = staff_for(town, plan_review.division_of(session, plan_id), seed=seed)
    layers = Town({name: people[name] for name in ("departments", "staff", "assignments")}, town.title)
    ingest.store(session, layers, actor=SYSTEM, now=since)


def is_peopled(session: Session) -> bool:
    """Whether people and incidents are there."""
    return bool(session.scalar(text("SELECT EXISTS (SELECT FROM staff) AND EXISTS (SELECT FROM incident)")))


def town_of(session: Session, plan_id: int) -> Town:
    """The town of a plan as the database has it, with the tree above it and its departments."""
    town = plans.town_of(session, community_ids=plan_review.community_ids(session, plan_id))
    tree = pd.DataFrame(session.execute(_TREE).mappings().all())
    departments = pd.DataFrame(session.execute(_DEPARTMENTS).mappings().all())
    return town.with_layers(areas=conform("areas", tree), departments=conform("departments", departments))


_TREE = text(
    """
    SELECT a.code, a.name, a.name_en, a.level, above.code AS parent
    FROM admin_area a LEFT JOIN admin_area above ON above.id = a.parent_id
    WHERE a.level <> 'community' ORDER BY a.path
    """
)
_DEPARTMENTS = text(
    """
    SELECT d.code, d.name, d.name_en, a.code AS area, above.code AS parent
    FROM department d LEFT JOIN admin_area a ON a.id = d.area_id LEFT JOIN department above ON above.id = d.parent_id
    ORDER BY d.id
    """
)


def sample_accounts(session: Session, *, password: str, now: datetime) -> list[SampleAccount]:
    """One account a role, each within its own area; made if they are not there.

    The password is one for all, made at the first run and kept by the caller.
    """
    top = session.scalars(select(AdminArea).where(AdminArea.parent_id.is_(None)).order_by(AdminArea.id)).first()
    officer, officer_area = _officer(session, now)
    wanted: list[tuple[str, str, Role, AdminArea | None, int | None]] = [
        ("admin", "管理员 Administrator", Role.ADMINISTRATOR, None, None),
        ("planner", "规划员 Planner", Role.PLANNER, top, None),
        ("approver", "审批人 Approver", Role.APPROVER, top, None),
        ("dispatcher", "指挥员 Dispatcher", Role.DISPATCHER, top, None),
        ("officer", "网格员 Grid officer", Role.FIELD_WORKER, officer_area, officer),
        ("viewer", "访客 Viewer", Role.VIEWER, top, None),
    ]
    made = []
    for username, name, role, area, staff_id in wanted:
        _account(session, username, name, role, area, staff_id, password=password, now=now)
        made.append(SampleAccount(username, role, "*" if area is None else area.name, password))
    return made


def new_password() -> str:
    """A password that can be typed from a screen."""
    return "-".join(secrets.token_hex(2) for _ in range(3))


def _account(
    session: Session,
    username: str,
    name: str,
    role: Role,
    area: AdminArea | None,
    staff_id: int | None,
    *,
    password: str,
    now: datetime,
) -> None:
    try:
        accounts.by_name(session, username)
        return
    except NotFound:
        pass
    if staff_id is not None:
        name = staff.get(session, staff_id).name
    accounts.create_user(
        session,
        username=username,
        name=name,
        password=password,
        staff_id=staff_id,
        must_change_password=False,
        actor=SYSTEM,
        now=now,
    )
    area_id = None if area is None else area.id
    accounts.grant(session, username=username, role=role, area_id=area_id, actor=SYSTEM, now=now)


def _officer(session: Session, now: datetime) -> tuple[int, AdminArea]:
    """The officer with the most open incidents, and the community of their grid."""
    row = session.execute(_BUSIEST_OFFICER, {"at": now}).first()
    if row is None:
        raise NotFound("demo_run.no_officer")
    return int(row.staff_id), areas.get(session, row.community_id)


_BUSIEST_OFFICER = text(
    """
    SELECT h.staff_id, g.community_id FROM assignment h
    JOIN post p ON p.id = h.post_id JOIN grid g ON g.id = h.grid_id
    JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
    WHERE g.grid_depth = 1 AND p.code = 'grid_officer'
      AND pc.in_force_during @> CAST(:at AS timestamptz) AND h.valid_during @> CAST(:at AS timestamptz)
    ORDER BY (SELECT count(*) FROM incident i WHERE i.assignee_id = h.staff_id AND i.closed_at IS NULL) DESC,
        g.households DESC, h.staff_id
    LIMIT 1
    """
)


def store_incidents(session: Session, stream: Sequence[DemoIncident], *, now: datetime) -> None:
    """The stream is in the database with all its moves; work goes to the officers of the grids."""
    if session.scalar(text("SELECT count(*) FROM incident")):
        return
    incident_history.store_history(session, stream, actor=SYSTEM, now=now, handler_post="grid_officer")


def figures(session: Session, plan_id: int) -> Figures:
    """Count what is in the database."""
    counts = session.execute(_COUNTS).one()._mapping
    measured = plans.statistics(session, plan_id)
    return Figures(
        **counts,
        tiers=tuple(measured["tiers"]),
        gap_m2=measured["gap_m2"],
        overlap_m2=measured["overlap_m2"],
        not_contiguous=measured["not_contiguous"],
    )


_COUNTS = text(
    """
    SELECT (SELECT count(*) FROM building) AS buildings,
           (SELECT count(*) FROM building WHERE households > 0) AS residential_buildings,
           (SELECT coalesce(sum(households), 0) FROM building) AS households,
           (SELECT count(*) FROM admin_area WHERE level = 'community') AS communities,
           (SELECT count(*) FROM compound) AS compounds,
           (SELECT count(*) FROM staff) AS staff,
           (SELECT count(*) FROM incident) AS incidents
    """
)


def beginning(now: datetime) -> datetime:
    """When the records of a demo installed now begin: a midnight, `HISTORY_DAYS` ago."""
    return (now - timedelta(days=HISTORY_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
