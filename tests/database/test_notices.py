"""Notices of the database: heard, made known again after a lost connection, and apart from one another's faults."""

from __future__ import annotations

import queue
from collections.abc import Callable

import psycopg
import pytest

from gis import notices as notices_module
from gis.notices import APPLICATION, Notices

WAIT_S = 120.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the thread has ended, however long that takes."""
    monkeypatch.setattr(notices_module, "_STOP_S", WAIT_S)


def _notify(url: str, channel: str, payload: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_notify(%s, %s)", [channel, payload])


def _kill_listener(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        killed = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [APPLICATION],
        ).fetchone()
    assert killed is not None
    return int(killed[0])


class Heard:
    """Puts what is heard into a queue, so that a test can wait for it."""

    def __init__(self) -> None:
        self.told: queue.Queue[str] = queue.Queue()

    def gap(self) -> None:
        self.told.put("gap")

    def __call__(self, payload: str) -> None:
        self.told.put(payload)

    def next(self) -> str:
        return self.told.get(timeout=WAIT_S)


def test_each_listener_hears_its_channels_over_one_connection(database: str) -> None:
    notices, one, two, other = Notices(database), Heard(), Heard(), Heard()
    notices.subscribe("first", one, one.gap)
    notices.subscribe("first", two, two.gap)
    notices.subscribe("Second-channel", other, other.gap)
    with notices.running():
        assert (one.next(), two.next(), other.next()) == ("gap", "gap", "gap")
        _notify(database, "first", "7")
        _notify(database, "Second-channel", "8")
        assert (one.next(), two.next(), other.next()) == ("7", "7", "8")
        assert _kill_listener(database) == 1


def test_a_channel_may_be_added_while_listening(database: str) -> None:
    notices, early, late = Notices(database), Heard(), Heard()
    notices.subscribe("early", early, early.gap)
    with notices.running():
        assert early.next() == "gap"
        notices.subscribe("late", late, late.gap)
        assert late.next() == "gap"
        _notify(database, "late", "1")
        assert late.next() == "1"
        assert early.told.empty()


def test_a_lost_connection_is_made_again_and_the_gap_told(database: str) -> None:
    notices, heard = Notices(database), Heard()
    notices.subscribe("channel", heard, heard.gap)
    with notices.running():
        assert heard.next() == "gap"
        for payload in ("1", "2"):
            assert _kill_listener(database) == 1
            assert heard.next() == "gap"
            _notify(database, "channel", payload)
            assert heard.next() == payload
    assert not notices.is_listening.is_set()


def test_one_listeners_fault_keeps_nothing_from_the_others(database: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> None:
        raise ValueError("broken")

    notices, heard = Notices(database), Heard()
    notices.subscribe("channel", broken, heard.gap)
    notices.subscribe("channel", heard, heard.gap)
    with notices.running():
        assert heard.next() == heard.next() == "gap"
        for payload in ("1", "2"):
            _notify(database, "channel", payload)
            assert heard.next() == payload
    assert "a listener to the database's notices failed" in caplog.text


def test_it_stops_while_the_database_is_away() -> None:
    notices = Notices("postgresql://nobody@127.0.0.1:1/nothing")
    stop: Callable[[], None] = lambda: None  # noqa: E731
    notices.subscribe("channel", lambda _: None, stop)
    with notices.running():
        pass
    assert not notices.is_listening.is_set()
