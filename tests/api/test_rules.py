"""Rule sets over HTTP: a preset or an own definition comes into force for an area."""

from __future__ import annotations

from typing import Any

import pytest

TIER = {"kind": "area", "name_zh": "街道"}
DEFINITION = {
    "code": "own",
    "name_zh": "本街道规则",
    "source": "街道会议纪要",
    "tiers": [
        TIER,
        {"kind": "area", "name_zh": "社区", "posts": [{"code": "secretary", "name_zh": "书记"}]},
        {"kind": "grid", "name_zh": "网格", "households_min": 200, "households_max": 300},
    ],
}


def put(service: Any, who: str = "planner", **body: Any) -> Any:
    given = {"area_id": service.town.communities[0].id, "valid_from": "2026-12-01", **body}
    return service.as_(who).post("/api/v1/rule-sets", json=given)


def test_presets_are_offered_and_put_in_force(service: Any) -> None:
    offered = service.as_("planner").get("/api/v1/rule-sets/presets").json()["items"]
    assert {"bishan", "donggang", "tongliang"} <= {one["code"] for one in offered}
    answer = put(service, preset="tongliang")
    assert answer.status_code == 201, answer.text
    assert put(service, preset="tongliang").json() == answer.json()
    codes = [one["code"] for one in service.as_("planner").get("/api/v1/rule-sets").json()["items"]]
    assert sorted(codes) == ["bishan", "tongliang"]


def test_own_rules_are_put_in_force(service: Any) -> None:
    answer = put(service, definition=DEFINITION)
    assert answer.status_code == 201, answer.text
    made = service.as_("planner").get("/api/v1/rule-sets").json()["items"][0]
    assert [(tier["name_zh"], tier["households_max"]) for tier in made["tiers"]] == [
        ("街道", None),
        ("社区", None),
        ("网格", 300),
    ]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({}, 422, "http.invalid"),
        ({"preset": "bishan", "definition": DEFINITION}, 422, "http.invalid"),
        ({"preset": "../../secret"}, 422, "http.invalid"),
        ({"preset": "nowhere"}, 404, "rules.unknown_preset"),
        ({"definition": {**DEFINITION, "tiers": [TIER, TIER, TIER]}}, 422, "rules.tiers_out_of_order"),
        ({"definition": {**DEFINITION, "tiers": [TIER]}}, 422, "http.invalid"),
        ({"preset": "bishan", "area_id": 999999}, 404, "area.unknown"),
        ({"preset": "bishan", "valid_from": "soon"}, 422, "http.invalid"),
    ],
)
def test_bad_rules_are_refused_with_the_reason(shared: Any, wrong: Any, status: int, code: str) -> None:
    answer = put(shared, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_only_those_who_may_change_rules_do(shared: Any) -> None:
    for who in ("viewer", "dispatcher", "officer"):
        assert put(shared, who, preset="bishan").status_code == 403
