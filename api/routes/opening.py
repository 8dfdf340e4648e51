"""A plan opened on the planner's desk, and the survey that it may have to wait for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import Response

from api import columnar, surveying
from api.deps import Language, Problem, ServicesDep, SessionDep, allow, answer
from api.errors import MEDIA_TYPE
from api.routes.plans import PlanId
from api.schemas.desk import Waiting
from gis import desk_log, plan_review
from gis.desk import columns, tables, telling
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1/plans", tags=["desk"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
"""Of a draft only who may see drafts there: `plan_review.require_whole`."""

boards = tables.Tables()


@router.get(
    "/{plan_id}/desk",
    summary="A plan on the desk",
    response_model=dict[str, Any],
    responses={
        200: {"content": {tables.MEDIA_TYPE: {}}},
        202: {"model": Waiting, "description": "Its ground is being surveyed, or that has failed"},
        406: {"model": Problem, "description": "A form that is not known", "content": {MEDIA_TYPE: {}}},
    },
    dependencies=[surveying.Patience],
)
def show(
    services: ServicesDep,
    session: SessionDep,
    actor: Viewer,
    plan_id: PlanId,
    language: Language,
    accept: Annotated[str, Header()] = "*/*",
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Cells, buildings, parts and figures at one number of the log.

    As JSON, or, to `Accept: application/vnd.wangge.desk; form=1`, as the columns of `gis.desk.tables`, a third of it.

    The ground of a plan that was never on the desk is surveyed first, which is long work: 202 tells how far it is, and
    so does each later request; all who ask wait for the same survey. With `wait` the answer comes when it is over.
    """
    plan_review.require_whole(session, plan_id, actor=actor)
    is_packed = columnar.is_wanted(accept, tables.MEDIA_TYPE, tables.FORM)
    board = surveying.board_or_wait(services, session, plan_id, language=language)
    if isinstance(board, Response):
        return board
    beside = desk_log.beside(session, board, actor=actor, language=language)
    if not is_packed:
        return answer({**beside, **telling.everything(board)})
    data = columns.gzipped(boards.packed(board, beside))
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
    return columnar.answer_gzipped(data, tables.MEDIA_TYPE, accept_encoding=accept_encoding, headers=headers)


@router.post("/{plan_id}/survey", summary="Survey a plan again", status_code=202, response_model=Waiting)
def survey_again(
    services: ServicesDep, session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language
) -> Response:
    """After a survey has failed; for whoever may open the plan. One that is under way goes on."""
    plan_review.require_whole(session, plan_id, actor=actor)
    survey = surveying.under_way(services, session, plan_id, again=True)
    return surveying.told(services, survey, language=language)
