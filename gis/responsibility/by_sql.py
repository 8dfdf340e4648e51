"""The same answers from the database: for the past, and where no index is there."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from sqlalchemy.orm import Session

from gis.in_force import in_force
from gis.listing.window import Row, fetch
from gis.responsibility import build
from gis.responsibility.book import Book, Near, View
from gis.responsibility.cell_index import FAR_M, NEAR_M
from gis.responsibility.near import cells_near

_LEAST = 5e-324  # a cell that touches nothing but rounding is still not one that covers


def locate(
    session: Session,
    lon: float,
    lat: float,
    *,
    at: datetime,
    scopes: tuple[str, ...],
    contact_scopes: tuple[str, ...],
    border_m: float = NEAR_M,
    nearest_m: float = FAR_M,
    floor: int | None = None,
    is_brief: bool = False,
) -> bytes:
    """As `gis.responsibility.responsibility.Responsibility.locate_within`, as of any instant."""
    rows = _rows(session, lon, lat, border_m, at, scopes)
    is_covered = bool(rows) and rows[0]["is_inside"]
    if not is_covered and nearest_m > border_m:
        rows = _rows(session, lon, lat, nearest_m, at, scopes)
    around, is_swapped = (None, False) if is_covered else _community_around(session, lon, lat, scopes)
    cells = build.cells_by_id(session, [row["id"] for row in rows])
    communities = {row["community_id"] for row in rows} | ({around} if around is not None else set())
    people = build.people(session, cells, sorted(communities), at=at)
    book = Book(cells, people, version=in_force(session, at).version)
    view = book.view(scopes, contact_scopes, is_brief=is_brief)
    near = _near(book, rows, view)
    row = None if around is None else int(np.searchsorted(people.communities["id"].to_numpy(), around))
    return book.answer(near, view, wide=lambda: near, community=lambda: (row, is_swapped), floor=floor)


def _rows(session: Session, lon: float, lat: float, reach_m: float, at: datetime, scopes: tuple[str, ...]) -> list[Row]:
    return cells_near(session, {0: (lon, lat)}, {0: reach_m}, at=at, scopes=scopes).get(0, [])


def _near(book: Book, rows: list[Row], view: View) -> list[Near]:
    leaves = np.searchsorted(book.leaf_ids, [row["id"] for row in rows]).tolist()
    metres = [0.0 if row["is_inside"] else max(row["distance_m"], _LEAST) for row in rows]
    return book.near(zip(leaves, metres, strict=True), view)


def _community_around(session: Session, lon: float, lat: float, scopes: tuple[str, ...]) -> tuple[int | None, bool]:
    here = _community_at(session, lon, lat, scopes)
    if here is not None or abs(lon) > 90:
        return here, False
    return None, _community_at(session, lat, lon, scopes) is not None


def _community_at(session: Session, lon: float, lat: float, scopes: tuple[str, ...]) -> int | None:
    found = fetch(session, _COMMUNITY, {"lon": lon, "lat": lat, "scopes": list(scopes)})
    return found[0]["id"] if found else None


_COMMUNITY = """
SELECT id
FROM admin_area
WHERE
    level = 'community'
    AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
    AND path <@ ANY(CAST(:scopes AS ltree []))
ORDER BY id
LIMIT 1
"""
