"""The responsibility index: says what the database says, for every kind of place and every kind of caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from gis import plans, staff
from gis.artifacts import ArtifactStore
from gis.db import make_engine, unit_of_work
from gis.geotag import Place, geotag
from gis.in_force import in_force
from gis.models import Grid, PostRow, Staff
from gis.permissions import EVERYWHERE, SYSTEM
from gis.responsibility import by_sql
from gis.responsibility.responsibility import Responsibility, load
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
