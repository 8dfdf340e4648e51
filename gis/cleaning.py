"""Cleaning: what only shows when rows are looked at together is repaired or kept out, and reported row by row.

`clean` takes a town as files and generators give it and gives one that can be divided and stored: communities that
fit each other exactly on the storage lattice, valid footprints that do not overlap, every building with its community
and compound. A clean town comes out as it went in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import crs
from gis.findings import Finding, Severity
from gis.geometry import FloatArray, Geometries, Lattice, as_polygons, dissolve, faces_of, segments_of
from gis.town import LAYERS, Town, conform

BoolArray = NDArray[np.bool_]

ROUNDING_M2 = 0.5  # smaller overlaps and gaps are the lattice's own and not worth a word
SLIVER_WIDTH_M = 3.0  # a narrower gap between communities is a drawing error, a wider one is somebody else's land
TINY_M2 = 1.0
SAME_GROUND_RATIO = 0.9
ACROSS_RATIO = 0.05
MOST_FLOORS = 200
MOST_UNITS = 60


@dataclass
class _Log:
    """Findings of a layer while it is cleaned."""

    layer: str
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: str, severity: Severity, frame: pd.DataFrame, at: int, **params: object) -> None:
        """Note something about the row at a position of a frame."""
        label = frame.index[at]
        row = int(label) + 1 if isinstance(label, int | np.integer) else at + 1
        key = frame["code"].iloc[at] if "code" in frame else None
        key = None if key is None or pd.isna(key) else str(key)
        self.findings.append(Finding(code, severity, self.layer, row, key, dict(params)))


def clean(town: Town) -> tuple[Town, tuple[Finding, ...]]:
    """Repair a town across its rows.

    Returns
    -------
    Town
        Same layers, rows that cannot be used left out.
    tuple of Finding
        One for every row that was changed or left out, and notes.

    Notes
    -----
    Measures are taken in the metric zone of the communities (`gis.crs.zone_of`). Without communities only rows are
    looked at, and no building gets one.
    """
    layers = {name: conform(name, town[name]) for name in town}
    logs: dict[str, _Log] = {name: _Log(name) for name in layers}
    for name, frame in layers.items():
        if LAYERS[name].geometry is not None:
            layers[name] = _usable(frame, name, logs[name])
    zone = _zone(layers)
    if zone is not None:
        if "communities" in layers:
            layers["communities"] = _communities(layers["communities"], zone, logs["communities"])
        if "compounds" in layers:
            layers["compounds"] = _compounds(layers["compounds"], layers.get("communities"), zone, logs["compounds"])
        if "buildings" in layers:
            layers["buildings"] = _buildings(layers, zone, logs["buildings"])
            _look_for_empty(layers, logs)
    findings = [finding for log in logs.values() for finding in log.findings]
    return Town(layers, title=town.title), tuple(findings)


def _zone(layers: dict[str, pd.DataFrame]) -> int | None:
    for name in ("communities", "buildings", "compounds"):
        if name in layers and len(layers[name]):
            return crs.zone_of(layers[name])
    return None


# --- Single rows -----------------------------------------------------------------------------------------------------


def _usable(frame: pd.DataFrame, name: str, log: _Log) -> pd.DataFrame:
    """Leave out rows without what they need, and second rows of a code; make polygons valid."""
    keep = np.ones(len(frame), dtype=bool)
    if LAYERS[name].key == "code":
        codes = frame["code"].fillna("").str.strip()
        for at in np.flatnonzero(codes == ""):
            log.add("cleaning.no_code", Severity.REJECTED, frame, int(at))
            keep[at] = False
        for at in np.flatnonzero(codes.duplicated() & (codes != "")):
            log.add("cleaning.duplicate_code", Severity.REJECTED, frame, int(at))
            keep[at] = False
    if LAYERS[name].geometry_required:
        geometry = np.asarray(frame.geometry.to_numpy(), dtype=object)
        for at in np.flatnonzero(keep & (shapely.is_missing(geometry) | shapely.is_empty(geometry))):
            log.add("cleaning.no_geometry", Severity.REJECTED, frame, int(at))
            keep[at] = False
    if "kind" in frame:
        for at in np.flatnonzero(keep & ~frame["kind"].isin(LAYERS[name].columns["kind"].choices).to_numpy(bool)):
            kind = frame["kind"].iloc[at]
            log.add("cleaning.unknown_kind", Severity.REJECTED, frame, int(at), kind=None if pd.isna(kind) else kind)
            keep[at] = False
    frame = frame[keep]
    return _valid(frame, log) if LAYERS[name].geometry == "polygon" else frame


def _valid(frame: gpd.GeoDataFrame, log: _Log) -> gpd.GeoDataFrame:
    geometry = np.asarray(frame.geometry.to_numpy(), dtype=object)
    present = ~shapely.is_missing(geometry)
    flat = np.isin(shapely.get_type_id(geometry), (3, 6))
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers make no area
        areas = np.nan_to_num(shapely.area(geometry))
    bad = np.flatnonzero(present & (~shapely.is_valid(geometry) | ~flat | (areas == 0)))
    if not len(bad):
        return frame
    fixed, keep = geometry.copy(), np.ones(len(frame), dtype=bool)
    fixed[bad] = as_polygons(geometry[bad])
    for at in bad:
        if fixed[at].is_empty:
            log.add("cleaning.no_area", Severity.REJECTED, frame, int(at))
            keep[at] = False
        else:
            reason = str(shapely.is_valid_reason(geometry[at]))
            log.add("cleaning.invalid_geometry", Severity.REPAIRED, frame, int(at), reason=reason.partition("[")[0])
    return frame.set_geometry(gpd.GeoSeries(fixed, index=frame.index, crs=frame.crs))[keep]


# --- Communities -----------------------------------------------------------------------------------------------------


def _communities(frame: gpd.GeoDataFrame, zone: int, log: _Log) -> gpd.GeoDataFrame:
    """Make communities a coverage: overlaps given to one, slivers between them closed, borders on shared vertices."""
    if not len(frame):
        return frame
    polygons = np.asarray(frame.geometry.to_numpy(), dtype=object)
    lattice = Lattice.at(shapely.box(*shapely.total_bounds(polygons)), zone)
    on_lattice = as_polygons(lattice.from_wgs84(polygons))
    faces = faces_of(shapely.boundary(on_lattice))
    face, community = shapely.STRtree(on_lattice).query(shapely.point_on_surface(faces), predicate="intersects")
    claims = np.bincount(face, minlength=len(faces))
    owner = np.full(len(faces), -1, dtype=np.int64)
    owner[face] = community
    owner[claims > 1] = -1
    faces_m = lattice.to_metric(faces)
    area = shapely.area(faces_m)
    width = 2 * area / np.maximum(shapely.length(faces_m), 1e-9)
    claimed: dict[int, list[int]] = {}
    for f, c in zip(face.tolist(), community.tolist(), strict=True):
        if claims[f] > 1:
            claimed.setdefault(f, []).append(c)
    open_faces = np.flatnonzero((claims > 1) | ((claims == 0) & (width < SLIVER_WIDTH_M / 2)))
    _give_away(faces, owner, open_faces, claimed)
    _tell_communities(frame, owner, claims, claimed, area, log)
    held = owner >= 0
    merged = dissolve(faces[held], owner[held], len(frame))
    merged = _without_crumbs(merged, lattice)
    kept = ~shapely.is_empty(merged)
    for at in np.flatnonzero(~kept):
        log.add("cleaning.community_swallowed", Severity.REJECTED, frame, int(at))
    series = gpd.GeoSeries(lattice.to_wgs84(merged), index=frame.index, crs=frame.crs)
    return frame.set_geometry(series)[kept]


def _give_away(
    faces: Geometries, owner: NDArray[np.int64], open_faces: NDArray[np.int64], claimed: dict[int, list[int]]
) -> None:
    """Settle disputed and unclaimed faces: to the neighbour (among the claimants) with the longest common border."""
    waiting = {int(f) for f in open_faces}
    beside = _beside(faces, waiting)
    while waiting:
        settled = {f: c for f in sorted(waiting) if (c := _leans_on(beside[f], owner, claimed.get(f))) is not None}
        if not settled:  # nobody's ground around them: to the first claimant
            settled = {f: min(claimed[f]) for f in sorted(waiting) if f in claimed}
        if not settled:
            return
        for f, c in settled.items():
            owner[f] = c
        waiting -= set(settled)


def _beside(faces: Geometries, wanted: set[int]) -> dict[int, list[tuple[int, float]]]:
    """The neighbours of some faces, with the length of each common piece of border."""
    beside: dict[int, list[tuple[int, float]]] = {f: [] for f in wanted}
    if not wanted:
        return beside
    pieces = segments_of(faces)
    length = np.hypot(*(pieces.end - pieces.start).T)
    for (a, b), metres in zip(pieces.face.tolist(), length.tolist(), strict=True):
        if a in beside and b >= 0:
            beside[a].append((b, metres))
        if b in beside:
            beside[b].append((a, metres))
    return beside


def _leans_on(neighbours: list[tuple[int, float]], owner: NDArray[np.int64], claimants: list[int] | None) -> int | None:
    """The owner (one of the claimants, if there are any) with the longest border; ``None`` if none is settled."""
    lean: dict[int, float] = {}
    for other, metres in neighbours:
        c = int(owner[other])
        if c >= 0 and (claimants is None or c in claimants):
            lean[c] = lean.get(c, 0.0) + metres
    return max(lean, key=lambda c: (lean[c], -c)) if lean else None


def _tell_communities(
    frame: gpd.GeoDataFrame, owner: NDArray[np.int64], claims: NDArray[np.int64],
    claimed: dict[int, list[int]], area: FloatArray, log: _Log,
) -> None:  # fmt: skip
    codes = frame["code"].astype(str).tolist()
    overlaps: dict[tuple[int, int, int], float] = {}
    for f, claimants in sorted(claimed.items()):
        winner = int(owner[f])
        for loser in claimants:
            if loser != winner:
                key = (loser, winner, 0)
                overlaps[key] = overlaps.get(key, 0.0) + float(area[f])
    for (loser, winner, _), m2 in sorted(overlaps.items()):
        if m2 >= ROUNDING_M2:
            log.add(
                "cleaning.communities_overlap",
                Severity.REPAIRED,
                frame,
                loser,
                other=codes[winner],
                area_m2=round(m2, 1),
            )
    filled = np.bincount(owner[(claims == 0) & (owner >= 0)], area[(claims == 0) & (owner >= 0)], len(codes))
    for at in np.flatnonzero(filled >= ROUNDING_M2):
        log.add("cleaning.gap_closed", Severity.REPAIRED, frame, int(at), area_m2=round(float(filled[at]), 1))


def _without_crumbs(polygons: Geometries, lattice: Lattice) -> Geometries:
    """Drop pieces below rounding, which a resolved overlap can leave."""
    result = polygons.copy()
    for i, polygon in enumerate(polygons):
        parts = shapely.get_parts(polygon)
        if len(parts) > 1:
            large = parts[shapely.area(lattice.to_metric(parts)) >= ROUNDING_M2]
            if 0 < len(large) < len(parts):
                result[i] = large[0] if len(large) == 1 else shapely.multipolygons(large)
    return result


# --- Compounds -------------------------------------------------------------------------------------------------------


def _compounds(frame: gpd.GeoDataFrame, communities: pd.DataFrame | None, zone: int, log: _Log) -> gpd.GeoDataFrame:
    """Take overlaps of compounds from the later one; find the community of each."""
    if not len(frame):
        return frame
    shapes = _metric(frame, zone)
    shapes, keep = _apart(frame, shapes, log, "cleaning.compounds_overlap", same_ground=None)
    frame = _with_metric(frame, shapes, keep, zone)
    if communities is None or not len(communities):
        return frame
    _, best, _ = _shares(_metric(frame, zone), _metric(communities, zone))
    codes = communities["code"].to_numpy()
    given = frame["community"].isin(codes)
    found = pd.array([codes[b] if b >= 0 else None for b in best], dtype="string")
    return frame.assign(community=np.where(given, frame["community"], found)).astype({"community": "string"})


def _metric(frame: pd.DataFrame, zone: int) -> Geometries:
    geometry = np.asarray(frame.geometry.to_numpy(), dtype=object)
    if not len(geometry):
        return geometry
    return np.asarray(shapely.transform(geometry, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


def _with_metric(frame: gpd.GeoDataFrame, shapes_m: Geometries, keep: BoolArray, zone: int) -> gpd.GeoDataFrame:
    """The frame with changed shapes; unchanged rows keep their very coordinates."""
    before = _metric(frame, zone)
    geometry = np.asarray(frame.geometry.to_numpy(), dtype=object).copy()
    changed = np.array([a is not b and not shapely.equals_exact(a, b) for a, b in zip(before, shapes_m, strict=True)])
    changed = changed.astype(bool) & keep
    if changed.any():
        geometry[changed] = crs.geometries_to_wgs84(shapes_m[changed], f"EPSG:{zone}")
    return frame.set_geometry(gpd.GeoSeries(geometry, index=frame.index, crs=frame.crs))[keep]


def _apart(
    frame: gpd.GeoDataFrame, shapes_m: Geometries, log: _Log, code: str, *, same_ground: BoolArray | None
) -> tuple[Geometries, BoolArray]:
    """Take the overlap of two polygons from the larger one; rows that nearly coincide are told apart by the caller.

    Parameters
    ----------
    same_ground : bool array or None
        Rows that may stay on the ground of another (they house people of their own).
    """
    shapes, keep = shapes_m.copy(), np.ones(len(shapes_m), dtype=bool)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = sorted({(int(a), int(b)) for a, b in zip(first, second, strict=True) if a < b})
    for a, b in pairs:
        if not (keep[a] and keep[b]):
            continue
        common = shapely.area(shapely.intersection(shapes[a], shapes[b]))
        areas = shapely.area(shapes[[a, b]])
        if common < ROUNDING_M2 and common < 0.02 * areas.min():
            continue
        if common >= SAME_GROUND_RATIO * areas.min():
            if same_ground is not None and same_ground[b]:
                log.add("cleaning.same_ground", Severity.NOTE, frame, b, other=str(frame["code"].iloc[a]))
                continue
            if common >= SAME_GROUND_RATIO * areas.max():
                keep[b] = False
                log.add("cleaning.same_outline", Severity.REJECTED, frame, b, other=str(frame["code"].iloc[a]))
                continue
        large, small = (a, b) if areas[0] >= areas[1] else (b, a)
        rest = as_polygons(np.array([shapely.difference(shapes[large], shapes[small])], dtype=object))[0]
        if shapely.area(rest) < TINY_M2:
            continue
        shapes[large] = rest
        log.add(
            code, Severity.REPAIRED, frame, large, other=str(frame["code"].iloc[small]), area_m2=round(float(common), 1)
        )
    return shapes, keep


def _shares(
    inner_m: Geometries, outer_m: Geometries
) -> tuple[dict[int, list[tuple[float, int]]], NDArray[np.int64], FloatArray]:
    """For each inner polygon the outer ones it lies in with their share of it; the best of them (-1) and its share."""
    at, where = shapely.STRtree(outer_m).query(inner_m, predicate="intersects")
    share = np.ones(len(at))
    several = np.flatnonzero(~shapely.contains_properly(outer_m[where], inner_m[at]))
    if len(several):
        common = shapely.area(shapely.intersection(inner_m[at[several]], outer_m[where[several]]))
        share[several] = common / np.maximum(shapely.area(inner_m[at[several]]), 1e-9)
    found: dict[int, list[tuple[float, int]]] = {}
    best = np.full(len(inner_m), -1, dtype=np.int64)
    ratio = np.zeros(len(inner_m))
    for i, j, s in zip(at.tolist(), where.tolist(), share.tolist(), strict=True):
        found.setdefault(i, []).append((s, j))
        if s > ratio[i]:
            best[i], ratio[i] = j, s
    return found, best, ratio


# --- Buildings -------------------------------------------------------------------------------------------------------


def _buildings(layers: dict[str, pd.DataFrame], zone: int, log: _Log) -> pd.DataFrame:
    frame = _numbers(layers["buildings"], log)
    frame = _placed(frame, layers.get("communities"), zone, log)
    households = frame["households"].fillna(0).to_numpy(dtype=np.int64)
    shapes = _metric(frame, zone)
    tiny = (shapely.area(shapes) < TINY_M2) & (households == 0)
    for at in np.flatnonzero(tiny):
        log.add("cleaning.tiny", Severity.REJECTED, frame, int(at))
    frame, shapes, households = frame[~tiny], shapes[~tiny], households[~tiny]
    shapes, keep = _apart(frame, shapes, log, "cleaning.footprints_overlap", same_ground=households > 0)
    frame = _with_metric(frame, shapes, keep, zone)
    return _in_compounds(frame, layers.get("compounds"), zone, log)


def _numbers(frame: gpd.GeoDataFrame, log: _Log) -> gpd.GeoDataFrame:
    """Numbers that cannot be: negative households to 0, impossible floors and staircases to unknown."""
    households = frame["households"].copy()
    for at in np.flatnonzero((households < 0).fillna(False)):
        log.add("cleaning.negative_households", Severity.REPAIRED, frame, int(at), given=int(households.iloc[at]))
    lived = frame["use"].isna() | frame["use"].isin(("residential", "mixed"))
    for at in np.flatnonzero((households.isna() & lived).to_numpy(bool)):
        log.add("cleaning.missing_households", Severity.REPAIRED, frame, int(at))
    columns: dict[str, pd.Series] = {"households": households.where(households >= 0, 0).fillna(0).astype("Int64")}
    for column, most in (("floors", MOST_FLOORS), ("units", MOST_UNITS)):
        values = frame[column]
        wrong = ((values < 1) | (values > most)).fillna(False).to_numpy(bool)
        for at in np.flatnonzero(wrong):
            log.add(f"cleaning.bad_{column}", Severity.REPAIRED, frame, int(at), given=int(values.iloc[at]))
        columns[column] = values.mask(pd.Series(wrong, index=values.index))
    return frame.assign(**columns)


def _placed(frame: gpd.GeoDataFrame, communities: pd.DataFrame | None, zone: int, log: _Log) -> gpd.GeoDataFrame:
    """Give each building the community that holds most of it; leave out what lies in none."""
    if communities is None or not len(communities) or not len(frame):
        return frame
    codes = communities["code"].astype(str).to_numpy()
    found, best, ratio = _shares(_metric(frame, zone), _metric(communities, zone))
    number = {code: i for i, code in enumerate(codes)}
    chosen = best.copy()
    for at, given in enumerate(frame["community"].astype("string")):
        if best[at] < 0:
            log.add("cleaning.outside", Severity.REJECTED, frame, at)
            continue
        shares = {j: s for s, j in found[at]}
        if not pd.isna(given) and shares.get(number.get(str(given), -1), 0.0) >= min(0.5, ratio[at]):
            chosen[at] = number[str(given)]
        elif not pd.isna(given):
            log.add("cleaning.other_community", Severity.REPAIRED, frame, at, given=str(given), found=codes[best[at]])
        beside = sorted(codes[j] for j, s in shares.items() if j != chosen[at] and s >= ACROSS_RATIO)
        if beside:
            log.add(
                "cleaning.across_communities",
                Severity.NOTE,
                frame,
                at,
                community=codes[chosen[at]],
                other=", ".join(beside),
            )
    keep = (best >= 0) & (ratio > 0)
    community = pd.array([codes[c] if c >= 0 else None for c in chosen], dtype="string")
    return frame.assign(community=community)[keep]


def _in_compounds(frame: gpd.GeoDataFrame, compounds: pd.DataFrame | None, zone: int, log: _Log) -> gpd.GeoDataFrame:
    """Find the compound of buildings that name none, or one that is not there."""
    if compounds is None or not len(compounds) or not len(frame):
        return frame
    codes = compounds["code"].astype(str).to_numpy()
    _, best, ratio = _shares(_metric(frame, zone), _metric(compounds, zone))
    found = pd.Series(pd.array([codes[b] if b >= 0 and r >= 0.5 else None for b, r in zip(best, ratio, strict=True)],
                               dtype="string"), index=frame.index)  # fmt: skip
    unknown = frame["compound"].notna() & ~frame["compound"].isin(codes)
    for at in np.flatnonzero(unknown.to_numpy(bool)):
        log.add("cleaning.unknown_compound", Severity.REPAIRED, frame, int(at), given=str(frame["compound"].iloc[at]))
    return frame.assign(compound=frame["compound"].mask(unknown).fillna(found))


def _look_for_empty(layers: dict[str, pd.DataFrame], logs: dict[str, _Log]) -> None:
    communities = layers.get("communities")
    if communities is None:
        return
    lived = set(layers["buildings"]["community"].dropna())
    for at, code in enumerate(communities["code"]):
        if code not in lived:
            logs["communities"].add("cleaning.no_buildings", Severity.NOTE, communities, at)
