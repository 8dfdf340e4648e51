"""The administrative tree and the rule sets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.deps import Now, SessionDep, WindowDep, allow, answer, collection, feature
from api.schemas.lists import Feature, Items, Page
from api.schemas.rules import NewRuleSet
from gis import listing, rule_set, rules
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1", tags=["areas"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
Search = Annotated[str | None, Query(max_length=60)]
Id = Annotated[int | None, Query(ge=1, le=2**62)]
AreaId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/areas", summary="Areas, by code", response_model=Page)
def find(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    level: Literal["city", "county", "street", "community"] | None = None,
    parent: Id = None,
    q: Search = None,
) -> Response:
    """Areas in the caller's subtrees, with the buildings and households in each; `q` is part of a name or a code."""
    listed = listing.areas(session, window, scopes=scopes(actor, Action.VIEW_MAP), level=level, parent_id=parent, q=q)
    return collection(listed, window=window)


@router.get("/areas/{area_id}", summary="One area", response_model=Feature)
def show(session: SessionDep, actor: Viewer, area_id: AreaId) -> Response:
    """With its ground and the chain of areas above it."""
    return answer(feature(listing.area(session, area_id, scopes=scopes(actor, Action.VIEW_MAP))))


@router.get("/rule-sets", summary="Rule sets, the newest first", response_model=Items)
def rule_sets(session: SessionDep, actor: Viewer) -> Response:
    """The dated rules of the caller's areas and of those above them, with their tiers."""
    items = listing.rule_sets(session, scopes=scopes(actor, Action.VIEW_MAP))
    return answer({"items": items, "next": None, "total": len(items)})


@router.get("/rule-sets/presets", summary="Rule sets that ship with Wangge", response_model=Items)
def presets(_: Annotated[Actor, allow(Action.EDIT_RULES)]) -> Response:
    """By code, with their tiers, bands and posts; `is_verified` false means 待核对."""
    items = [asdict(rule_set.load_preset(code)) for code in rule_set.preset_codes()]
    return answer({"items": items, "next": None, "total": len(items)})


@router.post("/rule-sets", summary="Put a rule set in force", status_code=201, response_model=dict[str, Any])
def store_rules(
    given: NewRuleSet, session: SessionDep, actor: Annotated[Actor, allow(Action.EDIT_RULES)], present: Now
) -> Response:
    """For an area and all below it from a day on; the one before it ends there. The same twice changes nothing."""
    row = rules.store(
        session, given.value(), area_id=given.area_id, valid_from=given.valid_from, actor=actor, now=present
    )
    return answer({"id": row.id, "code": row.code, "area_id": row.area_id}, status=201)
