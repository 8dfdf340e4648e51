"""The ground of a board as columns of numbers, which a page reads without parsing.

Form 1
------
All numbers little-endian. The length of the head in bytes (uint32), the head (JSON in UTF-8, padded with spaces so that
the columns begin at a multiple of 8), then the columns one after the other, each from a multiple of 8. In the head
``columns`` gives for each name its type (``i4``, ``u1``, ``f8``), where it begins after the head, and its length.

A shape is sent once, as the lines between faces: the ring of a face is what the lines with it on one side make, up to
corners that only a neighbouring community has on its border (at most a step of the lattice off the line). Which cell
land lies in changes with every edit and is told with the cells (`gis.desk.telling.land`), so that these bytes change
only when faces are split, and may be kept until then.

=================  ==================================================================================================
head               ``form``, ``ground`` (its number), ``steps_per_degree``, ``columns``
face_id            ids as differences to the one before, the first to 0; so are ``face_building`` and ``edge_id``
face_building      0 for land
face_community     id, as differences too
face_unit_from/to  staircases, both inclusive; 0 for all
face_area_m2       two decimals
edge_a, edge_b     positions of faces; ``edge_b`` is -1 at the outline of a community
edge_length_cm
edge_barrier       class by rising strength, 128 more where nobody can cross
edge_points        how many points the line has
x, y               the points of all lines in steps of the lattice east and north, as differences to the one before
=================  ==================================================================================================
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from gis.desk.board import Board, Edge, Face
from gis.geometry import STEPS_PER_DEGREE

FORM = 1
MEDIA_TYPE = "application/vnd.wangge.ground"
BARRED = 128
KEPT = 8
"""Grounds that a process keeps as bytes; one of 17,000 buildings has 1.4 MB."""

Columns = Mapping[str, NDArray[Any]]
_BESIDE = 8
_GZIP = 31  # window bits that make zlib write a gzip file


def packed(board: Board) -> bytes:
    """The ground of a board in form 1."""
    faces, edges = list(board.faces.values()), list(board.edges.values())
    head = {"form": FORM, "ground": board.ground, "steps_per_degree": STEPS_PER_DEGREE}
    return joined(head, {**_faces(faces), **_edges(edges, [one.id for one in faces])})


def _faces(faces: list[Face]) -> dict[str, NDArray[Any]]:
    return {
        "face_id": _steps(one.id for one in faces),
        "face_building": _steps(one.building or 0 for one in faces),
        "face_community": _steps(one.community for one in faces),
        "face_unit_from": _column("i4", (one.unit_from or 0 for one in faces)),
        "face_unit_to": _column("i4", (one.unit_to or 0 for one in faces)),
        "face_area_m2": _column("f8", (round(one.area_m2, 2) for one in faces)),
    }


def _edges(edges: list[Edge], faces: list[int]) -> dict[str, NDArray[Any]]:
    at: dict[int | None, int] = {key: position for position, key in enumerate(faces)}
    at[None] = -1
    points, of = shapely.get_coordinates(shapely.from_wkb([one.line for one in edges]), return_index=True)
    steps = np.rint(points * STEPS_PER_DEGREE)
    return {
        "edge_id": _steps(one.id for one in edges),
        "edge_a": _column("i4", (at[one.a] for one in edges)),
        "edge_b": _column("i4", (at[one.b] for one in edges)),
        "edge_length_cm": _column("i4", (round(round(one.length_m, 2) * 100) for one in edges)),
        "edge_barrier": _column("u1", (one.barrier + (0 if one.is_crossable else BARRED) for one in edges)),
        "edge_points": np.bincount(of, minlength=len(edges)).astype("<i4"),
        "x": _narrow(np.diff(steps[:, 0], prepend=0)),
        "y": _narrow(np.diff(steps[:, 1], prepend=0)),
    }


def _column(kind: str, values: Iterable[float]) -> NDArray[Any]:
    return np.fromiter(values, dtype=f"<{kind}")


def _steps(ids: Iterable[int]) -> NDArray[Any]:
    return _narrow(np.diff(np.fromiter(ids, dtype=np.int64), prepend=0))


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """As int32 where all fit, else as doubles, which are exact to 2^53."""
    fits = not len(values) or np.abs(values).max() < 2**31
    return values.astype("<i4" if fits else "<f8")


def joined(head: Mapping[str, Any], columns: Columns) -> bytes:
    """A head and columns as bytes."""
    told, body = laid(columns)
    return headed({**head, "columns": told}, body)


def laid(columns: Columns) -> tuple[dict[str, list[Any]], bytes]:
    """Columns one after the other, and of each its type, where it begins, and its length."""
    told: dict[str, list[Any]] = {}
    at, body = 0, []
    for name, values in columns.items():
        told[name] = [values.dtype.str[1:], at, len(values)]
        data = values.tobytes()
        body.append(data + b"\0" * (-len(data) % _BESIDE))
        at += len(body[-1])
    return told, b"".join(body)


def headed(head: Mapping[str, Any], body: bytes) -> bytes:
    """Columns that are laid out, after a head that tells where."""
    words = orjson.dumps(head)
    words += b" " * (-(len(words) + 4) % _BESIDE)
    return b"".join([struct.pack("<I", len(words)), words, body])


def parted(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `joined` was given: the head, and the columns as they were written."""
    (length,) = struct.unpack_from("<I", data)
    head = orjson.loads(data[4 : 4 + length])
    columns = {
        name: np.frombuffer(data, dtype=f"<{kind}", count=count, offset=4 + length + at)
        for name, (kind, at, count) in head.pop("columns").items()
    }
    return head, columns


def mark(board: Board) -> str:
    """What a ground is known by: its number, and its first and last rows, which a survey given up never shares."""
    first, last = next(iter(board.faces), 0), next(reversed(board.edges), 0)
    return f"{board.setting.plan_id}-{board.ground}-{first}-{last}-form{FORM}"


class Grounds:
    """Grounds as gzip files, by database and mark; those longest unused are forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def gzipped(self, database: str, board: Board) -> bytes:
        """The ground of a board, written once until it changes."""
        key = (database, mark(board))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        data = gzipped(packed(board))
        with self._lock:
            self._known[key] = data
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return data


def gzipped(data: bytes) -> bytes:
    """Bytes as a gzip file. Level 1: level 6 takes seven times as long, and saves 7 % of a ground."""
    maker = zlib.compressobj(1, wbits=_GZIP)
    return maker.compress(data) + maker.flush()


def gunzipped(data: bytes) -> bytes:
    """What a gzip file holds."""
    return zlib.decompress(data, wbits=_GZIP)
