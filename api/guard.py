"""What every request passes on its way in and out: size limit, origin check, security headers, request id.

Plain ASGI, so that streams pass through unbuffered.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import language_of, problem

BODY_LIMIT = 16_000_000
"""Bytes of a request: 10,000 places to geotag are under 2 MB. Files come in by the command line."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "frame-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from outside, no inline script. MapLibre sets styles on elements, hence 'unsafe-inline' for those only."""

REPORT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "font-src data:",
        "sandbox allow-scripts allow-popups",
        "frame-ancestors 'self'",
    )
)
"""The self-contained report has its scripts inside; the sandbox keeps them away from the session."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(self), camera=(), microphone=()",
}


_STAMP = [
    (name.lower().encode(), value.encode())
    for name, value in (("Content-Security-Policy", PAGE_POLICY), *_HEADERS.items())
]


class Guard:
    """ASGI middleware round the whole application.

    Parameters
    ----------
    app : ASGIApp
    body_limit : int
        Bytes; a larger body is refused with 413, by its announced length or once it has sent more.
    uploads : mapping of str to int, optional
        Paths that take files onto the disk, with limits of their own.
    """

    def __init__(self, app: ASGIApp, *, body_limit: int, uploads: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.body_limit = body_limit
        self.uploads = dict(uploads or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = request_id()
        out = _stamping(send, request.state.request_id)
        refused = self._refusal(request)
        if refused is not None:
            status, code, params = refused
            await problem(status, code, params, language=language_of(request))(scope, receive, out)
            return
        await self.app(scope, _counting(receive, self._limit(scope["path"])), out)

    def _limit(self, path: str) -> int:
        return self.uploads.get(path, self.body_limit)

    def _refusal(self, request: Request) -> tuple[int, str, dict[str, object]] | None:
        if request.method not in SAFE_METHODS and not _same_origin(request.headers):
            return 403, "http.foreign_origin", {}
        if b"%00" in request.scope["query_string"] or "\0" in request.scope["path"]:
            return 400, "http.bad_request", {}  # no text of ours holds a NUL, and PostgreSQL takes none
        length = request.headers.get("content-length", "0")
        if not length.isdigit():
            return 400, "http.bad_request", {}
        limit = self._limit(request.scope["path"])
        if int(length) > limit:
            code = "file.upload_too_large" if request.scope["path"] in self.uploads else "http.too_large"
            return 413, code, {"limit_mb": round(limit / 1e6, 1)}
        return None


def _same_origin(headers: Headers) -> bool:
    """Whether a request comes from our own pages, or from no browser at all.

    Browsers send Origin with every unsafe request; programs that send none carry no cookie by accident.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    return bool(origin) and urlsplit(origin).netloc == headers.get("host")


def _counting(receive: Receive, limit: int) -> Receive:
    """Refuses a body that announced no length, or a false one, once it has grown too large."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413)
        return message

    return counted


def _stamping(send: Send, request_id: str) -> Send:
    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            given = {name.lower() for name, _ in headers}
            headers += [one for one in _STAMP if one[0] not in given]
            headers.append((b"x-request-id", request_id.encode()))
            message = {**message, "headers": headers}
        await send(message)

    return stamped


# Ids need to be told apart, not kept secret: a random beginning a process, then a count. The system's randomness would
# cost more than all else that is done here.
_numbers = itertools.count(1)
_process = secrets.token_hex(4)


def request_id() -> str:
    """A new name for a request, as answers and the log carry it: 16 hexadecimal digits."""
    return f"{_process}{next(_numbers) & 0xFFFFFFFF:08x}"
