"""The principles as sub-scores, on small divisions drawn by hand."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gis.division import Division
from gis.partition.principles import COMPONENTS, PRINCIPLES, lowest, principles, table
from gis.rule_set import load_preset
from gis.town import WGS84, Town
from tests.partition.towns import ZONE, estate, frame, ground, house, town, wgs84

STREET = [("arterial", [(120.0, -10.0), (120.0, 90.0)])]


def drawn(place: Town, shapes: list[shapely.Geometry], owner: list[int], *, rows: list[dict[str, Any]] | None = None
          ) -> Division:  # fmt: skip
    """A division of community 001 whose grids are given, each also one micro-grid; `owner` is a grid a building."""
    buildings = place["buildings"]
    parts = pd.DataFrame(
        rows
        or [
            {"building": code, "households": int(households), "cell": f"00100{cell + 1}01"}
            for code, households, cell in zip(buildings["code"], buildings["households"], owner, strict=True)
        ]
    )
    for name in ("unit_from", "unit_to", "floor_from", "floor_to"):
        parts[name] = parts.get(name, pd.Series([None] * len(parts))).astype("Int64")
    parts["units_estimated"] = False
    grid = parts["cell"].str[:6]
    count = len(shapes)
    codes = [f"00100{i + 1}" for i in range(count)]
    size = [int(parts.loc[grid == code, "households"].sum()) for code in codes]

    def tier(names: list[str], parents: list[str | None]) -> gpd.GeoDataFrame:
        area = [shape.area for shape in shapes]
        data = pd.DataFrame({"code": names, "community": "001", "parent": parents, "households": size, "area_m2": area})
        data = data.assign(floor_from=pd.NA, floor_to=pd.NA)
        return gpd.GeoDataFrame(data, geometry=gpd.GeoSeries(wgs84(shapes), crs=WGS84))

    cells = (tier(codes, [None] * count), tier([f"{code}01" for code in codes], list(codes)))
    return Division(load_preset("bishan"), cells, parts, recipe={"zone": ZONE})


HALVES = [ground(2, 2), ground(2, 2, x=120)]


def test_two_good_halves_along_a_street() -> None:
    place = town({"001": ground(4, 2)}, estate(4, 2, 100), STREET)
    scored = principles(drawn(place, HALVES, [0, 0, 1, 1, 0, 0, 1, 1]), place)
    assert scored["tier"] == 1
    plan = scored["plan"]
    assert plan["clear_borders"] == pytest.approx(100, abs=0.1)
    assert plan["suitable_load"] == 100
    assert plan["clear_responsibility"] == 100
    assert plan["convenient_service"] == plan["adjacent"] == plan["right_size"] == 100
    assert plan["similar"] is None  # the town does not say what the houses are
    assert scored["plan_components"]["same_housing"]["known_ratio"] == 0
    assert [cell["code"] for cell in scored["cells"]] == ["001001", "001002"]
    cell = scored["cells"][0]["components"]
    # Slab houses 60 m apart in two rows 40 m apart; the best is any, the farthest lies across.
    assert cell["reach"] == pytest.approx(np.hypot(60, 40) * 1.3, rel=1e-2)
    assert cell["compactness"] == pytest.approx(4 * np.pi * 9600 / 400**2, rel=1e-3)


def test_a_grid_in_two_pieces_scores_nothing_for_adjacency() -> None:
    place = town({"001": ground(4, 2)}, estate(4, 2, 100), STREET)
    torn = shapely.union_all([ground(1, 2), ground(1, 2, x=180)])
    scored = principles(drawn(place, [torn, ground(2, 2, x=60)], [0, 1, 1, 0, 0, 1, 1, 0]), place)
    assert scored["cells"][0]["scores"]["adjacent"] == 0
    assert scored["cells"][1]["scores"]["adjacent"] == 100
    assert scored["plan"]["adjacent"] == 50
    assert scored["plan_components"]["on_barriers"]["value"] == pytest.approx(0, abs=0.01)
    assert lowest(scored, "adjacent", 1)[0]["code"] == "001001"


def test_load_and_size_fall_with_the_distance_from_the_band() -> None:
    place = town({"001": ground(4, 2)}, estate(4, 2, 80))
    few = principles(drawn(place, HALVES, [0, 0, 1, 1, 0, 1, 1, 1]), place)
    under, over = few["cells"]
    assert (under["components"]["band"], over["components"]["band"]) == (60, 0)
    assert under["scores"]["right_size"] == pytest.approx(40)
    assert under["scores"]["suitable_load"] == pytest.approx(75 * (1 - 0.6))
    assert over["scores"]["suitable_load"] == pytest.approx(100)
    assert few["cells"][0]["scores"]["clear_borders"] is not None
    assert few["plan_components"]["on_barriers"]["known_ratio"] == 0  # no barriers: not known, not nothing


def test_make_up_is_weighed_by_households_and_leaves_the_unknown_out() -> None:
    houses = estate(4, 2, 100)
    for number, item in enumerate(houses):
        item["use"] = "mixed" if number == 0 else "residential"
        item["compound"] = "c1" if number < 4 else "c2"
    compounds = {"c1": ground(4, 1), "c2": ground(4, 1, y=40)}
    place = town({"001": ground(4, 2)}, houses, compounds=compounds)
    named = frame(
        "compounds", list(compounds.values()), {"code": list(compounds), "housing_class": ["public", "unknown"]}
    )
    place = place.with_layers(compounds=named)
    scored = principles(drawn(place, HALVES, [0, 0, 1, 1, 0, 0, 1, 1]), place)
    first, second = (cell["components"] for cell in scored["cells"])
    assert first["same_use"] == pytest.approx(0.75**2 + 0.25**2)
    assert second["same_use"] == 1
    assert first["same_housing"] == 1
    assert first["compounds_whole"] == 0  # both compounds lie in both halves


def test_a_shared_staircase_and_a_lost_household_are_seen() -> None:
    houses = [{"at": house(10, 14), "households": 400, "units": 4}, {"at": house(130, 14), "households": 400}]
    place = town({"001": ground(4, 2)}, houses)
    rows = [
        {"building": "b000", "unit_from": 1, "unit_to": 3, "households": 300, "cell": "00100101"},
        {"building": "b000", "unit_from": 3, "unit_to": 4, "households": 100, "cell": "00100201"},
        {"building": "b001", "unit_from": None, "unit_to": None, "households": 399, "cell": "00100201"},
    ]
    scored = principles(drawn(place, HALVES, [], rows=rows), place)
    first, second = (cell["components"] for cell in scored["cells"])
    assert first["stairs_whole"] == first["one_owner"] == first["buildings_whole"] == 0
    assert second["one_owner"] == 0
    assert second["stairs_whole"] == pytest.approx(399 / 499, abs=1e-4)


def test_a_cell_in_the_hole_of_another_is_an_enclave() -> None:
    hole = shapely.box(60, 20, 120, 60)
    place = town({"001": ground(4, 2)}, estate(4, 2, 100))
    scored = principles(drawn(place, [shapely.difference(ground(4, 2), hole), hole], [0, 1, 0, 0, 0, 1, 0, 0]), place)
    assert [cell["components"]["enclave"] for cell in scored["cells"]] == [0, 1]


def test_an_empty_town_leaves_unknown_what_it_does_not_say() -> None:
    place = town({"001": ground(4, 2)}, estate(4, 2, 100))
    scored = principles(drawn(place, HALVES, [0, 0, 1, 1, 0, 0, 1, 1]), Town())
    assert scored["plan"]["convenient_service"] is None
    assert scored["plan"]["similar"] is None
    assert scored["plan"]["adjacent"] == 100


def test_the_table_names_every_component_in_both_languages() -> None:
    told = {part["code"] for principle in table() for part in principle["components"]}
    assert told == set(COMPONENTS)
    for principle in PRINCIPLES:
        assert sum(principle.components.values()) == pytest.approx(1)
        assert principle.name_zh in principle.source
    assert all(part.formula and part.unit and part.score for part in COMPONENTS.values())
