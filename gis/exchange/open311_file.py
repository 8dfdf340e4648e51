"""Service requests out of another Open311 server's answer, as JSON or XML (GeoReport v2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson

from gis.errors import InvalidInput, NotFound

LIMIT_MB = 200
_HEAD_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Reported:
    """A service request as another server tells it; what cannot be read is missing.

    Attributes
    ----------
    row : int
        In the file, from 1.
    source_id : str
        Its number there.
    """

    row: int
    source_id: str
    service_code: str
    description: str | None
    is_closed: bool
    requested_at: datetime | None
    updated_at: datetime | None
    lon: float | None
    lat: float | None
    address: str | None
    media_url: str | None


def is_open311(path: Path) -> bool:
    """Whether a file is a list of service requests, by its beginning."""
    if path.suffix.lower() not in (".json", ".xml") or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if path.suffix.lower() == ".xml":
        return b"<service_requests" in head
    return b'"service_request_id"' in head and b'"FeatureCollection"' not in head


def read(path: Path) -> Iterator[Reported]:
    """The requests of a file; those without a number are passed over, they could not be known again.

    Raises
    ------
    NotFound
        ``import.no_file``.
    InvalidInput
        ``import.too_large``, ``import.unreadable_file``.
    """
    if not path.is_file():
        raise NotFound("import.no_file", path=str(path))
    size = path.stat().st_size
    if size > LIMIT_MB * 1_000_000:
        raise InvalidInput("import.too_large", path=path.name, size_mb=size // 1_000_000, limit_mb=LIMIT_MB)
    rows = _of_xml(path) if path.suffix.lower() == ".xml" else _of_json(path)
    for number, row in enumerate(rows, start=1):
        made = _reported(number, row)
        if made is not None:
            yield made


def _of_json(path: Path) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error
    if isinstance(found, dict):
        found = found.get("service_requests", found.get("requests"))
    if not isinstance(found, list):
        raise InvalidInput("import.unreadable_file", path=path.name, reason="no list of service requests")
    return [row for row in found if isinstance(row, dict)]


def _of_xml(path: Path) -> Iterator[dict[str, Any]]:
    """Requests one after the other. A document with entities of its own is refused: none has a use for them."""
    if path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") or _has_doctype(path):
        raise InvalidInput("import.unreadable_file", path=path.name, reason="UTF-8 without DOCTYPE is taken")
    try:
        for _, element in ElementTree.iterparse(path, events=("end",)):
            if element.tag == "request":
                yield {child.tag: child.text for child in element}
                element.clear()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InvalidInput("import.unreadable_file", path=path.name, reason=str(error)[:300]) from error


def _has_doctype(path: Path) -> bool:
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            if b"<!DOCTYPE" in kept + chunk or b"<!ENTITY" in kept + chunk:
                return True
            kept = chunk[-10:]
    return False


def _reported(number: int, row: dict[str, Any]) -> Reported | None:
    source_id = _words(row.get("service_request_id"))
    if source_id is None:
        return None
    media_url = _words(row.get("media_url"))
    return Reported(
        row=number,
        source_id=source_id[:200],
        service_code=_words(row.get("service_code")) or "",
        description=_words(row.get("description")),
        is_closed=(_words(row.get("status")) or "").lower() == "closed",
        requested_at=_time(row.get("requested_datetime")),
        updated_at=_time(row.get("updated_datetime")),
        lon=_number(row.get("long")),
        lat=_number(row.get("lat")),
        address=_words(row.get("address")),
        media_url=media_url if media_url and media_url.startswith(("http://", "https://")) else None,
    )


def _words(value: Any) -> str | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    return str(value).replace("\x00", "").strip()[:4000] or None


def _number(value: Any) -> float | None:
    words = _words(value)
    try:
        number = float(words) if words else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(value: Any) -> datetime | None:
    words = _words(value)
    try:
        time = datetime.fromisoformat(words.replace("Z", "+00:00")) if words else None
    except ValueError:
        return None
    if time is not None and not 1900 <= time.year <= 2200:
        return None
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
