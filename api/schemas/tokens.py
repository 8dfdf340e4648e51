"""Tokens of programs."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from api.schemas.lists import Input
from gis import tokens


class NewToken(Input):
    """What a token is for, and for how long."""

    label: str = Field(min_length=1, max_length=tokens.LABEL_LONGEST)
    days: int = Field(default=tokens.DAYS, ge=1, le=tokens.DAYS_MOST)
    can_write: bool = False


class Token(BaseModel):
    """A token; itself only in the answer that makes it."""

    id: int
    label: str
    can_write: bool
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    token: str | None = None
