"""One walk along one stream for a contiguous range of days; every day is committed as soon as the stream has gone past it.

The walk itself (requests, waits, paging rules) is the client's; the file format is the lake's; where reading begins is
`resume`'s. Here is decided which page belongs to which day's ledger, when a day is complete, and when a segment is put.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import BackgroundWorker
from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.errors import DamagedFileError, DaysHeldError, LockHeldError, OverfullSecondError, TicketEventsError
from ticket_events_pipeline.ingest.committed_day import CommittedDay, write_day
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress, route
from ticket_events_pipeline.ingest.estimate import estimate_from_stored
from ticket_events_pipeline.ingest.journal import BYTES_PER_SEGMENT, PAGES_PER_SEGMENT
from ticket_events_pipeline.ingest.lease import Lease, Sleep, hold_days
from ticket_events_pipeline.ingest.ownership import Ownership, refuse_foreign_files
from ticket_events_pipeline.ingest.progress import Progress
from ticket_events_pipeline.ingest.replaced_day import ReplacedDay
from ticket_events_pipeline.ingest.resume import Beginning, Resume, remove_late_segments
from ticket_events_pipeline.storage.decode import decode_rows
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.raw_footer import LedgerPage, RawFooter, read_raw_footer
from ticket_events_pipeline.storage.rejected_rows import RejectedRows
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.page import EventPage, utc_text

if TYPE_CHECKING:
    from ticket_events_pipeline.zendesk.client import WalkedPage

SETTLING_SECONDS = 60
"""The server withholds the newest minute, and takes no younger start_time."""

UNDATED_SECONDS = 86_400
"""Where answers carry no `Date`, a day is complete so long after its end by this machine's clock, which may be wrong."""

SHORT_DAYS = 2
"""A pass over yesterday and today is no long one: nothing is foretold of it."""

PAGES_AHEAD = 3
"""Pages that have come and are not taken in yet, at most: as many as come while a segment is put."""


class PageSource(Protocol):
    """What a pass needs of a client."""

    def pages(self, stream: Stream, start_time: int) -> Iterator[WalkedPage]:
        """The stream's pages from `start_time` (epoch seconds, inclusive) on."""


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
) -> Iterator[CommittedDay]:
    """Read `stream` once over the contiguous, ascending `days` and yield each day when its file stands.

    A first day that is open is resumed where its reading ended; every other day is read anew and replaced. If the days were
    asked for before by a pass that ended half-way, less than a day ago, this one goes on where that one stopped, and yields the
    days first that it had written. What was yielded stands, whatever becomes of the rest. `label` tells other passes who this
    one is; `requests_per_minute`, the quota, is for what the log foretells; `sleep` waits for another pass.

    Raises:
        ForeignRootError: the root holds files of another account, timezone, sideload or support type scope.
        DaysHeldError: another pass is reading one of the days, and went on doing so for some minutes; or it has taken over
            from this one, which had stood still.
        LockHeldError: another process stands still in the middle of a write.
        AccountError, TransientError, DataError: from the source; no file has been touched by the failing page.
    """
    refuse_foreign_files(store, stream.name, days, ownership, log)
    lease, is_finished = hold_days(store, stream.name, days, label=label, log=log, sleep=sleep), False
    try:
        store.sweep()
        fenced = lease.fenced()
        begun = Resume(fenced, stream, days, ownership, lease=lease, clock=clock, log=log).beginning()
        yield from begun.finished
        if begun.state.days:
            remaining = list(begun.state.days)
            expected = estimate_from_stored(store, stream.name, remaining, now=clock()) if len(remaining) > SHORT_DAYS else None
            progress = Progress(
                stream.name, remaining, clock=clock, log=log, expected=expected, requests_per_minute=requests_per_minute
            )
            walk = _RangePass(
                fenced, begun, stream=stream, ownership=ownership, lease=lease, progress=progress, clock=clock, log=log
            )
            yield from walk.run(source)
        begun.journal.remove()
        is_finished = True
    except LockHeldError:  # to look would be to wait for the same lock
        raise
    except TicketEventsError:
        _explain_if_taken_over(store, stream.name, lease)
        raise
    finally:
        lease.release(is_finished=is_finished)
    if lease.is_heir:
        with suppress(TicketEventsError):  # they do no harm where they lie, and the next pass removes them
            remove_late_segments(store, stream.name)


def _explain_if_taken_over(store: Store, stream: str, lease: Lease) -> None:
    """Whatever failed, the take-over is the reason to report: an heir removes the segments that it needs no more, for one.

    Raises:
        DaysHeldError: another pass has taken over.
    """
    try:
        lease.look()
    except DaysHeldError:
        with suppress(TicketEventsError):
            remove_late_segments(store, stream)
        raise


class _RangePass:
    def __init__(
        self,
        store: Store,
        begun: Beginning,
        *,
        stream: Stream,
        ownership: Ownership,
        lease: Lease,
        progress: Progress,
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
        self._clock = clock
        self._log = log
        self._pages_in_memory = self._bytes_in_memory = 0
        self._rejected = RejectedRows(store, stream.name, log)
        self._progress = progress

    @property
    def _unfinished(self) -> dict[Day, DayInProgress]:
        return self._state.days

    def run(self, source: PageSource) -> Iterator[CommittedDay]:
        """Read to the end of the days; what was read of a day that isn't finished outlives a failure in the journal.

        A page in the middle of a day is taken in beside the requests for the next ones; anything else waits for that.
        """
        walked = None
        with BackgroundWorker(limit=PAGES_AHEAD) as worker:
            try:
                for walked in source.pages(self._stream, self._state.next_start_time):
                    self._lease.check()
                    if self._is_amid_a_day(walked):
                        worker.submit(partial(self._take_and_save, walked))
                        continue
                    worker.finish()
                    self._take(walked)
                    yield from self._commit_finished(walked)
                    if not self._unfinished:
                        return
                    self._save_if_due()
                worker.finish()
            except OverfullSecondError:
                worker.finish()
                if walked is not None:
                    yield from self._commit_what_was_read(walked)
                raise
            finally:
                worker.wait()
                if self._pages_in_memory and self._unfinished:
                    with suppress(TicketEventsError):  # what led here is told instead
                        self._save()

    def _is_amid_a_day(self, walked: WalkedPage) -> bool:
        """Whether the page finishes no day, so that another one follows."""
        first = next(iter(self._unfinished))
        return not walked.at_end and self._read_up_to(walked) < first.end + self._stream.lag_seconds

    def _take_and_save(self, walked: WalkedPage) -> None:
        self._take(walked)
        self._save_if_due()

    def _take(self, walked: WalkedPage) -> None:
        """Route a page's rows to their days and its line to their ledgers."""
        page = walked.page
        batch = decode_rows(self._stream.name, page.rows)
        self._state.rejected += self._rejected.keep(page.start_time, batch.rejected)
        routed = route(batch.table, self._days)
        late = 0
        for day, rows in routed.by_day.items():
            if day in self._unfinished:
                self._unfinished[day].add(rows)
            else:
                late += rows.num_rows
        self._note_in_ledgers(walked, batch.table, set(routed.by_day))
        self._log_wrong_count(page)
        if batch.table.num_rows:
            newest_ms = pc.max(batch.table["time"].cast(pa.int64())).as_py()
            self._state.read_through = max(self._state.read_through, newest_ms // 1000)
        self._state.next_start_time = self._checkpoint(walked)
        self._state.server_time = self._read_at(walked)
        self._state.begun_at = self._state.begun_at or self._state.server_time
        self._pages_in_memory += 1
        self._bytes_in_memory += batch.table.nbytes
        self._progress.page(walked, rows=batch.table.num_rows, before=routed.before, late=late)

    def _log_wrong_count(self, page: EventPage) -> None:
        if page.count != len(page.rows):
            self._log(
                f"{self._stream.name}: the page from {utc_text(page.start_time)} (start_time={page.start_time}) says count "
                f"{page.count:,}, but {len(page.rows):,} rows came."
            )

    def _note_in_ledgers(self, walked: WalkedPage, rows: pa.Table, days: set[Day]) -> None:
        """A page stands in the ledger of every unfinished day that it tells something of; its requests count in the first.

        `days` are those of its rows, wherever the page says that it ends.
        """
        ids = rows["id"]
        first_id, last_id = (ids[0].as_py(), ids[-1].as_py()) if len(ids) else (None, None)
        page = walked.page
        line = LedgerPage(page.start_time, page.end_time, len(page.rows), first_id, last_id, page.count, page.newest)
        # Also where the page tells nothing of that day: without a server time, it may only tell that the day is over.
        next(iter(self._unfinished.values())).requests += walked.requests
        for day, progress in self._unfinished.items():
            # The end of the stream speaks of every day that is left: there is nothing on any of them.
            reaches = walked.at_end or day.start <= walked.watermark
            if day in days or (reaches and line.start_time < day.end + self._stream.lag_seconds):
                progress.begun_at = progress.begun_at if progress.ledger else self._read_at(walked)
                progress.ledger.append(line)

    def _save_if_due(self) -> None:
        if self._pages_in_memory >= PAGES_PER_SEGMENT or self._bytes_in_memory >= BYTES_PER_SEGMENT:
            self._save()

    def _save(self) -> None:
        self._journal.save(self._state)
        self._pages_in_memory = self._bytes_in_memory = 0

    def _commit_finished(self, walked: WalkedPage) -> Iterator[CommittedDay]:
        """Write the days that the stream has gone past; at its end, all that are left."""
        read_up_to = self._read_up_to(walked)
        told: list[str] = []
        try:
            for day in list(self._unfinished):
                complete = read_up_to >= day.end + self._stream.lag_seconds
                if not (complete or walked.at_end):
                    return
                committed = self._commit(day, walked, complete=complete)
                told.append(committed.told)
                yield committed
        finally:
            if told:
                self._log("\n".join(told))  # at once: an entry of Dagster's log costs as much as a small day

    def _commit_what_was_read(self, walked: WalkedPage) -> Iterator[CommittedDay]:
        """Write the day that the stream can't be read through as an open one, unless a complete one stands there already."""
        day, stored = next(iter(self._unfinished)), None
        with suppress(DamagedFileError):  # what can't be read is worth less than what was
            stored = read_raw_footer(self._store, self._stream.name, day)
        if day.start <= walked.page.start_time and not (stored and stored.complete):
            committed = self._commit(day, walked, complete=False)
            self._log(committed.told)
            yield committed

    def _commit(self, day: Day, walked: WalkedPage, *, complete: bool) -> CommittedDay:
        progress = self._unfinished[day]
        merge = progress.merged(self._journal.segments, read_from=self._state.start_time, read_through=self._state.read_through)
        read_to = day.end if complete else walked.checkpoint
        replaced = ReplacedDay(self._store, self._stream.name, day, read_to=read_to, pass_begun_at=self._state.begun_at)

        def footer_of(content_hash: str) -> RawFooter:
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
                rows=merge.rows,
                duplicates=progress.duplicates + merge.replaced,
                rejected=self._state.rejected,
                fetched_at=self._read_at(walked),
                content_hash=content_hash,
                pages=tuple(progress.ledger),
                pass_id=self._journal.pass_id,
                support_type_scope=self._ownership.support_type_scope,
                begun_at=progress.begun_at,
                missed=replaced.missed(),
            )

        committed = write_day(self._store, self._stream.name, day, replaced.seen(merge.chunks()), footer_of)
        del self._unfinished[day]
        self._lease.hold_from(day.plus(1))
        return committed

    def _read_at(self, walked: WalkedPage) -> int:
        """When the page was read, epoch seconds: by the server's clock or by this machine's, whichever is behind."""
        ours, theirs = self._clock(), walked.page.server_time
        return int(ours if theirs is None else min(ours, theirs))

    def _checkpoint(self, walked: WalkedPage) -> int:
        """Epoch seconds before which everything has been read for good, also if the server's clock is ahead for once."""
        return max(self._state.start_time, min(walked.checkpoint, self._read_at(walked) - self._stream.lag_seconds))

    def _read_up_to(self, walked: WalkedPage) -> int:
        """The moment, in epoch seconds, up to which the stream has been read for certain.

        At its end that is now, less what may still be withheld; and nowhere more than that: a row that is dated ahead carries
        the watermark with it. Now is what both clocks say. A server that tells no time is believed only as far as the page was
        asked for, or that it sent everything of the days that ended long ago.
        """
        page, settled = walked.page, self._read_at(walked) - SETTLING_SECONDS
        if page.server_time is not None:
            return settled if walked.at_end else min(walked.watermark, settled)
        asked_for = min(page.start_time, settled)
        if not (walked.at_end and page.end_of_stream):
            return asked_for
        return max(asked_for, self._read_at(walked) - UNDATED_SECONDS + self._stream.lag_seconds)
