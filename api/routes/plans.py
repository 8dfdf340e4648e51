"""Plans: listed, made by the partitioner, looked at, published."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.deps import Language, Now, ServicesDep, SessionDep, WindowDep, allow, answer, collection
from api.guard import REPORT_POLICY
from api.routes.areas import Id, Search
from api.schemas.lists import Items, Page
from api.schemas.plans import NewPlan, PlanAndRun, Publication, Run
from gis import jobs, listing, plan_redraw, plan_review, plans
from gis.exchange.folium_map import leaflet_folder
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1/plans", tags=["plans"])
Viewer = Annotated[Actor, allow(Action.VIEW_MAP)]
Drawer = Annotated[Actor, allow(Action.DRAW_PLAN)]
Publisher = Annotated[Actor, allow(Action.PUBLISH_PLAN)]
PlanId = Annotated[int, Path(ge=1, le=2**62)]
State = Literal["draft", "submitted", "reviewed", "approved", "in_force", "future", "superseded", "discarded"]


@router.get("", summary="Plans, the newest first", response_model=Items)
def find(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    community: Id = None,
    area: Id = None,
    state: State | None = None,
) -> Response:
    """Drafts are listed only for those who may see them."""
    listed = listing.plans(
        session, window, scopes=scopes(actor, Action.VIEW_MAP), draft_scopes=scopes(actor, Action.VIEW_DRAFTS),
        state=state, area_id=area, community_id=community,
    )  # fmt: skip
    following = None if listed.following is None else str(listed.following)
    return answer({"items": listed.rows, "next": following, "total": listed.total})


@router.post("", summary="Have a draft made", status_code=202, response_model=PlanAndRun)
def create(given: NewPlan, session: SessionDep, actor: Drawer, present: Now, services: ServicesDep) -> Response:
    """The draft is noted at once; the partitioner's run is queued, see `/run`.

    With `stability`, `based_on_id` or `locks` it is drawn from what is in force (or that plan) with little change.
    """
    plan_id, run = jobs.start_draft(
        session, area_id=given.area_id, rule_set_id=given.rule_set_id, community_ids=given.community_ids,
        title=given.title, seed=given.seed, effort=given.effort, jobs=services.jobs, actor=actor, now=present,
        redraw=_wish(given),
    )  # fmt: skip
    return answer({"plan": _plan(session, plan_id, actor), "run": jobs.describe(run)}, status=202)


def _wish(given: NewPlan) -> plan_redraw.Wish | None:
    asked = {} if given.locks is None else given.locks.model_dump()
    locks = {kind: codes for kind, codes in asked.items() if codes}
    if given.stability is None and given.based_on_id is None and not locks:
        return None
    stability = 0.5 if given.stability is None else given.stability
    return plan_redraw.Wish(stability, given.based_on_id, locks)


@router.get("/{plan_id}", summary="One plan", response_model=dict[str, Any])
def show(session: SessionDep, actor: Viewer, plan_id: PlanId) -> Response:
    """With its rule set, its communities and when it governs each, and the state of its latest run."""
    return answer(_plan(session, plan_id, actor))


@router.get("/{plan_id}/run", summary="How far the partitioner is", response_model=Run)
def run(session: SessionDep, actor: Drawer, plan_id: PlanId) -> Response:
    """The latest run of the plan."""
    _plan(session, plan_id, actor)
    return answer(jobs.describe(jobs.run_of(session, plan_id)))


@router.post("/{plan_id}/run/cancel", summary="Stop the partitioner", response_model=Run)
def cancel(session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId) -> Response:
    """At once if the run still waits, at its next step if it runs."""
    plan_review.require_on(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    return answer(jobs.describe(jobs.cancel(session, plan_id, actor=actor, now=present)))


@router.post("/{plan_id}/run/finish", summary="Have the partitioner finish", response_model=Run)
def finish(session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId) -> Response:
    """With the best plan so far, at its next step."""
    plan_review.require_on(session, plan_id, action=Action.DRAW_PLAN, actor=actor)
    return answer(jobs.describe(jobs.finish(session, plan_id, actor=actor, now=present)))


@router.get("/{plan_id}/moves", summary="What a plan moves", response_model=dict[str, Any])
def moves(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    plan_id: PlanId,
    against: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """Buildings and households by their old and new cells, cells old and new in shares, and who answers for them.

    Compared with another plan, or without one with what is in force (a published plan: with what was before it).
    """
    return answer(plan_redraw.moves_of(session, plan_id, actor=actor, at=present, against=against))


@router.get("/{plan_id}/cells", summary="Cells of a plan, by code", response_model=Page)
def cells(
    session: SessionDep,
    actor: Viewer,
    window: WindowDep,
    present: Now,
    plan_id: PlanId,
    depth: Annotated[int | None, Query(ge=1, le=6)] = None,
    community: Id = None,
    parent: Id = None,
    q: Search = None,
) -> Response:
    """Grids and micro-grids of one plan, a draft or a published one."""
    seen = plan_review.seen_scopes(session, plan_id, actor=actor)
    listed = listing.cells(
        session, window, scopes=seen, at=present, plan_id=plan_id, depth=depth, community_id=community,
        parent_id=parent, q=q,
    )  # fmt: skip
    return collection(listed, window=window)


@router.get("/{plan_id}/statistics", summary="Figures of a plan", response_model=dict[str, Any])
def statistics(session: SessionDep, actor: Viewer, plan_id: PlanId) -> Response:
    """Per tier: cells, share in band, households; and gaps, overlaps, pieces not contiguous."""
    _plan(session, plan_id, actor)
    return answer(plans.statistics(session, plan_id))


@router.get("/{plan_id}/violations", summary="What is wrong with a plan", response_model=Items)
def violations(session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language) -> Response:
    """Cells out of band with their reason, impossible demands, cut towers: what the partitioner noticed."""
    _plan(session, plan_id, actor)
    items = plan_review.violations(session, plan_id, language=language)
    return answer({"items": items, "next": None, "total": len(items)})


@router.post("/{plan_id}/publish", summary="Publish a plan", response_model=dict[str, Any])
def publish(
    given: Publication, services: ServicesDep, session: SessionDep, actor: Publisher, present: Now, plan_id: PlanId
) -> Response:
    """Shows what it would change; with `commit` it does, in one transaction, and answers the published plan.

    The plan is approved, or the caller may take every step there: then the missing ones are taken with it.
    """
    if not given.commit:
        would = plans.preview(session, plan_id, effective_from=given.effective_from, actor=actor, now=present)
        return answer(asdict(would))
    plans.publish(
        session, plan_id, effective_from=given.effective_from, document_no=given.document_no or None,
        replaces=given.replaces, actor=actor, now=present,
    )  # fmt: skip
    jobs.survey_ahead(session, plan_id, now=present, jobs=services.jobs)
    return answer(_plan(session, plan_id, actor))


@router.post("/{plan_id}/withdraw", summary="Take a publication back", response_model=dict[str, Any])
def withdraw(session: SessionDep, actor: Publisher, present: Now, plan_id: PlanId) -> Response:
    """Before its date only: the plan is approved as before, and what was in force goes on."""
    plans.withdraw(session, plan_id, actor=actor, now=present)
    return answer(_plan(session, plan_id, actor))


@router.post("/{plan_id}/discard", summary="Discard a draft", response_model=dict[str, Any])
def discard(session: SessionDep, actor: Drawer, present: Now, plan_id: PlanId) -> Response:
    """The draft is kept as a record and can no longer be published."""
    plans.discard(session, plan_id, actor=actor, now=present)
    return answer(_plan(session, plan_id, actor))


@router.get("/{plan_id}/report", summary="The report of a plan", response_model=dict[str, Any])
def report(session: SessionDep, actor: Viewer, plan_id: PlanId) -> Response:
    """What was asked, what was got, every cell out of band with its reason, what was proven, seed and versions."""
    plan_review.require_whole(session, plan_id, actor=actor)
    return answer(plan_review.report_json(session, plan_id))


@router.get("/{plan_id}/report.html", summary="The report of a plan as a page", response_class=Response)
def report_page(session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language) -> Response:
    """The same with maps and histograms, to read and print; for those who may see all of the plan."""
    plan_review.require_whole(session, plan_id, actor=actor)
    return _page(plan_review.report_html(session, plan_id, language=language))


@router.get("/{plan_id}/map.html", summary="A plan as a map in one file", response_class=Response)
def map_page(
    session: SessionDep, actor: Viewer, plan_id: PlanId, language: Language, services: ServicesDep
) -> Response:
    """A map to look around in that opens anywhere, without network; for those who may see all of the plan."""
    plan_review.require_whole(session, plan_id, actor=actor)
    leaflet = leaflet_folder(services.settings.web_dist)
    return _page(plan_review.map_html(session, plan_id, leaflet=leaflet, language=language))


def _page(text: str) -> Response:
    return Response(
        text, media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"},
    )  # fmt: skip


def _plan(session: SessionDep, plan_id: int, actor: Actor) -> dict[str, Any]:
    return listing.plan(
        session, plan_id, scopes=scopes(actor, Action.VIEW_MAP), draft_scopes=scopes(actor, Action.VIEW_DRAFTS)
    )
