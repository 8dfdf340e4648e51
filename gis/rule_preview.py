"""What a rule set would make of a plan as it stands: cells in and out of band, cells and posts that it would take.

Nothing is drawn anew and nothing stored: the households of the plan's cells are held against the new bands, and the
households of each community say how many cells it could have at all (`gis.partition.diagnosis.counts_that_fit`, which
holds for every division).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import areas, listing, plan_review, rules
from gis.errors import InvalidInput, NotFound
from gis.listing.window import Row
from gis.messages import text as sentence
from gis.partition.diagnosis import Known, Relaxation, allow, counts_that_fit, merge, remedy, widen
from gis.partition.objectives import Limits, terms_for
from gis.permissions import Action, Actor, scopes
from gis.rule_check import limits_of
from gis.rule_set import RuleSet, Tier, band_states

STATES = ("in_band", "under", "over")
MOST_CHANGED = 3000
"""Cells told one by one, a tier."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is looked at: a plan, or what is in force in an area; with the ground of the cells that change, or not."""

    plan_id: int | None = None
    area_id: int | None = None
    with_ground: bool = False


def preview(
    session: Session, proposed: RuleSet, wish: Wish, *, actor: Actor, at: datetime, language: str
) -> dict[str, Any]:
    """Hold a rule set against a plan.

    Returns
    -------
    dict
        ``plan`` (id and title, or ``None`` for what is in force), ``tiers`` (`_tier`), ``unmatched`` (tiers of the
        plan that the rule set has no like of: their cells would have to be drawn anew), ``posts`` (`_posts`),
        ``communities`` (count), and ``ground``, a FeatureCollection of the cells that change, where it was wished.

    Raises
    ------
    InvalidInput
        ``rules.no_area``, ``partition.unknown_term``.
    NotFound
        ``plan.unknown``, ``area.unknown``; ``rules.no_plan`` where nothing is in force.
    """
    plan, cells = _cells(session, wish, actor, at)
    if not cells:
        raise NotFound("rules.no_plan")
    before = rules.value(rules.get(session, Counter(cell["rule_set_id"] for cell in cells).most_common(1)[0][0]))
    totals = _totals(cells)
    tiers = [
        _tier(proposed, tier, depth, [c for c in cells if c["depth"] == depth], before, totals, language)
        for depth, tier in enumerate(proposed.grid_tiers, start=1)
    ]
    told: dict[str, Any] = {
        "plan": plan,
        "rule_set": {"name_zh": before.name_zh, "name_en": before.name_en},
        "communities": len(totals),
        "households": sum(total for total, _ in totals.values()),
        "tiers": tiers,
        "unmatched": _unmatched(proposed, before, cells),
        "posts": _posts(session, proposed, tiers, sorted(totals), at),
    }
    if wish.with_ground:
        told["ground"] = _ground(session, tiers)
    return told


# --- Cells -----------------------------------------------------------------------------------------------------------


def _cells(session: Session, wish: Wish, actor: Actor, at: datetime) -> tuple[Row | None, list[Row]]:
    """The plan, and the cells that somebody sees of it, by depth and code."""
    if wish.plan_id is not None:
        seen = plan_review.seen_scopes(session, wish.plan_id, actor=actor)
        here = {"plan": wish.plan_id, "scopes": list(seen)}
        rows = listing.fetch(session, _CELLS.format(which="cell.plan_id = :plan"), here)
        title = session.execute(text("SELECT title FROM plan WHERE id = :plan"), {"plan": wish.plan_id}).scalar_one()
        return {"id": wish.plan_id, "title": title}, rows
    if wish.area_id is None:
        raise InvalidInput("rules.no_area")
    path = areas.get(session, wish.area_id).path
    here = {"path": path, "at": at, "scopes": list(scopes(actor, Action.VIEW_MAP))}
    return None, listing.fetch(session, _CELLS.format(which=_IN_FORCE), here)


def _totals(cells: Sequence[Row]) -> dict[int, tuple[int, str]]:
    """Households and name of each community, by its id."""
    totals: dict[int, tuple[int, str]] = {}
    for cell in cells:
        if cell["depth"] == 1:
            sum_so_far, _ = totals.get(cell["community_id"], (0, ""))
            totals[cell["community_id"]] = (sum_so_far + cell["households"], cell["community"])
    return totals


def _tier(
    proposed: RuleSet, tier: Tier, depth: int, cells: list[Row], before: RuleSet,
    totals: Mapping[int, tuple[int, str]], language: str,
) -> dict[str, Any]:  # fmt: skip
    """One grid tier: states before and after, the cells that change, and how many cells communities could have."""
    old = before.grid_tiers[depth - 1] if depth <= len(before.grid_tiers) else None
    is_like = old is not None and old.kind == tier.kind
    limits = limits_of(tier)
    told: dict[str, Any] = {
        "depth": depth,
        "kind": tier.kind,
        "name_zh": tier.name_zh,
        "name_en": tier.name_en,
        "cell_of": tier.cell_of,
        "cells": len(cells),
        "is_matched": is_like,
        "was": None,
        "becomes": None,
        "changed": [],
        "changed_count": 0,
        "counts": None if limits is None else _counts(proposed, tier, limits, cells, totals, language),
    }
    if not is_like or old is None:
        return told
    households = np.array([cell["households"] for cell in cells], dtype=np.int64)
    after = band_states(households, tier)
    changed = [
        {key: cell[key] for key in ("id", "code", "name", "community", "households", "bbox")}
        | {"was": cell["state"], "becomes": state, "excess": _excess(cell["households"], tier)}
        for cell, state in zip(cells, after, strict=True)
        if cell["state"] != state
    ]
    return told | {
        "was": _sums(old, [cell["state"] for cell in cells]),
        "becomes": _sums(tier, after),
        "changed": changed[:MOST_CHANGED],
        "changed_count": len(changed),
    }


def _sums(tier: Tier, states: Sequence[str]) -> dict[str, Any]:
    counted = Counter(states)
    return {
        "low": tier.households_min,
        "high": tier.households_max,
        "tolerance": tier.tolerance_ratio,
        "target": tier.target,
        **{state: counted.get(state, 0) for state in STATES},
    }


def _excess(households: int, tier: Tier) -> int:
    """Households over the maximum, or (negative) under the minimum, of the band without its tolerance."""
    if tier.households_max is not None and households > tier.households_max:
        return households - tier.households_max
    if tier.households_min is not None and households < tier.households_min:
        return households - tier.households_min
    return 0


def _unmatched(proposed: RuleSet, before: RuleSet, cells: Sequence[Row]) -> list[dict[str, Any]]:
    counted = Counter(cell["depth"] for cell in cells)
    kinds = [tier.kind for tier in proposed.grid_tiers]
    return [
        {"depth": depth, "name_zh": tier.name_zh, "name_en": tier.name_en, "cells": counted[depth]}
        for depth, tier in enumerate(before.grid_tiers, start=1)
        if depth > len(kinds) or kinds[depth - 1] != tier.kind
    ]


# --- How many cells there could be -----------------------------------------------------------------------------------


def _counts(
    proposed: RuleSet, tier: Tier, limits: Limits, cells: Sequence[Row], totals: Mapping[int, tuple[int, str]],
    language: str,
) -> dict[str, Any]:  # fmt: skip
    """For each community the fewest and the most cells within the band; where no number fits, the cheapest way out."""
    now = Counter(cell["community_id"] for cell in cells)
    rows: list[dict[str, Any]] = []
    for community, (total, name) in totals.items():
        fitting = counts_that_fit(total, limits) if total else range(0)
        rows.append(
            {
                "id": community,
                "name": name,
                "households": total,
                "now": now[community],
                "least": fitting[0] if fitting else None,
                "most": fitting[-1] if fitting else None,
                "way": None if fitting else _way(total, tier, limits, proposed, language),
            }
        )
    fit = [row for row in rows if row["least"] is not None]
    near = [_nearest(row["households"], limits) for row in rows if row["least"] is None]
    return {
        "now": len(cells),
        "least": sum(row["least"] for row in fit) + sum(least for least, _ in near),
        "most": sum(row["most"] for row in fit) + sum(most for _, most in near),
        "none_fits": len(rows) - len(fit),
        "too_few": sum(row["now"] < row["least"] for row in fit),
        "too_many": sum(row["now"] > row["most"] for row in fit),
        "communities": rows,
    }


def _nearest(total: int, limits: Limits) -> tuple[int, int]:
    """Numbers of cells for a total that no number fits: large ones, or one more that are small."""
    below = max(int(total // limits.most), 1)
    return below, below if total < limits.least else below + 1


def _way(total: int, tier: Tier, limits: Limits, proposed: RuleSet, language: str) -> str:
    """The cheapest way out for a community that no number of cells fits, by the costs of the rule set."""
    terms = terms_for(tier, proposed.weights, limits)
    if total == 0:
        ways = [Relaxation("relax.leave", {}, 0.0)]
    else:
        evenly = [[total / k] * k for k in sorted(set(_nearest(total, limits)))]
        ways = [way for sizes in evenly for way in (allow(sizes, limits, terms), widen(sizes, limits, terms))]
        ways += merge(total, limits, terms, Known())
    best = remedy(ways)["remedy"]
    return sentence(best["code"], best["params"], language=language)


# --- Posts -----------------------------------------------------------------------------------------------------------


def _posts(
    session: Session, proposed: RuleSet, tiers: Sequence[Mapping[str, Any]], communities: Sequence[int], at: datetime
) -> list[dict[str, Any]]:
    """For each post: how many must hold it with the cells there are, and with the fewest and most there could be."""
    here = {"communities": list(communities), "at": at}
    held = {row.code: (row.places, row.people) for row in session.execute(_HELD, here)}
    levels = {row.level: row.areas for row in session.execute(_LEVELS, here)}
    spans = _area_spans(proposed, levels) | {f"{tier['kind']}.{tier['depth']}": _span(tier) for tier in tiers}
    rows, depth = [], 0
    for tier in proposed.tiers:
        depth += tier.kind != "area"
        now, least, most = spans[f"area.{tier.ordinal}" if tier.kind == "area" else f"{tier.kind}.{depth}"]
        for post in tier.posts:
            places, people = held.get(post.code, (0, 0))
            rows.append(
                asdict(post)
                | {"tier_zh": tier.name_zh, "tier_en": tier.name_en, "places": places, "people": people}
                | {"needed": now * post.holders_min, "least": least * post.holders_min, "most": most * post.holders_min}
            )
    return rows


def _span(tier: Mapping[str, Any]) -> tuple[int, int, int]:
    counts, now = tier["counts"], tier["cells"] if tier["is_matched"] else 0
    return (now, now, now) if counts is None else (now, counts["least"], counts["most"])


def _area_spans(proposed: RuleSet, levels: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """Areas of each area tier, which are counted from below: the last one is the community."""
    above = [tier for tier in proposed.tiers if tier.kind == "area"][::-1]
    names = ("community", "street", "county", "city")
    pairs = zip(above, names, strict=False)
    found = {f"area.{tier.ordinal}": (levels.get(name, 0),) * 3 for tier, name in pairs}
    return {f"area.{tier.ordinal}": found.get(f"area.{tier.ordinal}", (0, 0, 0)) for tier in above}


# --- Ground ----------------------------------------------------------------------------------------------------------


def _ground(session: Session, tiers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    changed = {row["id"]: (tier["depth"], row) for tier in tiers for row in tier["changed"]}
    shapes = session.execute(_SHAPES, {"ids": list(changed)})
    features = [
        {
            "type": "Feature",
            "id": row.id,
            "geometry": orjson.loads(row.shape),
            "properties": {"id": row.id, "depth": depth, "was": cell["was"], "becomes": cell["becomes"]},
        }
        for row in shapes
        for depth, cell in (changed[row.id],)
    ]
    return {"type": "FeatureCollection", "features": features}


_CELLS = """
    SELECT cell.id, cell.grid_depth AS depth, cell.code, cell.name, cell.households, cell.band_state AS state,
           cell.community_id, area.name AS community, cell.rule_set_id,
           json_build_array(round(ST_XMin(cell.geom)::numeric, 7), round(ST_YMin(cell.geom)::numeric, 7),
                            round(ST_XMax(cell.geom)::numeric, 7), round(ST_YMax(cell.geom)::numeric, 7)) AS bbox
    FROM grid AS cell INNER JOIN admin_area AS area ON cell.community_id = area.id
    WHERE {which} AND area.path <@ ANY(CAST(:scopes AS ltree []))
    ORDER BY cell.grid_depth, cell.code
"""

_IN_FORCE = """
    area.path <@ CAST(:path AS ltree) AND EXISTS (
        SELECT FROM plan_community AS link
        WHERE link.plan_id = cell.plan_id AND link.community_id = cell.community_id
        AND link.in_force_during @> CAST(:at AS timestamptz)
    )
"""

_HELD = text(
    """
    SELECT post.code, count(*) AS places, count(DISTINCT held.staff_id) AS people
    FROM assignment AS held
    INNER JOIN post ON held.post_id = post.id
    LEFT JOIN grid AS cell ON held.grid_id = cell.id
    WHERE held.valid_during @> CAST(:at AS timestamptz) AND (
        cell.community_id = ANY(:communities) OR held.area_id IN (
            SELECT above.id FROM admin_area AS above INNER JOIN admin_area AS area ON above.path @> area.path
            WHERE area.id = ANY(:communities)
        )
    )
    GROUP BY post.code
    """
)

_LEVELS = text(
    """
    SELECT above.level, count(DISTINCT above.id) AS areas
    FROM admin_area AS above INNER JOIN admin_area AS area ON above.path @> area.path
    WHERE area.id = ANY(:communities) GROUP BY above.level
    """
)

_SHAPES = text(
    "SELECT id, ST_AsGeoJSON(ST_SimplifyPreserveTopology(geom, 0.00001), 6) AS shape FROM grid WHERE id = ANY(:ids)"
)
