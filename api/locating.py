"""From a point to its cell and people, by the index of the version in force; by SQL where that does not answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from sqlalchemy import Engine
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from api.access import Access
from api.errors import refused, status_of, told
from api.front import SENT, Reply
from api.guard import BODY_LIMIT
from gis.db import unit_of_work
from gis.errors import GridError
from gis.geotag import MAX_REACH_M
from gis.permissions import Action
from gis.responsibility import by_sql, many
from gis.responsibility.book import View
from gis.responsibility.cell_index import FAR_M, NEAR_M
from gis.responsibility.present import Present
from gis.responsibility.responsibility import Responsibility

# What anybody would write; everything else a float could mean is read by the documented route.
_PLAIN = re.compile(rb"lon=(-?\d{1,3}(?:\.\d{1,20})?)&lat=(-?\d{1,2}(?:\.\d{1,20})?)(&brief=true)?").fullmatch


BODY_S = 30.0
"""A body that takes longer is given up: so many are read at a time only."""
_JSON = "application/json"
AT_ONCE_BYTES = {kind: 100_000 if kind == _JSON else 200_000 for kind in many.READERS}
"""Numbers so few that a thread of their own would cost more than they do: half a millisecond."""
_OF_BROWSERS = frozenset({b"origin", b"sec-fetch-site"})


@dataclass(frozen=True)
class ManyPoints:
    """Questions of many points at once.

    Attributes
    ----------
    bodies : CapacityLimiter
        So many are held in memory at a time; the others wait before they have sent anything.
    crunchers : CapacityLimiter
        Threads that work on those that take long.
    """

    bodies: CapacityLimiter
    crunchers: CapacityLimiter

    async def answer(
        self, read: Callable[[], Awaitable[bytes]], kind: str, index: Responsibility, view: View
    ) -> Reply | None:
        """Read a body and answer it in its own kind; ``None`` if it does not come in time.

        Raises
        ------
        InvalidInput
            As the readers of `gis.responsibility.many`.
        """
        async with self.bodies:
            with anyio.move_on_after(BODY_S) as patience:
                given = await read()
            if patience.cancelled_caught:
                return None
            work = partial(many.READERS[kind], given, index, view)
            if len(given) <= AT_ONCE_BYTES[kind]:
                body = work()
            else:
                body = await anyio.to_thread.run_sync(work, limiter=self.crunchers)
        return Reply(body, 200, _MANY_HEADERS[kind == _JSON])


_MANY_HEADERS = {
    is_json: ((b"content-type", kind.encode()), (b"cache-control", b"no-store"))
    for is_json, kind in ((True, _JSON), (False, many.ARROW))
}


def kind_of(content_type: str) -> str:
    """The media type that a header names, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


class FastLocate:
    """``GET …/locate?lon=…&lat=…``, with ``&brief=true`` or nothing else in the question: the present, WGS-84; and
    ``POST …/locate`` for many points by programs, whose answer nobody asks to be packed.

    Parameters
    ----------
    present : Present
    clock : callable
    who : callable
        Whoever sends a request, if that is known (`api.access.AccessCache.seen`).
    many : ManyPoints
    """

    def __init__(
        self,
        present: Present,
        *,
        clock: Callable[[], datetime],
        who: Callable[[Scope], Access | None],
        many: ManyPoints,
    ) -> None:
        self._present = present
        self._clock = clock
        self.who = who
        self.many = many

    def __call__(self, scope: Scope, receive: Receive, *_: Any) -> Reply | Awaitable[Reply | None] | None:
        """Answer, or leave it to the route."""
        return self._many_points(scope, receive) if scope["method"] == "POST" else self.at_once(scope)

    def _many_points(self, scope: Scope, receive: Receive) -> Awaitable[Reply | None] | None:
        if scope["query_string"] not in (b"", b"brief=true"):
            return None
        kind = length = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value
            elif name == b"content-length":
                length = value
            elif name in _OF_BROWSERS or (name == b"accept-encoding" and b"gzip" in value):
                return None
        read_as = kind_of(kind.decode("latin-1"))
        # A body that announces no length is counted on its way by `api.guard`.
        if read_as not in many.READERS or not length.isdigit() or int(length) > BODY_LIMIT:
            return None
        access, index = self.who(scope), self._present.at(self._clock())
        if access is None or index is None or not access.scopes(Action.VIEW_MAP):
            return None
        view = view_of(index, access, is_brief=bool(scope["query_string"]))
        return self._answer_many(scope, receive, read_as, index, view)

    async def _answer_many(
        self, scope: Scope, receive: Receive, kind: str, index: Responsibility, view: View
    ) -> Reply | None:
        request = Request(scope, receive)
        try:
            reply = await self.many.answer(request.body, kind, index, view)
        except GridError as error:
            return _reply_of(told(request, status_of(error), error.code, error.params))
        except ClientDisconnect:
            return SENT  # to nobody
        return reply or _reply_of(refused(request, 408))

    def at_once(self, scope: Scope) -> Reply | None:
        """The same, for `api.wire`."""
        asked = _PLAIN(scope["query_string"])
        if asked is None or scope["method"] != "GET":
            return None
        access = self.who(scope)
        if access is None:
            return None
        lon_text, lat_text, brief = asked.groups()
        lon, lat = float(lon_text), float(lat_text)
        index = self._present.at(self._clock())
        if index is None or not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            return None
        memo = access.memo
        if memo is not None and memo[0] is index:
            return Reply(index.locate(lon, lat, memo[1] if brief is None else memo[2]))
        if not access.scopes(Action.VIEW_MAP):
            return None
        return Reply(index.locate(lon, lat, view_of(index, access, is_brief=brief is not None)))


def _reply_of(response: Response) -> Reply:
    headers = tuple(header for header in response.raw_headers if header[0] != b"content-length")
    return Reply(bytes(response.body), response.status_code, headers)


def view_of(index: Responsibility, access: Access, *, is_brief: bool = False) -> Any:
    """What somebody sees of a version; looked up once for each of both."""
    memo = access.memo
    if memo is None or memo[0] is not index:
        seen = access.scopes(Action.VIEW_MAP), access.scopes(Action.VIEW_CONTACTS)
        memo = access.memo = (index, index.view_of(*seen), index.view_of(*seen, is_brief=True))
    return memo[2] if is_brief else memo[1]


def reaches(accuracy_m: float | None) -> Mapping[str, float]:
    """How far a border and the nearest cell may lie, for a place of this accuracy."""
    least = min(accuracy_m or 0.0, MAX_REACH_M)
    return {"border_m": max(least, NEAR_M), "nearest_m": max(least, FAR_M)}


def locate_by_sql(
    engine: Engine,
    lon: float,
    lat: float,
    access: Access,
    *,
    at: datetime,
    accuracy_m: float | None,
    floor: int | None,
    is_brief: bool = False,
) -> bytes:
    """The same answer from the database, as of any instant."""
    with unit_of_work(engine) as session:
        return by_sql.locate(
            session, lon, lat, at=at, floor=floor, scopes=access.scopes(Action.VIEW_MAP),
            contact_scopes=access.scopes(Action.VIEW_CONTACTS), is_brief=is_brief, **reaches(accuracy_m),
        )  # fmt: skip
