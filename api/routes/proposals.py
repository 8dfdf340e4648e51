"""Proposals for a draft: asked for, watched, looked at. They are accepted by an edit of the desk."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.deps import Language, Now, ServicesDep, SessionDep, allow, answer
from api.routes.plans import Drawer, PlanId
from api.schemas.proposals import NewProposals, ProposalRunAnswer, Proposals
from gis import jobs, proposals
from gis.permissions import Action, Actor

router = APIRouter(prefix="/api/v1/plans/{plan_id}/proposals", tags=["proposals"])
Reader = Annotated[Actor, allow(Action.VIEW_DRAFTS)]
ProposalId = Annotated[int, Path(ge=1, le=2**62)]


@router.post("", summary="Ask for proposals", status_code=202, response_model=ProposalRunAnswer)
def ask(
    given: NewProposals, session: SessionDep, actor: Drawer, present: Now, services: ServicesDep, language: Language,
    plan_id: PlanId,
) -> Response:  # fmt: skip
    """Divides all of a draft, what is selected or what is broken again; what is locked on the desk stays.

    The run is queued; proposals of earlier runs are dropped. 409 while a run is queued or running.
    """
    wish = proposals.Wish(
        given.scope, tuple(given.cells), given.stability, given.effort, given.alternatives, given.seed
    )
    run = jobs.request_proposals(session, plan_id, wish, jobs=services.jobs, actor=actor, now=present)
    return answer({"run": proposals.describe(run, language=language)}, status=202)


@router.get("", summary="Proposals of the latest run", response_model=Proposals)
def find(session: SessionDep, actor: Reader, language: Language, plan_id: PlanId) -> Response:
    """With scores side by side, how far the run is, what is impossible, and which cells of the draft are broken."""
    return answer(proposals.listed(session, plan_id, actor=actor, language=language))


@router.post("/cancel", summary="Stop the search", response_model=ProposalRunAnswer)
def cancel(session: SessionDep, actor: Drawer, present: Now, language: Language, plan_id: PlanId) -> Response:
    """At once if it still waits, at its next step if it runs; nothing is kept of it."""
    run = proposals.cancel(session, plan_id, actor=actor, now=present)
    return answer({"run": proposals.describe(run, language=language)})


@router.get("/{proposal_id}", summary="One proposal", response_model=dict[str, Any])
def show(session: SessionDep, actor: Reader, language: Language, plan_id: PlanId, proposal_id: ProposalId) -> Response:
    """The cells that change as GeoJSON, in groups that belong together, and what moves from cell to cell."""
    return answer(proposals.shown(session, plan_id, proposal_id, actor=actor, language=language))
