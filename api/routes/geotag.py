"""From a place to its grid and the people responsible."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from starlette.responses import Response

from api.deps import Now, ServicesDep, SessionDep, allow, answer
from api.schemas.geotag import GeotagIn, TagOut, TagsOut
from gis import crs
from gis.errors import InvalidInput
from gis.geotag import geotag, geotag_one
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1", tags=["geotag"])


@router.post("/geotag", summary="Which grid, and who answers for it", response_model=TagOut | TagsOut)
def tag(
    given: GeotagIn,
    session: SessionDep,
    actor: Annotated[Actor, allow(Action.VIEW_MAP)],
    present: Now,
    services: ServicesDep,
) -> Response:
    """One place by coordinates, building code or address, or up to 10,000 in `items`.

    `how` tells how it is known: inside; border (another cell is nearer than the accuracy, or than 15 m: `candidates`
    has the other sides); nearest (within the accuracy, or 200 m, with the metres); none (`flags` say why). Where
    several cells lie over one another, `candidates` has them and `flags` asks for `floor` or `unit`.
    """
    system = crs.parse(given.crs or "wgs84").name
    at = given.at or present
    index = services.present.at(at)
    if given.items is not None:
        tags = geotag(session, [one.place(crs=system) for one in given.items], at=at, actor=actor, index=index)
        return answer({"items": [asdict(one) for one in tags]})
    if given.is_empty:
        raise InvalidInput("geotag.empty")
    return answer(asdict(geotag_one(session, given.place(crs=system), at=at, actor=actor, index=index)))
