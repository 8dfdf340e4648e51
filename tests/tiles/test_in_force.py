"""Tiles in force as they are kept: fresh after a publication, the same for nobody who may not see the same."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import making, plans
from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.errors import Unavailable
from gis.permissions import SYSTEM
from tests.tiles.builders import properties, read_only, rough_town, shapes
from tests.usecases.builders import make_plan
from tiles import mvt, rows, versions
from tiles import present as present_module
from tiles.cache import ENTRY, Kept, Shelf, TileCache, kept, write_shelf
from tiles.cells import CellTable
from tiles.layers import LAYERS
from tiles.present import CellTiles, Present
from tiles.versions import CELL_LAYERS, Version

EVERYWHERE = ("",)


def address(place: tuple[str, int, int, int]) -> str:
    return "/tiles/{}/{}/{}/{}.mvt".format(*place)


def present_of(service: Any) -> Present:
    """What the service holds in memory after a look at the database."""
    service.app.state.services.keeper.look_now()
    settle(service.app.state.cells)
    found: Present = service.app.state.cells.present
    return found


def settle(cells: CellTiles) -> None:
    """Until the tiles are made that are made beforehand."""
    thread = cells.preparing
    if thread is not None:
        thread.join()


# --- Against the database --------------------------------------------------------------------------------------------


def test_tiles_from_memory_and_from_the_database_show_the_same(service: Any) -> None:
    version = present_of(service).version
    view = version.view(EVERYWHERE)
    with unit_of_work(service.app.state.services.engine) as session:
        for place in version.places():
            layer, z, x, y = place
            told = mvt.make_tile(session, LAYERS[layer], z=z, x=x, y=y, scopes=EVERYWHERE, at=datetime.now(UTC)).content
            made = version.encode(place, view)
            assert properties(made) == properties(told), place
            ours, theirs = shapes(made), shapes(told)
            for number, shape in ours.items():
                assert shape.is_valid
                assert abs(shape.area - theirs[number].area) <= 2 * theirs[number].length, place


def test_the_route_and_the_short_way_give_the_same(service: Any) -> None:
    version = present_of(service).version
    browser = service.as_("viewer")
    for place in list(version.places([8, 12, 15])):
        short, route = browser.get(address(place)), browser.get(address(place) + "?v=1")
        assert "Content-Security-Policy" in route.headers
        assert (short.status_code, short.content) == (route.status_code, route.content)
        assert short.headers["etag"] == route.headers["etag"]
        assert short.headers["x-content-type-options"] == "nosniff"


def test_a_known_tile_is_not_sent_again_whoever_made_it(service: Any) -> None:
    place = next(iter(present_of(service).version.places([14])))
    browser = service.as_("viewer")
    etag = browser.get(address(place)).headers["etag"]
    for given_tag in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
        again = browser.get(address(place), headers={"If-None-Match": given_tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in again.headers
    plain = browser.get(address(place), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == browser.get(address(place)).content


def test_the_short_way_refuses_as_the_route_does(service: Any) -> None:
    place = next(iter(present_of(service).version.places([14])))
    assert service.as_(None).get(address(place)).status_code == 401
    assert service.as_("nobody").get(address(place)).status_code == 403
    assert service.as_("viewer").post(address(place)).status_code == 405
    assert service.as_("viewer").head(address(place)).status_code in (200, 405)


# --- Publications ----------------------------------------------------------------------------------------------------


def etags(service: Any, who: str, places: list[tuple[str, int, int, int]]) -> dict[tuple[str, int, int, int], str]:
    browser = service.as_(who)
    return {place: browser.get(address(place)).headers["etag"] for place in places}


def test_a_publication_changes_the_tiles_it_touches_and_no_others(service: Any) -> None:
    present = present_of(service)
    places = list(present.version.places())
    before = etags(service, "viewer", places)
    old = present.version
    with unit_of_work(service.app.state.services.engine) as session:
        plan = make_plan(session, service.town, pieces=(3, 2), communities=service.town.communities[1:], title="new")
        plans.publish(session, plan.id, effective_from=service.clock(), actor=SYSTEM, now=service.clock())
    service.clock.forward(seconds=1)
    new = present_of(service).version
    assert new.name != old.name
    everything = new.view(EVERYWHERE)
    community = service.town.communities[1].id
    touched = {
        place for place in places for version in (old, new) if any(home == community for home in _homes(version, place))
    }
    after = etags(service, "viewer", places)
    assert {place for place in places if before[place] != after[place]} == touched
    assert 0 < len(touched) < len(places)
    for place in places:
        shown = shapes(service.as_("viewer").get(address(place)).content)
        assert shown.keys() == shapes(new.encode(place, everything)).keys()


def _homes(version: Version, place: tuple[str, int, int, int]) -> set[int]:
    """Communities whose cells a tile shows."""
    held = version.layers[version.at[place[0], place[1]]]
    home = dict(zip(held.ids.tolist(), held.communities[held.community].tolist(), strict=True))
    return {home[number] for number in shapes(version.encode(place, version.view(EVERYWHERE)))}


def test_what_was_made_for_a_version_is_made_once_a_machine(service: Any) -> None:
    present_of(service)
    cells = service.app.state.cells
    store = cells._store
    made = {kind: sorted(path.name for path in (store.folder / kind).iterdir()) for kind in ("cells", "tiles")}
    other = CellTiles(cells._engine, store, limit_bytes=cells._limit_bytes, cache_bytes=10**6)
    other.change(service.app.state.services.keeper.present)
    other.prepare(service.app.state.services.keeper.present)
    settle(other)
    assert made == {kind: sorted(path.name for path in (store.folder / kind).iterdir()) for kind in ("cells", "tiles")}
    assert other.present is not None
    assert other.present.version.name == cells.present.version.name


def test_tiles_of_a_city_are_made_in_a_process_of_its_own_and_are_the_same(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, cells = present_of(service).version, service.app.state.cells
    monkeypatch.setattr(making, "LARGE_FROM", 1)
    monkeypatch.setattr(present_module, "LARGE_FROM", 1)
    monkeypatch.setattr(present_module, "_fill", None)  # nothing is made here any more
    other = CellTiles(cells._engine, ArtifactStore(tmp_path), limit_bytes=cells._limit_bytes, cache_bytes=10**6)
    found = service.app.state.services.keeper.present
    for _ in range(2):  # anew, and from the shelf that is there
        other.change(found)
        other.prepare(found)
        settle(other)
        assert other.present is not None
        assert other.present.shelf is not None
        view = version.view(EVERYWHERE)
        assert len(other.present.shelf) == len({version.key(place, view) for place in version.places()})
        for place in version.places():
            tile = other.present.shelf.get(version.key(place, view))
            assert tile is not None
            assert tile.plain() == version.encode(place, view)
        shutil.rmtree(tmp_path / "tiles")
        other.present.shelf = None


def test_a_version_that_cannot_be_loaded_is_left_to_the_database(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = next(iter(present_of(service).version.places([14])))
    cells, keeper = service.app.state.cells, service.app.state.services.keeper
    shown = service.as_("viewer").get(address(place)).content

    def full(*_: Any) -> Path:
        raise Unavailable("artifacts.no_room", folder="/", said="full")

    monkeypatch.setattr(cells._store, "get", full)
    with pytest.raises(Unavailable):
        cells.change(keeper.present)
    assert cells.present is not None, "the same version is as good as it was"
    held = cells.present
    for change in ({"cells_key": "another"}, {"people_key": "another"}):  # other cells, or others who see them
        cells.present = held
        with pytest.raises(Unavailable):
            cells.change(replace(keeper.present, **change))
        assert cells.present is None
    answer = service.as_("viewer").get(address(place))
    assert "Content-Security-Policy" in answer.headers
    assert properties(answer.content) == properties(shown)


def test_files_that_cannot_be_read_are_made_anew(service: Any) -> None:
    present = present_of(service)
    cells = service.app.state.cells
    for kind in ("cells", "tiles"):
        (folder,) = [
            path for path in (cells._store.folder / kind).iterdir() if path.name.startswith(present.version.name)
        ]
        for file in folder.iterdir():
            short = file.read_bytes()[:10]
            file.unlink()  # the old one is mapped here
            file.write_bytes(short)
    other = CellTiles(cells._engine, cells._store, limit_bytes=cells._limit_bytes, cache_bytes=10**6)
    other.change(service.app.state.services.keeper.present)
    other.prepare(service.app.state.services.keeper.present)
    settle(other)
    assert other.present is not None
    assert other.present.shelf is not None
    place = next(iter(other.present.version.places([12])))
    made = other.tile(place, EVERYWHERE)
    assert made is not None
    assert made.plain() == present.version.encode(place, present.version.view(EVERYWHERE))


def test_an_area_that_moves_in_the_tree_takes_its_tiles_along(service: Any) -> None:
    from sqlalchemy import text

    present = present_of(service)
    place = next(iter(present.version.places([13])))
    assert properties(service.as_("viewer1").get(address(place)).content)
    with unit_of_work(service.app.state.services.engine) as session:
        statement = "UPDATE admin_area SET code = '210681001777' WHERE id = :id"
        session.execute(text(statement), {"id": service.town.communities[1].id})
    moved = present_of(service)
    assert moved is not present
    assert moved.version.name == present.version.name
    assert moved.version.paths[service.town.communities[1].id].endswith("777")


# --- Who sees what ---------------------------------------------------------------------------------------------------


def test_two_with_other_areas_never_get_each_others_tiles(service: Any) -> None:
    present = present_of(service)
    places = list(present.version.places())
    allowed = {
        who: {
            number
            for held in present.version.layers
            for number, home in zip(held.ids.tolist(), held.communities[held.community].tolist(), strict=True)
            if home in [service.town.communities[i].id for i in communities]
        }
        for who, communities in (("dispatcher0", (0,)), ("viewer1", (1,)))
    }
    for _ in range(2):  # the second time from memory
        for who, may_see in allowed.items():
            shown = set()
            for place in places:
                shown |= shapes(service.as_(who).get(address(place)).content).keys()
            assert shown == may_see


@pytest.fixture(scope="module")
def town() -> Version:
    """Six communities in two streets."""
    tables = rough_town()
    paths = {number: f"c.s{number % 2}.k{number}" for number in range(1, 7)}
    return Version("town", tuple(map(read_only, versions.build(tables, limit_bytes=10**9))), paths)


@settings(max_examples=25)
@given(scopes=st.sets(st.sampled_from(["", "c", "c.s0", "c.s1", *(f"c.s{n % 2}.k{n}" for n in range(1, 7)), "d"])))
def test_whatever_the_scopes_a_tile_holds_what_they_allow_and_equal_keys_mean_equal_bytes(
    town: Version, scopes: set[str]
) -> None:
    view = town.view(tuple(sorted(scopes)))
    whole = town.view(EVERYWHERE)
    may_see = {n for n, path in town.paths.items() if any(s == "" or f"{path}.".startswith(f"{s}.") for s in scopes)}
    for place in [*islice(town.places([10]), 2), *islice(town.places([14]), 4)]:
        made = town.encode(place, view)
        everything = properties(town.encode(place, whole))
        held = town.layers[town.at[place[0], place[1]]]
        home = dict(zip(held.ids.tolist(), held.communities[held.community].tolist(), strict=True))
        assert properties(made) == {number: told for number, told in everything.items() if home[number] in may_see}
        if town.key(place, view) == town.key(place, whole):
            assert made == town.encode(place, whole)
        elif made:
            assert properties(made) != everything or place[1] >= 14  # a box may touch where no ground does


# --- Limits ----------------------------------------------------------------------------------------------------------


def test_zooms_with_too_large_tiles_show_the_tier_above_and_say_so() -> None:
    tables = rough_town()
    held = Version("town", tuple(map(read_only, versions.build(tables, limit_bytes=4000))), {})
    assert {zoom for layer, zoom in held.at if layer == "micro_grids"} == set(range(10, 17))
    told = _properties_at(held, tables, "micro_grids", 10)
    assert set(told) <= set(tables["grids"].ids.tolist())
    assert {one["generalised"] for one in told.values()} == {"grids"}
    assert "generalised" not in next(iter(_properties_at(held, tables, "micro_grids", 16).values()))
    largest = max(len(held.encode(place, held.view(()))) for place in held.places([10]))
    assert largest == 0  # nobody sees anything without scopes
    tiny = Version("town", tuple(map(read_only, versions.build(tables, limit_bytes=300))), {})
    told = _properties_at(tiny, tables, "grids", 8)
    assert {one["generalised"] for one in told.values()} == {"communities"}
    assert sum(one["households"] for one in told.values()) == sum(tables["grids"].columns["households"])


def _properties_at(version: Version, tables: dict[str, CellTable], layer: str, zoom: int) -> dict[int, Any]:
    version = replace(version, paths=dict.fromkeys(tables["grids"].communities.tolist(), "c"))
    told: dict[int, Any] = {}
    for place in version.places([zoom]):
        if place[0] == layer:
            told |= properties(version.encode(place, version.view(EVERYWHERE)))
    return told


def test_communities_drawn_instead_cover_what_their_cells_cover() -> None:
    cells = rough_town()["grids"]
    whole = rows.communities_of(cells)
    assert whole.ids.tolist() == sorted(set(cells.communities.tolist()))
    assert shapely.area(whole.grounds).sum() == pytest.approx(shapely.area(cells.grounds).sum())


def test_memory_is_bounded_and_what_is_asked_for_stays() -> None:
    cache = TileCache(10 * (100 + ENTRY))
    for number in range(50):
        cache.put(b"%d" % number, Kept(b"x" * 100, is_packed=False, etag=""))
        assert cache.get(b"0") is not None
    assert len(cache) == 10
    assert cache.bytes == 10 * (100 + ENTRY)
    assert cache.get(b"1") is None
    cache.put(b"large", Kept(b"x" * 10**6, is_packed=False, etag=""))
    assert cache.get(b"large") is None
    nothing = TileCache(0)
    nothing.put(b"0", kept(b""))
    assert nothing.get(b"0") is None


def test_tiles_on_the_shelf_are_those_that_were_put_there(tmp_path: Path) -> None:
    tiles = {bytes([n]) * 16: kept(bytes([n]) * (n * 400)) for n in range(5)}
    write_shelf(tmp_path / "tiles.bin", tiles)
    shelf = Shelf(tmp_path / "tiles.bin")
    for key, tile in tiles.items():
        found = shelf.get(key)
        assert found is not None
        assert (found.body, found.etag, found.is_packed, found.plain()) == (
            tile.body,
            tile.etag,
            tile.is_packed,
            tile.plain(),
        )
    assert shelf.get(b"?" * 16) is None
    write_shelf(tmp_path / "none.bin", {})
    assert len(Shelf(tmp_path / "none.bin")) == 0


@pytest.fixture
def slow(service: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[Any], threading.Event]]:
    """A service whose tiles wait until they are let go; and which of them were begun."""
    present_of(service).shelf = None
    cells = service.app.state.cells
    begun: list[Any] = []
    go = threading.Event()
    real = cells.make

    def make(*given: Any) -> Kept:
        begun.append(given[2])
        assert go.wait(240)
        made: Kept = real(*given)
        return made

    monkeypatch.setattr(cells, "make", make)
    with ThreadPoolExecutor(1):
        yield service, begun, go
    go.set()


def test_a_tile_that_many_ask_for_at_once_is_made_once(slow: tuple[Any, list[Any], threading.Event]) -> None:
    service, begun, go = slow
    place = next(iter(service.app.state.cells.present.version.places([12])))
    cookie = service.as_("viewer").cookies.get("wangge_session")
    scope = {
        "type": "http",
        "method": "GET",
        "path": address(place),
        "query_string": b"",
        "headers": [(b"cookie", f"wangge_session={cookie}".encode()), (b"accept-encoding", b"gzip")],
    }

    async def ask_often() -> list[Any]:
        front = service.app.front.find(address(place))
        asked = [asyncio.ensure_future(front(dict(scope), None, None)) for _ in range(30)]
        while not begun:
            await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*asked)

    with ThreadPoolExecutor(1) as pool:  # a loop of its own: a browser test may have left one running in this thread
        replies = pool.submit(asyncio.run, ask_often()).result()
    assert begun == [place]
    assert len(replies) == 30
    assert len(set(replies)) == 1
    assert replies[0].status == 200


# --- Addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["grids", "roads", "all"])
@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ("40/0/0", "tile.out_of_range"),
        ("3/8/0", "tile.out_of_range"),
        ("3/0/8", "tile.out_of_range"),
        ("-1/0/0", "tile.not_numbers"),
        ("3/1.5/0", "tile.not_numbers"),
        ("a/b/c", "tile.not_numbers"),
        ("3/٣/0", "tile.not_numbers"),
        ("3/0/99999999999999999999999999999", "tile.out_of_range"),
    ],
)
def test_what_can_be_no_tile_is_refused_without_a_query(
    service: Any, monkeypatch: pytest.MonkeyPatch, layer: str, numbers: str, code: str
) -> None:
    browser = service.as_("viewer")
    monkeypatch.setattr(service.app.state.services.engine, "connect", None)  # whoever asks the database fails
    answer = browser.get(f"/tiles/{layer}/{numbers}.mvt")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert service.as_(None).get(f"/tiles/{layer}/{numbers}.mvt").json()["code"] == code
    answer = browser.get("/tiles/nosuch/3/0/0.mvt")
    assert (answer.status_code, answer.json()["code"]) == (404, "tile.no_layer")


def test_all_layers_come_in_one_tile(service: Any) -> None:
    import mapbox_vector_tile

    present_of(service)
    browser = service.as_("viewer")
    document = browser.get("/tiles/all.json").json()
    assert {layer["id"] for layer in document["vector_layers"]} == set(LAYERS)
    place = next(iter(service.app.state.cells.present.version.places([14])))
    one = browser.get("/tiles/all/{}/{}/{}.mvt".format(*place[1:]))
    decoded = mapbox_vector_tile.decode(one.content)
    assert {"grids", "micro_grids", "buildings", "areas"} <= set(decoded)
    for name in CELL_LAYERS:
        alone = mapbox_vector_tile.decode(browser.get(address((name, *place[1:]))).content)
        assert decoded[name] == alone[name]
    again = browser.get("/tiles/all/{}/{}/{}.mvt".format(*place[1:]), headers={"If-None-Match": one.headers["etag"]})
    assert again.status_code == 304


def test_the_past_is_asked_of_the_database(service: Any) -> None:
    place = next(iter(present_of(service).version.places([14])))
    browser = service.as_("viewer")
    long_ago = browser.get(f"{address(place)}?at=2001-01-01T00:00:00Z")
    assert long_ago.status_code == 204
    assert browser.get(f"{address(place)}?at=2001-01-01T00:00:00").status_code == 422
    told = browser.get("/tiles/grids.json?at=2001-01-01T00:00:00Z").json()
    assert told["tiles"][0].endswith("?at=2001-01-01T00%3A00%3A00%2B00%3A00")
    assert np.isfinite(told["bounds"]).all()
