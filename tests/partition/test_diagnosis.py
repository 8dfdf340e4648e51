"""Diagnosis: the right reason and the cheapest way out, and a plan all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.errors import InvalidInput
from gis.findings import Finding
from gis.messages import LANGUAGES, text
from gis.partition.diagnosis import Known, Study, counts_that_fit, diagnose, explain_cell
from gis.partition.objectives import Limits, terms_for
from gis.partition.problem import Problem
from gis.partition.search import Effort, solve
from gis.rule_set import Tier
from tests.partition.test_search import lattice, partitions

TIER = Tier(3, "grid", "网格", "Grid", households_min=300, households_max=500)
LIMITS = Limits.of(TIER)
QUICK = Effort(1, 1500, 0, 300.0, 3.0)


def named(problem: Problem, known: Known | None = None) -> dict[str, Finding]:
    """Findings by code; each has its sentence, and a plan is found all the same."""
    assert LIMITS is not None
    found = diagnose(problem, LIMITS, layer="网格", key="001", known=known)
    for finding in found:
        for language in LANGUAGES:
            assert "?" not in text(finding.code, {"key": finding.key, **finding.params}, language=language)
    plan = solve(problem, seed=1, effort=QUICK)
    assert plan.sizes(problem).sum() == pytest.approx(problem.total)
    return {finding.code.removeprefix("partition."): finding for finding in found}


def way(finding: Finding) -> tuple[str, dict[str, Any]]:
    return finding.params["remedy"]["code"].removeprefix("relax."), finding.params["remedy"]["params"]


def detached(problem: Problem, household: int, *, away_m: float) -> Problem:
    """One more building that touches nothing."""
    return replace(
        problem,
        households=np.append(problem.households, household),
        area_m2=np.append(problem.area_m2, 2500.0),
        perimeter_m=np.append(problem.perimeter_m, 200.0),
        middle_m=np.vstack([problem.middle_m, problem.middle_m[-1] + [away_m, 0.0]]),
        group=np.append(problem.group, -1),
        is_tall=np.append(problem.is_tall, False),
    )


def without_borders(problem: Problem, *, nodes: int) -> Problem:
    """Only the first nodes, and no border."""
    none, empty = np.empty(0, dtype=np.int64), np.empty(0)
    return Problem(
        problem.households[:nodes], problem.area_m2[:nodes], problem.perimeter_m[:nodes], problem.middle_m[:nodes],
        problem.group[:nodes], problem.is_tall[:nodes], none, none, empty, empty, np.empty(0, dtype=bool),
        problem.terms,
    )  # fmt: skip


def river(problem: Problem, column: int) -> Problem:
    """A river without a bridge west of a column."""
    west = problem.middle_m[:, 0] < column * 50.0
    return replace(problem, walkable=problem.walkable & (west[problem.a] == west[problem.b]))


def test_a_tower_over_the_maximum_is_cut_or_allowed() -> None:
    tower = lattice(5, 4, [700] + [45] * 19)
    found = named(tower)
    assert list(found) == ["too_large"]
    assert way(found["too_large"]) == ("cut", {"parts": 2, "cuts": 1})
    whole = named(tower, Known(units=np.ones(20, dtype=np.int64)))
    assert way(whole["too_large"]) == ("allow", {"count": 1, "households": "700"})
    low_tower = lattice(5, 4, [520] + [45] * 19)
    assert way(named(low_tower, Known(keep_whole=True))["too_large"])[0] == "allow"


def test_one_detached_building_is_joined_over_its_distance() -> None:
    found = named(detached(lattice(5, 4, [60] * 20), 60, away_m=180.0))
    assert list(found) == ["island"]
    assert way(found["island"]) == ("join", {"distance_m": 180})


def test_a_community_under_the_minimum_is_merged_with_a_neighbour_that_fits() -> None:
    small = lattice(5, 4, [11] * 20)
    assert way(named(small)["below_minimum"]) == ("merge_any", {"households": 80})
    beside = Known(neighbours={"002": (900.0, 300.0), "003": (320.0, 100.0)})
    assert way(named(small, beside)["below_minimum"]) == ("merge", {"community": "002", "households": 1120})
    alone = Known(neighbours={"003": (320.0, 100.0)})
    assert way(named(small, alone)["below_minimum"]) == ("allow", {"count": 1, "households": "220"})


def test_a_total_that_fits_no_number_of_cells() -> None:
    finding = named(lattice(5, 4, [28] * 20), Known(neighbours={}))["no_count_fits"]
    assert (finding.params["fewer_each"], finding.params["more_each"]) == (560, 280)
    assert way(named(lattice(5, 4, [28] * 20))["no_count_fits"])[0] == "allow"  # whether neighbours are known or not
    # Eight of 28 are 224, twelve 336; nine are 252 and eleven 308.
    assert way(finding) == ("allow", {"count": 1, "households": "252"})
    assert {"relax.allow", "relax.widen"} <= {each["code"] for each in finding.params["relaxations"]}


def test_nobody_lives_there() -> None:
    found = named(lattice(5, 4, [0] * 20))
    assert list(found) == ["no_households"]
    assert way(found["no_households"])[0] == "leave"


def test_towers_that_fit_with_nothing() -> None:
    two = named(lattice(2, 1, [292, 292]))
    assert way(two["fits_nothing"]) == ("allow", {"count": 1, "households": "584"})
    four = named(lattice(2, 2, [260, 270, 280, 290]))
    assert four["fits_nothing"].params["households"] == "260-290"
    assert way(four["fits_nothing"])[0] == "cut"
    uncut = named(lattice(2, 2, [260, 270, 280, 290]), Known(units=np.ones(4, dtype=np.int64)))
    assert way(uncut["fits_nothing"]) == ("allow", {"count": 2, "households": "530-570"})


def test_a_tower_that_only_its_neighbours_keep_from_fitting() -> None:
    # 100 would go with 250, but between them stand 450 and 450.
    row = lattice(4, 1, [100, 450, 450, 250])
    found = named(row, Known(units=np.ones(4, dtype=np.int64)))
    assert found["fits_nothing_near"].params["households"] == "100-250"


def test_ground_behind_a_river_without_a_bridge() -> None:
    found = named(river(lattice(5, 4, [40] * 20), 1))
    assert list(found) == ["cut_off"]
    assert found["cut_off"].params["households"] == 160
    assert way(found["cut_off"]) == ("join", {"distance_m": 50})


def test_what_a_tower_shuts_off_is_named() -> None:
    found = named(lattice(3, 1, [100, 700, 400]))
    assert set(found) == {"too_large", "shut_off"}
    assert found["shut_off"].params["households"] == 100


def test_a_good_problem_has_nothing_to_say() -> None:
    assert named(lattice(5, 4, [60] * 20)) == {}


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.bad_households"):
        lattice(2, 1, [1, np.nan])  # type: ignore[list-item]


@pytest.mark.parametrize("households", [[0], [5], [400], [560], [900], [5000]])
def test_one_node_without_borders_is_told_like_any_other(households: list[int]) -> None:
    named(without_borders(replace(lattice(2, 1, [1, 1]), households=np.array(households * 2, dtype=float)), nodes=1))


def test_nodes_without_any_border_are_told() -> None:
    assert "island" in named(without_borders(lattice(4, 2, [290] * 8), nodes=8))


def reasons(problem: Problem, label: list[int]) -> list[str]:
    assert LIMITS is not None
    study = Study(problem, LIMITS)
    sizes = np.bincount(label, problem.households)
    cells = [np.flatnonzero(np.array(label) == cell) for cell in range(max(label) + 1)]
    return [
        explain_cell(study, members, float(size)).code
        for members, size in zip(cells, sizes, strict=True)
        if not LIMITS.holds(size)
    ]


def test_reasons_of_cells_are_as_precise_as_can_be_proven() -> None:
    assert reasons(lattice(2, 1, [280, 280]), [0, 1]) == ["total", "total"]
    assert reasons(lattice(3, 1, [700, 20, 400]), [0, 0, 1]) == ["one_node"]
    assert reasons(lattice(3, 1, [100, 700, 400]), [0, 1, 2]) == ["shut_off", "one_node"]
    assert reasons(lattice(4, 1, [292, 292, 400, 400]), [0, 0, 1, 2]) == ["fits_nothing"]
    assert reasons(lattice(4, 1, [100, 450, 450, 250]), [0, 1, 2, 3]) == ["fits_nothing_near", "fits_nothing_near"]
    assert reasons(lattice(3, 1, [0, 0, 400]), [0, 0, 1]) == ["none_lives"]
    assert reasons(lattice(4, 1, [100, 200, 200, 100]), [0, 1, 1, 0]) == ["not_proven"]


def test_nothing_is_claimed_where_floors_may_be_cut() -> None:
    assert LIMITS is not None
    row = lattice(3, 1, [100, 700, 400])
    study = Study(replace(row, is_tall=np.array([False, True, False])), LIMITS)
    assert [study.is_stuck(0), study.is_pocket(0), bool(study.is_large[1])] == [None, False, False]
    assert explain_cell(study, np.array([1]), 233.0, is_stacked=True).code == "not_proven"
    alone = Study(replace(lattice(2, 1, [700, 0]), is_tall=np.array([True, False])), LIMITS)
    assert explain_cell(alone, np.array([0]), 233.0, is_stacked=True).code == "whole_floors"


def test_proof_by_count_is_told_as_such() -> None:
    assert LIMITS is not None
    study = Study(lattice(4, 1, [100, 200, 200, 100]), LIMITS)
    few = np.array([0, 3])
    assert explain_cell(study, few, 200.0, out=1, least_out=1).code == "proven"
    assert explain_cell(study, few, 200.0, out=2, least_out=1).code == "not_proven"
    assert explain_cell(study, few, 200.0).is_proven is False


def test_a_large_building_that_leaves_too_little_to_the_others_proves_one_cell_out() -> None:
    assert LIMITS is not None
    # Two cells are needed, and beside 420 there are 243 left.
    study = Study(lattice(3, 2, [61, 420, 61, 61, 0, 60]), LIMITS)
    assert counts_that_fit(663, LIMITS) == range(2, 3)
    assert study.least_out == 1
    assert explain_cell(study, np.array([0, 2, 3, 4, 5]), 243.0, out=1).code == "proven"
    assert Study(lattice(4, 1, [320, 61, 61, 221]), LIMITS).least_out == 0


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 20, 90, 160, 260, 292, 450, 700]), min_size=8, max_size=8), st.integers(0, 3))
def test_what_is_called_proven_is_true(households: list[int], column: int) -> None:
    """Brute force over all partitions: a cell whose node is called stuck is out of band in every one."""
    assert LIMITS is not None
    problem = lattice(4, 2, households)
    if column:
        problem = river(problem, column)
    study = Study(problem, LIMITS)
    terms = terms_for(TIER, {}, LIMITS)
    assert terms.outside > 0
    diagnose(problem, LIMITS, layer="网格", key="001")
    a, b, _ = problem.links
    joined = {v: {*b[a == v].tolist(), *a[b == v].tolist()} for v in range(8)}
    fitting: set[int] = set()
    for bits in range(1, 256):
        members = {v for v in range(8) if bits >> v & 1}
        if LIMITS.holds(sum(households[v] for v in members)) and _hangs_together(members, joined):
            fitting |= members
    for node in range(8):
        if study.is_stuck(node) or study.is_large[node]:
            assert node not in fitting
    if study.least_out and problem.total:
        assert not any(
            all(
                LIMITS.holds(sum(households[v] for v in range(8) if label[v] == cell)) for cell in range(max(label) + 1)
            )
            for label in partitions(8)
        )
    if counts_that_fit(problem.total, LIMITS) and not study.is_large.any():
        assert {v for v in range(8) if households[v] and v not in fitting} == {v for v in range(8) if study.is_stuck(v)}


def _hangs_together(members: set[int], joined: dict[int, set[int]]) -> bool:
    seen, waiting = set(), [min(members)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += joined[node] & members
    return seen == members
