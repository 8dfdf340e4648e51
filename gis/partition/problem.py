"""The problem of one tier inside one cell above it: a weighted graph of nodes, as a value that checks itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from gis.errors import InvalidInput
from gis.geometry import FloatArray, IntArray
from gis.partition.kernel import Graph, Terms

MOST_FOR_REACH = 2500  # nodes; beyond it the matrix of distances is left out, and reach with it
# Land without households weighs little in a redraw, but something: a border does not wander for nothing.
LAND_M2 = 500.0
MOST_OF_LAND = 5.0


def words(count: int) -> NDArray[np.uint64]:
    """The first ``count`` words of a fixed random row (SplitMix64), so that sets of nodes can be told apart."""
    with np.errstate(over="ignore"):
        x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


@dataclass(frozen=True)
class Problem:
    """Nodes with households and ground, and the borders between them; all in metres.

    Attributes
    ----------
    households, area_m2, perimeter_m : float arrays, shape (nodes,)
    middle_m : float array, shape (nodes, 2)
    group : int array, shape (nodes,)
        What should stay together (compound, or building); -1 for nothing.
    is_tall : bool array, shape (nodes,)
        Nodes that may be cut into floor bands.
    a, b : int arrays, shape (borders,)
    length_m, cut_cost_m : float arrays, shape (borders,)
    walkable : bool array, shape (borders,)
    terms : Terms
        Band and weights.
    mix : float array, shape (nodes, kinds), optional
        Households of each kind (housing class and use); rows of zeros where the kind is unknown.
    past : int array, shape (nodes,), optional
        Number of the cell of the plan in force that each node lies in; -1 for none (a new building).
    held : int array, shape (nodes,), optional
        0 free; 1 stays in the cell that it starts in; 2 and nothing enters or leaves that cell.
    """

    households: FloatArray
    area_m2: FloatArray
    perimeter_m: FloatArray
    middle_m: FloatArray
    group: IntArray
    is_tall: NDArray[np.bool_]
    a: IntArray
    b: IntArray
    length_m: FloatArray
    cut_cost_m: FloatArray
    walkable: NDArray[np.bool_]
    terms: Terms
    mix: FloatArray | None = None
    past: IntArray | None = None
    held: IntArray | None = None

    def __post_init__(self) -> None:
        if not len(self.households):
            raise InvalidInput("partition.no_nodes")
        if (self.households < 0).any() or not np.isfinite(self.households).all():
            raise InvalidInput("partition.bad_households")
        if len(self.a) and (max(self.a.max(), self.b.max()) >= len(self.households) or (self.a == self.b).any()):
            raise InvalidInput("partition.bad_borders")

    @property
    def total(self) -> float:
        """All households."""
        return float(self.households.sum())

    @cached_property
    def pieces(self) -> IntArray:
        """Which piece each node is in when only walkable borders join."""
        return self._pieces(self.a[self.walkable], self.b[self.walkable])

    def _pieces(self, a: IntArray, b: IntArray) -> IntArray:
        n = len(self.households)
        found = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)[1]
        return np.asarray(found, dtype=np.int64)

    @cached_property
    def links(self) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
        """What joins nodes to one whole: first node, second node, and whether it is one of the borders.

        Walkable borders; then, shortest first, unwalkable borders between pieces (a river without a bridge); then the
        nearest nodes of pieces that no border joins (islands).
        """
        joined = self.walkable.copy()
        piece = self.pieces.copy()
        away = np.hypot(*(self.middle_m[self.a] - self.middle_m[self.b]).T)
        for i in np.lexsort((self.b, self.a, away)):
            if not joined[i] and piece[self.a[i]] != piece[self.b[i]]:
                joined[i] = True
                piece[piece == piece[self.b[i]]] = piece[self.a[i]]
        first, second = [], []
        while len(np.unique(piece)) > 1:
            here = np.flatnonzero(piece == piece[0])
            there = np.flatnonzero(piece != piece[0])
            distance, nearest = cKDTree(self.middle_m[here]).query(self.middle_m[there])
            i = int(distance.argmin())
            first.append(int(here[nearest[i]]))
            second.append(int(there[i]))
            piece[piece == piece[there[i]]] = piece[0]
        a = np.concatenate([self.a[joined], np.array(first, dtype=np.int64)])
        b = np.concatenate([self.b[joined], np.array(second, dtype=np.int64)])
        return a, b, joined

    @cached_property
    def graph(self) -> Graph:
        """The arrays of the compiled search."""
        a, b, joined = self.links
        bridges = len(a) - int(joined.sum())  # links that are no border
        a_all = np.concatenate([self.a, a[len(a) - bridges :]])
        b_all = np.concatenate([self.b, b[len(b) - bridges :]])
        length = np.concatenate([self.length_m, np.zeros(bridges)])
        cost = np.concatenate([self.cut_cost_m, np.zeros(bridges)])
        joins = np.concatenate([joined, np.ones(bridges, dtype=bool)])
        rank = self._ranks(a_all, b_all, length, cost)
        end = np.concatenate([a_all, b_all])
        order = np.lexsort((np.concatenate([b_all, a_all]), end))
        n = len(self.households)

        def both_ways(values: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.concatenate([values, values])

        def both(values: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.ascontiguousarray(both_ways(values)[order])

        past = np.full(n, -1, dtype=np.int64) if self.past is None else self.past
        held = np.zeros(n, dtype=np.int64) if self.held is None else self.held
        outside = self.perimeter_m - np.bincount(end, both_ways(length), n)
        weight = np.where(self.households > 0, self.households, np.minimum(self.area_m2 / LAND_M2, MOST_OF_LAND))
        nodes = (self.households, self.area_m2, self.perimeter_m, outside, weight)
        return Graph(
            first=np.searchsorted(end[order], np.arange(n + 1)).astype(np.int64),
            place=np.ascontiguousarray(np.column_stack(nodes), dtype=np.float64),
            kind=np.ascontiguousarray(np.column_stack([self.group, self.is_tall, held, past]), dtype=np.int64),
            edge=np.column_stack([np.concatenate([b_all, a_all])[order], both(joins), both(rank)]).astype(np.int64),
            metres=np.ascontiguousarray(np.column_stack([both(length), both(cost)]), dtype=np.float64),
            distance=self._distances(a, b),
            mix=np.zeros((n, 0)) if self.mix is None else np.ascontiguousarray(self.mix, dtype=np.float64),
            past=np.bincount(past[past >= 0], weight[past >= 0]).astype(np.float64),
            word=words(n),
        )

    def _ranks(self, a: IntArray, b: IntArray, length: FloatArray, cost: FloatArray) -> IntArray:
        """How well a border suits a cut: 0 (inside a compound) to 5 (on an arterial)."""
        share = cost / np.maximum(length, 1e-9)
        rank = np.select([share > 0.8, share > 0.45, share > 0.2], [2, 3, 4], 5).astype(np.int64)
        same = (self.group[a] == self.group[b]) & (self.group[a] >= 0)
        return np.where(same, np.where(share > 0.6, 0, 1), rank)

    def _distances(self, a: IntArray, b: IntArray) -> FloatArray:
        n = len(self.households)
        if self.terms.reach <= 0 or n > MOST_FOR_REACH:
            return np.empty((0, 0))
        metres = np.maximum(np.hypot(*(self.middle_m[a] - self.middle_m[b]).T), 0.1)
        return np.asarray(dijkstra(coo_array((metres, (a, b)), shape=(n, n)).tocsr(), directed=False))
