"""The simulated account: its tickets per day, and its rows in order of time for any time range.

Deterministic by its seed: each day and each ticket has its own random generator, so a row depends neither on the requested
range nor on the current time; the current time only decides which rows are visible. Days are in UTC.
One of 25 tickets is deleted on the day it was created. Each week, if suitable tickets exist, one is deleted while its first
reply is late, one is deleted and restored, and one is raised to urgent in its reply, so that outcome and duration disagree.
"""

from __future__ import annotations

import datetime as dt
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.audits import audit_rows
from ticket_events_pipeline.sandbox.incidents import (
    Life,
    deleted_and_restored,
    deleted_as_spam,
    deleted_late,
    raised_in_the_reply,
)
from ticket_events_pipeline.sandbox.metric_rows import PLAN_HORIZON_DAYS, metric_rows
from ticket_events_pipeline.sandbox.rows import STREAMS, TICKET_METRIC_EVENTS, Row
from ticket_events_pipeline.sandbox.schedule import DAY_SECONDS
from ticket_events_pipeline.sandbox.stored_row import StoredRow
from ticket_events_pipeline.sandbox.texts import Cast
from ticket_events_pipeline.sandbox.ticket_life import LIFE_DAYS, ticket_life

FOUNDED = Day(dt.date(2015, 1, 1))
"""The account's first day: a walk from the beginning of time starts here."""

COHORT_DAYS = LIFE_DAYS + PLAN_HORIZON_DAYS
"""Tickets of that many days before a day can have rows on it."""

MAX_TICKETS_PER_DAY = 40_000

_WEEKDAY_WEIGHTS = (1.32, 1.22, 1.16, 1.14, 1.06, 0.58, 0.52)
_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 8, 13, 16, 17, 16, 13, 14, 16, 16, 14, 12, 9, 7, 6, 5, 4, 3)

_TICKETS_PER_SPAM = 25
"""One of so many tickets of a day is deleted on it; on days of fewer none is."""

_WEEKLY = (deleted_late, deleted_and_restored, raised_in_the_reply)

_METRIC_ROOM = 5_000
"""Of a ticket's 10,000 ids the first so many are for metric events, the others for audits and their child events."""

Incident = Callable[[random.Random, Life], Life | None]

Cohort = dict[int, list[StoredRow]]
"""The rows of the tickets created on one day, by the start of the day that the rows lie on."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    id: int
    first_row_id: int
    cast: Cast
    updates: Life


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
        self._tickets_per_day = tickets_per_day
        # Twice the reach of a cohort: both streams may be read at different places at the same time.
        self._drawn = lru_cache(maxsize=2 * COHORT_DAYS)(self._draw_tickets)
        self._incidents = lru_cache(maxsize=COHORT_DAYS)(self._draw_incidents)
        self._cohort = lru_cache(maxsize=3 * COHORT_DAYS)(self._make_cohort)
        self._day_rows = lru_cache(maxsize=COHORT_DAYS)(self._make_day_rows)

    def rows(self, stream: str, start_time: int, *, now: float, comments: bool = False) -> Iterator[Row]:
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
                seen = rows[index].seen_at(now)
                if seen is not None:
                    yield seen
            day = day.plus(1)

    def _make_day_rows(self, stream: str, comments: bool, day: Day) -> Sequence[StoredRow]:
        rows: list[StoredRow] = []
        for age in range(COHORT_DAYS + 1):
            created = day.plus(-age)
            if created >= FOUNDED:
                rows.extend(self._cohort(stream, comments, created).get(day.start, ()))
        return sorted(rows, key=lambda row: (row.time, row.id))

    def _make_cohort(self, stream: str, comments: bool, created: Day) -> Cohort:
        cohort: Cohort = {}
        for ticket in self._tickets(created):
            for row in self._ticket_rows(ticket, stream, comments):
                cohort.setdefault(row.time - row.time % DAY_SECONDS, []).append(row)
        return cohort

    def _ticket_rows(self, ticket: _Ticket, stream: str, comments: bool) -> list[StoredRow]:
        rng = random.Random(f"{self._seed}:{ticket.id}:{stream}")
        if stream == TICKET_METRIC_EVENTS:
            return metric_rows(rng, ticket.updates, ticket_id=ticket.id, first_id=ticket.first_row_id)
        first_id = ticket.first_row_id + _METRIC_ROOM
        return audit_rows(rng, ticket.cast, ticket.updates, ticket_id=ticket.id, first_id=first_id, comments=comments)

    def _tickets(self, created: Day) -> Iterator[_Ticket]:
        changed = self._incidents(created.plus(-created.date.weekday()))
        for ticket in self._drawn(created):
            yield replace(ticket, updates=changed.get(ticket.id, ticket.updates))

    def _draw_incidents(self, monday: Day) -> Mapping[int, Life]:
        """The changed lives, by ticket id, of the tickets of a week that have an incident."""
        rng = random.Random(f"{self._seed}:{monday}:incidents")
        days = [self._drawn(day) for day in (monday.plus(offset) for offset in range(7)) if day >= FOUNDED]
        changed: dict[int, Life] = {}
        for tickets in days:
            _add_incidents(rng, tickets, (deleted_as_spam,) * (len(tickets) // _TICKETS_PER_SPAM), changed)
        _add_incidents(rng, [ticket for tickets in days for ticket in tickets], _WEEKLY, changed)
        return changed

    def _draw_tickets(self, created: Day) -> Sequence[_Ticket]:
        rng = random.Random(f"{self._seed}:{created}")
        load = rng.lognormvariate(0, 0.18)  # agents have good and bad days
        mean = self._tickets_per_day * _WEEKDAY_WEIGHTS[created.date.weekday()]
        count = max(1, round(mean * rng.uniform(0.88, 1.12)))
        hours = rng.choices(range(24), _HOUR_WEIGHTS, k=count)
        times = sorted(created.start + hour * 3600 + rng.randrange(3600) for hour in hours)
        return [self._draw_ticket(rng, created, number, time, load) for number, time in enumerate(times)]

    def _draw_ticket(self, rng: random.Random, created: Day, number: int, time: int, load: float) -> _Ticket:
        cast = Cast.draw(rng)
        updates = ticket_life(rng, created=time, channel=cast.channel, load=load)
        return _Ticket(self._ticket_id(created, number), _first_row_id(created, number), cast, updates)

    def _ticket_id(self, created: Day, number: int) -> int:
        # Room for twice the mean: not even the busiest day comes near it.
        room = int("1" + "0" * len(str(2 * self._tickets_per_day)))
        return (created.date - FOUNDED.date).days * room + number + 1


def _add_incidents(
    rng: random.Random, tickets: Sequence[_Ticket], incidents: Iterable[Incident], changed: dict[int, Life]
) -> None:
    """Apply each incident to the first suitable ticket, in a random order, that is not in `changed`."""
    for incident in incidents:
        for ticket in rng.sample(tickets, len(tickets)):
            life = incident(rng, ticket.updates) if ticket.id not in changed else None
            if life is not None:
                changed[ticket.id] = life
                break


def _first_row_id(created: Day, number: int) -> int:
    """Fourteen digits: the day since 1970 (five), the ticket in it (five), the row in the ticket (four)."""
    return ((created.date - dt.date(1970, 1, 1)).days * 100_000 + number) * 10_000 + 1
