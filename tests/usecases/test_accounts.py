"""Accounts: passwords, lock-out, sessions, grants."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from gis import accounts, areas
from gis.db import make_engine, unit_of_work
from gis.errors import InvalidInput, NotAllowed, NotFound, NotSignedIn
from gis.models import AuditLog, Staff, UserAccount, UserSession
from gis.permissions import SYSTEM, Action, Actor, Grant, Role, may, require
from usecases.builders import NOW, make_town

PASSWORD = "correct horse battery"


def make_user(session, username="zhang", **more) -> UserAccount:
    return accounts.create_user(session, username=username, name="张", password=PASSWORD, actor=SYSTEM, now=NOW, **more)


def sign_in(session, password=PASSWORD, *, username="zhang", now=NOW):
    return accounts.sign_in(session, username=username, password=password, now=now)


def test_a_token_stands_for_its_holder_with_their_grants(session):
    town = make_town(session)
    person = Staff(code="s", name="张")
    session.add(person)
    session.flush()
    make_user(session, staff_id=person.id)
    accounts.grant(session, username="zhang", role=Role.FIELD_WORKER, area_id=town.street.id, actor=SYSTEM, now=NOW)
    token, actor = sign_in(session)
    assert actor.grants == (Grant(Role.FIELD_WORKER, "210681.210681001"),)
    assert (actor.staff_id, actor.must_change_password) == (person.id, True)
    assert accounts.actor_of_token(session, token=token, now=NOW) == actor


def test_neither_password_nor_token_is_stored(session):
    make_user(session)
    token, _ = sign_in(session)
    stored = session.scalars(text("SELECT password_hash FROM user_account")).one()
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored
    assert token.encode() not in bytes(session.scalars(select(UserSession.token_hash)).one())


def test_a_wrong_password_and_an_unknown_name_get_one_answer(session):
    make_user(session)
    answers = []
    for username, password in (("zhang", "wrong password"), ("nobody", PASSWORD)):
        with pytest.raises(NotSignedIn) as caught:
            sign_in(session, password, username=username)
        answers.append((caught.value.code, caught.value.params))
    assert answers[0] == answers[1] == ("access.wrong_password", {})


def test_five_failures_lock_for_fifteen_minutes(session):
    make_user(session)
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            sign_in(session, "wrong password")
    with pytest.raises(NotSignedIn) as caught:
        sign_in(session, now=NOW + timedelta(minutes=14))
    assert caught.value.code == "access.locked"
    sign_in(session, now=NOW + timedelta(minutes=16))


def test_a_success_forgets_the_failures(session):
    make_user(session)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(NotSignedIn):
                sign_in(session, "wrong password")
        sign_in(session)


def test_the_count_of_failures_outlives_the_failed_request(database):
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        make_user(session)
    with pytest.raises(NotSignedIn), unit_of_work(engine) as session:
        sign_in(session, "wrong password")
    with unit_of_work(engine) as session:
        assert accounts.by_name(session, "zhang").failed_logins == 1
        refused = session.scalars(select(AuditLog).where(AuditLog.result == "refused")).all()
        assert [(row.actor, row.action) for row in refused] == [("zhang", "session.sign_in")]
    engine.dispose()


def test_a_refusal_for_want_of_a_grant_is_written_down_though_the_work_is_undone(database):
    engine = make_engine(database)

    def work() -> None:
        with unit_of_work(engine) as session:
            session.add(Staff(code="s", name="undone"))
            session.flush()
            require(Actor(user_id=None, name="eve"), Action.PUBLISH_PLAN, "1.2")

    with pytest.raises(NotAllowed):
        work()
    with unit_of_work(engine) as session:
        assert session.scalars(select(Staff)).all() == []
        row = session.scalars(select(AuditLog).where(AuditLog.result == "refused")).one()
        assert (row.actor, row.action, row.subject) == ("eve", "publish_plan", "area:1.2")
    engine.dispose()


def test_an_idle_session_ends_and_a_used_one_goes_on(session):
    make_user(session)
    token, _ = sign_in(session)
    for hours in (11, 22, 33):
        accounts.actor_of_token(session, token=token, now=NOW + timedelta(hours=hours))
    with pytest.raises(NotSignedIn):
        accounts.actor_of_token(session, token=token, now=NOW + timedelta(hours=46))


def test_signing_out_ends_the_session(session):
    make_user(session)
    token, _ = sign_in(session)
    accounts.sign_out(session, token=token, now=NOW)
    with pytest.raises(NotSignedIn) as caught:
        accounts.actor_of_token(session, token=token, now=NOW)
    assert caught.value.code == "access.no_session"


def test_a_new_password_ends_all_sessions(session):
    make_user(session)
    token, actor = sign_in(session)
    accounts.set_password(
        session, username="zhang", password="another good one", old_password=PASSWORD, actor=actor, now=NOW
    )
    with pytest.raises(NotSignedIn):
        accounts.actor_of_token(session, token=token, now=NOW)
    _, fresh = sign_in(session, "another good one")
    assert not fresh.must_change_password


def test_ones_own_password_needs_the_old_one(session):
    make_user(session)
    _, actor = sign_in(session)
    with pytest.raises(NotSignedIn):
        accounts.set_password(session, username="zhang", password="another good one", actor=actor, now=NOW)
    with pytest.raises(InvalidInput):
        accounts.set_password(session, username="zhang", password=PASSWORD, old_password=PASSWORD, actor=actor, now=NOW)


def test_another_persons_password_needs_the_right_to_manage_users(session):
    make_user(session)
    eve = Actor(user_id=None, name="eve", grants=(Grant(Role.DISPATCHER),))
    with pytest.raises(NotAllowed):
        accounts.set_password(session, username="zhang", password="another good one", actor=eve, now=NOW)


@pytest.mark.parametrize(
    ("password", "code"), [("short", "access.password_short"), ("zhangzhang1", "access.password_is_name")]
)
def test_weak_passwords_are_refused(session, password, code):
    with pytest.raises(InvalidInput) as caught:
        accounts.create_user(session, username="zhang", name="张", password=password, actor=SYSTEM, now=NOW)
    assert caught.value.code == code


def test_a_locked_account_is_out_at_once(session):
    make_user(session)
    token, _ = sign_in(session)
    accounts.set_active(session, username="zhang", is_active=False, actor=SYSTEM, now=NOW)
    with pytest.raises(NotSignedIn):
        accounts.actor_of_token(session, token=token, now=NOW)
    with pytest.raises(NotSignedIn):
        sign_in(session)


def test_a_revoked_grant_is_gone_with_the_next_request(session):
    make_user(session)
    accounts.grant(session, username="zhang", role=Role.PLANNER, actor=SYSTEM, now=NOW - timedelta(days=1))
    token, actor = sign_in(session)
    assert may(actor, Action.DRAW_PLAN, "1")
    accounts.revoke(session, username="zhang", role=Role.PLANNER, actor=SYSTEM, now=NOW)
    assert accounts.actor_of_token(session, token=token, now=NOW).grants == ()
    with pytest.raises(NotFound):
        accounts.revoke(session, username="zhang", role=Role.PLANNER, actor=SYSTEM, now=NOW)


def test_an_administrator_of_a_street_grants_only_there(session):
    town = make_town(session)
    make_user(session)
    chief = Actor(user_id=None, name="chief", grants=(Grant(Role.ADMINISTRATOR, town.street.path),))
    accounts.grant(session, username="zhang", role=Role.VIEWER, area_id=town.community_ids[0], actor=chief, now=NOW)
    for area_id in (None, town.street.parent_id):
        with pytest.raises(NotAllowed):
            accounts.grant(session, username="zhang", role=Role.VIEWER, area_id=area_id, actor=chief, now=NOW)


def test_lists_show_only_the_subtree_of_a_grant(session):
    town = make_town(session, communities=2)
    first = town.communities[0]
    viewer = Actor(user_id=None, name="v", grants=(Grant(Role.VIEWER, first.path),))
    assert [area.code for area in areas.find(session, actor=viewer)] == [first.code]
    assert len(areas.find(session, actor=SYSTEM)) == 4
    assert areas.find(session, actor=Actor(user_id=None, name="nobody")) == []


def test_every_change_of_an_account_is_in_the_audit_log(session):
    user = make_user(session)
    accounts.grant(session, username="zhang", role=Role.VIEWER, actor=SYSTEM, now=NOW - timedelta(1))
    accounts.revoke(session, username="zhang", role=Role.VIEWER, actor=SYSTEM, now=NOW)
    accounts.set_password(session, username="zhang", password="another good one", actor=SYSTEM, now=NOW)
    accounts.set_active(session, username="zhang", is_active=False, actor=SYSTEM, now=NOW)
    acts = session.scalars(
        select(AuditLog.action).where(AuditLog.subject == f"user:{user.id}").order_by(AuditLog.id)
    ).all()
    assert acts == ["user.create", "user.grant", "user.revoke", "user.password", "user.lock"]
