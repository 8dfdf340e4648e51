"""Fast paths at the wire: what is known at once is answered as soon as the headers of its question are read.

For every request uvicorn makes a task, a scope of messages and checks of each header: twice the work of the answer
itself where that is held in memory. What a fast path (`api.front`) answers at once is written here in one piece
instead. All else, however slightly unusual, goes the way of every ASGI application, and finds the same fast path there:
a question with a body, one that comes before the one before it is answered, a caller who does not read what was sent.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.front import FRONT, STAMP, Front, Headers, length_of
from api.guard import request_id

log = logging.getLogger("wangge.wire")

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding"})


class _Answered:
    """Stands where uvicorn keeps the request that it is at, once that is answered."""

    response_complete = True
    disconnected = False
    keep_alive = True

    class _Event:
        def set(self) -> None:
            """Nobody waits for it."""

    message_event = _Event()


_ANSWERED: Final[Any] = _Answered()


class WireProtocol(HttpToolsProtocol):
    """One connection. Needs an application that gives its `api.front.Front` in the state of its lifespan.

    The access log, a root path and a limit of concurrency are uvicorn's own business: with one of these set, every
    request goes its way.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        front = self.app_state.get(FRONT)
        is_logged = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        is_plain = not is_logged and not self.root_path and self.limit_concurrency is None
        self._front: Front | None = front if is_plain else None

    def on_headers_complete(self) -> None:
        """Answer, or go on as uvicorn does."""
        if self._front is None or not self._answers(self._front):
            super().on_headers_complete()

    def _answers(self, front: Front) -> bool:
        parser = self.parser
        if parser.get_method() != b"GET" or self.expect_100_continue:
            return False
        raw, _, query = self.url.partition(b"?")
        path = raw.decode("latin-1")
        if (at_once := front.find_at_once(path)) is None or not self._is_free():
            return False
        scope: Any = self.scope
        scope["method"], scope["path"], scope["raw_path"], scope["query_string"] = "GET", path, raw, query
        try:
            reply = at_once(scope)
        except Exception:  # as in the framework, which now is asked and says it to the caller
            log.exception("%s was not answered", path)
            return False
        if reply is None:
            return False
        body, status, headers = reply
        own = _lines((*self.server_state.default_headers, *length_of(reply), (b"x-request-id", request_id().encode())))
        self.transport.write(b"".join((_head(status, headers), own, b"\r\n", body)))
        self.cycle = _ANSWERED
        self.on_response_complete()
        return True

    def _is_free(self) -> bool:
        """Whether nothing stands between this question and its answer."""
        parser = self.parser
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.transport.is_closing()
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not any(name in _BODY_HEADERS for name, _ in self.headers)
        )


@lru_cache(maxsize=4096)
def _head(status: int, headers: Headers) -> bytes:
    return STATUS_LINE[status] + _lines((*headers, *STAMP))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%s: %s\r\n" % header for header in headers])
