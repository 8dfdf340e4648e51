"""OGC's addresses of tiles put into our own, in front of everything: the tiles are the same, and as fast."""

from __future__ import annotations

import re
from collections.abc import Awaitable

from starlette.types import Receive, Scope, Send

from api.front import Front, Reply
from gis.listing.things import THINGS

TILE_MATRIX_SET = "WebMercatorQuad"
_ADDRESS = re.compile(rf"/ogc/collections/([a-z_]{{1,30}})/tiles/{TILE_MATRIX_SET}/(\d{{1,3}})/(\d{{1,9}})/(\d{{1,9}})")


class TilePaths:
    """``…/{tileMatrix}/{tileRow}/{tileCol}`` becomes ``/tiles/{layer}/{z}/{x}/{y}.mvt`` for all that comes after."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.layers = {name: thing.layer for name, thing in THINGS.items() if thing.layer}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Reply | Awaitable[Reply | None] | None:
        path = self._translated(scope)
        fast = None if path is None else self.front.find(path)
        return None if fast is None else fast(scope, receive, send)

    def at_once(self, scope: Scope) -> Reply | None:
        """The same, for `api.wire`."""
        path = self._translated(scope)
        at_once = None if path is None else self.front.find_at_once(path)
        return None if at_once is None else at_once(scope)

    def _translated(self, scope: Scope) -> str | None:
        found = _ADDRESS.fullmatch(scope["path"])
        if found is None or found[1] not in self.layers:
            return None
        path = f"/tiles/{self.layers[found[1]]}/{found[2]}/{found[4]}/{found[3]}.mvt"
        scope["path"], scope["raw_path"] = path, path.encode()
        return path
