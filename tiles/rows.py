"""The cells of the plans in force, read from the database as `tiles.cells` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from tiles.cells import CellTable
from tiles.layers import LAYERS

GENERALISED = "generalised"
KINDS = {"grid": "grids", "micro_grid": "micro_grids"}
"""Kind of a tier → the layer that shows its cells."""

# The properties are those of the layers' own queries (`tiles/sql/grids.sql`).
_CELLS = text(
    """
    SELECT
        cell.id,
        cell.community_id,
        cell.grid_depth AS depth,
        cell.households,
        cell.band_state AS state,
        cell.color_index,
        cell.code,
        cell.name,
        cell.parent_id,
        cell.floor_from,
        cell.floor_to,
        CASE WHEN cell.is_dedicated THEN true END AS is_dedicated,
        ST_AsBinary(cell.geom) AS ground
    FROM unnest(CAST(:communities AS bigint []), CAST(:plans AS bigint [])) AS link (community_id, plan_id)
    INNER JOIN grid AS cell ON link.plan_id = cell.plan_id AND link.community_id = cell.community_id
    INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
    WHERE tier.kind = :kind
    ORDER BY cell.community_id, cell.grid_depth, cell.id
    """
)

_PATHS = text("SELECT id, path::text AS path FROM admin_area WHERE id = ANY(:ids)")


def read(session: Session, links: Sequence[tuple[int, int]]) -> dict[str, CellTable]:
    """The cells that govern some communities, a table a layer.

    Parameters
    ----------
    links : sequence of (int, int)
        Community and the plan that governs it (`gis.in_force.InForce.links`).
    """
    communities, plans = [list(column) for column in zip(*links, strict=True)] if links else ([], [])
    given = {"communities": communities, "plans": plans}
    return {
        layer: _table(layer, [list(row) for row in session.execute(_CELLS, given | {"kind": kind})])
        for kind, layer in KINDS.items()
    }


def _table(layer: str, rows: list[list[Any]]) -> CellTable:
    names = [name for name in LAYERS[layer].fields if name != GENERALISED]
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 3)
    ids, communities, *fields, grounds = columns
    return CellTable(
        ids=np.array(ids, dtype=np.int64),
        communities=np.array(communities, dtype=np.int64),
        depths=np.array(fields[0], dtype=np.int64),
        columns=dict(zip(names, fields, strict=True)) | {GENERALISED: [None] * len(ids)},
        grounds=np.asarray(shapely.from_wkb(np.array([bytes(ground) for ground in grounds], dtype=object)), object),
    )


def paths(session: Session, communities: Sequence[int]) -> dict[int, str]:
    """Where in the tree of areas communities stand; one that is gone is missing."""
    rows = session.execute(_PATHS, {"ids": list(communities)})
    return {row.id: row.path for row in rows}


def communities_of(table: CellTable) -> CellTable:
    """The communities of a table of cells, each the union of its cells of the top tier, with their households."""
    top = table.depths == table.depths.min()
    ids, of = np.unique(table.communities[top], return_inverse=True)
    order = np.argsort(of, kind="stable")
    begins = np.searchsorted(of[order], np.arange(len(ids) + 1))
    ground = table.grounds[top][order]
    households = np.array(table.columns["households"], dtype=np.int64)[top]
    empty: dict[str, list[Any]] = {name: [None] * len(ids) for name in table.columns}
    return CellTable(
        ids=ids,
        communities=ids,
        depths=np.zeros(len(ids), dtype=np.int64),
        columns=empty
        | {"depth": [0] * len(ids), "households": np.bincount(of, households).astype(int).tolist()}
        | {"color_index": (ids % 8).tolist()},
        grounds=np.array([_union(ground[a:b]) for a, b in pairwise(begins.tolist())], dtype=object),
    )


def _union(grounds: NDArray[np.object_]) -> shapely.Geometry:
    """One ground; of cells without gap and overlap, as they should be, in a tenth of the time."""
    return shapely.coverage_union_all(grounds) if shapely.coverage_is_valid(grounds) else shapely.union_all(grounds)


def standing_in(table: CellTable, name: str) -> CellTable:
    """The same cells, marked as drawn instead of smaller ones."""
    return replace(table, columns={**table.columns, GENERALISED: [name] * len(table.ids)})
