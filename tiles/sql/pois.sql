-- Places to find one's way by: schools, gates, stations. Gates from near only, they are many.
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
        poi.id,
        poi.kind,
        poi.name,
        ST_AsMVTGeom(ST_Transform(poi.geom, 3857), tile, 4096, 64) AS geom
    FROM poi
    CROSS JOIN bounds
    WHERE poi.geom && bounds.reach AND (poi.kind <> 'gate' OR :z >= 15)
    ORDER BY poi.id
)

SELECT ST_AsMVT(shown, 'pois', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
