"""Programs show tokens: what they may, when it ends, what is never done with one."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from sqlalchemy import select

from gis import accounts, tokens
from gis.db import make_engine, unit_of_work
from gis.models import AccessToken, AuditLog
from gis.permissions import SYSTEM
from scripts import cli
from tests.doors.conftest import program, secret_of


def _incident(client: Any) -> Any:
    given = {"lon": 124.151, "lat": 39.861, "category": "0201", "title": "灯坏了", "request_id": "request-1"}
    return client.post("/api/v1/incidents", json=given)


@pytest.mark.parametrize("basic", [False, True])
def test_a_token_reads_what_its_account_may(service: Any, basic: bool) -> None:
    own, whole = program(service, "viewer1", basic=basic), program(service, "viewer", basic=basic)
    assert own.get("/api/v1/session").json()["user"]["username"] == "viewer1"
    assert 0 < own.get("/api/v1/buildings").json()["total"] < whole.get("/api/v1/buildings").json()["total"]
    assert "set-cookie" not in own.get("/api/v1/buildings").headers


def test_a_token_writes_only_if_it_was_given_to(service: Any) -> None:
    assert _incident(program(service, "officer", can_write=True)).status_code == 201
    refused = _incident(program(service, "officer"))
    assert (refused.status_code, refused.json()["code"]) == (403, "access.no_grant")


def test_no_token_manages_accounts_or_makes_tokens(service: Any) -> None:
    client = program(service, "admin", can_write=True)
    assert "manage_users" not in client.get("/api/v1/session").json()["permissions"]
    assert client.post("/api/v1/session/tokens", json={"label": "more"}).json()["code"] == "access.token_by_token"


@pytest.mark.parametrize(
    "header",
    ["Bearer wgt_wrong", "Basic !!!", "Basic " + b64encode(b"viewer").decode(), "Digest x", "Bearer", "Basic \u00e9"],
)
def test_anything_else_is_refused(shared: Any, header: str) -> None:
    answer = shared.as_(None).get("/api/v1/buildings", headers={"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "access.bad_token")


def test_a_token_of_another_name_is_refused(service: Any) -> None:
    words = b64encode(f"admin:{secret_of(service, 'viewer')}".encode()).decode()
    assert service.as_(None).get("/api/v1/areas", headers={"Authorization": f"Basic {words}"}).status_code == 401


def test_a_proxy_with_a_log_in_of_its_own_does_not_disturb_a_session(shared: Any) -> None:
    words = b64encode(b"proxy:secret").decode()
    assert shared.as_("viewer").get("/api/v1/areas", headers={"Authorization": f"Basic {words}"}).status_code == 200


def test_a_token_in_the_address_is_not_looked_at(service: Any) -> None:
    secret = secret_of(service, "viewer")
    for name in ("token", "access_token", "api_key"):
        assert service.as_(None).get("/api/v1/areas", params={name: secret}).status_code == 401


def test_a_token_ends_by_its_day_by_hand_and_with_its_account(service: Any) -> None:
    client = program(service, "viewer")
    service.clock.forward(days=31)
    assert client.get("/api/v1/areas").status_code == 401

    owner = service.as_("dispatcher")
    made = owner.post("/api/v1/session/tokens", json={"label": "QGIS", "days": 10}).json()
    shows = {"Authorization": f"Bearer {made['token']}"}
    assert service.as_(None).get("/api/v1/areas", headers=shows).status_code == 200
    assert service.as_("planner").delete(f"/api/v1/session/tokens/{made['id']}").status_code == 404
    assert owner.delete(f"/api/v1/session/tokens/{made['id']}").status_code == 200
    assert service.as_(None).get("/api/v1/areas", headers=shows).json()["code"] == "access.bad_token"
    listed = owner.get("/api/v1/session/tokens").json()["items"]
    assert listed[0]["revoked_at"]
    assert "token" not in listed[0]


def test_a_new_password_ends_the_tokens_too(service: Any) -> None:
    client = program(service, "viewer")
    assert client.get("/api/v1/areas").status_code == 200
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        accounts.set_password(
            session, username="viewer", password="another long one", actor=SYSTEM, now=service.clock.now
        )
    engine.dispose()
    assert client.get("/api/v1/areas").json()["code"] == "access.bad_token"


def test_the_secret_is_kept_nowhere_and_making_it_is_written_down(service: Any) -> None:
    secret = secret_of(service, "viewer")
    engine = make_engine(service.url)
    with unit_of_work(engine) as session:
        row = session.scalars(select(AccessToken)).one()
        assert secret.encode() not in row.token_hash
        entry = session.scalars(select(AuditLog).where(AuditLog.action == "token.issue")).one()
        assert entry.details["token"] == row.id
        assert secret not in str(entry.details)
    engine.dispose()


def test_a_label_and_a_number_of_days_are_asked_for_and_there_is_an_end(service: Any) -> None:
    owner = service.as_("viewer")
    for wrong in ({"label": " "}, {"label": "x", "days": 0}, {"label": "x", "days": 4000}, {"label": "x" * 99}):
        assert owner.post("/api/v1/session/tokens", json=wrong).status_code == 422, wrong
    for _ in range(tokens.ALIVE_MOST):
        assert owner.post("/api/v1/session/tokens", json={"label": "x"}).status_code == 201
    assert owner.post("/api/v1/session/tokens", json={"label": "x"}).json()["code"] == "access.token_too_many"


def test_a_page_of_another_site_cannot_write_with_what_a_browser_remembers(service: Any) -> None:
    client = program(service, "officer", can_write=True)
    client.headers["Origin"] = "http://elsewhere.test"
    assert _incident(client).json()["code"] == "http.foreign_origin"


def test_the_command_makes_lists_and_revokes(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANGGE_DATABASE_URL", database)
    assert cli.run(["user", "add", "robot", "--role", "viewer"]) == 0
    capsys.readouterr()
    assert cli.run(["user", "token", "add", "robot", "--label", "QGIS", "--days", "7"]) == 0
    assert capsys.readouterr().out.startswith(tokens.PREFIX)
    assert cli.run(["user", "token", "revoke", "robot", "1"]) == 0
    assert cli.run(["user", "token", "revoke", "robot", "99"]) == 3
    assert cli.run(["user", "token", "list", "robot"]) == 0
    assert "QGIS" in capsys.readouterr().out
