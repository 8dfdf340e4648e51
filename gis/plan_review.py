"""Looking at a stored plan: its rows as a division again, what is wrong with it, its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from gis import listing, plan_report, plans, rules
from gis.division import CELL_COLUMNS, PART_COLUMNS, Division
from gis.errors import NotFound
from gis.exchange import folium_map, plan_report_page
from gis.findings import Finding, Severity
from gis.messages import text
from gis.models import AdminArea, PlanCommunity
from gis.permissions import Action, Actor, require, scopes
from gis.town import WGS84, Town

_CELLS = """
SELECT
    cell.code, community.code AS community, above.code AS parent, cell.households, cell.area_m2,
    cell.floor_from, cell.floor_to, cell.grid_depth, ST_AsBinary(cell.geom) AS geometry
FROM grid AS cell
INNER JOIN admin_area AS community ON cell.community_id = community.id
LEFT JOIN grid AS above ON cell.parent_id = above.id
WHERE cell.plan_id = :plan_id
ORDER BY cell.grid_depth, cell.code
"""

_PARTS = """
SELECT
    building.code AS building,
    lower(gp.unit_span) AS unit_from, upper(gp.unit_span) - 1 AS unit_to,
    lower(gp.floor_span) AS floor_from, upper(gp.floor_span) - 1 AS floor_to,
    gp.households, part.units_estimated, cell.code AS cell
FROM grid_part AS gp
INNER JOIN building_part AS part ON gp.building_part_id = part.id
INNER JOIN building ON gp.building_id = building.id
INNER JOIN grid AS cell ON gp.grid_id = cell.id
WHERE gp.plan_id = :plan_id
ORDER BY building.code, lower(gp.unit_span), lower(gp.floor_span)
"""


def path_of(session: Session, plan_id: int) -> str:
    """The tree path of the area that a plan was drawn for."""
    return session.scalars(select(AdminArea.path).where(AdminArea.id == plans.get(session, plan_id).area_id)).one()


def require_on(session: Session, plan_id: int, *, action: Action, actor: Actor) -> None:
    """Go on only if somebody may do an action on a plan.

    Raises
    ------
    NotFound, NotAllowed
    """
    require(actor, action, path_of(session, plan_id))


def seen_scopes(session: Session, plan_id: int, *, actor: Actor) -> tuple[str, ...]:
    """The scopes in which somebody sees the cells of a plan: those of the map, or of drafts if it is none in force.

    Raises
    ------
    NotFound
        ``plan.unknown``, also for a plan of which nothing may be seen.
    """
    plan = plans.get(session, plan_id)
    held = scopes(actor, Action.VIEW_MAP if plan.status == "published" else Action.VIEW_DRAFTS)
    shown = listing.fetch(
        session,
        "SELECT 1 FROM plan_community AS link INNER JOIN admin_area AS area ON link.community_id = area.id"
        " WHERE link.plan_id = :plan_id AND area.path <@ ANY(CAST(:scopes AS ltree [])) LIMIT 1",
        {"plan_id": plan_id, "scopes": list(held)},
    )
    if not shown:
        raise NotFound("plan.unknown", plan=plan_id)
    return held


def community_ids(session: Session, plan_id: int) -> list[int]:
    """The communities that a plan covers, sorted."""
    return list(
        session.scalars(
            select(PlanCommunity.community_id)
            .where(PlanCommunity.plan_id == plan_id)
            .order_by(PlanCommunity.community_id)
        )
    )


def division_of(session: Session, plan_id: int) -> Division:
    """The rows of a plan as the value that the partitioner once gave."""
    plan = plans.get(session, plan_id)
    rule_set = rules.value(rules.get(session, plan.rule_set_id))
    rows = listing.fetch(session, _CELLS, {"plan_id": plan_id})
    parts = pd.DataFrame(listing.fetch(session, _PARTS, {"plan_id": plan_id}), columns=list(PART_COLUMNS))
    for column in ("unit_from", "unit_to", "floor_from", "floor_to", "households"):
        parts[column] = parts[column].astype("Int64")
    return Division(
        rules=rule_set,
        cells=tuple(_frame(rows, depth) for depth in range(1, plan.grid_depths + 1)),
        parts=parts,
        findings=tuple(_finding(row) for row in listing.findings(session, plan_id, limit=100_000)),
        recipe=dict(plan.recipe),
    )


def _frame(rows: Sequence[Mapping[str, Any]], depth: int) -> gpd.GeoDataFrame:
    own = [row for row in rows if row["grid_depth"] == depth]
    frame = pd.DataFrame(own, columns=list(CELL_COLUMNS))
    for column in ("households", "floor_from", "floor_to"):
        frame[column] = frame[column].astype("Int64")
    shapes = gpd.GeoSeries.from_wkb([bytes(row["geometry"]) for row in own], crs=WGS84)
    return gpd.GeoDataFrame(frame, geometry=shapes)


def _finding(row: Mapping[str, Any]) -> Finding:
    return Finding(
        code=row["code"], severity=Severity(row["severity"]), layer=row["layer"], key=row["key"], params=row["params"]
    )


VIOLATION = "violation"
"""Severity of what is against the rules, whoever noticed it."""


def violations(session: Session, plan_id: int, *, language: str) -> list[dict[str, Any]]:
    """Cells out of band, then what the partitioner noticed, each with its sentence and the box to look at.

    A cell out of band whose reason the partitioner told is told once, with the reason.
    """
    out_of_band = {row["cell_id"]: row for row in plans.violations(session, plan_id) if row["cell_id"] is not None}
    noticed = listing.findings(session, plan_id)
    for row in noticed:
        if out_of_band.pop(row["cell_id"], None) is not None:
            row["severity"] = VIOLATION
    tiers = rules.value(rules.get(session, plans.get(session, plan_id).rule_set_id)).tiers
    names = {tier.name_zh: tier.name_en for tier in tiers} if language == "en" else {}
    items = sorted([*out_of_band.values(), *noticed], key=lambda row: row["severity"] != VIOLATION)
    return [{**row, "text": _sentence(row, names, language)} for row in items]


def _sentence(row: Mapping[str, Any], names: Mapping[str, str], language: str) -> str:
    layer = row.get("layer") or ""
    return text(
        row["code"], {"layer": names.get(layer, layer), "key": row.get("key"), **row["params"]}, language=language
    )


def report(session: Session, plan_id: int) -> tuple[dict[str, Any], Division, Town]:
    """The report of a plan (`gis.plan_report`) as it is stored, with what its maps are drawn of.

    A plan that was stored before there were reports gets one now.
    """
    plan = plans.get(session, plan_id)
    division = division_of(session, plan_id)
    town = plans.town_of(session, community_ids=community_ids(session, plan_id))
    stored = plan_report.load(session, plan_id, title=plan.title, findings=division.findings)
    if stored is None:
        stored = plan_report.collect(division, town, title=plan.title, quality=plan.quality)
    return stored, division, town


def report_json(session: Session, plan_id: int) -> dict[str, Any]:
    """The report of a plan with its sentences, as plain values."""
    title = plans.get(session, plan_id).title
    found = [_finding(row) for row in listing.findings(session, plan_id, limit=100_000)]
    stored = plan_report.load(session, plan_id, title=title, findings=found)
    return plan_report.told(report(session, plan_id)[0] if stored is None else stored)


def report_html(session: Session, plan_id: int, *, language: str) -> str:
    """The report of a plan as one self-contained page."""
    made, division, town = report(session, plan_id)
    return plan_report_page.page(plan_report.told(made), division, town, language=language)


def map_html(session: Session, plan_id: int, *, leaflet: Path, language: str) -> str:
    """A plan as one self-contained page with a map to look around in."""
    plan = plans.get(session, plan_id)
    town = plans.town_of(session, community_ids=community_ids(session, plan_id))
    return folium_map.report_html(
        division_of(session, plan_id),
        town,
        title=plan.title,
        leaflet=leaflet,
        measures=plan.quality or {},
        sources=_sources(session, plan_id),
        language=language,
    )


def _sources(session: Session, plan_id: int) -> list[str]:
    """Whose data the communities of a plan are, each once."""
    found = session.scalars(
        select(AdminArea.source)
        .join(PlanCommunity, PlanCommunity.community_id == AdminArea.id)
        .where(PlanCommunity.plan_id == plan_id, AdminArea.source.is_not(None))
        .distinct()
    )
    return sorted(source for source in found if source)


def require_whole(session: Session, plan_id: int, *, actor: Actor) -> None:
    """Go on only if all communities of a plan lie in somebody's areas: a report shows them all.

    Raises
    ------
    NotFound, NotAllowed
    """
    seen_scopes(session, plan_id, actor=actor)
    action = Action.VIEW_MAP if plans.get(session, plan_id).status == "published" else Action.VIEW_DRAFTS
    paths = session.scalars(
        select(AdminArea.path)
        .join(PlanCommunity, PlanCommunity.community_id == AdminArea.id)
        .where(PlanCommunity.plan_id == plan_id)
        .order_by(AdminArea.path)
    )
    for path in paths:
        require(actor, action, path)


def require_drafts(session: Session, plan_id: int, *, actor: Actor) -> None:
    """Go on only if somebody may see drafts in all of a plan's area: how it is decided on is told to no others.

    Raises
    ------
    NotFound, NotAllowed
    """
    seen_scopes(session, plan_id, actor=actor)
    require_on(session, plan_id, action=Action.VIEW_DRAFTS, actor=actor)
