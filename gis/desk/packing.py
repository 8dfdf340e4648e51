"""Rows as bytes for the log, geometry as the bytes that it is stored as."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import orjson

from gis.desk.board import Cell, Edge, Face, Part, Rows

_KINDS: dict[str, tuple[type[Any], str | None]] = {
    "cells": (Cell, "ground"),
    "parts": (Part, None),
    "faces": (Face, "shape"),
    "edges": (Edge, "line"),
}


def packed(before: Rows, after: Rows) -> bytes:
    """Two sets of rows as compressed JSON."""
    return zlib.compress(orjson.dumps([_plain(before), _plain(after)]), 1)


def unpacked(data: bytes) -> tuple[Rows, Rows]:
    """What `packed` was given."""
    before, after = orjson.loads(zlib.decompress(data))
    return _rows(before), _rows(after)


def _plain(rows: Rows) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: [[key, None if row is None else [_value(getattr(row, one.name)) for one in fields(kind)]]
               for key, row in getattr(rows, name).items()]
        for name, (kind, _) in _KINDS.items()
    }  # fmt: skip
    plain["locks"] = [[kind, item, held] for (kind, item), held in rows.locks.items()]
    return plain


def _value(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _rows(plain: dict[str, Any]) -> Rows:
    rows = Rows(locks={(kind, item): held for kind, item, held in plain["locks"]})
    for name, (kind, geometry) in _KINDS.items():
        names = [one.name for one in fields(kind)]
        make = _maker(kind, None if geometry is None else names.index(geometry))
        getattr(rows, name).update({key: None if row is None else make(row) for key, row in plain[name]})
    return rows


def _maker(kind: type[Any], geometry: int | None) -> Callable[[list[Any]], Any]:
    def make(row: list[Any]) -> Any:
        if geometry is not None:
            row[geometry] = bytes.fromhex(row[geometry])
        return kind(*row)

    return make
