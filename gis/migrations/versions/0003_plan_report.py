"""The report of each plan: what was asked, what was got, what was proven."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a plan; plans that were made before have none."""
    op.create_table(
        "plan_report",
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked", JSONB(), nullable=False),
        sa.Column("got", JSONB(), nullable=False),
        sa.Column("proof", JSONB(), nullable=False),
        sa.Column("principles", JSONB(), nullable=False),
        sa.Column("versions", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plan_report"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_report_plan_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Reports can be made again."""
    op.drop_table("plan_report")
