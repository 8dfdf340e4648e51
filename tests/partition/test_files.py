"""From file to file: plan files, the command, and the independent checker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyogrio
import pytest

from gis.cleaning import clean
from gis.errors import InvalidInput
from gis.exchange import plan_file, town_file
from gis.messages import catalogue
from gis.partition import divide
from gis.partition.instance import label_all, read
from gis.partition.quality import statistics, violations
from gis.partition.search import effort_named
from gis.rule_set import load_preset
from gis.town import Town
from scripts.cli import run
from tests.partition.towns import estate, ground, house, town

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "referee"


def small_town() -> Town:
    houses = [*estate(5, 4, 33), *estate(5, 4, 29, x=300), {"at": house(900, 0), "households": 3}]
    houses[0] = {"at": house(5, 5, length=50, width=20), "households": 640, "floors": 30}
    houses[1] = {**houses[1], "households": 140, "units": 1, "floors": 30}
    streets = [("minor", [(150, -10), (150, 170)]), ("arterial", [(-10, 80), (620, 80)])]
    return town({"001": ground(5, 4), "002": ground(5, 4, x=300)}, houses, streets)


def _plain(cells: pd.DataFrame) -> pd.DataFrame:
    columns = pd.DataFrame(cells.drop(columns="geometry"))
    return columns.astype(object).where(columns.notna(), None)


def test_a_plan_file_comes_back_as_it_was(tmp_path: Path) -> None:
    place, _ = clean(small_town())
    made = divide(place, load_preset("bishan"))
    plan_file.write(made, tmp_path / "plan.gpkg")
    again = plan_file.read(tmp_path / "plan.gpkg")
    assert again.rules == made.rules
    assert again.findings == made.findings
    assert again.parts.equals(made.parts)
    for one, other in zip(again.cells, made.cells, strict=True):
        pd.testing.assert_frame_equal(_plain(one), _plain(other))
        assert one.geometry.geom_equals(other.geometry).all()


def test_another_file_is_no_plan_file(tmp_path: Path) -> None:
    town_file.write(small_town(), tmp_path / "town.gpkg")
    with pytest.raises(InvalidInput, match=r"partition\.no_plan_file"):
        plan_file.read(tmp_path / "town.gpkg")


@pytest.mark.parametrize("rules", ["bishan", "donggang", "tongliang"])
def test_the_checker_finds_nothing_broken(rules: str, tmp_path: Path) -> None:
    checker = SHARED / "plan_check.py"
    if not checker.is_file():
        pytest.skip("the checker is not here")
    source, plan, cleaned = (tmp_path / name for name in ("in.gpkg", "plan.gpkg", "clean.gpkg"))
    town_file.write(small_town(), source)
    assert run(["partition", str(source), "--rules", rules, "--out", str(plan), "--cleaned", str(cleaned)]) == 0
    checked = subprocess.run(
        [sys.executable, str(checker), str(cleaned), str(plan)], capture_output=True, text=True, check=False
    )
    assert json.loads(checked.stdout)["broken"] == []


def test_the_command_reports_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    town_file.write(small_town(), tmp_path / "in.gpkg")
    code = run(["partition", str(tmp_path / "in.gpkg"), "--out", str(tmp_path / "p.gpkg"), "--seed", "3", "--json"])
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["recipe"]["seed"] == 3
    assert report["finding_counts"]["cleaning.outside"] == 1
    assert report["finding_counts"]["partition.building_cut_estimated"] == 1
    assert report["statistics"]["gap_m2"] == 0
    assert set(pyogrio.list_layers(tmp_path / "p.gpkg")[:, 0]) >= {"grids", "micro_grids", "parts"}


@pytest.mark.parametrize("option", ["--out", "--cleaned"])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_the_input_is_never_written_over(option: str, link: str, tmp_path: Path) -> None:
    source = tmp_path / "in.gpkg"
    town_file.write(small_town(), source)
    before = source.read_bytes()
    getattr(tmp_path / "link.gpkg", link)(source)
    words = {"--out": str(tmp_path / "p.gpkg"), option: str(tmp_path / "link.gpkg")}
    assert run(["partition", str(source), *[word for pair in words.items() for word in pair]]) == 2
    assert source.read_bytes() == before


def test_a_file_of_another_kind_or_a_protected_one_is_not_replaced(tmp_path: Path) -> None:
    source, letter, plan = (tmp_path / name for name in ("in.gpkg", "letter.txt", "plan.gpkg"))
    town_file.write(small_town(), source)
    letter.write_text("dear")
    assert run(["partition", str(source), "--out", str(letter)]) == 2
    assert letter.read_text() == "dear"
    assert run(["partition", str(source), "--out", str(plan)]) == 0
    assert run(["partition", str(source), "--out", str(plan)]) == 0
    plan.chmod(0o444)
    assert run(["partition", str(source), "--out", str(plan)]) == 2
    assert run(["partition", str(source), "--out", str(tmp_path / "nowhere" / "plan.gpkg")]) == 3


def test_no_command_writes_over_what_it_reads_or_what_is_not_its_own(tmp_path: Path) -> None:
    source, plan, page = tmp_path / "town.gpkg", tmp_path / "plan.gpkg", tmp_path / "page.html"
    town_file.write(clean(small_town())[0], source)
    assert run(["partition", str(source), "--out", str(plan)]) == 0
    kept = {path: path.read_bytes() for path in (source, plan)}

    assert run(["report", str(plan), "--out", str(plan)]) == 2
    assert run(["report", str(plan), "--out", str(tmp_path / "page.pdf")]) == 2
    assert run(["report", str(plan), "--out", str(tmp_path / "none" / "page.html")]) == 3
    assert run(["bench", "instance", str(source), "--out", str(source)]) == 2
    instance = tmp_path / "town.json.gz"
    assert run(["bench", "instance", str(source), "--out", str(instance)]) == 0
    assert run(["bench", "partition", str(instance), "--effort", "draft", "--labels", str(source)]) == 2
    assert {path: path.read_bytes() for path in kept} == kept

    assert run(["report", str(plan), "--out", str(page)]) == 0
    page.chmod(0o444)
    written = page.read_bytes()
    assert run(["report", str(plan), "--out", str(page)]) == 2
    assert page.read_bytes() == written


def test_a_plan_or_a_town_of_another_place_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, elsewhere, plan = (tmp_path / name for name in ("town.gpkg", "elsewhere.gpkg", "plan.gpkg"))
    town_file.write(clean(small_town())[0], source)
    other = town({"901": ground(5, 4)}, estate(5, 4, 33), [])
    town_file.write(clean(other)[0], elsewhere)
    assert run(["partition", str(source), "--out", str(plan)]) == 0

    redrawn = ["partition", str(elsewhere), "--out", str(tmp_path / "new.gpkg"), "--previous", str(plan)]
    assert run(["--language", "en", *redrawn]) == 2
    assert "None of the communities of the plan in force" in capsys.readouterr().err
    page = ["report", str(plan), "--town", str(elsewhere), "--out", str(tmp_path / "page.html")]
    assert run(["--language", "en", *page]) == 2
    assert "001" in capsys.readouterr().err


@pytest.mark.parametrize("metres", ["nan", "-1", "60"])
def test_corners_are_left_out_within_reason(metres: str, tmp_path: Path) -> None:
    source = tmp_path / "town.gpkg"
    town_file.write(clean(small_town())[0], source)
    assert run(["partition", str(source), "--out", str(tmp_path / "plan.gpkg"), "--simplify", metres]) == 2
    assert not (tmp_path / "plan.gpkg").exists()


def test_unknown_rules_and_a_broken_rule_file_are_told(tmp_path: Path) -> None:
    source = tmp_path / "in.gpkg"
    town_file.write(small_town(), source)
    out = ["--out", str(tmp_path / "p.gpkg")]
    assert run(["partition", str(source), "--rules", "nowhere", *out]) == 3
    (tmp_path / "rules.toml").write_text("tiers = 3", encoding="utf-8")
    assert run(["partition", str(source), "--rules", str(tmp_path / "rules.toml"), *out]) == 2
    assert not (tmp_path / "p.gpkg").exists()


def test_violations_point_at_their_cells() -> None:
    place, _ = clean(town({"001": ground(2, 2)}, estate(2, 2, 55)))
    [item] = [v for v in violations(divide(place, load_preset("bishan"))) if v["code"].startswith("partition.out")][:1]
    assert item["depth"] == 1
    assert item["bbox"][0] < item["bbox"][2]


def test_measures_of_a_division_have_a_row_a_tier() -> None:
    place, _ = clean(small_town())
    measured = statistics(divide(place, load_preset("donggang")), place)
    assert [tier["depth"] for tier in measured["tiers"]] == [1, 2, 3]
    assert measured["tiers"][0]["in_band_ratio"] is None


@pytest.mark.parametrize(("name", "most"), [("bubenec", 4.25), ("helsinki", 30.5)])
def test_reference_instances_are_divided_well(name: str, most: float, tmp_path: Path) -> None:
    path = SHARED / "instances" / f"{name}.json.gz"
    if not path.is_file():
        pytest.skip("the instances are not here")
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(label_all(read(path), seed=0, effort=effort_named("draft")).tolist()))
    scored = subprocess.run(
        [sys.executable, str(SHARED / "graph_score.py"), str(path), str(labels)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    score = json.loads(scored.stdout)
    assert score["in_band_ratio"] == 1.0
    assert score["not_contiguous"] == 0
    assert score["J"] <= most


def test_a_broken_instance_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"partition\.bad_instance"):
        read(tmp_path / "x.json")


def test_every_sentence_of_the_partitioner_is_there_in_both_languages() -> None:
    ours = ("partition.", "cleaning.")
    zh, en = ({c for c in catalogue(language) if c.startswith(ours)} for language in ("zh", "en"))
    assert zh == en
