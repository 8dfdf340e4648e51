-- Grids (网格): cells whose tier is of kind grid, at every depth that has one.
-- Those in force at :at, or with :plan_id those of one plan, a draft. A plan covers whole communities, so which plan
-- governs is asked a community at a time, before any geometry.
WITH bounds AS MATERIALIZED (
    SELECT
        ST_TileEnvelope(:z, :x, :y) AS tile,
        -- 64 of 4096 units beyond the edge, so that outlines do not end at it
        ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => 0.015625), 4326) AS reach,
        -- two units of the tile in metres of EPSG:3857, a quarter of a pixel on the screen
        2 * 40075016.68 / (4096 * (1::bigint << :z)) AS detail_m
),

governing AS MATERIALIZED (
    SELECT link.plan_id, link.community_id
    FROM plan_community AS link
    INNER JOIN admin_area AS community ON link.community_id = community.id
    WHERE
        community.path <@ ANY(CAST(:scopes AS ltree []))
        AND CASE
            WHEN CAST(:plan_id AS bigint) IS NULL THEN link.in_force_during @> CAST(:at AS timestamptz)
            ELSE link.plan_id = CAST(:plan_id AS bigint)
        END
),

shown AS MATERIALIZED (
    SELECT
        cell.id,
        cell.grid_depth AS depth,
        cell.households,
        cell.band_state AS state,
        cell.color_index,
        CASE WHEN :z >= 11 THEN cell.code END AS code,
        CASE WHEN :z >= 11 THEN cell.name END AS name,
        CASE WHEN :z >= 13 THEN cell.parent_id END AS parent_id,
        CASE WHEN :z >= 13 THEN cell.floor_from END AS floor_from,
        CASE WHEN :z >= 13 THEN cell.floor_to END AS floor_to,
        CASE WHEN cell.is_dedicated THEN true END AS is_dedicated,
        -- A quarter of a pixel moves no border visibly; from zoom 15 on borders are exact.
        ST_AsMVTGeom(
            CASE
                WHEN :z >= 15 THEN ST_Transform(cell.geom, 3857)
                ELSE ST_Simplify(ST_Transform(cell.geom, 3857), detail_m, true)
            END,
            tile, 4096, 64
        ) AS geom
    FROM grid AS cell
    INNER JOIN governing ON cell.plan_id = governing.plan_id AND cell.community_id = governing.community_id
    INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
    CROSS JOIN bounds
    WHERE cell.geom && bounds.reach AND tier.kind = 'grid'
    ORDER BY cell.grid_depth, cell.id
)

SELECT ST_AsMVT(shown, 'grids', 4096, 'geom', 'id')
FROM shown
WHERE geom IS NOT NULL
