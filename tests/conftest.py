"""What all tests share: one throw-away PostGIS cluster a run, and databases cloned from a migrated template.

The process that the user started owns the cluster's folder; workers of pytest-xdist are told where it is. The first
test that asks for a database starts the cluster (`gis.embedded`, fsync off) and migrates the template; a lock file
makes it happen once. The owner stops it at the end, and clears away what a killed earlier run left behind. Where there
is memory to spare the folder lies in it: a database takes 20 ms of one core to clone there, on a disk ten times that.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from gis import embedded

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

# The same examples in every run, however slow the machine is; `--hypothesis-profile=search` looks for others.
_ANY_PACE: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("known", derandomize=True, **_ANY_PACE)
settings.register_profile("search", derandomize=False, print_blob=True, **_ANY_PACE)
settings.load_profile("known")

PREFIX = "wangge-tests-"
TEMPLATE = "wangge_template"
HOME = pytest.StashKey[Path]()
MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that `MEMORY` must have free to hold the cluster, which grows to a tenth of it."""
SPARE = 10 << 30
"""Bytes of memory that must be available besides: a run with two workers takes half of it."""


def pytest_configure(config: pytest.Config) -> None:
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is None:
        _clear_leftovers()
        home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_best_folder()))
        home.chmod(0o755)  # as root the cluster runs under another account, which must get in
    else:
        home = Path(worker["wangge_home"])
    config.stash[HOME] = home
    # Whatever a test starts, in this process or another, finds this cluster and never the user's own.
    os.environ["WANGGE_HOME"] = str(home)
    for name in [name for name in os.environ if name.startswith("WANGGE_") and name != "WANGGE_HOME"]:
        del os.environ[name]


def _best_folder() -> Path:
    """Where the cluster goes: into memory if it cannot run short there, else into the system's temporary folder."""
    if not os.access(MEMORY, os.W_OK | os.X_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return Path(tempfile.gettempdir())
    is_spare = psutil.virtual_memory().available >= SPARE and all(limit >= SPARE for limit in _memory_limits())
    return MEMORY if is_spare else Path(tempfile.gettempdir())


def _memory_limits() -> Iterator[int]:
    """Bytes that the control groups of this process allow, in both layouts and as a container sees its own."""
    groups = [""] + [line.rpartition(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for group in groups:
        for name in (f"{group}/memory.max", f"memory{group}/memory.limit_in_bytes"):
            limit = Path("/sys/fs/cgroup", name.lstrip("/"))
            if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
                yield int(text)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that at the end no process waits for another; else the order is as it came."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the cluster is."""
    node.workerinput["wangge_home"] = str(node.config.stash[HOME])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and HOME in config.stash:
        _remove(config.stash[HOME])


def _remove(home: Path) -> None:
    embedded.stop(home)
    shutil.rmtree(embedded.socket_folder(home), ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def _clear_leftovers() -> None:
    """Stop and remove the clusters of runs that were killed: their process is gone."""
    for home in [*Path(tempfile.gettempdir()).glob(f"{PREFIX}*"), *MEMORY.glob(f"{PREFIX}*")]:
        pid = home.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(FileNotFoundError):  # another run has just removed it
            if home.stat().st_uid == os.geteuid() and not Path(f"/proc/{pid}").exists():
                _remove(home)


@pytest.fixture(scope="session")
def home(pytestconfig: pytest.Config) -> Path:
    """The home folder of this test run (``WANGGE_HOME``)."""
    return pytestconfig.stash[HOME]


@pytest.fixture(scope="session")
def template(home: Path) -> str:
    """Name of a database with all migrations and no rows; nobody connects to it."""
    with (home / "template.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / "template.done"
        if not done.exists():
            _migrate(embedded.ensure(home, database=TEMPLATE, durable=False))
            done.touch()
    return TEMPLATE


def _migrate(url: str) -> None:
    from gis.db import make_engine, migrate

    engine = make_engine(url)
    migrate(engine)
    engine.dispose()


@contextmanager
def clone_of(home: Path, template: str) -> Iterator[str]:
    """Make a database like the template, yield its URL, drop it. Costs some 50 ms."""
    name = f"t_{uuid.uuid4().hex[:16]}"
    url = _create(home, name, template)
    try:
        yield url
    finally:
        server = embedded.ensure(home, database="wangge", durable=False)  # a test may have stopped it
        with psycopg.connect(server, autocommit=True) as connection:
            # Whoever still serves it does not come back. Not WITH (FORCE): it fails whenever autovacuum, which is not
            # ours to end, is at work there.
            with suppress(psycopg.errors.InvalidCatalogName):  # a test may have dropped it
                connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
            ending = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
            ending += " AND usename = user"
            connection.execute(ending, [name])
            _when_left(connection, sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def _when_left(connection: psycopg.Connection[Any], statement: sql.Composed) -> None:
    """Do what needs a database that nobody is in; whoever was ended, or autovacuum, may take long to go."""
    for is_last in (*[False] * 20, True):
        try:
            connection.execute(statement)
            return
        except psycopg.errors.ObjectInUse:  # after five seconds
            if is_last:
                raise


def made_once(home: Path, template: str, name: str, make: Callable[[str], Any]) -> Any:
    """Fill a database in whichever process asks first; the others wait for it. To be cloned, as the template is.

    Parameters
    ----------
    home : Path
    template : str
    name : str
        Of the database: a word for what is in it.
    make : callable
        From the URL of the empty database to what is to be known of it, which goes through JSON. It leaves no
        connection open.
    """
    known = home / f"{name}.json"
    with (home / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not known.exists():
            known.write_text(json.dumps(make(_create(home, name, template))), encoding="utf-8")
    return json.loads(known.read_text(encoding="utf-8"))


def _create(home: Path, name: str, template: str) -> str:
    """Make a database like another, and give its URL."""
    server = embedded.ensure(home, database="wangge", durable=False)
    with psycopg.connect(server, autocommit=True) as connection:
        # Page by page through the log, which is the default, takes ten times as long.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        _when_left(connection, statement.format(sql.Identifier(name), sql.Identifier(template)))
    return server.replace("/wangge?", f"/{name}?")


@pytest.fixture
def database(home: Path, template: str) -> Iterator[str]:
    """URL of an empty, migrated database of one's own, with real commits; dropped afterwards."""
    with clone_of(home, template) as url:
        yield url


@pytest.fixture(scope="session")
def engine(home: Path, template: str) -> Iterator[Engine]:
    """Engine of a database shared by the tests of one process; use it through `session`, which leaves no trace."""
    from gis.db import make_engine

    with clone_of(home, template) as url:
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Session whose commits are savepoints within one transaction, which is rolled back."""
    from sqlalchemy.orm import Session

    with engine.connect() as connection, connection.begin() as transaction:
        with Session(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        transaction.rollback()
