"""The demo town put together: frames of every layer, in EPSG:4326."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point

from gis import crs
from gis.demo import civic, estates, footprints, land, names, streets, totals
from gis.demo.departments import DEPARTMENTS, office_name
from gis.demo.warp import stream
from gis.town import WGS84, Town, conform

ZONE = "EPSG:4550"
"""CGCS2000, 3-degree zone of 123° E: the zone of the coast that the town is put on."""
MIDDLE = (598_390.0, 4_415_728.0)
"""Middle of the town in that zone: 124.15° E, 39.87° N."""
STOREY_M = 2.9
HOUSING = {"tower": ("commodity",), "slab": ("commodity", "reformed", "reformed", "affordable"),
           "court": ("public", "reformed"), "village": ("collective",)}  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """Codes by place: 6 digits of the county, 3 of the street, 3 of the community."""

    communities: tuple[str, ...]
    streets: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """All that the steps of the generator have made, in ground metres."""

    seed: int
    network: streets.Network
    plots: tuple[land.Plot, ...]
    estates: tuple[estates.Estate, ...]
    homes: list[totals.Home]
    gardens: list[list[footprints.House]]
    halls: list[civic.Hall]
    codes: Codes
    road_names: list[str]


def make_town(*, seed: int = 1) -> Town:
    """Generate the demo town.

    Parameters
    ----------
    seed : int
        The same seed gives the same town to the last digit.

    Returns
    -------
    Town
        All layers but staff and assignments (see `gis.demo.staff_for`), EPSG:4326, 7 decimals. 27 km², 3 streets,
        18 communities, 168 compounds, 1,800 residential buildings and 96,817 households, whatever the seed.
    """
    parts = _make_parts(seed)
    compounds = _compounds(parts)
    gates = _gates(parts)
    buildings = _buildings(parts, compounds, gates)
    return Town(
        {
            "areas": _areas(parts),
            "communities": _communities(parts),
            "compounds": _ground(compounds.drop(columns=["street", "number"]), "compounds"),
            "buildings": _ground(buildings, "buildings"),
            "barriers": _barriers(parts, gates),
            "ground": _ground_cover(parts),
            "pois": _pois(parts, compounds, buildings, gates),
            "departments": _departments(parts),
        },
        title=f"{names.COUNTY[1]}（虚构）",
    )


def _make_parts(seed: int) -> Parts:
    network = streets.make_network(seed=seed)
    plots = land.divide_land(network, stream(seed, 3))
    laid, plots = estates.lay_out(plots, stream(seed, 4))
    places = [footprints.houses_of(estate, stream(seed, 5, number)) for number, estate in enumerate(laid)]
    kept, gardens = totals.choose(laid, places, stream(seed, 6))
    homes = totals.people_them(kept, stream(seed, 7))
    return Parts(
        seed,
        network,
        plots,
        laid,
        homes,
        gardens,
        civic.build(plots, stream(seed, 8)),
        _codes(),
        names.street_names(list(network.streets), stream(seed, 9)),
    )


def _codes() -> Codes:
    county = names.COUNTY[0]
    counts: dict[int, int] = defaultdict(int)
    codes = []
    for street, *_ in streets.FIELDS:
        counts[street] += 1
        codes.append(f"{county}{street + 1:03d}{counts[street]:03d}")
    return Codes(tuple(codes), tuple(f"{county}{i + 1:03d}" for i in range(len(names.STREETS))))


def _ground(frame: pd.DataFrame, layer: str) -> gpd.GeoDataFrame:
    """Ground metres to EPSG:4326; a vertex that neighbours share stays shared, as the same number gives the same."""
    shapes = shapely.transform(np.asarray(frame["geometry"], dtype=object), lambda points: points + np.array(MIDDLE))
    degrees = shapely.transform(crs.geometries_to_wgs84(shapes, ZONE), lambda points: np.round(points, 7))
    data = gpd.GeoDataFrame(frame.drop(columns="geometry"), geometry=degrees, crs=WGS84)
    return conform(layer, data)


def _areas(parts: Parts) -> gpd.GeoDataFrame:
    code, name, name_en = names.COUNTY
    rows: list[dict[str, Any]] = [
        {"code": code, "name": name, "name_en": name_en, "level": "county", "geometry": parts.network.outline}
    ]
    for number, (street, street_en) in enumerate(names.STREETS):
        own = [c for field, c in zip(streets.FIELDS, parts.network.communities, strict=True) if field[0] == number]
        rows.append(
            {"code": parts.codes.streets[number], "name": street, "name_en": street_en, "level": "street",
             "parent": code, "geometry": shapely.coverage_union_all(own)}
        )  # fmt: skip
    return _ground(pd.DataFrame(rows), "areas")


def _communities(parts: Parts) -> gpd.GeoDataFrame:
    rows = [
        {"code": code, "name": f"{name}社区", "name_en": f"{name_en} Community", "parent": code[:9], "geometry": shape}
        for code, (name, name_en), shape in zip(
            parts.codes.communities, names.COMMUNITIES, parts.network.communities, strict=True
        )
    ]
    return _ground(pd.DataFrame(rows), "communities")


def _compounds(parts: Parts) -> gpd.GeoDataFrame:
    """Compounds with their street and house number, still in ground metres."""
    rng = stream(parts.seed, 10)
    called = names.compound_names([estate.style for estate in parts.estates], rng)
    tree, edges = land.nearest_edges(parts.network)
    numbers: dict[tuple[str, int], int] = defaultdict(int)
    counts: dict[int, int] = defaultdict(int)
    rows = []
    for estate, (name, name_en) in zip(parts.estates, called, strict=True):
        counts[estate.community] += 1
        code = parts.codes.communities[estate.community]
        street, number = _address(estate.polygon, tree, edges, parts.road_names, numbers)
        rows.append(
            {"code": f"{code}X{counts[estate.community]:03d}", "name": name, "name_en": name_en, "community": code,
             "housing_class": str(rng.choice(HOUSING[estate.style])), "is_walled": estate.is_walled, "street": street,
             "number": number, "geometry": estate.polygon}
        )  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry="geometry")


def _address(
    shape: shapely.Geometry,
    tree: shapely.STRtree,
    edges: Sequence[streets.Edge],
    road_names: Sequence[str],
    numbers: dict[tuple[str, int], int],
) -> tuple[str, int]:
    """Street and house number: along the street in steps of 15 m, odd on one side, even on the other, none twice."""
    near = tree.query(shape, predicate="dwithin", distance=30.0)
    if not len(near):
        near = tree.query_nearest(shape)
    rank = {"arterial": 0, "secondary": 1, "minor": 2}
    edge = edges[min(near.tolist(), key=lambda i: (rank[edges[i].kind], edges[i].line.distance(shape), i))]
    name = road_names[edge.street]
    middle = shape.centroid
    (x0, y0), (x1, y1) = edge.line.coords[0], edge.line.coords[-1]
    if (x1 + y1 * 0.3) < (x0 + y0 * 0.3):
        x0, y0, x1, y1 = x1, y1, x0, y0
    side = int((x1 - x0) * (middle.y - y0) - (y1 - y0) * (middle.x - x0) > 0)
    numbers[name, side] += 1
    return name, 2 * numbers[name, side] + side + 6 * numbers[name, side] // 3


def _gates(parts: Parts) -> list[list[Point]]:
    """Gates of each walled compound, on the sides that face its weightiest streets; others have none."""
    tree, edges = land.nearest_edges(parts.network)
    rank = {"arterial": 1, "secondary": 0, "minor": 2}
    gates: list[list[Point]] = []
    for estate in parts.estates:
        own: list[Point] = []
        near = sorted(
            tree.query(estate.polygon, predicate="dwithin", distance=24.0).tolist(),
            key=lambda i: (rank[edges[i].kind], -edges[i].line.length, i),
        )
        wanted = 1 + (estate.polygon.area > 22_000) + (estate.polygon.area > 70_000)
        for i in near if estate.is_walled else []:
            spot = estate.polygon.exterior.interpolate(
                estate.polygon.exterior.project(edges[i].line.intersection(estate.polygon.buffer(26)).centroid)
            )
            if all(spot.distance(other) > 60 for other in own) and spot.distance(edges[i].line) < 26:
                own.append(spot)
            if len(own) == wanted:
                break
        gates.append(own)
    return gates


def _buildings(parts: Parts, compounds: pd.DataFrame, gates: list[list[Point]]) -> pd.DataFrame:
    del gates
    rows = _residential(parts, compounds) + _other_buildings(parts)
    rows.sort(key=lambda row: (row["community"], -round(row["geometry"].centroid.y / 150), row["geometry"].centroid.x))
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        counts[row["community"]] += 1
        row["code"] = f"{row['community']}B{counts[row['community']]:05d}"
    return pd.DataFrame(rows)


def _residential(parts: Parts, compounds: pd.DataFrame) -> list[dict[str, Any]]:
    own: dict[int, list[totals.Home]] = defaultdict(list)
    for home in parts.homes:
        own[home.estate].append(home)
    rows = []
    for number, homes in sorted(own.items()):
        compound = compounds.iloc[number]
        for door, home in enumerate(homes, start=1):
            name = f"{door}号" if home.house.kind in ("village", "court") else f"{door}栋"
            rows.append(
                {"name": name, "address": f"{compound['street']}{compound['number']}号{compound['name']}{name}",
                 "use": "residential", "floors": home.house.floors, "units": home.house.units,
                 "height_m": round(home.house.floors * STOREY_M + 0.6, 1), "households": home.households,
                 "households_estimated": False, "units_estimated": False, "compound": compound["code"],
                 "community": compound["community"], "geometry": home.house.polygon}
            )  # fmt: skip
    return rows


def _other_buildings(parts: Parts) -> list[dict[str, Any]]:
    tree, edges = land.nearest_edges(parts.network)
    titles = plot_titles(parts)
    numbers: dict[tuple[str, int], int] = defaultdict(lambda: 40)
    addresses: dict[int, str] = {}
    rows = []
    for hall in parts.halls:
        plot = parts.plots[hall.plot]
        if hall.plot not in addresses:
            street, number = _address(plot.polygon, tree, edges, parts.road_names, numbers)
            addresses[hall.plot] = f"{street}{number}号"
        title = titles.get(hall.plot, "")
        rows.append(
            {"name": f"{title}{hall.name}", "address": f"{addresses[hall.plot]}{title}{hall.name}", "use": hall.use,
             "floors": hall.floors, "units": 1, "height_m": round(hall.floors * 3.6 + 1.0, 1), "households": 0,
             "households_estimated": False, "units_estimated": False, "compound": None,
             "community": parts.codes.communities[plot.community], "geometry": hall.polygon}
        )  # fmt: skip
    return rows


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


def _barriers(parts: Parts, gates: list[list[Point]]) -> gpd.GeoDataFrame:
    pieces: dict[tuple[str, str, bool], list[LineString]] = defaultdict(list)
    for edge in parts.network.edges:
        if edge.kind != "river":
            pieces[edge.kind, parts.road_names[edge.street], edge.is_bridge].append(edge.line)
    rows: list[dict[str, Any]] = [
        {"kind": kind, "name": name, "is_bridge": bridge, "geometry": line}
        for (kind, name, bridge), lines in pieces.items()
        for line in shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines)))
    ]
    rows.append({"kind": "river", "name": names.RIVER, "is_bridge": False, "geometry": parts.network.river})
    rows += [{"kind": "wall", "name": None, "is_bridge": False, "geometry": line} for line in _walls(parts, gates)]
    return _ground(pd.DataFrame(rows), "barriers")


def _walls(parts: Parts, gates: list[list[Point]]) -> list[LineString]:
    """Walls with openings of 10 m at the gates; a wall between two compounds stands once."""
    walls: list[LineString] = []
    done: list[shapely.Geometry] = []
    for estate, own in zip(parts.estates, gates, strict=True):
        if not estate.is_walled:
            continue
        ring = estate.polygon.exterior
        line = ring.difference(shapely.union_all([gate.buffer(5) for gate in own])) if own else LineString(ring)
        near = [other for other in done if other.distance(line) < 0.5]
        if near:
            line = line.difference(shapely.union_all(near).buffer(0.6))
        done.append(ring)
        merged = shapely.line_merge(line) if line.geom_type == "MultiLineString" else line
        walls += [part for part in shapely.get_parts(merged) if part.length > 5]
    return walls


COVER = {"field": "farmland", "industry": "industrial", "park": "green", "bank": "green", "pocket": "green",
         "square": "square", "home": "residential"}  # fmt: skip


def _ground_cover(parts: Parts) -> gpd.GeoDataFrame:
    titles = plot_titles(parts)
    water = parts.network.water
    rows: list[dict[str, Any]] = [{"kind": "water", "name": names.RIVER, "geometry": water}]
    for index, plot in enumerate(parts.plots):
        if plot.use == "home":
            continue
        shape = plot.polygon
        if plot.use == "bank":
            shape = shape.difference(water.buffer(4)).buffer(0)
        rows += [
            {"kind": COVER.get(plot.use, "other"), "name": titles.get(index), "geometry": part}
            for part in shapely.get_parts(shape)
            if part.area > 300
        ]
    rows += [{"kind": "residential", "name": None, "geometry": estate.polygon} for estate in parts.estates]
    rows += [{"kind": "green", "name": None, "geometry": garden} for garden in _gardens(parts)]
    return _ground(pd.DataFrame(rows), "ground")


def _gardens(parts: Parts) -> list[shapely.Geometry]:
    """Lawns where a compound gave up places for buildings."""
    gardens = []
    houses: dict[int, list[shapely.Geometry]] = defaultdict(list)
    for home in parts.homes:
        houses[home.estate].append(home.house.polygon)
    for number, (estate, places) in enumerate(zip(parts.estates, parts.gardens, strict=True)):
        if not places or estate.style == "village":
            continue
        lawn = shapely.union_all([place.polygon for place in places]).buffer(9).buffer(-4)
        lawn = lawn.intersection(estate.polygon.buffer(-4)).difference(shapely.union_all(houses[number]).buffer(4))
        gardens += [part for part in shapely.get_parts(lawn.buffer(-2).buffer(2, quad_segs=3)) if part.area > 250]
    return gardens


def _pois(parts: Parts, compounds: pd.DataFrame, buildings: pd.DataFrame, gates: list[list[Point]]) -> gpd.GeoDataFrame:
    rows: list[dict[str, Any]] = []

    def add(kind: str, name: str, point: Point, compound: str | None = None) -> None:
        number = sum(row["kind"] == kind for row in rows) + 1
        rows.append({"code": f"{kind.upper()}{number:04d}", "kind": kind, "name": name, "compound": compound,
                     "geometry": point})  # fmt: skip

    for (_, compound), own in zip(compounds.iterrows(), gates, strict=True):
        for point, side in zip(own, ("正门", "侧门", "后门"), strict=False):
            add("gate", f"{compound['name']}{side}", point, compound["code"])
    _add_places(parts, add)
    _add_services(parts, buildings, add)
    return _ground(pd.DataFrame(rows), "pois")


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
        add("bridge", f"{name[:2]}大桥", shapely.union_all(lines).centroid)


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


def _departments(parts: Parts) -> pd.DataFrame:
    county = names.COUNTY[0]
    rows = [
        {"code": code, "name": f"{names.COUNTY[1]}{name}", "name_en": name_en, "area": county, "parent": parent}
        for code, name, name_en, parent in DEPARTMENTS
    ]
    rows += [
        {"code": f"JD{number + 1:02d}", "name": office_name(street), "name_en": f"{street_en} Office",
         "area": parts.codes.streets[number], "parent": "ZF"}
        for number, (street, street_en) in enumerate(names.STREETS)
    ]  # fmt: skip
    return conform("departments", pd.DataFrame(rows))
