"""The responsibility index: says what the database says, for every kind of place and every kind of caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from sqlalchemy import select, text

from gis import incidents, plan_copy, plans, staff
from gis.artifacts import ArtifactStore
from gis.db import make_engine, unit_of_work
from gis.geotag import Place, geotag
from gis.in_force import in_force
from gis.models import Grid, PostRow, Staff
from gis.permissions import EVERYWHERE, SYSTEM, Actor, Grant, Role
from gis.responsibility import by_sql
from gis.responsibility.near import cells_near
from gis.responsibility.responsibility import load
from tests.conftest import clone_of
from tests.usecases.builders import LAT, LON, LONG_AGO, NOW, SIZE, SmallTown, make_plan, make_town

START = LONG_AGO + timedelta(days=1)


def build_town(url: str) -> tuple[SmallTown, int]:
    """Two communities with a plan in force, a stack in each, and people in half of the cells."""
    engine = make_engine(url)
    with unit_of_work(engine) as session:
        town = make_town(session, communities=2)
        plan = make_plan(session, town, stack=0)
        plans.publish(session, plan.id, effective_from=START, actor=SYSTEM, now=LONG_AGO)
        posts = {post.code: post for post in session.scalars(select(PostRow))}
        for n, cell in enumerate(session.scalars(select(Grid).where(Grid.plan_id == plan.id).order_by(Grid.code))):
            if n % 2 == 0:
                person = Staff(code=f"S{n:03d}", name=f"员{n}", phone=f"1380000{n:04d}")
                session.add(person)
                session.flush()
                post = posts["grid_officer" if cell.grid_depth == 1 else "micro_grid_leader"]
                staff.assign(
                    session, staff_id=person.id, post_id=post.id, grid_id=cell.id, valid_from=START, actor=SYSTEM,
                    now=LONG_AGO,
                )  # fmt: skip
        made = town, plan.id
    engine.dispose()
    return made


@pytest.fixture(scope="module")
def served(home: Path, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The town in a database of its own, its engine, and its responsibility index."""
    with clone_of(home, template) as url:
        town, _ = build_town(url)
        engine = make_engine(url)
        with unit_of_work(engine) as session:
            found = in_force(session, NOW)
        store = ArtifactStore(tmp_path_factory.mktemp("artifacts"))
        yield town, engine, load(store, engine, found)
        engine.dispose()


def points(count: int, *, seed: int = 0) -> list[tuple[float, float]]:
    """Anywhere in and around the town, on borders and corners, and one unit in the last place beside them."""
    random = np.random.default_rng(seed)
    third = count // 3
    anywhere = random.uniform((LON - 0.004, LAT - 0.004), (LON + 2 * SIZE + 0.004, LAT + SIZE + 0.004), (third, 2))
    lines = np.round(LON + np.arange(5) * SIZE / 2, 7), np.round(LAT + np.arange(3) * SIZE / 2, 7)
    borders = random.uniform((LON, LAT), (LON + 2 * SIZE, LAT + SIZE), (third, 2))
    axis = random.integers(0, 2, third)
    borders[axis == 0, 0] = random.choice(lines[0], (axis == 0).sum())
    borders[axis == 1, 1] = random.choice(lines[1], (axis == 1).sum())
    corners = np.column_stack((random.choice(lines[0], third), random.choice(lines[1], third)))
    corners[::2, 0] = np.nextafter(corners[::2, 0], random.choice((-200, 200), len(corners[::2])))
    return [(float(x), float(y)) for x, y in np.concatenate([anywhere, borders, corners])]


def told(body: bytes) -> Any:
    return json.loads(body)


def same(ours: Any, theirs: Any) -> None:
    """Equal but for a decimetre in distances, which both measure by different formulas to a tenth of a millimetre."""
    assert [one["id"] for one in ours["candidates"]] == [one["id"] for one in theirs["candidates"]]
    for one, other in zip([ours, *ours["candidates"]], [theirs, *theirs["candidates"]], strict=True):
        assert one["distance_m"] == pytest.approx(other["distance_m"], abs=0.1001)
        one["distance_m"] = other["distance_m"]
    assert ours == theirs


SCOPES = [((EVERYWHERE,), (EVERYWHERE,)), ((EVERYWHERE,), ()), ("second", "second"), ("second", ())]


@pytest.mark.parametrize("scopes", SCOPES)
def test_the_index_says_what_the_database_says(served: Any, scopes: Any) -> None:
    town, engine, index = served
    sees, phones = [(town.communities[1].path,) if one == "second" else one for one in scopes]
    view = index.view_of(sees, phones)
    with unit_of_work(engine) as session:
        for lon, lat in points(90):
            ours = index.locate(lon, lat, view)
            assert index.locate_within(lon, lat, view) == ours
            same(told(ours), told(by_sql.locate(session, lon, lat, at=NOW, scopes=sees, contact_scopes=phones)))


def test_geotagging_gives_the_same_tag_with_the_index_and_without(served: Any) -> None:
    town, engine, index = served
    half = Actor(None, "half", (Grant(Role.VIEWER, town.communities[0].path),))
    with unit_of_work(engine) as session:
        for actor in (SYSTEM, half):
            places = [
                Place(lon=lon, lat=lat, accuracy_m=(None, 3.0, 60.0)[n % 3], floor=(None, 2, 8)[n % 7 % 3])
                for n, (lon, lat) in enumerate(points(900, seed=n_of(actor)))
            ]
            ours = geotag(session, places, at=NOW, actor=actor, index=index)
            theirs = geotag(session, places, at=NOW, actor=actor)
            for one, other in zip(ours, theirs, strict=True):
                same_tag(asdict(one), asdict(other))
            assert {tag.how for tag in ours} == {"inside", "border", "nearest", "none"}


def n_of(actor: Actor) -> int:
    return len(actor.name)


def same_tag(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for one, other in zip([ours, *ours["candidates"]], [theirs, *theirs["candidates"]], strict=True):
        if one["distance_m"] is not None and other["distance_m"] is not None:
            assert one["distance_m"] == pytest.approx(other["distance_m"], abs=0.1001)
            one["distance_m"] = other["distance_m"]
    assert ours == theirs


def test_an_incident_is_given_the_same_cell_with_the_index_and_without(served: Any) -> None:
    _, engine, index = served
    with unit_of_work(engine) as session:
        for n, (lon, lat) in enumerate(points(240, seed=5)):
            known = {
                "lon": lon,
                "lat": lat,
                "at": NOW,
                "accuracy_m": (None, 10.0)[n % 2],
                "floor": (None, 7)[n % 3 % 2],
            }
            assert incidents.locate(session, **known, index=index) == incidents.locate(session, **known)


def test_an_index_that_was_overtaken_gives_no_incident_an_old_cell(home: Path, template: str, tmp_path: Path) -> None:
    with clone_of(home, template) as url:
        _, plan_id = build_town(url)
        engine = make_engine(url)
        with unit_of_work(engine) as session:
            old = load(ArtifactStore(tmp_path), engine, in_force(session, NOW))
        with unit_of_work(engine) as session:
            again = plan_copy.copy(session, plan_id, title="again", actor=SYSTEM, now=NOW).id
            plans.publish(session, again, actor=SYSTEM, now=NOW)
        lon, lat = LON + 0.0063, LAT + 0.0081
        with unit_of_work(engine) as session:
            where = incidents.locate(session, lon=lon, lat=lat, at=NOW, index=old)
            assert session.get_one(Grid, where.grid_id).plan_id == again
        engine.dispose()


def test_borders_have_one_owner_everywhere(served: Any) -> None:
    """Corners, edges and one unit in the last place beside them: index, SQL and shapely name the same cell."""
    _, engine, index = served
    view = index.view_of((EVERYWHERE,), ())
    with unit_of_work(engine) as session:
        rows = session.execute(
            text("SELECT id, ST_AsBinary(geom) AS wkb FROM grid WHERE grid_depth = 2 ORDER BY id")
        ).all()
        shapes = shapely.from_wkb([bytes(row.wkb) for row in rows])
        asked = points(600, seed=9)
        near = cells_near(
            session, dict(enumerate(asked)), dict.fromkeys(range(len(asked)), 0.0), at=NOW, scopes=(EVERYWHERE,)
        )
        for n, (lon, lat) in enumerate(asked):
            covering = [
                row.id for row, shape in zip(rows, shapes, strict=True) if shape.covers(shapely.Point(lon, lat))
            ]
            ours = [row["id"] for row in index.rows_near(lon, lat, 0.0, view)]
            assert ours == covering == [row["id"] for row in near.get(n, [])]


def test_leaves_name_cells_areas_and_people(served: Any) -> None:
    town, _, index = served
    leaves = index.leaves.to_pylist()
    assert len(leaves) == index.size == len(index.ground_leaves)
    first = leaves[0]
    assert first["micro_grid_code"].startswith(first["grid_code"])
    assert first["grid_code"].startswith(first["community_code"])
    assert (first["community_name"], first["street_name"], first["county_name"]) == ("社区1", "大东街道", "东港市")
    assert first["city_code"] is None
    assert first["path"] == town.communities[0].path
    told = {leaf["id"]: [person["name"] for person in leaf["people"]] for leaf in leaves}
    view = index.view_of((EVERYWHERE,), ())
    for ground in range(len(index.ground_starts) - 1):
        leaf = index.ground_leaves[index.ground_starts[ground]]
        names = [person["name"] for person in json.loads(index._people_of(leaf, view))]
        assert told[leaves[leaf]["id"]] == names
