"""Calendar and business time: how much of it has passed between two moments, and when an amount of it has passed.

All in epoch seconds, UTC. The simulated account has one schedule without holidays: Monday to Friday, 08:00 to 18:00 UTC.
"""

from __future__ import annotations

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
    """Seconds of business hours in [start, end)."""
    return _business_since_epoch_week(end) - _business_since_epoch_week(start)


def add_business_seconds(start: int, seconds: int) -> int:
    """The earliest moment at which `seconds` (at least 1) of business hours have passed since `start`."""
    # The last second is counted apart, so that a day's last one ends at closing time and not at the next opening.
    weeks, rest = divmod(_business_since_epoch_week(start) + seconds - 1, OPEN_SECONDS_PER_WEEK)
    days, into_day = divmod(rest, OPEN_SECONDS_PER_DAY)
    midnight = weeks * WEEK_SECONDS + days * DAY_SECONDS - _EPOCH_AFTER_MONDAY_SECONDS
    return midnight + OPENING_SECONDS + into_day + 1
