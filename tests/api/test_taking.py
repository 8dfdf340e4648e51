"""An existing division handed in over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import select

from gis.db import unit_of_work
from gis.models import UserAccount
from tests.usecases.builders import LAT, LON, SIZE, building_code

PATH = "/api/v1/plans/import"


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


def test_a_division_becomes_a_draft_and_what_was_noticed_can_be_read_again(service: Any) -> None:
    made = hand_in(service)
    assert made.status_code == 201, made.text
    found = made.json()
    assert found["communities"] == 1
    assert found["cells"][0] == 2
    assert found["households"] == 16 * 20
    plan = service.as_("planner").get(f"/api/v1/plans/{found['plan_id']}").json()
    assert plan["title"] == "旧划分"
    assert plan["state"] == "draft"
    totals = next(item for item in found["findings"] if item["code"] == "take.totals")
    assert "2" in totals["text"]
    again = service.as_("planner").get(f"/api/v1/plans/{found['plan_id']}/import?lang=en").json()
    assert any("not covered" in item["text"] for item in again["items"])
    assert service.as_("viewer1").get(f"/api/v1/plans/{found['plan_id']}/import").status_code == 404
    assert not list((service.app.state.services.settings.home / "taking").iterdir()), "no file stays"


def test_a_table_is_taken_by_its_ending(service: Any) -> None:
    home = service.town.communities[0].code
    lines = [f"{building_code(home, i)},{'甲' if i % 4 < 2 else '乙'}" for i in range(16)]
    made = hand_in(service, content="\n".join(["楼栋编码,网格编码", *lines]).encode(), name="表.CSV")
    assert made.status_code == 201, made.text
    assert made.json()["cells"][0] == 2


REFUSED = [
    ({"content": b"a,b\n1,2\n", "name": "x.csv"}, 422, "take.nothing_known"),
    ({"content": b"x", "name": "x.docx"}, 422, "import.unknown_format"),
    ({"content": halves(), "crs": ""}, 422, "import.crs_missing"),
    ({"title": ""}, 422, "file.bad_options"),
    ({"area_id": "0"}, 422, "file.bad_options"),
    ({"area_id": "999999"}, 404, "area.unknown"),
    ({"who": "viewer"}, 403, "access.no_grant"),
    ({"who": "dispatcher"}, 403, "access.no_grant"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "code"), REFUSED)
def test_what_is_refused_leaves_nothing(service: Any, asked: dict[str, Any], status: int, code: str) -> None:
    before = service.as_("planner").get("/api/v1/plans").json()["total"]
    refused = hand_in(service, **asked)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert service.as_("planner").get("/api/v1/plans").json()["total"] == before
    folder = service.app.state.services.settings.home / "taking"
    assert not folder.exists() or not list(folder.iterdir())


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
