"""The questions asked on every click find their indexes (asked with sequential scans discouraged: tables are small)."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gis.incidents_rehoming import CELLS_AT

PLACE = {"lon": 124.15, "lat": 39.86, "at": "2026-03-01T00:00:00+08:00"}


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (CELLS_AT, PLACE, "idx_grid_geom"),
        ("SELECT id FROM admin_area WHERE path <@ ANY(CAST(:s AS ltree[]))", {"s": ["210681"]}, "ix_admin_area_path"),
        (
            "SELECT id FROM building WHERE ST_DWithin(geom::geography,"
            " ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography, 50)",
            PLACE,
            "ix_building_geog",
        ),
        ("SELECT id FROM building WHERE geom && ST_TileEnvelope(14, 1, 1)", {}, "idx_building_geom"),
        (
            "SELECT id FROM building"
            " WHERE (coalesce(name, '') || ' ' || coalesce(address, '') || ' ' || code) ILIKE :q",
            {"q": "%振兴路%"},
            "ix_building_search",
        ),
        ("SELECT id FROM incident WHERE grid_id = 1 AND status = 'reported'", {}, "ix_incident_grid_id_status"),
        ("SELECT id FROM incident WHERE reported_at > now() - interval '1 day'", {}, "ix_incident_reported_at"),
        ("SELECT id FROM incident WHERE geom && ST_MakeEnvelope(0, 0, 1, 1, 4326)", {}, "idx_incident_geom"),
        ("SELECT grid_id FROM grid_part WHERE building_id = 1", {}, "ix_grid_part_building_id"),
        ("SELECT id FROM incident_event WHERE recorded_at > now()", {}, "ix_incident_event_recorded_at"),
    ],
)
def test_a_question_finds_its_index(session, statement, values, index):
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(session.scalars(text(f"EXPLAIN {statement}"), values))
    assert index in plan, plan
