"""Incidents: a report, a move, news."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, StringConstraints

from api.deps import AwareTime
from api.schemas.lists import Input
from gis.incident_flow import IncidentAction

RequestId = Annotated[str, StringConstraints(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


class NewIncident(Input):
    """Something that was noticed at a place. Sent twice with one ``request_id`` it is one incident."""

    lon: FiniteFloat
    lat: FiniteFloat
    crs: str = Field("wgs84", max_length=60, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:n")
    accuracy_m: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] | None = None
    category: str = Field(min_length=1, max_length=60)
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(None, max_length=4000)
    severity: int = Field(1, ge=1, le=4)
    floor: int | None = Field(None, ge=-20, le=500, description="Where micro-grids lie over one another")
    reported_at: AwareTime | None = Field(None, description="When it was noticed; without it, now")
    request_id: RequestId


class Move(Input):
    """A move of an incident (`gis.incident_flow`)."""

    action: IncidentAction
    expected_seq: int = Field(ge=1, description="`last_seq` that the caller has seen; another one answers 409")
    department: str | None = Field(None, max_length=60, description="Code of the lead department")
    assignee: int | None = Field(None, ge=1, le=2**62, description="Id of a person of the staff")
    note: str | None = Field(None, max_length=4000)
    request_id: RequestId


class NewsItem(BaseModel):
    """One piece of news: ``incident`` with the feature as lists have it, or ``plan``."""

    id: int
    event: str
    data: dict[str, Any]


class Events(BaseModel):
    """News since a number; ``last_event`` is where to go on from."""

    events: list[NewsItem]
    last_event: int
    resync: bool
