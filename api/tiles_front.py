"""Tiles of the plans in force by the shortest way: whoever is known gets what is kept, without the framework.

Whoever is not known yet, another layer, a draft or the past go to the routes of `tiles.router`, which give the same
bytes. An address that can be no tile is refused here, before anybody asks who sent it.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import Receive, Scope, Send

from api.access import AccessCache
from api.front import Reply
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
    access : AccessCache
    """

    tiles: CellTiles
    access: AccessCache

    def __post_init__(self) -> None:
        self._makers = ThreadPoolExecutor(THREADS, thread_name_prefix="wangge-tiles")
        self._waited_for: dict[tuple[int, bytes], asyncio.Future[Kept]] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> Any:  # noqa: ARG002 (the protocol's)
        """Give a tile that is kept; or a coroutine that makes it, or None."""
        present = self.tiles.present
        if present is None or scope["query_string"] or scope["method"] != "GET":
            return None
        caller = self.access.seen(scope)
        if caller is None:
            return None
        scopes = caller.scopes(Action.VIEW_MAP)
        view = present.views.get(scopes)
        if view is not None:
            key = view.keys.get(scope["path"])
            if key is not None:
                found = self.tiles.find(present, key)
                if found is not None:
                    return _reply(found, scope)
        if not scopes:
            return None
        return self._look_up(present, present.view(scopes), scope)

    def _look_up(self, present: Present, view: View, scope: Scope) -> Any:
        """A tile that nobody with this view asked for before, or that is no longer kept."""
        address = scope["path"]
        place = place_of(address)
        if place is None or place[0] not in _OWN or not LAYERS[place[0]].max_zoom >= place[1]:
            return None
        key = view.keys.get(address) or self.tiles.key(present, view, address, place)
        found = self.tiles.find(present, key)
        return self._made(present, view, place, key, scope) if found is None else _reply(found, scope)

    async def _made(self, present: Present, view: View, place: Place, key: bytes, scope: Scope) -> Reply:
        """Make a tile once, however many ask for it meanwhile."""
        # By the version too: one that is replaced meanwhile ends its own way.
        asked = (id(present), key)
        future = self._waited_for.get(asked)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._makers, self.tiles.make, present, view, place, key)
            self._waited_for[asked] = future
            future.add_done_callback(lambda _: self._waited_for.pop(asked, None))
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
