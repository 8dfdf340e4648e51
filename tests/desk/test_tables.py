"""A board as columns says what it says as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from gis.desk import columns, tables, telling
from gis.desk.board import Board
from tests.desk.helpers import desk

BESIDE = {"may_edit": True, "town": 3}


def _read(data: bytes) -> dict[str, Any]:
    """What `GET desk` would say as JSON, out of form 1."""
    head, numbers = columns.parted(data)
    assert head.pop("form") == 1
    board = head.pop("board")
    for name in ("cells", "buildings", "parts", "land"):
        told = board[name]
        fields = [told["words"].get(field) or _values(numbers[f"{name}.{field}"]) for field in told["names"]]
        board[name] = [dict(zip(told["names"], row, strict=True)) for row in zip(*fields, strict=True)]
        assert len(board[name]) == told["rows"]
    board["land"] = [list(row.values()) for row in board["land"]]
    return {**head, **board}


def _values(column: Any) -> list[Any]:
    if column.dtype.kind == "u":
        return [bool(value) for value in column]
    return [None if value == tables.NONE or value != value else value for value in column.tolist()]


def _assert_same(board: Board) -> None:
    told = orjson.loads(orjson.dumps({**BESIDE, **telling.everything(board)}))
    assert _read(tables.Tables().packed(board, BESIDE)) == told


def test_columns_say_what_json_says(session: Any) -> None:
    one = desk(session)
    _assert_same(one.board)
    one.edit("break", building=one.building(5), by="units")  # parts with staircases, others without
    one.edit("lock", buildings=[one.building(6)])
    one.edit("rename", cell=min(one.board.cells), name="河东")
    _assert_same(one.board)


def test_a_board_is_written_once_and_the_next_one_anew(session: Any) -> None:
    one, kept = desk(session), tables.Tables(kept=1)
    first = one.board
    laid = kept._laid(first)
    assert kept._laid(first) is laid
    part = next(iter(first.parts.values()))
    one.edit("move", parts=[part.id], to=next(key for key in first.lowest_cells if key != part.cell))
    assert kept._laid(one.board) != laid
    again = kept._laid(first)
    assert again == laid
    assert again is not laid  # it was forgotten


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2**31 - 1], "i4"),
        ([1, None, 2**31], "f8"),
        ([-(2**53), 2**53], "f8"),
        ([1, 0.5, None], "f8"),
        ([True, False], "u1"),
        ([True, None], None),
        ([None, None], None),
        (["一", None], None),
        ([(1.0, 2.0)], None),
    ],
)
def test_a_column_is_as_narrow_as_its_values_allow(values: list[Any], kind: str | None) -> None:
    words, numbers = tables.table([{"x": value} for value in values])
    if kind is None:
        assert (words["words"], numbers) == ({"x": values}, {})
        return
    assert numbers["x"].dtype == np.dtype(kind)
    assert _values(numbers["x"]) == values


def test_no_rows_are_a_table_too() -> None:
    assert tables.table([]) == ({"rows": 0, "names": [], "words": {}}, {})
