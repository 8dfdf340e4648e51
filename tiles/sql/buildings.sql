-- Footprints with counts, no people. From afar only the larger ones; names and codes from near.
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
        building.id,
        building.households,
        building.floors,
        building.use,
        CASE WHEN :z >= 15 THEN building.code END AS code,
        CASE WHEN :z >= 15 THEN building.name END AS name,
        -- drawn once: in the tile that holds the middle
        CASE
            WHEN :z >= 15 AND ST_Covers(tile, ST_Transform(ST_PointOnSurface(building.geom), 3857))
                THEN coalesce(building.name, nullif(building.households, 0)::text)
        END AS label,
        CASE WHEN :z >= 15 AND building.households_estimated THEN true END AS estimated,
        ST_AsMVTGeom(ST_Transform(building.geom, 3857), tile, 4096, 64) AS geom
    FROM building
    INNER JOIN admin_area AS area ON building.area_id = area.id
    CROSS JOIN bounds
    WHERE
        building.geom && bounds.reach
        AND area.path <@ ANY(CAST(:scopes AS ltree []))
        AND (:z >= 14 OR ST_Area(ST_Transform(building.geom, 3857)) > 16 * detail_m * detail_m)
    ORDER BY building.id
)

SELECT ST_AsMVT(shown, 'buildings', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
