"""Keeps the table that `gis.search` looks things up in.

Triggers write down what has changed (``search_stale``), in the transaction of the change. `work_off` makes the entries
anew: at the end of an import in the same transaction, so that both become visible at once; at the beginning of each
search for whatever else was changed since (unless somebody is just at it: then the search answers from what was before
that); and once a minute by the worker, for what is more than a search can do on the way.

Cells are not copied: their codes are looked up where they are, by the plan in force; only names of cells are entries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from gis.addresses import Address, parse
from gis.db import unit_of_work
from gis.listing.window import Row, fetch
from gis.spelling import bare, near_keys, spelling, writings

CHUNK = 20_000
SOME = 5_000
"""Changes that a search works off before it answers; more is left to the next."""

_LOCK = 7_306_813  # who makes entries does it alone; any number of our own
_COLUMNS = (
    "kind", "ref_id", "variant", "path", "code", "name", "spelling", "initials",
    "road", "house", "place", "number", "tokens", "weight", "lon", "lat",
)  # fmt: skip

Entry = dict[str, Any]


def work_off(session: Session, *, limit: int | None = None) -> int:
    """Make the entries of what has changed.

    Parameters
    ----------
    limit : int, optional
        At most so many changes, and none while somebody else is at it (a search does not wait). Without it all, and
        this waits.

    Returns
    -------
    int
        Changes worked off.
    """
    if not _is_stale(session) or not _alone(session, waits=limit is None):
        return 0
    done = 0
    moved: set[str] = set()
    while limit is None or done < limit:
        changed = _take(session, CHUNK if limit is None else min(CHUNK, limit - done))
        if not changed:
            break
        moved |= _renew(session, changed)
        done += sum(map(len, changed.values()))
    _renew_roads(session, sorted(moved))
    if done > SOME:
        _tidy(session)
    return done


def catch_up(engine: Engine) -> int:
    """Work everything off in transactions of their own, so that searches see it come; gives the changes worked off."""
    done = 0
    while True:
        with unit_of_work(engine) as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))
            step = work_off(session, limit=CHUNK)
        done += step
        if step < CHUNK:
            return done


def rebuild(session: Session) -> int:
    """Make all entries anew; searches wait meanwhile. Gives their number."""
    session.execute(text("SET LOCAL statement_timeout = 0"))
    _alone(session, waits=True)
    session.execute(text("TRUNCATE search_entry"))
    session.execute(text("DELETE FROM search_stale"))
    for kind, (table, condition) in _TABLES.items():
        session.execute(
            text(f"INSERT INTO search_stale (kind, ref_id) SELECT '{kind}', id FROM {table} {condition} ORDER BY id")
        )
    moved: set[str] = set()
    while changed := _take(session, CHUNK):
        moved |= _renew(session, changed)
    _renew_roads(session, sorted(moved))
    _tidy(session)
    return int(session.scalar(text("SELECT count(*) FROM search_entry")) or 0)


def tokens_of(address: Address, *, places: Iterable[str] = (), number: str | None = None) -> set[str]:
    """What joins the names of an address with its numbers: ``jinjianglu#12``, ``mingzhuxiaoqu#7``, ``jinjianglu#12#7``.

    Parameters
    ----------
    places : iterable of str
        Further names of the place that the building stands in.
    number : str, optional
        The building's number where the address does not say it.
    """
    number = number or address.building
    found: set[str] = set()
    for name, following in address.names:
        if following is not None:
            found.add(f"{spelling(name)}#{following}")
            if number is not None:
                found.add(f"{spelling(name)}#{following}#{number}")
        elif name != address.road:
            found.add(f"{spelling(name)}#{number or ''}")
    if number is not None:
        found |= {f"{spelling(place)}#{number}" for place in places}
    return found


# --- the queue --------------------------------------------------------------------------------------------------------


def _is_stale(session: Session) -> bool:
    """Whether there is something to do, and one may: a database that is only read is searched as it is."""
    statement = "SELECT id FROM search_stale WHERE current_setting('transaction_read_only') = 'off' ORDER BY id LIMIT 1"
    return session.scalar(text(statement)) is not None


def _alone(session: Session, *, waits: bool) -> bool:
    if waits:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        return True
    return bool(session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}))


def _take(session: Session, limit: int) -> dict[str, list[int]]:
    rows = session.execute(
        text(
            "DELETE FROM search_stale WHERE id IN (SELECT id FROM search_stale ORDER BY id LIMIT :limit)"
            " RETURNING kind, ref_id"
        ),
        {"limit": limit},
    )
    changed: dict[str, set[int]] = defaultdict(set)
    for kind, ref_id in rows:
        changed[kind].add(ref_id)
    return {kind: sorted(ids) for kind, ids in changed.items()}


def _tidy(session: Session) -> None:
    """After many rows at once: no long list before the trigram index, and figures for the planner."""
    for index in ("ix_search_entry_alike", "ix_search_entry_tokens"):
        session.execute(text(f"SELECT gin_clean_pending_list('{index}')"))
    session.execute(text("ANALYZE search_entry"))


# --- making entries ---------------------------------------------------------------------------------------------------


def _renew(session: Session, changed: Mapping[str, Sequence[int]]) -> set[str]:
    """Make the entries of these rows; gives the communities whose roads may be others now."""
    moved: list[str] = []
    for kind in ("area", "compound", "building", "cell", "poi", "staff"):
        if ids := list(changed.get(kind, ())):
            if kind == "area":
                moved += _move(session, ids)
            if kind == "building":
                moved += _paths_of(session, ids)
            rows = fetch(session, _SOURCES[kind], {"ids": ids})
            session.execute(_DELETE, {"kind": kind, "ids": ids})
            _write(session, (entry for row in rows for entry in _MAKERS[kind](row)))
            if kind == "building":
                moved += [row["path"] for row in rows]
            if kind == "compound":  # buildings bear its name
                _note_buildings(session, ids)
    return set(moved)


def _move(session: Session, ids: list[int]) -> list[str]:
    """An area whose path has changed takes along what lies in it."""
    paths = session.scalars(_MOVE, {"ids": ids}).all()
    return [str(path) for path in paths]


def _paths_of(session: Session, buildings: list[int]) -> list[str]:
    return [str(path) for path in session.scalars(_PATHS_BEFORE, {"ids": buildings})]


def _note_buildings(session: Session, compounds: list[int]) -> None:
    session.execute(_STALE_BUILDINGS, {"ids": compounds})


def _write(session: Session, entries: Iterable[Entry]) -> None:
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY search_entry ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
        for entry in entries:
            copy.write_row([entry.get(column) for column in _COLUMNS])


def _named(kind: str, row: Row, *names: str | None, **more: Any) -> list[Entry]:
    """An entry a reading of each name; the first carries code and numbers."""
    common = {"kind": kind, "ref_id": row["id"], "path": row["path"], "weight": row["weight"] or 0}
    common |= {"lon": row["lon"], "lat": row["lat"]}
    entries: list[Entry] = []
    for name in dict.fromkeys(name for name in names if name):
        for spelled, first in writings(name):
            if spelled:
                entries.append({**common, "name": name, "spelling": spelled, "initials": first})
    if not entries:
        entries.append(dict(common))
    tokens = [*more.pop("tokens", ()), *(near_keys(str(entries[0]["name"])) if entries[0].get("name") else ())]
    entries[0] |= {"code": bare(row.get("code") or "").upper() or None, "tokens": tokens or None, **more}
    return [{**entry, "variant": variant} for variant, entry in enumerate(entries)]


def _area(row: Row) -> list[Entry]:
    return _named("area", row, row["name"], row["name_en"])


def _compound(row: Row) -> list[Entry]:
    return _named("compound", row, row["name"], row["name_en"])


def _other(kind: str) -> Callable[[Row], list[Entry]]:
    return lambda row: _named(kind, row, row["name"])


def building_number(name: str | None) -> tuple[str | None, bool]:
    """(number of a building by its name, whether the name is more than that number).

    Examples
    --------
    >>> building_number("3栋"), building_number("18号"), building_number("实验楼"), building_number("1号综合楼")
    (('3', False), ('18', False), (None, True), ('1', True))
    """
    said = parse(name or "")
    return said.building or said.house, bool(said.names or said.areas)


def _building(row: Row) -> list[Entry]:
    said = parse(row["address"] or "")
    number, is_named = building_number(row["name"])
    number = number or said.building
    if is_named and row["compound"]:  # 商铺2 is not the compound's 2栋
        place, places = said.place or row["compound"], set()
        tokens = {token for token in tokens_of(said, number=number) if token.count("#") == 1}
    else:
        place, places = row["compound"] or said.place, {name for name in (row["compound"], said.place) if name}
        tokens = tokens_of(said, places=places, number=number)
    own = [row["name"]] if is_named and row["name"] != row["compound"] else []
    if is_named and number is not None:
        tokens |= tokens_of(parse(row["name"]), number=number)
    return _named(
        "building", row, *own, road=said.road, house=said.house, place=place, number=number, tokens=sorted(tokens)
    )


_MAKERS: Mapping[str, Callable[[Row], list[Entry]]] = {
    "area": _area,
    "compound": _compound,
    "building": _building,
    "cell": _other("cell"),
    "poi": _other("poi"),
    "staff": _other("staff"),
}


def _renew_roads(session: Session, paths: list[str]) -> None:
    """Roads, and places that no compound stands for, from the addresses of whole communities."""
    if not paths:
        return
    session.execute(_DELETE_ROADS, {"paths": paths})
    for kind in ("road", "place"):
        rows = fetch(session, _ROADS if kind == "road" else _PLACES, {"paths": paths})
        _write(session, (entry for row in rows for entry in _named(kind, row, row["name"])))


_TABLES = {
    "area": ("admin_area", ""),
    "compound": ("compound", ""),
    "building": ("building", ""),
    "cell": ("grid", "WHERE name IS NOT NULL"),
    "poi": ("poi", ""),
    "staff": ("staff", ""),
}

_CENTRE = "CROSS JOIN LATERAL (SELECT ST_Centroid({0}.geom) AS geom) AS centre"
_AT = "round(ST_X(centre.geom)::numeric, 6)::float8 AS lon, round(ST_Y(centre.geom)::numeric, 6)::float8 AS lat"

_SOURCES = {
    "area": f"""
        SELECT area.id, area.code, area.name, area.name_en, area.path::text AS path, 0 AS weight, {_AT}
        FROM admin_area AS area {_CENTRE.format("area")}
        WHERE area.id = ANY(:ids)
    """,
    "compound": f"""
        SELECT compound.id, compound.code, compound.name, compound.name_en, area.path::text AS path, {_AT},
            (SELECT sum(building.households)::int FROM building WHERE building.compound_id = compound.id) AS weight
        FROM compound INNER JOIN admin_area AS area ON compound.area_id = area.id {_CENTRE.format("compound")}
        WHERE compound.id = ANY(:ids)
    """,
    "building": f"""
        SELECT building.id, building.code, building.name, building.address, compound.name AS compound,
            building.households AS weight, area.path::text AS path, {_AT}
        FROM building
        INNER JOIN admin_area AS area ON building.area_id = area.id
        LEFT JOIN compound ON building.compound_id = compound.id
        {_CENTRE.format("building")}
        WHERE building.id = ANY(:ids)
    """,
    "cell": f"""
        SELECT cell.id, NULL AS code, cell.name, area.path::text AS path, cell.households AS weight, {_AT}
        FROM grid AS cell INNER JOIN admin_area AS area ON cell.community_id = area.id {_CENTRE.format("cell")}
        WHERE cell.id = ANY(:ids) AND cell.name IS NOT NULL
    """,
    "poi": """
        SELECT poi.id, poi.code, poi.name, place.path, 0 AS weight, ST_X(poi.geom) AS lon, ST_Y(poi.geom) AS lat
        FROM poi
        CROSS JOIN LATERAL (
            SELECT area.path::text AS path
            FROM admin_area AS area
            WHERE area.level = 'community' AND ST_Covers(area.geom, poi.geom)
            ORDER BY area.id
            LIMIT 1
        ) AS place
        WHERE poi.id = ANY(:ids) AND poi.name IS NOT NULL
    """,
    "staff": """
        SELECT staff.id, staff.code, staff.name, NULL AS path, 0 AS weight, NULL AS lon, NULL AS lat
        FROM staff
        WHERE staff.id = ANY(:ids)
    """,
}

_DELETE = text("DELETE FROM search_entry WHERE kind = :kind AND ref_id = ANY(CAST(:ids AS bigint []))")
_DELETE_ROADS = text(
    "DELETE FROM search_entry WHERE path = ANY(CAST(:paths AS ltree [])) AND kind IN ('road', 'place')"
)
_PATHS_BEFORE = text(
    "SELECT DISTINCT path::text FROM search_entry"
    " WHERE kind = 'building' AND ref_id = ANY(CAST(:ids AS bigint [])) AND path IS NOT NULL"
)
_STALE_BUILDINGS = text(
    "INSERT INTO search_stale (kind, ref_id)"
    " SELECT 'building', building.id FROM building INNER JOIN compound ON building.compound_id = compound.id"
    " INNER JOIN search_entry AS entry ON entry.kind = 'building' AND entry.ref_id = building.id AND entry.variant = 0"
    " WHERE compound.id = ANY(CAST(:ids AS bigint [])) AND entry.place IS DISTINCT FROM compound.name"
    " AND compound.name IS NOT NULL"
)
_MOVE = text(
    """
    WITH moved AS (
        SELECT area.path AS path, entry.path AS before
        FROM admin_area AS area
        INNER JOIN search_entry AS entry ON entry.kind = 'area' AND entry.ref_id = area.id AND entry.variant = 0
        WHERE area.id = ANY(CAST(:ids AS bigint [])) AND area.level = 'community' AND area.path <> entry.path
    )
    UPDATE search_entry AS entry SET path = moved.path
    FROM moved
    WHERE entry.path = moved.before AND entry.kind <> 'area'
    RETURNING moved.path::text
    """
)

# A road is told once a community; the place is the building in the middle of its numbers.
_ROADS = """
    SELECT
        min(ref_id) AS id, path::text AS path, road AS name, sum(weight)::int AS weight, NULL AS code,
        percentile_disc(0.5) WITHIN GROUP (ORDER BY lon) AS lon, percentile_disc(0.5) WITHIN GROUP (ORDER BY lat) AS lat
    FROM search_entry
    WHERE path = ANY(CAST(:paths AS ltree [])) AND kind = 'building' AND variant = 0 AND road IS NOT NULL
    GROUP BY path, road
"""
_PLACES = """
    SELECT
        min(entry.ref_id) AS id, entry.path::text AS path, entry.place AS name, sum(entry.weight)::int AS weight,
        NULL AS code, avg(entry.lon) AS lon, avg(entry.lat) AS lat
    FROM search_entry AS entry
    INNER JOIN building ON entry.ref_id = building.id
    WHERE
        entry.path = ANY(CAST(:paths AS ltree [])) AND entry.kind = 'building' AND entry.variant = 0
        AND entry.place IS NOT NULL AND entry.name IS NULL AND building.compound_id IS NULL
    GROUP BY entry.path, entry.place
"""
