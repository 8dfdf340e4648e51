"""Plans, their cells, and what becomes of cells from plan to plan."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, geometry, one_of

PLAN_STATUSES = ("draft", "submitted", "reviewed", "approved", "published", "discarded")
BAND_STATES = ("in_band", "under", "over")
RUN_STATES = ("queued", "running", "done", "failed", "cancelled")
LINEAGE_KINDS = ("keep", "split", "merge", "transfer", "rename", "redraw", "re_digitise")
PLAN_EVENT_KINDS = (
    "create",
    "store",
    "submit",
    "recall",
    "review",
    "return",
    "approve",
    "file",
    "publish",
    "withdraw",
    "discard",
)


class Plan(Base):
    """A version of the division of whole communities under one area. Frozen from its submission on."""

    __tablename__ = "plan"
    __table_args__ = (
        CheckConstraint(one_of("status", PLAN_STATUSES), name="status_known"),
        CheckConstraint(
            "status <> 'published' OR (effective_from IS NOT NULL AND published_at IS NOT NULL"
            " AND published_by IS NOT NULL)",
            name="published_signed",
        ),
        CheckConstraint("based_on_id <> id", name="not_based_on_itself"),
        UniqueConstraint("id", "status"),
        UniqueConstraint("id", "rule_set_id"),
        UniqueConstraint("id", "grid_depths"),
        ForeignKeyConstraint(
            ["rule_set_id", "grid_depths"], ["rule_set.id", "rule_set.grid_depths"], name="fk_plan_rule_set"
        ),
    )

    id: Mapped[Id]
    area_id: Mapped[Ref] = mapped_column(ForeignKey("admin_area.id"))
    rule_set_id: Mapped[Ref]
    grid_depths: Mapped[int] = mapped_column(SmallInteger)
    title: Mapped[str]
    document_no: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="draft")
    based_on_id: Mapped[Ref | None] = mapped_column(ForeignKey("plan.id"))
    recipe: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    quality: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    effective_from: Mapped[datetime | None]
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]
    revision: Mapped[int] = mapped_column(server_default=text("1"))

    # Two sessions that change one plan: the second gets a stale revision, not the last word.
    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 - SQLAlchemy reads it as a class attribute


class PlanCommunity(Base):
    """A community that a plan covers, and when the plan governs it (empty until published)."""

    __tablename__ = "plan_community"
    __table_args__ = (
        CheckConstraint("community_level = 'community'", name="is_community"),
        CheckConstraint("plan_status = 'published' OR isempty(in_force_during)", name="in_force_only_published"),
        CheckConstraint(
            "isempty(in_force_during) OR (lower_inc(in_force_during) AND NOT upper_inc(in_force_during)"
            " AND NOT lower_inf(in_force_during))",
            name="half_open",
        ),
        ForeignKeyConstraint(
            ["plan_id", "plan_status"],
            ["plan.id", "plan.status"],
            name="fk_plan_community_plan",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["community_id", "community_level"],
            ["admin_area.id", "admin_area.level"],
            name="fk_plan_community_community",
        ),
        ExcludeConstraint(("community_id", "="), ("in_force_during", "&&"), name="ex_plan_one_in_force", using="gist"),
        Index("ix_plan_community_community_id", "community_id"),
    )

    plan_id: Mapped[Ref] = mapped_column(primary_key=True)
    community_id: Mapped[Ref] = mapped_column(primary_key=True)
    community_level: Mapped[str] = mapped_column(server_default="community")
    plan_status: Mapped[str] = mapped_column(server_default="draft")
    in_force_during: Mapped[Range[datetime]] = mapped_column(server_default=text("'empty'"))


class Grid(Base):
    """A cell of any grid tier: 网格 or 微网格. Counts are as of the plan's making: a document, not a live sum."""

    __tablename__ = "grid"
    __table_args__ = (
        CheckConstraint("(grid_depth = 1) = (parent_id IS NULL)", name="parent_unless_top"),
        CheckConstraint("households >= 0 AND residents >= 0 AND buildings >= 0", name="counts_not_negative"),
        CheckConstraint("area_m2 > 0", name="area_positive"),
        CheckConstraint("color_index BETWEEN 0 AND 7", name="color_index_range"),
        CheckConstraint(one_of("band_state", BAND_STATES), name="band_state_known"),
        CheckConstraint("floor_to >= floor_from", name="floors_order"),
        CheckConstraint("ST_IsValid(geom) AND NOT ST_IsEmpty(geom)", name="geom_valid"),
        UniqueConstraint("plan_id", "code"),
        UniqueConstraint("id", "plan_id", "community_id", "grid_depth", name="uq_grid_place"),
        UniqueConstraint("id", "plan_id", "grid_depth", name="uq_grid_depth"),
        ForeignKeyConstraint(["plan_id", "rule_set_id"], ["plan.id", "plan.rule_set_id"], name="fk_grid_plan"),
        ForeignKeyConstraint(
            ["plan_id", "community_id"],
            ["plan_community.plan_id", "plan_community.community_id"],
            name="fk_grid_plan_community",
        ),
        ForeignKeyConstraint(
            ["rule_set_id", "grid_depth"], ["tier.rule_set_id", "tier.grid_depth"], name="fk_grid_tier"
        ),
        ForeignKeyConstraint(
            ["parent_id", "plan_id", "community_id", "parent_depth"],
            ["grid.id", "grid.plan_id", "grid.community_id", "grid.grid_depth"],
            name="fk_grid_parent",
        ),
        Index("ix_grid_community_id_grid_depth", "community_id", "grid_depth"),
        Index("ix_grid_plan_id_community_id", "plan_id", "community_id"),
        Index("ix_grid_parent_id", "parent_id"),
        Index("ix_grid_code", "code"),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref]
    community_id: Mapped[Ref]
    rule_set_id: Mapped[Ref]
    grid_depth: Mapped[int] = mapped_column(SmallInteger)
    parent_id: Mapped[Ref | None]
    parent_depth: Mapped[int | None] = mapped_column(
        SmallInteger, Computed("CASE WHEN grid_depth > 1 THEN grid_depth - 1 END", persisted=True)
    )
    is_dedicated: Mapped[bool] = mapped_column(server_default=text("false"))
    code: Mapped[str]
    name: Mapped[str | None]
    floor_from: Mapped[int | None]
    floor_to: Mapped[int | None]
    households: Mapped[int]
    residents: Mapped[int | None]
    buildings: Mapped[int] = mapped_column(server_default=text("0"))
    area_m2: Mapped[float]
    band_state: Mapped[str] = mapped_column(server_default="in_band")
    color_index: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    geom: Mapped[Any] = mapped_column(geometry("MULTIPOLYGON"), nullable=False)


class GridPart(Base):
    """A building part lies in a cell of the lowest tier.

    The part's building and spans stand here too (held equal by the foreign key), so that an exclusion can refuse a
    plan that places a staircase and the whole of one building.
    """

    __tablename__ = "grid_part"
    __table_args__ = (
        ForeignKeyConstraint(["plan_id", "grid_depth"], ["plan.id", "plan.grid_depths"], name="fk_grid_part_plan"),
        ForeignKeyConstraint(
            ["grid_id", "plan_id", "grid_depth"],
            ["grid.id", "grid.plan_id", "grid.grid_depth"],
            name="fk_grid_part_grid",
        ),
        ForeignKeyConstraint(
            ["building_part_id", "building_id", "unit_span", "floor_span"],
            ["building_part.id", "building_part.building_id", "building_part.unit_span", "building_part.floor_span"],
            name="fk_grid_part_building_part",
        ),
        ExcludeConstraint(
            ("plan_id", "="),
            ("building_id", "="),
            ("unit_span", "&&"),
            ("floor_span", "&&"),
            name="ex_grid_part_no_overlap",
            using="gist",
        ),
        Index("ix_grid_part_grid_id", "grid_id"),
        Index("ix_grid_part_building_id", "building_id"),
        Index("ix_grid_part_building_part_id", "building_part_id"),
    )

    plan_id: Mapped[Ref] = mapped_column(primary_key=True)
    building_part_id: Mapped[Ref] = mapped_column(primary_key=True)
    grid_id: Mapped[Ref]
    grid_depth: Mapped[int] = mapped_column(SmallInteger)
    building_id: Mapped[Ref]
    unit_span: Mapped[Range[int]]
    floor_span: Mapped[Range[int]]
    households: Mapped[int]


class GridLineage(Base):
    """What became of a cell: the shares of the *old* cell's ground and households that went to the new one."""

    __tablename__ = "grid_lineage"
    __table_args__ = (
        CheckConstraint(one_of("kind", LINEAGE_KINDS), name="kind_known"),
        CheckConstraint("area_ratio BETWEEN 0 AND 1", name="area_ratio_range"),
        CheckConstraint("households_ratio BETWEEN 0 AND 1", name="households_ratio_range"),
        CheckConstraint("from_id <> to_id", name="two_cells"),
        Index("ix_grid_lineage_to_id", "to_id"),
    )

    from_id: Mapped[Ref] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    to_id: Mapped[Ref] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    kind: Mapped[str]
    area_ratio: Mapped[float]
    households_ratio: Mapped[float]
    document_no: Mapped[str | None]


class GridCode(Base):
    """Registry of the codes that were ever in force: none is given twice, a retired one never again."""

    __tablename__ = "grid_code"
    __table_args__ = (
        CheckConstraint("retired_at >= given_at", name="retired_after_given"),
        Index("ix_grid_code_community_id", "community_id"),
    )

    scheme: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    community_id: Mapped[Ref] = mapped_column(ForeignKey("admin_area.id"))
    given_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    given_by_plan_id: Mapped[Ref | None] = mapped_column(ForeignKey("plan.id"))


class PlanEvent(Base):
    """The log of a plan's way; nothing in it ever changes."""

    __tablename__ = "plan_event"
    __table_args__ = (
        CheckConstraint(one_of("kind", PLAN_EVENT_KINDS), name="kind_known"),
        CheckConstraint("seq >= 1", name="seq_from_one"),
    )

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    at: Mapped[datetime]
    actor_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("user_account.id"))
    actor: Mapped[str]
    document_no: Mapped[str | None]
    note: Mapped[str | None]


class PlanFinding(Base):
    """What the partitioner noticed while it made the plan."""

    __tablename__ = "plan_finding"
    __table_args__ = (Index("ix_plan_finding_plan_id", "plan_id"),)

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    code: Mapped[str]
    severity: Mapped[str]
    layer: Mapped[str]
    key: Mapped[str | None]
    params: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class PlanReport(Base):
    """The report of a plan (`gis.plan_report` says what is in it); its findings are rows of `PlanFinding`."""

    __tablename__ = "plan_report"

    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True)
    made_at: Mapped[datetime]
    asked: Mapped[dict[str, Any]]
    got: Mapped[dict[str, Any]]
    proof: Mapped[dict[str, Any]]
    principles: Mapped[dict[str, Any]]
    versions: Mapped[dict[str, Any]]


class PlanRun(Base):
    """A run of the partitioner for a plan: how far it is, and how it ended."""

    __tablename__ = "plan_run"
    __table_args__ = (
        CheckConstraint(one_of("state", RUN_STATES), name="state_known"),
        CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name="progress_range"),
        CheckConstraint("(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="end_timed"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failure_named"),
        Index("ix_plan_run_plan_id", "plan_id"),
        # A plan is made by one run at a time.
        Index(
            "uq_plan_run_one_alive",
            "plan_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="queued")
    seed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    effort: Mapped[str] = mapped_column(server_default="draft")
    done: Mapped[int] = mapped_column(server_default=text("0"))
    total: Mapped[int] = mapped_column(server_default=text("0"))
    message: Mapped[str | None]
    error_code: Mapped[str | None]
    error_params: Mapped[dict[str, Any] | None]
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
