"""Redrawing over HTTP: from what is in force, with locks and a slider, and what it moves for whom."""

from __future__ import annotations

from typing import Any

from tests.api.test_plans import ask, latest_run, run


def codes_in_force(service: Any, depth: int) -> list[str]:
    listed = service.as_("planner").get(f"/api/v1/grids?depth={depth}&geometry=false&limit=500").json()["items"]
    return sorted(cell["code"] for cell in listed)


def redrawn(service: Any, **more: Any) -> dict[str, Any]:
    plan = ask(service, **more).json()["plan"]
    run(service, latest_run(service, plan["id"]))
    return dict(service.as_("planner").get(f"/api/v1/plans/{plan['id']}").json())


def test_a_redraw_keeps_what_is_in_force_and_says_so(service: Any) -> None:
    plan = redrawn(service, stability=1.0)
    assert plan["run"]["state"] == "done", plan["run"]
    assert plan["recipe"]["redraw"]["stability"] == 1.0
    assert len(plan["recipe"]["redraw"]["based_on"]) == 1
    told = service.as_("planner").get(f"/api/v1/plans/{plan['id']}/moves").json()
    assert told["based_on"] == plan["recipe"]["redraw"]["based_on"]
    assert [tier["depth"] for tier in told["tiers"]] == [1, 2]
    assert told["tiers"] == plan["recipe"]["redraw"]["moved"]
    for name, percent in (("old", "old_percent"), ("new", "new_percent")):
        by: dict[str, float] = {}
        for edge in told["lineage"]:
            if edge[name] is not None:
                by[edge[name]] = by.get(edge[name], 0.0) + edge[percent]
        assert by
        assert all(abs(total - 100) < 1e-6 for total in by.values())


def test_a_locked_grid_stays_and_the_people_concerned_are_named(service: Any) -> None:
    grid = codes_in_force(service, 1)[0]
    plan = redrawn(service, stability=0.0, locks={"grids": [grid]})
    assert plan["run"]["state"] == "done", plan["run"]
    told = service.as_("planner").get(f"/api/v1/plans/{plan['id']}/moves").json()
    kept = {
        edge["old"] for edge in told["lineage"] if edge["kind"] in ("keep", "redraw") and edge["old"] == edge["new"]
    }
    assert grid in kept
    assert not [row for row in told["moved"] if row["from_cell"] == grid]
    assert {(one["from_cell"], one["to_cell"]) for one in told["people"]} == {
        (row["from_cell"], row["to_cell"]) for row in told["moved"]
    }
    for pair in told["people"]:
        assert all(one["place"] == pair["from_cell"] for one in pair["before"])


def test_an_unknown_lock_ends_in_the_runs_row(service: Any) -> None:
    plan = redrawn(service, locks={"buildings": ["nowhere"]})
    assert plan["run"]["state"] == "failed"
    assert plan["run"]["error_code"] == "partition.lock_unknown"


def test_what_makes_no_sense_is_refused(service: Any) -> None:
    assert ask(service, stability=2).status_code == 422
    assert ask(service, based_on_id=10**9).status_code == 404
    assert ask(service, locks={"streets": ["x"]}).status_code == 422


def test_without_a_wish_a_draft_is_drawn_anew_as_ever(service: Any) -> None:
    plan = redrawn(service, community_ids=[service.town.communities[0].id])
    assert "redraw" not in plan["recipe"]
    assert service.as_("planner").get(f"/api/v1/plans/{plan['id']}/moves").status_code == 200


def test_a_run_is_finished_with_the_best_so_far(service: Any) -> None:
    plan = ask(service, effort="deep").json()["plan"]
    browser = service.as_("planner")
    assert browser.post(f"/api/v1/plans/{plan['id']}/run/finish").status_code == 200
    run(service, latest_run(service, plan["id"]))
    made = browser.get(f"/api/v1/plans/{plan['id']}").json()
    assert made["run"]["state"] == "done"
    assert made["recipe"]["is_cut_short"] is True
    over = browser.post(f"/api/v1/plans/{plan['id']}/run/finish")
    assert (over.status_code, over.json()["code"]) == (409, "plan.run_over")


def test_moves_are_shown_to_those_who_may_see_the_draft(service: Any) -> None:
    plan = redrawn(service, stability=0.5)
    assert service.as_("officer").get(f"/api/v1/plans/{plan['id']}/moves").status_code == 404


def test_moves_against_another_plan_and_of_a_published_one(service: Any) -> None:
    one, other = redrawn(service, stability=1.0), redrawn(service, seed=11)
    browser = service.as_("planner")
    told = browser.get(f"/api/v1/plans/{other['id']}/moves?against={one['id']}").json()
    assert told["based_on"] == [one["id"]]
    assert browser.get(f"/api/v1/plans/{other['id']}/moves?against={10**9}").status_code == 404
    before = browser.get(f"/api/v1/plans/{one['id']}/moves").json()
    answer = service.as_("admin").post(f"/api/v1/plans/{one['id']}/publish", json={"commit": True})
    assert answer.status_code == 200, answer.text
    service.clock.forward(minutes=1)
    after = browser.get(f"/api/v1/plans/{one['id']}/moves").json()
    assert (after["based_on"], after["tiers"]) == (before["based_on"], before["tiers"])
    assert [pair["from_cell"] for pair in after["people"]] == [pair["from_cell"] for pair in before["people"]]
