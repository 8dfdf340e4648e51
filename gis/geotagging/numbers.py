"""Coordinates out of columns of any type; what cannot be read is told from what is not there."""

from __future__ import annotations

import math
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gis.geotagging.chunk import FloatArray
from gis.geotagging.words import NO_COORDINATES, UNREADABLE

_PLAIN = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$"
_NOTHING = frozenset({"", "nan", "null", "none", "n/a", "na", "-", "—", "无", "空", "\\n"})
_DEGREES = "°ENen"


def numbers(column: pa.ChunkedArray | pa.Array) -> tuple[FloatArray, NDArray[np.uint8]]:
    """The numbers of a column, NaN where there is none, and a state for each.

    Returns
    -------
    float array, shape (rows,)
    uint8 array, shape (rows,)
        0, `words.NO_COORDINATES` (empty, NaN, "null" …) or `words.UNREADABLE`.

    Examples
    --------
    >>> values, state = numbers(pa.array(["120.5", "", "１２０.５°", "abc", None, "NaN"]))
    >>> values.tolist(), state.tolist()
    ([120.5, nan, 120.5, nan, nan, nan], [0, 1, 0, 2, 1, 1])
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # of text beyond 2 GB
        array = pa.concat_arrays(array.chunks)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        return _of_text(array)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
        return values, np.where(np.isnan(values), NO_COORDINATES, 0).astype(np.uint8)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    return np.full(len(array), np.nan), np.where(missing, NO_COORDINATES, UNREADABLE).astype(np.uint8)


def _of_text(array: pa.Array) -> tuple[FloatArray, NDArray[np.uint8]]:
    try:
        values = pc.cast(array, pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
        return values, np.where(np.isnan(values), NO_COORDINATES, 0).astype(np.uint8)
    except pa.ArrowInvalid:
        pass
    plain = pc.match_substring_regex(array, _PLAIN)
    found = pc.cast(pc.utf8_trim_whitespace(pc.if_else(plain, array, None)), pa.float64())
    values = found.to_numpy(zero_copy_only=False).astype(np.float64).copy()
    state = np.zeros(len(values), dtype=np.uint8)
    for at in np.flatnonzero(np.isnan(values)):
        values[at], state[at] = _one(array[at].as_py())
    return values, state


def _one(words: str | None) -> tuple[float, int]:
    text = unicodedata.normalize("NFKC", words or "").strip()
    if text.casefold() in _NOTHING:
        return math.nan, NO_COORDINATES
    try:
        value = float(text.strip(_DEGREES).strip())
    except ValueError:
        return math.nan, UNREADABLE
    return value, NO_COORDINATES if math.isnan(value) else 0


def pairs(
    x: tuple[FloatArray, NDArray[np.uint8]], y: tuple[FloatArray, NDArray[np.uint8]]
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Two columns as points; of two states the worse counts."""
    state = np.maximum(x[1], y[1])
    xy = np.column_stack([x[0], y[0]])
    xy[state > 0] = np.nan
    return xy, state
