"""The administrative tree."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.deps import SessionDep, WindowDep, allow, answer, collection, feature
from api.schemas.lists import Feature, Page
from gis import listing
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
