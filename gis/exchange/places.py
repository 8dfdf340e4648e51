"""Whether coordinates can be where they say: empty, 0/0, swapped, outside their system, far from the rest.

The sea has no outline here: a building in it is caught as far from the rest, or by cleaning as outside every community.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from gis.crs import CHINA_LAT, CHINA_LON, Crs, FloatArray, geometries_to_wgs84
from gis.errors import InvalidInput
from gis.findings import Finding, Severity
from gis.town import LAYERS

Geometries = NDArray[np.object_]
Flags = NDArray[np.bool_]

FAR_M = {"areas": 500_000.0}
FAR_DEFAULT_M = 100_000.0
ENOUGH_FOR_A_MIDDLE = 3
_M_PER_DEGREE = 111_320.0
_PART_TYPES = {"polygon": 3, "line": 1, "point": 0}
_MULTI_TYPES = {3: 6, 1: 5, 0: 4}


@dataclass(frozen=True, slots=True)
class Placed:
    """Geometries in EPSG:4326 and what was noticed.

    Attributes
    ----------
    geometries_wgs84 : object array, shape (rows,)
        ``None`` where there is none.
    is_kept : bool array, shape (rows,)
    findings : tuple of Finding
    """

    geometries_wgs84: Geometries
    is_kept: Flags
    findings: tuple[Finding, ...]


def place(geometries: Geometries, layer: str, rows: NDArray[np.int64], keys: list[str | None], crs: Crs) -> Placed:
    """Convert a layer's geometries and look at where they lie.

    Parameters
    ----------
    geometries : object array, shape (rows,)
        In ``crs``, easting or longitude first.
    layer : str
        One of `gis.town.LAYERS` with geometry.
    rows, keys
        Row numbers (1-based) and codes, for the findings.
    crs : Crs
        As stated.

    Raises
    ------
    InvalidInput
        ``import.all_outside_crs`` if no row lies where the stated system reaches: it cannot be the right one.
    """
    shapes, faults = _fit(np.asarray(geometries, dtype=object), layer)
    usable = (faults == "") & ~shapely.is_missing(shapes)
    swapped = np.zeros(len(shapes), dtype=bool)
    shapes_wgs84 = np.full(len(shapes), None, dtype=object)
    if usable.any():
        converted, reasons, turned = _locate(shapes[usable], crs, FAR_M.get(layer, FAR_DEFAULT_M))
        if (reasons == "import.outside_crs").all():
            raise InvalidInput("import.all_outside_crs", layer=layer, crs=crs.name, rows=int(usable.sum()))
        shapes_wgs84[usable], faults[usable], swapped[usable] = converted, reasons, turned
    findings = [
        Finding(str(faults[at]), Severity.REJECTED, layer, int(rows[at]), keys[at], _where(shapes[at], crs))
        for at in np.flatnonzero(faults != "")
    ]
    findings += [
        Finding("import.swapped", Severity.REPAIRED, layer, int(rows[at]), keys[at], _where(shapes[at], crs))
        for at in np.flatnonzero(swapped & (faults == ""))
    ]
    return Placed(shapes_wgs84, np.asarray(faults == ""), tuple(sorted(findings, key=lambda found: found.row or 0)))


def _where(shape: Any, crs: Crs) -> dict[str, Any]:
    centre = _centres(np.array([shape], dtype=object))[0] if shape is not None else (np.nan, np.nan)
    return {"x": _plain(centre[0]), "y": _plain(centre[1]), "crs": crs.name}


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _fit(shapes: Geometries, layer: str) -> tuple[Geometries, NDArray[np.object_]]:
    """Bring geometries to the layer's kind; the code of what is wrong with each, or an empty text."""
    spec = LAYERS[layer]
    faults = np.full(len(shapes), "", dtype=object)
    coordinates_fine = np.array([_is_finite(shape) for shape in shapes], dtype=bool)
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if spec.geometry_required:
        faults[missing] = "import.no_geometry"
    faults[~missing & ~coordinates_fine] = "import.bad_coordinates"
    shapes = shapes.copy()
    shapes[missing | ~coordinates_fine] = None
    wanted = _PART_TYPES[spec.geometry or "polygon"]
    for at in np.flatnonzero(~shapely.is_missing(shapes)):
        fitted = _of_type(shapely.force_2d(shapes[at]), wanted)
        if fitted is None:
            faults[at] = "import.wrong_geometry_type"
        else:
            shapes[at] = fitted
    return shapes, faults


def _is_finite(shape: Any) -> bool:
    return shape is None or bool(np.isfinite(shapely.get_coordinates(shape)).all())


def _of_type(shape: Any, wanted: int) -> Any:
    """The shape, or its parts of the wanted type; nothing if it has none."""
    kind = shapely.get_type_id(shape)
    if wanted == 0:
        return shapely.get_geometry(shape, 0) if kind == 4 else shapely.point_on_surface(shape)
    if kind in (wanted, _MULTI_TYPES[wanted]):
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    kept = parts[shapely.get_type_id(parts) == wanted]
    if not len(kept):
        return None
    return (shapely.MultiPolygon if wanted == 3 else shapely.MultiLineString)(list(kept))


def _locate(shapes: Geometries, crs: Crs, far_m: float) -> tuple[Geometries, NDArray[np.object_], Flags]:
    """Convert; a row whose axes fit only when swapped is turned round; the reason against each other one."""
    converted = geometries_to_wgs84(shapes, crs)
    centres = _centres(converted)
    fits = _fits(centres, crs) & ~_is_null_island(_centres(shapes), crs)
    turned_centres = np.full_like(centres, np.nan)
    middle = np.median(centres[fits], axis=0) if fits.any() else np.array([np.nan, np.nan])
    near = _distance_m(centres, middle) <= far_m
    suspicious = ~fits if fits.sum() < ENOUGH_FOR_A_MIDDLE else ~(fits & near)
    if _swapped_as_a_whole(centres[fits], crs) and 2 * fits.sum() > len(fits):
        suspicious[:] = True
        middle = np.median(centres[fits][:, ::-1], axis=0)
    turned = np.zeros(len(shapes), dtype=bool)
    if suspicious.any():
        other = geometries_to_wgs84(_swap(shapes[suspicious]), crs)
        turned_centres[suspicious] = _centres(other)
        good = _fits(turned_centres, crs) & ~_is_null_island(_centres(shapes), crs)
        if np.isfinite(middle).all():
            good &= _distance_m(turned_centres, middle) <= far_m
        turned = suspicious & good
        converted[turned] = other[good[suspicious]]
    reasons = np.full(len(shapes), "", dtype=object)
    reasons[suspicious & ~turned & fits] = "import.far_from_rest"
    reasons[suspicious & ~turned & ~fits] = "import.outside_crs"
    reasons[_is_null_island(_centres(shapes), crs)] = "import.null_island"
    return converted, reasons, turned


def _centres(shapes: Geometries) -> FloatArray:
    bounds = shapely.bounds(shapes)
    return np.asarray((bounds[:, :2] + bounds[:, 2:]) / 2)


def _swap(shapes: Geometries) -> Geometries:
    return np.asarray(shapely.transform(shapes, lambda xy: xy[:, ::-1]), dtype=object)


def _fits(centres: FloatArray, crs: Crs) -> Flags:
    """Whether points (EPSG:4326) lie on the globe and within a system's area of use, with a margin."""
    west, south, east, north = -180.0, -90.0, 180.0, 90.0
    if crs.shift is not None:
        west, east, south, north = *CHINA_LON, *CHINA_LAT
    elif (area := crs.proj.area_of_use) is not None and area.west < area.east:
        west, south = max(west, area.west - 3.0), max(south, area.south - 2.0)
        east, north = min(east, area.east + 3.0), min(north, area.north + 2.0)
    lon, lat = centres[:, 0], centres[:, 1]
    with np.errstate(invalid="ignore"):
        return np.asarray((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))


def _is_null_island(native_centres: FloatArray, crs: Crs) -> Flags:
    reach = 0.01 if crs.is_geographic else 1.0
    return np.asarray((np.abs(native_centres) < reach).all(axis=1))


def _swapped_as_a_whole(centres: FloatArray, crs: Crs) -> bool:
    """Whether a file lies in China only when swapped: the longitudes 73-90 are latitudes too, north of everybody."""
    if not len(centres) or not crs.is_geographic:
        return False
    lon, lat = np.median(centres, axis=0)
    inside = CHINA_LON[0] <= lat <= CHINA_LON[1] and CHINA_LAT[0] <= lon <= CHINA_LAT[1]
    return bool(inside)


def _distance_m(points: FloatArray, middle: FloatArray) -> FloatArray:
    """Rough distance on the sphere: tells towns apart, no more."""
    east = (points[:, 0] - middle[0]) * np.cos(np.radians(middle[1]))
    return np.asarray(np.hypot(east, points[:, 1] - middle[1]) * _M_PER_DEGREE)
