"""The routes of GeoReport v2."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from api.deps import Language, Now, SessionDep, allow
from api.open311.documents import GeoReportRoute, sent, sent_one
from gis import open311
from gis.errors import InvalidInput, NotFound
from gis.listing.cql2 import FIRST_YEAR, LAST_YEAR
from gis.open311 import Report, Sought
from gis.permissions import Action, Actor, scopes

router = APIRouter(prefix="/open311", tags=["open311"], route_class=GeoReportRoute)
Viewer = Annotated[Actor, allow(Action.VIEW_INCIDENTS)]
Reporter = Annotated[Actor, allow(Action.REPORT_INCIDENT)]
Ending = Literal["json", "xml"]
Words = Annotated[str | None, Query(max_length=4000)]
Code = Annotated[str, Path(max_length=60)]

CHANGESET = "2026-11-22T00:00:00Z"
"""When what is offered here changed last."""

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["service_code"],
                    "properties": {
                        name: {"type": "string"}
                        for name in (
                            "api_key", "jurisdiction_id", "service_code", "lat", "long", "address_string",
                            "address_id", "description", "media_url", "request_id",
                        )
                    },
                }
            }
        },
    }
}  # fmt: skip


@router.get("/discovery.{ending}", summary="Open311: where the service is", response_model=dict[str, Any])
def discovery(request: Request, _: Viewer, ending: Ending) -> Response:
    """The standard's discovery document, JSON or XML."""
    endpoint = {
        "specification": "http://wiki.open311.org/GeoReport_v2",
        "url": f"{str(request.base_url).rstrip('/')}/open311/v2",
        "changeset": CHANGESET,
        "type": "production",
        "formats": ["text/xml", "application/json"],
    }
    made = {"changeset": CHANGESET, "contact": "", "key_service": "wangge user token add", "endpoints": [endpoint]}
    return sent_one(ending, made, "discovery")


@router.get("/v2/services.{ending}", summary="Open311: services", response_model=list[dict[str, Any]])
def services(
    session: SessionDep, actor: Viewer, language: Language, ending: Ending, jurisdiction_id: Words = None
) -> Response:
    """The categories of incidents; they are the same in every jurisdiction, which is the code of an area."""
    if jurisdiction_id is not None:
        open311.jurisdiction_path(session, jurisdiction_id, scopes(actor, Action.VIEW_INCIDENTS))
    return sent(ending, open311.services(session, language=language), "services", "service")


@router.get("/v2/services/{service_code}.{ending}", summary="Open311: one service", response_model=dict[str, Any])
def definition(session: SessionDep, _: Viewer, service_code: Code, ending: Ending) -> Response:
    """What a report of it asks for beyond place and words: nothing."""
    return sent_one(ending, open311.definition(session, service_code), "service_definition")


@router.get("/v2/requests.{ending}", summary="Open311: requests", response_model=list[dict[str, Any]])
def requests(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    language: Language,
    ending: Ending,
    jurisdiction_id: Words = None,
    service_request_id: Words = None,
    service_code: Words = None,
    start_date: Words = None,
    end_date: Words = None,
    status: Words = None,
) -> Response:
    """Incidents of the caller's areas reported in 90 days at most, the last 90 if nothing else is said; a thousand at
    most, the latest first. Codes are lists with commas."""
    sought = Sought(
        codes=_listed(service_request_id), services=_listed(service_code), since=_time("start_date", start_date),
        until=_time("end_date", end_date), is_open=_is_open(status), jurisdiction=jurisdiction_id,
    )  # fmt: skip
    seen = scopes(actor, Action.VIEW_INCIDENTS)
    rows = open311.requests(session, sought, scopes=seen, now=present, language=language)
    return sent(ending, rows, "service_requests", "request")


@router.post(
    "/v2/requests.{ending}", summary="Open311: report", status_code=201, response_model=list[dict[str, Any]],
    openapi_extra=_BODY,
)  # fmt: skip
def report(
    request: Request,
    session: SessionDep,
    actor: Reporter,
    present: Now,
    language: Language,
    ending: Ending,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """A form with `service_code` and `lat`, `long` (WGS 84), or `address_string`, or `address_id`, a building's code.

    `api_key` in the form is a token made with `--write`; the Authorization header does as well. Written durably before
    the answer; sent again with one `request_id` (or `Idempotency-Key`) it is one incident. `media_url` is kept as
    words. Names, phones and mail addresses are not kept.
    """
    form: dict[str, str] = request.state.form
    made = open311.report(session, _report(form, idempotency_key), actor=actor, now=present, language=language)
    said = {"service_request_id": made.code, "service_notice": None, "account_id": None}
    return sent(ending, [said], "service_requests", "request", status=201)


@router.get("/v2/requests/{service_request_id}.{ending}", summary="Open311: one request", response_model=list[Any])
def one(
    session: SessionDep,
    actor: Viewer,
    present: Now,
    language: Language,
    service_request_id: Code,
    ending: Ending,
    jurisdiction_id: Words = None,
) -> Response:
    """By its number, which is the incident's code."""
    rows = _found(session, actor, service_request_id, present, language, jurisdiction_id)
    return sent(ending, rows, "service_requests", "request")


@router.get("/v2/tokens/{token}.{ending}", summary="Open311: number of a token", response_model=list[dict[str, Any]])
def token(
    session: SessionDep, actor: Viewer, present: Now, language: Language, token: Code, ending: Ending
) -> Response:
    """Reports are numbered at once, so a token is the number itself."""
    _found(session, actor, token, present, language, None)
    said = {"service_request_id": token, "token": token}
    return sent(ending, [said], "service_requests", "request")


def _found(
    session: SessionDep, actor: Actor, code: str, present: datetime, language: str, jurisdiction: str | None
) -> list[dict[str, Any]]:
    sought = Sought(codes=(code,), jurisdiction=jurisdiction)
    seen = scopes(actor, Action.VIEW_INCIDENTS)
    rows = open311.requests(session, sought, scopes=seen, now=present, language=language)
    if not rows:
        raise NotFound("open311.unknown_request", request=code)
    return rows


def _report(form: dict[str, str], idempotency_key: str | None) -> Report:
    def words(name: str, longest: int) -> str | None:
        value = form.get(name, "").strip()
        if len(value) > longest or "\0" in value:
            raise InvalidInput("open311.bad_value", name=name, value=value[:40])
        return value or None

    code = words("service_code", 60)
    if code is None:
        raise InvalidInput("open311.missing", name="service_code")
    lat, lon = _degrees("lat", form.get("lat"), 90), _degrees("long", form.get("long"), 180)
    if (lat is None) != (lon is None):
        raise InvalidInput("open311.missing", name="lat" if lat is None else "long")
    return Report(
        code, lon=lon, lat=lat, address=words("address_string", 500), address_id=words("address_id", 200),
        description=words("description", open311.TEXT_LONGEST), media_url=words("media_url", 2000),
        request_id=words("request_id", 200) or idempotency_key, jurisdiction=words("jurisdiction_id", 60),
    )  # fmt: skip


def _degrees(name: str, words: str | None, most: float) -> float | None:
    if words is None or not words.strip():
        return None
    try:
        value = float(words)
    except ValueError:
        value = math.nan
    if not abs(value) <= most:
        raise InvalidInput("open311.bad_value", name=name, value=words[:40])
    return value


def _listed(words: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (words or "").split(",") if part.strip())


def _time(name: str, words: str | None) -> datetime | None:
    if not words:
        return None
    try:
        time = datetime.fromisoformat(words.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise InvalidInput("open311.bad_value", name=name, value=words[:40])
    return time


def _is_open(words: str | None) -> bool | None:
    wanted = {part.lower() for part in _listed(words)}
    if not wanted <= {"open", "closed"}:
        raise InvalidInput("open311.bad_value", name="status", value=str(words)[:40])
    return None if len(wanted) != 1 else wanted == {"open"}
