"""Estimates of what a fetch takes: rows, requests and bytes, from the footers of stored days or from a few pages.

Every figure comes with the basis of its estimate.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.storage.partition_file import partition_path, stored_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.text import plural
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import WalkedPage

NEAR_DAYS = 28
"""Four weeks: an account's days are like those of the weeks around them, weekday by weekday."""

FEWEST_DAYS = 3
"""One stored Sunday says little of a week."""

MAX_PROBES = 4
"""Requests that an estimate may make per stream."""

# The page that finds the end, and one for rows that repeat at page edges or are from after the range.
_MORE_REQUESTS = 2
# Monday is 0. A quarter of the probes are at a weekend, as about a quarter of the days are.
_PROBE_WEEKDAYS = (1, 5, 3, 0)
# The server may withhold rows that are younger.
_YOUNGEST_PROBE_SECONDS = 600
_FEWEST_ROWS_TO_MEASURE = 1000  # in a smaller file, the overhead is the larger part


@dataclass(frozen=True)
class RowsEstimate:
    """A number of rows, and its basis in words."""

    rows: int
    basis: str


class Pages(Protocol):
    """What a probe needs of a client."""

    def pages(self, stream: Stream, start_time: int) -> Iterator[WalkedPage]:
        """The stream's pages from `start_time` (epoch seconds, inclusive) on."""


def requests_for(rows: float, *, fetches: int = 1) -> int:
    """Requests that reading so many rows takes, in one fetch or in several."""
    return math.ceil(rows / PAGE_LIMIT) + fetches * _MORE_REQUESTS


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
    """At most NEAR_DAYS of `stored`: those in the range of `days`, evenly spread; then those nearest to it."""
    inside = [day for day in stored if days[0] <= day <= days[-1]]
    if len(inside) >= NEAR_DAYS:
        return [inside[index * len(inside) // NEAR_DAYS] for index in range(NEAR_DAYS)]
    outside = [day for day in stored if not days[0] <= day <= days[-1]]
    outside.sort(key=lambda day: min(abs((day.date - edge.date).days) for edge in (days[0], days[-1])))
    return sorted(inside + outside[: NEAR_DAYS - len(inside)])


def estimate_by_probes(source: Pages, stream: Stream, days: list[Day], *, now: float) -> RowsEstimate:
    """Rows of `days` up to `now`, by at most MAX_PROBES requests: each page shows how dense the rows are at its time.

    Raises:
        AccountError, TransientError: the account can't be asked.
    """
    rates: list[float] = []
    read_until, requests = 0.0, 0
    for start_time in probe_places(days, now=now):
        if start_time >= read_until:  # else the page before covers it: a quiet account
            walked = next(source.pages(stream, start_time))
            requests += walked.requests
            read_until = _read_until(walked, now)
            rates.append(len(walked.page.rows) / max(1.0, read_until - start_time))
        else:
            rates.append(rates[-1])
    seconds = sum(_passed_share(day, now) * (day.end - day.start) for day in days)
    rate = sum(rates) / len(rates) if rates else 0.0
    return RowsEstimate(round(rate * seconds), f"by {plural(requests, 'probe request')}")


def probe_places(days: list[Day], *, now: float) -> list[int]:
    """Start times of the probes: spread over the range, the hours of the day and the week: nights and weekends are quiet."""
    places = []
    for number, weekday in enumerate(_PROBE_WEEKDAYS):
        middle = (number + 0.5) / MAX_PROBES
        day = days[int(middle * len(days))]
        if len(days) >= 7 * MAX_PROBES:
            day = day.plus((weekday - day.date.weekday() + 3) % 7 - 3)
        places.append(int(day.start + middle * (day.end - day.start)))
    latest = now - _YOUNGEST_PROBE_SECONDS
    return [place for place in places if place <= latest] or [min(days[0].start, int(latest))]


def _read_until(walked: WalkedPage, now: float) -> float:
    """The moment up to which a page covers the stream."""
    return now if walked.at_end else min(now, float(walked.watermark))


def _is_near(day: Day, known: list[Day]) -> bool:
    return any(abs((day.date - other.date).days) <= NEAR_DAYS for other in known)


def _passed_share(day: Day, now: float) -> float:
    return min(1.0, max(0.0, (now - day.start) / (day.end - day.start)))


@dataclass(frozen=True)
class StoredRange:
    """What is stored of a range.

    Attributes:
        complete: rows of the complete days, which a fetch reads again and replaces.
        open: days that were not over when they were read; a fetch resumes the first of a range, and reads others again.
        damaged: days whose file can't be read.
    """

    complete: dict[Day, int]
    open: list[Day]
    damaged: list[Day]


@dataclass(frozen=True)
class StreamPlan:
    """What one stream of the range would take; everything but `stored` is an estimate.

    Attributes:
        rows: of the range, with their basis.
        bytes_per_row: of the Parquet files.
        size_basis: the basis of that, in words.
    """

    stream: str
    stored: StoredRange
    rows: RowsEstimate
    bytes_per_row: float
    size_basis: str

    @property
    def requests(self) -> int:
        """If the whole range is fetched: pages of a thousand rows, and a few."""
        return requests_for(self.rows.rows)

    @property
    def size_bytes(self) -> int:
        """Of the range's Parquet files."""
        return round(self.rows.rows * self.bytes_per_row)

    def rows_without(self, days: Collection[Day]) -> int:
        """Rows of the range without some of its complete days."""
        return self.rows.rows - sum(self.stored.complete[day] for day in days)


def plan_stream(store: Store, stream: Stream, days: list[Day], *, now: float, source: Callable[[], Pages]) -> StreamPlan:
    """Plan to read `stream` over the contiguous `days`. `source` is called only if too little is stored.

    Raises:
        AccountError, TransientError: the account can't be asked.
    """
    every_day = stored_days(store, stream.name, days[0].timezone)
    stored = _stored_range(store, stream.name, [day for day in every_day if days[0] <= day <= days[-1]])
    near = [day for day in nearest(every_day, days) if day not in stored.complete]
    known = {**complete_rows(store, stream.name, near), **stored.complete}
    rows = _rows(stream, days, stored, known, now=now, source=source)
    bytes_per_row, size_basis = _bytes_per_row(store, stream, known)
    return StreamPlan(stream.name, stored, rows, bytes_per_row, size_basis)


def _stored_range(store: Store, stream: str, days: list[Day]) -> StoredRange:
    stored = StoredRange({}, [], [])
    for day, footer in read_raw_footers(store, stream, days, on_damaged=lambda day, _: stored.damaged.append(day)):
        if footer.complete:
            stored.complete[day] = footer.rows
        else:
            stored.open.append(day)
    return stored


def _rows(
    stream: Stream, days: list[Day], stored: StoredRange, known: dict[Day, int], *, now: float, source: Callable[[], Pages]
) -> RowsEstimate:
    """Rows of the range: as stored where it is; the rest by the days that are known, or by probes."""
    missing = [day for day in days if day not in stored.complete]
    held = sum(stored.complete.values())
    if not missing:
        return RowsEstimate(held, "as stored" if len(days) == 1 else f"as stored on all {len(days)} days")
    rest = estimate_from_rows(known, missing, now=now) or estimate_by_probes(source(), stream, missing, now=now)
    own = f"as stored on {len(stored.complete)} of the days; the rest " if stored.complete else ""
    return RowsEstimate(held + rest.rows, own + rest.basis)


def _bytes_per_row(store: Store, stream: Stream, known: dict[Day, int]) -> tuple[float, str]:
    measured = nearest(sorted(known), sorted(known)) if known else []  # not more than a few weeks
    rows = sum(known[day] for day in measured)
    if rows < _FEWEST_ROWS_TO_MEASURE:
        return stream.typical_bytes_per_row, "a typical figure, without comments; nothing is stored to measure"
    size = sum(_size(store, partition_path(stream.name, day)) for day in measured)
    return size / rows, f"{size / rows:,.0f} bytes a row, as stored on {plural(len(measured), 'day')}"


def _size(store: Store, path: str) -> int:
    try:
        with closing(store.reader(path)) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError:  # replaced or removed meanwhile
        return 0
