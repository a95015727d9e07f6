"""The newest subjects of some tickets, quickly: for a message that can't wait for a month of audits to be read.

`ticket_field_changes` is sorted by ticket, so of each day only the row groups of these tickets are read, the newest day first.
A subject that isn't found in time, or stands in a file that can't be read, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from time import monotonic

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.tickets import TICKET_FIELD_CHANGES_TABLE

CHANGES = TICKET_FIELD_CHANGES_TABLE.name

LOOK_BACK_DAYS = 30
"""Tickets with a running clock are seldom older, and each day costs a read."""

_COLUMNS = ["ticket_id", "field", "value", "changed_at", "audit_id", "position"]


def newest_subjects(store: Store, today: Day, ticket_ids: Collection[int], *, seconds: float) -> dict[int, str]:
    """The newest stored subject of each of the tickets that has one, as far as they are found within `seconds`."""
    found: dict[int, str] = {}
    until = monotonic() + seconds
    for back in range(LOOK_BACK_DAYS):
        wanted = [ticket_id for ticket_id in ticket_ids if ticket_id not in found]
        if not wanted or monotonic() > until:
            break
        found |= _of_day(store, today.plus(-back), wanted)
    return found


def _of_day(store: Store, day: Day, ticket_ids: list[int]) -> dict[int, str]:
    try:
        with opened_partition(store, CHANGES, day) as file:
            parts = [] if file is None else list(_changes(file, pa.array(sorted(ticket_ids), pa.int64())))
    except TicketEventsError:
        return {}  # the raw assets' checks and `verify` name the file
    if not parts:
        return {}
    ordered = pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("changed_at", "audit_id", "position")])
    pairs = zip(ordered["ticket_id"].to_pylist(), ordered["value"].to_pylist(), strict=True)
    return {ticket_id: subject for ticket_id, subject in pairs if subject}


def _changes(file: StoredFile, ticket_ids: pa.Array) -> Iterator[pa.Table]:
    column = file.own_schema.get_field_index("ticket_id")
    for number in range(file.num_row_groups):
        held = file.row_group(number).column(column).statistics
        if held is not None and held.has_min_max:
            inside = pc.and_(pc.greater_equal(ticket_ids, held.min), pc.less_equal(ticket_ids, held.max))
            if not pc.any(inside).as_py():
                continue
        rows = file.read_row_groups([number], _COLUMNS, use_threads=False)
        yield rows.filter(pc.and_(pc.is_in(rows["ticket_id"], ticket_ids), pc.equal(rows["field"], "subject")))
