"""The table that search looks things up in: it keeps itself, and every question finds an index."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from gis import search_index
from gis.geotag import Place, geotag_one
from gis.search import search
from tests.search.conftest import changed, somebody
from tests.usecases.builders import NOW


def rows(session):
    statement = text(
        "SELECT kind, ref_id, variant, path::text, code, name, spelling, initials, road, house, place, number, tokens"
        " FROM search_entry ORDER BY kind, ref_id, variant"
    )
    return session.execute(statement).all()


def test_made_anew_it_is_the_same(session, find):
    changed(session, "UPDATE compound SET name = '望江华庭' WHERE code = 'X1'")
    changed(session, "DELETE FROM building WHERE code = '21068100100200016' AND false")
    find("望江")
    find("望江")
    kept = rows(session)
    search_index.rebuild(session)
    assert rows(session) == kept


def test_what_is_compared_by_sound_is_ascii(session):
    """So trigrams and the order of letters are the same in a database of any locale."""
    found = session.execute(text("SELECT spelling, initials FROM search_entry WHERE spelling IS NOT NULL")).all()
    assert len(found) > 20
    assert all(re.fullmatch("[a-z0-9?]+", row.spelling) and row.initials.isascii() for row in found)


def test_nothing_is_left_to_do_after_a_search(session, find):
    changed(session, "UPDATE building SET households = households + 1")
    find("阳光")
    assert session.scalar(text("SELECT count(*) FROM search_stale")) == 0
    assert search_index.work_off(session) == 0


def test_a_search_does_not_wait_for_another_who_works_it_off(built, find, session):
    other = built[0].connect()
    with other.begin():
        other.execute(text("SELECT pg_advisory_xact_lock(7306813)"))
        changed(session, "UPDATE staff SET name = '司马光' WHERE code = 'S000'")
        assert find("司马光") == []
    other.close()
    assert find("司马光")[0]["code"] == "S000"


def test_a_change_that_is_rolled_back_leaves_nothing(session, find):
    nested = session.begin_nested()
    changed(session, "UPDATE compound SET name = '望江华庭' WHERE code = 'X1'")
    assert find("望江华庭")
    nested.rollback()
    assert find("望江华庭") == []
    assert find("阳光水岸")[0]["code"] == "X1"


ASKED = "阳光水岸3栋|阳光|ygsa|y|阳光水案|yanguang|210681001|qwxzvk|5栋|X1|锦江路12号|文庙5网格"


@pytest.mark.parametrize("words", [*ASKED.split("|"), "阳" * 200])
def test_every_question_to_the_table_finds_an_index(session, find, words):
    """With sequential scans made dear, a plan that still has one has no index to take."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    asked = []

    def note(_connection, _cursor, statement, parameters, *_):
        asked.append((statement, parameters))

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        find(words)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    cursor = session.connection().connection.driver_connection.cursor()
    explained = 0
    for statement, parameters in asked:
        if "search_entry" in statement and statement.lstrip(" (\n").startswith(("SELECT", "WITH")):
            plan = "\n".join(row[0] for row in cursor.execute("EXPLAIN " + statement, parameters))
            assert "Seq Scan on search_entry" not in plan, plan
            explained += 1
    assert explained


def test_a_database_that_is_only_read_is_searched_as_it_is(built, town):
    with Session(built[0]) as session:
        session.execute(text("INSERT INTO search_stale (kind, ref_id) VALUES ('staff', 0)"))
        session.commit()
        session.execute(text("SET TRANSACTION READ ONLY"))
        assert search(session, "阳光水岸", actor=somebody(town), at=NOW)[0]["code"] == "X1"
        session.rollback()
    assert search_index.catch_up(built[0]) == 1
    assert search_index.catch_up(built[0]) == 0


def test_a_geotag_of_a_building_that_is_gone_while_another_works_it_off(built, session, town):
    with built[0].connect() as other, other.begin():
        other.execute(text("SELECT pg_advisory_xact_lock(7306813)"))
        changed(
            session, "UPDATE building SET area_id = :id WHERE code = '21068100100100003'", id=town.communities[1].id
        )
        seen = somebody(town, community=0)
        tag = geotag_one(session, Place(address="阳光水岸3栋"), at=NOW, actor=seen)
    assert tag.flags in (("unknown_address",), ["unknown_address"])
