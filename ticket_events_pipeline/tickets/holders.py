"""`sla_target_holders`: one file a day, made from the day's clocks, targets and ticket states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import starmap

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.background_worker import prefetch
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.provenance import SlaDay, read_sla_day
from ticket_events_pipeline.sla.rules.row_runs import union
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tickets.evidence import ASKED_FIELDS, EarlierChanges, Evidence, StoredSnapshots
from ticket_events_pipeline.tickets.later_changes import LaterChanges
from ticket_events_pipeline.tickets.provenance import MADE_FROM_CLOCKS, MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.rules.holders import (
    TARGET_COLUMNS,
    EndedTargets,
    Held,
    Remembered,
    first_activations,
    held,
    holders,
    target_hours,
)
from ticket_events_pipeline.tickets.rules.running_time import CLOCK_COLUMNS, RunningTime, running_time
from ticket_events_pipeline.tickets.states import StatesDay, read_states

HOLDERS = "sla_target_holders"

MADE_FROM_STATES = "made_from_states"
"""Footer key in addition to those of every ticket table: the content hash of the day's `ticket_states`."""


def make_holders(
    store: Store, days: list[Day], *, schedules: Mapping[int, Schedule], snapshots: StoredSnapshots | None = None
) -> Iterator[MadeTicketDay]:
    """Make `sla_target_holders` of contiguous, ascending days.

    Args:
        store: where the files are.
        days: the days.
        schedules: of the account, by id.
        snapshots: of tickets; none are asked for.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks`, `sla_targets` or `ticket_states` yet.
        DamagedFileError: a stored file can't be read.
    """
    for day, ended, table, footer in prefetch(_tables(store, days, schedules, snapshots)):
        yield write_ticket_day(store, HOLDERS, day, table, footer, counts=_counts(ended, table))


def _tables(
    store: Store, days: list[Day], schedules: Mapping[int, Schedule], snapshots: StoredSnapshots | None
) -> Iterator[tuple[Day, EndedTargets, pa.Table, dict[str, str]]]:
    earlier, later = EarlierChanges(store), LaterChanges(store, days)
    for day, ended, ran, states, made_from in prefetch(starmap(_ended, prefetch(_inputs(store, days)))):
        evidence = Evidence(day, states, earlier, later, snapshots)
        remembered = evidence.remembered(union(ended.tickets))
        hours = target_hours(ended, ran, remembered, schedules)
        table = holders(ended, ran, _held(evidence, remembered, ended, ran), hours)
        earlier.keep(day, states.rows)
        yield day, ended, table, {**states.provenance.to_metadata(), **made_from}


def _inputs(store: Store, days: list[Day]) -> Iterator[tuple[Day, SlaDay, SlaDay, StatesDay]]:
    for day in days:
        clocks = read_sla_day(store, CLOCKS, day, CLOCK_COLUMNS, table=SLA_CLOCKS_TABLE)
        yield day, clocks, read_sla_day(store, TARGETS, day, TARGET_COLUMNS), read_states(store, day, ASKED_FIELDS)


def _ended(
    day: Day, clocks: SlaDay, targets: SlaDay, states: StatesDay
) -> tuple[Day, EndedTargets, RunningTime, StatesDay, dict[str, str]]:
    ended = EndedTargets.of(targets.rows, day)
    made_from = {MADE_FROM_CLOCKS: clocks.content_hash, MADE_FROM_STATES: states.content_hash}
    return day, ended, running_time(clocks.rows, ended.rows, ended.ends), states, made_from


def _held(evidence: Evidence, remembered: Remembered, ended: EndedTargets, ran: RunningTime) -> Held:
    """Who held the tickets; where the day's memory doesn't tell, by all that is stored."""
    found = held(ended, ran, remembered, np.arange(len(ended)))
    undecided = found.targets_where(found.is_undecided)
    if len(undecided):
        tickets = union(ended.tickets[undecided])
        remembered = evidence.with_earlier_changes(remembered, tickets, first_activations(ended, ran, tickets))
        found = found.replaced(held(ended, ran, remembered, undecided))
    unknown = found.targets_where(~found.is_known)
    if len(unknown):
        remembered = evidence.with_all(remembered, union(ended.tickets[unknown]))
        found = found.replaced(held(ended, ran, remembered, unknown))
    return found


def _counts(ended: EndedTargets, table: pa.Table) -> dict[str, int]:
    seconds = table["calendar_seconds"]
    return {
        "targets": len(ended),
        "running_seconds": pc.sum(seconds, min_count=0).as_py(),
        "unknown_seconds": pc.sum(seconds.filter(pc.invert(table["is_known"])), min_count=0).as_py(),
    }
