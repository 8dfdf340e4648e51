"""A cell divided into so many parts of about equal weight, each in one piece where that can be.

Random spanning trees, each cut where the balance is best (the step of recombination, DeFord, Duchin & Solomon 2021);
borders on barriers are drawn into a tree last, so that cuts fall on them. The kernel of the partitioner chooses how
many cells there are by their band; here the number is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gis.geometry import FloatArray, IntArray

Sides = NDArray[np.bool_]

TREES = 60
_CUT_PRICE = 0.15
"""What a border as long as all borders together costs, in shares of imbalance."""


@dataclass(frozen=True)
class Graph:
    """Nodes by weight, and borders between them by what cutting them costs."""

    weight: FloatArray
    borders: Mapping[tuple[int, int], float]


def balanced(graph: Graph, count: int, *, seed: int = 0) -> IntArray:
    """Label nodes 0 … count - 1; the same seed gives the same labels."""
    label = np.zeros(len(graph.weight), dtype=np.int64)
    random = np.random.default_rng(seed)
    pieces = [(np.arange(len(graph.weight)), count)]
    done = 0
    while pieces:
        nodes, wanted = pieces.pop()
        if wanted == 1:
            label[nodes] = done
            done += 1
            continue
        few = wanted // 2
        one = _halved(graph, nodes, few, wanted, random)
        pieces += [(nodes[~one], wanted - few), (nodes[one], few)]
    return label


def _halved(graph: Graph, nodes: IntArray, few: int, wanted: int, random: np.random.Generator) -> Sides:
    """Which nodes make up ``few`` of the ``wanted`` parts."""
    at = {int(node): number for number, node in enumerate(nodes)}
    inner = [(at[a], at[b], cost) for (a, b), cost in graph.borders.items() if a in at and b in at]
    inner += _bridges(len(nodes), inner)
    weight = graph.weight[nodes]
    whole = sum(cost for _, _, cost in inner) or 1.0
    best: tuple[float, Sides] | None = None
    a, b = (np.array([border[i] for border in inner], dtype=np.int64) for i in (0, 1))
    cost = np.array([border[2] for border in inner])
    for _ in range(TREES):
        order = np.argsort(random.random(len(inner)) * (1.0 + whole / len(inner) / np.maximum(cost, 1e-9)) ** 0.5)
        for side, below in _cuts(len(nodes), a, b, order, weight):
            size = int(side.sum())
            if not few <= size <= len(nodes) - (wanted - few):
                continue
            off = abs(below / max(float(weight.sum()), 1e-12) - few / wanted)
            price = off + _CUT_PRICE * float(cost[side[a] != side[b]].sum()) / whole
            if best is None or price < best[0]:
                best = (price, side)
    if best is None:
        side = np.zeros(len(nodes), dtype=bool)
        side[:few] = True
        return side
    return best[1]


def _bridges(count: int, inner: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Borders of no length that join what nothing joins."""
    root = list(range(count))
    for a, b, _ in inner:
        _union(root, a, b)
    firsts = sorted({_find(root, node) for node in range(count)})
    return [(firsts[0], other, 0.0) for other in firsts[1:]]


def _find(root: list[int], node: int) -> int:
    while root[node] != node:
        root[node] = root[root[node]]
        node = root[node]
    return node


def _union(root: list[int], a: int, b: int) -> bool:
    a, b = _find(root, a), _find(root, b)
    root[a] = b
    return a != b


def _cuts(count: int, a: IntArray, b: IntArray, order: IntArray, weight: FloatArray) -> Iterator[tuple[Sides, float]]:
    """Both sides of each cut of a spanning tree, the best few by balance: (which nodes, their weight)."""
    root = list(range(count))
    near: list[list[int]] = [[] for _ in range(count)]
    for border in order.tolist():
        x, y = int(a[border]), int(b[border])
        if _union(root, x, y):
            near[x].append(y)
            near[y].append(x)
    walk, parent = [0], [-1] * count
    for node in walk:
        for other in near[node]:
            if other != parent[node]:
                parent[other] = node
                walk.append(other)
    below = weight.astype(float).copy()
    for node in reversed(walk[1:]):
        below[parent[node]] += below[node]
    half = weight.sum() / 2
    children: list[list[int]] = [[] for _ in range(count)]
    for node in walk[1:]:
        children[parent[node]].append(node)
    for node in sorted(walk[1:], key=lambda one: abs(below[one] - half))[:12]:
        side = np.zeros(count, dtype=bool)
        stack = [node]
        while stack:
            one = stack.pop()
            side[one] = True
            stack += children[one]
        yield side, float(below[node])
        yield ~side, float(weight.sum() - below[node])
