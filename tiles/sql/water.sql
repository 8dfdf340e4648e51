-- Water as ground, and rivers that are known as lines only. Ids of the two tables are kept apart: even and odd.
WITH bounds AS MATERIALIZED (
    SELECT
        ST_TileEnvelope(:z, :x, :y) AS tile,
        -- 64 of 4096 units beyond the edge, so that outlines do not end at it
        ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => 0.015625), 4326) AS reach,
        -- two units of the tile in metres of EPSG:3857, a quarter of a pixel on the screen
        2 * 40075016.68 / (4096 * (1::bigint << :z)) AS detail_m
),

wet AS (
    SELECT 2 * ground.id AS id, ground.kind, ground.name, ground.geom
    FROM ground
    CROSS JOIN bounds
    WHERE ground.geom && bounds.reach AND ground.kind = 'water'
    UNION ALL
    SELECT 2 * barrier.id + 1 AS id, barrier.kind, barrier.name, barrier.geom
    FROM barrier
    CROSS JOIN bounds
    WHERE barrier.geom && bounds.reach AND barrier.kind = 'river'
),

shown AS MATERIALIZED (
    SELECT
        wet.id,
        wet.kind,
        CASE WHEN :z >= 12 THEN wet.name END AS name,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(wet.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM wet
    CROSS JOIN bounds
    ORDER BY wet.id
)

SELECT ST_AsMVT(shown, 'water', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
