"""Parcels: ground inside a community that stays exactly as it is, and the regions that it leaves.

A region is surveyed as if it were a community of its own, so that nothing crosses its border and its border stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from gis.geometry import (
    FloatArray,
    Geometries,
    IntArray,
    Lattice,
    dissolve,
    faces_of,
    landings_on,
    segments_of,
    sides_of,
    sums,
)

SLIVER_M = 0.1  # ground outside all parcels that is thinner joins the parcel beside it: two drawings of one border
LEAST_PART = 0.5  # of a staircase: a cut building stands in each region that holds more
_SAME = 1.5  # lattice steps: two drawings of a side, one of them with corners that the other lacks


@dataclass(frozen=True)
class Regions:
    """A community in parcels and what lies outside them.

    Attributes
    ----------
    outline : array of polygons or multipolygons, shape (regions,)
        On the lattice; a coverage.
    parcel : int array, shape (regions,)
        -1 outside all.
    landings : tuple of float arrays, or None for each
        Where lines may meet each region's outline (`gis.geometry.Weave`).
    """

    outline: Geometries
    parcel: IntArray
    landings: tuple[FloatArray | None, ...]


def regions_of(outline: shapely.Geometry, parcels: Geometries, lattice: Lattice) -> Regions:
    """Split a community (on the lattice) along the borders of parcels (EPSG:4326).

    Where parcels overlap, the ground is the first one's.
    """
    whole = np.array([outline], dtype=object)
    if not len(parcels):
        return Regions(whole, np.array([-1]), (None,))
    drawn = lattice.from_wgs84(parcels)
    faces = faces_of(shapely.boundary(np.concatenate([whole, drawn])))
    inside = shapely.point_on_surface(faces)
    faces = faces[shapely.intersects(outline, inside)]
    parcel = _join_slivers(faces, _parcel_of(faces, drawn), lattice)
    numbers, label = np.unique(parcel, return_inverse=True)
    regions = dissolve(faces, label, len(numbers))
    rim = landings_on(*sides_of(whole))
    ring = shapely.boundary(outline)
    shapely.prepare(ring)
    return Regions(regions, numbers, tuple(_landings(region, ring, rim) for region in regions))


def _parcel_of(faces: Geometries, parcels: Geometries) -> IntArray:
    none = len(parcels)
    result = np.full(len(faces), none, dtype=np.int64)
    face, parcel = shapely.STRtree(parcels).query(shapely.point_on_surface(faces), predicate="intersects")
    np.minimum.at(result, face, parcel)
    return np.where(result == none, -1, result)


def _join_slivers(faces: Geometries, parcel: IntArray, lattice: Lattice) -> IntArray:
    """Give thin ground outside all parcels to the parcel that it has most border with."""
    metric = lattice.to_metric(faces)
    thin = (parcel < 0) & (2 * shapely.area(metric) < SLIVER_M * shapely.length(metric))
    if not thin.any():
        return parcel
    sides = segments_of(faces)
    length = np.hypot(*(sides.end - sides.start).T)
    result = parcel.copy()
    for one, other in ((0, 1), (1, 0)):
        here, there = sides.face[:, one], sides.face[:, other]
        wanted = (here >= 0) & (there >= 0) & thin[here] & (parcel[there] >= 0)
        for face in np.unique(here[wanted]):
            beside = wanted & (here == face)
            result[face] = np.argmax(sums(parcel[there[beside]], length[beside]))
    return result


def _landings(region: shapely.Geometry, ring: shapely.Geometry, rim: FloatArray) -> FloatArray:
    """Where lines meet a region: on the community's outline where they would without parcels."""
    start, end = sides_of(np.array([region], dtype=object))
    outer = shapely.dwithin(ring, shapely.points((start + end) / 2), _SAME)
    outer &= shapely.dwithin(ring, shapely.points(start), _SAME) & shapely.dwithin(ring, shapely.points(end), _SAME)
    west, south, east, north = shapely.bounds(region)
    # Most of the rim is far away; so far that nothing of it could be near.
    x, y = rim.T
    about = rim[(x > west - 2 * _SAME) & (x < east + 2 * _SAME) & (y > south - 2 * _SAME) & (y < north + 2 * _SAME)]
    near = shapely.dwithin(shapely.boundary(region), shapely.points(about), _SAME)
    return np.vstack([landings_on(start[~outer], end[~outer]), start, end, about[near]])


@dataclass(frozen=True)
class Standing:
    """Which buildings have ground in which regions, and with what part of their footprint."""

    building: IntArray
    region: IntArray
    shape_m: Geometries

    def there(self, region: int) -> tuple[IntArray, Geometries]:
        """Buildings of a region, and what stands of each in it."""
        here = self.region == region
        return self.building[here], self.shape_m[here]


def standing(footprints_m: Geometries, units: IntArray, regions_m: Geometries) -> Standing:
    """Put each building into the region that holds most of it; one cut by staircases into each that holds some."""
    count = len(footprints_m)
    if len(regions_m) == 1 or not count:
        return Standing(np.arange(count), np.zeros(count, dtype=np.int64), footprints_m)
    shapely.prepare(regions_m)
    tree = shapely.STRtree(regions_m)
    building, region = tree.query(footprints_m, predicate="intersects")
    alone = np.bincount(building, minlength=count)[building] == 1
    shape = footprints_m[building]
    # A buffer of nothing leaves the areal part.
    shape[~alone] = shapely.buffer(shapely.intersection(shape[~alone], regions_m[region[~alone]]), 0)
    area = np.where(alone, 1.0, shapely.area(shape))
    best = np.zeros(len(building), dtype=bool)
    order = np.lexsort((-region, area, building))
    best[order[np.append(building[order][1:] != building[order][:-1], True)]] = True
    enough = (units[building] > 1) & (area >= LEAST_PART / units[building] * shapely.area(footprints_m[building]))
    kept = best | (enough & ~alone)
    building, region, shape = building[kept], region[kept], shape[kept]
    whole = units[building] == 1
    shape[whole] = footprints_m[building[whole]]
    lost = np.setdiff1d(np.arange(count), building)
    if len(lost):
        building, shape = np.concatenate([building, lost]), np.concatenate([shape, footprints_m[lost]])
        region = np.concatenate([region, tree.nearest(shapely.point_on_surface(footprints_m[lost]))])
    order = np.argsort(building, kind="stable")
    return Standing(building[order], region[order], shape[order])
