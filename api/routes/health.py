"""Whether the service is well."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.deps import ServicesDep, SessionDep
from gis import listing

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """The service answers and its database does."""

    status: str
    version: str | None = Field(
        description="Name of the version in force by which this process answers who is responsible for a place, from"
        " its memory; null while that is being made and the database answers, rightly but more slowly"
    )


@router.get("/healthz", summary="Whether the service and its database answer")
def health(session: SessionDep, services: ServicesDep) -> Health:
    """503 if the database is away."""
    listing.newest_number(session)
    index = services.present.newest
    return Health(status="ok", version=None if index is None else index.version)
