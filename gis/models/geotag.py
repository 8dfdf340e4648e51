"""Runs of batch geotagging: a file handed in, its progress, its result."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, one_of
from gis.models.plan import RUN_STATES


class GeotagRun(Base):
    """One file to be geotagged for one account; the files lie in the service's home folder until it expires."""

    __tablename__ = "geotag_run"
    __table_args__ = (
        CheckConstraint(one_of("state", RUN_STATES), name="state_known"),
        CheckConstraint("progress_ratio BETWEEN 0 AND 1", name="progress_range"),
        CheckConstraint("(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="end_timed"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failure_named"),
        Index("ix_geotag_run_owner_id", "owner_id", "id"),
        Index("ix_geotag_run_expires_at", "expires_at"),
    )

    id: Mapped[Id]
    owner_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="queued")
    folder: Mapped[str]
    file_name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    ending: Mapped[str]
    options: Mapped[dict[str, Any]]
    progress_ratio: Mapped[float] = mapped_column(server_default=text("0"))
    summary: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None]
    error_params: Mapped[dict[str, Any] | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
