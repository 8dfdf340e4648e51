"""Runs of batch geotagging become runs of any file that is handed in; divisions are the second kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_CHECKS = ("state_known", "progress_range", "end_timed", "failure_named")
_STEPS = "'reading', 'checking', 'placing', 'dividing', 'storing'"


def upgrade() -> None:
    """What is there is of the first kind."""
    _rename("geotag_run", "file_run")
    zero = sa.text("0")
    op.add_column("file_run", sa.Column("kind", sa.Text(), server_default="geotag", nullable=False))
    op.alter_column("file_run", "kind", server_default=None)
    op.add_column("file_run", sa.Column("step", sa.Text()))
    op.add_column("file_run", sa.Column("done", sa.Integer(), server_default=zero, nullable=False))
    op.add_column("file_run", sa.Column("total", sa.Integer(), server_default=zero, nullable=False))
    op.add_column("file_run", sa.Column("tries", sa.SmallInteger(), server_default=zero, nullable=False))
    op.add_column("file_run", sa.Column("plan_id", sa.BigInteger()))
    op.create_foreign_key("fk_file_run_plan_id", "file_run", "plan", ["plan_id"], ["id"], ondelete="SET NULL")
    op.create_check_constraint(op.f("ck_file_run_kind_known"), "file_run", "kind IN ('geotag', 'division')")
    op.create_check_constraint(op.f("ck_file_run_step_known"), "file_run", f"step IN ({_STEPS})")
    op.create_check_constraint(
        op.f("ck_file_run_count_range"), "file_run", "done >= 0 AND total >= 0 AND done <= total"
    )


def downgrade() -> None:
    """Imports that wait are forgotten; drafts that came of others stay."""
    op.execute("DELETE FROM file_run WHERE kind <> 'geotag'")
    for column in ("kind", "step", "done", "total", "tries", "plan_id"):
        op.drop_column("file_run", column)
    _rename("file_run", "geotag_run")


def _rename(old: str, new: str) -> None:
    op.rename_table(old, new)
    op.execute(f"ALTER SEQUENCE {old}_id_seq RENAME TO {new}_id_seq")
    names = ["pk_{}", "fk_{}_owner_id", *(f"ck_{{}}_{check}" for check in _CHECKS)]
    for name in names:
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {name.format(old)} TO {name.format(new)}")
    for column in ("owner_id", "expires_at"):
        op.execute(f"ALTER INDEX ix_{old}_{column} RENAME TO ix_{new}_{column}")
