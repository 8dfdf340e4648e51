"""Use case of the planner's desk: a plan opened, edited by several at once, undone and redone without limit.

The rows of a draft are always whole. An edit is one transaction that locks the plan, changes only the rows that it
touches, and writes them as they were and as they are into the log with its answer; what was answered is therefore
stored, and the same request again gives the same answer.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson
import shapely
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from gis import desk_rows, holds, listing, messages, plan_steps
from gis.db import audit
from gis.desk import edits, from_division, telling
from gis.desk.apply import Cut, Work
from gis.desk.board import Board, Rows
from gis.desk.packing import packed, unpacked
from gis.desk.restoring import restore
from gis.errors import Conflict, InvalidInput, StaleRevision, Unavailable
from gis.models import AdminArea, Plan, PlanDesk, PlanEdit, PlanLock
from gis.permissions import Action, Actor, may, scopes
from gis.plan_storing import locked_draft, next_ids, part_ids

FEW_CELLS = 40
"""A plan with so many lowest cells is surveyed while one waits: half a second."""
MOST_TO_CATCH_UP = 200
SITTING = timedelta(minutes=30)
"""Somebody's edits without a longer pause are one line of the audit log."""

KEPT = 8
"""Boards that a process keeps."""


class NotSurveyed(Unavailable):
    """The ground of a plan is not there yet, and making it takes long."""


class Watch(Protocol):
    """Whoever wants to know how far the making of a plan's ground is."""

    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        """Hear which of `gis.models.desk.SURVEY_STEPS` it is at, its share, and communities done."""


class _Unwatched:
    def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        """Nobody hears it."""


UNWATCHED = _Unwatched()


class Boards:
    """The boards of a process, the latest of each plan; those longest unused are forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, int], tuple[int, Board]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, plan_id: int) -> tuple[int, Board] | None:
        """The board that was kept last, and the revision of the plan that it is of."""
        key = (_database(session), plan_id)
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def keep(self, session: Session, board: Board, revision: int) -> None:
        """Keep a board whose rows are committed."""
        key = (_database(session), board.setting.plan_id)
        with self._lock:
            self._known[key] = (revision, board)
            self._known.move_to_end(key)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)


def _database(session: Session) -> str:
    return str(session.get_bind().engine.url)


boards = Boards()


def open_board(session: Session, plan_id: int) -> Board:
    """The board of a plan as it is now. What takes a second to make ready is made so: small plans, and fresh copies.

    Raises
    ------
    NotSurveyed
        ``desk.surveying`` for a plan whose ground is a long work; `gis.survey_runs` does it.
    """
    desk = session.get(PlanDesk, plan_id, populate_existing=True)
    if desk is None or not is_ready(session, desk):
        return make_ready(session, plan_id, is_quick=True)
    return current(session, desk)


def is_ready(session: Session, desk: PlanDesk | None) -> bool:
    """Whether a plan has ground, and a draft's cells are the unions of theirs."""
    if desk is None or not desk.is_ready:
        return False
    return desk.is_aligned or session.scalar(select(Plan.status).where(Plan.id == desk.plan_id)) != "draft"


def make_ready(
    session: Session, plan_id: int, *, is_quick: bool = False, processes: int | None = 1, watch: Watch = UNWATCHED
) -> Board:
    """Put ground under a plan: one does, the others wait for it, and the plan is locked only when it is there.

    Parameters
    ----------
    is_quick : bool
        Only if it takes no more than a second.
    processes : int, optional
        As `gis.spreading.spread`.
    watch : Watch
        Is told how far it is.

    Raises
    ------
    NotSurveyed
        If it would take long.
    """
    if is_quick and session.scalar(_UNDER_WAY, {"plan": plan_id}):
        raise NotSurveyed("desk.surveying", plan=plan_id)
    hold(session, plan_id, is_quick=is_quick)
    session.execute(text("INSERT INTO plan_desk (plan_id) VALUES (:plan) ON CONFLICT DO NOTHING"), {"plan": plan_id})
    desk = session.get_one(PlanDesk, plan_id, populate_existing=True)
    plan = session.get_one(Plan, plan_id, populate_existing=True)
    if is_ready(session, desk):
        return current(session, desk)
    source = plan.recipe.get("copied_from") if plan.status == "draft" else None
    desk_rows.clear_ground(session, plan_id)
    copied = source is not None and desk_rows.copy_ground(session, int(source), plan_id)
    if is_quick and not copied and desk_rows.count_lowest(session, plan_id) > FEW_CELLS:
        raise NotSurveyed("desk.surveying", plan=plan_id)
    # Imported by who surveys: the service is spared the partitioner until then.
    from gis import desk_survey

    revision = -1
    made: desk_survey.Made = []
    while not copied and revision != plan.revision:
        revision = plan.revision
        made = desk_survey.surveyed(session, plan_id, processes=processes, watch=watch)
        plan = session.get_one(Plan, plan_id, populate_existing=True, with_for_update=True)
    desk = session.get_one(PlanDesk, plan_id, populate_existing=True, with_for_update=True)
    if not copied:
        desk_survey.store(session, plan_id, made)
    return desk_rows.align(session, desk, is_draft=plan.status == "draft")


def hold(session: Session, plan_id: int, *, is_quick: bool = False) -> None:
    """Be the one who puts ground under a plan until the transaction ends; wait if somebody else is."""
    if not is_quick:
        session.execute(text("SET LOCAL lock_timeout = '15min'"))
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    holds.wait_for(session, holds.SURVEY, plan_id)


_UNDER_WAY = text("SELECT EXISTS (SELECT FROM plan_survey WHERE plan_id = :plan AND state <> 'done')")


def current(session: Session, desk: PlanDesk) -> Board:
    """The board at the desk's number: the one that is kept, brought up to date by the log if need be."""
    plan_id = desk.plan_id
    found = boards.get(session, plan_id)
    if found is not None and found[1].setting.town != desk_rows.last_import(session):
        found = None
    revision = int(session.scalar(text("SELECT revision FROM plan WHERE id = :plan"), {"plan": plan_id}) or 0)
    if found is not None and (found[0], found[1].seq, found[1].ground) == (revision, desk.seq, desk.ground):
        return found[1]
    # Read between two edits: each holds the desk's row from its beginning.
    desk = session.get_one(PlanDesk, plan_id, with_for_update={"read": True}, populate_existing=True)
    revision = int(session.scalar(text("SELECT revision FROM plan WHERE id = :plan"), {"plan": plan_id}) or 0)
    board = None if found is None else _brought_up(session, desk, *found, revision)
    if board is None:
        board = desk_rows.load(session, desk)
    if not session.new and not session.dirty and not session.in_nested_transaction():
        boards.keep(session, board, revision)
    return board


def _brought_up(session: Session, desk: PlanDesk, kept: int, board: Board, revision: int) -> Board | None:
    """A kept board with the edits since; ``None`` if anything else has happened to the plan."""
    missing = desk.seq - board.seq
    if board.seq < desk.closed_seq or not 0 < missing == revision - kept or missing > MOST_TO_CATCH_UP:
        return None
    later = select(PlanEdit.rows).where(PlanEdit.plan_id == desk.plan_id, PlanEdit.seq > board.seq)
    for rows in session.scalars(later.order_by(PlanEdit.seq)):
        board = board.replaced(unpacked(rows)[1])
    return board.replaced(Rows(), seq=desk.seq, ground=desk.ground)


def opened(session: Session, plan_id: int, *, actor: Actor, language: str = "zh") -> dict[str, Any]:
    """All that a page needs to show a plan, but its ground."""
    board = open_board(session, plan_id)
    return {**beside(session, board, actor=actor, language=language), **telling.everything(board)}


def beside(session: Session, board: Board, *, actor: Actor, language: str = "zh") -> dict[str, Any]:
    """What somebody is told of a plan beside its board: the plan, and what they may do with it."""
    plan_id = board.setting.plan_id
    plan = listing.plan(
        session, plan_id, scopes=scopes(actor, Action.VIEW_MAP), draft_scopes=scopes(actor, Action.VIEW_DRAFTS)
    )
    path = session.scalar(select(AdminArea.path).join(Plan, Plan.area_id == AdminArea.id).where(Plan.id == plan_id))
    may_edit = plan["state"] == "draft" and may(actor, Action.DRAW_PLAN, path)
    steps = _steps(session, plan_id, actor, language)
    return {"plan": plan, "may_edit": may_edit, "town": board.setting.town, **steps}


# --- Editing ---------------------------------------------------------------------------------------------------------


def edit(
    session: Session, plan_id: int, asked: Mapping[str, Any], *, actor: Actor, now: datetime, language: str = "zh"
) -> dict[str, Any]:
    """Do an edit and answer what it changed; a request that was done already is answered again.

    Parameters
    ----------
    asked : mapping
        ``request_id``, ``base`` (the number that the asker has seen), ``kind`` and what the kind needs.

    Raises
    ------
    NotAllowed
    WrongState
        ``plan.not_draft``.
    InvalidInput
        ``edit.…``.
    Conflict
        ``edit.locked``.
    StaleRevision
        ``edit.stale`` where others have changed what this touches since ``base``.
    """
    plan = locked_draft(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    done = _answered(session, plan_id, str(asked["request_id"]), actor, language)
    if done is not None:
        return done
    desk = _desk(session, plan_id)
    board = current(session, desk)
    base = int(asked.get("base", desk.seq))
    if not 0 <= base <= desk.seq:
        raise InvalidInput("edit.bad_base", base=base, seq=desk.seq)
    work = Work(board, Source(session))
    try:
        summary = _run(session, work, asked)
    except InvalidInput as error:
        # What cannot be done any more, or is no longer there, because somebody else has changed it.
        if _is_overtaken(error, asked, _others(session, plan_id, base, actor)):
            raise _stale(session, plan_id, base, desk.seq, actor, language) from error
        raise
    before, after = work.rows()
    if not after:
        raise InvalidInput("edit.changes_nothing")
    if _touched_by_others(session, plan_id, base, work.cells, work.parts, actor):
        raise _stale(session, plan_id, base, desk.seq, actor, language)
    request = {key: value for key, value in asked.items() if key not in ("request_id", "base")}
    return _record(
        session, plan, desk, board, before, after, kind=str(asked["kind"]), request_id=str(asked["request_id"]),
        request=request, summary=summary, cells=work.cells, parts=work.parts, actor=actor, now=now, language=language,
    )  # fmt: skip


def _run(session: Session, work: Work, asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["kind"] == "take_up":
        from gis import desk_arrivals

        return desk_arrivals.take_up(session, work)
    if asked["kind"] != "accept":
        return edits.run(work, asked)
    from gis import proposals

    given = proposals.accepting(session, work.board.setting.plan_id, int(asked["proposal"]), asked.get("cells"))
    before = work.board
    from_division.accept(work, given.division, given.continues, given.chosen)
    return {
        "code": "edit.done.accept",
        "params": {
            "proposal": asked["proposal"], "accepted": sorted(given.chosen), "refused": given.refused_params(),
            "count": len(given.chosen), "households": edits.moved_households(before, work.board),
        },
    }  # fmt: skip


def undo(
    session: Session, plan_id: int, *, request_id: str, actor: Actor, now: datetime, language: str = "zh"
) -> dict[str, Any]:
    """Put back what the asker's own latest edit changed.

    Raises
    ------
    NotAllowed
    Conflict
        ``edit.nothing_to_undo``; ``edit.undo_blocked`` with the later changes of others to the same cells.
    """
    return _invert(session, plan_id, "undo", request_id, actor, now, language)


def redo(
    session: Session, plan_id: int, *, request_id: str, actor: Actor, now: datetime, language: str = "zh"
) -> dict[str, Any]:
    """Take the asker's own latest undo back.

    Raises
    ------
    NotAllowed
    Conflict
        ``edit.nothing_to_redo``; ``edit.undo_blocked``.
    """
    return _invert(session, plan_id, "redo", request_id, actor, now, language)


def _invert(
    session: Session, plan_id: int, kind: str, request_id: str, actor: Actor, now: datetime, language: str
) -> dict[str, Any]:
    plan = locked_draft(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    done = _answered(session, plan_id, request_id, actor, language)
    if done is not None:
        return done
    desk = _desk(session, plan_id)
    board = current(session, desk)
    last = _latest(session, plan_id, actor)
    at = None if last is None else last.undo_next if kind == "undo" else last.redo_next
    if at is None or at <= desk.closed_seq:
        raise Conflict(f"edit.nothing_to_{kind}", plan=plan_id)
    entry = session.get_one(PlanEdit, (plan_id, at))
    was, became = unpacked(entry.rows)
    work = Work(board, Source(session))
    if not restore(work, was, became):
        raise Conflict("edit.undo_blocked", seq=at, changes=_changes_to(session, plan_id, entry, actor, language))
    before, after = work.rows()
    return _record(
        session, plan, desk, board, before, after, kind=kind, request_id=request_id, request={},
        summary=entry.summary, cells=set(entry.cells), parts=set(entry.parts), actor=actor, now=now, language=language,
        inverts=entry,
    )  # fmt: skip


def _desk(session: Session, plan_id: int) -> PlanDesk:
    """The desk's row, held until the transaction ends; the plan is made ready first if it is not."""
    desk = session.get(PlanDesk, plan_id, populate_existing=True, with_for_update=True)
    if desk is None or not (desk.is_ready and desk.is_aligned):
        make_ready(session, plan_id, is_quick=True)
        desk = session.get_one(PlanDesk, plan_id, populate_existing=True, with_for_update=True)
    return desk


def _record(
    session: Session,
    plan: Plan,
    desk: PlanDesk,
    board: Board,
    before: Rows,
    after: Rows,
    *,
    kind: str,
    request_id: str,
    request: dict[str, Any],
    summary: dict[str, Any],
    cells: set[int],
    parts: set[int],
    actor: Actor,
    now: datetime,
    language: str,
    inverts: PlanEdit | None = None,
) -> dict[str, Any]:
    """Write rows and log, and answer."""
    desk_rows.write(session, board, after)
    desk.seq += 1
    desk.ground += after.changes_ground
    flag_modified(plan, "title")  # the plan's revision goes up with each edit
    fresh = board.replaced(after, seq=desk.seq, ground=desk.ground)
    last = _latest(session, plan.id, actor)
    entry = PlanEdit(
        plan_id=plan.id, seq=desk.seq, request_id=request_id, kind=kind, at=now, actor_id=actor.user_id,
        actor=actor.name, request=request, summary=summary, cells=sorted(cells), parts=sorted(parts),
        inverts=None if inverts is None else inverts.seq, rows=packed(before, after), answer=b"",
        **_stacks(kind, last, inverts, desk.seq),
    )  # fmt: skip
    told = {
        "seq": desk.seq, "at": now.isoformat(), "actor": actor.name, "kind": kind, "summary": summary,
        "undoes": entry.inverts, **telling.change(board, fresh, after),
    }  # fmt: skip
    entry.answer = zlib.compress(orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS), 1)
    session.add(entry)
    if last is None or now - last.at > SITTING:
        audit(session, "plan.edit", subject=f"plan:{plan.id}", actor=actor, now=now, details={"from_seq": desk.seq})
    session.flush()
    session.execute(text("SELECT pg_notify('wangge_desk', :payload)"), {"payload": f"{plan.id}:{desk.seq}"})
    _keep_when_done(session, fresh, plan.revision)
    return _for(entry, orjson.loads(zlib.decompress(entry.answer)), _steps_after(session, entry, language), language)


def _keep_when_done(session: Session, board: Board, revision: int) -> None:
    """Have this process know the board as soon as its rows are committed."""
    if "desk_board" not in session.info:
        event.listen(session, "after_commit", _keep_noted)
        event.listen(session, "after_rollback", _drop_noted)
    session.info["desk_board"] = (board, revision)


def _keep_noted(session: Session) -> None:
    noted = session.info.get("desk_board")
    if noted is not None:
        boards.keep(session, *noted)
        session.info["desk_board"] = None


def _drop_noted(session: Session) -> None:
    session.info["desk_board"] = None


def _stacks(kind: str, last: PlanEdit | None, inverts: PlanEdit | None, seq: int) -> dict[str, int | None]:
    """What an undo and a redo after this edit would invert, and what is beneath."""
    undo_next = None if last is None else last.undo_next
    redo_next = None if last is None else last.redo_next
    if inverts is None:
        return {"undo_next": seq, "redo_next": None, "below": undo_next}
    if kind == "undo":
        return {"undo_next": inverts.below, "redo_next": seq, "below": redo_next}
    return {"undo_next": seq, "redo_next": inverts.below, "below": undo_next}


# --- The log ---------------------------------------------------------------------------------------------------------


def changes(
    session: Session, plan_id: int, *, since: int, actor: Actor, language: str = "zh", most: int = 200
) -> dict[str, Any]:
    """What was done after a number of the log, in order; ``seq`` is where to go on from.

    ``is_gap`` tells that the plan was made anew or prepared anew since: it is to be opened again. How a plan in force
    came about, and who drew it, is told to those who may see drafts there; the others are told where it stands.
    """
    row = session.execute(
        text(
            "SELECT desk.seq, desk.closed_seq, plan.status FROM plan"
            " LEFT JOIN plan_desk AS desk ON desk.plan_id = plan.id WHERE plan.id = :plan"
        ),
        {"plan": plan_id},
    ).one()
    path = session.scalar(select(AdminArea.path).join(Plan, Plan.area_id == AdminArea.id).where(Plan.id == plan_id))
    if not may(actor, Action.VIEW_DRAFTS, path):
        return {"seq": row.seq or 0, "status": row.status, "is_gap": False, "changes": [], "comments_open": 0}
    entries = session.scalars(
        select(PlanEdit).where(PlanEdit.plan_id == plan_id, PlanEdit.seq > since).order_by(PlanEdit.seq).limit(most)
    ).all()
    steps = _steps(session, plan_id, actor, language)
    told = [_for(entry, orjson.loads(zlib.decompress(entry.answer)), steps, language) for entry in entries]
    seq = entries[-1].seq if len(entries) == most else (row.seq or 0)
    return {
        "seq": seq, "status": row.status, "is_gap": since < (row.closed_seq or 0), "changes": told,
        "comments_open": plan_steps.count_open_comments(session, plan_id), "town": desk_rows.last_import(session),
    }  # fmt: skip


def seq_of(session: Session, plan_id: int) -> int:
    """How many edits a plan has seen."""
    return int(session.scalar(select(PlanDesk.seq).where(PlanDesk.plan_id == plan_id)) or 0)


def touched_since(session: Session, plan_id: int, seq: int) -> set[int]:
    """Cells that edits after a number of the log touched."""
    found = session.scalars(select(PlanEdit.cells).where(PlanEdit.plan_id == plan_id, PlanEdit.seq > seq))
    return {cell for cells in found for cell in cells}


def locks_of(session: Session, plan_id: int) -> tuple[set[int], set[int], bool]:
    """Locked cells, locked buildings, and whether all is locked."""
    rows = session.execute(select(PlanLock.kind, PlanLock.item_id).where(PlanLock.plan_id == plan_id)).all()
    return (
        {item for kind, item in rows if kind == "cell"},
        {item for kind, item in rows if kind == "building"},
        any(kind == "all" for kind, _ in rows),
    )


def _answered(session: Session, plan_id: int, request_id: str, actor: Actor, language: str) -> dict[str, Any] | None:
    entry = session.scalar(select(PlanEdit).where(PlanEdit.plan_id == plan_id, PlanEdit.request_id == request_id))
    if entry is None:
        return None
    if entry.actor != actor.name:
        raise Conflict("edit.request_of_other", request_id=request_id)
    steps = _steps_after(session, entry, language)
    return _for(entry, orjson.loads(zlib.decompress(entry.answer)), steps, language)


def _for(entry: PlanEdit, told: dict[str, Any], steps: dict[str, Any], language: str) -> dict[str, Any]:
    """A stored answer in somebody's language, with what they may undo."""
    return {**told, "summary": _said(entry.summary, language), **steps}


def _said(summary: Mapping[str, Any], language: str) -> dict[str, Any]:
    code, params = str(summary.get("code", "")), dict(summary.get("params", {}))
    return {"code": code, "params": params, "text": messages.text(code, params, language=language)}


def _latest(session: Session, plan_id: int, actor: Actor) -> PlanEdit | None:
    return session.scalar(
        select(PlanEdit)
        .where(PlanEdit.plan_id == plan_id, PlanEdit.actor == actor.name)
        .order_by(PlanEdit.seq.desc())
        .limit(1)
    )


def _steps(session: Session, plan_id: int, actor: Actor, language: str) -> dict[str, Any]:
    """What somebody may undo and redo now."""
    last = _latest(session, plan_id, actor)
    if last is None:
        return {"undo": {"can": False, "summary": None}, "redo": {"can": False, "summary": None}}
    return _steps_after(session, last, language)


def _steps_after(session: Session, entry: PlanEdit, language: str) -> dict[str, Any]:
    closed = session.scalar(select(PlanDesk.closed_seq).where(PlanDesk.plan_id == entry.plan_id)) or 0

    def step(at: int | None) -> dict[str, Any]:
        if at is None or at <= closed:
            return {"can": False, "summary": None}
        summary = entry.summary
        if at != entry.seq:
            summary = session.scalars(
                select(PlanEdit.summary).where(PlanEdit.plan_id == entry.plan_id, PlanEdit.seq == at)
            ).one()
        return {"can": True, "summary": _said(summary, language)}

    return {"undo": step(entry.undo_next), "redo": step(entry.redo_next)}


def _others(session: Session, plan_id: int, base: int, actor: Actor) -> list[PlanEdit]:
    """Edits of others after a number."""
    return list(
        session.scalars(
            select(PlanEdit)
            .where(PlanEdit.plan_id == plan_id, PlanEdit.seq > base, PlanEdit.actor != actor.name)
            .order_by(PlanEdit.seq)
        )
    )


def _is_overtaken(error: InvalidInput, asked: Mapping[str, Any], others: Sequence[PlanEdit]) -> bool:
    if error.code.startswith("edit.unknown_"):
        return bool(others)
    named = {asked[key] for key in ("cell", "to", "into", "parent") if asked.get(key) is not None}
    named |= set(asked.get("cells") or ())
    return any(named & set(one.cells) or set(asked.get("parts") or ()) & set(one.parts) for one in others)


def _touched_by_others(
    session: Session, plan_id: int, base: int, cells: set[int], parts: set[int], actor: Actor
) -> bool:
    return any(cells & set(one.cells) or parts & set(one.parts) for one in _others(session, plan_id, base, actor))


def _stale(session: Session, plan_id: int, base: int, seq: int, actor: Actor, language: str) -> StaleRevision:
    told = changes(session, plan_id, since=base, actor=actor, language=language)
    return StaleRevision("edit.stale", seq=seq, changes=told["changes"])


def _changes_to(session: Session, plan_id: int, entry: PlanEdit, actor: Actor, language: str) -> list[dict[str, Any]]:
    """Later changes of others to the cells of an edit."""
    steps = _steps(session, plan_id, actor, language)
    return [
        _for(one, orjson.loads(zlib.decompress(one.answer)), steps, language)
        for one in _others(session, plan_id, entry.seq, actor)
        if set(one.cells) & set(entry.cells) or set(one.parts) & set(entry.parts)
    ]


class Source:
    """What an edit takes from the database."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ids(self, table: str, count: int) -> list[int]:
        """Numbers for new rows."""
        return next_ids(self._session, table, count) if count else []

    def parts(self, cuts: Sequence[Cut]) -> list[int]:
        """Ids of building parts with these cuts: of rows that are there, else of new ones that are valid at no time."""
        keys = [
            (cut.building, cut.unit_from, cut.unit_to, cut.floor_from, cut.floor_to, cut.households) for cut in cuts
        ]  # fmt: skip
        return part_ids(self._session, keys, [cut.units_estimated for cut in cuts])

    def footprint(self, building: int) -> Any:
        """The outline of a building in degrees."""
        wkb = self._session.scalar(text("SELECT ST_AsBinary(geom) FROM building WHERE id = :id"), {"id": building})
        return shapely.from_wkb(bytes(wkb))
