"""Buildings and compounds."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import AwareTime, Now, SessionDep, WindowDep, allow, collection, parse_point
from api.routes.areas import Id, Search
from api.schemas.lists import Page
from gis import listing
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1", tags=["buildings"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]


@router.get("/buildings", summary="Buildings, by code or by distance", response_model=Page)
def buildings(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    present: Now,
    grid: Id = None,
    compound: Id = None,
    community: Id = None,
    q: Search = None,
    inhabited: bool | None = None,
    near: Annotated[str | None, Query(max_length=60, description="lon,lat: nearest first, with distance_m")] = None,
    mine: Annotated[bool, Query(description="only in the cells that the caller answers for")] = False,
    at: AwareTime | None = None,
) -> Response:
    """With the grid and micro-grids in force that each lies in; `q` is part of a name, an address or a code."""
    listed = listing.buildings(
        session, window, scopes=scopes(actor, Action.VIEW_MAP), at=at or present, grid_id=grid,
        compound_id=compound, community_id=community, q=q, inhabited=inhabited,
        staff_id=(actor.staff_id or 0) if mine else None, near=parse_point(near) if near else None,
    )  # fmt: skip
    return collection(listed, window=window)


@router.get("/compounds", summary="Compounds, by code", response_model=Page)
def compounds(
    session: SessionDep, actor: Viewer, window: WindowDep, community: Id = None, q: Search = None
) -> Response:
    """Residential compounds (小区) with their buildings and households counted."""
    listed = listing.compounds(session, window, scopes=scopes(actor, Action.VIEW_MAP), community_id=community, q=q)
    return collection(listed, window=window)
