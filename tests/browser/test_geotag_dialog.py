"""A dispatcher hands a table in and fetches it back with grids and people."""

from __future__ import annotations

import csv
import io
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Opener

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(
    ("user", "path", "language", "title", "choices"),
    [("dispatcher", "/command", "zh", "批量定位", ("提交", "下载结果", "删除")),
     ("planner", "/planner", "en", "Geotag a table", ("Hand in", "Download", "Delete"))],
)  # fmt: skip
def test_a_table_goes_in_and_comes_back(
    visit: Opener, tmp_path: Path, user: str, path: str, language: str, title: str, choices: tuple[str, str, str]
) -> None:
    visited = visit(user, path, language=language, size=DESKTOP if user == "dispatcher" else PHONE)
    page = visited.page
    [building] = visited.api("GET", "/api/v1/buildings?inhabited=true&limit=1&geometry=false")["items"]
    name = f"来电{uuid.uuid4().hex[:6]}"
    source = tmp_path / f"{name}.csv"
    source.write_text(f"编号,经度,纬度\n甲,{building['lon']},{building['lat']}\n乙,,\n", encoding="gb18030")
    page.get_by_role("button", name=title).click()
    send = page.get_by_role("button", name=choices[0], exact=True)
    expect(send).to_be_disabled()
    page.locator("input[type=file]").set_input_files(source)
    expect(send).to_be_disabled()  # nobody guesses the coordinate system
    page.locator("select[name=system]").select_option("wgs84")
    send.click()
    line = page.locator(".geotag-run", has_text=name)
    expect(line).to_have_attribute("data-geotag", "done")
    expect(line).to_contain_text("无坐标 1" if language == "zh" else "no coordinates 1")
    with page.expect_download() as downloaded:
        line.get_by_role("link", name=choices[1]).click()
    saved = tmp_path / "saved.csv"
    downloaded.value.save_as(saved)
    assert downloaded.value.suggested_filename.startswith(name)
    rows = list(csv.reader(io.StringIO(saved.read_bytes().decode("gb18030"))))
    assert [row[0] for row in rows] == ["编号", "甲", "乙"]
    assert rows[1][3] in ("网格内", "近边界", "inside", "border")
    line.get_by_role("button", name=choices[2]).click()
    expect(line).to_have_count(0)


def test_what_the_file_lacks_is_said(visit: Opener, tmp_path: Path) -> None:
    page = visit("dispatcher", "/command", lenient=True).page
    source = tmp_path / "a.csv"
    source.write_text("a,b\n1,2\n")
    page.get_by_role("button", name="批量定位").click()
    page.locator("input[type=file]").set_input_files(source)
    page.locator("select[name=system]").select_option("own")
    page.get_by_role("button", name="提交", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("a.csv")
