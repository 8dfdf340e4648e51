"""One door for tables of places: the format by its ending, the columns by their names; one look before the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gis.crs import Crs, parse
from gis.errors import InvalidInput, NotFound, UnknownCrs
from gis.exchange import columns as known
from gis.exchange.reading import agree
from gis.geotagging.arrow_file import ArrowFile, open_layer, open_parquet
from gis.geotagging.csv_file import CsvFile, open_csv
from gis.geotagging.excel_file import ExcelFile, open_excel
from gis.geotagging.heaps import HeapCount, Heaps
from gis.geotagging.ndjson_file import Members, NdjsonFile, open_ndjson

CSV = (".csv", ".tsv", ".txt")
NDJSON = (".ndjson", ".jsonl", ".geojsonl", ".geojsons")
PARQUET = (".parquet", ".geoparquet")
GPKG = (".gpkg",)
EXCEL_IN = (".xlsx", ".xlsm", ".xls")
EXCEL_OUT = (".xlsx",)
ENDINGS_IN = (*CSV, *NDJSON, *PARQUET, *GPKG, *EXCEL_IN)
ENDINGS_OUT = (*CSV, *NDJSON, *PARQUET, *GPKG, *EXCEL_OUT)

File = CsvFile | NdjsonFile | ArrowFile | ExcelFile
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Asked:
    """What the caller says of a file.

    Attributes
    ----------
    crs : str or None
        What its coordinates are in; needed where it does not say so itself.
    lon, lat, address : str or None
        Its columns; by default those that are called so.
    layer : str or None
        Of a GeoPackage or workbook of several.
    """

    crs: str | None = None
    lon: str | None = None
    lat: str | None = None
    address: str | None = None
    layer: str | None = None


@dataclass(frozen=True)
class Looked:
    """A file that has been read once from end to end.

    Attributes
    ----------
    file : File
        With the columns of all rows.
    rows : int
    heaps : Heaps
    """

    file: File
    rows: int
    heaps: Heaps


def open_file(path: Path, asked: Asked) -> tuple[File, Crs]:
    """Look at the head of a file: its columns, and the system of its coordinates.

    Raises
    ------
    NotFound
        ``import.no_file``; ``geotag.no_column`` for a column that was named.
    InvalidInput
        ``import.empty_file``, ``import.unreadable_file``, ``import.unreadable_text``, ``import.crs_conflict``,
        ``geotag.unknown_format``, ``geotag.no_coordinate_columns``, ``geotag.which_layer``.
    UnknownCrs
        ``crs.unknown``, ``import.crs_missing``.
    """
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    if path.stat().st_size == 0:
        raise InvalidInput("import.empty_file", path=path.name)
    stated = None if asked.crs is None else parse(asked.crs)
    file = _with_places(_opened(path, asked.layer), asked)
    own = file.stated if isinstance(file, ArrowFile) and not file.lon else None
    crs = agree(stated, own, path.name)
    if crs is None:
        raise UnknownCrs("import.crs_missing", file=path.name, layer="")
    return file, crs


def _opened(path: Path, layer: str | None) -> File:
    ending = path.suffix.lower()
    if ending in CSV:
        return open_csv(path)
    if ending in NDJSON:
        return open_ndjson(path)
    if ending in PARQUET:
        return open_parquet(path)
    if ending in GPKG:
        return open_layer(path, layer)
    if ending in EXCEL_IN:
        return open_excel(path, layer, _is_header)
    raise InvalidInput("geotag.unknown_format", path=path.name, known=", ".join(ENDINGS_IN))


def _is_header(words: Iterable[str]) -> bool:
    listed = [word for word in words if word]
    named = known.find(listed, known.LON_NAMES) and known.find(listed, known.LAT_NAMES)
    return bool(named or known.find(listed, known.COLUMN_NAMES["address"]))


def _with_places(file: File, asked: Asked) -> File:
    """The file with its columns of coordinates or addresses found."""
    names = file.columns
    address = _named(names, asked.address, file.path)
    own = (isinstance(file, ArrowFile) and file.geometry) or (isinstance(file, NdjsonFile) and file.is_features)
    lon, lat = _named(names, asked.lon, file.path), _named(names, asked.lat, file.path)
    if lon is None and lat is None and not own:
        lon, lat = known.find(names, known.LON_NAMES), known.find(names, known.LAT_NAMES)
    if (lon is None) != (lat is None) or (lon is None and not own and address is None):
        raise InvalidInput("geotag.no_coordinate_columns", path=file.path.name, columns=list(names)[:30])
    if isinstance(file, CsvFile | ExcelFile):
        return replace(file, lon=_at(names, lon), lat=_at(names, lat), address=_at(names, address))
    return replace(file, lon=lon, lat=lat, address=address)


def _named(names: tuple[str, ...], wanted: str | None, path: Path) -> str | None:
    if wanted is None:
        return None
    found = wanted if wanted in names else known.find(names, [wanted])
    if found is None:
        raise NotFound("geotag.no_column", path=path.name, column=wanted, columns=list(names)[:30])
    return found


def _at(names: tuple[str, ...], name: str | None) -> int | None:
    return None if name is None else names.index(name)


def look(
    file: File,
    *,
    ratio: float,
    with_members: bool,
    in_order: Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]],
    progress: Callable[[float], None],
) -> Looked:
    """Read a file once: how many rows it has, which points are heaps, and whether it is whole.

    Parameters
    ----------
    ratio : float
        Share of all rows from which on a point is a default point; 0 for none.
    with_members : bool
        Whether the columns of lines of JSON are to be gathered from all rows.
    in_order : callable
        Does a function for each block, in threads, and gives the answers in order.
    """
    counted, members, done = HeapCount(ratio), Members(), 0.0

    def seen(block: Any) -> tuple[Any, int, float, Members | None]:
        chunk = file.parse(block, form="points")
        more = file.members(block) if with_members and isinstance(file, NdjsonFile) else None
        return chunk.xy[chunk.state == 0], len(chunk), file.share(block), more

    for xy, rows, share, more in in_order(seen, file.blocks()):
        counted.add(xy, rows)
        done += share
        progress(min(done, 1.0))
        if more is not None:
            members.merge(more)
    if with_members and isinstance(file, NdjsonFile):
        file = replace(file, schema=members.schema)
    return Looked(file, counted.rows, counted.found())


def columns_of(path: Path) -> tuple[str, ...]:
    """The columns of a file of any of the formats, by its first layer or sheet."""
    return _opened(path, None).columns
