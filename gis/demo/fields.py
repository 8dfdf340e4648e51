"""The outskirts as they look from above: fields in strips, ponds, a lake in the park."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.affinity import rotate
from shapely.geometry import Polygon

from gis.demo.estates import Estate
from gis.demo.footprints import straighten
from gis.demo.land import Plot


def without_hamlets(plots: Sequence[Plot], estates: Sequence[Estate]) -> dict[int, shapely.Geometry]:
    """Ground of each field without the hamlets cut out of it, by the plot's index."""
    hamlets = [estate.polygon for estate in estates if estate.style == "village"]
    tree = shapely.STRtree(hamlets)
    left: dict[int, shapely.Geometry] = {}
    for index, plot in enumerate(plots):
        if plot.use != "field":
            continue
        near = tree.query(plot.polygon, predicate="intersects").tolist()
        ground = plot.polygon
        if near:
            ground = ground.difference(shapely.union_all([hamlets[i] for i in near]).buffer(4))
        left[index] = ground
    return left


def strips(ground: shapely.Geometry, angle: float, rng: np.random.Generator) -> list[Polygon]:
    """Cut a field into strips with paths of 3 m between them."""
    whole = max(shapely.get_parts(ground), key=lambda part: part.area)
    turn = angle + (np.pi / 2 if rng.random() < 0.5 else 0.0)
    straight, pivot = straighten(whole, turn)
    left, low, right, high = straight.bounds
    found: list[Polygon] = []
    y = low
    while y < high:
        depth = float(rng.uniform(55, 120))
        band = straight.intersection(shapely.box(left, y, right, min(y + depth, high)))
        split = left + float(rng.uniform(0.3, 0.7)) * (right - left)
        halves = (shapely.box(left - 1, low - 1, split, high + 1), shapely.box(split, low - 1, right + 1, high + 1))
        for half in halves if right - left > 260 else (straight.envelope,):
            piece = band.intersection(half).buffer(-1.6, join_style="mitre")
            found += [
                rotate(part, turn, origin=pivot, use_radians=True)
                for part in shapely.get_parts(piece)
                if part.geom_type == "Polygon" and part.area > 700
            ]
        y += depth
    return found


def lake(park: Polygon, rng: np.random.Generator) -> Polygon:
    """A lake with a wavy shore within a park."""
    shore = park.buffer(-0.28 * float(np.sqrt(park.area / np.pi)))
    shore = max(shapely.get_parts(shore), key=lambda part: part.area)
    ring = shapely.segmentize(shore.exterior, 12.0)
    coords = shapely.get_coordinates(ring)[:-1]
    centre = coords.mean(axis=0)
    turn = np.arctan2(*(coords - centre).T[::-1])
    wave = 0.78 + 0.13 * np.sin(3 * turn + rng.uniform(0, 6)) + 0.07 * np.sin(5 * turn + rng.uniform(0, 6))
    shape: Polygon = Polygon(centre + (coords - centre) * wave[:, None]).buffer(-5).buffer(5)
    return shape
