"""An index of the cells by plan and community."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_NAME = "ix_grid_plan_id_community_id"


def upgrade() -> None:
    """Publication looks at the cells of each community, of which a city has thousands."""
    op.create_index(_NAME, "grid", ["plan_id", "community_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index(_NAME, "grid")
