"""What a search tells of each thing found: its label with the part that matched, its place, and who answers for it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from gis import listing, staff
from gis.addresses import Address, parse
from gis.geotag import Place, Tag, geotag
from gis.listing.window import Row, Window, box_of, fetch
from gis.permissions import Action, Actor, is_within, scopes
from gis.search_marks import marked


class Candidate(Protocol):
    """What `gis.search` hands over."""

    @property
    def kind(self) -> str: ...
    @property
    def ref_id(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def how(self) -> str: ...


def described(
    session: Session,
    ranked: Sequence[Candidate],
    *,
    limit: int,
    words: str,
    actor: Actor,
    at: datetime,
    kinds: Collection[str],
    near: tuple[float, float] | None,
) -> list[Row]:
    """The first of the candidates as rows; what a reader may not see is not among them.

    Returns
    -------
    list of dict
        ``kind``, ``id``, ``code``, ``label``, ``marks`` (from, to of what matched in the label), ``detail`` (a line
        that tells it from its namesakes), ``detail_marks`` (where the label has none), ``how``, ``score``, ``lon``,
        ``lat``, ``bbox``, ``distance_m``, ``unit``, ``floor``, ``room``, and as a geotag has them: ``area``,
        ``community``, ``compound``, ``building``, ``grid``, ``micro_grid``, ``candidates``, ``people``, ``flags``
        (``several_grids``: it lies in more than one).
    """
    chosen = list(ranked[: limit * 2])  # some are of kinds that were not asked for
    rows: dict[tuple[str, int], Row] = {}
    for kind, read in _READERS.items():
        if ids := [one.ref_id for one in chosen if one.kind == kind]:
            for row in read(session, ids, actor=actor, at=at):
                rows[kind, row["id"]] = row
    items: list[Row] = []
    address = parse(words)
    for one in chosen:
        row = rows.get((one.kind, one.ref_id))
        if row is not None and row["kind"] in kinds and len(items) < limit:
            label = row["label"]
            found = {**row, "how": one.how, "score": round(one.score, 3), "marks": marked(label, words)}
            found["detail_marks"] = marked(row["detail"] or "", words) if not found["marks"] else []
            if row["kind"] == "building":
                found |= {"unit": address.unit, "floor": address.floor, "room": address.room}
            if near is not None and row["lon"] is not None:
                found["distance_m"] = round(metres(near, (row["lon"], row["lat"])))
            items.append(found)
    _tell_responsible(session, items, address, actor=actor, at=at)
    return items


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Metres between two near places in degrees, good to a percent.

    Examples
    --------
    >>> round(metres((120.0, 30.0), (120.0, 30.01)))
    1112
    """
    east = (one[0] - other[0]) * math.cos(math.radians(one[1]))
    return math.hypot(east, one[1] - other[1]) * 111_195


def _tell_responsible(session: Session, items: Sequence[Row], address: Address, *, actor: Actor, at: datetime) -> None:
    """As a geotag of the same place: the part of the building that unit and floor name, its cells and people."""
    placed = [row for row in items if row["kind"] in ("building", "poi")]
    places = [
        Place(building_code=row["code"], unit=address.unit, floor=address.floor)
        if row["kind"] == "building"
        else Place(lon=row["lon"], lat=row["lat"])
        for row in placed
    ]
    for row, tag in zip(placed, geotag(session, places, at=at, actor=actor), strict=True) if placed else ():
        row |= _of_tag(tag)
    _tell_of_wide_places(session, items, actor=actor, at=at)
    for row in items:
        row.pop("path", None)


def _tell_of_wide_places(session: Session, items: Sequence[Row], *, actor: Actor, at: datetime) -> None:
    """Compounds and roads may lie in several cells: told are the cells that hold all of it, and who answers for all."""
    cells = _cells_of(session, [row for row in items if row["kind"] in _WIDE], actor=actor, at=at)
    lowest: dict[tuple[str, int], int] = {}
    for row in items:
        key = (row["kind"], row["id"])
        if row["kind"] in ("grid", "micro_grid"):
            lowest[key] = row["id"]
        elif row["kind"] in _WIDE and (leaf := _tell_cells(row, cells.get(key, []))) is not None:
            lowest[key] = leaf
    held = staff.responsible_many(session, grid_ids=sorted(set(lowest.values())), at=at) if lowest else {}
    areas = {row["id"] if row["kind"] in _AREAS_THEMSELVES else row["community_id"] for row in items if _has_area(row)}
    of_area = staff.responsible_for_areas(session, area_ids=sorted(areas), at=at) if areas else {}
    for row in items:
        key = (row["kind"], row["id"])
        if key in lowest:
            row["people"] = _people(held[lowest[key]], row["path"], actor)
        elif _has_area(row):
            area = row["id"] if row["kind"] in _AREAS_THEMSELVES else row["community_id"]
            row["people"] = _people(of_area[area], row["path"], actor)


_WIDE = ("compound", "road", "place")
_AREAS_THEMSELVES = ("community", "area")


def _has_area(row: Row) -> bool:
    return row["kind"] in _WIDE or row["kind"] in _AREAS_THEMSELVES


_TOLD = 20
"""Grids of a wide place that are named."""


def _tell_cells(row: Row, cells: Sequence[Row]) -> int | None:
    """Put the cells that hold all of a wide place into its row; gives the lowest such cell."""
    grids = {cell["grid_code"]: _ref(cell, "grid") for cell in cells}
    row |= {"micro_grid": None, "grid": None, "flags": [] if cells else ["outside"]}
    if len(grids) > 1:
        row["flags"] = ["several_grids"]
        row["candidates"] = [{"grid": grids[code], "micro_grid": None, "people": []} for code in sorted(grids)[:_TOLD]]
        return None
    if not cells:
        return None
    row["grid"] = _ref(cells[0], "grid")
    if len(cells) > 1:
        return int(cells[0]["grid_id"])
    row["micro_grid"] = _ref(cells[0], "micro_grid")
    return int(cells[0]["id"])


def _cells_of(session: Session, wide: Sequence[Row], *, actor: Actor, at: datetime) -> dict[tuple[str, int], list[Row]]:
    """The lowest cells of the buildings of compounds and roads, of each so many that no more need be known."""
    found: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for kind, sql in _CELLS_OF.items():
        rows = [row for row in wide if row["kind"] == kind]
        if rows:
            params = {"paths": [row["path"] for row in rows], "names": [row["label"] for row in rows]}
            for cell in _ask(session, sql, [row["id"] for row in rows], actor, at=at, **params):
                found[kind, cell["of"]].append(cell)
    return found


def _people(held: Sequence[staff.Responsible], path: str, actor: Actor) -> list[Row]:
    shown = any(is_within(path, scope) for scope in scopes(actor, Action.VIEW_CONTACTS))
    return [listing.person(one, shows_phone=shown) for one in held]


def _of_tag(tag: Tag) -> dict[str, Any]:
    told = asdict(tag)
    names = ("area", "community", "compound", "building", "grid", "micro_grid", "candidates", "people", "flags")
    return {name: told[name] for name in names}


# --- reading the rows -------------------------------------------------------------------------------------------------


def _buildings(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
    del at
    for row in _ask(session, _BUILDINGS, ids, actor):
        name, compound = row.pop("name"), row.pop("compound_name")
        own = " ".join(dict.fromkeys(word for word in (compound, name) if word))
        label = (own if compound and name else row["address"] or own) or row["code"]
        detail = [row["address"] if label != row["address"] else None, row["community_name"]]
        yield {**row, "label": label.replace(" ", ""), "detail": _line(detail), "kind": "building"}


def _compounds(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
    del at
    for row in _ask(session, _COMPOUNDS, ids, actor):
        yield {**row, "label": row["name"] or row["code"], "detail": row["community_name"], "kind": "compound"}


def _areas(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
    del at
    for row in _ask(session, _AREAS, ids, actor):
        kind = "community" if row["level"] == "community" else "area"
        yield {**row, "label": row["name"], "detail": row["above"], "kind": kind}


def _cells(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
    for row in _ask(session, _CELLS, ids, actor, at=at):
        label = row["name"] or row["code"]
        row["grid"] = {"id": row["grid_id"], "code": row["grid_code"], "name": row["grid_name"]}
        row["micro_grid"] = None
        if row["kind"] == "micro_grid":
            row["micro_grid"] = {"id": row["id"], "code": row["code"], "name": row["name"]}
        yield {**row, "label": label, "detail": row["community_name"]}


def _named(kind: str) -> Any:
    def read(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
        del at
        sql = _POIS if kind == "poi" else _ENTRIES
        for row in _ask(session, sql, ids, actor, kind=kind):
            yield {**row, "label": row["name"], "detail": row["community_name"], "kind": kind}

    return read


def _staff(session: Session, ids: Sequence[int], *, actor: Actor, at: datetime) -> Iterable[Row]:
    listed = listing.staff(
        session,
        Window(limit=len(ids)),
        scopes=scopes(actor, Action.VIEW_MAP),
        contact_scopes=scopes(actor, Action.VIEW_CONTACTS),
        at=at,
        ids=ids,
    )
    cells = [post["grid_id"] for row in listed.rows for post in row["posts"] if post["grid_id"]]
    boxes = {row["id"]: row for row in _ask(session, _CELLS, cells, actor, at=at)} if cells else {}
    for row in listed.rows:
        own = [boxes[post["grid_id"]] for post in row["posts"] if post["grid_id"] in boxes]
        posts = [f"{post['name_zh']} {post['place_name'] or post['place_code']}" for post in row["posts"]]
        detail = _line([row["department_name"], *list(dict.fromkeys(posts))[:2]])
        cell = own[-1] if own else None
        person = {
            "post": post["post"], "post_name_zh": post["name_zh"], "post_name_en": post["name_en"],
            "tier": post["tier"], "place": post["place_code"], "place_name": post["place_name"],
        } if (post := (row["posts"] or [None])[0]) else {
            "post": "", "post_name_zh": "", "post_name_en": None, "tier": None, "place": "", "place_name": None,
        }  # fmt: skip
        yield {
            "kind": "staff", "id": row["id"], "code": row["code"], "label": row["name"], "detail": detail,
            "lon": cell["lon"] if cell else None, "lat": cell["lat"] if cell else None,
            "bbox": cell["bbox"] if cell else None, "posts": row["posts"],
            "grid": _ref(cell, "grid") if cell else None, "micro_grid": _ref(cell, "micro_grid") if cell else None,
            "people": [{**person, "staff_id": row["id"], "name": row["name"], "phone": row["phone"]}],
        }  # fmt: skip


def _ref(cell: Row, kind: str) -> Row | None:
    if kind == "grid":
        return {"id": cell["grid_id"], "code": cell["grid_code"], "name": cell["grid_name"]}
    if cell["kind"] == "micro_grid":
        return {"id": cell["id"], "code": cell["code"], "name": cell["name"]}
    return None


def _line(parts: Iterable[str | None]) -> str | None:
    return " · ".join(part for part in parts if part) or None


def _ask(session: Session, sql: str, ids: Sequence[int], actor: Actor, **params: Any) -> list[Row]:
    seen = list(scopes(actor, Action.VIEW_MAP))
    return fetch(session, sql, {"ids": list(ids), "scopes": seen, **params})


_READERS: Mapping[str, Any] = {
    "building": _buildings,
    "compound": _compounds,
    "area": _areas,
    "cell": _cells,
    "road": _named("road"),
    "place": _named("place"),
    "poi": _named("poi"),
    "staff": _staff,
}

_IN_SCOPES = "area.path <@ ANY(CAST(:scopes AS ltree []))"
_POINT = (
    "(SELECT round(ST_X(p)::numeric, 7)::float8 FROM ST_PointOnSurface({0}) AS p) AS lon,"
    " (SELECT round(ST_Y(p)::numeric, 7)::float8 FROM ST_PointOnSurface({0}) AS p) AS lat"
)

_BUILDINGS = f"""
    SELECT
        building.id, building.code, building.name, building.address, building.floors, building.units,
        building.households, compound.name AS compound_name, area.name AS community_name,
        area.name_en AS community_name_en, {_POINT.format("building.geom")}, {box_of("building.geom")} AS bbox
    FROM building
    INNER JOIN admin_area AS area ON building.area_id = area.id
    LEFT JOIN compound ON building.compound_id = compound.id
    WHERE building.id = ANY(:ids) AND {_IN_SCOPES}
"""
_COMPOUNDS = f"""
    SELECT
        compound.id, area.path::text AS path, area.id AS community_id, compound.code,
        compound.name, compound.name_en, area.name AS community_name,
        area.name_en AS community_name_en, {_POINT.format("compound.geom")}, {box_of("compound.geom")} AS bbox
    FROM compound
    INNER JOIN admin_area AS area ON compound.area_id = area.id
    WHERE compound.id = ANY(:ids) AND {_IN_SCOPES}
"""
_AREAS = f"""
    SELECT
        area.id, area.code, area.name, area.name_en, area.level, area.path::text AS path, above.name AS above,
        {_POINT.format("area.geom")},
        CASE WHEN ground.box IS NOT NULL THEN {box_of("ground.box")} END AS bbox
    FROM admin_area AS area
    LEFT JOIN admin_area AS above ON area.parent_id = above.id
    CROSS JOIN LATERAL (
        SELECT ST_SetSRID(ST_Extent(below.geom)::geometry, 4326) AS box
        FROM admin_area AS below
        WHERE below.path <@ area.path
    ) AS ground
    WHERE area.id = ANY(:ids) AND {_IN_SCOPES}
"""
_CELLS = f"""
    SELECT
        cell.id, cell.code, cell.name, cell.households, cell.grid_depth AS depth, tier.kind, area.path::text AS path,
        tier.name_zh AS tier_name_zh, tier.name_en AS tier_name_en,
        area.name AS community_name, area.name_en AS community_name_en, cell.community_id,
        coalesce(above.id, cell.id) AS grid_id, coalesce(above.code, cell.code) AS grid_code,
        coalesce(above.name, cell.name) AS grid_name,
        {_POINT.format("cell.geom")}, {box_of("cell.geom")} AS bbox
    FROM grid AS cell
    INNER JOIN tier ON cell.rule_set_id = tier.rule_set_id AND cell.grid_depth = tier.grid_depth
    INNER JOIN plan_community AS ruling ON cell.plan_id = ruling.plan_id AND cell.community_id = ruling.community_id
    INNER JOIN admin_area AS area ON cell.community_id = area.id
    LEFT JOIN grid AS above ON cell.parent_id = above.id AND tier.kind = 'micro_grid'
    WHERE cell.id = ANY(:ids) AND ruling.in_force_during @> CAST(:at AS timestamptz) AND {_IN_SCOPES}
"""
_POIS = f"""
    SELECT
        poi.id, poi.code, poi.name, poi.kind AS poi_kind, area.name AS community_name,
        area.name_en AS community_name_en, ST_X(poi.geom) AS lon, ST_Y(poi.geom) AS lat, NULL AS bbox
    FROM poi
    INNER JOIN search_entry AS entry ON entry.kind = :kind AND poi.id = entry.ref_id AND entry.variant = 0
    INNER JOIN admin_area AS area ON entry.path = area.path
    WHERE poi.id = ANY(:ids) AND {_IN_SCOPES}
"""
_ENTRIES = f"""
    SELECT
        entry.ref_id AS id, NULL AS code, entry.path::text AS path, entry.name,
        area.id AS community_id, area.name AS community_name, area.name_en AS community_name_en,
        entry.lon, entry.lat, NULL AS bbox
    FROM search_entry AS entry
    INNER JOIN admin_area AS area ON entry.path = area.path
    WHERE entry.kind = :kind AND entry.ref_id = ANY(:ids) AND entry.variant = 0 AND {_IN_SCOPES}
"""

_ENOUGH = 200
"""Buildings of a road that are looked at: where so many are, it runs through several grids."""

_LEAVES = """
    SELECT DISTINCT
        chosen.of, leaf.id, leaf.code, leaf.name, tier.kind,
        coalesce(above.id, leaf.id) AS grid_id, coalesce(above.code, leaf.code) AS grid_code,
        coalesce(above.name, leaf.name) AS grid_name
    FROM chosen
    INNER JOIN grid_part AS gp ON chosen.id = gp.building_id
    INNER JOIN plan_community AS ruling ON gp.plan_id = ruling.plan_id AND chosen.area_id = ruling.community_id
    INNER JOIN grid AS leaf ON gp.grid_id = leaf.id
    INNER JOIN tier ON leaf.rule_set_id = tier.rule_set_id AND leaf.grid_depth = tier.grid_depth
    LEFT JOIN grid AS above ON leaf.parent_id = above.id AND tier.kind = 'micro_grid'
    WHERE ruling.in_force_during @> CAST(:at AS timestamptz)
    ORDER BY chosen.of, leaf.id
"""
_OF_COMPOUNDS = f"""
    WITH chosen AS MATERIALIZED (
        SELECT asked.id AS of, standing.id, standing.area_id
        FROM unnest(CAST(:ids AS bigint [])) AS asked (id)
        CROSS JOIN LATERAL (
            SELECT building.id, building.area_id
            FROM building INNER JOIN admin_area AS area ON building.area_id = area.id
            WHERE building.compound_id = asked.id AND {_IN_SCOPES}
            LIMIT {_ENOUGH}
        ) AS standing
        WHERE CAST(:paths AS text []) IS NOT NULL AND CAST(:names AS text []) IS NOT NULL
    )
    {_LEAVES}
"""
_OF_NAMED = f"""
    WITH chosen AS MATERIALIZED (
        SELECT asked.id AS of, standing.id, standing.area_id
        FROM unnest(CAST(:ids AS bigint []), CAST(:paths AS text []), CAST(:names AS text [])) AS asked (id, path, name)
        CROSS JOIN LATERAL (
            SELECT entry.ref_id AS id, area.id AS area_id
            FROM search_entry AS entry INNER JOIN admin_area AS area ON entry.path = area.path
            WHERE
                entry.path = CAST(asked.path AS ltree) AND entry.kind = 'building' AND entry.variant = 0
                AND entry.{{column}} = asked.name AND {_IN_SCOPES}
            LIMIT {_ENOUGH}
        ) AS standing
    )
    {_LEAVES}
"""
_CELLS_OF = {
    "compound": _OF_COMPOUNDS,
    "road": _OF_NAMED.format(column="road"),
    "place": _OF_NAMED.format(column="place"),
}
