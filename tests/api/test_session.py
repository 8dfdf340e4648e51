"""Signing in and out, locks, passwords, and what a session tells."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import PASSWORD


def sign_in(browser: Any, name: str, password: str = PASSWORD) -> Any:
    return browser.post("/api/v1/session", json={"username": name, "password": password})


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(service: Any) -> None:
    answer = sign_in(service.as_(None), "planner")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # loopback; WANGGE_SECURE_COOKIES behind TLS
    assert "no-store" in answer.headers["cache-control"]


def test_a_session_tells_who_one_is_and_where_to_begin(shared: Any) -> None:
    me = shared.as_("officer").get("/api/v1/session").json()
    assert me["user"]["username"] == "officer"
    assert me["user"]["staff"]["code"] == "S000"
    assert me["home"] == "/field"
    assert [(grant["role"], grant["area"]["code"]) for grant in me["grants"]] == [("field_worker", "210681001001")]
    assert "report_incident" in me["permissions"]
    assert "publish_plan" not in me["permissions"]
    west, south, east, north = me["extent"]
    assert (round(east - west, 6), round(north - south, 6)) == (0.01, 0.01)


def test_each_role_begins_on_its_own_page(shared: Any) -> None:
    homes = {
        name: shared.as_(name).get("/api/v1/session").json()["home"] for name in ("planner", "approver", "dispatcher")
    }
    assert homes == {"planner": "/planner", "approver": "/planner", "dispatcher": "/command"}


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(service: Any) -> None:
    browser = service.as_(None)
    wrong, unknown = sign_in(browser, "planner", "not the password"), sign_in(browser, "no-such-name", "whatever it is")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_five_wrong_passwords_lock_the_account_for_a_while(service: Any) -> None:
    browser = service.as_(None)
    for _ in range(5):
        assert sign_in(browser, "viewer", "not the password").json()["code"] == "access.wrong_password"
    assert sign_in(browser, "viewer").json()["code"] == "access.locked"
    service.clock.forward(minutes=16)
    assert sign_in(browser, "viewer").status_code == 200


def test_signing_out_ends_the_session_for_good(service: Any) -> None:
    browser = service.as_("viewer")
    token = browser.cookies["wangge_session"]
    assert browser.delete("/api/v1/session").status_code == 204
    browser.cookies.set("wangge_session", token)
    assert browser.get("/api/v1/session").status_code == 401


def test_a_session_unused_for_half_a_day_has_ended(service: Any) -> None:
    browser = service.as_("viewer")
    service.clock.forward(hours=11)
    assert browser.get("/api/v1/session").status_code == 200
    service.clock.forward(hours=13)
    assert browser.get("/api/v1/session").status_code == 401


def test_a_new_password_ends_all_other_sessions(service: Any) -> None:
    one = service.as_("viewer")
    other = service.as_(None)
    assert sign_in(other, "viewer").status_code == 200
    change = {"old_password": PASSWORD, "new_password": "quite another password"}
    assert one.put("/api/v1/session/password", json=change).status_code == 204
    assert one.get("/api/v1/session").status_code == 200
    assert other.get("/api/v1/session").status_code == 401


def test_a_password_set_by_another_opens_nothing_until_it_is_changed(service: Any) -> None:
    from gis import accounts
    from gis.db import unit_of_work
    from gis.permissions import SYSTEM

    with unit_of_work(service.app.state.services.engine) as session:
        accounts.set_password(
            session, username="viewer", password="given by the administrator", actor=SYSTEM, now=service.clock()
        )
    browser = service.as_(None)
    me = sign_in(browser, "viewer", "given by the administrator").json()
    assert me["user"]["must_change_password"] is True
    assert browser.get("/api/v1/areas").json()["code"] == "access.must_change_password"
    change = {"old_password": "given by the administrator", "new_password": "my very own words"}
    assert browser.put("/api/v1/session/password", json=change).status_code == 204
    assert browser.get("/api/v1/areas").status_code == 200


def test_a_withdrawn_grant_holds_from_the_next_request_on(service: Any) -> None:
    from gis import accounts
    from gis.db import unit_of_work
    from gis.permissions import SYSTEM, Role

    browser = service.as_("viewer")
    assert browser.get("/api/v1/areas").status_code == 200
    with unit_of_work(service.app.state.services.engine) as session:
        accounts.revoke(
            session, username="viewer", role=Role.VIEWER, area_id=service.town.street.id, actor=SYSTEM,
            now=service.clock(),
        )  # fmt: skip
    service.clock.forward(seconds=1)
    assert browser.get("/api/v1/areas").status_code == 403
