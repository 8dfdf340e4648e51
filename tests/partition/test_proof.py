"""Proofs against every plan there is, on graphs small enough to try them all, and on larger ones their promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.geometry import IntArray
from gis.partition import bounds
from gis.partition.instance import read
from gis.partition.kernel import appraise_all
from gis.partition.problem import Problem
from gis.partition.proof import certify, plan_cost
from gis.partition.search import Effort, Solution, solve
from tests.partition.test_divide import STREETS, divided
from tests.partition.test_search import lattice, partitions, pieces
from tests.partition.towns import estate, ground, town

BUBENEC = Path(__file__).parents[3] / "shared" / "referee" / "instances" / "bubenec.json.gz"
QUICK = Effort(6, 3000, 100, 300.0, 3.0)


def one_cell(problem: Problem) -> Solution:
    """The worst start: everything in one cell."""
    label = np.zeros(len(problem.households), dtype=np.int64)
    return Solution(label, plan_cost(problem, label))


def best_of_all(problem: Problem) -> float:
    """The cost of the best plan, by dynamic programming over every set of nodes; enclaves left aside."""
    n = len(problem.households)
    sets = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1 == 1
    cost = appraise_all(problem.graph, sets, problem.terms)
    best = np.full(1 << n, np.inf)
    best[0] = 0.0
    for all_nodes in range(1, 1 << n):
        lowest = all_nodes & -all_nodes
        cell = all_nodes
        while cell:
            if cell & lowest and cost[cell] < np.inf:
                best[all_nodes] = min(best[all_nodes], cost[cell] + best[all_nodes ^ cell])
            cell = (cell - 1) & all_nodes
    return float(best[-1])


def around(problem: Problem, start: int, count: int) -> Problem:
    """The nodes nearest to one over the links, as a problem of their own."""
    a, b, _ = problem.links
    found = [start]
    for v in found:
        found += sorted({int(u) for u in np.append(b[a == v], a[b == v])} - set(found))
    nodes = np.sort(found[:count])
    at = np.full(len(problem.households), -1, dtype=np.int64)
    at[nodes] = np.arange(len(nodes))
    inner = (at[problem.a] >= 0) & (at[problem.b] >= 0)
    return Problem(
        problem.households[nodes], problem.area_m2[nodes], problem.perimeter_m[nodes], problem.middle_m[nodes],
        problem.group[nodes], problem.is_tall[nodes], at[problem.a[inner]], at[problem.b[inner]],
        problem.length_m[inner], problem.cut_cost_m[inner], problem.walkable[inner], problem.terms,
    )  # fmt: skip


@settings(max_examples=25)
@given(
    households=st.lists(st.one_of(st.just(0), st.integers(0, 350)), min_size=9, max_size=9),
    group=st.lists(st.integers(-1, 2), min_size=9, max_size=9),
    past=st.lists(st.integers(-1, 2), min_size=9, max_size=9),
    mixed=st.booleans(),
)
def test_finds_and_proves_the_best_of_all_plans(
    households: list[int], group: list[int], past: list[int], mixed: bool
) -> None:
    weights = {"enclave": 0.0, "group_piece": 150.0, "similarity": 200.0, "span": 0.3, "stability": 2.0}
    problem = replace(lattice(3, 3, households, weights=weights), group=np.array(group))
    if mixed:
        kinds = np.array(households, dtype=float)
        problem = replace(problem, mix=np.column_stack([kinds, kinds[::-1]]), past=np.array(past))
    best = best_of_all(problem)
    found = certify(problem, one_cell(problem), seconds=280)
    assert found.kind == "optimal"
    assert found.cost == pytest.approx(best)
    assert found.bound == found.cost
    label = np.zeros(9, dtype=np.int64) if found.label is None else found.label
    assert plan_cost(problem, label) == pytest.approx(best)
    assert pieces(problem, label) == label.max() + 1


@settings(max_examples=30)
@given(st.lists(st.integers(0, 350), min_size=8, max_size=8), st.floats(0.0, 0.9))
def test_no_plan_is_below_the_quick_bound(households: list[int], part: float) -> None:
    problem = replace(lattice(4, 2, households, weights={"enclave": 0.0}), group=np.arange(8) // 2)
    problem = replace(problem, households=problem.households + part * (problem.households > 0))
    best = best_of_all(problem)
    known = one_cell(problem).cost
    floor = bounds.floor_of(problem, known)
    assert min(floor.bound, known) <= best + 1e-6
    if best < known - 1e-6:
        assert best < floor.bound + 400 * (floor.extra_pairs(known) + 1)


def test_counts_enclaves_where_one_cell_surrounds_another() -> None:
    """The middle of a ring makes a cell of its own unless that costs too much."""
    households = [50, 50, 50, 50, 300, 50, 50, 50, 50]
    for enclave in (0.0, 100.0, 100_000.0):
        problem = lattice(3, 3, households, weights={"enclave": enclave})
        # Nothing but the ground around it lies beside the middle; the eight others go well together.
        best = min(
            plan_cost(problem, label)
            for label in map(np.array, partitions(9))
            if label.max() < 3 and pieces(problem, label) == label.max() + 1
        )
        found = certify(problem, one_cell(problem), seconds=280)
        assert found.kind == "optimal"
        assert found.cost == pytest.approx(best)


def test_the_same_input_gives_the_same_proof() -> None:
    problem = lattice(5, 4, [(37 * i) % 130 for i in range(20)])
    first, second = (certify(problem, one_cell(problem)) for _ in range(2))
    assert first.label is not None
    assert second.label is not None
    assert first.label.tolist() == second.label.tolist()
    assert (first.kind, first.cost, first.bound, first.sets) == (second.kind, second.cost, second.bound, second.sets)


def test_a_proof_that_is_cut_short_claims_no_more_than_it_has() -> None:
    problem = lattice(5, 4, [(37 * i) % 130 for i in range(20)])
    whole = certify(problem, one_cell(problem))
    for most in (0, 100, 3000):
        short = certify(problem, one_cell(problem), most_sets=most)
        assert short.bound <= whole.cost + 1e-6
        assert short.cost >= whole.cost - 1e-6
        if short.kind != "optimal":
            assert short.gap_ratio == pytest.approx((short.cost - short.bound) / short.cost)
    assert certify(problem, one_cell(problem), cancelled=lambda: True).kind != "optimal"


def test_compounds_that_nobody_would_cut_are_proven_as_wholes() -> None:
    """Ninety-six lots are too many for words of bits, six compounds are not."""
    problem = lattice(12, 8, [25] * 96)
    column, row = np.arange(96) % 12, np.arange(96) // 12
    group = (column // 4 + 3 * (row // 4)).astype(np.int64)
    problem = replace(problem, group=group, cut_cost_m=np.where(group[problem.a] == group[problem.b], 50.0, 5.0))
    found = certify(problem, Solution(group, 0.0))
    assert found.kind == "optimal"
    assert found.cost == pytest.approx(plan_cost(problem, group))
    assert found.label is None
    worse: IntArray = np.where(np.arange(96) == 3, 1, group)
    assert certify(problem, Solution(worse, 0.0)).kind in ("bounded", "optimal")


def test_locked_nodes_are_bounded_only() -> None:
    problem = lattice(4, 2, [100, 150, 200, 120, 180, 90, 140, 160])
    locked = replace(problem, held=np.array([1, 0, 0, 0, 0, 0, 0, 0]))
    found = certify(locked, one_cell(locked))
    assert found.kind == "bounded"
    assert found.note == "partition.proof.locked"
    assert found.bound <= certify(problem, one_cell(problem)).cost


@pytest.mark.parametrize(
    "households", [[0] * 6, [220, 0, 0, 0, 0, 0], [700, 45, 45, 45, 45, 45], [280, 280, 0, 0, 0, 0]]
)
def test_impossible_demands_are_proven_too(households: list[int]) -> None:
    problem = lattice(3, 2, households, weights={"enclave": 0.0})
    found = certify(problem, one_cell(problem))
    assert found.kind == "optimal"
    assert found.cost == pytest.approx(best_of_all(problem))
    size = np.bincount(found.label if found.label is not None else np.zeros(6, dtype=int), households)
    assert ((size < 300) | (size > 500)).sum() >= found.out_of_band_bound
    assert found.out_of_band_bound == (1 if sum(households) else 0)


@pytest.mark.skipif(not BUBENEC.is_file(), reason="the instance lies beside the repository")
@pytest.mark.parametrize(("start", "count"), [(30, 26), (100, 32)])
def test_a_part_of_a_real_community_is_proven(start: int, count: int) -> None:
    problem = around(read(BUBENEC).problems[0], start, count)
    solution = solve(problem, seed=1, effort=QUICK)
    found = certify(problem, solution)
    assert found.kind == "optimal"
    assert found.cost <= plan_cost(problem, solution.label) + 1e-6


def test_a_division_tells_what_was_proven_of_each_community() -> None:
    place = town(
        {"001": ground(4, 6), "002": ground(4, 5, x=4 * 60.0)}, estate(4, 6, 50) + estate(4, 5, 31, x=4 * 60.0), STREETS
    )
    drafted, _ = divided(place, effort="draft")
    assert "proofs" not in drafted.recipe
    division, _ = divided(place, effort="full")
    assert set(division.recipe["proofs"]) == {"001", "002"}
    for code, proof in division.recipe["proofs"].items():
        assert proof["kind"] in ("optimal", "bounded"), code
        assert 0 < proof["bound"] <= proof["cost"]
    cost = sum(division.recipe["cost"]["网格"].values())
    assert cost == pytest.approx(sum(proof["cost"] for proof in division.recipe["proofs"].values()), abs=1.0)
