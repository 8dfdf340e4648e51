"""How a division becomes the rows of a draft: cells, parts and findings, in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import shapely
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import plan_report
from gis.db import audit
from gis.division import Division
from gis.errors import InvalidPlan, NotFound, WrongState
from gis.models import AdminArea, Plan, PlanCommunity, PlanEvent, PlanFinding, TierRow
from gis.permissions import Action, Actor, require
from gis.plan_cover import colours
from gis.plan_lineage import recode
from gis.rule_set import band_states
from gis.town_rows import town_of

PartKey = tuple[int, int | None, int | None, int | None, int | None, int]


def locked_draft(session: Session, plan_id: int, *, action: Action, actor: Actor) -> Plan:
    """A draft, locked against others until the transaction ends, that somebody may work on.

    Raises
    ------
    NotFound
        ``plan.unknown``.
    NotAllowed
    WrongState
        ``plan.not_draft``.
    """
    plan = locked(session, plan_id, action=action, actor=actor)
    if plan.status != "draft":
        raise WrongState("plan.not_draft", plan=plan_id, status=plan.status)
    return plan


def locked(session: Session, plan_id: int, *, action: Action, actor: Actor) -> Plan:
    """A plan of any state, locked, that somebody may work on."""
    plan = session.scalar(
        select(Plan).where(Plan.id == plan_id).with_for_update().execution_options(populate_existing=True)
    )
    if plan is None:
        raise NotFound("plan.unknown", plan=plan_id)
    require(actor, action, session.scalar(select(AdminArea.path).where(AdminArea.id == plan.area_id)))
    return plan


def store_division(
    session: Session,
    plan_id: int,
    *,
    division: Division,
    actor: Actor,
    now: datetime,
    quality: dict[str, Any] | None = None,
    report: Mapping[str, Any] | None = None,
) -> Plan:
    """Make a division the content of a draft, in place of what it held before.

    Buildings are cut as the division asks by new `building_part` rows that are valid at no time yet: a draft changes
    nothing that is in force. Rows with the same cut and count are used again.

    The plan's report (`gis.plan_report`) is stored with it, made of the town in the database unless it is given.

    Raises
    ------
    InvalidPlan
        ``plan.wrong_depths``, ``plan.wrong_communities``, ``plan.unknown_building``, ``plan.sums_disagree``.
    NotAllowed
    WrongState
        ``plan.not_draft``.
    """
    plan = locked_draft(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    communities = _communities(session, plan, division)
    _check_sums(division)
    clear(session, plan_id)
    ids = _insert_cells(session, plan, division, communities)
    _insert_parts(session, plan, division, ids, list(communities.values()))
    session.add_all(
        PlanFinding(
            plan_id=plan_id,
            code=finding.code,
            severity=str(finding.severity),
            layer=finding.layer,
            key=finding.key,
            params=plan_report.plain(finding.params),
        )
        for finding in division.findings
    )
    plan.recipe = {**plan.recipe, **plan_report.plain(dict(division.recipe))}
    plan.quality = None if quality is None else plan_report.plain(quality)
    session.flush()  # what was noticed is renamed with the cells
    if report is None:
        town = town_of(session, community_ids=list(communities.values()))
        report = plan_report.collect(division, town, title=plan.title, quality=quality)
    plan_report.store(session, plan_id, report, made_at=now)
    recode(session, plan_id)
    note_event(session, plan, "store", actor=actor, now=now)
    audit(session, "plan.store", subject=f"plan:{plan_id}", actor=actor, now=now)
    session.flush()
    return plan


def clear(session: Session, plan_id: int) -> None:
    """Take all cells, parts and findings out of a draft, and the cuts that nothing else uses."""
    parts = {"plan": plan_id}
    _clear_desk(session, plan_id)
    unused = session.scalars(
        text(
            "SELECT building_part_id FROM grid_part gp JOIN building_part p ON p.id = gp.building_part_id"
            " WHERE plan_id = :plan AND isempty(p.valid_during)"
        ),
        parts,
    ).all()
    session.execute(text("DELETE FROM grid_part WHERE plan_id = :plan"), parts)
    session.execute(
        text(
            "DELETE FROM building_part p WHERE p.id = ANY(:ids)"
            " AND NOT EXISTS (SELECT FROM grid_part gp WHERE gp.building_part_id = p.id)"
            " AND NOT EXISTS (SELECT FROM incident i WHERE i.building_part_id = p.id)"
        ),
        {"ids": list(unused)},
    )
    for depth in range(6, 0, -1):
        session.execute(
            text("DELETE FROM grid WHERE plan_id = :plan AND grid_depth = :depth"), {**parts, "depth": depth}
        )
    session.execute(text("DELETE FROM plan_finding WHERE plan_id = :plan"), parts)
    session.execute(text("DELETE FROM plan_report WHERE plan_id = :plan"), parts)


def _clear_desk(session: Session, plan_id: int) -> None:
    """Drop the ground of a plan whose cells are made anew; what was edited before can no longer be undone.

    The number of the log goes on, so that a page that has seen the old cells notices.
    """
    for table in ("plan_edge", "plan_face", "plan_lock"):
        session.execute(text(f"DELETE FROM {table} WHERE plan_id = :plan"), {"plan": plan_id})
    session.execute(
        text(
            "UPDATE plan_desk SET is_ready = false, is_aligned = false, seq = seq + 1, closed_seq = seq + 1"
            " WHERE plan_id = :plan"
        ),
        {"plan": plan_id},
    )


def note_event(
    session: Session,
    plan: Plan,
    kind: str,
    *,
    actor: Actor,
    now: datetime,
    document_no: str | None = None,
    note: str | None = None,
) -> None:
    """Add a line to the log of a plan (the caller holds the plan's row)."""
    seq = session.scalar(
        text("SELECT coalesce(max(seq), 0) + 1 FROM plan_event WHERE plan_id = :plan"), {"plan": plan.id}
    )
    session.add(
        PlanEvent(
            plan_id=plan.id,
            seq=seq,
            kind=kind,
            at=now,
            actor_id=actor.user_id,
            actor=actor.name,
            document_no=document_no,
            note=note,
        )
    )
    session.flush()


def _communities(session: Session, plan: Plan, division: Division) -> dict[str, int]:
    if len(division.cells) != plan.grid_depths:
        raise InvalidPlan("plan.wrong_depths", plan=plan.id, wanted=plan.grid_depths, found=len(division.cells))
    rows = session.execute(
        select(AdminArea.code, AdminArea.id)
        .join(PlanCommunity, PlanCommunity.community_id == AdminArea.id)
        .where(PlanCommunity.plan_id == plan.id)
    )
    wanted = {row.code: row.id for row in rows}
    found = set(division.cells[0]["community"].astype(str))
    if found != set(wanted):
        raise InvalidPlan(
            "plan.wrong_communities",
            plan=plan.id,
            missing=sorted(set(wanted) - found)[:10],
            unknown=sorted(found - set(wanted))[:10],
        )
    return wanted


def _check_sums(division: Division) -> None:
    """Households of the parts are those of their cells, and of the cells those of the cell above."""
    below = division.parts.groupby(division.parts["cell"].astype(str))["households"].sum()
    for depth in range(len(division.cells), 0, -1):
        cells = division.cells[depth - 1]
        stated = pd.Series(cells["households"].to_numpy(dtype=np.int64), index=cells["code"].astype(str))
        summed = below.reindex(stated.index, fill_value=0).astype(np.int64)
        wrong = stated.index[(stated != summed).to_numpy()]
        strange = below.index.difference(stated.index)
        if len(wrong) or len(strange):
            cell = str(wrong[0] if len(wrong) else strange[0])
            raise InvalidPlan("plan.sums_disagree", depth=depth, cell=cell, cells=len(wrong) + len(strange))
        if depth > 1:
            below = stated.groupby(cells["parent"].astype(str).to_numpy()).sum()


def _insert_cells(session: Session, plan: Plan, division: Division, communities: dict[str, int]) -> dict[str, int]:
    """Insert the cells of all tiers, the top first; gives the ids of the lowest tier by code."""
    tiers = {
        tier.grid_depth: tier
        for tier in session.scalars(select(TierRow).where(TierRow.rule_set_id == plan.rule_set_id))
    }
    buildings = _buildings_in_cells(division)
    above: dict[str, int] = {}
    for depth, frame in enumerate(division.cells, start=1):
        ids = next_ids(session, "grid", len(frame))
        codes = frame["code"].astype(str).tolist()
        rows = zip(
            ids,
            [plan.id] * len(frame),
            [communities[code] for code in frame["community"].astype(str)],
            [plan.rule_set_id] * len(frame),
            [depth] * len(frame),
            [above[str(code)] for code in frame["parent"]] if depth > 1 else [None] * len(frame),
            codes,
            _whole(frame["floor_from"]),
            _whole(frame["floor_to"]),
            _whole(frame["households"]),
            [buildings[depth - 1].get(code, 0) for code in codes],
            frame["area_m2"].astype(float).tolist(),
            band_states(frame["households"].to_numpy(dtype=np.int64), tiers[depth]),
            colours(np.asarray(frame.geometry.to_numpy(), dtype=object)).tolist(),
            ewkb_hex(np.asarray(frame.geometry.to_numpy(), dtype=object)),
            strict=True,
        )
        copy_rows(session, "grid", _GRID_COLUMNS, rows)
        above = dict(zip(codes, ids, strict=True))
    return above


_GRID_COLUMNS = (
    "id, plan_id, community_id, rule_set_id, grid_depth, parent_id, code, floor_from, floor_to, households, buildings,"
    " area_m2, band_state, color_index, geom"
)


def _buildings_in_cells(division: Division) -> list[dict[str, int]]:
    """How many buildings each cell holds, whole or in part, a dict a tier."""
    held = pd.DataFrame(
        {"cell": division.parts["cell"].astype(str), "building": division.parts["building"].astype(str)}
    ).drop_duplicates()
    counts: list[dict[str, int]] = []
    for depth in range(len(division.cells), 0, -1):
        counts.insert(0, held.groupby("cell").size().to_dict())
        cells = division.cells[depth - 1]
        if depth > 1:
            parents = dict(zip(cells["code"].astype(str), cells["parent"].astype(str), strict=True))
            held = held.assign(cell=held["cell"].map(parents)).drop_duplicates()
    return counts


def _insert_parts(
    session: Session, plan: Plan, division: Division, cells: dict[str, int], community_ids: Sequence[int]
) -> None:
    buildings = {
        row.code: row.id
        for row in session.execute(
            text("SELECT id, code FROM building WHERE area_id = ANY(:ids)"), {"ids": list(community_ids)}
        )
    }
    parts = division.parts
    unknown = [code for code in parts["building"].astype(str) if code not in buildings]
    if unknown:
        raise InvalidPlan("plan.unknown_building", plan=plan.id, building=unknown[0], buildings=len(unknown))
    keys: list[PartKey] = list(
        zip(
            [buildings[code] for code in parts["building"].astype(str)],
            _whole(parts["unit_from"]),
            _whole(parts["unit_to"]),
            _whole(parts["floor_from"]),
            _whole(parts["floor_to"]),
            [int(count) for count in parts["households"]],
            strict=True,
        )
    )
    estimated = parts["units_estimated"].astype("boolean").fillna(False).tolist()
    ids = part_ids(session, keys, estimated)
    copy_rows(
        session,
        "grid_part",
        "plan_id, building_part_id, grid_id, grid_depth, building_id, unit_span, floor_span, households",
        (
            (
                plan.id,
                part,
                cells[cell],
                plan.grid_depths,
                key[0],
                span_text(key[1], key[2]),
                span_text(key[3], key[4]),
                key[5],
            )
            for part, cell, key in zip(ids, parts["cell"].astype(str), keys, strict=True)
        ),
    )  # fmt: skip


def part_ids(session: Session, keys: list[PartKey], estimated: list[bool]) -> list[int]:
    """Ids of the parts: of rows in force or of other drafts with the same cut and count, else of new rows."""
    known: dict[PartKey, int] = {
        (row.building_id, row.unit_from, row.unit_to, row.floor_from, row.floor_to, row.households): row.id
        for row in session.execute(_LIVE_PARTS, {"ids": sorted({key[0] for key in keys})})
    }
    missing = [i for i, key in enumerate(keys) if key not in known]
    fresh = next_ids(session, "building_part", len(missing))
    copy_rows(
        session,
        "building_part",
        "id, building_id, unit_span, floor_span, households, units_estimated",
        (
            (
                part,
                keys[i][0],
                span_text(keys[i][1], keys[i][2]),
                span_text(keys[i][3], keys[i][4]),
                keys[i][5],
                estimated[i],
            )
            for part, i in zip(fresh, missing, strict=True)
        ),
    )
    known |= {keys[i]: part for part, i in zip(fresh, missing, strict=True)}
    return [known[key] for key in keys]


# A part in force comes before one of another draft with the same cut.
_LIVE_PARTS = text(
    """
    SELECT id, building_id, lower(unit_span) AS unit_from, upper(unit_span) - 1 AS unit_to,
           lower(floor_span) AS floor_from, upper(floor_span) - 1 AS floor_to, households
    FROM building_part
    WHERE building_id = ANY(:ids) AND (isempty(valid_during) OR upper_inf(valid_during))
    ORDER BY isempty(valid_during) DESC, id DESC
    """
)


def next_ids(session: Session, table: str, count: int) -> list[int]:
    """Take ids from a table's sequence beforehand, so that rows of several tables can be written by COPY."""
    return list(
        session.scalars(
            text("SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :count)"),
            {"table": table, "count": count},
        )
    )


def copy_rows(session: Session, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows by COPY: some ten times as fast as INSERT, and all guards hold all the same."""
    session.flush()
    connection: Any = session.connection().connection
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def ewkb_hex(geometries: np.ndarray[Any, np.dtype[np.object_]]) -> list[str]:
    multi = np.array(
        [g if g.geom_type == "MultiPolygon" else shapely.multipolygons([g]) for g in shapely.force_2d(geometries)],
        dtype=object,
    )
    hexes: list[str] = shapely.to_wkb(shapely.set_srid(multi, 4326), hex=True, include_srid=True).tolist()
    return hexes


def span_text(first: int | None, last: int | None) -> str:
    """The text of an int4range from the first to the last, both inclusive; missing ends are open."""
    return f"{'(' if first is None else f'[{first}'},{'' if last is None else last + 1})"


def _whole(values: pd.Series) -> list[int | None]:
    return [None if pd.isna(value) else int(value) for value in values]
