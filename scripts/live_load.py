"""Listeners by the hundred and reports at a steady rate, from one process: the client side of ``wangge bench live``.

Run as ``python -m scripts.live_load`` with the words of `Wish` as JSON on standard input; figures as JSON on standard
output. Reports leave at their time whether or not earlier ones are answered, so that a server that falls behind is not
spared. A report's number stands in its title; a listener only looks for that.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import uvloop

MARK = b"bench-"
DIGITS = 7
AWAY_S = 0.7
CALM_S = 0.3
"""So long before and after connections are broken times count as those of a storm."""
PATIENCE_S = 10.0
POSTING = 16
"""Connections that reports leave by."""


@dataclass(frozen=True)
class Wish:
    """What is to be done.

    Attributes
    ----------
    host, port
    listeners : int
        All may see every report.
    outsiders : int
        Listeners beside them who may see none.
    rate, seconds : float
    cookies : list of str
        Of the listeners' session, the outsiders', and the reporter's.
    points : list of (float, float)
        Where reports are.
    conninfo : str or None
        If given, reports are rows with a notice that the bare broadcast hears, and listeners plain sockets.
    """

    host: str
    port: int
    listeners: int
    outsiders: int
    rate: float
    seconds: float
    cookies: list[str]
    points: list[tuple[float, float]]
    category: str
    run: str
    conninfo: str | None = None
    cut_part: float = 0.2


class Ear(asyncio.Protocol):
    """One listener: when which report was heard, and how far the stream has told it is."""

    def __init__(self, book: Book, request: Callable[[int | None], bytes]) -> None:
        self.book = book
        self.request = request
        self.last_id: int | None = None
        self.heard: list[tuple[int, float, bool]] = []
        self.opened = asyncio.Event()
        self.back_since = 0.0
        self._tail = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Ask for the stream."""
        self.transport = transport
        self._tail = b""
        transport.write(self.request(self.last_id))

    def data_received(self, data: bytes) -> None:
        """Find the numbers of reports."""
        now = time.perf_counter()
        if not self.opened.is_set() and (b"ready" in data or b"bare" in data):
            self.opened.set()
        if self._tail:
            data = self._tail + data
        end = 0
        while (at := data.find(MARK, end)) >= 0:
            end = at + len(MARK) + DIGITS
            if end > len(data):
                end = at
                break
            number = int(data[at + len(MARK) : end])
            self.heard.append((number, now, self.book.sent_at[number] < self.back_since))
            self.book.note(number, now)
        beginning = data.rfind(b"id: ", 0, max(end, 40))
        if beginning >= 0:
            digits = data[beginning + 4 : beginning + 24].split(b"\n", 1)
            if len(digits) == 2 and digits[0].isdigit():
                self.last_id = int(digits[0])
        self._tail = data[max(end, len(data) - 40) :] if end < len(data) else b""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Closed by us or by the server."""
        self.transport = None


class Book:
    """When each report was sent, answered, and last heard."""

    def __init__(self, count: int) -> None:
        self.sent_at = [0.0] * count
        self.answered_s: list[float] = []
        self.refused = 0
        self.all_heard_at = [0.0] * count
        self.storms: list[tuple[float, float]] = []

    def is_stormy(self, number: int) -> bool:
        """Whether a report was sent while many connections were broken and made again."""
        return any(begin <= self.sent_at[number] <= end for begin, end in self.storms)

    def note(self, number: int, at: float) -> None:
        """A report was heard by somebody."""
        self.all_heard_at[number] = max(self.all_heard_at[number], at)


async def run(wish: Wish) -> dict[str, Any]:
    """Open the streams, send the reports, cut some streams, and count."""
    loop = asyncio.get_running_loop()
    count = int(wish.rate * wish.seconds)
    book = Book(count)
    asks = [_stream_request(wish, cookie) for cookie in wish.cookies[:2]]
    ears = [Ear(book, asks[0]) for _ in range(wish.listeners)]
    outside = [Ear(book, asks[1]) for _ in range(wish.outsiders)]
    began = time.perf_counter()
    for start in range(0, len(ears + outside), 100):
        part = (ears + outside)[start : start + 100]
        await asyncio.gather(*(_connect(loop, wish, ear) for ear in part))
        await asyncio.wait_for(asyncio.gather(*(ear.opened.wait() for ear in part)), PATIENCE_S)
    opened_s = time.perf_counter() - began
    post = await (_bare_poster(wish) if wish.conninfo else _poster(wish))
    cut = [] if wish.conninfo else ears[: round(wish.listeners * wish.cut_part)]
    cutting = [loop.create_task(_cut(loop, wish, cut, wish.seconds * part)) for part in (1 / 3, 2 / 3) if cut]
    await _send_all(wish, book, post)
    await asyncio.gather(*cutting)
    await _wait_for_all(ears, count)
    return _figures(wish, book, ears, outside, opened_s, cut)


async def _connect(loop: asyncio.AbstractEventLoop, wish: Wish, ear: Ear) -> None:
    await loop.create_connection(lambda: ear, wish.host, wish.port)


async def _cut(loop: asyncio.AbstractEventLoop, wish: Wish, ears: list[Ear], after_s: float) -> None:
    """Break connections, and come back a little later with the last number seen."""
    await asyncio.sleep(after_s)
    began = time.perf_counter() - CALM_S
    for ear in ears:
        if ear.transport is not None:
            ear.transport.abort()
    await asyncio.sleep(AWAY_S)
    for ear in ears:
        ear.back_since = time.perf_counter()
    await asyncio.gather(*(_connect(loop, wish, ear) for ear in ears))
    ears[0].book.storms.append((began, time.perf_counter() + CALM_S))


async def _send_all(wish: Wish, book: Book, post: Callable[[int], Awaitable[bool]]) -> None:
    async def one(number: int, at: float) -> None:
        book.sent_at[number] = at
        is_taken = await post(number)
        book.answered_s.append(time.perf_counter() - at)
        book.refused += not is_taken

    began = time.perf_counter() + 0.2
    sending = []
    for number in range(len(book.sent_at)):
        due = began + number / wish.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sending.append(asyncio.ensure_future(one(number, due)))
    await asyncio.gather(*sending)


async def _wait_for_all(ears: list[Ear], count: int) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        if all(len({number for number, _, _ in ear.heard}) == count for ear in ears):
            return
        await asyncio.sleep(0.2)


def _stream_request(wish: Wish, cookie: str) -> Callable[[int | None], bytes]:
    def request(last_id: int | None) -> bytes:
        if wish.conninfo:
            return b"listen\n"
        again = f"Last-Event-ID: {last_id}\r\n" if last_id is not None else ""
        return (
            f"GET /api/v1/incidents/stream HTTP/1.1\r\nHost: {wish.host}:{wish.port}\r\n"
            f"Accept: text/event-stream\r\nCookie: {cookie}\r\n{again}\r\n"
        ).encode()

    return request


async def _poster(wish: Wish) -> Callable[[int], Awaitable[bool]]:
    """Reports over HTTP, on connections that are kept."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(POSTING):
        free.put_nowait(await asyncio.open_connection(wish.host, wish.port))
    places = itertools.cycle(wish.points)

    async def post(number: int) -> bool:
        lon, lat = next(places)
        title = f"{MARK.decode()}{number:0{DIGITS}d}"
        report = {
            "lon": lon,
            "lat": lat,
            "category": wish.category,
            "title": title,
            "request_id": f"{wish.run}-{title}",
        }
        body = json.dumps(report).encode()
        reader, writer = await free.get()
        writer.write(
            f"POST /api/v1/incidents HTTP/1.1\r\nHost: {wish.host}:{wish.port}\r\nCookie: {wish.cookies[2]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        free.put_nowait((reader, writer))
        return head.split(b" ", 2)[1] == b"201"

    return post


async def _bare_poster(wish: Wish) -> Callable[[int], Awaitable[bool]]:
    """A row, and its text as the payload of a notice: the least that a durable report can be."""
    connection = await psycopg.AsyncConnection.connect(wish.conninfo or "", autocommit=True)
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS bare_report (id bigint GENERATED BY DEFAULT AS IDENTITY, t text)"
    )
    lock = asyncio.Lock()
    filling = "x" * 900  # about as long as an incident's feature

    async def post(number: int) -> bool:
        text = f"id: {number}\nevent: incident\ndata: {MARK.decode()}{number:0{DIGITS}d} {filling}\n\n"
        async with lock:
            await connection.execute(
                "WITH made AS (INSERT INTO bare_report (t) VALUES (%s) RETURNING t)"
                " SELECT pg_notify('bare_report', t) FROM made",
                [text],
            )
        return True

    return post


def _figures(
    wish: Wish, book: Book, ears: list[Ear], outside: list[Ear], opened_s: float, cut: list[Ear]
) -> dict[str, Any]:
    count = len(book.sent_at)
    stormy = [book.is_stormy(number) for number in range(count)]
    told = [(at - book.sent_at[n], stormy[n]) for ear in ears for n, at, is_late in ear.heard if not is_late]
    at_once = np.array([taken for taken, is_stormy in told if not is_stormy]) * 1000
    in_storms = np.array([taken for taken, is_stormy in told if is_stormy]) * 1000
    last = np.array([heard - sent for heard, sent in zip(book.all_heard_at, book.sent_at, strict=True)]) * 1000
    answered = np.array(book.answered_s) * 1000
    return {
        "listeners": wish.listeners,
        "rate": wish.rate,
        "reports": count,
        "refused": book.refused,
        "messages": sum(len(ear.heard) for ear in ears),
        "p50_ms": _percentile(at_once, 50),
        "p99_ms": _percentile(at_once, 99),
        "max_ms": _percentile(at_once, 100),
        "storm_p99_ms": _percentile(in_storms, 99),
        "last_listener_p50_ms": _percentile(last, 50),
        "answered_p50_ms": _percentile(answered, 50),
        "answered_p99_ms": _percentile(answered, 99),
        "lost": sum(count - len({number for number, _, _ in ear.heard}) for ear in ears),
        "twice": sum(len(ear.heard) - len({number for number, _, _ in ear.heard}) for ear in ears),
        "cut": 2 * len(cut),
        "replayed": sum(is_late for ear in ears for _, _, is_late in ear.heard),
        "leaked": sum(len(ear.heard) for ear in outside),
        "answered_by_part": [_percentile(part, 90) for part in np.array_split(answered, 8)],
        "opened_s": round(opened_s, 2),
        "client_cpu_s": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
    }


def _percentile(values: Any, part: float) -> float | None:
    return round(float(np.percentile(values, part)), 2) if len(values) else None


if __name__ == "__main__":
    uvloop.install()
    print(json.dumps(asyncio.run(run(Wish(**json.load(sys.stdin))))))
