"""Old borders as the partitioner sees them: weak barriers, each line once, round the houses and up to the next street.

A border so near to a street, river, rail or wall, or to that of a community, that it must mean it, is left out: the
barrier itself is there. Of several networks' lines within `COINCIDE_M` of each other one stays, and counts more. What
is left ends a little before the street that it runs to, and gets a joint there, so that it encloses ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.geometry import Geometries, as_polygons
from gis.partition.networks import COINCIDE_M, Sheet, borders_of
from gis.town import WGS84, Town, conform

BESIDE_MARK_M = 8.0  # an old border so near to a street or river means that one
LEAST_LINE_M = 15.0
SMOOTH_M = 0.3
TOUCH_M = 0.01
HOUSE_M = 1.0  # old borders keep this distance from houses
ONE_NETWORK, SEVERAL_NETWORKS = "minor", "secondary"


def with_old_borders(town: Town, sheet: Sheet) -> Town:
    """The town as the partitioner shall see it: old borders that nothing else marks are weak barriers."""
    lines, kinds = _weak_barriers(town, sheet)
    if not len(lines):
        return town
    barriers = conform("barriers", gpd.GeoDataFrame({"kind": kinds}, geometry=gpd.GeoSeries(lines, crs=WGS84)))
    present = town["barriers"]
    return town.with_layers(barriers=pd.concat([present, barriers], ignore_index=True) if len(present) else barriers)


def _round_houses(cells: Geometries, sheet: Sheet) -> Geometries:
    """Cells whose borders step round the houses that they cut: a house is wholly in the cell that holds its place.

    A line through a house would cut its ground in two, and no grid border may ever run there.
    """
    fences = shapely.boundary(cells)
    house, cell = shapely.STRtree(fences).query(sheet.footprints, predicate="dwithin", distance=HOUSE_M)
    home = set(zip(*(values.tolist() for values in sheet.holds(cells)), strict=True))
    result = cells.copy()
    for number in np.unique(cell):
        near = house[cell == number]
        own = np.array([(h, number) in home for h in near.tolist()], dtype=bool)
        mine, theirs = sheet.footprints[near[own]], sheet.footprints[near[~own]]
        shape = shapely.union_all([cells[number], *shapely.buffer(mine, HOUSE_M, join_style="mitre")])
        shape = shapely.difference(shape, shapely.union_all(shapely.buffer(theirs, HOUSE_M, join_style="mitre")))
        shape = shapely.difference(shapely.union_all([shape, *mine]), shapely.union_all(theirs))
        result[number] = as_polygons(np.array([shape], dtype=object))[0]
    return np.asarray(result[~shapely.is_empty(result)], dtype=object)


def _weak_barriers(town: Town, sheet: Sheet) -> tuple[Geometries, list[str]]:
    """Old borders, each once, where nothing else marks the line; and whether one network has them or several."""
    marks = _marks(town, sheet)
    beside = shapely.union_all(shapely.buffer(marks.all, BESIDE_MARK_M, quad_segs=2))
    borders = [
        shapely.difference(borders_of(_round_houses(cells, sheet), sheet.ground), beside) for cells in sheet.cells
    ]
    near = [shapely.buffer(border, COINCIDE_M, quad_segs=2) for border in borders]
    lines: list[shapely.Geometry] = []
    kinds: list[str] = []
    taken = shapely.Polygon()
    for number, border in enumerate(borders):
        new = shapely.difference(border, taken)
        others = shapely.union_all([zone for i, zone in enumerate(near) if i != number])
        for kind, part in ((SEVERAL_NETWORKS, shapely.intersection(new, others)),
                           (ONE_NETWORK, shapely.difference(new, others))):  # fmt: skip
            pieces = shapely.get_parts(shapely.line_merge(_only_lines(part)))
            pieces = shapely.simplify(pieces[shapely.length(pieces) >= LEAST_LINE_M], SMOOTH_M)
            lines += list(pieces)
            kinds += [kind] * len(pieces)
        taken = shapely.union(taken, near[number])
    if not lines:
        return np.empty(0, dtype=object), []
    joints = _joints(np.array(lines, dtype=object), marks.crossable)
    every = np.array([*lines, *joints], dtype=object)
    return crs.geometries_to_wgs84(every, f"EPSG:{sheet.zone}"), [*kinds, *[ONE_NETWORK] * len(joints)]


def _only_lines(shape: shapely.Geometry) -> shapely.Geometry:
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.multilinestrings(parts[shapely.get_dimensions(parts) == 1])


@dataclass(frozen=True)
class _Marks:
    """Lines that are there already: streets, rivers, rails, walls and the borders of communities.

    Attributes
    ----------
    crossable : array of lines
        Without rivers and rails: what touched those would pass for a bridge.
    """

    all: Geometries
    crossable: Geometries


def _marks(town: Town, sheet: Sheet) -> _Marks:
    outlines = shapely.get_parts(shapely.boundary(sheet.communities))
    if not len(town["barriers"]):
        return _Marks(outlines, outlines)
    shapes = town["barriers"].geometry.to_numpy()
    lines = np.asarray(shapely.transform(shapes, lambda xy: crs.points_to_metric(xy, sheet.zone)), dtype=object)
    is_water = town["barriers"]["kind"].isin(["river", "rail"]).to_numpy(dtype=bool)
    return _Marks(np.concatenate([outlines, lines]), np.concatenate([outlines, lines[~is_water]]))


def _joints(lines: Geometries, marks: Geometries) -> Geometries:
    """Short straight lines from loose ends to the nearest mark or other old border, so that they enclose ground."""
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    whose = np.tile(np.arange(len(lines)), 2)
    every = np.concatenate([lines, marks])
    end, mark = shapely.STRtree(every).query(ends, predicate="dwithin", distance=1.5 * BESIDE_MARK_M)
    away = shapely.distance(ends[end], every[mark])
    other = mark != whose[end]
    loose = np.ones(len(ends), dtype=bool)
    loose[end[other & (away < TOUCH_M)]] = False
    kept = other & loose[end]
    end, mark, away = end[kept], mark[kept], away[kept]
    order = np.lexsort((mark, away, end))
    _, first = np.unique(end[order], return_index=True)
    best = order[first]
    return np.asarray(shapely.shortest_line(ends[end[best]], every[mark[best]]), dtype=object)
