"""Lists of cells: those in force at a time, or those of one plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from gis.errors import NotFound
from gis.listing.people import responsible
from gis.listing.window import Filters, Listed, Row, Window, box_of, fetch, fetch_page, point_of
from gis.permissions import Action, Actor, may
from gis.permissions import scopes as scopes_of

_COLUMNS = f"""
    cell.id, cell.code, cell.name, cell.grid_depth AS depth, cell.parent_id, cell.plan_id, cell.community_id,
    community.code AS community_code, community.name AS community_name, community.name_en AS community_name_en,
    tier.kind, tier.ordinal AS tier, tier.name_zh AS tier_name_zh, tier.name_en AS tier_name_en,
    cell.households, cell.residents, cell.buildings, cell.area_m2, cell.band_state AS state, cell.color_index,
    cell.floor_from, cell.floor_to, cell.is_dedicated,
    {point_of("cell.geom")} AS label, {box_of("cell.geom")} AS bbox
"""

_SOURCE = """
    grid AS cell
    INNER JOIN plan_community AS link ON cell.plan_id = link.plan_id AND cell.community_id = link.community_id
    INNER JOIN admin_area AS community ON cell.community_id = community.id
    INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
"""

# A person's own cells: those of the posts held, everything below them, and all in the areas of posts held for areas.
MINE = """
WITH RECURSIVE held AS (
    SELECT assignment.grid_id, area.path
    FROM assignment
    LEFT JOIN admin_area AS area ON assignment.area_id = area.id
    LEFT JOIN grid AS cell ON assignment.grid_id = cell.id
    LEFT JOIN plan_community AS ruling ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
    WHERE
        assignment.staff_id = :staff_id
        AND assignment.valid_during @> CAST(:at AS timestamptz)
        -- a post is held while both its own range and its cell's plan last
        AND (assignment.grid_id IS NULL OR ruling.in_force_during @> CAST(:at AS timestamptz))
),

mine AS (
    SELECT held.grid_id AS id
    FROM held
    WHERE held.grid_id IS NOT NULL
    UNION
    SELECT own.id
    FROM grid AS own
    INNER JOIN plan_community AS ruling ON own.plan_id = ruling.plan_id AND own.community_id = ruling.community_id
    INNER JOIN admin_area AS place ON own.community_id = place.id
    INNER JOIN held ON place.path <@ held.path
    WHERE ruling.in_force_during @> CAST(:at AS timestamptz)
    UNION
    SELECT below.id
    FROM grid AS below
    INNER JOIN mine ON below.parent_id = mine.id
)
"""

BELOW = """
WITH RECURSIVE below AS (
    SELECT CAST(:grid_id AS bigint) AS id
    UNION ALL
    SELECT cell.id
    FROM grid AS cell
    INNER JOIN below ON cell.parent_id = below.id
)
"""


def cells(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    at: datetime,
    plan_id: int | None = None,
    depth: int | None = None,
    community_id: int | None = None,
    parent_id: int | None = None,
    q: str | None = None,
    staff_id: int | None = None,
) -> Listed:
    """Cells by code: of one plan, or in force at a time.

    Parameters
    ----------
    staff_id : int or None
        Only the cells that this person answers for at that time, those below them included.
    """
    filters = _chosen(scopes, at=at, plan_id=plan_id)
    filters.add_given("cell.grid_depth = :depth", depth=depth)
    filters.add_given("cell.community_id = :community_id", community_id=community_id)
    filters.add_given("cell.parent_id = :parent_id", parent_id=parent_id)
    if q:
        filters.add("(starts_with(cell.code, :q) OR strpos(lower(cell.name), lower(:q)) > 0)", q=q)
    filters.within("cell.geom", window.bbox)
    if staff_id is not None:
        filters.add("cell.id IN (SELECT mine.id FROM mine)", staff_id=staff_id, at=at)
    return fetch_page(
        session,
        window,
        source=_SOURCE,
        columns=_COLUMNS,
        filters=filters,
        key="cell.id",
        order=("cell.code", "cell.id"),
        shape="cell.geom",
        prelude=MINE if staff_id is not None else "",
    )


def cell(session: Session, grid_id: int, *, scopes: Sequence[str], draft_scopes: Sequence[str]) -> Row:
    """One cell of any plan, past ones too, with its geometry, children and parts; of a draft only where one may.

    Raises
    ------
    NotFound
        ``grid.not_found``, also if it lies outside the scopes.
    """
    filters = Filters()
    filters.add("cell.id = :grid_id", grid_id=grid_id)
    filters.add(
        "(community.path <@ ANY(CAST(:scopes AS ltree [])) AND link.plan_status = 'published'"
        " OR community.path <@ ANY(CAST(:draft_scopes AS ltree [])))",
        scopes=list(scopes),
        draft_scopes=list(draft_scopes),
    )
    rows = fetch(
        session,
        f"SELECT {_COLUMNS}, community.path::text AS path,"
        " lower(link.in_force_during) AS in_force_from, upper(link.in_force_during) AS in_force_to,"
        " (SELECT above.code FROM grid AS above WHERE above.id = cell.parent_id) AS parent_code,"
        f" ST_AsGeoJSON(cell.geom, 7) AS geometry FROM {_SOURCE} {filters.sql()}",
        filters.params,
    )
    if not rows:
        raise NotFound("grid.not_found", grid_id=grid_id)
    row = rows[0]
    row["children"] = fetch(
        session,
        "SELECT id, code, name, households, band_state AS state, floor_from, floor_to FROM grid"
        " WHERE parent_id = :grid_id ORDER BY code",
        {"grid_id": grid_id},
    )
    row["parts"] = parts(session, grid_id)
    return row


def cell_in_full(session: Session, grid_id: int, *, actor: Actor, at: datetime) -> Row:
    """`cell` with the people who answer for it at that time and the incidents open in it.

    Raises
    ------
    NotFound
        ``grid.not_found``.
    """
    seen = scopes_of(actor, Action.VIEW_MAP)
    row = cell(session, grid_id, scopes=seen, draft_scopes=scopes_of(actor, Action.VIEW_DRAFTS))
    path = row.pop("path")
    shows_phones = may(actor, Action.VIEW_CONTACTS, path)
    row["people"] = responsible(session, [grid_id], at=at, shows_phones=shows_phones)[grid_id]
    sees_incidents = may(actor, Action.VIEW_INCIDENTS, path)
    row["open_incidents"] = fetch(
        session,
        f"""{BELOW}
        SELECT incident.id, incident.code, incident.title, incident.status, incident.severity, incident.reported_at
        FROM incident
        WHERE incident.grid_id IN (SELECT below.id FROM below) AND incident.closed_at IS NULL
            AND :sees_incidents
        ORDER BY incident.reported_at DESC
        LIMIT 200
        """,
        {"grid_id": grid_id, "sees_incidents": sees_incidents},
    )
    return row


def parts(session: Session, grid_id: int) -> list[Row]:
    """The building parts of a cell and of those below it."""
    return fetch(
        session,
        f"""{BELOW}
        SELECT
            building.id AS building_id, building.code AS building_code, building.name AS building_name,
            building.address, part.kind, part.label,
            lower(part.unit_span) AS unit_from, upper(part.unit_span) - 1 AS unit_to,
            lower(part.floor_span) AS floor_from, upper(part.floor_span) - 1 AS floor_to,
            placed.households
        FROM grid_part AS placed
        INNER JOIN building_part AS part ON placed.building_part_id = part.id
        INNER JOIN building ON part.building_id = building.id
        WHERE placed.grid_id IN (SELECT below.id FROM below) AND placed.households > 0
        ORDER BY building.code, lower(part.unit_span), lower(part.floor_span)
        LIMIT 2000
        """,
        {"grid_id": grid_id},
    )


def _chosen(scopes: Sequence[str], *, at: datetime, plan_id: int | None) -> Filters:
    filters = Filters()
    filters.add("community.path <@ ANY(CAST(:scopes AS ltree []))", scopes=list(scopes))
    if plan_id is None:
        filters.add("link.in_force_during @> CAST(:at AS timestamptz)", at=at)
    else:
        filters.add("cell.plan_id = :plan_id", plan_id=plan_id)
    return filters
