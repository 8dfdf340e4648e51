"""Surveys that requests wait for: asked for, watched, and done here where no worker takes them."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.access import Access
from api.deps import Services, ServicesDep, allow_known, answer
from gis import desk_log, jobs, plan_review, survey_runs
from gis.db import unit_of_work
from gis.desk.board import Board
from gis.models import PlanSurvey
from gis.permissions import Action, Actor

LONGEST_WAIT_S = 55
RECHECK_S = 1.0


def under_way(services: Services, session: Session, plan_id: int, *, again: bool = False) -> PlanSurvey | None:
    """The survey that a plan waits for, asked for if need be; ``None`` for a plan that has its ground."""
    present = services.clock()
    survey = jobs.request_survey(session, plan_id, jobs=services.jobs, now=present, again=again)
    if survey is not None and survey_runs.is_left(session, survey, now=present):
        services.stand_in.take(survey_runs.do_apart, plan_id)
    return survey


async def patience(
    request: Request,
    services: ServicesDep,
    access: Annotated[Access, allow_known(Action.VIEW_MAP)],
    plan_id: Annotated[int, Path(ge=1, le=2**62)],
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the ground")] = 0,
) -> None:
    """Hold a request until the plan has its ground, its survey has failed, or so many seconds have passed."""
    until = time.monotonic() + wait
    look = partial(_is_settled, services, access.actor, plan_id)
    with request.app.state.desk_bell.waiting(plan_id) as happened:
        while (left := until - time.monotonic()) > 0:
            happened.clear()
            if await anyio.to_thread.run_sync(look, limiter=services.few):
                return
            try:
                async with asyncio.timeout(min(left, RECHECK_S)):
                    await happened.wait()
            except TimeoutError:
                continue


Patience = Depends(patience)


def _is_settled(services: Services, actor: Actor, plan_id: int) -> bool:
    with unit_of_work(services.engine) as session:
        plan_review.require_whole(session, plan_id, actor=actor)
        try:
            desk_log.open_board(session, plan_id)
        except desk_log.NotSurveyed:
            survey = under_way(services, session, plan_id)
            return survey is None or survey.state == "failed"
        return True


def board_or_wait(services: Services, session: Session, plan_id: int, *, language: str) -> Board | Response:
    """The board of a plan; while it has no ground, what is answered: how far its survey is."""
    try:
        return desk_log.open_board(session, plan_id)
    except desk_log.NotSurveyed:
        survey = under_way(services, session, plan_id)
        if survey is None:  # just now it has got it
            return desk_log.open_board(session, plan_id)
        return told(services, survey, language=language)


def told(services: Services, survey: PlanSurvey | None, *, language: str) -> Response:
    """How far a survey is, as an answer."""
    found = None if survey is None else survey_runs.describe(survey, now=services.clock(), language=language)
    return answer({"survey": found}, status=202)
