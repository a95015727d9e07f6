"""Where a fetch begins to read: at the first day's midnight, where its open file ends, or where a dead fetch stopped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain, takewhile

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress
from ticket_events_pipeline.ingest.journal import JOURNAL_SECONDS, FetchState, Journal
from ticket_events_pipeline.ingest.lease import Lease, known_fetches
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.ingest.written_day import WrittenDay, read_day, stored_run
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.journal_file import JournalFiles, fetches_with_journal
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.sorted_runs import Run
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.text import plural, utc_text


@dataclass(frozen=True)
class StartingPoint:
    """What a fetch starts from.

    Attributes:
        journal: that it writes.
        state: how far has been read; its `next_start_time` is the first request's start time.
        finished: days that the resumed fetch has written already.
    """

    journal: Journal
    state: FetchState
    finished: list[WrittenDay] = field(default_factory=list)


class Resume:
    """Finds the beginning of a fetch of the contiguous, ascending `days`, whose lease is held; `store` is fenced by it."""

    def __init__(
        self, store: Store, stream: Stream, days: list[Day], ownership: Ownership, *, lease: Lease, clock: Clock, log: Log
    ) -> None:
        self._store = store
        self._stream = stream
        self._days = days
        self._ownership = ownership
        self._lease = lease
        self._clock = clock
        self._log = log

    def beginning(self) -> StartingPoint:
        """Where to begin. Removes journals that can't be resumed."""
        known = known_fetches(self._store, self._stream.name)
        for fetch_id in fetches_with_journal(self._store, self._stream.name):
            if fetch_id in known.over:
                _remove_journal(self._store, self._stream.name, fetch_id)
            elif fetch_id not in known.alive:
                begun = self._resumed(self._journal(fetch_id))
                if begun is not None:
                    return begun
        return self._from_files(self._journal(self._lease.fetch_id), self._days)

    def _journal(self, fetch_id: str) -> Journal:
        return Journal(self._store, self._stream.name, self._ownership, fetch_id=fetch_id)

    def _resumed(self, journal: Journal) -> StartingPoint | None:
        """The beginning where the dead fetch of `journal` stopped; None if it can't be resumed or doesn't help."""
        states = journal.states(self._ownership.timezone)
        newest = next(states, None)
        if newest is None or not self._is_recent(newest):
            self._discard(journal)
            return None
        if not self._covers_request(newest):
            return None
        done = self._done_by(journal.fetch_id)
        days = self._days[len(done) :]
        # If the newest one doesn't help, no older one does.
        helpful = takewhile(lambda state: self._is_recent(state) and self._helps(state, days), chain([newest], states))
        usable = next((state for state in helpful if journal.holds(state)), None)
        if usable is None and self._helps(newest, days):
            self._discard(journal)
        if (usable is None and not done) or not self._lease.take_over(journal.fetch_id):
            return None
        stopped = "" if usable is None else f" at {utc_text(usable.next_start_time)}"
        self._log(f"{self._stream.name}: resuming where a fetch stopped{stopped}; already finished: {plural(len(done), 'day')}")
        finished = [read_day(self._store, self._stream.name, day, footer) for day, footer in done]
        begun = None if usable is None else self._with_rows(journal, usable, days)
        return replace(begun or self._from_files(journal, days), finished=finished)

    def _discard(self, journal: Journal) -> None:
        own = self._lease.fetch_id
        if self._lease.take_over(journal.fetch_id):  # else another fetch has just resumed it
            self._log(f"{self._stream.name}: the journal of a stopped fetch is too old or damaged, and is discarded")
            journal.remove()
            self._lease.take_over(own)

    def _is_recent(self, state: FetchState) -> bool:
        return self._clock() - state.server_time <= JOURNAL_SECONDS

    def _covers_request(self, state: FetchState) -> bool:
        """Whether the requested days are among the dead fetch's, or end after the days that it had read."""
        return self._days[0] >= state.first and (self._days[-1] <= state.last or state.next_start_time <= state.last.end)

    def _helps(self, state: FetchState, days: list[Day]) -> bool:
        """Whether the fetch had read to the days that are left, and no later fetch has written them."""
        if not days or days[0].start > state.next_start_time:
            return False
        for day in (day for day in days if day.start <= state.next_start_time):
            footer = self._footer(day)
            # Written since by another fetch; or by this one, as an open day at the end of the stream.
            if footer is not None and footer.fetched_at >= state.server_time:
                return False
        return True

    def _with_rows(self, journal: Journal, state: FetchState, days: list[Day]) -> StartingPoint | None:
        known = {day: state.days.get(day, DayInProgress()) for day in days}
        first = known[days[0]]
        if first.stored_hash is not None:
            first.stored = self._stored(days[0], first.stored_hash)
            if first.stored is None:
                return None
        return StartingPoint(journal, replace(state, first=self._days[0], last=self._days[-1], days=known))

    def _done_by(self, fetch_id: str) -> list[tuple[Day, RawFooter]]:
        """The first days, as far as the fetch has written them complete."""
        done = []
        for day in self._days:
            footer = self._footer(day)
            if footer is None or not footer.complete or footer.pass_id != fetch_id:
                break
            done.append((day, footer))
        return done

    def _from_files(self, journal: Journal, days: list[Day]) -> StartingPoint:
        """Begin at the first of `days`, or where its open file ends."""
        state = FetchState(self._days[0], self._days[-1], start_time=0, days={day: DayInProgress() for day in days})
        if days:
            state.start_time = self._resume_open_day(days[0], state.days[days[0]])
        state.next_start_time = state.start_time
        return StartingPoint(journal, state)

    def _resume_open_day(self, day: Day, progress: DayInProgress) -> int:
        """Take over an open day's rows and ledger; returns where reading begins, in epoch seconds."""
        footer = self._footer(day)
        if footer is None or footer.complete:
            return day.start
        if (footer.stream, footer.window_start, footer.window_end) != (self._stream.name, day.start, day.end):
            self._log(f"{self._stream.name} of {day}: its path holds another day's file. The day is read from its start.")
            return day.start
        progress.stored = self._stored(day, footer.content_hash)
        if progress.stored is None:
            return day.start
        progress.stored_hash = footer.content_hash
        progress.ledger.extend(footer.pages)
        progress.requests, progress.duplicates = footer.requests, footer.duplicates
        progress.begun_at = footer.begun_at
        return max(day.start, self._read_again_from(footer))

    def _read_again_from(self, footer: RawFooter) -> int:
        """Where to go on: rows may come late by the lag, so that time is read again.

        Where the reading had stopped far from the end of the stream, nothing could come late any more. Without that, a bounded
        reading of a busy account might read the same minutes again and again.
        """
        lag = self._stream.lag_seconds
        with_overlap = footer.next_start_time - lag
        if footer.stopped_at is None:
            return with_overlap
        # What it had read of the day after is not stored: a day is written after the one before is complete.
        return min(max(with_overlap, min(footer.next_start_time, footer.fetched_at - 2 * lag)), footer.window_end)

    def _stored(self, day: Day, content_hash: str) -> Run | None:
        """The rows of the day's file; None if they don't have that hash."""
        try:
            return stored_run(self._store, self._stream.name, day, content_hash)
        except DamagedFileError as error:
            self._log(f"{error} The day is read from its start.")
            return None

    def _footer(self, day: Day) -> RawFooter | None:
        try:
            return read_raw_footer(self._store, self._stream.name, day)
        except NewerFileError:  # it may hold what this version can't write, and must not be replaced
            raise
        except DamagedFileError as error:
            self._log(f"{error} The day is read from its start.")
            return None


def complete_beginning(store: Store, stream: str, days: list[Day]) -> list[WrittenDay]:
    """The first of `days`, as far as they are stored complete.

    Raises:
        DamagedFileError: the file of one of them can't be read.
    """
    found = []
    for day in days:
        footer = read_raw_footer(store, stream, day)
        if footer is None or not footer.is_of(stream, day) or not footer.complete:
            break
        found.append(read_day(store, stream, day, footer))
    return found


def remove_late_journal_files(store: Store, stream: str) -> None:
    """Remove what is left of fetches that a new holder has finished: in a bucket, a write that had begun may arrive late."""
    over = known_fetches(store, stream).over
    for fetch_id in fetches_with_journal(store, stream) if over else []:
        if fetch_id in over:
            _remove_journal(store, stream, fetch_id)


def _remove_journal(store: Store, stream: str, fetch_id: str) -> None:
    files = JournalFiles(store, stream, fetch_id)
    files.delete(files.names())
