-- Incidents that are open, or ended within the last week. One in no area is seen by those who may see everywhere.
WITH bounds AS MATERIALIZED (
    SELECT
        ST_TileEnvelope(:z, :x, :y) AS tile,
        -- 64 of 4096 units beyond the edge, so that outlines do not end at it
        ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => 0.015625), 4326) AS reach,
        -- two units of the tile in metres of EPSG:3857, a quarter of a pixel on the screen
        2 * 40075016.68 / (4096 * (1::bigint << :z)) AS detail_m
),

-- Two halves, so that each has its index: the open ones by place, those ended lately by time. Of two years' incidents both
-- are few; left to itself the planner would look through all that ever happened at a place.
lately AS MATERIALIZED (
    SELECT id, status, severity, category, code, area_id, geom
    FROM incident
    WHERE closed_at > CAST(:at AS timestamptz) - interval '7 days'
),

recent AS MATERIALIZED (
    SELECT incident.id, incident.status, incident.severity, incident.category, incident.code, incident.area_id, incident.geom
    FROM incident
    CROSS JOIN bounds
    WHERE incident.closed_at IS NULL AND incident.geom && bounds.reach
    UNION ALL
    SELECT lately.id, lately.status, lately.severity, lately.category, lately.code, lately.area_id, lately.geom
    FROM lately
    CROSS JOIN bounds
    WHERE lately.geom && bounds.reach
),

shown AS MATERIALIZED (
    SELECT
        recent.id,
        recent.status,
        recent.severity,
        recent.category,
        CASE WHEN :z >= 12 THEN recent.code END AS code,
        ST_AsMVTGeom(ST_Transform(recent.geom, 3857), bounds.tile, 4096, 64) AS geom
    FROM recent
    LEFT JOIN admin_area AS area ON recent.area_id = area.id
    CROSS JOIN bounds
    WHERE coalesce(area.path, ''::ltree) <@ ANY(CAST(:scopes AS ltree []))
    ORDER BY recent.id
)

SELECT ST_AsMVT(shown, 'incidents', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
