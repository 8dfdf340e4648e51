"""Use cases of batch geotagging in the service: a file is handed in, worked on by the queue, fetched, and swept away.

What runs have in common is in `gis.file_runs`; a table is tagged with what its account may see when it is worked on.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gis import file_runs
from gis.db import unit_of_work
from gis.errors import GridError, InvalidInput, NotFound, Unavailable, WrongState
from gis.file_runs import Handed
from gis.models import FileRun
from gis.permissions import Action, Actor, is_within, scopes
from gis.settings import Settings

log = logging.getLogger("wangge.geotag")

KIND = "geotag"
RUNS_MOST = 20
"""Of one account, results not yet swept away among them."""
BEAT_S = 2.0
LOST = timedelta(minutes=5)
"""A run that no worker has told of for so long is lost."""
ENDINGS = {"csv": ".csv", "xlsx": ".xlsx", "gpkg": ".gpkg", "parquet": ".parquet", "ndjson": ".ndjson"}


@dataclass(frozen=True)
class Wanted:
    """How a file is to be read and given back (see `gis.geotagging`)."""

    crs: str | None = None
    lon: str | None = None
    lat: str | None = None
    address: str | None = None
    layer: str | None = None
    format: str | None = None
    language: str = "zh"
    phones: bool = False
    default_point: float = 0.01
    at: str | None = None


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
    InvalidInput
        What looking at the file's head tells: unknown format, no coordinates, system not stated …
    Conflict
        ``file.too_many_runs``.
    """
    file_runs.check_room(session, kind=KIND, actor=actor, most=RUNS_MOST)
    ending = _ending_out(handed, wanted)
    _look(handed, wanted)
    return file_runs.keep(
        session, handed, kind=KIND, ending=ending, options=asdict(wanted), settings=settings, defer=defer,
        actor=actor, now=now,
    )  # fmt: skip


def _ending_out(handed: Handed, wanted: Wanted) -> str:
    from gis.geotagging.reading import ENDINGS_IN, ENDINGS_OUT

    if handed.ending not in ENDINGS_IN:
        raise InvalidInput("geotag.unknown_format", path=handed.name, known=", ".join(ENDINGS_IN))
    if wanted.format is not None:
        return ENDINGS[wanted.format]
    return handed.ending if handed.ending in ENDINGS_OUT else ".xlsx"


def _look(handed: Handed, wanted: Wanted) -> None:
    """Refuse at once what can be seen at the head of a file; a workbook or a database is opened by the worker alone."""
    from gis import crs
    from gis.geotagging.reading import EXCEL_IN, GPKG, open_file

    if wanted.crs is not None:
        crs.parse(wanted.crs)
    if handed.ending not in (*EXCEL_IN, *GPKG):
        named = handed.path.with_name(handed.path.name + handed.ending)
        os.link(handed.path, named)  # formats are known by their endings
        try:
            open_file(named, _asked(wanted))
        except GridError as error:
            raise type(error)(error.code, **error.params | file_runs.named(error, handed.name)) from error
        finally:
            named.unlink()


def _asked(wanted: Wanted) -> Any:
    from gis.geotagging.reading import Asked

    return Asked(wanted.crs, wanted.lon, wanted.lat, wanted.address, wanted.layer)


def runs(session: Session, *, actor: Actor) -> list[dict[str, Any]]:
    """The runs of an account, the newest first."""
    return [describe(run) for run in session.scalars(file_runs.own(actor, KIND))]


def get(session: Session, run_id: int, *, actor: Actor) -> FileRun:
    """A run of the caller's own.

    Raises
    ------
    NotFound
        ``file.no_run``, also for another's.
    """
    return file_runs.get(session, run_id, kind=KIND, actor=actor)


def describe(run: FileRun) -> dict[str, Any]:
    """A run as plain values."""
    return {
        **file_runs.describe(run, language=str(run.options.get("language", "zh"))),
        "result_name": result_name(run) if run.state == "done" else None,
        "options": {name: value for name, value in run.options.items() if name not in ("seen", "called")},
    }


def result_name(run: FileRun) -> str:
    """What the result is called when it is saved."""
    added = "定位结果" if run.options.get("language") == "zh" else "geotagged"
    return f"{Path(run.file_name).stem}_{added}{run.ending}"


def result_of(session: Session, run_id: int, *, settings: Settings, actor: Actor) -> tuple[Path, str]:
    """Where a result lies, and its name.

    Raises
    ------
    NotFound
        ``file.no_run``; ``geotag.no_result`` if the file is not here.
    WrongState
        ``geotag.not_done``.
    """
    run = get(session, run_id, actor=actor)
    if run.state != "done":
        raise WrongState("geotag.not_done", run_id=run_id, state=run.state)
    path = file_runs.folder_of(settings, KIND, run) / f"out{run.ending}"
    if not path.is_file() or not _may_still_see(run, actor):
        raise NotFound("geotag.no_result", run_id=run_id)
    return path, result_name(run)


def _may_still_see(run: FileRun, actor: Actor) -> bool:
    """Whether its owner may see now all that was told in a result."""
    told = {Action.VIEW_MAP: run.options.get("seen", ()), Action.VIEW_CONTACTS: run.options.get("called", ())}
    return all(
        any(is_within(path, scope) for scope in scopes(actor, action))
        for action, paths in told.items()
        for path in paths
    )


def cancel(session: Session, run_id: int, *, settings: Settings, actor: Actor, now: datetime) -> FileRun:
    """A run is asked to stop, see `gis.file_runs.cancel`."""
    return file_runs.cancel(session, run_id, kind=KIND, settings=settings, actor=actor, now=now)


def delete(session: Session, run_id: int, *, settings: Settings, actor: Actor, now: datetime) -> None:
    """A run and its files are taken away, see `gis.file_runs.delete`."""
    file_runs.delete(session, run_id, kind=KIND, settings=settings, actor=actor, now=now)


# --- in the worker ----------------------------------------------------------------------------------------------------


def do_run(engine: Engine, run_id: int, *, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Do a queued run; nothing happens if it is not queued any more.

    An error that Wangge knows ends in the run's row, for its owner to read; a bug also goes on to the log.
    """
    run = file_runs.begin(engine, run_id, clock())
    if run is None:
        return
    try:
        summary = _tag(engine, run, settings, clock)
        file_runs.end(
            engine, run, now=clock(), state="done", progress_ratio=1.0, summary=file_runs.plain(summary),
            error_code=None, error_params=None,
        )  # fmt: skip
    except GridError as error:
        if error.code == "geotag.cancelled":
            file_runs.end(engine, run, now=clock(), state="cancelled")
        else:
            params = file_runs.params_of(error, run)
            file_runs.end(engine, run, now=clock(), state="failed", error_code=error.code, error_params=params)
    except Exception:
        log.exception("geotag run %s", run_id)
        file_runs.end(engine, run, now=clock(), state="failed", error_code="jobs.unexpected", error_params={})
        raise
    for path in file_runs.folder_of(settings, KIND, run).glob("in*"):  # once it is noted that the run is over
        path.unlink(missing_ok=True)


def _tag(engine: Engine, run: FileRun, settings: Settings, clock: Callable[[], datetime]) -> dict[str, Any]:
    # Imported by the worker when a run begins: the HTTP service only defers, and is spared numba and its start.
    from gis.geotagging.addresses import resolver
    from gis.geotagging.cells import cells_of
    from gis.geotagging.running import Wish, geotag_file
    from gis.responsibility.responsibility import as_of

    wanted = Wanted(**run.options)
    at = clock() if wanted.at is None else datetime.fromisoformat(wanted.at)
    with unit_of_work(engine) as session:
        actor = file_runs.owner_of(session, run, now=clock())
        seen = scopes(actor, Action.VIEW_MAP)
        called = scopes(actor, Action.VIEW_CONTACTS) if wanted.phones else ()
        told = {**run.options, "seen": list(seen), "called": list(called)}
        session.execute(update(FileRun).where(FileRun.id == run.id).values(options=told))
    folder = file_runs.folder_of(settings, KIND, run)
    source = file_runs.source_of(settings, run)
    cells = cells_of(
        as_of(engine, settings, at),
        language=wanted.language,
        scopes=seen,
        contact_scopes=called,
    )
    beat = _Beat(engine, run.id, clock)
    summary = geotag_file(
        source,
        folder / f"out{run.ending}",
        cells=cells,
        asked=_asked(wanted),
        wish=Wish(wanted.language, wanted.phones, wanted.default_point),
        resolve=None if wanted.address is None else resolver(engine, at=at, actor=actor),
        progress=beat.progress,
        cancelled=beat.cancelled,
    )
    return summary.as_dict()


class _Beat:
    """Writes progress into the run's row and reads there whether to stop, both every few seconds."""

    def __init__(self, engine: Engine, run_id: int, clock: Callable[[], datetime]) -> None:
        self._engine, self._run_id, self._clock = engine, run_id, clock
        self._told_at = float("-inf")
        self._share, self._stop = 0.0, False

    def progress(self, share: float) -> None:
        """Note how far the run is."""
        self._share = min(max(share, 0.0), 1.0)

    def cancelled(self) -> bool:
        """Whether its owner wants it no more; a run that has vanished, too."""
        if not self._stop and time.monotonic() - self._told_at >= BEAT_S:
            self._told_at = time.monotonic()
            with suppress(Unavailable, OperationalError):  # away for a moment: the next beat asks again
                self._ask()
        return self._stop

    def _ask(self) -> None:
        with unit_of_work(self._engine) as session:
            wish = session.execute(
                update(FileRun)
                .where(FileRun.id == self._run_id)
                .values(progress_ratio=self._share, seen_at=self._clock())
                .returning(FileRun.cancel_requested)
            ).first()
        self._stop = wish is None or bool(wish.cancel_requested)


def bury(engine: Engine, *, now: datetime) -> None:
    """Call lost what no worker tells of any more."""
    with unit_of_work(engine) as session:
        session.execute(
            update(FileRun)
            .where(FileRun.kind == KIND, FileRun.state == "running", FileRun.seen_at < now - LOST)
            .values(state="failed", error_code="jobs.interrupted", error_params={}, finished_at=now)
        )
