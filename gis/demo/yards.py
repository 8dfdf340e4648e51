"""What lies between the houses of a compound: lanes and gates, walls, shops on the street, a kindergarten, lawns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.affinity import rotate
from shapely.geometry import LineString, Point, Polygon

from gis.demo.estates import Estate
from gis.demo.footprints import House, box, settle, straighten
from gis.demo.land import nearest_edges
from gis.demo.streets import HALF_WIDTH, Edge, Network

SHOP_DEPTH_M = 10.0
FRONT_M = 17.0
"""Depth of the strip along a street that shops and the pavement before them take."""
REACH_M = 28.0
"""A street is a compound's own if it is no further from its edge."""


@dataclass(frozen=True)
class Front:
    """The side of a compound with shops: its edge along the street, and what is left for houses."""

    edge: shapely.Geometry
    rest: Polygon


@dataclass(frozen=True)
class Yard:
    """Ground metres. Gates are empty where there is no wall."""

    lanes: tuple[LineString, ...] = ()
    gates: tuple[Point, ...] = ()
    shops: tuple[Polygon, ...] = ()
    kindergarten: Polygon | None = None
    lawns: tuple[Polygon, ...] = ()


def fronts(network: Network, estates: Sequence[Estate], rng: np.random.Generator) -> list[Front | None]:
    """Choose the compounds that have shops along an important street."""
    tree, edges = nearest_edges(network)
    found: list[Front | None] = []
    for estate in estates:
        near = [edges[i] for i in tree.query(estate.polygon, predicate="dwithin", distance=REACH_M).tolist()]
        wanted = estate.style in ("slab", "tower") and estate.out < 0.97 and rng.random() < 0.6
        sides: dict[int, list[Edge]] = {}
        for edge in near if wanted else []:
            if edge.kind != "minor":
                sides.setdefault(edge.street, []).append(edge)
        choices = [_front(estate, sides[street]) for street in sorted(sides)]
        found.append(max((c for c in choices if c), key=lambda front: front.edge.length, default=None))
    return found


def _front(estate: Estate, side: Sequence[Edge]) -> Front | None:
    street, half = shapely.union_all([edge.line for edge in side]), HALF_WIDTH[side[0].kind]
    rest = estate.polygon.difference(street.buffer(half + FRONT_M)).buffer(-3).buffer(3, quad_segs=2)
    edge = estate.polygon.exterior.intersection(street.buffer(half + 5))
    if rest.geom_type != "Polygon" or rest.area < 0.62 * estate.polygon.area or edge.length < 50:
        return None
    return Front(shapely.line_merge(edge) if edge.geom_type == "MultiLineString" else edge, rest)


def for_houses(estate: Estate, front: Front | None) -> Estate:
    """The compound as far as houses may stand on it."""
    return estate if front is None else replace(estate, polygon=front.rest)


def lay_yards(
    network: Network,
    estates: Sequence[Estate],
    fronts_: Sequence[Front | None],
    kept: Sequence[Sequence[House]],
    given_up: Sequence[Sequence[House]],
    rng: np.random.Generator,
) -> list[Yard]:
    """Lay out the ground between the houses of every compound."""
    tree, edges = nearest_edges(network)
    streets = np.array([edge.line for edge in edges], dtype=object)
    yards = []
    for estate, front, houses, free in zip(estates, fronts_, kept, given_up, strict=True):
        shapes = [house.polygon for house in houses]
        near = streets[np.sort(tree.query(estate.polygon, predicate="dwithin", distance=REACH_M))]
        lanes, gates = _lanes(estate, shapes, near)
        if not gates:
            gates = _lone_gate(estate, near)
        shops = _shops(estate, front, shapes, [*lanes, *gates], rng) if front else []
        school = _kindergarten(estate, free, lanes, rng)
        taken = [*shapes, *shops, *([school.buffer(6)] if school else []), *(lane.buffer(3) for lane in lanes)]
        yards.append(
            Yard(
                tuple(lanes),
                tuple(gates if estate.is_walled else ()),
                tuple(shops),
                school,
                tuple(_lawns(estate, free, taken)),
            )
        )
    return yards


def _lanes(
    estate: Estate, shapes: Sequence[Polygon], near: Sequence[LineString]
) -> tuple[list[LineString], list[Point]]:
    """Lanes between rows of houses, out to the streets; a gate where a lane leaves."""
    area = estate.polygon.area
    wanted = (0.5,) if area < 42_000 else (0.3, 0.7)
    if len(shapes) < 4 or estate.style == "village":
        return [], []
    straight, pivot = straighten(estate.polygon, estate.angle)
    turned = shapely.bounds([rotate(shape, -estate.angle, origin=pivot, use_radians=True) for shape in shapes])
    gaps = _gaps(turned[:, 1], turned[:, 3])
    inner = straight.buffer(-4)
    _, low, _, high = straight.bounds
    lanes, gates = [], []
    for share in wanted:
        if not gaps:
            break
        y = min(gaps, key=lambda middle: abs(middle - (low + share * (high - low))))
        gaps.remove(y)
        cut = inner.intersection(LineString([(straight.bounds[0], y), (straight.bounds[2], y)]))
        line = max(shapely.get_parts(cut), key=lambda part: part.length, default=None)
        if line is None or line.length < 40:
            continue
        lane = rotate(line, estate.angle, origin=pivot, use_radians=True)
        lane, own = _out_to_streets(lane, estate.polygon, near)
        if own:
            lanes.append(lane)
            gates += own
    return lanes, gates


def _gaps(lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Middles of the gaps of 7 m or more between rows."""
    gaps: list[float] = []
    order = np.argsort(lows)
    reach = highs[order[0]]
    for i in order[1:]:
        if lows[i] - reach >= 7.0:
            gaps.append(float(lows[i] + reach) / 2)
        reach = max(reach, highs[i])
    return gaps


def _out_to_streets(lane: LineString, polygon: Polygon, near: Sequence[LineString]) -> tuple[LineString, list[Point]]:
    """Continue the ends of a lane to the streets that they are close to."""
    coords = [tuple(c) for c in lane.coords]
    gates: list[Point] = []
    for last in (False, True):
        end = Point(coords[-1] if last else coords[0])
        street = min(near, key=end.distance, default=None)
        if street is None or end.distance(street) > REACH_M + 6:
            continue
        link = shapely.shortest_line(end, street)
        across = link.intersection(polygon.exterior)
        if across.is_empty:
            continue
        gates.append(Point(shapely.get_coordinates(across)[0]))
        far = tuple(link.coords[-1])
        coords = [*coords, far] if last else [far, *coords]
    return LineString(coords), gates


def _lone_gate(estate: Estate, near: Sequence[LineString]) -> list[Point]:
    if not len(near):
        return []
    street = max(near, key=lambda line: line.intersection(estate.polygon.buffer(REACH_M)).length)
    middle = street.intersection(estate.polygon.buffer(REACH_M)).centroid
    return [estate.polygon.exterior.interpolate(estate.polygon.exterior.project(middle))]


def _shops(
    estate: Estate,
    front: Front,
    shapes: Sequence[Polygon],
    keep_clear: Sequence[shapely.Geometry],
    rng: np.random.Generator,
) -> list[Polygon]:
    """Low buildings side by side along the street, with openings at the gates."""
    clear = shapely.union_all([*(g.buffer(9) for g in keep_clear), *(shape.buffer(5) for shape in shapes)])
    inner = estate.polygon.buffer(-1.2)
    found: list[Polygon] = []
    for part in shapely.get_parts(front.edge):
        at = 4.0
        while at + 18 < part.length:
            width = min(float(rng.uniform(22, 46)), part.length - at - 2)
            ends = [np.array(part.interpolate(d).coords[0]) for d in (at, at + width)]
            for side in (1.0, -1.0):
                shop = _shop(ends, side)
                if inner.contains(shop) and not shop.intersects(clear) and all(shop.distance(s) > 1.5 for s in found):
                    found.append(shop)
                    break
            at += width + float(rng.uniform(2, 7))
    return list(shapely.set_precision(found, 0.01)) if found else []


def _shop(ends: list[np.ndarray], side: float) -> Polygon:
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    inward = side * np.array([-along[1], along[0]])
    near, far = 2.2 * inward, (2.2 + SHOP_DEPTH_M) * inward
    return Polygon([ends[0] + near, ends[1] + near, ends[1] + far, ends[0] + far])


def _kindergarten(
    estate: Estate, free: Sequence[House], lanes: Sequence[LineString], rng: np.random.Generator
) -> Polygon | None:
    """A kindergarten on one of the places that a large compound gave up."""
    if estate.style not in ("slab", "tower") or estate.polygon.area < 38_000 or not free or rng.random() < 0.35:
        return None
    place = max(free, key=lambda house: house.polygon.area).polygon
    middle = place.centroid
    shape = settle([box(middle.x - 11, middle.y - 6, 22, 12)], estate.polygon, estate.angle, (middle.x, middle.y))[0]
    if shape is None or not place.buffer(3).contains(shape) or any(lane.distance(shape) < 3 for lane in lanes):
        return None
    return shape


def _lawns(estate: Estate, free: Sequence[House], taken: Sequence[shapely.Geometry]) -> list[Polygon]:
    """Lawns where a compound gave up places for houses."""
    if not free or estate.style == "village":
        return []
    lawn = shapely.union_all([place.polygon for place in free]).buffer(9, quad_segs=2).buffer(-4, quad_segs=2)
    lawn = lawn.intersection(estate.polygon.buffer(-4, quad_segs=2))
    near = [shape for shape in taken if shape.distance(lawn) < 4]
    lawn = lawn.difference(shapely.union_all(near).buffer(3.5, quad_segs=2)) if near else lawn
    lawn = lawn.buffer(-2).buffer(2, quad_segs=3).simplify(0.3)
    return [part for part in shapely.get_parts(lawn) if part.area > 200]


def walls(estates: Sequence[Estate], yards: Sequence[Yard]) -> list[LineString]:
    """Walls with openings of 10 m at the gates and none behind shops; a wall between two compounds stands once."""
    found: list[LineString] = []
    rings = np.array([estate.polygon.exterior for estate in estates], dtype=object)
    tree = shapely.STRtree(rings)
    for number, (estate, yard) in enumerate(zip(estates, yards, strict=True)):
        if not estate.is_walled:
            continue
        openings = [gate.buffer(5) for gate in yard.gates] + [shop.buffer(4) for shop in yard.shops]
        line: shapely.Geometry = rings[number].difference(shapely.union_all(openings))
        near = [i for i in tree.query(rings[number], predicate="dwithin", distance=0.5).tolist()
                if i < number and estates[i].is_walled]  # fmt: skip
        if near:
            line = line.difference(shapely.union_all(rings[near]).buffer(0.6))
        merged = shapely.line_merge(line) if line.geom_type == "MultiLineString" else line
        found += [part for part in shapely.get_parts(merged) if part.length > 5]
    return found
