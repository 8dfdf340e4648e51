"""Data as files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import IO, Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from starlette.responses import StreamingResponse

from api.deps import AwareTime, Now, Services, ServicesDep, SessionDep, allow
from api.routes.plans import PlanId
from gis import crs as systems
from gis.errors import Unavailable
from gis.export import Exported, Order, export
from gis.permissions import Action, Actor
from gis.plan_export import PlanOrder, export_plan

router = APIRouter(prefix="/api/v1", tags=["export"])

AT_ONCE = 2
"""Exports that a process writes at a time; the rest wait, and others' requests are not slowed."""
CHUNK = 1 << 18


def turn() -> Iterator[None]:
    """Wait for one's turn."""
    yield


@router.get(
    "/export/{file}",
    summary="Data as a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
    dependencies=[Depends(turn, scope="function", max_concurrency=AT_ONCE)],
)
def download(
    file: Annotated[str, InPath(max_length=60, description="thing.format, such as buildings.gpkg or grids.shp.zip")],
    session: SessionDep,
    actor: Annotated[Actor, allow(Action.EXPORT_DATA)],
    present: Now,
    services: ServicesDep,
    crs: Annotated[str, Query(max_length=60, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:n")] = "wgs84",
    at: Annotated[AwareTime | None, Query(description="grids, people and posts as of then")] = None,
    from_: Annotated[AwareTime | None, Query(alias="from", description="incidents reported from then")] = None,
    to: Annotated[AwareTime | None, Query(description="incidents reported until then")] = None,
    area: Annotated[str | None, Query(max_length=60, description="code of an area to be held to")] = None,
    headers: Annotated[Literal["code", "zh"], Query(description="names of columns")] = "code",
    encoding: Annotated[Literal["utf-8", "gbk"], Query(description="of a Shapefile")] = "utf-8",
    personal: Annotated[bool, Query(description="with phones and descriptions, where contacts may be seen")] = False,
) -> StreamingResponse:
    """Communities, compounds, buildings, grids, micro-grids, incidents, points of interest, people, posts; as geojson,
    gpkg, shp.zip, kml, gpx, fgb, xlsx or csv. The caller's areas only. The name of the file says the system."""
    thing, _, name = file.partition(".")
    order = Order(
        thing, name, systems.parse(crs), at=at, since=from_, until=to, area=area, in_chinese=headers == "zh",
        encoding=encoding, personal=personal,
    )  # fmt: skip
    return _file(services, name, lambda path: export(session, order, path, actor=actor, now=present))


@router.get(
    "/plans/{plan_id}/export/{file}",
    summary="A plan as a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
    dependencies=[Depends(turn, scope="function", max_concurrency=AT_ONCE)],
)
def download_plan(
    plan_id: PlanId,
    file: Annotated[str, InPath(max_length=60, description="grids or micro_grids.format, plan.gpkg or plan.xlsx")],
    session: SessionDep,
    actor: Annotated[Actor, allow(Action.EXPORT_DATA)],
    present: Now,
    services: ServicesDep,
    crs: Annotated[str, Query(max_length=60, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:n")] = "wgs84",
    headers: Annotated[Literal["code", "zh"], Query(description="names of columns")] = "code",
    encoding: Annotated[Literal["utf-8", "gbk"], Query(description="of a Shapefile")] = "utf-8",
) -> StreamingResponse:
    """Cells of one plan, draft or not, as geojson, gpkg, shp.zip, kml, fgb, xlsx or csv, of the caller's areas; or for
    who sees all of it the whole plan: plan.gpkg with all tiers and parts, plan.xlsx with parts and lineage too."""
    layer, _, name = file.partition(".")
    order = PlanOrder(layer, name, systems.parse(crs), in_chinese=headers == "zh", encoding=encoding)
    return _file(services, name, lambda path: export_plan(session, plan_id, order, path, actor=actor, now=present))


def _file(services: Services, name: str, write: Callable[[FilePath], Exported]) -> StreamingResponse:
    """Write a file and send it; nothing of it stays."""
    folder = _folder(services.settings.home)
    try:
        path = folder / f"export.{name}"
        made = write(path)
        opened, length = path.open("rb"), path.stat().st_size
    except OSError as error:
        raise Unavailable("export.no_room", reason=str(error.strerror)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is open is read to its end all the same, and then gone
    return _sent(made, opened, length)


def _folder(home: FilePath) -> FilePath:
    parent = home / "exports"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return FilePath(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise Unavailable("export.no_room", reason=str(error.strerror)) from error


def _sent(made: Exported, opened: IO[bytes], length: int) -> StreamingResponse:
    def chunks() -> Iterator[bytes]:
        with opened:
            while chunk := opened.read(CHUNK):
                yield chunk

    return StreamingResponse(
        chunks(),
        media_type=made.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{made.file_name}"',
            "Content-Length": str(length),
            "Content-Encoding": "identity",  # packed already, or long: not once more in the server's memory
            "Cache-Control": "no-store",
            "X-Rows": str(made.rows),
            "X-Coordinate-System": made.crs,
        },
    )
