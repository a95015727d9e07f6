"""Subject, priority and group of some tickets at the end of a day, as far as stored audits hold them.

An audit holds what it set: the ticket's first one everything, later ones what they changed. Only the requested tickets are
read, and only some days back; what can't be found or read is blank, and no error: reports and alerts are about SLAs.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/#incremental-ticket-event-export
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.decoding.json_values import as_text
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.streams import AUDITS

LOOK_BACK_DAYS = 30
"""The day's own file and those before it, in all: late targets are seldom older, and each file costs a read."""


_FIELDS = ("subject", "priority", "group_id")
_COLUMNS = ["id", "ticket_id", "time", "child_events"]
_SETTING = ("Create", "Change")  # a Notification has a subject too, which is an e-mail's
_SETS_A_FIELD = "|".join(f'"{name}"' for name in _FIELDS)

_Moment = tuple[int, int]  # epoch milliseconds and id: an audit's place in the order of events


@dataclass(frozen=True)
class TicketFacts:
    """What stored audits hold of a ticket as of the end of the day; None where they don't."""

    subject: str | None = None
    priority: str | None = None
    group_id: str | None = None


@dataclass
class _Ticket:
    """The newest known values of a ticket: per field the value, and the moment of the audit that set it."""

    known: dict[str, tuple[_Moment, str | None]] = field(default_factory=dict)

    def take(self, name: str, value: Any, moment: _Moment) -> None:
        if name not in self.known or self.known[name][0] <= moment:
            self.known[name] = (moment, _as_shown(value))

    def facts(self, *, since: int) -> TicketFacts:
        """What audits since then (epoch seconds) set."""
        return TicketFacts(**{name: value for name, (moment, value) in self.known.items() if moment[0] >= since * 1000})


class TicketFactsReader:
    """Reads the facts of ascending days. The tickets of a day are followed: for those, the next day reads one more file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followed: dict[int, _Ticket] = {}
        self._through: Day | None = None

    def facts(self, day: Day, ticket_ids: Collection[int], *, expected: Collection[int] = ()) -> dict[int, TicketFacts]:
        """The facts of each of the tickets as of the end of `day`.

        Args:
            day: best not before the last requested day; then reading starts over.
            ticket_ids: whose.
            expected: tickets that later days will ask for: each file read for this day is not read for them again.
        """
        first = day.plus(1 - LOOK_BACK_DAYS)
        if self._through is None or not first <= self._through <= day:
            self._followed, self._through = {}, first.plus(-1)
        wanted = {*ticket_ids, *expected}
        new = {ticket_id: _Ticket() for ticket_id in wanted if ticket_id not in self._followed}
        for past in days_between(first, self._through):
            self._read(past, new)
        self._followed = new | {ticket_id: ticket for ticket_id, ticket in self._followed.items() if ticket_id in wanted}
        for to_come in days_between(self._through.plus(1), day):
            self._read(to_come, self._followed)
        self._through = day
        return {ticket_id: self._followed[ticket_id].facts(since=first.start) for ticket_id in ticket_ids}

    def _read(self, day: Day, tickets: dict[int, _Ticket]) -> None:
        """Take from the day's file what it holds of `tickets`."""
        if not tickets:
            return
        try:
            with opened_partition(self._store, AUDITS, day) as file:
                for ticket_id, moment, child_events in _rows(file, list(tickets)):
                    for name, value in _set_by(child_events):
                        tickets[ticket_id].take(name, value, moment)
        except DamagedFileError:
            return  # its days are blank; `verify` and the raw assets' checks name the file


def _rows(file: StoredFile | None, ticket_ids: list[int]) -> Iterator[tuple[int, _Moment, str]]:
    """The audits of these tickets that set a field; no JSON of any other is parsed."""
    if file is None:
        return
    asked = pa.array(ticket_ids, pa.int64())
    for batch in file.batches(_COLUMNS):
        ours = batch.filter(pc.is_in(batch["ticket_id"], asked))
        ours = ours.filter(pc.match_substring_regex(ours["child_events"], _SETS_A_FIELD)).drop_null()
        milliseconds = ours["time"].cast(pa.int64())
        columns = (ours["ticket_id"], milliseconds, ours["id"], ours["child_events"])
        for ticket_id, time, audit_id, child_events in zip(*(column.to_pylist() for column in columns), strict=True):
            yield ticket_id, (time, audit_id), child_events


def _set_by(child_events: str) -> Iterator[tuple[str, Any]]:
    """What an audit's child events set, in their order."""
    try:
        children = json.loads(child_events)
    except (ValueError, RecursionError):  # nested or numbered beyond what can be read
        return
    for child in children if isinstance(children, list) else []:
        if isinstance(child, dict) and child.get("event_type") in _SETTING:
            yield from ((name, child[name]) for name in _FIELDS if name in child)


def _as_shown(value: Any) -> str | None:
    """A value as text; None for none, and for what is neither text nor a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return as_text(value) or None
