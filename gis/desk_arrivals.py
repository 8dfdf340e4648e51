"""What an import brought after a draft was surveyed: new buildings get ground of their own, counts are followed.

Imported only when somebody asks for it: a survey brings the whole partitioner along.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from sqlalchemy.orm import Session

from gis import desk_survey
from gis.coverage import stitched_wgs84
from gis.desk.apply import Assign, Cut, Work, apply, refresh, settle_bare
from gis.desk.board import Board, Edge, Face, Rows
from gis.errors import InvalidInput

NEAR_DEGREES = 1e-4
"""How near a face of another community must lie to get the corners of a new survey."""


def newcomers(board: Board) -> list[int]:
    """Buildings that the draft knows neither as parts nor as ground, sorted."""
    known = board.setting.buildings
    return sorted(key for key in known if not board.faces_of.get(key) and not board.parts_of.get(key))


def take_up(session: Session, work: Work) -> dict[str, Any]:
    """Survey the communities with new buildings again, along the draft's cells, and follow counts that changed.

    New buildings stay without a cell: their ground lies where it lay, and they are put somewhere by whoever draws.
    Counts of what is locked, and of buildings in several parts, stay as they are.

    Returns
    -------
    dict
        Code and parameters of the sentence that tells what was done.

    Raises
    ------
    InvalidInput
        ``edit.nothing_new``.
    """
    board = work.board
    fresh, counts = newcomers(board), _recounted(board)
    if counts.cuts:
        apply(work, counts)
    if fresh:
        communities = sorted({board.setting.buildings[key].community for key in fresh})
        made = desk_survey.surveyed(session, board.setting.plan_id, communities=communities)
        work.put(_ground(work, made))
        settle_bare(work)
        refresh(work, ())
        _name(work, fresh)
    found = [key for key in fresh if work.board.faces_of.get(key)]
    if not found and not counts.cuts:
        raise InvalidInput("edit.nothing_new")
    households = sum(board.setting.buildings[key].households for key in found)
    return {
        "code": "edit.done.take_up",
        "params": {"buildings": len(found), "households": households, "recounted": len(counts.cuts)},
    }


def _recounted(board: Board) -> Assign:
    """Whole buildings with the households that they have now."""
    assign = Assign()
    if ("all", 0) in board.locks:
        return assign
    for building in board.setting.buildings.values():
        parts = [board.parts[key] for key in board.parts_of.get(building.id, ())]
        if len(parts) != 1 or parts[0].households == building.households:
            continue
        part = parts[0]
        is_whole = part.unit_from is None and part.floor_from is None
        if is_whole and ("building", building.id) not in board.locks and not board.is_locked(part.cell):
            cut = Cut(building.id, None, None, None, None, building.households)
            assign.cuts[building.id] = [(cut, part.cell)]
    return assign


def _ground(work: Work, made: desk_survey.Made) -> Rows:
    """Faces and borders of communities in place of those that they have; neighbours get the corners that come about."""
    board = work.board
    renewed = {community for community, *_ in made}
    beside = _beside(board, renewed)
    own = np.concatenate([faces.polygon for _, faces, _, _ in made])
    shapes = np.concatenate([own, np.asarray(shapely.from_wkb([face.shape for face in beside]), dtype=object)])
    area = [number for number, (_, faces, _, _) in enumerate(made) for _ in faces.polygon]
    area += [len(made) + face.community for face in beside]
    wkb = shapely.to_wkb(stitched_wgs84([shapes], [np.array(area, dtype=np.int64)])[0], byte_order=1)
    old = [face for face in board.faces.values() if face.community in renewed]
    rows = Rows(faces=dict.fromkeys(face.id for face in old))
    rows.edges.update(dict.fromkeys(key for face in old for key in board.edges_of.get(face.id, ())))
    ids = work.fresh.ids("plan_face", len(own))
    at = 0
    for community, faces, plots, buildings in made:
        keys = ids[at : at + len(faces.polygon)]
        for i, key in enumerate(keys):
            whose = buildings[faces.building[i]] if faces.building[i] >= 0 else None
            rows.faces[key] = Face(
                key, community, whose, int(faces.unit_from[i]) or None, int(faces.unit_to[i]) or None,
                plots[faces.cell[i]], float(faces.area_m2[i]), bytes(wkb[at + i]),
            )  # fmt: skip
        at += len(keys)
        rows.edges.update(_edges(work, faces.borders, keys))
    for number, face in enumerate(beside, start=len(own)):
        if bytes(wkb[number]) != face.shape:
            rows.faces[face.id] = Face(**{**_values(face), "shape": bytes(wkb[number])})
    return rows


def _values(face: Face) -> dict[str, Any]:
    return {name: getattr(face, name) for name in Face.__dataclass_fields__}


def _edges(work: Work, borders: Any, faces: list[int]) -> dict[int, Edge | None]:
    lines = shapely.to_wkb(borders.line, byte_order=1)
    return {
        key: Edge(
            key, faces[borders.a[i]], faces[borders.b[i]] if borders.b[i] >= 0 else None, float(borders.length_m[i]),
            int(borders.barrier[i]), bool(borders.is_crossable[i]), bytes(lines[i]),
        )
        for i, key in enumerate(work.fresh.ids("plan_edge", len(lines)))
    }  # fmt: skip


def _beside(board: Board, renewed: set[int]) -> list[Face]:
    """Faces of other communities near to the outlines of these."""
    others = [face for face in board.faces.values() if face.community not in renewed]
    if not others:
        return []
    boxes = np.array([board.setting.communities[key].bbox for key in renewed]) + NEAR_DEGREES * np.array([-1, -1, 1, 1])
    tree = shapely.STRtree(shapely.from_wkb([face.shape for face in others]))
    found = tree.query(shapely.box(*boxes.T))[1]
    return [others[i] for i in sorted(set(found.tolist()))]


def _name(work: Work, buildings: list[int]) -> None:
    """Note the cells that new buildings stand in: who edits these at the same time is told."""
    board = work.board
    for key in buildings:
        homes = (board.cell_of(board.faces[face]) for face in board.faces_of.get(key, ()))
        work.cells |= {home for home in homes if home is not None}
