"""Rows without coordinates found by their address, as `gis.geotag` finds it, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from gis.db import unit_of_work
from gis.geotag import BATCH_LIMIT, Place, Tag, geotag
from gis.geotagging.tagging import Found, Resolve
from gis.geotagging.words import APPROXIMATE, NEEDS_FLOOR, NO_PLAN, UNKNOWN_ADDRESS
from gis.permissions import Actor

_BATCH = min(2_000, BATCH_LIMIT)


def resolver(engine: Engine, *, at: datetime, actor: Actor) -> Resolve:
    """A function that finds addresses within the areas of a caller, as of a time; each address once a batch."""

    def resolve(addresses: Sequence[str]) -> list[Found]:
        distinct = list(dict.fromkeys(addresses))
        found: dict[str, Found] = {}
        for begin in range(0, len(distinct), _BATCH):
            batch = distinct[begin : begin + _BATCH]
            with unit_of_work(engine) as session:
                tags = geotag(session, [Place(address=address) for address in batch], at=at, actor=actor)
            found |= {address: _found(tag) for address, tag in zip(batch, tags, strict=True)}
        return [found[address] for address in addresses]

    return resolve


def _found(tag: Tag) -> Found:
    hint = APPROXIMATE if "address_approximate" in tag.flags else 0
    if tag.grid_id is not None:
        return Found(tag.grid_id, tag.lon, tag.lat, hint=hint)
    if tag.how == "none":
        return Found(None, tag.lon, tag.lat, reason=NO_PLAN if tag.community else UNKNOWN_ADDRESS, hint=hint)
    # A building in several cells, of which only unit or floor chooses.
    return Found(None, tag.lon, tag.lat, reason=UNKNOWN_ADDRESS, hint=NEEDS_FLOOR)
