"""Several processes at one port: they answer alike, one that dies is replaced, and all end with their parent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gis import accounts
from gis.db import make_engine, unit_of_work
from gis.permissions import SYSTEM, Role
from tests.usecases.builders import LONG_AGO, make_category, make_town

WAIT_S = 120.0
PASSWORD = "correct horse battery"
STREAMS = 8


@contextmanager
def serving(url: str, *, workers: int) -> Iterator[tuple[str, int]]:
    """``wangge serve`` in a process of its own: its address and process number."""
    process, base = _begun(url, workers)
    if process.poll() is not None:  # somebody took the port before it did
        process, base = _begun(url, workers)
    try:
        yield base, process.pid
    finally:
        process.kill()
        process.wait(WAIT_S)


def _begun(url: str, workers: int) -> tuple[subprocess.Popen[bytes], str]:
    """The service, which answers or has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "serve", "--no-worker", "--workers", str(workers), "--port", str(port)],
        env={**os.environ, "WANGGE_DATABASE_URL": url},
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{port}"
    wait_until(lambda: process.poll() is not None or (_answers(base) and len(children(process.pid)) == workers))
    return process, base


def wait_until(state: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not state():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def children(pid: int) -> set[int]:
    """Processes that serve: not the one that multiprocessing keeps for itself."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child) for child in listed if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}
    except (FileNotFoundError, ProcessLookupError):
        return set()


@pytest.fixture
def peopled(database: str) -> str:
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        make_town(session, communities=1)
        make_category(session)
        accounts.create_user(
            session, username="dispatcher", name="d", password=PASSWORD, must_change_password=False, actor=SYSTEM,
            now=LONG_AGO,
        )  # fmt: skip
        accounts.grant(session, username="dispatcher", role=Role.DISPATCHER, area_id=None, actor=SYSTEM, now=LONG_AGO)
    engine.dispose()
    return database


@pytest.mark.slow
def test_several_processes_answer_alike_and_are_replaced_when_they_die(peopled: str) -> None:
    with serving(peopled, workers=2) as (base, parent):
        with httpx.Client(base_url=base, timeout=WAIT_S) as client:
            client.post("/api/v1/session", json={"username": "dispatcher", "password": PASSWORD}).raise_for_status()
            cookies = dict(client.cookies)
        _hear_of_a_report(base, cookies)
        before = children(parent)
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(children(parent) - before) == 1)
        wait_until(lambda: _all_answer(base, cookies))
        _hear_of_a_report(base, cookies)
        last = children(parent)
        assert len(last) == 2
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not any(_is_alive(pid) for pid in last))


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def _all_answer(base: str, cookies: dict[str, str]) -> bool:
    """Over connections of their own, so that each process is asked."""
    try:
        answers = [httpx.get(f"{base}/api/v1/incidents", cookies=cookies, timeout=WAIT_S) for _ in range(STREAMS)]
    except httpx.HTTPError:  # of a process that has just died
        return False
    return all(answer.status_code == 200 for answer in answers)


def _hear_of_a_report(base: str, cookies: dict[str, str]) -> None:
    """A report that one process takes is told by each."""
    with ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=base, cookies=cookies, timeout=WAIT_S))
        streams = [
            stack.enter_context(client.stream("GET", "/api/v1/incidents/stream")).iter_lines() for _ in range(STREAMS)
        ]
        for lines in streams:
            assert next(line for line in lines if line.startswith("event")) == "event: ready"
        title = f"report {time.monotonic_ns()}"
        report = {"lon": 124.15875, "lat": 39.86875, "category": "0201", "title": title, "request_id": title[7:]}
        client.post("/api/v1/incidents", json=report).raise_for_status()
        for lines in streams:
            told = next(line for line in lines if line.startswith("data") and title in line)
            assert json.loads(told.removeprefix("data: "))["properties"]["title"] == title
