"""What is stored of tickets, to be searched by field, ticket and time: their changes, and their snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import LAST_EPOCH_SECOND
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, among
from ticket_events_pipeline.tickets.rules.change_rows import field_codes, of_tickets

TIME_BITS = LAST_EPOCH_SECOND.bit_length()
"""A ticket's number among the tickets and a time are packed into one integer, which is searched for."""


@dataclass(frozen=True)
class History:
    """The history of some tickets, to be searched by field, ticket and time.

    Attributes:
        rows: in the schema of `ticket_states`.
        tickets: all that may be looked up, ascending.
        place: of each row, the number of its ticket among them.
        seconds: when each row happened, epoch seconds.
        is_create: whether each row is of a Create.
    """

    rows: pa.Table
    tickets: Ints
    place: Ints
    seconds: Ints
    is_create: Bools

    @classmethod
    def of(cls, changes: pa.Table, tickets: Ints) -> History:
        """Of changes in the schema of `ticket_states`, sorted by its key."""
        rows = of_tickets(changes, tickets).combine_chunks()
        return cls(
            rows,
            tickets,
            place=np.searchsorted(tickets, rows["ticket_id"].to_numpy()),
            seconds=rows["changed_at"].cast(pa.int64()).to_numpy() // 1000,
            is_create=rows["is_create"].to_numpy(),
        )

    @cached_property
    def _field_codes(self) -> tuple[Ints, list[str]]:
        return field_codes(self.rows["field"])

    @cached_property
    def created(self) -> Ints:
        """Of each ticket, when it was created, epoch seconds; -1 where its Create isn't stored."""
        created = np.full(len(self.tickets), -1, np.int64)
        rows = np.flatnonzero(self.is_create)[::-1]
        created[self.place[rows]] = self.seconds[rows]
        return created

    def of_field(self, field: str) -> tuple[Ints, Ints]:
        """The rows of a field in the order in which they count, and their keys, ascending."""
        codes, names = self._field_codes
        rows = np.flatnonzero(codes == names.index(field)) if field in names else np.empty(0, np.int64)
        keys = (self.place[rows] << TIME_BITS) | np.where(self.is_create[rows], 0, self.seconds[rows])
        if (np.diff(keys) < 0).any():  # a Create that isn't the ticket's first audit
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
