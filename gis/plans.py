"""Use cases of plans: draft, store, look, publish all at once, withdraw, discard; and what was in force when.

"In force", "future" and "superseded" are derived from the ranges of `plan_community`, never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
import shapely
from sqlalchemy import column, func, select, table, text
from sqlalchemy.orm import Session

from gis import areas, crs, incidents_rehoming, plan_effects, rules
from gis.db import audit, visible
from gis.errors import InvalidInput, InvalidPlan, NotFound, Overlap, StaleRevision, WrongState
from gis.models import AdminArea, Grid, Plan, PlanCommunity
from gis.permissions import Action, Actor, require
from gis.plan_cover import Cell, Fault, faults
from gis.plan_lineage import continuations, recode, register_codes, store_lineage, unregister_codes
from gis.plan_measures import histogram, statistics, violations
from gis.plan_steps import PENDING, make_publishable, tell, thaw
from gis.plan_storing import clear, locked, locked_draft, note_event, store_division
from gis.town_rows import town_of

__all__ = [
    "PlanLine",
    "Publication",
    "Replaced",
    "cell_at",
    "check_complete",
    "cover_faults",
    "create_draft",
    "discard",
    "effects",
    "find",
    "get",
    "histogram",
    "in_force",
    "preview",
    "publish",
    "settle",
    "state_of",
    "statistics",
    "store_division",
    "town_of",
    "violations",
    "withdraw",
]


Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Replaced:
    """A plan that a publication ends, and in how many communities."""

    plan_id: int
    title: str
    communities: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What a publication does, or would do."""

    plan_id: int
    effective_from: datetime
    communities: int
    cells: int
    cells_kept: int
    """Those that bear the code of the cell that they continue."""
    replaces: tuple[Replaced, ...]
    incidents_rehomed: int
    posts_moved: int
    posts_lost: int
    """Holdings of cells that do not go on."""
    is_committed: bool


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A plan in a list."""

    id: int
    state: str
    title: str
    area: str
    effective_from: datetime | None
    communities: int
    cells: int


def find(session: Session, *, actor: Actor) -> list[PlanLine]:
    """Plans of the areas whose drafts somebody may see, the newest first."""
    statement = (
        select(
            Plan.id,
            column("state"),
            Plan.title,
            AdminArea.name,
            Plan.effective_from,
            select(func.count()).where(PlanCommunity.plan_id == Plan.id).scalar_subquery(),
            select(func.count()).where(Grid.plan_id == Plan.id).scalar_subquery(),
        )
        .join(AdminArea, AdminArea.id == Plan.area_id)
        .join(table("plan_state", column("plan_id")), text("plan_state.plan_id = plan.id"))
        .order_by(Plan.id.desc())
    )
    return [PlanLine(*row) for row in session.execute(visible(statement, AdminArea.path, actor, Action.VIEW_DRAFTS))]


def get(session: Session, plan_id: int) -> Plan:
    """A plan by its id.

    Raises
    ------
    NotFound
        ``plan.unknown``.
    """
    plan = session.get(Plan, plan_id)
    if plan is None:
        raise NotFound("plan.unknown", plan=plan_id)
    return plan


def create_draft(
    session: Session,
    *,
    area_id: int,
    rule_set_id: int,
    title: str,
    actor: Actor,
    now: datetime,
    community_ids: Sequence[int] | None = None,
    recipe: dict[str, Any] | None = None,
    based_on_id: int | None = None,
) -> Plan:
    """Open an empty draft for communities of an area (all of them if none are named).

    Raises
    ------
    NotAllowed
    InvalidInput
        ``plan.no_communities``, ``plan.community_outside``, ``plan.not_a_community``, ``rules.not_usable``.
    """
    area = areas.get(session, area_id)
    require(actor, Action.DRAW_PLAN, area.path)
    if community_ids is None:
        community_ids = [community.id for community in areas.communities_under(session, area_id)]
    if not community_ids:
        raise InvalidInput("plan.no_communities", area=area.code)
    if not title.strip():
        raise InvalidInput("plan.no_title")
    plan = Plan(
        area_id=area_id,
        rule_set_id=rule_set_id,
        grid_depths=rules.get(session, rule_set_id).grid_depths,
        title=title.strip(),
        based_on_id=based_on_id,
        recipe=recipe or {},
        created_at=now,
        created_by=actor.name,
    )
    session.add(plan)
    session.flush()
    session.add_all(PlanCommunity(plan_id=plan.id, community_id=community) for community in sorted(set(community_ids)))
    session.flush()
    note_event(session, plan, "create", actor=actor, now=now)
    audit(session, "plan.create", subject=f"plan:{plan.id}", actor=actor, now=now, details={"title": plan.title})
    return plan


def preview(
    session: Session, plan_id: int, *, actor: Actor, now: datetime, effective_from: datetime | None = None
) -> Publication:
    """What `publish` would do, found by doing it and taking it back: so it cannot differ.

    Of a plan at any step on its way, for whoever may see drafts there.

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.not_draft`` for a plan that is published or discarded.
    InvalidPlan, Overlap, InvalidInput
        As `publish`.
    """
    return _try_out(session, plan_id, effective_from=effective_from, actor=actor, now=now, look=lambda _: None)[0]


def effects(
    session: Session, plan_id: int, *, actor: Actor, now: datetime, effective_from: datetime | None = None
) -> tuple[Publication, plan_effects.Effects]:
    """What `publish` would do with every code, post and open incident by name; found as by `preview`.

    Open incidents are told as they stand today, also if the date is a later one.
    """
    return _try_out(
        session,
        plan_id,
        effective_from=effective_from,
        actor=actor,
        now=now,
        look=lambda start: plan_effects.read(session, plan_id, start=start, actor=actor, now=now),
    )


def _try_out(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    now: datetime,
    effective_from: datetime | None,
    look: Callable[[datetime], Seen],
) -> tuple[Publication, Seen]:
    savepoint = session.begin_nested()
    try:
        plan = locked(session, plan_id, action=Action.VIEW_DRAFTS, actor=actor)
        if plan.status not in PENDING:
            raise WrongState("plan.not_draft", plan=plan_id, status=plan.status)
        thaw(session, plan)
        outcome = _publish(session, plan, start=effective_from or now, actor=actor, now=now)
        seen = look(outcome.effective_from)
    finally:
        savepoint.rollback()
        session.expire_all()
    return replace(outcome, is_committed=False), seen


def publish(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    now: datetime,
    effective_from: datetime | None = None,
    document_no: str | None = None,
    replaces: Sequence[int] | None = None,
    commit: bool = True,
) -> Publication:
    """Bring an approved plan into force at an instant, all of it or nothing.

    A plan that is not approved yet is published only by who may take every step there: the steps before are taken
    with it, each with its line in the log (`gis.plan_steps`).

    For each community the range of the plan before it is closed and this one's opened; codes, lineage, cuts of
    buildings and posts move with it; open incidents get an event ``rehome`` (or when the day comes, `settle`).

    Parameters
    ----------
    effective_from : datetime, optional
        By default ``now``. Earlier only where no plan governed before.
    replaces : sequence of int, optional
        The plans that the publisher saw in the preview; refused if it would be others now.
    commit : bool
        ``False`` only shows what would be (`preview`).

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.not_approved``, ``plan.not_draft``.
    InvalidPlan
        ``plan.incomplete`` with what is missing, ``plan.empty``.
    Overlap
        ``plan.overlaps_published`` if a plan begins later or at the same time.
    StaleRevision
        ``plan.predecessor_changed``.
    """
    if not commit:
        return preview(session, plan_id, effective_from=effective_from, actor=actor, now=now)
    plan = locked(session, plan_id, action=Action.PUBLISH_PLAN, actor=actor)
    make_publishable(session, plan, actor=actor, now=now, document_no=document_no)
    start = effective_from or now
    outcome = _publish(session, plan, start=start, document_no=document_no, replaces=replaces, actor=actor, now=now)
    note_event(session, plan, "publish", actor=actor, now=now, document_no=document_no)
    audit(
        session, "plan.publish", subject=f"plan:{plan_id}", actor=actor, now=now, details={"document_no": document_no}
    )
    session.execute(text("SELECT pg_notify('wangge_plan', :id)"), {"id": str(plan_id)})
    tell(session, plan_id)
    return outcome


def _publish(
    session: Session,
    plan: Plan,
    *,
    start: datetime,
    actor: Actor,
    now: datetime,
    document_no: str | None = None,
    replaces: Sequence[int] | None = None,
) -> Publication:
    """Move codes, lineage, posts, ranges, cuts and open incidents to a plan whose row is locked and open."""
    _lock_communities(session, plan.id)
    before = _before(session, plan.id, start=start, now=now, expected=replaces)
    cells = check_complete(session, plan.id)
    edges = recode(session, plan.id)
    survivors = {edge.old.id: edge.new.id for edge in continuations(edges)}
    store_lineage(session, plan.id, edges, document_no=document_no or plan.document_no)
    register_codes(session, plan.id, at=start)
    moved, lost = _carry_posts(session, plan, survivors, start)
    _open(session, plan, start=start, document_no=document_no, actor=actor, now=now)
    rehomed = incidents_rehoming.rehome(session, plan.id, actor=actor, now=now) if start <= now else 0
    return Publication(
        plan_id=plan.id,
        effective_from=start,
        communities=_count_communities(session, plan.id),
        cells=cells,
        cells_kept=int(session.scalar(_CELLS_KEPT, {"plan": plan.id}) or 0),
        replaces=before,
        incidents_rehomed=rehomed,
        posts_moved=moved,
        posts_lost=lost,
        is_committed=True,
    )


def withdraw(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> Plan:
    """Take a published plan back before its date: it is approved again, and what was before it goes on.

    It can be published anew, on another day, without being approved anew; to change it, return it first.

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.not_future`` if it is in force already (publish a copy of the predecessor instead), or
        ``plan.has_successor`` if another plan is already published to follow it.
    """
    plan = locked(session, plan_id, action=Action.PUBLISH_PLAN, actor=actor)
    start = plan.effective_from
    if plan.status != "published" or start is None or start <= now:
        raise WrongState("plan.not_future", plan=plan_id, status=plan.status)
    _lock_communities(session, plan_id)
    known = {"plan": plan_id, "at": start}
    if session.scalar(text(_HAS_SUCCESSOR), known):
        raise WrongState("plan.has_successor", plan=plan_id)
    session.execute(_DROP_CARRIED, known)
    session.execute(_CLOSE_RANGES, known)
    session.execute(_REOPEN_BEFORE, known)
    session.execute(_UNOPEN_PARTS, known)
    session.execute(_REOPEN_PARTS, known)
    session.execute(_DROP_LINEAGE, known)
    unregister_codes(session, plan_id, at=start)
    plan.status, plan.effective_from, plan.published_at, plan.published_by = "approved", None, None, None
    session.flush()
    note_event(session, plan, "withdraw", actor=actor, now=now)
    audit(session, "plan.withdraw", subject=f"plan:{plan_id}", actor=actor, now=now)
    session.execute(text("SELECT pg_notify('wangge_plan', :id)"), {"id": str(plan_id)})
    tell(session, plan_id)
    return plan


def discard(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> Plan:
    """Give a draft up: its cells go, its row and log stay.

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.not_draft``.
    """
    plan = locked_draft(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    clear(session, plan_id)
    note_event(session, plan, "discard", actor=actor, now=now)
    plan.status = "discarded"
    session.flush()
    audit(session, "plan.discard", subject=f"plan:{plan_id}", actor=actor, now=now)
    tell(session, plan_id)
    return plan


def settle(session: Session, *, actor: Actor, now: datetime) -> int:
    """Rehome the open incidents of plans whose day has come since; gives their number. Harmless to repeat."""
    return incidents_rehoming.rehome(session, None, actor=actor, now=now)


def in_force(session: Session, *, community_id: int, at: datetime) -> Plan | None:
    """The plan that governs (or governed, or will govern) a community at an instant."""
    return session.scalar(
        select(Plan)
        .join(PlanCommunity, PlanCommunity.plan_id == Plan.id)
        .where(PlanCommunity.community_id == community_id, PlanCommunity.in_force_during.contains(at))
    )


def state_of(session: Session, plan_id: int) -> str:
    """``draft``, ``submitted``, ``reviewed``, ``approved``, ``discarded``, ``future``, ``in_force``, ``superseded``."""
    state = session.scalar(text("SELECT state FROM plan_state WHERE plan_id = :plan"), {"plan": plan_id})
    if state is None:
        raise NotFound("plan.unknown", plan=plan_id)
    return str(state)


def cell_at(session: Session, *, lon: float, lat: float, at: datetime) -> int | None:
    """The lowest cell responsible for a place at an instant: it covers the place; on a border the lowest id."""
    found = session.scalars(text(incidents_rehoming.CELLS_AT), {"lon": lon, "lat": lat, "at": at}).first()
    return None if found is None else int(found)


def _lock_communities(session: Session, plan_id: int) -> None:
    """Two publishers of one community go one after the other; ordered, so that they cannot wait for each other."""
    session.execute(
        text(
            "SELECT id FROM admin_area WHERE id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan)"
            " ORDER BY id FOR NO KEY UPDATE"
        ),
        {"plan": plan_id},
    )


def _before(
    session: Session, plan_id: int, *, start: datetime, now: datetime, expected: Sequence[int] | None
) -> tuple[Replaced, ...]:
    rows = session.execute(_BEFORE, {"plan": plan_id}).all()
    if expected is not None and sorted(expected) != sorted(row.id for row in rows):
        raise StaleRevision("plan.predecessor_changed", plan=plan_id, now=[row.id for row in rows])
    for row in rows:
        if row.latest_start >= start:
            raise Overlap("plan.overlaps_published", plan=row.id, title=row.title, since=row.latest_start.isoformat())
        if start < now:
            raise InvalidInput("plan.past_is_closed", plan=row.id, title=row.title)
    return tuple(Replaced(row.id, row.title, row.communities) for row in rows)


def check_complete(session: Session, plan_id: int) -> int:
    """Refuse a plan that is not whole; gives the number of its cells.

    Raises
    ------
    InvalidPlan
        ``plan.incomplete`` with what is missing, ``plan.empty``.
    """
    grounds = session.execute(_GROUNDS, {"plan": plan_id}).all()
    if not grounds:
        raise InvalidPlan("plan.empty", plan=plan_id)
    missing = session.execute(_NOT_PLACED, {"plan": plan_id}).all()
    found = [{"code": "plan.building_not_placed", "building": row.code, "households": row.wanted} for row in missing]
    found += [
        {"code": f"plan.ground_{fault.kind}", "parent": fault.parent, "cell": fault.cell, "area_m2": fault.area_m2}
        for fault in cover_faults(session, plan_id, grounds=grounds)
    ]
    if found:
        raise InvalidPlan(
            "plan.incomplete", plan=plan_id, count=len(found), first=_first(found[0]), violations=found[:100]
        )
    return len(grounds)


def _first(violation: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in violation.items() if value is not None)


def cover_faults(session: Session, plan_id: int, *, grounds: Sequence[Any] | None = None) -> list[Fault]:
    """Gaps, overlaps and torn cells of a plan, in metres; communities are told as negative parents."""
    rows = session.execute(_GROUNDS, {"plan": plan_id}).all() if grounds is None else grounds
    communities = session.execute(_COMMUNITY_GROUNDS, {"plan": plan_id}).all()
    wkb = [row.wkb for row in communities] + [row.wkb for row in rows]
    if not rows or any(row.wkb is None for row in communities):
        return []
    degrees = np.asarray(shapely.from_wkb(wkb), dtype=object)
    zone = crs.zone_of(degrees)
    metric = np.asarray(shapely.transform(degrees, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)
    ground = dict(zip([-row.id for row in communities], metric[: len(communities)], strict=True))
    found: list[Fault] = []
    for depth in sorted({row.grid_depth for row in rows}):
        tier = [
            (row, shape) for row, shape in zip(rows, metric[len(communities) :], strict=True) if row.grid_depth == depth
        ]
        cells = [
            Cell(
                id=row.id,
                parent=-row.community_id if row.parent_id is None else row.parent_id,
                is_stacked=row.floor_from is not None,
                ground_metric=shape,
            )
            for row, shape in tier
        ]
        found += faults(cells, ground)
        ground = {row.id: shape for row, shape in tier}
    return found


def _open(
    session: Session, plan: Plan, *, start: datetime, document_no: str | None, actor: Actor, now: datetime
) -> None:
    known = {"plan": plan.id, "at": start}
    session.execute(_CLOSE_BEFORE, known)
    session.execute(_CLOSE_PARTS, known)
    session.execute(_OPEN_PARTS, known)
    plan.status, plan.effective_from, plan.published_at, plan.published_by = "published", start, now, actor.name
    plan.document_no = document_no or plan.document_no
    session.flush()
    session.execute(_OPEN_RANGES, known)
    session.expire_all()


def _carry_posts(session: Session, plan: Plan, survivors: dict[int, int], start: datetime) -> tuple[int, int]:
    """Copy the holdings of surviving cells to the cells that continue them; gives how many moved and were lost.

    The old holdings stay as they are: a post is held while both its own range and its cell's plan last, so nothing has
    to be ended here, nor guessed at a withdrawal. Under other rules a post goes on as the one of the same name.
    """
    old, new = list(survivors), list(survivors.values())
    moved = session.execute(_CARRY, {"old": old, "new": new, "at": start, "rules": plan.rule_set_id})
    held = session.scalar(_HELD_BEFORE, {"plan": plan.id, "at": start})
    count = int(moved.rowcount)  # type: ignore[attr-defined]
    return count, int(held or 0) - count


def _count_communities(session: Session, plan_id: int) -> int:
    return len(session.scalars(select(PlanCommunity.community_id).where(PlanCommunity.plan_id == plan_id)).all())


_CELLS_KEPT = text(
    """
    SELECT count(*) FROM grid_lineage l JOIN grid o ON o.id = l.from_id JOIN grid n ON n.id = l.to_id
    WHERE n.plan_id = :plan AND n.code = o.code
    """
)

_MINE = "SELECT community_id FROM plan_community WHERE plan_id = :plan"

_BEFORE = text(
    f"""
    SELECT p.id, p.title, count(*) AS communities, max(lower(pc.in_force_during)) AS latest_start
    FROM plan_community pc JOIN plan p ON p.id = pc.plan_id
    WHERE upper_inf(pc.in_force_during) AND pc.plan_id <> :plan AND pc.community_id IN ({_MINE})
    GROUP BY p.id ORDER BY p.id
    """
)

_GROUNDS = text(
    "SELECT id, code, grid_depth, parent_id, community_id, floor_from, ST_AsBinary(geom) AS wkb"
    " FROM grid WHERE plan_id = :plan ORDER BY id"
)
_COMMUNITY_GROUNDS = text(f"SELECT id, ST_AsBinary(geom) AS wkb FROM admin_area WHERE id IN ({_MINE}) ORDER BY id")

# Every building of the communities, inhabited or not, is placed with all its households.
_NOT_PLACED = text(
    f"""
    SELECT b.code, b.households AS wanted FROM building b
    LEFT JOIN (SELECT building_id, sum(households) AS households FROM grid_part WHERE plan_id = :plan
               GROUP BY building_id) placed ON placed.building_id = b.id
    WHERE b.area_id IN ({_MINE}) AND placed.households IS DISTINCT FROM b.households
    ORDER BY b.code
    """
)

_CLOSE_BEFORE = text(
    f"""
    UPDATE plan_community SET in_force_during = tstzrange(lower(in_force_during), :at)
    WHERE upper_inf(in_force_during) AND plan_id <> :plan AND community_id IN ({_MINE})
    """
)
_OPEN_RANGES = text("UPDATE plan_community SET in_force_during = tstzrange(:at, NULL) WHERE plan_id = :plan")
_CLOSE_RANGES = text("UPDATE plan_community SET in_force_during = 'empty' WHERE plan_id = :plan")
_REOPEN_BEFORE = text(
    f"""
    UPDATE plan_community SET in_force_during = tstzrange(lower(in_force_during), NULL)
    WHERE upper(in_force_during) = :at AND plan_id <> :plan AND community_id IN ({_MINE})
    """
)
_HAS_SUCCESSOR = "SELECT EXISTS (SELECT FROM plan_community WHERE plan_id = :plan AND NOT upper_inf(in_force_during))"

# The cuts of the plan before end where this one's begin. A part that came later than a backdated plan was never valid.
_CLOSE_PARTS = text(
    f"""
    UPDATE building_part p SET valid_during =
        CASE WHEN lower(valid_during) >= :at THEN 'empty'::tstzrange ELSE tstzrange(lower(valid_during), :at) END
    WHERE upper_inf(valid_during)
      AND building_id IN (SELECT id FROM building WHERE area_id IN ({_MINE}))
      AND NOT EXISTS (SELECT FROM grid_part gp WHERE gp.plan_id = :plan AND gp.building_part_id = p.id)
    """
)
_OPEN_PARTS = text(
    """
    UPDATE building_part p SET valid_during = tstzrange(:at, NULL) FROM grid_part gp
    WHERE gp.plan_id = :plan AND gp.building_part_id = p.id AND isempty(p.valid_during)
    """
)
_UNOPEN_PARTS = text(
    """
    UPDATE building_part p SET valid_during = 'empty' FROM grid_part gp
    WHERE gp.plan_id = :plan AND gp.building_part_id = p.id AND p.valid_during = tstzrange(:at, NULL)
    """
)
_REOPEN_PARTS = text(
    f"""
    UPDATE building_part SET valid_during = tstzrange(lower(valid_during), NULL)
    WHERE upper(valid_during) = :at AND building_id IN (SELECT id FROM building WHERE area_id IN ({_MINE}))
    """
)

_DROP_LINEAGE = text("DELETE FROM grid_lineage WHERE to_id IN (SELECT id FROM grid WHERE plan_id = :plan)")
_DROP_CARRIED = text("DELETE FROM assignment WHERE grid_id IN (SELECT id FROM grid WHERE plan_id = :plan)")

_CARRY = text(
    """
    INSERT INTO assignment (staff_id, post_id, is_single, grid_id, valid_during, carried_from_id)
    SELECT h.staff_id, np.id, np.is_single, pair.new_id, h.valid_during * tstzrange(:at, NULL), h.id
    FROM unnest(CAST(:old AS bigint[]), CAST(:new AS bigint[])) AS pair (old_id, new_id)
    JOIN assignment h ON h.grid_id = pair.old_id AND h.valid_during && tstzrange(:at, NULL)
    JOIN post p ON p.id = h.post_id
    JOIN grid g ON g.id = pair.new_id
    JOIN tier nt ON nt.rule_set_id = :rules AND nt.grid_depth = g.grid_depth
    JOIN post np ON np.tier_id = nt.id AND np.code = p.code
    """
)
_HELD_BEFORE = text(
    f"""
    SELECT count(*) FROM plan_community pc
    JOIN grid g ON g.plan_id = pc.plan_id AND g.community_id = pc.community_id
    JOIN assignment h ON h.grid_id = g.id AND h.valid_during && tstzrange(:at, NULL)
    WHERE upper_inf(pc.in_force_during) AND pc.plan_id <> :plan AND pc.community_id IN ({_MINE})
    """
)
