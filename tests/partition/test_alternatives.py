"""Alternatives: plans that really differ, each sound, scored by the same weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely

from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput
from gis.exchange import plan_file, town_file
from gis.partition import divide
from gis.partition.alternatives import EMPHASES, LEAST_DIFFERENCE, Alternatives, difference, divide_alternatives
from gis.partition.quality import statistics
from gis.rule_set import RuleSet, load_preset
from gis.town import Town
from scripts.cli import run
from tests.partition.towns import estate, ground, house, town


@cache
def place() -> Town:
    outlines = {"001": ground(5, 8), "002": ground(3, 3, x=400)}
    return clean(town(outlines, [*estate(5, 8, 30), *estate(3, 3, 40, x=400)], [("minor", [(120, -10), (120, 330)])]))[
        0
    ]


@cache
def made() -> Alternatives:
    return divide_alternatives(place(), load_preset("bishan"), count=3, processes=1)


def test_each_two_differ_and_each_is_sound() -> None:
    plans = made().plans
    apart = made().difference
    assert apart.shape == (3, 3)
    assert (apart[np.triu_indices(3, 1)] >= LEAST_DIFFERENCE * 0.7).all()  # the smaller community can be one grid only
    assert np.allclose(apart, apart.T)
    for plan in plans:
        measured = statistics(plan.division, place())
        assert (measured["gap_m2"], measured["pieces_not_contiguous"]) == (0, 0)
        assert plan.division.cells[0]["households"].between(300, 500).all()
        assert plan.division.parts["households"].sum() == place()["buildings"]["households"].sum()


def test_the_first_is_the_plan_of_the_rule_set_and_all_are_scored_by_it() -> None:
    alone = divide(place(), load_preset("bishan"), processes=1)
    assert made().plans[0].division.parts.equals(alone.parts)
    assert made().plans[0].cost == pytest.approx(sum(alone.recipe["cost"]["网格"].values()))
    assert all(plan.cost >= 0.98 * made().plans[0].cost for plan in made().plans)


def test_where_only_one_grid_is_possible_it_says_so() -> None:
    for plan in made().plans[1:]:
        assert ("partition.one_way_only", "002") in {(f.code, f.key) for f in plan.division.findings}


def test_where_nothing_else_is_as_good_it_says_so() -> None:
    houses = [{"at": house(20 + 60 * i, 20), "households": 250, "floors": 6} for i in range(4)]  # two and two, or out
    narrow, _ = clean(town({"001": shapely.box(0, 0, 270, 60)}, houses))
    rules = RuleSet("whole", "整栋", "whole", "test", load_preset("bishan").tiers, keep_buildings_whole=True)
    told = divide_alternatives(narrow, rules, count=3, processes=1).plans[2].division.findings
    [finding] = [finding for finding in told if finding.code == "partition.alike"]
    assert finding.params["asked"] == "5%"


def test_the_same_again_with_the_same_seed() -> None:
    again = divide_alternatives(place(), load_preset("bishan"), count=3, processes=1)
    for one, other in zip(again.plans, made().plans, strict=True):
        assert one.division.parts.equals(other.division.parts)


def test_difference_counts_households_not_names() -> None:
    plan = made().plans[0].division
    renamed = Division(
        plan.rules,
        tuple(f.assign(code="x" + f["code"], parent="x" + f["parent"].astype("string")) for f in plan.cells),
        plan.parts.assign(cell="x" + plan.parts["cell"]),
    )
    assert difference(plan, renamed) == 0
    assert difference(plan, made().plans[1].division) == difference(made().plans[1].division, plan)


def test_too_many_or_too_few_are_refused() -> None:
    for count in (1, 10):
        with pytest.raises(InvalidInput, match=r"partition\.bad_count"):
            divide_alternatives(place(), load_preset("bishan"), count=count)


def test_emphases_are_named_in_both_languages_and_once() -> None:
    assert len({one.code for one in EMPHASES}) == len(EMPHASES)
    assert all(one.name_zh and one.name_en for one in EMPHASES)


def test_the_command_writes_a_plan_each_and_the_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    town_file.write(place(), tmp_path / "town.gpkg")
    words = ["partition", str(tmp_path / "town.gpkg"), "--out", str(tmp_path / "plan.gpkg"), "--alternatives", "2"]
    assert run(words) == 0
    assert "2" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert [len(row) for row in table["difference"]] == [2, 2]
    assert {"cost", "terms", "principles", "statistics", "emphasis", "path"} <= set(table["plans"][0])
    for number in (1, 2):
        assert len(plan_file.read(tmp_path / f"plan-{number}.gpkg").cells[0]) >= 3
