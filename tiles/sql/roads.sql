-- Roads by rank: what is drawn grows with the zoom. The base map is the same for everybody who may see the map.
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
        road.id,
        road.kind,
        road.is_bridge,
        CASE WHEN :z >= 13 THEN road.name END AS name,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(road.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM barrier AS road
    CROSS JOIN bounds
    WHERE
        road.geom && bounds.reach
        AND (
            road.kind = 'arterial'
            OR (road.kind = 'secondary' AND :z >= 11)
            OR (road.kind = 'minor' AND :z >= 12)
        )
    ORDER BY road.id
)

SELECT ST_AsMVT(shown, 'roads', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
