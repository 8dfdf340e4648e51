"""Backup and restore, on a real database."""

from __future__ import annotations

import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from gis import accounts, backup, db
from gis.errors import Conflict, InvalidInput
from gis.permissions import SYSTEM
from scripts import cli

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
AREA = """
INSERT INTO admin_area (level, code, name, geom)
VALUES ('county', '210681', '甲县', ST_Multi(ST_MakeEnvelope(124, 39, 125, 40, 4326)))
"""


def _add_user(url: str, username: str) -> None:
    engine = db.make_engine(url)
    with db.unit_of_work(engine) as session:
        accounts.create_user(session, username=username, name=username, password="long enough", actor=SYSTEM, now=NOW)
    engine.dispose()


def _users(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT username FROM user_account ORDER BY 1")]


def _written(url: str, path: Path) -> backup.Manifest:
    _add_user(url, "before")
    with psycopg.connect(url) as connection:
        connection.execute(AREA)
    return backup.backup(url, path, now=NOW)


def test_a_restore_gives_back_what_was_there(database: str, tmp_path: Path) -> None:
    manifest = _written(database, tmp_path / "town.dump")
    assert manifest.rows["user_account"] == 1
    assert manifest.rows["admin_area"] == 1
    _add_user(database, "after")
    backup.restore(database, tmp_path / "town.dump")
    assert _users(database) == ["before"]
    assert backup.rows_of(database) == manifest.rows
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT ST_Area(geom), name FROM admin_area").fetchone()
    assert row == (1.0, "甲县")


def test_what_the_database_refuses_is_refused_after_a_restore_too(database: str, tmp_path: Path) -> None:
    _written(database, tmp_path / "town.dump")
    backup.restore(database, tmp_path / "town.dump")
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error):
        connection.execute("DELETE FROM audit_log")


def test_a_connection_left_open_does_not_hinder_a_restore(database: str, tmp_path: Path) -> None:
    _written(database, tmp_path / "town.dump")
    idle = psycopg.connect(database)
    idle.execute("SELECT 1")
    backup.restore(database, tmp_path / "town.dump")
    idle.close()
    assert _users(database) == ["before"]


def test_a_damaged_backup_changes_nothing(database: str, tmp_path: Path) -> None:
    path = tmp_path / "town.dump"
    _written(database, path)
    _add_user(database, "after")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput):
        backup.restore(database, path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + b"XXXX" + whole[middle + 4 :])
    with pytest.raises(InvalidInput) as caught:
        backup.restore(database, path)
    assert caught.value.code in ("backup.damaged", "backup.unreadable")
    assert _users(database) == ["after", "before"]


def test_a_backup_with_other_rows_than_it_says_changes_nothing(database: str, tmp_path: Path) -> None:
    path = tmp_path / "town.dump"
    _written(database, path)
    _add_user(database, "after")
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["rows"]["user_account"] = 7
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(tmp_path / "changed.dump", "w") as tar:
        for name in ("manifest.json", "database.dump"):
            tar.add(tmp_path / name, arcname=name)
    with pytest.raises(Conflict) as caught:
        backup.restore(database, tmp_path / "changed.dump")
    assert caught.value.code == "backup.rows_differ"
    assert _users(database) == ["after", "before"]


def test_no_database_is_left_over(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _written(database, tmp_path / "town.dump")
    own = database.partition("@/")[2].partition("?")[0]
    monkeypatch.setattr(backup.secrets, "token_hex", lambda _: own)
    backup.restore(database, tmp_path / "town.dump")
    with psycopg.connect(database) as connection:
        query = "SELECT array_agg(datname::text) FROM pg_database WHERE datname LIKE %s"
        assert connection.execute(query, [f"%{own}"]).fetchone() == ([own],)


def test_a_backup_is_private_and_overwrites_nothing(database: str, tmp_path: Path) -> None:
    path = tmp_path / "town.dump"
    _written(database, path)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidInput) as caught:
        backup.backup(database, path, now=NOW)
    assert caught.value.code == "backup.exists"


def test_the_commands_show_first_and_act_on_commit(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANGGE_DATABASE_URL", database)
    path = str(tmp_path / "town.dump")
    _add_user(database, "before")
    assert cli.run(["backup", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["user_account"] == 1
    _add_user(database, "after")
    assert cli.run(["restore", path]) == 0
    assert _users(database) == ["after", "before"]
    assert cli.run(["restore", path, "--commit"]) == 0
    assert _users(database) == ["before"]
