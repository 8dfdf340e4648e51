"""A compound that is imported after a draft was opened: known at once, taken up, and made a grid of its own."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from sqlalchemy.orm import Session

from gis import desk_checks, desk_log, desk_rows
from gis.errors import InvalidInput
from gis.ingest import store
from gis.permissions import SYSTEM
from gis.town import Town, conform
from tests.desk.helpers import Desk, assert_whole, desk, fingerprint, request_id
from tests.usecases.builders import NOW, SmallTown

SIDE = 0.0004
"""Of a new building; the crossing of the four buildings in the middle of a grid is free ground."""


@pytest.fixture
def two(session: Session) -> Desk:
    """Two communities, opened."""
    made = desk(session, communities=2)
    assert made.board.seq == 0
    return made


def arrive(session: Session, town: SmallTown, *households: int) -> list[str]:
    """Import a compound of new buildings between the four in the south-west of the town; gives their codes."""
    community = town.communities[0].code
    west, south = (value - 1.5 * SIDE for value in _crossing(town))
    code = f"{community}-K9"
    grounds = [shapely.box(west + 2 * n * SIDE, south, west + (2 * n + 1) * SIDE, south + SIDE)
               for n in range(len(households))]  # fmt: skip
    codes = [f"{community}9{n:04d}" for n in range(len(households))]
    layers = {
        "compounds": gpd.GeoDataFrame(
            {"code": [code], "community": [community], "name": ["新家园"]},
            geometry=[shapely.union_all(grounds).envelope], crs="EPSG:4326",
        ),
        "buildings": gpd.GeoDataFrame(
            {"code": codes, "community": community, "compound": code, "households": list(households),
             "name": [f"{n + 1}号楼" for n in range(len(households))], "floors": 18, "units": 2},
            geometry=grounds, crs="EPSG:4326",
        ),
    }  # fmt: skip
    given = Town(layers={name: conform(name, frame) for name, frame in layers.items()})
    store(session, given, actor=SYSTEM, now=NOW, source="test")
    return codes


def _crossing(town: SmallTown) -> tuple[float, float]:
    (west, south), (east, north) = town.middle(0, 0), town.middle(0, 5)
    return (west + east) / 2, (south + north) / 2


def codes_of(desk: Desk, severity: str = "error") -> list[str]:
    found = desk_checks.checks(desk.session, desk.plan_id, language="en")
    return [one["code"] for one in found if one["severity"] == severity]


def ids(desk: Desk, codes: list[str]) -> list[int]:
    return [one.id for one in desk.board.setting.buildings.values() if one.code in codes]


def test_what_an_import_brings_is_known_to_an_open_draft(two: Desk) -> None:
    codes = arrive(two.session, two.town, 30, 40)
    assert set(ids(two, codes)) <= set(two.board.setting.buildings)
    assert codes_of(two).count("check.unassigned") == 2
    assert two.board.setting.town == desk_rows.last_import(two.session)


def test_a_new_compound_is_taken_up_and_becomes_a_cell_of_its_own(two: Desk) -> None:
    before = fingerprint(two.session, two.plan_id)
    far = [face for face in two.board.faces.values() if face.community == two.town.communities[1].id]
    codes = arrive(two.session, two.town, 30, 40)
    told = edit(two, "take_up")
    assert told["summary"]["params"] == {"buildings": 2, "households": 70, "recounted": 0}
    assert {one["code"] for one in told["buildings"]} == set(codes)
    assert [one["name"] for one in told["compounds"]] == ["新家园"]
    assert [face for face in two.board.faces.values() if face.community == far[0].community] == far
    faces = [key for one in ids(two, codes) for key in two.board.faces_of[one]]
    assert len(faces) >= 2

    two.edit("new", faces=faces)
    assert codes_of(two) == []
    [made] = [cell for cell in two.board.cells.values() if cell.households == 70 and cell.depth == 1]
    assert made.buildings == 2
    two.undo()
    two.undo()
    assert fingerprint(two.session, two.plan_id) == before
    two.redo()
    two.redo()
    assert codes_of(two) == []
    assert_whole(two.session, two.plan_id)


def test_a_new_building_may_join_the_cell_beside_it(two: Desk) -> None:
    codes = arrive(two.session, two.town, 30)
    edit(two, "take_up")
    [building] = ids(two, codes)
    home = two.cell_of(0)
    two.edit("move", building=building, to=home.id)
    assert two.board.cells[home.id].households == home.households + 30
    assert codes_of(two) == []


def test_counts_that_an_import_changed_are_followed(two: Desk) -> None:
    code = f"{two.town.communities[0].code}{1:05d}"
    layers = {"buildings": conform("buildings", pd.DataFrame({"code": [code], "households": [33]}))}
    store(two.session, Town(layers=layers), actor=SYSTEM, now=NOW, source="test")
    assert codes_of(two) == ["check.households_changed"]
    told = edit(two, "take_up")
    assert told["summary"]["params"]["recounted"] == 1
    assert codes_of(two) == []
    assert two.cell_of(0).households == 4 * 20 + 13
    assert_whole(two.session, two.plan_id)


def test_nothing_new_is_told(two: Desk) -> None:
    with pytest.raises(InvalidInput) as caught:
        two.edit("take_up")
    assert caught.value.code == "edit.nothing_new"


def edit(desk: Desk, kind: str) -> dict[str, Any]:
    """As `Desk.edit`, where buildings may still be without a cell."""
    seq = desk_log.seq_of(desk.session, desk.plan_id)
    asked = {"kind": kind, "request_id": request_id(), "base": seq}
    return desk_log.edit(desk.session, desk.plan_id, asked, actor=desk.actor, now=NOW)
