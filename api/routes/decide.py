"""Deciding on a plan: its steps, its log, the remarks on its map, and what a publication would move."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.deps import AwareTime, Now, SessionDep, allow, answer
from api.routes.plans import PlanId
from api.schemas.decide import NewComment, PlanApproval, PlanFiling, PlanStep, Resolution
from api.schemas.lists import Items
from gis import plan_approval, plan_codes, plan_comments, plan_review, plans
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1/plans", tags=["decide"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
Reader = Annotated[Actor, allow(Action.VIEW_DRAFTS)]
Submitter = Annotated[Actor, allow(Action.SUBMIT_PLAN)]
Reviewer = Annotated[Actor, allow(Action.REVIEW_PLAN)]
Approver = Annotated[Actor, allow(Action.APPROVE_PLAN)]
Publisher = Annotated[Actor, allow(Action.PUBLISH_PLAN)]
CommentId = Annotated[int, Path(ge=1, le=2**62)]


@router.post("/{plan_id}/submit", summary="Hand a draft in", response_model=dict[str, Any])
def submit(given: PlanStep, session: SessionDep, actor: Submitter, present: Now, plan_id: PlanId) -> Response:
    """A whole draft is frozen and waits for its review; answers the log."""
    plan_approval.submit(
        session, plan_id, revision=given.revision, note=given.comment, actor=actor, now=present
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.post("/{plan_id}/recall", summary="Call a submitted plan back", response_model=dict[str, Any])
def recall(given: PlanStep, session: SessionDep, actor: Submitter, present: Now, plan_id: PlanId) -> Response:
    """Until it is approved: it is a draft again; answers the log."""
    plan_approval.recall(
        session, plan_id, revision=given.revision, note=given.comment, actor=actor, now=present
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.post("/{plan_id}/review", summary="Pass a submitted plan on", response_model=dict[str, Any])
def review(given: PlanStep, session: SessionDep, actor: Reviewer, present: Now, plan_id: PlanId) -> Response:
    """By somebody other than who submitted it, when all remarks are resolved; answers the log."""
    plan_approval.review(
        session, plan_id, revision=given.revision, note=given.comment, actor=actor, now=present
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.post("/{plan_id}/return", summary="Return a plan", response_model=dict[str, Any])
def return_(given: PlanStep, session: SessionDep, actor: Reviewer, present: Now, plan_id: PlanId) -> Response:
    """With the reason in `comment`; it is a draft again with the remarks on it. Answers the log."""
    plan_approval.return_(
        session, plan_id, revision=given.revision, note=given.comment, actor=actor, now=present
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.post("/{plan_id}/approve", summary="Approve a reviewed plan", response_model=dict[str, Any])
def approve(given: PlanApproval, session: SessionDep, actor: Approver, present: Now, plan_id: PlanId) -> Response:
    """By a document with a number, by somebody other than who submitted it; answers the log."""
    plan_approval.approve(
        session, plan_id, revision=given.revision, note=given.comment, document_no=given.document_no,
        actor=actor, now=present,
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.post("/{plan_id}/file", summary="Note that a plan was filed", response_model=dict[str, Any])
def file(given: PlanFiling, session: SessionDep, actor: Publisher, present: Now, plan_id: PlanId) -> Response:
    """With the authority above, after its approval; a line of the log, which is answered."""
    plan_approval.file(
        session, plan_id, note=given.comment, document_no=given.document_no, actor=actor, now=present
    )  # fmt: skip
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.get("/{plan_id}/log", summary="The way of a plan", response_model=dict[str, Any])
def log(session: SessionDep, actor: Reader, present: Now, plan_id: PlanId) -> Response:
    """Every step with who, when and document number; what the caller may do now, and the revision to name then."""
    return answer(plan_approval.log(session, plan_id, actor=actor, now=present))


@router.get("/{plan_id}/effects", summary="What a publication would move", response_model=dict[str, Any])
def effects(
    session: SessionDep,
    actor: Reader,
    present: Now,
    plan_id: PlanId,
    effective_from: Annotated[AwareTime | None, Query(description="Without it, now")] = None,
) -> Response:
    """Codes old and new, posts that move or are lost or open, open incidents: found by trying it out."""
    plan_review.require_whole(session, plan_id, actor=actor)
    outcome, moved = plans.effects(session, plan_id, effective_from=effective_from, actor=actor, now=present)
    return answer({**asdict(outcome), "lists": asdict(moved)})


@router.get("/{plan_id}/codes", summary="Codes of a plan in a scheme", response_model=Items)
def codes(
    session: SessionDep,
    actor: Viewer,
    plan_id: PlanId,
    scheme: Literal["wangge", "cjt349", "template"] = "wangge",
    template: Annotated[str, Query(max_length=200, description="Such as {street}-{grid:03d}")] = "",
    object_class: Annotated[str, Query(pattern="^[0-9]{6}$", description="CJ/T 349: of CJ/T 348")] = "010000",
) -> Response:
    """Each cell's registered code (community 12 + 3, micro-grid + 2 or 3) and the one derived from it."""
    plan_review.require_whole(session, plan_id, actor=actor)
    rows = plan_codes.table(session, plan_id, scheme=scheme, template=template, object_class=object_class)
    return answer({"items": [asdict(row) for row in rows], "next": None, "total": len(rows)})


@router.get("/{plan_id}/comments", summary="Remarks on a plan", response_model=Items)
def comments(session: SessionDep, actor: Reader, plan_id: PlanId) -> Response:
    """Threads pinned on the map, the oldest first, with their answers."""
    return _threads(session, plan_id, actor)


@router.post("/{plan_id}/comments", summary="Say something about a plan", status_code=201, response_model=Items)
def comment(given: NewComment, session: SessionDep, actor: Reader, present: Now, plan_id: PlanId) -> Response:
    """At a place of the map, or in answer to a remark; by those who draw or review there. Answers all threads."""
    made = plan_comments.add(
        session, plan_id, body=given.text, lon=given.lon, lat=given.lat, cell_id=given.cell_id, parent=given.parent,
        actor=actor, now=present,
    )  # fmt: skip
    return _threads(session, plan_id, actor, status=201, made=made)


@router.post("/{plan_id}/comments/{comment_id}/resolve", summary="Resolve a remark", response_model=Items)
def resolve(
    given: Resolution, session: SessionDep, actor: Reader, present: Now, plan_id: PlanId, comment_id: CommentId
) -> Response:
    """Or open it again with `is_resolved: false`; by those who draw or review there. Answers all threads."""
    plan_comments.resolve(
        session, plan_id, comment_id, is_resolved=given.is_resolved, actor=actor, now=present
    )  # fmt: skip
    return _threads(session, plan_id, actor)


def _threads(
    session: SessionDep, plan_id: int, actor: Actor, *, status: int = 200, made: int | None = None
) -> Response:
    items = plan_comments.find(session, plan_id, actor=actor)
    beside = {} if made is None else {"made": made}
    return answer({"items": items, "next": None, "total": len(items), **beside}, status=status)
