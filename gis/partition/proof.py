"""What can be proven of a plan: that none is better, or a number below which no plan can be.

A plan is a choice of cells that covers every node once, and its cost is the sum of its cells' costs (enclaves apart,
see `certify`). Linear programming prices the nodes such that no cell costs less than its nodes' prices; then no plan
costs less than all prices together, and a cell that costs more than its prices by more than the gap between that
number and the best known plan is in no better plan. The cells that are left (`gis.partition.enumeration` meets every
connected set that could be one) go into an integer program, which gives the best plan of all.

Methods: column enumeration for set partitioning (Baldacci, Christofides, Mingozzi 2008, doi 10.1007/s10107-007-0178-5);
stabilised column generation (du Merle, Villeneuve, Desrosiers, Hansen 1999, doi 10.1016/S0012-365X(98)00213-1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, linprog, milp
from scipy.sparse import csc_array, csr_array, eye_array, hstack, vstack

from gis.geometry import FloatArray, IntArray, sums
from gis.partition import bounds, enumeration
from gis.partition.bounds import Floor
from gis.partition.costs import breakdown
from gis.partition.enumeration import MOST_ATOMS, ONE, Atoms, Prices
from gis.partition.kernel import Terms, appraise_all
from gis.partition.problem import Problem
from gis.partition.search import Solution

MOST_SETS = 150_000_000  # states that the enumeration looks at, over all its runs
MOST_AT_ONCE = 40_000_000  # states of one run, between which the clock is looked at
SETS_OF_EFFORT: Mapping[str, int] = {"draft": 0, "full": 1_000_000, "deep": 30_000_000}
MOST_COLUMNS = 20_000  # cells that the integer program is given
FEW_COLUMNS = 2_000  # with more than these, look at fewer numbers of cells at once; with a quarter, sharpen no more
MOST_SHARPENED = 30  # rounds
MOST_ROWS = 30  # of one round
ACTIVE = 3_000  # columns of the sharpened program at first
MOST_FOUND = 400_000  # cells that one enumeration gives
MOST_ADDED = 2_000  # cells that join the linear program at once
MOST_NODES = 20_000  # branches of the integer program
EACH_ROOT = 150  # sets of one root that one round of pricing gives
STEP = 0.3  # of the running mean of prices
RATES = 8
TOLERANCE = 1e-6
CLOSE = 1e-3  # of the cost: so near to the best there is, prices are brought no further
FINEST = 1e-5  # of the cost: so near to exact prices are brought; the rest is left to the integer program

Sets = NDArray[np.bool_]


@dataclass(frozen=True)
class Proof:
    """What was proven of a plan.

    Attributes
    ----------
    kind : str
        ``optimal``: no plan costs less. ``bounded``: none costs less than ``bound``. ``unproven``: nothing was shown.
    cost, bound : float
        Of the best plan known, and what no plan is below.
    gap_ratio : float
        (cost - bound) / cost.
    sets : int
        States of the enumeration looked at: sets of nodes, complete or not.
    seconds : float
    note : str
        Code of the sentence for it (``partition.proof.…``).
    label : int array, shape (nodes,), optional
        A better plan than the one given, if the proof found one.
    out_of_band_bound : int
        No plan has fewer cells out of the band.
    """

    kind: str
    cost: float
    bound: float
    gap_ratio: float
    sets: int
    seconds: float
    note: str
    label: IntArray | None = None
    out_of_band_bound: int = 0

    def stated(self) -> dict[str, Any]:
        """What a recipe keeps of it."""
        return {
            "kind": self.kind, "cost": round(self.cost, 2), "bound": round(self.bound, 2),
            "gap_ratio": round(self.gap_ratio, 4), "sets": self.sets, "note": self.note,
            "out_of_band_bound": self.out_of_band_bound,
        }  # fmt: skip


class _Stopped(Exception):
    """The limits of a proof are used up."""


@dataclass
class _Budget:
    """What a proof may still spend."""

    states: int
    until: float
    cancelled: Callable[[], bool] | None
    used: int = 0

    def check(self) -> None:
        over = self.used >= self.states or time.monotonic() >= self.until
        if over or (self.cancelled is not None and self.cancelled()):
            raise _Stopped


@dataclass
class _Best:
    """The best plan known; shared by all parts of a proof."""

    label: IntArray
    cost: float

    def offer(self, label: IntArray, cost: float) -> None:
        if cost < self.cost - TOLERANCE:
            self.label, self.cost = np.unique(label, return_inverse=True)[1].astype(np.int64), cost


def warm() -> None:
    """Compile the enumeration, or load what was compiled before, by proving a plan of four lots in a row."""
    n, one = 4, np.arange(3)
    terms = Terms(300.0, 500.0, 400.0, 100.0, *([1.0] * 12))
    middle_m = np.column_stack([50.0 * np.arange(n), np.zeros(n)])
    problem = Problem(
        np.full(n, 200.0), np.full(n, 2500.0), np.full(n, 200.0), middle_m, np.full(n, -1), np.zeros(n, bool),
        one, one + 1, np.full(n - 1, 50.0), np.full(n - 1, 50.0), np.ones(n - 1, bool), terms,
    )  # fmt: skip
    certify(problem, Solution(np.zeros(n, dtype=np.int64), 0.0))


def certify(
    problem: Problem,
    solution: Solution,
    *,
    seconds: float = 120.0,
    most_sets: int = MOST_SETS,
    cancelled: Callable[[], bool] | None = None,
) -> Proof:
    """Prove a plan the best of all, or state how far from the best it is at most.

    Parameters
    ----------
    solution : Solution
        Its labels; the cost is worked out anew.
    seconds : float
        Time limit; like ``most_sets`` it changes only how far the proof goes, never a number that is proven.
    most_sets : int
        Most states of the enumeration. Set it rather than ``seconds`` where reports have to be the same each time.

    Returns
    -------
    Proof

    Notes
    -----
    The cost is that of the search, over every plan whose cells are in one piece (over `Problem.links`), with any
    number of cells. Enclaves concern two cells together: bounds leave them out (they cost nothing or more), and the
    integer program counts them, so a proven optimum is one with enclaves counted.
    Nodes that are held (a redraw with locks) are not proven.
    """
    began = time.monotonic()
    best = _Best(solution.label, plan_cost(problem, solution.label))
    given = best.cost
    held = problem.held is not None and bool(problem.held.any())
    if min(problem.terms.stability, problem.terms.similarity, problem.terms.span) < 0:  # a reward: nothing is shown
        return Proof("unproven", best.cost, 0.0, 1.0, 0, 0.0, "partition.proof.reward")
    floor = bounds.floor_of(problem, best.cost, part=min(most_sets / SETS_OF_EFFORT["deep"], 1.0))
    budget = _Budget(most_sets, began + seconds, cancelled)
    bound = min(floor.bound, best.cost)
    note = "locked" if held else "too_large"
    if not held and not _closed(bound, best.cost):
        tasks = _tasks(problem, floor, best.cost)
        if tasks:
            proven, complete = _run(problem, tasks, floor, best, budget)
            bound = max(bound, proven)
            note = "gap" if complete else "limit"
    closed = _closed(bound, best.cost)
    kind = "optimal" if closed else "bounded" if bound > TOLERANCE else "unproven"
    return Proof(
        kind=kind,
        cost=best.cost,
        bound=best.cost if closed else bound,
        gap_ratio=0.0 if closed else (best.cost - bound) / best.cost,
        sets=budget.used,
        seconds=time.monotonic() - began,
        note="partition.proof." + ("optimal" if closed else note),
        label=best.label if best.cost < given - TOLERANCE else None,
        out_of_band_bound=floor.out_of_band,
    )


def plan_cost(problem: Problem, label: IntArray) -> float:
    """The cost of a plan, with enclaves."""
    return float(sum(values.sum() for values in breakdown(problem, label).values()))


def _closed(bound: float, cost: float) -> bool:
    return bound >= cost - TOLERANCE * max(1.0, abs(cost))


# --- Which plans to look at ------------------------------------------------------------------------------------------


def _tasks(problem: Problem, floor: Floor, cost: float) -> list[IntArray]:
    """The atoms of each part of the proof; any better plan than the known one is in one of the parts.

    Each compound that a cut would make too dear is one atom. Where one compound, whichever, could be cut once, there
    is a part for each compound, in which that one is open. Empty where a part is too large.
    """
    group = np.where(problem.households > 0, problem.group, -1)
    extra = floor.extra_pairs(cost)
    if extra == 0:
        tasks = [_atoms(group, ())]
    elif len(group) <= MOST_ATOMS:
        tasks = [_atoms(np.full(len(group), -1), ())]
    elif extra == 1:
        tasks = [_atoms(group, ()), *(_atoms(group, (int(g),)) for g in np.unique(group[group >= 0]))]
    else:
        return []
    return tasks if all(atom.max() < MOST_ATOMS for atom in tasks) else []


def _atoms(group: IntArray, opened: tuple[int, ...]) -> IntArray:
    """One atom a group, but one a node in the opened groups and where there is none."""
    whole = (group >= 0) & ~np.isin(group, opened)
    name = np.where(whole, group, group.max(initial=0) + 1 + np.arange(len(group)))
    return np.unique(name, return_inverse=True)[1].astype(np.int64)


def _run(problem: Problem, tasks: list[IntArray], floor: Floor, best: _Best, budget: _Budget) -> tuple[float, bool]:
    """Prove part by part; the least bound of all, and whether nothing was left undone."""
    proven = []
    complete = True
    for atom in tasks:
        part = _Part(problem, atom, floor, best, budget)
        complete &= part.prove()
        proven.append(part.bound)
    return min(*proven, best.cost), complete


# --- One part --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Duals:
    """Prices of atoms and of one more cell, with what they prove if no cell costs less than its prices."""

    price: FloatArray
    cell: float
    value: float
    is_boxed: bool
    cells: float

    def towards(self, other: _Duals, share: float) -> _Duals:
        """Prices between these and others."""
        price = (1 - share) * self.price + share * other.price
        cell = (1 - share) * self.cell + share * other.cell
        return _Duals(price, cell, (1 - share) * self.value + share * other.value, other.is_boxed, other.cells)


class _Part:
    """One set partitioning problem over atoms: bound, columns, integer program."""

    def __init__(self, problem: Problem, atom: IntArray, floor: Floor, best: _Best, budget: _Budget) -> None:
        order = np.lexsort((np.arange(len(atom)), np.where(problem.households > 0, problem.group, -1)))
        _, first, where = np.unique(atom[order], return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first, kind="stable")] = np.arange(len(first))
        self.atom = np.empty(len(atom), dtype=np.int64)
        self.atom[order] = rank[where]
        self.problem, self.floor, self.best, self.budget = problem, floor, best, budget
        self.atoms: Atoms = enumeration.atoms_of(problem, self.atom)
        self.count = len(self.atoms.joins)
        self.roots = np.argsort(-self.atoms.place[:, 0], kind="stable").astype(np.int64)
        self.sets = np.zeros((0, self.count), dtype=bool)
        self.cost = np.zeros(0)
        self.bound = floor.bound
        self.low = -np.inf
        self.duals = _Duals(np.zeros(self.count), 0.0, 0.0, False, 0.0)
        self._add(np.eye(self.count, dtype=bool))
        self._add(self._own(best.label))

    def _own(self, label: IntArray) -> Sets:
        """The cells of a plan as sets of atoms (those that are)."""
        cells = np.zeros((int(label.max()) + 1, self.count), dtype=bool)
        cells[label, self.atom] = True
        return np.asarray(cells[cells[:, self.atom].sum(axis=1) == sums(label, np.ones(len(label)))])

    def _add(self, sets: Sets) -> None:
        cost = appraise_all(self.problem.graph, sets[:, self.atom], self.problem.terms)
        keep = np.isfinite(cost)
        self.sets, self.cost = np.vstack([self.sets, sets[keep]]), np.append(self.cost, cost[keep])

    def prove(self) -> bool:
        """Bring the bound up as far as can be; whether all was done that this method can do."""
        counts = np.flatnonzero(self.floor.by_count < self.best.cost - TOLERANCE)
        if not len(counts):
            self.bound = self.best.cost
            return True
        # Numbers of cells still to look at, and what is proven of each range.
        ranges = [(int(counts[0]), int(counts[-1]), self.bound)]
        done = [np.inf]
        complete = True
        try:
            while ranges:
                fewest, most, _ = ranges[-1]
                low, cells = self._converge(fewest, most)
                ranges[-1] = (fewest, most, max(low, self.bound))
                if not _closed(low, self.best.cost):
                    left = self._finish(fewest, most)
                    if left is None:  # too many sets for so many numbers of cells at once
                        cut = min(max(int(np.floor(cells + TOLERANCE)), fewest), most - 1)
                        ranges[-1:] = [(fewest, cut, max(low, self.bound)), (cut + 1, most, max(low, self.bound))]
                        continue
                    complete &= left == np.inf
                    done.append(left)
                ranges.pop()
        except _Stopped:
            complete = False
            if ranges:
                ranges[-1] = (*ranges[-1][:2], max(ranges[-1][2], self.low))
        self.bound = max(self.bound, min(*done, *(bound for _, _, bound in ranges), self.best.cost))
        return complete

    # --- Prices

    def _converge(self, fewest: int, most: int) -> tuple[float, float]:
        """Generate columns until none is missing: the bound, and how many cells the linear program takes.

        Sets are priced at a running mean of the linear program's prices, which jump from corner to corner; only when
        nothing is missing there, at the prices themselves.
        """
        middle, width = self._guess(), 0.5 * self.best.cost / self.count
        low = self.low = -np.inf
        near = 0.02 * self.best.cost
        mean: _Duals | None = None
        while True:
            duals = self._solve(fewest, most, middle, width)
            mean = duals if mean is None else mean.towards(duals, STEP)
            added, near = self._price_between(mean, duals, near, most)
            if added:
                continue
            low = max(low, self.duals.value - most * near)
            # The program over all sets lies between the bound and the program over these sets.
            top = self.best.cost if duals.is_boxed else min(duals.value, self.best.cost)
            if top - low > CLOSE * self.best.cost:
                added, near = self._price(duals, near, most)
                if added:
                    continue
                self.duals = duals
                low = max(low, duals.value - most * near)
            if top - low <= CLOSE * self.best.cost or not duals.is_boxed:
                return low, duals.cells
            middle, width = duals.price, width * 2

    def _guess(self) -> FloatArray:
        """Prices to begin with: each cell's cost over its households, groups apart."""
        problem, label = self.problem, self.best.label
        terms = breakdown(problem, label)
        households = problem.households
        each = sum(values for code, values in terms.items() if code not in ("group_piece", "enclave"))
        size = np.maximum(sums(label, households), 1.0)
        price = np.asarray(each)[label] * households / size[label]
        group = problem.group
        inside = (group >= 0) & (households > 0)
        if inside.any():
            total = sums(group[inside], households[inside])
            price[inside] += problem.terms.group_piece * households[inside] / total[group[inside]]
        return sums(self.atom, price, self.count)

    def _solve(self, fewest: int, most: int, middle: FloatArray, width: float) -> _Duals:
        """Solve the linear program over the columns, prices held within a width of a middle."""
        n, m = self.count, len(self.cost)
        cover = hstack([csc_array(self.sets.T.astype(float)), eye_array(n), -eye_array(n)]).tocsc()
        cost = np.concatenate([self.cost, middle + width, width - middle])
        ones = np.concatenate([np.ones(m), np.zeros(2 * n)])
        found = linprog(
            cost, A_ub=csr_array(np.vstack([ones, -ones])), b_ub=np.array([most, -fewest]), A_eq=cover,
            b_eq=np.ones(n), method="highs",
        )  # fmt: skip
        if found.status != 0:
            raise _Stopped
        price = np.asarray(found.eqlin.marginals)
        up, down = found.ineqlin.marginals
        boxed = bool((found.x[m:] > TOLERANCE).any())
        value = float(price.sum() + up * most - down * fewest)
        return _Duals(price, float(up - down), value, boxed, float(found.x[:m].sum()))

    def _price_between(self, mean: _Duals, duals: _Duals, near: float, most: int) -> tuple[bool, float]:
        """Price at the running mean; where only known sets are found, ever nearer to the program's own prices."""
        while True:
            known = len(self.cost)
            found, near = self._price(mean, near, most)
            self.duals = mean
            if not found or len(self.cost) > known:
                return found, near
            mean = self._clear(mean, duals, near)

    def _clear(self, mean: _Duals, duals: _Duals, near: float) -> _Duals:
        """Go from a mean towards the program's prices until no known set is so far below its prices."""
        at_mean = self.cost - self.sets @ mean.price - mean.cell
        at_end = self.cost - self.sets @ duals.price - duals.cell
        low = np.flatnonzero(at_mean < -near / 2)
        share = (-near / 2 - at_mean[low]) / np.maximum(at_end[low] - at_mean[low], 1e-12)
        return mean.towards(duals, float(np.clip(share.max(initial=0.5), 0.01, 1.0)))

    def _price(self, duals: _Duals, near: float, most: int) -> tuple[bool, float]:
        """Add sets that cost less than their prices, the cheapest first.

        Returns whether there are any (known ones too); and how far below their prices to look for sets next, or,
        where there are none, how far below their prices it is certain that there are none.
        """
        finest = FINEST * self.best.cost / most
        while True:
            for each in (EACH_ROOT, MOST_FOUND):
                found, complete = self._enumerate(duals, -near, each)
                if self._join(found, duals, near):
                    return True, near if len(found) > self.count else max(near / 2, finest)
                if complete:
                    break
            else:
                raise _Stopped
            self.low = max(self.low, duals.value - most * near)
            if near <= finest or _closed(duals.value - most * near, self.best.cost):
                return False, near
            near = max(near / 8, finest)

    def _join(self, found: Sets, duals: _Duals, near: float) -> bool:
        """Add those sets to the columns that cost less than their prices by so much; whether there are any."""
        cost = appraise_all(self.problem.graph, found[:, self.atom], self.problem.terms)
        reduced = cost - found @ duals.price - duals.cell
        pick = np.argsort(reduced, kind="stable")[:MOST_ADDED]
        pick = pick[reduced[pick] < -near]
        if not len(pick):
            return False
        if len(self.cost) > 10 * MOST_ADDED:  # drop those that cost most above their prices
            above = self.cost - self.sets @ duals.price - duals.cell
            keep = np.union1d(np.argsort(above, kind="stable")[: 4 * MOST_ADDED], np.arange(self.count))
            self.sets, self.cost = self.sets[keep], self.cost[keep]
        bit = ONE << np.arange(self.count, dtype=np.uint64)
        pick = pick[~np.isin((found[pick] * bit).sum(axis=1), (self.sets * bit).sum(axis=1))]
        self.sets, self.cost = np.vstack([self.sets, found[pick]]), np.append(self.cost, cost[pick])
        return True

    def _enumerate(self, duals: _Duals, below: float, each: int) -> tuple[Sets, bool]:
        """Sets whose cost (or a little less) is below their prices by so much; whether all of them."""
        self.budget.check()
        prices = _prices(self.problem, self.atoms, self.floor, duals.price, below + duals.cell)
        if prices is None:
            return np.zeros((0, self.count), dtype=bool), True
        room = min(MOST_FOUND, each * self.count)
        found, seen = np.zeros(room, dtype=np.uint64), np.zeros(3, dtype=np.int64)
        left = min(self.budget.states - self.budget.used, MOST_AT_ONCE)
        count = enumeration.sets_below(self.atoms, prices, self.roots, left, each, found, np.zeros(room), seen)
        self.budget.used += int(seen[0])
        sets = (found[:count, None] >> np.arange(self.count, dtype=np.uint64)) & np.uint64(1)
        return sets.astype(bool), bool(seen[2])

    # --- Integer program

    def _finish(self, fewest: int, most: int) -> float | None:
        """Solve the integer program over every set that can be in a better plan.

        Returns
        -------
        float or None
            Infinite where no plan of so many cells is better than the best known; else what none is below; ``None``
            where it is better to look at fewer numbers of cells at once.
        """
        duals = self.duals
        gap = self.best.cost - duals.value + FINEST * self.best.cost
        sets, complete = self._enumerate(duals, gap + TOLERANCE, MOST_FOUND)
        cost = appraise_all(self.problem.graph, sets[:, self.atom], self.problem.terms)
        above = cost - sets @ duals.price - duals.cell
        near = above < gap + TOLERANCE
        sets, cost, above = sets[near], cost[near], above[near]
        if complete and not len(cost):
            return np.inf
        if not complete or len(cost) > FEW_COLUMNS:
            if self._improve(fewest, most):
                return self._finish(fewest, most)
            if fewest < most:
                return None
        if most == 2 and fewest == 2 and complete:
            return self._halves(sets, cost)
        pool = _Pool(sets, cost, above, fewest, most)
        bound = pool.sharpen(self.best.cost, self.budget) if complete else duals.value - FINEST * self.best.cost
        many = not complete or len(pool.cost) > MOST_COLUMNS
        if many:
            pool.keep_best(MOST_COLUMNS // 4)
        solved = self._integer(pool.sets, pool.cost, fewest, most)
        return np.inf if solved and not many else bound

    def _improve(self, fewest: int, most: int) -> bool:
        """Look for a better plan among the columns that cost least above their prices; whether there is one."""
        known = self.best.cost
        above = self.cost - self.sets @ self.duals.price - self.duals.cell
        best = np.argsort(above, kind="stable")[: FEW_COLUMNS // 4]
        self._integer(self.sets[best], self.cost[best], fewest, most)
        return self.best.cost < known - TOLERANCE

    def _halves(self, sets: Sets, cost: FloatArray) -> float:
        """Plans of two cells: each with what it leaves over."""
        rest = appraise_all(self.problem.graph, ~sets[:, self.atom], self.problem.terms)
        for i in np.argsort(cost + rest, kind="stable"):
            if cost[i] + rest[i] >= self.best.cost - TOLERANCE:
                break
            label = sets[i][self.atom].astype(np.int64)
            self.best.offer(label, plan_cost(self.problem, label))
        return np.inf

    def _integer(self, sets: Sets, cost: FloatArray, fewest: int, most: int) -> bool:
        """The best plan from these cells, with enclaves; whether it is proven the best of them."""
        if not len(sets):
            return True
        walled: list[int] = []
        while True:
            m = len(sets)
            cover = hstack([csc_array(sets.T.astype(float)), csc_array((self.count, len(walled)))]).tocsc()
            total = np.concatenate([np.ones(m), np.zeros(len(walled))])[None, :]
            limits = [LinearConstraint(cover, 1, 1), LinearConstraint(csr_array(total), fewest, most)]
            if walled:
                rows = vstack([self._walls(sets, i, at, len(walled)) for at, i in enumerate(walled)])
                limits.append(LinearConstraint(rows.tocsr(), -np.inf, 1))
            left = max(self.budget.until - time.monotonic(), 1.0)
            found = milp(
                np.append(cost, np.full(len(walled), self.problem.terms.enclave)),
                constraints=limits,
                integrality=np.concatenate([np.ones(m), np.zeros(len(walled))]),
                bounds=(0, 1),
                options={"mip_rel_gap": 0.0, "node_limit": MOST_NODES, "time_limit": left},
            )
            if found.x is None:
                return bool(found.status == 2)  # no plan at all
            chosen = np.flatnonzero(found.x[:m] > 0.5)
            label = np.argmax(sets[chosen][:, self.atom], axis=0)
            terms = breakdown(self.problem, label)
            self.best.offer(label, float(sum(values.sum() for values in terms.values())))
            new = [int(i) for i in chosen[terms["enclave"] > 0] if i not in walled]
            if not new:
                return bool(found.status == 0)
            walled += new

    def _walls(self, sets: Sets, inner: int, at: int, extra: int) -> csr_array:
        """A row: a walled cell with the one cell around it costs an enclave."""
        graph = self.problem.graph
        near = np.repeat(self.atom, np.diff(graph.first))
        around = np.zeros(self.count, dtype=bool)
        around[near[sets[inner][self.atom[graph.edge[:, 0]]]]] = True
        around &= ~sets[inner]
        outer = (sets[:, around].all(axis=1) & ~(sets & sets[inner]).any(axis=1)).astype(float)
        outer[inner] = 1.0
        mark = np.zeros(extra)
        mark[at] = -1.0
        return csr_array(np.append(outer, mark)[None, :])


class _Pool:
    """All cells that may be in a better plan, while a sharper linear program leaves fewer and fewer of them.

    The program is sharpened by rows for three atoms at a time: of the cells that hold two or more of them, a plan has
    one at most (Chvatal-Gomory cuts of rank one; Jepsen, Petersen, Spoorendonk, Pisinger 2008,
    doi 10.1287/opre.1070.0449).
    """

    def __init__(self, sets: Sets, cost: FloatArray, above: FloatArray, fewest: int, most: int) -> None:
        self.sets, self.cost, self.above, self.fewest, self.most = sets, cost, above, fewest, most

    def keep_best(self, count: int) -> None:
        """Keep the cells that cost least above their prices."""
        self._keep(np.sort(np.argsort(self.above, kind="stable")[:count]))

    def _keep(self, which: NDArray[Any]) -> None:
        self.sets, self.cost, self.above = self.sets[which], self.cost[which], self.above[which]

    def sharpen(self, known: float, budget: _Budget) -> float:
        """Add rows while they help; what no plan of these cells is below."""
        triples = np.zeros((0, 3), dtype=np.int64)
        bound = -np.inf
        slow = 0
        for _ in range(MOST_SHARPENED):
            budget.check()
            value, x, self.above = self._solve(triples, known)
            slow = slow + 1 if value < bound + 1e-3 * known else 0
            bound = max(bound, value)
            keep = np.flatnonzero(self.above < known - value + TOLERANCE)
            if not len(keep):
                return np.inf
            self._keep(keep)
            new = _violated(self.sets, x[keep])
            if not len(new) or slow > 3 or len(self.cost) < FEW_COLUMNS // 4:
                break
            triples = np.vstack([triples, new])
        return bound

    def _solve(self, triples: IntArray, known: float) -> tuple[float, FloatArray, FloatArray]:
        """Value of the linear program with these rows, the shares of cells in it, and costs above prices."""
        n, m = self.sets.shape[1], len(self.cost)
        active = np.argsort(self.above, kind="stable")[:ACTIVE]
        while True:
            sets, cost = self.sets[active], self.cost[active]
            rows = np.vstack([np.ones(len(cost)), -np.ones(len(cost)), *(sets[:, t].sum(axis=1) > 1 for t in triples)])
            # Columns that stand in for any atom or cell, dearer than all: there is always an answer.
            rows = np.hstack([rows, np.zeros((len(rows), n + 1))])
            rows[1, -1] = -1.0
            found = linprog(
                np.append(cost, np.full(n + 1, 2 * known)),
                A_ub=csr_array(rows),
                b_ub=np.concatenate([[self.most, -self.fewest], np.ones(len(triples))]),
                A_eq=hstack([csc_array(sets.T.astype(float)), eye_array(n), csc_array((n, 1))]).tocsc(),
                b_eq=np.ones(n),
                method="highs",
            )
            if found.status != 0:
                raise _Stopped
            price, row = np.asarray(found.eqlin.marginals), np.asarray(found.ineqlin.marginals)
            above = self.cost - self.sets @ price - (row[0] - row[1])
            for triple, each in zip(triples, row[2:], strict=True):
                if each < 0:
                    above -= each * (self.sets[:, triple].sum(axis=1) > 1)
            missing = np.flatnonzero(above < -TOLERANCE)
            missing = np.setdiff1d(missing[np.argsort(above[missing], kind="stable")[:ACTIVE]], active)
            if not len(missing):
                x = np.zeros(m)
                x[active] = found.x[: len(active)]
                value = float(found.fun) + self.most * min(float(above.min()), 0.0)
                return value, x, above
            active = np.concatenate([active, missing])


def _violated(sets: Sets, x: FloatArray) -> IntArray:
    """The triples of atoms of which the cells that hold two or more take more than one share; the worst first."""
    part = np.flatnonzero(x > TOLERANCE)
    held, share = sets[part].astype(float), x[part]
    n = held.shape[1]
    together = (held * share[:, None]).T @ held
    found = []
    for i in range(n):
        for j in range(i + 1, n):
            if together[i, j] > TOLERANCE:
                both = held[:, i] * held[:, j]
                either = np.abs(held[:, i] - held[:, j])
                total = share @ both + (share * either) @ held
                total[: j + 1] = 0.0
                found += [(float(total[k]), i, j, int(k)) for k in np.flatnonzero(total > 1.02)]
    found.sort(key=lambda each: (-each[0], each[1:]))
    return np.array([each[1:] for each in found[:MOST_ROWS]], dtype=np.int64).reshape(-1, 3)


def _prices(problem: Problem, atoms: Atoms, floor: Floor, price: FloatArray, below: float) -> Prices | None:
    """What sets are measured against; ``None`` where no number of households can come below the threshold."""
    households = atoms.place[:, 0]
    lived = households > 0
    worth = np.maximum(price, 0.0)
    each = np.where(lived, worth / np.maximum(households, 1e-9), 0.0)
    order = np.flatnonzero(lived)[np.argsort(-each[lived], kind="stable")]
    size = floor.size
    top = worth[~lived].sum() + np.interp(
        np.arange(len(size)) + floor.step,
        np.append(0.0, np.cumsum(households[order])),
        np.append(0.0, np.cumsum(worth[order])),
    )
    possible = np.flatnonzero(size - top < below)
    if not len(possible):
        return None
    least, most = int(possible[0]), int(possible[-1])
    steps = np.quantile(each[lived], np.linspace(0.15, 1.0, RATES - 1)) if lived.any() else np.empty(0)
    rates = np.unique(np.append(0.0, steps))
    index = np.arange(most + 1)
    cost = np.where(index >= least, size[: most + 1], np.inf) - rates[:, None] * (index + floor.step)
    lowest = np.minimum.accumulate(cost[:, ::-1], axis=1)[:, ::-1]
    terms = problem.terms
    return Prices(
        left=price[None, :] - rates[:, None] * households,
        floor=np.ascontiguousarray(lowest),
        size=size[: most + 1].copy(),
        least=float(least),
        most=float(most) + floor.step,
        group_piece=terms.group_piece,
        compactness=terms.compactness,
        similarity=terms.similarity if atoms.mix.shape[1] else 0.0,
        below=float(below),
    )
