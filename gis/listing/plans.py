"""Lists of plans and rule sets, and what was found wrong with a plan."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from gis.errors import NotFound
from gis.listing.window import Filters, Listed, Row, Window, fetch, fetch_page

TIERS = """
    (
        SELECT json_agg(
            json_build_object(
                'ordinal', tier.ordinal, 'kind', tier.kind, 'depth', tier.grid_depth,
                'name_zh', tier.name_zh, 'name_en', tier.name_en, 'cell_of', tier.cell_of,
                'households_min', tier.households_min, 'households_max', tier.households_max,
                'households_target', tier.households_target, 'tolerance_ratio', tier.tolerance_ratio
            ) ORDER BY tier.ordinal
        )
        FROM tier
        WHERE tier.rule_set_id = rules.id
    )
"""

_COLUMNS = f"""
    plan.id, plan.title, state.state, plan.document_no, plan.revision, plan.based_on_id, plan.recipe,
    plan.created_at, plan.created_by, plan.effective_from, plan.published_at, plan.published_by,
    json_build_object('id', area.id, 'code', area.code, 'name', area.name, 'name_en', area.name_en) AS area,
    json_build_object(
        'id', rules.id, 'code', rules.code, 'name', rules.name_zh, 'name_zh', rules.name_zh,
        'name_en', rules.name_en, 'is_verified', rules.is_verified, 'tiers', {TIERS}
    ) AS rule_set,
    covered.communities, covered.bbox,
    (
        SELECT json_build_object(
            'state', run.state, 'done', run.done, 'total', run.total, 'message', run.message,
            'error_code', run.error_code, 'error_params', run.error_params
        )
        FROM plan_run AS run
        WHERE run.plan_id = plan.id
        ORDER BY run.id DESC
        LIMIT 1
    ) AS run,
    (SELECT count(*) FROM grid AS cell WHERE cell.plan_id = plan.id) AS cells
"""

# Only the communities in the caller's areas are told; a plan without any of them does not exist for the caller.
_SOURCE = """
    plan
    INNER JOIN plan_state AS state ON state.plan_id = plan.id
    INNER JOIN admin_area AS area ON plan.area_id = area.id
    INNER JOIN rule_set AS rules ON plan.rule_set_id = rules.id
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS n,
            json_agg(
                json_build_object(
                    'id', community.id, 'code', community.code, 'name', community.name,
                    'from', lower(link.in_force_during), 'to', upper(link.in_force_during)
                ) ORDER BY community.code
            ) AS communities,
            json_build_array(
                min(ST_XMin(community.geom)), min(ST_YMin(community.geom)),
                max(ST_XMax(community.geom)), max(ST_YMax(community.geom))
            ) AS bbox
        FROM plan_community AS link
        INNER JOIN admin_area AS community ON link.community_id = community.id
        WHERE
            link.plan_id = plan.id
            AND community.path <@ ANY(
                CASE
                    WHEN plan.status = 'published' THEN CAST(:scopes AS ltree [])
                    ELSE CAST(:draft_scopes AS ltree [])
                END
            )
    ) AS covered
"""


def plans(
    session: Session,
    window: Window,
    *,
    scopes: Sequence[str],
    draft_scopes: Sequence[str],
    state: str | None = None,
    area_id: int | None = None,
    community_id: int | None = None,
) -> Listed:
    """Plans, the newest first; those that are not published only where the caller may see drafts."""
    filters = _seen(scopes, draft_scopes)
    filters.add_given("state.state = :state", state=state)
    filters.add_given(
        "area.path <@ (SELECT above.path FROM admin_area AS above WHERE above.id = :area_id)", area_id=area_id
    )
    filters.add_given(
        "EXISTS (SELECT 1 FROM plan_community AS pc WHERE pc.plan_id = plan.id AND pc.community_id = :community_id)",
        community_id=community_id,
    )
    return fetch_page(
        session,
        window,
        source=_SOURCE,
        columns=_COLUMNS,
        filters=filters,
        key="plan.id",
        order=("plan.id",),
        descending=True,
    )


def plan(session: Session, plan_id: int, *, scopes: Sequence[str], draft_scopes: Sequence[str]) -> Row:
    """One plan.

    Raises
    ------
    NotFound
        ``plan.unknown``, also if the caller may not see it.
    """
    filters = _seen(scopes, draft_scopes)
    filters.add("plan.id = :plan_id", plan_id=plan_id)
    rows = fetch(session, f"SELECT {_COLUMNS} FROM {_SOURCE} {filters.sql()}", filters.params)
    if not rows:
        raise NotFound("plan.unknown", plan=plan_id)
    return rows[0]


def _seen(scopes: Sequence[str], draft_scopes: Sequence[str]) -> Filters:
    filters = Filters()
    filters.add("covered.n > 0", scopes=list(scopes), draft_scopes=list(draft_scopes))
    return filters


def rule_sets(session: Session, *, scopes: Sequence[str]) -> list[Row]:
    """Rule sets of areas in the scopes or above them, the newest first, with their tiers."""
    return fetch(
        session,
        f"""
        SELECT
            rules.id, rules.code, rules.name_zh AS name, rules.name_zh, rules.name_en, rules.source,
            rules.is_verified, rules.keep_buildings_whole, rules.grid_depths,
            lower(rules.valid_during) AS valid_from, upper(rules.valid_during) AS valid_to,
            json_build_object('id', area.id, 'code', area.code, 'name', area.name) AS area,
            {TIERS} AS tiers
        FROM rule_set AS rules
        INNER JOIN admin_area AS area ON rules.area_id = area.id
        WHERE
            area.path <@ ANY(CAST(:scopes AS ltree []))
            OR area.path @> ANY(CAST(:scopes AS ltree []))
        ORDER BY lower(rules.valid_during) DESC, rules.id
        """,
        {"scopes": list(scopes)},
    )


def findings(session: Session, plan_id: int, *, limit: int = 2000) -> list[Row]:
    """What the partitioner noticed, with the cell or building or community that each is about."""
    return fetch(
        session,
        """
        SELECT
            finding.id, finding.code, finding.severity, finding.layer, finding.key, finding.params,
            cell.id AS cell_id, cell.code AS cell_code, cell.grid_depth AS depth, building.id AS building_id,
            CASE WHEN ground.geom IS NOT NULL THEN json_build_array(
                ST_XMin(ground.geom), ST_YMin(ground.geom), ST_XMax(ground.geom), ST_YMax(ground.geom)
            ) END AS bbox
        FROM plan_finding AS finding
        LEFT JOIN grid AS cell ON cell.plan_id = finding.plan_id AND cell.code = finding.key
        LEFT JOIN building ON cell.id IS NULL AND building.code = finding.key
        LEFT JOIN admin_area AS area ON cell.id IS NULL AND building.id IS NULL AND area.code = finding.key
        CROSS JOIN LATERAL (SELECT coalesce(cell.geom, building.geom, area.geom) AS geom) AS ground
        WHERE finding.plan_id = :plan_id
        ORDER BY finding.id
        LIMIT :limit
        """,
        {"plan_id": plan_id, "limit": limit},
    )
