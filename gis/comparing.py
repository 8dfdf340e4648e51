"""Any two plans side by side: what moves from cell to cell, whom it concerns, and which scores better.

Only the communities that both have and the asker may see are compared. A household moves where its new cell does not
continue the one that it was in (`gis.partition.lineage`); the same rule says what a post or an open incident does.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from gis import plan_redraw, plan_review, plan_scores, plans
from gis.division import Division
from gis.errors import InvalidInput
from gis.models import Plan
from gis.partition.moves import ROW_COLUMNS, Moves, moves
from gis.permissions import Action, Actor, may, scopes
from gis.plan_report import plain
from gis.proposals import grid_position
from gis.rule_set import followed_tiers
from gis.town import Town

MOST_LISTED = 500
"""Incidents and posts that are listed; the counts are of all."""


@dataclass(frozen=True)
class _Pair:
    """Two plans over the communities that they have in common."""

    before: Plan
    after: Plan
    community_ids: list[int]
    old: Division
    new: Division
    moves: Moves
    position: int
    """Of the tier of grids in the new plan."""

    def continued(self, depth: int) -> dict[str, str]:
        """From the new cells of a tier to the old ones that they continue."""
        edges = self.moves.lineage
        here = edges[(edges["depth"] == depth) & edges["kind"].isin(["keep", "redraw"])]
        return dict(zip(here["new"], here["old"], strict=True))


def compare(session: Session, plan_id: int, other_id: int, *, actor: Actor, at: datetime) -> dict[str, Any]:
    """Compare a plan with another, which counts as what was before.

    Returns
    -------
    dict
        ``before``, ``after`` (``id``, ``title``, ``state``), ``communities``, ``depth`` (of the grids), ``tiers`` (what
        moves in each, `gis.partition.moves`), ``lineage`` (shares in per cent with two decimals that sum to 100 over an
        old and over a new cell, with the ids of both), ``people`` (each pair of cells between which something moves:
        ``households``, ``buildings``, ``residents``, who answers before and after), ``incidents`` and ``posts`` (counts
        and ``items``).

    Raises
    ------
    NotFound
        ``plan.unknown``, also for a plan of which nothing may be seen.
    InvalidInput
        ``compare.same_plan``, ``compare.nothing_common``, ``compare.empty``.
    """
    pair = _pair(session, plan_id, other_id, actor=actor)
    shows_phones = may(actor, Action.VIEW_CONTACTS, plan_review.path_of(session, plan_id))
    people = plan_redraw.people(session, pair.moves, [other_id], plan_id, at=at, shows_phones=shows_phones)
    told = pair.moves.as_dict()
    return {
        "before": _named(session, pair.before),
        "after": _named(session, pair.after),
        "communities": [row._asdict() for row in session.execute(_COMMUNITIES, {"ids": pair.community_ids})],
        "depth": pair.position + 1,
        "tiers": told["tiers"],
        "lineage": _with_ids(session, pair, told["lineage"]),
        "people": _with_residents(pair, people),
        "incidents": _incidents(session, pair, actor),
        "posts": _posts(session, pair, at),
    }


def scores(session: Session, plan_id: int, other_id: int, *, actor: Actor) -> dict[str, Any]:
    """What both plans are worth, measured alike over what they have in common: ``before``, ``after``.

    Raises
    ------
    NotFound, InvalidInput
        As `compare`.
    """
    rows = _common(session, plan_id, other_id, actor=actor)
    town: Town | None = None
    found = {}
    for name, one in (("before", other_id), ("after", plan_id)):
        key = (session.connection().engine.url, _version(session, one), tuple(row.code for row in rows))
        if (kept := _SCORED.get(key)) is None:
            town = town or plans.town_of(session, community_ids=[row.id for row in rows])
            kept = plan_scores.scores(_division(session, one, {row.code for row in rows}), town)
            _keep(key, kept)
        found[name] = kept
    return found


_SCORED: dict[Any, dict[str, Any]] = {}
_MOST_KEPT = 32


def _keep(key: Any, scored: dict[str, Any]) -> None:
    if len(_SCORED) >= _MOST_KEPT:
        _SCORED.pop(next(iter(_SCORED)), None)
    _SCORED[key] = scored


def _version(session: Session, plan_id: int) -> tuple[Any, ...]:
    """What changes whenever the cells of a plan, or the buildings in them, do."""
    return tuple(session.execute(_VERSION, {"plan": plan_id}).one())


_VERSION = text(
    """
    SELECT p.id, p.created_at, p.revision, (SELECT seq FROM plan_desk WHERE plan_id = p.id),
           (SELECT made_at FROM plan_report WHERE plan_id = p.id), (SELECT max(id) FROM import_run)
    FROM plan p WHERE p.id = :plan
    """
)


def _pair(session: Session, plan_id: int, other_id: int, *, actor: Actor) -> _Pair:
    rows = _common(session, plan_id, other_id, actor=actor)
    codes = {row.code for row in rows}
    new, old = (_division(session, one, codes) for one in (plan_id, other_id))
    after, before = plans.get(session, plan_id), plans.get(session, other_id)
    found = moves(old, new, plan_redraw.buildings(session, plan_id))
    return _Pair(before, after, [row.id for row in rows], old, new, found, grid_position(new.rules))


def _division(session: Session, plan_id: int, codes: set[str]) -> Division:
    division = plan_redraw.within(plan_review.division_of(session, plan_id), codes)
    if not len(division.cells[0]):
        raise InvalidInput("compare.empty", plan=plan_id, title=plans.get(session, plan_id).title)
    return division


def _common(session: Session, plan_id: int, other_id: int, *, actor: Actor) -> Sequence[Row[Any]]:
    """The communities of both plans that somebody may see."""
    if plan_id == other_id:
        raise InvalidInput("compare.same_plan", plan=plan_id)
    seen = [plan_review.seen_scopes(session, one, actor=actor) for one in (plan_id, other_id)]
    rows = session.execute(
        _COMMON, {"one": plan_id, "other": other_id, "one_scopes": list(seen[0]), "other_scopes": list(seen[1])}
    ).all()
    if not rows:
        raise InvalidInput("compare.nothing_common", plan=plan_id, other=other_id)
    return rows


_COMMON = text(
    """
    SELECT a.id, a.code FROM admin_area a
    JOIN plan_community one ON one.community_id = a.id AND one.plan_id = :one
    JOIN plan_community other ON other.community_id = a.id AND other.plan_id = :other
    WHERE a.path <@ ANY(CAST(:one_scopes AS ltree[])) AND a.path <@ ANY(CAST(:other_scopes AS ltree[]))
    ORDER BY a.code
    """
)


_COMMUNITIES = text("SELECT code, name, name_en FROM admin_area WHERE id = ANY(:ids) ORDER BY code")


def _named(session: Session, plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id, "title": plan.title, "state": plans.state_of(session, plan.id),
        "effective_from": plan.effective_from, "document_no": plan.document_no,
    }  # fmt: skip


# --- What moves ------------------------------------------------------------------------------------------------------


def _ids(session: Session, plan_id: int) -> dict[str, int]:
    return {row.code: row.id for row in session.execute(_CELLS, {"plan": plan_id})}


_CELLS = text("SELECT id, code FROM grid WHERE plan_id = :plan")


def _with_ids(session: Session, pair: _Pair, edges: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    old, new = _ids(session, pair.before.id), _ids(session, pair.after.id)
    return [{**edge, "old_id": old.get(edge["old"]), "new_id": new.get(edge["new"])} for edge in edges]


def _with_residents(pair: _Pair, people: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Residents of each pair of cells; unknown where those of a building that moves are."""
    rows = pair.moves.rows
    by = rows.groupby(["depth", "from_cell", "to_cell"])["residents"].agg(["sum", "count", "size"])
    found = {key: int(row["sum"]) if row["count"] == row["size"] else None for key, row in by.iterrows()}
    return [{**one, "residents": found.get((one["depth"], one["from_cell"], one["to_cell"]))} for one in people]


def shown(session: Session, plan_id: int, other_id: int, *, actor: Actor, depth: int | None = None) -> dict[str, Any]:
    """The same on the map: buildings that move with their old and new cells, and the cells that differ of either plan.

    Parameters
    ----------
    depth : int, optional
        Grid depth in the new plan; by default that of the grids.

    Returns
    -------
    dict
        ``depth``; ``buildings``, ``before``, ``after``: FeatureCollections. A building that moves in parts to several
        cells is told of the largest part, with ``is_split``.
    """
    pair = _pair(session, plan_id, other_id, actor=actor)
    depth = depth or pair.position + 1
    edges = pair.moves.lineage
    changed = edges[(edges["depth"] == depth) & (edges["kind"] != "keep")]
    old_depth = _old_depth(pair, depth)
    return {
        "depth": depth,
        "buildings": _collection(_buildings(session, pair, depth)),
        "before": _collection(_outlines(session, pair.before.id, changed["old"].dropna().tolist(), old_depth)),
        "after": _collection(_outlines(session, pair.after.id, changed["new"].dropna().tolist(), depth)),
    }


def _old_depth(pair: _Pair, depth: int) -> int:
    matched = followed_tiers(pair.old.rules, pair.new.rules)
    found = matched[depth - 1] if depth <= len(matched) else None
    return depth if found is None else found + 1


def _buildings(session: Session, pair: _Pair, depth: int) -> list[dict[str, Any]]:
    rows = pair.moves.rows
    here = rows[rows["depth"] == depth].sort_values("households", ascending=False)
    by: dict[str, dict[str, Any]] = {}
    for row in here.itertuples():
        known = by.setdefault(
            str(row.building), {"from_cell": row.from_cell, "to_cell": row.to_cell, "households": 0, "is_split": False}
        )
        known["households"] += int(row.households)
        known["is_split"] |= (known["from_cell"], known["to_cell"]) != (row.from_cell, row.to_cell)
    found = session.execute(_SHAPES, {"codes": list(by)}).all()
    return [
        {"id": row.id, "shape": row.shape, "code": row.code, "name": row.name, "compound": row.compound, **by[row.code]}
        for row in found
    ]


_SHAPES = text(
    """
    SELECT b.id, b.code, b.name, k.name AS compound, ST_AsGeoJSON(b.geom, 7)::json AS shape
    FROM building b LEFT JOIN compound k ON k.id = b.compound_id WHERE b.code = ANY(:codes) ORDER BY b.code
    """
)


def _outlines(session: Session, plan_id: int, codes: Sequence[str], depth: int) -> list[dict[str, Any]]:
    found = session.execute(_OUTLINES, {"plan": plan_id, "codes": list(set(codes)), "depth": depth})
    return [row._asdict() for row in found]


_OUTLINES = text(
    """
    SELECT id, code, name, households, band_state, ST_AsGeoJSON(geom, 7)::json AS shape
    FROM grid WHERE plan_id = :plan AND grid_depth = :depth AND code = ANY(:codes) ORDER BY code
    """
)


def _collection(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    features = [
        {
            "type": "Feature", "id": row["id"], "geometry": row["shape"],
            "properties": {key: value for key, value in row.items() if key != "shape"},
        }
        for row in rows
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


# --- Whom it concerns ------------------------------------------------------------------------------------------------


def _incidents(session: Session, pair: _Pair, actor: Actor) -> dict[str, Any]:
    """Open incidents whose grid does not continue the one that they lie in."""
    depth = pair.position + 1
    went = pair.continued(depth)
    known = {
        "communities": pair.community_ids, "scopes": list(scopes(actor, Action.VIEW_INCIDENTS)),
        "before": pair.before.id, "after": pair.after.id, "old_depth": _old_depth(pair, depth), "depth": depth,
    }  # fmt: skip
    rows = [row._asdict() for row in session.execute(_OPEN, known)]
    moved = [row for row in rows if went.get(row["to_cell"]) != row["from_cell"]]
    return {"open": len(rows), "count": len(moved), "items": moved[:MOST_LISTED]}


_OPEN = text(
    """
    SELECT i.id, i.code, i.title, i.status, c.name_zh AS category_zh, c.name_en AS category_en,
           round(ST_X(i.geom)::numeric, 7)::float8 AS lon, round(ST_Y(i.geom)::numeric, 7)::float8 AS lat,
           old.code AS from_cell, new.code AS to_cell
    FROM incident i JOIN incident_category c ON c.code = i.category JOIN admin_area a ON a.id = i.area_id
    LEFT JOIN LATERAL (SELECT g.code FROM grid g WHERE g.plan_id = :before AND g.grid_depth = :old_depth
        AND g.community_id = i.area_id AND ST_Covers(g.geom, i.geom) ORDER BY g.id LIMIT 1) old ON true
    LEFT JOIN LATERAL (SELECT g.code FROM grid g WHERE g.plan_id = :after AND g.grid_depth = :depth
        AND g.community_id = i.area_id AND ST_Covers(g.geom, i.geom) ORDER BY g.id LIMIT 1) new ON true
    WHERE i.status NOT IN ('rejected', 'closed') AND i.area_id = ANY(:communities)
      AND a.path <@ ANY(CAST(:scopes AS ltree[])) ORDER BY i.reported_at DESC, i.id
    """
)


def _posts(session: Session, pair: _Pair, at: datetime) -> dict[str, Any]:
    """Posts of the cells before that end with them, or whose cell is redrawn, at every tier.

    Of a plan of the past those held at its last instant, of a future one at its first.
    """
    known = {"plan": pair.before.id, "communities": pair.community_ids}
    in_force = session.execute(_IN_FORCE, known).one()
    then = at
    if in_force.start is not None and at < in_force.start:
        then = in_force.start
    elif in_force.stop is not None and at >= in_force.stop:
        then = in_force.stop - timedelta(microseconds=1)
    edges = pair.moves.lineage
    went_on = {(int(row.depth), row.old): row for row in edges[edges["kind"].isin(["keep", "redraw"])].itertuples()}
    new_depth = {_old_depth(pair, depth): depth for depth in range(1, len(pair.new.cells) + 1)}
    items = []
    held = session.execute(_HELD, {**known, "at": then}).all()
    for row in held:
        edge = went_on.get((new_depth.get(row.grid_depth, -1), row.cell))
        if edge is not None and edge.kind == "keep":
            continue
        items.append(
            {
                **{key: value for key, value in row._asdict().items() if key != "grid_depth"},
                "depth": row.grid_depth, "change": "ends" if edge is None else "redrawn",
                "to_cell": None if edge is None else edge.new,
            }
        )  # fmt: skip
    items.sort(key=lambda item: (item["change"] != "ends", item["depth"], item["cell"]))
    count = {change: sum(item["change"] == change for item in items) for change in ("ends", "redrawn")}
    people = len({item["staff_id"] for item in items})
    return {"held": len(held), **count, "people": people, "items": items[:MOST_LISTED]}


_IN_FORCE = text(
    """
    SELECT min(lower(in_force_during)) AS start,
           CASE WHEN bool_or(upper_inf(in_force_during)) THEN NULL ELSE max(upper(in_force_during)) END AS stop
    FROM plan_community WHERE plan_id = :plan AND community_id = ANY(:communities) AND NOT isempty(in_force_during)
    """
)
_HELD = text(
    """
    SELECT s.id AS staff_id, s.name, p.code AS post, p.name_zh AS post_zh, p.name_en AS post_en,
           g.code AS cell, g.id AS cell_id, g.name AS cell_name, g.grid_depth, g.households,
           ARRAY[ST_XMin(g.geom), ST_YMin(g.geom), ST_XMax(g.geom), ST_YMax(g.geom)] AS bbox
    FROM assignment a JOIN grid g ON g.id = a.grid_id JOIN post p ON p.id = a.post_id JOIN staff s ON s.id = a.staff_id
    WHERE g.plan_id = :plan AND g.community_id = ANY(:communities) AND a.valid_during @> CAST(:at AS timestamptz)
    ORDER BY g.code, p.code, s.name
    """
)


# --- As a table ------------------------------------------------------------------------------------------------------

_ZH = ("层级", "层级名称", "楼栋", "单元起", "单元止", "楼层起", "楼层止", "小区", "户数", "人口", "原网格", "新网格")
_EN = (
    "Depth", "Tier", "Building", "Unit from", "Unit to", "Floor from", "Floor to", "Compound", "Households",
    "Residents", "Old cell", "New cell",
)  # fmt: skip
HEADERS: Mapping[str, Mapping[str, str]] = {
    "zh": dict(zip(ROW_COLUMNS, _ZH, strict=True)),
    "en": dict(zip(ROW_COLUMNS, _EN, strict=True)),
}


def table(session: Session, plan_id: int, other_id: int, *, actor: Actor, form: str, language: str) -> bytes:
    """What moves, a row a part of a building, as ``csv`` (with a byte order mark, for spreadsheets) or ``xlsx``."""
    rows = _pair(session, plan_id, other_id, actor=actor).moves.rows
    values = plain(rows.astype(object).where(rows.notna(), None).to_numpy().tolist())
    lines = [[_safe(value) for value in line] for line in values]
    header = [HEADERS[language][column] for column in rows.columns]
    if form == "csv":
        out = io.StringIO()
        csv.writer(out).writerows([header, *lines])
        return out.getvalue().encode("utf-8-sig")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("moves" if language == "en" else "变动")
    sheet.append(header)
    for line in lines:
        sheet.append(line)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _safe(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula, without control characters."""
    if not isinstance(value, str):
        return value
    clean = ILLEGAL_CHARACTERS_RE.sub("", value)
    return f"'{clean}" if clean[:1] in ("=", "+", "-", "@") else clean
