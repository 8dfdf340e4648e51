"""Rows put back as they were before an edit, if nobody has changed them since."""

from __future__ import annotations

from dataclasses import replace

from gis.desk.apply import Work, refresh
from gis.desk.board import Board, Cell, Rows


def restore(work: Work, was: Rows, became: Rows) -> bool:
    """Put the rows ``was`` in place of the rows ``became``; ``False`` if these are no longer what is there.

    Cells above the lowest, which also others' edits in the same grid change, are put back if they are as the edit left
    them, and else only in what the edit itself changed; their ground and counts then follow from what lies in them.
    """
    board = work.board
    rows = Rows(dict(was.cells), dict(was.parts), dict(was.faces), dict(was.edges), dict(was.locks))
    if not _is_as_left(board, became):
        return False
    shared = _cells_as_before(board, was, became, rows)
    if shared is None:
        return False
    codes = {cell.code for key, cell in board.cells.items() if key not in rows.cells}
    for key, row in rows.cells.items():
        if row is not None and row.code in codes:
            rows.cells[key] = replace(row, code=f"{row.code}~{key}")  # somebody else's by now
    if any(row and row.parent is not None and _is_gone(board, rows, row.parent) for row in rows.cells.values()):
        return False
    work.put(rows)
    if shared:
        refresh(work, shared)
    return True


def _cells_as_before(board: Board, was: Rows, became: Rows, rows: Rows) -> list[int] | None:
    """Fill in the cells to put back; gives those whose ground and counts are to be found anew, ``None`` if blocked."""
    shared: list[int] = []
    for key, left in became.cells.items():
        now, before = board.cells.get(key), was.cells[key]
        if now is None or left is None:
            if now is not None or left is not None:
                return None
        elif _alike(now, left):
            if before is not None and now.code != left.code:
                rows.cells[key] = replace(before, code=now.code)  # renamed since, as publication does
        elif before is not None and _may_differ(board, now, left):
            rows.cells[key] = _as_before(now, left, before)
            shared.append(key)
        else:
            return None
    return shared


def _is_gone(board: Board, rows: Rows, cell: int) -> bool:
    return rows.cells[cell] is None if cell in rows.cells else cell not in board.cells


def _is_as_left(board: Board, became: Rows) -> bool:
    """Whether parts, faces, edges and locks are what an edit made of them."""
    return (
        all(board.parts.get(key) == row for key, row in became.parts.items())
        and all(board.faces.get(key) == row for key, row in became.faces.items())
        and all(board.edges.get(key) == row for key, row in became.edges.items())
        and all((lock in board.locks) == held for lock, held in became.locks.items())
    )


def _alike(now: Cell, left: Cell) -> bool:
    return replace(now, code=left.code) == left


def _may_differ(board: Board, now: Cell, left: Cell) -> bool:
    """Whether a cell differs only by what others did beneath it."""
    if now.depth == board.setting.lowest:
        return False
    return (now.parent, now.name, now.is_dedicated) == (left.parent, left.name, left.is_dedicated)


def _as_before(now: Cell, left: Cell, before: Cell) -> Cell:
    code = before.code if now.code == left.code else now.code
    return replace(now, parent=before.parent, name=before.name, is_dedicated=before.is_dedicated, code=code)
