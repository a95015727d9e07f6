"""Rows that wait in memory to be looked up, in less than half the bytes of a table."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

NARROW_TYPES = (pa.uint8(), pa.uint16(), pa.uint32())


@dataclass(frozen=True)
class PackedRows:
    """The rows of a table: whole numbers as narrow as they allow, and columns that are mostly NULL only where they aren't.

    Attributes:
        schema: of the table.
        dense: the other columns, all rows.
        sparse: the columns that are NULL in more than half of the rows, only of rows that have a value in one of them.
        places: per row, its row in `sparse`; null for none.
    """

    schema: pa.Schema
    dense: pa.Table
    sparse: pa.Table
    places: pa.Array

    @classmethod
    def of(cls, rows: pa.Table) -> PackedRows:
        """The rows, packed."""
        sparse = [name for name in rows.column_names if rows[name].null_count > rows.num_rows / 2]
        has_value = pa.chunked_array([pa.repeat(False, rows.num_rows)])
        for name in sparse:
            has_value = pc.or_(has_value, rows[name].is_valid())
        places = pc.subtract(pc.cumulative_sum(has_value.cast(pa.int32())), pa.scalar(1, pa.int32()))
        return cls(
            rows.schema,
            _narrowed(rows.drop_columns(sparse)),
            _narrowed(rows.select(sparse).filter(has_value)),
            pc.if_else(has_value, places, None).combine_chunks(),
        )

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.places)

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        """A dense column."""
        return self.dense[name].cast(self.schema.field(name).type)

    def take(self, rows: pa.Array) -> pa.Table:
        """The rows of these numbers."""
        dense, sparse = self.dense.take(rows), self.sparse.take(self.places.take(rows))
        columns = [(dense if name in self.dense.column_names else sparse)[name] for name in self.schema.names]
        arrays = [_as(column, wanted.type) for column, wanted in zip(columns, self.schema, strict=True)]
        return pa.table(arrays, schema=self.schema)


def _narrowed(rows: pa.Table) -> pa.Table:
    return pa.table({name: _narrow(rows[name].combine_chunks()) for name in rows.column_names})


def _narrow(column: pa.Array) -> pa.Array:
    """The same values in the narrowest unsigned integers, if they are integers, or a dictionary's."""
    if pa.types.is_dictionary(column.type):
        return pa.DictionaryArray.from_arrays(_narrow(column.indices), column.dictionary)
    if not pa.types.is_integer(column.type):
        return column
    bounds = pc.min_max(column)
    least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
    for kind in NARROW_TYPES:
        if least is None or (least >= 0 and greatest < 2**kind.bit_width and kind.bit_width < column.type.bit_width):
            return column.cast(kind)
    return column


def _as(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(wanted):
        coded = column.combine_chunks()
        return pa.chunked_array([pa.DictionaryArray.from_arrays(coded.indices.cast(wanted.index_type), coded.dictionary)])
    return column.cast(wanted)
