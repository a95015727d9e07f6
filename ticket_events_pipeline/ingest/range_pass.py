"""One walk along one stream for a contiguous range of days; every day is committed as soon as the stream has gone past it.

The walk itself (requests, waits, paging rules) is the client's; the file format is the lake's. Here is decided where reading
begins, which page belongs to which day's ledger, and when a day is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.ingest.day_rows import DayRows, route
from ticket_events_pipeline.ingest.ownership import Ownership, refuse_foreign_files
from ticket_events_pipeline.ingest.progress import Progress
from ticket_events_pipeline.lake.content_hash import content_hash
from ticket_events_pipeline.lake.event_batch import RejectedRow, decode_rows
from ticket_events_pipeline.lake.partition_file import partition_path, read_partition, write_partition
from ticket_events_pipeline.lake.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS, SCHEMA_VERSION, metric_shaped
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import Stream

SETTLING_SECONDS = 60
"""The server withholds the newest minute, and takes no younger start_time."""

Log = Callable[[str], None]


class PageSource(Protocol):
    """What a pass needs of a client."""

    def pages(self, stream: Stream, start_time: int) -> Iterator[WalkedPage]:
        """The stream's pages from `start_time` (epoch seconds, inclusive) on."""


@dataclass(frozen=True)
class CommittedDay:
    """A day that the pass has written.

    Attributes:
        day: which.
        footer: what its file says of itself.
        size_bytes: of its file.
        url: where the file lies.
        metric_rows: rows of the metric-event shape, the only ones that SLA tables are made of.
        oldest, newest: epoch seconds of its first and last event; None on an empty day.
    """

    day: Day
    footer: RawFooter
    size_bytes: int
    url: str
    metric_rows: int
    oldest: int | None
    newest: int | None


@dataclass
class _DayInProgress:
    rows: DayRows
    ledger: list[LedgerPage] = field(default_factory=list)
    requests: int = 0
    duplicates: int = 0


def fetch_days(
    source: PageSource,
    store: Store,
    *,
    stream: Stream,
    days: list[Day],
    ownership: Ownership,
    clock: Clock,
    log: Log,
) -> Iterator[CommittedDay]:
    """Read `stream` once over the contiguous, ascending `days` and yield each day when its file stands.

    A first day that is open is resumed where its reading ended; every other day is read anew and replaced. What was
    yielded stands, whatever becomes of the rest.

    Raises:
        ForeignRootError: the root holds files of another account, timezone or sideload.
        AccountError, TransientError, DataError: from the source; no file has been touched by the failing page.
    """
    refuse_foreign_files(store, stream.name, days, ownership, log)
    walk = _RangePass(store, stream=stream, days=days, ownership=ownership, clock=clock, log=log)
    for walked in source.pages(stream, walk.start_time):
        walk.take(walked)
        yield from walk.commit_finished(walked)
        if not walk.unfinished:
            return


class _RangePass:
    def __init__(self, store: Store, *, stream: Stream, days: list[Day], ownership: Ownership, clock: Clock, log: Log) -> None:
        self._store = store
        self._stream = stream
        self._days = days
        self._ownership = ownership
        self._clock = clock
        self._log = log
        self._rejected = 0
        self._read_through = 0
        nothing = RAW_SCHEMAS[stream.name].empty_table()
        self.unfinished = {day: _DayInProgress(DayRows(nothing)) for day in days}
        self.start_time = self._resume(days[0])
        self._progress = Progress(stream.name, days, clock=clock, log=log)

    def _resume(self, day: Day) -> int:
        """Where reading begins; an open day's rows and ledger are taken up again."""
        try:
            footer = read_raw_footer(self._store, self._stream.name, day)
            if footer is None or footer.complete or footer.schema_version != SCHEMA_VERSION:
                return day.start
            stored = read_partition(self._store, self._stream.name, day)
        except DamagedFileError as error:
            self._log(f"{error} It is read anew.")
            return day.start
        if stored is None or content_hash(stored) != footer.content_hash:
            self._log(f"{self._stream.name} of {day}: the rows don't match their footer's hash, the day is read anew.")
            return day.start
        start_time = max(day.start, footer.next_start_time - self._stream.lag_seconds)
        begun = self.unfinished[day]
        begun.rows.stored = stored
        begun.ledger.extend(footer.pages)
        begun.requests, begun.duplicates = footer.requests, footer.duplicates
        return start_time

    def take(self, walked: WalkedPage) -> None:
        """Route a page's rows to their days and its line to their ledgers."""
        page = walked.page
        batch = decode_rows(self._stream.name, page.rows)
        self._keep_rejected(page.start_time, batch.rejected)
        routed = route(batch.table, self._days)
        late = 0
        for day, rows in routed.by_day.items():
            if day in self.unfinished:
                self.unfinished[day].rows.add(rows)
            else:
                late += rows.num_rows
        self._note_in_ledgers(walked, batch.table)
        if batch.table.num_rows:
            newest_ms = pc.max(batch.table["time"].cast(pa.int64())).as_py()
            self._read_through = max(self._read_through, newest_ms // 1000)
        self._progress.page(walked, rows=batch.table.num_rows, before=routed.before, late=late)

    def _note_in_ledgers(self, walked: WalkedPage, rows: pa.Table) -> None:
        """A page stands in the ledger of every unfinished day that it tells something of; its requests count in the first."""
        ids = rows["id"]
        first_id, last_id = (ids[0].as_py(), ids[-1].as_py()) if len(ids) else (None, None)
        line = LedgerPage(walked.page.start_time, walked.page.end_time, len(walked.page.rows), first_id, last_id)
        # Also where the page tells nothing of that day: without a server time, it may only tell that the day is over.
        next(iter(self.unfinished.values())).requests += walked.requests
        for day, progress in self.unfinished.items():
            # The end of the stream speaks of every day that is left: there is nothing on any of them.
            reaches = walked.at_end or day.start <= walked.watermark
            if reaches and line.start_time < day.end + self._stream.lag_seconds:
                progress.ledger.append(line)

    def commit_finished(self, walked: WalkedPage) -> Iterator[CommittedDay]:
        """Write the days that the stream has gone past; at its end, all that are left."""
        read_up_to = _read_up_to(walked)
        for day in list(self.unfinished):
            complete = read_up_to >= day.end + self._stream.lag_seconds
            if not (complete or walked.at_end):
                return
            yield self._commit(day, self.unfinished.pop(day), walked, complete=complete)

    def _commit(self, day: Day, progress: _DayInProgress, walked: WalkedPage, *, complete: bool) -> CommittedDay:
        table, duplicates = progress.rows.settled(read_from=self.start_time, read_through=self._read_through)
        read_at = int(walked.page.server_time if walked.page.server_time is not None else self._clock())
        footer = RawFooter(
            schema_version=SCHEMA_VERSION,
            account=self._ownership.account,
            timezone=self._ownership.timezone,
            sideload=self._ownership.sideload,
            stream=self._stream.name,
            partition=str(day),
            window_start=day.start,
            window_end=day.end,
            complete=complete,
            next_start_time=walked.checkpoint,
            requests=progress.requests,
            rows=table.num_rows,
            duplicates=progress.duplicates + duplicates,
            rejected=self._rejected,
            fetched_at=read_at,
            content_hash=content_hash(table),
            pages=tuple(progress.ledger),
        )
        size = write_partition(self._store, self._stream.name, day, table, footer.to_metadata())
        state = "complete" if complete else "open"
        self._log(f"{self._stream.name} {day}: {table.num_rows:,} rows, {state}, {progress.requests} requests")
        return self._committed(day, table, footer, size)

    def _committed(self, day: Day, table: pa.Table, footer: RawFooter, size: int) -> CommittedDay:
        times = table["time"].cast(pa.int64())
        url = self._store.url(partition_path(self._stream.name, day))
        metric_rows = pc.sum(metric_shaped(table)).as_py() or 0
        if not len(times):
            return CommittedDay(day, footer, size, url, metric_rows, None, None)
        return CommittedDay(day, footer, size, url, metric_rows, times[0].as_py() // 1000, times[-1].as_py() // 1000)

    def _keep_rejected(self, start_time: int, rejected: list[RejectedRow]) -> None:
        """Set aside the rows that can't be placed; the same ones read again make the same file."""
        if not rejected:
            return
        self._rejected += len(rejected)
        lines = "".join(json.dumps({"reason": line.reason, "row": line.row}, sort_keys=True) + "\n" for line in rejected)
        digest = hashlib.sha256(lines.encode()).hexdigest()[:16]
        path = f"_rejected/{self._stream.name}/{start_time}-{digest}.jsonl"
        with self._store.writer(path) as file:
            file.write(lines.encode())
        self._log(f"{self._stream.name}: {len(rejected)} rows can't be placed, see {self._store.url(path)}")


def _read_up_to(walked: WalkedPage) -> int:
    """The moment, in epoch seconds, up to which the stream has been read for certain.

    At its end that is the server's now, less what may still be withheld; and nowhere more than that: a row that is dated ahead
    carries the watermark with it. A server that tells no time is believed only as far as the page was asked for.
    """
    if walked.page.server_time is None:
        return walked.page.start_time
    settled = int(walked.page.server_time) - SETTLING_SECONDS
    return settled if walked.at_end else min(walked.watermark, settled)
