"""The vocabulary of edits, and what each asks for: all come down to `apply.Assign`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from gis.desk import towers
from gis.desk.apply import Assign, Cut, NewCell, Work, apply, known_cell
from gis.desk.balance import Graph, balanced
from gis.desk.board import Board, Cell, Face
from gis.desk.splitting import split
from gis.errors import InvalidInput
from gis.geometry import as_polygons

Edit = Mapping[str, Any]
Summary = dict[str, Any]

MOST_PIECES = 50
LONGEST_NAME = 60
_NONE: frozenset[int] = frozenset()


def run(work: Work, edit: Edit) -> Summary:
    """Do an edit; gives the code and the parameters of the sentence that tells what was done.

    Raises
    ------
    InvalidInput
        ``edit.…``.
    Conflict
        ``edit.locked``.
    """
    kind = str(edit.get("kind"))
    if kind == "batch":
        return _batch(work, edit)
    if kind not in EDITS:
        raise InvalidInput("edit.unknown_kind", kind=kind, known=sorted([*EDITS, "batch"]))
    before = work.board
    assign, params = EDITS[kind](work, edit)
    apply(work, assign)
    params.setdefault("households", moved_households(before, work.board))
    return {"code": f"edit.done.{kind}", "params": params}


def _batch(work: Work, edit: Edit) -> Summary:
    """Several edits, all or nothing."""
    done = [run(work, one) for one in edit["edits"]]
    if not done:
        raise InvalidInput("edit.nothing_chosen")
    if len(done) == 1:
        return done[0]
    return {"code": "edit.done.batch", "params": {"count": len(done)}}


def moved_households(before: Board, after: Board) -> int:
    """Households of parts that lie in another cell than before."""
    old = before.parts
    return sum(
        part.households for key, part in after.parts.items() if key not in old or old[key].cell != part.cell
    )  # fmt: skip


# --- What is meant ---------------------------------------------------------------------------------------------------


def chosen_faces(board: Board, edit: Edit) -> list[Face]:
    """The faces of what an edit names: parts, faces, a building, a compound; whole buildings and strips.

    Raises
    ------
    InvalidInput
        ``edit.unknown_…``, ``edit.nothing_chosen``.
    """
    keys: set[int] = set()
    for part in edit.get("parts") or ():
        if part not in board.parts:
            raise InvalidInput("edit.unknown_part", part=part)
        keys |= {face.id for face in _faces_under(board, part)}
    for face in edit.get("faces") or ():
        if face not in board.faces:
            raise InvalidInput("edit.unknown_face", face=face)
        keys.add(face)
    buildings = [edit["building"]] if edit.get("building") is not None else []
    if edit.get("compound") is not None:
        if edit["compound"] not in board.setting.compounds:
            raise InvalidInput("edit.unknown_compound", compound=edit["compound"])
        buildings += [one.id for one in board.setting.buildings.values() if one.compound == edit["compound"]]
    for building in buildings:
        _known_building(board, building)
        keys |= board.faces_of.get(building, _NONE)
    # What shares parts goes together: all faces of a whole building.
    more = {key for face in keys for part in board.parts_on(board.faces[face]) for key in _under_ids(board, part.id)}
    found = sorted(keys | more)
    if not found and not (edit.get("parts") or buildings):
        raise InvalidInput("edit.nothing_chosen")
    return [board.faces[key] for key in found]


def _faces_under(board: Board, part: int) -> list[Face]:
    row = board.parts[part]
    faces = [board.faces[key] for key in board.faces_of.get(row.building, _NONE)]
    return [face for face in faces if row in board.parts_on(face)]


def _under_ids(board: Board, part: int) -> set[int]:
    return {face.id for face in _faces_under(board, part)}


def _known_building(board: Board, building: int) -> None:
    if building not in board.setting.buildings:
        raise InvalidInput("edit.unknown_building", building=building)


def _lowest(board: Board, key: Any) -> Cell:
    cell = known_cell(board, key)
    if cell.depth != board.setting.lowest:
        raise InvalidInput("edit.not_lowest", cell=cell.code)
    return cell


def send(board: Board, assign: Assign, faces: Iterable[Face], to: int) -> None:
    """Have faces, with all parts on them, come into a lowest cell."""
    for face in faces:
        parts = board.parts_on(face)
        for part in parts:
            if to < 0 or board.plot(part.cell) != board.plot(to):
                assign.parts[part.id] = to
        if not parts:
            assign.land[face.id] = to
            if face.building is not None:
                _place(board, assign, face.building, to)


def _place(board: Board, assign: Assign, building: int, to: int) -> None:
    """A building that the plan did not know gets a part."""
    known = board.setting.buildings.get(building)
    if known is not None and not board.parts_of.get(building):
        assign.cuts[building] = [(Cut(building, None, None, None, None, known.households), to)]


def _households(board: Board, faces: Iterable[Face]) -> int:
    parts = {part.id: part.households for face in faces for part in board.parts_on(face)}
    return sum(parts.values())


def _count_buildings(faces: Iterable[Face]) -> int:
    return len({face.building for face in faces if face.building is not None})


# --- The edits -------------------------------------------------------------------------------------------------------


def _move(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    board = work.board
    to = known_cell(board, edit["to"])
    faces = chosen_faces(board, edit)
    assign = Assign()
    parts = [part for part in edit.get("parts") or () if _stays_over(board, part, to)]
    if parts and not edit.get("faces") and len(parts) == len(edit["parts"]):
        # To other floors of the same stack: only these parts, not all that stand there.
        assign.parts |= dict.fromkeys(parts, to.id)
    elif to.depth == board.setting.lowest:
        send(board, assign, faces, to.id)
        homeless = [p for p in _named_parts(board, edit) if not _faces_under(board, p)]
        assign.parts |= dict.fromkeys(homeless, to.id)
    else:
        into(board, assign, faces, to)
    params = {"buildings": _count_buildings(faces), "households": _households(board, faces), "to": to.code}
    return assign, params


def _named_parts(board: Board, edit: Edit) -> list[int]:
    found = list(edit.get("parts") or ())
    if edit.get("building") is not None:
        found += sorted(board.parts_of.get(edit["building"], _NONE))
    return found


def _stays_over(board: Board, part: int, to: Cell) -> bool:
    if part not in board.parts or to.depth != board.setting.lowest:
        return False
    return len(board.stack(to.id)) > 1 and board.plot(board.parts[part].cell) == board.plot(to.id)


def into(board: Board, assign: Assign, faces: Sequence[Face], to: Cell) -> None:
    """Bring faces into a cell of a higher tier: whole lowest cells under it, the rest into the best one there."""
    left: dict[int, Face] = {face.id: face for face in faces}
    inside = set(board.under(to.id))
    for plot in sorted({at for at in (board.cell_of(face) for face in faces) if at is not None}):
        own = board.faces_in(plot)
        if plot in inside or (own and all(face.id in left for face in own)):
            for face in own:
                left.pop(face.id, None)
            if plot not in inside:
                _bring(board, assign, board.stack(plot), to)
    scattered(board, assign, list(left.values()), lambda cell: cell in inside)


def _bring(board: Board, assign: Assign, cells: Iterable[int], to: Cell) -> None:
    """Bring cells under a cell one or more tiers above: the first way down is taken where tiers lie between."""
    lowest = board.setting.lowest
    at = to.id
    for _ in range(lowest - 1 - to.depth):
        at = min(board.children[at])
    for cell in cells:
        assign.parents[cell] = at


def scattered(board: Board, assign: Assign, faces: Sequence[Face], fits: Callable[[int], bool]) -> None:
    """Give each face to the lowest cell beside it with most open border among those that fit; nearest first.

    Raises
    ------
    InvalidInput
        ``edit.no_neighbour`` if none of them is beside such a cell.
    """
    waiting = {face.id for face in faces_with_company(board, faces)}
    given: dict[int, int] = {}
    while waiting:
        best: tuple[float, int, int] | None = None
        for key in sorted(waiting):
            for cell, metres in _borders(board, key, waiting, given).items():
                if fits(cell) and (best is None or metres > best[0]):
                    best = (metres, key, cell)
        if best is None:
            raise InvalidInput("edit.no_neighbour", face=min(waiting))
        _, key, cell = best
        for face in faces_with_company(board, [board.faces[key]]):
            given[face.id] = cell
            waiting.discard(face.id)
            send(board, assign, [face], cell)


def faces_with_company(board: Board, faces: Iterable[Face]) -> list[Face]:
    """Faces with those that share their parts."""
    keys = {face.id for face in faces}
    keys |= {key for face in faces for part in board.parts_on(face) for key in _under_ids(board, part.id)}
    return [board.faces[key] for key in sorted(keys)]


def _borders(board: Board, face: int, waiting: set[int], given: Mapping[int, int]) -> dict[int, float]:
    """Metres that a face shares with each lowest cell; little where one cannot cross."""
    found: dict[int, float] = {}
    for key in board.edges_of.get(face, _NONE):
        edge = board.edges[key]
        other = edge.b if edge.a == face else edge.a
        if other is None or other in waiting:
            continue
        cell = given.get(other, board.cell_of(board.faces[other]))
        if cell is not None:
            weight = 1.0 if edge.is_crossable and edge.barrier == 0 else 0.3 if edge.is_crossable else 0.01
            found[cell] = found.get(cell, 0.0) + weight * edge.length_m
    return found


def _new(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    board = work.board
    faces = chosen_faces(board, edit)
    if not faces:
        raise InvalidInput("edit.nothing_chosen")
    parent = edit.get("parent")
    assign = Assign()
    cell = _fresh_lowest(board, assign, faces[0].community, parent)
    send(board, assign, faces, cell)
    return assign, {"buildings": _count_buildings(faces), "households": _households(board, faces)}


def _fresh_lowest(board: Board, assign: Assign, community: int, parent: int | None) -> int:
    """A new lowest cell under a parent, or under new cells of all tiers above."""
    lowest = board.setting.lowest
    above = parent
    if parent is not None:
        known = known_cell(board, parent)
        if known.depth >= lowest:
            raise InvalidInput("edit.wrong_parent", cell="", parent=known.code)
        if known.community != community:
            raise InvalidInput("edit.other_community", cell="", to=known.code)
        start = known.depth + 1
    else:
        start = 1
    for depth in range(start, lowest):
        above = assign.fresh(NewCell(depth, community, above))
    return assign.fresh(NewCell(lowest, community, above))


def _reparent(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    board = work.board
    to = known_cell(board, edit["to"])
    assign = Assign()
    cells = {one for key in edit["cells"] for one in board.stack(known_cell(board, key).id)}
    if not cells:
        raise InvalidInput("edit.nothing_chosen")
    for key in sorted(cells):
        assign.parents[key] = to.id
    return assign, {"count": len(cells), "to": to.code, "households": sum(board.cells[c].households for c in cells)}


def _merge(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    board = work.board
    target = known_cell(board, edit["into"])
    others = [known_cell(board, key) for key in edit["cells"] if key != target.id]
    if not others:
        raise InvalidInput("edit.nothing_chosen")
    assign = Assign()
    for cell in others:
        if cell.depth != target.depth:
            raise InvalidInput("edit.other_tier", cell=cell.code, to=target.code)
        if cell.community != target.community:
            raise InvalidInput("edit.other_community", cell=cell.code, to=target.code)
        if cell.depth < board.setting.lowest:
            assign.parents |= dict.fromkeys(sorted(board.children.get(cell.id, _NONE)), target.id)
        else:
            assign.parts |= dict.fromkeys(sorted(board.parts_in.get(cell.id, _NONE)), target.id)
            if cell.id not in board.stack(target.id):
                _whole_stack(board, assign, cell, target)
    params = {"count": len(others) + 1, "to": target.code, "households": sum(cell.households for cell in others)}
    return assign, params


def _whole_stack(board: Board, assign: Assign, cell: Cell, target: Cell) -> None:
    """Ground cannot be merged without all that stands on it."""
    for one in board.stack(cell.id):
        assign.parts |= dict.fromkeys(sorted(board.parts_in.get(one, _NONE)), target.id)
    for face in board.faces_in(cell.id):
        if board.is_land(face):
            assign.land[face.id] = target.id


def _split(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    board = work.board
    cell = known_cell(board, edit["cell"])
    count = int(edit["n"])
    if not 2 <= count <= MOST_PIECES:
        raise InvalidInput("edit.bad_count", n=count, most=MOST_PIECES)
    nodes = _nodes(board, cell)
    _not_stacked(board, cell)
    if len(nodes) < count:
        raise InvalidInput("edit.too_few", cell=cell.code, n=count, parts=len(nodes))
    label = balanced(_graph(board, nodes), count)
    side = {face.id: int(label[number]) for number, node in enumerate(nodes) for face in node}
    assign = Assign()
    _by_sides(board, assign, cell, side)
    return assign, {"cell": cell.code, "n": count, "households": 0}


def _not_stacked(board: Board, cell: Cell) -> None:
    if len(board.stack(cell.id)) > 1:
        raise InvalidInput("edit.cell_is_stacked", cell=cell.code)


def _nodes(board: Board, cell: Cell) -> list[list[Face]]:
    """What stays together when a cell is split: lowest cells, or buildings and pieces of land."""
    if cell.depth < board.setting.lowest:
        plots = sorted({board.plot(low) for low in board.under(cell.id)})
        if len(plots) > 1:
            return [board.faces_in(plot) for plot in plots]
        cell = board.cells[plots[0]]
    nodes: dict[tuple[int, ...], list[Face]] = {}
    for face in board.faces_in(cell.id):
        parts = tuple(part.id for part in board.parts_on(face))
        nodes.setdefault(parts or (-face.id,), []).append(face)
    return list(nodes.values())


def _graph(board: Board, nodes: Sequence[Sequence[Face]]) -> Graph:
    at = {face.id: number for number, node in enumerate(nodes) for face in node}
    pairs: dict[tuple[int, int], float] = {}
    for face in at:
        for key in board.edges_of.get(face, _NONE):
            edge = board.edges[key]
            if edge.b is not None and edge.a in at and edge.b in at and at[edge.a] != at[edge.b]:
                pair = (min(at[edge.a], at[edge.b]), max(at[edge.a], at[edge.b]))
                weight = edge.length_m * (1.0, 0.5, 0.25, 0.1, 0.1)[edge.barrier] * (1.0 if edge.is_crossable else 0.02)
                pairs[pair] = pairs.get(pair, 0.0) + weight
    area = np.array([sum(face.area_m2 for face in node) for node in nodes])
    households = np.array([_households(board, node) for node in nodes], dtype=float)
    return Graph(households + 1e-3 * area / max(float(area.sum()), 1.0), pairs)


def _by_sides(board: Board, assign: Assign, cell: Cell, side: Mapping[int, int]) -> None:
    """Divide a cell by the side that each of its faces is on: the heaviest side stays, the others are new cells."""
    weight: dict[int, float] = {}
    for key, one in side.items():
        face = board.faces[key]
        share = sum(part.households / max(len(_under_ids(board, part.id)), 1) for part in board.parts_on(face))
        weight[one] = weight.get(one, 0.0) + share + 1e-9 * face.area_m2
    if len(weight) < 2:
        raise InvalidInput("edit.line_does_not_cut", cell=cell.code)
    main = max(weight, key=lambda one: (weight[one], -one))
    for one in sorted(weight):
        if one != main:
            _apart(board, assign, cell, {key for key, s in side.items() if s == one}, None)


def _apart(board: Board, assign: Assign, cell: Cell, faces: set[int], above: int | None) -> None:
    """Make a new cell of some faces of a cell, with new cells below where lowest cells are cut."""
    parent = cell.parent if above is None else above
    lowest = board.setting.lowest
    if cell.depth == lowest:
        fresh = assign.fresh(NewCell(lowest, cell.community, parent))
        send(board, assign, [board.faces[key] for key in sorted(faces)], fresh)
        return
    fresh = assign.fresh(NewCell(cell.depth, cell.community, parent))
    done: set[int] = set()
    for child in sorted(board.children.get(cell.id, _NONE)):
        own = {face.id for low in board.under(child) for face in board.faces_in(low)}
        if child in done or not own & faces:
            continue
        stack = board.stack(child) if cell.depth == lowest - 1 else (child,)
        done |= set(stack)
        if own <= faces:
            assign.parents |= dict.fromkeys(stack, fresh)
        else:
            _apart(board, assign, board.cells[child], own & faces, fresh)


def _cut(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    cell = known_cell(work.board, edit["cell"])
    _not_stacked(work.board, cell)
    line = _line(edit["line"], least=2)
    ground = shapely.from_wkb(cell.ground)
    sides = _sides_of(ground, line)
    if len(sides) < 2:
        raise InvalidInput("edit.line_does_not_cut", cell=cell.code)
    land = [face.id for face in _own_faces(work.board, cell) if work.board.is_land(face)]
    split(work, land, [line])
    board = work.board
    side = _side_of_faces(board, _own_faces(board, cell), sides)
    assign = Assign()
    _by_sides(board, assign, board.cells[cell.id], side)
    return assign, {"cell": cell.code, "n": len(set(side.values())), "households": 0}


def _own_faces(board: Board, cell: Cell) -> list[Face]:
    plots = sorted({board.plot(low) for low in board.under(cell.id)})
    return [face for plot in plots for face in board.faces_in(plot)]


def _sides_of(ground: shapely.Geometry, line: shapely.Geometry) -> list[shapely.Geometry]:
    """The pieces that a line cuts ground into, slivers left out."""
    lines = shapely.union_all([shapely.boundary(ground), line])
    pieces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inside = pieces[shapely.intersects(ground, shapely.point_on_surface(pieces))] if len(pieces) else pieces
    return [piece for piece in inside if shapely.area(piece) > 1e-6 * shapely.area(ground)]


def _side_of_faces(board: Board, faces: Sequence[Face], sides: Sequence[shapely.Geometry]) -> dict[int, int]:
    """The side that each face lies on: a building's where its footprint's point is, land where most of it is."""
    places = shapely.points(np.array([_point_of(board, face) for face in faces]))
    nearest = shapely.STRtree(list(sides)).nearest(places)
    side = {face.id: int(nearest[number]) for number, face in enumerate(faces)}
    # Faces that share parts go with the largest of them.
    for face in sorted(faces, key=lambda one: one.area_m2):
        for other in faces_with_company(board, [face]):
            if other.id in side:
                side[other.id] = side[face.id]
    return side


def _point_of(board: Board, face: Face) -> tuple[float, float]:
    known = board.setting.buildings.get(face.building) if face.building is not None else None
    if known is not None and face.unit_from is None:
        return (known.lon, known.lat)
    point = shapely.point_on_surface(shapely.from_wkb(face.shape))
    return (float(point.x), float(point.y))


def _reshape(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    cell = known_cell(work.board, edit["cell"])
    ring = _area(edit["ring"])
    shapely.prepare(ring)
    bound = shapely.boundary(ring)
    near = [face for face in _land_of(work.board, cell.community) if shapely.crosses(bound, _shape(face))]
    split(work, [face.id for face in near], list(shapely.get_parts(bound)))
    board = work.board
    all_faces = [face for face in board.faces.values() if face.community == cell.community]
    inside = _inside(board, all_faces, ring)
    own = {face.id for face in _own_faces(board, cell)}
    come = [face for face in all_faces if face.id in inside and face.id not in own]
    leave = [board.faces[key] for key in sorted(own - inside)]
    if not own & inside and not come:
        raise InvalidInput("edit.nothing_left", cell=cell.code)
    assign = Assign()
    if cell.depth == board.setting.lowest:
        send(board, assign, come, cell.id)
    else:
        into(board, assign, come, cell)
    mine = set(board.under(cell.id)) | _whole_under(board, come)
    scattered(board, assign, leave, lambda one: one not in mine)
    params = {
        "cell": cell.code,
        "buildings": _count_buildings([*come, *leave]),
        "households": _households(board, [*come, *leave]),
    }
    return assign, params


def _whole_under(board: Board, faces: Sequence[Face]) -> set[int]:
    """The lowest cells all of whose ground is among some faces."""
    keys = {face.id for face in faces}
    plots = {at for at in (board.cell_of(face) for face in faces) if at is not None}
    whole = [plot for plot in plots if all(face.id in keys for face in board.faces_in(plot))]
    return {one for plot in whole for one in board.stack(plot)}


def _land_of(board: Board, community: int) -> list[Face]:
    return [
        face for face in board.faces.values()
        if face.community == community and face.building is None
    ]  # fmt: skip


def _shape(face: Face) -> shapely.Geometry:
    return shapely.from_wkb(face.shape)


def _inside(board: Board, faces: Sequence[Face], ring: shapely.Geometry) -> set[int]:
    places = shapely.points(np.array([_point_of(board, face) for face in faces]))
    hit = shapely.intersects(ring, places)
    side = {face.id: bool(hit[number]) for number, face in enumerate(faces)}
    for face in sorted(faces, key=lambda one: one.area_m2):
        if face.building is not None:
            for other in faces_with_company(board, [face]):
                side[other.id] = side[face.id]
    return {key for key, is_in in side.items() if is_in}


def _line(points: Any, *, least: int) -> shapely.Geometry:
    xy = _points(points, least=least)
    line = shapely.linestrings(xy)
    if shapely.length(line) < 1e-6:
        raise InvalidInput("edit.bad_line")
    return line


def _area(points: Any) -> shapely.Geometry:
    ring = _points(points, least=3)
    made = as_polygons(np.array([shapely.polygons(ring)], dtype=object))[0]
    if shapely.is_empty(made) or shapely.area(made) < 1e-10:
        raise InvalidInput("edit.bad_ring")
    return made


def _points(points: Any, *, least: int) -> Any:
    try:
        xy = np.array(points, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInput("edit.bad_line") from error
    if xy.ndim != 2 or xy.shape[1] != 2 or not np.isfinite(xy).all() or np.abs(xy).max() > 180:
        raise InvalidInput("edit.bad_line")
    if len(np.unique(xy, axis=0)) < least:
        raise InvalidInput("edit.bad_line")
    return xy


def _break(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    return towers.broken(work, edit)


def _join(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    return towers.joined(work, edit)


def _lock(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    return _locks(work.board, edit, held=True)


def _unlock(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    return _locks(work.board, edit, held=False)


def _locks(board: Board, edit: Edit, *, held: bool) -> tuple[Assign, Summary]:
    assign = Assign()
    for key in edit.get("cells") or ():
        assign.locks["cell", known_cell(board, key).id] = held
    for key in edit.get("buildings") or ():
        _known_building(board, key)
        assign.locks["building", key] = held
    if edit.get("all"):
        assign.locks["all", 0] = held
        if not held:
            assign.locks |= dict.fromkeys(sorted(board.locks), False)
    if not assign.locks:
        raise InvalidInput("edit.nothing_chosen")
    return assign, {"count": len(assign.locks), "households": 0}


def _dedicate(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    cell = known_cell(work.board, edit["cell"])
    is_dedicated = bool(edit["is_dedicated"])
    return Assign(dedicated={cell.id: is_dedicated}), {
        "cell": cell.code, "is_dedicated": is_dedicated, "households": 0
    }  # fmt: skip


def _rename(work: Work, edit: Edit) -> tuple[Assign, Summary]:
    cell = known_cell(work.board, edit["cell"])
    name = (edit.get("name") or "").strip() or None
    if name is not None and (len(name) > LONGEST_NAME or not name.isprintable()):
        raise InvalidInput("edit.bad_name", longest=LONGEST_NAME)
    return Assign(names={cell.id: name}), {"cell": cell.code, "name": name or "", "households": 0}


EDITS: dict[str, Callable[[Work, Edit], tuple[Assign, Summary]]] = {
    "move": _move,
    "new": _new,
    "reparent": _reparent,
    "merge": _merge,
    "split": _split,
    "cut": _cut,
    "reshape": _reshape,
    "break": _break,
    "join": _join,
    "lock": _lock,
    "unlock": _unlock,
    "dedicate": _dedicate,
    "rename": _rename,
}
