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
from starlette.types import Receive, Scope, Send

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


class Caller(Protocol):
    """Somebody who was let in."""

    def scopes(self, action: Action, /) -> tuple[str, ...]:
        """The paths under which they may do something."""
        ...


class _Replies(NamedTuple):
    """The answers that give one tile. The headers that govern documents stand on none but for what every answer
    carries: a tile is drawn, never shown by itself."""

    whole: Any
    known: Any
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
    reply : callable
        Body, status, headers → an answer of the service.
    """

    tiles: CellTiles
    seen: Callable[[Scope], Caller | None]
    ask: Callable[[Request], Awaitable[Caller]]
    reply: Callable[[bytes, int, tuple[tuple[bytes, bytes], ...]], Any]

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
            return self._asked(scope)
        return self._look_up(present, caller.scopes(Action.VIEW_MAP), scope)

    def at_once(self, scope: Scope) -> Any:
        """Give a tile that is kept and was asked for before by somebody who may see as much."""
        present = self.tiles.present
        if present is None or scope["query_string"] or (caller := self.seen(scope)) is None:
            return None
        view = present.views.get(caller.scopes(Action.VIEW_MAP))
        key = None if view is None else view.keys.get(scope["path"])
        found = None if key is None else self.tiles.find(present, key)
        return None if found is None or scope["method"] != "GET" else self._answer(found, scope)

    async def _asked(self, scope: Scope) -> Any:
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
        found = self._look_up(present, caller.scopes(Action.VIEW_MAP), scope)
        return await found if isinstance(found, Coroutine) else found

    def _look_up(self, present: Present, scopes: tuple[str, ...], scope: Scope) -> Any:
        """A tile that nobody with these scopes asked for before, or that is no longer kept."""
        address = scope["path"]
        place = place_of(address)
        if not scopes or place is None or place[0] not in _OWN or place[1] > LAYERS[place[0]].max_zoom:
            return None
        view = present.view(scopes)
        key = view.keys.get(address) or self.tiles.key(present, view, address, place)
        found = self.tiles.find(present, key)
        if found is None:
            return self._made(present, view, place, key, scope)
        return self._answer(found, scope)

    async def _made(self, present: Present, view: View, place: Place, key: bytes, scope: Scope) -> Any:
        """Make a tile once, however many ask for it meanwhile; where nothing is kept, for each who asks."""
        future = self._waited_for.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._makers, self.tiles.make, present, view, place, key)
            if self.tiles.cache.limit_bytes:
                self._waited_for[key] = future
                future.add_done_callback(lambda _: self._waited_for.pop(key, None))
        # One who leaves does not take the tile away from the others.
        return self._answer(await asyncio.shield(future), scope)

    def _answer(self, tile: Kept, scope: Scope) -> Any:
        """A tile, or that the caller has it already."""
        replies: _Replies = tile.replies or self._prepare(tile)
        accepts_packed = False
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                if value == replies.etag or is_known(tile.etag, value.decode("latin-1")):
                    return replies.known
            elif name == b"accept-encoding":
                accepts_packed = b"gzip" in value
        return replies.whole if accepts_packed or not tile.is_packed else self.reply(tile.plain(), 200, replies.headers)

    def _prepare(self, tile: Kept) -> _Replies:
        etag = tile.etag.encode()
        varying = (b"vary", b"Cookie, Authorization, Accept-Encoding")
        common = ((b"etag", etag), (b"cache-control", b"private, no-cache"), varying)
        typed = ((b"content-type", MEDIA_TYPE.encode()), *common)
        packed = (*typed, (b"content-encoding", b"gzip")) if tile.is_packed else typed
        whole = self.reply(tile.body, 200, packed) if tile.body else self.reply(b"", 204, common)
        made = _Replies(whole, known=self.reply(b"", 304, common), etag=etag, headers=typed)
        tile.replies = made
        return made


def place_of(address: str) -> Place | None:
    """The tile that an address names, if it can be one."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    layer, z, x, y = found[1], int(found[2]), int(found[3]), int(found[4])
    return (layer, z, x, y) if x < 1 << z and y < 1 << z else None
