"""Where a pass begins to read: at the first day's midnight, where its open file ends, or where a dead pass stopped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain, takewhile

from ticket_events_pipeline.day import Clock, Day
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.ingest.committed_day import CommittedDay, read_day, stored_run
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress
from ticket_events_pipeline.ingest.journal import OLDEST_SECONDS, Journal, PassState
from ticket_events_pipeline.ingest.lease import Lease, known_passes
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.storage.file_lock import Log
from ticket_events_pipeline.storage.journal_file import JournalFiles, fetches_with_journal
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.sorted_runs import Run
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.page import utc_text


@dataclass(frozen=True)
class Beginning:
    """What a pass has before its first request.

    Attributes:
        journal: to write on.
        state: how far the pass has come; `next_start_time` is where it reads on.
        finished: days that a dead pass, which this one goes on for, has written already.
    """

    journal: Journal
    state: PassState
    finished: list[CommittedDay] = field(default_factory=list)


class Resume:
    """Finds the beginning of a pass over the contiguous, ascending `days`, whose lease is held; `store` is fenced by it."""

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

    def beginning(self) -> Beginning:
        """Where to begin. Journals that nobody can go on from are removed."""
        known = known_passes(self._store, self._stream.name)
        for pass_id in fetches_with_journal(self._store, self._stream.name):
            if pass_id in known.over:
                _remove_segments(self._store, self._stream.name, pass_id)
            elif pass_id not in known.alive:
                begun = self._go_on_for(self._journal(pass_id))
                if begun is not None:
                    return begun
        return self._anew(self._journal(self._lease.pass_id), self._days)

    def _journal(self, pass_id: str) -> Journal:
        return Journal(self._store, self._stream.name, self._ownership, pass_id=pass_id)

    def _go_on_for(self, journal: Journal) -> Beginning | None:
        """The beginning where the dead pass of `journal` stopped; None where it can't be gone on from, or doesn't help."""
        states = journal.states(self._ownership.timezone)
        newest = next(states, None)
        if newest is None or not self._is_young(newest):
            self._throw_away(journal)
            return None
        if not self._is_asked_again(newest):
            return None
        done = self._done_by(journal.pass_id)
        days = self._days[len(done) :]
        # Where the newest doesn't help, no older one does.
        helpful = takewhile(lambda state: self._is_young(state) and self._helps(state, days), chain([newest], states))
        usable = next((state for state in helpful if journal.holds(state)), None)
        if usable is None and self._helps(newest, days):
            self._throw_away(journal)
        if (usable is None and not done) or not self._lease.take_over(journal.pass_id):
            return None
        stopped = "" if usable is None else f", at {utc_text(usable.next_start_time)}"
        self._log(f"{self._stream.name}: going on where a pass ended half-way{stopped}; {len(done)} days stand already")
        finished = [read_day(self._store, self._stream.name, day, footer) for day, footer in done]
        begun = None if usable is None else self._with_rows(journal, usable, days)
        return replace(begun or self._anew(journal, days), finished=finished)

    def _throw_away(self, journal: Journal) -> None:
        own = self._lease.pass_id
        if self._lease.take_over(journal.pass_id):  # else another pass has just gone on for it, and it is alive
            self._log(f"{self._stream.name}: what a pass left that ended half-way is too old or damaged, and is thrown away")
            journal.remove()
            self._lease.take_over(own)

    def _is_young(self, state: PassState) -> bool:
        return self._clock() - state.server_time <= OLDEST_SECONDS

    def _is_asked_again(self, state: PassState) -> bool:
        """Whether the days are the dead pass's, or end later than it had come."""
        return self._days[0] >= state.first and (self._days[-1] <= state.last or state.next_start_time <= state.last.end)

    def _helps(self, state: PassState, days: list[Day]) -> bool:
        """Whether the pass had come to what is left to do, and nobody has written anything newer of it."""
        if not days or days[0].start > state.next_start_time:
            return False
        for day in (day for day in days if day.start <= state.next_start_time):
            footer = self._footer(day)
            # Written since by another pass; or by this one, as an open day at the end of the stream.
            if footer is not None and footer.fetched_at >= state.server_time:
                return False
        return True

    def _with_rows(self, journal: Journal, state: PassState, days: list[Day]) -> Beginning | None:
        known = {day: state.days.get(day, DayInProgress()) for day in days}
        first = known[days[0]]
        if first.stored_hash is not None:
            first.stored = self._stored(days[0], first.stored_hash)
            if first.stored is None:
                return None
        return Beginning(journal, replace(state, first=self._days[0], last=self._days[-1], days=known))

    def _done_by(self, pass_id: str) -> list[tuple[Day, RawFooter]]:
        """The first days, as far as the pass has written them, complete."""
        done = []
        for day in self._days:
            footer = self._footer(day)
            if footer is None or not footer.complete or footer.pass_id != pass_id:
                break
            done.append((day, footer))
        return done

    def _anew(self, journal: Journal, days: list[Day]) -> Beginning:
        """Read from the first of `days` on, or from where its open file ends."""
        state = PassState(self._days[0], self._days[-1], start_time=0, days={day: DayInProgress() for day in days})
        if days:
            state.start_time = self._resume_open_day(days[0], state.days[days[0]])
        state.next_start_time = state.start_time
        return Beginning(journal, state)

    def _resume_open_day(self, day: Day, progress: DayInProgress) -> int:
        """Take up an open day's rows and ledger; where reading begins, in epoch seconds."""
        footer = self._footer(day)
        if footer is None or footer.complete:
            return day.start
        if (footer.stream, footer.window_start, footer.window_end) != (self._stream.name, day.start, day.end):
            self._log(f"{self._stream.name} of {day}: another day's file lies in its place. The day is read anew.")
            return day.start
        progress.stored = self._stored(day, footer.content_hash)
        if progress.stored is None:
            return day.start
        progress.stored_hash = footer.content_hash
        progress.ledger.extend(footer.pages)
        progress.requests, progress.duplicates = footer.requests, footer.duplicates
        progress.begun_at = footer.begun_at
        return max(day.start, footer.next_start_time - self._stream.lag_seconds)

    def _stored(self, day: Day, content_hash: str) -> Run | None:
        """The rows of the day's file; None where they aren't those of `content_hash`."""
        try:
            return stored_run(self._store, self._stream.name, day, content_hash)
        except DamagedFileError as error:
            self._log(f"{error} The day is read anew.")
            return None

    def _footer(self, day: Day) -> RawFooter | None:
        try:
            return read_raw_footer(self._store, self._stream.name, day)
        except NewerFileError:  # it has what this version can't write: it must not be replaced
            raise
        except DamagedFileError as error:
            self._log(f"{error} The day is read anew.")
            return None


def remove_late_segments(store: Store, stream: str) -> None:
    """Remove what lies of passes that an heir has finished: a process that was taken over had begun to put it, in a bucket."""
    over = known_passes(store, stream).over
    for pass_id in fetches_with_journal(store, stream) if over else []:
        if pass_id in over:
            _remove_segments(store, stream, pass_id)


def _remove_segments(store: Store, stream: str, pass_id: str) -> None:
    segments = JournalFiles(store, stream, pass_id)
    segments.delete(segments.names())
