"""A slow and plain second implementation of business hours: every second is looked at on its own."""

from __future__ import annotations

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = dt.timedelta(minutes=1)
MONTH = 30 * 86_400


def clock_of(second, zone):
    """What the zone's clocks show."""
    return dt.datetime.fromtimestamp(second, ZoneInfo(zone)).replace(tzinfo=None)


class Clocks:
    """When the clocks of a zone show a time: the first time that they do; in the gap of spring, as much later."""

    def __init__(self, zone, first, last):
        self.shown = {}
        for minute in range(first // 60 * 60, last, 60):
            self.shown.setdefault(clock_of(minute, zone), minute)

    def second_of(self, moment):
        passed = 0
        while moment not in self.shown:
            moment, passed = moment - MINUTE, passed + 60
        return self.shown[moment] + passed


@cache
def clocks_of(zone, first, last):
    """The clocks from one number of months to another, since 1970."""
    return Clocks(zone, first * MONTH, last * MONTH)


def open_minutes(schedule, zone, first, last):
    """The minutes (epoch seconds // 60) from a week before `first` to a week after `last` in which the schedule is open."""
    week = 8 * 86_400
    clocks = clocks_of(zone, (first - 2 * week) // MONTH, (last + 2 * week) // MONTH + 1)
    found, day = set(), clock_of(first - week, zone).date()
    while day <= clock_of(last + week, zone).date():
        for start, end in schedule.intervals:
            if start // 1440 == day.isoweekday() % 7:
                midnight = dt.datetime.combine(day, dt.time())
                times = [clocks.second_of(midnight + MINUTE * (minute - start // 1440 * 1440)) for minute in (start, end)]
                found |= set(range(times[0] // 60, times[1] // 60))
        day += dt.timedelta(days=1)
    is_holiday = {minute for minute in found if on_holiday(clock_of(minute * 60, zone).date(), schedule)}
    return found - is_holiday


def on_holiday(date, schedule):
    return any(first <= date <= last for first, last in schedule.holidays)


def business_seconds(schedule, zone, start, end):
    """Seconds of [start, end) in which the schedule is open."""
    is_open = open_minutes(schedule, zone, start, end)
    return sum(second // 60 in is_open for second in range(start, end))
