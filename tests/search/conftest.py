"""A town with names to look for: the small town of the use cases, its buildings in two compounds on two roads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from gis import plans, search_index, staff
from gis.db import make_engine, unit_of_work
from gis.models import AdminArea, Building, Compound, Department, Grid, Poi, PostRow, Staff
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.search import search
from tests.conftest import clone_of
from tests.usecases.builders import LAT, LON, LONG_AGO, NOW, SIZE, SmallTown, make_plan, make_town

COMPOUNDS = (("X1", "阳光水岸", "Sunshine Bank", "锦江路", 12), ("X2", "重庆家园", None, "书院巷", 3))
"""One a community: code, name, English name, road, house number."""

Finder = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def built(home: Path, template: str) -> Iterator[tuple[Engine, SmallTown]]:
    """The town, made once a process in a database of its own."""
    with clone_of(home, template) as url:
        engine = make_engine(url)
        with unit_of_work(engine) as session:
            town = _town(session)
            search_index.work_off(session)
        yield engine, town
        engine.dispose()


@pytest.fixture
def town(built: tuple[Engine, SmallTown]) -> SmallTown:
    """Two communities of sixteen buildings: 阳光水岸1栋 … 16栋, the first a stack; 重庆家园1栋 …."""
    return built[1]


@pytest.fixture
def session(built: tuple[Engine, SmallTown]) -> Iterator[Session]:
    """Session on the town whose commits are savepoints; whatever a test does is rolled back."""
    with built[0].connect() as connection, connection.begin() as transaction:
        with Session(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        transaction.rollback()


def _town(session: Session) -> SmallTown:
    made = make_town(session, communities=2)
    for community, (code, name, name_en, road, house) in zip(made.communities, COMPOUNDS, strict=True):
        area = session.get_one(AdminArea, community.id)
        compound = Compound(area_id=area.id, code=code, name=name, name_en=name_en, geom=area.geom)
        session.add(compound)
        session.flush()
        rows = session.scalars(select(Building).where(Building.area_id == area.id).order_by(Building.code)).all()
        for number, building in enumerate(rows, 1):
            building.compound_id = compound.id
            building.name, building.address = f"{number}栋", f"{road}{house}号{name}{number}栋"
    session.flush()
    plan = make_plan(session, made, stack=0)
    plans.publish(session, plan.id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
    _people(session, plan.id, made)
    point = f"SRID=4326;POINT({LON + SIZE * 0.9} {LAT + SIZE * 0.9})"
    session.add(Poi(code="P1", kind="school", name="望海小学", geom=point))
    session.flush()
    return made


def _people(session: Session, plan_id: int, town: SmallTown) -> None:
    office = Department(code="D1", name="城管所", area_id=town.communities[1].id)
    session.add(office)
    session.flush()
    posts = {post.code: post for post in session.scalars(select(PostRow))}
    cells = session.scalars(select(Grid).where(Grid.plan_id == plan_id).order_by(Grid.code)).all()
    names = ("石建超", "李凤", "王敏军", "黄凯", "董健亮", "赵长乐")
    for number, cell in enumerate(cells):
        here = cell.community_id == town.communities[1].id
        person = Staff(
            code=f"S{number:03d}", name=names[number % len(names)] if number < 6 else f"员{number}",
            phone=f"1380000{number:04d}", department_id=office.id if here else None,
        )  # fmt: skip
        session.add(person)
        session.flush()
        post = posts["grid_officer" if cell.grid_depth == 1 else "micro_grid_leader"]
        staff.assign(
            session, staff_id=person.id, post_id=post.id, grid_id=cell.id, valid_from=LONG_AGO + timedelta(days=1),
            actor=SYSTEM, now=LONG_AGO,
        )  # fmt: skip


def somebody(town: SmallTown, role: Role = Role.VIEWER, community: int | None = None) -> Actor:
    """Somebody with a role in the street, or in one community of it."""
    path = town.street.path if community is None else town.communities[community].path
    return Actor(None, "somebody", (Grant(role, path),))


@pytest.fixture
def find(session: Session, town: SmallTown) -> Finder:
    """Search as a dispatcher of the street, or as somebody else."""

    def found(words: str, *, actor: Actor | None = None, **more: Any) -> list[dict[str, Any]]:
        return search(session, words, actor=actor or somebody(town, Role.DISPATCHER), at=NOW, **more)

    return found


@pytest.fixture
def labels(find: Finder) -> Callable[..., list[str]]:
    """The labels of what is found."""
    return lambda words, **more: [row["label"] for row in find(words, **more)]


def changed(session: Session, statement: str, **params: Any) -> None:
    """Change the database past all use cases, as psql would."""
    session.execute(text(statement), params)
