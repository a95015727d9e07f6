"""Which earlier days a day is measured against: those of its weekday, since offices are closed on others."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from typing import TypeVar

from ticket_events_pipeline.day import Day

_T = TypeVar("_T")


def same_weekdays(day: Day, weeks: int) -> list[Day]:
    """The same weekday of the `weeks` weeks before, the latest first."""
    return [day.plus(-7 * week) for week in range(1, weeks + 1)]


def weekday_name(day: Day) -> str:
    """In English: `Monday`."""
    return calendar.day_name[day.date.weekday()]


def known_of(days: Iterable[Day], look: Callable[[Day], _T | None]) -> list[_T]:
    """What `look` finds of those of `days` that it finds something of."""
    found = (look(day) for day in days)
    return [value for value in found if value is not None]
