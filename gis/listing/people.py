"""Lists of staff, departments and posts. Phones are masked unless the caller may see contacts where the person serves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from gis.listing.window import Filters, Listed, Row, Window, fetch, fetch_page

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
        LEFT JOIN admin_area AS place ON place.id = coalesce(held.area_id, cell.community_id)
        WHERE held.staff_id = person.id AND held.valid_during @> CAST(:at AS timestamptz)
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
    if q:
        filters.add("(strpos(person.name, :q) > 0 OR starts_with(person.code, :q))", q=q)
    # Bound in the column list only; the count does not mention it.
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
