"""Two plans side by side: figures, map, tables of what moves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.deps import Language, Now, SessionDep, answer
from api.routes.plans import PlanId, Viewer
from gis import comparing

router = APIRouter(prefix="/api/v1/plans/{plan_id}/compare", tags=["compare"])
Other = Annotated[int, Query(alias="with", ge=1, le=2**62, description="The plan that counts as what was before")]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("", summary="Compare a plan with another", response_model=dict[str, Any])
def compare(session: SessionDep, actor: Viewer, present: Now, plan_id: PlanId, other: Other) -> Response:
    """Households, people, open incidents and posts concerned, and cells old and new in shares.

    Over the communities that both plans have and the caller may see; drafts only for those who may see drafts.
    """
    return answer(comparing.compare(session, plan_id, other, actor=actor, at=present))


@router.get("/scores", summary="Scores of two plans", response_model=dict[str, Any])
def compare_scores(session: SessionDep, actor: Viewer, plan_id: PlanId, other: Other) -> Response:
    """Bands, compactness, barriers, compounds and principles of both, over the communities that they have in common."""
    return answer(comparing.scores(session, plan_id, other, actor=actor))


@router.get("/map", summary="What moves, for a map", response_model=dict[str, Any])
def compare_map(
    session: SessionDep,
    actor: Viewer,
    plan_id: PlanId,
    other: Other,
    depth: Annotated[int | None, Query(ge=1, le=6, description="Without it the tier of grids")] = None,
) -> Response:
    """Buildings that move with their old and new cells, and the outlines of cells that differ, before and after."""
    return answer(comparing.shown(session, plan_id, other, actor=actor, depth=depth))


@router.get("/moves.{form}", summary="What moves, as a table", response_class=Response)
def compare_table(
    session: SessionDep,
    actor: Viewer,
    language: Language,
    plan_id: PlanId,
    form: Literal["csv", "xlsx"],
    other: Other,
) -> Response:
    """A row a building, or part of one, that comes from one cell into another, at each tier; CSV or Excel."""
    body = comparing.table(session, plan_id, other, actor=actor, form=form, language=language)
    media = XLSX if form == "xlsx" else "text/csv; charset=utf-8"
    name = f"moves-{other}-{plan_id}.{form}"
    return Response(body, media_type=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})
