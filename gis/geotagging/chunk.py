"""Some rows of a file: where they say they are, and what they are to be written back from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Form = Literal["points", "raw", "table"]
"""What is wanted of rows beside their places: nothing, `Chunk.raw`, or `Chunk.table`."""


@dataclass(frozen=True)
class Chunk:
    """Rows that are tagged together.

    Attributes
    ----------
    xy : float array, shape (rows, 2)
        As given, in the file's system, easting or longitude first; NaN where there is none.
    state : uint8 array, shape (rows,)
        0 where there are coordinates, else `words.NO_COORDINATES`, `words.UNREADABLE` or `words.BROKEN`.
    table : Table or None
        The file's columns, where they are wanted.
    raw : BinaryArray, list of rows or None
        The rows in the form of their own file, to be written back as they were: lines of text in UTF-8 without their
        ends, or lists of cells.
    addresses : sequence of str or None, optional
    """

    xy: FloatArray
    state: NDArray[np.uint8]
    table: pa.Table | None = None
    raw: Any = None
    addresses: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.state)
