"""Files that are handed in, worked on by the queue, and swept away: what all kinds of them have in common.

Files lie in a folder of the run's own in the home folder; web processes and workers therefore share it. A run belongs
to the account that asked for it: nobody else sees it, and it is worked on with what that account may do then.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
from gis.models import FileRun, UserAccount
from gis.permissions import READING, Actor
from gis.settings import Settings

FOLDERS = {"geotag": "geotag", "division": "taking"}
"""In the home folder, by the kind of run."""
OPEN_STATES = ("queued", "running")
END_PAUSES_S = (1.0, 5.0, 20.0, 60.0)
STRAY = timedelta(days=1)
"""An upload that nobody took over is left alone for so long: it may be under way."""


@dataclass(frozen=True)
class Handed:
    """A file that was handed in, where it lies until it is taken over."""

    path: Path
    name: str

    @property
    def ending(self) -> str:
        """Of its name, in small letters."""
        return Path(self.name).suffix.lower()


def folder_of(settings: Settings, kind: str, run: FileRun | None = None) -> Path:
    """Where a run's files lie; without one, where uploads arrive."""
    return settings.home / FOLDERS[kind] / ("incoming" if run is None else run.folder)


def check_writing(actor: Actor) -> None:
    """Refuse a program whose token may only read.

    Raises
    ------
    NotAllowed
        ``file.read_only``.
    """
    if actor.limited_to is not None and actor.limited_to <= READING:
        raise NotAllowed("file.read_only", actor=actor.name)


def keep(
    session: Session,
    handed: Handed,
    *,
    kind: str,
    ending: str,
    options: Mapping[str, Any],
    settings: Settings,
    defer: Callable[[int], None],
    actor: Actor,
    now: datetime,
) -> FileRun:
    """A file is taken over and its run queued, in the session's transaction.

    Parameters
    ----------
    ending : str
        Of the result.
    defer : callable
        Queues the run by its number.

    Raises
    ------
    InvalidInput
        ``file.no_account``.
    """
    if actor.user_id is None:
        raise InvalidInput("file.no_account")
    run = FileRun(
        kind=kind,
        owner_id=actor.user_id,
        state="queued",
        folder=secrets.token_hex(8),  # databases may share a home, and count alike
        file_name=handed.name[:200],
        size_bytes=handed.path.stat().st_size,
        ending=ending,
        options=dict(options),
        progress_ratio=0.0,
        done=0,
        total=0,
        tries=0,
        created_at=now,
        expires_at=now + timedelta(days=settings.geotag_days),
    )
    session.add(run)
    session.flush()
    folder = folder_of(settings, kind, run)
    folder.mkdir(parents=True, mode=0o700)
    os.replace(handed.path, folder / f"in{handed.ending}")
    defer(run.id)
    audit(session, f"{kind}.request_run", subject=f"file_run:{run.id}", actor=actor, now=now)
    return run


def check_room(session: Session, *, kind: str, actor: Actor, most: int, states: tuple[str, ...] | None = None) -> None:
    """Refuse an account that keeps so many runs already.

    Raises
    ------
    Conflict
        ``file.too_many_runs``.
    """
    kept = own(actor, kind) if states is None else own(actor, kind).where(FileRun.state.in_(states))
    if len(session.scalars(kept).all()) >= most:
        raise Conflict("file.too_many_runs", most=most)


def own(actor: Actor, kind: str) -> Select[FileRun]:
    """The runs of an account, the newest first."""
    mine = select(FileRun).where(FileRun.owner_id == actor.user_id, FileRun.kind == kind)
    return mine.order_by(FileRun.id.desc())


def get(session: Session, run_id: int, *, kind: str, actor: Actor) -> FileRun:
    """A run of the caller's own.

    Raises
    ------
    NotFound
        ``file.no_run``, also for another's.
    """
    run = session.scalar(own(actor, kind).where(FileRun.id == run_id))
    if run is None:
        raise NotFound("file.no_run", run_id=run_id)
    return run


def describe(run: FileRun, *, language: str) -> dict[str, Any]:
    """What all kinds tell of a run, as plain values."""
    params, error = run.error_params or {}, None
    if run.error_code is not None:
        error = {"code": run.error_code, "params": params, "detail": text(run.error_code, params, language=language)}
    return {
        "id": run.id,
        "state": run.state,
        "file_name": run.file_name,
        "size_bytes": run.size_bytes,
        "progress_ratio": run.progress_ratio,
        "summary": run.summary,
        "error": error,
        "cancel_requested": run.cancel_requested,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "expires_at": run.expires_at,
    }


def cancel(session: Session, run_id: int, *, kind: str, settings: Settings, actor: Actor, now: datetime) -> FileRun:
    """A run is asked to stop: at once if it still waits, at its next step if it runs; its files are taken away.

    Raises
    ------
    WrongState
        ``file.run_over``.
    """
    check_writing(actor)
    run = get(session, run_id, kind=kind, actor=actor)
    session.refresh(run, with_for_update=True)
    if run.state not in OPEN_STATES:
        raise WrongState("file.run_over", run_id=run_id, state=run.state)
    run.cancel_requested = True
    if run.state == "queued":
        run.state, run.finished_at = "cancelled", now
        session.flush()
        shutil.rmtree(folder_of(settings, kind, run), ignore_errors=True)
    return run


def delete(session: Session, run_id: int, *, kind: str, settings: Settings, actor: Actor, now: datetime) -> None:
    """A run and its files are taken away.

    Raises
    ------
    WrongState
        ``file.run_alive`` while it runs.
    """
    check_writing(actor)
    run = get(session, run_id, kind=kind, actor=actor)
    session.refresh(run, with_for_update=True)
    if run.state == "running":
        raise WrongState("file.run_alive", run_id=run_id, state=run.state)
    session.delete(run)
    session.flush()
    shutil.rmtree(folder_of(settings, kind, run), ignore_errors=True)
    audit(session, f"{kind}.delete_run", subject=f"file_run:{run_id}", actor=actor, now=now)


# --- in the worker ----------------------------------------------------------------------------------------------------


def begin(engine: Engine, run_id: int, now: datetime) -> FileRun | None:
    """Claim a queued run; ``None`` if it is not queued any more."""
    with unit_of_work(engine) as session:
        claimed = session.execute(
            update(FileRun)
            .where(FileRun.id == run_id, FileRun.state == "queued")
            .values(state="running", started_at=now, seen_at=now, tries=FileRun.tries + 1)
            .returning(FileRun.id)
        )
        if claimed.first() is None:
            return None
        run = session.get_one(FileRun, run_id)
        session.expunge(run)
        return run


def end(engine: Engine, run: FileRun, *, now: datetime, **values: Any) -> None:
    """Note that a claimed run is over, unless another has taken it up since.

    A database that is away for a moment costs no work of hours.
    """
    mine = update(FileRun).where(FileRun.id == run.id, FileRun.tries == run.tries)
    for pause_s in (*END_PAUSES_S, None):
        try:
            with unit_of_work(engine) as session:
                session.execute(mine.values(finished_at=now, **values))
            return
        except (Unavailable, OperationalError):
            if pause_s is None:
                raise
            time.sleep(pause_s)


def owner_of(session: Session, run: FileRun, *, now: datetime) -> Actor:
    """Whoever asked for a run, with what that account may do now.

    Raises
    ------
    NotAllowed
        ``file.owner_locked``.
    """
    owner = session.get_one(UserAccount, run.owner_id)
    if not owner.is_active:
        raise NotAllowed("file.owner_locked", actor=owner.username)
    return accounts.actor_of(session, owner, now=now)


def source_of(settings: Settings, run: FileRun) -> Path:
    """The file that was handed in.

    Raises
    ------
    NotFound
        ``file.elsewhere``.
    """
    source = next(folder_of(settings, run.kind, run).glob("in*"), None)
    if source is None:
        raise NotFound("file.elsewhere", run_id=run.id)
    return source


def params_of(error: GridError, run: FileRun) -> dict[str, Any]:
    """The parameters of an error as JSON holds them, with the file's own name in the place of the one it has here."""
    return plain(error.params | named(error, run.file_name))


def named(error: GridError, name: str) -> dict[str, Any]:
    """What of an error's parameters is the file, by its own name."""
    return {key: name for key in ("path", "file") if key in error.params}


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON holds them."""
    return dict(json.loads(json.dumps(dict(params), default=str)))


def sweep(engine: Engine, *, settings: Settings, now: datetime) -> None:
    """Take away what has expired, runs and files."""
    with unit_of_work(engine) as session:
        expired = session.scalars(select(FileRun).where(FileRun.expires_at <= now, FileRun.state != "running")).all()
        for run in expired:
            session.delete(run)
    for run in expired:
        shutil.rmtree(folder_of(settings, run.kind, run), ignore_errors=True)
    for kind in FOLDERS:
        incoming = folder_of(settings, kind)
        _clear(incoming, older_than=now - STRAY)
        # What was left by a row that went another way; another database of the same home may still count on younger
        # ones.
        _clear(incoming.parent, older_than=now - timedelta(days=settings.geotag_days) - STRAY, but=incoming)


def _clear(folder: Path, *, older_than: datetime, but: Path | None = None) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            if path != but and path.stat().st_mtime < older_than.timestamp():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
