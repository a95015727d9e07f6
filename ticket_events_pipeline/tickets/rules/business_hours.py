"""Business hours: when a schedule of the account is open, and how many of some seconds were business seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from ticket_events_pipeline.sla.rules.row_runs import Ints
from ticket_events_pipeline.tickets.rules.running_time import NEVER
from ticket_events_pipeline.tickets.rules.time_zones import find_zone

DAY, WEEK = dt.timedelta(days=1), dt.timedelta(weeks=1)

LOOK_AHEAD_SECONDS = 3 * 366 * 86_400
"""Business hours are laid out over at most three years: a schedule may have hardly any, or holidays for years."""

STEPS_SECONDS = (14 * 86_400, 120 * 86_400, LOOK_AHEAD_SECONDS)
"""How far ahead, the first time and when that wasn't enough: nearly all targets end within days."""

Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Schedule:
    """Business hours of the account, as Zendesk defines them.

    Attributes:
        time_zone: Zendesk's name of the zone, such as "Eastern Time (US & Canada)", or an IANA name.
        intervals: from and to, in minutes since Sunday 00:00 on the zone's clocks, half-open.
        holidays: first and last day of each, inclusive.
    """

    id: int
    name: str
    time_zone: str
    intervals: tuple[tuple[int, int], ...]
    holidays: tuple[tuple[dt.date, dt.date], ...] = ()


@dataclass(frozen=True)
class OpenHours:
    """When a schedule is open within a range of time: disjoint stretches, ascending.

    Attributes:
        opens: when each begins, epoch seconds.
        closes: when each ends.
    """

    opens: Ints
    closes: Ints

    @cached_property
    def _before(self) -> Ints:
        """Business seconds before each stretch, and before the end of time."""
        return np.concatenate([[0], np.cumsum(self.closes - self.opens)])

    def seconds_until(self, times: Ints) -> Ints:
        """Business seconds from the beginning of the range until each time (epoch seconds)."""
        if not len(self.opens):
            return np.zeros(len(times), np.int64)
        begun = np.searchsorted(self.opens, times, side="right")
        last = np.maximum(begun - 1, 0)
        unused = np.where(begun > 0, np.maximum(self.closes[last] - times, 0), 0)
        until: Ints = self._before[begun] - unused
        return until

    def seconds_between(self, starts: Ints, ends: Ints) -> Ints:
        """Business seconds of each [start, end), epoch seconds."""
        return self.seconds_until(ends) - self.seconds_until(starts)

    def time_of(self, seconds: Ints) -> Ints:
        """The inverse of `seconds_until`: the first time (epoch seconds) until which so many business seconds have passed.

        So a time at which a schedule closes is that, and not when it opens again.

        Args:
            seconds: at least 1 each.

        Returns:
            NEVER where the range has fewer business seconds.
        """
        ended = np.searchsorted(self._before, seconds, side="left")
        is_reached = ended < len(self._before)
        ended = np.where(is_reached, ended, 0)
        ends = np.concatenate([[NEVER], self.closes])[ended]
        return np.where(is_reached, ends - (self._before[ended] - np.where(is_reached, seconds, 0)), NEVER)


def default_schedule(schedules: Mapping[int, Schedule]) -> int | None:
    """The id of the account's default schedule, which Zendesk applies to tickets that have none; None without schedules.

    It is the first of the account's list. Nothing stored tells that order, but ids ascend as schedules are made: the default is
    taken to be the smallest.
    https://support.zendesk.com/hc/en-us/articles/4408842938522
    """
    return min(schedules, default=None)


def business_seconds(schedule: Schedule, starts: Ints, ends: Ints) -> Ints | None:
    """Business seconds of each [start, end), epoch seconds; None if the schedule's zone isn't known."""
    zone = find_zone(schedule.time_zone)
    if zone is None:
        return None
    if not len(starts):
        return np.zeros(0, np.int64)
    return open_hours(schedule, zone, first=int(starts.min()), last=int(ends.max())).seconds_between(starts, ends)


def times_after(schedule: Schedule, zone: ZoneInfo, starts: Ints, seconds: Ints) -> Ints:
    """The first time at which so many business seconds, at least 1, have passed since each start; epoch seconds.

    NEVER where that isn't within LOOK_AHEAD_SECONDS.
    """
    if not len(starts):
        return starts
    first, last, found = int(starts.min()), int(starts.max()), starts
    for ahead in STEPS_SECONDS:
        hours = open_hours(schedule, zone, first=first, last=last + ahead)
        found = hours.time_of(hours.seconds_until(starts) + np.minimum(seconds, LOOK_AHEAD_SECONDS + 1))
        if (found <= last + ahead).all():
            break
    return np.where(found - LOOK_AHEAD_SECONDS <= starts, found, NEVER)


def open_hours(schedule: Schedule, zone: ZoneInfo, *, first: int, last: int) -> OpenHours:
    """When the schedule is open between two times (epoch seconds), and possibly somewhat before and after.

    Clock times are turned into times as Zendesk's library for business hours (zendesk/biz) does it. Where the clocks go back, a
    clock time that comes twice is the first of the two; where they go forward, one that is left out is as much later. So an
    interval is one stretch of time, and is longer or shorter by what the clocks are changed within it.
    """
    begin, end = (_midnight(dt.datetime.fromtimestamp(moment, zone).date(), zone) for moment in (first, last))
    end += DAY  # which has begun already where clocks went back over midnight
    sunday = begin - DAY * (begin.isoweekday() % 7) - WEEK
    sundays = [sunday + WEEK * number for number in range((end - sunday) // WEEK + 1)]
    intervals = [(dt.timedelta(minutes=opens), dt.timedelta(minutes=closes)) for opens, closes in schedule.intervals]
    weeks = [(sunday + opens, sunday + closes) for sunday in sundays for opens, closes in intervals]
    after = (end + 2 * WEEK).date()
    holidays = [(_midnight(day, zone), _midnight(min(last_day, after), zone) + DAY) for day, last_day in schedule.holidays]
    return _open_and_no_holiday(_seconds(weeks), _seconds(holidays))


def _midnight(date: dt.date, zone: ZoneInfo) -> dt.datetime:
    """00:00 on the zone's clocks; what is added to it passes on them."""
    return dt.datetime.combine(date, dt.time(), zone)


def _seconds(spans: Iterable[Span]) -> Ints:
    """Beginnings and ends as epoch seconds, one row for each span; those without length are left out."""
    seconds = [[int(moment.timestamp()) for moment in span] for span in spans]
    found = np.array(seconds, np.int64).reshape(-1, 2)
    return found[found[:, 0] < found[:, 1]]


def _open_and_no_holiday(spans: Ints, holidays: Ints) -> OpenHours:
    """The time that lies in any of `spans` and in none of `holidays`."""
    times, which = np.unique(np.concatenate([spans.T.ravel(), holidays.T.ravel()]), return_inverse=True)
    change = np.concatenate([_change(spans), np.zeros(holidays.size, np.int64)])
    off = np.concatenate([np.zeros(spans.size, np.int64), _change(holidays)])
    is_open = (_running_total(which, change, len(times)) > 0) & (_running_total(which, off, len(times)) == 0)
    was_open = np.concatenate([[False], is_open[:-1]]) if len(is_open) else is_open
    return OpenHours(times[is_open & ~was_open], times[was_open & ~is_open])


def _change(spans: Ints) -> Ints:
    """+1 for each beginning, then -1 for each end."""
    return np.repeat(np.array([1, -1]), len(spans))


def _running_total(which: Ints, change: Ints, size: int) -> Ints:
    """At each of `size` times, the sum of the changes so far; `which` time each belongs to."""
    total: Ints = np.cumsum(np.bincount(which, change, minlength=size)).astype(np.int64)
    return total
