"""What the live map and the lists of a million incidents need."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from gis.migrations.run_sql import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """News of incidents and publications, numbered in the order of their commits."""
    run_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Nothing is lost but the replay of what streams missed."""
    op.execute("DROP TRIGGER tell_live ON incident_event")
    op.execute("DROP TRIGGER tell_live ON plan")
    op.execute("DROP FUNCTION tell_live")
    op.execute("DROP TABLE live_event")
