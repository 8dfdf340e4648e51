"""Deciding on a plan over HTTP: steps, remarks, log, effects; who may see and do what."""

from __future__ import annotations

from typing import Any

import pytest

from gis.db import unit_of_work
from tests.usecases.builders import make_plan


@pytest.fixture
def drafted(service: Any) -> tuple[Any, int]:
    """A service with a draft that would replace the plan in force."""
    with unit_of_work(service.app.state.services.engine) as session:
        return service, make_plan(session, service.town, pieces=(3, 2), title="draft").id


def step(service: Any, plan_id: int, kind: str, who: str, **more: Any) -> Any:
    log = service.as_(who).get(f"/api/v1/plans/{plan_id}/log").json()
    body = {"revision": log.get("revision", 1), **more}
    return service.as_(who).post(f"/api/v1/plans/{plan_id}/{kind}", json=body)


def test_a_plan_is_returned_with_a_remark_mended_approved_and_published(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    address = f"/api/v1/plans/{plan_id}"
    assert step(service, plan_id, "submit", "planner", comment="请审").json()["status"] == "submitted"
    assert service.as_("planner").get(address).json()["state"] == "submitted"
    assert service.as_("approver").get("/api/v1/plans?state=submitted").json()["total"] == 1
    lon, lat = service.town.middle(0, 0)
    said = service.as_("approver").post(f"{address}/comments", json={"lon": lon, "lat": lat, "text": "此处跨路"})
    assert said.status_code == 201, said.text
    [thread] = said.json()["items"]
    assert (thread["id"], thread["text"], thread["lon"]) == (said.json()["made"], "此处跨路", pytest.approx(lon))
    assert step(service, plan_id, "review", "approver").json()["code"] == "plan.comments_open"
    returned = step(service, plan_id, "return", "approver", comment="改一处").json()
    assert (returned["status"], returned["comments_open"], returned["items"][-1]["note"]) == ("draft", 1, "改一处")
    answered = service.as_("planner").post(f"{address}/comments", json={"parent": thread["id"], "text": "已改"})
    assert [one["text"] for one in answered.json()["items"][0]["answers"]] == ["已改"]
    resolved = service.as_("planner").post(f"{address}/comments/{thread['id']}/resolve", json={})
    assert resolved.json()["items"][0]["resolved_by"] == "planner"
    assert step(service, plan_id, "submit", "planner").status_code == 200
    assert step(service, plan_id, "recall", "planner").json()["status"] == "draft"
    assert step(service, plan_id, "submit", "planner").status_code == 200
    assert step(service, plan_id, "review", "approver").json()["may"] == ["approve", "return", "comment"]
    assert step(service, plan_id, "approve", "approver").json()["code"] == "plan.no_document"
    approved = step(service, plan_id, "approve", "approver", document_no="东政〔2026〕1号").json()
    assert (approved["status"], approved["document_no"]) == ("approved", "东政〔2026〕1号")
    filed = service.as_("approver").post(f"{address}/file", json={"document_no": "备1"})
    assert filed.json()["items"][-1]["document_no"] == "备1"
    published = service.as_("approver").post(f"{address}/publish", json={"commit": True})
    assert (published.status_code, published.json()["state"]) == (200, "in_force")
    kinds = [item["kind"] for item in service.as_("planner").get(f"{address}/log").json()["items"]]
    assert kinds == [
        "create", "store", "submit", "return", "submit", "recall", "submit", "review", "approve", "file", "publish",
    ]  # fmt: skip


def test_effects_tell_every_code_post_and_incident(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    told = service.as_("planner").get(f"/api/v1/plans/{plan_id}/effects").json()
    lists = told["lists"]
    assert told["is_committed"] is False
    assert [one["plan_id"] for one in told["replaces"]] == [service.plan_id]
    assert len(lists["posts_lost"]) == told["posts_lost"] > 0
    assert {"code", "name_zh", "cell", "holder"} <= lists["posts_lost"][0].keys()
    assert {"depth", "community", "code", "is_kept", "to"} <= lists["codes"][0].keys()
    assert len(lists["given"]) > 0
    later = service.as_("planner").get(
        f"/api/v1/plans/{plan_id}/effects", params={"effective_from": "2099-01-01T00:00:00+08:00"}
    )
    assert later.json()["effective_from"].startswith("2099-01-01T00:00")
    assert "1380000" not in later.text
    assert service.as_("planner").get(f"/api/v1/plans/{plan_id}").json()["state"] == "draft"


def test_the_second_of_two_is_told_what_the_first_did(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    seen = service.as_("planner").get(f"/api/v1/plans/{plan_id}/log").json()["revision"]
    address = f"/api/v1/plans/{plan_id}"
    assert service.as_("planner").post(f"{address}/submit", json={"revision": seen}).status_code == 200
    again = service.as_("planner").post(f"{address}/submit?lang=en", json={"revision": seen})
    assert (again.status_code, again.json()["code"]) == (409, "plan.step_taken")
    assert "is submitted now (planner" in again.json()["detail"]
    stale = service.as_("approver").post(f"{address}/review", json={"revision": seen})
    assert (stale.status_code, stale.json()["code"]) == (409, "plan.changed_since")


def test_a_planner_does_not_publish_and_an_approver_not_what_is_not_approved(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    address = f"/api/v1/plans/{plan_id}/publish"
    assert service.as_("planner").post(address, json={"commit": True}).status_code == 403
    answer = service.as_("approver").post(address, json={"commit": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.not_approved")
    assert service.as_("approver").post(address, json={}).json()["is_committed"] is False  # looking is allowed


STEPS = [
    ("submit", {"revision": 1}, {"planner", "admin"}),
    ("recall", {"revision": 1}, {"planner", "admin"}),
    ("review", {"revision": 1}, {"approver", "admin"}),
    ("return", {"revision": 1, "comment": "x"}, {"approver", "admin"}),
    ("approve", {"revision": 1, "document_no": "x"}, {"approver", "admin"}),
    ("file", {"document_no": "x"}, {"approver", "admin"}),
    ("comments", {"lon": 1, "lat": 1, "text": "x"}, {"planner", "approver", "admin"}),
    ("comments/1/resolve", {}, {"planner", "approver", "admin"}),
]


@pytest.mark.parametrize("who", ["planner", "approver", "dispatcher", "officer", "viewer", "nobody"])
@pytest.mark.parametrize(("act", "body", "whose"), STEPS)
def test_only_who_may_takes_a_step(shared: Any, who: str, act: str, body: Any, whose: set[str]) -> None:
    # The plan in force takes none of these steps: whoever passes the door is told of its state.
    answer = shared.as_(who).post(f"/api/v1/plans/{shared.plan_id}/{act}", json=body)
    allowed = {409, 200} if act == "file" else {409}
    assert answer.status_code in (allowed if who in whose else {403})


@pytest.mark.parametrize("who", ["dispatcher", "officer", "viewer"])
@pytest.mark.parametrize("what", ["log", "comments", "effects"])
def test_how_a_plan_is_decided_on_is_for_those_who_see_drafts(shared: Any, who: str, what: str) -> None:
    assert shared.as_(who).get(f"/api/v1/plans/{shared.plan_id}/{what}").status_code == 403


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("submit", {}),
        ("submit", {"revision": 0}),
        ("submit", {"revision": 1, "comment": "x" * 2001}),
        ("comments", {"lon": 181, "lat": 1, "text": "x"}),
        ("comments", {"lon": 1, "lat": 1, "text": "x" * 4001}),
        ("comments", {"lon": 1, "lat": 1, "text": "x", "colour": "red"}),
        ("comments/1/resolve", {"is_resolved": "perhaps"}),
    ],
)
def test_what_cannot_be_meant_is_refused(shared: Any, act: str, body: Any) -> None:
    answer = shared.as_("admin").post(f"/api/v1/plans/{shared.plan_id}/{act}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "http.invalid")


def test_a_plan_that_is_not_there_is_not_found(shared: Any) -> None:
    for what in ("log", "comments", "effects"):
        answer = shared.as_("planner").get(f"/api/v1/plans/{10**9}/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "plan.unknown")


def test_codes_are_told_in_the_schemes_of_the_standards(shared: Any) -> None:
    address = f"/api/v1/plans/{shared.plan_id}/codes"
    own = shared.as_("viewer").get(address).json()["items"]
    assert {len(row["code"]) for row in own} == {15, 17}
    assert all(row["code"] == row["other"] for row in own)
    grids = shared.as_("viewer").get(address, params={"scheme": "cjt349"}).json()["items"]
    assert {row["other"] for row in grids} == {
        f"010000{c}0{n}" for c in ("210681001001", "210681001002") for n in (1, 2)
    }
    template = {"scheme": "template", "template": "{community}-{grid}-{code:.17}"}
    assert len(shared.as_("viewer").get(address, params=template).json()["items"]) == len(own)
    for words, code in (("{street}", "codes.ambiguous"), ("{house}", "codes.bad_template")):
        answer = shared.as_("viewer").get(address, params={"scheme": "template", "template": words})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert shared.as_("viewer1").get(address).status_code == 403
    assert shared.as_("viewer").get(address, params={"scheme": "geosot"}).status_code == 422
