"""Line grids merged (多网合一): the overlapping networks of several departments made into one cover by a rule set.

`survey_networks` says what is there, `merge` makes the one cover and tells what every old cell became.

The new cells are made by the partitioner (`gis.partition.divide`), not by choosing among old ones: no network has
cells in the band, and the pieces into which several networks cut each other have no sense of their own. The old
borders are not forgotten, though: where one runs along no street, river or wall it is given to the partitioner as a
weak barrier, like a minor street where one network has it, like a secondary one where several agree. So atoms of ground
end there, and a new border that follows it, through open land or between houses, is cheap. People know these lines, and
signs stand on them. Lines of several networks within 5 m of each other are one; a line steps round the houses that it
cuts, for no grid border may run through a house.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.division import CELL_COLUMNS, PART_COLUMNS, Division
from gis.errors import InvalidInput
from gis.findings import Finding
from gis.geometry import Geometries, IntArray, as_polygons
from gis.partition import divide
from gis.partition.networks import (
    WIDE_M2,
    Network,
    Overview,
    Sheet,
    sheet_of,
    streets_of,
    survey_networks,
    survey_sheet,
    tidy,
)
from gis.partition.old_borders import with_old_borders
from gis.partition.patrol import after_merging
from gis.partition.share_matrix import carry_over, grid_depth, handover, share_matrix
from gis.rule_set import RuleSet, Tier
from gis.town import WGS84, Town

LEAD_STABILITY = 0.5  # half way of the slider: far below what an impossible cell costs


@dataclass(frozen=True)
class Merged:
    """One cover out of several networks.

    Attributes
    ----------
    division : Division
        Its findings begin with those about the networks; its recipe names the networks.
    overview : Overview
        With the patrol after merging.
    shares : DataFrame
        Old → new (`gis.partition.share_matrix.share_matrix`).
    """

    division: Division
    overview: Overview
    shares: pd.DataFrame

    @property
    def handover(self) -> pd.DataFrame:
        """For each new grid and network the old cell, and its people, that most of it comes from."""
        return handover(self.shares)


def merge(
    town: Town,
    rules: RuleSet,
    networks: Sequence[Network],
    *,
    lead: str | None = None,
    stability: float = LEAD_STABILITY,
    seed: int = 0,
    effort: str = "draft",
    processes: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Merged:
    """Make one cover out of several networks.

    Parameters
    ----------
    town : Town
        Cleaned.
    rules : RuleSet
    networks : sequence of Network
        As files have them; they are tidied here.
    lead : str, optional
        Code of the network whose cells are kept where they can be, as a plan in force is in a redraw.
    stability : float
        How much they are kept: 0 (not at all) to 1 (change only what is broken); see `gis.partition.divide`.

    Raises
    ------
    InvalidInput
        ``merge.no_networks``, ``merge.same_network``, ``merge.empty_network``, ``merge.unknown_lead``, and what
        `gis.partition.divide` refuses.
    """
    tidied = [tidy(network) for network in networks]
    sheet = sheet_of(town, [network for network, _ in tidied])
    overview = survey_sheet(sheet, town)
    noticed: tuple[Finding, ...] = (*(found for _, more in tidied for found in more), *overview.findings)
    division = divide(
        with_old_borders(town, sheet),
        rules,
        previous=None if lead is None else as_division(sheet, lead, rules),
        stability=stability,
        seed=seed,
        effort=effort,
        processes=processes,
        progress=progress,
        cancelled=cancelled,
    )
    recipe: dict[str, Any] = {
        **division.recipe,
        "networks": [{"code": n.code, "name": n.name, "cells": len(n.cells)} for n in sheet.networks],
        "lead": lead,
    }
    division = replace(division, findings=(*noticed, *division.findings), recipe=recipe)
    grids = division.cells[grid_depth(rules)].geometry.to_numpy()
    grids_m = np.asarray(shapely.transform(grids, lambda xy: crs.points_to_metric(xy, sheet.zone)), dtype=object)
    patrol = after_merging(overview.patrol, streets_of(town, sheet.zone), sheet.ground, grids_m)
    return Merged(division, replace(overview, findings=noticed, patrol=patrol), share_matrix(sheet, division))


def as_division(sheet: Sheet, code: str, rules: RuleSet) -> Division:
    """One network as if it were the plan in force: its cells cut at the borders of communities, with who lives there.

    Its cells go for those of the tier that they are compared with. Buildings in its gaps are in no cell, as new
    buildings are; one in several cells is in the first.

    Raises
    ------
    InvalidInput
        ``merge.unknown_lead``.
    """
    known = [network.code for network in sheet.networks]
    if code not in known:
        raise InvalidInput("merge.unknown_lead", lead=code, known=known)
    network, cells = sheet.networks[known.index(code)], sheet.cells[known.index(code)]
    home, cell_of = _first_cells(sheet, cells)
    community, cell = shapely.STRtree(cells).query(sheet.communities, predicate="intersects")
    shapes = np.asarray(shapely.intersection(cells[cell], sheet.communities[community]), dtype=object)
    area = shapely.area(shapes)
    order = np.lexsort((community, -area, cell))
    order = order[area[order] > WIDE_M2]
    rows: list[dict[str, Any]] = []
    name_of: dict[tuple[int, int], str] = {}
    for i in order:
        of, within = int(cell[i]), int(community[i])
        again = sum(key[0] == of for key in name_of)
        name_of[of, within] = network.codes[of] + (f"~{again + 1}" if again else "")
        rows.append({"code": name_of[of, within], "community": sheet.community_codes[within], "area_m2": area[i]})
    lived = [name_of.get(key) for key in zip(cell_of.tolist(), home.tolist(), strict=True)]
    parts = _whole_buildings(sheet, lived)
    ground = crs.geometries_to_wgs84(as_polygons(shapes[order]), f"EPSG:{sheet.zone}")
    by_cell = parts.groupby("cell")["households"].sum()
    frame = pd.DataFrame(rows, columns=["code", "community", "area_m2"])
    frame = frame.assign(parent=None, floor_from=None, floor_to=None,
                         households=frame["code"].map(by_cell).fillna(0).astype("int64"))  # fmt: skip
    types = {"code": "string", "community": "string", "parent": "string", "floor_from": "Int64", "floor_to": "Int64"}
    made = gpd.GeoDataFrame(frame.astype(types)[list(CELL_COLUMNS)], geometry=gpd.GeoSeries(ground, crs=WGS84))
    return Division(_as_drawn(rules), (made,), parts, (), {"zone": sheet.zone})


def _as_drawn(rules: RuleSet) -> RuleSet:
    """Rules of which the network is a plan: its only grids are those of the new rules."""
    tiers = (Tier(1, "area", "街道", "street"), Tier(2, "area", "社区", "community"))
    grids = replace(rules.grid_tiers[grid_depth(rules)], ordinal=3)
    return RuleSet("as_drawn", "现状", "as drawn", "the line network itself", (*tiers, grids))


def _first_cells(sheet: Sheet, cells: Geometries) -> tuple[IntArray, IntArray]:
    """The community and the first cell that each building lies in; -1 in none."""
    found = []
    for polygons in (sheet.communities, cells):
        building, polygon = sheet.holds(polygons)
        first = np.full(len(sheet.buildings), -1, dtype=np.int64)
        first[building[::-1]] = polygon[::-1]
        found.append(first)
    return found[0], found[1]


def _whole_buildings(sheet: Sheet, cells: list[str | None]) -> pd.DataFrame:
    """Parts of a division whose buildings are all in one piece."""
    frame = pd.DataFrame({"building": sheet.buildings, "households": sheet.households, "cell": cells})
    frame = frame[frame["cell"].notna()].reset_index(drop=True)
    frame = frame.assign(unit_from=None, unit_to=None, floor_from=None, floor_to=None, units_estimated=False)
    whole = dict.fromkeys(("unit_from", "unit_to", "floor_from", "floor_to"), "Int64")
    return frame.astype({**whole, "building": "string", "cell": "string"})[list(PART_COLUMNS)]


__all__ = [
    "Merged",
    "Network",
    "Overview",
    "carry_over",
    "handover",
    "merge",
    "share_matrix",
    "survey_networks",
    "tidy",
    "with_old_borders",
]
