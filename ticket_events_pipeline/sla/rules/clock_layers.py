"""What `sla_clocks` carries over: the clocks of tickets, see `carry_over` and `clocks`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.carry_over import Layer
from ticket_events_pipeline.sla.rules.clocks import advance, deleted_tickets, open_tickets, without_forgotten
from ticket_events_pipeline.sla.rules.deletions import STATUS_CHANGES_SCHEMA
from ticket_events_pipeline.sla.rules.row_runs import Ints, once
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE


@dataclass(frozen=True)
class DayEvents:
    """What moves clocks on a day.

    Attributes:
        events: all stored events of the day, see `clocks.advance`.
        changes: of the tickets' status, as far as they count, see `changes_of_deleted`.
    """

    events: pa.Table
    changes: pa.Table = field(default_factory=STATUS_CHANGES_SCHEMA.empty_table)


class CarriedClocks:
    """See `Carried`. Every layer names the tickets with an open target, and marks those that are or were deleted."""

    schema = SLA_CLOCKS_TABLE.schema

    def tickets_of(self, new: DayEvents) -> Ints:
        """Those of the events and of the changes."""
        return np.concatenate([new.events["ticket_id"].to_numpy(), new.changes["ticket_id"].to_numpy()])

    def event_ids_of(self, new: DayEvents) -> Ints:
        """An event may come back on another ticket."""
        return np.sort(new.events["id"].to_numpy())

    def advance(self, rows: pa.Table, new: DayEvents, day: Day) -> pa.Table:
        """See `clocks.advance`."""
        return advance(rows, new.events, day, new.changes)

    def remembered(self, rows: pa.Table, day: Day) -> pa.Table:
        """See `clocks.without_forgotten`."""
        return without_forgotten(rows, day)

    def named_by_every_layer(self, newest: Layer) -> Ints:
        """The tickets with an open target."""
        return open_tickets(newest.rows(newest.tickets))

    def moving_on(self, oldest: Layer, day: Day) -> Ints:
        """Clocks may be remembered for any time."""
        return once(without_forgotten(oldest.rows(oldest.tickets), day)["ticket_id"].to_numpy())

    def marked(self, rows: pa.Table) -> Ints:
        """The tickets that are or were deleted."""
        return deleted_tickets(rows)


CARRIED_CLOCKS = CarriedClocks()
