"""News for open pages: what changed since a number, as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from gis.listing.incidents import COLUMNS, SOURCE
from gis.listing.window import fetch
from gis.permissions import EVERYWHERE, is_within


@dataclass(frozen=True, slots=True)
class Change:
    """Something that listeners are told: an incident as it is now, or that a plan was published or taken back.

    Attributes
    ----------
    number : int
        Its place in the order of commits (`gis.models.LiveEvent`).
    kind : {"incident", "plan"}
    paths : tuple of (str or None)
        Where in the tree; ``None`` in no area.
    data : dict
        What is sent.
    """

    number: int
    kind: str
    paths: tuple[str | None, ...]
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """What was read at once.

    Attributes
    ----------
    newest : int
        The highest number there is; 0 if there is none.
    oldest : int
        The lowest number that is still kept; 0 if there is none.
    changes : list of Change
        By number. An incident that changed several times comes once, by its last number.
    is_cut : bool
        There was more than the limit: of ``changes`` the oldest are missing.
    """

    newest: int
    oldest: int
    changes: list[Change]
    is_cut: bool


def newest_number(session: Session) -> int:
    """The number of the last news; whoever reads a list after it has all that was told up to it."""
    return int(fetch(session, "SELECT coalesce(max(id), 0) AS newest FROM live_event", {})[0]["newest"])


def news(session: Session, *, after: int, limit: int) -> News:
    """What has happened since a number, the newest ``limit`` at most."""
    [ends] = fetch(session, "SELECT coalesce(max(id), 0) AS newest, coalesce(min(id), 0) AS oldest FROM live_event", {})
    events = fetch(
        session,
        "SELECT id, incident_id, plan_id FROM live_event WHERE id > :after AND id <= :newest"
        " ORDER BY id DESC LIMIT :limit",
        {"after": after, "newest": ends["newest"], "limit": limit + 1},
    )
    told = events[:limit][::-1]
    incidents = {event["incident_id"]: event["id"] for event in told if event["incident_id"] is not None}
    plans = {event["plan_id"]: event["id"] for event in told if event["plan_id"] is not None}
    changes = _incidents(session, incidents) + _plans(session, plans)
    return News(**ends, changes=sorted(changes, key=lambda change: change.number), is_cut=len(events) > limit)


def _incidents(session: Session, numbers: dict[int, int]) -> list[Change]:
    """Incidents as they are now, as features."""
    if not numbers:
        return []
    rows = fetch(
        session,
        f"SELECT {COLUMNS}, ST_AsGeoJSON(incident.geom, 7) AS geometry FROM {SOURCE} WHERE incident.id = ANY(:ids)",
        {"ids": list(numbers)},
    )
    changes = []
    for row in rows:
        path, shape = row.pop("path"), row.pop("geometry")
        data = {"type": "Feature", "id": row["id"], "geometry": orjson.Fragment(shape), "properties": row}
        changes.append(Change(numbers[row["id"]], "incident", (path,), data))
    return changes


def _plans(session: Session, numbers: dict[int, int]) -> list[Change]:
    """Publications and withdrawals, with the communities that they concern."""
    if not numbers:
        return []
    rows = fetch(
        session,
        "SELECT plan.id AS plan_id, plan.title, plan.status, plan.effective_from, array_agg(area.path::text) AS paths"
        " FROM plan INNER JOIN plan_community AS link ON link.plan_id = plan.id"
        " INNER JOIN admin_area AS area ON link.community_id = area.id WHERE plan.id = ANY(:ids) GROUP BY plan.id",
        {"ids": list(numbers)},
    )
    return [Change(numbers[row["plan_id"]], "plan", tuple(row.pop("paths")), row) for row in rows]


def reaches(scopes: Sequence[str], paths: Sequence[str | None]) -> bool:
    """Whether somebody with these scopes may hear of what happens at one of the paths.

    In no area at all, only those who see everywhere.
    """
    if EVERYWHERE in scopes:
        return True
    return any(path is not None and is_within(path, scope) for path in paths for scope in scopes)
