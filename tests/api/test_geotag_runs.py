"""Tables handed in over HTTP: from the upload through the queue to the download, for their owner alone."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import shapely

from gis import file_runs, geotag_runs, jobs
from gis.db import unit_of_work
from gis.models import FileRun
from gis.settings import Settings

RUNS = "/api/v1/geotag/runs"


@pytest.fixture
def service(service: Any, tmp_path: Path) -> Any:
    """With a home folder of its own."""
    here = service.app.state.services
    own = here.settings.model_copy(update={"home": tmp_path / "home"})
    service.app.state.services = replace(here, settings=own)
    return service


def folders(service: Any) -> list[Path]:
    """The folders of runs, and what lies in each."""
    return sorted(
        path
        for path in file_runs.folder_of(settings(service), "geotag").parent.glob("[0-9a-f]*")
        if path.name != "incoming"
    )


def files(service: Any) -> list[str]:
    return sorted(path.name for folder in folders(service) for path in folder.iterdir())


def incoming(service: Any) -> list[Path]:
    folder = file_runs.folder_of(settings(service), "geotag")
    return list(folder.iterdir()) if folder.exists() else []


def settings(service: Any) -> Settings:
    found: Settings = service.app.state.services.settings
    return found


def inside(service: Any, community: int = 0) -> tuple[float, float]:
    """A place in a community, not near a border."""
    area = service.town.communities[community]
    with unit_of_work(service.app.state.services.engine) as session:
        from sqlalchemy import text

        wkb = session.execute(
            text("SELECT ST_AsBinary(geom) FROM grid WHERE plan_id = :p AND community_id = :c AND grid_depth = 2 "
                 "AND floor_from IS NULL ORDER BY id LIMIT 1"), {"p": service.plan_id, "c": area.id},
        ).scalar_one()  # fmt: skip
    middle = shapely.from_wkb(bytes(wkb)).centroid
    return middle.x, middle.y


def table(service: Any) -> bytes:
    (x0, y0), (x1, y1) = inside(service, 0), inside(service, 1)
    return f"编号,lon,lat\n甲,{x0},{y0}\n乙,{x1},{y1}\n丙,,\n".encode()


def hand_in(
    service: Any, who: str = "dispatcher", *, content: bytes | None = None, name: str = "来电.csv", **more: str
) -> Any:
    files = {"file": (name, table(service) if content is None else content, "text/csv")}
    return service.as_(who).post(RUNS, files=files, data={"crs": "wgs84", **more})


def work(service: Any) -> None:
    # In a thread of its own: a browser of another test may have left a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        engine = service.app.state.services.engine
        pool.submit(jobs.work, service.url, engine, settings=settings(service), once=True).result()


def rows(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_a_table_goes_through_the_queue_and_comes_back(service: Any) -> None:
    answer = hand_in(service)
    assert answer.status_code == 202, answer.text
    run, browser = answer.json(), service.as_("dispatcher")
    assert (run["state"], run["progress_ratio"], run["file_name"]) == ("queued", 0.0, "来电.csv")
    assert browser.get(f"{RUNS}/{run['id']}/result").status_code == 409
    work(service)
    done = browser.get(f"{RUNS}/{run['id']}").json()
    assert (done["state"], done["progress_ratio"]) == ("done", 1.0), done
    assert done["summary"]["rows"] == 3
    assert done["summary"]["reasons"] == {"no_coordinates": 1}
    result = browser.get(f"{RUNS}/{run['id']}/result")
    assert result.status_code == 200
    assert "来电_定位结果.csv" in unquote(result.headers["content-disposition"])
    told = rows(result)
    assert [row["编号"] for row in told] == ["甲", "乙", "丙"]
    assert [row["定位结果"] for row in told] == ["网格内", "网格内", "未定位"]
    assert told[0]["微网格编码"]
    assert told[0]["责任人"]
    assert told[2]["定位说明"] == "无坐标"
    listed = browser.get(RUNS).json()["items"]
    assert [one["id"] for one in listed] == [run["id"]]
    assert browser.delete(f"{RUNS}/{run['id']}").status_code == 204
    assert browser.get(RUNS).json()["items"] == []
    assert folders(service) == []


def test_only_cells_of_the_callers_areas_count(service: Any) -> None:
    run = hand_in(service, "dispatcher0", language="en", format="ndjson").json()
    work(service)
    result = service.as_("dispatcher0").get(f"{RUNS}/{run['id']}/result")
    assert [line.split('"how":"')[1].split('"')[0] for line in result.text.splitlines()] == ["inside", "none", "none"]
    assert "outside" in result.text.splitlines()[1]


def test_a_run_is_its_owners_alone(service: Any) -> None:
    run = hand_in(service).json()
    other = service.as_("planner")
    assert other.get(RUNS).json()["items"] == []
    answers = [other.get(f"{RUNS}/{run['id']}"), other.get(f"{RUNS}/{run['id']}/result"),
               other.post(f"{RUNS}/{run['id']}/cancel"), other.delete(f"{RUNS}/{run['id']}")]  # fmt: skip
    assert [answer.status_code for answer in answers] == [404] * 4
    assert service.as_(None).get(RUNS).status_code == 401
    assert service.as_("nobody").get(RUNS).status_code == 403


def test_nobody_uploads_before_it_is_known_who_sends(service: Any) -> None:
    assert hand_in(service, None).status_code == 401  # type: ignore[arg-type]
    assert hand_in(service, "nobody").status_code == 403
    assert incoming(service) == []


@pytest.mark.parametrize(
    ("content", "name", "more", "code"),
    [
        (b"a,b\n1,2\n", "a.csv", {}, "geotag.no_coordinate_columns"),
        (b"lon,lat\n1,2\n", "a.csv", {"crs": ""}, "import.crs_missing"),
        (b"lon,lat\n1,2\n", "a.csv", {"crs": "mars"}, "crs.unknown"),
        (b"lon,lat\n1,2\n", "a.exe", {}, "geotag.unknown_format"),
        (b"PAR1 torn torn PAR1", "a.parquet", {}, "import.unreadable_file"),
        (b"PAR1 torn", "a.parquet", {}, "import.unreadable_file"),
        (b"", "a.csv", {}, "file.bad_upload"),
        (b"lon,lat\n1,2\n", "a.csv", {"default_point": "2"}, "file.bad_options"),
        (b"lon,lat\n1,2\n", "a.csv", {"more": "2"}, "file.bad_options"),
        (b"lon,lat\n1,2\n", "a.csv", {"lon": "x"}, "geotag.no_column"),
    ],
)
def test_what_the_head_of_a_file_shows_is_refused_at_once(
    service: Any, content: bytes, name: str, more: dict[str, str], code: str
) -> None:
    answer = hand_in(service, content=content, name=name, **more)
    assert answer.json()["code"] == code, answer.text
    assert service.as_("dispatcher").get(RUNS).json()["items"] == []
    assert incoming(service) == []


def test_no_form_and_too_large_a_file_are_refused(service: Any) -> None:
    browser = service.as_("dispatcher")
    assert browser.post(RUNS, json={}).json()["code"] == "file.bad_upload"
    announced = browser.post(
        RUNS, content=b"x", headers={"Content-Length": str(10**12), "Content-Type": "multipart/form-data"}
    )
    assert announced.status_code == 413
    assert announced.json()["code"] == "file.upload_too_large"
    assert "512" in announced.json()["detail"]
    between = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nlon,lat\r\n'
    torn = browser.post(RUNS, content=between, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert torn.status_code == 422
    assert incoming(service) == []


def test_a_file_larger_than_other_bodies_goes_to_the_disk(service: Any) -> None:
    x, y = inside(service)
    line = f"{'x' * 180},{x},{y}\n"
    content = ("text,lon,lat\n" + line * 100_000).encode()
    assert len(content) > 18_000_000
    run = hand_in(service, content=content, default_point="0").json()
    assert (incoming(service), files(service)) == ([], ["in.csv"])
    assert run["size_bytes"] == len(content)
    work(service)
    assert service.as_("dispatcher").get(f"{RUNS}/{run['id']}").json()["summary"]["inside"] == 100_000


def test_a_waiting_run_is_cancelled_at_once_and_a_running_one_at_its_next_block(service: Any) -> None:
    browser = service.as_("dispatcher")
    run = hand_in(service).json()
    assert browser.post(f"{RUNS}/{run['id']}/cancel").json()["state"] == "cancelled"
    assert browser.post(f"{RUNS}/{run['id']}/cancel").json()["code"] == "file.run_over"
    running = hand_in(service).json()
    with unit_of_work(service.app.state.services.engine) as session:
        session.get_one(FileRun, running["id"]).cancel_requested = True
    work(service)
    states = {one["id"]: one["state"] for one in browser.get(RUNS).json()["items"]}
    assert states == {run["id"]: "cancelled", running["id"]: "cancelled"}
    assert browser.get(f"{RUNS}/{running['id']}/result").status_code == 409
    assert files(service) == []


def test_a_worker_asked_for_once_does_all_that_waits(service: Any) -> None:
    """Files wait for one another by a lock."""
    waiting = [hand_in(service).json()["id"] for _ in range(3)]
    work(service)
    told = {one["id"]: one["state"] for one in service.as_("dispatcher").get(RUNS).json()["items"]}
    assert told == dict.fromkeys(waiting, "done")


def test_a_torn_file_fails_with_its_name_and_leaves_nothing(service: Any) -> None:
    run = hand_in(service, content=b"PK\x03\x04 torn", name="坏.xlsx").json()
    work(service)
    told = service.as_("dispatcher").get(f"{RUNS}/{run['id']}").json()
    assert told["state"] == "failed"
    assert told["error"]["code"] == "import.unreadable_file"
    assert files(service) == []


def test_results_expire_and_lost_runs_are_called_so(service: Any) -> None:
    browser, engine = service.as_("dispatcher"), service.app.state.services.engine
    done, lost = hand_in(service).json(), hand_in(service).json()
    with unit_of_work(engine) as session:
        run = session.get_one(FileRun, lost["id"])
        run.state, run.started_at, run.seen_at = "running", run.created_at, run.created_at
    stray = file_runs.folder_of(settings(service), "geotag").parent / "0123"
    stray.mkdir(parents=True)
    service.clock.forward(hours=1)
    geotag_runs.bury(engine, now=service.clock())
    file_runs.sweep(engine, settings=settings(service), now=service.clock())
    assert browser.get(f"{RUNS}/{lost['id']}").json()["error"]["code"] == "jobs.interrupted"
    assert stray.exists()  # another database of the same home may still count on it
    service.clock.forward(days=8)
    file_runs.sweep(engine, settings=settings(service), now=service.clock())
    with unit_of_work(engine) as session:
        assert session.query(FileRun).count() == 0
    assert folders(service) == []
    assert done["expires_at"] < service.clock().isoformat()


def test_an_account_keeps_so_many_and_no_more(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geotag_runs, "RUNS_MOST", 1)
    hand_in(service)
    assert hand_in(service).json()["code"] == "file.too_many_runs"


def test_history_answers_for_its_time(service: Any) -> None:
    run = hand_in(service, at=datetime(1999, 1, 1, tzinfo=UTC).isoformat()).json()
    work(service)
    told = service.as_("dispatcher").get(f"{RUNS}/{run['id']}").json()
    assert told["summary"]["reasons"] == {"no_plan_in_force": 2, "no_coordinates": 1}


def body(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """A form of parts, each with its header."""
    content = b"".join(
        b"--x\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
        for head, data in parts
    )
    return {"content": content + b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


@pytest.mark.parametrize(
    "form",
    [
        body(*[(f'name="file"; filename="{n}.csv"', b"lon,lat\n1,2\n") for n in range(3)]),
        body(('name="crs"', b"x" * 5_000_000), ('name="file"; filename="a.csv"', b"lon,lat\n1,2\n")),
        body(*[(f'name="f{n}"', b"x") for n in range(100)]),
        body(('name="other"; filename="a.csv"', b"lon,lat\n1,2\n")),
    ],
    ids=["files", "long field", "fields", "other name"],
)
def test_a_form_is_one_file_and_few_short_fields(service: Any, form: dict[str, Any]) -> None:
    answer = service.as_("dispatcher").post(RUNS, **form)
    assert (answer.status_code, answer.json()["code"]) == (422, "file.bad_upload")
    assert incoming(service) == []


def test_a_result_is_kept_from_an_owner_who_may_not_see_it_any_more(service: Any) -> None:
    run = hand_in(service).json()
    work(service)
    assert service.as_("dispatcher").get(f"{RUNS}/{run['id']}/result").status_code == 200
    with unit_of_work(service.app.state.services.engine) as session:
        stored = session.get_one(FileRun, run["id"])
        stored.options = {**stored.options, "seen": ["elsewhere"]}
    answer = service.as_("dispatcher").get(f"{RUNS}/{run['id']}/result")
    assert answer.json()["code"] == "geotag.no_result"


def test_a_locked_accounts_table_is_not_worked_on(service: Any) -> None:
    run = hand_in(service).json()
    with unit_of_work(service.app.state.services.engine) as session:
        from gis.models import UserAccount

        session.get_one(UserAccount, session.get_one(FileRun, run["id"]).owner_id).is_active = False
    work(service)
    with unit_of_work(service.app.state.services.engine) as session:
        assert session.get_one(FileRun, run["id"]).error_code == "file.owner_locked"
