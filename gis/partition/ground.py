"""The ground of a community as a coverage of atoms: one a building or staircase unit, and empty land.

Roads, rivers, walls and compound edges enclose blocks; in each block the ground nearest to a building's footprint is
the building's (Voronoi of densified footprints); a building that will be cut gets a strip of ground for each
staircase, across its long axis. All lines are noded together on the lattice, so the atoms tile the community exactly
whatever happens to them later, and each border piece knows what lies on it.

Why not momepy's enclosed tessellation: its cells are no valid coverage, it knows no staircases, and dissolving
Voronoi polygons is what takes the time; here only the ridges between different buildings are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from gis.coverage import stitched
from gis.geometry import (
    FloatArray,
    Geometries,
    IntArray,
    Lattice,
    Segments,
    Weave,
    segments_of,
    sums,
    touches,
    touches_outline,
)
from gis.partition.parcels import regions_of, standing

BoolArray = NDArray[np.bool_]

# Barrier classes by rising strength; the weight of a metre of border is that of its strongest.
NO_BARRIER, MINOR, SECONDARY, ARTERIAL, WATER = range(5)
BARRIER_CLASS = {
    "minor": MINOR,
    "secondary": SECONDARY,
    "wall": SECONDARY,
    "arterial": ARTERIAL,
    "river": WATER,
    "rail": WATER,
}
CUT_WEIGHT = np.array([1.0, 0.5, 0.25, 0.1, 0.1])

SHRINK_M = 0.4  # keeps the ridge between touching buildings on their common wall
SPACING_M = (1.5, 6.0)  # of the points along a footprint, close where another building is close
WAVINESS_M = 0.35  # how far a ridge between points may be from the one between the footprints
SMOOTH_M = 0.5
ON_LINE_M = 0.3
APPROACH_M = 3.0  # the last metres of a line to the outline do not lie on it exactly (`gis.geometry.Weave`)
BRIDGE_REACH_M = 60.0  # a river is crossed only so near to a bridge (source: the reference instances)
SLIVER_WIDTH_M = 8.0
SLIVER_AREA_M2 = 500.0
NARROW = 48.0  # lattice steps: half a metre
GAP_M = 0.05
LEAST_HOUSE_M2 = 20.0
HOUSED_WORTH = 1e6  # ground that a building stands on comes before any other of its ground
LEAST_HOUSED_M2 = 0.5
NECK_M = 0.5  # a shorter shared border does not hold a cell together


@dataclass(frozen=True)
class Plot:
    """What stands on a community's ground, geometry in EPSG:4326.

    Attributes
    ----------
    outline : Polygon or MultiPolygon
    footprints : array of polygons, shape (buildings,)
    units : int array, shape (buildings,)
        Staircases to cut each building's ground into; 1 leaves it whole.
    barriers : array of lines
    barrier_class : int array, shape (barriers,)
    is_wall : bool array, shape (barriers,)
        Barriers that fence ground in beside a street, as compound walls do.
    edges : array of polygons
        Outlines to follow that are no barrier of themselves (compounds).
    parcels : array of polygons
        Ground that stays as it is, as cells of an earlier plan: no atom crosses their border, and where they were made
        of this community's atoms, they are exactly the union of atoms again. Cells over one another only once.
    """

    outline: shapely.Geometry
    footprints: Geometries
    units: IntArray
    barriers: Geometries
    barrier_class: IntArray
    is_wall: BoolArray
    edges: Geometries
    parcels: Geometries = field(default_factory=lambda: np.empty(0, dtype=object))


@dataclass(frozen=True)
class Ground:
    """Atoms of ground and their borders.

    Attributes
    ----------
    lattice : Lattice
    faces : array of polygons, shape (faces,)
        On the lattice; a coverage of the community.
    atom_of_face : int array, shape (faces,)
    building, unit : int arrays, shape (atoms,)
        Whose ground an atom is; -1 for empty land.
    area_m2, perimeter_m : float arrays, shape (atoms,)
    middle_m : float array, shape (atoms, 2)
    a, b : int arrays, shape (borders,)
        The two atoms of each border, a < b.
    length_m, cut_cost_m, barrier_m : float arrays, shape (borders,)
        Metres; weighted by what lies there; on any barrier.
    walkable : bool array, shape (borders,)
        Whether one can cross: not where all of it is river or rail far from a bridge.
    parcel : int array, shape (atoms,)
        The parcel of the plot that an atom is part of; -1 outside all.
    """

    lattice: Lattice
    faces: Geometries
    atom_of_face: IntArray
    building: IntArray
    unit: IntArray
    area_m2: FloatArray
    perimeter_m: FloatArray
    middle_m: FloatArray
    a: IntArray
    b: IntArray
    length_m: FloatArray
    cut_cost_m: FloatArray
    barrier_m: FloatArray
    walkable: BoolArray
    parcel: IntArray


def survey(plot: Plot, zone: int, progress: Callable[[float], None] | None = None) -> Ground:
    """Tile a community with atoms.

    Parameters
    ----------
    plot : Plot
        Cleaned: valid footprints that do not overlap.
    zone : int
        EPSG code of the metric system.
    progress : callable, optional
        Is told the share of the ground that is tiled.
    """
    lattice = Lattice.at(plot.outline, zone)
    outline = lattice.from_wgs84(np.array([plot.outline], dtype=object))[0]
    barriers, kind, is_wall = _near(plot, outline, lattice)
    edges = _edges_near(plot, outline, lattice)
    footprints_m = lattice.to_metric(lattice.from_wgs84(plot.footprints))
    regions = regions_of(outline, plot.parcels, lattice)
    stand = standing(footprints_m, plot.units, lattice.to_metric(regions.outline))
    tiles = []
    for number, (area, landings) in enumerate(zip(regions.outline, regions.landings, strict=True)):
        here, shape_m = stand.there(number)
        houses = _Houses(here, shape_m, footprints_m[here], plot.units[here])
        tile = _tile(Weave(area, landings), houses, barriers, is_wall, edges, lattice)
        if _left_out(tile, houses):
            # A neck of ground so narrow that no line crosses it: nearer to the outline, if that leaves no wedges.
            close = _tile(Weave(area, landings, margin=NARROW), houses, barriers, is_wall, edges, lattice)
            fits = shapely.coverage_is_valid(lattice.to_metric(close.faces), gap_width=GAP_M)
            tile = close if fits and _left_out(close, houses) < _left_out(tile, houses) else tile
        tiles.append(tile)
        if progress is not None:
            progress(len(tiles) / len(regions.outline))
    faces = np.concatenate([tile.faces for tile in tiles])
    region = np.repeat(np.arange(len(tiles)), [len(tile.faces) for tile in tiles])
    if len(tiles) > 1:
        faces = stitched([faces], [region])[0]
    tile = _Tile(
        faces, np.concatenate([tile.building for tile in tiles]), np.concatenate([tile.unit for tile in tiles])
    )
    lines = _Lines(lattice.to_metric(barriers), kind, is_wall)
    return _ground(tile, regions.parcel[region], lattice, lines, footprints_m)


@dataclass(frozen=True)
class _Lines:
    """Barriers near a community, in metres."""

    shape_m: Geometries
    kind: IntArray
    is_wall: BoolArray

    def bridges(self) -> shapely.Geometry:
        """Ground so near to where a street crosses a river or railway that one can cross there."""
        water = self.kind == WATER
        rivers, streets = (
            shapely.union_all(self.shape_m[water]),
            shapely.union_all(self.shape_m[~water & ~self.is_wall]),
        )
        return shapely.buffer(shapely.intersection(rivers, streets), BRIDGE_REACH_M)


@dataclass(frozen=True)
class _Houses:
    """Buildings with ground in a region: number, what stands of each in it, the whole footprint, staircases."""

    number: IntArray
    shape_m: Geometries
    whole_m: Geometries
    units: IntArray


@dataclass(frozen=True)
class _Tile:
    """Faces (on the lattice), and whose ground each is."""

    faces: Geometries
    building: IntArray
    unit: IntArray


def _left_out(tile: _Tile, houses: _Houses) -> int:
    """How many buildings got no ground."""
    missing = ~np.isin(houses.number, tile.building)
    return int((missing & (shapely.area(houses.whole_m) > LEAST_HOUSE_M2)).sum())


def _tile(
    weave: Weave, houses: _Houses, barriers: Geometries, is_wall: BoolArray, edges: Geometries, lattice: Lattice
) -> _Tile:
    """Share out a region among its buildings."""
    everything = weave.clipped(np.concatenate([barriers, edges]))
    open_lines = weave.clipped(barriers[~is_wall])
    blocks = weave.woven(everything)
    blocks_m = lattice.to_metric(blocks)
    # Of the same lines where no wall or edge comes by.
    is_open = len(open_lines) == len(everything)
    streets = blocks_m if is_open else lattice.to_metric(weave.woven(open_lines))
    sites = _sites(houses.shape_m, blocks_m, streets)
    lines = np.concatenate([weave.inner_lines(blocks), lattice.from_metric(_ridges(sites, blocks_m))])
    faces = weave.faces(lines)
    owner = sites.owner_of(lattice.to_metric(shapely.point_on_surface(faces)), blocks_m)
    cuts = _unit_cuts(houses.whole_m, houses.units, lattice.to_metric(faces), owner)
    if len(cuts):
        faces = weave.faces(np.concatenate([weave.inner_lines(faces), lattice.from_metric(cuts)]))
        owner = sites.owner_of(lattice.to_metric(shapely.point_on_surface(faces)), blocks_m)
    unit = _unit_of(houses.whole_m, houses.units, lattice.to_metric(shapely.point_on_surface(faces)), owner)
    building = np.where(owner >= 0, houses.number[owner], -1) if len(houses.number) else owner
    return _Tile(faces, building, unit)


def _near(plot: Plot, outline: shapely.Geometry, lattice: Lattice) -> tuple[Geometries, IntArray, BoolArray]:
    """Barriers that reach into the community, as lattice lines, with their classes and whether they are walls."""
    if not len(plot.barriers):
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)
    lines = lattice.from_wgs84(plot.barriers)
    clipped = shapely.intersection(lines, shapely.buffer(outline, 60.0, quad_segs=2))
    kept = ~shapely.is_empty(clipped)
    parts, of = shapely.get_parts(clipped[kept], return_index=True)
    straight = shapely.get_dimensions(parts) == 1
    of = of[straight]
    return np.asarray(parts[straight], dtype=object), plot.barrier_class[kept][of], plot.is_wall[kept][of]


def _edges_near(plot: Plot, outline: shapely.Geometry, lattice: Lattice) -> Geometries:
    if not len(plot.edges):
        return np.empty(0, dtype=object)
    lines = shapely.boundary(lattice.from_wgs84(plot.edges))
    clipped = shapely.get_parts(shapely.intersection(lines, shapely.buffer(outline, 60.0, quad_segs=2)))
    return np.asarray(clipped[shapely.get_dimensions(clipped) == 1], dtype=object)


@dataclass(frozen=True)
class _Sites:
    """Points along footprints, by block.

    A block without buildings that lies in a street block with some (the verge between a compound's wall and the
    street) is shared out among those; one in an empty street block stays empty land.
    """

    points: FloatArray
    building: IntArray
    block: IntArray
    street: IntArray

    def of(self, block: int) -> tuple[FloatArray, IntArray]:
        """Points, and the building of each, that share out a block."""
        start, stop = np.searchsorted(self.block, [block, block + 1])
        if stop > start:
            return self.points[start:stop], self.building[start:stop]
        near = self.street[self.block] == self.street[block]
        return self.points[near], self.building[near]

    def owner_of(self, places: Geometries, blocks_m: Geometries) -> IntArray:
        """The building nearest to each place among those that share its block; -1 on empty land."""
        home = _lies_in(places, blocks_m)
        xy = shapely.get_coordinates(places)
        built = np.isin(home, self.block)
        owner = np.full(len(places), -1, dtype=np.int64)
        owner[built] = self._nearest(xy[built], home[built], self.block)
        owner[~built] = self._nearest(xy[~built], self.street[home[~built]], self.street[self.block])
        return owner

    def _nearest(self, xy: FloatArray, where: IntArray, areas: IntArray) -> IntArray:
        """The building nearest to each place among the points with the same number; -1 where there are none."""
        owner = np.full(len(xy), -1, dtype=np.int64)
        known = np.isin(where, areas)
        if known.any():
            # Areas as storeys, higher than the place is wide.
            storey = 4 * np.ptp(np.vstack([xy, self.points]), axis=0).max() + 1.0
            tree = cKDTree(np.column_stack([self.points, areas * storey]))
            owner[known] = self.building[tree.query(np.column_stack([xy, where * storey])[known])[1]]
        return owner


def _lies_in(places: Geometries, areas: Geometries) -> IntArray:
    """The area of a coverage that each place lies in; the nearest where rounding put it outside."""
    tree = shapely.STRtree(areas)
    place, area = tree.query(places, predicate="intersects")
    home = np.full(len(places), -1, dtype=np.int64)
    home[place] = area
    lost = np.flatnonzero(home < 0)
    if len(lost):
        home[lost] = tree.nearest(places[lost])
    return home


def _sites(footprints_m: Geometries, blocks_m: Geometries, streets_m: Geometries) -> _Sites:
    street = _lies_in(shapely.point_on_surface(blocks_m), streets_m)
    if not len(footprints_m):
        none = np.empty(0, dtype=np.int64)
        return _Sites(np.empty((0, 2)), none, none, street)
    home = _home_blocks(footprints_m, blocks_m)
    shrunk = shapely.buffer(footprints_m, -SHRINK_M, join_style="mitre")
    shape = np.where(shapely.is_empty(shrunk), footprints_m, shrunk)
    points, building = shapely.get_coordinates(
        shapely.segmentize(shapely.boundary(shape), _spacing(footprints_m)), return_index=True
    )
    block = home[building]
    order = np.argsort(block, kind="stable")
    return _Sites(points[order], building[order].astype(np.int64), block[order], street)


def _spacing(footprints_m: Geometries) -> FloatArray:
    """How far apart points along each footprint may be.

    The ridge between two rows of points s apart waves by s²/4d where the rows are d from each other.
    """
    away = np.full(len(footprints_m), np.inf)
    pairs, metres = shapely.STRtree(footprints_m).query_nearest(
        footprints_m, max_distance=SPACING_M[1] ** 2 / WAVINESS_M, exclusive=True, return_distance=True
    )
    away[pairs[0]] = metres + 2 * SHRINK_M
    return np.clip(np.sqrt(4 * WAVINESS_M * away), *SPACING_M)


def _home_blocks(footprints_m: Geometries, blocks_m: Geometries) -> IntArray:
    """The block that holds most of each footprint; the nearest where none does."""
    tree = shapely.STRtree(blocks_m)
    building, block = tree.query(footprints_m, predicate="intersects")
    share = np.ones(len(building))
    several = np.bincount(building, minlength=len(footprints_m))[building] > 1
    share[several] = shapely.area(shapely.intersection(footprints_m[building[several]], blocks_m[block[several]]))
    home = np.full(len(footprints_m), -1, dtype=np.int64)
    order = np.argsort(share, kind="stable")
    home[building[order]] = block[order]
    lost = np.flatnonzero(home < 0)
    if len(lost):
        home[lost] = tree.nearest(shapely.point_on_surface(footprints_m[lost]))
    return home


def _ridges(sites: _Sites, blocks_m: Geometries) -> Geometries:
    """Lines midway between neighbouring buildings, inside their block."""
    found, block = [], []
    for number, bounds in enumerate(shapely.bounds(blocks_m)):
        points, building = sites.of(number)
        if len(building) and (building != building[0]).any():
            found.append(shapely.multilinestrings(shapely.linestrings(_ridge_pieces(points, building, bounds))))
            block.append(number)
    if not found:
        return np.empty(0, dtype=object)
    chains, which = shapely.get_parts(shapely.line_merge(np.array(found, dtype=object)), return_index=True)
    chains, which = shapely.simplify(chains, SMOOTH_M), np.array(block)[which]
    shapely.prepare(blocks_m)
    inside = shapely.contains_properly(blocks_m[which], chains)
    # A little too long, so that each end meets the edge of the block when all lines are noded.
    wide = shapely.buffer(blocks_m, 0.15)
    cut = shapely.get_parts(shapely.intersection(chains[~inside], wide[which[~inside]]))
    return np.concatenate([chains[inside], cut[shapely.get_dimensions(cut) == 1]])


def _ridge_pieces(points: FloatArray, building: IntArray, bounds: FloatArray) -> FloatArray:
    """Borders of the Voronoi cells of points between two buildings, shape (pieces, 2, 2).

    Taken from the Delaunay triangles: each border goes between the centres of two neighbouring triangles, crossing the
    side they share. (Qhull's own Voronoi diagram takes three times as long.)
    """
    middle = (bounds[:2] + bounds[2:]) / 2
    far = 20.0 * max(np.ptp(bounds[[0, 2]]), np.ptp(bounds[[1, 3]]), np.ptp(points, axis=0).max(), 1.0)
    corners = np.array([[-far, -far], [far, -far], [far, far], [-far, far]])
    places = np.vstack([points - middle, corners])
    mesh = Delaunay(places)
    owner = np.concatenate([building, np.full(4, -1)])[mesh.simplices]
    across = np.stack([owner[:, [1, 2]], owner[:, [2, 0]], owner[:, [0, 1]]], axis=1)
    beside = mesh.neighbors
    kept = (across[:, :, 0] != across[:, :, 1]) & (across >= 0).all(axis=2)
    kept &= beside > np.arange(len(beside))[:, None]
    here, side = np.nonzero(kept)
    centre = _centres(places[mesh.simplices])
    pieces = np.stack([centre[here], centre[beside[here, side]]], axis=1)
    pieces = pieces[(pieces[:, 0] != pieces[:, 1]).any(axis=1) & np.isfinite(pieces).all(axis=(1, 2))]
    return np.asarray(pieces + middle)


def _centres(corners: FloatArray) -> FloatArray:
    """Centres of the circles around triangles, shape (triangles, 2)."""
    one = corners[:, 0]
    (bx, by), (cx, cy) = (corners[:, 1] - one).T, (corners[:, 2] - one).T
    b2, c2 = bx * bx + by * by, cx * cx + cy * cy
    with np.errstate(divide="ignore", invalid="ignore"):
        twice = 2 * (bx * cy - by * cx)
        centre = np.column_stack([(cy * b2 - by * c2) / twice, (bx * c2 - cx * b2) / twice])
    return np.asarray(one + centre)


@dataclass(frozen=True)
class _Axes:
    """Long axes of footprints: where they begin, which way, how long."""

    origin: FloatArray
    along: FloatArray
    length_m: FloatArray


def long_axes(footprints_m: Geometries) -> _Axes:
    """The long axis of each footprint's smallest enclosing rectangle."""
    boxes = shapely.oriented_envelope(footprints_m)
    odd = shapely.get_type_id(boxes) != 3
    if odd.any():
        boxes = np.where(odd, shapely.envelope(shapely.buffer(footprints_m, 0.5)), boxes)
    corner = shapely.get_coordinates(boxes).reshape(-1, 5, 2)
    first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 1]
    first_m, second_m = np.hypot(*first.T), np.hypot(*second.T)
    longer = first_m >= second_m
    along = np.where(longer[:, None], first, second)
    length_m = np.maximum(np.maximum(first_m, second_m), 1e-6)
    origin = np.where(longer[:, None], corner[:, 0], corner[:, 1])
    along = along / length_m[:, None]
    # Units are counted from the west (from the south where the axis runs north).
    turned = (along[:, 0] < -1e-6) | ((np.abs(along[:, 0]) <= 1e-6) & (along[:, 1] < 0))
    origin = np.where(turned[:, None], origin + along * length_m[:, None], origin)
    return _Axes(origin, np.where(turned[:, None], -along, along), length_m)


def _unit_cuts(footprints_m: Geometries, units: IntArray, faces_m: Geometries, building: IntArray) -> Geometries:
    """Lines across each building's ground, between its staircases."""
    several = np.flatnonzero((building >= 0) & (units[building] > 1)) if len(units) else np.empty(0, dtype=np.int64)
    if not len(several):
        return np.empty(0, dtype=object)
    axes = long_axes(footprints_m)
    owner = building[several]
    face = np.repeat(several, units[owner] - 1)
    whose = np.repeat(owner, units[owner] - 1)
    step = np.concatenate([np.arange(1, k) for k in units[owner]])
    at = axes.origin[whose] + axes.along[whose] * (axes.length_m[whose] * step / units[whose])[:, None]
    across = np.column_stack([-axes.along[whose][:, 1], axes.along[whose][:, 0]])
    bounds = shapely.bounds(faces_m[face])
    reach = 2 * np.hypot(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])[:, None] + 100
    lines = shapely.linestrings(np.stack([at - across * reach, at + across * reach], axis=1))
    clipped = shapely.get_parts(shapely.intersection(lines, shapely.buffer(faces_m[face], 0.15)))
    return np.asarray(clipped[shapely.get_dimensions(clipped) == 1], dtype=object)


def _unit_of(footprints_m: Geometries, units: IntArray, places: Geometries, building: IntArray) -> IntArray:
    """The staircase, from 0, whose strip each place lies in."""
    unit = np.zeros(len(places), dtype=np.int64)
    several = np.flatnonzero((building >= 0) & (units[building] > 1)) if len(units) else np.empty(0, dtype=np.int64)
    if not len(several):
        return unit
    axes, owner = long_axes(footprints_m), building[several]
    away = shapely.get_coordinates(places[several]) - axes.origin[owner]
    share = (away * axes.along[owner]).sum(axis=1) / axes.length_m[owner]
    unit[several] = np.clip(np.floor(share * units[owner]), 0, units[owner] - 1).astype(np.int64)
    return unit


def _ground(tile: _Tile, parcel: IntArray, lattice: Lattice, lines: _Lines, footprints_m: Geometries) -> Ground:
    faces, building, unit = tile.faces, tile.building, tile.unit
    segments = segments_of(faces)
    start_m, end_m = lattice.points_to_metric(segments.start), lattice.points_to_metric(segments.end)
    length = np.hypot(*(end_m - start_m).T)
    reach = np.where(_approaches(segments, parcel), APPROACH_M, ON_LINE_M)
    strength, crossable = _what_lies_there(start_m, end_m, reach, lines)
    cost = length * CUT_WEIGHT[strength]
    faces_m = lattice.to_metric(faces)
    label, is_core = _labels(faces_m, tile, parcel, segments, length, cost, footprints_m)
    whose = np.full((label.max() + 1, 2), -1, dtype=np.int64)
    whose[label, 0], whose[label, 1] = building, unit
    # A face that was given away must not rename the atom that it joined.
    main = _largest_face(label, np.where(is_core, shapely.area(faces_m), 0.0), building, unit)
    whose[:, 0], whose[:, 1] = building[main], np.where(building[main] >= 0, unit[main], -1)
    side = np.where(segments.face >= 0, label[segments.face], -1)
    atoms = len(whose)
    outer = side[:, 0] != side[:, 1]
    perimeter = sums(side[outer & (side[:, 0] >= 0), 0], length[outer & (side[:, 0] >= 0)], atoms)
    perimeter += sums(side[outer & (side[:, 1] >= 0), 1], length[outer & (side[:, 1] >= 0)], atoms)
    area = sums(label, shapely.area(faces_m), atoms)
    centre = shapely.get_coordinates(shapely.centroid(faces_m)) * shapely.area(faces_m)[:, None]
    middle = np.column_stack([sums(label, centre[:, i], atoms) for i in (0, 1)]) / area[:, None]
    inner = outer & (side >= 0).all(axis=1)
    a, b = side[inner].min(axis=1), side[inner].max(axis=1)
    pair, where = np.unique(a * atoms + b, return_inverse=True)

    def summed(values: FloatArray) -> FloatArray:
        return sums(where, values[inner], len(pair))

    walk = summed(length * crossable) >= NECK_M
    on_barrier = summed(length * (strength > NO_BARRIER))
    return Ground(
        lattice, faces, label, whose[:, 0], whose[:, 1], area, perimeter, middle,
        pair // atoms, pair % atoms, summed(length), summed(cost), on_barrier, walk, parcel[main],
    )  # fmt: skip


def barriers_on(segments: Segments, plot: Plot, lattice: Lattice) -> tuple[FloatArray, IntArray, BoolArray]:
    """What lies on the border pieces of a coverage of a plot's ground.

    Returns
    -------
    length_m : float array, shape (segments,)
    strength : int array, shape (segments,)
        The strongest barrier on each piece.
    crossable : bool array, shape (segments,)
        Whether one can cross somewhere on it.
    """
    outline = lattice.from_wgs84(np.array([plot.outline], dtype=object))[0]
    barriers, kind, is_wall = _near(plot, outline, lattice)
    start_m, end_m = lattice.points_to_metric(segments.start), lattice.points_to_metric(segments.end)
    reach = np.where(touches_outline(segments), APPROACH_M, ON_LINE_M)
    lines = _Lines(lattice.to_metric(barriers), kind, is_wall)
    strength, crossable = _what_lies_there(start_m, end_m, reach, lines)
    return np.hypot(*(end_m - start_m).T), strength, crossable


def _approaches(segments: Segments, parcel: IntArray) -> BoolArray:
    """Which pieces of border end on the community's outline or, inside a parcel or outside all, on a parcel's."""
    side = np.where(segments.face >= 0, parcel[segments.face], -2)
    between = side[:, 0] != side[:, 1]
    return np.asarray(touches_outline(segments) | (touches(segments, between) & ~between))


def _what_lies_there(
    start_m: FloatArray, end_m: FloatArray, reach_m: FloatArray, lines: _Lines
) -> tuple[IntArray, BoolArray]:
    """The strongest barrier on each border piece, and whether one can cross somewhere on it."""
    strength = np.zeros(len(start_m), dtype=np.int64)
    crossable = np.ones(len(start_m), dtype=bool)
    if not len(lines.kind):
        return strength, crossable
    tree = shapely.STRtree(lines.shape_m)
    place, barrier = tree.query(shapely.points((start_m + end_m) / 2), predicate="dwithin", distance=reach_m)
    np.maximum.at(strength, place, lines.kind[barrier])
    wet = np.flatnonzero(strength == WATER)
    if len(wet):
        bridges = lines.bridges()
        shapely.prepare(bridges)
        crossable[wet] = shapely.intersects(bridges, shapely.linestrings(np.stack([start_m[wet], end_m[wet]], axis=1)))
    return strength, crossable


def _labels(
    faces_m: Geometries, tile: _Tile, parcel: IntArray, segments: Segments, length: FloatArray, cost: FloatArray,
    footprints_m: Geometries,
) -> tuple[IntArray, BoolArray]:  # fmt: skip
    """Number the atoms: each one piece; slivers of empty land and stray pieces join the neighbour they lean on.

    Returns
    -------
    label : int array, shape (faces,)
    is_core : bool array, shape (faces,)
        Whether a face was there before any stray piece joined its atom.
    """
    count, building, unit = len(faces_m), tile.building, tile.unit
    inner = (segments.face >= 0).all(axis=1) & (parcel[segments.face[:, 0]] == parcel[segments.face[:, 1]])
    left, right = segments.face[inner].T
    shared = coo_array((length[inner], (left, right)), shape=(count, count)).tocsr()
    shared = (shared + shared.T).tocoo()
    open_m = coo_array((cost[inner], (left, right)), shape=(count, count)).tocsr()
    open_m = (open_m + open_m.T).tocoo()
    units_to = int(unit.max()) + 1 if count else 1
    name = np.where(building >= 0, building * units_to + unit, -1 - np.arange(count))
    i, j, metres = shared.row, shared.col, shared.data

    def joined(label: IntArray) -> IntArray:
        held = (label[i] == label[j]) & (metres >= NECK_M)
        pairs = coo_array((np.ones(held.sum()), (i[held], j[held])), shape=(count, count))
        return np.asarray(connected_components(pairs)[1], dtype=np.int64)

    piece = joined(name)
    owner = np.full(piece.max() + 1, -1, dtype=np.int64)
    owner[piece] = building
    housed_m2 = _housed(faces_m, building, piece, footprints_m)
    worth = shapely.area(faces_m) + HOUSED_WORTH * housed_m2
    stray = _strays(piece, name, owner, faces_m, worth)
    stray |= _beside_the_house(piece, owner, housed_m2)
    # A building's staircases together lie in one piece too: grids are made of whole buildings.
    whole = np.where(building >= 0, building * (parcel.max() + 2) + parcel + 1, -1 - np.arange(count))
    apart = joined(whole)
    stray |= np.bincount(piece, ~_in_largest(apart, whole, worth), len(stray)) > 0
    if stray.all():
        stray[np.argmax(sums(piece, shapely.area(faces_m)))] = False
    return _join_strays(piece, stray, owner, open_m.row, open_m.col, open_m.data, shared)


def _housed(faces_m: Geometries, building: IntArray, piece: IntArray, footprints_m: Geometries) -> FloatArray:
    """Square metres of each face that its own building stands on; looked at only where ground is in several pieces."""
    housed = np.zeros(len(faces_m))
    if not len(footprints_m):
        return housed
    one = np.unique(np.column_stack([building, piece]), axis=0)[:, 0]
    several = np.bincount(one[one >= 0], minlength=len(footprints_m)) > 1
    asked = np.flatnonzero((building >= 0) & several[building])
    housed[asked] = shapely.area(shapely.intersection(faces_m[asked], footprints_m[building[asked]]))
    return housed


def _beside_the_house(piece: IntArray, owner: IntArray, housed_m2: FloatArray) -> BoolArray:
    """Pieces of a building's ground that it does not stand on, though it does on another: nobody lives there."""
    here = sums(piece, housed_m2, len(owner))
    most = np.zeros(int(owner.max(initial=-1)) + 1)
    np.maximum.at(most, owner[owner >= 0], here[owner >= 0])
    return (owner >= 0) & (here < LEAST_HOUSED_M2) & (most[owner] >= LEAST_HOUSED_M2) if len(most) else owner >= 0


def _strays(piece: IntArray, name: IntArray, owner: IntArray, faces_m: Geometries, worth: FloatArray) -> BoolArray:
    """Pieces that are no atom of their own: all but the worthiest of a staircase's, and slivers of empty land."""
    area = sums(piece, shapely.area(faces_m))
    stray = np.ones(len(area), dtype=bool)
    stray[piece[_in_largest(piece, name, worth)]] = False
    around = sums(piece, shapely.length(faces_m))
    thin = (area < SLIVER_AREA_M2) | (2 * area / np.maximum(around, 1e-9) < SLIVER_WIDTH_M / 2)
    return np.asarray(stray | ((owner < 0) & thin))


def _in_largest(piece: IntArray, name: IntArray, area: FloatArray) -> BoolArray:
    """Whether each face is in the largest of the pieces that have its name."""
    total = sums(piece, area)
    named = np.zeros(len(total), dtype=np.int64)
    named[piece] = name
    order = np.lexsort((-total, named))
    first = np.ones(len(order), dtype=bool)
    first[1:] = named[order][1:] != named[order][:-1]
    return np.asarray(np.isin(piece, order[first]))


def _join_strays(
    piece: IntArray, stray: BoolArray, owner: IntArray, i: IntArray, j: IntArray, metres: FloatArray, shared: coo_array
) -> tuple[IntArray, BoolArray]:
    """Give each stray piece to the neighbour with most shared metres, same building first; then number anew."""
    pieces = len(stray)
    # An open border counts in full, one on a barrier little: land stays on its side of the street.
    a = np.concatenate([piece[shared.row], piece[i]])
    b = np.concatenate([piece[shared.col], piece[j]])
    asked = (a != b) & stray[a]
    where = coo_array(
        (np.concatenate([shared.data, 3.0 * metres])[asked], (a[asked], b[asked])), shape=(pieces, pieces)
    )
    near = where.tocsr()
    target = np.where(stray, -1, np.arange(pieces))
    waiting = [int(p) for p in np.flatnonzero(stray)]
    size = np.bincount(piece, minlength=pieces)
    while waiting:
        left = []
        for p in waiting:
            beside, share = (
                near.indices[near.indptr[p] : near.indptr[p + 1]],
                near.data[near.indptr[p] : near.indptr[p + 1]],
            )
            settled = target[beside] >= 0
            if settled.any():
                share = share * np.where((owner[p] >= 0) & (owner[beside] == owner[p]), 10.0, 1.0)
                target[p] = target[max(zip(share[settled].tolist(), beside[settled].tolist(), strict=True))[1]]
            else:
                left.append(p)
        if len(left) == len(waiting):
            # Cut off from all that is settled (by a parcel): an atom after all.
            alone = max(left, key=lambda p: (size[p], -p))
            target[alone] = alone
            left.remove(alone)
        waiting = left
    return np.unique(target[piece], return_inverse=True)[1].astype(np.int64), target[piece] == piece


def _largest_face(label: IntArray, area: FloatArray, building: IntArray, unit: IntArray) -> IntArray:
    """For each atom the face that names it: of the building (and unit) with most of its area."""
    name = building * (int(unit.max()) + 1) + unit if len(unit) else building
    key, where = np.unique(np.column_stack([label, name]), axis=0, return_inverse=True)
    total = sums(where.ravel(), area)
    biggest = np.argsort(area, kind="stable")
    face_of_key = np.zeros(len(key), dtype=np.int64)
    face_of_key[where.ravel()[biggest]] = biggest
    order = np.argsort(total, kind="stable")
    main = np.zeros(int(label.max()) + 1, dtype=np.int64)
    main[key[order, 0]] = face_of_key[order]
    return main
