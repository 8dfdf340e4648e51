"""How plans are decided on: steps, four eyes, remarks, all or nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gis import incidents, plan_approval, plan_codes, plan_comments, plan_copy, plans, staff
from gis.db import make_engine, translate, unit_of_work
from gis.errors import GridError, InvalidInput, InvalidPlan, NotAllowed, NotFound, StaleRevision, WrongState
from gis.models import AuditLog, Grid, Plan, PlanEvent, PostRow, Staff, UserAccount
from gis.permissions import SYSTEM, Action, Actor, Grant, Role, may
from gis.plan_steps import count_open_comments
from usecases.builders import LONG_AGO, NOW, SmallTown, make_category, make_plan, make_town
from usecases.test_concurrency import both

SOON = NOW + timedelta(days=3)


def person(session: Session, name: str, *roles: Role, path: str = "210681.210681001") -> Actor:
    """Somebody with an account and grants."""
    account = UserAccount(username=name, name=name, password_hash="x", created_at=NOW, password_changed_at=NOW)
    session.add(account)
    session.flush()
    return Actor(account.id, name, tuple(Grant(role, path) for role in roles))


@dataclass
class Office:
    """A town with a plan in force and a draft to follow it, and those who draw and decide."""

    session: Session
    town: SmallTown
    old: Plan
    plan: Plan
    planner: Actor
    approver: Actor

    def step(self, kind: str, actor: Actor, **more: Any) -> Plan:
        act = {"return": plan_approval.return_}.get(kind) or getattr(plan_approval, kind)
        return act(self.session, self.plan.id, actor=actor, now=NOW, **more)  # type: ignore[no-any-return]

    def approve(self) -> None:
        self.step("submit", self.planner)
        self.step("review", self.approver)
        self.step("approve", self.approver, document_no="东政〔2026〕3号")

    def kinds(self) -> list[str]:
        found = select(PlanEvent.kind).where(PlanEvent.plan_id == self.plan.id).order_by(PlanEvent.seq)
        return list(self.session.scalars(found))

    def may(self, actor: Actor) -> list[str]:
        return list(plan_approval.log(self.session, self.plan.id, actor=actor, now=NOW)["may"])


@pytest.fixture
def office(session: Session) -> Office:
    return open_office(session)


def open_office(session: Session) -> Office:
    town = make_town(session)
    old = make_plan(session, town)
    plans.publish(session, old.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    plan = make_plan(session, town, pieces=(2, 4))
    return Office(
        session, town, old, plan, person(session, "hua", Role.PLANNER), person(session, "shen", Role.APPROVER)
    )


def refused(kind: type[GridError], code: str) -> Any:
    return pytest.raises(kind, match=code.replace(".", r"\."))


def test_a_plan_goes_its_way_by_two_people_and_every_step_is_logged(office):
    assert office.may(office.planner) == ["submit", "discard", "comment"]
    assert office.may(office.approver) == ["comment"]
    office.step("submit", office.planner, note="请审")
    assert office.may(office.planner) == ["recall", "comment"]
    assert office.may(office.approver) == ["review", "return", "comment"]
    office.step("review", office.approver)
    assert office.may(office.approver) == ["approve", "return", "comment"]
    office.step("approve", office.approver, document_no=" 东政〔2026〕3号 ")
    assert office.may(office.approver) == ["return", "publish", "file", "comment"]
    assert office.may(office.planner) == ["comment"]
    office.step("file", office.approver, document_no="备3")
    plans.publish(office.session, office.plan.id, effective_from=SOON, actor=office.approver, now=NOW)
    told = plan_approval.log(office.session, office.plan.id, actor=office.planner, now=NOW)
    assert [(item["kind"], item["actor"], item["document_no"]) for item in told["items"]] == [
        ("create", "system", None),
        ("store", "system", None),
        ("submit", "hua", None),
        ("review", "shen", None),
        ("approve", "shen", "东政〔2026〕3号"),
        ("file", "shen", "备3"),
        ("publish", "shen", None),
    ]
    assert (told["state"], told["document_no"], told["superseded"]) == ("future", "东政〔2026〕3号", None)
    assert told["items"][2]["note"] == "请审"
    assert [item["is_own"] for item in told["items"]] == [False, False, True, False, False, False, False]
    assert office.may(office.approver) == ["file", "withdraw"]
    audited = office.session.scalars(select(AuditLog.action).where(AuditLog.actor == "shen").order_by(AuditLog.id))
    assert list(audited) == ["plan.review", "plan.approve", "plan.file", "plan.publish"]


def test_the_log_tells_what_followed(office):
    plans.publish(office.session, office.plan.id, effective_from=NOW, actor=SYSTEM, now=NOW)
    told = plan_approval.log(office.session, office.old.id, actor=office.planner, now=NOW)
    assert told["superseded"] == {"at": NOW, "plan_id": office.plan.id, "title": office.plan.title}


def test_a_submitted_plan_is_frozen_and_a_returned_one_is_not(office):
    office.step("submit", office.planner)
    with pytest.raises(WrongState, match="not_draft"):
        plans.discard(office.session, office.plan.id, actor=office.planner, now=NOW)
    for statement in (
        "UPDATE grid SET name = 'x' WHERE plan_id = :plan",
        "DELETE FROM grid_part WHERE plan_id = :plan",
        "UPDATE plan SET title = 'x' WHERE id = :plan",
        "DELETE FROM plan_community WHERE plan_id = :plan",
    ):
        with pytest.raises(DBAPIError) as caught, office.session.begin_nested():
            office.session.execute(text(statement), {"plan": office.plan.id})
        assert translate(caught.value).code == "plan.frozen"
    office.step("return", office.approver, note="二号网格跨路")
    office.session.execute(text("UPDATE grid SET name = 'x' WHERE plan_id = :plan"), {"plan": office.plan.id})
    assert office.kinds()[-2:] == ["submit", "return"]


@pytest.mark.parametrize("way", [(), ("review",)])
def test_a_planner_calls_a_plan_back_until_it_is_approved(office, way):
    office.step("submit", office.planner)
    for kind in way:
        office.step(kind, office.approver)
    office.step("recall", office.planner, note="改一处")
    assert office.plan.status == "draft"
    office.approve()
    with refused(WrongState, "plan.step_taken"):
        office.step("recall", office.planner)


def test_steps_are_taken_in_their_order_and_by_the_role_that_may(office):
    for kind, actor, more in (
        ("review", office.approver, {}),
        ("approve", office.approver, {"document_no": "1"}),
        ("return", office.approver, {"note": "x"}),
        ("recall", office.planner, {}),
        ("file", office.approver, {"document_no": "1"}),
    ):
        with refused(WrongState, "plan.step_taken"):
            office.step(kind, actor, **more)
    with refused(WrongState, "plan.not_approved"):
        plans.publish(office.session, office.plan.id, actor=office.approver, now=NOW)
    viewer = person(office.session, "guest", Role.VIEWER)
    elsewhere = person(office.session, "far", Role.APPROVER, Role.PLANNER, path="999")
    for somebody in (viewer, elsewhere):
        for kind, more in (
            ("submit", {}),
            ("review", {}),
            ("return", {"note": "x"}),
            ("approve", {"document_no": "1"}),
        ):
            with refused(NotAllowed, "access.not_allowed"):
                office.step(kind, somebody, **more)
    with refused(NotAllowed, "access.not_allowed"):
        office.step("submit", office.approver)
    office.step("submit", office.planner)
    for kind, more in (("review", {}), ("approve", {"document_no": "1"}), ("return", {"note": "x"})):
        with refused(NotAllowed, "access.not_allowed"):
            office.step(kind, office.planner, **more)
    with refused(NotAllowed, "access.not_allowed"):
        plans.publish(office.session, office.plan.id, actor=office.planner, now=NOW)


def test_who_submitted_does_not_approve_unless_every_step_is_theirs(office):
    half = (Role.PLANNER, Role.APPROVER)
    path = "210681.210681001"
    own = person(office.session, "both", *half)
    assert all(may(own, action, path) for action in (Action.SUBMIT_PLAN, Action.APPROVE_PLAN, Action.DRAW_PLAN))
    # One office: whoever was given both roles takes all steps.
    office.step("submit", own)
    office.step("review", own)
    office.step("return", own, note="x")
    # Since then the right to draw is gone, the submission stays theirs.
    office.step("submit", own)
    later = Actor(own.user_id, own.name, (Grant(Role.APPROVER, path),))
    for kind, more in (("review", {}), ("approve", {"document_no": "1"})):
        with refused(NotAllowed, "plan.own_submission") if kind == "review" else refused(WrongState, "plan.step_taken"):
            office.step(kind, later, **more)
    assert office.may(later) == ["return", "comment"]
    office.step("review", office.approver)
    with refused(NotAllowed, "plan.own_submission"):
        office.step("approve", later, document_no="1")
    office.step("approve", office.approver, document_no="1")


def test_an_administrator_publishes_a_draft_at_once_with_every_step_in_the_log(office):
    plans.publish(office.session, office.plan.id, document_no="1号", actor=SYSTEM, now=NOW)
    assert office.kinds() == ["create", "store", "submit", "review", "approve", "publish"]
    assert office.session.get(Plan, office.plan.id).document_no == "1号"


def test_an_administrator_takes_the_steps_that_are_missing(office):
    office.step("submit", office.planner)
    plans.publish(office.session, office.plan.id, actor=SYSTEM, now=NOW)
    assert office.kinds() == ["create", "store", "submit", "review", "approve", "publish"]


def test_a_draft_that_is_not_whole_or_that_is_being_drawn_is_not_submitted(office):
    empty = plans.create_draft(
        office.session,
        area_id=office.town.street.id,
        rule_set_id=office.plan.rule_set_id,
        title="空",
        actor=SYSTEM,
        now=NOW,
    )
    with refused(InvalidPlan, "plan.empty"):
        plan_approval.submit(office.session, empty.id, actor=office.planner, now=NOW)
    office.session.execute(
        text("INSERT INTO plan_run (plan_id, created_at, created_by) VALUES (:plan, now(), 'x')"),
        {"plan": office.plan.id},
    )
    with refused(WrongState, "plan.run_alive"):
        office.step("submit", office.planner)


def test_a_step_on_what_one_has_not_seen_is_refused(office):
    seen = office.plan.revision
    office.step("submit", office.planner, revision=seen)
    with refused(StaleRevision, "plan.changed_since") as caught:
        office.step("review", office.approver, revision=seen)
    assert (caught.value.params["by"], caught.value.params["status"]) == ("hua", "submitted")


def test_reasons_and_numbers_are_asked_for(office):
    office.step("submit", office.planner)
    with refused(InvalidInput, "plan.no_reason"):
        office.step("return", office.approver, note="  ")
    office.step("review", office.approver)
    with refused(InvalidInput, "plan.no_document"):
        office.step("approve", office.approver, document_no=" ")
    office.step("approve", office.approver, document_no="1")
    with refused(InvalidInput, "plan.no_document"):
        office.step("file", office.approver, document_no="")


def test_a_withdrawn_plan_is_approved_still_and_may_be_published_on_another_day(office):
    office.approve()
    plans.publish(office.session, office.plan.id, effective_from=SOON, actor=office.approver, now=NOW)
    plans.withdraw(office.session, office.plan.id, actor=office.approver, now=NOW)
    assert plans.state_of(office.session, office.plan.id) == "approved"
    plans.publish(
        office.session, office.plan.id, effective_from=SOON + timedelta(days=1), actor=office.approver, now=NOW
    )
    assert plans.state_of(office.session, office.plan.id) == "future"
    plans.withdraw(office.session, office.plan.id, actor=office.approver, now=NOW)
    office.step("return", office.approver, note="改")
    assert plans.state_of(office.session, office.plan.id) == "draft"


def test_once_in_force_one_goes_back_by_a_new_version(office):
    plans.publish(office.session, office.plan.id, actor=SYSTEM, now=NOW - timedelta(minutes=1))
    with refused(WrongState, "plan.not_future"):
        plans.withdraw(office.session, office.plan.id, actor=office.approver, now=NOW)
    back = plan_copy.copy(office.session, office.old.id, title="回到从前", actor=office.planner, now=NOW)
    plans.publish(office.session, back.id, actor=SYSTEM, now=NOW)
    assert plans.state_of(office.session, back.id) == "in_force"
    given = "SELECT count(*) - count(DISTINCT (scheme, value)) FROM grid_code"
    assert office.session.scalar(text(given)) == 0


def test_codes_of_a_form_of_their_own_are_told_and_not_put_into_other_schemes(office):
    session, plan_id = office.session, office.plan.id
    strange = text("UPDATE grid SET code = 'BQ-' || id WHERE plan_id = :plan AND code ~ :like")
    session.execute(strange, {"plan": plan_id, "like": "01$"})
    assert plan_codes.irregular(session, plan_id)
    _, moved = plans.effects(session, plan_id, actor=office.planner, now=NOW)
    assert moved.irregular == ()  # what continues nothing gets a registered code
    with refused(InvalidInput, "codes.irregular"):
        plan_codes.table(session, plan_id, scheme="cjt349")
    assert len(plan_codes.table(session, plan_id, scheme="wangge")) == 10
    office.step("submit", office.planner)
    assert plan_codes.irregular(session, plan_id) == []


# --- remarks


def say(office: Office, actor: Actor, body: str = "此处跨路", **more: Any) -> int:
    lon, lat = office.town.middle(0, 0)
    place = {} if "parent" in more else {"lon": lon, "lat": lat}
    return plan_comments.add(office.session, office.plan.id, body=body, actor=actor, now=NOW, **{**place, **more})


def test_remarks_are_pinned_answered_and_resolved(office):
    first = say(office, office.approver)
    say(office, office.planner, "已改", parent=first)
    [thread] = plan_comments.find(office.session, office.plan.id, actor=office.planner)
    lowest = office.session.get(Grid, thread["cell_id"])
    assert (lowest.plan_id, lowest.grid_depth, lowest.code) == (office.plan.id, 2, thread["cell_code"])
    assert (thread["text"], thread["actor"], thread["is_own"], thread["resolved_at"]) == (
        "此处跨路",
        "shen",
        False,
        None,
    )
    assert [(one["text"], one["is_own"]) for one in thread["answers"]] == [("已改", True)]
    plan_comments.resolve(office.session, office.plan.id, first, actor=office.planner, now=NOW)
    [thread] = plan_comments.find(office.session, office.plan.id, actor=office.approver)
    assert (thread["resolved_at"], thread["resolved_by"]) == (NOW, "hua")
    say(office, office.approver, "还不够", parent=first)  # there is more to say
    assert count_open_comments(office.session, office.plan.id) == 1
    for _ in range(2):
        plan_comments.resolve(office.session, office.plan.id, first, actor=office.approver, now=NOW)
    plan_comments.resolve(office.session, office.plan.id, first, is_resolved=False, actor=office.approver, now=NOW)
    assert count_open_comments(office.session, office.plan.id) == 1


def test_an_open_remark_stands_in_the_way_of_review_and_approval(office):
    office.step("submit", office.planner)
    first = say(office, office.approver)
    with refused(WrongState, "plan.comments_open"):
        office.step("review", office.approver)
    with refused(WrongState, "plan.comments_open"):
        plans.publish(office.session, office.plan.id, actor=SYSTEM, now=NOW)
    plan_comments.resolve(office.session, office.plan.id, first, actor=office.planner, now=NOW)
    office.step("review", office.approver)
    again = say(office, office.planner)
    with refused(WrongState, "plan.comments_open"):
        office.step("approve", office.approver, document_no="1")
    plan_comments.resolve(office.session, office.plan.id, again, actor=office.planner, now=NOW)
    office.step("approve", office.approver, document_no="1")


def test_a_remark_outlives_its_cell(office):
    say(office, office.approver)
    [before] = plan_comments.find(office.session, office.plan.id, actor=office.planner)
    office.session.execute(text("DELETE FROM grid_part WHERE plan_id = :plan"), {"plan": office.plan.id})
    for depth in (2, 1):
        office.session.execute(
            text("DELETE FROM grid WHERE plan_id = :plan AND grid_depth = :depth"),
            {"plan": office.plan.id, "depth": depth},
        )
    [after] = plan_comments.find(office.session, office.plan.id, actor=office.planner)
    assert after == {**before, "cell_id": None}


def test_only_who_draws_or_reviews_there_speaks_and_only_until_publication(office):
    first = say(office, office.planner)
    viewer = person(office.session, "guest", Role.VIEWER)
    partly = person(office.session, "part", Role.PLANNER, path=office.town.communities[0].path)
    for somebody in (viewer, partly):
        with pytest.raises(NotAllowed):
            say(office, somebody)
        with pytest.raises(NotAllowed):
            plan_comments.resolve(office.session, office.plan.id, first, actor=somebody, now=NOW)
    with pytest.raises(NotFound):
        plan_comments.find(office.session, office.plan.id, actor=viewer)
    with pytest.raises(NotAllowed):
        plan_comments.find(office.session, office.plan.id, actor=partly)
    plan_comments.resolve(office.session, office.plan.id, first, actor=office.planner, now=NOW)
    plans.publish(office.session, office.plan.id, actor=SYSTEM, now=NOW)
    with refused(WrongState, "plan.comments_closed"):
        say(office, office.planner)
    assert len(plan_comments.find(office.session, office.plan.id, actor=office.planner)) == 1


def test_a_remark_that_cannot_be_is_refused(office, monkeypatch):
    first = say(office, office.planner)
    old = office.session.scalars(select(Grid.id).where(Grid.plan_id == office.old.id).order_by(Grid.id)).first()
    for kind, code, more in (
        (InvalidInput, "plan.comment_empty", {"body": "  "}),
        (InvalidInput, "plan.comment_placeless", {"lon": None}),
        (NotFound, "plan.unknown_cell", {"cell_id": old}),
        (NotFound, "plan.unknown_comment", {"parent": 10**12}),
        (NotFound, "plan.unknown_comment", {"parent": say(office, office.planner, "答", parent=first)}),
    ):
        with refused(kind, code):
            say(office, office.planner, **more)
    with refused(NotFound, "plan.unknown_comment"):
        plan_comments.resolve(office.session, office.plan.id, 10**12, actor=SYSTEM, now=NOW)
    monkeypatch.setattr(plan_comments, "COMMENTS_A_PLAN", 2)
    with refused(WrongState, "plan.comments_full"):
        say(office, office.planner)


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("tr_plan_comment_kept", "UPDATE plan_comment SET body = 'x'"),
        ("tr_plan_comment_kept", "DELETE FROM plan_comment"),
        ("tr_plan_comment_append_only", "TRUNCATE plan_comment CASCADE"),
        (
            "ck_plan_comment_place_of_first",
            "INSERT INTO plan_comment (plan_id, body, at, actor) SELECT plan_id, 'x', now(), 'x' FROM plan_comment",
        ),
        ("ck_plan_comment_resolved_whole", "UPDATE plan_comment SET resolved_at = now()"),
        (
            "fk_plan_comment_parent",  # an answer in another plan
            "INSERT INTO plan_comment (plan_id, parent_id, body, at, actor)"
            " SELECT (SELECT min(id) FROM plan), id, 'x', now(), 'x' FROM plan_comment",
        ),
        ("tr_plan_frozen", "UPDATE plan SET status = 'submitted' WHERE status = 'published'"),
    ],
)
def test_what_was_said_and_decided_stays(office, name, statement):
    say(office, office.planner)
    with pytest.raises(DBAPIError) as caught, office.session.begin_nested():
        office.session.execute(text(statement))
    assert caught.value.orig.diag.constraint_name == name


# --- what a publication moves


@pytest.fixture
def staffed(office) -> Office:
    fill(office)
    return office


def fill(office: Office) -> None:
    """Give every cell of the plan in force a holder, and every building an open incident."""
    session = office.session
    make_category(session)
    for n, cell in enumerate(session.scalars(select(Grid).where(Grid.plan_id == office.old.id).order_by(Grid.code))):
        holder = Staff(code=f"s{n}", name=f"员{n}")
        session.add(holder)
        session.flush()
        name = "grid_officer" if cell.grid_depth == 1 else "micro_grid_leader"
        post = session.scalars(select(PostRow.id).where(PostRow.code == name)).first()
        staff.assign(
            session, staff_id=holder.id, post_id=post, grid_id=cell.id, valid_from=LONG_AGO, actor=SYSTEM, now=NOW
        )
    for n in range(16):
        lon, lat = office.town.middle(0, n)
        incidents.report(
            session, lon=lon, lat=lat, category="0201", title=f"事{n}", request_id=None, actor=SYSTEM, now=NOW
        )


@pytest.mark.parametrize("start", [NOW, SOON])
def test_effects_name_every_code_post_and_incident_and_change_nothing(staffed, start):
    session = staffed.session
    before = fingerprint(session)
    outcome, moved = plans.effects(session, staffed.plan.id, effective_from=start, actor=staffed.planner, now=NOW)
    assert fingerprint(session) == before
    assert staffed.plan.status == "draft"
    old = {cell.code for cell in session.scalars(select(Grid).where(Grid.plan_id == staffed.old.id))}
    kept = {move.code for move in moved.codes if move.is_kept}
    # Two grids stay; of each grid's two halves, cut in two, none goes on: more than half of it would have to.
    assert moved.cells_same == 2
    assert {move.code for move in moved.codes} | {code for code in old if len(code) == 15} == old
    assert kept == set()
    assert {len(move.to) for move in moved.codes} == {2}
    for move in moved.codes:
        assert sum(share.share for share in move.to) == pytest.approx(1.0)
    given = {one.code for one in moved.given}
    assert len(given) == 8
    assert not given & old
    assert (len(moved.posts_moved), len(moved.posts_lost)) == (outcome.posts_moved, outcome.posts_lost) == (2, 4)
    assert {post.to for post in moved.posts_moved} == {code for code in old if len(code) == 15}
    assert {post.cell for post in moved.posts_lost} == old - {post.to for post in moved.posts_moved}
    assert all(post.holder for post in moved.posts_lost)
    assert {post.cell for post in moved.posts_open} >= given
    assert moved.cases_moved == len(moved.cases) == 16
    assert {case.to_cell for case in moved.cases} == given
    assert {case.from_cell for case in moved.cases} == old - {code for code in old if len(code) == 15}
    plans.publish(session, staffed.plan.id, effective_from=start, actor=SYSTEM, now=NOW)
    assert {cell.code for cell in session.scalars(select(Grid).where(Grid.plan_id == staffed.plan.id))} >= given


def test_effects_are_told_at_every_step_and_to_nobody_who_may_not_see_drafts(office):
    plans.effects(office.session, office.plan.id, actor=office.approver, now=NOW)
    office.step("submit", office.planner)
    plans.effects(office.session, office.plan.id, actor=office.approver, now=NOW)
    assert plans.state_of(office.session, office.plan.id) == "submitted"
    with pytest.raises(NotAllowed):
        plans.effects(office.session, office.plan.id, actor=person(office.session, "g", Role.VIEWER), now=NOW)
    with refused(WrongState, "plan.not_draft"):
        plans.effects(office.session, office.old.id, actor=office.approver, now=NOW)


_STATE = """
SELECT (SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM plan t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.plan_id, t.community_id)) FROM plan_community t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM grid t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.value)) FROM grid_code t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.from_id, t.to_id)) FROM grid_lineage t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM assignment t),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM incident t),
       (SELECT count(*) FROM incident_event), (SELECT count(*) FROM plan_event), (SELECT count(*) FROM audit_log),
       (SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM building_part t)
"""


def fingerprint(session: Session) -> Any:
    session.flush()
    return session.execute(text(_STATE)).one()


# --- all or nothing, and two at once, with real commits


@pytest.fixture
def own_engine(database: str) -> Iterator[Engine]:
    engine = make_engine(database)
    yield engine
    engine.dispose()


BROKEN_BY = (
    "gis.plans.recode",
    "gis.plans.store_lineage",
    "gis.plans.register_codes",
    "gis.plans._carry_posts",
    "gis.plans._open",
    "gis.incidents_rehoming.rehome",
    "gis.plans.note_event",
    "gis.plans.audit",
    "gis.plans.tell",
)


def test_a_publication_that_breaks_anywhere_leaves_everything_as_it_was(own_engine, monkeypatch):
    with unit_of_work(own_engine) as session:
        office = open_office(session)
        fill(office)
        plan_id, approver = office.plan.id, office.approver
        office.approve()
    with unit_of_work(own_engine) as session:
        before = fingerprint(session)
    for name in BROKEN_BY:
        monkeypatch.setattr(name, breaking_after(name))
        with pytest.raises(RuntimeError, match="broken"), unit_of_work(own_engine) as session:
            plans.publish(session, plan_id, actor=approver, now=NOW)
        monkeypatch.undo()
        with unit_of_work(own_engine) as session:
            assert fingerprint(session) == before, name
    with unit_of_work(own_engine) as session:
        outcome = plans.publish(session, plan_id, actor=approver, now=NOW)
        assert (outcome.incidents_rehomed, outcome.posts_moved, outcome.posts_lost) == (16, 2, 4)
        strays = (
            "SELECT count(*) FROM incident i WHERE NOT EXISTS (SELECT FROM cells_in_force c WHERE c.id = i.grid_id)"
        )
        session.commit()
        assert session.scalar(text(strays)) == 0


def breaking_after(name: str) -> Any:
    """A function of a module that does its work and fails then."""
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)

    def broken(*given: Any, **named: Any) -> Any:
        real(*given, **named)
        raise RuntimeError("broken")

    return broken


def test_of_two_approvers_the_second_is_told_who_was_first(own_engine):
    with unit_of_work(own_engine) as session:
        office = open_office(session)
        plan_id, first = office.plan.id, office.approver
        second = person(session, "er", Role.APPROVER)
        office.step("submit", office.planner)
        office.step("review", first)
    works = [
        lambda s, a=actor: plan_approval.approve(s, plan_id, document_no=a.name, actor=a, now=NOW)
        for actor in (first, second)
    ]
    assert both(own_engine, *works) == ["done", "plan.step_taken"]
    with unit_of_work(own_engine) as session:
        events = session.scalars(select(PlanEvent).where(PlanEvent.kind == "approve", PlanEvent.plan_id == plan_id))
        [only] = events.all()
        assert session.get(Plan, plan_id).document_no == only.actor
        with pytest.raises(WrongState) as caught:
            plan_approval.approve(session, plan_id, document_no="x", actor=second, now=NOW)
        assert (caught.value.params["by"], caught.value.params["status"]) == (only.actor, "approved")


def test_no_remark_slips_into_a_plan_that_is_being_approved(own_engine):
    with unit_of_work(own_engine) as session:
        office = open_office(session)
        plan_id, approver, planner = office.plan.id, office.approver, office.planner
        lon, lat = office.town.middle(0, 0)
        office.step("submit", planner)
        office.step("review", approver)
    works = [
        lambda s: plan_approval.approve(s, plan_id, document_no="1", actor=approver, now=NOW),
        lambda s: plan_comments.add(s, plan_id, body="等", lon=lon, lat=lat, actor=planner, now=NOW),
    ]
    assert both(own_engine, *works) in (["done", "done"], ["done", "plan.comments_open"])
