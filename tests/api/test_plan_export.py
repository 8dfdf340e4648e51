"""Any plan as a file, draft or not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import geopandas as gpd
import openpyxl
import pyogrio
import pytest

from gis import plan_copy
from gis.db import unit_of_work
from gis.permissions import SYSTEM


@pytest.fixture
def draft(service: Any) -> int:
    with unit_of_work(service.app.state.services.engine) as session:
        made = plan_copy.copy(session, service.plan_id, title="草案", actor=SYSTEM, now=service.clock.now)
        return made.id


def fetch(service: Any, plan: int, file: str, who: str = "planner", **query: str) -> Any:
    return service.as_(who).get(f"/api/v1/plans/{plan}/export/{file}", params=query)


@pytest.mark.parametrize("format", ["geojson", "gpkg", "shp.zip", "kml"])
def test_a_draft_and_a_plan_in_force_go_out_in_every_format(
    service: Any, draft: int, tmp_path: Path, format: str
) -> None:
    for plan in (draft, service.plan_id):
        answer = fetch(service, plan, f"grids.{format}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Rows"] == "4"
        path = tmp_path / f"{plan}.{format}"
        path.write_bytes(answer.content)
        frame = gpd.read_file(path)
        assert len(frame) == 4
        assert frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"]).all()
    assert fetch(service, draft, f"micro_grids.{format}").headers["X-Rows"] == "10"


def test_places_without_a_name_of_their_own_have_one_on_other_peoples_maps(
    service: Any, draft: int, tmp_path: Path
) -> None:
    path = tmp_path / "grids.kml"
    path.write_bytes(fetch(service, draft, "grids.kml").content)
    frame = gpd.read_file(path)
    for place in frame.itertuples():
        assert place.Name == f"{place.community_name} {place.code.removeprefix(place.community)}"


def test_a_workbook_has_parts_and_lineage(service: Any, draft: int) -> None:
    answer = fetch(service, draft, "plan.xlsx", headers="zh")
    assert answer.status_code == 200, answer.text
    book = openpyxl.load_workbook(io.BytesIO(answer.content), read_only=True)
    assert book.sheetnames == ["网格", "微网格", "楼栋归属", "沿革", "说明 About"]
    parts = list(book["楼栋归属"].iter_rows(values_only=True))
    assert parts[0][0] == "楼栋编码"
    assert sum(int(row[7]) for row in parts[1:]) == 2 * 16 * 20
    cells = list(book["网格"].iter_rows(values_only=True))
    at = cells[0].index("是否达标")
    assert {row[at] for row in cells[1:]} <= {"达标", "偏少", "偏多"}, "in words that are read"
    lineage = list(book["沿革"].iter_rows(values_only=True))
    assert lineage[0][:3] == ("原编码", "现编码", "沿革")
    assert {row[2] for row in lineage[1:]} <= {"不变", "延续", "拆出", "并入", "划转"}
    shares: dict[str, float] = {}
    for row in lineage[1:]:
        shares[str(row[0])] = shares.get(str(row[0]), 0.0) + float(row[3])
    assert shares
    assert all(share == pytest.approx(100, abs=0.1) for share in shares.values())


def test_a_whole_plan_as_a_plan_file(service: Any, draft: int, tmp_path: Path) -> None:
    (tmp_path / "plan.gpkg").write_bytes(fetch(service, draft, "plan.gpkg").content)
    assert {"grids", "micro_grids", "parts"} <= {str(name) for name, _ in pyogrio.list_layers(tmp_path / "plan.gpkg")}


REFUSED = [
    ("planner", "roads.gpkg", {}, 404, "things.unknown"),
    ("planner", "plan.kml", {}, 422, "export.plan_format"),
    ("planner", "grids.docx", {}, 422, "export.unknown_format"),
    ("planner", "grids.kml", {"crs": "gcj02"}, 422, "export.only_wgs84"),
    ("planner", "grids.gpkg", {"encoding": "gbk"}, 422, "export.bad_encoding"),
    ("viewer", "grids.gpkg", {}, 403, "access.no_grant"),
    ("dispatcher", "grids.gpkg", {}, 404, "plan.unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("who", "file", "query", "status", "code"), REFUSED)
def test_refusals(service: Any, draft: int, who: str, file: str, query: dict[str, str], status: int, code: str) -> None:
    refused = fetch(service, draft, file, who, **query)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_only_the_callers_areas_go_out(service: Any) -> None:
    answer = fetch(service, service.plan_id, "grids.geojson", "dispatcher0")
    assert answer.headers["X-Rows"] == "2"
    assert fetch(service, service.plan_id, "plan.gpkg", "dispatcher0").status_code == 403
