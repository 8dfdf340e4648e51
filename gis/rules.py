"""Use cases of rule sets: stored by date and area, found as the nearest one up the tree, renewed by edited copies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import cast, func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from gis import areas
from gis.db import audit
from gis.errors import InvalidInput, NotFound
from gis.models import AdminArea, Ltree, Plan, PostRow, RuleSetRow, TierRow
from gis.permissions import Action, Actor, is_within, require, scopes
from gis.rule_check import Around, Dated, Proposal, Stated, check, errors
from gis.rule_set import Post, RuleSet, Tier
from gis.worktime import CHINA


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
    # One at a time for an area: of two equal wishes the second finds what the first has stored.
    session.execute(select(AdminArea.id).where(AdminArea.id == area_id).with_for_update(key_share=True))
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


def renew(
    session: Session,
    rule_set: RuleSet,
    *,
    area_id: int,
    valid_from: date,
    actor: Actor,
    now: datetime,
    valid_to: date | None = None,
) -> RuleSetRow:
    """Store an edited copy as the area's rules from a date on, if nothing forbids it; as often as it is sent, once.

    Raises
    ------
    InvalidInput
        ``rules.faulty``: errors that `gis.rule_check` finds, other than of dates.
    NotAllowed
    Overlap
        ``rules.overlap``: another rule set begins on that day, or before this one ends.
    """
    proposal = Proposal.of(rule_set, valid_from=valid_from, valid_to=valid_to)
    if wrong := errors(check(proposal)):
        fields = [fault.field for fault in wrong]
        raise InvalidInput("rules.faulty", count=len(wrong), fields=fields, first=wrong[0].code)
    return store(
        session, rule_set, area_id=area_id, valid_from=valid_from, valid_to=valid_to, actor=actor, now=now
    )  # fmt: skip


def around(
    session: Session, *, area_id: int, actor: Actor, now: datetime, stated: Stated | None = None
) -> Around:  # fmt: skip
    """What a proposal for an area is checked against: other rule sets, communities, and who holds which post.

    Raises
    ------
    NotAllowed
    NotFound
        ``area.unknown``.
    """
    area = areas.get(session, area_id)
    require(actor, Action.EDIT_RULES, area.path)
    others = session.scalars(
        select(RuleSetRow).where(RuleSetRow.area_id == area_id).order_by(func.lower(RuleSetRow.valid_during))
    )
    here = {"path": area.path, "at": now}
    held = {row.code: row.people for row in session.execute(_HELD, here)}
    return Around(
        today=now.astimezone(CHINA).date(),
        others=tuple(
            Dated(one.name_zh, one.valid_during.lower, one.valid_during.upper)
            for one in others
            if one.valid_during.lower is not None
        ),
        communities={row.name: row.households for row in session.execute(_COMMUNITIES, here)},
        held=held or None,
        stated=stated,
    )


def seen(session: Session, rule_set_id: int, *, actor: Actor) -> RuleSetRow:
    """A rule set that somebody may see: of an area in theirs, or above it.

    Raises
    ------
    NotFound
        ``rules.unknown``.
    """
    row = get(session, rule_set_id)
    path = areas.get(session, row.area_id).path
    if not any(is_within(path, scope) or is_within(scope, path) for scope in scopes(actor, Action.VIEW_MAP)):
        raise NotFound("rules.unknown", rule_set=rule_set_id)
    return row


def uses(session: Session, rule_set_id: int) -> int:
    """How many plans are drawn by a rule set; one that any plan uses is frozen."""
    return session.scalar(select(func.count()).select_from(Plan).where(Plan.rule_set_id == rule_set_id)) or 0


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


_HELD = text(
    """
    SELECT post.code, count(DISTINCT held.staff_id) AS people
    FROM assignment AS held
    INNER JOIN post ON held.post_id = post.id
    LEFT JOIN grid AS cell ON held.grid_id = cell.id
    INNER JOIN admin_area AS area ON area.id = coalesce(cell.community_id, held.area_id)
    WHERE held.valid_during @> CAST(:at AS timestamptz) AND area.path <@ CAST(:path AS ltree)
    GROUP BY post.code
    """
)

_COMMUNITIES = text(
    """
    SELECT area.name, coalesce(sum(building.households), 0)::bigint AS households
    FROM admin_area AS area
    INNER JOIN building ON building.area_id = area.id
    WHERE area.level = 'community' AND area.path <@ CAST(:path AS ltree)
    GROUP BY area.id ORDER BY area.code
    """
)
