"""Rules on the desk: a copy edited with its check beside each field, tried on the plan, stored, taken as a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site, Visit, on_desk

pytestmark = pytest.mark.browser

TABLET = {"width": 1024, "height": 768}


@pytest.fixture(autouse=True)
def _surveyed(site: Site, as_user: Any) -> None:
    """The plan has been opened on the desk before: the first opening surveys its ground."""
    on_desk(as_user("planner"), site.plan_id)


def opened(visit: Opener, site: Site, **options: Any) -> Visit:
    here = visit("planner", f"/desk?plan={site.plan_id}&tab=rules", **options)
    expect(here.page.locator("[data-rule-set]")).to_be_visible()
    return here


def edit_a_copy(page: Page) -> None:
    page.locator(".rules-acts .button-main").click()
    checked(page)


def checked(page: Page) -> None:
    """Until what is on show has been checked."""
    expect(page.locator('[data-rules="checked"]')).to_be_visible()


def field(page: Page, path: str) -> Any:
    return page.locator(f'[data-field="{path}"]')


def put(page: Page, path: str, value: str) -> None:
    field(page, path).locator("input, select, textarea").fill(value)
    checked(page)


def test_the_rules_of_the_plan_are_shown_with_what_they_make_of_it(visit: Opener, site: Site) -> None:
    page = opened(visit, site).page
    expect(page.locator(".rules-tiers")).to_contain_text("300–500 户")
    grids = page.locator('.rules-preview [data-tier="1"]')
    expect(grids).to_contain_text("没有一格因此改变")
    expect(page.locator(".post-table")).to_contain_text("网格长")


def test_a_copy_is_mended_tried_and_stored(visit: Opener, site: Site) -> None:
    here = opened(visit, site)
    page = here.page
    edit_a_copy(page)
    put(page, "tiers.2.households_min", "600")
    wrong = field(page, "tiers.2.households_max")
    expect(wrong.locator(".fault-error")).to_contain_text("下限 600 大于上限 500")
    expect(wrong.locator("input")).to_have_attribute("aria-invalid", "true")
    store = page.get_by_role("button", name="存为新版")
    expect(store).to_be_disabled()
    put(page, "tiers.2.households_min", "300")
    put(page, "tiers.2.households_max", "380")
    expect(wrong.locator(".fault-error")).to_have_count(0)
    turned = page.locator('.rules-preview [data-tier="1"]')
    expect(turned.locator(".changed .chip-over").first).to_be_visible()
    expect(turned.locator(".changed .row-pick").first).to_have_text(re.compile(r"^\D+ \d{3}$"))
    turned.locator(".changed .row-pick").first.click()
    expect(page).to_have_url(re.compile("cells=\\d+"))
    put(page, "name_zh", "璧山：修订稿")
    put(page, "valid_from", "2041-05-01")
    expect(field(page, "valid_from").locator(".fault-note")).to_contain_text("由这套规则接替")
    store.click()
    expect(page.locator(".notice-done")).to_contain_text("2041")
    expect(page.locator(".rules-tiers")).to_contain_text("300–380 户")
    listed = here.api("GET", "/api/v1/rule-sets")["items"]
    made = next(one for one in listed if one["valid_from"] == "2041-05-01")
    assert (made["name_zh"], made["code"]) == ("璧山：修订稿", "bishan-20410501")
    assert next(one for one in listed if one["code"] == "bishan")["valid_to"] == "2041-05-01"


def test_a_warning_says_where_and_what_to_do_and_does_not_forbid(visit: Opener, site: Site) -> None:
    page = opened(visit, site).page
    edit_a_copy(page)
    put(page, "tiers.3.households_max", "280")
    put(page, "tiers.3.households_min", "260")
    expect(field(page, "tiers.3.households_max").locator(".fault-warning").first).to_contain_text("不能由整数个")
    expect(page.locator(".check-summary")).to_contain_text("处要注意")
    expect(page.get_by_role("button", name="存为新版")).to_be_enabled()


def test_what_is_being_edited_outlives_another_tab_and_a_reload(visit: Opener, site: Site) -> None:
    page = opened(visit, site).page
    edit_a_copy(page)
    put(page, "name_zh", "没写完的规则")
    page.locator("#tab-cells").click()
    page.locator("#tab-rules").click()
    expect(field(page, "name_zh").locator("input")).to_have_value("没写完的规则")
    page.reload()
    expect(field(page, "name_zh").locator("input")).to_have_value("没写完的规则")
    page.get_by_role("button", name="放弃修订").click()
    expect(page.locator("[data-rule-set]")).to_be_visible()


def test_weights_are_sliders_in_plain_words(visit: Opener, site: Site) -> None:
    page = opened(visit, site).page
    edit_a_copy(page)
    slider = page.get_by_role("slider", name="走访路程短")
    expect(slider).to_have_attribute("aria-valuetext", "照常")
    slider.focus()
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "更看重")
    page.get_by_text("按数字填写").click()
    expect(field(page, "weights.grid.reach").locator("input")).to_have_value("1")


def test_published_numbers_are_held_against_the_rules(visit: Opener, site: Site) -> None:
    page = opened(visit, site).page
    edit_a_copy(page)
    page.get_by_text("核对公布的数字").click()
    put(page, "stated.cells.0", "609")
    put(page, "stated.cells.1", "2896")
    expect(field(page, "stated.cells.1")).to_contain_text("只有 182700–231680 能同时成立")


def test_a_rule_set_goes_to_another_town_as_a_file(visit: Opener, site: Site, tmp_path: Path) -> None:
    page = opened(visit, site).page
    with page.expect_download() as told:
        page.get_by_role("link", name="导出文件").click()
    file = tmp_path / told.value.suggested_filename
    told.value.save_as(file)
    assert file.name == "bishan.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("max = 500", "max = 480"), encoding="utf-8")
    page.locator('input[type="file"]').set_input_files(file)
    checked(page)
    expect(field(page, "tiers.2.households_max").locator("input")).to_have_value("480")


def test_a_tablet_in_english_has_all_of_it(visit: Opener, site: Site) -> None:
    page = opened(visit, site, language="en", size=TABLET).page
    expect(page.locator(".rules-tiers")).to_contain_text("300–500 households")
    edit_a_copy(page)
    put(page, "source", "")
    expect(field(page, "source").locator(".fault-error")).to_contain_text("does not say where the numbers come from")
    page.get_by_role("button", name="Go to the first").click()
    expect(field(page, "source").locator("textarea")).to_be_focused()
    panel = page.locator(".rules-panel")
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
