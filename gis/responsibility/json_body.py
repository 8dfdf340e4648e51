"""Points out of ``{"points": [[lon, lat], …]}``: as columns, without a Python object for each.

What programs send is plain: numbers in pairs, nothing else. Such a body is cut into its numbers in one pass that holds
no lock, and Arrow reads the numbers. Whatever is otherwise (null, exponents, other keys, faults) goes through the
general reader, which also says what is wrong.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np
import orjson
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from gis.errors import InvalidInput

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_SHORTEST_POINT = 6  # [1,2] and the comma after it
_LONGEST_NUMBER = 40  # beyond any that a program writes, and within what a double can hold


def points_of(body: bytes, *, most: int) -> tuple[Floats, Floats]:
    """Longitudes and latitudes; null becomes NaN.

    Parameters
    ----------
    most : int
        More points are refused.

    Raises
    ------
    InvalidInput
        ``locate.bad_body``, ``geotag.too_many``.
    """
    return _plain_points(body, most) or _any_points(body, most)


def _plain_points(body: bytes, most: int) -> tuple[Floats, Floats] | None:
    given = np.frombuffer(body, dtype=np.uint8)
    digits = np.empty(len(body), dtype=np.uint8)
    ends = np.empty(2 * (len(body) // _SHORTEST_POINT + 1) + 1, dtype=np.int32)
    count = _cut(given, digits, ends)
    if not 0 < count <= 2 * most:
        return None
    numbers = pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(digits)).cast(pa.float64())
    pairs = numbers.to_numpy().reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def _any_points(body: bytes, most: int) -> tuple[Floats, Floats]:
    try:
        points = orjson.loads(body)["points"]
        if len(points) > most:
            raise InvalidInput("geotag.too_many", limit=most, count=len(points))
        if not set(map(len, points)) <= {2}:
            raise ValueError("[longitude, latitude]")
        return _column(points, 0), _column(points, 1)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidInput("locate.bad_body", reason=str(error)[:200]) from error


def _column(points: list[list[float]], which: int) -> Floats:
    numbers = map(itemgetter(which), points)
    try:
        return np.fromiter(numbers, dtype=np.float64, count=len(points))
    except TypeError:  # null: no coordinate
        return np.array([point[which] for point in points], dtype=np.float64)


@njit(cache=True, nogil=True)
def _cut(given: Bytes, digits: Bytes, ends: NDArray[np.int32]) -> int:
    """Put the digits of all numbers one behind the other, and where each ends behind a first 0; how many there are.

    -1 if the body is not plain. Space is passed over between the parts, as JSON has it.
    """
    at, put, count = _past(given, _past(given, 0, _BEGIN), _NAME), 0, 0
    at = _past(given, _past(given, at, _COLON), _OPEN)
    ends[0] = 0
    goes_on = at >= 0
    while goes_on:
        at = _past(given, at, _OPEN)
        for follows in (_COMMA, _CLOSE):
            at, put = _copied(given, _past_space(given, at), digits, put)
            at = _past(given, at, follows)
            count += 1
            ends[count] = put
        behind = _past(given, at, _COMMA)
        goes_on = behind >= 0
        at = behind if goes_on else at
    at = _past(given, _past(given, at, _CLOSE), _END)
    return count if _past_space(given, at) == len(given) else -1


_BEGIN, _NAME, _COLON, _OPEN, _COMMA, _CLOSE, _END = (
    np.frombuffer(part, dtype=np.uint8) for part in (b"{", b'"points"', b":", b"[", b",", b"]", b"}")
)
_MINUS, _POINT, _ZERO, _NINE = (np.uint8(ord(letter)) for letter in "-.09")


@njit(cache=True, nogil=True, inline="always")
def _past_space(given: Bytes, at: int) -> int:
    while 0 <= at < len(given) and (given[at] == 32 or given[at] == 10 or given[at] == 13 or given[at] == 9):
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _past(given: Bytes, at: int, part: Bytes) -> int:
    """Where a part ends, space before it or not; -1 if it does not stand there, or nothing did before it."""
    at = _past_space(given, at)
    if at < 0 or at + len(part) > len(given):
        return -1
    for letter in part:
        if given[at] != letter:
            return -1
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _copied(given: Bytes, at: int, digits: Bytes, put: int) -> tuple[int, int]:
    """Where a number without an exponent ends, here and there; -1 here if none stands there as JSON writes it."""
    if at < 0:
        return -1, put
    if at < len(given) and given[at] == _MINUS:
        digits[put] = _MINUS
        at, put = at + 1, put + 1
    whole = at
    at, put = _digits(given, at, digits, put)
    if at == whole or at > whole + _LONGEST_NUMBER or (given[whole] == _ZERO and at > whole + 1):
        return -1, put
    if at < len(given) and given[at] == _POINT:
        digits[put] = _POINT
        part = at + 1
        at, put = _digits(given, part, digits, put + 1)
        if at == part:
            return -1, put
    return at, put


@njit(cache=True, nogil=True, inline="always")
def _digits(given: Bytes, at: int, digits: Bytes, put: int) -> tuple[int, int]:
    while at < len(given) and _ZERO <= given[at] <= _NINE:
        digits[put] = given[at]
        at, put = at + 1, put + 1
    return at, put


def warm() -> None:
    """Compile the reader, once a machine; later processes load it."""
    points_of(b'{"points":[[1,2]]}', most=1)
