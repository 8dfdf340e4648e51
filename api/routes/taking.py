"""An existing division, brought as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import Response

from api import uploads
from api.access import Access
from api.deps import Language, Now, ServicesDep, SessionDep, allow, allow_known, answer, services
from api.routes.plans import PlanId
from api.schemas.taking import ImportIn, ImportItems, ImportOut
from gis import jobs, plan_review, taking
from gis.errors import InvalidInput
from gis.permissions import Action, Actor

PATH = "/api/v1/plans/import"
AT_ONCE = 1
"""Divisions that a process takes at a time: it computes for seconds."""

router = APIRouter(prefix="/api/v1/plans", tags=["plans"])
Drawer = Annotated[Actor, allow(Action.DRAW_PLAN)]

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
    folder = services(request).settings.home / "taking"
    async with aclosing(uploads.from_one(request, access.actor, folder)) as received:
        async for upload in received:
            yield upload


def turn() -> Iterator[None]:
    """Wait for one's turn."""
    yield


@router.post(
    "/import",
    summary="Make a draft of an existing division",
    status_code=201,
    response_model=ImportOut,
    openapi_extra=_FORM,
    dependencies=[Depends(turn, scope="function", max_concurrency=AT_ONCE)],
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

    There is the draft with all its findings, or nothing.
    """
    try:
        given = ImportIn.model_validate(dict(upload.fields))
    except ValidationError as error:
        fields = ", ".join(str(one["loc"][0]) for one in error.errors() if one["loc"])
        raise InvalidInput("file.bad_options", fields=fields) from error
    named = upload.path.with_name(upload.path.name + FilePath(upload.name).suffix.lower())
    upload.path.rename(named)  # formats are known by their endings; it is cleared away with its folder
    layers = {tier: name for tier, name in (("grids", given.grids), ("micro_grids", given.micro_grids)) if name}
    wish = taking.Wish(
        named, upload.name, given.area_id, given.title, rule_set_id=given.rule_set_id, crs=given.crs, layers=layers,
        trust_crs=given.trust_crs, limit_mb=services.settings.upload_limit_mb,
    )  # fmt: skip
    taken = taking.take(session, wish, actor=actor, now=present)
    jobs.survey_ahead(session, taken.plan_id, now=present, jobs=services.jobs)
    return answer(taking.as_dict(taken, language=given.language or language), status=201)


@router.get("/{plan_id}/import", summary="What was noticed when a plan was brought", response_model=ImportItems)
def findings(
    session: SessionDep, actor: Annotated[Actor, allow(Action.VIEW_MAP)], plan_id: PlanId, language: Language
) -> Response:
    """Empty for a plan that was drawn here; for those who may see all of the plan."""
    plan_review.require_whole(session, plan_id, actor=actor)
    items = taking.told(taking.items_of(session, plan_id), language=language)
    items = [item for item in items if item["code"].startswith("take.") or item["code"].endswith(".as_given")]
    return answer({"items": items, "total": len(items)})
