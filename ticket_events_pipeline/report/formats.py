"""How figures are said to people: lengths of time, moments, shares, names. Plain text: escaping is for who puts it on a page.

Nothing here depends on the machine's clock, zone or language: equal figures are said in equal words anywhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from ticket_events_pipeline.day import Day, zone
from ticket_events_pipeline.report.model import Mean

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_HOURS = {True: "business hours", False: "calendar hours", None: "hours unknown"}
_MOST_STRETCHES = 8


def count_text(number: float) -> str:
    """1234 → `1,234`; 5.14 → `5.1`; 5.0 → `5`."""
    rounded = round(number, 1)
    return f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.1f}"


def plural(number: int, noun: str) -> str:
    """1 → `1 day`; 1234 → `1,234 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration_text(seconds: float) -> str:
    """A length of time in its two largest units, cut, not rounded: `2 d 3 h`, `3 h 5 min`, `12 min`, `45 s`."""
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{whole} s"


def target_text(seconds: int) -> str:
    """What a policy allows, in hours and minutes: `48 h` (two days would be another length in business hours)."""
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    parts = (f"{hours:,} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else "")
    return " ".join(part for part in parts if part) or "0 min"


def rate_text(share: float) -> str:
    """0.9167 → `91.7%`. Never 100% or 0% unless it is exactly that."""
    text = f"{share:.1%}"
    if text == "100.0%":
        return "100%" if share == 1 else ">99.9%"
    if text == "0.0%":
        return "0%" if share == 0 else "<0.1%"
    return text


def breaches_against(mean: Mean | None, breaches: int) -> str:
    """The difference to a usual day, and that: `2 more than usual (5)`, `1.4 fewer than usual (3.4)`, `as usual (3)`."""
    if mean is None:
        return "no earlier day to compare with"
    return _against(breaches - mean.breaches, count_text(mean.breaches), "more than usual", "fewer than usual")


def is_far_above(mean: Mean | None, breaches: int) -> bool:
    """Whether there were so many more than usual that it has to catch the eye: one breach and a quarter of them at least."""
    return mean is not None and breaches - mean.breaches >= max(1, mean.breaches / 4)


def rate_against(mean: Mean | None, rate: float | None) -> str:
    """The difference of an achievement rate to the usual one: `3.2 points below usual (95.4%)`; empty if that is unknown."""
    if mean is None or mean.achievement_rate is None:
        return ""
    usual = rate_text(mean.achievement_rate)
    if rate is None:
        return f"usually {usual}"
    return _against((rate - mean.achievement_rate) * 100, usual, "points above usual", "points below usual")


def _against(difference: float, usual: str, more: str, less: str) -> str:
    amount = count_text(abs(difference))
    side = more if difference > 0 else less
    said = "as usual" if amount == "0" else f"{amount} {side.replace('points', 'point') if amount == '1' else side}"
    return f"{said} ({usual})"


def metric_name(sla_metric: str) -> str:
    """`first_reply_time` → `First reply time`."""
    words = sla_metric.replace("_", " ")
    return words[:1].upper() + words[1:]


def policy_name(policy_id: str | None, policy_title: str | None) -> str:
    """Its title, else its number; `no known policy` where Zendesk never said which."""
    return policy_title or (f"policy {policy_id}" if policy_id else "no known policy")


def hours_name(business_hours: bool | None) -> str:
    """`business hours`, `calendar hours` or `hours unknown`."""
    return _HOURS[business_hours]


def date_text(date: dt.date) -> str:
    """`Monday, 23 November 2026`."""
    return f"{WEEKDAYS[date.weekday()]}, {date.day} {MONTHS[date.month - 1]} {date.year}"


def short_date_text(date: dt.date) -> str:
    """`Mon 23 Nov`."""
    return f"{WEEKDAYS[date.weekday()][:3]} {date.day} {MONTHS[date.month - 1][:3]}"


def local(epoch_seconds: int, timezone: str) -> dt.datetime:
    """The moment in the account's zone, whose offset it knows; the calendar's last or first one if it lies beyond."""
    try:
        return dt.datetime.fromtimestamp(epoch_seconds, zone(timezone))
    except (OverflowError, ValueError, OSError):  # planned breaches may be dated anywhere
        return dt.datetime.max.replace(tzinfo=dt.UTC) if epoch_seconds > 0 else dt.datetime.min.replace(tzinfo=dt.UTC)


def moment_text(epoch_seconds: int, day: Day) -> str:
    """`Mon 23 Nov, 14:05`, local to the account; with the year where it is another than the day's."""
    moment = local(epoch_seconds, day.timezone)
    year = "" if moment.year == day.date.year else f" {moment.year}"
    return f"{short_date_text(moment.date())}{year}, {moment:%H:%M}"


def days_text(days: Iterable[Day]) -> str:
    """Ascending days as stretches, the last ones where there are too many: `3 to 5 Nov, 9 Nov`."""
    stretches: list[tuple[Day, Day]] = []
    for day in days:
        if stretches and stretches[-1][1].plus(1) == day:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    shown = stretches[-_MOST_STRETCHES:]
    more = len(stretches) - len(shown)
    return ("earlier ones, " if more else "") + ", ".join(_stretch_text(first, last) for first, last in shown)


def _stretch_text(first: Day, last: Day) -> str:
    end = f"{last.date.day} {MONTHS[last.date.month - 1][:3]}"
    if first == last:
        return end
    is_one_month = (first.date.year, first.date.month) == (last.date.year, last.date.month)
    return f"{first.date.day}{'' if is_one_month else f' {MONTHS[first.date.month - 1][:3]}'} to {end}"
