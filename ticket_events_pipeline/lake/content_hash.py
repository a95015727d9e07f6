"""A hash of a table's rows alone: not of how they were chunked, compressed or fetched.

Two files with equal rows in equal order have equal hashes, whenever and in however many pages they came.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ContentHash:
    """Fed batch by batch; how the rows are cut into batches doesn't matter."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        # One running hash each for validity, lengths and bytes: mixed into one, they would depend on the cuts.
        self._columns = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        for stored, (validity, lengths, values) in zip(batch.columns, self._columns, strict=True):
            # A dictionary's codes depend on how the batch was made; the values that they stand for don't.
            column = stored.dictionary_decode() if pa.types.is_dictionary(stored.type) else stored
            validity.update(_bytes_of(column.is_valid()))
            if pa.types.is_string(column.type):
                filled = pc.fill_null(column, "")
                lengths.update(_bytes_of(pc.binary_length(filled)))
                values.update(_text_bytes(filled))
            else:
                values.update(_bytes_of(column))

    def hexdigest(self) -> str:
        """The hash of everything taken in so far, 64 hexadecimal digits."""
        whole = hashlib.sha256()
        for schema_field, hashes in zip(self._schema, self._columns, strict=True):
            whole.update(f"{schema_field.name}:{schema_field.type};".encode())
            for part in hashes:
                whole.update(part.digest())
        return whole.hexdigest()


def content_hash(table: pa.Table) -> str:
    """The hash of a table in memory, 64 hexadecimal digits."""
    running = ContentHash(table.schema)
    for batch in table.to_batches():
        running.update(batch)
    return running.hexdigest()


def _bytes_of(column: pa.Array) -> bytes:
    """The values as fixed-width little-endian bytes, NULL as zero."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    values: np.ndarray = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _text_bytes(column: pa.Array) -> bytes:
    """All the texts end to end, of a column without NULLs."""
    if not len(column):
        return b""
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    return bytes(memoryview(data)[offsets[0] : offsets[-1]]) if data is not None else b""
