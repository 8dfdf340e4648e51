"""Two plans of one problem make a third that is at least as good as either.

Where the cells of two plans cover the same ground together, the cheaper of the two can be taken there whatever is
chosen elsewhere, because a cell's cost depends on its members alone. (Partition crossover, as Whitley, Hains and Howe
2009 use it for tours; here on cells of a cover.)
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.geometry import FloatArray, IntArray, sums
from gis.partition import kernel
from gis.partition.problem import Problem

LEAST_GAIN = 1e-6


def numbered(label: IntArray) -> IntArray:
    """The same cells, named 0 … cells - 1."""
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def price(problem: Problem, label: IntArray, memo: kernel.Memo) -> tuple[float, FloatArray]:
    """The cost of a labelling, and of each cell but for enclaves."""
    costs = np.zeros(int(label.max()) + 1)
    total = kernel.price(problem.graph, label, len(costs), problem.terms, memo, costs)
    return float(total), costs


def cross(problem: Problem, one: IntArray, other: IntArray, memo: kernel.Memo) -> IntArray | None:
    """Labels that take from each of two labellings what is cheaper there; ``None`` if nothing of the other is.

    Parameters
    ----------
    one, other : int arrays, shape (nodes,)
        Cells numbered without gaps, each in one piece.
    """
    cells = int(one.max()) + 1
    both = cells + int(other.max()) + 1
    overlaps = coo_array((np.ones(len(one)), (one, other + cells)), shape=(both, both))
    count, region = connected_components(overlaps, directed=False)
    if count == 1:
        return None
    mine = sums(region[:cells], price(problem, one, memo)[1], count)
    theirs = sums(region[cells:], price(problem, other, memo)[1], count)
    better = theirs < mine - LEAST_GAIN
    if not better.any():
        return None
    return numbered(np.where(better[region[one]], other + cells, one))
