"""Towns into the real database: all or nothing, the same town twice changes nothing, what is refused is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapely.affinity
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from gis import crs, ingest, rules
from gis.db import make_engine, unit_of_work
from gis.errors import InvalidInput, NotAllowed
from gis.exchange import read_any, town_file
from gis.ingest import Counts
from gis.models import AdminArea, AuditLog, Building, BuildingPart, Compound, ImportRun
from gis.permissions import SYSTEM, Actor, Grant, Role
from gis.rule_set import load_preset
from gis.town import Town, conform
from tests.exchange.builders import LAT, LON, STEP, buildings, codes, frame, only, square, town

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def store(session: Session, made: Town, *, now: datetime = NOW, actor: Actor = SYSTEM) -> ingest.IngestReport:
    return ingest.store(session, made, actor=actor, now=now)


def without_posts() -> Town:
    """The small town before anybody holds a post: posts need a rule set."""
    return Town({layer: town()[layer] for layer in town() if layer != "assignments"}, title="small")


def changes(report: ingest.IngestReport) -> int:
    return sum(count.inserted + count.updated for count in report.counts.values())


def everything(session: Session) -> dict[str, list[Any]]:
    """All rows of the tables that an import fills."""
    tables = ("admin_area", "compound", "building", "building_part", "barrier", "ground", "poi", "department", "staff")
    return {name: list(session.execute(text(f"SELECT t::text FROM {name} t ORDER BY id")).scalars()) for name in tables}


def test_every_layer_is_stored(session: Session) -> None:
    report = store(session, without_posts())
    assert not report.findings
    assert {layer: count.inserted for layer, count in report.counts.items()} == {
        "areas": 2,
        "communities": 2,
        "compounds": 1,
        "buildings": 6,
        "barriers": 1,
        "ground": 1,
        "pois": 1,
        "departments": 1,
        "staff": 1,
    }
    paths = session.scalars(select(AdminArea.path).order_by(AdminArea.code))
    assert list(map(str, paths))[-1] == "210681.210681001.210681001002"


def test_the_same_town_twice_changes_nothing(session: Session) -> None:
    store(session, without_posts())
    before = everything(session)
    report = store(session, without_posts(), now=NOW + timedelta(days=1))
    assert changes(report) == 0
    assert report.counts["buildings"] == Counts(0, 0, 6)
    assert everything(session) == before


def test_a_changed_building_keeps_its_id_and_its_part_follows(session: Session) -> None:
    store(session, without_posts())
    old = session.scalars(select(Building).where(Building.code == "B002")).one()
    changed = without_posts().with_layers(buildings=buildings(6, households=30))
    assert store(session, changed).counts["buildings"] == Counts(0, 6, 0)
    session.expire_all()
    new = session.scalars(select(Building).where(Building.code == "B002")).one()
    assert (new.id, new.households) == (old.id, 30)
    part = session.scalars(select(BuildingPart).where(BuildingPart.building_id == new.id)).one()
    assert (part.kind, part.households) == ("whole", 30)


def test_every_building_has_one_whole_part_from_its_import_on(session: Session) -> None:
    store(session, without_posts())
    parts = session.scalars(select(BuildingPart)).all()
    assert len(parts) == 6
    assert {part.valid_during.lower for part in parts} == {NOW}


def test_what_a_later_file_leaves_out_stays(session: Session) -> None:
    store(session, without_posts())
    bare = frame("buildings", [{"code": "B001", "households": 25, "geometry": square(1, 0)}])
    assert store(session, Town({"buildings": bare})).counts["buildings"] == Counts(0, 1, 0)
    session.expire_all()
    kept = session.scalars(select(Building).where(Building.code == "B001")).one()
    assert (kept.floors, kept.name, kept.use, kept.households) == (6, "1号楼", "residential", 25)
    assert session.scalar(select(func.count()).select_from(Building)) == 6


def test_an_estimate_never_replaces_a_count_but_a_count_replaces_an_estimate(session: Session) -> None:
    store(session, without_posts())
    guess = buildings(1, households=99, households_estimated=True)
    assert store(session, Town({"buildings": guess})).counts["buildings"] == Counts(0, 0, 1)
    far = frame(
        "buildings", [{"code": "E", "households": 9, "households_estimated": True, "geometry": square(1, 0.5, 0.2)}]
    )
    store(session, Town({"buildings": far}))
    assert store(session, Town({"buildings": far.assign(households=11, households_estimated=False)})).counts[
        "buildings"
    ] == Counts(0, 1, 0)


def test_buildings_find_their_community_and_compound_by_themselves(session: Session) -> None:
    store(session, without_posts())
    loose = frame("buildings", [{"code": "N", "compound": "阳光花园", "geometry": square(6, 0)}])
    store(session, Town({"buildings": loose}))
    row = session.scalars(select(Building).where(Building.code == "N")).one()
    assert session.get_one(AdminArea, row.area_id).code == "210681001002"
    assert row.compound_id is not None
    assert session.get_one(Compound, row.compound_id).code == "C1"


def test_a_building_outside_every_community_is_left_out_and_told(session: Session) -> None:
    outside = frame("buildings", [{"code": "OUT", "geometry": square(50, 0)}])
    both = pd.concat([buildings(2), outside])
    report = store(session, without_posts().with_layers(buildings=both))
    assert only(report.findings, "import.outside_communities").key == "OUT"
    assert report.counts["buildings"].inserted == 2


def test_an_unknown_parent_keeps_the_area_and_what_lies_below_it_out(session: Session) -> None:
    rows = [
        {"code": "1", "name": "街", "level": "street", "parent": "没有", "geometry": None},
        {"code": "2", "name": "街", "level": "street", "geometry": None},
    ]
    below = frame("communities", [{"code": "11", "parent": "1", "geometry": square(0, 0)}])
    report = store(session, Town({"areas": frame("areas", rows), "communities": below}))
    assert codes(report.findings) == {"import.unknown_parent": 2}
    assert report.counts["areas"].inserted == 1


def test_the_statistical_code_tells_the_parent(session: Session) -> None:
    rows = [
        {"code": "210681", "name": "东港市", "level": "county", "geometry": None},
        {"code": "210681001000", "name": "大东街道", "level": "street", "geometry": None},
    ]
    below = frame("communities", [{"code": "210681001001", "geometry": square(0, 0)}])
    store(session, Town({"areas": frame("areas", rows), "communities": below}))
    paths = session.scalars(select(AdminArea.path).order_by(AdminArea.path))
    assert str(list(paths)[-1]) == "210681001000.210681001001"


def test_communities_without_parents_come_under_one_street(session: Session) -> None:
    below = frame("communities", [{"code": f"T{at}", "geometry": square(at, 0)} for at in range(2)])
    report = store(session, Town({"communities": below}, title="Manhattan CD 3"))
    assert only(report.findings, "import.parent_made").key == "manhattan_cd_3"
    assert changes(store(session, Town({"communities": below}, title="another name"))) == 0


def test_a_person_without_the_right_may_not_import_and_nothing_stays(session: Session) -> None:
    viewer = Actor(user_id=None, name="guest", grants=(Grant(Role.VIEWER),))
    elsewhere = Actor(user_id=None, name="planner", grants=(Grant(Role.PLANNER, "999"),))
    for actor in (viewer, elsewhere):
        with pytest.raises(NotAllowed), session.begin_nested():
            store(session, without_posts(), actor=actor)
    assert session.scalar(select(func.count()).select_from(Building)) == 0
    at_home = Actor(user_id=None, name="planner", grants=(Grant(Role.PLANNER, "210681"),))
    assert changes(store(session, without_posts(), actor=at_home))


def test_an_import_is_recorded_with_its_findings(session: Session) -> None:
    outside = frame("buildings", [{"code": "OUT", "geometry": square(50, 0)}])
    report = store(session, without_posts().with_layers(buildings=outside))
    run = session.get_one(ImportRun, report.import_run_id)
    assert run.state == "done"
    assert run.counts["compounds"] == {"inserted": 1, "updated": 0, "unchanged": 0}
    assert [found["code"] for found in run.findings] == ["import.outside_communities"]
    act = session.scalars(select(AuditLog).where(AuditLog.action == "import.store")).one()
    assert act.subject == f"import_run:{run.id}"


def test_half_an_import_is_never_stored(database: str) -> None:
    engine = make_engine(database)
    broken = without_posts().with_layers(staff=conform("staff", pd.DataFrame([{"code": "S1"}])))  # no name
    with pytest.raises(Exception, match="refused"), unit_of_work(engine) as session:
        store(session, broken)
    with unit_of_work(engine) as session:
        assert session.scalar(select(func.count()).select_from(Building)) == 0
        assert session.scalar(select(func.count()).select_from(AdminArea)) == 0
    engine.dispose()


def test_a_self_crossing_outline_is_stored_valid(session: Session) -> None:
    bow = shapely.Polygon([(LON, LAT), (LON + STEP, LAT + STEP), (LON + STEP, LAT), (LON, LAT + STEP)])
    store(session, without_posts().with_layers(buildings=frame("buildings", [{"code": "X", "geometry": bow}])))
    assert session.scalar(select(func.ST_IsValid(Building.geom)).where(Building.code == "X"))


# --- Posts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ruled(session: Session) -> Session:
    """The small town with Bishan's rules in force at its county."""
    store(session, without_posts())
    county = session.scalars(select(AdminArea).where(AdminArea.code == "210681")).one()
    rules.store(session, load_preset("bishan"), area_id=county.id, valid_from=date(2020, 1, 1), actor=SYSTEM, now=NOW)
    session.flush()
    return session


def posts(*rows: dict[str, Any]) -> Town:
    plain = {"staff": "S1", "post": "社区书记", "place": "210681001001"}
    people = conform("staff", pd.DataFrame([{"code": f"S{at}", "name": f"人{at}"} for at in (1, 2)]))
    return Town(
        {"staff": people, "assignments": conform("assignments", pd.DataFrame([{**plain, **row} for row in rows]))}
    )


def test_a_post_is_held_from_its_date_and_a_second_import_changes_nothing(ruled: Session) -> None:
    report = store(ruled, posts({"valid_from": "2026-01-01"}))
    assert not report.findings
    assert report.counts["assignments"] == Counts(1, 0, 0)
    held = ruled.execute(text("SELECT lower(valid_during) FROM assignment")).scalar_one()
    assert held == datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight of the first of January in China
    again = store(ruled, posts({"valid_from": "2026-01-01"}), now=NOW + timedelta(days=3))
    assert again.counts["assignments"] == Counts(0, 0, 1)


def test_a_post_without_a_date_holds_from_the_import_on(ruled: Session) -> None:
    store(ruled, posts({}))
    assert store(ruled, posts({}), now=NOW + timedelta(days=3)).counts["assignments"] == Counts(0, 0, 1)
    assert ruled.execute(text("SELECT lower(valid_during) FROM assignment")).scalar_one() == NOW


def test_a_post_passes_to_a_successor_with_a_date_and_not_without_one(ruled: Session) -> None:
    store(ruled, posts({"valid_from": "2026-01-01"}))
    taken = store(ruled, posts({"staff": "S2"}))
    assert only(taken.findings, "import.post_taken").key == "S2"
    both = posts({"valid_from": "2026-01-01"}, {"staff": "S2", "valid_from": "2026-04-01"})
    assert store(ruled, both).counts["assignments"] == Counts(1, 1, 1)
    assert store(ruled, both).counts["assignments"] == Counts(0, 0, 2)
    held = ruled.execute(text("SELECT upper(valid_during) FROM assignment ORDER BY lower(valid_during)")).scalars()
    assert list(held) == [datetime(2026, 3, 31, 16, tzinfo=UTC), None]


def test_a_post_gets_an_end(ruled: Session) -> None:
    store(ruled, posts({"valid_from": "2026-01-01"}))
    ended = store(ruled, posts({"valid_from": "2026-01-01", "valid_to": "2026-03-01"}))
    assert ended.counts["assignments"] == Counts(0, 1, 0)
    again = store(ruled, posts({"valid_from": "2026-01-01", "valid_to": "2026-03-01"}))
    assert again.counts["assignments"] == Counts(0, 0, 1)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"staff": "S9"}, "import.unknown_staff"),
        ({"place": "nowhere"}, "import.unknown_place"),
        ({"post": "king"}, "import.unknown_post"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "import.ends_before_it_begins"),
    ],
)
def test_a_post_that_cannot_be_is_left_out_and_told(ruled: Session, row: dict[str, Any], code: str) -> None:
    report = store(ruled, posts(row))
    assert only(report.findings, code).layer == "assignments"
    assert report.counts["assignments"].inserted == 0


def test_a_post_where_no_rules_are_in_force_is_told_as_such(session: Session) -> None:
    store(session, without_posts())
    found = only(store(session, posts({})).findings, "import.no_rules")
    assert (found.row, found.params["place"]) == (1, "210681001001")


# --- Preparing -------------------------------------------------------------------------------------------------------


def test_buildings_alone_are_placed_in_the_communities_that_are_known(session: Session) -> None:
    store(session, without_posts())
    loose = buildings(6).assign(community=None, compound=None, households=None)
    prepared, _ = ingest.prepare(session, Town({"buildings": loose}, title="loose"))
    assert set(prepared) == {"buildings"}
    assert prepared["buildings"]["households"].gt(0).all()
    report = store(session, prepared)
    assert not report.findings
    assert report.counts["buildings"].inserted == 0


def test_shifted_buildings_are_refused_and_the_reading_that_fits_is_named(session: Session) -> None:
    compounds, houses = [], []
    for column in range(6):
        for row in range(3):
            west, south = LON + 0.0033 * column, LAT + 0.0027 * row
            compounds.append(
                {"code": f"K{column}{row}", "geometry": shapely.box(west, south, west + 0.0026, south + 0.002)}
            )
            houses += [
                shapely.box(west + d, south + d, west + d + 0.0004, south + d + 0.0002) for d in (0.0002, 0.001, 0.0017)
            ]
    wrong = shapely.transform(np.array(houses, dtype=object), crs.wgs84_to_gcj02)
    rows = [{"code": f"H{at}", "households": 5, "geometry": shape} for at, shape in enumerate(wrong)]
    one = frame("communities", [{"code": "1", "geometry": shapely.box(LON - 0.01, LAT - 0.01, LON + 0.04, LAT + 0.03)}])
    made = Town({"communities": one, "compounds": frame("compounds", compounds), "buildings": frame("buildings", rows)})
    with pytest.raises(InvalidInput) as error:
        ingest.prepare(session, made)
    assert error.value.code == "import.looks_shifted"
    assert error.value.params["buildings_crs"] == "gcj02"
    ingest.prepare(session, made, trust_crs=True)


def test_a_table_of_counts_changes_known_buildings_and_tells_the_unknown(session: Session, tmp_path: Path) -> None:
    store(session, without_posts())
    (tmp_path / "楼栋.csv").write_text("楼栋编码,户数\nB001,31\nB002,24\nB999,7\n", encoding="gbk")
    made, findings = read_any(tmp_path / "楼栋.csv")
    prepared, more = ingest.prepare(session, made)
    report = store(session, prepared)
    assert not [*findings, *more]
    assert only(report.findings, "import.unknown_code").key == "B999"
    assert report.counts["buildings"] == Counts(0, 1, 1)
    session.expire_all()
    changed = session.scalars(select(Building).where(Building.code == "B001")).one()
    assert (changed.households, changed.households_estimated, changed.name) == (31, False, "1号楼")


def test_a_known_town_that_moved_as_a_whole_is_refused(session: Session) -> None:
    many = buildings(30, households=5)
    one = frame("communities", [{"code": "1", "geometry": shapely.box(LON - 0.02, LAT - 0.02, LON + 0.06, LAT + 0.02)}])
    store(session, Town({"communities": one, "buildings": many.assign(community="1")}))
    moved = many.set_geometry(gpd.GeoSeries(shapely.transform(many.geometry.to_numpy(), crs.wgs84_to_gcj02), crs=4326))
    with pytest.raises(InvalidInput) as error:
        ingest.prepare(session, Town({"buildings": moved}))
    assert error.value.code == "import.moved_as_a_whole"
    assert 400 < error.value.params["metres"] < 650
    ingest.prepare(session, Town({"buildings": moved}), trust_crs=True)
    ingest.prepare(session, Town({"buildings": many}))


def test_a_few_houses_that_moved_each_its_own_way_are_taken(session: Session) -> None:
    many = buildings(8, households=5)
    one = frame("communities", [{"code": "1", "geometry": shapely.box(LON - 0.02, LAT - 0.02, LON + 0.06, LAT + 0.02)}])
    store(session, Town({"communities": one, "buildings": many.assign(community="1")}))
    ways = [((-1) ** at * 0.002 * at, 0.001 * (at % 3 - 1)) for at in range(8)]
    redrawn = [shapely.affinity.translate(shape, *way) for shape, way in zip(many.geometry, ways, strict=True)]
    ingest.prepare(session, Town({"buildings": many.set_geometry(gpd.GeoSeries(redrawn, crs=4326))}))
    shifted = shapely.transform(many.geometry.to_numpy()[:5], crs.wgs84_to_gcj02)
    with pytest.raises(InvalidInput) as error:
        ingest.prepare(session, Town({"buildings": many[:5].set_geometry(gpd.GeoSeries(shifted, crs=4326))}))
    assert error.value.code == "import.moved_as_a_whole"


def test_compounds_alone_are_compared_with_the_buildings_that_are_known(session: Session) -> None:
    estates = [shapely.box(LON + 0.0034 * at, LAT, LON + 0.0034 * at + 0.0027, LAT + 0.002) for at in range(8)]
    houses = [
        {
            "code": f"H{at}{d}",
            "households": 5,
            "geometry": shapely.box(x + d, LAT + 0.0008, x + d + 0.0003, LAT + 0.001),
        }
        for at, x in enumerate(shape.bounds[0] for shape in estates)
        for d in (0.0002, 0.0011, 0.002)
    ]
    one = frame("communities", [{"code": "1", "geometry": shapely.box(LON - 0.02, LAT - 0.02, LON + 0.06, LAT + 0.02)}])
    store(session, Town({"communities": one, "buildings": frame("buildings", houses)}))
    right = frame("compounds", [{"code": f"K{at}", "geometry": shape} for at, shape in enumerate(estates)])
    ingest.prepare(session, Town({"compounds": right}))
    wrong = right.set_geometry(gpd.GeoSeries(shapely.transform(right.geometry.to_numpy(), crs.wgs84_to_bd09), crs=4326))
    with pytest.raises(InvalidInput) as error:
        ingest.prepare(session, Town({"compounds": wrong}))
    assert error.value.params["reference_crs"] == "bd09"


@pytest.mark.slow
def test_twenty_thousand_buildings_are_stored_in_bulk(database: str) -> None:
    side = 142
    corners = [(LON + 0.0004 * (at % side), LAT + 0.0003 * (at // side)) for at in range(20_000)]
    shapes = gpd.GeoSeries([shapely.box(x, y, x + 0.0002, y + 0.0001) for x, y in corners], crs=4326)
    many = gpd.GeoDataFrame({"code": [f"M{at}" for at in range(20_000)], "households": 10}, geometry=shapes)
    one = frame("communities", [{"code": "1", "geometry": shapely.box(LON - 0.01, LAT - 0.01, LON + 0.1, LAT + 0.1)}])
    big = Town({"communities": one, "buildings": conform("buildings", many.assign(community="1"))})
    engine = make_engine(database)
    with unit_of_work(engine) as session:
        statements = _count_statements(session, lambda: store(session, big))
    with unit_of_work(engine) as session:
        assert session.scalar(select(func.count()).select_from(BuildingPart)) == 20_000
    engine.dispose()
    assert statements < 60  # by the layer, not by the row


def _count_statements(session: Session, work: Any) -> int:
    from sqlalchemy import event

    seen: list[str] = []
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", lambda *args: seen.append(args[2]))
    work()
    return len(seen)


@pytest.mark.slow
def test_the_sample_district_goes_in_and_in_again(session: Session) -> None:
    path = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "manhattan_cd3.gpkg"
    if not path.is_file() or "communities" not in town_file.layer_names(path):
        pytest.skip("the sample district is not here")
    made, _ = read_any(path)
    report = store(session, made)
    assert report.counts["buildings"].inserted == 4629
    assert session.scalar(select(func.sum(Building.households))) == 74_165
    assert changes(store(session, made)) == 0
