"""How far the survey of a plan's ground is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ZERO = sa.text("0")


def upgrade() -> None:
    """Nobody waits for one yet."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "plan_survey",
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        sa.Column("step", sa.Text()),
        sa.Column("share", sa.Float(), server_default=_ZERO, nullable=False),
        sa.Column("done", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("total", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default=_ZERO, nullable=False),
        sa.Column("error_code", sa.Text()),
        sa.Column("error_params", JSONB()),
        sa.Column("asked_at", time, nullable=False),
        sa.Column("started_at", time),
        sa.Column("finished_at", time),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plan_survey"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_survey_plan_id", ondelete="CASCADE"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_plan_survey_state_known")
        ),
        sa.CheckConstraint(
            "step IN ('reading', 'surveying', 'storing')", name=op.f("ck_plan_survey_step_known")
        ),
        sa.CheckConstraint("share BETWEEN 0 AND 1", name=op.f("ck_plan_survey_share_range")),
        sa.CheckConstraint("done >= 0 AND total >= 0 AND done <= total", name=op.f("ck_plan_survey_progress_range")),
        sa.CheckConstraint(
            "(state IN ('done', 'failed')) = (finished_at IS NOT NULL)", name=op.f("ck_plan_survey_end_timed")
        ),
        sa.CheckConstraint("state <> 'failed' OR error_code IS NOT NULL", name=op.f("ck_plan_survey_failure_named")),
    )  # fmt: skip


def downgrade() -> None:
    """Drop it: plans without ground are surveyed when they are opened."""
    op.drop_table("plan_survey")
