"""One incident as the command centre sees it: with its log, the people responsible, and what may be done next."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from gis import incidents, listing
from gis.errors import NotFound
from gis.models import Incident
from gis.permissions import Action, Actor, may


def incident_in_full(session: Session, incident_id: int, *, actor: Actor, at: datetime) -> listing.Row:
    """An incident that somebody may see: in their areas, or reported by themselves.

    Raises
    ------
    NotFound
        ``incident.unknown``, also if it is neither.
    """
    row = listing.incident(session, incident_id)
    if row is None or not (may(actor, Action.VIEW_INCIDENTS, row["path"]) or _is_own(row, actor)):
        raise NotFound("incident.unknown", incident=incident_id)
    row.pop("reporter_id")
    path, grid_id = row.pop("path"), row["grid_id"]
    shows_phones = may(actor, Action.VIEW_CONTACTS, path)
    row["people"] = (
        listing.responsible(session, [grid_id], at=at, shows_phones=shows_phones)[grid_id] if grid_id else []
    )
    row["log"] = listing.log(session, incident_id)
    possible = incidents.allowed_actions(session, session.get_one(Incident, incident_id), actor=actor)
    row["allowed_actions"] = [str(action) for action in possible]
    return row


def _is_own(row: listing.Row, actor: Actor) -> bool:
    return actor.user_id is not None and row["reporter_id"] == actor.user_id
