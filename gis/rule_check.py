"""What is wrong with a rule set, or will be once it is used: looked at as a whole while somebody edits it.

Pure: a proposed rule set, half filled in or nonsense, and what is known around it give a list of `Fault`. Each names
the field that it is about, so that a form can tell it there, and has two sentences in ``gis/locale``: the reason under
its code, the way out under its code + ``.remedy``. `CHECKS` is the list of all that is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made
from datetime import date
from itertools import pairwise
from typing import Any, Literal

from gis.messages import text
from gis.partition.diagnosis import counts_that_fit
from gis.partition.objectives import TERMS, Limits
from gis.rule_set import Post, RuleSet, Tier

Severity = Literal["error", "warning", "note"]
"""``error``: cannot be stored; ``warning``: will put cells out of order; ``note``: somebody should know."""

FEWEST_TIERS, MOST_TIERS = 3, 6
WIDE_TOLERANCE = 0.5
ABSURD_FACTOR = 100.0
"""A weight so many times its default drowns all other terms."""
ABSURD_WEIGHT = 10_000.0
"""The same where the default is 0."""
MOST_GAPS = 4
MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with one field.

    Attributes
    ----------
    code : str
        Of the sentence in ``gis/locale/*/rules_check.json``.
    severity : {"error", "warning", "note"}
    field : str
        Dotted path in the form: ``tiers.2.households_min``, ``weights.grid.boundary``, ``valid_from``.
    params : mapping
        Plain values that the sentences quote. ``tier``, ``upper`` and ``lower`` are positions in the list of tiers;
        `told` puts their names there.
    """

    code: str
    severity: Severity
    field: str
    params: Mapping[str, Any] = made(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A rule set as somebody has filled it in so far; unlike a `RuleSet` it may be wrong in every way."""

    tiers: tuple[Tier, ...]
    code: str = ""
    name_zh: str = ""
    name_en: str = ""
    source: str = ""
    weights: Mapping[str, float] = made(default_factory=dict)
    valid_from: date | None = None
    valid_to: date | None = None

    @classmethod
    def of(cls, rules: RuleSet, *, valid_from: date | None = None, valid_to: date | None = None) -> Proposal:
        """A rule set as a proposal."""
        return cls(rules.tiers, rules.code, rules.name_zh, rules.name_en, rules.source, rules.weights,
                   valid_from, valid_to)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dated:
    """Another rule set of the same area: first day, and the first day no more (``None``: open)."""

    name: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Stated:
    """Numbers that a place has published: households, people who serve, and cells of each grid tier, top first."""

    households: int | None = None
    people: int | None = None
    cells: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Around:
    """What a proposal is checked against; of what is not known nothing is said.

    Attributes
    ----------
    today : date, optional
    others : tuple of Dated
        Rule sets of the same area.
    communities : mapping of str to int
        Households of the communities that would live under it, by name.
    held : mapping of str to int, optional
        People who hold each post there today, by the code of the post.
    stated : Stated, optional
    """

    today: date | None = None
    others: tuple[Dated, ...] = ()
    communities: Mapping[str, int] = made(default_factory=dict)
    held: Mapping[str, int] | None = None
    stated: Stated | None = None


@dataclass(frozen=True, slots=True)
class Nesting:
    """How a tier is made of the next one: positions of both, and how many of the lower one make an upper one."""

    upper: int
    lower: int
    least: int
    most: int
    gaps: tuple[tuple[int, int], ...] = ()


def check(proposal: Proposal, around: Around | None = None) -> list[Fault]:
    """All that is wrong, errors first, then by field in the order of the form."""
    order = ("error", "warning", "note")
    known = around or Around()
    found = [fault for one in CHECKS for fault in one(proposal, known)]
    return sorted(found, key=lambda fault: order.index(fault.severity))


def errors(faults: Iterable[Fault]) -> list[Fault]:
    """Those that forbid storing."""
    return [fault for fault in faults if fault.severity == "error"]


def told(fault: Fault, proposal: Proposal, *, language: str) -> dict[str, Any]:
    """A fault as JSON, with its reason and way out in a language."""
    params = {key: _worded(key, value, proposal.tiers, language) for key, value in fault.params.items()}
    return {
        "code": fault.code,
        "severity": fault.severity,
        "field": fault.field,
        "params": dict(fault.params),
        "text": text(fault.code, params, language=language),
        "remedy": text(f"{fault.code}.remedy", params, language=language),
    }


def _worded(key: str, value: Any, tiers: Sequence[Tier], language: str) -> Any:
    if key not in ("tier", "upper", "lower"):
        return value
    tier = tiers[value]
    name = (language == "en" and tier.name_en) or tier.name_zh
    return name or (f"tier {value + 1}" if language == "en" else f"第{value + 1}级")


# --- Bands ------------------------------------------------------------------------------------------------------------


def limits_of(tier: Tier) -> Limits | None:
    """The limits of a tier that is cut by households; ``None`` where it is not, or its numbers make no sense."""
    low, high, tolerance = tier.households_min, tier.households_max, tier.tolerance_ratio
    if tier.kind == "area" or tier.cell_of != "band" or not 0 <= tolerance <= 1:
        return None
    if (low is not None and low < 0) or (high is not None and high < max(low or 0, 1)):
        return None
    return Limits.of(tier)


def bounds(limits: Limits) -> tuple[int, int]:
    """The fewest and the most whole households with which a cell passes."""
    return max(math.ceil(limits.least - 1e-9), 1), math.floor(limits.most + 1e-9)


def gaps(limits: Limits) -> list[tuple[int, int]]:
    """Totals between one cell and very many that divide into no number of cells; at most `MOST_GAPS`.

    Examples
    --------
    >>> gaps(Limits.of(Tier(1, "grid", "", "", households_min=300, households_max=500)))
    [(501, 599)]
    """
    low, high = bounds(limits)
    return [(n * high + 1, (n + 1) * low - 1) for n in range(1, MOST_GAPS + 1) if n * high + 1 <= (n + 1) * low - 1]


def nesting(tiers: Sequence[Tier]) -> list[Nesting]:
    """How each banded tier is made of the banded one below; ``least > most`` where no number of cells fits."""
    banded = [(i, limits) for i, tier in enumerate(tiers) if (limits := limits_of(tier)) is not None]
    return [_nest(i, upper, j, lower) for (i, upper), (j, lower) in pairwise(banded)]


def _nest(i: int, upper: Limits, j: int, lower: Limits) -> Nesting:
    (low, high), (small, large) = bounds(upper), bounds(lower)
    if large < small:
        return Nesting(i, j, 1, 0)
    least, most = math.ceil(low / large), high // small
    left, at = [], low
    for n in range(least, most + 1):
        if n * small > at:
            left.append((at, n * small - 1))
        at = max(at, n * large + 1)
        if len(left) >= MOST_GAPS or at > high:
            break
    else:
        if least <= most and at <= high:
            left.append((at, high))
    return Nesting(i, j, least, most, tuple(left))


def _ranges(pairs: Iterable[tuple[int, int]]) -> list[str]:
    return [str(a) if a == b else f"{a}–{b}" for a, b in pairs]


def _percent(ratio: float) -> str:
    return f"{math.ceil(ratio * 1000 - 1e-9) / 10:g}"


# --- The checks -------------------------------------------------------------------------------------------------------


def _shape(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """Three to six tiers: areas, then grids, then micro-grids."""
    count = len(proposal.tiers)
    if not FEWEST_TIERS <= count <= MOST_TIERS:
        yield Fault("rules.check.tiers_count", "error", "tiers",
                    {"count": count, "fewest": FEWEST_TIERS, "most": MOST_TIERS})  # fmt: skip
    rank = ("area", "grid", "micro_grid").index
    for i, (above, below) in enumerate(pairwise(proposal.tiers), start=1):
        if rank(below.kind) < rank(above.kind):
            yield Fault("rules.check.tiers_order", "error", f"tiers.{i}.kind", {"upper": i - 1, "lower": i})
    if not any(tier.kind == "grid" for tier in proposal.tiers):
        yield Fault("rules.check.no_grid_tier", "error", "tiers")


def _words(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """Names in both languages, and where the numbers come from."""
    if not proposal.name_zh.strip():
        yield Fault("rules.check.no_name", "error", "name_zh")
    if not proposal.name_en.strip():
        yield Fault("rules.check.no_english_name", "note", "name_en")
    if not proposal.source.strip():
        yield Fault("rules.check.no_source", "error", "source")
    elif not any(sign.isdigit() for sign in proposal.source):
        yield Fault("rules.check.source_undated", "note", "source")
    for i, tier in enumerate(proposal.tiers):
        if not tier.name_zh.strip():
            yield Fault("rules.check.no_tier_name", "error", f"tiers.{i}.name_zh", {"tier": i})


def _bands(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """The numbers of each tier by itself."""
    for i, tier in enumerate(proposal.tiers):
        if tier.kind == "area":
            continue
        yield from _tolerance(i, tier)
        if tier.cell_of != "band":
            continue
        low, high = tier.households_min, tier.households_max
        if low is None and high is None:
            yield Fault("rules.check.no_band", "warning", f"tiers.{i}.households_min", {"tier": i})
        elif low is None or high is None:
            name = "households_min" if low is None else "households_max"
            yield Fault("rules.check.open_band", "warning", f"tiers.{i}.{name}", {"tier": i})
        if low is not None and low < 0:
            yield Fault("rules.check.negative", "error", f"tiers.{i}.households_min", {"tier": i, "value": low})
        if high is not None and high < 1:
            yield Fault("rules.check.negative", "error", f"tiers.{i}.households_max", {"tier": i, "value": high})
        elif low is not None and high is not None and low > high:
            yield Fault("rules.check.band_reversed", "error", f"tiers.{i}.households_max",
                        {"tier": i, "low": low, "high": high})  # fmt: skip
        elif low is not None and low == high and tier.tolerance_ratio == 0:
            yield Fault("rules.check.single_number", "warning", f"tiers.{i}.tolerance_ratio",
                        {"tier": i, "value": low})  # fmt: skip


def _tolerance(i: int, tier: Tier) -> Iterator[Fault]:
    ratio = tier.tolerance_ratio
    if not 0 <= ratio <= 1:
        yield Fault("rules.check.tolerance_range", "error", f"tiers.{i}.tolerance_ratio", {"tier": i})
    elif ratio > WIDE_TOLERANCE:
        yield Fault("rules.check.tolerance_wide", "warning", f"tiers.{i}.tolerance_ratio",
                    {"tier": i, "percent": _percent(ratio)})  # fmt: skip


def _targets(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """The wanted size lies within the band."""
    for i, tier in enumerate(proposal.tiers):
        target, limits = tier.households_target, limits_of(tier)
        if target is None or tier.kind == "area":
            continue
        place = f"tiers.{i}.households_target"
        if target < 1:
            yield Fault("rules.check.negative", "error", place, {"tier": i, "value": target})
        elif tier.cell_of != "band":
            yield Fault("rules.check.target_unused", "note", place, {"tier": i})
        elif limits is not None and not (tier.households_min or 0) <= target <= (tier.households_max or math.inf):
            yield Fault("rules.check.target_outside", "error", place,
                        {"tier": i, "target": target, "low": tier.households_min or 0,
                         "high": tier.households_max or round(limits.most)})  # fmt: skip


def _totals(proposal: Proposal, around: Around) -> Iterator[Fault]:
    """Totals of households that divide into no number of cells of the first banded tier."""
    i, limits = next(((i, each) for i, tier in enumerate(proposal.tiers) if (each := limits_of(tier))), (0, None))
    if limits is None or (found := gaps(limits)) == [] or limits.low == limits.high:
        return
    low, high = limits.low, limits.high
    way = {"tier": i, "gaps": _ranges(found), "percent": _percent((2 * low - high) / (2 * low + high))}
    place = f"tiers.{i}.tolerance_ratio"
    hit = [name for name, total in around.communities.items() if total >= low and not counts_that_fit(total, limits)]
    if hit:
        names = {"count": len(hit), "names": hit[:MOST_NAMES]}
        yield Fault("rules.check.totals_hit", "warning", place, {**way, **names})
    else:
        yield Fault("rules.check.totals", "note", place, way)


def _nests(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """A cell of a tier is made of whole cells of the tier below."""
    for nest in nesting(proposal.tiers):
        upper, lower = (bounds(limits_of(proposal.tiers[i])) for i in (nest.upper, nest.lower))  # type: ignore[arg-type]
        about = {
            "upper": nest.upper, "lower": nest.lower, "high": _ranges([upper])[0], "low": _ranges([lower])[0]
        }  # fmt: skip
        place = f"tiers.{nest.lower}.households_max"
        if nest.least > nest.most:
            yield Fault("rules.check.cannot_nest", "warning", place, about)
        elif nest.gaps:
            yield Fault("rules.check.nest_gaps", "warning", place, {**about, "gaps": _ranges(nest.gaps)})
        if lower[1] >= upper[0]:
            yield Fault("rules.check.tiers_overlap", "warning", f"tiers.{nest.lower}.tolerance_ratio", about)


def _codes(proposal: Proposal, around: Around) -> Iterator[Fault]:
    """There are numbers enough in the digits that a tier adds to the code of the cell above."""
    room = {nest.lower: nest.most for nest in nesting(proposal.tiers)}
    first = next((i for i, tier in enumerate(proposal.tiers) if limits_of(tier) is not None), None)
    largest = max(around.communities.values(), default=0)
    for i, tier in enumerate(proposal.tiers):
        if not 1 <= tier.code_digits <= 6:
            yield Fault("rules.check.digits_range", "error", f"tiers.{i}.code_digits", {"tier": i})
            continue
        limits = limits_of(tier)
        most = room.get(i, 0)
        if i == first and limits is not None and largest:
            most = largest // bounds(limits)[0]
        if most > 10**tier.code_digits - 1:
            yield Fault("rules.check.digits_short", "warning", f"tiers.{i}.code_digits",
                        {"tier": i, "cells": most, "digits": tier.code_digits})  # fmt: skip


def _posts(proposal: Proposal, around: Around) -> Iterator[Fault]:
    """Somebody answers for each cell; posts are told apart; numbers of holders make sense."""
    for i, tier in enumerate(proposal.tiers):
        if tier.kind != "area" and not tier.posts:
            yield Fault("rules.check.no_posts", "warning", f"tiers.{i}.posts", {"tier": i})
        elif tier.kind != "area" and not any(post.holders_min for post in tier.posts):
            yield Fault("rules.check.nobody_needed", "warning", f"tiers.{i}.posts", {"tier": i})
        seen: set[str] = set()
        for n, post in enumerate(tier.posts):
            yield from _post(f"tiers.{i}.posts.{n}", i, post, seen, around.held)
            seen.add(post.code)
    yield from _dropped(proposal, around)


def _post(place: str, i: int, post: Post, seen: set[str], held: Mapping[str, int] | None) -> Iterator[Fault]:
    about = {"tier": i, "post": post.name_zh or post.code}
    if not post.name_zh.strip():
        yield Fault("rules.check.no_post_name", "error", f"{place}.name_zh", about)
    if not post.code.strip() or post.code in seen:
        yield Fault("rules.check.post_twice", "error", f"{place}.code", about)
    if post.holders_min < 0 or (post.holders_max is not None and post.holders_max < max(post.holders_min, 1)):
        yield Fault("rules.check.holders_order", "error", f"{place}.holders_max", about)
    elif held is not None and post.holders_min and post.code not in held:
        yield Fault("rules.check.post_not_held", "note", place, about)


def _dropped(proposal: Proposal, around: Around) -> Iterator[Fault]:
    kept = {post.code for tier in proposal.tiers for post in tier.posts}
    for code, people in sorted((around.held or {}).items()):
        if code not in kept and people:
            yield Fault("rules.check.post_dropped", "warning", "tiers", {"post": code, "people": people})


def _weights(proposal: Proposal, _: Around) -> Iterator[Fault]:
    """Each weight is of a term that there is, not negative, and does not drown the others."""
    terms = {term.code: term for term in TERMS}
    for name, value in proposal.weights.items():
        kind, _dot, code = name.rpartition(".")
        place, term = f"weights.{name}", terms.get(code)
        if term is None or kind not in ("", "grid", "micro_grid"):
            yield Fault("rules.check.weight_unknown", "error", place, {"term": name, "known": sorted(terms)})
            continue
        usual = max(term.grid, term.micro_grid) if not kind else getattr(term, kind)
        if not math.isfinite(value) or value < 0:
            yield Fault("rules.check.weight_negative", "error", place, {"term": name})
        elif value > (ABSURD_FACTOR * usual or ABSURD_WEIGHT):
            yield Fault("rules.check.weight_absurd", "warning", place, {"term": name, "usual": usual})
        elif code in ("outside", "outside_per_household") and value == 0:
            yield Fault("rules.check.band_not_heeded", "warning", place, {"term": name})


def _dates(proposal: Proposal, around: Around) -> Iterator[Fault]:
    """One rule set at a time for an area; what went before ends where a new one begins."""
    start, end = proposal.valid_from, proposal.valid_to
    if start is None:
        return
    if end is not None and end <= start:
        yield Fault("rules.check.dates_reversed", "error", "valid_to", {"from": start.isoformat()})
        return
    if around.today is not None and start < around.today:
        yield Fault("rules.check.backdated", "note", "valid_from", {"from": start.isoformat()})
    for other in sorted(around.others, key=lambda one: one.valid_from):
        yield from _beside(other, start, end)


def _beside(other: Dated, start: date, end: date | None) -> Iterator[Fault]:
    about = {"other": other.name, "from": other.valid_from.isoformat(), "start": start.isoformat()}
    is_over = other.valid_to is not None and other.valid_to <= start
    if is_over or (end is not None and end <= other.valid_from):
        return
    if other.valid_from == start:
        yield Fault("rules.check.same_day", "error", "valid_from", about)
    elif other.valid_from > start:
        yield Fault("rules.check.dates_overlap", "error", "valid_to", about)
    else:
        yield Fault("rules.check.ends_other", "note", "valid_from", about)
        if end is not None and (other.valid_to is None or other.valid_to > end):
            yield Fault("rules.check.leaves_gap", "warning", "valid_to", {**about, "to": end.isoformat()})


# --- Numbers that a place has published -------------------------------------------------------------------------------


def slots(tiers: Sequence[Tier], cells: Sequence[int | None]) -> int | None:
    """Posts that must be held in so many cells of each grid tier; ``None`` where no number is stated."""
    pairs = zip((tier for tier in tiers if tier.kind != "area"), cells, strict=False)
    known = [count * sum(post.holders_min for post in tier.posts) for tier, count in pairs if count is not None]
    return sum(known) if known else None


def _stated(proposal: Proposal, around: Around) -> Iterator[Fault]:
    """Published totals against bands: means, spans of households that all tiers allow, slots against people."""
    stated = around.stated
    if stated is None:
        return
    grids = [(i, tier) for i, tier in enumerate(proposal.tiers) if tier.kind != "area"]
    rows = [(n, i, tier, count) for n, ((i, tier), count) in enumerate(zip(grids, stated.cells, strict=False)) if count]
    for (_, i, _, above), (n, j, _, below) in pairwise(rows):
        if below < above:
            yield Fault("rules.check.fewer_below", "warning", f"stated.cells.{n}",
                        {"upper": i, "lower": j, "above": above, "below": below})  # fmt: skip
    spans = [
        (n, i, count * bounds(limits)[0], count * bounds(limits)[1])
        for n, i, tier, count in rows
        if (limits := limits_of(tier))
    ]
    yield from _spans(spans)
    for n, i, tier, count in rows:
        if stated.households and (limits := limits_of(tier)):
            yield from _mean(n, i, tier, stated.households / count, limits)
    needed = slots(proposal.tiers, stated.cells)
    if stated.people is not None and needed and stated.people < needed:
        yield Fault("rules.check.people_short", "warning", "stated.people",
                    {"people": stated.people, "slots": needed, "percent": f"{stated.people / needed * 100:.1f}"}
                    )  # fmt: skip


def _spans(spans: Sequence[tuple[int, int, int, int]]) -> Iterator[Fault]:
    """Numbers of cells times bands: the totals of households that two tiers allow must be the same in part."""
    for (_, i, low, high), (n, j, least, most) in pairwise(spans):
        about = {"upper": i, "lower": j, "high": f"{low}–{high}", "low": f"{least}–{most}"}
        both = max(low, least), min(high, most)
        if both[0] > both[1]:
            yield Fault("rules.check.spans_disagree", "warning", f"stated.cells.{n}", about)
        elif both not in ((low, high), (least, most)):
            yield Fault("rules.check.spans_partly", "warning", f"stated.cells.{n}",
                        {**about, "both": f"{both[0]}–{both[1]}"})  # fmt: skip


def _mean(n: int, i: int, tier: Tier, mean: float, limits: Limits) -> Iterator[Fault]:
    """The mean cell lies in the band: what is out by so much on average needs so much tolerance."""
    low = float(tier.households_min or 0)
    high = limits.high if tier.households_max is None else float(tier.households_max)
    miss = max(1 - mean / low if low else 0.0, mean / high - 1)
    if miss <= 1e-9:
        return
    about = {"tier": i, "mean": round(mean), "percent": f"{miss * 100:.1f}", "tolerance": _percent(miss)}
    if limits.holds(mean):
        yield Fault("rules.check.mean_tolerated", "note", f"stated.cells.{n}", about)
    else:
        yield Fault("rules.check.mean_outside", "warning", f"stated.cells.{n}", about)


CHECKS: tuple[Callable[[Proposal, Around], Iterator[Fault]], ...] = (
    _words, _dates, _shape, _bands, _targets, _nests, _totals, _codes, _posts, _weights, _stated
)  # fmt: skip
