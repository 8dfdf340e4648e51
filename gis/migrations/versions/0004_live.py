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
    """News of incidents and publications in the order of their commits; indexes, and counts a month."""
    run_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Nothing is lost but the replay of what streams missed."""
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER tally_{event} ON incident")
    op.execute("DROP FUNCTION tally_incidents")
    op.execute("DROP TABLE incident_tally")
    op.execute("CREATE INDEX ix_incident_reported_at ON incident (reported_at)")
    for index in ("period", "area_period", "category_period", "closed_at", "open_geom"):
        op.execute(f"DROP INDEX ix_incident_{index}")
    op.execute("DROP TRIGGER tell_live ON incident_event")
    op.execute("DROP TRIGGER tell_live ON plan")
    op.execute("DROP FUNCTION tell_live")
    op.execute("DROP TABLE live_event")
