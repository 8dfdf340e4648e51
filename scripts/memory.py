"""How much memory a process and all that it started held at most, the database among it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

INTERVAL_S = 0.25


class PeakMemory:
    """Watch the memory of this process, its descendants, and the trees of other processes, while a block runs.

    Shared pages are counted once: each process is asked for its proportional share (PSS), where it may be asked.

    Attributes
    ----------
    peak_mb : float
        The largest sum seen, in megabytes of 10^6 bytes.
    """

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._roots = {os.getpid()}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def include(self, pid: int) -> None:
        """Count another process, such as the database server, and what it started."""
        self._roots.add(pid)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        is_over = False
        while not is_over:
            self.peak_mb = max(self.peak_mb, memory_mb(self._roots.copy()))
            is_over = self._over.wait(INTERVAL_S)


def memory_mb(roots: Iterable[int]) -> float:
    """Memory of processes and all their descendants, now."""
    children: dict[int, list[int]] = {}
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()):
        with contextlib.suppress(OSError, ValueError):
            # "pid (name, which may hold blanks and brackets) state parent …"
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(pid)
    waiting, family = list(roots), set()
    while waiting:
        pid = waiting.pop()
        if pid not in family:
            family.add(pid)
            waiting += children.get(pid, [])
    return sum(_process_kb(pid) for pid in family) * 1024 / 1e6


def _process_kb(pid: int) -> int:
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
                if line.startswith(key):
                    return int(line.split()[1])
    return 0
