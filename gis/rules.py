"""Use cases of rule sets: stored by date and area, found as the nearest one up the tree."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import cast, func, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from gis import areas
from gis.db import audit
from gis.errors import NotFound
from gis.models import AdminArea, Ltree, PostRow, RuleSetRow, TierRow
from gis.permissions import Action, Actor, require
from gis.rule_set import Post, RuleSet, Tier


def store(
    session: Session,
    rule_set: RuleSet,
    *,
    area_id: int,
    valid_from: date,
    actor: Actor,
    now: datetime,
    valid_to: date | None = None,
) -> RuleSetRow:
    """Make a rule set the area's own from a date on; the one before it ends there. The same one twice changes nothing.

    Raises
    ------
    NotAllowed
    Overlap
        ``rules.overlap`` if another one begins on the same day or later.
    """
    area = areas.get(session, area_id)
    require(actor, Action.EDIT_RULES, area.path)
    present = session.scalar(
        select(RuleSetRow).where(RuleSetRow.area_id == area_id, RuleSetRow.valid_during.contains(valid_from))
    )
    if present is not None:
        if value(present) == rule_set:
            return present
        if present.valid_during.lower is not None and present.valid_during.lower < valid_from:
            present.valid_during = Range(present.valid_during.lower, valid_from)
            session.flush()
    row = _row(rule_set)
    row.area_id = area_id
    row.valid_during = Range(valid_from, valid_to)
    session.add(row)
    session.flush()
    audit(session, "rules.store", subject=f"rule_set:{row.id}", actor=actor, now=now, details={"code": rule_set.code})
    return row


def get(session: Session, rule_set_id: int) -> RuleSetRow:
    """A rule set by its id.

    Raises
    ------
    NotFound
        ``rules.unknown``.
    """
    row = session.get(RuleSetRow, rule_set_id)
    if row is None:
        raise NotFound("rules.unknown", rule_set=rule_set_id)
    return row


def in_force(session: Session, *, area_id: int, on: date) -> RuleSetRow:
    """The rules of an area on a day: its own, or of the nearest area above it that has some.

    Raises
    ------
    NotFound
        ``rules.none_in_force``.
    """
    area = areas.get(session, area_id)
    row = session.scalar(
        select(RuleSetRow)
        .join(AdminArea, AdminArea.id == RuleSetRow.area_id)
        .where(AdminArea.path.op("@>")(cast(area.path, Ltree())), RuleSetRow.valid_during.contains(on))
        .order_by(func.nlevel(AdminArea.path).desc())
        .limit(1)
    )
    if row is None:
        raise NotFound("rules.none_in_force", area=area.code, on=on.isoformat())
    return row


def find(session: Session) -> Sequence[RuleSetRow]:
    """All rule sets, the newest first; they hold nothing that is not posted on a wall."""
    return session.scalars(select(RuleSetRow).order_by(RuleSetRow.id.desc())).all()


def value(row: RuleSetRow) -> RuleSet:
    """The rows as the value that the partitioner takes."""
    return RuleSet(
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en or "",
        source=row.source,
        is_verified=row.is_verified,
        keep_buildings_whole=row.keep_buildings_whole,
        weights=dict(row.weights),
        tiers=tuple(_tier(tier) for tier in row.tiers),
    )


def _tier(row: TierRow) -> Tier:
    return Tier(
        ordinal=row.ordinal,
        kind=row.kind,  # type: ignore[arg-type]  # held to the words by a CHECK
        name_zh=row.name_zh,
        name_en=row.name_en or "",
        cell_of=row.cell_of,  # type: ignore[arg-type]
        households_min=row.households_min,
        households_max=row.households_max,
        households_target=row.households_target,
        tolerance_ratio=row.tolerance_ratio,
        code_digits=row.code_digits,
        posts=tuple(
            Post(post.code, post.name_zh, post.name_en or "", post.holders_min, post.holders_max) for post in row.posts
        ),
    )


def _row(rule_set: RuleSet) -> RuleSetRow:
    depths = {tier.ordinal: depth for depth, tier in enumerate(rule_set.grid_tiers, start=1)}
    return RuleSetRow(
        code=rule_set.code,
        name_zh=rule_set.name_zh,
        name_en=rule_set.name_en,
        source=rule_set.source,
        is_verified=rule_set.is_verified,
        keep_buildings_whole=rule_set.keep_buildings_whole,
        weights=dict(rule_set.weights),
        grid_depths=len(depths),
        tiers=[
            TierRow(
                ordinal=tier.ordinal,
                kind=tier.kind,
                grid_depth=depths.get(tier.ordinal),
                name_zh=tier.name_zh,
                name_en=tier.name_en,
                cell_of=tier.cell_of,
                households_min=tier.households_min,
                households_max=tier.households_max,
                households_target=tier.households_target,
                tolerance_ratio=tier.tolerance_ratio,
                code_digits=tier.code_digits,
                posts=[
                    PostRow(
                        code=post.code,
                        name_zh=post.name_zh,
                        name_en=post.name_en,
                        holders_min=post.holders_min,
                        holders_max=post.holders_max,
                    )
                    for post in tier.posts
                ],
            )
            for tier in rule_set.tiers
        ],
    )
