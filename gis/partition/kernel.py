"""The compiled search: annealed merge-split and local moves on one cost, every cell always in one piece.

Plain arrays in, labels out; `gis.partition.search` calls it. Everything here is compiled by numba and cached, so it
uses loops and scalars instead of numpy expressions, and its own random numbers, so that a seed gives the same plan.

A cell's cost depends on its members alone (but for enclaves), and a search asks for the same cells again and again.
So every cell carries the exclusive-or of its members' random words (Zobrist 1970), the cost of a cell that a step
would make is looked up by that word, and it is worked out only where it was never seen; a proposal changes nothing
until it is accepted.

The arrays are few and hold a record a row (columns named by constants below): passing dozens of arrays from function
to function took longer than the work, both at run time and for the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile, and keep the result beside the code, in the user's cache, or (where neither can be written) nowhere."""
    try:
        return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:
        return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))


Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.uint64]


class Graph(NamedTuple):
    """A problem as arrays. Edges stand twice, once from each end, in compressed rows.

    ``first[v] : first[v + 1]`` are the rows of node v in ``edge`` and ``metres``.

    Attributes
    ----------
    first : int array, shape (nodes + 1,)
    place : float array, shape (nodes, 5)
        Households, area, perimeter, length of border with none of the nodes, weight of a move.
    kind : int array, shape (nodes, 4)
        Group (-1 for none); 1 where floor bands may be cut; 0 free, 1 stays in its cell, 2 and the cell is closed;
        cell of the plan in force (-1 for none).
    edge : int array, shape (2 × borders, 3)
        Other node; 1 where it joins; rank 0 … 5, how well it suits a cut.
    metres : float array, shape (2 × borders, 2)
        Length; weighted length.
    distance : float array, shape (nodes, nodes) or (0, 0)
    mix : float array, shape (nodes, kinds of households)
    past : float array, shape (cells of the plan in force,)
        Weight of all that lies in each.
    word : uint64 array, shape (nodes,)
        A random word for each node.
    """

    first: NDArray[np.int64]
    place: NDArray[np.float64]
    kind: NDArray[np.int64]
    edge: NDArray[np.int64]
    metres: NDArray[np.float64]
    distance: NDArray[np.float64]
    mix: NDArray[np.float64]
    past: NDArray[np.float64]
    word: NDArray[np.uint64]


class Terms(NamedTuple):
    """Numbers of the cost, in the order that `gis.partition.objectives` names them."""

    low: float
    high: float
    target: float
    half_width: float
    balance: float
    outside: float
    outside_per_household: float
    boundary: float
    group_piece: float
    compactness: float
    reach: float
    enclave: float
    band: float
    similarity: float
    span: float
    stability: float


class Memo(NamedTuple):
    """Costs of cells seen before: a table of words, each in the one place that its last bits name."""

    word: NDArray[np.uint64]
    cost: NDArray[np.float64]


class State(NamedTuple):
    """A labelling with all that keeps its changes cheap, and scratch.

    Attributes
    ----------
    node : int array, shape (nodes, 4)
    cell : int array, shape (cells, 5)
    value : float array, shape (cells, 3)
    word : uint64 array, shape (cells,)
    touches : int array, shape (cells, cells)
        Borders between two cells, counted from both ends.
    work, number : int and float arrays
        Rows of scratch, named below.
    tick : int array, shape (1,)
        Counts up; a mark is true where it equals the tick that set it.
    random : uint64 array, shape (1,)
    """

    node: NDArray[np.int64]
    cell: NDArray[np.int64]
    value: NDArray[np.float64]
    word: NDArray[np.uint64]
    touches: NDArray[np.int64]
    work: NDArray[np.int64]
    number: NDArray[np.float64]
    tick: NDArray[np.int64]
    random: NDArray[np.uint64]


# Columns. Graph:
HOUSEHOLDS, AREA, PERIMETER, OUTSIDE, WEIGHT = 0, 1, 2, 3, 4
GROUP, TALL, HELD, PAST = 0, 1, 2, 3
OTHER, JOINS, RANK = 0, 1, 2
LENGTH, CUT = 0, 1
# State of a node: its cell, the list of its cell's members, and a mark.
LABEL, NEXT, BACK, MARK = 0, 1, 2, 3
# State of a cell.
HEAD, COUNT, TALLS, NEAR, CLOSED = 0, 1, 2, 3, 4
COST, SIZE, OUTER = 0, 1, 2
# Rows of scratch.
(
    PARENT, ORDER, BELOW, BRANCH, FOLLOW, TO, CHAIN, END_A, END_B, UNION,
    TALLS_BELOW, NODES, PLACE, PICKS, MOVED, BUCKET, SET, LIVED, MARK_GROUP, MARK_PAST,
    BEST,
) = range(21)  # fmt: skip
HOUSEHOLDS_BELOW, WORTH, OVERLAP = 0, 1, 2
BUCKETS = 48
MOST_PICKS = 3
NOISE = 100.0  # cost by which the ranking of cuts is shaken
# Shares of the kinds of steps, added up; the rest moves single nodes. On two graphs half the trees found as much in two
# thirds of the time, and a quarter of them less.
SPLIT, MERGE, RECOMBINE, GROUPS = 0.03, 0.06, 0.2, 0.55
FREE, STAYS, SHUT = 0, 1, 2


@compiled
def draw(random: Words) -> float:
    """A number in [0, 1), by xorshift64*."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def below(random: Words, n: int) -> int:
    """A whole number in 0 … n - 1."""
    return min(int(draw(random) * n), n - 1)


@compiled
def one_cell(households: float, t: Terms) -> float:
    """Cost of the households of one cell."""
    off = (households - t.target) / t.half_width
    cost = t.balance * off * off
    if households < t.low:
        cost += t.outside + t.outside_per_household * (t.low - households)
    elif households > t.high:
        cost += t.outside + t.outside_per_household * (households - t.high)
    return cost


@compiled
def size_cost(households: float, is_tall: bool, t: Terms) -> float:
    """Cost of a cell's households; of a stack, the least over its number of floor bands."""
    best = one_cell(households, t)
    if is_tall and households > t.high:
        least = max(int(households / t.high), 2)
        for bands in range(least, least + 4):
            best = min(best, bands * (one_cell(households / bands, t) + t.band))
    return best


@compiled
def potential(households: float, is_tall: bool, t: Terms) -> float:
    """Least cost of households that may still be split any way: tells the start where to cut."""
    best = size_cost(households, is_tall, t)
    least = max(int(households / t.high) - 1, 1)
    for k in range(least, least + 4):
        best = min(best, k * one_cell(households / k, t))
    return best


# --- The cost of a cell ----------------------------------------------------------------------------------------------


@compiled
def walks(g: Graph, work: Ints, lived: int, t: Terms) -> float:
    """Cost of the ways within a cell, from the inhabited members in the row LIVED."""
    distance = g.distance
    nearest = np.inf
    farthest = 0.0
    for i in range(lived):
        row = work[LIVED, i]
        far = 0.0
        for j in range(lived):
            x = distance[row, work[LIVED, j]]
            if x > far:
                far = x
                if far >= nearest and t.span <= 0.0:
                    break
        nearest = min(nearest, far)
        farthest = max(farthest, far)
    return t.reach * nearest + t.span * farthest


@compiled
def mixing(g: Graph, work: Ints, lived: int) -> float:
    """1 - Σ share²: how unlike the households of the members in the row LIVED are; 0 where all are of one kind."""
    total = 0.0
    squares = 0.0
    for k in range(g.mix.shape[1]):
        one = 0.0
        for i in range(lived):
            one += g.mix[work[LIVED, i], k]
        total += one
        squares += one * one
    return 1.0 - squares / (total * total) if total > 0.0 else 0.0


@compiled
def moved(g: Graph, work: Ints, number: Floats, tick: Ints, n: int) -> float:
    """Weight in a set that does not lie in the cell of the plan in force which the set goes on with.

    A set goes on with the cell of which it holds more than half, the largest part if there are several.
    """
    tick[0] += 1
    now = tick[0]
    total = 0.0
    for i in range(n):
        v = work[SET, i]
        p = g.kind[v, PAST]
        if p >= 0:
            if work[MARK_PAST, p] != now:
                work[MARK_PAST, p] = now
                number[OVERLAP, p] = 0.0
            number[OVERLAP, p] += g.place[v, WEIGHT]
            total += g.place[v, WEIGHT]
    kept = 0.0
    for i in range(n):
        p = g.kind[work[SET, i], PAST]
        if p >= 0 and number[OVERLAP, p] > kept and 2.0 * number[OVERLAP, p] > g.past[p]:
            kept = number[OVERLAP, p]
    return total - kept


@compiled
def is_whole(g: Graph, s: State, n: int) -> bool:
    """Whether the nodes in the row SET are in one piece; leaves them marked by the present tick either way."""
    first, edge, node, work = g.first, g.edge, s.node, s.work
    s.tick[0] += 2
    now = s.tick[0]
    for i in range(n):
        node[work[SET, i], MARK] = now - 1
    node[work[SET, 0], MARK] = now
    work[CHAIN, 0] = work[SET, 0]
    found = 1
    i = 0
    while i < found and found < n:
        v = work[CHAIN, i]
        i += 1
        for e in range(first[v], first[v + 1]):
            u = edge[e, OTHER]
            if node[u, MARK] == now - 1 and edge[e, JOINS] == 1:
                node[u, MARK] = now
                work[CHAIN, found] = u
                found += 1
    return found == n


@compiled
def appraise(g: Graph, s: State, n: int, t: Terms) -> float:
    """Cost, but for enclaves, of the cell that the nodes in the row SET make."""
    first, place, kind, edge, metres, node, work = g.first, g.place, g.kind, g.edge, g.metres, s.node, s.work
    s.tick[0] += 1
    now = s.tick[0]
    for i in range(n):
        node[work[SET, i], MARK] = now
    households = 0.0
    area = 0.0
    perimeter = 0.0
    cut = 0.0
    groups = 0
    lived = 0
    talls = 0
    for i in range(n):
        v = work[SET, i]
        h = place[v, HOUSEHOLDS]
        households += h
        area += place[v, AREA]
        perimeter += place[v, PERIMETER]
        talls += kind[v, TALL]
        if h > 0:
            work[LIVED, lived] = v
            lived += 1
            c = kind[v, GROUP]
            if c >= 0 and work[MARK_GROUP, c] != now:
                work[MARK_GROUP, c] = now
                groups += 1
        for e in range(first[v], first[v + 1]):
            if node[edge[e, OTHER], MARK] == now:
                perimeter -= metres[e, LENGTH]
            else:
                cut += metres[e, CUT]
    cost = size_cost(households, talls > 0, t) + t.boundary * 0.5 * cut + t.group_piece * groups
    perimeter = max(perimeter, 1.0)
    cost += t.compactness * (1.0 - min(12.566370614359172 * area / (perimeter * perimeter), 1.0))
    if lived > 1 and (t.reach > 0.0 or t.span > 0.0) and g.distance.shape[0] > 0:
        cost += walks(g, work, lived, t)
    if t.similarity > 0.0 and g.mix.shape[1] > 0:
        cost += t.similarity * mixing(g, work, lived)
    if t.stability != 0.0 and len(g.past) > 0:
        cost += t.stability * moved(g, work, s.number, s.tick, n)
    return cost


@compiled
def cost_of(g: Graph, s: State, m: Memo, word: np.uint64, n: int, t: Terms, is_sure: bool) -> float:
    """Cost of the set in the row SET, remembered by its word; infinite where it is in pieces (unless that is sure)."""
    place = np.int64(word & np.uint64(len(m.word) - 1))
    if m.word[place] == word:
        return float(m.cost[place])
    cost = np.inf
    if is_sure or is_whole(g, s, n):
        cost = appraise(g, s, n, t)
    m.word[place] = word
    m.cost[place] = cost
    return cost


@compiled
def known(m: Memo, word: np.uint64) -> float:
    """The remembered cost of a word; not a number where there is none."""
    place = np.int64(word & np.uint64(len(m.word) - 1))
    return float(m.cost[place]) if m.word[place] == word else np.nan


# --- Changing a labelling --------------------------------------------------------------------------------------------


@compiled
def bind(cell: Ints, touches: Ints, c: int, d: int, by: int) -> None:
    """Count one border between two cells more (or less), and how many neighbours each has."""
    before = touches[c, d]
    touches[c, d] = before + by
    touches[d, c] = before + by
    if before == 0:
        cell[c, NEAR] += 1
        cell[d, NEAR] += 1
    elif before + by == 0:
        cell[c, NEAR] -= 1
        cell[d, NEAR] -= 1


@compiled
def move(g: Graph, s: State, v: int, d: int) -> None:
    """Put node v into cell d, and keep members, counts and borders true (but not the cost)."""
    first, edge, node, cell, value = g.first, g.edge, s.node, s.cell, s.value
    old = node[v, LABEL]
    for e in range(first[v], first[v + 1]):
        c = node[edge[e, OTHER], LABEL]
        if c != old:
            bind(cell, s.touches, old, c, -1)
        if c != d:
            bind(cell, s.touches, d, c, 1)
    before, after = node[v, BACK], node[v, NEXT]
    if before >= 0:
        node[before, NEXT] = after
    else:
        cell[old, HEAD] = after
    if after >= 0:
        node[after, BACK] = before
    head = cell[d, HEAD]
    node[v, LABEL] = d
    node[v, NEXT] = head
    node[v, BACK] = -1
    if head >= 0:
        node[head, BACK] = v
    cell[d, HEAD] = v
    cell[old, COUNT] -= 1
    cell[d, COUNT] += 1
    cell[old, TALLS] -= g.kind[v, TALL]
    cell[d, TALLS] += g.kind[v, TALL]
    value[old, SIZE] -= g.place[v, HOUSEHOLDS]
    value[d, SIZE] += g.place[v, HOUSEHOLDS]
    value[old, OUTER] -= g.place[v, OUTSIDE]
    value[d, OUTER] += g.place[v, OUTSIDE]
    s.word[old] ^= g.word[v]
    s.word[d] ^= g.word[v]


@compiled
def enclaves(s: State) -> int:
    """Cells that touch one other cell and nothing else."""
    found = 0
    for d in range(len(s.cell)):
        if s.cell[d, NEAR] == 1 and s.cell[d, COUNT] > 0 and s.value[d, OUTER] < 1.0:
            found += 1
    return found


@compiled
def list_members(s: State, d: int, row: int, n: int) -> int:
    """Append the members of a cell to a row of scratch; how many it then holds."""
    v = s.cell[d, HEAD]
    while v >= 0:
        s.work[row, n] = v
        n += 1
        v = s.node[v, NEXT]
    return n


# --- Random trees ----------------------------------------------------------------------------------------------------


@compiled
def find(work: Ints, v: int) -> int:
    while work[UNION, v] != v:
        work[UNION, v] = work[UNION, work[UNION, v]]
        v = work[UNION, v]
    return v


@compiled
def random_tree(g: Graph, s: State, n: int) -> int:
    """Random spanning tree of the n nodes in the row NODES, those edges first that should not be cut.

    Fills ORDER (each node before all that is below it, and those together), PARENT (places in the order) and BELOW
    (how many are below a node, itself too); gives the number of nodes reached (n when they are in one piece).
    """
    first, edge, work, random = g.first, g.edge, s.work, s.random
    for i in range(BUCKETS):
        work[BUCKET, i] = -1
    edges = 0
    for i in range(n):
        work[UNION, i] = i
        work[BRANCH, i] = -1
        v = work[NODES, i]
        for e in range(first[v], first[v + 1]):
            u = edge[e, OTHER]
            if u > v and edge[e, JOINS] == 1 and work[PLACE, u] >= 0:
                work[END_A, edges] = i
                work[END_B, edges] = work[PLACE, u]
                # A rank more or less by chance, so that no edge is always or never cut.
                r = edge[e, RANK] * 6 + below(random, 14)
                work[CHAIN, edges] = work[BUCKET, r]
                work[BUCKET, r] = edges
                edges += 1
    links = 0
    for r in range(BUCKETS):
        i = work[BUCKET, r]
        while i >= 0 and links < 2 * n - 2:
            a = work[END_A, i]
            b = work[END_B, i]
            root_a = find(work, a)
            root_b = find(work, b)
            if root_a != root_b:
                work[UNION, root_a] = root_b
                work[TO, links] = b
                work[FOLLOW, links] = work[BRANCH, a]
                work[BRANCH, a] = links
                work[TO, links + 1] = a
                work[FOLLOW, links + 1] = work[BRANCH, b]
                work[BRANCH, b] = links + 1
                links += 2
            i = work[CHAIN, i]
    # Depth first. CHAIN is the stack (nodes), UNION the place in the order of what a waiting node hangs on.
    for i in range(n):
        work[UNION, i] = -1
    root = below(random, n)
    work[CHAIN, 0] = root
    work[UNION, root] = n
    waiting = 1
    reached = 0
    while waiting > 0:
        waiting -= 1
        v = work[CHAIN, waiting]
        at = reached
        work[ORDER, at] = v
        work[PARENT, at] = work[UNION, v]
        work[BELOW, at] = 1
        reached += 1
        e = work[BRANCH, v]
        while e >= 0:
            u = work[TO, e]
            if work[UNION, u] < 0:
                work[UNION, u] = at
                work[CHAIN, waiting] = u
                waiting += 1
            e = work[FOLLOW, e]
    for i in range(reached - 1, 0, -1):
        work[BELOW, work[PARENT, i]] += work[BELOW, i]
    return reached


@compiled
def best_cuts(g: Graph, s: State, n: int, t: Terms, looking_ahead: bool, most: int) -> int:
    """The tree edges whose two sides cost least by their households alone, best first; how many."""
    place, kind, work, number = g.place, g.kind, s.work, s.number
    for i in range(n):
        v = work[NODES, work[ORDER, i]]
        number[HOUSEHOLDS_BELOW, i] = place[v, HOUSEHOLDS]
        work[TALLS_BELOW, i] = kind[v, TALL]
    for i in range(n - 1, 0, -1):
        up = work[PARENT, i]
        number[HOUSEHOLDS_BELOW, up] += number[HOUSEHOLDS_BELOW, i]
        work[TALLS_BELOW, up] += work[TALLS_BELOW, i]
    total = number[HOUSEHOLDS_BELOW, 0]
    talls = work[TALLS_BELOW, 0]
    found = 0
    for i in range(1, n):
        h = number[HOUSEHOLDS_BELOW, i]
        tall = work[TALLS_BELOW, i] > 0
        tall_rest = talls > work[TALLS_BELOW, i]
        if looking_ahead:
            cost = potential(h, tall, t) + potential(total - h, tall_rest, t)
        else:
            cost = size_cost(h, tall, t) + size_cost(total - h, tall_rest, t)
        cost += draw(s.random) * NOISE
        if found < most:
            j = found
            found += 1
        elif cost < number[WORTH, found - 1]:
            j = found - 1
        else:
            continue
        while j > 0 and number[WORTH, j - 1] > cost:
            number[WORTH, j] = number[WORTH, j - 1]
            work[PICKS, j] = work[PICKS, j - 1]
            j -= 1
        number[WORTH, j] = cost
        work[PICKS, j] = i
    return found


@compiled
def plant(g: Graph, s: State, n: int) -> bool:
    """Grow a random tree over the nodes in the row NODES; whether it reached them all."""
    work = s.work
    for i in range(n):
        work[PLACE, work[NODES, i]] = i
    reached = random_tree(g, s, n)
    for i in range(n):
        work[PLACE, work[NODES, i]] = -1
    return reached == n


@compiled
def list_side(s: State, n: int, pick: int, inside: bool) -> int:
    """Put the nodes below a tree edge, or all others, into the row SET; how many."""
    work = s.work
    start, stop = pick, pick + work[BELOW, pick]
    count = 0
    for i in range(start if inside else 0, stop if inside else n):
        if inside or i < start or i >= stop:
            work[SET, count] = work[NODES, work[ORDER, i]]
            count += 1
    return count


@compiled
def stays_put(g: Graph, s: State, n: int, pick: int, a: int, b: int, swap: bool) -> bool:
    """Whether a cut leaves every held node in its cell."""
    work, node = s.work, s.node
    start, stop = pick, pick + work[BELOW, pick]
    for i in range(n):
        v = work[NODES, work[ORDER, i]]
        if g.kind[v, HELD] != FREE:
            want = b if (start <= i < stop) != swap else a
            if node[v, LABEL] != want:
                return False
    return True


@compiled
def recombine(g: Graph, s: State, m: Memo, a: int, b: int, t: Terms, limit: float) -> float:
    """Merge cells a and b (b may be empty) and cut anew by a random tree, if that costs no more than the limit."""
    work, node, value = s.work, s.node, s.value
    n = list_members(s, b, NODES, list_members(s, a, NODES, 0))
    if n < 2 or not plant(g, s, n):
        return 0.0
    found = best_cuts(g, s, n, t, False, MOST_PICKS)
    old = value[a, COST] + value[b, COST]
    union = s.word[a] ^ s.word[b]
    best = np.inf
    pick = -1
    cost_in = 0.0
    cost_out = 0.0
    for k in range(found):
        i = work[PICKS, k]
        # The cost of households is part of the whole: more than all may cost need not be looked at.
        if s.number[WORTH, k] - NOISE > old + limit:
            break
        word = np.uint64(0)
        for j in range(i, i + work[BELOW, i]):
            word ^= g.word[work[NODES, work[ORDER, j]]]
        one = known(m, word)
        if np.isnan(one):
            one = cost_of(g, s, m, word, list_side(s, n, i, True), t, True)
        if one > old + limit:
            continue
        two = known(m, union ^ word)
        if np.isnan(two):
            two = cost_of(g, s, m, union ^ word, list_side(s, n, i, False), t, True)
        if one + two < best:
            best = one + two
            pick, cost_in, cost_out = i, one, two
    if pick < 0 or best - old > limit:
        return 0.0
    start, stop = pick, pick + work[BELOW, pick]
    same = 0
    held = False
    for i in range(n):
        v = work[NODES, work[ORDER, i]]
        same += 1 if (node[v, LABEL] == b) == (start <= i < stop) else -1
        held = held or g.kind[v, HELD] != FREE
    swap = same < 0
    if held and not stays_put(g, s, n, pick, a, b, swap):
        return 0.0
    before = enclaves(s) if t.enclave > 0.0 else 0
    changed = 0
    for i in range(n):
        v = work[NODES, work[ORDER, i]]
        want = b if (start <= i < stop) != swap else a
        if node[v, LABEL] != want:
            work[MOVED, changed] = v
            changed += 1
            move(g, s, v, want)
    change = best - old
    if t.enclave > 0.0:
        change += t.enclave * (enclaves(s) - before)
    if change > limit:
        for i in range(changed):
            v = work[MOVED, i]
            move(g, s, v, a if node[v, LABEL] == b else b)
        return 0.0
    value[a, COST] = cost_in if swap else cost_out
    value[b, COST] = cost_out if swap else cost_in
    return float(change)


@compiled
def transfer(g: Graph, s: State, m: Memo, n: int, a: int, b: int, t: Terms, limit: float) -> float:
    """Move the n nodes in the row MOVED from cell a to cell b if that costs no more than the limit; the change."""
    work, node, cell, value = s.work, s.node, s.cell, s.value
    households = 0.0
    talls = 0
    word = np.uint64(0)
    for i in range(n):
        v = work[MOVED, i]
        if g.kind[v, HELD] != FREE:
            return 0.0
        households += g.place[v, HOUSEHOLDS]
        talls += g.kind[v, TALL]
        word ^= g.word[v]
    old = value[a, COST] + value[b, COST]
    least = size_cost(value[b, SIZE] + households, cell[b, TALLS] + talls > 0, t)
    left = cell[a, COUNT] - n
    if left > 0:
        least += size_cost(value[a, SIZE] - households, cell[a, TALLS] > talls, t)
    if least > old + limit:
        return 0.0
    one = 0.0
    if left > 0:
        one = known(m, s.word[a] ^ word)
        if np.isnan(one):
            s.tick[0] += 1
            now = s.tick[0]
            for i in range(n):
                node[work[MOVED, i], MARK] = now
            count = 0
            v = cell[a, HEAD]
            while v >= 0:
                if node[v, MARK] != now:
                    work[SET, count] = v
                    count += 1
                v = node[v, NEXT]
            one = cost_of(g, s, m, s.word[a] ^ word, left, t, False)
        if one > old + limit:
            return 0.0
    two = known(m, s.word[b] ^ word)
    if np.isnan(two):
        count = list_members(s, b, SET, 0)
        for i in range(n):
            work[SET, count + i] = work[MOVED, i]
        two = cost_of(g, s, m, s.word[b] ^ word, count + n, t, False)
    change = one + two - old
    if change > limit:
        return 0.0
    before = enclaves(s) if t.enclave > 0.0 else 0
    for i in range(n):
        move(g, s, work[MOVED, i], b)
    if t.enclave > 0.0:
        change += t.enclave * (enclaves(s) - before)
        if change > limit:
            for i in range(n):
                move(g, s, work[MOVED, i], a)
            return 0.0
    value[a, COST] = one
    value[b, COST] = two
    return float(change)


# --- The search ------------------------------------------------------------------------------------------------------


@compiled
def free_cell(cell: Ints) -> int:
    """A cell without members; -1 if there is none."""
    for d in range(len(cell)):
        if cell[d, COUNT] == 0:
            return d
    return -1


@compiled
def start(g: Graph, s: State, t: Terms) -> None:
    """Split what is too large, again and again, by the best of a few random trees."""
    work, cell, number = s.work, s.cell, s.number
    for d in range(len(cell)):
        while cell[d, COUNT] > 1:
            n = list_members(s, d, NODES, 0)
            e = free_cell(cell)
            best = size_cost(s.value[d, SIZE], cell[d, TALLS] > 0, t)
            count = 0
            for _ in range(6):
                if e < 0 or not plant(g, s, n):
                    break
                if best_cuts(g, s, n, t, True, 1) > 0 and number[WORTH, 0] < best:
                    best = number[WORTH, 0]
                    count = list_side(s, n, work[PICKS, 0], True)
                    for i in range(count):
                        work[MOVED, i] = work[SET, i]
            if count == 0:
                break
            for i in range(count):
                move(g, s, work[MOVED, i], e)


@compiled
def border(g: Graph, s: State, v: int) -> int:
    """A joining border of node v with another cell, by chance; -1 if it has none."""
    degree = g.first[v + 1] - g.first[v]
    if degree == 0:
        return -1
    skip = below(s.random, degree)
    for i in range(degree):
        e = g.first[v] + (skip + i) % degree
        if g.edge[e, JOINS] == 1 and s.node[g.edge[e, OTHER], LABEL] != s.node[v, LABEL]:
            return int(e)
    return -1


@compiled
def list_group(g: Graph, s: State, d: int, group: int) -> int:
    """Put the members of a cell that are of one group into the row MOVED; how many."""
    n = 0
    u = s.cell[d, HEAD]
    while u >= 0:
        if g.kind[u, GROUP] == group:
            s.work[MOVED, n] = u
            n += 1
        u = s.node[u, NEXT]
    return n


@compiled
def one_step(g: Graph, s: State, m: Memo, t: Terms, heat: float) -> float:
    """One random step: split, merge, merge and split, or move one node or one group; the change of the cost."""
    node, cell = s.node, s.cell
    v = below(s.random, len(node))
    a = node[v, LABEL]
    x = draw(s.random)
    limit = -heat * np.log(1.0 - draw(s.random))
    if cell[a, CLOSED] == 1:
        return 0.0
    splits = x < SPLIT
    if splits:
        b = free_cell(cell)
        if b < 0 or cell[a, COUNT] < 2 or s.value[a, SIZE] < t.low:
            return 0.0
    else:
        e = border(g, s, v)
        if e < 0:
            return 0.0
        b = node[g.edge[e, OTHER], LABEL]
        if cell[b, CLOSED] == 1:
            return 0.0
    if splits or MERGE <= x < RECOMBINE:
        return recombine(g, s, m, a, b, t, limit)
    if x < MERGE:
        n = list_members(s, a, MOVED, 0)
    elif x < GROUPS and g.kind[v, GROUP] >= 0:
        n = list_group(g, s, a, g.kind[v, GROUP])
    else:
        s.work[MOVED, 0] = v
        n = 1
    return transfer(g, s, m, n, a, b, t, limit)


@compiled
def set_up(g: Graph, label: Ints, cells: int, seed: int) -> State:
    """A labelling as a state; costs are not worked out yet."""
    n = len(label)
    groups = 0
    for v in range(n):
        groups = max(groups, g.kind[v, GROUP] + 1)
    width = max(len(g.edge), 2 * n, BUCKETS, groups, len(g.past)) + 8
    random = np.empty(1, np.uint64)
    random[0] = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    for _ in range(8):
        draw(random)
    s = State(
        node=np.full((n, 4), -1, np.int64),
        cell=np.zeros((cells, 5), np.int64),
        value=np.zeros((cells, 3)),
        word=np.zeros(cells, np.uint64),
        touches=np.zeros((cells, cells), np.int64),
        work=np.full((21, width), -1, np.int64),
        number=np.zeros((3, width)),
        tick=np.zeros(1, np.int64),
        random=random,
    )
    node, cell = s.node, s.cell
    cell[:, HEAD] = -1
    for v in range(n):
        d = label[v]
        node[v, LABEL] = d
        node[v, NEXT] = cell[d, HEAD]
        if cell[d, HEAD] >= 0:
            node[cell[d, HEAD], BACK] = v
        cell[d, HEAD] = v
        cell[d, COUNT] += 1
        cell[d, TALLS] += g.kind[v, TALL]
        s.value[d, SIZE] += g.place[v, HOUSEHOLDS]
        s.value[d, OUTER] += g.place[v, OUTSIDE]
        s.word[d] ^= g.word[v]
        if g.kind[v, HELD] == SHUT:
            cell[d, CLOSED] = 1
    for v in range(n):
        for e in range(g.first[v], g.first[v + 1]):
            u = g.edge[e, OTHER]
            if u > v and label[u] != label[v]:
                bind(cell, s.touches, label[v], label[u], 1)
    return s


@compiled
def settle(g: Graph, s: State, m: Memo, t: Terms) -> float:
    """Work out the cost of every cell; the whole cost."""
    total = 0.0
    for d in range(len(s.cell)):
        s.value[d, COST] = 0.0
        if s.cell[d, COUNT] > 0:
            n = list_members(s, d, SET, 0)
            s.value[d, COST] = cost_of(g, s, m, s.word[d], n, t, True)
            total += s.value[d, COST]
    if t.enclave > 0.0:
        total += t.enclave * enclaves(s)
    return total


@compiled
def anneal(
    g: Graph,
    label: Ints,
    cells: int,
    t: Terms,
    m: Memo,
    steps: int,
    hot: float,
    cold: float,
    seed: int,
    from_start: bool,
    best_label: Ints,
) -> float:
    """Search from a labelling; writes the best labels found and gives their cost.

    Parameters
    ----------
    label : int array, shape (nodes,)
        Each cell in one piece; labels below ``cells``.
    cells : int
        Most cells there may be.
    m : Memo
        Of this graph and these terms alone; what it holds saves work and changes nothing but roundings.
    hot, cold : float
        Temperatures of the first and last step, in units of cost.
    from_start : bool
        First split what is too large.
    """
    s = set_up(g, label, cells, seed)
    if from_start:
        start(g, s, t)
    current = settle(g, s, m, t)
    best = current
    best_label[:] = s.node[:, LABEL]
    cooling = (cold / hot) ** (1.0 / max(steps, 1))
    heat = hot
    for _ in range(steps):
        current += one_step(g, s, m, t, heat)
        heat *= cooling
        if current < best - 1e-7:
            best = current
            best_label[:] = s.node[:, LABEL]
    return best


@compiled
def price(g: Graph, label: Ints, cells: int, t: Terms, m: Memo, costs: Floats) -> float:
    """The whole cost of a labelling; writes the cost of each cell, but for enclaves."""
    s = set_up(g, label, cells, 0)
    total = settle(g, s, m, t)
    costs[:] = s.value[:, COST]
    return total


@compiled
def appraise_all(g: Graph, sets: NDArray[np.bool_], t: Terms) -> Floats:
    """Cost, but for enclaves, of each set of nodes (a row each); infinite where it is empty or in pieces."""
    n = len(g.first) - 1
    s = set_up(g, np.zeros(n, np.int64), 1, 0)
    cost = np.full(len(sets), np.inf)
    for i in range(len(sets)):
        count = 0
        for v in range(n):
            if sets[i, v]:
                s.work[SET, count] = v
                count += 1
        if count > 0 and is_whole(g, s, count):
            cost[i] = appraise(g, s, count, t)
    return cost


def memo(bits: int) -> Memo:
    """An empty memory of 2**bits places."""
    return Memo(np.zeros(1 << bits, np.uint64), np.zeros(1 << bits))


def warm() -> None:
    """Compile the search, or load what was compiled before, by solving a problem of two nodes."""
    graph = Graph(
        first=np.array([0, 1, 2]),
        place=np.ones((2, 5)),
        kind=np.zeros((2, 4), np.int64),
        edge=np.array([[1, 1, 0], [0, 1, 0]]),
        metres=np.ones((2, 2)),
        distance=np.zeros((2, 2)),
        mix=np.ones((2, 1)),
        past=np.ones(1),
        word=np.array([1, 2], np.uint64),
    )
    terms = Terms(1.0, 1.0, 1.0, 1.0, *([1.0] * 12))
    appraise_all(graph, np.ones((1, 2), bool), terms)
    price(graph, np.zeros(2, np.int64), 1, terms, memo(4), np.zeros(1))
    anneal(graph, np.zeros(2, np.int64), 3, terms, memo(4), 1, 1.0, 0.5, 0, True, np.zeros(2, np.int64))
