"""The carry-over: what a day leaves for the next, as layers like those of a log-structured store, one layer per day.

The newest layer that names a ticket has all of its clocks; older layers no longer count for it. A day's layer names the tickets
that moved on the day, those with an open target, and those whose layer becomes too old. So a day's targets need the day's layer
alone, the layers of some thirty days are the whole carry-over, and the cost of a day depends on what moves on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clocks import advance, deleted_tickets, empty_clocks, open_tickets, without_forgotten
from ticket_events_pipeline.sla.rules.deletions import changes_of_deleted
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, between, once, ranges, union

REACH_DAYS = 30
"""How many days the carry-over reaches back before its newest layer. An event is remembered for 30 times 24 hours, which may
start on that day when clocks were changed meanwhile. Whatever is remembered for longer moves to newer layers."""


NO_TICKETS: Ints = np.empty(0, np.int64)


class Layer(Protocol):
    """What a day left. Arrays of tickets are ascending and unique."""

    @property
    def day(self) -> Day:
        """The day that left it."""

    @property
    def tickets(self) -> Ints:
        """The tickets that it names. A ticket without rows is forgotten, whatever older layers have."""

    @property
    def deleted_tickets(self) -> Ints:
        """The tickets that are or were deleted; may include some that it no longer names."""

    def rows(self, tickets: Ints) -> pa.Table:
        """All clocks of some of its tickets."""

    def having(self, ids: Ints) -> Ints:
        """The tickets with an event of one of the ascending ids."""

    def without(self, tickets: Ints) -> Layer:
        """The layer after a newer one names these tickets: it no longer needs them."""


@dataclass(frozen=True)
class SortedClocks:
    """Clocks sorted by ticket, for lookups by ticket and by event."""

    table: pa.Table

    @cached_property
    def tickets(self) -> Ints:
        """Each ticket once."""
        return once(self._ticket_of_row)

    @cached_property
    def _ticket_of_row(self) -> Ints:
        ticket_of_row: Ints = self.table["ticket_id"].to_numpy()
        return ticket_of_row

    @cached_property
    def _ids(self) -> Ints:
        return np.sort(self.table["id"].to_numpy())

    def rows(self, tickets: Ints) -> pa.Table:
        """All clocks of these tickets."""
        if len(tickets) == len(self.tickets):
            return self.table
        starts, ends = (np.searchsorted(self._ticket_of_row, tickets, side=side) for side in ("left", "right"))
        return self.table.take(pa.array(ranges(starts, ends)))

    def having(self, ids: Ints) -> Ints:
        """The tickets with an event of one of the ascending ids."""
        known = between(ids, self._ids[0], self._ids[-1]) if len(self._ids) else self._ids
        return tickets_having(self.table, known[among(known, self._ids)])


def tickets_having(clocks: pa.Table, ids: Ints) -> Ints:
    """The tickets with an event of one of the ascending ids, ascending."""
    known = clocks["id"].to_numpy()
    ids = between(ids, known.min(), known.max()) if len(known) else known
    if not len(ids):
        return NO_TICKETS
    return union(clocks["ticket_id"].filter(pc.is_in(clocks["id"], pa.array(ids))).to_numpy())


@dataclass(frozen=True)
class MemoryLayer:
    """A layer in memory; it may still have rows of tickets that it no longer names."""

    day: Day
    tickets: Ints
    clocks: SortedClocks

    @classmethod
    def of(cls, day: Day, clocks: pa.Table, *, also_naming: Ints = NO_TICKETS) -> MemoryLayer:
        """The layer of clocks sorted by ticket; it also names the tickets `also_naming`."""
        content = SortedClocks(clocks)
        return cls(day, union(content.tickets, also_naming), content)

    @property
    def forgotten(self) -> Ints:
        """The tickets that it names without rows."""
        return self.tickets[~among(self.tickets, self.clocks.tickets)]

    @property
    def deleted_tickets(self) -> Ints:
        """See `Layer.deleted_tickets`."""
        return deleted_tickets(self.clocks.table)

    def rows(self, tickets: Ints) -> pa.Table:
        """See `Layer.rows`."""
        return self.clocks.rows(tickets[among(tickets, self.clocks.tickets)])

    def having(self, ids: Ints) -> Ints:
        """See `Layer.having`."""
        return self.clocks.having(ids)

    def without(self, tickets: Ints) -> MemoryLayer:
        """See `Layer.without`. Memory is released once a quarter of the tickets isn't needed any more."""
        named = self.tickets[~among(self.tickets, tickets)]
        is_worth_a_copy = len(named) < 3 / 4 * len(self.clocks.tickets)
        return MemoryLayer(self.day, named, SortedClocks(self.rows(named)) if is_worth_a_copy else self.clocks)


@dataclass(frozen=True)
class CarryOver:
    """The carry-over at the end of the newest layer's day.

    Attributes:
        layers: oldest first.
    """

    layers: tuple[Layer, ...] = ()

    def clocks(self) -> pa.Table:
        """All clocks that are carried over."""
        return self._clocks(self._found(union(NO_TICKETS, *(layer.tickets for layer in self.layers))))

    def relevant_changes(self, changes: pa.Table) -> pa.Table:
        """The status changes that may matter: of tickets that one of them deletes or that were deleted before."""
        return changes_of_deleted(changes, union(NO_TICKETS, *(layer.deleted_tickets for layer in self.layers)))

    def advanced(self, events: pa.Table, day: Day, changes: pa.Table | None = None) -> tuple[CarryOver, MemoryLayer]:
        """The carry-over at the end of a later day, and its newest layer.

        Args:
            events: all stored events of the day, see `clocks.advance`.
            day: the day that ends.
            changes: of the tickets' status, from `relevant_changes`.
        """
        oldest = day.plus(-REACH_DAYS)
        staying = tuple(layer for layer in self.layers if layer.day >= oldest)
        of_changes = NO_TICKETS if changes is None else changes["ticket_id"].to_numpy()
        moved = union(events["ticket_id"].to_numpy(), of_changes, self._having(np.sort(events["id"].to_numpy())))
        left = [self._only_in(place) for place in range(len(self.layers) - len(staying))]
        found = self._found(union(moved, self._open(), *left))
        clocks = advance(self._clocks(found), events, day, changes)
        known_to_older = union(NO_TICKETS, *(tickets for layer, tickets in found if layer.day >= oldest))
        here = MemoryLayer.of(day, clocks, also_naming=known_to_older)
        return CarryOver((*(layer.without(here.tickets) for layer in staying), here)), here

    def compacted(self, events: pa.Table, day: Day, changes: pa.Table | None = None) -> tuple[CarryOver, MemoryLayer]:
        """As `advanced`, but with everything in one layer, so that no older one is needed."""
        here = MemoryLayer.of(day, advance(self.clocks(), events, day, changes))
        return CarryOver((here,)), here

    def _found(self, tickets: Ints) -> list[tuple[Layer, Ints]]:
        """For the tickets that any layer names, the newest layer of each."""
        found = []
        for layer in reversed(self.layers):
            is_here = among(tickets, layer.tickets)
            if is_here.any():
                found.append((layer, tickets[is_here]))
                tickets = tickets[~is_here]
        return found

    def _clocks(self, found: Sequence[tuple[Layer, Ints]]) -> pa.Table:
        """The remembered clocks of the tickets that were found."""
        if not found:
            return empty_clocks()
        rows = pa.concat_tables([layer.rows(tickets) for layer, tickets in found])
        return without_forgotten(rows.unify_dictionaries().combine_chunks(), self.layers[-1].day)

    def _having(self, ids: Ints) -> Ints:
        """The tickets that already have an event of one of the ids."""
        maybe = union(NO_TICKETS, *(layer.having(ids) for layer in self.layers))
        return tickets_having(self._clocks(self._found(maybe)), ids) if len(maybe) else maybe

    def _open(self) -> Ints:
        """The tickets with an open target; the newest layer names them all."""
        if not self.layers:
            return NO_TICKETS
        return open_tickets(self.layers[-1].rows(self.layers[-1].tickets))

    def _only_in(self, place: int) -> Ints:
        """The tickets that are still remembered and that only the layer at `place`, and none after it, names."""
        layer = self.layers[place]
        tickets = once(without_forgotten(layer.rows(layer.tickets), self.layers[-1].day)["ticket_id"].to_numpy())
        for newer in self.layers[place + 1 :]:
            tickets = tickets[~among(tickets, newer.tickets)]
        return tickets
