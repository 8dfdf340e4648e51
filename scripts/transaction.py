"""One transaction in the database that the settings name; what most commands work in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from gis import db, embedded
from scripts.program import Program


@contextmanager
def transaction(program: Program) -> Iterator[Session]:
    """Yield a session that commits at the end, or undoes everything if an error passes."""
    engine = db.make_engine(embedded.database_url(program.settings))
    try:
        with db.unit_of_work(engine) as session:
            yield session
    finally:
        engine.dispose()
