"""From a point to its cell and people, by the index of the version in force; by SQL where that does not answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from starlette.types import Scope

from api.access import Access
from api.front import Reply
from gis.db import unit_of_work
from gis.geotag import MAX_REACH_M
from gis.permissions import Action
from gis.responsibility import by_sql
from gis.responsibility.cell_index import FAR_M, NEAR_M
from gis.responsibility.present import Present
from gis.responsibility.responsibility import Responsibility

# What anybody would write; everything else a float could mean is read by the documented route.
_PLAIN = re.compile(rb"lon=(-?\d{1,3}(?:\.\d{1,20})?)&lat=(-?\d{1,2}(?:\.\d{1,20})?)(&brief=true)?").fullmatch


class FastLocate:
    """``GET …/locate?lon=…&lat=…``, with ``&brief=true`` or nothing else in the question: the present, WGS-84.

    Parameters
    ----------
    present : Present
    clock : callable
    who : callable
        Whoever sends a request, if that is known (`api.access.AccessCache.seen`).
    """

    def __init__(
        self, present: Present, *, clock: Callable[[], datetime], who: Callable[[Scope], Access | None]
    ) -> None:
        self._present = present
        self._clock = clock
        self.who = who

    def __call__(self, scope: Scope, *_: Any) -> Reply | None:
        """Answer, or leave it to the route."""
        return self.at_once(scope)

    def at_once(self, scope: Scope) -> Reply | None:
        """The same, for `api.wire`."""
        asked = _PLAIN(scope["query_string"])
        if asked is None or scope["method"] != "GET":
            return None
        access = self.who(scope)
        if access is None:
            return None
        lon_text, lat_text, brief = asked.groups()
        lon, lat = float(lon_text), float(lat_text)
        index = self._present.at(self._clock())
        if index is None or not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
            return None
        memo = access.memo
        if memo is not None and memo[0] is index:
            return Reply(index.locate(lon, lat, memo[1] if brief is None else memo[2]))
        if not access.scopes(Action.VIEW_MAP):
            return None
        return Reply(index.locate(lon, lat, view_of(index, access, is_brief=brief is not None)))


def view_of(index: Responsibility, access: Access, *, is_brief: bool = False) -> Any:
    """What somebody sees of a version; looked up once for each of both."""
    memo = access.memo
    if memo is None or memo[0] is not index:
        seen = access.scopes(Action.VIEW_MAP), access.scopes(Action.VIEW_CONTACTS)
        memo = access.memo = (index, index.view_of(*seen), index.view_of(*seen, is_brief=True))
    return memo[2] if is_brief else memo[1]


def reaches(accuracy_m: float | None) -> Mapping[str, float]:
    """How far a border and the nearest cell may lie, for a place of this accuracy."""
    least = min(accuracy_m or 0.0, MAX_REACH_M)
    return {"border_m": max(least, NEAR_M), "nearest_m": max(least, FAR_M)}


def locate_by_sql(
    engine: Engine,
    lon: float,
    lat: float,
    access: Access,
    *,
    at: datetime,
    accuracy_m: float | None,
    floor: int | None,
    is_brief: bool = False,
) -> bytes:
    """The same answer from the database, as of any instant."""
    with unit_of_work(engine) as session:
        return by_sql.locate(
            session, lon, lat, at=at, floor=floor, scopes=access.scopes(Action.VIEW_MAP),
            contact_scopes=access.scopes(Action.VIEW_CONTACTS), is_brief=is_brief, **reaches(accuracy_m),
        )  # fmt: skip
