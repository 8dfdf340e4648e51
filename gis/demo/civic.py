"""Buildings in which nobody lives: schools, a hospital, markets, offices, shops, factories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import Polygon

from gis.demo.footprints import Row, box, settle, spans, straighten
from gis.demo.land import Plot


@dataclass(frozen=True)
class Hall:
    """A building without households: its plot's index, ground plan, storeys, use and name."""

    plot: int
    polygon: Polygon
    floors: int
    use: str
    name: str


@dataclass(frozen=True)
class Manner:
    """How a use is built: metres (low, high), storeys (low, high), names, most of them, share of places left free."""

    depth: tuple[float, float]
    width: tuple[float, float]
    between: float
    setback: float
    floors: tuple[int, int]
    use: str
    names: tuple[str, ...]
    most: int
    free: float = 0.0


MANNERS: Mapping[str, Manner] = {
    "school": Manner((13, 16), (48, 68), 24, 9, (4, 5), "school", ("教学楼", "实验楼", "综合楼", "食堂"), 4, 0.3),
    "hospital": Manner(
        (20, 26), (60, 90), 18, 10, (5, 12), "hospital", ("门诊楼", "住院楼", "医技楼", "感染楼", "行政楼"), 5
    ),
    "market": Manner((32, 44), (50, 76), 12, 7, (1, 2), "market", ("交易大厅", "副食大厅", "果蔬大棚"), 3),
    "station": Manner((26, 32), (110, 150), 60, 12, (2, 3), "public", ("站房", "行包房"), 1),
    "square": Manner((20, 24), (46, 60), 200, 14, (3, 3), "public", ("文化馆",), 1),
    "office": Manner((17, 22), (34, 60), 26, 10, (5, 14), "office", ("办公楼", "综合楼", "商务楼"), 9, 0.35),
    "shops": Manner((24, 34), (40, 70), 20, 8, (2, 5), "commercial", ("商场", "商业楼", "购物中心"), 6, 0.2),
    "industry": Manner((30, 48), (56, 110), 18, 12, (1, 2), "industrial", ("厂房", "车间", "仓库"), 16, 0.3),
    "field": Manner((9, 11), (50, 70), 8, 20, (1, 1), "other", ("温室大棚",), 12, 0.2),
}


def build(plots: tuple[Plot, ...], rng: np.random.Generator, *, free: Mapping[int, shapely.Geometry]) -> list[Hall]:
    """Put buildings on every plot that is not for homes.

    ``free`` holds, by the index of the plot, the ground that hamlets have left of fields.
    """
    halls = []
    for index, plot in enumerate(plots):
        manner = MANNERS.get(plot.use)
        if manner is None or (plot.use == "field" and rng.random() > 0.14):
            continue
        ground = free.get(index, plot.polygon)
        own = [place for place in _places(plot, manner, rng) if ground.contains(place)][: manner.most]
        halls += [
            Hall(index, polygon, int(rng.integers(manner.floors[0], manner.floors[1] + 1)), manner.use, name)
            for polygon, name in zip(own, _names(manner, len(own)), strict=True)
        ]
    return halls


def _names(manner: Manner, count: int) -> list[str]:
    if count <= len(manner.names) and manner.use in ("school", "hospital", "public"):
        return list(manner.names[:count])
    return [f"{number}号{manner.names[number % len(manner.names)]}" for number in range(1, count + 1)]


def _places(plot: Plot, manner: Manner, rng: np.random.Generator) -> list[Polygon]:
    straight, pivot = straighten(plot.polygon, plot.angle)
    depth = rng.uniform(*manner.depth)
    row = Row(depth, depth + manner.between, manner.between * 0.7, manner.setback)
    shapes: list[Polygon] = []
    for left, right, bottom in reversed(spans(straight, row)):
        x = left + rng.uniform(0, 6)
        while x + manner.width[0] <= right:
            width = min(rng.uniform(*manner.width), right - x)
            if rng.random() >= manner.free or not shapes:
                shapes.append(box(x, bottom, width, depth * rng.uniform(0.85, 1.0)))
            x += width + row.gap * rng.uniform(0.9, 1.6)
    return [shape for shape in settle(shapes, plot.polygon, plot.angle, pivot) if shape is not None]
