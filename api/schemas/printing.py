"""Prints that are made in the background."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class PrintOut(BaseModel):
    """How far a print is."""

    ticket: str
    state: Literal["queued", "running"]
    done: int
    total: int
