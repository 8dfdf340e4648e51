"""What holds for every route: it asks leave, it does not block the loop, it is documented."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.deps import Allowed, open_session

PUBLIC = {
    ("GET", "/healthz"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    # of one's own self, with any session or none of the actions
    ("GET", "/api/v1/session"),
    ("PUT", "/api/v1/session/password"),
    ("GET", "/api/v1/session/tokens"),
    ("POST", "/api/v1/session/tokens"),
    ("DELETE", "/api/v1/session/tokens/{token_id}"),
}
PAGES = {"/", "/login", "/planner", "/desk", "/command", "/field", "/favicon.ico", "/favicon.svg"}


def routes(app: Any) -> Iterator[APIRoute]:
    """All routes but the pages; FastAPI keeps included routers as such."""
    for entry in app.routes:
        for route in getattr(getattr(entry, "original_router", None), "routes", [entry]):
            if isinstance(route, APIRoute) and route.path.rstrip("/") not in {page.rstrip("/") for page in PAGES}:
                yield route


def calls(dependant: Any) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from calls(one)


def test_every_route_states_its_action_but_a_few_public_ones(shared: Any) -> None:
    silent = {
        (method, route.path)
        for route in routes(shared.app)
        for method in route.methods
        if not any(isinstance(call, Allowed) for call in calls(route.dependant))
    }
    assert silent == PUBLIC


def test_no_route_escapes_these_tests(shared: Any) -> None:
    found = {(route.path, method.lower()) for route in routes(shared.app) for method in route.methods}
    document = shared.as_(None).get("/openapi.json").json()
    assert found == {(path, method) for path, methods in document["paths"].items() for method in methods}


def test_no_coroutine_is_given_a_database_session(shared: Any) -> None:
    for route in routes(shared.app):
        if inspect.iscoroutinefunction(route.endpoint):
            own = [one.call for one in route.dependant.dependencies]
            assert open_session not in own, route.path


def test_every_operation_is_documented_with_its_errors(shared: Any) -> None:
    document = shared.as_(None).get("/openapi.json").json()
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) >= 30
    for path, method, operation in operations:
        assert operation.get("summary"), (path, method)
        assert operation.get("tags"), (path, method)
        assert operation.get("description"), (path, method)
        assert {"401", "403", "404", "422", "503"} <= operation["responses"].keys(), (path, method)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_would_load_scripts_from_outside_are_off(shared: Any, path: str) -> None:
    assert shared.as_(None).get(path).status_code == 404
