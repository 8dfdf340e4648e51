"""Two at once, with real commits: one wins, the other is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis import incidents, plans
from gis.db import make_engine, unit_of_work
from gis.errors import GridError
from gis.permissions import SYSTEM
from usecases.builders import LONG_AGO, NOW, SmallTown, make_category, make_plan, make_town


@pytest.fixture
def own_engine(database: str) -> Iterator[Engine]:
    engine = make_engine(database)
    yield engine
    engine.dispose()


def both(engine: Engine, *works: Callable[[Session], object]) -> list[str]:
    """Do works in threads that begin together; gives each one's outcome: ``done`` or the code of its refusal."""
    gate = threading.Barrier(len(works))
    outcomes = ["?"] * len(works)

    def run(n: int, work: Callable[[Session], object]) -> None:
        try:
            with unit_of_work(engine) as session:
                session.execute(text("SELECT 1"))
                gate.wait(120)
                work(session)
            outcomes[n] = "done"
        except GridError as error:
            outcomes[n] = error.code

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return sorted(outcomes)


def a_town_in_force(engine: Engine) -> SmallTown:
    with unit_of_work(engine) as session:
        town = make_town(session)
        plan = make_plan(session, town)
        plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
        make_category(session)
        return town


def test_of_two_publishers_of_one_community_one_is_refused(own_engine):
    town = a_town_in_force(own_engine)
    with unit_of_work(own_engine) as session:
        drafts = [make_plan(session, town, pieces=(1, n)).id for n in (2, 3)]
    works = [lambda s, d=d: plans.publish(s, d, actor=SYSTEM, now=NOW) for d in drafts]
    assert both(own_engine, *works) == ["done", "plan.overlaps_published"]
    with unit_of_work(own_engine) as session:
        states = sorted(plans.state_of(session, draft) for draft in drafts)
        assert states == ["draft", "in_force"]
        codes = "SELECT count(*) - count(DISTINCT code) FROM cells_in_force"
        assert session.scalar(text(codes)) == 0


def test_one_draft_is_published_once(own_engine):
    town = a_town_in_force(own_engine)
    with unit_of_work(own_engine) as session:
        draft = make_plan(session, town, pieces=(1, 2)).id
    works = [lambda s: plans.publish(s, draft, actor=SYSTEM, now=NOW)] * 2
    assert both(own_engine, *works) == ["done", "plan.not_draft"]


def test_of_two_actors_on_one_incident_one_is_told_that_it_moved(own_engine):
    town = a_town_in_force(own_engine)
    lon, lat = town.middle()
    with unit_of_work(own_engine) as session:
        incident = incidents.report(
            session, lon=lon, lat=lat, category="0201", title="t", request_id=None, actor=SYSTEM, now=NOW
        ).id

    def work(action: str) -> Callable[[Session], object]:
        return lambda s: incidents.act(
            s, incident, action=action, expected_seq=1, request_id=None, actor=SYSTEM, now=NOW
        )

    assert both(own_engine, work("accept"), work("reject")) == ["done", "incident.stale"]
    with unit_of_work(own_engine) as session:
        assert [event.seq for event in incidents.events(session, incident)] == [1, 2]
        incidents.replay(session, incident)


def test_a_phone_that_sends_twice_at_once_reports_once(own_engine):
    town = a_town_in_force(own_engine)
    lon, lat = town.middle()

    def work(session: Session) -> object:
        return incidents.report(
            session, lon=lon, lat=lat, category="0201", title="t", request_id="same", actor=SYSTEM, now=NOW
        )

    outcomes = both(own_engine, work, work)
    assert "done" in outcomes
    assert set(outcomes) <= {"done", "incident.request_repeated"}
    with unit_of_work(own_engine) as session:
        assert session.scalar(text("SELECT count(*) FROM incident")) == 1


def test_a_cell_is_not_slipped_into_a_plan_while_it_is_published(own_engine):
    town = a_town_in_force(own_engine)
    with unit_of_work(own_engine) as session:
        draft = make_plan(session, town, pieces=(1, 2)).id
    rename = text("UPDATE grid SET name = 'slipped in' WHERE plan_id = :plan")
    works = [
        lambda s: plans.publish(s, draft, actor=SYSTEM, now=NOW),
        lambda s: s.execute(rename, {"plan": draft}),
    ]
    outcomes = both(own_engine, *works)
    assert outcomes in (["done", "done"], ["done", "plan.frozen"])


def test_an_announcement_goes_out_with_the_commit(own_engine):
    town = a_town_in_force(own_engine)
    with unit_of_work(own_engine) as session:
        draft = make_plan(session, town, pieces=(1, 2)).id
    listener = own_engine.raw_connection()
    try:
        driver = listener.driver_connection
        driver.autocommit = True
        driver.execute("LISTEN wangge_plan")
        with unit_of_work(own_engine) as session:
            plans.publish(session, draft, actor=SYSTEM, now=NOW)
            assert list(driver.notifies(timeout=0.05)) == []
        heard = list(driver.notifies(timeout=120, stop_after=1))
        assert [(notice.channel, notice.payload) for notice in heard] == [("wangge_plan", str(draft))]
    finally:
        listener.invalidate()
