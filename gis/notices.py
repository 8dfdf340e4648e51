"""What the database tells by NOTIFY: one connection and one thread a process, however many ask.

A notice is a hint. While the connection is lost notices are lost too, so each listener is also told of every gap, and
then looks for itself; whoever must not miss anything polls beside it.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

log = logging.getLogger("wangge.notices")

APPLICATION = "wangge notices"
"""Name of the connection in ``pg_stat_activity``."""

_PATIENCE_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_STOP_S = 2.0
# A server that vanished without a word is given up after some 30 seconds.
_CONNECTION: dict[str, str | int] = {
    "application_name": APPLICATION,
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


@dataclass(frozen=True, slots=True)
class _Subscription:
    heard: Callable[[str], None]
    gap: Callable[[], None]


class Notices:
    """Hears channels of the database for everything in this process.

    Parameters
    ----------
    url : str
        ``postgresql://…`` of the database.
    """

    def __init__(self, url: str) -> None:
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._conninfo = make_conninfo(address, **_CONNECTION)
        self._subscriptions: dict[str, list[_Subscription]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._bell, self._pull = socket.socketpair()
        self._bell.setblocking(False)
        self.is_listening = threading.Event()

    def subscribe(self, channel: str, heard: Callable[[str], None], gap: Callable[[], None]) -> None:
        """Have a function called with the payload of each notice of a channel, before or while running.

        Parameters
        ----------
        channel : str
        heard : callable
            Called in the thread of the notices, so it must be short; ``loop.call_soon_threadsafe`` leads back.
        gap : callable
            Called there whenever notices may have been missed: when listening begins, and after each lost connection.
        """
        with self._lock:
            self._subscriptions.setdefault(channel, []).append(_Subscription(heard, gap))
        self._ring()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen for as long as the context is open. A database that is away is asked again with patience."""
        self._stopping.clear()
        thread = threading.Thread(target=self._run, name="wangge-notices", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._ring()
            thread.join(_STOP_S)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # full: it will wake up anyway
            self._bell.send(b"!")

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    for _ in self._notices(connection):
                        failures = 0
            except (psycopg.Error, OSError) as error:
                pause_s = _PATIENCE_S[min(failures, len(_PATIENCE_S) - 1)]
                failures += 1
                log.warning("lost the database's notices (%s), again in %s s", type(error).__name__, pause_s)
                self._stopping.wait(pause_s)
            finally:
                self.is_listening.clear()

    def _notices(self, connection: psycopg.Connection) -> Iterator[None]:
        """Tell what is heard until the context closes; yields once a round in which all was well."""
        told: set[_Subscription] = set()
        channels: set[str] = set()
        pull = self._pull.fileno()
        waiting = select.poll()  # not select(): with thousands of streams open, numbers of files grow beyond it
        waiting.register(pull, select.POLLIN)
        waiting.register(connection.fileno(), select.POLLIN)
        while not self._stopping.is_set():
            with self._lock:
                present = {channel: list(asking) for channel, asking in self._subscriptions.items()}
            for channel in present.keys() - channels:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                channels.add(channel)
            for one in (one for asking in present.values() for one in asking if one not in told):
                told.add(one)
                _call(one.gap)
            self.is_listening.set()
            for notice in connection.notifies(timeout=0):
                for one in present.get(notice.channel, ()):
                    _call(one.heard, notice.payload)
            yield
            if any(ready == pull for ready, _ in waiting.poll()):
                self._pull.recv(4096)


def _call(function: Callable[..., None], *given: str) -> None:
    """One listener's fault is logged, and the others hear all the same."""
    try:
        function(*given)
    except Exception:
        log.exception("a listener to the database's notices failed")
