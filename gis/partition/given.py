"""A division that is given, of polygons or of a list of buildings, made into cells that tile a community exactly.

What people have drawn neither tiles the ground nor minds houses. Here it does, by three rules: buildings first (a
building is wholly where most of it lies, and borders step round it); ground that several claim is the smallest
claimant's; ground that nobody claims is the neighbour's with the longest common border. All that is changed is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.findings import Severity
from gis.geometry import FloatArray, Geometries, IntArray, Lattice, as_polygons, dissolve, segments_of, sums
from gis.partition.ground import Ground, survey
from gis.partition.site import Job, Site, parts_of, plot_of

WIDE_M = 2.0  # gaps and overlaps that are nowhere wider come from drawing the same line twice
WIDE_M2 = 10.0
CUT_RATIO = 0.02  # of a footprint beyond the border that cuts nothing but a rough corner
CUT_M2 = 2.0
AROUND_M = 0.8  # a border steps so far round a house
HOUSED_M2 = 0.5
PIECE_M2 = 500.0  # empty ground that is torn off, and worth telling
LEAST_CELL_M2 = 1.0


@dataclass(frozen=True)
class Drawn:
    """The cells of one community as they are given, each by its ground or by its buildings.

    Attributes
    ----------
    ground : array of polygons, shape (cells,), or None
        EPSG:4326; as drawn, also beyond the community.
    home : int array, shape (buildings,), or None
        The cell that each building of the job is said to be in; -1 where nothing is said.
    count : int
        Number of cells.
    """

    ground: Geometries | None
    home: IntArray | None
    count: int


@dataclass(frozen=True)
class Noticed:
    """One thing that was noticed of a given cell or building, and where.

    Attributes
    ----------
    cell, other : int or None
        Numbers of cells as drawn.
    building : int or None
        Number of a building of the job.
    place : geometry or None
        In metres of the job's zone.
    """

    code: str
    severity: Severity
    cell: int | None = None
    other: int | None = None
    building: int | None = None
    place: shapely.Geometry | None = None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """A community with the ground of its given cells.

    Attributes
    ----------
    site : Site
        Its atoms are the cells that have ground.
    cell : int array, shape (atoms,)
        The number, as drawn, of each.
    noticed : tuple of Noticed
    """

    site: Site
    cell: IntArray
    noticed: tuple[Noticed, ...]


def settle_given(job: Job, drawn: Drawn) -> Settled:
    """Give every piece of a community's ground, and every building, to one of the given cells.

    Parameters
    ----------
    job : Job
        The community, without a past.
    drawn : Drawn
        At least one cell has ground or a building here.
    """
    parts, _ = parts_of(job)
    whole = np.ones(len(parts.units), dtype=np.int64)
    parts = replace(parts, units=whole, is_cut=np.zeros(len(whole), dtype=bool))
    lattice = Lattice.at(job.outline, job.zone)
    outline_m = lattice.to_metric(lattice.from_wgs84(np.array([job.outline], dtype=object)))[0]
    footprints_m = lattice.to_metric(lattice.from_wgs84(job.footprints))
    households = np.asarray(parts.households, dtype=np.int64)
    claims = _claims(drawn, lattice, outline_m, footprints_m, households)
    plot = plot_of(job, parts)
    if claims.ground_m is not None:
        edges = lattice.to_wgs84(lattice.from_metric(claims.ground_m[~shapely.is_empty(claims.ground_m)]))
        plot = replace(plot, edges=np.concatenate([plot.edges, edges]))
    ground = survey(plot, job.zone)
    tiles = _Tiles.of(ground, footprints_m, households)
    cell = tiles.filled(tiles.claimed(claims))
    cell, noticed = tiles.in_one_piece(cell)
    if claims.ground_m is not None:
        noticed += _gaps(claims.ground_m, outline_m, footprints_m, households, tiles, cell)
    told = (*claims.noticed, *noticed, *_not_said(drawn, tiles, cell, households))
    return _settled(job, parts, ground, tiles, cell, told)


# --- What is claimed -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Claims:
    """Ground that cells hold, which does not overlap and cuts no house; the cell of each building, -1 of none."""

    ground_m: Geometries | None
    home: IntArray
    noticed: tuple[Noticed, ...]


def _claims(
    drawn: Drawn, lattice: Lattice, outline_m: shapely.Geometry, footprints_m: Geometries, households: IntArray
) -> _Claims:
    if drawn.ground is None:
        assert drawn.home is not None
        return _Claims(None, drawn.home, ())
    shapes = as_polygons(lattice.to_metric(lattice.from_wgs84(drawn.ground)))
    shapes = as_polygons(shapely.intersection(shapes, outline_m))
    shapes, overlaps = _apart(shapes)
    home, cut = _homes(shapes, footprints_m, households)
    return _Claims(_around_houses(shapes, footprints_m, home), home, (*overlaps, *cut))


def _apart(shapes_m: Geometries) -> tuple[Geometries, list[Noticed]]:
    """Take what several hold from all but the smallest; of equals the first keeps it."""
    result = shapes_m.copy()
    order = np.lexsort((np.arange(len(shapes_m)), shapely.area(shapes_m)))
    rank = np.argsort(order)
    a, b = shapely.STRtree(shapes_m).query(shapes_m, predicate="intersects")
    kept = (rank[a] < rank[b]) & (shapely.area(shapes_m[a]) > 0)
    a, b = a[kept], b[kept]
    common = as_polygons(shapely.intersection(shapes_m[a], shapes_m[b]))
    noticed = []
    for i in np.lexsort((rank[b], rank[a])):
        if shapely.area(common[i]) <= 0:
            continue
        result[b[i]] = shapely.difference(result[b[i]], common[i])
        area = float(shapely.area(shapely.buffer(common[i], -WIDE_M / 2)))
        if area > 0 and shapely.area(common[i]) > WIDE_M2:
            params = {"area_m2": round(float(shapely.area(common[i])))}
            noticed.append(
                Noticed("take.overlap", Severity.REPAIRED, int(a[i]), int(b[i]), place=common[i], params=params)
            )
    return as_polygons(result), noticed


def _homes(shapes_m: Geometries, footprints_m: Geometries, households: IntArray) -> tuple[IntArray, list[Noticed]]:
    """The cell that holds most of each building, and which buildings a border cuts."""
    home = np.full(len(footprints_m), -1, dtype=np.int64)
    if not len(footprints_m):
        return home, []
    building, cell = shapely.STRtree(shapes_m).query(footprints_m, predicate="intersects")
    inside = shapely.area(shapely.intersection(footprints_m[building], shapes_m[cell]))
    kept = inside > 0
    building, cell, inside = building[kept], cell[kept], inside[kept]
    order = np.lexsort((-cell, inside))  # the last wins
    home[building[order]] = cell[order]
    noticed = []
    for i in np.flatnonzero((cell != home[building]) & (inside > CUT_M2)):
        b, whole = int(building[i]), float(shapely.area(footprints_m[building[i]]))
        if inside[i] > CUT_RATIO * whole:
            params = {"percent": round(100 * float(inside[i]) / whole), "households": int(households[b])}
            found = Noticed("take.building_cut", Severity.REPAIRED, int(home[b]), int(cell[i]), b,
                            footprints_m[b], params)  # fmt: skip
            noticed.append(found)
    return home, noticed


def _around_houses(shapes_m: Geometries, footprints_m: Geometries, home: IntArray) -> Geometries:
    """Borders that step round the houses that they would cut."""
    result = shapes_m.copy()
    if not len(footprints_m):
        return result
    tree, houses = shapely.STRtree(shapes_m), shapely.STRtree(footprints_m)
    building, cell = tree.query(footprints_m, predicate="intersects")
    held = home[building] >= 0
    building, cell = building[held], cell[held]
    own = cell == home[building]
    clean = np.zeros(len(footprints_m), dtype=bool)
    clean[building[own]] = shapely.contains(shapes_m[cell[own]], footprints_m[building[own]])
    for b in np.unique(building[~clean[building]]):
        near = houses.query(shapely.buffer(footprints_m[b], 2 * AROUND_M))
        others = footprints_m[near[home[near] != home[b]]]
        room = shapely.buffer(footprints_m[b], AROUND_M, join_style="mitre")
        room = shapely.union(shapely.difference(room, shapely.union_all(others)), footprints_m[b])
        for c in np.unique(np.append(cell[building == b], home[b])):
            join = shapely.union if c == home[b] else shapely.difference
            result[c] = join(result[c], room)
    return as_polygons(result)


# --- Tiles -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tiles:
    """The faces of a community's ground, and which of them go together because a house stands on them.

    Attributes
    ----------
    faces_m : array of polygons, shape (faces,)
    owner : int array, shape (faces,)
        The building whose ground a face is; -1 of empty land.
    group : int array, shape (faces,)
        Faces that one building stands on have one number; any other face its own.
    house : int array, shape (groups,)
        The building that stands on each group; -1 of none.
    lived : float array, shape (groups,)
        Households.
    a, b, length_m
        Pairs of faces side by side, and the metres of their common border.
    """

    faces_m: Geometries
    owner: IntArray
    group: IntArray
    house: IntArray
    lived: FloatArray
    a: IntArray
    b: IntArray
    length_m: FloatArray

    @classmethod
    def of(cls, ground: Ground, footprints_m: Geometries, households: IntArray) -> _Tiles:
        faces_m = ground.lattice.to_metric(ground.faces)
        owner = ground.building[ground.atom_of_face]
        stands = owner >= 0
        stands[stands] = (
            shapely.area(shapely.intersection(faces_m[stands], footprints_m[owner[stands]])) > HOUSED_M2
            if stands.any()
            else False
        )
        name = np.where(stands, owner, -1 - np.arange(len(owner)))
        names, group = np.unique(name, return_inverse=True)
        house = np.where(names >= 0, names, -1)
        lived = np.where(house >= 0, households[house] if len(households) else 0, 0).astype(np.float64)
        pieces = segments_of(ground.faces)
        inner = pieces.face[:, 1] >= 0
        ends = [ground.lattice.points_to_metric(points[inner]) for points in (pieces.start, pieces.end)]
        length = np.hypot(*(ends[1] - ends[0]).T)
        low, high = pieces.face[inner].min(axis=1), pieces.face[inner].max(axis=1)
        pair, where = np.unique(low * len(faces_m) + high, return_inverse=True)
        return cls(faces_m, owner, group.astype(np.int64), house, lived, pair // len(faces_m), pair % len(faces_m),
                   sums(where, length, len(pair)))  # fmt: skip

    def claimed(self, claims: _Claims) -> IntArray:
        """The cell of each face: of the house on it, else of the claim that it lies in; -1 of none."""
        house = self.house[self.group]
        cell = np.full(len(self.faces_m), -1, dtype=np.int64)
        if claims.ground_m is None:
            # A list of buildings says nothing of land: that of a building is its own.
            known = self.owner >= 0
            cell[known] = claims.home[self.owner[known]]
            return cell
        face, claim = shapely.STRtree(claims.ground_m).query(
            shapely.point_on_surface(self.faces_m), predicate="intersects"
        )
        cell[face[::-1]] = claim[::-1]
        housed = house >= 0
        cell[housed] = claims.home[house[housed]]
        return cell

    def filled(self, cell: IntArray) -> IntArray:
        """Give faces of nobody to the neighbour with the longest common border, from the rim inwards."""
        cell = cell.copy()
        groups = len(self.house)
        a, b = np.concatenate([self.a, self.b]), np.concatenate([self.b, self.a])
        metres = np.concatenate([self.length_m, self.length_m])
        while (cell < 0).any():
            rim = (cell[a] < 0) & (cell[b] >= 0)
            if not rim.any():
                break
            count = int(cell.max()) + 1
            key, where = np.unique(self.group[a[rim]] * count + cell[b[rim]], return_inverse=True)
            total = sums(where, metres[rim], len(key))
            best = np.full(groups, -1, dtype=np.int64)
            order = np.lexsort((-key, total))
            best[(key // count)[order]] = (key % count)[order]
            cell = np.where((cell < 0) & (best[self.group] >= 0), best[self.group], cell)
        return self._nearest(cell)

    def _nearest(self, cell: IntArray) -> IntArray:
        """Ground that touches nobody's (an island) goes to the nearest."""
        lost, known = np.flatnonzero(cell < 0), np.flatnonzero(cell >= 0)
        if len(lost):
            cell = cell.copy()
            near = shapely.STRtree(self.faces_m[known]).nearest(self.faces_m[lost])
            cell[lost] = cell[known[near]]
        return cell

    def in_one_piece(self, cell: IntArray) -> tuple[IntArray, list[Noticed]]:
        """Give empty pieces that are torn off to their neighbours; tell of those where people live."""
        piece = self.pieces(cell)
        count = int(piece.max()) + 1
        of_piece = np.zeros(count, dtype=np.int64)
        of_piece[piece] = cell
        first = np.unique(self.group, return_index=True)[1]
        lived = sums(piece[first], self.lived, count)
        area = sums(piece, shapely.area(self.faces_m), count)
        order = np.lexsort((-area, -lived, of_piece))
        main = np.ones(count, dtype=bool)
        main[order[1:]] = of_piece[order[1:]] != of_piece[order[:-1]]
        noticed = []
        for p in np.flatnonzero(~main & ((lived > 0) | (area > PIECE_M2))):
            place = shapely.union_all(self.faces_m[piece == p])
            code, severity = ("take.torn", Severity.NOTE) if lived[p] else ("take.piece_given", Severity.REPAIRED)
            params = {"households": int(lived[p]), "area_m2": round(float(area[p]))}
            noticed.append(Noticed(code, severity, int(of_piece[p]), place=place, params=params))
        loose = ~main[piece] & (lived[piece] == 0)
        if loose.any():
            cell = self.filled(np.where(loose, -1, cell))
        return cell, noticed

    def pieces(self, cell: IntArray) -> IntArray:
        """Number the pieces of ground that hang together within their cell."""
        same = cell[self.a] == cell[self.b]
        shape = (len(cell), len(cell))
        links = coo_array((np.ones(int(same.sum())), (self.a[same], self.b[same])), shape=shape)
        return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)

    def homes(self, cell: IntArray, buildings: int) -> IntArray:
        """The cell of each building: of the ground it stands on, else of most of its ground; -1 without any."""
        home = np.full(buildings, -1, dtype=np.int64)
        order = np.argsort(shapely.area(self.faces_m), kind="stable")
        owned = order[self.owner[order] >= 0]
        home[self.owner[owned]] = cell[owned]
        housed = self.house[self.group]
        stands = np.flatnonzero(housed >= 0)
        home[housed[stands]] = cell[stands]
        return home


def _gaps(
    claimed_m: Geometries, outline_m: shapely.Geometry, footprints_m: Geometries, households: IntArray, tiles: _Tiles,
    cell: IntArray,
) -> list[Noticed]:  # fmt: skip
    """Ground of the community that no cell held, with those who live there and who has got most of it."""
    left = shapely.difference(outline_m, shapely.union_all(claimed_m))
    wide = shapely.buffer(shapely.buffer(left, -WIDE_M / 2), WIDE_M / 2)
    gaps = shapely.get_parts(shapely.intersection(left, wide))
    gaps = gaps[shapely.area(gaps) > WIDE_M2]
    if not len(gaps):
        return []
    points = shapely.point_on_surface(footprints_m)
    gap, building = shapely.STRtree(points).query(gaps, predicate="intersects")
    people = sums(gap, households[building], len(gaps)) if len(building) else np.zeros(len(gaps))
    houses = np.bincount(gap, minlength=len(gaps))
    faces = shapely.STRtree(tiles.faces_m)
    noticed = []
    for i, shape in enumerate(gaps):
        near = faces.query(shape, predicate="intersects")
        share = sums(cell[near], shapely.area(shapely.intersection(tiles.faces_m[near], shape)))
        params = {
            "area_m2": round(float(shapely.area(shape))), "buildings": int(houses[i]), "households": int(people[i])
        }  # fmt: skip
        noticed.append(Noticed("take.gap", Severity.REPAIRED, int(share.argmax()), place=shape, params=params))
    return noticed


def _not_said(drawn: Drawn, tiles: _Tiles, cell: IntArray, households: IntArray) -> list[Noticed]:
    """Buildings that a list leaves out, and where they have come to."""
    if drawn.home is None or drawn.ground is not None:
        return []
    home = tiles.homes(cell, len(households))
    return [
        Noticed("take.building_not_said", Severity.REPAIRED, int(home[b]), building=int(b),
                params={"households": int(households[b])})
        for b in np.flatnonzero((drawn.home < 0) & (home >= 0))
    ]  # fmt: skip


# --- The cells -------------------------------------------------------------------------------------------------------


def _settled(
    job: Job, parts: Any, ground: Ground, tiles: _Tiles, cell: IntArray, noticed: tuple[Noticed, ...]
) -> Settled:
    """The community with its cells for atoms."""
    numbers, atom_of_face = np.unique(cell, return_inverse=True)
    area = sums(atom_of_face, shapely.area(tiles.faces_m), len(numbers))
    home = tiles.homes(cell, len(parts.units))
    lost = np.flatnonzero(home < 0)
    if len(lost):  # no ground of its own: where it stands
        inside = ground.lattice.to_wgs84(_middles(ground))
        near = shapely.STRtree(inside).nearest(shapely.point_on_surface(job.footprints[lost]))
        home[lost] = cell[near]
    atom = np.searchsorted(numbers, home)
    households = np.asarray(parts.households, dtype=np.int64)
    shapes = dissolve(tiles.faces_m, atom_of_face.astype(np.int64), len(numbers))
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    none: NDArray[Any] = np.full(len(numbers), -1, dtype=np.int64)
    atoms = replace(ground, atom_of_face=atom_of_face.astype(np.int64), building=none, unit=none, area_m2=area,
                    perimeter_m=shapely.length(shapes), middle_m=middle, parcel=none)  # fmt: skip
    site = Site(
        job, parts, atoms, np.arange(len(home)), np.zeros(len(home), dtype=np.int64), atom, households,
        sums(atom, households, len(numbers)), np.zeros(len(home), dtype=bool),
    )  # fmt: skip
    return Settled(site, numbers.astype(np.int64), noticed)


def _middles(ground: Ground) -> Geometries:
    """A point in each face, on the lattice."""
    return np.asarray(shapely.point_on_surface(ground.faces), dtype=object)
