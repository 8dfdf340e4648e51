"""Ground plans of buildings, in rows, as they stand in such towns: long sides to the south."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.affinity import rotate
from shapely.geometry import Polygon

from gis.demo.estates import Estate

MARGIN_M = 2.0


@dataclass(frozen=True)
class House:
    """A place for a building: ground plan in ground metres, storeys, staircases, homes on a storey of a staircase."""

    polygon: Polygon
    floors: int
    units: int
    flats: int
    kind: str


@dataclass(frozen=True)
class Row:
    """Measures of a style in metres."""

    depth: float
    pitch: float
    gap: float
    setback: float


def houses_of(estate: Estate, rng: np.random.Generator, *, closer_m: float = 0.0) -> list[House]:
    """All places for buildings that a compound has room for, at least one.

    ``closer_m`` moves the rows of slab and tower blocks together.
    """
    draw = {"tower": _towers, "slab": _slabs, "court": _courts, "village": _village}[estate.style]
    # A compound too narrow for its style gets the small houses of the old town.
    return draw(estate.polygon, estate.angle, rng, closer_m) or _courts(estate.polygon, estate.angle, rng, 0.0)


def spans(polygon: Polygon, row: Row) -> list[tuple[float, float, float]]:
    """Where rows of a depth fit into a polygon already turned straight: (left, right, bottom) of each."""
    inner = polygon.buffer(-row.setback)
    if inner.is_empty:
        return []
    left, low, right, high = inner.bounds
    count = int((high - low - row.depth) // row.pitch) + 1
    if count < 1:
        return []
    slack = (high - low - row.depth) - (count - 1) * row.pitch
    pitch = row.pitch + (slack / count if count > 1 else 0)
    bottoms = low + slack / (2 * count) + pitch * np.arange(count) if count > 1 else np.array([low + slack / 2])
    heights = (bottoms[:, None] + np.array([0.0, 0.5, 1.0]) * row.depth).ravel()
    lines = shapely.linestrings([[(left - 1, y), (right + 1, y)] for y in heights])
    cuts = shapely.intersection(lines, inner)
    result = []
    for number, bottom in enumerate(bottoms):
        parts = [_longest(cut) for cut in cuts[3 * number : 3 * number + 3]]
        start, end = max(p[0] for p in parts), min(p[1] for p in parts)
        if end > start:
            result.append((start, end, float(bottom)))
    return result


def _longest(cut: shapely.Geometry) -> tuple[float, float]:
    parts = shapely.get_parts(cut)
    if not len(parts):
        return (0.0, 0.0)
    bounds = parts[np.argmax(shapely.length(parts))].bounds
    return (bounds[0], bounds[2])


def straighten(polygon: Polygon, angle: float) -> tuple[Polygon, tuple[float, float]]:
    """Turn a polygon so that its rows run east; gives the pivot to turn back about."""
    pivot = polygon.centroid.coords[0]
    return rotate(polygon, -angle, origin=pivot, use_radians=True), (pivot[0], pivot[1])


def settle(shapes: list[Polygon], polygon: Polygon, angle: float, pivot: tuple[float, float]) -> list[Polygon | None]:
    """Turn plans back onto the ground, rounded to the centimetre; ``None`` for one that leaves its plot."""
    if not shapes:
        return []
    turned = shapely.set_precision([rotate(s, angle, origin=pivot, use_radians=True) for s in shapes], 0.01)
    inner = polygon.buffer(-MARGIN_M)
    fits = shapely.contains_properly(inner, turned)
    return [shape if fit and shape.geom_type == "Polygon" else None for shape, fit in zip(turned, fits, strict=True)]


def box(x: float, y: float, width: float, depth: float) -> Polygon:
    return Polygon([(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)])


def _towers(polygon: Polygon, angle: float, rng: np.random.Generator, closer_m: float) -> list[House]:
    straight, pivot = straighten(polygon, angle)
    width, depth = rng.uniform(26, 34), rng.uniform(19, 23)
    row = Row(depth, depth + rng.uniform(38, 50) - closer_m, rng.uniform(20, 30), 10.0)
    floors = int(rng.choice([18, 24, 26, 28, 30, 32]))
    units = 1 if width < 29 else 2
    flats = int(rng.choice([4, 6] if units == 1 else [3, 4]))
    floors = max(floors, -(-104 // (units * flats)))
    form = int(rng.integers(3))
    shapes = []
    for number, (left, right, bottom) in enumerate(spans(straight, row)):
        count = int((right - left + row.gap) // (width + row.gap))
        if count < 1:
            continue
        gap = min(row.gap * 2, (right - left - count * width) / max(count - 1, 1)) if count > 1 else 0.0
        spare = right - left - count * width - (count - 1) * gap
        start = left + spare * (0.5 if count == 1 else (0.2, 0.8)[number % 2])
        shapes += [_tower(start + i * (width + gap), bottom, width, depth, form) for i in range(count)]
    placed = settle(shapes, polygon, angle, pivot)
    return [House(p, floors, units, flats, "tower") for p in placed if p is not None]


def _tower(x: float, y: float, w: float, d: float, form: int) -> Polygon:
    """A tower's plan: a slab with a bay, a butterfly, or a cross."""
    if form == 0:
        return Polygon([(x, y + 4), (x + w * 0.3, y + 4), (x + w * 0.3, y), (x + w * 0.7, y), (x + w * 0.7, y + 4),
                        (x + w, y + 4), (x + w, y + d), (x, y + d)])  # fmt: skip
    if form == 1:
        return Polygon([(x, y), (x + w * 0.35, y), (x + w * 0.42, y + 5), (x + w * 0.58, y + 5), (x + w * 0.65, y),
                        (x + w, y), (x + w, y + d * 0.7), (x + w * 0.6, y + d), (x + w * 0.4, y + d),
                        (x, y + d * 0.7)])  # fmt: skip
    a, b = w * 0.22, d * 0.25
    return Polygon([(x + a, y), (x + w - a, y), (x + w - a, y + b), (x + w, y + b), (x + w, y + d - b),
                    (x + w - a, y + d - b), (x + w - a, y + d), (x + a, y + d), (x + a, y + d - b), (x, y + d - b),
                    (x, y + b), (x + a, y + b)])  # fmt: skip


def _slabs(polygon: Polygon, angle: float, rng: np.random.Generator, closer_m: float) -> list[House]:
    straight, pivot = straighten(polygon, angle)
    high = rng.random() < 0.16
    floors = int(rng.choice([9, 11])) if high else int(rng.choice([5, 6, 6, 6, 7]))
    flats = 2 if high or rng.random() < 0.65 else 3
    unit = rng.uniform(14.5, 17) + (3.0 if flats == 3 else 0.0)
    depth = rng.uniform(11.5, 14)
    row = Row(
        depth, depth + (32 if high else 17) + rng.uniform(0, 7) - closer_m, rng.uniform(9, 14), rng.uniform(6.5, 9)
    )
    stagger = float(rng.choice([0.0, 0.0, 0.0, 2.4]))
    largest = int(rng.integers(3, 7))
    shapes, counts = [], []
    for left, right, bottom in spans(straight, row):
        lengths = _fill(right - left, unit, row.gap, largest, rng)
        if not lengths:
            continue
        spare = right - left - sum(lengths) * unit - (len(lengths) - 1) * row.gap
        extra = min(spare / max(len(lengths) - 1, 1), 9.0) if len(lengths) > 1 else 0.0
        x = left + (spare - extra * (len(lengths) - 1)) * rng.uniform(0.3, 0.7)
        for count in lengths:
            shapes.append(_slab(x, bottom, unit, count, depth, stagger))
            counts.append(count)
            x += count * unit + row.gap + extra
    placed = settle(shapes, polygon, angle, pivot)
    return [House(p, floors, n, flats, "slab") for p, n in zip(placed, counts, strict=True) if p is not None]


def _fill(length: float, unit: float, gap: float, largest: int, rng: np.random.Generator) -> list[int]:
    """Numbers of staircases of the blocks of a row that fit into a length."""
    counts: list[int] = []
    while True:
        room = int((length - (gap if counts else 0)) // unit)
        if room < 2:
            return counts
        wanted = int(rng.integers(2, largest + 1)) if largest > 2 else 2
        count = room if room <= wanted or (room < wanted + 2 and room <= largest) else wanted
        count = min(count, largest, 6)
        length -= count * unit + (gap if counts else 0)
        counts.append(count)


def _slab(x: float, y: float, unit: float, count: int, depth: float, stagger: float) -> Polygon:
    if not stagger or count < 3:
        return box(x, y, unit * count, depth)
    lower, upper = [], []
    for i in range(count):
        shift = stagger * (i % 2)
        lower += [(x + i * unit, y + shift), (x + (i + 1) * unit, y + shift)]
        upper += [(x + i * unit, y + depth - stagger + shift), (x + (i + 1) * unit, y + depth - stagger + shift)]
    return Polygon(lower + upper[::-1])


def _courts(polygon: Polygon, angle: float, rng: np.random.Generator, _closer_m: float) -> list[House]:
    """Old courtyards round a yard each, with a few walk-ups of the 1980s between them."""
    straight, pivot = straighten(polygon, angle)
    row = Row(rng.uniform(15, 19), 0, rng.uniform(5, 8), 4.5)
    row = Row(row.depth, row.depth + rng.uniform(6, 9), row.gap, row.setback)
    shapes: list[Polygon] = []
    facts: list[tuple[int, int, int, str]] = []
    for left, right, bottom in spans(straight, row):
        x = left + rng.uniform(0, 4)
        while x + 14 < right:
            if rng.random() < 0.13 and x + 34 < right:
                units = 2 if x + 48 > right else 3
                shapes.append(box(x, bottom + rng.uniform(0, 3), 15.5 * units, 11.5))
                facts.append((5, units, 2, "walkup"))
                x += 15.5 * units + row.gap
                continue
            width = min(rng.uniform(14, 24), right - x)
            shapes.append(_court(x, bottom, width, row.depth, int(rng.integers(5))))
            facts.append((int(rng.choice([1, 1, 2])), 1, int(rng.integers(3, 7)), "court"))
            x += width + row.gap * rng.uniform(0.8, 1.6)
    placed = settle(shapes, polygon, angle, pivot)
    return [House(p, f[0], f[1], f[2], f[3]) for p, f in zip(placed, facts, strict=True) if p is not None]


def _court(x: float, y: float, w: float, d: float, form: int) -> Polygon:
    wing = 5.2
    if form == 0:
        return box(x, y, w, d).difference(box(x + wing, y, w - 2 * wing, d - wing))
    if form == 1:
        return Polygon([(x, y), (x + wing, y), (x + wing, y + d - wing), (x + w, y + d - wing), (x + w, y + d),
                        (x, y + d)])  # fmt: skip
    if form == 2:
        return box(x, y + d - 8, w, 8)
    if form == 3:
        return Polygon(box(x, y, w, d).exterior, [box(x + wing, y + wing, w - 2 * wing, d - 2 * wing).exterior.coords])
    return Polygon([(x, y), (x + w, y), (x + w, y + d), (x + w - wing, y + d), (x + w - wing, y + wing), (x, y + wing)])


def _village(polygon: Polygon, angle: float, rng: np.random.Generator, _closer_m: float) -> list[House]:
    straight, pivot = straighten(polygon, angle)
    row = Row(8.0, rng.uniform(21, 26), 7.0, 4.0)
    shapes, facts = [], []
    for left, right, bottom in spans(straight, row):
        x = left + rng.uniform(0, 8)
        while x + 11 < right:
            terrace = rng.random() < 0.35 and x + 36 < right
            width = rng.uniform(26, 36) if terrace else rng.uniform(10, 14)
            shapes.append(box(x, bottom + rng.uniform(-1.5, 1.5), width, rng.uniform(6.5, 8.5)))
            one_home = (int(rng.choice([1, 2])), int(rng.integers(1, 3)))
            facts.append((1, int(rng.integers(4, 8))) if terrace else one_home)
            x += width + row.gap * rng.uniform(0.8, 2.2)
    placed = settle(shapes, polygon, angle, pivot)
    return [House(p, f, 1, n, "village") for p, (f, n) in zip(placed, facts, strict=True) if p is not None]
