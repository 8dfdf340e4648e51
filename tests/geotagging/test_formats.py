"""Every format in and out, as it was, with columns added."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from gis.crs import wgs84_to_bd09, wgs84_to_gcj02
from gis.errors import InvalidInput, NotFound, UnknownCrs
from gis.geotagging.reading import ENDINGS_OUT, Asked, columns_of
from gis.geotagging.running import Summary, Wish, geotag_file
from tests.geotagging.towns import SIDE, SOUTH, STEP, WEST, cells, middle

Tag = Callable[..., Summary]
ROWS = 40
SEQUENCE = [n % (SIDE * SIDE) for n in range(ROWS)]


def tag(source: Path, out: Path, *, wish: Wish | None = None, crs: str | None = "wgs84", threads: int = 1,
        **asked: Any) -> Summary:  # fmt: skip
    found = wish or Wish("en", heap_ratio=0)
    return geotag_file(
        source, out, cells=cells(found.language), asked=Asked(crs=crs, **asked), wish=found, threads=threads
    )


def records() -> pd.DataFrame:
    """Rows of all types of columns; the last has nothing in it."""
    lon, lat = zip(*(middle(n) for n in SEQUENCE), strict=True)
    return pd.DataFrame(
        {
            "编号": [f"{n:05d}" for n in range(ROWS)],
            "lon": lon,
            "lat": lat,
            "内容": ["噪音,扰民", '他说"很吵"', "第一行\n第二行", "停水"] * (ROWS // 4),
            "人数": list(range(ROWS)),
            "金额": [n + 0.5 for n in range(ROWS)],
            "受理": pd.date_range("2026-03-01", periods=ROWS, freq="min").as_unit("ms"),
            "已办": [n % 2 == 0 for n in range(ROWS)],
        }
    )


def written(folder: Path, ending: str) -> Path:
    """The records as a file of that ending."""
    path, frame = folder / f"in{ending}", records()
    points = gpd.GeoDataFrame(frame, geometry=gpd.points_from_xy(frame["lon"], frame["lat"]), crs=4326)
    if ending in (".csv", ".txt"):
        frame.to_csv(path, index=False)
    elif ending == ".tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif ending == ".xlsx":
        frame.to_excel(path, index=False)
    elif ending == ".gpkg":
        points.to_file(path, layer="来电")
    elif ending in (".parquet", ".geoparquet"):
        points.to_parquet(path)
    else:
        lines = [json.dumps(row, ensure_ascii=False, default=str) for row in frame.to_dict("records")]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> pd.DataFrame:
    if path.suffix in (".csv", ".txt", ".tsv"):
        return pd.read_csv(path, dtype=str, keep_default_na=False, sep="\t" if path.suffix == ".tsv" else ",",
                           encoding="utf-8-sig")  # fmt: skip
    if path.suffix == ".xlsx":
        return pd.read_excel(path, dtype=object, engine="calamine")
    if path.suffix == ".gpkg":
        return gpd.read_file(path)
    if path.suffix in (".parquet", ".geoparquet"):
        return gpd.read_parquet(path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return pd.DataFrame([row.get("properties", row) for row in rows])


@pytest.mark.parametrize("ending_out", [".csv", ".xlsx", ".gpkg", ".parquet", ".ndjson"])
@pytest.mark.parametrize("ending_in", [".csv", ".xlsx", ".gpkg", ".parquet", ".ndjson"])
def test_any_format_goes_into_any_other(tmp_path: Path, ending_in: str, ending_out: str) -> None:
    out = tmp_path / f"out{ending_out}"
    summary = tag(written(tmp_path, ending_in), out)
    assert summary.as_dict()["inside"] == ROWS
    found = read(out)
    assert [str(code) for code in found["micro_grid_code"]] == [f"M{n:02d}" for n in SEQUENCE]
    assert [str(code) for code in found["编号"]] == [f"{n:05d}" for n in range(ROWS)]
    assert list(found["内容"]) == list(records()["内容"])
    assert [float(value) for value in found["金额"]] == list(records()["金额"])
    assert [int(float(value)) for value in found["人数"]] == list(range(ROWS))
    assert set(found["how"]) == {"inside"}
    assert found["people"].iloc[0] == "张0 (grid officer)"
    if isinstance(found, gpd.GeoDataFrame):
        assert found.crs.to_epsg() == 4326
        assert found.geometry.iloc[5].equals(shapely.Point(*middle(5)))


@pytest.mark.parametrize("ending", [e for e in ENDINGS_OUT if e != ".geojsonl" and e != ".geojsons"])
def test_the_same_format_keeps_what_was_there(tmp_path: Path, ending: str) -> None:
    source, out = written(tmp_path, ending), tmp_path / f"out{ending}"
    tag(source, out)
    before, after = read(source), read(out)
    assert list(after.columns[: len(before.columns)])[:8] == list(before.columns)[:8]
    common = [name for name in before.columns if name != "geometry"]
    pd.testing.assert_frame_equal(pd.DataFrame(before)[common], pd.DataFrame(after)[common])
    if ending in (".csv", ".tsv", ".txt", ".ndjson", ".jsonl"):  # to the last byte
        old, new = (path.read_bytes() for path in (source, out))
        head = old.split(b"\n")[1].rstrip(b"}")
        assert head in new
    if ending in (".parquet", ".geoparquet"):
        assert pq.read_schema(out).field("受理").type == pq.read_schema(source).field("受理").type


def test_lines_of_text_stay_as_they_are(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    lon, lat = middle(5)
    lines = [
        "id,lon,lat,text",
        f'"007",{lon:.9f},{lat:.6e},"a ""b"", c"',
        f"  8 ,+{lon}, {lat} ,",
        f"9,{lon},{lat},x\r",
    ]
    source.write_text("\n".join(lines), encoding="utf-8", newline="")
    tag(source, out)
    new = out.read_text(encoding="utf-8").splitlines()
    assert [line.startswith(old.strip("\r")) for line, old in zip(new, lines, strict=True)] == [True] * 4
    assert new[1].split(",")[5:7] == ["inside", "0"]


def test_gb18030_comes_back_as_gb18030(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    lon, lat = middle(3)
    source.write_bytes(f"编号,经度,纬度,内容\n1,{lon},{lat},㐀𠀀噪音\n".encode("gb18030"))
    tag(source, out, wish=Wish("zh"))
    header, row, _ = out.read_bytes().decode("gb18030").split("\n")
    assert header.startswith("编号,经度,纬度,内容,定位结果,距网格米数")
    assert row.startswith(f"1,{lon},{lat},㐀𠀀噪音,网格内,0,")
    assert "张3（网格员）" in row
    tag(source, tmp_path / "c.csv", wish=Wish("zh", encoding="utf-8"))
    assert "㐀𠀀噪音" in (tmp_path / "c.csv").read_text(encoding="utf-8")


def test_a_mark_of_utf_8_is_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    lon, lat = middle(0)
    source.write_text(f"lon,lat\n{lon},{lat}\n", encoding="utf-8-sig")
    tag(source, out)
    assert out.read_bytes().startswith(b"\xef\xbb\xbflon,lat,how")


@pytest.mark.parametrize("crs", ["gcj02", "bd09", "cgcs2000", "EPSG:4549", "EPSG:3857"])
def test_any_stated_system_finds_the_same_cells(tmp_path: Path, crs: str) -> None:
    points = np.array([middle(n) for n in SEQUENCE])
    if crs in ("gcj02", "bd09"):
        given = (wgs84_to_gcj02 if crs == "gcj02" else wgs84_to_bd09)(points)
    else:
        frame = gpd.GeoSeries(gpd.points_from_xy(*points.T), crs=4326)
        given = frame.to_crs(4490 if crs == "cgcs2000" else crs).get_coordinates().to_numpy()
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    pd.DataFrame(given, columns=["x", "y"]).to_csv(source, index=False)
    summary = tag(source, out, crs=crs)
    assert summary.counts.how["inside"] == ROWS
    assert list(read(out)["micro_grid_code"]) == [f"M{n:02d}" for n in SEQUENCE]


def test_a_table_that_does_not_say_its_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownCrs, match=r"import\.crs_missing"):
        tag(written(tmp_path, ".csv"), tmp_path / "b.csv", crs=None)
    assert tag(written(tmp_path, ".gpkg"), tmp_path / "b.gpkg", crs=None).counts.how["inside"] == ROWS
    with pytest.raises(InvalidInput, match=r"import\.crs_conflict"):
        tag(written(tmp_path, ".gpkg"), tmp_path / "b.gpkg", crs="EPSG:4549")


def test_geometry_keeps_its_kind_and_system(tmp_path: Path) -> None:
    """Houses in metres: placed by a point on them, written as they were."""
    houses = gpd.GeoSeries(
        [shapely.box(*middle(n), middle(n)[0] + 1e-4, middle(n)[1] + 1e-4) for n in (1, 6)], crs=4326
    )
    frame = gpd.GeoDataFrame({"name": ["甲", "乙"]}, geometry=houses.to_crs(4549))
    for ending in (".gpkg", ".parquet"):
        source, out = tmp_path / f"houses{ending}", tmp_path / f"tagged{ending}"
        frame.to_file(source) if ending == ".gpkg" else frame.to_parquet(source)
        tag(source, out, crs=None)
        found = gpd.read_file(out) if ending == ".gpkg" else gpd.read_parquet(out)
        assert list(found["micro_grid_code"]) == ["M01", "M06"]
        assert found.crs.to_epsg() == 4549
        assert found.geometry.geom_equals_exact(frame.geometry, 1e-6).all()


def test_features_get_their_columns_among_the_properties(tmp_path: Path) -> None:
    source, out = tmp_path / "a.geojsonl", tmp_path / "b.geojsonl"
    lon, lat = middle(9)
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": {"a": [1]}}
    source.write_text("\x1e" + json.dumps(feature) + "\n" + json.dumps({**feature, "geometry": None}) + "\n")
    tag(source, out)
    first, second = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    assert first["properties"] == first["properties"] | {"a": [1], "how": "inside", "micro_grid_code": "M09"}
    assert first["geometry"] == feature["geometry"]
    assert second["properties"]["flags"] == "no_coordinates"


def test_lines_of_different_members_become_one_table(tmp_path: Path) -> None:
    source, out = tmp_path / "a.ndjson", tmp_path / "b.parquet"
    lon, lat = middle(2)
    rows: list[dict[str, Any]] = [
        {"lon": lon, "lat": lat, "n": 1},
        {"lon": str(lon), "lat": lat, "n": 2.5, "more": {"a": 1}},
        {},
    ]
    source.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    tag(source, out)
    table = pq.read_table(out)
    assert table["n"].to_pylist() == [1.0, 2.5, None]
    assert table["more"].to_pylist() == [None, '{"a": 1}', None]
    assert table["how"].to_pylist() == ["inside", "inside", "none"]
    assert table["flags"].to_pylist() == [None, None, "no_coordinates"]


def test_a_column_of_the_same_name_is_not_written_over(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    lon, lat = middle(0)
    source.write_text(f"lon,lat,Grid_Code\n{lon},{lat},mine\n")
    summary = tag(source, out)
    assert read(out).iloc[0][["Grid_Code", "grid_code_2"]].tolist() == ["mine", "G00"]
    assert summary.headers["grid_code"] == "grid_code_2"
    again = tag(out, tmp_path / "c.csv")
    assert again.headers["grid_code"] == "grid_code_3"


def test_titles_above_a_sheet_and_formulas_in_it(tmp_path: Path) -> None:
    source, out = tmp_path / "a.xlsx", tmp_path / "b.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["三月来电"])
    sheet.append(["编号", "经度", "纬度", "日期", "备注"])
    sheet.append(["001", *middle(4), date(2026, 3, 1), "'=1+1"])
    sheet.append(["002", str(middle(5)[0]), middle(5)[1], "不详", None])
    book.save(source)
    tag(source, out, wish=Wish("zh"))
    found = pd.read_excel(out, dtype=object, engine="calamine")
    assert list(found.columns[:6]) == ["编号", "经度", "纬度", "日期", "备注", "定位结果"]
    assert list(found["微网格编码"]) == ["M04", "M05"]
    assert list(found["编号"]) == ["001", "002"]


def test_columns_may_be_named(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    lon, lat = middle(7)
    source.write_text(f"东,北,x,y\n{lon},{lat},1,2\n", encoding="utf-8")
    assert tag(source, out, lon="东", lat="北").counts.how["inside"] == 1
    with pytest.raises(NotFound, match=r"geotag\.no_column"):
        tag(source, out, lon="南", lat="北")
    with pytest.raises(InvalidInput, match=r"geotag\.no_coordinate_columns"):
        tag(source, out, lon="东")


def test_which_of_several_layers_has_to_be_said(tmp_path: Path) -> None:
    source = written(tmp_path, ".gpkg")
    frame = gpd.GeoDataFrame(geometry=[shapely.Point(WEST, SOUTH)], crs=4326)
    frame.to_file(source, layer="另一层")
    with pytest.raises(InvalidInput, match=r"geotag\.which_layer"):
        tag(source, tmp_path / "b.gpkg")
    assert tag(source, tmp_path / "b.gpkg", layer="来电").counts.rows == ROWS


def test_borders_stacks_and_what_lies_beyond(tmp_path: Path) -> None:
    """Covers, then the lowest id; the other side is told; 200 m beyond nothing answers."""
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    places = {
        "corner": (WEST + STEP, SOUTH + STEP),
        "edge": (WEST + STEP, SOUTH + STEP / 2),
        "close": (WEST + STEP - 0.0001, SOUTH + STEP / 2),
        "west": (WEST - 0.001, SOUTH + STEP / 2),
        "far": (WEST - 0.01, SOUTH + STEP / 2),
        "planless": (WEST + STEP * (SIDE + 1), SOUTH + STEP),
        "swapped": (SOUTH + STEP / 2, WEST + STEP / 2),
        "stack": middle(6),
    }
    source.write_text("name,lon,lat\n" + "".join(f"{k},{x!r},{y!r}\n" for k, (x, y) in places.items()))
    summary = geotag_file(
        source, out, cells=cells(stacks=(6,)), asked=Asked("wgs84"), wish=Wish("en", heap_ratio=0), threads=2
    )
    found = read(out).set_index("name")
    told = found[["how", "micro_grid_code", "flags", "beside_code"]].apply(tuple, axis=1).to_dict()
    assert told == {
        "corner": ("border", "M00", "", "M01"),
        "edge": ("border", "M00", "", "M01"),
        "close": ("border", "M00", "", "M01"),
        "west": ("nearest", "M00", "", ""),
        "far": ("none", "", "outside", ""),
        "planless": ("none", "", "no_plan_in_force", ""),
        "swapped": ("none", "", "bad_coordinates;axes_swapped", ""),
        "stack": ("inside", "", "needs_floor", ""),
    }
    assert found.loc["west", "distance_m"] == "95.5"
    assert found.loc["stack", "grid_code"] == "G03"
    assert summary.as_dict()["hints"] == {"axes_swapped": 1, "needs_floor": 1}


def test_phones_only_where_they_are_asked_for_and_allowed(tmp_path: Path) -> None:
    source = written(tmp_path, ".csv")
    tag(source, tmp_path / "b.csv")
    assert "phones" not in columns_of(tmp_path / "b.csv")
    south = cells("en", contact_scopes=("1.S1.C1",))
    geotag_file(source, tmp_path / "c.csv", cells=south, asked=Asked("wgs84"), wish=Wish("en", with_phones=True))
    found = read(tmp_path / "c.csv").drop_duplicates("micro_grid_code")
    assert [bool(phone) for phone in found["phones"]] == [n < 8 for n in range(16)]


def test_cells_elsewhere_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    source, out = written(tmp_path, ".csv"), tmp_path / "b.csv"
    south = cells("en", scopes=("1.S1.C1",))
    geotag_file(source, out, cells=south, asked=Asked("wgs84"), wish=Wish("en"))
    found = read(out).drop_duplicates("编号")
    seen = [n < 8 for n in SEQUENCE]
    assert [how == "inside" for how in found["how"]] == seen
    assert set(found.loc[[not one for one in seen], "flags"]) == {"outside"}


def test_dictionaries_and_plain_parquet(tmp_path: Path) -> None:
    source, out = tmp_path / "a.parquet", tmp_path / "b.parquet"
    lon, lat = middle(1)
    kinds = pa.array(["噪音", "噪音"]).dictionary_encode()
    pq.write_table(pa.table({"lon": [lon, None], "lat": [lat, float("nan")], "kind": kinds}), source)
    tag(source, out)
    assert pq.read_table(out)["flags"].to_pylist() == [None, "no_coordinates"]
    tag(source, tmp_path / "c.gpkg")
    tag(source, tmp_path / "d.csv")
    assert list(read(tmp_path / "d.csv")["kind"]) == ["噪音", "噪音"]
    assert list(gpd.read_file(tmp_path / "c.gpkg")["kind"]) == ["噪音", "噪音"]
