"""Incidents by the million in a database of measurements: clustered in space and time, most of them ended long ago."""

from __future__ import annotations

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis import incidents
from gis.db import unit_of_work
from gis.permissions import SYSTEM

YEARS = 2

# Nobody's rights and no codes are at stake in a throw-away database: what would check four million rows one by one is
# set aside, and put back for the rows to come.
_KEYS = (
    ("incident", "fk_incident_log"),
    ("incident", "fk_incident_area_id"),
    ("incident", "fk_incident_grid_id"),
    ("incident", "fk_incident_category"),
    ("incident_event", "fk_incident_event_previous"),
    ("incident_event", "fk_incident_event_incident_id"),
)

_FILL = """
CREATE TEMP TABLE spot ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY random()) AS n, g.id, g.community_id, ST_PointOnSurface(g.geom) AS p
FROM cells_in_force g JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth;
CREATE INDEX ON spot (n);
CREATE TEMP TABLE sort ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY code) AS n, code FROM incident_category;
ANALYZE spot, sort;

-- random() ^ 2.5: few cells and few categories have most incidents. Days have their busy hours, months grow busier.
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT i, spot.id AS grid_id, spot.community_id, sort.code AS category, p, at,
       CASE WHEN now() - at > interval '14 days' OR random() < 0.6
            THEN CASE WHEN random() < 0.04 THEN 'rejected' ELSE 'closed' END
            ELSE (ARRAY['reported', 'accepted', 'dispatched', 'in_progress', 'resolved'])[1 + floor(random() * 5)::int]
            END
       AS status
FROM (
    SELECT i, 1 + floor(power(random(), 2.5) * (SELECT count(*) FROM spot))::int AS spot_n,
           1 + floor(power(random(), 2.5) * (SELECT count(*) FROM sort))::int AS sort_n,
           date_trunc('day', now()) - interval '1 day' * floor(power(random(), 1.3) * :days)
               + interval '1 hour' * greatest(0, least(23.9, 13 + 4 * (random() + random() + random() - 1.5) * 2)) AS at
    FROM generate_series(1, CAST(:rows AS bigint)) AS i
) AS drawn
JOIN spot ON spot.n = spot_n JOIN sort ON sort.n = sort_n
ORDER BY at;

INSERT INTO incident (code, category, title, status, severity, geom, area_id, grid_id, lead_department_id, flags,
                      reported_at, due_at, closed_at, last_seq)
SELECT 'B' || lpad(i::text, 9, '0'), category,
       (ARRAY['暴露垃圾', '占道经营', '井盖破损', '噪音扰民', '路灯不亮', '乱停车', '下水道堵塞'])[1 + (i * 7919) % 7]
           || ' ' || (i * 104729) % 9973,
       status, 1 + (i % 4),
       ST_SetSRID(ST_MakePoint(ST_X(p) + (random() + random() - 1) * 0.0004,
                               ST_Y(p) + (random() + random() - 1) * 0.0003), 4326),
       community_id, grid_id, :department, '{}', at, at + interval '3 days',
       CASE WHEN status IN ('closed', 'rejected')
            THEN least(now(), at + interval '1 hour' * (1 + 60 * random() ^ 2)) END,
       CASE WHEN status = 'reported' THEN 1 ELSE 4 END
FROM made WHERE at < now() - interval '1 minute';

INSERT INTO incident_event (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor)
SELECT id, seq, 'comment', CASE WHEN seq > 1 THEN 'reported' END,
       CASE WHEN seq = last_seq THEN status ELSE 'reported' END, at, at, 'bench'
FROM incident, generate_series(1, last_seq) AS seq,
     LATERAL (SELECT least(coalesce(closed_at, now()), reported_at + interval '1 hour' * (seq - 1)) AS at) AS a;

INSERT INTO incident_tally (kind, month, area_id, key, total, open)
SELECT kind, date_trunc('month', reported_at AT TIME ZONE 'UTC'), area_id, key, count(*),
       count(*) FILTER (WHERE closed_at IS NULL)
FROM incident
CROSS JOIN LATERAL (VALUES ('status', status), ('category', category), ('grid', CAST(grid_id AS text))) AS k (kind, key)
GROUP BY 1, 2, 3, 4;
"""


def fill(engine: Engine, rows: int) -> None:
    """Put incidents with their logs into a database that has a plan in force and no incident."""
    with unit_of_work(engine) as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(text("SET LOCAL synchronous_commit = off"))
        incidents.store_categories(session, actor=SYSTEM, now=session.execute(text("SELECT now()")).scalar_one())
        department = session.execute(
            text("INSERT INTO department (code, name) VALUES ('BENCH', '城管') RETURNING id")
        ).scalar_one()
        kept = [_set_aside(session, *key) for key in _KEYS]
        for table in ("incident", "incident_event"):
            session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        given = {"rows": rows, "days": 365 * YEARS, "department": department}
        for statement in _FILL.split(";\n"):
            if statement.strip():
                session.execute(text(statement), given)
        for table in ("incident", "incident_event"):
            session.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
        for table, name, definition in kept:
            session.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE incident, incident_event, incident_tally"))


def _set_aside(session: Session, table: str, name: str) -> tuple[str, str, str]:
    definition = session.execute(
        text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"), {"name": name}
    ).scalar_one()
    session.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    return table, name, definition
