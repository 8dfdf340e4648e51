"""Proposals for a draft."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import INT4RANGE, JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_STATES = "('queued', 'running', 'done', 'failed', 'cancelled')"


def upgrade() -> None:
    """Nobody has asked for one yet."""
    _runs()
    op.create_table(
        "proposal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("emphasis", sa.Text(), nullable=False),
        sa.Column("scores", JSONB(), nullable=False),
        sa.Column("moves", JSONB(), nullable=False),
        sa.Column("findings", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("recipe", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proposal"),
        sa.ForeignKeyConstraint(["run_id"], ["proposal_run.id"], name="fk_proposal_run_id", ondelete="CASCADE"),
    )
    op.create_index("uq_proposal_run_id_number", "proposal", ["run_id", "number"], unique=True)
    _cells()
    op.create_table(
        "proposal_part",
        sa.Column("proposal_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cell_code", sa.Text(), nullable=False),
        sa.Column("building_id", sa.BigInteger(), nullable=False),
        sa.Column("unit_span", INT4RANGE(), nullable=False),
        sa.Column("floor_span", INT4RANGE(), nullable=False),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("units_estimated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("proposal_id", "number", name="pk_proposal_part"),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["proposal.id"], name="fk_proposal_part_proposal_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["building_id"], ["building.id"], name="fk_proposal_part_building_id", ondelete="CASCADE"
        ),
    )


def _runs() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "proposal_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("cells", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("locks", JSONB(), nullable=False),
        sa.Column("stability", sa.Float(), nullable=False),
        sa.Column("alternatives", sa.SmallInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("effort", sa.Text(), nullable=False),
        sa.Column("based_on_seq", sa.BigInteger(), nullable=False),
        sa.Column("before", JSONB()),
        sa.Column("findings", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("done", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_params", JSONB()),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("started_at", time),
        sa.Column("finished_at", time),
        sa.PrimaryKeyConstraint("id", name="pk_proposal_run"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_proposal_run_plan_id", ondelete="CASCADE"),
        sa.CheckConstraint(f"state IN {_STATES}", name=op.f("ck_proposal_run_state_known")),
        sa.CheckConstraint("scope IN ('all', 'selected', 'broken')", name=op.f("ck_proposal_run_scope_known")),
        sa.CheckConstraint("stability BETWEEN 0 AND 1", name=op.f("ck_proposal_run_stability_range")),
        sa.CheckConstraint("alternatives BETWEEN 1 AND 3", name=op.f("ck_proposal_run_alternatives_range")),
        sa.CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name=op.f("ck_proposal_run_progress_range")),
        sa.CheckConstraint(
            "(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_proposal_run_end_timed"),
        ),
        sa.CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name=op.f("ck_proposal_run_failure_named")),
    )
    op.create_index("ix_proposal_run_plan_id", "proposal_run", ["plan_id"])
    op.create_index(
        "uq_proposal_run_one_alive", "proposal_run", ["plan_id"], unique=True,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )  # fmt: skip


def _cells() -> None:
    op.create_table(
        "proposal_cell",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("proposal_id", sa.BigInteger(), nullable=False),
        sa.Column("grid_depth", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text()),
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("continues_id", sa.BigInteger()),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("group_no", sa.Integer()),
        sa.Column("touches", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("floor_from", sa.Integer()),
        sa.Column("floor_to", sa.Integer()),
        sa.Column("households", sa.Integer(), nullable=False),
        sa.Column("households_in", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("area_m2", sa.Float(), nullable=False),
        sa.Column("band_state", sa.Text(), nullable=False),
        sa.Column("geom", Geometry("MULTIPOLYGON", srid=4326, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_proposal_cell"),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["proposal.id"], name="fk_proposal_cell_proposal_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["community_id"], ["admin_area.id"], name="fk_proposal_cell_community_id"),
        sa.CheckConstraint("change IN ('same', 'changed', 'new')", name=op.f("ck_proposal_cell_change_known")),
        sa.CheckConstraint(
            "band_state IN ('in_band', 'under', 'over')", name=op.f("ck_proposal_cell_band_state_known")
        ),
    )
    op.create_index("uq_proposal_cell_code", "proposal_cell", ["proposal_id", "code"], unique=True)


def downgrade() -> None:
    """What was proposed and not accepted is gone; what was accepted stands in the draft."""
    for table in ("proposal_part", "proposal_cell", "proposal", "proposal_run"):
        op.drop_table(table)
