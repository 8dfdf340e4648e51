"""Incidents with their whole past, in bulk: what the demo makes and what other systems hand over.

The same table of moves and the same rule for the responsible cell as `gis.incidents`, but one question for all places
and COPY for all rows: 3,000 incidents in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis.db import audit
from gis.errors import InvalidInput, NotFound
from gis.incident_flow import IncidentAction, IncidentStatus, next_status
from gis.incidents import calendar
from gis.models import Department, IncidentCategory
from gis.permissions import EVERYWHERE, Action, Actor, require
from gis.plan_storing import copy_rows, next_ids
from gis.worktime import CHINA, Span, due_at


class Step(Protocol):
    """A move and its time."""

    @property
    def action(self) -> str:
        """A word of `IncidentAction`."""

    @property
    def at(self) -> datetime:
        """When it was made."""


class PastIncident(Protocol):
    """What is known of an incident: `gis.demo` makes such values."""

    @property
    def category(self) -> str: ...
    @property
    def severity(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str | None: ...
    @property
    def lon(self) -> float: ...
    @property
    def lat(self) -> float: ...
    @property
    def reported_at(self) -> datetime: ...
    @property
    def steps(self) -> Sequence[Step]: ...


@dataclass
class _Row:
    """A projection that grows with its log."""

    id: int
    seq: int = 0
    status: IncidentStatus | None = None
    lead: int | None = None
    locked_at: datetime | None = None
    assignee: int | None = None
    closed_at: datetime | None = None
    events: list[tuple[Any, ...]] = field(default_factory=list)


def store_history(
    session: Session, past: Iterable[PastIncident], *, actor: Actor, now: datetime, handler_post: str | None = None
) -> int:
    """Store incidents with the moves made so far; gives their number (`store_past`)."""
    return len(store_past(session, past, actor=actor, now=now, handler_post=handler_post))


def store_past(
    session: Session, past: Iterable[PastIncident], *, actor: Actor, now: datetime, handler_post: str | None = None
) -> list[int]:
    """Store incidents with the moves made so far; gives their ids, in their order.

    Each lies in the cell in force at its time, or at ``now`` where none was yet. The lead is the category's
    department, the assignee who holds ``handler_post`` for the cell or one above it, else the nearest holder of any.

    Raises
    ------
    NotAllowed
    NotFound
        ``incident.unknown_category``, ``incident.unknown_department``.
    WrongState
        ``incident.wrong_state`` if the steps are no way through the table of moves.
    """
    require(actor, Action.IMPORT_DATA, EVERYWHERE)
    incidents = list(past)
    categories = {line.code: line for line in session.scalars(select(IncidentCategory))}
    departments = {row.code: row.id for row in session.execute(select(Department.code, Department.id))}
    places = _places(session, incidents, now)
    holders = _holders(session, {place.grid_id for place in places if place.grid_id is not None}, now, handler_post)
    days = calendar(session)
    ids = next_ids(session, "incident", len(incidents))
    numbers = session.scalars(
        text("SELECT nextval('incident_code_seq') FROM generate_series(1, :count)"), {"count": len(incidents)}
    ).all()
    rows: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    for item, place, incident_id, number in zip(incidents, places, ids, numbers, strict=True):
        line = categories.get(item.category)
        if line is None:
            raise NotFound("incident.unknown_category", category=item.category)
        row = _play(item, _Row(incident_id), departments.get(line.department or ""), holders.get(place.grid_id), actor)
        span = Span(line.due_amount, line.due_unit)  # type: ignore[arg-type]
        due = due_at(item.reported_at, span, calendar=days)
        rows.append(_incident(item, place, row, f"{item.reported_at.astimezone(CHINA):%Y%m%d}{number:06d}", due))
        events += row.events
    copy_rows(session, "incident", _INCIDENT, rows)
    copy_rows(session, "incident_event", _EVENT, events)
    details = {"incidents": len(rows), "events": len(events)}
    audit(session, "incident.history", subject="incident", actor=actor, now=now, details=details)
    return list(ids)


_INCIDENT = (
    "id, code, category, title, description, status, severity, geom, area_id, grid_id, lead_department_id,"
    " lead_locked_at, assignee_id, flags, reported_at, due_at, closed_at, last_seq"
)
_EVENT = "incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor_id, actor, details"


def _play(item: PastIncident, row: _Row, lead: int | None, holder: int | None, actor: Actor) -> _Row:
    _move(row, IncidentAction.REPORT, item.reported_at, actor)
    for step in item.steps:
        move = IncidentAction(step.action)
        if move is IncidentAction.REPORT:
            continue
        if move is IncidentAction.DISPATCH:
            if lead is None:
                raise InvalidInput("incident.lead_missing", incident=item.title, category=item.category)
            row.lead, row.assignee = lead, holder
        elif move is IncidentAction.RETURN:
            row.assignee = None
            row.lead = row.lead if row.locked_at else None
        elif move is IncidentAction.START:
            row.locked_at = row.locked_at or step.at
        _move(row, move, step.at, actor)
    return row


def _move(row: _Row, move: IncidentAction, at: datetime, actor: Actor) -> None:
    before, row.status = row.status, next_status(row.status, move)
    row.seq += 1
    if row.status.is_ended and row.closed_at is None:
        row.closed_at = at
    details = orjson.dumps({"department_id": row.lead, "assignee_id": row.assignee}).decode()
    row.events.append(
        (
            row.id,
            row.seq,
            str(move),
            before and str(before),
            str(row.status),
            at,
            at,
            actor.user_id,
            actor.name,
            details,
        )
    )


def _incident(item: PastIncident, place: Any, row: _Row, code: str, due: datetime) -> tuple[Any, ...]:
    flags = [] if place.grid_id is not None else ["in_no_grid"]
    if place.area_id is None:
        flags.insert(0, "in_no_community")
    return (
        row.id,
        code,
        item.category,
        item.title,
        item.description,
        str(row.status),
        item.severity,
        f"SRID=4326;POINT({item.lon:.7f} {item.lat:.7f})",
        place.area_id,
        place.grid_id,
        row.lead,
        row.locked_at,
        row.assignee,
        flags,
        item.reported_at,
        due,
        row.closed_at,
        row.seq,
    )


def _places(session: Session, incidents: Sequence[PastIncident], now: datetime) -> Sequence[Any]:
    return session.execute(
        _PLACES,
        {
            "lon": [item.lon for item in incidents],
            "lat": [item.lat for item in incidents],
            "at": [item.reported_at for item in incidents],
            "now": now,
        },
    ).all()


def _holders(session: Session, grid_ids: set[int], now: datetime, handler_post: str | None) -> dict[int | None, int]:
    rows = session.execute(_HOLDERS, {"ids": sorted(grid_ids), "now": now, "post": handler_post or ""})
    return {row.cell: row.staff_id for row in rows}


_PLACES = text(
    """
    SELECT coalesce(cell.community_id, community.id) AS area_id, cell.id AS grid_id
    FROM unnest(CAST(:lon AS float8[]), CAST(:lat AS float8[]), CAST(:at AS timestamptz[]))
         WITH ORDINALITY AS item (lon, lat, at, number)
    LEFT JOIN LATERAL (
        SELECT g.id, g.community_id FROM grid g
        JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth
        JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
        WHERE ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(item.lon, item.lat), 4326))
          AND (pc.in_force_during @> item.at OR pc.in_force_during @> CAST(:now AS timestamptz))
        ORDER BY pc.in_force_during @> item.at DESC, g.id LIMIT 1) cell ON true
    LEFT JOIN LATERAL (
        SELECT id FROM admin_area WHERE level = 'community'
          AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(item.lon, item.lat), 4326)) ORDER BY id LIMIT 1
    ) community ON true
    ORDER BY item.number
    """
)

# Who holds the wanted post, else the nearest holder of any: of the cell itself, else of the cell above.
_HOLDERS = text(
    """
    WITH RECURSIVE up AS (
        SELECT id AS cell, id, parent_id, 0 AS steps FROM grid WHERE id = ANY(CAST(:ids AS bigint[]))
        UNION ALL
        SELECT up.cell, g.id, g.parent_id, up.steps + 1 FROM up JOIN grid g ON g.id = up.parent_id
    )
    SELECT DISTINCT ON (up.cell) up.cell, h.staff_id
    FROM up JOIN assignment h ON h.grid_id = up.id AND h.valid_during @> CAST(:now AS timestamptz)
    JOIN post p ON p.id = h.post_id
    ORDER BY up.cell, (p.code = :post) DESC, up.steps, h.post_id, h.staff_id
    """
)
