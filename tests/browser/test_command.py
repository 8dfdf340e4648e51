"""The command centre sees incidents as they come, and sends somebody."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Ask = Callable[..., Any]


def report(ask: Ask, title: str) -> dict[str, Any]:
    """Report an incident at the middle of an inhabited building."""
    [building] = ask("GET", "/api/v1/buildings?inhabited=true&limit=1&geometry=false")["items"]
    body = {
        "lon": building["lon"],
        "lat": building["lat"],
        "category": "S0102",
        "title": title,
        "request_id": str(uuid.uuid4()),
    }
    made: dict[str, Any] = ask("POST", "/api/v1/incidents", body)
    return made


def is_live(page: Page) -> None:
    expect(page.locator("[data-live]")).to_have_attribute("data-live", "live")


def test_an_incident_appears_without_a_reload(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    page = visit("dispatcher", "/command").page
    is_live(page)
    expect(page.locator(".incident").first).to_be_visible()
    title = f"暴露垃圾 {uuid.uuid4().hex[:6]}"
    made = report(as_user("dispatcher"), title)
    row = page.locator(f'[data-incident="{made["id"]}"]')
    expect(row).to_contain_text(title)
    expect(row).to_contain_text("待受理")
    expect(row).to_contain_text("社区 网格")


def test_the_list_the_counters_and_the_api_say_the_same(visit: Opener) -> None:
    seen = visit("dispatcher", "/command?span=all")
    page = seen.page
    closed = page.locator("[data-count=closed]")
    expect(closed.locator("strong")).not_to_have_text("0")
    told = seen.api("GET", "/api/v1/incidents?status=closed&limit=1")["total"]
    expect(closed.locator("strong")).to_have_text(str(told))
    closed.click()
    expect(page.get_by_text(f"显示 {told} 件")).to_be_visible()
    assert set(page.locator(".incident").evaluate_all("rows => rows.map(r => r.dataset.status)")) == {"closed"}
    expect(page).to_have_url(re.compile(r"[?&]status=closed"))


def test_a_dispatcher_accepts_and_dispatches(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    title = f"道路不洁 {uuid.uuid4().hex[:6]}"
    made = report(as_user("dispatcher"), title)
    seen = visit("dispatcher", f"/command?incident={made['id']}")
    page = seen.page
    card = page.get_by_role("complementary", name="事件详情")
    expect(card.get_by_role("heading", name=title)).to_be_visible()
    expect(card.get_by_text("网格长", exact=True)).to_be_visible()
    card.get_by_role("button", name="立案").click()
    expect(card.locator(".status").first).to_contain_text("已立案")

    card.get_by_role("button", name="派遣").click()
    dialog = page.get_by_role("dialog", name="派遣事件")
    person = dialog.get_by_label("承办人")
    person.select_option(index=1)
    dialog.get_by_label("说明").fill("请今天处理")
    dialog.get_by_role("button", name="派遣").click()
    expect(dialog).to_be_hidden()
    expect(card.locator(".status").first).to_contain_text("已派遣")
    expect(card.locator(".log")).to_contain_text("请今天处理")
    now = seen.api("GET", f"/api/v1/incidents/{made['id']}")["properties"]
    assert now["status"] == "dispatched"
    assert now["lead_department"]
    assert now["assignee"]
    expect(page.locator(f'.incident[data-incident="{made["id"]}"]')).to_contain_text("已派遣")


def test_what_somebody_else_did_first_is_told_and_shown(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    ask = as_user("dispatcher")
    made = report(ask, f"占道经营 {uuid.uuid4().hex[:6]}")
    seen = visit("dispatcher", "/command", lenient=True)
    # Without news, streamed or asked for, the page does not learn of the other's act before its own.
    for news in ("stream", "events"):
        seen.page.route(f"**/api/v1/incidents/{news}*", lambda route: route.abort())
    seen.page.goto(f"/command?incident={made['id']}")
    card = seen.page.get_by_role("complementary", name="事件详情")
    accept = card.get_by_role("button", name="立案")
    expect(accept).to_be_visible()
    seq = ask("GET", f"/api/v1/incidents/{made['id']}")["properties"]["last_seq"]
    act = {"action": "reject", "note": "重复", "expected_seq": seq, "request_id": str(uuid.uuid4())}
    ask("POST", f"/api/v1/incidents/{made['id']}/actions", act)
    if accept.is_visible():
        accept.click()
        expect(seen.page.locator(".notice-failed")).to_be_visible()
    expect(card.locator(".status").first).to_contain_text("不予受理")


def test_without_the_stream_the_page_asks_again_and_says_so(visit: Opener, as_user: Callable[[str], Ask]) -> None:
    seen = visit("dispatcher", "/command", lenient=True)
    seen.page.route("**/api/v1/incidents/stream*", lambda route: route.abort())
    with seen.page.expect_request("**/api/v1/incidents/events?since=*"):  # the same news by number, not the whole list
        seen.page.goto("/command")
    expect(seen.page.locator("[data-live]")).to_have_attribute("data-live", "polling")
    made = report(as_user("dispatcher"), f"私搭乱建 {uuid.uuid4().hex[:6]}")
    expect(seen.page.locator(f'[data-incident="{made["id"]}"]')).to_be_visible()


def test_a_lost_network_is_told(visit: Opener) -> None:
    seen = visit("dispatcher", "/command", lenient=True)
    is_live(seen.page)
    seen.context.set_offline(True)
    expect(seen.page.get_by_role("alert").filter(has_text="网络已断开")).to_be_visible()
    seen.context.set_offline(False)
    expect(seen.page.get_by_role("alert").filter(has_text="网络已断开")).to_be_hidden()


def test_a_viewer_may_only_look(visit: Opener, as_user: Callable[[str], Ask], site: Site) -> None:
    made = report(as_user("dispatcher"), f"井盖缺失 {uuid.uuid4().hex[:6]}")
    card = visit("viewer", f"/command?incident={made['id']}").page.get_by_role("complementary", name="事件详情")
    expect(card.locator(".log")).to_contain_text("上报")
    expect(card.locator(".card-acts button")).to_have_count(0)
    expect(card.locator(".people a")).to_have_count(0)
    assert site.base
