"""Who is asking, without the database: credentials that were looked up a moment ago.

An entry is used for a few seconds at most, and only while the database's notices are heard: a sign-out, a lock, a
revoked grant or token takes the account's entries away within milliseconds. What is not known is asked, and an answer
that a notice may have overtaken is not kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from api.credentials import Credential, credential_of
from gis.errors import NotSignedIn
from gis.notices import Notices
from gis.permissions import Action, Actor, scopes

CHANNEL = "wangge_access"
KEPT_S = 5.0
LONGEST = 20_000

Headers = tuple[bytes | None, bytes | None]


@dataclass(eq=False, slots=True)
class Access:
    """Somebody who was let in, and until when that need not be asked again.

    Attributes
    ----------
    actor : Actor
    until : float
        Of `time.monotonic`.
    """

    actor: Actor
    until: float
    memo: tuple[Any, ...] | None = None
    """A version, and what a fast path has made for them of it: nobody else's business."""
    _scopes: dict[Action, tuple[str, ...]] = field(default_factory=dict)

    def scopes(self, action: Action) -> tuple[str, ...]:
        """The paths under which they may do something: one tuple for as long as this entry lasts; empty if nowhere."""
        held = self._scopes.get(action)
        if held is None:
            held = self._scopes[action] = () if self.actor.must_change_password else scopes(self.actor, action)
        return held


class AccessCache:
    """Credential → actor and scopes, for as long as nothing is heard to the contrary.

    Parameters
    ----------
    notices : Notices
    kept_s : float
        So long an entry is used: what has no notice, such as a grant that begins on a date, holds from then on.
    """

    def __init__(self, notices: Notices, *, kept_s: float = KEPT_S) -> None:
        self._notices = notices
        self._kept_s = kept_s
        self._known: dict[Credential, Access] = {}
        self._by_headers: dict[Headers, Access] = {}
        self._generation = 0
        self._swept_at = 0.0
        notices.subscribe(CHANNEL, self._heard, self.forget_all)

    def seen(self, scope: MutableMapping[str, Any]) -> Access | None:
        """Whoever sends a request, if that is known and still good; for fast paths. Never asks anybody."""
        headers = _headers(scope)
        access = None if headers is None else self._by_headers.get(headers)
        return access if access is not None and self._is_good(access) else None

    def known(self, shown: Credential) -> Access | None:
        """Who is behind a credential, if that is known and still good."""
        access = self._known.get(shown)
        return access if access is not None and self._is_good(access) else None

    def ask(self, shown: Credential, look_up: Callable[[], Actor], *, scope: MutableMapping[str, Any]) -> Access:
        """Look up who is behind a credential, and keep it unless a notice came meanwhile.

        Parameters
        ----------
        shown : Credential
        look_up : callable
            Asks the database; raises what it raises.
        scope : mapping
            The request's, by whose headers `seen` will know the credential again.
        """
        generation = self._generation
        began = time.monotonic()
        if began >= self._swept_at + self._kept_s:
            self._sweep(began)
        access = Access(look_up(), began + self._kept_s)
        if len(self._by_headers) + len(self._known) >= LONGEST:
            self.forget_all()
        elif generation == self._generation:
            self._known[shown] = access
            headers = _headers(scope)
            if headers is not None and _shows(headers, shown):
                self._by_headers[headers] = access
            if generation != self._generation:  # a notice came between the test and here
                self.forget_all()
        return access

    def forget_all(self) -> None:
        """Ask about everybody again."""
        self._generation += 1
        self._known = {}
        self._by_headers = {}

    def _sweep(self, now: float) -> None:
        """Forget who is past their time: an entry holds on to the version that it was last answered by."""
        self._swept_at = now
        self._known = {key: one for key, one in list(self._known.items()) if now < one.until}
        self._by_headers = {key: one for key, one in list(self._by_headers.items()) if now < one.until}

    def _heard(self, user: str) -> None:
        self._generation += 1
        if not (user.isascii() and user.isdigit()):
            self.forget_all()
            return
        number = int(user)
        self._known = {key: one for key, one in list(self._known.items()) if one.actor.user_id != number}
        self._by_headers = {key: one for key, one in list(self._by_headers.items()) if one.actor.user_id != number}

    def _is_good(self, access: Access) -> bool:
        return time.monotonic() < access.until and self._notices.is_listening.is_set()


def _headers(scope: MutableMapping[str, Any]) -> Headers | None:
    """All of a request that can show who sends it; ``None`` if that is not plain."""
    cookie = authorization = None
    for name, value in scope["headers"]:
        if name == b"cookie":
            if cookie is not None:
                return None
            cookie = value
        elif name == b"authorization":
            if authorization is not None:
                return None
            authorization = value
    return cookie, authorization


def _shows(headers: Headers, shown: Credential) -> bool:
    """Whether these headers alone show a credential: it may have come another way, and they be anybody's."""
    listed = [(name, value) for name, value in zip((b"cookie", b"authorization"), headers, strict=True) if value]
    try:
        return credential_of(HTTPConnection({"type": "http", "headers": listed})) == shown
    except NotSignedIn:
        return False
