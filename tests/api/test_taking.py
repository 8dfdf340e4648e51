"""An existing division handed in over HTTP: through the queue into a draft, for its sender alone, or into nothing."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import select, text

from gis import desk_log, file_runs, jobs, taking, taking_runs
from gis.db import unit_of_work
from gis.models import FileRun, UserAccount
from gis.models.file_run import TAKING_STEPS
from gis.settings import Settings
from tests.usecases.builders import LAT, LON, SIZE, building_code

PATH = "/api/v1/imports"
PATIENCE_S = 150.0
"""A fresh interpreter with all that an import needs takes long to begin on a busy machine."""


@pytest.fixture
def service(service: Any, tmp_path: Path) -> Any:
    """With a home folder of its own."""
    here = service.app.state.services
    service.app.state.services = replace(here, settings=here.settings.model_copy(update={"home": tmp_path / "home"}))
    return service


def halves() -> bytes:
    """Two grids over the first community."""
    middle = LON + SIZE / 2
    rows = [
        {"code": "west", "geometry": shapely.box(LON, LAT, middle, LAT + SIZE)},
        {"code": "east", "geometry": shapely.box(middle, LAT, LON + SIZE, LAT + SIZE)},
    ]
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=4326).to_json().encode()


def hand_in(service: Any, who: str = "planner", *, content: bytes | None = None, name: str = "旧网格.geojson",
            **more: str) -> Any:  # fmt: skip
    files = {"file": (name, halves() if content is None else content, "application/octet-stream")}
    data = {"area_id": str(service.town.street.id), "title": "旧划分", "crs": "wgs84", **more}
    return service.as_(who).post(PATH, files=files, data=data)


def settings(service: Any) -> Settings:
    found: Settings = service.app.state.services.settings
    return found


def work(service: Any) -> None:
    """A worker that stops when the queue is empty, in a thread that has no loop yet."""
    with ThreadPoolExecutor(1) as pool:
        engine = service.app.state.services.engine
        pool.submit(jobs.work, service.url, engine, settings=settings(service), once=True).result()


def look(service: Any, run: dict[str, Any], who: str = "planner") -> dict[str, Any]:
    answer = service.as_(who).get(f"{PATH}/{run['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def taken(service: Any, **asked: Any) -> dict[str, Any]:
    """A division handed in and worked on."""
    made = hand_in(service, **asked)
    assert made.status_code == 202, made.text
    work(service)
    return look(service, made.json())


def plans(service: Any) -> int:
    return int(service.as_("planner").get("/api/v1/plans").json()["total"])


def files(service: Any) -> list[str]:
    """What lies in the folders of uploads and runs."""
    folder = file_runs.folder_of(settings(service), taking_runs.KIND).parent
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def until(happened: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_division_goes_through_the_queue_and_becomes_a_draft(service: Any) -> None:
    waiting = hand_in(service).json()
    assert (waiting["state"], waiting["progress_ratio"], waiting["plan_id"]) == ("queued", 0.0, None)
    assert (waiting["file_name"], waiting["title"]) == ("旧网格.geojson", "旧划分")
    work(service)
    run = look(service, waiting)
    assert (run["state"], run["progress_ratio"], run["step"]) == ("done", 1.0, None), run
    assert run["summary"]["communities"] == 1
    assert run["summary"]["cells"][0] == 2
    assert run["summary"]["households"] == 16 * 20
    plan = service.as_("planner").get(f"/api/v1/plans/{run['plan_id']}").json()
    assert (plan["title"], plan["state"]) == ("旧划分", "draft")
    assert files(service) == [], "no file stays"


def test_what_was_noticed_is_told_with_the_draft_in_either_language(service: Any) -> None:
    run = taken(service)
    found = service.as_("planner").get(f"/api/v1/plans/{run['plan_id']}/import").json()["items"]
    totals = next(item for item in found if item["code"] == "take.totals")
    assert "2" in totals["text"]
    assert run["summary"]["counts"]["take.community_not_covered"] == 1
    again = service.as_("planner").get(f"/api/v1/plans/{run['plan_id']}/import?lang=en").json()
    assert any("not covered" in item["text"] for item in again["items"])
    assert service.as_("viewer1").get(f"/api/v1/plans/{run['plan_id']}/import").status_code == 404


def test_each_step_is_told_in_its_order(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float]] = []
    tell = taking_runs._Watch.tell

    def heard(self: Any, step: str, share: float = 0.0, done: int = 0, total: int = 0) -> None:
        tell(self, step, share, done, total)
        told.append((step, share))
        row = service.as_("planner").get(PATH).json()["items"][0]
        assert (row["state"], row["step"]) == ("running", step)

    monkeypatch.setattr(taking_runs._Watch, "tell", heard)
    assert taken(service)["state"] == "done"
    steps = [step for step, _ in told]
    assert list(dict.fromkeys(steps)) == list(TAKING_STEPS)
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_a_table_is_taken_by_its_ending(service: Any) -> None:
    home = service.town.communities[0].code
    lines = [f"{building_code(home, i)},{'甲' if i % 4 < 2 else '乙'}" for i in range(16)]
    run = taken(service, content="\n".join(["楼栋编码,网格编码", *lines]).encode(), name="表.CSV")
    assert run["state"] == "done", run
    assert run["summary"]["cells"][0] == 2


REFUSED = [
    ({"content": b"x", "name": "x.docx"}, 422, "import.unknown_format"),
    ({"crs": "mars"}, 422, "crs.unknown"),
    ({"title": ""}, 422, "file.bad_options"),
    ({"area_id": "0"}, 422, "file.bad_options"),
    ({"area_id": "999999"}, 404, "area.unknown"),
    ({"who": "viewer"}, 403, "access.no_grant"),
    ({"who": "dispatcher"}, 403, "access.no_grant"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "code"), REFUSED)
def test_what_is_seen_at_once_to_be_wrong_is_refused_and_leaves_nothing(
    service: Any, asked: dict[str, Any], status: int, code: str
) -> None:
    refused = hand_in(service, **asked)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert service.as_("planner").get(PATH).json()["items"] == []
    assert files(service) == []


FAILING = [
    ({"content": b"a,b\n1,2\n", "name": "x.csv"}, "take.nothing_known"),
    ({"crs": ""}, "import.crs_missing"),
    ({"content": b"PK torn", "name": "坏.xlsx"}, "import.unreadable_file"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "code"), FAILING)
def test_what_only_reading_shows_fails_with_the_files_own_name_and_makes_no_draft(
    service: Any, asked: dict[str, Any], code: str
) -> None:
    before = plans(service)
    run = taken(service, **asked)
    assert (run["state"], run["error"]["code"], run["plan_id"]) == ("failed", code, None), run
    assert asked.get("name", "旧网格.geojson") in run["error"]["detail"]
    assert plans(service) == before
    assert service.as_("planner").delete(f"{PATH}/{run['id']}").status_code == 204
    assert files(service) == []


def test_a_failed_import_is_tried_again_without_sending_the_file_again(service: Any) -> None:
    run = taken(service, crs="")
    browser = service.as_("planner")
    assert run["error"]["code"] == "import.crs_missing"
    assert browser.post(f"{PATH}/{run['id']}/again", json={"crs": "mars"}).json()["code"] == "crs.unknown"
    queued = browser.post(f"{PATH}/{run['id']}/again", json={"crs": "wgs84"}).json()
    assert (queued["state"], queued["error"]) == ("queued", None)
    work(service)
    assert look(service, run)["state"] == "done"
    refused = browser.post(f"{PATH}/{run['id']}/again", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "take.not_failed")


def test_an_import_is_its_senders_alone(service: Any) -> None:
    run = hand_in(service).json()
    other = service.as_("admin")
    assert other.get(PATH).json()["items"] == []
    answers = [
        other.get(f"{PATH}/{run['id']}"), other.post(f"{PATH}/{run['id']}/cancel"),
        other.post(f"{PATH}/{run['id']}/again", json={}), other.delete(f"{PATH}/{run['id']}"),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [404] * 4
    assert service.as_("viewer").get(PATH).status_code == 403
    assert service.as_(None).get(PATH).status_code == 401


def test_it_waits_or_runs_or_is_all_but_done_a_cancelled_import_leaves_nothing(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, before = service.as_("planner"), plans(service)
    waiting = hand_in(service).json()
    assert browser.post(f"{PATH}/{waiting['id']}/cancel").json()["state"] == "cancelled"
    assert browser.post(f"{PATH}/{waiting['id']}/cancel").json()["code"] == "file.run_over"
    noticed = taking.items_of

    def stopped(session: Any, plan_id: int) -> list[dict[str, Any]]:
        """By the time that the draft is whole."""
        assert browser.post(f"{PATH}/{running['id']}/cancel").json()["cancel_requested"]
        return noticed(session, plan_id)

    monkeypatch.setattr(taking, "items_of", stopped)
    running = hand_in(service).json()
    work(service)
    assert look(service, running)["state"] == "cancelled"
    monkeypatch.undo()
    begun = hand_in(service).json()
    with unit_of_work(service.app.state.services.engine) as session:
        session.get_one(FileRun, begun["id"]).cancel_requested = True
    work(service)
    assert look(service, begun)["state"] == "cancelled"
    assert (plans(service), files(service)) == (before, [])


@pytest.mark.slow
def test_whose_worker_was_killed_is_taken_up_again_and_there_is_one_draft(service: Any) -> None:
    before, run = plans(service), hand_in(service).json()
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    worker = context.Process(target=take_for_ever, args=(service.url, run["id"], settings(service), begun))
    worker.start()
    try:
        assert begun.wait(PATIENCE_S)
        assert look(service, run)["state"] == "running"
        assert plans(service) == before, "nobody sees half of it"
    finally:
        worker.kill()
        worker.join()
    until(lambda: look(service, run)["state"] == "queued", "the import of the dead is not taken up")
    work(service)
    assert look(service, run)["state"] == "done"
    assert (plans(service), files(service)) == (before + 1, [])


def take_for_ever(url: str, run_id: int, own: Settings, begun: Any) -> None:
    """Write the draft, and never end."""

    def stay(*_: Any) -> None:
        begun.set()
        time.sleep(10 * PATIENCE_S)

    taking._name = stay
    jobs.take_apart(url, run_id, own)


def test_what_takes_its_process_down_time_and_again_has_failed(service: Any) -> None:
    run = hand_in(service).json()
    with unit_of_work(service.app.state.services.engine) as session:
        row = session.get_one(FileRun, run["id"])
        row.state, row.tries = "running", taking_runs.TRIES
    told = look(service, run)
    assert (told["state"], told["error"]["code"]) == ("failed", "file.died")


@pytest.mark.slow
def test_without_a_worker_the_service_does_it(service: Any) -> None:
    run = hand_in(service).json()
    assert look(service, run)["state"] == "queued"
    service.clock.forward(seconds=2 * taking_runs.TAKEN_WITHIN.total_seconds())
    until(lambda: look(service, run)["state"] == "done", "nobody has taken the division")


def test_the_ground_of_a_large_draft_is_surveyed_ahead(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_log, "FEW_CELLS", 0)
    run = taken(service)
    with unit_of_work(service.app.state.services.engine) as session:
        survey = session.execute(text("SELECT state FROM plan_survey WHERE plan_id = :p"), {"p": run["plan_id"]})
        assert survey.scalar_one() == "done"


def test_an_account_has_so_many_under_way_and_no_more(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking_runs, "OPEN_MOST", 1)
    run = hand_in(service).json()
    refused = hand_in(service)
    assert (refused.status_code, refused.json()["code"]) == (409, "file.too_many_runs")
    service.as_("planner").post(f"{PATH}/{run['id']}/cancel")
    assert hand_in(service).status_code == 202


def test_a_locked_accounts_division_is_not_taken(service: Any) -> None:
    run = hand_in(service).json()
    with unit_of_work(service.app.state.services.engine) as session:
        session.scalars(select(UserAccount).where(UserAccount.username == "planner")).one().is_active = False
    work(service)
    with unit_of_work(service.app.state.services.engine) as session:
        assert session.get_one(FileRun, run["id"]).error_code == "file.owner_locked"


def test_two_uploads_of_one_account_at_once_are_refused(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from api import uploads

    with unit_of_work(service.app.state.services.engine) as session:
        user = session.scalars(select(UserAccount.id).where(UserAccount.username == "planner")).one()
    monkeypatch.setattr(uploads, "_SENDING", {user})
    refused = hand_in(service)
    assert (refused.status_code, refused.json()["code"]) == (409, "file.upload_busy")


def test_a_token_that_may_only_read_cannot_bring(service: Any) -> None:
    made = service.as_("planner").post("/api/v1/session/tokens", json={"label": "q", "days": 3})
    assert made.status_code == 201, made.text
    files = {"file": ("a.geojson", halves(), "application/octet-stream")}
    data = {"area_id": str(service.town.street.id), "title": "t", "crs": "wgs84"}
    refused = service.as_(None).post(
        PATH, files=files, data=data, headers={"Authorization": f"Bearer {made.json()['token']}"}
    )
    assert refused.status_code == 403
