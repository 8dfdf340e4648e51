"""What a request shows of who sends it: the cookie of a session, or a program's token in the Authorization header.

A token is taken as ``Authorization: Bearer …`` and, since that is all that QGIS and ArcGIS can send, as the password of
HTTP Basic. It is never taken from an address: addresses end in logs, histories and screenshots.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from gis import accounts, tokens
from gis.errors import NotSignedIn
from gis.permissions import Actor

SESSION_COOKIE = "wangge_session"
HEADER_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Credential:
    """What stands for somebody; as a key of a cache it is the whole truth.

    Attributes
    ----------
    kind : {"session", "token"}
    secret : str
    username : str or None
        The name that came with a token in HTTP Basic.
    """

    kind: Literal["session", "token"]
    secret: str = field(repr=False)
    username: str | None = None


def credential_of(request: HTTPConnection) -> Credential | None:
    """What a request shows; ``None`` if nothing of ours.

    A token in the header goes before a cookie. Another Authorization header (a proxy's own log-in) is nobody's
    business here if there is a cookie.

    Raises
    ------
    NotSignedIn
        ``access.bad_token`` if the header is all there is, and is none of ours.
    """
    cookie = request.cookies.get(SESSION_COOKIE)
    given = request.headers.get("authorization") or getattr(request.state, "authorization", None)
    if not given:
        return Credential("session", cookie) if cookie else None
    found = _of_header(given)
    if found is not None:
        return found
    if cookie:
        return Credential("session", cookie)
    raise NotSignedIn("access.bad_token")


def _of_header(words: str) -> Credential | None:
    scheme, _, rest = words[:HEADER_LONGEST].strip().partition(" ")
    username, secret = None, rest.strip()
    if scheme.lower() == "basic":
        try:
            username, colon, secret = b64decode(secret, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if not colon:
            return None
    elif scheme.lower() != "bearer":
        return None
    return Credential("token", secret, username) if secret.startswith(tokens.PREFIX) else None


def actor_of(session: Session, shown: Credential | None, *, now: datetime, idle: timedelta) -> Actor:
    """Who is behind a credential.

    Raises
    ------
    NotSignedIn
        ``access.no_session``, ``access.bad_token``.
    """
    if shown is None:
        raise NotSignedIn("access.no_session")
    if shown.kind == "token":
        return tokens.actor_of_token(session, secret=shown.secret, now=now, username=shown.username)
    return accounts.actor_of_token(session, token=shown.secret, now=now, idle=idle)
