"""Cells: numbered in reading order, dissolved to polygons, with the parts of buildings that lie in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gis.geometry import FloatArray, Geometries, IntArray, dissolve
from gis.partition.site import Cell, Site
from gis.partition.units import shares
from gis.rule_set import Tier


@dataclass(frozen=True)
class Group:
    """Atoms that become one cell, or a stack of cells."""

    atoms: IntArray
    bands: tuple[tuple[int, int], ...] = ()


def numbered(site: Site, parent: Cell, groups: list[Group], tier: Tier, *, top: bool) -> list[Cell]:
    """Give codes in reading order: rows from the north, each from the west; stacks from the ground up."""
    middle = np.array(
        [np.average(site.ground.middle_m[g.atoms], axis=0, weights=site.ground.area_m2[g.atoms]) for g in groups]
    )
    count = sum(max(len(group.bands), 1) for group in groups)
    digits = max(tier.code_digits, len(str(count)))
    cells: list[Cell] = []
    for number in reading_order(middle):
        group = groups[number]
        for band in group.bands or (None,):
            code = f"{parent.code}{len(cells) + 1:0{digits}d}"
            households = living(site, group.atoms, band)
            cells.append(Cell(code, None if top else parent.code, group.atoms, households, band))
    return cells


def reading_order(middle_m: FloatArray) -> list[int]:
    """Order places as one reads: in rows from north to south, each from west to east."""
    count = len(middle_m)
    if count < 2:
        return list(range(count))
    rows = max(round(np.sqrt(count)), 1)
    south, north = middle_m[:, 1].min(), middle_m[:, 1].max()
    row = np.minimum(((north - middle_m[:, 1]) / max(north - south, 1e-9) * rows).astype(int), rows - 1)
    return [int(i) for i in np.lexsort((np.arange(count), middle_m[:, 0], row))]


def living(site: Site, atoms: IntArray, band: tuple[int, int] | None) -> int:
    inside = np.flatnonzero(np.isin(site.atom, atoms))
    if band is None:
        return int(site.households[inside].sum())
    return sum(_on_floors(site, int(i), band) for i in inside)


def _on_floors(site: Site, dwelling: int, band: tuple[int, int]) -> int:
    """Households of a unit on the floors of a band."""
    floors = int(site.parts.floors[site.building[dwelling]])
    return int(shares(int(site.households[dwelling]), floors)[band[0] - 1 : band[1]].sum())


def frame_of(site: Site, cells: list[Cell]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "code": pd.array([c.code for c in cells], dtype="string"),
            "community": pd.array([site.job.code] * len(cells), dtype="string"),
            "parent": pd.array([c.parent for c in cells], dtype="string"),
            "households": np.array([c.households for c in cells], dtype=np.int64),
            "area_m2": [float(site.ground.area_m2[c.atoms].sum()) for c in cells],
            "floor_from": pd.array([c.floors[0] if c.floors else None for c in cells], dtype="Int64"),
            "floor_to": pd.array([c.floors[1] if c.floors else None for c in cells], dtype="Int64"),
        }
    )


def polygons_of(site: Site, cells: list[Cell]) -> Geometries:
    """Dissolve faces to cells; the cells of a stack get the same polygon."""
    number = np.full(site.atoms, -1, dtype=np.int64)
    shown = []
    for i, cell in enumerate(cells):
        if number[cell.atoms[0]] < 0:
            number[cell.atoms] = i
        shown.append(number[cell.atoms[0]])
    polygons = dissolve(site.ground.faces, number[site.ground.atom_of_face], len(cells))
    return np.asarray(site.ground.lattice.to_wgs84(polygons)[np.array(shown)], dtype=object)


def parts_table(site: Site, cells: list[Cell]) -> pd.DataFrame:
    """Every building's parts with the lowest cell of each."""
    of_atom: dict[int, list[Cell]] = {}
    for cell in cells:
        for atom in cell.atoms.tolist():
            of_atom.setdefault(atom, []).append(cell)
    rows: list[tuple[object, ...]] = []
    start = np.concatenate([[0], np.cumsum(site.parts.units)])
    for b, code in enumerate(site.job.buildings["code"]):
        rows += _building_parts(site, b, str(code), range(int(start[b]), int(start[b + 1])), of_atom)
    columns = ("building", "unit_from", "unit_to", "floor_from", "floor_to", "households", "units_estimated", "cell")
    frame = pd.DataFrame(rows, columns=list(columns))
    types = dict.fromkeys(("unit_from", "unit_to", "floor_from", "floor_to"), "Int64")
    return frame.astype({**types, "households": "int64", "units_estimated": "bool", "building": "string",
                         "cell": "string"})  # fmt: skip


def _building_parts(
    site: Site, b: int, code: str, dwellings: range, of_atom: dict[int, list[Cell]]
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    units, floors = int(site.parts.units[b]), int(site.parts.floors[b])
    first = dwellings.start
    while first < dwellings.stop:
        cells = of_atom[int(site.atom[first])]
        last = first
        while last + 1 < dwellings.stop and of_atom[int(site.atom[last + 1])][0].code == cells[0].code:
            last += 1
        span = (first - dwellings.start + 1, last - dwellings.start + 1)
        unit_from, unit_to = (None, None) if span == (1, units) else span
        estimated = bool(site.parts.units_estimated[b]) and unit_from is not None
        run = range(first, last + 1)
        if len(cells) == 1 or not site.parts.households[b]:
            total = int(sum(site.households[i] for i in run))
            rows.append((code, unit_from, unit_to, None, None, total, estimated, cells[0].code))
        else:
            for cell in cells:
                assert cell.floors is not None
                if cell.floors[0] <= floors:
                    total = sum(_on_floors(site, i, cell.floors) for i in run)
                    top = min(cell.floors[1], floors)
                    rows.append((code, unit_from, unit_to, cell.floors[0], top, total, estimated, cell.code))
        first = last + 1
    return rows
