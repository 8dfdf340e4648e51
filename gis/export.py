"""Give data out as files: the caller's rows, in the system and format asked for, and an entry in the audit log.

Two grants are asked where a row lies: to see it, and `Action.EXPORT_DATA`. What is personal (phones, what people wrote
of an incident) goes out only where asked for, and where the caller may see contacts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import areas
from gis.crs import WGS84, Crs
from gis.db import audit
from gis.errors import InvalidInput, NotFound
from gis.exchange import export_file
from gis.exchange.export_file import FORMATS, Header, Sheet
from gis.listing import things
from gis.listing.cql2 import FIRST_YEAR, LAST_YEAR
from gis.listing.things import Field, Thing, Wanted
from gis.permissions import Action, Actor, common_scopes, is_within, require, require_somewhere, scopes
from gis.worktime import CHINA


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    Attributes
    ----------
    thing, format : str
        One of `gis.listing.things.THINGS`, one of `gis.exchange.export_file.FORMATS`.
    crs : Crs
    at : datetime or None
        As of when, for what has a history.
    since, until : datetime or None
        Incidents reported in between.
    area : str or None
        Code of the area to be held to.
    in_chinese : bool
        Chinese headers.
    encoding : {"utf-8", "gbk"}
        Of a Shapefile.
    personal : bool
        With phones and descriptions.
    """

    thing: str
    format: str
    crs: Crs = WGS84
    at: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    area: str | None = None
    in_chinese: bool = False
    encoding: Literal["utf-8", "gbk"] = "utf-8"
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    file_name: str
    media_type: str
    crs: str


def export(session: Session, order: Order, path: Path, *, actor: Actor, now: datetime) -> Exported:
    """Write what is asked for into a file, some rows at a time.

    Raises
    ------
    NotFound
        ``things.unknown``, ``area.unknown``.
    NotAllowed
        The grant to see it, to export, or to see contacts is missing everywhere, or in the area asked for.
    InvalidInput
        ``export.unknown_format``, ``export.only_tables``, ``export.only_wgs84``, ``export.too_many_rows``,
        ``export.no_time``, ``export.far_time``, ``export.bad_interval``, ``export.bad_encoding``, ``crs.out_of_reach``.
    """
    thing = things.find(order.thing)
    driver = export_file.check(order.format, has_place=thing.shape is not None, crs=order.crs)
    _check_times(order, thing)
    if order.encoding != "utf-8" and order.format != "shp.zip":
        raise InvalidInput("export.bad_encoding")
    wanted = Wanted(
        scopes=_scopes(session, order, thing, actor),
        at=order.at or now,
        during=(order.since, order.until) if order.since or order.until else None,
    )
    # A copy of a whole town may take longer than a page may.
    session.execute(text("SET LOCAL statement_timeout = '30min'"))
    fields = [one for one in thing.fields if order.personal or not one.is_personal]
    fields = [one for one in fields if one.name != "phone_masked" or not order.personal]
    sheet = _sheet(order, thing, fields, now)
    found = things.stream(session, thing, wanted, fields=fields, shape=thing.shape)
    rows = export_file.write(path, order.format, sheet, found)
    audit(
        session,
        "data.export",
        subject=thing.name,
        actor=actor,
        now=now,
        details={
            "format": order.format,
            "crs": order.crs.name,
            "rows": rows,
            "area": order.area,
            "personal": order.personal,
            "at": order.at.isoformat() if order.at else None,
        },
    )
    return Exported(rows, file_name_of(order, now), driver.media_type, order.crs.name)


def file_name_of(order: Order, now: datetime) -> str:
    """A name that says thing, system and day: ``buildings_gcj02_20260301.gpkg``."""
    plain = {"EPSG:4326": "wgs84", "EPSG:4490": "cgcs2000"}
    system = plain.get(order.crs.name, "".join(letter for letter in order.crs.name.lower() if letter.isalnum()))
    place = "" if things.find(order.thing).shape is None else f"_{system[:20]}"
    return f"{order.thing}{place}_{(order.at or now).astimezone(CHINA):%Y%m%d}.{order.format}"


def _check_times(order: Order, thing: Thing) -> None:
    for time in (order.at, order.since, order.until):
        if time is not None and not FIRST_YEAR <= time.year <= LAST_YEAR:
            raise InvalidInput("export.far_time", first=FIRST_YEAR, last=LAST_YEAR)
    has_history = thing.in_force is not None or thing.name in ("buildings", "people")
    if order.at is not None and not has_history:
        raise InvalidInput("export.no_time", thing=thing.name)
    if order.since is None and order.until is None:
        return
    if thing.happened is None or (order.since and order.until and order.since > order.until):
        raise InvalidInput("export.bad_interval")


def _scopes(session: Session, order: Order, thing: Thing, actor: Actor) -> tuple[str, ...]:
    """Where all that is asked for may be done, held to the area asked for."""
    actions = [thing.action, Action.EXPORT_DATA, *([Action.VIEW_CONTACTS] if order.personal else [])]
    for action in actions:
        require_somewhere(actor, action)
    held = common_scopes(actor, *actions)
    if order.area is None:
        return held
    path = areas.by_code(session, order.area).path
    inside = tuple(scope for scope in held if is_within(scope, path))
    if any(is_within(path, scope) for scope in held):
        return (path,)
    if not inside:
        if not any(is_within(path, scope) or is_within(scope, path) for scope in scopes(actor, thing.action)):
            raise NotFound("area.unknown", area=order.area)  # outside what they see it does not exist for them
        require(actor, Action.EXPORT_DATA, path)
        require(actor, actions[-1], path)
    return inside


def _sheet(order: Order, thing: Thing, fields: Sequence[Field], now: datetime) -> Sheet:
    zh = order.in_chinese
    headers = tuple(Header(one.name, one.zh if zh else one.name, one.kind) for one in fields)
    system = f"{order.crs.name} ({order.crs.proj.name})" if order.crs.shift is None else _SHIFTED[order.crs.shift]
    about: tuple[tuple[str, str], ...] = (
        ("内容 content", f"{thing.zh} {thing.en}"),
        ("时点 as of", (order.at or now).isoformat(timespec="seconds")),
        ("导出 exported", now.isoformat(timespec="seconds")),
    )
    if thing.shape is not None:
        about += (("坐标系 coordinate system", system),)
    if order.format == "shp.zip":
        about += (("编码 encoding", order.encoding),)
    layer = thing.zh if zh and order.format == "xlsx" else thing.name
    return Sheet(layer, headers, thing.geometry, order.crs, about, order.encoding, zh)


_SHIFTED: dict[str, Any] = {
    "gcj02": "GCJ-02（火星坐标，不是 WGS 84）/ GCJ-02, shifted some hundred metres from WGS 84",
    "bd09": "BD-09（百度坐标，不是 WGS 84）/ BD-09, shifted from WGS 84",
}

__all__ = ["FORMATS", "Exported", "Order", "export", "file_name_of"]
