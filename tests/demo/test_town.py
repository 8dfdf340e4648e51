"""The demo town has exactly the totals that it promises, and nothing stands where it cannot."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gis import crs
from gis.cleaning import clean
from gis.demo import make_town
from gis.town import LAYERS, Town

METRIC = 4550


def metric(town: Town, layer: str) -> gpd.GeoDataFrame:
    return crs.to_metric(town.geo(layer), METRIC)


def test_totals_are_exact_whatever_the_seed(town: Town) -> None:
    lived = town["buildings"][town["buildings"]["households"] > 0]
    assert (town["areas"]["level"] == "street").sum() == 3
    assert len(town["communities"]) == 18
    assert len(town["compounds"]) == 168
    assert len(lived) == 1800
    assert lived["households"].sum() == 96_817
    assert metric(town, "communities").area.sum() == pytest.approx(27e6, rel=0.005)


def test_all_layers_but_people_are_there_with_their_columns(town: Town) -> None:
    for name, layer in LAYERS.items():
        if name not in ("staff", "assignments"):
            assert len(town[name]), name
            assert list(layer.columns) == [column for column in town[name].columns if column != "geometry"]


def test_communities_tile_the_town_without_gap_or_overlap(town: Town) -> None:
    shapes = np.asarray(town.geo("communities").geometry, dtype=object)
    assert shapely.coverage_is_valid(shapes)
    assert {shape.geom_type for shape in shapes} == {"Polygon"}
    county = town.geo("areas").set_index("level").loc["county"].geometry
    assert shapely.area(shapely.symmetric_difference(shapely.union_all(shapes), county)) == pytest.approx(0, abs=1e-12)


def test_codes_follow_the_twelve_digit_rule(town: Town) -> None:
    county = town["areas"].loc[town["areas"]["level"] == "county", "code"].iloc[0]
    streets = set(town["areas"].loc[town["areas"]["level"] == "street", "code"])
    assert len(county) == 6
    assert all(len(code) == 9 and code.startswith(county) for code in streets)
    for code, parent in zip(town["communities"]["code"], town["communities"]["parent"], strict=True):
        assert len(code) == 12
        assert code[:9] == parent
        assert parent in streets
    for layer in ("compounds", "buildings"):
        assert town[layer]["code"].is_unique
        assert (town[layer]["code"].str[:12] == town[layer]["community"]).all()
    assert town["buildings"]["code"].str.fullmatch(r"\d{12}B\d{5}").all()


def test_every_community_and_compound_is_lived_in(town: Town) -> None:
    lived = town["buildings"][town["buildings"]["households"] > 0]
    assert set(lived["community"]) == set(town["communities"]["code"])
    assert set(lived["compound"]) == set(town["compounds"]["code"])
    assert lived.groupby("community")["households"].sum().min() >= 1000


def test_compounds_are_small_middling_and_large(town: Town) -> None:
    sizes = town["buildings"].groupby("compound")["households"].sum()
    assert (sizes < 300).sum() >= 15
    assert ((sizes >= 300) & (sizes <= 500)).sum() >= 10
    assert (sizes > 1000).sum() >= 10


def test_buildings_stand_apart_in_their_compound_and_community(town: Town) -> None:
    buildings = metric(town, "buildings")
    shapes = np.asarray(buildings.geometry, dtype=object)
    assert shapely.is_valid(shapes).all()
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = one < other
    assert shapely.area(shapely.intersection(shapes[one[pairs]], shapes[other[pairs]])).sum() < 0.01
    for layer, key in (("communities", "community"), ("compounds", "compound")):
        places = metric(town, layer).set_index("code").geometry
        has = buildings[key].notna().to_numpy()
        assert shapely.covers(np.asarray(places.loc[buildings.loc[has, key]], dtype=object), shapes[has]).all()


def test_no_building_stands_on_a_street_a_wall_the_railway_or_in_water(town: Town) -> None:
    shapes = np.asarray(town.geo("buildings").geometry, dtype=object)
    tree = shapely.STRtree(shapes)
    ground = town.geo("ground")
    for things in (town.geo("barriers").geometry, ground[ground["kind"] == "water"].geometry):
        assert tree.query(np.asarray(things, dtype=object), predicate="intersects").size == 0


def test_compounds_do_not_overlap_and_lie_in_one_community(town: Town) -> None:
    compounds, communities = metric(town, "compounds"), metric(town, "communities").set_index("code").geometry
    shapes = np.asarray(compounds.geometry, dtype=object)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = one < other
    assert shapely.area(shapely.intersection(shapes[one[pairs]], shapes[other[pairs]])).sum() < 0.5
    owners = np.asarray(communities.loc[compounds["community"]], dtype=object)
    assert shapely.area(shapely.difference(shapes, owners)).max() < 0.5


def test_towers_and_staircases_have_usual_numbers_of_households(town: Town) -> None:
    lived = town["buildings"][town["buildings"]["households"] > 0]
    towers = lived[lived["floors"] >= 18]
    assert towers["households"].between(100, 290).all()
    assert len(towers) >= 120
    slabs = lived[lived["floors"].between(5, 11) & (lived["units"] >= 2)]
    assert slabs["units"].between(2, 6).all()
    assert (slabs["households"] / slabs["units"]).between(9.9, 30.1).all()


def test_the_river_has_bridges_and_the_streets_a_hierarchy(town: Town) -> None:
    barriers = town["barriers"]
    assert set(barriers["kind"]) == {"arterial", "secondary", "minor", "river", "rail", "wall"}
    bridges = barriers[barriers["is_bridge"]]
    assert len(bridges) == 5
    assert bridges["name"].is_unique
    streets = barriers[barriers["kind"].isin(["arterial", "secondary"])]
    assert streets["name"].notna().all()


def test_gates_stand_in_gaps_of_the_walls(town: Town) -> None:
    pois, barriers = metric(town, "pois"), metric(town, "barriers")
    gates = np.asarray(pois[pois["kind"] == "gate"].geometry, dtype=object)
    own_walls = shapely.STRtree(np.asarray(barriers[barriers["kind"] == "wall"].geometry, dtype=object))
    assert len(gates) >= 168
    _, metres = own_walls.query_nearest(gates, return_distance=True, all_matches=False)
    # A neighbour's wall may come nearer than the opening is wide.
    assert np.quantile(metres, 0.05) > 0.3
    assert np.median(metres) == pytest.approx(5.0, abs=0.5)


def test_names_and_addresses_are_chinese_and_never_twice(town: Town) -> None:
    assert town["compounds"]["name"].is_unique
    assert town["compounds"]["name_en"].notna().all()
    lived = town["buildings"][town["buildings"]["households"] > 0]
    assert lived["address"].is_unique
    assert lived["address"].str.fullmatch(r"[一-鿿]+\d+号[一-鿿]+\d+[栋号]").all()


def test_departments_have_their_parents(town: Town) -> None:
    departments = town["departments"]
    assert departments["code"].is_unique
    assert set(departments["parent"].dropna()) <= set(departments["code"])


def test_cleaning_finds_nothing_to_mend(first_town: Town) -> None:
    _, findings = clean(first_town)
    assert findings == ()


def test_same_seed_same_town_and_another_seed_another(first_town: Town) -> None:
    again = make_town(seed=1)
    for name in first_town:
        left, right = first_town[name], again[name]
        if LAYERS[name].geometry:
            assert (shapely.to_wkb(left.geometry) == shapely.to_wkb(right.geometry)).all(), name
            left, right = left.drop(columns="geometry"), right.drop(columns="geometry")
        assert left.equals(right), name


def test_seeds_differ(first_town: Town, other_town: Town) -> None:
    first, other = (town.geo("communities").geometry.iloc[0] for town in (first_town, other_town))
    assert not first.equals(other)
