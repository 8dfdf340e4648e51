"""Files as they come: broken rows, torn files, default points, numbers that are none. Every row comes back."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis.errors import GridError, InvalidInput, NotFound, Unavailable
from gis.geotagging import csv_file, excel_file, heaps, text_blocks, writing
from gis.geotagging.heaps import HeapCount
from gis.geotagging.reading import Asked
from gis.geotagging.running import AHEAD, Summary, Wish, geotag_file, in_order
from tests.geotagging.towns import cells, middle

LON, LAT = middle(5)
LETTERS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)


def tag(source: Path, out: Path, *, threads: int = 2, **wish: Any) -> Summary:
    return geotag_file(source, out, cells=cells(), asked=Asked("wgs84"), wish=Wish("en", **wish), threads=threads)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


# --- rows ---


def test_numbers_that_are_none_are_told_from_those_that_are_missing(tmp_path: Path) -> None:
    given_ = {
        "": "no_coordinates", "NaN": "no_coordinates", "null": "no_coordinates", "无": "no_coordinates",
        "abc": "unreadable_coordinates", "12,5": "unreadable_coordinates", "1e999": "bad_coordinates",
        "inf": "bad_coordinates", "999": "bad_coordinates", "１２０．０１５": "", " 120.015 ": "", "120.015°E": "",
    }  # fmt: skip
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("lon,lat\n" + "".join(f'"{value}",31.015\n' for value in given_), encoding="utf-8")
    summary = tag(source, out)
    assert [row["flags"] for row in table(out)] == list(given_.values())
    assert summary.counts.how["none"] == 9


def test_a_broken_row_in_the_middle_is_flagged_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(text_blocks.blocks.__kwdefaults__, "size", 4096)
    rows = [f'{n},{LON},{LAT},"words, {n}"' for n in range(3000)]
    broken = {
        500: "500,1,2", 1000: "1000,1,2,3,4,5", 1500: f'1500,{LON},{LAT},"never closed', 2000: "x" * 5000,
        2500: f'2500,{LON},{LAT},"a"b"c',
    }  # fmt: skip
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("n,lon,lat,words\n" + "\n".join(broken.get(n, row) for n, row in enumerate(rows)) + "\n")
    summary = tag(source, out, heap_ratio=0)
    told = table(out)
    assert summary.counts.rows == len(told) == 3000
    flagged = [n for n, row in enumerate(told) if row["flags"] == "broken_row"]
    assert set(flagged) <= set(broken)
    assert {500, 1000, 1500, 2000, 2500} <= set(flagged)
    assert [row["n"] for n, row in enumerate(told) if n not in broken] == [
        str(n) for n in range(3000) if n not in broken
    ]
    assert {row["micro_grid_code"] for n, row in enumerate(told) if n not in broken} == {"M05"}


def test_letters_that_cannot_be_read_break_their_row_alone(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    good = f"{LON},{LAT},噪音扰民\n".encode()
    source.write_bytes(b"lon,lat,text\n" + good * 10 + f"{LON},{LAT},".encode() + b"\xff\xfe\x81\n" + good * 10)
    tag(source, out)
    assert [n for n, row in enumerate(table(out)) if row["flags"] == "broken_row"] == [10]


def test_lines_that_are_no_json_come_back_flagged(tmp_path: Path) -> None:
    source, out = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    good = json.dumps({"lon": LON, "lat": LAT})
    source.write_text("\n".join([good, '{"lon": 1, "la', good, "[1]", "{}", '{"lon": "x", "lat": 1}', ""]))
    tag(source, out)
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["flags"] for row in told] == [None, "broken_row", None, "broken_row", "no_coordinates",
                                              "unreadable_coordinates"]  # fmt: skip
    assert told[1]["line"] == '{"lon": 1, "la'


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(LETTERS, min_size=2, max_size=2), min_size=1, max_size=20))
def test_whatever_the_cells_hold_comes_back(tmp_path: Path, words: list[list[str]]) -> None:
    """A well-formed table of any letters, in quotation marks and over lines: nothing is lost or changed."""
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["lon", "lat", "a", "b"], *([LON, LAT, *pair] for pair in words)])
    source.write_text(text.getvalue(), encoding="utf-8", newline="")
    tag(source, out, threads=1)
    told = table(out)
    assert [[row["a"], row["b"]] for row in told] == words
    assert {row["how"] for row in told} == {"inside"}


# --- default points ---


def test_a_heap_on_one_point_is_noticed_wherever_it_lies_in_the_file(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    source = tmp_path / "a.csv"
    rows = [f"{x:.6f},{y:.6f}" for x, y in random.uniform([120.001, 31.001], [120.039, 31.039], (20_000, 2))]
    heap, small = f"{LON},{LAT}", "120.0123,31.0123"
    rows[15_000:15_400] = [heap] * 400
    rows[3_000:3_090] = [small] * 90
    rows[7] = "0,0"
    source.write_text("lon,lat\n" + "\n".join(rows))
    summary = tag(source, tmp_path / "b.csv")
    assert list(summary.default_points) == [(LON, LAT, 400)]
    assert summary.counts.reasons["default_point"] == 401
    told = table(tmp_path / "b.csv")
    assert {row["micro_grid_code"] for row in told[15_000:15_400]} == {""}
    assert all(row["how"] in ("inside", "border") for row in told[3_000:3_090])
    assert tag(source, tmp_path / "c.csv", heap_ratio=0).counts.reasons["default_point"] == 1
    assert tag(source, tmp_path / "d.csv", heap_ratio=0.5).counts.reasons["default_point"] == 1


def test_heaps_are_counted_in_memory_that_does_not_grow() -> None:
    random = np.random.default_rng(2)
    counted = HeapCount()
    for _ in range(20):
        points = random.uniform(0, 90, (50_000, 2))
        points[::40] = (116.4, 39.9)
        counted.add(points, len(points))
    ((point, rows),) = counted.found().points.items()
    assert point == (116.4, 39.9)
    assert 25_000 <= rows <= 25_010  # a few others share its slot
    assert len(counted._points) < 10


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_heap_needs_its_share_and_its_number(many: int, others: int) -> None:
    counted = HeapCount(ratio=0.5, least=100)
    xy = np.array([(120.0, 31.0)] * many + [(100.0 + n, 30.0) for n in range(others)]).reshape(-1, 2)
    counted.add(xy, len(xy))
    assert bool(counted.found().points) == (many >= 100 and many >= 0.5 * (many + others))


def test_the_two_zeros_are_one_place() -> None:
    assert heaps.Heaps({}).holds(np.array([[0.0, -0.0], [0.0, 1.0]])).tolist() == [True, False]


# --- files ---


@pytest.mark.parametrize("ending", [".gpkg", ".parquet", ".xlsx"])
def test_a_torn_file_is_told_and_nothing_is_left(tmp_path: Path, ending: str) -> None:
    source, out = tmp_path / f"a{ending}", tmp_path / "b.csv"
    whole = tmp_path / f"whole{ending}"
    if ending == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(["lon", "lat"])  # type: ignore[union-attr]
        book.save(whole)
    else:
        rows = tmp_path / "rows.csv"
        rows.write_text("lon,lat\n" + f"{LON},{LAT}\n" * 5000)
        tag(rows, whole)
    data = whole.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(GridError, match=r"import\.unreadable_file"):
        tag(source, out)
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.name.startswith((".", "b"))) == []


def test_a_file_torn_in_its_middle_is_told_before_anything_is_written(tmp_path: Path) -> None:
    """The footer is whole, a page is not: found when all is looked at first."""
    source, out = tmp_path / "a.parquet", tmp_path / "b.parquet"
    random = np.random.default_rng(1).uniform(0, 1, (300_000, 2))
    points = pa.table({"lon": random[:, 0], "lat": random[:, 1]})
    pq.write_table(points, source, row_group_size=65_536, write_page_checksum=True)
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = os.urandom(3000)
    source.write_bytes(data)
    out.write_bytes(b"an older answer")
    with pytest.raises(InvalidInput, match=r"import\.unreadable_file"):
        tag(source, out)
    assert out.read_bytes() == b"an older answer"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "import.empty_file"),
        ("a.csv", b"\n\n", "import.empty_file"),
        ("a.csv", b"lon,lat\n\0\1\2", "import.unreadable_text"),
        ("a.csv", "lon,lat\n1,2\n".encode("utf-16"), "import.unreadable_text"),
        ("a.ndjson", b"lon,lat\n1,2\n", "geotag.no_objects"),
        ("a.ndjson", "{}".encode("utf-16"), "import.unreadable_text"),
        ("a.doc", b"lon,lat\n", "geotag.unknown_format"),
        ("a.csv", b"a,b\n1,2\n", "geotag.no_coordinate_columns"),
        ("a.xlsx", b"lon,lat\n1,2\n", "import.unreadable_file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GridError) as caught:
        tag(tmp_path / name, tmp_path / "b.csv")
    assert caught.value.code == code


def test_no_file_no_folder_and_no_known_ending(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    with pytest.raises(NotFound, match=r"import\.no_file"):
        tag(source, tmp_path / "b.csv")
    source.write_text(f"lon,lat\n{LON},{LAT}\n")
    with pytest.raises(InvalidInput, match=r"geotag\.unknown_format"):
        tag(source, tmp_path / "b.pdf")
    locked = tmp_path / "c.csv"
    locked.write_text("mine")
    locked.chmod(0o444)
    with pytest.raises(Unavailable, match=r"import\.cannot_write"):
        tag(source, locked)


def test_more_rows_than_a_workbook_holds_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excel_file, "MOST_ROWS", 10)
    source = tmp_path / "a.csv"
    source.write_text("lon,lat\n" + f"{LON},{LAT}\n" * 10)
    with pytest.raises(InvalidInput, match=r"geotag\.too_many_for_excel"):
        tag(source, tmp_path / "b.xlsx")


def test_a_header_without_rows_gives_one(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("lon,lat,text")
    for name in ("b.csv", "b.ndjson", "b.parquet", "b.xlsx", "b.gpkg"):
        assert tag(source, tmp_path / name).counts.rows == 0
        assert (tmp_path / name).exists()


# --- streaming ---


def test_few_blocks_are_under_way_at_a_time() -> None:
    """However many there are: what is read ahead is bounded by the threads, not by the file."""
    taken: list[int] = []

    def items() -> Any:
        for n in range(200):
            taken.append(n)
            yield n

    most = 0
    for number, answer in enumerate(in_order(lambda n: n * n, items(), threads=3, cancelled=lambda: False)):
        assert answer == number * number
        most = max(most, len(taken) - number)
    assert most <= AHEAD * 3 + 1


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text("lon,lat\n" + f"{LON},{LAT}\n" * 100)
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(InvalidInput, match=r"geotag\.cancelled"):
        geotag_file(source, out, cells=cells(), asked=Asked("wgs84"), wish=Wish(), cancelled=cancelled)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_blocks_end_where_records_end(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    record = f'{LON},{LAT},"line\nline"\n'
    source.write_text("lon,lat,text\n" + record * 500)
    file = csv_file.open_csv(source)
    parts = list(text_blocks.blocks(source, start=file.start, quoted=True, size=1000))
    assert len(parts) > 10
    assert all(part.endswith(b'line"\n') for part in parts)
    assert b"".join(parts).decode() == record * 500


def test_any_number_of_threads_gives_the_same_bytes(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    source = tmp_path / "a.csv"
    points = random.uniform([119.99, 30.99], [120.06, 31.05], (30_000, 2))
    source.write_text("lon,lat\n" + "\n".join(f"{x!r},{y!r}" for x, y in points.tolist()))
    for threads, name in ((1, "b"), (4, "c")):
        for ending in (".csv", ".parquet", ".ndjson"):
            tag(source, tmp_path / f"{name}{ending}", threads=threads)
    for ending in (".csv", ".parquet", ".ndjson"):
        assert (tmp_path / f"b{ending}").read_bytes() == (tmp_path / f"c{ending}").read_bytes()


# --- what one file may cost ---


def test_a_header_that_never_ends_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    """Millions of line ends behind one mark: looked at once, not once for each."""
    source = tmp_path / "a.csv"
    source.write_bytes(b'lon,lat,"never closed' + b"\n" * 2_000_000)
    assert csv_file.open_csv(source).columns[:2] == ("lon", "lat")


def test_more_columns_than_a_table_has_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text(",".join(["lon", "lat", *(["x"] * 3000)]))
    with pytest.raises(InvalidInput, match=r"geotag\.too_many_columns"):
        tag(source, tmp_path / "b.csv")


def test_a_sheet_with_cells_in_its_far_corners_is_refused_before_it_is_read(tmp_path: Path) -> None:
    source = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["B1"], sheet["XFD1048576"] = "lon", "lat", 1
    book.save(source)
    with pytest.raises(InvalidInput, match=r"geotag\.sheet_too_wide"):
        tag(source, tmp_path / "b.csv")


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Path) -> None:
    source = tmp_path / "a.ndjson"
    source.write_bytes(b'{"lon": 1, "x": "' + b"x" * (9 << 20))
    with pytest.raises(InvalidInput, match=r"geotag\.no_objects"):
        tag(source, tmp_path / "b.csv")


@pytest.mark.parametrize("geo", ["[]", "{}x", '{"a": 1}', '{"primary_column": "g", "columns": {"g": {"crs": "mars"}}}'])
def test_geometry_that_is_described_wrongly_is_told(tmp_path: Path, geo: str) -> None:
    source = tmp_path / "a.parquet"
    table_ = pa.table({"g": pa.array([b"x"])}).replace_schema_metadata({"geo": geo})
    pq.write_table(table_, source)
    with pytest.raises(GridError, match=r"import\.unreadable_file|geotag\.no_coordinate_columns"):
        tag(source, tmp_path / "b.csv")


def test_a_layer_that_is_a_query_is_refused(tmp_path: Path) -> None:
    rows, source = tmp_path / "rows.csv", tmp_path / "a.gpkg"
    rows.write_text(f"lon,lat\n{LON},{LAT}\n")
    tag(rows, source)
    with sqlite3.connect(source) as database:
        database.execute('ALTER TABLE "a" RENAME TO hidden')
        database.execute("CREATE VIEW a AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n")
    with pytest.raises(InvalidInput, match=r"geotag\.which_layer|import\.unreadable_file"):
        tag(source, tmp_path / "b.csv")


def test_added_words_are_no_formulas() -> None:
    words = writing.cells_text([pa.chunked_array([pa.array(["=1+1", "-x", "张三", None])])], ",")
    assert words.to_pylist() == ["'=1+1\n", "'-x\n", "张三\n", "\n", "\n"]
