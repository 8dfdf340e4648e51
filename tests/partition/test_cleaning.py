"""Cleaning: every repair and refusal names its row; a clean town stays as it is."""

from __future__ import annotations

import shapely

from gis import crs
from gis.cleaning import clean
from gis.findings import Finding, Severity
from gis.town import Town
from tests.partition.towns import ZONE, estate, ground, house, town


def found(findings: tuple[Finding, ...], code: str) -> list[Finding]:
    return [finding for finding in findings if finding.code == code]


def area_m2(place: Town, layer: str) -> float:
    return float(crs.to_metric(place.geo(layer), ZONE).area.sum())


def test_a_clean_town_comes_out_as_it_went_in() -> None:
    once, _ = clean(town({"001": ground(3, 3), "002": ground(3, 3, x=180)}, estate(6, 3, 20)))
    twice, findings = clean(once)
    assert findings == ()
    for layer in once:
        assert twice[layer].equals(once[layer])


def test_a_self_crossing_footprint_is_repaired() -> None:
    bow = shapely.Polygon([(10, 10), (40, 40), (40, 10), (10, 40)])
    place, findings = clean(town({"001": ground(3, 3)}, [{"at": bow, "households": 9}]))
    [finding] = found(findings, "cleaning.invalid_geometry")
    assert (finding.row, finding.key, finding.severity) == (1, "b000", Severity.REPAIRED)
    assert place.geo("buildings").geometry.is_valid.all()


def test_overlapping_footprints_are_taken_apart() -> None:
    houses = [{"at": house(10, 10), "households": 9}, {"at": house(45, 12), "households": 8}]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert len(found(findings, "cleaning.footprints_overlap")) == 1
    first, second = crs.to_metric(place.geo("buildings"), ZONE).geometry
    assert shapely.area(shapely.intersection(first, second)) < 0.01


def test_the_same_footprint_twice_is_left_out_where_nobody_lives() -> None:
    houses = [{"at": house(10, 10), "households": 9}, {"at": house(10, 10), "households": 0}]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert found(findings, "cleaning.same_outline")[0].key == "b001"
    assert place["buildings"]["code"].tolist() == ["b000"]


def test_two_households_on_one_ground_are_both_kept() -> None:
    houses = [{"at": house(10, 10), "households": 9}, {"at": house(10, 10), "households": 4}]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert found(findings, "cleaning.same_ground")[0].severity == Severity.NOTE
    assert len(place["buildings"]) == 2


def test_a_repeated_code_keeps_its_first_row() -> None:
    houses = [{"at": house(10, 10), "households": 9, "code": "a"}, {"at": house(80, 10), "households": 4, "code": "a"}]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert found(findings, "cleaning.duplicate_code")[0].row == 2
    assert place["buildings"]["households"].tolist() == [9]


def test_a_building_outside_every_community_is_left_out() -> None:
    place, findings = clean(town({"001": ground(3, 3)}, [*estate(1, 1, 5), {"at": house(900, 10), "households": 4}]))
    assert found(findings, "cleaning.outside")[0].key == "b001"
    assert place["buildings"]["community"].tolist() == ["001"]


def test_a_building_across_communities_belongs_to_where_most_of_it_is() -> None:
    place, findings = clean(
        town({"001": ground(3, 3), "002": ground(3, 3, x=180)}, [{"at": house(170, 10), "households": 4}])
    )
    assert place["buildings"]["community"].tolist() == ["002"]
    assert found(findings, "cleaning.across_communities")[0].params["other"] == "001"


def test_a_wrong_community_is_corrected() -> None:
    houses = [{"at": house(10, 10), "households": 4, "community": "002"}]
    place, findings = clean(town({"001": ground(3, 3), "002": ground(3, 3, x=180)}, houses))
    assert place["buildings"]["community"].tolist() == ["001"]
    assert found(findings, "cleaning.other_community")[0].params == {"given": "002", "found": "001"}


def test_impossible_numbers_are_corrected_row_by_row() -> None:
    houses = [
        {"at": house(10, 10), "households": -4, "floors": 3},
        {"at": house(70, 10), "households": None, "floors": 0},
        {"at": house(130, 10), "households": 5, "floors": 900, "units": -1},
    ]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert place["buildings"]["households"].tolist() == [0, 0, 5]
    assert place["buildings"]["floors"].isna().tolist() == [False, True, True]
    codes = [finding.code for finding in findings]
    assert sorted(codes) == [
        "cleaning.bad_floors", "cleaning.bad_floors", "cleaning.bad_units",
        "cleaning.missing_households", "cleaning.negative_households",
    ]  # fmt: skip


def test_overlapping_communities_share_a_border_afterwards() -> None:
    place, findings = clean(town({"001": ground(3, 3), "002": ground(3, 3, x=170)}, estate(2, 2, 9)))
    assert found(findings, "cleaning.communities_overlap")
    metric = crs.to_metric(place.geo("communities"), ZONE).geometry.to_numpy()
    assert shapely.coverage_is_valid(metric)
    assert abs(area_m2(place, "communities") - 350 * 120) < 5


def test_a_sliver_between_communities_is_closed() -> None:
    around = shapely.difference(shapely.box(-100, -100, 300, 300), shapely.box(0, 0, 100, 100))
    place, findings = clean(town({"001": around, "002": shapely.box(0, 0, 100, 99.5)}, estate(1, 1, 9)))
    assert found(findings, "cleaning.gap_closed")
    assert abs(area_m2(place, "communities") - 400 * 400) < 5


def test_a_wide_gap_between_communities_is_left_open() -> None:
    around = shapely.difference(shapely.box(-100, -100, 300, 300), shapely.box(0, 0, 100, 100))
    place, findings = clean(town({"001": around, "002": shapely.box(0, 0, 100, 60)}, estate(1, 1, 9)))
    assert not found(findings, "cleaning.gap_closed")
    assert abs(area_m2(place, "communities") - (400 * 400 - 40 * 100)) < 5


def test_a_community_inside_another_twice_is_left_out() -> None:
    place, findings = clean(town({"001": ground(3, 3), "002": ground(3, 3)}, estate(1, 1, 9)))
    assert len(place["communities"]) == 1
    assert found(findings, "cleaning.community_swallowed")


def test_a_community_without_buildings_is_noted() -> None:
    _, findings = clean(town({"001": ground(3, 3), "002": ground(3, 3, x=180)}, estate(2, 2, 9)))
    assert found(findings, "cleaning.no_buildings")[0].key == "002"


def test_buildings_find_their_compound() -> None:
    place, findings = clean(town({"001": ground(3, 3)}, estate(3, 3, 9), compounds={"k1": ground(2, 3)}))
    assert place["buildings"]["compound"].notna().sum() == 6
    assert not findings
    assert place["compounds"]["community"].tolist() == ["001"]


def test_a_row_without_geometry_or_code_is_left_out() -> None:
    houses = [
        {"at": None, "households": 3, "code": "a"},
        {"at": house(10, 10), "households": 3, "code": None},
        {"at": house(80, 10), "households": 3, "code": "c"},
    ]
    place, findings = clean(town({"001": ground(3, 3)}, houses))
    assert [(f.code, f.row) for f in findings] == [("cleaning.no_code", 2), ("cleaning.no_geometry", 1)]
    assert place["buildings"]["code"].tolist() == ["c"]
