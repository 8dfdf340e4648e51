"""The first schema: areas, rules, buildings, plans, people, incidents; guards and views."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from gis.migrations.run_sql import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything; the text stands beside this file because triggers and views read better as SQL."""
    run_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop everything but the extensions, which may serve others."""
    for view in ("plan_state", "incidents_open", "buildings_in_force", "compounds_in_force"):
        op.execute(f"DROP VIEW {view}")
    op.execute("DROP VIEW grids_in_force, micro_grids_in_force")
    op.execute("DROP VIEW cells_in_force")
    from gis.models import Base

    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    op.execute(f"DROP TABLE IF EXISTS {tables} CASCADE")  # those of later migrations are gone already
    op.execute("DROP SEQUENCE incident_code_seq")
    for function in (
        "append_only", "rule_set_frozen", "plan_rules_usable", "plan_frozen", "plan_community_guarded", "cell_frozen",
        "not_truncated", "grid_code_stays", "assignment_fits", "incident_lead_locked",
        "incident_report_frozen", "refuse",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
