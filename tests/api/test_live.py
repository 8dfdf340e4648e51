"""News on a served application: who hears what, replay, polling, and listeners that are slow, stuck or foreign."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from api import live, live_listener
from api.live_answers import stay
from api.live_listener import Listener
from gis import accounts
from gis.db import unit_of_work
from gis.listing import Change, News, reaches
from gis.notices import APPLICATION
from gis.permissions import SYSTEM, Role
from tests.api.conftest import PASSWORD
from tests.api.test_incidents import report

T = TypeVar("T")
WAIT_S = 120.0
POLLED_S = 30.0
FIRST = 1
"""Number of the publication with which the town of these tests begins."""


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on a port of loopback; stops in good order."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        deadline = time.monotonic() + WAIT_S
        while not (server.started and app.state.services.notices.is_listening.is_set()):
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


@contextmanager
def listening(
    base: str, who: str, *, since: int | str | None = None, versions: bool = False
) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a stream as somebody, after its beginning; those that tell versions only if asked for."""
    headers = {} if since is None else {"Last-Event-ID": str(since)}
    with httpx.Client(base_url=base, timeout=WAIT_S) as client:
        sign_in(client, who)
        with client.stream("GET", "/api/v1/incidents/stream", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            stream = events(answer.iter_lines(), versions=versions)
            assert next(stream)["event"] == "ready"
            yield stream


def sign_in(client: httpx.Client, who: str) -> None:
    client.post("/api/v1/session", json={"username": who, "password": PASSWORD}).raise_for_status()


def events(lines: Iterator[str], *, versions: bool = False) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    for line in lines:
        if not line:
            if "data" in event and (versions or event["event"] != "in_force"):
                yield event
            event = {}
        name, _, value = line.partition(": ")
        if name in ("id", "event"):
            event[name] = value
        elif name == "data":
            event["data"] = json.loads(value)


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: a browser of another test may have left a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


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


def test_what_was_missed_is_replayed_and_nothing_twice(service: Any) -> None:
    report(service, "dispatcher", request_id="before-all")
    with served(service.app) as base:
        with listening(base, "viewer") as stream:
            report(service, "dispatcher", request_id="while-listening")
            last = next(stream)
        away = [report(service, "dispatcher", request_id=f"while-away-{n}").json()["id"] for n in range(3)]
        with listening(base, "viewer", since=last["id"]) as stream:
            assert [next(stream)["data"]["id"] for _ in away] == away
            again = report(service, "dispatcher", request_id="back-again").json()["id"]
            assert next(stream)["data"]["id"] == again
        with listening(base, "viewer1", since=FIRST) as stream:  # of five that others were told, none is theirs
            lon, lat = service.town.middle(1, 15)
            made = report(service, "dispatcher", request_id="their-own", lon=lon, lat=lat).json()
            assert next(stream)["data"]["id"] == made["id"]


def test_news_before_the_server_began_are_replayed_too(service: Any) -> None:
    made = [report(service, "dispatcher", request_id=f"quite-early-{n}").json()["id"] for n in range(3)]
    with served(service.app) as base, listening(base, "viewer", since=0) as stream:
        assert next(stream)["event"] == "plan"
        assert [next(stream)["data"]["id"] for _ in made] == made


@pytest.mark.parametrize("foreign", ["99999999999", "-1", "abc", "1" * 300, "٣", ""])
def test_a_foreign_number_is_answered_by_reading_again(service: Any, foreign: str) -> None:
    report(service, "dispatcher")
    # As bytes: browsers send whatever they were once told.
    headers = {b"Last-Event-ID": foreign.encode()}
    with served(service.app) as base, httpx.Client(base_url=base, timeout=WAIT_S) as client:
        sign_in(client, "viewer")
        with client.stream("GET", "/api/v1/incidents/stream", headers=headers) as answer:
            stream = events(answer.iter_lines())
            assert next(stream)["event"] == "ready"
            event = next(stream)
            assert (event["event"], event["id"]) == ("resync", str(FIRST + 1))


def test_commits_that_overtake_each_other_are_numbered_as_they_are_seen(service: Any) -> None:
    """The first to write is the last to commit: whoever has its number has seen the other."""
    engine = service.app.state.services.engine
    with psycopg.connect(service.url) as early:
        report(service, "dispatcher", request_id="there-from-the-first")
        early.execute(
            "INSERT INTO incident_event"
            " (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor)"
            " SELECT id, 2, 'comment', 'reported', 'reported', now(), now(), 'early' FROM incident"
        )
        late = report(service, "dispatcher", request_id="later-but-done-first").json()["id"]
        early.execute("UPDATE incident SET last_seq = 2 WHERE last_seq = 1 AND id <> %s", [late])
    news = live.read_news(engine, FIRST, 10)
    assert next(change.data["id"] for change in news.changes) == late
    assert len(news.changes) == 2
    assert news.newest == news.changes[-1].number == FIRST + 3


def test_a_publication_is_told(service: Any) -> None:
    from gis import plans
    from tests.usecases.builders import make_plan

    with served(service.app) as base, listening(base, "viewer1") as stream, listening(base, "viewer") as whole:
        with unit_of_work(service.app.state.services.engine) as session:
            plan = make_plan(session, service.town, communities=service.town.communities[1:], title="new")
            plans.publish(session, plan.id, actor=SYSTEM, now=service.clock())
        for one in (stream, whole):
            event = next(one)
            assert (event["event"], event["data"]["plan_id"], event["data"]["status"]) == ("plan", plan.id, "published")
        with listening(base, "viewer1", since=FIRST) as back:  # who was away hears of it when they come back
            assert next(back) == event
        with listening(base, "officer", since=FIRST) as elsewhere:
            report(service, "dispatcher")
            assert next(elsewhere)["event"] == "incident"


def test_another_version_in_force_is_told_at_once_and_at_the_beginning(service: Any) -> None:
    with served(service.app) as base, listening(base, "viewer", versions=True) as stream:
        first = next(stream)
        assert first["event"] == "in_force"
        assert "id" not in first
        service.app.state.services.live.now_in_force("another")
        assert next(stream)["data"] == {"version": "another"} != first["data"]
        with listening(base, "viewer", versions=True) as late:
            assert next(late)["data"] == {"version": "another"}


def test_in_front_of_the_framework_and_through_it_the_stream_is_the_same(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served_in_front: list[bool] = []
    fast = service.app.front.find("/api/v1/incidents/stream")

    def watched(*asked: Any) -> Any:
        answer = fast(*asked)
        served_in_front.append(answer is not None)
        return answer

    service.app.front.at("/api/v1/incidents/stream", watched)
    report(service, "dispatcher")
    with served(service.app) as base, httpx.Client(base_url=base, timeout=WAIT_S) as client:
        sign_in(client, "viewer")
        seen = []
        for address in ("stream?since=1", "stream?since=1", "stream?since=1&other=2", "stream"):
            with client.stream("GET", f"/api/v1/incidents/{address}") as answer:
                stream = events(answer.iter_lines())
                told = [next(stream) for _ in range(2 if "since" in address else 1)]
                names = ("content-type", "cache-control", "x-accel-buffering", "x-content-type-options")
                headers = [answer.headers.get(name) for name in names]
            seen.append((answer.status_code, headers, told))
        assert seen[0] == seen[1] == seen[2]
        assert [told[0]["data"]["last_event"] for _, _, told in seen] == [1, 1, 1, 2]
        assert served_in_front == [True, True, False, True]
        monkeypatch.setattr(live, "MAX_LISTENERS", 0)
        assert client.get("/api/v1/incidents/stream").status_code == 503


def test_nobody_listens_without_a_session_or_grant(shared: Any) -> None:
    for address in ("stream", "events"):
        assert shared.as_(None).get(f"/api/v1/incidents/{address}").status_code == 401
        assert shared.as_("nobody").get(f"/api/v1/incidents/{address}").status_code == 403


def test_a_full_house_is_refused_with_a_sentence(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_LISTENERS", 0)
    answer = shared.as_("viewer").get("/api/v1/incidents/stream")
    assert (answer.status_code, answer.json()["code"]) == (503, "live.too_many")
    assert "retry-after" in answer.headers


def test_a_stream_ends_when_its_right_ends_by_itself(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    monkeypatch.setattr(service.app.state.services.access, "_kept_s", 0.0)
    with served(service.app) as base, listening(base, "viewer") as stream:
        service.clock.forward(hours=24)  # the session has idled away
        assert next(stream)["event"] == "signed_out"
        assert next(stream, None) is None


def test_a_withdrawn_grant_ends_the_stream_before_anything_that_happened_later(service: Any) -> None:
    engine = service.app.state.services.engine
    with served(service.app) as base, listening(base, "viewer") as stream, listening(base, "dispatcher") as other:
        with unit_of_work(engine) as session:
            accounts.revoke(
                session, username="viewer", role=Role.VIEWER, area_id=service.town.street.id, actor=SYSTEM,
                now=service.clock(),
            )  # fmt: skip
        service.clock.forward(seconds=1)
        made = report(service, "dispatcher").json()
        assert next(other)["data"]["id"] == made["id"]
        assert next(stream)["event"] == "signed_out"
        assert next(stream, None) is None


def test_a_grant_that_changes_changes_what_is_heard(service: Any) -> None:
    engine = service.app.state.services.engine
    with served(service.app) as base, listening(base, "viewer1") as stream:
        report(service, "dispatcher", request_id="not-for-them-yet")
        with unit_of_work(engine) as session:
            accounts.grant(
                session, username="viewer1", role=Role.VIEWER, area_id=service.town.communities[0].id, actor=SYSTEM,
                now=service.clock(),
            )  # fmt: skip
        assert next(stream)["event"] == "resync"  # what they may see now they have not read
        made = report(service, "dispatcher", request_id="theirs-now").json()
        assert next(stream)["data"]["id"] == made["id"]


def test_signing_out_ends_the_stream(service: Any) -> None:
    with served(service.app) as base, httpx.Client(base_url=base, timeout=WAIT_S) as client:
        sign_in(client, "viewer")
        with client.stream("GET", "/api/v1/incidents/stream") as answer:
            stream = events(answer.iter_lines())
            assert next(stream)["event"] == "ready"
            with httpx.Client(base_url=base, cookies=client.cookies, timeout=WAIT_S) as other_tab:
                other_tab.delete("/api/v1/session").raise_for_status()
            assert next(stream)["event"] == "signed_out"


def test_lost_notices_are_made_good_after_the_database_comes_back(service: Any) -> None:
    with served(service.app) as base, listening(base, "viewer") as stream:
        with psycopg.connect(service.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = %s",
                [APPLICATION],
            )
        made = report(service, "dispatcher").json()
        assert next(stream)["data"]["id"] == made["id"]


def test_news_come_without_any_notice(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.05)
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE incident_event DISABLE TRIGGER tell_live")
        with served(service.app) as base, listening(base, "viewer") as stream:
            made = report(service, "dispatcher").json()["id"]
            connection.execute("INSERT INTO live_event (incident_id) VALUES (%s)", [made])
            assert next(stream)["data"]["id"] == made


def test_polling_gives_the_same_news(service: Any) -> None:
    with (
        served(service.app) as base,
        listening(base, "viewer") as stream,
        httpx.Client(base_url=base, timeout=WAIT_S) as client,
    ):
        sign_in(client, "viewer")

        def ask(**query: Any) -> dict[str, Any]:
            answer = client.get("/api/v1/incidents/events", params=query)
            assert answer.status_code == 200, answer.text
            assert answer.headers["cache-control"] == "no-store"
            return dict(answer.json())

        begin = ask()
        assert begin == {"events": [], "last_event": FIRST, "resync": False}
        report(service, "dispatcher")
        event = next(stream)
        told = ask(since=begin["last_event"], wait=POLLED_S)
        assert told["events"] == [{"id": int(event["id"]), "event": "incident", "data": event["data"]}]
        assert ask(since=told["last_event"]) == {"events": [], "last_event": FIRST + 1, "resync": False}
        assert ask(since=10**15) == {"events": [], "last_event": FIRST + 1, "resync": True}
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, since=told["last_event"], wait=POLLED_S)
            made = report(service, "dispatcher", request_id="while-waiting").json()
            assert waiting.result()["events"][0]["data"]["id"] == made["id"]
        for bad in ("since=-1", "since=abc", "since=99999999999999999999", "wait=31", "wait=-1", "wait=nan"):
            assert client.get(f"/api/v1/incidents/events?{bad}").status_code == 422


def test_polling_waits_only_for_what_may_be_seen(service: Any) -> None:
    with served(service.app) as base, httpx.Client(base_url=base, timeout=WAIT_S) as client:
        sign_in(client, "viewer1")
        report(service, "dispatcher")
        with listening(base, "viewer", since=FIRST) as stream:
            next(stream)
        answer = client.get("/api/v1/incidents/events?since=1").json()
        assert answer == {"events": [], "last_event": FIRST + 1, "resync": False}


class Network:
    """The sending end of an ASGI server: open, or stuck until it is opened."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.transport = self
        self.is_aborted = False
        self.left = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.open.wait()
        self.sent.append(message["body"])

    async def receive(self) -> Any:
        await self.left.wait()
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        self.is_aborted = True
        self.left.set()


def stream_to(network: Network, broadcaster: live.Broadcaster, *, rights: Callable[[], Any] = lambda: ("",)) -> Any:
    return live_listener.Stream(
        ("",), network.send, resync_message=broadcaster.resync_message, user_id=1, key="k", rights=rights
    )


def nothing_new(_after: int, _limit: int) -> News:
    return News(0, 0, [], False)


def changes(count: int, *, first: int = 1) -> list[Change]:
    return [Change(n, "incident", ("a",), {"n": n}) for n in range(first, first + count)]


def test_a_slow_listener_is_told_to_read_again_and_costs_nothing_more() -> None:
    async def scenario() -> None:
        broadcaster = live.Broadcaster(nothing_new)
        slow, quick = Network(), Network()
        slow.open.clear()
        with (
            broadcaster.joined(stream := stream_to(slow, broadcaster)),
            broadcaster.joined(stream_to(quick, broadcaster)),
        ):
            for change in changes(live_listener.BACKLOG + 100):
                await broadcaster._take(News(change.number, 1, [change], False))
            assert len(quick.sent) == live_listener.BACKLOG + 100
            assert slow.sent == []
            assert len(stream._waiting) <= live_listener.BACKLOG
            slow.open.set()
            while not slow.sent or not slow.sent[-1].endswith(b"event: resync\ndata: {}\n\n"):
                await asyncio.sleep(0)
            assert len(slow.sent) == 2  # the one that was under way, and what stands for all others
            assert slow.sent[-1].startswith(b"id: %d\n" % broadcaster.newest)
            await broadcaster._take(News(5000, 1, changes(1, first=5000), False))
            assert slow.sent[-1] == quick.sent[-1]

    in_a_loop(scenario())


def test_who_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_listener, "STALL_S", 0.02)

    async def scenario() -> None:
        broadcaster = live.Broadcaster(nothing_new)
        broadcaster._read_once.set()
        stuck = Network()
        stuck.open.clear()
        # It returns when the connection is gone, and leaves nothing behind.
        await stay(
            broadcaster, stuck.receive, stuck.send, since=None,
            listener=lambda **given: live_listener.Stream(("",), user_id=1, key="k", rights=lambda: ("",), **given),
        )  # fmt: skip
        assert stuck.is_aborted
        assert broadcaster.count() == 0

    in_a_loop(scenario())


def test_what_waits_keeps_its_order_when_the_network_opens() -> None:
    async def scenario() -> None:
        broadcaster = live.Broadcaster(nothing_new)
        network = Network()
        with broadcaster.joined(stream_to(network, broadcaster)):
            for number in range(1, 41):
                if number % 10 == 5:
                    network.open.clear()
                if number % 10 == 0:
                    network.open.set()
                    await asyncio.sleep(0)
                await broadcaster._take(News(number, 1, changes(1, first=number), False))
            while len(network.sent) < 40:
                await asyncio.sleep(0)
        numbers = [int(text.split(b"\n")[0].removeprefix(b"id: ")) for text in network.sent]
        assert numbers == list(range(1, 41))

    in_a_loop(scenario())


def test_more_than_is_kept_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "REPLAY_LIMIT", 10)

    async def scenario() -> None:
        broadcaster = live.Broadcaster(nothing_new)
        network = Network()
        await broadcaster._take(News(4, 1, changes(4), False), is_first=True)
        assert [told.number for told in broadcaster.since(0, [""]) or ()] == [1, 2, 3, 4]
        for change in changes(10, first=5):
            await broadcaster._take(News(change.number, 1, [change], False))
        assert broadcaster.since(3, [""]) is None
        assert [told.number for told in broadcaster.since(4, [""]) or ()] == list(range(5, 15))
        assert broadcaster.since(14, [""]) == []
        assert broadcaster.since(15, [""]) is None  # of another database
        assert broadcaster.since(4, ["b"]) == []
        with broadcaster.joined(stream_to(network, broadcaster)):
            await broadcaster._take(News(99, 1, changes(10, first=90), True))  # more than can be read at once
            assert network.sent == [b"id: 99\nevent: resync\ndata: {}\n\n"]
            await broadcaster._take(News(7, 1, [], False))  # an older copy of the database was put in its place
            assert network.sent[-1] == b"id: 7\nevent: resync\ndata: {}\n\n"
            assert broadcaster.since(7, [""]) == []

    in_a_loop(scenario())


def test_a_replay_that_breaks_off_is_gone_on_with_from_where_it_began() -> None:
    async def scenario() -> None:
        broadcaster = live.Broadcaster(nothing_new)
        broadcaster._read_once.set()
        await broadcaster._take(News(4, 1, changes(4), False), is_first=True)
        network = Network()
        staying = asyncio.create_task(stay(
            broadcaster, network.receive, network.send, since="1",
            listener=lambda **given: live_listener.Stream(("",), user_id=1, key="k", rights=lambda: ("",), **given),
        ))  # fmt: skip
        async with asyncio.timeout(WAIT_S):
            while len(network.sent) < 4:
                await asyncio.sleep(0)
            network.left.set()
            await staying
        sent = b"".join(network.sent)
        numbers = [int(line.removeprefix(b"id: ")) for line in sent.split(b"\n") if line.startswith(b"id: ")]
        assert numbers == [1, 2, 3, 4]

    in_a_loop(scenario())


def test_news_that_cannot_be_told_do_not_end_those_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PATIENCE_S", 0.0)
    reads = iter([
        News(0, 0, [], False),
        News(1, 1, [Change(1, "incident", ("a",), {"n": object()})], False),
        News(2, 1, changes(1, first=2), False),
    ])  # fmt: skip

    async def scenario() -> None:
        broadcaster = live.Broadcaster(lambda _after, _limit: next(reads, News(2, 1, [], False)))
        network = Network()
        with ThreadPoolExecutor(1) as reader, broadcaster.joined(stream_to(network, broadcaster)):
            task = asyncio.create_task(broadcaster._tell(reader))
            async with asyncio.timeout(WAIT_S):
                while not network.sent or not network.sent[-1].startswith(b"id: 2\nevent: incident\n"):
                    broadcaster._woken.set()
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert network.sent[0] == b"id: 1\nevent: resync\ndata: {}\n\n"

    in_a_loop(scenario())


def test_in_no_area_only_those_who_see_everywhere_hear() -> None:
    assert reaches([""], [None])
    assert not reaches(["210681"], [None])
    assert reaches(["210681"], ["210681.210681001"])
    assert not reaches(["210681"], ["2106810.210681001"])
    assert reaches(["210681.210681002"], ["210681.210681001", "210681.210681002"])


class Ear(Listener):
    """Somebody in this process who notes what they hear."""

    def __init__(self) -> None:
        super().__init__(("",), user_id=None, key="ear", rights=lambda: ("",))
        self.heard: list[Any] = []

    def offer(self, message: Any) -> None:
        self.heard += [message["body"]] * (b"event: incident" in message["body"])

    def end(self) -> None:
        self.heard.clear()


def test_whoever_reports_is_answered_when_the_news_are_told_or_a_moment_later(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear, broadcaster = Ear(), service.app.state.services.live
    with served(service.app), broadcaster.joined(ear):
        monkeypatch.setattr(live, "TELLING_S", WAIT_S)
        assert report(service, "dispatcher").status_code == 201
        assert ear.heard

        def away(*_: Any) -> Any:
            raise OperationalError("", {}, Exception("away"))

        monkeypatch.setattr(live, "TELLING_S", 0.01)
        monkeypatch.setattr(broadcaster, "_read", away)
        assert report(service, "dispatcher", request_id="request-2").status_code == 201
        assert len(ear.heard) == 1
