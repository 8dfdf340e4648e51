"""Random sequences of edits over HTTP: the draft is whole after each, a checker of its own finds nothing broken, and
undoing all gives the same bytes.
"""

from __future__ import annotations

import importlib.util
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely

from gis import plan_review, plans
from gis.db import make_engine, unit_of_work
from gis.exchange import plan_file, town_file
from tests.api.conftest import serving
from tests.desk.helpers import assert_whole, fingerprint

CHECKER = Path(__file__).resolve().parents[2].parent / "shared" / "referee" / "plan_check.py"
STEPS = 20
_numbers = itertools.count()


class Player:
    """Makes edits at random, of what the desk shows."""

    def __init__(self, service: Any, seed: int) -> None:
        self.service = service
        self.random = random.Random(seed)
        self.browser = service.as_("planner")
        self.plan = int(self.browser.post(f"/api/v1/plans/{service.plan_id}/drafts", json={"title": "试"}).json()["id"])
        self.desk = self._open()
        self.kinds: set[str] = set()

    def _open(self) -> dict[str, Any]:
        return dict(self.browser.get(f"/api/v1/plans/{self.plan}/desk").json())

    def post(self, path: str, **body: Any) -> Any:
        body["request_id"] = f"random-{next(_numbers):06d}"
        return self.browser.post(f"/api/v1/plans/{self.plan}/{path}", json=body)

    def step(self) -> bool:
        """One edit; whether it was done and stays."""
        kind, more = self._edit()
        answer = self.post("edits", kind=kind, base=self.desk["seq"], **more)
        assert answer.status_code in (200, 409, 422), answer.text
        if answer.status_code != 200:
            return False
        torn = any(cell["pieces"] > 1 for cell in answer.json()["cells"])
        if torn:
            assert self.post("undo").status_code == 200
        else:
            self.kinds.add(kind)
        self.desk = self._open()
        return not torn

    def _edit(self) -> tuple[str, dict[str, Any]]:
        pick, desk = self.random.choice, self.desk
        low = [cell for cell in desk["cells"] if cell["depth"] == 2]
        grid = pick([cell for cell in desk["cells"] if cell["depth"] == 1])
        cell = pick(low)
        near = [one for one in low if one["community"] == cell["community"]]
        part = pick([one for one in desk["parts"] if one["cell"] in {c["id"] for c in near}])
        west, south, east, north = (pick([cell, grid]))["bbox"]
        x = west + self.random.uniform(0.2, 0.8) * (east - west)
        y = south + self.random.uniform(0.2, 0.8) * (north - south)
        around = shapely.Point(x, y).buffer(self.random.uniform(0.1, 0.6) * (east - west), quad_segs=3)
        ring = [list(point) for point in around.exterior.coords]
        target = pick([cell, grid])
        return pick(
            [
                ("move", {"parts": [part["id"]], "to": cell["id"]}),
                ("move", {"building": part["building"], "to": cell["id"]}),
                ("move", {"building": part["building"], "to": grid["id"]}),
                ("new", {"parts": [part["id"]], "parent": cell["parent"]}),
                ("new", {"parts": [part["id"]]}),
                ("merge", {"cells": [cell["id"]], "into": pick(near)["id"]}),
                ("reparent", {"cells": [cell["id"]], "to": grid["id"]}),
                ("split", {"cell": target["id"], "n": pick([2, 3])}),
                ("cut", {"cell": target["id"], "line": [[x, south - 0.01], [x + 1e-4, north + 0.01]]}),
                ("reshape", {"cell": target["id"], "ring": ring}),
                ("break", {"building": part["building"], "by": "units"}),
                ("break", {"building": part["building"], "by": "floors", "cuts": [pick([3, 5])]}),
                ("join", {"building": part["building"]}),
                ("rename", {"cell": cell["id"], "name": pick(["好", "学校"])}),
                ("dedicate", {"cell": cell["id"], "is_dedicated": pick([True, False])}),
            ]
        )


@pytest.fixture
def service(home: Path, built: Any, tmp_path: Path) -> Iterator[Any]:
    with serving(home, built, tmp_path) as one:
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_draft_stays_whole_whatever_is_done_and_undone(service: Any, seed: int, tmp_path: Path) -> None:
    player = Player(service, seed)
    engine = make_engine(service.url)

    def rows() -> list[str]:
        with unit_of_work(engine) as session:
            assert_whole(session, player.plan)
            return fingerprint(session, player.plan)

    before = rows()
    done = 0
    for _ in range(STEPS):
        if player.step():
            done += 1
            rows()
    assert done >= STEPS / 6
    after = rows()
    with unit_of_work(engine) as session:
        assert broken(session, player.plan, tmp_path) == []
    steps = 0
    while player.post("undo").status_code == 200:
        steps += 1
    assert steps == done
    assert rows() == before
    for _ in range(steps):
        assert player.post("redo").status_code == 200
    assert rows() == after
    engine.dispose()


def broken(session: Any, plan_id: int, folder: Path) -> list[str]:
    """What the checker of plan files finds; nothing where it is not at hand."""
    if not CHECKER.is_file():
        return []
    spec = importlib.util.spec_from_file_location("plan_check", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    town = plans.town_of(session, community_ids=plan_review.community_ids(session, plan_id))
    town_file.write(town, folder / "town.gpkg")
    plan_file.write(plan_review.division_of(session, plan_id), folder / "plan.gpkg")
    return list(module.check(folder / "town.gpkg", folder / "plan.gpkg", (300, 500), (50, 80))["broken"])
