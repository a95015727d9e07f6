"""A hash of a table's rows alone: not of how they were chunked, compressed or fetched.

Two files with equal rows in equal order have equal hashes, whenever and in however many pages they came.

A column that a later schema version added is left out while it is NULL in every row. So a day that is read again unchanged
keeps its hash over a change of version, nothing made from it counts as outdated, and the hash in an older file's footer holds
for its rows in today's columns. As soon as the column has a value, it is a part of the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class _Hashes(NamedTuple):
    """The running hashes of a column: mixed into one, they would depend on how the rows are cut."""

    validity: hashlib._Hash
    lengths: hashlib._Hash
    values: hashlib._Hash
    element_lengths: hashlib._Hash | None

    @classmethod
    def of(cls, kind: pa.DataType) -> _Hashes:
        return cls(hashlib.sha256(), hashlib.sha256(), hashlib.sha256(), hashlib.sha256() if pa.types.is_list(kind) else None)


class ContentHash:
    """Fed batch by batch; how the rows are cut into batches doesn't matter."""

    def __init__(self, schema: pa.Schema, *, added: Collection[str] = ()) -> None:
        """`added` are the columns of `schema` that are left out while NULL everywhere, see `Table.added`."""
        self._schema = schema
        self._left_out = set(added)
        self._columns = [_Hashes.of(field.type) for field in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        if not batch.num_rows:
            return
        for name, stored, hashes in zip(self._schema.names, batch.columns, self._columns, strict=True):
            if name in self._left_out and stored.null_count < len(stored):
                self._left_out.remove(name)
            # A dictionary's codes depend on how the batch was made; the values that they stand for don't.
            _update(hashes, stored.dictionary_decode() if pa.types.is_dictionary(stored.type) else stored)

    def hexdigest(self) -> str:
        """The hash of everything taken in so far, 64 hexadecimal digits."""
        whole = hashlib.sha256()
        for schema_field, hashes in zip(self._schema, self._columns, strict=True):
            if schema_field.name in self._left_out:
                continue
            whole.update(f"{schema_field.name}:{schema_field.type};".encode())
            for part in hashes:
                whole.update(b"" if part is None else part.digest())
        return whole.hexdigest()


def content_hash(table: pa.Table, *, added: Collection[str] = ()) -> str:
    """The hash of a table in memory, 64 hexadecimal digits; `added` is `ContentHash`'s."""
    running = ContentHash(table.schema, added=added)
    for batch in table.to_batches():
        running.update(batch)
    return running.hexdigest()


def _update(hashes: _Hashes, column: pa.Array) -> None:
    is_valid = _validity(column)
    hashes.validity.update(is_valid.data)
    if hashes.element_lengths is not None:
        hashes.lengths.update(pc.fill_null(column.value_lengths(), 0).to_numpy().astype("<i4", copy=False).data)
        elements = column.flatten()  # those of a NULL list are left out
        hashes.element_lengths.update(pc.fill_null(pc.binary_length(elements), -1).to_numpy().astype("<i4", copy=False).data)
        hashes.values.update(_text(elements, _validity(elements))[1])
    elif pa.types.is_string(column.type):
        offsets, text = _text(column, is_valid)
        hashes.lengths.update(np.diff(offsets).astype("<i4", copy=False).data)
        hashes.values.update(text)
    else:
        hashes.values.update(_fixed_width(column, is_valid).data)


# Straight from the buffers: a kernel a column costs more than a small day's bytes.


def _validity(column: pa.Array) -> np.ndarray:
    """1 for a value, 0 for NULL, a byte each."""
    return _bits(column.buffers()[0], column) if column.null_count else np.ones(len(column), np.uint8)


def _bits(buffer: pa.Buffer, column: pa.Array) -> np.ndarray:
    first = column.offset // 8
    packed = np.frombuffer(buffer, np.uint8)[first : (column.offset + len(column) + 7) // 8]
    start = column.offset - 8 * first
    return np.ascontiguousarray(np.unpackbits(packed, bitorder="little")[start : start + len(column)])


def _fixed_width(column: pa.Array, is_valid: np.ndarray) -> np.ndarray:
    """The values as little-endian bytes, NULL as zero; a boolean is a byte."""
    buffer = column.buffers()[1]
    if pa.types.is_boolean(column.type):
        bits: np.ndarray = _bits(buffer, column) & is_valid
        return bits
    native = np.dtype(f"i{column.type.bit_width // 8}")
    values = np.frombuffer(buffer, native)[column.offset : column.offset + len(column)]
    if column.null_count:
        values = np.where(is_valid, values, native.type(0))
    little: np.ndarray = values.astype(native.newbyteorder("<"), copy=False)
    return little


def _text(column: pa.Array, is_valid: np.ndarray) -> tuple[np.ndarray, memoryview | bytes]:
    """Where each text begins, and the last one ends; and all texts end to end. NULL is empty."""
    offsets = _offsets(column)
    if column.null_count and (np.diff(offsets)[is_valid == 0] != 0).any():
        column = pc.fill_null(column, "")
        offsets = _offsets(column)
    data = column.buffers()[2]
    return offsets, memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""


def _offsets(column: pa.Array) -> np.ndarray:
    return np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
