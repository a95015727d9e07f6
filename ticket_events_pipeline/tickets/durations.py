"""`daily_ticket_durations`: one file a day, made from the day's clocks and ticket states."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import map_ahead
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.provenance import read_sla_day
from ticket_events_pipeline.sla.rules.row_runs import union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tickets.evidence import ASKED_FIELDS, EarlierChanges, Evidence, StoredSnapshots
from ticket_events_pipeline.tickets.holders import MADE_FROM_STATES
from ticket_events_pipeline.tickets.later_changes import LaterChanges
from ticket_events_pipeline.tickets.provenance import MADE_FROM_CLOCKS, MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.durations import (
    CLOCK_COLUMNS,
    GROUP_FIELD,
    MeasuredClocks,
    durations,
    groups_at,
    measured_clocks,
)
from ticket_events_pipeline.tickets.rules.values import FieldValues
from ticket_events_pipeline.tickets.states import StatesDay, read_states

DURATIONS = "daily_ticket_durations"

NEGATIVE_DURATIONS = "negative_durations"
"""Footer key: how many durations were left out because Zendesk sent a negative one."""


def make_durations(store: Store, days: list[Day], *, snapshots: StoredSnapshots | None = None) -> Iterator[MadeTicketDay]:
    """Make `daily_ticket_durations` of contiguous, ascending days.

    Args:
        store: where the files are.
        days: the days.
        snapshots: of tickets; none are asked for.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks` or `ticket_states` yet.
        DamagedFileError: a stored file can't be read.
    """
    earlier, later = EarlierChanges(store), LaterChanges(store, days)
    for day, measured, states, made_from in map_ahead(partial(_measured, store), days):
        table = durations(measured, _groups(measured, Evidence(day, states, earlier, later, snapshots)))
        earlier.keep(day, states.rows)
        footer = {**states.provenance.to_metadata(), **made_from}
        yield write_ticket_day(store, DURATIONS, day, table, footer, counts=_counts(measured, table))


def _measured(store: Store, day: Day) -> tuple[Day, MeasuredClocks, StatesDay, dict[str, str]]:
    clocks = read_sla_day(store, CLOCKS, day, CLOCK_COLUMNS, table=SLA_CLOCKS_TABLE)
    states = read_states(store, day, ASKED_FIELDS)
    measured = measured_clocks(clocks.rows, day=day, as_of=clocks.provenance.inputs.as_of)
    made_from = {
        MADE_FROM_CLOCKS: clocks.content_hash,
        MADE_FROM_STATES: states.content_hash,
        NEGATIVE_DURATIONS: str(measured.negative),
    }
    return day, measured, states, made_from


def _groups(measured: MeasuredClocks, evidence: Evidence) -> FieldValues:
    """The group of each ticket at the fulfilment; where the day's memory doesn't tell, by all that is stored."""
    moments = measured.moments
    tickets = union(moments.ticket_id)
    remembered = evidence.with_newest(evidence.remembered(tickets), tickets, GROUP_FIELD)
    found = groups_at(moments, remembered)
    unknown = np.flatnonzero(~found.is_known)
    if not len(unknown):
        return found
    again = evidence.with_all(remembered, union(moments.ticket_id[unknown]))
    return groups_at(moments.take(unknown), again).placed(unknown, len(moments)).chosen(~found.is_known, found)


def _counts(measured: MeasuredClocks, table: pa.Table) -> dict[str, int]:
    unknown = pc.sum(table["clocks"].filter(pc.invert(table["is_known"])), min_count=0).as_py()
    return {"clocks": measured.rows.num_rows, "clocks_of_unknown_groups": unknown, NEGATIVE_DURATIONS: measured.negative}
