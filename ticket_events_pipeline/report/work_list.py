"""The work list and the forecast of a day: its late open targets, and those that breach next, by ticket.

The targets stay a table until it is known which of them are shown: an account may have tens of thousands of late ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.model import (
    FORECAST_HOURS,
    LONG_LATE_DAYS,
    Forecast,
    LateTickets,
    OpenTarget,
    OpenTicket,
    TicketFacts,
    WorkList,
)

LONGEST_NEW, LONGEST_OLDER, LONGEST_LONG_LATE, LONGEST_NEXT = 100, 100, 20, 50
"""Tickets of each list: a longer page is not read to its end."""

MAX_ASKED = 1_000
"""So many tickets of each part of the work list, the longest overdue first, are asked for their priority. Beyond, only the time
overdue decides the order: reading more would cost more than their place in a list of a thousand is worth."""

PRIORITIES = ("urgent", "high", "normal", "low")

OPEN_TARGET_COLUMNS = [
    "ticket_id",
    "sla_metric",
    "instance_id",
    "policy_id",
    "policy_title",
    "business_hours",
    "target_seconds",
    "is_paused",
    "breached_at",
    "overdue_seconds",
    "due_at",
]

_NEW, _OLDER, _LONG_LATE = range(3)
_LONGEST = (LONGEST_NEW, LONGEST_OLDER, LONGEST_LONG_LATE)
_DAY_SECONDS = 24 * 3600

Facts = Mapping[int, TicketFacts]


@dataclass(frozen=True)
class _LateTicket:
    """A ticket with late targets: the part that it belongs to, how long it is overdue, and how many they are."""

    ticket_id: int
    part: int
    overdue_seconds: int
    targets: int


@dataclass(frozen=True)
class OpenTargets:
    """The open targets of a day as of `as_of` (epoch seconds).

    Attributes:
        late: breached ones.
        active: all others.
    """

    day: Day
    as_of: int
    late: pa.Table
    active: pa.Table

    @classmethod
    def of(cls, targets: pa.Table, *, day: Day, as_of: int) -> OpenTargets:
        """Those among the day's `sla_targets`, which have `OPEN_TARGET_COLUMNS` and `outcome`; times become epoch seconds."""
        late, active = (
            _in_seconds(targets.filter(pc.equal(targets["outcome"], outcome)).select(OPEN_TARGET_COLUMNS))
            for outcome in ("breached_open", "active")
        )
        return cls(day, as_of, late, active)

    @cached_property
    def ticket_ids(self) -> frozenset[int]:
        """The tickets whose facts the lists need."""
        parts = [sorted(part, key=_longest_overdue_first)[:MAX_ASKED] for part in self._parts()]
        return frozenset({ticket.ticket_id for part in parts for ticket in part} | set(self._next_ticket_ids()))

    def work_list(self, facts: Facts) -> WorkList:
        """What is late and open, with these facts of the tickets."""
        new, older, long_late = (
            self._late_tickets(part, facts, longest=longest) for part, longest in zip(self._parts(), _LONGEST, strict=True)
        )
        return WorkList(new, older, long_late)

    def forecast(self, facts: Facts) -> Forecast:
        """What will breach next, with these facts of the tickets."""
        due_at, next_due = self.active["due_at"], self._next_due()
        shown = _targets_of(next_due, self._next_ticket_ids(), order=[("due_at", "ascending")])
        return Forecast(
            tickets=tuple(_open_ticket(ticket_id, targets, facts) for ticket_id, targets in shown.items()),
            ticket_count=pc.count_distinct(next_due["ticket_id"]).as_py(),
            target_count=next_due.num_rows,
            later=_count(pc.greater(due_at, self._horizon)),
            overdue_estimates=_count(pc.less_equal(due_at, self.as_of)),
            unforecast=due_at.null_count,
        )

    def _parts(self) -> tuple[list[_LateTicket], ...]:
        """The late tickets, by the part of the work list that their newest breach puts them in."""
        per_ticket = self.late.group_by("ticket_id", use_threads=False).aggregate(
            [("breached_at", "max"), ("overdue_seconds", "max"), ([], "count_all")]
        )
        parts: tuple[list[_LateTicket], ...] = ([], [], [])
        for row in per_ticket.to_pylist():
            part = self._part(row["breached_at_max"])
            parts[part].append(_LateTicket(row["ticket_id"], part, row["overdue_seconds_max"] or 0, row["count_all"]))
        return parts

    def _part(self, breached_at: int) -> int:
        if breached_at >= self.day.start:
            return _NEW
        return _OLDER if breached_at >= self.as_of - LONG_LATE_DAYS * _DAY_SECONDS else _LONG_LATE

    def _late_tickets(self, part: Sequence[_LateTicket], facts: Facts, *, longest: int) -> LateTickets:
        ordered = sorted(part, key=lambda ticket: (_urgency(facts.get(ticket.ticket_id)), *_longest_overdue_first(ticket)))
        ids = [ticket.ticket_id for ticket in ordered[:longest]]
        targets = _targets_of(self.late, ids, order=[("breached_at", "descending")])
        return LateTickets(
            tickets=tuple(_open_ticket(ticket_id, targets[ticket_id], facts) for ticket_id in ids),
            ticket_count=len(part),
            target_count=sum(ticket.targets for ticket in part),
        )

    @property
    def _horizon(self) -> int:
        return self.as_of + FORECAST_HOURS * 3600

    def _next_due(self) -> pa.Table:
        due_at = self.active["due_at"]
        is_next = pc.and_(pc.greater(due_at, self.as_of), pc.less_equal(due_at, self._horizon))
        return self.active.filter(pc.fill_null(is_next, False))

    def _next_ticket_ids(self) -> list[int]:
        """The tickets of the forecast that are shown, soonest first; of one moment, the older ticket first."""
        soonest = self._next_due().group_by("ticket_id", use_threads=False).aggregate([("due_at", "min")])
        ordered = soonest.sort_by([("due_at_min", "ascending"), ("ticket_id", "ascending")])
        ids: list[int] = ordered["ticket_id"].slice(0, LONGEST_NEXT).to_pylist()
        return ids


def _longest_overdue_first(ticket: _LateTicket) -> tuple[int, int]:
    return -ticket.overdue_seconds, ticket.ticket_id


def _urgency(facts: TicketFacts | None) -> int:
    """The place of the ticket's priority in the order of work; an unknown one comes last."""
    priority = None if facts is None else facts.priority
    return PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)


def _targets_of(rows: pa.Table, ticket_ids: Sequence[int], *, order: list[tuple[str, str]]) -> dict[int, list[OpenTarget]]:
    """The targets of these tickets, of each in that order, then by name; the tickets are in the order of `ticket_ids`."""
    asked = pa.array(ticket_ids, pa.int64())
    ours = rows.filter(pc.is_in(rows["ticket_id"], asked))
    ours = ours.append_column("place", pc.index_in(ours["ticket_id"], asked))
    by_name: list[tuple[str, str]] = [("sla_metric", "ascending"), ("instance_id", "ascending")]
    found = ours.sort_by([("place", "ascending"), *order, *by_name]).drop_columns(["place"])
    return {ticket_id: list(targets) for ticket_id, targets in groupby(_lines(found), key=lambda line: line.ticket_id)}


def _lines(rows: pa.Table) -> Iterable[OpenTarget]:
    return (OpenTarget(**row) for row in rows.to_pylist())


def _open_ticket(ticket_id: int, targets: Sequence[OpenTarget], facts: Facts) -> OpenTicket:
    return OpenTicket(ticket_id, facts.get(ticket_id, TicketFacts()), tuple(targets))


def _in_seconds(rows: pa.Table) -> pa.Table:
    for name in ("breached_at", "due_at"):
        seconds = pc.divide(rows[name].cast(pa.int64()), 1000)
        rows = rows.set_column(rows.schema.get_field_index(name), name, seconds)
    return rows


def _count(is_counted: Any) -> int:
    """How often it is true; null is not."""
    found: int = pc.sum(is_counted, min_count=0).as_py()
    return found
