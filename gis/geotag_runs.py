"""Use cases of batch geotagging in the service: a file is handed in, worked on by the queue, fetched, and swept away.

Files lie in a folder of the run's own in ``home/geotag``; web processes and workers therefore share the home folder. A
run belongs to the account that asked for it: nobody else sees it, and it is tagged with what that account may see when
it is worked on.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gis import accounts
from gis.db import audit, unit_of_work
from gis.errors import Conflict, GridError, InvalidInput, NotAllowed, NotFound, Unavailable, WrongState
from gis.messages import text
from gis.models import GeotagRun, UserAccount
from gis.permissions import READING, Action, Actor, is_within, scopes
from gis.settings import Settings

log = logging.getLogger("wangge.geotag")

OPEN_STATES = ("queued", "running")
RUNS_MOST = 20
"""Of one account, results not yet swept away among them."""
BEAT_S = 2.0
END_PAUSES_S = (1.0, 5.0, 20.0, 60.0)
LOST = timedelta(minutes=5)
"""A run that no worker has told of for so long is lost."""
STRAY = timedelta(days=1)
"""An upload that nobody took over is left alone for so long: it may be under way."""
ENDINGS = {"csv": ".csv", "xlsx": ".xlsx", "gpkg": ".gpkg", "parquet": ".parquet", "ndjson": ".ndjson"}


@dataclass(frozen=True)
class Handed:
    """A file that was handed in, where it lies until it is taken over."""

    path: Path
    name: str

    @property
    def ending(self) -> str:
        """Of its name, in small letters."""
        return Path(self.name).suffix.lower()


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


def folder_of(settings: Settings, run: GeotagRun | None = None) -> Path:
    """Where a run's files lie; without one, where uploads arrive."""
    return settings.home / "geotag" / ("incoming" if run is None else run.folder)


def request_run(
    session: Session,
    handed: Handed,
    wanted: Wanted,
    *,
    settings: Settings,
    defer: Callable[[int], None],
    actor: Actor,
    now: datetime,
) -> GeotagRun:
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
        ``geotag.too_many_runs``.
    """
    if actor.user_id is None:
        raise InvalidInput("geotag.no_account")
    kept = session.scalars(_own(actor)).all()
    if len(kept) >= RUNS_MOST:
        raise Conflict("geotag.too_many_runs", most=RUNS_MOST)
    ending = _ending_out(handed, wanted)
    _look(handed, wanted)
    run = GeotagRun(
        owner_id=actor.user_id,
        state="queued",
        folder=secrets.token_hex(8),  # databases may share a home, and count alike
        file_name=handed.name[:200],
        size_bytes=handed.path.stat().st_size,
        ending=ending,
        options=asdict(wanted),
        progress_ratio=0.0,
        created_at=now,
        expires_at=now + timedelta(days=settings.geotag_days),
    )
    session.add(run)
    session.flush()
    folder = folder_of(settings, run)
    folder.mkdir(parents=True, mode=0o700)
    os.replace(handed.path, folder / f"in{handed.ending}")
    defer(run.id)
    audit(session, "geotag.request_run", subject=f"geotag_run:{run.id}", actor=actor, now=now)
    return run


def check_writing(actor: Actor) -> None:
    """Refuse a program whose token may only read.

    Raises
    ------
    NotAllowed
        ``geotag.read_only``.
    """
    if actor.limited_to is not None and actor.limited_to <= READING:
        raise NotAllowed("geotag.read_only", actor=actor.name)


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
            raise type(error)(error.code, **error.params | _named(error, handed)) from error
        finally:
            named.unlink()


def _named(error: GridError, handed: Handed) -> dict[str, Any]:
    """The file's own name in the place of the one that it has here."""
    return {key: handed.name for key in ("path", "file") if key in error.params}


def _asked(wanted: Wanted) -> Any:
    from gis.geotagging.reading import Asked

    return Asked(wanted.crs, wanted.lon, wanted.lat, wanted.address, wanted.layer)


def _own(actor: Actor) -> Select[GeotagRun]:
    return select(GeotagRun).where(GeotagRun.owner_id == actor.user_id).order_by(GeotagRun.id.desc())


def runs(session: Session, *, actor: Actor) -> list[dict[str, Any]]:
    """The runs of an account, the newest first."""
    return [describe(run) for run in session.scalars(_own(actor))]


def get(session: Session, run_id: int, *, actor: Actor) -> GeotagRun:
    """A run of the caller's own.

    Raises
    ------
    NotFound
        ``geotag.no_run``, also for another's.
    """
    run = session.scalar(_own(actor).where(GeotagRun.id == run_id))
    if run is None:
        raise NotFound("geotag.no_run", run_id=run_id)
    return run


def describe(run: GeotagRun) -> dict[str, Any]:
    """A run as plain values."""
    params, language = run.error_params or {}, str(run.options.get("language", "zh"))
    error = None
    if run.error_code is not None:
        error = {"code": run.error_code, "params": params, "detail": text(run.error_code, params, language=language)}
    return {
        "id": run.id,
        "state": run.state,
        "file_name": run.file_name,
        "size_bytes": run.size_bytes,
        "result_name": result_name(run) if run.state == "done" else None,
        "options": {name: value for name, value in run.options.items() if name not in ("seen", "called")},
        "progress_ratio": run.progress_ratio,
        "summary": run.summary,
        "error": error,
        "cancel_requested": run.cancel_requested,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "expires_at": run.expires_at,
    }


def result_name(run: GeotagRun) -> str:
    """What the result is called when it is saved."""
    added = "定位结果" if run.options.get("language") == "zh" else "geotagged"
    return f"{Path(run.file_name).stem}_{added}{run.ending}"


def result_of(session: Session, run_id: int, *, settings: Settings, actor: Actor) -> tuple[Path, str]:
    """Where a result lies, and its name.

    Raises
    ------
    NotFound
        ``geotag.no_run``; ``geotag.no_result`` if the file is not here.
    WrongState
        ``geotag.not_done``.
    """
    run = get(session, run_id, actor=actor)
    if run.state != "done":
        raise WrongState("geotag.not_done", run_id=run_id, state=run.state)
    path = folder_of(settings, run) / f"out{run.ending}"
    if not path.is_file() or not _may_still_see(run, actor):
        raise NotFound("geotag.no_result", run_id=run_id)
    return path, result_name(run)


def _may_still_see(run: GeotagRun, actor: Actor) -> bool:
    """Whether its owner may see now all that was told in a result."""
    told = {Action.VIEW_MAP: run.options.get("seen", ()), Action.VIEW_CONTACTS: run.options.get("called", ())}
    return all(
        any(is_within(path, scope) for scope in scopes(actor, action))
        for action, paths in told.items()
        for path in paths
    )


def cancel(session: Session, run_id: int, *, settings: Settings, actor: Actor, now: datetime) -> GeotagRun:
    """A run is asked to stop: at once if it still waits, at its next block if it runs; its files are taken away.

    Raises
    ------
    WrongState
        ``geotag.run_over``.
    """
    check_writing(actor)
    run = get(session, run_id, actor=actor)
    session.refresh(run, with_for_update=True)
    if run.state not in OPEN_STATES:
        raise WrongState("geotag.run_over", run_id=run_id, state=run.state)
    run.cancel_requested = True
    if run.state == "queued":
        run.state, run.finished_at = "cancelled", now
        session.flush()
        shutil.rmtree(folder_of(settings, run), ignore_errors=True)
    return run


def delete(session: Session, run_id: int, *, settings: Settings, actor: Actor, now: datetime) -> None:
    """A run and its files are taken away.

    Raises
    ------
    WrongState
        ``geotag.run_alive`` while it runs.
    """
    check_writing(actor)
    run = get(session, run_id, actor=actor)
    session.refresh(run, with_for_update=True)
    if run.state == "running":
        raise WrongState("geotag.run_alive", run_id=run_id, state=run.state)
    session.delete(run)
    session.flush()
    shutil.rmtree(folder_of(settings, run), ignore_errors=True)
    audit(session, "geotag.delete_run", subject=f"geotag_run:{run_id}", actor=actor, now=now)


# --- in the worker ----------------------------------------------------------------------------------------------------


def do_run(engine: Engine, run_id: int, *, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Do a queued run; nothing happens if it is not queued any more.

    An error that Wangge knows ends in the run's row, for its owner to read; a bug also goes on to the log.
    """
    run = _begin(engine, run_id, clock())
    if run is None:
        return
    try:
        summary = _tag(engine, run, settings, clock)
        _end(
            engine, run_id, now=clock(), state="done", progress_ratio=1.0, summary=_plain(summary), error_code=None,
            error_params=None,
        )  # fmt: skip
    except GridError as error:
        if error.code == "geotag.cancelled":
            _end(engine, run_id, now=clock(), state="cancelled")
        else:
            params = _plain(error.params | _named_as(error, run.file_name))
            _end(engine, run_id, now=clock(), state="failed", error_code=error.code, error_params=params)
    except Exception:
        log.exception("geotag run %s", run_id)
        _end(engine, run_id, now=clock(), state="failed", error_code="jobs.unexpected", error_params={})
        raise
    for path in folder_of(settings, run).glob("in*"):  # once it is noted that the run is over
        path.unlink(missing_ok=True)


def _named_as(error: GridError, name: str) -> dict[str, Any]:
    return {key: name for key in ("path", "file") if key in error.params}


def _begin(engine: Engine, run_id: int, now: datetime) -> GeotagRun | None:
    with unit_of_work(engine) as session:
        claimed = session.execute(
            update(GeotagRun)
            .where(GeotagRun.id == run_id, GeotagRun.state == "queued")
            .values(state="running", started_at=now, seen_at=now)
            .returning(GeotagRun.id)
        )
        if claimed.first() is None:
            return None
        run = session.get_one(GeotagRun, run_id)
        session.expunge(run)
        return run


def _end(engine: Engine, run_id: int, *, now: datetime, **values: Any) -> None:
    """Note that a run is over; a database that is away for a moment costs no work of hours."""
    for pause_s in (*END_PAUSES_S, None):
        try:
            with unit_of_work(engine) as session:
                session.execute(update(GeotagRun).where(GeotagRun.id == run_id).values(finished_at=now, **values))
            return
        except (Unavailable, OperationalError):
            if pause_s is None:
                raise
            time.sleep(pause_s)


def _tag(engine: Engine, run: GeotagRun, settings: Settings, clock: Callable[[], datetime]) -> dict[str, Any]:
    # Imported by the worker when a run begins: the HTTP service only defers, and is spared numba and its start.
    from gis.geotagging.addresses import resolver
    from gis.geotagging.cells import cells_of
    from gis.geotagging.running import Wish, geotag_file
    from gis.responsibility.responsibility import as_of

    wanted = Wanted(**run.options)
    at = clock() if wanted.at is None else datetime.fromisoformat(wanted.at)
    with unit_of_work(engine) as session:
        owner = session.get_one(UserAccount, run.owner_id)
        if not owner.is_active:
            raise NotAllowed("geotag.owner_locked", actor=owner.username)
        actor = accounts.actor_of(session, owner, now=clock())
        seen = scopes(actor, Action.VIEW_MAP)
        called = scopes(actor, Action.VIEW_CONTACTS) if wanted.phones else ()
        told = {**run.options, "seen": list(seen), "called": list(called)}
        session.execute(update(GeotagRun).where(GeotagRun.id == run.id).values(options=told))
    folder = folder_of(settings, run)
    source = next(folder.glob("in*"), None)
    if source is None:
        raise NotFound("geotag.file_elsewhere", run_id=run.id)
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
                update(GeotagRun)
                .where(GeotagRun.id == self._run_id)
                .values(progress_ratio=self._share, seen_at=self._clock())
                .returning(GeotagRun.cancel_requested)
            ).first()
        self._stop = wish is None or bool(wish.cancel_requested)


def sweep(engine: Engine, *, settings: Settings, now: datetime) -> None:
    """Take away what has expired, runs and files, and call lost what no worker tells of any more."""
    with unit_of_work(engine) as session:
        session.execute(
            update(GeotagRun)
            .where(GeotagRun.state == "running", GeotagRun.seen_at < now - LOST)
            .values(state="failed", error_code="jobs.interrupted", error_params={}, finished_at=now)
        )
        expired = session.scalars(
            select(GeotagRun).where(GeotagRun.expires_at <= now, GeotagRun.state != "running")
        ).all()
        for run in expired:
            session.delete(run)
    for run in expired:
        shutil.rmtree(folder_of(settings, run), ignore_errors=True)
    incoming = folder_of(settings)
    _clear(incoming, older_than=now - STRAY)
    # What was left by a row that went another way; another database of the same home may still count on younger ones.
    _clear(incoming.parent, older_than=now - timedelta(days=settings.geotag_days) - STRAY, but=incoming)


def _clear(folder: Path, *, older_than: datetime, but: Path | None = None) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            if path != but and path.stat().st_mtime < older_than.timestamp():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dict(params), default=str)))
