"""What a plan's pages are made of, out of the database: only of communities that the asker may see.

Phones come along only where the asker may see contacts and asks for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import crs, listing, plan_lineage, plan_review, plans, rules
from gis.errors import InvalidInput, NotFound
from gis.permissions import Action, Actor, require
from gis.plan_steps import PENDING
from gis.rule_set import RuleSet, Tier

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class Person:
    """Somebody who answers for a cell: the post, and who holds it, if anybody."""

    post_zh: str
    post_en: str
    name: str | None
    phone: str | None
    place: str


@dataclass(frozen=True)
class Cell:
    """A cell on paper; ``ground`` is its position among the shapes of its tier."""

    id: int
    code: str
    name: str | None
    community_code: str
    community: str
    community_en: str | None
    parent_id: int | None
    households: int
    residents: int | None
    buildings: int
    area_m2: float
    state: str
    colour: int
    floors: tuple[int, int] | None
    ground: int
    people: tuple[Person, ...] = ()

    @property
    def label(self) -> str:
        """What people call it: its name, else its community and the end of its code."""
        return self.name or f"{self.community} {self._end}"

    @property
    def label_en(self) -> str:
        """The same in English, as far as there is a name in it."""
        return self.name or f"{self.community_en or self.community} {self._end}"

    @property
    def _end(self) -> str:
        return self.code.removeprefix(self.community_code) or self.code


@dataclass(frozen=True)
class Things:
    """Things on the ground with their names; in metres."""

    shapes: Geometries
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    tree: shapely.STRtree


@dataclass(frozen=True)
class Book:
    """A plan as it goes on paper.

    Attributes
    ----------
    title, state : str
    since : datetime or None
        In force from.
    at : datetime
        People as of then: of a plan whose day is to come as of that day, of one of the past as of its last day.
    tier, below : Tier and Tier or None
        Of the pages, and of the cells inside them.
    rules : RuleSet
    cells : tuple of Cell
        One a page of the whole atlas, in the order of pages.
    inside : mapping of int to tuple of Cell
        The cells below each that was asked for, by id.
    shapes, small : arrays of polygons
        Of the cells and of those below, in metres.
    buildings, compounds, barriers, communities : Things
    zone : int
    """

    plan_id: int
    title: str
    state: str
    since: datetime | None
    at: datetime
    tier: Tier
    below: Tier | None
    rules: RuleSet
    cells: tuple[Cell, ...]
    inside: Mapping[int, tuple[Cell, ...]]
    shapes: Geometries
    small: Geometries
    buildings: Things
    compounds: Things
    barriers: Things
    communities: Things
    zone: int

    @property
    def is_waiting(self) -> bool:
        """Whether it has no day yet: those are shown who hold the posts of the cells that its cells would continue."""
        return self.state in PENDING

    def numbers(self, ids: Sequence[int]) -> list[int]:
        """The numbers of cells among the pages, from 0.

        Raises
        ------
        NotFound
            ``print.no_such_cell`` for one that is none of the pages, or may not be seen.
        """
        known = {cell.id: number for number, cell in enumerate(self.cells)}
        unknown = [cell for cell in ids if cell not in known]
        if unknown:
            raise NotFound("print.no_such_cell", plan=self.plan_id, cell=unknown[0])
        return sorted({known[cell] for cell in ids})


def gather(
    session: Session,
    plan_id: int,
    *,
    actor: Actor,
    at: datetime,
    phones: bool,
    cells: Sequence[int] | None = None,
) -> Book:
    """Gather a plan.

    Parameters
    ----------
    cells : sequence of int or None
        Ids of the grids whose pages are wanted: only they have people and cells inside. All of them if None.

    Raises
    ------
    NotFound
        ``plan.unknown``, also for a plan of which nothing may be seen.
    NotAllowed
        Phones are asked for, and contacts may not be seen in all that is printed.
    InvalidInput
        ``print.no_cells`` for a plan without cells.
    """
    held = plan_review.seen_scopes(session, plan_id, actor=actor)
    plan = plans.get(session, plan_id)
    ruled = rules.value(rules.get(session, plan.rule_set_id))
    depth = _depth(ruled)
    below = ruled.grid_tiers[depth] if len(ruled.grid_tiers) > depth else None
    known = {"plan": plan_id, "scopes": list(held)}
    areas = session.execute(_COMMUNITIES, known).all()
    if phones:
        _require_contacts(actor, [row.path for row in areas])
    rows = session.execute(_CELLS, {**known, "depth": depth}).all()
    if not rows:
        raise InvalidInput("print.no_cells", plan=plan_id)
    wanted = {row.id for row in rows} if cells is None else set(cells)
    small = [row for row in session.execute(_CELLS, {**known, "depth": depth + 1}) if row.parent_id in wanted]
    shapes = shapely.from_wkb([bytes(row.wkb) for row in rows])
    zone = crs.zone_of(shapes)
    state, moment = plans.state_of(session, plan_id), _moment(session, plan_id, at)
    answered = [*(row for row in rows if row.id in wanted), *small]
    origins = _origins(session, plan_id, answered) if state in PENDING else None
    people = _people(session, answered, ruled, origins, at=moment, phones=phones)
    inside: dict[int, list[Cell]] = defaultdict(list)
    for i, row in enumerate(small):
        inside[row.parent_id].append(_cell(row, i, people[row.id]))
    ids = [row.id for row in areas]
    return Book(
        plan_id, plan.title, state, plan.effective_from, moment, ruled.grid_tiers[depth - 1],
        below, ruled, tuple(_cell(row, i, people.get(row.id, ())) for i, row in enumerate(rows)),
        {parent: tuple(cells) for parent, cells in inside.items()}, _metric(shapes, zone),
        _metric(shapely.from_wkb([bytes(row.wkb) for row in small]), zone),
        _things(session.execute(_BUILDINGS, {"ids": ids}).all(), zone),
        _things(session.execute(_COMPOUNDS, {"ids": ids}).all(), zone),
        _things(session.execute(_BARRIERS, {"ids": ids}).all(), zone),
        _things(areas, zone), zone,
    )  # fmt: skip


def count(session: Session, plan_id: int, *, actor: Actor) -> int:
    """How many pages with a grid a plan has for somebody."""
    return len(_pages(session, plan_id, actor=actor))


def check(session: Session, plan_id: int, *, cells: Sequence[int] | None, actor: Actor, phones: bool) -> None:
    """Refuse beforehand what `gather` would refuse.

    Raises
    ------
    NotFound, NotAllowed, InvalidInput
    """
    known = set(_pages(session, plan_id, actor=actor))
    if not known:
        raise InvalidInput("print.no_cells", plan=plan_id)
    unknown = sorted(set(cells or ()) - known)
    if unknown:
        raise NotFound("print.no_such_cell", plan=plan_id, cell=unknown[0])
    if phones:
        held = plan_review.seen_scopes(session, plan_id, actor=actor)
        found = session.execute(_COMMUNITIES, {"plan": plan_id, "scopes": list(held)})
        _require_contacts(actor, [row.path for row in found])


def _pages(session: Session, plan_id: int, *, actor: Actor) -> list[int]:
    held = plan_review.seen_scopes(session, plan_id, actor=actor)
    ruled = rules.value(rules.get(session, plans.get(session, plan_id).rule_set_id))
    known = {"plan": plan_id, "scopes": list(held), "depth": _depth(ruled)}
    return list(session.scalars(_IDS, known))


def _depth(ruled: RuleSet) -> int:
    """The depth that has a page each: the lowest tier of grids."""
    return max(i for i, tier in enumerate(ruled.grid_tiers, start=1) if tier.kind == "grid")


def _require_contacts(actor: Actor, paths: Sequence[str]) -> None:
    for path in paths:
        require(actor, Action.VIEW_CONTACTS, path)


def _cell(row: Any, ground: int, people: tuple[Person, ...]) -> Cell:
    floors = None if row.floor_from is None else (int(row.floor_from), int(row.floor_to))
    return Cell(
        row.id, row.code, row.name, row.community_code, row.community, row.community_en, row.parent_id, row.households,
        row.residents, row.buildings, float(row.area_m2), row.state, row.colour, floors, ground, people,
    )  # fmt: skip


def _moment(session: Session, plan_id: int, at: datetime) -> datetime:
    """The instant of a plan's time that is nearest to another."""
    start: datetime | None
    stop: datetime | None
    start, stop = session.execute(_IN_FORCE, {"plan": plan_id}).one()
    if start is not None and at < start:
        return start
    return at if stop is None or at < stop else stop - timedelta(microseconds=1)


def _origins(session: Session, plan_id: int, rows: Sequence[Any]) -> dict[int, int]:
    """What cells would continue; communities beside theirs are looked at too, since a border between them may move."""
    near = session.scalars(_BESIDE, {"plan": plan_id, "ids": sorted({row.community_id for row in rows})})
    return plan_lineage.origins(session, plan_id, communities=list(near))


def _people(
    session: Session,
    rows: Sequence[Any],
    ruled: RuleSet,
    origins: Mapping[int, int] | None,
    *,
    at: datetime,
    phones: bool,
) -> dict[int, tuple[Person, ...]]:
    """Who answers for each cell itself; posts of its tier that nobody holds are there without a name.

    With ``origins``, from cells to those that they continue, those who answer for these, as far as the tier has their
    posts: publication carries them over by the same rule.
    """
    holding = {row.id: row.id if origins is None else origins.get(row.id, -1) for row in rows}
    held = listing.responsible(session, sorted(set(holding.values()) - {-1}), at=at, shows_phones=phones)
    places = {row.id: row.code for row in session.execute(_PLACES, {"ids": list(held)})}
    found: dict[int, tuple[Person, ...]] = {}
    for row in rows:
        posts = {post.code: post for post in ruled.grid_tiers[row.grid_depth - 1].posts}
        source = holding[row.id]
        own = [one for one in held.get(source, ()) if one["place"] == places[source] and one["post"] in posts]
        people = [
            Person(posts[one["post"]].name_zh, posts[one["post"]].name_en, one["name"],
                   one["phone"] if phones else None, row.code)
            for one in own
        ]  # fmt: skip
        filled = {one["post"] for one in own}
        people += [
            Person(post.name_zh, post.name_en, None, None, row.code)
            for post in posts.values()
            if post.code not in filled and post.holders_min > 0
        ]
        found[row.id] = tuple(people)
    return found


def _things(rows: Sequence[Any], zone: int) -> Things:
    shapes = _metric(shapely.from_wkb([bytes(row.wkb) for row in rows]), zone)
    names, kinds = tuple(row.name or "" for row in rows), tuple(str(row.kind) for row in rows)
    return Things(shapes, names, kinds, shapely.STRtree(shapes))


def _metric(shapes: Any, zone: int) -> Geometries:
    placed = np.asarray(shapes, dtype=object)
    if not len(placed):
        return np.empty(0, dtype=object)
    return np.asarray(shapely.transform(placed, lambda xy: crs.points_to_metric(xy, zone)), dtype=object)


_PLACES = text("SELECT id, code FROM grid WHERE id = ANY(:ids)")

_IN_FORCE = text(
    """
    SELECT min(lower(in_force_during)) AS start,
           CASE WHEN bool_or(upper_inf(in_force_during)) THEN NULL ELSE max(upper(in_force_during)) END AS stop
    FROM plan_community WHERE plan_id = :plan AND NOT isempty(in_force_during)
    """
)

_SEEN = "a.path <@ ANY(CAST(:scopes AS ltree []))"

_COMMUNITIES = text(
    f"""
    SELECT a.id, a.path::text AS path, a.name, a.code AS kind, ST_AsBinary(a.geom) AS wkb
    FROM plan_community pc JOIN admin_area a ON a.id = pc.community_id
    WHERE pc.plan_id = :plan AND {_SEEN} ORDER BY a.code
    """
)

_BESIDE = text(
    """
    SELECT a.id FROM plan_community pc JOIN admin_area a ON a.id = pc.community_id
    WHERE pc.plan_id = :plan AND EXISTS (
        SELECT FROM admin_area own WHERE own.id = ANY(:ids) AND ST_Intersects(own.geom, a.geom))
    """
)

_CELLS = text(
    f"""
    SELECT g.id, g.code, g.name, g.grid_depth, g.community_id, g.parent_id,
           a.code AS community_code, a.name AS community, a.name_en AS community_en,
           g.households, g.residents, g.buildings, g.area_m2, g.band_state AS state,
           g.color_index AS colour, g.floor_from, g.floor_to, ST_AsBinary(g.geom) AS wkb
    FROM grid g JOIN admin_area a ON a.id = g.community_id
    WHERE g.plan_id = :plan AND g.grid_depth = :depth AND {_SEEN} ORDER BY a.code, g.code
    """
)

_IDS = text(
    f"""
    SELECT g.id FROM grid g JOIN admin_area a ON a.id = g.community_id
    WHERE g.plan_id = :plan AND g.grid_depth = :depth AND {_SEEN}
    """
)

_BUILDINGS = text(
    "SELECT coalesce(b.name, b.code) AS name, coalesce(b.use, '') AS kind, ST_AsBinary(b.geom) AS wkb FROM building b"
    " WHERE b.area_id = ANY(:ids) ORDER BY b.code"
)
_COMPOUNDS = text(
    "SELECT k.name, CASE WHEN k.is_walled THEN 'walled' ELSE 'open' END AS kind, ST_AsBinary(k.geom) AS wkb"
    " FROM compound k WHERE k.area_id = ANY(:ids) ORDER BY k.code"
)
# Streets of the communities themselves: what lies beyond them is not ours to print.
_BARRIERS = text(
    """
    SELECT b.name, b.kind, ST_AsBinary(b.geom) AS wkb FROM barrier b
    WHERE EXISTS (SELECT FROM admin_area a WHERE a.id = ANY(:ids) AND ST_Intersects(a.geom, b.geom)) ORDER BY b.id
    """
)
