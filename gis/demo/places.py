"""Points that people look for: gates, bridges, schools, service centres, police and fire stations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point

from gis.demo import names, streets
from gis.demo.parts import Parts


def find(parts: Parts, compounds: pd.DataFrame, buildings: pd.DataFrame) -> pd.DataFrame:
    """All points of interest, in ground metres."""
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = defaultdict(int)

    def add(kind: str, name: str, point: Point, compound: str | None = None) -> None:
        counts[kind] += 1
        rows.append({"code": f"{kind.upper()}{counts[kind]:04d}", "kind": kind, "name": name, "compound": compound,
                     "geometry": point})  # fmt: skip

    for (_, compound), yard in zip(compounds.iterrows(), parts.yards, strict=True):
        for number, point in enumerate(yard.gates, start=1):
            add("gate", f"{compound['name']}{number}号门", point, compound["code"])
        if yard.kindergarten is not None:
            add("school", f"{compound['name'][:2]}幼儿园", yard.kindergarten.centroid, compound["code"])
    _add_places(parts, add)
    _add_services(parts, buildings, add)
    return pd.DataFrame(rows)


def plot_titles(parts: Parts) -> dict[int, str]:
    """Names of the institutions on their plots."""
    pools: dict[str, list[str]] = {
        "hospital": ["东澜市人民医院", "东澜市中医院"],
        "market": [f"{name}农贸市场" for name in ("鼓楼", "桃源", "西苑", "江畔", "新港")],
        "station": ["东澜站"],
        "square": ["人民广场", "市民广场"],
        "park": ["澜湖公园", "西苑公园", "森林公园", "东湖公园", "儿童公园"],
        "shops": [f"{name}商业广场" for name in ("万和", "大东", "新玛", "国贸", "华联", "银座", "百货", "东方")],
    }
    found: dict[int, str] = {}
    counts: dict[str, int] = defaultdict(int)
    for index, plot in enumerate(parts.plots):
        number = counts[plot.use]
        counts[plot.use] += 1
        if plot.use == "school":
            found[index] = f"{names.COMMUNITIES[plot.community][0]}{'中学' if number % 4 == 2 else '小学'}"
        elif plot.use in pools and number < len(pools[plot.use]):
            found[index] = pools[plot.use][number]
        elif plot.use == "industry":
            found[index] = f"东澜{_numeral(number)}厂"
    return found


def _numeral(number: int) -> str:
    trades = ("水产", "丝绸", "机械", "纸业", "饲料", "电器", "服装", "化纤", "农机", "食品", "木器", "塑料")
    turn = number // len(trades)
    return trades[number % len(trades)] + (f"第{'一二三四五六七八'[turn]}" if turn else "")


def _add_places(parts: Parts, add: Callable[..., None]) -> None:
    titles = plot_titles(parts)
    kinds = {"school": "school", "hospital": "hospital", "market": "market", "station": "station", "park": "park"}
    for index, plot in enumerate(parts.plots):
        if plot.use in kinds and index in titles:
            add(kinds[plot.use], titles[index], plot.polygon.point_on_surface())
    bridges: dict[str, list[LineString]] = defaultdict(list)
    for edge in parts.network.edges:
        if edge.is_bridge:
            bridges[parts.road_names[edge.street]].append(edge.line)
    for name, lines in bridges.items():
        add("bridge", name, shapely.union_all(lines).centroid)


def _add_services(parts: Parts, buildings: pd.DataFrame, add: Callable[..., None]) -> None:
    """A party and residents' service centre and a grid station in each community, police and fire stations."""
    centres = np.array([shape.centroid.coords[0] for shape in buildings["geometry"]])
    lived = (buildings["households"] > 0).to_numpy()
    for number, (code, (name, _)) in enumerate(zip(parts.codes.communities, names.COMMUNITIES, strict=True)):
        own = centres[lived & (buildings["community"] == code).to_numpy()]
        spot = own[_middlemost(own)] + np.array([0.0, 14.0])
        add("service", f"{name}社区党群服务中心", Point(spot))
        add("service", f"{name}网格驿站", Point(own[len(own) // 3] + np.array([0.0, 14.0])))
        if number % 6 == 1:
            add("police", f"{names.STREETS[streets.FIELDS[number][0]][0][:2]}派出所", Point(own[len(own) // 2] + 12.0))
        if number in (4, 14):
            add("fire", f"{name}消防救援站", Point(own[2 * len(own) // 3] + 12.0))
        if number % 3 == 0:
            add("elderly", f"{name}居家养老服务中心", Point(own[len(own) // 5] + 12.0))


def _middlemost(points: NDArray[np.float64]) -> int:
    return int(np.argmin(np.hypot(*(points - np.median(points, axis=0)).T)))
