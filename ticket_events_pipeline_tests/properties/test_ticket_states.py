"""The layers of `ticket_states` equal a plain list of all changes, for any tickets, on any days."""

from __future__ import annotations

import os
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS, CarryOver
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.rules.states import (
    CARRIED_STATES,
    TARGET_COLUMNS,
    DayOfTickets,
    advance,
    first_activations,
)
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.state_cases import FIELDS, drawn_ticket, states_rows, states_table
from ticket_events_pipeline_tests.support.states_oracle import StatesOracle, key_order

HISTORIES = int(os.environ.get("SLA_EXAMPLES", "80")) // 8
DAYS = 70


def targets(opened):
    """Targets of which the first activation is known by one of the three times."""
    rows = []
    for ticket, second in opened.items():
        known = ticket % 3
        times = [None] * known + [second * 1000] + [(second + 9) * 1000] * (2 - known)
        rows.append(dict(zip(TARGET_COLUMNS, [ticket, *times], strict=True)))
        rows.append(dict(zip(TARGET_COLUMNS, [ticket, None, None, (second + 50) * 1000], strict=True)))
    timestamp = pa.timestamp("ms", "UTC")
    return pa.Table.from_pylist(
        rows, schema=pa.schema([("ticket_id", pa.int64()), *((n, timestamp) for n in TARGET_COLUMNS[1:])])
    )


def of_day(rows, day, time):
    return [row for row in rows if day.start <= row[time] < day.end]


def open_targets(rng, tickets, days):
    """By day, the tickets with an open target and its first activation; some close and open again."""
    by_day = {day: {} for day in days}
    for ticket in tickets:
        audit = rng.choice(ticket.audits)["time"] if ticket.audits else days[0].start
        first = audit + rng.choice([-3 * 86_400, -3600, 0, 1, 3600])
        start, stretches = (Day.containing(audit).date - days[0].date).days + rng.choice([0, 0, 1]), rng.randrange(3)
        for _ in range(stretches):
            end = start + rng.choice([1, 2, 10, 40])
            for day in days[start:end]:
                by_day[day][ticket.id] = min(first, day.end - 1)
            start = end + rng.choice([1, 5, 35])
    return by_day


@pytest.mark.parametrize("seed", range(HISTORIES))
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_layers_hold_what_the_definition_asks_for(seed, zone):
    """Days whose audits are missing, and a day that compacts everything into its layer, are among them."""
    rng = Random(f"{seed} {zone}")  # noqa: S311
    days = days_between(Day(Clock.DAY.date, zone), Day(Clock.DAY.date, zone).plus(DAYS - 1))
    tickets = [drawn_ticket(rng, number, days=DAYS) for number in range(1, 31)]
    opened_by_day = open_targets(rng, tickets, days)
    compacted_on, missing, history = rng.choice(days), set(rng.sample(days, 5)), rng.choice([0, 30])
    carry_over, oracle = CarryOver(CARRIED_STATES), StatesOracle()
    for number, day in enumerate(days):
        landed = [] if day in missing else tickets
        changes = sorted(of_day([row for one in landed for row in one.changes], day, "changed_at"), key=key_order)
        audited = {row["ticket_id"] for row in of_day([row for one in landed for row in one.audits], day, "time")}
        opened = None if number < history else opened_by_day[day]
        is_compacted = day == compacted_on
        new = DayOfTickets(
            states_table(changes),
            np.array(sorted(audited | set(opened or {})), np.int64),
            None if opened is None else first_activations(targets(opened)),
            FIELDS,
        )
        carry_over, layer = (carry_over.compacted if is_compacted else carry_over.advanced)(new, day)
        expected = oracle.followed_by(day, changes, audited, opened, is_compacted=is_compacted)
        assert states_rows(layer.content.table) == expected
        assert len(carry_over.layers) <= REACH_DAYS + 1


def test_rows_depend_on_their_own_ticket_only():
    rng = Random(5)  # noqa: S311
    tickets = [drawn_ticket(rng, number, days=20) for number in range(1, 30)]
    day = Clock.DAY.plus(12)
    every = sorted((row for one in tickets for row in one.changes if row["changed_at"] < day.end), key=key_order)
    opened = dict.fromkeys(range(1, 30, 2), day.start - 5 * 86400)

    def advanced(rows):
        none = TICKET_STATES_TABLE.schema.empty_table()
        return states_rows(advance(states_table(rows), none, day, opened=first_activations(targets(opened)), fields=FIELDS))

    alone = [advanced([row for row in every if row["ticket_id"] == number]) for number in range(1, 30)]
    assert advanced(every) == [row for rows in alone for row in rows]
    assert 0 < len(advanced(every)) < len(every)
