"""Jobs over a Dask cluster: the same answers bit for bit, or a clear no.

Every process of the cluster (scheduler and workers) must run the same versions as this one, which is checked before
the first job and again by each worker that joins later: another GEOS or numpy gives other last digits, and then
another plan. A cluster runs whatever code its clients send, so it belongs into a trusted network (see
``scripts/README.md``).
"""

from __future__ import annotations

import hashlib
import math
import pickle
import platform
import queue
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyproj
import shapely
from distributed import Client, Future, KilledWorker, get_worker
from distributed.comm.core import CommClosedError

from gis.errors import InvalidInput, Unavailable
from gis.spreading import LOOK_S, TRIES, Signals, Watch

T = TypeVar("T")
R = TypeVar("R")

CONNECT_S = 10.0
EMPTY_S = 60.0  # a worker that was killed is back by then, or will not come back
ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|inproc)://[^/:]*(\[[^]]*\])?(:\d+)?(/.*)?")
REPORT_S = 0.5  # between two reports of one job
AHEAD = 2  # jobs sent out for each thread of the cluster; more would only fill its memory
COMMONS = 2  # runs whose common value a worker keeps
HELD = 4  # answers for each thread that may wait for one before them


def over_cluster(
    work: Callable[[T, Signals], R], jobs: Sequence[T], numbers: Sequence[int], address: str, watch: Watch
) -> Iterator[tuple[int, R]]:
    """Do jobs on a cluster; see `gis.spreading.spread`."""
    client = _connect(address)
    try:
        _wait_for_workers(client, address)
        _check_versions(client)
        yield from _Run(client, address, watch, work).answers((number, jobs[number]) for number in numbers)
    finally:
        client.close(timeout=CONNECT_S)


def stream_over_cluster(
    work: Callable[[T, Any], R], jobs: Iterable[T], common: Any, address: str, watch: Watch
) -> Iterator[R]:
    """Do jobs on a cluster, answers in order; see `gis.spreading.stream`."""
    client = _connect(address)
    try:
        _wait_for_workers(client, address)
        _check_versions(client)
        run = _Run(client, address, watch, work, is_ordered=True)
        run.common = client.scatter(pickle.dumps(common), broadcast=True, hash=False)
        early: dict[int, R] = {}
        wanted = 0
        for number, answer in run.answers(enumerate(jobs)):
            early[number] = answer
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1
    finally:
        client.close(timeout=CONNECT_S)


def _connect(address: str) -> Client:
    # Looked at first: a client that fails half way through its making is waited for when it is thrown away.
    if not ADDRESS.fullmatch(address):
        raise InvalidInput("spreading.bad_address", address=address, reason="tcp://HOST:PORT")
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except ValueError as error:
        raise InvalidInput("spreading.bad_address", address=address, reason=str(error)) from error
    except (OSError, TimeoutError, CommClosedError, RuntimeError) as error:
        raise Unavailable("spreading.cluster_unreachable", address=address, reason=str(error)) from error


def _wait_for_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError as error:
        raise Unavailable("spreading.no_workers", address=address) from error


# --- Versions --------------------------------------------------------------------------------------------------------


_PACKAGES = ("numpy", "scipy", "pandas", "numba", "shapely", "pyproj", "pyarrow", "orjson", "distributed")
_FOLDERS = (".", "partition", "responsibility", "geotagging", "spreading")


@cache
def versions() -> Mapping[str, str]:
    """What an answer's last bit may depend on, in this process."""
    return {
        "wangge": f"{version('wangge')} {_source()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "geos": shapely.geos_version_string,
        "proj": pyproj.proj_version_str,
        "arithmetic": _arithmetic(),
    }


def _source() -> str:
    """A digest of the domain's code: two states of development have the same version but give other plans."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in (file for folder in _FOLDERS for file in sorted((package / folder).glob("*.py"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _arithmetic() -> str:
    """A digest of what the processor and the mathematics library make of some numbers."""
    some = np.random.default_rng(1).uniform(0.0, 20.0, 4_000)
    made = [np.exp(-some), np.log1p(some), np.sin(some), np.hypot(some, 1.0), np.cumsum(some)]
    made.append(np.array([math.exp(-x) for x in some]))
    return hashlib.sha256(np.concatenate(made).tobytes()).hexdigest()[:12]


def _differences(theirs: Any, where: str) -> list[str]:
    if isinstance(theirs, BaseException):
        return [f"{where}: {type(theirs).__name__}: {theirs}"]
    return [
        f"{where}: {name} {theirs.get(name, '-')} ≠ {own}"
        for name, own in versions().items()
        if theirs.get(name) != own
    ]


def _check_versions(client: Client) -> None:
    """Refuse a cluster of which a process runs something else than we do."""
    try:
        scheduler: Any = client.run_on_scheduler(versions)
    except Exception as error:  # whatever a process that lacks our code makes of it
        scheduler = error
    found = _differences(scheduler, "scheduler")
    for address, theirs in sorted(client.run(versions, on_error="return").items()):
        found += _differences(theirs, address)
    if found:
        raise Unavailable("spreading.other_versions", differences=found)


# --- In the worker ---------------------------------------------------------------------------------------------------

_ended: set[str] = set()
"""Runs for which it is enough; of a worker process."""


def _end(run: str) -> None:
    _ended.add(run)
    _commons.pop(run, None)


def _forget(run: str) -> None:
    _ended.discard(run)
    _commons.pop(run, None)


_commons: dict[str, Any] = {}
"""What the jobs of a run have in common, unpacked once; of a worker process."""


def _common(run: str, parcel: bytes) -> Any:
    if run not in _commons:
        while len(_commons) >= COMMONS:  # of clients that went away without a word
            _commons.pop(next(iter(_commons)), None)
        _commons[run] = pickle.loads(parcel)
    return _commons[run]


@dataclass
class _Remote:
    run: str
    number: int
    is_over: bool
    told: float = field(default_factory=time.monotonic)

    def enough(self) -> bool:
        return self.is_over or self.run in _ended

    def progress(self, share: float, best: float) -> None:
        if time.monotonic() - self.told >= REPORT_S:
            self.told = time.monotonic()
            get_worker().log_event(self.run, (self.number, share, best))


def _do(
    parcel: bytes, number: int, run: str, is_over: bool, expected: Mapping[str, str], common: bytes | None = None
) -> Any:
    """Do one job; a parcel is work and job as bytes, so that the scheduler need not unpack them."""
    if versions() != expected:  # a worker that joined after the check
        raise Unavailable("spreading.other_versions", differences=_differences(expected, get_worker().address))
    work, job = pickle.loads(parcel)
    if common is not None:
        return work(job, _common(run, common))
    return work(job, _Remote(run, number, is_over))


# --- In the process that waits ---------------------------------------------------------------------------------------


@dataclass
class _Run:
    """One round of jobs on a cluster."""

    client: Client
    address: str
    watch: Watch
    work: Callable[[Any, Any], Any]
    is_ordered: bool = False
    common: Future[Any] | None = None
    name: str = field(default_factory=lambda: f"wangge-{uuid.uuid4().hex}")
    done: queue.SimpleQueue[Future[Any]] = field(default_factory=queue.SimpleQueue)
    reports: queue.SimpleQueue[tuple[int, float, float]] = field(default_factory=queue.SimpleQueue)
    is_over: bool = False
    seen_at: float = field(default_factory=time.monotonic)

    def answers(self, jobs: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        self.client.subscribe_topic(self.name, lambda event: self.reports.put(event[1]))
        left = enumerate(jobs)
        sent: dict[Future[Any], int] = {}
        following = next(left, None)
        try:
            while following is not None or sent:
                while following is not None and self._has_room(sent, following[0]):
                    place, (number, job) = following
                    sent[self._submit(number, job, -place)] = number
                    following = next(left, None)
                for future in self._finished():
                    yield sent.pop(future), self._answer(future)
        finally:
            self._leave(list(sent))

    def _has_room(self, sent: Mapping[Future[Any], int], place: int) -> bool:
        threads = max(sum(self.client.nthreads().values()), 1)
        if len(sent) >= AHEAD * threads:
            return False
        return not self.is_ordered or not sent or place - min(sent.values()) < HELD * threads

    def _submit(self, number: int, job: Any, priority: int) -> Future[Any]:
        parcel = pickle.dumps((self.work, job))
        future = self.client.submit(
            _do, parcel, number, self.name, self.is_over, versions(), self.common,
            key=f"{self.name}-{number}", pure=False, priority=priority,
        )  # fmt: skip
        future.add_done_callback(self.done.put)
        return future

    def _finished(self) -> list[Future[Any]]:
        """Wait a little for answers; meanwhile ask and tell what is to be asked and told."""
        found = []
        with suppress(queue.Empty):
            found.append(self.done.get(timeout=LOOK_S))
            while True:
                found.append(self.done.get_nowait())
        self.watch.check()
        if not self.is_over and self.watch.enough():
            self.is_over = True
            self.client.run(_end, self.name)
        with suppress(queue.Empty):
            while True:
                self.watch.progress(*self.reports.get_nowait())
        if not found:
            self._check_alive()
        return found

    def _check_alive(self) -> None:
        """A lost scheduler, or one without workers, would be waited for for ever."""
        if self.client.status == "closed":
            raise Unavailable("spreading.cluster_unreachable", address=self.address, reason="connection lost")
        with suppress(OSError, TimeoutError):
            if self.client.nthreads():
                self.seen_at = time.monotonic()
        if time.monotonic() - self.seen_at > EMPTY_S:
            raise Unavailable("spreading.no_workers", address=self.address)

    def _answer(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except (KilledWorker, CancelledError) as error:  # cancelled: what all jobs need was lost with its last holder
            raise Unavailable("spreading.worker_died", jobs=1, tries=TRIES) from error
        except ImportError as error:  # a worker that joined late and lacks our code
            raise Unavailable("spreading.other_versions", differences=[f"{type(error).__name__}: {error}"]) from error
        except (OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable("spreading.cluster_unreachable", address=self.address, reason=reason) from error

    def _leave(self, sent: list[Future[Any]]) -> None:
        with suppress(Exception):  # the cluster may be gone, and what is raised already says why
            if sent:
                self.client.run(_end, self.name)
                self.client.cancel(sent)
            else:
                self.client.run(_forget, self.name)
            self.client.unsubscribe_topic(self.name)
