"""Rule sets over HTTP: read, checked, held against a plan, stored as a new version, exchanged as files."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from gis.rule_file import read, write
from gis.rule_set import from_mapping, load_preset, preset_codes

AHEAD = "2031-06-01"


def ask(service: Any, path: str, body: Any, who: str = "planner") -> Any:
    return service.as_(who).post(f"/api/v1/rule-sets{path}", json=body)


def first(service: Any, who: str = "planner") -> dict[str, Any]:
    """The rule set that the town was built with, in full."""
    browser = service.as_(who)
    (row,) = [one for one in browser.get("/api/v1/rule-sets").json()["items"] if one["code"] == "bishan"]
    shown: dict[str, Any] = browser.get(f"/api/v1/rule-sets/{row['id']}").json()
    return shown


def definition(shown: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An editable copy, as the page makes it: without what the order of the tiers says."""
    made = copy.deepcopy(shown["definition"])
    for tier in made["tiers"]:
        del tier["ordinal"]
    return {**made, **changes}


def copy_of(service: Any, high: int = 450) -> dict[str, Any]:
    made = definition(first(service), code="bishan-2", name_zh="璧山：修订")
    made["tiers"][2]["households_max"] = high
    return made


def test_a_rule_set_is_shown_in_full(shared: Any) -> None:
    shown = first(shared)
    assert shown["plans"] == 1
    assert shown["area"]["code"] == "210681001"
    assert shown["definition"]["tiers"][2]["posts"][0]["code"] == "grid_leader"
    assert shown["definition"]["weights"] == {}


def test_an_edited_copy_takes_over_on_its_day_and_the_one_in_use_stays_as_it_is(service: Any) -> None:
    before = first(service)
    body = {"area_id": before["area"]["id"], "definition": copy_of(service), "valid_from": AHEAD}
    answer = ask(service, "", body)
    assert answer.status_code == 201, answer.text
    assert ask(service, "", body).json() == answer.json()  # sent twice, stored once
    browser = service.as_("planner")
    listed = browser.get("/api/v1/rule-sets").json()["items"]
    assert [(one["code"], one["valid_from"], one["valid_to"]) for one in listed] == [
        ("bishan-2", AHEAD, None), ("bishan", before["valid_from"], AHEAD)
    ]  # fmt: skip
    after = browser.get(f"/api/v1/rule-sets/{before['id']}").json()
    assert after["definition"] == before["definition"]
    made = browser.get(f"/api/v1/rule-sets/{answer.json()['id']}").json()
    assert (made["definition"]["tiers"][2]["households_max"], made["plans"]) == (450, 0)


def test_the_same_wish_from_two_places_at_once_is_stored_once(service: Any) -> None:
    area = first(service)["area"]["id"]
    body = {"area_id": area, "definition": copy_of(service), "valid_from": AHEAD}
    browsers = [service.as_("planner"), service.as_("admin")]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda browser: browser.post("/api/v1/rule-sets", json=body), browsers))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


def test_dates_that_overlap_are_refused_and_told_beforehand(service: Any) -> None:
    area = first(service)["area"]["id"]
    later = {"area_id": area, "definition": copy_of(service), "valid_from": AHEAD}
    assert ask(service, "", later).status_code == 201
    body = {"area_id": area, "definition": copy_of(service, high=480), "valid_from": "2030-01-01"}
    told = ask(service, "/check", body).json()
    assert told["may_store"] is False
    assert [one["code"] for one in told["items"] if one["field"] == "valid_to"] == ["rules.check.dates_overlap"]
    refused = ask(service, "", body)
    assert (refused.status_code, refused.json()["code"]) == (409, "rules.overlap")
    same_day = ask(service, "", {**body, "valid_from": AHEAD})
    assert (same_day.status_code, same_day.json()["code"]) == (409, "rules.overlap")
    assert ask(service, "", {**body, "valid_to": AHEAD}).status_code == 201


def test_a_check_names_field_reason_and_way_out_in_the_readers_language(shared: Any) -> None:
    made = definition(first(shared), source="")
    made["tiers"][3] |= {"households_min": 260, "households_max": 280}
    body = {"area_id": first(shared)["area"]["id"], "definition": made, "valid_from": AHEAD}
    told = ask(shared, "/check", body).json()
    by_code = {one["code"]: one for one in told["items"]}
    assert told["may_store"] is False
    assert by_code["rules.check.no_source"]["field"] == "source"
    nest = by_code["rules.check.cannot_nest"]
    assert (nest["severity"], nest["field"]) == ("warning", "tiers.3.households_max")
    assert nest["text"] == "“网格”（300–500 户）不能由整数个“微网格”（260–280 户）组成。"
    assert nest["remedy"]
    english = shared.as_("planner").post("/api/v1/rule-sets/check?lang=en", json=body).json()
    assert {one["text"] for one in english["items"]} >= {"It does not say where the numbers come from."}


def test_a_check_takes_what_is_half_filled_in(shared: Any) -> None:
    area = first(shared)["area"]["id"]
    told = ask(shared, "/check", {"area_id": area, "definition": {}})
    assert told.status_code == 200
    codes = {one["code"] for one in told.json()["items"]}
    assert {"rules.check.no_name", "rules.check.no_source", "rules.check.tiers_count"} <= codes
    bad = {"area_id": area, "definition": {"tiers": [{"households_min": -5, "tolerance_ratio": 7}] * 2}}
    assert ask(shared, "/check", bad).json()["may_store"] is False


def test_published_numbers_are_held_against_the_rules(shared: Any) -> None:
    shown = first(shared)
    body = {"area_id": shown["area"]["id"], "definition": definition(shown), "stated": {"cells": [609, 2896]}}
    told = ask(shared, "/check", body).json()
    partly = next(one for one in told["items"] if one["code"] == "rules.check.spans_partly")
    assert partly["params"]["both"] == "182700–231680"
    assert told["slots"] == 609 * 2 + 2896
    assert told["nesting"] == [{"upper": 2, "lower": 3, "least": 4, "most": 10, "gaps": []}]


def test_a_stored_and_a_proposed_rule_set_are_held_against_a_plan(shared: Any) -> None:
    shown = first(shared)
    same = ask(shared, "/preview", {"rule_set": shown["id"], "plan": shared.plan_id}).json()
    assert [tier["changed_count"] for tier in same["tiers"]] == [0, 0]
    made = definition(shown)
    made["tiers"][2] |= {"households_min": 100, "households_max": 200}
    body = {"rule_set": made, "plan": shared.plan_id, "ground": True}
    told = ask(shared, "/preview", body).json()
    assert (told["tiers"][0]["was"]["under"], told["tiers"][0]["becomes"]["in_band"]) == (4, 4)
    assert len(told["ground"]["features"]) == 4
    in_force = ask(shared, "/preview", {"rule_set": made, "area_id": shared.town.communities[0].id}).json()
    assert (in_force["plan"], in_force["tiers"][0]["cells"]) == (None, 2)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {"definition": {"weights": {"beauty": 1.0}}}, 422, "rules.faulty"),
        ("", {"definition": {"tiers": {2: {"households_target": 900}}}}, 422, "rules.faulty"),
        ("", {"definition": {"tiers": {2: {"households_min": 900}}}}, 422, "rules.bad_band"),
        ("", {"definition": {}, "valid_to": AHEAD}, 422, "http.invalid"),
        ("/check", {"area_id": 999_999, "definition": {}}, 404, "area.unknown"),
        ("/check", {"definition": {}, "stated": {"cells": [-1]}}, 422, "http.invalid"),
        ("/preview", {"rule_set": 999_999, "plan": 1}, 404, "rules.unknown"),
        ("/preview", {"rule_set": "bishan"}, 422, "http.invalid"),
        ("/preview", {"rule_set": {}}, 422, "http.invalid"),
        ("/preview", {"plan": 999_999}, 404, "plan.unknown"),
        ("/preview", {}, 422, "rules.no_area"),
        ("/read", {"toml": "tiers = 3"}, 422, "rules.unreadable"),
        ("/read", {"toml": "="}, 422, "rules.unreadable"),
        ("/read", {"toml": "a = " + "[" * 20_000}, 422, "rules.unreadable"),
        ("/read", {"toml": '[[tiers]]\nkind = "tower"'}, 422, "rules.unreadable"),
        ("/read", {"toml": "x" * 100_001}, 422, "http.invalid"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    shared: Any, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    shown = first(shared)
    whole: dict[str, Any] = {"definition": definition(shown), "area_id": shown["area"]["id"], "valid_from": AHEAD}
    if path == "/preview":
        whole = {"rule_set": shown["id"]}
    elif path == "/read":
        whole = {}
    changes = body.get("definition", {})
    for position, tier in changes.get("tiers", {}).items():
        whole["definition"]["tiers"][position] |= tier
    if "definition" in body:
        whole["definition"] |= {key: value for key, value in changes.items() if key != "tiers"}
    answer = ask(shared, path, whole | {key: value for key, value in body.items() if key != "definition"})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_only_planners_check_preview_and_read(shared: Any) -> None:
    for who in ("viewer", "dispatcher", "officer"):
        for path in ("", "/check", "/preview", "/read"):
            assert ask(shared, path, {}, who).status_code == 403
    assert shared.as_("viewer").get(f"/api/v1/rule-sets/{first(shared)['id']}").status_code == 200


def test_a_rule_set_beyond_ones_areas_is_not_there(service: Any) -> None:
    body = {"area_id": service.town.communities[0].id, "preset": "tongliang", "valid_from": AHEAD}
    made = ask(service, "", body).json()["id"]
    assert service.as_("viewer1").get(f"/api/v1/rule-sets/{made}").status_code == 404
    assert service.as_("viewer1").get(f"/api/v1/rule-sets/{first(service)['id']}").status_code == 200
    assert service.as_("viewer").get("/api/v1/rule-sets/999999").status_code == 404


def test_a_rule_set_goes_out_as_a_file_and_comes_in_again(shared: Any) -> None:
    shown = first(shared)
    browser = shared.as_("planner")
    file = browser.get(f"/api/v1/rule-sets/{shown['id']}/file.toml")
    assert file.headers["content-disposition"].endswith("bishan.toml")
    came = browser.post("/api/v1/rule-sets/read", json={"toml": file.text, "code": "bishan"}).json()
    assert came["definition"] == definition(shown)


@pytest.mark.parametrize("code", preset_codes())
def test_written_rule_sets_read_as_they_were(code: str) -> None:
    preset = load_preset(code)
    assert from_mapping({"code": code, **read(write(preset))}) == preset


def test_awkward_words_and_numbers_survive_a_file() -> None:
    shown = load_preset("bishan")
    post = replace(shown.tiers[2].posts[0], name_zh='网格"长"\\\n\t\x7f', holders_max=None, holders_min=0)
    tiers = (*shown.tiers[:2], replace(shown.tiers[2], posts=(post,), tolerance_ratio=1e-05), shown.tiers[3])
    odd = replace(shown, tiers=tiers, weights={"grid.boundary": 2.5, "balance": 0.0}, keep_buildings_whole=True,
                  is_verified=False, source="第一行\n第二行")  # fmt: skip
    assert from_mapping({"code": "bishan", **read(write(odd))}) == odd


def test_the_terms_that_can_be_weighed_are_told(shared: Any) -> None:
    items = shared.as_("planner").get("/api/v1/rule-sets/weights").json()["items"]
    assert {"balance", "boundary", "stability"} <= {one["code"] for one in items}
