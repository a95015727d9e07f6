"""Time: epoch seconds, calendar days of a timezone, and the only reading of the wall clock.

Times inside the pipeline are epoch seconds (UTC). A `Day` is a calendar day of an IANA timezone, half-open: midnight
belongs to the day that begins.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Clock = Callable[[], float]
"""Returns epoch seconds: `wall_clock`, or a clock of a test."""


class Instant(NamedTuple):
    """A moment that is known within bounds, both in epoch seconds; a clock that needs no correction states it exactly."""

    earliest: float
    latest: float

    @classmethod
    def exactly(cls, epoch_seconds: float) -> Instant:
        """The moment, without uncertainty."""
        return cls(epoch_seconds, epoch_seconds)


SharedClock = Callable[[], Instant]
"""Returns now by a clock that several machines share."""

LAST_EPOCH_SECOND = 253_402_300_799
"""Of the year 9999. A larger number is not epoch seconds, but most likely milliseconds."""


def wall_clock() -> float:
    """Epoch seconds now. The only reading of the machine's clock in the package."""
    return time.time()


@lru_cache(maxsize=64)
def zone(timezone: str) -> ZoneInfo:
    """The IANA zone of that name.

    Raises:
        ValueError: no such zone; the message names it.
    """
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{timezone!r} is not an IANA timezone (examples: UTC, Europe/Berlin, America/New_York)") from error


@lru_cache(maxsize=4096)
def _local_midnight(date: dt.date, timezone: str) -> int:
    # fold=0 takes the offset before a change of the clock: where midnight itself is skipped, the day begins at the change.
    return int(dt.datetime(date.year, date.month, date.day, tzinfo=zone(timezone)).timestamp())


@dataclass(frozen=True, order=True)
class Day:
    """A calendar day local to `timezone`; the window [start, end) has 23 to 25 hours."""

    date: dt.date
    timezone: str = "UTC"

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Day:
        """The day written as YYYY-MM-DD, which is also its partition key.

        Raises:
            ValueError: `text` is no such date.
        """
        try:
            date = dt.date.fromisoformat(text)
        except ValueError:
            date = None
        if date is None or date.isoformat() != text:  # fromisoformat takes 20260302 and 2026-W10-1 too
            raise ValueError(f"{text!r} is not a date of the form YYYY-MM-DD")
        return cls(date, timezone)

    @classmethod
    def containing(cls, epoch_seconds: float, timezone: str = "UTC") -> Day:
        """The day that contains `epoch_seconds`."""
        return cls(dt.datetime.fromtimestamp(epoch_seconds, zone(timezone)).date(), timezone)

    @property
    def start(self) -> int:
        """Epoch seconds of the local midnight that begins the day."""
        return _local_midnight(self.date, self.timezone)

    @property
    def end(self) -> int:
        """Epoch seconds of the next local midnight; no longer part of the day."""
        return self.plus(1).start

    def plus(self, days: int) -> Day:
        """The day that many calendar days later (earlier, if negative)."""
        return Day(self.date + dt.timedelta(days=days), self.timezone)

    def __str__(self) -> str:
        return self.date.isoformat()


def day_ranges(days: Iterable[Day]) -> list[tuple[Day, Day]]:
    """The ascending `days` as first and last of each contiguous range."""
    found: list[tuple[Day, Day]] = []
    for day in days:
        if found and found[-1][1].plus(1) == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def days_between(first: Day, last: Day) -> list[Day]:
    """All days from `first` through `last`, in order; empty if `last` is before `first`."""
    return [first.plus(offset) for offset in range((last.date - first.date).days + 1)]


def same_weekdays(day: Day, weeks: int) -> list[Day]:
    """The same weekday of the `weeks` weeks before, the latest first; offices are closed on other weekdays."""
    return [day.plus(-7 * week) for week in range(1, weeks + 1)]
