"""How an incident moves: one table of moves, and the function that reads it.

::

    (nothing) ─report→ reported ─accept→ accepted 立案 ─dispatch→ dispatched 派遣 ─start→ in_progress 处置
                          └─reject→ rejected      ↑────── return ──────┘                  │ resolve
                                                                                          ↓
                closed 结案 ←─close─ verified 核查 ←─verify─ resolved ──── rework ──→ in_progress

A new action is a line in `TRANSITIONS` and one in `gis.permissions.INCIDENT_ACTIONS`.
"""

from __future__ import annotations

from enum import StrEnum

from gis.errors import WrongState


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    REPORTED = "reported"
    """Told, not yet looked at."""
    ACCEPTED = "accepted"
    """Found valid and opened (立案)."""
    REJECTED = "rejected"
    """Not a matter for this service; ended."""
    DISPATCHED = "dispatched"
    """Given to a lead department (派遣)."""
    IN_PROGRESS = "in_progress"
    """Somebody has taken it up (处置); from here the lead is locked."""
    RESOLVED = "resolved"
    """Said to be done; waits for a check."""
    VERIFIED = "verified"
    """Checked on the spot (核查)."""
    CLOSED = "closed"
    """Ended (结案)."""

    @property
    def is_ended(self) -> bool:
        """Nothing but comments can follow."""
        return self in (IncidentStatus.REJECTED, IncidentStatus.CLOSED)

    @property
    def needs_lead(self) -> bool:
        """A department must be named."""
        return self in (
            IncidentStatus.DISPATCHED,
            IncidentStatus.IN_PROGRESS,
            IncidentStatus.RESOLVED,
            IncidentStatus.VERIFIED,
            IncidentStatus.CLOSED,
        )


class IncidentAction(StrEnum):
    """What can be done to an incident; also the kind of an event in its log."""

    REPORT = "report"
    ACCEPT = "accept"
    REJECT = "reject"
    DISPATCH = "dispatch"
    RETURN = "return"
    START = "start"
    RESOLVE = "resolve"
    REWORK = "rework"
    VERIFY = "verify"
    CLOSE = "close"
    COMMENT = "comment"
    REHOME = "rehome"
    """A new plan came into force: another cell is responsible. Done by publication, by nobody's hand."""


_S, _A = IncidentStatus, IncidentAction

TRANSITIONS: dict[tuple[IncidentStatus | None, IncidentAction], IncidentStatus] = {
    (None, _A.REPORT): _S.REPORTED,
    (_S.REPORTED, _A.ACCEPT): _S.ACCEPTED,
    (_S.REPORTED, _A.REJECT): _S.REJECTED,
    (_S.ACCEPTED, _A.DISPATCH): _S.DISPATCHED,
    (_S.DISPATCHED, _A.RETURN): _S.ACCEPTED,
    (_S.DISPATCHED, _A.START): _S.IN_PROGRESS,
    (_S.IN_PROGRESS, _A.RESOLVE): _S.RESOLVED,
    (_S.RESOLVED, _A.REWORK): _S.IN_PROGRESS,
    (_S.RESOLVED, _A.VERIFY): _S.VERIFIED,
    (_S.VERIFIED, _A.CLOSE): _S.CLOSED,
    **{(status, _A.COMMENT): status for status in _S},
    **{(status, _A.REHOME): status for status in _S if not status.is_ended},
}


def next_status(status: IncidentStatus | None, action: IncidentAction) -> IncidentStatus:
    """The status after an action.

    Raises
    ------
    WrongState
        ``incident.wrong_state`` if the table has no such move; names what would be possible.
    """
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise WrongState(
            "incident.wrong_state",
            status="" if status is None else str(status),
            action=str(action),
            possible=[str(move) for move in actions_from(status)],
        ) from None


def actions_from(status: IncidentStatus | None) -> tuple[IncidentAction, ...]:
    """What people may do next, in the order of the table; publication's own move is not among them."""
    return tuple(action for (start, action) in TRANSITIONS if start == status and action is not _A.REHOME)
