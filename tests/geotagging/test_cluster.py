"""The same answers, to the last byte, from a cluster of two workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from distributed import Client

from gis.errors import GridError, InvalidInput, Unavailable
from gis.geotagging import text_blocks
from gis.geotagging.reading import Asked
from gis.geotagging.running import Summary, Wish, geotag_file
from gis.settings import ROOT
from gis.spreading import cluster as clusters
from tests.geotagging.towns import cells


def dask(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *words, "--no-dashboard"], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine answers late."""
    monkeypatch.setattr(clusters, "CONNECT_S", 120.0)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers on this machine's own address; both are there, which may take longer than a run
    waits."""
    folder = tmp_path_factory.mktemp("dask")
    told = folder / "scheduler.json"
    running = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))]
    try:
        running.append(
            dask("worker", "--scheduler-file", str(told), "--host", "127.0.0.1", "--nworkers", "2", "--nthreads", "1",
                 "--local-directory", str(folder))
        )  # fmt: skip
        found = _address(told)
        with Client(found, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield found
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(120)


def _address(told: Path) -> str:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            return str(json.loads(told.read_text())["address"])
        except (OSError, ValueError):  # not there, or half written
            time.sleep(0.05)
    raise AssertionError("no scheduler came")


def tag(source: Path, out: Path, *, cluster: str | None = None, stop: float = 2.0) -> Summary:
    """Cancelled once so much is done."""
    shares = [0.0]

    return geotag_file(
        source,
        out,
        cells=cells("zh"),
        asked=Asked("gcj02"),
        wish=Wish("zh"),
        cluster=cluster,
        progress=shares.append,
        cancelled=lambda: shares[-1] > stop,
    )


def written(folder: Path, rows: int) -> Path:
    random = np.random.default_rng(7)
    points = random.uniform([119.99, 30.99], [120.06, 31.05], (rows, 2)).round(6)
    path = folder / "a.csv"
    lines = [f"{x},{y},第{n}行" for n, (x, y) in enumerate(points.tolist())]
    lines[rows // 2] = "broken"
    lines[100:400] = ["120.02,31.02,default"] * 300
    path.write_text("lon,lat,text\n" + "\n".join(lines), encoding="utf-8")
    return path


def test_a_cluster_gives_the_same_bytes_in_the_same_order(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(text_blocks.blocks.__kwdefaults__, "size", 100_000)  # many more blocks than workers
    source = written(tmp_path, 20_000)
    for ending in (".csv", ".parquet"):
        here = tag(source, tmp_path / f"here{ending}")
        there = tag(source, tmp_path / f"there{ending}", cluster=address)
        assert (tmp_path / f"here{ending}").read_bytes() == (tmp_path / f"there{ending}").read_bytes()
        assert here.counts == there.counts
        assert list(here.default_points) == list(there.default_points)


def test_sheets_and_tables_go_to_the_workers_block_by_block(address: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["经度", "纬度"], [120.02, 31.01], ["不详", None]):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    assert tag(tmp_path / "a.xlsx", tmp_path / "b.gpkg", cluster=address).counts.rows == 2
    again = geotag_file(
        tmp_path / "b.gpkg", tmp_path / "c.csv", cells=cells("zh"), asked=Asked(), wish=Wish("zh"), cluster=address
    )
    assert again.counts.how["inside"] == 1


def test_cancelling_ends_it_and_leaves_nothing(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(text_blocks.blocks.__kwdefaults__, "size", 5_000)
    source = written(tmp_path, 5_000)
    with pytest.raises(InvalidInput, match=r"geotag\.cancelled"):
        tag(source, tmp_path / "b.csv", cluster=address, stop=0.31)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_S", 0.5)
    source = written(tmp_path, 500)
    with pytest.raises(GridError) as caught:
        tag(source, tmp_path / "b.csv", cluster="nonsense")
    assert caught.value.code == "spreading.bad_address"
    with pytest.raises(Unavailable, match=r"spreading\.cluster_unreachable"):
        tag(source, tmp_path / "b.csv", cluster="tcp://127.0.0.1:1")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
