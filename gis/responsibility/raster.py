"""How the index is built, compiled: every edge put into the raster cells that it touches, every inside filled.

Coordinates are degrees. ``frame`` is (west, south, width, height, 1 / width, 1 / height) of the raster: its first
corner and the size of a cell. The middle of a raster cell is its *reference point*; the frame is chosen so that none
lies on an edge or level with a corner (`check_frame`), so which grounds cover it is never in doubt.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gis.responsibility.orientation import side

BLOCK = 8
"""Raster cells along a side of a block of the first level."""
SLACK = 1e-4
"""An edge counts to the raster cells within this share of a cell: far more than rounding, far less than a cell."""
LEVEL = 1e-3
"""An edge that rises less, in raster cells, is put along its whole length into the rows that it touches."""


@njit(cache=True, nogil=True)
def edges_between(corners, of_ring, of_ground):
    """Edges between the corners of rings: their ends, the lesser first, and the ground that each belongs to.

    Parameters
    ----------
    corners : array of float, shape (corners, 2)
    of_ring : array of int, shape (corners,)
    of_ground : array of int, shape (rings,)
    """
    count = 0
    for i in range(len(corners) - 1):
        differs = corners[i, 0] != corners[i + 1, 0] or corners[i, 1] != corners[i + 1, 1]
        count += of_ring[i] == of_ring[i + 1] and differs
    ends = np.empty((count, 4))
    ground = np.empty(count, np.int32)
    at = 0
    for i in range(len(corners) - 1):
        ax, ay, bx, by = corners[i, 0], corners[i, 1], corners[i + 1, 0], corners[i + 1, 1]
        if of_ring[i] != of_ring[i + 1] or (ax == bx and ay == by):
            continue
        if ax > bx or (ax == bx and ay > by):
            ax, ay, bx, by = bx, by, ax, ay
        ends[at, 0], ends[at, 1], ends[at, 2], ends[at, 3] = ax, ay, bx, by
        ground[at] = of_ground[of_ring[i]]
        at += 1
    return ends, ground


@njit(cache=True, nogil=True)
def unique_edges(ends, ground):
    """Edges given once, with the grounds on their sides.

    Parameters
    ----------
    ends : array of float, shape (edges, 4)
        x1, y1, x2, y2, the lesser end first.
    ground : array of int, shape (edges,)

    Returns
    -------
    edges : array of float, shape (unique, 4)
    sides : array of int, shape (unique, 2)
        The second is -1 where only one ground has the edge; an edge of three grounds stands twice.
    """
    count = len(ends)
    size = 1024
    while size < 2 * count:
        size *= 2
    bits = ends.view(np.int64)
    table = np.full(size, -1, np.int32)
    edges = np.empty((count, 4))
    sides = np.empty((count, 2), np.int32)
    found = 0
    for i in range(count):
        mixed = np.uint64(0)
        for k in range(4):
            mixed = (mixed ^ np.uint64(bits[i, k])) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        slot = np.int64(mixed & np.uint64(size - 1))
        while True:
            j = table[slot]
            if j < 0:
                table[slot] = found
                edges[found] = ends[i]
                sides[found, 0] = ground[i]
                sides[found, 1] = -1
                found += 1
                break
            same = edges[j, 0] == ends[i, 0] and edges[j, 1] == ends[i, 1]
            if same and edges[j, 2] == ends[i, 2] and edges[j, 3] == ends[i, 3] and sides[j, 1] < 0:
                sides[j, 1] = ground[i]
                break
            slot = (slot + 1) & (size - 1)
    return edges[:found], sides[:found]  # what lies behind was never touched, so it takes no memory


@njit(cache=True, nogil=True)
def check_frame(edges, frame):
    """Whether no corner is level with a reference point, in either direction."""
    for i in range(len(edges)):
        for k in range(4):
            axis = k % 2
            at = edges[i, k]
            n = np.floor((at - frame[axis]) * frame[4 + axis])
            if frame[axis] + (n + 0.5) * frame[2 + axis] == at:
                return False
    return True


@njit(cache=True, nogil=True)
def fill(starts, ends, frame, first, more_cells, more_grounds):
    """Write into each raster cell the first ground that covers its reference point, as number + 1.

    Parameters
    ----------
    starts : array of int, shape (grounds + 1,)
        Where the edges of each ground begin in ``ends``.
    ends : array of float, shape (edges, 4)
    first : array of int, shape (rows, columns)
        Zeros at first.
    more_cells, more_grounds : array of int
        Filled with the raster cells whose reference point further grounds cover, and which.

    Returns
    -------
    int
        How many such cells there are, even if more than there is room for; -1 if a reference point lies on an edge.
    """
    rows, columns = first.shape
    more = 0
    for ground in range(len(starts) - 1):
        begin, end = starts[ground], starts[ground + 1]
        if begin == end:
            continue
        low, high = np.inf, -np.inf
        for i in range(begin, end):
            low = min(low, ends[i, 1], ends[i, 3])
            high = max(high, ends[i, 1], ends[i, 3])
        row_from = max(0, int(np.floor((low - frame[1]) * frame[5] - 0.5)))
        row_to = min(rows - 1, int(np.ceil((high - frame[1]) * frame[5])))
        count = np.zeros(max(row_to - row_from + 2, 1), np.int64)
        for i in range(begin, end):
            a, b = _rows_of(ends[i], frame, row_from, row_to)
            for row in range(a, b + 1):
                count[row - row_from + 1] += 1
        at = np.cumsum(count)
        crossings = np.empty(at[-1], np.int32)
        room = at[:-1].copy()
        for i in range(begin, end):
            a, b = _rows_of(ends[i], frame, row_from, row_to)
            for row in range(a, b + 1):
                column = _column_right_of(ends[i], row, frame, columns)
                if column < 0:
                    return -1
                crossings[room[row - row_from]] = column
                room[row - row_from] += 1
        for row in range(row_from, row_to + 1):
            a, b = at[row - row_from], at[row - row_from + 1]
            line = crossings[a:b]
            line.sort()
            for k in range(0, len(line) - 1, 2):
                for column in range(line[k], line[k + 1]):
                    if first[row, column] == 0:
                        first[row, column] = ground + 1
                    else:
                        if more < len(more_cells):
                            more_cells[more] = row * columns + column
                            more_grounds[more] = ground
                        more += 1
    return more


@njit(cache=True, nogil=True, inline="always")
def _rows_of(edge, frame, row_from, row_to):
    """First and last row whose reference points are level with an edge: low end below or level, high end above."""
    low, high = min(edge[1], edge[3]), max(edge[1], edge[3])
    a = max(row_from, int(np.floor((low - frame[1]) * frame[5] - 0.5)) - 1)
    while frame[1] + (a + 0.5) * frame[3] < low:
        a += 1
    b = min(row_to, int(np.floor((high - frame[1]) * frame[5] - 0.5)) + 1)
    while frame[1] + (b + 0.5) * frame[3] >= high:
        b -= 1
    return a, b


@njit(cache=True, nogil=True)
def _column_right_of(edge, row, frame, columns):
    """First column whose reference point in a row lies right of an edge that crosses the row; -1 if one lies on it."""
    y = frame[1] + (row + 0.5) * frame[3]
    if edge[1] < edge[3]:
        ax, ay, bx, by = edge[0], edge[1], edge[2], edge[3]
    else:
        ax, ay, bx, by = edge[2], edge[3], edge[0], edge[1]
    about = (ax + (y - ay) * (bx - ax) / (by - ay) - frame[0]) * frame[4] - 0.5
    column = min(max(int(np.ceil(about)), 0), columns)
    while column > 0:
        where = side(ax, ay, bx, by, frame[0] + (column - 0.5) * frame[2], y)
        if where == 0:
            return -1
        if where > 0:
            break
        column -= 1
    while column < columns:
        where = side(ax, ay, bx, by, frame[0] + (column + 0.5) * frame[2], y)
        if where == 0:
            return -1
        if where < 0:
            break
        column += 1
    return column


@njit(cache=True, nogil=True, inline="always")
def _reach(edge, frame):
    """An edge in raster cells: its ends, and the first and last row that it touches."""
    u1, v1 = (edge[0] - frame[0]) * frame[4], (edge[1] - frame[1]) * frame[5]
    u2, v2 = (edge[2] - frame[0]) * frame[4], (edge[3] - frame[1]) * frame[5]
    return u1, v1, u2, v2, int(np.floor(min(v1, v2) - SLACK)), int(np.floor(max(v1, v2) + SLACK))


@njit(cache=True, nogil=True, inline="always")
def _columns_in(u1, v1, u2, v2, row):
    """First and last column that an edge touches in a row."""
    if abs(v2 - v1) < LEVEL:
        return int(np.floor(u1 - SLACK)), int(np.floor(u2 + SLACK))
    t1 = min(max((row - SLACK - v1) / (v2 - v1), 0.0), 1.0)
    t2 = min(max((row + 1 + SLACK - v1) / (v2 - v1), 0.0), 1.0)
    a, b = u1 + t1 * (u2 - u1), u1 + t2 * (u2 - u1)
    return int(np.floor(min(a, b) - SLACK)), int(np.floor(max(a, b) + SLACK))


@njit(cache=True, nogil=True)
def count_edges(edges, frame, count):
    """Add to each raster cell the number of edges that touch it; ``count`` has the raster's shape."""
    for i in range(len(edges)):
        u1, v1, u2, v2, row_from, row_to = _reach(edges[i], frame)
        for row in range(row_from, row_to + 1):
            a, b = _columns_in(u1, v1, u2, v2, row)
            for column in range(a, b + 1):
                count[row, column] += 1


@njit(cache=True, nogil=True)
def number_borders(count, first, more_cells, starts):
    """Number the raster cells in which a border runs, or which several grounds cover wholly: the border cells.

    ``first`` is overwritten in them by -(number + 1); the first column of ``starts`` (as long as there are border
    cells, and one) is filled with where the edges of each begin. With no room in ``starts`` nothing is written. Gives
    the number of border cells.
    """
    rows, columns = count.shape
    crowded = np.zeros(len(more_cells), np.bool_)
    borders = 0
    for row in range(rows):
        for column in range(columns):
            if count[row, column] > 0:
                borders += 1
    for k in range(len(more_cells)):
        row, column = more_cells[k] // columns, more_cells[k] % columns
        again = k > 0 and more_cells[k] == more_cells[k - 1]
        if count[row, column] == 0 and not again:
            crowded[k] = True
            borders += 1
    if len(starts) <= borders:
        return borders
    number, start, at = 0, 0, 0
    for row in range(rows):
        for column in range(columns):
            while at < len(more_cells) and more_cells[at] < row * columns + column:
                at += 1
            is_crowded = at < len(more_cells) and more_cells[at] == row * columns + column
            if count[row, column] > 0 or is_crowded:
                starts[number, 0] = start
                start += count[row, column]
                first[row, column] = -(number + 1)
                number += 1
    starts[number, 0] = start
    return borders


@njit(cache=True, nogil=True)
def scatter_edges(edges, sides, frame, first, room, segment, grounds):
    """Put each edge and its grounds into the border cells that it touches.

    ``room`` begins as the starts of the border cells and ends as their ends.
    """
    for i in range(len(edges)):
        u1, v1, u2, v2, row_from, row_to = _reach(edges[i], frame)
        for row in range(row_from, row_to + 1):
            a, b = _columns_in(u1, v1, u2, v2, row)
            for column in range(a, b + 1):
                number = -first[row, column] - 1
                at = room[number]
                segment[at] = edges[i]
                grounds[at, 0] = sides[i, 0]
                grounds[at, 1] = sides[i, 1]
                room[number] = at + 1


@njit(cache=True, nogil=True)
def list_grounds(starts, grounds, inner, more_border, more_grounds, members, slots):
    """The grounds of each border cell in ascending order, and those of each edge as their places in that list.

    Parameters
    ----------
    starts : array of int, shape (border cells + 1, 2)
        Where the edges of each begin; its second column is filled with where the members begin.
    grounds : array of int, shape (edges, 2)
    inner : array of int, shape (border cells,)
        First ground that covers the reference point, + 1; 0 none.
    more_border, more_grounds : array of int
        Further ones: border cell and ground, sorted.
    members : array of int
        Filled with 2 · ground + (1 if it covers the reference point); may be empty, then only the room is counted.
    slots : array of int, shape (edges, 2)
        Filled; a missing ground is 65535.
    """
    starts[0, 1] = 0
    more = 0
    for number in range(len(starts) - 1):
        begin, end = starts[number, 0], starts[number + 1, 0]
        more_to = more
        while more_to < len(more_border) and more_border[more_to] == number:
            more_to += 1
        here = np.empty(2 * (end - begin) + 1 + more_to - more, np.int64)
        count = 0
        if inner[number] > 0:
            here[count] = 2 * (inner[number] - 1) + 1
            count += 1
        for k in range(more, more_to):
            here[count] = 2 * more_grounds[k] + 1
            count += 1
        for i in range(begin, end):
            for k in range(2):
                if grounds[i, k] >= 0:
                    here[count] = 2 * grounds[i, k]
                    count += 1
        more = more_to
        here = here[:count]
        here.sort()
        kept = 0
        for k in range(count):  # of 2g and 2g + 1 the latter stays
            if kept > 0 and here[kept - 1] // 2 == here[k] // 2:
                here[kept - 1] = max(here[kept - 1], here[k])
            else:
                here[kept] = here[k]
                kept += 1
        at = starts[number, 1]
        starts[number + 1, 1] = at + kept
        if len(members) > 0:
            for k in range(kept):
                members[at + k] = here[k]
            for i in range(begin, end):
                for k in range(2):
                    slots[i, k] = 65535
                    for m in range(kept):
                        if here[m] // 2 == grounds[i, k]:
                            slots[i, k] = m


@njit(cache=True, nogil=True)
def mark_deep(first, near, far):
    """Turn ``first`` into codes: border cells stay negative, others become 2 · (ground + 1) + deep.

    A cell inside a ground is *deep* if no border cell is within ``near`` cells of it in either direction, one in no
    ground if none is within ``far``.
    """
    rows, columns = first.shape
    near_rows = _windows(first, near)
    far_rows = _windows(first, far)
    near_count = np.zeros(columns, np.int32)
    far_count = np.zeros(columns, np.int32)
    for row in range(min(near, rows)):
        near_count += near_rows[row]
    for row in range(min(far, rows)):
        far_count += far_rows[row]
    for row in range(rows):
        if row + near < rows:
            near_count += near_rows[row + near]
        if row - near - 1 >= 0:
            near_count -= near_rows[row - near - 1]
        if row + far < rows:
            far_count += far_rows[row + far]
        if row - far - 1 >= 0:
            far_count -= far_rows[row - far - 1]
        for column in range(columns):
            ground = first[row, column]
            if ground > 0:
                first[row, column] = 2 * ground + (1 if near_count[column] == 0 else 0)
            elif ground == 0:
                first[row, column] = 1 if far_count[column] == 0 else 0


@njit(cache=True, nogil=True)
def _windows(first, reach):
    """1 where a border cell is within reach along the row."""
    rows, columns = first.shape
    found = np.zeros((rows, columns), np.uint8)
    for row in range(rows):
        until = -1
        for column in range(columns):
            if first[row, column] < 0:
                for k in range(max(until + 1, column - reach), min(columns, column + reach + 1)):
                    found[row, k] = 1
                until = min(columns - 1, column + reach)
    return found


@njit(cache=True, nogil=True)
def blocks_of(codes):
    """The raster in two levels: a code a block where all its cells are alike, else -(number + 1) of its codes.

    Returns
    -------
    coarse : array of int, shape (rows / 8, columns / 8)
    fine : array of int, shape (blocks, 64)
    """
    rows, columns = codes.shape
    coarse = np.empty((rows // BLOCK, columns // BLOCK), np.int32)
    mixed = 0
    for i in range(rows // BLOCK):
        for j in range(columns // BLOCK):
            code = codes[i * BLOCK, j * BLOCK]
            alike = code >= 0
            for k in range(BLOCK):
                for m in range(BLOCK):
                    alike = alike and codes[i * BLOCK + k, j * BLOCK + m] == code
            if alike:
                coarse[i, j] = code
            else:
                mixed += 1
                coarse[i, j] = -mixed
    fine = np.empty((mixed, BLOCK * BLOCK), np.int32)
    for i in range(rows // BLOCK):
        for j in range(columns // BLOCK):
            if coarse[i, j] < 0:
                number = -coarse[i, j] - 1
                for k in range(BLOCK):
                    for m in range(BLOCK):
                        fine[number, k * BLOCK + m] = codes[i * BLOCK + k, j * BLOCK + m]
    return coarse, fine


@njit(cache=True, nogil=True)
def edges_of_blocks(codes, coarse, starts, segment, grounds, near_starts, near):
    """Which edges run in each block that is not alike throughout, each once, with the grounds beside them.

    Parameters
    ----------
    grounds : array of int, shape (edges, 2)
        -1 where there is none.
    near_starts : array of int, shape (blocks + 1,)
        Filled with where the edges of each block begin.
    near : array of int, shape (edges of blocks, 3)
        Filled with the row of ``segment`` and the two grounds; may be empty, then only the room is counted.
    """
    near_starts[0] = 0
    here = np.empty(64, np.int64)
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            if coarse[i, j] >= 0:
                continue
            count = 0
            for row in range(i * BLOCK, (i + 1) * BLOCK):
                for column in range(j * BLOCK, (j + 1) * BLOCK):
                    code = np.int64(codes[row, column])
                    if code >= 0:
                        continue
                    for k in range(starts[-code - 1, 0], starts[-code, 0]):
                        if not _is_among(segment, grounds, here, count, k):
                            if count == len(here):
                                here = np.concatenate((here, np.empty_like(here)))
                            here[count] = k
                            count += 1
            number = -coarse[i, j] - 1
            begin = near_starts[number]
            near_starts[number + 1] = begin + count
            if len(near) > 0:
                for m in range(count):
                    near[begin + m, 0] = here[m]
                    near[begin + m, 1] = grounds[here[m], 0]
                    near[begin + m, 2] = grounds[here[m], 1]


@njit(cache=True, nogil=True, inline="always")
def _is_among(segment, grounds, here, count, k):
    for m in range(count - 1, -1, -1):
        i = here[m]
        same = segment[i, 0] == segment[k, 0] and segment[i, 1] == segment[k, 1] and segment[i, 2] == segment[k, 2]
        if (
            same
            and segment[i, 3] == segment[k, 3]
            and grounds[i, 0] == grounds[k, 0]
            and grounds[i, 1] == grounds[k, 1]
        ):
            return True
    return False
