"""Residential compounds: exactly 168, each with a style of building."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from gis.demo.land import Plot, row_angle
from gis.demo.streets import CORE
from gis.demo.warp import Coords

COMPOUNDS = 168
Style = Literal["tower", "slab", "court", "village"]
SHARES: dict[Style, int] = {"tower": 27, "court": 26, "village": 14, "slab": 101}
"""Compounds of each style; a town of 54 households a building is mostly slab blocks."""
LEAST_AREA_M2 = 6500.0
LEAST_COMPOUNDS = 4
MOST_TOWER_COMPOUNDS = 4
"""In one community: the new quarters are spread, not heaped."""


@dataclass(frozen=True)
class Estate:
    """A compound before it has buildings."""

    community: int
    polygon: Polygon
    middle: Coords
    out: float
    style: Style
    angle: float
    is_walled: bool = True


def lay_out(plots: tuple[Plot, ...], rng: np.random.Generator) -> tuple[tuple[Estate, ...], tuple[Plot, ...]]:
    """Turn the plots for homes into exactly `COMPOUNDS` compounds.

    Returns
    -------
    estates : tuple of Estate
    plots : tuple of Plot
        All plots with their final use: homes that were too many have become shops or offices.
    """
    villages = _villages(plots, rng)
    homes = [plot for plot in plots if plot.use == "home"]
    wanted = COMPOUNDS - len(villages)
    chosen, order = _choose(homes, wanted, rng)
    spare = {id(plot) for plot in order}
    pieces = [Estate(p.community, p.polygon, p.middle, p.out, "slab", p.angle) for p in chosen]
    while len(pieces) < wanted:
        pieces.sort(key=lambda piece: piece.polygon.area)
        pieces += _halve(pieces.pop(), rng)
    estates = _with_styles(pieces, rng) + villages
    final = tuple(replace(plot, use=_other_use(plot, rng)) if id(plot) in spare else plot
                  for plot in plots)  # fmt: skip
    return tuple(sorted(estates, key=lambda e: (e.community, -e.polygon.centroid.y, e.polygon.centroid.x))), final


def _choose(homes: list[Plot], wanted: int, rng: np.random.Generator) -> tuple[list[Plot], list[Plot]]:
    """The plots to live on: the innermost, but four of each community first; and those left over."""
    order = sorted((plot for plot in homes if _is_roomy(plot)), key=lambda plot: plot.out + rng.normal(0, 0.05))
    seen: dict[int, int] = {}
    first: list[Plot] = []
    later: list[Plot] = []
    for plot in order:
        seen[plot.community] = seen.get(plot.community, 0) + 1
        (first if seen[plot.community] <= LEAST_COMPOUNDS else later).append(plot)
    chosen = (first + later)[:wanted]
    taken = {id(plot) for plot in chosen}
    return chosen, [plot for plot in homes if id(plot) not in taken]


def _is_roomy(plot: Plot) -> bool:
    return plot.polygon.area >= LEAST_AREA_M2 and not plot.polygon.buffer(-22).is_empty


def _halve(estate: Estate, rng: np.random.Generator) -> list[Estate]:
    """Put a wall across a compound, roughly through the middle and across its longer side."""
    polygon = estate.polygon
    box = shapely.get_coordinates(polygon.minimum_rotated_rectangle)[:4]
    sides = box[1] - box[0], box[2] - box[1]
    along, across = (sides[0], sides[1]) if np.hypot(*sides[0]) > np.hypot(*sides[1]) else (sides[1], sides[0])
    share = rng.uniform(0.38, 0.62)
    start = polygon.centroid.coords[0] + (share - 0.5) * along
    across = across / np.hypot(*across) * 2000
    far = along / np.hypot(*along) * 4000
    side = Polygon([start - across, start + across, start + across + far, start - across + far])
    halves = []
    for piece in (polygon.intersection(side), polygon.difference(side)):
        parts = shapely.get_parts(piece)
        largest = shapely.set_precision(parts[np.argmax(shapely.area(parts))], 0.001)
        halves.append(replace(estate, polygon=largest, angle=row_angle(largest)))
    return halves


def _with_styles(pieces: list[Estate], rng: np.random.Generator) -> list[Estate]:
    """The innermost become courtyards, the newest quarters near the water tower blocks, the rest slabs."""
    core = np.array([np.hypot(*(piece.middle - CORE)) for piece in pieces]) + rng.normal(0, 130, len(pieces))
    areas = np.array([piece.polygon.area for piece in pieces])
    styles: list[Style] = ["slab"] * len(pieces)
    core += np.where([piece.middle[1] < 0 for piece in pieces], 900, 0)
    courts = np.argsort(core + np.where(areas > 45_000, 500, 0))[: SHARES["court"]]
    for i in courts:
        styles[i] = "court"
    water = np.array([_tower_cost(piece) for piece in pieces]) + rng.normal(0, 0.25, len(pieces))
    water = water + np.where(areas < 14_000, 2.0, 0.0)
    water[courts] = np.inf
    counts: dict[int, int] = {}
    for i in np.argsort(water):
        community = pieces[i].community
        if sum(counts.values()) < SHARES["tower"] and counts.get(community, 0) < MOST_TOWER_COMPOUNDS:
            counts[community] = counts.get(community, 0) + 1
            styles[i] = "tower"
    return [
        replace(piece, style=style, is_walled=style != "court" and rng.random() < 0.9)
        for piece, style in zip(pieces, styles, strict=True)
    ]


def _tower_cost(piece: Estate) -> float:
    u, v = piece.middle
    south = abs(v + 420) / 420 if v < 0 else 1.1 + abs(v - 200) / 700
    east = np.hypot(u - 1750, v - 450) / 700
    return float(min(south + abs(u - 250) / 1500, 0.5 + east))


def _villages(plots: tuple[Plot, ...], rng: np.random.Generator) -> list[Estate]:
    """Hamlets at the roadside, cut out of the corners of fields."""
    fields = [plot for plot in plots if plot.use == "field" and plot.polygon.area > 60_000 and plot.out < 1.75]
    communities = sorted({plot.community for plot in fields})
    rng.shuffle(communities)
    chosen: list[Estate] = []
    turn = 0
    while len(chosen) < SHARES["village"] and turn < 200:
        community = communities[turn % len(communities)]
        turn += 1
        own = [plot for plot in fields if plot.community == community]
        plot = own[int(rng.integers(len(own)))]
        ring = plot.polygon.exterior
        spot = ring.interpolate(rng.random(), normalized=True)
        radius = rng.uniform(75, 125)
        disc = _blob(spot.coords[0], radius, rng)
        ground = disc.intersection(plot.polygon.buffer(-2))
        if ground.geom_type != "Polygon" or ground.area < 11_000:
            continue
        if any(ground.distance(other.polygon) < 40 for other in chosen):
            continue
        chosen.append(
            Estate(community, shapely.set_precision(ground, 0.001), plot.middle, plot.out, "village",
                   _street_angle(ring, spot), is_walled=False)
        )  # fmt: skip
    return chosen


def _blob(centre: tuple[float, ...], radius: float, rng: np.random.Generator) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    r = radius * (1 + 0.12 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(2 * angle + rng.uniform(0, 6)))
    return Polygon(np.column_stack([centre[0] + r * np.cos(angle), centre[1] + r * np.sin(angle)]))


def _street_angle(ring: LineString, spot: shapely.Point) -> float:
    at = ring.project(spot)
    (x0, y0), (x1, y1) = ring.interpolate(at - 10).coords[0], ring.interpolate(at + 10).coords[0]
    return (float(np.arctan2(y1 - y0, x1 - x0)) + np.pi / 4) % (np.pi / 2) - np.pi / 4


def _other_use(plot: Plot, rng: np.random.Generator) -> str:
    """What a plot becomes that nobody lives on."""
    if not _is_roomy(plot):
        return "pocket"
    choices = ("shops", "office", "pocket", "pocket") if plot.out < 0.85 else ("office", "pocket", "industry", "office")
    return str(rng.choice(choices))
