"""What goes out says its system and comes in again; who may have what; nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pyogrio
import pytest
import shapely
from sqlalchemy import select, text

from gis import crs
from gis.db import make_engine, unit_of_work
from gis.exchange import columns, export_file, read_any
from gis.exchange.export_file import Header, Sheet
from gis.listing.things import THINGS
from gis.models import AuditLog
from gis.town import LAYERS
from scripts import cli
from tests.usecases.builders import LONG_AGO

NAMES = ["阳光水岸3栋", '=HYPERLINK("http://x")', "+86 138", "@sum", "-1", "“引号”, 逗号", "O'Brien", None]
VECTORS = ["geojson", "gpkg", "shp.zip", "kml", "fgb"]


def _rows(geometry: str | None) -> list[dict[str, Any]]:
    return [
        {
            "code": f"B{number}",
            "name": name,
            "households": number,
            "is_walled": number % 2 == 0,
            "height_m": 3.5 * (number + 1),
            "seen": datetime(2026, 3, 1, tzinfo=UTC),
            "kind": "gate",
            "geometry": _shape(number, geometry),
        }
        for number, name in enumerate(NAMES)
    ]


def _shape(number: int, geometry: str | None) -> bytes | None:
    lon = 124.15 + number / 1000
    if geometry is None:
        return None
    return shapely.to_wkb(
        shapely.Point(lon, 39.86) if geometry == "point" else shapely.box(lon, 39.86, lon + 5e-4, 39.8605)
    )


KINDS = {
    "code": "text",
    "name": "text",
    "households": "integer",
    "is_walled": "flag",
    "height_m": "number",
    "seen": "time",
    "kind": "text",
}
HEADERS = tuple(Header(key, key, kind) for key, kind in KINDS.items())  # type: ignore[arg-type]


def _written(folder: Path, name: str, *, system: str = "wgs84", geometry: Any = "polygon", **sheet: Any) -> Path:
    path = folder / f"buildings.{name}"
    made = Sheet("buildings", HEADERS, geometry, crs.parse(system), (("坐标系", system),), **sheet)
    rows = _rows(geometry)
    assert export_file.write(path, name, made, iter([rows[:3], rows[3:]])) == len(NAMES)
    return path


# --- Files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*VECTORS, "csv"])
def test_what_goes_out_comes_in_again(tmp_path: Path, name: str) -> None:
    town, findings = read_any(_written(tmp_path, name))
    buildings = town.geo("buildings").set_index("code").sort_index()
    assert [found.code for found in findings if found.severity == "rejected"] == []
    assert buildings["name"].astype(object).where(buildings["name"].notna(), None).tolist() == NAMES
    assert buildings["households"].tolist() == list(range(len(NAMES)))
    shapes = [shapely.from_wkb(row["geometry"]) for row in _rows("polygon")]
    assert all(one.hausdorff_distance(other) < 1e-7 for one, other in zip(buildings.geometry, shapes, strict=True))


def test_excel_comes_in_as_facts_about_known_buildings(tmp_path: Path) -> None:
    town, _ = read_any(_written(tmp_path, "xlsx"))
    assert town["buildings"]["code"].tolist() == [f"B{number}" for number in range(len(NAMES))]
    assert town["buildings"]["name"].tolist()[:3] == NAMES[:3]
    assert town.geo("buildings").geometry.isna().all()


def test_gpx_has_points_for_devices_that_come_in_as_places(tmp_path: Path) -> None:
    path = _written(tmp_path, "gpx")
    frame = pyogrio.read_dataframe(path, layer="waypoints")
    assert len(frame) == len(NAMES)
    assert "households: 3" in frame["desc"][3]
    town, _ = read_any(path, layer="pois", mapping={"src": "code"})
    assert town["pois"]["name"].tolist()[0] == NAMES[0]
    assert town["pois"]["code"].tolist()[0] == "B0"


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_shapefile_says_coding_system_and_what_its_names_mean(tmp_path: Path, encoding: str) -> None:
    path = _written(tmp_path, "shp.zip", system="EPSG:4550", encoding=encoding)
    with zipfile.ZipFile(path) as packed:
        files = {Path(name).suffix: packed.read(name) for name in packed.namelist()}
    assert {".shp", ".shx", ".dbf", ".prj", ".cpg", ".txt"} <= files.keys()
    assert b"CGCS2000" in files[".prj"]
    assert files[".cpg"] == {"utf-8": b"UTF-8", "gbk": b"CP936"}[encoding]
    assert "阳光水岸3栋".encode(encoding) in files[".dbf"]
    assert "households\thouseholds" in files[".txt"].decode("utf-8-sig")
    town, _ = read_any(path)
    assert town["buildings"]["name"].tolist()[0] == NAMES[0]


def test_long_names_of_fields_are_cut_each_once_and_the_readme_tells(tmp_path: Path) -> None:
    headers = tuple(
        Header(key, key, "text") for key in ("households_estimated", "community_name", "abcdefghijk", "abcdefghijl")
    )
    rows = [{**{one.key: "龘" * 200 for one in headers}, "geometry": _shape(0, "polygon")}]
    path = tmp_path / "buildings.shp.zip"
    export_file.write(path, "shp.zip", Sheet("buildings", headers, "polygon", crs.WGS84, encoding="gbk"), iter([rows]))
    frame = gpd.read_file(path)
    assert list(frame.columns[:4]) == ["hh_est", "comm_name", "abcdefghij", "abcdefgh_1"]
    with zipfile.ZipFile(path) as packed:
        readme = packed.read("readme.txt").decode("utf-8-sig")
    assert "abcdefghijl\tabcdefgh_1" in readme
    assert "254" in readme
    assert len(frame["hh_est"][0].encode("gbk")) <= 254


def test_letters_beyond_gbk_are_told(tmp_path: Path) -> None:
    rows = [{"name": "𬭎家巷😀", "geometry": _shape(0, "polygon")}]
    sheet = Sheet("buildings", (Header("name", "name", "text"),), "polygon", crs.WGS84, encoding="gbk")
    export_file.write(tmp_path / "a.shp.zip", "shp.zip", sheet, iter([rows]))
    with zipfile.ZipFile(tmp_path / "a.shp.zip") as packed:
        assert "GBK" in packed.read("readme.txt").decode("utf-8-sig")


@pytest.mark.parametrize("name", ["gpkg", "shp.zip", "fgb", "csv"])
@pytest.mark.parametrize("system", ["gcj02", "bd09", "cgcs2000", "EPSG:4550"])
def test_every_file_says_its_system_and_is_believed(tmp_path: Path, name: str, system: str) -> None:
    path = _written(tmp_path, name, system=system)
    town, _ = read_any(path)  # without being told
    place = shapely.from_wkb(_shape(0, "polygon"))
    found = town.geo("buildings").set_index("code").geometry["B0"]
    assert found.hausdorff_distance(place) < 1e-6
    if system in ("gcj02", "bd09") and name != "csv":
        stated = gpd.read_file(path).crs
        assert stated.to_epsg() is None
        assert "WGS" not in stated.name


def test_the_ways_out_and_back_of_every_system_agree() -> None:
    points = np.array([[124.15, 39.86], [120.3, 31.5]])
    for system in ("gcj02", "bd09", "cgcs2000", "EPSG:3857", "EPSG:4550"):
        there = crs.points_from_wgs84(points, system)
        assert np.abs(crs.points_to_wgs84(there, system) - points).max() < 1e-8, system


@pytest.mark.parametrize(
    ("name", "system", "has_place", "code"),
    [
        ("kml", "gcj02", True, "export.only_wgs84"),
        ("gpx", "bd09", True, "export.only_wgs84"),
        ("geojson", "cgcs2000", True, "export.only_wgs84"),
        ("gpkg", "wgs84", False, "export.only_tables"),
        ("dwg", "wgs84", True, "export.unknown_format"),
    ],
)
def test_a_format_is_not_given_what_it_cannot_hold(name: str, system: str, has_place: bool, code: str) -> None:
    with pytest.raises(crs.InvalidInput) as refused:
        export_file.check(name, has_place=has_place, crs=crs.parse(system))
    assert refused.value.code == code


def test_a_system_that_does_not_reach_is_refused_not_written(tmp_path: Path) -> None:
    rows = [{"name": "x", "geometry": shapely.to_wkb(shapely.box(30.0, 10.0, 31.0, 11.0))}]
    sheet = Sheet("buildings", (Header("name", "name", "text"),), "polygon", crs.parse("EPSG:4550"))
    with pytest.raises(crs.InvalidInput) as refused:
        export_file.write(tmp_path / "a.gpkg", "gpkg", sheet, iter([rows]))
    assert refused.value.code == "crs.out_of_reach"


def test_no_cell_is_run_by_a_spreadsheet(tmp_path: Path) -> None:
    words = _written(tmp_path, "csv").read_text(encoding="utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(words)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+@" and cell]
    book = openpyxl.load_workbook(_written(tmp_path, "xlsx"))
    assert {cell.data_type for row in book["buildings"].iter_rows(max_col=2) for cell in row} <= {"s", "n"}


def test_excel_tells_when_a_sheet_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "EXCEL_ROWS_MOST", 4)
    with pytest.raises(crs.InvalidInput) as refused:
        _written(tmp_path, "xlsx")
    assert refused.value.code == "export.too_many_rows"


def test_chinese_headers_are_known_to_imports() -> None:
    for name, layer in (("communities", "communities"), ("compounds", "compounds"), ("buildings", "buildings"),
                        ("pois", "pois"), ("people", "staff"), ("posts", "assignments")):  # fmt: skip
        fields = [one for one in THINGS[name].fields if one.name in LAYERS[layer].columns]
        every = [one.zh for one in THINGS[name].fields]
        assert columns.match(layer, every) == {one.zh: one.name for one in fields}
        assert set(columns.match(layer, [one.name for one in THINGS[name].fields]).values()) == {
            one.name for one in fields
        }


# --- From the database ----------------------------------------------------------------------------------------------


def _download(service: Any, file: str, name: str = "planner", **params: Any) -> Any:
    return service.as_(name).get(f"/api/v1/export/{file}", params=params)


@pytest.mark.parametrize("thing", list(THINGS))
def test_each_thing_goes_out_and_its_name_tells_the_system(shared: Any, thing: str) -> None:
    has_place = THINGS[thing].shape is not None
    every = thing in ("buildings", "incidents")
    for name in export_file.FORMATS if every else ("gpkg", "csv") if has_place else ("csv", "xlsx"):
        answer = _download(shared, f"{thing}.{name}")
        assert answer.status_code == 200, (name, answer.text)
        assert int(answer.headers["content-length"]) == len(answer.content)
        label = "_wgs84" if has_place else ""
        assert re.search(rf'filename="{thing}{label}_\d{{8}}\.{name}"', answer.headers["content-disposition"])


def test_rows_are_those_of_the_callers_areas_and_of_the_area_asked_for(shared: Any) -> None:
    whole = int(_download(shared, "buildings.csv").headers["x-rows"])
    part = int(_download(shared, "buildings.csv", "dispatcher0").headers["x-rows"])
    assert 0 < part < whole
    code = shared.town.communities[1].code
    assert int(_download(shared, "buildings.csv", area=code).headers["x-rows"]) == whole - part
    assert _download(shared, "buildings.csv", "dispatcher0", area=code).status_code == 404
    assert (
        int(_download(shared, "buildings.csv", "dispatcher0", area=shared.town.street.code).headers["x-rows"]) == part
    )
    assert _download(shared, "buildings.csv", area="999").status_code == 404


def test_who_may_not_export_gets_nothing_and_drafts_are_for_planners(shared: Any) -> None:
    for name in ("viewer", "officer"):
        assert _download(shared, "buildings.csv", name).status_code == 403
    assert _download(shared, "draft_grids.csv", "dispatcher").status_code == 403
    assert shared.as_(None).get("/api/v1/export/buildings.csv").status_code == 401


def test_phones_go_out_hidden_unless_asked_for_and_allowed(shared: Any, tmp_path: Path) -> None:
    def rows(**params: Any) -> list[dict[str, str]]:
        words = _download(shared, "people.csv", **params).content.decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(words)))

    masked, plain = rows(), rows(personal=True)
    assert masked[0]["phone_masked"] == "138****0000"
    assert "phone" not in masked[0]
    assert plain[0]["phone"] == "13800000000"
    # What is hidden can never come in and replace a number.
    path = tmp_path / "people.csv"
    path.write_bytes(_download(shared, "people.csv", headers="zh").content)
    town, _ = read_any(path)
    assert town["staff"]["phone"].isna().all()
    assert len(town["staff"]) == len(masked)


def test_posts_are_as_of_the_time_and_come_in_as_assignments(shared: Any, tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(_download(shared, "posts.csv").content)
    town, _ = read_any(path)
    assert len(town["assignments"]) > 0
    assert town["assignments"]["valid_from"].notna().all()
    before = (LONG_AGO - timedelta(days=9)).isoformat()
    assert _download(shared, "posts.csv", at=before).headers["x-rows"] == "0"
    assert _download(shared, "grids.csv", at=before).headers["x-rows"] == "0"
    assert int(_download(shared, "grids.csv").headers["x-rows"]) > 0


@pytest.mark.parametrize(
    ("file", "params", "status", "code"),
    [
        ("buildings", {}, 422, "export.unknown_format"),
        ("buildings.dwg", {}, 422, "export.unknown_format"),
        ("secrets.csv", {}, 404, "things.unknown"),
        ("people.gpkg", {}, 422, "export.only_tables"),
        ("buildings.kml", {"crs": "gcj02"}, 422, "export.only_wgs84"),
        ("buildings.csv", {"crs": "mars"}, 422, "crs.unknown"),
        ("buildings.csv", {"encoding": "gbk"}, 422, "export.bad_encoding"),
        ("compounds.csv", {"at": "2026-03-01T00:00:00Z"}, 422, "export.no_time"),
        ("compounds.csv", {"at": "2026-03-01T00:00:00"}, 422, "http.invalid"),
        ("grids.csv", {"at": "9999-12-31T23:59:59Z"}, 422, "export.far_time"),
        ("buildings.csv", {"from": "2026-03-01T00:00:00Z"}, 422, "export.bad_interval"),
        ("incidents.csv", {"from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, 422, "export.bad_interval"),
    ],
)
def test_bad_orders_are_refused(shared: Any, file: str, params: dict[str, str], status: int, code: str) -> None:
    answer = _download(shared, file, **params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_an_export_is_written_down(service: Any) -> None:
    _download(service, "grids.gpkg", crs="gcj02", area=service.town.communities[0].code)
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        entry = session.scalars(select(AuditLog).where(AuditLog.action == "data.export")).one()
    engine.dispose()
    assert (entry.actor, entry.subject) == ("planner", "grids")
    assert entry.details["crs"] == "gcj02"
    assert entry.details["rows"] > 0


def test_the_command_exports_and_its_file_is_imported_again(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANGGE_DATABASE_URL", service.url)
    for name in ("buildings.gpkg", "buildings.shp.zip", "buildings.csv"):
        out = tmp_path / name
        assert cli.run(["export", "buildings", "--out", str(out), "--crs", "gcj02", "--headers", "zh",
                        *(["--encoding", "gbk"] if name.endswith("zip") else [])]) == 0  # fmt: skip
        capsys.readouterr()
        assert cli.run(["import", str(out), "--json"]) == 0
        assert '"inserted": 0' in capsys.readouterr().out
    assert cli.run(["export", "buildings", "--out", str(tmp_path / "a.dwg")]) == 2
    assert cli.run(["export", "buildings", "--out", str(tmp_path / "none" / "a.csv")]) == 3
    (tmp_path / "town.gpkg").write_bytes(b"not ours")
    (tmp_path / "town.gpkg").chmod(0o444)
    assert cli.run(["export", "buildings", "--out", str(tmp_path / "town.gpkg")]) == 2


@pytest.fixture
def many(service: Any) -> Any:
    """A town with 30,000 points of interest."""
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        session.execute(
            text(
                "INSERT INTO poi (code, kind, name, geom) SELECT 'p' || n, 'gate', '门', ST_SetSRID(ST_MakePoint("
                "124.15 + n / 4e6, 39.865), 4326) FROM generate_series(1, 30000) AS n"
            )
        )
    engine.dispose()
    return service


def test_a_large_export_comes_through_some_rows_at_a_time(many: Any) -> None:
    answer = _download(many, "pois.fgb")
    assert answer.headers["x-rows"] == "30000"
    assert len(answer.content) > 2_000_000
