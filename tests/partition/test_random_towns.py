"""Properties of every division, over random towns: towers, islands, rings, courtyards, empty land, rivers, nobody.

What a town may look like is drawn by hypothesis, part by part, so that a failing town shrinks to a small one. The towns
are the same in every run; to look further, add `--hypothesis-profile=search` and raise `max_examples`.
"""

from __future__ import annotations

import importlib.util
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis import crs
from gis.cleaning import clean
from gis.division import Division
from gis.exchange import plan_file, town_file
from gis.geometry import coverage_faults
from gis.partition import divide
from gis.partition.objectives import Limits
from gis.partition.quality import statistics
from gis.rule_set import RuleSet, Tier
from gis.town import Town
from tests.partition.towns import house, town

CHECKER = Path(__file__).resolve().parents[2].parent / "shared" / "referee" / "plan_check.py"
WIDE_M, HIGH_M = 300.0, 200.0  # of a community
BOUNDED = settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip
FEW = settings(BOUNDED, max_examples=3)

whole = st.integers
metres = st.integers


# --- Towns -----------------------------------------------------------------------------------------------------------


@st.composite
def outlines(draw: st.DrawFn, x: float) -> shapely.Geometry:
    """The ground of a community beginning at x: whole, bent, a ring, with an island, or all but cut in two."""
    box = shapely.box(x, 0, x + WIDE_M, HIGH_M)
    kind = draw(st.sampled_from(["box", "bent", "ring", "island", "waist", "sliver"]))
    if kind == "bent":
        return shapely.Polygon([(x, 0), (x + WIDE_M, draw(metres(-20, 60))), (x + WIDE_M, HIGH_M), (x, HIGH_M - 30)])
    if kind == "ring":
        return shapely.difference(box, shapely.box(x + 90, 60, x + draw(metres(120, 250)), 150))
    if kind == "island":
        island = shapely.box(x + draw(metres(0, 200)), 260, x + 290, 320)
        return shapely.union_all([box, island])
    if kind == "waist":
        return shapely.difference(box, shapely.box(x + 140, draw(metres(3, 40)), x + 160, HIGH_M + 1))
    if kind == "sliver":
        return shapely.box(x, 0, x + WIDE_M, draw(metres(20, 60)))
    return box


@st.composite
def buildings(draw: st.DrawFn, x: float) -> list[dict[str, Any]]:
    """Houses on a loose lattice, with few kinds of households each: none, tiny, usual, a tower; some round a yard."""
    sizes = draw(st.sampled_from([[0], [1, 2, 3], [12, 30, 45], [8, 60, 120, 280], [0, 24, 600], [90], [700, 40, 5]]))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9]))
    rng = np.random.default_rng(draw(whole(0, 10_000)))
    turn = draw(st.sampled_from([0.0, 12.0, 40.0]))
    found: list[dict[str, Any]] = []
    for i in range(5):
        for j in range(5):
            if rng.random() >= share:
                continue
            at = house(x + 60 * i + 8, 42.0 * j + 10, length=44, width=float(rng.choice([11, 16, 26])))
            found.append(
                {
                    "at": shapely.affinity.rotate(at, turn * rng.uniform(-1, 1)),
                    "households": int(rng.choice(sizes)),
                    "floors": [None, 1, 6, 18, 33][rng.integers(5)],
                    "units": [None, 1, 2, 3, 5][rng.integers(5)],
                }
            )
    if draw(st.booleans()):
        yard = shapely.difference(shapely.box(x + 60, 90, x + 130, 160), shapely.box(x + 75, 105, x + 115, 145))
        found = [h for h in found if not shapely.intersects(h["at"], shapely.box(x + 60, 90, x + 130, 160))]
        found.append({"at": yard, "households": int(rng.choice(sizes)), "floors": 6, "units": 4})
        found.append({"at": house(x + 85, 118, length=20, width=12), "households": int(rng.choice(sizes)), "floors": 2})
    return found


@st.composite
def barriers(draw: st.DrawFn, wide_m: float) -> list[tuple[str, list[tuple[float, float]]]]:
    """Streets, walls and rails anywhere, also through houses; a river with bridges or without."""
    across = metres(-20, int(wide_m) + 20)
    up = metres(-20, int(HIGH_M) + 140)
    kinds = draw(st.lists(st.sampled_from(["minor", "secondary", "arterial", "wall", "rail"]), max_size=4))
    lines = [(kind, [(float(draw(across)), float(draw(up))) for _ in range(3)]) for kind in kinds]
    if draw(st.booleans()):
        at = draw(across)
        lines.append(("river", [(at, -30), (at + draw(metres(-40, 40)), 100), (at, 350)]))
        lines += [("minor", [(at - 60, y), (at + 60, y)]) for y in draw(st.lists(metres(5, 190), max_size=2))]
    return [(kind, points) for kind, points in lines if len(set(points)) > 1]


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """One to three communities side by side; cleaned, as the partitioner wants it."""
    count = draw(whole(1, 3))
    communities = {f"{i + 1:03d}": draw(outlines(WIDE_M * i)) for i in range(count)}
    houses = [h for i in range(count) for h in draw(buildings(WIDE_M * i))]
    compounds = {}
    for i in range(draw(whole(0, 3))):
        west, south = draw(metres(0, 250)), draw(metres(0, 150))
        compounds[f"x{i}"] = shapely.box(west, south, west + draw(metres(30, 180)), south + draw(metres(30, 120)))
    ground = shapely.union_all(list(communities.values()))
    # Most of a house stands in the town: of one that hangs over its edge no cell can hold what the checker asks for.
    houses = [h for h in houses if shapely.area(shapely.intersection(h["at"], ground)) > 0.6 * shapely.area(h["at"])]
    return clean(town(communities, houses, draw(barriers(WIDE_M * count)), compounds or None))[0]


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    """One to three tiers of grids under one or two of areas, each with a band that the one above has room for."""
    micro = draw(st.sampled_from([None, "band", "building"]))
    low = draw(st.sampled_from([40, 150, 300]))
    bands = [(low, low + draw(st.sampled_from([0, low // 2, low])))]
    if draw(st.booleans()):
        bands.insert(0, (3 * low, 5 * low))
    tolerance = draw(st.sampled_from([0.0, 0.2]))
    tiers = [Tier(1, "area", "街道", "street"), Tier(2, "area", "社区", "community")]
    for least, most in bands:
        tiers.append(Tier(len(tiers) + 1, "grid", f"网格{len(tiers)}", "grid", households_min=least,
                          households_max=most, tolerance_ratio=tolerance))  # fmt: skip
    if micro is not None:
        small = (draw(st.sampled_from([(20, 40), (50, 80), (1, 10)]))) if micro == "band" else (None, None)
        tiers.append(Tier(len(tiers) + 1, "micro_grid", "微网格", "micro-grid", cell_of=micro,  # type: ignore[arg-type]
                          households_min=small[0], households_max=small[1], code_digits=2))  # fmt: skip
    return RuleSet("drawn", "随机", "random", "test", tuple(tiers), keep_buildings_whole=draw(st.booleans()))


# --- Properties ------------------------------------------------------------------------------------------------------


def assert_everybody_is_placed_once(division: Division, place: Town) -> None:
    want = place["buildings"].set_index("code")["households"].astype(int)
    assert set(division.parts["building"]) == set(want.index)
    assert division.parts.groupby("building")["households"].sum().reindex(want.index).tolist() == want.tolist()


def assert_sums_agree(division: Division) -> None:
    lived = division.parts.groupby("cell")["households"].sum()
    for cells in reversed(division.cells):
        assert cells["code"].is_unique
        assert set(lived.index) <= set(cells["code"])
        assert cells["households"].tolist() == lived.reindex(cells["code"]).fillna(0).astype(int).tolist()
        lived = cells.groupby(cells["parent"].fillna(cells["community"]))["households"].sum()


def assert_ground_is_tiled(division: Division, place: Town) -> None:
    """Every tier covers the one above, its cells share their borders exactly, with no gap however narrow."""
    zone = int(division.recipe["zone"])
    frame = place.geo("communities")
    above = dict(zip(frame["code"].astype(str), _metric(frame, zone), strict=True))
    for cells in division.cells:
        shapes = _metric(cells, zone)
        assert shapely.is_valid(shapes).all()
        parent = cells["parent"].fillna(cells["community"]).astype(str).to_numpy()
        once = ~pd.DataFrame({"parent": parent, "ground": shapely.to_wkb(shapes)}).duplicated().to_numpy()
        assert set(parent) == set(above)
        for code, outer in above.items():
            inner = shapes[once & (parent == code)]
            faults = coverage_faults(inner, outer)
            assert faults.is_valid, code
            assert faults.gap_m2 < 0.01, code
            assert faults.overlap_m2 < 0.01, code
        above = dict(zip(cells["code"].astype(str), shapes, strict=True))


def _metric(frame: Any, zone: int) -> Any:
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    return np.asarray(shapely.transform(shapes, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


def assert_every_cell_out_of_band_is_explained(division: Division) -> None:
    explained = {f.key for f in division.findings if f.code.startswith("partition.out_of_band.")}
    for tier, cells in zip(division.rules.grid_tiers, division.cells, strict=True):
        limits = Limits.of(tier)
        if tier.cell_of == "band" and limits is not None:
            sizes = zip(cells["code"], cells["households"], strict=True)
            assert {code for code, size in sizes if not limits.holds(size)} <= explained


def assert_sound(division: Division, place: Town) -> None:
    assert_everybody_is_placed_once(division, place)
    assert_sums_agree(division)
    assert_ground_is_tiled(division, place)
    assert statistics(division, place)["pieces_not_contiguous"] == 0
    assert_every_cell_out_of_band_is_explained(division)


@cache
def checker() -> Any:
    spec = importlib.util.spec_from_file_location("plan_check", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@BOUNDED
@given(towns(), rule_sets(), whole(0, 5))
def test_every_town_is_divided_soundly(place: Town, rules: RuleSet, seed: int) -> None:
    assert_sound(divide(place, rules, seed=seed, processes=1), place)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # the checker's, where nobody lives
@pytest.mark.skipif(not CHECKER.is_file(), reason="the checker is not here")
@settings(BOUNDED, max_examples=10)
@given(towns(), rule_sets())
def test_the_checker_finds_nothing_broken_in_any_town(place: Town, rules: RuleSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, plan = Path(folder, "town.gpkg"), Path(folder, "plan.gpkg")
        town_file.write(place, source)
        plan_file.write(divide(place, rules, seed=1, processes=1), plan)
        assert checker().check(source, plan, (300, 500), (50, 80))["broken"] == []


def _bytes(division: Division) -> tuple[Any, ...]:
    frames = [(cells.drop(columns="geometry").to_csv(), *shapely.to_wkb(cells.geometry.to_numpy()))
              for cells in division.cells]  # fmt: skip
    return (*frames, division.parts.to_csv(), division.findings)


@FEW
@given(towns(), rule_sets(), whole(0, 1000))
def test_the_same_seed_gives_the_same_plan(place: Town, rules: RuleSet, seed: int) -> None:
    assert _bytes(divide(place, rules, seed=seed, processes=1)) == _bytes(divide(place, rules, seed=seed, processes=1))


@settings(BOUNDED, max_examples=6)
@given(towns(), rule_sets(), st.sampled_from([0.0, 0.5, 1.0]), whole(0, 1000))
def test_a_redraw_is_as_sound_as_the_plan_before(place: Town, rules: RuleSet, stability: float, seed: int) -> None:
    """Some houses pulled down, others with more or fewer households than before."""
    before = divide(place, rules, seed=1, processes=1)
    rng = np.random.default_rng(seed)
    houses = place["buildings"][rng.random(len(place["buildings"])) > 0.1].copy()
    houses["households"] = (houses["households"] * rng.uniform(0.8, 1.2, len(houses))).round().astype("Int64")
    now = place.with_layers(buildings=houses)
    assert_sound(divide(now, rules, seed=2, processes=1, previous=before, stability=stability), now)


@settings(FEW, max_examples=1)
@given(towns().filter(lambda place: len(place["communities"]) > 1), rule_sets())
def test_two_processes_give_the_plan_of_one(place: Town, rules: RuleSet) -> None:
    assert _bytes(divide(place, rules, seed=7, processes=1)) == _bytes(divide(place, rules, seed=7, processes=2))
