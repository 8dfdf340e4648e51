"""How the index is asked, compiled. The arrays and the frame are those of `gis.responsibility.cell_index.CellIndex`.

A raster cell without a border answers at once. In one with a border it is known which grounds cover its reference
point; the way from there to the point goes first north or south, then east or west, and each edge that it crosses turns
the answer for the grounds beside the edge. All sides are decided exactly (`orientation.side`); a point on an edge is
covered by the grounds of that edge. A corner level with the way, or an edge through its bend, is decided as if the
point lay an infinitely small bit further north.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import carray, cfunc, njit, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic

from gis.responsibility.orientation import side

CHUNK = 2048
"""Points taken together, so that the memory fetches of many are under way at the same time."""
NOTHING = 65535
_A = 6378137.0
_E2 = (2.0 - 1.0 / 298.257223563) / 298.257223563


@njit(cache=True, nogil=True, inline="always")
def _turn(segment, i, rx, ry, x, y):
    """How an edge bears on a point: 0 not at all, 1 the way from the reference point crosses it, 2 the point is on."""
    x1, y1, x2, y2 = segment[i, 0], segment[i, 1], segment[i, 2], segment[i, 3]
    crossed = False
    bend = 0
    if x1 <= rx < x2:
        bend = 1 if side(x1, y1, x2, y2, rx, y) >= 0 else -1
        crossed = bend != side(x1, y1, x2, y2, rx, ry)
    low, high = min(y1, y2), max(y1, y2)
    if low <= y <= high:
        where = side(x1, y1, x2, y2, x, y)
        if where == 0 and x1 <= x <= x2:
            return 2
        if y < high:
            if bend == 0:
                bend = 1 if side(x1, y1, x2, y2, rx, y) >= 0 else -1
            if bend != where:
                crossed = not crossed
    return 1 if crossed else 0


@njit(cache=True, nogil=True)
def covering_in(number, rx, ry, x, y, starts, segment, slots, members, only_first, out):
    """The grounds that cover a point in a border cell, in ascending order, into ``out``; gives their number."""
    begin, end = starts[number, 0], starts[number + 1, 0]
    first, last = starts[number, 1], starts[number + 1, 1]
    count = 0
    if last - first <= 64:
        inside = np.uint64(0)
        on = np.uint64(0)
        one = np.uint64(1)
        for k in range(first, last):
            inside |= np.uint64(members[k] & 1) << np.uint64(k - first)
        for i in range(begin, end):
            turn = _turn(segment, i, rx, ry, x, y)
            if turn > 0:
                mask = one << np.uint64(slots[i, 0])
                if slots[i, 1] != NOTHING:
                    mask ^= one << np.uint64(slots[i, 1])
                if turn == 2:
                    on |= mask
                else:
                    inside ^= mask
        inside |= on
        for k in range(first, last):
            if inside & (one << np.uint64(k - first)) and count < len(out):
                out[count] = members[k] >> 1
                count += 1
                if only_first:
                    return count
        return count
    for k in range(first, last):  # so many grounds in one cell: the raster is too coarse here, or they overlap
        covers = (members[k] & 1) == 1
        for i in range(begin, end):
            if slots[i, 0] == k - first or slots[i, 1] == k - first:
                turn = _turn(segment, i, rx, ry, x, y)
                if turn == 2:
                    covers = True
                    break
                if turn == 1:
                    covers = not covers
        if covers and count < len(out):
            out[count] = members[k] >> 1
            count += 1
            if only_first:
                return count
    return count


@njit(cache=True, nogil=True)
def first_in(number, rx, ry, x, y, starts, segment, slots, members):
    """The first ground that covers a point in a border cell; -1 if none does."""
    out = np.empty(1, np.int64)
    found = covering_in(number, rx, ry, x, y, starts, segment, slots, members, True, out)
    return out[0] if found else -1


@njit(cache=True, nogil=True)
def locate_many(lon, lat, frame, coarse, fine, starts, segment, slots, members, answer):
    """The first ground that covers each point into ``answer``; -1 if none does, or a coordinate is no number."""
    rows, columns = coarse.shape[0] * 8, coarse.shape[1] * 8
    codes = np.empty(CHUNK, np.int32)
    cells = np.empty(CHUNK, np.int64)
    borders = np.empty(CHUNK, np.int64)
    spans = np.empty((CHUNK, 2), np.int32)
    one = np.empty(1, np.int64)
    fetched = 0.0
    x0, y0, per_x, per_y = frame[0], frame[1], frame[4], frame[5]
    for begin in range(0, len(lon), CHUNK):
        count = min(CHUNK, len(lon) - begin)
        for k in range(count):
            u, v = (lon[begin + k] - x0) * per_x, (lat[begin + k] - y0) * per_y
            if u >= 0.0 and v >= 0.0 and u < columns and v < rows:
                column, row = np.int64(u), np.int64(v)
                cells[k] = (row & 7) << 3 | (column & 7)
                codes[k] = coarse[row >> 3, column >> 3]
            else:
                cells[k] = 0
                codes[k] = 0
        left = 0
        for k in range(count):
            code = codes[k]
            if code < 0:
                code = fine[-code - 1, cells[k]]
                codes[k] = code
            answer[begin + k] = (code >> 1) - 1
            borders[left] = k
            left += code < 0
        # Only to have the lines of memory on their way together: what is read here is read again below.
        for j in range(left):
            number = -np.int64(codes[borders[j]]) - 1
            spans[j, 0], spans[j, 1] = starts[number, 0], starts[number, 1]
        for j in range(left):
            fetched += segment[spans[j, 0], 0] + slots[spans[j, 0], 0] + members[spans[j, 1]]
        for j in range(left):
            k = borders[j]
            x, y = lon[begin + k], lat[begin + k]
            rx = x0 + (np.floor((x - x0) * per_x) + 0.5) * frame[2]
            ry = y0 + (np.floor((y - y0) * per_y) + 0.5) * frame[3]
            number = -np.int64(codes[k]) - 1
            found = covering_in(number, rx, ry, x, y, starts, segment, slots, members, True, one)
            answer[begin + k] = one[0] if found else -1
    return fetched


@njit(cache=True, nogil=True)
def locate_deep_many(lon, lat, frame, coarse, fine, answer):
    """The ground of each point that lies deep in one into ``answer``, -1 deep in none, -2 for all others."""
    rows, columns = coarse.shape[0] * 8, coarse.shape[1] * 8
    x0, y0, per_x, per_y = frame[0], frame[1], frame[4], frame[5]
    for k in range(len(lon)):
        u, v = (lon[k] - x0) * per_x, (lat[k] - y0) * per_y
        if not (u >= 0.0 and v >= 0.0 and u < columns and v < rows):
            answer[k] = -1
            continue
        column, row = np.int64(u), np.int64(v)
        code = coarse[row >> 3, column >> 3]
        if code < 0:
            code = fine[-code - 1, (row & 7) << 3 | (column & 7)]
        answer[k] = (code >> 1) - 1 if code >= 0 and code & 1 else -2


@njit(cache=True, nogil=True)
def metres_per_degree(lat):
    """Metres of one degree of longitude and of one of latitude on the WGS-84 ellipsoid, at a latitude in degrees."""
    turned = np.radians(lat)
    w2 = 1.0 - _E2 * np.sin(turned) ** 2
    east = np.radians(_A / np.sqrt(w2) * max(np.cos(turned), 1e-9))
    return east, np.radians(_A * (1.0 - _E2) / w2**1.5)


@njit(cache=True, nogil=True, inline="always")
def _distance2(segment, i, x, y, mx, my, shrink):
    """Square of the distance to an edge in metres; never 0, which is said of what covers the point.

    The nearest place is sought on a plane that touches at the point. Its distance counts degrees of longitude as long
    as they are halfway there: ``shrink`` is the share by which they get shorter a metre to the north, halved.
    """
    ax, ay = (segment[i, 0] - x) * mx, (segment[i, 1] - y) * my
    bx, by = (segment[i, 2] - x) * mx, (segment[i, 3] - y) * my
    wx, wy = bx - ax, by - ay
    long2 = wx * wx + wy * wy
    t = -(ax * wx + ay * wy) / long2 if long2 > 0.0 else 0.0
    t = min(max(t, 0.0), 1.0)
    cx, cy = ax + t * wx, ay + t * wy
    cx *= 1.0 - cy * shrink
    return max(cx * cx + cy * cy, 5e-324)


@njit(cache=True, nogil=True)
def around_one(x, y, reach_m, frame, coarse, fine, starts, segment, slots, members, near_starts, near):
    """All grounds within reach of a point: numbers and metres, those that cover it first (0 m), then by distance."""
    mx, my = metres_per_degree(min(max(y, -89.9), 89.9))
    shrink = np.tan(np.radians(min(max(y, -89.9), 89.9))) / (2.0 * _A)
    rows, columns = coarse.shape[0] * 8, coarse.shape[1] * 8
    found = np.empty(64, np.int64)
    far = np.empty(64)
    count = 0
    u, v = (x - frame[0]) * frame[4], (y - frame[1]) * frame[5]
    if not (u > -1e9 and v > -1e9 and u < 1e9 and v < 1e9):
        return found[:0], far[:0]
    if u >= 0.0 and v >= 0.0 and u < columns and v < rows:
        column, row = np.int64(u), np.int64(v)
        code = np.int64(coarse[row >> 3, column >> 3])
        if code < 0:
            code = np.int64(fine[-code - 1, (row & 7) << 3 | (column & 7)])
        if code >= 2:
            found[0] = (code >> 1) - 1
            count = 1
        elif code < 0:
            room = starts[-code, 1] - starts[-code - 1, 1]
            if room > len(found):
                found, far = np.empty(2 * room, np.int64), np.empty(2 * room)
            rx, ry = frame[0] + (column + 0.5) * frame[2], frame[1] + (row + 0.5) * frame[3]
            count = covering_in(-code - 1, rx, ry, x, y, starts, segment, slots, members, False, found)
    far[:count] = 0.0
    covering = count
    reach2 = reach_m * reach_m
    wide, high = reach_m / mx * frame[4] + 1.0, reach_m / my * frame[5] + 1.0
    row_from, row_to = max(0, int(v - high)), min(rows - 1, int(v + high))
    column_from, column_to = max(0, int(u - wide)), min(columns - 1, int(u + wide))
    for block_row in range(row_from >> 3, (row_to >> 3) + 1):
        for block_column in range(column_from >> 3, (column_to >> 3) + 1):
            block = np.int64(coarse[block_row, block_column])
            if block >= 0:
                continue
            for k in range(near_starts[-block - 1], near_starts[-block]):
                distance2 = _distance2(segment, near[k, 0], x, y, mx, my, shrink)
                if distance2 > reach2:
                    continue
                for m in range(1, 3):
                    ground = np.int64(near[k, m])
                    if ground < 0:
                        continue
                    at = 0
                    while at < count and found[at] != ground:
                        at += 1
                    if at == count:
                        if count == len(found):
                            found = np.concatenate((found, np.empty_like(found)))
                            far = np.concatenate((far, np.empty_like(far)))
                        found[count] = ground
                        far[count] = distance2
                        count += 1
                    elif at >= covering and distance2 < far[at]:
                        far[at] = distance2
    for k in range(covering + 1, count):  # by distance, then number
        one, metres = found[k], far[k]
        at = k
        while at > covering and (far[at - 1] > metres or (far[at - 1] == metres and found[at - 1] > one)):
            found[at], far[at] = found[at - 1], far[at - 1]
            at -= 1
        found[at], far[at] = one, metres
    return found[:count], np.sqrt(far[:count])


@intrinsic
def _pointer(typingctx, address):  # noqa: ARG001 - the form that numba asks for
    """An address as a pointer."""

    def code(context, builder, signature, given):  # noqa: ARG001
        return builder.inttoptr(given[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), code


_at: Any = _pointer  # called with the address alone


# Handing nine arrays over costs more than the answer; their addresses in one list cost nothing.
@cfunc("int64(int64, float64, float64, float64)", cache=True)
def _ask(book, x, y, reach_m):
    book = carray(_at(book), 32, np.int64)
    frame = carray(_at(book[0]), 6, np.float64)
    coarse = carray(_at(book[1]), (book[10], book[11]), np.int32)
    fine = carray(_at(book[2]), (book[12], 64), np.int32)
    rows, columns = book[10] * 8, book[11] * 8
    u, v = (x - frame[0]) * frame[4], (y - frame[1]) * frame[5]
    if not (u >= 0.0 and v >= 0.0 and u < columns and v < rows):
        return -1
    column, row = np.int64(u), np.int64(v)
    code = np.int64(coarse[row >> 3, column >> 3])
    if code < 0:
        code = np.int64(fine[-code - 1, (row & 7) << 3 | (column & 7)])
    if code >= 0 and code & 1:
        return -1 - (code >> 1)
    starts = carray(_at(book[3]), (book[13], 2), np.int32)
    segment = carray(_at(book[4]), (book[14], 4), np.float64)
    slots = carray(_at(book[5]), (book[15], 2), np.uint16)
    members = carray(_at(book[6]), book[16], np.int32)
    near_starts = carray(_at(book[7]), book[17], np.int32)
    near = carray(_at(book[8]), (book[18], 3), np.int32)
    found, far = around_one(x, y, reach_m, frame, coarse, fine, starts, segment, slots, members, near_starts, near)
    count = len(found)
    grounds, metres = carray(_at(book[19]), book[21], np.int64), carray(_at(book[20]), book[21], np.float64)
    for k in range(min(count, book[21])):
        grounds[k], metres[k] = found[k], far[k]
    return count


_address: Any = _ask.address
ask = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_double, ctypes.c_double, ctypes.c_double)(_address)
"""``ask(book, x, y, reach_m)``: the ground deep in which a point lies, else what `around_one` finds.

Parameters
----------
book : int
    Address of a `Book`'s list.

Returns
-------
int
    -1: deep in none; less: deep in the ground of the number -2 - what is given; else how many grounds there are: the
    first of them stand in the book.
"""


class Book:
    """Where the arrays of an index lie, and room for an answer; of one thread.

    Parameters
    ----------
    arrays : tuple of ndarray
        In the order in which `around_one` takes them, C-contiguous; they are kept for as long as the book is.

    Attributes
    ----------
    address : int
        For `ask`.
    grounds, metres : memoryview
        What `ask` has found, up to `ROOM`.
    """

    ROOM = 64

    def __init__(self, arrays: tuple[np.ndarray, ...]) -> None:
        frame, coarse, fine, starts, segment, slots, members, near_starts, near = arrays
        grounds, metres = np.zeros(self.ROOM, np.int64), np.zeros(self.ROOM)
        listed = np.zeros(32, np.int64)
        listed[:9] = [array.ctypes.data for array in arrays]
        sized = (fine, starts, segment, slots, members, near_starts, near)
        listed[10:19] = [*coarse.shape, *(len(array) for array in sized)]
        listed[19:22] = grounds.ctypes.data, metres.ctypes.data, self.ROOM
        self._kept = (*arrays, frame, listed, grounds, metres)
        self.address = int(listed.ctypes.data)
        self.grounds: Any = grounds.data
        self.metres: Any = metres.data


@njit(cache=True, nogil=True)
def around_many(lon, lat, reach_m, frame, coarse, fine, starts, segment, slots, members, near_starts, near):
    """`around_one` for many points.

    Returns
    -------
    begins : array of int, shape (points + 1,)
    grounds : array of int
    metres : array of float
    """
    begins = np.zeros(len(lon) + 1, np.int64)
    grounds = np.empty(max(16, 2 * len(lon)), np.int64)
    metres = np.empty(max(16, 2 * len(lon)))
    for n in range(len(lon)):
        found, far = around_one(
            lon[n], lat[n], reach_m[n], frame, coarse, fine, starts, segment, slots, members, near_starts, near
        )
        end = begins[n] + len(found)
        while end > len(grounds):
            grounds = np.concatenate((grounds, np.empty_like(grounds)))
            metres = np.concatenate((metres, np.empty_like(metres)))
        grounds[begins[n] : end] = found
        metres[begins[n] : end] = far
        begins[n + 1] = end
    return begins, grounds[: begins[len(lon)]].copy(), metres[: begins[len(lon)]].copy()
