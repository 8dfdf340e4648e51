"""Dated rule sets, their tiers, and the posts of each tier: the rows of a `gis.rule_set.RuleSet`."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Computed, ForeignKey, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from gis.models.base import Base, Id, Ref, one_of


class RuleSetRow(Base):
    """The rules of an area for a time; the nearest one up the tree applies. Frozen once a plan uses it."""

    __tablename__ = "rule_set"
    __table_args__ = (
        CheckConstraint("grid_depths BETWEEN 1 AND 6", name="grid_depths_range"),
        CheckConstraint("NOT isempty(valid_during) AND NOT lower_inf(valid_during)", name="valid_during_dated"),
        UniqueConstraint("id", "grid_depths"),
        ExcludeConstraint(("area_id", "="), ("valid_during", "&&"), name="ex_rule_set_one_at_a_time", using="gist"),
    )

    id: Mapped[Id]
    area_id: Mapped[Ref] = mapped_column(ForeignKey("admin_area.id"))
    code: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    source: Mapped[str]
    is_verified: Mapped[bool]
    keep_buildings_whole: Mapped[bool] = mapped_column(server_default=text("false"))
    weights: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    grid_depths: Mapped[int] = mapped_column(SmallInteger)
    valid_during: Mapped[Range[date]] = mapped_column(DATERANGE())

    tiers: Mapped[list[TierRow]] = relationship(order_by="TierRow.ordinal", lazy="selectin")


class TierRow(Base):
    """One level of a rule set."""

    __tablename__ = "tier"
    __table_args__ = (
        CheckConstraint("ordinal BETWEEN 1 AND 6", name="ordinal_range"),
        CheckConstraint(one_of("kind", ["area", "grid", "micro_grid"]), name="kind_known"),
        CheckConstraint(one_of("cell_of", ["band", "parent", "building"]), name="cell_of_known"),
        CheckConstraint("(kind = 'area') = (grid_depth IS NULL)", name="depth_of_grids_only"),
        CheckConstraint("grid_depth BETWEEN 1 AND 6", name="grid_depth_range"),
        CheckConstraint("households_min >= 0 AND households_max >= households_min", name="band_order"),
        CheckConstraint("households_target > 0", name="target_positive"),
        CheckConstraint("tolerance_ratio BETWEEN 0 AND 1", name="tolerance_ratio_range"),
        CheckConstraint("code_digits BETWEEN 1 AND 6", name="code_digits_range"),
        UniqueConstraint("rule_set_id", "ordinal"),
        UniqueConstraint("rule_set_id", "grid_depth"),
    )

    id: Mapped[Id]
    rule_set_id: Mapped[Ref] = mapped_column(ForeignKey("rule_set.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[str]
    grid_depth: Mapped[int | None] = mapped_column(SmallInteger)
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    cell_of: Mapped[str] = mapped_column(server_default="band")
    households_min: Mapped[int | None]
    households_max: Mapped[int | None]
    households_target: Mapped[int | None]
    tolerance_ratio: Mapped[float] = mapped_column(server_default=text("0"))
    code_digits: Mapped[int] = mapped_column(SmallInteger)

    posts: Mapped[list[PostRow]] = relationship(order_by="PostRow.id", lazy="selectin")


class PostRow(Base):
    """A slot of a tier (网格长, 一格四员 …)."""

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint("holders_min >= 0 AND holders_max >= greatest(holders_min, 1)", name="holders_order"),
        UniqueConstraint("tier_id", "code"),
        UniqueConstraint("id", "is_single"),
    )

    id: Mapped[Id]
    tier_id: Mapped[Ref] = mapped_column(ForeignKey("tier.id", ondelete="CASCADE"))
    code: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str | None]
    holders_min: Mapped[int] = mapped_column(SmallInteger)
    holders_max: Mapped[int | None] = mapped_column(SmallInteger)
    is_single: Mapped[bool] = mapped_column(
        Boolean, Computed("coalesce(holders_max, 0) = 1", persisted=True), nullable=False
    )
