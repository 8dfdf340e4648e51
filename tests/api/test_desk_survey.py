"""The survey of a plan's ground as long work: shared by all who wait, taken up again, told when it fails."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from gis import desk_log, desk_survey, jobs, survey_runs
from gis.db import make_engine, unit_of_work
from gis.errors import Infeasible
from gis.models.desk import SURVEY_STEPS
from tests.desk.helpers import desk

PATIENCE_S = 150.0
"""A fresh interpreter with all that surveys takes long to begin on a busy machine."""


@pytest.fixture(autouse=True)
def _every_survey_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A town of this size would be surveyed while one waits."""
    monkeypatch.setattr(desk_log, "FEW_CELLS", 0)


def opened(service: Any, who: str = "planner", **query: Any) -> tuple[int, Mapping[str, Any]]:
    answer = service.as_(who).get(f"/api/v1/plans/{service.plan_id}/desk", params=query)
    return answer.status_code, answer.json()


def state(service: Any, **query: Any) -> Mapping[str, Any]:
    """The survey that the plan in force waits for."""
    status, told = opened(service, **query)
    assert status == 202, told
    return dict(told["survey"])


def work(service: Any) -> None:
    """A worker that stops when the queue is empty, in a thread that has no loop yet."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jobs.work, service.url, service.app.state.services.engine, once=True).result()


def queued(service: Any) -> int:
    with unit_of_work(service.app.state.services.engine) as session:
        known = {"task": jobs.SURVEY_TASK}
        return int(session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = :task"), known) or 0)


def until(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_all_who_open_a_plan_wait_for_one_survey(service: Any) -> None:
    first = state(service)
    assert first == {
        "state": "queued", "step": None, "share": 0.0, "done": 0, "total": 0, "seconds_left": None, "error": None,
    }  # fmt: skip
    assert opened(service, "viewer")[0] == 202
    ground = service.as_("planner").get(f"/api/v1/plans/{service.plan_id}/desk/ground")
    assert (ground.status_code, ground.json()["survey"]["state"]) == (202, "queued")
    assert queued(service) == 1
    work(service)
    for who in ("planner", "viewer"):
        status, view = opened(service, who)
        assert (status, len(view["communities"])) == (200, 2)
    assert service.as_("planner").get(f"/api/v1/plans/{service.plan_id}/desk/ground").status_code == 200


def test_nothing_but_the_desk_waits(service: Any) -> None:
    """What needs the ground and is no page's opening says when to come again."""
    answer = service.as_("planner").get(f"/api/v1/plans/{service.plan_id}/checks")
    assert (answer.status_code, answer.json()["code"]) == (503, "desk.surveying")
    assert "Retry-After" in answer.headers
    assert queued(service) == 0


def test_a_request_may_wait_for_the_end(service: Any) -> None:
    state(service)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(until, lambda: opened(service, wait=50)[0] == 200, "nobody has surveyed")
        pool.submit(jobs.work, service.url, service.app.state.services.engine, once=True).result()
        waiting.result()


def test_without_a_worker_the_service_does_it(service: Any) -> None:
    assert state(service)["state"] == "queued"
    service.clock.forward(seconds=2 * survey_runs.TAKEN_WITHIN.total_seconds())
    until(lambda: opened(service, wait=20)[0] == 200, "nobody has surveyed")


@pytest.mark.slow
def test_whose_worker_was_killed_is_taken_up_again(service: Any) -> None:
    state(service)
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    worker = context.Process(target=survey_for_ever, args=(service.url, service.plan_id, begun))
    worker.start()
    try:
        assert begun.wait(PATIENCE_S)
        assert state(service)["state"] == "running"
    finally:
        worker.kill()
        worker.join()
    until(lambda: state(service)["state"] == "queued", "the survey of the dead is not taken up")
    work(service)
    assert opened(service)[0] == 200


def test_a_worker_that_begins_takes_up_what_a_dead_one_left(service: Any) -> None:
    state(service)
    with unit_of_work(service.app.state.services.engine) as session:
        session.execute(text("UPDATE plan_survey SET state = 'running', tries = 1, started_at = now()"))
        session.execute(text("DELETE FROM procrastinate_jobs"))
    work(service)
    assert opened(service)[0] == 200


def test_what_kills_every_worker_has_failed(service: Any) -> None:
    state(service)
    with unit_of_work(service.app.state.services.engine) as session:
        known = {"tries": survey_runs.TRIES}
        session.execute(text("UPDATE plan_survey SET state = 'running', tries = :tries, started_at = now()"), known)
    failed = state(service)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "survey.died")
    assert state(service, wait=50)["state"] == "failed"


def test_a_failure_is_told_and_tried_again_when_somebody_wants_it(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(service)
    with monkeypatch.context() as broken:
        broken.setattr(desk_survey, "surveyed", fails)
        work(service)
    failed = state(service, lang="en")
    assert failed["state"] == "failed"
    assert failed["error"]["code"] == "partition.cancelled"
    assert failed["error"]["detail"] != state(service, lang="zh")["error"]["detail"]
    assert queued(service) == 0
    again = service.as_("viewer").post(f"/api/v1/plans/{service.plan_id}/survey")
    assert (again.status_code, again.json()["survey"]["state"]) == (202, "queued")
    work(service)
    assert opened(service)[0] == 200
    assert service.as_("viewer").post(f"/api/v1/plans/{service.plan_id}/survey").json() == {"survey": None}


def test_a_bug_is_told_without_its_words(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state(service)
    with monkeypatch.context() as broken:
        broken.setattr(desk_survey, "surveyed", lambda *_, **__: 1 / 0)
        work(service)
    assert state(service)["error"]["code"] == "survey.unexpected"


def test_only_who_may_see_a_plan_has_it_surveyed(service: Any) -> None:
    path = f"/api/v1/plans/{service.plan_id}"
    for who, status in ((None, 401), ("nobody", 403), ("viewer1", 403)):
        assert service.as_(who).get(f"{path}/desk").status_code == status
        assert service.as_(who).get(f"{path}/desk?wait=5").status_code == status
        assert service.as_(who).post(f"{path}/survey").status_code == status
    assert queued(service) == 0
    assert service.as_("planner").get(f"{path}/desk?wait=60").status_code == 422


def test_a_plan_that_is_published_is_surveyed_ahead(service: Any) -> None:
    copied = service.as_("planner").post(f"/api/v1/plans/{service.plan_id}/drafts", json={"title": "新稿"}).json()["id"]
    admin = service.as_("admin")
    shown = admin.post(f"/api/v1/plans/{copied}/publish", json={"commit": False})
    assert (shown.status_code, queued(service)) == (200, 0)
    assert admin.post(f"/api/v1/plans/{copied}/publish", json={"commit": True}).status_code == 200
    assert queued(service) == 1
    work(service)
    assert admin.get(f"/api/v1/plans/{copied}/desk").status_code == 200


def test_how_far_it_is_only_grows(session: Any) -> None:
    told: list[tuple[str, float, int, int]] = []

    class Heard:
        def tell(self, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
            told.append((step, share, done, total))

    draft = desk(session, communities=3)
    made = desk_survey.surveyed(session, draft.plan_id, watch=Heard())
    assert len(made) == 3
    assert [step for step, *_ in told] == sorted((step for step, *_ in told), key=SURVEY_STEPS.index)
    assert {step for step, *_ in told} == set(SURVEY_STEPS)
    for earlier, later in itertools.pairwise(told):
        assert 0 <= earlier[1] <= later[1] <= 1
        assert earlier[2] <= later[2] <= later[3]
    assert told[-1][2:] == (3, 3)


def fails(*_: Any, **__: Any) -> Any:
    raise Infeasible("partition.cancelled")


def survey_for_ever(url: str, plan_id: int, begun: Any) -> None:
    """A worker that never comes to an end."""

    def surveyed(*_: Any, **__: Any) -> Any:
        begun.set()
        time.sleep(10 * PATIENCE_S)

    desk_survey.surveyed = surveyed  # in a process of its own
    survey_runs.do_run(make_engine(url), plan_id, clock=survey_runs.utc_now)
