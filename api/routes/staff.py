"""Staff, departments, posts, and the dictionary of incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import AwareTime, Now, SessionDep, WindowDep, allow, answer
from api.routes.areas import Id, Search
from api.schemas.lists import Items
from gis import listing
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1", tags=["staff"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]


@router.get("/staff", summary="Staff, by code", response_model=Items)
def staff(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    present: Now,
    grid: Id = None,
    department: Annotated[str | None, Query(max_length=60)] = None,
    q: Search = None,
    at: AwareTime | None = None,
) -> Response:
    """Who serves in the caller's areas and the posts each holds; phones are masked for those who only look."""
    listed = listing.staff(
        session, window, scopes=scopes(actor, Action.VIEW_MAP), contact_scopes=scopes(actor, Action.VIEW_CONTACTS),
        at=at or present, grid_id=grid, department=department, q=q,
    )  # fmt: skip
    following = None if listed.following is None else str(listed.following)
    return answer({"items": listed.rows, "next": following, "total": listed.total})


@router.get("/departments", summary="Departments, by code", response_model=Items)
def departments(session: SessionDep, actor: Viewer) -> Response:
    """Those of the caller's areas and of the areas above them."""
    items = listing.departments(session, scopes=scopes(actor, Action.VIEW_MAP))
    return answer({"items": items, "next": None, "total": len(items)})


@router.get("/posts", summary="Posts of all rule sets", response_model=Items)
def posts(session: SessionDep, _: Viewer) -> Response:
    """The slots that people hold for cells and areas, by tier."""
    items = listing.posts(session)
    return answer({"items": items, "next": None, "total": len(items)})


@router.get("/categories", summary="Categories of incidents", response_model=Items)
def categories(session: SessionDep, _: Viewer) -> Response:
    """The dictionary of incidents, with the department and the time each is due in."""
    items = listing.categories(session)
    return answer({"items": items, "next": None, "total": len(items)})
