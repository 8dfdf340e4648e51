"""A plan of the past as a draft again: how one goes back after a plan has come into force."""

from __future__ import annotations

from datetime import datetime

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
    return plans.store_division(session, draft.id, division=division, quality=source.quality, actor=actor, now=now)
