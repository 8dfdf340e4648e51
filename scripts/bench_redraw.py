"""``wangge bench redraw``: a plan drawn again after a year's change, with and without regard for the plan in force."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.optimize import linear_sum_assignment

from gis.geometry import FloatArray, IntArray
from gis.partition import instance as instances
from gis.partition import kernel
from gis.partition.instance import Instance, label_all
from gis.partition.redraw import repairing
from gis.partition.scoring import Score, score
from gis.partition.search import EFFORTS, Effort, effort_named
from gis.partition.synthetic import year_later
from scripts.bench_partition import table
from scripts.peer_environment import run_peer
from scripts.program import Program, pass_program, print_json
from scripts.spent import Spent


@dataclass(frozen=True)
class Redrawn:
    """One way to redraw.

    Attributes
    ----------
    kept_ratio : float
        Share of the households of unchanged buildings that stay in the grid that goes on as theirs: grids before and
        after are paired one to one such that most stay.
    kept_ratio_of_all : float
        The same over all households of buildings that stand now and stood then, the smaller number of each.
    """

    method: str
    score: Score
    kept_ratio: float
    kept_ratio_of_all: float
    cpu_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "score"}
        return own | self.score.as_dict()


@dataclass(frozen=True)
class _Year:
    """An instance before and after."""

    before: Instance
    after: Instance
    is_new: np.ndarray

    def redrawn(self, method: str, old: IntArray, new: IntArray, seconds: float) -> Redrawn:
        then = self.before.tables.nodes["households"].astype(float)
        now = self.after.tables.nodes["households"].astype(float)
        same = np.where((then == now) & ~self.is_new, now, 0.0)
        both = np.where(self.is_new, 0.0, np.minimum(then, now))
        return Redrawn(method, score(self.after, new), kept(old, new, same), kept(old, new, both), seconds)


def kept(old: IntArray, new: IntArray, households: FloatArray) -> float:
    """Share of households that stay when the cells before and after are paired one to one for the most to stay."""
    before, after = (np.unique(labels, return_inverse=True)[1] for labels in (old, new))
    shared = np.zeros((before.max() + 1, after.max() + 1))
    np.add.at(shared, (before, after), households)
    return float(shared[linear_sum_assignment(-shared)].sum() / max(shared.sum(), 1e-9))


@click.command("redraw")
@click.argument("path", metavar="INSTANCE.json.gz", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=1, show_default=True, help="Of the year's change and of the search.")
@click.option("--effort", type=click.Choice(list(EFFORTS)), default="full", show_default=True)
@click.option(
    "--weight", "weights", type=float, multiple=True, default=[3.0, 30.0], show_default=True,
    help="What a household that moves costs (may be repeated).",
)  # fmt: skip
@click.option("--peers", is_flag=True, help="METIS against its own plan of the year before, too.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
@pass_program
def command(
    program: Program,
    path: Path,
    seed: int,
    effort: str,
    weights: tuple[float, ...],
    peers: bool,
    processes: int,
    as_json: bool,
) -> None:
    """Simulate a year's change on a graph instance, and redraw its plan.

    \b
    Six new compounds of about 400 households, five or six pulled down, a tenth more or fewer households in a tenth of
    the buildings. Ours: from nothing, and from the plan in force with each weight of stability.
    """
    tables = instances.load(path)
    later, is_new = year_later(tables, seed=seed)
    year = _Year(instances.problems_of(tables), instances.problems_of(later), is_new)
    kernel.warm()
    found = list(_ours(program, year, effort_named(effort), seed, weights, processes))
    if peers:
        found += _metis(path, year, seed)
    if as_json:
        print_json({"instance": tables.name, "seed": seed, "effort": effort, "rows": [row.as_dict() for row in found]})
    else:
        _print(program, tables.name, found)


def _ours(
    program: Program, year: _Year, effort: Effort, seed: int, weights: Sequence[float], processes: int
) -> Iterator[Redrawn]:
    old = label_all(year.before, seed=seed, effort=effort, processes=processes)
    yield year.redrawn(program.sentence("bench.redraw.unchanged"), old, old, 0.0)
    with Spent() as spent:
        new = label_all(year.after, seed=seed + 1, effort=effort, processes=processes)
    yield year.redrawn(program.sentence("bench.redraw.scratch"), old, new, spent.cpu_seconds)
    for weight in weights:
        with Spent() as spent:
            new = label_all(
                _remembering(year, old, weight), seed=seed + 1, effort=effort, processes=processes,
                starts=[old[member] for member in year.after.members],
            )  # fmt: skip
        method = program.sentence("bench.redraw.stable", weight=f"{weight:g}")
        yield year.redrawn(method, old, new, spent.cpu_seconds)


def _remembering(year: _Year, old: IntArray, weight: float) -> Instance:
    """The problems of today with the plan in force, and what leaving it costs."""
    problems = []
    for problem, member in zip(year.after.problems, year.after.members, strict=True):
        past = np.unique(old[member], return_inverse=True)[1].astype(np.int64)
        terms = repairing(problem.terms._replace(stability=weight), weight)
        problems.append(replace(problem, past=np.where(year.is_new[member], -1, past), terms=terms))
    return replace(year.after, problems=tuple(problems))


def _metis(path: Path, year: _Year, seed: int) -> Iterator[Redrawn]:
    with tempfile.TemporaryDirectory(prefix="wangge-redraw-") as folder:
        later = Path(folder) / "later.json.gz"
        instances.write(later, year.after.tables)
        old, new = run_peer("METIS", path, seed=seed, limit_s=120), run_peer("METIS", later, seed=seed, limit_s=120)
    labels = []
    for answer, instance in ((old, year.before), (new, year.after)):
        label = np.zeros(instance.nodes, dtype=np.int64)
        for number, member in enumerate(instance.members):
            community = int(instance.tables.nodes["community"][member[0]])
            label[member] = np.asarray(answer.labels[community]) + 1000 * number
        labels.append(label)
    yield year.redrawn("METIS", labels[0], labels[1], new.cpu_seconds)


def _print(program: Program, name: str, found: Sequence[Redrawn]) -> None:
    columns = ("method", "in_band", "cut", "torn", "j", "kept", "kept_of_all", "cpu_seconds")
    rows = [[program.sentence(f"bench.column.{column}") for column in columns]]
    for row in found:
        s = row.score
        rows.append(
            [row.method, f"{s.in_band_ratio:.1%}", f"{s.small_compounds_cut}/{s.small_compounds}",
             str(s.not_contiguous), f"{s.j:.2f}", f"{row.kept_ratio:.1%}", f"{row.kept_ratio_of_all:.1%}",
             f"{row.cpu_seconds:.1f}"]
        )  # fmt: skip
    click.echo(program.sentence("bench.redraw.title", instance=name))
    for line in table(rows):
        click.echo(line)
