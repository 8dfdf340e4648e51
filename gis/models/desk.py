"""The planner's desk: the ground of a plan as faces, the log of its edits, and what is locked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, geometry, one_of

LOCK_KINDS = ("cell", "building", "all")
SURVEY_STATES = ("queued", "running", "done", "failed")
SURVEY_STEPS = ("reading", "surveying", "storing")


class PlanDesk(Base):
    """A plan that was opened on the desk: how many edits it has seen.

    ``ground`` is raised whenever faces are split; edits up to ``closed_seq`` can no longer be undone, because the cells
    were made anew since. ``is_aligned``: the cells' grounds are the unions of their faces (only drafts are changed).
    """

    __tablename__ = "plan_desk"

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(server_default=text("0"))
    ground: Mapped[int] = mapped_column(server_default=text("0"))
    closed_seq: Mapped[int] = mapped_column(server_default=text("0"))
    is_ready: Mapped[bool] = mapped_column(server_default=text("false"))
    is_aligned: Mapped[bool] = mapped_column(server_default=text("false"))


class PlanSurvey(Base):
    """How far the survey of a plan's ground is, or why there is none; one a plan, whoever waits for it.

    ``running`` holds only while somebody holds the plan's lock (`gis.survey_runs.is_held`): whoever died has let go.
    """

    __tablename__ = "plan_survey"
    __table_args__ = (
        CheckConstraint(one_of("state", SURVEY_STATES), name="state_known"),
        CheckConstraint(one_of("step", SURVEY_STEPS), name="step_known"),
        CheckConstraint("share BETWEEN 0 AND 1", name="share_range"),
        CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name="progress_range"),
        CheckConstraint("(state IN ('done', 'failed')) = (finished_at IS NOT NULL)", name="end_timed"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failure_named"),
    )

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default="queued")
    step: Mapped[str | None]
    share: Mapped[float] = mapped_column(server_default=text("0"))
    """Of the whole work, by what communities weigh."""
    done: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int] = mapped_column(server_default=text("0"))
    """Communities."""
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """How often it was begun since it was asked for."""
    error_code: Mapped[str | None]
    error_params: Mapped[dict[str, Any] | None]
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class PlanFace(Base):
    """A piece of ground that is never divided between cells: a building's, a staircase strip's, or land.

    A face of a building lies where its parts lie; ``cell_id`` is that of land, and of buildings without parts: the
    cell, or of a stack the one with the lowest id.
    """

    __tablename__ = "plan_face"
    __table_args__ = (
        CheckConstraint("area_m2 > 0", name="area_positive"),
        CheckConstraint("unit_to >= unit_from", name="units_order"),
        Index("ix_plan_face_plan_id", "plan_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    community_id: Mapped[Ref] = mapped_column(ForeignKey("admin_area.id"))
    building_id: Mapped[Ref | None] = mapped_column(ForeignKey("building.id"))
    unit_from: Mapped[int | None]
    unit_to: Mapped[int | None]
    cell_id: Mapped[Ref | None]
    area_m2: Mapped[float]
    geom: Mapped[Any] = mapped_column(geometry("POLYGON", index=False), nullable=False)


class PlanEdge(Base):
    """A line between two faces, or between a face and what lies outside the community."""

    __tablename__ = "plan_edge"
    __table_args__ = (
        CheckConstraint("barrier BETWEEN 0 AND 4", name="barrier_class"),
        Index("ix_plan_edge_plan_id", "plan_id"),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    face_a: Mapped[Ref]
    face_b: Mapped[Ref | None]
    length_m: Mapped[float]
    barrier: Mapped[int] = mapped_column(SmallInteger)
    is_crossable: Mapped[bool]
    geom: Mapped[Any] = mapped_column(geometry("LINESTRING", index=False), nullable=False)


class PlanLock(Base):
    """What edits of a draft must leave as it is: a cell, a building, or all (item 0)."""

    __tablename__ = "plan_lock"
    __table_args__ = (CheckConstraint(one_of("kind", LOCK_KINDS), name="kind_known"),)

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[Ref] = mapped_column(primary_key=True, autoincrement=False)


class PlanEdit(Base):
    """One edit of a draft: what was asked, the rows that it changed before and after, what was answered.

    An undo or a redo is an edit too: it puts back the rows as they were before the edit ``inverts``. ``undo_next`` and
    ``redo_next`` are the edits of the same person that an undo or a redo after this one would invert; ``below`` is the
    one beneath on the same stack.
    """

    __tablename__ = "plan_edit"
    __table_args__ = (
        UniqueConstraint("plan_id", "request_id"),
        Index("ix_plan_edit_actor", "plan_id", "actor", "seq"),
    )

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    request_id: Mapped[str]
    kind: Mapped[str]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_account.id"))
    actor: Mapped[str]
    request: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    summary: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    cells: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    parts: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    inverts: Mapped[int | None]
    undo_next: Mapped[int | None]
    redo_next: Mapped[int | None]
    below: Mapped[int | None]
    rows: Mapped[bytes]
    answer: Mapped[bytes]
