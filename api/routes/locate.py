"""Which cell answers for a point, thousands of times a second."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.access import Access
from api.deps import AwareTime, allow_known, services
from api.locating import kind_of, locate_by_sql, reaches, view_of
from api.schemas.locate import MANY_POINTS, Located, LocatedMany
from gis.errors import Unavailable
from gis.geotag import point_in_wgs84
from gis.permissions import Action
from gis.responsibility import many


class _PlainFirst(APIRoute):
    """Reads the plainest question by itself: to have its two numbers validated takes longer than to answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, asked only about what is not plain."""
        full = super().get_route_handler()

        async def handle(request: Request) -> Response:
            reply = services(request).locate.at_once(request.scope)
            if reply is None:
                return await full(request)
            return Response(reply.body, reply.status, _HEADERS, "application/json")

        return handle


router = APIRouter(prefix="/api/v1", tags=["geotag"], route_class=_PlainFirst)
_HEADERS = {"Cache-Control": "no-store"}
Known = Annotated[Access, allow_known(Action.VIEW_MAP)]


@router.get("/locate", summary="Which cell answers for a point, and who", response_model=Located)
async def locate(
    request: Request,
    access: Known,
    lon: float,
    lat: float,
    crs: Annotated[
        str | None, Query(max_length=60, description="wgs84 (default), cgcs2000, gcj02, bd09, EPSG:n")
    ] = None,
    at: Annotated[AwareTime | None, Query(description="As of this time; without it, now")] = None,
    accuracy_m: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    floor: Annotated[int | None, Query(ge=-20, le=500, description="Chooses among cells over one another")] = None,
    brief: Annotated[bool, Query(description="Codes, names and telephone numbers only")] = False,
) -> Response:
    """The quick way: the present is answered from memory, the past from history.

    `how`: inside; border (another cell is nearer than the accuracy, or than 15 m: `candidates`); nearest (none covers
    the point, one lies within the accuracy, or 200 m); none (`flags`: outside, no_plan_in_force, axes_swapped). Only
    cells of the caller's areas count. Buildings, codes and addresses: `/api/v1/geotag`.
    """
    if crs not in (None, "wgs84") or not (abs(lon) <= 180 and abs(lat) <= 90):
        lon, lat = await anyio.to_thread.run_sync(partial(point_in_wgs84, lon, lat, crs=crs or "wgs84"))
    here = services(request)
    asked_for = at or here.clock()
    index = here.present.at(asked_for)
    if index is not None:
        body = index.locate_within(lon, lat, view_of(index, access, is_brief=brief), floor=floor, **reaches(accuracy_m))
    else:
        ask = partial(
            locate_by_sql, here.engine, lon, lat, access, at=asked_for, accuracy_m=accuracy_m, floor=floor,
            is_brief=brief,
        )  # fmt: skip
        body = await anyio.to_thread.run_sync(ask, limiter=here.few)
    return Response(body, 200, _HEADERS, "application/json")


@router.post(
    "/locate",
    summary="Which cell covers each of many points",
    response_model=LocatedMany,
    openapi_extra=MANY_POINTS,
)
async def locate_many(
    request: Request,
    access: Known,
    brief: Annotated[bool, Query(description="Ids of cells only, no codes")] = False,
) -> Response:
    """Up to 10,000 points as JSON; as many as the body holds (16 MB, a million) as an Arrow stream with the columns
    `lon` and `lat`, or as pairs of little-endian doubles. Degrees, WGS-84, the present.

    Points in no cell that the caller may see have -1 (no value in Arrow) and a reason: outside, no_coordinates,
    bad_coordinates, axes_swapped. An Arrow stream is answered by one: id and codes as dictionaries, and `reason`.
    """
    here = services(request)
    kind = kind_of(request.headers.get("content-type", ""))
    if kind not in many.READERS:
        raise HTTPException(415)
    index = here.present.at(here.clock())
    if index is None:
        raise Unavailable("locate.not_ready")
    reply = await here.locate.many.answer(request.body, kind, index, view_of(index, access, is_brief=brief))
    if reply is None:
        raise HTTPException(408)
    return Response(reply.body, reply.status, {name.decode(): value.decode() for name, value in reply.headers})
