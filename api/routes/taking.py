"""An existing division, brought as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.responses import Response

from api import uploads
from api.access import Access
from api.deps import Language, Now, Services, ServicesDep, SessionDep, allow, allow_known, answer, services
from api.routes.plans import PlanId
from api.schemas.taking import ImportAgainIn, ImportIn, ImportItems, ImportOut, ImportsOut
from gis import file_runs, jobs, plan_review, taking, taking_runs
from gis.errors import InvalidInput
from gis.file_runs import Handed
from gis.models import FileRun
from gis.permissions import Action, Actor

PATH = "/api/v1/imports"

router = APIRouter(prefix=PATH, tags=["plans"])
of_plan = APIRouter(prefix="/api/v1/plans", tags=["plans"])
Drawer = Annotated[Actor, allow(Action.DRAW_PLAN)]
RunId = Annotated[int, Path(ge=1, le=2**62)]

_FILE = {
    "type": "string",
    "format": "binary",
    "description": "GeoPackage, Shapefile (zipped), GeoJSON, KML, CSV or Excel, by its ending",
}
_PROPERTIES = {"file": _FILE, **ImportIn.model_json_schema()["properties"]}
_REQUIRED = ["file", "area_id", "title"]
_CONTENT = {"multipart/form-data": {"schema": {"type": "object", "required": _REQUIRED, "properties": _PROPERTIES}}}
_FORM = {"requestBody": {"required": True, "content": _CONTENT}}


async def _received(
    request: Request, access: Annotated[Access, allow_known(Action.DRAW_PLAN)]
) -> AsyncIterator[uploads.Upload]:
    """The form, once it is known who sends it."""
    folder = file_runs.folder_of(services(request).settings, taking_runs.KIND)
    async with aclosing(uploads.from_one(request, access.actor, folder)) as received:
        async for upload in received:
            yield upload


@router.post(
    "",
    summary="Make a draft of an existing division",
    status_code=202,
    response_model=ImportOut,
    openapi_extra=_FORM,
)
def create(
    upload: Annotated[uploads.Upload, Depends(_received, scope="function")],
    session: SessionDep,
    actor: Drawer,
    present: Now,
    services: ServicesDep,
    language: Language,
) -> Response:
    """Polygons of grids and micro-grids, or a table building → grid. The cells of the draft tile their communities
    exactly, buildings are wholly where most of them lies; all that was changed or left out is told with row and place.

    The file goes to the disk as it comes and is worked on by the queue: see the import for its progress. There will be
    the draft with all its findings (`plans/{id}/import`), or nothing.
    """
    try:
        given = ImportIn.model_validate(dict(upload.fields))
    except ValidationError as error:
        fields = ", ".join(str(one["loc"][0]) for one in error.errors() if one["loc"])
        raise InvalidInput("file.bad_options", fields=fields) from error
    wanted = taking_runs.Wanted(
        given.area_id, given.title, rule_set_id=given.rule_set_id, crs=given.crs, layers=given.layers(),
        trust_crs=given.trust_crs,
    )  # fmt: skip
    run = jobs.request_taking(
        session, Handed(upload.path, upload.name), wanted, settings=services.settings, jobs=services.jobs, actor=actor,
        now=present,
    )  # fmt: skip
    return answer(taking_runs.describe(run, language=language), status=202)


@router.get("", summary="One's own imports, the newest first", response_model=ImportsOut)
def find(session: SessionDep, actor: Drawer, services: ServicesDep, language: Language) -> Response:
    """How far they are, what became of them, or why they failed; some days after they were asked for they are gone."""
    runs = session.scalars(file_runs.own(actor, taking_runs.KIND)).all()
    _stand_by(services, session, runs)
    return answer({"items": [taking_runs.describe(run, language=language) for run in runs]})


@router.get("/{run_id}", summary="How far an import is", response_model=ImportOut)
def show(session: SessionDep, actor: Drawer, services: ServicesDep, language: Language, run_id: RunId) -> Response:
    """With the draft once it is done, or why it failed."""
    run = file_runs.get(session, run_id, kind=taking_runs.KIND, actor=actor)
    _stand_by(services, session, [run])
    return answer(taking_runs.describe(run, language=language))


def _stand_by(services: Services, session: Session, runs: Sequence[FileRun]) -> None:
    """Take up what a worker that died has left, and do here what no worker takes."""
    present = services.clock()
    if any(run.state == "running" for run in runs):
        jobs.revive_taking(session, jobs=services.jobs, now=present)
    for run in reversed(runs):
        if taking_runs.is_left(session, run, now=present):
            services.stand_in.take(jobs.take_apart, run.id, services.settings)


@router.post("/{run_id}/cancel", summary="Stop an import", response_model=ImportOut)
def cancel(
    session: SessionDep, actor: Drawer, present: Now, services: ServicesDep, language: Language, run_id: RunId
) -> Response:
    """At once if it waits, else at its next step; nothing is kept."""
    run = file_runs.cancel(session, run_id, kind=taking_runs.KIND, settings=services.settings, actor=actor, now=present)
    return answer(taking_runs.describe(run, language=language))


@router.post("/{run_id}/again", summary="Try an import that failed once more", response_model=ImportOut)
def again(
    session: SessionDep,
    actor: Drawer,
    present: Now,
    services: ServicesDep,
    language: Language,
    run_id: RunId,
    given: ImportAgainIn,
) -> Response:
    """With the same file, its coordinates read otherwise."""
    run = jobs.request_taking_again(
        session, run_id, crs=given.crs, trust_crs=given.trust_crs, jobs=services.jobs, actor=actor, now=present
    )
    return answer(taking_runs.describe(run, language=language))


@router.delete("/{run_id}", summary="Take an import off the list", status_code=204)
def delete(session: SessionDep, actor: Drawer, present: Now, services: ServicesDep, run_id: RunId) -> Response:
    """Its draft stays. Not while it runs: cancel it first."""
    file_runs.delete(session, run_id, kind=taking_runs.KIND, settings=services.settings, actor=actor, now=present)
    return Response(status_code=204)


@of_plan.get("/{plan_id}/import", summary="What was noticed when a plan was brought", response_model=ImportItems)
def findings(
    session: SessionDep, actor: Annotated[Actor, allow(Action.VIEW_MAP)], plan_id: PlanId, language: Language
) -> Response:
    """Empty for a plan that was drawn here; for those who may see all of the plan."""
    plan_review.require_whole(session, plan_id, actor=actor)
    items = taking.told(taking.items_of(session, plan_id), language=language)
    items = [item for item in items if item["code"].startswith("take.") or item["code"].endswith(".as_given")]
    return answer({"items": items, "total": len(items)})
