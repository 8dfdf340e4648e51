"""Signing in and out, one's own profile and password."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.credentials import SESSION_COOKIE
from api.deps import CurrentActor, Now, ServicesDep, SessionDep, answer
from api.schemas.session import Credentials, NewPassword, Profile
from gis import accounts, listing
from gis.settings import Settings

router = APIRouter(prefix="/api/v1/session", tags=["session"])


@router.post("", summary="Sign in", response_model=Profile)
def sign_in(given: Credentials, session: SessionDep, at: Now, services: ServicesDep) -> Response:
    """Opens a session and sets its cookie. Five wrong passwords lock the account for a quarter of an hour."""
    token, actor = accounts.sign_in(session, username=given.username, password=given.password, now=at)
    return _with_cookie(answer(listing.profile(session, actor=actor, now=at)), token, services.settings)


@router.get("", summary="Who is signed in", response_model=Profile)
def show(session: SessionDep, actor: CurrentActor, at: Now) -> Response:
    """Account, grants, what they allow, and the page to begin on."""
    return answer(listing.profile(session, actor=actor, now=at))


@router.delete("", summary="Sign out", status_code=204)
def sign_out(request: Request, session: SessionDep, at: Now) -> Response:
    """Ends the session; signing out twice does no harm."""
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        accounts.sign_out(session, token=token, now=at)
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


@router.put("/password", summary="Change one's own password", status_code=204)
def change_password(
    given: NewPassword, session: SessionDep, actor: CurrentActor, at: Now, services: ServicesDep
) -> Response:
    """Ends all tokens and sessions of the account but this session, which gets a new cookie."""
    accounts.set_password(
        session, username=actor.name, password=given.new_password, old_password=given.old_password, actor=actor, now=at
    )
    token, _ = accounts.sign_in(session, username=actor.name, password=given.new_password, now=at)
    return _with_cookie(Response(status_code=204), token, services.settings)


def _with_cookie(response: Response, token: str, settings: Settings) -> Response:
    # Lax, so that a link from a letter opens the page signed in; unsafe methods check Origin besides (api.guard).
    response.set_cookie(SESSION_COOKIE, token, path="/", httponly=True, samesite="lax", secure=settings.secure_cookies)
    return response
