"""Whether cells tile their ground, and colours that tell neighbours apart."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from gis.plan_cover import Cell, colours, faults

GROUND = shapely.box(0, 0, 200, 100)


def cells(*shapes: shapely.Geometry, stacked: bool = False) -> list[Cell]:
    return [Cell(id=n, parent=1, is_stacked=stacked, ground_metric=shape) for n, shape in enumerate(shapes)]


def kinds(found: list[Cell]) -> list[str]:
    return sorted(fault.kind for fault in faults(found, {1: GROUND}))


HALVES = (shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100))


def test_cells_that_tile_are_right():
    assert kinds(cells(*HALVES)) == []


def test_one_cell_may_be_the_whole_ground():
    assert kinds(cells(GROUND)) == []


def test_a_stack_counts_once():
    assert kinds([*cells(HALVES[0], HALVES[0], stacked=True), *cells(HALVES[1])]) == []


def test_cells_over_one_another_that_are_no_stack_overlap():
    assert kinds(cells(HALVES[0], HALVES[0], HALVES[1])) == ["overlap"]


@pytest.mark.parametrize("width", [0.2, 5.0])
def test_a_gap_is_found(width):
    assert kinds(cells(HALVES[0], shapely.box(100 + width, 0, 200, 100))) == ["gap"]


@pytest.mark.parametrize("width", [0.2, 5.0])
def test_an_overlap_is_found(width):
    assert kinds(cells(HALVES[0], shapely.box(100 - width, 0, 200, 100))) == ["overlap"]


def test_rounding_is_no_fault():
    assert kinds(cells(HALVES[0], shapely.box(100.004, 0, 200, 100))) == []


def test_ground_outside_the_parent_is_found():
    assert kinds(cells(HALVES[0], shapely.box(100, 0, 210, 100))) == ["overlap"]


def test_a_parent_without_cells_is_a_gap():
    assert kinds([]) == ["gap"]


def test_a_torn_cell_is_found():
    torn = shapely.union_all([shapely.box(0, 0, 50, 100), shapely.box(150, 0, 200, 100)])
    assert kinds(cells(torn, shapely.box(50, 0, 150, 100))) == ["pieces"]


def test_neighbours_have_different_colours():
    squares = np.array([shapely.box(x, y, x + 1, y + 1) for x in range(8) for y in range(8)], dtype=object)
    chosen = colours(squares)
    left, right = shapely.STRtree(squares).query(squares, predicate="intersects")
    assert all(chosen[a] != chosen[b] for a, b in zip(left, right, strict=True) if a != b)
    assert set(chosen.tolist()) == set(range(8))
