"""The panels beside the desk's map: words in place of codes, and room for them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

OPENING_MS = 180_000


def test_a_fault_is_told_with_names_beside_a_way_there(visit: Opener, site: Site) -> None:
    here = visit("planner", "/planner")
    plan = here.api("POST", f"/api/v1/plans/{site.plan_id}/drafts", {"title": "并格"})["id"]
    page = here.page
    page.goto(f"/desk?plan={plan}&tab=checks")
    expect(page.locator('[data-hand="ready"]')).to_be_attached(timeout=OPENING_MS)
    grids = [cell for cell in here.api("GET", f"/api/v1/plans/{plan}/desk")["cells"] if cell["depth"] == 1]
    first = grids[0]
    second = next(cell for cell in grids[1:] if cell["community"] == first["community"])
    together = first["households"] + second["households"]
    merged = {"request_id": "merge-for-faults", "kind": "merge", "base": 0, "cells": [first["id"], second["id"]]}
    here.api("POST", f"/api/v1/plans/{plan}/edits", {**merged, "into": first["id"]})
    fault = page.locator('[data-check="check.over"]').filter(has_text=f"有 {together} 户")
    expect(fault).to_be_visible(timeout=OPENING_MS)
    expect(fault).to_have_text(re.compile(r"^户数过多.*网格 \S+ \d{3} 有"))
    expect(page.locator(".violations")).not_to_have_text(re.compile(r"\d{13,}"))


@pytest.mark.parametrize("size", [{"width": 1366, "height": 768}, {"width": 1024, "height": 768}])
def test_english_words_have_room_beside_the_map(visit: Opener, site: Site, size: dict[str, int]) -> None:
    page = visit("planner", f"/desk?plan={site.plan_id}&tab=rules", language="en", size=size).page
    expect(page.get_by_role("tab")).to_have_count(8, timeout=OPENING_MS)
    side = page.locator(".side").bounding_box()
    assert side is not None
    for tab in page.get_by_role("tab").all():
        box = tab.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= side["x"] + side["width"], tab.inner_text()
    page.get_by_role("tab", name="Grids").click()
    expect(page.locator(".desk-cells tbody th").first).to_have_text(re.compile(r"^[A-Z][a-z]+ \d{3}$"))
    for part in (page.locator(".desk-cells table"), page.get_by_role("searchbox", name="Find a code")):
        box = part.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= side["x"] + side["width"]


def test_looking_at_a_plan_in_force_and_editing_it_have_names_of_their_own(visit: Opener, site: Site) -> None:
    page = visit("planner", f"/planner?plan={site.plan_id}").page
    expect(page.get_by_role("link", name="工作台")).to_have_attribute("href", f"/desk?plan={site.plan_id}")
    expect(page.get_by_role("link", name="编辑")).to_have_count(0)
    expect(page.get_by_role("button", name="编辑")).to_have_count(1)
