"""The embedded cluster: made, found again, stopped, and started after every kind of end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gis import embedded
from gis.errors import InvalidInput, Unavailable
from gis.settings import Settings


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    """A cluster of its own, because these tests kill it."""
    with tempfile.TemporaryDirectory(prefix="wangge-embedded-") as folder:
        Path(folder).chmod(0o755)
        embedded.ensure(Path(folder), durable=False)
        yield Path(folder)
        embedded.stop(Path(folder))


def _one(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_a_database_has_the_extensions_and_an_owner_without_special_rights(own_home: Path) -> None:
    url = embedded.ensure(own_home, durable=False)
    assert str(_one(url, "SELECT postgis_version()")).startswith("3.")
    assert (
        _one(url, "SELECT count(*) FROM pg_extension WHERE extname IN ('postgis', 'btree_gist', 'ltree', 'pg_trgm')")
        == 4
    )
    assert _one(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


def test_it_never_runs_as_root(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    pid = embedded.status(own_home).pid
    assert pid is not None
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_it_listens_on_no_network_address(own_home: Path) -> None:
    url = embedded.ensure(own_home, durable=False)
    assert _one(url, "SHOW listen_addresses") == ""


def test_a_wrong_password_is_refused(own_home: Path) -> None:
    url = embedded.ensure(own_home, durable=False)
    wrong = url.split(":", 2)[0] + "://wangge:wrong@" + url.split("@", 1)[1]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_the_password_file_is_for_its_owner_only(own_home: Path) -> None:
    assert (own_home / "pgpass").stat().st_mode & 0o077 == 0


def test_what_was_committed_is_found_after_a_kill(own_home: Path) -> None:
    url = embedded.ensure(own_home, durable=False)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    pid = embedded.status(own_home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert _one(embedded.ensure(own_home, durable=False), "SELECT n FROM kept") == 7


def test_a_pid_file_whose_number_went_to_another_process_is_no_obstacle(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    assert embedded.stop(own_home)
    data = embedded.status(own_home).data
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")
    assert embedded.status(own_home).state == "stopped"
    embedded.ensure(own_home, durable=False)
    assert embedded.status(own_home).state == "running"


def test_processes_that_start_it_at_once_get_one_server(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    embedded.stop(own_home)
    program = "import sys; from pathlib import Path; from gis import embedded; embedded.ensure(Path(sys.argv[1]))"
    starters = [subprocess.Popen([sys.executable, "-c", program, str(own_home)]) for _ in range(3)]
    assert [starter.wait(240) for starter in starters] == [0, 0, 0]
    assert embedded.status(own_home).state == "running"


def test_databases_of_one_cluster_are_apart(own_home: Path) -> None:
    other = embedded.ensure(own_home, database="another_town", durable=False)
    assert _one(other, "SELECT current_database()") == "another_town"
    assert _one(other, "SELECT count(*) FROM pg_extension WHERE extname = 'postgis'") == 1


def test_a_home_with_a_long_path_gets_a_socket_in_a_short_folder() -> None:
    path = Path("/srv") / ("long" * 30)
    assert len(bytes(embedded.socket_folder(path))) < embedded.SOCKET_PATH_LIMIT - 30


def test_a_lost_password_file_is_named_with_the_remedy(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    embedded.stop(own_home)
    (own_home / "pgpass").rename(own_home / "aside")
    with pytest.raises(Unavailable) as caught:
        embedded.ensure(own_home, durable=False)
    (own_home / "aside").rename(own_home / "pgpass")
    assert caught.value.code == "embedded.password_lost"


def test_a_wrong_password_file_is_named_at_once(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    kept = (own_home / "pgpass").read_text()
    (own_home / "pgpass").write_text("*:*:*:postgres:wrong\n*:*:*:wangge:wrong\n")
    with pytest.raises(Unavailable) as caught:
        embedded.ensure(own_home, durable=False)
    (own_home / "pgpass").write_text(kept)
    assert caught.value.code == "embedded.password_lost"


def test_missing_programs_are_named_with_the_command_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_installed", list)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with pytest.raises(Unavailable) as caught:
            embedded.ensure(Path(folder))
    assert caught.value.code == "embedded.no_postgresql"
    assert "apt-get install" in caught.value.params["command"]


def test_a_bad_database_name_is_refused(own_home: Path) -> None:
    with pytest.raises(InvalidInput):
        embedded.ensure(own_home, database='x"; DROP')


def test_an_existing_server_is_chosen_by_the_setting_and_checked(own_home: Path) -> None:
    url = embedded.ensure(own_home, durable=False)
    assert embedded.database_url(Settings(database_url=url)) == url  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        embedded.database_url(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))  # type: ignore[arg-type]
    assert caught.value.code == "database.away"


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        embedded.database_url(Settings(database_url="mysql://somebody@somewhere/base"))  # type: ignore[arg-type]
    assert caught.value.params == {"scheme": "mysql"}


def test_a_database_without_postgis_whose_account_may_not_create_it_is_named(own_home: Path) -> None:
    embedded.ensure(own_home, durable=False)
    superuser = embedded._url(own_home, embedded.SUPERUSER, "postgres")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS bare")
        connection.execute("CREATE DATABASE bare OWNER wangge TEMPLATE template0")
    bare = embedded._url(own_home, embedded.OWNER, "bare")
    with pytest.raises(Unavailable) as caught:
        embedded.database_url(Settings(database_url=bare))  # type: ignore[arg-type]
    assert caught.value.code == "database.no_right_to_extensions"
    assert caught.value.params["missing"] == "postgis"  # the others are trusted: an owner may create them


def test_stopping_what_does_not_run_says_so(tmp_path: Path) -> None:
    assert embedded.stop(tmp_path) is False
    assert embedded.status(tmp_path).state == "absent"
