"""What PostGIS knows of the cells in force and of who answers for them, as tables; whole, or for some cells only.

The same functions read everything for the index and a handful of cells for an answer without it, so that both say the
same. What is told of a cell, an area or a person is put into JSON here, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis.in_force import InForce
from gis.listing.people import mask_phone
from gis.listing.window import Row, fetch
from gis.responsibility.cell_index import CellIndex

TOLD = ("id", "code", "name", "depth", "households", "floor_from", "floor_to")
"""What is told of a cell."""
AREA_TOLD = ("id", "level", "code", "name", "name_en")
NO_FLOOR = -(2**31)
CELLS = "cells.arrow"

_CELLS = pa.schema(
    [
        ("id", pa.int64()),
        ("parent", pa.int32()),  # row of the cell above, -1 at the top
        ("parent_id", pa.int64()),
        ("plan_id", pa.int64()),
        ("community_id", pa.int64()),
        ("kind", pa.string()),
        ("is_leaf", pa.bool_()),
        ("floor_from", pa.int32()),
        ("floor_to", pa.int32()),
        ("code", pa.string()),
        ("name", pa.string()),
        ("told", pa.large_binary()),
    ]
)
_HOLDERS = pa.schema(
    [
        ("post", pa.string()),
        ("post_name_zh", pa.string()),
        ("post_name_en", pa.string()),
        ("name", pa.string()),
        ("phone", pa.string()),
        ("place", pa.string()),
    ]
)
PEOPLE = pa.list_(pa.struct(list(_HOLDERS)))
"""Type of the column ``people``: the nearest place first."""


@dataclass(frozen=True, slots=True)
class People:
    """Who answers: for each cell, and for each community with the areas above it.

    Attributes
    ----------
    cells : Table
        A row a cell, in the order of the cells: ``plain`` and ``phones``, JSON of its own people without brackets,
        phones masked or not; ``begin`` and ``end`` of its people in ``holders``.
    communities : Table
        A row a community: id, code, name, path, ``levels`` (mapping of level to code and name, as JSON), ``told``
        (JSON of the members ``community`` and ``area``), and as above for the areas from the community up.
    holders : Table
        Everybody once a place held.
    """

    cells: pa.Table
    communities: pa.Table
    holders: pa.Table


def cells_in_force(session: Session, *, at: datetime) -> pa.Table:
    """All cells in force at an instant, by id."""
    return cells_table(fetch(session, _CELLS_IN_FORCE, {"at": at}))


def cells_by_id(session: Session, ids: Iterable[int]) -> pa.Table:
    """Some cells and those above them, by id."""
    return cells_table(fetch(session, _CELLS_BY_ID, {"ids": sorted(ids)}))


def grounds_in_force(session: Session, cells: pa.Table) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
    """The distinct outlines of the lowest cells, in the order of their lowest ids, and the ground of each such cell.

    Returns
    -------
    grounds : array of MultiPolygon, shape (grounds,)
        Degrees.
    ground_of : array of int32, shape (leaves,)
        By the lowest cells in the order of ``cells``.
    """
    ids = cells["id"].to_numpy()[cells["is_leaf"].to_numpy(zero_copy_only=False)]
    numbers: dict[bytes, int] = {}
    ground_of = np.empty(len(ids), dtype=np.int32)
    shapes = text("SELECT id, ST_AsBinary(geom) AS wkb FROM grid WHERE id = ANY(:ids) ORDER BY id")
    for begin in range(0, len(ids), 20_000):
        part = ids[begin : begin + 20_000].tolist()
        for n, row in enumerate(session.execute(shapes, {"ids": part}), start=begin):
            ground_of[n] = numbers.setdefault(bytes(row.wkb), len(numbers))
    return np.asarray(shapely.from_wkb(list(numbers)), dtype=object), ground_of


def leaves_of_grounds(ground_of: NDArray[np.int32], grounds: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where the leaves of each ground begin, and the leaves."""
    order = np.argsort(ground_of, kind="stable").astype(np.int32)
    return np.searchsorted(ground_of[order], np.arange(grounds + 1)).astype(np.int64), order


def nobody(cells: pa.Table, chains: Sequence[Sequence[Row]]) -> People:
    """Communities, each with the areas above it, in which nobody holds a post."""
    return _people(cells, chains, {}, {})


def people(session: Session, cells: pa.Table, communities: Sequence[int] | None, *, at: datetime) -> People:
    """Who answers at an instant for some cells and communities; ``None`` stands for all communities with an outline."""
    chains = _chains(session, communities)
    areas = sorted({row["id"] for chain in chains.values() for row in chain})
    held = fetch(session, _HELD, {"ids": cells["id"].to_pylist(), "areas": areas, "at": at})
    by_cell: dict[int, list[Row]] = {}
    by_area: dict[int, list[Row]] = {}
    for row in held:
        if row["grid_id"] is not None:
            by_cell.setdefault(row["grid_id"], []).append(row)
        else:
            by_area.setdefault(row["area_id"], []).append(row)
    return _people(cells, list(chains.values()), by_cell, by_area)


def _people(
    cells: pa.Table,
    chains: Sequence[Sequence[Row]],
    by_cell: Mapping[int, Sequence[Row]],
    by_area: Mapping[int, Sequence[Row]],
) -> People:
    holders: list[Row] = []
    of_cells = _places([by_cell.get(cell, ()) for cell in cells["id"].to_pylist()], holders)
    up = [[one for area in reversed(chain) for one in by_area.get(area["id"], ())] for chain in chains]
    of_communities = _places(up, holders)
    described = [_described(chain) for chain in chains]
    communities = pa.table({name: pa.array([row[name] for row in described], kind) for name, kind in _COMMUNITY})
    for name in of_communities.column_names:
        communities = communities.append_column(name, of_communities[name])
    listed = pa.Table.from_pylist([{name: row[name] for name in _HOLDERS.names} for row in holders], schema=_HOLDERS)
    return People(of_cells, communities, listed)


def outlines(session: Session, communities: pa.Table) -> NDArray[np.object_]:
    """Outlines of communities in the order of their rows; ``None`` where there is none. Degrees."""
    rows = session.execute(
        text("SELECT id, ST_AsBinary(geom) AS wkb FROM admin_area WHERE id = ANY(:ids) AND geom IS NOT NULL"),
        {"ids": communities["id"].to_pylist()},
    )
    found = {row.id: bytes(row.wkb) for row in rows}
    return np.asarray(shapely.from_wkb([found.get(one) for one in communities["id"].to_pylist()]), dtype=object)


def write_cells(session: Session, folder: Path, found: InForce) -> None:
    """Make what depends on the plans in force alone: the cells, their grounds, and the index."""
    cells = cells_in_force(session, at=found.at)
    grounds, ground_of = grounds_in_force(session, cells)
    starts, leaves = leaves_of_grounds(ground_of, len(grounds))
    write_table(cells, folder / CELLS)
    np.save(folder / "ground_starts.npy", starts)
    np.save(folder / "ground_leaves.npy", leaves)
    _write_index(grounds, folder / "index")


def write_people(session: Session, folder: Path, found: InForce, *, cells_folder: Path) -> None:
    """Make what changes with people and areas: who answers for the cells of a folder that `write_cells` filled, and the
    communities' outlines."""
    made = people(session, read_table(cells_folder / CELLS), None, at=found.at)
    write_table(made.cells, folder / "people.arrow")
    write_table(made.communities, folder / "communities.arrow")
    write_table(made.holders, folder / "holders.arrow")
    _write_index(outlines(session, made.communities), folder / "outlines")


def _write_index(grounds: NDArray[np.object_], folder: Path) -> None:
    folder.mkdir()
    CellIndex.build(grounds).save(folder)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table so that it can be mapped into memory, in one piece."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=max(len(table), 1))


def read_table(path: Path) -> pa.Table:
    """Map a table that `write_table` wrote."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def cells_table(rows: Sequence[Row]) -> pa.Table:
    """Rows of cells, sorted by id, as a table; what is told of each is put into JSON."""
    row_of = {row["id"]: n for n, row in enumerate(rows)}
    return pa.table(
        {
            "id": [row["id"] for row in rows],
            "parent": [row_of.get(row["parent_id"], -1) for row in rows],
            "parent_id": [row["parent_id"] or 0 for row in rows],
            "plan_id": [row["plan_id"] for row in rows],
            "community_id": [row["community_id"] for row in rows],
            "kind": [row["kind"] for row in rows],
            "is_leaf": [row["is_leaf"] for row in rows],
            "floor_from": [NO_FLOOR if row["floor_from"] is None else row["floor_from"] for row in rows],
            "floor_to": [NO_FLOOR if row["floor_to"] is None else row["floor_to"] for row in rows],
            "code": [row["code"] for row in rows],
            "name": [row["name"] for row in rows],
            "told": [orjson.dumps({key: row[key] for key in TOLD}) for row in rows],
        },
        schema=_CELLS,
    )


_COMMUNITY = (
    ("id", pa.int64()),
    ("code", pa.string()),
    ("name", pa.string()),
    ("path", pa.string()),
    ("levels", pa.string()),
    ("told", pa.large_binary()),
)


def _described(chain: Sequence[Row]) -> Row:
    own = chain[-1]
    community = {key: own[key] for key in ("id", "code", "name")}
    area = [{key: row[key] for key in AREA_TOLD} for row in chain]
    return {
        "id": own["id"],
        "code": own["code"],
        "name": own["name"],
        "path": own["path"],
        "levels": orjson.dumps({row["level"]: [row["code"], row["name"]] for row in chain}).decode(),
        "told": b'"community":' + orjson.dumps(community) + b',"area":' + orjson.dumps(area),
    }


def _chains(session: Session, communities: Sequence[int] | None) -> dict[int, list[Row]]:
    """Each community with the areas above it, the highest first."""
    chains: dict[int, list[Row]] = {}
    for row in fetch(session, _CHAINS, {"ids": None if communities is None else sorted(communities)}):
        chains.setdefault(row["community_id"], []).append(row)
    return chains


def _places(held: Sequence[Sequence[Row]], holders: list[Row]) -> pa.Table:
    plain: list[bytes] = []
    phones: list[bytes] = []
    ends: list[int] = []
    begin = len(holders)
    for rows in held:
        plain.append(b",".join(orjson.dumps(_person(row, mask_phone(row["phone"]))) for row in rows))
        phones.append(b",".join(orjson.dumps(_person(row, row["phone"])) for row in rows))
        holders.extend(rows)
        ends.append(len(holders))
    return pa.table(
        {
            "plain": pa.array(plain, pa.large_binary()),
            "phones": pa.array(phones, pa.large_binary()),
            "begin": pa.array([begin, *ends[:-1]] if ends else [], pa.int32()),
            "end": pa.array(ends, pa.int32()),
        }
    )


def _person(row: Mapping[str, Any], phone: str | None) -> Row:
    """As `gis.listing.people.person` tells it."""
    return {
        "post": row["post"],
        "post_name_zh": row["post_name_zh"],
        "post_name_en": row["post_name_en"],
        "staff_id": row["staff_id"],
        "name": row["name"],
        "phone": phone,
        "tier": row["tier"],
        "tier_name_zh": row["tier_name_zh"],
        "tier_name_en": row["tier_name_en"],
        "place": row["place"],
        "place_name": row["place_name"],
    }


_CELL_COLUMNS = """
    cell.id, cell.parent_id, cell.plan_id, cell.community_id, cell.code, cell.name, cell.grid_depth AS depth,
    cell.households, cell.floor_from, cell.floor_to, tier.kind, cell.grid_depth = plan.grid_depths AS is_leaf
"""

_CELLS_IN_FORCE = f"""
SELECT {_CELL_COLUMNS}
FROM plan_community AS link
INNER JOIN plan ON link.plan_id = plan.id
INNER JOIN grid AS cell ON link.plan_id = cell.plan_id AND link.community_id = cell.community_id
INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
WHERE link.in_force_during @> CAST(:at AS timestamptz)
ORDER BY cell.id
"""

_CELLS_BY_ID = f"""
WITH RECURSIVE up AS (
    SELECT id, parent_id FROM grid WHERE id = ANY(CAST(:ids AS bigint []))
    UNION
    SELECT grid.id, grid.parent_id FROM up INNER JOIN grid ON up.parent_id = grid.id
)

SELECT {_CELL_COLUMNS}
FROM up
INNER JOIN grid AS cell ON up.id = cell.id
INNER JOIN plan ON cell.plan_id = plan.id
INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
ORDER BY cell.id
"""

_CHAINS = """
SELECT area.id AS community_id, up.id, up.level, up.code, up.name, up.name_en, area.path::text AS path
FROM admin_area AS area
INNER JOIN admin_area AS up ON up.path @> area.path
WHERE area.level = 'community' AND (CAST(:ids AS bigint []) IS NULL OR area.id = ANY(CAST(:ids AS bigint [])))
ORDER BY area.id, nlevel(up.path)
"""

# In the order of `gis.staff.responsible_many` within a place.
_HELD = """
SELECT
    held.grid_id, held.area_id, post.code AS post, post.name_zh AS post_name_zh, post.name_en AS post_name_en,
    person.id AS staff_id, person.name, person.phone, tier.ordinal AS tier, tier.name_zh AS tier_name_zh,
    tier.name_en AS tier_name_en, coalesce(cell.code, area.code) AS place,
    CASE WHEN held.grid_id IS NULL THEN area.name ELSE cell.name END AS place_name
FROM assignment AS held
INNER JOIN post ON held.post_id = post.id
INNER JOIN tier ON post.tier_id = tier.id
INNER JOIN staff AS person ON held.staff_id = person.id
LEFT JOIN grid AS cell ON held.grid_id = cell.id
LEFT JOIN admin_area AS area ON held.area_id = area.id
WHERE
    (held.grid_id = ANY(CAST(:ids AS bigint [])) OR held.area_id = ANY(CAST(:areas AS bigint [])))
    AND held.valid_during @> CAST(:at AS timestamptz)
ORDER BY post.id, person.name, person.id
"""
