"""Tiles kept as they are sent: in memory up to a limit, those that nobody asks for going first, and in files."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tiles import arrays

WORTH_PACKING = 600
"""Bytes from which a tile is compressed: below, a packet more or less is not saved."""
LEVEL = 4
ENTRY = 2500
"""Bytes that a kept tile takes beside its own: its key, and the answers prepared of it."""


@dataclass(slots=True, eq=False)
class Kept:
    """A tile as it is sent.

    Attributes
    ----------
    body : bytes
        Compressed by gzip if ``is_packed``; empty where nothing lies in the tile.
    etag : str
        A weak tag of the content alone: it tells no more than the tile that its caller may have.
    is_wanted : bool
        Whether it was asked for since it was last looked at for letting go.
    replies : object
        Whatever answers are made of it by whoever sends it.
    """

    body: bytes
    is_packed: bool
    etag: str
    is_wanted: bool = False
    replies: Any = field(default=None, repr=False)

    def plain(self) -> bytes:
        """The tile uncompressed."""
        return gzip.decompress(self.body) if self.is_packed else self.body


def kept(content: bytes, *, is_packed: bool = True) -> Kept:
    """A tile made ready to be sent, compressed if that saves anything."""
    etag = f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    if not is_packed or len(content) < WORTH_PACKING:
        return Kept(content, is_packed=False, etag=etag)
    return Kept(gzip.compress(content, LEVEL, mtime=0), is_packed=True, etag=etag)


class TileCache:
    """Tiles by what they depend on (`tiles.versions.Version.key`), up to a number of bytes.

    Parameters
    ----------
    limit_bytes : int
        0 keeps nothing.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._tiles: dict[bytes, Kept] = {}
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Kept | None:
        """A tile that is kept."""
        found = self._tiles.get(key)
        if found is not None:
            found.is_wanted = True
        return found

    def put(self, key: bytes, tile: Kept) -> None:
        """Keep a tile, and let others go for it; one larger than the limit is not kept."""
        size = len(tile.body) + ENTRY
        if size > self.limit_bytes:
            return
        with self._lock:
            old = self._tiles.pop(key, None)
            self.bytes += size - (0 if old is None else len(old.body) + ENTRY)
            self._tiles[key] = tile
            while self.bytes > self.limit_bytes:
                oldest = next(iter(self._tiles))
                gone = self._tiles.pop(oldest)
                if gone.is_wanted:  # a second chance: to the end of the queue
                    gone.is_wanted = False
                    self._tiles[oldest] = gone
                else:
                    self.bytes -= len(gone.body) + ENTRY

    def __len__(self) -> int:
        return len(self._tiles)


class Shelf:
    """Tiles in a file that all processes of a machine map.

    Parameters
    ----------
    path : Path
        As `write_shelf` wrote it.
    """

    def __init__(self, path: Path) -> None:
        held = arrays.load(path)
        self._blob = held["blob"]
        self._first = held["first"].tolist()
        self._etags = held["etags"].view("S28").ravel()
        self._packed = held["packed"]
        keys = held["keys"].tobytes()
        self._place = {keys[16 * place : 16 * place + 16]: place for place in range(len(keys) // 16)}

    def get(self, key: bytes) -> Kept | None:
        """A tile that is there, by its key."""
        place = self._place.get(key)
        if place is None:
            return None
        body = self._blob[self._first[place] : self._first[place + 1]].tobytes()
        return Kept(body, bool(self._packed[place]), self._etags[place].decode())

    def __len__(self) -> int:
        return len(self._place)


def write_shelf(path: Path, tiles: Mapping[bytes, Kept]) -> None:
    """Write tiles by their keys into a file, for `Shelf`."""
    sizes = [len(tile.body) for tile in tiles.values()]
    arrays.save(
        path,
        {
            "blob": np.frombuffer(b"".join(tile.body for tile in tiles.values()), dtype=np.uint8),
            "first": np.cumsum([0, *sizes], dtype=np.int64),
            "keys": np.frombuffer(b"".join(tiles), dtype=np.uint8),
            "etags": np.frombuffer(b"".join(tile.etag.encode() for tile in tiles.values()), dtype=np.uint8),
            "packed": np.array([tile.is_packed for tile in tiles.values()], dtype=bool),
        },
    )
