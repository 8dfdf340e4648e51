"""A board but its ground as columns, which a page reads faster than JSON of as many rows.

Form 1
------
Laid out as `gis.desk.columns`. The head holds what `GET desk` answers as JSON, but that ``board`` has in the place of
each list of rows (cells, buildings, parts, land) a table: ``rows``, how many; ``names`` of its fields in their order;
and ``words``, the values of those fields that are no numbers. The others are columns called ``table.field``:

==========  =========================================================================================================
``i4``      whole numbers; the lowest there is stands for none
``f8``      other numbers, and whole ones that need more room; NaN for none
``u1``      false and true
==========  =========================================================================================================
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from gis.desk import columns, telling
from gis.desk.board import Board
from gis.desk.telling import Told

FORM = 1
MEDIA_TYPE = "application/vnd.wangge.desk"
KEPT = 8
"""Boards that a process keeps as columns; one of 17,000 buildings has 3 MB."""

NONE = -(2**31)
_TABLES: Mapping[str, Callable[[Board], Sequence[Told]]] = {
    "cells": telling.cells,
    "buildings": telling.buildings,
    "parts": telling.parts,
    "land": lambda board: [{"face": face, "cell": cell} for face, cell in telling.land(board)],
}
Laid = tuple[bytes, bytes, bytes]


class Tables:
    """Boards as columns, written once each; those longest unused are forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[int, tuple[Board, Laid]] = OrderedDict()
        self._lock = threading.Lock()

    def packed(self, board: Board, beside: Mapping[str, Any]) -> bytes:
        """A board in form 1, with what else somebody is told of it."""
        told, where, body = self._laid(board)
        head = {"form": FORM, **beside, "board": orjson.Fragment(told), "columns": orjson.Fragment(where)}
        return columns.headed(head, body)

    def _laid(self, board: Board) -> Laid:
        with self._lock:
            if id(board) in self._known:  # which holds the board, so that no other has its id
                self._known.move_to_end(id(board))
                return self._known[id(board)][1]
        made = laid(board)
        with self._lock:
            self._known[id(board)] = (board, made)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return made


def laid(board: Board) -> Laid:
    """What ``board`` of the head says, as JSON; where the columns are, as JSON; and the columns."""
    tables: dict[str, Any] = {}
    numbers: dict[str, NDArray[Any]] = {}
    for name, told in _TABLES.items():
        tables[name], found = table(told(board))
        numbers |= {f"{name}.{field}": column for field, column in found.items()}
    where, body = columns.laid(numbers)
    return orjson.dumps({**telling.frame(board), **tables}), orjson.dumps(where), body


def table(rows: Sequence[Told]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Rows of the same fields as a table, and its columns of numbers."""
    names = list(rows[0]) if rows else []
    words: dict[str, list[Any]] = {}
    numbers: dict[str, NDArray[Any]] = {}
    for name in names:
        values = [row[name] for row in rows]
        column = _column(values)
        if column is None:
            words[name] = values
        else:
            numbers[name] = column
    return {"rows": len(rows), "names": names, "words": words}, numbers


def _column(values: Sequence[Any]) -> NDArray[Any] | None:
    """The narrowest column that holds all values; ``None`` where some are no numbers."""
    kinds = set(map(type, values))
    if kinds == {bool}:
        return np.array(values, dtype="u1")
    if not kinds <= {int, float, type(None)} or kinds == {type(None)}:
        return None
    if float not in kinds:
        whole = [NONE if value is None else value for value in values]
        if min(whole) >= NONE and max(whole) < 2**31:
            return np.array(whole, dtype="<i4")
    return np.array([np.nan if value is None else value for value in values], dtype="<f8")
