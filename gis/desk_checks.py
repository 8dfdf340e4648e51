"""Everything that is wrong with a plan on the desk, with sentences in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from gis import desk_log, messages
from gis.desk.checks import violations


def checks(session: Session, plan_id: int, *, language: str) -> list[dict[str, Any]]:
    """All violations of a plan; what refuses its publication first."""
    board = desk_log.open_board(session, plan_id)
    english = {tier.name_zh: tier.name_en or tier.name_zh for tier in board.setting.tiers} if language == "en" else {}
    return [{**one, "text": _text(one, english, language)} for one in violations(board)]


def _text(item: Mapping[str, Any], english: Mapping[str, str], language: str) -> str:
    params = dict(item["params"])
    if "tier" in params:
        params["tier"] = english.get(params["tier"], params["tier"])
    return messages.text(item["code"], params, language=language)
