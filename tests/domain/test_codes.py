"""Codes: the documented examples, and that none is ever given again."""

from __future__ import annotations

import pytest

from gis.codes import Coded, NewCell, child_code, cjt349, from_template, in_scheme, number_in, recode, west_to_east
from gis.errors import InvalidInput

COMMUNITY = "500120002001"


def test_the_default_scheme_makes_the_constructed_example():
    grid = child_code(COMMUNITY, 3, digits=3)
    assert (grid, child_code(grid, 5, digits=2)) == ("500120002001003", "50012000200100305")


def test_cjt349_has_twenty_digits():
    assert len(cjt349(COMMUNITY, 0)) == 20
    with pytest.raises(InvalidInput):
        cjt349("5001", 1)


def test_a_template_makes_codes_of_the_place():
    assert from_template("{community}-G{number:03d}", community="A", number=7) == "A-G007"
    with pytest.raises(InvalidInput):
        from_template("{street}", community="A")


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput) as caught:
        child_code(COMMUNITY, 100, digits=2)
    assert caught.value.code == "codes.exhausted"


def test_cells_are_numbered_in_rows_from_the_north_west():
    assert west_to_east([(0, 30), (600, 1000), (10, 990), (600, 50)]) == [2, 1, 0, 3]


def cell(code: str, parent: str = COMMUNITY, depth: int = 1, digits: int = 3) -> NewCell:
    return NewCell(code=code, parent=parent, depth=depth, digits=digits)


def test_survivors_keep_their_codes_and_new_cells_take_numbers_never_given():
    given = {f"{COMMUNITY}001", f"{COMMUNITY}002", f"{COMMUNITY}007"}  # 007 is retired
    final = recode([cell("a"), cell("b"), cell("c")], survivors={"b": f"{COMMUNITY}002"}, given=given)
    assert final == {"a": f"{COMMUNITY}008", "b": f"{COMMUNITY}002", "c": f"{COMMUNITY}009"}


def test_two_cells_may_swap_the_codes_they_were_drawn_with():
    one, two = f"{COMMUNITY}001", f"{COMMUNITY}002"
    assert recode([cell(one), cell(two)], survivors={one: two, two: one}, given={one, two}) == {one: two, two: one}


def test_a_survivor_under_a_new_parent_is_a_new_cell():
    micro = f"{COMMUNITY}00101"
    final = recode(
        [cell("g"), cell("m", parent="g", depth=2, digits=2)],
        survivors={"m": micro},
        given={f"{COMMUNITY}001", micro},
    )
    assert final == {"g": f"{COMMUNITY}002", "m": f"{COMMUNITY}00201"}


def test_coding_twice_changes_nothing():
    given = {f"{COMMUNITY}001"}
    first = recode([cell("a"), cell("b")], survivors={"a": f"{COMMUNITY}001"}, given=given)
    again = recode([cell(first["a"]), cell(first["b"])], survivors={first["a"]: f"{COMMUNITY}001"}, given=given)
    assert again == {code: code for code in first.values()}


def test_a_survivor_under_the_same_parent_keeps_its_code_whatever_its_form():
    # The rules give micro-grids three digits now, and one grid has a code of its own from a file.
    old = {f"{COMMUNITY}00105": f"{COMMUNITY}001", f"{COMMUNITY}001": COMMUNITY, "BQ-7": COMMUNITY}
    final = recode(
        [cell("g"), cell("m", parent="g", depth=2), cell("n", parent="g", depth=2), cell("h")],
        survivors={"g": f"{COMMUNITY}001", "m": f"{COMMUNITY}00105", "h": "BQ-7"},
        given=set(old),
        parents=old,
    )
    assert final == {"g": f"{COMMUNITY}001", "m": f"{COMMUNITY}00105", "n": f"{COMMUNITY}001001", "h": "BQ-7"}


def test_a_survivor_under_another_parent_is_new_whatever_its_code_begins_with():
    old = {"BQ-7": "another community"}
    final = recode([cell("h")], survivors={"h": "BQ-7"}, given=set(old), parents=old)
    assert final == {"h": f"{COMMUNITY}001"}


def test_the_number_of_a_code_is_read_only_from_the_form_of_its_tier():
    assert number_in(f"{COMMUNITY}017", COMMUNITY, digits=3) == 17
    for strange in (f"{COMMUNITY}17", f"{COMMUNITY}0017", f"{COMMUNITY}000", f"{COMMUNITY}٠١٧", "017", COMMUNITY):
        assert number_in(strange, COMMUNITY, digits=3) is None


GRID = Coded("500120002001003", COMMUNITY, (3,))
MICRO = Coded("50012000200100305", COMMUNITY, (3, 5))


def test_other_schemes_are_derived_from_the_registered_code():
    assert (len(GRID.code), len(MICRO.code)) == (15, 17)
    assert in_scheme(MICRO, "wangge") == MICRO.code
    assert in_scheme(GRID, "cjt349") == "01000050012000200103"
    assert len(in_scheme(GRID, "cjt349", object_class="020000")) == 20
    template = "{county}/{street}/{community}/{grid:03d}/{number:02d}/{code}"
    assert in_scheme(MICRO, "template", template=template) == f"500120/500120002/{COMMUNITY}/003/05/{MICRO.code}"


@pytest.mark.parametrize(
    ("code", "given", "scheme", "template"),
    [
        ("codes.grids_only", MICRO, "cjt349", ""),
        ("codes.exhausted", Coded(f"{COMMUNITY}100", COMMUNITY, (100,)), "cjt349", ""),
        ("codes.bad_cjt349", Coded("A001", "A", (1,)), "cjt349", ""),
        ("codes.unknown_scheme", GRID, "geosot", ""),
        ("codes.bad_template", GRID, "template", "{house}"),
        ("codes.bad_template", GRID, "template", "{code.__class__}"),
        ("codes.bad_template", GRID, "template", "{code[0]}"),
        ("codes.bad_template", GRID, "template", "{number:1000000000d}"),
        ("codes.bad_template", GRID, "template", "{number:{grid}d}"),
        ("codes.bad_template", GRID, "template", "{"),
    ],
)
def test_what_a_scheme_cannot_say_is_refused(code, given, scheme, template):
    with pytest.raises(InvalidInput) as caught:
        in_scheme(given, scheme, template=template)
    assert caught.value.code == code
