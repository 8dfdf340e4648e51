"""A division: what the partitioner gives for a town and a rule set, as one value.

It flows on into a plan of the database (`gis.plans`), a plan file (`gis.exchange.plan_file`) or a report. How it is
made stands in `gis.partition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import geopandas as gpd
import pandas as pd

from gis.findings import Finding
from gis.rule_set import RuleSet

CELL_COLUMNS = ("code", "community", "parent", "households", "area_m2", "floor_from", "floor_to")
PART_COLUMNS = (
    "building",
    "unit_from",
    "unit_to",
    "floor_from",
    "floor_to",
    "households",
    "units_estimated",
    "cell",
)


@dataclass(frozen=True)
class Division:
    """Cells of every grid tier, and every building's parts with the lowest cell that each lies in.

    Attributes
    ----------
    rules : RuleSet
    cells : tuple of GeoDataFrame
        One frame a grid tier, top first (``cells[0]`` is grid depth 1), EPSG:4326, with `CELL_COLUMNS` and geometry.
        ``parent`` is the code of the cell one tier up (missing at depth 1). ``floor_from`` and ``floor_to`` are
        missing unless the cell is one of a stack over the same ground; stacked cells share their geometry exactly.
        In each community the cells of depth 1 tile its ground, and so on down, stacks counted once.
    parts : DataFrame
        `PART_COLUMNS`. One row a part; units and floors are counted from 1, both ends inclusive, missing = all.
        ``cell`` is a code of ``cells[-1]``. A building without households has one whole part with 0 households.
        ``units_estimated`` marks staircases that the input did not give.
    findings : tuple of Finding
        Cells out of band with their reason, impossible demands, cut towers, …
    recipe : mapping
        All that is needed to make it again: seed, effort, metric CRS code, parameters, versions.
    """

    rules: RuleSet
    cells: tuple[gpd.GeoDataFrame, ...]
    parts: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
