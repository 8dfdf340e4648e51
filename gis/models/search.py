"""What can be searched for, in the forms that it is searched by; made from the other tables, and lost without harm."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, Index, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ltree, Ref, one_of

SEARCH_KINDS = ("area", "compound", "building", "cell", "road", "place", "poi", "staff")
"""``road`` and ``place`` are names that only addresses know; their ``ref_id`` is a building at it."""


class SearchEntry(Base):
    """One name, or one numbered building, in one reading.

    Spellings are ASCII, so that the indexes work in every locale. ``tokens`` join names with numbers
    (``mingzhuxiaoqu#7``, ``jinjianglu#12``): what an address says is found without comparing texts.
    """

    __tablename__ = "search_entry"
    __table_args__ = (
        CheckConstraint(one_of("kind", SEARCH_KINDS), name="kind_known"),
        UniqueConstraint("kind", "ref_id", "variant"),
        Index("ix_search_entry_spelling", "spelling", postgresql_ops={"spelling": "text_pattern_ops"}),
        Index("ix_search_entry_initials", "initials", postgresql_ops={"initials": "text_pattern_ops"}),
        Index(
            "ix_search_entry_alike",
            "spelling",
            postgresql_using="gin",
            postgresql_ops={"spelling": "gin_trgm_ops"},
            postgresql_where=text("spelling IS NOT NULL"),
        ),
        Index("ix_search_entry_code", "code", postgresql_ops={"code": "text_pattern_ops"}),
        Index("ix_search_entry_tokens", "tokens", postgresql_using="gin"),
        Index("ix_search_entry_path_kind_road", "path", "kind", "road"),
        Index("ix_search_entry_number", "number", postgresql_where=text("number IS NOT NULL")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    ref_id: Mapped[Ref]
    variant: Mapped[int] = mapped_column(SmallInteger)
    path: Mapped[Any | None] = mapped_column(Ltree())
    code: Mapped[str | None]
    name: Mapped[str | None]
    spelling: Mapped[str | None]
    initials: Mapped[str | None]
    road: Mapped[str | None]
    house: Mapped[str | None]
    place: Mapped[str | None]
    number: Mapped[str | None]
    tokens: Mapped[list[str] | None] = mapped_column(ARRAY(Text()))
    weight: Mapped[int] = mapped_column(server_default=text("0"))
    lon: Mapped[float | None]
    lat: Mapped[float | None]


class SearchStale(Base):
    """What has changed since its entries were made; filled by triggers, emptied by `gis.search_index`."""

    __tablename__ = "search_stale"
    __table_args__ = (CheckConstraint(one_of("kind", SEARCH_KINDS), name="kind_known"),)

    id: Mapped[Id]
    kind: Mapped[str]
    ref_id: Mapped[Ref]
