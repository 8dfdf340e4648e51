"""The served town of the API's tests, and programs that show tokens."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from fastapi.testclient import TestClient

from gis import tokens
from gis.db import make_engine, unit_of_work
from gis.permissions import SYSTEM
from tests.api.conftest import built, service, shared

__all__ = ["built", "program", "secret_of", "service", "shared"]


def secret_of(service: Any, name: str, *, can_write: bool = False, days: int = 30) -> str:
    """A token of an account, made on the command line's behalf."""
    engine = make_engine(service.url)
    try:
        with unit_of_work(engine) as session:
            secret, _ = tokens.issue(
                session, username=name, label="tests", days=days, can_write=can_write, actor=SYSTEM,
                now=service.clock(),
            )  # fmt: skip
            return secret
    finally:
        engine.dispose()


def program(service: Any, name: str, *, can_write: bool = False, basic: bool = False) -> TestClient:
    """A client without cookies or Origin that shows a token, as QGIS and scripts do."""
    secret = secret_of(service, name, can_write=can_write)
    words = "Basic " + b64encode(f"{name}:{secret}".encode()).decode() if basic else f"Bearer {secret}"
    return TestClient(service.app, base_url="http://wangge.test", headers={"Authorization": words})
