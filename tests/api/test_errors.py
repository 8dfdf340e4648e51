"""Every refusal is a problem document: the same shape, the right status, the reader's language, no stack trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

PROBLEM = {"type", "title", "status", "code", "params", "detail"}


def check(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.keys() >= PROBLEM
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"] != code, "no sentence for this code"
    return body


CASES = [
    # who, method, address, body, status, code
    (None, "GET", "/api/v1/areas", None, 401, "access.no_session"),
    ("nobody", "GET", "/api/v1/areas", None, 403, "access.no_grant"),
    ("viewer", "POST", "/api/v1/plans", {"area_id": 1, "title": "x"}, 403, "access.no_grant"),
    ("viewer", "GET", "/api/v1/nothing", None, 404, "http.no_such_address"),
    ("viewer", "PATCH", "/api/v1/areas", None, 405, "http.method_not_allowed"),
    ("viewer", "GET", "/api/v1/areas/999999", None, 404, "area.not_found"),
    ("viewer", "GET", "/api/v1/grids/999999", None, 404, "grid.not_found"),
    ("viewer", "GET", "/api/v1/plans/999999", None, 404, "plan.unknown"),
    ("viewer", "GET", "/api/v1/plans/999999/cells", None, 404, "plan.unknown"),
    ("viewer", "GET", "/api/v1/incidents/999999", None, 404, "incident.unknown"),
    ("viewer", "GET", "/api/v1/areas?limit=0", None, 422, "http.invalid"),
    ("viewer", "GET", "/api/v1/areas?limit=1001", None, 422, "http.invalid"),
    ("viewer", "GET", "/api/v1/areas?limit=NaN", None, 422, "http.invalid"),
    ("viewer", "GET", "/api/v1/areas?cursor=xyz", None, 422, "api.bad_cursor"),
    ("viewer", "GET", "/api/v1/areas?level=galaxy", None, 422, "http.invalid"),
    ("viewer", "GET", "/api/v1/areas?bbox=1,2,3", None, 422, "api.bad_bbox"),
    ("viewer", "GET", "/api/v1/areas?bbox=nan,0,1,1", None, 422, "api.bad_bbox"),
    ("viewer", "GET", "/api/v1/areas?bbox=-1e9,0,1,1", None, 422, "api.bad_bbox"),
    ("viewer", "GET", "/api/v1/areas?bbox=2,0,1,1", None, 422, "api.bad_bbox"),
    ("viewer", "GET", "/api/v1/buildings?near=124", None, 422, "api.bad_point"),
    ("viewer", "GET", "/api/v1/buildings?near=124,inf", None, 422, "api.bad_point"),
    ("viewer", "GET", "/api/v1/grids?at=2026-01-01T00:00:00", None, 422, "http.invalid"),
    ("viewer", "GET", "/api/v1/grids/99999999999999999999999", None, 422, "http.invalid"),
    ("viewer", "GET", "/tiles/nix/3/1/1.mvt", None, 404, "tile.no_layer"),
    ("viewer", "GET", "/tiles/grids/21/1/1.mvt", None, 422, "tile.out_of_range"),
    ("viewer", "GET", "/tiles/grids/40/1/1.mvt", None, 422, "tile.out_of_range"),
    ("viewer", "GET", "/tiles/grids/3/8/1.mvt", None, 422, "tile.out_of_range"),
    ("viewer", "GET", "/tiles/grids/-1/0/0.mvt", None, 422, "tile.not_numbers"),
    ("viewer", "GET", "/tiles/roads/3/1/1.mvt?plan=1", None, 422, "tile.no_draft"),
    ("viewer", "GET", "/api/v1/areas?q=%00", None, 400, "http.bad_request"),
    ("viewer", "GET", "/api/v1/areas/%00", None, 400, "http.bad_request"),
    ("viewer", "POST", "/api/v1/geotag", {"address": "a\0b"}, 422, "http.invalid"),
    ("viewer", "POST", "/api/v1/geotag", {}, 422, "geotag.empty"),
    ("viewer", "POST", "/api/v1/geotag", {"lon": 1, "lat": 1, "crs": "mars"}, 422, "crs.unknown"),
    ("viewer", "POST", "/api/v1/geotag", {"lon": "x", "lat": 1}, 422, "http.invalid"),
    ("viewer", "POST", "/api/v1/geotag", {"latitude": 1}, 422, "http.invalid"),
    ("viewer", "POST", "/api/v1/geotag", {"items": [{}] * 10_001}, 422, "http.invalid"),
    ("planner", "POST", "/api/v1/plans", {"area_id": 999999, "title": "x"}, 404, "area.unknown"),
    ("planner", "GET", "/api/v1/plans/1/run", None, 404, "plan.no_run"),
    ("planner", "POST", "/api/v1/plans/1/discard", {}, 409, "plan.not_draft"),
    ("approver", "POST", "/api/v1/plans/1/publish", {"commit": True}, 409, "plan.not_draft"),
]


@pytest.mark.parametrize(("who", "method", "address", "body", "status", "code"), CASES)
def test_a_refusal_names_its_code(
    shared: Any, who: str | None, method: str, address: str, body: Any, status: int, code: str
) -> None:
    check(shared.as_(who).request(method, address, json=body), status, code)


def test_the_sentence_is_in_the_language_that_was_asked_for(service: Any) -> None:
    browser = service.as_("viewer")
    said = {
        "query": browser.get("/api/v1/areas/999999?lang=en").json()["detail"],
        "header": browser.get("/api/v1/areas/999999", headers={"Accept-Language": "en-GB,zh;q=0.5"}).json()["detail"],
        "default": browser.get("/api/v1/areas/999999", headers={"Accept-Language": ""}).json()["detail"],
    }
    assert said["query"] == said["header"] == "There is no area 999999, or it is outside what you may see."
    assert said["default"].startswith("没有找到行政区划")
    browser.cookies.set("wangge_lang", "en")
    assert browser.get("/api/v1/areas/999999").json()["detail"] == said["query"]


def test_not_a_number_in_a_body_is_refused(shared: Any) -> None:
    headers = {"Content-Type": "application/json"}
    body = '{"lon": NaN, "lat": 39.8, "category": "0201", "title": "x", "request_id": "12345678"}'
    check(shared.as_("officer").post("/api/v1/incidents", content=body, headers=headers), 422, "http.invalid")


def test_what_is_wrong_with_a_value_is_said_in_the_readers_language(shared: Any) -> None:
    said = [
        shared.as_("viewer").get(f"/api/v1/areas?limit=0&lang={language}").json()["detail"] for language in ("zh", "en")
    ]
    assert said[0] == "有 1 处填写不正确，第一处在 query.limit：不能小于1。请改正后重试。"
    assert said[1] == "1 value(s) are wrong, the first at query.limit: must not be less than 1. Correct and try again."


def test_what_was_sent_is_not_repeated(shared: Any) -> None:
    body = {"username": "viewer", "password": ["my secret"]}
    answer = shared.as_(None).post("/api/v1/session", json=body)
    check(answer, 422, "http.invalid")
    assert "secret" not in answer.text


def test_a_body_that_is_too_large_is_refused_by_its_announced_length(shared: Any) -> None:
    answer = shared.as_("viewer").post("/api/v1/geotag", content=b" " * 16_000_001)
    check(answer, 413, "http.too_large")


def test_a_body_that_grows_too_large_is_refused(shared: Any) -> None:
    def endless() -> Any:
        for _ in range(17):
            yield b" " * 1_000_000

    headers = {"Content-Type": "application/json"}
    answer = shared.as_("viewer").post("/api/v1/geotag", content=endless(), headers=headers)
    check(answer, 413, "http.too_large")


def test_an_act_from_another_site_is_refused(shared: Any) -> None:
    browser = shared.as_("viewer")
    for headers in ({"Origin": "http://evil.test"}, {"Origin": "null"}):
        check(browser.delete("/api/v1/session", headers=headers), 403, "http.foreign_origin")
    assert browser.get("/api/v1/session", headers={"Origin": "http://evil.test"}).status_code == 200
    assert "access-control-allow-origin" not in browser.get("/api/v1/session").headers


def test_a_bug_gives_a_number_and_no_stack_trace(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastapi.testclient import TestClient

    from gis import listing

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(listing, "posts", broken)
    browser = TestClient(shared.app, base_url="http://wangge.test", raise_server_exceptions=False)
    browser.cookies.update(shared.as_("viewer").cookies)
    body = check(browser.get("/api/v1/posts"), 500, "http.bug")
    assert body["params"]["request_id"] in body["detail"]
    assert "secret" not in str(body)


def test_a_database_that_is_away_answers_503_and_when_to_come_again(shared: Any) -> None:
    from fastapi.testclient import TestClient

    from api.app import create_app

    app = create_app(shared.app.state.services.settings, url="postgresql://nobody@127.0.0.1:1/nothing")
    answer = TestClient(app, raise_server_exceptions=False).get("/healthz")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_health_names_the_version_that_answers_from_memory(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for loaded, told in ((None, None), (SimpleNamespace(version="a1.b2"), "a1.b2")):
        monkeypatch.setattr(shared.app.state.services.present, "_loaded", loaded)
        assert shared.as_(None).get("/healthz").json() == {"status": "ok", "version": told}


def test_answers_carry_the_security_headers(shared: Any) -> None:
    for address in ("/login", "/api/v1/session", "/assets/app-1.mjs", "/nowhere"):
        headers = shared.as_(None).get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src 'self';" in policy
        assert "http:" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]
