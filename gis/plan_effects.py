"""What a publication moves, by name: codes old and new, posts that are lost or left open, open incidents.

Read within the transaction that tries a publication out (`gis.plans.effects`), so it cannot differ from the act.
Overdue alerts and the people told of an incident are derived from the incidents and posts, and move with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import incidents_rehoming, plan_codes
from gis.permissions import Action, Actor, scopes


@dataclass(frozen=True, slots=True)
class Share:
    """A new cell that an old one's households (of empty ground: its area) go to, and how much of them."""

    code: str
    share: float
    keeps_code: bool


@dataclass(frozen=True, slots=True)
class CodeMove:
    """An old cell whose ground or code does not stay as it is; without ``to`` nothing follows it."""

    depth: int
    community: str
    code: str
    households: int
    is_kept: bool
    to: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that is given for the first time."""

    depth: int
    community: str
    code: str
    households: int


@dataclass(frozen=True, slots=True)
class Post:
    """A post of a cell: who holds it (``None``: nobody), and the cell that it goes to (``None``: it is lost)."""

    code: str
    name_zh: str
    name_en: str | None
    cell: str
    to: str | None
    holder: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """An open incident and the cells it leaves and comes to; ``None`` is no cell."""

    id: int
    code: str
    title: str
    status: str
    is_late: bool
    from_cell: str | None
    to_cell: str | None


@dataclass(frozen=True, slots=True)
class Effects:
    """All of it.

    Attributes
    ----------
    codes : tuple of CodeMove
        Old cells that change, by depth and code; those that stay exactly as they are only count.
    cells_same : int
        Old cells that stay exactly as they are.
    given, posts_moved, posts_lost, posts_open, cases
        ``posts_open``: posts of the new cells that somebody must hold and nobody holds on the day. ``cases``: open
        incidents whose cell's code changes, where the asker may see incidents.
    cases_late : int
        How many of the incidents that move are overdue: their alerts move with them.
    irregular : tuple of str
        Codes that have not the form of their tier (`gis.plan_codes`); only a division that came as a file has some.
    """

    codes: tuple[CodeMove, ...]
    cells_same: int
    given: tuple[NewCode, ...]
    posts_moved: tuple[Post, ...]
    posts_lost: tuple[Post, ...]
    posts_open: tuple[Post, ...]
    cases: tuple[Case, ...]
    cases_moved: int
    cases_late: int
    irregular: tuple[str, ...]


def read(session: Session, plan_id: int, *, start: datetime, actor: Actor, now: datetime) -> Effects:
    """What was just done to a plan's communities; open incidents are brought to the plan here, if its day is to come.

    The caller takes all of it back.
    """
    if start > now:
        incidents_rehoming.rehome(session, plan_id, actor=actor, now=start)
    known: dict[str, Any] = {"plan": plan_id, "at": start, "moment": max(start, now), "now": now}
    codes, same = _codes(session, known)
    held = [(row.is_lost, _post(row)) for row in session.execute(_HELD, known)]
    cases = _cases(session, known, actor)
    return Effects(
        codes=codes,
        cells_same=same,
        given=tuple(NewCode(*row) for row in session.execute(_GIVEN, known)),
        posts_moved=tuple(post for is_lost, post in held if not is_lost),
        posts_lost=tuple(post for is_lost, post in held if is_lost),
        posts_open=tuple(_post(row) for row in session.execute(_OPEN, known)),
        cases=tuple(case for case in cases if case.from_cell != case.to_cell),
        cases_moved=len(cases),
        cases_late=sum(case.is_late for case in cases),
        irregular=tuple(plan_codes.irregular(session, plan_id)),
    )


def _codes(session: Session, known: dict[str, Any]) -> tuple[tuple[CodeMove, ...], int]:
    found = []
    same = 0
    for row in session.execute(_MOVES, known):
        if row.kinds == ["keep"]:
            same += 1
            continue
        shares = [
            Share(code, round(share, 4), code == row.code)
            for code, share in zip(row.new_codes or [], row.shares or [], strict=True)
        ]
        found.append(
            CodeMove(
                depth=row.depth,
                community=row.community,
                code=row.code,
                households=row.households,
                is_kept=any(share.keeps_code for share in shares),
                to=tuple(shares),
            )
        )
    return tuple(found), same


def _post(row: Any) -> Post:
    return Post(row.post, row.name_zh, row.name_en, row.cell, row.to_cell, row.holder)


def _cases(session: Session, known: dict[str, Any], actor: Actor) -> Sequence[Case]:
    held = {**known, "scopes": list(scopes(actor, Action.VIEW_INCIDENTS))}
    return [Case(*row) for row in session.execute(_CASES, held)]


_MINE = "SELECT community_id FROM plan_community WHERE plan_id = :plan"

# The cells that the publication ended: their plans' ranges in the plan's communities end where it begins.
_ENDED = f"""
    SELECT pc.plan_id, pc.community_id FROM plan_community pc
    WHERE upper(pc.in_force_during) = :at AND pc.plan_id <> :plan AND pc.community_id IN ({_MINE})
"""

_MOVES = text(
    f"""
    SELECT o.grid_depth AS depth, c.name AS community, o.code, o.households,
           array_agg(l.kind ORDER BY l.households_ratio DESC, l.area_ratio DESC, n.code)
               FILTER (WHERE l.to_id IS NOT NULL AND shared.ratio >= 0.0005) AS kinds,
           array_agg(n.code ORDER BY l.households_ratio DESC, l.area_ratio DESC, n.code)
               FILTER (WHERE l.to_id IS NOT NULL AND shared.ratio >= 0.0005) AS new_codes,
           array_agg(shared.ratio ORDER BY l.households_ratio DESC, l.area_ratio DESC, n.code)
               FILTER (WHERE l.to_id IS NOT NULL AND shared.ratio >= 0.0005) AS shares
    FROM ({_ENDED}) ended
    JOIN grid o ON o.plan_id = ended.plan_id AND o.community_id = ended.community_id
    JOIN admin_area c ON c.id = o.community_id
    LEFT JOIN (grid_lineage l JOIN grid n ON n.id = l.to_id AND n.plan_id = :plan) ON l.from_id = o.id
    LEFT JOIN LATERAL (SELECT CASE WHEN o.households > 0 THEN l.households_ratio ELSE l.area_ratio END AS ratio)
        shared ON true
    GROUP BY o.id, c.id ORDER BY o.grid_depth, o.code
    """
)

_GIVEN = text(
    """
    SELECT g.grid_depth, c.name, g.code, g.households
    FROM grid_code k JOIN grid g ON g.plan_id = :plan AND g.code = k.value JOIN admin_area c ON c.id = g.community_id
    WHERE k.scheme = 'wangge' AND k.given_by_plan_id = :plan ORDER BY g.grid_depth, g.code
    """
)

_HELD = text(
    f"""
    SELECT p.code AS post, p.name_zh, p.name_en, o.code AS cell, n.code AS to_cell, s.name AS holder,
           n.id IS NULL AS is_lost
    FROM ({_ENDED}) ended
    JOIN grid o ON o.plan_id = ended.plan_id AND o.community_id = ended.community_id
    JOIN assignment h ON h.grid_id = o.id AND h.valid_during && tstzrange(:at, NULL)
    JOIN staff s ON s.id = h.staff_id
    JOIN post p ON p.id = h.post_id
    LEFT JOIN (assignment f JOIN grid n ON n.id = f.grid_id AND n.plan_id = :plan) ON f.carried_from_id = h.id
    ORDER BY o.grid_depth, o.code, p.id, s.code
    """
)

_OPEN = text(
    """
    SELECT p.code AS post, p.name_zh, p.name_en, g.code AS cell, NULL AS to_cell, NULL AS holder
    FROM grid g JOIN tier t ON t.rule_set_id = g.rule_set_id AND t.grid_depth = g.grid_depth
    JOIN post p ON p.tier_id = t.id
    WHERE g.plan_id = :plan AND p.holders_min > (
        SELECT count(*) FROM assignment h
        WHERE h.grid_id = g.id AND h.post_id = p.id AND h.valid_during @> CAST(:moment AS timestamptz))
    ORDER BY g.grid_depth, g.code, p.id
    """
)

_CASES = text(
    f"""
    SELECT i.id, i.code, i.title, i.status, coalesce(i.due_at < :now, false), o.code, n.code
    FROM incident i JOIN incident_event e ON e.incident_id = i.id AND e.seq = i.last_seq AND e.kind = 'rehome'
    JOIN admin_area c ON c.id = i.area_id AND c.path <@ ANY(CAST(:scopes AS ltree[]))
    LEFT JOIN grid o ON o.id = (e.details ->> 'from_grid_id')::bigint
    LEFT JOIN grid n ON n.id = (e.details ->> 'to_grid_id')::bigint
    WHERE e.recorded_at = :moment AND i.area_id IN ({_MINE})
    ORDER BY i.due_at NULLS LAST, i.code
    """
)
