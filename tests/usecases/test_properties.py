"""Whatever is done, in whatever order: the log and the row agree, and no community has two plans at once."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from gis import incidents, plans
from gis.errors import GridError, WrongState
from gis.incident_flow import IncidentAction
from gis.models import Department
from gis.permissions import SYSTEM
from usecases.builders import LONG_AGO, NOW, make_category, make_plan, make_town

# The session is rolled back to a savepoint by each example itself.
by_examples = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

ACTS = [str(action) for action in IncidentAction if action not in (IncidentAction.REPORT, IncidentAction.REHOME)]


@by_examples
@given(acts=st.lists(st.sampled_from(ACTS), max_size=25))
def test_any_acts_leave_log_and_row_agreed(session, acts):
    savepoint = session.begin_nested()
    make_category(session).department = "D"
    session.add(Department(code="D", name="办"))
    session.flush()
    incident = incidents.report(
        session, lon=1.0, lat=1.0, category="0201", title="t", request_id=None, actor=SYSTEM, now=NOW
    )
    done = 1
    for act in acts:
        try:
            incidents.act(session, incident.id, action=act, request_id=None, actor=SYSTEM, now=NOW)
            done += 1
        except WrongState:
            continue
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert len(incidents.events(session, incident.id)) == incident.last_seq == done
    assert incidents.replay(session, incident.id) == incident.status
    savepoint.rollback()
    session.expire_all()


@settings(by_examples, max_examples=8)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["publish", "withdraw"]), st.integers(0, 3), st.integers(0, 4), st.integers(1, 3)),
        max_size=6,
    )
)
def test_any_publications_leave_one_plan_in_force_at_a_time_and_codes_unique(session, steps):
    savepoint = session.begin_nested()
    town = make_town(session, communities=2, side=2)
    first = make_plan(session, town, pieces=(1, 2))
    plans.publish(session, first.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    made = [first.id]
    for kind, which, days, pieces in steps:
        try:
            with session.begin_nested():
                if kind == "withdraw":
                    plans.withdraw(session, made[which % len(made)], actor=SYSTEM, now=NOW)
                else:
                    chosen = town.communities[: 1 + which % 2]
                    made.append(make_plan(session, town, pieces=(1, pieces), communities=chosen).id)
                    start = NOW + timedelta(days=days)
                    plans.publish(session, made[-1], effective_from=start, actor=SYSTEM, now=NOW)
        except GridError:
            session.expire_all()
    for days in range(6):
        at = {"at": NOW + timedelta(days=days, hours=1)}
        governed = session.execute(_GOVERNED, at).all()
        assert governed == [(community, 1) for community in town.community_ids], "each community by one plan, always"
        assert session.scalar(_HOUSEHOLDS, at) == 2 * 4 * town.households, "and every household is in it"
        assert session.scalar(_CUTS, at) == 0, "and its cuts of buildings are those that are valid"
    assert session.scalar(_REGISTERED) == 0
    savepoint.rollback()
    session.expire_all()


_GOVERNED = text(
    "SELECT community_id, count(*) FROM plan_community WHERE in_force_during @> CAST(:at AS timestamptz)"
    " GROUP BY 1 ORDER BY 1"
)
_IN_FORCE = """
    FROM grid_part gp JOIN grid g ON g.id = gp.grid_id
    JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
    JOIN building_part p ON p.id = gp.building_part_id
    WHERE pc.in_force_during @> CAST(:at AS timestamptz)
"""
_HOUSEHOLDS = text(f"SELECT sum(gp.households) {_IN_FORCE}")
_CUTS = text(f"SELECT count(*) {_IN_FORCE} AND NOT p.valid_during @> CAST(:at AS timestamptz)")
_REGISTERED = text(
    "SELECT count(*) FROM grid g JOIN plan p ON p.id = g.plan_id AND p.status = 'published'"
    " LEFT JOIN grid_code c ON c.value = g.code WHERE c.value IS NULL"
)
