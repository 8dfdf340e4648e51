"""``wangge geotag``, from a plan file: no database is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gis.cleaning import clean
from gis.exchange import plan_file
from gis.partition import divide
from gis.rule_set import load_preset
from scripts.cli import run
from tests.partition.towns import estate, ground, town


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of one small community."""
    path = tmp_path_factory.mktemp("plan") / "plan.gpkg"
    made, _ = clean(town({"001": ground(4, 6)}, estate(4, 6, 25), [("minor", [(0, 160), (400, 160)])]))
    plan_file.write(divide(made, load_preset("bishan"), seed=1, processes=1), path)
    return path


@pytest.fixture
def calls(plan: Path, tmp_path: Path) -> Path:
    """A table with a place in each micro-grid of the plan, and one without."""
    division = plan_file.read(plan)
    points = division.cells[-1].geometry.representative_point()
    path = tmp_path / "calls.csv"
    rows = [f"{code},{point.x!r},{point.y!r}" for code, point in zip(division.cells[-1]["code"], points, strict=True)]
    path.write_text("\n".join(["expected,lon,lat", *rows, "none,,"]), encoding="utf-8")
    return path


def test_a_table_is_tagged_by_a_plan_file(
    plan: Path, calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ndjson"
    words = ["--language", "en", "geotag", str(calls), "--out", str(out), "--plan", str(plan), "--crs", "wgs84"]
    assert run([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert told["rows"] == len(rows)
    assert told["reasons"] == {"no_coordinates": 1}
    assert [row["micro_grid_code"] for row in rows[:-1]] == [row["expected"] for row in rows[:-1]]
    assert all(row["grid_code"] for row in rows[:-1])
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert "no coordinates: 1" in shown
    assert str(out) in shown


def test_chinese_headers_and_words_unless_english_is_asked_for(plan: Path, calls: Path, tmp_path: Path) -> None:
    words = ["geotag", str(calls), "--plan", str(plan), "--crs", "wgs84", "--threads", "1"]
    assert run(["--language", "zh", *words, "--out", str(tmp_path / "a.csv")]) == 0
    assert run(["--language", "zh", *words, "--out", str(tmp_path / "b.csv"), "--headers", "en"]) == 0
    first, second = ((tmp_path / name).read_text(encoding="utf-8") for name in ("a.csv", "b.csv"))
    assert "定位结果" in first
    assert "无坐标" in first
    assert "micro_grid_code" in second
    assert "no_coordinates" in second


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--out", "{in}"], "partition.same_file"),
        (["--out", "{dir}/a.pdf"], "partition.bad_ending"),
        (["--out", "{dir}/mine.csv"], "partition.not_ours"),
        (["--out", "{dir}/no/a.csv"], "partition.no_folder"),
        (["--out", "{dir}/a.csv", "--at", "2026-01-01"], "geotag.plan_without_database"),
        (["--out", "{dir}/a.csv", "--address", "expected"], "geotag.plan_without_database"),
        (["--out", "{dir}/a.csv", "--lon", "x"], "geotag.no_column"),
        (["--out", "{dir}/a.csv", "--crs", "mars"], "crs.unknown"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_done(
    plan: Path, calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: str
) -> None:
    (tmp_path / "mine.csv").write_text("somebody's own\n")
    words = [word.format(**{"in": calls, "dir": tmp_path}) for word in more]
    assert run(["--language", "en", "geotag", str(calls), "--plan", str(plan), "--crs", "wgs84", "--json", *words]) != 0
    assert code in "".join(capsys.readouterr())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.csv", "mine.csv"]


def test_an_earlier_answer_is_replaced(plan: Path, calls: Path, tmp_path: Path) -> None:
    words = ["geotag", str(calls), "--plan", str(plan), "--crs", "wgs84", "--out", str(tmp_path / "a.csv")]
    assert run(words) == 0
    before = (tmp_path / "a.csv").read_bytes()
    assert run(words) == 0
    assert (tmp_path / "a.csv").read_bytes() == before


def test_a_time_that_is_none_is_refused(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["geotag", str(calls), "--crs", "wgs84", "--out", str(tmp_path / "a.csv"), "--at", "yesterday", "--json"]
    assert run(words) == 2
    assert "geotag.bad_time" in "".join(capsys.readouterr())
