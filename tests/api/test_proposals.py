"""Proposals over HTTP: asked for, done by a worker, looked at by planners, cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gis import jobs
from gis.db import unit_of_work
from tests.usecases.builders import make_plan


@pytest.fixture
def drafted(service: Any) -> tuple[Any, str]:
    """A draft of both communities, one grid each; and the address of its proposals."""
    with unit_of_work(service.app.state.services.engine) as session:
        plan_id = make_plan(session, service.town, pieces=(1, 4), title="draft").id
    return service, f"/api/v1/plans/{plan_id}/proposals"


def work(service: Any) -> None:
    # In a thread of its own: a browser of another test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs.work, service.url, service.app.state.services.engine, once=True).result()


def test_proposals_are_asked_for_made_by_a_worker_and_shown(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    assert planner.get(address).json()["run"] is None
    asked = planner.post(address, json={"scope": "all", "alternatives": 2, "stability": 0})
    assert asked.status_code == 202, asked.text
    assert asked.json()["run"]["state"] == "queued"
    again = planner.post(address, json={"scope": "all"})
    assert (again.status_code, again.json()["code"]) == (409, "proposal.run_alive")
    work(service)
    told = planner.get(address).json()
    assert told["run"]["state"] == "done", told["run"]
    assert [item["number"] for item in told["items"]] == [1, 2]
    one = planner.get(f"{address}/{told['items'][0]['id']}").json()
    assert one["cells"]["type"] == "FeatureCollection"
    assert planner.get(f"{address}/{10**9}").status_code == 404


def test_a_queued_search_is_cancelled(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    assert planner.post(f"{address}/cancel").json()["code"] == "proposal.no_run"
    planner.post(address, json={"scope": "all"})
    assert planner.post(f"{address}/cancel").json()["run"]["state"] == "cancelled"
    over = planner.post(f"{address}/cancel")
    assert (over.status_code, over.json()["code"]) == (409, "proposal.run_over")


def test_what_makes_no_sense_is_refused(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    for body in ({}, {"scope": "some"}, {"scope": "all", "alternatives": 4}, {"scope": "all", "stability": 2}):
        assert planner.post(address, json=body).status_code == 422, body
    nothing = planner.post(address, json={"scope": "selected"})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "proposal.nothing_selected")


def test_only_those_who_draw_ask_and_only_those_who_see_drafts_look(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    for who in ("dispatcher", "viewer", "officer"):
        assert service.as_(who).post(address, json={"scope": "all"}).status_code == 403
        assert service.as_(who).get(address).status_code in (403, 404)
        assert service.as_(who).post(f"{address}/cancel").status_code == 403
    assert service.as_(None).get(address).status_code == 401
