"""The compiled search: annealed merge-split and local moves on one cost, every cell always in one piece.

Plain arrays in, labels out; `gis.partition.search` calls it. Everything here is compiled by numba and cached, so it
uses loops and scalars instead of numpy expressions, and its own random numbers, so that a seed gives the same plan on
every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray


def compiled(function: Callable[..., Any]) -> Any:
    """Compile, and keep the result beside the code, in the user's cache, or (where neither can be written) nowhere."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


class Graph(NamedTuple):
    """A problem as arrays. Edges stand twice, once from each end, in compressed rows.

    ``first[v] : first[v + 1]`` are the entries of node v in ``other`` and the arrays of the same length.
    """

    households: NDArray[np.float64]
    area: NDArray[np.float64]
    perimeter: NDArray[np.float64]
    group: NDArray[np.int64]
    is_tall: NDArray[np.bool_]
    first: NDArray[np.int64]
    other: NDArray[np.int64]
    length: NDArray[np.float64]
    cut_cost: NDArray[np.float64]
    joins: NDArray[np.bool_]
    rank: NDArray[np.int64]
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


class State(NamedTuple):
    """Labels and everything that is kept beside them. Members of a cell are a doubly linked list."""

    label: NDArray[np.int64]
    head: NDArray[np.int64]
    next: NDArray[np.int64]
    back: NDArray[np.int64]
    cost: NDArray[np.float64]
    size: NDArray[np.float64]
    count: NDArray[np.int64]
    outer: NDArray[np.float64]
    touches: NDArray[np.int64]
    walled: NDArray[np.bool_]
    group_mark: NDArray[np.int64]
    mark: NDArray[np.int64]
    tick: NDArray[np.int64]
    queue: NDArray[np.int64]
    lived: NDArray[np.int64]
    random: NDArray[np.uint64]


@compiled
def draw(random):
    """A number in [0, 1), by xorshift64*."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def below(random, n):
    """A whole number in 0 … n - 1."""
    return min(int(draw(random) * n), n - 1)


@compiled
def size_cost(households, is_tall, t):
    """Cost of a cell's households; of a stack, the least over its number of floor bands."""
    off = (households - t.target) / t.half_width
    best = t.balance * off * off
    if households < t.low:
        best += t.outside + t.outside_per_household * (t.low - households)
    elif households > t.high:
        best += t.outside + t.outside_per_household * (households - t.high)
    if is_tall and households > t.high:
        least = max(int(households / t.high), 2)
        for bands in range(least, least + 4):
            each = households / bands
            off = (each - t.target) / t.half_width
            cost = t.balance * off * off
            if each < t.low:
                cost += t.outside + t.outside_per_household * (t.low - each)
            elif each > t.high:
                cost += t.outside + t.outside_per_household * (each - t.high)
            cost = bands * (cost + t.band)
            best = min(best, cost)
    return best


@compiled
def potential(households, is_tall, t):
    """Least cost of households that may still be split any way: tells the start where to cut."""
    best = size_cost(households, is_tall, t)
    least = max(int(households / t.high) - 1, 1)
    for k in range(least, least + 4):
        best = min(best, k * size_cost(households / k, False, t))
    return best


@compiled
def insert(s, v, d):
    s.label[v] = d
    s.next[v] = s.head[d]
    s.back[v] = -1
    if s.head[d] >= 0:
        s.back[s.head[d]] = v
    s.head[d] = v
    s.count[d] += 1


@compiled
def remove(s, v):
    d = s.label[v]
    if s.back[v] >= 0:
        s.next[s.back[v]] = s.next[v]
    else:
        s.head[d] = s.next[v]
    if s.next[v] >= 0:
        s.back[s.next[v]] = s.back[v]
    s.count[d] -= 1


@compiled
def tally(g, s, v, sign):
    """Count (sign 1) or uncount (-1) the borders of node v between its cell and others."""
    d = s.label[v]
    for e in range(g.first[v], g.first[v + 1]):
        c = s.label[g.other[e]]
        if c != d and c >= 0:
            s.touches[d, c] += sign
            s.touches[c, d] += sign


@compiled
def move(g, s, v, d):
    tally(g, s, v, -1)
    remove(s, v)
    insert(s, v, d)
    tally(g, s, v, 1)


@compiled
def measure(g, s, d, t):
    """Cost of cell d but for enclaves; keeps its households and its length of outer border."""
    households = 0.0
    area = 0.0
    perimeter = 0.0
    cut = 0.0
    shared = 0.0
    groups = 0
    lived = 0
    tall = False
    s.tick[0] += 1
    tick = s.tick[0]
    v = s.head[d]
    while v >= 0:
        h = g.households[v]
        households += h
        area += g.area[v]
        perimeter += g.perimeter[v]
        tall = tall or g.is_tall[v]
        if h > 0:
            s.lived[lived] = v
            lived += 1
            c = g.group[v]
            if c >= 0 and s.group_mark[c] != tick:
                s.group_mark[c] = tick
                groups += 1
        for e in range(g.first[v], g.first[v + 1]):
            if s.label[g.other[e]] == d:
                perimeter -= g.length[e]
            else:
                cut += g.cut_cost[e]
                shared += g.length[e]
        v = s.next[v]
    s.size[d] = households
    s.outer[d] = perimeter - shared
    cost = size_cost(households, tall, t) + t.boundary * 0.5 * cut + t.group_piece * groups
    perimeter = max(perimeter, 1.0)
    cost += t.compactness * (1.0 - min(12.566370614359172 * area / (perimeter * perimeter), 1.0))
    if t.reach > 0.0 and lived > 1 and g.distance.shape[0] > 0:
        best = np.inf
        for i in range(lived):
            row = s.lived[i]
            far = 0.0
            for j in range(lived):
                x = g.distance[row, s.lived[j]]
                if x > far:
                    far = x
                    if far >= best:
                        break
            best = min(best, far)
        cost += t.reach * best
    return cost


@compiled
def is_enclave(s, d, cells):
    if s.count[d] == 0 or s.outer[d] >= 1.0:
        return False
    neighbours = 0
    for c in range(cells):
        if s.touches[d, c] > 0:
            neighbours += 1
            if neighbours > 1:
                return False
    return neighbours == 1


@compiled
def settle(g, s, a, b, cells, t):
    """Bring the costs of two changed cells up to date; the change of the whole cost."""
    change = -s.cost[a]
    s.cost[a] = measure(g, s, a, t) if s.count[a] > 0 else 0.0
    change += s.cost[a]
    if b != a:
        change -= s.cost[b]
        s.cost[b] = measure(g, s, b, t) if s.count[b] > 0 else 0.0
        change += s.cost[b]
    if t.enclave > 0.0:
        for c in range(cells):
            if c == a or c == b or s.touches[a, c] > 0 or s.touches[b, c] > 0 or s.walled[c]:
                now = is_enclave(s, c, cells)
                if now != s.walled[c]:
                    change += t.enclave if now else -t.enclave
                    s.walled[c] = now
    return change


@compiled
def stays_whole(g, s, d, without_tick):
    """Whether cell d is in one piece when the nodes marked with the tick are taken out (not when nothing is left)."""
    start = s.head[d]
    left = 0
    root = -1
    while start >= 0:
        if s.mark[start] != without_tick:
            left += 1
            root = start
        start = s.next[start]
    if left == 0:
        return True
    s.tick[0] += 1
    tick = s.tick[0]
    s.queue[0] = root
    s.mark[root] = tick
    found = 1
    i = 0
    while i < found:
        v = s.queue[i]
        i += 1
        for e in range(g.first[v], g.first[v + 1]):
            u = g.other[e]
            if g.joins[e] and s.label[u] == d and s.mark[u] != tick and s.mark[u] != without_tick:
                s.mark[u] = tick
                s.queue[found] = u
                found += 1
    return found == left


@compiled
def find(parent, v):
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@compiled
def random_tree(g, s, nodes, n, place, work):
    """Random spanning tree of the nodes, those edges first that should not be cut; parents and an order from the root.

    Returns the number of nodes reached (n when they are in one piece). ``work`` rows: parent, order, tree head, next,
    to, bucket heads, bucket next, edge a, edge b, union-find, edge entry.
    """
    parent, order, head, follow, to = work[0], work[1], work[2], work[3], work[4]
    bucket, chain, end_a, end_b, union, entry = work[5], work[6], work[7], work[8], work[9], work[10]
    for i in range(6):
        bucket[i] = -1
    edges = 0
    for i in range(n):
        union[i] = i
        head[i] = -1
        v = nodes[i]
        for e in range(g.first[v], g.first[v + 1]):
            u = g.other[e]
            if g.joins[e] and u > v and place[u] >= 0:
                end_a[edges] = i
                end_b[edges] = place[u]
                entry[edges] = e
                edges += 1
    # Shuffle, then sort by rank, now and then a rank off, so that no edge is always or never cut.
    for i in range(edges - 1, 0, -1):
        j = below(s.random, i + 1)
        end_a[i], end_a[j] = end_a[j], end_a[i]
        end_b[i], end_b[j] = end_b[j], end_b[i]
        entry[i], entry[j] = entry[j], entry[i]
    for i in range(edges):
        r = g.rank[entry[i]]
        x = draw(s.random)
        if x < 0.15:
            r = max(r - 1, 0)
        elif x < 0.3:
            r = min(r + 1, 5)
        elif x < 0.36:
            r = below(s.random, 6)
        chain[i] = bucket[r]
        bucket[r] = i
    links = 0
    for r in range(6):
        i = bucket[r]
        while i >= 0:
            a = find(union, end_a[i])
            b = find(union, end_b[i])
            if a != b:
                union[a] = b
                for x, y in ((end_a[i], end_b[i]), (end_b[i], end_a[i])):
                    to[links] = y
                    follow[links] = head[x]
                    head[x] = links
                    links += 1
            i = chain[i]
    root = below(s.random, n)
    order[0] = root
    parent[root] = -1
    reached = 1
    i = 0
    while i < reached:
        v = order[i]
        i += 1
        e = head[v]
        while e >= 0:
            if to[e] != parent[v]:
                parent[to[e]] = v
                order[reached] = to[e]
                reached += 1
            e = follow[e]
    return reached


@compiled
def gather(s, d, nodes, n, place):
    v = s.head[d]
    while v >= 0:
        nodes[n] = v
        place[v] = n
        n += 1
        v = s.next[v]
    return n


@compiled
def best_cuts(g, n, nodes, work, below_h, tall_below, t, looking_ahead, picks, worth, s):
    """The tree edges whose two sides cost least by their households alone, best first; how many."""
    parent, order = work[0], work[1]
    tall_count = work[5]
    total = 0.0
    tall_total = 0
    for i in range(n):
        below_h[i] = g.households[nodes[i]]
        tall_count[i] = 1 if g.is_tall[nodes[i]] else 0
        total += below_h[i]
        tall_total += tall_count[i]
    for i in range(n - 1, 0, -1):
        v = order[i]
        below_h[parent[v]] += below_h[v]
        tall_count[parent[v]] += tall_count[v]
    found = 0
    for i in range(1, n):
        v = order[i]
        h = below_h[v]
        if looking_ahead:
            cost = potential(h, tall_count[v] > 0, t) + potential(total - h, tall_total > tall_count[v], t)
        else:
            cost = size_cost(h, tall_count[v] > 0, t) + size_cost(total - h, tall_total > tall_count[v], t)
        cost += draw(s.random) * 60.0
        if found < len(picks):
            j = found
            found += 1
        elif cost < worth[found - 1]:
            j = found - 1
        else:
            continue
        while j > 0 and worth[j - 1] > cost:
            worth[j] = worth[j - 1]
            picks[j] = picks[j - 1]
            j -= 1
        worth[j] = cost
        picks[j] = v
    return found


@compiled
def cut_side(n, work, pick, side):
    """Mark (1) the nodes below a tree edge."""
    parent, order = work[0], work[1]
    for i in range(n):
        side[i] = 0
    side[pick] = 1
    for i in range(1, n):
        v = order[i]
        if v != pick and side[parent[v]] == 1:
            side[v] = 1


@compiled
def assign_sides(g, s, nodes, n, side, a, b):
    """Give side 0 to cell a and side 1 to cell b, with as few moves as the cells' names allow."""
    for i in range(n):
        want = b if side[i] == 1 else a
        if s.label[nodes[i]] != want:
            move(g, s, nodes[i], want)


@compiled
def free_cell(s, cells):
    for d in range(cells):
        if s.count[d] == 0:
            return d
    return -1


@compiled
def recombine(g, s, a, b, cells, t, heat, scratch, work, below_h, worth):
    """Merge cells a and b (or take a alone, b empty) and cut anew by a random tree; the change of the cost."""
    nodes, place, old, side, picks = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    n = gather(s, a, nodes, 0, place)
    if b != a and s.count[b] > 0:
        n = gather(s, b, nodes, n, place)
    for i in range(n):
        old[i] = s.label[nodes[i]]
    reached = random_tree(g, s, nodes, n, place, work) if n > 1 else 0
    for i in range(n):
        place[nodes[i]] = -1
    if reached < n or n < 2:
        return 0.0
    found = best_cuts(g, n, nodes, work, below_h, False, t, False, picks[:4], worth, s)
    best = np.inf
    pick = -1
    total = 0.0
    tried = 0
    for k in range(found):
        # Far worse by its households alone than the best of them: not worth measuring.
        if k > 0 and worth[k] > worth[0] + 10.0 * heat + 100.0:
            break
        tried = k
        cut_side(n, work, picks[k], side)
        # Fewest renamed nodes: let side 1 take the name that it mostly has.
        same = 0
        for i in range(n):
            same += 1 if (old[i] == b) == (side[i] == 1) else -1
        if same < 0:
            for i in range(n):
                side[i] = 1 - side[i]
        assign_sides(g, s, nodes, n, side, a, b)
        total += settle(g, s, a, b, cells, t)
        if total < best:
            best = total
            pick = k
    if pick >= 0 and (best <= 0.0 or draw(s.random) < np.exp(-best / heat)):
        if pick != tried:
            cut_side(n, work, picks[pick], side)
            same = 0
            for i in range(n):
                same += 1 if (old[i] == b) == (side[i] == 1) else -1
            if same < 0:
                for i in range(n):
                    side[i] = 1 - side[i]
            assign_sides(g, s, nodes, n, side, a, b)
            total += settle(g, s, a, b, cells, t)
        return total
    for i in range(n):
        if s.label[nodes[i]] != old[i]:
            move(g, s, nodes[i], old[i])
    settle(g, s, a, b, cells, t)
    return 0.0


@compiled
def transfer(g, s, moved, n, a, b, cells, t, heat):
    """Move n marked nodes from cell a to cell b if the whole cost likes it; the change."""
    s.tick[0] += 1
    tick = s.tick[0]
    for i in range(n):
        s.mark[moved[i]] = tick
    if not stays_whole(g, s, a, tick):
        return 0.0
    for i in range(n):
        move(g, s, moved[i], b)
    if n > 1 and not stays_whole(g, s, b, -1):
        for i in range(n):
            move(g, s, moved[i], a)
        return 0.0
    change = settle(g, s, a, b, cells, t)
    if change <= 0.0 or draw(s.random) < np.exp(-change / heat):
        return change
    for i in range(n):
        move(g, s, moved[i], a)
    settle(g, s, a, b, cells, t)
    return 0.0


@compiled
def start(g, s, cells, t, scratch, work, below_h, worth):
    """Split what is too large, again and again, by the best of a few random trees."""
    nodes, place, old, side, picks = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    for d in range(cells):
        while s.count[d] > 1:
            h = 0.0
            tall = False
            n = gather(s, d, nodes, 0, place)
            for i in range(n):
                h += g.households[nodes[i]]
                tall = tall or g.is_tall[nodes[i]]
            whole = size_cost(h, tall, t)
            e = free_cell(s, cells)
            best = np.inf
            for _ in range(6):
                reached = random_tree(g, s, nodes, n, place, work)
                if reached < n or e < 0:
                    break
                found = best_cuts(g, n, nodes, work, below_h, False, t, True, picks[:1], worth, s)
                if found > 0 and worth[0] < best:
                    best = worth[0]
                    cut_side(n, work, picks[0], side)
                    for i in range(n):
                        old[i] = side[i]
            for i in range(n):
                place[nodes[i]] = -1
            if best < whole:
                for i in range(n):
                    if old[i] == 1:
                        move(g, s, nodes[i], e)
            else:
                break


@compiled
def one_step(g, s, cells, t, heat, scratch, work, below_h, worth):
    """One random step; the change of the cost."""
    n = len(s.label)
    v = below(s.random, n)
    a = s.label[v]
    x = draw(s.random)
    if x < 0.06:
        e = free_cell(s, cells)
        if e < 0 or s.count[a] < 2 or s.size[a] < t.low:
            return 0.0
        return recombine(g, s, a, e, cells, t, heat, scratch, work, below_h, worth)
    # A neighbour across a border of the cell.
    degree = g.first[v + 1] - g.first[v]
    if degree == 0:
        return 0.0
    e = g.first[v] + below(s.random, degree)
    if s.label[g.other[e]] == a or not g.joins[e]:
        crossing = -1
        skip = below(s.random, degree)
        for i in range(degree):
            f = g.first[v] + (skip + i) % degree
            if g.joins[f] and s.label[g.other[f]] != a:
                crossing = f
                break
        if crossing < 0:
            return 0.0
        e = crossing
    b = s.label[g.other[e]]
    moved = scratch[5]
    if x < 0.12:  # merge two
        n_moved = 0
        u = s.head[a]
        while u >= 0:
            moved[n_moved] = u
            n_moved += 1
            u = s.next[u]
        if s.size[a] + s.size[b] > 1.6 * t.high and s.size[a] > 0:
            return 0.0
        return transfer(g, s, moved, n_moved, a, b, cells, t, heat)
    if x < 0.45:
        return recombine(g, s, a, b, cells, t, heat, scratch, work, below_h, worth)
    moved[0] = v
    n_moved = 1
    if x < 0.62 and g.group[v] >= 0:  # all of the group that this cell holds
        n_moved = 0
        u = s.head[a]
        while u >= 0:
            if g.group[u] == g.group[v]:
                moved[n_moved] = u
                n_moved += 1
            u = s.next[u]
    return transfer(g, s, moved, n_moved, a, b, cells, t, heat)


@compiled
def fresh_state(g, label, cells, seed):
    n = len(label)
    groups = 1
    for v in range(n):
        groups = max(groups, g.group[v] + 1)
    s = State(
        np.full(n, -1, np.int64),
        np.full(cells, -1, np.int64),
        np.full(n, -1, np.int64),
        np.full(n, -1, np.int64),
        np.zeros(cells),
        np.zeros(cells),
        np.zeros(cells, np.int64),
        np.zeros(cells),
        np.zeros((cells, cells), np.int64),
        np.zeros(cells, np.bool_),
        np.zeros(groups, np.int64),
        np.zeros(n, np.int64),
        np.zeros(1, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.empty(1, np.uint64),
    )
    s.random[0] = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x1234567)
    for _ in range(8):
        draw(s.random)
    for v in range(n):
        insert(s, v, label[v])
    for v in range(n):
        for e in range(g.first[v], g.first[v + 1]):
            if s.label[g.other[e]] != s.label[v]:
                s.touches[s.label[v], s.label[g.other[e]]] += 1
    # `move` counts each border from both ends, as the loop above does.
    return s


@compiled
def total_cost(g, s, cells, t):
    total = 0.0
    for d in range(cells):
        s.cost[d] = measure(g, s, d, t) if s.count[d] > 0 else 0.0
        total += s.cost[d]
    for d in range(cells):
        s.walled[d] = is_enclave(s, d, cells)
        if s.walled[d]:
            total += t.enclave
    return total


@compiled
def anneal(g, label, cells, t, steps, hot, cold, seed, from_start, best_label):
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
    s = fresh_state(g, label, cells, seed)
    width = max(len(g.other), 2 * n) + 8
    scratch = np.full((6, n + 8), -1, np.int64)
    work = np.zeros((11, width), np.int64)
    below_h = np.zeros(n + 8)
    worth = np.zeros(8)
    if from_start:
        start(g, s, cells, t, scratch, work, below_h, worth)
    current = total_cost(g, s, cells, t)
    best = current
    best_label[:] = s.label
    cooling = (cold / hot) ** (1.0 / max(steps, 1))
    heat = hot
    for _ in range(steps):
        current += one_step(g, s, cells, t, heat, scratch, work, below_h, worth)
        heat *= cooling
        if current < best - 1e-7:
            best = current
            best_label[:] = s.label
    return best


def warm() -> None:
    """Compile the search, or load what was compiled before, by solving a problem of two nodes."""
    ones = np.ones(2)
    graph = Graph(
        ones, ones, 4 * ones, np.zeros(2, np.int64), np.zeros(2, np.bool_), np.array([0, 1, 2]), np.array([1, 0]),
        ones, ones, np.ones(2, np.bool_), np.zeros(2, np.int64), np.zeros((2, 2)),
    )  # fmt: skip
    terms = Terms(1.0, 1.0, 1.0, 1.0, *([1.0] * 9))
    anneal(graph, np.zeros(2, np.int64), 3, terms, 1, 1.0, 0.5, 0, True, np.zeros(2, np.int64))
