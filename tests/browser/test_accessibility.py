"""Every page and panel held against WCAG 2.2 A and AA by axe-core, in both languages; and what no program can see.

axe finds about half of what is wrong; the order of focus, names read aloud and the use of a keyboard are tested beside
it. The map is a canvas: what it shows stands in tables and lists too, which these tests see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Opener, Site, on_desk

pytestmark = pytest.mark.browser

AXE = Path(__file__).resolve().parents[2] / "api" / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LANGUAGES = ("zh", "en")


@pytest.fixture
def surveyed(site: Site, as_user: Any) -> Site:
    """The service whose plan has been opened on the desk before: the first opening surveys its ground."""
    on_desk(as_user("planner"), site.plan_id)
    return site


def faults(page: Page) -> list[str]:
    """What axe finds: rule, and the places with what to mend."""
    if not page.evaluate("() => 'axe' in window"):
        # By the driver, not by a tag in the page, whose policy allows no code but its own.
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{one['id']}: {' '.join(node['target'][-1:])} — {node['failureSummary'].splitlines()[-1].strip()}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_login_page(visit: Opener, language: str) -> None:
    page = visit(None, "/login", language=language).page
    expect(page.locator("form")).to_be_visible()
    assert faults(page) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_planners_page(visit: Opener, language: str) -> None:
    here = visit("planner", "/planner", language=language)
    here.wait_for_map()
    page = here.page
    assert faults(page) == []
    for tab in ("violations", "cells"):
        page.locator(f"#tab-{tab}").click()
        expect(page.locator(".spinner")).to_have_count(0)
        assert faults(page) == []
    page.locator("table .row-pick").first.click()
    expect(page.locator(".card")).to_be_visible()
    assert faults(page) == []


@pytest.mark.parametrize("opens", ["新建划分", "导出", "批量定位"])
def test_the_dialogs_of_the_planners_page(visit: Opener, opens: str) -> None:
    page = visit("planner", "/planner").page
    button = page.get_by_role("button", name=opens, exact=True)
    button.click()
    expect(page.locator("dialog[open]")).to_be_visible()
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_command_page(visit: Opener, language: str) -> None:
    here = visit("dispatcher", "/command", language=language)
    here.wait_for_map()
    assert faults(here.page) == []
    here.page.locator(".incident").first.click()
    expect(here.page.locator(".card")).to_be_visible()
    assert faults(here.page) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_field_page(visit: Opener, language: str) -> None:
    here = visit("officer", "/field", language=language, size=PHONE)
    here.wait_for_map()
    page = here.page
    assert faults(page) == []
    for view in page.locator(".field-tabs button").all():
        view.click()
        assert faults(page) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_panel_of_the_desk(visit: Opener, surveyed: Site, language: str) -> None:
    here = visit("planner", f"/desk?plan={surveyed.plan_id}", language=language, size=DESKTOP)
    here.wait_for_map()
    page = here.page
    wrong: list[str] = []
    for tab in page.locator('[role="tab"]').all():
        tab.click()
        expect(page.locator("#tab-panel .spinner")).to_have_count(0)
        wrong += [f"{tab.text_content()}: {fault}" for fault in faults(page)]
    assert wrong == []


def test_a_keyboard_walks_from_the_head_of_the_desk_to_its_map(visit: Opener, surveyed: Site) -> None:
    """In the order of reading: pages, search, tabs, panel, map; every stop can be seen and has a name."""
    here = visit("planner", f"/desk?plan={surveyed.plan_id}")
    here.wait_for_map()
    page = here.page
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        assert stop["name"], stop
        assert stop["outlined"], stop
        if not seen or seen[-1] != stop["region"]:
            seen.append(stop["region"])
        if stop["region"] == "map":
            break
    assert seen[0] == "bar"
    assert seen.index("tabs") < seen.index("panel") < seen.index("map")


STOP = """() => {
  const at = document.activeElement
  const style = getComputedStyle(at)
  const labels = [...(at.labels ?? [])].map(label => label.textContent).join(' ')
  const by = (at.getAttribute('aria-labelledby') ?? '').split(' ').map(id => document.getElementById(id)?.textContent)
  const name = at.getAttribute('aria-label') || by.join(' ').trim() || labels || at.textContent.trim() || at.title
  const region = at.closest('header.bar') ? 'bar' : at.closest('[role=tablist]') ? 'tabs'
    : at.closest('[role=tabpanel]') ? 'panel' : at.closest('.map-place') ? 'map' : 'head'
  const ring = at.closest('.search-field')
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || ring !== null && getComputedStyle(ring).boxShadow !== 'none'
  return {name, region, outlined, html: at.outerHTML.slice(0, 200)}
}"""
