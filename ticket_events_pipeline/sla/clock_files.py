"""The files of `sla_clocks`: each is a day's layer of the memory, and says in its footer how far back the memory reaches.

Here: reading and writing one of them. Not here: which of them belong together (`clock_memory`).

A file of an earlier version holds all that was remembered, as its rows came: it is a layer with nothing before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.rules.carry_over import NO_TICKETS, MemoryLayer, SortedClocks, tickets_having
from ticket_events_pipeline.sla.rules.clocks import CLOCKS_SCHEMA, CLOCKS_TABLE, in_clock_order
from ticket_events_pipeline.sla.rules.row_runs import Ints, among, between, once, union
from ticket_events_pipeline.storage.partition_file import Layout, opened_partition, partition_path, write_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import VERSION_KEY, StoredFile
from ticket_events_pipeline.tables.schemas import SCHEMA_VERSION

CLOCKS = "sla_clocks"

REACHES_BACK, FORGOTTEN, DELETED = "reaches_back_days", "forgotten_tickets", "deleted_tickets"
"""Footer keys beside those of every SLA file: over how many days before its own the memory is spread; and as JSON lists, which
tickets are no longer remembered although older files name them (hardly ever any), and which are or were deleted."""

LAYOUT = Layout(
    rows_per_group=16 * 1024,
    dictionary_columns=("metric", "instance_id", "policy_id", "policy_title"),
    statistics_columns=("id", "ticket_id"),
)
"""A later day looks up some tickets: it reads the groups in which they lie. What costs time and helps nobody is left out: each
row is written as often as its ticket moves."""

ANY_ID = (-(2**63), 2**63 - 1)
"""Where a file doesn't say between which its ids lie."""


@dataclass(frozen=True)
class StoredLayer:
    """A layer in its file, which is read in parts: see `sla.memory.Layer`.

    Attributes:
        deleted_tickets: see `Layer.deleted_tickets`.
        tickets_by_group: the tickets of each row group, as they come.
        ids_by_group: the least id of an event in each row group, and the greatest.
    """

    store: Store
    day: Day
    provenance: Provenance
    content_hash: str
    reaches_back_days: int
    tickets: Ints
    deleted_tickets: Ints
    tickets_by_group: tuple[Ints, ...]
    ids_by_group: tuple[tuple[int, int], ...]
    is_sorted: bool

    def rows(self, tickets: Ints) -> pa.Table:
        """See `Layer.rows`."""
        groups = [number for number, here in enumerate(self.tickets_by_group) if among(here, tickets).any()]
        with self._opened() as file:
            clocks = file.read_row_groups(groups) if groups else CLOCKS_SCHEMA.empty_table()
        wanted = clocks.filter(pa.array(among(clocks["ticket_id"].to_numpy(), tickets)))
        return wanted if self.is_sorted else in_clock_order(wanted)

    def having(self, ids: Ints) -> Ints:
        """See `Layer.having`."""
        groups = [number for number, bounds in enumerate(self.ids_by_group) if len(between(ids, *bounds))]
        if not groups:
            return NO_TICKETS
        with self._opened() as file:
            return tickets_having(file.read_row_groups(groups, ["id", "ticket_id"]), ids)

    def without(self, tickets: Ints) -> StoredLayer:
        """See `Layer.without`: what is stored takes no memory."""
        return self

    def kept(self, *, but: Ints = NO_TICKETS) -> MemoryLayer:
        """The layer in memory, but for some tickets."""
        named = self.tickets[~among(self.tickets, but)]
        return MemoryLayer(self.day, named, SortedClocks(self.rows(named).combine_chunks()))

    @contextmanager
    def _opened(self) -> Iterator[StoredFile]:
        with opened_partition(self.store, CLOCKS, self.day, table=CLOCKS_TABLE) as file:
            if file is None or file.metadata.get("content_hash") != self.content_hash:
                raise DamagedFileError(
                    f"{self.store.url(partition_path(CLOCKS, self.day))} was replaced while it was read. Start the run again."
                )
            yield file


def _tickets_by_group(file: StoredFile) -> tuple[Ints, ...]:
    tickets = file.read(["ticket_id"])["ticket_id"].to_numpy()
    sizes = [file.row_group(number).num_rows for number in range(file.num_row_groups)]
    return tuple(once(group) for group in np.split(tickets, np.cumsum(sizes)[:-1]))


def _ids_by_group(file: StoredFile) -> tuple[tuple[int, int], ...]:
    place = file.own_schema.get_field_index("id")
    told = [file.row_group(number).column(place).statistics for number in range(file.num_row_groups)]
    return tuple((ids.min, ids.max) if ids is not None else ANY_ID for ids in told)


def read_layer(store: Store, day: Day) -> StoredLayer | None:
    """The layer of a day, or None where `sla_clocks` of the day has not been made.

    Raises:
        DamagedFileError: its file can't be read, or isn't one of this pipeline.
    """
    with opened_partition(store, CLOCKS, day, table=CLOCKS_TABLE) as file:
        if file is None:
            return None
        metadata = file.metadata
        tickets_by_group, ids_by_group = _tickets_by_group(file), _ids_by_group(file)
    try:
        forgotten, deleted = (np.array(json.loads(metadata.get(key, "[]")), np.int64) for key in (FORGOTTEN, DELETED))
        return StoredLayer(
            store,
            day,
            Provenance.from_metadata(metadata),
            metadata["content_hash"],
            int(metadata.get(REACHES_BACK, "0")),
            union(forgotten, *tickets_by_group),
            deleted,
            tickets_by_group,
            ids_by_group,
            is_sorted=REACHES_BACK in metadata,
        )
    except (KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{store.url(partition_path(CLOCKS, day))} bears no footer of this pipeline ({error!r}). "
            f"Materialise {CLOCKS} of {day} again."
        ) from error


@dataclass(frozen=True)
class NewLayer:
    """A layer that was just made, and what its file will say of it; see `StoredLayer`."""

    layer: MemoryLayer
    content_hash: str
    reaches_back_days: int


def write_layer(store: Store, made: NewLayer, provenance: Provenance) -> int:
    """Replace the file of the layer's day; its size in bytes."""
    layer = made.layer
    footer = {
        VERSION_KEY: str(SCHEMA_VERSION),
        **provenance.to_metadata(),
        "partition": str(layer.day),
        "content_hash": made.content_hash,
        REACHES_BACK: str(made.reaches_back_days),
        FORGOTTEN: json.dumps(layer.forgotten.tolist()),
        DELETED: json.dumps(layer.deleted_tickets.tolist()),
    }
    return write_partition(store, CLOCKS, layer.day, layer.clocks.table, footer, layout=LAYOUT)
