"""A fetch: one reading of one stream over a contiguous range of days. A day is written when the stream was read past its end.

This module decides which day's ledger lists a page, when a day is complete, and when a journal file is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import BackgroundWorker
from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.decoding.decode import EventBatch, decode_pages
from ticket_events_pipeline.decoding.fast_lane import ColumnarRows
from ticket_events_pipeline.errors import DamagedFileError, DaysHeldError, LockHeldError, OverfullSecondError, TicketEventsError
from ticket_events_pipeline.forgotten.blanking import FetchBlanking, fetch_blanking
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress, route
from ticket_events_pipeline.ingest.journal import BYTES_PER_JOURNAL_FILE, MOST_UNSAVED_PAGES, PAGES_PER_JOURNAL_FILE
from ticket_events_pipeline.ingest.lease import Lease, Sleep, hold_days
from ticket_events_pipeline.ingest.ownership import Ownership, refuse_foreign_files
from ticket_events_pipeline.ingest.plan import estimate_from_stored
from ticket_events_pipeline.ingest.progress_log import Progress
from ticket_events_pipeline.ingest.resume import Resume, StartingPoint, complete_beginning, remove_late_journal_files
from ticket_events_pipeline.ingest.written_day import ReplacedDay, WrittenDay, write_day
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.pruned_days import refuse_closed_days
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.storage.rejected_rows import RejectedRows
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.zendesk.answers import MINIMUM_AGE_SECONDS
from ticket_events_pipeline.zendesk.page import EventPage

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import PageSource, WalkedPage

DATELESS_SECONDS = 86_400
"""If answers have no `Date` header, a day is complete so long after its end by this machine's clock, which may be wrong."""

SHORT_DAYS = 2
"""A fetch of yesterday and today is short: its log has no estimate."""

PAGES_AHEAD = 3
"""How many pages may wait for processing: as many as arrive while a journal file is written."""

PAGES_AT_ONCE = 3
"""How many pages are processed together, if they are small."""

SMALL_PAGE_BYTES = 2**20
"""Such a page in columns takes less memory; processing one alone costs nearly as much as processing some."""


def fetch_days(
    source: PageSource,
    store: Store,
    *,
    stream: Stream,
    days: list[Day],
    ownership: Ownership,
    clock: Clock,
    log: Log,
    label: str = "",
    requests_per_minute: int | None = None,
    sleep: Sleep | None = None,
    most_requests: int | None = None,
) -> Iterator[WrittenDay]:
    """Read `stream` once over the contiguous, ascending `days` and yield each day when its file is written.

    A first day that is open is resumed where its reading ended; every other day is read from its start and replaced. If a fetch
    of these days stopped less than a day ago, this one resumes it, and first yields the days that it had written. A yielded day
    stays written if a later one fails. Rows of what was forgotten (`ticket-events forget`) are blanked before anything of them
    is written. `label` names this fetch to others; `requests_per_minute`, the quota, is for the log's
    estimate; `sleep` waits for another fetch.

    With `most_requests`, the reading is bounded: first days that are complete are yielded as they are, and after so many
    requests, failed ones included, the day being read is written as far as it was read. Later days aren't touched. The next
    fetch goes on there.

    Raises:
        ForeignRootError: the root holds files of another account, timezone, sideload or support type scope.
        ClosedDayError: one of the days is closed, since days before it were pruned.
        DaysHeldError: another fetch has been reading one of the days for some minutes; or it has taken over from this one,
            whose process had been stopped.
        LockHeldError: another process was stopped in the middle of a write.
        DamagedFileError: the ledger of what was forgotten can't be read.
        AccountError, TransientError, DataError: from the source; the failing page has changed no file.
    """
    refuse_foreign_files(store, stream.name, days, ownership, log)
    if most_requests is not None:
        stored = complete_beginning(store, stream.name, days)
        yield from stored
        days = days[len(stored) :]
        if not days:
            return
    lease, is_finished = hold_days(store, stream.name, days, label=label, log=log, sleep=sleep), False
    try:
        refuse_closed_days(store, days)  # a prune holds the days that it closes
        store.sweep()
        fenced = lease.fenced()
        blanking = fetch_blanking(store, log)  # with the lease: `forget` waits for fetches that began before it
        begun = Resume(fenced, stream, days, ownership, lease=lease, clock=clock, log=log).beginning()
        yield from begun.finished
        if begun.state.days:
            progress = _progress(store, stream.name, begun, clock=clock, log=log, requests_per_minute=requests_per_minute)
            fetch = _Fetch(
                fenced,
                begun,
                stream=stream,
                ownership=ownership,
                lease=lease,
                progress=progress,
                blanking=blanking,
                clock=clock,
                log=log,
            )
            yield from fetch.run(source, most_requests)
        begun.journal.remove()
        is_finished = True
    except LockHeldError:  # checking the lease would wait for the same lock
        raise
    except TicketEventsError:
        _raise_if_taken_over(store, stream.name, lease)
        raise
    finally:
        lease.release(is_finished=is_finished)
    if lease.has_taken_over:
        with suppress(TicketEventsError):  # they do no harm, and the next fetch removes them
            remove_late_journal_files(store, stream.name)


def _progress(
    store: Store, stream: str, begun: StartingPoint, *, clock: Clock, log: Log, requests_per_minute: int | None
) -> Progress:
    days = list(begun.state.days)
    expected = estimate_from_stored(store, stream, days, now=clock()) if len(days) > SHORT_DAYS else None
    return Progress(stream, days, clock=clock, log=log, expected=expected, requests_per_minute=requests_per_minute)


def _raise_if_taken_over(store: Store, stream: str, lease: Lease) -> None:
    """A take-over is the cause to report of any failure: for example, the new holder removes journal files.

    Raises:
        DaysHeldError: another fetch has taken over.
    """
    try:
        lease.check_now()
    except DaysHeldError:
        with suppress(TicketEventsError):
            remove_late_journal_files(store, stream)
        raise


class _Fetch:
    def __init__(
        self,
        store: Store,
        begun: StartingPoint,
        *,
        stream: Stream,
        ownership: Ownership,
        lease: Lease,
        progress: Progress,
        blanking: FetchBlanking | None,
        clock: Clock,
        log: Log,
    ) -> None:
        self._store = store
        self._journal = begun.journal
        self._state = begun.state
        self._stream = stream
        self._days = list(begun.state.days)
        self._ownership = ownership
        self._lease = lease
        self._blanking = blanking
        self._clock = clock
        self._log = log
        self._waiting: list[WalkedPage] = []
        self._walked = self._processed = self._saved = self._pages_of_file = self._bytes_in_memory = 0
        self._rejected = RejectedRows(store, stream.name, log)
        self._progress = progress

    @property
    def _unfinished(self) -> dict[Day, DayInProgress]:
        return self._state.days

    def run(self, source: PageSource, most_requests: int | None) -> Iterator[WrittenDay]:
        """Read to the end of the days; after a failure, the journal holds what was read of unfinished days.

        A page in the middle of a day is processed in the background while the next ones are requested.
        """
        walked = None
        bound = {"wanted": self._wants} if most_requests is None else {"most_requests": most_requests}
        with BackgroundWorker(limit=PAGES_AHEAD) as worker:
            try:
                for walked in source.pages(self._stream, self._state.next_start_time, **bound):
                    self._lease.check()
                    self._walked += 1
                    if self._is_within_a_day(walked):
                        self._process_in_background(walked, worker)
                        continue
                    worker.finish()
                    self._process_waiting()
                    self._process([walked])
                    yield from self._commit_finished(walked)
                    if not self._unfinished:
                        return
                    self._save_if_due()
                    self._pages_of_file = self._processed - self._saved
                worker.finish()
                self._process_waiting()
                if walked is not None and most_requests is not None:
                    day = next(iter(self._unfinished))
                    yield from self._commit_what_was_read(walked)
                    self._log_standstill(day, walked, most_requests)
            except OverfullSecondError:
                worker.finish()
                self._process_waiting()
                if walked is not None:
                    yield from self._commit_what_was_read(walked)
                raise
            finally:
                worker.wait()
                with suppress(TicketEventsError):  # the first error is reported instead
                    if not worker.has_failed:  # else pages before these are missing
                        self._process_waiting()
                    if self._processed > self._saved and self._unfinished:
                        self._save()

    def _wants(self, start_time: int) -> bool:
        """Whether the fetch will need the page from `start_time` on."""
        with suppress(DaysHeldError):
            self._lease.check()
            return start_time < self._days[-1].end + self._stream.lag_seconds
        return False

    def _is_within_a_day(self, walked: WalkedPage) -> bool:
        """Whether the page finishes no day, so that another page follows."""
        first = next(iter(self._unfinished))
        return not walked.at_end and self._read_up_to(walked) < first.end + self._stream.lag_seconds

    def _process_in_background(self, walked: WalkedPage, worker: BackgroundWorker) -> None:
        """Process a page in the middle of a day; small ones together, since that is faster."""
        self._waiting.append(walked)
        if self._walked - self._saved > MOST_UNSAVED_PAGES:
            worker.finish()
        self._pages_of_file += 1
        fills_file = self._pages_of_file >= PAGES_PER_JOURNAL_FILE
        if fills_file or len(self._waiting) >= PAGES_AT_ONCE or not _is_small(walked.page):
            worker.submit(partial(self._process_and_save, self._waiting))
            self._waiting = []
        if fills_file:
            self._pages_of_file = 0

    def _process_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._process(waiting)

    def _process_and_save(self, pages: Sequence[WalkedPage]) -> None:
        self._process(pages)
        self._save_if_due()

    def _process(self, pages: Sequence[WalkedPage]) -> None:
        """Add the pages' rows to their days and their lines to the ledgers."""
        for walked, batch in zip(pages, decode_pages(self._stream.name, [one.page.rows for one in pages]), strict=True):
            self._add(walked, batch)

    def _add(self, walked: WalkedPage, batch: EventBatch) -> None:
        page = walked.page
        if self._blanking is not None:
            batch = self._blanking.page(batch)
        self._state.rejected += self._rejected.keep(page.start_time, batch.rejected)
        routed = route(batch.table, self._days)
        late = 0
        for day, rows in routed.by_day.items():
            if day in self._unfinished:
                self._unfinished[day].add(rows)
            else:
                late += rows.num_rows
        self._add_to_ledgers(walked, batch.table, set(routed.by_day))
        self._log_wrong_count(page)
        if batch.table.num_rows:
            newest_ms = pc.max(batch.table["time"].cast(pa.int64())).as_py()
            self._state.read_through = max(self._state.read_through, newest_ms // 1000)
        self._state.next_start_time = self._checkpoint(walked)
        self._state.server_time = self._read_at(walked)
        self._state.begun_at = self._state.begun_at or self._state.server_time
        self._processed += 1
        self._bytes_in_memory += batch.table.nbytes
        self._progress.page(walked, rows=batch.table.num_rows, before=routed.before, late=late)

    def _log_wrong_count(self, page: EventPage) -> None:
        if page.count != len(page.rows):
            self._log(
                f"{self._stream.name}: the page from {utc_text(page.start_time)} (start_time={page.start_time}) says count "
                f"{page.count:,}, but {plural(len(page.rows), 'row')} came."
            )

    def _add_to_ledgers(self, walked: WalkedPage, rows: pa.Table, days: set[Day]) -> None:
        """Add the page to the ledger of every unfinished day that it says something of; its requests count in the first.

        `days` are those of its rows, whatever `end_time` the page has.
        """
        ids = rows["id"]
        first_id, last_id = (ids[0].as_py(), ids[-1].as_py()) if len(ids) else (None, None)
        page = walked.page
        line = LedgerPage(page.start_time, page.end_time, len(page.rows), first_id, last_id, page.count, page.newest)
        # Also if the page has no row of that day: without a server time, it may only show that the day is over.
        next(iter(self._unfinished.values())).requests += walked.requests
        for day, progress in self._unfinished.items():
            # The end of the stream concerns every day that is left: there are no more rows on any of them.
            reaches = walked.at_end or day.start <= walked.watermark
            if day in days or (reaches and line.start_time < day.end + self._stream.lag_seconds):
                progress.begun_at = progress.begun_at if progress.ledger else self._read_at(walked)
                progress.ledger.append(line)

    def _save_if_due(self) -> None:
        if self._processed - self._saved >= PAGES_PER_JOURNAL_FILE or self._bytes_in_memory >= BYTES_PER_JOURNAL_FILE:
            self._save()

    def _save(self) -> None:
        self._journal.save(self._state)
        self._saved, self._bytes_in_memory = self._processed, 0

    def _commit_finished(self, walked: WalkedPage) -> Iterator[WrittenDay]:
        """Write the days that the stream was read past; at its end, all that are left."""
        read_up_to = self._read_up_to(walked)
        lines: list[str] = []
        try:
            for day in list(self._unfinished):
                complete = read_up_to >= day.end + self._stream.lag_seconds
                if not (complete or walked.at_end):
                    return
                committed = self._commit(day, walked, complete=complete)
                lines.append(committed.log_line)
                yield committed
        finally:
            if lines:
                self._log("\n".join(lines))  # together: an entry of Dagster's log costs as much as a small day

    def _commit_what_was_read(self, walked: WalkedPage) -> Iterator[WrittenDay]:
        """Write the day that isn't read to its end as an open one, unless the stored file holds more of it."""
        day, read_up_to = next(iter(self._unfinished)), self._read_up_to(walked)
        if day.start <= read_up_to and not self._holds_more(day, read_up_to):
            committed = self._commit(day, walked, complete=False)
            self._log(f"{committed.log_line}, read up to {utc_text(read_up_to)}")
            yield committed

    def _log_standstill(self, day: Day, walked: WalkedPage, most_requests: int) -> None:
        """Say if the next fetch begins where this one did: what was read of the day after the open `day` isn't stored."""
        if min(self._read_up_to(walked), day.end) <= self._state.start_time:
            self._log(
                f"{self._stream.name}: {plural(most_requests, 'request')} didn't lead past {utc_text(self._state.start_time)}. "
                "A fetch without such a bound reads on: hourly_fetch, for example."
            )

    def _holds_more(self, day: Day, read_up_to: int) -> bool:
        """Whether the day's stored file holds more than what was read."""
        stored = None
        with suppress(DamagedFileError):  # an unreadable file is worth less than what was read
            stored = read_raw_footer(self._store, self._stream.name, day)
        if stored is None or not stored.is_of(self._stream.name, day):
            return False
        is_continued = self._unfinished[day].stored is not None
        return stored.complete or (not is_continued and stored.read_up_to > read_up_to)

    def _commit(self, day: Day, walked: WalkedPage, *, complete: bool) -> WrittenDay:
        progress = self._unfinished[day]
        merge = progress.merged(self._journal.files, read_from=self._state.start_time, read_through=self._state.read_through)
        read_to = day.end if complete else walked.checkpoint
        replaced = ReplacedDay(self._store, self._stream.name, day, read_to=read_to, fetch_begun_at=self._state.begun_at)

        def footer_of(content_hash: str) -> RawFooter:
            return replace(
                self._footer(day, walked, complete=complete),
                rows=merge.rows,
                duplicates=progress.duplicates + merge.replaced,
                content_hash=content_hash,
                missed=replaced.missed(),
            )

        committed = write_day(self._store, self._stream.name, day, replaced.seen(merge.chunks()), footer_of)
        del self._unfinished[day]
        self._lease.hold_from(day.plus(1))
        return committed

    def _footer(self, day: Day, walked: WalkedPage, *, complete: bool) -> RawFooter:
        """The day's footer, without what its rows decide."""
        progress = self._unfinished[day]
        return RawFooter(
            schema_version=SCHEMA_VERSION,
            account=self._ownership.account,
            timezone=self._ownership.timezone,
            sideload=self._ownership.sideload,
            stream=self._stream.name,
            partition=str(day),
            window_start=day.start,
            window_end=day.end,
            complete=complete,
            next_start_time=self._checkpoint(walked),
            requests=progress.requests,
            rows=0,
            duplicates=0,
            rejected=self._state.rejected,
            fetched_at=self._read_at(walked),
            content_hash="",
            pages=tuple(progress.ledger),
            pass_id=self._journal.fetch_id,
            support_type_scope=self._ownership.support_type_scope,
            begun_at=progress.begun_at,
            stopped_at=None if complete or walked.at_end else self._read_up_to(walked),
        )

    def _read_at(self, walked: WalkedPage) -> int:
        """When the page was read, epoch seconds: by the server's time or this machine's clock, whichever is earlier."""
        known = (walked.page.server_time, walked.page.received_at)
        return int(min([self._clock(), *(moment for moment in known if moment is not None)]))

    def _checkpoint(self, walked: WalkedPage) -> int:
        """The watermark to store, epoch seconds; right also if the server's time is ahead for once."""
        return max(self._state.start_time, min(walked.checkpoint, self._read_at(walked) - self._stream.lag_seconds))

    def _read_up_to(self, walked: WalkedPage) -> int:
        """The moment, in epoch seconds, up to which the stream has certainly been read.

        At the end of the stream that is now, by both clocks, less the minute that the server may withhold. It is never later,
        although a row that is dated ahead moves the watermark. Without a server time, it is the page's start time, or at the
        end of the stream the days that ended DATELESS_SECONDS ago.
        """
        page, settled = walked.page, self._read_at(walked) - MINIMUM_AGE_SECONDS
        if page.server_time is not None:
            return settled if walked.at_end else min(walked.watermark, settled)
        asked_for = min(page.start_time, settled)
        if not (walked.at_end and page.end_of_stream):
            return asked_for
        return max(asked_for, self._read_at(walked) - DATELESS_SECONDS + self._stream.lag_seconds)


def _is_small(page: EventPage) -> bool:
    return isinstance(page.rows, ColumnarRows) and page.rows.columns.nbytes < SMALL_PAGE_BYTES
