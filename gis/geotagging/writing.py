"""Tagged rows written: into text, GeoParquet, GeoPackage or a workbook, each row as it was with columns added.

`Writer.encoded` makes what is to be written of a chunk, anywhere and in any order; `Writer.writing` takes it into the
file, in order. Rows that go back into the format that they came from are not taken apart: a line of text stays as it
was, to the last byte.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyogrio
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from gis.crs import Crs
from gis.geotagging.cells import Cells
from gis.geotagging.chunk import Chunk, FloatArray
from gis.geotagging.tagging import Tags
from gis.geotagging.words import COLUMNS, HINTS, HOW, OF_CELL, REASONS, word

BOM = b"\xef\xbb\xbf"
_METRES = {"distance_m", "lon_wgs84", "lat_wgs84"}
GEOMETRY = "geometry"
_NOTHING = pa.scalar("", pa.large_string())
_NOTHINGS = pa.array([""], pa.large_string())


def added_schema(headers: Mapping[str, str]) -> pa.Schema:
    """The added columns with their types."""
    return pa.schema(
        [(headers[name], pa.float64() if name in _METRES else pa.string()) for name in COLUMNS if name in headers]
    )


def added(tags: Tags, cells: Cells, headers: Mapping[str, str], language: str) -> pa.Table:
    """The added columns of a chunk."""
    row = pa.array(tags.row, mask=tags.row < 0)
    beside = pa.array(tags.beside, mask=tags.beside < 0)
    found: dict[str, Any] = {
        "how": _spelt(tags.how, [word(code, language) for code in HOW]),
        "distance_m": pa.array(np.round(tags.distance_m, 1), from_pandas=True),
        "flags": _flags(tags, language),
        "lon_wgs84": pa.array(tags.xy_wgs84[:, 0], from_pandas=True),
        "lat_wgs84": pa.array(tags.xy_wgs84[:, 1], from_pandas=True),
        "beside_code": pc.take(cells.words["micro_grid_code"].combine_chunks(), beside),
    }
    found |= {name: pc.take(cells.words[name].combine_chunks(), row) for name in OF_CELL if name in headers}
    return pa.table({headers[name]: found[name] for name in COLUMNS if name in headers})


def _large(words: str) -> pa.Scalar:
    return pa.scalar(words, pa.large_string())


def _spelt(values: Any, words: list[str]) -> pa.Array:
    return pc.take(pa.array(words, pa.string()), pa.array(values))


def _flags(tags: Tags, language: str) -> pa.Array:
    """Reason and hint of each row in one text; both are few, so that each pair is spelt once."""
    words = [
        ";".join(word(code, language) for code in (reason, hint) if code) or None
        for reason in REASONS
        for hint in HINTS
    ]
    return pc.take(pa.array(words, pa.string()), pa.array(tags.reason.astype(np.int64) * len(HINTS) + tags.hint))


class Writer(Protocol):
    """One kind of file."""

    @property
    def keeps_lines(self) -> bool:
        """Whether it wants `Chunk.raw`, and not the table."""

    @property
    def cell_text(self) -> pa.Array | None:
        """What it writes for each row of `Cells.words`, made once; else these columns come with the added ones."""

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> Any:
        """What is to be written of a chunk; a value that can be pickled."""

    def writing(self, path: Path) -> Any:
        """A context that gives the function which writes what was encoded."""


# --- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CsvWriter:
    """CSV: UTF-8 (marked where the source was, or where a spreadsheet is to open it) or GB 18030."""

    header: str
    delimiter: str
    encoding: str
    is_marked: bool
    keeps_lines: bool

    cell_text: pa.Array

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> bytes:
        if not len(chunk):
            return b""
        if self.keeps_lines:
            first = [pc.cast(chunk.raw, pa.large_string())]
        else:
            assert chunk.table is not None
            first = [csv_text(column, self.delimiter) for column in chunk.table.columns]
        cells = [*first, *(csv_text(column, self.delimiter) for column in extra.columns), _taken(self.cell_text, tags)]
        return self._bytes(_joined(pc.binary_join_element_wise(*cells, _large(self.delimiter))))

    def _bytes(self, data: bytes) -> bytes:
        return data if self.encoding == "utf-8" or data.isascii() else data.decode().encode(self.encoding)

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        with path.open("wb") as file:
            file.write(BOM if self.is_marked else b"")
            file.write(self._bytes(self.header.encode() + b"\n"))
            yield file.write


def cells_text(columns: Iterable[Any], delimiter: str) -> pa.Array:
    """What a line ends with, for each row of `Cells.words` and, last, for no cell: made once, not for every row."""
    texts = [pa.concat_arrays([csv_text(_harmless(column), delimiter), _NOTHINGS]) for column in columns]
    joined = pc.binary_join_element_wise(*texts, _large(delimiter))
    return pc.binary_join_element_wise(joined, _large("\n"), _NOTHING)


def _harmless(column: Any) -> Any:
    """Words of ours that a spreadsheet does not take for a formula."""
    return pc.replace_substring_regex(column, r"^([=+@\t-])", r"'\1")


def _taken(texts: pa.Array, tags: Tags) -> pa.Array:
    return pc.take(texts, pa.array(np.where(tags.row < 0, len(texts) - 1, tags.row)))


def csv_text(column: pa.ChunkedArray | pa.Array, delimiter: str) -> pa.Array:
    """A column as cells of a CSV file, in quotation marks where they are needed; missing is empty."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        array = _as_text(array)
    array = pc.cast(array, pa.large_string())
    special = pc.match_substring_regex(array, f'["\\n\\r{delimiter}]')
    if pc.any(special).as_py():
        marked = pc.replace_substring(array, '"', '""')
        marked = pc.binary_join_element_wise(_large('"'), marked, _large('"'), _NOTHING)
        array = pc.if_else(special, marked, array)
    return pc.fill_null(array, "")


def _as_text(array: pa.Array) -> pa.Array:
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return pa.array([None if one is None else _json(one) for one in array.to_pylist()], pa.large_string())
    return pc.cast(array, pa.large_string())


def _json(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, default=str)


def _joined(lines: Any) -> bytes:
    """The bytes of an array of text, one after the other."""
    parts = lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]
    out = []
    for part in parts:
        _, offsets, data = part.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        out.append(memoryview(data)[ends[0] : ends[-1]])
    return b"".join(out)


@dataclass(frozen=True)
class NdjsonWriter:
    """One JSON object a line; lines that were such stay as they are, with members added before their last brace."""

    keeps_lines: bool
    cell_text: pa.Array

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> bytes:
        if not len(chunk):
            return b""
        lines = _json_lines(chunk.raw) if self.keeps_lines else pa.array(_objects(chunk.table), pa.large_string())
        open_ = pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(lines, 0, -1))
        first = pc.if_else(pc.ends_with(open_, "{"), open_, pc.binary_join_element_wise(open_, _NOTHING, _large(",")))
        own = [
            _member(name, column.combine_chunks())
            for name, column in zip(extra.column_names, extra.columns, strict=True)
        ]
        added = pc.binary_join_element_wise(*own, _taken(self.cell_text, tags), _large(","))
        return _joined(pc.binary_join_element_wise(first, added, _NOTHING))

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        with path.open("wb") as file:
            yield file.write


def _json_lines(raw: Any) -> pa.Array:
    if isinstance(raw, pa.Array):
        return pc.cast(raw, pa.large_string())
    return pa.array([_dumped(_told(row)) for row in raw], pa.large_string())


def _told(row: Any) -> Any:
    """An object; a line that is none comes back as its text."""
    return {"line": row.decode(errors="replace")} if isinstance(row, bytes) else row


def _objects(table: Any) -> list[str]:
    return [_dumped(row) for row in table.to_pylist()]


def _dumped(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def member_text(columns: Mapping[str, Any]) -> pa.Array:
    """What an object ends with, for each row of `Cells.words` and, last, for no cell."""
    texts = [
        _member(name, pa.concat_arrays([column.combine_chunks(), pa.nulls(1, pa.string())]))
        for name, column in columns.items()
    ]
    joined = pc.binary_join_element_wise(*texts, _large(","))
    return pc.binary_join_element_wise(joined, _large("}\n"), _NOTHING)


def _member(name: str, column: pa.Array) -> pa.Array:
    head = _large(json.dumps(name, ensure_ascii=False) + ":")
    if pa.types.is_floating(column.type):
        value = pc.cast(column, pa.large_string())
    else:
        known = pc.dictionary_encode(column)
        words = [json.dumps(one, ensure_ascii=False) for one in known.dictionary.to_pylist()]
        value = pc.take(pa.array(words, pa.large_string()), known.indices)
    return pc.binary_join_element_wise(head, pc.fill_null(value, "null"), _NOTHING)


@dataclass(frozen=True)
class FeatureWriter:
    """One GeoJSON feature a line, the added members among its properties."""

    keeps_lines = True
    cell_text = None

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> bytes:  # noqa: ARG002 (a writer's shape)
        return b"".join(
            _dumped(_feature(row, more)).encode() + b"\n"
            for row, more in zip(chunk.raw, extra.to_pylist(), strict=True)
        )

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        with path.open("wb") as file:
            yield file.write


def _feature(row: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(row, bytes):
        row = {"type": "Feature", "geometry": None, "properties": _told(row)}
    known = row.get("properties")
    return {**row, "properties": {**(known if isinstance(known, dict) else {}), **more}}


# --- tables ----------------------------------------------------------------------------------------------------------


def point_wkb(xy: FloatArray) -> pa.Array:
    """Points as well-known binary; missing where there is none."""
    raw = np.empty((len(xy), 21), dtype=np.uint8)
    raw[:, :5] = (1, 1, 0, 0, 0)
    raw[:, 5:] = np.ascontiguousarray(xy, dtype="<f8").view(np.uint8).reshape(-1, 16)
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(21), len(xy), [None, pa.py_buffer(raw)])
    return pc.if_else(pa.array(~np.isnan(xy).any(axis=1)), pc.cast(fixed, pa.binary()), None)


@dataclass(frozen=True)
class _Tables:
    """What the writers of tables share: the source's columns, the added ones, and a point where it had no geometry."""

    schema: pa.Schema
    makes_points: bool
    keeps_lines = False
    cell_text = None

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> pa.Table:
        assert chunk.table is not None
        arrays = [*chunk.table.columns, *extra.columns]
        if self.makes_points:
            arrays.append(point_wkb(tags.xy_wgs84))
        return pa.Table.from_arrays(arrays, schema=self.schema)


@dataclass(frozen=True)
class ParquetWriter(_Tables):
    """GeoParquet: the geometry of the source as it is, or a point in WGS-84 made of its coordinates."""

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        with pq.ParquetWriter(path, self.schema, compression="zstd", compression_level=1) as file:
            yield file.write_table


@dataclass(frozen=True)
class GpkgWriter(_Tables):
    """A layer of a GeoPackage."""

    layer: str = "tagged"
    geometry: str | None = None
    geometry_type: str | None = None
    crs_wkt: str | None = None

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        def write(table: pa.Table) -> None:
            if len(table) or not path.exists():
                with warnings.catch_warnings():  # that a time has a zone is no fault
                    warnings.filterwarnings("ignore", "Non-conformant content", RuntimeWarning)
                    self._append(table, path)

        yield write
        if not path.exists():  # a table without rows is one, too
            write(self.schema.empty_table())

    def _append(self, table: pa.Table, path: Path) -> None:
        pyogrio.write_arrow(
                    table, path, layer=self.layer, driver="GPKG", geometry_name=self.geometry,
                    geometry_type=self.geometry_type, crs=self.crs_wkt, append=path.exists(),
                )  # fmt: skip


def geo_metadata(column: str, crs: Crs | None, types: Sequence[str] = ()) -> dict[bytes, bytes]:
    """What GeoParquet says of a column of well-known binary."""
    system = None if crs is None else json.loads(crs.proj.to_json())
    about = {"encoding": "WKB", "geometry_types": list(types), "crs": system}
    return {b"geo": json.dumps({"version": "1.1.0", "primary_column": column, "columns": {column: about}}).encode()}


# --- workbooks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExcelWriter:
    """A sheet of a workbook (.xlsx)."""

    headers: tuple[str, ...]
    keeps_lines: bool
    sheet: str = "tagged"
    cell_text = None

    def encoded(self, chunk: Chunk, tags: Tags, extra: pa.Table) -> list[list[Any]]:  # noqa: ARG002 (a writer's shape)
        if self.keeps_lines:
            rows = [list(row) for row in chunk.raw]
        else:
            assert chunk.table is not None
            rows = [list(row) for row in zip(*(c.to_pylist() for c in chunk.table.columns), strict=True)]
        more = zip(*(column.to_pylist() for column in extra.columns), strict=True)
        return [[_cell(value) for value in (*row, *extras)] for row, extras in zip(rows, more, strict=True)]

    @contextmanager
    def writing(self, path: Path) -> Iterator[Any]:
        book = Workbook(write_only=True)
        sheet = book.create_sheet(self.sheet[:31])
        sheet.append([_cell(header) for header in self.headers])

        def write(rows: list[list[Any]]) -> None:
            for row in rows:
                sheet.append(row)

        yield write
        book.save(path)


def _cell(value: Any) -> Any:
    """A value that a workbook takes: nothing stands as a formula, and no control characters."""
    if isinstance(value, str):
        clean = ILLEGAL_CHARACTERS_RE.sub("", value)
        return clean if not clean.startswith("=") else f"'{clean}"
    if isinstance(value, int | float | bool) or value is None:
        return value
    if isinstance(value, bytes | list | dict):
        return _json(value)
    if getattr(value, "tzinfo", None) is not None:
        return value.isoformat()
    return value
