"""A division (`gis.division.Division`) of a draft's communities as an edit: wholly, or some of its cells.

Buildings go where the division's parts say, land where most of it lies in the division's cells: the faces of the draft
are kept, whatever survey the division came from. Land that would hang on nothing goes to the cell beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gis.desk.apply import Assign, Cut, NewCell, Work, apply
from gis.desk.board import Board, Face
from gis.desk.edits import faces_with_company, scattered
from gis.desk.towers import strips
from gis.division import Division
from gis.geometry import Geometries

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Want:
    """A cell of the division that is accepted."""

    code: str
    depth: int
    community: int
    parent: str | None
    floors: tuple[int, int] | None
    ground: bytes


def accept(work: Work, division: Division, continues: Mapping[str, int], chosen: Collection[str]) -> None:
    """Bring the chosen cells of a division onto the board.

    Parameters
    ----------
    division : Division
        Of whole communities of the plan.
    continues : mapping of str to int
        By the code of a cell of the division the cell of the board that it goes on from.
    chosen : collection of str
        Codes of cells of the top tier; what is below comes along.

    Raises
    ------
    InvalidInput, Conflict
        What `apply` refuses.
    """
    wants = _wanted(work.board, division, chosen)
    assign = Assign()
    at = _targets(work.board, assign, wants, continues)
    lowest = {code: at[code] for code, want in wants.items() if want.depth == work.board.setting.lowest}
    _buildings(work, assign, division, lowest, continues)
    _land(work.board, assign, wants, lowest)
    _leftovers(work.board, assign, division, wants, continues, set(lowest.values()))
    apply(work, assign)
    _tidy(work)


def _wanted(board: Board, division: Division, chosen: Collection[str]) -> dict[str, _Want]:
    communities = {one.code: one.id for one in board.setting.communities.values()}
    wants: dict[str, _Want] = {}
    for depth, frame in enumerate(division.cells, start=1):
        for row in frame.itertuples():
            parent = None if depth == 1 else str(row.parent)
            if str(row.code) not in chosen if depth == 1 else parent not in wants:
                continue
            floors = None if pd.isna(row.floor_from) else (int(row.floor_from), int(row.floor_to))
            wants[str(row.code)] = _Want(
                str(row.code), depth, communities[str(row.community)], parent, floors, shapely.to_wkb(row.geometry)
            )  # fmt: skip
    return wants


def _targets(board: Board, assign: Assign, wants: Mapping[str, _Want], continues: Mapping[str, int]) -> dict[str, int]:
    """The board's cell, or the new one, of each wanted cell."""
    at: dict[str, int] = {}
    over: dict[tuple[str | None, bytes], tuple[int, ...]] = {}
    for code, want in wants.items():
        parent = None if want.parent is None else at[want.parent]
        known = board.cells.get(continues.get(code, -1))
        if known is not None and known.depth == want.depth and _fits(board, known.id, want, wants, continues):
            at[code] = known.id
            if parent is not None and known.parent != parent:
                assign.parents[known.id] = parent
            if want.floors is not None:
                assign.floors[known.id] = want.floors
            continue
        faces: tuple[int, ...] = ()
        if want.floors is not None:
            key = (want.parent, want.ground)
            faces = over.setdefault(key, _any_inside(board, want))
        at[code] = assign.fresh(NewCell(want.depth, want.community, parent, floors=want.floors, over=faces))
    return at


def _fits(board: Board, cell: int, want: _Want, wants: Mapping[str, _Want], continues: Mapping[str, int]) -> bool:
    """Whether a cell may go on as a wanted one: a stack goes on only as a whole, or is made anew."""
    stack = board.stack(cell)
    if want.floors is None:
        return len(stack) == 1
    mates = [code for code, one in wants.items() if (one.parent, one.ground) == (want.parent, want.ground)]
    return sorted(continues.get(code, -1) for code in mates) == list(stack) and len(stack) > 1


def _any_inside(board: Board, want: _Want) -> tuple[int, ...]:
    ground = shapely.from_wkb(want.ground)
    faces = [face for face in board.faces.values() if face.community == want.community]
    hit = shapely.intersects(ground, _places(faces))
    return tuple(sorted(face.id for face, is_in in zip(faces, hit, strict=True) if is_in)) or (faces[0].id,)


def _places(faces: Sequence[Face]) -> Geometries:
    shapes = np.asarray(shapely.from_wkb([face.shape for face in faces]), dtype=object)
    return np.asarray(shapely.point_on_surface(shapes), dtype=object)


@dataclass(frozen=True, slots=True)
class _Row:
    """A part of the division."""

    cut: Cut
    cell: str


def _rows(board: Board, division: Division) -> Iterator[tuple[int, list[_Row]]]:
    ids = {one.code: one.id for one in board.setting.buildings.values()}
    by: dict[int, list[_Row]] = {}

    def whole(value: object) -> int | None:
        return None if pd.isna(value) else int(value)  # type: ignore[call-overload]

    for row in division.parts.itertuples():
        if str(row.building) in ids:
            building = ids[str(row.building)]
            cut = Cut(
                building, whole(row.unit_from), whole(row.unit_to), whole(row.floor_from), whole(row.floor_to),
                int(row.households), bool(row.units_estimated) if not pd.isna(row.units_estimated) else False,
            )  # fmt: skip
            by.setdefault(building, []).append(_Row(cut, str(row.cell)))
    yield from sorted(by.items())


def _buildings(
    work: Work, assign: Assign, division: Division, lowest: Mapping[str, int], continues: Mapping[str, int]
) -> None:
    for building, rows in _rows(work.board, division):
        if not any(row.cell in lowest for row in rows):
            continue
        board = work.board
        now = {_span(board, key): key for key in board.parts_of.get(building, _NONE)}
        stay = _home(board, building)
        cells = [lowest.get(row.cell, _elsewhere(board, row.cell, continues, stay)) for row in rows]
        if set(now) == {_of(row.cut) for row in rows}:
            assign.parts |= {now[_of(row.cut)]: cell for row, cell in zip(rows, cells, strict=True)}
            continue
        spans = sorted({(row.cut.unit_from or 0, row.cut.unit_to or 0) for row in rows})
        count = max(board.setting.buildings[building].units or 0, *(last for _, last in spans))
        if strips(work, building, spans, count):
            assign.cuts[building] = list(zip([row.cut for row in rows], cells, strict=True))
        else:
            # No room for a strip each: the building stays whole, where most of it should be.
            most = max(range(len(rows)), key=lambda i: rows[i].cut.households)
            households = sum(row.cut.households for row in rows)
            assign.cuts[building] = [(Cut(building, None, None, None, None, households), cells[most])]


_Span = tuple[int | None, int | None, int | None, int | None, int]


def _span(board: Board, part: int) -> _Span:
    row = board.parts[part]
    return (row.unit_from, row.unit_to, row.floor_from, row.floor_to, row.households)


def _of(cut: Cut) -> _Span:
    return (cut.unit_from, cut.unit_to, cut.floor_from, cut.floor_to, cut.households)


def _home(board: Board, building: int) -> int:
    parts = board.parts_of.get(building, _NONE)
    if parts:
        return board.parts[min(parts)].cell
    return next(
        (face.cell for face in board.faces.values() if face.building == building and face.cell is not None), -1
    )  # fmt: skip


def _elsewhere(board: Board, code: str, continues: Mapping[str, int], stay: int) -> int:
    """Where a part goes whose cell is not accepted."""
    known = board.cells.get(continues.get(code, -1))
    return known.id if known is not None and known.depth == board.setting.lowest else stay


def _land(board: Board, assign: Assign, wants: Mapping[str, _Want], lowest: Mapping[str, int]) -> None:
    codes = list(lowest)
    if not codes:
        return
    communities = {want.community for want in wants.values()}
    faces = [face for face in board.faces.values() if face.community in communities and board.is_land(face)]
    if not faces:
        return
    tree = shapely.STRtree(shapely.from_wkb([wants[code].ground for code in codes]))
    face, cell = tree.query(_places(faces), predicate="intersects")
    for one, other in sorted(zip(face.tolist(), cell.tolist(), strict=True), reverse=True):
        if faces[one].building is None:
            assign.land[faces[one].id] = lowest[codes[other]]


def _leftovers(
    board: Board,
    assign: Assign,
    division: Division,
    wants: Mapping[str, _Want],
    continues: Mapping[str, int],
    targets: set[int],
) -> None:
    """What cells that go on had, and the division takes from them without it being accepted elsewhere."""
    tops = [continues[code] for code, want in wants.items() if want.depth == 1 and continues.get(code) in board.cells]
    had = [face for top in tops for low in board.under(top) for face in board.faces_in(low)]
    left = {face.id: face for face in had if not _is_given(board, assign, face)}
    if not left:
        return
    frame = division.cells[-1]
    tree = shapely.STRtree(np.asarray(frame.geometry.to_numpy(), dtype=object))
    codes = frame["code"].astype(str).tolist()
    faces = list(left.values())
    face, cell = tree.query(_places(faces), predicate="intersects")
    for one, other in zip(face.tolist(), cell.tolist(), strict=True):
        known = board.cells.get(continues.get(codes[other], -1))
        if known is not None and known.depth == board.setting.lowest and known.id not in targets:
            for mate in faces_with_company(board, [faces[one]]):
                if left.pop(mate.id, None) is not None:
                    _give(board, assign, mate, known.id)
    gone = {low for top in tops for low in board.under(top)}
    if left:
        scattered(board, assign, list(left.values()), lambda one: one not in gone)


def _is_given(board: Board, assign: Assign, face: Face) -> bool:
    parts = board.parts_on(face)
    if not parts:
        return face.id in assign.land
    return all(part.id in assign.parts or part.building in assign.cuts for part in parts)


def _give(board: Board, assign: Assign, face: Face, to: int) -> None:
    parts = board.parts_on(face)
    assign.parts |= {part.id: to for part in parts}
    if not parts:
        assign.land[face.id] = to


def _tidy(work: Work) -> None:
    """Land that hangs on nothing goes to the cell beside it."""
    board = work.board
    assign = Assign()
    for cell in sorted(work.cells):
        if cell in board.lowest_cells and board.plot(cell) == cell and board.figures[cell].pieces > 1:
            pieces = _pieces(board, board.faces_in(cell))
            for piece in sorted(pieces, key=lambda one: -sum(face.area_m2 for face in one))[1:]:
                if all(board.is_land(face) for face in piece):
                    stack = set(board.stack(cell))
                    scattered(board, assign, piece, lambda one, stack=stack: one not in stack)  # type: ignore[misc]
    if assign.land:
        apply(work, assign)


def _pieces(board: Board, faces: Sequence[Face]) -> list[list[Face]]:
    left = {face.id: face for face in faces}
    pieces = []
    while left:
        key, first = left.popitem()
        piece, queue = [first], [key]
        while queue:
            one = queue.pop()
            for edge in board.edges_of.get(one, _NONE):
                row = board.edges[edge]
                other = row.b if row.a == one else row.a
                if other in left:
                    piece.append(left.pop(other))
                    queue.append(other)
        pieces.append(piece)
    return pieces
