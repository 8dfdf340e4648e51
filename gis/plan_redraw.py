"""Redrawing a stored plan: what it begins with, and what it moves — buildings, households, and the people concerned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import listing, plan_review, plans
from gis.division import Division
from gis.errors import InvalidInput
from gis.partition.moves import Moves, moves
from gis.permissions import Action, Actor, may
from gis.town import WGS84, Town

LOCK_KINDS = ("buildings", "grids", "micro_grids")


@dataclass(frozen=True)
class Wish:
    """How a draft is to be drawn from what is in force.

    Attributes
    ----------
    stability : float
        0 (as if there was nothing) to 1 (change only what is broken).
    based_on : int or None
        The plan to begin with; without it what is in force in the draft's communities when the run begins.
    locks : mapping of str to sequence of str
        By `LOCK_KINDS`, codes of what stays.
    """

    stability: float = 0.5
    based_on: int | None = None
    locks: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.stability <= 1:
            raise InvalidInput("partition.bad_stability", stability=self.stability)
        for kind in self.locks:
            if kind not in LOCK_KINDS:
                raise InvalidInput("partition.bad_lock", lock=kind)

    def as_recipe(self) -> dict[str, Any]:
        """As it waits in the recipe of the draft."""
        return {**asdict(self), "locks": {kind: list(codes) for kind, codes in self.locks.items()}}

    @classmethod
    def of_recipe(cls, recipe: Mapping[str, Any]) -> Wish | None:
        """The wish that waits in a draft's recipe; ``None`` where the draft is to be drawn anew."""
        asked = recipe.get("redraw")
        return None if asked is None else cls(asked["stability"], asked.get("based_on"), asked.get("locks", {}))


def previous(session: Session, plan_id: int, *, based_on: int | None, at: datetime) -> tuple[Division, list[int]]:
    """What a draft is compared with, over its own communities, and the plans that it comes from.

    Raises
    ------
    InvalidInput
        ``plan.nothing_in_force`` where there is no plan in these communities.
    """
    draft = plans.get(session, plan_id)
    known = {"plan": plan_id, "at": at, "based_on": based_on, "depths": draft.grid_depths}
    rows = session.execute(_BASES, known).all()
    if not rows:
        raise InvalidInput("plan.nothing_in_force", plan=plan_id)
    mine: dict[int, set[str]] = {}
    for row in rows:
        mine.setdefault(row.plan_id, set()).add(row.code)
    found = [within(plan_review.division_of(session, base), codes) for base, codes in mine.items()]
    return together(found), list(mine)


# The plan that was named, or those in force; only with as many tiers as the draft has.
_BASES = text(
    """
    SELECT pc.plan_id, a.code FROM plan_community pc
    JOIN plan p ON p.id = pc.plan_id JOIN admin_area a ON a.id = pc.community_id
    WHERE pc.community_id IN (SELECT community_id FROM plan_community WHERE plan_id = :plan)
      AND p.id <> :plan AND p.grid_depths = :depths
      AND CASE WHEN CAST(:based_on AS bigint) IS NULL THEN pc.in_force_during @> CAST(:at AS timestamptz)
               ELSE p.id = :based_on END
    ORDER BY pc.plan_id, a.code
    """
)


def within(division: Division, communities: Iterable[str]) -> Division:
    """The part of a division that is some communities'."""
    codes = set(communities)
    cells = tuple(frame[frame["community"].astype(str).isin(codes)].reset_index(drop=True) for frame in division.cells)
    mine = division.parts["cell"].isin(set(cells[-1]["code"]))
    return Division(division.rules, cells, division.parts[mine].reset_index(drop=True))


def together(divisions: Sequence[Division]) -> Division:
    """Divisions of different communities as one, by the rules of the first."""
    cells = tuple(
        gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=WGS84)
        for frames in zip(*(division.cells for division in divisions), strict=True)
    )
    return Division(divisions[0].rules, cells, pd.concat([d.parts for d in divisions], ignore_index=True))


def moves_of(
    session: Session, plan_id: int, *, actor: Actor, at: datetime, against: int | None = None
) -> dict[str, Any]:
    """What a plan moves, with who answers before and after; of the communities that somebody may see.

    Compared with another plan, or with what is in force at an instant; a published plan with what was before it. After
    it, a cell is answered for by who holds its posts already, else by those of the cell that it continues: they go
    along when it is published.

    Raises
    ------
    NotFound
        ``plan.unknown``, also for a plan of which nothing may be seen.
    InvalidInput
        ``plan.nothing_in_force``.
    """
    scopes = plan_review.seen_scopes(session, plan_id, actor=actor)
    plan = plans.get(session, plan_id)
    seen = set(session.scalars(_SEEN, {"plan": plan_id, "scopes": list(scopes)}))
    if against is not None:
        plan_review.seen_scopes(session, against, actor=actor)
    start = plan.effective_from if plan.status == "published" else None
    then = at if start is None else min(at, start - timedelta(microseconds=1))
    before, bases = previous(session, plan_id, based_on=against, at=then)
    after = within(plan_review.division_of(session, plan_id), seen)
    found = moves(within(before, seen), after, buildings(session, plan_id))
    shows_phones = may(actor, Action.VIEW_CONTACTS, plan_review.path_of(session, plan_id))
    return {
        "plan_id": plan_id,
        "based_on": bases,
        **found.as_dict(),
        "people": people(session, found, bases, plan_id, at=at, shows_phones=shows_phones),
    }


_SEEN = text(
    "SELECT a.code FROM plan_community pc JOIN admin_area a ON a.id = pc.community_id"
    " WHERE pc.plan_id = :plan AND a.path <@ ANY(CAST(:scopes AS ltree []))"
)


def buildings(session: Session, plan_id: int) -> Town:
    """Compound, households and residents of the buildings of a plan."""
    columns = ["code", "compound", "households", "residents"]
    rows = [tuple(row) for row in session.execute(_BUILDINGS, {"plan": plan_id})]
    return Town({"buildings": pd.DataFrame(rows, columns=columns)})


# Residents are known of a building where they are of all parts that are in force.
_BUILDINGS = text(
    """
    SELECT b.code, c.code AS compound, b.households,
        CASE WHEN count(*) = count(part.residents) THEN sum(part.residents) END AS residents
    FROM building b LEFT JOIN compound c ON c.id = b.compound_id
    LEFT JOIN building_part part ON part.building_id = b.id AND upper_inf(part.valid_during)
        AND NOT isempty(part.valid_during)
    WHERE b.id IN (SELECT building_id FROM grid_part WHERE plan_id = :plan)
    GROUP BY b.id, b.code, c.code, b.households ORDER BY b.code
    """
)


def people(
    session: Session, found: Moves, bases: Sequence[int], plan_id: int, *, at: datetime, shows_phones: bool
) -> list[dict[str, Any]]:
    """Who answers before and after for each pair of cells between which something moves."""
    if not len(found.rows):
        return []
    by = found.rows.groupby(["depth", "from_cell", "to_cell"], as_index=False).agg(
        households=("households", "sum"), buildings=("building", "nunique")
    )
    ids = {(row.plan_id, row.code): row.id for row in session.execute(_CELLS, {"plans": [*bases, plan_id]})}
    old = {code: cell for (plan, code), cell in ids.items() if plan != plan_id}
    new = {code: cell for (plan, code), cell in ids.items() if plan == plan_id}
    went = found.lineage[found.lineage["kind"].isin(["keep", "redraw"])]
    continued = dict(zip(went["new"], went["old"], strict=True))
    cells = [*{old[code] for code in by["from_cell"]}, *{new[code] for code in by["to_cell"]}]
    cells += [old[continued[code]] for code in set(by["to_cell"]) if code in continued]
    held = listing.responsible(session, sorted(set(cells)), at=at, shows_phones=shows_phones)

    def of(cell: int | None, code: str | None) -> list[dict[str, Any]]:
        return [one for one in held.get(cell, []) if one["place"] == code] if cell is not None else []

    def after(code: str) -> list[dict[str, Any]]:
        before = continued.get(code)
        return of(new[code], code) or of(None if before is None else old[before], before)

    return [
        {
            "depth": int(row.depth), "from_cell": row.from_cell, "to_cell": row.to_cell,
            "households": int(row.households), "buildings": int(row.buildings),
            "before": of(old[row.from_cell], row.from_cell), "after": after(row.to_cell),
        }
        for row in by.itertuples()
    ]  # fmt: skip


_CELLS = text("SELECT id, plan_id, code FROM grid WHERE plan_id = ANY(:plans)")
