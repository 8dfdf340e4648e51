"""Line networks made into one cover: what is there, what becomes of every old cell, and dirty files."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from gis.cleaning import clean
from gis.errors import InvalidInput, UnknownCrs
from gis.exchange import network_file, plan_file, town_file
from gis.messages import text
from gis.partition.merging import Merged, Network, carry_over, merge, survey_networks, tidy
from gis.partition.quality import statistics
from gis.partition.share_matrix import apportioned, hundredths
from gis.rule_set import load_preset
from gis.town import WGS84, Town
from scripts.cli import run
from tests.partition.towns import ZONE, estate, ground, house, town, wgs84

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "referee"


def network(name: str, cells: Mapping[str, shapely.Geometry], **columns: Sequence[Any]) -> Network:
    """A network of cells drawn in metres of the test town."""
    data = {"code": list(cells), **columns}
    return Network(name, name, gpd.GeoDataFrame(data, geometry=gpd.GeoSeries(wgs84(list(cells.values())), crs=WGS84)))


@cache
def place() -> Town:
    """Two communities of 300 x 320 m side by side, 80 houses of 20 households, streets between and along."""
    streets = [("minor", [(120, -10), (120, 330)]), ("secondary", [(-10, 160), (610, 160)]),
               ("minor", [(420, -10), (420, 330)]), ("arterial", [(300, -10), (300, 330)])]  # fmt: skip
    houses = [*estate(5, 8, 20), *estate(5, 8, 20, x=300)]
    return clean(town({"001": ground(5, 8), "002": ground(5, 8, x=300)}, houses, streets))[0]


def security() -> Network:
    """综治: four quarters of each community along the streets."""
    edges = [0, 120, 300, 420, 600]
    cells = {
        f"Z{i}{j}": shapely.box(edges[i], 160 * j, edges[i + 1], 160 * j + 160) for i in range(4) for j in range(2)
    }
    return network("综治", cells, responsible=[f"张{i}" for i in range(8)])


def order() -> Network:
    """城管: three strips over both communities, the first two overlapping by 20 m, the last one missing 40 m."""
    cells = {
        "C1": shapely.box(0, 0, 600, 130),
        "C2": shapely.box(0, 110, 600, 240),
        "C3": shapely.box(0, 240, 600, 280),
    }
    return network("城管", cells)


def food() -> Network:
    """食药监: one cell a community, off by 3 m, and one in the sea."""
    cells = {
        "S1": shapely.box(-3, 0, 303, 320),
        "S2": shapely.box(303, 0, 600, 323),
        "S3": shapely.box(900, 0, 990, 90),
    }
    return network("食药监", cells)


@cache
def merged() -> Merged:
    return merge(place(), load_preset("bishan"), [security(), order(), food()], seed=2)


def test_an_overview_tells_cover_gaps_and_overlaps_of_each_network() -> None:
    seen = survey_networks(place(), [security(), order(), food()]).networks.set_index("network")
    assert seen.loc["综治", ["gaps", "overlaps", "across"]].tolist() == [0, 0, 0]
    assert seen.loc["综治", "covered_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert seen.loc["城管", ["gaps", "overlaps", "across"]].tolist() == [2, 1, 3]
    assert seen.loc["城管", "gap_m2"] == pytest.approx(600 * 40, rel=1e-3)
    assert seen.loc["城管", "overlap_m2"] == pytest.approx(600 * 20, rel=1e-3)
    assert seen.loc["城管", "covered_ratio"] == pytest.approx(280 / 320, rel=1e-4)
    assert seen.loc["城管", "gap_households"] == 10 * 20  # the last row of houses
    assert seen.loc["城管", "overlap_households"] == 0
    assert seen.loc["食药监", "outside_m2"] == pytest.approx(90 * 90 + 3 * 320 + 3 * 297, rel=1e-2)


def test_networks_are_compared_in_pairs_and_by_building() -> None:
    seen = survey_networks(place(), [security(), order(), food()])
    pair = seen.pairs.set_index(["first", "second"])
    assert pair.loc[("综治", "城管"), "common_m2"] == pytest.approx(600 * 280, rel=1e-3)
    assert pair.loc[("城管", "综治"), "common_ratio"] == pytest.approx(1.0, abs=1e-4)
    assert pair.loc[("食药监", "综治"), "coinciding_ratio"] > 0.9
    assert pair.loc[("综治", "食药监"), "coinciding_ratio"] < 0.8
    by = seen.buildings.groupby("networks")["households"].sum()
    assert by.to_dict() == {2: 200, 3: 1400}


def test_patrol_counts_streets_walked_by_several_networks_and_what_is_saved() -> None:
    patrol = survey_networks(place(), [security(), food()]).patrol
    assert patrol.street_m == pytest.approx(3 * 320 + 600, abs=8)
    # All streets lie on borders of 综治: every metre is on two rounds, a few at the crossings on three or four.
    assert patrol.walked_m["综治"] == pytest.approx(2 * patrol.street_m, rel=0.08)
    assert patrol.duplicate_m == pytest.approx(patrol.street_m, rel=0.01)
    assert patrol.after_m is None
    after = merged().overview.patrol
    assert after.saving_m is not None
    assert after.saving_m == pytest.approx(after.before_m - (after.after_m or 0))
    assert 0 < (after.saving_ratio or 0) < 1
    assert after.after_unreached_m == 0


def test_the_new_cover_is_exact_in_band_and_follows_old_borders() -> None:
    measured = statistics(merged().division, place())
    assert (measured["gap_m2"], measured["pieces_not_contiguous"]) == (0, 0)
    assert measured["overlap_m2"] < 0.001
    assert measured["tiers"][0]["in_band_ratio"] == 1
    assert [n["code"] for n in merged().division.recipe["networks"]] == ["综治", "城管", "食药监"]


def test_an_old_border_through_open_ground_is_followed() -> None:
    """Two rows of houses, nothing between them but the line of one network, not in the middle."""
    houses = [*estate(6, 4, 15), *estate(6, 4, 15, y=200)]
    one = clean(town({"001": shapely.box(0, 0, 360, 360)}, houses))[0]
    line = network("综治", {"A": shapely.box(0, 0, 360, 172), "B": shapely.box(0, 172, 360, 360)})
    made = merge(one, load_preset("bishan"), [line])
    assert made.division.cells[0]["households"].tolist() == [360, 360]
    shares = made.shares.dropna(subset=["old", "new"])
    assert shares["old_area_hundredths"].max() > 9900


def assert_adds_up(shares: pd.DataFrame) -> None:
    old, new = shares.dropna(subset=["old"]), shares.dropna(subset=["new"])
    assert (old.groupby(["network", "old"])["old_hundredths"].sum() == 10_000).all()
    assert (old.groupby(["network", "old"])["old_area_hundredths"].sum() == 10_000).all()
    assert (new.groupby(["network", "new"])["new_hundredths"].sum() == 10_000).all()
    assert np.allclose(old.groupby(["network", "old"])["old_ratio"].sum(), 1)
    assert np.allclose(new.groupby(["network", "new"])["new_ratio"].sum(), 1)


def test_shares_add_up_to_exactly_100_percent_both_ways() -> None:
    shares = merged().shares
    assert_adds_up(shares)
    cells = {(n.code, code) for n in (security(), order(), food()) for code in n.codes}
    assert set(shares.dropna(subset=["old"])[["network", "old"]].itertuples(index=False, name=None)) == cells
    assert set(shares["new"].dropna()) == set(merged().division.cells[0]["code"])
    sea = shares[shares["old"] == "S3"]
    assert sea["new"].isna().all()
    assert sea["old_hundredths"].tolist() == [10_000]


def test_households_of_old_cells_are_those_of_their_buildings() -> None:
    by_cell = merged().shares.dropna(subset=["old"]).groupby(["network", "old"])["households"].sum()
    assert by_cell["综治"].tolist() == [160, 160, 240, 240] * 2
    assert by_cell["城管"].to_dict() == {"C1": 600, "C2": 600, "C3": 200}
    gap = merged().shares[merged().shares["old"].isna() & (merged().shares["network"] == "城管")]
    assert gap["households"].sum() == 200


def test_a_tower_cut_between_grids_is_shared_out() -> None:
    tower = {"at": house(5, 5, length=60, width=20), "households": 800, "floors": 30, "units": 4}
    one = clean(
        town({"001": ground(5, 4)}, [tower, *[h for h in estate(5, 4, 0) if not h["at"].intersects(tower["at"])]])
    )[0]
    made = merge(one, load_preset("bishan"), [network("综治", {"A": shapely.box(0, 0, 300, 160)})])
    shares = made.shares.dropna(subset=["old"])
    assert shares["households"].tolist() == [400, 400]
    assert shares["old_hundredths"].tolist() == [5000, 5000]


def test_ground_where_nobody_lives_is_shared_by_area() -> None:
    empty = clean(town({"001": ground(5, 4)}, estate(5, 4, 0)))[0]
    half = network("综治", {"A": shapely.box(-100, 0, 100, 160), "B": shapely.box(100, 0, 300, 100)})
    made = merge(empty, load_preset("bishan"), [half])
    assert_adds_up(made.shares)
    first = made.shares[made.shares["old"] == "A"]
    assert first["old_hundredths"].tolist() == pytest.approx([5000, 5000], abs=20)
    assert first["new"].isna().sum() == 1


def test_cases_are_carried_over_without_loss() -> None:
    counts = {("综治", f"Z{i}{j}"): 7 * i + 13 * j + 1 for i in range(4) for j in range(2)}
    carried = carry_over(merged().shares, counts)
    assert carried["count"].sum() == sum(counts.values())
    assert carried.groupby("old")["count"].sum().to_dict() == {code: n for (_, code), n in counts.items()}


def test_handover_names_who_was_responsible_for_most_of_each_new_grid() -> None:
    told = merged().handover
    grids = merged().division.cells[0]
    assert len(told) == 3 * len(grids)
    mine = told[told["network"] == "综治"]
    assert mine["responsible"].str.startswith("张").all()
    assert (mine["new_hundredths"] > 0).all()


@pytest.mark.parametrize("half", [shapely.box(0, 0, 120, 240), shapely.box(0, 0, 240, 120)])
def test_the_leading_network_keeps_its_cells_where_they_are_in_band(half: shapely.Polygon) -> None:
    square = clean(town({"001": ground(4, 6)}, estate(4, 6, 33)))[0]
    lead = network("综治", {"A": half, "B": shapely.difference(ground(4, 6), half)})
    turned = shapely.box(0, 0, half.bounds[3], half.bounds[2])
    across = network("城管", {"A": turned, "B": shapely.difference(ground(4, 6), turned)})
    made = merge(square, load_preset("bishan"), [across, lead], lead="综治")
    # The one that does not lead is followed in one of the two cases only.
    shares = made.shares[(made.shares["network"] == "综治") & (made.shares["households"] > 0)]
    assert shares["old_hundredths"].tolist() == [10_000, 10_000]
    assert made.division.recipe["lead"] == "综治"
    assert statistics(made.division, square)["pieces_not_contiguous"] == 0
    with pytest.raises(InvalidInput, match=r"merge\.unknown_lead"):
        merge(square, load_preset("bishan"), [lead], lead="食药监")


def test_a_network_of_another_place_is_refused() -> None:
    far = network("城管", {"c1": shapely.box(90_000, 90_000, 90_100, 90_100)})
    with pytest.raises(InvalidInput) as caught:
        merge(one_estate(), load_preset("bishan"), [security(), far])
    assert caught.value.code == "merge.network_elsewhere"
    assert caught.value.params == {"network": "城管"}


def test_the_same_seed_gives_the_same_merging() -> None:
    again = merge(place(), load_preset("bishan"), [security(), order(), food()], seed=2)
    pd.testing.assert_frame_equal(again.shares, merged().shares)
    assert again.division.parts.equals(merged().division.parts)


@settings(max_examples=12)
@given(st.lists(st.lists(st.tuples(*[st.integers(-10, 60)] * 2, *[st.integers(1, 50)] * 2), min_size=1, max_size=5),
                min_size=1, max_size=3))  # fmt: skip
def test_whatever_the_networks_are_shares_add_up(drawn: list[list[tuple[int, int, int, int]]]) -> None:
    networks = [
        network(f"n{i}", {f"c{j}": shapely.box(10 * x, 6 * y, 10 * (x + w), 6 * (y + h))
                          for j, (x, y, w, h) in enumerate([*cells, (20, 20, 2, 2)])})
        for i, cells in enumerate(drawn)
    ]  # fmt: skip
    made = merge(one_estate(), load_preset("bishan"), networks)
    assert_adds_up(made.shares)
    measured = statistics(made.division, one_estate())
    assert (measured["gap_m2"], measured["pieces_not_contiguous"]) == (0, 0)


@cache
def one_estate() -> Town:
    return clean(town({"001": ground(5, 4)}, estate(5, 4, 45)))[0]


# --- Dirty input -----------------------------------------------------------------------------------------------------


def test_bad_rows_are_repaired_or_left_out_and_told() -> None:
    bow = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    shapes = [bow, shapely.LineString([(0, 0), (5, 5)]), None, shapely.box(0, 0, 50, 50), shapely.box(200, 0, 250, 50),
              shapely.box(50, 0, 90, 50), shapely.box(0, 60, 50, 90)]  # fmt: skip
    codes = ["A", "B", "C", "D", "D", "E", None]
    made = gpd.GeoDataFrame({"code": codes, "responsible": ["x", "x", "x", "x", "y", "x", "x"]},
                            geometry=gpd.GeoSeries(wgs84(shapes), crs=WGS84))  # fmt: skip
    tidied, findings = tidy(Network("综治", "综治", made))
    assert tidied.codes == ["A", "D", "D-2", "E", "7"]
    told = [(f.code, f.row, f.severity.value) for f in findings]
    assert told == [
        ("merge.invalid_outline", 1, "repaired"), ("merge.no_area", 2, "rejected"), ("merge.no_ground", 3, "rejected"),
        ("merge.code_again", 5, "repaired"), ("merge.no_code", 7, "repaired"),
    ]  # fmt: skip
    for finding in findings:
        words = {"layer": finding.layer, "row": finding.row, "key": finding.key, **finding.params}
        assert all("?" not in text(finding.code, words, language=language) for language in ("zh", "en"))


def test_pieces_of_one_cell_in_several_rows_are_united() -> None:
    pieces = {"A": shapely.box(0, 0, 50, 50), "B": shapely.box(200, 0, 250, 50)}
    made = network("综治", pieces, responsible=["张", "张"])
    twice = Network("综治", "综治", gpd.GeoDataFrame(made.cells.assign(code=["A", "A"])))
    tidied, findings = tidy(twice)
    assert tidied.codes == ["A"]
    assert len(shapely.get_parts(tidied.cells.geometry.iloc[0])) == 2
    assert [f.code for f in findings] == ["merge.code_again_united"]


def test_overlaps_gaps_and_cells_outside_are_told_by_row() -> None:
    told = {(f.code, f.layer, f.key) for f in merged().division.findings if f.code.startswith("merge.")}
    assert ("merge.cells_overlap", "城管", "C1") in told
    assert ("merge.gap", "城管", "001") in told
    assert ("merge.cell_across", "城管", "C3") in told
    assert ("merge.cell_outside", "食药监", "S3") in told


def test_networks_of_one_name_and_empty_ones_are_refused() -> None:
    rules = load_preset("bishan")
    with pytest.raises(InvalidInput, match=r"merge\.same_network"):
        merge(place(), rules, [security(), security()])
    with pytest.raises(InvalidInput, match=r"merge\.no_networks"):
        merge(place(), rules, [])
    with pytest.raises(InvalidInput, match=r"merge\.empty_network"):
        merge(place(), rules, [network("综治", {"A": shapely.Polygon()})])


@pytest.mark.parametrize("total", [0, 1, 99, 10_000])
@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 1.0, 1.0], [0.1, 1e-9, 7.3, 2.6]])
def test_apportioned_numbers_add_up(total: int, values: list[float]) -> None:
    assert apportioned(total, np.array(values)).sum() == total
    assert hundredths(np.array(values)).sum() == 10_000


# --- Files and the command -------------------------------------------------------------------------------------------


def write(made: Network, path: Path, **columns: Any) -> Path:
    frame = made.cells.assign(**columns)
    if path.suffix == ".csv":
        plain = pd.DataFrame(frame.drop(columns="geometry")).assign(wkt=frame.geometry.to_wkt())
        plain.to_csv(path, index=False)
    else:
        frame.to_file(path)
    return path


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".csv", ".fgb"])
def test_a_network_is_read_from_any_vector_format(suffix: str, tmp_path: Path) -> None:
    # A Shapefile has ten bytes for a header.
    headers = {"code": "编码" if suffix == ".shp" else "网格编码", "responsible": "网格长"}
    frame = security().cells.rename(columns=headers)
    path = write(Network("z", "z", gpd.GeoDataFrame(frame)), tmp_path / f"z{suffix}")
    read, findings = network_file.read(path, "综治", crs="wgs84")
    assert not findings
    people = dict(zip(read.codes, read.cells["responsible"], strict=True))
    assert people == dict(zip(security().codes, [f"张{i}" for i in range(8)], strict=True))


def test_a_network_in_another_system_comes_to_the_same_place(tmp_path: Path) -> None:
    path = tmp_path / "z.gpkg"
    security().cells.to_crs(ZONE).to_file(path, layer="网格")
    read, _ = network_file.read(path, "综治", layer="网格")
    assert shapely.area(shapely.symmetric_difference(read.cells.geometry.union_all(),
                                                     security().cells.geometry.union_all())) < 1e-10  # fmt: skip


def test_unusable_files_are_refused_with_a_reason(tmp_path: Path) -> None:
    path = write(security(), tmp_path / "z.csv")
    with pytest.raises(UnknownCrs, match=r"import\.crs_missing"):
        network_file.read(path, "综治")
    with pytest.raises(InvalidInput, match=r"merge\.no_such_layer"):
        network_file.read(write(security(), tmp_path / "z.gpkg"), "综治", layer="nowhere")
    (tmp_path / "t.csv").write_text("code,name\n1,a\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"merge\.no_outlines"):
        network_file.read(tmp_path / "t.csv", "综治")
    two = tmp_path / "two.gpkg"
    security().cells.to_file(two, layer="a")
    order().cells.to_file(two, layer="b")
    with pytest.raises(InvalidInput, match=r"merge\.several_layers"):
        network_file.read(two, "综治")


@cache
def _checker() -> Any:
    path = SHARED / "plan_check.py"
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("plan_check", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_writes_plan_shares_and_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, plan, shares, book, gaps = (tmp_path / name for name in ("t.gpkg", "p.gpkg", "s.csv", "s.xlsx", "g.gpkg"))
    town_file.write(place(), source)
    words = ["merge", str(source), "--network", f"综治={write(security(), tmp_path / 'z.gpkg')}", "--out", str(plan)]
    words += ["--network", f"城管={write(order(), tmp_path / 'c.gpkg')}:c", "--gaps", str(gaps)]
    cleaned = tmp_path / "c2.gpkg"
    assert run([*words, "--shares", str(shares), "--cleaned", str(cleaned), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [net["network"] for net in report["networks"]] == ["综治", "城管"]
    assert report["statistics"]["gap_m2"] == 0
    assert report["patrol"]["saving_ratio"] > 0
    assert len(plan_file.read(plan).cells[0]) == len({row["new"] for row in report["shares"]} - {None})
    table = pd.read_csv(shares)
    assert table[table["原网格"] != "无网格"].groupby(["条线", "原网格"])["占原网格%"].sum().round(6).eq(100).all()
    assert len(gpd.read_file(gaps, layer="gaps")) == 2
    assert len(gpd.read_file(gaps, layer="overlaps")) == 1
    assert run([*words, "--shares", str(book)]) == 0
    told = capsys.readouterr().out
    assert "巡查公里" in told
    sheets = CalamineWorkbook.from_path(str(book))
    assert sheets.sheet_names == ["份额", "交接", "综治", "城管"]
    rows = sheets.get_sheet_by_name("城管").to_python()
    assert [row[1] for row in rows[1:]] == [100.0] * 3
    assert [round(sum(v for v in row[2:] if isinstance(v, float)), 6) for row in rows[1:]] == [100.0] * 3
    if _checker() is not None:
        assert _checker().check(cleaned, plan, (300, 500), (50, 80))["broken"] == []


def test_the_command_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    source = tmp_path / "t.gpkg"
    town_file.write(place(), source)
    net = write(security(), tmp_path / "z.gpkg")
    (tmp_path / "letter.csv").write_text("dear")
    base = ["merge", str(source), "--out", str(tmp_path / "p.gpkg")]
    assert run([*base, "--network", "综治"]) == 2
    assert run([*base, "--network", f"综治={tmp_path / 'nowhere.gpkg'}"]) == 3
    assert run([*base, "--network", f"综治={net}", "--shares", str(tmp_path / "s.txt")]) == 2
    assert run([*base, "--network", f"综治={net}", "--shares", str(tmp_path / "letter.csv")]) == 2
    assert run([*base, "--network", f"综治={net}", "--gaps", str(net)]) == 2
    assert run([*base, "--network", f"综治={net}", "--lead", "城管"]) == 2
    assert not (tmp_path / "p.gpkg").exists()
    assert (tmp_path / "letter.csv").read_text() == "dear"
