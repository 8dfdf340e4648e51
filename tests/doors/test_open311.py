"""GeoReport v2: what goes out, what comes in once, errors in the standard's form, and another server's export."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import func, select, update

from gis.db import make_engine, unit_of_work
from gis.exchange import open311_file
from gis.incidents import replay
from gis.models import Incident, IncidentCategory, IncidentSource
from scripts import cli
from tests.doors.conftest import program, secret_of

V2 = "/open311/v2"
HERE = {"service_code": "0201", "lat": "39.861", "long": "124.151"}


def _post(client: Any, ending: str = "json", **form: str) -> Any:
    return client.post(f"{V2}/requests.{ending}", data={**HERE, **form})


def _get(service: Any, path: str, name: str | None = "dispatcher", **params: str) -> Any:
    return service.as_(name).get(f"{V2}{path}", params=params)


# --- Out --------------------------------------------------------------------------------------------------------------


def test_services_are_the_categories_in_both_forms(shared: Any) -> None:
    listed = _get(shared, "/services.json").json()
    assert {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"} <= listed[0].keys()
    root = ElementTree.fromstring(_get(shared, "/services.xml").content)
    assert root.tag == "services"
    assert [one.findtext("service_code") for one in root] == [one["service_code"] for one in listed]
    assert root[0].findtext("metadata") == "false"
    assert _get(shared, "/services/0201.json").json() == {"service_code": "0201", "attributes": []}
    assert ElementTree.fromstring(_get(shared, "/services/0201.xml").content).tag == "service_definition"


def test_the_discovery_document_says_where_and_how(shared: Any) -> None:
    made = shared.as_("viewer").get("/open311/discovery.json").json()
    assert made["endpoints"][0]["url"].endswith(V2)
    assert made["endpoints"][0]["formats"] == ["text/xml", "application/json"]
    xml = ElementTree.fromstring(shared.as_("viewer").get("/open311/discovery.xml").content)
    assert xml.findtext("endpoints/endpoint/specification") == "http://wiki.open311.org/GeoReport_v2"


def test_requests_are_listed_by_the_standards_parameters(service: Any) -> None:
    client = program(service, "officer", can_write=True)
    code = _post(client, description="路灯坏了，电话13800001111，找李四").json()[0]["service_request_id"]
    rows = _get(service, "/requests.json").json()
    assert [one["service_request_id"] for one in rows] == [code]
    one = rows[0]
    assert "13800001111" not in str(rows)
    assert (one["status"], one["service_code"], one["lat"], one["long"]) == ("open", "0201", 39.861, 124.151)
    assert one["requested_datetime"] and one["updated_datetime"] and one["expected_datetime"]  # noqa: PT018
    assert _get(service, f"/requests/{code}.json").json() == rows
    xml = ElementTree.fromstring(_get(service, f"/requests/{code}.xml").content)
    assert xml.tag == "service_requests"
    assert xml[0].findtext("service_request_id") == code
    assert _get(service, f"/tokens/{code}.json").json() == [{"service_request_id": code, "token": code}]
    for params, count in (
        ({"status": "open"}, 1), ({"status": "closed"}, 0), ({"status": "open,closed"}, 1),
        ({"service_code": "0201,x"}, 1), ({"service_code": "x"}, 0),
        ({"service_request_id": f"{code},other"}, 1),
        ({"end_date": (service.clock.now - timedelta(days=1)).isoformat()}, 0),
        ({"jurisdiction_id": service.town.communities[0].code}, 1),
        ({"jurisdiction_id": service.town.communities[1].code}, 0),
    ):  # fmt: skip
        assert len(_get(service, "/requests.json", **params).json()) == count, params


def test_requests_are_those_of_the_callers_areas(service: Any) -> None:
    code = _post(program(service, "officer", can_write=True)).json()[0]["service_request_id"]
    assert _get(service, "/requests.json", "viewer1").json() == []
    refused = _get(service, f"/requests/{code}.json", "viewer1")
    assert (refused.status_code, refused.json()[0]["code"]) == (404, 404)
    assert (
        _get(service, "/requests.json", "viewer1", jurisdiction_id=service.town.communities[0].code).status_code == 404
    )


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"start_date": "yesterday"}, 400),
        ({"start_date": "2026-01-01T00:00:00"}, 400),
        ({"start_date": "9999-12-01T00:00:00Z"}, 400),
        ({"end_date": "0001-01-02T00:00:00Z"}, 400),
        ({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-06-01T00:00:00Z"}, 400),
        ({"start_date": "2026-06-01T00:00:00Z", "end_date": "2026-01-01T00:00:00Z"}, 400),
        ({"status": "lost"}, 400),
        ({"jurisdiction_id": "nowhere"}, 404),
        ({"service_request_id": ",".join("x" * 2 for _ in range(1200))}, 400),
        ({"api_key": "wgt_secret"}, 400),
    ],
)
@pytest.mark.parametrize("ending", ["json", "xml"])
def test_errors_are_told_as_the_standard_has_it(shared: Any, params: dict[str, str], status: int, ending: str) -> None:
    answer = _get(shared, f"/requests.{ending}", **params)
    assert answer.status_code == status
    if ending == "json":
        said = answer.json()[0]
        assert said["code"] == status
        assert said["description"]
    else:
        root = ElementTree.fromstring(answer.content)
        assert root.tag == "errors"
        assert root.findtext("error/code") == str(status)
        assert root.findtext("error/description")


# --- In ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "form", "multipart"])
def test_a_report_is_an_incident_with_its_grid(service: Any, way: str) -> None:
    secret = secret_of(service, "officer", can_write=True)
    client = service.as_(None)
    client.headers.pop("Origin", None)
    headers = {"Authorization": f"Bearer {secret}"} if way == "header" else {}
    form = HERE | {"description": "路灯坏了", "media_url": "https://example.org/a.jpg", "phone": "13800001111"}
    form |= {} if way == "header" else {"api_key": secret}
    files = {name: (None, value) for name, value in form.items()} if way == "multipart" else None
    answer = client.post(f"{V2}/requests.json", data=None if files else form, files=files, headers=headers)
    assert answer.status_code == 201, answer.text
    code = answer.json()[0]["service_request_id"]
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        made = session.scalars(select(Incident).where(Incident.code == code)).one()
        assert made.grid_id is not None
        assert (made.title, made.description, made.category) == ("暴露垃圾", "路灯坏了", "0201")
        origin = session.get_one(IncidentSource, made.id)
        assert origin.media_url == "https://example.org/a.jpg"
        everything = str({**made.__dict__, **origin.__dict__})
        assert "13800001111" not in everything
    engine.dispose()


def test_the_same_report_sent_again_is_one_incident(service: Any) -> None:
    client = program(service, "officer", can_write=True)
    first = _post(client, description="路灯坏了", request_id="abc").json()
    assert _post(client, description="路灯坏了", request_id="abc").json() == first
    header = {"Idempotency-Key": "abc"}
    again = client.post(f"{V2}/requests.json", data={**HERE, "description": "路灯坏了"}, headers=header)
    assert again.json() == first
    assert _post(client, description="别的事", request_id="abc").status_code == 409
    other = _post(program(service, "dispatcher", can_write=True), description="路灯坏了", request_id="abc").json()
    assert other != first


def test_an_address_or_a_building_will_do_for_a_place(service: Any) -> None:
    client = program(service, "dispatcher", can_write=True)
    building = (
        service.as_("dispatcher").get("/api/v1/buildings", params={"limit": 1}).json()["features"][0]["properties"]
    )
    by_code = client.post(f"{V2}/requests.json", data={"service_code": "0201", "address_id": building["code"]})
    assert by_code.status_code == 201, by_code.text
    unknown = client.post(f"{V2}/requests.json", data={"service_code": "0201", "address_string": "没有的路 9 号"})
    assert unknown.status_code == 400
    assert "open311.unknown_address" in unknown.json()[0]["description"]


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"service_code": ""}, 400, "open311.missing"),
        ({"service_code": "none"}, 404, "incident.unknown_category"),
        ({"lat": "", "long": ""}, 400, "open311.no_place"),
        ({"lat": ""}, 400, "open311.missing"),
        ({"lat": "NaN"}, 400, "open311.bad_value"),
        ({"lat": "124.151", "long": "39.861"}, 400, "open311.bad_value"),
        ({"lat": "31.2", "long": "121.4"}, 400, "incident.too_far"),
        ({"media_url": "javascript:alert(1)"}, 400, "open311.bad_media_url"),
        ({"media_url": "https://" + "x" * 3000}, 400, "open311.bad_value"),
        ({"description": "x" * 5000}, 400, "open311.bad_value"),
        ({"jurisdiction_id": "nowhere"}, 404, "open311.unknown_jurisdiction"),
    ],
)
def test_bad_reports_are_refused(shared: Any, form: dict[str, str], status: int, code: str) -> None:
    answer = _post(shared.as_("officer"), **form)
    assert (answer.status_code, answer.json()[0]["code"]) == (status, status), answer.text
    assert code in answer.json()[0]["description"]


def test_who_may_not_report_or_shows_no_key_is_refused(service: Any) -> None:
    for client in (service.as_(None), program(service, "officer"), service.as_("viewer")):
        assert _post(client).status_code == 403
    assert _post(service.as_(None), api_key="wgt_wrong").json()[0]["code"] == 403
    root = ElementTree.fromstring(_post(service.as_(None), "xml").content)
    assert root.findtext("error/code") == "403"


def test_only_forms_are_read_and_no_files(shared: Any) -> None:
    client = shared.as_("officer")
    assert client.post(f"{V2}/requests.json", json=HERE).status_code == 400
    assert client.post(f"{V2}/requests.json", data=HERE, files={"media": b"x"}).status_code == 400
    assert client.post(f"{V2}/requests.json", data={**HERE, "description": "x" * 200_000}).status_code == 413
    assert client.post(f"{V2}/requests.json", data={f"a{n}": "1" for n in range(100)}).status_code == 400


# --- Another server's export ------------------------------------------------------------------------------------------

ROWS = [
    {"service_request_id": "1", "service_code": "lamp", "status": "open", "description": "=路灯坏了",
     "requested_datetime": "2026-03-01T08:00:00+08:00", "lat": 39.861, "long": 124.151, "address": "水岸路1号"},
    {"service_request_id": 2, "service_code": "0201", "status": "closed", "description": None,
     "requested_datetime": "2026-03-01T08:00:00Z", "updated_datetime": "2026-03-03T08:00:00Z", "lat": "39.8612",
     "long": "124.1512", "media_url": "javascript:x"},
    {"service_request_id": "3", "service_code": "nobody knows", "lat": 39.861, "long": 124.151,
     "requested_datetime": "2026-03-01T08:00:00Z"},
    {"service_request_id": "4", "service_code": "0201", "requested_datetime": "2026-03-01T08:00:00Z"},
    {"service_request_id": "5", "service_code": "0201", "lat": 124.151, "long": 39.861,
     "requested_datetime": "2026-03-01T08:00:00Z"},
    {"service_request_id": "6", "service_code": "0201", "lat": 31.2, "long": 121.4,
     "requested_datetime": "2026-03-01T08:00:00Z"},
    {"service_request_id": "7", "service_code": "0201", "lat": 39.861, "long": 124.151, "requested_datetime": "soon"},
    {"service_code": "0201"},
]  # fmt: skip


def _file(folder: Path, ending: str) -> Path:
    path = folder / f"requests.{ending}"
    if ending == "json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    else:
        root = ElementTree.Element("service_requests")
        for row in ROWS:
            one = ElementTree.SubElement(root, "request")
            for name, value in row.items():
                ElementTree.SubElement(one, name).text = None if value is None else str(value)
        path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return path


def _with_lead(service: Any) -> None:
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        session.execute(update(IncidentCategory).values(department="D01"))
    engine.dispose()


@pytest.mark.parametrize("ending", ["json", "xml"])
def test_another_servers_requests_come_in_once(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    monkeypatch.setenv("WANGGE_DATABASE_URL", service.url)
    _with_lead(service)
    words = ["import", str(_file(tmp_path, ending)), "--map", "lamp=0201", "--source", "311.example", "--json"]
    assert cli.run([*words, "--dry-run"]) == 0
    capsys.readouterr()
    assert cli.run(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["files"][0]["inserted"], said["files"][0]["known"], said["rejected"]) == (2, 0, 5)
    assert {one["key"]: one["code"].partition(".")[2] for one in said["findings"]} == {
        "3": "unknown_service", "4": "no_coordinates", "5": "no_coordinates", "6": "too_far", "7": "bad_time",
    }  # fmt: skip
    assert cli.run(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["files"][0]["inserted"], said["files"][0]["known"]) == (0, 2)
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        assert session.scalar(select(func.count()).select_from(Incident)) == 2
        rows = {one.source_id: one for one in session.scalars(select(IncidentSource))}
        assert rows["1"].address == "水岸路1号"
        assert rows["2"].media_url is None
        assert replay(session, rows["1"].incident_id) == "reported"
        assert replay(session, rows["2"].incident_id) == "closed"
    engine.dispose()


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><service_requests/>',
        b"<service_requests><request></service_requests>",
        "<service_requests/>".encode("utf-16"),
    ],
)
def test_xml_that_is_broken_or_brings_entities_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "requests.xml"
    path.write_bytes(content)
    with pytest.raises(open311_file.InvalidInput) as refused:
        list(open311_file.read(path))
    assert refused.value.code == "import.unreadable_file"


def test_broken_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requests.json"
    for content in ('[{"service_request_id": "1"', '{"service_request_id": "1"}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(open311_file.InvalidInput):
            list(open311_file.read(path))


def test_a_list_of_requests_is_told_from_geojson(tmp_path: Path) -> None:
    assert open311_file.is_open311(_file(tmp_path, "json"))
    assert open311_file.is_open311(_file(tmp_path, "xml"))
    (tmp_path / "a.json").write_text('{"type": "FeatureCollection", "features": []}')
    assert not open311_file.is_open311(tmp_path / "a.json")
