"""The cost of a finished labelling, term by term and cell by cell: what reports show, and what checks the search.

Worked out with numpy from the definitions in `gis.partition.objectives.TERMS`, apart from the compiled search.
"""

from __future__ import annotations

import numpy as np

from gis.geometry import FloatArray, IntArray, sums
from gis.partition import kernel
from gis.partition.kernel import Graph, Terms
from gis.partition.problem import Problem


def breakdown(problem: Problem, label: IntArray) -> dict[str, FloatArray]:
    """The cost of a labelling by term and cell.

    Parameters
    ----------
    label : int array, shape (nodes,)
        0 … cells - 1, none without a node.

    Returns
    -------
    dict of str to float array, shape (cells,)
        One a term of `gis.partition.objectives.TERMS`, already weighed; all of them together are the cost.
    """
    graph, terms, cells = problem.graph, problem.terms, int(label.max()) + 1
    members = [np.flatnonzero(label == cell) for cell in range(cells)]
    lived = [m[graph.place[m, kernel.HOUSEHOLDS] > 0] for m in members]
    groups = [np.unique(graph.kind[m, kernel.GROUP]) for m in lived]
    walks = np.array([_walks(graph, m) for m in lived])
    return {
        **_sizes(graph, terms, label, cells),
        **_borders(graph, terms, label, cells),
        "group_piece": terms.group_piece * np.array([float((g >= 0).sum()) for g in groups]),
        "reach": terms.reach * walks[:, 0],
        "span": terms.span * walks[:, 1],
        "similarity": terms.similarity * np.array([_mixing(graph.mix[m]) for m in lived]),
        "stability": terms.stability * np.array([_moved(graph, m) for m in members]),
    }


def _sizes(graph: Graph, terms: Terms, label: IntArray, cells: int) -> dict[str, FloatArray]:
    size = sums(label, graph.place[:, kernel.HOUSEHOLDS], cells)
    is_tall = sums(label, graph.kind[:, kernel.TALL].astype(float), cells) > 0
    bands = np.array([_bands(h, tall, terms) for h, tall in zip(size.tolist(), is_tall.tolist(), strict=True)])
    each = size / bands
    out = np.maximum(np.maximum(terms.low - each, each - terms.high), 0.0)
    return {
        "balance": terms.balance * bands * ((each - terms.target) / terms.half_width) ** 2,
        "outside": terms.outside * bands * (out > 0),
        "outside_per_household": terms.outside_per_household * bands * out,
        "band": terms.band * np.where(bands > 1, bands, 0),
    }


def _bands(households: float, is_tall: bool, terms: Terms) -> int:
    """The number of floor bands that costs least."""
    if not is_tall or households <= terms.high:
        return 1
    least = max(int(households / terms.high), 2)
    choices = (1, *range(least, least + 4))

    def cost(bands: int) -> float:
        return bands * (float(kernel.one_cell(households / bands, terms)) + (terms.band if bands > 1 else 0.0))

    return int(min(choices, key=cost))


def _borders(graph: Graph, terms: Terms, label: IntArray, cells: int) -> dict[str, FloatArray]:
    near = np.repeat(label, np.diff(graph.first))
    far = label[graph.edge[:, kernel.OTHER]]
    inside = near == far
    around = sums(label, graph.place[:, kernel.PERIMETER], cells)
    around -= sums(near[inside], graph.metres[inside, kernel.LENGTH], cells)
    area = sums(label, graph.place[:, kernel.AREA], cells)
    pairs = np.unique(np.column_stack([near[~inside], far[~inside]]), axis=0)
    neighbours = np.bincount(pairs[:, 0], minlength=cells)
    open_m = sums(label, graph.place[:, kernel.OUTSIDE], cells)
    return {
        "boundary": terms.boundary * 0.5 * sums(near[~inside], graph.metres[~inside, kernel.CUT], cells),
        "compactness": terms.compactness * (1 - np.minimum(4 * np.pi * area / np.maximum(around, 1.0) ** 2, 1.0)),
        "enclave": terms.enclave * ((neighbours == 1) & (open_m < 1.0)),
    }


def _walks(graph: Graph, lived: IntArray) -> tuple[float, float]:
    """Metres from the best base to the farthest inhabited member, and between the two farthest."""
    if len(lived) < 2 or not len(graph.distance):
        return 0.0, 0.0
    farthest = graph.distance[np.ix_(lived, lived)].max(axis=1)
    return float(farthest.min()), float(farthest.max())


def _mixing(mix: FloatArray) -> float:
    households = mix.sum(axis=0)
    total = households.sum()
    return float(1 - ((households / total) ** 2).sum()) if total > 0 else 0.0


def _moved(graph: Graph, members: IntArray) -> float:
    past, weight = graph.kind[members, kernel.PAST], graph.place[members, kernel.WEIGHT]
    if not (past >= 0).any():
        return 0.0
    overlap = np.bincount(past[past >= 0], weight[past >= 0], len(graph.past))
    return float(overlap.sum() - overlap[2 * overlap > graph.past].max(initial=0.0))
