"""A served town: two communities, a plan in force with a stack, staff, incidents' dictionary, an account per role.

The town is built once a process and cloned for each test, so that tests may write what they like::

    community 0                 community 1
    +-------+-------+           +-------+-------+
    | m     | m     |           | m     | m     |     each community: two grids side by side, each of two
    +-------+-------+           +-------+-------+     micro-grids one above the other; the building in the
    | stack | m     |           | stack | m     |     south-west corner of each is shared by floors
    +-------+-------+           +-------+-------+
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.app import create_app
from gis import accounts, plans, staff
from gis.db import make_engine, unit_of_work
from gis.models import Department, Grid, PostRow, Staff
from gis.permissions import SYSTEM, Role
from gis.settings import Settings
from tests.conftest import clone_of
from tests.usecases.builders import LONG_AGO, SmallTown, make_category, make_plan, make_town

PASSWORD = "correct horse battery"
ACCOUNTS: dict[str, tuple[Role, int | None]] = {
    # name: role, community (None: the whole street)
    "admin": (Role.ADMINISTRATOR, None),
    "planner": (Role.PLANNER, None),
    "approver": (Role.APPROVER, None),
    "dispatcher": (Role.DISPATCHER, None),
    "dispatcher0": (Role.DISPATCHER, 0),
    "officer": (Role.FIELD_WORKER, 0),
    "viewer": (Role.VIEWER, None),
    "viewer1": (Role.VIEWER, 1),
    "nobody": (Role.VIEWER, None),
}


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass
class Service:
    """A running application on a town of its own, and how to talk to it as somebody."""

    app: Any
    url: str
    town: SmallTown
    plan_id: int
    clock: Clock
    _clients: dict[str, TestClient] = field(default_factory=dict)

    def as_(self, name: str | None) -> TestClient:
        """A browser of somebody who is signed in; ``None`` for nobody."""
        key = name or ""
        if key not in self._clients:
            client = TestClient(self.app, base_url="http://wangge.test", headers={"Origin": "http://wangge.test"})
            if name is not None:
                answer = client.post("/api/v1/session", json={"username": name, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
            self._clients[key] = client
        return self._clients[key]

    def grid_id(self, code: str) -> int:
        """The id of a cell of the plan in force by the end of its code."""
        engine = make_engine(self.url)
        try:
            with unit_of_work(engine) as session:
                return session.scalars(
                    select(Grid.id).where(Grid.plan_id == self.plan_id, Grid.code.endswith(code))
                ).one()
        finally:
            engine.dispose()


def _build(url: str) -> tuple[SmallTown, int]:
    engine = make_engine(url)
    try:
        with unit_of_work(engine) as session:
            town = make_town(session, communities=2)
            plan = make_plan(session, town, stack=0)
            plans.publish(session, plan.id, effective_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=LONG_AGO)
            make_category(session)
            _add_people(session, plan.id)
            for name, (role, community) in ACCOUNTS.items():
                person = session.scalar(select(Staff.id).order_by(Staff.id)) if name == "officer" else None
                accounts.create_user(
                    session,
                    username=name,
                    name=name,
                    password=PASSWORD,
                    staff_id=person,
                    must_change_password=False,
                    actor=SYSTEM,
                    now=LONG_AGO,
                )
                area = town.street if community is None else town.communities[community]
                if name != "nobody":
                    accounts.grant(session, username=name, role=role, area_id=area.id, actor=SYSTEM, now=LONG_AGO)
            return town, plan.id
    finally:
        engine.dispose()


def _add_people(session: Any, plan_id: int) -> None:
    office = Department(code="D01", name="城管所", name_en="City management")
    session.add(office)
    session.flush()
    posts = {post.code: post for post in session.scalars(select(PostRow))}
    cells = session.scalars(select(Grid).where(Grid.plan_id == plan_id).order_by(Grid.code)).all()
    start = LONG_AGO + timedelta(days=1)
    for number, cell in enumerate(cells):
        person = Staff(code=f"S{number:03d}", name=f"员{number}", phone=f"1380000{number:04d}", department_id=office.id)
        session.add(person)
        session.flush()
        post = posts["grid_officer" if cell.grid_depth == 1 else "micro_grid_leader"]
        staff.assign(
            session, staff_id=person.id, post_id=post.id, grid_id=cell.id, valid_from=start, actor=SYSTEM, now=LONG_AGO
        )


@pytest.fixture(scope="session")
def built(home: Path, template: str) -> Iterator[tuple[str, SmallTown, int]]:
    """Name of the database that holds the town, the town, and the id of its plan in force."""
    with clone_of(home, template) as url:
        town, plan_id = _build(url)
        yield url.partition("?")[0].rpartition("/")[2], town, plan_id


@contextmanager
def serving(home: Path, built: tuple[str, SmallTown, int], folder: Path) -> Iterator[Service]:
    """The application on a clone of the town."""
    name, town, plan_id = built
    clock = Clock()
    with clone_of(home, name) as url:
        app = create_app(Settings(web_dist=_pages(folder)), url=url, clock=clock)
        yield Service(app, url, town, plan_id, clock)
        app.state.services.engine.dispose()


@pytest.fixture
def service(home: Path, built: tuple[str, SmallTown, int], tmp_path: Path) -> Iterator[Service]:
    """The application on a town of the test's own."""
    with serving(home, built, tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def shared(
    home: Path, built: tuple[str, SmallTown, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The application on a town that many tests read and none changes; its browsers stay signed in."""
    with serving(home, built, tmp_path_factory.mktemp("pages")) as one:
        yield one


def _pages(folder: Path) -> Path:
    dist = folder / "dist"
    for page in ("", "login", "planner", "desk", "command", "field", "missing"):
        (dist / page).mkdir(parents=True, exist_ok=True)
        (dist / page / "index.html").write_text(f"<!doctype html><title>{page}</title>", encoding="utf-8")
    leaflet = Settings().web_dist.parent / "node_modules" / "leaflet" / "dist"
    if leaflet.is_dir():
        (dist / "vendor").mkdir()
        (dist / "vendor" / "leaflet").symlink_to(leaflet)
    (dist / "assets").mkdir()
    (dist / "assets" / "app-1.mjs").write_text("export {};\n", encoding="utf-8")
    return dist
