"""Ctrl-C in two steps: the first asks for the best so far, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def asked_to_finish(tell: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """A question to ask now and then: whether somebody pressed Ctrl-C.

    Parameters
    ----------
    tell : callable
        Called at the first press; a second one is a `KeyboardInterrupt`, as ever.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()
        tell()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
