"""Long work that requests wait for and no worker takes: done here, in a process of its own."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from typing import Any


class StandIn:
    """Does what no worker takes, one thing at a time, in a process of its own: the service goes on answering.

    Parameters
    ----------
    url : str
        ``postgresql://…`` of the database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None

    def take(self, work: Callable[..., None], *about: Any) -> None:
        """Begin a piece of work, called with the database's address and what it is about, unless one is under way."""
        with self._lock:
            if self._process is not None and self._process.is_alive():
                return
            # A fresh interpreter, which ends with this one: nothing of its connections and threads goes along.
            self._process = multiprocessing.get_context("spawn").Process(
                target=work, args=(self._url, *about), daemon=True
            )
            self._process.start()

    def close(self) -> None:
        """Stop what is under way; whoever looks for it next takes it up again."""
        with self._lock:
            if self._process is not None and self._process.is_alive():
                self._process.terminate()
