"""The memory between days: every remembered clock with its own SLA events so far (SLA.md part 2).

Here: adding a day's events to the memory, and forgetting. Not here: what the events mean for a target (`targets`).

A row is an event, in the order of the days, within a day by clock; nothing already remembered is moved or rewritten when
a day is added, which is what keeps a day's cost off the length of the memory. What a row says about its clock's state
holds after that event for ever, since states depend on earlier events alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.events import SLA_EVENTS_SCHEMA, merge
from ticket_events_pipeline.sla.replay import States, Timeline, replay
from ticket_events_pipeline.sla.segments import Bools, Ints, Segments

REMEMBERED_SECONDS = 30 * 86_400
"""How long after a ticket's last event its clocks are remembered: Zendesk closes a solved ticket for good within 28 days."""

UNSOLVED_METRIC = "resolution_time"
"""A ticket with a clock of this metric that is not fulfilled is unsolved."""

NEVER = np.iinfo(np.int64).min
"""The time of the last event of a clock that has only deleted ones."""

CLOCK_KEY = ["ticket_id", "metric", "instance_id"]

CLOCKS_SCHEMA = pa.schema(
    [
        *SLA_EVENTS_SCHEMA,
        ("clock", pa.int32()),  # numbers the (ticket_id, metric, instance_id) from 0, without gaps
        ("is_fulfilled", pa.bool_()),  # of the clock, after this event
        ("is_open", pa.bool_()),  # of the target, after this event
    ]
)


def empty_clocks() -> pa.Table:
    """The memory before the first day."""
    return CLOCKS_SCHEMA.empty_table()


def advance(clocks: pa.Table, events: pa.Table, day: Day) -> pa.Table:
    """The clocks remembered at the end of a day.

    Args:
        clocks: those at the end of the day before.
        events: all stored events of the day (`SLA_EVENTS_SCHEMA`, unique by id), those later than an `as_of` included.
            An id that `clocks` knows too is replaced by the day's event.
        day: the day that ends.
    """
    is_rewritten = _rewritten(clocks, events)
    if is_rewritten.any():
        old_rows = clocks.filter(pa.array(is_rewritten[clocks["clock"].to_numpy()]))
        events = merge([old_rows.select(SLA_EVENTS_SCHEMA.names), events])
        clocks = _only(clocks, ~is_rewritten)
    return _without_forgotten(_append(clocks, events), day)


def _rewritten(clocks: pa.Table, events: pa.Table) -> Bools:
    """Per clock number, whether one of its events comes again, so that its states so far don't hold.

    All clocks, if some event isn't later than all that is remembered, as those of the next day are.
    """
    if not clocks.num_rows or not events.num_rows:
        return np.zeros(0, bool)
    is_rewritten = np.zeros(clocks["clock"].to_numpy().max() + 1, bool)
    if pc.less_equal(pc.min(events["time"]), pc.max(clocks["time"])).as_py():
        return ~is_rewritten
    # Ids ascend by and large, so few are left to look up.
    recent = clocks.select(["id", "clock"]).filter(pc.greater_equal(clocks["id"], pc.min(events["id"])))
    is_known = pc.is_in(recent["id"], events["id"].combine_chunks())
    is_rewritten[recent["clock"].filter(is_known).to_numpy()] = True
    return is_rewritten


def _append(clocks: pa.Table, events: pa.Table) -> pa.Table:
    """`clocks` followed by the rows of `events`, each of which is later than those of its clock."""
    if not events.num_rows:
        return clocks
    events = _in_order(events)
    numbers = _clock_numbers(clocks, events)
    states = _states_of_new_rows(clocks, events, numbers)
    columns = [*events.columns, numbers, states.is_fulfilled, states.is_open]
    return pa.concat_tables([clocks, pa.table(columns, schema=CLOCKS_SCHEMA)]).unify_dictionaries()


def _in_order(events: pa.Table) -> pa.Table:
    """Sorted by clock, within a clock by rule 2: (time, rank, id), never the order of arrival."""
    events = events.unify_dictionaries().combine_chunks()
    time = events["time"].cast(pa.int64())
    keys = [column.to_numpy() for column in (events["id"], events["rank"], time, events["instance_id"])]
    order = np.lexsort([*keys, alphabetic_codes(events["metric"]), events["ticket_id"].to_numpy()])
    return events.take(pa.array(order))


def alphabetic_codes(column: pa.ChunkedArray) -> Ints:
    """Numbers that sort as the strings of a coded column do."""
    coded = column.combine_chunks()
    rank_of_code = np.argsort(np.argsort(coded.dictionary.to_numpy(zero_copy_only=False)))
    codes: Ints = rank_of_code[coded.indices.to_numpy()]
    return codes


def _clock_numbers(clocks: pa.Table, events: pa.Table) -> npt.NDArray[np.int32]:
    """The clock number of each of the sorted events: the remembered one, else the next free."""
    by_clock = Segments.of(*_clock_keys(events))
    known = clocks.select(CLOCK_KEY).take(pa.array(last_rows(clocks)))
    heads = pa.concat_tables([known, events.select(CLOCK_KEY).take(pa.array(by_clock.starts))])
    keys = _clock_keys(heads.unify_dictionaries())
    order = np.lexsort(keys)  # stable: of two equal heads, the remembered one comes first, and its place is its number
    same = Segments.of(*(key[order] for key in keys))
    number_of_head = np.empty(len(order), np.int64)
    number_of_head[order] = np.repeat(order[same.starts], same.lengths)
    new = number_of_head[known.num_rows :]
    is_new = new >= known.num_rows
    new[is_new] = known.num_rows + np.arange(np.count_nonzero(is_new))
    return np.repeat(new, by_clock.lengths).astype(np.int32)


def _clock_keys(rows: pa.Table) -> list[Ints]:
    metric = rows["metric"].combine_chunks().indices
    return [rows["ticket_id"].to_numpy(), metric.to_numpy(), rows["instance_id"].to_numpy()]


def last_rows(clocks: pa.Table) -> Ints:
    """Per clock number, its last row."""
    numbers = clocks["clock"].to_numpy()
    last = np.empty(numbers.max(initial=-1) + 1, np.int64)
    last[numbers] = np.arange(len(numbers), dtype=np.int32)  # of several assignments to one place, the last one stays
    return last


def _states_of_new_rows(clocks: pa.Table, events: pa.Table, numbers: npt.NDArray[np.int32]) -> States:
    """What the clocks' states are after each of the events, given what is remembered of them."""
    names = ["rank", "deleted", "has_policy"]
    old_numbers = clocks["clock"].to_numpy()
    is_touched = np.zeros(max(old_numbers.max(initial=-1), numbers.max()) + 1, bool)
    is_touched[numbers] = True
    old = clocks.select([*names, "clock"]).filter(pa.array(is_touched[old_numbers]))
    rows = pa.concat_tables([old, events.select(names).append_column("clock", pa.array(numbers))])
    order = np.argsort(rows["clock"].to_numpy(), kind="stable")
    states = replay(timeline_of(rows.take(pa.array(order))))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return states.at(places[old.num_rows :])


def history(clocks: pa.Table, is_wanted: Bools) -> pa.Table:
    """All rows of the clocks that `is_wanted` names by number, sorted by (clock, time, rank, id)."""
    rows = clocks.filter(pa.array(is_wanted[clocks["clock"].to_numpy()])).combine_chunks()
    return rows.take(pa.array(np.argsort(rows["clock"].to_numpy(), kind="stable")))


def timeline_of(rows: pa.Table) -> Timeline:
    """Rows sorted by (clock, time, rank, id), as `replay` wants them."""
    return Timeline(
        clocks=Segments.of(rows["clock"].to_numpy()),
        rank=rows["rank"].to_numpy(),
        deleted=rows["deleted"].to_numpy(),
        has_policy=rows["has_policy"].to_numpy(),
    )


def _without_forgotten(clocks: pa.Table, day: Day) -> pa.Table:
    """The rows of the clocks that are remembered at the end of `day`."""
    is_remembered = _remembered(clocks, day)
    return clocks if is_remembered.all() else _only(clocks, is_remembered)


def _only(clocks: pa.Table, is_kept: Bools) -> pa.Table:
    """The rows of the clocks that `is_kept` names by number, and the numbers without gaps again."""
    numbers = clocks["clock"].to_numpy()
    is_kept_row = is_kept[numbers]
    renumbered = (np.cumsum(is_kept) - 1).astype(np.int32)[numbers[is_kept_row]]
    kept = _filtered(clocks, is_kept_row)
    return kept.set_column(CLOCKS_SCHEMA.get_field_index("clock"), CLOCKS_SCHEMA.field("clock"), pa.array(renumbered))


def _filtered(clocks: pa.Table, is_kept: Bools) -> pa.Table:
    """As `Table.filter`, but what is forgotten lies in old days' batches: the others stay as they are, uncopied."""
    batches, start = [], 0
    for batch in clocks.to_batches():
        keeps = is_kept[start : start + batch.num_rows]
        start += batch.num_rows
        batches.append(batch if keeps.all() else batch.filter(pa.array(keeps)))
    return pa.Table.from_batches([batch for batch in batches if batch.num_rows], schema=clocks.schema)


def _remembered(clocks: pa.Table, day: Day) -> Bools:
    """Per clock number: its target is open, its ticket unsolved, or the ticket's last event not yet 30 days ago."""
    rows = last_rows(clocks)
    last = clocks.select(["ticket_id", "metric", "is_fulfilled", "is_open"]).take(pa.array(rows))
    _, ticket = np.unique(last["ticket_id"].to_numpy(), return_inverse=True)
    last_event_seconds = _last_event_seconds(clocks, rows)
    has_lived = last_event_seconds > NEVER
    runs = ~last["is_fulfilled"].to_numpy() & pc.equal(last["metric"], UNSOLVED_METRIC).to_numpy() & has_lived
    is_unsolved = np.bincount(ticket, weights=runs) > 0
    ticket_seconds = np.full(len(is_unsolved), NEVER)
    np.maximum.at(ticket_seconds, ticket, last_event_seconds)
    is_recent = ticket_seconds >= day.end - REMEMBERED_SECONDS
    is_open: Bools = last["is_open"].to_numpy()
    return is_open | (is_unsolved | is_recent)[ticket]


def _last_event_seconds(clocks: pa.Table, last: Ints) -> Ints:
    """Per clock number, when its last event that is not deleted happened."""
    rows = clocks.select(["time", "deleted"]).take(pa.array(last))
    seconds: Ints = rows["time"].cast(pa.int64()).to_numpy() // 1000
    is_withdrawn = rows["deleted"].to_numpy()
    if is_withdrawn.any():
        seconds = np.where(is_withdrawn, NEVER, seconds)
        earlier = clocks.select(["time", "clock"]).filter(
            pc.and_not(pa.array(is_withdrawn[clocks["clock"].to_numpy()]), clocks["deleted"])
        )
        seconds[earlier["clock"].to_numpy()] = earlier["time"].cast(pa.int64()).to_numpy() // 1000
    return seconds
