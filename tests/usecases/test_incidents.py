"""Incidents: where they belong, who moves them, and that the log and the row never disagree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from gis import incidents, plans
from gis.errors import Conflict, InvalidInput, NotAllowed, NotFound, StaleRevision, WrongState
from gis.incident_flow import TRANSITIONS, IncidentAction, IncidentStatus
from gis.incident_history import store_history
from gis.models import AuditLog, Department, Grid, Incident, Staff
from gis.permissions import INCIDENT_ACTIONS, PERMISSIONS, SYSTEM, Actor, Grant, Role
from usecases.builders import LONG_AGO, NOW, SIZE, make_category, make_plan, make_town

HERE = "210681.210681001"


@pytest.fixture
def town(session):
    town = make_town(session, communities=2)
    plan = make_plan(session, town, stack=3)
    plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    session.add(Department(code="CGJ", name="城管局"))
    session.add(Department(code="SWJ", name="水务局"))
    session.flush()
    make_category(session).department = "CGJ"
    session.flush()
    return town


def report(session, town, *, community=0, building=0, actor=SYSTEM, **more) -> Incident:
    lon, lat = town.middle(community, building)
    known = {"lon": lon, "lat": lat, "category": "0201", "title": "垃圾", "request_id": None, "now": NOW, **more}
    return incidents.report(session, actor=actor, **known)


def act(session, incident, *actions, actor=SYSTEM, **more) -> Incident:
    for action in actions:
        incidents.act(session, incident.id, action=action, request_id=None, actor=actor, now=NOW, **more)
    return incident


def someone(role: Role, path: str = HERE, staff_id: int | None = None) -> Actor:
    return Actor(user_id=None, name=str(role), grants=(Grant(role, path),), staff_id=staff_id)


def test_a_report_finds_the_lowest_cell_and_its_deadline(session, town):
    incident = report(session, town)
    cell = session.get(Grid, incident.grid_id)
    assert (cell.grid_depth, cell.code) == (2, "21068100100100101")
    assert (incident.area_id, incident.flags, incident.last_seq) == (town.community_ids[0], [], 1)
    assert incident.building_part_id is not None
    assert incident.due_at > incident.reported_at


def test_on_a_border_the_lowest_id_is_responsible(session, town):
    lon, _ = town.middle(0, 0)
    border = incidents.report(
        session,
        lon=lon,
        lat=39.865,  # between the southern and the northern micro-grid
        category="0201",
        title="t",
        request_id=None,
        actor=SYSTEM,
        now=NOW,
        accuracy_m=10,
    )
    both = session.scalars(
        select(Grid.id).where(Grid.code.in_(["21068100100100101", "21068100100100102"])).order_by(Grid.id)
    ).all()
    assert border.grid_id == both[0]
    assert border.flags == ["near_border"]


def test_a_stack_asks_for_the_floor(session, town):
    unknown = report(session, town, building=3)
    low = report(session, town, building=3, floor=2)
    high = report(session, town, building=3, floor=9)
    assert unknown.flags == ["stack"]
    assert low.flags == high.flags == []
    assert session.get(Grid, low.grid_id).floor_to == 5
    assert session.get(Grid, high.grid_id).floor_from == 6
    assert low.building_part_id != high.building_part_id


def test_a_place_in_no_grid_is_flagged_not_refused(session, town):
    lon, lat = town.middle(0)
    outside = report(session, town, lon=lon - 0.1, lat=lat)
    assert (outside.grid_id, outside.area_id) == (None, town.community_ids[0])  # those of the nearest look after it
    assert outside.flags == ["in_no_community", "in_no_grid"]
    before = report(session, town, reported_at=LONG_AGO - timedelta(days=1))
    assert (before.grid_id, before.area_id, before.flags) == (None, town.community_ids[0], ["in_no_grid"])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"lon": 200.0}, "incident.bad_place"),
        ({"lat": float("nan")}, "incident.bad_place"),
        ({"lon": 0.0, "lat": 0.0}, "incident.too_far"),
        ({"accuracy_m": -1.0}, "incident.bad_place"),
        ({"title": "  "}, "incident.no_title"),
        ({"severity": 9}, "incident.bad_severity"),
    ],
)
def test_a_report_that_says_nothing_is_refused(session, town, wrong, code):
    with pytest.raises(InvalidInput) as caught:
        report(session, town, **wrong)
    assert caught.value.code == code


def test_an_unknown_category_is_refused(session, town):
    with pytest.raises(NotFound):
        report(session, town, category="none")


def test_the_whole_way_from_report_to_closure(session, town):
    incident = report(session, town)
    act(session, incident, "accept", "dispatch", "start", "resolve", "rework", "resolve", "verify", "close", "comment")
    assert (incident.status, incident.last_seq) == ("closed", 10)
    assert incident.closed_at == NOW
    assert incidents.replay(session, incident.id) is IncidentStatus.CLOSED
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


@pytest.mark.parametrize(
    ("start", "action"),
    [(s, a) for (s, a) in TRANSITIONS if s is not None and a is not IncidentAction.REHOME],
)
def test_every_move_of_the_table_can_be_made(session, town, start, action):
    way = {
        "reported": [],
        "accepted": ["accept"],
        "rejected": ["reject"],
        "dispatched": ["accept", "dispatch"],
        "in_progress": ["accept", "dispatch", "start"],
        "resolved": ["accept", "dispatch", "start", "resolve"],
        "verified": ["accept", "dispatch", "start", "resolve", "verify"],
        "closed": ["accept", "dispatch", "start", "resolve", "verify", "close"],
    }
    incident = act(session, report(session, town), *way[start], action)
    assert incident.status == TRANSITIONS[start, action]
    incidents.replay(session, incident.id)


def test_a_move_that_is_not_possible_is_refused(session, town):
    with pytest.raises(WrongState):
        act(session, report(session, town), "close")


@pytest.mark.parametrize("action", ["report", "rehome", "explode"])
def test_what_is_no_persons_move_is_refused(session, town, action):
    with pytest.raises(InvalidInput) as caught:
        act(session, report(session, town), action)
    assert caught.value.code == "incident.unknown_action"


def test_who_saw_an_older_state_is_told(session, town):
    incident = act(session, report(session, town), "accept")
    with pytest.raises(StaleRevision) as caught:
        act(session, incident, "dispatch", expected_seq=1)
    assert caught.value.params["seq"] == 2
    act(session, incident, "dispatch", expected_seq=2)


def test_a_retry_with_the_same_request_changes_nothing(session, town):
    first = report(session, town, request_id="a")
    assert report(session, town, request_id="a") is first
    for _ in range(2):
        incidents.act(session, first.id, action="accept", request_id="b", actor=SYSTEM, now=NOW, expected_seq=1)
    assert first.last_seq == 2
    other = report(session, town)
    with pytest.raises(Conflict):
        incidents.act(session, other.id, action="accept", request_id="b", actor=SYSTEM, now=NOW)


def test_the_first_to_take_it_up_locks_the_lead(session, town):
    incident = act(session, report(session, town), "accept")
    act(session, incident, "dispatch", department="SWJ")
    act(session, incident, "return")
    assert incident.lead_department_id is None
    act(session, incident, "dispatch", department="CGJ")
    act(session, incident, "start")
    assert incident.lead_locked_at == NOW


def test_a_lead_named_at_acceptance_is_locked(session, town):
    incident = report(session, town)
    act(session, incident, "accept", department="CGJ")
    with pytest.raises(WrongState) as caught:
        act(session, incident, "dispatch", department="SWJ")
    assert caught.value.code == "incident.lead_locked"
    act(session, incident, "dispatch")
    assert session.get(Department, incident.lead_department_id).code == "CGJ"


def test_without_any_department_a_dispatch_is_refused(session, town):
    make_category(session, "0999")
    incident = act(session, report(session, town, category="0999"), "accept")
    with pytest.raises(InvalidInput) as caught:
        act(session, incident, "dispatch")
    assert caught.value.code == "incident.lead_missing"


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_the_table_says(session, town, role):
    incident = act(session, report(session, town), "accept", "dispatch")
    somebody = someone(role)
    allowed = {
        action
        for action in (IncidentAction.RETURN, IncidentAction.START, IncidentAction.COMMENT)
        if INCIDENT_ACTIONS[action] in PERMISSIONS[role]
    }
    assert set(incidents.allowed_actions(session, incident, actor=somebody)) == allowed
    if IncidentAction.START in allowed:
        act(session, incident, "start", actor=somebody)
    else:
        with pytest.raises(NotAllowed):
            act(session, incident, "start", actor=somebody)


def test_elsewhere_an_incident_does_not_exist(session, town):
    incident = report(session, town)
    stranger = someone(Role.DISPATCHER, town.communities[1].path)
    with pytest.raises(NotFound):
        incidents.get(session, incident.id, actor=stranger)
    with pytest.raises(NotFound):
        act(session, incident, "accept", actor=stranger)


def test_who_may_report_somewhere_may_report_across_the_street(session, town):
    officer = someone(Role.FIELD_WORKER, town.communities[1].path)
    assert report(session, town, community=0, actor=officer).area_id == town.community_ids[0]
    with pytest.raises(NotAllowed):
        report(session, town, actor=someone(Role.VIEWER))


def test_a_field_worker_leaves_alone_what_is_given_to_another(session, town):
    people = [Staff(code=code, name=code) for code in ("a", "b")]
    session.add_all(people)
    session.flush()
    incident = act(session, report(session, town), "accept")
    act(session, incident, "dispatch", assignee="a")
    mine, other = (someone(Role.FIELD_WORKER, staff_id=person.id) for person in people)
    assert IncidentAction.START not in incidents.allowed_actions(session, incident, actor=other)
    with pytest.raises(NotAllowed) as caught:
        act(session, incident, "start", actor=other)
    assert caught.value.code == "incident.not_yours"
    act(session, incident, "start", "resolve", actor=mine)
    assert incident.assignee_id == people[0].id


def test_who_starts_what_is_given_to_nobody_takes_it(session, town):
    person = Staff(code="a", name="a")
    session.add(person)
    session.flush()
    incident = act(session, report(session, town), "accept", "dispatch")
    act(session, incident, "start", actor=someone(Role.FIELD_WORKER, staff_id=person.id))
    assert incident.assignee_id == person.id


def test_every_act_is_in_the_audit_log(session, town):
    incident = act(session, report(session, town), "accept", "comment")
    acts = session.scalars(select(AuditLog.action).where(AuditLog.subject == f"incident:{incident.id}")).all()
    assert sorted(acts) == ["incident.accept", "incident.comment", "incident.report"]


def test_the_dictionary_that_ships_is_taken_in_twice_without_change(session):
    count = incidents.store_categories(session, actor=SYSTEM, now=NOW)
    assert incidents.store_categories(session, actor=SYSTEM, now=NOW) == count
    assert session.scalar(text("SELECT count(*) FROM incident_category")) == count


@dataclass
class Step:
    action: str
    at: datetime


@dataclass
class Past:
    lon: float
    lat: float
    category: str = "0201"
    severity: int = 2
    title: str = "t"
    description: str | None = None
    reported_at: datetime = NOW - timedelta(days=3)
    steps: list[Step] = field(default_factory=list)


def test_a_history_is_stored_as_if_it_had_been_lived(session, town):
    lon, lat = town.middle(1, 5)
    times = [NOW - timedelta(days=3) + timedelta(hours=n) for n in range(1, 7)]
    words = ["accept", "dispatch", "start", "resolve", "verify", "close"]
    steps = [Step(word, at) for word, at in zip(words, times, strict=True)]
    past = [Past(lon, lat, steps=steps[:n]) for n in range(len(steps) + 1)] + [Past(lon + SIZE, lat)]
    assert store_history(session, past, actor=SYSTEM, now=NOW) == 8
    session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    rows = session.scalars(select(Incident).order_by(Incident.id)).all()
    assert [row.last_seq for row in rows] == [1, 2, 3, 4, 5, 6, 7, 1]
    assert rows[6].closed_at == times[5]
    assert rows[0].grid_id == plans.cell_at(session, lon=lon, lat=lat, at=NOW)
    assert rows[7].flags == ["in_no_community", "in_no_grid"]
    for row in rows:
        incidents.replay(session, row.id)


def test_a_history_that_is_no_way_through_the_table_is_refused(session, town):
    lon, lat = town.middle()
    with pytest.raises(WrongState):
        store_history(session, [Past(lon, lat, steps=[Step("close", NOW)])], actor=SYSTEM, now=NOW)
