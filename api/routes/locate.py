"""Which cell answers for a point, thousands of times a second."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from api.access import Access
from api.deps import AwareTime, ServicesDep, allow_known
from api.locating import locate_by_sql, reaches, view_of
from api.schemas.locate import Located
from gis.geotag import point_in_wgs84
from gis.permissions import Action

router = APIRouter(prefix="/api/v1", tags=["geotag"])
Known = Annotated[Access, allow_known(Action.VIEW_MAP)]
_HEADERS = {"Cache-Control": "no-store"}


@router.get("/locate", summary="Which cell answers for a point, and who", response_model=Located)
async def locate(
    services: ServicesDep,
    access: Known,
    lon: float,
    lat: float,
    crs: Annotated[
        str | None, Query(max_length=60, description="wgs84 (default), cgcs2000, gcj02, bd09, EPSG:n")
    ] = None,
    at: Annotated[AwareTime | None, Query(description="As of this time; without it, now")] = None,
    accuracy_m: Annotated[float | None, Query(ge=0, allow_inf_nan=False)] = None,
    floor: Annotated[int | None, Query(ge=-20, le=500, description="Chooses among cells over one another")] = None,
) -> Response:
    """The quick way: the present is answered from memory, the past from history.

    `how`: inside; border (another cell is nearer than the accuracy, or than 15 m: `candidates`); nearest (none covers
    the point, one lies within the accuracy, or 200 m); none (`flags`: outside, no_plan_in_force, axes_swapped). Only
    cells of the caller's areas count. Buildings, codes and addresses: `/api/v1/geotag`.
    """
    if crs not in (None, "wgs84") or not (abs(lon) <= 180 and abs(lat) <= 90):
        lon, lat = await anyio.to_thread.run_sync(partial(point_in_wgs84, lon, lat, crs=crs or "wgs84"))
    asked_for = at or services.clock()
    index = services.present.at(asked_for)
    if index is not None:
        body = index.locate_within(lon, lat, view_of(index, access), floor=floor, **reaches(accuracy_m))
    else:
        ask = partial(
            locate_by_sql, services.engine, lon, lat, access, at=asked_for, accuracy_m=accuracy_m, floor=floor
        )
        body = await anyio.to_thread.run_sync(ask, limiter=services.few)
    return Response(body, 200, _HEADERS, "application/json")
