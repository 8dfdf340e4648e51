"""Runs that answer what was asked for a draft: diagnosed first, divided again, measured, stored beside it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from gis import plan_review, plan_scores, plans, proposals, rules
from gis.db import unit_of_work
from gis.division import Division
from gis.errors import GridError, InvalidInput
from gis.findings import Finding
from gis.models import Proposal, ProposalRun
from gis.partition.moves import Moves, moves
from gis.partition.redraw import Locks
from gis.plan_redraw import within
from gis.plan_report import plain
from gis.plan_storing import copy_rows, ewkb_hex, next_ids, span_text
from gis.rule_set import RuleSet
from gis.town import Town

log = logging.getLogger("wangge.proposals")

BEAT_S = 0.5
SAME_GROUND = (
    1e-3  # share of a cell's ground by which two drawings of it may differ: corners on its neighbours' borders
)


class _Cancelled(Exception):
    """The run was cancelled between two steps."""


def do_run(engine: Engine, run_id: int, *, clock: Callable[[], datetime], processes: int | None = None) -> None:
    """Do a queued run; nothing happens if it is not queued any more.

    An error that Wangge knows ends in the run's row, for the planner to read; a bug also goes on to the log.
    """
    with unit_of_work(engine) as session:
        claimed = session.execute(
            update(ProposalRun)
            .where(ProposalRun.id == run_id, ProposalRun.state == "queued")
            .values(state="running", started_at=clock())
            .returning(ProposalRun.id)
        )
        if claimed.first() is None:
            return
    try:
        _propose_and_store(engine, run_id, clock=clock, processes=processes)
    except _Cancelled:
        _end(engine, run_id, now=clock(), state="cancelled")
    except GridError as error:
        params = json.loads(json.dumps(dict(error.params), default=str))
        _end(engine, run_id, now=clock(), state="failed", error_code=error.code, error_params=params)
    except Exception:
        log.exception("proposal run %s", run_id)
        _end(engine, run_id, now=clock(), state="failed", error_code="jobs.unexpected", error_params={})
        raise


def _end(engine: Engine, run_id: int, *, now: datetime, **values: Any) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(ProposalRun).where(ProposalRun.id == run_id).values(finished_at=now, **values))


def mark_interrupted(session: Session, *, now: datetime, not_done: str) -> None:
    """Runs whose worker is dead are marked as failed, so that they can be asked for again.

    Parameters
    ----------
    not_done : str
        SQL that says of a job's number that nobody does it.
    """
    session.execute(
        update(ProposalRun)
        .where(ProposalRun.state == "running", text(f"coalesce(proposal_run.job_id, 0) {not_done}"))
        .values(state="failed", error_code="jobs.interrupted", error_params={}, finished_at=now)
    )


@dataclass(frozen=True)
class _Given:
    """What a run starts from."""

    plan_id: int
    rules: RuleSet
    draft: Division
    town: Town
    request: Any


def _propose_and_store(engine: Engine, run_id: int, *, clock: Callable[[], datetime], processes: int | None) -> None:
    # Imported by the worker when a run begins: the HTTP service only defers, and is spared numba and its start.
    from gis.partition.proposing import broken, not_better, propose

    with unit_of_work(engine) as session:
        given = _given(session, run_id)
        findings = _impossible(given)
        session.execute(
            update(ProposalRun)
            .where(ProposalRun.id == run_id)
            .values(findings=findings, total=len(given.town["communities"]))
        )
    watch = _Watch(engine, run_id)
    try:
        made = propose(
            given.town, given.rules, given.draft, given.request, processes=processes, progress=watch.progress,
            cancelled=watch.cancelled, within=watch.within,
        )  # fmt: skip
    except Exception as error:
        if watch.cancelled(at_once=True):
            raise _Cancelled from error
        raise
    before = plan_scores.scores(given.draft, given.town)
    wrong = dict.fromkeys(given.request.chosen, "asked") | broken(given.draft)  # buildings without a cell among them
    measured = [plan_scores.scores(one.division, given.town) for one in made]
    difference = _differences([one.division for one in made])
    if watch.cancelled(at_once=True):
        raise _Cancelled
    with unit_of_work(engine) as session:
        for number, (one, scored) in enumerate(zip(made, measured, strict=True), start=1):
            note = not_better(wrong, one.division) if given.request.scope == "broken" else None
            noticed = [*_about(one.division, given.request.locks), *([note] if note else [])]
            store(
                session, run_id, given, one.division, number=number, emphasis=one.emphasis.code, scores=scored,
                difference=difference[number - 1], findings=noticed,
            )  # fmt: skip
        session.execute(
            update(ProposalRun)
            .where(ProposalRun.id == run_id)
            .values(state="done", done=ProposalRun.total, before=before, finished_at=clock(), message=None)
        )


def _given(session: Session, run_id: int) -> _Given:
    from gis.partition.proposing import Request

    run = session.get_one(ProposalRun, run_id)
    rule_set = rules.value(rules.get(session, plans.get(session, run.plan_id).rule_set_id))
    whole = plan_review.division_of(session, run.plan_id)
    chosen = frozenset(run.cells)
    codes = _communities(whole, chosen, everything=run.scope == "all")
    ids = list(
        session.scalars(text("SELECT id FROM admin_area WHERE code = ANY(:codes) ORDER BY id"), {"codes": codes})
    )
    locks = Locks(**{kind: tuple(values) for kind, values in run.locks.items()})
    draft = within(whole, set(codes))
    there = _there(draft)
    known = Locks(
        *(tuple(c for c in values if c in there) for values in (locks.buildings, locks.grids, locks.micro_grids))
    )
    return _Given(
        run.plan_id, rule_set, draft, plans.town_of(session, community_ids=ids),
        Request(run.scope, chosen, known, run.stability, run.alternatives, run.seed, run.effort),
    )  # fmt: skip


def _there(draft: Division) -> set[str]:
    cells = {code for frame in draft.cells for code in frame["code"].astype(str)}
    return cells | set(draft.parts["building"].astype(str))


def _communities(draft: Division, chosen: frozenset[str], *, everything: bool) -> list[str]:
    found = {
        community
        for frame in draft.cells
        for code, community in zip(frame["code"].astype(str), frame["community"].astype(str), strict=True)
        if everything or code in chosen
    }
    if not found:
        raise InvalidInput("proposal.unknown_cells", cells=sorted(chosen))
    return sorted(found)


def _about(division: Division, locks: Locks) -> list[Finding]:
    """What is worth telling of a proposal.

    The partitioner calls locked what was not asked for, too; told is only what somebody locked.
    """
    parents = dict(zip(division.cells[-1]["code"].astype(str), division.cells[-1]["parent"].astype(str), strict=True))
    held = {*locks.grids, *locks.micro_grids}
    return [
        one
        for one in division.findings
        if one.code != "partition.out_of_band.locked"
        or bool(locks.buildings)
        or not held.isdisjoint((str(one.key), parents.get(str(one.key), "")))
    ]


def _impossible(given: _Given) -> list[dict[str, Any]]:
    """What no division of these communities can meet, told before any search."""
    from gis.partition.diagnosis_of_town import diagnose_town

    try:
        found: Sequence[Finding] = diagnose_town(given.town, given.rules)
    except InvalidInput as error:
        if error.code != "diagnose.no_band":
            raise
        return []
    return list(plain([asdict(finding) for finding in found]))


def _differences(divisions: Sequence[Division]) -> list[list[float]]:
    """Share of households that are in another grid, between any two."""
    from gis.partition.alternatives import difference

    return [[round(difference(one, other), 4) for other in divisions] for one in divisions]


# --- Storing ---------------------------------------------------------------------------------------------------------


def store(
    session: Session, run_id: int, given: _Given, division: Division, *, number: int, emphasis: str,
    scores: Mapping[str, Any], difference: Sequence[float], findings: Sequence[Finding],
) -> None:  # fmt: skip
    """Keep a division as a proposal: its cells with what they change in the draft, and its parts."""
    found = moves(given.draft, division, given.town)
    position = proposals.grid_position(given.rules)
    row = Proposal(
        run_id=run_id, number=number, emphasis=emphasis, scores=dict(scores),
        moves=plain({**_moves(found, position), "difference": list(difference)}),
        findings=plain([asdict(finding) for finding in findings]), recipe=plain(dict(division.recipe)),
    )  # fmt: skip
    session.add(row)
    session.flush()
    _store_cells(session, row.id, given, division, found)
    _store_parts(session, row.id, division)


def _moves(found: Moves, position: int) -> dict[str, Any]:
    told = found.as_dict()
    here = found.rows[found.rows["depth"] == position + 1]
    pairs = here.groupby(["from_cell", "to_cell"], as_index=False).agg(
        households=("households", "sum"), buildings=("building", "nunique")
    )
    lineage = [edge for edge in told["lineage"] if edge["depth"] == position + 1 and edge["kind"] != "keep"]
    return {
        "tiers": told["tiers"],
        "position": position,
        "pairs": pairs.to_dict(orient="records"),
        "lineage": lineage,
    }


def _store_cells(session: Session, proposal_id: int, given: _Given, division: Division, found: Moves) -> None:
    from gis.partition.proposing import broken

    draft_ids = {row.code: row.id for row in session.execute(_DRAFT_CELLS, {"plan": given.plan_id})}
    communities = {row.code: row.id for row in session.execute(_COMMUNITIES, {"plan": given.plan_id})}
    changes = changed_cells(given.draft, division)
    if given.request.scope == "broken":
        wrong = given.request.chosen | broken(given.draft).keys()
        changes = mending(changes, wrong, given.draft, division)
    came = found.rows.groupby(["depth", "to_cell"])["households"].sum().to_dict()
    for depth, frame in enumerate(division.cells, start=1):
        codes = frame["code"].astype(str).tolist()
        old = set(given.draft.cells[depth - 1]["code"].astype(str))
        rows = zip(
            next_ids(session, "proposal_cell", len(frame)),
            [proposal_id] * len(frame),
            [depth] * len(frame),
            codes,
            [None if pd.isna(code) else str(code) for code in frame["parent"]],
            [communities[code] for code in frame["community"].astype(str)],
            [draft_ids[code] if code in old else None for code in codes],
            [changes.kind[code] for code in codes],
            [changes.group.get(code) for code in codes],
            [sorted(draft_ids[c] for c in changes.touches.get(code, ())) for code in codes],
            [None if pd.isna(value) else int(value) for value in frame["floor_from"]],
            [None if pd.isna(value) else int(value) for value in frame["floor_to"]],
            frame["households"].astype(int).tolist(),
            [int(came.get((depth, code), 0)) for code in codes],
            frame["area_m2"].astype(float).tolist(),
            _band_states(frame["households"].to_numpy(dtype=float), given.rules.grid_tiers[depth - 1]),
            ewkb_hex(np.asarray(frame.geometry.to_numpy(), dtype=object)),
            strict=True,
        )
        copy_rows(session, "proposal_cell", _CELL_COLUMNS, rows)


_CELL_COLUMNS = (
    "id, proposal_id, grid_depth, code, parent_code, community_id, continues_id, change, group_no, touches, floor_from,"
    " floor_to, households, households_in, area_m2, band_state, geom"
)
_DRAFT_CELLS = text("SELECT id, code FROM grid WHERE plan_id = :plan")
_COMMUNITIES = text(
    "SELECT a.id, a.code FROM plan_community pc JOIN admin_area a ON a.id = pc.community_id WHERE pc.plan_id = :plan"
)


def _band_states(households: Any, tier: Any) -> list[str]:
    from gis.partition.objectives import Limits

    limits = Limits.of(tier) if tier.cell_of == "band" else None
    if limits is None:
        return ["in_band"] * len(households)
    return ["in_band" if limits.holds(h) else "under" if h < limits.least else "over" for h in households.tolist()]


def _store_parts(session: Session, proposal_id: int, division: Division) -> None:
    parts = division.parts
    known = {row.code: row.id for row in session.execute(_BUILDINGS, {"codes": parts["building"].astype(str).tolist()})}
    spans = [
        [None if pd.isna(value) else int(value) for value in parts[column]]
        for column in ("unit_from", "unit_to", "floor_from", "floor_to")
    ]
    rows = zip(
        [proposal_id] * len(parts),
        range(len(parts)),
        parts["cell"].astype(str),
        [known[code] for code in parts["building"].astype(str)],
        map(span_text, spans[0], spans[1]),
        map(span_text, spans[2], spans[3]),
        parts["households"].astype(int).tolist(),
        parts["units_estimated"].astype("boolean").fillna(False).tolist(),
        strict=True,
    )
    columns = "proposal_id, number, cell_code, building_id, unit_span, floor_span, households, units_estimated"
    copy_rows(session, "proposal_part", columns, rows)


_BUILDINGS = text("SELECT id, code FROM building WHERE code = ANY(:codes)")


# --- What changes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changes:
    """How a division's cells differ from a draft's.

    Attributes
    ----------
    kind : mapping of str to str
        Of every cell: ``same``, ``changed`` or ``new``.
    group : mapping of str to int
        Of changing cells of the top tier and those below them: cells that exchange anything have one number.
    touches : mapping of str to frozenset of str
        Of every cell of the top tier: those of the draft that it takes ground or buildings from, its own among them.
    """

    kind: Mapping[str, str]
    group: Mapping[str, int]
    touches: Mapping[str, frozenset[str]]


def changed_cells(draft: Division, division: Division) -> Changes:
    """Compare a division with the draft that it was made from, whose codes it bears where cells go on."""
    kind: dict[str, str] = {}
    for old, new in zip(draft.cells, division.cells, strict=True):
        kind |= _kinds(old, new)
    moved = _moved_cells(draft, division)
    kind |= {code: "changed" for code in moved if kind.get(code) == "same"}
    for below in reversed(division.cells[1:]):
        for code, parent in zip(below["code"].astype(str), below["parent"].astype(str), strict=True):
            if kind[code] != "same" and kind[parent] == "same":
                kind[parent] = "changed"
    touches = _touches(draft, division, kind)
    group = _groups(touches, kind)
    for below in division.cells[1:]:
        parents = zip(below["code"].astype(str), below["parent"].astype(str), strict=True)
        group |= {code: group[parent] for code, parent in parents if parent in group}
    return Changes(kind, group, touches)


def mending(changes: Changes, wrong: Set[str], draft: Division, division: Division) -> Changes:
    """Of the changes those groups that leave fewer cells broken than there were: others are changed for nothing."""
    from gis.partition.proposing import broken

    old = {grid: number for code, number in changes.group.items() for grid in changes.touches.get(code, ())}
    new = {code: number for code, number in changes.group.items() if code in changes.touches}
    before, after = (
        _count_by(draft, wrong, old), _count_by(division, broken(division).keys(), new)
    )  # fmt: skip
    kept = sorted(number for number in set(new.values()) if after.get(number, 0) < before.get(number, 0))
    renamed = {number: n for n, number in enumerate(kept, start=1)}
    group = {code: renamed[number] for code, number in changes.group.items() if number in renamed}
    return replace(changes, group=group)


def _count_by(division: Division, wrong: Set[str], group: Mapping[str, int]) -> dict[int, int]:
    """Broken cells by the group of what they lie in."""
    of = dict(group)
    for below in division.cells[1:]:
        parents = zip(below["code"].astype(str), below["parent"].astype(str), strict=True)
        of |= {code: of[parent] for code, parent in parents if parent in of}
    found: dict[int, int] = {}
    for code in wrong:
        if code in of:
            found[of[code]] = found.get(of[code], 0) + 1
    return found


def _kinds(old: Any, new: Any) -> dict[str, str]:
    """Cells of a tier by their ground and what lies above them alone."""
    before = {
        str(code): (shape, None if pd.isna(parent) else str(parent), _floors(low, high))
        for code, shape, parent, low, high in zip(
            old["code"], old.geometry, old["parent"], old["floor_from"], old["floor_to"], strict=True
        )
    }
    kind = {}
    for code, shape, parent, low, high in zip(
        new["code"].astype(str), new.geometry, new["parent"], new["floor_from"], new["floor_to"], strict=True
    ):
        if code not in before:
            kind[code] = "new"
            continue
        was, above, floors = before[code]
        differs = shapely.area(shapely.symmetric_difference(was, shape)) > SAME_GROUND * shapely.area(was)
        differs |= above != (None if pd.isna(parent) else str(parent)) or floors != _floors(low, high)
        kind[code] = "changed" if differs else "same"
    return kind


def _floors(low: Any, high: Any) -> tuple[int, int] | None:
    return None if pd.isna(low) or pd.isna(high) else (int(low), int(high))


def _moved_cells(draft: Division, division: Division) -> set[str]:
    """Lowest cells whose parts are not those that they had."""
    keys = ["building", "unit_from", "unit_to", "floor_from", "floor_to", "cell"]
    one, other = (d.parts[keys].astype(object).where(d.parts[keys].notna(), None) for d in (draft, division))
    had, has = (set(map(tuple, frame.to_numpy().tolist())) for frame in (one, other))
    return {str(row[-1]) for row in had ^ has}


def _touches(draft: Division, division: Division, kind: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """By shared ground of more than a thousandth of either, and by buildings."""
    old, new = draft.cells[0], division.cells[0]
    old_shape, new_shape = (np.asarray(frame.geometry.to_numpy(), dtype=object) for frame in (old, new))
    old_code, new_code = old["code"].astype(str).to_numpy(), new["code"].astype(str).to_numpy()
    changing = np.array([kind[code] != "same" for code in new_code], dtype=bool)
    found: dict[str, set[str]] = {code: {code} for code in new_code[~changing] if code in set(old_code)}
    found |= {code: set() for code in new_code[changing]}
    j, i = shapely.STRtree(old_shape).query(new_shape[changing], predicate="intersects")
    j = np.flatnonzero(changing)[j]
    area = shapely.area(shapely.intersection(new_shape[j], old_shape[i]))
    shared = area > SAME_GROUND * np.minimum(shapely.area(new_shape[j]), shapely.area(old_shape[i]))
    for n, o in zip(j[shared].tolist(), i[shared].tolist(), strict=True):
        found[str(new_code[n])].add(str(old_code[o]))
    for n, o in _by_buildings(draft, division):
        if n in found:
            found[n].add(o)
    return {code: frozenset(cells) for code, cells in found.items()}


def _by_buildings(draft: Division, division: Division) -> set[tuple[str, str]]:
    from gis.partition.lineage import cell_numbers, part_pairs

    pairs = part_pairs(draft.parts, division.parts)
    o = cell_numbers(draft, 0)[pairs["old"].to_numpy()]
    n = cell_numbers(division, 0)[pairs["new"].to_numpy()]
    old, new = (one.cells[0]["code"].astype(str).to_numpy() for one in (draft, division))
    return {(str(new[b]), str(old[a])) for a, b in zip(o.tolist(), n.tolist(), strict=True) if a >= 0 and b >= 0}


def _groups(touches: Mapping[str, frozenset[str]], kind: Mapping[str, str]) -> dict[str, int]:
    """Numbers from 1 for cells that exchange anything with one another."""
    new = sorted(touches)
    old = sorted({code for cells in touches.values() for code in cells})
    at = {code: len(new) + i for i, code in enumerate(old)}
    pairs = [(i, at[cell]) for i, code in enumerate(new) for cell in touches[code]]
    size = len(new) + len(old)
    a, b = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    piece = connected_components(coo_array((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)[1]
    changing = sorted({int(piece[i]) for i, code in enumerate(new) if kind[code] != "same"}, key=piece.tolist().index)
    number = {piece_: n for n, piece_ in enumerate(changing, start=1)}
    return {code: number[int(piece[i])] for i, code in enumerate(new) if int(piece[i]) in number}


# --- Watching --------------------------------------------------------------------------------------------------------


class _Watch:
    """Writes progress into the run's row and reads there whether to stop, both at most every half second."""

    def __init__(self, engine: Engine, run_id: int) -> None:
        self._engine = engine
        self._run_id = run_id
        self._told_at = self._asked_at = float("-inf")
        self._stop = False
        self._shares: dict[int, float] = {}

    def progress(self, done: int, total: int, message: str) -> None:
        self._tell(done=min(done, total), total=total, message=message[:200])

    def within(self, job: int, share: float, _best: float) -> None:
        """Tell how far the search is while no community is done."""
        self._shares[job] = share
        self._tell(message=f"{sum(self._shares.values()) / len(self._shares):.0%}")

    def _tell(self, **values: Any) -> None:
        is_end = values.get("done") is not None and values["done"] == values.get("total")
        if not is_end and time.monotonic() - self._told_at < BEAT_S:
            return
        self._told_at = time.monotonic()
        with unit_of_work(self._engine) as session:
            session.execute(update(ProposalRun).where(ProposalRun.id == self._run_id).values(**values))

    def cancelled(self, *, at_once: bool = False) -> bool:
        """Whether the run is wanted no more; one whose row has vanished is not, either."""
        if not self._stop and (at_once or time.monotonic() - self._asked_at >= BEAT_S):
            self._asked_at = time.monotonic()
            with unit_of_work(self._engine) as session:
                wish = session.scalar(select(ProposalRun.cancel_requested).where(ProposalRun.id == self._run_id))
            self._stop = wish is None or bool(wish)
        return self._stop
