"""A town out of an OpenStreetMap extract (.osm, .osm.gz, .osm.bz2, .osm.pbf), read by osmium.

The meaning of the tags stands in `gis.exchange.osm_tags`. An extract is a window cut out of a map, so things reach
over its edge: roads and ground are clipped near the outermost buildings, and administrative boundaries are seldom
whole. Where no whole boundary of communities holds at least half the buildings, the extract's outline (the concave
hull of its buildings and of the roads among them) serves as one community.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.errors import InvalidInput
from gis.exchange import osm_tags
from gis.exchange.town_file import readable
from gis.findings import Finding, Severity
from gis.town import WGS84, Town, conform

SUFFIXES = (".osm", ".osm.gz", ".osm.bz2", ".osm.pbf", ".pbf")

WINDOW_MARGIN_M = 300.0
OUTLINE_MARGIN_M = 12.0
OUTLINE_NOTCH_M = 80.0  # narrower notches are filled: they come of where roads leave the extract
OUTLINE_RATIO = 0.2  # of `shapely.concave_hull`: 0 hugs every yard, 1 is the convex hull
STAIRCASE_REACH_M = 1.0

Row = dict[str, Any]


@dataclass
class _Harvest:
    """What one reading of the file gathers, by layer."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    addresses: list[Row] = field(default_factory=list)
    staircases: list[Any] = field(default_factory=list)
    usages: list[Row] = field(default_factory=list)
    boundaries: list[Row] = field(default_factory=list)
    closed_buildings: dict[str, Row] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)

    def add(self, layer: str, row: Row) -> None:
        self.rows.setdefault(layer, []).append(row)


def read(path: Path) -> tuple[Town, tuple[Finding, ...]]:
    """Read an extract.

    Returns
    -------
    Town
        Layers areas, communities, compounds, buildings, barriers, ground and pois. Codes are the ids of OSM with a
        letter for way, relation or node (``w123``), so the same extract gives the same codes.
    tuple of Finding
        What could not be used.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file`` if it is truncated or no OSM file; ``import.no_buildings``.
    """
    with readable(path):
        harvest = _gather(path)
    findings = _torn_buildings(harvest)
    buildings = _buildings(harvest)
    if not len(buildings):
        raise InvalidInput("import.no_buildings", path=path.name)
    zone = crs.zone_of(buildings)
    window = shapely.box(*_widened(buildings, WINDOW_MARGIN_M, zone))
    layers: dict[str, pd.DataFrame] = {
        "compounds": _frame("compounds", harvest.rows.get("compounds", [])),
        "buildings": buildings,
        "barriers": _clip(_frame("barriers", harvest.rows.get("barriers", [])), window),
        "ground": _clip(_frame("ground", harvest.rows.get("ground", [])), window),
        "pois": _frame("pois", harvest.rows.get("pois", [])),
    }
    layers["compounds"] = layers["compounds"][layers["compounds"].intersects(window)]
    layers["pois"] = layers["pois"][layers["pois"].intersects(window)]
    title = path.name.split(".")[0]
    layers["areas"], layers["communities"], more = _areas(harvest, layers, zone, title=title)
    return Town(layers, title=title), (*findings, *more)


# --- Reading ---------------------------------------------------------------------------------------------------------


def _gather(path: Path) -> _Harvest:
    harvest = _Harvest()
    wkb = osmium.geom.WKBFactory()
    source: Any = osmium.FileProcessor(str(path)).with_locations().with_areas()
    for thing in source.with_filter(osmium.filter.KeyFilter(*osm_tags.KEYS)):
        tags = {tag.k: tag.v for tag in thing.tags}
        if thing.is_node():
            _take_node(harvest, thing, tags)
        elif thing.is_way():
            _take_way(harvest, thing, tags, wkb)
        elif thing.is_area():
            _take_area(harvest, thing, tags, wkb)
        elif thing.is_relation():
            _take_relation(harvest, thing, tags)
    return harvest


def _take_node(harvest: _Harvest, node: Any, tags: Row) -> None:
    point = shapely.Point(node.location.lon, node.location.lat)
    if "addr:housenumber" in tags and (address := osm_tags.address(tags)):
        harvest.addresses.append({"address": address, "geometry": point})
    if tags.get("entrance") == "staircase":
        harvest.staircases.append(point)
    _take_poi(harvest, f"n{node.id}", tags, point)


def _take_poi(harvest: _Harvest, code: str, tags: Row, point: Any) -> None:
    if (kind := osm_tags.poi(tags)) is not None:
        harvest.add("pois", {"code": code, "kind": kind, "name": tags.get("name"), "geometry": point})


def _take_way(harvest: _Harvest, way: Any, tags: Row, wkb: Any) -> None:
    known = [node.location for node in way.nodes if node.location.valid()]
    if _is_building(tags):
        points = [(place.lon, place.lat) for place in known]
        whole = len(points) == len(way.nodes) and len(points) >= 4 and way.is_closed()
        harvest.closed_buildings[f"w{way.id}"] = {"tags": tags, "points": points if whole else None}
    kind = osm_tags.barrier(tags)
    if kind is None or len({(place.lon, place.lat) for place in known}) < 2:
        return
    line = (
        shapely.from_wkb(wkb.create_linestring(way))
        if len(known) == len(way.nodes)
        else shapely.LineString([(place.lon, place.lat) for place in known])
    )
    is_bridge = tags.get("bridge", "no") != "no"
    harvest.add("barriers", {"kind": kind, "name": tags.get("name"), "is_bridge": is_bridge, "geometry": line})


def _take_relation(harvest: _Harvest, relation: Any, tags: Row) -> None:
    if tags.get("boundary") == "administrative" and tags.get("admin_level", "").isdigit():
        harvest.boundaries.append(_boundary(f"r{relation.id}", tags, None))
    if tags.get("type") == "multipolygon" and _is_building(tags):
        harvest.torn.append(f"r{relation.id}")


def _take_area(harvest: _Harvest, area: Any, tags: Row, wkb: Any) -> None:
    if not area.num_rings()[0]:
        return  # osmium could not close it; buildings among these are looked at afterwards
    code = ("w" if area.from_way() else "r") + str(area.orig_id())
    geometry = shapely.from_wkb(wkb.create_multipolygon(area))
    if _is_building(tags):
        harvest.closed_buildings.pop(code, None)
        harvest.add("buildings", _building(code, tags, geometry))
    elif (kind := osm_tags.ground(tags)) is not None and tags.get("tunnel", "no") == "no":
        harvest.add("ground", {"kind": kind, "name": tags.get("name"), "geometry": geometry})
    if tags.get("landuse") == "residential":
        walled = tags.get("barrier") in osm_tags.WALLS or tags.get("access") in ("private", "permit")
        row = {"code": code, "name": tags.get("name"), "name_en": tags.get("name:en"), "geometry": geometry}
        harvest.add("compounds", {**row, "is_walled": walled or None})
    if tags.get("boundary") == "administrative" and tags.get("admin_level", "").isdigit() and not area.from_way():
        harvest.boundaries.append(_boundary(code, tags, geometry))
    used = osm_tags.USE_OF_AMENITY.get(tags.get("amenity", "")) or osm_tags.USE_OF_LANDUSE.get(tags.get("landuse", ""))
    if used is not None and "building" not in tags:
        harvest.usages.append({"use": used, "geometry": geometry})
    _take_poi(harvest, code, tags, geometry.representative_point())


def _is_building(tags: Row) -> bool:
    return tags.get("building", "no") not in ("no", "entrance") and tags.get("location") != "underground"


def _boundary(code: str, tags: Row, geometry: Any) -> Row:
    official = re.sub(r"\W", "", tags.get("ref") or tags.get("gb2260") or tags.get("ref:INSEE") or "")
    return {
        "code": official or code,
        "id": code,
        "level": int(tags["admin_level"]),
        "name": tags.get("name") or code,
        "name_en": tags.get("name:en"),
        "geometry": geometry,
    }


def _building(code: str, tags: Row, geometry: Any) -> Row:
    floors = _number(tags.get("building:levels") or tags.get("levels"))
    if floors is not None:
        floors = max(1.0, float(np.ceil(floors)))  # 2.5 levels: an attic that is lived in
    return {
        "code": code,
        "name": tags.get("name"),
        "address": osm_tags.address(tags),
        "use": osm_tags.use(tags),
        "floors": floors if floors is None or floors <= 200 else None,
        "height_m": _number(tags.get("height") or tags.get("building:height"), low=0.1, high=1000),
        "households": _number(tags.get("building:flats"), low=0, high=5000),
        "geometry": geometry,
    }


def _number(text: str | None, *, low: float = 0.0, high: float = 1e6) -> float | None:
    found = re.match(r"\s*(\d+(?:[.,]\d+)?)\s*(m|'|ft)?", text or "")
    if not found:
        return None
    value = float(found[1].replace(",", ".")) * (0.3048 if found[2] in ("'", "ft") else 1.0)
    return value if low <= value <= high else None


# --- Putting together ------------------------------------------------------------------------------------------------


def _frame(layer: str, rows: list[Row]) -> gpd.GeoDataFrame:
    data = gpd.GeoDataFrame(rows or {"geometry": []}, geometry="geometry", crs=WGS84)
    frame = conform(layer, data)
    assert isinstance(frame, gpd.GeoDataFrame)
    return frame


def _torn_buildings(harvest: _Harvest) -> list[Finding]:
    """Take in self-crossing outlines as they are (cleaning repairs them); report those the extract cuts."""
    made = {row["code"] for row in harvest.rows.get("buildings", [])}
    findings = []
    for code, left in sorted(harvest.closed_buildings.items()):
        if left["points"] is not None:
            harvest.add("buildings", _building(code, left["tags"], shapely.MultiPolygon([(left["points"], [])])))
        else:
            findings.append(Finding("import.osm_cut_building", Severity.REJECTED, "buildings", key=code))
    cut = sorted(set(harvest.torn) - made)
    return findings + [Finding("import.osm_cut_building", Severity.REJECTED, "buildings", key=code) for code in cut]


def _buildings(harvest: _Harvest) -> gpd.GeoDataFrame:
    frame = _frame(
        "buildings", sorted(harvest.rows.get("buildings", []), key=lambda row: (row["code"][0], row["code"]))
    )
    if not len(frame):
        return frame
    inside = shapely.point_on_surface(shapely.make_valid(frame.geometry.to_numpy()))
    _fill_use(frame, inside, harvest.usages)
    _fill_addresses(frame, harvest.addresses)
    _count_staircases(frame, harvest.staircases)
    return frame


def _fill_use(frame: gpd.GeoDataFrame, inside: NDArray[np.object_], usages: list[Row]) -> None:
    """Give a plain building the use of the smallest ground it stands on."""
    if not usages:
        return
    grounds = np.array([row["geometry"] for row in usages], dtype=object)
    order = np.argsort(-shapely.area(grounds), kind="stable")
    building, ground = shapely.STRtree(grounds[order]).query(inside, predicate="intersects")
    smallest = pd.Series(ground, index=building).groupby(level=0).max()
    uses = np.array([row["use"] for row in usages], dtype=object)[order]
    found = pd.Series(uses[smallest.to_numpy()], index=frame.index[smallest.index.to_numpy()], dtype="string")
    frame["use"] = frame["use"].fillna(found)


def _fill_addresses(frame: gpd.GeoDataFrame, addresses: list[Row]) -> None:
    if not addresses:
        return
    points = np.array([row["geometry"] for row in addresses], dtype=object)
    shapes = shapely.make_valid(frame.geometry.to_numpy())
    building, point = shapely.STRtree(points).query(shapes, predicate="intersects")
    words = np.array([row["address"] for row in addresses], dtype=object)
    found = pd.Series(words[point], index=frame.index[building]).groupby(level=0).min()
    frame["address"] = frame["address"].fillna(found.astype("string"))


def _count_staircases(frame: gpd.GeoDataFrame, staircases: list[Any]) -> None:
    if not staircases:
        return
    zone = crs.zone_of(frame)
    points = crs.to_metric(gpd.GeoSeries(staircases, crs=WGS84), zone).to_numpy()
    shapes = shapely.make_valid(crs.to_metric(frame.geometry, zone).to_numpy())
    point, building = shapely.STRtree(shapes).query_nearest(points, max_distance=STAIRCASE_REACH_M, all_matches=False)
    counts = pd.Series(point).groupby(frame.index[building]).size()
    frame["units"] = frame["units"].fillna(counts.astype("Int64"))


def _widened(frame: gpd.GeoDataFrame, margin_m: float, zone: int) -> tuple[float, float, float, float]:
    west, south, east, north = crs.to_metric(frame.geometry, zone).total_bounds
    corners = shapely.box(west - margin_m, south - margin_m, east + margin_m, north + margin_m)
    wide = crs.to_wgs84(gpd.GeoSeries([corners], crs=zone)).total_bounds
    return tuple(float(value) for value in wide)  # type: ignore[return-value]  # four of them


def _clip(frame: gpd.GeoDataFrame, window: Any) -> gpd.GeoDataFrame:
    """Cut what reaches over the window; cut lines fall into one row a piece."""
    if not len(frame):
        return frame
    near = frame[frame.intersects(window)]
    shapes = near.geometry.to_numpy()
    over = ~shapely.within(shapes, window)
    shapes[over] = shapely.intersection(shapely.make_valid(shapes[over]), window)
    wanted = (3, 6) if shapely.get_type_id(frame.geometry.iloc[0]) in (3, 6) else (1, 5)
    pieces = near.set_geometry(gpd.GeoSeries(shapes, index=near.index, crs=WGS84))
    kept = shapely.get_type_id(shapes)
    if (kept == 7).any() or wanted == (1, 5):
        pieces = pieces.explode(index_parts=False)
    pieces = pieces[np.isin(shapely.get_type_id(pieces.geometry.to_numpy()), wanted) & ~pieces.geometry.is_empty]
    return pieces.reset_index(drop=True)


# --- Areas -----------------------------------------------------------------------------------------------------------


def _areas(
    harvest: _Harvest, layers: dict[str, pd.DataFrame], zone: int, *, title: str
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame, tuple[Finding, ...]]:
    """The tree down to the communities: boundaries that are whole, else names without ground and the outline."""
    whole = {row["id"]: row for row in harvest.boundaries if row["geometry"] is not None}
    communities, level = _whole_communities(whole.values(), layers["buildings"])
    findings: tuple[Finding, ...] = ()
    slug = re.sub(r"\W+", "_", title, flags=re.ASCII).strip("_").lower() or "extract"
    if not communities:
        outline = _outline(layers["buildings"], layers["barriers"], zone)
        communities = [{"code": slug, "name": title, "name_en": None, "geometry": outline}]
        findings = (Finding("import.osm_outline_community", Severity.NOTE, "communities", key=slug),)
    # Beside whole communities a boundary that is not whole may well be the neighbour's.
    named = {row["id"]: row for row in harvest.boundaries} | whole if level is None else whole
    areas = _chain(named.values(), slug=slug, title=title)
    for row in communities:
        row["parent"] = areas[-1]["code"] if level is None else _parent(row, areas)
    return _frame("areas", areas), _frame("communities", communities), findings


def _whole_communities(boundaries: Iterable[Row], buildings: gpd.GeoDataFrame) -> tuple[list[Row], int | None]:
    """Boundaries of the first level of communities that is whole and holds at least half the buildings."""
    inside = shapely.point_on_surface(shapely.make_valid(buildings.geometry.to_numpy()))
    for level in osm_tags.COMMUNITY_LEVELS:
        rows = sorted((dict(row) for row in boundaries if row["level"] == level), key=lambda row: str(row["code"]))
        shapes = np.array([row["geometry"] for row in rows], dtype=object)
        rows = [row for row, used in zip(rows, _holds(shapes, inside), strict=True) if used]
        held = len(np.unique(shapely.STRtree(shapes).query(inside, predicate="intersects")[0])) if rows else 0
        if held * 2 >= len(inside):
            return rows, level
    return [], None


def _holds(shapes: NDArray[np.object_], points: NDArray[np.object_]) -> NDArray[np.bool_]:
    if not len(shapes):
        return np.zeros(0, dtype=bool)
    found = shapely.STRtree(points).query(shapes, predicate="intersects")[0]
    return np.isin(np.arange(len(shapes)), found)


def _chain(boundaries: Iterable[Row], *, slug: str, title: str) -> list[Row]:
    """A city, its county or counties and streets; a level that the extract does not name gets a node of its own."""
    areas: list[Row] = []
    parent: Row | None = None
    rows = list(boundaries)
    for name in ("city", "county", "street"):
        levels = [level for level, called in osm_tags.AREA_LEVEL.items() if called == name]
        best = max((row["level"] for row in rows if row["level"] in levels), default=None)
        here = sorted((row for row in rows if row["level"] == best), key=lambda row: str(row["id"]))
        if len(here) != 1 and not (name == "street" and here and all(row["geometry"] is not None for row in here)):
            here = [{"code": f"{slug}_{name}", "name": title, "name_en": None, "geometry": None}]
        above = None if parent is None else parent["code"]
        areas += [{**row, "level": name, "parent": above} for row in here]
        parent = areas[-1] if len(here) == 1 else parent
    return areas


def _parent(community: Row, areas: list[Row]) -> str:
    streets = [area for area in areas if area["level"] == "street"]
    point = community["geometry"].representative_point()
    inside = [area for area in streets if area["geometry"] is not None and area["geometry"].intersects(point)]
    return str((inside or streets)[0]["code"])


def _outline(buildings: gpd.GeoDataFrame, barriers: gpd.GeoDataFrame, zone: int) -> Any:
    """Concave hull of the buildings and of the roads among them, a little widened, without holes."""
    houses = shapely.make_valid(crs.to_metric(buildings.geometry, zone).to_numpy())
    roads = barriers[barriers["kind"].isin(["arterial", "secondary", "minor"])]
    streets = crs.to_metric(roads.geometry, zone).to_numpy() if len(roads) else np.array([], dtype=object)
    among = shapely.intersection(streets, shapely.box(*shapely.total_bounds(houses)))
    corners = np.vstack([shapely.get_coordinates(houses), shapely.get_coordinates(shapely.segmentize(among, 20.0))])
    hull = shapely.concave_hull(shapely.MultiPoint(corners), ratio=OUTLINE_RATIO)
    closed = shapely.union_all([hull, *houses]).buffer(OUTLINE_NOTCH_M).buffer(OUTLINE_MARGIN_M - OUTLINE_NOTCH_M)
    hull = closed.simplify(1.0)  # well within the margin: no wall comes to stand outside
    largest = max(shapely.get_parts(hull), key=shapely.area)
    ring = shapely.MultiPolygon([shapely.Polygon(largest.exterior)])
    return crs.to_wgs84(gpd.GeoSeries([ring], crs=zone)).iloc[0]
