"""Divisions that are handed in (`gis.taking`) as long work: asked for, followed, cancelled, taken up again.

The draft and the note that its run is done are one transaction, so nothing half written ever stays. Whoever is at a run
holds its lock in the database (`gis.holds`): the lock of a process that died is gone, and the run is taken up again.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gis import file_runs, holds, taking
from gis.db import unit_of_work
from gis.errors import GridError, InvalidInput, Unavailable, WrongState
from gis.file_runs import Handed
from gis.models import FileRun
from gis.permissions import Actor
from gis.settings import Settings

log = logging.getLogger("wangge.taking")

KIND = "division"
TRIES = 3
"""A run that takes its process down so often (memory) has failed."""
OPEN_MOST = 5
"""Of one account, that wait or are worked on."""
TAKEN_WITHIN = timedelta(seconds=4)
"""A worker that is there takes a run within this."""
BEAT_S = 0.5
CANCELLED = ("take.cancelled", "partition.cancelled")


@dataclass(frozen=True)
class Wanted:
    """What a file is to become; see `gis.taking.Wish`."""

    area_id: int
    title: str
    rule_set_id: int | None = None
    crs: str | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    trust_crs: bool = False

    def wish(self, path: Path, name: str, *, settings: Settings) -> taking.Wish:
        """As the use case takes it."""
        return taking.Wish(
            path, name, self.area_id, self.title, rule_set_id=self.rule_set_id, crs=self.crs, layers=self.layers,
            trust_crs=self.trust_crs, limit_mb=settings.upload_limit_mb,
        )  # fmt: skip


def request_run(
    session: Session,
    handed: Handed,
    wanted: Wanted,
    *,
    settings: Settings,
    defer: Callable[[int], None],
    actor: Actor,
    now: datetime,
) -> FileRun:
    """A file is taken over and its run queued, in the session's transaction.

    Parameters
    ----------
    defer : callable
        Queues the run by its number.

    Raises
    ------
    NotAllowed, NotFound, UnknownCrs, InvalidInput
        As `gis.taking.check`.
    Conflict
        ``file.too_many_runs``.
    """
    file_runs.check_writing(actor)
    file_runs.check_room(session, kind=KIND, actor=actor, most=OPEN_MOST, states=file_runs.OPEN_STATES)
    named = handed.path.with_name(handed.path.name + handed.ending)
    handed.path.rename(named)  # formats are known by their endings
    try:
        taking.check(session, wanted.wish(named, handed.name, settings=settings), actor=actor, now=now)
    except GridError as error:
        raise type(error)(error.code, **error.params | file_runs.named(error, handed.name)) from error
    return file_runs.keep(
        session, Handed(named, handed.name), kind=KIND, ending=handed.ending, options=asdict(wanted),
        settings=settings, defer=defer, actor=actor, now=now,
    )  # fmt: skip


def describe(run: FileRun, *, language: str) -> dict[str, Any]:
    """A run as plain values."""
    return {
        **file_runs.describe(run, language=language),
        "title": run.options["title"],
        "area_id": run.options["area_id"],
        "crs": run.options["crs"],
        "step": run.step,
        "done": run.done,
        "total": run.total,
        "plan_id": run.plan_id,
    }


def again(
    session: Session, run_id: int, *, crs: str | None, trust_crs: bool, defer: Callable[[int], None], actor: Actor,
    now: datetime,
) -> FileRun:  # fmt: skip
    """A run that failed is queued again, the file read otherwise.

    Raises
    ------
    WrongState
        ``take.not_failed``.
    NotFound
        ``file.no_run``.
    """
    from gis import crs as systems

    file_runs.check_writing(actor)
    run = file_runs.get(session, run_id, kind=KIND, actor=actor)
    session.refresh(run, with_for_update=True)
    if run.state != "failed":
        raise WrongState("take.not_failed", run_id=run_id, state=run.state)
    if crs is not None:
        systems.parse(crs)
    run.options = {**run.options, "crs": crs or run.options["crs"], "trust_crs": trust_crs}
    run.error_code, run.error_params, run.finished_at, run.tries = None, None, None, 0
    _queue(run, defer, now)
    session.flush()
    return run


def _queue(run: FileRun, defer: Callable[[int], None], now: datetime) -> None:
    run.state, run.step, run.progress_ratio, run.done, run.total = "queued", None, 0.0, 0, 0
    run.started_at, run.seen_at = None, now
    defer(run.id)


def revive(session: Session, *, defer: Callable[[int], None], now: datetime) -> None:
    """Runs whose process is dead are queued again; one that died too often has failed."""
    begun = select(FileRun).where(FileRun.kind == KIND, FileRun.state == "running").order_by(FileRun.id)
    for run in session.scalars(begun).all():
        if holds.is_held(session, holds.TAKING, run.id):
            continue
        session.refresh(run, with_for_update=True)
        if run.state != "running" or holds.is_held(session, holds.TAKING, run.id):
            continue
        if run.cancel_requested:
            run.state, run.finished_at = "cancelled", now
        elif run.tries >= TRIES:
            run.state, run.finished_at = "failed", now
            run.error_code, run.error_params = "file.died", {"tries": run.tries}
        else:
            _queue(run, defer, now)
    session.flush()


def is_left(session: Session, run: FileRun, *, now: datetime) -> bool:
    """Whether no worker takes a run, although none is at another."""
    waits_since = run.seen_at or run.created_at
    return run.state == "queued" and now - waits_since >= TAKEN_WITHIN and not holds.is_held(session, holds.TAKING)


# --- in the worker ----------------------------------------------------------------------------------------------------


def do_run(
    engine: Engine,
    run_id: int,
    *,
    settings: Settings,
    ahead: Callable[[Session, int], None],
    clock: Callable[[], datetime],
) -> None:
    """Do a queued run; nothing happens if it is not queued any more, or somebody is at it.

    An error that Wangge knows ends in the run's row, for its owner to read; a bug also goes on to the log.

    Parameters
    ----------
    ahead : callable
        Called with the session and the draft, in the transaction that stores it.
    """
    with unit_of_work(engine) as guard:
        guard.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        if not holds.take(guard, holds.TAKING, run_id):
            return
        run = file_runs.begin(engine, run_id, clock())
        if run is None:
            return
        if _done(engine, run, settings, ahead, clock):
            shutil.rmtree(file_runs.folder_of(settings, KIND, run), ignore_errors=True)


def _done(
    engine: Engine, run: FileRun, settings: Settings, ahead: Callable[[Session, int], None],
    clock: Callable[[], datetime],
) -> bool:  # fmt: skip
    """Work on a claimed run and note how it ended; whether its file is needed no more."""
    try:
        with unit_of_work(engine) as session:
            actor = file_runs.owner_of(session, run, now=clock())
            wish = Wanted(**run.options).wish(file_runs.source_of(settings, run), run.file_name, settings=settings)
            taken = taking.take(session, wish, actor=actor, now=clock(), watch=_Watch(engine, run, clock))
            ahead(session, taken.plan_id)
            _note(session, run, taken, clock())
    except GridError as error:
        if error.code == "database.away":  # whoever looks next finds that nobody is at it
            log.warning("division run %s: the database went away", run.id)
            return False
        is_cancelled = error.code in CANCELLED
        told = {} if is_cancelled else {"error_code": error.code, "error_params": file_runs.params_of(error, run)}
        file_runs.end(engine, run, now=clock(), state="cancelled" if is_cancelled else "failed", **told)
        return is_cancelled
    except Exception:
        log.exception("division run %s", run.id)
        file_runs.end(engine, run, now=clock(), state="failed", error_code="jobs.unexpected", error_params={})
        raise
    return True


def _note(session: Session, run: FileRun, taken: taking.Taken, now: datetime) -> None:
    """The run is done, with the draft or not at all: if it was cancelled meanwhile, or another took it up, not."""
    row = session.get_one(FileRun, run.id, with_for_update=True, populate_existing=True)
    if row.cancel_requested or (row.state, row.tries) != ("running", run.tries):
        raise InvalidInput("take.cancelled")
    summary = {key: value for key, value in asdict(taken).items() if key not in ("plan_id", "findings")}
    row.state, row.progress_ratio, row.step, row.plan_id, row.finished_at = "done", 1.0, None, taken.plan_id, now
    row.summary = file_runs.plain(summary)
    session.flush()


class _Watch:
    """Writes how far a run is into its row and reads there whether to stop, both twice a second at most."""

    def __init__(self, engine: Engine, run: FileRun, clock: Callable[[], datetime]) -> None:
        self._engine, self._run, self._clock = engine, run, clock
        self._asked_at = float("-inf")
        self._step: str | None = None
        self._told: dict[str, Any] = {}
        self._stop = False

    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        """Note it, at once if a step begins."""
        self._told = {"step": step, "progress_ratio": min(max(share, 0.0), 1.0), "done": done, "total": total}
        if step != self._step:
            self._step, self._asked_at = step, float("-inf")
        self._look()

    def cancelled(self) -> bool:
        """Whether its owner wants it no more; a run that has vanished, or that another took up, too."""
        self._look()
        return self._stop

    def _look(self) -> None:
        if self._stop or time.monotonic() - self._asked_at < BEAT_S:
            return
        self._asked_at = time.monotonic()
        with suppress(Unavailable, OperationalError):  # away for a moment: the next beat asks again
            with unit_of_work(self._engine) as session:
                wish = session.execute(
                    update(FileRun)
                    .where(FileRun.id == self._run.id, FileRun.state == "running", FileRun.tries == self._run.tries)
                    .values(seen_at=self._clock(), **self._told)
                    .returning(FileRun.cancel_requested)
                ).first()
            self._stop = wish is None or bool(wish.cancel_requested)
