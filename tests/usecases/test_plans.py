"""A plan's way from draft into force, and what may not happen on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from gis import buildings, incidents, plan_approval, plan_copy, plans, rules, staff
from gis.db import translate
from gis.errors import InvalidInput, InvalidPlan, NotAllowed, NotFound, Overlap, StaleRevision, WrongState
from gis.findings import Finding, Severity
from gis.models import (
    Assignment,
    AuditLog,
    Grid,
    GridCode,
    GridLineage,
    GridPart,
    PlanEvent,
    PlanFinding,
    PostRow,
    Staff,
)
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.rule_set import load_preset
from usecases.builders import (
    LONG_AGO,
    NOW,
    SIZE,
    building_code,
    divide,
    make_category,
    make_plan,
    make_town,
    square,
    wkt,
)

SOON = NOW + timedelta(days=3)


def codes_of(session, plan, depth=None):
    query = select(Grid.code).where(Grid.plan_id == plan.id).order_by(Grid.code)
    return session.scalars(query if depth is None else query.where(Grid.grid_depth == depth)).all()


def publish(session, plan, *, since=LONG_AGO):
    return plans.publish(session, plan.id, effective_from=since, actor=SYSTEM, now=NOW)


@pytest.mark.parametrize(
    ("preset", "pieces", "tiers"),
    [
        ("bishan", (2, 2), 4),
        ("donggang", (1, 2, 2), 3),
        ("tongliang", (2, 8), 5),
        ("six", (1, 2, 2), 6),
    ],
)
def test_rules_of_three_to_six_tiers_are_stored_and_published(session, preset, pieces, tiers):
    town = make_town(session)
    plan = make_plan(session, town, preset=preset, pieces=pieces)
    assert len(rules.get(session, plan.rule_set_id).tiers) == tiers
    publish(session, plan)
    in_force = session.execute(text("SELECT tier_kind, count(*) FROM cells_in_force GROUP BY 1 ORDER BY 1")).all()
    counts = dict(in_force)
    assert sum(counts.values()) == len(codes_of(session, plan))
    assert ("micro_grid" in counts) == (preset != "donggang")
    x, y = town.middle(0, 0)
    cell = session.get(Grid, plans.cell_at(session, lon=x, lat=y, at=NOW))
    assert cell.grid_depth == len(pieces)


def test_a_stored_division_keeps_its_counts_bands_and_colours(session):
    town = make_town(session)
    plan = make_plan(session, town, stack=3)
    lowest = session.scalars(
        select(Grid).where(Grid.plan_id == plan.id, Grid.grid_depth == 2).order_by(Grid.code)
    ).all()
    assert [(cell.households, cell.buildings, cell.band_state) for cell in lowest] == [
        (80, 4, "in_band"),
        (80, 4, "in_band"),
        (70, 4, "in_band"),
        (80, 4, "in_band"),
        (10, 1, "under"),
    ]
    assert len({cell.color_index for cell in lowest}) == len(lowest)
    tops = session.scalars(select(Grid).where(Grid.plan_id == plan.id, Grid.grid_depth == 1)).all()
    assert [(cell.households, cell.buildings) for cell in tops] == [(160, 8), (160, 8)]


def test_the_tolerance_widens_the_band(session):
    town = make_town(session, side=4, households=20)  # 320 a community; Donggang says 300, 20 percent either way
    plan = make_plan(session, town, preset="donggang", pieces=(1, 1, 1))
    bottom = session.scalars(select(Grid).where(Grid.plan_id == plan.id, Grid.grid_depth == 3)).one()
    assert bottom.band_state == "in_band"


def test_storing_again_replaces_what_was_there(session):
    town = make_town(session)
    plan = make_plan(session, town, stack=3)
    division = divide(town, load_preset("bishan"), pieces=(1, 4))
    plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=NOW)
    assert len(codes_of(session, plan, 1)) == 1
    assert len(codes_of(session, plan, 2)) == 4
    cut = session.scalar(text("SELECT count(*) FROM building_part WHERE kind <> 'whole'"))
    assert cut == 0, "cuts that nothing uses go"


def test_a_draft_changes_nothing_that_is_in_force(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    before = session.execute(text("SELECT * FROM cells_in_force ORDER BY id")).all()
    valid = session.execute(text("SELECT id FROM building_part WHERE upper_inf(valid_during) ORDER BY id")).all()
    make_plan(session, town, pieces=(1, 3), stack=5)
    assert session.execute(text("SELECT * FROM cells_in_force ORDER BY id")).all() == before
    assert (
        session.execute(text("SELECT id FROM building_part WHERE upper_inf(valid_during) ORDER BY id")).all() == valid
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: replace(d, cells=d.cells[:1]), "plan.wrong_depths"),
        (lambda d: replace(d, parts=d.parts.assign(building="nowhere")), "plan.unknown_building"),
        (lambda d: replace(d, parts=d.parts.assign(households=d.parts["households"] + 1)), "plan.sums_disagree"),
        (lambda d: replace(d, parts=d.parts.assign(cell="nowhere")), "plan.sums_disagree"),
        (
            lambda d: replace(d, cells=tuple(cells.assign(community="210681001009") for cells in d.cells)),
            "plan.wrong_communities",
        ),
    ],
)
def test_a_division_that_does_not_fit_is_refused(session, change, code):
    town = make_town(session)
    plan = make_plan(session, town)
    division = change(divide(town, load_preset("bishan"), pieces=(2, 2)))
    with pytest.raises(InvalidPlan) as caught:
        plans.store_division(session, plan.id, division=division, actor=SYSTEM, now=NOW)
    assert caught.value.code == code


def test_publication_answers_who_was_responsible_before(session):
    town = make_town(session)
    first = make_plan(session, town)
    publish(session, first)
    second = make_plan(session, town, pieces=(1, 4))
    publish(session, second, since=NOW)
    community = town.community_ids[0]
    assert plans.in_force(session, community_id=community, at=LONG_AGO - timedelta(days=1)) is None
    assert plans.in_force(session, community_id=community, at=NOW - timedelta(days=30)).id == first.id
    assert plans.in_force(session, community_id=community, at=NOW).id == second.id
    x, y = town.middle(0, 0)
    march, today = (plans.cell_at(session, lon=x, lat=y, at=at) for at in (NOW - timedelta(days=30), NOW))
    assert session.get(Grid, march).plan_id == first.id
    assert session.get(Grid, today).plan_id == second.id
    assert [plans.state_of(session, plan.id) for plan in (first, second)] == ["superseded", "in_force"]


def test_a_successor_may_replace_one_community_and_leave_the_other(session):
    town = make_town(session, communities=2)
    first = make_plan(session, town)
    publish(session, first)
    outcome = publish(session, make_plan(session, town, pieces=(1, 2), communities=town.communities[:1]), since=NOW)
    assert [(r.plan_id, r.communities) for r in outcome.replaces] == [(first.id, 1)]
    assert plans.state_of(session, first.id) == "in_force"
    assert plans.in_force(session, community_id=town.community_ids[1], at=NOW).id == first.id


def test_survivors_keep_their_codes_and_no_code_is_given_twice(session):
    town = make_town(session)
    first = make_plan(session, town, pieces=(2, 2))
    publish(session, first)
    old = set(codes_of(session, first))
    second = make_plan(session, town, pieces=(2, 3))
    publish(session, second, since=NOW)
    assert codes_of(session, second, 1) == codes_of(session, first, 1)
    new = set(codes_of(session, second, 2))
    assert not new & old
    retired = set(session.scalars(select(GridCode.value).where(GridCode.retired_at.is_not(None))))
    assert retired == set(codes_of(session, first, 2))
    third = make_plan(session, town, pieces=(2, 2))
    assert not set(codes_of(session, third, 2)) & (old | new)


def test_lineage_tells_where_households_and_ground_went(session):
    town = make_town(session)
    publish(session, make_plan(session, town, pieces=(1, 2)))
    publish(session, make_plan(session, town, pieces=(1, 4)), since=NOW)
    edges = session.scalars(select(GridLineage)).all()
    assert sorted(edge.kind for edge in edges) == ["keep", "split", "split", "split", "split"]
    for old in {edge.from_id for edge in edges}:
        mine = [edge for edge in edges if edge.from_id == old]
        assert sum(edge.area_ratio for edge in mine) == pytest.approx(1, abs=1e-6)
        assert sum(edge.households_ratio for edge in mine) == pytest.approx(1)


def test_cuts_of_buildings_move_with_the_plan(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    tower = buildings.by_code(session, building_code(town.communities[0].code, 3))
    publish(session, make_plan(session, town, stack=3), since=NOW)
    at = text(
        "SELECT kind, households FROM building_part WHERE building_id = :b AND valid_during @> CAST(:at AS timestamptz)"
        " ORDER BY id"
    )
    assert session.execute(at, {"b": tower.id, "at": NOW - timedelta(days=1)}).all() == [("whole", 20)]
    assert session.execute(at, {"b": tower.id, "at": NOW}).all() == [("floors", 10), ("floors", 10)]


def test_posts_move_with_the_cells_that_survive(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    tops = session.scalars(select(Grid).where(Grid.grid_depth == 1).order_by(Grid.code)).all()
    people = [Staff(code=f"s{n}", name=f"人{n}") for n in range(3)]
    session.add_all(people)
    session.flush()
    for person, cell in zip(people, tops, strict=False):
        place = staff.find_place(session, cell.code, "grid_officer", at=NOW)
        staff.assign(
            session,
            staff_id=person.id,
            post_id=place.post_id,
            grid_id=place.grid_id,
            valid_from=LONG_AGO,
            actor=SYSTEM,
            now=NOW,
        )
    low = session.scalars(select(Grid).where(Grid.grid_depth == 2).order_by(Grid.code)).first()
    leader = staff.find_place(session, low.code, "micro_grid_leader", at=NOW)
    staff.assign(
        session,
        staff_id=people[2].id,
        post_id=leader.post_id,
        grid_id=low.id,
        valid_from=LONG_AGO,
        actor=SYSTEM,
        now=NOW,
    )
    outcome = publish(session, make_plan(session, town, pieces=(2, 3)), since=NOW)
    assert (outcome.posts_moved, outcome.posts_lost) == (2, 1)
    x, y = town.middle(0, 0)
    cell = plans.cell_at(session, lon=x, lat=y, at=NOW)
    assert [holder.staff_name for holder in staff.responsible(session, grid_id=cell, at=NOW)] == ["人0"]


def test_what_was_noticed_is_renamed_with_its_cell(session):
    """A finding names its cell by code; a cell that goes on takes its old code, and the finding must follow."""
    town = make_town(session)
    publish(session, make_plan(session, town, pieces=(2, 2)))
    rule_set = load_preset("bishan")
    drawn = divide(town, rule_set, pieces=(2, 2))
    swapped = dict(zip(drawn.cells[0]["code"], reversed(list(drawn.cells[0]["code"])), strict=True))
    renamed = replace(
        drawn,
        cells=(
            drawn.cells[0].assign(code=drawn.cells[0]["code"].map(swapped)),
            drawn.cells[1].assign(parent=drawn.cells[1]["parent"].map(swapped)),
        ),
        findings=tuple(
            Finding("partition.out_of_band.x", Severity.NOTE, "grid", key=code, params={"households": n})
            for code, n in zip(drawn.cells[0]["code"].map(swapped), range(2), strict=True)
        ),
    )
    plan = make_plan(session, town)
    plans.store_division(session, plan.id, division=renamed, actor=SYSTEM, now=NOW)
    found = session.execute(
        select(PlanFinding.key, PlanFinding.params["households"].as_integer()).where(PlanFinding.plan_id == plan.id)
    ).all()
    assert dict(found) == dict(zip(drawn.cells[0]["code"], range(2), strict=True))


def test_the_floors_of_a_tower_follow_themselves_alone(session):
    town = make_town(session)
    publish(session, make_plan(session, town, stack=3))
    again = make_plan(session, town, stack=3)
    publish(session, again, since=NOW)
    pairs = session.execute(text("SELECT from_id, to_id, kind, households_ratio FROM grid_lineage")).all()
    assert {(row.kind, row.households_ratio) for row in pairs} == {("keep", 1.0)}
    assert len(pairs) == session.scalar(text("SELECT count(*) FROM grid WHERE plan_id = :p"), {"p": again.id})


def test_a_tower_cut_at_other_floors_gives_away_no_more_than_it_has(session):
    town = make_town(session)
    publish(session, make_plan(session, town, stack=3))
    drawn = divide(town, load_preset("bishan"), pieces=(2, 2), stack=3)
    parts, cells = drawn.parts.copy(), drawn.cells[1].copy()
    lower, upper = parts["floor_from"] == 1, parts["floor_from"] == 6
    assert lower.sum() == upper.sum() == 1
    parts.loc[lower, ["floor_to", "households"]] = [8, 14]
    parts.loc[upper, ["floor_from", "households"]] = [9, 6]
    for frame_column, column in (("floor_from", "floor_from"), ("floor_to", "floor_to")):
        cells[frame_column] = cells["code"].map(parts.groupby("cell")[column].max())
    cells["households"] = cells["code"].map(parts.groupby("cell")["households"].sum()).astype(int)
    plan = make_plan(session, town)
    changed = replace(drawn, parts=parts, cells=(drawn.cells[0], cells))
    plans.store_division(session, plan.id, division=changed, actor=SYSTEM, now=NOW)
    publish(session, plan, since=NOW)
    given = session.execute(
        text("SELECT from_id, sum(households_ratio) FROM grid_lineage GROUP BY 1 HAVING sum(households_ratio) > 1.001")
    ).all()
    assert given == []


def test_open_incidents_follow_the_plan_by_an_event(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    make_category(session)
    x, y = town.middle(0, 0)
    made = [
        incidents.report(session, lon=x, lat=y, category="0201", title="t", request_id=None, actor=SYSTEM, now=NOW)
        for _ in range(2)
    ]
    incidents.act(session, made[1].id, action="reject", request_id=None, actor=SYSTEM, now=NOW)
    first_cell = made[0].grid_id
    outcome = publish(session, make_plan(session, town, pieces=(1, 4)), since=NOW)
    assert outcome.incidents_rehomed == 1
    session.refresh(made[0])
    session.refresh(made[1])
    assert made[0].grid_id == plans.cell_at(session, lon=x, lat=y, at=NOW)
    assert made[1].grid_id == first_cell, "what is ended stays where it was"
    last = incidents.events(session, made[0].id)[-1]
    assert (last.kind, last.details) == ("rehome", {"from_grid_id": first_cell, "to_grid_id": made[0].grid_id})
    incidents.replay(session, made[0].id)


def test_incidents_of_a_plan_for_tomorrow_are_rehomed_when_its_day_has_come(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    make_category(session)
    x, y = town.middle(0, 0)
    made = incidents.report(session, lon=x, lat=y, category="0201", title="t", request_id=None, actor=SYSTEM, now=NOW)
    outcome = publish(session, make_plan(session, town, pieces=(1, 4)), since=SOON)
    assert outcome.incidents_rehomed == 0
    assert plans.settle(session, actor=SYSTEM, now=NOW) == 0
    assert plans.settle(session, actor=SYSTEM, now=SOON) == 1
    assert plans.settle(session, actor=SYSTEM, now=SOON) == 0
    session.refresh(made)
    assert made.grid_id == plans.cell_at(session, lon=x, lat=y, at=SOON)


def test_a_preview_shows_what_publication_does_and_changes_nothing(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    plan = make_plan(session, town, pieces=(1, 4))
    count = text("SELECT (SELECT count(*) FROM grid_lineage), (SELECT count(*) FROM audit_log)")
    before = session.execute(count).all()
    shown = plans.publish(session, plan.id, actor=SYSTEM, now=NOW, commit=False)
    assert session.execute(count).all() == before
    assert plans.state_of(session, plan.id) == "draft"
    done = plans.publish(session, plan.id, actor=SYSTEM, now=NOW)
    assert (shown.is_committed, done.is_committed) == (False, True)
    assert replace(shown, is_committed=True) == done


def test_a_withdrawn_plan_leaves_all_as_it_was(session):
    town = make_town(session)
    first = make_plan(session, town)
    publish(session, first)
    state = text(
        "SELECT (SELECT array_agg(in_force_during::text ORDER BY plan_id) FROM plan_community WHERE plan_id = :first),"
        " (SELECT count(*) FROM building_part WHERE upper_inf(valid_during)),"
        " (SELECT count(*) FROM grid_code WHERE retired_at IS NULL), (SELECT count(*) FROM grid_code),"
        " (SELECT count(*) FROM assignment), (SELECT count(*) FROM grid_lineage)"
    )
    before = session.execute(state, {"first": first.id}).one()
    second = make_plan(session, town, pieces=(1, 4), stack=3)
    publish(session, second, since=SOON)
    assert session.execute(state, {"first": first.id}).one() != before
    plans.withdraw(session, second.id, actor=SYSTEM, now=NOW)
    assert session.execute(state, {"first": first.id}).one() == before
    assert plans.state_of(session, second.id) == "approved"
    publish(session, second, since=SOON)  # and it may be published after all
    assert plans.state_of(session, second.id) == "future"


def test_a_plan_in_force_cannot_be_withdrawn(session):
    plan = make_plan(session, make_town(session))
    publish(session, plan)
    with pytest.raises(WrongState) as caught:
        plans.withdraw(session, plan.id, actor=SYSTEM, now=NOW)
    assert caught.value.code == "plan.not_future"


def test_after_its_day_one_goes_back_by_a_copy_of_the_plan_before(session):
    town = make_town(session)
    first = make_plan(session, town, stack=3)
    publish(session, first)
    publish(session, make_plan(session, town, pieces=(1, 4)), since=NOW)
    back = plan_copy.copy(session, first.id, title="恢复", actor=SYSTEM, now=NOW)
    plans.publish(session, back.id, actor=SYSTEM, now=NOW + timedelta(minutes=1))
    ground = text("SELECT array_agg(md5(ST_AsBinary(geom)) ORDER BY ST_AsBinary(geom)) FROM grid WHERE plan_id = :p")
    assert session.scalar(ground, {"p": back.id}) == session.scalar(ground, {"p": first.id})
    assert not set(codes_of(session, back, 2)) & set(codes_of(session, first, 2)), "no code is given again"
    assert plans.statistics(session, back.id)["tiers"] == plans.statistics(session, first.id)["tiers"]


def test_a_discarded_draft_leaves_only_its_row_and_log(session):
    town = make_town(session)
    plan = make_plan(session, town, stack=3)
    plans.discard(session, plan.id, actor=SYSTEM, now=NOW)
    for table in (Grid, GridPart, PlanFinding):
        assert session.scalars(select(table).where(table.plan_id == plan.id)).all() == []
    kinds = session.scalars(select(PlanEvent.kind).where(PlanEvent.plan_id == plan.id).order_by(PlanEvent.seq)).all()
    assert kinds == ["create", "store", "discard"]
    with pytest.raises(WrongState):
        publish(session, plan)


def test_a_plan_with_a_building_too_few_is_not_published(session):
    town = make_town(session)
    plan = make_plan(session, town)
    buildings.by_code(session, building_code(town.communities[0].code, 0)).households += 5
    session.flush()
    with pytest.raises(InvalidPlan) as caught:
        publish(session, plan)
    assert caught.value.code == "plan.incomplete"
    assert caught.value.params["violations"][0]["code"] == "plan.building_not_placed"


def test_a_plan_with_a_gap_or_an_overlap_is_not_published(session):
    town = make_town(session)
    for shape, kind in (
        (square(124.15, 39.86, 124.152, 39.87), "gap"),
        (square(124.15, 39.86, 124.159, 39.87), "overlap"),
    ):
        plan = make_plan(session, town, pieces=(2, 1))
        session.execute(
            text(
                "UPDATE grid SET geom = ST_GeomFromEWKT(:geom) WHERE id = (SELECT min(id) FROM grid WHERE plan_id = :p)"
            ),
            {"geom": wkt(shape), "p": plan.id},
        )
        with pytest.raises(InvalidPlan) as caught:
            publish(session, plan)
        assert f"plan.ground_{kind}" in {violation["code"] for violation in caught.value.params["violations"]}


@pytest.mark.parametrize(("preset", "pieces"), [("six", (2, 1, 2)), ("donggang", (1, 1, 2))])
def test_posts_go_on_where_other_rules_put_a_tier_above_the_grids(session, preset, pieces):
    town = make_town(session)
    old = make_plan(session, town)
    publish(session, old, since=NOW - timedelta(days=9))
    grid = session.scalars(select(Grid).where(Grid.plan_id == old.id, Grid.grid_depth == 1).order_by(Grid.id)).first()
    officer = Staff(name="张三", code="Z3")
    session.add(officer)
    session.flush()
    post = session.scalars(select(PostRow.id).where(PostRow.code == "grid_officer")).one()
    staff.assign(
        session, staff_id=officer.id, post_id=post, grid_id=grid.id, valid_from=LONG_AGO, actor=SYSTEM, now=NOW
    )
    plan = make_plan(session, town, preset=preset, pieces=pieces, valid_from=date(2021, 1, 1))
    outcome = publish(session, plan, since=NOW)
    assert (outcome.posts_moved, outcome.posts_lost) == (1, 0)
    held = session.scalars(
        select(Grid).join(Assignment, Assignment.grid_id == Grid.id).where(Grid.plan_id == plan.id)
    ).one()
    assert (held.grid_depth, held.geom == grid.geom) == (3 if preset == "donggang" else 2, True)
    kinds = session.scalars(
        select(GridLineage.kind).where(GridLineage.from_id == grid.id, GridLineage.to_id == held.id)
    ).all()
    assert kinds == ["rename"]
    assert held.code != grid.code


def test_an_empty_draft_is_not_published(session):
    town = make_town(session)
    row = rules.store(
        session, load_preset("bishan"), area_id=town.street.id, valid_from=date(2020, 1, 1), actor=SYSTEM, now=NOW
    )
    plan = plans.create_draft(session, area_id=town.street.id, rule_set_id=row.id, title="空", actor=SYSTEM, now=NOW)
    with pytest.raises(InvalidPlan) as caught:
        publish(session, plan)
    assert caught.value.code == "plan.empty"


def test_the_past_that_was_governed_is_not_rewritten(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    with pytest.raises(InvalidInput) as caught:
        publish(session, make_plan(session, town), since=NOW - timedelta(days=2))
    assert caught.value.code == "plan.past_is_closed"


def test_a_plan_before_one_that_waits_for_its_day_is_refused(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    publish(session, make_plan(session, town), since=SOON)
    with pytest.raises(Overlap) as caught:
        publish(session, make_plan(session, town), since=NOW)
    assert caught.value.code == "plan.overlaps_published"


def test_publication_is_refused_if_other_plans_would_be_replaced_than_were_shown(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    plan = make_plan(session, town)
    with pytest.raises(StaleRevision) as caught:
        plans.publish(session, plan.id, replaces=[], actor=SYSTEM, now=NOW)
    assert caught.value.code == "plan.predecessor_changed"


def test_a_published_plan_is_frozen_for_use_cases_too(session):
    plan = make_plan(session, make_town(session))
    publish(session, plan)
    with pytest.raises(WrongState):
        plans.discard(session, plan.id, actor=SYSTEM, now=NOW)


def test_a_plan_takes_only_communities_of_its_area(session):
    town = make_town(session, communities=2)
    first, second = town.communities
    row = rules.store(
        session, load_preset("bishan"), area_id=town.street.id, valid_from=date(2020, 1, 1), actor=SYSTEM, now=NOW
    )
    with pytest.raises(IntegrityError) as caught, session.begin_nested():
        plans.create_draft(
            session,
            area_id=first.id,
            rule_set_id=row.id,
            community_ids=[second.id],
            title="t",
            actor=SYSTEM,
            now=NOW,
        )
    assert translate(caught.value).code == "plan.community_outside"


def test_only_who_may_publish_in_the_area_publishes(session):
    town = make_town(session)
    plan = make_plan(session, town)
    for role, path, allowed in (
        (Role.VIEWER, "210681", False),
        (Role.DISPATCHER, "210681", False),
        (Role.PLANNER, town.communities[0].path, False),  # the plan is the street's
        (Role.PLANNER, "210681.210681001", False),
        (Role.ADMINISTRATOR, "210681.210681001", True),
    ):
        somebody = Actor(user_id=None, name="x", grants=(Grant(role, path),))
        if allowed:
            plans.publish(session, plan.id, actor=somebody, now=NOW)
        else:
            with pytest.raises(NotAllowed):
                plans.publish(session, plan.id, actor=somebody, now=NOW)


def test_every_act_on_a_plan_is_in_the_audit_log(session):
    town = make_town(session)
    plan = make_plan(session, town)
    publish(session, plan, since=SOON)
    plans.withdraw(session, plan.id, actor=SYSTEM, now=NOW)
    plan_approval.return_(session, plan.id, note="改", actor=SYSTEM, now=NOW)
    plans.discard(session, plan.id, actor=SYSTEM, now=NOW)
    acts = session.scalars(
        select(AuditLog.action).where(AuditLog.subject == f"plan:{plan.id}").order_by(AuditLog.id)
    ).all()
    assert acts == ["plan.create", "plan.store", "plan.publish", "plan.withdraw", "plan.return", "plan.discard"]


def test_unknown_plans_are_not_found(session):
    for ask in (plans.get, plans.state_of):
        with pytest.raises(NotFound):
            ask(session, 987654321)


def test_statistics_count_each_tier(session):
    town = make_town(session)
    plan = make_plan(session, town, stack=3)
    grids, micro = plans.statistics(session, plan.id)["tiers"]
    assert (grids["cells"], grids["in_band"], grids["under"], grids["households_sum"]) == (2, 0, 2, 320)
    assert (micro["cells"], micro["in_band"], micro["households_min"], micro["households_max"]) == (5, 4, 10, 80)
    assert micro["in_band_ratio"] == pytest.approx(0.8)
    assert sum(n for _, _, n in micro["histogram"]) == 5
    assert all(high <= 80 or low > 80 for low, high, _ in micro["histogram"])
    assert (grids["buildings"], micro["buildings"]) == (16, 16)
    assert micro["area_m2"] == pytest.approx(4 * 1000)  # two of the five cells lie over the same ground
    found = plans.violations(session, plan.id)
    assert [item["code"] for item in found] == ["plan.cell_under"] * 3
    assert found[0]["params"]["excess"] == 160 - 300


def test_a_town_comes_back_out_of_the_database_as_it_went_in(session):
    town = make_town(session, communities=2)
    value = plans.town_of(session, community_ids=town.community_ids)
    assert list(value["communities"]["code"]) == [community.code for community in town.communities]
    assert value["buildings"]["households"].sum() == 2 * 16 * 20
    assert value.geo("communities").total_bounds == pytest.approx([124.15, 39.86, 124.15 + 2 * SIZE, 39.87])
    assert set(value["areas"]["level"]) == {"county", "street"}


def test_views_show_what_is_in_force_now(session):
    town = make_town(session, communities=2)
    publish(session, make_plan(session, town, stack=3))
    publish(session, make_plan(session, town, pieces=(1, 1)), since=SOON)
    counts = {
        view: session.scalar(text(f"SELECT count(*) FROM {view}"))
        for view in ("grids_in_force", "micro_grids_in_force", "buildings_in_force")
    }
    assert counts == {"grids_in_force": 4, "micro_grids_in_force": 10, "buildings_in_force": 32}
    tower = session.execute(
        text("SELECT cell_codes, grid_codes FROM buildings_in_force WHERE code = :code"),
        {"code": building_code(town.communities[0].code, 3)},
    ).one()
    assert tower.cell_codes.count(",") == 1
    assert "," not in tower.grid_codes


def test_assignments_are_copied_not_moved_so_the_past_keeps_its_people(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    top = session.scalars(select(Grid).where(Grid.grid_depth == 1).order_by(Grid.code)).first()
    person = Staff(code="s", name="人")
    session.add(person)
    session.flush()
    post = staff.find_place(session, top.code, "grid_leader", at=NOW).post_id
    staff.assign(session, staff_id=person.id, post_id=post, grid_id=top.id, valid_from=LONG_AGO, actor=SYSTEM, now=NOW)
    publish(session, make_plan(session, town, pieces=(2, 3)), since=NOW)
    held = session.scalars(select(Assignment).order_by(Assignment.id)).all()
    assert [row.carried_from_id for row in held] == [None, held[0].id]
    assert [cell.plan_id for cell in staff.cells_of(session, staff_id=person.id, at=NOW - timedelta(days=9))] == [
        top.plan_id
    ]
    assert len(staff.cells_of(session, staff_id=person.id, at=datetime.now(UTC))) == 1


def test_a_cell_that_goes_on_under_another_number_has_not_kept_its_code(session):
    town = make_town(session)
    publish(session, make_plan(session, town))
    plan = make_plan(session, town, preset="six", pieces=(2, 1, 2), valid_from=date(2021, 1, 1))
    assert publish(session, plan, since=NOW).cells_kept == 0
