"""The questions asked on every click find their indexes, in a town of some hundred cells and some thousand areas."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from usecases.builders import LONG_AGO, NOW, make_category, make_plan, make_town

from gis import plans
from gis.db import make_engine
from gis.incidents_rehoming import CELLS_AT
from gis.permissions import SYSTEM
from tests.conftest import clone_of
from tests.usecases.test_incident_counts import put

# All that is asked below.
TABLES = "admin_area, grid, plan, plan_community, building, incident, incident_event, grid_part"

PLACE = {"lon": 124.15, "lat": 39.86, "at": "2026-03-01T00:00:00+08:00"}


@pytest.fixture(scope="module")
def filled(home: Path, template: str) -> Iterator[Session]:
    """In a database of its own: what other tests rolled back makes tables and indexes larger, and so may choose."""
    with clone_of(home, template) as url:
        engine = make_engine(url)
        with Session(engine) as session:
            town = make_town(session, communities=12)
            plan = make_plan(session, town, pieces=(2, 4))
            plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
            session.execute(
                text(
                    "INSERT INTO admin_area (level, code, name)"
                    " SELECT 'county', 'x' || n, 'x' FROM generate_series(1, 3000) n"
                )
            )
            for code in ("0201", "0202"):
                make_category(session, code)
            put(session, town, random.Random(1), 5000)
            session.execute(text("UPDATE incident SET grid_id = g.id FROM grid AS g WHERE g.id = incident.id % 150"))
            session.execute(text(f"ANALYZE {TABLES}"))
            # Tables of a hundred rows fit into a page or two, where reading them all is right.
            session.execute(text("SET LOCAL enable_seqscan = off"))
            yield session
        engine.dispose()


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
        ("SELECT title FROM incident WHERE grid_id = 1 AND status = 'closed'", {}, "ix_incident_grid_id_status"),
        (
            "SELECT id FROM incident WHERE reported_at > now() ORDER BY reported_at, id LIMIT 9",
            {},
            "ix_incident_period",
        ),
        ("SELECT id FROM incident WHERE geom && ST_MakeEnvelope(0, 0, 1, 1, 4326)", {}, "idx_incident_geom"),
        ("SELECT grid_id FROM grid_part WHERE building_id = 1", {}, "ix_grid_part_building_id"),
        ("SELECT id FROM incident_event WHERE recorded_at > now()", {}, "ix_incident_event_recorded_at"),
    ],
)
def test_a_question_finds_its_index(filled, statement, values, index):
    plan = "\n".join(filled.scalars(text(f"EXPLAIN {statement}"), values))
    assert index in plan, plan
