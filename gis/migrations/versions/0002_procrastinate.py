"""The tables of procrastinate, our queue for long work, from its own script."""

from __future__ import annotations

from importlib.resources import files

from alembic import op

from gis.migrations.run_sql import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run procrastinate's script as it ships."""
    run_sql((files("procrastinate") / "sql" / "schema.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Drop what bears its name."""
    op.execute(
        """
        DO $$ DECLARE item record; BEGIN
            FOR item IN SELECT oid::regclass AS name FROM pg_class
                        WHERE relkind = 'r' AND relname LIKE 'procrastinate%' LOOP
                EXECUTE 'DROP TABLE IF EXISTS ' || item.name || ' CASCADE';
            END LOOP;
            FOR item IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname LIKE 'procrastinate%' LOOP
                EXECUTE 'DROP FUNCTION ' || item.name || ' CASCADE';
            END LOOP;
            FOR item IN SELECT oid::regtype AS name FROM pg_type
                        WHERE typtype IN ('e', 'c') AND typname LIKE 'procrastinate%' LOOP
                EXECUTE 'DROP TYPE IF EXISTS ' || item.name || ' CASCADE';
            END LOOP;
        END $$
        """
    )
