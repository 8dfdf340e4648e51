"""Everything that is wrong with a plan on the desk, with sentences in the reader's language."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from gis import desk_log, messages
from gis.desk.checks import violations


def checks(session: Session, plan_id: int, *, language: str) -> list[dict[str, Any]]:
    """All violations of a plan; what refuses its publication first."""
    board = desk_log.open_board(session, plan_id)
    return [
        {**one, "text": messages.text(one["code"], one["params"], language=language)} for one in violations(board)
    ]  # fmt: skip
