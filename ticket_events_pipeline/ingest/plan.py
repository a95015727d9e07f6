"""What reading a range of days would take: rows, requests, time and disk, per stream, before a single day is fetched.

Figures only; the words for people are `cli.plan`'s, and what the rows are estimated from is `estimate`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.estimate import (
    Pages,
    RowsEstimate,
    complete_rows,
    estimate_by_probes,
    estimate_from_rows,
    nearest,
    requests_for,
)
from ticket_events_pipeline.storage.partition_file import partition_path, stored_days
from ticket_events_pipeline.storage.raw_footer import read_raw_footers
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import Stream

_FEWEST_ROWS_TO_MEASURE = 1000  # of fewer, the file's own overhead is most


@dataclass(frozen=True)
class StoredRange:
    """What is stored of a range.

    Attributes:
        complete: rows of the days that are whole: read again and replaced where they are asked for.
        open: days that were not over when they were read; the first of a range is gone on with, others are read again.
        damaged: days whose file can't be read.
    """

    complete: dict[Day, int]
    open: list[Day]
    damaged: list[Day]


@dataclass(frozen=True)
class StreamPlan:
    """What one stream of the range would take; everything is an estimate, but what is stored.

    Attributes:
        rows: of the range, with what they rest on.
        requests: pages of a thousand rows, and a few.
        size_bytes: of the Parquet files.
        size_basis: what that rests on, for people.
    """

    stream: str
    stored: StoredRange
    rows: RowsEstimate
    requests: int
    size_bytes: int
    size_basis: str


def plan_stream(store: Store, stream: Stream, days: list[Day], *, now: float, source: Callable[[], Pages]) -> StreamPlan:
    """Plan to read `stream` over the contiguous `days`. `source` is asked for only where too little is stored.

    Raises:
        AccountError, TransientError: the account can't be asked.
    """
    every_day = stored_days(store, stream.name, days[0].timezone)
    stored = _stored_range(store, stream.name, [day for day in every_day if days[0] <= day <= days[-1]])
    near = [day for day in nearest(every_day, days) if day not in stored.complete]
    known = {**complete_rows(store, stream.name, near), **stored.complete}
    rows = _rows(stream, days, stored, known, now=now, source=source)
    bytes_per_row, size_basis = _bytes_per_row(store, stream, known)
    return StreamPlan(stream.name, stored, rows, requests_for(rows.rows), round(rows.rows * bytes_per_row), size_basis)


def stretches(days: list[Day]) -> list[tuple[Day, Day]]:
    """The ascending `days` as first and last of each contiguous stretch."""
    found: list[tuple[Day, Day]] = []
    for day in days:
        if found and found[-1][1].plus(1) == day:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


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
        return RowsEstimate(held, f"as stored on all {len(days)} days")
    rest = estimate_from_rows(known, missing, now=now) or estimate_by_probes(source(), stream, missing, now=now)
    own = f"as stored on {len(stored.complete)} of the days; the rest " if stored.complete else ""
    return RowsEstimate(held + rest.rows, own + rest.basis)


def _bytes_per_row(store: Store, stream: Stream, known: dict[Day, int]) -> tuple[float, str]:
    measured = nearest(sorted(known), sorted(known)) if known else []  # not more than a few weeks
    rows = sum(known[day] for day in measured)
    if rows < _FEWEST_ROWS_TO_MEASURE:
        return stream.typical_bytes_per_row, "a typical figure, without comments; nothing is stored to measure"
    size = sum(_size(store, partition_path(stream.name, day)) for day in measured)
    return size / rows, f"{size / rows:,.0f} bytes a row, as stored on {len(measured)} days"


def _size(store: Store, path: str) -> int:
    try:
        with closing(store.reader(path)) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError:  # replaced or removed meanwhile
        return 0
