"""From a place to its cell and people: inside, near a border, nearest, none; stacks, addresses, scopes, the past."""

from __future__ import annotations

from typing import Any

import pytest

from gis.geotag import split_address
from tests.usecases.builders import LAT, LON, SIZE

METRE_LON = 1 / 85_400  # degrees, at 39.9 N
METRE_LAT = 1 / 111_040


def tag(service: Any, who: str = "dispatcher", **place: Any) -> dict[str, Any]:
    answer = service.as_(who).post("/api/v1/geotag", json=place)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def at(x: float, y: float) -> dict[str, float]:
    """A place by communities east and cells north of the south-west corner."""
    return {"lon": LON + x * SIZE, "lat": LAT + y * SIZE}


def test_a_place_inside_names_the_chain_the_cells_and_the_people(shared: Any) -> None:
    told = tag(shared, **at(1.875, 0.875))
    assert (told["how"], told["distance_m"], told["flags"]) == ("inside", 0, [])
    assert [area["level"] for area in told["area"]] == ["county", "street", "community"]
    assert told["community"]["code"] == "210681001002"
    assert told["building"]["code"] == "21068100100200016"
    assert told["grid"]["code"] == "210681001002002"
    assert told["micro_grid"]["code"] == "21068100100200202"
    assert [one["post"] for one in told["people"]] == ["micro_grid_leader", "grid_officer"]
    assert all(one["phone"].isdigit() for one in told["people"])


def test_near_a_border_both_sides_are_told(shared: Any) -> None:
    place = at(1.5, 0.75)
    told = tag(shared, lon=place["lon"] - 5 * METRE_LON, lat=place["lat"])
    assert told["how"] == "border"
    assert told["grid"]["code"] == "210681001002001"
    [other] = told["candidates"]
    assert other["grid"]["code"] == "210681001002002"
    assert other["distance_m"] == pytest.approx(5, abs=0.1)
    assert other["people"]


def test_how_near_counts_is_the_accuracy_but_at_least_15_m(shared: Any) -> None:
    place = at(1.5, 0.75)
    place["lon"] -= 30 * METRE_LON
    assert tag(shared, **place)["how"] == "inside"
    assert tag(shared, **place, accuracy_m=10)["how"] == "inside"
    assert tag(shared, **place, accuracy_m=40)["how"] == "border"


def test_a_place_on_a_border_belongs_to_the_lowest_id(shared: Any) -> None:
    told = tag(shared, **at(1.5, 0.75))
    ids = [told["grid_id"], *(one["id"] for one in told["candidates"] if one["distance_m"] == 0)]
    assert len(ids) == 2
    assert told["grid_id"] == min(ids)


def test_a_place_outside_all_cells_is_given_the_nearest_with_its_metres(shared: Any) -> None:
    told = tag(shared, lon=LON + 1.2 * SIZE, lat=LAT + SIZE + 100 * METRE_LAT)
    assert told["how"] == "nearest"
    assert told["distance_m"] == pytest.approx(100, abs=0.5)
    assert told["micro_grid"]["code"] == "21068100100200102"
    assert told["people"]


def test_further_than_200_m_it_is_nowhere_unless_the_accuracy_says_so(shared: Any) -> None:
    place = {"lon": LON + 1.2 * SIZE, "lat": LAT + SIZE + 250 * METRE_LAT}
    told = tag(shared, **place)
    assert (told["how"], told["flags"], told["grid_id"], told["people"]) == ("none", ["outside"], None, [])
    assert tag(shared, **place, accuracy_m=300)["how"] == "nearest"


def test_axes_that_were_swapped_are_noticed(shared: Any) -> None:
    place = at(1.1, 0.1)
    told = tag(shared, lon=place["lat"], lat=place["lon"])
    assert told["how"] == "none"
    assert "axes_swapped" in told["flags"]


def test_a_shifted_place_is_brought_back(shared: Any) -> None:
    from gis.crs import wgs84_to_bd09, wgs84_to_gcj02

    place = at(1.125, 0.125)
    for name, shift in (("gcj02", wgs84_to_gcj02), ("bd09", wgs84_to_bd09)):
        [[lon, lat]] = shift([[place["lon"], place["lat"]]])
        told = tag(shared, lon=lon, lat=lat, crs=name)
        assert told["lon"] == pytest.approx(place["lon"], abs=1e-6)
        assert told["lat"] == pytest.approx(place["lat"], abs=1e-6)
        assert told["building"]["code"] == "21068100100200001"


def test_metres_of_a_zone_are_understood(shared: Any) -> None:
    from gis.crs import points_to_metric

    place = at(1.125, 0.125)
    [[east, north]] = points_to_metric([[place["lon"], place["lat"]]], 4550)
    assert tag(shared, lon=east, lat=north, crs="EPSG:4550")["building"]["code"] == "21068100100200001"


def test_a_stack_asks_for_the_floor(shared: Any) -> None:
    told = tag(shared, **at(0.125, 0.125))
    assert (told["how"], told["flags"], told["micro_grid"]) == ("inside", ["needs_floor"], None)
    assert told["grid"]["code"] == "210681001001001"
    assert [(one["micro_grid"]["floor_from"], one["micro_grid"]["floor_to"]) for one in told["candidates"]] == [
        (1, 5),
        (6, 10),
    ]
    assert all(one["people"] for one in told["candidates"])
    assert told["people"], "the grid's own people are responsible whichever floor it is"
    assert all(person in one["people"] for person in told["people"] for one in told["candidates"])


@pytest.mark.parametrize(("floor", "code"), [(1, "01"), (5, "01"), (6, "50"), (10, "50")])
def test_the_floor_chooses_from_a_stack(shared: Any, floor: int, code: str) -> None:
    for place in (at(0.125, 0.125), {"building_code": "21068100100100001"}):
        told = tag(shared, **place, floor=floor)
        assert told["micro_grid"]["code"].endswith(code)
        assert told["flags"] == []
        assert told["people"][0]["place"] == told["micro_grid"]["code"]


def test_in_a_stack_a_building_that_only_one_cell_holds_needs_no_floor(shared: Any) -> None:
    told = tag(shared, **at(0.375, 0.125))
    assert told["building"]["code"] == "21068100100100002"
    assert told["micro_grid"]["code"].endswith("01")
    assert told["flags"] == []


def test_a_building_is_found_by_its_code(shared: Any) -> None:
    told = tag(shared, building_code="21068100100200016")
    assert (told["how"], told["micro_grid"]["code"]) == ("inside", "21068100100200202")
    assert tag(shared, building_code="nonsense")["flags"] == ["unknown_building"]


@pytest.fixture
def addressed(service: Any) -> Any:
    """A town with an address on three buildings."""
    from sqlalchemy import text

    from gis.db import unit_of_work

    given = {
        "21068100100200001": ("人民路18号阳光水岸1栋", "1栋"),
        "21068100100200016": ("人民路18号阳光水岸3栋", "3栋"),
        "21068100100100001": ("海河街2号", "海河公寓"),
    }
    with unit_of_work(service.app.state.services.engine) as session:
        for code, (address, name) in given.items():
            session.execute(
                text("UPDATE building SET address = :address, name = :name WHERE code = :code"),
                {"address": address, "name": name, "code": code},
            )
    return service


def test_an_address_is_found_exactly_and_its_room_gives_the_floor(addressed: Any) -> None:
    told = tag(addressed, address="人民路18号 阳光水岸3栋")
    assert (told["building"]["code"], told["flags"]) == ("21068100100200016", [])
    told = tag(addressed, address="海河街２号1单元702")
    assert told["micro_grid"]["code"].endswith("50")
    assert told["flags"] == []


def test_an_address_that_is_merely_alike_is_flagged(addressed: Any) -> None:
    told = tag(addressed, address="人民路18号阳光水案3栋")
    assert told["building"]["code"] == "21068100100200016"
    assert told["flags"] == ["address_approximate"]
    assert tag(addressed, address="火星大街九十九号")["flags"] == ["unknown_address"]


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("阳光水岸3栋2单元502", ("阳光水岸3栋", 2, 5)),
        ("阳光水岸 3栋 2单元 1203室", ("阳光水岸3栋", 2, 12)),
        ("阳光水岸3栋2单元5层", ("阳光水岸3栋", 2, 5)),
        ("人民路１８号", ("人民路18号", None, None)),
        ("", ("", None, None)),
    ],
)
def test_an_address_is_taken_apart(address: str, parts: tuple[str, int | None, int | None]) -> None:
    assert split_address(address) == parts


def test_in_a_batch_every_place_is_answered_in_its_order(shared: Any) -> None:
    items = [
        at(1.125, 0.125),
        {"lon": 500, "lat": 1000},
        {},
        {"lon": 1, "lat": 2, "crs": "mars"},
        {"lon": 1, "lat": 2, "accuracy_m": -1},
        {"building_code": "21068100100200002"},
        {"lon": 124.1},
        at(1.125, 0.125),
    ]
    told = tag(shared, items=items)["items"]
    assert [one["how"] for one in told] == ["inside", "none", "none", "none", "none", "inside", "none", "inside"]
    assert [list(one["flags"]) for one in told[1:5]] == [
        ["bad_coordinates"],
        ["no_coordinates"],
        ["unknown_crs"],
        ["bad_accuracy"],
    ]
    assert told[0] == told[7]


def test_a_row_with_nonsense_does_not_cost_the_batch(shared: Any) -> None:
    body = '{"items": [{"lon": NaN, "lat": 39.8}, {"lon": Infinity, "lat": 1}, {"lon": 124.16125, "lat": 39.86125}]}'
    answer = shared.as_("viewer").post("/api/v1/geotag", content=body, headers={"Content-Type": "application/json"})
    assert [one["how"] for one in answer.json()["items"]] == ["none", "none", "inside"]


def test_a_large_batch_asks_the_database_a_handful_of_times(shared: Any) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    engine = shared.app.state.services.engine

    def note(*call: Any) -> None:
        asked.append(call[2])

    def count(places: int) -> int:
        asked.clear()
        tag(shared, items=[at(n / places * 2, 0.31) for n in range(places)])
        return len(asked)

    tag(shared, **at(1.1, 0.1))
    event.listen(engine, "before_cursor_execute", note)
    try:
        assert count(500) <= count(20) <= 20
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_outside_ones_own_areas_nothing_is_told(shared: Any) -> None:
    told = tag(shared, "viewer1", **at(0.125, 0.125))
    assert (told["how"], told["community"], told["building"]) == ("none", None, None)
    assert tag(shared, "viewer1", building_code="21068100100100001")["flags"] == ["unknown_building"]
    assert tag(shared, "viewer1", **at(1.875, 0.875))["people"][0]["phone"].startswith("138****")


def test_the_past_is_answered_by_the_plan_of_the_time(shared: Any) -> None:
    before = "2020-03-01T00:00:00+08:00"
    told = tag(shared, **at(1.125, 0.125), at=before)
    assert (told["how"], told["grid_id"], told["flags"]) == ("none", None, ["no_plan_in_force"])
    assert told["community"]["code"] == "210681001002"
    assert tag(shared, **at(1.125, 0.125), at=shared.clock().isoformat())["how"] == "inside"
