"""The one place that spreads jobs: over this process, over processes of this machine, or over a Dask cluster.

A job is a value that can be pickled and ``work`` a function of a module that gives an answer from it and nothing
else, so where and in which order jobs run changes no answer. What runs elsewhere is told two things on its way: that
it is enough (finish with the best so far), and it tells how far it is.

`spread` is for jobs that are all known, whose answers are taken as they come; `stream` for more jobs than memory holds,
whose answers are wanted in order; `apart` for one thing that would hold up the threads of this process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from gis.errors import InvalidInput, Unavailable

T = TypeVar("T")
R = TypeVar("R")
C = TypeVar("C")

LOOK_S = 0.25  # how often the one who waits looks whether to stop
TRIES = 3  # of a job whose worker died: memory that ran short may be there the next time


class Signals(Protocol):
    """What a job is handed beside its own value, in whichever process it runs."""

    def enough(self) -> bool:
        """Whether to finish at once with the best so far. Cheap: ask it between restarts."""

    def progress(self, share: float, best: float) -> None:
        """Tell how far the job is (0 to 1) and what its best answer costs."""


@dataclass(frozen=True)
class Watch:
    """What the one who waits for answers wants to be asked and told.

    Attributes
    ----------
    cancelled, enough : callable
        Whether to stop with nothing, and whether to finish with what there is.
    progress : callable
        Called with (number of the job, share done, cost of the best).
    stopped : str
        Code of the error where all was cancelled.
    """

    cancelled: Callable[[], bool]
    enough: Callable[[], bool]
    progress: Callable[[int, float, float], None]
    stopped: str = "partition.cancelled"

    def check(self) -> None:
        """Stop if the caller wants nothing any more.

        Raises
        ------
        InvalidInput
            ``stopped``.
        """
        if self.cancelled():
            raise InvalidInput(self.stopped)


def spread(
    work: Callable[[T, Signals], R],
    jobs: Sequence[T],
    *,
    order: Sequence[int] | None = None,
    processes: int | None = None,
    cluster: str | None = None,
    cancelled: Callable[[], bool] | None = None,
    enough: Callable[[], bool] | None = None,
    progress: Callable[[int, float, float], None] | None = None,
    warm: Callable[[], None] | None = None,
) -> Iterator[tuple[int, R]]:
    """Do all jobs; give each answer, with the number of its job, as soon as it is there.

    Parameters
    ----------
    work : callable
        A function of a module. What it raises is raised here.
    order : sequence of int, optional
        Which jobs to begin first; long ones, so that none is left for the end.
    processes : int, optional
        By default one a core. With 1, and within a process that may have no children, all is done here.
    cluster : str, optional
        Address of a Dask scheduler, ``tcp://host:port`` or ``tls://host:port``; ``processes`` then counts for nothing.
    cancelled : callable, optional
        When it says yes nothing more is begun, what runs is told to finish, and ``partition.cancelled`` is raised.
    enough : callable, optional
        When it says yes, what runs is told to finish; what has not begun still gives its first answer.
    progress : callable, optional
        Called in this process with (number of the job, share done, cost of the best); now and then, not at every step.
    warm : callable, optional
        Called here before processes are started: compiles what they would otherwise compile each.

    Raises
    ------
    InvalidInput
        ``partition.cancelled``; ``spreading.bad_address``.
    Unavailable
        ``spreading.worker_died`` if a job's worker died `TRIES` times; of a cluster also
        ``spreading.cluster_unreachable``, ``spreading.no_workers``, ``spreading.other_versions``.
    """
    watch = Watch(cancelled or _never, enough or _never, progress or _silent)
    numbers = list(range(len(jobs)) if order is None else order)
    if cluster is not None:
        from gis.spreading.cluster import over_cluster  # Dask is slow to load

        return over_cluster(work, jobs, numbers, cluster, watch)
    count = process_count(len(jobs), processes)
    if count == 1:
        return _here(work, jobs, numbers, watch)
    if warm is not None:
        warm()
    return _over_processes(work, jobs, numbers, count, watch)


def stream(
    work: Callable[[T, C], R],
    jobs: Iterable[T],
    *,
    common: C,
    cluster: str,
    cancelled: Callable[[], bool] | None = None,
    stopped: str = "partition.cancelled",
) -> Iterator[R]:
    """Do jobs on a cluster, taken one by one as workers become free; give their answers in order.

    Only so many jobs and answers are held as the cluster has threads, a few for each.

    Parameters
    ----------
    work : callable
        A function of a module: of a job and of ``common``.
    common : object
        What all jobs need; each worker gets it once and keeps it until the end.
    cluster : str
        Address of a Dask scheduler, as for `spread`.
    stopped : str
        Code of the `InvalidInput` raised once ``cancelled`` says yes.

    Raises
    ------
    InvalidInput
        ``stopped``; ``spreading.bad_address``.
    Unavailable
        As `spread`.
    """
    from gis.spreading.cluster import stream_over_cluster  # Dask is slow to load

    return stream_over_cluster(work, jobs, common, cluster, Watch(cancelled or _never, _never, _silent, stopped))


def apart(work: Callable[..., None], *given: Any, wanted: Callable[[], bool] | None = None) -> bool:
    """Do one thing in a process of its own, and wait: threads that answer requests meanwhile have the interpreter's
    lock to themselves. Within a process that may have no children it is done here.

    Parameters
    ----------
    work : callable
        A function of a module. What it raises is raised here.
    *given
        What it is called with; can be pickled.
    wanted : callable, optional
        Asked now and then; when it says no the process is ended.

    Returns
    -------
    bool
        Whether it was done.

    Raises
    ------
    Unavailable
        ``spreading.worker_died``.
    """
    if multiprocessing.current_process().daemon:
        work(*given)
        return True
    context = multiprocessing.get_context("spawn")
    told, telling = context.Pipe(duplex=False)
    process = context.Process(target=_alone, args=(telling, work, given), daemon=True)
    process.start()
    telling.close()
    try:
        while not told.poll(LOOK_S):
            if wanted is not None and not wanted():
                return False
        fault: BaseException | None = told.recv()
    except EOFError:
        raise Unavailable("spreading.worker_died", jobs=1, tries=1) from None
    finally:
        told.close()
        process.terminate()
        process.join()
    if fault is not None:
        raise fault
    return True


def process_count(jobs: int, asked: int | None = None) -> int:
    """How many processes to use for so many jobs: at most those asked for, by default one a core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if multiprocessing.current_process().daemon:  # a pool's worker may have no children
        return 1
    return max(min(cores if asked is None else asked, jobs), 1)


def _never() -> bool:
    return False


def _silent(_number: int, _share: float, _best: float) -> None:
    return


def _alone(telling: Any, work: Callable[..., None], given: Sequence[Any]) -> None:
    """Do what `apart` was asked for; tell what it raised, or ``None``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    fault: BaseException | None = None
    try:
        work(*given)
    except Exception as error:
        fault = error
    telling.send(fault)


# --- In this process -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Direct:
    number: int
    watch: Watch

    def enough(self) -> bool:
        return self.watch.enough() or self.watch.cancelled()

    def progress(self, share: float, best: float) -> None:
        self.watch.progress(self.number, share, best)


def _here(
    work: Callable[[T, Signals], R], jobs: Sequence[T], numbers: Sequence[int], watch: Watch
) -> Iterator[tuple[int, R]]:
    for number in numbers:
        watch.check()
        answer = work(jobs[number], _Direct(number, watch))
        watch.check()
        yield number, answer


# --- Over processes --------------------------------------------------------------------------------------------------
# Signals go through plain shared memory: a queue has a lock, which a worker that is killed may take with it.


@dataclass(frozen=True)
class _Board:
    """Memory shared with the workers: whether it is enough, and (share, best) of each job."""

    enough: Any
    reports: Any

    def posted(self, number: int) -> tuple[float, float]:
        return self.reports[2 * number], self.reports[2 * number + 1]


_board: _Board | None = None

_abandoned: list[_Board] = []
"""Of runs that were broken off, a few bytes each: their workers still look at them, and memory given back would be the
next run's."""


def _begin(board: _Board) -> None:
    """Make a new process a worker."""
    global _board  # the only way to hand shared memory to the tasks of a pool
    _board = board
    # Ctrl-C reaches all processes of a terminal; the one that waits decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers hold the ends of each other's pipes, so that none would notice that nobody wants its answers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@dataclass(frozen=True)
class _Posted:
    number: int
    board: _Board

    def enough(self) -> bool:
        return bool(self.board.enough.value)

    def progress(self, share: float, best: float) -> None:
        self.board.reports[2 * self.number] = share
        self.board.reports[2 * self.number + 1] = best


def _do(work: Callable[[T, Signals], R], job: T, number: int) -> R:
    assert _board is not None
    return work(job, _Posted(number, _board))


def _over_processes(
    work: Callable[[T, Signals], R], jobs: Sequence[T], numbers: Sequence[int], count: int, watch: Watch
) -> Iterator[tuple[int, R]]:
    # Spawned, because forking a process with threads is unsafe.
    context = multiprocessing.get_context("spawn")
    board = _Board(context.RawValue("b", 0), context.RawArray("d", 2 * len(jobs)))
    left = list(numbers)
    for _ in range(TRIES):
        with ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(board,)) as pool:
            try:
                waiting = {pool.submit(_do, work, jobs[number], number): number for number in left}
                for number, answer in _collected(waiting, board, watch):
                    left.remove(number)
                    yield number, answer
                return
            except BrokenProcessPool:
                continue  # whoever was killed took the pool along; the jobs that are left get another
            except BaseException:  # also Ctrl-C, and a caller that wants no more answers
                _abandoned.append(board)
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    raise Unavailable("spreading.worker_died", jobs=len(left), tries=TRIES)


def _collected(waiting: dict[Future[R], int], board: _Board, watch: Watch) -> Iterator[tuple[int, R]]:
    told: dict[int, tuple[float, float]] = {}
    try:
        while waiting:
            done, _ = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            watch.check()
            if watch.enough():
                board.enough.value = 1
            for number in waiting.values():
                report = board.posted(number)
                if report != told.get(number, (0.0, 0.0)):
                    told[number] = report
                    watch.progress(number, *report)
            for future in done:
                yield waiting[future], future.result()
                del waiting[future]
    finally:
        if waiting:  # cancelled, or failed: what runs need not go on
            board.enough.value = 1
