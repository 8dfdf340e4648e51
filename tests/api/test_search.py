"""GET /api/v1/search: the answer, what is refused, and what is not shown."""

from __future__ import annotations

from typing import Any

import pytest


def test_the_answer_has_the_query_and_the_items(shared: Any) -> None:
    answer = shared.as_("dispatcher").get("/api/v1/search", params={"q": "21068100100100003", "limit": 3})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["query"] == "21068100100100003"
    [first] = [item for item in told["items"] if item["kind"] == "building"]
    assert first["code"] == "21068100100100003"
    assert first["micro_grid"]["code"].startswith("210681001001")
    assert first["people"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "search.nothing_asked"),
        ({"q": ""}, "search.nothing_asked"),
        ({"q": "%"}, "search.nothing_asked"),
        ({"q": "🙂"}, "search.nothing_asked"),
        ({"q": "\x01\x02"}, "search.nothing_asked"),
        ({"q": "阳" * 2000}, "search.too_long"),
        ({"q": "阳光", "kinds": "planet"}, "search.unknown_kind"),
        ({"q": "阳光", "limit": 0}, "http.invalid"),
        ({"q": "阳光", "limit": 51}, "http.invalid"),
        ({"q": "阳光", "near": "nowhere"}, "api.bad_point"),
        ({"q": "阳光", "near": "NaN,1"}, "api.bad_point"),
        ({"q": "阳光", "at": "2020-01-01T00:00:00"}, "http.invalid"),
    ],
)
def test_what_cannot_be_answered_says_why(shared: Any, params: dict[str, Any], code: str) -> None:
    answer = shared.as_("viewer").get("/api/v1/search", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["detail"]


def test_who_may_not_look_may_not_search(shared: Any) -> None:
    assert shared.as_(None).get("/api/v1/search", params={"q": "阳光"}).status_code == 401
    assert shared.as_("nobody").get("/api/v1/search", params={"q": "阳光"}).status_code == 403


def test_somebody_elses_area_is_not_there(shared: Any) -> None:
    ask = {"q": "21068100100100003"}
    assert shared.as_("viewer1").get("/api/v1/search", params=ask).json()["items"] == []


def test_phones_are_masked_as_everywhere(shared: Any) -> None:
    ask = {"q": "S000"}
    assert "*" in shared.as_("viewer").get("/api/v1/search", params=ask).json()["items"][0]["people"][0]["phone"]
    assert shared.as_("dispatcher").get("/api/v1/search", params=ask).json()["items"][0]["people"][0]["phone"].isdigit()
