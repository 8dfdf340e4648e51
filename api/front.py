"""A thin way in front of the framework, for the few questions that are asked thousands of times a second.

A fast path is asked first. It answers what it fully understands and leaves everything else, however slightly unusual,
to the documented route of the same address, which gives the same bytes. What it sends is data and no page: of the
headers that `api.guard` puts on every answer it carries those that mean something there, and a stricter policy.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from api.guard import request_id

log = logging.getLogger("wangge.front")

Headers = tuple[tuple[bytes, bytes], ...]

FRONT = "wangge_front"
"""Under this name the state of the application's lifespan holds its `Front`: so a server's protocol finds it."""

# Each header costs the server as much as reading the question does.
STAMP: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_JSON_HEAD = (b"content-type", b"application/json")
_NO_STORE = (b"cache-control", b"no-store")
_BODILESS = (204, 304)


class Reply(NamedTuple):
    """A whole answer: headers in lower case, without those that every answer carries and the length of the body."""

    body: bytes
    status: int = 200
    headers: Headers = (_JSON_HEAD, _NO_STORE)


SENT = Reply(b"", 0)
"""Given by a fast path that has sent its answer itself, as a stream does; it begins it with `start`."""


class FastPath(Protocol):
    """Answers requests of an address, or leaves them to the framework by ``None``.

    Whatever it gives must be allowed to the caller: nobody asks after it. It must not read the body of a request that
    it leaves, nor wait for anything in the loop's thread; what waits is a coroutine.
    """

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Reply | Awaitable[Reply | None] | None: ...


class FastAtOnce(FastPath, Protocol):
    """A fast path that may also be asked at the wire (`api.wire`), where nothing can wait and nothing is sent twice."""

    def at_once(self, scope: Scope, /) -> Reply | None:
        """Answer by what is held in memory. What it leaves is asked again as any fast path."""


class Front:
    """Fast paths by address: whole addresses, and families by their first folders.

    Examples
    --------
    >>> front = Front()
    >>> front.at("/api/v1/locate", lambda scope, receive, send: Reply(b"{}"))
    >>> front.find("/api/v1/locate") is not None, front.find("/api/v1/locate/") is None
    (True, True)
    """

    def __init__(self) -> None:
        self._exact: dict[str, FastPath] = {}
        self._below: dict[str, FastPath] = {}

    def at(self, path: str, fast: FastPath) -> None:
        """Ask a fast path first about one address."""
        self._exact[path] = fast

    def below(self, prefix: str, fast: FastPath) -> None:
        """Ask a fast path first about all addresses below one or two folders, such as ``/tiles/``."""
        if prefix.count("/") not in (2, 3) or not prefix.startswith("/") or not prefix.endswith("/"):
            raise ValueError(f"not one or two folders: {prefix}")
        self._below[prefix] = fast

    def clear(self) -> None:
        """Leave everything to the framework."""
        self._exact.clear()
        self._below.clear()

    def find(self, path: str) -> FastPath | None:
        """Who is asked first about an address."""
        fast = self._exact.get(path)
        if fast is None and self._below:
            first = path.find("/", 1) + 1
            fast = self._below.get(path[:first]) or self._below.get(path[: path.find("/", first) + 1])
        return fast

    def find_at_once(self, path: str) -> Callable[[Scope], Reply | None] | None:
        """The same, if it may be asked at the wire."""
        return getattr(self.find(path), "at_once", None)

    async def answers(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether a fast path has answered a request."""
        fast = self.find(scope["path"])
        if fast is None:
            return False
        reply = fast(scope, receive, send)
        if reply is not None and not isinstance(reply, Reply):
            reply = await reply
        if reply is None:
            return False
        if reply is not SENT:
            await send(start(reply.status, (*reply.headers, *length_of(reply))))
            await send({"type": "http.response.body", "body": reply.body})
        return True


def length_of(reply: Reply) -> Headers:
    """The header of the body's length; none where there is no body: a 304's would be that of the 200."""
    return () if reply.status in _BODILESS else ((b"content-length", b"%d" % len(reply.body)),)


def start(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Message:
    """The beginning of an answer that a fast path sends itself, with the headers that every answer carries."""
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, *STAMP, (b"x-request-id", request_id().encode())],
    }


class FrontedApp(FastAPI):
    """The application, with the fast paths of ``self.front`` in front of all its middleware."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.front = Front()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by a fast path, or as every FastAPI application does."""
        if scope["type"] == "http" and await self.front.answers(scope, receive, send):
            return
        await super().__call__(scope, receive, send)


def header(scope: Mapping[str, Any], name: bytes) -> bytes | None:
    """The first header of a name in lower case; quicker than making a mapping of all."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None
