"""Made-up ground for measurements: a town of micro-grids and grids whose borders are rough and shared exactly.

Voronoi cells of random seeds in a rectangle, their borders roughened, give the micro-grids; micro-grids by the nearest
of fewer seeds give the grids. 2,900 of them in 600 grids on 5 × 5 km are a town, 290,000 in 60,000 on 50 × 50 km a
city. Both tiers are valid coverages in degrees (WGS-84, to 7 decimals, as the database keeps them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi, cKDTree

WEST, SOUTH = 120.3, 31.5
M_PER_DEGREE = (111_320.0 * math.cos(math.radians(SOUTH)), 110_850.0)
SIDE_M = 204.0
"""Side of a square as large as a grid."""
MICRO_OF_A_GRID = 4.83
ROUGH_M = 7.0
"""Length of a piece of a roughened border."""

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class Coverage:
    """Two tiers of cells that tile a rectangle.

    Attributes
    ----------
    grids : array of Geometry, shape (grids,)
        Polygons, some MultiPolygons; degrees.
    micro_grids : array of Polygon, shape (micro_grids,)
    grid_of : array of int, shape (micro_grids,)
        Number of the grid that a micro-grid lies in.
    """

    grids: Geometries
    micro_grids: Geometries
    grid_of: NDArray[np.int64]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        west, south, east, north = shapely.total_bounds(self.micro_grids)
        return float(west), float(south), float(east), float(north)


def coverage(grids: int = 600, *, seed: int = 1) -> Coverage:
    """Make a town of so many grids, with nearly five micro-grids each."""
    random = np.random.default_rng(seed)
    side_m = SIDE_M * math.sqrt(grids)
    seeds = random.random((round(grids * MICRO_OF_A_GRID), 2)) * side_m
    borders = _roughened(_borders(seeds, side_m), random)
    micro = np.asarray(shapely.get_parts(shapely.polygonize(borders)), dtype=object)
    middles = (shapely.get_coordinates(shapely.centroid(micro)) - (WEST, SOUTH)) * M_PER_DEGREE
    _, grid_of = cKDTree(middles[random.choice(len(micro), grids, replace=False)]).query(middles)
    return Coverage(_grouped(micro, grid_of), micro, np.asarray(grid_of, dtype=np.int64))


def uniform_points(of: Coverage, count: int, *, seed: int = 2) -> NDArray[np.float64]:
    """Points spread evenly over the rectangle, shape (count, 2), degrees."""
    west, south, east, north = of.bounds
    random = np.random.default_rng(seed)
    return random.random((count, 2)) * (east - west, north - south) + (west, south)


def adversarial_points(cells: Geometries, count: int, *, seed: int = 3) -> NDArray[np.float64]:
    """Points where a rule about borders shows: a third each on shared corners, on edges, and next to corners.

    Those on edges are rounded to doubles, so most lie a little beside; those next to corners are one unit in the last
    place off, in longitude or in latitude.
    """
    random = np.random.default_rng(seed)
    corners = shapely.get_coordinates(cells)
    third = count // 3
    shared = corners[random.integers(0, len(corners), third)]
    at = random.integers(0, len(corners) - 1, third)
    share = random.choice([0.5, 0.25, 0.75, 1.0 / 3.0], third)[:, None]
    between = corners[at] + share * (corners[at + 1] - corners[at])
    beside = corners[random.integers(0, len(corners), count - 2 * third)].copy()
    axis, way = random.integers(0, 2, len(beside)), random.choice([-np.inf, np.inf], len(beside))
    row = np.arange(len(beside))
    beside[row, axis] = np.nextafter(beside[row, axis], way)
    return np.concatenate([shared, between, beside])


def owners_by_fractions(cells: Geometries, points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first cell that covers each point, -1 if none, in rational arithmetic: slow, and right by construction."""
    tree = shapely.STRtree(cells)
    found = np.full(len(points), -1, dtype=np.int64)
    around = shapely.box(*(points - 1e-9).T, *(points + 1e-9).T)
    for n, cell in zip(*(part.tolist() for part in tree.query(around)), strict=True):
        if (found[n] < 0 or cell < found[n]) and _covers(cells[cell], *points[n].tolist()):
            found[n] = cell
    return found


def _covers(cell: Any, x: float, y: float) -> bool:
    inside = False
    px, py = Fraction(x), Fraction(y)
    for ring in shapely.get_rings(shapely.get_parts(cell)):
        corners = [(Fraction(a), Fraction(b)) for a, b in shapely.get_coordinates(ring).tolist()]
        for (ax, ay), (bx, by) in pairwise(corners):
            side = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
            if side == 0 and min(ax, bx) <= px <= max(ax, bx) and min(ay, by) <= py <= max(ay, by):
                return True
            if (ay <= py) != (by <= py) and (side > 0) == (by > ay):
                inside = not inside
    return inside


def _borders(seeds: NDArray[np.float64], side_m: float) -> Any:
    """The borders of the Voronoi cells within a square as pairs of ends, in metres."""
    margin = 8 * side_m / math.sqrt(len(seeds))
    mirrored = [seeds]
    for axis in (0, 1):
        for edge in (0.0, side_m):
            near = np.flatnonzero(np.abs(seeds[:, axis] - edge) < margin)
            turned = seeds[near].copy()
            turned[:, axis] = 2 * edge - turned[:, axis]
            mirrored.append(turned)
    diagram = Voronoi(np.concatenate(mirrored))
    ends = np.asarray(diagram.ridge_vertices)
    kept = (np.asarray(diagram.ridge_points) < len(seeds)).any(axis=1) & (ends >= 0).all(axis=1)
    lines = np.clip(diagram.vertices[ends[kept]], 0.0, side_m)
    degrees = np.round(lines / M_PER_DEGREE, 7)
    long = (degrees[:, 0] != degrees[:, 1]).any(axis=1)
    return lines[long]


def _roughened(lines: Any, random: np.random.Generator) -> Geometries:
    """Each border as a line of degrees, bent at random; those that would cross another stay straight."""
    length = np.hypot(*(lines[:, 1] - lines[:, 0]).T)
    outer = (lines[:, 0] == lines[:, 1]).any(axis=1)  # along the rectangle
    pieces = np.where(outer, 1, np.maximum(1, np.round(length / ROUGH_M)).astype(int))
    bent = _bent(lines, length, pieces, random)
    tree = shapely.STRtree(bent)
    while True:
        crossing = np.unique(tree.query(bent, predicate="crosses")[0])
        crossing = crossing[pieces[crossing] > 1]
        if len(crossing) == 0:
            return bent
        pieces[crossing] = 1
        bent[crossing] = _bent(lines[crossing], length[crossing], pieces[crossing], random)
        tree = shapely.STRtree(bent)


def _bent(lines: Any, length: Any, pieces: Any, random: np.random.Generator) -> Geometries:
    number = np.repeat(np.arange(len(lines)), pieces + 1)
    step = np.arange(len(number)) - np.repeat(np.cumsum(pieces + 1) - (pieces + 1), pieces + 1)
    share = step / pieces[number]
    way = lines[:, 1] - lines[:, 0]
    off = (random.random(len(number)) - 0.5) * 2 * np.minimum(0.04 * length[number], 3.0) * np.sin(np.pi * share)
    inner = (step > 0) & (step < pieces[number])
    across = np.column_stack([-way[:, 1], way[:, 0]]) / np.maximum(length, 1e-9)[:, None]
    at = lines[number, 0] + share[:, None] * way[number] + across[number] * np.where(inner, off, 0.0)[:, None]
    at[step == pieces[number]] = lines[number, 1][step == pieces[number]]
    degrees = np.round(np.round(at / M_PER_DEGREE, 7) + np.array([WEST, SOUTH]), 7)
    return np.asarray(shapely.linestrings(degrees, indices=number), dtype=object)


def _grouped(micro: Geometries, grid_of: NDArray[np.int64]) -> Geometries:
    order = np.argsort(grid_of, kind="stable")
    starts = np.flatnonzero(np.diff(grid_of[order])) + 1
    return np.array([shapely.coverage_union_all(members) for members in np.split(micro[order], starts)], dtype=object)
