"""Which cell answers for a point: thin way, documented route and database say the same, and nobody sees more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import anyio
import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from api import locating
from api.credentials import Credential
from gis import accounts, plan_copy, plans
from gis.crs import parse, points_from_wgs84
from gis.db import make_engine, unit_of_work
from gis.permissions import SYSTEM, Actor, Grant, Role
from tests.api.conftest import serving
from tests.usecases.builders import LAT, LON, SIZE

AT = "/api/v1/locate"
POINTS = (
    (LON + 0.0037, LAT + 0.0038),  # inside, in a stack
    (LON + 0.0063, LAT + 0.0081),  # well inside
    (LON + SIZE / 2, LAT + 0.0031),  # on a border of grids
    (LON + SIZE, LAT + 0.0031),  # on a border of communities
    (LON - 0.0005, LAT + 0.002),  # just outside
    (LON - 0.02, LAT + 0.002),  # far outside
    (LON + 1.7 * SIZE, LAT + 0.0044),
)


def until(is_so: Callable[[], Any], *, seconds: float = 120.0) -> Any:
    """Wait for a state."""
    ends = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
    return found


@contextmanager
def woken(service: Any) -> Iterator[Any]:
    """The service with all that runs beside it, its index loaded."""
    with TestClient(service.app):
        services = service.app.state.services
        assert services.present.is_there.wait(120)
        assert services.notices.is_listening.wait(120)
        yield service


@pytest.fixture(scope="module")
def awake(home: Any, built: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service that is awake, for tests that leave it as it was."""
    with serving(home, built, tmp_path_factory.mktemp("pages")) as service, woken(service) as one:
        yield one


@pytest.fixture
def own(service: Any) -> Iterator[Any]:
    """A service that is awake, of the test's own."""
    with woken(service) as one:
        yield one


def question(lon: float, lat: float) -> str:
    return f"{AT}?lon={lon!r}&lat={lat!r}"


@pytest.mark.parametrize("brief", ["", "&brief=true"])
@pytest.mark.parametrize("name", ["admin", "viewer", "viewer1", "dispatcher0"])
def test_three_ways_say_the_same(awake: Any, name: str, brief: str) -> None:
    client = awake.as_(name)
    asked_at = awake.clock.now.isoformat().replace("+00:00", "Z")
    front = awake.app.front
    for lon, lat in POINTS:
        routed = client.get(f"{question(lon, lat)}{brief}&crs=wgs84").content
        thin = client.get(question(lon, lat) + brief)
        assert thin.content == routed
        assert thin.headers["content-type"] == "application/json"
        services = awake.app.state.services
        loaded, services.present._loaded = services.present._loaded, None  # nobody has loaded anything yet
        stored = client.get(f"{question(lon, lat)}{brief}&at={asked_at}")
        services.present._loaded = loaded
        assert stored.status_code == 200, stored.text
        assert stored.json() == thin.json()
    assert front.find(AT) is not None


def test_in_brief_the_same_cells_and_people_are_named(awake: Any) -> None:
    client = awake.as_("admin")
    for lon, lat in POINTS:
        whole, brief = client.get(question(lon, lat)).json(), client.get(f"{question(lon, lat)}&brief=true").json()
        assert "area" not in brief
        for member in ("how", "distance_m", "flags", "plan_id", "version"):
            assert brief[member] == whole[member]
        for short, long in zip([brief, *brief["candidates"]], [whole, *whole["candidates"]], strict=True):
            for kind in ("micro_grid", "grid"):
                assert (short[kind] or {}).get("code") == (long[kind] or {}).get("code")
            assert short["people"] == [
                {name: one[name] for name in ("post", "place", "name", "phone")} for one in long["people"]
            ]


# --- who may see what -------------------------------------------------------------------------------------------------


def test_nobody_is_shown_a_cell_or_a_phone_that_is_not_theirs(awake: Any) -> None:
    first, second = awake.town.communities
    for name, own, phones in (("viewer1", second, False), ("dispatcher0", first, True), ("viewer", None, False)):
        client = awake.as_(name)
        for lon, lat in POINTS:
            for address in (question(lon, lat), f"{question(lon, lat)}&crs=wgs84&accuracy_m=90"):
                told = client.get(address).json()
                for cell in (told, *told["candidates"]):
                    grid = cell["grid"]
                    assert own is None or grid is None or grid["code"].startswith(own.code)
                    assert all(phones or "*" in (one["phone"] or "*") for one in cell["people"])
                assert own is None or told["community"] is None or told["community"]["id"] == own.id
        batch = client.post(AT, json={"points": [list(point) for point in POINTS]}).json()
        assert all(own is None or cell["community"] == own.code for cell in batch["cells"])


def test_whoever_has_no_grant_or_no_session_is_refused(awake: Any) -> None:
    asked = question(*POINTS[1])
    assert awake.as_(None).get(asked).json()["code"] == "access.no_session"
    assert awake.as_("nobody").get(asked).json()["code"] == "access.no_grant"
    stranger = TestClient(awake.app, base_url="http://wangge.test", cookies={"wangge_session": "x" * 40})
    assert stranger.get(asked).status_code == 401
    language = TestClient(awake.app, base_url="http://wangge.test", cookies={"wangge_lang": "en"})
    assert language.get(asked).status_code == 401


def _signed_out(service: Any) -> None:
    assert service.as_("viewer").delete("/api/v1/session").status_code in (200, 204)


def _locked(service: Any) -> None:
    with _session(service) as session:
        accounts.set_active(session, username="viewer", is_active=False, actor=SYSTEM, now=service.clock.now)


def _revoked(service: Any) -> None:
    with _session(service) as session:
        accounts.revoke(
            session, username="viewer", role=Role.VIEWER, area_id=service.town.street.id, actor=SYSTEM,
            now=service.clock.now,
        )  # fmt: skip


def _session(service: Any) -> Any:
    return unit_of_work(service.app.state.services.engine)


@pytest.mark.parametrize(("end", "status"), [(_signed_out, 401), (_locked, 401), (_revoked, 403)])
def test_whoever_has_left_is_refused_when_the_notice_comes(own: Any, end: Any, status: int) -> None:
    client = own.as_("viewer")
    cookies = dict(client.cookies)
    asked = question(*POINTS[1])
    assert client.get(asked).status_code == 200
    access = own.app.state.services.access
    assert until(lambda: access._by_headers)
    access._kept_s = 3600.0  # so that only the notice can end it
    for one in [*access._by_headers.values(), *access._known.values()]:
        one.until = float("inf")
    own.clock.forward(seconds=1)
    end(own)
    client.cookies.update(cookies)
    until(lambda: client.get(asked).status_code == status)
    assert client.get(f"{asked}&crs=wgs84").status_code == status


def test_nothing_is_taken_from_memory_while_no_notice_would_be_heard(awake: Any) -> None:
    client = awake.as_("viewer")
    assert client.get(question(*POINTS[1])).status_code == 200
    services = awake.app.state.services
    scope = {"headers": [(b"cookie", f"wangge_session={client.cookies['wangge_session']}".encode())]}
    assert services.access.seen(scope) is not None
    services.notices.is_listening.clear()
    assert services.access.seen(scope) is None
    services.notices.is_listening.set()
    assert services.access.seen({"headers": [*scope["headers"], (b"cookie", b"a=b")]}) is None


def test_an_answer_that_a_notice_overtook_is_not_kept(awake: Any) -> None:
    access = awake.app.state.services.access
    actor = Actor(7, "someone", (Grant(Role.VIEWER),))
    shown = Credential("session", "s" * 43)
    scope = {"headers": [(b"cookie", b"wangge_session=" + b"s" * 43)]}

    def revoked_meanwhile() -> Actor:
        access._heard("7")
        return actor

    access.ask(shown, revoked_meanwhile, scope=scope)
    assert access.seen(scope) is None
    access.ask(shown, lambda: actor, scope=scope)
    assert access.seen(scope) is not None
    access._heard("8")
    assert access.seen(scope) is not None
    access._heard("7")
    assert access.seen(scope) is None
    # A credential that came another way is not to be known by headers that anybody may send.
    access.ask(shown, lambda: actor, scope={"headers": [(b"cookie", b"wangge_lang=en")]})
    assert access.seen({"headers": [(b"cookie", b"wangge_lang=en")]}) is None


# --- the question -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("lon=nan&lat=39.86", "geotag.bad_coordinates"),
        ("lon=124.15&lat=inf", "geotag.bad_coordinates"),
        ("lon=39.86&lat=124.15", "geotag.bad_coordinates"),
        ("lon=181&lat=39.86", "geotag.bad_coordinates"),
        ("lon=124.15&lat=39.86&crs=mars", "crs.unknown"),
        ("lon=124.15", "http.invalid"),
        ("lon=x&lat=39.86", "http.invalid"),
        ("lon=124.15&lat=39.86&at=2026-01-01T00:00:00", "http.invalid"),
        ("lon=124.15&lat=39.86&accuracy_m=-1", "http.invalid"),
        ("lon=124.15&lat=39.86&accuracy_m=nan", "http.invalid"),
        ("lon=124.15&lat=39.86&floor=9999", "http.invalid"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(awake: Any, asked: str, code: str) -> None:
    answer = awake.as_("viewer").get(f"{AT}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_other_systems_the_past_and_floors_are_understood(awake: Any) -> None:
    client = awake.as_("admin")
    lon, lat = POINTS[1]
    here = client.get(question(lon, lat)).json()
    shifted_lon, shifted_lat = points_from_wgs84(np.array([[lon, lat]]), parse("gcj02"))[0]
    assert client.get(f"{question(float(shifted_lon), float(shifted_lat))}&crs=gcj02").json() == here
    long_ago = client.get(f"{question(lon, lat)}&at=2020-01-01T00:00:00Z").json()
    assert (long_ago["how"], long_ago["flags"]) == ("none", ["no_plan_in_force"])
    assert long_ago["version"] != here["version"]
    stack = client.get(question(*POINTS[0])).json()
    assert stack["flags"] == ["needs_floor"]
    assert stack["micro_grid"] is None
    chosen = client.get(f"{question(*POINTS[0])}&floor=7").json()
    assert (chosen["micro_grid"]["floor_from"], chosen["flags"]) == (6, [])
    assert client.get(f"{question(*POINTS[0])}&floor=77").json()["flags"] == ["needs_floor", "no_such_unit_or_floor"]


def test_a_publication_is_answered_by_within_moments_and_nothing_fails_meanwhile(own: Any) -> None:
    client = own.as_("viewer")
    asked = question(*POINTS[1])
    assert client.get(asked).json()["plan_id"] == own.plan_id
    with _session(own) as session:
        again = plan_copy.copy(session, own.plan_id, title="again", actor=SYSTEM, now=own.clock.now).id
    own.clock.forward(seconds=1)
    with _session(own) as session:
        plans.publish(session, again, actor=SYSTEM, now=own.clock.now)

    def is_new() -> bool:
        answer = client.get(asked)
        assert answer.status_code == 200
        return bool(answer.json()["plan_id"] == again)

    until(is_new)


def test_the_present_is_answered_while_the_database_is_away_and_the_past_says_so(awake: Any) -> None:
    client = awake.as_("viewer")
    asked = question(*POINTS[1])
    expected = client.get(asked).content
    services = awake.app.state.services
    gone = make_engine(services.engine.url.set(database="gone").render_as_string(hide_password=False))
    away = replace(services, engine=gone)
    awake.app.state.services = away
    try:
        assert client.get(asked).content == expected
        answer = client.get(f"{asked}&at=2026-01-01T00:00:00Z")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    finally:
        awake.app.state.services = services
        gone.dispose()


def test_a_quick_answer_carries_the_headers_of_data(awake: Any) -> None:
    client = awake.as_("viewer")
    client.get(question(*POINTS[1]))
    quick = client.get(question(*POINTS[1]))
    assert quick.headers["x-content-type-options"] == "nosniff"
    assert quick.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in quick.headers["content-security-policy"]
    again = client.get(question(*POINTS[1]))
    assert len(quick.headers["x-request-id"]) == 16
    assert quick.headers["x-request-id"] != again.headers["x-request-id"]
    assert client.head(question(*POINTS[1])).status_code == 405


# --- many points ------------------------------------------------------------------------------------------------------

ARROW = "application/vnd.apache.arrow.stream"


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def program(awake: Any, name: str | None) -> TestClient:
    """A program that asks for nothing special: it is answered in front of the framework, browsers by the route."""
    client = TestClient(awake.app, base_url="http://wangge.test", headers={"accept-encoding": "identity"})
    client.cookies = awake.as_(name).cookies
    client.get(question(*POINTS[0]))  # now it is known
    return client


def browser(awake: Any, name: str | None) -> TestClient:
    client: TestClient = awake.as_(name)
    return client


DOORS = pytest.mark.parametrize("client_of", [program, browser])


@DOORS
def test_many_points_are_answered_as_one_by_one_in_every_form(awake: Any, client_of: Any) -> None:
    points = [*POINTS, (39.86, 124.15), (999.0, 999.0)]
    for name in ("admin", "viewer1"):
        client = client_of(awake, name)
        single = [client.get(question(*point)).json() for point in POINTS]
        told = client.post(AT, json={"points": [*map(list, points), [None, 1.0]]}).json()
        cells = [told["cells"][row]["cell"] if row >= 0 else None for row in told["cell"]]
        wanted = [
            one["micro_grid"]["id"] if one["how"] in ("inside", "border") and one["micro_grid"] else None
            for one in single
        ]
        assert cells == [*wanted, None, None, None]
        lost = {row: why for why, rows in told["reasons"].items() for row in rows}
        assert [lost[row] for row in (7, 8, 9)] == ["axes_swapped", "bad_coordinates", "no_coordinates"]
        assert {row for row, index in enumerate(told["cell"]) if index < 0} == set(lost)
        pairs = np.array([*points, (np.nan, 1.0)])
        table = pa.table({"lon": pairs[:, 0], "lat": pairs[:, 1], "note": ["x"] * len(pairs)})
        for kind, body in ((ARROW, stream(table)), ("application/octet-stream", pairs.tobytes())):
            answer = client.post(AT, content=body, headers={"Content-Type": kind})
            assert answer.status_code == 200, answer.text
            with pa.ipc.open_stream(answer.content) as reader:
                rows = reader.read_all()
            brief = client.post(f"{AT}?brief=true", content=body, headers={"Content-Type": kind})
            with pa.ipc.open_stream(brief.content) as reader:
                assert reader.read_all().to_pydict() == rows.select(["cell", "reason"]).to_pydict()
            assert rows["cell"].to_pylist() == cells
            assert rows["reason"].to_pylist() == [lost.get(row) for row in range(len(pairs))]
            assert rows.schema.metadata[b"version"].decode() == told["version"]


@DOORS
def test_in_brief_many_points_are_given_ids_alone(awake: Any, client_of: Any) -> None:
    for name in ("admin", "viewer1"):
        client = client_of(awake, name)
        whole, brief = (
            client.post(f"{AT}{asked}", json={"points": list(map(list, POINTS))}).json()
            for asked in ("", "?brief=true")
        )
        assert brief["cells"] == [{"cell": one["cell"]} for one in whole["cells"]]
        assert {**brief, "cells": whole["cells"]} == whole


def test_both_doors_give_the_same_bytes_and_programs_alone_go_by_the_front(
    awake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_front: list[bool] = []
    asked = locating.FastLocate._many_points

    def watched(*given: Any) -> Any:
        answer = asked(*given)
        in_front.append(answer is not None)
        return answer

    monkeypatch.setattr(locating.FastLocate, "_many_points", watched)
    body, kind = np.array(POINTS).tobytes(), {"Content-Type": "application/octet-stream"}
    client = program(awake, "viewer")
    answers = [
        client.post(AT, content=body, headers=kind | more)
        for more in (
            {},
            {"accept-encoding": "gzip"},
            {"origin": "http://wangge.test"},
            {"sec-fetch-site": "none"},
            {"content-type": "Application/Octet-Stream; v=1"},
        )
    ]
    assert in_front == [True, False, False, False, True]
    assert len({answer.content for answer in answers}) == 1
    foreign = client.post(AT, content=body, headers=kind | {"origin": "http://elsewhere.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "http.foreign_origin")
    assert program(awake, "nobody").post(AT, content=body, headers=kind).status_code == 403
    assert program(awake, None).post(AT, content=body, headers=kind).status_code == 401


def test_a_body_that_does_not_come_is_given_up(awake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, "BODY_S", 0.05)
    cookie = program(awake, "viewer").cookies.get("wangge_session")
    sent: list[Any] = []

    async def never() -> Any:
        await anyio.sleep_forever()

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        headers = {"cookie": f"wangge_session={cookie}", "content-type": "application/octet-stream"}
        scope = {
            "type": "http", "method": "POST", "path": AT, "query_string": b"", "state": {},
            "headers": [(name.encode(), value.encode()) for name, value in {**headers, "content-length": "16"}.items()],
        }  # fmt: skip
        assert await awake.app.front.answers(scope, never, send)

    with ThreadPoolExecutor(1) as pool:  # a loop of its own
        pool.submit(anyio.run, ask).result()
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"points": 3}'),
        ("application/json", b'{"points": [1, 2]}'),
        ("application/json", b'{"points": [[1, 2, 3]]}'),
        ("application/json", b'{"points": [["a", "b"]]}'),
        ("application/octet-stream", b"123"),
        (ARROW, b""),
        (ARROW, b"not a stream at all"),
        (ARROW, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (ARROW, stream(pa.table({"lon": [1.0]}))),
        (ARROW, stream(pa.table({"lon": ["a"], "lat": ["b"]}))),
        (ARROW, stream(pa.table({"lon": [1.0], "lat": [2.0]}))[:-60]),
        (ARROW, stream(pa.table({"lon": [1.0] * 5000, "lat": [2.0] * 5000}), compression="zstd")),
        (ARROW, stream(pa.table({"lon": pa.array([1.0]).dictionary_encode(), "lat": [2.0]}))),
    ],
)
@DOORS
def test_a_body_that_cannot_be_read_is_refused(awake: Any, kind: str, body: bytes, client_of: Any) -> None:
    answer = client_of(awake, "viewer").post(AT, content=body, headers={"Content-Type": kind})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (422, "locate.bad_body")


def test_a_stream_that_says_more_than_it_holds_is_refused(awake: Any) -> None:
    body = stream(pa.table({"lon": [1.0] * 4, "lat": [2.0] * 4}))
    four, many = (4).to_bytes(8, "little"), (1_000_000).to_bytes(8, "little")
    head, rest = body[:200], body[200:]
    answer = awake.as_("viewer").post(AT, content=head + rest.replace(four, many), headers={"Content-Type": ARROW})
    assert (answer.status_code, answer.json()["code"]) == (422, "locate.bad_body")


def test_the_words_of_an_answer_are_those_of_cells_that_may_be_seen(awake: Any) -> None:
    body = stream(pa.table({"lon": [lon for lon, _ in POINTS] * 20, "lat": [lat for _, lat in POINTS] * 20}))
    answer = program(awake, "viewer1").post(AT, content=body, headers={"Content-Type": ARROW})
    with pa.ipc.open_stream(answer.content) as reader:
        codes = reader.read_all()["grid"].combine_chunks().dictionary.to_pylist()
    assert codes
    assert all(code.startswith(awake.town.communities[1].code) for code in codes)


def test_too_many_points_unknown_forms_and_no_index_are_told(own: Any) -> None:
    client = program(own, "viewer")
    many = client.post(AT, json={"points": [[1.0, 2.0]] * 10_001})
    assert (many.status_code, many.json()["code"]) == (422, "geotag.too_many")
    assert client.post(AT, json={"points": []}).json()["cell"] == []
    assert client.post(AT, content=b"x", headers={"Content-Type": "text/csv"}).status_code == 415
    large = client.post(AT, content=bytes(16_000_016), headers={"Content-Type": "application/octet-stream"})
    assert large.status_code == 413
    own.app.state.services.present._loaded = None
    none = client.post(AT, json={"points": [[1.0, 2.0]]})
    assert (none.status_code, none.json()["code"]) == (503, "locate.not_ready")
