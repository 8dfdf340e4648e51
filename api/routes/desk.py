"""The planner's desk: a plan as ground and parts, edits, undo and redo."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from api import columnar, surveying
from api.access import Access
from api.deps import Language, Now, Problem, Services, ServicesDep, SessionDep, allow, allow_known, answer
from api.errors import MEDIA_TYPE
from api.routes.plans import PlanId
from api.schemas.desk import BatchRequest, EditRequest, NewDraft, Step, Waiting
from api.schemas.lists import Items
from gis import desk_checks, desk_log, listing, plan_copy, plan_review
from gis.db import unit_of_work
from gis.desk import columns, telling
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1/plans", tags=["desk"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
"""Of a draft only who may see drafts there: `plan_review.require_whole`."""
Drawer = Annotated[Actor, allow(Action.DRAW_PLAN)]

LONGEST_WAIT_S = 55
RECHECK_S = 5.0
"""A poll looks by itself so often while no notices are heard."""

grounds = columns.Grounds()


@router.get(
    "/{plan_id}/desk/ground",
    summary="The ground of a plan on the desk",
    response_model=dict[str, Any],
    responses={
        200: {"content": {columns.MEDIA_TYPE: {}}},
        202: {"model": Waiting, "description": "It is being surveyed, or that has failed"},
        304: {"description": "As it was"},
        406: {"model": Problem, "description": "A form that is not known", "content": {MEDIA_TYPE: {}}},
    },
)
def ground(
    services: ServicesDep,
    session: SessionDep,
    actor: Viewer,
    plan_id: PlanId,
    language: Language,
    accept: Annotated[str, Header()] = "*/*",
    accept_encoding: Annotated[str, Header()] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Faces and the lines between them; their shapes change only when faces are split.

    As GeoJSON with the cell of each face, or, to `Accept: application/vnd.wangge.ground; form=1`, as the columns of
    `gis.desk.columns`, an eighth of it.
    """
    plan_review.require_whole(session, plan_id, actor=actor)
    is_packed = columnar.is_wanted(accept, columns.MEDIA_TYPE, columns.FORM)
    board = surveying.board_or_wait(services, session, plan_id, language=language)
    if isinstance(board, Response):
        return board
    tag = f'"{columns.mark(board)}"' if is_packed else f'"{plan_id}-{board.ground}-{board.seq}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding"}
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    if not is_packed:
        return answer(telling.ground(board), headers=headers)
    data = grounds.gzipped(str(session.get_bind().engine.url), board)
    return columnar.answer_gzipped(data, columns.MEDIA_TYPE, accept_encoding=accept_encoding, headers=headers)


@router.post("/{plan_id}/edits", summary="Change a draft", response_model=dict[str, Any])
def edit(
    given: EditRequest | BatchRequest,
    session: SessionDep,
    actor: Drawer,
    present: Now,
    plan_id: PlanId,
    language: Language,
) -> Response:
    """All or nothing, in one transaction; the same `request_id` again gives the same answer.

    Refused as stale (409, with the changes) only where somebody else has changed the same cells or parts since `base`.
    """
    asked = {**given.asked(), "request_id": given.request_id, "base": given.base}
    return answer(desk_log.edit(session, plan_id, asked, actor=actor, now=present, language=language))


@router.post("/{plan_id}/undo", summary="Undo one's own latest edit", response_model=dict[str, Any])
def undo(
    given: Step, session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId, language: Language
) -> Response:
    """Without limit, also after a restart; refused where others have since changed the same cells."""
    return answer(
        desk_log.undo(session, plan_id, request_id=given.request_id, actor=actor, now=present, language=language)
    )


@router.post("/{plan_id}/redo", summary="Take one's own latest undo back", response_model=dict[str, Any])
def redo(
    given: Step, session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId, language: Language
) -> Response:
    """Until one's own next edit."""
    return answer(
        desk_log.redo(session, plan_id, request_id=given.request_id, actor=actor, now=present, language=language)
    )


@router.get("/{plan_id}/edits", summary="What has changed since", response_model=dict[str, Any])
async def changes(
    request: Request,
    services: ServicesDep,
    access: Annotated[Access, allow_known(Action.VIEW_MAP)],
    plan_id: PlanId,
    language: Language,
    since: Annotated[int, Query(ge=0, le=2**31)] = 0,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S)] = 0,
) -> Response:
    """Changes after a number of the log; with `wait`, the answer comes when there is one, or after so many seconds."""
    until = time.monotonic() + wait
    look = partial(_changes, services, access.actor, plan_id, since, language)
    town: int | None = None
    with request.app.state.desk_bell.waiting(plan_id) as happened:
        while True:
            happened.clear()
            found = await anyio.to_thread.run_sync(look, limiter=services.few)
            left = until - time.monotonic()
            before, town = town, found.get("town")
            has_grown = before is not None and town != before  # an import, which is heard by looking again
            if found["changes"] or found["is_gap"] or has_grown or left <= 0:
                return answer(found)
            try:
                async with asyncio.timeout(min(left, RECHECK_S)):
                    await happened.wait()
                until = min(until, time.monotonic())  # woken: answered at once, whatever it was
            except TimeoutError:
                continue


def _changes(services: Services, actor: Actor, plan_id: int, since: int, language: str) -> dict[str, Any]:
    with unit_of_work(services.engine) as session:
        plan_review.require_whole(session, plan_id, actor=actor)
        return desk_log.changes(session, plan_id, since=since, actor=actor, language=language)


@router.get("/{plan_id}/checks", summary="Everything that is wrong with a plan", response_model=Items)
def checks(session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language) -> Response:
    """Each with its place, its sentence and the way to mend it."""
    plan_review.require_whole(session, plan_id, actor=actor)
    items = desk_checks.checks(session, plan_id, language=language)
    return answer({"items": items, "next": None, "total": len(items)})


@router.post("/{plan_id}/drafts", summary="Begin a draft from a plan", status_code=201, response_model=dict[str, Any])
def draft(given: NewDraft, session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId) -> Response:
    """With its cells and parts; those that continue a cell in force bear its code."""
    plan_review.require_whole(session, plan_id, actor=actor)
    made = plan_copy.copy(session, plan_id, title=given.title, actor=actor, now=present)
    shown = listing.plan(
        session, made.id, scopes=scopes(actor, Action.VIEW_MAP), draft_scopes=scopes(actor, Action.VIEW_DRAFTS)
    )
    return answer(shown, status=201)
