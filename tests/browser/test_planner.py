"""A planner looks at a plan, goes to what is wrong with it, has another made, and puts it in force."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

RUN_MS = 180_000
"""The worker compiles the search when nobody did before."""


def test_the_statistics_on_the_page_are_those_of_the_plan(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/planner?plan={site.plan_id}")
    tiers = seen.api("GET", f"/api/v1/plans/{site.plan_id}/statistics")["tiers"]
    for tier in tiers:
        card = seen.page.get_by_role("region", name=tier["name_zh"], exact=True)
        expect(card.locator(".figure").first).to_have_text(f"{tier['cells']:,}")
        expect(card.get_by_role("definition").nth(0)).to_have_text(f"{tier['households_min']:,}")
        expect(card.get_by_role("definition").nth(2)).to_have_text(f"{tier['households_max']:,}")
        expect(card.get_by_role("img")).to_be_visible()
    soundness = seen.page.get_by_role("list", name="拓扑检查")
    expect(soundness.get_by_text("0 m²")).to_have_count(2)


def test_go_to_shows_the_place_of_a_violation(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/planner?plan={site.plan_id}&colour=band")
    items = seen.api("GET", f"/api/v1/plans/{site.plan_id}/violations")["items"]
    number, wanted = next((n, item) for n, item in enumerate(items) if item["cell_id"])
    seen.wait_for_map()
    before = seen.page.evaluate("location.href")
    seen.page.get_by_role("tab", name="问题").click()
    row = seen.page.locator(".violation").nth(number)
    expect(row).to_contain_text(wanted["cell_code"])
    row.get_by_role("button", name="定位").click()
    card = seen.page.get_by_role("complementary", name="网格详情")
    expect(card.get_by_role("heading", name=wanted["cell_code"])).to_be_visible()
    expect(seen.page).not_to_have_url(before)
    expect(seen.page).to_have_url(re.compile(r"[?&]at="))
    address = seen.page.evaluate("location.search")
    assert f"cell={wanted['cell_id']}" in address
    lon, lat = (float(x) for x in re.findall(r"at=([\d.-]+),([\d.-]+)", address)[0])
    west, south, east, north = wanted["bbox"]
    reach = 0.01  # the card covers part of the map, so the place is not quite in its middle
    assert west - reach < lon < east + reach
    assert south - reach < lat < north + reach


def test_a_row_of_the_table_is_the_cell_on_the_map(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/planner?plan={site.plan_id}&depth=2&tab=cells")
    row = seen.page.locator(".cell-table tbody tr").nth(3)
    code = row.locator(".code").inner_text()
    row.get_by_role("button").click()
    expect(row).to_have_attribute("aria-selected", "true")
    card = seen.page.get_by_role("complementary", name="网格详情")
    expect(card.get_by_role("heading", name=code)).to_be_visible()
    expect(card.get_by_text("微网格长")).to_be_visible()
    seen.page.reload()
    expect(seen.page.get_by_role("complementary", name="网格详情").get_by_role("heading", name=code)).to_be_visible()


def test_a_click_on_the_map_chooses_the_cell_below_it(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/planner?plan={site.plan_id}")
    cells = seen.api("GET", f"/api/v1/plans/{site.plan_id}/cells?depth=1&geometry=false")["items"]
    largest = max(cells, key=lambda cell: cell["area_m2"])
    lon, lat = largest["label"]
    seen.page.goto(f"/planner?plan={site.plan_id}&at={lon},{lat},15")
    seen.wait_for_map()
    canvas = seen.page.locator(".map canvas").bounding_box()
    assert canvas is not None
    seen.page.mouse.click(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    card = seen.page.get_by_role("complementary", name="网格详情")
    expect(card.get_by_role("heading", name=largest["code"])).to_be_visible()
    seen.page.keyboard.press("Escape")


def test_an_administrator_runs_a_partition_and_publishes_it(visit: Opener, site: Site) -> None:
    seen = visit("admin", f"/planner?plan={site.plan_id}")
    page = seen.page
    page.get_by_role("button", name="新建划分").click()
    form = page.get_by_role("dialog", name="新建网格划分")
    form.get_by_role("button", name="清空").click()
    form.get_by_label("北岭社区").check()
    form.get_by_label("方案名称").fill("北岭社区新方案")
    form.get_by_label("随机种子").fill("7")
    form.get_by_role("button", name="开始划分").click()
    expect(form).to_be_hidden()
    expect(page.locator(".plan-picker option:checked")).to_have_text("北岭社区新方案")
    publish = page.get_by_role("button", name="发布")
    expect(publish).to_be_enabled(timeout=RUN_MS)
    expect(page.locator(".tier .figure").first).to_be_visible()

    publish.click()
    dialog = page.get_by_role("dialog", name="发布：北岭社区新方案")
    dialog.get_by_label("文号").fill("澜府办〔2026〕7号")
    dialog.get_by_role("button", name="预览影响").click()
    expect(dialog.get_by_role("region", name="发布预览")).to_contain_text("四个社区网格划分")
    dialog.get_by_role("button", name="确认发布").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".plan-head .chip")).to_have_text("现行")
    expect(page.locator(".plan-head")).to_contain_text("澜府办〔2026〕7号")
    [named] = [p for p in seen.api("GET", "/api/v1/plans")["items"] if p["title"] == "北岭社区新方案"]
    assert named["state"] == "in_force"


def test_a_draft_is_discarded_after_asking(visit: Opener) -> None:
    seen = visit("planner", "/planner")
    page = seen.page
    page.get_by_role("button", name="新建划分").click()
    form = page.get_by_role("dialog", name="新建网格划分")
    form.get_by_role("button", name="清空").click()
    form.get_by_label("春晖社区").check()
    form.get_by_label("方案名称").fill("不要的方案")
    form.get_by_role("button", name="开始划分").click()
    discard = page.get_by_role("button", name="废弃")
    expect(discard).to_be_enabled(timeout=RUN_MS)
    discard.click()
    page.get_by_role("dialog", name="废弃").get_by_role("button", name="废弃").click()
    expect(page.locator(".plan-head .chip")).to_have_text("已废弃")


def test_a_run_is_stopped_at_a_click(visit: Opener) -> None:
    page = visit("planner", "/planner").page
    page.get_by_role("button", name="新建划分").click()
    form = page.get_by_role("dialog", name="新建网格划分")
    form.get_by_role("button", name="精细").click()
    form.get_by_role("button", name="开始划分").click()
    progress = page.get_by_role("region", name="划分进度")
    expect(progress.get_by_role("progressbar")).to_be_visible()
    progress.get_by_role("button", name="停止计算").click()
    expect(progress).to_have_attribute("data-run", "cancelled", timeout=RUN_MS)
    expect(page.get_by_role("button", name="废弃")).to_be_enabled()
    expect(page.get_by_role("button", name="编辑")).to_have_count(0)


def test_a_viewer_sees_the_plan_and_nothing_to_change_it(visit: Opener) -> None:
    page = visit("viewer", "/planner").page
    expect(page.locator(".tier .figure").first).to_be_visible()
    expect(page.get_by_role("link", name="报告")).to_be_visible()
    for act in ("新建划分", "发布", "废弃"):
        expect(page.get_by_role("button", name=act)).to_have_count(0)


def test_the_page_speaks_english_at_a_switch_and_remembers(visit: Opener, site: Site) -> None:
    page = visit("planner", f"/planner?plan={site.plan_id}").page
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("tab", name="Statistics")).to_be_visible()
    expect(page.get_by_role("heading", name="Micro-grid", exact=True)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.get_by_role("button", name="New partition")).to_be_visible()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("button", name="新建划分")).to_be_visible()
