"""The compiled part of the encoder: polygons of integer coordinates to the commands of Mapbox vector tiles, and back.

Plain arrays in, bytes out; `tiles.encoding` calls it. Compiled by numba without the interpreter's lock, so that tiles
are made beside requests. What a compiled function does not manage (a polygon that is not valid once its corners are
whole numbers, or once it is cut at a tile's edge) it names, and the caller has GEOS do it.

Words: a *feature* is a row of the map, of one or more polygons; a ring is given without its last point, which would
repeat the first. *Commands* are those of the MVT specification 2.1, section 4.3: MoveTo, LineTo, ClosePath with
parameters as zigzag varints, each relative to the point before. In `Level` the first MoveTo of each feature is left
out (it depends on the tile), the rest is stored as it is sent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gis.partition.kernel import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

MOVE_TO, CLOSE_PATH = 9, 15  # one MoveTo, one ClosePath
NAIVE = 48  # so many sides are compared each with each, more of them in the order of their left ends

# --- Numbers ---------------------------------------------------------------------------------------------------------


@compiled
def _zigzag(value):
    return (value << 1) ^ (value >> 63)


@compiled
def _put(out, at, value):
    """Write a varint; gives where to write on."""
    while value > 127:
        out[at] = (value & 127) | 128
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@compiled
def _size(value):
    size = 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@compiled
def _take(data, at):
    """Read a varint; gives it and where to read on."""
    value = shift = np.int64(0)
    while True:
        byte = np.int64(data[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


@compiled
def _copy(source, start, end, out, at):
    for k in range(end - start):
        out[at + k] = source[start + k]
    return at + end - start


# --- Rings -----------------------------------------------------------------------------------------------------------


@compiled
def _tidy(x, y, start, end, to):
    """Drop repeated points and spikes of a ring, in place, from ``start:end`` to ``to:``; gives its new end."""
    n = 0
    for k in range(start, end):
        a, b = x[k], y[k]
        while True:
            if n > 0 and x[to + n - 1] == a and y[to + n - 1] == b:
                break
            if n > 1 and x[to + n - 2] == a and y[to + n - 2] == b:
                n -= 1  # there and back again
                continue
            x[to + n] = a
            y[to + n] = b
            n += 1
            break
    first = 0  # the same where the ring closes
    while n - first > 1:
        last = to + n - 1
        if x[last] == x[to + first] and y[last] == y[to + first]:
            n -= 1
        elif n - first > 2 and x[last - 1] == x[to + first] and y[last - 1] == y[to + first]:
            n -= 2
        elif n - first > 2 and x[last] == x[to + first + 1] and y[last] == y[to + first + 1]:
            first += 1
            n -= 1
        else:
            break
    if first:
        for k in range(first, n):
            x[to + k - first] = x[to + k]
            y[to + k - first] = y[to + k]
    return to + n - first


@compiled
def _twice_area(x, y, start, end):
    total = 0
    ox, oy = x[start], y[start]
    for k in range(start + 1, end - 1):
        total += (x[k] - ox) * (y[k + 1] - oy) - (x[k + 1] - ox) * (y[k] - oy)
    return total


@compiled
def _turn(ax, ay, bx, by, cx, cy):
    cross = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    return 1 if cross > 0 else (-1 if cross < 0 else 0)


@compiled
def _meet(ax, ay, bx, by, cx, cy, dx, dy):
    """Whether two segments have a point in common; their boxes do."""
    abc, abd = _turn(ax, ay, bx, by, cx, cy), _turn(ax, ay, bx, by, dx, dy)
    if abc == abd and abc != 0:
        return False
    cda, cdb = _turn(cx, cy, dx, dy, ax, ay), _turn(cx, cy, dx, dy, bx, by)
    return not (cda == cdb and cda != 0)


@compiled
def _is_simple(x, y, first, rings):
    """Whether no side of any ring touches another but where it follows it."""
    n = first[rings]
    following = np.empty(n, np.int64)
    for r in range(rings):
        for k in range(first[r], first[r + 1]):
            following[k] = k + 1 if k + 1 < first[r + 1] else first[r]
    low = np.empty(n, np.int64)
    for k in range(n):
        low[k] = min(x[k], x[following[k]])
    is_sorted = n > NAIVE
    order = np.argsort(low) if is_sorted else np.arange(n)
    for p in range(n):
        i = order[p]
        ni = following[i]
        ax, ay, bx, by = x[i], y[i], x[ni], y[ni]
        left, right = min(ax, bx), max(ax, bx)
        under, over = min(ay, by), max(ay, by)
        for q in range(p + 1, n):
            j = order[q]
            if low[j] > right:
                if is_sorted:
                    break
                continue
            nj = following[j]
            cy, dy = y[j], y[nj]
            if min(cy, dy) > over or max(cy, dy) < under:
                continue
            cx, dx = x[j], x[nj]
            if max(cx, dx) < left or j == ni or i == nj:
                continue
            if _meet(ax, ay, bx, by, cx, cy, dx, dy):
                return False
    return True


@compiled
def _holds(x, y, start, end, px, py):
    """Whether a point lies in a ring; on its border either."""
    inside = False
    j = end - 1
    for i in range(start, end):
        if (y[i] > py) != (y[j] > py):
            side = _turn(x[j], y[j], x[i], y[i], px, py)
            if (side > 0) == (y[i] > y[j]):
                inside = not inside
        j = i
    return inside


@compiled
def _put_ring(x, y, start, end, backwards, out, at, px, py, leave_out_move):
    n = end - start
    k = end - 1 if backwards else start
    step = -1 if backwards else 1
    if not leave_out_move:
        at = _put(out, at, MOVE_TO)
        at = _put(out, at, _zigzag(x[k] - px))
        at = _put(out, at, _zigzag(y[k] - py))
    px, py = x[k], y[k]
    at = _put(out, at, ((n - 1) << 3) | 2)
    for _ in range(n - 1):
        k += step
        at = _put(out, at, _zigzag(x[k] - px))
        at = _put(out, at, _zigzag(y[k] - py))
        px, py = x[k], y[k]
    out[at] = CLOSE_PATH
    return at + 1, px, py


# --- Fewer corners ---------------------------------------------------------------------------------------------------


@compiled
def nodes_of(vertex: Ints, ring_first: Ints, vertices: int) -> NDArray[np.bool_]:
    """Places where borders meet: corners that have other neighbours in one ring than in another.

    Parameters
    ----------
    vertex : int array, shape (points,)
        Number of the place of each point of each ring.
    """
    low = np.full(vertices, -1, np.int64)
    high = np.full(vertices, -1, np.int64)
    is_node = np.zeros(vertices, np.bool_)
    for r in range(len(ring_first) - 1):
        start, end = ring_first[r], ring_first[r + 1]
        for k in range(start, end):
            before = vertex[k - 1 if k > start else end - 1]
            after = vertex[k + 1 if k + 1 < end else start]
            a, b = min(before, after), max(before, after)
            v = vertex[k]
            if low[v] < 0:
                low[v], high[v] = a, b
            elif low[v] != a or high[v] != b:
                is_node[v] = True
    return is_node


@compiled
def _away(x, y, vertex, k, i, j):
    """Square of the distance of a point from a side; the same number whichever way the side is gone."""
    if vertex[i] > vertex[j]:
        i, j = j, i
    dx, dy = x[j] - x[i], y[j] - y[i]
    px, py = x[k] - x[i], y[k] - y[i]
    size = dx * dx + dy * dy
    along = (px * dx + py * dy) / size if size > 0 else 0.0
    along = min(max(along, 0.0), 1.0)
    return (px - along * dx) ** 2 + (py - along * dy) ** 2


@compiled
def _farthest(x, y, vertex, order, a, b):
    """The point between two of an order that is farthest from the side between them, and how far; of equals the one
    with the lowest number."""
    best, found = -1.0, -1
    for q in range(a + 1, b):
        away = _away(x, y, vertex, order[q], order[a], order[b])
        if away > best or (away == best and vertex[order[q]] < vertex[order[found]]):
            best, found = away, q
    return best, found


@compiled
def fewer(
    x: Floats, y: Floats, vertex: Ints, ring_first: Ints, is_fixed: NDArray[np.bool_], detail: float
) -> NDArray[np.bool_]:
    """Which points stay when borders are simplified (Douglas and Peucker 1973), each from node to node.

    Both who share a border come to the same points, since nothing depends on the way in which it is gone.

    Parameters
    ----------
    is_fixed : bool array, shape (vertices,)
        Places that stay whatever the detail.
    detail : float
        No point that goes was farther from what stays.
    """
    stays = np.zeros(len(x), np.bool_)
    longest = 0
    for r in range(len(ring_first) - 1):
        longest = max(longest, ring_first[r + 1] - ring_first[r])
    order = np.empty(longest + 1, np.int64)
    stack = np.empty((longest + 2, 2), np.int64)
    for r in range(len(ring_first) - 1):
        start, size = ring_first[r], ring_first[r + 1] - ring_first[r]
        first = -1
        fixed = 0
        for k in range(start, start + size):
            if is_fixed[vertex[k]]:
                fixed += 1
                if first < 0:
                    first = k
        if first < 0:  # nobody's border ends here: begin where every ring of these points begins
            first = start
            for k in range(start, start + size):
                if vertex[k] < vertex[first]:
                    first = k
        for q in range(size + 1):
            order[q] = start + (first - start + q) % size
        stays[first] = True
        begin = 0
        for q in range(1, size + 1):
            if q < size and not is_fixed[vertex[order[q]]]:
                continue
            top = 0
            stack[0, 0], stack[0, 1] = begin, q
            if fixed < 2:  # round and back to the same point: the farthest from it divides the way
                _, middle = _farthest(x, y, vertex, order, begin, q)
                if middle >= 0:
                    stays[order[middle]] = True
                    stack[0, 1] = middle
                    stack[1, 0], stack[1, 1] = middle, q
                    top = 1
            while top >= 0:
                a, b = stack[top, 0], stack[top, 1]
                top -= 1
                away, middle = _farthest(x, y, vertex, order, a, b)
                if middle >= 0 and away > detail * detail:
                    stays[order[middle]] = True
                    stack[top + 1, 0], stack[top + 1, 1] = a, middle
                    stack[top + 2, 0], stack[top + 2, 1] = middle, b
                    top += 2
            stays[order[q]] = True
            begin = q
    return stays


# --- Features at a zoom ----------------------------------------------------------------------------------------------


@compiled
def quantise(
    x: Floats, y: Floats, ring_first: Ints, polygon_first: Ints, feature_first: Ints, is_checked: bool
) -> tuple[Bytes, Ints, Ints, Ints, NDArray[np.int8]]:
    """Features to commands, their corners rounded to whole units.

    Parameters
    ----------
    x, y : float arrays, shape (points,)
        Units of the zoom's tiles from the world's north-west corner, y to the south; rings without their last point.
    ring_first, polygon_first, feature_first : int arrays
        Where the points of a ring, the rings of a polygon (shell first), the polygons of a feature begin.
    is_checked : bool
        False where the caller knows that the rounded polygons are valid.

    Returns
    -------
    out : uint8 array
    out_first : int array, shape (features + 1,)
        A feature that came to nothing has no bytes.
    anchor : int array, shape (features, 2)
        The point that the left out MoveTo goes to.
    box : int array, shape (features, 4)
        Least x, least y, greatest x, greatest y.
    state : int8 array, shape (features,)
        0 encoded, 1 nothing left, 2 not valid: left to the caller.
    """
    features = len(feature_first) - 1
    out = np.empty(12 * len(x) + 32 * len(ring_first) + 16, np.uint8)
    out_first = np.zeros(features + 1, np.int64)
    anchor = np.zeros((features, 2), np.int64)
    box = np.zeros((features, 4), np.int64)
    state = np.zeros(features, np.int8)
    most_points = most_rings = 0
    for f in range(features):
        a, b = polygon_first[feature_first[f]], polygon_first[feature_first[f + 1]]
        most_points = max(most_points, ring_first[b] - ring_first[a])
        most_rings = max(most_rings, b - a)
    px = np.empty(most_points + 1, np.int64)
    py = np.empty(most_points + 1, np.int64)
    first = np.empty(most_rings + 1, np.int64)
    shell = np.empty(most_rings + 1, np.int64)
    at = 0
    for f in range(features):
        out_first[f] = at
        rings = 0
        first[0] = 0
        is_good = True
        for p in range(feature_first[f], feature_first[f + 1]):
            mine = -1
            for r in range(polygon_first[p], polygon_first[p + 1]):
                start = first[rings]
                for k in range(ring_first[r], ring_first[r + 1]):
                    px[start + k - ring_first[r]] = np.int64(np.floor(x[k] + 0.5))
                    py[start + k - ring_first[r]] = np.int64(np.floor(y[k] + 0.5))
                end = _tidy(px, py, start, start + ring_first[r + 1] - ring_first[r], start)
                is_shell = r == polygon_first[p]
                if end - start < 3 or _twice_area(px, py, start, end) == 0:
                    if end - start > 2:
                        is_good = False  # a figure of eight may have no area on the whole
                    if is_shell:
                        break
                    continue
                if is_shell:
                    mine = rings
                elif not _holds(px, py, first[mine], first[mine + 1], px[start], py[start]):
                    is_good = False
                shell[rings] = mine
                rings += 1
                first[rings] = end
        if is_checked and (not is_good or (rings and not _is_simple(px, py, first, rings))):
            state[f] = 2
            continue
        if rings == 0:
            state[f] = 1
            continue
        cx = cy = 0
        for r in range(rings):
            is_shell = shell[r] == r
            backwards = (_twice_area(px, py, first[r], first[r + 1]) > 0) != is_shell
            if r == 0:
                k = first[1] - 1 if backwards else first[0]
                anchor[f, 0], anchor[f, 1] = px[k], py[k]
            at, cx, cy = _put_ring(px, py, first[r], first[r + 1], backwards, out, at, cx, cy, r == 0)
        box[f, 0], box[f, 1] = px[: first[rings]].min(), py[: first[rings]].min()
        box[f, 2], box[f, 3] = px[: first[rings]].max(), py[: first[rings]].max()
    out_first[features] = at
    return out[:at].copy(), out_first, anchor, box, state


@compiled
def points_of(blob: Bytes, start: int, end: int, ax: int, ay: int) -> tuple[Ints, Ints, Ints]:
    """The rings that commands draw, in the order of the commands.

    Returns
    -------
    x, y : int arrays, shape (points,)
    first : int array, shape (rings + 1,)
    """
    x = np.empty(end - start + 2, np.int64)
    y = np.empty(end - start + 2, np.int64)
    first = np.zeros((end - start) // 4 + 3, np.int64)
    rings = n = 0
    cx, cy = ax, ay
    at = start
    while at < end:
        if rings:
            _, at = _take(blob, at)
            v, at = _take(blob, at)
            w, at = _take(blob, at)
            cx += (v >> 1) ^ -(v & 1)
            cy += (w >> 1) ^ -(w & 1)
        x[n], y[n] = cx, cy
        n += 1
        count, at = _take(blob, at)
        for _ in range(count >> 3):
            v, at = _take(blob, at)
            w, at = _take(blob, at)
            cx += (v >> 1) ^ -(v & 1)
            cy += (w >> 1) ^ -(w & 1)
            x[n], y[n] = cx, cy
            n += 1
        at += 1
        rings += 1
        first[rings] = n
    return x[:n], y[:n], first[: rings + 1]


# --- Cutting at a tile's edge ----------------------------------------------------------------------------------------


@compiled
def _cut(u, v, first, bound):
    """What of some rings lies on the side u <= bound.

    Each ring falls into chains on that side; the places where they leave and enter it, in their order along the line,
    bound by twos the stretches that lie inside the polygon, along which the chains are joined (Weiler and Atherton
    1977 for one line). So a polygon comes apart properly, and a hole at the edge becomes a bay.

    Returns
    -------
    u, v, first
    is_good : bool
        False where places coincide, so that their order tells nothing.
    """
    rings = len(first) - 1
    n = len(u)
    crossings = 0
    for r in range(rings):
        j = first[r + 1] - 1
        for k in range(first[r], first[r + 1]):
            if (u[k] > bound) != (u[j] > bound):
                crossings += 1
            j = k
    ou = np.empty(n + 2 * crossings + 1, np.int64)
    ov = np.empty(n + 2 * crossings + 1, np.int64)
    of = np.zeros(rings + crossings + 2, np.int64)
    made = m = 0
    chain_first = np.empty(crossings // 2 + 2, np.int64)  # where the points of a chain begin and end in cu, cv
    chain_end = np.empty(crossings // 2 + 2, np.int64)
    cu = np.empty(n + crossings + 1, np.int64)
    cv = np.empty(n + crossings + 1, np.int64)
    place = np.empty(crossings + 1, np.float64)
    owner = np.empty(crossings + 1, np.int64)  # chain * 2, + 1 where it leaves
    chains = c = placed = 0
    for r in range(rings):
        start, end = first[r], first[r + 1]
        entry = -1
        all_out = True
        for k in range(start, end):
            j = k - 1 if k > start else end - 1
            if u[k] <= bound:
                all_out = False
                if u[j] > bound:
                    entry = k
                    break
        if all_out:
            continue
        if entry < 0:
            for k in range(start, end):
                ou[m], ov[m] = u[k], v[k]
                m += 1
            made += 1
            of[made] = m
            continue
        # Once round, from an entry on.
        size = end - start
        for s in range(size):
            k = start + (entry - start + s) % size
            j = k - 1 if k > start else end - 1
            if u[k] <= bound:
                if u[j] > bound:
                    chain_first[chains] = c
                    w = _crossing(u[j], v[j], u[k], v[k], bound)
                    place[placed], owner[placed] = w, 2 * chains
                    placed += 1
                    cu[c], cv[c] = bound, np.int64(np.floor(w + 0.5))
                    c += 1
                cu[c], cv[c] = u[k], v[k]
                c += 1
            elif u[j] <= bound:
                w = _crossing(u[j], v[j], u[k], v[k], bound)
                place[placed], owner[placed] = w, 2 * chains + 1
                placed += 1
                cu[c], cv[c] = bound, np.int64(np.floor(w + 0.5))
                c += 1
                chain_end[chains] = c
                chains += 1
    if chains == 0:
        return ou[:m], ov[:m], of[: made + 1], True
    order = np.argsort(place[:placed])
    partner = np.empty(2 * chains, np.int64)
    for p in range(0, placed - 1, 2):
        one, two = owner[order[p]], owner[order[p + 1]]
        if (one & 1) == (two & 1) or (p + 2 < placed and place[order[p + 1]] == place[order[p + 2]]):
            return ou[:m], ov[:m], of[: made + 1], False
        partner[one], partner[two] = two, one
    is_used = np.zeros(chains, np.bool_)
    for chain in range(chains):
        if is_used[chain]:
            continue
        here = chain
        while not is_used[here]:
            is_used[here] = True
            for k in range(chain_first[here], chain_end[here]):
                ou[m], ov[m] = cu[k], cv[k]
                m += 1
            here = partner[2 * here + 1] >> 1
        made += 1
        of[made] = m
    return ou[:m], ov[:m], of[: made + 1], True


@compiled
def _crossing(au, av, bu, bv, bound):
    """Where a segment crosses the line; the same number from either end, so that neighbours agree."""
    if (au, av) > (bu, bv):
        au, av, bu, bv = bu, bv, au, av
    return av + (bv - av) * ((bound - au) / (bu - au))


@compiled
def _clip(x, y, first, box, low, high):
    """Cut rings at the four edges ``low`` and ``high`` of a square; `box` tells which of them they cross."""
    is_good = True
    if box[2] > high:
        x, y, first, is_good = _cut(x, y, first, high)
    if is_good and box[0] < low:
        x, y, first, is_good = _cut(-x, y, first, -low)
        x = -x
    if is_good and box[3] > high:
        y, x, first, is_good = _cut(y, x, first, high)
    if is_good and box[1] < low:
        y, x, first, is_good = _cut(-y, x, first, -low)
        y = -y
    return x, y, first, is_good


@compiled
def _put_clipped(x, y, first, out):
    """Commands of the rings that a cut gave.

    Returns
    -------
    at : int
        Bytes written; 0 where nothing is left, -1 where the polygons are not valid.
    """
    rings = end = 0
    kept = np.zeros(len(first), np.int64)
    for r in range(len(first) - 1):
        stop = _tidy(x, y, first[r], first[r + 1], end)
        if stop - end > 2:
            if _twice_area(x, y, end, stop) == 0:
                return -1
            rings += 1
            kept[rings] = stop
            end = stop
    if rings == 0:
        return 0
    if not _is_simple(x, y, kept, rings):
        return -1
    at = cx = cy = holes = shells = 0
    is_hole = np.zeros(rings, np.bool_)
    for r in range(rings):
        is_hole[r] = _twice_area(x, y, kept[r], kept[r + 1]) < 0
        holes += is_hole[r]
    shells = rings - holes
    placed = 0
    for r in range(rings):
        if is_hole[r]:
            continue
        at, cx, cy = _put_ring(x, y, kept[r], kept[r + 1], False, out, at, cx, cy, False)
        if not holes:
            continue
        for h in range(rings):
            k = kept[h]
            if is_hole[h] and (shells == 1 or _holds(x, y, kept[r], kept[r + 1], x[k], y[k])):
                at, cx, cy = _put_ring(x, y, k, kept[h + 1], False, out, at, cx, cy, False)
                placed += 1
    return at if placed == holes else -1


# --- A tile ----------------------------------------------------------------------------------------------------------


@compiled
def _slot_of(table, value):
    """Where a value's number stands, or would, in a hash table of twice as many numbers as there can be."""
    mask = len(table) - 1
    slot = ((value * 40503) ^ (value >> 7)) & mask
    while table[slot] >= 0 and table[slot] != value:
        slot = (slot + 1) & mask
    return slot


@compiled
def encode(
    blob: Bytes, first: Ints, anchor: Ints, box: Ints, ids: Ints, community: Ints, values: Ints, columns: Ints,
    value_blob: Bytes, value_first: Ints, cells: Ints, is_seen: NDArray[np.bool_], origin_x: int, origin_y: int,
    low: int, high: int, extra_at: Ints, extra: Bytes, extra_first: Ints,
) -> tuple[Bytes, Ints, int]:  # fmt: skip
    """The features and values of a layer in a tile.

    Parameters
    ----------
    blob, first, anchor, box : arrays
        As `quantise` gave them.
    ids, community : int arrays, shape (features,)
    values : int array, shape (features, columns)
        Numbers of values, -1 for none.
    columns : int array
        The columns that this zoom shows; a key's number is its place in here.
    value_blob, value_first : arrays
        Each value as it is sent.
    cells : int array
        Features whose box touches the tile, in the order in which they are drawn.
    is_seen : bool array, shape (communities,)
        What is of another community is left out.
    origin_x, origin_y : int
        North-west corner of the tile in units of the zoom.
    low, high : int
        The edges at which is cut, in units from the corner.
    extra_at, extra, extra_first : arrays
        Commands of features that a first call named as not valid.

    Returns
    -------
    out : uint8 array
        Feature messages and value messages of the layer.
    failed : int array
        Features whose polygons are not valid after the cut, and are not in `extra_at`. The result is of no use then.
    shown : int
        Number of features.
    """
    room = 64
    most = 0
    for c in cells:
        if is_seen[community[c]]:
            size = first[c + 1] - first[c]
            most = max(most, size)
            room += 3 * size + 80 + 12 * len(columns)
    room += len(extra)
    entries = len(cells) * len(columns)
    size = 16
    while size < 2 * entries:
        size *= 2
    table = np.full(size, -1, np.int64)
    number = np.empty(size, np.int64)
    used = np.empty(entries + 1, np.int64)
    out = np.empty(room, np.uint8)
    clipped = np.empty(6 * most + 256, np.uint8)
    tags = np.empty(12 * len(columns) + 8, np.uint8)
    failed = np.empty(len(cells), np.int64)
    at = values_known = failures = shown = extras = 0
    for c in cells:
        if not is_seen[community[c]] or first[c] == first[c + 1]:
            continue
        ax, ay = anchor[c, 0] - origin_x, anchor[c, 1] - origin_y
        is_whole = (
            box[c, 0] >= origin_x + low and box[c, 1] >= origin_y + low
            and box[c, 2] <= origin_x + high and box[c, 3] <= origin_y + high
        )  # fmt: skip
        source, start, end = blob, first[c], first[c + 1]
        if is_whole:
            size_of_geometry = 1 + _size(_zigzag(ax)) + _size(_zigzag(ay)) + end - start
        elif extras < len(extra_at) and extra_at[extras] == c:
            source, start, end = extra, extra_first[extras], extra_first[extras + 1]
            extras += 1
            size_of_geometry = end - start
            if size_of_geometry == 0:
                continue
        else:
            x, y, rings = points_of(blob, start, end, ax, ay)
            here = np.array([box[c, 0] - origin_x, box[c, 1] - origin_y, box[c, 2] - origin_x, box[c, 3] - origin_y])
            x, y, rings, is_good = _clip(x, y, rings, here, low, high)
            written = -1
            if is_good:
                if 12 * len(x) + 32 * len(rings) > len(clipped):
                    clipped = np.empty(24 * len(x) + 64 * len(rings), np.uint8)
                written = _put_clipped(x, y, rings, clipped)
            if written < 0:
                failed[failures] = c
                failures += 1
                continue
            if written == 0:
                continue
            source, start, end = clipped, 0, written
            size_of_geometry = written
        length = 0
        for k in range(len(columns)):
            value = values[c, columns[k]]
            if value < 0:
                continue
            slot = _slot_of(table, value)
            if table[slot] < 0:
                table[slot] = value
                number[slot] = values_known
                used[values_known] = value
                values_known += 1
            length = _put(tags, length, k)
            length = _put(tags, length, number[slot])
        whole = 1 + _size(ids[c]) + 1 + _size(length) + length + 2 + 1 + _size(size_of_geometry) + size_of_geometry
        if at + whole + 16 > len(out):
            wider = np.empty(2 * len(out) + whole, np.uint8)
            wider[:at] = out[:at]
            out = wider
        out[at] = 0x12
        at = _put(out, at + 1, whole)
        out[at] = 0x08
        at = _put(out, at + 1, ids[c])
        out[at] = 0x12
        at = _put(out, at + 1, length)
        at = _copy(tags, 0, length, out, at)
        out[at] = 0x18
        out[at + 1] = 3
        out[at + 2] = 0x22
        at = _put(out, at + 3, size_of_geometry)
        if is_whole:
            out[at] = MOVE_TO
            at = _put(out, at + 1, _zigzag(ax))
            at = _put(out, at, _zigzag(ay))
        at = _copy(source, start, end, out, at)
        shown += 1
    room = 0
    for k in range(values_known):
        room += value_first[used[k] + 1] - value_first[used[k]]
    if at + room > len(out):
        wider = np.empty(at + room, np.uint8)
        wider[:at] = out[:at]
        out = wider
    for k in range(values_known):
        at = _copy(value_blob, value_first[used[k]], value_first[used[k] + 1], out, at)
    return out[:at], failed[:failures], shown
