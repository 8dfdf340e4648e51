"""Proposals for a draft: asked for, looked at, accepted wholly or grid by grid.

A run (`gis.proposal_runs`) divides what was asked for again; each of its proposals is stored beside the draft and
changes nothing until it is accepted, which is an edit like any other (`gis.desk_log`). A proposal is of the draft as it
was at an edit number: cells that were changed since are refused, the others may still be accepted.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd
import orjson
import pandas as pd
import shapely
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from gis import messages, plan_review, plans, rules
from gis.db import audit
from gis.division import CELL_COLUMNS, PART_COLUMNS, Division
from gis.errors import Conflict, InvalidInput, NotFound, WrongState
from gis.models import Plan, Proposal, ProposalRun
from gis.partition.redraw import Locks
from gis.permissions import Action, Actor
from gis.plan_storing import locked_draft
from gis.rule_set import RuleSet
from gis.town import WGS84

OPEN_STATES = ("queued", "running")


@dataclass(frozen=True)
class Wish:
    """What a planner asks for.

    Attributes
    ----------
    scope : {"all", "selected", "broken"}
    cells : tuple of int
        Ids of cells of the draft, of any tier; with ``broken`` only those of them that are broken, all if none.
    stability : float
        0 (the best plan, whatever moves) to 1 (change only what is broken).
    alternatives : int
        1 to 3.
    """

    scope: str
    cells: tuple[int, ...] = ()
    stability: float = 0.5
    effort: str = "draft"
    alternatives: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Accepting:
    """What of a proposal may be put into the draft.

    Attributes
    ----------
    division : Division
        Of the communities that the proposal is about.
    continues : mapping of str to int
        From codes in the division, of any tier, to the cells of the draft that they continue.
    chosen : frozenset of str
        Codes of the cells of the top tier to accept; those below them come along.
    refused : tuple of (str, tuple of int)
        Cells of the top tier that were asked for and are left out, each with the cells of the draft that were changed
        meanwhile.
    """

    division: Division
    continues: Mapping[str, int]
    chosen: frozenset[str]
    refused: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def refused_params(self) -> list[dict[str, Any]]:
        """The refused as plain values."""
        return [{"code": code, "cells": list(cells)} for code, cells in self.refused]


def grid_position(rule_set: RuleSet) -> int:
    """Position among the grid tiers of the lowest one of grids: what is freed and locked."""
    return max(i for i, tier in enumerate(rule_set.grid_tiers) if tier.kind == "grid")


# --- Asking ----------------------------------------------------------------------------------------------------------


def request(
    session: Session, plan_id: int, wish: Wish, *, defer: Callable[[int], int], actor: Actor, now: datetime
) -> ProposalRun:
    """Note what is asked for and queue its run, in the session's transaction. Proposals of earlier runs are dropped.

    Parameters
    ----------
    defer : callable
        Queues the run with an id and gives the number of the job.

    Raises
    ------
    NotFound, NotAllowed
    InvalidInput
        ``proposal.bad_scope``, ``proposal.nothing_selected``, ``proposal.unknown_cells``, ``proposal.nothing_broken``,
        ``partition.bad_stability``.
    WrongState
        ``plan.not_draft``.
    Conflict
        ``proposal.run_alive``; ``proposal.all_locked``.
    """
    locked_draft(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    if session.scalar(_latest(plan_id).where(ProposalRun.state.in_(OPEN_STATES))) is not None:
        raise Conflict("proposal.run_alive", plan_id=plan_id)
    if not 0 <= wish.stability <= 1:
        raise InvalidInput("partition.bad_stability", stability=wish.stability)
    locks, is_all = locks_of(session, plan_id)
    chosen = _chosen(session, plan_id, wish)
    grids = _grids_of(session, plan_id, chosen, everything=wish.scope == "all")
    if is_all or not grids - set(locks.grids):
        raise Conflict("proposal.all_locked", plan_id=plan_id)
    older = select(ProposalRun.id).where(ProposalRun.plan_id == plan_id)
    session.execute(delete(Proposal).where(Proposal.run_id.in_(older)))
    run = ProposalRun(
        plan_id=plan_id, scope=wish.scope, cells=sorted(chosen), locks=locks.as_dict(), stability=wish.stability,
        alternatives=wish.alternatives, seed=wish.seed, effort=wish.effort, based_on_seq=seq_of(session, plan_id),
        state="queued", created_at=now, created_by=actor.name, done=0, total=0, findings=[], cancel_requested=False,
    )  # fmt: skip
    session.add(run)
    session.flush()
    run.job_id = defer(run.id)
    audit(session, "plan.propose", subject=f"plan:{plan_id}", actor=actor, now=now, details={"scope": wish.scope})
    session.flush()
    return run


def _chosen(session: Session, plan_id: int, wish: Wish) -> set[str]:
    """Codes of the cells that are selected or broken."""
    known = {row.id: row.code for row in session.execute(_CODES, {"plan": plan_id})}
    if unknown := sorted(set(wish.cells) - known.keys()):
        raise InvalidInput("proposal.unknown_cells", cells=unknown)
    asked = {known[cell] for cell in wish.cells}
    if wish.scope == "all":
        return set()
    if wish.scope == "selected":
        if not asked:
            raise InvalidInput("proposal.nothing_selected")
        return asked
    if wish.scope != "broken":
        raise InvalidInput("proposal.bad_scope", scope=wish.scope)
    found = {row["code"] for row in broken(session, plan_id)}
    found = found & asked if asked else found
    if not found:
        raise InvalidInput("proposal.nothing_broken")
    return found


_CODES = text("SELECT id, code FROM grid WHERE plan_id = :plan")


def _grids_of(session: Session, plan_id: int, codes: set[str], *, everything: bool) -> set[str]:
    """The grids that hold, are, or lie in some cells."""
    depth = grid_position(rules.value(rules.get(session, plans.get(session, plan_id).rule_set_id))) + 1
    known = {"plan": plan_id, "codes": sorted(codes), "depth": depth, "everything": everything}
    return set(session.scalars(_GRIDS, known))


_GRIDS = text(
    """
    WITH RECURSIVE up AS (
        SELECT id, parent_id, code, grid_depth, code = ANY(:codes) AS is_chosen FROM grid
        WHERE plan_id = :plan AND parent_id IS NULL
        UNION ALL
        SELECT g.id, g.parent_id, g.code, g.grid_depth, up.is_chosen OR g.code = ANY(:codes)
        FROM grid g JOIN up ON g.parent_id = up.id
    )
    SELECT g.code FROM up g WHERE g.grid_depth = :depth AND (:everything OR g.is_chosen OR EXISTS (
        SELECT FROM up below WHERE below.parent_id = g.id AND below.code = ANY(:codes)))
    """
)


def broken(session: Session, plan_id: int) -> list[dict[str, Any]]:
    """Cells of a draft that are not as the rules ask: ``id``, ``code``, ``depth``, ``why`` (`gis.partition.proposing`).

    A building without a cell is told by the lowest cell on whose ground it stands.
    """
    return [row._asdict() for row in session.execute(_BROKEN, {"plan": plan_id})]


_BROKEN = text(
    """
    SELECT DISTINCT ON (g.id) g.id, g.code, g.grid_depth AS depth, found.why FROM (
        SELECT id, band_state AS why, 1 AS place FROM grid WHERE plan_id = :plan AND band_state <> 'in_band'
        UNION ALL
        SELECT g.id, 'pieces', 2 FROM grid g JOIN admin_area a ON a.id = g.community_id
        WHERE g.plan_id = :plan AND ST_NumGeometries(g.geom) > 1 AND ST_NumGeometries(a.geom) = 1
          AND (SELECT count(*) FROM ST_Dump(g.geom) piece WHERE ST_Area(piece.geom) > 0.0001 * ST_Area(g.geom)) > 1
        UNION ALL
        SELECT home.id, 'unassigned', 3 FROM building b
        JOIN plan_community pc ON pc.community_id = b.area_id AND pc.plan_id = :plan
        JOIN plan p ON p.id = :plan
        JOIN LATERAL (
            SELECT g.id FROM grid g WHERE g.plan_id = :plan AND g.grid_depth = p.grid_depths
              AND ST_Intersects(g.geom, ST_PointOnSurface(b.geom)) ORDER BY g.id LIMIT 1) home ON true
        WHERE NOT EXISTS (SELECT FROM grid_part gp WHERE gp.plan_id = :plan AND gp.building_id = b.id)
    ) found JOIN grid g ON g.id = found.id ORDER BY g.id, found.place
    """
)


# --- What the desk says of a draft -----------------------------------------------------------------------------------


def seq_of(session: Session, plan_id: int) -> int:
    """The number of the latest edit of a draft; 0 for one that was never edited."""
    return int(session.scalar(text("SELECT seq FROM plan_desk WHERE plan_id = :plan"), {"plan": plan_id}) or 0)


def locks_of(session: Session, plan_id: int) -> tuple[Locks, bool]:
    """What of a draft is locked, by codes, and whether all of it is."""
    held: dict[str, list[str]] = {"buildings": [], "grids": [], "micro_grids": [], "all": []}
    for kind, code in session.execute(_LOCKS, {"plan": plan_id}):
        held[kind].append(code)
    return Locks(tuple(held["buildings"]), tuple(held["grids"]), tuple(held["micro_grids"])), bool(held["all"])


# A lock of a building that no cell holds keeps nothing.
_LOCKS = text(
    """
    SELECT CASE WHEN l.kind = 'cell' THEN t.kind || 's' WHEN l.kind = 'building' THEN 'buildings' ELSE 'all' END,
           coalesce(g.code, b.code, '')
    FROM plan_lock l
    LEFT JOIN grid g ON l.kind = 'cell' AND g.id = l.item_id AND g.plan_id = l.plan_id
    LEFT JOIN tier t ON t.rule_set_id = g.rule_set_id AND t.grid_depth = g.grid_depth
    LEFT JOIN building b ON l.kind = 'building' AND b.id = l.item_id
         AND EXISTS (SELECT FROM grid_part gp WHERE gp.plan_id = l.plan_id AND gp.building_id = b.id)
    WHERE l.plan_id = :plan AND (g.id IS NOT NULL OR b.id IS NOT NULL OR l.kind = 'all')
    """
)


def touched_since(session: Session, plan_id: int, seq: int) -> set[int]:
    """Cells of a draft, of any tier, that any edit after a number changed, made or removed."""
    found: set[int] = set()
    for cells, answer in session.execute(_TOUCHED, {"plan": plan_id, "seq": seq}):
        # The log names lowest cells; what was answered names those above them too.
        told = orjson.loads(zlib.decompress(answer)) if answer else {}
        found |= {*cells, *(cell["id"] for cell in told.get("cells", ())), *told.get("removed_cells", ())}
    return found


def _changed(session: Session, run: ProposalRun) -> set[int]:
    """Cells of the draft that are not what they were when a run started, and those that are gone."""
    gone = session.scalars(_GONE, {"plan": run.plan_id, "run": run.id})
    return touched_since(session, run.plan_id, run.based_on_seq) | set(gone)


_GONE = text(
    """
    SELECT unnest(c.touches) FROM proposal_cell c JOIN proposal p ON p.id = c.proposal_id WHERE p.run_id = :run
    EXCEPT SELECT id FROM grid WHERE plan_id = :plan
    """
)
# What only names or locks a cell leaves it as it was.
_TOUCHED = text(
    """
    SELECT cells, answer FROM plan_edit
    WHERE plan_id = :plan AND seq > :seq AND kind NOT IN ('lock', 'unlock', 'rename', 'dedicate')
    """
)


# --- Looking ---------------------------------------------------------------------------------------------------------


def _latest(plan_id: int) -> Any:
    return select(ProposalRun).where(ProposalRun.plan_id == plan_id).order_by(ProposalRun.id.desc()).limit(1)


def run_of(session: Session, plan_id: int) -> ProposalRun:
    """The latest run of a draft.

    Raises
    ------
    NotFound
        ``proposal.no_run``.
    """
    run = session.scalar(_latest(plan_id))
    if run is None:
        raise NotFound("proposal.no_run", plan_id=plan_id)
    found: ProposalRun = run
    return found


def describe(run: ProposalRun, *, language: str) -> dict[str, Any]:
    """A run as plain values, what the diagnosis told as sentences."""
    error = None
    if run.error_code is not None:
        params = run.error_params or {}
        sentence = messages.text(run.error_code, params, language=language)
        error = {"code": run.error_code, "params": params, "text": sentence}
    return {
        "id": run.id, "plan_id": run.plan_id, "state": run.state, "scope": run.scope, "cells": run.cells,
        "locks": run.locks, "stability": run.stability, "effort": run.effort, "alternatives": run.alternatives,
        "seed": run.seed, "based_on_seq": run.based_on_seq, "done": run.done, "total": run.total,
        "message": run.message, "error": error, "cancel_requested": run.cancel_requested,
        "findings": _told(run.findings, language), "before": run.before, "created_at": run.created_at,
        "created_by": run.created_by, "started_at": run.started_at, "finished_at": run.finished_at,
    }  # fmt: skip


def _told(findings: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    return [
        {**row, "text": messages.text(row["code"], {"layer": row["layer"], "key": row["key"], **row["params"]},
                                      language=language)}
        for row in findings
    ]  # fmt: skip


def listed(session: Session, plan_id: int, *, actor: Actor, language: str) -> dict[str, Any]:
    """The latest run of a draft (``None`` if there was none), its proposals with scores, and what is broken now.

    Raises
    ------
    NotFound
        ``plan.unknown``.
    """
    plan_review.require_whole(session, plan_id, actor=actor)
    run = session.scalar(_latest(plan_id))
    wrong = broken(session, plan_id)
    if run is None:
        return {"run": None, "items": [], "broken": wrong}
    touched = _changed(session, run)
    rows = session.scalars(select(Proposal).where(Proposal.run_id == run.id).order_by(Proposal.number)).all()
    items = [_line(session, run, row, touched, language) for row in rows]
    return {"run": describe(run, language=language), "items": items, "broken": wrong}


def _line(session: Session, run: ProposalRun, row: Proposal, touched: set[int], language: str) -> dict[str, Any]:
    changed = session.execute(_CHANGED, {"proposal": row.id, "touched": sorted(touched)}).one()
    return {
        "id": row.id, "number": row.number, "emphasis": _emphasis(row.emphasis), "state": "ready",
        "scores": row.scores, "moves": row.moves["tiers"], "moved_households": _moved(row),
        "cells_changed": changed.cells, "groups": changed.groups, "cells_stale": changed.stale,
        "based_on_seq": run.based_on_seq, "findings": _told(row.findings, language),
        "difference": row.moves.get("difference", []),
    }  # fmt: skip


_CHANGED = text(
    """
    SELECT count(*) AS cells, count(DISTINCT group_no) AS groups,
           count(*) FILTER (WHERE touches && CAST(:touched AS bigint[])) AS stale
    FROM proposal_cell WHERE proposal_id = :proposal AND group_no IS NOT NULL AND touches <> '{}'
    """
)


def _emphasis(code: str) -> dict[str, str]:
    from gis.partition.alternatives import EMPHASES

    found = next(one for one in EMPHASES if one.code == code)
    return {"code": code, "name_zh": found.name_zh, "name_en": found.name_en}


def _moved(row: Proposal) -> int:
    tiers = row.moves["tiers"]
    return int(tiers[row.moves["position"]]["households_moved"]) if tiers else 0


def get(session: Session, plan_id: int, proposal_id: int) -> tuple[ProposalRun, Proposal]:
    """A proposal of a draft, with its run.

    Raises
    ------
    NotFound
        ``proposal.unknown``.
    """
    row = session.execute(
        select(ProposalRun, Proposal)
        .join(Proposal, Proposal.run_id == ProposalRun.id)
        .where(Proposal.id == proposal_id, ProposalRun.plan_id == plan_id)
    ).first()
    if row is None:
        raise NotFound("proposal.unknown", proposal=proposal_id)
    return row[0], row[1]


def shown(session: Session, plan_id: int, proposal_id: int, *, actor: Actor, language: str) -> dict[str, Any]:
    """One proposal: its scores, the cells that change as features, and what moves from cell to cell.

    Properties of a cell: ``id``, ``code``, ``depth``, ``parent``, ``continues`` (id in the draft), ``change``,
    ``group``, ``touches``, ``stale``, ``households``, ``households_in``, ``area_m2``, ``band_state``, ``floor_from``,
    ``floor_to``.
    """
    plan_review.require_whole(session, plan_id, actor=actor)
    run, row = get(session, plan_id, proposal_id)
    touched = _changed(session, run)
    cells = session.execute(_FEATURES, {"proposal": proposal_id, "touched": sorted(touched)}).all()
    return {
        **_line(session, run, row, touched, language),
        "cells": {"type": "FeatureCollection", "features": [_feature(cell._asdict()) for cell in cells]},
        "pairs": row.moves["pairs"],
        "lineage": row.moves["lineage"],
    }


def _feature(row: Mapping[str, Any]) -> dict[str, Any]:
    properties = dict(row)
    shape = shapely.from_wkb(bytes(properties.pop("wkb")))
    return {
        "type": "Feature", "id": properties["id"], "bbox": list(shape.bounds),
        "geometry": shapely.geometry.mapping(shape), "properties": properties,
    }  # fmt: skip


_FEATURES = text(
    """
    SELECT id, code, grid_depth AS depth, parent_code AS parent, continues_id AS continues, change, group_no AS "group",
           touches, touches && CAST(:touched AS bigint[]) AS stale, households, households_in, area_m2, band_state,
           floor_from, floor_to, ST_AsBinary(geom) AS wkb
    FROM proposal_cell WHERE proposal_id = :proposal AND group_no IS NOT NULL ORDER BY grid_depth, code
    """
)


def cancel(session: Session, plan_id: int, *, actor: Actor, now: datetime) -> ProposalRun:
    """A run is asked to stop: at once if it still waits, at its next step if it runs.

    Raises
    ------
    NotFound
        ``proposal.no_run``.
    WrongState
        ``proposal.run_over``.
    """
    plan_review.require_on(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    run = run_of(session, plan_id)
    session.refresh(run, with_for_update=True)
    if run.state not in OPEN_STATES:
        raise WrongState("proposal.run_over", plan_id=plan_id, state=run.state)
    run.cancel_requested = True
    if run.state == "queued":
        run.state, run.finished_at = "cancelled", now
    audit(session, "plan.cancel_proposal", subject=f"plan:{plan_id}", actor=actor, now=now)
    return run


# --- Accepting -------------------------------------------------------------------------------------------------------


def accepting(session: Session, plan_id: int, proposal_id: int, cells: Sequence[int] | None = None) -> Accepting:
    """What of a proposal can be put into the draft now; the caller holds the plan's row.

    Parameters
    ----------
    cells : sequence of int, optional
        Ids of cells of the proposal; those that lie in another count as that. By default all that change.

    Raises
    ------
    NotFound
        ``proposal.unknown``.
    InvalidInput
        ``proposal.unknown_cell``, ``proposal.nothing_changes``.
    Conflict
        ``proposal.stale`` where all that was asked for was changed since.
    """
    run, _ = get(session, plan_id, proposal_id)
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    rows = [row._asdict() for row in session.execute(_CELLS, {"proposal": proposal_id})]
    wanted = _wanted(rows, cells)
    there = {row.id for row in session.execute(_CODES, {"plan": plan_id})}
    touched = _changed(session, run)
    stale = {row["code"]: tuple(cell for cell in row["touches"] if cell in touched) for row in wanted}
    refused = tuple((code, changed) for code, changed in stale.items() if changed)
    chosen = frozenset(stale) - {code for code, _ in refused}
    if not chosen:
        names = {row.id: row.code for row in session.execute(_CODES, {"plan": plan_id})}
        codes = sorted({names.get(cell, str(cell)) for _, changed in refused for cell in changed})
        raise Conflict("proposal.stale", cells=codes, refused=[{"code": c, "cells": list(ids)} for c, ids in refused])
    continues = {row["code"]: row["continues_id"] for row in rows if row["continues_id"] in there}
    return Accepting(_division(session, plan, rule_set, proposal_id, rows), continues, chosen, refused)


def _wanted(rows: Sequence[Mapping[str, Any]], cells: Sequence[int] | None) -> list[Mapping[str, Any]]:
    """The cells of the top tier to accept: those named, or that hold what was named."""
    changing = [row for row in rows if row["grid_depth"] == 1 and row["group_no"] is not None]
    if cells is None:
        if not changing:
            raise InvalidInput("proposal.nothing_changes")
        return changing
    by_id, by_code = {row["id"]: row for row in rows}, {row["code"]: row for row in rows}
    codes: set[str] = set()
    for cell in cells:
        if cell not in by_id:
            raise InvalidInput("proposal.unknown_cell", cell=cell)
        row = by_id[cell]
        while row["grid_depth"] > 1:
            row = by_code[row["parent_code"]]
        codes.add(row["code"])
    found = [row for row in changing if row["code"] in codes]
    if not found:
        raise InvalidInput("proposal.nothing_changes")
    return found


def _division(
    session: Session, plan: Plan, rule_set: RuleSet, proposal_id: int, rows: Sequence[Mapping[str, Any]]
) -> Division:
    frames = []
    for depth in range(1, plan.grid_depths + 1):
        own = [row for row in rows if row["grid_depth"] == depth]
        frame = pd.DataFrame([{name: row[name] for name in CELL_COLUMNS} for row in own], columns=list(CELL_COLUMNS))
        for column in ("households", "floor_from", "floor_to"):
            frame[column] = frame[column].astype("Int64")
        shapes = gpd.GeoSeries.from_wkb([bytes(row["wkb"]) for row in own], crs=WGS84)
        frames.append(gpd.GeoDataFrame(frame, geometry=shapes))
    found = [row._asdict() for row in session.execute(_PARTS, {"proposal": proposal_id})]
    parts = pd.DataFrame(found, columns=list(PART_COLUMNS))
    for column in ("unit_from", "unit_to", "floor_from", "floor_to", "households"):
        parts[column] = parts[column].astype("Int64")
    return Division(rule_set, tuple(frames), parts)


_CELLS = text(
    """
    SELECT c.id, c.code, a.code AS community, c.parent_code, c.parent_code AS parent, c.grid_depth, c.continues_id,
           c.change, c.group_no, c.touches, c.households, c.area_m2, c.floor_from, c.floor_to,
           ST_AsBinary(c.geom) AS wkb
    FROM proposal_cell c JOIN admin_area a ON a.id = c.community_id
    WHERE c.proposal_id = :proposal ORDER BY c.grid_depth, c.code
    """
)
_PARTS = text(
    """
    SELECT b.code AS building, lower(p.unit_span) AS unit_from, upper(p.unit_span) - 1 AS unit_to,
           lower(p.floor_span) AS floor_from, upper(p.floor_span) - 1 AS floor_to, p.households, p.units_estimated,
           p.cell_code AS cell
    FROM proposal_part p JOIN building b ON b.id = p.building_id WHERE p.proposal_id = :proposal ORDER BY p.number
    """
)
