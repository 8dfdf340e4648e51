"""Rules by date and area, posts and who is responsible, parts of buildings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from gis import buildings, plans, rules, staff
from gis.buildings import largest_remainder
from gis.db import translate
from gis.errors import NotAllowed, NotFound
from gis.models import Department, Grid, RuleSetRow, Staff
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.rule_set import load_preset, preset_codes
from usecases.builders import LONG_AGO, NOW, building_code, make_plan, make_town, six_tiers


def store(session, rule_set, area_id, since):
    return rules.store(session, rule_set, area_id=area_id, valid_from=since, actor=SYSTEM, now=NOW)


@pytest.mark.parametrize("code", preset_codes())
def test_a_preset_comes_back_as_it_was_stored(session, code):
    town = make_town(session)
    preset = load_preset(code)
    assert rules.value(store(session, preset, town.street.id, date(2026, 1, 1))) == preset


def test_six_tiers_are_possible(session):
    town = make_town(session)
    row = store(session, six_tiers(), town.street.id, date(2026, 1, 1))
    assert [tier.grid_depth for tier in row.tiers] == [None, None, None, 1, 2, 3]


def test_the_nearest_rules_up_the_tree_apply_on_their_days(session):
    town = make_town(session)
    bishan, donggang = load_preset("bishan"), load_preset("donggang")
    store(session, bishan, town.street.parent_id, date(2025, 1, 1))
    store(session, donggang, town.street.id, date(2026, 1, 1))
    community = town.community_ids[0]
    assert rules.in_force(session, area_id=community, on=date(2025, 6, 1)).code == "bishan"
    assert rules.in_force(session, area_id=community, on=date(2026, 6, 1)).code == "donggang"
    with pytest.raises(NotFound):
        rules.in_force(session, area_id=community, on=date(2024, 6, 1))


def test_new_rules_end_the_ones_before_and_the_same_twice_changes_nothing(session):
    town = make_town(session)
    first = store(session, load_preset("bishan"), town.street.id, date(2025, 1, 1))
    assert store(session, load_preset("bishan"), town.street.id, date(2026, 1, 1)) is first
    store(session, load_preset("tongliang"), town.street.id, date(2026, 1, 1))
    session.refresh(first)
    assert first.valid_during.upper == date(2026, 1, 1)
    assert len(session.scalars(select(RuleSetRow)).all()) == 2


def test_rules_are_stored_only_by_who_may_edit_them(session):
    town = make_town(session)
    viewer = Actor(user_id=None, name="v", grants=(Grant(Role.VIEWER),))
    with pytest.raises(NotAllowed):
        rules.store(
            session,
            load_preset("bishan"),
            area_id=town.street.id,
            valid_from=date(2026, 1, 1),
            actor=viewer,
            now=NOW,
        )


@pytest.fixture
def served(session):
    """A town in force with people at every tier: 王 for the community, 李 and 陈 for the first grid and micro-grid."""
    town = make_town(session)
    plan = make_plan(session, town)
    plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    office = Department(code="D", name="办")
    session.add(office)
    session.flush()
    places = {
        "王": (town.communities[0].code, "community_secretary"),
        "李": ("210681001001001", "grid_officer"),
        "陈": (building_code(town.communities[0].code, 0), "micro_grid_leader"),
    }
    for name, (code, post) in places.items():
        person = Staff(code=name, name=name, phone="13800001234", department_id=office.id)
        session.add(person)
        session.flush()
        place = staff.find_place(session, code, post, at=NOW)
        staff.assign(
            session,
            staff_id=person.id,
            post_id=place.post_id,
            grid_id=place.grid_id,
            area_id=place.area_id,
            valid_from=LONG_AGO,
            actor=SYSTEM,
            now=NOW,
        )
    return town


def test_responsible_people_are_found_from_the_cell_upwards(session, served):
    x, y = served.middle(0, 0)
    cell = plans.cell_at(session, lon=x, lat=y, at=NOW)
    found = staff.responsible(session, grid_id=cell, at=NOW)
    assert [(who.staff_name, who.post_code, who.tier_ordinal) for who in found] == [
        ("陈", "micro_grid_leader", 4),
        ("李", "grid_officer", 3),
        ("王", "community_secretary", 2),
    ]
    assert found[0].place_code == "21068100100100101"


def test_responsibility_is_as_of_its_time(session, served):
    x, y = served.middle(0, 0)
    cell = plans.cell_at(session, lon=x, lat=y, at=NOW)
    assert staff.responsible(session, grid_id=cell, at=LONG_AGO - timedelta(days=1)) == []
    officer = session.scalar(
        text("SELECT id FROM assignment WHERE staff_id = (SELECT id FROM staff WHERE code = '李')")
    )
    staff.end(session, officer, at=NOW, actor=SYSTEM, now=NOW)
    assert [who.staff_name for who in staff.responsible(session, grid_id=cell, at=NOW)] == ["陈", "王"]
    before = staff.responsible(session, grid_id=cell, at=NOW - timedelta(days=1))
    assert [who.staff_name for who in before] == ["陈", "李", "王"]


def test_many_cells_are_asked_at_once(session, served):
    ids = session.scalars(select(Grid.id).order_by(Grid.code)).all()
    found = staff.responsible_many(session, grid_ids=ids, at=NOW)
    assert sorted(len(people) for people in found.values()) == [1, 1, 1, 2, 2, 3]
    area = staff.responsible_for_area(session, area_id=served.community_ids[0], at=NOW)
    assert [who.staff_name for who in area] == ["王"]


@pytest.mark.usefixtures("served")
def test_a_single_post_has_one_holder_at_a_time(session):
    person = Staff(code="x", name="x")
    session.add(person)
    session.flush()
    place = staff.find_place(session, "210681001001001", "grid_officer", at=NOW)
    known = {"staff_id": person.id, "post_id": place.post_id, "grid_id": place.grid_id, "actor": SYSTEM, "now": NOW}
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        staff.assign(session, valid_from=NOW, **known)
    assert translate(caught.value).code == "staff.post_is_held"
    held = session.scalar(text("SELECT id FROM assignment WHERE post_id = :post"), {"post": place.post_id})
    staff.end(session, held, at=NOW, actor=SYSTEM, now=NOW)
    staff.assign(session, valid_from=NOW, **known)


@pytest.mark.usefixtures("served")
def test_the_same_holding_twice_changes_nothing(session):
    place = staff.find_place(session, "210681001001001", "grid_officer", at=NOW)
    same = staff.assign(
        session,
        staff_id=staff.by_code(session, "李").id,
        post_id=place.post_id,
        grid_id=place.grid_id,
        valid_from=NOW,
        actor=SYSTEM,
        now=NOW,
    )
    assert same.valid_during.lower == LONG_AGO


def test_places_and_posts_that_do_not_exist_are_named(session, served):
    for place, post, code in (
        ("nowhere", "grid_officer", "staff.unknown_place"),
        ("210681001001001", "king", "staff.unknown_post"),
        (served.communities[0].code, "grid_officer", "staff.unknown_post"),
    ):
        with pytest.raises(NotFound) as caught:
            staff.find_place(session, place, post, at=NOW)
        assert caught.value.code == code


def test_rules_begin_at_midnight_here_not_in_greenwich(session):
    town = make_town(session)
    store(session, load_preset("bishan"), town.street.id, date(2026, 1, 1))
    community, post = town.communities[0].code, "community_secretary"
    with pytest.raises(NotFound):
        staff.find_place(session, community, post, at=datetime(2025, 12, 31, 15, 59, tzinfo=UTC))
    assert staff.find_place(session, community, post, at=datetime(2025, 12, 31, 16, 1, tzinfo=UTC)).area_id


def test_changed_households_reach_the_parts(session):
    town = make_town(session)
    plan = make_plan(session, town, stack=3)
    plans.publish(session, plan.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    whole, cut = (buildings.by_code(session, building_code(town.communities[0].code, n)) for n in (0, 3))
    whole.households, cut.households = 21, 25
    assert buildings.sync_parts(session, now=NOW) == 3
    assert buildings.sync_parts(session, now=NOW) == 0
    live = text(
        "SELECT households FROM building_part WHERE building_id = :b AND upper_inf(valid_during) ORDER BY households"
    )
    assert session.scalars(live, {"b": whole.id}).all() == [21]
    assert session.scalars(live, {"b": cut.id}).all() == [12, 13]
    cells = session.scalar(text("SELECT sum(households) FROM grid WHERE grid_depth = 2"))
    assert cells == 320, "the counts of a plan are those of its making"


@pytest.mark.parametrize(
    ("total", "shares", "pieces"),
    [(10, [1, 1, 1], [4, 3, 3]), (0, [5, 5], [0, 0]), (7, [0, 0], [4, 3]), (5, [2, 3], [2, 3])],
)
def test_largest_remainders_add_up(total, shares, pieces):
    assert largest_remainder(total, shares) == pieces
