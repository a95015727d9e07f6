"""The memory between days, a layer a day: what a day leaves behind, and how a later day finds it again.

Every ticket stands whole, with all of its remembered clocks, in the newest layer that names it; what older layers say of it no
longer counts. A day's layer names the tickets that moved on the day, those with an open target, and those that would be lost
because their layer grows too old. So a day's layer alone is all that the day's targets need, the layers of some thirty days are
all that is remembered, and a day costs what moves on it, however much is remembered.

Not here: the rules (`clocks`), where layers lie and whether they follow from each other (`summarize.stored_clocks`).
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
from ticket_events_pipeline.sla.rules.deletions import of_deleted
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, between, once, ranges, union

REACH_DAYS = 30
"""So many days before its newest layer the memory reaches back. An event is remembered for 30 times 24 hours; where the clocks
were changed meanwhile, it may be one of that day. What is remembered for longer moves on to newer layers."""


NO_TICKETS: Ints = np.empty(0, np.int64)


class Layer(Protocol):
    """What a day left behind. Tickets are handed in and out ascending, each once."""

    @property
    def day(self) -> Day:
        """The day at whose end it was left."""

    @property
    def tickets(self) -> Ints:
        """Those that it names. One without rows is forgotten, whatever older layers say."""

    @property
    def deleted_tickets(self) -> Ints:
        """Those that are known to be or to have been deleted; perhaps some that it no longer names."""

    def rows(self, tickets: Ints) -> pa.Table:
        """All clocks of some of the tickets that it names."""

    def having(self, ids: Ints) -> Ints:
        """The tickets with an event of one of the ascending ids."""

    def without(self, tickets: Ints) -> Layer:
        """The layer once a newer one names these: it need not know them any more."""


@dataclass(frozen=True)
class SortedClocks:
    """Clocks sorted by ticket, to look tickets and events up in."""

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
    """A layer that is kept in memory; rows of tickets that it no longer names may still lie in it."""

    day: Day
    tickets: Ints
    clocks: SortedClocks

    @classmethod
    def of(cls, day: Day, clocks: pa.Table, *, besides: Ints = NO_TICKETS) -> MemoryLayer:
        """The layer of clocks sorted by ticket, that names some tickets besides."""
        content = SortedClocks(clocks)
        return cls(day, union(content.tickets, besides), content)

    @property
    def forgotten(self) -> Ints:
        """The tickets that it names without having rows of them."""
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
        """See `Layer.without`. What isn't needed any more is given back once it is a quarter."""
        named = self.tickets[~among(self.tickets, tickets)]
        is_worth_a_copy = len(named) < 3 / 4 * len(self.clocks.tickets)
        return MemoryLayer(self.day, named, SortedClocks(self.rows(named)) if is_worth_a_copy else self.clocks)


@dataclass(frozen=True)
class CarryOver:
    """What is remembered at the end of the newest layer's day.

    Attributes:
        layers: oldest first.
    """

    layers: tuple[Layer, ...] = ()

    def clocks(self) -> pa.Table:
        """All that is remembered."""
        return self._clocks(self._found(union(NO_TICKETS, *(layer.tickets for layer in self.layers))))

    def of_deleted(self, changes: pa.Table) -> pa.Table:
        """Those changes of status that may matter: of tickets that are deleted by one of them or have been before."""
        return of_deleted(changes, union(NO_TICKETS, *(layer.deleted_tickets for layer in self.layers)))

    def advanced(self, events: pa.Table, day: Day, changes: pa.Table | None = None) -> tuple[CarryOver, MemoryLayer]:
        """The memory at the end of a later day, and its newest layer.

        Args:
            events: all stored events of the day, see `clocks.advance`.
            day: the day that ends.
            changes: of the tickets' status, from `of_deleted`.
        """
        oldest = day.plus(-REACH_DAYS)
        staying = tuple(layer for layer in self.layers if layer.day >= oldest)
        of_changes = NO_TICKETS if changes is None else changes["ticket_id"].to_numpy()
        moved = union(events["ticket_id"].to_numpy(), of_changes, self._having(np.sort(events["id"].to_numpy())))
        left = [self._only_in(place) for place in range(len(self.layers) - len(staying))]
        found = self._found(union(moved, self._open(), *left))
        clocks = advance(self._clocks(found), events, day, changes)
        known_to_older = union(NO_TICKETS, *(tickets for layer, tickets in found if layer.day >= oldest))
        here = MemoryLayer.of(day, clocks, besides=known_to_older)
        return CarryOver((*(layer.without(here.tickets) for layer in staying), here)), here

    def gathered(self, events: pa.Table, day: Day, changes: pa.Table | None = None) -> tuple[CarryOver, MemoryLayer]:
        """As `advanced`, but with all that is remembered in the one layer, so that no older one is needed."""
        here = MemoryLayer.of(day, advance(self.clocks(), events, day, changes))
        return CarryOver((here,)), here

    def _found(self, tickets: Ints) -> list[tuple[Layer, Ints]]:
        """The newest layer of each of the tickets that are named at all."""
        found = []
        for layer in reversed(self.layers):
            is_here = among(tickets, layer.tickets)
            if is_here.any():
                found.append((layer, tickets[is_here]))
                tickets = tickets[~is_here]
        return found

    def _clocks(self, found: Sequence[tuple[Layer, Ints]]) -> pa.Table:
        """What is remembered of the tickets that were found."""
        if not found:
            return empty_clocks()
        rows = pa.concat_tables([layer.rows(tickets) for layer, tickets in found])
        return without_forgotten(rows.unify_dictionaries().combine_chunks(), self.layers[-1].day)

    def _having(self, ids: Ints) -> Ints:
        """The tickets that have an event of one of the ids, which comes again."""
        maybe = union(NO_TICKETS, *(layer.having(ids) for layer in self.layers))
        return tickets_having(self._clocks(self._found(maybe)), ids) if len(maybe) else maybe

    def _open(self) -> Ints:
        """The tickets with an open target: the newest layer names them all."""
        if not self.layers:
            return NO_TICKETS
        return open_tickets(self.layers[-1].rows(self.layers[-1].tickets))

    def _only_in(self, place: int) -> Ints:
        """The tickets that are still remembered and that no layer after the one at `place` names."""
        layer = self.layers[place]
        tickets = once(without_forgotten(layer.rows(layer.tickets), self.layers[-1].day)["ticket_id"].to_numpy())
        for newer in self.layers[place + 1 :]:
            tickets = tickets[~among(tickets, newer.tickets)]
        return tickets
