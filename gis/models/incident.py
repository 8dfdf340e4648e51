"""Incidents: the row is a projection, the log is the truth. Categories and the working calendar beside them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from gis.incident_flow import IncidentStatus
from gis.models.base import Base, Id, Ref, geometry, one_of
from gis.worktime import SPAN_UNITS

_STATUSES = [str(status) for status in IncidentStatus]
_WITH_LEAD = [str(status) for status in IncidentStatus if status.needs_lead]
_ENDED = [str(status) for status in IncidentStatus if status.is_ended]


class IncidentCategory(Base):
    """A line of the dictionary of incidents, with its deadline."""

    __tablename__ = "incident_category"
    __table_args__ = (
        CheckConstraint(one_of("due_unit", SPAN_UNITS), name="due_unit_known"),
        CheckConstraint("due_amount > 0", name="due_amount_positive"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    board: Mapped[str | None]
    department: Mapped[str | None]
    due_amount: Mapped[float]
    due_unit: Mapped[str]
    is_verified: Mapped[bool] = mapped_column(server_default=text("false"))


class CalendarDay(Base):
    """A day that is not what its weekday says: a holiday, or a weekend worked to make up for one."""

    __tablename__ = "calendar_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    is_workday: Mapped[bool]
    name: Mapped[str | None]


class Incident(Base):
    """Present state of an incident, as its log leaves it.

    (id, last_seq, status) references the log: the row can say nothing that the last event does not say.
    """

    __tablename__ = "incident"
    __table_args__ = (
        CheckConstraint(one_of("status", _STATUSES), name="status_known"),
        CheckConstraint("severity BETWEEN 1 AND 4", name="severity_range"),
        CheckConstraint("accuracy_m >= 0", name="accuracy_not_negative"),
        CheckConstraint(
            f"lead_department_id IS NOT NULL OR NOT ({one_of('status', _WITH_LEAD)})", name="dispatched_has_lead"
        ),
        CheckConstraint(f"(closed_at IS NOT NULL) = ({one_of('status', _ENDED)})", name="closed_timed"),
        CheckConstraint("closed_at >= reported_at", name="closed_after_reported"),
        CheckConstraint("due_at >= reported_at", name="due_after_reported"),
        CheckConstraint("lead_locked_at IS NULL OR lead_department_id IS NOT NULL", name="locked_has_lead"),
        CheckConstraint("NOT ST_IsEmpty(geom)", name="geom_not_empty"),
        UniqueConstraint("code"),
        ForeignKeyConstraint(
            ["id", "last_seq", "status"],
            ["incident_event.incident_id", "incident_event.seq", "incident_event.to_status"],
            name="fk_incident_log",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
        Index("ix_incident_grid_id_status", "grid_id", "status"),
        Index("ix_incident_area_id_status", "area_id", "status"),
        Index(
            "ix_incident_period",
            "reported_at",
            "id",
            postgresql_include=["area_id", "grid_id", "category", "status", "closed_at"],
        ),
        Index(
            "ix_incident_area_period",
            "area_id",
            "reported_at",
            "id",
            postgresql_include=["grid_id", "category", "status", "closed_at"],
        ),
        Index("ix_incident_category_period", "category", "reported_at", "id"),
        Index("ix_incident_closed_at", "closed_at"),
        Index("ix_incident_open_geom", "geom", postgresql_using="gist", postgresql_where=text("closed_at IS NULL")),
        Index("ix_incident_assignee_id", "assignee_id"),
        Index("ix_incident_open", "due_at", postgresql_where=text(f"NOT ({one_of('status', _ENDED)})")),
    )

    id: Mapped[Id]
    code: Mapped[str]
    category: Mapped[str] = mapped_column(ForeignKey("incident_category.code"))
    title: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[str]
    severity: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    geom: Mapped[Any] = mapped_column(geometry("POINT"), nullable=False)
    accuracy_m: Mapped[float | None]
    area_id: Mapped[Ref | None] = mapped_column(ForeignKey("admin_area.id"))
    grid_id: Mapped[Ref | None] = mapped_column(ForeignKey("grid.id"))
    building_part_id: Mapped[Ref | None] = mapped_column(ForeignKey("building_part.id"))
    lead_department_id: Mapped[Ref | None] = mapped_column(ForeignKey("department.id"))
    lead_locked_at: Mapped[datetime | None]
    assignee_id: Mapped[Ref | None] = mapped_column(ForeignKey("staff.id"))
    reporter_id: Mapped[Ref | None] = mapped_column(ForeignKey("user_account.id"))
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    reported_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    last_seq: Mapped[int]


class IncidentEvent(Base):
    """The log of an incident. Each event begins where the one before it ended (held by a foreign key)."""

    __tablename__ = "incident_event"
    __table_args__ = (
        CheckConstraint("seq >= 1", name="seq_from_one"),
        # Not a list of the kinds: a new action is a line in a table, not a migration.
        CheckConstraint("kind ~ '^[a-z_]+$'", name="kind_form"),
        CheckConstraint(one_of("to_status", _STATUSES), name="to_status_known"),
        CheckConstraint("(seq = 1) = (from_status IS NULL)", name="first_from_nothing"),
        UniqueConstraint("request_id"),
        UniqueConstraint("incident_id", "seq"),
        UniqueConstraint("incident_id", "seq", "to_status", name="uq_incident_event_state"),
        ForeignKeyConstraint(
            ["incident_id", "previous_seq", "from_status"],
            ["incident_event.incident_id", "incident_event.seq", "incident_event.to_status"],
            name="fk_incident_event_previous",
        ),
        Index("ix_incident_event_recorded_at", "recorded_at"),
    )

    id: Mapped[Id]
    incident_id: Mapped[Ref] = mapped_column(ForeignKey("incident.id"))
    seq: Mapped[int]
    previous_seq: Mapped[int | None] = mapped_column(Computed("nullif(seq - 1, 0)", persisted=True))
    kind: Mapped[str]
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_account.id"))
    actor: Mapped[str]
    request_id: Mapped[str | None]
    note: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class IncidentTally(Base):
    """Incidents of a month (UTC), a community and a key, counted by triggers: what a count is, is the sum of its rows.

    Rows are only added, by every writer its own; `gis.incident_tally.sum_up` puts them together.
    """

    __tablename__ = "incident_tally"
    __table_args__ = (
        CheckConstraint(one_of("kind", ("status", "category", "grid")), name="kind_known"),
        Index("ix_incident_tally_month", "kind", "month", postgresql_include=["area_id", "key", "total", "open"]),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    month: Mapped[date]
    area_id: Mapped[Ref | None]
    key: Mapped[str | None]
    total: Mapped[int]
    open: Mapped[int]
