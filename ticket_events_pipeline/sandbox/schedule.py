"""Calendar and business time: how much of it has passed between two moments, and when an amount of it has passed.

All moments are epoch seconds. The simulated account has two schedules: Monday to Friday, 08:00 to 18:00 UTC, without holidays;
and Vienna's office hours, which follow its clock and leave Austrian holidays out.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol
from zoneinfo import ZoneInfo

DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS

OPENING_SECONDS = 8 * 3600
OPEN_SECONDS_PER_DAY = 10 * 3600
OPEN_DAYS_PER_WEEK = 5
OPEN_SECONDS_PER_WEEK = OPEN_DAYS_PER_WEEK * OPEN_SECONDS_PER_DAY

_EPOCH_AFTER_MONDAY_SECONDS = 3 * DAY_SECONDS  # 1970-01-01 was a Thursday


def _business_since_epoch_week(moment: int) -> int:
    weeks, into_week = divmod(moment + _EPOCH_AFTER_MONDAY_SECONDS, WEEK_SECONDS)
    days, into_day = divmod(into_week, DAY_SECONDS)
    today = min(max(into_day - OPENING_SECONDS, 0), OPEN_SECONDS_PER_DAY) if days < OPEN_DAYS_PER_WEEK else 0
    return weeks * OPEN_SECONDS_PER_WEEK + min(days, OPEN_DAYS_PER_WEEK) * OPEN_SECONDS_PER_DAY + today


def business_seconds(start: int, end: int) -> int:
    """Seconds of the first schedule's business hours in [start, end)."""
    return _business_since_epoch_week(end) - _business_since_epoch_week(start)


def add_business_seconds(start: int, seconds: int) -> int:
    """The earliest moment at which `seconds` (at least 1) of the first schedule's hours have passed since `start`."""
    # The last second is counted apart, so that a day's last one ends at closing time and not at the next opening.
    weeks, rest = divmod(_business_since_epoch_week(start) + seconds - 1, OPEN_SECONDS_PER_WEEK)
    days, into_day = divmod(rest, OPEN_SECONDS_PER_DAY)
    midnight = weeks * WEEK_SECONDS + days * DAY_SECONDS - _EPOCH_AFTER_MONDAY_SECONDS
    return midnight + OPENING_SECONDS + into_day + 1


class Hours(Protocol):
    """The business hours that a ticket's clocks are measured in."""

    def seconds(self, start: int, end: int) -> int:
        """Seconds of them in [start, end)."""

    def later(self, start: int, seconds: int) -> int:
        """The earliest moment at which `seconds` (at least 1) of them have passed since `start`."""


@dataclass(frozen=True)
class WeekdayHours:
    """The account's first schedule: a formula, for most tickets have it."""

    def seconds(self, start: int, end: int) -> int:
        """See `Hours`."""
        return business_seconds(start, end)

    def later(self, start: int, seconds: int) -> int:
        """See `Hours`."""
        return add_business_seconds(start, seconds)


@dataclass(frozen=True)
class ZonedHours:
    """Opening hours of each weekday in a zone's own time, without holidays.

    Attributes:
        opening: by weekday from Monday, the hours of opening and closing; None for a closed day.
        holidays: closed days.
    """

    zone: str
    opening: tuple[tuple[int, int] | None, ...]
    holidays: frozenset[dt.date]
    first_year: int
    last_year: int

    def seconds(self, start: int, end: int) -> int:
        """See `Hours`."""
        return self._open_until(end) - self._open_until(start)

    def later(self, start: int, seconds: int) -> int:
        """See `Hours`."""
        starts, _, before = self._intervals
        wanted = self._open_until(start) + seconds - 1
        place = bisect_right(before, wanted) - 1
        return starts[place] + wanted - before[place] + 1

    def _open_until(self, moment: int) -> int:
        starts, ends, before = self._intervals
        place = bisect_right(starts, moment) - 1
        return before[place] + min(moment, ends[place]) - starts[place] if place >= 0 else 0

    @cached_property
    def _intervals(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Starts and ends of all opening hours, and the open seconds before each."""
        day, last = dt.date(self.first_year, 1, 1), dt.date(self.last_year, 12, 31)
        starts, ends = [], []
        while day <= last:
            hours = self.opening[day.weekday()] if day not in self.holidays else None
            if hours is not None:
                starts.append(self._epoch(day, hours[0]))
                ends.append(self._epoch(day, hours[1]))
            day += dt.timedelta(days=1)
        lengths = (end - start for start, end in zip(starts, ends, strict=True))
        return starts, ends, list(accumulate(lengths, initial=0))[:-1]

    def _epoch(self, day: dt.date, hour: int) -> int:
        return int(dt.datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(self.zone)).timestamp())


@dataclass(frozen=True)
class SwitchedHours:
    """One schedule until a moment, and another from then on."""

    before: Hours
    after: Hours
    switched_at: int

    def seconds(self, start: int, end: int) -> int:
        """See `Hours`."""
        first = self.before.seconds(start, min(end, self.switched_at)) if start < self.switched_at else 0
        return first + (self.after.seconds(max(start, self.switched_at), end) if end > self.switched_at else 0)

    def later(self, start: int, seconds: int) -> int:
        """See `Hours`."""
        if start >= self.switched_at:
            return self.after.later(start, seconds)
        first = self.before.seconds(start, self.switched_at)
        return self.before.later(start, seconds) if first >= seconds else self.after.later(self.switched_at, seconds - first)


FIRST_YEAR, LAST_YEAR = 2015, 2039
"""The years for which holidays are known: more than a simulated account is asked about."""

_FIXED_HOLIDAYS = {
    "Neujahr": (1, 1),
    "Staatsfeiertag": (5, 1),
    "Mariä Himmelfahrt": (8, 15),
    "Nationalfeiertag": (10, 26),
    "Allerheiligen": (11, 1),
    "Weihnachten": (12, 25),
    "Stefanitag": (12, 26),
}

HOLIDAYS = tuple(
    (name, dt.date(year, month, day))
    for year in range(FIRST_YEAR, LAST_YEAR + 1)
    for name, (month, day) in _FIXED_HOLIDAYS.items()
)
"""The second schedule's, by name."""

WEEKDAY_HOURS = WeekdayHours()

VIENNA_HOURS = ZonedHours(
    zone="Europe/Vienna",
    opening=((9, 17), (9, 17), (9, 17), (9, 17), (9, 15), None, None),
    holidays=frozenset(date for _, date in HOLIDAYS),
    first_year=FIRST_YEAR,
    last_year=LAST_YEAR,
)
