"""The tiles of the plans in force as this process serves them: the version, who sees what of it, and what is kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine

from gis.artifacts import ArtifactStore
from gis.errors import Conflict
from gis.in_force import InForce
from gis.making import LARGE_FROM
from gis.permissions import EVERYWHERE
from gis.spreading import apart
from tiles.cache import Kept, Shelf, TileCache, kept, write_shelf
from tiles.versions import KIND, Place, Version, View, load, name_of, open_version, readable

log = logging.getLogger("wangge.tiles")

SHELF_KIND, TILES = "tiles", "tiles.bin"
MOST_VIEWS = 2_000
MOST_KEYS = 200_000
"""Addresses that all views together remember before they begin anew; some 50 MB."""


@dataclass(eq=False)
class Present:
    """A version, and what was learned of it. Replaced as a whole when another comes into force."""

    version: Version
    shelf: Shelf | None = None
    views: dict[tuple[str, ...], View] = field(default_factory=dict)
    remembered: int = 0

    def view(self, scopes: tuple[str, ...]) -> View:
        """What somebody with these scopes is shown."""
        found = self.views.get(scopes)
        if found is None:
            if len(self.views) >= MOST_VIEWS:
                self.views.clear()
            found = self.views[scopes] = self.version.view(scopes)
        return found


class _OutdatedError(Exception):
    """Another version is in force by now."""


class CellTiles:
    """Makes, keeps and gives the tiles of grids and micro-grids in force.

    `change` and then `prepare` are called in threads of the keeper, all else where requests are answered. A request
    takes `present` once, so that it is answered from one version.

    Parameters
    ----------
    engine : Engine
    store : ArtifactStore
    limit_bytes : int
        Of one tile, before it is compressed.
    cache_bytes : int
        Of all tiles kept in this process's memory; 0 keeps none, and makes each tile when it is asked for.
    """

    def __init__(self, engine: Engine, store: ArtifactStore, *, limit_bytes: int, cache_bytes: int) -> None:
        self._engine = engine
        self._store = store
        self._limit_bytes = limit_bytes
        self.cache = TileCache(cache_bytes)
        self.present: Present | None = None
        self._keys: tuple[str, str] | None = None
        self._older: Path | None = None
        self.preparing: threading.Thread | None = None
        self._lock = threading.Lock()

    def change(self, now: InForce) -> None:
        """Another version is in force: load it and serve it; what cannot be loaded is left to the database."""
        before, keys = self.present, (now.cells_key, now.people_key)
        try:
            version = open_version(self._engine, now, store=self._store, limit_bytes=self._limit_bytes)
            _warm(version)
        except Conflict:
            raise  # it was another by then: the keeper looks again, and the last one serves as while one is made
        except Exception:
            if keys != self._keys:
                self.present = None  # fresh before quick: cells, or who sees them, may be others
            raise
        self._keys = keys
        if before is None or before.version.name != version.name:
            self.present = Present(version)
        elif before.version.paths != version.paths:
            self.present = Present(version, before.shelf)

    def ahead(self, found: InForce) -> None:
        """Have the cells of a version made that comes into force soon."""
        open_version(self._engine, found, store=self._store, limit_bytes=self._limit_bytes)

    def prepare(self, _: InForce) -> None:
        """Have the tiles of the version made that everybody will ask for: in a thread of its own, since the keeper must
        go on watching, and requests are answered meanwhile."""
        with self._lock:
            if self.preparing is None and self._is_bare():
                self.preparing = threading.Thread(target=self._prepare, name="wangge-shelf", daemon=True)
                self.preparing.start()

    def _is_bare(self) -> bool:
        return self.present is not None and self.present.shelf is None and bool(self.cache.limit_bytes)

    def _prepare(self) -> None:
        """Fill the shelf of the newest version, and of the one that came meanwhile."""
        while True:
            present = self.present
            try:
                if present is not None and present.shelf is None:
                    present.shelf = self._shelf(present.version)
            except _OutdatedError:
                pass
            except Exception:
                log.exception("tiles are made when they are asked for")
                present = None
            with self._lock:
                if present is None or present is self.present:
                    self.preparing = None
                    return

    def _shelf(self, version: Version) -> Shelf:
        """All tiles of a version as those see them who may see everything, made once a machine."""

        def make(folder: Path) -> None:
            began = time.perf_counter()
            if len(version.paths) < LARGE_FROM:
                _fill(folder, version, self._older, is_wanted)
            else:
                held = version.name, self._store.folder / KIND / name, version.paths
                if not apart(_fill_apart, folder, *held, self._older, wanted=is_wanted):
                    raise _OutdatedError
            log.info("tiles of %s made in %.1f s", version.name, time.perf_counter() - began)

        def is_wanted() -> bool:
            return self.present is not None and self.present.version.name == version.name

        name = name_of(version.name, self._limit_bytes)
        shelf = readable(self._store, SHELF_KIND, name, make, lambda folder: Shelf(folder / TILES))
        self._older = self._store.folder / SHELF_KIND / name / TILES
        return shelf

    def key(self, present: Present, view: View, address: str, place: Place) -> bytes:
        """What a tile depends on; remembered by its address."""
        present.remembered += 1
        if present.remembered > MOST_KEYS:
            present.views.clear()
            present.remembered = 0
        key = view.keys[address] = present.version.key(place, view)
        return key

    def tile(self, place: Place, scopes: tuple[str, ...]) -> Kept | None:
        """A tile as somebody with these scopes sees it; None if there is no version yet, or not of this layer."""
        present = self.present
        if present is None or (place[0], place[1]) not in present.version.at:
            return None
        view = present.view(scopes)
        key = present.version.key(place, view)
        return self.find(present, key) or self.make(present, view, place, key)

    def find(self, present: Present, key: bytes) -> Kept | None:
        """A tile that is kept in memory or on the shelf."""
        if not self.cache.limit_bytes:
            return None
        found = self.cache.get(key)
        if found is None and present.shelf is not None:
            found = present.shelf.get(key)
            if found is not None:
                self.cache.put(key, found)
        return found

    def make(self, present: Present, view: View, place: Place, key: bytes) -> Kept:
        """Make a tile, and keep it. Some tenths of a millisecond without the interpreter's lock."""
        content = present.version.encode(place, view)
        made = kept(content, is_packed=bool(self.cache.limit_bytes))
        self.cache.put(key, made)
        return made


def _fill(folder: Path, version: Version, older: Path | None, is_wanted: Callable[[], bool]) -> None:
    """Write the tiles of a version into a folder; those that an older shelf holds already are taken from there."""
    known = _opened(older)
    view = version.view((EVERYWHERE,))
    tiles = {}
    for place in version.places():
        if not is_wanted():
            raise _OutdatedError
        key = version.key(place, view)
        tiles[key] = (known and known.get(key)) or kept(version.encode(place, view))
    write_shelf(folder / TILES, tiles)


def _fill_apart(folder: Path, name: str, cells: Path, paths: Mapping[int, str], older: Path | None) -> None:
    """`_fill`, with the version from its files."""
    _fill(folder, Version(name, load(cells), paths), older, lambda: True)


def _opened(path: Path | None) -> Shelf | None:
    """A shelf, if it is still there to be read."""
    try:
        return None if path is None else Shelf(path)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _warm(version: Version) -> None:
    """Read in what is compiled, and the first pages of the files, before the first request does."""
    view = version.view((EVERYWHERE,))
    for place in islice(version.places(), 1):
        version.encode(place, view)
