"""A plain second implementation of business hours, which has a truth value for every second of some days.

Times on clocks are looked up in a list of what the clocks show in every second, instead of being computed.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

DAY = 86_400
REACH = 9 * DAY
"""An interval may begin a week before the second that it is looked up for."""

SUNDAY = 3 * DAY
"""1970-01-04, 00:00 on any clock, in seconds since 1970-01-01, 00:00 on that clock."""


class Clocks:
    """What a zone's clocks show in every second of [first, last) and some days around it; offsets are of whole minutes."""

    def __init__(self, zone, first, last):
        self.start = (first - REACH) // 60 * 60
        size = -(-(last + REACH - self.start) // 60) * 60
        moments = (dt.datetime.fromtimestamp(self.start + minute, ZoneInfo(zone)) for minute in range(0, size, 60))
        offsets = np.repeat([int(moment.utcoffset().total_seconds()) for moment in moments], 60)
        shown = self.start + np.arange(size) + offsets
        self.earliest = int(shown.min())
        self.shown_at = np.full(shown.max() - self.earliest + 1, -1, np.int32)
        self.shown_at[(shown - self.earliest)[::-1]] = np.arange(size, dtype=np.int32)[::-1]  # of two times, the first

    def second_of(self, shown):
        """When the clocks show a time, in seconds like SUNDAY, for the first time; where it is left out, as much later."""
        place, passed = shown - self.earliest, 0
        while self.shown_at[place] < 0:
            place, passed = place - 60, passed + 60
        return self.start + int(self.shown_at[place]) + passed

    def sundays(self):
        """Midnight of every Sunday of which the whole week is covered."""
        first = -(-(self.earliest - SUNDAY) // (7 * DAY))
        last = (self.earliest + len(self.shown_at) - 1 - SUNDAY) // (7 * DAY)
        return [SUNDAY + week * 7 * DAY for week in range(first, last)]


clocks_of = lru_cache(maxsize=4)(Clocks)


def open_seconds(schedule, zone, first, last):
    """Whether a schedule is open in each second of [first, last), epoch seconds; `zone` is the IANA name."""
    clocks, is_open = clocks_of(zone, first, last), np.zeros(last - first, bool)

    def mark(start, end, value):
        is_open[max(clocks.second_of(start) - first, 0) : max(clocks.second_of(end) - first, 0)] = value

    for sunday in clocks.sundays():
        for start, end in schedule.intervals:
            mark(sunday + start * 60, sunday + end * 60, True)
    for day, last_day in schedule.holidays:
        start, end = (int(dt.datetime.combine(date, dt.time(), dt.UTC).timestamp()) for date in (day, last_day))
        covered = clocks.earliest + DAY, clocks.earliest + len(clocks.shown_at) - 1
        start, end = (min(max(moment, covered[0]), covered[1]) for moment in (start, end + DAY))
        mark(start, end, False)
    return is_open


def due_second(is_open, stretches, target):
    """The first second, counted from that of `is_open[0]`, before which a clock ran for `target` open seconds.

    The clock ran in these stretches, [start, end) in the same seconds, and still runs after the last one's start. None where
    `is_open` ends before the target is reached.
    """
    runs = np.zeros(len(is_open), bool)
    for start, end in stretches:
        runs[start:end] = True
    runs[stretches[-1][0] :] = True
    counted = np.flatnonzero(is_open & runs)
    if target <= 0:
        return stretches[0][0]
    return int(counted[target - 1]) + 1 if target <= len(counted) else None
