"""Rows of the database as files for others: vector files by GDAL, tables as CSV and Excel.

Rows come some at a time and leave some at a time, so that a large town needs no more memory than a small one. Every
file says its coordinate system: in its own way where it has one, in a column where it has none, and in its name.
"""

from __future__ import annotations

import csv
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np
import openpyxl
import pyarrow as pa
import pyogrio
import shapely
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from gis.crs import Crs, geometries_from_wgs84, label_of
from gis.errors import InvalidInput

Format = Literal["geojson", "gpkg", "shp.zip", "kml", "gpx", "fgb", "xlsx", "csv"]
Rows = Iterable[list[dict[str, Any]]]
Kind = Literal["text", "integer", "number", "flag", "time"]

EXCEL_ROWS_MOST = 1_048_575
_EXCEL_CELL_LONGEST = 32_767
_DBF_NAME_BYTES = 10
_DBF_TEXT_BYTES = 254
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

_SHORT_NAMES = {
    "households_estimated": "hh_est",
    "units_estimated": "units_est",
    "housing_class": "hous_class",
    "community_name": "comm_name",
    "micro_grid_code": "mgrid_code",
    "in_force_from": "from_time",
    "in_force_to": "to_time",
    "category_name": "categ_name",
    "reported_at": "reported",
}


@dataclass(frozen=True, slots=True)
class Driver:
    """How a format is written.

    Attributes
    ----------
    media_type : str
    gdal : str or None
        The driver of a vector format.
    only_wgs84 : bool
        Whether the format knows no other system.
    is_table : bool
        Whether a row may be without a place.
    has_times : bool
        Whether times are a type of the format; else they are text.
    """

    media_type: str
    gdal: str | None = None
    only_wgs84: bool = False
    is_table: bool = False
    has_times: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


FORMATS: Mapping[str, Driver] = {
    "geojson": Driver(
        "application/geo+json", "GeoJSON", only_wgs84=True, has_times=True, options={"COORDINATE_PRECISION": "7"}
    ),
    "gpkg": Driver("application/geopackage+sqlite3", "GPKG", has_times=True),
    "shp.zip": Driver("application/zip", "ESRI Shapefile"),
    "kml": Driver("application/vnd.google-earth.kml+xml", "KML", only_wgs84=True),
    "gpx": Driver("application/gpx+xml", only_wgs84=True),
    "fgb": Driver("application/vnd.flatgeobuf", "FlatGeobuf", has_times=True),
    "xlsx": Driver("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", is_table=True),
    "csv": Driver("text/csv; charset=utf-8", is_table=True),
}


@dataclass(frozen=True, slots=True)
class Header:
    """A column: its key in the rows, its name in the file, and its kind."""

    key: str
    name: str
    kind: Kind


@dataclass(frozen=True)
class Sheet:
    """What is written.

    Attributes
    ----------
    layer : str
        Name of the layer or sheet.
    headers : tuple of Header
    geometry : {"polygon", "point"} or None
        Rows have it as WKB under ``geometry``, EPSG:4326.
    crs : Crs
        What it is written in.
    about : tuple of (str, str)
        What a file should tell of itself: thing, system, time.
    encoding : {"utf-8", "gbk"}
        Of a Shapefile's attributes.
    in_chinese : bool
    """

    layer: str
    headers: tuple[Header, ...]
    geometry: Literal["polygon", "point"] | None
    crs: Crs
    about: tuple[tuple[str, str], ...] = ()
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    in_chinese: bool = False


def check(name: str, *, has_place: bool, crs: Crs) -> Driver:
    """Refuse what a format cannot hold.

    Raises
    ------
    InvalidInput
        ``export.unknown_format``, ``export.only_tables``, ``export.only_wgs84``.
    """
    if name not in FORMATS:
        raise InvalidInput("export.unknown_format", format=name[:20], known=list(FORMATS))
    driver = FORMATS[name]
    if not has_place and not driver.is_table:
        tables = [other for other, one in FORMATS.items() if one.is_table]
        raise InvalidInput("export.only_tables", format=name, known=tables)
    if driver.only_wgs84 and crs.name != "EPSG:4326":
        others = [other for other, one in FORMATS.items() if not one.only_wgs84]
        raise InvalidInput("export.only_wgs84", format=name, crs=crs.name, known=others)
    return driver


def write(path: Path, name: str, sheet: Sheet, rows: Rows) -> int:
    """Write rows into a file of a format; gives their number.

    Raises
    ------
    InvalidInput
        ``export.too_many_rows`` for Excel; ``crs.out_of_reach``.
    """
    if name == "csv":
        return _write_csv(path, sheet, rows)
    if name == "xlsx":
        return _write_excel(path, sheet, rows)
    if name == "gpx":
        return _write_gpx(path, sheet, rows)
    if name == "shp.zip":
        return _write_shapefile(path, sheet, rows)
    if name == "kml":
        # KML calls a placemark's own name so, and the driver takes it from a field of that name.
        named = tuple(Header(one.key, "Name", one.kind) if one.key == "name" else one for one in sheet.headers)
        sheet = Sheet(sheet.layer, named, sheet.geometry, sheet.crs)
        rows = ([{**row, "name": _label(row)} for row in some] for some in rows)
    return _write_vector(path, FORMATS[name], sheet, rows)


def _label(row: Mapping[str, Any]) -> str | None:
    """What a map writes beside a place: its name; a cell without one by its community and its number there."""
    code, community = str(row.get("code") or ""), str(row.get("community") or "")
    if row.get("name") or "tier" not in row or not community or not code.startswith(community):
        return row.get("name")
    return f"{row['community_name']} {code.removeprefix(community)}".strip()


# --- Vector files -----------------------------------------------------------------------------------------------------

_ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}


def _write_vector(
    path: Path,
    driver: Driver,
    sheet: Sheet,
    rows: Rows,
    *,
    text: Callable[[str], str] = str,
    encoding: str | None = None,
) -> int:
    """Hand batches of rows to GDAL as Arrow: it takes the next once it has written the last."""
    time = pa.timestamp("ms", tz="UTC") if driver.has_times else pa.string()
    types = {**_ARROW, "time": time}
    schema = pa.schema([*((one.name, types[one.kind]) for one in sheet.headers), ("geometry", pa.binary())])
    count = 0
    failed: list[Exception] = []

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal count
        try:
            for some in rows:
                columns = [
                    pa.array([_vector_value(row[one.key], one.kind, driver, text) for row in some], types[one.kind])
                    for one in sheet.headers
                ]
                shapes = _placed([row["geometry"] for row in some], sheet.crs, multi=sheet.geometry == "polygon")
                yield pa.record_batch([*columns, pa.array(shapes, pa.binary())], schema=schema)
                count += len(some)
        except Exception as error:
            failed.append(error)  # on its way through C it would lose its kind
            raise

    kind = "Point" if sheet.geometry == "point" else "MultiPolygon"
    try:
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(schema, batches()),
            path,
            layer=sheet.layer,
            driver=driver.gdal,
            geometry_name="geometry",
            geometry_type=kind,
            crs=label_of(sheet.crs),
            encoding=encoding,
            **driver.options,
        )
    except Exception:
        if failed:
            raise failed[0] from None
        raise
    return count


def _vector_value(value: Any, kind: Kind, driver: Driver, text: Callable[[str], str]) -> Any:
    if value is None:
        return None
    if kind == "time":
        return value if driver.has_times else _iso(value)
    return text(str(value)) if kind == "text" else value


def _iso(value: datetime) -> str:
    return value.isoformat(timespec="seconds")


def _placed(shapes_wkb: Sequence[bytes | None], crs: Crs, *, multi: bool) -> list[bytes | None]:
    shapes = shapely.from_wkb([None if one is None else bytes(one) for one in shapes_wkb])
    moved = geometries_from_wgs84(np.asarray(shapes, dtype=object), crs)
    if multi:
        single = shapely.get_type_id(moved) == 3
        moved = moved.copy()
        moved[single] = [shapely.MultiPolygon([one]) for one in moved[single]]
    return list(shapely.to_wkb(moved))


def _write_shapefile(path: Path, sheet: Sheet, rows: Rows) -> int:
    """A zipped Shapefile with .prj, .cpg, and a sheet that tells what the ten letters of each field mean."""
    coding = "gbk" if sheet.encoding == "gbk" else "utf-8"
    short = _short_names(sheet.headers, coding)
    cut = _Cut(coding)
    headers = tuple(Header(one.key, short[one.key], one.kind) for one in sheet.headers)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".shp-") as folder:
        shapefile = Path(folder) / f"{sheet.layer}.shp"
        count = _write_vector(
            shapefile,
            FORMATS["shp.zip"],
            Sheet(sheet.layer, headers, sheet.geometry, sheet.crs),
            rows,
            text=cut,
            encoding="CP936" if coding == "gbk" else "UTF-8",
        )
        told = [f"{one.key}\t{short[one.key]}\t{one.name}" for one in sheet.headers]
        lines = [*(f"{name}: {value}" for name, value in sheet.about), "", *cut.told(), *told, ""]
        # The mark tells an old editor that it is UTF-8, whatever the attributes are in.
        (Path(folder) / "readme.txt").write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as packed:
            for file in sorted(Path(folder).iterdir()):
                packed.write(file, file.name)
    return count


def _short_names(headers: Sequence[Header], coding: str) -> dict[str, str]:
    """Names of ten bytes at most, each once."""
    short: dict[str, str] = {}
    for one in headers:
        wish = _SHORT_NAMES.get(one.name, one.name)
        name, number = _cut_to(wish, _DBF_NAME_BYTES, coding), 1
        while name in short.values():
            name = f"{_cut_to(wish, _DBF_NAME_BYTES - 2, coding)}_{number}"
            number += 1
        short[one.key] = name
    return short


def _cut_to(words: str, most: int, coding: str) -> str:
    return words.encode(coding, errors="replace")[:most].decode(coding, errors="ignore")


class _Cut:
    """Text as a DBF table takes it: 254 bytes, the letters of its coding. Counts what was lost."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self.shortened = 0
        self.replaced = 0

    def __call__(self, words: str) -> str:
        data = words.encode(self.coding, errors="replace")
        made = data[:_DBF_TEXT_BYTES].decode(self.coding, errors="ignore")
        self.shortened += len(data) > _DBF_TEXT_BYTES
        self.replaced += made != words and "?" in made and len(data) <= _DBF_TEXT_BYTES
        return made

    def told(self) -> list[str]:
        """Lines for the readme."""
        lines = []
        if self.shortened:
            lines.append(f"超过 254 字节而截短的值 / values cut to 254 bytes: {self.shortened}")
        if self.replaced:
            lines.append(f"含 GBK 以外的字、以 ? 代替的值 / values with letters beyond GBK, now ?: {self.replaced}")
        return [*lines, ""] if lines else []


def _write_gpx(path: Path, sheet: Sheet, rows: Rows) -> int:
    """Waypoints for devices: a point on the ground of each row, named, everything else in its description.

    Written here: GDAL's driver takes no Arrow, and a waypoint is four elements.
    """
    kind = next((one.key for one in sheet.headers if one.key in ("kind", "category_name", "use", "tier")), "")
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<gpx version="1.1" creator="Wangge" xmlns="http://www.topografix.com/GPX/1/1">\n'
        )
        for some in rows:
            count += len(some)
            for row, (x, y, _) in zip(some, _places(some, sheet, with_outline=False), strict=True):
                if x is None:
                    continue
                words = {
                    "name": row.get("name") or row.get("title") or row.get("code"),
                    "desc": "; ".join(
                        f"{one.name}: {_plain(row[one.key], one.kind)}"
                        for one in sheet.headers
                        if row[one.key] is not None
                    ),
                    "src": row.get("code"),
                    "type": row.get(kind),
                }
                told = "".join(f"<{tag}>{_xml(value)}</{tag}>" for tag, value in words.items() if value)
                file.write(f'<wpt lat="{y}" lon="{x}">{told}</wpt>\n')
        file.write("</gpx>\n")
    return count


def _xml(value: Any) -> str:
    """Text as XML takes it."""
    return escape(_NO_XML.sub("", str(value)))


# --- Tables -----------------------------------------------------------------------------------------------------------


def _write_csv(path: Path, sheet: Sheet, rows: Rows) -> int:
    """UTF-8 with the mark that Excel needs to see it is."""
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(one.name for one in sheet.headers), *_place_names(sheet, with_outline=True)])
        for some in rows:
            places = _places(some, sheet, with_outline=True)
            for row, place in zip(some, places, strict=True):
                cells = (_plain(row[one.key], one.kind) for one in sheet.headers)
                writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in (*cells, *place)])
            count += len(some)
    return count


def guarded(cell: str) -> str:
    """A cell of text that no spreadsheet takes for a formula; imports take the apostrophe off again.

    Examples
    --------
    >>> guarded("=HYPERLINK(1)"), guarded("阳光水岸")
    ("'=HYPERLINK(1)", '阳光水岸')
    """
    return f"'{cell}" if cell.startswith(_FORMULA_SIGNS) else cell


def _write_excel(path: Path, sheet: Sheet, rows: Rows) -> int:
    """One sheet of rows, as text where they are text, and one that says what they are; written as they come."""
    return write_book(path, [(sheet, rows)], sheet.about)


def write_book(path: Path, sheets: Sequence[tuple[Sheet, Rows]], about: Sequence[tuple[str, str]]) -> int:
    """Several sheets of rows in one workbook, and a last one that says what they are; gives the number of rows.

    Raises
    ------
    InvalidInput
        ``export.too_many_rows``.
    """
    book = openpyxl.Workbook(write_only=True)
    count = sum(_add_sheet(book, sheet, rows) for sheet, rows in sheets)
    last = book.create_sheet("说明 About")
    for name, value in about:
        last.append([_cell(last, name), _cell(last, value)])
    book.save(path)
    return count


def _add_sheet(book: Any, sheet: Sheet, rows: Rows) -> int:
    table = book.create_sheet(sheet.layer[:31])
    table.freeze_panes = "A2"
    table.append([*(one.name for one in sheet.headers), *_place_names(sheet, with_outline=False)])
    count = 0
    for some in rows:
        count += len(some)
        if count > EXCEL_ROWS_MOST:
            table.close()
            raise InvalidInput("export.too_many_rows", most=EXCEL_ROWS_MOST)
        for row, place in zip(some, _places(some, sheet, with_outline=False), strict=True):
            cells = (_plain(row[one.key], one.kind) for one in sheet.headers)
            table.append([_cell(table, value) for value in (*cells, *place)])
    return count


def _cell(table: Any, value: Any) -> Any:
    """Text as text, whatever it begins with: of itself only an equals sign makes a formula of it."""
    if not isinstance(value, str):
        return value
    value = ILLEGAL_CHARACTERS_RE.sub("", value)[:_EXCEL_CELL_LONGEST]
    if not value.startswith("="):
        return value
    cell = WriteOnlyCell(table, value="")
    cell.value, cell.data_type = value, "s"
    return cell


def _plain(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind == "flag":
        return int(value)
    return _iso(value) if kind == "time" else value


def _place_names(sheet: Sheet, *, with_outline: bool) -> list[str]:
    """Headers of the place: a point's are known to imports; of an outline in Excel only a point for people is left."""
    if sheet.geometry is None:
        return []
    system = "坐标系" if sheet.in_chinese else "crs"
    if sheet.geometry == "point":
        degrees = ("经度", "纬度") if sheet.in_chinese else ("lon", "lat")
        metres = ("x坐标", "y坐标") if sheet.in_chinese else ("x", "y")
        return [*(degrees if sheet.crs.is_geographic else metres), system]
    if with_outline:
        return ["wkt", system]
    return [*(("代表点横向", "代表点纵向") if sheet.in_chinese else ("label_x", "label_y")), system]


def _places(some: list[dict[str, Any]], sheet: Sheet, *, with_outline: bool) -> list[list[Any]]:
    if sheet.geometry is None:
        return [[] for _ in some]
    digits = 7 if sheet.crs.is_geographic else 3
    wkb = _placed([row["geometry"] for row in some], sheet.crs, multi=sheet.geometry == "polygon")
    shapes = shapely.from_wkb(wkb)
    if sheet.geometry == "polygon" and with_outline:
        outlines = (None if one is None else shapely.to_wkt(one, rounding_precision=digits) for one in shapes)
        return [[outline, sheet.crs.name] for outline in outlines]
    points = shapely.point_on_surface(shapes)
    xy = np.column_stack([shapely.get_x(points), shapely.get_y(points)]).round(digits).tolist()
    return [[*(value if value == value else None for value in pair), sheet.crs.name] for pair in xy]


def is_ours(path: Path) -> bool:
    """Whether a file may be replaced by an export: one of a kind that exports make, and not a town or a plan."""
    return path.is_file() and any(path.name.lower().endswith(f".{name}") for name in FORMATS)
