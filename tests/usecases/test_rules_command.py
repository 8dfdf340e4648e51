"""`wangge rules`: a real town comes to its rules by the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gis import db, rules
from gis.models import AdminArea
from gis.permissions import SYSTEM
from gis.settings import ROOT
from scripts import cli


@pytest.fixture
def town(database, monkeypatch):
    """A county in a database of its own, which the command finds."""
    monkeypatch.setenv("WANGGE_DATABASE_URL", database.replace("postgresql+psycopg://", "postgresql://"))
    engine = db.make_engine(database)
    with db.unit_of_work(engine) as session:
        area = AdminArea(level="county", code="210699", name="东澜市")
        session.add(area)
        session.flush()
        yield_id = area.id
    yield engine, yield_id
    engine.dispose()


def test_a_preset_is_in_force_from_its_day_on(town, capsys):
    engine, area_id = town
    assert cli.run(["rules", "store", "bishan", "--area", "210699", "--from", "2026-01-01", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "bishan"
    with db.unit_of_work(engine) as session:
        row = rules.in_force(session, area_id=area_id, on=datetime(2026, 5, 1, tzinfo=UTC).date())
        assert rules.value(row).grid_tiers[0].households_max == 500


@pytest.mark.usefixtures("town")
def test_a_file_of_ones_own_follows_a_preset(capsys, tmp_path):
    own = tmp_path / "ours.toml"
    preset = (ROOT / "data" / "presets" / "rules" / "bishan.toml").read_text(encoding="utf-8")
    own.write_text(preset.replace("households_max = 500", "households_max = 450"), encoding="utf-8")
    assert cli.run(["rules", "store", "bishan", "--area", "210699", "--from", "2026-01-01"]) == 0
    assert cli.run(["rules", "store", str(own), "--area", "210699", "--from", "2026-06-01"]) == 0
    capsys.readouterr()
    assert cli.run(["rules", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["rule_sets"]
    assert [(line["code"], line["valid_from"], line["valid_to"]) for line in listed] == [
        ("ours", "2026-06-01", None),
        ("bishan", "2026-01-01", "2026-06-01"),
    ]


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [(["nowhere", "--area", "210699"], 3), (["missing.toml", "--area", "210699"], 3), (["bishan", "--area", "1"], 3)],
)
@pytest.mark.usefixtures("town")
def test_what_is_not_there_is_told(capsys, words, exit_code):
    assert cli.run(["rules", "store", *words]) == exit_code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("town")
def test_a_broken_file_says_where(capsys, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("tiers = 3", encoding="utf-8")
    assert cli.run(["rules", "store", str(broken), "--area", "210699"]) == 2
    assert str(broken) in capsys.readouterr().err


def test_the_command_acts_as_the_system_and_is_written_down(town):
    engine, _ = town
    assert cli.run(["rules", "store", "donggang", "--area", "210699"]) == 0
    with engine.connect() as connection:
        actor = connection.exec_driver_sql("SELECT actor FROM audit_log WHERE action = 'rules.store'").scalar()
    assert actor == SYSTEM.name
