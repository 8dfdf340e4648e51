"""Answers written at the wire: the same as through the framework, in order, and only where nothing is unusual."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from api.front import FRONT, FrontedApp, Reply
from api.wire import WireProtocol
from tests.api.test_live import WAIT_S
from tests.api.test_locate import POINTS, question, woken

BIG = b"x" * 4_000_000


class Fast:
    """Answers by the question; remembers at what door it was asked."""

    def __init__(self) -> None:
        self.doors: list[str] = []

    def __call__(self, scope: Any, *_: Any) -> Reply | None:
        self.doors.append("asgi")
        return self._answer(scope)

    def at_once(self, scope: Any) -> Reply | None:
        self.doors.append("wire")
        return self._answer(scope)

    def _answer(self, scope: Any) -> Reply | None:
        asked = scope["query_string"]
        if asked == b"break":
            raise RuntimeError("broken on purpose")
        if asked == b"known":
            return Reply(b"", 304, ((b"etag", b'"one"'),))
        return None if asked == b"leave" else Reply(BIG if asked == b"big" else b"fast " + asked)


@contextmanager
def listening(app: Any, **options: Any) -> Iterator[int]:
    """The application on a port of loopback, as `wangge serve` has it."""
    line = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = line.getsockname()[1]
    given = {"http": WireProtocol, "access_log": False, "log_level": "error", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, **(given | options)))
    thread = threading.Thread(target=server.run, args=([line],))
    thread.start()
    ends = time.monotonic() + WAIT_S
    while not server.started:
        assert time.monotonic() < ends
        assert thread.is_alive()
        time.sleep(0.01)
    yield port
    server.should_exit = True
    thread.join(WAIT_S)
    assert not thread.is_alive()


def application(fast: Fast) -> FrontedApp:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {FRONT: app.front}

    app = FrontedApp(lifespan=lifespan)
    app.front.at("/fast", fast)

    @app.get("/fast")
    async def slow() -> str:
        await asyncio.sleep(0.05)
        return "slow"

    return app


def exchange(port: int, *sent: bytes, until: bytes, count: int = 1) -> bytes:
    """Send all at once on one connection and read until what is awaited has come so often."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(b"".join(sent))
        read = b""
        while read.count(until) < count:
            more = connection.recv(65536)
            if not more:
                break
            read += more
        return read


def ask(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: here", *headers, "", ""]).encode()


@pytest.fixture
def fast() -> Fast:
    return Fast()


@pytest.fixture
def port(fast: Fast) -> Iterator[int]:
    with listening(application(fast)) as one:
        yield one


def test_questions_that_come_at_once_are_answered_in_their_order(port: int, fast: Fast) -> None:
    asked = [ask("/fast?1"), ask("/fast?leave"), ask("/fast?2"), ask("/fast?3"), ask("/fast?leave"), ask("/fast?4")]
    read = exchange(port, *asked, until=b"fast 4")
    assert re.findall(rb'\r\n\r\n("slow"|fast \d)', read) == [
        b"fast 1",
        b'"slow"',
        b"fast 2",
        b"fast 3",
        b'"slow"',
        b"fast 4",
    ]
    assert fast.doors[0] == "wire"
    assert read.count(b"HTTP/1.1 200") == 6
    assert read.count(b"date: ") == 6


@pytest.mark.parametrize(
    "asked",
    [
        ask("/fast?1", "Connection: close"),
        ask("/fast?1", version="1.0"),
        ask("/fast?1", method="POST"),
        ask("/fast?1", "Content-Length: 4") + b"body",
        ask("/fast?1", "Transfer-Encoding: chunked") + b"4\r\nbody\r\n0\r\n\r\n",
        ask("/fast?1", "Expect: 100-continue", "Content-Length: 4") + b"body",
        ask("/f%61st?1"),
    ],
)
def test_the_unusual_goes_through_the_framework(port: int, fast: Fast, asked: bytes) -> None:
    read = exchange(port, asked, until=b"fast 1")
    assert read.endswith(b"fast 1")
    assert fast.doors == ["asgi"]
    assert exchange(port, ask("/fast?2"), until=b"fast 2").endswith(b"fast 2")
    assert fast.doors == ["asgi", "wire"]


def test_what_is_left_or_breaks_is_answered_by_the_framework(port: int, fast: Fast) -> None:
    assert exchange(port, ask("/fast?leave"), until=b'"slow"').endswith(b'"slow"')
    broken = exchange(port, ask("/fast?break"), until=b"Error")
    assert broken.startswith(b"HTTP/1.1 500")
    assert exchange(port, ask("/nothing"), until=b"Not Found").startswith(b"HTTP/1.1 404")
    assert fast.doors == ["wire", "asgi", "wire", "asgi"]


def test_a_known_answer_has_no_body_and_tells_no_length(port: int) -> None:
    read = exchange(port, ask("/fast?known"), ask("/fast?1"), until=b"fast 1")
    known = read.partition(b"\r\n\r\n")[0]
    assert known.startswith(b"HTTP/1.1 304 Not Modified")
    assert b"content-length" not in known
    assert b"x-content-type-options: nosniff" in known


def test_one_who_does_not_read_is_waited_for(port: int, fast: Fast) -> None:
    count = 12
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        connection.sendall(ask("/fast?big") * count)
        others = [exchange(port, ask(f"/fast?{n}"), until=b"fast") for n in range(5)]
        assert all(other.endswith(b"fast %d" % n) for n, other in enumerate(others))
        assert fast.doors.count("asgi") >= 1, "written without a look at what is still unread"
        read = 0
        while read < count * len(BIG):
            read += len(connection.recv(1 << 20))


@pytest.mark.parametrize("options", [{"root_path": "/below"}, {"limit_concurrency": 50}])
def test_what_the_server_itself_minds_is_left_to_it(fast: Fast, options: dict[str, Any]) -> None:
    with listening(application(fast), **options) as port:
        exchange(port, ask("/fast?1"), until=b"\r\n\r\n")
        assert "wire" not in fast.doors


def test_the_access_log_holds_every_request(fast: Fast, capfd: pytest.CaptureFixture[str]) -> None:
    with listening(application(fast), access_log=True, log_level="info") as port:
        assert exchange(port, ask("/fast?seen"), until=b"fast seen").endswith(b"fast seen")
    assert "GET /fast?seen" in "".join(capfd.readouterr())


def test_an_idle_connection_is_closed(fast: Fast) -> None:
    with (
        listening(application(fast), timeout_keep_alive=1) as port,
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection,
    ):
        connection.sendall(ask("/fast?1"))
        while connection.recv(65536):
            pass  # the other side ends it


def test_cells_and_tiles_are_the_same_as_through_the_framework(service: Any) -> None:
    with woken(service):
        cookie = f"wangge_session={service.as_('viewer').cookies.get('wangge_session')}"
    place = "12/3430/1672"
    told = []
    for protocol in (WireProtocol, "auto"):
        with listening(service.app, http=protocol) as port:
            services = service.app.state.services
            assert services.present.is_there.wait(WAIT_S)
            assert services.notices.is_listening.wait(WAIT_S)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"cookie": cookie}, timeout=WAIT_S
            ) as client:
                answers = []
                for address in [*(question(*point) for point in POINTS), f"/tiles/grids/{place}.mvt"]:
                    client.get(address)  # now the caller is known and the tile kept
                    answers.append(client.get(address))
                tag = answers[-1].headers["etag"]
                answers.append(client.get(address, headers={"if-none-match": tag}))
            told.append(
                [
                    (
                        one.status_code,
                        one.content,
                        sorted(
                            set(one.headers.items())
                            - {("date", one.headers["date"]), ("x-request-id", one.headers["x-request-id"])}
                        ),
                    )
                    for one in answers
                ]
            )
    assert told[0] == told[1]
    assert told[0][-1][0] == 304
