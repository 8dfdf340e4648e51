"""The desk's rows: read into a `Board`, made when a plan is opened for the first time, written after an edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from gis import crs, plans, rules
from gis.desk.apply import Cut, Work, settle_bare
from gis.desk.board import Board, Building, Cell, Community, Compound, Edge, Face, Part, Rows, Setting, Tier, grounded
from gis.models import PlanDesk
from gis.rule_set import RuleSet

Box = tuple[float, float, float, float]


# --- Reading ---------------------------------------------------------------------------------------------------------


def load(session: Session, desk: PlanDesk) -> Board:
    """All of a plan that was prepared."""
    known = {"plan": desk.plan_id}
    rows = Rows(
        cells={row.id: cell_of(row) for row in session.execute(text(CELLS), known)},
        parts={row.id: part_of(row) for row in session.execute(text(PARTS), known)},
        faces={row.id: _face(row) for row in session.execute(text(_FACES), known)},
        edges={row.id: _edge(row) for row in session.execute(text(_EDGES), known)},
        locks={(row.kind, row.item_id): True for row in session.execute(text(_LOCKS), known)},
    )  # fmt: skip
    return Board.of(_setting(session, desk.plan_id), rows, seq=desk.seq, ground=desk.ground)


def _setting(session: Session, plan_id: int) -> Setting:
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    known = {"plan": plan_id}
    town = last_import(session)  # before what it brought: one that ends meanwhile is seen next time
    communities = {
        row.id: Community(row.id, row.code, row.name, row.name_en, _box(row), float(row.area))
        for row in session.execute(text(COMMUNITIES), known)
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
        given=frozenset(session.scalars(text(_GIVEN), known)), town=town,
    )  # fmt: skip


def last_import(session: Session) -> int:
    """The number of the last import; imports wait for one another."""
    return int(session.scalar(text("SELECT max(id) FROM import_run")) or 0)


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


def cell_of(row: Any) -> Cell:
    """A row of `CELLS`."""
    return Cell(*row)


def part_of(row: Any) -> Part:
    """A row of `PARTS`."""
    return Part(*row)


def _face(row: Any) -> Face:
    return Face(*row)


def _edge(row: Any) -> Edge:
    return Edge(*row)


_BOX = "ST_XMin({0}) AS west, ST_YMin({0}) AS south, ST_XMax({0}) AS east, ST_YMax({0}) AS north"
MINE = "SELECT community_id FROM plan_community WHERE plan_id = :plan"

CELLS = """
SELECT
    id, grid_depth, parent_id, community_id, code, name, is_dedicated, floor_from, floor_to, households, residents,
    buildings, area_m2, band_state, color_index, ST_AsBinary(geom, 'NDR') AS ground
FROM grid WHERE plan_id = :plan ORDER BY id
"""
PARTS = """
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
_OUTLINES = f"SELECT ST_AsBinary(geom) FROM admin_area WHERE id IN ({MINE}) ORDER BY code"
COMMUNITIES = f"""
SELECT id, code, name, name_en, {_BOX.format("geom")}, ST_Area(CAST(geom AS geography)) AS area
FROM admin_area WHERE id IN ({MINE}) ORDER BY code
"""
_COMPOUNDS = f"""
SELECT k.id, k.code, k.name, {_BOX.format("k.geom")},
    (SELECT sum(b.households) FROM building b WHERE b.compound_id = k.id) AS households
FROM compound k WHERE k.area_id IN ({MINE})
    OR k.id IN (SELECT compound_id FROM building WHERE area_id IN ({MINE})) ORDER BY k.code
"""
_BUILDINGS = f"""
SELECT id, code, name, area_id, compound_id, use, households, floors, units, ST_X(point) AS lon, ST_Y(point) AS lat
FROM (SELECT *, ST_PointOnSurface(geom) AS point FROM building WHERE area_id IN ({MINE})) located ORDER BY id
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
_GIVEN = f"SELECT value FROM grid_code WHERE community_id IN ({MINE})"
_INCIDENTS = f"""
SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat FROM incident
WHERE closed_at IS NULL AND area_id IN ({MINE}) ORDER BY id
"""


# --- Preparing -------------------------------------------------------------------------------------------------------


def clear_ground(session: Session, plan_id: int) -> None:
    """Drop the faces of a plan."""
    for table in ("plan_edge", "plan_face"):
        session.execute(text(f"DELETE FROM {table} WHERE plan_id = :plan"), {"plan": plan_id})


def count_lowest(session: Session, plan_id: int) -> int:
    """Cells of a plan's lowest tier: what a survey takes time for."""
    return int(session.scalar(text(_COUNT_LOWEST), {"plan": plan_id}) or 0)


_COUNT_LOWEST = (
    "SELECT count(*) FROM grid JOIN plan ON plan.id = plan_id WHERE plan_id = :plan AND grid_depth = grid_depths"
)


def align(session: Session, desk: PlanDesk, *, is_draft: bool) -> Board:
    """Note that a plan has ground; a draft's cells get the unions of their faces (a published plan is frozen)."""
    desk.is_ready, desk.is_aligned, desk.ground = True, is_draft, desk.ground + 1
    session.flush()
    board = load(session, desk)
    if is_draft:
        work = Work(board, _Nothing())
        settle_bare(work)
        write(session, board, work.rows()[1])
        board = work.board
        rows = Rows(cells=_aligned(board))
        write(session, board, rows)
        board = board.replaced(rows)
    return board


class _Nothing:
    """No new rows are asked for while cells are aligned."""

    def ids(self, table: str, count: int) -> list[int]:
        """Not asked."""
        raise NotImplementedError(table, count)

    def parts(self, cuts: Sequence[Cut]) -> list[int]:
        """Not asked."""
        raise NotImplementedError(cuts)

    def footprint(self, building: int) -> Any:
        """Not asked."""
        raise NotImplementedError(building)


def _aligned(board: Board) -> dict[int, Cell | None]:
    """Cells whose ground, area or counts are not those of their faces and parts."""
    made = {key: grounded(board, cell) for key, cell in board.cells.items()}
    return {key: cell for key, cell in made.items() if cell != board.cells[key]}


def copy_ground(session: Session, source: int, plan_id: int) -> bool:
    """Give a plan the faces of the plan that it was copied from; ``False`` if that has none, or they no longer fit.

    They fit where all lowest cells are the same, and every building stands on a face of its own still.
    """
    known = {"source": source, "plan": plan_id}
    if not session.scalar(text(_FACES_FIT), known):
        return False
    session.execute(text(_COPY_FACES), known)
    session.execute(text(_COPY_EDGES), known)
    return True


# Cells by what they are, so that equal ones are found by hashing. Materialised: geometry is taken apart once.
_CELLS_ALIKE = """
WITH old AS MATERIALIZED (
    SELECT id, community_id, grid_depth, coalesce(floor_from, 0) AS floor, md5(ST_AsBinary(geom)) AS ground
    FROM grid WHERE plan_id = :source
), new AS MATERIALIZED (
    SELECT id, community_id, grid_depth, coalesce(floor_from, 0) AS floor, md5(ST_AsBinary(geom)) AS ground
    FROM grid WHERE plan_id = :plan
), alike AS MATERIALIZED (
    SELECT old.id AS old_id, min(new.id) AS new_id
    FROM old JOIN new USING (community_id, grid_depth, floor, ground) GROUP BY old.id
)
"""
_FACES_FIT = f"""
{_CELLS_ALIKE}
SELECT EXISTS (SELECT FROM plan_desk WHERE plan_id = :source AND is_ready)
    AND (SELECT count(*) FROM new) = (SELECT count(DISTINCT new_id) FROM alike)
    AND NOT EXISTS (
        SELECT FROM plan_face f LEFT JOIN alike ON alike.old_id = f.cell_id
        WHERE f.plan_id = :source AND alike.new_id IS NULL)
    AND NOT EXISTS (
        SELECT b.id FROM building b JOIN plan_community pc ON pc.community_id = b.area_id AND pc.plan_id = :plan
        LEFT JOIN plan_face f ON f.plan_id = :source AND f.building_id = b.id AND ST_Intersects(f.geom, b.geom)
        WHERE f.id IS NULL)
"""
# Copies bear numbers in the order of the originals, by which borders find their faces.
_COPY_FACES = f"""
{_CELLS_ALIKE}
INSERT INTO plan_face (plan_id, community_id, building_id, unit_from, unit_to, cell_id, area_m2, geom)
SELECT :plan, f.community_id, f.building_id, f.unit_from, f.unit_to, alike.new_id, f.area_m2, f.geom
FROM plan_face f JOIN alike ON alike.old_id = f.cell_id WHERE f.plan_id = :source ORDER BY f.id
"""
_COPY_EDGES = """
WITH pair AS (
    SELECT old.id AS old_id, new.id AS new_id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM plan_face WHERE plan_id = :source) old
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM plan_face WHERE plan_id = :plan) new USING (n)
)
INSERT INTO plan_edge (plan_id, face_a, face_b, length_m, barrier, is_crossable, geom)
SELECT :plan, a.new_id, b.new_id, e.length_m, e.barrier, e.is_crossable, e.geom
FROM plan_edge e JOIN pair a ON a.old_id = e.face_a LEFT JOIN pair b ON b.old_id = e.face_b
WHERE e.plan_id = :source ORDER BY e.id
"""


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
            {
                "plan": plan, "ids": [part.id for part in moved], "cells": [part.cell for part in moved],
                "households": [part.households for part in moved],
            },
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
    UPDATE grid_part SET grid_id = moved.cell, households = moved.households
    FROM unnest(CAST(:ids AS bigint[]), CAST(:cells AS bigint[]), CAST(:households AS integer[]))
        AS moved (id, cell, households)
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
