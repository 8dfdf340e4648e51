"""Remarks pinned on a plan's map: threads with answers, resolved or open.

Read by whoever may see all of the draft; written, and resolved, by those who draw and those who review there, from
the first draft until the plan is published. Nothing is changed or taken back: one answers, or resolves.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gis import plan_review
from gis.db import audit
from gis.errors import InvalidInput, NotAllowed, NotFound, WrongState
from gis.models import Grid, Plan, PlanComment
from gis.permissions import Action, Actor, may
from gis.plan_steps import PENDING, path_of, tell
from gis.plan_storing import locked

LENGTH = 4000
COMMENTS_A_PLAN = 5000
_WRITERS = (Action.DRAW_PLAN, Action.REVIEW_PLAN)


def may_write(session: Session, plan: Plan, *, actor: Actor) -> bool:
    """Whether somebody may say something about a plan now."""
    path = path_of(session, plan)
    return plan.status in PENDING and any(may(actor, action, path) for action in _WRITERS)


def find(session: Session, plan_id: int, *, actor: Actor) -> list[dict[str, Any]]:
    """The threads of a plan, the oldest first, each with its answers.

    Raises
    ------
    NotFound, NotAllowed
    """
    plan_review.require_drafts(session, plan_id, actor=actor)
    threads: dict[int, dict[str, Any]] = {}
    for row in session.execute(_THREADS, {"plan": plan_id}).mappings():
        said = {**row, "is_own": row["actor_id"] is not None and row["actor_id"] == actor.user_id}
        del said["actor_id"], said["parent_id"]
        if row["parent_id"] is None:
            threads[row["id"]] = {**said, "answers": []}
        else:
            kept = ("id", "text", "at", "actor", "is_own")
            threads[row["parent_id"]]["answers"].append({key: said[key] for key in kept})
    return list(threads.values())


def add(
    session: Session,
    plan_id: int,
    *,
    body: str,
    actor: Actor,
    now: datetime,
    lon: float | None = None,
    lat: float | None = None,
    cell_id: int | None = None,
    parent: int | None = None,
) -> int:
    """Say something at a place of a plan, or in answer to a remark; gives the remark's id.

    An answer opens a resolved thread again: there is more to say.

    Parameters
    ----------
    lon, lat : float, optional
        EPSG:4326; needed unless it is an answer.
    cell_id : int, optional
        The cell meant; without it the lowest cell there.

    Raises
    ------
    NotFound
        ``plan.unknown_cell``, ``plan.unknown_comment``.
    NotAllowed
    WrongState
        ``plan.comments_closed``, ``plan.comments_full``.
    InvalidInput
        ``plan.comment_empty``, ``plan.comment_placeless``.
    """
    plan = _open_plan(session, plan_id, actor=actor)
    said = body.strip()
    if not said:
        raise InvalidInput("plan.comment_empty", length=LENGTH)
    number = session.scalar(select(func.count()).where(PlanComment.plan_id == plan_id)) or 0
    if number >= COMMENTS_A_PLAN:
        raise WrongState("plan.comments_full", plan=plan_id, most=COMMENTS_A_PLAN)
    comment = PlanComment(plan_id=plan_id, body=said, at=now, actor_id=actor.user_id, actor=actor.name)
    if parent is not None:
        first = _first(session, plan_id, parent)
        first.resolved_at = first.resolved_by = None
        comment.parent_id = first.id
    else:
        _place(session, plan, comment, lon=lon, lat=lat, cell_id=cell_id)
    session.add(comment)
    session.flush()
    audit(session, "plan.comment", subject=f"plan:{plan_id}", actor=actor, now=now, details={"comment": comment.id})
    tell(session, plan_id)
    return comment.id


def resolve(
    session: Session, plan_id: int, comment_id: int, *, actor: Actor, now: datetime, is_resolved: bool = True
) -> None:
    """Mark a thread as resolved, or open it again; to do it twice changes nothing.

    Raises
    ------
    NotFound
        ``plan.unknown_comment``, also for an answer.
    NotAllowed
    WrongState
        ``plan.comments_closed``.
    """
    _open_plan(session, plan_id, actor=actor)
    first = _first(session, plan_id, comment_id)
    if (first.resolved_at is not None) == is_resolved:
        return
    first.resolved_at, first.resolved_by = (now, actor.name) if is_resolved else (None, None)
    session.flush()
    kind = "plan.comment_resolve" if is_resolved else "plan.comment_reopen"
    audit(session, kind, subject=f"plan:{plan_id}", actor=actor, now=now, details={"comment": comment_id})
    tell(session, plan_id)


def _open_plan(session: Session, plan_id: int, *, actor: Actor) -> Plan:
    """A plan on its way, locked so that no remark slips into one that is being approved."""
    plan = locked(session, plan_id, action=Action.VIEW_DRAFTS, actor=actor)
    path = path_of(session, plan)
    if not any(may(actor, action, path) for action in _WRITERS):
        raise NotAllowed(
            "access.not_allowed", actor=actor.name, user_id=actor.user_id, action=str(Action.REVIEW_PLAN), path=path
        )
    if plan.status not in PENDING:
        raise WrongState("plan.comments_closed", plan=plan_id, status=plan.status)
    return plan


def _first(session: Session, plan_id: int, comment_id: int) -> PlanComment:
    found = session.scalar(
        select(PlanComment).where(
            PlanComment.id == comment_id, PlanComment.plan_id == plan_id, PlanComment.parent_id.is_(None)
        )
    )
    if found is None:
        raise NotFound("plan.unknown_comment", comment=comment_id)
    return found


def _place(
    session: Session, plan: Plan, comment: PlanComment, *, lon: float | None, lat: float | None, cell_id: int | None
) -> None:
    if lon is None or lat is None:
        raise InvalidInput("plan.comment_placeless")
    comment.geom = f"SRID=4326;POINT({lon:.7f} {lat:.7f})"
    if cell_id is None:
        cell_id = session.scalar(_CELL_AT, {"plan": plan.id, "lon": lon, "lat": lat})
        if cell_id is None:
            return
    cell = session.scalar(select(Grid).where(Grid.id == cell_id, Grid.plan_id == plan.id))
    if cell is None:
        raise NotFound("plan.unknown_cell", cell=cell_id)
    comment.grid_id, comment.cell_code = cell.id, cell.code


_THREADS = text(
    """
    SELECT k.id, k.parent_id, k.body AS text, k.at, k.actor_id, coalesce(a.name, k.actor) AS actor,
           k.grid_id AS cell_id, coalesce(g.code, k.cell_code) AS cell_code, k.resolved_at, k.resolved_by,
           ST_X(k.geom) AS lon, ST_Y(k.geom) AS lat
    FROM plan_comment k LEFT JOIN grid g ON g.id = k.grid_id LEFT JOIN user_account a ON a.id = k.actor_id
    WHERE k.plan_id = :plan ORDER BY coalesce(k.parent_id, k.id), k.parent_id NULLS FIRST, k.id
    """
)
_CELL_AT = text(
    """
    SELECT g.id FROM grid g JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth
    WHERE g.plan_id = :plan AND ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)) ORDER BY g.id LIMIT 1
    """
)
