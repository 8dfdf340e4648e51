"""The codes of a plan's cells: whether they have the form of their tier, and what they are in other schemes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.codes import Coded, in_scheme, number_in
from gis.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CellCode:
    """A cell's registered code and the one in another scheme."""

    depth: int
    code: str
    other: str


def irregular(session: Session, plan_id: int) -> list[str]:
    """Codes that are not their parent's with the digits of their tier (an imported division's own), by code."""
    return sorted(code for code, cell in _coded(session, plan_id).items() if cell is None)


def table(
    session: Session, plan_id: int, *, scheme: str, template: str = "", object_class: str = "010000"
) -> list[CellCode]:
    """Every cell of a plan with its code in another scheme, by depth and code; of CJ/T 349 the grids only.

    Raises
    ------
    InvalidInput
        ``codes.irregular`` if a code has not the form that the other is derived from, ``codes.ambiguous`` if two cells
        would bear the same; and as `gis.codes.in_scheme`.
    """
    cells = _coded(session, plan_id)
    strange = sorted(code for code, cell in cells.items() if cell is None)
    if strange and scheme != "wangge":
        raise InvalidInput("codes.irregular", plan=plan_id, code=strange[0], count=len(strange))
    found: dict[str, str] = {}
    rows = []
    for code, cell in cells.items():
        if scheme == "cjt349" and cell is not None and len(cell.numbers) > 1:
            continue
        other = code if cell is None else in_scheme(cell, scheme, template=template, object_class=object_class)
        if other in found:
            raise InvalidInput("codes.ambiguous", code=other, first=found[other], second=code)
        found[other] = code
        rows.append(CellCode(0 if cell is None else len(cell.numbers), code, other))
    return sorted(rows, key=lambda row: (row.depth, row.code))


def _coded(session: Session, plan_id: int) -> dict[str, Coded | None]:
    """The cells by code, parents first; ``None`` where a code or its parent's is of no known form."""
    found: dict[str, Coded | None] = {}
    for row in session.execute(_CELLS, {"plan": plan_id}):
        number = number_in(row.code, row.above or row.community, digits=row.code_digits)
        above = found.get(row.above) if row.above else Coded(row.community, row.community, ())
        found[row.code] = (
            None if number is None or above is None else Coded(row.code, row.community, (*above.numbers, number))
        )
    return found


_CELLS = text(
    """
    SELECT g.code, above.code AS above, c.code AS community, t.code_digits
    FROM grid g JOIN admin_area c ON c.id = g.community_id
    JOIN tier t ON t.rule_set_id = g.rule_set_id AND t.grid_depth = g.grid_depth
    LEFT JOIN grid above ON above.id = g.parent_id
    WHERE g.plan_id = :plan ORDER BY g.grid_depth, g.code
    """
)
