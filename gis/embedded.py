"""The embedded default: a private PostgreSQL and PostGIS cluster that Wangge creates, starts, finds and stops.

It listens on a unix socket only, asks for passwords of its own (SCRAM), and never runs as root: started by root it
belongs to an unprivileged account. Under the home folder of `gis.settings.Settings`::

    home/lock                one process at a time creates, starts or stops
    home/pgpass              the two passwords, mode 0600, in the format of libpq's password file
    home/cluster/data/       the data directory, with Wangge's own settings in ``wangge.conf``
    home/cluster/run/        the socket (a short folder under the system's temporary one if this path is too long)
    home/cluster/log/        a week of logs, and ``start.log``

Two database roles: `SUPERUSER` only puts the extensions into ``template1`` and makes the first database; everything
else is done by `OWNER`, which owns its databases and may create more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

from gis.errors import InvalidInput, Unavailable
from gis.settings import Settings

OLDEST_MAJOR = 15
SUPERUSER = "postgres"
OWNER = "wangge"
EXTENSIONS = ("postgis", "btree_gist", "ltree", "pg_trgm")
PORT = 5432
"""Names the socket file only; nothing listens on a network port, so clusters never collide."""
SOCKET_PATH_LIMIT = 107
"""Bytes of ``sockaddr_un.sun_path`` on Linux without the closing zero."""
START_TIMEOUT_S = 120.0
INSTALL = "apt-get install postgresql postgresql-postgis"

_SETTINGS: dict[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "200",
    # Two cores and little memory: what a small office machine has.
    "shared_buffers": "'192MB'",
    "effective_cache_size": "'1GB'",
    "work_mem": "'16MB'",
    "maintenance_work_mem": "'96MB'",
    # Many users share two cores; one query takes one. It also keeps within a container's small /dev/shm.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    # PostGIS function costs make the planner compile short queries: slower than running them.
    "jit": "off",
    "random_page_cost": "1.1",
    "max_wal_size": "'1GB'",
    "wal_compression": "on",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "logging_collector": "on",
    "log_filename": "'postgresql-%a.log'",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "'1d'",
    "log_rotation_size": "0",
    "log_min_duration_statement": "'2s'",
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""Commits still survive a kill of the server, as tests expect; only a power failure would lose them."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the embedded cluster of a home folder."""

    state: Literal["absent", "stopped", "running"]
    data: Path
    version: int | None = None
    pid: int | None = None
    socket: Path | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class _Binaries:
    """The programs of one PostgreSQL version."""

    major: int
    folder: Path

    def program(self, name: str) -> str:
        return str(self.folder / name)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Where the parts of a cluster are, and whose they are."""

    home: Path
    account: pwd.struct_passwd | None
    """The account that the programs run under, if it is not this process's own."""

    @property
    def folder(self) -> Path:
        return self.home / "cluster"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def socket(self) -> Path:
        return socket_folder(self.home)

    @property
    def as_account(self) -> dict[str, Any]:
        """Arguments of `subprocess.run` that make a program run under the account."""
        common: dict[str, Any] = {"cwd": self.folder, "umask": 0o077}
        if self.account is None:
            return common
        identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        return common | identity

    def own(self, path: Path) -> None:
        """Give a path to the account."""
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def database_url(settings: Settings) -> str:
    """The database that settings name: an existing server, checked for PostGIS, or the embedded cluster, started.

    Raises
    ------
    InvalidInput
        ``database.bad_url`` for another kind of address.
    Unavailable
        ``embedded.…`` or ``database.…``, with the remedy.
    """
    if settings.database_url is None:
        return ensure(settings.home, database=settings.database)
    url = settings.database_url.get_secret_value()
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest:
        raise InvalidInput("database.bad_url", scheme=scheme if rest else "?")
    _check_server(f"postgresql://{rest}")
    return f"postgresql://{rest}"


def ensure(home: Path, *, database: str = "wangge", durable: bool = True) -> str:
    """Make sure that the cluster of a home folder runs, with a database of this name, and give its URL.

    Safe to call from several processes at once, after a kill, and after a reboot.

    Parameters
    ----------
    home : Path
    database : str
        Letters, digits and underscores. Created if absent, owned by `OWNER`, with `EXTENSIONS`.
    durable : bool
        ``False`` gives up safety against power failure for speed; for tests only. Decided at the start of the server.

    Raises
    ------
    Unavailable
        ``embedded.no_postgresql``, ``embedded.no_postgis``, ``embedded.version_gone``, ``embedded.home_closed``,
        ``embedded.not_yours``, ``embedded.password_lost``, ``embedded.no_account``, ``embedded.failed``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", database):
        raise InvalidInput("embedded.bad_database_name", name=database)
    home = home.absolute()
    url = _known_url(home, database)
    if url is not None and _answers(url):
        return url
    _make_home(home)
    with _locked(home):
        cluster = _Cluster(home, _account_for(home / "cluster" / "data"))
        _create(cluster)
        if not _running(cluster):
            _start(cluster, durable=durable)
        _prepare(cluster, database)
    return _url(home, OWNER, database)


def stop(home: Path) -> bool:
    """Stop the cluster of a home folder; open transactions are rolled back. ``False`` if it was not running."""
    home = home.absolute()
    if not (home / "cluster" / "data").exists():
        return False
    with _locked(home):
        cluster = _Cluster(home, _account_for(home / "cluster" / "data"))
        if not _running(cluster):
            return False
        binaries = _binaries_of(cluster)
        _run(cluster, [binaries.program("pg_ctl"), "stop", "-D", str(cluster.data), "-m", "fast", "-w", "-t", "60"])
        return True


def status(home: Path) -> Status:
    """Look at the cluster of a home folder without changing anything."""
    home = home.absolute()
    data = home / "cluster" / "data"
    if not data.exists():
        return Status("absent", data)
    cluster = _Cluster(home, _account_for(data))
    pid = _postmaster(cluster)
    owner = pwd.getpwuid(data.stat().st_uid).pw_name
    if pid is None:
        return Status("stopped", data, _data_version(cluster), account=owner)
    return Status("running", data, _data_version(cluster), pid, cluster.socket, owner)


def programs(url: str) -> Path:
    """Folder of the client programs (``pg_dump`` …) at least as new as the server of a URL.

    Raises
    ------
    Unavailable
        ``embedded.no_client``.
    """
    with _connection(url) as connection:
        server = connection.info.server_version // 10000
    for binaries in reversed(_installed()):
        if binaries.major >= server and (binaries.folder / "pg_dump").exists():
            return binaries.folder
    raise Unavailable("embedded.no_client", major=server, command=f"apt-get install postgresql-client-{server}")


def check_programs() -> None:
    """Raise ``Unavailable`` unless PostgreSQL with PostGIS is on this machine."""
    _newest_with_postgis()


def socket_folder(home: Path) -> Path:
    """Where the socket of a home folder is: inside it, or in a short folder where that path would be too long."""
    inside = home / "cluster" / "run"
    if len(os.fsencode(inside / f".s.PGSQL.{PORT}.lock")) <= SOCKET_PATH_LIMIT:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path("/tmp") / f"wangge-{digest}"  # not gettempdir(): TMPDIR may differ between processes


# Programs


def _installed() -> list[_Binaries]:
    """All PostgreSQL servers on this machine that are new enough, oldest first."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    found = {(_major(folder), folder) for folder in folders if (folder / "initdb").exists()}
    return [_Binaries(major, folder) for major, folder in sorted(found) if major >= OLDEST_MAJOR]


def _major(folder: Path) -> int:
    if folder.parent.name.isdecimal():
        return int(folder.parent.name)
    shown = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"\b(\d+)(?:\.|devel|beta|rc)", shown)
    return int(match[1]) if match else 0


def _has_postgis(binaries: _Binaries) -> bool:
    shares = [Path(f"/usr/share/postgresql/{binaries.major}"), binaries.folder.parent / "share"]
    shares += [binaries.folder.parent / "share" / "postgresql"]
    config = binaries.folder / "pg_config"
    if config.exists():
        shown = subprocess.run([config, "--sharedir"], capture_output=True, text=True, check=False).stdout
        shares.append(Path(shown.strip() or "/nonexistent"))
    return any((share / "extension" / "postgis.control").exists() for share in shares)


def _newest_with_postgis() -> _Binaries:
    installed = _installed()
    if not installed:
        raise Unavailable("embedded.no_postgresql", oldest=OLDEST_MAJOR, command=INSTALL)
    for binaries in reversed(installed):
        if _has_postgis(binaries):
            return binaries
    major = installed[-1].major
    raise Unavailable("embedded.no_postgis", major=major, command=f"apt-get install postgresql-{major}-postgis-3")


def _binaries_of(cluster: _Cluster) -> _Binaries:
    """The programs that fit the data directory: PostgreSQL reads only data of its own major version."""
    major = _data_version(cluster)
    for binaries in _installed():
        if binaries.major == major:
            return binaries
    command = f"apt-get install postgresql-{major} postgresql-{major}-postgis-3"
    raise Unavailable("embedded.version_gone", major=major, path=str(cluster.data), command=command)


def _data_version(cluster: _Cluster) -> int:
    return int((cluster.data / "PG_VERSION").read_text().strip())


def _run(cluster: _Cluster, command: list[str]) -> None:
    """Run a program under the account; its own words go into the error if it fails."""
    # Not captured by pipes: the server that pg_ctl leaves behind would hold them open for ever.
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    with tempfile.TemporaryFile("w+") as output:
        arguments: dict[str, Any] = {"env": environment, "stdout": output, "stderr": output} | cluster.as_account
        outcome = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **arguments)
        if outcome.returncode != 0:
            output.seek(0)
            program = Path(command[0]).name
            raise Unavailable(
                "embedded.failed", program=program, said=output.read()[-1500:].strip(), log=_last(cluster)
            )


def _last(cluster: _Cluster) -> str:
    """The end of the newest log file, which has the reason of a failed start."""
    logs = sorted(cluster.log.glob("*.log"), key=lambda path: path.stat().st_mtime) if cluster.log.exists() else []
    return logs[-1].read_text(errors="replace")[-1500:].strip() if logs else ""


# Accounts and folders


def _account_for(data: Path) -> pwd.struct_passwd | None:
    """The account to run under: the owner of the data; for root with no data yet, an unprivileged one."""
    me = os.geteuid()
    if data.exists():
        owner = data.stat().st_uid
        if me not in (0, owner):
            raise Unavailable("embedded.not_yours", path=str(data), owner=_name_of(owner))
        return None if me == owner else pwd.getpwuid(owner)
    return _unprivileged() if me == 0 else None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unprivileged() -> pwd.struct_passwd:
    """Debian's ``postgres`` account, or one of our own, made if need be."""
    for attempt in (1, 2):
        for name in ("postgres", "wangge"):
            with contextlib.suppress(KeyError):
                return pwd.getpwnam(name)
        if attempt == 1 and shutil.which("useradd"):
            command = [
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                "wangge",
            ]
            subprocess.run(command, check=False, capture_output=True)
    raise Unavailable("embedded.no_account", command="useradd --system --user-group --no-create-home wangge")


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable("embedded.home_closed", path=str(home), account=_name_of(os.geteuid())) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise Unavailable("embedded.home_closed", path=str(home), account=_name_of(os.geteuid()))


def _make_folders(cluster: _Cluster) -> None:
    for folder in (cluster.folder, cluster.log, cluster.socket):
        if folder.is_symlink():
            raise Unavailable("embedded.home_closed", path=str(folder), account=_name_of(os.geteuid()))
        folder.mkdir(mode=0o700, exist_ok=True)
        cluster.own(folder)
        owner = cluster.account.pw_uid if cluster.account is not None else os.geteuid()
        if folder.stat().st_uid != owner:
            raise Unavailable("embedded.not_yours", path=str(folder), owner=_name_of(folder.stat().st_uid))
        folder.chmod(0o700)
    if cluster.account is not None:
        reach = subprocess.run(["test", "-x", str(cluster.folder)], check=False, **(cluster.as_account | {"cwd": "/"}))
        if reach.returncode != 0:
            raise Unavailable("embedded.home_closed", path=str(cluster.folder), account=cluster.account.pw_name)


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let one process at a time create, start or stop."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# Passwords and connections


def _passwords(home: Path) -> dict[str, str]:
    """Password by role; empty if none were made yet."""
    path = home / "pgpass"
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return {line.split(":")[3]: line.split(":")[4] for line in lines if line.count(":") == 4}


def _make_passwords(home: Path) -> None:
    lines = [f"*:*:*:{role}:{secrets.token_urlsafe(24)}\n" for role in (SUPERUSER, OWNER)]
    descriptor = os.open(home / "pgpass.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(lines)
    (home / "pgpass.new").rename(home / "pgpass")


def _url(home: Path, role: str, database: str) -> str:
    password = _passwords(home)[role]
    return (
        f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={quote(str(socket_folder(home)))}&port={PORT}"
    )


def _known_url(home: Path, database: str) -> str | None:
    if not (home / "cluster" / "ready").exists():
        return None
    try:
        return _url(home, OWNER, database)
    except (OSError, KeyError):
        return None


def _connection(url: str, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://"), autocommit=autocommit, connect_timeout=5
    )


def _answers(url: str) -> bool:
    try:
        with _connection(url):
            return True
    except psycopg.OperationalError:
        return False


def _check_server(url: str) -> None:
    """Refuse a server that is away, too old, has no PostGIS to offer, or would not let us use it."""
    try:
        with _connection(url) as connection:
            version = connection.info.server_version // 10000
            if version < OLDEST_MAJOR:
                raise Unavailable("database.too_old", major=version, oldest=OLDEST_MAJOR)
            rows = connection.execute(_EXTENSIONS_OF_SERVER, [list(EXTENSIONS)]).fetchall()
    except psycopg.Error as error:
        raise Unavailable("database.away", said=str(error).strip()) from error
    missing = [name for name, is_offered, _ in rows if not is_offered]
    if missing:
        command = f"apt-get install postgresql-{version}-postgis-3"
        raise Unavailable("database.no_postgis", missing=", ".join(missing), command=command)
    forbidden = [name for name, _, is_allowed in rows if not is_allowed]
    if forbidden:
        commands = " ".join(f"CREATE EXTENSION {name};" for name in forbidden)
        raise Unavailable("database.no_right_to_extensions", missing=", ".join(forbidden), command=commands)


# Per extension: whether the server offers it, and whether it is there or this role may create it.
_EXTENSIONS_OF_SERVER = """
SELECT wanted.name,
       EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = wanted.name),
       EXISTS (SELECT FROM pg_extension e WHERE e.extname = wanted.name)
       OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       OR (has_database_privilege(current_database(), 'CREATE')
           AND EXISTS (SELECT FROM pg_available_extension_versions v WHERE v.name = wanted.name AND v.trusted))
FROM unnest(%s::text[]) AS wanted (name) ORDER BY wanted.name
"""


# Creating and starting


def _create(cluster: _Cluster) -> None:
    """Make the data directory, if there is none; half-made ones of an interrupted call are thrown away."""
    _make_folders(cluster)
    if cluster.data.exists():
        if not {SUPERUSER, OWNER} <= _passwords(cluster.home).keys():
            raise Unavailable("embedded.password_lost", path=str(cluster.home / "pgpass"), data=str(cluster.data))
        return
    binaries = _newest_with_postgis()
    _make_passwords(cluster.home)
    half_made = cluster.folder / "data.new"
    shutil.rmtree(half_made, ignore_errors=True)
    with _password_file(cluster) as password_file:
        options = [f"--username={SUPERUSER}", f"--pwfile={password_file}", "--auth-local=scram-sha-256"]
        options += [
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        ]
        _run(cluster, [binaries.program("initdb"), "-D", str(half_made), *options])
    with (half_made / "postgresql.conf").open("a") as file:
        file.write("\ninclude_if_exists = 'wangge.conf'\n")
    (cluster.folder / "ready").unlink(missing_ok=True)
    half_made.rename(cluster.data)


@contextlib.contextmanager
def _password_file(cluster: _Cluster) -> Iterator[Path]:
    """The superuser's password where initdb, running under the account, can read it; gone afterwards."""
    path = cluster.folder / "initial-password"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(_passwords(cluster.home)[SUPERUSER])
        cluster.own(path)
        yield path
    finally:
        path.unlink()


def _start(cluster: _Cluster, *, durable: bool) -> None:
    """Start the server and wait until it takes connections.

    After a kill the server's children need a moment to notice and let go of the shared memory, hence the attempts.
    """
    binaries = _binaries_of(cluster)
    values = _SETTINGS | {"unix_socket_directories": _quoted(cluster.socket), "log_directory": _quoted(cluster.log)}
    values |= {"port": str(PORT)} | ({} if durable else _NOT_DURABLE)
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    (cluster.data / "wangge.conf").write_text("# Written by Wangge at every start.\n" + lines)
    cluster.own(cluster.data / "wangge.conf")
    command = [binaries.program("pg_ctl"), "start", "-D", str(cluster.data), "-l", str(cluster.log / "start.log")]
    deadline = time.monotonic() + 15
    while True:
        _forget_dead_postmaster(cluster)
        try:
            return _run(cluster, [*command, "-w", "-t", str(int(START_TIMEOUT_S)), "-s"])
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _postmaster(cluster: _Cluster) -> int | None:
    """Process id of the running server, if ``postmaster.pid`` names one that lives and works in our data directory.

    After a reboot the number may belong to any other process, which is why its folder is looked at.
    """
    try:
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        return pid if Path(os.readlink(f"/proc/{pid}/cwd")) == cluster.data.resolve() else None
    except (OSError, ValueError):
        return None


def _forget_dead_postmaster(cluster: _Cluster) -> None:
    """Remove a ``postmaster.pid`` whose number has gone to another process, which PostgreSQL would take for its own.

    A number that is free again is left to PostgreSQL, which checks more than we can see.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int((cluster.data / "postmaster.pid").read_text().split("\n", 1)[0])
        if Path(os.readlink(f"/proc/{pid}/cwd")) != cluster.data.resolve():
            (cluster.data / "postmaster.pid").unlink()


def _running(cluster: _Cluster) -> bool:
    """Whether the server runs; one that is still recovering is waited for."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while _postmaster(cluster) is not None and time.monotonic() < deadline:
        try:
            with _connection(_url(cluster.home, SUPERUSER, "postgres")):
                return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                path = str(cluster.home / "pgpass")
                raise Unavailable("embedded.password_lost", path=path, data=str(cluster.data)) from error
        time.sleep(0.1)
    return False


def _prepare(cluster: _Cluster, database: str) -> None:
    """Make the owner role, put the extensions into ``template1``, and make the database; what exists is left alone."""
    ready = cluster.folder / "ready"
    with _connection(_url(cluster.home, SUPERUSER, "postgres"), autocommit=True) as connection:
        if not ready.exists():
            _make_owner(connection, _passwords(cluster.home)[OWNER])
            _make_extensions(_url(cluster.home, SUPERUSER, "template1"))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
            statement = "CREATE DATABASE {} OWNER {} TEMPLATE template1"
            connection.execute(sql.SQL(statement).format(sql.Identifier(database), sql.Identifier(OWNER)))
    ready.touch()


def _make_owner(connection: psycopg.Connection[tuple[Any, ...]], password: str) -> None:
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone() is None:
        statement = sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(OWNER), sql.Literal(password)))


def _make_extensions(url: str) -> None:
    """Extensions in ``template1`` are in every database made later, so that `OWNER` needs no more rights."""
    with _connection(url, autocommit=True) as connection:
        for name in EXTENSIONS:
            connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))
        # For the checks of coordinates that PostGIS makes itself, and for GIS programs.
        connection.execute(sql.SQL("GRANT SELECT, INSERT ON spatial_ref_sys TO {}").format(sql.Identifier(OWNER)))
