-- Railways, and the walls of compounds from near.
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
        line.id,
        line.kind,
        line.is_bridge,
        CASE WHEN :z >= 13 THEN line.name END AS name,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(line.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM barrier AS line
    CROSS JOIN bounds
    WHERE
        line.geom && bounds.reach
        AND (line.kind = 'rail' OR (line.kind = 'wall' AND :z >= 14))
    ORDER BY line.id
)

SELECT ST_AsMVT(shown, 'rail', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
