"""Every kind of edit on the chequered town, with what it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shapely

from gis.desk import edits
from gis.desk.apply import Work
from gis.desk.splitting import split
from gis.desk_log import Source
from gis.errors import Conflict, GridError, InvalidInput
from tests.desk.helpers import Desk, assert_whole, desk, fingerprint
from tests.usecases.builders import LAT, LON, SIZE

HALF = SIZE / 2


@pytest.fixture
def one(session: Any) -> Desk:
    """One community, nothing stacked."""
    return desk(session)


@pytest.fixture
def stacked(session: Any) -> Desk:
    """The south-west building shared by floors."""
    return desk(session, stack=0)


def refused(act: Any, code: str, kind: type[GridError] = InvalidInput) -> GridError:
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == code
    return caught.value


# --- Opening ---------------------------------------------------------------------------------------------------------


def test_opening_makes_every_building_a_face_and_changes_no_cells(one: Desk) -> None:
    before = {cell.code: cell.households for cell in one.board.cells.values()}
    board = one.board
    assert_whole(one.session, one.plan_id)
    assert {face.building for face in board.faces.values()} >= set(board.setting.buildings)
    assert before == {cell.code: cell.households for cell in board.cells.values()}
    assert all(board.figures[key].pieces == 1 for key in board.cells)


def test_a_second_opening_makes_nothing_new(one: Desk) -> None:
    assert one.board.seq == 0
    before = fingerprint(one.session, one.plan_id)
    assert one.board.ground == 1
    assert fingerprint(one.session, one.plan_id) == before


def test_more_tiers_open_and_are_edited_alike(session: Any) -> None:
    deep = desk(session, preset="six", pieces=(2, 2, 2))
    assert deep.board.setting.lowest == 3
    target = deep.cell_of(15)
    told = deep.edit("move", building=deep.building(0), to=target.id)
    assert {cell["depth"] for cell in told["cells"]} == {1, 2, 3}
    deep.edit("split", cell=deep.board.cells[target.parent].parent, n=2)
    deep.undo()
    deep.undo()


# --- Moving ----------------------------------------------------------------------------------------------------------


def test_a_building_moves_with_its_ground(one: Desk) -> None:
    building, target = one.building(1), one.cell_of(2)
    source = one.cell_of(1)
    told = one.edit("move", building=building, to=target.id)
    cells = {cell["id"]: cell for cell in told["cells"]}
    assert cells[target.id]["households"] == target.households + 20
    assert cells[source.id]["households"] == source.households - 20
    assert cells[target.id]["area_m2"] > target.area_m2
    assert told["summary"]["params"] == {"buildings": 1, "households": 20, "to": target.code}
    point = one.board.setting.buildings[building]
    ground = shapely.from_wkb(one.board.cells[target.id].ground)
    assert shapely.intersects(ground, shapely.Point(point.lon, point.lat))


def test_moving_by_part_by_face_and_by_building_is_the_same(one: Desk) -> None:
    target = one.cell_of(2).id
    building = one.building(1)
    faces = sorted(one.board.faces_of[building])
    parts = sorted(one.board.parts_of[building])
    found = []
    for how in ({"building": building}, {"faces": faces}, {"parts": parts}):
        one.edit("move", to=target, **how)
        found.append(fingerprint(one.session, one.plan_id))
        one.undo()
    assert found[0] == found[1] == found[2]


def test_a_cell_that_loses_everything_is_removed_with_its_parents(one: Desk) -> None:
    grids = sorted(cell.id for cell in one.board.cells.values() if cell.depth == 1)
    target = one.board.under(grids[1])[0]
    faces = [face.id for low in one.board.under(grids[0]) for face in one.board.faces_in(low)]
    gone = {grids[0], *one.board.under(grids[0])}
    told = one.edit("move", faces=faces, to=target)
    assert set(told["removed_cells"]) == gone
    assert [cell.id for cell in one.board.cells.values() if cell.depth == 1] == [grids[1]]


def test_what_is_moved_into_a_grid_joins_the_best_micro_grid_there(one: Desk) -> None:
    grid = one.board.cells[one.cell_of(2).parent or 0]
    told = one.edit("move", building=one.building(1), to=grid.id)
    moved = one.board.parts[told["parts"][0]["id"]]
    assert moved.cell == one.cell_of(2).id


def test_whole_micro_grids_move_into_a_grid_as_they_are(one: Desk) -> None:
    cell = one.cell_of(0)
    grid = one.cell_of(2).parent
    told = one.edit("move", faces=[face.id for face in one.board.faces_in(cell.id)], to=grid)
    assert told["removed_cells"] == []
    assert one.board.cells[cell.id].parent == grid


def test_nothing_leaves_its_community(session: Any) -> None:
    two = desk(session, communities=2)
    there = two.cell_of(0, community=1)
    refused(lambda: two.edit("move", building=two.building(0), to=there.id), "edit.other_community")
    refused(lambda: two.edit("merge", cells=[two.cell_of(0).id], into=there.id), "edit.other_community")
    refused(lambda: two.edit("reparent", cells=[two.cell_of(0).id], to=there.parent), "edit.other_community")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"building": 10**9}, "edit.unknown_building"),
        ({"faces": [10**9]}, "edit.unknown_face"),
        ({"parts": [10**9]}, "edit.unknown_part"),
        ({"compound": 10**9}, "edit.unknown_compound"),
        ({}, "edit.nothing_chosen"),
    ],
)
def test_what_is_not_there_cannot_be_moved(one: Desk, more: dict[str, Any], code: str) -> None:
    refused(lambda: one.edit("move", to=one.cell_of(0).id, **more), code)


def test_unknown_cells_and_kinds_are_refused(one: Desk) -> None:
    refused(lambda: one.edit("move", building=one.building(0), to=10**9), "edit.unknown_cell")
    refused(lambda: one.edit("paint", to=1), "edit.unknown_kind")
    refused(lambda: one.edit("move", building=one.building(0), to=one.cell_of(0).id), "edit.changes_nothing")
    refused(lambda: one.edit("rename", cell=one.cell_of(0).id, name="好", base=99), "edit.bad_base")


# --- New, merge, reparent, split -------------------------------------------------------------------------------------


def test_a_new_cell_comes_under_a_parent_or_a_new_grid(one: Desk) -> None:
    faces = sorted(one.board.faces_of[one.building(5)])
    told = one.edit("new", faces=faces, parent=one.cell_of(5).parent)
    assert len([cell for cell in told["cells"] if cell["households"] == 20]) == 1
    told = one.edit("new", faces=sorted(one.board.faces_of[one.building(6)]))
    assert sorted(cell["depth"] for cell in told["cells"] if cell["households"] == 20) == [1, 2]
    codes = [cell.code for cell in one.board.cells.values()]
    assert len(set(codes)) == len(codes)


def test_cells_merge_on_every_tier(one: Desk) -> None:
    low, other = one.cell_of(0), one.cell_of(8)
    assert low.parent == other.parent
    told = one.edit("merge", cells=[low.id], into=other.id)
    assert told["removed_cells"] == [low.id]
    grids = sorted(cell.id for cell in one.board.cells.values() if cell.depth == 1)
    told = one.edit("merge", cells=grids, into=grids[0])
    assert told["removed_cells"] == [grids[1]]
    assert one.board.cells[grids[0]].households == 16 * 20
    refused(lambda: one.edit("merge", cells=[grids[0]], into=other.id), "edit.other_tier")
    refused(lambda: one.edit("merge", cells=[other.id], into=other.id), "edit.nothing_chosen")


def test_a_micro_grid_comes_under_another_grid_with_a_code_that_says_so(one: Desk) -> None:
    cell, to = one.cell_of(0), one.cell_of(2).parent
    one.edit("reparent", cells=[cell.id], to=to)
    assert one.board.cells[cell.id].code.startswith(one.board.cells[to or 0].code)
    refused(lambda: one.edit("reparent", cells=[cell.id], to=one.cell_of(5).id), "edit.wrong_parent")
    refused(lambda: one.edit("reparent", cells=[], to=to), "edit.nothing_chosen")


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_cell_splits_evenly_into_so_many_pieces(one: Desk, count: int) -> None:
    low = one.cell_of(0)
    told = one.edit("split", cell=low.id, n=count)
    cells = [cell for cell in told["cells"] if cell["depth"] == 2]
    assert len(cells) == count
    assert all(cell["pieces"] == 1 for cell in cells)
    if count != 3:
        assert {cell["households"] for cell in cells} == {80 // count}


def test_a_grid_splits_by_whole_micro_grids(one: Desk) -> None:
    grid = one.cell_of(0).parent or 0
    before = set(one.board.under(grid))
    told = one.edit("split", cell=grid, n=2)
    assert sorted(cell["households"] for cell in told["cells"] if cell["depth"] == 1) == [80, 80]
    assert before <= set(one.board.cells)
    refused(lambda: one.edit("split", cell=one.cell_of(0).id, n=40), "edit.too_few")
    refused(lambda: one.edit("split", cell=one.cell_of(0).id, n=51), "edit.bad_count")


# --- Lines -----------------------------------------------------------------------------------------------------------


def test_a_line_cuts_a_micro_grid_and_buildings_follow_their_points(one: Desk) -> None:
    cell = one.cell_of(0)
    x = LON + SIZE / 4
    told = one.edit("cut", cell=cell.id, line=[[x, LAT - 0.001], [x + 1e-5, LAT + HALF + 0.001]])
    new = next(c for c in told["cells"] if c["depth"] == 2 and c["id"] != cell.id)
    kept = next(c for c in told["cells"] if c["id"] == cell.id)
    assert (new["households"], kept["households"]) == (40, 40)


def test_a_line_cuts_a_grid_through_its_micro_grids(one: Desk) -> None:
    grid = one.cell_of(0).parent or 0
    x = LON + SIZE / 4
    told = one.edit("cut", cell=grid, line=[[x, LAT - 0.001], [x, LAT + SIZE + 0.001]])
    assert sorted(c["households"] for c in told["cells"] if c["depth"] == 1) == [80, 80]
    assert len([c for c in told["cells"] if c["depth"] == 2]) == 4


def test_a_ring_takes_in_and_leaves_out(one: Desk) -> None:
    cell = one.cell_of(0)
    west, south = LON, LAT
    ring = [
        [west, south],
        [west + 0.75 * SIZE, south],
        [west + 0.75 * SIZE, south + SIZE / 4],
        [west, south + SIZE / 4],
    ]
    told = one.edit("reshape", cell=cell.id, ring=ring)
    kept = next(c for c in told["cells"] if c["id"] == cell.id)
    assert kept["households"] == 60
    assert one.cell_of(2).id == cell.id
    assert one.cell_of(4).id != cell.id


def test_a_grid_is_reshaped_too(one: Desk) -> None:
    grid = one.cell_of(0).parent or 0
    ring = [[LON, LAT], [LON + 0.75 * SIZE, LAT], [LON + 0.75 * SIZE, LAT + SIZE], [LON, LAT + SIZE]]
    told = one.edit("reshape", cell=grid, ring=ring)
    assert next(c for c in told["cells"] if c["id"] == grid)["households"] == 240


def test_what_a_new_border_leaves_out_does_not_come_back_with_what_it_takes_in(session: Any) -> None:
    rows = desk(session, pieces=(2, 4))
    step = SIZE / 4
    grid = rows.cell_of(0).parent or 0
    # The second row of the eastern grid comes over a narrow strip; two buildings beside it are left out.
    corners = [(0, 0), (2, 0), (2, 1), (4, 1), (4, 2), (2.05, 2), (2.05, 1.15), (1.05, 1.15), (1.05, 2.95), (2, 2.95),
               (2, 4), (0, 4)]  # fmt: skip
    rows.edit("reshape", cell=grid, ring=[[LON + x * step, LAT + y * step] for x, y in corners])
    assert {number for number in range(16) if rows.cell_of(number).parent == grid} == {0, 1, 4, 6, 7, 8, 12, 13}


def test_land_is_split_by_the_line_and_undone_to_the_byte(session: Any) -> None:
    bare = desk(session, pieces=(2, 2))
    board = bare.board
    before = fingerprint(session, bare.plan_id)
    # A building that is nowhere any more leaves its ground as land.
    building = bare.building(5)
    face = board.faces[min(board.faces_of[building])]
    work = Work(board, Source(session))
    box = shapely.from_wkb(face.shape).bounds
    x = (box[0] + box[2]) / 2 + 1e-6
    line = shapely.LineString([(x, box[1] - 1e-3), (x + 3e-5, box[3] + 1e-3)])
    made = split(work, [face.id], [line])
    assert len(made[face.id]) == 2
    shapes = shapely.from_wkb([one.shape for one in work.board.faces.values()])
    metric = board.setting.metric(shapes)
    assert shapely.coverage_is_valid(metric, gap_width=0.05)
    area = sum(work.board.faces[key].area_m2 for key in made[face.id])
    assert area == pytest.approx(face.area_m2, rel=1e-6)
    pieces = [shapely.from_wkb(work.board.faces[key].shape) for key in made[face.id]]
    assert all(shapely.hausdorff_distance(line.intersection(p), p.boundary.intersection(line.buffer(1e-6))) < 1
               for p in pieces)  # fmt: skip
    assert fingerprint(session, bare.plan_id) == before


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ([[0, 0], [0, 0]], "edit.bad_line"),
        ([[float("nan"), 0], [1, 1]], "edit.bad_line"),
        ([[1e300, 0], [1, 1]], "edit.bad_line"),
        ([[0, 0, 0], [1, 1, 1]], "edit.bad_line"),
        ("a line", "edit.bad_line"),
        ([[10, 10], [11, 11]], "edit.line_does_not_cut"),
        ([[LON + 0.001, LAT + 0.001], [LON + 0.0011, LAT + 0.0011]], "edit.line_does_not_cut"),
    ],
)
def test_lines_that_cut_nothing_are_refused(one: Desk, line: Any, code: str) -> None:
    refused(lambda: one.edit("cut", cell=one.cell_of(0).id, line=line), code)


@pytest.mark.parametrize(
    ("ring", "code"),
    [
        ([[0, 0], [1, 1], [2, 2]], "edit.bad_ring"),
        ([[0, 0], [0, 0], [1, 0]], "edit.bad_line"),
        ([[10, 10], [11, 10], [11, 11]], "edit.nothing_left"),
        ([[float("inf"), 0], [1, 1], [2, 0]], "edit.bad_line"),
    ],
)
def test_rings_around_nothing_are_refused(one: Desk, ring: Any, code: str) -> None:
    refused(lambda: one.edit("reshape", cell=one.cell_of(0).id, ring=ring), code)


# --- Towers ----------------------------------------------------------------------------------------------------------


def test_a_building_breaks_into_staircases_with_strips_of_ground(one: Desk) -> None:
    building = one.building(5)
    told = one.edit("break", building=building, by="units")
    assert sorted((part["unit_from"], part["unit_to"], part["households"]) for part in told["parts"]) == [
        (1, 1, 10), (2, 2, 10)
    ]  # fmt: skip
    assert told["ground"]["removed_faces"]
    east = max(told["parts"], key=lambda part: part["unit_from"])
    target = one.cell_of(6).id
    one.edit("move", parts=[east["id"]], to=target)
    assert one.board.parts[east["id"]].cell == target
    assert one.board.figures[target].pieces == 1
    told = one.edit("join", building=building)
    assert [part["households"] for part in told["parts"]] == [20]
    refused(lambda: one.edit("break", building=building, by="units", cuts=[5]), "edit.bad_cuts")


def test_a_building_breaks_into_floors_over_its_own_ground(one: Desk) -> None:
    building, source = one.building(5), one.cell_of(5)
    told = one.edit("break", building=building, by="floors", cuts=[5])
    new = [cell for cell in told["cells"] if cell["floor_from"] is not None]
    assert [(cell["floor_from"], cell["floor_to"], cell["households"]) for cell in new] == [(1, 5, 10), (6, 10, 10)]
    assert len({one.board.cells[cell["id"]].ground for cell in new}) == 1
    assert one.board.cells[source.id].households == 60
    refused(lambda: one.edit("merge", cells=[new[0]["id"]], into=new[0]["id"]), "edit.nothing_chosen")
    refused(lambda: one.edit("break", building=building, by="floors", cuts=[5]), "edit.join_first")
    refused(lambda: one.edit("cut", cell=new[0]["id"], line=[[LON, LAT], [LON + 1, LAT + 1]]), "edit.cell_is_stacked")
    told = one.edit("join", building=building)
    assert len(told["removed_cells"]) == 1
    assert [cell["floor_from"] for cell in told["cells"] if cell["households"] == 20] == [None]


def test_floors_move_between_the_cells_of_a_stack_and_the_tower_as_a_whole(stacked: Desk) -> None:
    low = stacked.cell_of(0)
    stack = stacked.board.stack(low.id)
    assert len(stack) == 2
    other = next(one for one in stack if one != low.id)
    part = min(stacked.board.parts_of[stacked.building(0)])
    told = stacked.edit("move", parts=[part], to=other)
    assert told["parts"][0]["cell"] == other
    stacked.undo()
    away = stacked.cell_of(2)
    told = stacked.edit("move", parts=[part], to=away.id)
    assert {one["cell"] for one in told["parts"]} == {away.id}


def test_units_and_floors_that_nobody_knows_are_refused_unless_said(one: Desk) -> None:
    board = one.board
    building = one.building(5)
    unknown = replace(board.setting.buildings[building], units=None, floors=None)
    setting = replace(board.setting, buildings={**board.setting.buildings, building: unknown})
    nobody_knows = replace(board, setting=setting)
    for by in ("units", "floors"):
        work = Work(nobody_knows, Source(one.session))
        asked = {"kind": "break", "building": building, "by": by}
        refused(lambda asked=asked, work=work: edits.run(work, asked), f"edit.{by}_unknown")
        edits.run(work, {**asked, "cuts": [1]})


# --- Names, dedicated grids, locks -----------------------------------------------------------------------------------


def test_cells_are_named_and_dedicated(one: Desk) -> None:
    cell = one.cell_of(0)
    told = one.edit("rename", cell=cell.id, name="  学校专属  ")
    assert told["cells"][0]["name"] == "学校专属"
    told = one.edit("dedicate", cell=cell.id, is_dedicated=True)
    assert told["cells"][0]["dedicated"] is True
    refused(lambda: one.edit("rename", cell=cell.id, name="长" * 61), "edit.bad_name")
    refused(lambda: one.edit("rename", cell=cell.id, name="a\x00b"), "edit.bad_name")


def test_a_locked_cell_building_or_plan_is_left_as_it_is(one: Desk) -> None:
    cell, building = one.cell_of(0), one.building(1)
    one.edit("lock", cells=[cell.parent], buildings=[one.building(2)])
    found = refused(lambda: one.edit("move", building=building, to=one.cell_of(2).id), "edit.locked", Conflict)
    assert found.params["cells"] == [one.board.cells[cell.parent or 0].code]
    refused(lambda: one.edit("move", building=building, to=one.cell_of(4).id), "edit.changes_nothing")
    refused(lambda: one.edit("rename", cell=cell.id, name="好"), "edit.locked", Conflict)
    found = refused(lambda: one.edit("move", building=one.building(2), to=one.cell_of(10).id), "edit.locked", Conflict)
    assert found.params["buildings"] == [one.board.setting.buildings[one.building(2)].code]
    one.edit("unlock", cells=[cell.parent], buildings=[one.building(2)])
    one.edit("move", building=building, to=one.cell_of(2).id)
    one.edit("lock", all=True)
    found = refused(lambda: one.edit("move", building=one.building(8), to=one.cell_of(2).id), "edit.locked", Conflict)
    assert found.params["all"] is True
    told = one.edit("unlock", all=True)
    assert told["locked_all"] is False
    one.edit("move", building=one.building(9), to=one.cell_of(2).id)
    refused(lambda: one.edit("lock"), "edit.nothing_chosen")


def test_a_batch_is_all_or_nothing(one: Desk) -> None:
    assert one.board.seq == 0
    before = fingerprint(one.session, one.plan_id)
    first = {"kind": "move", "building": one.building(1), "to": one.cell_of(2).id}
    refused(lambda: one.edit("batch", edits=[first, {"kind": "split", "cell": 10**9, "n": 2}]), "edit.unknown_cell")
    assert one.board.seq == 0
    told = one.edit("batch", edits=[first, {"kind": "move", "building": one.building(5), "to": one.cell_of(2).id}])
    assert told["summary"]["params"] == {"count": 2}
    one.undo()
    assert fingerprint(one.session, one.plan_id) == before
