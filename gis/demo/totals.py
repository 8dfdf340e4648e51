"""Exact totals: so many buildings and households, whatever the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from gis.demo.estates import Estate
from gis.demo.footprints import House
from gis.errors import Infeasible

BUILDINGS = 1800
HOUSEHOLDS = 96_817
WANTED = {"tower": 190, "slab": 950, "court": 480, "village": 180}
LIMITS = {"tower": (18, 33), "slab": (5, 11)}


@dataclass(frozen=True)
class Home:
    """A residential building: its compound's index, its ground plan and its households."""

    estate: int
    house: House
    households: int


def choose(
    estates: tuple[Estate, ...], places: list[list[House]], rng: np.random.Generator
) -> tuple[list[list[House]], list[list[House]]]:
    """Keep exactly `BUILDINGS` of the places; each compound gives up some, side by side, as its garden.

    Returns
    -------
    kept, given_up : lists of lists of House, one a compound
    """
    room = np.array([len(own) for own in places])
    counts = np.zeros(len(estates), dtype=int)
    left = BUILDINGS
    for style in ("tower", "court", "village", "slab"):
        own = np.array([estate.style == style for estate in estates])
        wanted = left if style == "slab" else WANTED[style]
        counts[own] = apportion(room[own], min(wanted, int(room[own].sum())))
        left -= int(counts[own].sum())
    if left > int((room - counts).sum()):
        raise Infeasible("demo.no_room", buildings=BUILDINGS, room=int(room.sum()))
    counts += apportion(room - counts, left)
    kept, given_up = [], []
    for estate, houses, count in zip(estates, places, counts.tolist(), strict=True):
        order = _from_garden(estate, houses, rng)
        kept.append([houses[i] for i in sorted(order[:count])])
        given_up.append([houses[i] for i in sorted(order[count:])])
    return kept, given_up


def _from_garden(estate: Estate, own: list[House], rng: np.random.Generator) -> list[int]:
    """Places by distance from a point where a garden would be, furthest first."""
    if not own:
        return []
    box = estate.polygon.bounds
    centre = np.array(estate.polygon.centroid.coords[0])
    spot = centre + rng.normal(0, 0.12, 2) * np.array([box[2] - box[0], box[3] - box[1]])
    away = shapely.distance([house.polygon for house in own], shapely.Point(spot))
    return list(np.argsort(-away, kind="stable"))


def apportion(room: NDArray[np.int_], total: int) -> NDArray[np.int_]:
    """Whole numbers in proportion to `room`, none above it, that sum to `total` (largest remainders)."""
    if not total:
        return np.zeros_like(room)
    share = room * (total / room.sum())
    counts: NDArray[np.int_] = np.minimum(np.maximum(np.floor(share).astype(int), np.minimum(room, 1)), room)
    order = np.argsort(-(share - counts), kind="stable")
    step = 0
    while counts.sum() != total:
        i = order[step % len(order)] if counts.sum() < total else order[-1 - step % len(order)]
        sign = 1 if counts.sum() < total else -1
        if 0 <= counts[i] + sign <= room[i]:
            counts[i] += sign
        step += 1
    return counts


def people_them(kept: list[list[House]], rng: np.random.Generator) -> list[Home]:
    """Give every building its households so that they sum to `HOUSEHOLDS`.

    Whole compounds gain or lose storeys first; the last few households are flats joined, or let as shops.
    """
    groups = [list(own) for own in kept]
    order = [i for i in rng.permutation(len(groups)).tolist() if groups[i] and groups[i][0].kind in LIMITS]
    for _ in range(40):
        missing = HOUSEHOLDS - sum(_flats(house) for own in groups for house in own)
        changed = False
        for i in order:
            step = int(np.sign(missing))
            higher = [replace(house, floors=house.floors + step) for house in groups[i]]
            gain = sum(map(_flats, higher)) - sum(map(_flats, groups[i]))
            if abs(missing - gain) < abs(missing) and all(map(_usual, higher)):
                groups[i], missing, changed = higher, missing - gain, True
        if not changed:
            break
    homes = [Home(i, house, _flats(house)) for i, own in enumerate(groups) for house in own]
    return _settle_rest(homes, rng)


def _usual(house: House) -> bool:
    low, high = LIMITS[house.kind]
    if not low <= house.floors <= high:
        return False
    if house.kind == "tower":
        return 104 <= _flats(house) <= 286
    return 10 <= house.floors * house.flats <= 30


def _flats(house: House) -> int:
    if house.kind == "village":
        return house.flats
    return house.floors * house.units * house.flats


def _settle_rest(homes: list[Home], rng: np.random.Generator) -> list[Home]:
    counts = np.array([home.households for home in homes])
    first = counts.copy()
    usable = np.array([home.house.kind == "slab" or home.house.kind == "tower" for home in homes])
    low = np.array([100 if home.house.kind == "tower" else 10 * home.house.units for home in homes])
    high = np.array([290 if home.house.kind == "tower" else 30 * home.house.units for home in homes])
    while (missing := HOUSEHOLDS - int(counts.sum())) != 0:
        step = int(np.sign(missing))
        free = np.flatnonzero(usable & (counts + step >= low) & (counts + step <= high) & (np.abs(counts - first) < 12))
        if not len(free):
            raise Infeasible("demo.no_room_for_households", missing=missing)
        counts[rng.permutation(free)[: abs(missing)]] += step
    return [replace(home, households=int(count)) for home, count in zip(homes, counts, strict=True)]
