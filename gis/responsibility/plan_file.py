"""The same of a plan file: where nobody has a database, or a plan is to be tried before it is published.

A plan file knows no people and no names of areas: communities are told by their codes, and nobody answers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis.division import Division
from gis.exchange import plan_file
from gis.listing.window import Row
from gis.responsibility import build
from gis.responsibility.cell_index import CellIndex
from gis.responsibility.responsibility import Responsibility


def of_plan_file(path: Path) -> Responsibility:
    """Read a plan file; ids are numbers of its cells in the order of their codes, which decides on borders.

    Raises
    ------
    InvalidInput
        ``partition.no_plan_file``.
    """
    division = plan_file.read(path)
    rows, shapes = _cells(division)
    codes = sorted({row["community"] for row in rows})
    for row in rows:
        row["community_id"] = codes.index(row["community"]) + 1
    cells = build.cells_table(rows)
    people = build.nobody(cells, [_community(n, code) for n, code in enumerate(codes, start=1)])
    grounds, ground_of = _grounds(rows, shapes)
    made = Responsibility(
        cells,
        people,
        CellIndex.build(grounds),
        CellIndex.build(_outlines(rows, shapes, codes)),
        build.leaves_of_grounds(ground_of, len(grounds)),
        version=hashlib.sha256(path.read_bytes()).hexdigest()[:24],
    )
    made.warm()
    return made


def _cells(division: Division) -> tuple[list[Row], list[Any]]:
    """All cells with numbers for ids, lowest tier last by depth and each tier by code; and their outlines."""
    tiers = dict(enumerate(division.rules.grid_tiers, start=1))
    rows: list[Row] = []
    shapes: list[Any] = []
    above: dict[str, int] = {}
    for depth, frame in enumerate(division.cells, start=1):
        sorted_frame = frame.assign(code=frame["code"].astype(str)).sort_values("code")
        here: dict[str, int] = {}
        for row in sorted_frame.to_dict("records"):
            number = len(rows) + 1
            here[row["code"]] = number
            shapes.append(row["geometry"])
            rows.append(
                {
                    "id": number,
                    "parent_id": above[str(row["parent"])] if depth > 1 else None,
                    "plan_id": 0,
                    "community": str(row["community"]),
                    "code": row["code"],
                    "name": None,
                    "depth": depth,
                    "households": _whole(row.get("households")),
                    "floor_from": _whole(row.get("floor_from")),
                    "floor_to": _whole(row.get("floor_to")),
                    "kind": tiers[depth].kind,
                    "is_leaf": depth == len(division.cells),
                }
            )
        above = here
    return rows, shapes


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _community(number: int, code: str) -> list[Row]:
    return [{"id": number, "level": "community", "code": code, "name": None, "name_en": None, "path": code}]


def _grounds(rows: list[Row], shapes: list[Any]) -> tuple[NDArray[np.object_], NDArray[np.int32]]:
    leaves = [shape for row, shape in zip(rows, shapes, strict=True) if row["is_leaf"]]
    numbers: dict[bytes, int] = {}
    ground_of = [numbers.setdefault(wkb, len(numbers)) for wkb in shapely.to_wkb(np.asarray(leaves, dtype=object))]
    return np.asarray(shapely.from_wkb(list(numbers)), dtype=object), np.array(ground_of, dtype=np.int32)


def _outlines(rows: list[Row], shapes: list[Any], codes: list[str]) -> NDArray[np.object_]:
    """What the top cells of each community cover together."""
    of: dict[str, list[Any]] = {code: [] for code in codes}
    for row, shape in zip(rows, shapes, strict=True):
        if row["depth"] == 1:
            of[row["community"]].append(shape)
    return np.array([shapely.union_all(parts) for parts in of.values()], dtype=object)
