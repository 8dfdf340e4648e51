"""A planner breaks a draft, has it mended by a proposal with a lock held, accepts it; or compares it with before."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, expect

from tests.browser.conftest import PASSWORD, Opener, Site, on_desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SEARCH_MS = 240_000


@dataclass(frozen=True)
class Broken:
    """A draft in which two grids that touch were merged, so that one is far over its band; and a grid beside it."""

    plan_id: int
    cell: dict[str, Any]
    before: int
    """Grids out of band."""
    locked: dict[str, Any]


@pytest.fixture
def broken(site: Site, playwright: Playwright) -> Iterator[Broken]:
    http = playwright.request.new_context(base_url=site.base, extra_http_headers={"origin": site.base})

    def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = http.fetch(
            path,
            method=method,
            data=None if body is None else json.dumps(body),
            headers={"content-type": "application/json"},
        )
        assert answer.ok, f"{method} {path}: {answer.status} {answer.text()}"
        return answer.json()

    ask("POST", "/api/v1/session", {"username": "planner", "password": PASSWORD})
    plan_id = ask("POST", f"/api/v1/plans/{site.plan_id}/drafts", {"title": "待修草案"})["id"]
    view = on_desk(ask, plan_id)
    ground = ask("GET", f"/api/v1/plans/{plan_id}/desk/ground")
    one, other, third = neighbours(view, ground)
    merged = ask(
        "POST",
        f"/api/v1/plans/{plan_id}/edits",
        {"request_id": "merge-to-break", "base": view["seq"], "kind": "merge", "cells": [other], "into": one},
    )
    ask(
        "POST",
        f"/api/v1/plans/{plan_id}/edits",
        {"request_id": "lock-the-third", "base": merged["seq"], "kind": "lock", "cells": [third]},
    )
    view = ask("GET", f"/api/v1/plans/{plan_id}/desk")
    cells = {cell["id"]: cell for cell in view["cells"]}
    out = sum(cell["band_state"] != "in_band" for cell in cells.values() if cell["depth"] == 1)
    assert cells[one]["band_state"] == "over"
    yield Broken(plan_id, cells[one], out, cells[third])
    http.dispose()


def neighbours(view: dict[str, Any], ground: dict[str, Any]) -> tuple[int, int, int]:
    """Two grids with a long common border, and a third one beside the first."""
    up = {cell["id"]: cell["parent"] for cell in view["cells"] if cell["depth"] == 2}
    grid = {face["id"]: up.get(face["properties"]["cell"]) for face in ground["faces"]["features"]}
    length: dict[tuple[int, int], float] = {}
    for edge in (feature["properties"] for feature in ground["edges"]["features"]):
        a, b = grid.get(edge["a"]), grid.get(edge["b"])
        if a is not None and b is not None and a != b and edge["crossable"]:
            length[min(a, b), max(a, b)] = length.get((min(a, b), max(a, b)), 0.0) + edge["length_m"]
    one, other = max(length, key=lambda pair: length[pair])
    third = next(next(iter(set(pair) - {one})) for pair in sorted(length) if one in pair and other not in pair)
    return one, other, third


def cells_of(page: Page, plan_id: int) -> list[dict[str, Any]]:
    return list(page.request.get(f"/api/v1/plans/{plan_id}/desk").json()["cells"])


def test_a_broken_draft_is_mended_by_a_proposal(visit: Opener, broken: Broken) -> None:
    here = visit("planner", f"/desk?plan={broken.plan_id}&tab=propose")
    page = here.page
    expect(page.locator(".propose-locked")).to_contain_text("1 格")
    page.get_by_role("group", name="方案数").get_by_text("2", exact=True).click()
    page.get_by_role("button", name="求解建议").click()
    expect(page.locator("[data-run]")).to_be_visible()
    expect(page.locator('[data-proposals="2"]')).to_be_visible(timeout=SEARCH_MS)
    scores = page.get_by_role("table", name="方案比较")
    expect(scores.get_by_role("row", name=re.compile("^网格达标"))).to_contain_text("100%")
    first = page.locator(".propose-group").first
    expect(first.get_by_role("button", name=re.compile("定位")).first).to_be_visible()
    scores.get_by_role("button", name="2", exact=True).click()
    expect(page.locator("h3[data-proposal]")).to_contain_text("方案 2")
    scores.get_by_role("button", name="1", exact=True).click()
    page.get_by_role("button", name=re.compile("采纳")).first.click()
    expect(page.get_by_text("已采纳。可撤销。")).to_be_visible()
    here.wait_for_map()
    cells = cells_of(page, broken.plan_id)
    assert sum(cell["band_state"] != "in_band" for cell in cells if cell["depth"] == 1) == broken.before - 1
    [kept] = [cell for cell in cells if cell["id"] == broken.locked["id"]]
    assert {key: kept[key] for key in ("households", "area_m2")} == {
        key: broken.locked[key] for key in ("households", "area_m2")
    }


def test_a_broken_draft_is_compared_with_the_plan_that_it_came_from(visit: Opener, broken: Broken, site: Site) -> None:
    page = visit("planner", f"/desk?plan={broken.plan_id}&tab=compare").page
    page.get_by_label("与此方案比较（作为之前）").select_option(str(site.plan_id))
    moved = page.get_by_role("table", name="变动")
    expect(moved.get_by_role("row", name=re.compile("^撤销"))).to_contain_text("1", timeout=SEARCH_MS)
    assert int(page.locator("[data-moved]").get_attribute("data-moved") or 0) > 0
    line = page.locator(".lineage").first
    expect(line.locator("li strong").first).to_be_visible()
    for old in page.locator(".lineage").all():
        shares = [float(words.replace("%", "")) for words in old.locator("li strong").all_text_contents()]
        assert round(sum(shares), 2) == 100
    expect(page.get_by_role("table", name="指标对照")).to_be_visible(timeout=SEARCH_MS)


def test_some_of_a_proposal_is_accepted_undone_and_refused_where_it_was_changed(visit: Opener, broken: Broken) -> None:
    here = visit("planner", f"/desk?plan={broken.plan_id}&tab=propose", language="en")
    page = here.page
    page.get_by_role("group", name="Alternatives").get_by_text("1", exact=True).click()
    page.get_by_role("button", name="Propose", exact=True).click()
    expect(page.locator('[data-proposals="1"]')).to_be_visible(timeout=SEARCH_MS)
    expect(page.locator(".propose-grid").first).to_be_visible()
    here.api(
        "POST",
        f"/api/v1/plans/{broken.plan_id}/edits",
        {"request_id": "split-it-by-hand", "kind": "split", "cell": broken.cell["id"], "n": 2,
         "base": here.api("GET", f"/api/v1/plans/{broken.plan_id}/proposals")["run"]["based_on_seq"]},
    )  # fmt: skip
    expect(page.locator(".propose-results .form-problem")).to_contain_text("changed after the search")
    expect(page.locator(".propose-grid input:disabled").first).to_be_visible()


def test_a_search_is_cancelled(visit: Opener, broken: Broken) -> None:
    page = visit("planner", f"/desk?plan={broken.plan_id}&tab=propose").page
    page.get_by_role("group", name="范围").get_by_text("全部", exact=True).click()
    page.get_by_role("group", name="计算深度").get_by_text("精细", exact=True).click()
    page.get_by_role("button", name="求解建议").click()
    page.get_by_role("button", name="停止计算").click()
    expect(page.locator('[data-run="cancelled"]')).to_be_visible(timeout=SEARCH_MS)
    expect(page.get_by_role("button", name="求解建议")).to_be_visible()
