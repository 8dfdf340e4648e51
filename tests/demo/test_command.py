from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gis.exchange import town_file
from scripts.demo_city import command


@pytest.mark.slow
def test_the_command_writes_a_town_that_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "town.gpkg"
    result = CliRunner().invoke(command, ["--out", str(path), "--seed", "1", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["residential_buildings"] == 1800
    assert figures["households"] == 96_817
    town = town_file.read(path)
    assert town["buildings"]["households"].sum() == 96_817
    assert set(town) >= {"areas", "communities", "compounds", "buildings", "barriers", "ground", "pois", "departments"}
