"""Lists of staff, departments and posts.

Phones are masked unless the caller may see contacts where the person serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from gis import staff as staff_of
from gis.listing.areas import extent
from gis.listing.window import Filters, Listed, Row, Window, fetch, fetch_page
from gis.permissions import Action, Actor, Role, allowed_actions, scopes

# The places that a person serves at: posts held now, and the area of the department.
_SOURCE = """
    staff AS person
    LEFT JOIN department ON person.department_id = department.id
    LEFT JOIN admin_area AS office ON department.area_id = office.id
    CROSS JOIN LATERAL (
        SELECT
            coalesce(array_agg(place.path) FILTER (WHERE place.path IS NOT NULL), CAST('{}' AS ltree [])) AS paths,
            coalesce(array_agg(held.grid_id) FILTER (WHERE held.grid_id IS NOT NULL), '{}') AS grid_ids,
            coalesce(
                json_agg(
                    json_build_object(
                        'post', post.code, 'name_zh', post.name_zh, 'name_en', post.name_en, 'tier', tier.ordinal,
                        'place_code', coalesce(cell.code, place.code), 'place_name', coalesce(cell.name, place.name),
                        'grid_id', cell.id, 'area_id', held.area_id
                    )
                    ORDER BY tier.ordinal, cell.code, place.code
                ) FILTER (WHERE held.id IS NOT NULL),
                '[]'
            ) AS posts
        FROM assignment AS held
        INNER JOIN post ON held.post_id = post.id
        INNER JOIN tier ON post.tier_id = tier.id
        LEFT JOIN grid AS cell ON held.grid_id = cell.id
        LEFT JOIN plan_community AS ruling ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
        LEFT JOIN admin_area AS place ON place.id = coalesce(held.area_id, cell.community_id)
        WHERE
            held.staff_id = person.id
            AND held.valid_during @> CAST(:at AS timestamptz)
            AND (held.grid_id IS NULL OR ruling.in_force_during @> CAST(:at AS timestamptz))
    ) AS serving
"""

_COLUMNS = """
    person.id, person.code, person.name, person.phone,
    department.code AS department_code, department.name AS department_name, department.name_en AS department_name_en,
    serving.posts,
    (office.path <@ ANY(CAST(:contact_scopes AS ltree []))
        OR EXISTS (SELECT 1 FROM unnest(serving.paths) AS p WHERE p <@ ANY(CAST(:contact_scopes AS ltree []))))
        IS TRUE AS with_contact
"""


def staff(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    contact_scopes: Sequence[str],
    at: datetime,
    grid_id: int | None = None,
    department: str | None = None,
    q: str | None = None,
    ids: Sequence[int] | None = None,
) -> Listed:
    """Staff who serve in the scopes, by code, each with the posts held at that time."""
    filters = Filters()
    filters.add(
        "(office.path <@ ANY(CAST(:scopes AS ltree []))"
        " OR EXISTS (SELECT 1 FROM unnest(serving.paths) AS p WHERE p <@ ANY(CAST(:scopes AS ltree [])))"
        " OR '' = ANY(:scopes))",
        scopes=list(scopes),
        contact_scopes=list(contact_scopes),
        at=at,
    )
    filters.add_given(":grid_id = ANY(serving.grid_ids)", grid_id=grid_id)
    filters.add_given("department.code = :department", department=department)
    filters.add_given("person.id = ANY(CAST(:ids AS bigint []))", ids=None if ids is None else list(ids))
    if q:
        filters.add("(strpos(person.name, :q) > 0 OR starts_with(person.code, :q))", q=q)
    listed = fetch_page(
        session,
        window,
        source=_SOURCE,
        columns=_COLUMNS,
        filters=filters,
        key="person.id",
        order=("person.code", "person.id"),
    )
    for row in listed.rows:
        if not row.pop("with_contact"):
            row["phone"] = mask_phone(row["phone"])
    return listed


def mask_phone(phone: str | None) -> str | None:
    """A phone number with its middle hidden.

    Examples
    --------
    >>> mask_phone("13812341234"), mask_phone("110"), mask_phone(None)
    ('138****1234', '***', None)
    """
    if phone is None:
        return None
    if len(phone) < 8:
        return "*" * len(phone)
    return phone[:3] + "*" * (len(phone) - 7) + phone[-4:]


def departments(session: Session, *, scopes: Sequence[str]) -> list[Row]:
    """Departments whose area lies in the scopes or above them, and those of no area, by code."""
    return fetch(
        session,
        """
        SELECT
            department.id, department.code, department.name, department.name_en,
            area.id AS area_id, area.name AS area_name, department.parent_id
        FROM department
        LEFT JOIN admin_area AS area ON department.area_id = area.id
        WHERE
            area.id IS NULL
            OR area.path <@ ANY(CAST(:scopes AS ltree []))
            OR area.path @> ANY(CAST(:scopes AS ltree []))
        ORDER BY department.code
        LIMIT 5000
        """,
        {"scopes": list(scopes)},
    )


def posts(session: Session) -> list[Row]:
    """The posts of all rule sets, by rule set and tier."""
    return fetch(
        session,
        """
        SELECT
            post.id, post.code, post.name_zh, post.name_en, post.holders_min, post.holders_max,
            tier.ordinal AS tier, tier.name_zh AS tier_name_zh, tier.name_en AS tier_name_en,
            tier.kind, tier.rule_set_id
        FROM post
        INNER JOIN tier ON post.tier_id = tier.id
        ORDER BY tier.rule_set_id, tier.ordinal, post.id
        """,
        {},
    )


def categories(session: Session) -> list[Row]:
    """The dictionary of incidents, by code."""
    return fetch(
        session,
        "SELECT code, name_zh, name_en, board, department, due_amount, due_unit, is_verified"
        " FROM incident_category ORDER BY code",
        {},
    )


HOMES = {
    Role.ADMINISTRATOR: "/planner",
    Role.PLANNER: "/planner",
    Role.APPROVER: "/planner",
    Role.DISPATCHER: "/command",
    Role.FIELD_WORKER: "/field",
    Role.VIEWER: "/command",
}
"""The page that somebody with a role begins on; of several roles the first of this table counts."""


def profile(session: Session, *, actor: Actor, now: datetime) -> Row:
    """Who somebody is: account, person behind it, grants, what they may do, where they begin, and their extent."""
    account = fetch(
        session,
        """
        SELECT
            account.name, account.username, account.must_change_password,
            CASE WHEN person.id IS NOT NULL THEN json_build_object(
                'id', person.id, 'code', person.code, 'name', person.name,
                'department', department.name
            ) END AS staff
        FROM user_account AS account
        LEFT JOIN staff AS person ON account.staff_id = person.id
        LEFT JOIN department ON person.department_id = department.id
        WHERE account.id = :user_id
        """,
        {"user_id": actor.user_id},
    )
    grants = fetch(
        session,
        """
        SELECT
            held.role,
            CASE WHEN area.id IS NOT NULL THEN json_build_object(
                'id', area.id, 'code', area.code, 'name', area.name, 'name_en', area.name_en, 'level', area.level
            ) END AS area
        FROM role_grant AS held
        LEFT JOIN admin_area AS area ON held.area_id = area.id
        WHERE held.user_id = :user_id AND held.valid_during @> CAST(:now AS timestamptz)
        ORDER BY held.id
        """,
        {"user_id": actor.user_id, "now": now},
    )
    roles = {grant.role for grant in actor.grants}
    return {
        "user": account[0] if account else None,
        "grants": grants,
        "permissions": [str(action) for action in allowed_actions(actor)],
        "home": next((page for role, page in HOMES.items() if role in roles), "/command"),
        "extent": extent(session, scopes=scopes(actor, Action.VIEW_MAP)),
    }


def responsible(session: Session, grid_ids: Sequence[int], *, at: datetime, shows_phones: bool) -> dict[int, list[Row]]:
    """The people of cells as plain rows, nearest place first; phones masked unless they may be shown."""
    found = staff_of.responsible_many(session, grid_ids=grid_ids, at=at)
    return {grid_id: [person(one, shows_phone=shows_phones) for one in held] for grid_id, held in found.items()}


def person(one: staff_of.Responsible, *, shows_phone: bool) -> Row:
    """One of the people responsible as a plain row."""
    return {
        "post": one.post_code,
        "post_name_zh": one.post_zh,
        "post_name_en": one.post_en,
        "staff_id": one.staff_id,
        "name": one.staff_name,
        "phone": one.phone if shows_phone else mask_phone(one.phone),
        "tier": one.tier_ordinal,
        "tier_name_zh": one.tier_zh,
        "tier_name_en": one.tier_en,
        "place": one.place_code,
        "place_name": one.place_name,
    }
