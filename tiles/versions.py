"""A version of the cells in force, as every process of a machine shares it: made once, mapped by all, found by zoom."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gis.artifacts import ArtifactStore
from gis.db import unit_of_work
from gis.in_force import InForce
from gis.making import maker
from gis.permissions import is_within
from tiles import cells, encoding, rows
from tiles.cells import CellLayer, CellTable
from tiles.layers import LAYERS

log = logging.getLogger("wangge.tiles")

KIND = "cells"
FORM = "3"
"""Part of a version's name, so that arrays of another form are never read as these: to be raised when it changes."""
OVERHEAD = 30
"""Bytes that a cell takes beside its commands, about."""
CELL_LAYERS = tuple(rows.KINDS.values())
"""From the top tier down."""
COMMUNITIES = "communities"

Read = TypeVar("Read")
Place = tuple[str, int, int, int]
"""Layer, z, x, y."""


@dataclass(eq=False)
class View:
    """What somebody with some scopes is shown of a version.

    Attributes
    ----------
    seen : tuple of bool arrays
        For each of `Version.layers` whether the cells of a community are shown, by place in `CellLayer.communities`.
    keys : dict of str to bytes
        Address → `Version.key` of its tile; filled as tiles are asked for.
    """

    seen: tuple[NDArray[np.bool_], ...]
    keys: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Version:
    """The cells that govern at an instant.

    Attributes
    ----------
    name : str
        `InForce.cells_key`.
    layers : tuple of CellLayer
        A layer of the map may stand here twice: with its own cells, and with those of the tier above for the zooms at
        which its own would be too many.
    paths : mapping of int to str
        Community → its place in the tree of areas.
    """

    name: str
    layers: tuple[CellLayer, ...]
    paths: Mapping[int, str]

    @cached_property
    def at(self) -> dict[tuple[str, int], int]:
        """Layer of the map and zoom → place in ``layers``."""
        return {(held.layer.name, zoom): place for place, held in enumerate(self.layers) for zoom in held.levels}

    def view(self, scopes: Sequence[str]) -> View:
        """What is shown to somebody who may see these subtrees."""
        shown = [community for community, path in self.paths.items() if any(is_within(path, one) for one in scopes)]
        return View(tuple(np.isin(held.communities, shown) for held in self.layers))

    def key(self, place: Place, view: View) -> bytes:
        """What a tile depends on, as a hash: equal keys mean equal bytes, in whichever version and for whomever.

        It is made of the tile's address and of what the communities near it that are seen give to this zoom.
        """
        layer, z, x, y = place
        digest = hashlib.blake2b(repr(place).encode(), digest_size=cells.DIGEST)
        number = self.at.get((layer, z))
        if number is not None:
            held = self.layers[number]
            near = np.unique(held.community[held.levels[z].cells_of(x, y)])
            digest.update(held.levels[z].digests[near[view.seen[number][near]]].tobytes())
        return digest.digest()

    def encode(self, place: Place, view: View) -> bytes:
        """The bytes of a tile."""
        layer, z, x, y = place
        number = self.at.get((layer, z))
        return b"" if number is None else encoding.encode(self.layers[number], z, x, y, view.seen[number])

    def places(self, zooms: Sequence[int] | None = None) -> Iterator[Place]:
        """The tiles that anything may lie in, coarse ones first."""
        for (layer, zoom), number in sorted(self.at.items(), key=lambda item: (item[0][1], item[0][0])):
            if zooms is None or zoom in zooms:
                for x, y in self.layers[number].levels[zoom].tiles:
                    yield layer, zoom, x, y


def open_version(engine: Engine, now: InForce, *, store: ArtifactStore, limit_bytes: int) -> Version:
    """The version in force, made if this machine has it not yet.

    Parameters
    ----------
    limit_bytes : int
        A zoom at which a tile would have more shows the tier above instead.
    """
    began = time.perf_counter()
    name = name_of(now.cells_key, limit_bytes)
    fill = maker(engine, now, partial(write_layers, limit_bytes=limit_bytes))

    def make(folder: Path) -> None:
        fill(folder)
        log.info("cells of %s made for tiles in %.1f s", name, time.perf_counter() - began)

    layers = readable(store, KIND, name, make, load)
    with unit_of_work(engine) as session:
        return Version(now.cells_key, layers, rows.paths(session, [community for community, _ in now.links]))


def name_of(cells_key: str, limit_bytes: int) -> str:
    """Name of what is kept of a version."""
    return f"{cells_key}-{FORM}-{limit_bytes}"


def write_layers(session: Session, folder: Path, now: InForce, *, limit_bytes: int) -> None:
    """Make the layers of a version into a folder, for `load`."""
    save(folder, build(rows.read(session, now.links), limit_bytes=limit_bytes))


def readable(
    store: ArtifactStore, kind: str, name: str, make: Callable[[Path], None], read: Callable[[Path], Read]
) -> Read:
    """An artifact as it is read; made once more if it cannot be, as after a loss of power."""
    try:
        return read(store.get(kind, name, make))
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.warning("%s %s cannot be read (%s) and is made anew", kind, name, error)
        store.discard(kind, name)
        return read(store.get(kind, name, make))


def build(tables: Mapping[str, CellTable], *, limit_bytes: int) -> list[CellLayer]:
    """Arrays of all layers of cells; with the cells of the tier above for zooms where a tile would be too large."""
    made = []
    for place, name in enumerate(CELL_LAYERS):
        zooms = None
        for tier in (name, *reversed(CELL_LAYERS[:place]), COMMUNITIES):
            table = tables[name] if tier == name else rows.standing_in(_table_of(tables, tier), tier)
            one = cells.build(LAYERS[name], table, zooms=zooms)
            zooms = [] if tier == COMMUNITIES else _heavy(one, limit_bytes)
            made.append(replace(one, levels={zoom: level for zoom, level in one.levels.items() if zoom not in zooms}))
            if not zooms:
                break
    return [one for one in made if one.levels]


def _heavy(held: CellLayer, limit_bytes: int) -> list[int]:
    """Zooms with tiles too large; from near all is drawn, however much it is."""
    return [
        zoom for zoom, level in held.levels.items() if zoom < cells.EXACT_FROM and level.largest(OVERHEAD) > limit_bytes
    ]


def _table_of(tables: Mapping[str, CellTable], tier: str) -> CellTable:
    return rows.communities_of(tables[CELL_LAYERS[0]]) if tier == COMMUNITIES else tables[tier]


def save(folder: Path, made: Sequence[CellLayer]) -> None:
    """Write layers into a folder, for `load`."""
    for number, held in enumerate(made):
        held.save(folder / f"{number}.bin")
    (folder / "layers.json").write_bytes(orjson.dumps([held.layer.name for held in made]))


def load(folder: Path) -> tuple[CellLayer, ...]:
    """Map the layers of a folder."""
    names: list[str] = orjson.loads((folder / "layers.json").read_bytes())
    return tuple(cells.load(folder / f"{number}.bin", LAYERS[name]) for number, name in enumerate(names))
