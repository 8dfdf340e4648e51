"""Tiles of the plans in force by the shortest way: whoever is known gets what is kept, without the framework.

Another layer, a draft, the past, and whoever may see nothing go to the routes of `tiles.router`, which give the same
bytes or say what is wrong.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.access import Access, AccessCache
from api.front import Reply
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


class _Replies(NamedTuple):
    """What is sent of one tile: packed, plain, and to those who have it already."""

    packed: Reply
    plain: Reply
    known: Reply
    etag: bytes


@dataclass(eq=False)
class TilesFront:
    """The fast path below ``/tiles/``.

    Parameters
    ----------
    tiles : CellTiles
    ask : callable
        Who sends a request, asking the database if need be.
    access : AccessCache
    """

    tiles: CellTiles
    ask: Callable[[Request], Awaitable[Access]]
    access: AccessCache

    def __post_init__(self) -> None:
        self._makers = ThreadPoolExecutor(THREADS, thread_name_prefix="wangge-tiles")
        self._waited_for: dict[bytes, asyncio.Future[Kept]] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Any:  # noqa: ARG002 (the protocol's)
        """Give a tile that is kept; or a coroutine that makes it, or None."""
        present = self.tiles.present
        if present is None or scope["query_string"] or scope["method"] != "GET":
            return None
        caller = self.access.seen(scope)
        if caller is None:
            return self._asked(scope)
        scopes = caller.scopes(Action.VIEW_MAP)
        view = present.views.get(scopes)
        if view is not None:
            key = view.keys.get(scope["path"])
            if key is not None:
                found = self.tiles.find(present, key)
                if found is not None:
                    return _reply(found, scope)
        return self._look_up(present, scopes, scope)

    async def _asked(self, scope: Scope) -> Reply | None:
        """The same for somebody who is not known yet, or no longer."""
        if (place := place_of(scope["path"])) is None or place[0] not in _OWN:
            return None
        try:
            caller = await self.ask(Request(scope))
        except (GridError, SQLAlchemyError):
            return None  # the route says what is wrong
        present = self.tiles.present
        reply = None if present is None else self._look_up(present, caller.scopes(Action.VIEW_MAP), scope)
        return await reply if isawaitable(reply) else reply

    def _look_up(self, present: Present, scopes: tuple[str, ...], scope: Scope) -> Reply | Awaitable[Reply] | None:
        """A tile that nobody with these scopes asked for before, or that is no longer kept."""
        address = scope["path"]
        place = place_of(address)
        if not scopes or place is None or place[0] not in _OWN or place[1] > LAYERS[place[0]].max_zoom:
            return None
        view = present.view(scopes)
        key = view.keys.get(address) or self.tiles.key(present, view, address, place)
        found = self.tiles.find(present, key)
        return self._made(present, view, place, key, scope) if found is None else _reply(found, scope)

    async def _made(self, present: Present, view: View, place: Place, key: bytes, scope: Scope) -> Reply:
        """Make a tile once, however many ask for it meanwhile."""
        future = self._waited_for.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._makers, self.tiles.make, present, view, place, key)
            self._waited_for[key] = future
            future.add_done_callback(lambda _: self._waited_for.pop(key, None))
        # One who leaves does not take the tile away from the others.
        return _reply(await asyncio.shield(future), scope)


def place_of(address: str) -> Place | None:
    """The tile that an address names, if it can be one."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    layer, z, x, y = found[1], int(found[2]), int(found[3]), int(found[4])
    return (layer, z, x, y) if x < 1 << z and y < 1 << z else None


def _reply(tile: Kept, scope: Scope) -> Reply:
    replies: _Replies = tile.replies or _prepare(tile)
    accepts_packed = False
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            if value == replies.etag or is_known(tile.etag, value.decode("latin-1")):
                return replies.known
        elif name == b"accept-encoding":
            accepts_packed = b"gzip" in value
    if accepts_packed or not tile.is_packed:
        return replies.packed
    plain = replies.plain
    return Reply(tile.plain(), plain.status, plain.headers)


def _prepare(tile: Kept) -> _Replies:
    etag = tile.etag.encode()
    common = ((b"etag", etag), (b"cache-control", b"private, no-cache"), (b"vary", b"Cookie, Accept-Encoding"))
    known = Reply(b"", 304, common)
    if not tile.body:
        empty = Reply(b"", 204, common)
        replies = _Replies(empty, empty, known, etag)
    else:
        typed = ((b"content-type", MEDIA_TYPE.encode()), *common)
        packed = (*typed, (b"content-encoding", b"gzip")) if tile.is_packed else typed
        replies = _Replies(Reply(tile.body, 200, packed), Reply(b"", 200, typed), known, etag)
    tile.replies = replies
    return replies
