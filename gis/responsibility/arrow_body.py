"""Points out of an Arrow stream that somebody sent: two columns of numbers, and nothing that grows when it is read."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gis.errors import InvalidInput

_KINDS = (pa.float64(), pa.float32(), pa.int64(), pa.int32())
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2


def points_of(body: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of a stream with the columns ``lon`` and ``lat``; empty places become NaN.

    Raises
    ------
    InvalidInput
        ``locate.bad_body``: no such stream, other columns, or compressed: 16 MB could hold a terabyte.
    """
    try:
        _refuse_compressed(body)
        with pa.ipc.open_stream(body) as reader:
            kinds = {field.name: field.type for field in reader.schema}
            if not all(kinds.get(name) in _KINDS for name in ("lon", "lat")):
                raise InvalidInput("locate.bad_body", reason="lon, lat: double")
            table = reader.read_all()
        table.validate(full=True)  # lengths are only said by the sender
        return _numbers(table["lon"]), _numbers(table["lat"])
    except (pa.ArrowException, OSError, struct.error, ValueError, KeyError, IndexError) as error:
        raise InvalidInput("locate.bad_body", reason=str(error)[:200]) from error


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    found = column.to_numpy() if column.num_chunks != 1 else column.chunk(0).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(found, dtype=np.float64)


def _refuse_compressed(body: bytes) -> None:
    """Look through the heads of the messages; a batch whose head has a fourth field is compressed.

    The format: https://arrow.apache.org/docs/format/Columnar.html (encapsulated messages), with Message.fbs.
    """
    at = 0
    while at + 8 <= len(body):
        mark, size = struct.unpack_from("<Ii", body, at)
        if mark != 0xFFFFFFFF:
            raise ValueError("not an Arrow stream")
        if size == 0:
            return
        if size < 0 or at + 8 + size > len(body):
            raise ValueError("cut short")
        head = body[at + 8 : at + 8 + size]
        kind, header, length = _message(head)
        if kind in (_RECORD_BATCH, _DICTIONARY_BATCH):
            batch = header if kind == _RECORD_BATCH else _table(head, _field(head, header, 1))
            if _field(head, batch, 3):
                raise InvalidInput("locate.bad_body", reason="compression")
        at += 8 + size + length
        if length < 0:
            raise ValueError("cut short")


def _message(head: bytes) -> tuple[int, int, int]:
    """Kind, place of the header's table and length of the body of a message."""
    root = struct.unpack_from("<I", head, 0)[0]
    kind_at, header_at, length_at = (_field(head, root, n) for n in (1, 2, 3))
    kind = head[kind_at] if kind_at else 0
    length = struct.unpack_from("<q", head, length_at)[0] if length_at else 0
    return kind, _table(head, header_at) if header_at else 0, length


def _field(head: bytes, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table stands; 0 if it is missing."""
    vtable = table - struct.unpack_from("<i", head, table)[0]
    size: Any = struct.unpack_from("<H", head, vtable)[0]
    if 4 + 2 * number >= size:
        return 0
    offset = struct.unpack_from("<H", head, vtable + 4 + 2 * number)[0]
    return table + int(offset) if offset else 0


def _table(head: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", head, at)[0])
