"""One file of a table that is carried over: a day's layer, whose footer says how far back the carry-over reaches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.rules.carry_over import NO_TICKETS, Carried, MemoryLayer, SortedRows
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, between, once, union
from ticket_events_pipeline.storage.partition_file import Layout, no_footer_error, opened_partition, partition_path
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.table import Table

REACHES_BACK, FORGOTTEN = "reaches_back_days", "forgotten_tickets"
"""Footer keys of every layer: over how many days before its own the carry-over is spread; and as a JSON list, which tickets are
forgotten although older files name them (hardly ever any)."""

ANY_ID = (-(2**63), 2**63 - 1)
"""For a file without statistics of its ids."""

Made = TypeVar("Made")
"""How a file was made, as its footer says it."""


@dataclass(frozen=True)
class LayeredTable(Generic[Made]):
    """A table whose days are layers.

    Attributes:
        table: its columns.
        carried: the rules of what it carries over.
        layout: how its files are laid out; a later day looks up some tickets and reads only their row groups.
        made_in: how a file was made, from its footer; raises KeyError or ValueError for the footer of another program.
        marks: the footer key for `Carried.marked`, a JSON list; None for a table that marks no tickets.
        has_events: whether its rows are events, whose `id` may come back on another ticket.
        in_order: sorts the rows of a file without REACHES_BACK, as earlier versions wrote it.
    """

    table: Table
    carried: Carried[Any]
    layout: Layout
    made_in: Callable[[Mapping[str, str]], Made]
    marks: str | None = None
    has_events: bool = False
    in_order: Callable[[pa.Table], pa.Table] = lambda rows: rows

    @property
    def name(self) -> str:
        """The asset's name."""
        return self.table.name


@dataclass(frozen=True)
class StoredLayer(Generic[Made]):
    """A layer in its file, which is read in parts; see `Layer`.

    Attributes:
        made: how it was made.
        marked_tickets: see `Carried.marked`.
        tickets_by_group: the tickets of each row group, in file order.
        ids_by_group: the smallest and the largest event id of each row group; none for a table without events.
    """

    store: Store
    layered: LayeredTable[Made]
    day: Day
    made: Made
    content_hash: str
    reaches_back_days: int
    tickets: Ints
    marked_tickets: Ints
    tickets_by_group: tuple[Ints, ...]
    ids_by_group: tuple[tuple[int, int], ...]
    is_sorted: bool

    def rows(self, tickets: Ints) -> pa.Table:
        """See `Layer.rows`."""
        groups = [number for number, here in enumerate(self.tickets_by_group) if among(here, tickets).any()]
        with self._opened() as file:
            rows = file.read_row_groups(groups) if groups else self.layered.table.schema.empty_table()
        wanted = rows.filter(pa.array(among(rows["ticket_id"].to_numpy(), tickets)))
        return wanted if self.is_sorted else self.layered.in_order(wanted)

    def having(self, ids: Ints) -> Ints:
        """See `Layer.having`."""
        groups = [number for number, bounds in enumerate(self.ids_by_group) if len(between(ids, *bounds))]
        if not groups:
            return NO_TICKETS
        with self._opened() as file:
            return SortedRows(file.read_row_groups(groups, ["id", "ticket_id"])).having(ids)

    def without(self, tickets: Ints) -> StoredLayer[Made]:
        """See `Layer.without`: a stored layer takes no memory."""
        return self

    def in_memory(self, *, excluding: Ints = NO_TICKETS) -> MemoryLayer:
        """The layer in memory, without some tickets."""
        named = self.tickets[~among(self.tickets, excluding)]
        rows = self.rows(named).combine_chunks()
        return MemoryLayer(self.day, named, SortedRows(rows), self.layered.carried.marked(rows))

    @contextmanager
    def _opened(self) -> Iterator[StoredFile]:
        name = self.layered.name
        with opened_partition(self.store, name, self.day, table=self.layered.table) as file:
            if file is None or file.metadata.get("content_hash") != self.content_hash:
                raise DamagedFileError(
                    f"{self.store.url(partition_path(name, self.day))} was replaced while it was read. Start the run again."
                )
            yield file


def _tickets_by_group(file: StoredFile) -> tuple[Ints, ...]:
    tickets = file.read(["ticket_id"])["ticket_id"].to_numpy()
    sizes = [file.row_group(number).num_rows for number in range(file.num_row_groups)]
    return tuple(once(group) for group in np.split(tickets, np.cumsum(sizes)[:-1]))


def _ids_by_group(file: StoredFile) -> tuple[tuple[int, int], ...]:
    place = file.own_schema.get_field_index("id")
    statistics = [file.row_group(number).column(place).statistics for number in range(file.num_row_groups)]
    return tuple((ids.min, ids.max) if ids is not None else ANY_ID for ids in statistics)


def read_layer(store: Store, layered: LayeredTable[Made], day: Day) -> StoredLayer[Made] | None:
    """The layer of a day; None where the table of the day has not been made.

    Raises:
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    with opened_partition(store, layered.name, day, table=layered.table) as file:
        if file is None:
            return None
        metadata = file.metadata
        tickets_by_group, ids_by_group = _tickets_by_group(file), _ids_by_group(file) if layered.has_events else ()
    try:
        marks = "[]" if layered.marks is None else metadata.get(layered.marks, "[]")
        forgotten, marked = (np.array(json.loads(text), np.int64) for text in (metadata.get(FORGOTTEN, "[]"), marks))
        return StoredLayer(
            store,
            layered,
            day,
            layered.made_in(metadata),
            metadata["content_hash"],
            int(metadata.get(REACHES_BACK, "0")),
            union(forgotten, *tickets_by_group),
            marked,
            tickets_by_group,
            ids_by_group,
            is_sorted=REACHES_BACK in metadata,
        )
    except (KeyError, ValueError) as error:
        raise no_footer_error(store, layered.name, day, error) from error


@dataclass(frozen=True)
class NewLayer:
    """A new layer, and what its file's footer will say; see `StoredLayer`."""

    layer: MemoryLayer
    content_hash: str
    reaches_back_days: int

    def footer(self, layered: LayeredTable[Any]) -> dict[str, str]:
        """The footer keys that every layer has."""
        marks = {} if layered.marks is None else {layered.marks: json.dumps(self.layer.marked_tickets.tolist())}
        return {
            REACHES_BACK: str(self.reaches_back_days),
            FORGOTTEN: json.dumps(self.layer.forgotten.tolist()),
            **marks,
        }
