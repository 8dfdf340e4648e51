"""An existing division brought to the desk with its faults, looked at, put right, taken away as file and on paper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pypdf
import pytest
from playwright.sync_api import Locator, Page, expect
from shapely import affinity, geometry

from gis import holds
from tests.browser.conftest import Opener, Site, Visit

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WORK_MS = 180_000
"""Taking a division surveys its ground; printing lays out pages."""
COMMUNITY = "210699001004"


def old_division(seen: Visit, site: Site, folder: Path) -> Path:
    """The grids of one community as somebody once drew them: own codes, one moved by a dozen metres, one lost."""
    answer = seen.context.request.get(f"{seen.base}/api/v1/plans/{site.plan_id}/export/grids.geojson")
    assert answer.ok, answer.text()
    features = [one for one in answer.json()["features"] if one["properties"]["community"] == COMMUNITY]
    drawn: list[dict[str, Any]] = []
    for number, one in enumerate(features[1:], start=1):
        shape = geometry.shape(one["geometry"])
        moved = affinity.translate(shape, 0.00015, 0) if number == 1 else shape
        properties = {"编号": f"旧{number:02d}", "户数": one["properties"]["households"]}
        drawn.append({"type": "Feature", "properties": properties, "geometry": geometry.mapping(moved)})
    path = folder / "旧网格.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": drawn}), encoding="utf-8")
    return path


def desk(visit: Opener, site: Site, **more: Any) -> Visit:
    seen = visit("planner", f"/desk?plan={site.plan_id}&tab=take", **more)
    expect(seen.page.get_by_role("heading", name="导入既有划分")).to_be_visible(timeout=WORK_MS)
    return seen


def hand_in(page: Page, path: Path) -> Locator:
    page.get_by_role("button", name="导入划分…").click()
    dialog = page.get_by_role("dialog", name="导入划分…")
    dialog.get_by_label("文件", exact=False).first.set_input_files(path)
    dialog.get_by_role("button", name="导入", exact=True).click()
    return dialog


def test_an_old_division_is_brought_looked_at_and_taken_away(visit: Opener, site: Site, tmp_path: Path) -> None:
    seen = desk(visit, site)
    page = seen.page
    dialog = hand_in(page, old_division(seen, site, tmp_path))
    # The file says no system: that is told, and stated, and the file is not sent again.
    expect(dialog.get_by_role("alert")).to_contain_text("坐标系", timeout=WORK_MS)
    retry = dialog.get_by_role("form", name="再试一次")
    retry.get_by_label("坐标系").select_option("wgs84")
    retry.get_by_role("button", name="再试一次").click()
    expect(dialog.get_by_role("status").first).to_contain_text("已成草案：1个社区", timeout=WORK_MS)
    for code in ("take.overlap", "take.gap", "take.totals"):
        expect(dialog.locator(f'[data-finding="{code}"]').first).to_be_visible()
    dialog.get_by_role("link", name="在工作台打开").click()
    expect(page.get_by_text(re.compile(r"导入时发现\d+条"))).to_be_visible(timeout=WORK_MS)
    assert f"plan={site.plan_id}&" not in page.url + "&"
    gap = page.locator('[data-finding="take.gap"]').first
    gap.get_by_role("button", name="定位").click()
    seen.wait_for_map()
    take_away(page)


@contextmanager
def nobody_at_it(site: Site) -> Iterator[None]:
    """Whoever would begin one of the next imports finds that somebody else is at it."""
    with psycopg.connect(site.url) as held:
        held.execute(
            "SELECT pg_advisory_xact_lock(%s, CAST(last_value + n AS int))"
            " FROM file_run_id_seq, generate_series(0, 20) AS n",
            (holds.TAKING,),
        )
        yield


def test_an_import_goes_on_without_its_page_and_can_be_stopped(visit: Opener, site: Site, tmp_path: Path) -> None:
    seen = desk(visit, site)
    page = seen.page
    path = old_division(seen, site, tmp_path)
    with nobody_at_it(site):
        dialog = hand_in(page, path)
        expect(dialog.locator('[data-import="queued"]')).to_be_visible(timeout=WORK_MS)
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        page.reload()
        line = page.get_by_role("list", name="我的导入").get_by_role("listitem").first
        expect(line).to_have_attribute("data-import", "queued", timeout=WORK_MS)
        line.get_by_role("button", name="停止").click()
        expect(line).to_have_attribute("data-import", "cancelled", timeout=WORK_MS)
    line.get_by_role("button", name="移除").click()
    expect(page.get_by_role("list", name="我的导入").get_by_text("已停止")).to_be_hidden()


def take_away(page: Page) -> None:
    """The draft as a file, and the report on paper."""
    form = page.get_by_role("form", name="导出方案")
    form.get_by_label("格式").select_option("geojson")
    with page.expect_download(timeout=WORK_MS) as got:
        form.get_by_role("button", name="导出").click()
    found = json.loads(Path(got.value.path()).read_text(encoding="utf-8"))
    assert {one["properties"]["名称"][0] for one in found["features"]} == {"旧"}


def test_a_selected_grid_is_printed_as_an_atlas_page(visit: Opener, site: Site) -> None:
    seen = desk(visit, site)
    page = seen.page
    grids = seen.api("GET", f"/api/v1/plans/{site.plan_id}/cells?depth=1&limit=2")["features"]
    ids = ",".join(str(one["id"]) for one in grids)
    page.goto(f"/desk?plan={site.plan_id}&tab=take&cells={ids}")
    form = page.get_by_role("form", name="打印")
    expect(form).to_be_visible(timeout=WORK_MS)
    form.get_by_role("button", name="A3").click()
    form.get_by_role("button", name="选中的（2）").click()
    with page.expect_download(timeout=WORK_MS) as got:
        form.get_by_role("button", name="生成 PDF").click()
    reader = pypdf.PdfReader(got.value.path())
    assert len(reader.pages) == 4
    assert grids[0]["properties"]["code"] in "".join(reader.pages[2].extract_text().split())
    width, height = reader.pages[0].mediabox.width, reader.pages[0].mediabox.height
    assert (round(float(width) / 72 * 25.4), round(float(height) / 72 * 25.4)) == (420, 297)


def test_bring_and_take_in_english(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/desk?plan={site.plan_id}&tab=take", language="en")
    for name in ("Import an existing division", "Export the plan", "Print"):
        expect(seen.page.get_by_role("heading", name=name)).to_be_visible(timeout=WORK_MS)
