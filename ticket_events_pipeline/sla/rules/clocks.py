"""The clocks of `sla_clocks` with their SLA events so far: adding a day's events, and forgetting old clocks.

Clocks depend only on events of their own ticket, so everything here works on the clocks of some tickets as on those of all, as
long as each ticket is complete. Rows are grouped by ticket and clock, in the order of rule 2.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clock_states import Timeline, replay
from ticket_events_pipeline.sla.rules.deletions import STATUS_CHANGES_SCHEMA, copies, metric_rows, ticket_rows
from ticket_events_pipeline.sla.rules.events import DELETE, merge
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, once, order_of
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE

REMEMBERED_SECONDS = 30 * 86_400
"""How long after a ticket's last event its clocks are remembered: Zendesk closes a solved ticket for good within 28 days, and
removes a deleted one for good after 30. A deletion or restoration is also an event."""

UNSOLVED_METRIC = "resolution_time"
"""A ticket with a clock of this metric that is not fulfilled is unsolved."""

NEVER = np.iinfo(np.int64).min
"""The time of the last event of a clock that has only deleted ones."""

CLOCK_KEY = ["ticket_id", "metric", "instance_id"]


def empty_clocks() -> pa.Table:
    """No clocks, as before the first day."""
    return SLA_CLOCKS_TABLE.schema.empty_table()


def advance(clocks: pa.Table, events: pa.Table, day: Day, changes: pa.Table | None = None) -> pa.Table:
    """The clocks to remember at the end of a day, sorted by (ticket_id, metric, instance_id), then by rule 2.

    Args:
        clocks: those at the end of the day before, at least of the tickets of the events.
        events: all stored events of the day (`SLA_EVENTS_SCHEMA`, unique by id), those later than an `as_of` included.
            An id that `clocks` also has is replaced by the day's event.
        day: the day that ends.
        changes: of the tickets' status on the day (`STATUS_CHANGES_SCHEMA`); they only count for tickets that are or
            were deleted.
    """
    rows = merge([metric_rows(clocks), events])
    own = ticket_rows(clocks, STATUS_CHANGES_SCHEMA.empty_table() if changes is None else changes)
    if own.num_rows:
        rows = pa.concat_tables([rows, own, copies(rows, own)])
    rows = _in_order(rows)
    runs = _clocks_in(rows)
    states = replay(_timeline(rows, runs))
    states_after = [pa.array(runs.run_of_row.astype(np.int32)), pa.array(states.is_fulfilled), pa.array(states.is_open)]
    return _without_forgotten(pa.table([*rows.columns, *states_after], schema=SLA_CLOCKS_TABLE.schema), runs, day)


def without_forgotten(clocks: pa.Table, day: Day) -> pa.Table:
    """The clocks that are still remembered at the end of `day`."""
    return _without_forgotten(clocks, _clocks_in(clocks), day)


def _without_forgotten(clocks: pa.Table, runs: RowRuns, day: Day) -> pa.Table:
    """The same of clocks with these runs of rows; they are numbered without gaps if they were before."""
    if not clocks.num_rows:
        return clocks
    is_remembered = _remembered(clocks, runs, day)
    if is_remembered.all():
        return clocks
    kept = clocks.filter(pa.array(np.repeat(is_remembered, runs.lengths)))
    return _numbered(kept, np.repeat(np.arange(np.count_nonzero(is_remembered)), runs.lengths[is_remembered]))


def in_clock_order(clocks: pa.Table) -> pa.Table:
    """The same rows in the order of `advance`: files of earlier versions hold them in order of arrival."""
    rows = _in_order(clocks)
    return _numbered(rows, _clocks_in(rows).run_of_row)


def _numbered(clocks: pa.Table, numbers: Ints) -> pa.Table:
    column = SLA_CLOCKS_TABLE.schema.field("clock")
    return clocks.set_column(SLA_CLOCKS_TABLE.schema.get_field_index("clock"), column, pa.array(numbers, column.type))


def _in_order(rows: pa.Table) -> pa.Table:
    """Sorted by clock, within a clock by rule 2: (time, rank, id), never the order of arrival."""
    rows = rows.unify_dictionaries()
    clock = [rows["ticket_id"].to_numpy(), alphabetic_codes(rows["metric"]), rows["instance_id"].to_numpy()]
    # Deletions and restorations in the same second come in the order of their audits and child events.
    rank, position = np.minimum(rows["rank"].to_numpy(), DELETE), rows["position"].fill_null(0).to_numpy()
    moment = rows["time"].cast(pa.int64()).to_numpy() // 1000 * (DELETE + 1) + rank
    return rows.take(pa.array(order_of(*clock, moment, rows["id"].to_numpy(), position)))


def alphabetic_codes(column: pa.ChunkedArray) -> Ints:
    """Numbers that sort like the strings of a dictionary column."""
    coded = column.combine_chunks()
    rank_of_code = np.argsort(np.argsort(coded.dictionary.to_numpy(zero_copy_only=False)))
    codes: Ints = rank_of_code[coded.indices.to_numpy()]
    return codes


def _clocks_in(rows: pa.Table) -> RowRuns:
    """The runs of rows of one clock."""
    metric = rows["metric"].combine_chunks().indices
    return RowRuns.of(rows["ticket_id"].to_numpy(), metric.to_numpy(), rows["instance_id"].to_numpy())


def deleted_tickets(clocks: pa.Table) -> Ints:
    """The tickets that are or were deleted, ascending."""
    return once(clocks["ticket_id"].filter(pc.equal(clocks["instance_id"], 0)).to_numpy())


def open_tickets(clocks: pa.Table) -> Ints:
    """The tickets with an open target, ascending."""
    last = clocks.select(["ticket_id", "is_open"]).take(pa.array(_clocks_in(clocks).lasts))
    return once(last["ticket_id"].filter(last["is_open"]).to_numpy())


def timeline_of(rows: pa.Table) -> Timeline:
    """Rows sorted by (clock, time, rank, id), as `replay` needs them."""
    return _timeline(rows, RowRuns.of(rows["clock"].to_numpy()))


def _timeline(rows: pa.Table, clocks: RowRuns) -> Timeline:
    return Timeline(
        clocks=clocks,
        rank=rows["rank"].to_numpy(),
        deleted=rows["deleted"].to_numpy(),
        has_policy=rows["has_policy"].to_numpy(),
    )


def grouped_by_clock(clocks: pa.Table) -> pa.Table:
    """Some of the rows, sorted by (clock, time, rank, id): files of earlier versions hold them in order of arrival."""
    numbers = clocks["clock"].to_numpy()
    if (numbers[1:] >= numbers[:-1]).all():
        return clocks.combine_chunks()
    return clocks.combine_chunks().take(pa.array(np.argsort(numbers, kind="stable")))


def _remembered(clocks: pa.Table, runs: RowRuns, day: Day) -> Bools:
    """Per clock: its target is open, its ticket unsolved, or the ticket's last event not yet 30 days ago.

    A deleted ticket is not unsolved. The ticket's own clock, which says so, is kept as long as any other.
    """
    columns = ["ticket_id", "metric", "instance_id", "rank", "is_fulfilled", "is_open"]
    last = clocks.select(columns).take(pa.array(runs.lasts))
    tickets = RowRuns.of(last["ticket_id"].to_numpy())
    is_event, rank = ~clocks["deleted"].to_numpy(), clocks["rank"].to_numpy()
    is_alive = runs.count(is_event & (rank < DELETE)) > 0  # the clock has an event that was not withdrawn
    runs_on = ~last["is_fulfilled"].to_numpy() & pc.equal(last["metric"], UNSOLVED_METRIC).to_numpy() & is_alive
    lived = runs.last(is_event)
    seconds = np.where(lived >= 0, clocks["time"].cast(pa.int64()).to_numpy()[lived] // 1000, NEVER)
    is_recent = np.maximum.reduceat(seconds, tickets.starts) >= day.end - REMEMBERED_SECONDS
    is_own: Bools = last["instance_id"].to_numpy() == 0
    is_deleted = tickets.count(is_own & (last["rank"].to_numpy() == DELETE)) > 0
    is_unsolved = (tickets.count(runs_on) > 0) & ~is_deleted
    is_open: Bools = last["is_open"].to_numpy()
    is_remembered = is_open | (is_unsolved | is_recent)[tickets.run_of_row]
    return is_remembered | (is_own & (tickets.count(is_remembered) > 0)[tickets.run_of_row])
