"""Whole divisions of small towns: exact ground, nobody lost, impossible demands named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput
from gis.partition import divide
from gis.partition.quality import statistics
from gis.rule_set import RuleSet, load_preset
from gis.town import Town
from tests.partition.towns import estate, ground, house, town


def divided(place: Town, rules: str | RuleSet = "bishan", **options: Any) -> tuple[Division, Town]:
    cleaned, _ = clean(place)
    return divide(cleaned, load_preset(rules) if isinstance(rules, str) else rules, **options), cleaned


def codes(division: Division) -> set[str]:
    return {finding.code for finding in division.findings}


def assert_sound(division: Division, place: Town) -> None:
    """What holds of every division, whatever was asked."""
    measured = statistics(division, place)
    assert measured["gap_m2"] == 0
    assert measured["overlap_m2"] < 0.001
    assert measured["pieces_not_contiguous"] == 0
    buildings = place["buildings"]
    placed = division.parts.groupby("building")["households"].sum()
    want = buildings.set_index("code")["households"].astype(int)
    assert placed.reindex(want.index).tolist() == want.tolist()
    lowest = division.cells[-1].set_index("code")["households"]
    summed = division.parts.groupby("cell")["households"].sum().reindex(lowest.index).fillna(0)
    assert summed.astype(int).tolist() == lowest.tolist()
    for upper, lower in zip(division.cells, division.cells[1:], strict=False):
        assert lower.groupby("parent")["households"].sum().to_dict() == dict(
            zip(upper["code"], upper["households"], strict=True)
        )
    for cells in division.cells:
        assert cells["code"].is_unique
        assert shapely.is_valid(cells.geometry.to_numpy()).all()


STREETS = [("minor", [(120, -10), (120, 330)]), ("secondary", [(-10, 160), (310, 160)])]


def test_an_estate_is_cut_into_grids_in_band_along_its_streets() -> None:
    division, place = divided(town({"001": ground(5, 8)}, estate(5, 8, 30), STREETS))
    assert_sound(division, place)
    assert division.cells[0]["households"].between(300, 500).all()
    assert division.cells[1]["households"].between(50, 80).mean() >= 0.9
    assert statistics(division, place)["boundary_on_barriers_ratio"] > 0.5


@pytest.mark.parametrize("rules", ["bishan", "donggang", "tongliang"])
def test_every_preset_gives_a_sound_division(rules: str) -> None:
    division, place = divided(town({"001": ground(5, 8)}, estate(5, 8, 45), STREETS), rules)
    assert_sound(division, place)
    assert len(division.cells) == len(load_preset(rules).grid_tiers)


def test_a_tier_of_buildings_has_one_cell_an_inhabited_building() -> None:
    houses = [*estate(5, 4, 40), {"at": house(20, 170), "households": 0}]
    division, place = divided(town({"001": shapely.box(0, 0, 300, 200)}, houses), "tongliang")
    assert_sound(division, place)
    assert len(division.cells[-1]) == 20


def test_a_tower_of_700_is_cut_across_its_ground_and_marked() -> None:
    houses = [*estate(5, 4, 45)[1:], {"at": house(5, 5, length=50, width=20), "households": 700, "floors": 30}]
    division, place = divided(town({"001": ground(5, 4)}, houses))
    assert_sound(division, place)
    assert "partition.building_cut_estimated" in codes(division)
    tower = division.parts[division.parts["building"] == "b019"]
    assert tower["units_estimated"].any()
    assert division.cells[0]["households"].max() <= 500


def test_a_tower_of_700_stays_whole_where_the_rules_keep_buildings_whole() -> None:
    houses = [*estate(5, 4, 45)[1:], {"at": house(5, 5, length=50, width=20), "households": 700, "floors": 30}]
    bishan = load_preset("bishan")
    rules = RuleSet("whole", "整栋", "whole", "test", bishan.tiers, keep_buildings_whole=True)
    division, place = divided(town({"001": ground(5, 4)}, houses), rules)
    assert_sound(division, place)
    assert {"partition.building_kept_whole", "partition.out_of_band.one_node"} <= codes(division)


def test_a_high_tower_becomes_a_stack_over_shared_ground() -> None:
    houses = [
        {"at": house(20 + 100 * i, 20, length=24, width=24), "households": 132, "floors": 33, "units": 1}
        for i in range(3)
    ]
    division, place = divided(town({"001": shapely.box(0, 0, 300, 80)}, houses))
    assert_sound(division, place)
    low = division.cells[-1]
    assert low["floor_from"].notna().any()
    assert low["households"].between(50, 80).all()


def test_a_community_of_220_is_one_grid_and_says_so() -> None:
    division, place = divided(town({"001": ground(2, 2)}, estate(2, 2, 55)))
    assert_sound(division, place)
    assert division.cells[0]["households"].tolist() == [220]
    assert {"partition.below_minimum", "partition.out_of_band.total"} <= codes(division)


def test_a_community_of_560_fits_no_number_of_grids_and_says_so() -> None:
    division, place = divided(town({"001": ground(4, 4)}, estate(4, 4, 35)))
    assert_sound(division, place)
    assert "partition.no_count_fits" in codes(division)
    finding = next(f for f in division.findings if f.code == "partition.no_count_fits")
    assert (finding.params["fewer"], finding.params["fewer_each"], finding.params["more_each"]) == (1, 560, 280)


def test_a_tower_that_fits_with_nothing_is_named() -> None:
    houses = [{"at": house(20 + 60 * i, 20), "households": 292, "floors": 30} for i in range(4)]
    division, place = divided(town({"001": shapely.box(0, 0, 280, 60)}, houses))
    assert_sound(division, place)
    assert "partition.fits_nothing" in codes(division)


def test_nobody_lives_there() -> None:
    division, place = divided(town({"001": ground(2, 2)}, estate(2, 2, 0)))
    assert_sound(division, place)
    assert "partition.no_households" in codes(division)
    assert len(division.cells[0]) == 1


def test_a_community_without_buildings_is_one_cell() -> None:
    place = town({"001": ground(5, 4), "002": ground(2, 4, x=300)}, estate(5, 4, 40))
    division, place = divided(place)
    assert_sound(division, place)
    assert (division.cells[0]["community"] == "002").sum() == 1


def test_an_island_is_joined_to_the_nearest_grid_and_named() -> None:
    outline = shapely.union_all([ground(5, 4), ground(1, 1, x=500)])
    division, place = divided(town({"001": outline}, [*estate(5, 4, 40), *estate(1, 1, 60, x=500)]))
    assert_sound(division, place)
    assert "partition.island" in codes(division)


def test_ground_behind_a_river_without_a_bridge_is_named() -> None:
    river = [("river", [(241, -10), (241, 170)])]
    division, place = divided(town({"001": ground(5, 4)}, estate(5, 4, 40), river))
    assert_sound(division, place)
    assert "partition.cut_off" in codes(division)


def test_a_ring_is_tiled_around_its_hole() -> None:
    ring = shapely.difference(ground(7, 7), shapely.box(125, 85, 295, 195))
    houses = [h for h in estate(7, 7, 35) if shapely.covers(ring, h["at"])]
    division, place = divided(town({"001": ring}, houses))
    assert_sound(division, place)


def test_two_buildings_on_the_same_ground_are_both_placed() -> None:
    houses = [*estate(5, 4, 30), {"at": house(10, 14), "households": 12}]
    division, place = divided(town({"001": ground(5, 4)}, houses))
    assert_sound(division, place)


def test_same_seed_same_division() -> None:
    place = town({"001": ground(5, 6)}, estate(5, 6, 33), STREETS)
    (first, _), (second, _) = divided(place, seed=5), divided(place, seed=5)
    for one, other in zip(first.cells, second.cells, strict=True):
        assert one["code"].tolist() == other["code"].tolist()
        assert one["households"].tolist() == other["households"].tolist()
        assert shapely.equals_exact(one.geometry.to_numpy(), other.geometry.to_numpy()).all()
    assert first.parts.equals(second.parts)


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    place = town({"001": ground(5, 4), "002": ground(5, 4, x=300)}, [*estate(5, 4, 33), *estate(5, 4, 29, x=300)])
    (one, _), (two, _) = divided(place, processes=1), divided(place, processes=2)
    assert one.parts.equals(two.parts)
    assert one.cells[1]["households"].tolist() == two.cells[1]["households"].tolist()


def test_only_the_communities_asked_for_are_divided() -> None:
    place = town({"001": ground(5, 4), "002": ground(5, 4, x=300)}, [*estate(5, 4, 33), *estate(5, 4, 29, x=300)])
    division, _ = divided(place, communities=["002"])
    assert set(division.cells[0]["community"]) == {"002"}
    with pytest.raises(InvalidInput, match=r"partition\.unknown_community"):
        divided(place, communities=["009"])


def test_a_town_without_communities_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.no_communities"):
        divide(Town(), load_preset("bishan"))


def test_progress_is_told_and_cancelling_stops() -> None:
    place, _ = clean(town({"001": ground(2, 2), "002": ground(2, 2, x=300)}, estate(2, 2, 50)))
    told: list[tuple[int, int, str]] = []
    divide(place, load_preset("bishan"), progress=lambda *step: told.append(step))
    assert told == [(1, 2, "001"), (2, 2, "002")]
    with pytest.raises(InvalidInput, match=r"partition\.cancelled"):
        divide(place, load_preset("bishan"), cancelled=lambda: True)


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_random_towns_are_tiled_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    houses = []
    for h in estate(6, 5, 0):
        if rng.random() < 0.8:
            turned = shapely.affinity.rotate(h["at"], float(rng.uniform(-30, 30)))
            houses.append({**h, "at": turned, "households": int(rng.choice([0, 8, 30, 90, 240, 600])),
                           "units": int(rng.integers(1, 5)), "floors": int(rng.integers(1, 34))})  # fmt: skip
    streets = [
        (str(kind), [tuple(rng.uniform(-20, 380, 2)), tuple(rng.uniform(-20, 380, 2))])
        for kind in rng.choice(["minor", "arterial", "river", "wall"], 5)
    ]
    division, place = divided(town({"001": ground(6, 5)}, houses, streets))
    assert_sound(division, place)
