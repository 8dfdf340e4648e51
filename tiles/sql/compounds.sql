-- Residential compounds (小区).
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
        compound.id,
        compound.is_walled,
        compound.housing_class,
        CASE WHEN :z >= 13 THEN compound.code END AS code,
        CASE WHEN :z >= 13 THEN compound.name END AS name,
        CASE WHEN :z >= 13 THEN compound.name_en END AS name_en,
        -- drawn once: in the tile that holds the middle
        CASE
            WHEN :z >= 13 AND ST_Covers(tile, ST_Transform(ST_PointOnSurface(compound.geom), 3857))
                THEN compound.name
        END AS label,
        ST_AsMVTGeom(ST_Simplify(ST_Transform(compound.geom, 3857), detail_m), tile, 4096, 64) AS geom
    FROM compound
    INNER JOIN admin_area AS area ON compound.area_id = area.id
    CROSS JOIN bounds
    WHERE
        compound.geom && bounds.reach
        AND area.path <@ ANY(CAST(:scopes AS ltree []))
    ORDER BY compound.id
)

SELECT ST_AsMVT(shown, 'compounds', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
