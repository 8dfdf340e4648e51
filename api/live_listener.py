"""Those who hear news: an open stream, or a request that waits for the next.

A stream is written to directly by whoever tells the news, without a task of its own: at five hundred listeners the
waking of five hundred tasks would cost more than the writing. Only where the network does not take a message at once a
task finishes it, and what comes meanwhile waits in a bounded line.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from starlette.types import Message, Send

BACKLOG = 1000
"""Messages that wait for one slow listener; beyond them it is told to read its lists again."""
STALL_S = 60.0
"""A listener that has taken nothing for so long is cut off."""

_LEFT = (OSError, RuntimeError)
"""How ASGI servers say that nobody is there any more."""

Rights = Callable[[], tuple[str, ...] | None]
"""Asks the database, in a thread, where somebody may see incidents now; ``None``: they may not listen any more."""


class Listener(ABC):
    """Somebody who hears what happens in their areas.

    Parameters
    ----------
    scopes : tuple of str
        Tree paths under which they may see incidents.
    user_id : int or None
        Their account: a notice of its grants has ``rights`` asked again.
    key : hashable
        What they are signed in with; those with the same key have the same rights.
    rights : callable
    """

    def __init__(self, scopes: tuple[str, ...], *, user_id: int | None, key: object, rights: Rights) -> None:
        self.scopes = scopes
        self.user_id = user_id
        self.key = key
        self.rights = rights

    @abstractmethod
    def offer(self, message: Message) -> None:
        """Take a message that all who may see it share."""

    def beat(self, message: Message) -> None:  # noqa: B027 - nothing is also an answer
        """Take a sign of life, unless there is something to be sent anyway."""

    def resync(self, message: Message) -> None:
        """Take word that something was left out: what was seen so far is to be read again."""
        self.offer(message)

    @abstractmethod
    def end(self) -> None:
        """The right to listen has ended."""


class Waiter(Listener):
    """A request that waits for anything to happen."""

    def __init__(self, scopes: tuple[str, ...], *, user_id: int | None, key: object, rights: Rights) -> None:
        super().__init__(scopes, user_id=user_id, key=key, rights=rights)
        self.happened = asyncio.Event()
        self.has_ended = False

    def offer(self, message: Message) -> None:  # noqa: ARG002 (it reads what happened by itself)
        """Wake up."""
        self.happened.set()

    def end(self) -> None:
        """Wake up and find out."""
        self.has_ended = True
        self.happened.set()


class Stream(Listener):
    """An open stream of server-sent events.

    Parameters
    ----------
    send : Send
        Of the ASGI server, after the beginning of the answer has been sent.
    resync_message : callable
        Gives the message that tells to read again, with the number of the last news.
    """

    def __init__(
        self,
        scopes: tuple[str, ...],
        send: Send,
        *,
        resync_message: Callable[[], Message],
        user_id: int | None,
        key: object,
        rights: Rights,
    ) -> None:
        super().__init__(scopes, user_id=user_id, key=key, rights=rights)
        self._send = send
        self._resync_message = resync_message
        self._waiting: deque[Message] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._is_behind = False
        self._is_over = False

    def offer(self, message: Message) -> None:
        """Write a message, or put it into line if the network is still busy with another."""
        if self._is_over:
            return
        if self._writer is None:
            try:
                rest = begun(self._send(message))  # type: ignore[arg-type]  # what ASGI servers give are coroutines
            except _LEFT:
                self._is_over = True
                return
            if rest is not None:
                self._writer = asyncio.get_running_loop().create_task(self._write(rest))
        elif len(self._waiting) < BACKLOG:
            if not self._is_behind:
                self._waiting.append(message)
        else:
            self._waiting.clear()
            self._is_behind = True

    def beat(self, message: Message) -> None:
        """Nothing while messages wait."""
        if self._writer is None:
            self.offer(message)

    def replay(self, messages: list[Message]) -> None:
        """Put what was missed before everything that comes."""
        if messages:
            self._waiting.extend(messages)
            self._writer = asyncio.get_running_loop().create_task(self._write(None))

    def end(self) -> None:
        """Say that the right to listen has ended, and close the stream."""
        self._waiting.clear()
        self._is_behind = False
        self.offer(SIGNED_OUT)
        self.offer(LAST)

    def close(self) -> None:
        """Write nothing more: they have left."""
        self._is_over = True
        self._waiting.clear()
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self, rest: _Rest | None) -> None:
        """Finish a message that the network did not take at once, then what has come meanwhile."""
        try:
            if rest is not None:
                async with asyncio.timeout(STALL_S):
                    await rest
            while self._waiting or self._is_behind:
                async with asyncio.timeout(STALL_S):
                    await self._send(self._next())
        except TimeoutError:
            self._cut_off()
        except _LEFT:
            self._is_over = True
        finally:
            self._writer = None

    def _next(self) -> Message:
        if self._waiting:
            return self._waiting.popleft()
        self._is_behind = False
        return self._resync_message()

    def _cut_off(self) -> None:
        """Give the connection up at once: closing it in order would wait for what nobody reads."""
        self._is_over = True
        self._waiting.clear()
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)  # uvicorn's
        if transport is not None:
            transport.abort()


class _Rest:
    """What is left to do of a coroutine that has been begun outside of a task."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for = self._waits_for
        while True:
            try:
                try:
                    given = yield waits_for
                except BaseException as error:
                    waits_for = self._coroutine.throw(error)
                else:
                    waits_for = self._coroutine.send(given)
            except StopIteration:
                return


def begun(coroutine: Coroutine[Any, Any, None]) -> _Rest | None:
    """Run a coroutine until it waits for something; ``None`` if it did not have to wait at all.

    Python 3.12 has this as eager tasks.
    """
    try:
        return _Rest(coroutine, coroutine.send(None))
    except StopIteration:
        return None


def body(text: bytes, *, more: bool = True) -> Message:
    """A piece of a stream."""
    return {"type": "http.response.body", "body": text, "more_body": more}


SIGNED_OUT = body(b"event: signed_out\ndata: {}\n\n")
LAST = body(b"", more=False)
