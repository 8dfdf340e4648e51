"""The benchmark on few points: everything agrees, and an engine that fails is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import bench_geotag
from scripts.cli import run


def figures(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    monkeypatch.setattr(bench_geotag, "FILE_ROWS", 1000)
    monkeypatch.setattr(bench_geotag, "ADVERSARIAL", 300)
    few = ["--points", "2000", "--grids", "20", "--runs", "1", "--no-sql", "--json"]
    assert run(["bench", "geotag", *few, *words]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_nothing_is_wrong_on_points_edges_and_corners(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = figures(capsys, monkeypatch)
    assert [(row["task"], row["threads"]) for row in told["rows"]] == [
        ("points", 1), ("points", 2), ("file.csv", 1), ("file.csv", 2), ("file.parquet", 1), ("file.parquet", 2),
    ]  # fmt: skip
    assert [row["wrong"] for row in told["rows"]][:2] == [0, 0]
    assert (told["adversarial"]["wrong"]["index"], told["adversarial"]["wrong"]["batch"]) == (0, 0)
    assert told["adversarial"]["wrong"]["within"] > 0


def test_an_engine_that_fails_is_told_and_the_rest_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text("import sys\nsys.exit('out of order')\n")
    monkeypatch.setattr(bench_geotag, "RUNNER", fake)
    monkeypatch.setattr(bench_geotag, "peer_python", lambda _lock: Path(sys.executable))
    told = figures(capsys, monkeypatch, "--peers", "--no-files")
    assert {row["error"] for row in told["rows"][2:]} == {"out of order"}
    assert told["ratios"] == {}
