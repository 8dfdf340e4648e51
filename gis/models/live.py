"""News for open pages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from gis.models.base import Base, Id, Ref


class LiveEvent(Base):
    """An incident that changed, or a plan published or taken back; numbered in the order of commits by a trigger.

    Old rows are cleared away: a page that was away for longer reads its lists again.
    """

    __tablename__ = "live_event"
    __table_args__ = (CheckConstraint("num_nonnulls(incident_id, plan_id) = 1", name="of_one"),)

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    incident_id: Mapped[Ref | None] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    plan_id: Mapped[Ref | None] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
