"""The version in force, as one process serves it: loaded beside, put in place by one assignment."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from sqlalchemy import Engine

from gis.artifacts import ArtifactStore
from gis.errors import Conflict
from gis.in_force import InForce, Keeper
from gis.responsibility.responsibility import Responsibility, load, make

log = logging.getLogger("wangge.responsibility")


class Present:
    """Holds the newest version that this process has loaded.

    Whoever answers takes it once and works with that one to the end, so no answer is of two versions. While the
    database is away the last one stays.

    Parameters
    ----------
    engine : Engine
    store : ArtifactStore
    keeper : Keeper
        Tells when another version is in force; loading runs in its thread.

    Attributes
    ----------
    swap_ms : float
        What the last loading cost after everything was made: mapping, warming and the assignment.
    """

    def __init__(self, engine: Engine, store: ArtifactStore, keeper: Keeper) -> None:
        self._engine = engine
        self._store = store
        self._loaded: Responsibility | None = None
        self.swap_ms = 0.0
        self.is_there = threading.Event()
        keeper.on_change(self._change)
        keeper.ahead(self._prepare)

    def at(self, at: datetime) -> Responsibility | None:
        """The version if it answers for an instant; ``None`` sends the caller to the database."""
        loaded = self._loaded
        return loaded if loaded is not None and loaded.holds(at) else None

    @property
    def newest(self) -> Responsibility | None:
        """The version last loaded, whatever the time."""
        return self._loaded

    def _prepare(self, found: InForce) -> None:
        began = time.perf_counter()
        make(self._store, self._engine, found)
        log.info("version %s made ahead in %.1f s", found.version, time.perf_counter() - began)

    def _change(self, found: InForce) -> None:
        began = time.perf_counter()
        try:
            loaded = load(self._store, self._engine, found)
        except Conflict:
            raise  # it was another by then: the keeper looks again, and the last one answers as while one is made
        except Exception:
            # Another version is in force and cannot be had: the database answers, not a plan that is over.
            if self._loaded is not None and self._loaded.version != found.version:
                self._loaded = None
            raise
        self._loaded = loaded
        self.swap_ms = (time.perf_counter() - began) * 1e3
        self.is_there.set()
        log.info("version %s in force, loaded in %.0f ms", loaded.version, self.swap_ms)
