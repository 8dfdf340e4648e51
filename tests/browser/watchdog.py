"""An end to waiting for a browser that does not answer.

The alarm of pytest-timeout is raised within Playwright's event loop, which may swallow it; then a test, or the closing
of its pages, would wait for ever. A thread kills the browser instead, and after a while the driver too, whereupon
Playwright raises in whoever waits.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

GRACE_S = 20.0
"""Between the end of the browser and the end of its driver."""


@contextmanager
def limited(seconds: float) -> Iterator[threading.Event]:
    """Kill this process's browsers if the block takes longer; gives an event that tells whether that was done."""
    done, killed = threading.Event(), threading.Event()

    def watch() -> None:
        if not done.wait(seconds):
            killed.set()
            _kill(_browsers())
            if not done.wait(GRACE_S):
                _kill(_drivers())

    thread = threading.Thread(target=watch, name="watchdog of the browser", daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def _drivers() -> list[psutil.Process]:
    """The drivers that this process has started, and nothing of another's."""
    return [one for one in psutil.Process().children() if _is_driver(one)]


def _is_driver(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("playwright" in word for word in process.cmdline()[:2])
    return False


def _browsers() -> list[psutil.Process]:
    found = []
    for driver in _drivers():
        with contextlib.suppress(psutil.Error):
            found += driver.children(recursive=True)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
