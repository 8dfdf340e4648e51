"""Every connected set of nodes whose reduced cost is below a threshold, by a compiled tree search with bounds.

A set grows from a root: one neighbour at a time is put in or left out, so each connected set is met once. What is
decided already costs something (border between what is in and what is out, groups touched, walk), and what is not yet
decided can win back at most its prices; a branch that cannot come below the threshold is left.

At most 64 atoms (an atom is a node, or several that stay together), so that a set is one word of bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gis.geometry import IntArray, sums
from gis.partition import kernel
from gis.partition.kernel import Floats, Ints, Words, compiled
from gis.partition.problem import Problem

MOST_ATOMS = 64


class Atoms(NamedTuple):
    """What the search knows of atoms. Neighbours in compressed rows: ``first[i] : first[i + 1]``.

    Attributes
    ----------
    joins : uint64 array, shape (atoms,)
        Bits of the atoms that a walk reaches from each.
    first : int array, shape (atoms + 1,)
    other : int array, shape (2 × borders,)
    border : float array, shape (2 × borders, 2)
        Cost of the border to the cell on this side; its length in metres.
    place : float array, shape (atoms, 3)
        Households; area; perimeter less all shared borders.
    group : int array, shape (atoms,)
        Atoms of one group stand together; -1 for none, or where nobody lives.
    far : float array, shape (bases, atoms)
        Cost of the walk from a base to the farthest household of an atom.
    base : int array, shape (bases,)
        The atom of each base.
    mix : float array, shape (atoms, kinds)
        Households of each kind.
    """

    joins: Words
    first: Ints
    other: Ints
    border: Floats
    place: Floats
    group: Ints
    far: Floats
    base: Ints
    mix: Floats


class Prices(NamedTuple):
    """What a set is measured against.

    Attributes
    ----------
    left : float array, shape (rates, atoms)
        Price of each atom, less a rate for each of its households.
    floor : float array, shape (rates, most + 2)
        Least cost of households, less the rate for them, over all numbers from the index on.
    size : float array, shape (most + 2,)
        Least cost of households at the index.
    least, most : float
        Households that a set may have.
    group_piece, compactness, similarity : float
        Weights.
    below : float
        The threshold.
    """

    left: Floats
    floor: Floats
    size: Floats
    least: float
    most: float
    group_piece: float
    compactness: float
    similarity: float
    below: float


ONE = np.uint64(1)
ZERO = np.uint64(0)
HOUSEHOLDS, AREA, OUTER = 0, 1, 2
CUT, LENGTH = 0, 1
FOUR_PI = 12.566370614359172
# Numbers of a state.
SUM_CUT, SUM_LENGTH, SUM_HOUSEHOLDS, SUM_AREA, SUM_OUTER, SUM_GROUPS, SUM_WALK, SUM_PRICES = range(8)


def atoms_of(problem: Problem, atom: IntArray) -> Atoms:
    """The atoms of a problem.

    Parameters
    ----------
    atom : int array, shape (nodes,)
        The atom of each node; the inhabited nodes of one are all of one group, and atoms of one group in a row.
    """
    graph, terms, n = problem.graph, problem.terms, int(atom.max()) + 1
    near = np.repeat(atom, np.diff(graph.first))
    other = atom[graph.edge[:, kernel.OTHER]]
    within = near == other
    joins = np.zeros(n, dtype=np.uint64)
    linked = ~within & (graph.edge[:, kernel.JOINS] == 1)
    np.bitwise_or.at(joins, near[linked], ONE << other[linked].astype(np.uint64))
    pair, where = np.unique(near[~within] * n + other[~within], return_inverse=True)
    cut = terms.boundary * 0.5 * sums(where, graph.metres[~within, kernel.CUT], len(pair))
    households = sums(atom, problem.households, n)
    outer = sums(atom, problem.perimeter_m, n) - sums(near, graph.metres[:, kernel.LENGTH], n)
    lived = np.flatnonzero(problem.households > 0)
    far = np.zeros((len(lived), n))
    if terms.reach > 0 and len(graph.distance):
        np.maximum.at(far.T, atom[lived], terms.reach * graph.distance[np.ix_(lived, lived)])
    group = np.full(n, -1, dtype=np.int64)
    group[atom[lived]] = problem.group[lived]
    group = np.unique(np.append(group, -1), return_inverse=True)[1][:n].astype(np.int64) - 1
    mix = np.zeros((n, graph.mix.shape[1]))
    np.add.at(mix, atom, graph.mix)
    return Atoms(
        joins=joins,
        first=np.searchsorted(pair // n, np.arange(n + 1)).astype(np.int64),
        other=(pair % n).astype(np.int64),
        border=np.column_stack([cut, sums(where, graph.metres[~within, kernel.LENGTH], len(pair))]),
        place=np.column_stack([households, sums(atom, problem.area_m2, n), outer]),
        group=group,
        far=far if far.any() else np.zeros((0, n)),
        base=atom[lived].astype(np.int64) if far.any() else np.empty(0, dtype=np.int64),
        mix=mix,
    )


@compiled
def lowest(bits: np.uint64) -> int:
    """Place of the lowest bit that is set."""
    b = bits & (~bits + ONE)
    n = 0
    if b & np.uint64(0xFFFFFFFF00000000):
        n += 32
    if b & np.uint64(0xFFFF0000FFFF0000):
        n += 16
    if b & np.uint64(0xFF00FF00FF00FF00):
        n += 8
    if b & np.uint64(0xF0F0F0F0F0F0F0F0):
        n += 4
    if b & np.uint64(0xCCCCCCCCCCCCCCCC):
        n += 2
    if b & np.uint64(0xAAAAAAAAAAAAAAAA):
        n += 1
    return n


@compiled
def take(
    atoms: Atoms, prices: Prices, bits: Words, number: Floats, beside: Floats, walk: Floats, d: int, v: int
) -> None:
    """Put atom v into the set of state d."""
    inside, outside = bits[d, 0], bits[d, 1]
    bits[d, 0] = inside | (ONE << np.uint64(v))
    for e in range(atoms.first[v], atoms.first[v + 1]):
        u = atoms.other[e]
        bit = ONE << np.uint64(u)
        if outside & bit:
            number[d, SUM_CUT] += atoms.border[e, CUT]
            number[d, SUM_LENGTH] += atoms.border[e, LENGTH]
        elif not inside & bit:
            beside[d, 0, u] += atoms.border[e, CUT]
    number[d, SUM_HOUSEHOLDS] += atoms.place[v, HOUSEHOLDS]
    number[d, SUM_AREA] += atoms.place[v, AREA]
    number[d, SUM_OUTER] += atoms.place[v, OUTER]
    for r in range(len(prices.left)):
        number[d, SUM_PRICES + r] += prices.left[r, v]
    g = atoms.group[v]
    if g >= 0 and not bits[d, 2] & (ONE << np.uint64(g)):
        bits[d, 2] |= ONE << np.uint64(g)
        number[d, SUM_GROUPS] += 1.0
    if atoms.place[v, HOUSEHOLDS] > 0:
        for c in range(len(atoms.base)):
            walk[d, c] = max(walk[d, c], atoms.far[c, v])


@compiled
def leave(atoms: Atoms, bits: Words, number: Floats, beside: Floats, d: int, v: int) -> None:
    """Leave atom v out of the set of state d."""
    inside, outside = bits[d, 0], bits[d, 1]
    bits[d, 1] = outside | (ONE << np.uint64(v))
    for e in range(atoms.first[v], atoms.first[v + 1]):
        u = atoms.other[e]
        bit = ONE << np.uint64(u)
        if inside & bit:
            number[d, SUM_CUT] += atoms.border[e, CUT]
            number[d, SUM_LENGTH] += atoms.border[e, LENGTH]
        elif not outside & bit:
            beside[d, 1, u] += atoms.border[e, CUT]


@compiled
def open_atoms(
    atoms: Atoms, bits: Words, number: Floats, beside: Floats, d: int, everything: np.uint64, most: float
) -> np.uint64:
    """The undecided atoms that can still be reached; the others are left out. Gives their bits."""
    free = everything & ~bits[d, 0] & ~bits[d, 1]
    room = most - number[d, SUM_HOUSEHOLDS]
    rest = free
    while rest:
        v = lowest(rest)
        rest &= rest - ONE
        if atoms.place[v, HOUSEHOLDS] > room:
            leave(atoms, bits, number, beside, d, v)
            free &= ~(ONE << np.uint64(v))
    reached = ZERO
    edge = bits[d, 0]
    while edge:
        around = ZERO
        while edge:
            v = lowest(edge)
            edge &= edge - ONE
            around |= atoms.joins[v]
        edge = around & free & ~reached
        reached |= edge
    rest = free & ~reached
    while rest:
        v = lowest(rest)
        rest &= rest - ONE
        leave(atoms, bits, number, beside, d, v)
    return reached


@compiled
def bound(
    atoms: Atoms,
    prices: Prices,
    bits: Words,
    number: Floats,
    beside: Floats,
    walk: Floats,
    listed: Ints,
    d: int,
    free: np.uint64,
) -> float:
    """Least reduced cost of any set that keeps what state d decided."""
    inside = bits[d, 0]
    households = number[d, SUM_HOUSEHOLDS]
    area = number[d, SUM_AREA]
    outer = number[d, SUM_OUTER]
    possible = households
    count = 0
    rest = free
    while rest:
        v = lowest(rest)
        rest &= rest - ONE
        listed[count] = v
        count += 1
        area += atoms.place[v, AREA]
        possible += atoms.place[v, HOUSEHOLDS]
        outer += min(atoms.place[v, OUTER], 0.0)
    if possible < prices.least:
        return np.inf
    around = inside | free
    least = np.inf
    for c in range(len(atoms.base)):
        if walk[d, c] < least and around & (ONE << np.uint64(atoms.base[c])):
            least = walk[d, c]
    number[d, SUM_WALK] = least if least < np.inf else 0.0
    fixed = number[d, SUM_CUT] + prices.group_piece * number[d, SUM_GROUPS] + number[d, SUM_WALK]
    perimeter = max(number[d, SUM_LENGTH] + outer, 1.0)
    fixed += prices.compactness * (1.0 - min(FOUR_PI * area / (perimeter * perimeter), 1.0))
    top = -np.inf
    for r in range(len(prices.left)):
        total = prices.floor[r, int(households)] - number[d, SUM_PRICES + r]
        i = 0
        while i < count:
            g = atoms.group[listed[i]]
            joint = 0.0
            apart = 0.0
            while i < count and atoms.group[listed[i]] == g:
                v = listed[i]
                out = beside[d, 0, v]
                apart += out
                joint += min(beside[d, 1, v] - prices.left[r, v], out)
                i += 1
                if g < 0:
                    break
            if g >= 0 and not bits[d, 2] & (ONE << np.uint64(g)):
                joint = min(joint + prices.group_piece, apart)
            total += joint
        top = max(top, total)
        if fixed + top >= prices.below:
            break
    return float(fixed + top)


@compiled
def whole(atoms: Atoms, prices: Prices, bits: Words, number: Floats, d: int) -> float:
    """Reduced cost of a set of which everything is decided."""
    value = prices.size[int(number[d, SUM_HOUSEHOLDS])] - number[d, SUM_PRICES]
    perimeter = max(number[d, SUM_LENGTH] + number[d, SUM_OUTER], 1.0)
    value += prices.compactness * (1.0 - min(FOUR_PI * number[d, SUM_AREA] / (perimeter * perimeter), 1.0))
    if prices.similarity > 0.0:
        value += prices.similarity * mixing(atoms, bits[d, 0])
    return float(value + number[d, SUM_CUT] + prices.group_piece * number[d, SUM_GROUPS] + number[d, SUM_WALK])


@compiled
def mixing(atoms: Atoms, inside: np.uint64) -> float:
    """1 - Σ share² of the kinds of households in a set."""
    total = 0.0
    squares = 0.0
    for k in range(atoms.mix.shape[1]):
        one = 0.0
        for v in range(len(atoms.joins)):
            if inside & (ONE << np.uint64(v)):
                one += atoms.mix[v, k]
        total += one
        squares += one * one
    return 1.0 - squares / (total * total) if total > 0.0 else 0.0


@compiled
def choose(atoms: Atoms, bits: Words, beside: Floats, d: int, free: np.uint64) -> int:
    """The undecided neighbour to decide next: the one on whose side most is at stake."""
    edge = bits[d, 0]
    near = ZERO
    while edge:
        v = lowest(edge)
        edge &= edge - ONE
        near |= atoms.joins[v]
    near &= free
    pick = -1
    most = -1.0
    while near:
        v = lowest(near)
        near &= near - ONE
        stake = beside[d, 0, v] + beside[d, 1, v] + 1e-3 * atoms.place[v, HOUSEHOLDS]
        if stake > most:
            most = stake
            pick = v
    return pick


@compiled
def copy_state(bits: Words, number: Floats, beside: Floats, walk: Floats, a: int, b: int) -> None:
    bits[b] = bits[a]
    number[b] = number[a]
    beside[b] = beside[a]
    walk[b] = walk[a]


@compiled
def sets_below(
    atoms: Atoms,
    prices: Prices,
    order: Ints,
    most_states: int,
    most_each: int,
    found: Words,
    worth: Floats,
    seen: Ints,
) -> int:
    """Connected sets of a reduced cost below the threshold; how many.

    Parameters
    ----------
    order : int array, shape (atoms,)
        Roots, in turn; a root's sets hold none of those before it.
    most_states : int
        Stop after so many states looked at.
    most_each : int
        Go on to the next root after so many sets.
    found, worth : arrays, shape (room,)
        Bits and reduced cost of each set; the search stops when they are full.
    seen : int array, shape (3,)
        Out: states looked at; sets looked at (complete ones); 1 if the search was complete.
    """
    n = len(atoms.joins)
    bits = np.zeros((n + 2, 3), np.uint64)
    number = np.zeros((n + 2, SUM_PRICES + len(prices.left)))
    listed = np.zeros(n, np.int64)
    beside = np.zeros((n + 2, 2, n))
    walk = np.zeros((n + 2, max(len(atoms.base), 1)))
    choice = np.zeros((n + 2, 2), np.int64)
    everything = ~ZERO if n == 64 else (ONE << np.uint64(n)) - ONE
    count = 0
    complete = 1
    for i in range(n):
        start = count
        bits[0, :] = ZERO
        number[0, :] = 0.0
        beside[0, :, :] = 0.0
        walk[0, :] = 0.0
        for j in range(i):
            leave(atoms, bits, number, beside, 0, order[j])
        if atoms.place[order[i], HOUSEHOLDS] > prices.most:
            continue
        take(atoms, prices, bits, number, beside, walk, 0, order[i])
        d = 0
        choice[0, 1] = -1
        while d >= 0:
            if choice[d, 1] < 0:  # a new state
                seen[0] += 1
                free = open_atoms(atoms, bits, number, beside, d, everything, prices.most)
                value = bound(atoms, prices, bits, number, beside, walk, listed, d, free)
                if value >= prices.below:
                    d -= 1
                    continue
                if not free:
                    seen[1] += 1
                    h = number[d, SUM_HOUSEHOLDS]
                    if h >= prices.least:
                        value = whole(atoms, prices, bits, number, d)
                        if value < prices.below:
                            found[count] = bits[d, 0]
                            worth[count] = value
                            count += 1
                    d -= 1
                    if count == len(found):
                        return count
                    if count - start >= most_each:
                        complete = 0
                        break
                    continue
                choice[d, 0] = choose(atoms, bits, beside, d, free)
                choice[d, 1] = 0
                if seen[0] >= most_states:
                    return count
            if choice[d, 1] == 2:
                d -= 1
                continue
            copy_state(bits, number, beside, walk, d, d + 1)
            if choice[d, 1] == 0:
                take(atoms, prices, bits, number, beside, walk, d + 1, choice[d, 0])
            else:
                leave(atoms, bits, number, beside, d + 1, choice[d, 0])
            choice[d, 1] += 1
            d += 1
            choice[d, 1] = -1
    seen[2] = complete
    return count


@compiled
def best_in_balls(
    order: Ints,
    far: Floats,
    households: Ints,
    price: Floats,
    size: Floats,
    chosen: NDArray[np.bool_],
    value: Floats,
    cost: Floats,
) -> None:
    """For each base the cheapest cell, less its prices, of any nodes around it: a knapsack at every radius.

    Parameters
    ----------
    order : int array, shape (bases, nodes)
        Nodes by their distance from each base.
    far : float array, shape (bases, nodes)
        Cost of the walk to each, in that order.
    size : float array, shape (most + 1,)
        Cost of households.
    chosen, value, cost
        Out: members, cost less prices, and cost, one a base.
    """
    n, m = order.shape[1], len(size)
    took = np.zeros((n, m), np.bool_)
    worth = np.empty(m)
    for b in range(len(order)):
        worth[:] = -np.inf
        value[b] = np.inf
        last, at = -1, 0
        for j in range(n):
            v = order[b, j]
            h = households[v]
            took[j, :] = False
            if j == 0:
                if h < m:
                    worth[h] = price[v]
                    took[0, h] = True
            else:
                for x in range(m - 1, h - 1, -1):
                    if worth[x - h] + price[v] > worth[x]:
                        worth[x] = worth[x - h] + price[v]
                        took[j, x] = True
            for x in range(m):
                c = size[x] + far[b, j] - worth[x]
                if c < value[b]:
                    value[b] = c
                    last, at = j, x
        chosen[b, :] = False
        if last >= 0:
            cost[b] = size[at] + far[b, last]
            x = at
            for j in range(last, -1, -1):
                if took[j, x]:
                    chosen[b, order[b, j]] = True
                    x -= households[order[b, j]]
