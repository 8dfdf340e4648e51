"""What may never be true is refused by the database itself, by a constraint or guard of a known name.

Each case writes as a stranger would who knows SQL and no Python; the name is what `gis.db.translate` looks up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from usecases.builders import LONG_AGO, NOW, SmallTown, make_category, make_plan, make_town

from gis import incidents, plans
from gis.db import REFUSALS, translate
from gis.messages import LANGUAGES, catalogue
from gis.models import Plan
from gis.permissions import SYSTEM

SQUARE = "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))', 4326)"
BOWTIE = "ST_GeomFromText('MULTIPOLYGON(((0 0,1 1,1 0,0 1,0 0)))', 4326)"
_GRID = (
    "INSERT INTO grid (plan_id, community_id, rule_set_id, grid_depth, parent_id, code, households, area_m2, geom)"
    f" VALUES (:draft, {{community}}, :rules, {{depth}}, {{parent}}, 'c', 0, 1, {SQUARE})"
)


@dataclass
class World:
    """A town with a plan in force, a draft, a person, a user and an incident, and a place to try SQL."""

    session: Session
    town: SmallTown
    published: Plan
    draft: Plan
    incident: int
    names: dict[str, int]

    def refused(self, statement: str, **values: object) -> str:
        """The name under which the database refuses a statement; fails if it does not."""
        known = {**self.names, **values}
        self.session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        try:
            with self.session.begin_nested():
                for one in statement.split(";"):
                    self.session.execute(text(one), known)
        except DBAPIError as error:
            return str(error.orig.diag.constraint_name or error.orig)  # type: ignore[union-attr]
        raise AssertionError(f"not refused: {statement}")


@pytest.fixture(scope="module")
def built(engine: Engine) -> Iterator[World]:
    """One world for all cases: what is refused leaves no trace."""
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield build(session)
        transaction.rollback()


@pytest.fixture
def world(built: World) -> Iterator[World]:
    savepoint = built.session.begin_nested()
    yield built
    savepoint.rollback()
    built.session.expire_all()


def build(session: Session) -> World:
    town = make_town(session, communities=2, side=2)
    published = make_plan(session, town, stack=3)
    plans.publish(session, published.id, effective_from=LONG_AGO, actor=SYSTEM, now=NOW)
    draft = make_plan(session, town, pieces=(2, 1), communities=town.communities[:1])
    make_category(session)
    x, y = town.middle(0, 0)
    incident = incidents.report(
        session, lon=x, lat=y, category="0201", title="垃圾", request_id="first", actor=SYSTEM, now=NOW
    )
    session.execute(text("INSERT INTO department (code, name) VALUES ('D', '城管局'), ('E', '水务局')"))
    session.execute(text("INSERT INTO staff (code, name) VALUES ('s1', '王'), ('s2', '李')"))
    session.execute(
        text(
            "INSERT INTO user_account (username, name, password_hash, created_at, password_changed_at)"
            " VALUES ('u', 'U', 'x', now(), now())"
        )
    )
    ids = session.execute(
        text(
            """
            SELECT (SELECT min(id) FROM grid WHERE plan_id = :plan AND grid_depth = 1) AS top,
                   (SELECT min(id) FROM grid WHERE plan_id = :plan AND grid_depth = 2) AS low,
                   (SELECT min(id) FROM grid WHERE plan_id = :draft AND grid_depth = 1) AS draft_top,
                   (SELECT max(id) FROM grid WHERE plan_id = :draft AND grid_depth = 1) AS draft_top2,
                   (SELECT min(id) FROM grid WHERE plan_id = :draft AND grid_depth = 2) AS draft_low,
                   (SELECT min(building_part_id) FROM grid_part WHERE plan_id = :draft) AS part,
                   (SELECT min(id) FROM building) AS building,
                   (SELECT min(id) FROM staff) AS person, (SELECT max(id) FROM staff) AS other,
                   (SELECT id FROM user_account) AS account,
                   (SELECT min(id) FROM department) AS department, (SELECT max(id) FROM department) AS department2,
                   (SELECT p.id FROM post p WHERE p.code = 'grid_officer') AS officer,
                   (SELECT p.id FROM post p WHERE p.code = 'community_secretary') AS secretary
            """
        ),
        {"plan": published.id, "draft": draft.id},
    ).one()
    names = {
        **ids._mapping,
        "plan": published.id,
        "draft": draft.id,
        "rules": published.rule_set_id,
        "street": town.street.id,
        "county": town.street.parent_id,
        "community": town.community_ids[0],
        "community2": town.community_ids[1],
        "incident": incident.id,
    }
    return World(session, town, published, draft, incident.id, names)


CASES: list[tuple[str, str]] = [
    # --- the tree
    (
        "fk_admin_area_parent_level",
        "INSERT INTO admin_area (level, code, name, parent_id, parent_path)"
        " SELECT 'community', 'x', 'x', id, path FROM admin_area WHERE id = :county",
    ),
    (
        "fk_admin_area_parent",
        "INSERT INTO admin_area (level, code, name, parent_id, parent_path)"
        " VALUES ('community', 'x', 'x', :street, '1.2.3')",
    ),
    ("fk_admin_area_parent", "DELETE FROM admin_area WHERE id = :county"),
    (
        "ck_admin_area_parent_whole",
        "INSERT INTO admin_area (level, code, name, parent_id) VALUES ('community', 'x', 'x', :street)",
    ),
    ("ck_admin_area_code_form", "INSERT INTO admin_area (level, code, name) VALUES ('county', '1.2', 'x')"),
    ("ck_admin_area_level_known", "INSERT INTO admin_area (level, code, name) VALUES ('planet', '1', 'x')"),
    ("uq_admin_area_code", "INSERT INTO admin_area (level, code, name) VALUES ('county', '210681', 'x')"),
    (
        "ck_admin_area_geom_valid",
        f"INSERT INTO admin_area (level, code, name, geom) VALUES ('county', 'x', 'x', {BOWTIE})",
    ),
    # --- rules
    (
        "ex_rule_set_one_at_a_time",
        "INSERT INTO rule_set (area_id, code, name_zh, source, is_verified, grid_depths, valid_during)"
        " SELECT area_id, 'b', 'b', 'b', true, 1, '[2021-01-01,)' FROM rule_set WHERE id = :rules",
    ),
    ("tr_rule_set_frozen", "UPDATE rule_set SET name_zh = 'x' WHERE id = :rules"),
    ("tr_rule_set_frozen", "UPDATE tier SET households_max = 900 WHERE rule_set_id = :rules"),
    ("tr_rule_set_frozen", "DELETE FROM post WHERE id = :officer"),
    (
        "tr_rule_set_frozen",
        "INSERT INTO tier (rule_set_id, ordinal, kind, grid_depth, name_zh, code_digits)"
        " VALUES (:rules, 5, 'micro_grid', 3, 'x', 2)",
    ),
    (
        "tr_plan_rules_usable",
        "WITH r AS (INSERT INTO rule_set (area_id, code, name_zh, source, is_verified, grid_depths, valid_during)"
        "  VALUES (:community, 'b', 'b', 'b', true, 1, '[2021-01-01,)') RETURNING id)"
        " INSERT INTO plan (area_id, rule_set_id, grid_depths, title, created_at, created_by)"
        " SELECT :street, id, 1, 't', now(), 'x' FROM r",
    ),
    # --- buildings
    ("ck_building_floors_range", "UPDATE building SET floors = 201 WHERE id = :building"),
    ("ck_building_height_positive", "UPDATE building SET height_m = 0 WHERE id = :building"),
    ("ck_building_households_not_negative", "UPDATE building SET households = -1 WHERE id = :building"),
    ("ck_building_geom_valid", f"UPDATE building SET geom = {BOWTIE} WHERE id = :building"),
    ("fk_building_community", "UPDATE building SET area_id = :street WHERE id = :building"),
    (
        "ex_building_part_no_overlap",  # a unit beside the whole
        "INSERT INTO building_part (building_id, unit_span, households, valid_during)"
        " VALUES (:building, '[1,2)', 1, tstzrange(now(), NULL))",
    ),
    (
        "ck_building_part_households_not_negative",
        "INSERT INTO building_part (building_id, households) VALUES (:building, -1)",
    ),
    # --- plans
    ("ck_plan_published_signed", "UPDATE plan SET status = 'published' WHERE id = :draft"),
    ("tr_plan_frozen", "UPDATE plan SET title = 'x' WHERE id = :plan"),
    ("tr_plan_frozen", "UPDATE plan SET status = 'draft' WHERE id = :plan"),
    ("tr_plan_frozen", "DELETE FROM plan WHERE id = :plan"),
    ("tr_plan_frozen", "TRUNCATE plan CASCADE"),
    ("tr_plan_frozen", "DELETE FROM plan_community WHERE plan_id = :plan"),
    ("tr_plan_frozen", "UPDATE grid SET households = 1 WHERE id = :low"),
    ("tr_plan_frozen", "DELETE FROM grid_part WHERE plan_id = :plan"),
    ("tr_plan_frozen", "UPDATE grid_part SET grid_id = :low WHERE plan_id = :plan"),
    (
        "tr_plan_community_past",
        "UPDATE plan_community SET in_force_during = tstzrange(now() - interval '60 days', NULL) WHERE plan_id = :plan",
    ),
    (
        "tr_plan_community_past",
        "UPDATE plan_community SET in_force_during = tstzrange(lower(in_force_during), now() - interval '60 days')"
        " WHERE plan_id = :plan",
    ),
    (
        "ck_plan_community_in_force_only_published",
        "WITH c AS (INSERT INTO grid_code (scheme, value, community_id, given_at)"
        "  SELECT 'wangge', code, community_id, now() FROM grid WHERE plan_id = :draft ON CONFLICT DO NOTHING)"
        " DELETE FROM grid_part WHERE plan_id = :draft;"
        "DELETE FROM grid WHERE plan_id = :draft AND grid_depth = 2; DELETE FROM grid WHERE plan_id = :draft;"
        "UPDATE plan_community SET in_force_during = tstzrange(now(), NULL) WHERE plan_id = :draft",
    ),
    (
        "ex_plan_one_in_force",
        "DELETE FROM grid_part WHERE plan_id = :draft;"
        "DELETE FROM grid WHERE plan_id = :draft AND grid_depth = 2; DELETE FROM grid WHERE plan_id = :draft;"
        "UPDATE plan SET status = 'published', effective_from = now(), published_at = now(), published_by = 'x'"
        " WHERE id = :draft;"
        "UPDATE plan_community SET in_force_during = tstzrange(now(), NULL) WHERE plan_id = :draft",
    ),
    (
        "tr_plan_codes_registered",
        "UPDATE grid SET code = 'new' WHERE id = :draft_low;"
        "UPDATE plan SET status = 'published', effective_from = now(), published_at = now(), published_by = 'x'"
        " WHERE id = :draft;"
        "UPDATE plan_community SET in_force_during = tstzrange(now(), NULL) WHERE plan_id = :draft",
    ),
    ("fk_plan_community_community", "INSERT INTO plan_community (plan_id, community_id) VALUES (:draft, :street)"),
    (
        "tr_plan_community_inside",
        "INSERT INTO admin_area (level, code, name) VALUES ('community', 'far2', 'far');"
        "INSERT INTO plan_community (plan_id, community_id) SELECT :draft, id FROM admin_area WHERE code = 'far2'",
    ),
    # --- cells
    ("fk_grid_parent", "UPDATE grid SET parent_id = :top WHERE id = :draft_low"),  # of another plan
    ("ck_grid_parent_unless_top", "UPDATE grid SET parent_id = NULL WHERE id = :draft_low"),
    ("ck_grid_parent_unless_top", "UPDATE grid SET parent_id = :draft_top WHERE id = :draft_top2"),
    ("fk_grid_tier", _GRID.format(community=":community", depth=3, parent=":draft_low")),
    ("fk_grid_plan_community", _GRID.format(community=":community2", depth=1, parent="NULL")),
    ("ck_grid_geom_valid", f"UPDATE grid SET geom = {BOWTIE} WHERE id = :draft_low"),
    (
        "uq_grid_plan_id_code",
        "UPDATE grid SET code = (SELECT code FROM grid WHERE id = :draft_top) WHERE id = :draft_top2",
    ),
    ("fk_grid_part_grid", "UPDATE grid_part SET grid_id = :low WHERE plan_id = :draft"),
    ("fk_grid_part_grid", "UPDATE grid_part SET grid_id = :draft_top WHERE plan_id = :draft"),
    (
        "pk_grid_part",
        "INSERT INTO grid_part SELECT * FROM grid_part WHERE plan_id = :draft AND building_part_id = :part",
    ),
    (
        "ex_grid_part_no_overlap",  # the whole of a building and a unit of it in one plan
        "WITH p AS (INSERT INTO building_part (building_id, unit_span, households)"
        "  SELECT building_id, '[1,2)', 1 FROM building_part WHERE id = :part RETURNING *)"
        " INSERT INTO grid_part (plan_id, building_part_id, grid_id, grid_depth, building_id, unit_span, floor_span,"
        "  households) SELECT :draft, id, :draft_low, 2, building_id, unit_span, floor_span, 1 FROM p",
    ),
    (
        "ck_grid_lineage_area_ratio_range",
        "INSERT INTO grid_lineage (from_id, to_id, kind, area_ratio, households_ratio)"
        " VALUES (:top, :draft_top, 'keep', 1.1, 1)",
    ),
    (
        "pk_grid_code",
        "INSERT INTO grid_code (scheme, value, community_id, given_at)"
        " SELECT scheme, value, community_id, now() FROM grid_code LIMIT 1",
    ),
    ("tr_grid_code_stays", "DELETE FROM grid_code"),
    ("tr_grid_code_stays", "UPDATE grid_code SET value = value || 'x'"),
    (
        "uq_plan_run_one_alive",
        "INSERT INTO plan_run (plan_id, created_at, created_by) VALUES (:draft, now(), 'x'), (:draft, now(), 'x')",
    ),
    # --- people
    (
        "ck_assignment_one_place",
        "INSERT INTO assignment (staff_id, post_id, is_single, valid_during)"
        " VALUES (:person, :officer, true, tstzrange(now(), NULL))",
    ),
    (
        "ck_assignment_one_place",
        "INSERT INTO assignment (staff_id, post_id, is_single, grid_id, area_id, valid_during)"
        " SELECT :person, :officer, true, :top, :community, tstzrange(now(), NULL) WHERE false"
        " UNION ALL SELECT :person, :secretary, true, NULL, NULL, tstzrange(now(), NULL)",
    ),
    (
        "tr_assignment_fits",  # a grid's post on a micro-grid
        "INSERT INTO assignment (staff_id, post_id, is_single, grid_id, valid_during)"
        " VALUES (:person, :officer, true, :low, tstzrange(now(), NULL))",
    ),
    (
        "tr_assignment_fits",  # a community's post on a street
        "INSERT INTO assignment (staff_id, post_id, is_single, area_id, valid_during)"
        " VALUES (:person, :secretary, true, :street, tstzrange(now(), NULL))",
    ),
    (
        "ex_assignment_single_post",
        "INSERT INTO assignment (staff_id, post_id, is_single, grid_id, valid_during)"
        " VALUES (:person, :officer, true, :top, tstzrange(now(), NULL)),"
        "        (:other, :officer, true, :top, tstzrange(now() + interval '1 day', NULL))",
    ),
    (
        "fk_assignment_post",  # a single post passed off as one for many
        "INSERT INTO assignment (staff_id, post_id, is_single, grid_id, valid_during)"
        " VALUES (:person, :officer, false, :top, tstzrange(now(), NULL))",
    ),
    ("ck_department_not_own_parent", "UPDATE department SET parent_id = id WHERE id = :department"),
    (
        "ex_role_grant_once",
        "INSERT INTO role_grant (user_id, role, valid_during) VALUES (:account, 'viewer', tstzrange(now(), NULL)),"
        " (:account, 'viewer', tstzrange(now(), NULL))",
    ),
    (
        "ck_role_grant_role_known",
        "INSERT INTO role_grant (user_id, role, valid_during) VALUES (:account, 'king', tstzrange(now(), NULL))",
    ),
    (
        "uq_user_account_username",
        "INSERT INTO user_account (username, name, password_hash, created_at, password_changed_at)"
        " VALUES ('u', 'U', 'x', now(), now())",
    ),
    # --- incidents
    ("fk_incident_log", "UPDATE incident SET status = 'accepted' WHERE id = :incident"),
    ("fk_incident_log", "UPDATE incident SET last_seq = 2 WHERE id = :incident"),
    (
        "ck_incident_dispatched_has_lead",
        "UPDATE incident SET status = 'dispatched' WHERE id = :incident",
    ),
    ("ck_incident_closed_timed", "UPDATE incident SET closed_at = now() WHERE id = :incident"),
    ("ck_incident_closed_timed", "UPDATE incident SET status = 'rejected' WHERE id = :incident"),
    (
        "ck_incident_closed_after_reported",
        "UPDATE incident SET status = 'rejected', closed_at = reported_at - interval '1 s' WHERE id = :incident",
    ),
    (
        "tr_incident_lead_locked",
        "UPDATE incident SET lead_department_id = :department, lead_locked_at = now() WHERE id = :incident;"
        "UPDATE incident SET lead_department_id = :department2 WHERE id = :incident",
    ),
    (
        "tr_incident_report_frozen",
        "UPDATE incident SET geom = ST_SetSRID(ST_MakePoint(0, 0), 4326) WHERE id = :incident",
    ),
    ("tr_incident_report_frozen", "UPDATE incident SET reported_at = now() - interval '1 y' WHERE id = :incident"),
    ("fk_incident_event_incident_id", "DELETE FROM incident WHERE id = :incident"),
    (
        "fk_incident_event_previous",  # an event that does not begin where the one before ended
        "INSERT INTO incident_event (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor)"
        " VALUES (:incident, 2, 'start', 'dispatched', 'in_progress', now(), now(), 'x')",
    ),
    (
        "fk_incident_event_previous",  # a hole in the numbers
        "INSERT INTO incident_event (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor)"
        " VALUES (:incident, 3, 'accept', 'reported', 'accepted', now(), now(), 'x')",
    ),
    (
        "uq_incident_event_request_id",
        "INSERT INTO incident_event (incident_id, seq, kind, from_status, to_status, occurred_at, recorded_at, actor,"
        " request_id) VALUES (:incident, 2, 'accept', 'reported', 'accepted', now(), now(), 'x', 'first')",
    ),
    ("tr_incident_event_append_only", "UPDATE incident_event SET note = 'x'"),
    ("tr_incident_event_append_only", "DELETE FROM incident_event"),
    ("tr_incident_event_append_only", "TRUNCATE incident_event CASCADE"),
    ("tr_plan_event_append_only", "DELETE FROM plan_event"),
    ("tr_audit_log_append_only", "UPDATE audit_log SET actor = 'somebody else'"),
    ("tr_audit_log_append_only", "TRUNCATE audit_log"),
]


@pytest.mark.parametrize(("name", "statement"), CASES)
def test_the_database_refuses(world: World, name: str, statement: str) -> None:
    assert world.refused(statement) == name


def test_a_code_that_is_retired_cannot_come_into_force_again(world: World) -> None:
    publish = (
        "UPDATE grid_code SET retired_at = now() - interval '1 day';"
        "UPDATE plan_community SET in_force_during = tstzrange(lower(in_force_during), now()) WHERE plan_id = :plan;"
        "UPDATE plan SET status = 'published', effective_from = now(), published_at = now(), published_by = 'x'"
        " WHERE id = :draft;"
        "UPDATE plan_community SET in_force_during = tstzrange(now(), NULL) WHERE plan_id = :draft"
    )
    assert world.refused(publish) == "tr_plan_codes_registered"


def test_a_changed_code_runs_down_the_tree(world: World) -> None:
    world.session.execute(text("UPDATE admin_area SET code = '999' WHERE id = :county"), world.names)
    paths = world.session.scalars(text("SELECT path FROM admin_area ORDER BY path")).all()
    assert paths == [
        "999",
        "999.210681001",
        "999.210681001.210681001001",
        "999.210681001.210681001002",
    ]


def test_the_end_of_rules_in_use_may_be_set(world: World) -> None:
    world.session.execute(
        text("UPDATE rule_set SET valid_during = daterange(lower(valid_during), '2030-01-01') WHERE id = :rules"),
        world.names,
    )


def test_refusals_are_named_in_both_languages() -> None:
    for kind, code in REFUSALS.values():
        assert issubclass(kind, Exception)
        for language in LANGUAGES:
            assert code in catalogue(language), code


def test_every_known_refusal_is_a_constraint_or_guard_of_the_database(world: World) -> None:
    constraints = set(
        world.session.scalars(text("SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace"))
    )
    constraints |= set(
        world.session.scalars(
            text("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname ~ '^uq_'")
        )
    )
    guards = "".join(
        world.session.scalars(text("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))
    )
    for name in REFUSALS:
        known = name in constraints or name in guards or (name.endswith("_append_only") and "_append_only" in guards)
        assert known, name


def test_a_refusal_tells_its_code_and_no_row(world: World) -> None:
    with pytest.raises(DBAPIError) as caught, world.session.begin_nested():
        world.session.execute(text("UPDATE building SET households = -7 WHERE id = :building"), world.names)
    error = translate(caught.value)
    assert error.code == "building.negative_households"
    assert "-7" not in str(error)


def test_time_alone_makes_a_future_plan_one_in_force(world: World) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    plans.publish(world.session, world.draft.id, effective_from=soon, actor=SYSTEM, now=NOW)
    assert plans.state_of(world.session, world.draft.id) == "future"
    assert plans.state_of(world.session, world.published.id) == "in_force"
