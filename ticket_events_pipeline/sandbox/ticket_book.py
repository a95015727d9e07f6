"""The tickets of the simulated account, by the day of their creation: drawn, with their incidents and their history."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sandbox.history import History, ai_history, history_of
from ticket_events_pipeline.sandbox.incidents import (
    LONG_LIFE_DAYS,
    Life,
    deleted_and_restored,
    deleted_as_spam,
    deleted_late,
    handed_on,
    left_waiting,
    raised_in_the_reply,
)
from ticket_events_pipeline.sandbox.metric_rows import PLAN_HORIZON_DAYS
from ticket_events_pipeline.sandbox.schedule import WEEK_SECONDS
from ticket_events_pipeline.sandbox.texts import AI_CHANNEL, Cast
from ticket_events_pipeline.sandbox.ticket_life import LIFE_DAYS, answered_by_ai, ticket_life

FOUNDED = Day(dt.date(2015, 1, 1))
"""The account's first day: a walk from the beginning of time starts here."""

COHORT_DAYS = LIFE_DAYS + PLAN_HORIZON_DAYS
"""Tickets of that many days before a day can have rows on it."""

LONG_COHORT_DAYS = LONG_LIFE_DAYS + PLAN_HORIZON_DAYS
"""As `COHORT_DAYS`, for the few tickets that lie for weeks."""

MAX_TICKETS_PER_DAY = 40_000

_WEEKDAY_WEIGHTS = (1.32, 1.22, 1.16, 1.14, 1.06, 0.58, 0.52)
_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 8, 13, 16, 17, 16, 13, 14, 16, 16, 14, 12, 9, 7, 6, 5, 4, 3)

_TICKETS_PER_SPAM = 25
"""One of so many tickets of a day is deleted on it; on days of fewer none is."""

_TICKETS_PER_WAITING = 22
_TICKETS_PER_HANDED_ON = 30
_TICKETS_PER_AI = 20
"""For one of so many tickets, one more that an AI agent solves alone."""

_WEEKLY = (deleted_late, deleted_and_restored, raised_in_the_reply)

Incident = Callable[[random.Random, Life], Life | None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A ticket as it was drawn, before its history is told."""

    id: int
    first_row_id: int
    cast: Cast
    updates: Life


@dataclass(frozen=True, slots=True)
class BookedTicket:
    """A ticket with its history.

    Attributes:
        lies_long: whether it can have rows later than `COHORT_DAYS` after its creation.
        is_ai_alone: whether an AI agent solved it alone; nothing was measured then.
    """

    id: int
    first_row_id: int
    cast: Cast
    history: History
    lies_long: bool = False
    is_ai_alone: bool = False


class TicketBook:
    """All tickets, drawn when they are asked for. Thread-safe."""

    def __init__(self, *, seed: int | str, tickets_per_day: int) -> None:
        self._seed = seed
        self._tickets_per_day = tickets_per_day
        # Twice the reach of a cohort: both streams may be read at different places at the same time.
        self._drawn = lru_cache(maxsize=2 * LONG_COHORT_DAYS)(self._draw_tickets)
        self._incidents = lru_cache(maxsize=COHORT_DAYS)(self._draw_incidents)
        self._lives = lru_cache(maxsize=2 * LONG_COHORT_DAYS)(self._change_lives)
        self.created_on = lru_cache(maxsize=2 * COHORT_DAYS)(self._tell_all)
        self.lying_long = lru_cache(maxsize=2 * LONG_COHORT_DAYS)(self._tell_lying_long)

    def ticket(self, ticket_id: int) -> BookedTicket | None:
        """The ticket with that id."""
        days, _ = divmod(ticket_id - 1, self._ids_per_day)
        if not 0 <= days < (dt.date.max - FOUNDED.date).days:
            return None
        created = FOUNDED.plus(days)
        drawn = self._drawn(created)
        if ticket_id <= drawn[-1].id:
            return self._told(drawn[ticket_id - drawn[0].id], *self._lives(created))
        by_ai = self._solved_by_ai(created, len(drawn) // _TICKETS_PER_AI)
        return next((ticket for ticket in by_ai if ticket.id == ticket_id), None)

    def _tell_all(self, created: Day) -> Sequence[BookedTicket]:
        """The tickets created on that day."""
        changed, waiting = self._lives(created)
        booked = [self._told(ticket, changed, waiting) for ticket in self._drawn(created)]
        return [*booked, *self._solved_by_ai(created, len(booked) // _TICKETS_PER_AI)]

    def _tell_lying_long(self, created: Day) -> Sequence[BookedTicket]:
        """Of those, the ones that lie for weeks; the others' histories aren't needed for it."""
        changed, waiting = self._lives(created)
        return [self._told(ticket, changed, waiting) for ticket in self._drawn(created) if ticket.id in waiting]

    def _change_lives(self, created: Day) -> tuple[Mapping[int, Life], Mapping[int, Life]]:
        """By ticket id, the lives that an incident changed; and apart from them those of tickets that lie for weeks."""
        drawn = self._drawn(created)
        changed = dict(self._incidents(created.plus(-created.date.weekday())))
        rng = random.Random(f"{self._seed}:{created}:holders")
        free = [ticket for ticket in drawn if ticket.id not in changed]
        waiting = _waiting_lives(rng, free, len(drawn) // _TICKETS_PER_WAITING)
        free = [ticket for ticket in free if ticket.id not in waiting]
        _add_incidents(rng, free, (handed_on,) * (len(drawn) // _TICKETS_PER_HANDED_ON), changed)
        return changed, waiting

    def _told(self, ticket: Drawn, changed: Mapping[int, Life], waiting: Mapping[int, Life]) -> BookedTicket:
        life = waiting.get(ticket.id) or changed.get(ticket.id) or ticket.updates
        history = history_of(self._own_generator(ticket.id), ticket.cast, life)
        return BookedTicket(ticket.id, ticket.first_row_id, ticket.cast, history, lies_long=ticket.id in waiting)

    def _solved_by_ai(self, created: Day, count: int) -> Sequence[BookedTicket]:
        """They have the last numbers of the day."""
        found = []
        for number in range(count):
            ticket_id = self._ticket_id(created, self._ids_per_day - 1 - number)
            rng = self._own_generator(ticket_id)
            cast = replace(Cast.draw(rng), channel=AI_CHANNEL)
            history = ai_history(rng, cast, answered_by_ai(rng, created=created.start + rng.randrange(80_000)))
            row_id = _first_row_id(created, 99_999 - number)
            found.append(BookedTicket(ticket_id, row_id, cast, history, is_ai_alone=True))
        return found

    def _own_generator(self, ticket_id: int) -> random.Random:
        return random.Random(f"{self._seed}:{ticket_id}:history")

    def _draw_incidents(self, monday: Day) -> Mapping[int, Life]:
        """The changed lives, by ticket id, of the tickets of a week that have an incident."""
        rng = random.Random(f"{self._seed}:{monday}:incidents")
        days = [self._drawn(day) for day in (monday.plus(offset) for offset in range(7)) if day >= FOUNDED]
        changed: dict[int, Life] = {}
        for tickets in days:
            _add_incidents(rng, tickets, (deleted_as_spam,) * (len(tickets) // _TICKETS_PER_SPAM), changed)
        _add_incidents(rng, [ticket for tickets in days for ticket in tickets], _WEEKLY, changed)
        return changed

    def _draw_tickets(self, created: Day) -> Sequence[Drawn]:
        rng = random.Random(f"{self._seed}:{created}")
        load = rng.lognormvariate(0, 0.18)  # agents have good and bad days
        mean = self._tickets_per_day * _WEEKDAY_WEIGHTS[created.date.weekday()]
        count = max(1, round(mean * rng.uniform(0.88, 1.12)))
        hours = rng.choices(range(24), _HOUR_WEIGHTS, k=count)
        times = sorted(created.start + hour * 3600 + rng.randrange(3600) for hour in hours)
        return [self._draw_ticket(rng, created, number, time, load) for number, time in enumerate(times)]

    def _draw_ticket(self, rng: random.Random, created: Day, number: int, time: int, load: float) -> Drawn:
        cast = Cast.draw(rng)
        updates = ticket_life(rng, created=time, channel=cast.channel, load=load)
        return Drawn(self._ticket_id(created, number), _first_row_id(created, number), cast, updates)

    def _ticket_id(self, created: Day, number: int) -> int:
        return (created.date - FOUNDED.date).days * self._ids_per_day + number + 1

    @property
    def _ids_per_day(self) -> int:
        # Room for twice the mean: not even the busiest day comes near it.
        return int("1" + "0" * len(str(2 * self._tickets_per_day)))


def _add_incidents(
    rng: random.Random, tickets: Sequence[Drawn], incidents: Iterable[Incident], changed: dict[int, Life]
) -> None:
    """Apply each incident to the first suitable ticket, in a random order, that is not in `changed`."""
    for incident in incidents:
        for ticket in rng.sample(tickets, len(tickets)):
            life = incident(rng, ticket.updates) if ticket.id not in changed else None
            if life is not None:
                changed[ticket.id] = life
                break


def _waiting_lives(rng: random.Random, tickets: Sequence[Drawn], count: int) -> Mapping[int, Life]:
    """The lives of so many tickets that lie for weeks; first of those that would have been late anyhow."""
    found: list[tuple[int, int, Life]] = []
    for ticket in tickets if count else ():
        life = left_waiting(rng, ticket.updates)
        if life is not None:
            made_late_seconds = (life[-1].time - ticket.updates[-1].time) % WEEK_SECONDS
            found.append((made_late_seconds, ticket.id, life))
    return {ticket_id: life for _, ticket_id, life in sorted(found, key=lambda one: one[:2])[:count]}


def _first_row_id(created: Day, number: int) -> int:
    """Fourteen digits: the day since 1970 (five), the ticket in it (five), the row in the ticket (four)."""
    return ((created.date - dt.date(1970, 1, 1)).days * 100_000 + number) * 10_000 + 1
