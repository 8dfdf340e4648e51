"""What all runs of files that are handed in tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class FileRunOut(BaseModel):
    """A file handed in, and how far it is."""

    id: int
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    file_name: str
    size_bytes: int
    progress_ratio: float
    error: dict[str, Any] | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
