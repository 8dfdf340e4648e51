"""Line networks (条线网格): what several departments have drawn over one town, looked at before they become one.

Each department has cells of its own: 综治, 城管, 食药监 … Here it is told what each network covers, where it leaves
gaps or overlaps itself, and how the networks lie to each other. Measures are taken in the metric zone of the
communities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis import crs
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.geometry import FloatArray, Geometries, IntArray, as_polygons, sums
from gis.partition.patrol import Patrol, patrol_of, straight_pieces
from gis.town import WGS84, Town

KEPT_COLUMNS = ("name", "households", "people", "responsible")
"""What a cell may say of itself beside its code and ground; it is carried along, and counted nowhere."""

WIDE_M = 2.0  # gaps and overlaps that are nowhere wider come from drawing the same line twice
WIDE_M2 = 10.0
COINCIDE_M = 5.0  # borders nearer to each other than this are one border, drawn twice
LOOK_EVERY_M = 5.0
ACROSS_RATIO = 0.01  # a cell with less of its ground in a second community only has a rough outline
SAME_PLACE_M = 5.0


@dataclass(frozen=True)
class Network:
    """The cells of one department.

    Attributes
    ----------
    code, name : str
    cells : GeoDataFrame
        EPSG:4326; column ``code``, and those of `KEPT_COLUMNS` that are known. The index is the row in its file,
        from 0.
    """

    code: str
    name: str
    cells: gpd.GeoDataFrame

    @property
    def codes(self) -> list[str]:
        """Codes of the cells, in their order."""
        return [str(code) for code in self.cells["code"]]


@dataclass(frozen=True)
class Overview:
    """How networks lie on a town.

    Attributes
    ----------
    networks : DataFrame
        One row a network: cells, area_m2, covered_ratio (of the ground of the communities), covered_households_ratio,
        gaps, gap_m2, gap_households, overlaps, overlap_m2, overlap_households, across, outside_m2.
    cover : DataFrame
        One row a network and community: area_m2, covered_m2, covered_ratio, households, covered_households,
        covered_households_ratio (missing where nobody lives).
    gaps : GeoDataFrame
        Ground of communities that no cell of a network holds, wider than `WIDE_M` somewhere and over `WIDE_M2`:
        network, community, area_m2, households. EPSG:4326.
    overlaps : GeoDataFrame
        Ground that two cells of one network hold: network, first, second, area_m2, households. EPSG:4326.
    across : DataFrame
        Cells in several communities: network, cell, communities (their codes, largest share first), main_ratio.
    pairs : DataFrame
        For each ordered pair of networks: common_m2 and common_ratio (of the first one's ground in the town),
        common_households, border_m, coinciding_m and coinciding_ratio: how much of the first one's borders runs
        within `COINCIDE_M` of the second one's.
    buildings : DataFrame
        One row a building: building, households, networks (how many it lies in).
    patrol : Patrol
        Street metres walked by all networks.
    findings : tuple of Finding
    """

    networks: pd.DataFrame
    cover: pd.DataFrame
    gaps: gpd.GeoDataFrame
    overlaps: gpd.GeoDataFrame
    across: pd.DataFrame
    pairs: pd.DataFrame
    buildings: pd.DataFrame
    patrol: Patrol
    findings: tuple[Finding, ...] = field(default=())


# --- Rows ------------------------------------------------------------------------------------------------------------


def tidy(network: Network) -> tuple[Network, tuple[Finding, ...]]:
    """Repair the rows of a network; what cannot be used is left out and told.

    Invalid outlines are made valid, rows without ground left out, rows without a code named by their number. A code
    that comes again is one cell in several pieces where it has the same people and name, or touches; else the second
    cell gets a number of its own, so that no ground and nobody's duty is lost.

    Raises
    ------
    InvalidInput
        ``merge.empty_network`` if no row is left.
    """
    log = _Log(network.name, [])
    frame = network.cells if network.cells.crs is not None else network.cells.set_crs(WGS84)
    frame = gpd.GeoDataFrame(frame.to_crs(WGS84))
    frame = frame.set_geometry(gpd.GeoSeries(_repaired(frame, log), index=frame.index, crs=WGS84))
    frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
    if not len(frame):
        raise InvalidInput("merge.empty_network", network=network.name)
    return replace(network, cells=_coded(frame, log)), tuple(log.findings)


@dataclass(frozen=True)
class _Log:
    layer: str
    findings: list[Finding]

    def add(self, code: str, severity: Severity, row: int | None, key: str | None, **params: Any) -> None:
        self.findings.append(Finding(code, severity, self.layer, row, key, params))


def _row(label: Any, at: int) -> int:
    return int(label) + 1 if isinstance(label, int | np.integer) else at + 1


def _key(code: Any) -> str | None:
    return None if code is None or pd.isna(code) or not str(code).strip() else str(code).strip()


def _repaired(frame: gpd.GeoDataFrame, log: _Log) -> Geometries:
    shapes: Geometries = np.asarray(frame.geometry.to_numpy(), dtype=object).copy()
    for at, (label, shape) in enumerate(zip(frame.index, shapes, strict=True)):
        row, key = _row(label, at), _key(frame["code"].iloc[at])
        if shape is None or shapely.is_empty(shape):
            log.add("merge.no_ground", Severity.REJECTED, row, key)
            continue
        if not np.isfinite(shapely.get_coordinates(shape)).all():
            log.add("merge.no_area", Severity.REJECTED, row, key)
            shapes[at] = None
            continue
        is_flat = shapely.get_type_id(shape) in (3, 6) and shapely.area(shape) > 0
        if is_flat and shapely.is_valid(shape):
            shapes[at] = shapely.force_2d(shape)
            continue
        reason = str(shapely.is_valid_reason(shape)).partition("[")[0]
        shapes[at] = as_polygons(shapes[at : at + 1])[0]
        if shapely.is_empty(shapes[at]) or shapely.area(shapes[at]) == 0:
            log.add("merge.no_area", Severity.REJECTED, row, key)
            shapes[at] = None
        else:
            log.add("merge.invalid_outline", Severity.REPAIRED, row, key, reason=reason)
    return shapes


def _coded(frame: gpd.GeoDataFrame, log: _Log) -> gpd.GeoDataFrame:
    rows: list[dict[str, Any]] = []
    places: dict[str, list[int]] = defaultdict(list)
    taken = {key for code in frame["code"] if (key := _key(code)) is not None}
    for at, (label, values) in enumerate(zip(frame.index, frame.to_dict("records"), strict=True)):
        made = {column: values.get(column) for column in KEPT_COLUMNS}
        key, row = _key(values["code"]), _row(label, at)
        if key is None:
            key = _free(f"{row}", taken)
            log.add("merge.no_code", Severity.REPAIRED, row, None, given=key)
        elif key in places:
            same = next((i for i in places[key] if _is_one_cell(rows[i], made, values["geometry"])), None)
            if same is not None:
                rows[same]["geometry"] = shapely.union(rows[same]["geometry"], values["geometry"])
                log.add("merge.code_again_united", Severity.REPAIRED, row, key)
                continue
            new = _free(f"{key}-{len(places[key]) + 1}", taken)
            log.add("merge.code_again", Severity.REPAIRED, row, key, given=new)
            places[key].append(len(rows))
            key = new
        places[key].append(len(rows))
        rows.append({"row": row - 1, "code": key, **made, "geometry": values["geometry"]})
    made_frame = pd.DataFrame(rows).set_index("row")
    types = {"code": "string", "name": "string", "households": "Float64", "people": "Float64", "responsible": "string"}
    for column in ("households", "people"):
        made_frame[column] = pd.to_numeric(made_frame[column], errors="coerce")
    return gpd.GeoDataFrame(made_frame.astype(types), geometry="geometry", crs=WGS84)


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    taken.add(name)
    return name


def _is_one_cell(first: Mapping[str, Any], second: Mapping[str, Any], ground: shapely.Geometry) -> bool:
    """Whether two rows of one code are pieces of one cell: nothing said of them differs, and somebody or a name is
    said, or they touch."""
    said = [(_key(first[c]), _key(second[c])) for c in ("name", "responsible")]
    if any(one != other for one, other in said):
        return False
    degrees = SAME_PLACE_M / 111_000
    return any(one is not None for one, _ in said) or bool(shapely.dwithin(first["geometry"], ground, degrees))


# --- Overview --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A town and networks in metres: what the measures are taken of.

    Attributes
    ----------
    zone : int
        EPSG code.
    communities : array of polygons, shape (communities,)
    community_codes : list of str
    buildings : list of str
    footprints : array of polygons, shape (buildings,)
    places : array of points, shape (buildings,)
        On each footprint: a building lies in the cell that holds it.
    households : int array, shape (buildings,)
    networks : tuple of Network
    cells : tuple of arrays of polygons, one a network
    """

    zone: int
    communities: Geometries
    community_codes: list[str]
    buildings: list[str]
    footprints: Geometries
    places: Geometries
    households: IntArray
    networks: tuple[Network, ...]
    cells: tuple[Geometries, ...]

    @property
    def ground(self) -> shapely.Geometry:
        """The ground of all communities."""
        return shapely.union_all(self.communities)

    def holds(self, polygons: Geometries) -> tuple[IntArray, IntArray]:
        """Pairs of building and polygon that holds it."""
        if not len(polygons) or not len(self.places):
            none = np.empty(0, dtype=np.int64)
            return none, none
        building, polygon = shapely.STRtree(polygons).query(self.places, predicate="intersects")
        order = np.lexsort((polygon, building))
        return building[order].astype(np.int64), polygon[order].astype(np.int64)


def sheet_of(town: Town, networks: Sequence[Network]) -> Sheet:
    """Project a cleaned town and tidy networks.

    Raises
    ------
    InvalidInput
        ``partition.no_communities``; ``merge.no_networks``; ``merge.same_network`` if two have one code;
        ``merge.network_elsewhere`` if none of a network's cells lies in the town.
    """
    communities = town.geo("communities")
    if not len(communities):
        raise InvalidInput("partition.no_communities")
    if not networks:
        raise InvalidInput("merge.no_networks")
    names = [network.code for network in networks]
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput("merge.same_network", networks=again)
    zone = crs.zone_of(communities)
    ground = _metric(communities.geometry.to_numpy(), zone)
    cells = tuple(_metric(network.cells.geometry.to_numpy(), zone) for network in networks)
    for network, shapes in zip(networks, cells, strict=True):
        if not len(shapely.STRtree(ground).query(shapes, predicate="intersects")[0]):
            raise InvalidInput("merge.network_elsewhere", network=network.name)
    buildings = town["buildings"]
    footprints = _metric(buildings.geometry.to_numpy(), zone) if len(buildings) else np.empty(0, dtype=object)
    return Sheet(
        zone,
        ground,
        [str(code) for code in communities["code"]],
        [str(code) for code in buildings["code"]],
        footprints,
        np.asarray(shapely.point_on_surface(footprints), dtype=object),
        buildings["households"].fillna(0).to_numpy(dtype=np.int64),
        tuple(networks),
        cells,
    )


def _metric(shapes: Any, zone: int) -> Geometries:
    moved = shapely.transform(np.asarray(shapes, dtype=object), lambda xy: crs.points_to_metric(xy, zone))
    moved = np.asarray(moved, dtype=object)
    bad = ~shapely.is_valid(moved)
    if bad.any():
        moved[bad] = as_polygons(moved[bad])
    return moved


def survey_networks(town: Town, networks: Sequence[Network]) -> Overview:
    """Look at networks over a town, before anything is drawn.

    Parameters
    ----------
    town : Town
        Cleaned: communities that do not overlap, valid footprints.
    networks : sequence of Network
        Tidy (`tidy`).

    Raises
    ------
    InvalidInput
        ``partition.no_communities``, ``merge.no_networks``, ``merge.same_network``.
    """
    return survey_sheet(sheet_of(town, networks), town)


def survey_sheet(sheet: Sheet, town: Town) -> Overview:
    """`survey_networks` of what is projected already."""
    ground = sheet.ground
    findings: list[Finding] = []
    covers, gaps, overlaps, across, rows = [], [], [], [], []
    held = np.zeros((len(sheet.networks), len(sheet.buildings)), dtype=bool)
    for number, (network, cells) in enumerate(zip(sheet.networks, sheet.cells, strict=True)):
        union = shapely.union_all(cells)
        held[number, sheet.holds(cells)[0]] = True
        covers.append(_cover(sheet, network, union, held[number]))
        gaps.append(_gaps(sheet, network, union))
        overlaps.append(_overlaps(sheet, network, cells))
        across.append(_across(sheet, network, cells, findings))
        rows.append(_row_of(network, union, ground, covers[-1], gaps[-1], overlaps[-1], across[-1]))
        _tell(network, overlaps[-1], gaps[-1], across[-1], findings)
    buildings = pd.DataFrame({"building": pd.array(sheet.buildings, dtype="string"), "households": sheet.households,
                              "networks": held.sum(axis=0)})  # fmt: skip
    return Overview(
        pd.DataFrame(rows),
        pd.concat(covers, ignore_index=True),
        _in_degrees(pd.concat(gaps, ignore_index=True), sheet.zone),
        _in_degrees(pd.concat(overlaps, ignore_index=True), sheet.zone),
        pd.concat(across, ignore_index=True),
        _pairs(sheet, ground, held),
        buildings,
        patrol_of(
            streets_of(town, sheet.zone), ground, {n.code: c for n, c in zip(sheet.networks, sheet.cells, strict=True)}
        ),
        tuple(findings),
    )


STREET_KINDS = ("arterial", "secondary", "minor")


def streets_of(town: Town, zone: int) -> Geometries:
    """Arterial, secondary and minor streets of a town, in metres."""
    barriers = town["barriers"]
    if not len(barriers):
        return np.empty(0, dtype=object)
    shapes = barriers.geometry.to_numpy()[barriers["kind"].isin(STREET_KINDS).to_numpy(dtype=bool)]
    moved = shapely.transform(np.asarray(shapes, dtype=object), lambda xy: crs.points_to_metric(xy, zone))
    return np.asarray(moved, dtype=object)


def _cover(sheet: Sheet, network: Network, union: shapely.Geometry, held: Any) -> pd.DataFrame:
    area = shapely.area(sheet.communities)
    covered = np.minimum(shapely.area(shapely.intersection(sheet.communities, union)), area)
    building, community = sheet.holds(sheet.communities)
    count = len(sheet.communities)
    lived = sums(community, sheet.households[building], count).astype(np.int64)
    reached = sums(community, np.where(held[building], sheet.households[building], 0), count).astype(np.int64)
    return pd.DataFrame(
        {
            "network": network.code,
            "community": pd.array(sheet.community_codes, dtype="string"),
            "area_m2": area,
            "covered_m2": covered,
            "covered_ratio": covered / area,
            "households": lived,
            "covered_households": reached,
            "covered_households_ratio": _ratio(reached, lived),
        }
    )


def _ratio(part: Any, whole: Any) -> FloatArray:
    """Part of a whole; missing where the whole is nothing."""
    nothing = np.full(len(np.atleast_1d(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=np.asarray(whole) > 0))


def _wide_parts(shapes: Geometries) -> tuple[Geometries, IntArray]:
    """The parts of shapes that are large and somewhere wide, and which shape each is of."""
    parts, of = shapely.get_parts(shapes, return_index=True)
    parts, of = parts[shapely.get_dimensions(parts) == 2], of[shapely.get_dimensions(parts) == 2]
    nested, outer = shapely.get_parts(parts, return_index=True)  # a collection may hold a multipolygon
    parts, of = nested, of[outer]
    kept = (shapely.area(parts) >= WIDE_M2) & ~shapely.is_empty(shapely.buffer(parts, -WIDE_M / 2))
    return np.asarray(parts[kept], dtype=object), np.asarray(of[kept], dtype=np.int64)


def _living_in(sheet: Sheet, polygons: Geometries) -> IntArray:
    building, polygon = sheet.holds(polygons)
    return sums(polygon, sheet.households[building], len(polygons)).astype(np.int64)


def _gaps(sheet: Sheet, network: Network, union: shapely.Geometry) -> pd.DataFrame:
    parts, of = _wide_parts(np.asarray(shapely.difference(sheet.communities, union), dtype=object))
    return pd.DataFrame(
        {
            "network": pd.array([network.code] * len(parts), dtype="string"),
            "community": pd.array([sheet.community_codes[i] for i in of], dtype="string"),
            "area_m2": shapely.area(parts),
            "households": _living_in(sheet, parts),
            "geometry": parts,
        }
    )


def _overlaps(sheet: Sheet, network: Network, cells: Geometries) -> pd.DataFrame:
    a, b = shapely.STRtree(cells).query(cells, predicate="intersects")
    a, b = a[a < b], b[a < b]
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    shared = np.asarray(shapely.intersection(cells[a], cells[b]), dtype=object)
    parts, of = _wide_parts(shared)
    wide = np.unique(of)
    shapes = np.array([shapely.multipolygons(parts[of == i]) for i in wide], dtype=object)
    codes = network.codes
    return pd.DataFrame(
        {
            "network": pd.array([network.code] * len(wide), dtype="string"),
            "first": pd.array([codes[int(i)] for i in a[wide]], dtype="string"),
            "second": pd.array([codes[int(i)] for i in b[wide]], dtype="string"),
            "area_m2": shapely.area(shapes) if len(shapes) else np.empty(0),
            "households": _living_in(sheet, shapes),
            "geometry": shapes,
        }
    )


def _across(sheet: Sheet, network: Network, cells: Geometries, findings: list[Finding]) -> pd.DataFrame:
    """Cells with more than `ACROSS_RATIO` of their ground in a second community; those in none are told."""
    cell, community = shapely.STRtree(sheet.communities).query(cells, predicate="intersects")
    area = shapely.area(shapely.intersection(cells[cell], sheet.communities[community]))
    whole = shapely.area(cells)
    rows: list[dict[str, Any]] = []
    for i, code in enumerate(network.codes):
        mine = np.flatnonzero((cell == i) & (area > np.maximum(ACROSS_RATIO * whole[cell], WIDE_M2)))
        if not len(mine):
            row = int(network.cells.index[i]) + 1
            findings.append(Finding("merge.cell_outside", Severity.NOTE, network.name, row, code))
        if len(mine) < 2:
            continue
        mine = mine[np.lexsort((mine, -area[mine]))]
        rows.append({"network": network.code, "cell": code,
                     "communities": ",".join(sheet.community_codes[int(community[m])] for m in mine),
                     "main_ratio": float(area[mine[0]] / whole[i])})  # fmt: skip
    return pd.DataFrame(rows, columns=["network", "cell", "communities", "main_ratio"])


def _row_of(
    network: Network,
    union: shapely.Geometry,
    ground: shapely.Geometry,
    cover: pd.DataFrame,
    gaps: pd.DataFrame,
    overlaps: pd.DataFrame,
    across: pd.DataFrame,
) -> dict[str, Any]:
    lived = int(cover["households"].sum())
    return {
        "network": network.code,
        "name": network.name,
        "cells": len(network.cells),
        "area_m2": float(shapely.area(union)),
        "covered_ratio": float(cover["covered_m2"].sum() / cover["area_m2"].sum()),
        "covered_households_ratio": cover["covered_households"].sum() / lived if lived else None,
        "gaps": len(gaps),
        "gap_m2": float(gaps["area_m2"].sum()),
        "gap_households": int(gaps["households"].sum()),
        "overlaps": len(overlaps),
        "overlap_m2": float(overlaps["area_m2"].sum()),
        "overlap_households": int(overlaps["households"].sum()),
        "across": len(across),
        "outside_m2": float(shapely.area(shapely.difference(union, ground))),
    }


def _tell(
    network: Network, overlaps: pd.DataFrame, gaps: pd.DataFrame, across: pd.DataFrame, findings: list[Finding]
) -> None:
    rows = {code: int(label) + 1 for label, code in zip(network.cells.index, network.codes, strict=True)}
    for pair in overlaps.itertuples():
        params = {"other": str(pair.second), "area_m2": round(pair.area_m2), "households": int(pair.households)}
        first = str(pair.first)
        findings.append(Finding("merge.cells_overlap", Severity.NOTE, network.name, rows[first], first, params))
    lived = gaps[gaps["households"] > 0]
    for community, of in lived.groupby("community", sort=True):
        params = {"gaps": len(of), "households": int(of["households"].sum()), "area_m2": round(of["area_m2"].sum())}
        findings.append(Finding("merge.gap", Severity.NOTE, network.name, None, str(community), params))
    for cell in across.itertuples():
        params = {"communities": str(cell.communities).split(",")}
        code = str(cell.cell)
        findings.append(Finding("merge.cell_across", Severity.NOTE, network.name, rows[code], code, params))


def _in_degrees(frame: pd.DataFrame, zone: int) -> gpd.GeoDataFrame:
    shapes = np.asarray(frame["geometry"].to_numpy(), dtype=object)
    moved = crs.geometries_to_wgs84(shapes, f"EPSG:{zone}") if len(shapes) else shapes
    return gpd.GeoDataFrame(frame.drop(columns="geometry"), geometry=gpd.GeoSeries(moved, crs=WGS84))


# --- Between networks ------------------------------------------------------------------------------------------------


def borders_of(cells: Geometries, ground: shapely.Geometry) -> shapely.Geometry:
    """The borders of cells inside a ground, each once."""
    return shapely.intersection(shapely.union_all(shapely.boundary(cells)), ground)


def _pairs(sheet: Sheet, ground: shapely.Geometry, held: Any) -> pd.DataFrame:
    unions = [shapely.intersection(shapely.union_all(cells), ground) for cells in sheet.cells]
    borders = [straight_pieces(borders_of(cells, ground), LOOK_EVERY_M) for cells in sheet.cells]
    rows: list[dict[str, Any]] = []
    for i, first in enumerate(sheet.networks):
        for j, second in enumerate(sheet.networks):
            if i == j:
                continue
            common = float(shapely.area(shapely.intersection(unions[i], unions[j])))
            near = borders[i].near(borders[j], COINCIDE_M)
            border_m, coinciding_m = borders[i].length_m.sum(), borders[i].length_m[near].sum()
            rows.append(
                {
                    "first": first.code,
                    "second": second.code,
                    "common_m2": common,
                    "common_ratio": common / max(float(shapely.area(unions[i])), 1e-9),
                    "common_households": int(sheet.households[held[i] & held[j]].sum()),
                    "border_m": float(border_m),
                    "coinciding_m": float(coinciding_m),
                    "coinciding_ratio": float(coinciding_m / max(border_m, 1e-9)),
                }
            )
    columns = ["first", "second", "common_m2", "common_ratio", "common_households", "border_m", "coinciding_m",
               "coinciding_ratio"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
