"""Ground to make tiles of, without a database."""

from __future__ import annotations

from functools import cache
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely

from scripts.bench_coverage import coverage
from tiles.cells import CellTable
from tiles.layers import LAYERS
from tiles.rows import GENERALISED

GRIDS_OF_A_COMMUNITY = 10


def table(name: str, grounds: Any, communities: Any, *, first_id: int = 1, depth: int = 1, **columns: Any) -> CellTable:
    """A table of cells; columns that are not given hold something of their kind."""
    order = np.argsort(communities, kind="stable")
    count = len(order)
    ids = np.arange(first_id, first_id + count)
    plain: dict[str, Any] = {
        "depth": [depth] * count,
        "households": [int(number) * 37 % 500 for number in ids],
        "state": [("in_band", "under", "over")[number % 3] for number in ids],
        "color_index": [int(number) % 8 for number in ids],
        "code": [f"2106810010{number:05d}" for number in ids],
        "name": [f"网格{number}" if number % 2 else None for number in ids],
        "is_dedicated": [True if number % 7 == 0 else None for number in ids],
    }
    columns = {column: plain.get(column, [None] * count) for column in LAYERS[name].fields} | columns
    assert GENERALISED in columns
    return CellTable(
        ids=ids,
        communities=np.asarray(communities, dtype=np.int64)[order],
        depths=np.full(count, depth, dtype=np.int64),
        columns=columns,
        grounds=np.asarray(grounds, dtype=object)[order],
    )


@cache
def rough_town(grids: int = 60) -> dict[str, CellTable]:
    """Grids and micro-grids with rough shared borders, ten grids a community; ids of communities from 1."""
    made = coverage(grids, seed=4)
    of_grids = np.arange(len(made.grids)) // GRIDS_OF_A_COMMUNITY + 1
    of_micro = made.grid_of // GRIDS_OF_A_COMMUNITY + 1
    return {
        "grids": table("grids", made.grids, of_grids),
        "micro_grids": table("micro_grids", made.micro_grids, of_micro, first_id=1001, depth=2),
    }


def read_only(held: Any) -> Any:
    """Arrays as they are when they are mapped: what is compiled tells these kinds apart."""
    for owner in (held, *held.levels.values()):
        for name in owner.__dataclass_fields__:
            array = getattr(owner, name)
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
    return held


def shapes(content: bytes) -> dict[int, Any]:
    """What a tile of one layer draws, by id, in units of the tile with y to the south."""
    if not content:
        return {}
    (layer,) = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True}).values()
    assert (layer["extent"], layer["version"]) == (4096, 2)
    return {one["id"]: shapely.geometry.shape(one["geometry"]) for one in layer["features"]}


def properties(content: bytes) -> dict[int, dict[str, Any]]:
    """What a tile of one layer says, by id."""
    if not content:
        return {}
    (layer,) = mapbox_vector_tile.decode(content).values()
    return {one["id"]: one["properties"] for one in layer["features"]}
