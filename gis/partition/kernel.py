"""The compiled search: annealed merge-split and local moves on one cost, every cell always in one piece.

Plain arrays in, labels out; `gis.partition.search` calls it. Everything here is compiled by numba and cached, so it
uses loops and scalars instead of numpy expressions, and its own random numbers, so that a seed gives the same plan.

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
    place : float array, shape (nodes, 3)
        Households, area, perimeter.
    kind : int array, shape (nodes, 2)
        Group (-1 for none); 1 where floor bands may be cut.
    edge : int array, shape (2 × borders, 3)
        Other node; 1 where it joins; rank 0 … 5, how well it suits a cut.
    metres : float array, shape (2 × borders, 2)
        Length; weighted length.
    distance : float array, shape (nodes, nodes) or (0, 0)
    """

    first: NDArray[np.int64]
    place: NDArray[np.float64]
    kind: NDArray[np.int64]
    edge: NDArray[np.int64]
    metres: NDArray[np.float64]
    distance: NDArray[np.float64]


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


# Columns. Graph:
HOUSEHOLDS, AREA, PERIMETER = 0, 1, 2
GROUP, TALL = 0, 1
OTHER, JOINS, RANK = 0, 1, 2
LENGTH, CUT = 0, 1
# State of a node: its cell, the list of its cell's members, and scratch.
LABEL, NEXT, BACK, MARK, QUEUE, LIVED = 0, 1, 2, 3, 4, 5
# State of a cell.
HEAD, COUNT, WALLED, TALLS = 0, 1, 2, 3
COST, SIZE, OUTER = 0, 1, 2
# Rows of the tree's scratch.
(
    PARENT, ORDER, BRANCH, FOLLOW, TO, CHAIN, END_A, END_B, UNION, TALL_BELOW,
    SIDE, NODES, PLACE, OLD, PICKS, MOVED, BUCKET,
) = range(17)  # fmt: skip
BUCKETS = 48
MOST_PICKS = 3
# The most that other terms can plausibly win back when households get worse: moves beyond it are not measured.
WINNABLE = 800.0


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


@compiled
def move(first: Ints, kind: Ints, edge: Ints, node: Ints, cell: Ints, touches: Ints, v: int, d: int) -> None:
    """Put node v into cell d, and keep members, counts and borders true."""
    old = node[v, LABEL]
    for e in range(first[v], first[v + 1]):
        c = node[edge[e, OTHER], LABEL]
        if c != old:
            touches[old, c] -= 1
            touches[c, old] -= 1
        if c != d:
            touches[d, c] += 1
            touches[c, d] += 1
    before, after = node[v, BACK], node[v, NEXT]
    if before >= 0:
        node[before, NEXT] = after
    else:
        cell[old, HEAD] = after
    if after >= 0:
        node[after, BACK] = before
    cell[old, COUNT] -= 1
    cell[old, TALLS] -= kind[v, TALL]
    node[v, LABEL] = d
    head = cell[d, HEAD]
    node[v, NEXT] = head
    node[v, BACK] = -1
    if head >= 0:
        node[head, BACK] = v
    cell[d, HEAD] = v
    cell[d, COUNT] += 1
    cell[d, TALLS] += kind[v, TALL]


@compiled
def measure(g: Graph, node: Ints, cell: Ints, value: Floats, group_mark: Ints, tick: Ints, d: int, t: Terms) -> float:
    """Cost of cell d but for enclaves; keeps its households and its length of outer border."""
    if cell[d, COUNT] == 0:
        value[d, SIZE] = 0.0
        value[d, OUTER] = 0.0
        return 0.0
    first, place, kind, edge, metres = g.first, g.place, g.kind, g.edge, g.metres
    households = 0.0
    area = 0.0
    perimeter = 0.0
    cut = 0.0
    shared = 0.0
    groups = 0
    lived = 0
    tick[0] += 1
    now = tick[0]
    v = cell[d, HEAD]
    while v >= 0:
        h = place[v, HOUSEHOLDS]
        households += h
        area += place[v, AREA]
        perimeter += place[v, PERIMETER]
        if h > 0:
            node[lived, LIVED] = v
            lived += 1
            c = kind[v, GROUP]
            if c >= 0 and group_mark[c] != now:
                group_mark[c] = now
                groups += 1
        for e in range(first[v], first[v + 1]):
            if node[edge[e, OTHER], LABEL] == d:
                perimeter -= metres[e, LENGTH]
            else:
                cut += metres[e, CUT]
                shared += metres[e, LENGTH]
        v = node[v, NEXT]
    value[d, SIZE] = households
    value[d, OUTER] = perimeter - shared
    cost = size_cost(households, cell[d, TALLS] > 0, t) + t.boundary * 0.5 * cut + t.group_piece * groups
    perimeter = max(perimeter, 1.0)
    cost += t.compactness * (1.0 - min(12.566370614359172 * area / (perimeter * perimeter), 1.0))
    if t.reach > 0.0 and lived > 1 and g.distance.shape[0] > 0:
        distance = g.distance
        best = np.inf
        for i in range(lived):
            row = node[i, LIVED]
            far = 0.0
            for j in range(lived):
                x = distance[row, node[j, LIVED]]
                if x > far:
                    far = x
                    if far >= best:
                        break
            best = min(best, far)
        cost += t.reach * best
    return cost


@compiled
def is_enclave(cell: Ints, value: Floats, touches: Ints, d: int) -> bool:
    """Whether all of a cell's border is with one other cell."""
    if cell[d, COUNT] == 0 or value[d, OUTER] >= 1.0:
        return False
    neighbours = 0
    for c in range(len(cell)):
        if touches[d, c] > 0:
            neighbours += 1
            if neighbours > 1:
                return False
    return neighbours == 1


@compiled
def settle(
    g: Graph,
    node: Ints,
    cell: Ints,
    value: Floats,
    touches: Ints,
    group_mark: Ints,
    tick: Ints,
    a: int,
    b: int,
    t: Terms,
) -> float:
    """Bring the costs of two changed cells up to date; the change of the whole cost."""
    change = 0.0
    for i in range(2):
        d = a if i == 0 else b
        if i == 1 and a == b:
            break
        change -= value[d, COST]
        value[d, COST] = measure(g, node, cell, value, group_mark, tick, d, t)
        change += value[d, COST]
    if t.enclave > 0.0:
        for c in range(len(cell)):
            if c in (a, b) or touches[a, c] > 0 or touches[b, c] > 0 or cell[c, WALLED] == 1:
                now = 1 if is_enclave(cell, value, touches, c) else 0
                if now != cell[c, WALLED]:
                    change += t.enclave if now == 1 else -t.enclave
                    cell[c, WALLED] = now
    return change


@compiled
def reaches(first: Ints, edge: Ints, node: Ints, tick: Ints, root: int, d: int, without: int, wanted: int) -> int:
    """How many members of cell d are found from a root, leaving out nodes marked ``without``; stops at ``wanted``."""
    tick[0] += 1
    now = tick[0]
    node[0, QUEUE] = root
    node[root, MARK] = now
    found = 1
    i = 0
    while i < found and found < wanted:
        v = node[i, QUEUE]
        i += 1
        for e in range(first[v], first[v + 1]):
            u = edge[e, OTHER]
            if edge[e, JOINS] == 1 and node[u, LABEL] == d and node[u, MARK] != now and node[u, MARK] != without:
                node[u, MARK] = now
                node[found, QUEUE] = u
                found += 1
    return found


@compiled
def stays_whole(
    first: Ints, edge: Ints, node: Ints, cell: Ints, tick: Ints, d: int, without: int, n_without: int
) -> bool:
    """Whether cell d is in one piece without the marked nodes (also when nothing is left)."""
    left = cell[d, COUNT] - n_without
    if left < 2:
        return True
    root = cell[d, HEAD]
    while node[root, MARK] == without:
        root = node[root, NEXT]
    return bool(reaches(first, edge, node, tick, root, d, without, left) == left)


@compiled
def find(work: Ints, v: int) -> int:
    while work[UNION, v] != v:
        work[UNION, v] = work[UNION, work[UNION, v]]
        v = work[UNION, v]
    return v


@compiled
def random_tree(first: Ints, edge: Ints, work: Ints, random: Words, n: int) -> int:
    """Random spanning tree of the gathered nodes, those edges first that should not be cut.

    Fills parents and an order from the root; gives the number of nodes reached (n when they are in one piece).
    """
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
    work[ORDER, 0] = below(random, n)
    work[PARENT, work[ORDER, 0]] = -1
    reached = 1
    i = 0
    while i < reached:
        v = work[ORDER, i]
        i += 1
        e = work[BRANCH, v]
        while e >= 0:
            u = work[TO, e]
            if u != work[PARENT, v]:
                work[PARENT, u] = v
                work[ORDER, reached] = u
                reached += 1
            e = work[FOLLOW, e]
    return reached


@compiled
def gather(node: Ints, cell: Ints, work: Ints, d: int, n: int) -> int:
    """Append the members of a cell to the gathered nodes."""
    v = cell[d, HEAD]
    while v >= 0:
        work[NODES, n] = v
        work[PLACE, v] = n
        work[OLD, n] = d
        n += 1
        v = node[v, NEXT]
    return n


@compiled
def best_cuts(
    place: Floats,
    kind: Ints,
    work: Ints,
    number: Floats,
    random: Words,
    n: int,
    t: Terms,
    looking_ahead: bool,
    most: int,
) -> int:
    """The tree edges whose two sides cost least by their households alone, best first; how many.

    ``number`` rows: households below each node, worth of each pick.
    """
    total = 0.0
    talls = 0
    for i in range(n):
        v = work[NODES, i]
        number[0, i] = place[v, HOUSEHOLDS]
        work[TALL_BELOW, i] = kind[v, TALL]
        total += place[v, HOUSEHOLDS]
        talls += kind[v, TALL]
    for i in range(n - 1, 0, -1):
        v = work[ORDER, i]
        up = work[PARENT, v]
        number[0, up] += number[0, v]
        work[TALL_BELOW, up] += work[TALL_BELOW, v]
    found = 0
    for i in range(1, n):
        v = work[ORDER, i]
        h = number[0, v]
        tall = work[TALL_BELOW, v] > 0
        tall_rest = talls > work[TALL_BELOW, v]
        if looking_ahead:
            cost = potential(h, tall, t) + potential(total - h, tall_rest, t)
        else:
            cost = size_cost(h, tall, t) + size_cost(total - h, tall_rest, t)
        cost += draw(random) * 60.0
        if found < most:
            j = found
            found += 1
        elif cost < number[1, found - 1]:
            j = found - 1
        else:
            continue
        while j > 0 and number[1, j - 1] > cost:
            number[1, j] = number[1, j - 1]
            work[PICKS, j] = work[PICKS, j - 1]
            j -= 1
        number[1, j] = cost
        work[PICKS, j] = v
    return found


@compiled
def mark_side(work: Ints, n: int, pick: int, b: int) -> None:
    """Mark with 1 the nodes below a tree edge, or those above where that side is mostly of cell b already."""
    for i in range(n):
        work[SIDE, i] = 0
    work[SIDE, pick] = 1
    same = 0
    for i in range(n):
        v = work[ORDER, i]
        if i > 0 and v != pick:
            work[SIDE, v] = work[SIDE, work[PARENT, v]]
        same += 1 if (work[OLD, v] == b) == (work[SIDE, v] == 1) else -1
    if same < 0:
        for i in range(n):
            work[SIDE, i] = 1 - work[SIDE, i]


@compiled
def recombine(
    g: Graph,
    node: Ints,
    cell: Ints,
    value: Floats,
    touches: Ints,
    group_mark: Ints,
    tick: Ints,
    random: Words,
    work: Ints,
    number: Floats,
    a: int,
    b: int,
    t: Terms,
    limit: float,
) -> float:
    """Merge cells a and b (b may be empty) and cut anew by a random tree, if that costs no more than the limit."""
    n = gather(node, cell, work, b, gather(node, cell, work, a, 0))
    reached = random_tree(g.first, g.edge, work, random, n)
    for i in range(n):
        work[PLACE, work[NODES, i]] = -1
    if reached < n or n < 2:
        return 0.0
    found = best_cuts(g.place, g.kind, work, number, random, n, t, False, MOST_PICKS)
    old_size = size_cost(value[a, SIZE], cell[a, TALLS] > 0, t)
    if cell[b, COUNT] > 0:
        old_size += size_cost(value[b, SIZE], cell[b, TALLS] > 0, t)
    best = np.inf
    pick = -1
    last = -1
    total = 0.0
    # Each pick in turn; then the best of them again, or (-1) everything back.
    k = 0
    while True:
        if k < found and number[1, k] - old_size > limit + WINNABLE:
            k = found
        if k < found:
            choice = k
        else:
            choice = pick if best <= limit else -1
            if choice == last:
                break
        if choice >= 0:
            mark_side(work, n, work[PICKS, choice], b)
        for i in range(n):
            v = work[NODES, i]
            want = work[OLD, i]
            if choice >= 0:
                want = b if work[SIDE, i] == 1 else a
            if node[v, LABEL] != want:
                move(g.first, g.kind, g.edge, node, cell, touches, v, want)
        total += settle(g, node, cell, value, touches, group_mark, tick, a, b, t)
        last = choice
        if k >= found:
            break
        if total < best:
            best = total
            pick = k
        k += 1
    return total if last >= 0 else 0.0


@compiled
def transfer(
    g: Graph,
    node: Ints,
    cell: Ints,
    value: Floats,
    touches: Ints,
    group_mark: Ints,
    tick: Ints,
    work: Ints,
    n: int,
    a: int,
    b: int,
    t: Terms,
    limit: float,
) -> float:
    """Move the n nodes in the row MOVED from cell a to cell b if that costs no more than the limit; the change."""
    households = 0.0
    talls = 0
    tick[0] += 1
    marked = tick[0]
    for i in range(n):
        v = work[MOVED, i]
        node[v, MARK] = marked
        households += g.place[v, HOUSEHOLDS]
        talls += g.kind[v, TALL]
    size_a, size_b = value[a, SIZE], value[b, SIZE]
    change = size_cost(size_b + households, cell[b, TALLS] + talls > 0, t) - size_cost(size_b, cell[b, TALLS] > 0, t)
    change -= size_cost(size_a, cell[a, TALLS] > 0, t)
    if n < cell[a, COUNT]:
        change += size_cost(size_a - households, cell[a, TALLS] > talls, t)
    if change > limit + WINNABLE or not stays_whole(g.first, g.edge, node, cell, tick, a, marked, n):
        return 0.0
    total = 0.0
    for turn in range(2):
        to = b if turn == 0 else a
        for i in range(n):
            move(g.first, g.kind, g.edge, node, cell, touches, work[MOVED, i], to)
        if turn == 0 and n > 1 and not stays_whole(g.first, g.edge, node, cell, tick, b, -1, 0):
            total = np.inf
            continue
        change = settle(g, node, cell, value, touches, group_mark, tick, a, b, t)
        if turn == 1:
            return 0.0
        total = change
        if total <= limit:
            return total
    return 0.0


@compiled
def free_cell(cell: Ints) -> int:
    """A cell without members; -1 if there is none."""
    for d in range(len(cell)):
        if cell[d, COUNT] == 0:
            return d
    return -1


@compiled
def start(g: Graph, node: Ints, cell: Ints, touches: Ints, random: Words, work: Ints, number: Floats, t: Terms) -> None:
    """Split what is too large, again and again, by the best of a few random trees."""
    for d in range(len(cell)):
        while cell[d, COUNT] > 1:
            n = gather(node, cell, work, d, 0)
            h = 0.0
            for i in range(n):
                h += g.place[work[NODES, i], HOUSEHOLDS]
            e = free_cell(cell)
            best = size_cost(h, cell[d, TALLS] > 0, t)
            better = False
            for _ in range(6):
                if e < 0 or random_tree(g.first, g.edge, work, random, n) < n:
                    break
                if best_cuts(g.place, g.kind, work, number, random, n, t, True, 1) > 0 and number[1, 0] < best:
                    best = number[1, 0]
                    better = True
                    mark_side(work, n, work[PICKS, 0], -1)
                    for i in range(n):
                        work[MOVED, i] = work[SIDE, i]
            for i in range(n):
                work[PLACE, work[NODES, i]] = -1
            if not better:
                break
            for i in range(n):
                if work[MOVED, i] == 1:
                    move(g.first, g.kind, g.edge, node, cell, touches, work[NODES, i], e)


@compiled
def border(first: Ints, edge: Ints, node: Ints, random: Words, v: int) -> int:
    """A joining border of node v with another cell, by chance; -1 if it has none."""
    degree = first[v + 1] - first[v]
    if degree == 0:
        return -1
    skip = below(random, degree)
    for i in range(degree):
        e = first[v] + (skip + i) % degree
        if edge[e, JOINS] == 1 and node[edge[e, OTHER], LABEL] != node[v, LABEL]:
            return int(e)
    return -1


@compiled
def members(kind: Ints, node: Ints, cell: Ints, work: Ints, d: int, group: int) -> int:
    """List in the row MOVED the members of a cell (of one group, unless that is -1); how many."""
    n = 0
    u = cell[d, HEAD]
    while u >= 0:
        if group < 0 or kind[u, GROUP] == group:
            work[MOVED, n] = u
            n += 1
        u = node[u, NEXT]
    return n


@compiled
def one_step(
    g: Graph,
    node: Ints,
    cell: Ints,
    value: Floats,
    touches: Ints,
    group_mark: Ints,
    tick: Ints,
    random: Words,
    work: Ints,
    number: Floats,
    t: Terms,
    heat: float,
) -> float:
    """One random step: split, merge, merge and split, or move one node or one group; the change of the cost."""
    v = below(random, len(node))
    a = node[v, LABEL]
    x = draw(random)
    limit = -heat * np.log(1.0 - draw(random))
    splits = x < 0.06
    if splits:
        b = free_cell(cell)
        if b < 0 or cell[a, COUNT] < 2 or value[a, SIZE] < t.low:
            return 0.0
    else:
        e = border(g.first, g.edge, node, random, v)
        if e < 0:
            return 0.0
        b = node[g.edge[e, OTHER], LABEL]
    if splits or 0.12 <= x < 0.45:
        return recombine(g, node, cell, value, touches, group_mark, tick, random, work, number, a, b, t, limit)
    if x < 0.12:
        n = members(g.kind, node, cell, work, a, -1)
    elif x < 0.62 and g.kind[v, GROUP] >= 0:
        n = members(g.kind, node, cell, work, a, g.kind[v, GROUP])
    else:
        work[MOVED, 0] = v
        n = 1
    return transfer(g, node, cell, value, touches, group_mark, tick, work, n, a, b, t, limit)


@compiled
def set_up(g: Graph, label: Ints, node: Ints, cell: Ints, touches: Ints) -> None:
    """Lists, counts and borders of a labelling."""
    for v in range(len(node)):
        d = label[v]
        node[v, LABEL] = d
        node[v, NEXT] = cell[d, HEAD]
        node[v, BACK] = -1
        if cell[d, HEAD] >= 0:
            node[cell[d, HEAD], BACK] = v
        cell[d, HEAD] = v
        cell[d, COUNT] += 1
        cell[d, TALLS] += g.kind[v, TALL]
    for v in range(len(node)):
        for e in range(g.first[v], g.first[v + 1]):
            if label[g.edge[e, OTHER]] != label[v]:
                touches[label[v], label[g.edge[e, OTHER]]] += 1


@compiled
def anneal(
    g: Graph,
    label: Ints,
    cells: int,
    t: Terms,
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
    hot, cold : float
        Temperatures of the first and last step, in units of cost.
    from_start : bool
        First split what is too large.
    """
    n = len(label)
    node = np.full((n, 6), -1, np.int64)
    node[:, MARK] = 0
    cell = np.zeros((cells, 4), np.int64)
    cell[:, HEAD] = -1
    value = np.zeros((cells, 3))
    touches = np.zeros((cells, cells), np.int64)
    groups = 1
    for v in range(n):
        groups = max(groups, g.kind[v, GROUP] + 1)
    group_mark = np.zeros(groups, np.int64)
    tick = np.zeros(1, np.int64)
    random = np.empty(1, np.uint64)
    random[0] = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    for _ in range(8):
        draw(random)
    work = np.full((17, max(len(g.edge), 2 * n, BUCKETS) + 8), -1, np.int64)
    number = np.zeros((2, n + 8))
    set_up(g, label, node, cell, touches)
    if from_start:
        start(g, node, cell, touches, random, work, number, t)
    current = 0.0
    for d in range(cells):
        current += settle(g, node, cell, value, touches, group_mark, tick, d, d, t)
    best = current
    best_label[:] = node[:, LABEL]
    cooling = (cold / hot) ** (1.0 / max(steps, 1))
    heat = hot
    for _ in range(steps):
        current += one_step(g, node, cell, value, touches, group_mark, tick, random, work, number, t, heat)
        heat *= cooling
        if current < best - 1e-7:
            best = current
            best_label[:] = node[:, LABEL]
    return best


def warm() -> None:
    """Compile the search, or load what was compiled before, by solving a problem of two nodes."""
    graph = Graph(
        first=np.array([0, 1, 2]),
        place=np.ones((2, 3)),
        kind=np.zeros((2, 2), np.int64),
        edge=np.array([[1, 1, 0], [0, 1, 0]]),
        metres=np.ones((2, 2)),
        distance=np.zeros((2, 2)),
    )
    terms = Terms(1.0, 1.0, 1.0, 1.0, *([1.0] * 9))
    anneal(graph, np.zeros(2, np.int64), 3, terms, 1, 1.0, 0.5, 0, True, np.zeros(2, np.int64))
