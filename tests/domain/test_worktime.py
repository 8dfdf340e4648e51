"""Deadlines. The four examples with make-up weekends were computed with another program (domain.md §7)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from gis.errors import InvalidInput
from gis.worktime import CHINA, Calendar, Span, due_at, load_calendar, missing_years, working_days_between

CALENDAR = load_calendar()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


@pytest.mark.parametrize(
    ("filed", "due", "naive"),
    [
        ("2025-09-25", "2025-10-15", "2025-10-09"),
        ("2025-12-22", "2026-01-06", "2026-01-05"),
        ("2026-02-10", "2026-03-02", "2026-02-24"),
        ("2026-09-21", "2026-10-12", "2026-10-05"),
    ],
)
def test_ten_working_days_jump_holidays_and_count_weekends_worked(filed, due, naive):
    start = at(f"{filed}T10:00")
    assert due_at(start, Span(10, "working_day"), calendar=CALENDAR).date() == date.fromisoformat(due)
    assert due_at(start, Span(10, "working_day"), calendar=Calendar()).date() == date.fromisoformat(naive)
    assert working_days_between(date.fromisoformat(filed), date.fromisoformat(due), calendar=CALENDAR) == 10


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-03-02T09:00", 2, "2026-03-02T11:00"),
        ("2026-03-02T11:00", 2, "2026-03-02T14:30"),  # over noon
        ("2026-03-02T17:00", 1, "2026-03-03T09:00"),  # over night
        ("2026-03-02T20:00", 4, "2026-03-03T14:00"),  # told in the evening: the clock starts in the morning
        ("2026-03-06T16:30", 5, "2026-03-09T14:00"),  # over a weekend
        ("2026-09-30T16:30", 2, "2026-10-08T09:30"),  # over the National Day
        ("2026-03-02T12:30", 4, "2026-03-02T17:30"),  # ends with the last minute
    ],
)
def test_working_hours_run_only_while_people_work(start, hours, end):
    assert due_at(at(start), Span(hours, "working_hour"), calendar=CALENDAR) == at(end)


def test_hours_and_days_run_through():
    assert due_at(at("2026-10-01T10:00"), Span(24, "hour"), calendar=CALENDAR) == at("2026-10-02T10:00")
    assert due_at(at("2026-10-01T10:00"), Span(7, "day"), calendar=CALENDAR).date() == date(2026, 10, 8)


def test_a_span_may_begin_on_the_day_itself():
    same_day = Span(1, "working_day", from_next_day=False)
    assert due_at(at("2026-03-02T09:00"), same_day, calendar=CALENDAR).date() == date(2026, 3, 2)


def test_a_year_without_notice_is_counted_monday_to_friday_and_named():
    assert missing_years(at("2026-12-28T09:00"), at("2027-01-11T09:00"), calendar=CALENDAR) == (2027,)
    assert due_at(at("2027-09-30T09:00"), Span(1, "working_day"), calendar=CALENDAR).date() == date(2027, 10, 1)


def test_the_instant_counts_not_its_zone():
    start = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
    assert due_at(start, Span(2, "working_hour"), calendar=CALENDAR) == at("2026-03-02T11:00")


@pytest.mark.parametrize(
    ("amount", "unit"), [(0, "working_day"), (-1, "hour"), (1, "fortnight"), (float("nan"), "hour")]
)
def test_a_span_that_means_nothing_is_refused(amount, unit):
    with pytest.raises(InvalidInput) as caught:
        Span(amount, unit)
    assert caught.value.code == "worktime.bad_span"


def test_a_time_without_zone_is_refused():
    with pytest.raises(InvalidInput) as caught:
        due_at(datetime(2026, 3, 2), Span(1, "hour"), calendar=CALENDAR)  # noqa: DTZ001 - that is what is tested
    assert caught.value.code == "worktime.naive_time"
