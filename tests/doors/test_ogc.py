"""OGC API Features and Tiles: the documents, the rows, the systems, the refusals; and GDAL's own client."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pyogrio
import pytest
import shapely
import uvicorn
from shapely.geometry import shape

from gis.listing.things import COLLECTIONS
from tests.doors.conftest import program, secret_of
from tests.usecases.builders import LONG_AGO

EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
WEST = "124.15,39.86,124.155,39.865"


def _get(service: Any, path: str, name: str | None = "viewer", **params: Any) -> Any:
    return service.as_(name).get(f"/ogc{path}", params={key.replace("_", "-"): value for key, value in params.items()})


def _items(service: Any, collection: str, name: str = "viewer", **params: Any) -> Any:
    answer = _get(service, f"/collections/{collection}/items", name, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- Documents ------------------------------------------------------------------------------------------------------


def test_the_landing_page_leads_to_definition_conformance_and_data(shared: Any) -> None:
    answer = _get(shared, "")
    links = {link["rel"]: link for link in answer.json()["links"]}
    for rel in ("self", "service-desc", "conformance", "data"):
        assert shared.as_("viewer").get(links[rel]["href"]).status_code == 200, rel
    definition = shared.as_("viewer").get(links["service-desc"]["href"])
    assert definition.headers["content-type"].startswith("application/vnd.oai.openapi+json;version=3.0")
    assert definition.json()["openapi"].startswith("3.0")
    assert "/collections/grids/items" in definition.json()["paths"]


def test_collections_are_those_that_the_caller_may_see(shared: Any) -> None:
    viewer = {one["id"] for one in _get(shared, "/collections").json()["collections"]}
    planner = {one["id"] for one in _get(shared, "/collections", "planner").json()["collections"]}
    assert planner == set(COLLECTIONS)
    assert planner - viewer == {"draft_grids", "draft_micro_grids"}
    assert _get(shared, "/collections/draft_grids/items").status_code == 403
    assert _get(shared, "/collections/people/items").status_code == 404
    assert _get(shared, "/collections/nonsense").status_code == 404


def test_each_collection_says_its_systems_and_queryables(shared: Any) -> None:
    for one in _get(shared, "/collections", "planner").json()["collections"]:
        assert {CRS84, f"{EPSG}4326", f"{EPSG}4490", f"{EPSG}3857"} <= set(one["crs"])
        assert one["storageCrs"] == CRS84
        asked = _get(shared, f"/collections/{one['id']}/queryables", "planner")
        assert asked.headers["content-type"].startswith("application/schema+json")
        assert {"geometry", "code"} <= asked.json()["properties"].keys()


@pytest.mark.parametrize("path", ["", "/conformance", "/collections", "/collections/grids", "/collections/grids/items"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_people_get_pages_in_their_language_that_load_nothing(shared: Any, path: str, language: str) -> None:
    answer = shared.as_("viewer").get(f"/ogc{path}", params={"f": "html", "lang": language})
    assert answer.headers["content-type"].startswith("text/html")
    assert f'lang="{language}"' in answer.text
    assert "<script" not in answer.text
    assert "src=" not in answer.text
    by_header = shared.as_("viewer").get(f"/ogc{path}", headers={"Accept": "text/html,*/*"})
    assert by_header.headers["content-type"].startswith("text/html")


def test_a_program_is_asked_for_a_token_and_a_browser_sent_to_the_log_in(shared: Any) -> None:
    answer = _get(shared, "/collections", None)
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
    browser = shared.as_(None).get("/ogc/collections", headers={"Accept": "text/html"}, follow_redirects=False)
    assert (browser.status_code, browser.headers["location"]) == (303, "/login?next=%2Fogc%2Fcollections")


# --- Rows -----------------------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_callers_areas(shared: Any) -> None:
    for collection in ("communities", "buildings", "grids", "micro_grids"):
        whole, part = (
            _items(shared, collection)["numberMatched"],
            _items(shared, collection, "viewer1")["numberMatched"],
        )
        assert 0 < part < whole, collection
    assert (
        _items(shared, "grids", limit=100)["numberMatched"]
        == shared.as_("viewer").get("/api/v1/grids", params={"depth": 1}).json()["total"]
    )
    foreign = _items(shared, "grids")["features"][0]["id"]
    assert _get(shared, f"/collections/grids/items/{foreign}").status_code == 200
    assert _get(shared, f"/collections/grids/items/{foreign}", "viewer1").status_code == 404
    assert _get(shared, "/collections/grids/items/x").status_code == 404


def test_pages_follow_the_next_link_to_the_end(shared: Any) -> None:
    seen: list[int] = []
    made = _items(shared, "buildings", limit=7)
    matched = made["numberMatched"]
    while True:
        seen += [feature["id"] for feature in made["features"]]
        following = [link["href"] for link in made["links"] if link["rel"] == "next"]
        if not following:
            break
        assert made["numberReturned"] == 7
        made = shared.as_("viewer").get(following[0]).json()
    assert len(seen) == len(set(seen)) == matched


def test_the_order_of_axes_is_that_of_the_registry(shared: Any) -> None:
    plain = shape(_items(shared, "grids", limit=1)["features"][0]["geometry"])
    for code in ("4326", "4490"):
        answer = _get(shared, "/collections/grids/items", limit=1, crs=f"{EPSG}{code}")
        assert answer.headers["content-crs"] == f"<{EPSG}{code}>"
        turned = shape(answer.json()["features"][0]["geometry"])
        assert shapely.transform(turned, lambda xy: xy[:, ::-1]).equals_exact(plain, 1e-9)
    mercator = shape(_items(shared, "grids", limit=1, crs=f"{EPSG}3857")["features"][0]["geometry"])
    assert 13_800_000 < mercator.bounds[0] < 13_850_000


def test_a_box_is_read_in_its_own_system(shared: Any) -> None:
    west, south, east, north = map(float, WEST.split(","))
    wanted = {one["id"] for one in _items(shared, "buildings", bbox=WEST)["features"]}
    assert 0 < len(wanted) < _items(shared, "buildings")["numberMatched"]
    turned = f"{south},{west},{north},{east}"
    for code in ("4326", "4490"):
        found = _items(shared, "buildings", bbox=turned, bbox_crs=f"{EPSG}{code}")
        assert {one["id"] for one in found["features"]} == wanted
    metres = shapely.box(west, south, east, north)
    metres = shapely.transform(metres, lambda xy: _mercator(xy))
    found = _items(shared, "buildings", bbox=",".join(map(str, metres.bounds)), bbox_crs=f"{EPSG}3857")
    assert {one["id"] for one in found["features"]} == wanted


def _mercator(xy: Any) -> Any:
    import numpy as np

    return 6378137 * np.column_stack([np.radians(xy[:, 0]), np.log(np.tan(np.pi / 4 + np.radians(xy[:, 1]) / 2))])


def test_boxes_round_the_world_across_the_180th_meridian_and_with_heights(shared: Any) -> None:
    everything = _items(shared, "grids")["numberMatched"]
    for bbox in ("-180,-90,180,90", "100,-10,-100,60", "-180,-90,-99999,180,90,99999"):
        assert _items(shared, "grids", bbox=bbox)["numberMatched"] == everything, bbox
    assert _items(shared, "grids", bbox="170,-10,-100,60")["numberMatched"] == 0
    assert _items(shared, "grids", bbox="-9e9,-9e9,9e9,9e9", bbox_crs=f"{EPSG}3857")["numberMatched"] == everything


def test_grids_are_as_of_the_time_asked_for(shared: Any) -> None:
    now = _items(shared, "grids")["numberMatched"]
    before = (LONG_AGO - timedelta(days=30)).isoformat()
    after = (LONG_AGO + timedelta(days=30)).isoformat()
    assert _items(shared, "grids", datetime=before)["numberMatched"] == 0
    assert _items(shared, "grids", datetime=after)["numberMatched"] == now
    assert _items(shared, "grids", datetime=f"{before}/..")["numberMatched"] == now
    assert _items(shared, "grids", datetime=f"../{before}")["numberMatched"] == 0
    buildings = _items(shared, "buildings", datetime=before)["features"]
    assert {one["properties"]["grid_code"] for one in buildings} == {None}


def test_incidents_are_those_of_the_interval_without_what_people_wrote(service: Any) -> None:
    given = {"lon": 124.151, "lat": 39.861, "category": "0201", "title": "灯坏了", "request_id": "request-1"}
    assert (
        service.as_("officer").post("/api/v1/incidents", json={**given, "description": "13800001111"}).status_code
        == 201
    )
    assert _items(service, "incidents")["numberMatched"] == 1
    today = service.clock.now
    yes = f"{(today - timedelta(hours=1)).isoformat()}/{(today + timedelta(hours=1)).isoformat()}"
    assert _items(service, "incidents", datetime=yes)["numberMatched"] == 1
    assert _items(service, "incidents", datetime=f"../{(today - timedelta(hours=1)).isoformat()}")["numberMatched"] == 0
    assert "13800001111" not in _get(service, "/collections/incidents/items").text
    assert _items(service, "incidents", "viewer1")["numberMatched"] == 0


def test_what_a_caller_has_is_not_sent_again(shared: Any) -> None:
    first = _get(shared, "/collections/grids/items")
    again = shared.as_("viewer").get("/ogc/collections/grids/items", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Authorization" in first.headers["vary"]


# --- Filters --------------------------------------------------------------------------------------------------------

FILTERS = [
    ("households >= 20 AND code LIKE '%0%'", True),
    ("households = 20.0", True),
    ("NOT (households = 20)", False),
    ("code IS NULL OR households BETWEEN 1 AND 30", True),
    ("code IN ('a', 'b')", False),
    ("CASEI(use) = CASEI('RESIDENTIAL')", True),
    ("use NOT LIKE 'res%'", False),
    ("households_estimated = FALSE", True),
    ("grid_code IS NOT NULL", True),
    ("S_INTERSECTS(geometry, BBOX(124.0, 39.0, 125.0, 40.0))", True),
    ("S_WITHIN(geometry, POLYGON((0 0, 1 0, 1 1, 0 0)))", False),
    ('S_DISJOINT(geometry, POINT(0 0)) AND "households" < 1e3', True),
]


@pytest.mark.parametrize(("words", "holds"), FILTERS)
def test_filters_in_cql2(shared: Any, words: str, holds: bool) -> None:
    everything = _items(shared, "buildings")["numberMatched"]
    assert _items(shared, "buildings", filter=words)["numberMatched"] == (everything if holds else 0)


def test_filters_in_json_and_in_the_order_of_4326(shared: Any) -> None:
    tree = '{"op": "and", "args": [{"op": ">", "args": [{"property": "households"}, 1]}, true]}'
    assert _items(shared, "buildings", filter=tree, filter_lang="cql2-json")["numberMatched"] > 0
    words = "S_INTERSECTS(geometry, BBOX(39.0, 124.0, 40.0, 125.0))"
    assert _items(shared, "buildings", filter=words, filter_crs=f"{EPSG}4326")["numberMatched"] > 0


def test_every_queryable_is_a_parameter(shared: Any) -> None:
    one = _items(shared, "grids", limit=1)["features"][0]["properties"]
    assert _items(shared, "grids", code=one["code"])["numberMatched"] == 1
    assert _items(shared, "grids", community=one["community"], households=one["households"])["numberMatched"] >= 1
    answer = shared.as_("viewer").get("/ogc/collections/grids/items", params={"is_dedicated": "true"})
    assert answer.json()["numberMatched"] == 0


BAD_FILTERS = [
    "", "households", "households >", "households = 'many'", "secret = 1", "phone = '1'", "1 = 1",
    "households = 1; DROP TABLE building", "code = 'a' OR", "(" * 3000, "(" * 19 + "a = 1", "NOT " * 1500,
    "code LIKE 5", "households LIKE '2%'", "S_INTERSECTS(geometry, POINT(0 NaN))", "S_INTERSECTS(geometry, geometry)",
    "S_INTERSECTS(geometry, POLYGON((0 0, 1 1)))", "S_INTERSECTS(geometry, BBOX(1,2,3))", "T_AFTER(a, b)",
    "A(" * 2000, "CASEI(" * 50 + "code", "households=" + "9" * 400, "households=" + "9" * 5000, "code = households",
    "name LIKE 'a\\'",
    "S_INTERSECTS(geometry, POINT(124000 39))", "code IN (" + ",".join(["'x'"] * 900) + ")", "description = 'x'",
    "' OR true --", "code = 'x' UNION SELECT", "CASEI(CASEI(CASEI(code))) = 'x'", "households = 99999999999999999999",
]  # fmt: skip


@pytest.mark.parametrize("words", BAD_FILTERS)
def test_bad_filters_are_refused_with_a_reason(shared: Any, words: str) -> None:
    answer = _get(shared, "/collections/buildings/items", filter=words)
    assert (answer.status_code, answer.json()["code"]) == (400, "things.bad_filter"), words[:40]


@pytest.mark.parametrize(
    "tree",
    ["[]", "{", '{"op": "and"}', '{"op": "and", "args": []}', '{"op": "pg_sleep", "args": [9]}', "null", '"x"', "{}",
     '{"op":"not","args":[' * 200 + "true" + "]}" * 200,
     '{"op":"s_intersects","args":[{"property":"geometry"},{"type":"GeometryCollection","geometries":3}]}',
     '{"op":"=","args":[{"property":["code"]},"x"]}', '{"op":"=","args":[{"op":"casei","args":[]},"x"]}'],
)  # fmt: skip
def test_bad_trees_are_refused_too(shared: Any, tree: str) -> None:
    answer = _get(shared, "/collections/buildings/items", filter=tree, filter_lang="cql2-json")
    assert (answer.status_code, answer.json()["code"]) == (400, "things.bad_filter"), answer.text


# --- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": "0"}, "ogc.bad_limit"),
        ({"limit": "-1"}, "ogc.bad_limit"),
        ({"limit": "many"}, "ogc.bad_limit"),
        ({"bbox": "1,2,3"}, "ogc.bad_bbox"),
        ({"bbox": "1,2,3,4,5"}, "ogc.bad_bbox"),
        ({"bbox": "nan,0,1,1"}, "ogc.bad_bbox"),
        ({"bbox": "0,50,1,40"}, "ogc.bad_bbox"),
        ({"bbox": "0,0,999,1"}, "ogc.bad_bbox"),
        ({"bbox": "west"}, "ogc.bad_bbox"),
        ({"bbox": "39.86,124.15,39.9,124.2"}, "ogc.bad_bbox"),
        ({"crs": f"{EPSG}4550"}, "ogc.unknown_crs"),
        ({"crs": "EPSG:4326"}, "ogc.unknown_crs"),
        ({"bbox": "0,0,1,1", "bbox-crs": "x"}, "ogc.unknown_crs"),
        ({"datetime": "yesterday"}, "ogc.bad_datetime"),
        ({"datetime": "2026-02-30T00:00:00Z"}, "ogc.bad_datetime"),
        ({"datetime": "2026-03-01T00:00:00Z/2026-02-01T00:00:00Z"}, "ogc.bad_datetime"),
        ({"datetime": ".."}, "ogc.bad_datetime"),
        ({"datetime": "9999-12-31T23:59:59Z"}, "ogc.bad_datetime"),
        ({"after": "x"}, "api.bad_cursor"),
        ({"colour": "red"}, "ogc.unknown_parameter"),
        ({"filter-lang": "sql", "filter": "true"}, "things.bad_filter"),
        ({"f": "xml"}, "ogc.bad_form"),
        ({"households": "many"}, "things.bad_filter"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_400(shared: Any, params: dict[str, str], code: str) -> None:
    answer = shared.as_("viewer").get("/ogc/collections/grids/items", params=params)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_limit_beyond_the_most_is_the_most(shared: Any) -> None:
    assert _items(shared, "grids", limit="1000000000")["numberReturned"] == _items(shared, "grids")["numberMatched"]


# --- Tiles ----------------------------------------------------------------------------------------------------------


def test_tiles_are_our_own_at_the_standards_address(shared: Any) -> None:
    client = shared.as_("viewer")
    sets = _get(shared, "/collections/grids/tiles").json()["tilesets"]
    made = client.get(sets[0]["links"][0]["href"]).json()
    template = next(link["href"] for link in made["links"] if link["rel"] == "item")
    z, x, y = 12, 3460, 1552
    limits = {one["tileMatrix"]: one for one in made["tileMatrixSetLimits"]}[str(z)]
    assert limits["minTileCol"] <= x <= limits["maxTileCol"]
    assert limits["minTileRow"] <= y <= limits["maxTileRow"]
    ours = client.get(f"/tiles/grids/{z}/{x}/{y}.mvt")
    theirs = client.get(template.format(tileMatrix=z, tileRow=y, tileCol=x))
    assert ours.status_code == theirs.status_code == 200
    assert ours.content == theirs.content
    assert theirs.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert client.get(template.format(tileMatrix=40, tileRow=0, tileCol=0)).status_code in (400, 404, 422)
    assert shared.as_(None).get(template.format(tileMatrix=z, tileRow=y, tileCol=x)).status_code == 401
    assert _get(shared, "/collections/draft_grids/tiles", "planner").status_code == 404


def test_the_matrices_are_halved_zoom_by_zoom(shared: Any) -> None:
    matrices = _get(shared, "/tileMatrixSets/WebMercatorQuad").json()["tileMatrices"]
    assert matrices[0]["scaleDenominator"] == pytest.approx(559082264.028717)
    assert [one["matrixWidth"] for one in matrices[:3]] == [1, 2, 4]


# --- GDAL's client, over a real connection --------------------------------------------------------------------------


@contextmanager
def _listening(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    ready = threading.Event()
    while not server.started and thread.is_alive():
        ready.wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.skipif("OAPIF" not in pyogrio.list_drivers(), reason="this GDAL has no client of OGC API Features")
def test_gdal_reads_it_as_qgis_does(service: Any) -> None:
    secret = secret_of(service, "viewer")
    with _listening(service.app) as address:
        # In a process of its own: GDAL waits for its answers with Python's lock in hand.
        outcome = subprocess.run(
            [sys.executable, "-c", _GDAL, f"OAPIF:{address}/ogc", f"viewer:{secret}", WEST],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    said = json.loads(outcome.stdout)
    assert {"grids", "buildings", "incidents"} <= set(said["layers"])
    assert said["rows"] == _items(service, "buildings")["numberMatched"]
    assert 124 < said["west"] < 125
    assert 0 < said["some"] < said["rows"]


_GDAL = """
import json, sys
import pyogrio
address, user, box = sys.argv[1:]
pyogrio.set_gdal_config_options({"GDAL_HTTP_USERPWD": user, "GDAL_HTTP_AUTH": "BASIC", "GDAL_HTTP_TIMEOUT": "120"})
layers = [str(name) for name in pyogrio.list_layers(address)[:, 0]]
frame = pyogrio.read_dataframe(address, layer="buildings", PAGE_SIZE=5)
box = tuple(map(float, box.split(",")))
some = pyogrio.read_dataframe(address, layer="buildings", where="households > 5", bbox=box)
print(json.dumps({"layers": layers, "rows": len(frame), "west": frame.total_bounds[0], "some": len(some)}))
"""


def test_a_program_that_shows_a_token_needs_no_cookie(service: Any) -> None:
    client = program(service, "viewer1", basic=True)
    assert client.get("/ogc/collections/grids/items").json()["numberMatched"] > 0
    assert client.get("/ogc/collections/grids/tiles/WebMercatorQuad/12/1552/3460").status_code == 200
