"""The simulated account: its rows in order of time for any time range, its settings, and its tickets as they are now.

Deterministic by its seed: each day and each ticket has its own random generators, so a row depends neither on the requested
range nor on the current time; the current time only decides which rows are visible. Days are in UTC.
One of 25 tickets is deleted on the day it was created. Each week, if suitable tickets exist, one is deleted while its first
reply is late, one is deleted and restored, and one is raised to urgent in its reply, so that outcome and duration disagree.
Each day, one of 22 lies for weeks before its requester answers, and is late then; and one of 30 is late in one group, stands
with a second at the day's end, and goes on to a third. An AI agent solves a few alone, and hands others over.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox import catalog
from ticket_events_pipeline.sandbox.audits import audit_rows
from ticket_events_pipeline.sandbox.current_ticket import current_ticket
from ticket_events_pipeline.sandbox.history import History
from ticket_events_pipeline.sandbox.metric_rows import PLAN_HORIZON_DAYS, metric_rows
from ticket_events_pipeline.sandbox.rows import DEFAULT_SCOPE, STREAMS, TICKET_METRIC_EVENTS, Json, Row
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS
from ticket_events_pipeline.sandbox.stored_row import StoredRow
from ticket_events_pipeline.sandbox.ticket_book import (
    COHORT_DAYS,
    FOUNDED,
    LONG_COHORT_DAYS,
    MAX_TICKETS_PER_DAY,
    BookedTicket,
    TicketBook,
)

_METRIC_ROOM = 5_000
"""Of a ticket's 10,000 ids the first so many are for metric events, the others for audits and their child events."""

Cohort = dict[int, list[StoredRow]]
"""The rows of tickets that were created on one day, by the start of the day that the rows lie on."""


class SimulatedAccount:
    """An account of invented tickets. Thread-safe.

    Keeps the rows of a few weeks in memory: about 100 MB at the default volume, and proportionally more at a higher one.
    """

    def __init__(self, *, seed: int | str = 1, tickets_per_day: int = 60, name: str = "sandbox") -> None:
        """`tickets_per_day` is the mean over a week: working days have more, weekends fewer.

        Raises:
            ValueError: `tickets_per_day` is not between 1 and 40,000 (ids would no longer be unique).
        """
        if not 1 <= tickets_per_day <= MAX_TICKETS_PER_DAY:
            raise ValueError(f"tickets_per_day must be between 1 and {MAX_TICKETS_PER_DAY}, not {tickets_per_day}")
        self.name = name
        self._seed = seed
        self._book = TicketBook(seed=seed, tickets_per_day=tickets_per_day)
        self._cohort = lru_cache(maxsize=3 * COHORT_DAYS)(self._make_cohort)
        self._long_cohort = lru_cache(maxsize=3 * LONG_COHORT_DAYS)(self._make_long_cohort)
        self._day_rows = lru_cache(maxsize=COHORT_DAYS)(self._make_day_rows)

    def rows(
        self, stream: str, start_time: int, *, now: float, comments: bool = False, scope: str = DEFAULT_SCOPE
    ) -> Iterator[Row]:
        """See `Account.rows`. Rows may be dated up to three days after `now`: breaches are announced ahead.

        Raises:
            KeyError: there is no such stream.
        """
        if stream not in STREAMS:
            raise KeyError(stream)
        # There is nothing before the account was founded, and the ends of the epoch are not dates.
        day = Day.containing(max(start_time, FOUNDED.start))
        last = Day.containing(now).plus(PLAN_HORIZON_DAYS)
        while day <= last:
            rows = self._day_rows(stream, comments, day)
            for index in range(bisect_left(rows, start_time, key=lambda row: row.time), len(rows)):
                seen = rows[index].seen_at(now) if scope in rows[index].scopes else None
                if seen is not None:
                    yield seen
            day = day.plus(1)

    def history(self, ticket_id: int) -> History | None:
        """What the ticket was at every moment: the truth, independent of the rows that tell it."""
        ticket = self._book.ticket(ticket_id)
        return None if ticket is None else ticket.history

    def ticket_ids(self, created: Day) -> Sequence[int]:
        """The ids of all tickets that are created on that day."""
        return [ticket.id for ticket in self._book.created_on(created)]

    def objects(self, kind: str) -> Sequence[Json]:
        """See `Lookups`."""
        return catalog.objects(kind)

    def holidays(self, schedule_id: int) -> Sequence[Json] | None:
        """See `Lookups`."""
        return catalog.holidays(schedule_id)

    def tickets(self, ids: Iterable[int], *, now: float) -> Sequence[Json]:
        """See `Lookups`."""
        booked = [self._book.ticket(ticket_id) for ticket_id in ids]
        shown = [current_ticket(ticket, now=now) for ticket in booked if ticket is not None]
        return [ticket for ticket in shown if ticket is not None]

    def _make_day_rows(self, stream: str, comments: bool, day: Day) -> Sequence[StoredRow]:
        rows: list[StoredRow] = []
        for make, days in ((self._cohort, COHORT_DAYS), (self._long_cohort, LONG_COHORT_DAYS)):
            for created in (day.plus(-age) for age in range(days + 1)):
                if created >= FOUNDED:
                    rows.extend(make(stream, comments, created).get(day.start, ()))
        return sorted(rows, key=lambda row: (row.time, row.id))

    def _make_cohort(self, stream: str, comments: bool, created: Day) -> Cohort:
        tickets = (ticket for ticket in self._book.created_on(created) if not ticket.lies_long)
        return self._rows_by_day(tickets, stream, comments)

    def _make_long_cohort(self, stream: str, comments: bool, created: Day) -> Cohort:
        return self._rows_by_day(self._book.lying_long(created), stream, comments)

    def _rows_by_day(self, tickets: Iterable[BookedTicket], stream: str, comments: bool) -> Cohort:
        cohort: Cohort = {}
        for ticket in tickets:
            for row in self._ticket_rows(ticket, stream, comments):
                cohort.setdefault(row.time - row.time % DAY_SECONDS, []).append(row)
        return cohort

    def _ticket_rows(self, ticket: BookedTicket, stream: str, comments: bool) -> list[StoredRow]:
        rng = random.Random(f"{self._seed}:{ticket.id}:{stream}")
        if stream == TICKET_METRIC_EVENTS:
            if ticket.is_ai_alone:
                return []
            updates = [step.update for step in ticket.history.steps]
            return metric_rows(rng, updates, ticket_id=ticket.id, first_id=ticket.first_row_id, hours=ticket.history.hours)
        first_id = ticket.first_row_id + _METRIC_ROOM
        return audit_rows(rng, ticket.cast, ticket.history, ticket_id=ticket.id, first_id=first_id, comments=comments)
