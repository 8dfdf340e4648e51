"""What routes are given: the services of the process, one transaction a request, the caller, the present."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import orjson
from anyio import CapacityLimiter
from fastapi import Depends, Query, Request
from procrastinate import App as JobApp
from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.access import Access, AccessCache
from api.credentials import Credential, actor_of, credential_of
from api.errors import MEDIA_TYPE, language_of
from api.front import header
from gis.db import unit_of_work
from gis.errors import InvalidInput, NotAllowed, NotSignedIn
from gis.in_force import Keeper
from gis.listing import Listed, Row, Window
from gis.notices import Notices
from gis.permissions import Action, Actor, require_somewhere, scopes
from gis.responsibility.present import Present
from gis.settings import Settings

if TYPE_CHECKING:
    from api.live import Broadcaster
    from api.locating import FastLocate
    from api.standing_in import StandIn


MAX_SESSIONS = 20
"""Requests that hold a database session at a time; the rest wait without a thread. Not above the engine's pool."""

FEW = 5
"""Threads that ask the database beside those: within what the pool may open at a peak."""

PAGE_LIMIT = 1000


class Compression(GZipMiddleware):
    """Compresses for those who ask for it. Data for others pass untouched: they are never kept, so nothing varies."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with or without compression."""
        is_data = scope["type"] == "http" and scope["path"].startswith("/api/")
        if is_data and b"gzip" not in (header(scope, b"accept-encoding") or b""):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


@dataclass(frozen=True)
class Services:
    """What one process has: made by `api.app.create_app`, found by routes on ``app.state``."""

    settings: Settings
    engine: Engine
    clock: Callable[[], datetime]
    jobs: JobApp
    notices: Notices
    live: Broadcaster
    access: AccessCache
    keeper: Keeper
    present: Present
    locate: FastLocate
    few: CapacityLimiter
    """Threads that ask the database for routes without a session."""
    stand_in: StandIn


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    params: dict[str, Any] = {}
    detail: str


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": words, "content": {MEDIA_TYPE: {}}}
    for status, words in (
        (400, "The request cannot be read"),
        (401, "Nobody is signed in, or the session has ended"),
        (403, "The caller lacks the grant, or the request came from another site"),
        (404, "No such thing, or outside the caller's areas"),
        (409, "The world has moved on: stale number, wrong state, overlap"),
        (413, "Too large"),
        (422, "The input is wrong"),
        (503, "The database is away; see Retry-After"),
    )
}


def services(request: Request) -> Services:
    """The services of this process."""
    found: Services = request.app.state.services
    return found


def open_session(request: Request) -> Iterator[Session]:
    """One transaction a request: committed before the answer is sent, rolled back if the route raised."""
    with unit_of_work(services(request).engine) as session:
        yield session


SessionScope = Depends(open_session, scope="function", max_concurrency=MAX_SESSIONS)
ServicesDep = Annotated[Services, Depends(services)]
SessionDep = Annotated[Session, SessionScope]


def now(request: Request) -> datetime:
    """The present, from the clock that the application was given."""
    return services(request).clock()


Now = Annotated[datetime, Depends(now)]
Language = Annotated[str, Depends(language_of)]


def signed_in(request: Request, session: SessionDep, at: Now) -> Actor:
    """Whoever the session cookie, or a program's token, stands for.

    Raises
    ------
    NotSignedIn
        ``access.no_session``, ``access.bad_token`` (`api.credentials`).
    """
    idle = timedelta(hours=services(request).settings.session_hours)
    return actor_of(session, credential_of(request), now=at, idle=idle)


CurrentActor = Annotated[Actor, Depends(signed_in)]


class Allowed:
    """A dependency that states the action of a route: who may not do it anywhere is refused at the door.

    What of an area the caller may see or change is decided row by row, in the use case and in SQL. Somebody who still
    has the password that another person set can do nothing but change it.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, actor: CurrentActor) -> Actor:
        if actor.must_change_password:
            raise NotAllowed("access.must_change_password", actor=actor.name, user_id=actor.user_id)
        require_somewhere(actor, self.action)
        return actor


def allow(action: Action) -> Any:
    """``actor: Annotated[Actor, allow(Action.X)]`` in a route's signature."""
    return Depends(Allowed(action))


class AllowedKnown(Allowed):
    """The same without a database session, for routes that are asked very often: who it is may be a moment old.

    Gives the `Access` with its scopes.
    """

    async def __call__(self, request: Request) -> Access:  # type: ignore[override]  # FastAPI reads the signature
        access = await known(request)
        super().__call__(access.actor)
        return access


def allow_known(action: Action) -> Any:
    """``access: Annotated[Access, allow_known(Action.X)]`` in the signature of a coroutine."""
    return Depends(AllowedKnown(action))


async def known(request: Request) -> Access:
    """Who sends a request, from memory if that is possible.

    Raises
    ------
    NotSignedIn
    """
    return await who(services(request), request)


async def who(here: Services, request: Request) -> Access:
    """Who sends a request, for fast paths, where the request does not know its application yet.

    Raises
    ------
    NotSignedIn
    """
    access = here.access.seen(request.scope)
    if access is not None:
        return access
    shown = credential_of(request)
    if shown is None:
        raise NotSignedIn("access.no_session")
    access = here.access.known(shown)
    if access is not None:
        return access
    ask = partial(here.access.ask, shown, partial(_look_up, here, shown), scope=request.scope)
    return await anyio.to_thread.run_sync(ask, limiter=here.few)


def _look_up(services: Services, shown: Credential) -> Actor:
    idle = timedelta(hours=services.settings.session_hours)
    with unit_of_work(services.engine) as session:
        return actor_of(session, shown, now=services.clock(), idle=idle)


def scopes_now(services: Services, shown: Credential | None, action: Action) -> tuple[str, ...] | None:
    """Where a session or token that opened a stream may do something now; ``None`` if it has ended, or nowhere."""
    try:
        if shown is None:
            raise NotSignedIn("access.no_session")
        access = services.access.known(shown)
        actor = access.actor if access is not None else _look_up(services, shown)
    except NotSignedIn:
        return None
    return None if actor.must_change_password else scopes(actor, action) or None


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise PydanticCustomError("aware", "a time needs its time zone, like 2026-03-01T08:00:00+08:00")
    return value


AwareTime = Annotated[datetime, AfterValidator(_aware)]


def window(
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 200,
    cursor: Annotated[str | None, Query(max_length=30, description="`next` of the page before")] = None,
    bbox: Annotated[str | None, Query(max_length=120, description="west,south,east,north in degrees")] = None,
    geometry: Annotated[bool, Query(description="false gives `items` without geometry")] = True,
) -> Window:
    """Read the paging parameters that all lists share."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
        raise InvalidInput("api.bad_cursor", cursor=cursor)
    return Window(limit, None if cursor is None else int(cursor), None if bbox is None else parse_bbox(bbox), geometry)


WindowDep = Annotated[Window, Depends(window)]


def parse_bbox(words: str) -> tuple[float, float, float, float]:
    """Four finite degrees, west < east and south < north.

    Raises
    ------
    InvalidInput
        ``api.bad_bbox``.
    """
    numbers = _numbers(words)
    if len(numbers) != 4:
        raise InvalidInput("api.bad_bbox", bbox=words)
    west, south, east, north = numbers
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InvalidInput("api.bad_bbox", bbox=words)
    return west, south, east, north


def parse_point(words: str) -> tuple[float, float]:
    """``lon,lat`` as finite degrees.

    Raises
    ------
    InvalidInput
        ``api.bad_point``.
    """
    numbers = _numbers(words)
    if len(numbers) != 2 or abs(numbers[0]) > 180 or abs(numbers[1]) > 90:
        raise InvalidInput("api.bad_point", point=words)
    return numbers[0], numbers[1]


def _numbers(words: str) -> list[float]:
    try:
        numbers = [float(part) for part in words.split(",")]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as JSON; geometry goes through as the text that PostGIS wrote (`orjson.Fragment`)."""
    content = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def collection(listed: Listed, *, window: Window, **beside: Any) -> Response:
    """A page as a FeatureCollection, or as items where no geometry was asked for."""
    around = {"next": None if listed.following is None else str(listed.following), "total": listed.total, **beside}
    if listed.is_estimate:
        around["total_is_estimate"] = True
    if not window.geometry:
        return answer({"items": listed.rows, **around})
    return answer({"type": "FeatureCollection", "features": [feature(row) for row in listed.rows], **around})


def feature(row: Row) -> dict[str, Any]:
    """One row with ``id`` and ``geometry`` (GeoJSON text or None) as a GeoJSON feature."""
    shape = row.pop("geometry", None)
    geometry = None if shape is None else orjson.Fragment(shape)
    return {"type": "Feature", "id": row["id"], "geometry": geometry, "properties": row}
