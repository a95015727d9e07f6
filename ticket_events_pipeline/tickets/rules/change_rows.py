"""Rows of changes, as `ticket_states` has them: their order, and those of some tickets or fields."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.sla.rules.clocks import alphabetic_codes
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints, RowRuns, among, order_of
from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE


def as_states(rows: pa.Table) -> pa.Table:
    """Those of the columns that `ticket_states` has, in its schema; the others of its columns are NULL."""
    schema, size = TICKET_STATES_TABLE.schema, rows.num_rows
    whole = rows.unify_dictionaries().combine_chunks()  # each row group has a dictionary of its own
    arrays = [
        whole[item.name].cast(item.type) if item.name in whole.column_names else pa.nulls(size, item.type) for item in schema
    ]
    return pa.table(arrays, schema=schema)


def merged(*parts: pa.Table) -> pa.Table:
    """Rows in the schema of `ticket_states`, sorted by its key."""
    rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    if not rows.num_rows:
        return rows
    moment = [rows[name].cast(pa.int64()).to_numpy() for name in ("changed_at", "audit_id", "position")]
    return rows.take(pa.array(order_of(rows["ticket_id"].to_numpy(), alphabetic_codes(rows["field"]), *moment)))


def of_tickets(rows: pa.Table, tickets: Ints) -> pa.Table:
    """Those of ascending tickets; fast where the rows of a ticket are adjacent."""
    is_wanted = has_ticket(rows, tickets)
    return rows if is_wanted.all() else rows.filter(pa.array(is_wanted))


def without_tickets(rows: pa.Table, tickets: Ints) -> pa.Table:
    """Those of other than these ascending tickets."""
    return rows.filter(pa.array(~has_ticket(rows, tickets)))


def has_ticket(rows: pa.Table, tickets: Ints) -> Bools:
    """Per row, whether it is of one of the ascending tickets; fast where the rows of a ticket are adjacent."""
    ticket_of_row = rows["ticket_id"].to_numpy()
    runs = RowRuns.of(ticket_of_row)
    return np.repeat(among(ticket_of_row[runs.starts], tickets), runs.lengths)


def of_fields(rows: pa.Table, fields: Collection[str]) -> pa.Table:
    """Those of some fields."""
    is_wanted = has_field(rows["field"], fields)
    return rows if is_wanted.all() else rows.filter(pa.array(is_wanted))


def has_field(column: pa.ChunkedArray, fields: Collection[str]) -> Bools:
    """Per row of the column `field`, whether it is one of them."""
    codes, names = field_codes(column)
    is_wanted = np.array([name in fields for name in names], bool)
    wanted: Bools = is_wanted[codes]
    return wanted


def field_codes(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Per row of the column `field`, the number of its name among the names."""
    whole = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    encoded = whole.unify_dictionaries().combine_chunks()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
