"""What `ticket_states` remembers of tickets: adding a day's changes, and dropping those that no later day asks for.

Rows depend only on changes of their own ticket, so everything here works on some tickets as on all. A value at a moment of the
day follows from the newest change before it, so of what happened before the day, the newest change of each field is enough.
Who held a ticket follows from all changes of its group and agent while a target was open. Beyond these two:

- A ticket's Create counts from the beginning, also where an earlier time is stored of another change. Its `channel` stays for
  ever, and says that the Create is stored.
- A change of tags that has no list needs the tags before it: the changes since the last list stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clocks import alphabetic_codes
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, among, order_of
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS

TARGET_COLUMNS = ["ticket_id", "activated_at", "applied_at", "entered_at"]
"""The columns of `sla_targets` that are read."""


@dataclass(frozen=True)
class FirstActivations:
    """From when on changes of a ticket's group and agent are asked for.

    Attributes:
        tickets: those with a target that was open at some moment of the day; ascending.
        milliseconds: the first activation of any such target of each, epoch milliseconds.
    """

    tickets: Ints
    milliseconds: Ints

    def of(self, tickets: Ints, *, otherwise: int) -> Ints:
        """Per ticket, its first activation, `otherwise` for a ticket without a target; none is later than `otherwise`."""
        if not len(self.tickets):
            return np.full(len(tickets), otherwise)
        places = np.minimum(np.searchsorted(self.tickets, tickets), len(self.tickets) - 1)
        first = np.minimum(self.milliseconds[places], otherwise)
        return np.where(self.tickets[places] == tickets, first, otherwise)


def first_activations(targets: pa.Table) -> FirstActivations:
    """Those of a day's `sla_targets`, with `TARGET_COLUMNS`; where no activate is known, the policy or the entry counts."""
    moments = pc.coalesce(*(targets[name].cast(pa.int64()) for name in TARGET_COLUMNS[1:]))
    if not targets.num_rows:
        return FirstActivations(np.empty(0, np.int64), np.empty(0, np.int64))
    order = order_of(targets["ticket_id"].to_numpy())
    tickets = targets["ticket_id"].to_numpy()[order]
    runs = RowRuns.of(tickets)
    return FirstActivations(tickets[runs.starts], np.minimum.reduceat(moments.to_numpy()[order], runs.starts))


def advance(rows: pa.Table, changes: pa.Table, day: Day, *, opened: FirstActivations, fields: Sequence[str]) -> pa.Table:
    """What is remembered at the end of a day, of the tickets of `rows` and `changes`, in the order of the table's key.

    Args:
        rows: what was remembered at the end of the day before, at least of the tickets of the changes.
        changes: of the tracked fields on the day, all of them; both in the schema of `TICKET_STATES_TABLE`.
        day: the day that ends.
        opened: of the targets that were open on the day.
        fields: those that are tracked; rows of others are dropped.
    """
    found = _in_order(_of_fields(pa.concat_tables([rows, changes]), fields))
    if not found.num_rows:
        return found
    is_kept = _is_kept(found, day, opened)
    return found if is_kept.all() else found.filter(pa.array(is_kept))


def _of_fields(rows: pa.Table, fields: Sequence[str]) -> pa.Table:
    rows = rows.unify_dictionaries().combine_chunks()
    is_tracked = _has_field(rows["field"].combine_chunks(), fields)
    return rows if is_tracked.all() else rows.filter(pa.array(is_tracked))


def _has_field(column: pa.DictionaryArray, fields: Sequence[str]) -> Bools:
    """Per row of the column `field`, whether it is one of them."""
    wanted = pc.index_in(pa.array(list(fields), pa.string()), column.dictionary).drop_null()
    return among(column.indices.to_numpy().astype(np.int64), np.sort(wanted.to_numpy().astype(np.int64)))


def _in_order(rows: pa.Table) -> pa.Table:
    rows = rows.combine_chunks()
    if not rows.num_rows:
        return rows
    moment = [rows[name].cast(pa.int64()).to_numpy() for name in ("changed_at", "audit_id", "position")]
    return rows.take(pa.array(order_of(rows["ticket_id"].to_numpy(), alphabetic_codes(rows["field"]), *moment)))


def _is_kept(rows: pa.Table, day: Day, opened: FirstActivations) -> Bools:
    """Per row in the order of the key: it is not before what the day asks for, or it is what was in force then."""
    field, tickets = rows["field"].combine_chunks(), rows["ticket_id"].to_numpy()
    runs = RowRuns.of(tickets, field.indices.to_numpy())
    start = day.start * 1000
    asked_from = np.where(_has_field(field, HISTORY_FIELDS), opened.of(tickets, otherwise=start), start)
    is_before: Bools = rows["changed_at"].cast(pa.int64()).to_numpy() < asked_from
    is_create = rows["is_create"].to_numpy()
    is_change = is_before & ~is_create
    last_whole = runs.last(is_change & ~_needs_the_tags_before(rows, field))
    is_kept: Bools = ~is_before | (is_change & (np.arange(runs.size) >= last_whole[runs.run_of_row]))
    last_create = runs.last(is_before & is_create)
    is_kept[last_create[(last_whole < 0) & (last_create >= 0)]] = True
    return is_kept


def _needs_the_tags_before(rows: pa.Table, field: pa.DictionaryArray) -> Bools:
    says_difference = pc.or_(pc.is_valid(rows["tags_added"]), pc.is_valid(rows["tags_removed"]))
    has_no_list = pc.and_(pc.is_null(rows["value"]), says_difference)
    return has_no_list.to_numpy() & _has_field(field, ["tags"])


def empty_states() -> pa.Table:
    """No rows, as before the first day."""
    return TICKET_STATES_TABLE.schema.empty_table()
