"""Use cases of deciding on a plan: submit, call back, review, return, approve, note the filing; its log.

What each step asks for stands in `gis.plan_steps`; publication and withdrawal in `gis.plans`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gis import plan_comments, plan_review, plans
from gis.db import audit
from gis.errors import InvalidInput, WrongState
from gis.models import Plan, PlanEvent, UserAccount
from gis.permissions import Action, Actor, require
from gis.plan_lineage import recode
from gis.plan_steps import STEPS, advance, count_open_comments, may_take, path_of
from gis.plan_storing import locked

NOTE_LENGTH = 2000
DOCUMENT_LENGTH = 200


def submit(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
) -> Plan:
    """Hand a draft in: it is frozen, with the codes that it would bear if it came into force now.

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.step_taken``, ``plan.run_alive`` while the partitioner works on it.
    StaleRevision
        ``plan.changed_since``.
    InvalidPlan
        ``plan.empty``, ``plan.incomplete``.
    """
    plan = locked(session, plan_id, action=Action.SUBMIT_PLAN, actor=actor)
    if plan.status == "draft":
        if session.scalar(_RUN_ALIVE, {"plan": plan_id}):
            raise WrongState("plan.run_alive", plan=plan_id)
        plans.check_complete(session, plan_id)
        recode(session, plan_id)
        session.refresh(plan)
    return _take(session, plan, "submit", actor=actor, now=now, revision=revision, note=note)


def recall(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
) -> Plan:
    """Call a submitted plan back before it is approved: it is a draft again.

    Raises
    ------
    NotAllowed, WrongState, StaleRevision
    """
    plan = locked(session, plan_id, action=Action.SUBMIT_PLAN, actor=actor)
    return _take(session, plan, "recall", actor=actor, now=now, revision=revision, note=note)


def review(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
) -> Plan:
    """Pass a submitted plan on to approval.

    Raises
    ------
    NotAllowed
        Also ``plan.own_submission``.
    WrongState
        ``plan.step_taken``; ``plan.comments_open`` while a remark is not resolved.
    StaleRevision
    """
    plan = locked(session, plan_id, action=Action.REVIEW_PLAN, actor=actor)
    return _take(session, plan, "review", actor=actor, now=now, revision=revision, note=note)


def return_(
    session: Session, plan_id: int, *, note: str, actor: Actor, now: datetime, revision: int | None = None
) -> Plan:
    """Give a plan back to those who draw: it is a draft again, with the remarks on it.

    Raises
    ------
    NotAllowed, WrongState, StaleRevision
    InvalidInput
        ``plan.no_reason``.
    """
    plan = locked(session, plan_id, action=Action.REVIEW_PLAN, actor=actor)
    if not note.strip():
        raise InvalidInput("plan.no_reason", plan=plan_id)
    return _take(session, plan, "return", actor=actor, now=now, revision=revision, note=note)


def approve(
    session: Session,
    plan_id: int,
    *,
    document_no: str,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
) -> Plan:
    """Approve a reviewed plan by a document; it may be published from then on.

    Raises
    ------
    NotAllowed
        Also ``plan.own_submission``.
    WrongState
        ``plan.step_taken``, ``plan.comments_open``.
    StaleRevision
    InvalidInput
        ``plan.no_document``.
    """
    plan = locked(session, plan_id, action=Action.APPROVE_PLAN, actor=actor)
    if not document_no.strip():
        raise InvalidInput("plan.no_document", plan=plan_id)
    return _take(
        session, plan, "approve", actor=actor, now=now, revision=revision, note=note, document_no=document_no.strip()
    )


def file(
    session: Session, plan_id: int, *, document_no: str, actor: Actor, now: datetime, note: str | None = None
) -> Plan:
    """Note that an approved or published plan was filed with the authority above (备案), and under which number.

    Raises
    ------
    NotAllowed, WrongState
    InvalidInput
        ``plan.no_document``.
    """
    plan = locked(session, plan_id, action=Action.PUBLISH_PLAN, actor=actor)
    if not document_no.strip():
        raise InvalidInput("plan.no_document", plan=plan_id)
    return _take(session, plan, "file", actor=actor, now=now, note=note, document_no=document_no.strip())


def _take(
    session: Session,
    plan: Plan,
    kind: str,
    *,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
    document_no: str | None = None,
) -> Plan:
    said = (note or "").strip() or None
    advance(session, plan, kind, actor=actor, now=now, revision=revision, note=said, document_no=document_no)
    details = {"document_no": document_no} if document_no else {}
    audit(session, f"plan.{kind}", subject=f"plan:{plan.id}", actor=actor, now=now, details=details)
    return plan


def log(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> dict[str, Any]:
    """The way of a plan: its steps with who and when, when it came into force and what followed it.

    With what the asker may do now (``may``: names of `gis.plan_steps.STEPS`, and ``comment``), the revision to name
    in the next step, and how many remarks are not resolved.

    Raises
    ------
    NotFound, NotAllowed
    """
    plan = plans.get(session, plan_id)
    plan_review.require_drafts(session, plan_id, actor=actor)
    session.refresh(plan)
    events = session.execute(
        select(PlanEvent, func.coalesce(UserAccount.name, PlanEvent.actor).label("who"))
        .outerjoin(UserAccount, UserAccount.id == PlanEvent.actor_id)
        .where(PlanEvent.plan_id == plan_id)
        .order_by(PlanEvent.seq)
    ).all()
    items = [
        {
            "seq": event.seq,
            "kind": event.kind,
            "at": event.at,
            "actor": who,
            "is_own": event.actor_id is not None and event.actor_id == actor.user_id,
            "document_no": event.document_no,
            "note": event.note,
        }
        for event, who in events
    ]
    may_do = [kind for kind in STEPS if may_take(session, plan, kind, actor=actor) and _is_in_time(plan, kind, now)]
    if plan_comments.may_write(session, plan, actor=actor):
        may_do.append("comment")
    return {
        "plan_id": plan_id,
        "status": plan.status,
        "state": plans.state_of(session, plan_id),
        "revision": plan.revision,
        "document_no": plan.document_no,
        "effective_from": plan.effective_from,
        "superseded": _superseded(session, plan_id, now),
        "comments_open": count_open_comments(session, plan_id),
        "may": may_do,
        "items": items,
    }


def _is_in_time(plan: Plan, kind: str, now: datetime) -> bool:
    return kind != "withdraw" or (plan.effective_from is not None and plan.effective_from > now)


def _superseded(session: Session, plan_id: int, now: datetime) -> dict[str, Any] | None:
    """When the last community of a plan went to another plan, and which; ``None`` while it governs one."""
    row = session.execute(_SUPERSEDED, {"plan": plan_id, "now": now}).first()
    return None if row is None else {"at": row.at, "plan_id": row.next_id, "title": row.title}


def require_step(session: Session, plan_id: int, kind: str, *, actor: Actor) -> None:
    """Go on only if somebody holds the grant of a step on a plan.

    Raises
    ------
    NotFound, NotAllowed
    """
    require(actor, STEPS[kind].action, path_of(session, plans.get(session, plan_id)))


_RUN_ALIVE = text("SELECT EXISTS (SELECT FROM plan_run WHERE plan_id = :plan AND state IN ('queued', 'running'))")

_SUPERSEDED = text(
    """
    SELECT ended.at, next.plan_id AS next_id, p.title
    FROM (SELECT max(upper(in_force_during)) AS at FROM plan_community
          WHERE plan_id = :plan AND NOT isempty(in_force_during)
          HAVING bool_and(NOT upper_inf(in_force_during) AND upper(in_force_during) <= :now)) ended
    LEFT JOIN plan_community mine ON mine.plan_id = :plan AND upper(mine.in_force_during) = ended.at
    LEFT JOIN plan_community next
        ON next.community_id = mine.community_id AND lower(next.in_force_during) = ended.at
    LEFT JOIN plan p ON p.id = next.plan_id
    ORDER BY next.plan_id LIMIT 1
    """
)
