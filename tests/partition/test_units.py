"""Parts of buildings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.partition.objectives import Limits
from gis.partition.units import floor_bands, plan_parts, shares
from tests.partition.towns import house

GRID = Limits(300, 500, 400, 100, 300, 500)
MICRO = Limits(50, 80, 65, 15, 50, 80)


@given(st.integers(0, 5000), st.integers(1, 70))
def test_shares_are_even_and_lose_nobody(total: int, count: int) -> None:
    found = shares(total, count)
    assert found.sum() == total
    assert len(found) == count
    assert found.max() - found.min() <= 1


@pytest.mark.parametrize(
    ("profile", "bands"),
    [
        ([4] * 33, [(1, 17), (18, 33)]),
        ([8] * 30, [(1, 7), (8, 14), (15, 22), (23, 30)]),
        ([70], [(1, 1)]),
    ],
)
def test_a_stack_is_cut_between_whole_floors(profile: list[int], bands: list[tuple[int, int]]) -> None:
    found = floor_bands(np.array(profile), MICRO)
    assert len(found) == len(bands)
    assert [a for a, _ in found] == [1] + [b + 1 for _, b in found[:-1]]
    assert found[-1][1] == len(profile)
    up = np.cumsum([0, *profile])
    assert all(MICRO.holds(up[b] - up[a - 1]) for a, b in found)


def test_a_building_over_the_grid_is_cut_by_estimated_staircases_and_marked() -> None:
    parts = plan_parts(
        pd.DataFrame({"households": [700], "floors": [30]}),
        np.array([house(0, 0, length=90)], dtype=object),
        grid=GRID, micro=MICRO, keep_whole=False,
    )  # fmt: skip
    assert parts.is_cut[0]
    assert parts.units_estimated[0]
    assert parts.units[0] >= 5
    assert parts.unit_households(0).sum() == 700


def test_a_building_over_the_grid_stays_whole_where_the_rules_say_so() -> None:
    parts = plan_parts(
        pd.DataFrame({"households": [700], "floors": [30]}),
        np.array([house(0, 0, length=90)], dtype=object),
        grid=GRID, micro=None, keep_whole=True,
    )  # fmt: skip
    assert not parts.is_cut[0]
    assert parts.units[0] == 1


def test_given_staircases_are_used_and_not_marked() -> None:
    parts = plan_parts(
        pd.DataFrame({"households": [48, 6], "floors": [6, 2], "units": [4, 2]}),
        np.array([house(0, 0, length=60), house(0, 40, length=20)], dtype=object),
        grid=GRID, micro=MICRO, keep_whole=False,
    )  # fmt: skip
    assert parts.units.tolist() == [4, 1]
    assert not parts.units_estimated.any()
