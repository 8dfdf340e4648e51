"""A grid officer on a phone: the own buildings by distance, a report in three taps, a task resolved."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Opener

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Ask = Callable[..., Any]


def metres(page: Page) -> list[float]:
    """The distances of the list, in its order."""
    found = []
    for text in page.locator(".building-way strong").all_inner_texts():
        number, unit = text.replace(",", "").split()
        found.append(float(number) * (1000 if unit == "km" else 1))
    return found


def test_the_list_holds_the_own_buildings_nearest_first(visit: Opener) -> None:
    seen = visit("officer", "/field", size=PHONE)
    expect(seen.page.get_by_role("list", name="我的楼栋")).to_be_visible()
    own = seen.api("GET", "/api/v1/buildings?mine=true&geometry=false&limit=1000")
    expect(seen.page.locator("[data-building]")).to_have_count(own["total"])
    away = metres(seen.page)
    assert away == sorted(away)
    expect(seen.page.get_by_text("按网格中心")).to_be_visible()


def test_the_phone_tells_where_one_stands(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    own = as_user("officer")("GET", "/api/v1/buildings?mine=true&geometry=false&limit=1000")["items"]
    here = own[-1]
    seen = visit(
        "officer",
        "/field",
        size=PHONE,
        permissions=["geolocation"],
        geolocation={"longitude": here["lon"], "latitude": here["lat"], "accuracy": 8},
    )
    expect(seen.page.get_by_text("按手机定位")).to_be_visible()
    expect(seen.page.locator("[data-building]").first).to_have_attribute("data-building", str(here["id"]))
    assert metres(seen.page)[0] < 10


def test_an_incident_is_reported_in_three_taps(visit: Opener) -> None:
    seen = visit("officer", "/field", size=PHONE)
    page = seen.page
    expect(page.locator("[data-building]").first).to_be_visible()
    before = seen.api("GET", "/api/v1/incidents?limit=1")["total"]
    page.get_by_role("button", name="上报").click()
    page.locator('[data-category="B0102"]').click()
    expect(page.locator(".whose[data-how]")).to_be_visible()
    page.get_by_role("button", name="就在这里").click()
    page.get_by_role("button", name="发送", exact=True).click()
    expect(page.get_by_text("已上报")).to_be_visible()
    listed = seen.api("GET", "/api/v1/incidents?limit=1")
    assert listed["total"] == before + 1
    made = listed["features"][0]["properties"]
    assert (made["category"], made["status"]) == ("B0102", "reported")
    assert made["grid_id"]
    expect(page.locator(f'[data-task="{made["id"]}"]')).to_be_visible()


def test_a_draft_survives_a_reload_and_a_retry_reports_once(visit: Opener) -> None:
    seen = visit("officer", "/field", size=PHONE, lenient=True)
    page = seen.page
    expect(page.locator("[data-building]").first).to_be_visible()
    before = seen.api("GET", "/api/v1/incidents?limit=1")["total"]
    page.get_by_role("button", name="上报").click()
    page.locator('[data-category="B0301"]').click()
    page.get_by_role("button", name="就在这里").click()
    page.get_by_label("补充说明").fill("张三家门口")
    kept = page.evaluate("sessionStorage.getItem('wangge.report')")
    assert "B0301" in kept
    assert "张三" not in kept
    page.reload()
    expect(page.get_by_role("region", name="上报事件")).to_have_attribute("data-step", "send")

    # The report reaches the server, but its answer is lost on the way back.
    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/v1/incidents", lose_the_answer, times=1)
    page.get_by_role("button", name="发送", exact=True).click()
    expect(page.get_by_role("button", name="再次发送")).to_be_visible()
    page.get_by_role("button", name="再次发送").click()
    expect(page.get_by_text("已上报")).to_be_visible()
    assert seen.api("GET", "/api/v1/incidents?limit=1")["total"] == before + 1
    assert page.evaluate("sessionStorage.getItem('wangge.report')") is None


def test_an_officer_takes_up_a_task_and_resolves_it(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    officer, centre = as_user("officer"), as_user("dispatcher")
    me = officer("GET", "/api/v1/session")["user"]["staff"]["id"]
    place = officer("GET", "/api/v1/buildings?mine=true&inhabited=true&geometry=false&limit=1")["items"][0]
    body = {"lon": place["lon"], "lat": place["lat"], "category": "T0101", "title": "邻里纠纷 " + uuid.uuid4().hex[:6]}
    made = officer("POST", "/api/v1/incidents", {**body, "request_id": str(uuid.uuid4())})
    address = f"/api/v1/incidents/{made['id']}"
    for action, more in (("accept", {}), ("dispatch", {"assignee": me})):
        seq = centre("GET", address)["properties"]["last_seq"]
        act = {"action": action, "expected_seq": seq, "request_id": str(uuid.uuid4()), **more}
        centre("POST", f"{address}/actions", act)

    seen = visit("officer", "/field", size=PHONE)
    page = seen.page
    page.get_by_role("button", name=re.compile("任务")).click()
    row = page.locator(f'[data-task="{made["id"]}"]')
    expect(row).to_contain_text("派给我")
    row.get_by_role("button").click()
    card = page.get_by_role("complementary", name="事件详情")
    card.get_by_role("button", name="开始处置").click()
    expect(card.locator(".status").first).to_contain_text("处置中")
    card.get_by_role("button", name="处置完毕").click()
    dialog = page.get_by_role("dialog", name="处置完毕")
    dialog.get_by_label("说明").fill("已调解，双方签字")
    dialog.get_by_role("button", name="处置完毕").click()
    expect(card.locator(".status").first).to_contain_text("待核查")
    now = officer("GET", address)["properties"]
    assert now["status"] == "resolved"
    assert now["log"][-1]["note"] == "已调解，双方签字"


def test_the_map_shows_the_own_grid_and_sorts_from_a_chosen_place(visit: Opener) -> None:
    seen = visit("officer", "/field", size=PHONE)
    page = seen.page
    expect(page.locator("[data-building]").first).to_be_visible()
    page.get_by_role("button", name="地图", exact=True).click()
    seen.wait_for_map()
    page.get_by_role("button", name="以地图中心为当前位置").click()
    expect(page.get_by_text("按选定位置")).to_be_visible()
    page.get_by_role("button", name="楼栋", exact=True).click()
    away = metres(page)
    assert away == sorted(away)


def test_every_button_of_the_phone_page_can_be_hit_by_a_thumb(visit: Opener) -> None:
    page = visit("officer", "/field", size=PHONE).page
    expect(page.locator("[data-building]").first).to_be_visible()
    page.get_by_role("button", name="上报").click()
    expect(page.locator("[data-category]").first).to_be_visible()
    small = page.locator(".field-tab, [data-category]").evaluate_all(
        "all => all.map(b => b.getBoundingClientRect()).filter(r => r.height < 48 || r.width < 48).length"
    )
    assert small == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
