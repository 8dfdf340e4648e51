"""Compounds, buildings and their parts, and what the base map is drawn from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref, geometry, one_of
from gis.town import BARRIER_KINDS, BUILDING_USES, GROUND_KINDS, HOUSING_CLASSES, POI_KINDS

_VALID = "ST_IsValid(geom) AND NOT ST_IsEmpty(geom)"
# Lines and ground have no key of their own; what they say is their key, so that a second import adds nothing.
_FINGERPRINT = "md5(kind || '|' || coalesce(name, '') || '|' || md5(ST_AsBinary(geom)))"


class Compound(Base):
    """A residential compound (小区). It may reach over a community's border; its community is where most of it lies."""

    __tablename__ = "compound"
    __table_args__ = (
        CheckConstraint(one_of("housing_class", HOUSING_CLASSES), name="housing_class_known"),
        CheckConstraint("area_level = 'community'", name="area_level_community"),
        CheckConstraint(_VALID, name="geom_valid"),
        UniqueConstraint("code"),
        ForeignKeyConstraint(
            ["area_id", "area_level"], ["admin_area.id", "admin_area.level"], name="fk_compound_community"
        ),
        Index("ix_compound_area_id", "area_id"),
    )

    id: Mapped[Id]
    area_id: Mapped[Ref]
    area_level: Mapped[str] = mapped_column(server_default="community")
    code: Mapped[str]
    name: Mapped[str | None]
    name_en: Mapped[str | None]
    housing_class: Mapped[str] = mapped_column(server_default="unknown")
    is_walled: Mapped[bool | None]
    geom: Mapped[Any] = mapped_column(geometry("MULTIPOLYGON"), nullable=False)


class Building(Base):
    """A footprint and the counts of the whole building; who lives in it is never stored."""

    __tablename__ = "building"
    __table_args__ = (
        CheckConstraint(one_of("use", BUILDING_USES), name="use_known"),
        CheckConstraint("floors BETWEEN 1 AND 200", name="floors_range"),
        CheckConstraint("units BETWEEN 1 AND 200", name="units_range"),
        CheckConstraint("height_m > 0", name="height_positive"),
        CheckConstraint("households >= 0", name="households_not_negative"),
        CheckConstraint("area_level = 'community'", name="area_level_community"),
        CheckConstraint(_VALID, name="geom_valid"),
        UniqueConstraint("code"),
        ForeignKeyConstraint(
            ["area_id", "area_level"], ["admin_area.id", "admin_area.level"], name="fk_building_community"
        ),
        Index("ix_building_area_id", "area_id"),
        Index("ix_building_compound_id", "compound_id"),
        Index("ix_building_geog", text("(geom::geography)"), postgresql_using="gist"),
        Index(
            "ix_building_search",
            text("(coalesce(name, '') || ' ' || coalesce(address, '') || ' ' || code) gin_trgm_ops"),
            postgresql_using="gin",
        ),
    )

    id: Mapped[Id]
    area_id: Mapped[Ref]
    area_level: Mapped[str] = mapped_column(server_default="community")
    compound_id: Mapped[Ref | None] = mapped_column(ForeignKey("compound.id"))
    code: Mapped[str]
    name: Mapped[str | None]
    address: Mapped[str | None]
    use: Mapped[str] = mapped_column(server_default="residential")
    floors: Mapped[int | None]
    units: Mapped[int | None]
    height_m: Mapped[float | None]
    households: Mapped[int] = mapped_column(server_default=text("0"))
    households_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    units_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    geom: Mapped[Any] = mapped_column(geometry("MULTIPOLYGON"), nullable=False)


class BuildingPart(Base):
    """The atom that is assigned: a rectangle of staircases x floors; unbounded spans mean all of them.

    ``valid_during`` is empty while only drafts use the part, opens when a plan that uses it comes into force (or with
    the building's import, for the whole) and is closed by the plan that cuts the building otherwise. So a draft can cut
    a tower without touching the part in force, and the exclusion below still refuses a unit beside a whole.
    """

    __tablename__ = "building_part"
    __table_args__ = (
        CheckConstraint("households >= 0", name="households_not_negative"),
        CheckConstraint("residents >= 0", name="residents_not_negative"),
        CheckConstraint("NOT isempty(unit_span) AND coalesce(lower(unit_span), 1) >= 1", name="unit_span_form"),
        CheckConstraint("NOT isempty(floor_span)", name="floor_span_form"),
        CheckConstraint(
            "isempty(valid_during) OR (lower_inc(valid_during) AND NOT upper_inc(valid_during))",
            name="valid_during_half_open",
        ),
        UniqueConstraint("id", "building_id", "unit_span", "floor_span", name="uq_building_part_spans"),
        ExcludeConstraint(
            ("building_id", "="),
            ("unit_span", "&&"),
            ("floor_span", "&&"),
            ("valid_during", "&&"),
            name="ex_building_part_no_overlap",
            using="gist",
        ),
        Index("ix_building_part_building_id", "building_id"),
    )

    id: Mapped[Id]
    building_id: Mapped[Ref] = mapped_column(ForeignKey("building.id"))
    label: Mapped[str | None]
    unit_span: Mapped[Range[int]] = mapped_column(server_default=text("'(,)'"))
    floor_span: Mapped[Range[int]] = mapped_column(server_default=text("'(,)'"))
    kind: Mapped[str] = mapped_column(
        Computed(
            "CASE WHEN NOT (lower_inf(floor_span) AND upper_inf(floor_span)) THEN 'floors'"
            " WHEN NOT (lower_inf(unit_span) AND upper_inf(unit_span)) THEN 'unit' ELSE 'whole' END",
            persisted=True,
        ),
        nullable=False,
    )
    households: Mapped[int]
    residents: Mapped[int | None]
    units_estimated: Mapped[bool] = mapped_column(server_default=text("false"))
    entrance: Mapped[Any | None] = mapped_column(geometry("POINT", index=False))
    valid_during: Mapped[Range[datetime]] = mapped_column(server_default=text("'empty'"))


class Barrier(Base):
    """A line that people do not cross lightly: road, river, rail or wall."""

    __tablename__ = "barrier"
    __table_args__ = (
        CheckConstraint(one_of("kind", BARRIER_KINDS), name="kind_known"),
        CheckConstraint("NOT ST_IsEmpty(geom)", name="geom_not_empty"),
        UniqueConstraint("fingerprint"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    name: Mapped[str | None]
    is_bridge: Mapped[bool] = mapped_column(server_default=text("false"))
    fingerprint: Mapped[str] = mapped_column(Computed(_FINGERPRINT, persisted=True), nullable=False)
    geom: Mapped[Any] = mapped_column(geometry("MULTILINESTRING"), nullable=False)


class Ground(Base):
    """Water, green, squares and other ground of the base map."""

    __tablename__ = "ground"
    __table_args__ = (
        CheckConstraint(one_of("kind", GROUND_KINDS), name="kind_known"),
        CheckConstraint(_VALID, name="geom_valid"),
        UniqueConstraint("fingerprint"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    name: Mapped[str | None]
    fingerprint: Mapped[str] = mapped_column(Computed(_FINGERPRINT, persisted=True), nullable=False)
    geom: Mapped[Any] = mapped_column(geometry("MULTIPOLYGON"), nullable=False)


class Poi(Base):
    """A gate, a school, a service point and the like."""

    __tablename__ = "poi"
    __table_args__ = (
        CheckConstraint(one_of("kind", POI_KINDS), name="kind_known"),
        UniqueConstraint("code"),
    )

    id: Mapped[Id]
    code: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str | None]
    compound_id: Mapped[Ref | None] = mapped_column(ForeignKey("compound.id", ondelete="SET NULL"))
    geom: Mapped[Any] = mapped_column(geometry("POINT"), nullable=False)


class ImportRun(Base):
    """One import: what came, what became of it."""

    __tablename__ = "import_run"
    __table_args__ = (CheckConstraint(one_of("state", ["running", "done", "failed"]), name="state_known"),)

    id: Mapped[Id]
    source: Mapped[str]
    digest: Mapped[str | None]
    actor: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="running")
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
