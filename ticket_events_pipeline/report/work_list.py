"""The work list and the forecast of a day: its late open targets, and those that breach next, by ticket.

The targets stay a table until it is known which of them are shown: an account may have tens of thousands of late ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.dimension_table import KnownNames
from ticket_events_pipeline.report.holders import (
    HOLDER_COLUMNS,
    NO_NAMES,
    Holder,
    Party,
    at_breach,
    at_the_end,
    with_holders,
)
from ticket_events_pipeline.report.open_tickets import (
    FORECAST_HOURS,
    LONG_LATE_DAYS,
    Forecast,
    LateTickets,
    OpenTarget,
    OpenTicket,
    WorkList,
    unforecast,
)
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts

LONGEST_NEW, LONGEST_OLDER, LONGEST_LONG_LATE, LONGEST_NEXT = 100, 100, 20, 50
"""Tickets of each list: a longer page is not read to its end."""

LONGEST_OF_GROUP = 25
"""Tickets of each list of a group."""

MAX_ASKED = 1_000
"""So many tickets of each part of the work list, the longest overdue first, are asked for their priority, and so many of the
forecast, the soonest first. Beyond, only the time overdue decides the order: reading more would cost more than their place in a
list of a thousand is worth."""

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
    "due_by",
]
"""Of `OpenTargets`, and of `with_estimates`."""

STORED_COLUMNS = OPEN_TARGET_COLUMNS[:-1]
"""Those of `sla_targets`."""

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
        names: for the groups and agents that hold the tickets.
    """

    day: Day
    as_of: int
    late: pa.Table
    active: pa.Table
    names: KnownNames = NO_NAMES

    @classmethod
    def of(cls, targets: pa.Table, *, day: Day, as_of: int) -> OpenTargets:
        """Those among the day's `sla_targets`, which have `OPEN_TARGET_COLUMNS` (see `estimates`) and `outcome`.

        Times become epoch seconds.
        """
        late, active = (
            with_holders(_in_seconds(targets.filter(pc.equal(targets["outcome"], outcome)).select(OPEN_TARGET_COLUMNS)), None)
            for outcome in ("breached_open", "active")
        )
        return cls(day, as_of, late, active)

    def held(self, dimensions: pa.Table | None, names: KnownNames) -> OpenTargets:
        """The same with who holds and held the tickets, from the day's `sla_target_dimensions`."""
        late, active = (with_holders(part.select(OPEN_TARGET_COLUMNS), dimensions) for part in (self.late, self.active))
        return replace(self, late=late, active=active, names=names)

    @cached_property
    def ticket_ids(self) -> frozenset[int]:
        """The tickets whose facts the lists need."""
        parts = [sorted(part, key=_longest_overdue_first)[:MAX_ASKED] for part in self._parts()]
        return frozenset({ticket.ticket_id for part in parts for ticket in part} | set(self._next_ticket_ids(MAX_ASKED)))

    def work_list(self, facts: Facts) -> WorkList:
        """What is late and open, with these facts of the tickets."""
        new, older, long_late = (
            self._late_tickets(part, facts, longest=longest) for part, longest in zip(self._parts(), _LONGEST, strict=True)
        )
        return WorkList(new, older, long_late)

    def late_by_group(self) -> dict[int, int]:
        """How many late targets each group holds now."""
        counts = self.late["group_id_eod"].drop_null().value_counts().to_pylist()
        return {row["values"]: row["counts"] for row in counts}

    def late_of_group(self, group_id: int, facts: Facts) -> tuple[LateTickets, LateTickets]:
        """The late tickets that the group holds now, and those that breached with it and are elsewhere now."""
        now, then = (pc.fill_null(pc.equal(self.late[name], group_id), False) for name in ("group_id_eod", "group_id"))
        kept, gone = (self.late.filter(rows) for rows in (now, pc.and_not(then, now)))
        return self._all_late(kept, facts), self._all_late(gone, facts)

    def _all_late(self, late: pa.Table, facts: Facts) -> LateTickets:
        ours = replace(self, late=late)
        return ours._late_tickets([ticket for part in ours._parts() for ticket in part], facts, longest=LONGEST_OF_GROUP)

    def next_of_group(self, group_id: int, facts: Facts) -> Forecast:
        """What the group holds now and will breach next."""
        is_ours = pc.fill_null(pc.equal(self.active["group_id_eod"], group_id), False)
        return replace(self, active=self.active.filter(is_ours)).forecast(facts, longest=LONGEST_OF_GROUP)

    def forecast(self, facts: Facts, *, longest: int = LONGEST_NEXT) -> Forecast:
        """What will breach next, with these facts of the tickets."""
        due_at, next_due = self.active["due_at"], self._next_due()
        shown = _targets_of(next_due, self._next_ticket_ids(longest), order=[("due_at", "ascending")])
        return Forecast(
            tickets=tuple(_open_ticket(ticket_id, rows, facts, self.names) for ticket_id, rows in shown.items()),
            ticket_count=pc.count_distinct(next_due["ticket_id"]).as_py(),
            target_count=next_due.num_rows,
            later=_count(pc.greater(due_at, self._horizon)),
            overdue_estimates=_count(pc.less_equal(due_at, self.as_of)),
            without=unforecast(self.active),
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
            tickets=tuple(_open_ticket(ticket_id, targets[ticket_id], facts, self.names) for ticket_id in ids),
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

    def _next_ticket_ids(self, longest: int) -> list[int]:
        """The tickets of the forecast, soonest first, cut to so many; of one moment, the older ticket first."""
        soonest = self._next_due().group_by("ticket_id", use_threads=False).aggregate([("due_at", "min")])
        ordered = soonest.sort_by([("due_at_min", "ascending"), ("ticket_id", "ascending")])
        ids: list[int] = ordered["ticket_id"].slice(0, longest).to_pylist()
        return ids


def _longest_overdue_first(ticket: _LateTicket) -> tuple[int, int]:
    return -ticket.overdue_seconds, ticket.ticket_id


def _urgency(facts: TicketFacts | None) -> int:
    """The place of the ticket's priority in the order of work; an unknown one comes last."""
    priority = None if facts is None else facts.priority
    return PRIORITIES.index(priority) if priority in PRIORITIES else len(PRIORITIES)


def _targets_of(rows: pa.Table, ticket_ids: Sequence[int], *, order: list[tuple[str, str]]) -> dict[int, list[dict[str, Any]]]:
    """The targets of these tickets, of each in that order, then by name; the tickets are in the order of `ticket_ids`."""
    asked = pa.array(ticket_ids, pa.int64())
    ours = rows.filter(pc.is_in(rows["ticket_id"], asked))
    ours = ours.append_column("place", pc.index_in(ours["ticket_id"], asked))
    by_name: list[tuple[str, str]] = [("sla_metric", "ascending"), ("instance_id", "ascending")]
    found = ours.sort_by([("place", "ascending"), *order, *by_name]).drop_columns(["place"])
    return {ticket_id: list(lines) for ticket_id, lines in groupby(found.to_pylist(), key=lambda line: line["ticket_id"])}


def _open_ticket(ticket_id: int, rows: Sequence[dict[str, Any]], facts: Facts, names: KnownNames) -> OpenTicket:
    of_ticket = facts.get(ticket_id, TicketFacts())
    return OpenTicket(
        ticket_id=ticket_id,
        facts=of_ticket,
        targets=tuple(_open_target(row, names) for row in rows),
        now_with=_now_with(rows[0], of_ticket, names),
    )


def _open_target(row: Mapping[str, Any], names: KnownNames) -> OpenTarget:
    own = {name: value for name, value in row.items() if name not in HOLDER_COLUMNS}
    return OpenTarget(**own, breached_with=None if row["breached_at"] is None else at_breach(row, names))


def _now_with(row: Mapping[str, Any], facts: TicketFacts, names: KnownNames) -> Holder | None:
    """Who holds the ticket; the group of the audits where the ticket tables have none."""
    held = at_the_end(row, names)
    if (held is not None and held.group.is_known) or not (facts.group_id or "").isdecimal():
        return held
    group = Party.of(names, "group", int(facts.group_id or ""), is_known=True)
    return Holder(group, Party.of(names, "assignee", None, is_known=False) if held is None else held.assignee)


def _in_seconds(rows: pa.Table) -> pa.Table:
    for name in ("breached_at", "due_at"):
        seconds = pc.divide(rows[name].cast(pa.int64()), 1000)
        rows = rows.set_column(rows.schema.get_field_index(name), name, seconds)
    return rows


def _count(is_counted: Any) -> int:
    """How often it is true; null is not."""
    found: int = pc.sum(is_counted, min_count=0).as_py()
    return found
