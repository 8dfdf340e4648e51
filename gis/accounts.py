"""Use cases of accounts: log-in, passwords, grants, sessions.

Passwords are kept as argon2id; of a session's token only the hash. Five wrong passwords lock an account for fifteen
minutes; an unknown name costs the same time and gets the same answer as a wrong password.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from gis import areas
from gis.db import audit
from gis.errors import InvalidInput, NotFound, NotSignedIn
from gis.models import AccessToken, AdminArea, RoleGrant, UserAccount, UserSession
from gis.permissions import EVERYWHERE, Action, Actor, Grant, Role, require

PASSWORD_LENGTH = 10
FAILURES_BEFORE_LOCK = 5
LOCKED_FOR = timedelta(minutes=15)
SESSION_IDLE = timedelta(hours=12)
_TOUCH_AFTER = timedelta(minutes=1)


def create_user(
    session: Session,
    *,
    username: str,
    name: str,
    password: str,
    actor: Actor,
    now: datetime,
    staff_id: int | None = None,
    must_change_password: bool = True,
) -> UserAccount:
    """Open an account without any grant.

    Raises
    ------
    NotAllowed
    InvalidInput
        ``access.password_short``, ``access.password_is_name``, ``access.bad_username``.
    Conflict
        ``access.username_taken``, ``access.staff_has_account``.
    """
    require(actor, Action.MANAGE_USERS, EVERYWHERE)
    username = username.strip().lower()
    user = UserAccount(
        username=username,
        name=name,
        password_hash=_hash(password, username),
        must_change_password=must_change_password,
        staff_id=staff_id,
        created_at=now,
        password_changed_at=now,
    )
    session.add(user)
    session.flush()
    audit(session, "user.create", subject=f"user:{user.id}", actor=actor, now=now, details={"username": username})
    return user


def by_name(session: Session, username: str) -> UserAccount:
    """An account by its log-in name.

    Raises
    ------
    NotFound
        ``access.unknown_user``.
    """
    user = session.scalar(select(UserAccount).where(UserAccount.username == username.strip().lower()))
    if user is None:
        raise NotFound("access.unknown_user", username=username)
    return user


def set_password(
    session: Session, *, username: str, password: str, actor: Actor, now: datetime, old_password: str | None = None
) -> None:
    """Change a password and end the sessions and tokens of the account.

    One's own needs the old one and clears the demand to change it; another's needs the right to manage users, and must
    be changed at the next log-in.

    Raises
    ------
    NotAllowed
    NotSignedIn
        ``access.wrong_password``.
    InvalidInput
        ``access.password_short``, ``access.password_is_name``, ``access.password_same``.
    """
    user = by_name(session, username)
    is_own = actor.user_id == user.id
    if is_own:
        if not _matches(user.password_hash, old_password or ""):
            raise NotSignedIn("access.wrong_password")
        if password == old_password:
            raise InvalidInput("access.password_same")
    else:
        require(actor, Action.MANAGE_USERS, EVERYWHERE)
    user.password_hash = _hash(password, user.username)
    user.must_change_password = not is_own
    user.password_changed_at = now
    user.failed_logins = 0
    user.locked_until = None
    _end_access(session, user.id, now)
    audit(session, "user.password", subject=f"user:{user.id}", actor=actor, now=now)


def set_active(session: Session, *, username: str, is_active: bool, actor: Actor, now: datetime) -> UserAccount:
    """Lock an account for good, or open it again; a locked one's sessions and tokens end at once."""
    require(actor, Action.MANAGE_USERS, EVERYWHERE)
    user = by_name(session, username)
    user.is_active = is_active
    user.failed_logins = 0
    user.locked_until = None
    if not is_active:
        _end_access(session, user.id, now)
    audit(session, "user.unlock" if is_active else "user.lock", subject=f"user:{user.id}", actor=actor, now=now)
    return user


def grant(
    session: Session,
    *,
    username: str,
    role: Role,
    actor: Actor,
    now: datetime,
    area_id: int | None = None,
    valid_to: datetime | None = None,
) -> RoleGrant:
    """Give a role in the subtree of an area (without area: everywhere). Nobody gives what they may not manage.

    Raises
    ------
    NotAllowed
    Overlap
        ``access.granted_already``.
    """
    require(actor, Action.MANAGE_USERS, EVERYWHERE if area_id is None else areas.get(session, area_id).path)
    user = by_name(session, username)
    given = RoleGrant(user_id=user.id, role=str(role), area_id=area_id, valid_during=Range(now, valid_to))
    session.add(given)
    session.flush()
    audit(
        session,
        "user.grant",
        subject=f"user:{user.id}",
        actor=actor,
        now=now,
        details={"role": str(role), "area_id": area_id},
    )
    return given


def revoke(
    session: Session, *, username: str, role: Role, actor: Actor, now: datetime, area_id: int | None = None
) -> None:
    """End a grant now; the next request of its holder is already refused.

    Raises
    ------
    NotFound
        ``access.not_granted``.
    NotAllowed
    """
    require(actor, Action.MANAGE_USERS, EVERYWHERE if area_id is None else areas.get(session, area_id).path)
    user = by_name(session, username)
    given = session.scalar(
        select(RoleGrant).where(
            RoleGrant.user_id == user.id,
            RoleGrant.role == str(role),
            RoleGrant.area_id.is_not_distinct_from(area_id),
            RoleGrant.valid_during.contains(now),
        )
    )
    if given is None:
        raise NotFound("access.not_granted", username=username, role=str(role))
    given.valid_during = Range(given.valid_during.lower, now)
    audit(
        session,
        "user.revoke",
        subject=f"user:{user.id}",
        actor=actor,
        now=now,
        details={"role": str(role), "area_id": area_id},
    )


def sign_in(session: Session, *, username: str, password: str, now: datetime) -> tuple[str, Actor]:
    """Open a session; the token goes to the browser and is kept nowhere else.

    Raises
    ------
    NotSignedIn
        ``access.wrong_password`` (also for an unknown name), ``access.locked``. The count of failures is kept although
        the request fails (`gis.db.unit_of_work`).
    """
    user = session.scalar(select(UserAccount).where(UserAccount.username == username.strip().lower()).with_for_update())
    if user is None:
        _matches(_decoy(), password)
        raise _refusal(session, "access.wrong_password", user=None, username=username, now=now)
    if not user.is_active or (user.locked_until is not None and user.locked_until > now):
        until = user.locked_until.isoformat() if user.locked_until is not None else ""
        raise _refusal(session, "access.locked", user=user, username=username, now=now, until=until)
    if not _matches(user.password_hash, password):
        user.failed_logins += 1
        if user.failed_logins >= FAILURES_BEFORE_LOCK:
            user.locked_until, user.failed_logins = now + LOCKED_FOR, 0
        raise _refusal(session, "access.wrong_password", user=user, username=username, now=now)
    user.failed_logins, user.locked_until = 0, None
    token = secrets.token_urlsafe(32)
    session.add(UserSession(token_hash=_token_hash(token), user_id=user.id, created_at=now, last_seen_at=now))
    actor = actor_of(session, user, now=now)
    audit(session, "session.sign_in", subject=f"user:{user.id}", actor=actor, now=now)
    return token, actor


def actor_of_token(session: Session, *, token: str, now: datetime, idle: timedelta = SESSION_IDLE) -> Actor:
    """Who a token stands for; grants are read afresh, so that a change holds at once.

    Raises
    ------
    NotSignedIn
        ``access.no_session``.
    """
    found = session.execute(
        select(UserSession, UserAccount)
        .join(UserAccount, UserAccount.id == UserSession.user_id)
        .where(
            UserSession.token_hash == _token_hash(token),
            UserSession.ended_at.is_(None),
            UserSession.last_seen_at > now - idle,
            UserAccount.is_active,
        )
    ).first()
    if found is None:
        raise NotSignedIn("access.no_session")
    signed_in, user = found
    if signed_in.last_seen_at < now - _TOUCH_AFTER:  # not on every tile
        signed_in.last_seen_at = now
    return actor_of(session, user, now=now)


def sign_out(session: Session, *, token: str, now: datetime) -> None:
    """End a session; one that has ended already stays so."""
    signed_in = session.scalar(select(UserSession).where(UserSession.token_hash == _token_hash(token)))
    if signed_in is not None and signed_in.ended_at is None:
        signed_in.ended_at = now


def actor_of(session: Session, user: UserAccount, *, now: datetime) -> Actor:
    """The account with its grants of this instant."""
    rows = session.execute(
        select(RoleGrant.role, func.coalesce(func.ltree2text(AdminArea.path), EVERYWHERE))
        .outerjoin(AdminArea, AdminArea.id == RoleGrant.area_id)
        .where(RoleGrant.user_id == user.id, RoleGrant.valid_during.contains(now))
        .order_by(RoleGrant.id)
    )
    return Actor(
        user_id=user.id,
        name=user.username,
        grants=tuple(Grant(Role(role), path) for role, path in rows),
        staff_id=user.staff_id,
        must_change_password=user.must_change_password,
    )


def grants_of(session: Session, user_id: int, *, now: datetime) -> Sequence[tuple[str, AdminArea | None]]:
    """Roles and areas of an account at an instant, for people to read."""
    rows = session.execute(
        select(RoleGrant.role, AdminArea)
        .outerjoin(AdminArea, AdminArea.id == RoleGrant.area_id)
        .where(RoleGrant.user_id == user_id, RoleGrant.valid_during.contains(now))
        .order_by(RoleGrant.id)
    )
    return [(role, area) for role, area in rows]


def find(session: Session, *, actor: Actor) -> Sequence[UserAccount]:
    """All accounts, by name."""
    require(actor, Action.MANAGE_USERS, EVERYWHERE)
    return session.scalars(select(UserAccount).order_by(UserAccount.username)).all()


def _refusal(
    session: Session, code: str, *, user: UserAccount | None, username: str, now: datetime, **params: str
) -> NotSignedIn:
    actor = Actor(user_id=user.id if user else None, name=username[:64])
    subject = f"user:{user.id}" if user else "user:?"
    audit(session, "session.sign_in", subject=subject, actor=actor, now=now, result="refused", details={"code": code})
    error = NotSignedIn(code, **params)
    error.keep_writes = True  # type: ignore[attr-defined]  # read by gis.db.unit_of_work
    return error


def _end_access(session: Session, user_id: int, now: datetime) -> None:
    """Sessions and programs' tokens end: whoever had the password may have made one."""
    session.execute(
        update(AccessToken)
        .where(AccessToken.user_id == user_id, AccessToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    session.execute(
        update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None)).values(ended_at=now)
    )


@cache
def _hasher() -> PasswordHasher:
    # OWASP's second choice for argon2id: 19 MiB, 2 rounds, 1 lane; some 20 ms, so that log-ins do not take the server.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _decoy() -> str:
    return _hasher().hash(secrets.token_urlsafe(16))


def _hash(password: str, username: str) -> str:
    if len(password) < PASSWORD_LENGTH:
        raise InvalidInput("access.password_short", length=PASSWORD_LENGTH)
    if len(password.lower().replace(username, "")) < PASSWORD_LENGTH // 2:
        raise InvalidInput("access.password_is_name")
    return _hasher().hash(password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
