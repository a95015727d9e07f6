"""The journal of a fetch: what it has read survives the process, so that the same request resumes where it stopped.

Every few pages a journal file is written: the rows of the unfinished days, and the watermark. The newest file counts. A fetch
that resumes another one writes under names of its own, so a process that lost its days can't replace the new holder's files.

A journal is never resumed if it belongs to another account, timezone, support type scope or choice about comments, if it is
older than a day, or if it is truncated. One of an older schema version is: its rows are read in today's columns.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.ingest.day_in_progress import DayInProgress
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.storage.journal_file import JournalFiles, JournalPart, journal_file_name, journal_file_number
from ticket_events_pipeline.storage.raw_footer import LedgerPage
from ticket_events_pipeline.storage.sorted_runs import Keys
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES

PAGES_PER_JOURNAL_FILE = 9

MOST_UNSAVED_PAGES = 10
"""With more, a fetch waits for its journal file. A kill costs these, the page that comes next, and the one under way: 12."""

BYTES_PER_JOURNAL_FILE = 12 * 2**20
"""Rows in memory of this size are written before PAGES_PER_JOURNAL_FILE pages have come."""

JOURNAL_SECONDS = 24 * 3600.0
"""An older journal is not resumed: its rows may have been withdrawn since."""

_FORMAT = 1

# Journals of the first versions lack it.
_LATER_IDENTITY = {"support_type_scope": DEFAULT_SUPPORT_TYPE_SCOPE}


@dataclass
class FetchState:
    """How far a fetch has read.

    Attributes:
        first, last: the requested days.
        start_time: where it began to read, epoch seconds.
        next_start_time: the watermark, epoch seconds: everything before it has been read.
        read_through: the newest time of any row read, epoch seconds.
        server_time: of the last page, epoch seconds.
        begun_at: server time of the first page, epoch seconds; 0 while there is none.
        rejected: rows without an id or a readable time.
        days: the unfinished days.
    """

    first: Day
    last: Day
    start_time: int
    next_start_time: int = 0
    read_through: int = 0
    server_time: int = 0
    begun_at: int = 0
    rejected: int = 0
    days: dict[Day, DayInProgress] = dataclasses.field(default_factory=dict)


class Journal:
    """The journal files of one fetch: writes, reads and removes them in a safe order."""

    def __init__(self, store: Store, stream: str, ownership: Ownership, *, fetch_id: str) -> None:
        self.fetch_id = fetch_id
        self.files = JournalFiles(store, stream, fetch_id)
        self._stream = stream
        self._names = ownership.names
        owner = dataclasses.asdict(ownership)
        del owner["former_accounts"]  # says which journals may be resumed, not whose this one is
        self._identity = {"format": _FORMAT, "stream": stream, **owner}
        self._writer = uuid.uuid4().hex
        self._number = 0
        self._names_on_disk: list[str] = []

    def save(self, state: FetchState) -> None:
        """Write a journal file; the rows of unfinished days move there from memory.

        Raises:
            UsageError: the store can't be written; the rows stay in memory.
        """
        name = journal_file_name(self._number + 1, self._writer)
        runs = {day: run for day, progress in state.days.items() if (run := progress.run_in_memory())}
        parts = self.files.write(
            name,
            TABLES[self._stream].schema,
            [run.rows for run in runs.values()],
            lambda parts: self._text(state, dict(zip(runs, parts, strict=True))),
        )
        for day, part in zip(runs, parts, strict=True):
            state.days[day].parts.append(part)
            state.days[day].deliveries = []
        self._number += 1
        needed = {name, *(part.segment for progress in state.days.values() for part in progress.parts)}
        stale = [one for one in self._names_on_disk if one not in needed]
        self._names_on_disk = sorted(needed)
        if stale:  # only now: a fetch that takes over from here finds the new file, which doesn't need them
            self.files.delete(stale)

    def states(self, timezone: str) -> Iterator[FetchState]:
        """How far the fetch had read by each of its files, the newest first; unreadable files are skipped."""
        self._names_on_disk = self.files.names()
        self._number = journal_file_number(self._names_on_disk[-1]) if self._names_on_disk else 0
        for _, names in itertools.groupby(reversed(self._names_on_disk), key=journal_file_number):
            # Two files share a number if a process wrote one in the moment in which another fetch took over.
            yield from sorted(
                self._readable_states(list(names), timezone),
                key=lambda state: (state.next_start_time, state.server_time),
                reverse=True,
            )

    def _readable_states(self, names: Sequence[str], timezone: str) -> Iterator[FetchState]:
        for name in names:
            with suppress(DamagedFileError):
                yield self._state_of(self.files.text(name), timezone)

    def holds(self, state: FetchState) -> bool:
        """Whether every row of the state can be read, each part a sorted run."""
        try:
            return all(self._is_whole(part) for progress in state.days.values() for part in progress.parts)
        except DamagedFileError:
            return False

    def remove(self) -> None:
        """Remove all files: the fetch has finished, or can't be resumed."""
        self.files.delete(self.files.names())

    def _text(self, state: FetchState, parts: dict[Day, JournalPart]) -> str:
        days = {}
        for day, progress in state.days.items():
            new = [parts[day]] if day in parts else []
            if progress.ledger or progress.requests or progress.parts or new:
                days[str(day)] = {
                    "ledger": [list(vars(page).values()) for page in progress.ledger],
                    "requests": progress.requests,
                    "duplicates": progress.duplicates,
                    "parts": [vars(part) for part in (*progress.parts, *new)],
                    "stored_hash": progress.stored_hash,
                    "begun_at": progress.begun_at,
                }
        fields = {
            field.name: getattr(state, field.name)
            for field in dataclasses.fields(state)
            if field.name not in ("first", "last", "days")
        }
        return json.dumps({**self._identity, **fields, "first": str(state.first), "last": str(state.last), "days": days})

    def _state_of(self, text: str, timezone: str) -> FetchState:
        try:
            fields: dict[str, Any] = {**_LATER_IDENTITY, **json.loads(text)}
            identity = {name: fields[name] for name in self._identity}
            if {**identity, "account": self._names.current_of(identity["account"])} != self._identity:
                raise DamagedFileError(f"fetch {self.fetch_id} was of another account, configuration or version")
            days = {Day.parse(date, timezone): _progress_of(day) for date, day in fields["days"].items()}
            first, last = Day.parse(fields["first"], timezone), Day.parse(fields["last"], timezone)
            numbers = {
                name: int(fields[name]) for name in ("start_time", "next_start_time", "read_through", "server_time", "rejected")
            }
            numbers["begun_at"] = int(fields.get("begun_at", 0))  # older journals lack it
            return FetchState(first, last, days=days, **numbers)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"fetch {self.fetch_id} left a journal that can't be read ({error!r})") from error

    def _is_whole(self, part: JournalPart) -> bool:
        keys = []
        for rows in self.files.run(part).tables():
            if rows.schema != TABLES[self._stream].schema:
                return False
            keys.append(Keys.of(rows))
        whole = Keys.end_to_end(keys)
        return len(whole.ids) == part.rows and whole.are_sorted_and_unique()


def _progress_of(fields: dict[str, Any]) -> DayInProgress:
    return DayInProgress(
        ledger=[LedgerPage(*page) for page in fields["ledger"]],
        requests=int(fields["requests"]),
        duplicates=int(fields["duplicates"]),
        parts=[_part_of(part) for part in fields["parts"]],
        stored_hash=fields["stored_hash"],
        begun_at=int(fields.get("begun_at", 0)),
    )


def _part_of(fields: dict[str, Any]) -> JournalPart:
    name = fields["segment"]
    name = journal_file_name(name) if isinstance(name, int) else name  # journals of the first versions hold the number
    journal_file_number(name)
    return JournalPart(**{**fields, "segment": name, "row_groups": tuple(fields["row_groups"])})
