"""What is said about a plan before it is decided on: remarks pinned on its map."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, geometry


class PlanComment(Base):
    """A remark at a place of a plan, or an answer to one. Its words never change; it is resolved, or opened again.

    The cell's code is kept beside its id, because a redraw may end the cell and not the remark.
    """

    __tablename__ = "plan_comment"
    __table_args__ = (
        CheckConstraint("(parent_id IS NULL) = (geom IS NOT NULL)", name="place_of_first"),
        CheckConstraint("length(body) BETWEEN 1 AND 4000", name="body_length"),
        CheckConstraint("(resolved_at IS NULL) = (resolved_by IS NULL)", name="resolved_whole"),
        CheckConstraint("resolved_at IS NULL OR parent_id IS NULL", name="resolved_first"),
        UniqueConstraint("id", "plan_id"),
        ForeignKeyConstraint(
            ["parent_id", "plan_id"], ["plan_comment.id", "plan_comment.plan_id"], name="fk_plan_comment_parent"
        ),
        Index("ix_plan_comment_plan_id", "plan_id"),
        Index("ix_plan_comment_parent_id", "parent_id"),
        Index("ix_plan_comment_grid_id", "grid_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id"))
    parent_id: Mapped[Ref | None]
    grid_id: Mapped[Ref | None] = mapped_column(ForeignKey("grid.id", ondelete="SET NULL"))
    cell_code: Mapped[str | None]
    body: Mapped[str]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_account.id"))
    actor: Mapped[str]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    geom: Mapped[Any | None] = mapped_column(geometry("POINT", index=False))
