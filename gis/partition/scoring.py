"""Measures of an answer to a graph instance, the same for every engine: read the plain columns first, then J.

Worked out from the tables and labels alone, apart from the search and its cost, so that an engine is not judged by
what it believes. Lengths in metres; a grid is the nodes of one label in one community.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra

from gis.errors import InvalidInput
from gis.geometry import FloatArray, IntArray, sums
from gis.partition.instance import Instance
from gis.partition.problem import Problem

# The weights of J, as the survey of peers set them; one weighting among many.
OUTSIDE, OUTSIDE_PER_HOUSEHOLD = 2000.0, 10.0
BALANCE, ROUNDNESS, PER_RADIUS_M, PER_PIECE = 100.0, 100.0, 0.5, 400.0
TOUCHES_OUTSIDE_M = 1.0  # a grid with more of its edge on the community's outline is enclosed by nobody
NEAREST_M = 0.1  # two nodes in one place are still a step apart


@dataclass(frozen=True)
class Score:
    """How good the grids of an instance are.

    Attributes
    ----------
    grids, out_of_band : int
    in_band_ratio : float
        Share of grids with households within the band, bounds included.
    households_cv : float
        Standard deviation over mean.
    households_min, households_max : int
    not_contiguous : int
        Grids in several pieces, where one walks over walkable borders and over the fewest, shortest links that make
        each community one whole (a river without a bridge, an island).
    polsby_popper_mean, polsby_popper_min : float
        4πA/P².
    enclaves : int
        Grids with one neighbour only and none of their edge on the outside.
    small_compounds_cut, small_compounds : int
        Compounds that would fit into a grid, and those of them that lie in several.
    big_compound_extra_pieces : int
        Pieces of larger compounds beyond the fewest possible.
    on_barrier_ratio : float
        Share of the length between grids of a community that lies on a road, river or wall.
    cut_cost_km : float
        That length weighted: 1 where nothing lies there, .5 minor, .25 secondary or wall, .1 arterial or river.
    radius_mean_m : float
        Mean over grids of the walk from the best base to the farthest inhabited node.
    j : float
        Σ cut cost + Σ over grids of 100((h-T)/w)² + [outside](2000 + 10 a household) + 100(1-PP) + radius/2 + 400 a
        (compound, grid) pair, in thousands; T and w are middle and half width of the band.
    """

    grids: int
    in_band_ratio: float
    out_of_band: int
    households_cv: float
    households_min: int
    households_max: int
    not_contiguous: int
    polsby_popper_mean: float
    polsby_popper_min: float
    enclaves: int
    small_compounds_cut: int
    small_compounds: int
    big_compound_extra_pieces: int
    on_barrier_ratio: float
    cut_cost_km: float
    radius_mean_m: float
    j: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return asdict(self)


def score(instance: Instance, labels: IntArray) -> Score:
    """Measure one answer.

    Parameters
    ----------
    labels : int array, shape (nodes,)
        Equal labels in one community are one grid.

    Raises
    ------
    InvalidInput
        ``partition.bad_labels`` if there is not one label a node.
    """
    tables = instance.tables
    node, edge = tables.nodes, tables.edges
    count = len(node["households"])
    if np.shape(labels) != (count,):
        raise InvalidInput("partition.bad_labels", labels=len(labels), nodes=count)
    _, grid = np.unique(np.column_stack([node["community"], labels]), axis=0, return_inverse=True)
    grid = grid.ravel()
    grids = int(grid.max()) + 1
    size = sums(grid, node["households"], grids)
    a, b = edge["a"], edge["b"]
    parted = grid[a] != grid[b]
    cut = parted & (node["community"][a] == node["community"][b])
    edge_m = sums(grid, node["perimeter_m"], grids) - 2 * sums(grid[a[~parted]], edge["length_m"][~parted], grids)
    roundness = 4 * np.pi * sums(grid, node["area_m2"], grids) / edge_m**2
    pieces, radius = _walks(instance, grid, grids)
    compounds = _compounds(node, grid, tables.high)
    cut_m, cut_cost = float(edge["length_m"][cut].sum()), float(edge["cut_cost_m"][cut].sum())
    outside = (size < tables.low) | (size > tables.high)
    middle, half = (tables.low + tables.high) / 2, (tables.high - tables.low) / 2
    missed = np.maximum(np.maximum(tables.low - size, size - tables.high), 0)
    per_grid = BALANCE * ((size - middle) / half) ** 2 + outside * OUTSIDE + OUTSIDE_PER_HOUSEHOLD * missed
    per_grid += ROUNDNESS * (1 - roundness) + PER_RADIUS_M * radius
    return Score(
        grids=grids,
        in_band_ratio=float(1 - outside.mean()),
        out_of_band=int(outside.sum()),
        households_cv=float(size.std() / size.mean()) if size.any() else 0.0,
        households_min=int(size.min()),
        households_max=int(size.max()),
        not_contiguous=int((pieces > 1).sum()),
        polsby_popper_mean=float(roundness.mean()),
        polsby_popper_min=float(roundness.min()),
        enclaves=_enclaves(grid[a[parted]], grid[b[parted]], edge["length_m"][parted], edge_m),
        small_compounds_cut=compounds["cut"],
        small_compounds=compounds["small"],
        big_compound_extra_pieces=compounds["extra"],
        on_barrier_ratio=float(edge["barrier_m"][cut].sum()) / cut_m if cut_m else 1.0,
        cut_cost_km=cut_cost / 1000,
        radius_mean_m=float(radius.mean()),
        j=(cut_cost + float(per_grid.sum()) + PER_PIECE * compounds["pieces"]) / 1000,
    )


def _compounds(node: Mapping[str, np.ndarray], grid: IntArray, most: float) -> dict[str, int]:
    """Compounds by inhabited nodes: pairs with grids, small ones and those cut, pieces of large ones in excess."""
    lived = np.flatnonzero((node["compound"] >= 0) & (node["households"] > 0))
    pairs = np.unique(np.column_stack([node["compound"][lived], grid[lived]]), axis=0)
    pieces = np.bincount(pairs[:, 0])
    households = np.bincount(node["compound"][lived], node["households"][lived], len(pieces))
    small, large = (pieces > 0) & (households <= most), households > most
    return {
        "pieces": len(pairs),
        "small": int(small.sum()),
        "cut": int((pieces[small] > 1).sum()),
        "extra": int(np.maximum(pieces[large] - np.ceil(households[large] / most), 0).sum()),
    }


def _enclaves(a: IntArray, b: IntArray, length_m: FloatArray, edge_m: FloatArray) -> int:
    """Grids that another one encloses; ``a`` and ``b`` are the grids on both sides of each parted border."""
    grids = len(edge_m)
    pairs = np.unique(np.column_stack([np.concatenate([a, b]), np.concatenate([b, a])]), axis=0)
    neighbours = np.bincount(pairs[:, 0], minlength=grids)
    outer = edge_m - sums(a, length_m, grids) - sums(b, length_m, grids)
    return int(((neighbours == 1) & (outer < TOUCHES_OUTSIDE_M)).sum())


def _walks(instance: Instance, grid: IntArray, grids: int) -> tuple[IntArray, FloatArray]:
    """Of each grid: in how many pieces it is, and its radius."""
    pieces, radius = np.ones(grids, dtype=np.int64), np.zeros(grids)
    for problem, members in zip(instance.problems, instance.members, strict=True):
        here, local = np.unique(grid[members], return_inverse=True)
        a, b, _ = problem.links
        inner = local[a] == local[b]
        part = _parts(a[inner], b[inner], len(members))
        pieces[here] = np.bincount(np.unique(np.column_stack([local, part]), axis=0)[:, 0], minlength=len(here))
        away = _distances(problem, a, b)
        for number, own in enumerate(here):
            lived = np.flatnonzero((local == number) & (problem.households > 0))
            if len(lived) > 1:
                radius[own] = away[np.ix_(lived, lived)].max(axis=1).min()
    return pieces, radius


def _parts(a: IntArray, b: IntArray, count: int) -> IntArray:
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _distances(problem: Problem, a: IntArray, b: IntArray) -> FloatArray:
    """Walks between all nodes of a community, from middle to middle over its links."""
    count = len(problem.households)
    metres = np.maximum(np.hypot(*(problem.middle_m[a] - problem.middle_m[b]).T), NEAREST_M)
    return np.asarray(dijkstra(coo_array((metres, (a, b)), shape=(count, count)).tocsr(), directed=False))
