"""The journal of a pass: what it has fetched survives the process, and the same question goes on where it stopped.

Every few pages a segment is put: the rows of the unfinished days, and how far the pass has come. The newest segment rules.
Who goes on for a pass writes under names of its own: a process that was taken over can't replace what its heir has put. A
journal of another account, zone, support type scope or choice about comments, one that is older than a day, or one that can't
be read to its last row, is never resumed. One of an older schema version is: its rows are read in today's columns.
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
from ticket_events_pipeline.tables.schemas import RAW_SCHEMAS

PAGES_PER_SEGMENT = 9
"""A killed pass makes the requests since the last segment again, and those for the PAGES_AHEAD of `range_pass`: 12 at most."""

BYTES_PER_SEGMENT = 12 * 2**20
"""Of rows in memory, at which a segment is put before its pages are full."""

OLDEST_SECONDS = 24 * 3600.0
"""What was read longer ago may have been withdrawn since."""

_FORMAT = 1

# What journals say that were written before there was a choice.
_LATER_IDENTITY = {"support_type_scope": DEFAULT_SUPPORT_TYPE_SCOPE}


@dataclass
class PassState:
    """How far a pass has come.

    Attributes:
        first, last: the days that it was asked for.
        start_time: where it began to read, epoch seconds.
        next_start_time: everything before it has been read for good, epoch seconds.
        read_through: the newest time of any row read, epoch seconds.
        server_time: of the last page, epoch seconds.
        begun_at: server time of the first page, epoch seconds; 0 while there is none.
        rejected: rows that could not be placed.
        days: what is known of the days that aren't finished.
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
    """The segments of one pass, and the order in which they are put and removed."""

    def __init__(self, store: Store, stream: str, ownership: Ownership, *, pass_id: str) -> None:
        self.pass_id = pass_id
        self.segments = JournalFiles(store, stream, pass_id)
        self._stream = stream
        self._names = ownership.names
        owner = dataclasses.asdict(ownership)
        del owner["former_accounts"]  # says which journals are taken up, not whose this one is
        self._identity = {"format": _FORMAT, "stream": stream, **owner}
        self._writer = uuid.uuid4().hex
        self._number = 0
        self._standing: list[str] = []

    def save(self, state: PassState) -> None:
        """Put a segment: what lies in memory of the unfinished days moves there.

        Raises:
            UsageError: the store can't be written; the memory holds everything still.
        """
        name = journal_file_name(self._number + 1, self._writer)
        runs = {day: run for day, progress in state.days.items() if (run := progress.run_in_memory())}
        parts = self.segments.write(
            name,
            RAW_SCHEMAS[self._stream],
            [run.rows for run in runs.values()],
            lambda parts: self._text(state, dict(zip(runs, parts, strict=True))),
        )
        for day, part in zip(runs, parts, strict=True):
            state.days[day].parts.append(part)
            state.days[day].deliveries = []
        self._number += 1
        needed = {name, *(part.segment for progress in state.days.values() for part in progress.parts)}
        stale = [one for one in self._standing if one not in needed]
        self._standing = sorted(needed)
        if stale:  # only now: who takes over from here on finds the new segment, which doesn't need them
            self.segments.delete(stale)

    def states(self, timezone: str) -> Iterator[PassState]:
        """How far the pass had come, as its segments tell, the newest first; those that can't be read are passed over."""
        self._standing = self.segments.names()
        self._number = journal_file_number(self._standing[-1]) if self._standing else 0
        for _, names in itertools.groupby(reversed(self._standing), key=journal_file_number):
            # Two of one number are an heir's and that of the process which it took over in this very moment.
            yield from sorted(
                self._readable_states(list(names), timezone),
                key=lambda state: (state.next_start_time, state.server_time),
                reverse=True,
            )

    def _readable_states(self, names: Sequence[str], timezone: str) -> Iterator[PassState]:
        for name in names:
            with suppress(DamagedFileError):
                yield self._state_of(self.segments.text(name), timezone)

    def holds(self, state: PassState) -> bool:
        """Whether every row that the state speaks of can be read, each part a sorted run."""
        try:
            return all(self._is_whole(part) for progress in state.days.values() for part in progress.parts)
        except DamagedFileError:
            return False

    def remove(self) -> None:
        """Remove all segments: the pass has finished, or nobody can go on from it."""
        self.segments.delete(self.segments.names())

    def _text(self, state: PassState, parts: dict[Day, JournalPart]) -> str:
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
        told = {
            field.name: getattr(state, field.name)
            for field in dataclasses.fields(state)
            if field.name not in ("first", "last", "days")
        }
        return json.dumps({**self._identity, **told, "first": str(state.first), "last": str(state.last), "days": days})

    def _state_of(self, text: str, timezone: str) -> PassState:
        try:
            told: dict[str, Any] = {**_LATER_IDENTITY, **json.loads(text)}
            identity = {name: told[name] for name in self._identity}
            if {**identity, "account": self._names.current_of(identity["account"])} != self._identity:
                raise DamagedFileError(f"pass {self.pass_id} read for somebody else, or was of another version")
            days = {Day.parse(date, timezone): _progress_of(day) for date, day in told["days"].items()}
            first, last = Day.parse(told["first"], timezone), Day.parse(told["last"], timezone)
            numbers = {
                name: int(told[name]) for name in ("start_time", "next_start_time", "read_through", "server_time", "rejected")
            }
            numbers["begun_at"] = int(told.get("begun_at", 0))  # journals of before lack it
            return PassState(first, last, days=days, **numbers)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DamagedFileError(f"pass {self.pass_id} left a journal that can't be read ({error!r})") from error

    def _is_whole(self, part: JournalPart) -> bool:
        keys = []
        for rows in self.segments.run(part).tables():
            if rows.schema != RAW_SCHEMAS[self._stream]:
                return False
            keys.append(Keys.of(rows))
        whole = Keys.end_to_end(keys)
        return len(whole.ids) == part.rows and whole.are_sorted_and_unique()


def _progress_of(told: dict[str, Any]) -> DayInProgress:
    return DayInProgress(
        ledger=[LedgerPage(*page) for page in told["ledger"]],
        requests=int(told["requests"]),
        duplicates=int(told["duplicates"]),
        parts=[_part_of(part) for part in told["parts"]],
        stored_hash=told["stored_hash"],
        begun_at=int(told.get("begun_at", 0)),
    )


def _part_of(told: dict[str, Any]) -> JournalPart:
    name = told["segment"]
    name = journal_file_name(name) if isinstance(name, int) else name  # journals of the first versions tell the number
    journal_file_number(name)
    return JournalPart(**{**told, "segment": name, "row_groups": tuple(told["row_groups"])})
