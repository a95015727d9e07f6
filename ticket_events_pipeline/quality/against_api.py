"""What the API has now against what is stored: a few pages of the ledgers are read again, and ids are compared.

Only what lies behind the stream's lag and inside days that are stored is compared, and only as far as the page holds every
row. A difference needn't be a fault: rows come late, and are withdrawn. Either way, the day is to be read again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.ingest.fetch import PageSource
from ticket_events_pipeline.quality.findings import Finding, read_again
from ticket_events_pipeline.quality.ledger import reach
from ticket_events_pipeline.storage.decode import decode_rows
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import metric_shaped
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import utc_text

MOST_PAGES = 3
"""To get to where a page of the ledger ended."""

_Key = tuple[bool, int]
"""What makes rows the same event: whether it has the metric-event shape, and its id."""

_Placed = tuple[_Key, int]
"""An event and its time, epoch milliseconds: one that has moved is told as gone from the one and come to the other."""


@dataclass(frozen=True)
class Sample:
    """The pages to be read again.

    Attributes:
        windows: from which second to which each of them led, epoch seconds, in order.
        pages: how many the ledgers hold.
    """

    windows: tuple[range, ...]
    pages: int


@dataclass(frozen=True)
class Comparison:
    """A page that was read again.

    Attributes:
        window: the seconds that were compared, epoch seconds.
        rows: stored rows that were compared.
        findings: per day that differs.
    """

    window: range
    rows: int
    findings: tuple[tuple[Day, Finding], ...]


def draw_sample(store: Store, stream: Stream, days: Iterable[Day], *, size: int, seed: int) -> Sample:
    """`size` of the pages that stand in the ledgers of `days`, which can be read; the same ones for the same seed."""
    ends: dict[int, int] = {}
    for day in days:
        footer = read_raw_footer(store, stream.name, day)
        for page in () if footer is None else footer.pages:
            if footer is not None and _tells_of(page, footer):
                ends[page.start_time] = max(ends.get(page.start_time, 0), reach(page) or page.start_time)
    starts = random.Random(seed).sample(sorted(ends), min(size, len(ends)))  # noqa: S311  # not a secret, but a stated sample
    return Sample(tuple(range(start, ends[start]) for start in sorted(starts)), len(ends))


def compare_with_api(
    source: PageSource, store: Store, *, stream: Stream, days: list[Day], sample: Sample
) -> Iterator[Comparison]:
    """Read each page of the sample again, and compare it with those of `days` that it speaks of.

    One request each; up to MOST_PAGES where rows have come since, or the server puts fewer on a page.

    Raises:
        AccountError, TransientError, DataError: from the source.
    """
    for asked in sample.windows:
        window, delivered = _read_again(source, stream, asked)
        findings, rows = [], 0
        for day in days:
            if window.start < day.end and day.start < window.stop:
                compared, differences = _compare_day(store, stream, day, window, delivered)
                rows += compared
                findings += [(day, difference) for difference in differences]
        yield Comparison(window, rows, tuple(findings))


def _read_again(source: PageSource, stream: Stream, window: range) -> tuple[range, dict[_Key, int]]:
    """The events from the window's start on, and the seconds of which they are all."""
    delivered: dict[_Key, int] = {}
    held_to = window.start
    for walked in islice(source.pages(stream, window.start), MOST_PAGES):
        delivered |= _keys_by_time(decode_rows(stream.name, walked.page.rows).table)
        held_to = _held_to(walked)
        if held_to >= max(window.stop, window.start + 1):
            break
    return range(window.start, max(window.start, held_to)), delivered


def _tells_of(page: LedgerPage, footer: RawFooter) -> bool:
    end = reach(page)
    return page.start_time < footer.window_end and (end is None or end >= footer.window_start)


def _held_to(walked: WalkedPage) -> int:
    """Up to which second the page holds every row of the stream: the second that it ends with may go on on the next page."""
    page = walked.page
    if page.server_time is None:
        return walked.watermark
    settled = int(page.server_time) - page.stream.lag_seconds
    return settled if walked.at_end else min(walked.watermark, settled)


def _keys_by_time(rows: pa.Table) -> dict[_Key, int]:
    shapes = metric_shaped(rows).to_numpy()
    times = rows["time"].cast(pa.int64()).to_numpy()
    ids = rows["id"].to_numpy()
    return {(bool(shape), int(found)): int(time) for shape, found, time in zip(shapes, ids, times, strict=True)}


def _compare_day(
    store: Store, stream: Stream, day: Day, window: range, delivered: dict[_Key, int]
) -> tuple[int, list[Finding]]:
    footer = read_raw_footer(store, stream.name, day)
    if footer is None:
        return 0, []
    end = day.end if footer.complete else min(day.end, footer.next_start_time)
    start_ms, end_ms = max(window.start, day.start) * 1000, min(window.stop, end) * 1000
    due = {(key, time) for key, time in delivered.items() if start_ms <= time < end_ms}
    stored = _stored_within(store, stream, day, start_ms=start_ms, end_ms=end_ms)
    return len(stored), list(_differences(stream, day, footer, came=due - stored, gone=stored - due))


def _stored_within(store: Store, stream: Stream, day: Day, *, start_ms: int, end_ms: int) -> set[_Placed]:
    within: set[_Placed] = set()
    with opened_partition(store, stream.name, day) as file:
        for batch in [] if file is None else file.batches(["id", "time", "metric", "instance_id"]):
            rows = pa.Table.from_batches([batch])
            times = rows["time"].cast(pa.int64()).to_numpy()
            inside = pa.array((times >= start_ms) & (times < end_ms))
            within |= set(_keys_by_time(rows.filter(inside)).items())
    return within


def _differences(stream: Stream, day: Day, footer: RawFooter, *, came: set[_Placed], gone: set[_Placed]) -> Iterator[Finding]:
    read_at = utc_text(footer.fetched_at)
    for events, problem in (
        (came, f"The API has {len(came)} events that the file hasn't: they came after it was read at {read_at}, or were lost"),
        (gone, f"The file has {len(gone)} events that the API hasn't: they were withdrawn after it was read at {read_at}"),
    ):
        if events:
            yield Finding(f"{problem} (ids {_listed(events)}).", read_again(stream.name, day))


def _listed(events: set[_Placed]) -> str:
    ids = sorted(found for (_, found), _ in events)
    return ", ".join(str(found) for found in ids[:5]) + (", …" if len(ids) > 5 else "")
