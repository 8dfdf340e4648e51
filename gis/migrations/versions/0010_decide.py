"""How plans are decided on: the steps before publication, remarks on the map, the role of who approves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

from gis.migrations.run_sql import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_STEPS = """
ALTER TABLE plan DROP CONSTRAINT ck_plan_status_known;
ALTER TABLE plan ADD CONSTRAINT ck_plan_status_known
    CHECK (status IN ('draft', 'submitted', 'reviewed', 'approved', 'published', 'discarded'));
ALTER TABLE plan_event DROP CONSTRAINT ck_plan_event_kind_known;
ALTER TABLE plan_event ADD CONSTRAINT ck_plan_event_kind_known
    CHECK (kind IN ('create', 'store', 'submit', 'recall', 'review', 'return', 'approve', 'file', 'publish',
                    'withdraw', 'discard'));
ALTER TABLE role_grant DROP CONSTRAINT ck_role_grant_role_known;
ALTER TABLE role_grant ADD CONSTRAINT ck_role_grant_role_known
    CHECK (role IN ('administrator', 'planner', 'approver', 'dispatcher', 'field_worker', 'viewer'));

-- A plan is frozen from its submission on: only its step and its document number move, and back to a draft it may
-- always go. A published one may be withdrawn before its date (it is approved again); a discarded one stays so.
CREATE OR REPLACE FUNCTION plan_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    free text[] := '{status,revision,document_no}';
    pending text[] := '{draft,submitted,reviewed,approved}';
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = ANY (pending) AND NEW.status = ANY (pending)
       AND to_jsonb(NEW) - free = to_jsonb(OLD) - free THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'published' AND NEW.status IN ('draft', 'approved')
       AND OLD.effective_from > now()
       AND NOT EXISTS (SELECT FROM plan_community WHERE plan_id = OLD.id AND NOT isempty(in_force_during)) THEN
        RETURN NEW;
    END IF;
    PERFORM refuse('tr_plan_frozen', OLD.id::text);
    RETURN NULL;
END $$;
"""

# What was said stays as it was said: only whether it is resolved changes, and the link to a cell that a redraw ends.
_KEPT = """
CREATE FUNCTION plan_comment_kept() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    free text[] := '{resolved_at,resolved_by,grid_id}';
BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - free = to_jsonb(OLD) - free
       AND (NEW.grid_id IS NULL OR NEW.grid_id = OLD.grid_id) THEN
        RETURN NEW;
    END IF;
    PERFORM refuse('tr_plan_comment_kept', OLD.id::text);
    RETURN NULL;
END $$;

CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON plan_comment FOR EACH ROW EXECUTE FUNCTION plan_comment_kept();
CREATE TRIGGER append_only BEFORE TRUNCATE ON plan_comment FOR EACH STATEMENT EXECUTE FUNCTION append_only();
"""

_BACK = """
DROP TRIGGER kept ON plan_comment;
DROP FUNCTION plan_comment_kept();

UPDATE plan SET status = 'draft' WHERE status IN ('submitted', 'reviewed', 'approved');
ALTER TABLE plan_event DISABLE TRIGGER append_only;
UPDATE plan_event SET kind = 'withdraw' WHERE kind IN ('recall', 'return');
ALTER TABLE plan_event ENABLE TRIGGER append_only;
DELETE FROM role_grant WHERE role = 'approver';
SET CONSTRAINTS ALL IMMEDIATE;

ALTER TABLE plan DROP CONSTRAINT ck_plan_status_known;
ALTER TABLE plan ADD CONSTRAINT ck_plan_status_known CHECK (status IN ('draft', 'published', 'discarded'));
ALTER TABLE plan_event DROP CONSTRAINT ck_plan_event_kind_known;
ALTER TABLE plan_event ADD CONSTRAINT ck_plan_event_kind_known
    CHECK (kind IN ('create', 'store', 'submit', 'review', 'approve', 'file', 'publish', 'withdraw', 'discard'));
ALTER TABLE role_grant DROP CONSTRAINT ck_role_grant_role_known;
ALTER TABLE role_grant ADD CONSTRAINT ck_role_grant_role_known
    CHECK (role IN ('administrator', 'planner', 'dispatcher', 'field_worker', 'viewer'));

CREATE OR REPLACE FUNCTION plan_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'published' AND NEW.status = 'draft' AND OLD.effective_from > now()
       AND NOT EXISTS (SELECT FROM plan_community WHERE plan_id = OLD.id AND NOT isempty(in_force_during)) THEN
        RETURN NEW;
    END IF;
    PERFORM refuse('tr_plan_frozen', OLD.id::text);
    RETURN NULL;
END $$;
"""


def upgrade() -> None:
    """Plans that are there keep their step."""
    run_sql(_STEPS)
    op.create_table(
        "plan_comment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger()),
        sa.Column("grid_id", sa.BigInteger()),
        sa.Column("cell_code", sa.Text()),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
        sa.Column("resolved_by", sa.Text()),
        sa.Column("geom", Geometry("POINT", srid=4326, spatial_index=False)),
        sa.PrimaryKeyConstraint("id", name="pk_plan_comment"),
        sa.UniqueConstraint("id", "plan_id", name="uq_plan_comment_id_plan_id"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_comment_plan_id"),
        sa.ForeignKeyConstraint(["grid_id"], ["grid.id"], name="fk_plan_comment_grid_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["actor_id"], ["user_account.id"], name="fk_plan_comment_actor_id"),
        sa.ForeignKeyConstraint(
            ["parent_id", "plan_id"], ["plan_comment.id", "plan_comment.plan_id"], name="fk_plan_comment_parent"
        ),
        sa.CheckConstraint("(parent_id IS NULL) = (geom IS NOT NULL)", name=op.f("ck_plan_comment_place_of_first")),
        sa.CheckConstraint("length(body) BETWEEN 1 AND 4000", name=op.f("ck_plan_comment_body_length")),
        sa.CheckConstraint(
            "(resolved_at IS NULL) = (resolved_by IS NULL)", name=op.f("ck_plan_comment_resolved_whole")
        ),
        sa.CheckConstraint("resolved_at IS NULL OR parent_id IS NULL", name=op.f("ck_plan_comment_resolved_first")),
    )
    for column in ("plan_id", "parent_id", "grid_id"):
        op.create_index(f"ix_plan_comment_{column}", "plan_comment", [column])
    run_sql(_KEPT)


def downgrade() -> None:
    """Plans on their way are drafts again, whoever approved can no longer, and what was said is lost."""
    run_sql(_BACK)
    op.drop_table("plan_comment")
