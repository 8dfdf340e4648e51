"""Small plans and files of places to test on, made without a database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from gis.geotagging.cells import Cells, cells_of
from gis.responsibility.cell_index import CellIndex

WEST, SOUTH, STEP = 120.0, 31.0, 0.01
SIDE = 4

PERSON = pa.struct([(name, pa.string()) for name in ("post", "post_name_zh", "post_name_en", "name", "phone", "place")])


@dataclass(frozen=True)
class Plan:
    """What tagging takes of a `gis.responsibility.Responsibility`."""

    version: str
    cells: CellIndex
    ground_starts: Any
    ground_leaves: Any
    leaves: pa.Table
    outlines: CellIndex
    communities: pa.Table


def board(side: int = SIDE, *, stacks: tuple[int, ...] = ()) -> Plan:
    """Squares of 0.01 degrees, number 0 in the south-west, row by row; a community without plan lies east of them.

    Parameters
    ----------
    stacks : tuple of int
        Grounds with two cells over one another.
    """
    corners = [(WEST + STEP * (n % side), SOUTH + STEP * (n // side)) for n in range(side * side)]
    squares = np.array([shapely.box(x, y, x + STEP, y + STEP) for x, y in corners], dtype=object)
    rows = [(n, floor) for n in range(side * side) for floor in ((0, 1) if n in stacks else (None,))]
    person = {"post": "officer", "post_name_zh": "网格员", "post_name_en": "grid officer"}
    leaves = pa.table(
        {
            "id": [1000 + 10 * n + (floor or 0) for n, floor in rows],
            "plan_id": [7] * len(rows),
            "micro_grid_code": [f"M{n:02d}" if floor is None else f"M{n:02d}-{floor}" for n, floor in rows],
            "micro_grid_name": [f"第{n}微网格" for n, _ in rows],
            "grid_code": [f"G{n // 2:02d}" for n, _ in rows],
            "grid_name": [f"网格{n // 2}" for n, _ in rows],
            "community_code": ["C1" if n < side * side // 2 else "C2" for n, _ in rows],
            "community_name": ["南社区" if n < side * side // 2 else "北社区" for n, _ in rows],
            "street_code": ["S1"] * len(rows),
            "street_name": ["一号镇街"] * len(rows),
            "path": ["1.S1.C1" if n < side * side // 2 else "1.S1.C2" for n, _ in rows],
            "people": pa.array([[{**person, "name": f"张{n}", "phone": f"138{n:08d}", "place": ""}] for n, _ in rows],
                               pa.list_(PERSON)),
        }
    )  # fmt: skip
    starts = np.searchsorted([n for n, _ in rows], np.arange(side * side + 1))
    outlines = np.array(
        [*squares, shapely.box(WEST + STEP * side, SOUTH, WEST + STEP * (side + 5), SOUTH + STEP * side)], dtype=object
    )
    paths = ["1.S1.C1" if n < side * side // 2 else "1.S1.C2" for n in range(side * side)]
    return Plan(
        version="v1", cells=CellIndex.build(squares), ground_starts=starts,
        ground_leaves=np.arange(len(rows)), leaves=leaves, outlines=CellIndex.build(outlines),
        communities=pa.table({"path": [*paths, "1.S1.C3"]}),
    )  # fmt: skip


@cache
def cells(language: str = "en", *, stacks: tuple[int, ...] = (), **more: Any) -> Cells:
    """The words of `board`."""
    return cells_of(board(stacks=stacks), language=language, **more)


def middle(n: int, side: int = SIDE) -> tuple[float, float]:
    """The middle of a square, to 3 decimals."""
    return round(WEST + STEP * (n % side) + STEP / 2, 3), round(SOUTH + STEP * (n // side) + STEP / 2, 3)
