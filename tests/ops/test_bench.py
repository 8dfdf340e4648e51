"""Benchmarks end to end on small graphs: figures, other engines that fail or never end, redraws, cities."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gis.cleaning import clean
from gis.errors import Unavailable
from gis.partition import instance
from gis.partition.division_of import jobs_of
from gis.partition.scoring import score
from gis.partition.synthetic import make_district, year_later
from gis.rule_set import load_preset
from scripts import bench_ground, bench_partition, peer_environment
from scripts.bench_redraw import kept
from scripts.cli import run
from scripts.peers import run_peers
from tests.partition.towns import estate, ground, town


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "small.json.gz"
    assert run(["bench", "synthetic", "--out", str(path), "--seed", "4", "--columns", "2", "--rows", "1"]) == 0
    return path


def figures(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["bench", *words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_labels_written_are_those_measured(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.json"
    (row,) = figures(capsys, "partition", str(graph), "--effort", "draft", "--labels", str(out))["rows"]
    labels = np.array(json.loads(out.read_text()))
    assert row["j"] == score(instance.read(graph), labels).j
    assert row["answered"] == row["communities"] == 2
    assert row["cpu_seconds"] > 0


def test_the_table_is_printed_with_what_an_engine_did_not_answer(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that answers one community, begins the next and never ends."""
    first = instance.read(graph).members[0]
    line = {"community": 0, "labels": [0] * len(first), "seconds": 0.5, "cpu_seconds": 0.5}
    fake = tmp_path / "fake.py"
    fake.write_text(
        f"import sys, time\nwith open(sys.argv[3], 'w') as f:\n    f.write({json.dumps(line)!r} + '\\n' + '{{\"comm')\n"
        "    f.flush()\n    time.sleep(60)\n"
    )
    monkeypatch.setattr(peer_environment, "RUNNER", fake)
    monkeypatch.setattr(peer_environment, "GRACE_S", 8.0)
    for module in (peer_environment, bench_partition):
        monkeypatch.setattr(module, "peer_python", lambda: Path(sys.executable))
    command = ["--language", "en", "bench", "partition", str(graph), "--effort", "draft", "--peer", "METIS"]
    assert run([*command, "--limit", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert "| 1/2" in shown
    assert "METIS: ended after" in shown


def test_a_command_over_its_time_is_ended_with_all_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    command = ["sh", "-c", f"sleep 1000 & echo $! > {mark}; sleep 1000"]
    for limit in (0.5, 5.0, 50.0):  # a busy machine may take long to come to the second word
        assert peer_environment.run_ended(command, limit) == ("", True)
        if mark.exists() and (child := mark.read_text()):
            break
    told = Path(f"/proc/{int(child)}/stat")
    while _is_alive(told):  # killed; its new parent may not have noticed yet
        time.sleep(0.01)


def _is_alive(told: Path) -> bool:
    try:
        return told.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_a_registry_the_environment_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(peer_environment, "_newest_python", lambda: "true")  # makes no environment, but says so
    monkeypatch.setattr(peer_environment, "_installer", lambda _python: ["sh", "-c", "echo no index >&2; exit 1"])
    peer_environment.peer_python.cache_clear()
    with pytest.raises(Unavailable) as caught:
        peer_environment.peer_python()
    assert caught.value.code == "bench.no_peers"
    assert caught.value.params["reason"] == "no index"
    assert os.listdir(tmp_path / "wangge") == []


def test_other_engines_are_given_the_links_that_we_search_over(graph: Path) -> None:
    problems = instance.read(graph).problems
    for problem, given in zip(problems, run_peers.communities(graph, 0, 1.0), strict=True):
        a, b, _ = problem.links
        ours = {frozenset(pair) for pair in zip(a.tolist(), b.tolist(), strict=True)}
        assert {frozenset(pair) for pair in zip(given.a.tolist(), given.b.tolist(), strict=True)} == ours
        first, other, weights = given.neighbours
        assert first[-1] == len(other) == len(weights) == 2 * len(a)
        assert min(weights) >= 1


def test_an_engine_that_raises_is_told_with_its_reason(graph: Path) -> None:
    def fail(_community: run_peers.Community) -> None:
        raise RuntimeError("no cut\nand more")

    lines = [run_peers.answer(fail, community) for community in run_peers.communities(graph, 0, 5.0)]
    assert [line["error"] for line in lines] == ["RuntimeError: no cut"] * 2


def test_grids_are_paired_so_that_most_households_stay() -> None:
    old, new = np.array([0, 0, 0, 1, 1]), np.array([7, 7, 5, 5, 5])
    assert kept(old, new, np.array([10.0, 10, 10, 10, 0])) == pytest.approx(0.75)


def test_a_year_changes_what_it_says(graph: Path) -> None:
    before = instance.load(graph)
    after, is_new = year_later(before, seed=2)
    built = after.nodes["households"][is_new].sum()
    assert built == pytest.approx(400 * len(np.unique(after.nodes["compound"][is_new])), rel=0.2)
    assert (before.nodes["households"][is_new] <= 12).all()
    pulled_down = (before.nodes["households"] > 12) & (after.nodes["households"] == 0)
    assert 2 <= len(np.unique(before.nodes["compound"][pulled_down])) <= 6


def test_a_redraw_with_stability_keeps_more_than_one_from_nothing(
    graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, scratch, stable = figures(capsys, "redraw", str(graph), "--effort", "draft", "--weight", "30")["rows"]
    assert stable["kept_ratio"] >= scratch["kept_ratio"]
    assert stable["kept_ratio"] > 0.9


def test_a_city_is_as_large_as_asked_for(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    once = int(instance.load(graph).nodes["households"].sum())
    words = ["city", str(graph), "--households", str(once + 1), "--processes", "1"]
    (row,) = figures(capsys, *words)["rows"]
    assert (row["households"], row["communities"]) == (2 * once, 4)


def test_ground_is_surveyed_and_checked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = clean(town({"001": ground(4, 3)}, estate(4, 3, 30)))
    jobs = jobs_of(place, load_preset("bishan"), seed=1, effort="draft")
    monkeypatch.setattr(bench_ground, "_towns", lambda _buildings: iter([jobs]))
    got = figures(capsys, "ground")
    assert (got["buildings"], got["communities"], got["invalid_communities"]) == (12, 1, 0)
    assert got["gap_m2"] == 0


def test_made_up_districts_differ_by_seed() -> None:
    one, other = make_district(seed=1, columns=1, rows=1), make_district(seed=2, columns=1, rows=1)
    assert one.nodes["households"].tolist() != other.nodes["households"].tolist()
