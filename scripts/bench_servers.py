"""Servers that are measured, each in a process of its own on the same uvicorn: ours, the ceilings, and a plain query.

usage: python -m scripts.bench_servers KIND URL PORT HOME [WORKERS]

KIND is one of

``ours``, ``ours_routed``
    As served; the same without the thin way in front of FastAPI.
``open``, ``open_routed``
    The same for somebody whom nobody has to look up.
``bare``
    An ASGI application that does nothing.
``route``
    A FastAPI route with two numbers that does nothing.
``query``
    A FastAPI route that asks PostGIS for cell, grid and people over a pool of connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg_pool
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from starlette.types import Receive, Scope, Send

from api.access import Access, AccessCache
from api.app import create_app
from api.wire import WireProtocol
from gis.errors import Unavailable
from gis.permissions import SYSTEM
from gis.settings import Settings
from scripts.peer_environment import HERE
from scripts.serve import tuned

START_S = 60.0
_BODY = b"{}"


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an ASGI application can do."""
    if scope["type"] == "lifespan":
        while True:
            asked = await receive()
            await send({"type": f"{asked['type']}.complete"})
            if asked["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


def route() -> FastAPI:
    """A route with two numbers that gives a dict, and no middleware."""
    app = FastAPI()

    @app.get("/api/v1/locate")
    async def nothing(lon: float, lat: float) -> dict[str, Any]:
        return {"lon": lon, "lat": lat}

    return app


def query(url: str) -> FastAPI:
    """The same question put to PostGIS each time: one statement, prepared, over eight connections."""
    pool = psycopg_pool.AsyncConnectionPool(url, min_size=8, max_size=8, open=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        async with pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/api/v1/locate")
    async def locate(lon: float, lat: float) -> dict[str, Any]:
        async with pool.connection() as connection:
            cursor = await connection.execute(_QUERY, (lon, lat), prepare=True)
            row = await cursor.fetchone()
        return {} if row is None else {"micro_grid": {"id": row[0], "code": row[1]}, "grid": row[2], "people": row[3]}

    return app


_QUERY = """
SELECT
    cell.id, cell.code, above.code,
    (
        SELECT json_agg(person.name)
        FROM assignment AS held INNER JOIN staff AS person ON held.staff_id = person.id
        WHERE held.grid_id IN (cell.id, above.id) AND held.valid_during @> now()
    )
FROM grid AS cell
INNER JOIN grid AS above ON cell.parent_id = above.id
INNER JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id
WHERE
    cell.grid_depth = 2 AND link.in_force_during @> now()
    AND ST_Covers(cell.geom, ST_SetSRID(ST_MakePoint(%s, %s), 4326))
ORDER BY cell.id
LIMIT 1
"""


class _Everybody(AccessCache):
    """Lets everybody in, as somebody who may see all."""

    _one = Access(SYSTEM, float("inf"))

    def seen(self, scope: Any) -> Access:  # noqa: ARG002
        return self._one


def ours(url: str, home: Path, *, is_open: bool, is_fronted: bool = True) -> FastAPI:
    """The service; open: whoever asks is known beforehand; without its front: everything goes through FastAPI."""
    app = create_app(Settings(home=home), url=url)
    services = app.state.services
    if is_open:
        services.access.__class__ = _Everybody
        services.locate.who = services.access.seen
    if not is_fronted:
        app.front.clear()
    return tuned(app)


@contextmanager
def running(
    kind: str, url: str, home: Path, *, workers: int = 1, env: Mapping[str, str] | None = None
) -> Iterator[str]:
    """One of the servers of this module; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "scripts.bench_servers", kind, url, str(port), str(home), str(workers)]
    with _process(command, port, path="/api/v1/locate?lon=120.3&lat=31.5", env=env) as address:
        yield address


@contextmanager
def tipg(python: Path, url: str) -> Iterator[str]:
    """TiPG on the tables of the schema ``peer``; gives its address."""
    port = free_port()
    command = [str(python), str(HERE / "peers" / "run_tipg.py"), _plain(url), str(port)]
    with _process(command, port, path="/collections") as address:
        yield address


@contextmanager
def _process(command: list[str], port: int, *, path: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    try:
        _wait(process, address + path)
        yield address
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()


def _wait(process: subprocess.Popen[str], url: str) -> None:
    ends = time.monotonic() + START_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            said = (process.stderr.read() if process.stderr else "").strip().splitlines()
            raise Unavailable("bench.load_failed", url=url, said=said[-1] if said else "")
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(url, timeout=2).close()
            except urllib.error.HTTPError as refused:
                if refused.code >= 500:
                    continue
            return
        time.sleep(0.1)
    raise Unavailable("bench.load_failed", url=url, said="-")


def _plain(url: str) -> str:
    """A URL whose socket folder, if it has one, stands in the place of the host: TiPG checks that there is one."""
    parts = make_url(url)
    host = parts.query.get("host", parts.host)
    port = parts.query.get("port", parts.port or 5432)
    account = f"{parts.username}:{quote(parts.password or '')}"
    return f"postgresql://{account}@{quote(str(host), safe='')}:{port}/{parts.database}"


def store_peer_table(engine: Engine) -> None:
    """The micro-grids in force as a table that other servers can read."""
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS peer"))
        connection.execute(text("DROP TABLE IF EXISTS peer.micro_grid"))
        connection.execute(text(_PEER_TABLE))
        connection.execute(text("ALTER TABLE peer.micro_grid ADD PRIMARY KEY (id)"))
        connection.execute(text("CREATE INDEX ON peer.micro_grid USING gist (geom)"))
        connection.execute(text("ANALYZE peer.micro_grid"))


_PEER_TABLE = """
CREATE TABLE peer.micro_grid AS
SELECT cell.id, cell.code, above.code AS grid_code, cell.geom::geometry(MultiPolygon, 4326) AS geom
FROM grid AS cell
INNER JOIN grid AS above ON cell.parent_id = above.id
INNER JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id
WHERE link.in_force_during @> now()
"""


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def application(kind: str, url: str, home: Path) -> Any:
    """The application of a kind."""
    if kind == "bare":
        return bare
    if kind == "route":
        return route()
    if kind == "query":
        return query(url)
    is_open, is_fronted = kind.startswith("open"), not kind.endswith("_routed")
    return ours(url, home, is_open=is_open, is_fronted=is_fronted)


def main(kind: str, url: str, port: str, home: str, workers: str = "1") -> None:
    """Serve until told to stop."""
    if int(workers) > 1:
        os.environ["WANGGE_BENCH_SERVER"] = "\n".join((kind, url, home))
        uvicorn.run(
            "scripts.bench_servers:from_environment", factory=True, host="127.0.0.1", port=int(port),
            log_level="error", access_log=False, workers=int(workers), timeout_graceful_shutdown=2, http=protocol(kind),
        )  # fmt: skip
        return
    uvicorn.run(
        application(kind, url, Path(home)), host="127.0.0.1", port=int(port), log_level="error", access_log=False,
        timeout_graceful_shutdown=2, http=protocol(kind),
    )  # fmt: skip


def protocol(kind: str) -> Any:
    """What speaks HTTP: the service's own where its fast paths are measured, else uvicorn's."""
    return WireProtocol if kind in ("ours", "open") else "auto"


def from_environment() -> Any:
    """The application of one of several workers."""
    kind, url, home = os.environ["WANGGE_BENCH_SERVER"].split("\n")
    return application(kind, url, Path(home))


if __name__ == "__main__":
    main(*sys.argv[1:])
