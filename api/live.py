"""News of incidents and publications, told to each listener of this process what lies in their areas.

The database numbers news in the order of commits (`gis.models.LiveEvent`). A notice wakes the one reader of a process;
what it reads is encoded once, kept for a while, and offered to all who may see it. So ``Last-Event-ID`` replays exactly
what was missed, without asking the database; whoever missed more than is kept is told to read the list again
(``resync``). Every few seconds the reader looks without a notice: a lost one costs time, never news.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import orjson
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message

from api.live_listener import Listener, Rights, body
from gis import listing
from gis.db import unit_of_work
from gis.errors import GridError, Unavailable
from gis.listing import Change, News, reaches
from gis.notices import Notices

log = logging.getLogger("wangge.live")

NEWS_CHANNEL, ACCESS_CHANNEL = "wangge_live", "wangge_access"
HEARTBEAT_S = 12.0
RECHECK_S = 60.0
"""So late at most is a right that ended by itself, by its date or by idling, noticed; of other ends notices tell."""
POLL_S = 5.0
REPLAY_LIMIT = 2000
"""News kept for those who were away; also the most that are read at once."""
MAX_LISTENERS = 10_000
_AT_A_TIME = 250
"""Listeners written to before others get their turn."""
_PATIENCE_S = 1.0
TELLING_S = 0.03
"""So long at most the request that made news waits until they are told."""


@dataclass(frozen=True, slots=True)
class Told:
    """One piece of news, encoded: as an event of the stream, and as an item of a polled answer."""

    number: int
    paths: tuple[str | None, ...]
    message: Message
    item: bytes


class Broadcaster:
    """Reads news and tells the listeners of this process.

    Parameters
    ----------
    read : callable
        ``read(after, limit)`` gives news from the database; called in a thread of its own, so that busy routes never
        keep news waiting.
    """

    def __init__(self, read: Callable[[int, int], News]) -> None:
        self._read = read
        self._groups: dict[tuple[str, ...], set[Listener]] = {}
        self._kept: deque[Told] = deque()
        self._floor = 0  # everything above this number is kept
        self._in_force: bytes | None = None
        self._woken = asyncio.Event()
        self._read_once = asyncio.Event()
        self._changed_users: set[int] = set()
        self._all_changed = False
        self._told_to = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rounds = 0
        self._round_over = threading.Condition()
        self.newest = 0

    @asynccontextmanager
    async def running(self, notices: Notices) -> AsyncIterator[None]:
        """Tell news for as long as the context is open."""
        self._loop = asyncio.get_running_loop()
        notices.subscribe(NEWS_CHANNEL, lambda _: self._from_thread(self._woken.set), self._gap)
        notices.subscribe(ACCESS_CHANNEL, self._access_changed, self._gap)
        with ThreadPoolExecutor(1, "wangge-live") as reader, ThreadPoolExecutor(1, "wangge-rights") as asker:
            tasks = [
                self._loop.create_task(work) for work in (self._tell(reader), self._recheck_all(asker), self._beat())
            ]
            try:
                yield
            finally:
                self._loop = None
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task

    async def ready(self) -> None:
        """Wait until the news so far have been read."""
        await self._read_once.wait()

    def count(self) -> int:
        """Listeners of this process."""
        return sum(map(len, self._groups.values()))

    @contextmanager
    def joined(self, listener: Listener) -> Iterator[None]:
        """Somebody hears what happens until the context closes."""
        self._groups.setdefault(listener.scopes, set()).add(listener)
        try:
            yield
        finally:
            self._leave(listener)

    @contextmanager
    def told_first(self) -> Iterator[None]:
        """Round a commit in a request's thread: go on when its news have been told, or after `TELLING_S`.

        Whatever else a request does with Python takes the interpreter away from the loop, and each of a thousand
        writes would wait for it anew.
        """
        with self._round_over:
            before = self._rounds
        yield
        if self._loop is not None and self._groups:
            with self._round_over:
                self._round_over.wait_for(lambda: self._rounds != before, TELLING_S)

    def require_room(self) -> None:
        """Refuse one listener more than the process is made for.

        Raises
        ------
        Unavailable
            ``live.too_many``.
        """
        if self.count() >= MAX_LISTENERS:
            raise Unavailable("live.too_many", limit=MAX_LISTENERS)

    def since(self, number: int, scopes: Sequence[str]) -> list[Told] | None:
        """What somebody has missed after a number; ``None`` if that is not known any more, or never was."""
        if not self._floor <= number <= self.newest:
            return None
        missed = []
        for told in reversed(self._kept):
            if told.number <= number:
                break
            if reaches(scopes, told.paths):
                missed.append(told)
        return missed[::-1]

    async def caught_up(self, number: int) -> None:
        """Wait until news have been read up to a number that another process has told already.

        After a read that does not find it there is no such number.
        """
        for _ in range(2):  # the read that is under way may have begun too early
            if number > self.newest and self._loop is not None:
                self._read_once.clear()
                self._woken.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._read_once.wait()

    def hello(self, number: int | None = None) -> bytes:
        """How a stream begins: the number that it goes on from, by default the newest, and what is in force."""
        known = self.newest if number is None else number
        in_force = b"" if self._in_force is None else _event("in_force", self._in_force)
        return b'retry: 2000\nid: %d\nevent: ready\ndata: {"last_event":%d}\n\n' % (known, known) + in_force

    def resync_message(self) -> Message:
        """Tells a listener to read the list again, and where to go on from."""
        return body(b"id: %d\n" % self.newest + _event("resync", b"{}"))

    def now_in_force(self, version: str) -> None:
        """Tell that this process answers by another version from now on; may be called in any thread."""
        self._from_thread(self._tell_in_force, orjson.dumps({"version": version}))

    def _tell_in_force(self, data: bytes) -> None:
        if data != self._in_force:
            self._in_force = data
            message = body(_event("in_force", data))
            for listener in self._everybody():
                listener.offer(message)

    def _from_thread(self, call: Callable[..., None], *given: object) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(call, *given)

    def _gap(self) -> None:
        self._from_thread(self._note_access, None)

    def _access_changed(self, payload: str) -> None:
        self._from_thread(self._note_access, int(payload) if payload.isascii() and payload.isdigit() else None)

    def _note_access(self, user_id: int | None) -> None:
        if user_id is None:
            self._all_changed = True
        else:
            self._changed_users.add(user_id)
        self._woken.set()

    def _everybody(self) -> list[Listener]:
        return [listener for group in self._groups.values() for listener in group]

    def _leave(self, listener: Listener) -> None:
        group = self._groups.get(listener.scopes)
        if group is not None:
            group.discard(listener)
            if not group:
                del self._groups[listener.scopes]

    async def _tell(self, reader: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        is_first = True
        while True:
            if not is_first:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):  # wait_for of Python 3.11 may swallow the end of the task
                        await self._woken.wait()
            self._woken.clear()
            try:
                # Rights first: notices come in the order of commits, so nobody hears what happened after their end.
                await self._recheck_changed(reader)
                news = await loop.run_in_executor(reader, self._read, self.newest, REPLAY_LIMIT)
                await self._take(news, is_first=is_first)
            except (GridError, SQLAlchemyError) as error:
                log.warning("cannot read news (%s)", type(error).__name__)
                await asyncio.sleep(_PATIENCE_S)
                self._woken.set()
                continue
            except Exception:  # one piece of news that cannot be told must not end all news for good
                log.exception("cannot tell news")
                await asyncio.sleep(_PATIENCE_S)
                self._start_again()
            is_first = False
            self._read_once.set()
            with self._round_over:
                self._rounds += 1
                self._round_over.notify_all()

    async def _take(self, news: News, *, is_first: bool = False) -> None:
        """Keep what was read, then tell it."""
        before, self.newest = self.newest, news.newest
        is_other = news.newest < before  # another database: it was restored
        if not is_first and (is_other or news.is_cut or 0 < before < news.oldest - 1):
            self._kept.clear()
            self._floor = news.newest
            await self._offer([(listener, self.resync_message()) for listener in self._everybody()])
            self._told_to = news.newest
            return
        told = [_encoded(change) for change in news.changes]
        if is_first:
            self._floor = told[0].number - 1 if news.is_cut else max(0, news.oldest - 1)
        self._keep(told)
        await self._spread(told)
        self._told_to = news.newest

    def _start_again(self) -> None:
        """Go on from the newest number; whoever listens reads their lists again."""
        self._kept.clear()
        self._floor = self._told_to = self.newest
        for listener in self._everybody():
            listener.offer(self.resync_message())

    def _keep(self, told: list[Told]) -> None:
        self._kept.extend(told)
        while len(self._kept) > REPLAY_LIMIT:
            self._floor = self._kept.popleft().number

    async def _spread(self, told: Sequence[Told]) -> None:
        """Tell all news of one read to those who are there now; who comes later finds them among those kept."""
        offers: list[tuple[Listener, Message]] = []
        for scopes, group in self._groups.items():
            seen = [one.message for one in told if reaches(scopes, one.paths)]
            if seen:
                message = seen[0] if len(seen) == 1 else body(b"".join(one["body"] for one in seen))
                offers += [(listener, message) for listener in group]
        await self._offer(offers)

    async def _offer(self, offers: Sequence[tuple[Listener, Message]]) -> None:
        for number, (listener, message) in enumerate(offers, 1):
            listener.offer(message)
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    async def _beat(self) -> None:
        """Show each listener that the stream is alive, and how far it is, a few at a time."""
        while True:
            listeners = self._everybody()
            pause_s = HEARTBEAT_S / (len(listeners) // 50 + 1)
            for start in range(0, len(listeners) + 1, 50):
                message = body(b"id: %d\n: still here\n\n" % self._told_to)
                for listener in listeners[start : start + 50]:
                    listener.beat(message)
                await asyncio.sleep(pause_s)

    async def _recheck_changed(self, asker: ThreadPoolExecutor) -> None:
        users, everybody = self._changed_users, self._all_changed
        if users or everybody:
            self._changed_users, self._all_changed = set(), False
            try:
                concerned = [one for one in self._everybody() if everybody or one.user_id in users]
                await self._recheck(asker, concerned)
            except BaseException:
                self._changed_users |= users
                self._all_changed |= everybody
                raise

    async def _recheck_all(self, asker: ThreadPoolExecutor) -> None:
        """Ask after everybody's rights now and then, a few at a time: some end without anybody's doing."""
        while True:
            await asyncio.sleep(RECHECK_S)
            listeners = self._everybody()
            for start in range(0, len(listeners), 50):
                with suppress(GridError, SQLAlchemyError):  # the database is away: next time
                    await self._recheck(asker, listeners[start : start + 50])

    async def _recheck(self, asker: ThreadPoolExecutor, listeners: Sequence[Listener]) -> None:
        rights: dict[object, Rights] = {listener.key: listener.rights for listener in listeners}
        if not rights:
            return
        found = await asyncio.get_running_loop().run_in_executor(
            asker, lambda: {key: ask() for key, ask in rights.items()}
        )
        for listener in listeners:
            scopes = found[listener.key]
            if listener not in self._groups.get(listener.scopes, ()):
                continue
            if scopes is None:
                self._leave(listener)
                listener.end()
            elif scopes != listener.scopes:
                self._leave(listener)
                listener.scopes = scopes
                self._groups.setdefault(scopes, set()).add(listener)
                listener.resync(self.resync_message())  # what they may see now they have not read


def read_news(engine: Engine, after: int, limit: int) -> News:
    """Read news in a transaction of its own."""
    with unit_of_work(engine) as session:
        return listing.news(session, after=after, limit=limit)


def _encoded(change: Change) -> Told:
    data = orjson.dumps(change.data)
    head = b"id: %d\n" % change.number
    item = b'{"id":%d,"event":"%s","data":%s}' % (change.number, change.kind.encode(), data)
    return Told(change.number, change.paths, body(head + _event(change.kind, data)), item)


def _event(kind: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)
