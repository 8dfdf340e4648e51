"""Whether cells tile their ground: the last look before a plan comes into force. Pure: shapely and numpy.

The partitioner gives exact ground; this does not trust it, because a plan may come from a file or another hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

GAP_M = 0.05
"""Narrower gaps and overlaps are rounding: coordinates are stored to 7 decimals, about 1 cm."""
PIECE_M2 = 0.5
"""Smaller pieces are rounding."""

Geometries = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Cell:
    """What the check needs of a cell: its ground in metres, and whether others may share it (a stack of floors)."""

    id: int
    parent: int
    is_stacked: bool
    ground_metric: shapely.Geometry


@dataclass(frozen=True, slots=True)
class Fault:
    """Ground that no cell covers or that several do, under one parent; or a cell in several pieces."""

    kind: str
    """``gap``, ``overlap`` or ``pieces``."""
    parent: int
    cell: int | None
    area_m2: float


def faults(cells: Sequence[Cell], parents: dict[int, shapely.Geometry]) -> Iterator[Fault]:
    """Look at the cells of one tier under their parents.

    Parameters
    ----------
    cells : sequence of Cell
        In one metric system.
    parents : dict of int to geometry
        The ground that the cells of each parent should tile; cells of a stack count once.

    Notes
    -----
    Cost: a union a parent; 1,500 micro-grids some 0.3 s.
    """
    under: dict[int, list[Cell]] = {parent: [] for parent in parents}
    for cell in cells:
        under[cell.parent].append(cell)
    for parent, children in under.items():
        yield from _of_parent(parent, children, parents[parent])
    for cell in cells:
        pieces = int((shapely.area(shapely.get_parts(cell.ground_metric)) > PIECE_M2).sum())
        if pieces > 1:
            yield Fault("pieces", cell.parent, cell.id, float(pieces))


def _of_parent(parent: int, children: Sequence[Cell], ground: shapely.Geometry) -> Iterator[Fault]:
    grounds = _once_a_stack(children)
    if len(grounds) == 1 and shapely.equals_exact(grounds[0], ground, normalize=True):
        return
    union = shapely.union_all(grounds)
    missing = _wide(shapely.difference(ground, union))
    outside = _wide(shapely.difference(union, ground))
    twice = float(shapely.area(grounds).sum() - shapely.area(union))
    if missing > 0:
        yield Fault("gap", parent, None, missing)
    if outside + (twice if twice > PIECE_M2 else 0.0) > 0:
        yield Fault("overlap", parent, None, outside + max(twice, 0.0))


def _once_a_stack(children: Sequence[Cell]) -> Geometries:
    seen: set[bytes] = set()
    grounds: list[shapely.Geometry] = []
    for cell in children:
        if cell.is_stacked:
            key = shapely.to_wkb(cell.ground_metric)
            if key in seen:
                continue
            seen.add(key)
        grounds.append(cell.ground_metric)
    return np.array(grounds, dtype=object)


def _wide(geometry: shapely.Geometry) -> float:
    """Area of what is wider than rounding."""
    if shapely.is_empty(geometry):
        return 0.0
    return float(shapely.area(shapely.buffer(geometry, -GAP_M / 2)))


def colours(geometries: Geometries, *, count: int = 8) -> NDArray[np.int16]:
    """Colour cells so that neighbours differ, using all colours about as often (greedy, in the order given).

    Parameters
    ----------
    geometries : array, shape (cells,)
    count : int
        Colours at hand; where all are taken around a cell, the rarest around it is used again.
    """
    chosen = np.full(len(geometries), -1, dtype=np.int16)
    if len(geometries) == 0:
        return chosen
    left, right = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    neighbours: list[list[int]] = [[] for _ in geometries]
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        if one != other:
            neighbours[one].append(other)
    used = np.zeros(count)
    for cell, near in enumerate(neighbours):
        around = np.bincount([chosen[n] for n in near if chosen[n] >= 0], minlength=count)[:count]
        chosen[cell] = int(np.lexsort((used, around))[0])
        used[chosen[cell]] += 1
    return chosen
