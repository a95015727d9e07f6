"""Compares stored days with the API: reads a sample of the ledgers' pages again, and compares ids and times.

Compared are only rows older than the stream's lag, inside stored days, and as far as a page holds every row. A difference
needn't be a fault, since rows come late and are withdrawn; in any case the remedy is to read the day again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.quality.findings import MAX_NAMED_IDS, Finding, materialize_again
from ticket_events_pipeline.quality.footer_checks import latest_next_start
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_SHAPE, metric_shaped
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.zendesk.client import PageSource, WalkedPage

MAX_PAGES = 3
"""Pages read for one page of the ledger, to get to where that ended."""

_Key = tuple[bool, int]
"""What makes rows the same event: whether it has the metric-event shape, and its id."""

_TimedEvent = tuple[_Key, int]
"""An event and its time in epoch milliseconds: an event whose time changed counts as gone from one time and new at another."""


@dataclass(frozen=True)
class Sample:
    """The pages to read again.

    Attributes:
        windows: the epoch seconds that each of them covered, in order.
        pages: how many pages the ledgers hold.
    """

    windows: tuple[range, ...]
    pages: int


@dataclass(frozen=True)
class Comparison:
    """A page that was read again.

    Attributes:
        window: the seconds that were compared, epoch seconds.
        rows: stored rows that were compared.
        findings: one for each difference, with its day.
    """

    window: range
    rows: int
    findings: tuple[tuple[Day, Finding], ...]


def draw_sample(store: Store, stream: Stream, days: Iterable[Day], *, size: int, seed: int) -> Sample:
    """Draw `size` of the pages in the ledgers of `days`, all of them readable; the same pages for the same seed."""
    ends: dict[int, int] = {}
    for day in days:
        footer = read_raw_footer(store, stream.name, day)
        for page in () if footer is None else footer.pages:
            if footer is not None and _overlaps(page, footer):
                ends[page.start_time] = max(ends.get(page.start_time, 0), latest_next_start(page) or page.start_time)
    starts = random.Random(seed).sample(sorted(ends), min(size, len(ends)))  # noqa: S311  # not a secret, but a stated sample
    return Sample(tuple(range(start, ends[start]) for start in sorted(starts)), len(ends))


def compare_with_api(
    source: PageSource, store: Store, *, stream: Stream, days: list[Day], sample: Sample
) -> Iterator[Comparison]:
    """Read each page of the sample again, and compare it with those of `days` that it overlaps.

    One request each; up to MAX_PAGES where rows have been added since, or the server puts fewer on a page.

    Raises:
        AccountError, TransientError, DataError: from the source.
    """
    for wanted in sample.windows:
        window, delivered = _read_again(source, stream, wanted)
        findings, rows = [], 0
        for day in days:
            if window.start < day.end and day.start < window.stop:
                compared, differences = _compare_day(store, stream, day, window, delivered)
                rows += compared
                findings += [(day, difference) for difference in differences]
        yield Comparison(window, rows, tuple(findings))


def _read_again(source: PageSource, stream: Stream, window: range) -> tuple[range, dict[_Key, int]]:
    """The events from the window's start on, and the seconds for which they are complete."""
    delivered: dict[_Key, int] = {}
    complete_to = window.start
    for walked in islice(source.pages(stream, window.start), MAX_PAGES):
        delivered |= _keys_by_time(decode_rows(stream.name, walked.page.rows).table)
        complete_to = _complete_to(walked)
        if complete_to >= max(window.stop, window.start + 1):
            break
    return range(window.start, max(window.start, complete_to)), delivered


def _overlaps(page: LedgerPage, footer: RawFooter) -> bool:
    end = latest_next_start(page)
    return page.start_time < footer.window_end and (end is None or end >= footer.window_start)


def _complete_to(walked: WalkedPage) -> int:
    """The second up to which the page holds every row: its last second may continue on the next page."""
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
    expected = {(key, time) for key, time in delivered.items() if start_ms <= time < end_ms}
    stored = _stored_within(store, stream, day, start_ms=start_ms, end_ms=end_ms)
    return len(stored), list(_differences(stream, day, footer, added=expected - stored, gone=stored - expected))


def _stored_within(store: Store, stream: Stream, day: Day, *, start_ms: int, end_ms: int) -> set[_TimedEvent]:
    within: set[_TimedEvent] = set()
    with opened_partition(store, stream.name, day) as file:
        columns = [name for name in ("id", "time", *METRIC_SHAPE) if name in TABLES[stream.name]]
        for batch in [] if file is None else file.batches(columns):
            rows = pa.Table.from_batches([batch])
            times = rows["time"].cast(pa.int64()).to_numpy()
            inside = pa.array((times >= start_ms) & (times < end_ms))
            within |= set(_keys_by_time(rows.filter(inside)).items())
    return within


def _differences(
    stream: Stream, day: Day, footer: RawFooter, *, added: set[_TimedEvent], gone: set[_TimedEvent]
) -> Iterator[Finding]:
    read_at = utc_text(footer.fetched_at)
    for events, problem in (
        (added, f"{_events(added)} in the API, but not in the file: added after it was read at {read_at}, or lost"),
        (gone, f"{_events(gone)} in the file, but not in the API: withdrawn after it was read at {read_at}"),
    ):
        if events:
            yield Finding(f"{problem} ({_id_text(events)}).", materialize_again(stream.name, day))


def _events(events: set[_TimedEvent]) -> str:
    return f"{plural(len(events), 'event')} {'is' if len(events) == 1 else 'are'}"


def _id_text(events: set[_TimedEvent]) -> str:
    ids = sorted(event_id for (_, event_id), _ in events)
    return (
        f"id{'' if len(ids) == 1 else 's'} "
        + ", ".join(map(str, ids[:MAX_NAMED_IDS]))
        + (", …" if len(ids) > MAX_NAMED_IDS else "")
    )
