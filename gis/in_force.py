"""Which plans and whose posts hold at an instant, put into keys; and a thread that tells when that changes.

Equal keys mean equal answers, in every process on every machine, so what is made from the database is kept under
them. The keys cost two small queries: plans in force by their links, people by the notes that triggers leave
(`gis.models.ChangeNote`) and by the last date at which a post began or ended.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from gis.db import unit_of_work
from gis.errors import GridError
from gis.notices import Notices

log = logging.getLogger("wangge.in_force")

POLL_S = 5.0
"""So late at most is a change seen whose notice was lost."""
AHEAD_S = 900.0
"""So long before its date the version of the next one is made."""
_LONGEST_PAUSE_S = 300.0
_STOP_S = 2.0
PLAN_CHANNEL, PEOPLE_CHANNEL = "wangge_plan", "wangge_people"


@dataclass(frozen=True, slots=True)
class InForce:
    """What governs at an instant.

    Attributes
    ----------
    at : datetime
    links : tuple of (int, int)
        Community and the plan that governs it, by community.
    cells_key, people_key : str
        Names of what is made from the cells, and from people and areas; 24 hexadecimal digits. A people key belongs
        to one cells key.
    since, next_change : datetime or None
        The last date at which a plan or a post began or ended, and the next one known.
    """

    at: datetime
    links: tuple[tuple[int, int], ...]
    cells_key: str
    people_key: str
    since: datetime | None
    next_change: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether the same governs at another instant, as far as is known."""
        return (self.since is None or self.since <= at) and (self.next_change is None or at < self.next_change)

    @property
    def version(self) -> str:
        """Name of the whole, as answers carry it."""
        return f"{self.cells_key[:12]}.{self.people_key[:12]}"


def in_force(session: Session, at: datetime) -> InForce:
    """What governs at an instant, in the past, at present, or as far as it is settled in the future."""
    rows = session.execute(_LINKS, {"at": at}).all()
    marks = session.execute(_MARKS, {"at": at}).one()
    cells_key = _digest("cells", marks.database, *((row.community_id, row.plan_id, row.published_at) for row in rows))
    return InForce(
        at=at,
        links=tuple((row.community_id, row.plan_id) for row in rows),
        cells_key=cells_key,
        people_key=_digest("people", cells_key, marks.notes, marks.newest_note, marks.sum_of_notes, marks.last_change),
        since=marks.since,
        next_change=marks.next_change,
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


Listener = Callable[[InForce], None]


@dataclass(frozen=True, slots=True)
class _Failure:
    """How often a version could not be taken by a listener, and when (`time.monotonic`) it is tried again."""

    keys: tuple[str, str]
    times: int
    again_at: float


class Keeper:
    """Tells those who asked whenever another version is in force; a version stays while the database is away.

    It looks when a notice comes, when the next date comes, and every few seconds whatever comes.

    Parameters
    ----------
    engine : Engine
    notices : Notices
        Must be running beside; the keeper does not start it.
    clock : callable
        Gives the present, aware.
    poll_s : float
    """

    def __init__(
        self,
        engine: Engine,
        notices: Notices,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_s: float = POLL_S,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._poll_s = poll_s
        self._listeners: dict[Listener, tuple[str, str] | None] = {}
        self._last: set[Listener] = set()
        self._failures: dict[Listener, _Failure] = {}
        self._ahead: dict[Listener, tuple[str, str] | None] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._is_away = False
        self.present: InForce | None = None
        for channel in (PLAN_CHANNEL, PEOPLE_CHANNEL):
            notices.subscribe(channel, lambda _: self.look(), self.look)

    def on_change(self, listener: Listener, *, is_last: bool = False) -> None:
        """Have a function called with what is in force now and whenever that changes: beside the others, or in the
        keeper's own thread when all others are through.

        One that raises is called again with the same at the next look, then after pauses that grow to five minutes.
        """
        with self._lock:
            self._listeners[listener] = None
            if is_last:
                self._last.add(listener)
        self.look()

    def ahead(self, listener: Listener) -> None:
        """Have a function called with what will be in force from the next date on, when that is near.

        It makes what takes long, so that nobody waits for it on the day; if it raises, the day makes it.
        """
        with self._lock:
            self._ahead[listener] = None
        self.look()

    def look(self) -> None:
        """Look soon, without waiting for it."""
        self._woken.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep watch for as long as the context is open."""
        self._stopping.clear()
        thread = threading.Thread(target=self._run, name="wangge-keeper", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._woken.set()
            thread.join(_STOP_S)  # a daemon: what it still builds is given up

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            self.look_now()
            self._woken.wait(self._pause_s())

    def look_now(self) -> None:
        """Look in this thread, and tell the listeners before it returns."""
        try:
            with unit_of_work(self._engine) as session:
                found = in_force(session, self._clock())
        except (GridError, SQLAlchemyError) as error:
            if not self._is_away:
                log.warning("cannot ask the database what is in force (%s); the last answer stays", error)
            self._is_away = True
            return
        self._is_away = False
        self.present = found
        keys = (found.cells_key, found.people_key)
        with self._lock:
            waiting = [one for one, told in self._listeners.items() if told != keys and not self._rests(one, keys)]
        # Side by side, for of a city each makes something that takes a core half a minute.
        self._tell_all([one for one in waiting if one not in self._last], found)
        for listener in waiting:
            if listener in self._last:
                self._tell(listener, found)
        if found.next_change is not None and found.next_change - found.at <= timedelta(seconds=AHEAD_S):
            self._look_ahead(found.next_change)

    def _rests(self, listener: Listener, keys: tuple[str, str]) -> bool:
        failure = self._failures.get(listener)
        return failure is not None and failure.keys == keys and time.monotonic() < failure.again_at

    def _tell_all(self, listeners: Sequence[Listener], found: InForce) -> None:
        threads = [threading.Thread(target=self._tell, args=(one, found), daemon=True) for one in listeners[1:]]
        for thread in threads:
            thread.start()
        for listener in listeners[:1]:
            self._tell(listener, found)
        for thread in threads:
            thread.join()

    def _tell(self, listener: Listener, found: InForce) -> None:
        keys = (found.cells_key, found.people_key)
        try:
            listener(found)
        except Exception:  # one listener's fault must not keep the others from the new version
            before = self._failures.get(listener)
            times = 1 if before is None or before.keys != keys else before.times + 1
            pause_s = min(self._poll_s * (2 ** min(times - 1, 20) - 1), _LONGEST_PAUSE_S)
            self._failures[listener] = _Failure(keys, times, time.monotonic() + pause_s)
            log.exception("what is in force changed, and a listener failed; it is asked again in %.0f s", pause_s)
            return
        self._failures.pop(listener, None)
        with self._lock:
            self._listeners[listener] = keys

    def _look_ahead(self, at: datetime) -> None:
        try:
            with unit_of_work(self._engine) as session:
                found = in_force(session, at)
        except (GridError, SQLAlchemyError):
            return
        keys = (found.cells_key, found.people_key)
        with self._lock:
            waiting = [one for one, made in self._ahead.items() if made != keys]
            self._ahead.update(dict.fromkeys(waiting, keys))
        for listener in waiting:
            try:
                listener(found)
            except Exception:
                log.exception("what comes into force at %s cannot be made ahead", at)

    def _pause_s(self) -> float:
        due = self.present.next_change if self.present else None
        if due is None:
            return self._poll_s
        return min(max((due - self._clock()).total_seconds(), 0.001), self._poll_s)


_LINKS = text(
    """
    SELECT link.community_id, link.plan_id, plan.published_at
    FROM plan_community AS link
    INNER JOIN plan ON link.plan_id = plan.id
    WHERE link.in_force_during @> CAST(:at AS timestamptz)
    ORDER BY link.community_id
    """
)

# Both ends of the ranges stand in an index, so each date of the posts is one step down a tree. Notes are added up
# because they may be committed out of the order of their ids.
_MARKS = text(
    """
    WITH edge AS MATERIALIZED (
        SELECT of_range.edge
        FROM plan_community
        CROSS JOIN LATERAL (VALUES (lower(in_force_during)), (upper(in_force_during))) AS of_range (edge)
    ),

    post AS MATERIALIZED (
        SELECT
            greatest(
                (SELECT max(lower(valid_during)) FROM assignment WHERE lower(valid_during) <= CAST(:at AS timestamptz)),
                (SELECT max(upper(valid_during)) FROM assignment WHERE upper(valid_during) <= CAST(:at AS timestamptz))
            ) AS last_change,
            least(
                (SELECT min(lower(valid_during)) FROM assignment WHERE lower(valid_during) > CAST(:at AS timestamptz)),
                (SELECT min(upper(valid_during)) FROM assignment WHERE upper(valid_during) > CAST(:at AS timestamptz))
            ) AS next_change
    )

    SELECT
        system.system_identifier::text || '.' || base.oid::text AS database,
        note.notes, note.newest_note, note.sum_of_notes, post.last_change,
        greatest(post.last_change, (SELECT max(edge) FROM edge WHERE edge <= CAST(:at AS timestamptz))) AS since,
        least(post.next_change, (SELECT min(edge) FROM edge WHERE edge > CAST(:at AS timestamptz))) AS next_change
    FROM post
    CROSS JOIN (
        SELECT count(*) AS notes, max(id) AS newest_note, coalesce(sum(id), 0)::text AS sum_of_notes FROM change_note
    ) AS note
    CROSS JOIN pg_control_system() AS system
    INNER JOIN pg_database AS base ON base.datname = current_database()
    """
)
