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
from ticket_events_pipeline.sla.rules.carry_over import NO_TICKETS, Layer
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, order_of
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.fields import HISTORY_FIELDS
from ticket_events_pipeline.tickets.rules.change_rows import field_codes, has_field, merged, of_fields

TARGET_COLUMNS = ["ticket_id", "activated_at", "applied_at", "entered_at"]
"""The columns of `sla_targets` that are read."""

NEVER = np.iinfo(np.int64).min
"""Before all changes."""


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


@dataclass(frozen=True)
class DayOfTickets:
    """What moves tickets on a day.

    Attributes:
        changes: of the tracked fields, all of the day, in the schema of `TICKET_STATES_TABLE`; in any order.
        tickets: those with an audit on the day or a target that was open on it; in any order.
        opened: of those targets; None where they aren't known, and every change of a group or agent may be asked for.
        fields: those that are tracked.
    """

    changes: pa.Table
    tickets: Ints
    opened: FirstActivations | None
    fields: tuple[str, ...]


class CarriedStates:
    """See `Carried`. A ticket that no layer names for 30 days is forgotten: every layer names those with an open target."""

    schema = TICKET_STATES_TABLE.schema

    def tickets_of(self, new: DayOfTickets) -> Ints:
        """Those with an audit or an open target."""
        return new.tickets

    def event_ids_of(self, new: DayOfTickets) -> Ints:
        """An audit never moves to another ticket."""
        return NO_TICKETS

    def advance(self, rows: pa.Table, new: DayOfTickets, day: Day) -> pa.Table:
        """See `advance`."""
        return advance(rows, new.changes, day, opened=new.opened, fields=new.fields)

    def remembered(self, rows: pa.Table, day: Day) -> pa.Table:
        """All of them."""
        return rows

    def named_by_every_layer(self, newest: Layer) -> Ints:
        """None: the tickets with an open target are in what is new on each day."""
        return NO_TICKETS

    def moving_on(self, oldest: Layer, day: Day) -> Ints:
        """None: they are forgotten."""
        return NO_TICKETS

    def marked(self, rows: pa.Table) -> Ints:
        """None."""
        return NO_TICKETS


CARRIED_STATES = CarriedStates()


def advance(rows: pa.Table, changes: pa.Table, day: Day, *, opened: FirstActivations | None, fields: Sequence[str]) -> pa.Table:
    """What is remembered at the end of a day, of the tickets of `rows` and `changes`, in the order of the table's key.

    Args:
        rows: what was remembered at the end of the day before, at least of the tickets of the changes.
        changes: of the tracked fields on the day, all of them; both in the schema of `TICKET_STATES_TABLE`.
        day: the day that ends.
        opened: of the targets that were open on the day; None keeps every change of a group or agent.
        fields: those that are tracked; rows of others are dropped.
    """
    found = merged(of_fields(rows, fields), of_fields(changes, fields))
    if not found.num_rows:
        return found
    is_kept = _is_kept(found, day, opened)
    return found if is_kept.all() else found.filter(pa.array(is_kept))


def _is_kept(rows: pa.Table, day: Day, opened: FirstActivations | None) -> Bools:
    """Per row in the order of the key: it is not before what the day asks for, or it is what was in force then."""
    tickets = rows["ticket_id"].to_numpy()
    runs = RowRuns.of(tickets, field_codes(rows["field"])[0])
    start = day.start * 1000
    opened_from = NEVER if opened is None else opened.of(tickets, otherwise=start)
    asked_from = np.where(has_field(rows["field"], HISTORY_FIELDS), opened_from, start)
    is_before: Bools = rows["changed_at"].cast(pa.int64()).to_numpy() < asked_from
    is_create = rows["is_create"].to_numpy()
    is_change = is_before & ~is_create
    last_whole = runs.last(is_change & ~_needs_the_tags_before(rows))
    is_kept: Bools = ~is_before | (is_change & (np.arange(runs.size) >= last_whole[runs.run_of_row]))
    last_create = runs.last(is_before & is_create)
    is_kept[last_create[(last_whole < 0) & (last_create >= 0)]] = True
    return is_kept


def _needs_the_tags_before(rows: pa.Table) -> Bools:
    says_difference = pc.or_(pc.is_valid(rows["tags_added"]), pc.is_valid(rows["tags_removed"]))
    has_no_list: Bools = pc.and_(pc.is_null(rows["value"]), says_difference).to_numpy()
    return has_no_list & has_field(rows["field"], ["tags"])
