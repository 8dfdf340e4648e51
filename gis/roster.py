"""Who holds which post where: rows of a roster brought to staff, posts and places of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.findings import Finding, Severity
from gis.staging import row_numbers, staged

LOCAL = ZoneInfo("Asia/Shanghai")  # a date on a roster begins at midnight there

# The cells and areas that a place of the roster means: a cell by its code (in force now or later), an area by its
# code, and for a building the cells that hold its parts, with those above them.
_PLACES = """
WITH RECURSIVE alive AS (
    SELECT pc.plan_id, pc.community_id, pc.in_force_during FROM plan_community pc
    WHERE pc.in_force_during && tstzrange(:now, NULL)),
cell AS (
    SELECT s.row, g.id, g.parent_id, g.rule_set_id, g.grid_depth, lower(a.in_force_during) AS since
    FROM {table} s JOIN grid g ON g.code = s.place
    JOIN alive a ON a.plan_id = g.plan_id AND a.community_id = g.community_id
    UNION
    SELECT s.row, g.id, g.parent_id, g.rule_set_id, g.grid_depth, lower(a.in_force_during)
    FROM {table} s JOIN building b ON b.code = s.place JOIN grid_part gp ON gp.building_id = b.id
    JOIN grid g ON g.id = gp.grid_id JOIN alive a ON a.plan_id = g.plan_id AND a.community_id = g.community_id
    UNION
    SELECT c.row, g.id, g.parent_id, g.rule_set_id, g.grid_depth, c.since
    FROM cell c JOIN grid g ON g.id = c.parent_id
    JOIN {table} s ON s.row = c.row JOIN building b ON b.code = s.place),
place AS (
    SELECT c.row, c.id AS grid_id, NULL::bigint AS area_id, t.id AS tier_id, c.since, true AS has_rules
    FROM cell c JOIN tier t ON t.rule_set_id = c.rule_set_id AND t.grid_depth = c.grid_depth
    UNION ALL
    SELECT s.row, NULL, a.id, t.id, NULL, r.id IS NOT NULL
    FROM {table} s JOIN admin_area a ON a.code = s.place
    LEFT JOIN LATERAL (
        SELECT r.id FROM rule_set r JOIN admin_area ra ON ra.id = r.area_id
        WHERE ra.path @> a.path AND r.valid_during @> (:now AT TIME ZONE 'Asia/Shanghai')::date
        ORDER BY nlevel(ra.path) DESC LIMIT 1) r ON true
    LEFT JOIN tier t ON t.rule_set_id = r.id AND t.kind = 'area' AND
        array_position(ARRAY['community', 'street', 'county', 'city'], a.level) - 1 =
        (SELECT count(*) FROM tier b WHERE b.rule_set_id = r.id AND b.kind = 'area' AND b.ordinal > t.ordinal))
SELECT s.row, p.id AS post_id, p.is_single, pl.grid_id, pl.area_id, pl.since, pl.has_rules
FROM {table} s JOIN place pl ON pl.row = s.row
LEFT JOIN post p ON p.tier_id = pl.tier_id AND s.post IN (p.code, p.name_zh, p.name_en)
ORDER BY s.row, pl.grid_id, pl.area_id
"""
_STAFF = """
SELECT s.row, coalesce(
    (SELECT f.id FROM staff f WHERE f.code = s.staff),
    (SELECT min(f.id) FROM staff f WHERE f.name = s.staff HAVING count(*) = 1)) AS staff_id
FROM {table} s
"""
_HELD = """
SELECT id, staff_id, post_id, grid_id, area_id, lower(valid_during) AS valid_from, upper(valid_during) AS valid_to
FROM assignment WHERE NOT isempty(valid_during) AND (grid_id = ANY(:grids) OR area_id = ANY(:areas)) ORDER BY id
"""
_END = "UPDATE assignment SET valid_during = tstzrange(lower(valid_during), :until, '[)') WHERE id = :id"
_BEGIN = """
INSERT INTO assignment (staff_id, post_id, is_single, grid_id, area_id, valid_during)
VALUES (:staff_id, :post_id, :is_single, :grid_id, :area_id, tstzrange(:valid_from, :valid_to, '[)'))
"""

_Slot = tuple[int, int | None, int | None]


_PATHS = """
SELECT DISTINCT a.path::text FROM admin_area a
WHERE a.id = ANY(:areas) OR a.id IN (SELECT g.community_id FROM grid g WHERE g.id = ANY(:grids)) ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class _Held:
    """A post held by somebody somewhere for a time, stored already (``id``) or about to be."""

    staff_id: int
    post_id: int
    is_single: bool
    grid_id: int | None
    area_id: int | None
    valid_from: datetime
    valid_to: datetime | None
    id: int | None = None

    @property
    def slot(self) -> _Slot:
        return self.post_id, self.grid_id, self.area_id

    def overlaps(self, other: _Held) -> bool:
        ends = (
            (self.valid_to is None or self.valid_to > other.valid_from),
            (other.valid_to is None or other.valid_to > self.valid_from),
        )
        return all(ends)


def store_assignments(
    session: Session, frame: pd.DataFrame, *, now: datetime
) -> tuple[tuple[int, int, int], tuple[Finding, ...], tuple[str, ...]]:
    """The roster's posts are held from their dates; a post that the same person holds already is left as it is.

    A post of one passes to a successor who comes with a date; without a date it is not taken from its holder.

    Returns
    -------
    (inserted, updated, unchanged)
        Updated are posts that now have an end.
    tuple of Finding
        Rows kept out: unknown person, place or post, a post that somebody else holds at that time.
    tuple of str
        Paths of the areas whose posts changed, for the caller to ask the right to change them.
    """
    with staged(session, "assignments", frame) as table:
        people = session.execute(text(_STAFF.format(table=table)))
        staff: dict[int, int | None] = {person.row: person.staff_id for person in people}
        found = session.execute(text(_PLACES.format(table=table)), {"now": now}).mappings().all()
    places: dict[int, list[Any]] = {}
    for match in found:
        places.setdefault(match["row"], []).append(match)
    book = _Book(_held(session, found))
    findings: list[Finding] = []
    for number, row in zip(row_numbers(frame), frame.to_dict("records"), strict=True):
        wanted, fault = _wanted(row, staff.get(number), places.get(number, []), now)
        fault = fault or book.enter(wanted, is_dated=pd.notna(row["valid_from"]))
        if fault:
            findings.append(_refused(fault, number, row))
    _write(session, book.fresh, book.ended)
    counts = (len(book.fresh), len(book.ended), book.unchanged)
    return counts, tuple(findings), _paths(session, [*book.fresh, *book.ended])


class _Book:
    """Who holds what, while rows are entered one after the other."""

    def __init__(self, held: dict[_Slot, list[_Held]]) -> None:
        self._slots = held
        self._stored_ends = {post.id: post.valid_to for posts in held.values() for post in posts}
        self.unchanged = 0

    @property
    def fresh(self) -> list[_Held]:
        """Posts to be stored."""
        return [post for posts in self._slots.values() for post in posts if post.id is None]

    @property
    def ended(self) -> list[_Held]:
        """Stored posts that have another end now."""
        held = (post for posts in self._slots.values() for post in posts if post.id is not None)
        return [post for post in held if post.valid_to != self._stored_ends[post.id]]

    def enter(self, wanted: Sequence[_Held], *, is_dated: bool) -> str:
        """Enter the posts of a row, all or none; the code of what stands against it, or an empty text.

        Whoever holds a post of one without an end hands it over to a successor with a date; without one it is not
        theirs to lose.
        """
        fresh = [post for post in wanted if not self._is_known(post)]
        others = [(post, other) for post in fresh for other in self._others(post)]
        for post, other in others:
            if not is_dated or other.valid_to is not None or other.valid_from >= post.valid_from:
                return "import.post_taken"
        for post, other in others:
            self._replace(other, valid_to=post.valid_from)
        for post in fresh:
            own = self._own(post)
            if own is None:
                self._slots.setdefault(post.slot, []).append(post)
            else:
                self._replace(own, valid_to=post.valid_to)
        self.unchanged += len(wanted) - len(fresh)
        return ""

    def _own(self, post: _Held) -> _Held | None:
        posts = self._slots.get(post.slot, [])
        return next((held for held in posts if held.staff_id == post.staff_id and held.overlaps(post)), None)

    def _is_known(self, post: _Held) -> bool:
        """Whether the same person holds it already; a row without an end says nothing about the end."""
        own = self._own(post)
        return own is not None and post.valid_to in (None, own.valid_to)

    def _others(self, post: _Held) -> list[_Held]:
        posts = self._slots.get(post.slot, []) if post.is_single else []
        return [held for held in posts if held.staff_id != post.staff_id and held.overlaps(post)]

    def _replace(self, held: _Held, *, valid_to: datetime | None) -> None:
        posts = self._slots[held.slot]
        posts[posts.index(held)] = replace(held, valid_to=valid_to)


def _wanted(row: dict[Any, Any], staff_id: int | None, places: Sequence[Any], now: datetime) -> tuple[list[_Held], str]:
    """The posts that a row asks for, or the code of what is wrong with it."""
    if staff_id is None:
        return [], "import.unknown_staff"
    if not places:
        return [], "import.unknown_place"
    matches = [place for place in places if place["post_id"] is not None]
    if not matches:
        has_rules = any(place["has_rules"] for place in places)
        return [], "import.unknown_post" if has_rules else "import.no_rules"
    since, until = _instant(row["valid_from"]), _instant(row["valid_to"])
    wanted = [
        _Held(
            staff_id,
            match["post_id"],
            match["is_single"],
            match["grid_id"],
            match["area_id"],
            since or max(now, match["since"] or now),
            until,
        )
        for match in matches
    ]
    if any(post.valid_to is not None and post.valid_to <= post.valid_from for post in wanted):
        return [], "import.ends_before_it_begins"
    return wanted, ""


def _instant(day: Any) -> datetime | None:
    if pd.isna(day):
        return None
    return datetime(day.year, day.month, day.day, tzinfo=LOCAL).astimezone(UTC)


def _held(session: Session, places: Iterable[Any]) -> dict[_Slot, list[_Held]]:
    """What is held already at the places of the roster."""
    found = list(places)
    grids = sorted({place["grid_id"] for place in found if place["grid_id"] is not None})
    areas = sorted({place["area_id"] for place in found if place["area_id"] is not None})
    rows = session.execute(text(_HELD), {"grids": grids, "areas": areas}).mappings()
    held: dict[_Slot, list[_Held]] = {}
    for row in rows:
        post = _Held(is_single=False, **row)
        held.setdefault(post.slot, []).append(post)
    return held


def _refused(code: str, number: int, row: dict[Any, Any]) -> Finding:
    params = {"staff": str(row["staff"]), "post": str(row["post"]), "place": str(row["place"])}
    return Finding(code, Severity.REJECTED, "assignments", number, params["staff"], params)


def _write(session: Session, fresh: Sequence[_Held], ended: Sequence[_Held]) -> None:
    # Ends first: the database refuses a successor before the post is free.
    for post in ended:
        session.execute(text(_END), {"until": post.valid_to, "id": post.id})
    if fresh:
        session.execute(text(_BEGIN), [asdict(post) for post in fresh])


def _paths(session: Session, posts: Iterable[_Held]) -> tuple[str, ...]:
    listed = list(posts)
    grids = sorted({post.grid_id for post in listed if post.grid_id is not None})
    areas = sorted({post.area_id for post in listed if post.area_id is not None})
    return tuple(session.scalars(text(_PATHS), {"grids": grids, "areas": areas}))
