"""Backup and restore of a whole database, by PostgreSQL's own programs.

A backup is one tar file: ``manifest.json`` (versions, the time, the rows of every table) and ``database.dump`` in the
custom format of pg_dump, which an administrator can also restore by hand. Rows are counted in the same snapshot that
is dumped.

A restore loads into a new database beside the present one, compares the rows with the manifest, brings the schema to
the newest revision, and only then changes the two over, in one transaction. Until then nothing has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from gis import db
from gis.embedded import EXTENSIONS, programs
from gis.errors import Conflict, InvalidInput, Unavailable

FORMAT = 1
MANIFEST, DUMP = "manifest.json", "database.dump"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    format: int
    wangge: str
    revision: str | None
    postgresql: str
    postgis: str
    made_at: str
    sha256: str
    rows: dict[str, int]


def backup(url: str, path: Path, *, now: datetime) -> Manifest:
    """Write the whole database into one file, readable by its owner only.

    Raises
    ------
    InvalidInput
        ``backup.exists``, ``backup.no_folder``.
    Unavailable
        ``backup.failed``, ``embedded.no_client``.
    """
    if path.exists():
        raise InvalidInput("backup.exists", path=str(path))
    if not path.parent.is_dir():
        raise InvalidInput("backup.no_folder", path=str(path.parent))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".backup-") as folder:
        dump = Path(folder) / DUMP
        with psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            manifest = _manifest(connection, now)
            snapshot = _one(connection, "SELECT pg_export_snapshot()")
            options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={dump}"]
            _run(url, "pg_dump", *options)
        manifest = replace(manifest, sha256=_sha256(dump))
        (Path(folder) / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2), encoding="utf-8")
        archive = Path(folder) / "archive"
        with tarfile.open(archive, "w") as tar:
            for name in (MANIFEST, DUMP):
                tar.add(Path(folder) / name, arcname=name)
        archive.chmod(0o600)
        archive.rename(path)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """What a backup says of itself.

    Raises
    ------
    InvalidInput
        ``backup.unreadable``; ``backup.unknown_format``.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            member = tar.extractfile(MANIFEST)
            assert member is not None
            manifest = Manifest(**json.load(member))
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError, AssertionError) as error:
        raise InvalidInput("backup.unreadable", path=str(path)) from error
    if manifest.format != FORMAT:
        raise InvalidInput("backup.unknown_format", path=str(path), format=manifest.format)
    return manifest


def rows_of(url: str) -> dict[str, int]:
    """Rows of every table of a database, by name."""
    with psycopg.connect(url) as connection:
        return _rows(connection)


def restore(url: str, path: Path) -> Manifest:
    """Replace the database by a backup, wholly or not at all.

    Other connections to the database are ended at the moment of the change.

    Raises
    ------
    InvalidInput
        ``backup.unreadable``, ``backup.damaged``.
    Conflict
        ``backup.newer`` if it was made by a newer Wangge; ``backup.rows_differ``.
    Unavailable
        ``backup.failed``, ``backup.no_right`` if the account may not create databases.
    """
    manifest = read_manifest(path)
    _check_revision(manifest)
    with tempfile.TemporaryDirectory(prefix="wangge-restore-") as folder:
        dump = _extract(path, Path(folder), manifest)
        with _new_database(url) as fresh:
            _load(fresh, dump, Path(folder))
            differing = _differences(manifest.rows, rows_of(fresh))
            if differing:
                raise Conflict("backup.rows_differ", tables=", ".join(differing))
            engine = db.make_engine(fresh)
            try:
                db.migrate(engine)
            finally:
                engine.dispose()
            _change_over(url, fresh)
    return manifest


def _manifest(connection: psycopg.Connection[Any], now: datetime) -> Manifest:
    revision = None
    if _one(connection, "SELECT to_regclass('alembic_version')") is not None:
        revision = _one(connection, "SELECT max(version_num) FROM alembic_version")
    return Manifest(
        format=FORMAT,
        wangge=version("wangge"),
        revision=revision,
        postgresql=_one(connection, "SHOW server_version"),
        postgis=_one(connection, "SELECT postgis_lib_version()"),
        made_at=now.isoformat(),
        sha256="",
        rows=_rows(connection),
    )


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def _rows(connection: psycopg.Connection[Any]) -> dict[str, int]:
    names = connection.execute(
        """
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind = 'r' AND NOT EXISTS (
            SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        ORDER BY c.relname
        """
    ).fetchall()
    count = "SELECT count(*) FROM {}"
    counts = {name: connection.execute(sql.SQL(count).format(sql.Identifier(name))).fetchone() for (name,) in names}
    return {name: int(row[0]) for name, row in counts.items() if row is not None}


def _differences(expected: dict[str, int], found: dict[str, int]) -> list[str]:
    return sorted(name for name in expected | found if expected.get(name) != found.get(name))


def _check_revision(manifest: Manifest) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(db.config()).walk_revisions()}
    if manifest.revision is not None and manifest.revision not in known:
        raise Conflict("backup.newer", made_by=manifest.wangge, here=version("wangge"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extract(path: Path, folder: Path, manifest: Manifest) -> Path:
    try:
        # Only the content of the one member, under our own name: whatever paths the archive holds do not matter.
        with tarfile.open(path, "r:") as tar, (folder / DUMP).open("wb") as file:
            member = tar.extractfile(DUMP)
            assert member is not None
            shutil.copyfileobj(member, file)
    except (OSError, tarfile.TarError, KeyError, AssertionError) as error:
        raise InvalidInput("backup.unreadable", path=str(path)) from error
    if _sha256(folder / DUMP) != manifest.sha256:
        raise InvalidInput("backup.damaged", path=str(path))
    return folder / DUMP


def _run(url: str, program: str, *options: str) -> str:
    """Run one of PostgreSQL's programs; the password goes by its environment, which other users cannot see."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
    values = {names[key]: str(value) for key, value in conninfo_to_dict(url).items() if key in names}
    command = [str(programs(url) / program), "--no-password", *options]
    outcome = subprocess.run(command, env=os.environ | values, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise Unavailable("backup.failed", program=program, said=outcome.stderr[-1500:].strip())
    return outcome.stdout


def _load(url: str, dump: Path, folder: Path) -> None:
    """Load a dump into an empty database. Its extensions are there already; their entries would need a superuser."""
    entries = _run(url, "pg_restore", "--list", str(dump)).splitlines()
    kept = [line for line in entries if " EXTENSION " not in line]
    (folder / "list").write_text("\n".join(kept) + "\n", encoding="utf-8")
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    database = str(conninfo_to_dict(url)["dbname"])
    _run(url, "pg_restore", *options, f"--use-list={folder / 'list'}", f"--dbname={database}", str(dump))


@contextmanager
def _new_database(url: str) -> Iterator[str]:
    """An empty database beside the one of a URL, with the extensions; gone at the end unless it was renamed."""
    name = f"restore_{secrets.token_hex(6)}"
    with psycopg.connect(_other(url, "postgres"), autocommit=True) as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template1").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable("backup.no_right", said=str(error).strip()) from error
    fresh = _other(url, name)
    try:
        with psycopg.connect(fresh, autocommit=True) as connection:
            for extension in EXTENSIONS:
                connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
        yield fresh
    except psycopg.errors.InsufficientPrivilege as error:
        raise Unavailable("backup.no_right", said=str(error).strip()) from error
    finally:
        _drop(url, name)


def _other(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database)}"))


def _drop(url: str, name: str) -> None:
    with psycopg.connect(_other(url, "postgres"), autocommit=True) as server:
        _end_connections(server, name)
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _end_connections(server: psycopg.Connection[Any], name: str) -> None:
    """End our own connections to a database. The server's own workers give way by themselves, and are not ours to end.

    Hence not ``DROP DATABASE … WITH (FORCE)``, which fails whenever autovacuum is at work there.
    """
    ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND usename = user"
    server.execute(ending, [name])


def _change_over(url: str, fresh: str) -> None:
    """Give the new database the name of the old one, and drop the old one."""
    present, new = str(conninfo_to_dict(url)["dbname"]), str(conninfo_to_dict(fresh)["dbname"])
    old = f"replaced_{secrets.token_hex(6)}"
    with psycopg.connect(_other(url, "postgres"), autocommit=True) as server:
        _allow(server, present, allowed=False)
        try:
            _end_connections(server, present)
            _rename_both(server, present, old, new)
        except psycopg.Error as error:
            _allow(server, present, allowed=True)
            raise Unavailable("backup.failed", program="ALTER DATABASE", said=str(error).strip()) from error
    _drop(url, old)


def _rename_both(server: psycopg.Connection[Any], present: str, old: str, new: str) -> None:
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with server.transaction():
        server.execute(rename.format(sql.Identifier(present), sql.Identifier(old)))
        server.execute(rename.format(sql.Identifier(new), sql.Identifier(present)))


def _allow(server: psycopg.Connection[Any], name: str, *, allowed: bool) -> None:
    statement = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    server.execute(statement.format(sql.Identifier(name), sql.Literal(allowed)))
