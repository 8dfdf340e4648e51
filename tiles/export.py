"""All tiles of an area in one file, PMTiles 3: for machines without this service, behind any web server or none.

Layers are put together in each tile. Equal tiles are stored once; tiles in which nothing lies are not stored.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import listing
from gis.errors import InvalidInput
from tiles import mvt
from tiles.cache import LEVEL
from tiles.layers import BUFFER, EXTENT, Layer
from tiles.tilejson import vector_layers
from tiles.versions import Version

GENERATOR = "Wangge"
MAGIC = b"PMTiles"
LOWEST, HIGHEST = 5, 16
_E7 = 10_000_000
_SOURCES = text(
    "SELECT DISTINCT source FROM admin_area WHERE source IS NOT NULL AND path <@ ANY(CAST(:scopes AS ltree []))"
    " ORDER BY source"
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Exported:
    """What a file holds: tiles that are addressed and tiles that differ, and its bytes."""

    tiles: int
    different: int
    size: int


def export(
    session: Session,
    path: Path,
    *,
    layers: Sequence[Layer],
    zooms: range,
    scope: str,
    at: datetime,
    version: Version,
    name: str,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, _total: items,
) -> Exported:
    """Write the tiles of what lies under a path of the tree of areas.

    Parameters
    ----------
    layers : sequence of Layer
    zooms : range
        Within `LOWEST` … `HIGHEST`.
    at : datetime
        What was in force then is shown.
    version : Version
        The cells in force then.
    progress : callable
        Is handed what is worked on and how much that is, and hands it on.

    Raises
    ------
    InvalidInput
        ``tiles.bad_zooms``; ``tiles.nothing`` where nothing lies.
    """
    if not zooms or zooms.step != 1 or zooms[0] < LOWEST or zooms[-1] > HIGHEST:
        raise InvalidInput("tiles.bad_zooms", lowest=LOWEST, highest=HIGHEST)
    box = listing.extent(session, scopes=(scope,))
    if box == listing.WORLD:
        raise InvalidInput("tiles.nothing")
    # Between two questions to the database any time may pass: tiles of cells ask nothing.
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    sources = list(session.execute(_SOURCES, {"scopes": [scope]}).scalars())
    places = sorted((zxy_to_tileid(*place), place) for zoom in zooms for place in tiles_of(box, zoom))
    view = version.view((scope,))
    with path.open("wb") as file:
        writer = Writer(file)
        for number, (z, x, y) in progress(places, len(places)):
            content = b""
            for layer in layers:
                if (layer.name, z) in version.at:
                    content += version.encode((layer.name, z, x, y), view)
                elif z >= layer.min_zoom:
                    content += mvt.make_tile(session, layer, z=z, x=x, y=y, scopes=(scope,), at=at).content
            if content:
                writer.write_tile(number, gzip.compress(content, LEVEL, mtime=0))
        if not writer.tile_entries:
            raise InvalidInput("tiles.nothing")
        writer.finalize(_header(box, zooms), _metadata(name, layers, at, sources))
        return Exported(writer.addressed_tiles, len(writer.hash_to_offset), file.tell())


def tiles_of(box: Box, zoom: int) -> Iterator[tuple[int, int, int]]:
    """The tiles that a box in degrees touches, their margin included."""
    west, south, east, north = box
    margin = BUFFER / EXTENT
    last = (1 << zoom) - 1
    left, top = _unit(west, north, zoom)
    right, bottom = _unit(east, south, zoom)
    for x in range(max(0, math.floor(left - margin)), min(last, math.floor(right + margin)) + 1):
        for y in range(max(0, math.floor(top - margin)), min(last, math.floor(bottom + margin)) + 1):
            yield zoom, x, y


def _unit(lon: float, lat: float, zoom: int) -> tuple[float, float]:
    turns = 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)
    return (lon / 360 + 0.5) * (1 << zoom), turns * (1 << zoom)


def _header(box: Box, zooms: range) -> dict[str, Any]:
    west, south, east, north = (round(degrees * _E7) for degrees in box)
    return {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": min(max(12, zooms[0]), zooms[-1]),
        "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }


def _metadata(name: str, layers: Sequence[Layer], at: datetime, sources: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"In force at {at.isoformat(timespec='seconds')}",
        "type": "overlay",
        "generator": GENERATOR,
        "attribution": "; ".join(sources) or GENERATOR,
        "vector_layers": vector_layers(layers),
    }


def is_ours(path: Path) -> bool:
    """Whether a file is one that `export` wrote."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return False
            return bool(Reader(MmapSource(file)).metadata().get("generator") == GENERATOR)
    except Exception:  # whatever a broken file makes its reader do
        return False
