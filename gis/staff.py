"""Use cases of people and posts: who serves where, and who is responsible for a cell at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from gis import areas
from gis.db import audit
from gis.errors import InvalidInput, NotFound
from gis.models import AdminArea, Assignment, Grid, PlanCommunity, PostRow, RuleSetRow, Staff, TierRow
from gis.permissions import Action, Actor, require
from gis.worktime import CHINA


@dataclass(frozen=True, slots=True)
class Responsible:
    """Somebody who holds a post of a cell, of a cell above it, or of an area around it."""

    post_code: str
    post_zh: str
    post_en: str | None
    staff_id: int
    staff_name: str
    phone: str | None
    tier_ordinal: int
    tier_zh: str
    tier_en: str | None
    place_code: str
    place_name: str | None
    grid_id: int | None
    area_id: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a post is held: a cell or an area."""

    post_id: int
    is_single: bool
    grid_id: int | None
    area_id: int | None


def get(session: Session, staff_id: int) -> Staff:
    """A person by id.

    Raises
    ------
    NotFound
        ``staff.unknown``.
    """
    person = session.get(Staff, staff_id)
    if person is None:
        raise NotFound("staff.unknown", staff=staff_id)
    return person


def by_code(session: Session, code: str) -> Staff:
    """A person by code.

    Raises
    ------
    NotFound
        ``staff.unknown``.
    """
    person = session.scalar(select(Staff).where(Staff.code == code))
    if person is None:
        raise NotFound("staff.unknown", staff=code)
    return person


def responsible(session: Session, *, grid_id: int, at: datetime) -> list[Responsible]:
    """Who answers for a cell at an instant: from the cell up its tiers, then community, street, county."""
    return responsible_many(session, grid_ids=[grid_id], at=at)[grid_id]


def responsible_many(session: Session, *, grid_ids: Sequence[int], at: datetime) -> dict[int, list[Responsible]]:
    """The same for many cells in one question; a cell that nobody answers for has an empty list."""
    found: dict[int, list[Responsible]] = {grid_id: [] for grid_id in grid_ids}
    for row in session.execute(_RESPONSIBLE, {"ids": list(found), "at": at}):
        values = row._mapping
        found[row.cell].append(Responsible(**{name: values[name] for name in Responsible.__slots__}))
    return found


def responsible_for_area(session: Session, *, area_id: int, at: datetime) -> list[Responsible]:
    """Who answers for an area at an instant, from the area up; for a place that lies in no cell."""
    return responsible_for_areas(session, area_ids=[area_id], at=at)[area_id]


def responsible_for_areas(session: Session, *, area_ids: Sequence[int], at: datetime) -> dict[int, list[Responsible]]:
    """The same for many areas in one question; an area that nobody answers for has an empty list."""
    found: dict[int, list[Responsible]] = {area_id: [] for area_id in area_ids}
    for row in session.execute(_RESPONSIBLE_AREAS, {"ids": list(found), "at": at}):
        values = row._mapping
        found[row.asked].append(Responsible(**{name: values[name] for name in Responsible.__slots__}))
    return found


def cells_of(session: Session, *, staff_id: int, at: datetime) -> Sequence[Grid]:
    """The cells in force at an instant for which somebody holds a post, ordered by code."""
    return session.scalars(
        select(Grid)
        .join(Assignment, Assignment.grid_id == Grid.id)
        .join(
            PlanCommunity,
            (PlanCommunity.plan_id == Grid.plan_id) & (PlanCommunity.community_id == Grid.community_id),
        )
        .where(
            Assignment.staff_id == staff_id,
            Assignment.valid_during.contains(at),
            PlanCommunity.in_force_during.contains(at),
        )
        .distinct()
        .order_by(Grid.code)
    ).all()


def find_place(session: Session, code: str, post_code: str, *, at: datetime) -> Place:
    """Find what a post and a place's code mean: a cell in force, an area, or a building (its lowest cell).

    Raises
    ------
    NotFound
        ``staff.unknown_place`` or ``staff.unknown_post``.
    """
    grid = session.execute(_CELL_IN_FORCE, {"code": code, "at": at}).first()
    if grid is not None:
        post = session.scalar(
            select(PostRow)
            .join(TierRow, TierRow.id == PostRow.tier_id)
            .where(
                TierRow.rule_set_id == grid.rule_set_id,
                TierRow.grid_depth == grid.grid_depth,
                PostRow.code == post_code,
            )
        )
        return _place(post, post_code, code, grid_id=grid.id)
    area = session.scalar(select(AdminArea).where(AdminArea.code == code))
    if area is None:
        raise NotFound("staff.unknown_place", place=code, post=post_code)
    return _place(_post_of_area(session, area, post_code, at), post_code, code, area_id=area.id)


def assign(
    session: Session,
    *,
    staff_id: int,
    post_id: int,
    valid_from: datetime,
    actor: Actor,
    now: datetime,
    grid_id: int | None = None,
    area_id: int | None = None,
    valid_to: datetime | None = None,
) -> Assignment:
    """Give somebody a post for a cell or an area, for a time. The same holding twice changes nothing.

    Raises
    ------
    NotAllowed
    InvalidInput
        ``staff.one_place``; ``staff.post_of_other_tier``.
    Overlap
        ``staff.post_is_held`` if the post has one holder and has it already.
    """
    require(actor, Action.EDIT_STAFF, _path_of_place(session, grid_id, area_id))
    post = session.get(PostRow, post_id)
    if post is None:
        raise NotFound("staff.unknown_post", post=post_id, place="")
    same = session.scalar(
        select(Assignment).where(
            Assignment.staff_id == get(session, staff_id).id,
            Assignment.post_id == post_id,
            Assignment.grid_id.is_not_distinct_from(grid_id),
            Assignment.area_id.is_not_distinct_from(area_id),
            Assignment.valid_during.contains(valid_from),
        )
    )
    if same is not None:
        return same
    held = Assignment(
        staff_id=staff_id,
        post_id=post_id,
        is_single=post.is_single,
        grid_id=grid_id,
        area_id=area_id,
        valid_during=Range(valid_from, valid_to),
    )
    session.add(held)
    session.flush()
    audit(session, "staff.assign", subject=f"assignment:{held.id}", actor=actor, now=now, details={"staff": staff_id})
    return held


def end(session: Session, assignment_id: int, *, at: datetime, actor: Actor, now: datetime) -> Assignment:
    """Let a holding end at an instant; the post is vacant from then on.

    Raises
    ------
    NotFound
        ``staff.unknown_assignment``.
    NotAllowed
    """
    held = session.get(Assignment, assignment_id)
    if held is None:
        raise NotFound("staff.unknown_assignment", assignment=assignment_id)
    require(actor, Action.EDIT_STAFF, _path_of_place(session, held.grid_id, held.area_id))
    lower = held.valid_during.lower
    if lower is None or lower >= at:
        raise InvalidInput("staff.ends_before_start", at=at.isoformat())
    held.valid_during = Range(lower, at)
    session.flush()
    audit(session, "staff.end", subject=f"assignment:{held.id}", actor=actor, now=now)
    return held


def _path_of_place(session: Session, grid_id: int | None, area_id: int | None) -> str:
    if grid_id is not None:
        path = session.scalar(
            select(AdminArea.path).join(Grid, Grid.community_id == AdminArea.id).where(Grid.id == grid_id)
        )
        if path is None:
            raise NotFound("plan.unknown_cell", cell=grid_id)
        return path
    if area_id is not None:
        return areas.get(session, area_id).path
    raise InvalidInput("staff.one_place")


def _place(
    post: PostRow | None, post_code: str, code: str, *, grid_id: int | None = None, area_id: int | None = None
) -> Place:
    if post is None:
        raise NotFound("staff.unknown_post", post=post_code, place=code)
    return Place(post_id=post.id, is_single=post.is_single, grid_id=grid_id, area_id=area_id)


def _post_of_area(session: Session, area: AdminArea, post_code: str, at: datetime) -> PostRow | None:
    """The post of that name in the rules that the area lives under: its own, those above, or those of a part of it."""
    return session.scalar(
        select(PostRow)
        .join(TierRow, TierRow.id == PostRow.tier_id)
        .join(RuleSetRow, RuleSetRow.id == TierRow.rule_set_id)
        .join(AdminArea, AdminArea.id == RuleSetRow.area_id)
        .where(
            PostRow.code == post_code,
            TierRow.kind == "area",
            RuleSetRow.valid_during.contains(at.astimezone(CHINA).date()),
            AdminArea.path.op("@>")(area.path) | AdminArea.path.op("<@")(area.path),
        )
        .order_by(func.nlevel(AdminArea.path).desc(), PostRow.id)
        .limit(1)
    )


_CELL_IN_FORCE = text(
    """
    SELECT g.id, g.rule_set_id, g.grid_depth FROM grid g
    JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
    WHERE pc.in_force_during @> CAST(:at AS timestamptz) AND (g.code = :code OR g.id IN (
        SELECT gp.grid_id FROM grid_part gp JOIN building b ON b.id = gp.building_id WHERE b.code = :code))
    ORDER BY (g.code = :code) DESC, g.id LIMIT 1
    """
)

_HOLDER = """
    p.code AS post_code, p.name_zh AS post_zh, p.name_en AS post_en, s.id AS staff_id, s.name AS staff_name, s.phone,
    t.ordinal AS tier_ordinal, t.name_zh AS tier_zh, t.name_en AS tier_en
"""

# Up the tiers of the cell, then up the areas of its community; from the nearest to the furthest.
_RESPONSIBLE = text(
    f"""
    WITH RECURSIVE up AS (
        SELECT g.id AS cell, g.id, g.parent_id, g.community_id, g.code, g.name, g.grid_depth
        FROM grid g WHERE g.id = ANY(CAST(:ids AS bigint[]))
        UNION ALL
        SELECT up.cell, g.id, g.parent_id, g.community_id, g.code, g.name, g.grid_depth
        FROM up JOIN grid g ON g.id = up.parent_id
    ), places AS (
        SELECT cell, id AS grid_id, CAST(NULL AS bigint) AS area_id, code, name, 100 + grid_depth AS nearness FROM up
        UNION ALL
        SELECT up.cell, NULL, a.id, a.code, a.name, nlevel(a.path)
        FROM up JOIN admin_area c ON c.id = up.community_id JOIN admin_area a ON a.path @> c.path
        WHERE up.parent_id IS NULL
    )
    , held AS (  -- by cell and by area apart: one join with OR reads either index many times over
        SELECT places.*, h.post_id, h.staff_id
        FROM places JOIN assignment h ON h.grid_id = places.grid_id
        WHERE h.valid_during @> CAST(:at AS timestamptz)
        UNION ALL
        SELECT places.*, h.post_id, h.staff_id
        FROM places JOIN assignment h ON h.area_id = places.area_id
        WHERE h.valid_during @> CAST(:at AS timestamptz)
    )
    SELECT held.cell, {_HOLDER}, held.code AS place_code, held.name AS place_name, held.grid_id, held.area_id
    FROM held
    JOIN post p ON p.id = held.post_id JOIN tier t ON t.id = p.tier_id JOIN staff s ON s.id = held.staff_id
    ORDER BY held.cell, held.nearness DESC, p.id, s.name, s.id
    """
)

_RESPONSIBLE_AREAS = text(
    f"""
    SELECT c.id AS asked, {_HOLDER}, a.code AS place_code, a.name AS place_name,
           CAST(NULL AS bigint) AS grid_id, a.id AS area_id
    FROM admin_area c JOIN admin_area a ON a.path @> c.path
    JOIN assignment h ON h.area_id = a.id
    JOIN post p ON p.id = h.post_id JOIN tier t ON t.id = p.tier_id JOIN staff s ON s.id = h.staff_id
    WHERE c.id = ANY(CAST(:ids AS bigint[])) AND h.valid_during @> CAST(:at AS timestamptz)
    ORDER BY c.id, nlevel(a.path) DESC, p.id, s.name, s.id
    """
)
