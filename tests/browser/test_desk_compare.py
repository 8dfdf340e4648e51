"""A draft is first compared with the plan that it was begun from."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SURVEY_MS = 180_000


def test_a_draft_of_a_draft_is_compared_with_that_one_first(visit: Opener, site: Site) -> None:
    here = visit("planner", "/planner")
    first = here.api("POST", f"/api/v1/plans/{site.plan_id}/drafts", {"title": "甲案"})["id"]
    second = here.api("POST", f"/api/v1/plans/{first}/drafts", {"title": "乙案"})["id"]
    page = here.page
    page.goto(f"/desk?plan={second}&tab=compare")
    expect(page.get_by_text("两个方案的划分相同")).to_be_visible(timeout=SURVEY_MS)
    expect(page.get_by_label("与此方案比较（作为之前）")).to_have_value(str(first))
    expect(page.locator("[data-moved]")).to_have_attribute("data-moved", "0")
    rows = page.get_by_role("table", name="变动").get_by_role("row", name=re.compile("^迁移人口"))
    expect(rows).to_have_text(re.compile("迁移人口0+$"))
