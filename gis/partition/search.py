"""Search: restarts of the compiled annealing, the best kept; the same seed gives the same labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gis.errors import InvalidInput
from gis.geometry import FloatArray, IntArray, sums
from gis.partition import kernel
from gis.partition.crossing import LEAST_GAIN, cross, numbered, price
from gis.partition.problem import Problem

SMALL = 200  # nodes


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search: restarts, and steps of each (the greater of a least number and so many a node).

    The restarts are for `SMALL` nodes; a larger problem gets more in proportion.
    """

    restarts: int
    steps: int
    steps_per_node: int
    hot: float
    cold: float
    patience: int = 4  # times the restarts, while a cell is out of its band

    def restarts_for(self, nodes: int) -> int:
        """Restarts for a problem of so many nodes."""
        return round(self.restarts * max(nodes / SMALL, 1.0))

    def for_parts(self) -> Effort:
        """The effort inside one grid: a small problem, of which there are many."""
        return replace(
            self,
            restarts=max(self.restarts // 2, 2),
            steps=self.steps // 4,
            steps_per_node=self.steps_per_node // 2,
            patience=min(self.patience, 4),
        )


# A search that begins from a plan in force starts no hotter than this: it shall mend the plan, not melt it.
WARM = 300.0
MEMO_BITS = (12, 17)  # least and most; 2 MB at most

# So hot at first that a cell may leave its band (2,000) now and then: colder ones ended up to 1 % worse in that time.
EFFORTS: Mapping[str, Effort] = {
    "draft": Effort(4, 3_000, 20, 1_600.0, 15.0, patience=10),
    "full": Effort(16, 10_000, 120, 1_200.0, 8.0),
    "deep": Effort(64, 40_000, 400, 1_200.0, 5.0),
}


@dataclass(frozen=True)
class Solution:
    """Labels 0 … cells - 1 of the nodes, with the cost that the search saw."""

    label: IntArray
    cost: float

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self.label.max()) + 1

    def sizes(self, problem: Problem) -> FloatArray:
        """Households of each cell."""
        return sums(self.label, problem.households, self.cells)


def effort_named(name: str) -> Effort:
    """An effort by its name.

    Raises
    ------
    InvalidInput
        ``partition.unknown_effort``.
    """
    if name not in EFFORTS:
        raise InvalidInput("partition.unknown_effort", effort=name, known=list(EFFORTS))
    return EFFORTS[name]


def solve(
    problem: Problem,
    *,
    seed: int,
    effort: Effort,
    start: IntArray | None = None,
    cancelled: Callable[[], bool] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Solution:
    """Find labels of low cost; every cell in one piece (over `Problem.links`).

    Parameters
    ----------
    start : int array, shape (nodes,), optional
        Labels to begin from, each cell in one piece; needed where nodes are held. By default one whole is split.
    cancelled : callable, optional
        Asked between restarts; the best so far is given.
    progress : callable, optional
        Called between restarts with the share of the work done (0 … 1) and the cost of the best so far.

    Raises
    ------
    InvalidInput
        ``partition.bad_start`` where nodes are held and no labels to begin from are given.

    Notes
    -----
    While a cell is out of its band, `Effort.patience` times as many restarts are made at most.
    One cell is given without search where two would both be under the band.
    """
    n = len(problem.households)
    total, terms = problem.total, problem.terms
    if problem.held is not None and problem.held.any() and start is None:
        raise InvalidInput("partition.bad_start")
    if start is None and (n == 1 or (total <= terms.high and total < 2 * terms.low) or total == 0):
        return Solution(np.zeros(n, dtype=np.int64), 0.0)
    label = np.zeros(n, dtype=np.int64) if start is None else numbered(start)
    most = max(int(min(n, np.ceil(1.4 * total / max(terms.low, 1.0)) + 4)), int(label.max()) + 2)
    steps = max(effort.steps, effort.steps_per_node * n)
    memo = kernel.memo(int(np.clip(n.bit_length() + 10, *MEMO_BITS)))
    hot = effort.hot if start is None else min(effort.hot, WARM)
    tried: list[Solution] = []
    best: Solution | None = None
    restarts = effort.restarts_for(n)
    for restart in range(effort.patience * restarts):
        if best is not None and restart >= restarts and _outside(best, problem) == 0:
            break
        found = np.zeros(n, dtype=np.int64)
        number = seed * 1009 + restart
        cost = float(
            kernel.anneal(
                problem.graph, label, most, terms, memo, steps, hot, effort.cold, number, start is None, found
            )
        )
        tried.append(Solution(numbered(found), cost))
        best = _crossed(problem, best, tried, memo)
        if progress is not None:
            progress(min((restart + 1) / restarts, 1.0), best.cost)
        if cancelled is not None and cancelled():
            break
    assert best is not None
    return best


def _crossed(problem: Problem, best: Solution | None, tried: list[Solution], memo: kernel.Memo) -> Solution:
    """The best plan that the best so far, the last one tried and, where that helps, the earlier ones make together."""
    last = tried[-1]
    if best is None:
        return last
    if last.cost < best.cost - LEAST_GAIN:
        best, others = last, tried
    else:
        others = [last]
    while others:
        found = best
        for other in others:
            label = cross(problem, found.label, other.label, memo)
            if label is not None:
                cost = price(problem, label, memo)[0]
                # Enclaves are no cell's own: a mixture may have one more.
                found = Solution(label, cost) if cost < found.cost - LEAST_GAIN else found
        others = tried if found.cost < best.cost - LEAST_GAIN else []
        best = found
    return best


def _outside(solution: Solution, problem: Problem) -> int:
    """Cells out of the band; stacks, which are cut into floor bands later, left aside."""
    size, terms = solution.sizes(problem), problem.terms
    stacked = sums(solution.label, problem.is_tall, solution.cells) > 0
    return int(((size < terms.low) | ((size > terms.high) & ~stacked)).sum())
