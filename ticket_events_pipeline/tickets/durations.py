"""`daily_ticket_durations`: one file a day, made from the day's clocks and ticket states."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.provenance import read_sla_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tickets.holders import CLOCKS, MADE_FROM_CLOCKS, MADE_FROM_STATES
from ticket_events_pipeline.tickets.provenance import MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.durations import (
    CLOCK_COLUMNS,
    GROUP_FIELD,
    MeasuredClocks,
    durations,
    measured_clocks,
)
from ticket_events_pipeline.tickets.rules.values import FieldValues, KnownAudits, values_at
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import StatesDay, read_states

DURATIONS = "daily_ticket_durations"

NEGATIVE_DURATIONS = "negative_durations"
"""Footer key: how many durations were left out because Zendesk sent a negative one."""


def make_durations(store: Store, days: list[Day], *, snapshots: Snapshots | None = None) -> Iterator[MadeTicketDay]:
    """Make `daily_ticket_durations` of the days.

    Args:
        store: where the files are.
        days: in any order.
        snapshots: of tickets; only those that are stored already are used.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` or `ticket_states` yet.
        DamagedFileError: a stored file can't be read.
    """
    for day in days:
        clocks = read_sla_day(store, CLOCKS, day, CLOCK_COLUMNS, table=SLA_CLOCKS_TABLE)
        measured = measured_clocks(clocks.rows, day=day, as_of=clocks.provenance.inputs.as_of)
        states = read_states(store, day)
        table = durations(measured, _groups(day, measured, states, snapshots))
        footer = {
            **states.provenance.to_metadata(),
            MADE_FROM_CLOCKS: clocks.content_hash,
            MADE_FROM_STATES: states.content_hash,
            NEGATIVE_DURATIONS: str(measured.negative),
        }
        yield write_ticket_day(store, DURATIONS, day, table, footer, counts=_counts(measured, table))


def _groups(day: Day, measured: MeasuredClocks, states: StatesDay, snapshots: Snapshots | None) -> FieldValues:
    """The group of each ticket at the fulfilment."""
    known, moments = KnownAudits.of(states.provenance.targets.deletions, day.timezone), measured.moments
    found = values_at(states.rows, moments, [GROUP_FIELD], known=known)[GROUP_FIELD].ids()
    tickets = moments.ticket_id[~found.is_known]
    if snapshots is None or not len(tickets):
        return found
    stored = snapshots.stored(tickets.tolist(), since=day.plus(-HISTORY_DAYS))
    return values_at(states.rows, moments, [GROUP_FIELD], known=known, snapshots=stored)[GROUP_FIELD].ids()


def _counts(measured: MeasuredClocks, table: pa.Table) -> dict[str, int]:
    unknown = pc.sum(table["clocks"].filter(pc.invert(table["is_known"])), min_count=0).as_py()
    return {"clocks": measured.rows.num_rows, "clocks_of_unknown_groups": unknown, NEGATIVE_DURATIONS: measured.negative}
