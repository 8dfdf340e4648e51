"""Cells in force, and one cell with all that belongs to it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.deps import AwareTime, Now, SessionDep, WindowDep, allow, answer, collection, feature
from api.routes.areas import Id, Search
from api.schemas.lists import Feature, Page
from gis import listing
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1/grids", tags=["grids"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]


@router.get("", summary="Cells in force, by code", response_model=Page)
def find(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    present: Now,
    depth: Annotated[int | None, Query(ge=1, le=6, description="1 is the top grid tier")] = None,
    community: Id = None,
    parent: Id = None,
    q: Search = None,
    mine: Annotated[bool, Query(description="only those that the caller answers for, lower tiers included")] = False,
    at: AwareTime | None = None,
) -> Response:
    """Grids and micro-grids of the plans in force, now or at a time."""
    listed = listing.cells(
        session, window, scopes=scopes(actor, Action.VIEW_MAP), at=at or present, depth=depth,
        community_id=community, parent_id=parent, q=q, staff_id=(actor.staff_id or 0) if mine else None,
    )  # fmt: skip
    return collection(listed, window=window)


@router.get("/{grid_id}", summary="One cell", response_model=Feature)
def show(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    grid_id: Annotated[int, Path(ge=1, le=2**62)],
    at: AwareTime | None = None,
) -> Response:
    """Of any plan, past ones too: its counts, its cells below, its building parts, its people, its open incidents."""
    return answer(feature(listing.cell_in_full(session, grid_id, actor=actor, at=at or present)))
