"""Numbers that no plan can be below, from households and distances alone: found in seconds for any community."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csc_array, eye_array, hstack

from gis.geometry import FloatArray, sums
from gis.partition import kernel
from gis.partition.enumeration import best_in_balls
from gis.partition.kernel import Terms
from gis.partition.problem import Problem

MOST_WORK = 400_000_000  # additions in the exact bound by numbers of cells
MOST_PRICING = 5_000_000_000  # steps of all rounds of pricing balls
MOST_ROUNDS = 60
LEAST_ROUNDS = 15  # fewer do not show anything
WIDTH = 0.1  # of the mean price: how far prices go in one round
NEAR_ENOUGH = 0.01  # of the linear program's value


@dataclass(frozen=True)
class Floor:
    """What no plan is below.

    Attributes
    ----------
    size : float array, shape (households + 2,)
        Least cost of the households of a cell, by their number (rounded down).
    step : float
        0 where households are whole numbers, else 1: what rounding may leave out.
    pairs : float
        Cost of the pairs of group and cell that every plan has.
    piece : float
        Cost of one such pair.
    by_count : float array, shape (counts,)
        Bound for plans with exactly so many cells; infinite where there is none.
    bound : float
    out_of_band : int
        No plan has fewer cells out of the band.
    """

    size: FloatArray
    step: float
    pairs: float
    piece: float
    by_count: FloatArray
    bound: float
    out_of_band: int

    def extra_pairs(self, cost: float) -> int:
        """How many pairs more than every plan has a plan may have that costs less than this."""
        if self.piece <= 0:
            return 1_000_000
        return max(int(np.ceil((cost - self.bound) / self.piece - 1e-9)) - 1, 0)


def floor_of(problem: Problem, cost: float, *, part: float = 1.0) -> Floor:
    """Bounds for the plans of a problem that cost less than a known one.

    Parameters
    ----------
    part : float
        How much of the most work to do; the bound is valid with any.
    """
    terms = problem.terms
    is_whole = bool((problem.households == np.rint(problem.households)).all())
    step = 0.0 if is_whole else 1.0
    size = _sizes(problem, step)
    group = np.where(problem.households > 0, problem.group, -1)
    each = sums(group[group >= 0], problem.households[group >= 0])
    # A cell of more households than this costs more than the known plan.
    most = int(np.flatnonzero(size < cost)[-1]) if (size < cost).any() else len(size) - 1
    pairs = terms.group_piece * float(np.ceil(each[each > 0] / (most + 1)).sum())
    cell = size[: most + 1] + terms.reach * _radius(problem, most)
    out_of_band = 0
    if is_whole:
        attainable = _attainable(problem.households, int(problem.total) + 1)
        cell[~np.append(attainable, [False, False])[: most + 1]] = np.inf
        out_of_band = 0 if problem.is_tall.any() else _least_out(attainable, terms)
    work = part * MOST_WORK
    by_count = pairs + _by_count(cell, problem.total, len(problem.households), cost - pairs, step, work)
    bound = float(by_count.min())
    if is_whole and bound < cost:
        possible = np.flatnonzero(by_count < cost)
        bound = max(bound, pairs + _by_balls(problem, size[: most + 1], int(possible[-1]), cost - pairs, part))
    return Floor(size, step, pairs, terms.group_piece, np.maximum(by_count, bound), bound, out_of_band)


def _sizes(problem: Problem, step: float) -> FloatArray:
    """Least cost of the households of a cell, by their number rounded down."""
    terms, count = problem.terms, int(problem.total) + 3
    bands = (False, True) if problem.is_tall.any() else (False,)

    def least(start: int) -> float:
        choices = {float(start)}
        if step:
            marks = (start + step, terms.low, terms.high, *(terms.target * i for i in range(1, 12)))
            choices |= {min(max(float(mark), float(start)), start + step) for mark in marks}
        return min(float(kernel.size_cost(x, is_tall, terms)) for x in choices for is_tall in bands)

    return np.array([least(start) for start in range(count)])


def _attainable(households: FloatArray, count: int) -> NDArray[np.bool_]:
    """Which numbers of households some choice of nodes has."""
    found = 1
    mask = (1 << count) - 1
    for h in np.rint(households[households > 0]).astype(int).tolist():
        found |= (found << h) & mask
    text = bin(found)[:1:-1].ljust(count, "0")[:count]
    return np.asarray(np.frombuffer(text.encode(), dtype=np.uint8) == ord("1"))


def _radius(problem: Problem, most: int) -> FloatArray:
    """Least walk from a base within which so many households live; 0 where walks are not weighed."""
    lived = np.flatnonzero(problem.households > 0)
    distance = problem.graph.distance
    radius = np.zeros(most + 1)
    if not len(distance) or len(lived) < 2:
        return radius
    radius[1 : most + 1] = np.inf
    wanted = np.arange(1, most + 1)
    for base in lived:
        order = lived[np.argsort(distance[base, lived], kind="stable")]
        within = np.cumsum(problem.households[order])
        place = np.searchsorted(within, wanted - 1e-9)
        far = np.append(distance[base, order], np.inf)[place]
        radius[1 : most + 1] = np.minimum(radius[1 : most + 1], far)
    return radius


def _by_count(cell: FloatArray, total: float, nodes: int, cost: float, step: float, work: float) -> FloatArray:
    """Least cost of cells by how many there are: exact over households, or by the convex hull where that is long.

    Ends where more cells cost more than the known plan: by the hull, the bound is convex in their number.
    """
    finite = np.flatnonzero(np.isfinite(cell))
    hull = _hull(cell, step)
    cheapest = max(int(finite[np.argmin(cell[finite])]), 1)
    least = [np.inf]
    while len(least) <= nodes:
        count = len(least)
        each = total / count
        bound = count * float(np.interp(each, *hull)) if each <= hull[0][-1] else np.inf
        if bound >= cost and each < cheapest:
            break
        least.append(bound)
    found = np.array(least)
    households = int(total)
    if total == households and households * len(finite) * len(found) <= work:
        reach = np.full(households + 1, np.inf)
        reach[0] = 0.0
        for count in range(1, len(found)):
            longer = np.full(households + 1, np.inf)
            for h in finite[finite <= households]:
                np.minimum(longer[h:], reach[: households + 1 - h] + cell[h], out=longer[h:])
            reach = longer
            found[count] = max(found[count], reach[households])
    return found


def _hull(cell: FloatArray, step: float) -> tuple[FloatArray, FloatArray]:
    """The lower convex hull of the cost of a cell over its households; corners."""
    corner: list[tuple[float, float]] = []
    for h in np.flatnonzero(np.isfinite(cell)).tolist():
        for x in (h, h + step) if step else (h,):
            y = float(cell[h])
            if corner and corner[-1][0] == x:
                y = min(y, corner.pop()[1])
            while len(corner) > 1 and (corner[-1][1] - corner[-2][1]) * (x - corner[-2][0]) >= (y - corner[-2][1]) * (
                corner[-1][0] - corner[-2][0]
            ):
                corner.pop()
            corner.append((float(x), y))
    points = np.array(corner)
    return points[:, 0], points[:, 1]


def _least_out(attainable: NDArray[np.bool_], terms: Terms) -> int:
    """1 where no choice of numbers in the band adds up to all households, else 0."""
    total = len(attainable) - 1
    low, high = int(np.ceil(terms.low)), min(int(terms.high), total)
    within = [h for h in range(max(low, 1), high + 1) if attainable[h]]
    reached, new = 0, 1
    mask = (1 << (total + 1)) - 1
    while new & ~reached:
        reached |= new
        new = 0
        for h in within:
            new |= (reached << h) & mask
    return 0 if reached >> total & 1 else 1


# --- Balls: cells as a base, a radius, and any households within it --------------------------------------------------


def _by_balls(problem: Problem, size: FloatArray, most: int, aim: float, part: float) -> float:
    """A bound from households and walks: linear programming over cells that need not hang together.

    Stops when the bound reaches the aim, is near the program's value, or after so many rounds. Any prices prove a
    bound: their sum, plus as many times as there may be cells what the cheapest cell is below its prices.
    """
    lived = np.flatnonzero(problem.households > 0)
    distance = problem.graph.distance
    n = len(lived)
    rounds = min(int(part * MOST_PRICING / (n * n * len(size) + 1)), MOST_ROUNDS)
    if not len(distance) or n < 2 or rounds < LEAST_ROUNDS:
        return 0.0
    between = distance[np.ix_(lived, lived)]
    order = np.argsort(between, axis=1, kind="stable").astype(np.int64)
    far = problem.terms.reach * np.take_along_axis(between, order, axis=1)
    households = np.rint(problem.households[lived]).astype(np.int64)
    chosen, value, cost = np.zeros((n, n), dtype=bool), np.zeros(n), np.zeros(n)
    sets, costs = np.zeros((0, n), dtype=bool), np.zeros(0)
    price = aim * households / households.sum()
    best_in_balls(order, far, households, price, size, chosen, value, cost)
    # Prices by household alone, as high as they may be, are the middle to begin with.
    price = price * max(1 + most * min(float(value.min()), 0.0) / aim, 0.0)
    bound, middle, width = 0.0, price, WIDTH * aim / n
    for _ in range(rounds):
        best_in_balls(order, far, households, price, size, chosen, value, cost)
        proven = float(price.sum()) + most * min(float(value.min()), 0.0)
        if proven > bound:
            bound, middle = proven, price
        else:
            width *= 0.8
        new = value < -1e-6
        sets, costs = np.vstack([sets, chosen[new]]), np.append(costs, cost[new])
        found = linprog(
            np.concatenate([costs, middle + width, width - middle]),
            A_eq=hstack([csc_array(sets.T.astype(float)), eye_array(n), -eye_array(n)]).tocsc(),
            b_eq=np.ones(n),
            method="highs",
        )
        if found.status != 0 or bound >= aim or found.fun - bound < NEAR_ENOUGH * found.fun:
            break
        price = np.asarray(found.eqlin.marginals)
    return bound
