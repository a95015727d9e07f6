"""The carry-over: what a day leaves for the next, as layers like those of a log-structured store, one layer per day.

The newest layer that names a ticket has all of its rows; older layers no longer count for it. A day's layer names the tickets
that moved on the day, those that every layer names, and those whose layer becomes too old. So a reader of what a day moved
needs the day's layer alone, the layers of some thirty days are the whole carry-over, and the cost of a day depends on what
moves on it. What the rows are, and when a ticket is forgotten, is up to the table that is carried over: see `Carried`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.packed_rows import PackedRows
from ticket_events_pipeline.sla.rules.row_runs import Ints, RowRuns, among, between, places_of, ranges, union

REACH_DAYS = 30
"""How many days the carry-over reaches back before its newest layer. An event is remembered for 30 times 24 hours, which may
start on that day when clocks were changed meanwhile. Whatever is remembered for longer moves to newer layers."""

NO_TICKETS: Ints = np.empty(0, np.int64)

New = TypeVar("New", contravariant=True)
"""What is new on a day."""


class Carried(Protocol[New]):
    """What a table carries over: its rules, as functions of rows that hold whole tickets. Rows are sorted by `ticket_id`."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""

    def tickets_of(self, new: New) -> Ints:
        """The tickets that something new moves, in any order."""

    def event_ids_of(self, new: New) -> Ints:
        """The ascending ids of events that are known from now on as they are in `new`, whichever ticket had them before."""

    def advance(self, rows: pa.Table, new: New, day: Day) -> pa.Table:
        """The rows at the end of a day, from those of the day before, at least of the tickets that `new` moves."""

    def remembered(self, rows: pa.Table, day: Day) -> pa.Table:
        """The rows of a layer that are still remembered at the end of a day."""

    def named_by_every_layer(self, newest: Layer) -> Ints:
        """Which of the newest layer's tickets the next one names, whether they move or not."""

    def moving_on(self, oldest: Layer, day: Day) -> Ints:
        """Which tickets of a layer that becomes too old are still remembered at the end of `day`."""

    def marked(self, rows: pa.Table) -> Ints:
        """The tickets that a layer marks in its footer, so that they are known without reading its rows."""


class Layer(Protocol):
    """What a day left. Arrays of tickets are ascending and unique."""

    @property
    def day(self) -> Day:
        """The day that left it."""

    @property
    def tickets(self) -> Ints:
        """The tickets that it names. A ticket without rows is forgotten, whatever older layers have."""

    @property
    def marked_tickets(self) -> Ints:
        """See `Carried.marked`; may include some that it no longer names."""

    def rows(self, tickets: Ints) -> pa.Table:
        """All rows of some of its tickets."""

    def having(self, ids: Ints) -> Ints:
        """The tickets with an event of one of the ascending ids."""

    def without(self, tickets: Ints) -> Layer:
        """The layer after a newer one names these tickets: it no longer needs them."""


@dataclass(frozen=True)
class SortedRows:
    """Rows sorted by ticket, for lookups by ticket and by event."""

    table: pa.Table | PackedRows

    @cached_property
    def _runs(self) -> RowRuns:
        return RowRuns.of(self.table["ticket_id"].to_numpy())

    @cached_property
    def tickets(self) -> Ints:
        """Each ticket once."""
        tickets: Ints = self.table["ticket_id"].to_numpy()[self._runs.starts]
        return tickets

    @cached_property
    def _id_bounds(self) -> tuple[int, int]:
        """The least and the greatest event id; ids mostly ascend with time, so a later day's are hardly ever within."""
        ids = self.table["id"].to_numpy()
        return int(ids.min()), int(ids.max())

    def rows(self, tickets: Ints) -> pa.Table:
        """All rows of these tickets, which it has."""
        if isinstance(self.table, pa.Table) and len(tickets) == len(self.tickets):
            return self.table
        runs = np.searchsorted(self.tickets, tickets)
        starts = self._runs.starts[runs]
        return self.table.take(pa.array(ranges(starts, starts + self._runs.lengths[runs])))

    def having(self, ids: Ints) -> Ints:
        """The tickets with an event of one of the ascending ids, ascending."""
        maybe = between(ids, *self._id_bounds) if self.table.num_rows else NO_TICKETS
        places = places_of(maybe, within=self.table["id"].to_numpy()) if len(maybe) else NO_TICKETS
        return union(self.table["ticket_id"].to_numpy()[places]) if len(places) else NO_TICKETS


@dataclass(frozen=True)
class MemoryLayer:
    """A layer in memory; it may still have rows of tickets that it no longer names."""

    day: Day
    tickets: Ints
    content: SortedRows
    marked_tickets: Ints

    @classmethod
    def of(cls, day: Day, rows: pa.Table, *, also_naming: Ints = NO_TICKETS, marked: Ints = NO_TICKETS) -> MemoryLayer:
        """The layer of rows sorted by ticket; it also names the tickets `also_naming`."""
        content = SortedRows(rows)
        return cls(day, union(content.tickets, also_naming), content, marked)

    @property
    def forgotten(self) -> Ints:
        """The tickets that it names without rows."""
        return self.tickets[~among(self.tickets, self.content.tickets)]

    def rows(self, tickets: Ints) -> pa.Table:
        """See `Layer.rows`."""
        return self.content.rows(tickets[among(tickets, self.content.tickets)])

    def having(self, ids: Ints) -> Ints:
        """See `Layer.having`."""
        return self.content.having(ids)

    def without(self, tickets: Ints) -> MemoryLayer:
        """See `Layer.without`. Memory is released once a quarter of the tickets isn't needed any more."""
        named = self.tickets[~among(self.tickets, tickets)]
        if len(named) >= 3 / 4 * len(self.content.tickets):
            return replace(self, tickets=named)
        marked = self.marked_tickets[among(self.marked_tickets, named)]
        return MemoryLayer(self.day, named, SortedRows(PackedRows.of(self.rows(named))), marked)


@dataclass(frozen=True)
class CarryOver(Generic[New]):
    """The carry-over at the end of the newest layer's day.

    Attributes:
        carried: the rules of what is carried over.
        layers: oldest first.
    """

    carried: Carried[New]
    layers: tuple[Layer, ...] = ()

    def rows(self) -> pa.Table:
        """All rows that are carried over."""
        return self._rows(self._found(union(NO_TICKETS, *(layer.tickets for layer in self.layers))))

    def marked_tickets(self) -> Ints:
        """The tickets that any layer marks."""
        return union(NO_TICKETS, *(layer.marked_tickets for layer in self.layers))

    def advanced(self, new: New, day: Day) -> tuple[CarryOver[New], MemoryLayer]:
        """The carry-over at the end of a later day with something new, and its newest layer."""
        staying, oldest = self._staying(day), _oldest(day)
        found = self._found(self._moving(new, day))
        known_to_older = union(NO_TICKETS, *(tickets for layer, tickets in found if layer.day >= oldest))
        here = self._layer(found, new, day, also_naming=known_to_older)
        return CarryOver(self.carried, (*(layer.without(here.tickets) for layer in staying), here)), here

    def compacted(self, new: New, day: Day) -> tuple[CarryOver[New], MemoryLayer]:
        """As `advanced`, but with everything in one layer, so that no older one is needed."""
        found = self._found(union(self._moving(new, day), *(layer.tickets for layer in self._staying(day))))
        here = self._layer(found, new, day)
        return CarryOver(self.carried, (here,)), here

    def _layer(self, found: Sequence[tuple[Layer, Ints]], new: New, day: Day, *, also_naming: Ints = NO_TICKETS) -> MemoryLayer:
        rows = self.carried.advance(self._rows(found), new, day)
        return MemoryLayer.of(day, rows, also_naming=also_naming, marked=self.carried.marked(rows))

    def _staying(self, day: Day) -> tuple[Layer, ...]:
        """The layers that aren't too old for the carry-over of `day`."""
        return tuple(layer for layer in self.layers if layer.day >= _oldest(day))

    def _moving(self, new: New, day: Day) -> Ints:
        """The tickets that the layer of `day` names."""
        moved = [self.carried.tickets_of(new), self._having(self.carried.event_ids_of(new))]
        always = self.carried.named_by_every_layer(self.layers[-1]) if self.layers else NO_TICKETS
        left = [self._only_in(place) for place in range(len(self.layers) - len(self._staying(day)))]
        return union(*moved, always, *left)

    def _found(self, tickets: Ints) -> list[tuple[Layer, Ints]]:
        """For the tickets that any layer names, the newest layer of each."""
        found = []
        for layer in reversed(self.layers):
            is_here = among(tickets, layer.tickets)
            if is_here.any():
                found.append((layer, tickets[is_here]))
                tickets = tickets[~is_here]
        return found

    def _rows(self, found: Sequence[tuple[Layer, Ints]]) -> pa.Table:
        """The remembered rows of the tickets that were found."""
        if not found:
            return self.carried.schema.empty_table()
        rows = pa.concat_tables([layer.rows(tickets) for layer, tickets in found])
        return self.carried.remembered(rows.unify_dictionaries().combine_chunks(), self.layers[-1].day)

    def _having(self, ids: Ints) -> Ints:
        """The tickets that already have an event of one of the ids."""
        if not len(ids):
            return NO_TICKETS
        maybe = union(NO_TICKETS, *(layer.having(ids) for layer in self.layers))
        return SortedRows(self._rows(self._found(maybe))).having(ids) if len(maybe) else maybe

    def _only_in(self, place: int) -> Ints:
        """The tickets that are still remembered and that only the layer at `place`, and none after it, names."""
        tickets = self.carried.moving_on(self.layers[place], self.layers[-1].day)
        for newer in self.layers[place + 1 :]:
            tickets = tickets[~among(tickets, newer.tickets)]
        return tickets


def _oldest(day: Day) -> Day:
    """The oldest day whose layer belongs to the carry-over at the end of `day`."""
    return day.plus(-REACH_DAYS)
