"""The same answers wherever jobs run; and a clear word where a cluster cannot be used."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import shapely
from distributed import Client

from gis import spreading
from gis.cleaning import clean
from gis.errors import GridError, InvalidInput, NotFound, Unavailable
from gis.partition.division_of import jobs_of
from gis.partition.site import Job
from gis.rule_set import load_preset
from gis.settings import ROOT
from gis.spreading import apart, spread
from gis.spreading import cluster as clusters
from tests.partition.towns import estate, ground, town
from tests.partition.works import cut, die, die_once, fail, leave, refuse, run_till_enough, spread_for_ever, stay, write

Place = Mapping[str, Any]
"""Keyword arguments of `spread` that say where to run."""


# --- Where ---


def dask(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


# Together, so that one cluster is enough.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spreading")]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine answers late."""
    monkeypatch.setattr(clusters, "CONNECT_S", 120.0)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers with nannies, on this machine's own address."""
    folder = tmp_path_factory.mktemp("dask")
    told = folder / "scheduler.json"
    quiet = ["--no-dashboard"]
    running = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told), *quiet)]
    try:
        running.append(
            dask("worker", "--scheduler-file", str(told), "--host", "127.0.0.1", "--nworkers", "2", "--nthreads", "1",
                 "--local-directory", str(folder), *quiet)
        )  # fmt: skip
        yield wait_for(lambda: json.loads(told.read_text())["address"] if told.exists() else None)
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(120)


@pytest.fixture
def cluster(address: str) -> str:
    """The same with both workers there: to start, or to come back from death, may take longer than a run waits."""
    with Client(address, timeout=120, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
    return address


def wait_for(find: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            if found := find():
                return found
        except ValueError:  # half written
            pass
        time.sleep(0.05)
    raise AssertionError("nothing came")


@pytest.fixture(params=["here", "processes", "cluster"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "cluster":
        return {"cluster": request.getfixturevalue("cluster")}
    return {"processes": 1 if request.param == "here" else 2}


@pytest.fixture(params=["processes", "cluster"])
def elsewhere(request: pytest.FixtureRequest) -> Place:
    return {"cluster": request.getfixturevalue("cluster")} if request.param == "cluster" else {"processes": 2}


def jobs() -> list[Job]:
    streets = [("minor", [(0, 160), (1200, 160)])]
    houses = [{**house, "code": f"{i}-{n}"} for i in range(3) for n, house in enumerate(estate(4, 6, 25, x=400.0 * i))]
    grounds = {f"00{i}": ground(4, 6, x=400.0 * i) for i in range(3)}
    return jobs_of(clean(town(grounds, houses, streets))[0], load_preset("bishan"), seed=3, effort="draft")


# --- Tests ---


def test_answers_are_the_same_to_the_last_byte(place: Place) -> None:
    work = jobs()
    expected = [cut(job, _Alone()) for job in work]
    answers = dict(spread(cut, work, order=[2, 0, 1], **place))
    assert [answers[i] for i in range(3)] == expected


class _Alone:
    def enough(self) -> bool:
        return False

    def progress(self, share: float, best: float) -> None:
        pass


def test_what_a_job_raises_comes_through(place: Place) -> None:
    with pytest.raises(NotFound) as caught:
        list(spread(refuse, [7], **{**place, **({"processes": 1} if "processes" in place else {})}))
    assert caught.value.params == {"path": "7"}


def test_jobs_tell_how_far_they_are_and_finish_when_it_is_enough(elsewhere: Place) -> None:
    told: dict[int, tuple[float, float]] = {}

    def progress(number: int, share: float, best: float) -> None:
        told[number] = (share, best)

    answers = dict(spread(run_till_enough, [5, 6], enough=lambda: len(told) == 2, progress=progress, **elsewhere))
    assert answers == {0: 5, 1: 6}
    assert told == {0: (0.5, 5.0), 1: (0.5, 6.0)}


def test_cancelling_ends_what_runs_and_begins_nothing_more(place: Place) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(InvalidInput) as caught:
        list(spread(run_till_enough, [1, 2, 3, 4], cancelled=cancelled, **place))
    assert caught.value.code == "partition.cancelled"


def test_what_was_broken_off_does_not_speak_into_the_next_run() -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 8

    with pytest.raises(InvalidInput):
        list(spread(run_till_enough, [1, 2], cancelled=cancelled, processes=2))
    gc.collect()
    test_jobs_tell_how_far_they_are_and_finish_when_it_is_enough({"processes": 2})


def test_a_job_whose_worker_died_is_done_by_another(elsewhere: Place, tmp_path: Path) -> None:
    marks = [tmp_path / "a", tmp_path / "b"]
    assert sorted(answer for _, answer in spread(die_once, marks, **elsewhere)) == ["a", "b"]


def test_a_job_that_kills_every_worker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "TRIES", 1)
    with pytest.raises(Unavailable) as caught:
        list(spread(die, [1, 2], processes=2))
    assert caught.value.code == "spreading.worker_died"


def test_workers_end_with_the_process_that_waits_for_them(tmp_path: Path) -> None:
    waiting = multiprocessing.get_context("spawn").Process(target=spread_for_ever, args=(str(tmp_path),))
    waiting.start()
    try:
        wait_for(lambda: "both" if len(list(tmp_path.iterdir())) == 2 else None)
    finally:
        waiting.kill()
        waiting.join()
    for process in tmp_path.iterdir():
        wait_for(partial(gone, int(process.name)))


def gone(process: int) -> str | None:
    """Say so once a process has ended, even if nobody has asked how."""
    try:
        return "dead" if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text(encoding="utf-8") else None
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def code_of(address: str, work: Sequence[int] = (1,)) -> GridError:
    with pytest.raises(GridError) as caught:
        list(spread(run_till_enough, work, cluster=address))
    return caught.value


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_S", 0.5)
    assert code_of("tcp://127.0.0.1:1").code == "spreading.cluster_unreachable"
    assert code_of("nonsense://127.0.0.1:1").code == "spreading.bad_address"


@pytest.fixture
def older_geos(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has another GEOS than all others."""
    monkeypatch.setattr(shapely, "geos_version_string", "3.9.0")
    clusters.versions.cache_clear()
    yield
    clusters.versions.cache_clear()


@pytest.mark.usefixtures("older_geos")
def test_a_cluster_of_other_versions_is_refused_with_the_list(address: str) -> None:
    error = code_of(address)
    assert error.code == "spreading.other_versions"
    assert all("geos" in line and "3.9.0" in line for line in error.params["differences"])
    assert any(line.startswith("tcp://") for line in error.params["differences"])


# --- Apart ---


def test_what_is_done_apart_is_done_in_another_process(tmp_path: Path) -> None:
    assert apart(write, str(tmp_path / "note"), "done")
    words, process = (tmp_path / "note").read_text().split()
    assert words == "done"
    assert int(process) != os.getpid()


def test_what_fails_apart_is_told_here() -> None:
    with pytest.raises(NotFound, match="no_file") as refused:
        apart(fail, "street.csv")
    assert refused.value.params == {"path": "street.csv"}
    with pytest.raises(Unavailable, match="worker_died"):
        apart(leave, 3)


def test_what_nobody_wants_any_more_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "note"
    assert not apart(stay, str(note), wanted=lambda: not (note.exists() and note.read_text()))
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
