"""Departments, staff and the posts they hold; accounts, grants, sessions; the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, one_of
from gis.permissions import Role


class Department(Base):
    """An office, in a tree of its own."""

    __tablename__ = "department"
    __table_args__ = (CheckConstraint("parent_id <> id", name="not_own_parent"), UniqueConstraint("code"))

    id: Mapped[Id]
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str | None]
    area_id: Mapped[Ref | None] = mapped_column(ForeignKey("admin_area.id"))
    parent_id: Mapped[Ref | None] = mapped_column(ForeignKey("department.id"))


class Staff(Base):
    """A person who serves. The only personal data kept: name and office phone."""

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("code"),)

    id: Mapped[Id]
    code: Mapped[str]
    name: Mapped[str]
    phone: Mapped[str | None]
    department_id: Mapped[Ref | None] = mapped_column(ForeignKey("department.id"))


class Assignment(Base):
    """A post held for one cell or one area, for a time."""

    __tablename__ = "assignment"
    __table_args__ = (
        CheckConstraint("num_nonnulls(grid_id, area_id) = 1", name="one_place"),
        CheckConstraint(
            "isempty(valid_during) OR (NOT lower_inf(valid_during) AND lower_inc(valid_during)"
            " AND NOT upper_inc(valid_during))",
            name="valid_during_half_open",
        ),
        ForeignKeyConstraint(["post_id", "is_single"], ["post.id", "post.is_single"], name="fk_assignment_post"),
        ExcludeConstraint(
            ("post_id", "="),
            (text("coalesce(grid_id, -area_id)"), "="),
            ("valid_during", "&&"),
            name="ex_assignment_single_post",
            using="gist",
            where=text("is_single"),
        ),
        ExcludeConstraint(
            ("staff_id", "="),
            ("post_id", "="),
            (text("coalesce(grid_id, -area_id)"), "="),
            ("valid_during", "&&"),
            name="ex_assignment_once",
            using="gist",
        ),
        Index("ix_assignment_grid_id", "grid_id"),
        Index("ix_assignment_area_id", "area_id"),
        Index("ix_assignment_staff_id", "staff_id"),
        # The dates at which posts begin and end: what `gis.in_force` looks for.
        Index("ix_assignment_begins", text("lower(valid_during)")),
        Index("ix_assignment_ends", text("upper(valid_during)")),
    )

    id: Mapped[Id]
    staff_id: Mapped[Ref] = mapped_column(ForeignKey("staff.id"))
    post_id: Mapped[Ref]
    is_single: Mapped[bool]
    grid_id: Mapped[Ref | None] = mapped_column(ForeignKey("grid.id"))
    area_id: Mapped[Ref | None] = mapped_column(ForeignKey("admin_area.id"))
    valid_during: Mapped[Range[datetime]]
    carried_from_id: Mapped[Ref | None] = mapped_column(ForeignKey("assignment.id"))


class UserAccount(Base):
    """A log-in; field workers' accounts point to their row in staff."""

    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint("username ~ '^[a-z0-9][a-z0-9._-]{0,63}$'", name="username_form"),
        CheckConstraint("failed_logins >= 0", name="failed_logins_not_negative"),
        UniqueConstraint("username"),
        UniqueConstraint("staff_id"),
    )

    id: Mapped[Id]
    username: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    must_change_password: Mapped[bool] = mapped_column(server_default=text("true"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    failed_logins: Mapped[int] = mapped_column(server_default=text("0"))
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    password_changed_at: Mapped[datetime]
    staff_id: Mapped[Ref | None] = mapped_column(ForeignKey("staff.id"))


class RoleGrant(Base):
    """A role in the subtree of an area for a time; without area, everywhere."""

    __tablename__ = "role_grant"
    __table_args__ = (
        CheckConstraint(one_of("role", [str(role) for role in Role]), name="role_known"),
        CheckConstraint("NOT lower_inf(valid_during)", name="valid_during_dated"),
        ExcludeConstraint(
            ("user_id", "="),
            ("role", "="),
            (text("coalesce(area_id, 0)"), "="),
            ("valid_during", "&&"),
            name="ex_role_grant_once",
            using="gist",
        ),
        Index("ix_role_grant_user_id", "user_id"),
    )

    id: Mapped[Id]
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id"))
    role: Mapped[str]
    area_id: Mapped[Ref | None] = mapped_column(ForeignKey("admin_area.id"))
    department_id: Mapped[Ref | None] = mapped_column(ForeignKey("department.id"))
    valid_during: Mapped[Range[datetime]]


class UserSession(Base):
    """A signed-in browser; of the token only the hash is kept."""

    __tablename__ = "user_session"
    __table_args__ = (UniqueConstraint("token_hash"), Index("ix_user_session_user_id", "user_id"))

    id: Mapped[Id]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class AuditLog(Base):
    """Who did what to what, when, with what result; nothing in it ever changes."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint(one_of("result", ["done", "refused", "failed"]), name="result_known"),
        Index("ix_audit_log_at", "at"),
        Index("ix_audit_log_subject", "subject"),
    )

    id: Mapped[Id]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_account.id"))
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    result: Mapped[str] = mapped_column(server_default="done")
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
