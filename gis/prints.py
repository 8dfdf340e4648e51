"""Prints of plans: a few pages are made while one waits, a whole town's by the queue, fetched by whoever asked.

Files lie in a folder of the print's own in ``home/prints``; web processes and workers therefore share the home folder.
What is asked and how it ended are files there too, so that nothing has to be told twice. A print shows what its asker
may see when it is made, and is cleared away after a day.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis import accounts, plan_review
from gis.db import audit, unit_of_work
from gis.errors import GridError, InvalidInput, NotAllowed, NotFound, Unavailable
from gis.models import UserAccount
from gis.permissions import SYSTEM, Actor
from gis.printing.paper import Paper
from gis.settings import Settings

log = logging.getLogger("wangge.prints")

KINDS = ("atlas", "boards", "report")
PAGES_AT_ONCE = 8
"""Grids that are printed while the asker waits: a third of a second each."""
PAGES_TOGETHER = 24
"""Pages laid out at a time, which bounds the memory of a print."""
KEPT_S = 24 * 3600.0
LOST_S = 30 * 60.0
"""A print that nobody has finished for so long is lost."""
_TICKET = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be printed.

    Attributes
    ----------
    kind : {"atlas", "boards", "report"}
    paper, orientation : str
        As `gis.printing.paper.Paper`.
    cells : tuple of int or None
        Ids of the grids; all that the asker may see if none are named.
    language : {"zh", "en"}
    phones : bool
    """

    kind: str
    paper: str = "A4"
    orientation: str = "landscape"
    cells: tuple[int, ...] | None = None
    language: str = "zh"
    phones: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A print that the queue makes."""

    ticket: str
    state: str
    done: int = 0
    total: int = 0


def make(session: Session, plan_id: int, order: Order, *, settings: Settings, actor: Actor, at: datetime) -> bytes:
    """Make a print now, however long it takes.

    Raises
    ------
    NotFound
        ``plan.unknown``, ``print.no_such_cell``.
    NotAllowed
        A report by who may not see all of the plan; phones by who may not see contacts.
    InvalidInput
        ``print.bad_paper``, ``print.no_cells``, ``print.bad_kind``.
    Unavailable
        ``print.no_library``, ``print.no_font``.
    """
    # A town's pages take longer to lay out than a transaction may be idle.
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '30min'"))
    return _prepared(session, plan_id, order, settings=settings, actor=actor, at=at)(_nothing)


def _nothing(_done: int, _total: int) -> None:
    pass


def _prepared(
    session: Session, plan_id: int, order: Order, *, settings: Settings, actor: Actor, at: datetime
) -> Callable[[Callable[[int, int], None]], bytes]:
    """All that the database knows of a print; what comes back lays it out without it, telling how far it is."""
    from gis.printing import documents, gathering, pdf  # slow to load, and few want it

    paper = _checked(order)
    if order.kind == "report":
        plan_review.require_whole(session, plan_id, actor=actor)
        page = documents.report(plan_review.report_html(session, plan_id, language=order.language))
        return lambda _progress: pdf.to_pdf(page)
    book = gathering.gather(session, plan_id, actor=actor, at=at, phones=order.phones, cells=order.cells)
    chosen = list(range(len(book.cells))) if order.cells is None else book.numbers(order.cells)
    look = documents.Look(paper, order.language, order.phones, settings.place_url)
    if order.phones:
        audit(session, "plan.print_phones", subject=f"plan:{plan_id}", actor=actor, now=at)

    def laid_out(progress: Callable[[int, int], None]) -> bytes:
        pieces = []
        for document in documents.pieces(order.kind, book, look, chosen=chosen, together=PAGES_TOGETHER):
            pieces.append(pdf.to_pdf(document))
            progress(min(len(pieces) * PAGES_TOGETHER, len(chosen)), len(chosen))
        return pdf.joined(pieces)

    return laid_out


def _checked(order: Order) -> Paper:
    if order.kind not in KINDS:
        raise InvalidInput("print.bad_kind", kind=order.kind, known=list(KINDS))
    return Paper(order.paper, order.orientation)


def is_short(session: Session, plan_id: int, order: Order, *, actor: Actor) -> bool:
    """Whether a print is made while one waits."""
    if order.kind == "report":
        return True
    if order.cells is not None:
        return len(set(order.cells)) <= PAGES_AT_ONCE
    from gis.printing import gathering

    return gathering.count(session, plan_id, actor=actor) <= PAGES_AT_ONCE


def request(
    session: Session,
    plan_id: int,
    order: Order,
    *,
    settings: Settings,
    defer: Callable[[str], None],
    actor: Actor,
    now: datetime,
) -> Waiting:
    """A print is noted and queued, in the session's transaction.

    Parameters
    ----------
    defer : callable
        Queues it by its ticket.

    Raises
    ------
    As `make`, as far as it can be seen beforehand.
    """
    from gis.printing import gathering

    _checked(order)
    gathering.check(session, plan_id, cells=order.cells, actor=actor, phones=order.phones)
    sweep(settings)
    ticket = secrets.token_hex(16)
    folder = _folder(settings, ticket)
    try:
        folder.mkdir(parents=True, mode=0o700)
        asked = {"plan": plan_id, "order": asdict(order), "user": actor.user_id, "at": now.isoformat()}
        (folder / "order.json").write_text(json.dumps(asked), encoding="utf-8")
    except OSError as error:
        raise Unavailable("export.no_room", reason=str(error.strerror)) from error
    defer(ticket)
    return Waiting(ticket, "queued")


def look(plan_id: int, ticket: str, *, settings: Settings, actor: Actor) -> Path | Waiting:
    """Where a print lies, or how far it is.

    Raises
    ------
    NotFound
        ``print.unknown``, also for another's.
    Unavailable, or what the making of it raised.
    """
    folder = _folder(settings, ticket)
    asked = _read(folder / "order.json")
    if asked is None or asked["user"] != actor.user_id or asked["plan"] != plan_id:
        raise NotFound("print.unknown", plan=plan_id)
    if (folder / "out.pdf").is_file():
        return folder / "out.pdf"
    failed = _read(folder / "failed.json")
    if failed is not None:
        raise Unavailable("print.failed", reason=failed["code"])
    if time.time() - _touched(folder) > LOST_S:
        raise Unavailable("print.failed", reason="print.lost")
    far = _read(folder / "progress.json")
    return Waiting(ticket, "queued" if far is None else "running", **(far or {}))


def file_name(plan_id: int, kind: str) -> str:
    """What a print is called when it is saved."""
    return f"{kind}_{plan_id}.pdf"


def sweep(settings: Settings) -> None:
    """Clear away what is older than a day."""
    parent = settings.home / "prints"
    for folder in parent.glob("*") if parent.is_dir() else ():
        if time.time() - _touched(folder) > KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)


def do(engine: Engine, ticket: str, *, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Make a print that was asked for; what Wangge knows to be wrong is told to its asker, a bug also to the log."""
    folder = _folder(settings, ticket)
    asked = _read(folder / "order.json")
    if asked is None or (folder / "out.pdf").exists():
        return
    try:
        with unit_of_work(engine) as session:
            lay_out = _prepared(
                session, asked["plan"], _order(asked["order"]), settings=settings,
                actor=_actor(session, asked["user"], clock()), at=datetime.fromisoformat(asked["at"]).astimezone(UTC),
            )  # fmt: skip
        data = lay_out(lambda done, total: _write(folder / "progress.json", {"done": done, "total": total}))
        (folder / "out.part").write_bytes(data)
        os.replace(folder / "out.part", folder / "out.pdf")
    except GridError as error:
        _write(folder / "failed.json", {"code": error.code})
    except Exception:
        log.exception("print %s", ticket)
        _write(folder / "failed.json", {"code": "jobs.unexpected"})
        raise


def _actor(session: Session, user_id: int | None, now: datetime) -> Actor:
    if user_id is None:
        return SYSTEM
    owner = session.get_one(UserAccount, user_id)
    if not owner.is_active:
        raise NotAllowed("file.owner_locked", actor=owner.username)
    return accounts.actor_of(session, owner, now=now)


def _order(values: Mapping[str, Any]) -> Order:
    cells = values["cells"]
    return Order(**{**values, "cells": None if cells is None else tuple(cells)})


def _folder(settings: Settings, ticket: str) -> Path:
    if not _TICKET.fullmatch(ticket):
        raise NotFound("print.unknown", plan=None)
    return settings.home / "prints" / ticket


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, value: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value), encoding="utf-8")
    os.replace(part, path)


def _touched(folder: Path) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return time.time()
