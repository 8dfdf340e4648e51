"""``wangge import`` from end to end: files, cleaning, database, what it prints and its exit codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
import shapely
from sqlalchemy import func, select

from gis.db import make_engine, unit_of_work
from gis.exchange import town_file
from gis.models import Building, ImportRun
from gis.town import Town
from scripts.cli import run
from tests.exchange.builders import buildings, frame, square, town


@pytest.fixture
def here(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WANGGE_DATABASE_URL", database)
    return database


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.gpkg"
    town_file.write(Town({layer: town()[layer] for layer in town() if layer != "assignments"}), path)
    return path


def stored(url: str) -> tuple[int, int]:
    """Buildings and import runs in the database."""
    engine = make_engine(url)
    with unit_of_work(engine) as session:
        counts = [session.scalar(select(func.count()).select_from(table)) or 0 for table in (Building, ImportRun)]
    engine.dispose()
    return counts[0], counts[1]


def test_a_town_goes_in_and_the_second_time_changes_nothing(
    here: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", str(small), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["layers"]["buildings"] == {"inserted": 6, "updated": 0, "unchanged": 0}
    assert run(["import", str(small), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert {
        layer: counts["inserted"] + counts["updated"] for layer, counts in second["layers"].items()
    } == dict.fromkeys(first["layers"], 0)
    assert stored(here) == (6, 2)


def test_a_dry_run_keeps_nothing(here: str, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--language", "en", "import", str(small), "--dry-run"]) == 0
    assert "nothing was stored" in capsys.readouterr().out
    assert stored(here) == (0, 0)


def test_bad_rows_are_written_out_with_their_reasons_and_the_rest_is_stored(
    here: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        ("编码", "户数", "边界"),
        ("N1", "12", square(6, 0).wkt),
        ("N1", "9", square(7, 0).wkt),
        ("N2", "-4", square(7, 0).wkt),
    ]
    table = tmp_path / "楼栋.csv"
    with table.open("w", encoding="gbk", newline="") as file:
        csv.writer(file).writerows([*rows, ("=cmd()", "3", "")])
    assert run(["import", str(small)]) == 0
    report = tmp_path / "rejects.csv"
    assert run(["--language", "en", "import", str(table), "--crs", "wgs84", "--rejects", str(report)]) == 0
    with report.open(encoding="utf-8-sig") as file:
        told = list(csv.DictReader(file))
    by_code = {line["code"]: line for line in told}
    assert by_code["import.duplicate_code"]["row"] == "2"
    assert "row 1" in by_code["import.duplicate_code"]["reason"]
    assert by_code["import.number_out_of_range"]["severity"] == "repaired"
    assert by_code["import.no_geometry"]["key"] == "'=cmd()"  # no formula for a spreadsheet to run
    assert stored(here) == (8, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["none.gpkg"], 3),
        (["notes.txt"], 2),
        (["buildings.csv"], 2),
        (["buildings.csv", "--crs", "atlantis"], 2),
        (["buildings.csv", "--crs", "wgs84", "--layer", "rivers"], 2),
        (["buildings.csv", "--crs", "wgs84", "--map", "x"], 2),
        (["buildings.csv", "--crs", "wgs84", "--household-rule", "none.toml"], 3),
    ],
)
def test_a_mistake_gives_a_sentence_and_an_exit_code(
    here: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    exit_code: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("nothing\n", encoding="utf-8")
    Path("buildings.csv").write_text(f'code,wkt\nB1,"{square(0, 0).wkt}"\n', encoding="utf-8")
    assert run(["import", *arguments]) == exit_code
    told = capsys.readouterr()
    assert told.err.strip()
    assert "Traceback" not in told.err
    assert stored(here) == (0, 0)


def test_overlapping_and_crossed_outlines_are_repaired_and_told(
    here: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bow = shapely.Polygon(
        [*square(6, 0).exterior.coords[:2], square(6, 0).exterior.coords[3], square(6, 0).exterior.coords[2]]
    )
    over = frame("buildings", [{"code": "OVER", "households": 3, "geometry": square(1.2, 0.1)}])
    crossed = frame("buildings", [{"code": "BOW", "households": 3, "geometry": bow}])
    rows = pd.concat([buildings(), over, crossed], ignore_index=True)
    path = tmp_path / "messy.gpkg"
    town_file.write(Town({"areas": town()["areas"], "communities": town()["communities"], "buildings": rows}), path)
    assert run(["import", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {found["key"] for found in report["findings"] if found["severity"] != "note"} >= {"B001", "BOW"}
    assert report["layers"]["buildings"]["inserted"] == 8
    assert stored(here)[0] == 8


def test_a_file_of_which_nothing_can_be_taken_is_a_failure(
    here: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["import", str(small)]) == 0
    far = frame("buildings", [{"code": f"F{at}", "households": 3, "geometry": square(60 + at, 0)} for at in range(4)])
    town_file.write(Town({"buildings": far}), tmp_path / "far.gpkg")
    capsys.readouterr()
    assert run(["import", str(tmp_path / "far.gpkg")]) == 2
    told = capsys.readouterr().err
    assert "坐标系" in told
    assert "第 4 行" in told
    assert "楼栋" in told
    assert stored(here)[0] == 6


def test_households_are_estimated_where_the_file_has_none(here: str, tmp_path: Path) -> None:
    path = tmp_path / "town.gpkg"
    layers = {layer: town()[layer] for layer in ("areas", "communities")}
    town_file.write(Town({**layers, "buildings": buildings(households=None)}), path)
    assert run(["import", str(path), "--json"]) == 0
    engine = make_engine(here)
    with unit_of_work(engine) as session:
        rows = session.execute(select(Building.households, Building.households_estimated)).all()
    engine.dispose()
    assert all(households > 0 and estimated for households, estimated in rows)
