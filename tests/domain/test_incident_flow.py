"""The table of moves of an incident."""

from __future__ import annotations

import pytest

from gis.errors import WrongState
from gis.incident_flow import TRANSITIONS, IncidentAction, IncidentStatus, actions_from, next_status
from gis.permissions import INCIDENT_ACTIONS

S, A = IncidentStatus, IncidentAction

MOVES = [
    (None, A.REPORT, S.REPORTED),
    (S.REPORTED, A.ACCEPT, S.ACCEPTED),
    (S.REPORTED, A.REJECT, S.REJECTED),
    (S.ACCEPTED, A.DISPATCH, S.DISPATCHED),
    (S.DISPATCHED, A.RETURN, S.ACCEPTED),
    (S.DISPATCHED, A.START, S.IN_PROGRESS),
    (S.IN_PROGRESS, A.RESOLVE, S.RESOLVED),
    (S.RESOLVED, A.REWORK, S.IN_PROGRESS),
    (S.RESOLVED, A.VERIFY, S.VERIFIED),
    (S.VERIFIED, A.CLOSE, S.CLOSED),
]


@pytest.mark.parametrize(("status", "action", "after"), MOVES)
def test_a_move_of_the_table_leads_where_it_says(status, action, after):
    assert next_status(status, action) is after


def test_a_move_that_is_not_in_the_table_is_refused_and_says_what_is_possible():
    allowed = {(status, action) for status, action, _ in MOVES}
    for status in [None, *S]:
        for action in A:
            if (status, action) in allowed or (status, action) in TRANSITIONS:
                continue
            with pytest.raises(WrongState) as caught:
                next_status(status, action)
            assert caught.value.code == "incident.wrong_state"
            assert caught.value.params["possible"] == [str(move) for move in actions_from(status)]


def test_every_status_is_reached_from_a_report():
    reached, front = set(), {None}
    while front:
        front = {after for (status, _), after in TRANSITIONS.items() if status in front} - reached
        reached |= front
    assert reached == set(S)


def test_only_comments_follow_the_end():
    for status in S:
        if status.is_ended:
            assert actions_from(status) == (A.COMMENT,)


def test_comments_and_rehoming_never_change_the_status():
    assert all(after is status for (status, action), after in TRANSITIONS.items() if action in (A.COMMENT, A.REHOME))


def test_every_action_asks_for_a_permission():
    assert set(INCIDENT_ACTIONS) == set(A)
