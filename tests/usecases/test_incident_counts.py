"""Counts of incidents: whatever happened to them, the tally and the rows say the same; and indexes answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import incident_tally, listing
from gis.db import make_engine
from gis.listing import IncidentFilter, Window
from gis.listing.incidents import COUNTED_MOST
from tests.usecases.builders import SmallTown, make_category, make_plan, make_town

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 430
KEYS: dict[str, str] = {
    "status": "i.status",
    "category": "i.category",
    "community": "a.code",
    "grid": "coalesce(above.code, cell.code)",
}

# Months with hundreds of thousands would take minutes here; the planner is shown the same proportions.
FILL = """
INSERT INTO incident (code, category, title, status, severity, geom, area_id, grid_id, flags, reported_at, closed_at,
                      last_seq)
SELECT 'X' || :tag || n, category, title, status, 1, ST_SetSRID(ST_MakePoint(:lon + random() * 0.01, 39.861), 4326),
       :area, :grid, '{}', at, CASE WHEN status = 'rejected' THEN at + interval '1 hour' END, 1
FROM (SELECT n, CASE WHEN n % 3 = 0 THEN '0201' ELSE '0202' END AS category, 'report ' || n AS title,
             CASE WHEN n % 5 = 0 THEN 'reported' ELSE 'rejected' END AS status,
             CAST(:since AS timestamptz) + interval '1 second' * floor(random() * :seconds) AS at
      FROM generate_series(1, :rows) AS n) AS made
"""


def put(session: Session, town: SmallTown, draw: random.Random, rows: int, *, days: int = DAYS) -> None:
    community = draw.choice([*town.communities, None])
    cells = session.execute(
        text("SELECT id FROM grid WHERE community_id = :id ORDER BY id"), {"id": community and community.id}
    ).scalars()
    session.execute(
        text(FILL),
        {
            "tag": f"{draw.getrandbits(40):x}-",
            "lon": 124.15,
            "area": community and community.id,
            "grid": draw.choice([None, *cells]),
            "since": BEGIN,
            "seconds": days * 86_400,
            "rows": rows,
        },
    )


def change(session: Session, town: SmallTown, draw: random.Random) -> None:
    """One of the things that happen to rows, to some of them at once."""
    some = f"id % {draw.randint(2, 5)} = 0"
    session.execute(
        text(
            draw.choice(
                [
                    f"UPDATE incident SET status = 'rejected', closed_at = reported_at WHERE {some}",
                    f"UPDATE incident SET status = 'accepted', closed_at = NULL WHERE {some}",
                    f"UPDATE incident SET category = '0202' WHERE {some}",
                    f"UPDATE incident SET grid_id = NULL WHERE {some}",
                    f"UPDATE incident SET area_id = {town.communities[0].id} WHERE {some}",
                    f"UPDATE incident SET title = title || '.' WHERE {some}",
                    f"DELETE FROM incident WHERE {some} AND id % 7 = 0",
                ]
            )
        )
    )


def by_hand(session: Session, by: str, wanted: IncidentFilter, paths: Sequence[str]) -> dict[Any, tuple[int, int]]:
    rows = session.execute(
        text(
            f"SELECT {KEYS[by]}, count(*), count(*) FILTER (WHERE i.closed_at IS NULL) FROM incident AS i"
            " LEFT JOIN admin_area AS a ON a.id = i.area_id LEFT JOIN grid AS cell ON cell.id = i.grid_id"
            " LEFT JOIN grid AS above ON above.id = cell.parent_id"
            " WHERE coalesce(a.path, ''::ltree) <@ ANY(CAST(:paths AS ltree []))"
            " AND (CAST(:since AS timestamptz) IS NULL OR i.reported_at >= :since)"
            " AND (CAST(:until AS timestamptz) IS NULL OR i.reported_at < :until)"
            " AND (CAST(:community AS bigint) IS NULL OR i.area_id = :community) GROUP BY 1"
        ),
        {"paths": list(paths), "since": wanted.since, "until": wanted.until, "community": wanted.community_id},
    )
    return {key: (total, still_open) for key, total, still_open in rows}


@pytest.fixture
def town(session: Session) -> SmallTown:
    made = make_town(session, communities=2)
    make_plan(session, made)
    make_category(session, "0201")
    make_category(session, "0202")
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_tally_and_the_rows_say_the_same_whatever_happens(session: Session, town: SmallTown, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(25):
        draw.choice([lambda: put(session, town, draw, draw.randint(1, 60)), lambda: change(session, town, draw)])()
        if draw.random() < 0.2:
            incident_tally.sum_up(session)
    far = [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=8))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-8))),
    ]
    moments = [None, BEGIN, *far, *(BEGIN + timedelta(seconds=draw.randint(0, DAYS * 86_400)) for _ in range(6))]
    for by in KEYS:
        for _ in range(6):
            since, until = draw.choice(moments), draw.choice(moments)
            community = draw.choice([None, None, town.communities[1].id])
            wanted = IncidentFilter(since=since, until=until, community_id=community)
            paths = draw.choice([[""], [town.street.path], [town.communities[0].path]])
            told = listing.counts(session, scopes=paths, wanted=wanted, by=by)  # type: ignore[arg-type]
            assert {row["key"]: (row["count"], row["open"]) for row in told} == by_hand(session, by, wanted, paths)


def test_summing_up_leaves_one_row_a_count(session: Session, town: SmallTown) -> None:
    for seed in range(5):
        put(session, town, random.Random(seed), 40)
        change(session, town, random.Random(seed))
    incident_tally.sum_up(session)
    twice = (
        "SELECT count(*) FROM (SELECT 1 FROM incident_tally GROUP BY kind, month, area_id, key HAVING count(*) > 1) x"
    )
    assert session.execute(text(twice)).scalar_one() == 0
    assert incident_tally.sum_up(session) == 0


def test_old_news_are_cleared_away_but_for_the_last(session: Session, town: SmallTown) -> None:  # noqa: ARG001
    session.execute(text("INSERT INTO live_event (plan_id, at) SELECT id, now() - interval '9 days' FROM plan"))
    session.execute(text("INSERT INTO live_event (plan_id, at) SELECT id, now() - interval '8 days' FROM plan"))
    last = listing.newest_number(session)
    incident_tally.clear_news(session, now=datetime.now(UTC))
    assert session.execute(text("SELECT array_agg(id) FROM live_event")).scalar_one() == [last]


def test_beyond_ten_thousand_a_total_is_an_estimate_and_says_so(session: Session, town: SmallTown) -> None:
    put(session, town, random.Random(1), COUNTED_MOST + 500)
    session.execute(text("ANALYZE incident"))
    few = listing.incidents(session, Window(limit=5), scopes=[""], wanted=IncidentFilter(until=BEGIN + timedelta(2)))
    assert not few.is_estimate
    many = listing.incidents(session, Window(limit=5), scopes=[""], wanted=IncidentFilter())
    assert many.is_estimate
    assert many.total == pytest.approx(COUNTED_MOST + 500, rel=0.1)


def test_pages_go_on_where_the_last_one_ended(session: Session, town: SmallTown) -> None:
    put(session, town, random.Random(1), 230, days=1)  # many of them within one second
    seen, cursor = [], None
    while True:
        page = listing.incidents(session, Window(limit=50, cursor=cursor), scopes=[""], wanted=IncidentFilter())
        seen += [(row["reported_at"], row["id"]) for row in page.rows]
        cursor = page.following
        if cursor is None:
            break
    assert len(seen) == 230
    assert seen == sorted(seen, reverse=True)


INDEXED = {
    "a month of all": ("reported_at >= '2025-05-01' AND reported_at < '2025-05-03'", "ix_incident_period"),
    "a community's of late": ("area_id = ANY(:areas) AND reported_at >= '2026-02-15'", "ix_incident_area_period"),
    "of one category long ago": ("category = '0203' AND reported_at < '2025-03-01'", "ix_incident_category_period"),
    "ended lately": ("closed_at > '2026-03-05 12:00+00'", "ix_incident_closed_at"),
    "open ones on the map": (
        "closed_at IS NULL AND geom && ST_MakeEnvelope(124.1501, 39.86, 124.15011, 39.87, 4326)",
        "ix_incident_open_geom",
    ),
    "all on the map": ("geom && ST_MakeEnvelope(124.1501, 39.86, 124.15011, 39.87, 4326)", "idx_incident_geom"),
}


def test_each_question_finds_its_index(database: str) -> None:
    """In a database of its own, where nothing that was rolled back before makes tables and indexes larger."""
    engine = make_engine(database)
    with Session(engine) as session:
        town = make_town(session, communities=2)
        for code in ("0201", "0202", "0203"):
            make_category(session, code)
        session.execute(text("SELECT setseed(0.5)"))
        put(session, town, random.Random(1), 20_000)
        session.execute(text("UPDATE incident SET area_id = :id WHERE id % 100 = 0"), {"id": town.communities[1].id})
        session.execute(text("ANALYZE incident"))
        for question, (condition, index) in INDEXED.items():
            plan = session.execute(
                text(f"EXPLAIN SELECT id FROM incident WHERE {condition} ORDER BY reported_at DESC, id DESC LIMIT 50"),
                {"areas": [town.communities[1].id]} if ":areas" in condition else {},
            ).scalars()
            assert index in "\n".join(plan), question
    engine.dispose()
