"""The due times of a day's targets: in calendar hours from `sla_targets`, in business hours from `sla_target_dimensions`."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.report.holders import TARGET_KEY
from ticket_events_pipeline.report.ticket_tables import DIMENSIONS_OF_TARGETS
from ticket_events_pipeline.storage.partition_file import read_partition_and_metadata
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tickets.provenance import MADE_FROM_TARGETS
from ticket_events_pipeline.tickets.rules.due_times import CALENDAR

_ESTIMATE = ["due_at", "due_by"]


def read_estimates(store: Store, day: Day, *, made_from: str) -> pa.Table | None:
    """The day's estimates: `TARGET_KEY`, `due_at` and `due_by`.

    None where the table isn't stored, can't be read, or wasn't made from the `sla_targets` with the content hash `made_from`.
    """
    try:
        found = read_partition_and_metadata(store, DIMENSIONS_OF_TARGETS, day, [*TARGET_KEY, *_ESTIMATE])
    except TicketEventsError:
        return None  # the report says that it can't be read
    if found is None or found[1].get(MADE_FROM_TARGETS) != made_from:
        return None
    return found[0].filter(pc.is_valid(found[0]["due_at"]))


def with_due_times(targets: pa.Table, estimates: pa.Table | None) -> pa.Table:
    """The targets with `due_by`, and with the due times of `read_estimates` where they have none of their own."""
    in_calendar_hours = pc.if_else(pc.is_valid(targets["due_at"]), CALENDAR, pa.scalar(None, pa.string()))
    if estimates is None:
        return targets.append_column("due_by", in_calendar_hours)
    named = estimates.rename_columns([*TARGET_KEY, "estimate", "estimated_by"])
    joined = targets.join(named, TARGET_KEY, join_type="left outer", use_threads=False)
    is_own = pc.is_valid(joined["due_at"])
    due_by = pc.if_else(is_own, CALENDAR, joined["estimated_by"])
    place = joined.column_names.index("due_at")
    found = joined.set_column(place, "due_at", pc.coalesce(joined["due_at"], joined["estimate"]))
    return found.append_column("due_by", due_by).drop_columns(["estimate", "estimated_by"])
