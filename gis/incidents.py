"""Use cases of incidents: reported, moved by the table of moves, read, replayed.

The log is the truth, the row its projection: an act reads the row under a lock, asks `next_status`, and writes the
event and the row in one transaction. Of two actors one gets `StaleRevision`; a retry with the same ``request_id``
changes nothing and answers the same.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import geotag
from gis import staff as people
from gis.db import audit
from gis.errors import Conflict, InvalidInput, NotAllowed, NotFound, StaleRevision, WrongState
from gis.incident_flow import TRANSITIONS, IncidentAction, IncidentStatus, actions_from, next_status
from gis.listing.window import Row
from gis.models import AdminArea, CalendarDay, Department, Incident, IncidentCategory, IncidentEvent, Staff
from gis.permissions import INCIDENT_ACTIONS, Action, Actor, may, may_anywhere, require
from gis.settings import ROOT
from gis.worktime import CHINA, Calendar, Span, due_at, load_calendar

if TYPE_CHECKING:
    from gis.responsibility.responsibility import Responsibility

_CLOCK_SLACK = timedelta(minutes=5)
NEAREST_M = 500.0
"""So far outside a cell still answers."""
TOO_FAR_KM = 20.0
"""So far from every community a place is a mistake."""

CATEGORIES = ROOT / "data" / "presets" / "categories.toml"


@dataclass(frozen=True, slots=True)
class Where:
    """What is responsible for a place at an instant, as far as it is known."""

    area_id: int | None
    grid_id: int | None
    building_part_id: int | None
    flags: tuple[str, ...]


def report(
    session: Session,
    *,
    lon: float,
    lat: float,
    category: str,
    title: str,
    request_id: str | None,
    actor: Actor,
    now: datetime,
    description: str | None = None,
    accuracy_m: float | None = None,
    severity: int = 1,
    reported_at: datetime | None = None,
    floor: int | None = None,
    index: Responsibility | None = None,
) -> Incident:
    """Take up an incident and find the lowest cell that is responsible for its place at its time.

    A place in no cell is flagged, not refused. Whoever may report somewhere may report anywhere: an officer sees what
    lies across the street too.

    Raises
    ------
    NotAllowed
    NotFound
        ``incident.unknown_category``.
    InvalidInput
        ``incident.bad_place``, ``incident.no_title``, ``incident.from_the_future`` (a phone whose clock is wrong).
    Conflict
        ``incident.request_reused`` if the request id belongs to another report.
    """
    if not may_anywhere(actor, Action.REPORT_INCIDENT):
        require(actor, Action.REPORT_INCIDENT, None)
    known = _by_request(session, request_id)
    if known is not None:
        if (known.category, known.title) != (category, title.strip()):
            raise Conflict("incident.request_reused", request_id=request_id, incident=known.code)
        return known
    _check_report(lon, lat, title, severity, accuracy_m)
    if reported_at is not None and reported_at > now + _CLOCK_SLACK:
        raise InvalidInput("incident.from_the_future", reported_at=reported_at.isoformat())
    line = session.get(IncidentCategory, category)
    if line is None:
        raise NotFound("incident.unknown_category", category=category)
    at = reported_at or now
    where = locate(session, lon=lon, lat=lat, at=at, accuracy_m=accuracy_m, floor=floor, index=index)
    incident = Incident(
        code=_next_code(session, at),
        category=category,
        title=title.strip(),
        description=description,
        status=str(IncidentStatus.REPORTED),
        severity=severity,
        geom=f"SRID=4326;POINT({lon:.7f} {lat:.7f})",
        accuracy_m=accuracy_m,
        area_id=where.area_id,
        grid_id=where.grid_id,
        building_part_id=where.building_part_id,
        flags=list(where.flags),
        reporter_id=actor.user_id,
        reported_at=at,
        due_at=due_at(at, _span(line), calendar=calendar(session)),
        last_seq=1,
    )
    session.add(incident)
    session.flush()
    details = {"grid_id": where.grid_id, "flags": list(where.flags)}
    _append(session, incident, IncidentAction.REPORT, None, actor, at, now, request_id, None, details)
    return incident


def act(
    session: Session,
    incident_id: int,
    *,
    action: IncidentAction | str,
    request_id: str | None,
    actor: Actor,
    now: datetime,
    expected_seq: int | None = None,
    department: str | int | None = None,
    assignee: str | int | None = None,
    note: str | None = None,
    occurred_at: datetime | None = None,
) -> Incident:
    """Move an incident by an action of the table.

    Parameters
    ----------
    department, assignee : code or id, optional
        For ``dispatch`` (and ``accept``, if the lead is clear at once). Without a department the assignee's counts,
        then the category's.
    expected_seq : int, optional
        The last event that the actor saw.

    Raises
    ------
    NotFound
        ``incident.unknown``, ``incident.unknown_department``, ``staff.unknown``.
    NotAllowed
    StaleRevision
        ``incident.stale``.
    WrongState
        ``incident.wrong_state``, ``incident.lead_locked``.
    InvalidInput
        ``incident.unknown_action``, ``incident.lead_missing``.
    """
    move = _action(action)
    incident = session.scalar(
        select(Incident).where(Incident.id == incident_id).with_for_update().execution_options(populate_existing=True)
    )
    if incident is None:
        raise NotFound("incident.unknown", incident=incident_id)
    _require_move(session, incident, move, actor)
    known = _by_request(session, request_id)
    if known is not None:
        if known.id != incident_id:
            raise Conflict("incident.request_repeated", request_id=request_id)
        return known
    if expected_seq is not None and expected_seq != incident.last_seq:
        raise StaleRevision("incident.stale", incident=incident.code, expected=expected_seq, seq=incident.last_seq)
    before = incident.status
    status = next_status(IncidentStatus(before), move)
    details = _apply(session, incident, move, actor, now, department=department, assignee=assignee)
    incident.status = str(status)
    incident.closed_at = now if status.is_ended and incident.closed_at is None else incident.closed_at
    incident.last_seq += 1
    _append(session, incident, move, before, actor, occurred_at or now, now, request_id, note, details)
    return incident


def get(session: Session, incident_id: int, *, actor: Actor) -> Incident:
    """An incident that somebody may see; one that they may not see does not exist for them.

    Raises
    ------
    NotFound
        ``incident.unknown``.
    """
    incident = session.get(Incident, incident_id)
    if incident is None or not may(actor, Action.VIEW_INCIDENTS, path_of(session, incident)):
        raise NotFound("incident.unknown", incident=incident_id)
    return incident


def events(session: Session, incident_id: int) -> Sequence[IncidentEvent]:
    """The log of an incident, from the report on."""
    return session.scalars(
        select(IncidentEvent).where(IncidentEvent.incident_id == incident_id).order_by(IncidentEvent.seq)
    ).all()


def allowed_actions(session: Session, incident: Incident, *, actor: Actor) -> tuple[IncidentAction, ...]:
    """What somebody may do next to an incident, in the order of the table of moves."""
    path = path_of(session, incident)
    return tuple(
        move
        for move in actions_from(IncidentStatus(incident.status))
        if may(actor, INCIDENT_ACTIONS[move], path) and _is_theirs(incident, move, actor, path)
    )


def replay(session: Session, incident_id: int) -> IncidentStatus:
    """The status that the log alone leads to; the test of projection and log.

    Raises
    ------
    Conflict
        ``incident.log_disagrees`` if an event is not a move of the table, or the row says something else.
    """
    incident = session.get(Incident, incident_id)
    if incident is None:
        raise NotFound("incident.unknown", incident=incident_id)
    status: IncidentStatus | None = None
    for event in events(session, incident_id):
        status = TRANSITIONS.get((status, IncidentAction(event.kind)))
        if status is None or status != event.to_status:
            raise Conflict("incident.log_disagrees", incident=incident.code, seq=event.seq)
    if status is None or status != incident.status:
        raise Conflict("incident.log_disagrees", incident=incident.code, seq=incident.last_seq)
    return status


def locate(
    session: Session,
    *,
    lon: float,
    lat: float,
    at: datetime,
    accuracy_m: float | None = None,
    floor: int | None = None,
    index: Responsibility | None = None,
) -> Where:
    """Find the responsible cell of a place at an instant: it covers the place; on a border the lowest id counts.

    Flags: ``in_no_community``, ``in_no_grid``, ``nearest`` (just outside; the nearest cell answers for it), ``stack``
    (cells above one another, and no floor told), ``near_border`` (another cell lies within the accuracy).

    Raises
    ------
    InvalidInput
        ``incident.too_far`` from every community: a wrong coordinate system or swapped axes, mostly.
    """
    where = None
    if index is not None and index.holds(at):
        where = _inside(session, lon, lat, at, accuracy_m, floor, index)
        if where is not None and not session.scalar(_IS_IN_FORCE, {"grid": where.grid_id, "at": at}):
            where = None  # a plan came into force a moment ago: what is written down must be of that one
    where = where or _inside(session, lon, lat, at, accuracy_m, floor, None)
    if where is not None:
        return where
    area_id = session.scalar(_COMMUNITY, {"lon": lon, "lat": lat})
    return Where(area_id, None, None, ("in_no_grid",)) if area_id is not None else _outside(session, lon, lat, at)


def _inside(
    session: Session,
    lon: float,
    lat: float,
    at: datetime,
    accuracy_m: float | None,
    floor: int | None,
    index: Responsibility | None,
) -> Where | None:
    """The cell that covers a place; the flags tell what else comes into question."""
    reach_m = min(accuracy_m or 0.0, geotag.MAX_REACH_M)
    near = geotag.cells_around(session, lon=lon, lat=lat, at=at, within_m=reach_m, index=index)
    cells = [cell for cell in near if cell["is_inside"]]
    if not cells:
        return None
    stacked = [cell for cell in cells if cell["floor_from"] is not None]
    chosen = next((cell for cell in stacked if floor is not None and _holds(cell, floor)), cells[0])
    flags: tuple[str, ...] = ("stack",) if chosen in stacked and floor is None else ()
    if reach_m > 0 and any(cell is not chosen and cell not in stacked for cell in near):
        flags += ("near_border",)
    known = {"lon": lon, "lat": lat, "grid": chosen["id"], "floor": floor}
    return Where(chosen["community_id"], chosen["id"], session.scalar(_PART, known), flags)


def _outside(session: Session, lon: float, lat: float, at: datetime) -> Where:
    """Who takes up what lies in no community: nothing may be lost between the areas of those who look after them."""
    cell = next(iter(geotag.cells_around(session, lon=lon, lat=lat, at=at, within_m=NEAREST_M)), None)
    if cell is not None:
        return Where(cell["community_id"], cell["id"], None, ("in_no_community", "nearest"))
    near = session.execute(_NEAREST_COMMUNITY, {"lon": lon, "lat": lat}).first()
    if near is None:
        return Where(None, None, None, ("in_no_community", "in_no_grid"))
    if near.km > TOO_FAR_KM:
        raise InvalidInput("incident.too_far", lon=lon, lat=lat, km=round(near.km), community=near.name)
    return Where(near.id, None, None, ("in_no_community", "in_no_grid"))


def store_categories(session: Session, *, actor: Actor, now: datetime, path: Path = CATEGORIES) -> int:
    """Bring the dictionary of categories in from its preset; lines that are there are brought up to date."""
    lines = tomllib.loads(path.read_text(encoding="utf-8"))["categories"]
    columns = set(IncidentCategory.__table__.columns.keys())
    for line in lines:
        session.merge(IncidentCategory(**{key: value for key, value in line.items() if key in columns}))
    session.flush()
    audit(session, "incident.categories", subject="incident_category", actor=actor, now=now, details={"n": len(lines)})
    return len(lines)


def calendar(session: Session) -> Calendar:
    """The calendar that ships with Wangge, with the days that this place has set itself."""
    shipped = load_calendar()
    own = {day.day: day.is_workday for day in session.scalars(select(CalendarDay))}
    years = shipped.years | {day.year for day in own}
    return Calendar(days={**shipped.days, **own}, years=years, hours=shipped.hours, zone=shipped.zone)


def path_of(session: Session, incident: Incident) -> str | None:
    """The path of the community of an incident, which decides who may see it; ``None`` beyond all communities."""
    if incident.area_id is None:
        return None
    return session.scalar(select(AdminArea.path).where(AdminArea.id == incident.area_id))


def _action(action: IncidentAction | str) -> IncidentAction:
    try:
        move = IncidentAction(action)
    except ValueError:
        move = IncidentAction.REHOME
    if move in (IncidentAction.REPORT, IncidentAction.REHOME):
        raise InvalidInput("incident.unknown_action", action=str(action))
    return move


def _check_report(lon: float, lat: float, title: str, severity: int, accuracy_m: float | None) -> None:
    if not (-180 <= lon <= 180 and -90 <= lat <= 90) or (accuracy_m is not None and not accuracy_m >= 0):
        raise InvalidInput("incident.bad_place", lon=lon, lat=lat)
    if not title.strip():
        raise InvalidInput("incident.no_title")
    if severity not in (1, 2, 3, 4):
        raise InvalidInput("incident.bad_severity", severity=severity)


def _require_move(session: Session, incident: Incident, move: IncidentAction, actor: Actor) -> None:
    path = path_of(session, incident)
    if not may(actor, Action.VIEW_INCIDENTS, path):
        raise NotFound("incident.unknown", incident=incident.id)
    require(actor, INCIDENT_ACTIONS[move], path)
    if not _is_theirs(incident, move, actor, path):
        raise NotAllowed(
            "incident.not_yours", actor=actor.name, user_id=actor.user_id, action=str(move), incident=incident.code
        )


def _is_theirs(incident: Incident, move: IncidentAction, actor: Actor, path: str | None) -> bool:
    """Who handles but does not dispatch handles what is given to nobody yet or to them."""
    if INCIDENT_ACTIONS[move] is not Action.HANDLE_INCIDENT or may(actor, Action.DISPATCH_INCIDENT, path):
        return True
    return incident.assignee_id is None or incident.assignee_id == actor.staff_id


def _apply(
    session: Session,
    incident: Incident,
    move: IncidentAction,
    actor: Actor,
    now: datetime,
    *,
    department: str | int | None,
    assignee: str | int | None,
) -> dict[str, Any]:
    """Set what the move sets beside the status; gives what the log should keep of it."""
    if move in (IncidentAction.DISPATCH, IncidentAction.ACCEPT):
        _set_lead(session, incident, move, now, department=department, assignee=assignee)
    elif move is IncidentAction.RETURN:
        incident.assignee_id = None
        if incident.lead_locked_at is None:
            incident.lead_department_id = None
    elif move is IncidentAction.START:
        # 首接首责: whose people first take the matter up keeps it.
        incident.lead_locked_at = incident.lead_locked_at or now
        incident.assignee_id = incident.assignee_id or actor.staff_id
    return {"department_id": incident.lead_department_id, "assignee_id": incident.assignee_id}


def _set_lead(
    session: Session,
    incident: Incident,
    move: IncidentAction,
    now: datetime,
    *,
    department: str | int | None,
    assignee: str | int | None,
) -> None:
    person = None if assignee is None else _person(session, assignee)
    lead = _department(session, department) if department is not None else None
    if lead is None and move is IncidentAction.DISPATCH and incident.lead_department_id is None:
        lead = _usual_department(session, incident, person)
    if lead is not None and incident.lead_locked_at is not None and lead.id != incident.lead_department_id:
        raise WrongState("incident.lead_locked", incident=incident.code)
    if lead is not None:
        incident.lead_department_id = lead.id
        if move is IncidentAction.ACCEPT:
            incident.lead_locked_at = incident.lead_locked_at or now
    if person is not None:
        incident.assignee_id = person.id


def _usual_department(session: Session, incident: Incident, person: Staff | None) -> Department:
    if person is not None and person.department_id is not None:
        return session.get_one(Department, person.department_id)
    line = session.get_one(IncidentCategory, incident.category)
    usual = session.scalar(select(Department).where(Department.code == line.department))
    if usual is None:
        raise InvalidInput("incident.lead_missing", incident=incident.code, category=incident.category)
    return usual


def _department(session: Session, key: str | int) -> Department:
    column = Department.id if isinstance(key, int) else Department.code
    department = session.scalar(select(Department).where(column == key))
    if department is None:
        raise NotFound("incident.unknown_department", department=key)
    return department


def _person(session: Session, key: str | int) -> Staff:
    return people.get(session, key) if isinstance(key, int) else people.by_code(session, key)


def _by_request(session: Session, request_id: str | None) -> Incident | None:
    if request_id is None:
        return None
    return session.scalar(
        select(Incident)
        .join(IncidentEvent, IncidentEvent.incident_id == Incident.id)
        .where(IncidentEvent.request_id == request_id)
    )


def _append(
    session: Session,
    incident: Incident,
    move: IncidentAction,
    before: str | None,
    actor: Actor,
    occurred_at: datetime,
    now: datetime,
    request_id: str | None,
    note: str | None,
    details: dict[str, Any],
) -> None:
    session.add(
        IncidentEvent(
            incident_id=incident.id,
            seq=incident.last_seq,
            kind=str(move),
            from_status=before,
            to_status=incident.status,
            occurred_at=occurred_at,
            recorded_at=now,
            actor_id=actor.user_id,
            actor=actor.name,
            request_id=request_id,
            note=note,
            details=details,
        )
    )
    audit(session, f"incident.{move}", subject=f"incident:{incident.id}", actor=actor, now=now)
    session.flush()


def _span(line: IncidentCategory) -> Span:
    return Span(line.due_amount, line.due_unit)  # type: ignore[arg-type]  # held to the words by a CHECK


def _next_code(session: Session, at: datetime) -> str:
    number = session.scalar(text("SELECT nextval('incident_code_seq')"))
    return f"{at.astimezone(CHINA):%Y%m%d}{number:06d}"


def _holds(cell: Row, floor: int) -> bool:
    return bool(cell["floor_from"] <= floor and (cell["floor_to"] is None or floor <= cell["floor_to"]))


_IS_IN_FORCE = text(
    """
    SELECT EXISTS (
        SELECT FROM grid g JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
        WHERE g.id = :grid AND pc.in_force_during @> CAST(:at AS timestamptz))
    """
)

_COMMUNITY = text(
    """
    SELECT id FROM admin_area WHERE level = 'community'
       AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)) ORDER BY id LIMIT 1
    """
)

# The index orders by degrees; of the nearest few the metres decide.
_NEAREST_COMMUNITY = text(
    """
    SELECT id, name, ST_Distance(geom::geography, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography) / 1000 AS km
    FROM (SELECT id, name, geom FROM admin_area WHERE level = 'community' AND geom IS NOT NULL
          ORDER BY geom <-> ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) LIMIT 8) AS near
    ORDER BY km, id LIMIT 1
    """
)

_PART = text(
    """
    SELECT gp.building_part_id FROM building b JOIN grid_part gp ON gp.building_id = b.id AND gp.grid_id = :grid
    WHERE ST_Covers(b.geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
      AND (CAST(:floor AS int) IS NULL OR gp.floor_span @> CAST(:floor AS int))
    ORDER BY gp.building_part_id LIMIT 1
    """
)
