"""The live stream, on a served application: who hears what, replay, and slow or departed listeners."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from api import live
from gis.listing import Change
from tests.api.conftest import PASSWORD
from tests.api.test_incidents import report

WAIT_S = 20.0


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on a port of loopback; stops in good order."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + WAIT_S
        while not (server.started and app.state.services.live.is_listening.is_set()):
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


@contextmanager
def listening(base: str, who: str, *, since: int | None = None) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a stream as somebody."""
    headers = {} if since is None else {"Last-Event-ID": str(since)}
    with httpx.Client(base_url=base, timeout=WAIT_S) as client:
        client.post("/api/v1/session", json={"username": who, "password": PASSWORD}).raise_for_status()
        with client.stream("GET", "/api/v1/incidents/stream", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            assert next(lines).startswith("retry:")
            yield events(lines)


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if not line and "data" in event:
            yield event
            event = {}
        name, _, value = line.partition(": ")
        if name in ("id", "event"):
            event[name] = value
        elif name == "data":
            event["data"] = json.loads(value)


def test_what_happens_reaches_those_who_may_see_it(service: Any) -> None:
    with served(service.app) as base, listening(base, "viewer") as whole, listening(base, "viewer1") as one:
        report(service, "dispatcher", request_id="in-community-0")
        lon, lat = service.town.middle(1, 15)
        report(service, "dispatcher", request_id="in-community-1", lon=lon, lat=lat)
        first, second, only = next(whole), next(whole), next(one)
        assert [event["event"] for event in (first, second, only)] == ["incident"] * 3
        assert only["data"] == second["data"]
        assert only["data"]["properties"]["community_name"] == "社区2"
        assert first["data"]["geometry"]["type"] == "Point"
        assert int(first["id"]) < int(second["id"])


def test_an_event_has_the_shape_of_the_lists_features(service: Any) -> None:
    with served(service.app) as base, listening(base, "viewer") as stream:
        report(service, "dispatcher")
        told = next(stream)["data"]
        [listed] = service.as_("viewer").get("/api/v1/incidents").json()["features"]
        assert told == listed


def test_what_was_missed_is_replayed(service: Any) -> None:
    report(service, "dispatcher", request_id="before-all")
    with served(service.app) as base:
        with listening(base, "viewer") as stream:
            report(service, "dispatcher", request_id="while-listening")
            last = next(stream)
        report(service, "dispatcher", request_id="while-away")
        with listening(base, "viewer", since=int(last["id"])) as stream:
            replayed = {next(stream)["data"]["id"] for _ in range(3)}
        assert len(replayed) == 3  # replay begins a little earlier: seeing a state twice is harmless
        with listening(base, "viewer1", since=0) as stream:
            lon, lat = service.town.middle(1, 15)
            made = report(service, "dispatcher", request_id="their-own", lon=lon, lat=lat).json()
            assert next(stream)["data"]["id"] == made["id"]


def test_a_publication_is_told(service: Any) -> None:
    from gis import plans
    from gis.db import unit_of_work
    from gis.permissions import SYSTEM
    from tests.usecases.builders import make_plan

    with served(service.app) as base, listening(base, "viewer1") as stream:
        with unit_of_work(service.app.state.services.engine) as session:
            plan = make_plan(session, service.town, communities=service.town.communities[1:], title="new")
            plans.publish(session, plan.id, actor=SYSTEM, now=service.clock())
        event = next(stream)
        assert event["event"] == "plan"
        assert event["data"]["plan_id"] == plan.id


def test_nobody_listens_without_a_session_or_grant(shared: Any) -> None:
    assert shared.as_(None).get("/api/v1/incidents/stream").status_code == 401
    assert shared.as_("nobody").get("/api/v1/incidents/stream").status_code == 403


def test_a_stream_ends_when_its_right_ends(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(live, "RECHECK_S", 0.1)
    with served(service.app) as base, listening(base, "viewer") as stream:
        service.clock.forward(hours=24)  # the session has idled away
        assert next(stream)["event"] == "signed_out"
        assert next(stream, None) is None


def test_lost_notices_are_made_good_after_the_database_comes_back(service: Any) -> None:
    import psycopg

    with served(service.app) as base, listening(base, "viewer") as stream:
        with psycopg.connect(service.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        made = report(service, "dispatcher").json()
        assert next(stream)["data"]["id"] == made["id"]


def test_a_slow_listener_is_told_to_read_again_and_costs_nothing_more() -> None:
    async def scenario() -> list[bytes]:
        broadcaster = live.Broadcaster("postgresql://nobody@127.0.0.1/nothing")
        stream = live.stream(broadcaster, None, scopes=("",), since=None, still_allowed=lambda: True)  # type: ignore[arg-type]
        await anext(stream)
        pending = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        changes = [Change("incident", n, "a", {"n": n}) for n in range(live.QUEUE_LENGTH + 100)]
        broadcaster._spread(changes)
        [listener] = broadcaster._listeners
        assert listener.queue.qsize() <= live.QUEUE_LENGTH
        got = [await pending]
        while not got[-1].startswith(b"event: resync"):
            got.append(await anext(stream))
        await stream.aclose()
        assert not broadcaster._listeners
        return got

    # In a thread of its own: a browser of another test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(asyncio.run, scenario()).result()
    assert len(got) <= live.QUEUE_LENGTH + 2


def test_in_no_area_only_those_who_see_everywhere_hear() -> None:
    assert live._reaches(("",), None)
    assert not live._reaches(("210681",), None)
    assert live._reaches(("210681",), "210681.210681001")
    assert not live._reaches(("210681",), "2106810.210681001")
