"""Which days a scheduled fetch requests: those that are not complete, by the listing of the files and their footers.

A day of a stream is complete if it has a file whose footer names that day and says so. A file of a newer version of this
program counts as complete, since no fetch replaces it. All days after the newest complete one are fetched. A gap before it,
which a dead run has left, is fetched within bounds: a gap before more than 31 complete days, or of more than 31 days, is only
logged, with the command that fetches it. Days that are closed, since days before them were pruned, are no gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.storage.partition_file import days_of, partition_path
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.raw_footer import RawFooter, read_raw_footer
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS

MOST_GAP_DAYS = 31
"""Days of gaps that are fetched without being asked, all gaps together."""

MOST_COMPLETE_DAYS = 31
"""How many complete days back gaps are filled: they are read again with the gap, as one range is one fetch."""

ENOUGH_FAILURES = 3
"""After so many failures at the same first day, that day may be the cause."""


@dataclass(frozen=True)
class CatchUp:
    """The days that a scheduled fetch has to make complete.

    Attributes:
        days: those that aren't complete in both streams, in order; the last one is today.
        gaps: those of them that lie before a newer complete day of their stream.
        left_out: older days, since the first stored one, that are not complete and are not fetched without being asked.
    """

    days: tuple[Day, ...]
    gaps: tuple[Day, ...] = ()
    left_out: tuple[Day, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """A scheduled fetch that has ended: the first day of its range, and whether it succeeded."""

    first: Day
    is_success: bool


class CompleteFiles:
    """Finds complete days. Caches the versions of their files, so that later only changed files are read again."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def is_complete(self, store: Store, stream: str, day: Day, version: str | None) -> bool:
        """Whether the stream's file of that version is complete; None means no file."""
        url = store.url(partition_path(stream, day))
        if version is None:
            return False
        if self._known.get(url) != version and _says_complete(store, stream, day):
            self._known[url] = version  # listed before it was read: a file replaced since is read again
        return self._known.get(url) == version


def _says_complete(store: Store, stream: str, day: Day) -> bool:
    try:
        footer = _footer(store, stream, day)
    except NewerFileError:
        return True
    return footer is not None and footer.complete


def _footer(store: Store, stream: str, day: Day) -> RawFooter | None:
    """The footer of the day's file; None without a file that can be read and says that it is the day's.

    Raises:
        NewerFileError: a newer version of this program wrote the file.
    """
    try:
        footer = read_raw_footer(store, stream, day)
    except NewerFileError:
        raise
    except DamagedFileError:
        return None
    return footer if footer is not None and footer.is_of(stream, day) else None


class _Listing:
    """What is stored of the streams up to `today`; footers are read on demand."""

    def __init__(self, store: Store, today: Day, files: CompleteFiles) -> None:
        self._store, self._files = store, files
        self._versions = {stream: store.versions(stream) for stream in STREAMS}
        self.today = today
        self.days = {
            stream: {day for day in days_of(versions, today.timezone) if day <= today}
            for stream, versions in self._versions.items()
        }
        oldest = min(set[Day]().union(*self.days.values()), default=today)
        first_open = read_pruned_days(store).first_open(today.timezone)
        self.oldest = oldest if first_open is None else max(oldest, first_open)

    def is_complete(self, stream: str, day: Day) -> bool:
        version = self._versions[stream].get(partition_path(stream, day))
        return self._files.is_complete(self._store, stream, day, version)

    def is_begun(self, day: Day) -> bool:
        """Whether the day is complete in one stream at least."""
        return any(self.is_complete(stream, day) for stream in self.days)


def catch_up(store: Store, today: Day, files: CompleteFiles) -> CatchUp:
    """What is to be fetched now; of a stream that has no complete day, yesterday and today."""
    listing = _Listing(store, today, files)
    streams = [_of_stream(listing, stream) for stream in listing.days]
    days = {day for stream in streams for day in stream.days}
    gaps = {day for stream in streams for day in stream.gaps}
    left_out = {day for stream in streams for day in stream.left_out} - days
    return CatchUp(tuple(sorted(days)), tuple(sorted(gaps)), tuple(sorted(left_out)))


def open_days(store: Store, today: Day, *, first: Day) -> list[Day]:
    """The days whose newest events a frequent fetch reads: today, and yesterday while it is open; none before `first`.

    No day if yesterday is missing and today has no file yet: then a fetch that reads to the end has to come first.

    Raises:
        NewerFileError: a newer version of this program wrote a file of them.
    """
    yesterday = today.plus(-1)
    if yesterday < first:
        return [today]
    footers = [_footer(store, stream, yesterday) for stream in STREAMS]
    if all(footers):
        return [today] if all(footer.complete for footer in footers if footer) else [yesterday, today]
    return [today] if any(_footer(store, stream, today) for stream in STREAMS) else []


def _of_stream(listing: _Listing, stream: str) -> CatchUp:
    today, stored = listing.today, listing.days[stream]
    newest = next((day for day in sorted(stored, reverse=True) if listing.is_complete(stream, day)), None)
    if newest is None:
        return CatchUp((today.plus(-1), today), left_out=tuple(days_between(listing.oldest, today.plus(-2))))
    gaps, beyond = _gaps_before(newest, listing, stream)
    missing = {day for day in days_between(listing.oldest, newest) if day not in stored}
    tail = days_between(min(newest.plus(1), today), today)
    return CatchUp((*gaps, *tail), tuple(gaps), tuple(missing.union(beyond) - set(gaps)))


def _gaps_before(newest: Day, listing: _Listing, stream: str) -> tuple[list[Day], list[Day]]:
    """The days of the gaps to fill, and those beyond the bounds."""
    day, complete = newest, 1
    gaps: list[Day] = []
    pending: list[Day] = []
    while day > listing.oldest and complete < MOST_COMPLETE_DAYS:
        day = day.plus(-1)
        if listing.is_complete(stream, day):
            complete += 1
            gaps, pending = pending + gaps, []
        else:
            pending.insert(0, day)
        if len(gaps) + len(pending) > MOST_GAP_DAYS:
            return gaps, pending
    # The oldest day is reached. Days that another stream has are not from before the start, but missing in this stream.
    before = list(takewhile(lambda day: not listing.is_begun(day), pending))
    return pending[len(before) :] + gaps, before


def is_stuck(first: Day, attempts: Sequence[Attempt]) -> bool:
    """Whether the next fetch should begin after `first`, by the `attempts` of the last day, oldest first.

    If a fetch that began after it succeeded between two that failed at it, the day is the cause. Otherwise all may have failed
    for another reason, such as an outage of Zendesk; then fetches begin alternately after the day and at the day.
    """
    successes = [place for place, attempt in enumerate(attempts) if attempt.is_success and attempt.first == first]
    recent = attempts[successes[-1] + 1 :] if successes else attempts
    failures = [place for place, attempt in enumerate(recent) if attempt.first == first]
    if len(failures) < ENOUGH_FAILURES:
        return False
    between = recent[failures[0] : failures[-1]]
    return any(attempt.is_success and attempt.first > first for attempt in between) or recent[-1].first == first
