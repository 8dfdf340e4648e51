"""Posts in cells: a roster names cells by their codes or buildings by theirs, and finds the plan in force."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from gis import ingest, plans
from gis.errors import NotAllowed
from gis.ingest import Counts
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.rule_set import load_preset
from gis.town import Town, conform
from tests.exchange.builders import only
from tests.usecases.builders import LONG_AGO, NOW, SmallTown, building_code, divide, make_plan, make_town

HELD = """
SELECT f.code, p.code, coalesce(g.code, a.code) FROM assignment h JOIN staff f ON f.id = h.staff_id
JOIN post p ON p.id = h.post_id LEFT JOIN grid g ON g.id = h.grid_id LEFT JOIN admin_area a ON a.id = h.area_id
ORDER BY h.id
"""


@pytest.fixture
def divided(session: Session) -> SmallTown:
    """One community of 2 x 2 cells; the plan came into force long ago."""
    made = make_town(session)
    plan = make_plan(session, made, stack=0)
    plans.publish(session, plan.id, effective_from=LONG_AGO, document_no="1", actor=SYSTEM, now=LONG_AGO)
    return made


def roster(*rows: tuple[str, str, str]) -> Town:
    people = [{"code": code, "name": f"人{code}"} for code in sorted({row[0] for row in rows})]
    posts = [{"staff": staff, "post": post, "place": place} for staff, post, place in rows]
    return Town(
        {"staff": conform("staff", pd.DataFrame(people)), "assignments": conform("assignments", pd.DataFrame(posts))}
    )


def held(session: Session) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(text(HELD))]


def store(session: Session, town: Town, *, actor: Actor = SYSTEM) -> ingest.IngestReport:
    return ingest.store(session, town, actor=actor, now=NOW)


def test_posts_of_both_tiers_are_held_in_the_cells_in_force(session: Session, divided: SmallTown) -> None:
    grid = divided.communities[0].code + "001"
    made = roster(("S1", "网格长", grid), ("S2", "grid_officer", grid), ("S3", "micro_grid_leader", grid + "01"))
    report = store(session, made)
    assert not report.findings
    assert held(session) == [
        ("S1", "grid_leader", grid),
        ("S2", "grid_officer", grid),
        ("S3", "micro_grid_leader", grid + "01"),
    ]
    assert store(session, made).counts["assignments"] == Counts(0, 0, 3)


def test_a_building_means_the_cells_that_hold_it(session: Session, divided: SmallTown) -> None:
    community = divided.communities[0].code
    made = roster(
        ("S1", "micro_grid_leader", building_code(community, 5)), ("S2", "grid_leader", building_code(community, 5))
    )
    store(session, made)
    low, high = (row[2] for row in held(session))
    assert low.startswith(high)


def test_a_shared_building_means_all_its_cells(session: Session, divided: SmallTown) -> None:
    store(session, roster(("S1", "micro_grid_leader", building_code(divided.communities[0].code, 0))))
    assert len({cell for _, _, cell in held(session)}) == 2


def test_a_post_of_another_tier_is_told(session: Session, divided: SmallTown) -> None:
    report = store(session, roster(("S1", "micro_grid_leader", divided.communities[0].code + "001")))
    assert only(report.findings, "import.unknown_post").params["post"] == "micro_grid_leader"


def test_two_people_for_a_post_of_one_are_told_apart_within_a_file(session: Session, divided: SmallTown) -> None:
    grid = divided.communities[0].code + "001"
    report = store(session, roster(("S1", "grid_leader", grid), ("S2", "grid_leader", grid)))
    assert only(report.findings, "import.post_taken").key == "S2"
    assert len(held(session)) == 1


def test_a_mentor_may_be_one_of_several(session: Session, divided: SmallTown) -> None:
    grid = divided.communities[0].code + "001"
    report = store(session, roster(("S1", "grid_mentor", grid), ("S2", "grid_mentor", grid)))
    assert not report.findings
    assert len(held(session)) == 2


def test_posts_of_a_cell_of_yesterday_are_told(session: Session, divided: SmallTown) -> None:
    plan = make_again(session, divided)
    gone = {code for (code,) in session.execute(text("SELECT code FROM grid WHERE plan_id <> :id"), {"id": plan})} - {
        code for (code,) in session.execute(text("SELECT code FROM grid WHERE plan_id = :id"), {"id": plan})
    }
    assert gone
    report = store(session, roster(("S1", "grid_leader", sorted(gone)[0])))
    assert only(report.findings, "import.unknown_place")


def make_again(session: Session, town: SmallTown) -> int:
    row = session.execute(text("SELECT rule_set_id FROM plan LIMIT 1")).scalar_one()
    plan = plans.create_draft(
        session,
        area_id=town.street.id,
        rule_set_id=row,
        community_ids=town.community_ids,
        title="new",
        actor=SYSTEM,
        now=NOW,
    )
    division = divide(town, load_preset("bishan"), pieces=(1, 1))
    plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=NOW)
    plans.publish(session, plan.id, effective_from=NOW, document_no="2", actor=SYSTEM, now=NOW)
    return plan.id


def test_a_planner_of_another_street_may_not_fill_posts_here(session: Session, divided: SmallTown) -> None:
    grid = divided.communities[0].code + "001"
    store(session, roster(("S1", "grid_mentor", grid)))
    posts = Town({"assignments": roster(("S1", "grid_leader", grid))["assignments"]})
    other = Actor(user_id=None, name="other", grants=(Grant(Role.PLANNER, "999"),))
    with pytest.raises(NotAllowed), session.begin_nested():
        store(session, posts, actor=other)
    own = Actor(user_id=None, name="own", grants=(Grant(Role.PLANNER, str(divided.street.path)),))
    assert store(session, posts, actor=own).counts["assignments"].inserted == 1
