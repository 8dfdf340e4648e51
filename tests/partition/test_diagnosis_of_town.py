"""Diagnosis of a town without its ground, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapely

from gis.cleaning import clean
from gis.errors import InvalidInput
from gis.exchange import town_file
from gis.findings import Finding
from gis.partition.diagnosis_of_town import diagnose_town
from gis.rule_set import RuleSet, load_preset
from gis.town import Town
from scripts.cli import run
from tests.partition.towns import estate, ground, house, town

BISHAN = load_preset("bishan")
RIVER = ("river", [(-20.0, 40.0), (320.0, 40.0)])


def diagnosed(place: Town, rules: RuleSet = BISHAN) -> dict[str, Finding]:
    found = diagnose_town(clean(place)[0], rules)
    return {f"{finding.key} {finding.code.removeprefix('partition.')}": finding for finding in found}


def way(finding: Finding) -> str:
    return str(finding.params["remedy"]["code"]).removeprefix("relax.")


def test_communities_are_told_by_their_totals() -> None:
    place = town(
        {"001": ground(5, 4), "002": ground(5, 4, x=300), "003": ground(5, 4, x=600), "004": ground(5, 4, x=900)},
        [*estate(5, 4, 11), *estate(5, 4, 40, x=300), *estate(5, 4, 28, x=600)],
    )
    found = diagnosed(place)
    assert set(found) == {"001 below_minimum", "003 no_count_fits", "004 no_households"}
    merge = found["001 below_minimum"].params["remedy"]
    assert (merge["code"], merge["params"]) == ("relax.merge", {"community": "002", "households": 1020})
    assert way(found["003 no_count_fits"]) == "allow"
    assert way(found["004 no_households"]) == "leave"


def test_a_tower_is_cut_by_its_staircases_unless_the_rules_keep_it_whole() -> None:
    houses = [{"at": house(10, 14), "households": 700, "floors": 30, "units": 4}, *estate(5, 4, 45)[1:]]
    place = town({"001": ground(5, 4)}, houses)
    cut = diagnosed(place)
    assert set(cut) == {"001 too_large"}
    assert cut["001 too_large"].params["remedy"] == {
        "code": "relax.cut",
        "params": {"parts": 2, "cuts": 1},
        "cost": 400.0,
    }
    whole = diagnosed(place, replace(BISHAN, keep_buildings_whole=True))
    assert set(whole) == {"001 too_large"}
    assert whole["001 too_large"].params["building"] == "b000"
    assert whole["001 too_large"].params["remedy"]["cost"] == 2400.0  # the rule counts too


def test_a_detached_building_is_an_island() -> None:
    outline = shapely.union_all([ground(5, 4), ground(1, 1, x=500)])
    found = diagnosed(town({"001": outline}, [*estate(5, 4, 60), *estate(1, 1, 60, x=500)]))
    assert set(found) == {"001 island"}
    assert found["001 island"].params["remedy"]["params"]["distance_m"] > 200


def test_a_river_parts_only_where_no_street_crosses_it() -> None:
    place = town({"001": ground(5, 4)}, estate(5, 4, 40), [RIVER])
    assert set(diagnosed(place)) == {"001 cut_off"}
    bridged = town({"001": ground(5, 4)}, estate(5, 4, 40), [RIVER, ("minor", [(150.0, -10.0), (150.0, 170.0)])])
    assert diagnosed(bridged) == {}


def test_towers_that_fit_with_nothing_are_told_once() -> None:
    houses = [{"at": house(60 * i + 10, 14), "households": 260 + 10 * i, "floors": 30} for i in range(4)]
    found = diagnosed(town({"001": ground(4, 1)}, houses))
    assert set(found) == {"001 fits_nothing"}
    assert found["001 fits_nothing"].params["count"] == 4


def test_strange_towns_are_diagnosed_without_an_exception() -> None:
    ring = shapely.difference(ground(7, 7), shapely.box(125, 85, 295, 195))
    houses = [h for h in estate(7, 7, 35) if shapely.covers(ring, h["at"])]
    assert diagnosed(town({"001": ring}, houses)) == {}
    assert set(diagnosed(town({"001": ground(1, 1)}, []))) == {"001 no_households"}
    assert set(diagnosed(town({"001": ground(1, 1)}, estate(1, 1, 5)))) == {"001 below_minimum"}


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.no_communities"):
        diagnose_town(Town(), BISHAN)
    with pytest.raises(InvalidInput, match=r"partition\.unknown_community"):
        diagnose_town(town({"001": ground(1, 1)}, []), BISHAN, communities=["9"])


def test_the_command_prints_reasons_and_ways_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "town.gpkg"
    town_file.write(clean(town({"001": ground(5, 4)}, estate(5, 4, 11)))[0], path)
    assert run(["--language", "en", "diagnose", str(path), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["finding_counts"] == {"partition.below_minimum": 1}
    assert "Cheapest way: allow" in report["findings"][0]["text"]
    assert run(["--language", "zh", "diagnose", str(path)]) == 0
    assert "最省的办法" in capsys.readouterr().out
