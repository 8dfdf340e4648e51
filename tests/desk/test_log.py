"""The log of edits: undo and redo to the byte, two planners, requests that come twice, plans made anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from gis import desk_log, desk_rows, plan_approval, plan_copy, plans, rules
from gis.desk.board import Rows
from gis.desk.packing import packed, unpacked
from gis.errors import Conflict, GridError, NotAllowed, StaleRevision, WrongState
from gis.models import Plan
from gis.permissions import SYSTEM, Actor, Grant, Role
from tests.desk.helpers import Desk, assert_whole, desk, fingerprint, request_id
from tests.usecases.builders import LONG_AGO, NOW, divide

SONG, LIN = (Actor(None, name, (Grant(Role.PLANNER),)) for name in ("宋", "林"))


@pytest.fixture
def one(session: Any) -> Desk:
    made = desk(session)
    made.actor = SONG
    assert made.board.seq == 0
    return made


def refused(act: Any, code: str, kind: type[GridError] = Conflict) -> GridError:
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code
    return caught.value


def a_few(one: Desk) -> None:
    one.edit("move", building=one.building(1), to=one.cell_of(2).id)
    one.edit("split", cell=one.cell_of(15).id, n=2)
    one.edit("break", building=one.building(5), by="units")
    one.edit("merge", cells=[one.cell_of(0).id], into=one.cell_of(8).id)
    one.edit("lock", cells=[one.cell_of(8).id])


def test_undoing_and_redoing_all_gives_the_same_bytes(one: Desk) -> None:
    states = [fingerprint(one.session, one.plan_id)]
    a_few(one)
    for told in reversed(one.done):
        states.append(fingerprint(one.session, one.plan_id))
        undone = one.undo()
        assert undone["undoes"] == told["seq"]
        assert_whole(one.session, one.plan_id)
    assert fingerprint(one.session, one.plan_id) == states[0]
    for _ in states[1:]:
        one.redo()
        assert_whole(one.session, one.plan_id)
        after = fingerprint(one.session, one.plan_id)
    assert after == states[1]
    for _ in one.done:
        one.undo()
    assert fingerprint(one.session, one.plan_id) == states[0]


def test_what_can_be_undone_is_told_with_its_sentence(one: Desk) -> None:
    told = one.edit("split", cell=one.cell_of(0).id, n=2)
    assert told["undo"]["can"] is True
    assert told["undo"]["summary"]["code"] == "edit.done.split"
    assert told["redo"]["can"] is False
    undone = one.undo()
    assert undone["undo"]["can"] is False
    assert "Split" in undone["redo"]["summary"]["text"]
    told = one.edit("split", cell=one.cell_of(0).id, n=2)
    assert told["redo"]["can"] is False
    refused(one.redo, "edit.nothing_to_redo")
    one.undo()
    refused(one.undo, "edit.nothing_to_undo")


def test_undoing_goes_on_where_it_was_after_redoing(one: Desk) -> None:
    a_few(one)
    whole = fingerprint(one.session, one.plan_id)
    one.undo()
    one.undo()
    one.redo()
    one.undo()
    one.undo()
    one.redo()
    one.redo()
    one.redo()
    assert fingerprint(one.session, one.plan_id) == whole
    refused(one.redo, "edit.nothing_to_redo")


def test_each_undoes_their_own(one: Desk) -> None:
    mine = one.edit("rename", cell=one.cell_of(0).id, name="我的")
    one.edit("rename", cell=one.cell_of(15).id, name="林的", actor=LIN)
    assert one.undo()["undoes"] == mine["seq"]
    assert one.board.cells[one.cell_of(15).id].name == "林的"
    refused(one.undo, "edit.nothing_to_undo")


def test_two_in_one_grid_undo_apart_and_the_grid_follows(one: Desk) -> None:
    """Both change the same grid's sums through different micro-grids."""
    before = fingerprint(one.session, one.plan_id)
    one.edit("move", building=one.building(1), to=one.cell_of(2).id)
    one.edit("move", building=one.building(9), to=one.cell_of(10).id, actor=LIN)
    one.undo()
    assert_whole(one.session, one.plan_id)
    one.undo(LIN)
    assert_whole(one.session, one.plan_id)
    assert fingerprint(one.session, one.plan_id) == before


def test_an_undo_that_others_stand_on_is_refused_with_their_changes(one: Desk) -> None:
    one.edit("move", building=one.building(1), to=one.cell_of(2).id)
    theirs = one.edit("move", building=one.building(0), to=one.cell_of(2).id, actor=LIN)
    found = refused(one.undo, "edit.undo_blocked")
    assert [change["seq"] for change in found.params["changes"]] == [theirs["seq"]]
    one.undo(LIN)
    one.undo()


def test_a_cell_that_others_put_something_under_is_not_undone(one: Desk) -> None:
    told = one.edit("new", faces=sorted(one.board.faces_of[one.building(5)]))
    grid = next(cell["id"] for cell in told["cells"] if cell["depth"] == 1 and cell["households"] == 20)
    one.edit("reparent", cells=[one.cell_of(15).id], to=grid, actor=LIN)
    refused(one.undo, "edit.undo_blocked")
    assert_whole(one.session, one.plan_id)


def test_a_stale_edit_is_refused_only_where_others_changed_something(one: Desk) -> None:
    one.edit("move", building=one.building(1), to=one.cell_of(2).id, actor=LIN)
    found = refused(lambda: one.edit("split", cell=one.cell_of(0).id, n=2, base=0), "edit.stale", StaleRevision)
    assert found.params["seq"] == 1
    assert [change["seq"] for change in found.params["changes"]] == [1]
    one.edit("split", cell=one.cell_of(15).id, n=2, base=0)
    one.edit("split", cell=one.cell_of(8).id, n=2, base=0)
    one.edit("rename", cell=one.cell_of(8).id, name="好", base=1)


def test_what_others_took_away_is_stale_and_not_unknown(one: Desk) -> None:
    gone = one.cell_of(0).id
    one.edit("merge", cells=[gone], into=one.cell_of(8).id, actor=LIN)
    refused(lambda: one.edit("split", cell=gone, n=2, base=0), "edit.stale", StaleRevision)


def test_the_same_request_is_done_once_and_answered_alike(one: Desk) -> None:
    asked = {"kind": "split", "cell": one.cell_of(0).id, "n": 2, "base": 0, "request_id": request_id()}
    first = desk_log.edit(one.session, one.plan_id, asked, actor=SONG, now=NOW)
    again = desk_log.edit(one.session, one.plan_id, asked, actor=SONG, now=NOW)
    assert first == again
    assert desk_log.seq_of(one.session, one.plan_id) == 1
    refused(lambda: desk_log.edit(one.session, one.plan_id, asked, actor=LIN, now=NOW), "edit.request_of_other")
    step = request_id()
    first = desk_log.undo(one.session, one.plan_id, request_id=step, actor=SONG, now=NOW)
    again = desk_log.undo(one.session, one.plan_id, request_id=step, actor=SONG, now=NOW)
    assert first == again
    assert desk_log.seq_of(one.session, one.plan_id) == 2


def test_what_was_done_since_is_told_in_order(one: Desk) -> None:
    a_few(one)
    one.undo()
    told = desk_log.changes(one.session, one.plan_id, since=2, actor=LIN)
    assert [change["seq"] for change in told["changes"]] == [3, 4, 5, 6]
    assert (told["seq"], told["is_gap"], told["status"]) == (6, False, "draft")
    assert told["changes"][-1]["kind"] == "undo"
    assert told["changes"][0]["undo"]["can"] is False
    some = desk_log.changes(one.session, one.plan_id, since=0, actor=LIN, most=2)
    assert (some["seq"], len(some["changes"])) == (2, 2)


def test_the_names_that_others_ask_by(one: Desk) -> None:
    cell = one.cell_of(0)
    one.edit("lock", cells=[cell.id], buildings=[one.building(3)])
    assert desk_log.locks_of(one.session, one.plan_id) == ({cell.id}, {one.building(3)}, False)
    one.edit("unlock", all=True)
    one.edit("lock", all=True)
    assert desk_log.locks_of(one.session, one.plan_id) == (set(), set(), True)
    assert desk_log.touched_since(one.session, one.plan_id, 0) >= {cell.id}


def test_a_plan_made_anew_begins_a_new_log_and_says_so(one: Desk) -> None:
    a_few(one)
    plan = one.session.get_one(Plan, one.plan_id)
    rule_set = rules.value(rules.get(one.session, plan.rule_set_id))
    division = divide(one.town, rule_set, pieces=(2, 2))
    plans.store_division(one.session, one.plan_id, division=division, actor=SONG, now=NOW)
    told = desk_log.changes(one.session, one.plan_id, since=3, actor=SONG)
    assert told["is_gap"] is True
    assert one.board.seq == 6
    refused(one.undo, "edit.nothing_to_undo")
    one.edit("split", cell=one.cell_of(0).id, n=2)
    one.undo()


def test_only_a_draft_is_edited_and_only_by_who_may(one: Desk) -> None:
    stranger = Actor(None, "别人", (Grant(Role.PLANNER, "999999"),))
    refused(lambda: one.edit("split", cell=one.cell_of(0).id, n=2, actor=stranger), "access.not_allowed", NotAllowed)
    refused(lambda: one.undo(stranger), "access.not_allowed", NotAllowed)
    plans.publish(one.session, one.plan_id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
    refused(lambda: one.edit("split", cell=one.cell_of(0).id, n=2), "plan.not_draft", WrongState)
    refused(one.undo, "plan.not_draft", WrongState)


def test_a_published_plan_is_looked_at_and_not_touched(session: Any) -> None:
    made = desk(session)
    plans.publish(session, made.plan_id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
    before = fingerprint(session, made.plan_id)
    told = desk_log.opened(session, made.plan_id, actor=SONG)
    assert told["may_edit"] is False
    assert len(told["cells"]) == 6
    assert fingerprint(session, made.plan_id)[:2] == before[:2]


def test_a_plan_edited_published_and_taken_back_can_still_be_undone(one: Desk) -> None:
    """Publication may give cells other codes; what was drawn is the same."""
    one.edit("move", building=one.building(1), to=one.cell_of(2).id)
    later = NOW + timedelta(days=2)
    plans.publish(one.session, one.plan_id, effective_from=later, actor=SYSTEM, now=NOW)
    plans.withdraw(one.session, one.plan_id, actor=SYSTEM, now=NOW)
    plan_approval.return_(one.session, one.plan_id, note="再看看", actor=SYSTEM, now=NOW)
    one.undo()
    assert_whole(one.session, one.plan_id)
    assert one.cell_of(1).id == one.cell_of(0).id


def test_a_draft_from_a_plan_in_force_keeps_its_codes_when_edited_and_published(session: Any) -> None:
    made = desk(session)
    made.edit("rename", cell=made.cell_of(15).id, name="学校")
    made.edit("dedicate", cell=made.cell_of(15).id, is_dedicated=True)
    plans.publish(session, made.plan_id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
    old = {cell.code for cell in made.board.cells.values()}
    draft = make_plan_of(session, made)
    assert (draft.cell_of(15).name, draft.cell_of(15).is_dedicated) == ("学校", True)
    told = draft.edit("split", cell=draft.cell_of(0).id, n=2)
    new = {cell["code"] for cell in told["cells"]} - old
    assert len(new) == 1
    plans.publish(session, draft.plan_id, actor=SYSTEM, now=NOW)
    codes = set(session.scalars(text("SELECT code FROM grid WHERE plan_id = :plan"), {"plan": draft.plan_id}))
    assert len(codes) == 7
    assert len(codes & old) >= 5


def make_plan_of(session: Any, made: Desk) -> Desk:
    plan = plan_copy.copy(session, made.plan_id, title="新稿", actor=SONG, now=NOW)
    return Desk(session, made.town, plan.id, SONG)


def test_an_audit_line_a_sitting_not_a_stroke(one: Desk) -> None:
    a_few(one)
    lines = one.session.scalar(text("SELECT count(*) FROM audit_log WHERE action = 'plan.edit'"))
    assert lines == 1


def test_rows_are_packed_without_loss(one: Desk) -> None:
    board = one.board
    rows = Rows(dict(board.cells), dict(board.parts), dict(board.faces), dict(board.edges), {("cell", 1): True})
    empty = Rows(cells={1: None}, locks={("all", 0): False})
    assert unpacked(packed(rows, empty)) == (rows, empty)


def test_another_process_catches_up_by_the_log(one: Desk) -> None:
    kept = one.board
    revision = one.session.scalar(text("SELECT revision FROM plan WHERE id = :p"), {"p": one.plan_id})
    a_few(one)
    desk_log.boards.keep(one.session, kept, revision)
    caught_up = desk_log._brought_up(
        one.session, one.session.get_one(desk_log.PlanDesk, one.plan_id), revision, kept, revision + len(one.done)
    )
    loaded = desk_rows.load(one.session, one.session.get_one(desk_log.PlanDesk, one.plan_id))
    assert caught_up is not None
    for name in ("cells", "parts", "faces", "edges", "locks", "seq", "ground"):
        assert getattr(caught_up, name) == getattr(loaded, name), name
    for name in ("children", "parts_in", "parts_of", "faces_of", "land_in", "edges_of"):
        known = {key: value for key, value in getattr(caught_up, name).items() if value}
        assert known == getattr(loaded, name), name
