"""Tokens of programs: what QGIS, ArcGIS or a script shows instead of a password.

A token stands for an account and holds what its grants hold, at most for reading unless it was given to write. It is
shown once, when it is made; only its hash is kept. Its prefix lets people, and scanners of files, tell what it is.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from gis.accounts import actor_of, by_name
from gis.db import audit
from gis.errors import Conflict, InvalidInput, NotAllowed, NotFound, NotSignedIn
from gis.models import AccessToken, UserAccount
from gis.permissions import EVERYWHERE, READING, Action, Actor, require

PREFIX = "wgt_"
DAYS = 180
DAYS_MOST = 366
LABEL_LONGEST = 80
ALIVE_MOST = 20
"""So many tokens of one account at a time: more are forgotten ones."""
_TOUCH_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be told of a token: all but itself."""

    id: int
    label: str
    can_write: bool
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def shown(token: AccessToken) -> Shown:
    """A token for people to read."""
    return Shown(**{name: getattr(token, name) for name in Shown.__dataclass_fields__})


def issue(
    session: Session,
    *,
    username: str,
    label: str,
    actor: Actor,
    now: datetime,
    days: int = DAYS,
    can_write: bool = False,
) -> tuple[str, AccessToken]:
    """Make a token for an account: the secret, which nobody sees again, and its row.

    Raises
    ------
    NotAllowed
        Another's token without the right to manage users; a token that asks for a token.
    InvalidInput
        ``access.token_days``, ``access.token_label``.
    Conflict
        ``access.token_too_many``.
    """
    user = _owner(session, username, actor)
    if not 1 <= days <= DAYS_MOST:
        raise InvalidInput("access.token_days", days=days, most=DAYS_MOST)
    label = label.strip()
    if not 1 <= len(label) <= LABEL_LONGEST:
        raise InvalidInput("access.token_label", length=LABEL_LONGEST)
    if len(_alive(session, user.id, now)) >= ALIVE_MOST:
        raise Conflict("access.token_too_many", most=ALIVE_MOST)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = AccessToken(
        user_id=user.id,
        label=label,
        token_hash=_hash(secret),
        can_write=can_write,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    details = {"token": token.id, "label": label, "days": days, "can_write": can_write}
    audit(session, "token.issue", subject=f"user:{user.id}", actor=actor, now=now, details=details)
    return secret, token


def tokens_of(session: Session, *, username: str, actor: Actor) -> Sequence[AccessToken]:
    """The tokens of an account, the newest first, ended ones too."""
    user = _owner(session, username, actor)
    return session.scalars(
        select(AccessToken).where(AccessToken.user_id == user.id).order_by(AccessToken.id.desc())
    ).all()


def revoke(session: Session, *, token_id: int, username: str, actor: Actor, now: datetime) -> AccessToken:
    """End a token; the next request that shows it is refused. One that has ended already stays so.

    Raises
    ------
    NotFound
        ``access.unknown_token``, also if it is another account's.
    NotAllowed
    """
    user = _owner(session, username, actor)
    token = session.get(AccessToken, token_id)
    if token is None or token.user_id != user.id:
        raise NotFound("access.unknown_token", token=token_id)
    if token.revoked_at is None:
        token.revoked_at = now
        audit(session, "token.revoke", subject=f"user:{user.id}", actor=actor, now=now, details={"token": token.id})
    return token


def actor_of_token(session: Session, *, secret: str, now: datetime, username: str | None = None) -> Actor:
    """Who a token stands for; its account must be open, its grants are read afresh.

    Parameters
    ----------
    username : str, optional
        What came with the token in HTTP Basic: it must be the account's own name.

    Raises
    ------
    NotSignedIn
        ``access.bad_token``: unknown, ended, revoked, or of another name.
    """
    found = session.execute(
        select(AccessToken, UserAccount)
        .join(UserAccount, UserAccount.id == AccessToken.user_id)
        .where(
            AccessToken.token_hash == _hash(secret),
            AccessToken.revoked_at.is_(None),
            AccessToken.expires_at > now,
            UserAccount.is_active,
        )
    ).first()
    if found is None or (username is not None and username.strip().lower() != found[1].username):
        raise NotSignedIn("access.bad_token")
    token, user = found
    if token.last_used_at is None or token.last_used_at < now - _TOUCH_AFTER:
        token.last_used_at = now
    limits = frozenset(Action) - {Action.MANAGE_USERS} if token.can_write else READING
    # A program cannot be asked to change a password, and its token was made by whoever may set one.
    return replace(actor_of(session, user, now=now), limited_to=limits, must_change_password=False)


def _owner(session: Session, username: str, actor: Actor) -> UserAccount:
    user = by_name(session, username)
    if actor.limited_to is not None:
        raise NotAllowed("access.token_by_token", actor=actor.name, user_id=actor.user_id)
    if actor.user_id != user.id:
        require(actor, Action.MANAGE_USERS, EVERYWHERE)
    return user


def _alive(session: Session, user_id: int, now: datetime) -> Sequence[int]:
    return session.scalars(
        select(AccessToken.id).where(
            AccessToken.user_id == user_id, AccessToken.revoked_at.is_(None), AccessToken.expires_at > now
        )
    ).all()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
