"""The database's own answer to which cells lie near points: for the past, and where no index is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from gis.listing.window import Row, fetch

GOVERNING = """
governing AS MATERIALIZED (
    SELECT link.plan_id, link.community_id, plan.grid_depths
    FROM plan_community AS link
    INNER JOIN plan ON link.plan_id = plan.id
    INNER JOIN admin_area AS community ON link.community_id = community.id
    WHERE
        link.in_force_during @> CAST(:at AS timestamptz)
        AND community.path <@ ANY(CAST(:scopes AS ltree []))
)
"""
"""The plans in force at ``:at`` in the areas ``:scopes``."""

PLACES = """
place AS MATERIALIZED (
    SELECT n, reach_m, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS geom, lat
    FROM unnest(CAST(:n AS int []), CAST(:lon AS float8 []), CAST(:lat AS float8 []), CAST(:reach_m AS float8 []))
        AS given (n, lon, lat, reach_m)
)
"""

# Degrees, by index, find the few cells that may be near. Only those that do not cover the point are measured: to the
# nearest point of their edge, found with longitudes shortened as they are at this latitude, in metres on the ellipsoid
# (many times faster than the distance of two geographies, and the same to a millimetre within our reach). The fences
# (MATERIALIZED, OFFSET 0) keep the planner from doing anything twice, or in another order.
_CELLS_NEAR = f"""
WITH {GOVERNING}, {PLACES},

nearby AS MATERIALIZED (
    SELECT place.n, place.reach_m, place.geom AS point, greatest(cos(radians(place.lat)), 0.01) AS k, cell.*
    FROM place
    INNER JOIN grid AS cell
        ON ST_DWithin(cell.geom, place.geom, place.reach_m / (110000 * greatest(cos(radians(place.lat)), 0.01)))
),

hit AS (
    SELECT nearby.*, ST_Covers(nearby.geom, nearby.point) AS is_inside
    FROM nearby
    INNER JOIN governing
        ON nearby.plan_id = governing.plan_id
        AND nearby.community_id = governing.community_id
        AND nearby.grid_depth = governing.grid_depths
    OFFSET 0
),

measured AS (
    SELECT
        hit.n, hit.reach_m, hit.id, hit.parent_id, hit.floor_from, hit.floor_to, hit.community_id, hit.is_inside,
        CASE
            WHEN hit.is_inside THEN 0
            ELSE ST_Distance(
                ST_Scale(
                    ST_ClosestPoint(ST_Scale(hit.geom, hit.k, 1), ST_Scale(hit.point, hit.k, 1)), 1 / hit.k, 1
                )::geography,
                hit.point::geography
            )
        END AS distance_m
    FROM hit
    OFFSET 0
)

SELECT n, id, is_inside, distance_m, parent_id, floor_from, floor_to, community_id
FROM measured
WHERE distance_m <= reach_m
ORDER BY n, is_inside DESC, distance_m, id
"""


def cells_near(
    session: Session,
    points: Mapping[int, tuple[float, float]],
    reach_m: Mapping[int, float],
    *,
    at: datetime,
    scopes: Sequence[str],
) -> dict[int, list[Row]]:
    """Cells of the lowest tier in force within reach of points: those that cover it first, then by distance.

    Parameters
    ----------
    points : mapping of int to (float, float)
        Longitude and latitude in WGS-84, by the caller's own numbers.
    reach_m : mapping of int to float
    scopes : sequence of str
        Paths of areas; cells outside are as if they were not there.

    Returns
    -------
    dict of int to list of dict
        ``id``, ``is_inside``, ``distance_m``, ``parent_id``, ``floor_from``, ``floor_to``, ``community_id``. Points
        without any cell are missing.
    """
    found: dict[int, list[Row]] = defaultdict(list)
    if points:
        given: dict[str, Any] = {**arrays(points), "reach_m": [reach_m[n] for n in points]}
        for row in fetch(session, _CELLS_NEAR, {"at": at, "scopes": list(scopes), **given}):
            found[row["n"]].append(row)
    for rows in found.values():  # what is equally far but for rounding goes by id
        rows.sort(key=lambda row: (not row["is_inside"], int(row["distance_m"] * 1000.0 + 0.5), row["id"]))
    return found


def arrays(points: Mapping[int, tuple[float, float]]) -> dict[str, Any]:
    """Points as the parameters ``n``, ``lon`` and ``lat`` of `PLACES`."""
    return {
        "n": list(points),
        "lon": [lon for lon, _ in points.values()],
        "lat": [lat for _, lat in points.values()],
    }
