"""Files and rows that cannot be used: each gives an error or a finding that names the row and the remedy."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from gis import messages
from gis.errors import GridError, InvalidInput, NotFound, UnknownCrs
from gis.exchange import read_any, town_file
from gis.findings import Severity
from tests.exchange.builders import LAT, LON, STEP, buildings, codes, only, square, town, workbook

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def csv_of(path: Path, rows: list[list[Any]]) -> Path:
    pd.DataFrame(rows[1:], columns=rows[0]).to_csv(path, index=False)
    return path


def bad(path: Path, **options: Any) -> GridError:
    """The error of reading a file; its sentence exists in both languages and quotes all that it should."""
    with pytest.raises(GridError) as caught:
        read_any(path, **options)
    error = caught.value
    for language in messages.LANGUAGES:
        sentence = messages.text(error.code, error.params, language=language)
        assert "?" not in sentence.replace("？", "")
        assert sentence != error.code
    return error


def building_rows(path: Path, *rows: dict[str, Any]) -> Path:
    """A CSV of six good buildings and then the given ones."""
    good = [{"code": f"G{at}", "households": 24, "floors": 6, "wkt": square(at, 0).wkt} for at in range(6)]
    pd.DataFrame([*good, *rows]).to_csv(path, index=False)
    return path


# --- Files -----------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert isinstance(bad(tmp_path / "none.gpkg"), NotFound)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    assert bad(tmp_path / "empty.csv").code == "import.empty_file"


def test_a_two_gigabyte_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.gpkg"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    error = bad(path)
    assert error.code == "import.too_large"
    assert error.params["size_mb"] == 2000


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b" " * 25_000_000)
    assert bad(tmp_path / "bomb.xlsx", limit_mb=1).code == "import.too_large"


def test_damaged_bytes_are_told_wherever_they_are(tmp_path: Path) -> None:
    """Bytes changed at random: whatever reads, reads, and everything else is an error of ours."""
    rng = np.random.default_rng(7)
    plain = buildings(20)[["code", "name", "households", "geometry"]]
    for suffix in (".gpkg", ".geojson", ".fgb", ".parquet", ".xlsx", ".csv"):
        path = tmp_path / f"buildings{suffix}"
        if suffix == ".parquet":
            plain.to_parquet(path)
        elif suffix == ".xlsx":
            workbook(path, {"楼栋": [["code", "wkt"], *[[f"B{at}", square(at, 0).wkt] for at in range(20)]]})
        elif suffix == ".csv":
            building_rows(path)
        else:
            plain.to_file(path, engine="pyogrio")
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(12):
            damaged = whole.copy()
            at = rng.integers(0, len(whole), int(rng.choice([1, 5, 40])))
            damaged[at] = rng.integers(0, 256, len(at))
            path.write_bytes(damaged.tobytes())
            with contextlib.suppress(GridError):
                read_any(path, crs="wgs84", layer="buildings")


def test_an_unknown_ending_is_told_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "plan.dwg").write_bytes(b"AC1032")
    error = bad(tmp_path / "plan.dwg")
    assert error.code == "import.unknown_format"
    assert ".shp" in error.params["known"]


@pytest.mark.parametrize(
    "suffix", [".gpkg", ".shp", ".fgb", ".geojson", ".parquet", ".xlsx", ".osm", ".osm.pbf", ".osm.gz"]
)
def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"buildings{suffix}"
    path.write_bytes(b"this is no such file\n" * 100)
    assert bad(path).code == "import.unreadable_file"


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".geojson", ".parquet", ".xlsx"])
def test_a_truncated_file_is_told_and_nothing_of_it_is_taken(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"buildings{suffix}"
    plain = buildings(200)[["code", "households", "geometry"]]
    if suffix == ".xlsx":
        workbook(path, {"buildings": [["code", "wkt"], *[[f"B{at}", square(at, 0).wkt] for at in range(200)]]})
    elif suffix == ".parquet":
        plain.to_parquet(path)
    else:
        plain.to_file(path, engine="pyogrio")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert bad(path, crs="wgs84").code == "import.unreadable_file"


@pytest.mark.parametrize("name", ["monaco.osm.pbf", "moscow_ne.osm.gz", "cn_nanjing_gulou.osm"])
def test_a_truncated_extract_is_told(tmp_path: Path, name: str) -> None:
    if not (SHARED / name).is_file():
        pytest.skip("the sample data are not here")
    whole = (SHARED / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert bad(tmp_path / name).code == "import.unreadable_file"


def test_a_csv_that_ends_within_quotation_marks_is_told(tmp_path: Path) -> None:
    (tmp_path / "buildings.csv").write_text('code,wkt\nB1,"POLYGON((0 0, 1', encoding="utf-8")
    assert bad(tmp_path / "buildings.csv", crs="wgs84").code == "import.truncated_table"


def test_a_text_in_no_known_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "buildings.csv").write_bytes(b"code,name\nB1,\xff\xff\xff\x81\n")
    assert bad(tmp_path / "buildings.csv", crs="wgs84").code == "import.unreadable_text"


def test_a_file_of_nothing_known_says_what_is_known(tmp_path: Path) -> None:
    csv_of(tmp_path / "x.csv", [["colour", "taste"], ["red", "sweet"]])
    error = bad(tmp_path / "x.csv")
    assert error.code == "import.no_known_layer"
    assert "buildings" in error.params["known"]


def test_a_layer_of_nothing_known_is_skipped_and_told(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "x.xlsx", {"说明": [["天气", "心情"], ["晴", "好"]], "人员": [["工号", "姓名"], ["S1", "张三"]]}
    )
    made, findings = read_any(path)
    assert len(made["staff"]) == 1
    assert codes(findings) == {"import.layer_skipped": 1}


def test_a_missing_column_is_told_with_the_headers_that_there_are(tmp_path: Path) -> None:
    csv_of(tmp_path / "staff.csv", [["姓名", "电话"], ["张三", "138"]])
    error = bad(tmp_path / "staff.csv")
    assert error.code == "import.column_missing"
    assert error.params["columns"] == ["code"]


def test_a_table_of_places_without_coordinates_is_told(tmp_path: Path) -> None:
    csv_of(tmp_path / "pois.csv", [["编码", "类型"], ["P1", "大门"]])
    assert bad(tmp_path / "pois.csv").code == "import.no_geometry_column"


def test_buildings_without_codes_and_geometry_are_about_nothing(tmp_path: Path) -> None:
    csv_of(tmp_path / "buildings.csv", [["层数", "户数"], [6, 24]])
    assert bad(tmp_path / "buildings.csv").code == "import.column_missing"


def test_a_mapping_of_headers_that_are_not_there_is_told(tmp_path: Path) -> None:
    csv_of(tmp_path / "staff.csv", [["code", "name"], ["S1", "张三"]])
    assert bad(tmp_path / "staff.csv", mapping={"x": "phone"}).code == "import.mapping_unknown_header"
    assert bad(tmp_path / "staff.csv", mapping={"name": "floors"}).code == "import.mapping_unknown_column"
    assert bad(tmp_path / "staff.csv", layer="rivers").code == "import.unknown_layer"


# --- Coordinate systems ----------------------------------------------------------------------------------------------


def test_a_missing_coordinate_system_is_an_error_that_says_how_to_state_it(tmp_path: Path) -> None:
    error = bad(building_rows(tmp_path / "buildings.csv"))
    assert isinstance(error, UnknownCrs)
    assert error.code == "import.crs_missing"
    assert "--crs" in messages.text(error.code, error.params, language="en")


def test_a_shapefile_without_prj_has_no_coordinate_system(tmp_path: Path) -> None:
    path = tmp_path / "buildings.shp"
    buildings()[["code", "geometry"]].to_file(path, engine="pyogrio")
    path.with_suffix(".prj").unlink()
    assert bad(path).code == "import.crs_missing"
    assert len(read_any(path, crs="wgs84")[0]["buildings"]) == 6


def test_a_geopackage_with_an_undefined_system_has_none(tmp_path: Path) -> None:
    path = tmp_path / "buildings.gpkg"
    gpd.GeoDataFrame(buildings()[["code", "geometry"]]).set_crs(None, allow_override=True).to_file(path)
    assert bad(path).code == "import.crs_missing"


def test_a_stated_system_that_the_file_contradicts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "buildings.gpkg"
    buildings()[["code", "geometry"]].to_file(path)
    assert bad(path, crs="EPSG:4550").code == "import.crs_conflict"
    assert len(read_any(path, crs="cgcs2000")[0]["buildings"]) == 6


@pytest.mark.parametrize("wrong", ["EPSG:4550", "cgcs2000/zone41", "gcj02", "cgcs2000"])
def test_a_wrong_coordinate_system_is_told_for_the_whole_file(tmp_path: Path, wrong: str) -> None:
    rows = [
        ["code", "wkt"],
        *[[f"B{at}", shapely.box(24.9 + at / 1000, 60.1, 24.9004 + at / 1000, 60.1004).wkt] for at in range(5)],
    ]
    assert bad(csv_of(tmp_path / "buildings.csv", rows), crs=wrong).code == "import.all_outside_crs"


def test_eastings_with_a_zone_number_do_not_pass_for_eastings_without(tmp_path: Path) -> None:
    there = buildings(4).to_crs(4529)
    pd.DataFrame({"code": there["code"], "wkt": there.to_wkt()["geometry"]}).to_csv(
        tmp_path / "buildings.csv", index=False
    )
    assert bad(tmp_path / "buildings.csv", crs="cgcs2000/123E").code == "import.all_outside_crs"
    assert len(read_any(tmp_path / "buildings.csv", crs="cgcs2000/zone41")[0]["buildings"]) == 4


# --- Rows ------------------------------------------------------------------------------------------------------------


def test_a_repeated_code_is_left_out_with_the_row_of_the_first(tmp_path: Path) -> None:
    path = building_rows(tmp_path / "buildings.csv", {"code": "G2", "wkt": square(9, 0).wkt})
    made, findings = read_any(path, crs="wgs84")
    found = only(findings, "import.duplicate_code")
    assert (found.row, found.key, found.params) == (7, "G2", {"first": 3})
    assert found.severity is Severity.REJECTED
    assert len(made["buildings"]) == 6


def test_a_row_without_a_code_is_left_out(tmp_path: Path) -> None:
    made, findings = read_any(
        building_rows(tmp_path / "buildings.csv", {"code": None, "wkt": square(9, 0).wkt}), crs="wgs84"
    )
    assert only(findings, "import.value_missing").row == 7
    assert len(made["buildings"]) == 6


@pytest.mark.parametrize("households", [-5, 99_999, "许多", "inf"])
def test_impossible_households_are_taken_as_missing_and_told(tmp_path: Path, households: Any) -> None:
    row = {"code": "X", "households": households, "floors": 6, "wkt": square(9, 0).wkt}
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", row), crs="wgs84")
    assert [(found.row, found.severity) for found in findings] == [(7, Severity.REPAIRED)]
    assert pd.isna(made["buildings"].set_index("code").at["X", "households"])


def test_zero_and_missing_households_are_no_fault(tmp_path: Path) -> None:
    rows = [
        {"code": code, "households": count, "wkt": square(at, 2).wkt}
        for at, (code, count) in enumerate([("Z", 0), ("M", None)])
    ]
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", *rows), crs="wgs84")
    assert not findings
    households = made["buildings"].set_index("code")["households"]
    assert households["Z"] == 0
    assert pd.isna(households["M"])


@pytest.mark.parametrize(("column", "value"), [("floors", -3), ("floors", 500), ("height_m", -1), ("units", 0)])
def test_impossible_floors_heights_and_units_are_taken_as_missing(tmp_path: Path, column: str, value: Any) -> None:
    row = {"code": "X", column: value, "wkt": square(9, 0).wkt}
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", row), crs="wgs84")
    found = only(findings, "import.number_out_of_range")
    assert found.params == {"column": column, "value": str(value)}
    assert pd.isna(made["buildings"].set_index("code").at["X", column])


@pytest.mark.parametrize(
    ("text", "number"), [("24户", 24), ("１２", 12), ("1,024", 1024), (" 30 ", 30), ("-", None), ("无", None)]
)
def test_numbers_as_people_write_them_are_read(tmp_path: Path, text: str, number: int | None) -> None:
    row = {"code": "X", "households": text, "wkt": square(9, 0).wkt}
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", row), crs="wgs84")
    assert not findings
    value = made["buildings"].set_index("code").at["X", "households"]
    assert pd.isna(value) if number is None else value == number


def test_an_unknown_word_is_told_with_the_known_ones(tmp_path: Path) -> None:
    row = {"code": "X", "use": "宫殿", "wkt": square(9, 0).wkt}
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", row), crs="wgs84")
    found = only(findings, "import.unknown_word")
    assert found.severity is Severity.REPAIRED
    assert "residential" in found.params["known"]
    assert len(made["buildings"]) == 7


def test_an_unknown_kind_of_barrier_keeps_the_row_out(tmp_path: Path) -> None:
    line = shapely.LineString([(LON, LAT), (LON + STEP, LAT)]).wkt
    csv_of(tmp_path / "barriers.csv", [["kind", "wkt"], ["secondary", line], ["虹", line]])
    made, findings = read_any(tmp_path / "barriers.csv", crs="wgs84")
    assert only(findings, "import.unknown_word").row == 2
    assert len(made["barriers"]) == 1


@pytest.mark.parametrize(
    ("wkt", "code"),
    [
        (None, "import.no_geometry"),
        ("POLYGON EMPTY", "import.no_geometry"),
        ("POLYGON ((0 0", "import.no_geometry"),
        (f"POINT ({LON} {LAT})", "import.wrong_geometry_type"),
        (f"LINESTRING ({LON} {LAT}, {LON + STEP} {LAT})", "import.wrong_geometry_type"),
    ],
)
def test_a_row_without_usable_geometry_is_left_out(tmp_path: Path, wkt: str | None, code: str) -> None:
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", {"code": "X", "wkt": wkt}), crs="wgs84")
    found = only(findings, code)
    assert (found.row, found.key, found.severity) == (7, "X", Severity.REJECTED)
    assert len(made["buildings"]) == 6


def test_coordinates_that_are_not_numbers_are_left_out(tmp_path: Path) -> None:
    rows = [
        ["编码", "类型", "经度", "纬度"],
        *[[f"P{at}", "gate", LON, LAT] for at in range(4)],
        ["N", "gate", "east", "north"],
    ]
    made, findings = read_any(csv_of(tmp_path / "pois.csv", rows), crs="wgs84")
    assert only(findings, "import.no_geometry").row == 5
    assert len(made["pois"]) == 4


def test_a_self_crossing_outline_is_taken_in_for_cleaning_to_repair(tmp_path: Path) -> None:
    bow = shapely.Polygon([(LON, LAT), (LON + STEP, LAT + STEP), (LON + STEP, LAT), (LON, LAT + STEP)])
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", {"code": "X", "wkt": bow.wkt}), crs="wgs84")
    assert not findings
    assert len(made["buildings"]) == 7


def test_one_swapped_row_is_turned_round_and_told(tmp_path: Path) -> None:
    turned = shapely.transform(square(9, 0), lambda xy: xy[:, ::-1])
    made, findings = read_any(building_rows(tmp_path / "buildings.csv", {"code": "X", "wkt": turned.wkt}), crs="wgs84")
    found = only(findings, "import.swapped")
    assert (found.row, found.severity) == (7, Severity.REPAIRED)
    assert made["buildings"].set_index("code").geometry["X"].equals(square(9, 0))


@pytest.mark.parametrize("lon", [LON, 75.99])  # Kashgar's longitude is a latitude too
def test_a_file_that_is_swapped_as_a_whole_is_turned_round(tmp_path: Path, lon: float) -> None:
    rows = [["编码", "类型", "经度", "纬度"], *[[f"P{at}", "gate", 39.47 + at / 1000, lon] for at in range(5)]]
    made, findings = read_any(csv_of(tmp_path / "pois.csv", rows), crs="wgs84")
    assert codes(findings) == {"import.swapped": 5}
    assert made["pois"].geometry.iloc[0].x == pytest.approx(lon)


def test_northings_before_eastings_are_turned_round(tmp_path: Path) -> None:
    there = buildings(4).to_crs(4550)
    turned = shapely.transform(there.geometry.to_numpy(), lambda xy: xy[:, ::-1])
    path = csv_of(
        tmp_path / "buildings.csv", [["code", "wkt"], *[[f"B{at}", shape.wkt] for at, shape in enumerate(turned)]]
    )
    made, findings = read_any(path, crs="EPSG:4550")
    assert codes(findings) == {"import.swapped": 4}
    assert made["buildings"].geometry.iloc[0].hausdorff_distance(square(1, 0)) < 1e-7


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (0.0, 0.0, "import.null_island"),
        (150.0, 30.0, "import.far_from_rest"),  # the Pacific
        (124.15, 30.86, "import.far_from_rest"),  # the East China Sea
        (1e9, 2e9, "import.outside_crs"),
    ],
)
def test_coordinates_in_the_sea_or_nowhere_are_left_out(tmp_path: Path, lon: float, lat: float, code: str) -> None:
    rows = [
        ["编码", "类型", "经度", "纬度"],
        *[[f"P{at}", "gate", LON, LAT] for at in range(6)],
        ["S", "gate", lon, lat],
    ]
    made, findings = read_any(csv_of(tmp_path / "pois.csv", rows), crs="wgs84")
    found = only(findings, code)
    assert (found.row, found.key) == (7, "S")
    assert len(made["pois"]) == 6


def test_a_code_that_a_spreadsheet_turned_into_a_number_is_told(tmp_path: Path) -> None:
    csv_of(tmp_path / "staff.csv", [["code", "name"], ["2.10681E+11", "张三"], ["S2", "李四"]])
    made, findings = read_any(tmp_path / "staff.csv")
    assert only(findings, "import.code_as_number").row == 1
    assert made["staff"]["code"].tolist() == ["S2"]


def test_an_area_code_of_other_letters_is_told(tmp_path: Path) -> None:
    csv_of(tmp_path / "areas.csv", [["code", "name", "level"], ["东-1", "东街", "街道"], ["210681002", "西街", "街道"]])
    made, findings = read_any(tmp_path / "areas.csv")
    assert only(findings, "import.bad_area_code").row == 1
    assert made["areas"]["code"].tolist() == ["210681002"]


def test_an_unreadable_date_keeps_the_post_out(tmp_path: Path) -> None:
    rows = [
        ["staff", "post", "place", "valid_from"],
        ["S1", "grid_leader", "G", "31/02"],
        ["S2", "grid_leader", "G", "2026/3/1"],
    ]
    made, findings = read_any(csv_of(tmp_path / "assignments.csv", rows))
    assert only(findings, "import.unreadable_date").row == 1
    assert made["assignments"]["staff"].tolist() == ["S2"]


def test_a_row_with_more_values_than_headers_is_told_and_empty_rows_count(tmp_path: Path) -> None:
    (tmp_path / "staff.csv").write_text("code,name\nS1,张三\n\nS3,李,四\nS4,王五\n", encoding="utf-8")
    made, findings = read_any(tmp_path / "staff.csv")
    assert only(findings, "import.ragged_row").row == 3
    assert made["staff"]["code"].tolist() == ["S1", "S4"]


def test_a_missing_level_or_level_word_keeps_an_area_out(tmp_path: Path) -> None:
    csv_of(
        tmp_path / "areas.csv", [["code", "name", "level"], ["1", "a", None], ["2", "b", "星系"], ["3", "c", "county"]]
    )
    made, findings = read_any(tmp_path / "areas.csv")
    assert codes(findings) == {"import.value_missing": 1, "import.unknown_word": 1}
    assert made["areas"]["code"].tolist() == ["3"]


def test_reading_a_town_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.gpkg").write_bytes(b"SQLite format 3\x00" + b"\x00" * 50)
    with pytest.raises(InvalidInput):
        town_file.read(tmp_path / "x.gpkg")
    town_file.write(town(), tmp_path / "y.gpkg")
    (tmp_path / "y.gpkg").write_bytes((tmp_path / "y.gpkg").read_bytes()[:5000])
    with pytest.raises(InvalidInput):
        town_file.read(tmp_path / "y.gpkg")
