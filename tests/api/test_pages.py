"""The pages: served as built, with nothing from outside; a remedy where they are not built."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("page", ["/", "/login", "/login/", "/planner", "/desk", "/command", "/field"])
def test_a_page_is_served_and_asked_for_anew(shared: Any, page: str) -> None:
    answer = shared.as_(None).get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


def test_assets_are_kept_for_good_and_modules_have_their_type(shared: Any) -> None:
    answer = shared.as_(None).get("/assets/app-1.mjs")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/assets/../../secret", "/assets/%2e%2e/index.html", "/assets/nothing.js", "/assets/"]
)
def test_nothing_beside_the_assets_is_served(shared: Any, path: str) -> None:
    answer = shared.as_(None).get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_person_gets_a_page_where_there_is_none_and_a_program_the_problem(shared: Any) -> None:
    reader = {"accept": "text/html,*/*;q=0.8"}
    page = shared.as_(None).get("/nowhere", headers=reader)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (404, "text/html")
    assert "<title>missing</title>" in page.text
    for path, headers in (("/nowhere", {}), ("/api/v1/nowhere", reader), ("/assets/nothing.js", reader)):
        answer = shared.as_(None).get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_pages_that_are_not_built_say_what_to_do(shared: Any, tmp_path: Any) -> None:
    from fastapi.testclient import TestClient

    from api.app import create_app
    from gis.settings import Settings

    app = create_app(Settings(web_dist=tmp_path / "nothing"), url=shared.url)
    answer = TestClient(app).get("/planner?lang=en")
    assert (answer.status_code, answer.json()["code"]) == (503, "api.pages_not_built")
    assert "scripts/setup" in answer.json()["detail"]
    app.state.services.engine.dispose()
