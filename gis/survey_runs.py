"""Surveys of plans' grounds as long work: asked for by whoever needs one, done once, told to all who wait.

A plan has one survey, whoever asked for it first. It is done by a worker, or by a process of the service's own where
no worker takes it. Whoever does it holds the plan's lock in the database until the ground is stored, so that whether
somebody is at it is never a guess: the lock of a process that died is gone, and the survey is taken up again.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from gis import desk_log, holds, messages
from gis.db import make_engine, unit_of_work
from gis.errors import GridError
from gis.models import PlanDesk, PlanSurvey

log = logging.getLogger("wangge.survey")

TRIES = 3
"""A survey that takes its process down so often (memory) has failed."""
TAKEN_WITHIN = timedelta(seconds=4)
"""A worker that is there takes a survey within this."""
BEAT_S = 0.5
TELLING_SHARE, TELLING_S = 0.1, 3.0
"""What is left is told only when so much has been done."""
ROUND_S = 5


def ask(
    session: Session, plan_id: int, *, defer: Callable[[int], None], now: datetime, again: bool = False
) -> PlanSurvey | None:
    """A survey is queued, unless the plan has ground or somebody has asked already; the survey as it stands.

    Parameters
    ----------
    defer : callable
        Queues the work, by the plan's number.
    again : bool
        Whether one that failed is wanted again.
    """
    if desk_log.is_ready(session, session.get(PlanDesk, plan_id, populate_existing=True)):
        return None
    found = session.get(PlanSurvey, plan_id, populate_existing=True)
    if found is not None and not _is_over(session, found, again=again):
        return found
    session.execute(_NOTE, {"plan": plan_id, "now": now})
    survey = session.get_one(PlanSurvey, plan_id, populate_existing=True, with_for_update=True)
    if found is not None and not _is_over(session, survey, again=again):
        return survey  # somebody else was quicker
    is_dead = survey.state == "running"
    if is_dead and survey.tries >= TRIES:
        survey.state, survey.error_code, survey.error_params = "failed", "survey.died", {"tries": survey.tries}
        survey.finished_at = now
    else:
        _queue(survey, now, tries=survey.tries if is_dead else 0)
        defer(plan_id)
    session.flush()
    return survey


def _is_over(session: Session, survey: PlanSurvey, *, again: bool) -> bool:
    """Whether nobody is at a survey or will be; one that is done is over, since the plan has no ground (any more)."""
    if survey.state == "running":
        return not is_held(session, survey.plan_id)
    return survey.state == "done" or (survey.state == "failed" and again)


def _queue(survey: PlanSurvey, now: datetime, *, tries: int) -> None:
    survey.state, survey.step, survey.share, survey.done, survey.total = "queued", None, 0.0, 0, 0
    survey.tries, survey.error_code, survey.error_params = tries, None, None
    survey.asked_at, survey.started_at, survey.finished_at = now, None, None


def left_behind(session: Session) -> list[int]:
    """Plans whose survey nobody is at any more, although it was begun."""
    begun = session.scalars(select(PlanSurvey.plan_id).where(PlanSurvey.state == "running")).all()
    return [plan_id for plan_id in begun if not is_held(session, plan_id)]


def is_held(session: Session, plan_id: int | None = None) -> bool:
    """Whether somebody is putting ground under a plan at this moment; without one, under any."""
    return holds.is_held(session, holds.SURVEY, plan_id)


def is_left(session: Session, survey: PlanSurvey, *, now: datetime) -> bool:
    """Whether no worker takes a survey, although none is at another."""
    return survey.state == "queued" and now - survey.asked_at >= TAKEN_WITHIN and not is_held(session)


def describe(survey: PlanSurvey, *, now: datetime, language: str = "zh") -> dict[str, Any]:
    """A survey as plain values; ``seconds_left`` only once it can be told."""
    error = None
    if survey.error_code is not None:
        params = survey.error_params or {}
        detail = messages.text(survey.error_code, params, language=language)
        error = {"code": survey.error_code, "params": params, "detail": detail}
    return {
        "state": survey.state, "step": survey.step, "share": round(survey.share, 3), "done": survey.done,
        "total": survey.total, "seconds_left": _seconds_left(survey, now), "error": error,
    }  # fmt: skip


def _seconds_left(survey: PlanSurvey, now: datetime) -> int | None:
    """The share of a survey grows evenly (what communities weigh was measured), so what is left follows from it."""
    if survey.state != "running" or survey.started_at is None or survey.share < TELLING_SHARE:
        return None
    passed = (now - survey.started_at).total_seconds()
    if passed < TELLING_S:
        return None
    return max(ROUND_S, ROUND_S * math.ceil(passed * (1 - survey.share) / survey.share / ROUND_S))


_NOTE = text("INSERT INTO plan_survey (plan_id, asked_at) VALUES (:plan, :now) ON CONFLICT DO NOTHING")


# --- Doing it --------------------------------------------------------------------------------------------------------


def do_run(engine: Engine, plan_id: int, *, clock: Callable[[], datetime], processes: int | None = None) -> None:
    """Do a survey that is queued; nothing happens if it is not, any more.

    An error that Wangge knows ends in the survey's row, for those who wait; a bug also goes on to the log.
    """
    try:
        with unit_of_work(engine) as session:
            desk_log.hold(session, plan_id)
            if _claim(engine, plan_id, clock()):
                desk_log.make_ready(session, plan_id, processes=processes, watch=_Watch(engine, plan_id))
                _end(session, plan_id, now=clock(), state="done", step=None, share=1.0)
    except GridError as error:
        params = json.loads(json.dumps(dict(error.params), default=str))
        with unit_of_work(engine) as session:
            _end(session, plan_id, now=clock(), state="failed", error_code=error.code, error_params=params)
    except Exception:
        log.exception("survey of plan %s", plan_id)
        with unit_of_work(engine) as session:
            _end(session, plan_id, now=clock(), state="failed", error_code="survey.unexpected", error_params={})


def do_now(engine: Engine, plan_id: int, *, clock: Callable[[], datetime], processes: int | None = None) -> None:
    """Put ground under a plan that was just made, so that nobody waits for it; told to whoever opens it meanwhile."""
    with unit_of_work(engine) as session:
        ask(session, plan_id, defer=_not_at_all, now=clock(), again=True)
    do_run(engine, plan_id, clock=clock, processes=processes)


def do_apart(url: str, plan_id: int) -> None:
    """Do a survey in a process that was begun for it."""
    engine = make_engine(url, statement_timeout_s=600)
    do_run(engine, plan_id, clock=utc_now, processes=1)
    engine.dispose()


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def _not_at_all(_plan_id: int) -> None:
    return


def _claim(engine: Engine, plan_id: int, now: datetime) -> bool:
    with unit_of_work(engine) as session:
        claimed = session.execute(
            update(PlanSurvey)
            .where(PlanSurvey.plan_id == plan_id, PlanSurvey.state == "queued")
            .values(state="running", started_at=now, tries=PlanSurvey.tries + 1)
            .returning(PlanSurvey.plan_id)
        )
        return claimed.first() is not None


def _end(session: Session, plan_id: int, *, now: datetime, **values: Any) -> None:
    session.execute(update(PlanSurvey).where(PlanSurvey.plan_id == plan_id).values(finished_at=now, **values))
    session.execute(text("SELECT pg_notify('wangge_desk', :payload)"), {"payload": str(plan_id)})


class _Watch:
    """Writes how far a survey is into its row, twice a second at most."""

    def __init__(self, engine: Engine, plan_id: int) -> None:
        self._engine = engine
        self._plan_id = plan_id
        self._told_at = float("-inf")
        self._step: str | None = None

    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        """Note it if it is news."""
        if step == self._step and time.monotonic() - self._told_at < BEAT_S:
            return
        self._step, self._told_at = step, time.monotonic()
        values = {"step": step, "share": min(max(share, 0.0), 1.0), "done": done, "total": total}
        with unit_of_work(self._engine) as session:
            session.execute(update(PlanSurvey).where(PlanSurvey.plan_id == self._plan_id).values(**values))
