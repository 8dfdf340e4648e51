"""Runs of batch geotagging."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None has run yet."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "geotag_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("progress_ratio", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("summary", JSONB()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_params", JSONB()),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("started_at", time),
        sa.Column("seen_at", time),
        sa.Column("finished_at", time),
        sa.Column("expires_at", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_geotag_run"),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name="fk_geotag_run_owner_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_geotag_run_state_known")
        ),
        sa.CheckConstraint("progress_ratio BETWEEN 0 AND 1", name=op.f("ck_geotag_run_progress_range")),
        sa.CheckConstraint(
            "(state IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_geotag_run_end_timed"),
        ),
        sa.CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name=op.f("ck_geotag_run_failure_named")),
    )
    op.create_index("ix_geotag_run_owner_id", "geotag_run", ["owner_id", "id"])
    op.create_index("ix_geotag_run_expires_at", "geotag_run", ["expires_at"])


def downgrade() -> None:
    """The files are swept away by the upkeep of whichever version runs next."""
    op.drop_table("geotag_run")
