"""Killed in the middle of edits: no acknowledged edit is lost, none is done twice, none is half done.

The server's process gets SIGKILL, and the database's sessions are ended, at random moments while a planner edits.
Two hundred times: ``DESK_SERVER_KILLS=20 DESK_SESSION_KILLS=180 pytest tests/desk/test_kills.py --timeout 1500``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text

from gis import desk_log, desk_rows
from gis.db import make_engine, unit_of_work
from gis.desk.packing import unpacked
from tests.api.conftest import PASSWORD
from tests.conftest import clone_of
from tests.desk.helpers import assert_whole, fingerprint

SERVERS = int(os.environ.get("DESK_SERVER_KILLS", "2"))
SESSIONS = int(os.environ.get("DESK_SESSION_KILLS", "10"))


class Server:
    """A served town whose process can be killed."""

    def __init__(self, url: str, folder: Path) -> None:
        folder.joinpath("index.html").write_text("<!doctype html>", encoding="utf-8")
        self.url = url
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.desk.server", url, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        self.port = int(self._line())
        self.child = int(self._line())

    def _line(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline()

    def kill(self) -> None:
        """SIGKILL for the process that serves; its successor is there when this returns."""
        os.kill(self.child, signal.SIGKILL)
        self.child = int(self._line())

    def stop(self) -> None:
        self._parent.kill()
        os.kill(self.child, signal.SIGKILL)
        self._parent.wait()


class Planner:
    """Edits without end; each request is sent again until it is answered."""

    def __init__(self, server: Server, plan: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.plan = plan
        origin = f"http://127.0.0.1:{server.port}"
        self.http = httpx.Client(base_url=origin, headers={"Origin": origin}, timeout=60.0)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.refused: set[str] = set()
        self.was_answered = threading.Event()

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Until the server answers for itself."""
        while True:
            try:
                answer = self.http.request(method, path, json=body)
                if answer.status_code < 500:
                    return answer
            except httpx.TransportError:
                pass

    def sign_in(self) -> None:
        assert self.send("POST", "/api/v1/session", {"username": "planner", "password": PASSWORD}).status_code == 200

    def work(self, stop: threading.Event) -> None:
        """Move, split, merge, rename and undo."""
        base = f"/api/v1/plans/{self.plan}"
        number = 0
        while not stop.is_set():
            desk = self.send("GET", f"{base}/desk").json()
            for _ in range(4):
                number += 1
                key = f"kill-{self.random.random():.12f}"
                if number % 5 == 0:
                    path, body = "undo", {}
                else:
                    path, body = "edits", self._edit(desk)
                answer = self.send("POST", f"{base}/{path}", {**body, "request_id": key})
                if answer.status_code == 200:
                    self.acknowledged[key] = answer.json()
                    self.was_answered.set()
                    break
                assert answer.status_code in (409, 422), answer.text
                self.refused.add(key)

    def _edit(self, desk: dict[str, Any]) -> dict[str, Any]:
        pick = self.random.choice
        cell = pick([one for one in desk["cells"] if one["depth"] == 2])
        part = pick(desk["parts"])
        return {
            "base": desk["seq"],
            **pick(
                [
                    {"kind": "move", "parts": [part["id"]], "to": cell["id"]},
                    {"kind": "split", "cell": cell["id"], "n": 2},
                    {"kind": "break", "building": part["building"], "by": "units"},
                    {"kind": "rename", "cell": cell["id"], "name": f"名{self.random.random():.3f}"},
                ]
            ),
        }


@pytest.fixture
def server(home: Path, built: Any, tmp_path: Path) -> Iterator[Server]:
    with clone_of(home, built[0]) as url:
        one = Server(url, tmp_path)
        yield one
        one.stop()


def test_no_acknowledged_edit_is_lost_and_none_is_half_done(server: Server, built: Any) -> None:
    engine = make_engine(server.url)
    planner = Planner(server, 0, seed=5)
    planner.sign_in()
    planner.plan = planner.send("POST", f"/api/v1/plans/{built[2]}/drafts", {"title": "x"}).json()["id"]
    planner.send("GET", f"/api/v1/plans/{planner.plan}/desk")
    with unit_of_work(engine) as session:
        before = fingerprint(session, planner.plan)
    stop = threading.Event()
    working = threading.Thread(target=planner.work, args=(stop,))
    working.start()
    try:
        struck = _strike(server, planner)
    finally:
        stop.set()
        working.join(240)
    assert struck == SERVERS + SESSIONS
    with unit_of_work(engine) as session:
        assert_whole(session, planner.plan)
        _assert_the_log_is_what_was_acknowledged(session, planner)
        _take_all_back(session, planner.plan)
        assert fingerprint(session, planner.plan) == before
        session.rollback()
    engine.dispose()


def _strike(server: Server, planner: Planner) -> int:
    """Kill at random moments, the next time when something was done since; gives how often."""
    chance = random.Random(7)
    kinds = ["server"] * SERVERS + ["session"] * SESSIONS
    chance.shuffle(kinds)
    struck = 0
    with psycopg.connect(server.url, autocommit=True) as connection:
        for kind in kinds:
            planner.was_answered.clear()
            assert planner.was_answered.wait(240)
            # Somewhere in the next edit.
            threading.Event().wait(chance.uniform(0.0, 0.08))
            if kind == "server":
                server.kill()
            else:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND application_name = 'wangge'"
                )
            struck += 1
    return struck


def _assert_the_log_is_what_was_acknowledged(session: Any, planner: Planner) -> None:
    rows = session.execute(
        text("SELECT request_id, seq FROM plan_edit WHERE plan_id = :plan ORDER BY seq"), {"plan": planner.plan}
    ).all()
    logged = {row.request_id: row.seq for row in rows}
    assert {key: told["seq"] for key, told in planner.acknowledged.items()} == logged
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert not planner.refused & logged.keys()
    assert desk_log.seq_of(session, planner.plan) == len(rows)


def _take_all_back(session: Any, plan: int) -> None:
    """Put the rows before each edit back, the latest first: not as an undo does, but straight from the log."""
    desk = session.get_one(desk_log.PlanDesk, plan)
    board = desk_rows.load(session, desk)
    entries = session.execute(
        text("SELECT rows FROM plan_edit WHERE plan_id = :plan ORDER BY seq DESC"), {"plan": plan}
    )
    for (rows,) in entries.all():
        was, became = unpacked(bytes(rows))
        for name in ("cells", "parts", "faces", "edges"):
            now = getattr(board, name)
            assert all(now.get(key) == row for key, row in getattr(became, name).items())
        desk_rows.write(session, board, was)
        board = board.replaced(was)
