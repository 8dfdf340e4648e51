"""Tables of places handed in to be geotagged, and fetched when they are done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from starlette.responses import FileResponse, Response

from api import uploads
from api.access import Access
from api.deps import Language, Now, ServicesDep, SessionDep, allow, allow_known, answer, services
from api.schemas.geotag import GeotagRunIn, GeotagRunOut, GeotagRunsOut
from gis import file_runs, geotag_runs, jobs
from gis.errors import InvalidInput
from gis.file_runs import Handed
from gis.geotag_runs import Wanted
from gis.permissions import Action, Actor

PATH = "/api/v1/geotag/runs"

router = APIRouter(prefix=PATH, tags=["geotag"])
Owner = Annotated[Actor, allow(Action.VIEW_MAP)]
RunId = Annotated[int, Path(ge=1, le=2**62)]

_FILE = {
    "type": "string",
    "format": "binary",
    "description": "CSV, Excel, GeoPackage, GeoParquet or NDJSON, by its ending",
}
_PROPERTIES = {"file": _FILE, **GeotagRunIn.model_json_schema()["properties"]}
_CONTENT = {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _PROPERTIES}}}
_FORM = {"requestBody": {"required": True, "content": _CONTENT}}


async def _received(
    request: Request, access: Annotated[Access, allow_known(Action.VIEW_MAP)]
) -> AsyncIterator[uploads.Upload]:
    """The form, once it is known who sends it."""
    folder = file_runs.folder_of(services(request).settings, geotag_runs.KIND)
    async with aclosing(uploads.from_one(request, access.actor, folder)) as received:
        async for upload in received:
            yield upload


@router.post("", summary="Have a table geotagged", status_code=202, response_model=GeotagRunOut, openapi_extra=_FORM)
def create(
    upload: Annotated[uploads.Upload, Depends(_received, scope="function")],
    session: SessionDep,
    actor: Owner,
    present: Now,
    services: ServicesDep,
    language: Language,
) -> Response:
    """The file goes to the disk as it comes and is worked on by the queue: see the run for its progress.

    Every row comes back in its order with cell, people and how it is known; rows without a cell say why. Only cells of
    the caller's areas count. What the head of the file shows to be wrong is refused at once.
    """
    try:
        given = GeotagRunIn.model_validate(dict(upload.fields))
    except ValidationError as error:
        fields = ", ".join(str(one["loc"][0]) for one in error.errors() if one["loc"])
        raise InvalidInput("file.bad_options", fields=fields) from error
    wanted = Wanted(**given.wanted(), language=given.language or language)
    run = jobs.request_geotag(
        session, Handed(upload.path, upload.name), wanted, settings=services.settings, jobs=services.jobs, actor=actor,
        now=present,
    )  # fmt: skip
    return answer(geotag_runs.describe(run), status=202)


@router.get("", summary="One's own tables, the newest first", response_model=GeotagRunsOut)
def find(session: SessionDep, actor: Owner) -> Response:
    """Runs of the caller's own; they are swept away some days after they were asked for."""
    return answer({"items": geotag_runs.runs(session, actor=actor)})


@router.get("/{run_id}", summary="How far a table is", response_model=GeotagRunOut)
def show(session: SessionDep, actor: Owner, run_id: RunId) -> Response:
    """With the summary of its rows once it is done, or why it failed."""
    return answer(geotag_runs.describe(geotag_runs.get(session, run_id, actor=actor)))


@router.post("/{run_id}/cancel", summary="Stop a run", response_model=GeotagRunOut)
def cancel(session: SessionDep, actor: Owner, present: Now, services: ServicesDep, run_id: RunId) -> Response:
    """At once if it waits, else at its next block; nothing is kept."""
    run = geotag_runs.cancel(session, run_id, settings=services.settings, actor=actor, now=present)
    return answer(geotag_runs.describe(run))


@router.get("/{run_id}/result", summary="The table with cells and people", response_class=FileResponse)
def result(session: SessionDep, actor: Owner, services: ServicesDep, run_id: RunId) -> FileResponse:
    """In the format asked for, by default that of the file handed in."""
    path, name = geotag_runs.result_of(session, run_id, settings=services.settings, actor=actor)
    # Compressing gigabytes on the way would cost more than it saves, and two of the formats are compressed.
    headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
    return FileResponse(path, filename=name, headers=headers, media_type=_MEDIA_TYPES[path.suffix])


@router.delete("/{run_id}", summary="Take a run and its files away", status_code=204)
def delete(session: SessionDep, actor: Owner, present: Now, services: ServicesDep, run_id: RunId) -> Response:
    """Not while it runs: cancel it first."""
    geotag_runs.delete(session, run_id, settings=services.settings, actor=actor, now=present)
    return Response(status_code=204)


_MEDIA_TYPES: dict[str, Any] = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".geoparquet": "application/vnd.apache.parquet",
} | dict.fromkeys((".ndjson", ".jsonl", ".geojsonl", ".geojsons"), "application/x-ndjson")
