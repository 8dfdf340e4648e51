"""Proposals for a draft: what is locked stays, what is broken is mended with as little as it takes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely

from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput
from gis.partition import divide
from gis.partition.lineage import cell_numbers
from gis.partition.proposing import Request, broken, not_better, propose
from gis.partition.quality import statistics
from gis.partition.redraw import Locks
from gis.rule_set import load_preset
from gis.town import Town
from tests.partition.towns import estate, ground, town

RULES = load_preset("bishan")


@cache
def place() -> Town:
    outline = {"001": ground(8, 10)}
    return clean(town(outline, estate(8, 10, 30), [("minor", [(240, -10), (240, 410)])]))[0]


@cache
def drawn() -> Division:
    """Eighty houses of 30 households in six grids."""
    return divide(place(), RULES, processes=1)


@cache
def merged() -> Division:
    """The same with two grids that touch put together: one of them is far over the band."""
    before = drawn()
    grids = before.cells[0]
    shapes = grids.geometry.to_numpy()
    other = next(i for i in range(1, len(grids)) if shapely.length(shapely.intersection(shapes[0], shapes[i])) > 1e-5)
    one, gone = grids["code"].iloc[0], grids["code"].iloc[other]
    joined = grids.copy()
    joined.loc[0, "geometry"] = shapely.union_all(shapes[[0, other]])
    joined.loc[0, ["households", "area_m2"]] += grids.loc[other, ["households", "area_m2"]]
    micro = before.cells[1].assign(parent=before.cells[1]["parent"].replace(gone, one))
    cells = (joined[joined["code"] != gone].reset_index(drop=True), micro)
    return replace(before, cells=cells, findings=())


def sizes(division: Division) -> list[int]:
    return sorted(division.cells[0]["households"].astype(int))


def shape_of(division: Division, code: str) -> shapely.Geometry:
    frame = division.cells[0]
    return frame.geometry[(frame["code"] == code).to_numpy()].iloc[0]


def test_what_is_broken_is_told_with_why() -> None:
    assert broken(drawn()) == {}
    [(code, why)] = broken(merged()).items()
    assert (code, why) == (merged().cells[0]["code"].iloc[0], "over")
    assert broken(drawn(), {"b001": "x"}) == {"x": "unassigned"}


def test_only_what_is_broken_is_mended_and_the_others_keep_their_ground() -> None:
    wrong = frozenset(broken(merged()))
    [given] = propose(place(), RULES, merged(), Request("broken", wrong, stability=1.0), processes=1)
    assert broken(given.division) == {}
    assert not_better(broken(merged()), given.division) is None
    assert sum(sizes(given.division)) == 2400
    measured = statistics(given.division, place())
    assert (measured["gap_m2"], measured["overlap_m2"], measured["pieces_not_contiguous"]) == (0, 0, 0)
    kept = [code for code in merged().cells[0]["code"] if code not in wrong]
    for code in kept:
        assert shapely.symmetric_difference(shape_of(given.division, code), shape_of(merged(), code)).area < 1e-10


def test_only_the_selected_changes_and_three_alternatives_are_as_sound() -> None:
    grids = drawn().cells[0]
    shapes = grids.geometry.to_numpy()
    beside = [i for i in range(1, len(grids)) if shapely.length(shapely.intersection(shapes[0], shapes[i])) > 1e-5]
    chosen = frozenset(grids["code"].iloc[[0, *beside]])
    wish = Request("selected", chosen, stability=0.0, count=3)
    given = propose(place(), RULES, drawn(), wish, processes=1)
    assert [one.emphasis.code for one in given] == ["as_ruled", "borders", "equal_loads"]
    for one in given:
        assert sum(sizes(one.division)) == 2400
        assert statistics(one.division, place())["gap_m2"] == 0
        for code in set(grids["code"]) - chosen:
            assert shapely.symmetric_difference(shape_of(one.division, code), shape_of(drawn(), code)).area < 1e-10
    places = [tuple(cell_numbers(one.division, 0)) for one in given]
    assert len(set(places)) > 1


def test_locks_hold_whatever_is_asked_for() -> None:
    code = str(drawn().cells[0]["code"].iloc[2])
    wish = Request("all", locks=Locks(grids=(code,)), stability=0.0)
    [given] = propose(place(), RULES, drawn(), wish, processes=1)
    assert shapely.symmetric_difference(shape_of(given.division, code), shape_of(drawn(), code)).area < 1e-10
    building = str(drawn().parts["building"].iloc[0])
    pinned = Request("all", locks=Locks(buildings=(building,)), stability=0.0)
    [given] = propose(place(), RULES, drawn(), pinned, processes=1)

    def home(division: Division) -> str:
        cell = cell_numbers(division, 0)[np.flatnonzero(division.parts["building"] == building)[0]]
        return str(division.cells[0]["code"].iloc[cell])

    assert home(given.division) == home(drawn())


def test_of_a_grid_only_the_selected_micro_grids_change() -> None:
    micro = drawn().cells[1]
    parent = micro["parent"].iloc[0]
    inside = micro[micro["parent"] == parent]["code"].tolist()
    wish = Request("selected", frozenset(inside[:2]), stability=0.0)
    [given] = propose(place(), RULES, drawn(), wish, processes=1)
    before = micro.set_index("code").geometry
    after = given.division.cells[1].set_index("code").geometry
    for code in set(micro["code"]) - set(inside[:2]):
        assert shapely.symmetric_difference(before[code], after[code]).area < 1e-10


def test_the_same_again_with_the_same_seed() -> None:
    wrong = frozenset(broken(merged()))
    one, other = (
        propose(place(), RULES, merged(), Request("broken", wrong, stability=0.5, seed=3), processes=1) for _ in "ab"
    )
    assert one[0].division.parts.equals(other[0].division.parts)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"proposal\.bad_scope"):
        Request("some")
    for count in (0, 4):
        with pytest.raises(InvalidInput, match=r"partition\.bad_count"):
            Request("all", count=count)
