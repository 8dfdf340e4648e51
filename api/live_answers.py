"""How listeners are answered: by an open stream, or by a list that waits for the next news."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.live import Broadcaster, Told
from api.live_listener import Listener, Stream, Waiter, body

STREAM_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold messages back
}
MakeListener = Callable[..., Listener]


class EventStream(Response):
    """Server-sent events until the listener leaves or may not listen any more.

    Parameters
    ----------
    live : Broadcaster
    since : str or None
        The last number seen. What is not a number of ours gets ``resync``: a page cannot do anything about a refusal.
    listener : functools.partial of Stream
        Lacks the way to send.
    """

    def __init__(self, live: Broadcaster, *, since: str | None, listener: Callable[..., Stream]) -> None:
        super().__init__(None, 200, STREAM_HEADERS)
        del self.headers["content-length"]
        self._live = live
        self._since = since
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer, and stay."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await stay(self._live, receive, send, since=self._since, listener=self._listener)


async def stay(
    live: Broadcaster, receive: Receive, send: Send, *, since: str | None, listener: Callable[..., Stream]
) -> None:
    """Send a listener, whose answer has begun, what they missed and what happens."""
    await live.ready()
    number = None if since is None else as_number(since)
    if number is not None:
        await live.caught_up(number)
    one = listener(send=send, resync_message=live.resync_message)
    # No await from here on until they have joined: nothing may happen between what is replayed and what is told.
    missed: list[Message] = []
    known = None  # whoever is torn away in the middle must come back for what they had not been told
    if since is not None:
        found = None if number is None else live.since(number, one.scopes)
        missed = [live.resync_message()] if found is None else [told.message for told in found]
        known = number if found is not None else 0
    one.replay([body(live.hello(known)), *missed])
    with live.joined(one):
        while (await receive())["type"] != "http.disconnect":
            pass
    one.close()


def as_number(text: str) -> int | None:
    """A number that could be one of ours, or ``None``."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


class Polled(Response):
    """The news since a number as JSON; if there are none, it waits a while for the next.

    Parameters
    ----------
    since : int or None
        ``None`` asks where to begin.
    wait_s : float
    """

    def __init__(self, live: Broadcaster, *, since: int | None, wait_s: float, listener: Callable[[], Waiter]) -> None:
        super().__init__(None, 200, {"Cache-Control": "no-store"}, "application/json")
        del self.headers["content-length"]
        self._live = live
        self._since = since
        self._wait_s = wait_s
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer as soon as there is something to tell."""
        await self._live.ready()
        found = await self._found(receive)
        answer = polled(found, self._live.newest)
        self.raw_headers.append((b"content-length", b"%d" % len(answer)))
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send(body(answer, more=False))

    async def _found(self, receive: Receive) -> list[Told] | None:
        if self._since is None:
            return []
        await self._live.caught_up(self._since)
        one = self._listener()
        with self._live.joined(one):
            left = asyncio.ensure_future(_departure(receive))
            try:
                async with asyncio.timeout(self._wait_s):
                    while not left.done() and not one.has_ended:
                        scopes = one.scopes
                        found = self._live.since(self._since, scopes)
                        if found is None or found:
                            return found
                        one.happened.clear()
                        happened = asyncio.ensure_future(one.happened.wait())
                        try:
                            await asyncio.wait({left, happened}, return_when=asyncio.FIRST_COMPLETED)
                        finally:
                            happened.cancel()
                        if one.scopes != scopes:
                            return None
            except TimeoutError:
                pass
            finally:
                left.cancel()
        # News may have come in the moment of the time-out: the number that is told covers them.
        return [] if one.has_ended else self._live.since(self._since, one.scopes)


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def polled(found: list[Told] | None, newest: int) -> bytes:
    """The JSON of an answer; ``None`` asks for the list to be read again."""
    items = b",".join(told.item for told in found or ())
    resync = b"true" if found is None else b"false"
    return b'{"events":[%s],"last_event":%d,"resync":%s}' % (items, newest, resync)
