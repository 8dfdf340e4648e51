"""On which side of a line a point lies, exactly, compiled.

Coordinates are doubles and are taken as what they are. A filter answers nearly all questions in a few operations; where
rounding could turn the sign, the determinant is summed up without rounding, as an expansion of doubles whose sum is
exact. Source of the method: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
Predicates, 1997 (two-sum, two-product by Dekker's splitting, growing an expansion).
"""

from __future__ import annotations

import numpy as np
from numba import njit

# (3 + 16 eps) eps with eps = 2^-53: the largest relative error of the plain determinant.
_FILTER = (3.0 + 16.0 * 2.0**-53) * 2.0**-53
_SPLITTER = 2.0**27 + 1.0


@njit(cache=True, nogil=True, inline="always")
def side(ax, ay, bx, by, px, py):
    """1 if p lies left of a → b, -1 if right of it, 0 if on the line through both, exactly.

    Coordinates must be finite, and their products within the range of doubles.
    """
    left = (ax - px) * (by - py)
    right = (ay - py) * (bx - px)
    determinant = left - right
    bound = _FILTER * (abs(left) + abs(right))
    if determinant > bound:
        return 1
    if -determinant > bound:
        return -1
    return _side_exactly(ax, ay, bx, by, px, py)


@njit(cache=True, nogil=True)
def _side_exactly(ax, ay, bx, by, px, py):
    parts = np.zeros(12)
    count = 0
    for factors in (
        (ax, by, 1.0), (bx, py, 1.0), (px, ay, 1.0), (ay, bx, -1.0), (by, px, -1.0), (py, ax, -1.0),
    ):  # fmt: skip
        product, error = _product(factors[0], factors[1] * factors[2])
        for part in (error, product):
            count = _grow(parts, count, part)
    for i in range(count - 1, -1, -1):
        if parts[i] > 0.0:
            return 1
        if parts[i] < 0.0:
            return -1
    return 0


@njit(cache=True, nogil=True, inline="always")
def _product(a, b):
    """``a * b`` as a double and the exact error of it."""
    product = a * b
    a_high = _SPLITTER * a - (_SPLITTER * a - a)
    b_high = _SPLITTER * b - (_SPLITTER * b - b)
    a_low, b_low = a - a_high, b - b_high
    error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, error


@njit(cache=True, nogil=True, inline="always")
def _grow(parts, count, value):
    """Add a double to an expansion; the largest part stands last."""
    for i in range(count):
        total = value + parts[i]
        virtual = total - value
        parts[i] = (value - (total - virtual)) + (parts[i] - virtual)
        value = total
    parts[count] = value
    return count + 1
