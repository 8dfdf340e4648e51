"""Whether the service is well."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import SessionDep
from gis import listing

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """The service answers and its database does."""

    status: str


@router.get("/healthz", summary="Whether the service and its database answer")
def health(session: SessionDep) -> Health:
    """503 if the database is away."""
    listing.newest_number(session)
    return Health(status="ok")
