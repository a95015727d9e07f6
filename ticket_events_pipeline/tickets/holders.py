"""`sla_target_holders`: one file a day, made from the day's clocks, targets and ticket states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.provenance import read_sla_day
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tickets.changes import CHANNEL, changes_of, in_key_order
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS
from ticket_events_pipeline.tickets.provenance import MadeTicketDay, write_ticket_day
from ticket_events_pipeline.tickets.rules.business_hours import Schedule
from ticket_events_pipeline.tickets.rules.holders import (
    TARGET_COLUMNS,
    EndedTargets,
    Held,
    Remembered,
    held,
    holders,
    target_hours,
)
from ticket_events_pipeline.tickets.rules.running_time import CLOCK_COLUMNS, RunningTime, running_time
from ticket_events_pipeline.tickets.rules.values import KnownAudits
from ticket_events_pipeline.tickets.snapshots import Snapshots
from ticket_events_pipeline.tickets.states import StatesDay, read_states

HOLDERS, CLOCKS, TARGETS = "sla_target_holders", "sla_clocks", "sla_targets"

MADE_FROM_CLOCKS, MADE_FROM_STATES = "made_from_clocks", "made_from_states"
"""Footer keys in addition to those of every ticket table: the content hashes of the day's `sla_clocks` and `ticket_states`."""

LOOK_BACK_DAYS = HISTORY_DAYS
"""How far back the changes of a ticket are looked up that `ticket_states` doesn't have any more: while no target of the ticket
was open, it needed only the newest. What lies before stays unknown."""


def make_holders(
    store: Store, days: list[Day], *, schedules: Mapping[int, Schedule], snapshots: Snapshots | None = None
) -> Iterator[MadeTicketDay]:
    """Make `sla_target_holders` of the days.

    Args:
        store: where the files are.
        days: in any order.
        schedules: of the account, by id.
        snapshots: of tickets; only those that are stored already are used.

    Raises:
        DayNotFetchedError: a day has no `sla_clocks`, `sla_targets` or `ticket_states` yet.
        DamagedFileError: a stored file can't be read.
    """
    for day in days:
        clocks = read_sla_day(store, CLOCKS, day, CLOCK_COLUMNS, table=SLA_CLOCKS_TABLE)
        ended = EndedTargets.of(read_sla_day(store, TARGETS, day, TARGET_COLUMNS).rows, day)
        ran = running_time(clocks.rows, ended.rows, ended.ends)
        states = read_states(store, day)
        found, remembered = _held(store, day, ended, ran, _remembered(states, day), snapshots)
        table = holders(ended, ran, found, target_hours(ended, ran, remembered, schedules))
        footer = {MADE_FROM_CLOCKS: clocks.content_hash, MADE_FROM_STATES: states.content_hash}
        yield write_ticket_day(
            store, HOLDERS, day, table, {**states.provenance.to_metadata(), **footer}, counts=_counts(ended, table)
        )


def _remembered(states: StatesDay, day: Day) -> Remembered:
    known = KnownAudits.of(states.provenance.targets.deletions, day.timezone)
    return Remembered(states.rows, known, complete_from=day.start)


def _held(
    store: Store, day: Day, ended: EndedTargets, ran: RunningTime, remembered: Remembered, snapshots: Snapshots | None
) -> tuple[Held, Remembered]:
    """Who held the tickets; what `ticket_states` of the day doesn't tell is looked up in earlier audits and in snapshots."""
    found = held(ended, ran, remembered)
    if len(found.undecided):
        remembered = _with_earlier_changes(store, day, remembered, found.undecided, ended, ran)
    if snapshots is not None and len(found.unknown):
        stored = snapshots.stored(found.unknown.tolist(), since=day.plus(-LOOK_BACK_DAYS))
        remembered = replace(remembered, snapshots=stored)
    is_more = len(remembered.looked_up) or (remembered.snapshots is not None and remembered.snapshots.num_rows)
    return (held(ended, ran, remembered) if is_more else found), remembered


def _with_earlier_changes(
    store: Store, day: Day, remembered: Remembered, tickets: Ints, ended: EndedTargets, ran: RunningTime
) -> Remembered:
    """With all changes of these tickets since their Create, or where it isn't stored, since the first activation."""
    starts = _needed_from(remembered.history, tickets, ended, ran)
    within = starts >= day.plus(-LOOK_BACK_DAYS).start
    tickets, starts = tickets[within], starts[within]
    if not len(tickets):
        return remembered
    first = Day.containing(int(starts.min()), day.timezone)
    earlier = changes_of(store, tickets, first, day.plus(-1), HISTORY_FIELDS)
    history = _each_once(in_key_order([remembered.history, earlier]))
    return replace(remembered, history=history, looked_up=tickets)


def _needed_from(history: pa.Table, tickets: Ints, ended: EndedTargets, ran: RunningTime) -> Ints:
    """Per ticket, from when on its changes are needed, epoch seconds."""
    needed = np.full(len(tickets), np.iinfo(np.int64).max)
    is_of = among(ended.tickets, tickets)
    np.minimum.at(needed, np.searchsorted(tickets, ended.tickets[is_of]), ran.first_activations[is_of])
    created = history.filter(pc.equal(history["field"].cast(pa.string()), CHANNEL)).combine_chunks()
    created = created.filter(pa.array(among(created["ticket_id"].to_numpy(), tickets)))
    places = np.searchsorted(tickets, created["ticket_id"].to_numpy())
    np.minimum.at(needed, places, created["changed_at"].cast(pa.int64()).to_numpy() // 1000)
    return needed


def _each_once(rows: pa.Table) -> pa.Table:
    """The rows without repetitions, which are adjacent."""
    fields = rows["field"].combine_chunks().indices.to_numpy()
    keys = [rows[name].cast(pa.int64()).to_numpy() for name in ("ticket_id", "changed_at", "audit_id", "position")]
    return rows.take(pa.array(RowRuns.of(fields, *keys).starts))


def _counts(ended: EndedTargets, table: pa.Table) -> dict[str, int]:
    seconds = table["calendar_seconds"]
    return {
        "targets": len(ended),
        "running_seconds": pc.sum(seconds, min_count=0).as_py(),
        "unknown_seconds": pc.sum(seconds.filter(pc.invert(table["is_known"])), min_count=0).as_py(),
    }
