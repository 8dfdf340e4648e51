"""Who may do what: the table, role by role, and the scope of a grant."""

from __future__ import annotations

import pytest

from gis.errors import NotAllowed
from gis.permissions import EVERYWHERE, PERMISSIONS, SYSTEM, Action, Actor, Grant, Role, may, require, scopes

A = Action
EVERYONE = {A.VIEW_MAP, A.VIEW_INCIDENTS}
SERVING = {A.VIEW_CONTACTS, A.REPORT_INCIDENT, A.COMMENT_INCIDENT, A.HANDLE_INCIDENT}
COMMANDING = {A.TRIAGE_INCIDENT, A.DISPATCH_INCIDENT, A.VERIFY_INCIDENT, A.EXPORT_DATA}
PLANNING = {
    A.VIEW_DRAFTS,
    A.VIEW_CONTACTS,
    A.DRAW_PLAN,
    A.SUBMIT_PLAN,
    A.EDIT_RULES,
    A.IMPORT_DATA,
    A.EDIT_STAFF,
    A.EXPORT_DATA,
}
DECIDING = {
    A.VIEW_DRAFTS,
    A.VIEW_CONTACTS,
    A.REVIEW_PLAN,
    A.APPROVE_PLAN,
    A.PUBLISH_PLAN,
    A.EXPORT_DATA,
}

TABLE = {
    Role.ADMINISTRATOR: set(Action),
    Role.PLANNER: EVERYONE | PLANNING,
    Role.APPROVER: EVERYONE | DECIDING,
    Role.DISPATCHER: EVERYONE | SERVING | COMMANDING,
    Role.FIELD_WORKER: EVERYONE | SERVING,
    Role.VIEWER: EVERYONE,
}


def actor(*grants: tuple[Role, str]) -> Actor:
    return Actor(user_id=1, name="somebody", grants=tuple(Grant(role, path) for role, path in grants))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", list(Action))
def test_a_role_may_do_what_the_table_says_and_nothing_else(role, action):
    somebody = actor((role, "210681.210681001"))
    assert may(somebody, action, "210681.210681001.210681001001") is (action in TABLE[role])


def test_the_table_names_every_role():
    assert set(PERMISSIONS) == set(Role)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("210681.210681001", True),
        ("210681.210681001.210681001001", True),
        ("210681", False),
        ("210681.210681002", False),
        ("210681.2106810011", False),  # a longer code that begins alike is another place
        (None, False),  # a place in no area
    ],
)
def test_a_grant_holds_in_its_subtree_only(path, allowed):
    assert may(actor((Role.DISPATCHER, "210681.210681001")), A.DISPATCH_INCIDENT, path) is allowed


def test_grants_add_up_and_do_not_mix():
    somebody = actor((Role.VIEWER, "1"), (Role.PLANNER, "1.2"))
    assert may(somebody, A.DRAW_PLAN, "1.2.3")
    assert not may(somebody, A.DRAW_PLAN, "1.3")
    assert scopes(somebody, A.VIEW_MAP) == ("1", "1.2")
    assert scopes(somebody, A.DRAW_PLAN) == ("1.2",)


def test_a_refusal_carries_the_grant_that_was_missing():
    with pytest.raises(NotAllowed) as caught:
        require(actor((Role.VIEWER, "1")), A.PUBLISH_PLAN, "1.2")
    assert caught.value.params == {"actor": "somebody", "user_id": 1, "action": "publish_plan", "path": "1.2"}


def test_nobody_may_do_nothing_and_the_command_line_everything():
    nobody = Actor(user_id=None, name="nobody")
    assert not any(may(nobody, action, EVERYWHERE) for action in Action)
    assert all(may(SYSTEM, action, None) for action in Action)
