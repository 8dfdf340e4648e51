"""A plan on paper: atlas, notice boards, report, as PDF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from api.deps import Language, Now, ServicesDep, SessionDep, allow, answer
from api.routes.plans import PlanId
from api.schemas.printing import PrintOut
from gis import jobs, prints
from gis.permissions import Action, Actor

AT_ONCE = 1
"""Prints that a process makes at a time: each takes a core for a second or two."""
CELLS_MOST = 2000

router = APIRouter(prefix="/api/v1/plans", tags=["plans"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
Paper = Annotated[Literal["A4", "A3"], Query()]
Orientation = Annotated[Literal["landscape", "portrait"] | None, Query()]
Cells = Annotated[list[int] | None, Query(max_length=CELLS_MOST, description="ids of grids; all without")]
Phones = Annotated[bool, Query(description="with telephone numbers, for those who may see contacts")]
Ticket = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]

_PDF = {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}
_MADE: dict[int | str, dict[str, object]] = {
    200: {"description": "The pages", "content": _PDF},
    202: {"description": "Made in the background: ask for `prints/{ticket}`", "model": PrintOut},
}


def turn() -> Iterator[None]:
    """Wait for one's turn."""
    yield


IN_TURN = Depends(turn, scope="function", max_concurrency=AT_ONCE)


def _print(
    plan_id: int, order: prints.Order, session: SessionDep, services: ServicesDep, actor: Actor, present: Now
) -> Response:
    """A few pages at once, many by the queue."""
    if not prints.is_short(session, plan_id, order, actor=actor):
        waiting = jobs.request_print(
            session, plan_id, order, settings=services.settings, jobs=services.jobs, actor=actor, now=present
        )
        return _waiting(plan_id, waiting)
    data = prints.make(session, plan_id, order, settings=services.settings, actor=actor, at=present)
    return _pdf(data, prints.file_name(plan_id, order.kind))


def _waiting(plan_id: int, waiting: prints.Waiting) -> Response:
    told = {"ticket": waiting.ticket, "state": waiting.state, "done": waiting.done, "total": waiting.total}
    response = answer(told, status=202)
    response.headers["Location"] = f"/api/v1/plans/{plan_id}/prints/{waiting.ticket}"
    return response


def _pdf(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type="application/pdf", headers=headers)


@router.get("/{plan_id}/atlas.pdf", summary="An atlas of a plan", response_class=Response, responses=_MADE,
            dependencies=[IN_TURN])  # fmt: skip
def atlas(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    services: ServicesDep,
    language: Language,
    plan_id: PlanId,
    paper: Paper = "A4",
    orientation: Orientation = None,
    cells: Cells = None,
    phones: Phones = False,
) -> Response:
    """One page a grid at a round scale, with north, micro-grids, people and the pages of its neighbours, after an index
    map and a list; of the caller's areas only. More than a few pages are made in the background (202)."""
    order = prints.Order("atlas", paper, orientation or "landscape", _chosen(cells), language, phones)
    return _print(plan_id, order, session, services, actor, present)


@router.get("/{plan_id}/boards.pdf", summary="Notice boards of a plan", response_class=Response, responses=_MADE,
            dependencies=[IN_TURN])  # fmt: skip
def boards(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    services: ServicesDep,
    language: Language,
    plan_id: PlanId,
    paper: Paper = "A4",
    orientation: Orientation = None,
    cells: Cells = None,
    phones: Phones = False,
) -> Response:
    """A sheet a grid to hang out: who answers for it, its map, and a QR that stands for the place. As the atlas."""
    order = prints.Order("boards", paper, orientation or "portrait", _chosen(cells), language, phones)
    return _print(plan_id, order, session, services, actor, present)


@router.get("/{plan_id}/report.pdf", summary="The report of a plan on paper", response_class=Response,
            responses={200: _MADE[200]}, dependencies=[IN_TURN])  # fmt: skip
def report(
    session: SessionDep, actor: Viewer, present: Now, services: ServicesDep, language: Language, plan_id: PlanId
) -> Response:
    """The page of `report.html` as PDF; for those who may see all of the plan."""
    return _print(plan_id, prints.Order("report", language=language), session, services, actor, present)


@router.get("/{plan_id}/prints/{ticket}", summary="A print that was made in the background", response_class=Response,
            responses=_MADE)  # fmt: skip
def fetch(actor: Viewer, services: ServicesDep, plan_id: PlanId, ticket: Ticket) -> Response:
    """How far it is (202), then the pages; for whoever asked for it, for a day."""
    found = prints.look(plan_id, ticket, settings=services.settings, actor=actor)
    if isinstance(found, prints.Waiting):
        return _waiting(plan_id, found)
    return _pdf(found.read_bytes(), prints.file_name(plan_id, "print"))


def _chosen(cells: list[int] | None) -> tuple[int, ...] | None:
    return None if not cells else tuple(cells)
