"""Incidents: reported, listed, counted, moved, streamed."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from api.access import Access
from api.credentials import credential_of
from api.deps import (
    AwareTime,
    Now,
    ServicesDep,
    SessionDep,
    WindowDep,
    allow,
    allow_known,
    answer,
    collection,
    feature,
    scopes_now,
)
from api.live_answers import EventStream, Polled
from api.live_listener import Stream, Waiter
from api.routes.areas import Id, Search
from api.schemas.incidents import Events, Move, NewIncident
from api.schemas.lists import Feature, Items, Page
from gis import incident_desk, incidents, listing
from gis.db import commit_early
from gis.geotag import point_in_wgs84
from gis.incident_flow import IncidentStatus
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
Viewer = Annotated[Actor, allow(Action.VIEW_INCIDENTS)]
Reporter = Annotated[Access, allow_known(Action.REPORT_INCIDENT)]
Mover = Annotated[Actor, allow(Action.COMMENT_INCIDENT)]
IncidentId = Annotated[int, Path(ge=1, le=2**62)]


def wanted(
    actor: Viewer,
    status: Annotated[list[IncidentStatus] | None, Query()] = None,
    category: Annotated[str | None, Query(max_length=60)] = None,
    grid: Id = None,
    community: Id = None,
    open: Annotated[bool | None, Query(description="true: not ended")] = None,
    from_: Annotated[AwareTime | None, Query(alias="from", description="reported at or after")] = None,
    to: Annotated[AwareTime | None, Query(description="reported before")] = None,
    updated_since: Annotated[AwareTime | None, Query(description="with an entry in the log since: for polling")] = None,
    after_event: Annotated[int | None, Query(ge=0, le=2**62, description="with a later entry in the log")] = None,
    assigned: Annotated[str | None, Query(pattern="^me$", description="me: dispatched to the caller")] = None,
    q: Search = None,
) -> listing.IncidentFilter:
    """Read the filters that lists and counts share."""
    return listing.IncidentFilter(
        status=None if status is None else tuple(str(one) for one in status), category=category, grid_id=grid,
        community_id=community, is_open=open, since=from_, until=to, updated_since=updated_since,
        after_event=after_event, assignee_id=(actor.staff_id or 0) if assigned else None, q=q,
    )  # fmt: skip


Wanted = Annotated[listing.IncidentFilter, Depends(wanted)]


@router.get("", summary="Incidents, those reported last first", response_model=Page)
def find(session: SessionDep, actor: Viewer, window: WindowDep, narrowed: Wanted) -> Response:
    """With the grid each lies in, its department and assignee. `last_event` is the number from which the stream goes on
    without a gap; `total` is an estimate where it says so."""
    last_event = listing.newest_number(session)  # before the rows: what comes between is then in both
    listed = listing.incidents(session, window, scopes=scopes(actor, Action.VIEW_INCIDENTS), wanted=narrowed)
    return collection(listed, window=window, last_event=last_event)


@router.post("", summary="Report an incident", status_code=201, response_model=Feature)
def report(given: NewIncident, session: SessionDep, access: Reporter, present: Now, services: ServicesDep) -> Response:
    """The place decides the grid responsible; written durably before the answer."""
    lon, lat = point_in_wgs84(given.lon, given.lat, crs=given.crs)
    made = incidents.report(
        session, lon=lon, lat=lat, category=given.category, title=given.title, description=given.description,
        severity=given.severity, accuracy_m=given.accuracy_m, reported_at=given.reported_at or present,
        floor=given.floor, request_id=given.request_id,
        actor=access.actor, now=present, index=services.present.at(given.reported_at or present),
    )  # fmt: skip
    with services.live.told_first():
        commit_early(session)
    shown = feature(incident_desk.incident_in_full(session, made.id, actor=access.actor, at=present))
    return answer(shown, status=201, headers={"Location": f"/api/v1/incidents/{made.id}"})


@router.get("/counts", summary="Incidents counted", response_model=Items)
def counts(session: SessionDep, actor: Viewer, narrowed: Wanted, by: listing.CountBy = "status") -> Response:
    """By status, grid, category or community: all, and those not ended."""
    items = listing.counts(session, scopes=scopes(actor, Action.VIEW_INCIDENTS), wanted=narrowed, by=by)
    return answer({"items": items, "next": None, "total": len(items)})


def hearing(
    request: Request, access: Annotated[Access, allow_known(Action.VIEW_INCIDENTS)], services: ServicesDep
) -> dict[str, Any]:
    """What a listener is told apart by, and how its rights are asked again."""
    services.live.require_room()
    shown = credential_of(request)
    return {
        "scopes": access.scopes(Action.VIEW_INCIDENTS),
        "user_id": access.actor.user_id,
        "key": shown,
        "rights": partial(scopes_now, services, shown, Action.VIEW_INCIDENTS),
    }


Hearing = Annotated[dict[str, Any], Depends(hearing)]


@router.get("/stream", summary="News as they happen", response_class=StreamingResponse)
async def stream(
    services: ServicesDep,
    hearing: Hearing,
    last_event_id: Annotated[str | None, Header()] = None,
    since: Annotated[
        str | None, Query(max_length=40, description="stands for Last-Event-ID, which goes before")
    ] = None,
) -> EventStream:
    """Server-sent events: `ready` with the number that the stream goes on from; `incident` with the feature as lists
    have it; `plan` when a plan is published or taken back; `in_force` when answers are made by another version;
    `resync` when something was left out and lists should be read again; `signed_out`. `Last-Event-ID` replays exactly
    what was missed."""
    began = since if last_event_id is None else last_event_id
    return EventStream(services.live, since=began, listener=partial(Stream, **hearing))


@router.get("/events", summary="News since a number", response_model=Events)
async def events(
    services: ServicesDep,
    hearing: Hearing,
    since: Annotated[int | None, Query(ge=0, le=2**62, description="`last_event` of the answer before")] = None,
    wait: Annotated[float, Query(ge=0, le=30, description="seconds to wait for the next, if there are none")] = 0,
) -> Polled:
    """The same news as in the stream, for where a proxy forbids streams. Without `since` it tells where to begin;
    with `resync` lists should be read again."""
    return Polled(services.live, since=since, wait_s=wait, listener=partial(Waiter, **hearing))


@router.get("/{incident_id}", summary="One incident", response_model=Feature)
def show(session: SessionDep, actor: Viewer, present: Now, incident_id: IncidentId) -> Response:
    """With its log, the people responsible and what the caller may do next."""
    return answer(feature(incident_desk.incident_in_full(session, incident_id, actor=actor, at=present)))


@router.post("/{incident_id}/actions", summary="Move an incident", response_model=Feature)
def act(
    given: Move, session: SessionDep, actor: Mover, present: Now, services: ServicesDep, incident_id: IncidentId
) -> Response:
    """Accept, dispatch, start, resolve … each asks leave for its own action where the incident lies."""
    incidents.act(
        session, incident_id, action=given.action, department=given.department, assignee=given.assignee,
        note=given.note, request_id=given.request_id, expected_seq=given.expected_seq, actor=actor, now=present,
    )  # fmt: skip
    with services.live.told_first():
        commit_early(session)
    return answer(feature(incident_desk.incident_in_full(session, incident_id, actor=actor, at=present)))
