"""Long work on the queue: tasks of procrastinate, whose tables stand in our own PostgreSQL.

A task takes ids only, is safe to run twice, tells its progress in its row (`plan_run`) and looks there whether it was
cancelled. It is deferred in the transaction that makes the row: either both exist or neither.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from procrastinate import App, Blueprint, JobContext, PsycopgConnector, SyncPsycopgConnector
from sqlalchemy import Engine, Select, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from gis import (
    desk_log,
    desk_rows,
    file_runs,
    geotag_runs,
    incident_tally,
    plan_redraw,
    plan_report,
    plan_review,
    plans,
    prints,
    proposal_runs,
    proposals,
    rules,
    search_index,
    survey_runs,
    taking_runs,
)
from gis.db import audit, make_engine, unit_of_work
from gis.errors import Conflict, GridError, NotFound, WrongState
from gis.models import FileRun, Plan, PlanRun, PlanSurvey, ProposalRun
from gis.permissions import SYSTEM, Actor
from gis.plan_redraw import Wish
from gis.rule_set import RuleSet
from gis.settings import Settings
from gis.town import Town
from gis.worktime import CHINA

log = logging.getLogger("wangge.jobs")

QUEUE = "partition"
GEOTAG = "geotag"
PRINT = "print"
SURVEY = "survey"
TAKING = "taking"
UPKEEP = "upkeep"
TASK = "wangge:partition_plan"
PROPOSE_TASK = "wangge:propose"
GEOTAG_TASK = "wangge:geotag_file"
PRINT_TASK = "wangge:print_plan"
SURVEY_TASK = "wangge:survey_plan"
TAKING_TASK = "wangge:take_division"
OPEN_STATES = ("queued", "running")
PROGRESS_EVERY_S = 0.5
ENOUGH = '{"is_enough": true}'  # in the recipe of a draft whose run is to end with the best so far


class _Cancelled(Exception):
    """The run was cancelled between two steps."""


def deferring_app(url: str) -> App:
    """The queue as the HTTP service sees it: it only puts jobs in, through the session's own connection."""
    return _with_tasks(App(connector=SyncPsycopgConnector(conninfo=_conninfo(url), min_size=0, max_size=2)))


def worker_app(url: str) -> App:
    """The queue as a worker sees it."""
    return _with_tasks(App(connector=PsycopgConnector(conninfo=_conninfo(url), min_size=1, max_size=4)))


def _with_tasks(app: App) -> App:
    # Tasks of its own for each app: adding a blueprint renames the tasks in it.
    tasks = Blueprint()

    @tasks.task(name="partition_plan", pass_context=True)
    def partition_plan(context: JobContext, run_id: int) -> None:
        """Divide the communities of a draft and store the cells."""
        run_partition(context.additional_context["engine"], run_id, clock=_now)

    @tasks.task(name="propose", pass_context=True)
    def propose(context: JobContext, run_id: int) -> None:
        """Divide a draft, or some cells of it, again, and keep the divisions beside it."""
        proposal_runs.do_run(context.additional_context["engine"], run_id, clock=_now)

    @tasks.task(name="survey_plan", pass_context=True)
    def survey_plan(context: JobContext, plan_id: int) -> None:
        """Put ground under a plan, for the desk."""
        survey_runs.do_run(context.additional_context["engine"], plan_id, clock=_now)

    @tasks.task(name="print_plan", pass_context=True)
    def print_plan(context: JobContext, ticket: str) -> None:
        """Make a print of many pages."""
        of = context.additional_context
        prints.do(of["engine"], ticket, settings=of["settings"], clock=_now)

    @tasks.task(name="geotag_file", pass_context=True)
    def geotag_file(context: JobContext, run_id: int) -> None:
        """Tag a file that was handed in."""
        of = context.additional_context
        geotag_runs.do_run(of["engine"], run_id, settings=of["settings"], clock=_now)

    @tasks.task(name="take_division", pass_context=True)
    def take_division(context: JobContext, run_id: int) -> None:
        """Make a draft of a division that was handed in."""
        of = context.additional_context
        _take_division(of["engine"], run_id, settings=of["settings"], jobs=of["jobs"])

    _add_upkeep(tasks)
    app.add_tasks_from(tasks, namespace="wangge")
    return app


def _add_upkeep(tasks: Blueprint) -> None:
    """What is done at its time, whoever asks."""

    @tasks.periodic(cron="*/5 * * * *")
    @tasks.task(name="sweep", pass_context=True, queue=UPKEEP, queueing_lock="sweep")
    def sweep(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 (procrastinate tells when it was due)
        """Take away files that were handed in and what became of them, and prints, that have expired."""
        of = context.additional_context
        geotag_runs.bury(of["engine"], now=_now())
        file_runs.sweep(of["engine"], settings=of["settings"], now=_now())
        prints.sweep(of["settings"])

    @tasks.periodic(cron="*/5 * * * *")
    @tasks.task(name="settle", pass_context=True, queue=UPKEEP, queueing_lock="settle")
    def settle(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 (procrastinate tells when it was due)
        """Put open incidents into the cells of plans whose day has come since."""
        with unit_of_work(context.additional_context["engine"]) as session:
            plans.settle(session, actor=SYSTEM, now=_now())
        with unit_of_work(context.additional_context["engine"]) as session:
            incident_tally.sum_up(session)
            incident_tally.clear_news(session, now=_now())

    @tasks.periodic(cron="* * * * *")
    @tasks.task(name="index_search", pass_context=True, queue=UPKEEP, queueing_lock="index_search")
    def index_search(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Make the search entries of what has changed without a search coming by."""
        search_index.catch_up(context.additional_context["engine"])

    @tasks.periodic(cron="* * * * *")
    @tasks.task(name="bury", pass_context=True, queue=UPKEEP, queueing_lock="bury")
    def bury(context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        """Mark what dead workers, here or on other machines, have left unfinished."""
        of = context.additional_context
        mark_interrupted(of["engine"], now=_now())
        _revive(of["engine"], of["jobs"])


def _now() -> datetime:
    return datetime.now(UTC)


def work(
    url: str, engine: Engine, *, settings: Settings | None = None, once: bool = False, name: str = "wangge"
) -> None:
    """Run jobs until the process is told to stop; with ``once`` until the queue is empty.

    Parameters
    ----------
    settings : Settings, optional
        Say where files lie; by default those of the environment.
    """
    jobs = deferring_app(url)
    mark_interrupted(engine, now=_now())
    _revive(engine, jobs)
    worker_app(url).run_worker(
        queues=[QUEUE, SURVEY, TAKING, GEOTAG, PRINT, UPKEEP],
        name=name,
        # Each kind of work waits for its like by its lock; upkeep waits for none. Who stops at an empty queue takes one
        # job after the other: to a free hand, a job that waits by its lock is no job.
        concurrency=1 if once else 6,
        wait=not once,
        delete_jobs="successful",
        additional_context={"engine": engine, "jobs": jobs, "settings": settings or Settings()},
        install_signal_handlers=not once,
    )


def request_partition(
    session: Session, plan_id: int, *, jobs: App, seed: int, effort: str, actor: Actor, now: datetime
) -> PlanRun:
    """A run of the partitioner is noted for a plan and queued, in the session's transaction.

    Raises
    ------
    Conflict
        ``plan.run_alive`` if one is queued or running for the plan already.
    """
    if session.scalar(_latest(plan_id).where(PlanRun.state.in_(OPEN_STATES))) is not None:
        raise Conflict("plan.run_alive", plan_id=plan_id)
    run = PlanRun(
        plan_id=plan_id,
        state="queued",
        seed=seed,
        effort=effort,
        created_at=now,
        created_by=actor.name,
        done=0,
        total=0,
    )
    session.add(run)
    session.flush()
    connection = session.connection().connection.driver_connection
    task = jobs.configure_task(TASK, queue=QUEUE, lock=QUEUE, queueing_lock=f"run-{run.id}", connection=connection)
    run.job_id = task.defer(run_id=run.id)
    session.flush()
    return run


def request_proposals(
    session: Session, plan_id: int, wish: proposals.Wish, *, jobs: App, actor: Actor, now: datetime
) -> ProposalRun:
    """What is proposed for a draft is asked for, and its run queued, in the session's transaction.

    Raises
    ------
    InvalidInput, Conflict, WrongState, NotAllowed, NotFound
        As `gis.proposals.request`.
    """

    def defer(run_id: int) -> int:
        connection = session.connection().connection.driver_connection
        task = jobs.configure_task(
            PROPOSE_TASK, queue=QUEUE, lock=QUEUE, queueing_lock=f"propose-{run_id}", connection=connection
        )
        return task.defer(run_id=run_id)

    return proposals.request(session, plan_id, wish, defer=defer, actor=actor, now=now)


def request_survey(
    session: Session, plan_id: int, *, jobs: App, now: datetime, again: bool = False
) -> PlanSurvey | None:
    """The survey of a plan's ground is queued, in the session's transaction, unless that has been done.

    Parameters
    ----------
    again : bool
        Whether one that failed is wanted again.

    Returns
    -------
    PlanSurvey or None
        How it stands; ``None`` for a plan that has its ground.
    """

    def defer(plan: int) -> None:
        connection = session.connection().connection.driver_connection
        # One at a time: each spreads over the cores.
        jobs.configure_task(SURVEY_TASK, queue=SURVEY, lock=SURVEY, connection=connection).defer(plan_id=plan)

    return survey_runs.ask(session, plan_id, defer=defer, now=now, again=again)


def survey_ahead(session: Session, plan_id: int, *, now: datetime, jobs: App | None = None) -> None:
    """Have the ground of a plan that came about otherwise than on the desk surveyed before somebody opens it there.

    Parameters
    ----------
    jobs : App, optional
        By default a queue in the session's database.
    """
    if desk_rows.count_lowest(session, plan_id) > desk_log.FEW_CELLS:
        url = session.get_bind().engine.url.render_as_string(hide_password=False)
        request_survey(session, plan_id, jobs=jobs or deferring_app(url), now=now)


def _revive(engine: Engine, jobs: App) -> None:
    """Surveys and imports whose worker is dead are taken up again."""
    with unit_of_work(engine) as session:
        for plan_id in survey_runs.left_behind(session):
            request_survey(session, plan_id, jobs=jobs, now=_now())
        revive_taking(session, jobs=jobs, now=_now())


def request_geotag(
    session: Session,
    handed: file_runs.Handed,
    wanted: geotag_runs.Wanted,
    *,
    settings: Settings,
    jobs: App,
    actor: Actor,
    now: datetime,
) -> FileRun:
    """A file is handed in to be geotagged, and its run queued, in the session's transaction.

    Raises
    ------
    InvalidInput, Conflict
        As `gis.geotag_runs.request_run`.
    """

    def defer(run_id: int) -> None:
        connection = session.connection().connection.driver_connection
        # One file at a time: the machine has other things to do.
        task = jobs.configure_task(
            GEOTAG_TASK, queue=GEOTAG, lock=GEOTAG, queueing_lock=f"geotag-{run_id}", connection=connection
        )
        task.defer(run_id=run_id)

    return geotag_runs.request_run(session, handed, wanted, settings=settings, defer=defer, actor=actor, now=now)


def request_taking(
    session: Session,
    handed: file_runs.Handed,
    wanted: taking_runs.Wanted,
    *,
    settings: Settings,
    jobs: App,
    actor: Actor,
    now: datetime,
) -> FileRun:
    """A division is handed in to become a draft, and its run queued, in the session's transaction.

    Raises
    ------
    NotAllowed, NotFound, UnknownCrs, InvalidInput, Conflict
        As `gis.taking_runs.request_run`.
    """
    return taking_runs.request_run(
        session, handed, wanted, settings=settings, defer=_taking_deferred(session, jobs), actor=actor, now=now
    )


def request_taking_again(
    session: Session, run_id: int, *, crs: str | None, trust_crs: bool, jobs: App, actor: Actor, now: datetime
) -> FileRun:
    """One that failed is queued again, its file read otherwise.

    Raises
    ------
    NotFound, WrongState, UnknownCrs
        As `gis.taking_runs.again`.
    """
    return taking_runs.again(
        session, run_id, crs=crs, trust_crs=trust_crs, defer=_taking_deferred(session, jobs), actor=actor, now=now
    )


def revive_taking(session: Session, *, jobs: App, now: datetime) -> None:
    """Divisions whose worker is dead are taken up again."""
    taking_runs.revive(session, defer=_taking_deferred(session, jobs), now=now)


def _taking_deferred(session: Session, jobs: App) -> Callable[[int], None]:
    def defer(run_id: int) -> None:
        connection = session.connection().connection.driver_connection
        # One at a time: each takes a core.
        jobs.configure_task(TAKING_TASK, queue=TAKING, lock=TAKING, connection=connection).defer(run_id=run_id)

    return defer


def _take_division(engine: Engine, run_id: int, *, settings: Settings, jobs: App) -> None:
    def ahead(session: Session, plan_id: int) -> None:
        survey_ahead(session, plan_id, now=_now(), jobs=jobs)

    taking_runs.do_run(engine, run_id, settings=settings, ahead=ahead, clock=_now)


def take_apart(url: str, run_id: int, settings: Settings) -> None:
    """Make a draft of a division that was handed in, in a process that was begun for it."""
    engine = make_engine(url, statement_timeout_s=600)
    _take_division(engine, run_id, settings=settings, jobs=deferring_app(url))
    engine.dispose()


def request_print(
    session: Session,
    plan_id: int,
    order: prints.Order,
    *,
    settings: Settings,
    jobs: App,
    actor: Actor,
    now: datetime,
) -> prints.Waiting:
    """A print is noted and queued, in the session's transaction.

    Raises
    ------
    NotFound, NotAllowed, InvalidInput
        As `gis.prints.request`.
    """

    def defer(ticket: str) -> None:
        connection = session.connection().connection.driver_connection
        # One at a time: a town's pages take a core for a minute.
        task = jobs.configure_task(
            PRINT_TASK, queue=PRINT, lock=PRINT, queueing_lock=f"print-{ticket}", connection=connection
        )
        task.defer(ticket=ticket)

    return prints.request(session, plan_id, order, settings=settings, defer=defer, actor=actor, now=now)


def start_draft(
    session: Session,
    *,
    area_id: int,
    rule_set_id: int | None,
    community_ids: Sequence[int] | None,
    title: str,
    seed: int,
    effort: str,
    jobs: App,
    actor: Actor,
    now: datetime,
    redraw: Wish | None = None,
) -> tuple[int, PlanRun]:
    """A draft is noted and its run queued; the rules are those in force for the area unless others are named.

    Parameters
    ----------
    redraw : Wish, optional
        To be drawn from what is in force, or from a plan that is named; else anew.

    Raises
    ------
    NotFound
        ``plan.unknown`` for a plan to begin with that may not be seen.
    """
    if redraw is not None and redraw.based_on is not None:
        plan_review.seen_scopes(session, redraw.based_on, actor=actor)
    if rule_set_id is None:
        rule_set_id = rules.in_force(session, area_id=area_id, on=now.astimezone(CHINA).date()).id
    draft = plans.create_draft(
        session,
        area_id=area_id,
        rule_set_id=rule_set_id,
        community_ids=community_ids,
        title=title,
        recipe={"seed": seed, "effort": effort} | ({} if redraw is None else {"redraw": redraw.as_recipe()}),
        based_on_id=None if redraw is None else redraw.based_on,
        actor=actor,
        now=now,
    )
    return draft.id, request_partition(session, draft.id, jobs=jobs, seed=seed, effort=effort, actor=actor, now=now)


def describe(run: PlanRun) -> dict[str, Any]:
    """A run as plain values."""
    error = None if run.error_code is None else {"code": run.error_code, "params": run.error_params or {}}
    return {
        "state": run.state,
        "done": run.done,
        "total": run.total,
        "message": run.message,
        "error": error,
        "cancel_requested": run.cancel_requested,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    }


def run_of(session: Session, plan_id: int) -> PlanRun:
    """The latest run of a plan.

    Raises
    ------
    NotFound
        ``plan.no_run``.
    """
    run = session.scalar(_latest(plan_id))
    if run is None:
        raise NotFound("plan.no_run", plan_id=plan_id)
    return run


def _latest(plan_id: int) -> Select[PlanRun]:
    return select(PlanRun).where(PlanRun.plan_id == plan_id).order_by(PlanRun.id.desc()).limit(1)


def _open_run(session: Session, plan_id: int) -> PlanRun:
    """A plan's run that is not over, locked; otherwise ``plan.run_over``."""
    run = run_of(session, plan_id)
    session.refresh(run, with_for_update=True)
    if run.state not in OPEN_STATES:
        raise WrongState("plan.run_over", plan_id=plan_id, state=run.state)
    return run


def cancel(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> PlanRun:
    """A run is asked to stop: at once if it still waits, at its next step if it runs.

    Raises
    ------
    WrongState
        ``plan.run_over``.
    """
    run = _open_run(session, plan_id)
    run.cancel_requested = True
    if run.state == "queued":
        run.state, run.finished_at = "cancelled", now
    audit(session, "plan.cancel_run", subject=f"plan:{plan_id}", actor=actor, now=now)
    return run


def finish(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> PlanRun:
    """A run is asked to end with the best plan so far, which is stored as if the search had come so far by itself.

    Raises
    ------
    WrongState
        ``plan.run_over``.
    """
    run = _open_run(session, plan_id)
    # Beside the row's version, which the worker's own writing is held against.
    session.execute(
        text("UPDATE plan SET recipe = recipe || :enough WHERE id = :id"), {"enough": ENOUGH, "id": plan_id}
    )
    audit(session, "plan.finish_run", subject=f"plan:{plan_id}", actor=actor, now=now)
    return run


def mark_interrupted(engine: Engine, *, now: datetime) -> None:
    """Runs whose worker is dead are marked as failed, so that they can be asked for again, and let go of their locks.

    Any number of workers, on any number of machines, may run meanwhile: a worker is dead if it has shown no sign of
    life for `DEAD_AFTER_S`, or if the queue knows of nobody who does the job.
    """
    with unit_of_work(engine) as session:
        session.execute(_FAIL_ORPHANS, {"silent": DEAD_AFTER_S})
        session.execute(
            update(PlanRun)
            .where(PlanRun.state == "running", text(f"coalesce(plan_run.job_id, 0) {_NOT_DONE_BY_ANYBODY}"))
            .values(state="failed", error_code="jobs.interrupted", error_params={}, finished_at=now)
        )
        proposal_runs.mark_interrupted(session, now=now, not_done=_NOT_DONE_BY_ANYBODY)


DEAD_AFTER_S = 60.0

_FAIL_ORPHANS = text(
    """
    UPDATE procrastinate_jobs AS job SET status = 'failed', worker_id = NULL
    WHERE job.status = 'doing' AND NOT EXISTS (
        SELECT FROM procrastinate_workers AS worker
        WHERE worker.id = job.worker_id AND worker.last_heartbeat > now() - make_interval(secs => :silent))
    """
)
_NOT_DONE_BY_ANYBODY = "NOT IN (SELECT id FROM procrastinate_jobs WHERE status = 'doing')"


def run_partition(engine: Engine, run_id: int, *, clock: Callable[[], datetime], processes: int | None = None) -> None:
    """Do a queued run; nothing happens if it is not queued any more.

    An error that Wangge knows ends in the run's row, for the planner to read; a bug also goes on to the log.
    """
    if not _begin(engine, run_id, clock()):
        return
    try:
        _divide_and_store(engine, run_id, clock=clock, processes=processes)
    except _Cancelled:
        _end(engine, run_id, now=clock(), state="cancelled")
    except GridError as error:
        _end(engine, run_id, now=clock(), state="failed", error_code=error.code, error_params=_plain(error.params))
    except Exception:
        log.exception("partition run %s", run_id)
        _end(engine, run_id, now=clock(), state="failed", error_code="jobs.unexpected", error_params={})
        raise


def _begin(engine: Engine, run_id: int, now: datetime) -> bool:
    with unit_of_work(engine) as session:
        claimed = session.execute(
            update(PlanRun)
            .where(PlanRun.id == run_id, PlanRun.state == "queued")
            .values(state="running", started_at=now)
            .returning(PlanRun.id)
        )
        return claimed.first() is not None


def _end(engine: Engine, run_id: int, *, now: datetime, **values: Any) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(PlanRun).where(PlanRun.id == run_id).values(finished_at=now, **values))


def _divide_and_store(engine: Engine, run_id: int, *, clock: Callable[[], datetime], processes: int | None) -> None:
    # Imported by the worker when a run begins: the HTTP service only defers, and is spared numba and its start.
    from gis.partition import divide
    from gis.partition.quality import statistics

    with unit_of_work(engine) as session:
        run = session.get_one(PlanRun, run_id)
        plan_id, seed, effort = run.plan_id, run.seed, run.effort
        town, rules_of_plan = _input(session, plan_id)
        redraw, bases = _redraw(session, plan_id, now=clock())
    watch = _Watch(engine, run_id)
    try:
        division = divide(
            town,
            rules_of_plan,
            seed=seed,
            effort=effort,
            processes=processes,
            progress=watch.progress,
            cancelled=watch.cancelled,
            enough=watch.enough,
            within=watch.within,
            **redraw,
        )
        if bases:
            division.recipe["redraw"]["based_on"] = bases
    except Exception as error:
        if watch.cancelled(at_once=True):
            raise _Cancelled from error
        raise
    if watch.cancelled(at_once=True):
        raise _Cancelled
    quality = statistics(division, town)
    report = plan_report.collect(division, town, quality=quality)
    with unit_of_work(engine) as session:
        plans.store_division(
            session, plan_id, division=division, quality=quality, report=report, actor=SYSTEM, now=clock()
        )
        session.execute(
            update(PlanRun)
            .where(PlanRun.id == run_id)
            .values(state="done", done=PlanRun.total, finished_at=clock(), message=None)
        )
    survey_runs.do_now(engine, plan_id, clock=clock, processes=processes)


def _input(session: Session, plan_id: int) -> tuple[Town, RuleSet]:
    town = plans.town_of(session, community_ids=plan_review.community_ids(session, plan_id))
    return town, rules.value(rules.get(session, plans.get(session, plan_id).rule_set_id))


def _redraw(session: Session, plan_id: int, *, now: datetime) -> tuple[dict[str, Any], list[int]]:
    """The options of a redraw and the plans that it begins with; none where the draft is drawn anew."""
    from gis.partition.redraw import Locks

    wish = Wish.of_recipe(plans.get(session, plan_id).recipe)
    if wish is None:
        return {}, []
    before, bases = plan_redraw.previous(session, plan_id, based_on=wish.based_on, at=now)
    locks = Locks(**{kind: tuple(codes) for kind, codes in wish.locks.items()})
    return {"previous": before, "stability": wish.stability, "locks": locks}, bases


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an error as JSON holds them."""
    return dict(json.loads(json.dumps(dict(params), default=str)))


class _Watch:
    """Writes progress into the run's row and reads there whether to stop, both at most every half second."""

    def __init__(self, engine: Engine, run_id: int) -> None:
        self._engine = engine
        self._run_id = run_id
        self._told_at = self._asked_at = float("-inf")
        self._stop = self._enough = False
        self._shares: dict[int, float] = {}

    def progress(self, done: int, total: int, message: str) -> None:
        if done < total and time.monotonic() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = time.monotonic()
        with unit_of_work(self._engine) as session:
            session.execute(
                update(PlanRun)
                .where(PlanRun.id == self._run_id)
                .values(done=min(done, total), total=total, message=message[:200])
            )

    def within(self, job: int, share: float, _best: float) -> None:
        """Tell how far the search is while no community is done."""
        self._shares[job] = share
        if time.monotonic() - self._told_at < PROGRESS_EVERY_S:
            return
        self._told_at = time.monotonic()
        with unit_of_work(self._engine) as session:
            run = session.get_one(PlanRun, self._run_id)
            run.message = f"{sum(self._shares.values()) / max(run.total, len(self._shares)):.0%}"

    def cancelled(self, *, at_once: bool = False) -> bool:
        self._ask(at_once=at_once)
        return self._stop

    def enough(self) -> bool:
        """Whether to end with the best so far."""
        self._ask(at_once=False)
        return self._enough

    def _ask(self, *, at_once: bool) -> None:
        if self._stop or not (at_once or time.monotonic() - self._asked_at >= PROGRESS_EVERY_S):
            return
        self._asked_at = time.monotonic()
        with unit_of_work(self._engine) as session:
            wish = session.execute(
                select(PlanRun.cancel_requested, Plan.recipe)
                .join(Plan, Plan.id == PlanRun.plan_id)
                .where(PlanRun.id == self._run_id)
            ).one()
        self._stop, self._enough = bool(wish.cancel_requested), bool(wish.recipe.get("is_enough"))


def _conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
