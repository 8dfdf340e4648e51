"""One box that finds everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import AwareTime, Now, SessionDep, allow, answer, parse_point
from api.schemas.search import FoundOut
from gis.permissions import Action, Actor
from gis.search import KINDS, MAX_LIMIT, search

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.get("/search", summary="Find places and people by what somebody typed", response_model=FoundOut)
def find(
    session: SessionDep,
    actor: Annotated[Actor, allow(Action.VIEW_MAP)],
    present: Now,
    q: Annotated[str, Query(description="A name or its beginning, a code, an address, pinyin or initials")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 10,
    near: Annotated[str | None, Query(max_length=60, description="lon,lat: of equals the nearer comes first")] = None,
    kinds: Annotated[str | None, Query(max_length=200, description=f"Only some of {', '.join(KINDS)}")] = None,
    at: AwareTime | None = None,
) -> Response:
    """Buildings, compounds, cells, areas, roads and people of the caller's areas, the likeliest first.

    Addresses are read down to the room (阳光水岸3栋2单元502), names also by sound, in pinyin and by initials (ygsa),
    mistakes are forgiven. Each item has its place, the part of its label that matched (`marks`), how well it
    fits (`how`, `score`), and as `/geotag` has it the grid, the micro-grid and the people responsible.
    """
    wanted = [kind.strip() for kind in kinds.split(",") if kind.strip()] if kinds else ()
    place = parse_point(near) if near else None
    items = search(session, q, actor=actor, at=at or present, limit=limit, near=place, kinds=wanted)
    return answer({"query": q[:200], "items": items})
