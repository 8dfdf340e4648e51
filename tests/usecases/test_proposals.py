"""Proposals for a draft: asked for, diagnosed, kept beside it, accepted as far as nobody has changed it since."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import desk_log, plans, proposal_runs, proposals
from gis.db import make_engine, unit_of_work
from gis.errors import Conflict, InvalidInput, NotAllowed, NotFound, WrongState
from gis.models import Grid, Plan, ProposalRun
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.proposals import Wish
from tests.usecases.builders import NOW, make_plan, make_town

READER = Actor(None, "reader", (Grant(Role.VIEWER),))


def asked(session: Session, plan_id: int, wish: Wish) -> ProposalRun:
    return proposals.request(session, plan_id, wish, defer=lambda run_id: run_id, actor=SYSTEM, now=NOW)


def grids(session: Session, plan_id: int, depth: int = 1) -> dict[str, int]:
    found = session.execute(
        text("SELECT code, id FROM grid WHERE plan_id = :plan AND grid_depth = :depth ORDER BY code"),
        {"plan": plan_id, "depth": depth},
    )
    return {row.code: row.id for row in found}


@pytest.fixture
def draft(session: Session) -> Plan:
    """Two communities of 960 households in 16 buildings; one grid each, far over the band of 300 to 500."""
    town = make_town(session, communities=2, households=60)
    return make_plan(session, town, pieces=(1, 4))


@pytest.fixture
def made(database: str) -> Any:
    """The same with real commits, the run of all that is broken done: (engine, plan, run)."""
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        town = make_town(session, communities=2, households=60)
        plan_id = make_plan(session, town, pieces=(1, 4)).id
    yield engine, plan_id
    engine.dispose()


def done(engine: Any, plan_id: int, wish: Wish) -> dict[str, Any]:
    with unit_of_work(engine) as session:
        run_id = asked(session, plan_id, wish).id
    proposal_runs.do_run(engine, run_id, clock=lambda: NOW, processes=1)
    with unit_of_work(engine) as session:
        return proposals.listed(session, plan_id, actor=SYSTEM, language="en")


def test_what_is_broken_is_found_in_the_rows(session: Session, draft: Plan) -> None:
    found = {row["code"]: row["why"] for row in proposals.broken(session, draft.id)}
    assert {code: found[code] for code in grids(session, draft.id)} == dict.fromkeys(grids(session, draft.id), "over")
    session.execute(text("DELETE FROM grid_part WHERE plan_id = :plan AND building_id IN (SELECT min(building_id)"
                         " FROM grid_part WHERE plan_id = :plan)"), {"plan": draft.id})  # fmt: skip
    session.execute(text("UPDATE grid SET band_state = 'in_band' WHERE plan_id = :plan"), {"plan": draft.id})
    [lost] = proposals.broken(session, draft.id)
    assert (lost["why"], lost["depth"]) == ("unassigned", 2)


def test_what_is_asked_for_is_noted_with_the_edit_it_starts_from(session: Session, draft: Plan) -> None:
    one, other = grids(session, draft.id).items()
    session.execute(text("INSERT INTO plan_desk (plan_id, seq) VALUES (:plan, 7)"), {"plan": draft.id})
    session.execute(
        text("INSERT INTO plan_lock (plan_id, kind, item_id) VALUES (:plan, 'cell', :cell)"),
        {"plan": draft.id, "cell": other[1]},
    )
    run = asked(session, draft.id, Wish("selected", (one[1],), stability=0.75, alternatives=3))
    assert (run.state, run.cells, run.based_on_seq, run.alternatives) == ("queued", [one[0]], 7, 3)
    assert run.locks == {"buildings": [], "grids": [other[0]], "micro_grids": []}
    with pytest.raises(Conflict, match=r"proposal\.run_alive"):
        asked(session, draft.id, Wish("all"))


def test_what_makes_no_sense_is_refused(session: Session, draft: Plan) -> None:
    cell = next(iter(grids(session, draft.id).values()))
    for wish, code in (
        (Wish("some"), "proposal.bad_scope"),
        (Wish("selected"), "proposal.nothing_selected"),
        (Wish("selected", (10**9,)), "proposal.unknown_cells"),
        (Wish("all", stability=2.0), "partition.bad_stability"),
    ):
        with pytest.raises(InvalidInput, match=code.replace(".", r"\.")):
            asked(session, draft.id, wish)
    session.execute(text("UPDATE grid SET band_state = 'in_band' WHERE plan_id = :plan"), {"plan": draft.id})
    with pytest.raises(InvalidInput, match=r"proposal\.nothing_broken"):
        asked(session, draft.id, Wish("broken"))
    lock = text("INSERT INTO plan_lock (plan_id, kind, item_id) VALUES (:plan, :kind, :item)")
    session.execute(lock, {"plan": draft.id, "kind": "cell", "item": cell})
    with pytest.raises(Conflict, match=r"proposal\.all_locked"):
        asked(session, draft.id, Wish("selected", (cell,)))
    session.execute(lock, {"plan": draft.id, "kind": "all", "item": 0})
    with pytest.raises(Conflict, match=r"proposal\.all_locked"):
        asked(session, draft.id, Wish("all"))
    with pytest.raises(NotAllowed):
        proposals.request(session, draft.id, Wish("all"), defer=lambda _: 0, actor=READER, now=NOW)
    with pytest.raises(NotFound, match=r"proposal\.unknown"):
        proposals.get(session, draft.id, 10**9)
    with pytest.raises(NotFound, match=r"proposal\.no_run"):
        proposals.cancel(session, draft.id, actor=SYSTEM, now=NOW)


def test_only_a_draft_is_proposed_for(session: Session, draft: Plan) -> None:
    draft.status = "discarded"
    session.flush()
    with pytest.raises(WrongState, match=r"plan\.not_draft"):
        asked(session, draft.id, Wish("all"))


def test_a_run_that_waits_is_cancelled_at_once_and_does_nothing(made: Any) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        run_id = asked(session, plan_id, Wish("all")).id
        assert proposals.cancel(session, plan_id, actor=SYSTEM, now=NOW).state == "cancelled"
        with pytest.raises(WrongState, match=r"proposal\.run_over"):
            proposals.cancel(session, plan_id, actor=SYSTEM, now=NOW)
    proposal_runs.do_run(engine, run_id, clock=lambda: NOW, processes=1)
    with unit_of_work(engine) as session:
        assert proposals.listed(session, plan_id, actor=SYSTEM, language="zh")["items"] == []


def test_a_run_that_runs_is_cancelled_at_its_next_step(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        run_id = asked(session, plan_id, Wish("all")).id

    def cancelled_meanwhile(*_: Any, **__: Any) -> Any:
        with unit_of_work(engine) as session:
            proposals.cancel(session, plan_id, actor=SYSTEM, now=NOW)
        raise InvalidInput("partition.cancelled")

    monkeypatch.setattr("gis.partition.proposing.propose", cancelled_meanwhile)
    proposal_runs.do_run(engine, run_id, clock=lambda: NOW, processes=1)
    with unit_of_work(engine) as session:
        told = proposals.listed(session, plan_id, actor=SYSTEM, language="zh")
    assert (told["run"]["state"], told["items"]) == ("cancelled", [])


def test_a_failure_is_told_in_the_runs_row(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, plan_id = made

    def fails(*_: Any, **__: Any) -> Any:
        raise InvalidInput("partition.no_households", key="x")

    monkeypatch.setattr("gis.partition.proposing.propose", fails)
    told = done(engine, plan_id, Wish("all"))
    assert told["run"]["state"] == "failed"
    assert told["run"]["error"]["text"]


def test_three_alternatives_mend_what_is_broken_and_are_scored_like_the_draft(made: Any) -> None:
    engine, plan_id = made
    told = done(engine, plan_id, Wish("broken", stability=0.2, alternatives=3))
    run, items = told["run"], told["items"]
    assert run["state"] == "done", run
    assert (run["done"], run["total"]) == (2, 2)
    assert [item["emphasis"]["code"] for item in items] == ["as_ruled", "borders", "equal_loads"]
    assert run["before"]["tiers"][0]["passing_ratio"] == 0
    for item in items:
        assert item["scores"]["tiers"][0]["passing_ratio"] == 1
        assert len(item["scores"]["principles"]) == len(run["before"]["principles"]) >= 4
        assert item["moved_households"] > 0
        assert (item["groups"], item["cells_stale"], item["based_on_seq"]) == (2, 0, 0)
        assert len(item["difference"]) == 3
    with unit_of_work(engine) as session:
        shown = proposals.shown(session, plan_id, items[0]["id"], actor=SYSTEM, language="zh")
        drawn = grids(session, plan_id)
    features = [one["properties"] for one in shown["cells"]["features"] if one["properties"]["depth"] == 1]
    assert sum(one["households"] for one in features) == 1920
    assert {cell for one in features for cell in one["touches"]} == set(drawn.values())
    assert sum(pair["households"] for pair in shown["pairs"]) == items[0]["moved_households"]
    assert {pair["from_cell"] for pair in shown["pairs"]} == set(drawn)


def test_a_new_run_drops_the_proposals_of_the_one_before(made: Any) -> None:
    engine, plan_id = made
    before = done(engine, plan_id, Wish("broken"))["items"][0]["id"]
    after = done(engine, plan_id, Wish("broken", seed=2))["items"]
    assert [item["id"] for item in after] != [before]
    with unit_of_work(engine) as session, pytest.raises(NotFound, match=r"proposal\.unknown"):
        proposals.get(session, plan_id, before)


def test_only_the_communities_of_the_selected_are_divided(made: Any) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        code, cell = next(iter(grids(session, plan_id).items()))
    told = done(engine, plan_id, Wish("selected", (cell,)))
    with unit_of_work(engine) as session:
        given = proposals.accepting(session, plan_id, told["items"][0]["id"])
    assert {str(one) for one in given.division.cells[0]["community"]} == {code[:12]}
    assert given.division.parts["households"].sum() == 960
    assert given.chosen == set(given.division.cells[0]["code"].astype(str))
    assert set(given.continues.values()) <= set(grids_and_below(engine, plan_id))


def grids_and_below(engine: Any, plan_id: int) -> list[int]:
    with unit_of_work(engine) as session:
        return list(session.scalars(text("SELECT id FROM grid WHERE plan_id = :plan"), {"plan": plan_id}))


def test_cells_that_were_changed_since_are_refused_and_only_those(made: Any) -> None:
    engine, plan_id = made
    told = done(engine, plan_id, Wish("broken"))
    proposal = told["items"][0]["id"]
    with unit_of_work(engine) as session:
        (_, one), (other_code, _) = grids(session, plan_id).items()
        edit(session, plan_id, 1, "lock", [one])
        assert not proposals.accepting(session, plan_id, proposal).refused
        edit(session, plan_id, 2, "move", [one])
        given = proposals.accepting(session, plan_id, proposal)
        assert {tuple(row["cells"]) for row in given.refused_params()} == {(one,)}
        assert {code[:12] for code in given.chosen} == {other_code[:12]}
        listed = proposals.listed(session, plan_id, actor=SYSTEM, language="zh")["items"][0]
        assert listed["cells_stale"] == len(given.refused)
        features = proposals.shown(session, plan_id, proposal, actor=SYSTEM, language="zh")["cells"]["features"]
        stale = [one["id"] for one in features if one["properties"]["depth"] == 1 and one["properties"]["stale"]]
        with pytest.raises(Conflict, match=r"proposal\.stale") as refused:
            proposals.accepting(session, plan_id, proposal, stale)
        assert refused.value.params["cells"] == [session.get_one(Grid, one).code]


def edit(session: Session, plan_id: int, seq: int, kind: str, cells: list[int]) -> None:
    session.execute(
        text("INSERT INTO plan_edit (plan_id, seq, request_id, kind, at, actor, cells, rows, answer)"
             " VALUES (:plan, :seq, :request, :kind, now(), 'x', :cells, '', '')"),
        {"plan": plan_id, "seq": seq, "request": f"r{seq}", "kind": kind, "cells": cells},
    )  # fmt: skip


def test_some_grids_are_accepted_by_their_own_or_their_micro_grids_number(made: Any) -> None:
    engine, plan_id = made
    told = done(engine, plan_id, Wish("broken"))
    proposal = told["items"][0]["id"]
    with unit_of_work(engine) as session:
        features = proposals.shown(session, plan_id, proposal, actor=SYSTEM, language="zh")["cells"]["features"]
        micro = next(one["properties"] for one in features if one["properties"]["depth"] == 2)
        given = proposals.accepting(session, plan_id, proposal, [micro["id"]])
        assert given.chosen == {micro["parent"]}
        with pytest.raises(InvalidInput, match=r"proposal\.unknown_cell"):
            proposals.accepting(session, plan_id, proposal, [10**9])


def test_a_draft_without_fault_gets_proposals_that_change_nothing(made: Any) -> None:
    engine, plan_id = made
    first = done(engine, plan_id, Wish("broken"))["items"][0]["id"]
    with unit_of_work(engine) as session:
        division = proposals.accepting(session, plan_id, first).division
        plans.store_division(session, plan_id, division=division, actor=SYSTEM, now=NOW)
    told = done(engine, plan_id, Wish("all", stability=1.0))
    [item] = told["items"]
    assert (item["cells_changed"], item["moved_households"]) == (0, 0)
    with unit_of_work(engine) as session, pytest.raises(InvalidInput, match=r"proposal\.nothing_changes"):
        proposals.accepting(session, plan_id, item["id"])


def rows_of(session: Session, plan_id: int) -> list[Any]:
    found = session.execute(
        text("SELECT g.id, g.parent_id, g.code, g.households, ST_AsBinary(g.geom) AS wkb FROM grid g"
             " WHERE g.plan_id = :plan ORDER BY g.id"),
        {"plan": plan_id},
    ).all()  # fmt: skip
    parts = session.execute(
        text("SELECT building_part_id, grid_id, households FROM grid_part WHERE plan_id = :plan ORDER BY 1"),
        {"plan": plan_id},
    ).all()
    return [tuple(row) for row in (*found, *parts)]


def accept(session: Session, plan_id: int, proposal: int, **more: Any) -> dict[str, Any]:
    asked = {"request_id": f"accept-{more}", "kind": "accept", "proposal": proposal, **more}
    return desk_log.edit(session, plan_id, asked, actor=SYSTEM, now=NOW)


def test_a_proposal_is_accepted_as_an_edit_and_undone_byte_for_byte(made: Any) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        desk_log.opened(session, plan_id, actor=SYSTEM)
    item = done(engine, plan_id, Wish("broken"))["items"][0]
    with unit_of_work(engine) as session:
        before = rows_of(session, plan_id)
        change = accept(session, plan_id, item["id"])
        assert change["summary"]["params"]["refused"] == []
        assert not [row for row in proposals.broken(session, plan_id) if row["depth"] == 1]
        assert plans.cover_faults(session, plan_id) == []
        held = session.execute(
            text("SELECT g.households, sum(p.households) FROM grid g JOIN grid m ON m.parent_id = g.id"
                 " JOIN grid_part p ON p.grid_id = m.id WHERE g.plan_id = :plan GROUP BY g.id"), {"plan": plan_id}
        ).all()  # fmt: skip
        assert sum(row[0] for row in held) == 1920
        assert all(row[0] == row[1] for row in held)
        with pytest.raises(Conflict, match=r"proposal\.stale"):
            accept(session, plan_id, item["id"], base=1)
        desk_log.undo(session, plan_id, request_id="u", actor=SYSTEM, now=NOW)
        assert rows_of(session, plan_id) == before


def test_one_group_is_accepted_and_the_other_stays_as_it_was(made: Any) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        desk_log.opened(session, plan_id, actor=SYSTEM)
    item = done(engine, plan_id, Wish("broken"))["items"][0]
    with unit_of_work(engine) as session:
        cells = proposals.shown(session, plan_id, item["id"], actor=SYSTEM, language="zh")["cells"]["features"]
        first = [one["id"] for one in cells if one["properties"]["depth"] == 1 and one["properties"]["group"] == 1]
        accept(session, plan_id, item["id"], cells=first)
        left = [row for row in proposals.broken(session, plan_id) if row["depth"] == 1]
        assert len(left) == 1
        rest = proposals.listed(session, plan_id, actor=SYSTEM, language="zh")["items"][0]
        assert rest["cells_stale"] == len(first)
        change = accept(session, plan_id, item["id"], base=change_seq(session, plan_id))
        assert len(change["summary"]["params"]["refused"]) == len(first)
        assert not [row for row in proposals.broken(session, plan_id) if row["depth"] == 1]
        assert plans.cover_faults(session, plan_id) == []


def change_seq(session: Session, plan_id: int) -> int:
    return proposals.seq_of(session, plan_id)


def test_a_grid_that_was_split_by_hand_is_refused_although_only_its_lowest_cells_are_logged(made: Any) -> None:
    engine, plan_id = made
    with unit_of_work(engine) as session:
        desk_log.opened(session, plan_id, actor=SYSTEM)
    item = done(engine, plan_id, Wish("broken"))["items"][0]
    with unit_of_work(engine) as session:
        one, _ = grids(session, plan_id).values()
        asked_ = {"request_id": "split-by-hand", "kind": "split", "cell": one, "n": 2}
        desk_log.edit(session, plan_id, asked_, actor=SYSTEM, now=NOW)
        given = proposals.accepting(session, plan_id, item["id"])
        assert {tuple(row["cells"]) for row in given.refused_params()} == {(one,)}


def test_rules_of_six_tiers_are_proposed_for_and_accepted(database: str) -> None:
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        plan_id = make_plan(session, make_town(session, households=60), preset="six", pieces=(1, 1, 4)).id
        desk_log.opened(session, plan_id, actor=SYSTEM)
        before = rows_of(session, plan_id)
    told = done(engine, plan_id, Wish("broken"))
    with unit_of_work(engine) as session:
        station = grids(session, plan_id)
        accept(session, plan_id, told["items"][0]["id"])
        assert grids(session, plan_id) == station
        assert not [row for row in proposals.broken(session, plan_id) if row["depth"] == 2]
        assert len(grids(session, plan_id, 2)) >= 2
        assert plans.cover_faults(session, plan_id) == []
        desk_log.undo(session, plan_id, request_id="back", actor=SYSTEM, now=NOW)
        assert rows_of(session, plan_id) == before
    engine.dispose()


@pytest.mark.parametrize("is_locked", [False, True])
def test_only_what_somebody_locked_is_called_locked(database: str, is_locked: bool) -> None:
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        plan_id = make_plan(session, make_town(session, households=60), pieces=(2, 4)).id
        desk_log.opened(session, plan_id, actor=SYSTEM)
        chosen, other = grids(session, plan_id).values()
        if is_locked:
            lock = {"request_id": "lock-it", "kind": "lock", "base": 0, "cells": [other]}
            desk_log.edit(session, plan_id, lock, actor=SYSTEM, now=NOW)
    [item] = done(engine, plan_id, Wish("selected", (chosen,)))["items"]
    held = [finding for finding in item["findings"] if finding["code"] == "partition.out_of_band.locked"]
    assert len(held) == (4 if is_locked else 0)
    engine.dispose()
