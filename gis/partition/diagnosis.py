"""Diagnosis before search: what makes a band impossible, said by name, and the nearest answer.

Nothing here raises: an impossible demand is a finding beside a plan that is as near to it as can be.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gis.findings import Finding, Severity
from gis.geometry import FloatArray
from gis.partition.objectives import Limits
from gis.partition.problem import Problem


def counts_that_fit(total: float, limits: Limits) -> range:
    """Numbers of cells for which the households divide within the band; empty where none does."""
    most = int(total // limits.least) if limits.least > 0 else max(int(total), 1)
    return range(max(int(np.ceil(total / limits.most - 1e-9)), 1), most + 1)


def diagnose(problem: Problem, limits: Limits, *, layer: str, key: str) -> list[Finding]:
    """Name what keeps cells of this problem out of their band, whatever the search does.

    Parameters
    ----------
    layer, key : str
        Name of the tier, and code of the community or cell that is cut.
    """
    total = problem.total
    band = {"low": round(limits.least), "high": round(limits.most)}
    if total == 0:
        return [Finding("partition.no_households", Severity.NOTE, layer, key=key)]
    found = []
    if total < limits.least:
        found.append(_note("partition.below_minimum", layer, key, households=round(total), **band))
    elif not counts_that_fit(total, limits):
        below = max(int(total // limits.most), 1)
        each = [round(total / below), round(total / (below + 1))]
        found.append(
            _note("partition.no_count_fits", layer, key, households=round(total), **band,
                  fewer=below, fewer_each=each[0], more=below + 1, more_each=each[1])
        )  # fmt: skip
    found += _cut_off(problem, limits, layer=layer, key=key)
    found += _fits_nothing(problem.households, limits, layer=layer, key=key)
    return found


def _cut_off(problem: Problem, limits: Limits, *, layer: str, key: str) -> Iterable[Finding]:
    """Pieces of ground that are joined by no walkable border and too small by themselves."""
    piece = problem.pieces
    if piece.max() == 0:
        return
    size = np.bincount(piece, problem.households)
    a, b, joined = problem.links
    borders = int(joined.sum())
    for number in np.flatnonzero((size > 0) & (size < limits.least)):
        inside = piece == number
        across = np.flatnonzero(inside[a] != inside[b])
        metres = float(np.hypot(*(problem.middle_m[a[across]] - problem.middle_m[b[across]]).T).min(initial=np.inf))
        code = "partition.cut_off" if (across < borders).any() else "partition.island"
        yield _note(code, layer, key, households=round(float(size[number])), low=round(limits.least),
                    distance_m=round(metres) if np.isfinite(metres) else None)  # fmt: skip


def _fits_nothing(households: FloatArray, limits: Limits, *, layer: str, key: str) -> Iterable[Finding]:
    """Nodes under the band that reach it with no choice of other nodes, wherever those lie."""
    whole = np.rint(households).astype(int)
    if whole.sum() < limits.least:
        return
    low, high = int(np.ceil(limits.least)), int(limits.most)
    mask = (1 << (high + 1)) - 1
    values, times = np.unique(whole[whole > 0], return_counts=True)
    for value in values:
        if value >= low:
            continue
        sums = 1 << int(value)
        for other, n in zip(values, times, strict=True):
            for _ in range(min(int(n) - (other == value), high // int(other))):
                sums |= (sums << int(other)) & mask
        if not sums >> low:
            yield _note("partition.fits_nothing", layer, key, households=int(value), count=int((whole == value).sum()),
                        low=low, high=high)  # fmt: skip


def _note(code: str, layer: str, key: str, **params: object) -> Finding:
    return Finding(code, Severity.NOTE, layer, key=key, params=params)


def explain(households: float, nodes: FloatArray, total: float, limits: Limits) -> str:
    """The reason for a cell out of its band, as the last word of a code.

    ``none_lives``, ``total`` (no number of cells fits, or all is under the minimum), ``one_node`` (a single building
    or part that is too large), ``not_proven``.
    """
    if total == 0 or households == 0:
        return "none_lives"
    if total < limits.least or not counts_that_fit(total, limits):
        return "total"
    if households > limits.most and (nodes > 0).sum() == 1:
        return "one_node"
    return "not_proven"
