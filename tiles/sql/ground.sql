-- Green, squares, farmland and the like; what would be smaller than a few pixels is left out.
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
        ground.id,
        ground.kind,
        CASE WHEN :z >= 13 THEN ground.name END AS name,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(ground.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM ground
    CROSS JOIN bounds
    WHERE
        ground.geom && bounds.reach
        AND ground.kind <> 'water'
        AND (:z >= 14 OR ST_Area(ST_Transform(ground.geom, 3857)) > 64 * detail_m * detail_m)
    ORDER BY ground.id
)

SELECT ST_AsMVT(shown, 'ground', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
