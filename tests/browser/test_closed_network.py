"""Nothing asks the outside world: each page and the report load with every name but the loopback's unknown."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = [
    ("planner", "/planner", DESKTOP),
    ("dispatcher", "/command", DESKTOP),
    ("officer", "/field?view=map", PHONE),
]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(("user", "path", "size"), PAGES, ids=[path for _, path, _ in PAGES])
def test_a_page_draws_its_map_by_itself(
    visit: Opener, user: str, path: str, size: dict[str, int], language: str
) -> None:
    """`visit` asserts at its end that no other host was asked and nothing was complained of."""
    seen = visit(user, path, language=language, size=size)
    seen.wait_for_map()
    layers = {path.split("/")[2] for path in seen.asked if path.endswith(".mvt")}
    assert layers >= {"ground", "water", "areas", "roads", "grids"}
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_login_page_loads_by_itself(visit: Opener) -> None:
    page = visit(None, "/", lenient=True).page  # that nobody is signed in is told by a 401
    expect(page).to_have_url(re.compile(r"^[^?]*/login"))
    expect(page.get_by_role("heading", name="网格")).to_be_visible()


def test_the_report_of_a_plan_loads_by_itself(visit: Opener, site: Site) -> None:
    seen = visit("planner", f"/planner?plan={site.plan_id}")
    link = seen.page.get_by_role("link", name="报告")
    address = link.get_attribute("href")
    assert address == f"/api/v1/plans/{site.plan_id}/report.html"
    seen.page.goto(address)
    expect(seen.page.get_by_role("heading", name="总图")).to_be_visible()
    expect(seen.page.locator("svg.map .cells path").first).to_be_visible()
    seen.page.get_by_text("English", exact=True).click()
    expect(seen.page.get_by_role("heading", name="Overview")).to_be_visible()
    seen.page.goto(address.replace("report.html", "map.html"))
    expect(seen.page.locator(".leaflet-container")).to_be_visible()
    expect(seen.page.locator(".leaflet-overlay-pane").locator("canvas, path").first).to_be_attached()
