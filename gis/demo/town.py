"""The demo town put together: frames of every layer, in EPSG:4326."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.geometry import LineString

from gis import crs
from gis.demo import civic, estates, fields, footprints, land, names, places, streets, totals, yards
from gis.demo.addresses import Addresses
from gis.demo.departments import DEPARTMENTS, office_name
from gis.demo.parts import Codes, Parts
from gis.demo.warp import stream
from gis.town import WGS84, Town, conform

ZONE = "EPSG:4550"
"""CGCS2000, 3-degree zone of 123° E: the zone of the coast that the town is put on."""
MIDDLE = (598_390.0, 4_415_728.0)
"""Middle of the town in that zone: 124.15° E, 39.87° N."""
STOREY_M = 2.9
HOUSING = {"tower": ("commodity",), "slab": ("commodity", "reformed", "reformed", "affordable"),
           "court": ("public", "reformed"), "village": ("collective",)}  # fmt: skip
COVER = {"field": "farmland", "industry": "industrial", "park": "green", "bank": "green", "pocket": "green",
         "square": "square", "home": "residential"}  # fmt: skip


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

    Raises
    ------
    Infeasible
        ``demo.no_room`` if the blocks of a seed happen to be too small for so many houses.
    """
    parts = _make_parts(seed)
    addresses = Addresses(parts.network, parts.road_names)
    compounds = _compounds(parts, addresses)
    buildings = _buildings(parts, compounds, addresses)
    return Town(
        {
            "areas": _areas(parts),
            "communities": _communities(parts),
            "compounds": _ground(compounds.drop(columns="address"), "compounds"),
            "buildings": _ground(buildings, "buildings"),
            "barriers": _barriers(parts),
            "ground": _ground_cover(parts),
            "pois": _ground(places.find(parts, compounds, buildings), "pois"),
            "departments": _departments(parts),
        },
        title=f"{names.COUNTY[1]}（虚构）",
    )


def _make_parts(seed: int) -> Parts:
    network = streets.make_network(seed=seed)
    plots = land.divide_land(network, stream(seed, 3))
    laid, plots = estates.lay_out(plots, stream(seed, 4))
    fronts = yards.fronts(network, laid, stream(seed, 11))
    room = _room(seed, [yards.for_houses(estate, front) for estate, front in zip(laid, fronts, strict=True)])
    kept, free = totals.choose(laid, room, stream(seed, 6))
    homes = totals.people_them(kept, stream(seed, 7))
    field_ground = fields.without_hamlets(plots, laid)
    return Parts(
        seed,
        network,
        plots,
        laid,
        homes,
        tuple(yards.lay_yards(network, laid, fronts, kept, free, stream(seed, 12))),
        civic.build(plots, stream(seed, 8), free=field_ground),
        field_ground,
        _codes(),
        _road_names(network, seed),
    )


def _room(seed: int, laid: list[estates.Estate]) -> list[list[footprints.House]]:
    """Places for houses, a few more than needed: where a seed's blocks are small, the rows move together."""
    for closer_m in (0.0, 2.0, 4.0, 6.0):
        room = [
            footprints.houses_of(estate, stream(seed, 5, number), closer_m=closer_m)
            for number, estate in enumerate(laid)
        ]
        if sum(map(len, room)) >= 1.06 * totals.BUILDINGS:
            break
    return room


def _road_names(network: streets.Network, seed: int) -> list[str]:
    found = names.street_names(list(network.streets), stream(seed, 9))
    bridges = {edge.street: edge.line.centroid.x for edge in network.edges if edge.is_bridge}
    for street, name in zip(sorted(bridges, key=lambda i: bridges[i]), names.BRIDGES, strict=False):
        found[street] = name
    return found


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


def _compounds(parts: Parts, addresses: Addresses) -> pd.DataFrame:
    """Compounds with their street and house number, still in ground metres."""
    rng = stream(parts.seed, 10)
    called = names.compound_names([estate.style for estate in parts.estates], rng)
    counts: dict[int, int] = defaultdict(int)
    rows = []
    for estate, (name, name_en) in zip(parts.estates, called, strict=True):
        counts[estate.community] += 1
        code = parts.codes.communities[estate.community]
        rows.append(
            {"code": f"{code}X{counts[estate.community]:03d}", "name": name, "name_en": name_en, "community": code,
             "housing_class": str(rng.choice(HOUSING[estate.style])), "is_walled": estate.is_walled,
             "address": addresses.of(estate.polygon), "geometry": estate.polygon}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _buildings(parts: Parts, compounds: pd.DataFrame, addresses: Addresses) -> pd.DataFrame:
    """All buildings, numbered within their community from north-west to south-east."""
    rows = _residential(parts, compounds) + _beside_homes(parts, compounds) + _public(parts, addresses)
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
                {"name": name, "address": f"{compound['address']}{compound['name']}{name}", "use": "residential",
                 "floors": home.house.floors, "units": home.house.units,
                 "height_m": round(home.house.floors * STOREY_M + 0.6, 1), "households": home.households,
                 "compound": compound["code"], "community": compound["community"], "geometry": home.house.polygon,
                 **_COUNTED}
            )  # fmt: skip
    return rows


_COUNTED = {"households_estimated": False, "units_estimated": False}


def _beside_homes(parts: Parts, compounds: pd.DataFrame) -> list[dict[str, Any]]:
    """Shops and kindergartens of the compounds."""
    rows = []
    for number, yard in enumerate(parts.yards):
        compound = compounds.iloc[number]
        others = [(shop, f"商铺{i}", "commercial", 1 + i % 2) for i, shop in enumerate(yard.shops, start=1)]
        if yard.kindergarten is not None:
            others.append((yard.kindergarten, f"{compound['name'][:2]}幼儿园", "school", 3))
        rows += [
            {"name": name, "address": f"{compound['address']}{compound['name']}{name}", "use": use, "floors": floors,
             "units": 1, "height_m": round(floors * 3.6 + 1.0, 1), "households": 0, "compound": compound["code"],
             "community": compound["community"], "geometry": shape, **_COUNTED}
            for shape, name, use, floors in others
        ]  # fmt: skip
    return rows


def _public(parts: Parts, addresses: Addresses) -> list[dict[str, Any]]:
    titles = places.plot_titles(parts)
    where = {index: addresses.of(parts.plots[index].polygon) for index in sorted({hall.plot for hall in parts.halls})}
    rows = []
    for hall in parts.halls:
        name = f"{titles.get(hall.plot, '')}{hall.name}"
        rows.append(
            {"name": name, "address": f"{where[hall.plot]}{name}", "use": hall.use, "floors": hall.floors, "units": 1,
             "height_m": round(hall.floors * 3.6 + 1.0, 1), "households": 0, "compound": None,
             "community": parts.codes.communities[parts.plots[hall.plot].community], "geometry": hall.polygon,
             **_COUNTED}
        )  # fmt: skip
    return rows


def _barriers(parts: Parts) -> gpd.GeoDataFrame:
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
    plain = [("minor", lane) for yard in parts.yards for lane in yard.lanes]
    plain += [("wall", line) for line in yards.walls(parts.estates, parts.yards)]
    rows += [{"kind": kind, "name": None, "is_bridge": False, "geometry": line} for kind, line in plain]
    return _ground(pd.DataFrame(rows), "barriers")


def _ground_cover(parts: Parts) -> gpd.GeoDataFrame:
    """Ground by kind, larger things first, so that a map drawn in this order is right."""
    titles = places.plot_titles(parts)
    rng = stream(parts.seed, 13)
    rows: list[tuple[str, str | None, shapely.Geometry]] = [("water", names.RIVER, parts.network.water)]
    water = parts.network.water.buffer(4)
    parks = [i for i, plot in enumerate(parts.plots) if plot.use == "park"]
    largest = max(parks, key=lambda i: parts.plots[i].polygon.area, default=-1)
    for index, plot in enumerate(parts.plots):
        name = titles.get(index)
        if plot.use == "field":
            rows += _field(parts.field_ground[index], plot, rng)
        elif plot.use == "bank":
            rows += [("green", None, part) for part in shapely.get_parts(plot.polygon.difference(water))]
        elif plot.use == "park":
            pond = fields.lake(plot.polygon, rng) if index == largest else None
            rows.append(("green", name, plot.polygon if pond is None else plot.polygon.difference(pond)))
            rows += [("water", "澜湖", pond)] if pond is not None else []
        elif plot.use != "home":
            rows.append((COVER.get(plot.use, "other"), name, plot.polygon))
    rows += [("residential", None, estate.polygon) for estate in parts.estates]
    rows += [("green", None, lawn) for yard in parts.yards for lawn in yard.lawns]
    kept = [row for row in rows if row[2].geom_type in ("Polygon", "MultiPolygon") and row[2].area > 150]
    frame = _ground(pd.DataFrame(kept, columns=["kind", "name", "geometry"]), "ground")
    # Rounding may pinch a narrow neck of a lawn or a strip.
    return frame.set_geometry(frame.geometry.where(frame.geometry.is_valid, frame.geometry.buffer(0)))


def _field(
    ground: shapely.Geometry, plot: land.Plot, rng: np.random.Generator
) -> list[tuple[str, str | None, shapely.Geometry]]:
    """A field in strips; some by the river are ponds for fish."""
    is_pond = plot.out > 1.2 and abs(plot.middle[1]) < 1300 and rng.random() < 0.1
    kind, name = ("water", "养殖塘") if is_pond else ("farmland", None)
    return [(kind, name, strip) for strip in fields.strips(ground, plot.angle, rng)]


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
