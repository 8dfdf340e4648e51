"""Use cases of the administrative tree."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import cast, or_, select
from sqlalchemy.orm import Session

from gis.db import visible
from gis.errors import NotFound
from gis.models import AdminArea, Ltree
from gis.permissions import Action, Actor


def get(session: Session, area_id: int) -> AdminArea:
    """An area by its id.

    Raises
    ------
    NotFound
        ``area.unknown``.
    """
    area = session.get(AdminArea, area_id)
    if area is None:
        raise NotFound("area.unknown", area=area_id)
    return area


def by_code(session: Session, code: str) -> AdminArea:
    """An area by its code.

    Raises
    ------
    NotFound
        ``area.unknown``.
    """
    area = session.scalar(select(AdminArea).where(AdminArea.code == code))
    if area is None:
        raise NotFound("area.unknown", area=code)
    return area


def find(
    session: Session,
    *,
    actor: Actor,
    level: str | None = None,
    parent_id: int | None = None,
    text: str | None = None,
    limit: int = 1000,
) -> Sequence[AdminArea]:
    """Areas that somebody may see, by level, parent, and a piece of name or code; ordered by code."""
    statement = visible(select(AdminArea), AdminArea.path, actor, Action.VIEW_MAP)
    if level is not None:
        statement = statement.where(AdminArea.level == level)
    if parent_id is not None:
        statement = statement.where(AdminArea.parent_id == parent_id)
    if text:
        statement = statement.where(
            or_(AdminArea.name.contains(text, autoescape=True), AdminArea.code.startswith(text, autoescape=True))
        )
    return session.scalars(statement.order_by(AdminArea.code).limit(limit)).all()


def communities_under(session: Session, area_id: int) -> Sequence[AdminArea]:
    """All communities in the subtree of an area, the area itself if it is one; ordered by code."""
    area = get(session, area_id)
    return session.scalars(
        select(AdminArea)
        .where(AdminArea.level == "community", AdminArea.path.op("<@")(cast(area.path, Ltree())))
        .order_by(AdminArea.code)
    ).all()


def ancestors(session: Session, area_id: int) -> Sequence[AdminArea]:
    """The area and all above it, from the root down."""
    area = get(session, area_id)
    return session.scalars(
        select(AdminArea).where(AdminArea.path.op("@>")(cast(area.path, Ltree()))).order_by(AdminArea.path)
    ).all()
