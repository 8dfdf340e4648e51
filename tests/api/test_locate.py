"""Which cell answers for a point: the thin way, the documented route and the database say the same; nobody sees more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from gis import accounts, plans, staff
from gis.db import make_engine, unit_of_work
from gis.models import Assignment
from gis.permissions import SYSTEM, Role
from tests.usecases.builders import LAT, LON, SIZE, make_plan

AT = "/api/v1/locate"
POINTS = (
    (LON + 0.0037, LAT + 0.0038),  # inside, in a stack
    (LON + 0.0063, LAT + 0.0081),  # well inside
    (LON + SIZE / 2, LAT + 0.0031),  # on a border of grids
    (LON + SIZE, LAT + 0.0031),  # on a border of communities
    (LON - 0.0005, LAT + 0.002),  # just outside
    (LON - 0.02, LAT + 0.002),  # far outside
    (LON + 1.7 * SIZE, LAT + 0.0044),
)


def until(is_so: Callable[[], Any], *, seconds: float = 10.0) -> Any:
    """Wait for a state."""
    ends = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
    return found


@pytest.fixture
def awake(service: Any) -> Iterator[Any]:
    """The service with all that runs beside it, its index loaded."""
    with TestClient(service.app):
        services = service.app.state.services
        assert services.present.is_there.wait(20)
        assert services.notices.is_listening.wait(10)
        yield service


def question(lon: float, lat: float) -> str:
    return f"{AT}?lon={lon!r}&lat={lat!r}"


@pytest.mark.parametrize("name", ["admin", "viewer", "viewer1", "dispatcher0"])
def test_three_ways_say_the_same(awake: Any, name: str) -> None:
    client = awake.as_(name)
    asked_at = awake.clock.now.isoformat().replace("+00:00", "Z")
    front = awake.app.front
    for lon, lat in POINTS:
        routed = client.get(f"{question(lon, lat)}&crs=wgs84").content
        thin = client.get(question(lon, lat))
        assert thin.content == routed
        assert thin.headers["content-type"] == "application/json"
        services = awake.app.state.services
        loaded, services.present._loaded = services.present._loaded, None  # nobody has loaded anything yet
        stored = client.get(f"{question(lon, lat)}&at={asked_at}")
        services.present._loaded = loaded
        assert stored.status_code == 200, stored.text
        assert stored.json() == thin.json()
    assert front.find(AT) is not None
