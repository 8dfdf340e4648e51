"""The ground as columns says what the ground as GeoJSON says."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
import shapely

from gis.desk import columns, telling
from gis.desk.apply import Work
from gis.desk.board import Board
from gis.desk.splitting import split
from gis.desk_log import Source
from tests.desk.helpers import desk

STEP = 1e-7
"""Degrees between points of the lattice."""

Rows = dict[int, dict[str, Any]]


def _geojson(board: Board) -> tuple[Rows, Rows]:
    ground = orjson.loads(orjson.dumps(telling.ground(board)))
    faces, edges = (
        {one["id"]: {**one["properties"], "shape": one["geometry"]} for one in ground[name]["features"]}
        for name in ("faces", "edges")
    )
    return faces, edges


def _read(data: bytes) -> tuple[Rows, Rows]:
    """Faces and edges by id, out of form 1; faces have lines in the place of a shape."""
    head, told = columns.parted(data)
    assert (head["form"], head["steps_per_degree"]) == (1, 10**7)
    ids = np.cumsum(told["face_id"]).tolist()
    whose, community = np.cumsum(told["face_building"]), np.cumsum(told["face_community"])
    faces: Rows = {
        key: {
            "building": int(whose[n]) or None, "community": int(community[n]), "area_m2": told["face_area_m2"][n],
            "unit_from": int(told["face_unit_from"][n]) or None, "unit_to": int(told["face_unit_to"][n]) or None,
            "lines": [],
        }
        for n, key in enumerate(ids)
    }  # fmt: skip
    points = (np.column_stack([np.cumsum(told["x"]), np.cumsum(told["y"])]) / head["steps_per_degree"]).tolist()
    ends = np.cumsum(told["edge_points"]).tolist()
    edges: Rows = {}
    for n, key in enumerate(np.cumsum(told["edge_id"]).tolist()):
        a, b = (ids[at] if at >= 0 else -1 for at in (told["edge_a"][n], told["edge_b"][n]))
        line = points[ends[n] - told["edge_points"][n] : ends[n]]
        barrier = int(told["edge_barrier"][n])
        edges[key] = {
            "a": a, "b": b, "length_m": told["edge_length_cm"][n] / 100, "barrier": barrier % columns.BARRED,
            "crossable": barrier < columns.BARRED, "shape": {"type": "LineString", "coordinates": line},
        }  # fmt: skip
        for face in {a, b} - {-1}:
            faces[face]["lines"].append(line)
    return faces, edges


def _assert_same(board: Board) -> None:
    faces, edges = _read(columns.packed(board))
    told_faces, told_edges = _geojson(board)
    land = dict(telling.land(board))
    assert edges == told_edges
    assert faces.keys() == told_faces.keys()
    for key, told in told_faces.items():
        lines, shape = faces[key].pop("lines"), shapely.from_geojson(orjson.dumps(told["shape"]))
        assert faces[key] == {name: told[name] for name in faces[key]}
        assert (land[key] if key in land else told["cell"]) == told["cell"]
        assert (key in land) == (not told["parts"])
        chained = shapely.boundary(
            shapely.build_area(shapely.multilinestrings([shapely.linestrings(x) for x in lines]))
        )
        assert shapely.hausdorff_distance(chained, shapely.boundary(shape)) <= 2 * STEP


def test_columns_say_what_geojson_says(session: Any) -> None:
    one = desk(session)
    _assert_same(one.board)
    one.edit("break", building=one.building(5), by="units")  # strips of ground, and neighbours with new corners
    one.edit("break", building=one.building(6), by="floors", cuts=[5])
    _assert_same(one.board)


def test_split_land_and_its_cell_are_told(session: Any) -> None:
    bare = desk(session, pieces=(2, 2))  # a building that is nowhere any more leaves its ground as land
    board = bare.board
    face = board.faces[min(board.faces_of[bare.building(5)])]
    west, south, east, north = shapely.from_wkb(face.shape).bounds
    work = Work(board, Source(session))
    middle = (west + east) / 2
    split(work, [face.id], [shapely.LineString([(middle, south - 1e-3), (middle + 3e-5, north + 1e-3)])])
    _assert_same(work.board)


def test_a_ground_is_written_once_until_it_changes(session: Any) -> None:
    one, grounds = desk(session), columns.Grounds(kept=1)
    first = grounds.gzipped("a", one.board)
    part = next(iter(one.board.parts.values()))
    other = next(key for key in one.board.lowest_cells if key != part.cell)
    one.edit("move", parts=[part.id], to=other)
    assert grounds.gzipped("a", one.board) is first
    assert columns.gunzipped(first) == columns.packed(one.board)
    one.edit("break", building=one.building(5), by="units")
    changed = grounds.gzipped("a", one.board)
    assert columns.parted(columns.gunzipped(changed))[0]["ground"] == one.board.ground
    assert grounds.gzipped("b", one.board) is not changed
    assert grounds.gzipped("a", one.board) is not changed  # forgotten for the other database's


@pytest.mark.parametrize("last", [2**31, -(2**31), 2**52])
def test_numbers_that_need_more_room_are_doubles(last: int) -> None:
    ids = [last, 5, last]
    values = columns._steps(ids)
    assert values.dtype == np.float64
    _, told = columns.parted(columns.joined({"form": 1}, {"pad": np.ones(3, dtype="u1"), "ids": values}))
    assert np.cumsum(told["ids"]).tolist() == ids
    assert told["pad"].tolist() == [1, 1, 1]


def test_a_plan_without_ground_is_no_columns() -> None:
    _, told = columns.parted(columns.joined({}, {"x": columns._narrow(np.zeros(0))}))
    assert told["x"].tolist() == []
