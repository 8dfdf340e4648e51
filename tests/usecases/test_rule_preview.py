"""What a rule set would make of a plan: counted by hand on a chequered town of two communities of 320 households."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from gis import plans, rule_preview, rules, staff
from gis.errors import InvalidInput, NotAllowed, NotFound
from gis.models import Department, Grid, PostRow, Staff
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.rule_check import Proposal, Stated, check
from gis.rule_preview import Wish
from gis.rule_set import RuleSet, load_preset
from usecases.builders import LONG_AGO, NOW, SmallTown, make_plan, make_town, six_tiers

BISHAN = load_preset("bishan")
ENGLISH = "en"


@pytest.fixture
def town(session: Any) -> tuple[SmallTown, int]:
    """In force: two grids of 160 in each community (under 300), and eight micro-grids of 80 in all."""
    made = make_town(session, communities=2)
    plan = make_plan(session, made)
    plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=LONG_AGO)
    return made, plan.id


def look(session: Any, rule_set: RuleSet, wish: Wish, actor: Actor = SYSTEM) -> dict[str, Any]:
    return rule_preview.preview(session, rule_set, wish, actor=actor, at=NOW, language=ENGLISH)


def with_grids(low: int, high: int, **more: Any) -> RuleSet:
    tiers = list(BISHAN.tiers)
    tiers[2] = replace(tiers[2], households_min=low, households_max=high, **more)
    return replace(BISHAN, tiers=tuple(tiers))


def test_the_same_rules_change_nothing(session: Any, town: tuple[SmallTown, int]) -> None:
    told = look(session, BISHAN, Wish(plan_id=town[1]))
    assert [tier["changed_count"] for tier in told["tiers"]] == [0, 0]
    assert told["tiers"][0]["was"] == told["tiers"][0]["becomes"]
    assert (told["tiers"][0]["was"]["under"], told["tiers"][1]["was"]["in_band"]) == (4, 8)
    assert (told["communities"], told["households"], told["unmatched"]) == (2, 640, [])


def test_cells_that_change_are_named_with_their_place(session: Any, town: tuple[SmallTown, int]) -> None:
    told = look(session, with_grids(150, 200), Wish(plan_id=town[1], with_ground=True))
    grids = told["tiers"][0]
    assert (grids["was"]["under"], grids["becomes"]["in_band"], grids["changed_count"]) == (4, 4, 4)
    first = grids["changed"][0]
    assert (first["was"], first["becomes"], first["households"], first["excess"]) == ("under", "in_band", 160, 0)
    assert first["bbox"][0] < first["bbox"][2]
    assert {feature["properties"]["becomes"] for feature in told["ground"]["features"]} == {"in_band"}
    assert len(told["ground"]["features"]) == 4


def test_a_cell_over_the_new_maximum_says_by_how_much(session: Any, town: tuple[SmallTown, int]) -> None:
    grids = look(session, with_grids(50, 150), Wish(plan_id=town[1]))["tiers"][0]
    assert grids["becomes"]["over"] == 4
    assert {cell["excess"] for cell in grids["changed"]} == {10}
    tolerated = look(session, with_grids(50, 150, tolerance_ratio=0.1), Wish(plan_id=town[1]))["tiers"][0]
    assert tolerated["becomes"]["in_band"] == 4


def test_communities_are_told_how_many_cells_they_could_have(session: Any, town: tuple[SmallTown, int]) -> None:
    grids = look(session, BISHAN, Wish(plan_id=town[1]))["tiers"][0]["counts"]
    assert [(row["least"], row["most"], row["now"]) for row in grids["communities"]] == [(1, 1, 2), (1, 1, 2)]
    assert (grids["least"], grids["most"], grids["too_many"], grids["none_fits"]) == (2, 2, 2, 0)
    none = look(session, with_grids(200, 300), Wish(plan_id=town[1]))["tiers"][0]["counts"]
    assert (none["none_fits"], none["least"], none["most"]) == (2, 2, 4)
    assert all("household" in row["way"] for row in none["communities"])


def test_posts_needed_stand_beside_people_held(session: Any, town: tuple[SmallTown, int]) -> None:
    _, plan_id = town
    office = Department(code="D", name="办")
    person = Staff(code="S1", name="李")
    session.add_all([office, person])
    session.flush()
    leader = session.query(PostRow).filter_by(code="grid_leader").one()
    for cell in session.query(Grid).filter_by(plan_id=plan_id, grid_depth=1).limit(2):
        staff.assign(session, staff_id=person.id, post_id=leader.id, grid_id=cell.id,
                     valid_from=LONG_AGO + timedelta(days=1), actor=SYSTEM, now=NOW)  # fmt: skip
    posts = {row["code"]: row for row in look(session, BISHAN, Wish(plan_id=plan_id))["posts"]}
    assert [posts["grid_leader"][key] for key in ("needed", "places", "people", "least", "most")] == [4, 2, 1, 2, 2]
    assert posts["community_secretary"]["needed"] == 2
    assert posts["micro_grid_leader"]["needed"] == 8
    assert posts["grid_mentor"]["needed"] == 0


def test_a_rule_set_of_other_tiers_says_what_must_be_drawn_anew(session: Any, town: tuple[SmallTown, int]) -> None:
    told = look(session, six_tiers(), Wish(plan_id=town[1]))
    assert [(row["name_en"], row["cells"]) for row in told["unmatched"]] == [("Micro-grid", 8)]
    station, grid, micro = told["tiers"]
    assert (station["is_matched"], grid["is_matched"], micro["is_matched"]) == (True, False, False)
    assert grid["becomes"] is None
    assert grid["counts"]["least"] == 2
    posts = {row["code"]: row for row in told["posts"]}
    assert (posts["grid_leader"]["needed"], posts["grid_leader"]["least"]) == (0, 2)


def test_without_a_plan_what_is_in_force_in_the_area_is_looked_at(session: Any, town: tuple[SmallTown, int]) -> None:
    made, _ = town
    draft = make_plan(session, made, pieces=(4, 2), title="draft")
    assert look(session, BISHAN, Wish(area_id=made.street.id))["tiers"][0]["cells"] == 4
    assert look(session, BISHAN, Wish(area_id=made.community_ids[0]))["communities"] == 1
    assert look(session, BISHAN, Wish(plan_id=draft.id))["tiers"][0]["cells"] == 8


def test_only_what_somebody_may_see_is_counted(session: Any, town: tuple[SmallTown, int]) -> None:
    made, plan_id = town
    planner = Actor(user_id=None, name="p", grants=(Grant(Role.PLANNER, made.communities[0].path),))
    assert look(session, BISHAN, Wish(plan_id=plan_id), planner)["communities"] == 1
    stranger = Actor(user_id=None, name="s", grants=(Grant(Role.PLANNER, "999999"),))
    with pytest.raises(NotFound):
        look(session, BISHAN, Wish(plan_id=plan_id), stranger)
    with pytest.raises(NotFound) as told:
        look(session, BISHAN, Wish(area_id=made.street.id), stranger)
    assert told.value.code == "rules.no_plan"
    with pytest.raises(InvalidInput):
        look(session, BISHAN, Wish())
    with pytest.raises(NotAllowed):
        rules.around(session, area_id=made.street.id, actor=stranger, now=NOW)


def test_a_proposal_is_checked_against_what_is_around_it(session: Any, town: tuple[SmallTown, int]) -> None:
    made, _ = town
    around = rules.around(
        session, area_id=made.street.id, actor=SYSTEM, now=NOW, stated=Stated(cells=(2, 1))
    )  # fmt: skip
    assert dict(around.communities) == {"社区1": 320, "社区2": 320}
    assert [other.name for other in around.others] == [BISHAN.name_zh]
    proposal = Proposal.of(with_grids(400, 500), valid_from=NOW.date())
    codes = {fault.code for fault in check(proposal, around)}
    assert {"rules.check.ends_other", "rules.check.fewer_below"} <= codes


def test_a_city_costs_no_more_statements_than_a_village(session: Any, town: tuple[SmallTown, int]) -> None:
    """The work grows with the cells, not with the questions: no statement a cell or a community."""
    asked: list[str] = []
    bind = session.get_bind()

    def listener(*args: Any) -> None:
        asked.append(args[2])

    event.listen(bind, "before_cursor_execute", listener)
    try:
        look(session, with_grids(150, 200), Wish(plan_id=town[1], with_ground=True))
    finally:
        event.remove(bind, "before_cursor_execute", listener)
    about_cells = [one for one in asked if " grid AS cell" in one or "FROM grid" in one]
    assert len(about_cells) == 3  # the cells, who holds posts in them, the ground of those that change
