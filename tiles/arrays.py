"""Many named arrays in one file, mapped read-only: a process that opens it reads only what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

ALIGNED = 64
"""Bytes; no array begins within a line of the processor's cache."""


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays into ``path``, and where they are into ``path`` with the ending ``.json``."""
    places = {}
    with path.open("wb") as file:
        for name, array in arrays.items():
            file.write(b"\0" * (-file.tell() % ALIGNED))
            places[name] = {"dtype": array.dtype.str, "shape": array.shape, "at": file.tell()}
            file.write(np.ascontiguousarray(array).data)
        file.write(b"\0")  # a file without bytes cannot be mapped
    path.with_suffix(".json").write_bytes(orjson.dumps(places))


def load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, which nobody can write to."""
    places = orjson.loads(path.with_suffix(".json").read_bytes())
    held = np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    return {name: _view(held, **place) for name, place in places.items()}


def _view(held: NDArray[np.uint8], *, dtype: str, shape: list[int], at: int) -> NDArray[Any]:
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    return held[at : at + size].view(kind).reshape(shape)
