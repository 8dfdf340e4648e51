"""Proposals for a draft: what was asked of the partitioner, how far it is, and the divisions that it gave."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB, Range
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, geometry, one_of
from gis.models.plan import BAND_STATES, RUN_STATES

PROPOSAL_SCOPES = ("all", "selected", "broken")
CELL_CHANGES = ("same", "changed", "new")


class ProposalRun(Base):
    """What was asked for a draft at one of its edits, and the run that answers it."""

    __tablename__ = "proposal_run"
    __table_args__ = (
        CheckConstraint(one_of("state", RUN_STATES), name="state_known"),
        CheckConstraint(one_of("scope", PROPOSAL_SCOPES), name="scope_known"),
        CheckConstraint("stability BETWEEN 0 AND 1", name="stability_range"),
        CheckConstraint("alternatives BETWEEN 1 AND 3", name="alternatives_range"),
        CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name="progress_range"),
        CheckConstraint("(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", name="end_timed"),
        CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name="failure_named"),
        Index("ix_proposal_run_plan_id", "plan_id"),
        Index(
            "uq_proposal_run_one_alive",
            "plan_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )

    id: Mapped[Id]
    plan_id: Mapped[Ref] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="queued")
    scope: Mapped[str]
    cells: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Codes of the cells that were selected or broken when it was asked for."""
    locks: Mapped[dict[str, Any]]
    stability: Mapped[float]
    alternatives: Mapped[int] = mapped_column(SmallInteger)
    seed: Mapped[int] = mapped_column(BigInteger)
    effort: Mapped[str]
    based_on_seq: Mapped[int] = mapped_column(BigInteger)
    before: Mapped[dict[str, Any] | None]
    """Scores of the draft as it is, over the communities concerned."""
    findings: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    """What the diagnosis said before the search."""
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


class Proposal(Base):
    """One of the divisions that a run gave."""

    __tablename__ = "proposal"
    __table_args__ = (Index("uq_proposal_run_id_number", "run_id", "number", unique=True),)

    id: Mapped[Id]
    run_id: Mapped[Ref] = mapped_column(ForeignKey("proposal_run.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(SmallInteger)
    emphasis: Mapped[str]
    scores: Mapped[dict[str, Any]]
    moves: Mapped[dict[str, Any]]
    findings: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'"))
    recipe: Mapped[dict[str, Any]]


class ProposalCell(Base):
    """A cell of a proposal, and which cells of the draft it takes ground or buildings from."""

    __tablename__ = "proposal_cell"
    __table_args__ = (
        CheckConstraint(one_of("change", CELL_CHANGES), name="change_known"),
        CheckConstraint(one_of("band_state", BAND_STATES), name="band_state_known"),
        Index("uq_proposal_cell_code", "proposal_id", "code", unique=True),
    )

    id: Mapped[Id]
    proposal_id: Mapped[Ref] = mapped_column(ForeignKey("proposal.id", ondelete="CASCADE"))
    grid_depth: Mapped[int] = mapped_column(SmallInteger)
    code: Mapped[str]
    parent_code: Mapped[str | None]
    community_id: Mapped[Ref] = mapped_column(ForeignKey("admin_area.id"))
    continues_id: Mapped[Ref | None]
    """Cell of the draft; no foreign key, since edits may take it away meanwhile."""
    change: Mapped[str]
    group_no: Mapped[int | None]
    """Cells that exchange anything share a number: accepted together, no other cell is touched."""
    touches: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    floor_from: Mapped[int | None]
    floor_to: Mapped[int | None]
    households: Mapped[int]
    households_in: Mapped[int] = mapped_column(server_default=text("0"))
    """Of its households those that are in another cell now."""
    area_m2: Mapped[float]
    band_state: Mapped[str]
    geom: Mapped[Any] = mapped_column(geometry("MULTIPOLYGON", index=False), nullable=False)


class ProposalPart(Base):
    """A building, or staircases and floors of it, in a lowest cell of a proposal."""

    __tablename__ = "proposal_part"

    proposal_id: Mapped[Ref] = mapped_column(ForeignKey("proposal.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cell_code: Mapped[str]
    building_id: Mapped[Ref] = mapped_column(ForeignKey("building.id", ondelete="CASCADE"))
    unit_span: Mapped[Range[int]]
    floor_span: Mapped[Range[int]]
    households: Mapped[int]
    units_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
