"""The database: engine, the one place that commits, migrations, and refusals put into codes.

Only this module commits. `unit_of_work`: one request, one transaction; `commit_early` ends it before the answer is put
together, where others wait for what was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, Select, cast, create_engine, or_, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from gis.errors import (
    Conflict,
    GridError,
    InvalidGeometry,
    InvalidInput,
    NotAllowed,
    Overlap,
    StaleRevision,
    Unavailable,
)
from gis.models import AuditLog, Ltree
from gis.permissions import EVERYWHERE, Action, Actor, scopes

AnySelect = TypeVar("AnySelect", bound=Select[Any])

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_306_811  # any number of our own: two processes that start together migrate one after the other

# What the database refuses, by the name of the constraint or guard.
REFUSALS: dict[str, tuple[type[GridError], str]] = {
    "ck_admin_area_code_form": (InvalidInput, "area.bad_code"),
    "ck_admin_area_city_is_root": (InvalidInput, "area.wrong_level"),
    "ck_admin_area_geom_valid": (InvalidGeometry, "area.invalid_geometry"),
    "uq_admin_area_code": (Conflict, "area.duplicate_code"),
    "fk_admin_area_parent": (Conflict, "area.bad_parent"),
    "fk_admin_area_parent_level": (InvalidInput, "area.wrong_level"),
    "ex_rule_set_one_at_a_time": (Overlap, "rules.overlap"),
    "tr_rule_set_frozen": (Conflict, "rules.frozen"),
    "tr_plan_rules_usable": (InvalidInput, "rules.not_usable"),
    "uq_tier_rule_set_id_ordinal": (InvalidInput, "rules.duplicate_tier"),
    "uq_tier_rule_set_id_grid_depth": (InvalidInput, "rules.duplicate_tier"),
    "ck_tier_depth_of_grids_only": (InvalidInput, "rules.grid_tier_without_depth"),
    "ck_tier_band_order": (InvalidInput, "rules.bad_band"),
    "ck_compound_geom_valid": (InvalidGeometry, "building.invalid_geometry"),
    "ck_building_geom_valid": (InvalidGeometry, "building.invalid_geometry"),
    "ck_building_floors_range": (InvalidInput, "building.bad_floors"),
    "ck_building_height_positive": (InvalidInput, "building.bad_height"),
    "ck_building_households_not_negative": (InvalidInput, "building.negative_households"),
    "ck_building_part_households_not_negative": (InvalidInput, "building.negative_households"),
    "uq_building_code": (Conflict, "building.duplicate_code"),
    "fk_building_community": (InvalidInput, "building.not_in_community"),
    "ex_building_part_no_overlap": (Overlap, "building.parts_overlap"),
    "ck_plan_published_signed": (InvalidInput, "plan.published_unsigned"),
    "tr_plan_frozen": (Conflict, "plan.frozen"),
    "tr_plan_community_inside": (InvalidInput, "plan.community_outside"),
    "tr_plan_community_past": (Conflict, "plan.past_is_closed"),
    "tr_plan_codes_registered": (Conflict, "plan.code_not_registered"),
    "ck_plan_community_in_force_only_published": (Conflict, "plan.not_published"),
    "fk_plan_community_community": (InvalidInput, "plan.not_a_community"),
    "ex_plan_one_in_force": (Overlap, "plan.overlaps_published"),
    "fk_grid_tier": (InvalidInput, "plan.unknown_tier"),
    "fk_grid_parent": (InvalidInput, "plan.wrong_parent"),
    "ck_grid_parent_unless_top": (InvalidInput, "plan.wrong_parent"),
    "ck_grid_geom_valid": (InvalidGeometry, "plan.invalid_geometry"),
    "uq_grid_plan_id_code": (Conflict, "plan.duplicate_code"),
    "fk_grid_part_grid": (InvalidInput, "plan.part_of_other_cell"),
    "pk_grid_part": (Conflict, "plan.part_twice"),
    "ex_grid_part_no_overlap": (Overlap, "plan.part_twice"),
    "pk_grid_code": (Conflict, "plan.code_reused"),
    "tr_grid_code_stays": (Conflict, "plan.code_reused"),
    "uq_plan_run_one_alive": (Conflict, "plan.run_alive"),
    "ck_assignment_one_place": (InvalidInput, "staff.one_place"),
    "tr_assignment_fits": (InvalidInput, "staff.post_of_other_tier"),
    "ex_assignment_single_post": (Overlap, "staff.post_is_held"),
    "ex_assignment_once": (Overlap, "staff.post_is_held"),
    "uq_staff_code": (Conflict, "staff.duplicate_code"),
    "uq_user_account_username": (Conflict, "access.username_taken"),
    "uq_user_account_staff_id": (Conflict, "access.staff_has_account"),
    "ck_user_account_username_form": (InvalidInput, "access.bad_username"),
    "ex_role_grant_once": (Overlap, "access.granted_already"),
    "fk_incident_category": (InvalidInput, "incident.unknown_category"),
    "ck_incident_dispatched_has_lead": (InvalidInput, "incident.lead_missing"),
    "tr_incident_lead_locked": (Conflict, "incident.lead_locked"),
    "tr_incident_report_frozen": (Conflict, "incident.report_frozen"),
    "fk_incident_log": (Conflict, "incident.log_disagrees"),
    "uq_incident_event_request_id": (Conflict, "incident.request_repeated"),
    "uq_incident_event_incident_id_seq": (StaleRevision, "incident.stale"),
    "fk_incident_event_incident_id": (Conflict, "incident.has_log"),
    "tr_incident_event_append_only": (Conflict, "database.append_only"),
    "tr_plan_event_append_only": (Conflict, "database.append_only"),
    "tr_audit_log_append_only": (Conflict, "database.append_only"),
    "tr_plan_comment_kept": (Conflict, "database.append_only"),
    "tr_plan_comment_append_only": (Conflict, "database.append_only"),
}


def make_engine(url: str, *, pool_size: int = 5, statement_timeout_s: float = 60.0) -> Engine:
    """Make an engine for a PostgreSQL URL, with time-outs that keep one stuck session from stopping all.

    Parameters
    ----------
    url : str
        ``postgresql://…`` as libpq takes it.
    pool_size : int
        Connections kept; as many again may be opened at a peak.
    statement_timeout_s : float
        Longest statement; publication and imports lengthen it for themselves.
    """
    address = url.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
    options = (
        f"-c statement_timeout={int(statement_timeout_s * 1000)} -c lock_timeout=10000"
        " -c idle_in_transaction_session_timeout=120000 -c timezone=UTC"
    )
    return create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={"options": options, "connect_timeout": 10, "application_name": "wangge"},
    )


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on any error, refusals put into codes.

    An error that carries ``keep_writes`` (a failed log-in, whose count must stay) is raised after the commit. A
    refusal for want of a grant is written to the audit log, in a transaction of its own.

    Raises
    ------
    GridError
        What the work raised, or `translate` of what the database refused.
    """
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except GridError as error:
            if getattr(error, "keep_writes", False):
                session.commit()
            else:
                session.rollback()
                if isinstance(error, NotAllowed):
                    _record_refusal(session, error)
            raise
        except StaleDataError as error:
            session.rollback()
            raise StaleRevision("plan.stale") from error
        except DBAPIError as error:
            session.rollback()
            raise translate(error) from error
        except PoolTimeout as error:
            raise Unavailable("database.too_many") from error


def commit_early(session: Session) -> None:
    """Make what a request has written durable now, and known to those who wait; what follows only reads.

    To be called within `unit_of_work`, which puts a refusal at the commit into a code.
    """
    session.commit()


def _record_refusal(session: Session, error: NotAllowed) -> None:
    session.add(
        AuditLog(
            at=datetime.now(UTC),
            actor_id=error.params.get("user_id"),
            actor=str(error.params.get("actor", "?")),
            action=str(error.params.get("action", error.code)),
            subject=f"area:{error.params.get('path', '')}",
            result="refused",
        )
    )
    session.commit()


def audit(
    session: Session,
    action: str,
    *,
    subject: str,
    actor: Actor,
    now: datetime,
    details: dict[str, Any] | None = None,
    result: str = "done",
) -> None:
    """Write an act to the audit log, in the transaction of the act."""
    session.add(
        AuditLog(
            at=now,
            actor_id=actor.user_id,
            actor=actor.name,
            action=action,
            subject=subject,
            result=result,
            details=details or {},
        )
    )


def translate(error: DBAPIError) -> GridError:
    """Put what the database refused into an error of the domain, by the name of the constraint or guard."""
    diag = getattr(error.orig, "diag", None)
    name = getattr(diag, "constraint_name", None)
    if name in REFUSALS:
        kind, code = REFUSALS[name]
        # Only our guards' own words: PostgreSQL's detail quotes the whole row, which is nobody's business.
        detail = (getattr(diag, "message_primary", None) or "") if name.startswith("tr_") else ""
        return kind(code, constraint=name, detail=detail)
    state = getattr(error.orig, "sqlstate", None) or ""
    if isinstance(error, IntegrityError):
        return Conflict("database.refused", constraint=name or "?")
    if state in ("40001", "40P01", "55P03"):
        return Conflict("database.busy")
    if state == "57014":
        return Unavailable("database.timeout")
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return Unavailable("database.away")
    return Conflict("database.refused", constraint=name or state)


def visible(statement: AnySelect, path_column: Any, actor: Actor, action: Action) -> AnySelect:
    """Keep only the rows whose area lies in a subtree where somebody may do something; the row filter of every list.

    Rows whose path is NULL (a place in no area) are seen only by who may act everywhere.
    """
    held = scopes(actor, action)
    if EVERYWHERE in held:
        return statement
    if not held:
        return statement.where(text("false"))
    return statement.where(or_(*(path_column.op("<@")(cast(scope, Ltree())) for scope in held)))


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to a revision; a second process that comes meanwhile waits and finds it done."""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(config(connection), revision)


def config(connection: Any = None) -> Config:
    """Alembic's configuration, made in code so that an installed package needs no ini file."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["connection"] = connection
    return made


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The schema's revision and the newest that there is."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, ScriptDirectory.from_config(config()).get_current_head()
