"""What all lists share: the window that is asked for, and the query that is put together from fixed fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

Row = dict[str, Any]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is asked for.

    Attributes
    ----------
    limit : int
        Rows at most.
    cursor : int or None
        Id of the last row of the page before (where a list is sorted by distance: the number of rows before).
    bbox : tuple of float or None
        west, south, east, north in degrees.
    geometry : bool
        Whether rows carry ``geometry``, GeoJSON text.
    """

    limit: int = 200
    cursor: int | None = None
    bbox: Box | None = None
    geometry: bool = True


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a list.

    Attributes
    ----------
    rows : list of dict
    following : int or None
        The cursor of the next page.
    total : int
        Rows in all pages.
    is_estimate : bool
        The total is an estimate: counting so many would take longer than reading the page.
    """

    rows: list[Row]
    following: int | None
    total: int
    is_estimate: bool = False


@dataclass(slots=True)
class Filters:
    """Conditions of one query and their parameters. Fragments are constants of this package, never input."""

    conditions: list[str] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)

    def add(self, condition: str, /, **params: Any) -> None:
        """Add a condition; its parameters are bound."""
        self.conditions.append(condition)
        self.params |= params

    def add_given(self, condition: str, /, **params: Any) -> None:
        """Add a condition if none of its parameters is missing."""
        if all(value is not None for value in params.values()):
            self.add(condition, **params)

    def within(self, column: str, box: Box | None) -> None:
        """Keep what touches a box. The literal is a box in the column's own system: the index serves."""
        if box is not None:
            west, south, east, north = box
            self.add(
                f"ST_Intersects({column}, ST_MakeEnvelope(:west, :south, :east, :north, 4326))",
                west=west,
                south=south,
                east=east,
                north=north,
            )

    def sql(self) -> str:
        """The WHERE clause."""
        return "WHERE " + " AND ".join(self.conditions) if self.conditions else ""


def fetch(session: Session, sql: str, params: Mapping[str, Any]) -> list[Row]:
    """Rows of a query as plain dicts."""
    return [dict(row) for row in session.execute(text(sql), dict(params)).mappings()]


def fetch_page(
    session: Session,
    window: Window,
    *,
    source: str,
    columns: str,
    filters: Filters,
    key: str,
    order: Sequence[str],
    descending: bool = False,
    shape: str | None = None,
    prelude: str = "",
    beside: str = "",
) -> Listed:
    """One page of a query, sorted by ``order``, whose last column is the unique ``key``; and the count of all rows.

    Pages go by the key of the last row seen, so rows that come in between shift nothing. ``beside`` joins what only the
    columns need, a row each: it is left out where rows are counted or compared.
    """
    where = filters.sql()
    total = session.execute(text(f"{prelude} SELECT count(*) FROM {source} {where}"), filters.params).scalar_one()
    paged = Filters(list(filters.conditions), dict(filters.params))
    if window.cursor is not None:
        sorted_by = ", ".join(order)
        than = "<" if descending else ">"
        paged.add(
            f"({sorted_by}) {than} (SELECT {sorted_by} FROM {source} WHERE {key} = :cursor)", cursor=window.cursor
        )
    picked = f"{columns}, ST_AsGeoJSON({shape}, 7) AS geometry" if window.geometry and shape else columns
    direction = " DESC" if descending else ""
    by = ", ".join(f"{column}{direction}" for column in order)
    rows = fetch(
        session,
        f"{prelude} SELECT {picked} FROM {source} {beside} {paged.sql()} ORDER BY {by} LIMIT :limit",
        {**paged.params, "limit": window.limit + 1},
    )
    following = rows[window.limit - 1]["id"] if len(rows) > window.limit else None
    return Listed(rows[: window.limit], following, total)


def box_of(column: str) -> str:
    """SQL for the bounding box of a geometry as a JSON array west, south, east, north."""
    return f"json_build_array(ST_XMin({column}), ST_YMin({column}), ST_XMax({column}), ST_YMax({column}))"


def point_of(column: str) -> str:
    """SQL for a point on a geometry's ground as a JSON array lon, lat."""
    return (
        f"(SELECT json_build_array(round(ST_X(p)::numeric, 7), round(ST_Y(p)::numeric, 7))"
        f" FROM ST_PointOnSurface({column}) AS p)"
    )
