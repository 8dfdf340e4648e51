"""What a request of OGC API Features asks for, read strictly: what is not known or not well formed is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from gis.errors import InvalidInput
from gis.listing import cql2
from gis.listing.things import Interval, Thing, Wanted
from gis.listing.window import Box

LIMIT = 100
LIMIT_MOST = 10_000
EVERYWHERE_ALSO = frozenset({"f", "lang"})
ITEMS_ALSO = frozenset({"bbox", "bbox-crs", "crs", "datetime", "limit", "after", "filter", "filter-lang", "filter-crs"})


@dataclass(frozen=True, slots=True)
class OutCrs:
    """A system in which features go out.

    Attributes
    ----------
    uri : str
    geometry : str
        SQL for the geometry as GeoJSON text; axes in the order of the registry.
    is_flipped : bool
        Latitude first.
    is_mercator : bool
        Metres of Web Mercator.
    """

    uri: str
    geometry: str
    is_flipped: bool = False
    is_mercator: bool = False


_DEGREES_FLIPPED = "ST_AsGeoJSON(ST_FlipCoordinates({shape}), 7)"
_EPSG = "http://www.opengis.net/def/crs/EPSG/0/"

CRS84 = OutCrs("http://www.opengis.net/def/crs/OGC/1.3/CRS84", "ST_AsGeoJSON({shape}, 7)")
SYSTEMS = {
    system.uri: system
    for system in (
        CRS84,
        OutCrs(f"{_EPSG}4326", _DEGREES_FLIPPED, is_flipped=True),
        # CGCS2000: equal to WGS 84 at our accuracy (`gis.crs`), and what official data are labelled with.
        OutCrs(f"{_EPSG}4490", _DEGREES_FLIPPED, is_flipped=True),
        OutCrs(f"{_EPSG}3857", "ST_AsGeoJSON(ST_Transform({shape}, 3857), 2)", is_mercator=True),
    )
}
_MERCATOR_M = 20_037_508.342789244


@dataclass(frozen=True, slots=True)
class Asked:
    """A page of items that is asked for."""

    wanted: Wanted
    crs: OutCrs
    limit: int
    after: int | None


def check_names(request: Request, known: Iterable[str] = ()) -> None:
    """Refuse parameters that nobody reads: a misspelt filter would answer with everything.

    Raises
    ------
    InvalidInput
        ``ogc.unknown_parameter``, ``ogc.bad_form``.
    """
    if request.query_params.get("f", "json") not in ("json", "html"):
        raise InvalidInput("ogc.bad_form", form=request.query_params["f"][:40])
    allowed = {*EVERYWHERE_ALSO, *known}
    for name in request.query_params:
        if name not in allowed:
            raise InvalidInput("ogc.unknown_parameter", name=name[:60], known=sorted(allowed))


def read_items(request: Request, thing: Thing, *, scopes: tuple[str, ...], now: datetime) -> Asked:
    """Read the parameters of ``/items``.

    Raises
    ------
    InvalidInput
        ``ogc.unknown_parameter``, ``ogc.bad_limit``, ``ogc.bad_bbox``, ``ogc.bad_datetime``, ``ogc.unknown_crs``,
        ``things.bad_filter``.
    """
    fields = {one.name: one for one in thing.fields if not one.is_personal}
    check_names(request, {*ITEMS_ALSO, *fields})
    asked = request.query_params
    at, during = _times(asked.get("datetime"), thing, now)
    compiled = _filter(request, thing)
    equal = {name: cql2.read_value(asked[name], fields[name]) for name in fields if name in asked}
    wanted = Wanted(
        scopes=scopes,
        at=at,
        during=during,
        boxes=read_bbox(asked.get("bbox"), read_crs(asked.get("bbox-crs"), "bbox-crs")),
        equal=equal,
        condition=compiled.sql,
        params=compiled.params,
        uses_beside=compiled.uses_beside or any(fields[name].is_beside for name in equal),
    )
    return Asked(wanted, read_crs(asked.get("crs"), "crs"), _limit(asked.get("limit")), _after(asked.get("after")))


def read_crs(uri: str | None, name: str) -> OutCrs:
    """A system by its URI; CRS84 without one.

    Raises
    ------
    InvalidInput
        ``ogc.unknown_crs``.
    """
    if uri is None:
        return CRS84
    if uri not in SYSTEMS:
        raise InvalidInput("ogc.unknown_crs", name=name, crs=uri[:80], known=list(SYSTEMS))
    return SYSTEMS[uri]


def read_bbox(words: str | None, crs: OutCrs) -> tuple[Box, ...]:
    """Boxes in degrees out of four numbers, or six with heights, which are left out; none for all of the world.

    West of east crosses the 180th meridian: two boxes.

    Raises
    ------
    InvalidInput
        ``ogc.bad_bbox``.
    """
    if words is None:
        return ()
    bad = InvalidInput("ogc.bad_bbox", bbox=words[:120])
    try:
        numbers = [float(part) for part in words.split(",")]
    except ValueError:
        raise bad from None
    if len(numbers) == 6:
        numbers = [numbers[at] for at in (0, 1, 3, 4)]
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
        raise bad
    west, south, east, north = numbers
    if crs.is_flipped:
        west, south, east, north = south, west, north, east
    if crs.is_mercator:
        west, south, east, north = *_degrees(west, south), *_degrees(east, north)
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south <= north <= 90):
        raise bad
    if west > east:
        return (west, south, 180.0, north), (-180.0, south, east, north)
    return () if (west, south, east, north) == (-180, -90, 180, 90) else ((west, south, east, north),)


def _degrees(x: float, y: float) -> tuple[float, float]:
    """Degrees of a point of Web Mercator, held to its square: a window may reach beyond the world."""
    x, y = (max(-_MERCATOR_M, min(_MERCATOR_M, value)) / _MERCATOR_M for value in (x, y))
    return 180 * x, math.degrees(2 * math.atan(math.exp(math.pi * y)) - math.pi / 2)


def _times(words: str | None, thing: Thing, now: datetime) -> tuple[datetime, Interval | None]:
    """The instant that counts, and the interval if one was asked for."""
    if words is None:
        return now, None
    since, slash, until = words.partition("/")
    try:
        first, last = _end(since), _end(until) if slash else None
    except InvalidInput:
        raise InvalidInput("ogc.bad_datetime", datetime=words[:80]) from None
    if not slash:
        if first is None:
            raise InvalidInput("ogc.bad_datetime", datetime=words[:80])
        return first, (first, first) if thing.happened else None
    if first is not None and last is not None and first > last:
        raise InvalidInput("ogc.bad_datetime", datetime=words[:80])
    return now, (first, last)


def _end(words: str) -> datetime | None:
    return None if words in ("", "..") else cql2.read_time(words)


def _limit(words: str | None) -> int:
    """At least 1; more than the most is the most, as the standard has it."""
    if words is None:
        return LIMIT
    if not (words.isascii() and words.isdigit()) or not int(words[:18]):
        raise InvalidInput("ogc.bad_limit", limit=words[:40], most=LIMIT_MOST)
    return min(int(words[:18]), LIMIT_MOST)


def _after(words: str | None) -> int | None:
    if words is None:
        return None
    if not (words.isascii() and words.isdigit() and len(words) <= 18):
        raise InvalidInput("api.bad_cursor", cursor=words[:40])
    return int(words)


def _filter(request: Request, thing: Thing) -> cql2.Compiled:
    asked = request.query_params
    words = asked.get("filter")
    language = asked.get("filter-lang", "cql2-text")
    system = read_crs(asked.get("filter-crs"), "filter-crs")
    if language not in ("cql2-text", "cql2-json"):
        raise InvalidInput("things.bad_filter", why=f"filter-lang {language[:40]}: cql2-text, cql2-json")
    if system.is_mercator:
        raise InvalidInput("ogc.unknown_crs", name="filter-crs", crs=system.uri, known=[CRS84.uri])
    if words is None:
        return cql2.Compiled()
    return cql2.compile_filter(words, thing, is_json=language == "cql2-json", flipped=system.is_flipped)
