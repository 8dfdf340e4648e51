"""Incidents over HTTP: reported, moved by the table of moves, listed, counted; by whom and where."""

from __future__ import annotations

from typing import Any

import pytest

from tests.usecases.builders import LAT, LON, SIZE


def report(service: Any, who: str = "officer", *, request_id: str = "request-1", **more: Any) -> Any:
    lon, lat = service.town.middle(0, 15)
    body = {"lon": lon, "lat": lat, "category": "0201", "title": "暴露垃圾", "request_id": request_id, **more}
    return service.as_(who).post("/api/v1/incidents", json=body)


def move(service: Any, incident: Any, who: str, action: str, **more: Any) -> Any:
    seq = more.pop("expected_seq", incident["properties"]["last_seq"])
    body = {"action": action, "expected_seq": seq, "request_id": f"{action}-{seq}-{who}", **more}
    return service.as_(who).post(f"/api/v1/incidents/{incident['id']}/actions", json=body)


def test_a_report_finds_its_grid_and_the_people_responsible(service: Any) -> None:
    answer = report(service)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/incidents/{made['id']}"
    told = made["properties"]
    assert (told["status"], told["last_seq"], told["flags"]) == ("reported", 1, [])
    assert told["grid_code"] == "21068100100100202"
    assert told["building_code"] == "21068100100100016"
    assert told["community_name"] == "社区1"
    assert [one["post"] for one in told["people"]] == ["micro_grid_leader", "grid_officer"]
    assert [entry["action"] for entry in told["log"]] == ["report"]
    assert told["due_at"] > told["reported_at"]


def test_a_report_sent_twice_is_one_incident(service: Any) -> None:
    first, second = report(service), report(service)
    assert first.json()["id"] == second.json()["id"]
    assert service.as_("officer").get("/api/v1/incidents").json()["total"] == 1


def test_a_shifted_report_is_stored_where_it_was(service: Any) -> None:
    from gis.crs import wgs84_to_gcj02

    lon, lat = service.town.middle(0, 15)
    [[x, y]] = wgs84_to_gcj02([[lon, lat]])
    made = report(service, lon=float(x), lat=float(y), crs="gcj02").json()
    assert made["geometry"]["coordinates"] == pytest.approx([lon, lat], abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"lon": 39.8, "lat": 124.1}, 422, "geotag.bad_coordinates"),
        ({"crs": "mars"}, 422, "crs.unknown"),
        ({"category": "no such"}, 404, "incident.unknown_category"),
        ({"title": " "}, 422, "http.invalid"),
        ({"severity": 5}, 422, "http.invalid"),
        ({"accuracy_m": -1}, 422, "http.invalid"),
        ({"request_id": "short"}, 422, "http.invalid"),
        ({"reported_at": "2026-03-01T00:00:00"}, 422, "http.invalid"),
        ({"unknown": 1}, 422, "http.invalid"),
    ],
)
def test_a_bad_report_is_refused_with_the_reason(shared: Any, wrong: Any, status: int, code: str) -> None:
    answer = report(shared, **wrong)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert shared.as_("dispatcher").get("/api/v1/incidents").json()["total"] == 0


def test_a_viewer_may_not_report(shared: Any) -> None:
    assert report(shared, "viewer").status_code == 403
    assert report(shared, "planner").status_code == 403


def test_an_incident_goes_from_report_to_closure(service: Any) -> None:
    incident = report(service).json()
    for who, action, more, status in (
        ("dispatcher", "accept", {}, "accepted"),
        ("dispatcher", "dispatch", {"department": "D01"}, "dispatched"),
        ("officer", "start", {"note": "到场"}, "in_progress"),
        ("officer", "resolve", {}, "resolved"),
        ("dispatcher", "rework", {}, "in_progress"),
        ("officer", "resolve", {}, "resolved"),
        ("dispatcher", "verify", {}, "verified"),
        ("dispatcher", "close", {}, "closed"),
    ):
        answer = move(service, incident, who, action, **more)
        assert answer.status_code == 200, answer.text
        incident = answer.json()
        assert incident["properties"]["status"] == status
    told = incident["properties"]
    assert [entry["seq"] for entry in told["log"]] == list(range(1, 10))
    assert told["log"][2]["department"] == "城管所"
    assert told["log"][3]["note"] == "到场"
    assert told["lead_department"]["code"] == "D01"
    assert told["assignee"]["name"] == "员0"
    assert told["closed_at"]
    assert told["allowed_actions"] == ["comment"]


def test_a_move_that_the_table_lacks_is_refused(service: Any) -> None:
    answer = move(service, report(service).json(), "dispatcher", "close")
    assert (answer.status_code, answer.json()["code"]) == (409, "incident.wrong_state")
    assert move(service, report(service).json(), "dispatcher", "rehome").json()["code"] == "incident.unknown_action"


def test_of_two_who_move_an_incident_the_second_is_told(service: Any) -> None:
    incident = report(service).json()
    assert move(service, incident, "dispatcher", "accept").status_code == 200
    answer = move(service, incident, "dispatcher0", "reject")
    assert (answer.status_code, answer.json()["code"]) == (409, "incident.stale")


def test_a_move_sent_twice_is_made_once(service: Any) -> None:
    incident = report(service).json()
    first, second = (move(service, incident, "dispatcher", "accept") for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert second.json()["properties"]["last_seq"] == 2


def test_each_role_is_offered_and_allowed_its_own_moves(service: Any) -> None:
    incident = report(service).json()
    offered = {
        who: service.as_(who).get(f"/api/v1/incidents/{incident['id']}").json()["properties"]["allowed_actions"]
        for who in ("dispatcher", "officer", "viewer")
    }
    assert offered == {"dispatcher": ["accept", "reject", "comment"], "officer": ["comment"], "viewer": []}
    assert move(service, incident, "officer", "accept").status_code == 403
    assert move(service, incident, "viewer", "comment").status_code == 403


def test_an_incident_of_other_areas_does_not_exist(service: Any) -> None:
    lon, lat = service.town.middle(1, 15)
    incident = report(service, "dispatcher", lon=lon, lat=lat).json()
    for who in ("dispatcher0", "officer"):
        assert service.as_(who).get(f"/api/v1/incidents/{incident['id']}").status_code == 404
        assert service.as_(who).get("/api/v1/incidents").json()["total"] == 0
    assert move(service, incident, "dispatcher0", "accept").status_code == 404


def test_what_is_reported_across_the_border_is_shown_to_its_reporter_only_of_those_there(service: Any) -> None:
    lon, lat = service.town.middle(1, 15)
    answer = report(service, "officer", lon=lon, lat=lat)
    assert answer.status_code == 201
    place = f"/api/v1/incidents/{answer.json()['id']}"
    own = service.as_("officer").get(place).json()["properties"]
    assert own["community_name"] == "社区2"
    assert own["allowed_actions"] == []
    assert all("*" in one["phone"] for one in own["people"])
    assert service.as_("dispatcher0").get(place).status_code == 404


def test_just_outside_the_nearest_cell_answers(service: Any) -> None:
    made = report(service, "dispatcher", lon=LON - 0.001, lat=LAT + 0.3 * SIZE).json()
    told = made["properties"]
    assert (told["flags"], told["community_name"]) == (["in_no_community", "nearest"], "社区1")
    assert told["grid_code"].startswith("210681001001001")
    assert told["people"]
    assert service.as_("dispatcher0").get("/api/v1/incidents").json()["total"] == 1


def test_further_out_those_of_the_nearest_community_look_after_it(service: Any) -> None:
    made = report(service, "dispatcher", lon=LON - 0.05, lat=LAT).json()
    told = made["properties"]
    assert told["flags"] == ["in_no_community", "in_no_grid"]
    assert (told["grid_id"], told["community_name"]) == (None, "社区1")
    assert service.as_("dispatcher0").get("/api/v1/incidents").json()["total"] == 1


@pytest.mark.parametrize(("lon", "lat"), [(0, 0), (LON - 1, LAT), (116.4, 39.9)])
def test_far_from_everything_is_taken_for_a_mistake(shared: Any, lon: float, lat: float) -> None:
    answer = report(shared, "dispatcher", lon=lon, lat=lat)
    assert (answer.status_code, answer.json()["code"]) == (422, "incident.too_far")


def test_what_lies_just_outside_follows_the_next_plan(service: Any) -> None:
    from gis import plans
    from gis.db import unit_of_work
    from gis.permissions import SYSTEM
    from tests.usecases.builders import make_plan

    made = report(service, "dispatcher", lon=LON - 0.001, lat=LAT + 0.3 * SIZE).json()
    service.clock.forward(minutes=1)
    with unit_of_work(service.app.state.services.engine) as session:
        plan = make_plan(session, service.town, pieces=(3, 2), title="next")
        plans.publish(session, plan.id, actor=SYSTEM, now=service.clock())
    told = service.as_("dispatcher").get(f"/api/v1/incidents/{made['id']}").json()["properties"]
    assert told["grid_id"] not in (None, made["properties"]["grid_id"])
    assert [entry["action"] for entry in told["log"]] == ["report", "rehome"]


@pytest.fixture
def several(service: Any) -> Any:
    """Three incidents: two in community 0 (one accepted), one in community 1."""
    for number, (community, building) in enumerate(((0, 15), (0, 0), (1, 15))):
        lon, lat = service.town.middle(community, building)
        made = report(service, "dispatcher", request_id=f"request-{number}", lon=lon, lat=lat).json()
        service.clock.forward(minutes=10)
        if number == 0:
            assert move(service, made, "dispatcher", "accept").status_code == 200
    return service


def test_incidents_are_listed_newest_first_and_paged(several: Any) -> None:
    browser = several.as_("dispatcher")
    first = browser.get("/api/v1/incidents?limit=2&geometry=false").json()
    second = browser.get(f"/api/v1/incidents?limit=2&geometry=false&cursor={first['next']}").json()
    times = [row["reported_at"] for row in first["items"] + second["items"]]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    assert (first["total"], second["next"]) == (3, None)


def test_incidents_can_be_narrowed(several: Any) -> None:
    browser = several.as_("dispatcher")
    begun = several.clock()

    def found(**params: Any) -> int:
        answer = browser.get("/api/v1/incidents", params=params)
        assert answer.status_code == 200, answer.text
        total: int = answer.json()["total"]
        return total

    assert found(status="accepted") == 1
    assert found(status=["accepted", "reported"]) == 3
    assert found(category="0201", open=True) == 3
    assert found(open=False) == 0
    assert found(community=several.town.communities[1].id) == 1
    assert found(grid=several.grid_id("210681001001002")) == 1
    assert found(grid=several.grid_id("21068100100100202")) == 1
    assert found(bbox=f"{LON},{LAT},{LON + SIZE},{LAT + SIZE}") == 2
    assert found(**{"from": begun.isoformat()}) == 0
    assert found(to=begun.isoformat()) == 3
    assert found(updated_since=begun.isoformat()) == 0
    assert found(after_event=0) == 3
    assert found(q="垃圾") == 3
    assert found(assigned="me") == 0
    assert browser.get("/api/v1/incidents?status=lost").status_code == 422


def test_incidents_are_counted_by_a_key(several: Any) -> None:
    browser = several.as_("dispatcher")
    counted = {
        by: {row["key"]: row["count"] for row in browser.get(f"/api/v1/incidents/counts?by={by}").json()["items"]}
        for by in ("status", "grid", "category", "community")
    }
    assert counted["status"] == {"reported": 2, "accepted": 1}
    assert counted["category"] == {"0201": 3}
    assert counted["grid"] == {"210681001001001": 1, "210681001001002": 1, "210681001002002": 1}
    assert counted["community"] == {"210681001001": 2, "210681001002": 1}
    assert browser.get("/api/v1/incidents/counts?by=phone").status_code == 422


def test_an_officer_finds_the_tasks_given_to_them(several: Any) -> None:
    browser = several.as_("dispatcher")
    [incident] = browser.get("/api/v1/incidents?status=accepted").json()["features"]
    me = several.as_("officer").get("/api/v1/session").json()["user"]["staff"]["id"]
    assert move(several, incident, "dispatcher", "dispatch", department="D01", assignee=me).status_code == 200
    assert several.as_("officer").get("/api/v1/incidents?assigned=me").json()["total"] == 1
