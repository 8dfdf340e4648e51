"""What is made of a version, from one snapshot of the database: here, or in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis.db import make_engine, unit_of_work
from gis.errors import Conflict
from gis.in_force import InForce, in_force
from gis.spreading import apart

LARGE_FROM = 100
"""Communities from which on a process of one's own is worth its start."""

Write = Callable[[Session, Path, InForce], None]
"""Fills an empty folder from the database with something of a version; can be pickled."""


def maker(engine: Engine, found: InForce, write: Write) -> Callable[[Path], None]:
    """What `gis.artifacts.ArtifactStore.get` calls to fill a version's folder.

    Of a city it works in a process of its own: it takes minutes of a core, in which requests are to be answered.

    Raises
    ------
    Conflict
        ``responsibility.moved``, when it is called, if by then the database says other than ``found``.
    """

    def make(folder: Path) -> None:
        if len(found.links) >= LARGE_FROM:
            apart(_make_apart, engine.url.render_as_string(hide_password=False), found, write, folder)
        else:
            _make(engine, found, write, folder)

    return make


def _make_apart(url: str, found: InForce, write: Write, folder: Path) -> None:
    engine = make_engine(url, pool_size=1)
    try:
        _make(engine, found, write, folder)
    finally:
        engine.dispose()


def _make(engine: Engine, found: InForce, write: Write, folder: Path) -> None:
    with unit_of_work(engine) as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        session.execute(text("SET LOCAL statement_timeout = '10min'"))
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # what takes long is made within
        same = in_force(session, found.at)
        if (same.cells_key, same.people_key) != (found.cells_key, found.people_key):
            raise Conflict("responsibility.moved")
        write(session, folder, found)
