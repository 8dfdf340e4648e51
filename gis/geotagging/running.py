"""From file to file: read once to look, once to tag; written beside the target, which it replaces when all is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from gis.crs import WGS84, Crs
from gis.errors import InvalidInput
from gis.exchange.town_file import replacing
from gis.geotagging import excel_file, reading, writing
from gis.geotagging.arrow_file import ArrowFile
from gis.geotagging.cells import Cells
from gis.geotagging.csv_file import CsvFile
from gis.geotagging.excel_file import ExcelFile
from gis.geotagging.heaps import RATIO, Heaps
from gis.geotagging.ndjson_file import NdjsonFile
from gis.geotagging.reading import Asked, File
from gis.geotagging.tagging import Counts, Resolve, Tagger, count
from gis.geotagging.words import COLUMNS, OF_CELL, OWN, headers
from gis.spreading import stream

T = TypeVar("T")
R = TypeVar("R")

LOOKING = 0.3
"""Share of the work that the first reading counts as."""
AHEAD = 2  # blocks under way for each thread
_DELIMITERS = {".tsv": "\t"}


@dataclass(frozen=True)
class Wish:
    """How rows are to come back.

    Attributes
    ----------
    language : {"zh", "en"}
        Of the added headers and words.
    with_phones : bool
        Add the telephones of the people responsible.
    heap_ratio : float
        Share of all rows from which on a shared point is a default point (see `gis.geotagging.heaps`); 0 for none.
    encoding : {"utf-8", "gb18030"} or None
        Of CSV; by default the source's, else UTF-8 with a mark.
    """

    language: str = "zh"
    with_phones: bool = False
    heap_ratio: float = RATIO
    encoding: str | None = None


@dataclass(frozen=True)
class Summary:
    """What became of the rows.

    Attributes
    ----------
    default_points : list of (x, y, rows)
        As the file has them.
    headers : mapping of str to str
        The added columns and what they are called in the file.
    seconds : float
    """

    counts: Counts
    default_points: Sequence[tuple[float, float, int]]
    headers: Mapping[str, str]
    crs: str
    version: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        counts = self.counts
        return {
            "rows": counts.rows,
            "inside": counts.how["inside"],
            "border": counts.how["border"],
            "nearest": counts.how["nearest"],
            "none": counts.how["none"],
            "reasons": dict(counts.reasons.most_common()),
            "hints": dict(counts.hints.most_common()),
            "default_points": [{"x": x, "y": y, "rows": rows} for x, y, rows in self.default_points],
            "columns": dict(self.headers),
            "crs": self.crs,
            "plan_version": self.version,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(counts.rows / self.seconds) if self.seconds else None,
        }


@dataclass(frozen=True)
class Work:
    """What is done with every block of a file; a value that a worker is given once."""

    file: File
    tagger: Tagger
    writer: Any
    headers: Mapping[str, str]
    language: str

    def do(self, block: Any, resolve: Resolve | None = None) -> tuple[Any, Counts]:
        """Parse a block, tag its rows, and make what is to be written."""
        chunk = self.file.parse(block, form="raw" if self.writer.keeps_lines else "table")
        tags = self.tagger.tag(chunk, resolve)
        names = [name for name in self.headers if name in OWN or self.writer.cell_text is None]
        extra = writing.added(tags, self.tagger.cells, {name: self.headers[name] for name in names}, self.language)
        return self.writer.encoded(chunk, tags, extra), count(tags)


def geotag_file(
    source: Path,
    out: Path,
    *,
    cells: Cells,
    asked: Asked,
    wish: Wish,
    threads: int = 1,
    cluster: str | None = None,
    resolve: Resolve | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Summary:
    """Tag every row of a file.

    Parameters
    ----------
    source, out : Path
        Any of the formats by their endings (`gis.geotagging.reading`).
    threads : int
        Blocks worked on at a time on this machine.
    cluster : str, optional
        Address of a Dask scheduler whose workers do it instead; the answers are the same.
    resolve : callable, optional
        Finds addresses (only on this machine: it asks the database).
    progress : callable, optional
        Told the share done, 0 to 1, now and then.

    Raises
    ------
    InvalidInput
        ``geotag.cancelled``, ``geotag.unknown_format``, ``geotag.too_many_for_excel``, and what
        `gis.geotagging.reading.open_file` raises; of a cluster what `gis.spreading.spread` raises.
    Unavailable
        ``import.cannot_write``.
    """
    began = time.perf_counter()
    told, stop = progress or _silent, cancelled or _never
    if out.suffix.lower() not in reading.ENDINGS_OUT:
        raise InvalidInput("geotag.unknown_format", path=out.name, known=", ".join(reading.ENDINGS_OUT))
    file, crs = reading.open_file(source, asked)
    looked = reading.look(
        file,
        ratio=wish.heap_ratio,
        with_members=out.suffix.lower() not in reading.NDJSON,
        in_order=lambda work, items: in_order(work, items, threads=threads, cancelled=stop),
        progress=lambda share: told(LOOKING * share),
    )
    if out.suffix.lower() in reading.EXCEL_OUT and looked.rows >= excel_file.MOST_ROWS:
        raise InvalidInput("geotag.too_many_for_excel", rows=looked.rows, most=excel_file.MOST_ROWS - 1)
    work = _work(looked.file, out, cells, crs, looked.heaps, wish)
    counts, done = Counts(), 0
    with replacing(out) as temporary, work.writer.writing(temporary) as write:
        for encoded, more in _answers(work, threads, cluster, resolve, stop):
            write(encoded)
            counts.add(more)
            done += more.rows
            told(LOOKING + (1.0 - LOOKING) * done / max(looked.rows, 1))
    points = [(x, y, rows) for (x, y), rows in looked.heaps.points.items()]
    return Summary(counts, points, work.headers, crs.name, cells.version, time.perf_counter() - began)


def _answers(
    work: Work, threads: int, cluster: str | None, resolve: Resolve | None, stop: Callable[[], bool]
) -> Iterator[tuple[Any, Counts]]:
    if cluster is None:
        return in_order(lambda block: work.do(block, resolve), work.file.blocks(), threads=threads, cancelled=stop)
    return stream(_done, work.file.blocks(), common=work, cluster=cluster, cancelled=stop, stopped="geotag.cancelled")


def _done(block: Any, work: Work) -> tuple[Any, Counts]:
    return work.do(block)


def _never() -> bool:
    return False


def _silent(_share: float) -> None:
    return


def in_order(work: Callable[[T], R], items: Iterable[T], *, threads: int, cancelled: Callable[[], bool]) -> Iterator[R]:
    """Do a function for each item in threads; give the answers in order, with few items under way.

    Raises
    ------
    InvalidInput
        ``geotag.cancelled``.
    """
    pool = ThreadPoolExecutor(max(threads, 1))
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            _check(cancelled)
            waiting.append(pool.submit(work, item))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            _check(cancelled)
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise InvalidInput("geotag.cancelled")


# --- what is written -------------------------------------------------------------------------------------------------


def _work(file: File, out: Path, cells: Cells, crs: Crs, heaps: Heaps, wish: Wish) -> Work:
    names = [name for name in COLUMNS if name != "phones" or wish.with_phones]
    told = headers(names, [*file.columns, writing.GEOMETRY], wish.language)
    own = {told[name]: cells.words[name] for name in OF_CELL if name in told}
    return Work(file, Tagger(cells, crs, heaps), _writer(file, out, told, own, wish), told, wish.language)


def _writer(file: File, out: Path, told: Mapping[str, str], own: Mapping[str, Any], wish: Wish) -> Any:
    ending = out.suffix.lower()
    if ending in reading.CSV:
        return _csv(file, out, told, own, wish)
    if ending in reading.NDJSON:
        if isinstance(file, NdjsonFile) and file.is_features:
            return writing.FeatureWriter()
        return writing.NdjsonWriter(isinstance(file, NdjsonFile), writing.member_text(own))
    if ending in reading.EXCEL_OUT:
        names = (*file.columns, *told.values())
        if isinstance(file, ExcelFile):
            return writing.ExcelWriter(names, True, file.sheet)
        return writing.ExcelWriter(names, False)
    return _parquet(file, told) if ending in reading.PARQUET else _gpkg(file, out, told)


def _csv(file: File, out: Path, told: Mapping[str, str], words: Mapping[str, Any], wish: Wish) -> writing.CsvWriter:
    own = isinstance(file, CsvFile)
    delimiter = file.delimiter if isinstance(file, CsvFile) else _DELIMITERS.get(out.suffix.lower(), ",")
    encoding = wish.encoding or (file.encoding if isinstance(file, CsvFile) else "utf-8")
    marked = encoding == "utf-8" and (file.mark > 0 if isinstance(file, CsvFile) else True)
    known = file.header if isinstance(file, CsvFile) else _header(file.columns, delimiter)
    header = f"{known}{delimiter}{_header(told.values(), delimiter)}"
    text = writing.cells_text(words.values(), delimiter)
    return writing.CsvWriter(header, delimiter, encoding, marked, own, text)


def _header(names: Iterable[str], delimiter: str) -> str:
    return delimiter.join(writing.csv_text(pa.array(list(names), pa.string()), delimiter).to_pylist())


def _parquet(file: File, told: Mapping[str, str]) -> writing.ParquetWriter:
    geometry = isinstance(file, ArrowFile) and file.geometry is not None
    fields = [*file.schema, *writing.added_schema(told)]
    metadata = dict(file.schema.metadata or {}) if isinstance(file, ArrowFile) and file.layer is None else {}
    if isinstance(file, ArrowFile) and file.layer is not None and geometry:
        name = str(file.geometry)
        fields = [pa.field(one.name, pa.binary()) if one.name == name else one for one in fields]
        metadata = writing.geo_metadata(name, file.stated)
    if not geometry:
        name = _free(writing.GEOMETRY, file.columns)
        fields.append(pa.field(name, pa.binary()))
        metadata |= writing.geo_metadata(name, WGS84, ["Point"])
    return writing.ParquetWriter(pa.schema(fields, metadata), makes_points=not geometry)


def _gpkg(file: File, out: Path, told: Mapping[str, str]) -> writing.GpkgWriter:
    layer = file.layer if isinstance(file, ArrowFile) and file.layer else out.stem
    fields = [*_plain(file), *writing.added_schema(told)]
    if isinstance(file, ArrowFile) and file.geometry is not None:
        wkt = file.crs_wkt or (file.stated.proj.to_wkt() if file.stated else None)
        return writing.GpkgWriter(
            pa.schema(fields), False, layer, file.geometry, file.geometry_type or "Unknown", wkt
        )  # fmt: skip
    name = _free(writing.GEOMETRY, file.columns)
    schema = pa.schema([*fields, pa.field(name, pa.binary())])
    return writing.GpkgWriter(schema, True, layer, name, "Point", "EPSG:4326")


def _plain(file: File) -> list[pa.Field]:
    """Columns as GDAL takes them: text that it does not know becomes plain text."""
    return [pa.field(one.name, pa.string()) if pa.types.is_dictionary(one.type) else one for one in file.schema]


def _free(name: str, taken: Sequence[str]) -> str:
    return name if name not in taken else _free(f"{name}_2", taken)
