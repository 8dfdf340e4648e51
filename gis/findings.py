"""What was noticed about the data: row by row, with the reason, and whether the row was kept.

An error stops the work (`gis.errors`); a finding is reported beside the result. Both are told by a stable code
whose sentence stands in ``gis/locale``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What became of the thing that was noticed."""

    REJECTED = "rejected"
    """The row was kept out."""
    REPAIRED = "repaired"
    """The row was changed and kept."""
    NOTE = "note"
    """Nothing was changed; somebody should know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about one row, cell or community.

    Attributes
    ----------
    code : str
        Stable dotted name, the key of the message.
    severity : Severity
    layer : str
        The layer, sheet or tier that it is about (``"buildings"``).
    row : int or None
        1-based number of the row in its file, as a person counts (the header is not counted).
    key : str or None
        Code or id of the thing.
    params : dict
        Plain values that the message quotes.
    """

    code: str
    severity: Severity
    layer: str
    row: int | None = None
    key: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
