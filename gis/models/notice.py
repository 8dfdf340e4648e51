"""Notes that something changed which answers are made of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id


class ChangeNote(Base):
    """One transaction changed staff, posts held, or areas; written by triggers, cleared away after some days.

    Rows are only added: a counter in one row would make all who change something wait for one another.
    """

    __tablename__ = "change_note"
    __table_args__ = (Index("ix_change_note_at", "at"),)

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
