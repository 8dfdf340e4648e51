"""A building in several parts: by staircases, each with its strip of ground, or by floors, as a stack of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from gis.desk.apply import Assign, Cut, NewCell, Work
from gis.desk.board import Board, Building, Face, Part, Rows
from gis.desk.splitting import split
from gis.errors import InvalidInput
from gis.partition.ground import long_axes
from gis.partition.units import shares

Edit = Mapping[str, Any]
Summary = dict[str, Any]
_NONE: frozenset[int] = frozenset()
_REACH_M = 2000.0


def broken(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    """Cut a building that lies in one cell into staircases or floors.

    Raises
    ------
    InvalidInput
        ``edit.unknown_building``, ``edit.not_placed``, ``edit.join_first``, ``edit.units_unknown``,
        ``edit.floors_unknown``, ``edit.bad_cuts``, ``edit.no_room_for_units``.
    """
    building = _building(work.board, edit)
    part = _whole(work.board, building)
    by_units = edit["by"] == "units"
    count = building.units if by_units else building.floors
    cuts = sorted({int(cut) for cut in edit.get("cuts") or ()})
    if count is None or count < 2:
        if not cuts:
            raise InvalidInput("edit.units_unknown" if by_units else "edit.floors_unknown", building=building.code)
        count = max(count or 0, cuts[-1] + 1)
    cuts = cuts or list(range(1, count))
    if cuts[0] < 1 or cuts[-1] >= count or count > 200:
        raise InvalidInput("edit.bad_cuts", building=building.code, most=count - 1)
    spans = list(zip([1, *(cut + 1 for cut in cuts)], [*cuts, count], strict=True))
    each = shares(part.households, count)
    households = [int(each[low - 1 : high].sum()) for low, high in spans]
    make = _by_units if by_units else _by_floors
    assign = make(work, building, part, spans, households, count)
    return assign, {"building": building.code, "count": len(spans), "by": edit["by"], "households": 0}


def joined(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    """Put the parts of a building together, in the cell that has most of it, with the households that it has now.

    Raises
    ------
    InvalidInput
        ``edit.unknown_building``, ``edit.not_placed``.
    """
    board = work.board
    building = _building(board, edit)
    parts = [board.parts[key] for key in sorted(board.parts_of.get(building.id, _NONE))]
    if not parts:
        raise InvalidInput("edit.not_placed", building=building.code)
    at: dict[int, int] = {}
    for part in parts:
        at[part.cell] = at.get(part.cell, 0) + part.households
    cell = max(at, key=lambda key: (at[key], -key))
    faces = {key: board.faces[key] for key in board.faces_of.get(building.id, _NONE)}
    work.put(Rows(faces={key: replace(face, unit_from=None, unit_to=None) for key, face in faces.items()}))
    assign = Assign()
    assign.cuts[building.id] = [(Cut(building.id, None, None, None, None, building.households), cell)]
    return assign, {"building": building.code, "households": sum(n for key, n in at.items() if key != cell)}


def _building(board: Board, edit: Edit) -> Building:
    found = board.setting.buildings.get(edit["building"])
    if found is None:
        raise InvalidInput("edit.unknown_building", building=edit["building"])
    return found


def _whole(board: Board, building: Building) -> Part:
    """The one part of a building that is not cut yet."""
    parts = [board.parts[key] for key in board.parts_of.get(building.id, _NONE)]
    if not parts:
        raise InvalidInput("edit.not_placed", building=building.code)
    if len(parts) > 1 or parts[0].unit_from is not None or parts[0].floor_from is not None:
        raise InvalidInput("edit.join_first", building=building.code)
    return parts[0]


def _by_units(
    work: Work, building: Building, part: Part, spans: list[tuple[int, int]], households: list[int], count: int
) -> Assign:
    """Strips of ground across the long axis, one for each part."""
    if not strips(work, building.id, spans, count):
        raise InvalidInput("edit.no_room_for_units", building=building.code)
    is_estimate = building.units is None or building.units != count
    assign = Assign()
    assign.cuts[building.id] = [
        (Cut(building.id, low, high, None, None, n, is_estimate), part.cell)
        for (low, high), n in zip(spans, households, strict=True)
    ]
    return assign


def strips(work: Work, building: int, spans: list[tuple[int, int]], count: int) -> bool:
    """Give each span of staircases its strip of a building's ground; ``False``, and nothing done, where one gets none.

    Parameters
    ----------
    spans : list of (first, last)
        From 1, in order, both inclusive; (0, 0) for all.
    count : int
        Staircases of the building.
    """
    faces = sorted(work.board.faces_of.get(building, _NONE))
    if spans == [(0, 0)]:
        _label(work, dict.fromkeys(faces, (None, None)))
        return bool(faces)
    axis = _Axis(work.board, work.fresh.footprint(building), count)
    lines = [axis.across(high) for _, high in spans[:-1]]
    trial = Work(work.board, work.fresh)
    made = split(trial, faces, lines)
    pieces = [new for face in faces for new in made.get(face, [face])]
    units = {key: axis.unit_of(trial.board.faces[key]) for key in pieces}
    held = {key: next((s for s in spans if s[0] <= unit <= s[1]), spans[-1]) for key, unit in units.items()}
    if set(held.values()) != set(spans):
        return False
    before, after = trial.rows()
    del before
    work.put(after)
    _label(work, dict(held))
    return True


def _label(work: Work, held: Mapping[int, tuple[int | None, int | None]]) -> None:
    faces = work.board.faces
    work.put(Rows(faces={key: replace(faces[key], unit_from=low, unit_to=high) for key, (low, high) in held.items()}))


class _Axis:
    """The long axis of a building, along which its staircases are counted."""

    def __init__(self, board: Board, footprint: shapely.Geometry, count: int) -> None:
        from gis import crs

        self._metric = board.setting.metric
        self._crs = f"EPSG:{board.setting.zone}"
        self._crs_points = crs.points_to_wgs84
        axes = long_axes(np.array([self._metric(footprint)], dtype=object))
        self._origin, self._along, self._length = axes.origin[0], axes.along[0], float(axes.length_m[0])
        self._count = count

    def across(self, unit: int) -> shapely.Geometry:
        """The line behind a staircase, in degrees."""
        at = self._origin + self._along * (self._length * unit / self._count)
        reach = np.array([-self._along[1], self._along[0]]) * _REACH_M
        return shapely.linestrings(self._crs_points(np.array([at - reach, at + reach]), self._crs))

    def unit_of(self, face: Face) -> int:
        """The staircase whose strip a face lies in, from 1."""
        place = self._metric(shapely.point_on_surface(shapely.from_wkb(face.shape)))
        share = float((np.array([place.x, place.y]) - self._origin) @ self._along) / self._length
        return int(np.clip(np.floor(share * self._count) + 1, 1, self._count))


def _by_floors(
    work: Work, building: Building, part: Part, spans: list[tuple[int, int]], households: list[int], count: int
) -> Assign:
    """A stack of cells over the building's own ground, under the parent of the cell that it leaves."""
    del count
    board = work.board
    cell = board.cells[part.cell]
    faces = tuple(face.id for face in board.faces.values() if face.building == building.id)
    if not faces:
        raise InvalidInput("edit.cell_without_ground", building=building.code)
    assign = Assign()
    cells = [
        assign.fresh(NewCell(cell.depth, cell.community, cell.parent, floors=span, over=faces)) for span in spans
    ]  # fmt: skip
    assign.cuts[building.id] = [
        (Cut(building.id, None, None, low, high, n), one)
        for (low, high), n, one in zip(spans, households, cells, strict=True)
    ]
    return assign
