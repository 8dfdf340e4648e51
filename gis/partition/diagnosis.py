"""Diagnosis before search: what makes a band impossible, said by name, and the cheapest relaxation.

Nothing here raises: an impossible demand is a finding beside a plan that is as near to it as can be. What a finding
says is proven for every plan, not only for the one that the search found: by sums of households, by enumeration of
what hangs together, or by what is cut off. `diagnose` looks at a problem before it is searched, `explain_cell` at one
cell afterwards, `gis.partition.diagnosis_of_town` at a whole town without its ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis.findings import Finding, Severity
from gis.geometry import FloatArray, IntArray
from gis.partition.kernel import Terms
from gis.partition.objectives import Limits
from gis.partition.problem import Problem

BoolArray = NDArray[np.bool_]

MOST_STEPS = 4_000  # of the enumeration of what hangs together with one node; beyond, nothing is claimed
APART_M = 500.0  # between the middles of two communities, where nobody says how far it is
MOST_SUM = 100_000  # households; sums beyond are not looked at one by one

RELAXATIONS: Mapping[str, str] = {
    "relax.leave": "0: nothing is out of order",
    "relax.join": "reach × metres to the nearest cell",
    "relax.cut": "group_piece × cuts; and outside, where the rules would not cut it",
    "relax.allow": "Σ (outside + outside_per_household × households outside the band)",
    "relax.merge": "outside + group_piece + reach × metres between the two",
    "relax.merge_any": "outside + group_piece + reach × 500 m",
    "relax.widen": "2 outside + outside_per_household × households that the band widens by",
}
"""What each relaxation costs, in the plan's own cost (`gis.partition.objectives.TERMS`).

A rule lifted for one building or community counts as one cell out of its band, one lifted for all cells as two.
The order decides between equals.
"""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One way to make an impossible demand possible.

    Attributes
    ----------
    code : str
        One of `RELAXATIONS`; its sentence stands in ``gis/locale``.
    params : mapping
        Plain values that the sentence quotes.
    cost : float
        In the plan's own cost.
    """

    code: str
    params: Mapping[str, Any]
    cost: float

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"code": self.code, "params": dict(self.params), "cost": round(self.cost, 1)}


@dataclass(frozen=True)
class Known:
    """What is known of a problem beside its graph.

    Attributes
    ----------
    names : sequence of str, optional
        Of the nodes.
    units : int array, shape (nodes,), optional
        Staircases that a node could be cut by; 1: not at all. Not known: as many as are needed.
    keep_whole : bool
        The rules would not cut a building.
    towers_told : bool
        Nodes over the maximum are reported already, by their buildings.
    neighbours : mapping of str to (float, float), optional
        Households of the communities beside this one, and the metres between their middles. Not known: some
        neighbour will do.
    is_graph : bool
        Whether the borders say what hangs together; if not, only sums are looked at.
    """

    names: Sequence[str] | None = None
    units: IntArray | None = None
    keep_whole: bool = False
    towers_told: bool = False
    neighbours: Mapping[str, tuple[float, float]] | None = None
    is_graph: bool = True


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a cell is out of its band: the last word of a code, what its sentence quotes, and what would help."""

    code: str
    params: Mapping[str, Any]
    relaxations: tuple[Relaxation, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Whether no plan could do better."""
        return self.code != "not_proven"


def counts_that_fit(total: float, limits: Limits) -> range:
    """Numbers of cells for which the households divide within the band; empty where none does."""
    most = int(total // limits.least) if limits.least > 0 else max(int(total), 1)
    return range(max(int(np.ceil(total / limits.most - 1e-9)), 1), most + 1)


def remedy(relaxations: Iterable[Relaxation]) -> dict[str, Any]:
    """The parameters of a finding that tell the cheapest relaxation, and all of them."""
    order = list(RELAXATIONS)
    ranked = sorted(relaxations, key=lambda r: (round(r.cost, 1), order.index(r.code)))
    if not ranked:
        return {}
    return {"remedy": ranked[0].plain(), "relaxations": [each.plain() for each in ranked]}


# --- What a relaxation costs -----------------------------------------------------------------------------------------


def outside(households: float, limits: Limits) -> float:
    """Households by which a cell misses its band."""
    return max(limits.least - households, households - limits.most, 0.0)


def allow(sizes: Sequence[float], limits: Limits, terms: Terms) -> Relaxation:
    """Let cells of these sizes be out of their band."""
    out = [size for size in sizes if outside(size, limits) > 0]
    cost = sum(terms.outside + terms.outside_per_household * outside(size, limits) for size in out)
    return Relaxation("relax.allow", {"count": len(out), "households": _few(out)}, cost)


def widen(sizes: Sequence[float], limits: Limits, terms: Terms) -> Relaxation:
    """Widen the tolerance of the tier, evenly to both sides, until cells of these sizes pass."""
    least, most = min(*sizes, limits.least), max(*sizes, limits.most)
    ratio = max(1 - least / limits.least if limits.least > 0 else 0.0, most / limits.most - 1)
    low, high = limits.least * (1 - ratio), limits.most * (1 + ratio)
    cost = 2 * terms.outside + terms.outside_per_household * ratio * (limits.least + limits.most)
    percent = f"{np.ceil(ratio * 1000 - 1e-9) / 10:g}"
    return Relaxation(
        "relax.widen", {"percent": percent, "low": int(low + 1e-6), "high": int(np.ceil(high - 1e-6))}, cost
    )


def cut(parts: int, cuts: int, terms: Terms, *, is_lifted: bool) -> Relaxation:
    """Cut buildings by their staircases; ``is_lifted`` where the rules would not."""
    cost = terms.group_piece * cuts + (terms.outside if is_lifted else 0.0)
    return Relaxation("relax.cut", {"parts": parts, "cuts": cuts}, cost)


def join(distance_m: float, terms: Terms) -> Relaxation:
    """Join ground to the nearest cell across what lies between."""
    return Relaxation("relax.join", {"distance_m": round(distance_m)}, terms.reach * distance_m)


def merge(total: float, limits: Limits, terms: Terms, known: Known) -> Iterator[Relaxation]:
    """Divide a community together with one beside it."""
    base = terms.outside + terms.group_piece
    if known.neighbours is None:
        wanted = next((n for n in range(1, int(limits.most) + 1) if counts_that_fit(total + n, limits)), None)
        if wanted is not None:
            yield Relaxation("relax.merge_any", {"households": wanted}, base + terms.reach * APART_M)
        return
    fitting = [
        (base + terms.reach * metres, code, households)
        for code, (households, metres) in known.neighbours.items()
        if households > 0 and counts_that_fit(total + households, limits)
    ]
    for cost, code, households in sorted(fitting)[:1]:
        yield Relaxation("relax.merge", {"community": code, "households": round(total + households)}, cost)


def tower(households: float, limits: Limits, terms: Terms, *, units: int | None, keep_whole: bool) -> list[Relaxation]:
    """What helps a building over the maximum.

    Parameters
    ----------
    units : int or None
        Staircases that it could be cut by; 1: not at all.
    keep_whole : bool
        The rules would not cut it.
    """
    ways = [allow([households], limits, terms), widen([households], limits, terms)]
    fitting = counts_that_fit(households, limits)
    parts = fitting[0] if fitting else int(np.ceil(households / limits.most))
    if units is None or units >= parts:
        ways.append(cut(parts, parts - 1, terms, is_lifted=keep_whole))
    return ways


def _few(values: Sequence[float]) -> str:
    """Numbers as people read them: ``284``, or ``260-292``."""
    whole = sorted({round(value) for value in values})
    return "–" if not whole else str(whole[0]) if len(whole) == 1 else f"{whole[0]}-{whole[-1]}"


# --- One problem -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Study:
    """All that can be proven about a problem before it is searched; worked out when asked for."""

    problem: Problem
    limits: Limits
    known: Known = Known()

    @cached_property
    def is_large(self) -> BoolArray:
        """Nodes over the maximum by themselves; not those that may be cut into bands of floors."""
        return np.asarray((self.problem.households > self.limits.most + 1e-9) & ~self.problem.is_tall)

    @cached_property
    def has_stacks(self) -> bool:
        """Whether floor bands may be cut here: then a sum over the maximum is no hindrance, and nothing is claimed."""
        return bool(self.problem.is_tall.any())

    @cached_property
    def joined(self) -> list[set[int]]:
        """Inhabited nodes that hang together with each, directly or over ground where nobody lives."""
        a, b, _ = self.problem.links
        lived = self.problem.households > 0
        n = len(lived)
        empty = ~lived[a] & ~lived[b]
        _, patch = connected_components(coo_array((np.ones(empty.sum()), (a[empty], b[empty])), shape=(n, n)))
        beside: list[set[int]] = [set() for _ in range(n)]
        round_patch: dict[int, set[int]] = {}
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            if lived[i] and lived[j]:
                beside[i].add(j)
                beside[j].add(i)
            elif lived[i] or lived[j]:
                node, ground = (i, j) if lived[i] else (j, i)
                round_patch.setdefault(int(patch[ground]), set()).add(node)
        for nodes in round_patch.values():
            for node in nodes:
                beside[node] |= nodes - {node}
        return beside

    @cached_property
    def pocket(self) -> IntArray:
        """Pieces that are left when the nodes over the maximum are taken out, which can share a cell with none."""
        a, b, _ = self.problem.links
        kept = ~self.is_large[a] & ~self.is_large[b]
        n = len(self.problem.households)
        return np.asarray(
            connected_components(coo_array((np.ones(kept.sum()), (a[kept], b[kept])), shape=(n, n)))[1], dtype=np.int64
        )

    @cached_property
    def pocket_size(self) -> FloatArray:
        """Households of each piece of `pocket`."""
        return np.bincount(self.pocket, self.problem.households).astype(np.float64)

    def is_pocket(self, node: int) -> bool:
        """Whether a node is shut off by nodes over the maximum in a piece that fits no number of cells."""
        if self.is_large[node] or not self.is_large.any() or self.has_stacks:
            return False
        size = self.pocket_size[self.pocket[node]]
        return bool(size > 0 and not counts_that_fit(size, self.limits))

    @cached_property
    def sums_fit(self) -> Mapping[int, bool]:
        """By households of a node: whether it reaches the band with some choice of others, wherever those lie."""
        return sums_fit(self.problem.households, self.limits)

    @cached_property
    def least_out(self) -> int:
        """How many cells are out of band at least, in every division, as far as sums of households prove it: 0 or 1.

        A division without any would hold each node in a cell within the band whose rest fits a number of cells.
        """
        total = self.problem.total
        if total == 0 or self.has_stacks:
            return 0
        if not counts_that_fit(total, self.limits) or self.is_large.any():
            return 1
        return int(not all(sums_fit(self.problem.households, self.limits, divisible=True).values()))

    def completes(self, node: int) -> tuple[bool | None, float, float]:
        """Whether a node hangs together with others to a cell within the band.

        Returns
        -------
        fits : bool or None
            ``None`` where the enumeration grew too long to tell.
        under, over : float
            The largest such set below the band, the smallest above it (``inf`` where there is none).
        """
        h = self.problem.households
        low, high = self.limits.least - 1e-9, self.limits.most + 1e-9
        under, over, steps = float(h[node]), np.inf, 0
        if low <= h[node] <= high:
            return True, under, over
        # Include or leave out the frontier's first node, largest first: what is left out stays out below.
        stack: list[tuple[float, tuple[int, ...], frozenset[int]]] = [
            (float(h[node]), self._frontier({node}, frozenset({node})), frozenset({node}))
        ]
        while stack:
            total, frontier, seen = stack.pop()
            if not frontier:
                continue
            steps += 1
            if steps > MOST_STEPS:
                return None, under, over
            first, rest = frontier[0], frontier[1:]
            stack.append((total, rest, seen | {first}))
            grown = total + float(h[first])
            if grown > high:
                over = min(over, grown)
                continue
            if grown >= low:
                return True, grown, over
            under = max(under, grown)
            fresh = self.joined[first] - seen - set(rest) - {first}
            order = sorted({*rest, *fresh}, key=lambda v: (-h[v], v))
            stack.append((grown, tuple(order), seen | {first}))
        return False, under, over

    def _frontier(self, nodes: set[int], seen: frozenset[int]) -> tuple[int, ...]:
        beside = set().union(*(self.joined[node] for node in nodes)) - seen
        return tuple(sorted(beside, key=lambda v: (-self.problem.households[v], v)))

    def is_stuck(self, node: int) -> str | None:
        """``fits_nothing`` or ``fits_nothing_near`` if no cell with this node can be within the band."""
        value = self.problem.households[node]
        if not 0 < value < self.limits.least - 1e-9 or self.is_large[node] or self.has_stacks:
            return None
        if not self.sums_fit.get(round(float(value)), True):
            return "fits_nothing"
        if not self.known.is_graph:
            return None
        return "fits_nothing_near" if self.completes(node)[0] is False else None


def sums_fit(households: FloatArray, limits: Limits, *, divisible: bool = False) -> dict[int, bool]:
    """For each number of households of a node: whether it reaches the band with some choice of the others.

    With ``divisible``, such that the rest fits a number of cells; otherwise only for nodes under the band.
    """
    whole = np.rint(households).astype(int)
    total = int(whole.sum())
    low, high = int(np.ceil(limits.least - 1e-9)), int(limits.most + 1e-9)
    if high > MOST_SUM:
        return {}
    mask = (1 << (high + 1)) - 1
    good = sum(
        1 << size
        for size in range(max(low, 1), min(high, total) + 1)
        if not divisible or size == total or counts_that_fit(total - size, limits)
    )
    values, times = np.unique(whole[(whole > 0) & (whole <= high)], return_counts=True)
    fits = {}
    for value in values if divisible else values[values < low]:
        sums = 1 << int(value)
        for other, n in zip(values.tolist(), times.tolist(), strict=True):
            for _ in range(min(n - (other == value), high // other)):
                sums |= (sums << other) & mask
            if sums & good:
                break
        fits[int(value)] = bool(sums & good)
    return fits


def _one_out(study: Study) -> float | None:
    """The size of one cell that makes the others fit, nearest to the band; sums of nodes, wherever those lie."""
    total, limits = study.problem.total, study.limits
    whole = np.rint(study.problem.households).astype(int)
    if not 0 < whole.sum() <= MOST_SUM:
        return None
    sums = 1
    for value in whole[whole > 0].tolist():
        sums |= sums << value
    best = None
    for size in range(1, int(whole.sum()) + 1):
        rest = total - size
        if not sums >> size & 1 or not (abs(rest) < 0.5 or counts_that_fit(rest, limits)):
            continue
        if best is None or outside(size, limits) < outside(best, limits):
            best = float(size)
    return best


def diagnose(problem: Problem, limits: Limits, *, layer: str, key: str, known: Known | None = None) -> list[Finding]:
    """Name what keeps cells of this problem out of their band, whatever the search does.

    Parameters
    ----------
    layer, key : str
        Name of the tier, and code of the community or cell that is cut.
    known : Known, optional
        Names, staircases and neighbours, where they are known.

    Returns
    -------
    list of Finding
        Each with ``remedy`` (the cheapest relaxation) and ``relaxations`` (all, the cheapest first) among its
        parameters.
    """
    study = Study(problem, limits, known or Known())
    if problem.total == 0:
        return [_note("partition.no_households", layer, key, **remedy([Relaxation("relax.leave", {}, 0.0)]))]
    found = list(_total(study, layer, key))
    found += _towers(study, layer, key)
    found += _cut_off(study, layer, key)
    if problem.total >= limits.least:
        found += _pockets(study, layer, key)
        found += _stuck(study, layer, key)
    return found


def _total(study: Study, layer: str, key: str) -> Iterable[Finding]:
    total, limits, terms = study.problem.total, study.limits, study.problem.terms
    band = {"low": round(limits.least), "high": round(limits.most)}
    if counts_that_fit(total, limits):
        return
    merges = list(merge(total, limits, terms, study.known))
    if total < limits.least:
        ways = [allow([total], limits, terms), widen([total], limits, terms), *merges]
        yield _note("partition.below_minimum", layer, key, households=round(total), **band, **remedy(ways))
        return
    below = max(int(total // limits.most), 1)
    alone = _one_out(study)
    ways = [
        *([] if alone is None else [allow([alone], limits, terms)]),
        min((widen([total / k] * k, limits, terms) for k in (below, below + 1)), key=lambda way: way.cost),
        *merges,
    ]
    yield _note(
        "partition.no_count_fits", layer, key, households=round(total), **band,
        fewer=below, fewer_each=round(total / below), more=below + 1, more_each=round(total / (below + 1)),
        **remedy(ways),
    )  # fmt: skip


def _towers(study: Study, layer: str, key: str) -> Iterable[Finding]:
    if study.known.towers_told:
        return
    for node in np.flatnonzero(study.is_large).tolist():
        households = float(study.problem.households[node])
        units = None if study.known.units is None else int(study.known.units[node])
        ways = tower(households, study.limits, study.problem.terms, units=units, keep_whole=study.known.keep_whole)
        yield _note("partition.too_large", layer, key, building=_name(study, node), households=round(households),
                    high=round(study.limits.most), **remedy(ways))  # fmt: skip


def _name(study: Study, node: int) -> str:
    return str(node + 1) if study.known.names is None else study.known.names[node]


def _cut_off(study: Study, layer: str, key: str) -> Iterable[Finding]:
    """Pieces of ground that are joined by no walkable border and fit no number of cells by themselves."""
    problem, limits = study.problem, study.limits
    piece = problem.pieces
    if piece.max() == 0:
        return
    size = np.bincount(piece, problem.households)
    a, b, joined = problem.links
    borders = int(joined.sum())
    for number in np.flatnonzero(size > 0).tolist():
        if counts_that_fit(float(size[number]), limits) or size[number] == problem.total:
            continue
        inside = piece == number
        across = np.flatnonzero(inside[a] != inside[b])
        metres = float(np.hypot(*(problem.middle_m[a[across]] - problem.middle_m[b[across]]).T).min(initial=np.inf))
        kind = "cut_off" if (across < borders).any() else "island"
        yield cut_off_finding(kind, float(size[number]), metres, limits, problem.terms, layer=layer, key=key)


def cut_off_finding(
    kind: str, households: float, distance_m: float, limits: Limits, terms: Terms, *, layer: str, key: str
) -> Finding:
    """A piece of ground that fits no number of cells by itself: ``cut_off`` by water or rail, or an ``island``."""
    ways = [allow([households], limits, terms), widen([households], limits, terms)]
    if np.isfinite(distance_m):
        ways.append(join(distance_m, terms))
    code = f"partition.{kind}" if households < limits.least else f"partition.{kind}_total"
    return _note(code, layer, key, households=round(households), low=round(limits.least), high=round(limits.most),
                 distance_m=round(distance_m) if np.isfinite(distance_m) else None, **remedy(ways))  # fmt: skip


def _pockets(study: Study, layer: str, key: str) -> Iterable[Finding]:
    """What is shut off by nodes over the maximum: it can share a cell with none of them."""
    limits, terms = study.limits, study.problem.terms
    first = {int(study.pocket[node]): node for node in range(len(study.pocket) - 1, -1, -1)}
    for number, node in sorted(first.items()):
        if not study.is_pocket(node):
            continue
        size = float(study.pocket_size[number])
        ways = [allow([size], limits, terms), widen([size], limits, terms)]
        large = np.flatnonzero(study.is_large)
        if not study.known.keep_whole and (study.known.units is None or study.known.units[large].max() > 1):
            ways.append(cut(2, 1, terms, is_lifted=study.known.units is not None))
        yield _note("partition.shut_off", layer, key, households=round(size), low=round(limits.least),
                    high=round(limits.most), **remedy(ways))  # fmt: skip


def _stuck(study: Study, layer: str, key: str) -> Iterable[Finding]:
    """Nodes under the band that reach it with no choice of others, or with none that hang together with them."""
    found: dict[str, list[int]] = {}
    for node in np.flatnonzero(study.problem.households > 0).tolist():
        if not study.is_pocket(node) and (code := study.is_stuck(node)):
            found.setdefault(code, []).append(node)
    for code, nodes in sorted(found.items()):
        sizes = study.problem.households[nodes]
        names = [_name(study, node) for node in nodes[:3]]
        yield _note(f"partition.{code}", layer, key, households=_few(sizes.tolist()), count=len(nodes),
                    buildings=names, low=round(study.limits.least), high=round(study.limits.most),
                    **remedy(_unstick(study, nodes)))  # fmt: skip


def _unstick(study: Study, nodes: Sequence[int]) -> list[Relaxation]:
    limits, terms, known = study.limits, study.problem.terms, study.known
    ways = stuck_ways(study.problem.households[list(nodes)], limits, terms)
    if len(nodes) <= 12 and known.is_graph:
        nearest = [min(study.completes(v)[1:], key=lambda size: outside(size, limits)) for v in nodes]
        ways.append(allow(nearest, limits, terms))
    total = float(study.problem.households[list(nodes)].sum())
    cuttable = known.units is None or int(known.units[list(nodes)].min()) > 1
    fitting = counts_that_fit(total if len(nodes) > 1 else study.problem.total, limits)
    if cuttable and fitting:
        cuts = max(fitting[0] - 1, 1) if len(nodes) > 1 else 1
        ways.append(cut(cuts + 1, cuts, terms, is_lifted=True))
    return ways


def stuck_ways(sizes: FloatArray, limits: Limits, terms: Terms) -> list[Relaxation]:
    """Let nodes that fit with nothing be cells by themselves, or two and two."""
    ordered = np.sort(sizes).tolist()
    two = [sum(ordered[i : i + 2]) for i in range(0, len(ordered), 2)]
    return [allow(ordered, limits, terms), allow(two, limits, terms), widen(ordered, limits, terms)]


def _note(code: str, layer: str, key: str, **params: object) -> Finding:
    return Finding(code, Severity.NOTE, layer, key=key, params=params)


# --- One cell, after the search --------------------------------------------------------------------------------------


def explain_cell(
    study: Study,
    members: IntArray,
    households: float,
    *,
    out: int = 0,
    least_out: int = 0,
    is_stacked: bool = False,
) -> Reason:
    """Say why a cell is out of its band, as precisely as can be proven.

    Parameters
    ----------
    members : int array
        Nodes of the cell.
    households : float
        Of the cell; fewer than its nodes hold where it is one band of a stack of floors.
    out, least_out : int
        How many cells of this problem are out of band in the plan, and at least in every plan
        (`gis.partition.proof`); 0 where nobody counted.
    is_stacked : bool
        The cell is one of a stack, whose floors were cut as well as whole floors can be.

    Returns
    -------
    Reason
        ``none_lives``; ``total`` (no number of cells fits, or all is under the minimum); ``one_node`` (holds a
        building or part over the maximum); ``fits_nothing`` (holds one that reaches the band with no choice of
        others), ``fits_nothing_near`` (with none that hang together with it); ``shut_off`` (what buildings over the
        maximum leave over); ``cut_off`` (ground that touches nothing else); ``whole_floors`` (a single building, cut
        by whole floors); ``proven`` (no plan has fewer out); ``not_proven``.
    """
    limits, terms, problem = study.limits, study.problem.terms, study.problem
    params: dict[str, Any] = {
        "households": round(households), "low": round(limits.least), "high": round(limits.most)
    }  # fmt: skip
    ways = [allow([households], limits, terms), widen([households], limits, terms)]
    if problem.total == 0 or households == 0:
        return Reason("none_lives", params, (Relaxation("relax.leave", {}, 0.0),))
    if not counts_that_fit(problem.total, limits):
        merges = merge(problem.total, limits, terms, study.known)
        return Reason("total", {**params, "total": round(problem.total)}, (*ways, *merges))
    lived = [node for node in members.tolist() if problem.households[node] > 0]
    large = [node for node in lived if study.is_large[node]]
    if large:
        size = float(problem.households[large[0]])
        more = tower(size, limits, terms, units=None if study.known.units is None else int(study.known.units[large[0]]),
                     keep_whole=study.known.keep_whole)  # fmt: skip
        return Reason("one_node", {**params, "largest": round(size)}, (*ways, *more[2:]))
    for node in lived:
        if study.is_pocket(node):
            return Reason("shut_off", {**params, "piece": round(study.pocket_size[study.pocket[node]])}, tuple(ways))
    if _is_cut_off(study, members):
        return Reason("cut_off", params, tuple(ways))
    for node in lived:
        if code := study.is_stuck(node):
            value = round(float(problem.households[node]))
            kept = [way for way in _unstick(study, [node]) if way.code == "relax.cut"]
            return Reason(code, {**params, "largest": value, "building": _name(study, node)}, (*ways, *kept))
    if is_stacked and (problem.households > 0).sum() == 1:
        return Reason("whole_floors", {**params, "total": round(problem.total)}, tuple(ways))
    is_fewest = 0 < out <= max(study.least_out, least_out)
    return Reason("proven" if is_fewest else "not_proven", params, tuple(ways))


def _is_cut_off(study: Study, members: IntArray) -> bool:
    """Whether a cell is all of a piece of ground that no walkable border joins to the rest."""
    piece = study.problem.pieces
    here = np.unique(piece[members])
    return bool(len(here) == 1 and piece.max() > 0 and (piece == here[0]).sum() == len(members))
