"""Server-sent events: what happens to incidents, to each listener what lies in their areas.

One LISTEN connection a process hears ids; the changed incidents are read once, encoded once, and put into the queue of
every listener who may see them. Queues are bounded: a listener too slow for the stream is told to read the list again
(``resync``) and costs others nothing. The id of an event is that of the log entry, so ``Last-Event-ID`` replays what a
reconnecting page has missed. Events carry present states: to see one twice is harmless, and replay begins a little
before the given id because log entries may be committed out of the order of their ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio.to_thread
import orjson
import psycopg
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from gis import listing
from gis.db import unit_of_work
from gis.permissions import EVERYWHERE, is_within

log = logging.getLogger("wangge.live")

QUEUE_LENGTH = 500
HEARTBEAT_S = 12.0
RECHECK_S = 30.0
REPLAY_MARGIN = 100
REPLAY_LIMIT = 2000
_PATIENCE_S = (0.5, 1.0, 2.0, 5.0)


@dataclass(eq=False)
class Listener:
    """One open stream: the areas it may see, and what waits to be sent."""

    scopes: tuple[str, ...]
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))
    is_behind: bool = False

    def offer(self, message: bytes) -> None:
        """Put a message into the queue; if it is full, empty it and note that the listener must read again."""
        if self.is_behind:
            return
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.is_behind = True


class Broadcaster:
    """Hears of changes from the database and tells the listeners of this process.

    Parameters
    ----------
    url : str
        ``postgresql://…`` of the database.
    """

    def __init__(self, url: str) -> None:
        self._conninfo = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._listeners: set[Listener] = set()
        self._incidents: set[int] = set()
        self._plans: set[int] = set()
        self._woken = asyncio.Event()
        self._last_event_id: int | None = None
        self.is_listening = asyncio.Event()

    @asynccontextmanager
    async def running(self, engine: Engine) -> AsyncIterator[None]:
        """Listen for as long as the context is open."""
        tasks = [asyncio.create_task(self._listen(engine)), asyncio.create_task(self._tell(engine))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    @asynccontextmanager
    async def listener(self, scopes: tuple[str, ...]) -> AsyncIterator[Listener]:
        """A listener that hears of changes in the given areas until the context closes."""
        one = Listener(scopes)
        self._listeners.add(one)
        try:
            yield one
        finally:
            self._listeners.discard(one)

    async def _listen(self, engine: Engine) -> None:
        failures = 0
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await connection.execute("LISTEN wangge_incident")
                    await connection.execute("LISTEN wangge_plan")
                    await self._catch_up(engine)
                    failures = 0
                    self.is_listening.set()
                    async for notice in connection.notifies():
                        self._note(notice.channel, notice.payload)
            except (psycopg.Error, OperationalError, OSError) as error:
                self.is_listening.clear()
                pause_s = _PATIENCE_S[min(failures, len(_PATIENCE_S) - 1)]
                log.warning("lost the database's notices (%s), again in %s s", type(error).__name__, pause_s)
                failures += 1
                await asyncio.sleep(pause_s)

    def _note(self, channel: str, payload: str) -> None:
        if payload.isascii() and payload.isdigit():
            (self._plans if channel == "wangge_plan" else self._incidents).add(int(payload))
            self._woken.set()

    async def _catch_up(self, engine: Engine) -> None:
        """After a gap: whatever the log has gained since the last entry told."""

        def missed() -> tuple[int, list[int]]:
            with unit_of_work(engine) as session:
                newest = listing.newest_event_id(session)
                if self._last_event_id is None:
                    return newest, []
                since = self._last_event_id - REPLAY_MARGIN
                return newest, listing.incidents_since(session, event_id=since, limit=REPLAY_LIMIT)

        newest, ids = await anyio.to_thread.run_sync(missed)
        if self._last_event_id is None:
            self._last_event_id = newest
        if ids:
            self._incidents.update(ids)
            self._woken.set()

    async def _tell(self, engine: Engine) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            incidents, self._incidents = self._incidents, set()
            plans, self._plans = self._plans, set()
            try:
                changes = await anyio.to_thread.run_sync(_read, engine, incidents, plans)
            except OperationalError:
                self._incidents |= incidents
                self._plans |= plans
                self._woken.set()
                await asyncio.sleep(_PATIENCE_S[0])
                continue
            self._spread(changes)

    def _spread(self, changes: Iterable[listing.Change]) -> None:
        for change in changes:
            if change.event_id is not None:
                self._last_event_id = max(self._last_event_id or 0, change.event_id)
            message = encode(change)
            for listener in self._listeners:
                if _reaches(listener.scopes, change.path):
                    listener.offer(message)


def _read(engine: Engine, incidents: set[int], plans: set[int]) -> list[listing.Change]:
    with unit_of_work(engine) as session:
        changes = listing.incident_changes(session, incident_ids=sorted(incidents)) if incidents else []
        return changes + (listing.plan_changes(session, plan_ids=sorted(plans)) if plans else [])


def encode(change: listing.Change) -> bytes:
    """One change as an event of the stream."""
    head = f"id: {change.event_id}\n" if change.event_id is not None else ""
    return f"{head}event: {change.kind}\ndata: ".encode() + orjson.dumps(change.data) + b"\n\n"


async def stream(
    broadcaster: Broadcaster,
    engine: Engine,
    *,
    scopes: tuple[str, ...],
    since: int | None,
    still_allowed: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """The events of one listener, from ``since`` (exclusive) on, until they leave or lose their right to listen.

    Parameters
    ----------
    scopes : tuple of str
        Tree paths under which the listener may see incidents.
    since : int or None
        ``Last-Event-ID``.
    still_allowed : callable
        Asked in a thread every `RECHECK_S`: a withdrawn grant or a sign-out ends the stream.
    """
    async with broadcaster.listener(scopes) as listener:
        yield b"retry: 2000\n: listening\n\n"
        if since is not None:
            for change in await anyio.to_thread.run_sync(_replay, engine, scopes, since):
                yield encode(change)
        checked_at = asyncio.get_running_loop().time()
        while True:
            try:
                yield await asyncio.wait_for(listener.queue.get(), HEARTBEAT_S)
            except TimeoutError:
                yield b": still here\n\n"
            if listener.is_behind and listener.queue.empty():
                listener.is_behind = False
                yield b"event: resync\ndata: {}\n\n"
            if asyncio.get_running_loop().time() - checked_at > RECHECK_S:
                checked_at = asyncio.get_running_loop().time()
                if not await anyio.to_thread.run_sync(still_allowed):
                    yield b"event: signed_out\ndata: {}\n\n"
                    return


def _replay(engine: Engine, scopes: tuple[str, ...], since: int) -> list[listing.Change]:
    with unit_of_work(engine) as session:
        ids = listing.incidents_since(session, event_id=max(0, since - REPLAY_MARGIN), limit=REPLAY_LIMIT)
        changes = listing.incident_changes(session, incident_ids=ids)
    return [change for change in changes if _reaches(scopes, change.path)]


def _reaches(scopes: tuple[str, ...], path: str | None) -> bool:
    """Whether a listener may hear of what happens at a path; in no area at all, only those who see everywhere."""
    if path is None:
        return EVERYWHERE in scopes
    return any(is_within(path, scope) for scope in scopes)
