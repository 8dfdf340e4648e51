"""Workbooks: one sheet, held in memory, since it has a million rows at most."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from gis.errors import InvalidInput
from gis.geotagging.chunk import Chunk, Form
from gis.geotagging.numbers import numbers, pairs
from gis.geotagging.words import NO_COORDINATES

MOST_ROWS = 1_048_576
"""Of a sheet, its header among them."""
BATCH_ROWS = 20_000
UNPACKED_MOST_MB = 2_000
CELLS_MOST = 50_000_000
_SHEET = re.compile(r"xl/(work|macro)sheets/[^/]+\.xml")
_COLUMN = re.compile(rb'r="([A-Z]{1,3})[0-9]')
_ROW = re.compile(rb'r="[A-Z]{0,3}([0-9]{1,7})"')

Row = Sequence[Any]


@dataclass(frozen=True)
class ExcelFile:
    """A sheet's rows, or what a worker needs to know of it.

    Attributes
    ----------
    schema : Schema
        A column of one kind has its type; any other is text.
    lon, lat, address : int or None
        Numbers of these columns.
    """

    path: Path
    sheet: str
    schema: pa.Schema
    rows: Sequence[Row] = ()
    lon: int | None = None
    lat: int | None = None
    address: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "rows": ()}  # a worker gets its blocks one by one

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.schema.names)

    def blocks(self) -> Iterator[Sequence[Row]]:
        """Some thousand rows at a time."""
        for at in range(0, len(self.rows), BATCH_ROWS):
            yield self.rows[at : at + BATCH_ROWS]

    def share(self, block: Sequence[Row]) -> float:
        """How much of the sheet a block is."""
        return len(block) / max(len(self.rows), 1)

    def parse(self, block: Sequence[Row], *, form: Form) -> Chunk:
        """Rows of a block; raw ones are lists of cells."""
        if self.lon is None or self.lat is None:
            xy, state = np.full((len(block), 2), np.nan), np.full(len(block), NO_COORDINATES, dtype=np.uint8)
        else:
            xy, state = pairs(_numbers(block, self.lon), _numbers(block, self.lat))
        addresses = None if self.address is None else [_text(row[self.address]) for row in block]
        return Chunk(
            xy, state, self._table(block) if form == "table" else None, block if form == "raw" else None, addresses
        )

    def _table(self, block: Sequence[Row]) -> pa.Table:
        columns = [pa.array([_as(row[at], one.type) for row in block], one.type) for at, one in enumerate(self.schema)]
        return pa.Table.from_arrays(columns, schema=self.schema)


def _numbers(block: Sequence[Row], at: int) -> Any:
    cells = [row[at] for row in block]
    if all(isinstance(cell, float | int) and not isinstance(cell, bool) for cell in cells):
        return numbers(pa.array(cells, pa.float64()))
    return numbers(pa.array([_text(cell) for cell in cells], pa.string()))


def _text(cell: Any) -> str | None:
    if cell is None or cell == "":
        return None
    if isinstance(cell, datetime | date | time):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)


def _kind(cells: Sequence[Any]) -> pa.DataType:
    kinds = {type(cell) for cell in cells if cell is not None and cell != ""}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {date}:
        return pa.date32()
    if kinds and kinds <= {datetime, date}:
        return pa.timestamp("ms")
    if kinds and kinds <= {int, float}:
        whole = all(float(cell).is_integer() and abs(cell) < 2**53 for cell in cells if isinstance(cell, int | float))
        return pa.int64() if whole else pa.float64()
    return pa.string()


def _as(cell: Any, kind: pa.DataType) -> Any:
    if cell is None or cell == "":
        return None
    if pa.types.is_string(kind):
        return _text(cell)
    if pa.types.is_integer(kind):
        return int(cell)
    if pa.types.is_timestamp(kind) and not isinstance(cell, datetime):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 (a workbook knows no zones)
    return cell


def open_excel(path: Path, sheet: str | None, is_header: Any) -> ExcelFile:
    """Read a sheet, its only filled one unless it is named.

    Parameters
    ----------
    is_header : callable
        Whether a row's words look like headers: titles may stand above them.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file``, ``import.empty_file``, ``import.too_large``, ``geotag.sheet_too_wide``,
        ``geotag.which_layer``.
    """
    _check_size(path)
    try:
        book = CalamineWorkbook.from_path(str(path))
        names = [sheet] if sheet is not None else book.sheet_names
        read = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in names}
    except (CalamineError, OSError, ValueError) as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error
    filled = {name: rows for name, rows in read.items() if any(_is_filled(row) for row in rows)}
    if not filled:
        raise InvalidInput("import.empty_file", path=path.name)
    if len(filled) > 1:
        raise InvalidInput("geotag.which_layer", path=path.name, layers=list(filled))
    ((name, rows),) = filled.items()
    at = next((at for at, row in enumerate(rows[:10]) if is_header([str(cell).strip() for cell in row])), None)
    if at is None:
        at = next(at for at, row in enumerate(rows) if _is_filled(row))
    headers = _headers(rows[at])
    body = [[_plain(cell) for cell in row[: len(headers)]] for row in rows[at + 1 :] if _is_filled(row)]
    schema = pa.schema([(header, _kind([row[n] for row in body])) for n, header in enumerate(headers)])
    return ExcelFile(path, name, schema, body)


def _check_size(path: Path) -> None:
    """Refuse a workbook that unpacks to more than memory, or whose few cells span more of a sheet than that.

    A sheet is read as a full rectangle: two cells in its far corners would make it one of 17 thousand million.
    """
    if not zipfile.is_zipfile(path):
        return  # a workbook of the old kind: 65,536 rows of 256 columns at most
    try:
        with zipfile.ZipFile(path) as packed:
            size_mb = sum(entry.file_size for entry in packed.infolist()) // 1_000_000
            if size_mb > UNPACKED_MOST_MB:
                raise InvalidInput("import.too_large", path=path.name, size_mb=size_mb, limit_mb=UNPACKED_MOST_MB)
            for name in packed.namelist():
                if _SHEET.fullmatch(name):
                    _check_span(packed, name, path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error) as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error


def _check_span(packed: zipfile.ZipFile, name: str, path: Path) -> None:
    columns: set[bytes] = set()
    row, held = 1, b""
    with packed.open(name) as sheet:
        while part := sheet.read(1 << 20):
            held = held[-64:] + part  # a reference may lie across two parts
            columns.update(_COLUMN.findall(held))
            row = max(row, *map(int, _ROW.findall(held)[-1:]), *map(int, _ROW.findall(held)[:1]))
    most = max((_number(letters) for letters in columns), default=1)
    if row * most > CELLS_MOST:
        raise InvalidInput("geotag.sheet_too_wide", path=path.name, rows=row, columns=most)


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number


def _plain(cell: Any) -> Any:
    if isinstance(cell, timedelta):
        return str(cell)
    return int(cell) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53 else cell


def _headers(row: Row) -> list[str]:
    names: list[str] = []
    for number, cell in enumerate(row, start=1):
        name = str(cell).strip() or f"column {number}"
        names.append(name if name not in names else f"{name} {number}")
    while len(names) > 1 and names[-1].startswith("column "):
        names.pop()
    return names


def _is_filled(row: Row) -> bool:
    return any(str(cell).strip() for cell in row)
