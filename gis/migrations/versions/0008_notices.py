"""Notices of changed people, places and grants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gis.migrations.run_sql import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PEOPLE = ("assignment", "staff", "admin_area")

_FUNCTIONS = """
-- One note and one notice a transaction, however many statements it has: the setting ends with the transaction, or with
-- the savepoint that takes the note back.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('wangge.change_noted', true), '') = '' THEN
        PERFORM set_config('wangge.change_noted', 'yes', true);
        INSERT INTO change_note DEFAULT VALUES;
        PERFORM pg_notify('wangge_people', '');
        DELETE FROM change_note WHERE id IN (
            SELECT id FROM change_note WHERE at < now() - interval '3 days' LIMIT 100 FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN NULL;
END $$;

-- The account whose sessions or grants are no longer what they were.
CREATE FUNCTION tell_access() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
    new jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
BEGIN
    PERFORM pg_notify('wangge_access', coalesce(old ->> TG_ARGV[0], ''))
    WHERE TG_OP <> 'INSERT';
    PERFORM pg_notify('wangge_access', coalesce(new ->> TG_ARGV[0], ''))
    WHERE TG_OP <> 'DELETE' AND new ->> TG_ARGV[0] IS DISTINCT FROM old ->> TG_ARGV[0];
    RETURN NULL;
END $$;

CREATE TRIGGER access_told AFTER DELETE OR UPDATE OF ended_at, user_id ON user_session
    FOR EACH ROW EXECUTE FUNCTION tell_access('user_id');
CREATE TRIGGER access_told AFTER INSERT OR UPDATE OR DELETE ON role_grant
    FOR EACH ROW EXECUTE FUNCTION tell_access('user_id');
CREATE TRIGGER access_told AFTER DELETE OR UPDATE OF revoked_at, expires_at, user_id ON access_token
    FOR EACH ROW EXECUTE FUNCTION tell_access('user_id');
CREATE TRIGGER access_told AFTER DELETE OR UPDATE OF username, is_active, must_change_password, staff_id ON user_account
    FOR EACH ROW EXECUTE FUNCTION tell_access('id');
"""


def upgrade() -> None:
    """Notes for the keeper of what is in force; notices for the cache of who is signed in."""
    op.create_table(
        "change_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_note"),
    )
    op.create_index("ix_change_note_at", "change_note", ["at"])
    op.create_index("ix_assignment_begins", "assignment", [sa.text("lower(valid_during)")])
    op.create_index("ix_assignment_ends", "assignment", [sa.text("upper(valid_during)")])
    run_sql(_FUNCTIONS)
    for table in _PEOPLE:
        run_sql(
            f"CREATE TRIGGER change_noted AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION note_change();"
        )


def downgrade() -> None:
    """Back to asking the database each time."""
    for table in _PEOPLE:
        run_sql(f"DROP TRIGGER change_noted ON {table};")
    for table in ("user_session", "role_grant", "user_account", "access_token"):
        run_sql(f"DROP TRIGGER access_told ON {table};")
    run_sql("DROP FUNCTION note_change(); DROP FUNCTION tell_access();")
    op.drop_index("ix_assignment_ends", "assignment")
    op.drop_index("ix_assignment_begins", "assignment")
    op.drop_table("change_note")
