"""Use case of the planner's desk: a plan opened, edited by several at once, undone and redone without limit.

The rows of a draft are always whole. An edit is one transaction that locks the plan, changes only the rows that it
touches, and writes them as they were and as they are into the log with its answer; what was answered is therefore
stored, and the same request again gives the same answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import desk_rows, listing
from gis.desk import telling
from gis.desk.board import Board
from gis.models import AdminArea, Plan, PlanDesk
from gis.permissions import Action, Actor, may, scopes

KEPT = 8
"""Boards that a process keeps."""


class Boards:
    """The boards of a process, the latest of each plan; those longest unused are forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[Any, int], Board] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, plan_id: int) -> Board | None:
        """The board that was kept last."""
        with self._lock:
            board = self._known.get((_database(session), plan_id))
            if board is not None:
                self._known.move_to_end((_database(session), plan_id))
            return board

    def keep(self, session: Session, board: Board) -> None:
        """Keep a board whose rows are committed, or those of this transaction's."""
        with self._lock:
            self._known[_database(session), board.setting.plan_id] = board
            self._known.move_to_end((_database(session), board.setting.plan_id))
            while len(self._known) > self._kept:
                self._known.popitem(last=False)

    def forget(self, session: Session, plan_id: int) -> None:
        """Read it again next time."""
        with self._lock:
            self._known.pop((_database(session), plan_id), None)


def _database(session: Session) -> Any:
    return session.get_bind().engine.url


boards = Boards()


def open_board(session: Session, plan_id: int) -> Board:
    """The board of a plan as it is now; made ready the first time."""
    desk = session.get(PlanDesk, plan_id, populate_existing=True)
    status = session.scalar(select(Plan.status).where(Plan.id == plan_id))
    if desk is None or not desk.is_ready or (status == "draft" and not desk.is_aligned):
        return _prepared(session, plan_id)
    return current(session, desk)


def _prepared(session: Session, plan_id: int) -> Board:
    """One prepares, the others wait for it."""
    status = session.scalar(select(Plan.status).where(Plan.id == plan_id).with_for_update())
    session.execute(text("INSERT INTO plan_desk (plan_id) VALUES (:plan) ON CONFLICT DO NOTHING"), {"plan": plan_id})
    desk = session.get_one(PlanDesk, plan_id, populate_existing=True)
    if desk.is_ready and (status != "draft" or desk.is_aligned):
        return current(session, desk)
    boards.forget(session, plan_id)
    return desk_rows.prepare(session, desk, align=status == "draft")


def current(session: Session, desk: PlanDesk) -> Board:
    """The board at the desk's number: the one that is kept, if it is that."""
    board = boards.get(session, desk.plan_id)
    if board is None or (board.seq, board.ground) != (desk.seq, desk.ground):
        # Read between two edits: each holds the desk's row from its beginning.
        desk = session.get_one(PlanDesk, desk.plan_id, with_for_update={"read": True}, populate_existing=True)
        board = desk_rows.load(session, desk)
        boards.keep(session, board)
    return board


def opened(session: Session, plan_id: int, *, actor: Actor) -> dict[str, Any]:
    """All that a page needs to show a plan, but its ground."""
    board = open_board(session, plan_id)
    plan = listing.plan(
        session, plan_id, scopes=scopes(actor, Action.VIEW_MAP), draft_scopes=scopes(actor, Action.VIEW_DRAFTS)
    )
    path = session.scalar(
        select(AdminArea.path).join(Plan, Plan.area_id == AdminArea.id).where(Plan.id == plan_id)
    )  # fmt: skip
    may_edit = plan["state"] == "draft" and may(actor, Action.DRAW_PLAN, path)
    nothing = {"can": False, "summary": None}
    return {"plan": plan, "may_edit": may_edit, "undo": nothing, "redo": nothing, **telling.everything(board)}
