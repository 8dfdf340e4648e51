"""Tables and nothing else; what may be done with them stands in the use cases."""

from gis.models.access import AccessToken, IncidentSource
from gis.models.approval import PlanComment
from gis.models.area import AdminArea
from gis.models.base import SRID, Base, Ltree
from gis.models.building import Barrier, Building, BuildingPart, Compound, Ground, ImportRun, Poi
from gis.models.desk import PlanDesk, PlanEdge, PlanEdit, PlanFace, PlanLock, PlanSurvey
from gis.models.file_run import FileRun
from gis.models.incident import CalendarDay, Incident, IncidentCategory, IncidentEvent, IncidentTally
from gis.models.live import LiveEvent
from gis.models.notice import ChangeNote
from gis.models.people import (
    Assignment,
    AuditLog,
    Department,
    RoleGrant,
    Staff,
    UserAccount,
    UserSession,
)
from gis.models.plan import (
    Grid,
    GridCode,
    GridLineage,
    GridPart,
    Plan,
    PlanCommunity,
    PlanEvent,
    PlanFinding,
    PlanReport,
    PlanRun,
)
from gis.models.proposal import Proposal, ProposalCell, ProposalPart, ProposalRun
from gis.models.rules import PostRow, RuleSetRow, TierRow
from gis.models.search import SearchEntry, SearchStale

__all__ = [
    "SRID",
    "AccessToken",
    "AdminArea",
    "Assignment",
    "AuditLog",
    "Barrier",
    "Base",
    "Building",
    "BuildingPart",
    "CalendarDay",
    "ChangeNote",
    "Compound",
    "Department",
    "FileRun",
    "Grid",
    "GridCode",
    "GridLineage",
    "GridPart",
    "Ground",
    "ImportRun",
    "Incident",
    "IncidentCategory",
    "IncidentEvent",
    "IncidentSource",
    "IncidentTally",
    "LiveEvent",
    "Ltree",
    "Plan",
    "PlanComment",
    "PlanCommunity",
    "PlanDesk",
    "PlanEdge",
    "PlanEdit",
    "PlanEvent",
    "PlanFace",
    "PlanFinding",
    "PlanLock",
    "PlanReport",
    "PlanRun",
    "PlanSurvey",
    "Poi",
    "PostRow",
    "Proposal",
    "ProposalCell",
    "ProposalPart",
    "ProposalRun",
    "RoleGrant",
    "RuleSetRow",
    "SearchEntry",
    "SearchStale",
    "Staff",
    "TierRow",
    "UserAccount",
    "UserSession",
]
