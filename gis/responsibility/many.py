"""Many points at once: the cell that covers each, by its row in a small table of the cells that occur.

Here the rule is *covers, then the lowest id* and nothing else: what is near a border or nearest is asked by single
points. Points in no cell come back with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from gis.errors import InvalidInput
from gis.responsibility import arrow_body, json_body
from gis.responsibility.book import View
from gis.responsibility.responsibility import Responsibility

MOST_IN_JSON = 10_000
REASONS = ("outside", "no_coordinates", "bad_coordinates", "axes_swapped")
"""Why a point is in no cell: beyond all that are shown, without a number, beyond the earth, latitude first."""

Grounds = NDArray[np.int32]
Floats = NDArray[np.float64]


def by_json(body: bytes, index: Responsibility, view: View, *, threads: int = 1) -> bytes:
    """Answer ``{"points": [[lon, lat], …]}``; of the cells only the ids where the view is brief.

    Raises
    ------
    InvalidInput
        ``locate.bad_body``, ``geotag.too_many``.
    """
    lon, lat = json_body.points_of(body, most=MOST_IN_JSON)
    grounds = placed(index, view, lon, lat, threads=threads)
    occurring, cell = _occurring(grounds, len(index.ground_starts) - 1)
    told = b",".join(index.entries(occurring.tolist(), view))
    rows = orjson.dumps(cell, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join(
        (
            b'{"version":"', index.version.encode(), b'","cell":', rows, b',"cells":[', told, b'],"reasons":',
            orjson.dumps(_reasons(grounds, lon, lat), option=orjson.OPT_SERIALIZE_NUMPY), b"}",
        )
    )  # fmt: skip


def by_arrow(body: bytes, index: Responsibility, view: View, *, threads: int = 1) -> bytes:
    """Answer an Arrow stream with the columns ``lon`` and ``lat`` by one with ``cell``, codes, and ``reason``.

    Without the codes where the view is brief.

    Raises
    ------
    InvalidInput
        ``locate.bad_body``.
    """
    return _as_arrow(*arrow_body.points_of(body), index, view, threads=threads)


def by_pairs(body: bytes, index: Responsibility, view: View, *, threads: int = 1) -> bytes:
    """Answer pairs of little-endian doubles, longitude first, as `by_arrow` does.

    Raises
    ------
    InvalidInput
        ``locate.bad_body``.
    """
    if len(body) % 16:
        raise InvalidInput("locate.bad_body", reason="pairs of doubles have 16 bytes each")
    pairs = np.ascontiguousarray(np.frombuffer(body, dtype="<f8").reshape(-1, 2).T)
    return _as_arrow(pairs[0], pairs[1], index, view, threads=threads)


READERS: dict[str, Callable[..., bytes]] = {
    "application/json": by_json,
    "application/vnd.apache.arrow.stream": by_arrow,
    "application/octet-stream": by_pairs,
}
"""By the media type of what is sent; JSON is answered by JSON, the others by an Arrow stream."""
ARROW = "application/vnd.apache.arrow.stream"


def placed(index: Responsibility, view: View, lon: ArrayLike, lat: ArrayLike, *, threads: int = 1) -> Grounds:
    """The ground of each point, of those that are shown; -1 where there is none."""
    grounds = index.cells.locate_many(lon, lat, threads=threads)
    if view.sees is None:
        return grounds
    shown = index.shown(view)
    hidden = np.flatnonzero((grounds >= 0) & ~shown[grounds])
    if len(hidden):  # another that is shown may have the same border
        x, y = np.asarray(lon)[hidden], np.asarray(lat)[hidden]
        begins, found, metres = index.cells.around_many(x, y, 0.0, threads=threads)
        of = np.repeat(np.arange(len(hidden)), np.diff(begins))
        fits = (metres == 0.0) & shown[found]
        grounds[hidden] = -1
        # The lowest is written last.
        grounds[hidden[of[fits][::-1]]] = found[fits][::-1]
    return grounds


@dataclass(frozen=True)
class Dictionaries:
    """What an Arrow answer tells of the cells that may occur in it, each value once.

    Attributes
    ----------
    rows : list of array of int
        For each column the row of its value in its dictionary, by the place of the cell, -1 where it has none; one more
        at the end, for a point in no cell. The smallest type that holds them; one array for columns that are alike.
    values : list of Array
    head : bytes
        Schema and dictionaries: all of the stream that goes before the rows.
    """

    rows: list[NDArray[Any]]
    values: list[pa.Array]
    head: bytes

    @classmethod
    def of(cls, table: pa.RecordBatch, version: str) -> Dictionaries:
        """Of a table with a row a cell."""
        rows: list[NDArray[Any]] = []
        encoded = [column.dictionary_encode() for column in table.columns]
        for one in encoded:
            row = np.append(one.indices.fill_null(-1).to_numpy(), -1)
            row = row.astype(np.result_type(np.int8, np.min_scalar_type(-len(one.dictionary) - 1)))
            rows.append(next((known for known in rows if np.array_equal(known, row)), row))
        values = [one.dictionary for one in encoded]
        empty = _batch(rows, values, np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int8))
        return cls(rows, values, _head_of(empty.replace_schema_metadata({"version": version})))


def _as_arrow(lon: Floats, lat: Floats, index: Responsibility, view: View, *, threads: int) -> bytes:
    grounds = placed(index, view, lon, lat, threads=threads)
    table = index.ground_table.select([_NAMES[0]]) if view.is_brief else index.ground_table
    if view.sees is not None or len(grounds) * 4 < table.num_rows:
        # Only the cells that occur: others are not everybody's to know, and a few points of a city need few.
        occurring, place = _occurring(grounds, table.num_rows)
        known = Dictionaries.of(table.take(pa.array(occurring)), index.version)
    else:
        place = grounds
        known = index.dictionaries.get(view.is_brief) or Dictionaries.of(table, index.version)
        index.dictionaries[view.is_brief] = known
    lost = np.flatnonzero(place < 0)
    which = np.full(len(place), -1, dtype=np.int8)
    which[lost] = _why(lon[lost], lat[lost])
    return b"".join((known.head, _batch(known.rows, known.values, place, which).serialize(), _END_OF_STREAM))


_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_NAMES = ("cell", "micro_grid", "grid", "community", "reason")


def _head_of(batch: pa.RecordBatch) -> bytes:
    """Schema and dictionaries of a stream, with a batch of no rows."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written.removesuffix(_END_OF_STREAM)


def _batch(
    rows: Sequence[NDArray[Any]], values: Sequence[pa.Array], place: Grounds, which: NDArray[np.int8]
) -> pa.RecordBatch:
    """Columns of points by the places of their cells, -1 for none, and by the numbers of their reasons."""
    # Columns that are alike are taken once; -1 wraps to the end.
    taken = {id(row): _indices(row.take(place, mode="wrap")) for row in rows}
    indices = [*(taken[id(row)] for row in rows), _indices(which)]
    columns = [
        pa.DictionaryArray.from_arrays(one, value, safe=False)
        for one, value in zip(indices, (*values, _WORDS), strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, [*_NAMES[: len(columns) - 1], _NAMES[-1]])


def _indices(numbers: NDArray[Any]) -> pa.Array:
    """Numbers as they lie in memory, those below 0 as null."""
    is_there = np.packbits(numbers >= 0, bitorder="little")
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(numbers.dtype), len(numbers), [pa.py_buffer(is_there), pa.py_buffer(numbers)]
    )


_WORDS = pa.array(REASONS)


def _occurring(grounds: Grounds, count: int) -> tuple[Grounds, Grounds]:
    """The grounds that occur, and the row of each point's among them."""
    is_there = np.zeros(count + 1, dtype=bool)
    is_there[grounds] = True  # -1 is the last
    row_of = np.cumsum(is_there, dtype=np.int32) - 1
    row_of[-1] = -1
    return np.flatnonzero(is_there[:-1]).astype(np.int32), row_of[grounds]


def _reasons(grounds: Grounds, lon: Floats, lat: Floats) -> dict[str, NDArray[Any]]:
    lost = np.flatnonzero(grounds < 0)
    if not len(lost):
        return {}
    which = _why(lon[lost], lat[lost])
    return {name: lost[which == n] for n, name in enumerate(REASONS) if (which == n).any()}


def _why(lon: Floats, lat: Floats) -> NDArray[np.int8]:
    """The number of the reason for points that no cell covers."""
    is_number = ~(np.isnan(lon) | np.isnan(lat))
    on_earth = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    turned = (np.abs(lon) <= 90) & (np.abs(lat) <= 180)
    return np.select([~is_number, on_earth, turned], [1, 0, 3], 2).astype(np.int8)
