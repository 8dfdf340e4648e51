"""Everything that is wrong with a board: what, where, and how it can be mended. Pure.

``error`` is what publication refuses; ``violation`` what the rules ask otherwise; ``note`` what a planner should know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.desk.board import Board, Building, Cell
from gis.partition.ground import ARTERIAL
from gis.plan_cover import GAP_M

Item = dict[str, Any]
ORDER = {"error": 0, "violation": 1, "note": 2}
LEAST_OPEN_M = 1.0
"""A shorter border without a barrier does not hold a cell together."""
_NONE: frozenset[int] = frozenset()


def violations(board: Board) -> list[Item]:
    """All of a board, what publication refuses first, then by code of the cell."""
    found = [item for check in CHECKS for item in check(board)]
    return sorted(found, key=lambda item: (ORDER[item["severity"]], item["code"], str(item["params"].get("cell", ""))))


def _item(
    board: Board,
    code: str,
    severity: str,
    *,
    cell: Cell | None = None,
    building: Building | None = None,
    compound: int | None = None,
    **params: Any,
) -> Item:
    box = _box(board, cell, building, compound)
    if cell is not None:
        params.setdefault("cell", cell.code)
        params.setdefault("tier", board.setting.tier(cell.depth).name_zh)
    if building is not None:
        params.setdefault("building", building.name or building.code)
    return {
        "code": code, "severity": severity, "cell_id": None if cell is None else cell.id,
        "building_id": None if building is None else building.id, "compound_id": compound, "bbox": box,
        "lon": (box[0] + box[2]) / 2, "lat": (box[1] + box[3]) / 2, "params": params,
    }  # fmt: skip


def _box(
    board: Board, cell: Cell | None, building: Building | None, compound: int | None
) -> tuple[float, float, float, float]:
    if building is not None:
        return (building.lon, building.lat, building.lon, building.lat)
    if compound is not None:
        return board.setting.compounds[compound].bbox
    if cell is not None:
        return board.figures[cell.id].bbox
    boxes = np.array([one.bbox for one in board.setting.communities.values()])
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def _out_of_band(board: Board) -> Iterator[Item]:
    for cell in board.cells.values():
        tier = board.setting.tier(cell.depth)
        if cell.band_state == "in_band" or cell.is_dedicated:
            continue
        remedy = {"code": f"check.remedy.{cell.band_state}", "params": {}}
        yield _item(
            board, f"check.{cell.band_state}", "violation", cell=cell, households=cell.households, low=tier.low,
            high=tier.high, remedy=remedy,
        )  # fmt: skip


def _pieces(board: Board) -> Iterator[Item]:
    for cell in board.cells.values():
        pieces = board.figures[cell.id].pieces
        if pieces > 1:
            yield _item(board, "check.pieces", "error", cell=cell, pieces=pieces)


def _unplaced(board: Board) -> Iterator[Item]:
    for building in board.setting.buildings.values():
        parts = [board.parts[key] for key in board.parts_of.get(building.id, _NONE)]
        if not parts:
            yield _item(board, "check.unassigned", "error", building=building, households=building.households)
        elif sum(part.households for part in parts) != building.households:
            yield _item(
                board, "check.households_changed", "error", building=building, households=building.households,
                placed=sum(part.households for part in parts),
            )  # fmt: skip


def _apart(board: Board) -> Iterator[Item]:
    """Buildings whose own ground belongs to another cell than they do."""
    for building in board.setting.buildings.values():
        for key in sorted(board.parts_of.get(building.id, _NONE)):
            part = board.parts[key]
            if not any(part in board.parts_on(board.faces[face]) for face in board.faces_of.get(building.id, _NONE)):
                yield _item(
                    board, "check.building_apart", "note", cell=board.cells[part.cell], building=building
                )  # fmt: skip
                break


def _compounds(board: Board) -> Iterator[Item]:
    """Compounds that lie in several cells of the lowest tier of grids that has room for them in one."""
    tiers = [one for one in board.setting.tiers if one.kind == "grid" and one.cell_of == "band"]
    held = [_compound_cells(board, tier.depth) for tier in tiers]
    for compound in sorted({one for by in held for one in by}):
        known = board.setting.compounds.get(compound)
        households = sum(held[0][compound].values())
        for tier, by in reversed(list(zip(tiers, held, strict=True))):
            if tier.high is not None and households > tier.high * (1 + tier.tolerance):
                continue
            cells = by[compound]
            if len(cells) > 1 and known is not None and len({board.cells[one].community for one in cells}) == 1:
                yield _item(
                    board, "check.compound_cut", "violation", compound=compound, name=known.name or known.code,
                    cells=sorted(board.cells[one].code for one in cells), households=households, tier=tier.name_zh,
                )  # fmt: skip
            break


def _compound_cells(board: Board, depth: int) -> dict[int, dict[int, int]]:
    """For each compound the cells of a tier that its households live in, with how many."""
    held: dict[int, dict[int, int]] = {}
    for part in board.parts.values():
        building = board.setting.buildings.get(part.building)
        if building is None or building.compound is None or part.households == 0:
            continue
        at = next(one for one in [part.cell, *board.ancestors(part.cell)] if board.cells[one].depth == depth)
        cells = held.setdefault(building.compound, {})
        cells[at] = cells.get(at, 0) + part.households
    return held


def _barriers(board: Board) -> Iterator[Item]:
    """Cells that hang together only across a river, a railway or an arterial road."""
    homes = board.home
    labels = _components(board, homes)
    for depth in range(1, board.setting.lowest + 1):
        held: dict[int, dict[int, float]] = {}
        for face, at in homes.items():
            if at is None:
                continue
            cell = next(one for one in [at, *board.ancestors(at)] if board.cells[one].depth == depth)
            shares = held.setdefault(cell, {})
            label = labels[depth][face]
            shares[label] = shares.get(label, 0.0) + board.faces[face].area_m2
        for cell, shares in sorted(held.items()):
            if len(shares) > 1 and board.figures[cell].pieces == 1:
                yield _item(
                    board, "check.barrier_crossed", "violation", cell=board.cells[cell], sides=len(shares)
                )  # fmt: skip


def _components(board: Board, homes: dict[int, int | None]) -> dict[int, dict[int, int]]:
    """For each tier what hangs together within one cell over borders that people cross."""
    keys = list(board.faces)
    at = {key: number for number, key in enumerate(keys)}
    up = {
        depth: {
            low: next(one for one in [low, *board.ancestors(low)] if board.cells[one].depth == depth)
            for low in board.lowest_cells
        }
        for depth in range(1, board.setting.lowest + 1)
    }
    open_m: dict[tuple[int, int], float] = {}
    for edge in board.edges.values():
        if edge.b is not None and edge.is_crossable and edge.barrier < ARTERIAL:
            open_m[edge.a, edge.b] = open_m.get((edge.a, edge.b), 0.0) + edge.length_m
    found = {}
    for depth, cells in up.items():
        pairs = [
            (at[a], at[b])
            for (a, b), metres in open_m.items()
            if metres >= LEAST_OPEN_M and homes[a] is not None and homes[b] is not None
            and cells[homes[a]] == cells[homes[b]]  # type: ignore[index]
        ]  # fmt: skip
        i, j = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        label = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(len(keys),) * 2), directed=False)[1]
        found[depth] = dict(zip(keys, label.tolist(), strict=True))
    return found


def _enclaves(board: Board) -> Iterator[Item]:
    """Cells that only one other cell of their tier surrounds."""
    homes = board.home
    for depth in range(1, board.setting.lowest + 1):
        around: dict[int, set[int]] = {}
        for edge in board.edges.values():
            ends = [_up(board, homes.get(face), depth) if face is not None else -1 for face in (edge.a, edge.b)]
            for one, other in (ends, ends[::-1]):
                if one is not None and one >= 0 and other is not None and one != other:
                    around.setdefault(one, set()).add(other)
        for cell, others in sorted(around.items()):
            if len(others) == 1 and -1 not in others:
                outer = board.cells[next(iter(others))]
                yield _item(board, "check.enclave", "violation", cell=board.cells[cell], other=outer.code)


def _up(board: Board, cell: int | None, depth: int) -> int | None:
    if cell is None:
        return None
    return next((one for one in [cell, *board.ancestors(cell)] if board.cells[one].depth == depth), None)


def _nobody(board: Board) -> Iterator[Item]:
    if not board.setting.people:
        return
    for cell in board.cells.values():
        if board.setting.people.get(cell.code, 0) == 0:
            yield _item(board, "check.nobody_responsible", "note", cell=cell)


def _tiers(board: Board) -> Iterator[Item]:
    """Cells whose children do not fit them: sums, number of children, floors."""
    for cell in board.cells.values():
        children = [board.cells[key] for key in board.children.get(cell.id, _NONE)]
        if cell.depth < board.setting.lowest:
            total = sum(child.households for child in children)
            if total != cell.households or any(child.community != cell.community for child in children):
                yield _item(board, "check.tier_mismatch", "error", cell=cell, households=cell.households, below=total)
        elif sum(board.parts[key].households for key in board.parts_in.get(cell.id, _NONE)) != cell.households:
            total = sum(board.parts[key].households for key in board.parts_in.get(cell.id, _NONE))
            yield _item(board, "check.tier_mismatch", "error", cell=cell, households=cell.households, below=total)


def _ground(board: Board) -> Iterator[Item]:
    """Ground of a community that its faces do not cover once."""
    by: dict[int, float] = {}
    for face in board.faces.values():
        by[face.community] = by.get(face.community, 0.0) + face.area_m2
        if board.home.get(face.id) is None:
            yield _item(board, "check.ground_free", "error", area_m2=round(face.area_m2, 1))
    for community in board.setting.communities.values():
        shapes = [shapely.from_wkb(face.shape) for face in board.faces.values() if face.community == community.id]
        if shapes and not bool(shapely.coverage_is_valid(board.setting.metric(np.array(shapes)), gap_width=GAP_M)):
            yield {
                **_item(board, "check.ground_fault", "error", community=community.name or community.code),
                "bbox": community.bbox,
                "lon": (community.bbox[0] + community.bbox[2]) / 2,
                "lat": (community.bbox[1] + community.bbox[3]) / 2,
            }


CHECKS = (
    _unplaced, _pieces, _tiers, _ground, _out_of_band, _compounds, _enclaves, _barriers, _apart, _nobody,
)  # fmt: skip
