"""Several areas as one coverage: neighbours share every corner of their border, whoever made it.

Areas (communities, parcels) are surveyed by themselves; where one's cells meet the common border its neighbour knows
nothing of it. `stitched` gives both the same corners afterwards, `simplify_coverage` takes corners out on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis.geometry import FloatArray, Geometries, IntArray, Lattice, dissolve, keys_of, segments_of

# A point on the lattice is at most 0.7 steps from the side that it stands for; a side bent to such a point, twice that.
_ON_SIDE = 1.5


@dataclass(frozen=True, slots=True)
class _Stitches:
    """Points to add to sides, by side and in the order from its end with the lower number to the other.

    Attributes
    ----------
    ends : int array, shape (ends,)
        Keys of the sides' ends, sorted; an end's number is its place in here.
    side : int array, shape (sides,)
        Lower number times ``len(ends)`` plus higher number, sorted.
    first, count : int arrays, shape (sides,)
    points : float array, shape (points, 2)
    """

    ends: IntArray
    side: IntArray
    first: IntArray
    count: IntArray
    points: FloatArray


def stitched(layers: Sequence[Geometries], areas: Sequence[IntArray]) -> list[Geometries]:
    """Give polygons each vertex that a neighbouring area's polygons have on the common border.

    Parameters
    ----------
    layers : sequence of arrays of polygons
        On one lattice; each layer covers the same areas, the later ones more finely. In every area each layer is a
        coverage (or several polygons that are the same), and areas side by side share the corners of their outlines.
    areas : sequence of int arrays
        The area of each polygon of each layer.

    Returns
    -------
    list of arrays of polygons
        Each layer a coverage over all areas, in which a polygon is still the union of those it was the union of.
        Sides move by less than a step of the lattice.
    """
    stitches = _missing_points(layers[0], areas[0])
    return [_with_points(layer, stitches) if len(stitches.side) else layer for layer in layers]


def stitched_wgs84(layers: Sequence[Geometries], areas: Sequence[IntArray]) -> list[Geometries]:
    """`stitched` for polygons in degrees (EPSG:4326) as the lattice gives them.

    Polygons that need no corner are handed back themselves. An area whose finest layer would no longer be a valid
    coverage (its neighbour drew their border elsewhere, a centimetre away) keeps its own polygons.
    """
    if not sum(len(layer) for layer in layers) or len(np.unique(areas[0])) < 2:
        return list(layers)
    lattice = Lattice.at(shapely.box(*shapely.total_bounds(layers[0])))
    old = [lattice.from_wgs84(layer) for layer in layers]
    new = stitched(old, areas)
    changed = [np.array([a is not b for a, b in zip(was, now, strict=True)]) for was, now in zip(old, new, strict=True)]
    touched = np.unique(areas[-1][changed[-1]])
    broken = [area for area in touched if _breaks(old[-1][areas[-1] == area], new[-1][areas[-1] == area])]
    result = []
    for layer, made, differs, area in zip(layers, new, changed, areas, strict=True):
        kept = differs & ~np.isin(area, broken)
        both = layer.copy()
        both[kept] = lattice.to_wgs84(made[kept])
        result.append(both)
    return result


def _breaks(old: Geometries, new: Geometries) -> bool:
    return bool(_is_coverage(old) and not _is_coverage(new))


def _is_coverage(polygons: Geometries) -> bool:
    """Whether polygons, several of which may be the same, are valid and a valid coverage."""
    one = polygons[np.unique(shapely.to_wkb(polygons), return_index=True)[1]]
    return bool(shapely.is_valid(one).all() and shapely.coverage_is_valid(one))


def _missing_points(polygons: Geometries, area: IntArray) -> _Stitches:
    parts, of = shapely.get_parts(polygons, return_index=True)
    one = np.unique(shapely.to_wkb(parts), return_index=True)[1]  # cells over one another are the same polygon
    sides = segments_of(parts[one])
    outer = sides.face[:, 1] < 0
    start, end = sides.start[outer], sides.end[outer]
    home = area[of[one]][sides.face[outer, 0]]
    corner = np.unique(np.column_stack([np.vstack([start, end]), np.tile(home, 2)]), axis=0)
    tree = shapely.STRtree(shapely.linestrings(np.stack([start, end], axis=1)))
    point, side = tree.query(shapely.points(corner[:, :2]), predicate="dwithin", distance=_ON_SIDE)
    point, side = point[corner[point, 2] != home[side]], side[corner[point, 2] != home[side]]
    way, off = end[side] - start[side], corner[point, :2] - start[side]
    length = np.hypot(*way.T)
    along = (way * off).sum(axis=1) / length
    kept = (along > 0.5) & (along < length - 0.5)
    point, side, along = point[kept], side[kept], along[kept]
    known = set(map(tuple, corner.tolist()))  # no area takes a corner that it has elsewhere
    asked = np.column_stack([corner[point, :2], home[side]])
    new = np.array([tuple(row) not in known for row in asked.tolist()], dtype=bool)
    return _as_stitches(start[side[new]], end[side[new]], along[new], corner[point[new], :2])


def _as_stitches(start: FloatArray, end: FloatArray, along: FloatArray, points: FloatArray) -> _Stitches:
    ends, number = np.unique(keys_of(np.vstack([start, end])), return_inverse=True)
    tail, head = number[: len(start)], number[len(start) :]
    side = np.minimum(tail, head) * len(ends) + np.maximum(tail, head)
    order = np.lexsort((np.where(tail < head, along, -along), side))
    # The same point may come from several areas that meet there.
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (np.diff(side[order]) == 0) & (np.diff(points[order], axis=0) == 0).all(axis=1)
    order = order[~again]
    found, first, count = np.unique(side[order], return_index=True, return_counts=True)
    return _Stitches(ends, found, first, count, points[order])


def _with_points(polygons: Geometries, stitches: _Stitches) -> Geometries:
    parts, of = shapely.get_parts(polygons, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    key = keys_of(points)
    number = np.minimum(np.searchsorted(stitches.ends, key), len(stitches.ends) - 1)
    known = stitches.ends[number] == key
    at = np.flatnonzero((ring[:-1] == ring[1:]) & known[:-1] & known[1:])
    tail, head = number[at], number[at + 1]
    code = np.minimum(tail, head) * len(stitches.ends) + np.maximum(tail, head)
    place = np.minimum(np.searchsorted(stitches.side, code), len(stitches.side) - 1)
    hit = stitches.side[place] == code
    at, place, forward = at[hit], place[hit], (tail < head)[hit]
    if not len(at):
        return polygons
    count = stitches.count[place]
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    which = np.repeat(stitches.first[place], count)
    which += np.where(np.repeat(forward, count), step, np.repeat(count, count) - 1 - step)
    touched = np.zeros(len(polygons), dtype=bool)
    touched[of[part[ring[at]]]] = True
    points = np.insert(points, np.repeat(at + 1, count), stitches.points[which], axis=0)
    ring = np.insert(ring, np.repeat(at + 1, count), np.repeat(ring[at], count))
    kept = touched[of[part[ring]]]
    return _rebuilt(polygons, points[kept], ring[kept], part, of)


def _rebuilt(polygons: Geometries, points: FloatArray, ring: IntArray, part: IntArray, of: IntArray) -> Geometries:
    """Polygons, some of them with rings made anew from points."""
    rings, number = np.unique(ring, return_inverse=True)
    parts, number_of_part = np.unique(part[rings], return_inverse=True)
    made = shapely.polygons(shapely.linearrings(points, indices=number), indices=number_of_part)
    result = polygons.copy()
    whole = of[parts]
    single = shapely.get_type_id(polygons[whole]) == shapely.GeometryType.POLYGON
    result[whole[single]] = made[single]
    for polygon in np.unique(whole[~single]):
        result[polygon] = shapely.multipolygons(made[whole == polygon])
    return result


# --- Fewer corners ---------------------------------------------------------------------------------------------------

NARROW_M = 0.05  # borders so near to each other count as a gap
TRIES = 4  # with half the tolerance each time, before an area keeps its corners


def simplify_coverage(
    layers: Sequence[Geometries],
    parents: Sequence[IntArray],
    areas: IntArray,
    tolerance_m: float,
    *,
    keep_outlines: bool = True,
) -> list[Geometries]:
    """Take corners out of the cells of all tiers together, so that neighbours keep sharing their borders.

    Parameters
    ----------
    layers : sequence of arrays of polygons
        EPSG:4326, on the lattice; the top tier first. Cells over one another are the same polygon.
    parents : sequence of int arrays
        For each layer after the first the position of each cell's parent in the layer above.
    areas : int array, shape (cells of the last layer,)
        The community of each.
    tolerance_m : float
        Corners go whose triangle with their neighbours has an area under the square of it (Visvalingam & Whyatt 1993).
    keep_outlines : bool
        Leave the outlines of communities as they are, as a plan must. Otherwise the borders between communities are
        simplified with all others, and the town's own outline too; for maps.

    Returns
    -------
    list of arrays of polygons
        Each layer a valid coverage in each area wherever it was one, also when gaps of `NARROW_M` are looked for;
        cells over one another are the same polygon; a cell is the union of its children; none is lost.
    """
    last = layers[-1]
    if not len(last) or tolerance_m <= 0:
        return list(layers)
    lattice = Lattice.at(shapely.box(*shapely.total_bounds(last)))
    one, ground_of = _distinct(last)
    ground = lattice.from_wgs84(last[one])
    area_of = areas[one] if keep_outlines else np.zeros(len(one), dtype=np.int64)
    simple = ground.copy()
    for area in np.unique(area_of):
        here = area_of == area
        simple[here] = _fewer_corners(ground[here], lattice, tolerance_m, outline=not keep_outlines)
    result = [lattice.to_wgs84(simple)[ground_of]]
    above = np.arange(len(last))
    for depth in range(len(layers) - 1, 0, -1):
        above = parents[depth - 1][above]
        first, same = _distinct(layers[depth - 1])
        united = dissolve(simple, same[above[one]], len(first))
        result.insert(0, lattice.to_wgs84(united)[same])
    return result


def _distinct(polygons: Geometries) -> tuple[IntArray, IntArray]:
    """Positions of polygons that differ, and for each polygon which of those it is."""
    _, first, of = np.unique(shapely.to_wkb(polygons), return_index=True, return_inverse=True)
    return first, of


def _fewer_corners(ground: Geometries, lattice: Lattice, tolerance_m: float, *, outline: bool) -> Geometries:
    """Simplify one coverage on the lattice; with less tolerance where narrow wedges would come about."""
    flaws = _flaws(ground, lattice)
    # The lattice's own metres: corners are only left out, so that they can be told again.
    scale = lattice.metres_a_step()
    for _ in range(TRIES):
        scaled = shapely.transform(ground, lambda xy: xy * scale)
        fewer = shapely.coverage_simplify(scaled, tolerance_m, simplify_boundary=outline)
        made: Geometries = shapely.transform(fewer, lambda xy: np.rint(xy / scale))
        if not shapely.is_empty(made).any() and shapely.is_valid(made).all() and _flaws(made, lattice) <= flaws:
            return made
        tolerance_m /= 2
    return ground


def _flaws(ground: Geometries, lattice: Lattice) -> int:
    """How many polygons of a coverage do not fit those beside them."""
    edges = shapely.coverage_invalid_edges(lattice.to_metric(ground), gap_width=NARROW_M)
    return int((~shapely.is_empty(edges)).sum())
