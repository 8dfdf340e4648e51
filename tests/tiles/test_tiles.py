"""Vector tiles: what is in them, for whom, and that a tile that is known is not sent again."""

from __future__ import annotations

import math
from typing import Any

import mapbox_vector_tile
import pytest
import shapely

from tests.usecases.builders import LAT, LON, SIZE, make_plan
from tiles.layers import LAYERS, SQL


def address(layer: str, z: int, lon: float = LON + SIZE, lat: float = LAT + SIZE / 2) -> str:
    n = 2**z
    x = int((lon + 180) / 360 * n)
    y = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * n)
    return f"/tiles/{layer}/{z}/{x}/{y}.mvt"


def features(answer: Any, layer: str) -> dict[int, dict[str, Any]]:
    """Features by id."""
    if answer.status_code == 204:
        return {}
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    decoded = mapbox_vector_tile.decode(answer.content)
    assert list(decoded) == [layer]
    return {one["id"]: one for one in decoded[layer]["features"]}


def test_every_layer_has_its_query_and_its_description(shared: Any) -> None:
    assert {file.stem for file in SQL.glob("*.sql")} == set(LAYERS)
    for name, layer in LAYERS.items():
        document = shared.as_("admin").get(f"/tiles/{name}.json").json()
        assert document["tilejson"] == "3.0.0"
        assert document["tiles"] == [f"http://wangge.test/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"]
        assert (document["minzoom"], document["maxzoom"]) == (layer.min_zoom, layer.max_zoom)
        assert document["vector_layers"][0]["fields"]
        assert document["bounds"] == [LON, LAT, round(LON + 2 * SIZE, 7), round(LAT + SIZE, 7)]


@pytest.mark.parametrize("name", sorted(LAYERS))
@pytest.mark.parametrize("zoom", [0, 5, 10, 14, 17, 20])
def test_every_layer_answers_at_every_zoom(shared: Any, name: str, zoom: int) -> None:
    found = features(shared.as_("admin").get(address(name, zoom)), name)
    if zoom < LAYERS[name].min_zoom:
        assert found == {}
    for one in found.values():
        assert set(one["properties"]) <= set(LAYERS[name].fields)


def test_ids_of_features_are_those_of_the_rows(shared: Any) -> None:
    browser = shared.as_("viewer")
    for layer, depth in (("grids", 1), ("micro_grids", 2)):
        listed = browser.get(f"/api/v1/grids?depth={depth}&geometry=false").json()["items"]
        shown = features(browser.get(address(layer, 11)), layer)
        assert shown.keys() == {row["id"] for row in listed}
        for row in listed:
            told = shown[row["id"]]["properties"]
            assert (told["households"], told["state"]) == (row["households"], row["state"])


def test_shapes_are_valid_and_where_they_should_be(shared: Any) -> None:
    z = 15
    answer = shared.as_("viewer").get(address("grids", z))
    for one in features(answer, "grids").values():
        shape = shapely.geometry.shape(one["geometry"])
        assert shape.is_valid
        assert shape.bounds[0] >= -64
        assert shape.bounds[2] <= 4096 + 64


def test_from_afar_attributes_are_left_out(shared: Any) -> None:
    browser = shared.as_("viewer")
    far = features(browser.get(address("grids", 8)), "grids")
    near = features(browser.get(address("grids", 14)), "grids")
    assert all("code" not in one["properties"] for one in far.values())
    assert all("code" in one["properties"] for one in near.values())


@pytest.mark.parametrize("layer", ["areas", "buildings", "grids", "micro_grids"])
def test_nobody_is_shown_what_lies_outside_their_areas(shared: Any, layer: str) -> None:
    z = 13
    whole, one = (features(shared.as_(who).get(address(layer, z)), layer) for who in ("viewer", "viewer1"))
    assert 0 < len(one) < len(whole)
    assert one.keys() < whole.keys()
    assert shared.as_("nobody").get(address(layer, z)).status_code == 403
    assert shared.as_(None).get(address(layer, z)).status_code == 401


def test_a_tile_that_is_known_is_not_sent_again(shared: Any) -> None:
    browser = shared.as_("viewer")
    first = browser.get(address("grids", 14))
    etag = first.headers["etag"]
    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = browser.get(address("grids", 14), headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert browser.get(address("grids", 14), headers={"If-None-Match": '"other"'}).status_code == 200


def test_tiles_are_kept_by_the_browser_only_and_apart_for_each_scope(shared: Any) -> None:
    answers = [shared.as_(who).get(address("roads", 14)) for who in ("viewer", "viewer1")]
    for answer in answers:
        assert "private" in answer.headers["cache-control"]
        assert "Cookie" in answer.headers["vary"]
    assert answers[0].headers["etag"] != answers[1].headers["etag"]


def test_an_etag_changes_with_the_content(service: Any) -> None:
    from sqlalchemy import text

    from gis.db import unit_of_work

    browser = service.as_("viewer")
    before = browser.get(address("buildings", 14)).headers["etag"]
    with unit_of_work(service.app.state.services.engine) as session:
        session.execute(text("UPDATE building SET floors = 33 WHERE code = '21068100100200001'"))
    assert browser.get(address("buildings", 14), headers={"If-None-Match": before}).status_code == 200


def test_large_tiles_travel_compressed(shared: Any) -> None:
    answer = shared.as_("viewer").get(address("buildings", 13), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert features(answer, "buildings")


def test_people_and_phones_are_never_in_tiles() -> None:
    words = {"phone", "residents", "resident", "staff", "people"}
    for layer in LAYERS.values():
        assert not words & set(layer.fields)
        sql = layer.sql.lower()
        assert "phone" not in sql
        assert "residents" not in sql


@pytest.fixture
def drafted(service: Any) -> tuple[Any, int]:
    """A draft beside the plan in force, of community 1 only: three grids instead of two."""
    from gis.db import unit_of_work

    with unit_of_work(service.app.state.services.engine) as session:
        plan = make_plan(session, service.town, pieces=(3, 2), communities=service.town.communities[1:], title="draft")
        return service, plan.id


def test_a_draft_is_shown_to_those_who_draw_plans(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    shown = features(service.as_("planner").get(f"{address('grids', 13)}?plan={plan_id}"), "grids")
    assert len(shown) == 3
    in_force = features(service.as_("planner").get(address("grids", 13)), "grids")
    assert len(in_force) == 4
    assert not shown.keys() & in_force.keys()
    document = service.as_("planner").get(f"/tiles/grids.json?plan={plan_id}").json()
    assert document["tiles"][0].endswith(f"?plan={plan_id}")


@pytest.mark.parametrize("who", ["viewer", "dispatcher", "officer"])
def test_a_draft_does_not_exist_for_others(drafted: tuple[Any, int], who: str) -> None:
    service, plan_id = drafted
    assert service.as_(who).get(f"{address('grids', 13)}?plan={plan_id}").status_code == 404
    assert service.as_(who).get(f"/tiles/grids.json?plan={plan_id}").status_code == 404
    assert service.as_(who).get(f"/api/v1/plans/{plan_id}").status_code == 404
    assert service.as_(who).get(f"/api/v1/plans/{plan_id}/cells").status_code == 404


def test_incidents_are_shown_with_their_state_and_without_words(service: Any) -> None:
    lon, lat = service.town.middle(1, 0)
    body = {"lon": lon, "lat": lat, "category": "0201", "title": "secret words", "request_id": "abcdefgh"}
    made = service.as_("dispatcher").post("/api/v1/incidents", json=body).json()
    answer = service.as_("viewer").get(address("incidents", 14))
    shown = features(answer, "incidents")
    assert shown.keys() == {made["id"]}
    told = shown[made["id"]]["properties"]
    assert (told["status"], told["severity"], told["category"]) == ("reported", 1, "0201")
    assert b"secret" not in answer.content
    assert features(service.as_("viewer1").get(address("incidents", 14)), "incidents").keys() == {made["id"]}
    assert features(service.as_("dispatcher0").get(address("incidents", 14)), "incidents") == {}
