"""Codes: the documented examples, and that none is ever given again."""

from __future__ import annotations

import pytest

from gis.codes import NewCell, child_code, cjt349, from_template, recode, west_to_east
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
