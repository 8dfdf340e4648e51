"""What a block of work took: time by the clock, time of all processors, memory."""

from __future__ import annotations

import resource
import time
from types import TracebackType

from scripts.memory import PeakMemory


class Spent:
    """Measure a block, the processes that it starts and ends among it.

    Attributes
    ----------
    seconds, cpu_seconds : float
    peak_mb : float
        Most memory of this process and all its children at one time, in megabytes of 10^6 bytes.
    """

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self._memory = PeakMemory()
        self._began = self._cpu = 0.0

    def __enter__(self) -> Spent:
        self._memory.__enter__()
        self._began, self._cpu = time.perf_counter(), cpu_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._began, cpu_seconds() - self._cpu
        self._memory.__exit__(kind, error, trace)

    @property
    def peak_mb(self) -> float:
        """Most memory so far."""
        return self._memory.peak_mb

    def figures(self) -> dict[str, float]:
        """All three by name."""
        return {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_mb": self.peak_mb}


def cpu_seconds() -> float:
    """Processor time of this process, and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
