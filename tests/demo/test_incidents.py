"""The stream of incidents keeps a town's hours and seasons, and its histories are legal."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely

from gis.demo import incident_stream
from gis.demo.incidents import CHINA, DemoIncident, categories
from gis.demo.mix import MATTERS
from gis.errors import InvalidInput
from gis.incident_flow import IncidentAction, IncidentStatus, next_status
from gis.town import Town

END = datetime(2026, 3, 30, 6, 0, tzinfo=UTC)


@pytest.fixture
def month(first_town: Town) -> list[DemoIncident]:
    return incident_stream(first_town, seed=5, start=END - timedelta(days=28), end=END, per_day=80)


def test_as_many_as_asked_for_in_order_and_within_the_time(month: list[DemoIncident]) -> None:
    assert len(month) == pytest.approx(28 * 80, rel=0.15)
    times = [incident.reported_at for incident in month]
    assert times == sorted(times)
    assert END - timedelta(days=28) <= times[0]
    assert times[-1] < END
    assert len({incident.request_id for incident in month}) == len(month)


def test_people_report_in_the_morning_and_in_the_evening_and_sleep_at_night(month: list[DemoIncident]) -> None:
    hours = Counter(incident.reported_at.astimezone(CHINA).hour for incident in month)
    morning, noon = hours[8] + hours[9], hours[12] + hours[13]
    evening, night = hours[18] + hours[19], hours[2] + hours[3]
    assert morning > 1.3 * noon
    assert evening > 1.5 * noon
    assert night < 0.1 * evening


def test_heating_is_cold_in_winter_and_streets_flood_in_summer(first_town: Town) -> None:
    def mix(month: int) -> Counter[str]:
        start = datetime(2025, month, 1, tzinfo=CHINA)
        found = incident_stream(first_town, seed=2, start=start, end=start + timedelta(days=28), per_day=60)
        return Counter(incident.category for incident in found)

    january, july = mix(1), mix(7)
    assert january["B0104"] > 50
    assert july["B0104"] == 0
    assert july["S0503"] > 10 * max(january["S0503"], 1)


def test_every_history_is_legal_and_recent_incidents_are_still_open(month: list[DemoIncident]) -> None:
    last = {}
    for incident in month:
        status = next_status(None, IncidentAction.REPORT)
        moment = incident.reported_at
        for step in incident.steps:
            status = next_status(status, IncidentAction(step.action))
            assert moment < step.at <= END
            assert (step.department is not None) == (step.action == "dispatch")
            moment = step.at
        last[incident.number] = status
    old = [last[i.number] for i in month if i.reported_at < END - timedelta(days=14)]
    new = [last[i.number] for i in month if i.reported_at > END - timedelta(hours=8)]
    assert sum(status.is_ended for status in old) > 0.85 * len(old)
    assert sum(status.is_ended for status in new) < 0.4 * len(new)
    assert {IncidentStatus.REJECTED, IncidentStatus.IN_PROGRESS, IncidentStatus.CLOSED} <= set(last.values())


def test_all_lie_in_a_community_and_name_what_exists(first_town: Town, month: list[DemoIncident]) -> None:
    ground = shapely.union_all(np.asarray(first_town.geo("communities").geometry, dtype=object))
    shapely.prepare(ground)
    assert shapely.contains_xy(ground, [i.lon for i in month], [i.lat for i in month]).all()
    assert {i.building for i in month} - {None} <= set(first_town["buildings"]["code"])
    assert {s.department for i in month for s in i.steps} - {None} <= set(first_town["departments"]["code"])
    assert all(1 <= i.severity <= 4 and i.accuracy_m > 0 and i.title and i.description for i in month)


def test_reports_cluster_where_many_live(first_town: Town, month: list[DemoIncident]) -> None:
    buildings = first_town["buildings"].set_index("code")
    hit = [buildings.loc[i.building, "households"] for i in month if i.building]
    assert np.mean(hit) > 1.5 * 96_817 / 1800


def test_same_seed_same_stream(first_town: Town, month: list[DemoIncident]) -> None:
    again = incident_stream(first_town, seed=5, start=END - timedelta(days=28), end=END, per_day=80)
    other = incident_stream(first_town, seed=6, start=END - timedelta(days=28), end=END, per_day=80)
    assert again == month
    assert other[:20] != month[:20]


def test_a_time_without_its_zone_is_refused(first_town: Town) -> None:
    with pytest.raises(InvalidInput, match=r"demo\.bad_period"):
        incident_stream(first_town, seed=1, start=END.replace(tzinfo=None), end=END, per_day=10)


def test_a_town_without_people_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"demo\.nobody_lives_here"):
        incident_stream(Town(), seed=1, start=END - timedelta(days=1), end=END, per_day=10)


def test_a_town_without_compounds_streets_or_departments_will_do(first_town: Town) -> None:
    bare = Town({"communities": first_town["communities"], "buildings": first_town["buildings"].assign(compound=None)})
    found = incident_stream(bare, seed=1, start=END - timedelta(days=2), end=END, per_day=60)
    assert len(found) > 60
    assert all(incident.title and "None" not in incident.title for incident in found)


def test_each_category_of_the_dictionary_appears_in_the_mix_with_a_department(first_town: Town) -> None:
    rows = {row["code"]: row for row in categories()}
    assert set(rows) == set(MATTERS)
    assert {row["department"] for row in rows.values()} <= set(first_town["departments"]["code"])
    for row in rows.values():
        assert row["due_amount"] > 0
        assert row["due_unit"] in ("hour", "working_hour", "day", "working_day")
        assert row["is_verified"] is False
        assert row["name_zh"]
        assert row["name_en"]
