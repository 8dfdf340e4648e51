"""Tokens of programs for one's own account."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.deps import CurrentActor, Now, SessionDep, answer
from api.schemas.tokens import NewToken, Token
from gis import tokens
from gis.errors import NotAllowed
from gis.permissions import Actor

router = APIRouter(prefix="/api/v1/session/tokens", tags=["session"])


@router.get("", summary="One's own tokens", response_model=dict[str, list[Token]])
def find(session: SessionDep, actor: CurrentActor) -> Response:
    """The newest first, ended ones too. The tokens themselves are shown nowhere."""
    found = tokens.tokens_of(session, username=_own(actor), actor=actor)
    return answer({"items": [asdict(tokens.shown(one)) for one in found]})


@router.post("", summary="Make a token", status_code=201, response_model=Token)
def issue(given: NewToken, session: SessionDep, actor: CurrentActor, at: Now) -> Response:
    """For a program that shows it as `Authorization: Bearer …`, or as the password of HTTP Basic beside one's name.

    It holds one's own grants, for reading only unless `can_write`. `token` is shown this once.
    """
    secret, made = tokens.issue(
        session, username=_own(actor), label=given.label, days=given.days, can_write=given.can_write,
        actor=actor, now=at,
    )  # fmt: skip
    return answer({**asdict(tokens.shown(made)), "token": secret}, status=201)


@router.delete("/{token_id}", summary="Revoke a token", response_model=Token)
def revoke(
    session: SessionDep, actor: CurrentActor, at: Now, token_id: Annotated[int, Path(ge=1, le=2**62)]
) -> Response:
    """The next request that shows it is refused; revoking twice does no harm."""
    ended = tokens.revoke(session, token_id=token_id, username=_own(actor), actor=actor, now=at)
    shown: dict[str, Any] = asdict(tokens.shown(ended))
    return answer(shown)


def _own(actor: Actor) -> str:
    if actor.must_change_password:
        raise NotAllowed("access.must_change_password", actor=actor.name, user_id=actor.user_id)
    return actor.name
