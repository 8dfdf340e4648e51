"""Parts of buildings: staircase units and floors, given or estimated, and the households on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis.geometry import FloatArray, Geometries, IntArray
from gis.partition.ground import long_axes
from gis.partition.objectives import Limits

UNIT_LENGTH_M = 16.0  # a staircase of a slab block with two flats a landing
LEAST_UNIT_M = 3.0  # narrower strips of ground are no use
MOST_UNITS = 60
FLATS_A_LANDING = 4
FLOOR_HEIGHT_M = 3.0
LEAST_DWELLING_M2 = 20.0  # floor area a household; a number of floors that leaves less is a mistake
DWELLING_M2 = 45.0
MOST_FLOORS = 120


@dataclass(frozen=True)
class Parts:
    """Every building of a community in the parts that it may be cut into.

    Attributes
    ----------
    households, units, floors : int arrays, shape (buildings,)
        ``units`` is 1 for a building that stays whole.
    is_cut : bool array, shape (buildings,)
        Over the maximum of the grid: its units may come into different grids.
    units_estimated, floors_estimated : bool arrays, shape (buildings,)
    """

    households: IntArray
    units: IntArray
    floors: IntArray
    is_cut: NDArray[np.bool_]
    units_estimated: NDArray[np.bool_]
    floors_estimated: NDArray[np.bool_]

    def unit_households(self, building: int) -> IntArray:
        """Households of each unit, as even as whole numbers allow."""
        return shares(int(self.households[building]), int(self.units[building]))


def shares(total: int, count: int) -> IntArray:
    """Split a whole number as evenly as possible: ``shares(10, 4)`` is 2, 3, 2, 3."""
    return np.diff(np.arange(count + 1, dtype=np.int64) * total // count)


def plan_parts(
    buildings: pd.DataFrame,
    footprints_m: Geometries,
    *,
    grid: Limits | None,
    micro: Limits | None,
    keep_whole: bool,
) -> Parts:
    """Decide which buildings are opened into staircases, and into how many.

    Parameters
    ----------
    buildings : DataFrame
        Columns households, floors, units, height_m (any may be missing or empty).
    grid : Limits or None
        The smallest band of a tier that is made of whole buildings.
    micro : Limits or None
        The band of the tier that is made of parts.
    keep_whole : bool
        Buildings over the maximum of the grid stay in one piece.

    Notes
    -----
    Given staircases are used for buildings with more than a quarter of a micro-grid; otherwise a building over half a
    micro-grid, or over the grid, gets estimated ones: one a `UNIT_LENGTH_M` of its long axis, more where one floor of
    one staircase would still hold too many households. Floors that would leave a household less than
    `LEAST_DWELLING_M2` are taken as unknown.
    """
    count = len(buildings)
    households = _whole(buildings, "households", 0, count)
    given = _whole(buildings, "units", 0, count)
    floors = _whole(buildings, "floors", 0, count)
    height_m = _numbers(buildings, "height_m", count)
    length_m = long_axes(footprints_m).length_m if count else np.empty(0)
    is_cut = np.zeros(count, dtype=bool)
    if grid is not None and not keep_whole:
        is_cut = households > grid.most
    estimate = np.maximum(np.rint(length_m / UNIT_LENGTH_M), 1).astype(np.int64)
    known_floors = _believable(floors, height_m, households, footprints_m)
    stairs = np.maximum(np.where(given > 0, given, estimate), 1)
    all_floors = np.where(known_floors > 0, known_floors, _likely_floors(households, stairs, footprints_m))
    wanted = np.where(is_cut, np.ceil(households / (grid.most / 3 if grid else 1)), 1)
    opened = is_cut.copy()
    if micro is not None:
        opened |= (households > micro.high / 4) & (given > 1)
        opened |= households > micro.high / 2
        wanted = np.maximum(wanted, np.where(opened, np.ceil(households / all_floors / (micro.high / 5)), 1))
    fitting = np.clip(length_m // LEAST_UNIT_M, 1, MOST_UNITS)
    units = np.where(given > 0, np.maximum(wanted, given), np.maximum(estimate, wanted))
    units = np.where(opened, np.clip(units, 1, np.maximum(fitting, 1)), 1).astype(np.int64)
    if grid is not None:
        units = _in_groups(units, given, households, is_cut, grid)
    units = np.minimum(units, np.maximum(households, 1))
    return Parts(households, units, all_floors, is_cut & (units > 1), (units != given) & (units > 1), known_floors <= 0)


def _believable(floors: IntArray, height_m: FloatArray, households: IntArray, footprints_m: Geometries) -> IntArray:
    """Floors as given or by height; 0 where neither is given or so many households would not have room."""
    known = np.where(floors > 0, floors, np.nan_to_num(height_m, nan=0.0) // FLOOR_HEIGHT_M).astype(np.int64)
    crowded = shapely.area(footprints_m) * known < LEAST_DWELLING_M2 * households
    return np.asarray(np.where(crowded, 0, known))


def _likely_floors(households: IntArray, stairs: IntArray, footprints_m: Geometries) -> IntArray:
    by_landing = np.ceil(households / stairs / FLATS_A_LANDING)
    by_room = np.ceil(households * DWELLING_M2 / np.maximum(shapely.area(footprints_m), 1.0))
    likely = np.minimum(np.maximum(by_landing, 1), np.maximum(by_room, 1))
    return np.asarray(np.clip(likely, 1, MOST_FLOORS).astype(np.int64))


def _in_groups(
    units: IntArray, given: IntArray, households: IntArray, is_cut: NDArray[np.bool_], grid: Limits
) -> IntArray:
    """For a building that is cut between grids, as many estimated units as go evenly into its grids."""
    result = units.copy()
    for b in np.flatnonzero(is_cut & (units != given)):
        least = int(np.ceil(households[b] / grid.most))
        most = max(int(households[b] // max(grid.least, 1.0)), least)
        grids = int(np.clip(round(households[b] / grid.target), least, most))
        result[b] = max(int(units[b]) // grids, 1) * grids
    return result


def _numbers(frame: pd.DataFrame, column: str, count: int) -> FloatArray:
    if column not in frame:
        return np.full(count, np.nan)
    values = pd.to_numeric(frame[column], errors="coerce")
    return np.asarray(values.to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)


def _whole(frame: pd.DataFrame, column: str, missing: int, count: int) -> IntArray:
    values = _numbers(frame, column, count)
    return np.where(np.isfinite(values) & (values > 0), np.rint(np.nan_to_num(values)), missing).astype(np.int64)


def floor_bands(profile: IntArray, limits: Limits) -> list[tuple[int, int]]:
    """Cut a stack into bands of whole floors, households of each near the target.

    Parameters
    ----------
    profile : int array, shape (floors,)
        Households on each floor, from the ground.

    Returns
    -------
    list of (first, last)
        Floors counted from 1, inclusive; together all floors.
    """
    floors = len(profile)
    up_to = np.concatenate([[0], np.cumsum(profile)])
    cost = np.full(floors + 1, np.inf)
    cost[0] = 0.0
    before = np.zeros(floors + 1, dtype=np.int64)
    for top in range(1, floors + 1):
        for bottom in range(top):
            h = float(up_to[top] - up_to[bottom])
            miss = max(limits.least - h, h - limits.most, 0.0)
            band = cost[bottom] + (2000.0 + 20.0 * miss if miss > 0 else 0.0)
            band += 100.0 * ((h - limits.target) / limits.half_width) ** 2 + 1.0
            if band < cost[top]:
                cost[top], before[top] = band, bottom
    bands, top = [], floors
    while top > 0:
        bands.append((int(before[top]) + 1, top))
        top = int(before[top])
    return bands[::-1]
