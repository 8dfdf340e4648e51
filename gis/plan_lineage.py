"""What becomes of the cells in force when a plan replaces them: survivors, codes, and the edges between old and new.

A cell survives where more than half of its households, and more than half of the new cell's, are the same (of ground
where either has no households), or where its ground and floors are the same, whoever lives there now. So at most one
new cell continues an old one, and it keeps its code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Row, insert, select, text
from sqlalchemy.orm import Session

from gis import codes, rules
from gis.codes import NewCell
from gis.models import AdminArea, Grid, GridCode, GridLineage, TierRow
from gis.rule_set import followed_tiers

SCHEME = "wangge"
_WHOLE = 0.999
_NOTHING = 0.001


@dataclass(frozen=True, slots=True)
class Edge:
    """What an old cell and a new one of the tier that follows its own have in common."""

    old: Row[Any]
    new: Row[Any]
    households: int
    old_area_ratio: float
    new_area_ratio: float

    @property
    def old_ratio(self) -> float:
        """Share of the old cell that went to the new one: of households, or of ground where it has none."""
        return self.households / self.old.households if self.old.households else self.old_area_ratio

    @property
    def new_ratio(self) -> float:
        """Share of the new cell that came from the old one."""
        return self.households / self.new.households if self.new.households else self.new_area_ratio

    @property
    def is_same_place(self) -> bool:
        """Whether ground and floors are the same."""
        if min(self.old_area_ratio, self.new_area_ratio) <= _WHOLE:
            return False
        return bool((self.old.floor_from, self.old.floor_to) == (self.new.floor_from, self.new.floor_to))

    @property
    def survives(self) -> bool:
        """Whether the new cell continues the old one."""
        if self.is_same_place:
            return True
        if not (self.old.households and self.new.households):
            return self.old_area_ratio > 0.5 and self.new_area_ratio > 0.5
        return self.old_ratio > 0.5 and self.new_ratio > 0.5

    def kind(self, new_code: str, *, goes_on: bool = False) -> str:
        """The word for the edge in `gis.models.plan.LINEAGE_KINDS`; a cell may go on under another code."""
        if goes_on or new_code == self.old.code:
            shares = (self.old_ratio, self.new_ratio, self.old_area_ratio, self.new_area_ratio)
            same = "keep" if new_code == self.old.code else "rename"
            return same if min(shares) > _WHOLE else "redraw"
        if self.new_ratio > _WHOLE:
            return "split"
        return "merge" if self.old_ratio > _WHOLE else "transfer"


def recode(session: Session, plan_id: int) -> list[Edge]:
    """Give a draft's cells the codes that they would bear in force now, and tell what they come from.

    In a community that was never divided the codes stay as drawn.
    """
    edges = edges_of(session, plan_id)
    survivors = {edge.new.id: edge.old for edge in continuations(edges)}
    given = defaultdict(set)
    for community_id, value in session.execute(_GIVEN, {"plan": plan_id, "scheme": SCHEME}):
        given[community_id].add(value)
    if given:
        _set_codes(session, plan_id, _final_codes(session, plan_id, survivors, given))
    return edges


def continuations(edges: Sequence[Edge]) -> list[Edge]:
    """The edges along which an old cell goes on: at most one a cell, old or new.

    More than half of both cannot be shared twice, but where a tower is cut at other floors than before the shared
    households are an estimate; then the larger share goes on.
    """
    taken: set[tuple[str, int]] = set()
    chosen = []
    for edge in sorted(
        edges, key=lambda e: (not e.is_same_place, -e.households, -e.old_area_ratio, e.old.id, e.new.id)
    ):
        ends = {("old", edge.old.id), ("new", edge.new.id)}
        if edge.survives and not ends & taken:
            taken |= ends
            chosen.append(edge)
    return chosen


def origins(session: Session, plan_id: int, *, communities: Sequence[int] | None = None) -> dict[int, int]:
    """From the cells of a plan that is not published yet to those in force that they would continue.

    Parameters
    ----------
    communities : sequence of int or None
        Only cells of these, old and new; of the whole plan if None.
    """
    edges = edges_of(session, plan_id, communities=communities)
    return {edge.new.id: edge.old.id for edge in continuations(edges)}


def store_lineage(session: Session, plan_id: int, edges: Sequence[Edge], *, document_no: str | None) -> None:
    """Write the edges from the cells in force to a plan's cells, whose codes are final."""
    codes_now = {row.id: row.code for row in session.execute(_CODES, {"plan": plan_id})}
    going_on = {(edge.old.id, edge.new.id) for edge in continuations(edges)}
    rows = [
        {
            "from_id": edge.old.id,
            "to_id": edge.new.id,
            "kind": edge.kind(codes_now[edge.new.id], goes_on=(edge.old.id, edge.new.id) in going_on),
            "area_ratio": min(edge.old_area_ratio, 1.0),
            "households_ratio": min(edge.old_ratio, 1.0),
            "document_no": document_no,
        }
        for edge in edges
    ]
    if rows:
        session.execute(insert(GridLineage), rows)


def edges_of(session: Session, plan_id: int, *, communities: Sequence[int] | None = None) -> list[Edge]:
    """All pairs of an old cell and a new one of its tier that share more than a thousandth of the old one.

    Under other rules a tier is followed by the one that `gis.rule_set.followed_tiers` names, at whatever depth.
    With ``communities``, only pairs of which both lie there.
    """
    communities = None if communities is None else list(communities)
    new = _cells(session, _NEW, plan_id, communities)
    old = _cells(session, _OLD, plan_id, communities)
    if not old:
        return []
    follows = _followed(session, old.values(), new.values())
    households = _shared_households(session, {"plan": plan_id, "communities": communities}, old, new, follows)
    edges: list[Edge] = []
    for depth in sorted({cell.grid_depth for cell in new.values()}):
        edges += _edges_of_depth(
            [cell for cell in old.values() if follows.get((cell.rule_set_id, cell.grid_depth)) == depth],
            [cell for cell in new.values() if cell.grid_depth == depth],
            households,
        )
    return edges


def _followed(session: Session, old: Iterable[Row[Any]], new: Iterable[Row[Any]]) -> dict[tuple[int, int], int]:
    """From a rule set and a grid depth of cells in force to the depth of the plan's cells that follow them."""
    own = next((cell.rule_set_id for cell in new), None)
    if own is None:
        return {}
    present = rules.value(rules.get(session, own))
    found: dict[tuple[int, int], int] = {}
    for rule_set_id in sorted({cell.rule_set_id for cell in old}):
        before = present if rule_set_id == own else rules.value(rules.get(session, rule_set_id))
        found |= {
            (rule_set_id, position + 1): depth
            for depth, position in enumerate(followed_tiers(before, present), start=1)
            if position is not None
        }
    return found


def _edges_of_depth(
    old: Sequence[Row[Any]], new: Sequence[Row[Any]], households: Mapping[tuple[int, int], int]
) -> list[Edge]:
    edges = []
    for o, n, area in _shared_area(old, new):
        shared = households.get((old[o].id, new[n].id), 0)
        edge = Edge(old[o], new[n], shared, area / old[o].area, area / new[n].area)
        if max(edge.old_area_ratio, edge.old_ratio) > _NOTHING:
            edges.append(edge)
    return edges


def _shared_area(old: Sequence[Row[Any]], new: Sequence[Row[Any]]) -> Iterable[tuple[int, int, float]]:
    """Pairs and the ground they share, in square degrees: only ratios of one place are taken of it."""
    if not old or not new:
        return []
    # The floors of a tower are cells of one ground, which is laid over another once.
    old_wkb, old_at = _grounds(old)
    new_wkb, new_at = _grounds(new)
    old_ground, new_ground = shapely.from_wkb(old_wkb), shapely.from_wkb(new_wkb)
    n, o = shapely.STRtree(old_ground).query(new_ground, predicate="intersects")
    same = np.array([old_wkb[i] == new_wkb[j] for i, j in zip(o.tolist(), n.tolist(), strict=True)], dtype=bool)
    area = np.zeros(len(o))
    area[same] = shapely.area(old_ground[o[same]])
    # A cell that is unchanged shares nothing with its old neighbours; most redraws change little.
    changed = ~same & ~np.isin(n, n[same]) & ~np.isin(o, o[same])
    area[changed] = shapely.area(shapely.intersection(old_ground[o[changed]], new_ground[n[changed]]))
    keep = area > 0
    return [
        (i, j, shared)
        for o_at, n_at, shared in zip(o[keep].tolist(), n[keep].tolist(), area[keep].tolist(), strict=True)
        for i in old_at[o_at]
        for j in new_at[n_at]
        if _floors_meet(old[i], new[j])
    ]


def _floors_meet(one: Row[Any], other: Row[Any]) -> bool:
    """Whether two cells of one ground have a floor in common; who names no end goes on to the ground, or to the top."""
    spans = (one.floor_from, other.floor_to), (other.floor_from, one.floor_to)
    return all(low is None or high is None or low <= high for low, high in spans)


def _grounds(cells: Sequence[Row[Any]]) -> tuple[list[bytes], list[list[int]]]:
    """Every ground once, and the numbers of the cells that have it."""
    numbers: dict[bytes, list[int]] = defaultdict(list)
    for i, cell in enumerate(cells):
        numbers[bytes(cell.wkb)].append(i)
    return list(numbers), list(numbers.values())


def _shared_households(
    session: Session,
    known: Mapping[str, Any],
    old: Mapping[int, Row[Any]],
    new: Mapping[int, Row[Any]],
    follows: Mapping[tuple[int, int], int],
) -> dict[tuple[int, int], int]:
    """Households that pairs of a cell and one that follows it share, summed up the tiers from the parts."""
    shared: dict[tuple[int, int], float] = defaultdict(float)
    for row in session.execute(_SHARED, known):
        if row.new_id not in new:  # of a community beside those asked for
            continue
        ups = {follows.get((cell.rule_set_id, cell.grid_depth), 0): cell.id for cell in _up(old, row.old_id)}
        for cell in _up(new, row.new_id):
            if cell.grid_depth in ups:
                shared[ups[cell.grid_depth], cell.id] += float(row.households)
    return {pair: round(households) for pair, households in shared.items()}


def _up(cells: Mapping[int, Row[Any]], cell_id: int) -> Iterable[Row[Any]]:
    at: int | None = cell_id
    while at is not None:
        yield cells[at]
        at = cells[at].parent_id


def _final_codes(
    session: Session, plan_id: int, survivors: Mapping[int, Row[Any]], given: Mapping[int, set[str]]
) -> dict[int, str]:
    rule_set_id = select(Grid.rule_set_id).where(Grid.plan_id == plan_id).limit(1)
    tiers = session.scalars(select(TierRow).where(TierRow.rule_set_id.in_(rule_set_id)))
    digits = {tier.grid_depth: tier.code_digits for tier in tiers}
    cells = _cells(session, _NEW, plan_id)
    communities = session.scalars(select(AdminArea).where(AdminArea.id.in_(list(given))))
    community_codes = {community.id: community.code for community in communities}
    final: dict[int, str] = {}
    keeps_drawn = bool(session.scalar(_KEEPS_DRAWN, {"plan": plan_id}))
    parents = {row.code: row.parent for row in session.execute(_OLD_PARENTS, {"plan": plan_id})}
    for community_id, values in given.items():
        mine = [cell for cell in cells.values() if cell.community_id == community_id]
        by_code = codes.recode(
            [
                NewCell(
                    code=cell.code,
                    parent=community_codes[community_id] if cell.parent_id is None else cells[cell.parent_id].code,
                    depth=cell.grid_depth,
                    digits=digits[cell.grid_depth],
                )
                for cell in mine
            ],
            survivors={cell.code: survivors[cell.id].code for cell in mine if cell.id in survivors},
            given=values,
            parents=parents,
            keeps_drawn=keeps_drawn,
        )
        final |= {cell.id: by_code[cell.code] for cell in mine if by_code[cell.code] != cell.code}
    return final


def _set_codes(session: Session, plan_id: int, final: Mapping[int, str]) -> None:
    """Rename cells, and what was noticed about them with them."""
    if not final:
        return
    renamed = {"plan": plan_id, "cells": list(final), "codes": list(final.values())}
    for statement in (_RENAME_FINDINGS, _CLEAR_CODES, _RENAME_CELLS):
        session.execute(statement, renamed)
    session.expire_all()


_RENAMED = "unnest(CAST(:cells AS bigint[]), CAST(:codes AS text[])) AS renamed (id, code)"

# One statement, because two cells may swap their codes.
_RENAME_FINDINGS = text(
    f"""
    UPDATE plan_finding f SET key = renamed.code FROM {_RENAMED} JOIN grid g ON g.id = renamed.id
    WHERE f.plan_id = :plan AND f.key = g.code
    """
)

# Here a code that another cell takes is cleared first: (plan_id, code) is unique at every moment.
_CLEAR_CODES = text(
    "UPDATE grid SET code = '~' || id WHERE plan_id = :plan AND id = ANY(:cells) AND code = ANY(:codes)"
)
_RENAME_CELLS = text(
    f"UPDATE grid g SET code = renamed.code FROM {_RENAMED} WHERE g.plan_id = :plan AND g.id = renamed.id"
)


def register_codes(session: Session, plan_id: int, *, at: Any) -> None:
    """Enter a plan's codes from an instant on, and retire those of the cells that it ends and that do not go on."""
    known = {"plan": plan_id, "scheme": SCHEME, "at": at}
    session.execute(_RETIRE, known)
    session.execute(_REGISTER, known)


def unregister_codes(session: Session, plan_id: int, *, at: Any) -> None:
    """Undo `register_codes` of a plan that never came into force."""
    session.execute(
        text("UPDATE grid_code SET retired_at = NULL WHERE retired_at = :at AND community_id IN"
             " (SELECT community_id FROM plan_community WHERE plan_id = :plan)"),
        {"at": at, "plan": plan_id},
    )  # fmt: skip
    session.execute(
        GridCode.__table__.delete().where(GridCode.given_by_plan_id == plan_id)  # type: ignore[attr-defined]
    )


def _cells(
    session: Session, statement: Any, plan_id: int, communities: Sequence[int] | None = None
) -> dict[int, Row[Any]]:
    return {row.id: row for row in session.execute(statement, {"plan": plan_id, "communities": communities})}


_COLUMNS = """
    g.id, g.code, g.rule_set_id, g.grid_depth, g.parent_id, g.community_id, g.households, g.floor_from, g.floor_to,
    ST_Area(g.geom) AS area, ST_AsBinary(g.geom) AS wkb
"""

_CODES = text("SELECT id, code FROM grid WHERE plan_id = :plan")

_THERE = "(CAST(:communities AS bigint []) IS NULL OR g.community_id = ANY(:communities))"

_NEW = text(f"SELECT {_COLUMNS} FROM grid g WHERE g.plan_id = :plan AND {_THERE} ORDER BY g.code")

# The plans that this one would follow: in its communities, in force without an end, other than itself.
_PREDECESSORS = """
    SELECT pc.plan_id, pc.community_id FROM plan_community pc
    WHERE upper_inf(pc.in_force_during) AND pc.plan_id <> :plan
      AND pc.community_id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan)
"""

_OLD = text(
    f"""
    SELECT {_COLUMNS} FROM ({_PREDECESSORS}) before
    JOIN grid g ON g.plan_id = before.plan_id AND g.community_id = before.community_id
    WHERE {_THERE} ORDER BY g.code
    """
)

_OLD_PARENTS = text(
    f"""
    SELECT g.code, coalesce(above.code, c.code) AS parent FROM ({_PREDECESSORS}) before
    JOIN grid g ON g.plan_id = before.plan_id AND g.community_id = before.community_id
    JOIN admin_area c ON c.id = g.community_id
    LEFT JOIN grid above ON above.id = g.parent_id
    """
)

# Share of an old part's staircases (or floors) that a new part holds; unbounded ends are those of the building.
_OVERLAP = """least(1.0,
    (coalesce(upper(o.{span} * n.{span}), greatest({whole}, 1) + 1) - coalesce(lower(o.{span} * n.{span}), 1))::float
    / greatest(coalesce(upper(o.{span}), {whole} + 1, 2) - coalesce(lower(o.{span}), 1), 1))"""

# Where cuts differ, the overlap of two parts is the smaller one if one holds the other, else a share of the old one;
# a part gives away no more than it has.
_SHARED = text(
    f"""
    SELECT old_id, new_id, sum(shared * least(1.0, had / given)) AS households
    FROM (
        SELECT *, sum(shared) OVER (PARTITION BY old_id, part_id) AS given
        FROM (
            SELECT o.grid_id AS old_id, n.grid_id AS new_id, o.building_part_id AS part_id, o.households::float AS had,
                CASE WHEN o.unit_span <@ n.unit_span AND o.floor_span <@ n.floor_span THEN o.households
                     WHEN n.unit_span <@ o.unit_span AND n.floor_span <@ o.floor_span THEN n.households
                     ELSE o.households * {_OVERLAP.format(span="unit_span", whole="b.units")}
                          * {_OVERLAP.format(span="floor_span", whole="b.floors")} END AS shared
            FROM ({_PREDECESSORS}) before
            JOIN grid_part o ON o.plan_id = before.plan_id
            JOIN building b ON b.id = o.building_id
            JOIN grid_part n ON n.plan_id = :plan AND n.building_id = o.building_id
                 AND n.unit_span && o.unit_span AND n.floor_span && o.floor_span
            JOIN grid g ON g.id = o.grid_id AND g.community_id = before.community_id
            WHERE o.households > 0 AND n.households > 0 AND {_THERE}
        ) pairs
    ) scaled
    WHERE given > 0
    GROUP BY old_id, new_id
    """
)

# A plan that came as a file keeps the codes of the file that were never given.
_KEEPS_DRAWN = text("SELECT coalesce((recipe ->> 'codes_as_given')::boolean, false) FROM plan WHERE id = :plan")

_GIVEN = text(
    "SELECT community_id, value FROM grid_code WHERE scheme = :scheme"
    " AND community_id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan)"
)

_RETIRE = text(
    f"""
    UPDATE grid_code c SET retired_at = :at
    FROM grid g JOIN ({_PREDECESSORS}) before ON g.plan_id = before.plan_id AND g.community_id = before.community_id
    WHERE c.scheme = :scheme AND c.value = g.code AND c.retired_at IS NULL
      AND NOT EXISTS (SELECT FROM grid n WHERE n.plan_id = :plan AND n.code = g.code)
    """
)

_REGISTER = text(
    f"""
    INSERT INTO grid_code (scheme, value, community_id, given_at, given_by_plan_id)
    SELECT :scheme, n.code, n.community_id, :at, :plan FROM grid n
    WHERE n.plan_id = :plan AND NOT EXISTS (
        SELECT FROM ({_PREDECESSORS}) before
        JOIN grid g ON g.plan_id = before.plan_id AND g.community_id = before.community_id WHERE g.code = n.code)
    """
)
