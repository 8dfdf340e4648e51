"""Our measures of an answer, by hand and against an independent scorer."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gis.errors import InvalidInput
from gis.partition import instance
from gis.partition.instance import Tables
from gis.partition.scoring import score
from gis.partition.synthetic import make_district
from gis.settings import ROOT

REFEREE = ROOT.parent / "shared" / "referee" / "graph_score.py"


def row_of_houses() -> Tables:
    """Four squares of 100 m side in a row, 200 households each; a road between the second and the third."""
    nodes = {
        "households": np.full(4, 200), "community": np.zeros(4, int), "compound": np.array([0, 0, 1, 1]),
        "x_m": np.array([50.0, 150.0, 250.0, 350.0]), "y_m": np.full(4, 50.0), "area_m2": np.full(4, 1e4),
        "perimeter_m": np.full(4, 400.0),
    }  # fmt: skip
    edges = {
        "a": np.arange(3), "b": np.arange(1, 4), "length_m": np.full(3, 100.0), "barrier_m": np.array([0.0, 100, 0]),
        "cut_cost_m": np.array([100.0, 25, 100]), "walkable": np.ones(3, bool),
    }  # fmt: skip
    return Tables("row", 300.0, 500.0, nodes, edges)


def test_two_compounds_apart_at_the_road_are_measured_as_by_hand() -> None:
    got = score(instance.problems_of(row_of_houses()), np.array([5, 5, 9, 9]))
    roundness = 4 * np.pi * 2e4 / 600**2
    assert (got.grids, got.in_band_ratio, got.not_contiguous, got.enclaves) == (2, 1.0, 0, 0)
    assert (got.small_compounds_cut, got.small_compounds, got.on_barrier_ratio) == (0, 2, 1.0)
    assert got.polsby_popper_mean == pytest.approx(roundness)
    assert got.radius_mean_m == 100
    assert got.j == pytest.approx((25 + 2 * (100 * (1 - roundness) + 50) + 2 * 400) / 1000)


def test_a_grid_in_two_pieces_and_a_compound_cut_are_seen() -> None:
    got = score(instance.problems_of(row_of_houses()), np.array([0, 1, 0, 1]))
    assert (got.not_contiguous, got.small_compounds_cut) == (2, 2)


def test_labels_must_be_one_a_node() -> None:
    with pytest.raises(InvalidInput):
        score(instance.problems_of(row_of_houses()), np.zeros(3, dtype=int))


def test_a_written_instance_reads_the_same(tmp_path: Path) -> None:
    made = make_district(seed=3, columns=2, rows=2)
    instance.write(tmp_path / "x.json.gz", made)
    read = instance.load(tmp_path / "x.json.gz")
    for name, values in {**made.nodes, **made.edges}.items():
        np.testing.assert_allclose({**read.nodes, **read.edges}[name], values, atol=0.006)
    instance.write(tmp_path / "y.json.gz", read)
    assert (tmp_path / "x.json.gz").read_bytes() == (tmp_path / "y.json.gz").read_bytes()


def test_a_made_up_district_is_whole_and_the_same_for_its_seed() -> None:
    made, again = make_district(seed=3, columns=2, rows=3), make_district(seed=3, columns=2, rows=3)
    assert all(np.array_equal(made.nodes[name], again.nodes[name]) for name in made.nodes)
    assert made.nodes["area_m2"].sum() == pytest.approx(6 * 1225.0**2, rel=0.1)
    assert made.nodes["households"].max() <= 292
    assert not made.edges["walkable"].all()
    outer = made.nodes["perimeter_m"].sum() - 2 * made.edges["length_m"].sum()
    assert outer == pytest.approx(2 * (2 + 3) * 1225.0, rel=0.2)
    for problem in instance.problems_of(made).problems:
        assert len(np.unique(problem.pieces)) <= 2  # the banks of a river without a bridge


@pytest.mark.skipif(not REFEREE.exists(), reason="the independent scorer is not there")
@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_the_independent_scorer_on_any_labels(seed: int) -> None:
    referee = _referee()
    tables = make_district(seed=seed, columns=2, rows=2)
    rng = np.random.default_rng(seed)
    # Labels by place are grids with some sense; a few wrong ones make torn grids and enclaves.
    labels = (tables.nodes["x_m"] // 300 * 10 + tables.nodes["y_m"] // 300).astype(int)
    wrong = rng.random(len(labels)) < 0.1
    labels[wrong] = rng.integers(0, 40, wrong.sum())
    theirs = referee.score(
        {"households_min": 300, "households_max": 500, "nodes": dict(tables.nodes), "edges": dict(tables.edges)}, labels
    )
    ours = {("J" if name == "j" else name): value for name, value in
            score(instance.problems_of(tables), labels).as_dict().items()}  # fmt: skip
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=0.06 if name == "radius_mean_m" else 0.006), name


def _referee() -> ModuleType:
    found = importlib.util.spec_from_file_location("graph_score", REFEREE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
