"""Lists: pages, filters, and for every list that nobody is shown what lies outside their areas."""

from __future__ import annotations

from typing import Any

import pytest

from tests.usecases.builders import LAT, LON, SIZE

LISTS = {
    # address: rows seen by somebody of the whole street, and by somebody of community 1 only
    "/api/v1/areas?level=community": (2, 1),
    "/api/v1/grids": (14, 7),
    "/api/v1/grids?depth=1": (4, 2),
    "/api/v1/plans/1/cells": (14, 7),
    "/api/v1/buildings": (32, 16),
    "/api/v1/plans": (1, 1),
    "/api/v1/staff": (14, 7),
}


def rows(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    found: list[Any] = body["features"] if "features" in body else body["items"]
    return found


@pytest.mark.parametrize("address", LISTS)
def test_a_list_holds_only_what_lies_in_the_callers_areas(shared: Any, address: str) -> None:
    whole, one = LISTS[address]
    for who, expected in (("viewer", whole), ("admin", whole), ("viewer1", one)):
        answer = shared.as_(who).get(address)
        assert len(rows(answer)) == expected, who
        assert answer.json()["total"] == expected, who
    assert shared.as_("nobody").get(address).status_code == 403
    assert shared.as_(None).get(address).status_code == 401


@pytest.mark.parametrize("address", ["/api/v1/grids", "/api/v1/buildings", "/api/v1/plans/1/cells"])
def test_pages_together_hold_every_row_once(shared: Any, address: str) -> None:
    browser, seen, cursor = shared.as_("viewer"), [], ""
    while True:
        page = browser.get(f"{address}?limit=5&geometry=false{cursor}").json()
        assert len(page["items"]) <= 5
        seen += [row["code"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == page["total"]


def test_a_feature_has_its_rows_id_and_valid_geometry(shared: Any) -> None:
    for one in rows(shared.as_("viewer").get("/api/v1/grids?limit=3")):
        assert one["id"] == one["properties"]["id"]
        assert one["geometry"]["type"] == "MultiPolygon"
        west, south, east, north = one["properties"]["bbox"]
        lon, lat = one["properties"]["label"]
        assert west < lon < east
        assert south < lat < north


def test_a_box_keeps_what_touches_it(shared: Any) -> None:
    box = f"{LON + 1.2 * SIZE},{LAT + 0.2 * SIZE},{LON + 1.3 * SIZE},{LAT + 0.3 * SIZE}"
    found = rows(shared.as_("viewer").get(f"/api/v1/grids?depth=1&geometry=false&bbox={box}"))
    assert [row["code"] for row in found] == ["210681001002001"]


def test_buildings_come_nearest_first_with_metres(shared: Any) -> None:
    lon, lat = shared.town.middle(1, 5)
    found = rows(shared.as_("viewer").get(f"/api/v1/buildings?geometry=false&limit=4&near={lon},{lat}"))
    assert found[0]["code"] == "21068100100200006"
    metres = [row["distance_m"] for row in found]
    assert metres == sorted(metres)
    assert metres[0] == 0
    assert 100 < metres[1] < 250


def test_a_nearest_first_list_can_be_paged(shared: Any) -> None:
    browser, (lon, lat) = shared.as_("viewer"), shared.town.middle(0, 5)
    first = browser.get(f"/api/v1/buildings?geometry=false&limit=20&near={lon},{lat}").json()
    second = browser.get(f"/api/v1/buildings?geometry=false&limit=20&near={lon},{lat}&cursor={first['next']}").json()
    assert len({row["id"] for row in first["items"] + second["items"]}) == 32


def test_buildings_of_a_grid_are_those_of_the_cells_below_it(shared: Any) -> None:
    grid = shared.grid_id("210681001001001")
    assert len(rows(shared.as_("viewer").get(f"/api/v1/buildings?grid={grid}"))) == 8


def test_a_building_shared_by_floors_tells_both_micro_grids(shared: Any) -> None:
    [row] = rows(shared.as_("viewer").get("/api/v1/buildings?geometry=false&q=21068100100100001"))
    assert row["micro_grids"] == 2
    assert row["micro_grid_code"] == "21068100100100101, 21068100100100150"
    assert row["grid_code"] == "210681001001001"


@pytest.mark.parametrize("q", ["%", "_", "' OR 1=1 --", "\\"])
def test_signs_with_a_meaning_in_sql_are_searched_as_themselves(shared: Any, q: str) -> None:
    for address in ("/api/v1/buildings", "/api/v1/areas", "/api/v1/grids", "/api/v1/staff", "/api/v1/incidents"):
        answer = shared.as_("dispatcher").get(address, params={"q": q})
        assert rows(answer) == []


def test_an_officer_finds_their_own_cells_and_buildings(shared: Any) -> None:
    officer = shared.as_("officer")  # holds the post of the first grid
    cells = rows(officer.get("/api/v1/grids?mine=true&geometry=false"))
    assert [row["code"][12:] for row in cells] == ["001", "00101", "00102", "00150"]
    assert len(rows(officer.get("/api/v1/buildings?mine=true&geometry=false"))) == 8
    assert rows(shared.as_("viewer").get("/api/v1/grids?mine=true")) == []


def test_phones_are_masked_for_those_who_only_look(shared: Any) -> None:
    seen = {who: rows(shared.as_(who).get("/api/v1/staff?limit=1"))[0]["phone"] for who in ("viewer", "dispatcher")}
    assert seen == {"viewer": "138****0000", "dispatcher": "13800000000"}
    grid = shared.grid_id("210681001001001")
    for who, phone in (("viewer", "138****0000"), ("dispatcher", "13800000000")):
        people = shared.as_(who).get(f"/api/v1/grids/{grid}").json()["properties"]["people"]
        assert people[0]["phone"] == phone


def test_a_dispatcher_of_one_community_sees_no_phones_of_another(shared: Any) -> None:
    phones = [row["phone"] for row in rows(shared.as_("dispatcher0").get("/api/v1/staff"))]
    assert len(phones) == 7
    assert all("*" not in phone for phone in phones)


def test_a_grid_tells_what_belongs_to_it(shared: Any) -> None:
    grid = shared.grid_id("210681001001001")
    told = shared.as_("viewer").get(f"/api/v1/grids/{grid}").json()["properties"]
    assert told["households"] == 160
    assert [child["code"][-2:] for child in told["children"]] == ["01", "02", "50"]
    assert len(told["parts"]) == 9
    assert [(one["post"], one["place"]) for one in told["people"]] == [("grid_officer", "210681001001001")]
    assert told["open_incidents"] == []


@pytest.mark.parametrize("address", ["/api/v1/grids/{grid}", "/api/v1/areas/{area}"])
def test_what_lies_outside_does_not_exist(shared: Any, address: str) -> None:
    grid, area = shared.grid_id("210681001001001"), shared.town.communities[0].id
    place = address.format(grid=grid, area=area)
    assert shared.as_("viewer").get(place).status_code == 200
    assert shared.as_("viewer1").get(place).status_code == 404


def test_the_past_answers_with_what_was_in_force_then(shared: Any) -> None:
    browser = shared.as_("viewer")
    assert browser.get("/api/v1/grids", params={"at": "2020-01-01T00:00:00+08:00"}).json()["total"] == 0
    assert browser.get("/api/v1/grids", params={"at": shared.clock().isoformat()}).json()["total"] == 14


@pytest.mark.parametrize("address", ["departments", "posts", "categories", "rule-sets"])
def test_small_dictionaries_come_whole(shared: Any, address: str) -> None:
    body = shared.as_("viewer").get(f"/api/v1/{address}").json()
    assert len(body["items"]) == body["total"] >= 1
