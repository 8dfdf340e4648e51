"""Signing in."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.lists import Input


class Credentials(Input):
    """Name and password."""

    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class NewPassword(Input):
    """The present password and the one to be."""

    old_password: str = Field(min_length=1, max_length=256)
    new_password: str = Field(min_length=1, max_length=256)


class Profile(BaseModel):
    """Who is signed in and what they may do."""

    user: dict[str, Any] | None
    grants: list[dict[str, Any]]
    permissions: list[str]
    home: str
    extent: tuple[float, float, float, float]
