"""The planner's desk: ground faces and the log of edits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FALSE, _ZERO, _EMPTY = sa.text("false"), sa.text("0"), sa.text("'{}'")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def _plan(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=f"fk_{table}_plan_id", ondelete="CASCADE")


def upgrade() -> None:
    """All begin empty; a plan gets its rows when it is opened on the desk."""
    _ground()
    op.create_table(
        "plan_desk",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("ground", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("closed_seq", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("is_ready", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.Column("is_aligned", sa.Boolean(), server_default=_FALSE, nullable=False),
        sa.PrimaryKeyConstraint("plan_id", name="pk_plan_desk"),
        _plan("plan_desk"),
    )
    op.create_table(
        "plan_lock",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "kind", "item_id", name="pk_plan_lock"),
        _plan("plan_lock"),
        sa.CheckConstraint("kind IN ('cell', 'building', 'all')", name=op.f("ck_plan_lock_kind_known")),
    )
    _edits()


def _ground() -> None:
    op.create_table(
        "plan_face",
        _id(),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("community_id", sa.BigInteger(), nullable=False),
        sa.Column("building_id", sa.BigInteger()),
        sa.Column("unit_from", sa.Integer()),
        sa.Column("unit_to", sa.Integer()),
        sa.Column("cell_id", sa.BigInteger()),
        sa.Column("area_m2", sa.Float(), nullable=False),
        sa.Column("geom", Geometry("POLYGON", srid=4326, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plan_face"),
        _plan("plan_face"),
        sa.ForeignKeyConstraint(["community_id"], ["admin_area.id"], name="fk_plan_face_community_id"),
        sa.ForeignKeyConstraint(["building_id"], ["building.id"], name="fk_plan_face_building_id"),
        sa.CheckConstraint("area_m2 > 0", name=op.f("ck_plan_face_area_positive")),
        sa.CheckConstraint("unit_to >= unit_from", name=op.f("ck_plan_face_units_order")),
    )
    op.create_index("ix_plan_face_plan_id", "plan_face", ["plan_id"])
    op.create_table(
        "plan_edge",
        _id(),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("face_a", sa.BigInteger(), nullable=False),
        sa.Column("face_b", sa.BigInteger()),
        sa.Column("length_m", sa.Float(), nullable=False),
        sa.Column("barrier", sa.SmallInteger(), nullable=False),
        sa.Column("is_crossable", sa.Boolean(), nullable=False),
        sa.Column("geom", Geometry("LINESTRING", srid=4326, spatial_index=False), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plan_edge"),
        _plan("plan_edge"),
        sa.CheckConstraint("barrier BETWEEN 0 AND 4", name=op.f("ck_plan_edge_barrier_class")),
    )
    op.create_index("ix_plan_edge_plan_id", "plan_edge", ["plan_id"])


def _edits() -> None:
    op.create_table(
        "plan_edit",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request", sa.dialects.postgresql.JSONB(), server_default=_EMPTY, nullable=False),
        sa.Column("summary", sa.dialects.postgresql.JSONB(), server_default=_EMPTY, nullable=False),
        sa.Column("cells", sa.ARRAY(sa.BigInteger()), server_default=_EMPTY, nullable=False),
        sa.Column("parts", sa.ARRAY(sa.BigInteger()), server_default=_EMPTY, nullable=False),
        sa.Column("inverts", sa.Integer()),
        sa.Column("undo_next", sa.Integer()),
        sa.Column("redo_next", sa.Integer()),
        sa.Column("below", sa.Integer()),
        sa.Column("rows", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "seq", name="pk_plan_edit"),
        _plan("plan_edit"),
        sa.ForeignKeyConstraint(["actor_id"], ["user_account.id"], name="fk_plan_edit_actor_id"),
        sa.UniqueConstraint("plan_id", "request_id", name="uq_plan_edit_plan_id_request_id"),
    )
    op.create_index("ix_plan_edit_actor", "plan_edit", ["plan_id", "actor", "seq"])


def downgrade() -> None:
    """Cells and parts stay as they are; only their ground and how they came about is gone."""
    for table in ("plan_edit", "plan_lock", "plan_desk", "plan_edge", "plan_face"):
        op.drop_table(table)
