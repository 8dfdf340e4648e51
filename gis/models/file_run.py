"""Runs of files that are handed in: a table to geotag, a division to become a draft; progress and result."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, one_of
from gis.models.plan import RUN_STATES

FILE_KINDS = ("geotag", "division")
TAKING_STEPS = ("reading", "checking", "placing", "dividing", "storing")


class FileRun(Base):
    """One file to be worked on for one account; the files lie in the service's home folder until it expires.

    Of a division ``running`` holds only while somebody holds the run's lock (`gis.taking_runs`).
    """

    __tablename__ = "file_run"
    __table_args__ = (
        CheckConstraint(one_of("kind", FILE_KINDS), name="kind_known"),
        CheckConstraint(one_of("state", RUN_STATES), name="state_known"),
        CheckConstraint(one_of("step", TAKING_STEPS), name="step_known"),
        CheckConstraint("progress_ratio BETWEEN 0 AND 1", name="progress_range"),
        CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name="count_range"),
        CheckConstraint("(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="end_timed"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failure_named"),
        Index("ix_file_run_owner_id", "owner_id", "id"),
        Index("ix_file_run_expires_at", "expires_at"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    owner_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="queued")
    folder: Mapped[str]
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    ending: Mapped[str]
    """Of the result."""
    options: Mapped[dict[str, Any]]
    progress_ratio: Mapped[float] = mapped_column(server_default=text("0"))
    step: Mapped[str | None]
    done: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int] = mapped_column(server_default=text("0"))
    """Communities of the step."""
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """How often it was begun."""
    summary: Mapped[dict[str, Any] | None]
    plan_id: Mapped[Ref | None] = mapped_column(ForeignKey("plan.id", ondelete="SET NULL"))
    """The draft that it has become."""
    error_code: Mapped[str | None]
    error_params: Mapped[dict[str, Any] | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
