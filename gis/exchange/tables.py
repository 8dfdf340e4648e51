"""Tables out of CSV and Excel files, as rows of text and values; nothing is understood here."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from gis.errors import InvalidInput
from gis.exchange import columns
from gis.findings import Finding, Severity
from gis.town import LAYERS

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
ENCODINGS = ("utf-8-sig", "gb18030")
_FIELD_LONGEST = 50_000_000
_HEADER_WITHIN = 10

Sheet = tuple[str, pd.DataFrame, tuple[Finding, ...]]


def read_csv(path: Path) -> list[Sheet]:
    """Rows of a CSV file in UTF-8 or GB 18030 (so GBK too), separated by comma, semicolon, tab or bar.

    Raises
    ------
    InvalidInput
        ``import.unreadable_text`` for another encoding or a binary file; ``import.truncated_table`` where a quotation
        never ends; ``import.empty_file``.
    """
    words = _decode(path)
    header, _, _ = words.partition("\n")
    delimiter = max(",;\t|", key=header.count)
    csv.field_size_limit(_FIELD_LONGEST)
    try:
        rows: list[list[Any]] = list(csv.reader(io.StringIO(words, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidInput("import.truncated_table", path=path.name, reason=str(error)) from error
    return [_sheet(path.stem, rows, path.name)]


def _decode(path: Path) -> str:
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\x00" in data[:100_000]:
        raise InvalidInput("import.unreadable_text", path=path.name)
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InvalidInput("import.unreadable_text", path=path.name)


def read_excel(path: Path) -> list[Sheet]:
    """Sheets of a workbook that are not empty; merged cells hold their value in every row.

    Raises
    ------
    InvalidInput
        ``import.unreadable_file``, ``import.empty_file``.
    """
    try:
        book = CalamineWorkbook.from_path(str(path))
        sheets = [book.get_sheet_by_name(name) for name in book.sheet_names]
        tables = [(sheet.name, _unmerged(sheet)) for sheet in sheets]
    except (CalamineError, OSError, ValueError) as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error
    filled = [(name, rows) for name, rows in tables if any(_is_filled(row) for row in rows)]
    if not filled:
        raise InvalidInput("import.empty_file", path=path.name)
    return [_sheet(name, rows, path.name) for name, rows in filled]


def _unmerged(sheet: Any) -> list[list[Any]]:
    rows: list[list[Any]] = [list(row) for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        for at in range(top, min(bottom + 1, len(rows))):
            for column in range(left, min(right + 1, len(rows[at]))):
                # A merged title over the table is one cell for people; over rows it is a value of each of them.
                if left == right or at > top:
                    rows[at][column] = rows[top][left]
    return rows


def _sheet(name: str, rows: list[list[Any]], file: str) -> Sheet:
    """Find the header; rows below it are numbered from 1, empty ones counted but left out."""
    at = _header_row(rows)
    if at is None:
        raise InvalidInput("import.empty_file", path=file)
    headers = _headers(rows[at])
    layer = columns.find_layer(name) or name
    kept: dict[int, list[Any]] = {}
    findings: list[Finding] = []
    for number, row in enumerate(rows[at + 1 :], start=1):
        if not _is_filled(row):
            continue
        if _is_filled(row[len(headers) :]):
            params = {"fields": len(row), "headers": len(headers)}
            findings.append(Finding("import.ragged_row", Severity.REJECTED, layer, number, params=params))
            continue
        kept[number] = [*row[: len(headers)], *[None] * (len(headers) - len(row))]
    frame = pd.DataFrame.from_dict(kept, orient="index", columns=headers, dtype=object)
    return name, frame, tuple(findings)


def _header_row(rows: list[list[Any]]) -> int | None:
    """The first row with two known headers (there may be titles above it), else the first that is filled."""
    for at, row in enumerate(rows[:_HEADER_WITHIN]):
        words = [str(cell) for cell in row if cell not in (None, "")]
        if max((len(columns.match(layer, words)) for layer in LAYERS), default=0) >= 2:
            return at
    return next((at for at, row in enumerate(rows) if _is_filled(row)), None)


def _headers(row: list[Any]) -> list[str]:
    headers: list[str] = []
    for at, cell in enumerate(row, start=1):
        name = str(cell).strip() if cell not in (None, "") else f"column {at}"
        headers.append(name if name not in headers else f"{name} {at}")
    while headers and headers[-1].startswith("column "):
        headers.pop()
    return headers


def _is_filled(row: list[Any]) -> bool:
    return any(cell is not None and str(cell).strip() != "" for cell in row)
