"""Who may do what: roles, actions, one table; scopes are subtrees of the administrative tree.

A path is an ltree text such as ``210681.210681001``; the empty path stands for the whole tree. The same table answers
in Python (`may`, `require`) and, by the paths that `scopes` gives, in SQL (`gis.db.visible`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gis.errors import NotAllowed
from gis.incident_flow import IncidentAction

EVERYWHERE = ""


class Role(StrEnum):
    """What a person is to the service."""

    ADMINISTRATOR = "administrator"
    PLANNER = "planner"
    APPROVER = "approver"
    DISPATCHER = "dispatcher"
    FIELD_WORKER = "field_worker"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a use case asks leave for."""

    VIEW_MAP = "view_map"
    """Areas, compounds, buildings, plans in force."""
    VIEW_DRAFTS = "view_drafts"
    VIEW_CONTACTS = "view_contacts"
    """Phones of staff unmasked."""
    VIEW_INCIDENTS = "view_incidents"
    REPORT_INCIDENT = "report_incident"
    COMMENT_INCIDENT = "comment_incident"
    TRIAGE_INCIDENT = "triage_incident"
    """Accept or reject."""
    DISPATCH_INCIDENT = "dispatch_incident"
    HANDLE_INCIDENT = "handle_incident"
    """Start, resolve, return."""
    VERIFY_INCIDENT = "verify_incident"
    """Verify, send back for rework, close."""
    DRAW_PLAN = "draw_plan"
    SUBMIT_PLAN = "submit_plan"
    """Hand a draft in, call it back."""
    REVIEW_PLAN = "review_plan"
    """Pass a submitted plan on to approval, or return it."""
    APPROVE_PLAN = "approve_plan"
    PUBLISH_PLAN = "publish_plan"
    """Publish, withdraw, note the filing."""
    EDIT_RULES = "edit_rules"
    IMPORT_DATA = "import_data"
    EDIT_STAFF = "edit_staff"
    EXPORT_DATA = "export_data"
    MANAGE_USERS = "manage_users"
    VIEW_AUDIT = "view_audit"


READING = frozenset(
    {
        Action.VIEW_MAP,
        Action.VIEW_DRAFTS,
        Action.VIEW_CONTACTS,
        Action.VIEW_INCIDENTS,
        Action.EXPORT_DATA,
        Action.VIEW_AUDIT,
    }
)
"""What changes nothing: the most that a program's token may do unless it was given to write."""

_VIEW = frozenset({Action.VIEW_MAP, Action.VIEW_INCIDENTS})
_SERVE = _VIEW | {Action.VIEW_CONTACTS, Action.REPORT_INCIDENT, Action.COMMENT_INCIDENT}

PERMISSIONS: dict[Role, frozenset[Action]] = {
    Role.ADMINISTRATOR: frozenset(Action),
    Role.PLANNER: _VIEW
    | {
        Action.VIEW_DRAFTS,
        Action.VIEW_CONTACTS,
        Action.DRAW_PLAN,
        Action.SUBMIT_PLAN,
        Action.EDIT_RULES,
        Action.IMPORT_DATA,
        Action.EDIT_STAFF,
        Action.EXPORT_DATA,
    },
    Role.APPROVER: _VIEW
    | {
        Action.VIEW_DRAFTS,
        Action.VIEW_CONTACTS,
        Action.REVIEW_PLAN,
        Action.APPROVE_PLAN,
        Action.PUBLISH_PLAN,
        Action.EXPORT_DATA,
    },
    Role.DISPATCHER: _SERVE
    | {
        Action.TRIAGE_INCIDENT,
        Action.DISPATCH_INCIDENT,
        Action.HANDLE_INCIDENT,
        Action.VERIFY_INCIDENT,
        Action.EXPORT_DATA,
    },
    Role.FIELD_WORKER: _SERVE | {Action.HANDLE_INCIDENT},
    Role.VIEWER: _VIEW,
}

# What each move of an incident asks for (`gis.incident_flow`).
INCIDENT_ACTIONS: dict[IncidentAction, Action] = {
    IncidentAction.REPORT: Action.REPORT_INCIDENT,
    IncidentAction.ACCEPT: Action.TRIAGE_INCIDENT,
    IncidentAction.REJECT: Action.TRIAGE_INCIDENT,
    IncidentAction.DISPATCH: Action.DISPATCH_INCIDENT,
    IncidentAction.RETURN: Action.HANDLE_INCIDENT,
    IncidentAction.START: Action.HANDLE_INCIDENT,
    IncidentAction.RESOLVE: Action.HANDLE_INCIDENT,
    IncidentAction.REWORK: Action.VERIFY_INCIDENT,
    IncidentAction.VERIFY: Action.VERIFY_INCIDENT,
    IncidentAction.CLOSE: Action.VERIFY_INCIDENT,
    IncidentAction.COMMENT: Action.COMMENT_INCIDENT,
    IncidentAction.REHOME: Action.PUBLISH_PLAN,
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in the subtree under a path."""

    role: Role
    area_path: str = EVERYWHERE


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: a signed-in person, or the command line (`SYSTEM`)."""

    user_id: int | None
    name: str
    grants: tuple[Grant, ...] = ()
    staff_id: int | None = None
    must_change_password: bool = False
    limited_to: frozenset[Action] | None = None
    """What a program's token is limited to, whatever the grants of its account say; ``None`` is not limited."""


SYSTEM = Actor(user_id=None, name="system", grants=(Grant(Role.ADMINISTRATOR),))
"""Whoever can run the command line on the server may do everything, and is written down as ``system``."""


def is_within(path: str, scope: str) -> bool:
    """Whether a path lies in the subtree of a scope, both included.

    Examples
    --------
    >>> is_within("210681.210681001", "210681"), is_within("2106812", "210681"), is_within("210681", "")
    (True, False, True)
    """
    return scope == EVERYWHERE or path == scope or path.startswith(scope + ".")


def scopes(actor: Actor, action: Action) -> tuple[str, ...]:
    """The paths under which somebody may do something, sorted; empty if nowhere."""
    if actor.limited_to is not None and action not in actor.limited_to:
        return ()
    return tuple(sorted({grant.area_path for grant in actor.grants if action in PERMISSIONS[grant.role]}))


def common_scopes(actor: Actor, *actions: Action) -> tuple[str, ...]:
    """The paths under which somebody may do all of several things: of two that overlap the deeper counts.

    Examples
    --------
    >>> actor = Actor(1, "a", (Grant(Role.VIEWER, "210681"), Grant(Role.PLANNER, "210681.210681001")))
    >>> common_scopes(actor, Action.VIEW_MAP, Action.EXPORT_DATA)
    ('210681.210681001',)
    """
    common = set(scopes(actor, actions[0]))
    for action in actions[1:]:
        held = scopes(actor, action)
        common = {a if is_within(a, b) else b for a in common for b in held if is_within(a, b) or is_within(b, a)}
    return tuple(sorted(common))


def may(actor: Actor, action: Action, path: str | None) -> bool:
    """Whether somebody may do something at a path.

    ``None`` is a place in no area (an incident beyond the border): only who may act everywhere may act there.
    """
    held = scopes(actor, action)
    if path is None:
        return EVERYWHERE in held
    return any(is_within(path, scope) for scope in held)


def may_anywhere(actor: Actor, action: Action) -> bool:
    """Whether somebody may do something in any place at all."""
    return bool(scopes(actor, action))


def require(actor: Actor, action: Action, path: str | None) -> None:
    """Go on only if it is allowed.

    Raises
    ------
    NotAllowed
        ``access.not_allowed``; carries the action and the place whose grant was missing.
    """
    if not may(actor, action, path):
        raise NotAllowed(
            "access.not_allowed", actor=actor.name, user_id=actor.user_id, action=str(action), path=path or ""
        )


def require_somewhere(actor: Actor, action: Action) -> None:
    """Go on only if it is allowed in any place at all; which place is decided later, row by row.

    Raises
    ------
    NotAllowed
        ``access.no_grant``.
    """
    if not may_anywhere(actor, action):
        raise NotAllowed("access.no_grant", actor=actor.name, user_id=actor.user_id, action=str(action))


def allowed_actions(actor: Actor) -> tuple[Action, ...]:
    """All that somebody may do somewhere, in the order of `Action`."""
    return tuple(action for action in Action if may_anywhere(actor, action))
