"""The search box: from a few letters to the place and its people, by keyboard, by touch, in both languages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from gis.spelling import initials
from tests.browser.conftest import PHONE, Opener, Visit

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WORDS = {"zh": "搜索地点和人员", "en": "Search places and people"}


def box(page: Page, language: str = "zh") -> Locator:
    return page.get_by_role("combobox", name=WORDS[language])


def options(page: Page) -> Locator:
    return page.locator(".search").get_by_role("option")


def some_building(seen: Visit) -> dict[str, Any]:
    """A dwelling house with a number in a compound whose name no other compound begins with."""
    rows = seen.api("GET", "/api/v1/buildings?inhabited=true&geometry=false&limit=1000")["items"]
    found: dict[str, Any] = next(
        row
        for row in rows
        if row["compound_name"] and re.fullmatch(r"\d+栋", row["name"] or "") and row["micro_grids"] == 1
    )
    return found


def test_from_initials_by_keyboard_to_the_people(visit: Opener) -> None:
    seen = visit("dispatcher", "/command")
    building = some_building(seen)
    page = seen.page
    seen.wait_for_map()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type(initials(building["compound_name"]) + building["name"].rstrip("栋"))
    expect(options(page).first).to_contain_text(building["compound_name"])
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    expect(box(page)).to_have_attribute("aria-activedescendant", re.compile("."))
    active = box(page).get_attribute("aria-activedescendant")
    expect(page.locator(f'[id="{active}"]')).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    card = page.get_by_role("complementary", name="搜索到的地点")
    expect(card).to_contain_text(building["compound_name"] + building["name"])
    expect(card.locator(".people li").first).to_contain_text("微网格长")
    expect(card.locator(".person-phone").first).to_have_attribute("href", re.compile("tel:1"))
    expect(box(page)).to_have_attribute("aria-expanded", "false")
    seen.wait_for_map()
    expect(page).to_have_url(re.compile(r"at=[\d.]+,[\d.]+,1[6-9]"))  # written once the flight has ended
    lon, lat, zoom = (float(part) for part in re.search(r"at=([\d.,]+)", page.url)[1].split(","))  # type: ignore[index]
    assert zoom > 16
    assert abs(lon - building["lon"]) < 0.004
    assert abs(lat - building["lat"]) < 0.004


def test_a_link_opens_the_same_place_again(visit: Opener) -> None:
    seen = visit("viewer", "/command")
    building = some_building(seen)
    box(seen.page).fill(building["compound_name"] + building["name"])
    options(seen.page).first.click()
    expect(seen.page.locator("[data-found-card]")).to_be_visible()
    seen.page.wait_for_url(re.compile("find="))
    seen.page.reload()
    expect(seen.page.locator("[data-found-card]")).to_contain_text(building["name"])
    expect(seen.page.locator(".people")).to_contain_text("138****")


def test_a_room_leads_to_its_unit_and_floor(visit: Opener) -> None:
    seen = visit("planner", "/planner", language="en")
    building = some_building(seen)
    box(seen.page, "en").fill(f"{building['compound_name']}{building['name']}1单元302")
    options(seen.page).first.click()
    card = seen.page.get_by_role("complementary", name="Place found")
    expect(card).to_contain_text("Unit 1 · Floor 3 · Room 302")
    expect(card).to_contain_text("Responsible")


def test_a_grid_opens_the_planners_own_card(visit: Opener) -> None:
    seen = visit("planner", "/planner")
    cell = seen.api("GET", "/api/v1/grids?kind=grid&geometry=false&limit=1")["items"][0]
    code = cell["code"]
    seen.page.goto(f"/planner?plan={cell['plan_id']}")  # others may have made newer ones
    seen.wait_for_map()
    box(seen.page).fill(code)
    options(seen.page).first.click()
    expect(seen.page.get_by_role("complementary").filter(has_text=code)).to_be_visible()
    expect(seen.page.locator("[data-found-card]")).to_have_count(0)


def test_the_arrows_go_round_and_escape_closes(visit: Opener) -> None:
    seen = visit("dispatcher", "/command")
    page = seen.page
    box(page).fill("210699")  # at once: what its beginning finds is never shown
    expect(options(page).nth(2)).to_be_visible()
    count = options(page).count()
    expect(options(page).first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(options(page).nth(count - 1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(options(page).nth(1)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("status").filter(has_text="条结果")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(options(page)).to_have_count(0)
    expect(box(page)).to_have_value("210699")
    page.keyboard.press("Escape")
    expect(box(page)).to_have_value("")


def test_nothing_is_asked_while_a_character_is_composed(visit: Opener) -> None:
    seen = visit("dispatcher", "/command")
    page = seen.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/v1/search" in request.url else None)
    box(page).focus()
    box(page).dispatch_event("compositionstart")
    box(page).evaluate(
        "(input) => { input.value = 'she qu'; input.dispatchEvent(new InputEvent('input', { bubbles: true })); }"
    )
    box(page).evaluate(
        "(input) => input.dispatchEvent(new KeyboardEvent('keydown',"
        " { key: 'Enter', isComposing: true, bubbles: true }))"
    )
    expect(box(page)).to_have_value("she qu")
    assert asked == []
    box(page).evaluate("(input) => { input.value = '社区'; }")
    box(page).dispatch_event("compositionend")
    expect(options(page).first).to_be_visible()
    assert len(asked) == 1
    assert "q=%E7%A4%BE%E5%8C%BA" in asked[0]


def test_nothing_found_and_lost_are_told(visit: Opener) -> None:
    seen = visit("dispatcher", "/command", lenient=True)
    page = seen.page
    box(page).fill("qqqqwwwwzzzz")
    expect(page.get_by_text("没有找到“qqqqwwwwzzzz”")).to_be_visible()
    page.route("**/api/v1/search**", lambda route: route.abort())
    box(page).fill("社区")
    expect(page.locator(".search-none[role=alert]")).to_be_visible()
    page.unroute("**/api/v1/search**")
    page.locator(".search-none").get_by_role("button").click()
    expect(options(page).first).to_be_visible()


def test_what_was_chosen_before_is_offered_again_but_no_people(visit: Opener) -> None:
    seen = visit("dispatcher", "/command")
    page = seen.page
    building = some_building(seen)
    person = seen.api("GET", "/api/v1/staff?limit=1")["items"][0]["name"]
    for words in (person, building["compound_name"]):
        box(page).fill(words)
        expect(options(page).first).to_contain_text(words)  # no longer what was found before
        options(page).first.click()
        expect(page.locator("[data-found-card]")).to_contain_text(words)
    page.get_by_role("button", name="清空搜索框").click()
    recent = page.locator(".search-again")
    expect(recent).to_have_count(1)
    expect(recent).to_have_text(building["compound_name"])
    recent.click()
    expect(options(page).first).to_contain_text(building["compound_name"])


def test_on_a_phone_an_officer_finds_an_own_building(visit: Opener) -> None:
    seen = visit("officer", "/field", size=PHONE)
    page = seen.page
    own = seen.api("GET", "/api/v1/buildings?mine=true&geometry=false&limit=1000")["items"]
    building = next(row for row in own if row["compound_name"] and row["name"])
    page.get_by_role("button", name=WORDS["zh"]).click()
    expect(box(page)).to_be_focused()
    shape = page.locator(".search-sheet").bounding_box()
    assert shape is not None
    assert shape["width"] == PHONE["width"]
    box(page).fill(building["compound_name"] + building["name"])
    page.locator(f'[data-found="building:{building["id"]}"]').click()
    card = page.locator(f'[data-found-card="building:{building["id"]}"]')
    expect(card).to_contain_text("我的楼栋")
    expect(card.locator(".people li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    card.get_by_role("button", name="关闭").click()
    expect(card).to_have_count(0)


@pytest.mark.parametrize(("user", "path"), [("dispatcher", "/command"), ("planner", "/planner"), ("officer", "/field")])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_bar_of_a_phone_holds_the_box_too(visit: Opener, user: str, path: str, language: str) -> None:
    seen = visit(user, path, size=PHONE, language=language)
    button = seen.page.get_by_role("button", name=WORDS[language])
    expect(button).to_be_visible()
    shape = button.bounding_box()
    assert shape is not None
    assert shape["x"] + shape["width"] <= PHONE["width"]
