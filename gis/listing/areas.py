"""Lists of the administrative tree, and the extent of what somebody may see."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.errors import NotFound
from gis.listing.window import Box, Filters, Listed, Row, Window, box_of, fetch, fetch_page

_COLUMNS = f"""
    area.id, area.code, area.name, area.name_en, area.level, area.parent_id, area.source,
    (SELECT parent.name FROM admin_area AS parent WHERE parent.id = area.parent_id) AS parent_name,
    CASE WHEN area.geom IS NOT NULL THEN {box_of("area.geom")} END AS bbox,
    counted.buildings, counted.households
"""

_COUNTED = """
    CROSS JOIN LATERAL (
        SELECT count(*) AS buildings, coalesce(sum(building.households), 0)::bigint AS households
        FROM building
        INNER JOIN admin_area AS community ON building.area_id = community.id
        WHERE community.path <@ area.path
    ) AS counted
"""

WORLD: Box = (-180.0, -85.0, 180.0, 85.0)


def areas(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    level: str | None = None,
    parent_id: int | None = None,
    q: str | None = None,
) -> Listed:
    """Areas in the scopes, by code; ``q`` is part of a name or the beginning of a code."""
    filters = _in(scopes)
    filters.add_given("area.level = :level", level=level)
    filters.add_given("area.parent_id = :parent_id", parent_id=parent_id)
    if q:
        filters.add("(strpos(lower(area.name), lower(:q)) > 0 OR starts_with(area.code, :q))", q=q)
    filters.within("area.geom", window.bbox)
    return fetch_page(
        session,
        window,
        source="admin_area AS area",
        columns=_COLUMNS,
        filters=filters,
        key="area.id",
        order=("area.code", "area.id"),
        shape="area.geom",
        beside=_COUNTED,
    )


def area(session: Session, area_id: int, *, scopes: Sequence[str], geometry: bool = True) -> Row:
    """One area with the chain of those above it.

    Raises
    ------
    NotFound
        ``area.not_found``, also if it lies outside the scopes.
    """
    filters = _in(scopes)
    filters.add("area.id = :area_id", area_id=area_id)
    shape = ", ST_AsGeoJSON(area.geom, 7) AS geometry" if geometry else ""
    rows = fetch(
        session, f"SELECT {_COLUMNS}{shape} FROM admin_area AS area {_COUNTED} {filters.sql()}", filters.params
    )
    if not rows:
        raise NotFound("area.not_found", area_id=area_id)
    rows[0]["above"] = fetch(
        session,
        "SELECT up.id, up.level, up.code, up.name, up.name_en FROM admin_area AS up, admin_area AS area"
        " WHERE area.id = :area_id AND up.path @> area.path AND up.id <> area.id ORDER BY nlevel(up.path)",
        {"area_id": area_id},
    )
    return rows[0]


def extent(session: Session, *, scopes: Sequence[str]) -> Box:
    """The box round all that lies in the scopes; the whole world if nothing does."""
    found = session.execute(
        text(
            "SELECT ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box) FROM"
            " (SELECT ST_Extent(geom) AS box FROM admin_area WHERE path <@ ANY(CAST(:scopes AS ltree []))) AS all_of"
            " WHERE box IS NOT NULL"
        ),
        {"scopes": list(scopes)},
    ).one_or_none()
    return WORLD if found is None else (found[0], found[1], found[2], found[3])


def _in(scopes: Sequence[str]) -> Filters:
    filters = Filters()
    filters.add("area.path <@ ANY(CAST(:scopes AS ltree []))", scopes=list(scopes))
    return filters
