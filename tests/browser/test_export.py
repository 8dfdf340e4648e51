"""Data are taken away as files from the pages, with the system in their name."""

from __future__ import annotations

import re
from pathlib import Path

import pyogrio
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener

PHONE = {"width": 390, "height": 844}

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_planner_takes_the_grids_away_as_a_file(visit: Opener, tmp_path: Path) -> None:
    seen = visit("planner", "/planner")
    seen.page.get_by_role("button", name="导出", exact=True).click()
    dialog = seen.page.get_by_role("dialog", name="导出数据")
    dialog.get_by_label("坐标系").select_option("gcj02")
    with seen.page.expect_download() as downloading:
        dialog.get_by_role("button", name="下载").click()
    file = downloading.value
    assert re.fullmatch(r"grids_gcj02_\d{8}\.gpkg", file.suggested_filename)
    file.save_as(tmp_path / "grids.gpkg")
    assert pyogrio.read_info(tmp_path / "grids.gpkg")["features"] > 0
    expect(dialog).to_be_hidden()
    expect(seen.page.get_by_text(re.compile(r"已导出 [\d,]+ 行"))).to_be_visible()


def test_what_a_format_cannot_hold_is_told_in_the_dialog(visit: Opener) -> None:
    seen = visit("dispatcher", "/command", language="en", size=PHONE, lenient=True)
    seen.page.get_by_role("button", name="Export", exact=True).click()
    dialog = seen.page.get_by_role("dialog", name="Export data")
    dialog.get_by_label("Format").select_option("kml")
    dialog.get_by_label("Coordinate system").select_option("bd09")
    expect(dialog.get_by_text("This format holds WGS 84 only.")).to_be_visible()
    dialog.get_by_role("button", name="Download").click()
    expect(dialog.get_by_role("alert")).to_contain_text("WGS 84")


def test_who_may_not_export_is_not_offered_it(visit: Opener) -> None:
    seen = visit("viewer", "/command")
    expect(seen.page.get_by_role("region", name="事件列表").or_(seen.page.locator(".found"))).not_to_have_count(0)
    expect(seen.page.get_by_role("button", name="导出", exact=True)).to_have_count(0)
