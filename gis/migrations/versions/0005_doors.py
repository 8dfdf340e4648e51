"""Access tokens of programs, and what other services reported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Both begin empty."""
    op.create_table(
        "access_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("can_write", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_access_token_user_id"),
        sa.UniqueConstraint("token_hash", name="uq_access_token_token_hash"),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_access_token_expires_after_created")),
    )
    op.create_index("ix_access_token_user_id", "access_token", ["user_id"])
    op.create_table(
        "incident_source",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text()),
        sa.Column("media_url", sa.Text()),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name="pk_incident_source"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_incident_source_incident_id"),
        sa.UniqueConstraint("source", "source_id", name="uq_incident_source_source_source_id"),
    )


def downgrade() -> None:
    """Tokens are made again; the incidents stay, without their numbers elsewhere."""
    op.drop_table("incident_source")
    op.drop_table("access_token")
