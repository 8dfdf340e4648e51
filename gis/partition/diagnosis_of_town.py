"""What is impossible in a whole town, found without ground survey and without search: in about a second.

Each community becomes a problem of a kind that `gis.partition.diagnosis` can look at: its buildings (or staircases,
where the rules cut them) on pieces of ground that rivers, rails and gaps in the outline part from one another. Within
a piece everything counts as hanging together, so what is named here is so on the surveyed ground too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis import crs
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import FloatArray, Geometries, IntArray
from gis.partition.diagnosis import Known, diagnose, remedy, tower
from gis.partition.ground import BARRIER_CLASS, BRIDGE_REACH_M, WATER
from gis.partition.kernel import Terms
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.units import Parts, plan_parts
from gis.rule_set import RuleSet, Tier
from gis.town import Town

NEAR_M = 5.0  # outlines no farther apart are neighbours
STREETS_AWAY_M = 60.0


@dataclass(frozen=True)
class _Lines:
    """Barriers in metres: those that one cannot cross, and those that bridge them."""

    water: Geometries
    roads: Geometries


def diagnose_town(town: Town, rules: RuleSet, *, communities: Sequence[str] | None = None) -> list[Finding]:
    """Name what no division of these communities can meet, and the cheapest relaxation of each.

    Parameters
    ----------
    town : Town
        Cleaned (`gis.cleaning.clean`).
    rules : RuleSet
        Its first tier with a band is looked at; towers by the smallest band of a tier of whole buildings.
    communities : sequence of str, optional
        Codes of those to look at; all by default.

    Raises
    ------
    InvalidInput
        ``partition.no_communities``, ``partition.unknown_community``, ``partition.unknown_term``.
    """
    frame = town.geo("communities")
    if not len(frame):
        raise InvalidInput("partition.no_communities")
    code = frame["code"].astype(str).to_numpy()
    chosen = set(code) if communities is None else set(communities)
    if unknown := sorted(chosen - set(code)):
        raise InvalidInput("partition.unknown_community", codes=unknown)
    tier, limits = banded(rules)
    terms = terms_for(tier, rules.weights, limits)
    smallest = _smallest(rules, limits)
    zone = crs.zone_of(frame)
    outline = _metric(frame, zone)
    lines = _lines(town, zone)
    buildings = town["buildings"]
    footprints = _metric(buildings, zone)
    home = buildings["community"].astype("string").to_numpy() if len(buildings) else np.empty(0, dtype=object)
    beside = neighbours_of(town, zone)
    found: list[Finding] = []
    for i, name in enumerate(code):
        if name in chosen:
            here = np.flatnonzero(home == name)
            own, ground = buildings.iloc[here], footprints[here]
            parts = plan_parts(own, ground, grid=smallest, micro=None, keep_whole=rules.keep_buildings_whole)
            found += _cut_towers(own, parts, smallest, terms, layer=tier.name_zh, key=str(name))
            problem, known = _problem(own, ground, parts, outline[i], lines, rules, limits, terms, beside[name])
            found += diagnose(problem, limits, layer=tier.name_zh, key=str(name), known=known)
    return found


def banded(rules: RuleSet) -> tuple[Tier, Limits]:
    """The first tier of a rule set that is cut by a band of households.

    Raises
    ------
    InvalidInput
        ``diagnose.no_band``.
    """
    for tier in rules.grid_tiers:
        limits = Limits.of(tier)
        if tier.cell_of == "band" and limits is not None:
            return tier, limits
    raise InvalidInput("diagnose.no_band", rule_set=rules.code)


def _metric(frame: pd.DataFrame, zone: int) -> Geometries:
    if not isinstance(frame, gpd.GeoDataFrame) or not len(frame):
        return np.empty(0, dtype=object)
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    return np.asarray(shapely.transform(shapes, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


def _lines(town: Town, zone: int) -> _Lines:
    barriers = town["barriers"]
    shapes = _metric(barriers, zone)
    is_water = np.array([BARRIER_CLASS[kind] == WATER for kind in barriers["kind"].astype(str)], dtype=bool)
    return _Lines(shapes[is_water], shapes[~is_water])


def neighbours_of(town: Town, zone: int) -> dict[str, dict[str, tuple[float, float]]]:
    """For each community those beside it: households, and metres between their middles."""
    frame, buildings = town.geo("communities"), town["buildings"]
    outline, code = _metric(frame, zone), frame["code"].astype(str).to_numpy()
    living = buildings.groupby("community")["households"].sum().astype(float).to_dict() if len(buildings) else {}
    middle = shapely.get_coordinates(shapely.centroid(outline))
    beside: dict[str, dict[str, tuple[float, float]]] = {str(name): {} for name in code}
    for i, j in shapely.STRtree(outline).query(outline, predicate="dwithin", distance=NEAR_M).T:
        if i != j:
            metres = float(np.hypot(*(middle[i] - middle[j])))
            beside[str(code[i])][str(code[j])] = (float(living.get(str(code[j]), 0.0)), metres)
    return beside


def _smallest(rules: RuleSet, limits: Limits) -> Limits:
    """The smallest band of a tier that is made of whole buildings."""
    grids = [each for tier in rules.grid_tiers if tier.kind == "grid" and (each := Limits.of(tier)) is not None]
    return min(grids, key=lambda each: each.most) if grids else limits


def _cut_towers(
    buildings: pd.DataFrame, parts: Parts, limits: Limits, terms: Terms, *, layer: str, key: str
) -> Iterator[Finding]:
    """Buildings over the maximum that the rules cut by their staircases."""
    for b in np.flatnonzero(parts.is_cut & (parts.households > limits.most)).tolist():
        households = int(parts.households[b])
        ways = tower(households, limits, terms, units=int(parts.units[b]), keep_whole=False)
        params = {"building": str(buildings["code"].iloc[b]), "households": households, "high": round(limits.most)}
        yield Finding("partition.too_large", Severity.NOTE, layer, key=key, params=params | remedy(ways))


def _problem(
    buildings: pd.DataFrame, footprints: Geometries, parts: Parts, outline: shapely.Geometry, lines: _Lines,
    rules: RuleSet, limits: Limits, terms: Terms, beside: Mapping[str, tuple[float, float]],
) -> tuple[Problem, Known]:  # fmt: skip
    opened = parts.is_cut & (parts.households > limits.most)
    count = np.where(opened, parts.units, 1)
    node = np.repeat(np.arange(len(buildings)), count)
    households = np.concatenate(
        [parts.unit_households(b) if opened[b] else parts.households[b : b + 1] for b in range(len(buildings))]
        or [np.empty(0, dtype=np.int64)]
    )
    pieces, border = _pieces(outline, lines)
    places = shapely.centroid(footprints)
    home = _nearest(places, pieces)[node]
    names = buildings["code"].astype(str).to_numpy()[node]
    known = Known(
        names=[*names, *[""] * len(pieces)],
        units=np.concatenate([_could_be_cut(parts.households, parts.units, opened)[node], np.ones(len(pieces))]).astype(
            np.int64
        ),
        keep_whole=rules.keep_buildings_whole,
        neighbours=beside,
        is_graph=False,
    )
    at = shapely.get_coordinates(places).reshape(-1, 2)[node]
    return _starred(households.astype(float), at, home, pieces, border, terms), known


def _could_be_cut(households: IntArray, units: IntArray, opened: np.ndarray) -> IntArray:
    """Staircases by which a node could still be cut: not known of a whole building, so as many as are needed."""
    return np.where(opened, 1, np.maximum(units, np.where(households > 0, 2, 1))).astype(np.int64)


def _starred(
    households: FloatArray, at: FloatArray, home: IntArray, pieces: Geometries, border: IntArray, terms: Terms
) -> Problem:
    """Buildings of a piece of ground around one empty node, and unwalkable borders between pieces."""
    n, k = len(households), len(pieces)
    hub = shapely.get_coordinates(shapely.point_on_surface(pieces))
    for piece in range(k):
        inside = np.flatnonzero(home == piece)
        if len(inside):
            hub[piece] = at[inside[0]]
    a = np.concatenate([np.arange(n), n + border[:, 0]]).astype(np.int64)
    b = np.concatenate([n + home, n + border[:, 1]]).astype(np.int64)
    a, b = _nearest_ends(a, b, n, home, at)
    one = np.ones(n + k)
    return Problem(
        np.concatenate([households, np.zeros(k)]), one, 4 * one, np.vstack([at, hub]), np.full(n + k, -1),
        np.zeros(n + k, dtype=bool), a, b, np.ones(len(a)), np.ones(len(a)), np.arange(len(a)) < n, terms,
    )  # fmt: skip


def _nearest_ends(a: IntArray, b: IntArray, n: int, home: IntArray, at: FloatArray) -> tuple[IntArray, IntArray]:
    """Move both ends of a border between pieces to the buildings there that are nearest to each other."""
    a, b = a.copy(), b.copy()
    for i in range(n, len(a)):
        here, there = np.flatnonzero(home == a[i] - n), np.flatnonzero(home == b[i] - n)
        if len(here) and len(there):
            away = np.hypot(*(at[here][:, None] - at[there][None]).transpose(2, 0, 1))
            one, other = np.unravel_index(int(away.argmin()), away.shape)
            a[i], b[i] = here[one], there[other]
    return a, b


def _pieces(outline: shapely.Geometry, lines: _Lines) -> tuple[Geometries, IntArray]:
    """Pieces of ground that can be walked, and the pairs of them that only water or rail parts; shape (pairs, 2)."""
    parts = shapely.get_parts(outline)
    faces = np.asarray(parts[shapely.get_dimensions(parts) == 2], dtype=object)
    water = lines.water[shapely.intersects(lines.water, outline)] if len(lines.water) else lines.water
    none = np.empty((0, 2), dtype=np.int64)
    if len(water):
        drawn = shapely.union_all([*shapely.boundary(faces), *water])
        cut = shapely.get_parts(shapely.polygonize(shapely.get_parts(drawn)))
        faces = np.asarray(cut[shapely.intersects(outline, shapely.point_on_surface(cut))], dtype=object)
    if len(faces) < 2 or not len(water):
        return faces, none
    near = lines.roads[shapely.dwithin(lines.roads, outline, STREETS_AWAY_M)] if len(lines.roads) else lines.roads
    crossings = shapely.intersection(shapely.union_all(water), shapely.union_all(near))
    bridges = shapely.buffer(crossings, BRIDGE_REACH_M)
    i, j = shapely.STRtree(faces).query(faces, predicate="intersects")
    pair = np.column_stack([i, j])[i < j]
    shared = shapely.intersection(faces[pair[:, 0]], faces[pair[:, 1]])
    pair, shared = pair[shapely.length(shared) > 0], shared[shapely.length(shared) > 0]
    walkable = shapely.intersects(shared, bridges)
    graph = coo_array((np.ones(walkable.sum()), pair[walkable].T), shape=(len(faces), len(faces)))
    count, piece = connected_components(graph, directed=False)
    united = np.array([shapely.union_all(faces[piece == number]) for number in range(count)], dtype=object)
    apart = piece[pair[~walkable]]
    return united, np.unique(apart[apart[:, 0] != apart[:, 1]], axis=0).astype(np.int64).reshape(-1, 2)


def _nearest(places: Geometries, pieces: Geometries) -> IntArray:
    if not len(places):
        return np.empty(0, dtype=np.int64)
    return np.asarray(shapely.STRtree(pieces).nearest(places), dtype=np.int64)
