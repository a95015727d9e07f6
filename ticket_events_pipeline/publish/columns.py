"""The columns of a published table: those of the stored table, with `date` before them, in types that every format has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.tables.table import Table

DATE = "date"


def published_type(kind: pa.DataType) -> pa.DataType:
    """The type that a stored column is published with.

    Timestamps get microseconds, which is what both formats hold; a dictionary gets the type of its values; int8 becomes int32,
    since Iceberg has nothing smaller.
    """
    if pa.types.is_dictionary(kind):
        return published_type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(published_type(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.int32() if pa.types.is_int8(kind) else kind


def published_schema(stored: pa.Schema) -> pa.Schema:
    """The columns that a day with the `stored` columns is published with; none requires a value."""
    return pa.schema([(DATE, pa.date32()), *((column.name, published_type(column.type)) for column in stored)])


def evolved_schema(table: Table, stored: pa.Schema, published: pa.Schema, url: str) -> pa.Schema:
    """The columns of the published table after a day with the `stored` columns is in it: new ones come last.

    Raises:
        UsageError: a published column has another type now, or is no longer a column of the stored table.
    """
    wanted = published_schema(stored)
    has_now = {column.name: published_type(column.type) for column in published}
    problems = [
        f"{column.name} is {has_now[column.name]} there and {column.type} here"
        for column in wanted
        if has_now.get(column.name, column.type) != column.type
    ]
    problems += [
        f"{name} is no column of {table.name} any more"
        for name in has_now
        if name not in wanted.names and not (table.extra_columns and name.startswith(table.extra_columns))
    ]
    if problems:
        raise UsageError(
            f"{url} doesn't fit the stored {table.name}: {'; '.join(problems)}. It stays as it is. If another version of this "
            "program made it, use that one; else publish to another URI, and drop this table."
        )
    kept = [pa.field(name, kind) for name, kind in has_now.items()]
    return pa.schema([*kept, *(column for column in wanted if column.name not in has_now)])


def published_batches(batches: Iterator[pa.RecordBatch], date: dt.date, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows with the columns of `schema`: `date` is the same in all of them, and a column that they lack is NULL."""
    for batch in batches:
        arrays = [_column(batch, column, date) for column in schema]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _column(batch: pa.RecordBatch, column: pa.Field, date: dt.date) -> pa.Array:
    if column.name == DATE:
        return pa.repeat(pa.scalar(date, pa.date32()), batch.num_rows)
    place = batch.schema.get_field_index(column.name)
    return pa.nulls(batch.num_rows, column.type) if place < 0 else pc.cast(batch.column(place), column.type)
