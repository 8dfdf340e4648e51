"""A division with fewer corners, for lighter maps and files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.coverage import simplify_coverage
from gis.division import Division
from gis.geometry import Geometries, IntArray
from gis.town import WGS84


def simplified(division: Division, tolerance_m: float, *, keep_outlines: bool = True) -> Division:
    """Simplify the cells of all tiers together (`gis.coverage.simplify_coverage`).

    Parameters
    ----------
    tolerance_m : float
        1 to 2 m leave out half of the corners, and no building changes its cell.
    keep_outlines : bool
        Leave the outlines of communities alone; a plan that will be stored or handed on must.
    """
    layers = [np.asarray(cells.geometry.to_numpy(), dtype=object) for cells in division.cells]
    parents = [
        _positions(upper["code"], lower["parent"])
        for upper, lower in zip(division.cells, division.cells[1:], strict=False)
    ]
    area = pd.factorize(division.cells[-1]["community"])[0].astype(np.int64)
    simple = simplify_coverage(layers, parents, area, tolerance_m, keep_outlines=keep_outlines)
    zone = int(division.recipe.get("zone") or crs.zone_of(division.cells[0]))
    cells = []
    for frame, geometry in zip(division.cells, simple, strict=True):
        made = frame.set_geometry(np.asarray(geometry), crs=WGS84)
        made["area_m2"] = _area_m2(geometry, zone)
        cells.append(made)
    return replace(division, cells=tuple(cells), recipe={**division.recipe, "simplified_m": tolerance_m})


def _positions(codes: pd.Series[str], wanted: pd.Series[str]) -> IntArray:
    return np.asarray(pd.Index(codes).get_indexer(pd.Index(wanted)), dtype=np.int64)


def _area_m2(geometry: Geometries, zone: int) -> list[float]:
    metric = shapely.transform(geometry, lambda xy: crs.points_to_metric(xy, zone))
    return [float(area) for area in shapely.area(metric)]
