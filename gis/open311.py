"""Open311 GeoReport v2 over our incidents: services are categories, service requests incidents.

What people wrote of an incident beyond its title, and who they are, does not go out; names, phones and mail addresses
that come with a report are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gis import areas, incidents
from gis.errors import Conflict, InvalidInput, NotFound
from gis.exchange.open311_file import Reported
from gis.findings import Finding, Severity
from gis.geotag import Place, geotag_one
from gis.incident_flow import IncidentAction
from gis.incident_history import store_past
from gis.listing.window import Filters, Row, fetch
from gis.models import Department, Incident, IncidentCategory, IncidentSource
from gis.permissions import Actor, is_within

SPAN = timedelta(days=90)
REQUESTS_MOST = 1000
TEXT_LONGEST = 4000
SOURCE = "open311"


# --- Out --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sought:
    """Which requests.

    Attributes
    ----------
    codes : tuple of str
        Numbers of requests; with any the other wishes do not count.
    services : tuple of str
    since, until : datetime or None
        Requested in between, 90 days at most; without either the last 90 days.
    is_open : bool or None
    jurisdiction : str or None
        Code of an area.
    """

    codes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    is_open: bool | None = None
    jurisdiction: str | None = None


def services(session: Session, *, language: str) -> list[Row]:
    """The categories of incidents as the standard's service list."""
    name = "name_zh" if language == "zh" else "coalesce(name_en, name_zh)"
    return fetch(
        session,
        f"SELECT code AS service_code, {name} AS service_name, {name} AS description, false AS metadata,"
        " 'realtime' AS type, '' AS keywords, coalesce(board, '') AS \"group\" FROM incident_category ORDER BY code",
        {},
    )


def definition(session: Session, code: str) -> Row:
    """One service: it asks for nothing beyond what all ask for.

    Raises
    ------
    NotFound
        ``incident.unknown_category``.
    """
    if session.get(IncidentCategory, code) is None:
        raise NotFound("incident.unknown_category", category=code[:60])
    return {"service_code": code, "attributes": []}


def requests(session: Session, sought: Sought, *, scopes: Sequence[str], now: datetime, language: str) -> list[Row]:
    """Incidents as service requests, those reported last first, a thousand at most.

    Raises
    ------
    InvalidInput
        ``open311.span_too_long``, ``open311.bad_span``, ``open311.too_many_ids``.
    NotFound
        ``open311.unknown_jurisdiction``.
    """
    filters = Filters()
    filters.add("coalesce(area.path, ''::ltree) <@ ANY(CAST(:scopes AS ltree []))", scopes=list(scopes))
    if sought.jurisdiction is not None:
        path = jurisdiction_path(session, sought.jurisdiction, scopes)
        filters.add("area.path <@ CAST(:jurisdiction AS ltree)", jurisdiction=path)
    if sought.codes:
        if len(sought.codes) > REQUESTS_MOST:
            raise InvalidInput("open311.too_many_ids", most=REQUESTS_MOST)
        filters.add("incident.code = ANY(:codes)", codes=list(sought.codes))
    else:
        since, until = _span(sought, now)
        filters.add("incident.reported_at BETWEEN :since AND :until", since=since, until=until)
        filters.add_given("incident.category = ANY(:services)", services=list(sought.services) or None)
        if sought.is_open is not None:
            filters.add("(incident.closed_at IS NULL) = :is_open", is_open=sought.is_open)
    named = "category.name_zh" if language == "zh" else "coalesce(category.name_en, category.name_zh)"
    return fetch(
        session,
        f"{_REQUESTS.format(service_name=named)} {filters.sql()}"
        f" ORDER BY incident.reported_at DESC, incident.id DESC LIMIT {REQUESTS_MOST}",
        filters.params,
    )


_REQUESTS = """
SELECT
    incident.code AS service_request_id,
    CASE WHEN incident.closed_at IS NULL THEN 'open' ELSE 'closed' END AS status,
    incident.status AS status_notes,
    {service_name} AS service_name,
    incident.category AS service_code,
    incident.title AS description,
    lead.name AS agency_responsible,
    NULL::text AS service_notice,
    incident.reported_at AS requested_datetime,
    latest.recorded_at AS updated_datetime,
    incident.due_at AS expected_datetime,
    coalesce(origin.address, building.address) AS address,
    building.code AS address_id,
    NULL::text AS zipcode,
    round(ST_Y(incident.geom)::numeric, 7)::float8 AS lat,
    round(ST_X(incident.geom)::numeric, 7)::float8 AS "long",
    origin.media_url
FROM incident
INNER JOIN incident_category AS category ON incident.category = category.code
INNER JOIN incident_event AS latest ON latest.incident_id = incident.id AND latest.seq = incident.last_seq
LEFT JOIN admin_area AS area ON incident.area_id = area.id
LEFT JOIN department AS lead ON incident.lead_department_id = lead.id
LEFT JOIN incident_source AS origin ON origin.incident_id = incident.id
LEFT JOIN building_part AS part ON incident.building_part_id = part.id
LEFT JOIN building ON part.building_id = building.id
"""


def jurisdiction_path(session: Session, code: str, scopes: Sequence[str]) -> str:
    """The path of an area that is called a jurisdiction.

    Raises
    ------
    NotFound
        ``open311.unknown_jurisdiction``, also if it lies outside the scopes.
    """
    try:
        path = areas.by_code(session, code[:60]).path
    except NotFound:
        raise NotFound("open311.unknown_jurisdiction", jurisdiction=code[:60]) from None
    if not any(is_within(path, scope) or is_within(scope, path) for scope in scopes):
        raise NotFound("open311.unknown_jurisdiction", jurisdiction=code[:60])
    return path


def _span(sought: Sought, now: datetime) -> tuple[datetime, datetime]:
    until = sought.until or (sought.since + SPAN if sought.since else now)
    since = sought.since or until - SPAN
    if since > until:
        raise InvalidInput("open311.bad_span")
    if until - since > SPAN:
        raise InvalidInput("open311.span_too_long", days=SPAN.days)
    return since, until


# --- In ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """A request that somebody posts.

    Attributes
    ----------
    lon, lat, address, address_id
        Where: coordinates, or an address that we know, or the code of a building.
    request_id : str or None
        The sender's own number, for sending again without reporting twice.
    """

    service_code: str
    lon: float | None = None
    lat: float | None = None
    address: str | None = None
    address_id: str | None = None
    description: str | None = None
    media_url: str | None = None
    request_id: str | None = None
    jurisdiction: str | None = None


def report(session: Session, given: Report, *, actor: Actor, now: datetime, language: str) -> Incident:
    """Report an incident; the same request id again gives the same incident.

    Raises
    ------
    InvalidInput
        ``open311.not_there``, ``open311.no_place``, ``open311.unknown_address``, ``open311.bad_media_url``; what
        `gis.incidents.report` raises.
    NotFound
        ``incident.unknown_category``.
    Conflict
        ``incident.request_reused``.
    """
    line = session.get(IncidentCategory, given.service_code)
    if line is None:
        raise NotFound("incident.unknown_category", category=given.service_code[:60])
    if given.media_url is not None and not given.media_url.startswith(("http://", "https://")):
        raise InvalidInput("open311.bad_media_url")
    jurisdiction = None if given.jurisdiction is None else jurisdiction_path(session, given.jurisdiction, ("",))
    lon, lat = _where(session, given, actor=actor, now=now)
    words = (given.description or "").strip()
    name = line.name_zh if language == "zh" else line.name_en or line.name_zh
    # Titles go out to everybody who sees incidents; what people wrote, with names and numbers in it, does not.
    # Another sender's number of the same words is another report.
    request_id = None if given.request_id is None else f"{SOURCE}:{actor.user_id}:{given.request_id}"
    made = incidents.report(
        session, lon=lon, lat=lat, category=given.service_code, title=name, description=words or None,
        request_id=request_id, actor=actor, now=now,
    )  # fmt: skip
    if (made.description or "") != words:
        raise Conflict("incident.request_reused", request_id=given.request_id, incident=made.code)
    if jurisdiction is not None and not is_within(incidents.path_of(session, made) or "", jurisdiction):
        raise InvalidInput("open311.not_there", jurisdiction=given.jurisdiction)
    if session.get(IncidentSource, made.id) is None:
        session.add(
            IncidentSource(
                incident_id=made.id,
                source=f"{SOURCE}:{actor.name}",
                source_id=f"sent:{given.request_id}" if given.request_id else f"made:{made.code}",
                address=given.address,
                media_url=given.media_url,
                received_at=now,
            )
        )
        session.flush()
    return made


def _where(session: Session, given: Report, *, actor: Actor, now: datetime) -> tuple[float, float]:
    if given.lon is not None and given.lat is not None:
        return given.lon, given.lat
    if not given.address and not given.address_id:
        raise InvalidInput("open311.no_place")
    place = Place(building_code=given.address_id) if given.address_id else Place(address=given.address)
    tag = geotag_one(session, place, at=now, actor=actor)
    if tag.lon is None or tag.lat is None:
        raise InvalidInput("open311.unknown_address")
    return tag.lon, tag.lat


# --- From another server's export -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """What an import did: incidents made, known already, and what could not be taken."""

    inserted: int
    known: int
    findings: tuple[Finding, ...] = field(default_factory=tuple)


def take(
    session: Session,
    reports: Iterable[Reported],
    *,
    source: str,
    mapping: Mapping[str, str],
    actor: Actor,
    now: datetime,
) -> Taken:
    """Take another server's requests as incidents, each once.

    Parameters
    ----------
    source : str
        What the server is called; with the request's number it tells whether it came before.
    mapping : mapping of service code to category
        For codes that are not our categories' own.

    Notes
    -----
    A closed request has gone all the way by the time of its last update: the log says so, and that the import did it.

    Raises
    ------
    NotAllowed
    """
    known = set(session.scalars(select(IncidentSource.source_id).where(IncidentSource.source == source)))
    categories = {line.code: line for line in session.scalars(select(IncidentCategory))}
    departments = set(session.scalars(select(Department.code)))
    findings: list[Finding] = []
    fresh: list[_Past] = []
    seen = 0
    for one in reports:
        if one.source_id in known:
            seen += 1
            continue
        known.add(one.source_id)
        category = mapping.get(one.service_code, one.service_code)
        fault = _fault(one, categories.get(category), departments, now)
        if fault:
            params = {"service": one.service_code}
            findings.append(Finding(fault, Severity.REJECTED, "incidents", one.row, one.source_id, params))
            continue
        fresh.append(_past(one, categories[category], now))
    near = _near(session, fresh) if fresh else []
    findings += [
        Finding("open311.too_far", Severity.REJECTED, "incidents", past.told.row, past.told.source_id)
        for past, is_near in zip(fresh, near, strict=True)
        if not is_near
    ]
    fresh = [past for past, is_near in zip(fresh, near, strict=True) if is_near]
    ids = store_past(session, fresh, actor=actor, now=now) if fresh else []
    session.add_all(
        IncidentSource(
            incident_id=incident_id,
            source=source,
            source_id=past.told.source_id,
            address=past.told.address,
            media_url=past.told.media_url,
            received_at=now,
        )
        for past, incident_id in zip(fresh, ids, strict=True)
    )
    session.flush()
    return Taken(len(fresh), seen, tuple(findings))


@dataclass(frozen=True, slots=True)
class _Step:
    action: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Past:
    """A request as `gis.incident_history` takes it."""

    told: Reported
    category: str
    title: str
    description: str | None
    lon: float
    lat: float
    reported_at: datetime
    steps: tuple[_Step, ...]
    severity: int = 1


_WHOLE_WAY = (
    IncidentAction.ACCEPT,
    IncidentAction.DISPATCH,
    IncidentAction.START,
    IncidentAction.RESOLVE,
    IncidentAction.VERIFY,
    IncidentAction.CLOSE,
)


def _fault(one: Reported, line: IncidentCategory | None, departments: set[str], now: datetime) -> str:
    if line is None:
        return "open311.unknown_service"
    if one.lon is None or one.lat is None or not (abs(one.lon) <= 180 and abs(one.lat) <= 90):
        return "open311.no_coordinates"
    if one.requested_at is None or one.requested_at > now:
        return "open311.bad_time"
    if one.is_closed and line.department not in departments:
        return "open311.no_lead"
    return ""


def _past(one: Reported, line: IncidentCategory, now: datetime) -> _Past:
    assert one.lon is not None
    assert one.lat is not None
    assert one.requested_at is not None
    words = (one.description or "").strip()[:TEXT_LONGEST]
    ended = min(max(one.updated_at or one.requested_at, one.requested_at), now)
    steps = tuple(_Step(str(action), ended) for action in _WHOLE_WAY) if one.is_closed else ()
    return _Past(one, line.code, line.name_zh, words or None, one.lon, one.lat, one.requested_at, steps)


def _near(session: Session, past: Sequence[_Past]) -> list[bool]:
    """Whether each lies within some 20 km of a community: farther off the axes or the town are wrong."""
    rows: Any = session.execute(
        text(
            "SELECT EXISTS (SELECT FROM admin_area AS a WHERE a.level = 'community' AND a.geom &&"
            " ST_Expand(ST_SetSRID(ST_MakePoint(item.lon, item.lat), 4326), 0.2)) AS is_near"
            " FROM unnest(CAST(:lon AS float8 []), CAST(:lat AS float8 [])) WITH ORDINALITY AS item (lon, lat, number)"
            " ORDER BY item.number"
        ),
        {"lon": [one.lon for one in past], "lat": [one.lat for one in past]},
    )
    return list(rows.scalars())


__all__ = ["Report", "Sought", "Taken", "definition", "report", "requests", "services", "take"]
