-- Administrative areas: counties and streets from afar, communities from zoom 10 on.
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
        area.id,
        area.code,
        area.level,
        CASE WHEN :z >= 9 THEN area.name END AS name,
        CASE WHEN :z >= 9 THEN area.name_en END AS name_en,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(area.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM admin_area AS area
    CROSS JOIN bounds
    WHERE
        area.geom && bounds.reach
        AND area.path <@ ANY(CAST(:scopes AS ltree []))
        AND (area.level <> 'community' OR :z >= 10)
    ORDER BY area.id
)

SELECT ST_AsMVT(shown, 'areas', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
