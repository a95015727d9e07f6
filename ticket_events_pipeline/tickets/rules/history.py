"""What is stored of tickets, to be searched by field, ticket and time: their changes, and their snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import LAST_EPOCH_SECOND
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, among, order_of, ranges, union
from ticket_events_pipeline.tickets.rules.change_rows import field_codes

TIME_BITS = LAST_EPOCH_SECOND.bit_length()
"""A ticket's number among the tickets and a time are packed into one integer, which is searched for."""


@dataclass(frozen=True)
class History:
    """The history of some tickets, to be searched by field, ticket and time.

    Attributes:
        rows: in the schema of `ticket_states`, of other tickets too: leaving those out would cost more than they do.
        tickets: all that may be looked up, ascending.
        place: of each row, the number of its ticket among them; -1 for another ticket.
        seconds: when each row happened, epoch seconds.
    """

    rows: pa.Table
    tickets: Ints
    place: Ints
    seconds: Ints

    @classmethod
    def of(cls, changes: pa.Table, tickets: Ints) -> History:
        """Of changes in the schema of `ticket_states`, sorted by its key."""
        rows = changes.combine_chunks()
        ticket_of_row = rows["ticket_id"].to_numpy()
        runs = RowRuns.of(ticket_of_row)
        named = ticket_of_row[runs.starts]
        place = np.where(among(named, tickets), np.searchsorted(tickets, named), -1)
        seconds = rows["changed_at"].cast(pa.int64()).to_numpy() // 1000
        return cls(rows, tickets, np.repeat(place, runs.lengths), seconds)

    @cached_property
    def _field_codes(self) -> tuple[Ints, list[str]]:
        return field_codes(self.rows["field"])

    @cached_property
    def _is_create(self) -> Bools:
        is_create: Bools = self.rows["is_create"].to_numpy()
        return is_create

    @cached_property
    def created(self) -> Ints:
        """Of each ticket, when it was created, epoch seconds; -1 where its Create isn't stored."""
        created = np.full(len(self.tickets), -1, np.int64)
        rows = np.flatnonzero(self._is_create & (self.place >= 0))[::-1]
        created[self.place[rows]] = self.seconds[rows]
        return created

    def of_field(self, field: str) -> tuple[Ints, Ints]:
        """The rows of a field in the order in which they count, and their keys, ascending."""
        codes, names = self._field_codes
        if field not in names:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rows = np.flatnonzero((codes == names.index(field)) & (self.place >= 0))
        keys = (self.place[rows] << TIME_BITS) | np.where(self._is_create[rows], 0, self.seconds[rows])
        if (keys[1:] < keys[:-1]).any():  # a Create that isn't the ticket's first audit
            order = np.argsort(keys, kind="stable")
            rows, keys = rows[order], keys[order]
        return keys, rows

    def keys_of(self, ticket_id: Ints, times: Ints) -> Ints:
        """What to search for, to find the changes of these tickets at these times."""
        keys: Ints = (np.searchsorted(self.tickets, ticket_id) << TIME_BITS) | np.clip(times, 0, LAST_EPOCH_SECOND)
        return keys


@dataclass(frozen=True)
class SnapshotsOfField:
    """The snapshots of one field, to be searched by ticket and time.

    Attributes:
        text: the value in each.
        keys: ascending, see `History.keys_of`.
        rows: row numbers in the order of the keys.
        seconds: when each was taken, epoch seconds.
        updated: when its ticket had last been updated then, epoch seconds.
    """

    text: pa.ChunkedArray
    keys: Ints
    rows: Ints
    seconds: Ints
    updated: Ints

    @classmethod
    def of(cls, snapshots: pa.Table, field: str, history: History) -> SnapshotsOfField:
        """Those of the tickets of a history, from rows as `tickets.snapshots` has them."""
        is_wanted = pc.fill_null(pc.equal(snapshots["field"].cast(pa.string()), field), False)
        found = snapshots.filter(is_wanted)
        found = found.filter(pa.array(among(found["ticket_id"].to_numpy(), history.tickets)))
        seconds = found["seen_at"].cast(pa.int64()).to_numpy() // 1000
        # A ticket that doesn't say when it was updated may have been just now.
        updated = pc.coalesce(found["updated_at"].cast(pa.int64()), found["seen_at"].cast(pa.int64())).to_numpy() // 1000
        keys = history.keys_of(found["ticket_id"].to_numpy(), seconds)
        order = np.argsort(keys, kind="stable")
        return cls(found["value"], keys[order], order, seconds, updated)


def changes_between(history: pa.Table, ticket_id: Ints, starts: Ints, ends: Ints, fields: Sequence[str]) -> tuple[Ints, Ints]:
    """When one of the fields was changed in intervals, from each start up to, not including, its end; each start itself too.

    The values that hold from such a time on are those at the moment that `includes_at` it.

    Args:
        history: as in `values_at`.
        ticket_id: of each interval.
        starts: epoch seconds.
        ends: epoch seconds.
        fields: names of tracked fields.

    Returns:
        The number of the interval and the time in epoch seconds, sorted, each once.
    """
    intervals = np.arange(len(ticket_id))
    found_intervals, found_times = [intervals], [starts]
    searched = History.of(history, union(ticket_id))
    after_start, before_end = (searched.keys_of(ticket_id, times) for times in (starts, np.maximum(ends, starts)))
    for field in fields:
        keys, rows = searched.of_field(field)
        first = np.searchsorted(keys, after_start, side="right")
        last = np.maximum(np.searchsorted(keys, before_end), first)
        found_intervals.append(np.repeat(intervals, last - first))
        found_times.append(searched.seconds[rows[ranges(first, last)]])
    return pairs_once(np.concatenate(found_intervals), np.concatenate(found_times))


def pairs_once(first: Ints, second: Ints) -> tuple[Ints, Ints]:
    """Pairs of numbers, sorted, each once."""
    order = order_of(first, second)
    first, second = first[order], second[order]
    once = RowRuns.of(first, second).starts
    return first[once], second[once]
