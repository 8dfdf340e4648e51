"""The desk over HTTP: opened, edited by two, refused with what changed, told at once; and what nobody should send."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient

from gis.desk.columns import parted

_numbers = itertools.count()


def draft(service: Any, title: str = "新稿") -> int:
    answer = service.as_("planner").post(f"/api/v1/plans/{service.plan_id}/drafts", json={"title": title})
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "draft"
    return int(answer.json()["id"])


def opened(service: Any, plan: int, who: str = "planner") -> dict[str, Any]:
    answer = service.as_(who).get(f"/api/v1/plans/{plan}/desk")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def send(service: Any, plan: int, kind: str, *, who: str = "planner", base: int = 0, **more: Any) -> Any:
    body = {"kind": kind, "base": base, "request_id": f"api-{next(_numbers):06d}", **more}
    return service.as_(who).post(f"/api/v1/plans/{plan}/edits", json=body)


def step(service: Any, plan: int, which: str, *, who: str = "planner") -> Any:
    body = {"request_id": f"api-{next(_numbers):06d}"}
    return service.as_(who).post(f"/api/v1/plans/{plan}/{which}", json=body)


def two_cells(desk: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A part, the cell that it lies in, and a cell beside it in the same community."""
    cells = {cell["id"]: cell for cell in desk["cells"]}
    part = next(one for one in desk["parts"] if one["floor_from"] is None and cells[one["cell"]]["floor_from"] is None)
    cell = cells[part["cell"]]
    other = next(
        one
        for one in desk["cells"]
        if one["depth"] == 2 and one["community"] == cell["community"] and one["id"] != cell["id"]
        and one["floor_from"] is None
    )  # fmt: skip
    return part, cell, other


def test_a_plan_is_opened_with_all_that_a_page_needs(service: Any) -> None:
    plan = draft(service)
    desk = opened(service, plan)
    assert desk["seq"] == 0
    assert desk["may_edit"] is True
    assert desk["plan"]["id"] == plan
    assert [tier["depth"] for tier in desk["tiers"]] == [1, 2]
    assert sum(part["households"] for part in desk["parts"]) == sum(b["households"] for b in desk["buildings"])
    assert {"id", "depth", "parent", "community", "code", "name", "dedicated", "locked", "households", "buildings",
            "residents", "area_m2", "perimeter_m", "pieces", "band_state", "floor_from", "floor_to", "people",
            "open_incidents", "bbox"} == desk["cells"][0].keys()  # fmt: skip
    assert all(cell["people"] == 1 for cell in desk["cells"])
    assert len(desk["communities"]) == 2
    assert {"id", "code", "name", "name_en", "bbox", "ground_m2"} == desk["communities"][0].keys()


def test_the_ground_is_kept_by_browsers_until_it_changes(service: Any) -> None:
    plan = draft(service)
    browser = service.as_("planner")
    answer = browser.get(f"/api/v1/plans/{plan}/desk/ground")
    ground = answer.json()
    faces = {face["id"]: face["properties"] for face in ground["faces"]["features"]}
    ends = {end for edge in ground["edges"]["features"] for end in (edge["properties"]["a"], edge["properties"]["b"])}
    assert ends <= faces.keys() | {-1}
    assert all(face["cell"] is not None for face in faces.values())
    tag = answer.headers["ETag"]
    again = browser.get(f"/api/v1/plans/{plan}/desk/ground", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    desk = opened(service, plan)
    part, _, other = two_cells(desk)
    assert send(service, plan, "move", parts=[part["id"]], to=other["id"]).status_code == 200
    assert browser.get(f"/api/v1/plans/{plan}/desk/ground", headers={"If-None-Match": tag}).status_code == 200


COLUMNS = "application/vnd.wangge.ground"


def test_the_ground_as_columns_is_kept_until_faces_are_split(service: Any) -> None:
    plan = draft(service)
    desk = opened(service, plan)
    browser = service.as_("planner")
    asked = {"Accept": f"{COLUMNS};form=2, {COLUMNS}; form=1"}
    answer = browser.get(f"/api/v1/plans/{plan}/desk/ground", headers=asked)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, COLUMNS)
    assert "Accept" in answer.headers["Vary"]
    head, told = parted(answer.content)
    assert (head["form"], head["ground"]) == (1, desk["ground"])
    geojson = browser.get(f"/api/v1/plans/{plan}/desk/ground").json()
    assert len(told["face_id"]) == len(geojson["faces"]["features"])
    known = {**asked, "If-None-Match": answer.headers["ETag"]}
    part, _, other = two_cells(desk)
    assert send(service, plan, "move", parts=[part["id"]], to=other["id"]).status_code == 200
    again = browser.get(f"/api/v1/plans/{plan}/desk/ground", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    plain = browser.get(f"/api/v1/plans/{plan}/desk/ground", headers={**asked, "Accept-Encoding": "identity"})
    assert plain.content == answer.content
    assert "Content-Encoding" not in plain.headers
    assert send(service, plan, "break", building=part["building"], by="units", cuts=[1]).status_code == 200
    changed = browser.get(f"/api/v1/plans/{plan}/desk/ground", headers=known)
    assert changed.status_code == 200
    assert parted(changed.content)[0]["ground"] == opened(service, plan)["ground"] == desk["ground"] + 1


TABLES = "application/vnd.wangge.desk"


@pytest.mark.parametrize(("where", "kind"), [("desk/ground", COLUMNS), ("desk", TABLES)])
def test_forms_that_nobody_knows_are_refused(service: Any, where: str, kind: str) -> None:
    browser, path = service.as_("planner"), f"/api/v1/plans/{draft(service)}/{where}"
    for asked in (f"{kind}; form=2", kind):
        refused = browser.get(path, headers={"Accept": asked})
        assert (refused.status_code, refused.json()["code"]) == (406, "http.not_acceptable")
        told = browser.get(path, headers={"Accept": f"{asked}, application/json"})
        assert told.headers["Content-Type"] == "application/json"


def test_a_plan_as_columns_is_what_it_is_as_json(service: Any) -> None:
    plan = draft(service)
    browser, path = service.as_("planner"), f"/api/v1/plans/{plan}/desk"
    asked = {"Accept": f"{TABLES}; form=1"}
    desk = opened(service, plan)
    answer = browser.get(path, headers=asked)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, TABLES)
    assert "Accept" in answer.headers["Vary"]
    plain = browser.get(path, headers={**asked, "Accept-Encoding": "identity"})
    assert (plain.content, "Content-Encoding" in plain.headers) == (answer.content, False)
    head, told = parted(answer.content)
    assert {name: head[name] for name in ("plan", "may_edit", "town", "undo", "redo")} == {
        name: desk[name] for name in ("plan", "may_edit", "town", "undo", "redo")
    }
    part, _, other = two_cells(desk)
    at = told["parts.id"].tolist().index(part["id"])
    assert told["parts.cell"][at] == part["cell"]
    assert send(service, plan, "move", parts=[part["id"]], to=other["id"]).status_code == 200
    head, told = parted(browser.get(path, headers=asked).content)
    assert (head["board"]["seq"], told["parts.cell"][at], head["undo"]["can"]) == (1, other["id"], True)
    for who in ("officer", "viewer", None):  # also where the columns are kept already
        assert service.as_(who).get(path, headers=asked).status_code in (401, 403, 404), who


def test_the_columns_are_for_those_who_may_see_all_of_a_plan(service: Any) -> None:
    asked = {"Accept": f"{COLUMNS}; form=1"}
    for plan, others in (
        (draft(service), ("officer", "viewer", "dispatcher", None)),
        (service.plan_id, ("viewer1", "dispatcher0", "nobody", None)),
    ):
        path = f"/api/v1/plans/{plan}/desk/ground"
        seen = service.as_("planner").get(path, headers=asked)
        assert seen.status_code == 200
        for who in others:  # also where the bytes are kept already, and where their tag is known
            for headers in (asked, {**asked, "If-None-Match": seen.headers["ETag"]}):
                assert service.as_(who).get(path, headers=headers).status_code in (401, 403, 404), who


def test_a_plan_in_force_is_read_only(service: Any) -> None:
    desk = opened(service, service.plan_id)
    assert desk["may_edit"] is False
    part, _, other = two_cells(desk)
    answer = send(service, service.plan_id, "move", parts=[part["id"]], to=other["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.not_draft")
    assert service.as_("planner").get(f"/api/v1/plans/{service.plan_id}/checks").status_code == 200


def test_an_edit_answers_what_a_page_needs_to_go_on(service: Any) -> None:
    plan = draft(service)
    part, cell, other = two_cells(opened(service, plan))
    told = send(service, plan, "move", parts=[part["id"]], to=other["id"]).json()
    assert {
        "seq", "at", "actor", "kind", "summary", "undoes", "buildings", "compounds", "cells", "removed_cells", "parts",
        "removed_parts", "locked_buildings", "locked_all", "land", "ground", "undo", "redo",
    } == told.keys()  # fmt: skip
    assert told["seq"] == 1
    assert {one["id"] for one in told["cells"]} >= {cell["id"], other["id"]}
    assert told["ground"] is None
    assert other["code"] in told["summary"]["text"]
    after = opened(service, plan)
    assert after["seq"] == 1
    assert {one["id"]: one for one in after["cells"]}[other["id"]] == next(
        one for one in told["cells"] if one["id"] == other["id"]
    )
    assert after["undo"] == told["undo"]
    undone = step(service, plan, "undo").json()
    assert undone["undoes"] == 1
    redone = step(service, plan, "redo").json()
    assert redone["kind"] == "redo"
    assert step(service, plan, "redo").json()["code"] == "edit.nothing_to_redo"


def test_two_planners_see_each_other_and_a_stale_edit_is_refused(service: Any) -> None:
    plan = draft(service)
    part, cell, other = two_cells(opened(service, plan))
    assert send(service, plan, "move", who="admin", parts=[part["id"]], to=other["id"]).status_code == 200
    stale = send(service, plan, "split", base=0, cell=cell["id"], n=2)
    assert (stale.status_code, stale.json()["code"]) == (409, "edit.stale")
    assert [change["seq"] for change in stale.json()["params"]["changes"]] == [1]
    assert stale.json()["params"]["changes"][0]["actor"] == "admin"
    news = service.as_("planner").get(f"/api/v1/plans/{plan}/edits?since=0").json()
    assert [change["seq"] for change in news["changes"]] == [1]
    assert send(service, plan, "split", base=1, cell=cell["id"], n=2).status_code == 200
    blocked = step(service, plan, "undo", who="admin")
    assert (blocked.status_code, blocked.json()["code"]) == (409, "edit.undo_blocked")


def test_a_waiting_page_is_told(service: Any) -> None:
    plan = draft(service)
    part, _, other = two_cells(opened(service, plan))
    found: list[Any] = []
    with TestClient(service.app, base_url="http://wangge.test", headers={"Origin": "http://wangge.test"}) as browser:
        browser.cookies = service.as_("admin").cookies

        def ask() -> None:
            for _ in range(8):  # the first edit of a process may take long
                if changes := browser.get(f"/api/v1/plans/{plan}/edits?since=0&wait=20").json()["changes"]:
                    found.extend(changes)
                    return

        asking = threading.Thread(target=ask)
        asking.start()
        assert send(service, plan, "move", parts=[part["id"]], to=other["id"]).status_code == 200
        asking.join()
    assert [change["seq"] for change in found] == [1]


def test_a_request_sent_twice_is_done_once(service: Any) -> None:
    plan = draft(service)
    _, cell, _ = two_cells(opened(service, plan))
    body = {"kind": "split", "cell": cell["id"], "n": 2, "base": 0, "request_id": "the-same-one"}
    browser = service.as_("planner")
    first, again = (browser.post(f"/api/v1/plans/{plan}/edits", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert opened(service, plan)["seq"] == 1


@pytest.mark.parametrize("who", ["viewer", "officer", "dispatcher"])
def test_those_who_may_not_draw_are_refused(service: Any, who: str) -> None:
    plan = draft(service)
    desk = opened(service, plan)
    _, cell, _ = two_cells(desk)
    assert send(service, plan, "split", who=who, cell=cell["id"], n=2).status_code == 403
    assert step(service, plan, "undo", who=who).status_code == 403
    browser = service.as_(who)
    assert browser.post(f"/api/v1/plans/{plan}/drafts", json={"title": "x"}).status_code == 403
    for path in ("desk", "desk/ground", "edits", "checks"):
        assert browser.get(f"/api/v1/plans/{plan}/{path}").status_code in (403, 404), path
    assert service.as_(None).get(f"/api/v1/plans/{plan}/desk").status_code == 401


def test_a_plan_in_force_is_looked_at_by_all_and_its_log_by_those_who_draw(service: Any) -> None:
    drawn = draft(service)
    desk = opened(service, drawn)
    _, cell, _ = two_cells(desk)
    assert send(service, drawn, "rename", cell=cell["id"], name="新名").status_code == 200
    assert service.as_("admin").post(f"/api/v1/plans/{drawn}/publish", json={"commit": True}).status_code == 200
    for who, told in (("viewer", 0), ("planner", 1)):
        browser = service.as_(who)
        shown = browser.get(f"/api/v1/plans/{drawn}/desk").json()
        assert not shown["may_edit"]
        assert [one["name"] for one in shown["cells"] if one["id"] == cell["id"]] == ["新名"]
        assert browser.get(f"/api/v1/plans/{drawn}/desk/ground").status_code == 200
        changes = browser.get(f"/api/v1/plans/{drawn}/edits?since=0").json()
        assert (changes["seq"], len(changes["changes"])) == (1, told)


def test_a_plan_that_is_not_there(service: Any) -> None:
    browser = service.as_("planner")
    for path in ("desk", "desk/ground", "edits", "checks"):
        assert browser.get(f"/api/v1/plans/{10**9}/{path}").status_code == 404, path
    assert send(service, 10**9, "rename", cell=1, name="x").status_code == 404


NONSENSE: list[dict[str, Any]] = [
    {"kind": "paint"},
    {"kind": "move", "parts": [1]},
    {"kind": "move", "parts": [-1], "to": 1},
    {"kind": "move", "parts": ["one"], "to": 1},
    {"kind": "move", "parts": [1], "to": 2**70},
    {"kind": "split", "cell": 1, "n": 1},
    {"kind": "split", "cell": 1, "n": 1000},
    {"kind": "cut", "cell": 1, "line": []},
    {"kind": "cut", "cell": 1, "line": [[1, 2]]},
    {"kind": "cut", "cell": 1, "line": [[1, 2, 3], [1, 2, 3]]},
    {"kind": "cut", "cell": 1, "line": [[None, 2], [1, 2]]},
    {"kind": "cut", "cell": 1, "line": [[1, 2]] * 6000},
    {"kind": "reshape", "cell": 1, "ring": [[0, 0], [1, 1]]},
    {"kind": "break", "building": 1, "by": "rooms"},
    {"kind": "break", "building": 1, "by": "units", "cuts": [0]},
    {"kind": "batch", "edits": []},
    {"kind": "batch", "edits": [{"kind": "batch", "edits": []}]},
    {"kind": "rename", "cell": 1, "name": "x" * 500},
    {"kind": "lock", "cells": [1], "secret": True},
    {"kind": "accept"},
]


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: str(body["kind"]))
def test_nonsense_is_refused_and_changes_nothing(shared: Any, body: dict[str, Any]) -> None:
    answer = send(shared, shared.plan_id, **body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("line", ["[[NaN,1],[2,3]]", "[[1e999,1],[2,3]]", "[[Infinity,1],[2,3]]"])
def test_numbers_that_are_none_are_refused(shared: Any, line: str) -> None:
    content = f'{{"kind":"cut","cell":1,"base":0,"request_id":"nan-nan-nan","line":{line}}}'
    answer = shared.as_("planner").post(
        f"/api/v1/plans/{shared.plan_id}/edits", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422


def test_absurd_shapes_are_refused_or_done_and_leave_a_whole_draft(service: Any) -> None:
    plan = draft(service)
    desk = opened(service, plan)
    _, cell, _ = two_cells(desk)
    west, south, east, north = cell["bbox"]
    middle = [(west + east) / 2, (south + north) / 2]
    rings = [
        [[west, south], [east, north], [east, south], [west, north]],  # a bow tie
        [[middle[0] + 1e-9 * i, middle[1] - 1e-9 * i * i] for i in range(1000)],
        [[-180, -90], [180, -90], [180, 90], [-180, 90]],
        [[west - i % 2 * 0.01, south + i * 1e-6] for i in range(4990)],
    ]
    for ring in rings:
        answer = send(service, plan, "reshape", base=opened(service, plan)["seq"], cell=cell["id"], ring=ring)
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 200:
            assert step(service, plan, "undo").status_code == 200
    assert service.as_("planner").get(f"/api/v1/plans/{plan}/checks").status_code == 200
    after = opened(service, plan)
    assert {one["id"]: one["households"] for one in after["cells"]} == {
        one["id"]: one["households"] for one in desk["cells"]
    }


def test_a_megabyte_is_read_and_refused(shared: Any) -> None:
    parts = [10**15 + i for i in range(49_999)]
    answer = send(shared, shared.plan_id, "move", parts=parts, to=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.not_draft")
    answer = send(shared, shared.plan_id, "move", parts=[*parts, *parts], to=1)
    assert answer.status_code == 422


def test_everything_wrong_is_listed_with_place_and_sentence(service: Any) -> None:
    plan = draft(service)
    browser = service.as_("planner")
    desk = opened(service, plan)
    part, cell, other = two_cells(desk)
    # The two north-eastern corners of one community into one cell leave it in pieces.
    far = [one for one in desk["parts"] if one["cell"] not in (cell["id"],) and one["floor_from"] is None]
    for one in far[-1:]:
        send(service, plan, "move", parts=[one["id"]], to=other["id"])
    for language in ("zh", "en"):
        items = browser.get(f"/api/v1/plans/{plan}/checks?lang={language}").json()["items"]
        assert items
        for item in items:
            assert {"code", "severity", "cell_id", "building_id", "compound_id", "bbox", "lon", "lat", "params",
                    "text"} == item.keys()  # fmt: skip
            assert "?" not in item["text"]
            assert item["text"] != item["code"]
    assert {"check.over", "check.under"} & {item["code"] for item in items}
    assert part["id"]
