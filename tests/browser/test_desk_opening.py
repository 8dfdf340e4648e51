"""The desk while the ground of a plan is surveyed: how far it is, shared by all who wait, and what if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from gis import holds
from tests.browser.conftest import FIRST_OPENING_S, Opener, Site

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@dataclass
class Held:
    """A draft without ground, whose survey was asked for and cannot begin before the test lets it."""

    plan_id: int
    database: psycopg.Connection[Any]
    lock: psycopg.Connection[Any]

    def let_go(self) -> None:
        self.lock.close()

    def note(self, values: str) -> None:
        """Write what a worker would about its survey."""
        self.database.execute(f"UPDATE plan_survey SET {values} WHERE plan_id = %s", (self.plan_id,))


@pytest.fixture
def held(site: Site, as_user: Any) -> Iterator[Held]:
    draft = as_user("planner")("POST", f"/api/v1/plans/{site.plan_id}/drafts", {"title": "未勘测"})["id"]
    with psycopg.connect(site.url, autocommit=True) as database, psycopg.connect(site.url) as lock:
        database.execute("UPDATE plan SET recipe = recipe - 'copied_from' WHERE id = %s", (draft,))
        database.execute("INSERT INTO plan_survey (plan_id, asked_at) VALUES (%s, now())", (draft,))
        lock.execute("SELECT pg_advisory_xact_lock(%s, %s)", (holds.SURVEY, draft))
        yield Held(draft, database, lock)


def survey(page: Page, state: str) -> Any:
    shown = page.locator(f'[data-survey="{state}"]')
    expect(shown).to_be_visible()
    return shown


def ready(page: Page) -> None:
    page.wait_for_selector('[data-hand="ready"]', timeout=1000 * FIRST_OPENING_S)


def test_two_wait_for_one_survey_and_see_how_far_it_is(visit: Opener, held: Held) -> None:
    pages = [visit(who, f"/desk?plan={held.plan_id}").page for who in ("planner", "admin")]
    for page in pages:
        expect(survey(page, "queued").locator('[aria-current="step"]')).to_contain_text("等待开始")
    held.note("state = 'running', step = 'surveying', share = 0.4, done = 1, total = 4, started_at = now(), tries = 1")
    for page in pages:
        shown = survey(page, "running")
        expect(shown).to_contain_text("40%")
        expect(shown).to_contain_text("已完成 1 / 4 个社区")
        expect(page).to_have_title("40% · 勘测地面")
    # Left and come back to: it goes on where it is.
    pages[1].goto(f"/planner?plan={held.plan_id}")
    pages[1].go_back()
    expect(survey(pages[1], "running")).to_contain_text("40%")
    held.note("state = 'queued', step = NULL, share = 0, done = 0, total = 0, tries = 0")
    held.let_go()
    for page in pages:
        ready(page)
        expect(page).to_have_title("划分工作台 · 网格")


def test_a_failed_survey_says_why_and_is_tried_again(visit: Opener, held: Held) -> None:
    page = visit("planner", f"/desk?plan={held.plan_id}", language="en").page
    expect(survey(page, "queued")).to_contain_text("You can leave this page")
    held.note("state = 'failed', error_code = 'survey.died', error_params = '{\"tries\": 3}', finished_at = now()")
    expect(page.get_by_role("alert")).to_contain_text("died 3 times")
    page.get_by_role("button", name="Try again").click()
    survey(page, "queued")
    held.let_go()
    ready(page)
