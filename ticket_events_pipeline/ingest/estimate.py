"""How many rows a range of days may hold: from the footers of stored days, or from a few pages read here and there.

An estimate, and said to be one: with every figure goes what it rests on. What is made of it is `plan`'s and `progress`'s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import WalkedPage

NEAR_DAYS = 28
"""Four weeks: an account's days are like those of the weeks around them, weekday by weekday."""

FEWEST_DAYS = 3
"""One stored Sunday says little of a week."""

MOST_PROBES = 4
"""Requests that an estimate may cost a stream."""

# The page that finds the end, and one for rows that come again at seconds' edges or lie behind the range.
_MORE_REQUESTS = 2
# Monday is 0. A quarter of the probes looks at a weekend, as about a quarter of the days is one.
_PROBE_WEEKDAYS = (1, 5, 3, 0)
# A probe younger than this may meet what the server withholds.
_YOUNGEST_PROBE_SECONDS = 600


@dataclass(frozen=True)
class RowsEstimate:
    """So many rows, and what that rests on, for people."""

    rows: int
    basis: str


class Pages(Protocol):
    """What a probe needs of a client."""

    def pages(self, stream: Stream, start_time: int) -> Iterator[WalkedPage]:
        """The stream's pages from `start_time` (epoch seconds, inclusive) on."""


def requests_for(rows: float) -> int:
    """Requests that reading so many rows in one pass takes."""
    return math.ceil(rows / PAGE_LIMIT) + _MORE_REQUESTS


def estimate_from_stored(store: Store, stream: str, days: list[Day], *, now: float) -> RowsEstimate | None:
    """Rows of the contiguous `days` up to `now`, by at most NEAR_DAYS stored days in them or near; None if there are too few.

    Reads footers, and makes no request.
    """
    stored = stored_days(store, stream, days[0].timezone)
    return estimate_from_rows(complete_rows(store, stream, nearest(stored, days)), days, now=now)


def estimate_from_rows(rows: dict[Day, int], days: list[Day], *, now: float) -> RowsEstimate | None:
    """Rows of `days` up to `now`, as those of the complete days in `rows`; None if these are too few, or too far away."""
    known = sorted(rows)
    if len(known) < FEWEST_DAYS or not all(_is_near(day, known) for day in days):
        return None
    by_weekday: dict[int, list[int]] = defaultdict(list)
    for day in known:
        by_weekday[day.date.weekday()].append(rows[day])
    mean = sum(rows.values()) / len(rows)
    total = 0.0
    for day in days:
        alike = by_weekday.get(day.date.weekday())
        total += _passed_share(day, now) * (sum(alike) / len(alike) if alike else mean)
    return RowsEstimate(round(total), f"as on {len(known)} stored days, {known[0]} to {known[-1]}")


def complete_rows(store: Store, stream: str, days: list[Day]) -> dict[Day, int]:
    """Rows of those of `days` that are stored complete."""
    return {day: footer.rows for day, footer in read_raw_footers(store, stream, days) if footer.complete}


def nearest(stored: list[Day], days: list[Day]) -> list[Day]:
    """At most NEAR_DAYS of `stored`: those in the range of `days`, evenly spread; else those nearest to it."""
    inside = [day for day in stored if days[0] <= day <= days[-1]]
    if len(inside) >= NEAR_DAYS:
        return [inside[index * len(inside) // NEAR_DAYS] for index in range(NEAR_DAYS)]
    outside = [day for day in stored if not days[0] <= day <= days[-1]]
    outside.sort(key=lambda day: min(abs((day.date - edge.date).days) for edge in (days[0], days[-1])))
    return sorted(inside + outside[: NEAR_DAYS - len(inside)])


def estimate_by_probes(source: Pages, stream: Stream, days: list[Day], *, now: float) -> RowsEstimate:
    """Rows of `days` up to `now`, by at most MOST_PROBES requests: each page tells how dense the rows are where it lies.

    Raises:
        AccountError, TransientError: the account can't be asked.
    """
    rates: list[float] = []
    read_until, requests = 0.0, 0
    for start_time in probe_places(days, now=now):
        if start_time >= read_until:  # else the page before has told of it: a quiet account
            walked = next(source.pages(stream, start_time))
            requests += walked.requests
            read_until = _read_until(walked, now)
            rates.append(len(walked.page.rows) / max(1.0, read_until - start_time))
        else:
            rates.append(rates[-1])
    seconds = sum(_passed_share(day, now) * (day.end - day.start) for day in days)
    rate = sum(rates) / len(rates) if rates else 0.0
    return RowsEstimate(round(rate * seconds), f"by {requests} probe request{'' if requests == 1 else 's'}")


def probe_places(days: list[Day], *, now: float) -> list[int]:
    """Start times of the probes: spread over the range, the hours of the day and the week: nights and weekends are quiet."""
    places = []
    for number, weekday in enumerate(_PROBE_WEEKDAYS):
        middle = (number + 0.5) / MOST_PROBES
        day = days[int(middle * len(days))]
        if len(days) >= 7 * MOST_PROBES:
            day = day.plus((weekday - day.date.weekday() + 3) % 7 - 3)
        places.append(int(day.start + middle * (day.end - day.start)))
    latest = now - _YOUNGEST_PROBE_SECONDS
    return [place for place in places if place <= latest] or [min(days[0].start, int(latest))]


def _read_until(walked: WalkedPage, now: float) -> float:
    """The moment through which a page tells of the stream."""
    return now if walked.at_end else min(now, float(walked.watermark))


def _is_near(day: Day, known: list[Day]) -> bool:
    return any(abs((day.date - other.date).days) <= NEAR_DAYS for other in known)


def _passed_share(day: Day, now: float) -> float:
    return min(1.0, max(0.0, (now - day.start) / (day.end - day.start)))
