"""The stream in front of the framework: a listener costs a third of the memory there, and a message half the time.

It takes those who may listen and ask plainly. All else goes to the documented route of the same address, which answers
the same.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Scope, Send

from api import live
from api.credentials import credential_of
from api.deps import scopes_now, who
from api.front import SENT, Reply, header, start
from api.live_answers import STREAM_HEADERS, stay
from api.live_listener import Stream
from gis.errors import GridError
from gis.permissions import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from api.deps import Services

_HEAD = [(name.lower().encode(), value.encode()) for name, value in STREAM_HEADERS.items()]


class LivePath:
    """A fast path (`api.front.FastPath`) for open streams."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[Reply | None] | None:
        """Answer who may listen and asks plainly."""
        if scope["method"] != "GET" or self._services.live.count() >= live.MAX_LISTENERS:
            return None
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if len(asked) > 1 or any(name != "since" or len(value) > 40 for name, value in asked):
            return None
        last = header(scope, b"last-event-id")
        since = last.decode("latin-1") if last is not None else next((value for _, value in asked), None)
        return self._answer(scope, receive, send, since)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, since: str | None) -> Reply | None:
        try:
            access = await who(self._services, Request(scope))
        except GridError:
            return None  # the route says it in words
        scopes = access.scopes(Action.VIEW_INCIDENTS)
        if not scopes:
            return None
        shown = credential_of(HTTPConnection(scope))
        listener = partial(
            Stream,
            scopes,
            user_id=access.actor.user_id,
            key=shown,
            rights=partial(scopes_now, self._services, shown, Action.VIEW_INCIDENTS),
        )
        await send(start(200, _HEAD))
        await stay(self._services.live, receive, send, since=since, listener=listener)
        return SENT
