"""Who is at a piece of long work, as a lock in the database: a process that dies has let go of it.

A lock has a kind (a number of our own) and the number of what it is for, and is let go at the end of the transaction
that took it.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

SURVEY = 7_306_812
TAKING = 7_306_816


def wait_for(session: Session, kind: int, number: int) -> None:
    """Take a lock; wait for whoever has it, as long as the transaction's ``lock_timeout`` allows."""
    session.execute(text("SELECT pg_advisory_xact_lock(:kind, :number)"), _named(kind, number))


def take(session: Session, kind: int, number: int) -> bool:
    """Take a lock, unless somebody has it."""
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:kind, :number)"), _named(kind, number)))


def is_held(session: Session, kind: int, number: int | None = None) -> bool:
    """Whether somebody has a lock at this moment; without a number, any of its kind."""
    known = {"kind": kind, "number": None if number is None else number % 2**31}
    return bool(session.scalar(_HELD, known))


def _named(kind: int, number: int) -> dict[str, int]:
    return {"kind": kind, "number": number % 2**31}


_HELD = text(
    """
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND CAST(classid AS bigint) = :kind
          AND (CAST(:number AS bigint) IS NULL OR CAST(objid AS bigint) = CAST(:number AS bigint))
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
    """
)
