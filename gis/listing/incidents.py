"""Lists of incidents: for the map, the tables and the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from gis.listing.cells import BELOW
from gis.listing.window import Filters, Listed, Row, Window, fetch, fetch_page

COLUMNS = """
    incident.id, incident.code, incident.status, incident.severity, incident.category,
    category.name_zh AS category_name, category.name_en AS category_name_en,
    incident.title, incident.description, incident.flags, incident.accuracy_m,
    incident.reported_at, incident.due_at, incident.closed_at, incident.last_seq,
    incident.grid_id, cell.code AS grid_code, cell.name AS grid_name, above.code AS parent_grid_code,
    area.id AS community_id, area.name AS community_name, area.name_en AS community_name_en, area.path::text AS path,
    building.code AS building_code, building.name AS building_name,
    compound.name AS compound_name, compound.name_en AS compound_name_en,
    CASE WHEN lead.id IS NOT NULL
        THEN json_build_object('code', lead.code, 'name', lead.name, 'name_en', lead.name_en) END AS lead_department,
    CASE WHEN person.id IS NOT NULL
        THEN json_build_object('id', person.id, 'name', person.name) END AS assignee,
    round(ST_X(incident.geom)::numeric, 7)::float8 AS lon, round(ST_Y(incident.geom)::numeric, 7)::float8 AS lat
"""

SOURCE = """
    incident
    INNER JOIN incident_category AS category ON incident.category = category.code
    LEFT JOIN admin_area AS area ON incident.area_id = area.id
    LEFT JOIN grid AS cell ON incident.grid_id = cell.id
    LEFT JOIN grid AS above ON cell.parent_id = above.id
    LEFT JOIN building_part AS part ON incident.building_part_id = part.id
    LEFT JOIN building ON part.building_id = building.id
    LEFT JOIN compound ON building.compound_id = compound.id
    LEFT JOIN department AS lead ON incident.lead_department_id = lead.id
    LEFT JOIN staff AS person ON incident.assignee_id = person.id
"""

_SEEN = "coalesce(area.path, ''::ltree) <@ ANY(CAST(:scopes AS ltree []))"

CountBy = Literal["status", "grid", "category", "community"]

_COUNT_KEYS: dict[str, tuple[str, str]] = {
    "status": ("incident.status", "NULL::text"),
    "category": ("incident.category", "min(category.name_zh)"),
    "grid": ("coalesce(above.code, cell.code)", "min(coalesce(above.name, cell.name))"),
    "community": ("area.code", "min(area.name)"),
}


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What a list of incidents is narrowed to; ``None`` does not narrow."""

    status: tuple[str, ...] | None = None
    category: str | None = None
    grid_id: int | None = None
    community_id: int | None = None
    is_open: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    after_event: int | None = None
    assignee_id: int | None = None
    q: str | None = None


def incidents(session: Session, window: Window, *, scopes: Sequence[str], wanted: IncidentFilter) -> Listed:
    """Incidents in the scopes, those reported last first."""
    filters, prelude = _narrowed(scopes, wanted)
    filters.within("incident.geom", window.bbox)
    listed = fetch_page(
        session,
        window,
        source=SOURCE,
        columns=COLUMNS,
        filters=filters,
        key="incident.id",
        order=("incident.reported_at", "incident.id"),
        descending=True,
        shape="incident.geom",
        prelude=prelude,
    )
    for row in listed.rows:
        row.pop("path")
    return listed


def counts(session: Session, *, scopes: Sequence[str], wanted: IncidentFilter, by: CountBy) -> list[Row]:
    """Incidents counted by a key: all, and those not ended."""
    filters, prelude = _narrowed(scopes, wanted)
    key, name = _COUNT_KEYS[by]
    return fetch(
        session,
        f"{prelude} SELECT {key} AS key, {name} AS name, count(*) AS count,"
        f" count(*) FILTER (WHERE incident.closed_at IS NULL) AS open FROM {SOURCE} {filters.sql()}"
        f" GROUP BY {key} ORDER BY count(*) DESC, {key} LIMIT 5000",
        filters.params,
    )


def incident(session: Session, incident_id: int) -> Row | None:
    """The row of one incident as lists show it, with its tree path; the caller checks the right to see it."""
    rows = fetch(
        session,
        f"SELECT {COLUMNS}, incident.reporter_id, ST_AsGeoJSON(incident.geom, 7) AS geometry FROM {SOURCE}"
        " WHERE incident.id = :incident_id",
        {"incident_id": incident_id},
    )
    return rows[0] if rows else None


def log(session: Session, incident_id: int) -> list[Row]:
    """The log of one incident, oldest first."""
    return fetch(
        session,
        """
        SELECT
            event.id, event.seq, event.kind AS action, event.from_status, event.to_status,
            event.occurred_at, event.recorded_at, event.note, event.details,
            event.actor AS username, coalesce(account.name, event.actor) AS actor,
            lead.name AS department, person.name AS assignee
        FROM incident_event AS event
        LEFT JOIN user_account AS account ON event.actor_id = account.id
        LEFT JOIN department AS lead ON lead.id = CAST(event.details ->> 'department_id' AS bigint)
        LEFT JOIN staff AS person ON person.id = CAST(event.details ->> 'assignee_id' AS bigint)
        WHERE event.incident_id = :incident_id
        ORDER BY event.seq
        """,
        {"incident_id": incident_id},
    )


def _narrowed(scopes: Sequence[str], wanted: IncidentFilter) -> tuple[Filters, str]:
    filters = Filters()
    filters.add(_SEEN, scopes=list(scopes))
    filters.add_given("incident.status = ANY(:status)", status=None if wanted.status is None else list(wanted.status))
    filters.add_given("incident.category = :category", category=wanted.category)
    filters.add_given("incident.area_id = :community_id", community_id=wanted.community_id)
    filters.add_given("incident.assignee_id = :assignee_id", assignee_id=wanted.assignee_id)
    filters.add_given("incident.reported_at >= :since", since=wanted.since)
    filters.add_given("incident.reported_at < :until", until=wanted.until)
    filters.add_given(
        "incident.id IN (SELECT e.incident_id FROM incident_event AS e WHERE e.recorded_at >= :updated_since)",
        updated_since=wanted.updated_since,
    )
    filters.add_given(
        "incident.id IN (SELECT e.incident_id FROM incident_event AS e WHERE e.id > :after_event)",
        after_event=wanted.after_event,
    )
    if wanted.is_open is not None:
        filters.add("(incident.closed_at IS NULL) = :is_open", is_open=wanted.is_open)
    if wanted.q:
        filters.add("(strpos(incident.title, :q) > 0 OR starts_with(incident.code, :q))", q=wanted.q)
    if wanted.grid_id is not None:
        filters.add("incident.grid_id IN (SELECT below.id FROM below)", grid_id=wanted.grid_id)
        return filters, BELOW
    return filters, ""
