"""Signing in, by mouse and by keyboard, and coming back to where one wanted to be."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, Opener

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(
    ("user", "first_page"),
    [
        ("admin", "planner"),
        ("planner", "planner"),
        ("approver", "planner"),
        ("dispatcher", "command"),
        ("officer", "field"),
        ("viewer", "command"),
    ],
)
def test_each_role_begins_on_its_page(visit: Opener, user: str, first_page: str) -> None:
    page = visit(None, "/login").page
    page.get_by_label("用户名").fill(user)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(rf"^[^?]*/{first_page}"))
    expect(page.locator(".tab[aria-current=page]")).to_be_visible()


def test_the_keyboard_alone_signs_in(visit: Opener) -> None:
    page = visit(None, "/login").page
    expect(page.get_by_label("用户名")).to_be_focused()
    page.keyboard.type("dispatcher")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"^[^?]*/command"))


def test_a_wrong_password_is_told_in_the_language_of_the_page(visit: Opener) -> None:
    page = visit(None, "/login", lenient=True).page
    page.get_by_role("button", name="English").click()
    page.get_by_label("User name").fill("viewer")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    alert = page.get_by_role("alert")
    expect(alert).to_be_visible()
    assert alert.inner_text().isascii(), alert.inner_text()
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_whoever_is_not_signed_in_comes_back_after_the_login(visit: Opener) -> None:
    page = visit(None, "/planner?depth=2&colour=band", lenient=True).page
    expect(page).to_have_url(re.compile(r"^[^?]*/login\?next="))
    page.get_by_label("用户名").fill("planner")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(r"^[^?]*/planner\?.*depth=2"))
    expect(page.get_by_role("button", name="按户数")).to_have_attribute("aria-pressed", "true")


def test_whoever_is_signed_out_meanwhile_is_told_so_and_comes_back(visit: Opener) -> None:
    seen = visit("planner", "/planner?depth=2", lenient=True)
    page = seen.page
    page.wait_for_load_state("networkidle")  # a question still on its way would lead to the login before the click
    page.get_by_role("button", name="新建划分").click()
    begin = page.get_by_role("dialog").get_by_role("button", name="开始划分")
    expect(begin).to_be_enabled()
    seen.api("DELETE", "/api/v1/session")
    begin.click()
    expect(page.get_by_text("登录已过期")).to_be_visible()
    page.get_by_label("用户名").fill("planner")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(r"^[^?]*/planner\?.*depth=2"))


def test_a_way_back_to_another_site_is_not_followed(visit: Opener) -> None:
    page = visit(None, "/login?next=//elsewhere.example/planner").page
    page.get_by_label("用户名").fill("planner")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(re.compile(r"^[^?]*/planner"))


def test_signing_out_ends_the_session(visit: Opener) -> None:
    page = visit("viewer", "/command", lenient=True).page
    page.get_by_role("button", name="退出").click()
    expect(page).to_have_url(re.compile(r"^[^?]*/login"))
    expect(page.get_by_label("密码")).to_be_visible()
    page.goto("/command")
    expect(page).to_have_url(re.compile(r"^[^?]*/login\?next="))
