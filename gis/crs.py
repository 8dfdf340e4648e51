"""Coordinate systems: the only file that knows their codes and transforms between them.

Everything is stored in WGS-84 (EPSG:4326, longitude first) and computed in one metric zone per computation
(`zone_of`). What comes in another system is converted at the door; GCJ-02 and BD-09, which are shifted by hundreds of
metres, are never stored. WGS-84 and CGCS2000 differ by less than our data's accuracy: PROJ has only an identity step
between them, and so have we.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError
from shapely.geometry.base import BaseGeometry

from gis.errors import InvalidGeometry, InvalidInput, UnknownCrs

FloatArray = NDArray[np.float64]
Shift = Literal["gcj02", "bd09"]
Frame = TypeVar("Frame", gpd.GeoDataFrame, gpd.GeoSeries)

WGS84_CODE = 4326
CGCS2000_CODE = 4490

CHINA_LON = (73.5, 136.5)
CHINA_LAT = (15.0, 55.0)

_FIRST_ZONE_CM, _LAST_ZONE_CM = 75, 135
_FIRST_CM_CODE = 4534
_FIRST_NUMBERED_CODE = 4513
_FIRST_ZONE_NUMBER = 25

# Where the public GCJ-02 formula shifts at all; outside it is the identity.
_SHIFTED_LON = (72.004, 137.8347)
_SHIFTED_LAT = (0.8293, 55.8271)
_AXIS_M = 6_378_245.0  # Krasovsky 1940, as the formula has it
_ECCENTRICITY2 = 0.00669342162296594323
_BD_TURN = math.pi * 3000.0 / 180.0


@dataclass(frozen=True, slots=True)
class Crs:
    """A coordinate system by name.

    Attributes
    ----------
    name : str
        For people and records: ``"EPSG:4550"``, ``"gcj02"``.
    definition : str
        What PROJ understands: an authority code or WKT. For a shifted system that of the system below the shift.
    shift : {"gcj02", "bd09"} or None
        The shift that lies on top.
    """

    name: str
    definition: str
    shift: Shift | None = None

    @property
    def proj(self) -> pyproj.CRS:
        """The system as PROJ has it (without the shift)."""
        return _proj(self.definition)

    @property
    def is_geographic(self) -> bool:
        """Whether coordinates are degrees."""
        return bool(self.proj.is_geographic)

    @property
    def is_wgs84(self) -> bool:
        """Whether coordinates can be stored as they are: WGS-84, or CGCS2000, equal at our accuracy."""
        if self.shift is not None or not self.is_geographic:
            return False
        return self.proj.to_epsg(min_confidence=70) in (WGS84_CODE, CGCS2000_CODE) or self.definition == "OGC:CRS84"


WGS84 = Crs("EPSG:4326", "EPSG:4326")
CGCS2000 = Crs("EPSG:4490", "EPSG:4490")
GCJ02 = Crs("gcj02", "EPSG:4326", "gcj02")
BD09 = Crs("bd09", "EPSG:4326", "bd09")

_NAMES = {
    "wgs84": WGS84,
    "wgs1984": WGS84,
    "gps": WGS84,
    "crs84": WGS84,
    "cgcs2000": CGCS2000,
    "国家2000": CGCS2000,
    "大地2000": CGCS2000,
    "gcj02": GCJ02,
    "gcj": GCJ02,
    "amap": GCJ02,
    "高德": GCJ02,
    "火星坐标": GCJ02,
    "bd09": BD09,
    "bd09ll": BD09,
    "baidu": BD09,
    "百度": BD09,
}


def parse(name: str | int | Crs) -> Crs:
    """Find a coordinate system by what people call it.

    Understood: ``wgs84``, ``cgcs2000``, ``gcj02``, ``bd09`` (any case, with or without dashes); ``4326``,
    ``EPSG:4550``; ``cgcs2000/123E`` for the 3-degree zone of a central meridian (eastings without zone number) and
    ``cgcs2000/zone41`` for the numbered form (eastings that begin with the zone number); WKT.

    Raises
    ------
    UnknownCrs
        ``crs.unknown``; ``crs.no_zone`` for a central meridian or zone that CGCS2000 has not.

    Examples
    --------
    >>> parse("CGCS2000 / 123E").name, parse("cgcs2000-zone41").name, parse("GCJ-02").shift
    ('EPSG:4550', 'EPSG:4529', 'gcj02')
    """
    if isinstance(name, Crs):
        return name
    words = str(name).strip()
    plain = re.sub(r"[\s_\-/:.]", "", words.lower())
    if plain in _NAMES:
        return _NAMES[plain]
    if zone := re.fullmatch(r"(?:cgcs2000|国家2000)(?:cm)?(\d{2,3})e", plain):
        return _meridian_zone(int(zone[1]))
    if zone := re.fullmatch(r"(?:cgcs2000|国家2000)(?:zone|带)(\d{2})(?:带)?", plain):
        return _numbered_zone(int(zone[1]))
    if number := re.fullmatch(r"(?:epsg)?(\d{4,6})", plain):
        return from_proj(_known(f"EPSG:{number[1]}", words))
    # PROJ would also guess at names ("beijing" finds the datum of 1954): only what is exact goes on.
    if not re.fullmatch(r"[A-Za-z]+:\w+|\w+\[.*\]", words, flags=re.DOTALL):
        raise UnknownCrs("crs.unknown", crs=words[:80])
    return from_proj(_known(words, words))


def _meridian_zone(meridian_deg: int) -> Crs:
    steps, rest = divmod(meridian_deg - _FIRST_ZONE_CM, 3)
    if rest or not _FIRST_ZONE_CM <= meridian_deg <= _LAST_ZONE_CM:
        raise UnknownCrs("crs.no_zone", zone=f"{meridian_deg}E", first="75E", last="135E")
    code = f"EPSG:{_FIRST_CM_CODE + steps}"
    return Crs(code, code)


def _numbered_zone(number: int) -> Crs:
    last = _FIRST_ZONE_NUMBER + (_LAST_ZONE_CM - _FIRST_ZONE_CM) // 3
    if not _FIRST_ZONE_NUMBER <= number <= last:
        raise UnknownCrs("crs.no_zone", zone=str(number), first=str(_FIRST_ZONE_NUMBER), last=str(last))
    code = f"EPSG:{_FIRST_NUMBERED_CODE + number - _FIRST_ZONE_NUMBER}"
    return Crs(code, code)


def _known(definition: str, said: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(definition)
    except CRSError as error:
        raise UnknownCrs("crs.unknown", crs=said[:80]) from error


def from_proj(crs: pyproj.CRS) -> Crs:
    """The coordinate system that a file carries, by its authority code where it has one.

    Raises
    ------
    UnknownCrs
        ``crs.not_horizontal`` for a geocentric, vertical or local system.
    """
    if crs.is_compound and crs.sub_crs_list:
        crs = crs.sub_crs_list[0]
    if not (crs.is_geographic or crs.is_projected):
        raise UnknownCrs("crs.not_horizontal", crs=crs.name)
    shifted_by = _SHIFTED_NAMES.get(re.sub(r"[\W_]|^GCS", "", crs.name).lower())
    if shifted_by is not None:
        return shifted_by
    authority = crs.to_authority(min_confidence=70)
    name = ":".join(authority) if authority else crs.name
    return Crs(name, name if authority else crs.to_wkt())


_SHIFTED_NAMES = {"gcj02": GCJ02, "bd09": BD09}


def label_of(crs: Crs) -> str:
    """What a file is labelled with: an authority's code or WKT; a shifted system never as what it is shifted from.

    A shifted system gets a datum of its own, which no program knows a way from: data are shown where they say, some
    hundred metres off, and under the name that tells why. `from_proj` knows it again.
    """
    if crs.shift is None:
        return crs.definition
    name = {"gcj02": "GCJ-02", "bd09": "BD-09"}[crs.shift]
    return (
        f'GEOGCRS["{name}",DATUM["{name} (shifted)",ELLIPSOID["Krassowsky 1940",6378245,298.3]],CS[ellipsoidal,2],'
        'AXIS["longitude",east],AXIS["latitude",north],UNIT["degree",0.0174532925199433]]'
    )


@lru_cache(maxsize=256)  # callers name systems
def _proj(definition: str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(definition)


def zone_of(place: Any) -> int:
    """Choose the metric system for computing at a place.

    In China's range (73.5-136.5° E, 15-55° N) that is the CGCS2000 3-degree Gauss-Krüger zone by central meridian,
    EPSG 4534-4554 (75° E … 135° E, no zone number in the eastings), within +0.05 % of true areas. Elsewhere it is the
    UTM zone on WGS 84, EPSG 326xx north and 327xx south, within 0.15 %. Neighbours of China inside the range get a
    CGCS2000 zone too: it measures their ground as well.

    Parameters
    ----------
    place : geometry, GeoSeries, GeoDataFrame, array of geometries, or pair (lon, lat)
        EPSG:4326. Of more than one geometry the middle of the bounds counts, so one computation has one zone.

    Raises
    ------
    InvalidGeometry
        ``crs.no_place`` if it is empty or not on the globe.

    Examples
    --------
    >>> zone_of((124.15, 39.86)), zone_of((24.94, 60.17))
    (4550, 32635)
    """
    lon, lat = _middle(place)
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        raise InvalidGeometry("crs.no_place")
    if CHINA_LON[0] <= lon <= CHINA_LON[1] and CHINA_LAT[0] <= lat <= CHINA_LAT[1]:
        meridian_deg = min(3 * math.floor((lon + 1.5) / 3), _LAST_ZONE_CM)
        return _FIRST_CM_CODE + (meridian_deg - _FIRST_ZONE_CM) // 3
    return (32600 if lat >= 0 else 32700) + min(int((lon + 180) // 6) + 1, 60)


def _middle(place: Any) -> tuple[float, float]:
    if isinstance(place, gpd.GeoDataFrame | gpd.GeoSeries):
        bounds = place.total_bounds
    elif isinstance(place, BaseGeometry):
        bounds = shapely.bounds(place)
    else:
        values = np.asarray(place)
        if values.dtype != object and values.shape == (2,):
            return float(values[0]), float(values[1])
        bounds = shapely.total_bounds(values)
    return float(bounds[0] + bounds[2]) / 2, float(bounds[1] + bounds[3]) / 2


def require(frame: gpd.GeoDataFrame | gpd.GeoSeries, code: int = WGS84_CODE) -> None:
    """Refuse a frame in another coordinate system: the receiver's first line.

    Raises
    ------
    InvalidInput
        ``crs.not_as_required``.
    """
    found = None if frame.crs is None else frame.crs.to_epsg()
    if found != code:
        raise InvalidInput("crs.not_as_required", required=f"EPSG:{code}", found=f"EPSG:{found}" if found else None)


def to_metric(frame_wgs84: Frame, code: int | None = None) -> Frame:
    """Bring a frame into metres.

    Parameters
    ----------
    frame_wgs84 : GeoDataFrame or GeoSeries in EPSG:4326
    code : int, optional
        EPSG code of the zone; by default that of the frame itself (`zone_of`).
    """
    require(frame_wgs84)
    return frame_wgs84.to_crs(zone_of(frame_wgs84) if code is None else code)


def points_to_metric(coords_wgs84: FloatArray, code: int) -> FloatArray:
    """Bring points into metres; shape (points, 2), longitude first, to (points, 2), easting first."""
    return _transform(np.asarray(coords_wgs84, dtype=float), "EPSG:4326", f"EPSG:{code}")


def to_wgs84(frame: Frame, crs: str | int | Crs | None = None) -> Frame:
    """Bring a frame into EPSG:4326, in two dimensions.

    Parameters
    ----------
    frame : GeoDataFrame or GeoSeries
    crs : name or Crs, optional
        What its coordinates are in, whatever the frame says of itself; by default what it says.

    Raises
    ------
    UnknownCrs
        ``crs.missing`` if neither says.
    InvalidInput
        ``crs.cannot_transform`` if PROJ refuses.
    """
    if crs is None and frame.crs is None:
        raise UnknownCrs("crs.missing")
    source = from_proj(frame.crs) if crs is None else parse(crs)
    geometry = frame if isinstance(frame, gpd.GeoSeries) else frame.geometry
    converted = gpd.GeoSeries(
        geometries_to_wgs84(geometry.to_numpy(), source), index=geometry.index, crs=WGS84_CODE, name=geometry.name
    )
    if isinstance(frame, gpd.GeoSeries):
        return converted
    return frame.set_geometry(converted)


def geometries_to_wgs84(geometries: NDArray[np.object_], crs: str | int | Crs) -> NDArray[np.object_]:
    """Bring an array of geometries into EPSG:4326, in two dimensions; missing ones stay missing."""
    source = parse(crs)
    flat = shapely.force_2d(np.asarray(geometries, dtype=object))
    if source.is_wgs84:
        return np.asarray(flat, dtype=object)
    return np.asarray(shapely.transform(flat, lambda xy: points_to_wgs84(xy, source)), dtype=object)


def points_to_wgs84(coords: FloatArray, crs: str | int | Crs) -> FloatArray:
    """Bring points into EPSG:4326.

    Parameters
    ----------
    coords : float array, shape (points, 2)
        Easting or longitude first, whatever the axis order of the registry.
    crs : name or Crs

    Returns
    -------
    float array, shape (points, 2)
        Longitude, latitude in degrees; infinite where the system does not reach.
    """
    source = parse(crs)
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    if source.proj != WGS84.proj and not (source.shift is None and source.is_wgs84):
        points = _transform(points, source.definition, "EPSG:4326")
    if source.shift == "gcj02":
        return gcj02_to_wgs84(points)
    if source.shift == "bd09":
        return bd09_to_wgs84(points)
    return points


def geometries_from_wgs84(geometries: NDArray[np.object_], crs: str | int | Crs) -> NDArray[np.object_]:
    """Bring an array of geometries in EPSG:4326 into another system; missing ones stay missing.

    Raises
    ------
    InvalidInput
        ``crs.out_of_reach`` if the system does not reach so far, ``crs.cannot_transform``.
    """
    target = parse(crs)
    if target.is_wgs84:
        return geometries
    made = shapely.transform(geometries, lambda xy: points_from_wgs84(xy, target))
    if not (_reaches(target, geometries) and np.isfinite(shapely.get_coordinates(made)).all()):
        raise InvalidInput("crs.out_of_reach", crs=target.name)
    return np.asarray(made, dtype=object)


def _reaches(crs: Crs, geometries_wgs84: NDArray[np.object_]) -> bool:
    """Whether places lie in a projection's area of use, or three degrees beside it: farther off it gives nonsense."""
    area = crs.proj.area_of_use
    if crs.is_geographic or area is None or area.west > area.east:
        return True
    west, south, east, north = shapely.total_bounds(geometries_wgs84)
    margin_deg = 3.0
    inside = west >= area.west - margin_deg and east <= area.east + margin_deg
    return bool(np.isnan(west) or (inside and south >= area.south - margin_deg and north <= area.north + margin_deg))


def points_from_wgs84(coords: FloatArray, crs: str | int | Crs) -> FloatArray:
    """Bring points in EPSG:4326 into another system: the way back of `points_to_wgs84`, easting or longitude first."""
    target = parse(crs)
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    if target.shift is not None:
        return wgs84_to_gcj02(points) if target.shift == "gcj02" else wgs84_to_bd09(points)
    return points if target.is_wgs84 else _transform(points, "EPSG:4326", target.definition)


def _transform(points: FloatArray, source: str, target: str) -> FloatArray:
    try:
        x, y = _transformer(source, target).transform(points[:, 0], points[:, 1])
    except ProjError as error:
        raise InvalidInput("crs.cannot_transform", source=source[:60], target=target) from error
    return np.column_stack([x, y])


@lru_cache(maxsize=256)  # callers name systems
def _transformer(source: str, target: str) -> pyproj.Transformer:
    # The registry's axis order of 4490 and 4534-4554 is northing first; files and people write easting first.
    return pyproj.Transformer.from_crs(_proj(source), _proj(target), always_xy=True)


def shifted(crs: Crs, shift: Shift) -> Crs:
    """The system of a file whose geographic ground was shifted before it was written (Web Mercator of a web map)."""
    return Crs(f"{shift} ({crs.name})", crs.definition, shift)


# --- GCJ-02 and BD-09 ------------------------------------------------------------------------------------------------


def wgs84_to_gcj02(coords: FloatArray) -> FloatArray:
    """Shift points as the public approximation of GCJ-02 does.

    Parameters
    ----------
    coords : float array, shape (points, 2)
        Longitude, latitude in degrees.

    Notes
    -----
    The official algorithm is not public; the well-known formula differs from it by a few metres at most. It shifts
    nothing outside 72.004-137.8347° E, 0.8293-55.8271° N.

    Examples
    --------
    >>> wgs84_to_gcj02(np.array([[124.15, 39.86]])).round(6).tolist()
    [[124.155784, 39.861526]]
    """
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    return np.asarray(points + np.where(_in_china(points)[:, None], _gcj02_offset(points), 0.0))


def gcj02_to_wgs84(coords: FloatArray) -> FloatArray:
    """Undo `wgs84_to_gcj02`, by iteration, to well below a millimetre."""
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    return np.where(_in_china(points)[:, None], _inverse(points, lambda p: p + _gcj02_offset(p)), points)


def wgs84_to_bd09(coords: FloatArray) -> FloatArray:
    """Shift points to BD-09, the second shift on GCJ-02; longitude and latitude in degrees, shape (points, 2)."""
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    return np.where(_in_china(points)[:, None], _gcj02_to_bd09(wgs84_to_gcj02(points)), points)


def bd09_to_wgs84(coords: FloatArray) -> FloatArray:
    """Undo `wgs84_to_bd09`, by iteration, to well below a millimetre."""
    points = np.asarray(coords, dtype=float).reshape(-1, 2)
    return np.where(_in_china(points)[:, None], gcj02_to_wgs84(_inverse(points, _gcj02_to_bd09)), points)


def _in_china(points: FloatArray) -> NDArray[np.bool_]:
    lon, lat = points[:, 0], points[:, 1]
    inside = (lon > _SHIFTED_LON[0]) & (lon < _SHIFTED_LON[1]) & (lat > _SHIFTED_LAT[0]) & (lat < _SHIFTED_LAT[1])
    return np.asarray(inside)


def _gcj02_offset(points: FloatArray) -> FloatArray:
    x, y = points[:, 0] - 105.0, points[:, 1] - 35.0
    pi, sin, root = math.pi, np.sin, np.sqrt(np.abs(x))
    wave = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    north += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    east += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    latitude = np.radians(points[:, 1])
    magic = 1.0 - _ECCENTRICITY2 * sin(latitude) ** 2
    meridian_m = _AXIS_M * (1.0 - _ECCENTRICITY2) / (magic * np.sqrt(magic))
    parallel_m = _AXIS_M / np.sqrt(magic) * np.cos(latitude)
    return np.column_stack([np.degrees(east / parallel_m), np.degrees(north / meridian_m)])


def _gcj02_to_bd09(points: FloatArray) -> FloatArray:
    x, y = points[:, 0], points[:, 1]
    radius = np.hypot(x, y) + 0.00002 * np.sin(y * _BD_TURN)
    angle = np.arctan2(y, x) + 0.000003 * np.cos(x * _BD_TURN)
    return np.column_stack([radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006])


def _inverse(points: FloatArray, forward: Any, *, rounds: int = 12) -> FloatArray:
    """Solve ``forward(p) = points``: the shift changes slowly with the place, so each round gains three digits."""
    guess = points.copy()
    for _ in range(rounds):
        guess += points - forward(guess)
    return guess


# --- Does it look shifted? -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShiftTest:
    """What `looks_shifted` found.

    Attributes
    ----------
    is_suspicious : bool
        Another reading of the coordinates fits clearly better than the stated one.
    buildings_crs, reference_crs : str
        The reading that fits best: ``"wgs84"``, ``"gcj02"`` or ``"bd09"`` for each of the two.
    misfit_ratio, best_misfit_ratio : float
        Share of the compared buildings that are not wholly inside a polygon, as stated and under the best reading.
    compared : int
        Buildings that touch a polygon under the reading where most do.
    """

    is_suspicious: bool
    buildings_crs: str
    reference_crs: str
    misfit_ratio: float
    best_misfit_ratio: float
    compared: int


# Only the shift between the two layers shows, so each relative shift stands here once, the likeliest reading first.
_READINGS: tuple[tuple[Crs, Crs], ...] = (
    (WGS84, WGS84),
    (GCJ02, WGS84),
    (WGS84, GCJ02),
    (BD09, WGS84),
    (WGS84, BD09),
    (GCJ02, BD09),
    (BD09, GCJ02),
)


def looks_shifted(
    buildings: gpd.GeoSeries, reference: gpd.GeoSeries, *, at_least: int = 20, gain_ratio: float = 0.1
) -> ShiftTest:
    """Test whether buildings and a reference layer lie in different coordinate systems, both labelled WGS-84.

    A building misfits when the edge of a polygon runs through it, or when it misses the polygons that it would touch
    under another reading: against compounds rightly placed few do, shifted many. Known buildings (footprints or
    compounds already stored) serve as reference the same way. In one real city buildings in GCJ-02 and compounds in
    BD-09, both labelled plainly lon/lat, gave 40 % crossing an edge, and 12 % once both were converted.

    Parameters
    ----------
    buildings, reference : GeoSeries of polygons in EPSG:4326
    at_least : int
        Fewer comparable buildings are no evidence.
    gain_ratio : float
        By how much the share of misfits must fall (and to less than two thirds) for another reading to be believed.

    Notes
    -----
    The same shift on both layers cannot be seen here. Cost: seven spatial joins.
    """
    require(buildings)
    require(reference)
    here = buildings[~(buildings.is_empty | buildings.isna())].to_numpy()
    there = reference[~(reference.is_empty | reference.isna())].to_numpy()
    counted = [_inside_and_touching(here, there, *reading) for reading in _READINGS]
    reach = max(touching for _, touching in counted)
    if reach < at_least:
        return ShiftTest(False, "wgs84", "wgs84", 0.0, 0.0, reach)
    misfits = [1.0 - inside / reach for inside, _ in counted]
    given, best = misfits[0], min(misfits)
    if not (best < given - gain_ratio and best < given * 2 / 3):
        return ShiftTest(False, "wgs84", "wgs84", given, given, reach)
    names = [crs.shift or "wgs84" for crs in _READINGS[misfits.index(best)]]
    return ShiftTest(True, names[0], names[1], given, best, reach)


def _inside_and_touching(
    here: NDArray[np.object_], there: NDArray[np.object_], here_crs: Crs, there_crs: Crs
) -> tuple[int, int]:
    """How many buildings lie wholly in a reference polygon, and how many touch one."""
    mine, theirs = geometries_to_wgs84(here, here_crs), geometries_to_wgs84(there, there_crs)
    tree = shapely.STRtree(theirs)
    touching = np.unique(tree.query(mine, predicate="intersects")[0])
    inside = np.unique(tree.query(mine, predicate="within")[0])
    return len(inside), len(touching)
