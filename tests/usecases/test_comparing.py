"""Two plans side by side: what moves, whom it concerns, shares that sum up, scores of both."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import comparing, incidents, plan_redraw, plans, rules, staff
from gis.errors import InvalidInput, NotFound
from gis.models import Department, Grid, PostRow, Staff
from gis.permissions import SYSTEM, Action, Actor, Grant, Role
from tests.usecases.builders import LONG_AGO, NOW, SmallTown, divide, make_category, make_plan, make_town

FORCE = LONG_AGO + timedelta(days=1)


@pytest.fixture
def two(session: Session) -> tuple[SmallTown, int, int]:
    """In force: two grids a community, side by side. A draft: three in the first, as before in the second."""
    town = make_town(session, communities=2)
    before = make_plan(session, town, pieces=(2, 2), title="现行")
    plans.publish(session, before.id, effective_from=FORCE, actor=SYSTEM, now=LONG_AGO)
    cut = divide(town, plan_rules(session, before.id), pieces=(3, 2), communities=town.communities[:1])
    kept = divide(town, plan_rules(session, before.id), pieces=(2, 2), communities=town.communities[1:])
    draft = plans.create_draft(
        session, area_id=town.street.id, rule_set_id=before.rule_set_id, title="草案", actor=SYSTEM, now=NOW
    )
    plans.store_division(session, draft.id, division=joined(cut, kept), actor=SYSTEM, now=NOW)
    return town, before.id, draft.id


def plan_rules(session: Session, plan_id: int) -> Any:
    return rules.value(rules.get(session, plans.get(session, plan_id).rule_set_id))


def joined(one: Any, other: Any) -> Any:
    return plan_redraw.together([one, other])


def told(session: Session, two: tuple[Any, int, int], actor: Actor = SYSTEM) -> dict[str, Any]:
    return comparing.compare(session, two[2], two[1], actor=actor, at=NOW)


def test_shares_of_every_old_and_new_cell_sum_to_a_hundred_as_shown(session: Session, two: Any) -> None:
    edges = told(session, two)["lineage"]
    for cell, percent in (("old", "old_percent"), ("new", "new_percent")):
        by: dict[str, int] = {}
        for edge in edges:
            if edge[cell] is not None:
                shown = round(edge[percent] * 100)
                assert abs(shown - edge[percent] * 100) < 1e-6  # two decimals say all of it
                by[edge[cell]] = by.get(edge[cell], 0) + shown
        assert by
        assert set(by.values()) == {10_000}
    assert all(edge["old_id"] and edge["new_id"] for edge in edges if edge["old"] and edge["new"])


def test_what_moves_is_counted_in_households_buildings_and_people(session: Session, two: Any) -> None:
    session.execute(text("UPDATE building_part SET residents = 3 * households"))
    found = told(session, two)
    grids = found["tiers"][found["depth"] - 1]
    pairs = [one for one in found["people"] if one["depth"] == found["depth"]]
    assert grids["households_moved"] == sum(one["households"] for one in pairs) > 0
    assert grids["residents_moved"] == sum(one["residents"] for one in pairs) == 3 * grids["households_moved"]
    assert (grids["cells_new"], grids["cells_ended"]) == (3, 2)  # no third holds more than half of a half
    assert {one["from_cell"][:12] for one in pairs} == {two[0].communities[0].code}
    shown = comparing.shown(session, two[2], two[1], actor=SYSTEM)
    assert sum(one["properties"]["households"] for one in shown["buildings"]["features"]) == grids["households_moved"]
    assert len(shown["before"]["features"]) == 2
    assert len(shown["after"]["features"]) == 3
    assert {one["geometry"]["type"] for one in shown["after"]["features"]} == {"MultiPolygon"}


def test_open_incidents_that_change_their_grid_are_counted_and_listed(session: Session, two: Any) -> None:
    town = two[0]
    make_category(session)
    made = {}
    for community, building in ((0, 0), (0, 1), (0, 2), (1, 1)):
        lon, lat = town.middle(community, building)
        made[community, building] = incidents.report(
            session,
            category="0201",
            title=f"{community}/{building}",
            lon=lon,
            lat=lat,
            request_id=None,
            actor=SYSTEM,
            now=NOW,
        ).id
    found = told(session, two)["incidents"]
    assert found["open"] == 4
    moved = {item["id"]: (item["from_cell"], item["to_cell"]) for item in found["items"]}
    assert found["count"] == len(moved)
    assert made[1, 1] not in moved
    went = {(edge["new"], edge["old"]) for edge in told(session, two)["lineage"] if edge["kind"] in ("keep", "redraw")}
    assert moved
    assert all((to, old) not in went for old, to in moved.values())
    seeing = frozenset({Action.VIEW_MAP, Action.VIEW_DRAFTS})
    blind = Actor(None, "token", (Grant(Role.PLANNER),), limited_to=seeing)
    assert told(session, two, blind)["incidents"]["open"] == 0


def test_posts_whose_cell_ends_or_is_redrawn_are_told_and_others_not(session: Session, two: Any) -> None:
    office = Department(code="D", name="所")
    session.add(office)
    session.flush()
    posts = {post.code: post for post in session.scalars(select(PostRow))}
    cells = session.scalars(select(Grid).where(Grid.plan_id == two[1]).order_by(Grid.code)).all()
    for number, cell in enumerate(cells):
        person = Staff(code=f"S{number}", name=f"员{number}", department_id=office.id)
        session.add(person)
        session.flush()
        post = posts["grid_officer" if cell.grid_depth == 1 else "micro_grid_leader"]
        staff.assign(
            session, staff_id=person.id, post_id=post.id, grid_id=cell.id, valid_from=FORCE, actor=SYSTEM, now=NOW
        )
    found = told(session, two)["posts"]
    assert found["held"] == len(cells)
    assert found["ends"] + found["redrawn"] == len(found["items"]) == found["people"] > 0
    assert {item["cell"][:12] for item in found["items"]} == {two[0].communities[0].code}
    assert all((item["to_cell"] is None) == (item["change"] == "ends") for item in found["items"])


def test_both_are_scored_alike(session: Session, two: Any) -> None:
    scores = comparing.scores(session, two[2], two[1], actor=SYSTEM)
    assert scores["before"].keys() == scores["after"].keys()
    assert [tier["cells"] for tier in scores["before"]["tiers"]] == [4, 8]
    assert [tier["cells"] for tier in scores["after"]["tiers"]] == [5, 10]


def test_scores_are_measured_again_after_an_edit(session: Session, two: Any) -> None:
    before = comparing.scores(session, two[2], two[1], actor=SYSTEM)
    assert comparing.scores(session, two[2], two[1], actor=SYSTEM) == before
    session.execute(text("INSERT INTO plan_desk (plan_id, seq) VALUES (:plan, 1)"), {"plan": two[2]})
    session.execute(
        text("UPDATE grid SET households = households + 1000 WHERE plan_id = :plan AND grid_depth = 1"),
        {"plan": two[2]},
    )
    after = comparing.scores(session, two[2], two[1], actor=SYSTEM)
    assert after["after"]["tiers"][0]["households_max"] == before["after"]["tiers"][0]["households_max"] + 1000
    assert after["before"] == before["before"]


def test_a_plan_against_itself_or_one_of_elsewhere_is_refused(session: Session, two: Any) -> None:
    town = two[0]
    with pytest.raises(InvalidInput, match=r"compare\.same_plan"):
        comparing.compare(session, two[1], two[1], actor=SYSTEM, at=NOW)
    rule_set = plans.get(session, two[1]).rule_set_id
    empty = plans.create_draft(session, area_id=town.street.id, rule_set_id=rule_set, title="空", actor=SYSTEM, now=NOW)
    with pytest.raises(InvalidInput, match=r"compare\.empty"):
        comparing.compare(session, empty.id, two[1], actor=SYSTEM, at=NOW)
    one, other = (
        plans.create_draft(
            session, area_id=town.street.id, rule_set_id=rule_set, title="半", actor=SYSTEM, now=NOW,
            community_ids=[community.id],
        ).id
        for community in town.communities
    )  # fmt: skip
    with pytest.raises(InvalidInput, match=r"compare\.nothing_common"):
        comparing.compare(session, one, other, actor=SYSTEM, at=NOW)
    viewer = Actor(None, "viewer", (Grant(Role.VIEWER),))
    with pytest.raises(NotFound, match=r"plan\.unknown"):
        told(session, two, viewer)


def test_somebody_of_one_community_compares_that_one(session: Session, two: Any) -> None:
    town = two[0]
    local = Actor(None, "planner", (Grant(Role.PLANNER, town.communities[1].path),))
    found = told(session, two, local)
    assert [one["code"] for one in found["communities"]] == [town.communities[1].code]
    assert found["tiers"][0]["households_moved"] == 0


def test_moves_come_as_csv_and_excel(session: Session, two: Any) -> None:
    body = comparing.table(session, two[2], two[1], actor=SYSTEM, form="csv", language="zh")
    lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    assert lines[0][0] == "层级"
    book = load_workbook(io.BytesIO(comparing.table(session, two[2], two[1], actor=SYSTEM, form="xlsx", language="en")))
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert rows[0][-1] == "New cell"
    assert len(rows) == len(lines) > 1
