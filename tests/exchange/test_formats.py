"""The same town through every format: what goes out comes in again."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely

from gis import crs
from gis.errors import InvalidInput
from gis.exchange import read_any, town_file
from gis.exchange.reading import combine
from gis.town import LAYERS, Town, empty
from tests.exchange.builders import LAT, LON, buildings, codes, frame, square, town, workbook


def same(one: pd.DataFrame, other: pd.DataFrame, *, decimals: int = 9) -> bool:
    """Whether two frames of one layer say the same."""
    columns = [column for column in one.columns if column != "geometry"]
    if not one[columns].reset_index(drop=True).equals(other[columns].reset_index(drop=True)):
        return False
    if "geometry" not in one:
        return True
    return all(
        (a is None and b is None) or a.hausdorff_distance(b) < 10.0**-decimals
        for a, b in zip(one.geometry, other.geometry, strict=True)
    )


def test_a_town_file_gives_back_every_layer_and_type(tmp_path: Path) -> None:
    before = town()
    town_file.write(before, tmp_path / "small.gpkg")
    after = town_file.read(tmp_path / "small.gpkg")
    assert set(after) == set(LAYERS)
    for layer in LAYERS:
        assert same(before[layer], after[layer]), layer
    assert after.title == "small"


def test_a_town_file_is_read_by_the_import_the_same_way(tmp_path: Path) -> None:
    town_file.write(town(), tmp_path / "small.gpkg")
    after, findings = read_any(tmp_path / "small.gpkg")
    assert not findings
    for layer in LAYERS:
        assert same(town()[layer], after[layer]), layer


def test_empty_layers_can_be_written_and_read(tmp_path: Path) -> None:
    town_file.write(Town({"buildings": empty("buildings"), "staff": empty("staff")}), tmp_path / "e.gpkg")
    after = town_file.read(tmp_path / "e.gpkg")
    assert len(after["buildings"]) == len(after["staff"]) == 0


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "town.gpkg"
    town_file.write(town(), path)
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(pyogrio, "write_dataframe", fail)
    with pytest.raises(Exception, match="cannot_write"):
        town_file.write(town(), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["town.gpkg"]


def test_a_read_only_file_is_not_replaced_even_by_root(tmp_path: Path) -> None:
    path = tmp_path / "town.gpkg"
    path.write_bytes(b"precious")
    path.chmod(0o444)
    with pytest.raises(Exception, match="cannot_write"):
        town_file.write(town(), path)
    assert path.read_bytes() == b"precious"


def test_a_file_of_other_makers_is_understood_by_its_headers(tmp_path: Path) -> None:
    foreign = gpd.GeoDataFrame(
        {"code": [1001, 1002], "households": [12.0, 30.0], "floors": [6.0, np.nan], "height": [18.0, 9.0]},
        geometry=[square(0, 0), square(1, 0)],
        crs=4326,
    )
    foreign.to_file(tmp_path / "x.gpkg", layer="buildings")
    made = town_file.read(tmp_path / "x.gpkg")["buildings"]
    assert made["code"].tolist() == ["1001", "1002"]
    assert made["height_m"].tolist() == [18.0, 9.0]
    assert made["floors"].isna().tolist() == [False, True]


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb", ".parquet"])
def test_buildings_come_through_every_vector_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"buildings{suffix}"
    plain = buildings()[["code", "name", "floors", "units", "households", "geometry"]]
    if suffix == ".parquet":
        plain.to_parquet(path)
    else:
        plain.to_file(path, engine="pyogrio", **({"encoding": "UTF-8"} if suffix == ".shp" else {}))
    made, findings = read_any(path, crs="wgs84")
    assert not findings
    found = made["buildings"].sort_values("code")  # FlatGeobuf orders rows by place
    assert same(buildings().assign(use=None).astype({"use": "string"}), found, decimals=8)


def test_a_shapefile_in_gbk_without_a_code_page_is_read(tmp_path: Path) -> None:
    path = tmp_path / "楼栋.shp"
    plain = buildings()[["code", "name", "geometry"]].rename(columns={"code": "编码", "name": "名称"})
    plain.to_file(path, engine="pyogrio", encoding="GBK")
    path.with_suffix(".cpg").unlink()
    made, findings = read_any(path)
    assert not findings
    assert made["buildings"]["name"].tolist()[:2] == ["1号楼", "2号楼"]


def test_a_shapefile_that_names_gbk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "buildings.shp"
    buildings()[["code", "name", "geometry"]].to_file(path, engine="pyogrio", encoding="GBK")
    path.with_suffix(".cpg").write_text("GBK")
    assert read_any(path)[0]["buildings"]["name"].iloc[0] == "1号楼"


@pytest.mark.parametrize("encoding", ["GBK", "UTF-8"])
def test_a_zipped_shapefile_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    buildings()[["code", "name", "geometry"]].to_file(loose / "楼栋.shp", engine="pyogrio", encoding=encoding)
    (loose / "楼栋.cpg").unlink()
    with zipfile.ZipFile(tmp_path / "楼栋.zip", "w") as packed:
        for file in loose.iterdir():
            packed.write(file, file.name)
    made, findings = read_any(tmp_path / "楼栋.zip")
    assert not findings
    assert made["buildings"]["name"].iloc[0] == "1号楼"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "gbk", "gb18030", "utf-16"])
def test_a_csv_is_read_in_the_encodings_that_spreadsheets_write(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "小区.csv"
    path.write_bytes(f'编码,名称,边界\nC1,阳光花园,"{square(0, 0).wkt}"\n'.encode(encoding))
    made, findings = read_any(path, crs="cgcs2000")
    assert not findings
    assert made["compounds"]["name"].tolist() == ["阳光花园"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_is_read_with_any_separator(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "pois.csv"
    rows = [["编码", "类型", "名称", "经度", "纬度"], ["P1", "学校", "一小", str(LON), str(LAT)]]
    path.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8")
    made, _ = read_any(path, crs="wgs84")
    assert made["pois"]["kind"].tolist() == ["school"]
    assert made["pois"].geometry.iloc[0].equals(shapely.Point(LON, LAT))


def test_a_workbook_brings_the_tree_the_people_and_their_posts(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "花名册.xlsx",
        {
            "行政区划": [
                ["代码", "名称", "级别", "上级代码"],
                [210681, "东港市", "县级市", None],
                [210681001, "大东街道", "街道", 210681],
            ],
            "社区": [
                ["社区编码", "社区名称", "上级代码", "边界"],
                ["210681001001", "西社区", "210681001", square(0, 0).wkt],
            ],
            "部门": [["部门编码", "部门名称", "区域"], ["D1", "城管", 210681001]],
            "人员": [["大东街道网格员花名册"], ["工号", "姓名", "手机号", "部门"], ["S1", "张三", 13800000000, "D1"]],
            "任职": [["工号", "岗位", "网格", "任职日期"], ["S1", "网格长", "210681001001001", "2026年1月1日"]],
        },
    )
    made, findings = read_any(path, crs="wgs84")
    assert not findings
    assert made["areas"]["level"].tolist() == ["county", "street"]
    assert made["areas"]["parent"].tolist()[1] == "210681"
    assert made["communities"]["parent"].tolist() == ["210681001"]
    assert made["staff"][["code", "name", "phone"]].iloc[0].tolist() == ["S1", "张三", "13800000000"]
    assert made["assignments"]["post"].tolist() == ["网格长"]
    assert made["assignments"]["valid_from"].iloc[0] == pd.Timestamp(2026, 1, 1)


def test_merged_cells_count_for_every_row(tmp_path: Path) -> None:
    path = workbook(tmp_path / "pois.xlsx", {"设施": [["编码", "类型", "经度", "纬度"], *_gates()]})
    from openpyxl import load_workbook

    book = load_workbook(path)
    book["设施"].merge_cells("B2:B4")
    book.save(path)
    assert read_any(path, crs="wgs84")[0]["pois"]["kind"].tolist() == ["gate"] * 3


def _gates() -> list[list[object]]:
    return [[f"P{at}", "大门", LON + at / 1000, LAT] for at in range(3)]


def test_the_caller_may_say_what_a_header_means_and_which_layer_it_is(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"nr,wohnungen,umriss\nH1,12,{square(0, 0).wkt!r}\n".replace("'", '"'), encoding="utf-8")
    said = {"nr": "code", "wohnungen": "households", "umriss": "wkt"}
    made, findings = read_any(path, crs="wgs84", layer="buildings", mapping=said)
    assert not findings
    assert made["buildings"][["code", "households"]].iloc[0].tolist() == ["H1", 12]


@pytest.mark.parametrize("name", ["gcj02", "bd09", "cgcs2000/123E", "cgcs2000/zone41", "EPSG:3857", "cgcs2000"])
def test_coordinates_in_any_stated_system_end_in_one_place(tmp_path: Path, name: str) -> None:
    truth = buildings(2)
    shapes = truth.geometry.to_numpy()
    system = crs.parse(name)
    if system.shift:
        forward = crs.wgs84_to_gcj02 if system.shift == "gcj02" else crs.wgs84_to_bd09
        there = shapely.transform(shapes, forward)
    else:
        there = truth.to_crs(system.proj).geometry.to_numpy()
    path = tmp_path / "buildings.csv"
    pd.DataFrame({"code": truth["code"], "wkt": [shape.wkt for shape in there]}).to_csv(path, index=False)
    made, _ = read_any(path, crs=name)
    for before, after in zip(shapes, made["buildings"].geometry, strict=True):
        assert before.hausdorff_distance(after) * 111_000 < 0.01


def test_a_shift_goes_before_what_the_file_says_of_itself(tmp_path: Path) -> None:
    truth = buildings(1)
    wrong = truth.set_geometry(
        gpd.GeoSeries(shapely.transform(truth.geometry.to_numpy(), crs.wgs84_to_gcj02), crs=4326)
    )
    wrong[["code", "geometry"]].to_file(tmp_path / "buildings.gpkg")
    wrong[["code", "geometry"]].to_crs(3857).to_file(tmp_path / "buildings3857.gpkg", layer="buildings")
    for file in ("buildings.gpkg", "buildings3857.gpkg"):
        made, _ = read_any(tmp_path / file, crs="gcj02")
        assert made["buildings"].geometry.iloc[0].hausdorff_distance(truth.geometry.iloc[0]) * 111_000 < 0.01


def test_geojson_with_a_crs_member_says_its_system_and_without_it_does_not(tmp_path: Path) -> None:
    collection = json.loads(buildings(1)[["code", "geometry"]].to_json(drop_id=True))
    collection.pop("crs", None)
    silent = tmp_path / "buildings.geojson"
    silent.write_text(json.dumps(collection))
    with pytest.raises(InvalidInput) as error:
        read_any(silent)
    assert error.value.code == "import.crs_missing"
    said = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    silent.write_text(json.dumps({"type": "FeatureCollection", "crs": said, "features": collection["features"]}))
    assert len(read_any(silent)[0]["buildings"]) == 1


def test_kml_is_read_in_its_own_system(tmp_path: Path) -> None:
    path = tmp_path / "compounds.kml"
    frame("compounds", [{"code": "C1", "name": "阳光花园", "geometry": square(0, 0)}])[
        ["code", "name", "geometry"]
    ].to_file(path, engine="pyogrio", driver="KML")
    made, _ = read_any(path, layer="compounds")
    assert made["compounds"]["name"].tolist() == ["阳光花园"]


def test_a_file_without_codes_gets_the_same_codes_every_time(tmp_path: Path) -> None:
    path = tmp_path / "buildings.gpkg"
    buildings()[["households", "geometry"]].to_file(path)
    first, findings = read_any(path)
    assert codes(findings) == {"import.codes_made": 1}
    assert first["buildings"]["code"].is_unique
    assert first["buildings"]["code"].tolist() == read_any(path)[0]["buildings"]["code"].tolist()


def test_several_files_make_one_town_and_a_repeated_code_is_left_out() -> None:
    one = Town({"buildings": buildings(2)})
    two = Town(
        {
            "buildings": buildings(3),
            "pois": frame("pois", [{"code": "P", "kind": "gate", "geometry": shapely.Point(LON, LAT)}]),
        }
    )
    both, findings = combine([one, two])
    assert both["buildings"]["code"].tolist() == ["B001", "B002", "B003"]
    assert len(both["pois"]) == 1
    assert codes(findings) == {"import.duplicate_code": 2}
