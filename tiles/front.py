"""Tiles of the plans in force by the shortest way: whoever is known gets what is kept, without the framework.

Another layer, a draft, the past, and whoever may see nothing go to the routes of `tiles.router`, which give the same
bytes or say what is wrong.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from gis.errors import GridError
from gis.permissions import Action
from tiles.cache import Kept
from tiles.layers import LAYERS
from tiles.mvt import MEDIA_TYPE, is_known
from tiles.present import CellTiles, Present
from tiles.versions import CELL_LAYERS, Place, View

THREADS = 2
"""Tiles made at a time; the compiled part of it runs beside the requests."""

_ADDRESS = re.compile(r"/tiles/([a-z_]{1,30})/(0|[1-9]\d?)/(0|[1-9]\d{0,7})/(0|[1-9]\d{0,7})\.mvt")
_OWN = frozenset(CELL_LAYERS)
_NOTHING: Message = {"type": "http.response.body", "body": b""}


class Caller(Protocol):
    """Somebody who was let in."""

    def scopes(self, action: Action, /) -> tuple[str, ...]:
        """The paths under which they may do something."""
        ...


class _Sent(NamedTuple):
    """The messages that give one tile. The headers that govern documents stand on none: a tile is drawn, never shown
    by itself, and each header of an answer takes a microsecond."""

    start: Message
    body: Message
    known: Message
    etag: bytes
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(eq=False)
class TilesFront:
    """The fast path below ``/tiles/``.

    Parameters
    ----------
    tiles : CellTiles
    seen : callable
        Who sends a request, if that is known without asking anybody.
    ask : callable
        The same, asking the database if need be.
    done : object
        What tells the service that the answer was sent.
    """

    tiles: CellTiles
    seen: Callable[[Scope], Caller | None]
    ask: Callable[[Request], Awaitable[Caller]]
    done: Any

    def __post_init__(self) -> None:
        self._makers = ThreadPoolExecutor(THREADS, thread_name_prefix="wangge-tiles")
        self._waited_for: dict[bytes, asyncio.Future[Kept]] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Any:  # noqa: ARG002 (protocol)
        """Give a tile that is kept; or a coroutine that makes it, or None."""
        present = self.tiles.present
        if present is None or scope["query_string"] or scope["method"] != "GET":
            return None
        caller = self.seen(scope)
        if caller is None:
            return self._asked(scope, send)
        scopes = caller.scopes(Action.VIEW_MAP)
        view = present.views.get(scopes)
        if view is not None:
            key = view.keys.get(scope["path"])
            if key is not None:
                found = self.tiles.find(present, key)
                if found is not None:
                    return self._send(found, scope, send)
        return self._look_up(present, scopes, scope, send)

    async def _asked(self, scope: Scope, send: Send) -> Any:
        """The same for somebody who is not known yet, or no longer."""
        if (place := place_of(scope["path"])) is None or place[0] not in _OWN:
            return None
        try:
            caller = await self.ask(Request(scope))
        except (GridError, SQLAlchemyError):
            return None  # the route says what is wrong
        present = self.tiles.present
        if present is None:
            return None
        sending = self._look_up(present, caller.scopes(Action.VIEW_MAP), scope, send)
        return None if sending is None else await sending

    def _look_up(
        self, present: Present, scopes: tuple[str, ...], scope: Scope, send: Send
    ) -> Coroutine[Any, Any, Any] | None:
        """A tile that nobody with these scopes asked for before, or that is no longer kept."""
        address = scope["path"]
        place = place_of(address)
        if not scopes or place is None or place[0] not in _OWN or place[1] > LAYERS[place[0]].max_zoom:
            return None
        view = present.view(scopes)
        key = view.keys.get(address) or self.tiles.key(present, view, address, place)
        found = self.tiles.find(present, key)
        if found is None:
            return self._made(present, view, place, key, scope, send)
        return self._send(found, scope, send)

    async def _made(self, present: Present, view: View, place: Place, key: bytes, scope: Scope, send: Send) -> Any:
        """Make a tile once, however many ask for it meanwhile; where nothing is kept, for each who asks."""
        future = self._waited_for.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._makers, self.tiles.make, present, view, place, key)
            if self.tiles.cache.limit_bytes:
                self._waited_for[key] = future
                future.add_done_callback(lambda _: self._waited_for.pop(key, None))
        # One who leaves does not take the tile away from the others.
        return await self._send(await asyncio.shield(future), scope, send)

    async def _send(self, tile: Kept, scope: Scope, send: Send) -> Any:
        """Send a tile, or that the caller has it already, in the shortest way there is."""
        sent: _Sent = tile.replies or _prepare(tile)
        accepts_packed = False
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                if value == sent.etag or is_known(tile.etag, value.decode("latin-1")):
                    await send(sent.known)
                    await send(_NOTHING)
                    return self.done
            elif name == b"accept-encoding":
                accepts_packed = b"gzip" in value
        if accepts_packed or not tile.is_packed:
            await send(sent.start)
            await send(sent.body)
            return self.done
        plain = tile.plain()
        await send(_start(200, (*sent.headers, (b"content-length", b"%d" % len(plain)))))
        await send({"type": "http.response.body", "body": plain})
        return self.done


def place_of(address: str) -> Place | None:
    """The tile that an address names, if it can be one."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    layer, z, x, y = found[1], int(found[2]), int(found[3]), int(found[4])
    return (layer, z, x, y) if x < 1 << z and y < 1 << z else None


def _prepare(tile: Kept) -> _Sent:
    etag = tile.etag.encode()
    varying = (b"vary", b"Cookie, Authorization, Accept-Encoding")
    common = ((b"etag", etag), (b"cache-control", b"private, no-cache"), varying)
    typed = ((b"content-type", MEDIA_TYPE.encode()), (b"x-content-type-options", b"nosniff"), *common)
    packed = ((b"content-encoding", b"gzip"),) if tile.is_packed else ()
    length = (b"content-length", b"%d" % len(tile.body))
    start = (200, (*typed, *packed, length)) if tile.body else (204, common)
    sent = _Sent(
        start=_start(*start),
        body={"type": "http.response.body", "body": tile.body},
        known=_start(304, common),
        etag=etag,
        headers=typed,
    )
    tile.replies = sent
    return sent


def _start(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}
