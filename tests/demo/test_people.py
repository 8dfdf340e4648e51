from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest

from gis.demo import staff_for
from gis.division import PART_COLUMNS, Division
from gis.rule_set import load_preset, preset_codes
from gis.town import Town


def division(town: Town, preset: str, *, cells_each: int = 3) -> Division:
    """A division that has only codes to speak of: so many cells in each cell above."""
    rules = load_preset(preset)
    parents = [(str(code), None, str(code)) for code in town["communities"]["code"][:4]]
    frames = []
    for tier in rules.grid_tiers:
        rows = [
            {"code": f"{above}{number:0{tier.code_digits}d}", "community": community, "parent": parent}
            for above, parent, community in parents
            for number in range(1, cells_each + 1)
        ]
        frames.append(gpd.GeoDataFrame(rows, geometry=gpd.GeoSeries([None] * len(rows), crs="EPSG:4326")))
        parents = [(row["code"], row["code"], row["community"]) for row in rows]
    return Division(rules, tuple(frames), pd.DataFrame(columns=list(PART_COLUMNS)))


@pytest.mark.parametrize("preset", preset_codes())
def test_every_post_of_every_tier_is_held(first_town: Town, preset: str) -> None:
    made = division(first_town, preset)
    held = staff_for(first_town, made)["assignments"]
    for tier, cells in zip(made.rules.grid_tiers, made.cells, strict=True):
        for post in tier.posts:
            holders = held[(held["post"] == post.code) & held["place"].isin(cells["code"])].groupby("place").size()
            assert len(holders) == (len(cells) if post.holders_min else 0)
            assert post.holders_max is None or not len(holders) or holders.max() <= post.holders_max
    for tier in made.rules.tiers:
        if tier.kind == "area" and tier.posts:
            assert set(first_town["communities"]["code"]) <= set(held["place"])


def test_an_officer_has_one_grid_and_a_leader_at_most_two_neighbours(first_town: Town) -> None:
    town = staff_for(first_town, division(first_town, "bishan"))
    held = town["assignments"]
    officers = held[held["post"] == "grid_officer"]
    assert officers["staff"].is_unique
    leaders = held[held["post"] == "micro_grid_leader"].groupby("staff")["place"]
    assert leaders.size().max() == 2
    assert all(len({place[:15] for place in places}) == 1 for _, places in leaders)


def test_departments_have_people_and_nobody_has_a_real_number(first_town: Town) -> None:
    staff = staff_for(first_town, division(first_town, "bishan"))["staff"]
    assert set(first_town["departments"]["code"]) <= set(staff["department"].dropna())
    assert staff["phone"].str.fullmatch(r"1380000\d{4}").all()
    assert staff["code"].is_unique
    assert set(staff["department"].dropna()) <= set(first_town["departments"]["code"])


def test_same_seed_same_people(first_town: Town) -> None:
    made = division(first_town, "bishan")
    assert staff_for(first_town, made, seed=3)["staff"].equals(staff_for(first_town, made, seed=3)["staff"])
    assert not staff_for(first_town, made, seed=3)["staff"].equals(staff_for(first_town, made, seed=4)["staff"])
