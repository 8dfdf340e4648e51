"""Geotagging: from a place to its cell and the people responsible, one place or ten thousand, set-based in SQL.

A place is given by coordinates in a stated coordinate system, by a building's code, or by an address; unit and floor
choose where staircases or floors of one building lie in different cells. Which of two cells owns a shared border is one
rule: *covers, then the lowest id*. How the answer is known:

``inside``
    A cell covers the point, or holds the building.
``border``
    The same, and another cell is nearer than the accuracy, or than 15 m: both are told.
``nearest``
    No cell covers the point; one lies within the accuracy, or 200 m: it is told with its metres.
``none``
    Nothing within reach, or the place could not be read: ``flags`` say why.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy.orm import Session

from gis import crs as systems
from gis import search_index, staff
from gis.addresses import parse
from gis.errors import InvalidInput, UnknownCrs
from gis.listing.people import person
from gis.listing.window import Row, fetch
from gis.permissions import EVERYWHERE, Action, Actor, is_within, scopes
from gis.responsibility.near import GOVERNING, PLACES, arrays, cells_near
from gis.search_matching import find_addresses

if TYPE_CHECKING:
    from gis.responsibility.responsibility import Responsibility

BATCH_LIMIT = 10_000
BORDER_M = 15.0
NEAREST_M = 200.0
MAX_REACH_M = 2_000.0
"""An accuracy beyond this says nothing about the place; it counts as this."""
MAX_CANDIDATES = 20

How = Literal["inside", "nearest", "border", "none"]


@dataclass(frozen=True, slots=True)
class Place:
    """One place to be tagged: coordinates, or a building's code, or an address."""

    lon: float | None = None
    lat: float | None = None
    crs: str = "wgs84"
    accuracy_m: float | None = None
    building_code: str | None = None
    address: str | None = None
    unit: int | None = None
    floor: int | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """The answer for one place.

    Attributes
    ----------
    how : {"inside", "nearest", "border", "none"}
    distance_m : float or None
        To the cell: 0 inside it.
    lon, lat : float or None
        The place in WGS-84, as it was understood.
    area : list of dict
        The administrative chain, top first, the community last.
    compound, building, grid, micro_grid : dict or None
        ``grid`` is the lowest cell of kind grid, ``micro_grid`` of kind micro_grid; ``None`` where several cells
        come into question and nothing chooses among them.
    candidates : list of dict
        Cells that also come into question, each with its people: the stack, or the other sides of the border.
    people : list of dict
    flags : list of str
        ``no_coordinates``, ``bad_coordinates``, ``axes_swapped``, ``unknown_crs``, ``bad_accuracy``,
        ``unknown_building``, ``unknown_address``, ``address_approximate``, ``needs_floor``, ``needs_unit``,
        ``no_such_unit_or_floor``, ``outside``, ``no_plan_in_force`` (the community is known, no plan governed it then).
    """

    how: How = "none"
    distance_m: float | None = None
    lon: float | None = None
    lat: float | None = None
    area: Sequence[Row] = ()
    community: Row | None = None
    compound: Row | None = None
    building: Row | None = None
    grid: Row | None = None
    micro_grid: Row | None = None
    candidates: Sequence[Row] = ()
    people: Sequence[Row] = ()
    flags: Sequence[str] = ()
    grid_id: int | None = None
    """Id of the lowest cell responsible, whatever its kind."""


def geotag(
    session: Session, places: Sequence[Place], *, at: datetime, actor: Actor, index: Responsibility | None = None
) -> list[Tag]:
    """Find the cell and the people responsible for each place, as of a time, within the caller's areas.

    Parameters
    ----------
    places : sequence of Place
        At most `BATCH_LIMIT`.
    at : datetime
        The plan in force and the posts held at this instant answer.
    index : Responsibility, optional
        Finds the cells, where it answers for this instant; else the database does, with the same answers.

    Returns
    -------
    list of Tag
        One a place, in the same order; nothing is left out.

    Raises
    ------
    InvalidInput
        ``geotag.too_many``.
    """
    if len(places) > BATCH_LIMIT:
        raise InvalidInput("geotag.too_many", limit=BATCH_LIMIT, count=len(places))
    work = _Work(session, at=at, scopes=scopes(actor, Action.VIEW_MAP), index=index)
    tags: list[Tag] = [Tag()] * len(places)
    by_point, by_code, by_address = _sorted_by_kind(places)
    points = _points(places, by_point, tags)
    _tag_points(work, places, points, tags)
    _tag_buildings(work, places, by_code, by_address, tags)
    return _with_details(work, tags, contact_scopes=scopes(actor, Action.VIEW_CONTACTS))


def geotag_one(
    session: Session, place: Place, *, at: datetime, actor: Actor, index: Responsibility | None = None
) -> Tag:
    """`geotag` for one place."""
    return geotag(session, [place], at=at, actor=actor, index=index)[0]


def cells_around(
    session: Session, *, lon: float, lat: float, at: datetime, within_m: float, index: Responsibility | None = None
) -> list[Row]:
    """The lowest cells in force near a place, anywhere: those that cover it by id, then the others by distance.

    Each has ``id``, ``community_id``, ``is_inside``, ``distance_m``, ``parent_id``, ``floor_from`` and ``floor_to``.
    """
    work = _Work(session, at=at, scopes=(EVERYWHERE,), index=index)
    return work.cells_near({0: (lon, lat)}, {0: within_m}).get(0, [])


# --- reading the places -----------------------------------------------------------------------------------------------


def _sorted_by_kind(places: Sequence[Place]) -> tuple[list[int], list[int], list[int]]:
    by_point: list[int] = []
    by_code: list[int] = []
    by_address: list[int] = []
    for index, place in enumerate(places):
        if place.building_code:
            by_code.append(index)
        elif place.lon is not None or place.lat is not None or not place.address:
            by_point.append(index)
        else:
            by_address.append(index)
    return by_point, by_code, by_address


def _points(places: Sequence[Place], indices: Iterable[int], tags: list[Tag]) -> dict[int, tuple[float, float]]:
    """WGS-84 coordinates of the readable points; the others are flagged."""
    by_crs: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        place = places[index]
        if place.lon is None or place.lat is None:
            tags[index] = Tag(flags=("no_coordinates",))
        elif not (math.isfinite(place.lon) and math.isfinite(place.lat)):
            tags[index] = Tag(flags=("bad_coordinates",))
        elif place.accuracy_m is not None and not (math.isfinite(place.accuracy_m) and place.accuracy_m >= 0):
            tags[index] = Tag(flags=("bad_accuracy",))
        else:
            by_crs[place.crs].append(index)
    points: dict[int, tuple[float, float]] = {}
    for name, group in by_crs.items():
        points |= _converted(places, name, group, tags)
    return points


def _converted(
    places: Sequence[Place], name: str, group: Sequence[int], tags: list[Tag]
) -> dict[int, tuple[float, float]]:
    try:
        crs = systems.parse(name)
    except UnknownCrs:
        for index in group:
            tags[index] = Tag(flags=("unknown_crs",))
        return {}
    given = np.array([(places[i].lon, places[i].lat) for i in group], dtype=np.float64)
    sound = np.ones(len(group), dtype=bool)
    if crs.is_geographic:
        sound = (np.abs(given[:, 0]) <= 180) & (np.abs(given[:, 1]) <= 90)
    for index, is_sound, (x, y) in zip(group, sound, given, strict=True):
        if not is_sound:
            turned = abs(x) <= 90 and abs(y) <= 180
            tags[index] = Tag(flags=("bad_coordinates", "axes_swapped") if turned else ("bad_coordinates",))
    kept = [index for index, is_sound in zip(group, sound, strict=True) if is_sound]
    points: dict[int, tuple[float, float]] = {}
    for index, point in zip(kept, _to_wgs84(given[sound], crs), strict=True):
        if point is None:
            tags[index] = Tag(flags=("bad_coordinates",))
        else:
            points[index] = point
    return points


def _to_wgs84(given: Any, crs: systems.Crs) -> list[tuple[float, float] | None]:
    turned = systems.points_to_wgs84(given, crs)
    sound = np.isfinite(turned).all(axis=1) & (np.abs(turned[:, 0]) <= 180) & (np.abs(turned[:, 1]) <= 90)
    rounded = turned.round(7)
    return [(float(lon), float(lat)) if is_sound else None for (lon, lat), is_sound in zip(rounded, sound, strict=True)]


def point_in_wgs84(lon: float, lat: float, *, crs: str) -> tuple[float, float]:
    """One point in a stated coordinate system as longitude and latitude in WGS-84.

    Raises
    ------
    UnknownCrs
    InvalidInput
        ``geotag.bad_coordinates``: not finite, beyond the system's reach, or latitude first.
    """
    tags = [Tag()]
    systems.parse(crs)
    points = _points([Place(lon=lon, lat=lat, crs=crs)], [0], tags)
    if 0 not in points:
        raise InvalidInput("geotag.bad_coordinates", lon=lon, lat=lat, crs=crs, flags=", ".join(tags[0].flags))
    return points[0]


def split_address(address: str) -> tuple[str, int | None, int | None]:
    """An address as (building, unit, floor): the staircase and room at its end are taken off.

    A room's floor is its number without the last two digits.

    Examples
    --------
    >>> split_address("阳光水岸3栋2单元502")
    ('阳光水岸3栋', 2, 5)
    >>> split_address("人民路１８号")
    ('人民路18号', None, None)
    """
    said = parse(address)
    return said.words, said.unit, said.floor


# --- asking the database ----------------------------------------------------------------------------------------------

_PLACES_ON = f"""
WITH {PLACES}

SELECT
    place.n,
    (
        SELECT area.id
        FROM admin_area AS area
        WHERE area.level = 'community' AND ST_Covers(area.geom, place.geom)
            AND area.path <@ ANY(CAST(:scopes AS ltree []))
        ORDER BY area.id
        LIMIT 1
    ) AS community_id,
    (
        SELECT building.id
        FROM building
        INNER JOIN admin_area AS area ON building.area_id = area.id
        WHERE ST_Covers(building.geom, place.geom) AND area.path <@ ANY(CAST(:scopes AS ltree []))
        ORDER BY building.id
        LIMIT 1
    ) AS building_id,
    (
        SELECT compound.id
        FROM compound
        INNER JOIN admin_area AS area ON compound.area_id = area.id
        WHERE ST_Covers(compound.geom, place.geom) AND area.path <@ ANY(CAST(:scopes AS ltree []))
        ORDER BY compound.id
        LIMIT 1
    ) AS compound_id
FROM place
"""

_PARTS = f"""
WITH {GOVERNING}

SELECT
    gp.building_id, gp.grid_id,
    lower(gp.unit_span) AS unit_from, upper(gp.unit_span) - 1 AS unit_to,
    lower(gp.floor_span) AS floor_from, upper(gp.floor_span) - 1 AS floor_to
FROM grid_part AS gp
INNER JOIN building ON gp.building_id = building.id
INNER JOIN governing ON gp.plan_id = governing.plan_id AND building.area_id = governing.community_id
WHERE gp.building_id = ANY(:buildings)
ORDER BY gp.building_id, gp.grid_id
"""

_BUILDINGS = """
SELECT
    building.id, building.code, building.name, building.address, building.floors, building.units,
    building.compound_id, building.area_id AS community_id,
    round(ST_X(centre.geom)::numeric, 7)::float8 AS lon, round(ST_Y(centre.geom)::numeric, 7)::float8 AS lat
FROM building
CROSS JOIN LATERAL (SELECT ST_PointOnSurface(building.geom) AS geom) AS centre
INNER JOIN admin_area AS area ON building.area_id = area.id
WHERE {condition} AND area.path <@ ANY(CAST(:scopes AS ltree []))
ORDER BY building.id
"""

_CELL_INFO = """
SELECT
    cell.id, cell.code, cell.name, cell.grid_depth AS depth, cell.households, cell.parent_id, cell.community_id,
    cell.floor_from, cell.floor_to, tier.kind, tier.ordinal AS tier,
    tier.name_zh AS tier_name_zh, tier.name_en AS tier_name_en
FROM grid AS cell
INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
WHERE cell.id = ANY(:ids)
"""

_CHAINS = """
SELECT area.id AS community_id, up.id, up.level, up.code, up.name, up.name_en, area.path::text AS path
FROM admin_area AS area
INNER JOIN admin_area AS up ON up.path @> area.path
WHERE area.id = ANY(:ids)
ORDER BY area.id, nlevel(up.path)
"""


class _Work:
    """One call's session, time and scopes, and what has been read of cells, areas, buildings and compounds."""

    def __init__(
        self, session: Session, *, at: datetime, scopes: Sequence[str], index: Responsibility | None = None
    ) -> None:
        self.session = session
        self.at = at
        self.scopes = list(scopes)
        self.index = index if index is not None and index.holds(at) else None

    def ask(self, sql: str, **params: Any) -> list[Row]:
        return fetch(self.session, sql, {"at": self.at, "scopes": self.scopes, **params})

    def cells_near(
        self, points: Mapping[int, tuple[float, float]], reach_m: Mapping[int, float]
    ) -> dict[int, list[Row]]:
        """Cells of the lowest tier within reach of points: those that cover it first, then by distance."""
        if self.index is None:
            return cells_near(self.session, points, reach_m, at=self.at, scopes=self.scopes)
        view = self.index.view_of(tuple(self.scopes), ())
        return {n: self.index.rows_near(lon, lat, reach_m[n], view) for n, (lon, lat) in points.items()}


# --- points -----------------------------------------------------------------------------------------------------------


def _tag_points(
    work: _Work, places: Sequence[Place], points: Mapping[int, tuple[float, float]], tags: list[Tag]
) -> None:
    if not points:
        return
    close = work.cells_near(points, {n: _reach(places[n], BORDER_M) for n in points})
    lost = {n: point for n, point in points.items() if not any(row["is_inside"] for row in close.get(n, ()))}
    wider = work.cells_near(lost, {n: _reach(places[n], NEAREST_M) for n in lost})
    for row in work.ask(_PLACES_ON, **arrays(points), reach_m=[0.0] * len(points)):
        n = row["n"]
        tag = Tag(
            lon=points[n][0],
            lat=points[n][1],
            community=_ref(row["community_id"]),
            building=_ref(row["building_id"]),
            compound=_ref(row["compound_id"]),
        )
        tags[n] = _nearest(tag, wider.get(n, ())) if n in lost else _inside(tag, close[n])
    _narrow_stacks(work, places, points, tags)
    _suspect_swapped(work, points, tags)


def _reach(place: Place, least_m: float) -> float:
    return min(max(place.accuracy_m or 0.0, least_m), MAX_REACH_M)


def _inside(tag: Tag, near: Sequence[Row]) -> Tag:
    """Covers, then the lowest id; cells of a stack lie on the same ground, so that only unit or floor can choose."""
    covering = sorted((row for row in near if row["is_inside"]), key=lambda row: int(row["id"]))
    owner = covering[0]
    stack = [row for row in covering if row["floor_from"] is not None and _same_pile(row, owner)]
    beside = [row for row in near if row["id"] != owner["id"] and row not in stack]
    others = [*(stack if len(stack) > 1 else ()), *beside][:MAX_CANDIDATES]
    return replace(
        tag,
        how="border" if beside else "inside",
        distance_m=0.0,
        community=_ref(owner["community_id"]),
        grid_id=owner["id"],
        candidates=[{"id": row["id"], "distance_m": round(row["distance_m"], 1)} for row in others],
        flags=("needs_floor",) if len(stack) > 1 else (),
    )


def _same_pile(row: Row, owner: Row) -> bool:
    return bool(row["parent_id"] == owner["parent_id"] and owner["floor_from"] is not None)


def _nearest(tag: Tag, near: Sequence[Row]) -> Tag:
    if not near:
        return replace(tag, flags=("no_plan_in_force" if tag.community else "outside",))
    owner = near[0]
    others = [row for row in near[1:] if row["distance_m"] - owner["distance_m"] < BORDER_M][:MAX_CANDIDATES]
    return replace(
        tag,
        how="nearest",
        distance_m=round(owner["distance_m"], 1),
        community=tag.community or _ref(owner["community_id"]),
        grid_id=owner["id"],
        candidates=[{"id": row["id"], "distance_m": round(row["distance_m"], 1)} for row in others],
    )


def _narrow_stacks(
    work: _Work, places: Sequence[Place], points: Mapping[int, tuple[float, float]], tags: list[Tag]
) -> None:
    """Points in a stack whose floor is known, or whose building tells by its unit, are given their one cell."""
    asked = [n for n in points if "needs_floor" in tags[n].flags]
    held = _parts_of(work, [b["id"] for n in asked if (b := tags[n].building)])
    for n in asked:
        building, among = tags[n].building, {row["id"] for row in tags[n].candidates} | {tags[n].grid_id}
        parts = [part for part in held.get(building["id"], ()) if part["grid_id"] in among] if building else []
        chosen = sorted({part["grid_id"] for part in parts if _fits(part, places[n])})
        flags: tuple[str, ...] = ("needs_floor",)
        if len(chosen) == 1:
            beside = [row for row in tags[n].candidates if row["distance_m"] > 0]
            tags[n] = replace(tags[n], grid_id=chosen[0], candidates=beside, flags=())
            continue
        if places[n].floor is not None and not chosen:
            flags = ("needs_floor", "no_such_unit_or_floor")
        stack = [row for row in tags[n].candidates if row["id"] != tags[n].grid_id]
        own = {"id": tags[n].grid_id, "distance_m": 0.0}
        tags[n] = replace(tags[n], grid_id=None, candidates=[own, *stack], flags=flags)


def _suspect_swapped(work: _Work, points: Mapping[int, tuple[float, float]], tags: list[Tag]) -> None:
    """A point beyond everything that would lie in a community with its axes swapped is said to be that."""
    turned = {n: (lat, lon) for n, (lon, lat) in points.items() if tags[n].how == "none" and abs(lon) <= 90}
    if not turned:
        return
    for row in work.ask(_PLACES_ON, **arrays(turned), reach_m=[0.0] * len(turned)):
        if row["community_id"] is not None:
            tags[row["n"]] = replace(tags[row["n"]], flags=(*tags[row["n"]].flags, "axes_swapped"))


# --- buildings --------------------------------------------------------------------------------------------------------


def _tag_buildings(
    work: _Work, places: Sequence[Place], by_code: Sequence[int], by_address: Sequence[int], tags: list[Tag]
) -> None:
    wanted = {n: replace(places[n], address=None) for n in by_code}
    found: dict[int, tuple[int, ...]] = {}
    flags: dict[int, tuple[str, ...]] = {}
    codes = (
        {
            row["code"]: row["id"]
            for row in _buildings_by(
                work, "building.code = ANY(:codes)", codes=[places[n].building_code for n in by_code]
            )
        }
        if by_code
        else {}
    )
    for n in by_code:
        code = places[n].building_code
        if code in codes:
            found[n] = (codes[code],)
        else:
            tags[n] = Tag(flags=("unknown_building",))
    for n in by_address:
        _, unit, floor = split_address(places[n].address or "")
        wanted[n] = replace(
            places[n],
            unit=places[n].unit if places[n].unit is not None else unit,
            floor=places[n].floor if places[n].floor is not None else floor,
        )
    _find_addresses(work, {n: wanted[n].address or "" for n in by_address}, found, flags, tags)
    _place_buildings(work, wanted, found, flags, tags)


def _buildings_by(work: _Work, condition: str, **params: Any) -> list[Row]:
    return work.ask(_BUILDINGS.format(condition=condition), **params)


def _find_addresses(
    work: _Work,
    asked: Mapping[int, str],
    found: dict[int, tuple[int, ...]],
    flags: dict[int, tuple[str, ...]],
    tags: list[Tag],
) -> None:
    """What `gis.search_matching` finds; where there is doubt, it is flagged."""
    if not asked:
        return
    search_index.work_off(work.session, limit=search_index.SOME)
    answers = find_addresses(work.session, asked, scopes=work.scopes)
    for n in asked:
        if n not in answers:
            tags[n] = Tag(flags=("unknown_address",))
            continue
        found[n] = answers[n].ids
        if answers[n].is_approximate:
            flags[n] = ("address_approximate",)


def _place_buildings(
    work: _Work,
    wanted: Mapping[int, Place],
    found: Mapping[int, tuple[int, ...]],
    flags: Mapping[int, tuple[str, ...]],
    tags: list[Tag],
) -> None:
    if not found:
        return
    first = sorted({ids[0] for ids in found.values()})
    rows = {row["id"]: row for row in _buildings_by(work, "building.id = ANY(:ids)", ids=first)}
    held = _parts_of(work, first)
    for n, ids in found.items():
        row = rows.get(ids[0])
        if row is None:  # gone, or moved to another area, since its search entry was made
            tags[n] = Tag(flags=("unknown_address",))
            continue
        tag = Tag(
            lon=row["lon"],
            lat=row["lat"],
            community=_ref(row["community_id"]),
            building=_ref(row["id"]),
            compound=_ref(row["compound_id"]),
            flags=flags.get(n, ()),
        )
        tags[n] = _in_parts(tag, held.get(ids[0], ()), wanted[n])


def _parts_of(work: _Work, buildings: Sequence[int]) -> dict[int, list[Row]]:
    held: dict[int, list[Row]] = defaultdict(list)
    if buildings:
        for row in work.ask(_PARTS, buildings=sorted(set(buildings))):
            held[row["building_id"]].append(row)
    return held


def _in_parts(tag: Tag, parts: Sequence[Row], place: Place) -> Tag:
    """The cell that holds the building, or the part of it that unit and floor name."""
    if not parts:
        return replace(tag, flags=(*tag.flags, "outside"))
    fitting = [part for part in parts if _fits(part, place)]
    flags = list(tag.flags)
    if not fitting:
        flags.append("no_such_unit_or_floor")
        fitting = list(parts)
    cells = sorted({part["grid_id"] for part in fitting})
    if len(cells) == 1 and "no_such_unit_or_floor" not in flags:
        return replace(tag, how="inside", distance_m=0.0, grid_id=cells[0], flags=flags)
    if place.unit is None and any(part["unit_from"] is not None for part in fitting):
        flags.append("needs_unit")
    if place.floor is None and any(part["floor_from"] is not None for part in fitting):
        flags.append("needs_floor")
    candidates = [{"id": cell, "distance_m": 0.0} for cell in cells[:MAX_CANDIDATES]]
    return replace(tag, how="inside", distance_m=0.0, candidates=candidates, flags=flags)


def _fits(part: Row, place: Place) -> bool:
    return _holds(part["unit_from"], part["unit_to"], place.unit) and _holds(
        part["floor_from"], part["floor_to"], place.floor
    )


def _holds(low: int | None, high: int | None, value: int | None) -> bool:
    if value is None:
        return True
    return (low is None or low <= value) and (high is None or value <= high)


# --- the answer -------------------------------------------------------------------------------------------------------


def _ref(row_id: int | None) -> Row | None:
    return None if row_id is None else {"id": row_id}


def _with_details(work: _Work, tags: list[Tag], *, contact_scopes: Sequence[str]) -> list[Tag]:
    """Put names and people in the place of ids, each cell, area and building read once."""
    leaves = {cell for tag in tags for cell in (tag.grid_id, *(row["id"] for row in tag.candidates)) if cell}
    cells = _cells(work, leaves)
    chains = _chains(work, {int(tag.community["id"]) for tag in tags if tag.community})
    buildings = _named(work, "building", {int(tag.building["id"]) for tag in tags if tag.building})
    compounds = _named(
        work,
        "compound",
        {int(tag.compound["id"]) for tag in tags if tag.compound}
        | {int(row["compound_id"]) for row in buildings.values() if row.get("compound_id")},
    )
    people = staff.responsible_many(work.session, grid_ids=sorted(leaves), at=work.at) if leaves else {}
    shown = {cell: _people(people.get(cell, ()), chains, cells[cell], contact_scopes) for cell in leaves}
    return [_described(tag, cells, chains, buildings, compounds, shown) for tag in tags]


def _cells(work: _Work, leaves: set[int]) -> dict[int, Row]:
    cells: dict[int, Row] = {}
    missing = set(leaves)
    while missing:  # once a tier
        for row in work.ask(_CELL_INFO, ids=sorted(missing)):
            cells[row["id"]] = row
        missing = {row["parent_id"] for row in cells.values() if row["parent_id"]} - cells.keys()
    return cells


def _chains(work: _Work, communities: set[int]) -> dict[int, list[Row]]:
    chains: dict[int, list[Row]] = defaultdict(list)
    if communities:
        for row in work.ask(_CHAINS, ids=sorted(communities)):
            chains[row["community_id"]].append(row)
    return chains


def _named(work: _Work, table: Literal["building", "compound"], ids: set[int]) -> dict[int, Row]:
    if not ids:
        return {}
    columns = {
        "building": "id, code, name, address, floors, units, compound_id",
        "compound": "id, code, name, name_en",
    }[table]
    return {row["id"]: row for row in work.ask(f"SELECT {columns} FROM {table} WHERE id = ANY(:ids)", ids=sorted(ids))}


def _people(
    held: Sequence[staff.Responsible], chains: Mapping[int, list[Row]], cell: Row, contact_scopes: Sequence[str]
) -> list[Row]:
    chain = chains.get(cell["community_id"])
    path = chain[0]["path"] if chain else None
    shown = path is not None and any(is_within(path, scope) for scope in contact_scopes)
    return [person(one, shows_phone=shown) for one in held]


def _described(
    tag: Tag,
    cells: Mapping[int, Row],
    chains: Mapping[int, list[Row]],
    buildings: Mapping[int, Row],
    compounds: Mapping[int, Row],
    people: Mapping[int, list[Row]],
) -> Tag:
    chain = chains.get(tag.community["id"], []) if tag.community else []
    building = buildings.get(tag.building["id"]) if tag.building else None
    compound_id = (building or {}).get("compound_id") or (tag.compound or {}).get("id")
    candidates = [{**row, **_pair(cells, row["id"]), "people": people.get(row["id"], [])} for row in tag.candidates]
    pair = _pair(cells, tag.grid_id) if tag.grid_id else _shared(candidates) if tag.how == "inside" else {}
    return replace(
        tag,
        area=[{key: row[key] for key in ("id", "level", "code", "name", "name_en")} for row in chain],
        community={key: chain[-1][key] for key in ("id", "code", "name")} if chain else None,
        building=building and {key: value for key, value in building.items() if key != "compound_id"},
        compound=compounds.get(compound_id) if compound_id else None,
        grid=pair.get("grid"),
        micro_grid=pair.get("micro_grid"),
        candidates=candidates,
        people=people.get(tag.grid_id, []) if tag.grid_id else _in_common(candidates),
    )


_TOLD = ("id", "code", "name", "depth", "households", "floor_from", "floor_to")


def _pair(cells: Mapping[int, Row], leaf: int) -> dict[str, Row | None]:
    """The lowest cell of kind grid and the lowest of kind micro_grid, from a leaf upwards."""
    pair: dict[str, Row | None] = {"grid": None, "micro_grid": None}
    cell: Row | None = cells.get(leaf)
    while cell is not None:
        if pair[cell["kind"]] is None:
            pair[cell["kind"]] = {key: cell[key] for key in _TOLD}
        cell = cells.get(cell["parent_id"]) if cell["parent_id"] else None
    return pair


def _shared(candidates: Sequence[Row]) -> dict[str, Row | None]:
    """What all cells in question have in common: a stack's micro-grids lie in one grid."""
    grids = {row["grid"]["id"] for row in candidates if row.get("grid")}
    return {"grid": candidates[0]["grid"], "micro_grid": None} if len(grids) == 1 else {}


def _in_common(candidates: Sequence[Row]) -> list[Row]:
    """Who is responsible whichever cell of a stack is meant: the people of the grid and above."""
    held = [row["people"] for row in candidates if row["distance_m"] == 0]
    return [person for person in held[0] if all(person in others for others in held[1:])] if held else []
