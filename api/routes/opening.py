"""A plan opened on the planner's desk, and the survey that it may have to wait for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from starlette.responses import Response

from api import surveying
from api.deps import Language, ServicesDep, SessionDep, allow, answer
from api.routes.plans import PlanId
from api.schemas.desk import Waiting
from gis import desk_log, plan_review
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1/plans", tags=["desk"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
"""Of a draft only who may see drafts there: `plan_review.require_whole`."""


@router.get(
    "/{plan_id}/desk",
    summary="A plan on the desk",
    response_model=dict[str, Any],
    responses={202: {"model": Waiting, "description": "Its ground is being surveyed, or that has failed"}},
    dependencies=[surveying.Patience],
)
def show(services: ServicesDep, session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language) -> Response:
    """Cells, buildings, parts and figures at one number of the log.

    The ground of a plan that was never on the desk is surveyed first, which is long work: 202 tells how far it is, and
    so does each later request; all who ask wait for the same survey. With `wait` the answer comes when it is over.
    """
    plan_review.require_whole(session, plan_id, actor=actor)
    found = surveying.board_or_wait(services, session, plan_id, language=language)
    if isinstance(found, Response):
        return found
    return answer(desk_log.opened(session, plan_id, actor=actor, language=language))


@router.post("/{plan_id}/survey", summary="Survey a plan again", status_code=202, response_model=Waiting)
def survey_again(
    services: ServicesDep, session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language
) -> Response:
    """After a survey has failed; for whoever may open the plan. One that is under way goes on."""
    plan_review.require_whole(session, plan_id, actor=actor)
    survey = surveying.under_way(services, session, plan_id, again=True)
    return surveying.told(services, survey, language=language)
