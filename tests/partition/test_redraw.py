"""Redrawing from the plan in force: little moves, locks hold exactly, codes go on, and the answer says what moved."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.cleaning import clean
from gis.division import Division
from gis.errors import InvalidInput
from gis.exchange import plan_file, town_file
from gis.partition import divide
from gis.partition.lineage import apportion, part_pairs
from gis.partition.moves import Moves, moves
from gis.partition.quality import statistics
from gis.partition.redraw import Locks, weight_per_household
from gis.rule_set import followed_tiers, load_preset, matching_tiers
from gis.town import Town
from scripts.cli import run
from tests.partition.towns import estate, ground, house, town

STREETS = [("minor", [(120, -10), (120, 330)]), ("secondary", [(-10, 160), (380, 160)])]
OUTLINE = {"001": ground(6, 8)}


def houses() -> list[dict[str, Any]]:
    made = estate(6, 8, 30)
    made[0] = {"at": house(5, 5, length=50, width=20), "households": 640, "floors": 30}
    made[7] = {**made[7], "households": 140, "units": 1, "floors": 30}
    return [{**each, "code": f"b{i:03d}", "compound": None} for i, each in enumerate(made)]


def after_a_year() -> list[dict[str, Any]]:
    """Two houses pulled down, one built, four fuller than before."""
    made = [each for each in houses() if each["code"] not in ("b030", "b011")]
    for each in made:
        if each["code"] in ("b003", "b017", "b020", "b044"):
            each["households"] = int(each["households"] * 1.6)
    return [*made, {"at": house(10, 272, width=6), "households": 40, "code": "new", "floors": 6, "compound": None}]


@cache
def in_force() -> tuple[Division, Town]:
    place, _ = clean(town(OUTLINE, houses(), STREETS))
    return divide(place, load_preset("bishan"), seed=1), place


@cache
def now() -> Town:
    return clean(town(OUTLINE, after_a_year(), STREETS))[0]


@cache
def redrawn(stability: float = 0.5, locks: Locks | None = None, seed: int = 3) -> Division:
    return divide(
        now(), load_preset("bishan"), seed=seed, previous=in_force()[0], stability=stability, locks=locks, processes=1
    )


def under(division: Division, code: str, depth: int) -> pd.DataFrame:
    cells = division.cells[depth]
    return cells[cells["code"].str.startswith(code)].set_index("code").sort_index()


def test_nothing_moves_where_nothing_changed() -> None:
    before, place = in_force()
    again = divide(place, load_preset("bishan"), seed=9, previous=before)
    assert again.parts["cell"].tolist() == before.parts["cell"].tolist()
    assert all(tier["households_moved"] == 0 for tier in moves(before, again, place).tiers)
    for one, other in zip(before.cells, again.cells, strict=True):
        assert one["code"].tolist() == other["code"].tolist()


def test_most_keep_their_grid_and_the_ground_stays_exact() -> None:
    found = redrawn()
    told = moves(in_force()[0], found, now())
    assert told.tiers[0]["kept_ratio"] >= 0.95
    assert statistics(found, now())["gap_m2"] == 0
    assert statistics(found, now())["pieces_not_contiguous"] == 0
    assert found.cells[0]["households"].between(300, 500).all()


def test_the_slider_moves_less_the_further_it_is() -> None:
    kept = [moves(in_force()[0], redrawn(stability), now()).tiers[1]["kept_ratio"] for stability in (0.0, 0.5, 1.0)]
    assert kept[0] <= kept[1] <= kept[2]
    assert kept[0] < kept[2]


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_weight_grows_with_the_slider(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert weight_per_household(low) <= weight_per_household(high)
    assert weight_per_household(0) == 0
    assert weight_per_household(0.5) == pytest.approx(1.5)
    assert weight_per_household(1) == pytest.approx(30)


def test_a_locked_grid_keeps_ground_parts_and_codes() -> None:
    before = in_force()[0]
    for code in before.cells[0]["code"].tolist()[:2]:
        found = redrawn(0.2, Locks(grids=(code,)))
        for depth in (0, 1):
            old, new = under(before, code, depth), under(found, code, depth)
            assert old.index.tolist() == new.index.tolist()
            apart = shapely.area(shapely.symmetric_difference(old.geometry.to_numpy(), new.geometry.to_numpy()))
            assert apart.max() < 1e-4 * shapely.area(old.geometry.to_numpy()).min()
            assert old["floor_from"].equals(new["floor_from"])
        columns = ["building", "unit_from", "unit_to", "floor_from", "floor_to", "cell"]
        old_parts, new_parts = (d.parts[d.parts["cell"].str.startswith(code)][columns] for d in (before, found))
        both = old_parts.merge(new_parts, how="outer", indicator=True)
        assert set(both[both["_merge"] != "both"]["building"]) <= {"b030", "b011", "new"}
        assert statistics(found, now())["gap_m2"] == 0


def test_a_locked_building_stays_in_its_grid_and_a_locked_micro_grid_as_it_is() -> None:
    before = in_force()[0]
    grid_of = dict(zip(before.cells[1]["code"], before.cells[1]["parent"], strict=True))
    micro = str(before.cells[1]["code"].iloc[3])
    found = redrawn(0.0, Locks(buildings=("b005", "b020"), micro_grids=(micro,)))
    for building in ("b005", "b020"):
        old, new = (set(d.parts[d.parts["building"] == building]["cell"].str[:6]) for d in (before, found))
        assert old == new
    old, new = (set(d.parts[d.parts["cell"] == micro]["building"]) for d in (before, found))
    assert old - {"b030", "b011"} == new
    assert dict(zip(found.cells[1]["code"], found.cells[1]["parent"], strict=True))[micro] == grid_of[micro]


def test_a_lock_that_makes_the_band_impossible_is_a_finding() -> None:
    before = in_force()[0]
    grown = [{**each, "households": each["households"] * 2} for each in houses()]
    place, _ = clean(town(OUTLINE, grown, STREETS))
    code = str(before.cells[0]["code"].iloc[0])
    found = divide(place, load_preset("bishan"), previous=before, locks=Locks(grids=(code,)))
    assert ("partition.out_of_band.locked", code) in {(f.code, f.key) for f in found.findings}


@pytest.mark.parametrize(
    "locks", [Locks(grids=("nowhere",)), Locks(buildings=("nowhere",)), Locks(micro_grids=("001001",))]
)
def test_an_unknown_lock_is_refused(locks: Locks) -> None:
    with pytest.raises(InvalidInput, match=r"partition\.lock_unknown"):
        redrawn(0.5, locks)


def test_locks_need_a_plan_and_the_slider_has_ends() -> None:
    with pytest.raises(InvalidInput, match=r"partition\.locks_without_plan"):
        divide(now(), load_preset("bishan"), locks=Locks(grids=("x",)))
    with pytest.raises(InvalidInput, match=r"partition\.bad_stability"):
        redrawn(1.5)


def test_codes_go_on_or_were_never_used() -> None:
    before, found = in_force()[0], redrawn(0.0, seed=8)
    told = moves(before, found, now()).lineage
    kept = told[told["kind"].isin(["keep", "redraw"])]
    above = found.cells[1].set_index("code")["parent"]
    survived = set(kept[kept["depth"] == 1]["new"])
    for row in kept.itertuples():
        if row.depth == 1 or (above[row.new] in survived and str(row.old).startswith(above[row.new])):
            assert row.old == row.new
    given = {code for frame in before.cells for code in frame["code"]}
    fresh = {code for frame in found.cells for code in frame["code"]} - set(kept["new"])
    assert not fresh & given
    assert all(frame["code"].is_unique for frame in found.cells)


@pytest.mark.slow
def test_same_seed_same_redraw_on_any_number_of_processes() -> None:
    outlines = {"001": ground(5, 4), "002": ground(5, 4, x=300)}
    place, _ = clean(town(outlines, [*estate(5, 4, 33), *estate(5, 4, 29, x=300)]))
    grown, _ = clean(town(outlines, [*estate(5, 4, 38), *estate(5, 4, 26, x=300)]))
    before = divide(place, load_preset("bishan"))
    one, two = (divide(grown, load_preset("bishan"), previous=before, processes=n) for n in (1, 2))
    assert one.parts.equals(two.parts)
    assert one.recipe == two.recipe


def test_a_new_community_is_divided_beside_the_redrawn() -> None:
    beside = [{**each, "code": f"c{i}"} for i, each in enumerate(estate(4, 4, 25, x=400))]
    wider, _ = clean(town({**OUTLINE, "002": ground(4, 4, x=400)}, [*after_a_year(), *beside], STREETS))
    found = divide(wider, load_preset("bishan"), previous=in_force()[0])
    assert set(found.cells[0]["community"]) == {"001", "002"}
    told = moves(in_force()[0], found, wider)
    assert told.tiers[0]["households_built"] >= 400


def test_enough_gives_a_sound_plan_at_once() -> None:
    place = now()
    found = divide(place, load_preset("bishan"), effort="deep", enough=lambda: True)
    assert found.recipe["is_cut_short"]
    assert "partition.cut_short" in {f.code for f in found.findings}
    measured = statistics(found, place)
    assert (measured["gap_m2"], measured["pieces_not_contiguous"]) == (0, 0)
    told: list[tuple[int, float, float]] = []
    divide(place, load_preset("bishan"), within=lambda *each: told.append(each))
    shares = [share for _, share, _ in told]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def check(told: Moves, before: Division, found: Division) -> None:
    """What holds of every list of moves."""
    for tier in told.tiers:
        depth = tier["depth"]
        rows = told.rows[told.rows["depth"] == depth]
        assert rows["households"].sum() == tier["households_moved"]
        assert (rows["from_cell"] != rows["to_cell"]).all() or depth > 1
        edges = told.lineage[told.lineage["depth"] == depth]
        for name, percent, cells in (("old", "old_percent", before), ("new", "new_percent", found)):
            summed = edges[edges[name].notna()].groupby(name)[percent].sum()
            assert np.allclose(summed, 100)
            assert set(summed.index) == set(cells.cells[depth - 1]["code"])
        assert int(found.cells[depth - 1]["households"].sum()) == tier["households"] + tier["households_built"]
        assert int(before.cells[depth - 1]["households"].sum()) >= tier["households_gone"]
    json.dumps(told.as_dict())


def test_the_list_of_moves_agrees_with_itself() -> None:
    told = moves(in_force()[0], redrawn(0.0), now())
    check(told, in_force()[0], redrawn(0.0))
    assert len(told.rows)
    gone = told.lineage[(told.lineage["depth"] == 1) & (told.lineage["kind"] == "gone")]
    assert len(gone)


def test_rules_of_other_tiers_are_matched_by_their_size() -> None:
    bishan, donggang = load_preset("bishan"), load_preset("donggang")
    assert matching_tiers(bishan, bishan) == [0, 1]
    assert matching_tiers(bishan, donggang) == [None, None, 0]
    assert matching_tiers(donggang, bishan) == [2, None]
    assert matching_tiers(bishan, load_preset("tongliang")) == [0, None]


def test_what_becomes_of_a_tier_is_told_though_its_size_doubled() -> None:
    bishan, donggang = load_preset("bishan"), load_preset("donggang")
    assert followed_tiers(bishan, load_preset("tongliang")) == [0, 1]
    assert followed_tiers(bishan, donggang) == [None, None, 0]
    assert followed_tiers(donggang, bishan) == [2, None]
    station = replace(bishan.tiers[2], ordinal=3, households_min=1000, households_max=2000)
    larger = replace(bishan.tiers[2], ordinal=4, households_min=700, households_max=1200)
    micro = replace(bishan.tiers[3], ordinal=5)
    taller = replace(bishan, tiers=(*bishan.tiers[:2], station, larger, micro))
    assert followed_tiers(bishan, taller) == [None, 0, 1]
    assert followed_tiers(taller, bishan) == [1, 2]
    found = divide(now(), donggang, previous=in_force()[0])
    assert [tier["depth"] for tier in moves(in_force()[0], found, now()).tiers] == [3]


@given(st.integers(0, 10_000), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_what_is_apportioned_sums_up(total: int, weights: list[float]) -> None:
    share = np.array(weights) / max(sum(weights), 1e-9)
    found = apportion(total, share.tolist())
    assert found.sum() == (total if sum(weights) > 1e-9 else round(total * share.sum()))
    assert (np.abs(found - share * total) < 1 + 1e-6).all()


def test_parts_cut_otherwise_share_by_staircases_and_floors() -> None:
    def part(cell: str, units: tuple[int, int] | None, floors: tuple[int, int] | None = None) -> dict[str, Any]:
        low, high = units or (None, None)
        bottom, top = floors or (None, None)
        return {"building": "b", "unit_from": low, "unit_to": high, "floor_from": bottom, "floor_to": top, "cell": cell}

    kinds = dict.fromkeys(("unit_from", "unit_to", "floor_from", "floor_to"), "Int64")
    old = pd.DataFrame([part("x", (1, 2)), part("y", (3, 4))]).astype(kinds)
    new = pd.DataFrame([part("p", (1, 3)), part("q", (4, 4))]).astype(kinds)
    pairs = part_pairs(old, new)
    assert pairs[["old", "new"]].to_numpy().tolist() == [[0, 0], [1, 0], [1, 1]]
    assert pairs["new_part"].tolist() == pytest.approx([2 / 3, 1 / 3, 1])
    assert pairs["old_part"].tolist() == pytest.approx([1, 0.5, 0.5])
    whole = part_pairs(pd.DataFrame([part("x", None)]).astype(kinds), new)
    assert whole["old_part"].sum() == pytest.approx(1)


def a_random_year(seed: int) -> tuple[Division, Town, Locks]:
    """The plan of a random town, the town a year later, and locks."""
    rng = np.random.default_rng(seed)
    made = []
    for i, each in enumerate(estate(6, 5, 0)):
        if rng.random() < 0.85:
            turned = shapely.affinity.rotate(each["at"], float(rng.uniform(-30, 30)))
            lived = int(rng.choice([0, 8, 30, 90, 140, 240, 600]))
            made.append({"at": turned, "households": lived, "code": f"b{i:03d}", "units": int(rng.integers(1, 5)),
                         "floors": int(rng.integers(1, 34))})  # fmt: skip
    streets = [
        (str(kind), [tuple(rng.uniform(-20, 380, 2)), tuple(rng.uniform(-20, 380, 2))])
        for kind in rng.choice(["minor", "arterial", "river", "wall"], 5)
    ]
    later = [
        {**each, "households": int(each["households"] * rng.choice([1, 1, 1, 0.5, 1.6]))}
        for each in made
        if rng.random() < 0.9
    ]
    before, after = (clean(town({"001": ground(6, 5)}, which, streets))[0] for which in (made, later))
    plan = divide(before, load_preset("bishan"), seed=seed)
    grids = plan.cells[0]["code"].tolist()
    locks = Locks(grids=tuple(grids[:1]) if rng.random() < 0.7 else (), buildings=(later[0]["code"],),
                  micro_grids=tuple(plan.cells[1]["code"].tolist()[-1:]))  # fmt: skip
    return plan, after, locks


@settings(max_examples=4)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]))
def test_random_redraws_are_sound_whatever_is_locked(seed: int, stability: float) -> None:
    before, after, locks = a_random_year(seed)
    found = divide(after, load_preset("bishan"), seed=seed + 1, previous=before, stability=stability, locks=locks)
    measured = statistics(found, after)
    assert (measured["gap_m2"], measured["pieces_not_contiguous"]) == (0, 0)
    placed = found.parts.groupby("building")["households"].sum()
    want = after["buildings"].set_index("code")["households"].astype(int)
    assert placed.reindex(want.index).tolist() == want.tolist()
    check(moves(before, found, after), before, found)
    for code in locks.grids:
        old, new = (d.cells[0].set_index("code").geometry[code] for d in (before, found))
        assert shapely.area(shapely.symmetric_difference(old, new)) < 2e-3 * shapely.area(old)


# --- From file to file -----------------------------------------------------------------------------------------------


def test_the_command_redraws_locks_and_lists_the_moves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, plan, out, table = (tmp_path / n for n in ("town.gpkg", "plan.gpkg", "new.gpkg", "moves.csv"))
    before = in_force()[0]
    plan_file.write(before, plan)
    town_file.write(now(), source)
    lock = f"grid:{before.cells[0]['code'].iloc[0]}"
    words = ["partition", str(source), "--out", str(out), "--previous", str(plan), "--stability", "0.3"]
    assert run([*words, "--lock", lock, "--moves", str(table), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["moves"]["tiers"][0]["kept_ratio"] > 0.9
    assert report["recipe"]["redraw"]["locks"]["grids"] == [lock[5:]]
    again = plan_file.read(out)
    assert again.recipe["redraw"]["stability"] == 0.3
    told = moves(before, again, now())
    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [int(row["households"]) for row in rows] == told.rows["households"].tolist()
    assert run([*words, "--moves", str(tmp_path / "moves.json")]) == 0
    assert set(json.loads((tmp_path / "moves.json").read_text(encoding="utf-8"))) == {"tiers", "moved", "lineage"}
    assert run([*words, "--moves", str(source)]) == 2


@pytest.mark.parametrize(
    "wrong",
    [["--lock", "grid:1"], ["--moves", "m.csv"], ["--previous", "{plan}", "--lock", "nothing"],
     ["--previous", "{plan}", "--alternatives", "2"]],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(wrong: list[str], tmp_path: Path) -> None:
    source, plan = tmp_path / "town.gpkg", tmp_path / "plan.gpkg"
    plan_file.write(in_force()[0], plan)
    town_file.write(now(), source)
    words = [word.format(plan=plan) if "{" in word else word for word in wrong]
    assert run(["partition", str(source), "--out", str(tmp_path / "out.gpkg"), *words]) == 2
    assert not (tmp_path / "out.gpkg").exists()
