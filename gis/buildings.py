"""Use cases of buildings and their parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.orm import Session

from gis.errors import NotFound
from gis.models import Building, BuildingPart


def get(session: Session, building_id: int) -> Building:
    """A building by its id.

    Raises
    ------
    NotFound
        ``building.unknown``.
    """
    building = session.get(Building, building_id)
    if building is None:
        raise NotFound("building.unknown", building=building_id)
    return building


def by_code(session: Session, code: str) -> Building:
    """A building by its code.

    Raises
    ------
    NotFound
        ``building.unknown``.
    """
    building = session.scalar(select(Building).where(Building.code == code))
    if building is None:
        raise NotFound("building.unknown", building=code)
    return building


def sync_parts(session: Session, *, now: datetime, building_ids: Sequence[int] | None = None) -> int:
    """Give each building without parts one whole part, and bring the parts' households to the building's.

    A building that is cut keeps its cut; a changed count is spread over its parts by their old shares (largest
    remainder), until somebody counts each part. Cells of plans keep the counts of their making.

    Returns
    -------
    int
        Parts added or changed.
    """
    session.flush()
    ids = None if building_ids is None else list(building_ids)
    chosen = {"now": now, "ids": ids}
    added = session.execute(_ADD_WHOLE, chosen)
    changed = session.execute(_UPDATE_WHOLE, chosen)
    spread = _spread(session, ids)
    return int(added.rowcount + changed.rowcount) + spread  # type: ignore[attr-defined]


def largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Share a whole number out by weights so that the pieces add up to it; ties go to the first.

    Examples
    --------
    >>> largest_remainder(10, [1, 1, 1])
    [4, 3, 3]
    """
    weight = sum(shares)
    exact = [total * share / weight if weight else total / len(shares) for share in shares]
    pieces = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: (pieces[i] - exact[i], i))
    for i in order[: total - sum(pieces)]:
        pieces[i] += 1
    return pieces


def _spread(session: Session, building_ids: list[int] | None) -> int:
    rows = session.execute(_SPLIT_THAT_DIFFER, {"ids": building_ids}).all()
    changes = []
    for _, group in groupby(rows, key=lambda row: row.building_id):
        parts = list(group)
        for part, households in zip(
            parts, largest_remainder(parts[0].wanted, [part.households for part in parts]), strict=True
        ):
            changes.append({"part": part.id, "count": households})
    if changes:
        table = BuildingPart.__table__
        session.connection().execute(
            update(table).where(table.c.id == bindparam("part")).values(households=bindparam("count")),  # type: ignore[arg-type]
            changes,
        )
    return len(changes)


_CHOSEN = "(CAST(:ids AS bigint[]) IS NULL OR b.id = ANY(CAST(:ids AS bigint[])))"

_ADD_WHOLE = text(
    f"""
    INSERT INTO building_part (building_id, households, valid_during)
    SELECT b.id, b.households, tstzrange(:now, NULL) FROM building b
    WHERE {_CHOSEN} AND NOT EXISTS (
        SELECT FROM building_part p WHERE p.building_id = b.id AND upper_inf(p.valid_during))
    """
)

_UPDATE_WHOLE = text(
    f"""
    UPDATE building_part p SET households = b.households FROM building b
    WHERE p.building_id = b.id AND p.kind = 'whole' AND upper_inf(p.valid_during)
      AND p.households <> b.households AND {_CHOSEN}
    """
)

_SPLIT_THAT_DIFFER = text(
    f"""
    SELECT p.id, p.building_id, p.households, b.households AS wanted
    FROM building_part p JOIN building b ON b.id = p.building_id
    WHERE p.kind <> 'whole' AND upper_inf(p.valid_during) AND {_CHOSEN}
      AND (SELECT sum(q.households) FROM building_part q
           WHERE q.building_id = b.id AND upper_inf(q.valid_during)) <> b.households
    ORDER BY p.building_id, p.id
    """
)
