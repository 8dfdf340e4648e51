"""The search against brute force, and its promises: one piece, one seed one plan."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.errors import InvalidInput
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.search import Effort, effort_named, solve
from gis.rule_set import Tier

TIER = Tier(3, "grid", "网格", "Grid", households_min=300, households_max=500)
QUICK = Effort(4, 1500, 0, 300.0, 3.0)


def lattice(columns: int, rows: int, households: list[int], *, weights: dict[str, float] | None = None) -> Problem:
    """Square lots of 50 m, each joined to its neighbours; the middle column is an avenue."""
    at = np.array([(i, j) for j in range(rows) for i in range(columns)])
    a, b = [], []
    for v, (i, j) in enumerate(at):
        if i + 1 < columns:
            a.append(v), b.append(v + 1)
        if j + 1 < rows:
            a.append(v), b.append(v + columns)
    first, second = np.array(a), np.array(b)
    avenue = (at[first][:, 0] == columns // 2 - 1) & (at[second][:, 0] == columns // 2)
    n = len(at)
    return Problem(
        np.array(households, dtype=float), np.full(n, 2500.0), np.full(n, 200.0), at * 50.0,
        np.full(n, -1), np.zeros(n, dtype=bool), first, second, np.full(len(a), 50.0),
        np.where(avenue, 5.0, 50.0), np.ones(len(a), dtype=bool),
        terms_for(TIER, weights or {}, Limits.of(TIER)),
    )  # fmt: skip


def partitions(n: int) -> Iterator[list[int]]:
    """All partitions of n nodes as labels, each once."""

    def grow(labels: list[int], most: int) -> Iterator[list[int]]:
        if len(labels) == n:
            yield labels
            return
        for label in range(most + 2):
            yield from grow([*labels, label], max(most, label))

    yield from grow([0], 0)


def pieces(problem: Problem, label: np.ndarray) -> int:
    same = label[problem.a] == label[problem.b]
    n = len(label)
    graph = coo_array((np.ones(same.sum()), (problem.a[same], problem.b[same])), shape=(n, n))
    return int(connected_components(graph, directed=False)[0])


def cost(problem: Problem, label: np.ndarray) -> float:
    """The cost in plain words, apart from the compiled one."""
    t, k = problem.terms, int(label.max()) + 1
    size = np.bincount(label, problem.households, k)
    same = label[problem.a] == label[problem.b]
    outline = np.bincount(label, problem.perimeter_m, k) - 2 * np.bincount(
        label[problem.a[same]], problem.length_m[same], k
    )
    area = np.bincount(label, problem.area_m2, k)
    total = t.boundary * problem.cut_cost_m[~same].sum()
    total += t.balance * (((size - t.target) / t.half_width) ** 2).sum()
    outside = np.maximum(t.low - size, size - t.high)
    total += np.where(outside > 0, t.outside + t.outside_per_household * outside, 0.0).sum()
    total += t.compactness * (1 - np.minimum(4 * np.pi * area / outline**2, 1)).sum()
    for cell in range(k):
        lived = np.flatnonzero((label == cell) & (problem.households > 0))
        if len(lived) > 1:
            total += t.reach * problem.graph.distance[np.ix_(lived, lived)].max(axis=1).min()
    return float(total)


@pytest.mark.parametrize(
    "households",
    [
        [100, 150, 200, 120, 180, 90, 140, 160],
        [290, 290, 290, 20, 10, 30, 250, 60],
        [400, 0, 0, 400, 0, 350, 60, 0],
    ],
)
def test_finds_the_best_of_all_partitions(households: list[int]) -> None:
    problem = lattice(4, 2, households, weights={"enclave": 0.0})
    n = len(households)
    best = np.inf
    for labels in partitions(n):
        label = np.array(labels)
        if pieces(problem, label) == label.max() + 1:
            best = min(best, cost(problem, label))
    found = solve(problem, seed=3, effort=QUICK)
    assert cost(problem, found.label) == pytest.approx(found.cost)
    assert found.cost == pytest.approx(best)


def test_same_seed_same_labels() -> None:
    problem = lattice(8, 6, list(range(20, 68)))
    first, second = (solve(problem, seed=7, effort=QUICK) for _ in range(2))
    assert first.label.tolist() == second.label.tolist()


@settings(max_examples=20)
@given(st.lists(st.integers(0, 350), min_size=12, max_size=12), st.integers(0, 5))
def test_every_cell_is_in_one_piece(households: list[int], seed: int) -> None:
    problem = lattice(4, 3, households)
    found = solve(problem, seed=seed, effort=Effort(1, 300, 0, 300.0, 3.0))
    assert pieces(problem, found.label) == found.cells
    assert found.sizes(problem).sum() == sum(households)


def test_without_households_all_is_one_cell() -> None:
    assert solve(lattice(4, 3, [0] * 12), seed=0, effort=QUICK).cells == 1


def test_an_unknown_effort_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.unknown_effort"):
        effort_named("heroic")


def test_an_unknown_weight_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.unknown_term"):
        lattice(2, 2, [1, 2, 3, 4], weights={"beauty": 1.0})
