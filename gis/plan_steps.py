"""The steps by which a plan is decided on: who may take each, from which state, and what it is afterwards.

::

    draft --submit--> submitted --review--> reviewed --approve--> approved --publish--> published
      ^                   |                    |                     ^                      |
      +---recall, return--+---recall, return---+---return (approved) +--withdraw (before its date)

The procedure of the towns (the town draws, the county looks it through, it is adjusted, approved, filed) with four
eyes: whoever submitted a plan neither reviews nor approves it. Only who may take every step there is free of that (the
administrator, the command line, or somebody who was given both roles), so that a town of one office works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis.errors import NotAllowed, StaleRevision, WrongState
from gis.models import AdminArea, Plan
from gis.permissions import Action, Actor, may, require
from gis.plan_storing import note_event

DESK_CHANNEL = "wangge_desk"
"""What open desks listen on; the payload is the plan's id."""

PENDING = ("draft", "submitted", "reviewed", "approved")
"""The states of a plan on its way, in order."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step: who may take it, from which states, and the state after it (``None``: as before)."""

    action: Action
    before: tuple[str, ...]
    after: str | None


STEPS: Mapping[str, Step] = {
    "submit": Step(Action.SUBMIT_PLAN, ("draft",), "submitted"),
    "recall": Step(Action.SUBMIT_PLAN, ("submitted", "reviewed"), "draft"),
    "review": Step(Action.REVIEW_PLAN, ("submitted",), "reviewed"),
    "approve": Step(Action.APPROVE_PLAN, ("reviewed",), "approved"),
    "return": Step(Action.REVIEW_PLAN, ("submitted", "reviewed", "approved"), "draft"),
    "publish": Step(Action.PUBLISH_PLAN, ("approved",), "published"),
    "file": Step(Action.PUBLISH_PLAN, ("approved", "published"), None),
    "withdraw": Step(Action.PUBLISH_PLAN, ("published",), "approved"),
    "discard": Step(Action.DRAW_PLAN, ("draft",), "discarded"),
}
FOUR_EYES = ("review", "approve")
_WAY = ("submit", "review", "approve")


def path_of(session: Session, plan: Plan) -> str:
    """The tree path of the area that a plan was drawn for."""
    return session.scalars(select(AdminArea.path).where(AdminArea.id == plan.area_id)).one()


def may_take_all(actor: Actor, path: str) -> bool:
    """Whether somebody may take every step at a place."""
    return all(may(actor, step.action, path) for step in STEPS.values())


def may_take(session: Session, plan: Plan, kind: str, *, actor: Actor) -> bool:
    """Whether somebody may take a step of a plan as it is now; what the plan itself lacks is not looked at."""
    path = path_of(session, plan)
    step = STEPS[kind]
    if kind == "publish" and plan.status in PENDING and may_take_all(actor, path):
        return True
    if plan.status not in step.before or not may(actor, step.action, path):
        return False
    if kind == "return" and plan.status == "approved" and not may(actor, Action.APPROVE_PLAN, path):
        return False
    return kind not in FOUR_EYES or not _is_own(session, plan, actor, path)


def advance(
    session: Session,
    plan: Plan,
    kind: str,
    *,
    actor: Actor,
    now: datetime,
    revision: int | None = None,
    note: str | None = None,
    document_no: str | None = None,
) -> None:
    """Take a step of a plan whose row the caller has locked, and write it in the log.

    Parameters
    ----------
    revision : int, optional
        The revision that the actor saw; refused if the plan has moved on since.

    Raises
    ------
    NotAllowed
        Also ``plan.own_submission``.
    WrongState
        ``plan.step_taken`` with the plan's state and who brought it there; ``plan.comments_open`` while a remark
        waits to be resolved and the plan would be passed on or approved.
    StaleRevision
        ``plan.changed_since``.
    """
    step = STEPS[kind]
    path = path_of(session, plan)
    require(actor, step.action, path)
    if plan.status not in step.before:
        raise WrongState("plan.step_taken", plan=plan.id, **_latest(session, plan))
    if revision is not None and revision != plan.revision:
        raise StaleRevision("plan.changed_since", plan=plan.id, revision=plan.revision, **_latest(session, plan))
    if kind == "return" and plan.status == "approved":
        require(actor, Action.APPROVE_PLAN, path)
    if kind in FOUR_EYES and _is_own(session, plan, actor, path):
        raise NotAllowed(
            "plan.own_submission", actor=actor.name, user_id=actor.user_id, action=str(step.action), path=path
        )
    number = count_open_comments(session, plan.id) if kind in FOUR_EYES else 0
    if number:
        raise WrongState("plan.comments_open", plan=plan.id, count=number)
    if step.after is not None:
        plan.status = step.after
    if kind == "approve" and document_no:
        plan.document_no = document_no
    session.flush()
    session.expire(plan)
    note_event(session, plan, kind, actor=actor, now=now, document_no=document_no, note=note)
    tell(session, plan.id)


def make_publishable(
    session: Session, plan: Plan, *, actor: Actor, now: datetime, document_no: str | None = None
) -> None:
    """Open an approved plan for its publication; who may take every step takes the missing ones here, each logged.

    Raises
    ------
    WrongState
        ``plan.not_approved``, ``plan.not_draft`` for one that is published or discarded.
    """
    if plan.status not in PENDING:
        raise WrongState("plan.not_draft", plan=plan.id, status=plan.status)
    missing = _WAY[PENDING.index(plan.status) :]
    if missing and not may_take_all(actor, path_of(session, plan)):
        raise WrongState("plan.not_approved", plan=plan.id, status=plan.status)
    for kind in missing:
        number = document_no if kind == "approve" else None
        advance(session, plan, kind, actor=actor, now=now, document_no=number)
    thaw(session, plan)


def thaw(session: Session, plan: Plan) -> None:
    """Open the rows of a plan within a transaction that publishes it: its cells get their final codes."""
    if plan.status != "draft":
        plan.status = "draft"
        session.flush()


def count_open_comments(session: Session, plan_id: int) -> int:
    """How many threads of remarks on a plan are not resolved (`gis.plan_comments`)."""
    return int(session.scalar(_COMMENTS_OPEN, {"plan": plan_id}) or 0)


def tell(session: Session, plan_id: int) -> None:
    """Wake the desks that have a plan open, when the transaction ends."""
    session.execute(text("SELECT pg_notify(:channel, :plan)"), {"channel": DESK_CHANNEL, "plan": str(plan_id)})


def _is_own(session: Session, plan: Plan, actor: Actor, path: str) -> bool:
    """Whether four eyes are asked for and these are the two that submitted the plan."""
    if actor.user_id is None or may_take_all(actor, path):
        return False
    return bool(session.scalar(_SUBMITTER, {"plan": plan.id}) == actor.user_id)


def _latest(session: Session, plan: Plan) -> dict[str, Any]:
    """The state of a plan and who brought it there, for the words of a refusal."""
    row = session.execute(_LATEST, {"plan": plan.id}).one()
    return {"status": plan.status, "by": row.actor, "at": row.at.isoformat(timespec="seconds")}


_SUBMITTER = text("SELECT actor_id FROM plan_event WHERE plan_id = :plan AND kind = 'submit' ORDER BY seq DESC LIMIT 1")
_COMMENTS_OPEN = text(
    "SELECT count(*) FROM plan_comment WHERE plan_id = :plan AND parent_id IS NULL AND resolved_at IS NULL"
)
_LATEST = text(
    "SELECT coalesce(a.name, e.actor) AS actor, e.at FROM plan_event e LEFT JOIN user_account a ON a.id = e.actor_id"
    " WHERE e.plan_id = :plan ORDER BY e.seq DESC LIMIT 1"
)
