-- Incidents that are open, or ended within the last week. One in no area is seen by those who may see everywhere.
WITH bounds AS MATERIALIZED (
    SELECT
        ST_TileEnvelope(:z, :x, :y) AS tile,
        -- 64 of 4096 units beyond the edge, so that outlines do not end at it
        ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => 0.015625), 4326) AS reach,
        -- two units of the tile in metres of EPSG:3857, a quarter of a pixel on the screen
        2 * 40075016.68 / (4096 * (1::bigint << :z)) AS detail_m
),

shown AS MATERIALIZED (
    SELECT
        incident.id,
        incident.status,
        incident.severity,
        incident.category,
        CASE WHEN :z >= 12 THEN incident.code END AS code,
        ST_AsMVTGeom(ST_Transform(incident.geom, 3857), tile, 4096, 64) AS geom
    FROM incident
    LEFT JOIN admin_area AS area ON incident.area_id = area.id
    CROSS JOIN bounds
    WHERE
        incident.geom && bounds.reach
        AND coalesce(area.path, ''::ltree) <@ ANY(CAST(:scopes AS ltree []))
        AND (incident.closed_at IS NULL OR incident.closed_at > CAST(:at AS timestamptz) - interval '7 days')
    ORDER BY incident.id
)

SELECT ST_AsMVT(shown, 'incidents', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
