"""Two plans compared over HTTP: figures, map, tables; drafts only for those who may see them."""

from __future__ import annotations

from typing import Any

import pytest

from gis.db import unit_of_work
from tests.usecases.builders import make_plan


@pytest.fixture
def drafted(service: Any) -> tuple[Any, str]:
    """A draft of three grids a community beside the plan in force of two; and the address of the comparison."""
    with unit_of_work(service.app.state.services.engine) as session:
        plan_id = make_plan(session, service.town, pieces=(3, 2), title="draft").id
    return service, f"/api/v1/plans/{plan_id}/compare"


def test_a_draft_is_compared_with_what_is_in_force(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    told = planner.get(address, params={"with": service.plan_id}).json()
    assert (told["before"]["state"], told["after"]["state"]) == ("in_force", "draft")
    assert told["posts"]["ends"] + told["posts"]["redrawn"] > 0
    scores = planner.get(f"{address}/scores", params={"with": service.plan_id}).json()
    assert scores.keys() == {"before", "after"}
    shown = planner.get(f"{address}/map", params={"with": service.plan_id, "depth": 2}).json()
    assert shown["depth"] == 2
    assert shown["after"]["features"]


def test_what_moves_is_a_table_to_take_along(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    plain = planner.get(f"{address}/moves.csv", params={"with": service.plan_id, "lang": "en"})
    assert plain.headers["content-type"].startswith("text/csv")
    assert plain.content.decode("utf-8-sig").startswith("Depth,")
    book = planner.get(f"{address}/moves.xlsx", params={"with": service.plan_id})
    assert book.content[:2] == b"PK"
    assert "attachment" in book.headers["content-disposition"]
    assert planner.get(f"{address}/moves.pdf", params={"with": service.plan_id}).status_code == 422


def test_what_makes_no_sense_or_may_not_be_seen_is_refused(drafted: tuple[Any, str]) -> None:
    service, address = drafted
    planner = service.as_("planner")
    assert planner.get(address).status_code == 422
    assert planner.get(address, params={"with": 10**9}).status_code == 404
    mine = int(address.split("/")[4])
    same = planner.get(address, params={"with": mine})
    assert (same.status_code, same.json()["code"]) == (422, "compare.same_plan")
    for path in ("", "/map", "/scores", "/moves.csv"):
        assert service.as_("viewer").get(address + path, params={"with": service.plan_id}).status_code == 404
        assert service.as_(None).get(address + path, params={"with": service.plan_id}).status_code == 401
