"""Every violation that the checks know, made on the chequered town; and drawings that do not fit their ground."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from sqlalchemy import text

from gis import desk_checks, desk_log, plans, rules
from gis.desk import checks
from gis.desk.board import Board, Rows
from gis.models import Building
from gis.permissions import SYSTEM
from gis.rule_set import load_preset
from tests.desk.helpers import Desk, assert_whole, desk
from tests.usecases.builders import LAT, LON, LONG_AGO, NOW, SIZE, divide, make_town, square, wkt


@pytest.fixture
def one(session: Any) -> Desk:
    return desk(session)


def codes(board: Board) -> set[str]:
    return {item["code"] for item in checks.violations(board)}


def items(one: Desk, code: str) -> list[dict[str, Any]]:
    return [item for item in desk_checks.checks(one.session, one.plan_id, language="en") if item["code"] == code]


def test_cells_out_of_band_are_told_with_the_band_unless_they_are_dedicated(one: Desk) -> None:
    (first, *_) = items(one, "check.under")
    assert first["params"]["low"] == 300
    assert "300" in first["text"]
    one.edit("dedicate", cell=first["cell_id"], is_dedicated=True)
    assert first["cell_id"] not in {item["cell_id"] for item in items(one, "check.under")}
    one.edit("merge", cells=[one.cell_of(0).id], into=one.cell_of(8).id)
    assert items(one, "check.over")


def test_a_torn_cell_is_an_error(one: Desk) -> None:
    assert not items(one, "check.pieces")
    one.edit("move", building=one.building(15), to=one.cell_of(0).id)
    (found,) = [item for item in items(one, "check.pieces") if item["cell_id"] == one.cell_of(0).id]
    assert (found["severity"], found["params"]["pieces"]) == ("error", 2)


def test_a_building_without_a_cell_is_shown_and_placed_by_moving_it(session: Any) -> None:
    town = desk(session)
    area = town.town.communities[0].id
    west, south = LON + SIZE * 0.45, LAT + SIZE * 0.45
    session.add(
        Building(area_id=area, code="NEW", households=9, geom=wkt(square(west, south, west + 5e-4, south + 5e-4)))
    )
    session.flush()
    new = session.scalar(text("SELECT id FROM building WHERE code = 'NEW'"))
    (found,) = items(town, "check.unassigned")
    assert (found["building_id"], found["severity"]) == (new, "error")
    told = town.edit("move", building=new, to=town.cell_of(5).id)
    assert [part["households"] for part in told["parts"]] == [9]
    assert not items(town, "check.unassigned")
    assert_whole(session, town.plan_id)
    session.execute(text("UPDATE building SET households = 11 WHERE id = :id"), {"id": new})
    desk_log.boards._known.clear()
    assert items(town, "check.households_changed")


def _is_surrounded(board: Board, cell: int) -> bool:
    """Whether one other cell is all that a cell touches, found from the polygons."""
    grounds = {one.id: shapely.from_wkb(one.ground) for one in board.lowest_cells.values()}
    beside = [key for key, ground in grounds.items() if key != cell and shapely.intersects(ground, grounds[cell])]
    return len(beside) == 1


def test_an_enclave_and_a_barrier_are_found_from_the_borders(one: Desk) -> None:
    board = one.board
    grids = sorted(cell.id for cell in board.cells.values() if cell.depth == 1)
    told = one.edit("new", faces=sorted(board.faces_of[one.building(5)]), parent=grids[0])
    new = next(cell["id"] for cell in told["cells"] if cell["depth"] == 2 and cell["households"] == 20)
    assert (new in {item["cell_id"] for item in items(one, "check.enclave")}) == _is_surrounded(one.board, new)
    # All borders of a grid's middle as if an arterial ran there.
    board = one.board
    low = one.cell_of(0).id
    own = {face.id for face in board.faces_in(low)}
    inner = {
        key: replace(edge, barrier=4, is_crossable=False)
        for key, edge in board.edges.items()
        if edge.a in own and edge.b in own
    }
    crossed = checks.violations(board.replaced(Rows(edges=dict(inner))))
    assert low in {item["cell_id"] for item in crossed if item["code"] == "check.barrier_crossed"}


def test_sums_and_ground_that_do_not_agree_are_errors(one: Desk) -> None:
    board = one.board
    grid = next(cell for cell in board.cells.values() if cell.depth == 1)
    wrong = board.replaced(Rows(cells={grid.id: replace(grid, households=1)}))
    assert "check.tier_mismatch" in codes(wrong)
    face = next(iter(board.faces.values()))
    wider = shapely.to_wkb(shapely.buffer(shapely.from_wkb(face.shape), 1e-4))
    overlapping = board.replaced(Rows(faces={face.id: replace(face, shape=wider)}))
    assert "check.tier_mismatch" not in codes(board)
    assert "check.ground_fault" not in codes(board)
    assert "check.ground_fault" in codes(overlapping)
    parts = {part.id: None for part in board.parts_on(face)}
    free = board.replaced(Rows(parts=dict(parts), faces={face.id: replace(face, building=None, cell=None)}))
    assert "check.ground_free" in codes(free)


def test_nobody_responsible_is_told_where_posts_are_held_at_all(one: Desk) -> None:
    board = one.board
    assert "check.nobody_responsible" not in codes(board)
    cell = next(iter(board.cells.values()))
    setting = replace(board.setting, people={cell.code: 1})
    found = checks.violations(replace(board, setting=setting))
    told = {item["cell_id"] for item in found if item["code"] == "check.nobody_responsible"}
    assert told == board.cells.keys() - {cell.id}


def test_a_cut_compound_that_would_fit_is_told(session: Any) -> None:
    town = desk(session)
    code = town.town.communities[0].code
    session.execute(
        text("INSERT INTO compound (area_id, code, geom) SELECT :area, 'K', geom FROM admin_area WHERE id = :area"),
        {"area": town.town.communities[0].id},
    )
    session.execute(
        text("UPDATE building SET compound_id = (SELECT id FROM compound) WHERE code IN (:a, :b)"),
        {"a": f"{code}00001", "b": f"{code}00004"},
    )
    (found,) = items(town, "check.compound_cut")
    assert found["compound_id"] is not None
    compound = next(iter(town.board.setting.compounds))
    town.edit("move", compound=compound, to=town.cell_of(3).id)
    assert not items(town, "check.compound_cut")


def test_under_six_tiers_a_compound_is_held_to_the_tier_that_has_room_for_it(session: Any) -> None:
    town = desk(session, preset="six", pieces=(1, 2, 2))
    community = town.town.communities[0]
    session.execute(
        text("INSERT INTO compound (area_id, code, geom) SELECT :area, 'K', geom FROM admin_area WHERE id = :area"),
        {"area": community.id},
    )
    everywhere = "UPDATE building SET compound_id = (SELECT id FROM compound) WHERE area_id = :area"
    session.execute(text(everywhere), {"area": community.id})
    (found,) = items(town, "check.compound_cut")
    assert (found["params"]["tier"], len(found["params"]["cells"])) == ("网格", 2)
    assert "would fit into one Grid" in found["text"]
    session.execute(
        text("UPDATE building SET households = households * 2 WHERE area_id = :area"), {"area": community.id}
    )
    session.execute(
        text("UPDATE grid_part SET households = households * 2 WHERE plan_id = :plan"), {"plan": town.plan_id}
    )
    again = Desk(session, town.town, town.plan_id)
    assert not items(again, "check.compound_cut")


def test_a_cell_drawn_wholly_under_another_goes_when_the_draft_is_opened(session: Any) -> None:
    """As in an imported division: two drawings of one ground."""
    town = make_town(session)
    rule_set = load_preset("bishan")
    row = rules.store(
        session, rule_set, area_id=town.street.id, valid_from=date(2020, 1, 1), actor=SYSTEM, now=LONG_AGO
    )
    plan = plans.create_draft(
        session, area_id=town.street.id, rule_set_id=row.id, title="导入", actor=SYSTEM, now=LONG_AGO
    )
    made = divide(town, rule_set, pieces=(2, 2))
    grids, micros = made.cells
    double = micros.iloc[[0]].assign(code=micros["code"].iloc[0][:-2] + "77", households=20)
    micros.loc[0, "households"] = 60
    parts = made.parts.copy()
    parts.loc[parts.index[parts["cell"] == micros["code"].iloc[0]][0], "cell"] = double["code"].iloc[0]
    micros = gpd.GeoDataFrame(pd.concat([micros, double], ignore_index=True), crs="EPSG:4326")
    division = replace(made, cells=(grids, micros), parts=parts)
    plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=NOW)
    opened = Desk(session, town, plan.id)
    assert len(opened.board.lowest_cells) == 4
    assert_whole(session, plan.id)
