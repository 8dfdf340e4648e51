"""Pure functions over shapely: a lattice on which coverages are exact, repair, and measures of shape.

Ground is tiled on a lattice of 1e-7 degrees, the precision at which it is stored. All lines are noded on it at once
(snap rounding), so that faces share their vertices exactly, and nothing that is written, projected or read again can
open a gap between neighbours. Metres are measured after projecting the lattice points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from gis import crs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Geometries = NDArray[np.object_]

STEPS_PER_DEGREE = 10_000_000
_HALF_KEY = 1 << 31
_METRES_A_DEGREE = 111_320.0  # of latitude, to half a percent


@dataclass(frozen=True, slots=True)
class Lattice:
    """Whole multiples of 1e-7 degrees (1.1 cm or less), counted from an origin.

    Attributes
    ----------
    lon_steps, lat_steps : int
        The origin, in steps.
    zone : int
        EPSG code of the metric system that measures (`gis.crs.zone_of`).
    """

    lon_steps: int
    lat_steps: int
    zone: int

    @classmethod
    def at(cls, place_wgs84: shapely.Geometry, zone: int | None = None) -> Lattice:
        """A lattice with its origin in the middle of a place (EPSG:4326)."""
        west, south, east, north = shapely.bounds(place_wgs84)
        middle = (np.array([west + east, south + north]) / 2 * STEPS_PER_DEGREE).round()
        return cls(int(middle[0]), int(middle[1]), zone or crs.zone_of(place_wgs84))

    @property
    def _origin(self) -> FloatArray:
        return np.array([self.lon_steps, self.lat_steps], dtype=float)

    def from_wgs84(self, geometries: Geometries) -> Geometries:
        """Degrees to lattice points (rounded)."""
        return _each(geometries, lambda xy: np.rint(xy * STEPS_PER_DEGREE) - self._origin)

    def to_wgs84(self, geometries: Geometries) -> Geometries:
        """Lattice points to degrees, each the double nearest to its seven decimals."""
        return _each(geometries, lambda xy: (xy + self._origin) / STEPS_PER_DEGREE)

    def metres_a_step(self) -> FloatArray:
        """About how long a step to the east and one to the north are, at the origin."""
        north = _METRES_A_DEGREE / STEPS_PER_DEGREE
        return np.array([north * np.cos(np.radians(self.lat_steps / STEPS_PER_DEGREE)), north])

    def points_to_metric(self, points: FloatArray) -> FloatArray:
        """Lattice points, shape (n, 2), to metres."""
        return crs.points_to_metric((points + self._origin) / STEPS_PER_DEGREE, self.zone)

    def to_metric(self, geometries: Geometries) -> Geometries:
        """Lattice points to metres."""
        return _each(geometries, self.points_to_metric)

    def from_metric(self, geometries: Geometries) -> Geometries:
        """Metres to lattice points (rounded)."""

        def convert(xy: FloatArray) -> FloatArray:
            degrees = crs.points_to_wgs84(xy, _zone(self.zone))
            return np.asarray(np.rint(degrees * STEPS_PER_DEGREE) - self._origin)

        return _each(geometries, convert)


@cache
def _zone(code: int) -> crs.Crs:
    """Looked up once: finding a system takes longer than bringing a few points into it."""
    return crs.parse(f"EPSG:{code}")


def _each(geometries: Geometries, convert: Callable[[FloatArray], FloatArray]) -> Geometries:
    return np.asarray(shapely.transform(np.asarray(geometries, dtype=object), convert), dtype=object)


def noded(lines: Geometries, *, step: float = 1.0) -> shapely.Geometry:
    """Node lines on the lattice, or every ``step`` of it: snap rounding, so that they meet at shared vertices only."""
    flat = shapely.force_2d(lines[~(shapely.is_missing(lines) | shapely.is_empty(lines))])
    return shapely.union_all(flat, grid_size=step)


def faces_of(lines: Geometries) -> Geometries:
    """Polygons that the lines enclose, noded on the lattice: a valid coverage, dangling ends ignored."""
    return _polygonized(shapely.get_parts(noded(lines)))


def _polygonized(noded_lines: Geometries) -> Geometries:
    return np.asarray(shapely.get_parts(shapely.polygonize(noded_lines)), dtype=object)


# Lines inside an outline keep to a coarser lattice, and to a distance from the outline that only short straight
# approaches cross. Borders so near to each other that the space between counts as a gap (5 cm) cannot come about.
_COARSE = 16.0
_MARGIN = 200.0
_APPROACH_REACH = 2 * _MARGIN  # nothing of an approach is farther from the outline


class Weave:
    """Lines inside an outline, woven into faces that tile it, while the outline keeps its own vertices.

    Parameters
    ----------
    outline : Polygon or MultiPolygon
        On the lattice.
    landings : float array, shape (n, 2), or None
        Where lines may meet the outline; `landings_on` its sides if None.
    margin : float
        How near to the outline lines come, in steps. No line crosses a neck of ground narrower than twice that.
    """

    def __init__(
        self, outline: shapely.Geometry, landings: FloatArray | None = None, *, margin: float = _MARGIN
    ) -> None:
        self._outline = outline
        self._ring = shapely.boundary(outline)
        self._sides = sides_of(np.array([outline], dtype=object))
        self._margin = margin
        self._inner = shapely.buffer(outline, -margin, quad_segs=2)
        self._core = shapely.buffer(outline, -_APPROACH_REACH, quad_segs=2)
        self._landings = landings_on(*self._sides) if landings is None else landings
        for area in (self._outline, self._ring, self._inner, self._core):
            shapely.prepare(area)

    @cached_property
    def _bare(self) -> Geometries:
        """The faces where no line is."""
        return self._within(faces_of(np.array([self._ring], dtype=object)))

    @cached_property
    def _side_tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.linestrings(np.stack(self._sides, axis=1)))

    @cached_property
    def _landing_tree(self) -> cKDTree:
        return cKDTree(self._landings)

    def clipped(self, lines: Geometries) -> Geometries:
        """What of lines (on the lattice) `woven` makes use of."""
        return clipped_lines(lines, self._inner)

    def faces(self, lines: Geometries) -> Geometries:
        """Tile the outline along lines (on the lattice); dangling ends are left out."""
        return self.woven(self.clipped(lines))

    def woven(self, kept: Geometries) -> Geometries:
        """Tile the outline along lines that were clipped."""
        if not len(kept):
            return self._bare
        inner = shapely.get_parts(noded(kept, step=_COARSE))
        # What lies away from the outline is noded by now, and no approach comes near it.
        done = shapely.contains_properly(self._core, inner)
        approaches, landings = self._approaches(inner[~done])
        rim = noded(np.concatenate([self._ring_through(landings), inner[~done], approaches]))
        return self._within(_polygonized(np.concatenate([shapely.get_parts(rim), inner[done]])))

    def _approaches(self, inner: Geometries) -> tuple[Geometries, FloatArray]:
        """Short straight lines from where the inner lines were cut off to the outline, and where they meet it."""
        if not len(inner):
            return np.empty(0, dtype=object), np.empty((0, 2))
        tips = [shapely.get_coordinates(shapely.get_point(inner, i)) for i in (0, -1)]
        ends, number = np.unique(np.vstack(tips), axis=0, return_inverse=True)
        near = shapely.dwithin(self._ring, shapely.points(ends), self._margin + 1.5 * _COARSE)
        away, which = self._landing_tree.query(ends)
        # Ends of one line that would land at the same point need one way there: two would enclose nothing but a sliver.
        a, b = number[: len(inner)], number[len(inner) :]
        tied = near[a] & near[b] & (which[a] == which[b])
        ties = coo_array((np.ones(tied.sum()), (a[tied], b[tied])), shape=(len(ends), len(ends)))
        group = connected_components(ties, directed=False)[1]
        order = np.lexsort((away, group))
        kept = order[np.append(True, np.diff(group[order]) != 0)]
        kept = np.sort(kept[near[kept]])
        landing = self._landings[which[kept]]
        lines = np.asarray(shapely.linestrings(np.stack([ends[kept], landing], axis=1)), dtype=object)
        return lines, np.unique(landing, axis=0)

    def _ring_through(self, landings: FloatArray) -> Geometries:
        """The sides of the outline with the landings among their points.

        A landing may be off its side by half a step; noding alone could put a second corner beside it.
        """
        start, end = self._sides
        side = self._side_tree.nearest(shapely.points(landings))
        inner = (landings != start[side]).any(axis=1) & (landings != end[side]).any(axis=1)
        side, landings = side[inner], landings[inner]
        way = (end - start)[side]
        order = np.lexsort((((landings - start[side]) * way).sum(axis=1), side))
        last = np.append((end[:-1] != start[1:]).any(axis=1), True)  # of its ring
        ring = np.cumsum(last) - last
        number = np.arange(len(start))
        at = np.concatenate([number, side[order], number[last]])
        points = np.vstack([start, landings[order], end[last]])
        walk = np.argsort(at, kind="stable")
        return np.asarray(shapely.linestrings(points[walk], indices=ring[at[walk]]), dtype=object)

    def _within(self, faces: Geometries) -> Geometries:
        """The faces of the outline: a hole in it is also enclosed by lines."""
        return np.asarray(faces[shapely.intersects(self._outline, shapely.point_on_surface(faces))], dtype=object)

    @staticmethod
    def inner_lines(faces: Geometries) -> Geometries:
        """The lines between faces, without the approaches to the outline: what `faces` makes the same faces of."""
        pieces = segments_of(faces)
        free = ~touches_outline(pieces)
        lines = shapely.linestrings(np.stack([pieces.start[free], pieces.end[free]], axis=1))
        return np.asarray(shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines))), dtype=object)


def clipped_lines(lines: Geometries, area: shapely.Geometry) -> Geometries:
    """The parts of lines in an area; what lies inside it stays as it is."""
    lines = lines[shapely.intersects(area, lines)]
    inside = shapely.contains_properly(area, lines)
    cut = shapely.get_parts(shapely.intersection(lines[~inside], area))
    return np.concatenate([lines[inside], cut[shapely.get_dimensions(cut) == 1]])


def sides_of(polygons: Geometries) -> tuple[FloatArray, FloatArray]:
    """Start and end of every side of polygons, shape (sides, 2) each."""
    points, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(polygons)), return_index=True)
    follows = np.flatnonzero(ring[:-1] == ring[1:])
    return points[follows], points[follows + 1]


def landings_on(start: FloatArray, end: FloatArray) -> FloatArray:
    """Lattice points along sides, 2 to 4 m apart: the same ones whichever way, and for whichever area, they are asked.

    Two areas that share a side so meet its lines at the same points. The points are exactly on the side where enough
    lattice points are, and otherwise nearest to it.
    """
    if not len(start):
        return np.empty((0, 2))
    swap = (start[:, 0] > end[:, 0]) | ((start[:, 0] == end[:, 0]) & (start[:, 1] > end[:, 1]))
    first, last = np.where(swap[:, None], end, start), np.where(swap[:, None], start, end)
    way = last - first
    count = np.maximum(np.ceil(np.hypot(*way.T) / (2 * _MARGIN)).astype(np.int64), 1)
    side = np.repeat(np.arange(len(way)), count - 1)
    number = np.arange(len(side)) - np.repeat(np.cumsum(count - 1) - (count - 1), count - 1) + 1
    share = number / count[side]
    exact = np.gcd(*np.abs(way).astype(np.int64).T)[side]
    share = np.where(exact >= count[side], np.rint(share * exact) / np.maximum(exact, 1), share)
    # Not rint: what it makes of halves would depend on the lattice's origin.
    between = first[side] + np.floor(share[:, None] * way[side] + 0.5)
    return np.unique(np.vstack([first, last, between]), axis=0)


def keys_of(points: FloatArray) -> IntArray:
    """One whole number a lattice point."""
    return np.asarray(
        (points[:, 0].astype(np.int64) + _HALF_KEY) * (1 << 32) + (points[:, 1].astype(np.int64) + _HALF_KEY)
    )


@dataclass(frozen=True, slots=True)
class Segments:
    """The straight pieces that bound the faces of a coverage.

    Attributes
    ----------
    start, end : float arrays, shape (segments, 2)
        Lattice points.
    face : int array, shape (segments, 2)
        The one or two faces beside it; -1 for the outside.
    """

    start: FloatArray
    end: FloatArray
    face: IntArray


def segments_of(faces: Geometries) -> Segments:
    """Find the pieces of border that faces share, by their exact end points.

    Notes
    -----
    The faces must be noded on the lattice (`faces_of`): a border is shared only where both have the same vertices.
    """
    rings, face_of_ring = shapely.get_rings(faces, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    follows = np.flatnonzero(ring[:-1] == ring[1:])
    key = keys_of(points)
    tail, head = key[follows], key[follows + 1]
    first, last = np.minimum(tail, head), np.maximum(tail, head)
    order = np.lexsort((last, first))
    starts_anew = np.ones(len(order), dtype=bool)
    starts_anew[1:] = (np.diff(first[order]) != 0) | (np.diff(last[order]) != 0)
    number = np.cumsum(starts_anew) - 1
    owner = face_of_ring[ring[follows]][order]
    one = np.flatnonzero(starts_anew)
    beside = np.full((len(one), 2), -1, dtype=np.int64)
    beside[:, 0] = owner[one]
    second = ~starts_anew
    beside[number[second], 1] = owner[second]
    at = follows[order[one]]
    return Segments(points[at], points[at + 1], beside)


def touches_outline(segments: Segments) -> NDArray[np.bool_]:
    """Which segments are part of the outline of the coverage, or end on it."""
    return touches(segments, segments.face[:, 1] < 0)


def touches(segments: Segments, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which segments are some of them, or end on those."""
    ends = np.unique(keys_of(np.vstack([segments.start[some], segments.end[some]])))
    return np.asarray(np.isin(keys_of(segments.start), ends) | np.isin(keys_of(segments.end), ends))


def dissolve(polygons: Geometries, label: IntArray, count: int) -> Geometries:
    """Unite the polygons of a coverage by label; shape (count,), empty where a label has none.

    Shared borders keep every vertex, so the result is a coverage again.
    """
    result = np.full(count, shapely.Polygon(), dtype=object)
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(count + 1))
    for number in range(count):
        members = polygons[order[bounds[number] : bounds[number + 1]]]
        if len(members):
            result[number] = members[0] if len(members) == 1 else shapely.coverage_union_all(members)
    return result


def as_polygons(geometries: Geometries) -> Geometries:
    """Repair: make valid, keep the areal part; empty where nothing areal is left."""
    fixed = shapely.make_valid(shapely.force_2d(np.asarray(geometries, dtype=object)), method="structure")
    result = np.full(len(fixed), shapely.Polygon(), dtype=object)
    for i, geometry in enumerate(fixed):
        if geometry is None or geometry.is_empty:
            continue
        if geometry.geom_type in ("Polygon", "MultiPolygon"):
            result[i] = geometry
            continue
        areal = [p for p in shapely.get_parts(geometry) if p.geom_type in ("Polygon", "MultiPolygon")]
        if areal:
            result[i] = shapely.union_all(areal)
    return result


def sums(label: IntArray, values: NDArray[Any], count: int = 0) -> FloatArray:
    """Add values up by label; shape (count,) or as long as the labels go, 0.0 where a label has none."""
    return np.bincount(label, values, count).astype(np.float64)


def compactness(area_m2: FloatArray, perimeter_m: FloatArray) -> FloatArray:
    """Measure how near each cell is to a disc: 4πA/P², in (0, 1] (Polsby & Popper 1991)."""
    return np.asarray(4 * np.pi * area_m2 / np.maximum(perimeter_m, 1e-9) ** 2)


@dataclass(frozen=True, slots=True)
class CoverageFaults:
    """How far polygons are from tiling an outline."""

    gap_m2: float
    overlap_m2: float
    is_valid: bool


def coverage_faults(inner_metric: Geometries, outer_metric: shapely.Geometry, gap_m: float = 0.05) -> CoverageFaults:
    """Compare polygons with the outline that they should tile.

    Parameters
    ----------
    inner_metric, outer_metric
        In metres.
    gap_m : float
        Gaps narrower than this are rounding. `shapely.coverage_is_valid` does not look for gaps without it.
    """
    if not len(inner_metric):
        return CoverageFaults(float(shapely.area(outer_metric)), 0.0, is_valid=False)
    union = shapely.union_all(inner_metric)
    off = [shapely.difference(outer_metric, union), shapely.difference(union, outer_metric)]
    wide = shapely.buffer(np.array(off, dtype=object), -gap_m / 2)
    overlap = float(shapely.area(inner_metric).sum() - shapely.area(union))
    valid = bool(shapely.coverage_is_valid(inner_metric, gap_width=gap_m))
    return CoverageFaults(float(shapely.area(wide).sum()), max(overlap, 0.0), valid)
