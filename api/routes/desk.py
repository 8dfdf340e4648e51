"""The planner's desk: a plan as ground and parts, edits, undo and redo."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import Response

from api.deps import SessionDep, allow, answer
from api.routes.plans import PlanId
from gis import desk_log, plan_review
from gis.desk import telling
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1/plans", tags=["desk"])
Viewer = Annotated[Actor, allow(Action.VIEW_DRAFTS)]


@router.get("/{plan_id}/desk", summary="A plan on the desk", response_model=dict[str, Any])
def show(session: SessionDep, actor: Viewer, plan_id: PlanId) -> Response:
    """Cells, buildings, parts and figures at one number of the log. The first time its ground is surveyed."""
    plan_review.require_whole(session, plan_id, actor=actor)
    return answer(desk_log.opened(session, plan_id, actor=actor))


@router.get("/{plan_id}/desk/ground", summary="The ground of a plan on the desk", response_model=dict[str, Any])
def ground(
    session: SessionDep, actor: Viewer, plan_id: PlanId, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Faces and the lines between them; their shapes change only when faces are split."""
    plan_review.require_whole(session, plan_id, actor=actor)
    board = desk_log.open_board(session, plan_id)
    tag = f'"{plan_id}-{board.ground}-{board.seq}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return answer(telling.ground(board), headers=headers)
