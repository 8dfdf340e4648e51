"""Lists of incidents: for the map, the tables and the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.listing.cells import BELOW
from gis.listing.window import Filters, Listed, Row, Window, fetch
from gis.permissions import EVERYWHERE

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

CountBy = Literal["status", "grid", "category", "community"]

# What each count is grouped by in the rows themselves, so that an index alone answers, and what it is called then.
# Cells of the lowest tier are counted together by the grid above them.
_COUNTED: dict[str, tuple[str, str]] = {
    "status": ("status", "SELECT key, NULL::text AS name, count, open FROM counted"),
    "category": (
        "category",
        "SELECT key, category.name_zh AS name, count, open"
        " FROM counted INNER JOIN incident_category AS category ON category.code = key",
    ),
    "community": (
        "area_id",
        "SELECT area.code AS key, area.name, count, open FROM counted LEFT JOIN admin_area AS area ON area.id = key",
    ),
    "grid": (
        "grid_id",
        "SELECT coalesce(above.code, cell.code) AS key, min(coalesce(above.name, cell.name)) AS name,"
        " sum(count)::bigint AS count, sum(open)::bigint AS open FROM counted"
        " LEFT JOIN grid AS cell ON cell.id = key LEFT JOIN grid AS above ON above.id = cell.parent_id"
        " GROUP BY coalesce(above.code, cell.code)",
    ),
}

COUNTED_MOST = 10_000
"""Rows of a list are counted one by one up to here; of more the planner's estimate is told, and told as such."""


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
    filters = _narrowed(session, scopes, wanted)
    filters.within("incident.geom", window.bbox)
    _plan_afresh(session)
    total, is_estimate = _total(session, filters)
    if window.cursor is not None:
        last = fetch(session, "SELECT reported_at FROM incident WHERE id = :id", {"id": window.cursor})
        filters.add(
            "(incident.reported_at, incident.id) < (CAST(:last_at AS timestamptz), :last)",
            last_at=last[0]["reported_at"] if last else None,
            last=window.cursor,
        )
    shape = ", ST_AsGeoJSON(incident.geom, 7) AS geometry" if window.geometry else ""
    order = "ORDER BY incident.reported_at DESC, incident.id DESC"
    # The page is found in the rows alone; only its rows are joined with their names.
    rows = fetch(
        session,
        f"SELECT {COLUMNS}{shape} FROM (SELECT * FROM incident {filters.sql()} {order} LIMIT :limit) AS"
        f" {SOURCE} {order}",
        {**filters.params, "limit": window.limit + 1},
    )
    for row in rows:
        row.pop("path")
    following = rows[window.limit - 1]["id"] if len(rows) > window.limit else None
    return Listed(rows[: window.limit], following, total, is_estimate)


def counts(session: Session, *, scopes: Sequence[str], wanted: IncidentFilter, by: CountBy) -> list[Row]:
    """Incidents counted by a key: all, and those not ended.

    Of a long period whole months come from the tally that triggers keep, and only its ends from the rows.
    """
    filters = _narrowed(session, scopes, wanted)
    column, named = _COUNTED[by]
    months = _whole_months(wanted)
    source = (
        f"SELECT {column} AS key, count(*) AS count, count(*) FILTER (WHERE closed_at IS NULL) AS open FROM incident"
    )
    if months is None:
        counted = f"{source} {filters.sql()} GROUP BY {column}"
    else:
        filters.params |= {"kind": "status" if by == "community" else by, "first": months[0], "end": months[1]}
        key = {"community": "area_id", "grid": "CAST(key AS bigint)"}.get(by, "key")
        areas = "AND area_id = ANY(:areas)" if "areas" in filters.params else ""
        areas += " AND area_id = :community_id" if wanted.community_id is not None else ""
        before = Filters([*filters.conditions, "incident.reported_at < CAST(:first AS timestamptz)"])
        after = Filters([*filters.conditions, "incident.reported_at >= CAST(:end AS timestamptz)"])
        filters.params |= {"first_day": months[0].date(), "end_day": months[1].date()}
        counted = (
            f"SELECT key, sum(count)::bigint AS count, sum(open)::bigint AS open FROM ("
            f"SELECT {key} AS key, total AS count, open FROM incident_tally"
            f" WHERE kind = :kind AND month >= :first_day AND month < :end_day {areas}"
            f" UNION ALL ({source} {before.sql()} GROUP BY {column})"
            f" UNION ALL ({source} {after.sql()} GROUP BY {column})) AS parts GROUP BY key HAVING sum(count) > 0"
        )
    _plan_afresh(session)
    return fetch(
        session,
        f"WITH counted AS MATERIALIZED ({counted})"
        f" SELECT * FROM ({named}) AS named ORDER BY count DESC, key LIMIT 5000",
        filters.params,
    )


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _whole_months(wanted: IncidentFilter) -> tuple[datetime, datetime] | None:
    """Beginning and end of the whole months (UTC) in a period; ``None`` if there are none, or more is asked than time
    and place."""
    if wanted != IncidentFilter(since=wanted.since, until=wanted.until, community_id=wanted.community_id):
        return None
    since, until = (  # within what a year of UTC can name
        min(max(_EARLIEST, moment), _LATEST).astimezone(UTC)
        for moment in (wanted.since or _EARLIEST, wanted.until or _LATEST)
    )
    first = _month_of(since)
    if first < since:
        first = _month_of(first + timedelta(days=31))
    end = _month_of(until)
    return (first, end) if first < end else None


def _month_of(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _plan_afresh(session: Session) -> None:
    """Have the next queries planned for what they ask: a day wants another index than two years."""
    session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def _total(session: Session, filters: Filters) -> tuple[int, bool]:
    """Rows in all pages, and whether that is an estimate."""
    counted = f"SELECT 1 FROM incident {filters.sql()}"
    [row] = fetch(
        session,
        f"SELECT count(*) AS total FROM ({counted} LIMIT :most) AS first",
        {**filters.params, "most": COUNTED_MOST + 1},
    )
    if row["total"] <= COUNTED_MOST:
        return int(row["total"]), False
    [plan] = session.execute(text(f"EXPLAIN (FORMAT JSON) {counted}"), filters.params).scalar_one()
    return max(COUNTED_MOST + 1, int(plan["Plan"]["Plan Rows"])), True


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


def _narrowed(session: Session, scopes: Sequence[str], wanted: IncidentFilter) -> Filters:
    """Conditions on the rows of incidents alone, so that their indexes serve."""
    filters = Filters()
    if EVERYWHERE not in scopes:
        seen = fetch(
            session,
            "SELECT id FROM admin_area WHERE path <@ ANY(CAST(:scopes AS ltree [])) ORDER BY id",
            {"scopes": list(scopes)},
        )
        filters.add("incident.area_id = ANY(:areas)", areas=[row["id"] for row in seen])
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
    if wanted.grid_id is not None:  # as numbers that the planner can look up: it would take any cell for a small one
        below = fetch(session, f"{BELOW} SELECT id FROM below ORDER BY id", {"grid_id": wanted.grid_id})
        filters.add("incident.grid_id = ANY(:grids)", grids=[row["id"] for row in below])
    return filters
