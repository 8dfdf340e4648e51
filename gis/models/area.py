"""The administrative tree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ltree, Ref, geometry, one_of
from gis.town import AREA_LEVELS


class AdminArea(Base):
    """A node of the tree city > county > street > community; a node without ground is a node all the same.

    ``path`` and ``parent_level`` are computed, and both are referenced with the parent's id: a changed code, or a city
    put above a county, runs down the tree by ON UPDATE CASCADE, with no trigger. A root may be of any level, because a
    single street may run the service for itself.
    """

    __tablename__ = "admin_area"
    __table_args__ = (
        CheckConstraint(one_of("level", AREA_LEVELS), name="level_known"),
        CheckConstraint("code ~ '^[A-Za-z0-9_]+$'", name="code_form"),
        CheckConstraint("(parent_id IS NULL) = (parent_path IS NULL)", name="parent_whole"),
        CheckConstraint("level <> 'city' OR parent_id IS NULL", name="city_is_root"),
        CheckConstraint("geom IS NULL OR (ST_IsValid(geom) AND NOT ST_IsEmpty(geom))", name="geom_valid"),
        UniqueConstraint("code"),
        UniqueConstraint("id", "level"),
        UniqueConstraint("id", "path"),
        ForeignKeyConstraint(
            ["parent_id", "parent_path"],
            ["admin_area.id", "admin_area.path"],
            name="fk_admin_area_parent",
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(
            ["parent_id", "parent_level"], ["admin_area.id", "admin_area.level"], name="fk_admin_area_parent_level"
        ),
        Index("ix_admin_area_path", "path", postgresql_using="gist"),
        Index("ix_admin_area_parent_id", "parent_id"),
    )

    id: Mapped[Id]
    level: Mapped[str]
    code: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str | None]
    parent_id: Mapped[Ref | None]
    parent_path: Mapped[str | None] = mapped_column(Ltree())
    parent_level: Mapped[str | None] = mapped_column(
        Computed(
            "CASE level WHEN 'community' THEN 'street' WHEN 'street' THEN 'county' WHEN 'county' THEN 'city' END",
            persisted=True,
        )
    )
    path: Mapped[str] = mapped_column(
        Ltree(),
        Computed("CASE WHEN parent_path IS NULL THEN text2ltree(code) ELSE parent_path || code END", persisted=True),
        nullable=False,
    )
    geom: Mapped[Any | None] = mapped_column(geometry("MULTIPOLYGON"))
    source: Mapped[str | None]
