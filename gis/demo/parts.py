"""What the steps of the generator hand on to the layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import shapely

from gis.demo.civic import Hall
from gis.demo.estates import Estate
from gis.demo.land import Plot
from gis.demo.streets import Network
from gis.demo.totals import Home
from gis.demo.yards import Yard


@dataclass(frozen=True)
class Codes:
    """Codes by place: 6 digits of the county, 3 of the street, 3 of the community."""

    communities: tuple[str, ...]
    streets: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """All that the steps of the generator have made, in ground metres about the middle of the town."""

    seed: int
    network: Network
    plots: tuple[Plot, ...]
    estates: tuple[Estate, ...]
    homes: list[Home]
    yards: tuple[Yard, ...]
    halls: list[Hall]
    field_ground: Mapping[int, shapely.Geometry]
    codes: Codes
    road_names: list[str]
