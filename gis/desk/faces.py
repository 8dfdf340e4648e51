"""The ground of a plan as faces: a coverage in which each face lies wholly in one cell, or in one stack.

The ground of a community is surveyed (`gis.partition.ground`) with the plan's lowest cells as parcels, whose borders
no face crosses and which stay as they are: the union of a cell's faces is its ground again, to a few square
centimetres, and any set of faces is a valid cell. (Following the borders as mere lines is twice as fast, but moves
them by centimetres; a border that nobody redraws must not move.) Faces of a building carry it, or the strip of its
staircases that a part of the plan holds; the others are land.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.geometry import FloatArray, Geometries, IntArray, Lattice, Segments, dissolve, segments_of, sums
from gis.partition.ground import Ground, Plot, barriers_on, survey
from gis.spreading import Signals

SLIVER_M2 = 60.0
"""Smaller pieces that nobody's house stands on join a neighbour in their cell."""
SLIVER_WIDTH_M = 2.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where a part of a building lies.

    Attributes
    ----------
    unit_from, unit_to : int or None
        Staircases, both inclusive; ``None`` for all.
    cell : int
        Position in `Place.cells`.
    """

    unit_from: int | None
    unit_to: int | None
    cell: int


@dataclass(frozen=True)
class Place:
    """A community with the cells of a plan. Light to hand to another process, which needs little more than this file.

    Attributes
    ----------
    plot : Plot
        What stands there, nothing cut; positions of its footprints are building numbers.
    zone : int
        EPSG code of the metric system.
    units : int array, shape (buildings,)
        Staircases; 0 where nobody knows.
    cells : array of polygons
        EPSG:4326; grounds of the lowest tier, one for a stack.
    homes : sequence of sequences of Home
        For each building its parts; none where the plan does not know it.
    """

    plot: Plot
    zone: int
    units: IntArray
    cells: Geometries
    homes: Sequence[Sequence[Home]]


@dataclass(frozen=True)
class Faces:
    """The ground of a community.

    Attributes
    ----------
    polygon : array of polygons, shape (faces,)
        EPSG:4326, on the lattice; a coverage of the community.
    building : int array, shape (faces,)
        -1 for land.
    unit_from, unit_to : int arrays, shape (faces,)
        The staircases whose ground it is; 0 for all.
    cell : int array, shape (faces,)
        Position in `Place.cells`.
    area_m2 : float array, shape (faces,)
    borders : Borders
    """

    polygon: Geometries
    building: IntArray
    unit_from: IntArray
    unit_to: IntArray
    cell: IntArray
    area_m2: FloatArray
    borders: Borders


@dataclass(frozen=True)
class Borders:
    """What lies between faces.

    Attributes
    ----------
    line : array of LineString, shape (borders,)
        EPSG:4326.
    a, b : int arrays
        Positions of faces; ``b`` is -1 at the community's outline.
    length_m : float array
    barrier : int array
        Class by rising strength (`gis.partition.ground.BARRIER_CLASS`).
    is_crossable : bool array
    """

    line: Geometries
    a: IntArray
    b: IntArray
    length_m: FloatArray
    barrier: IntArray
    is_crossable: NDArray[np.bool_]


def faces_of(place: Place, progress: Callable[[float], None] | None = None) -> Faces:
    """Survey a community along the borders of its cells.

    Parameters
    ----------
    progress : callable, optional
        Is told the share that is done, now and then.
    """
    lattice = Lattice.at(place.plot.outline, place.zone)
    plot = _plot(place)
    ground = survey(plot, place.zone, progress)
    cell = _cell_of(ground, place.cells)
    segments = segments_of(ground.faces)
    name = _names(place, ground, cell)
    piece = _pieces(name, segments)
    shape_m = lattice.to_metric(ground.faces)
    piece = _without_slivers(piece, name, cell, shape_m, segments, lattice)
    first = _worthiest(piece, name, shape_m)
    polygon = dissolve(ground.faces, piece, len(first))
    building, strip = name[first, 0], name[first, 1]
    spans = [_spans(homes) for homes in place.homes]
    units = np.array(
        [spans[b][s] if b >= 0 else (0, 0) for b, s in zip(building, strip, strict=True)], dtype=np.int64
    ).reshape(-1, 2)
    borders = borders_of(polygon, plot, lattice)
    area = shapely.area(lattice.to_metric(polygon))
    made = lattice.to_wgs84(polygon)
    return Faces(made, building, units[:, 0], units[:, 1], cell[first], area, borders)


def survey_place(place: Place, signals: Signals) -> Faces:
    """`faces_of` as a job that is spread over processes."""
    return faces_of(place, lambda share: signals.progress(share, 0.0))


def borders_of(polygon: Geometries, plot: Plot, lattice: Lattice) -> Borders:
    """The lines between faces (on the lattice), each with what lies on it."""
    segments = segments_of(polygon)
    length, strength, crossable = barriers_on(segments, plot, lattice)
    low, high = segments.face.min(axis=1), segments.face.max(axis=1)
    outer = low < 0
    a, b = np.where(outer, high, low), np.where(outer, -1, high)
    key = np.column_stack([a, b, strength, crossable])
    kinds, which = np.unique(key, axis=0, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    lines = shapely.linestrings(np.stack([segments.start[order], segments.end[order]], axis=1))
    joined = shapely.line_merge(shapely.multilinestrings(lines, indices=which[order]))
    line, of = shapely.get_parts(joined, return_index=True)
    # Metres of a line in proportion to its lattice length in its group: chains of one group differ little in direction.
    steps = shapely.length(line)
    share = steps / np.maximum(sums(of, steps, len(kinds))[of], 1e-12)
    metres = sums(which, length, len(kinds))[of] * share
    kind = kinds[of]
    return Borders(
        lattice.to_wgs84(line), kind[:, 0], kind[:, 1], metres, kind[:, 2], kind[:, 3].astype(bool)
    )  # fmt: skip


def _spans(homes: Sequence[Home]) -> list[tuple[int, int]]:
    """The strips of a building, in order: staircases that some part holds, 0 for all."""
    found = sorted({(home.unit_from or 0, home.unit_to or 0) for home in homes})
    return found or [(0, 0)]


def _plot(place: Place) -> Plot:
    units = place.plot.units.copy()
    for number, homes in enumerate(place.homes):
        last = max((home.unit_to or home.unit_from or 0 for home in homes), default=0)
        if last:
            units[number] = max(last, int(place.units[number]))
    return replace(place.plot, units=units, parcels=place.cells)


def _cell_of(ground: Ground, cells: Geometries) -> IntArray:
    """The cell that each face lies in; the nearest where none was drawn."""
    places = ground.lattice.to_wgs84(shapely.point_on_surface(ground.faces))
    tree = shapely.STRtree(cells)
    face, cell = tree.query(places, predicate="intersects")
    home = np.full(len(places), -1, dtype=np.int64)
    home[face[::-1]] = cell[::-1]
    lost = np.flatnonzero(home < 0)
    if len(lost):
        home[lost] = tree.nearest(places[lost])
    return home


def _names(place: Place, ground: Ground, cell: IntArray) -> IntArray:
    """What each face is: building and strip, or (-1, atom) for land; and its cell. Shape (faces, 3)."""
    atom = ground.atom_of_face
    building, unit = ground.building[atom], ground.unit[atom]
    name = np.column_stack([np.full(len(atom), -1), atom, cell])
    for number, homes in enumerate(place.homes):
        own = np.flatnonzero(building == number)
        if not homes:
            # Not in the plan yet: its ground stays together in the cell that has most of it.
            if len(own):
                area = sums(cell[own], shapely.area(ground.faces[own]))
                name[own[cell[own] == int(area.argmax())], :2] = (number, 0)
            continue
        spans = _spans(homes)
        for home in homes:
            strip = spans.index((home.unit_from or 0, home.unit_to or 0))
            first, last = (home.unit_from or 1) - 1, (home.unit_to or 10**6) - 1
            here = own[(cell[own] == home.cell) & (unit[own] >= first) & (unit[own] <= last)]
            name[here, :2] = (number, strip)
    return name


def _pieces(name: IntArray, segments: Segments) -> IntArray:
    """Number what hangs together and has one name."""
    inner = (segments.face >= 0).all(axis=1)
    left, right = segments.face[inner].T
    same = (name[left] == name[right]).all(axis=1)
    count = len(name)
    graph = coo_array((np.ones(same.sum()), (left[same], right[same])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _without_slivers(
    piece: IntArray, name: IntArray, cell: IntArray, shape_m: Geometries, segments: Segments, lattice: Lattice
) -> IntArray:
    """Give small pieces to the neighbour in their cell that they have most border with; number anew."""
    inner = (segments.face >= 0).all(axis=1)
    left, right = segments.face[inner].T
    start, end = (lattice.points_to_metric(xy[inner]) for xy in (segments.start, segments.end))
    metres = np.hypot(*(end - start).T)
    count = int(piece.max()) + 1
    area = sums(piece, shapely.area(shape_m), count)
    outer = piece[left] != piece[right]
    around = sums(piece, shapely.length(shape_m), count)
    around -= 2 * sums(piece[left[~outer]], metres[~outer], count)
    largest = _is_largest(piece, name, area)
    small = (area < SLIVER_M2) | (2 * area < SLIVER_WIDTH_M * around)
    small &= ~largest
    target = np.arange(count)
    beside: dict[int, dict[int, float]] = {}
    home = np.zeros(count, dtype=np.int64)
    home[piece] = cell
    for i, j, m in zip(piece[left[outer]].tolist(), piece[right[outer]].tolist(), metres[outer].tolist(), strict=True):
        if home[i] == home[j]:
            for one, other in ((i, j), (j, i)):
                if small[one]:
                    near = beside.setdefault(one, {})
                    near[other] = near.get(other, 0.0) + m
    for one in sorted(np.flatnonzero(small).tolist(), key=lambda p: -area[p]):
        near = {other: m for other, m in beside.get(one, {}).items() if _root(target, other) != one}
        if near:
            target[one] = _root(target, max(near, key=lambda other: (near[other], -other)))
    roots = np.array([_root(target, p) for p in range(count)])
    return np.unique(roots[piece], return_inverse=True)[1].astype(np.int64)


def _root(target: IntArray, piece: int) -> int:
    while target[piece] != piece:
        piece = int(target[piece])
    return piece


def _is_largest(piece: IntArray, name: IntArray, area: FloatArray) -> NDArray[np.bool_]:
    """Pieces of building ground that are the largest of their name: they stay, however small."""
    first = np.unique(piece, return_index=True)[1]
    label = name[first]
    order = np.lexsort((-area, label[:, 2], label[:, 1], label[:, 0]))
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (label[order][1:] != label[order][:-1]).any(axis=1)
    largest = np.zeros(len(order), dtype=bool)
    largest[order[begins]] = True
    # A cell needs some ground: the largest piece in it stays too.
    order = np.lexsort((-area, label[:, 2]))
    begins[1:] = label[order][1:, 2] != label[order][:-1, 2]
    largest &= label[:, 0] >= 0
    largest[order[begins]] = True
    return largest


def _worthiest(piece: IntArray, name: IntArray, shape_m: Geometries) -> IntArray:
    """For each piece the face that names it: of a building before land, then the largest."""
    order = np.lexsort((-shapely.area(shape_m), name[:, 0] < 0, piece))
    first = np.ones(len(order), dtype=bool)
    first[1:] = piece[order][1:] != piece[order][:-1]
    return np.asarray(order[first])
