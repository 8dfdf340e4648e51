"""The check of rule sets: what people publish, half-filled forms, and nonsense."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.messages import LANGUAGES, catalogue
from gis.partition.diagnosis import counts_that_fit
from gis.rule_check import (
    Around,
    Dated,
    Fault,
    Proposal,
    Stated,
    bounds,
    check,
    errors,
    gaps,
    limits_of,
    nesting,
    slots,
    told,
)
from gis.rule_set import Post, RuleSet, Tier, load_preset, preset_codes

BISHAN = load_preset("bishan")
DONGGANG = load_preset("donggang")
TONGLIANG = load_preset("tongliang")
GRID, MICRO = 2, 3


def found(proposal: Proposal, around: Around | None = None) -> dict[str, Fault]:
    return {fault.code.removeprefix("rules.check."): fault for fault in check(proposal, around)}


def changed(position: int, **fields: Any) -> Proposal:
    """Bishan's rules with one tier changed."""
    tiers = list(BISHAN.tiers)
    tiers[position] = replace(tiers[position], **fields)
    return replace(Proposal.of(BISHAN), tiers=tuple(tiers))


@pytest.mark.parametrize("code", preset_codes())
def test_presets_can_be_stored(code: str) -> None:
    assert errors(check(Proposal.of(load_preset(code)))) == []


# --- What the seeds published ---------------------------------------------------------------------------------------


def test_numbers_of_bishan_are_both_true_only_in_part() -> None:
    """609 grids and 2,896 micro-grids: 182,700-304,500 against 144,800-231,680 households."""
    told_of = found(Proposal.of(BISHAN), Around(stated=Stated(cells=(609, 2896))))
    assert told_of["spans_partly"].params == {
        "upper": GRID, "lower": MICRO, "high": "182700–304500", "low": "144800–231680", "both": "182700–231680"
    }  # fmt: skip
    assert told_of["spans_partly"].severity == "warning"
    assert round(2896 / 609, 3) == 4.755


def test_numbers_of_donggang_need_a_tolerance() -> None:
    """96,817 households in 18, 105 and 382 cells: below the bands by 7.8 and 15.5 %."""
    stated = Around(stated=Stated(households=96817, cells=(18, 105, 382)))
    bare = RuleSet(**{**_fields(DONGGANG), "tiers": tuple(replace(t, tolerance_ratio=0.0) for t in DONGGANG.tiers)})
    outside = [fault for fault in check(Proposal.of(bare), stated) if fault.code == "rules.check.mean_outside"]
    assert [(fault.params["mean"], fault.params["percent"]) for fault in outside] == [(922, "7.8"), (253, "15.5")]
    assert [fault.params["tolerance"] for fault in outside] == ["7.8", "15.6"]
    with_tolerance = check(Proposal.of(DONGGANG), stated)
    assert {f.code for f in with_tolerance if f.field.startswith("stated")} == {"rules.check.mean_tolerated"}
    assert slots(DONGGANG.tiers, (18, 105, 382)) == 505


def test_slots_of_tongliang_are_two_thirds_filled() -> None:
    """131 grids of four officers each: 524 slots for 343 people."""
    stated = Around(stated=Stated(people=343, cells=(131,)))
    assert slots(TONGLIANG.tiers, (131,)) == 524
    short = found(Proposal.of(TONGLIANG), stated)["people_short"]
    assert (short.params["slots"], short.params["percent"]) == (524, "65.5")


def test_published_numbers_that_contradict_each_other_are_told() -> None:
    stated = Around(stated=Stated(cells=(100, 100)))
    assert "spans_disagree" in found(Proposal.of(BISHAN), stated)
    assert found(Proposal.of(BISHAN), Around(stated=Stated(cells=(100, 99))))["fewer_below"].params["below"] == 99
    assert "fewer_below" not in found(Proposal.of(BISHAN), stated)


# --- Bands ----------------------------------------------------------------------------------------------------------


def test_a_grid_is_made_of_four_to_ten_micro_grids() -> None:
    (nest,) = nesting(BISHAN.tiers)
    assert (nest.upper, nest.lower, nest.least, nest.most, nest.gaps) == (GRID, MICRO, 4, 10, ())


def test_bands_that_cannot_nest_are_told() -> None:
    proposal = changed(MICRO, households_min=260, households_max=280)  # one is too few, two are too many
    fault = found(proposal)["cannot_nest"]
    assert fault.field == f"tiers.{MICRO}.households_max"
    wide = found(changed(MICRO, households_min=220, households_max=240))  # two make 440-480, nothing else
    assert wide["nest_gaps"].params["gaps"] == ["300–439", "481–500"]


def test_totals_that_fit_no_number_of_grids_are_told_with_the_tolerance_that_closes_them() -> None:
    fault = found(Proposal.of(BISHAN))["totals"]
    assert (fault.severity, fault.params["gaps"], fault.params["percent"]) == ("note", ["501–599"], "9.1")
    hit = found(Proposal.of(BISHAN), Around(communities={"甲": 550, "乙": 900}))["totals_hit"]
    assert (hit.severity, hit.params["names"]) == ("warning", ["甲"])
    assert "totals" not in found(changed(GRID, tolerance_ratio=0.092))


def test_tolerances_that_make_tiers_overlap_are_told() -> None:
    tiers = list(BISHAN.tiers)
    tiers[MICRO] = replace(tiers[MICRO], households_min=150, households_max=250, tolerance_ratio=0.3)
    fault = found(replace(Proposal.of(BISHAN), tiers=tuple(tiers)))["tiers_overlap"]
    assert (fault.params["low"], fault.params["high"]) == ("105–325", "300–500")


@pytest.mark.parametrize(
    ("position", "fields", "code", "severity", "field"),
    [
        (GRID, {"households_target": 600}, "target_outside", "error", "households_target"),
        (GRID, {"households_target": 0}, "negative", "error", "households_target"),
        (GRID, {"cell_of": "parent", "households_target": 400}, "target_unused", "note", "households_target"),
        (GRID, {"households_min": 501}, "band_reversed", "error", "households_max"),
        (GRID, {"households_min": -1}, "negative", "error", "households_min"),
        (GRID, {"households_max": 0}, "negative", "error", "households_max"),
        (GRID, {"households_max": None}, "open_band", "warning", "households_max"),
        (GRID, {"households_min": None}, "open_band", "warning", "households_min"),
        (GRID, {"households_min": None, "households_max": None}, "no_band", "warning", "households_min"),
        (GRID, {"households_min": 300, "households_max": 300}, "single_number", "warning", "tolerance_ratio"),
        (GRID, {"tolerance_ratio": 1.5}, "tolerance_range", "error", "tolerance_ratio"),
        (GRID, {"tolerance_ratio": float("nan")}, "tolerance_range", "error", "tolerance_ratio"),
        (GRID, {"tolerance_ratio": 0.6}, "tolerance_wide", "warning", "tolerance_ratio"),
        (GRID, {"name_zh": " "}, "no_tier_name", "error", "name_zh"),
        (GRID, {"code_digits": 0}, "digits_range", "error", "code_digits"),
        (MICRO, {"code_digits": 1}, "digits_short", "warning", "code_digits"),
        (GRID, {"posts": ()}, "no_posts", "warning", "posts"),
        (GRID, {"posts": (Post("a", "甲", "", 0, 3),)}, "nobody_needed", "warning", "posts"),
        (GRID, {"posts": (Post("a", "甲", "", 3, 2),)}, "holders_order", "error", "posts.0.holders_max"),
        (GRID, {"posts": (Post("a", "甲", ""), Post("a", "乙", ""))}, "post_twice", "error", "posts.1.code"),
        (GRID, {"posts": (Post("a", " ", ""),)}, "no_post_name", "error", "posts.0.name_zh"),
        (MICRO, {"kind": "area"}, "tiers_order", "error", "kind"),
    ],
)
def test_what_is_wrong_with_a_tier_is_told_at_its_field(
    position: int, fields: dict[str, Any], code: str, severity: str, field: str
) -> None:
    fault = found(changed(position, **fields))[code]
    assert (fault.severity, fault.field) == (severity, f"tiers.{position}.{field}")


def test_digits_are_counted_for_the_largest_community() -> None:
    few = changed(GRID, code_digits=1)
    assert "digits_short" not in found(few)
    assert found(few, Around(communities={"大": 6000}))["digits_short"].params["cells"] == 20


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"tiers": BISHAN.tiers[:2]}, "tiers_count", "tiers"),
        ({"tiers": BISHAN.tiers[:2] * 2}, "no_grid_tier", "tiers"),
        ({"name_zh": ""}, "no_name", "name_zh"),
        ({"name_en": ""}, "no_english_name", "name_en"),
        ({"source": " "}, "no_source", "source"),
        ({"source": "会议纪要"}, "source_undated", "source"),
        ({"weights": {"beauty": 1.0}}, "weight_unknown", "weights.beauty"),
        ({"weights": {"tower.balance": 1.0}}, "weight_unknown", "weights.tower.balance"),
        ({"weights": {"balance": -1.0}}, "weight_negative", "weights.balance"),
        ({"weights": {"balance": float("inf")}}, "weight_negative", "weights.balance"),
        ({"weights": {"grid.boundary": 101.0}}, "weight_absurd", "weights.grid.boundary"),
        ({"weights": {"micro_grid.reach": 20_000.0}}, "weight_absurd", "weights.micro_grid.reach"),
        ({"weights": {"outside": 0.0}}, "band_not_heeded", "weights.outside"),
    ],
)
def test_what_is_wrong_with_the_whole_is_told(fields: dict[str, Any], code: str, field: str) -> None:
    assert found(replace(Proposal.of(BISHAN), **fields))[code].field == field


def test_usual_weights_are_not_mentioned() -> None:
    weights = {"boundary": 2.0, "grid.reach": 0.0, "stability": 30.0}
    assert not [fault for fault in check(replace(Proposal.of(BISHAN), weights=weights)) if "weight" in fault.code]


# --- Posts and people -----------------------------------------------------------------------------------------------


def test_posts_without_holders_and_holders_without_posts_are_told() -> None:
    held = {"grid_leader": 4, "grid_officer": 4, "patrol": 2}
    faults = check(Proposal.of(BISHAN), Around(held=held))
    assert {f.field for f in faults if f.code == "rules.check.post_not_held"} == {"tiers.1.posts.0", "tiers.3.posts.0"}
    dropped = [f.params for f in faults if f.code == "rules.check.post_dropped"]
    assert dropped == [{"post": "patrol", "people": 2}]


# --- Dates ----------------------------------------------------------------------------------------------------------

OLD = Dated("旧", date(2025, 1, 1), None)
LATER = Dated("后", date(2027, 1, 1), None)


@pytest.mark.parametrize(
    ("others", "start", "end", "codes"),
    [
        ((), date(2026, 6, 1), None, set()),
        ((), date(2026, 6, 1), date(2026, 6, 1), {"dates_reversed"}),
        ((), date(2026, 1, 1), None, {"backdated"}),
        ((OLD,), date(2026, 6, 1), None, {"ends_other"}),
        ((OLD,), date(2026, 6, 1), date(2026, 7, 1), {"ends_other", "leaves_gap"}),
        ((LATER,), date(2026, 6, 1), None, {"dates_overlap"}),
        ((LATER,), date(2026, 6, 1), date(2027, 1, 1), set()),
        ((LATER,), date(2027, 1, 1), None, {"same_day"}),
        ((replace(OLD, valid_to=date(2026, 6, 1)),), date(2026, 6, 1), None, set()),
    ],
)
def test_dates_are_held_against_other_rule_sets(
    others: tuple[Dated, ...], start: date, end: date | None, codes: set[str]
) -> None:
    proposal = Proposal.of(BISHAN, valid_from=start, valid_to=end)
    around = Around(today=date(2026, 3, 1), others=others)
    about = {code for code, fault in found(proposal, around).items() if fault.field in ("valid_from", "valid_to")}
    assert about == codes


# --- Every rule set at all ------------------------------------------------------------------------------------------

numbers = st.one_of(st.none(), st.integers(-2, 2000))
tiers = st.builds(
    Tier,
    ordinal=st.just(1),
    kind=st.sampled_from(["area", "grid", "micro_grid"]),
    name_zh=st.sampled_from(["", "网格"]),
    name_en=st.sampled_from(["", "Grid"]),
    cell_of=st.sampled_from(["band", "parent", "building"]),
    households_min=numbers,
    households_max=numbers,
    households_target=numbers,
    tolerance_ratio=st.one_of(st.floats(0, 1), st.sampled_from([-1.0, 2.0, float("nan"), float("inf")])),
    code_digits=st.integers(-1, 8),
    posts=st.lists(
        st.builds(Post, st.sampled_from(["", "a", "b"]), st.just("岗"), st.just(""), st.integers(-1, 3),
                  st.one_of(st.none(), st.integers(-1, 3))), max_size=3).map(tuple),
)  # fmt: skip
proposals = st.builds(
    Proposal,
    tiers=st.lists(tiers, max_size=7).map(tuple),
    weights=st.dictionaries(st.sampled_from(["balance", "grid.reach", "x", "a.b.c"]), st.floats(), max_size=2),
    valid_from=st.one_of(st.none(), st.dates()),
    valid_to=st.one_of(st.none(), st.dates()),
)
stated = st.builds(
    Stated, st.one_of(st.none(), st.integers(0, 10**6)), st.one_of(st.none(), st.integers(0, 1000)),
    st.lists(st.one_of(st.none(), st.integers(0, 5000)), max_size=7).map(tuple),
)  # fmt: skip


@settings(max_examples=150)
@given(proposals, stated)
def test_nothing_that_can_be_typed_breaks_the_check(proposal: Proposal, numbers: Stated) -> None:
    around = Around(date(2026, 1, 1), (OLD, LATER), {"甲": 700}, {"a": 1}, numbers)
    for fault in check(proposal, around):
        for language in LANGUAGES:
            sentence = told(fault, proposal, language=language)
            assert "?" not in sentence["text"] + sentence["remedy"]
            assert sentence["remedy"]


@settings(max_examples=150)
@given(tiers, tiers)
def test_gaps_and_nesting_are_what_counting_gives(upper: Tier, lower: Tier) -> None:
    limits, below = limits_of(upper), limits_of(lower)
    if limits is None or below is None:
        return
    low, high = bounds(limits)
    for first, last in gaps(limits):
        assert not any(counts_that_fit(total, limits) for total in (first, last))
    (nest,) = nesting((upper, lower))
    if low > high or high > 3000:
        return
    missing = {total for total in range(low, high + 1) if not _divides(total, *bounds(below))}
    told_gaps = {total for first, last in nest.gaps for total in range(first, last + 1)}
    assert told_gaps <= missing or nest.least > nest.most
    assert bool(missing) == bool(told_gaps) or nest.least > nest.most


def _divides(total: int, low: int, high: int) -> bool:
    return low <= high and any(n * low <= total <= n * high for n in range(1, total // low + 1))


def test_every_fault_has_its_reason_and_its_way_out_in_both_languages() -> None:
    for language in LANGUAGES:
        codes = {code for code in catalogue(language) if code.startswith("rules.check.")}
        reasons = {code for code in codes if not code.endswith(".remedy")}
        assert codes - reasons == {f"{code}.remedy" for code in reasons}


def _fields(rules: RuleSet) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in rules.__dataclass_fields__}
