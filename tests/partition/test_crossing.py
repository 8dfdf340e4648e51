"""A crossing of two plans takes what is cheaper from each, and is never worse than either."""

from __future__ import annotations

import numpy as np
import pytest

from gis.partition import kernel
from gis.partition.crossing import cross, numbered, price
from gis.partition.search import Effort, solve
from tests.partition.test_costs import board

QUICK = Effort(1, 800, 0, 400.0, 10.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_crossing_costs_no_more_than_the_plan_it_began_from(seed: int) -> None:
    problem = board(seed, rows=8, columns=10)
    one = solve(problem, seed=seed, effort=QUICK).label
    other = solve(problem, seed=seed + 50, effort=QUICK).label
    memo = kernel.memo(14)

    found = cross(problem, one, other, memo)

    if found is not None:
        enclaves = problem.terms.enclave * len(np.unique(found))
        assert price(problem, found, memo)[1].sum() < price(problem, one, memo)[1].sum()
        assert price(problem, found, memo)[0] <= price(problem, one, memo)[0] + enclaves


def test_where_two_plans_differ_in_two_places_the_better_of_each_is_taken() -> None:
    problem = board(2, rows=8, columns=10)
    good = solve(problem, seed=1, effort=Effort(6, 6_000, 0, 800.0, 8.0)).label
    memo = kernel.memo(14)
    cells = int(good.max()) + 1
    assert cells >= 4

    def spoilt(a: int, b: int) -> np.ndarray:
        return numbered(np.where(good == a, b, good))

    first, second = spoilt(0, 1), spoilt(cells - 1, cells - 2)
    mixed = cross(problem, first, second, memo)

    assert mixed is not None
    assert price(problem, mixed, memo)[1].sum() == pytest.approx(price(problem, good, memo)[1].sum())


def test_a_plan_crossed_with_itself_gives_nothing_new() -> None:
    problem = board(4)
    label = solve(problem, seed=1, effort=QUICK).label
    assert cross(problem, label, label.copy(), kernel.memo(12)) is None
