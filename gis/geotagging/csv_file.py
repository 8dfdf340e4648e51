"""CSV files: parsed by pyarrow where they are in order, by hand, record by record, where they are not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from gis.errors import InvalidInput
from gis.geotagging import text_blocks
from gis.geotagging.chunk import Chunk, Form
from gis.geotagging.numbers import numbers, pairs
from gis.geotagging.words import BROKEN, NO_COORDINATES

DELIMITERS = ",;\t|"
HEADER_BYTES = 1 << 20
COLUMNS_MOST = 2_000
_RECORD_LINES = 200  # a record of more lines is a quotation that never ends
_FIELD_LONGEST = text_blocks.RECORD_MOST


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, or what a worker needs to know of it.

    Attributes
    ----------
    header : str
        The first record as it stands there, without its end.
    columns : tuple of str
        Every header once; an empty one is called by its number.
    lon, lat, address : int or None
        Numbers of these columns.
    """

    path: Path
    encoding: str
    mark: int
    start: int
    delimiter: str
    quoted: bool
    header: str
    columns: tuple[str, ...]
    lon: int | None = None
    lat: int | None = None
    address: int | None = None

    @property
    def schema(self) -> pa.Schema:
        """All is text: a code with leading zeros stays one."""
        return pa.schema([(name, pa.string()) for name in self.columns])

    def blocks(self) -> Iterator[bytes]:
        """The records below the header."""
        return text_blocks.blocks(self.path, start=self.start, quoted=self.quoted)

    def share(self, block: bytes) -> float:
        """How much of the file a block is."""
        return len(block) / max(self.path.stat().st_size, 1)

    def parse(self, block: bytes, *, form: Form) -> Chunk:
        """Rows of a block; raw ones are lines of text."""
        data, readable = text_blocks.in_utf8(block, self.encoding)
        if readable and b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if readable and b"\r" not in data:
            try:
                return self._quickly(data, form)
            except (pa.ArrowInvalid, _OutOfStepError):
                pass
        return self._by_hand(data.decode(), form)

    def _quickly(self, data: bytes, form: Form) -> Chunk:
        if not data.strip():
            return self._chunk(pa.table({name: pa.array([], pa.string()) for name in self.columns}), None, form)
        wanted = list(self.columns) if form == "table" else [self.columns[at] for at in self._asked()]
        quoted = b'"' in data
        table = pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(column_names=list(self.columns), use_threads=False, block_size=len(data) + 1),
            pacsv.ParseOptions(delimiter=self.delimiter, newlines_in_values=quoted),
            pacsv.ConvertOptions(
                include_columns=wanted or [self.columns[0]],
                column_types=dict.fromkeys(self.columns, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=False,
            ),
        )
        lines = _lines(data, table.num_rows, quoted=quoted) if form == "raw" else None
        return self._chunk(table, lines, form)

    def _asked(self) -> list[int]:
        return sorted({at for at in (self.lon, self.lat, self.address) if at is not None})

    def _chunk(
        self, table: pa.Table, lines: pa.Array | None, form: Form, broken: NDArray[np.bool_] | None = None
    ) -> Chunk:
        if self.lon is None or self.lat is None:
            xy, state = np.full((len(table), 2), np.nan), np.full(len(table), NO_COORDINATES, dtype=np.uint8)
        else:
            xy, state = pairs(numbers(table[self.columns[self.lon]]), numbers(table[self.columns[self.lat]]))
        if broken is not None:
            state[broken], xy[broken] = BROKEN, np.nan
        addresses = None if self.address is None else table[self.columns[self.address]].to_pylist()
        return Chunk(xy, state, table if form == "table" else None, lines, addresses)

    def _by_hand(self, words: str, form: Form) -> Chunk:
        rows: list[Sequence[str | None]] = []
        lines: list[str] = []
        broken: list[bool] = []
        width = len(self.columns)
        for fields, line, is_broken in _records(words, self.delimiter, width):
            if is_broken:
                fields = [*fields[: width - 1], self.delimiter.join(fields[width - 1 :])]
                fields += [""] * (width - len(fields))
                line = _line(fields, self.delimiter)
            rows.append([field if field else None for field in fields])
            lines.append(line)
            broken.append(is_broken)
        columns = zip(*rows, strict=True) if rows else [[] for _ in self.columns]
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.Table.from_arrays(arrays, names=list(self.columns))
        return self._chunk(table, pa.array(lines, pa.large_binary()), form, np.array(broken, dtype=bool))


class _OutOfStepError(Exception):
    """Lines and rows of a block do not belong together."""


def _lines(data: bytes, rows: int, *, quoted: bool) -> pa.Array:
    """The records of a block as they stand there, without their ends and without empty ones; no copy is made."""
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw == 10)
    if quoted:
        marks = np.cumsum(raw == 34, dtype=np.int64)
        ends = ends[marks[ends] % 2 == 0]
    if not len(ends) or ends[-1] != len(raw) - 1:
        ends = np.append(ends, len(raw))
    starts = np.append(0, ends[:-1] + 1)
    kept = ends > starts
    if int(kept.sum()) != rows:
        raise _OutOfStepError
    # Between two records lies one byte: as an array of their own they would need a copy, so views are taken.
    offsets = np.empty(2 * rows + 1, dtype=np.int64)
    offsets[0:-1:2], offsets[1::2], offsets[-1] = starts[kept], ends[kept], ends[kept][-1] if rows else 0
    both = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 2 * rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return both.take(pa.array(np.arange(0, 2 * rows, 2)))


def _records(words: str, delimiter: str, width: int) -> Iterator[tuple[list[str], str, bool]]:
    """Records of a text that is not in order: fields, lines, and whether it is broken.

    A record whose quotation does not end, or that has too many or too few fields, is its first line alone, broken;
    what follows is looked at anew.
    """
    csv.field_size_limit(_FIELD_LONGEST)
    lines = re.split(r"\r\n|\n|\r", words)
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        fields, used = _record(lines, at, delimiter, width)
        line = "\n".join(lines[at : at + used])
        if fields is None or "\ufffd" in line or "\0" in line:
            yield fields or line.replace("\0", "").split(delimiter), line, True
        else:
            yield fields, line, len(fields) != width
        at += used


def _record(lines: list[str], at: int, delimiter: str, width: int) -> tuple[list[str] | None, int]:
    """Fields of the record that begins in a line, ``None`` if it has none that can be told, and its lines."""
    taken = lines[at]
    for used in range(1, min(_RECORD_LINES, len(lines) - at) + 1):
        if used > 1:
            taken += "\n" + lines[at + used - 1]
        if taken.count('"') % 2 == 0:
            fields = _fields(taken, delimiter)
            if fields is not None and (len(fields) == width or used == 1):
                return fields, used
            break
    return _fields(lines[at], delimiter), 1


def _fields(words: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader(io.StringIO(words.replace("\0", ""), newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _line(fields: Sequence[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(fields)
    return out.getvalue().replace("\n", " ")


def open_csv(path: Path) -> CsvFile:
    """Look at the head of a CSV file.

    Raises
    ------
    InvalidInput
        ``import.unreadable_text``, ``import.empty_file``, ``geotag.too_many_columns``.
    """
    encoding, mark = text_blocks.encoding_of(path)
    with path.open("rb") as file:
        file.seek(mark)
        head = file.read(HEADER_BYTES)
        skipped = len(head) - len(head.lstrip(b"\r\n"))
        head = head[skipped:]
    end = _first_end(head)
    header = head[:end].decode(encoding, errors="replace").rstrip("\r\n")
    if not header.strip():
        raise InvalidInput("import.empty_file", path=path.name)
    delimiter = max(DELIMITERS, key=header.count)
    columns = _named(_fields(header, delimiter) or header.split(delimiter), path)
    quoted = _has_marks(path)
    return CsvFile(path, encoding, mark, mark + skipped + end, delimiter, quoted, header, columns)


def _first_end(head: bytes) -> int:
    """Offset behind the first record; behind the first line if its quotation never ends."""
    begin, marks = 0, 0
    while (end := head.find(b"\n", begin) + 1) > 0:
        marks += head.count(b'"', begin, end)
        if marks % 2 == 0:
            return end
        begin = end
    return (head.find(b"\n") + 1) or len(head)


def _named(fields: Sequence[str], path: Path) -> tuple[str, ...]:
    if len(fields) > COLUMNS_MOST:
        raise InvalidInput("geotag.too_many_columns", path=path.name, columns=len(fields), most=COLUMNS_MOST)
    names: dict[str, None] = {}
    for number, field in enumerate(fields, start=1):
        name = field.strip() or f"column {number}"
        names[name if name not in names else f"{name} {number}"] = None
    return tuple(names)


def _has_marks(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b'"' in part for part in iter(lambda: file.read(1 << 22), b""))
