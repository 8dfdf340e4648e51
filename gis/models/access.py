"""Tokens of programs, and where incidents of other services came from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref


class AccessToken(Base):
    """What a program shows instead of a password; only the hash is kept, and no token lasts for ever."""

    __tablename__ = "access_token"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint("expires_at > created_at", name="expires_after_created"),
        Index("ix_access_token_user_id", "user_id"),
    )

    id: Mapped[Id]
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id"))
    label: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    can_write: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class IncidentSource(Base):
    """Where an incident came from, and its number there: the same report is not taken twice."""

    __tablename__ = "incident_source"
    __table_args__ = (UniqueConstraint("source", "source_id", name="uq_incident_source_source_source_id"),)

    incident_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("incident.id"), primary_key=True, autoincrement=False
    )
    source: Mapped[str]
    source_id: Mapped[str]
    address: Mapped[str | None]
    media_url: Mapped[str | None]
    received_at: Mapped[datetime]
