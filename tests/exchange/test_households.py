"""Households where nobody counted them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis import crs, households
from gis.errors import InvalidInput, NotFound
from gis.town import Town
from tests.exchange.builders import buildings, codes, frame, square

RULE = households.load_rule()


def estimated(**columns: object) -> dict[str, object]:
    """One building with some columns replaced, after the estimate."""
    made, _ = households.estimate(Town({"buildings": buildings(1, **{"households": None, **columns})}))
    row: dict[str, object] = made["buildings"].iloc[0].to_dict()
    return row


def test_households_follow_the_formula_of_the_rule() -> None:
    area_m2 = crs.to_metric(buildings(1)).area.iloc[0]
    of_use = RULE.uses["residential"]
    expected = round(area_m2 * 6 * of_use.dwelling_ratio * of_use.efficiency_ratio / of_use.m2_per_dwelling)
    assert estimated()["households"] == expected
    assert estimated()["households_estimated"] is True


def test_counted_households_stay_and_are_not_marked() -> None:
    made, findings = households.estimate(Town({"buildings": buildings(2)}))
    assert made["buildings"]["households"].tolist() == [24, 24]
    assert made["buildings"]["households_estimated"].tolist() == [False, False]
    assert not findings


def test_an_estimate_that_came_with_the_file_stays_marked() -> None:
    made, _ = households.estimate(Town({"buildings": buildings(1, households_estimated=True)}))
    assert made["buildings"]["households_estimated"].tolist() == [True]


def test_floors_come_from_the_height() -> None:
    assert estimated(floors=None, height_m=18.4)["floors"] == 6
    assert estimated(floors=None, height_m=18.4)["households"] == estimated(floors=6)["households"]


def test_floors_come_from_the_neighbours_of_the_same_use_where_nothing_is_known() -> None:
    known = [{"code": f"K{at}", "use": "residential", "floors": 11, "geometry": square(at, 1)} for at in range(10)]
    rows = [*known, {"code": "X", "use": "residential", "geometry": square(0, 0)}]
    made, _ = households.estimate(Town({"buildings": frame("buildings", rows)}))
    found = made["buildings"].set_index("code")
    assert found.at["X", "households"] == pytest.approx(found.at["K0", "households"], abs=1)
    assert found["floors"].isna()["X"]  # a guess for counting, not a fact to store


def test_schools_and_offices_have_none() -> None:
    assert estimated(use="school")["households"] == 0
    assert estimated(use="office")["households"] == 0
    assert 0 < estimated(use="mixed")["households"] < estimated()["households"]  # type: ignore[operator]


def test_a_shed_of_unknown_use_has_none_and_a_house_has_some() -> None:
    small = frame("buildings", [{"code": "S", "floors": 1, "geometry": square(0, 0, 0.05)}])
    made, _ = households.estimate(Town({"buildings": small}))
    assert made["buildings"]["households"].tolist() == [0]
    assert estimated(use=None)["households"] == estimated()["households"]


def test_what_was_estimated_is_told_once() -> None:
    _, findings = households.estimate(Town({"buildings": buildings(4, households=None)}))
    assert codes(findings) == {"households.estimated": 1}
    assert findings[0].params["buildings"] == 4


def test_the_rule_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = households.PRESET.read_text(encoding="utf-8")
    path.write_text(text.replace("m2_per_dwelling = 74.0", "m2_per_dwelling = 37.0"), encoding="utf-8")
    own = households.load_rule(path)
    made, _ = households.estimate(Town({"buildings": buildings(1, households=None)}), own)
    assert made["buildings"]["households"].iloc[0] == pytest.approx(2 * estimated()["households"], abs=1)  # type: ignore[operator]


def test_a_broken_rule_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        households.load_rule(tmp_path / "none.toml")
    for text in (
        "uses = ",
        "floors_default = 6",
        "[uses.residential]\ndwelling_ratio = 2\nefficiency_ratio = 1\nm2_per_dwelling = 1",
    ):
        (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput):
            households.load_rule(tmp_path / "bad.toml")
