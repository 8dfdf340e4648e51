"""A draft on the desk, and what must hold of it whatever was done: found from the rows, not from the board."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import desk_log, plans
from gis.desk.board import Board, Cell
from gis.permissions import SYSTEM, Actor
from tests.usecases.builders import NOW, SmallTown, make_plan, make_town

_numbers = itertools.count()


def request_id() -> str:
    return f"request-{next(_numbers):06d}"


@dataclass
class Desk:
    """Edits of one draft, as somebody."""

    session: Session
    town: SmallTown
    plan_id: int
    actor: Actor = SYSTEM
    done: list[dict[str, Any]] = field(default_factory=list)

    @property
    def board(self) -> Board:
        return desk_log.open_board(self.session, self.plan_id)

    def edit(self, kind: str, *, base: int | None = None, actor: Actor | None = None, **more: Any) -> dict[str, Any]:
        seq = desk_log.seq_of(self.session, self.plan_id) if base is None else base
        asked = {"kind": kind, "request_id": request_id(), "base": seq, **more}
        self.board  # noqa: B018 - opened first
        told = desk_log.edit(self.session, self.plan_id, asked, actor=actor or self.actor, now=NOW)
        self.done.append(told)
        assert_whole(self.session, self.plan_id)
        return told

    def undo(self, actor: Actor | None = None) -> dict[str, Any]:
        return desk_log.undo(
            self.session, self.plan_id, request_id=request_id(), actor=actor or self.actor, now=NOW, language="en"
        )

    def redo(self, actor: Actor | None = None) -> dict[str, Any]:
        return desk_log.redo(self.session, self.plan_id, request_id=request_id(), actor=actor or self.actor, now=NOW)

    def building(self, number: int, community: int = 0) -> int:
        """A building's id, counted from the south-west corner."""
        code = f"{self.town.communities[community].code}{number + 1:05d}"
        return next(one.id for one in self.board.setting.buildings.values() if one.code == code)

    def cell_of(self, number: int, community: int = 0) -> Cell:
        """The lowest cell of a building."""
        parts = self.board.parts_of[self.building(number, community)]
        return self.board.cells[self.board.parts[min(parts)].cell]

    def cell(self, code: str) -> Cell:
        """A cell by the end of its code."""
        return next(one for one in self.board.cells.values() if one.code.endswith(code))


def desk(session: Session, *, pieces: Sequence[int] = (2, 2), preset: str = "bishan", **more: Any) -> Desk:
    """A draft of the chequered town: each community four by four buildings in four micro-grids of two grids."""
    town = make_town(session, communities=more.pop("communities", 1))
    plan = make_plan(session, town, pieces=pieces, preset=preset, **more)
    return Desk(session, town, plan.id)


def fingerprint(session: Session, plan_id: int) -> list[str]:
    """Every row of a draft, byte for byte."""
    return [
        str(
            session.scalar(
                text(
                    f"SELECT md5(coalesce(string_agg(row(one.*)::text, '|' ORDER BY {key}), ''))"
                    f" FROM {table} one WHERE plan_id = :plan"
                ),
                {"plan": plan_id},
            )
        )
        for table, key in (("grid", "id"), ("grid_part", "building_part_id"), ("plan_face", "id"),
                           ("plan_edge", "id"), ("plan_lock", "kind, item_id"))
    ]  # fmt: skip


def assert_whole(session: Session, plan_id: int) -> None:
    """All hard rules of a draft."""
    known = {"plan": plan_id}
    for name, statement in _FAULTS.items():
        assert session.execute(text(statement), known).all() == [], name
    assert [fault for fault in plans.cover_faults(session, plan_id) if fault.kind != "pieces"] == []
    _assert_ground_is_that_of_the_faces(session, plan_id)


def _assert_ground_is_that_of_the_faces(session: Session, plan_id: int) -> None:
    rows = session.execute(
        text(
            "SELECT g.id, g.grid_depth, g.parent_id, g.floor_from, ST_AsBinary(g.geom) AS wkb,"
            " g.area_m2 FROM grid g WHERE plan_id = :plan"
        ),
        {"plan": plan_id},
    ).all()
    community = session.scalar(
        text("SELECT sum(ST_Area(geom)) FROM admin_area WHERE id IN"
             " (SELECT community_id FROM plan_community WHERE plan_id = :plan)"),
        {"plan": plan_id},
    )  # fmt: skip
    faces = session.execute(
        text("SELECT count(*) AS n, sum(ST_Area(geom)) AS area FROM plan_face WHERE plan_id = :plan"),
        {"plan": plan_id},
    ).one()
    assert faces.area == pytest.approx(community, rel=1e-6)
    for depth in {row.grid_depth for row in rows}:
        tier = [row for row in rows if row.grid_depth == depth]
        grounds = {(row.parent_id, bytes(row.wkb)) if row.floor_from else row.id: bytes(row.wkb) for row in tier}
        total = sum(shapely.area(shapely.from_wkb(wkb)) for wkb in grounds.values())
        assert total == pytest.approx(community, rel=1e-6), depth


_LOWEST = "(SELECT grid_depths FROM plan WHERE id = :plan)"

# Each finds rows that must not be.
_FAULTS = {
    "buildings are placed with all their households": """
        SELECT b.id FROM building b JOIN plan_community pc ON pc.community_id = b.area_id AND pc.plan_id = :plan
        LEFT JOIN grid_part gp ON gp.building_id = b.id AND gp.plan_id = :plan
        GROUP BY b.id HAVING coalesce(sum(gp.households), -1) <> b.households
    """,
    "parts lie in cells of the lowest tier of their community": f"""
        SELECT gp.building_part_id FROM grid_part gp JOIN grid g ON g.id = gp.grid_id
        JOIN building b ON b.id = gp.building_id
        WHERE gp.plan_id = :plan AND (g.grid_depth <> {_LOWEST} OR g.community_id <> b.area_id)
    """,
    "households and buildings of the lowest cells are those of their parts": f"""
        SELECT g.id FROM grid g LEFT JOIN grid_part gp ON gp.grid_id = g.id
        WHERE g.plan_id = :plan AND g.grid_depth = {_LOWEST} GROUP BY g.id
        HAVING g.households <> coalesce(sum(gp.households), 0)
            OR g.buildings <> count(DISTINCT gp.building_id)
    """,
    "households of a parent are those of its children, and it has some": f"""
        SELECT g.id FROM grid g LEFT JOIN grid child ON child.parent_id = g.id
        WHERE g.plan_id = :plan AND g.grid_depth < {_LOWEST} GROUP BY g.id
        HAVING count(child.id) = 0 OR g.households <> sum(child.households)
    """,
    "codes begin with those of the parents": """
        SELECT g.id FROM grid g LEFT JOIN grid up ON up.id = g.parent_id JOIN admin_area a ON a.id = g.community_id
        WHERE g.plan_id = :plan AND NOT starts_with(g.code, coalesce(up.code, a.code))
    """,
    "land lies in a cell that is there": f"""
        SELECT f.id FROM plan_face f LEFT JOIN grid g ON g.id = f.cell_id AND g.plan_id = f.plan_id
        WHERE f.plan_id = :plan AND f.building_id IS NULL
          AND (g.id IS NULL OR g.grid_depth <> {_LOWEST} OR g.community_id <> f.community_id)
    """,
    "all parts on a face lie over one ground": """
        SELECT f.id FROM plan_face f JOIN grid_part gp ON gp.plan_id = f.plan_id AND gp.building_id = f.building_id
            AND (f.unit_from IS NULL OR gp.unit_span && int4range(f.unit_from, f.unit_to, '[]'))
        JOIN grid g ON g.id = gp.grid_id
        WHERE f.plan_id = :plan GROUP BY f.id HAVING count(DISTINCT ST_AsBinary(g.geom)) > 1
    """,
    "a face stands in the ground of its cell": """
        SELECT f.id FROM plan_face f JOIN grid_part gp ON gp.plan_id = f.plan_id AND gp.building_id = f.building_id
            AND (f.unit_from IS NULL OR gp.unit_span && int4range(f.unit_from, f.unit_to, '[]'))
        JOIN grid g ON g.id = gp.grid_id
        WHERE f.plan_id = :plan AND NOT ST_Intersects(g.geom, ST_PointOnSurface(f.geom))
    """,
    "borders name faces that are there": """
        SELECT e.id FROM plan_edge e LEFT JOIN plan_face a ON a.id = e.face_a LEFT JOIN plan_face b ON b.id = e.face_b
        WHERE e.plan_id = :plan AND (a.id IS NULL OR (e.face_b IS NOT NULL AND b.id IS NULL))
    """,
    "a face has all its borders": """
        SELECT f.id, ST_Perimeter(f.geom), sum(ST_Length(e.geom)) FROM plan_face f
        LEFT JOIN plan_edge e ON e.plan_id = f.plan_id AND f.id IN (e.face_a, e.face_b)
        WHERE f.plan_id = :plan GROUP BY f.id
        HAVING abs(ST_Perimeter(f.geom) - coalesce(sum(ST_Length(e.geom)), 0)) > 1e-9
    """,
}
