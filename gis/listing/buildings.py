"""Lists of buildings and compounds, with the cells in force that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.listing.cells import BELOW, MINE
from gis.listing.window import Filters, Listed, Window, fetch, fetch_page

_COLUMNS = """
    building.id, building.code, building.name, building.address, building.use, building.floors, building.units,
    building.households, building.households_estimated, building.compound_id,
    compound.name AS compound_name, compound.name_en AS compound_name_en,
    community.id AS community_id, community.name AS community_name, community.name_en AS community_name_en,
    round(ST_X(ST_Centroid(building.geom))::numeric, 7)::float8 AS lon,
    round(ST_Y(ST_Centroid(building.geom))::numeric, 7)::float8 AS lat,
    placed.grid_code, placed.micro_grid_code, placed.micro_grids
"""

_SOURCE = """
    building
    INNER JOIN admin_area AS community ON building.area_id = community.id
    LEFT JOIN compound ON building.compound_id = compound.id
"""

# Which cells in force a building lies in: one micro-grid mostly, several if it is cut by staircases or floors.
_CELLS = """
    LEFT JOIN LATERAL (
        SELECT
            min(CASE WHEN tier.kind = 'micro_grid' THEN above.code ELSE leaf.code END) AS grid_code,
            string_agg(DISTINCT leaf.code, ', ') FILTER (WHERE tier.kind = 'micro_grid') AS micro_grid_code,
            count(DISTINCT leaf.id) FILTER (WHERE tier.kind = 'micro_grid') AS micro_grids
        FROM grid_part AS gp
        INNER JOIN plan_community AS link
            ON gp.plan_id = link.plan_id AND link.community_id = building.area_id
        INNER JOIN grid AS leaf ON gp.grid_id = leaf.id
        INNER JOIN tier ON leaf.rule_set_id = tier.rule_set_id AND leaf.grid_depth = tier.grid_depth
        LEFT JOIN grid AS above ON leaf.parent_id = above.id
        WHERE gp.building_id = building.id AND link.in_force_during @> CAST(:at AS timestamptz)
    ) AS placed ON true
"""

_SEARCH = "(coalesce(building.name, '') || ' ' || coalesce(building.address, '') || ' ' || building.code)"


def buildings(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    at: datetime,
    grid_id: int | None = None,
    compound_id: int | None = None,
    community_id: int | None = None,
    q: str | None = None,
    inhabited: bool | None = None,
    staff_id: int | None = None,
    near: tuple[float, float] | None = None,
) -> Listed:
    """Buildings by code, or by distance from a point.

    Parameters
    ----------
    grid_id : int or None
        Only those with a part in this cell or one below it.
    staff_id : int or None
        Only those in the cells that this person answers for.
    near : tuple of float or None
        lon, lat; rows gain ``distance_m`` and come nearest first.
    """
    filters = Filters()
    filters.add("community.path <@ ANY(CAST(:scopes AS ltree []))", scopes=list(scopes), at=at)
    filters.add_given("building.compound_id = :compound_id", compound_id=compound_id)
    filters.add_given("building.area_id = :community_id", community_id=community_id)
    if inhabited is not None:
        filters.add("(building.households > 0) = :inhabited", inhabited=inhabited)
    if q:
        filters.add(f"{_SEARCH} ILIKE :pattern", pattern=f"%{_literal(q)}%")
    filters.within("building.geom", window.bbox)
    prelude = _narrow(filters, grid_id=grid_id, staff_id=staff_id)
    if near is not None:
        return _nearest(session, window, filters=filters, prelude=prelude, near=near)
    return fetch_page(
        session,
        window,
        source=_SOURCE,
        columns=_COLUMNS,
        filters=filters,
        key="building.id",
        order=("building.code", "building.id"),
        shape="building.geom",
        prelude=prelude,
        beside=_CELLS,
    )


def _narrow(filters: Filters, *, grid_id: int | None, staff_id: int | None) -> str:
    in_cells = "building.id IN (SELECT gp.building_id FROM grid_part AS gp WHERE gp.grid_id IN (SELECT id FROM {}))"
    if grid_id is not None:
        filters.add(in_cells.format("below"), grid_id=grid_id)
        return BELOW
    if staff_id is not None:
        filters.add(in_cells.format("mine"), staff_id=staff_id)
        return MINE
    return ""


def _nearest(session: Session, window: Window, *, filters: Filters, prelude: str, near: tuple[float, float]) -> Listed:
    where = filters.sql()
    total = session.execute(text(f"{prelude} SELECT count(*) FROM {_SOURCE} {where}"), filters.params).scalar_one()
    offset = window.cursor or 0
    point = "ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography"
    shape = ", ST_AsGeoJSON(building.geom, 7) AS geometry" if window.geometry else ""
    rows = fetch(
        session,
        f"{prelude} SELECT {_COLUMNS}, round(ST_Distance(building.geom::geography, {point})::numeric, 1)::float8"
        f" AS distance_m{shape} FROM {_SOURCE} {_CELLS} {where}"
        f" ORDER BY building.geom::geography <-> {point}, building.id LIMIT :limit OFFSET :offset",
        {**filters.params, "lon": near[0], "lat": near[1], "limit": window.limit + 1, "offset": offset},
    )
    following = offset + window.limit if len(rows) > window.limit else None
    return Listed(rows[: window.limit], following, total)


def compounds(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    community_id: int | None = None,
    q: str | None = None,
) -> Listed:
    """Compounds by code."""
    filters = Filters()
    filters.add("community.path <@ ANY(CAST(:scopes AS ltree []))", scopes=list(scopes))
    filters.add_given("compound.area_id = :community_id", community_id=community_id)
    if q:
        filters.add("(strpos(lower(compound.name), lower(:q)) > 0 OR starts_with(compound.code, :q))", q=q)
    filters.within("compound.geom", window.bbox)
    return fetch_page(
        session,
        window,
        source="compound INNER JOIN admin_area AS community ON compound.area_id = community.id",
        beside="""
            CROSS JOIN LATERAL (
                SELECT count(*) AS buildings, coalesce(sum(building.households), 0)::bigint AS households
                FROM building
                WHERE building.compound_id = compound.id
            ) AS counted
        """,
        columns="compound.id, compound.code, compound.name, compound.name_en, compound.housing_class,"
        " compound.is_walled, community.id AS community_id, community.name AS community_name,"
        " community.name_en AS community_name_en,"
        " counted.buildings, counted.households",
        filters=filters,
        key="compound.id",
        order=("compound.code", "compound.id"),
        shape="compound.geom",
    )


def _literal(words: str) -> str:
    """Words as a LIKE pattern takes them literally."""
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
