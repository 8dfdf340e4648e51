"""What an edit makes of a board: one primitive, `Assign`, and the rows that it changes.

All that must hold of a draft is held here: every part and every face in exactly one lowest cell or stack, parents of
the tier above in the same community, stacked cells over identical ground, no cell without ground, sums that agree, and
nothing that is locked changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import shapely

from gis.desk.board import Board, Cell, Edge, Lock, Part, Rows, grounded, united
from gis.errors import Conflict, InvalidInput

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a building that is to be: its staircases and floors, and who lives there."""

    building: int
    unit_from: int | None
    unit_to: int | None
    floor_from: int | None
    floor_to: int | None
    households: int
    units_estimated: bool = False


class Fresh(Protocol):
    """What a board cannot know of itself: ids, and what is not on it."""

    def ids(self, table: str, count: int) -> list[int]:
        """Numbers for new rows."""

    def parts(self, cuts: Sequence[Cut]) -> list[int]:
        """Ids of building parts with these cuts and counts."""

    def footprint(self, building: int) -> Any:
        """The outline of a building in degrees."""


@dataclass(frozen=True, slots=True)
class NewCell:
    """A cell that is to be. ``parent`` may be another new one."""

    depth: int
    community: int
    parent: int | None
    floors: tuple[int, int] | None = None
    over: tuple[int, ...] = ()
    """Faces of its ground, where it is one of a stack: cells over the same ground are known by it."""


@dataclass
class Assign:
    """What shall lie where. New cells have negative numbers.

    Attributes
    ----------
    parts, land : dict
        Cell by part, cell by face.
    new : dict of int to NewCell
    parents : dict
        Cells that come under another parent.
    floors : dict
        Floors of stacked cells; ``None`` for a cell that is alone on its ground.
    cuts : dict
        By building its new parts with their cells, in place of those that it has.
    names, dedicated : dict
        By cell.
    locks : dict
    """

    parts: dict[int, int] = field(default_factory=dict)
    land: dict[int, int] = field(default_factory=dict)
    new: dict[int, NewCell] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    floors: dict[int, tuple[int, int] | None] = field(default_factory=dict)
    cuts: dict[int, list[tuple[Cut, int]]] = field(default_factory=dict)
    names: dict[int, str | None] = field(default_factory=dict)
    dedicated: dict[int, bool] = field(default_factory=dict)
    locks: dict[Lock, bool] = field(default_factory=dict)

    def fresh(self, cell: NewCell) -> int:
        """Ask for a new cell; gives its number here."""
        number = -1 - len(self.new)
        self.new[number] = cell
        return number


@dataclass
class Work:
    """A board while an edit is made of it, and all rows that were touched as they were before."""

    board: Board
    fresh: Fresh
    before: Rows = field(default_factory=Rows)
    cells: set[int] = field(default_factory=set)
    """Lowest cells whose members changed, and cells that were asked for by name."""
    parts: set[int] = field(default_factory=set)

    def put(self, rows: Rows) -> None:
        """Change rows."""
        board = self.board
        known: tuple[tuple[dict[int, Any], dict[int, Any], dict[int, Any]], ...] = (
            (self.before.cells, rows.cells, board.cells),
            (self.before.parts, rows.parts, board.parts),
            (self.before.faces, rows.faces, board.faces),
            (self.before.edges, rows.edges, board.edges),
        )
        for before, given, now in known:
            for key in given:
                before.setdefault(key, now.get(key))
        for lock in rows.locks:
            self.before.locks.setdefault(lock, lock in board.locks)
        self.board = board.replaced(rows)

    def rows(self) -> tuple[Rows, Rows]:
        """What has changed in the end: before and after."""
        old, new, now = Rows(), Rows(), self.board
        pairs: tuple[tuple[dict[int, Any], dict[int, Any], dict[int, Any], dict[int, Any]], ...] = (
            (self.before.cells, now.cells, old.cells, new.cells),
            (self.before.parts, now.parts, old.parts, new.parts),
            (self.before.faces, now.faces, old.faces, new.faces),
            (self.before.edges, now.edges, old.edges, new.edges),
        )
        for before, present, was, will in pairs:
            for key, row in before.items():
                if row != present.get(key):
                    was[key], will[key] = row, present.get(key)
        for lock, held in self.before.locks.items():
            if held != (lock in now.locks):
                old.locks[lock], new.locks[lock] = held, lock in now.locks
        return old, new


def apply(work: Work, assign: Assign) -> None:
    """Do what is asked, and all that follows from it.

    Raises
    ------
    InvalidInput
        ``edit.…``: what the board cannot be.
    Conflict
        ``edit.locked`` with what is locked.
    """
    start = work.board
    _check_known(start, assign)
    plots = {key: start.stack(key) for key in start.lowest_cells}
    numbers = _create(work, assign)
    touched = _move(work, assign, numbers)
    _come_under(work, assign, numbers)
    touched |= _drop_empty(work, touched, plots, numbers)
    _look(work, assign, numbers)
    _check_places(work, touched)
    refresh(work, touched)
    _colour(work, [number for number in numbers.values() if number in work.board.cells])
    named = [*assign.parents, *assign.floors, *assign.names, *assign.dedicated]
    work.cells |= {numbers.get(key, key) for key in [*touched, *named]} | {key for kind, key in assign.locks if key}
    work.cells |= start.cells.keys() - work.board.cells.keys()
    _check_locks(start, work, assign)


# --- Steps -----------------------------------------------------------------------------------------------------------


def _check_known(board: Board, assign: Assign) -> None:
    lowest = board.setting.lowest
    for cell in [*assign.parts.values(), *assign.land.values(), *(c for cut in assign.cuts.values() for _, c in cut)]:
        depth = assign.new[cell].depth if cell < 0 else known_cell(board, cell).depth
        if depth != lowest:
            raise InvalidInput("edit.not_lowest", cell=cell)
    for part in assign.parts:
        if part not in board.parts:
            raise InvalidInput("edit.unknown_part", part=part)
    for face in assign.land:
        if face not in board.faces:
            raise InvalidInput("edit.unknown_face", face=face)


def known_cell(board: Board, cell: int) -> Cell:
    """A cell of the plan.

    Raises
    ------
    InvalidInput
        ``edit.unknown_cell``.
    """
    found = board.cells.get(cell)
    if found is None:
        raise InvalidInput("edit.unknown_cell", cell=cell)
    return found


def _create(work: Work, assign: Assign) -> dict[int, int]:
    """Rows of new cells; gives their ids by their numbers. Their grounds are found when all lies where it should."""
    if not assign.new:
        return {}
    ids = dict(zip(assign.new, work.fresh.ids("grid", len(assign.new)), strict=True))
    anything = min(work.board.faces.values(), key=lambda face: face.id)
    for number in sorted(assign.new, key=lambda n: (assign.new[n].depth, -n)):
        asked = assign.new[number]
        parent = None if asked.parent is None else ids.get(asked.parent, asked.parent)
        over = [work.board.faces[key] for key in sorted(asked.over)] or [anything]
        low, high = asked.floors or (None, None)
        row = Cell(
            ids[number], asked.depth, parent, asked.community, code_under(work.board, parent, asked), None, False,
            low, high, 0, None, 0, 0.0, "in_band", 0, united(over),
        )  # fmt: skip
        work.put(Rows(cells={row.id: row}))
    return ids


def code_under(board: Board, parent: int | None, cell: NewCell | Cell) -> str:
    """The next code under a parent that no cell bears, and none ever bore: for as long as the plan is a draft."""
    above = board.setting.communities[cell.community].code if parent is None else board.cells[parent].code
    digits = board.setting.tier(cell.depth).digits
    length = len(above) + digits
    taken = {row.code for row in board.cells.values()} | board.setting.given
    numbers = (code[length - digits :] for code in taken if 0 <= len(code) - length <= 1 and code.startswith(above))
    return f"{above}{max((int(number) for number in numbers if number.isdigit()), default=0) + 1:0{digits}d}"


def _move(work: Work, assign: Assign, numbers: Mapping[int, int]) -> set[int]:
    """Put parts and land where they should lie; gives the lowest cells that lose or get something."""
    board = work.board
    rows = Rows()
    touched: set[int] = set()
    for key, cell in assign.parts.items():
        part, to = board.parts[key], numbers.get(cell, cell)
        if part.cell != to:
            rows.parts[key] = replace(part, cell=to)
            touched |= {part.cell, to}
            work.parts.add(key)
    for key, cell in assign.land.items():
        face, to = board.faces[key], numbers.get(cell, cell)
        at = board.cell_of(face)
        if face.cell != to:
            rows.faces[key] = replace(face, cell=to)
        if board.is_land(face) and at != to:
            touched |= {to} | ({at} if at is not None else set())
    for building, cuts in assign.cuts.items():
        touched |= _cut(work, rows, building, [(cut, numbers.get(cell, cell)) for cut, cell in cuts])
    # Ground of a building lies where its parts lie, and is remembered there.
    work.put(rows)
    board = work.board
    back = Rows()
    for building in {part.building for part in rows.parts.values() if part is not None}:
        for key in board.faces_of.get(building, _NONE):
            face = board.faces[key]
            parts = board.parts_on(face)
            if parts and face.cell != min(part.cell for part in parts):
                back.faces[key] = replace(face, cell=min(part.cell for part in parts))
    work.put(back)
    return touched


def _cut(work: Work, rows: Rows, building: int, cuts: Sequence[tuple[Cut, int]]) -> set[int]:
    """Other parts of a building in place of those that it has."""
    board = work.board
    old = {key: board.parts[key] for key in board.parts_of.get(building, _NONE)}
    ids = work.fresh.parts([cut for cut, _ in cuts])
    for key in old:
        rows.parts[key] = None
    residents = [part.residents for part in old.values()]
    whole = sum(n for n in residents if n is not None) if residents and None not in residents else None
    for key, (cut, cell) in zip(ids, cuts, strict=True):
        share = whole if len(cuts) == 1 else None
        rows.parts[key] = Part(
            key, building, cut.unit_from, cut.unit_to, cut.floor_from, cut.floor_to, cut.households, share,
            cut.units_estimated, cell,
        )  # fmt: skip
    work.parts |= {*old, *ids}
    return {part.cell for part in old.values()} | {cell for _, cell in cuts}


def _come_under(work: Work, assign: Assign, numbers: Mapping[int, int]) -> None:
    """Bring cells under other parents, with codes that say so, down to the lowest."""
    for key, parent in assign.parents.items():
        cell, to = known_cell(work.board, key), numbers.get(parent, parent)
        above = known_cell(work.board, to)
        if above.depth != cell.depth - 1:
            raise InvalidInput("edit.wrong_parent", cell=cell.code, parent=above.code)
        if above.community != cell.community:
            raise InvalidInput("edit.other_community", cell=cell.code, to=above.code)
        if cell.parent != to:
            _recoded(work, replace(cell, parent=to))


def _recoded(work: Work, cell: Cell) -> None:
    """A cell with the next code under its parent, and so its children."""
    work.put(Rows(cells={cell.id: replace(cell, code=f"~{cell.id}")}))
    work.put(Rows(cells={cell.id: replace(cell, code=code_under(work.board, cell.parent, cell))}))
    for child in sorted(work.board.children.get(cell.id, _NONE)):
        _recoded(work, work.board.cells[child])


def _drop_empty(
    work: Work, touched: set[int], plots: Mapping[int, tuple[int, ...]], numbers: Mapping[int, int]
) -> set[int]:
    """Take away cells without ground, cells of a stack without parts, and parents without children."""
    more: set[int] = set()
    done: set[int] = set()
    fresh = {key: work.board.stack(key) for key in numbers.values() if key in work.board.lowest_cells}
    for cell in sorted(touched):
        if cell in done:
            continue
        stack = plots.get(cell) or fresh.get(cell) or (cell,)
        done |= set(stack)
        more |= set(stack) - touched
        _drop_from(work, stack)
    _drop_childless(work)
    return more


def _drop_from(work: Work, stack: tuple[int, ...]) -> None:
    board = work.board
    faces = [face for one in stack for face in board.faces_in(one)]
    parts = [part for one in stack for part in board.parts_in.get(one, _NONE)]
    if not faces:
        if parts:
            part = board.parts[min(parts)]
            raise InvalidInput("edit.cell_without_ground", building=board.setting.buildings[part.building].code)
        gone = list(stack)
    else:
        lived = [one for one in stack if board.parts_in.get(one)]
        gone = [one for one in stack if one not in lived] if len(stack) > 1 else []
        if len(gone) == len(stack):
            gone = gone[1:]
    left = [one for one in stack if one not in gone]
    rows = Rows(cells=dict.fromkeys(gone))
    if len(left) == 1 and board.cells[left[0]].floor_from is not None:
        rows.cells[left[0]] = replace(board.cells[left[0]], floor_from=None, floor_to=None)
    for face in faces:
        if face.cell in gone:
            rows.faces[face.id] = replace(face, cell=left[0])
    for one in gone:
        if ("cell", one) in board.locks:
            rows.locks["cell", one] = False
    work.put(rows)


def settle_bare(work: Work) -> None:
    """Take away lowest cells that got no ground (a drawing may lie wholly under another one).

    Their buildings go to the cell whose ground they stand nearest to.
    """
    board = work.board
    bare = [key for key in sorted(board.lowest_cells) if not board.faces_in(key)]
    if not bare:
        return
    rows = Rows(cells=dict.fromkeys(bare))
    targets: set[int] = set()
    for part in (board.parts[key] for cell in bare for key in sorted(board.parts_in.get(cell, _NONE))):
        building = board.setting.buildings[part.building]
        faces = [face for face in board.faces.values() if face.community == building.community]
        shapes = shapely.from_wkb([face.shape for face in faces])
        at = board.cell_of(faces[int(shapely.distance(shapes, shapely.Point(building.lon, building.lat)).argmin())])
        if at is not None:
            rows.parts[part.id] = replace(part, cell=at)
            targets.add(at)
    work.put(rows)
    _drop_childless(work)
    refresh(work, targets)


def _drop_childless(work: Work) -> None:
    while True:
        board = work.board
        gone = [
            key
            for key, cell in board.cells.items()
            if cell.depth < board.setting.lowest and not board.children.get(key)
        ]
        if not gone:
            return
        locks: dict[Lock, bool] = {("cell", key): False for key in gone if ("cell", key) in board.locks}
        work.put(Rows(cells=dict.fromkeys(gone), locks=locks))


def _look(work: Work, assign: Assign, numbers: Mapping[int, int]) -> None:
    """Names, what is dedicated, floors, locks."""
    changes: dict[int, dict[str, Any]] = {}
    for key, name in assign.names.items():
        changes.setdefault(numbers.get(key, key), {})["name"] = name
    for key, held in assign.dedicated.items():
        changes.setdefault(numbers.get(key, key), {})["is_dedicated"] = held
    for key, floors in assign.floors.items():
        low, high = floors or (None, None)
        changes.setdefault(numbers.get(key, key), {}).update(floor_from=low, floor_to=high)
    for key, change in changes.items():
        if key in work.board.cells:
            work.put(Rows(cells={key: replace(known_cell(work.board, key), **change)}))
    if assign.locks:
        work.put(Rows(locks=dict(assign.locks)))


def _check_places(work: Work, touched: Iterable[int]) -> None:
    """All parts on a face lie over one ground, and in their own community."""
    board = work.board
    seen: set[int] = set()
    for cell in touched:
        if cell not in board.cells:
            continue
        row = board.cells[cell]
        for face in board.faces_in(cell):
            if face.community != row.community:
                raise InvalidInput("edit.other_community", cell=face.id, to=row.code)
            parts = board.parts_on(face)
            if face.id not in seen and len({board.plot(part.cell) for part in parts}) > 1:
                building = board.setting.buildings.get(parts[0].building)
                raise InvalidInput("edit.part_shares_ground", building=building.code if building else parts[0].building)
            seen.add(face.id)
        for key in board.parts_in.get(cell, _NONE):
            whose = board.setting.buildings.get(board.parts[key].building)
            if whose is not None and whose.community != row.community:
                raise InvalidInput("edit.other_community", cell=whose.code, to=row.code)


def refresh(work: Work, touched: Iterable[int]) -> None:
    """Grounds and counts of all cells that anything has changed of."""
    start = work.before
    lowest = {one for cell in touched if cell in work.board.cells for one in work.board.stack(cell)}
    for key, row in start.faces.items():
        # Ground that only got a corner more, because a neighbour was split.
        now = work.board.faces.get(key)
        if now is not None and (row is None or row.shape != now.shape):
            at = work.board.cell_of(now)
            lowest |= set(work.board.stack(at)) if at is not None else set()
    board = work.board
    above = {one for cell in lowest for one in board.ancestors(cell)}
    for key, was in start.cells.items():
        if key in board.cells:
            above |= {key, *board.ancestors(key)} if board.cells[key].depth < board.setting.lowest else set()
            above |= set(board.ancestors(key))
        if was is not None and was.parent is not None and was.parent in board.cells:
            above |= {was.parent, *board.ancestors(was.parent)}
    rows = {key: grounded(board, board.cells[key]) for key in sorted(lowest | above)}
    work.put(Rows(cells={key: row for key, row in rows.items() if row != board.cells[key]}))


def _colour(work: Work, fresh: Sequence[int]) -> None:
    """Give new cells a colour that their neighbours do not have, if there is one."""
    for key in fresh:
        board = work.board
        cell = board.cells[key]
        around = [0] * 8
        for face in (face for low in board.under(key) for face in board.faces_in(low)):
            for edge in board.edges_of.get(face.id, _NONE):
                other = _beyond(board.edges[edge], face.id)
                at = None if other is None else board.cell_of(board.faces[other])
                up = None if at is None else _up_to(board, at, cell.depth)
                if up is not None and up != key:
                    around[board.cells[up].color_index] += 1
        colour = min(range(8), key=lambda c: (around[c], (c - key) % 8))
        work.put(Rows(cells={key: replace(cell, color_index=colour)}))


def _beyond(edge: Edge, face: int) -> int | None:
    return edge.b if edge.a == face else edge.a


def _up_to(board: Board, cell: int, depth: int) -> int | None:
    for one in [cell, *board.ancestors(cell)]:
        if board.cells[one].depth == depth:
            return one
    return None


def _check_locks(start: Board, work: Work, assign: Assign) -> None:
    """What is locked must be as it was."""
    only_locks = bool(assign.locks) and not (work.parts or set(work.before.cells) - _lock_items(assign))
    if ("all", 0) in start.locks and not only_locks:
        raise Conflict("edit.locked", all=True, cells=[], buildings=[])
    cells = sorted({
        start.cells[one].code
        for key in work.cells
        if key in start.cells and ("cell", key) not in assign.locks
        for one in [key, *start.ancestors(key)]
        if ("cell", one) in start.locks
    })  # fmt: skip
    whose = {start.parts[key].building for key in work.parts if key in start.parts}
    whose |= {
        face.building
        for key, face in work.before.faces.items()
        if face is not None and face.building is not None and work.board.faces.get(key) is None
    }
    buildings = sorted(
        start.setting.buildings[one].code for one in whose if ("building", one) in start.locks
    )  # fmt: skip
    if cells or buildings:
        raise Conflict("edit.locked", all=False, cells=cells, buildings=buildings)


def _lock_items(assign: Assign) -> set[int]:
    return {item for _, item in assign.locks}
