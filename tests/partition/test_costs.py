"""The compiled cost and the one that reports show are the same sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gis.partition.costs import breakdown
from gis.partition.objectives import TERMS, Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.search import EFFORTS, Effort, solve
from gis.rule_set import Tier

TIER = Tier(3, "grid", "网格", "Grid", households_min=300, households_max=500)
QUICK = Effort(2, 1_500, 0, 200.0, 4.0)


def board(seed: int, *, rows: int = 6, columns: int = 8, with_tower: bool = False) -> Problem:
    """A board of plots 40 m wide in compounds of 2 × 2, with a street through the middle and some empty land."""
    rng = np.random.default_rng(seed)
    i, j = np.divmod(np.arange(rows * columns), columns)
    households = np.where(rng.random(rows * columns) < 0.15, 0, rng.integers(20, 140, rows * columns)).astype(float)
    right = np.flatnonzero(j + 1 < columns)
    down = np.flatnonzero(i + 1 < rows)
    a, b = np.concatenate([right, down]), np.concatenate([right + 1, down + columns])
    on_street = (i[a] != i[b]) & (i[a] == rows // 2 - 1)
    limits = Limits.of(TIER)
    assert limits is not None
    return Problem(
        households=households,
        area_m2=np.full(rows * columns, 1600.0),
        perimeter_m=np.full(rows * columns, 160.0),
        middle_m=np.column_stack([j * 40.0, i * 40.0]),
        group=(i // 2) * columns + j // 2,
        is_tall=(np.arange(rows * columns) == 3) & with_tower,
        a=a,
        b=b,
        length_m=np.full(len(a), 40.0),
        cut_cost_m=np.where(on_street, 10.0, 40.0),
        walkable=np.ones(len(a), dtype=bool),
        terms=terms_for(TIER, {"span": 0.3}, limits),
        mix=rng.random((rows * columns, 3)) * households[:, None],
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_search_and_the_table_of_terms_agree_on_what_a_plan_costs(seed: int) -> None:
    problem = board(seed, with_tower=seed == 3)
    first = solve(problem, seed=seed, effort=QUICK)
    changed = replace(problem, past=first.label, households=np.rint(problem.households * 1.1))
    again = solve(changed, seed=seed, effort=QUICK, start=first.label)

    for asked, found in ((problem, first), (changed, again)):
        table = breakdown(asked, found.label)
        assert set(table) == {term.code for term in TERMS}
        assert sum(values.sum() for values in table.values()) == pytest.approx(found.cost, abs=1e-6)
        assert all(values.shape == (found.cells,) and (values >= -1e-9).all() for values in table.values())


def test_what_is_held_stays_and_a_shut_cell_neither_gives_nor_takes() -> None:
    problem = board(7)
    before = solve(problem, seed=1, effort=QUICK).label
    shut, loose = before[0], before[-1]
    held = np.where(before == shut, 2, 0)
    held[np.flatnonzero(before == loose)[:2]] = 1
    asked = replace(problem, past=before, held=held, households=problem.households[::-1].copy())

    after = solve(asked, seed=2, effort=EFFORTS["draft"], start=before).label

    assert len(set(after[before == shut])) == 1
    assert (after == after[before == shut][0]).sum() == (before == shut).sum()
    assert len(set(after[held == 1])) == 1


def test_the_heavier_stability_weighs_the_fewer_households_move() -> None:
    problem = board(3)
    before = solve(problem, seed=1, effort=QUICK).label
    rng = np.random.default_rng(5)
    changed = replace(problem, past=before, households=np.rint(problem.households * rng.uniform(0.7, 1.3, len(before))))

    def moved(weight: float) -> float:
        asked = replace(changed, terms=changed.terms._replace(stability=weight))
        label = solve(asked, seed=1, effort=QUICK, start=before).label
        counted = replace(asked, terms=asked.terms._replace(stability=1.0))
        return float(breakdown(counted, label)["stability"].sum())

    assert moved(100.0) <= moved(3.0) <= moved(0.0)
    assert moved(100.0) < moved(0.0)
