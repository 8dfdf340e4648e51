"""A plan of the past as a draft again: how one goes back after a plan has come into force."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import plan_review, plans
from gis.models import Plan
from gis.permissions import Actor


def copy(session: Session, plan_id: int, *, title: str, actor: Actor, now: datetime) -> Plan:
    """Make a draft with the cells and parts of another plan, by the same rules.

    Cells that continue one in force now bear its code; the others get new numbers, since none is ever given again.

    Raises
    ------
    NotFound
        ``plan.unknown``.
    NotAllowed
    InvalidPlan
        ``plan.unknown_building`` if a building is gone since.
    """
    source = plans.get(session, plan_id)
    draft = plans.create_draft(
        session,
        area_id=source.area_id,
        rule_set_id=source.rule_set_id,
        community_ids=plan_review.community_ids(session, plan_id),
        title=title,
        recipe={"copied_from": plan_id},
        based_on_id=plan_id,
        actor=actor,
        now=now,
    )
    division = plan_review.division_of(session, plan_id)
    stored = plans.store_division(session, draft.id, division=division, quality=source.quality, actor=actor, now=now)
    session.execute(_NAMES, {"source": plan_id, "plan": draft.id})
    session.expire_all()
    return stored


# What a division does not say of its cells.
_NAMES = text(
    """
    UPDATE grid AS made SET name = source.name, is_dedicated = source.is_dedicated
    FROM grid AS source
    WHERE made.plan_id = :plan AND source.plan_id = :source AND (source.name IS NOT NULL OR source.is_dedicated)
      AND made.community_id = source.community_id AND made.grid_depth = source.grid_depth
      AND coalesce(made.floor_from, 0) = coalesce(source.floor_from, 0)
      AND md5(ST_AsBinary(made.geom)) = md5(ST_AsBinary(source.geom))
    """
)
