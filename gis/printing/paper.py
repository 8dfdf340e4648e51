"""Paper, and the round scale at which a piece of ground fits on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gis.errors import InvalidInput

Orientation = Literal["landscape", "portrait"]

SHEETS_MM = {"A4": (210.0, 297.0), "A3": (297.0, 420.0)}
SCALES = (250, 500, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10_000, 12_500, 15_000, 20_000, 25_000,
          40_000, 50_000, 75_000, 100_000, 150_000, 200_000)  # fmt: skip
ROOM = 1.12  # ground shown around what the page is about
LEAST_WIDTH_M, LEAST_HEIGHT_M = 60.0, 60.0


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet and how it lies.

    Attributes
    ----------
    name : {"A3", "A4"}
    orientation : {"landscape", "portrait"}
    """

    name: str = "A4"
    orientation: str = "landscape"

    def __post_init__(self) -> None:
        if self.name not in SHEETS_MM or self.orientation not in ("landscape", "portrait"):
            raise InvalidInput("print.bad_paper", paper=self.name, orientation=self.orientation, known=list(SHEETS_MM))

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height."""
        short, long = SHEETS_MM[self.name]
        return (long, short) if self.orientation == "landscape" else (short, long)

    @property
    def factor(self) -> float:
        """How much larger letters are than on A4."""
        return 1.0 if self.name == "A4" else 1.25


def scale_for(width_m: float, height_m: float, frame_mm: tuple[float, float]) -> int:
    """The largest round scale (its denominator) at which ground fits into a frame.

    Examples
    --------
    >>> scale_for(300.0, 200.0, (180.0, 150.0))
    2000
    """
    wide, high = max(width_m, LEAST_WIDTH_M) * ROOM, max(height_m, LEAST_HEIGHT_M) * ROOM
    least = max(wide * 1000 / frame_mm[0], high * 1000 / frame_mm[1])
    return next((scale for scale in SCALES if scale >= least), SCALES[-1])


def bar_metres(scale: int, longest_mm: float) -> int:
    """A round number of metres whose bar is at most so long on paper.

    Examples
    --------
    >>> bar_metres(2000, 60.0)
    100
    """
    steps = (5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5)
    return next((metres for metres in steps if metres * 1000 / scale <= longest_mm), steps[-1])
