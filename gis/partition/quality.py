"""What a division is worth: measures of a finished plan, from its geometry, not from what the search believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.division import Division
from gis.geometry import FloatArray, Geometries, compactness, coverage_faults
from gis.partition.objectives import Limits
from gis.town import Town

PIECE_M2 = 0.5
ON_BARRIER_M = 2.0
ON_OUTLINE_M = 1.0
LOOK_EVERY_M = 2.0

MEASURES: Mapping[str, str] = {
    "cells": "cells of the tier; those of a stack count each",
    "in_band_ratio": "share of cells between minimum and maximum, tolerance left aside",
    "passing_ratio": "share of cells between minimum and maximum, widened by the tolerance",
    "households_min": "fewest households of a cell",
    "households_mean": "mean households of a cell",
    "households_max": "most households of a cell",
    "compactness_mean": "mean of 4πA/P²; 1 is a disc",
    "compactness_min": "least of 4πA/P²",
    "gap_m2": "ground of the cells above that no cell of this tier holds, wider than 5 cm",
    "overlap_m2": "ground that two cells of this tier hold, stacks left aside",
    "not_contiguous": "cells in more pieces than the ground above them is",
    "boundary_on_barriers_ratio": "share of the inner borders within 2 m of a street, river, rail or wall",
    "small_compounds": "compounds that fit into one cell of the top banded tier",
    "small_compounds_cut": "those of them that lie in several",
}
"""What each measure says; `statistics` gives them in this order."""


def statistics(division: Division, town: Town) -> dict[str, Any]:
    """Measure a division.

    Returns
    -------
    dict
        ``tiers``: one dict a grid tier, top first, with the `MEASURES` of cells; and ``gap_m2``, ``overlap_m2``,
        ``pieces_not_contiguous`` (summed over the tiers), ``boundary_on_barriers_ratio``, ``small_compounds``,
        ``small_compounds_cut`` and ``compactness_mean`` (of the top banded tier).

    Notes
    -----
    In the metric zone of the recipe. Gaps and overlaps are found by union and difference, independently of how the
    cells were made.
    """
    zone = int(division.recipe.get("zone") or crs.zone_of(division.cells[0]))
    outer = town.geo("communities")
    codes = set(division.cells[0]["community"])
    above = outer[outer["code"].isin(codes)]
    above_of = dict(zip(above["code"].astype(str), metric_shapes(above, zone), strict=True))
    tiers = []
    for depth, (tier, cells) in enumerate(zip(division.rules.grid_tiers, division.cells, strict=True)):
        shapes = metric_shapes(cells, zone)
        parent = cells["community" if depth == 0 else "parent"].astype(str).to_numpy()
        ground = ~pd.DataFrame({"parent": parent, "ground": shapely.to_wkb(shapes)}).duplicated().to_numpy()
        tiers.append(
            {
                "depth": depth + 1,
                "name_zh": tier.name_zh,
                "name_en": tier.name_en,
                **_sizes(cells, Limits.of(tier) if tier.cell_of == "band" else None, tier),
                **_shapes(shapes[ground]),
                **_cover(shapes[ground], parent[ground], above_of),
            }
        )
        above_of = dict(zip(cells["code"].astype(str), shapes, strict=True))
    top = banded_position(division)
    return {
        "tiers": tiers,
        "gap_m2": round(sum(t["gap_m2"] for t in tiers), 3),
        "overlap_m2": round(sum(t["overlap_m2"] for t in tiers), 3),
        "pieces_not_contiguous": sum(t["not_contiguous"] for t in tiers),
        "not_contiguous": sum(t["not_contiguous"] for t in tiers),
        "compactness_mean": tiers[top]["compactness_mean"],
        "boundary_on_barriers_ratio": _on_barriers(division.cells[top], above, town, zone),
        **_compounds(division, town, top),
    }


def violations(division: Division) -> list[dict[str, Any]]:
    """The findings of a division about cells and places, as plain values: what is not as the rules ask, and why.

    Returns
    -------
    list of dict
        ``code``, ``severity``, ``layer``, ``key`` and ``params`` of each finding, with ``depth`` and ``bbox``
        (west, south, east, north) where its key is a cell.
    """
    where = {
        str(code): (depth, tuple(shapely.bounds(shape)))
        for depth, cells in enumerate(division.cells, start=1)
        for code, shape in zip(cells["code"], cells.geometry, strict=True)
    }
    items = []
    for finding in division.findings:
        depth, bbox = where.get(finding.key or "", (None, None))
        items.append(
            {
                "code": finding.code,
                "severity": str(finding.severity),
                "layer": finding.layer,
                "key": finding.key,
                "params": finding.params,
                "depth": depth,
                "bbox": bbox,
            }
        )
    return items


def metric_shapes(frame: gpd.GeoDataFrame, zone: int) -> Geometries:
    """Geometry of a frame in metres."""
    geometry = np.asarray(frame.geometry.to_numpy(), dtype=object)
    return np.asarray(shapely.transform(geometry, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


def banded_position(division: Division) -> int:
    """Position among the grid tiers of the top one that is cut by a band: what most measures are about."""
    tiers = division.rules.grid_tiers
    return next((i for i, t in enumerate(tiers) if t.cell_of == "band" and t.kind == "grid"), len(tiers) - 1)


def _sizes(cells: gpd.GeoDataFrame, limits: Limits | None, tier: Any) -> dict[str, Any]:
    size = cells["households"].to_numpy(dtype=float)
    low = 0 if tier.households_min is None else tier.households_min
    high = np.inf if tier.households_max is None else tier.households_max
    passing = ((size >= limits.least) & (size <= limits.most)).mean() if limits else None
    return {
        "cells": len(size),
        "in_band_ratio": round(float(((size >= low) & (size <= high)).mean()), 4) if limits else None,
        "passing_ratio": None if passing is None else round(float(passing), 4),
        "households_min": int(size.min()),
        "households_mean": round(float(size.mean()), 1),
        "households_max": int(size.max()),
    }


def _shapes(shapes: Geometries) -> dict[str, float]:
    round_ = compactness(shapely.area(shapes), shapely.length(shapes))
    return {"compactness_mean": round(float(round_.mean()), 4), "compactness_min": round(float(round_.min()), 4)}


def _cover(shapes: Geometries, parent: np.ndarray, above: Mapping[str, shapely.Geometry]) -> dict[str, Any]:
    gap = overlap = 0.0
    torn = 0
    order = np.argsort(parent, kind="stable")
    names, starts = np.unique(parent[order], return_index=True)
    for name, members in zip(names, np.split(order, starts[1:]), strict=True):
        faults = coverage_faults(shapes[members], above[str(name)])
        gap, overlap = gap + faults.gap_m2, overlap + faults.overlap_m2
        islands = shapely.get_parts(above[str(name)])
        for shape in shapes[members]:
            if (pieces := _pieces(shape)) > 1:
                torn += pieces > max(1, sum(_pieces(shapely.intersection(shape, island)) > 0 for island in islands))
    gap += sum(float(shapely.area(shape)) for name, shape in above.items() if name not in set(names))
    # Sums of areas differ by rounding of the doubles alone.
    return {"gap_m2": round(gap, 3), "overlap_m2": round(max(overlap, 0.0), 3), "not_contiguous": int(torn)}


def _pieces(shape: shapely.Geometry) -> int:
    return int((shapely.area(shapely.get_parts(shape)) > PIECE_M2).sum())


def _on_barriers(cells: gpd.GeoDataFrame, communities: gpd.GeoDataFrame, town: Town, zone: int) -> float | None:
    """Share of the inner borders that lies near barriers, looked at every `LOOK_EVERY_M`.

    Buffers of whole street networks would say the same and take most of a minute for a town.
    """
    barriers = town["barriers"]
    if not len(barriers):
        return None
    edges = shapely.segmentize(shapely.boundary(metric_shapes(cells, zone)), LOOK_EVERY_M)
    start, end = straight_pieces(edges)
    middle, length = shapely.points((start + end) / 2), np.hypot(*(end - start).T)
    inner = ~are_near(middle, shapely.boundary(metric_shapes(communities, zone)), ON_OUTLINE_M)
    on = inner & are_near(middle, metric_shapes(barriers, zone), ON_BARRIER_M)
    return round(float(length[on].sum() / length[inner].sum()), 4) if inner.any() else None


def straight_pieces(lines: Geometries) -> tuple[FloatArray, FloatArray]:
    """Both ends of every straight piece of lines."""
    points, line = shapely.get_coordinates(shapely.get_parts(lines), return_index=True)
    follows = np.flatnonzero(line[:-1] == line[1:])
    return points[follows], points[follows + 1]


def are_near(places: Geometries, lines: Geometries, distance_m: float) -> NDArray[np.bool_]:
    """Which places lie within a distance of lines."""
    pieces = shapely.linestrings(np.stack(straight_pieces(lines), axis=1))
    found = np.zeros(len(places), dtype=bool)
    found[shapely.STRtree(pieces).query(places, predicate="dwithin", distance=distance_m)[0]] = True
    return found


def cells_of_parts(division: Division, position: int) -> pd.Series:
    """The code of the cell of a tier that each part lies in."""
    cell = division.parts["cell"].astype(str)
    for cells in reversed(division.cells[position + 1 :]):
        cell = cell.map(dict(zip(cells["code"].astype(str), cells["parent"].astype(str), strict=True)))
    return cell


def _compounds(division: Division, town: Town, top: int) -> dict[str, int]:
    buildings, tier = town["buildings"], division.rules.grid_tiers[top]
    if tier.households_max is None or not buildings["compound"].notna().any():
        return {"small_compounds": 0, "small_compounds_cut": 0}
    compound = dict(zip(buildings["code"].astype(str), buildings["compound"], strict=True))
    lived = division.parts.assign(compound=division.parts["building"].map(compound), top=cells_of_parts(division, top))
    lived = lived[(lived["households"] > 0) & lived["compound"].notna()]
    by = lived.groupby("compound").agg(households=("households", "sum"), cells=("top", "nunique"))
    small = by[by["households"] <= tier.households_max]
    return {"small_compounds": len(small), "small_compounds_cut": int((small["cells"] > 1).sum())}
