"""The desk's rows: read into a `Board`, made when a plan is opened for the first time, written after an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from gis import crs, plans, rules
from gis.coverage import stitched_wgs84
from gis.desk.board import Board, Building, Cell, Community, Compound, Edge, Face, Part, Rows, Setting, Tier, grounded
from gis.desk.faces import Faces, Home, Place, faces_of
from gis.geometry import Geometries
from gis.models import PlanDesk
from gis.partition.division_of import jobs_of
from gis.partition.site import Job
from gis.plan_storing import copy_rows, next_ids
from gis.rule_set import RuleSet
from gis.town_rows import town_of

Box = tuple[float, float, float, float]


# --- Reading ---------------------------------------------------------------------------------------------------------


def load(session: Session, desk: PlanDesk) -> Board:
    """All of a plan that was prepared."""
    known = {"plan": desk.plan_id}
    rows = Rows(
        cells={row.id: _cell(row) for row in session.execute(text(_CELLS), known)},
        parts={row.id: _part(row) for row in session.execute(text(_PARTS), known)},
        faces={row.id: _face(row) for row in session.execute(text(_FACES), known)},
        edges={row.id: _edge(row) for row in session.execute(text(_EDGES), known)},
        locks={(row.kind, row.item_id): True for row in session.execute(text(_LOCKS), known)},
    )  # fmt: skip
    return Board.of(_setting(session, desk.plan_id), rows, seq=desk.seq, ground=desk.ground)


def _setting(session: Session, plan_id: int) -> Setting:
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    known = {"plan": plan_id}
    communities = {
        row.id: Community(row.id, row.code, row.name, _box(row), float(row.area))
        for row in session.execute(text(_COMMUNITIES), known)
    }
    compounds = {
        row.id: Compound(row.id, row.code, row.name, int(row.households or 0), _box(row))
        for row in session.execute(text(_COMPOUNDS), known)
    }
    buildings = {row.id: Building(*row) for row in session.execute(text(_BUILDINGS), known)}
    return Setting(
        plan_id, _zone(session, plan_id), _tiers(rule_set, plan.grid_depths), communities, compounds, buildings,
        people={row.code: row.people for row in session.execute(text(_PEOPLE), known)},
        incidents=tuple((row.lon, row.lat) for row in session.execute(text(_INCIDENTS), known)),
        given=frozenset(session.scalars(text(_GIVEN), known)),
    )  # fmt: skip


def _tiers(rule_set: RuleSet, depths: int) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            depth, tier.name_zh, tier.name_en, tier.kind, tier.cell_of, tier.households_min, tier.households_max,
            tier.tolerance_ratio, tier.target, tier.code_digits,
        )
        for depth, tier in enumerate(rule_set.grid_tiers[:depths], start=1)
    )  # fmt: skip


def _zone(session: Session, plan_id: int) -> int:
    wkb = session.scalars(text(_OUTLINES), {"plan": plan_id}).all()
    return crs.zone_of(np.asarray(shapely.from_wkb([bytes(one) for one in wkb]), dtype=object))


def _box(row: Row[Any]) -> Box:
    return (row.west, row.south, row.east, row.north)


def _cell(row: Any) -> Cell:
    return Cell(*row)


def _part(row: Any) -> Part:
    return Part(*row)


def _face(row: Any) -> Face:
    return Face(*row)


def _edge(row: Any) -> Edge:
    return Edge(*row)


_BOX = "ST_XMin({0}) AS west, ST_YMin({0}) AS south, ST_XMax({0}) AS east, ST_YMax({0}) AS north"
_MINE = "SELECT community_id FROM plan_community WHERE plan_id = :plan"

_CELLS = """
SELECT
    id, grid_depth, parent_id, community_id, code, name, is_dedicated, floor_from, floor_to, households, residents,
    buildings, area_m2, band_state, color_index, ST_AsBinary(geom, 'NDR') AS ground
FROM grid WHERE plan_id = :plan ORDER BY id
"""
_PARTS = """
SELECT
    gp.building_part_id AS id, gp.building_id, lower(gp.unit_span) AS unit_from, upper(gp.unit_span) - 1 AS unit_to,
    lower(gp.floor_span) AS floor_from, upper(gp.floor_span) - 1 AS floor_to, gp.households, part.residents,
    part.units_estimated, gp.grid_id
FROM grid_part gp JOIN building_part part ON part.id = gp.building_part_id
WHERE gp.plan_id = :plan ORDER BY gp.building_part_id
"""
_FACES = """
SELECT id, community_id, building_id, unit_from, unit_to, cell_id, area_m2, ST_AsBinary(geom, 'NDR') AS shape
FROM plan_face WHERE plan_id = :plan ORDER BY id
"""
_EDGES = """
SELECT id, face_a, face_b, length_m, barrier, is_crossable, ST_AsBinary(geom, 'NDR') AS line
FROM plan_edge WHERE plan_id = :plan ORDER BY id
"""
_LOCKS = "SELECT kind, item_id FROM plan_lock WHERE plan_id = :plan"
_OUTLINES = f"SELECT ST_AsBinary(geom) FROM admin_area WHERE id IN ({_MINE}) ORDER BY code"
_COMMUNITIES = f"""
SELECT id, code, name, {_BOX.format("geom")}, ST_Area(CAST(geom AS geography)) AS area
FROM admin_area WHERE id IN ({_MINE}) ORDER BY code
"""
_COMPOUNDS = f"""
SELECT k.id, k.code, k.name, {_BOX.format("k.geom")},
    (SELECT sum(b.households) FROM building b WHERE b.compound_id = k.id) AS households
FROM compound k WHERE k.area_id IN ({_MINE})
    OR k.id IN (SELECT compound_id FROM building WHERE area_id IN ({_MINE})) ORDER BY k.code
"""
_BUILDINGS = f"""
SELECT id, code, name, area_id, compound_id, use, households, floors, units, ST_X(point) AS lon, ST_Y(point) AS lat
FROM (SELECT *, ST_PointOnSurface(geom) AS point FROM building WHERE area_id IN ({_MINE})) located ORDER BY id
"""
# A draft's cells bear the codes of the cells in force that they continue; with these their people go on.
_PEOPLE = """
SELECT g.code, count(DISTINCT held.staff_id) AS people
FROM assignment held
JOIN grid g ON g.id = held.grid_id
JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
WHERE held.valid_during @> now()
  AND (g.plan_id = :plan OR pc.in_force_during @> now())
  AND pc.community_id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan)
GROUP BY g.code
"""
_GIVEN = f"SELECT value FROM grid_code WHERE community_id IN ({_MINE})"
_INCIDENTS = f"""
SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat FROM incident
WHERE closed_at IS NULL AND area_id IN ({_MINE}) ORDER BY id
"""


# --- Preparing -------------------------------------------------------------------------------------------------------


def prepare(session: Session, desk: PlanDesk, *, align: bool) -> Board:
    """Make the ground of a plan's communities, in place of what there was.

    Parameters
    ----------
    align : bool
        Give the cells the unions of their faces as their grounds (a draft's; a published plan is frozen).

    Notes
    -----
    The demo town (240 grids, 1,500 micro-grids, 2,756 buildings): 15 s of one core.
    """
    plan_id = desk.plan_id
    for table in ("plan_edge", "plan_face"):
        session.execute(text(f"DELETE FROM {table} WHERE plan_id = :plan"), {"plan": plan_id})
    _survey(session, plan_id)
    desk.is_ready, desk.is_aligned, desk.ground = True, align, desk.ground + 1
    session.flush()
    board = load(session, desk)
    if align:
        rows = Rows(cells=_aligned(board))
        write(session, board, rows)
        board = board.replaced(rows)
    return board


def _aligned(board: Board) -> dict[int, Cell | None]:
    """Cells whose ground, area or counts are not those of their faces and parts."""
    made = {key: grounded(board, cell) for key, cell in board.cells.items()}
    return {key: cell for key, cell in made.items() if cell != board.cells[key]}


def _survey(session: Session, plan_id: int) -> None:
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    known = {"plan": plan_id}
    codes = {row.code: row.id for row in session.execute(text(_COMMUNITIES), known)}
    town = town_of(session, community_ids=list(codes.values()))
    building_ids = {
        row.code: row.id for row in session.execute(text("SELECT id, code FROM building WHERE area_id IN "
                                                          f"({_MINE})"), known)
    }  # fmt: skip
    cells = [_cell(row) for row in session.execute(text(_CELLS), known) if row.grid_depth == plan.grid_depths]
    parts = [_part(row) for row in session.execute(text(_PARTS), known)]
    made = []
    for job in jobs_of(town, rule_set, seed=0, effort="draft"):
        community = codes[job.code]
        numbers = {building_ids[str(code)]: number for number, code in enumerate(job.buildings["code"])}
        place, plots = _place(job, [cell for cell in cells if cell.community == community], parts, numbers)
        if len(plots):
            made.append((community, faces_of(place), plots, list(numbers)))
    _store(session, plan_id, made)


def _place(
    job: Job, cells: Sequence[Cell], parts: Sequence[Part], numbers: Mapping[int, int]
) -> tuple[Place, list[int]]:
    """A community as the survey takes it, and the lowest id of the cells over each of its grounds."""
    positions: dict[tuple[Any, ...], int] = {}
    at: dict[int, int] = {}
    plots: list[int] = []
    for cell in cells:
        key = (cell.parent, cell.ground) if cell.floor_from is not None else (cell.id,)
        if key not in positions:
            positions[key] = len(plots)
            plots.append(cell.id)
        at[cell.id] = positions[key]
    homes: list[list[Home]] = [[] for _ in numbers]
    for part in parts:
        if part.building in numbers and part.cell in at:
            homes[numbers[part.building]].append(Home(part.unit_from, part.unit_to, at[part.cell]))
    grounds = {cell.id: cell.ground for cell in cells}
    shapes = np.asarray(shapely.from_wkb([grounds[key] for key in plots]), dtype=object)
    return Place(job, shapes, homes), plots


def _store(session: Session, plan_id: int, made: Sequence[tuple[int, Faces, list[int], list[int]]]) -> None:
    if not made:
        return
    # Neighbouring communities get each other's corners, as their cells have them.
    numbers = np.repeat(np.arange(len(made)), [len(faces.polygon) for _, faces, _, _ in made])
    polygons = stitched_wgs84([np.concatenate([faces.polygon for _, faces, _, _ in made])], [numbers])[0]
    ids = np.array(next_ids(session, "plan_face", len(polygons)), dtype=np.int64)
    start = 0
    faces_rows: list[tuple[Any, ...]] = []
    edge_rows: list[tuple[Any, ...]] = []
    for community, faces, plots, buildings in made:
        own = ids[start : start + len(faces.polygon)]
        shapes = _hex(polygons[start : start + len(faces.polygon)])
        start += len(own)
        for i, key in enumerate(own.tolist()):
            whose = buildings[faces.building[i]] if faces.building[i] >= 0 else None
            span = (int(faces.unit_from[i]) or None, int(faces.unit_to[i]) or None)
            faces_rows.append(
                (key, plan_id, community, whose, *span, plots[faces.cell[i]], float(faces.area_m2[i]), shapes[i])
            )
        lines, borders = _hex(faces.borders.line), faces.borders
        edge_rows += [
            (
                plan_id, int(own[borders.a[i]]), int(own[borders.b[i]]) if borders.b[i] >= 0 else None,
                float(borders.length_m[i]), int(borders.barrier[i]), bool(borders.is_crossable[i]), lines[i],
            )
            for i in range(len(lines))
        ]  # fmt: skip
    columns = "id, plan_id, community_id, building_id, unit_from, unit_to, cell_id, area_m2, geom"
    copy_rows(session, "plan_face", columns, faces_rows)
    copy_rows(session, "plan_edge", "plan_id, face_a, face_b, length_m, barrier, is_crossable, geom", edge_rows)


def _hex(shapes: Geometries) -> list[str]:
    found: list[str] = shapely.to_wkb(shapely.set_srid(shapes, 4326), hex=True, include_srid=True).tolist()
    return found


# --- Writing ---------------------------------------------------------------------------------------------------------


def write(session: Session, board: Board, rows: Rows) -> None:
    """Make the database's rows those given; ``board`` is what they are now.

    New cells come from the top down before parts are put into them, cells that go from the bottom up after.
    """
    session.flush()
    _free_codes(session, board, rows)
    connection = session.connection()
    plan = {"plan": board.setting.plan_id}
    fresh = [cell for key, cell in rows.cells.items() if cell is not None and key not in board.cells]
    changed = [cell for key, cell in rows.cells.items() if cell is not None and key in board.cells]
    if fresh:
        connection.execute(_INSERT_CELL, [_cell_row(board, cell) for cell in sorted(fresh, key=lambda c: c.depth)])
    if changed:
        connection.execute(_UPDATE_CELL, [_cell_row(board, cell) for cell in changed])
    _write_parts(connection, board, rows)
    gone = [key for key, cell in rows.cells.items() if cell is None]
    for key in sorted(gone, key=lambda key: -board.cells[key].depth):
        connection.execute(text("DELETE FROM grid WHERE id = :id AND plan_id = :plan"), {**plan, "id": key})
    _write_ground(connection, board, rows)
    for (kind, item), held in rows.locks.items():
        connection.execute(_LOCK if held else _UNLOCK, {**plan, "kind": kind, "item": item})


def _free_codes(session: Session, board: Board, rows: Rows) -> None:
    """Let go of codes that others will bear: two cells may swap theirs, and a code is unique at every moment."""
    gone = [key for key, cell in rows.cells.items() if cell is None]
    renamed = [
        key for key, cell in rows.cells.items() if cell and key in board.cells and cell.code != board.cells[key].code
    ]
    if gone or renamed:
        session.connection().execute(
            text("UPDATE grid SET code = '~' || id WHERE id = ANY(:ids)"), {"ids": [*gone, *renamed]}
        )


def _write_parts(connection: Any, board: Board, rows: Rows) -> None:
    plan, depth = board.setting.plan_id, board.setting.lowest
    gone = [key for key, part in rows.parts.items() if part is None]
    if gone:
        connection.execute(
            text("DELETE FROM grid_part WHERE plan_id = :plan AND building_part_id = ANY(:ids)"),
            {"plan": plan, "ids": gone},
        )
    moved = [part for key, part in rows.parts.items() if part is not None and key in board.parts]
    if moved:
        connection.execute(
            _MOVE_PARTS,
            {"plan": plan, "ids": [part.id for part in moved], "cells": [part.cell for part in moved]},
        )  # fmt: skip
    fresh = [part for key, part in rows.parts.items() if part is not None and key not in board.parts]
    if fresh:
        given = [_part_row(plan, depth, part) for part in fresh]
        connection.execute(_ENSURE_PART, given)
        connection.execute(_INSERT_PART, given)


def _write_ground(connection: Any, board: Board, rows: Rows) -> None:
    plan = board.setting.plan_id
    tables: tuple[tuple[str, Mapping[int, Any], Any], ...] = (
        ("plan_face", rows.faces, _PUT_FACE),
        ("plan_edge", rows.edges, _PUT_EDGE),
    )
    for table, changed, put_row in tables:
        gone = [key for key, row in changed.items() if row is None]
        if gone:
            connection.execute(text(f"DELETE FROM {table} WHERE id = ANY(:ids)"), {"ids": gone})
        put = [
            {"plan": plan, **{name: getattr(row, name) for name in row.__dataclass_fields__}}
            for row in changed.values()
            if row is not None
        ]
        if put:
            connection.execute(put_row, put)


def _cell_row(board: Board, cell: Cell) -> dict[str, Any]:
    row = {name: getattr(cell, name) for name in cell.__dataclass_fields__}
    return {"plan": board.setting.plan_id, **row}


def _part_row(plan: int, depth: int, part: Part) -> dict[str, Any]:
    return {
        "plan": plan, "depth": depth, "id": part.id, "building": part.building, "cell": part.cell,
        "units": _span(part.unit_from, part.unit_to), "floors": _span(part.floor_from, part.floor_to),
        "households": part.households, "residents": part.residents, "estimated": part.units_estimated,
    }  # fmt: skip


def _span(first: int | None, last: int | None) -> str:
    return f"{'(' if first is None else f'[{first}'},{'' if last is None else last + 1})"


_MOVE_PARTS = text(
    """
    UPDATE grid_part SET grid_id = moved.cell
    FROM unnest(CAST(:ids AS bigint[]), CAST(:cells AS bigint[])) AS moved (id, cell)
    WHERE plan_id = :plan AND building_part_id = moved.id
    """
)
_GEOM = "ST_GeomFromWKB(:{0}, 4326)"
_INSERT_CELL = text(
    f"""
    INSERT INTO grid (id, plan_id, community_id, rule_set_id, grid_depth, parent_id, is_dedicated, code, name,
        floor_from, floor_to, households, residents, buildings, area_m2, band_state, color_index, geom)
    SELECT :id, id, :community, rule_set_id, :depth, CAST(:parent AS bigint), :is_dedicated, :code, :name,
        CAST(:floor_from AS integer), CAST(:floor_to AS integer), :households, CAST(:residents AS integer), :buildings,
        :area_m2, :band_state, :color_index, {_GEOM.format("ground")}
    FROM plan WHERE id = :plan
    """
)
_UPDATE_CELL = text(
    f"""
    UPDATE grid SET parent_id = :parent, is_dedicated = :is_dedicated, code = :code, name = :name,
        floor_from = :floor_from, floor_to = :floor_to, households = :households, residents = :residents,
        buildings = :buildings, area_m2 = :area_m2, band_state = :band_state, color_index = :color_index,
        geom = {_GEOM.format("ground")}
    WHERE id = :id AND plan_id = :plan
    """
)
# The cut may be gone since: when another draft that used it too was given up.
_ENSURE_PART = text(
    """
    INSERT INTO building_part (id, building_id, unit_span, floor_span, households, residents, units_estimated)
    VALUES (:id, :building, CAST(:units AS int4range), CAST(:floors AS int4range), :households, :residents, :estimated)
    ON CONFLICT (id) DO NOTHING
    """
)
_INSERT_PART = text(
    """
    INSERT INTO grid_part (plan_id, building_part_id, grid_id, grid_depth, building_id, unit_span, floor_span,
        households)
    VALUES (:plan, :id, :cell, :depth, :building, CAST(:units AS int4range), CAST(:floors AS int4range), :households)
    """
)
_PUT_FACE = text(
    f"""
    INSERT INTO plan_face (id, plan_id, community_id, building_id, unit_from, unit_to, cell_id, area_m2, geom)
    VALUES (:id, :plan, :community, :building, :unit_from, :unit_to, :cell, :area_m2, {_GEOM.format("shape")})
    ON CONFLICT (id) DO UPDATE SET building_id = excluded.building_id, unit_from = excluded.unit_from,
        unit_to = excluded.unit_to, cell_id = excluded.cell_id, area_m2 = excluded.area_m2, geom = excluded.geom
    """
)
_PUT_EDGE = text(
    f"""
    INSERT INTO plan_edge (id, plan_id, face_a, face_b, length_m, barrier, is_crossable, geom)
    VALUES (:id, :plan, :a, :b, :length_m, :barrier, :is_crossable, {_GEOM.format("line")})
    ON CONFLICT (id) DO UPDATE SET face_a = excluded.face_a, face_b = excluded.face_b, length_m = excluded.length_m,
        barrier = excluded.barrier, is_crossable = excluded.is_crossable, geom = excluded.geom
    """
)
_LOCK = text("INSERT INTO plan_lock (plan_id, kind, item_id) VALUES (:plan, :kind, :item) ON CONFLICT DO NOTHING")
_UNLOCK = text("DELETE FROM plan_lock WHERE plan_id = :plan AND kind = :kind AND item_id = :item")
