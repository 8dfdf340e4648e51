"""Whoever waits for the next change of a plan on the desk: woken by the database's notices."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gis.notices import Notices

CHANNEL = "wangge_desk"


class DeskBell:
    """Wakes coroutines when a plan is told to have changed, or when notices may have been missed."""

    def __init__(self, notices: Notices) -> None:
        self._waiting: dict[int, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._lock = threading.Lock()
        notices.subscribe(CHANNEL, self._heard, self._gap)

    @contextmanager
    def waiting(self, plan_id: int) -> Iterator[asyncio.Event]:
        """An event that is set at every change of a plan while the context is open."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.setdefault(plan_id, set()).add(mine)
        try:
            yield mine[1]
        finally:
            with self._lock:
                others = self._waiting[plan_id]
                others.discard(mine)
                if not others:
                    del self._waiting[plan_id]

    def _heard(self, payload: str) -> None:
        """``plan`` or ``plan:number``."""
        plan = payload.partition(":")[0]
        if plan.isascii() and plan.isdigit():
            self._ring([int(plan)])

    def _gap(self) -> None:
        with self._lock:
            plans = list(self._waiting)
        self._ring(plans)

    def _ring(self, plans: list[int]) -> None:
        with self._lock:
            woken = [one for plan in plans for one in self._waiting.get(plan, ())]
        for loop, happened in woken:
            if not loop.is_closed():
                loop.call_soon_threadsafe(happened.set)
