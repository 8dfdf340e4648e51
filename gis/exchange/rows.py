"""Rows of strangers: every value is read as its column's type, every row looked at, each fault told by its row.

While rows are looked at, a frame's index is the row number in its file, 1-based, the header not counted; in the town
that comes out it is one less.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis.crs import WGS84_CODE, Crs
from gis.errors import InvalidGeometry, InvalidInput, UnknownCrs
from gis.exchange import columns
from gis.exchange.places import place
from gis.findings import Finding, Severity
from gis.town import LAYERS, Column, conform

# Beyond these a number is a slip of the pen. Lowest, highest, both allowed.
RANGES: Mapping[str, tuple[float, float]] = {
    "households": (0, 5000),
    "floors": (1, 200),
    "units": (1, 100),
    "height_m": (1, 1000),
}
# A file of these without codes gets codes made of the places: the same file again gives the same codes.
CODES_CAN_BE_MADE = ("buildings", "compounds", "pois")
# A table of these without any geometry says something about rows that the database holds already.
CAN_BE_FACTS_ALONE = ("buildings", "compounds")
TEXT_LONGEST = 500
_UNITS = re.compile(r"(户|层|个|米|m|单元|栋|人|楼)$")
_AREA_CODE = re.compile(r"[A-Za-z0-9_]+")
# An apostrophe before what a spreadsheet would take for a formula, as our own tables have it.
_GUARDED = re.compile(r"^'([=+\-@])")
_AS_NUMBER = re.compile(r"\d(\.\d+)?[eE]\+\d+")


def take(
    layer: str, raw: pd.DataFrame, *, mapping: Mapping[str, str] | None, crs: Crs | None, file: str
) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Read rows as a layer of a town; unusable ones are left out and reported.

    Parameters
    ----------
    layer : str
        One of `gis.town.LAYERS`.
    raw : DataFrame or GeoDataFrame
        As the file has it, indexed by row number.
    mapping : mapping of header to column, optional
    crs : Crs or None
        What the coordinates are in; needed by layers with geometry.
    file : str
        Name for messages.

    Raises
    ------
    InvalidInput
        ``import.mapping_unknown``, ``import.no_code_column``, ``import.all_outside_crs``.
    UnknownCrs
        ``import.crs_missing``.
    """
    headers = [str(header) for header in raw.columns if header != "geometry"]
    _check_mapping(layer, headers, mapping, file)
    found = columns.match(layer, headers, mapping=mapping)
    _check_key(layer, found, headers, file)
    findings: list[Finding] = []
    data = _values(layer, raw, found, findings)
    _join_address(layer, raw, data)
    keys = _keys(layer, data)
    names = {column: header for header, column in found.items()}
    data = data.drop(index=_faulty_rows(layer, data, keys, names, findings))
    if LAYERS[layer].geometry is not None:
        shapes = geometries_of(raw.loc[data.index], mapping or {})
        if shapes is None and layer not in CAN_BE_FACTS_ALONE and LAYERS[layer].geometry_required:
            raise InvalidInput("import.no_geometry_column", file=file, layer=layer, headers=headers)
        data = _placed(layer, data, shapes, keys, crs, file, findings)
    data = _coded(layer, data, findings, has_codes="code" in found.values(), file=file, headers=headers)
    made = conform(layer, data)
    made.index = made.index - 1  # towns count from 0; cleaning tells a row as its label + 1
    return made, tuple(findings)


def _check_mapping(layer: str, headers: list[str], mapping: Mapping[str, str] | None, file: str) -> None:
    known = {columns.plain(header) for header in headers}
    allowed = [*LAYERS[layer].columns, "lon", "lat", "wkt"]
    for header, column in (mapping or {}).items():
        if columns.plain(header) not in known:
            raise InvalidInput("import.mapping_unknown_header", header=header, file=file, headers=headers)
        if column not in allowed:
            raise InvalidInput("import.mapping_unknown_column", column=column, layer=layer, columns=allowed)


def _check_key(layer: str, found: Mapping[str, str], headers: list[str], file: str) -> None:
    required = [name for name, spec in LAYERS[layer].columns.items() if spec.required]
    if layer in CODES_CAN_BE_MADE:
        required.remove("code")
    missing = [name for name in required if name not in found.values()]
    if missing:
        raise InvalidInput("import.column_missing", file=file, layer=layer, columns=missing, headers=headers)


def _keys(layer: str, data: pd.DataFrame) -> dict[int, str | None]:
    name = LAYERS[layer].key or ("staff" if layer == "assignments" else "name")
    return {int(row): None if pd.isna(value) else str(value) for row, value in data[name].items()}


# --- Values ----------------------------------------------------------------------------------------------------------


def _values(layer: str, raw: pd.DataFrame, found: Mapping[str, str], findings: list[Finding]) -> pd.DataFrame:
    headers = {column: header for header, column in found.items()}
    data = pd.DataFrame(index=raw.index)
    for name, spec in LAYERS[layer].columns.items():
        values = raw[headers[name]] if name in headers else pd.Series(None, index=raw.index, dtype=object)
        read: dict[int, Any] = {}
        for row, value in values.astype(object).items():
            result, fault = _read(name, spec, layer, value)
            read[int(row)] = result
            if fault:
                severity = Severity.REJECTED if spec.required or spec.kind == "date" else Severity.REPAIRED
                params = {"column": headers[name], "value": _as_written(value)}
                if spec.choices:
                    params["known"] = ", ".join(spec.choices)
                findings.append(Finding(fault, severity, layer, int(row), None, params))
        data[name] = pd.Series(read, index=raw.index, dtype=object)
    return data


def _read(name: str, spec: Column, layer: str, value: Any) -> tuple[Any, str]:
    """A value as its column's type, and the code of what is wrong with it; a blank cell is missing, not wrong."""
    if value is None or value is pd.NaT or (not isinstance(value, str) and pd.isna(value)):
        return None, ""
    words = unicodedata.normalize("NFKC", str(value)).replace("\x00", "").strip() if spec.kind != "text" else ""
    if spec.kind == "text":
        return _text(name, spec, layer, value)
    if words in ("", "-", "/", "无", "NULL", "null", "None", "nan", "NaN", "N/A"):
        return None, ""
    if spec.kind == "flag":
        flag = columns.FLAG_WORDS.get(words.lower().removesuffix(".0"))
        return flag, "" if flag is not None else "import.unknown_word"
    if spec.kind in ("integer", "number"):
        return _number(name, spec, words)
    return _day(value, words)


def _as_written(value: Any) -> str:
    """A value for a sentence: whole numbers without the point that readers add."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value))[:80]


def _text(name: str, spec: Column, layer: str, value: Any) -> tuple[str | None, str]:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a code that a spreadsheet keeps as a number
    words = re.sub(r"\s+", " ", str(value).replace("\x00", "")).strip()[:TEXT_LONGEST]
    words = _GUARDED.sub(r"\1", words)
    if not words:
        return None, ""
    if name == "code" and _AS_NUMBER.fullmatch(words):
        return None, "import.code_as_number"
    if not spec.choices:
        return words, ""
    if words in spec.choices:
        return words, ""
    choice = columns.CHOICE_WORDS.get((layer, name), {}).get(words.lower())
    if choice is None and layer == "buildings" and words.lower() == "yes":
        return None, ""  # OpenStreetMap's word for "some building"
    return choice, "" if choice else "import.unknown_word"


def _number(name: str, spec: Column, words: str) -> tuple[float | None, str]:
    try:
        number = float(_UNITS.sub("", words.replace(",", "").replace(" ", "")))
    except ValueError:
        return None, "import.unreadable_number"
    if not np.isfinite(number):
        return None, "import.unreadable_number"
    low, high = RANGES.get(name, (-np.inf, np.inf))
    if name == "floors" and number == 0:
        return None, ""  # many registers write 0 for unknown
    if not low <= number <= high:
        return None, "import.number_out_of_range"
    return (round(number) if spec.kind == "integer" else number), ""


def _day(value: Any, words: str) -> tuple[pd.Timestamp | None, str]:
    if isinstance(value, datetime | date):
        day = pd.Timestamp(value)
    else:
        parts = re.fullmatch(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*[-/.月]?\s*(\d{1,2})\s*日?(?:[T ].*)?", words)
        try:
            day = pd.Timestamp(int(parts[1]), int(parts[2]), int(parts[3])) if parts else pd.NaT
        except ValueError:
            day = pd.NaT
    if day is pd.NaT or not 1949 <= day.year <= 2200:
        return None, "import.unreadable_date"
    return day.tz_localize(None).normalize(), ""


def _join_address(layer: str, raw: pd.DataFrame, data: pd.DataFrame) -> None:
    """An address that stands in two columns."""
    headers = [str(header) for header in raw.columns]
    street = columns.find(headers, ("addr:street", "street", "街路", "道路名称"))
    number = columns.find(headers, ("addr:housenumber", "housenumber", "门牌号"))
    if layer != "buildings" or street is None or number is None:
        return
    for row in data.index[data["address"].isna()]:
        parts = [str(raw.at[row, header]).strip() for header in (street, number) if pd.notna(raw.at[row, header])]
        is_chinese = any("\u4e00" <= letter <= "\u9fff" for part in parts for letter in part)
        data.at[row, "address"] = ("" if is_chinese else " ").join(part for part in parts if part) or None


# --- Rows ------------------------------------------------------------------------------------------------------------


def _faulty_rows(
    layer: str,
    data: pd.DataFrame,
    keys: Mapping[int, str | None],
    names: Mapping[str, str],
    findings: list[Finding],
) -> list[int]:
    """Rows that lack what they must have, or come a second time."""
    faulty = {found.row for found in findings if found.severity is Severity.REJECTED and found.row is not None}
    for name, spec in LAYERS[layer].columns.items():
        if not spec.required or (name == "code" and data["code"].isna().all()):
            continue
        for row in data.index[data[name].isna()].difference(sorted(faulty)):
            params = {"column": names.get(name, name)}
            findings.append(Finding("import.value_missing", Severity.REJECTED, layer, int(row), keys[row], params))
            faulty.add(int(row))
    if layer in ("areas", "communities"):
        for row, code in data["code"].drop(index=sorted(faulty)).items():
            if not _AREA_CODE.fullmatch(str(code)):
                findings.append(Finding("import.bad_area_code", Severity.REJECTED, layer, int(row), str(code)))
                faulty.add(int(row))
    if LAYERS[layer].key:
        faulty |= _repeated(layer, data.drop(index=sorted(faulty)), findings)
    return sorted(faulty)


def _repeated(layer: str, data: pd.DataFrame, findings: list[Finding]) -> set[int]:
    codes = data["code"].dropna()
    first = {code: row for row, code in reversed(list(codes.items()))}
    repeated = set()
    for row in codes.index[codes.duplicated()]:
        code = codes[row]
        params = {"first": int(first[code])}
        findings.append(Finding("import.duplicate_code", Severity.REJECTED, layer, int(row), str(code), params))
        repeated.add(int(row))
    return repeated


def _placed(
    layer: str,
    data: pd.DataFrame,
    geometries: Any,
    keys: Mapping[int, str | None],
    crs: Crs | None,
    file: str,
    findings: list[Finding],
) -> gpd.GeoDataFrame:
    if geometries is None or (shapely.is_missing(geometries).all() and not LAYERS[layer].geometry_required):
        return gpd.GeoDataFrame(data, geometry=gpd.GeoSeries([None] * len(data), index=data.index, crs=WGS84_CODE))
    if crs is None:
        raise UnknownCrs("import.crs_missing", file=file, layer=layer)
    rows = data.index.to_numpy(dtype=np.int64)
    placed = place(geometries, layer, rows, [keys[int(row)] for row in rows], crs)
    findings += placed.findings
    shapes = gpd.GeoSeries(placed.geometries_wgs84, index=data.index, crs=WGS84_CODE)
    return gpd.GeoDataFrame(data, geometry=shapes)[placed.is_kept]


def geometries_of(raw: pd.DataFrame, mapping: Mapping[str, str]) -> Any:
    """Geometry as the file has it: of its own, as WKT in a column, as two columns of coordinates, or not at all."""
    if isinstance(raw, gpd.GeoDataFrame):
        return raw.geometry.to_numpy()
    headers = [str(header) for header in raw.columns if header != "geometry"]
    said = {column: header for header, column in mapping.items()}
    wkt = columns.find(headers, (said.get("wkt", ""), *columns.WKT_NAMES))
    if wkt is not None:
        return np.array([_of_wkt(value) for value in raw[wkt]], dtype=object)
    lon = columns.find(headers, (said.get("lon", ""), *columns.LON_NAMES))
    lat = columns.find(headers, (said.get("lat", ""), *columns.LAT_NAMES))
    if lon is None or lat is None:
        return None
    return np.array([_of_pair(x, y) for x, y in zip(raw[lon], raw[lat], strict=True)], dtype=object)


def _of_wkt(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        return shapely.from_wkt(re.sub(r"^SRID=\d+;", "", value.strip()))
    except shapely.errors.ShapelyError:
        return None


def _of_pair(x: Any, y: Any) -> Any:
    try:
        return shapely.Point(float(str(x).strip()), float(str(y).strip())) if pd.notna(x) and pd.notna(y) else None
    except ValueError:
        return None


def _coded(
    layer: str, data: pd.DataFrame, findings: list[Finding], *, has_codes: bool, file: str, headers: list[str]
) -> pd.DataFrame:
    if layer not in CODES_CAN_BE_MADE or (has_codes and not data["code"].isna().all()) or not len(data):
        return data
    assert isinstance(data, gpd.GeoDataFrame)
    if data.geometry.isna().all():
        raise InvalidInput("import.column_missing", file=file, layer=layer, columns=["code"], headers=headers)
    codes = pd.Series([_code_of(layer, shape) for shape in data.geometry], index=data.index, dtype=object)
    findings.append(Finding("import.codes_made", Severity.NOTE, layer, params={"rows": len(data)}))
    made = data.assign(code=codes)
    return made.drop(index=sorted(_repeated(layer, made, findings)))


def _code_of(layer: str, shape: Any) -> str:
    """A code out of a place: eight hexadecimal digits of the outline to 10 cm."""
    outline = shapely.to_wkb(shapely.normalize(shapely.transform(shape, lambda xy: np.round(xy, 6))))
    return f"{layer[0]}-{hashlib.blake2b(outline, digest_size=5).hexdigest()}"


def combine(layer: str, frames: Iterable[pd.DataFrame]) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    """Rows of one layer out of several files or sheets; a code that came before is left out."""
    listed = list(frames)
    if len(listed) == 1:
        return listed[0], ()
    joined = pd.concat(listed, ignore_index=True)
    joined.index = joined.index + 1
    findings: list[Finding] = []
    if LAYERS[layer].key:
        joined = joined.drop(index=sorted(_repeated(layer, joined, findings)))
    joined = joined.reset_index(drop=True)
    return (conform(layer, joined) if LAYERS[layer].geometry is None else joined), tuple(findings)


__all__ = ["CODES_CAN_BE_MADE", "RANGES", "InvalidGeometry", "combine", "geometries_of", "take"]
