"""Plans over HTTP: made by the partitioner's job, looked at, published at a date, discarded, reported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from gis import jobs
from gis.db import unit_of_work
from tests.usecases.builders import make_plan


def ask(service: Any, who: str = "planner", **more: Any) -> Any:
    body = {"area_id": service.town.street.id, "title": "试划", "seed": 7, **more}
    return service.as_(who).post("/api/v1/plans", json=body)


def run(service: Any, run_id: int) -> None:
    jobs.run_partition(service.app.state.services.engine, run_id, clock=service.clock, processes=1)


def latest_run(service: Any, plan_id: int) -> int:
    with unit_of_work(service.app.state.services.engine) as session:
        return jobs.run_of(session, plan_id).id


@pytest.fixture
def drafted(service: Any) -> tuple[Any, int]:
    """A draft of both communities beside the plan in force: three grids in each."""
    with unit_of_work(service.app.state.services.engine) as session:
        return service, make_plan(session, service.town, pieces=(3, 2), title="draft").id


def test_a_plan_is_made_by_a_job_from_request_to_cells(service: Any) -> None:
    answer = ask(service, community_ids=[service.town.communities[0].id])
    assert answer.status_code == 202, answer.text
    plan, browser = answer.json()["plan"], service.as_("planner")
    assert (plan["state"], plan["cells"], plan["run"]["state"]) == ("draft", 0, "queued")
    assert [one["code"] for one in plan["communities"]] == ["210681001001"]
    run(service, latest_run(service, plan["id"]))
    told = browser.get(f"/api/v1/plans/{plan['id']}/run").json()
    assert told["state"] == "done", told
    assert told["done"] == told["total"] >= 1
    cells = browser.get(f"/api/v1/plans/{plan['id']}/cells?depth=1&geometry=false").json()
    assert sum(cell["households"] for cell in cells["items"]) == 320
    figures = browser.get(f"/api/v1/plans/{plan['id']}/statistics").json()
    assert [tier["depth"] for tier in figures["tiers"]] == [1, 2]
    assert figures["gap_m2"] == figures["overlap_m2"] == 0
    assert figures["not_contiguous"] == 0
    assert browser.get(f"/api/v1/plans/{plan['id']}").json()["recipe"]["seed"] == 7


def test_the_job_is_queued_in_the_transaction_of_the_plan(service: Any) -> None:
    from sqlalchemy import text

    plan = ask(service).json()["plan"]
    refused = ask(service, community_ids=[service.town.street.id])  # not a community: all is rolled back
    assert refused.status_code == 422, refused.text
    with unit_of_work(service.app.state.services.engine) as session:
        queued = session.execute(text("SELECT args FROM procrastinate_jobs")).scalars().all()
    assert queued == [{"run_id": latest_run(service, plan["id"])}]


def test_a_worker_takes_the_job_from_the_queue(service: Any) -> None:
    plan = ask(service, community_ids=[service.town.communities[0].id]).json()["plan"]
    # In a thread of its own: a browser of another test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs.work, service.url, service.app.state.services.engine, once=True).result()
    assert service.as_("planner").get(f"/api/v1/plans/{plan['id']}/run").json()["state"] == "done"


def test_a_run_that_waits_is_cancelled_at_once_and_then_does_nothing(service: Any) -> None:
    plan = ask(service).json()["plan"]
    browser, run_id = service.as_("planner"), latest_run(service, plan["id"])
    assert browser.post(f"/api/v1/plans/{plan['id']}/run/cancel").json()["state"] == "cancelled"
    run(service, run_id)
    assert browser.get(f"/api/v1/plans/{plan['id']}").json()["cells"] == 0
    again = browser.post(f"/api/v1/plans/{plan['id']}/run/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "plan.run_over")


def test_a_run_that_runs_is_cancelled_at_its_next_step(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import gis.partition

    plan = ask(service).json()["plan"]
    browser = service.as_("planner")

    def slow(*_: Any, progress: Any, **__: Any) -> None:
        progress(1, 5, "社区1")
        told = browser.get(f"/api/v1/plans/{plan['id']}/run").json()
        assert (told["state"], told["done"], told["total"], told["message"]) == ("running", 1, 5, "社区1")
        assert browser.post(f"/api/v1/plans/{plan['id']}/run/cancel").json()["cancel_requested"] is True
        raise RuntimeError("stopped on the way")

    monkeypatch.setattr(gis.partition, "divide", slow)
    run(service, latest_run(service, plan["id"]))
    assert browser.get(f"/api/v1/plans/{plan['id']}/run").json()["state"] == "cancelled"


def test_an_impossible_demand_ends_in_the_runs_row_with_its_reason(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gis.partition
    from gis.errors import Infeasible

    def impossible(*_: Any, **__: Any) -> None:
        raise Infeasible("partition.no_communities")

    monkeypatch.setattr(gis.partition, "divide", impossible)
    plan = ask(service).json()["plan"]
    run(service, latest_run(service, plan["id"]))
    told = service.as_("planner").get(f"/api/v1/plans/{plan['id']}/run").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "partition.no_communities")


def test_a_bug_in_a_run_is_logged_and_told_without_details(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import gis.partition

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gis.partition, "divide", broken)
    plan = ask(service).json()["plan"]
    with pytest.raises(ZeroDivisionError):
        run(service, latest_run(service, plan["id"]))
    told = service.as_("planner").get(f"/api/v1/plans/{plan['id']}/run").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "jobs.unexpected")


def test_a_run_whose_worker_died_can_be_asked_for_again(service: Any) -> None:
    engine = service.app.state.services.engine
    plan = ask(service).json()["plan"]
    assert jobs._begin(engine, latest_run(service, plan["id"]), service.clock())
    jobs.mark_interrupted(engine, now=service.clock())
    told = service.as_("planner").get(f"/api/v1/plans/{plan['id']}/run").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "jobs.interrupted")


def test_of_several_workers_only_the_dead_ones_runs_are_given_up(service: Any) -> None:
    engine = service.app.state.services.engine
    plan = ask(service).json()["plan"]
    assert jobs._begin(engine, latest_run(service, plan["id"]), service.clock())
    with unit_of_work(engine) as session:
        session.execute(
            text(
                "WITH worker AS (INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id)"
                " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM worker)"
            )
        )

    def state_after_burying() -> str:
        jobs.mark_interrupted(engine, now=service.clock())
        return str(service.as_("planner").get(f"/api/v1/plans/{plan['id']}/run").json()["state"])

    assert state_after_burying() == "running"  # another worker has just begun, and this one is alive
    with unit_of_work(engine) as session:
        session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"))
    assert state_after_burying() == "failed"
    with unit_of_work(engine) as session:  # whoever comes next finds the lock free
        assert session.execute(text("SELECT array_agg(status::text) FROM procrastinate_jobs")).scalar_one() == [
            "failed"
        ]
    assert ask(service).status_code == 202


def test_publishing_shows_first_and_acts_on_commit(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    browser = service.as_("admin")
    preview = browser.post(f"/api/v1/plans/{plan_id}/publish", json={}).json()
    assert preview["is_committed"] is False
    assert preview["communities"] == 2
    assert [one["plan_id"] for one in preview["replaces"]] == [service.plan_id]
    assert browser.get(f"/api/v1/plans/{plan_id}").json()["state"] == "draft"
    seen = [one["plan_id"] for one in preview["replaces"]]
    body = {"commit": True, "document_no": "东政〔2026〕1号", "replaces": seen}
    published = browser.post(f"/api/v1/plans/{plan_id}/publish", json=body)
    assert published.status_code == 200, published.text
    assert (published.json()["state"], published.json()["document_no"]) == ("in_force", "东政〔2026〕1号")
    assert browser.get(f"/api/v1/plans/{service.plan_id}").json()["state"] == "superseded"
    assert browser.get("/api/v1/grids?depth=1").json()["total"] == 6


def test_what_was_in_force_before_stays_answerable(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    browser = service.as_("admin")
    before = service.clock()
    service.clock.forward(hours=1)
    assert browser.post(f"/api/v1/plans/{plan_id}/publish", json={"commit": True}).status_code == 200
    service.clock.forward(hours=1)
    lon, lat = service.town.middle(0, 15)
    answers = {
        moment: browser.post("/api/v1/geotag", json={"lon": lon, "lat": lat, "at": moment}).json()
        for moment in (before.isoformat(), service.clock().isoformat())
    }
    ids = {answer["grid"]["id"] for answer in answers.values()}
    assert len(ids) == 2
    old = answers[before.isoformat()]
    assert old["people"][0]["place"] == old["micro_grid"]["code"]


def test_a_plan_may_come_into_force_later_and_be_taken_back(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    browser = service.as_("admin")
    day = (service.clock() + timedelta(days=7)).isoformat()
    body = {"commit": True, "effective_from": day}
    assert browser.post(f"/api/v1/plans/{plan_id}/publish", json=body).json()["state"] == "future"
    assert browser.get("/api/v1/grids?depth=1").json()["total"] == 4
    assert browser.get("/api/v1/grids", params={"depth": 1, "at": day}).json()["total"] == 6
    assert browser.post(f"/api/v1/plans/{plan_id}/withdraw").json()["state"] == "approved"
    assert browser.get("/api/v1/grids", params={"depth": 1, "at": day}).json()["total"] == 4


def test_of_two_publications_the_second_is_told_that_the_world_moved_on(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    with unit_of_work(service.app.state.services.engine) as session:
        other = make_plan(session, service.town, pieces=(2, 3), title="other").id
    browser = service.as_("admin")
    seen = {"commit": True, "replaces": [service.plan_id]}
    assert browser.post(f"/api/v1/plans/{plan_id}/publish", json=seen).status_code == 200
    service.clock.forward(minutes=1)
    answer = browser.post(f"/api/v1/plans/{other}/publish", json=seen)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan.predecessor_changed")


def test_an_empty_draft_cannot_be_published(service: Any) -> None:
    plan = ask(service).json()["plan"]
    answer = service.as_("admin").post(f"/api/v1/plans/{plan['id']}/publish", json={"commit": True})
    assert (answer.status_code, answer.json()["code"]) == (422, "plan.empty")


def test_a_discarded_draft_stays_as_a_record(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    browser = service.as_("planner")
    assert browser.post(f"/api/v1/plans/{plan_id}/discard").json()["state"] == "discarded"
    assert browser.get("/api/v1/plans?state=discarded").json()["total"] == 1
    answer = service.as_("admin").post(f"/api/v1/plans/{plan_id}/publish", json={"commit": True})
    assert answer.json()["code"] == "plan.not_draft"


@pytest.mark.parametrize("who", ["dispatcher", "officer", "viewer"])
@pytest.mark.parametrize("act", ["publish", "discard", "withdraw", "run/cancel"])
def test_only_who_draws_or_decides_acts_on_plans(shared: Any, who: str, act: str) -> None:
    assert shared.as_(who).post(f"/api/v1/plans/{shared.plan_id}/{act}", json={}).status_code == 403


def test_drafts_are_listed_only_for_those_who_draw(drafted: tuple[Any, int]) -> None:
    service, plan_id = drafted
    listed = {who: service.as_(who).get("/api/v1/plans").json()["total"] for who in ("planner", "admin", "viewer")}
    assert listed == {"planner": 2, "admin": 2, "viewer": 1}
    for path in ("", "/cells", "/statistics", "/violations", "/report", "/report.html", "/map.html"):
        assert service.as_("viewer").get(f"/api/v1/plans/{plan_id}{path}").status_code == 404


def test_violations_name_the_cell_the_reason_and_the_place(shared: Any) -> None:
    for language, word in (("zh", "户"), ("en", "household")):
        answer = shared.as_("viewer").get(f"/api/v1/plans/{shared.plan_id}/violations?lang={language}")
        items = answer.json()["items"]
        assert {item["severity"] for item in items} == {"violation"}
        for item in items:
            assert item["cell_id"]
            assert len(item["bbox"]) == 4
            assert word in item["text"]
            assert "?" not in item["text"]


def test_rows_give_the_division_again_that_they_were_made_of(service: Any) -> None:
    from gis import plan_review
    from gis.rule_set import load_preset
    from tests.usecases.builders import divide

    given = divide(service.town, load_preset("bishan"), pieces=(2, 2), stack=0)
    with unit_of_work(service.app.state.services.engine) as session:
        read = plan_review.division_of(session, service.plan_id)
    assert read.rules == given.rules
    for had, has in zip(given.cells, read.cells, strict=True):
        had, has = (frame.set_index("code").sort_index() for frame in (had, has))
        assert list(had.index) == list(has.index)
        assert had["households"].astype(int).tolist() == has["households"].astype(int).tolist()
        assert all(had.geometry.normalize().geom_equals(has.geometry.normalize()))
    key = ["building", "floor_from"]
    assert sorted(zip(given.parts["building"], given.parts["cell"], strict=True)) == sorted(
        zip(read.parts["building"], read.parts["cell"], strict=True)
    )
    assert len(read.parts.drop_duplicates(key)) == len(given.parts)


@pytest.mark.parametrize("page", ["report.html", "map.html"])
def test_the_report_is_one_page_kept_apart_from_the_session(shared: Any, page: str) -> None:
    answer = shared.as_("viewer").get(f"/api/v1/plans/{shared.plan_id}/{page}")
    if answer.status_code == 503:
        assert answer.json()["code"] == "report.no_leaflet"
        pytest.skip("the pages are not built here")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "方案" in answer.text


def test_the_report_is_there_as_plain_values_too(shared: Any) -> None:
    told = shared.as_("viewer").get(f"/api/v1/plans/{shared.plan_id}/report").json()
    assert told["title"] == "方案"
    assert {"asked", "got", "principles", "proof", "findings", "versions"} <= set(told)
    assert all(row["text"]["zh"] and row["text"]["en"] for row in told["got"]["out_of_band"])


@pytest.mark.parametrize("page", ["report", "report.html", "map.html"])
def test_a_report_shows_a_whole_plan_and_so_asks_leave_for_all_of_it(shared: Any, page: str) -> None:
    assert shared.as_("viewer1").get(f"/api/v1/plans/{shared.plan_id}/{page}").status_code == 403
