"""Deadlines in working days and hours: pure functions over a calendar.

A weekday is worked and a weekend is not, unless the calendar says otherwise (holidays, and the weekends worked to make
up for them, 调休). Next year's days appear only by notice, so a year that the calendar lacks is counted Monday to
Friday, and `missing_years` says so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from gis.errors import InvalidInput
from gis.settings import ROOT

PRESETS = ROOT / "data" / "presets" / "calendar"
CHINA = ZoneInfo("Asia/Shanghai")

SpanUnit = Literal["hour", "working_hour", "day", "working_day"]
SPAN_UNITS = ("hour", "working_hour", "day", "working_day")

_HOURS = ((time(8, 30), time(12, 0)), (time(13, 30), time(17, 30)))


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time that a rule names: 4 working hours, 10 working days.

    Days are counted from the day after the start and end with the last minute of work of the last day
    (``from_next_day=False`` counts the day of the start as the first).
    """

    amount: float
    unit: SpanUnit
    from_next_day: bool = True

    def __post_init__(self) -> None:
        if self.unit not in SPAN_UNITS or not self.amount > 0:
            raise InvalidInput("worktime.bad_span", amount=self.amount, unit=self.unit, known=list(SPAN_UNITS))


@dataclass(frozen=True)
class Calendar:
    """The days that are not what their weekday says, and the hours worked.

    Attributes
    ----------
    days : mapping of date to bool
        Whether the day is worked; days that are absent follow their weekday.
    years : frozenset of int
        Years whose notice is known.
    hours : pairs of times
        The working hours of a day, in order, local time.
    """

    days: Mapping[date, bool] = field(default_factory=dict)
    years: frozenset[int] = frozenset()
    hours: tuple[tuple[time, time], ...] = _HOURS
    zone: ZoneInfo = CHINA

    def is_workday(self, day: date) -> bool:
        """Whether a day is worked."""
        return self.days.get(day, day.weekday() < 5)

    def shifts(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The stretches worked on a day, aware; none on a day off."""
        if self.is_workday(day):
            for start, end in self.hours:
                yield datetime.combine(day, start, self.zone), datetime.combine(day, end, self.zone)


def load_calendar(*, folder: Path = PRESETS) -> Calendar:
    """Read the calendars that ship with Wangge."""
    days: dict[date, bool] = {}
    years: set[int] = set()
    for path in sorted(folder.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        years.add(int(data["year"]))
        for holiday in data["holidays"]:
            first, last = holiday["from"], holiday["to"]
            days |= {first + timedelta(days=n): False for n in range((last - first).days + 1)}
        days |= dict.fromkeys(data["workdays"], True)
    return Calendar(days=days, years=frozenset(years))


def due_at(start: datetime, span: Span, *, calendar: Calendar) -> datetime:
    """When a span that begins at an instant is over.

    Parameters
    ----------
    start : aware datetime
    span : Span
    calendar : Calendar

    Returns
    -------
    aware datetime
        In the calendar's time zone.

    Raises
    ------
    InvalidInput
        ``worktime.naive_time`` if the start has no time zone.

    Notes
    -----
    Cost: a step a day.
    """
    if start.tzinfo is None:
        raise InvalidInput("worktime.naive_time", time=start.isoformat())
    local = start.astimezone(calendar.zone)
    if span.unit == "hour":
        return local + timedelta(hours=span.amount)
    if span.unit == "working_hour":
        return _after_working_hours(local, timedelta(hours=span.amount), calendar)
    last = _last_day(local.date(), span, calendar)
    return (
        datetime.combine(last, calendar.hours[-1][1], calendar.zone)
        if span.unit == "working_day"
        else (datetime.combine(last, time(23, 59, 59), calendar.zone))
    )


def missing_years(start: datetime, end: datetime, *, calendar: Calendar) -> tuple[int, ...]:
    """Years between two instants whose holidays are not known: counted Monday to Friday, and worth a warning."""
    return tuple(year for year in range(start.year, end.year + 1) if year not in calendar.years)


def working_days_between(first: date, last: date, *, calendar: Calendar) -> int:
    """Count the working days after the first day up to and with the last."""
    return sum(calendar.is_workday(first + timedelta(days=n)) for n in range(1, (last - first).days + 1))


def _last_day(day: date, span: Span, calendar: Calendar) -> date:
    left = int(span.amount)
    counts = calendar.is_workday if span.unit == "working_day" else lambda _: True
    if not span.from_next_day and counts(day):
        left -= 1
    while left > 0:
        day += timedelta(days=1)
        left -= counts(day)
    return day


def _after_working_hours(start: datetime, left: timedelta, calendar: Calendar) -> datetime:
    day = start.date()
    while True:
        for begin, end in calendar.shifts(day):
            begin = max(begin, start)
            if begin >= end:
                continue
            if left <= end - begin:
                return begin + left
            left -= end - begin
        day += timedelta(days=1)
