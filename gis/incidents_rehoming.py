"""Open incidents follow the plan in force: an event ``rehome`` each, written in bulk.

Apart from `gis.incidents`, because publication needs it and incidents need plans.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.permissions import Actor

# The lowest cells that cover a place; of a border's two sides the lowest id. A cell's tier is the lowest if its depth
# is the plan's.
CELLS_AT = """
    SELECT g.id FROM grid g
    JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth
    JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
    WHERE ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
      AND pc.in_force_during @> CAST(:at AS timestamptz)
    ORDER BY g.id
"""


def rehome(session: Session, plan_id: int | None, *, actor: Actor, now: datetime) -> int:
    """Put the open incidents whose cell is not the one in force into it, with an event each.

    Parameters
    ----------
    plan_id : int or None
        Only incidents in this plan's communities; ``None`` looks everywhere.

    Returns
    -------
    int
        Incidents that have another cell now.
    """
    session.flush()
    result = session.execute(_REHOME, {"plan": plan_id, "at": now, "actor": actor.name, "actor_id": actor.user_id})
    moved = result.scalars().all()
    if moved:
        session.expire_all()
    return len(moved)


_REHOME = text(
    """
    WITH moved AS (
        SELECT i.id, i.grid_id AS old_id, i.status, i.last_seq + 1 AS seq, coalesce((
            SELECT g.id FROM grid g
            JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth
            JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
            WHERE ST_Covers(g.geom, i.geom) AND pc.in_force_during @> CAST(:at AS timestamptz)
            ORDER BY g.id LIMIT 1), (
            -- just outside: the nearest of the community that took it up answers for it
            SELECT g.id FROM grid g
            JOIN plan p ON p.id = g.plan_id AND p.grid_depths = g.grid_depth
            JOIN plan_community pc ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
            WHERE 'nearest' = ANY(i.flags) AND g.community_id = i.area_id
              AND pc.in_force_during @> CAST(:at AS timestamptz)
            ORDER BY ST_Distance(g.geom::geography, i.geom::geography), g.id LIMIT 1)) AS new_id
        FROM incident i
        WHERE i.status NOT IN ('rejected', 'closed') AND (CAST(:plan AS bigint) IS NULL
            OR i.area_id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan))
          AND (i.grid_id IS NULL OR NOT EXISTS (
            SELECT FROM grid g JOIN plan_community pc
              ON pc.plan_id = g.plan_id AND pc.community_id = g.community_id
            WHERE g.id = i.grid_id AND pc.in_force_during @> CAST(:at AS timestamptz)))
        FOR UPDATE OF i
    ), events AS (
        INSERT INTO incident_event (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at,
                                    actor_id, actor, details)
        SELECT id, seq, 'rehome', status, status, :at, :at, :actor_id, :actor,
               jsonb_build_object('from_grid_id', old_id, 'to_grid_id', new_id)
        FROM moved WHERE new_id IS DISTINCT FROM old_id
    )
    UPDATE incident i SET grid_id = moved.new_id, last_seq = moved.seq,
        flags = CASE WHEN moved.new_id IS NULL THEN array_append(array_remove(i.flags, 'in_no_grid'), 'in_no_grid')
                     ELSE array_remove(i.flags, 'in_no_grid') END
    FROM moved WHERE moved.id = i.id AND moved.new_id IS DISTINCT FROM moved.old_id
    RETURNING i.id
    """
)
