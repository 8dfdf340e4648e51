"""A tile's bytes: bounds are checked, the layer's query is run, the ETag is made of the content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.errors import InvalidInput, NotFound
from tiles.layers import MAX_ZOOM, Layer

MEDIA_TYPE = "application/vnd.mapbox-vector-tile"
LONGEST_NUMBER = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """An encoded tile; empty where nothing lies in it.

    ``etag`` is weak because the same tile travels plain or compressed. It differs between scopes even where the bytes
    are equal, so that no cache in between can mix callers up.
    """

    content: bytes
    etag: str


def find(layers: Mapping[str, Layer], name: str) -> Layer:
    """A layer by name.

    Raises
    ------
    NotFound
        ``tile.no_layer``.
    """
    if name not in layers:
        raise NotFound("tile.no_layer", layer=name, known=", ".join(sorted(layers)))
    return layers[name]


def check_place(z: str, x: str, y: str) -> tuple[int, int, int]:
    """Read the three numbers of a tile's address.

    Raises
    ------
    InvalidInput
        ``tile.not_numbers``, ``tile.out_of_range``.
    """
    words = [word[:LONGEST_NUMBER] for word in (z, x, y)]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InvalidInput("tile.not_numbers", z=words[0], x=words[1], y=words[2])
    numbers = int(words[0]), int(words[1]), int(words[2])
    _require_in_range(*numbers)
    return numbers


def _require_in_range(z: int, x: int, y: int) -> None:
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise InvalidInput("tile.out_of_range", z=z, x=x, y=y, max_zoom=MAX_ZOOM)


def make_tile(
    session: Session,
    layer: Layer,
    *,
    z: int,
    x: int,
    y: int,
    scopes: Sequence[str],
    at: datetime,
    plan_id: int | None = None,
) -> Tile:
    """Encode one tile of a layer, limited to what lies in the scopes.

    Parameters
    ----------
    scopes : sequence of str
        Tree paths under which the caller may see it (`gis.permissions.scopes`).
    at : datetime
        The cells in force at this instant are shown, unless ``plan_id`` names a draft.

    Raises
    ------
    InvalidInput
        ``tile.out_of_range``.
    """
    _require_in_range(z, x, y)
    content = b"" if z < layer.min_zoom else _query(session, layer, z, x, y, scopes, at, plan_id)
    return Tile(content, etag_of(content, scopes=scopes))


def joined(made: Sequence[Tile]) -> Tile:
    """Tiles of several layers as one: the messages of protobuf may be put one behind another."""
    digest = hashlib.blake2b("".join(tile.etag for tile in made).encode(), digest_size=12)
    return Tile(b"".join(tile.content for tile in made), f'W/"{digest.hexdigest()}"')


def _query(
    session: Session,
    layer: Layer,
    z: int,
    x: int,
    y: int,
    scopes: Sequence[str],
    at: datetime,
    plan_id: int | None,
) -> bytes:
    given = {"z": z, "x": x, "y": y, "scopes": list(scopes), "at": at, "plan_id": plan_id}
    return bytes(session.execute(text(layer.sql), given).scalar_one() or b"")


def etag_of(content: bytes, *, scopes: Sequence[str]) -> str:
    """A weak entity tag of a tile's content and of the scope it was made for."""
    digest = hashlib.blake2b(content, digest_size=12)
    digest.update(b"\0" + "\0".join(sorted(scopes)).encode())
    return f'W/"{digest.hexdigest()}"'


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the caller's If-None-Match names this tag (weak comparison)."""
    if not if_none_match:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match[:2000].split(",")}
    return "*" in known or etag.removeprefix("W/") in known
