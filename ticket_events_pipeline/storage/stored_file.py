"""A stored Parquet file read in today's columns, whichever version of the schema it was written with.

A column that was added later is NULL, in its place. Any other difference from the columns of the file's own version is an
error: the file was changed, or another program wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.storage.checksums import CHECKSUM_KEYS
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.table import Table

VERSION_KEY = "schema_version"
"""Footer key: the schema version that the file was written with."""

BATCH_BYTES, MOST_BATCH_ROWS = 2 * 1024 * 1024, 16 * 1024
"""The most that is read at once, in bytes of the columns and in rows: an audit with its comments may take tens of KB, a metric
event a few dozen bytes."""


_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


@dataclass
class _RowGroups:
    """Row groups that are read together, and the size of the columns that are read."""

    numbers: list[int] = field(default_factory=list)
    rows: int = 0
    size_bytes: int = 0

    def add(self, number: int, *, rows: int, size_bytes: int) -> None:
        self.numbers.append(number)
        self.rows += rows
        self.size_bytes += size_bytes

    @property
    def rows_per_batch(self) -> int:
        return max(1, min(MOST_BATCH_ROWS, BATCH_BYTES * self.rows // max(1, self.size_bytes)))


class StoredFile:
    """An opened file, conformed to `table`; without one, its columns are taken as they are.

    Attributes:
        url: where it lies, for messages.
        metadata: the footer's key-value metadata.
        table: whose columns it should have; None for a file whose columns aren't declared.
        version: the schema version that it was written with.
        own_schema: the columns that it really has.
        schema: the columns that it is read with.
    """

    def __init__(self, file: pq.ParquetFile, url: str, table: Table | None, *, advice: str) -> None:
        """Raises NewerFileError where the file is of a newer schema version than this program knows."""
        self._file = file
        self._advice = advice
        self._is_checked = False
        self.url = url
        self.table = table
        self.metadata = metadata_of(file)
        self.own_schema: pa.Schema = file.schema_arrow.remove_metadata()
        self._extras = [] if table is None else table.extras_in(self.own_schema)
        self.schema: pa.Schema = self.own_schema if table is None else pa.schema([*table.schema, *self._extras])
        self.version = self._version()

    @property
    def num_rows(self) -> int:
        """How many rows it holds."""
        return int(self._file.metadata.num_rows)

    @property
    def num_row_groups(self) -> int:
        """How many row groups it holds."""
        return int(self._file.num_row_groups)

    def row_group(self, number: int) -> pq.RowGroupMetaData:
        """What the footer says of a row group; its columns are in the order of `own_schema`."""
        return self._file.metadata.row_group(number)

    def null_count(self, group: int, column: str) -> int | None:
        """How often a column is NULL in a row group; None where the file doesn't say."""
        statistics = self.row_group(group).column(self.own_schema.get_field_index(column)).statistics
        return int(statistics.null_count) if statistics is not None and statistics.has_null_count else None

    def columns_problem(self) -> str | None:
        """How the file's columns differ from those of its own version, as a sentence; None where they don't."""
        if self.table is None:
            return None
        wanted = pa.schema([*self.table.at(self.version), *self._extras])
        return None if _plain(self.own_schema).equals(_plain(wanted)) else _difference(self.own_schema, wanted)

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, with all columns or those named, in that order.

        Raises:
            DamagedFileError: the columns are not those of the file's version.
        """
        return self._conformed(self._file.read(columns=self._present(columns)), columns)

    def read_row_groups(
        self, numbers: Sequence[int], columns: Sequence[str] | None = None, *, use_threads: bool = True
    ) -> pa.Table:
        """The rows of some row groups; see `read`."""
        rows = self._file.read_row_groups(list(numbers), columns=self._present(columns), use_threads=use_threads)
        return self._conformed(rows, columns)

    def batches(
        self, columns: Sequence[str] | None = None, *, row_groups: Sequence[int] | None = None, batch_rows: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows in order, `batch_rows` or about BATCH_BYTES at a time, of all row groups or of some; see `read`.

        Raises:
            pyarrow.ArrowException, OSError: the file is truncated.
        """
        present = self._present(columns)
        numbers = range(self.num_row_groups) if row_groups is None else row_groups
        for groups in self._read_together(numbers, present):
            size = batch_rows or groups.rows_per_batch
            for batch in self._file.iter_batches(
                batch_size=size, row_groups=groups.numbers, columns=present, use_threads=False
            ):
                yield self._conformed(batch, columns)

    def _read_together(self, numbers: Iterable[int], columns: Sequence[str] | None) -> Iterator[_RowGroups]:
        """The row groups; small ones together, as many as hold BATCH_BYTES.

        A reader costs as much as some thousand numbers. But one for all of them keeps something of each, 400 MB over a million
        audits.
        """
        places = (
            range(self._file.metadata.num_columns) if columns is None else list(map(self.own_schema.get_field_index, columns))
        )
        together = _RowGroups()
        for number in numbers:
            group = self.row_group(number)
            size = sum(int(group.column(place).total_uncompressed_size) for place in places)
            if together.numbers and together.size_bytes + size > BATCH_BYTES:
                yield together
                together = _RowGroups()
            together.add(number, rows=int(group.num_rows), size_bytes=size)
        if together.numbers:
            yield together

    def _version(self) -> int:
        version = self.metadata.get(VERSION_KEY, "")
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            return self._version_by_columns()
        if int(version) > SCHEMA_VERSION:
            raise NewerFileError(self.url, version=version, known=SCHEMA_VERSION)
        return int(version)

    def _version_by_columns(self) -> int:
        """The newest version all of whose columns the file has: files of SLA tables say their version since version 2.

        Version 0 is from before `due_at`.
        """
        if self.table is None:
            return SCHEMA_VERSION
        names = set(self.own_schema.names)
        fitting = [version for version in range(SCHEMA_VERSION + 1) if names.issuperset(self.table.at(version).names)]
        return max(fitting, default=1)

    def _present(self, columns: Sequence[str] | None) -> list[str] | None:
        """Those of the columns that the file has; checks first that it has those of its version, and no others."""
        if not self._is_checked:
            problem = self.columns_problem()
            if problem is not None:
                raise DamagedFileError(f"{self.url} can't be taken as it is. {problem} {self._advice}")
            self._is_checked = True
        return None if columns is None else [name for name in columns if name in self.own_schema.names]

    def _conformed(self, rows: _Rows, columns: Sequence[str] | None) -> _Rows:
        wanted = self.schema.names if columns is None else list(columns)
        if rows.schema.names == wanted:
            return rows.replace_schema_metadata(None)
        arrays, fields = [], []
        for name in wanted:
            place = rows.schema.get_field_index(name)
            kept = rows.schema.field(place) if place >= 0 else self.schema.field(name)
            arrays.append(rows.column(place) if place >= 0 else pa.nulls(rows.num_rows, kept.type))
            fields.append(kept)
        return type(rows).from_arrays(arrays, schema=pa.schema(fields))


def metadata_of(file: pq.ParquetFile) -> dict[str, str]:
    """The key-value metadata of an opened file, but for what Arrow and the checksums add of their own."""
    found = file.metadata.metadata or {}
    texts = {key.decode(): value.decode() for key, value in found.items() if key != b"ARROW:schema"}
    return {key: text for key, text in texts.items() if key not in CHECKSUM_KEYS}


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with the types of values: whether a column is read by a dictionary is the reader's choice."""
    return pa.schema([(column.name, _value_type(column.type)) for column in schema])


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _difference(stored: pa.Schema, wanted: pa.Schema) -> str:
    theirs, ours = ({column.name: str(_value_type(column.type)) for column in columns} for columns in (stored, wanted))
    differing = [f"{name} is missing" for name in ours if name not in theirs]
    differing += [f"{name} is too many" for name in theirs if name not in ours]
    differing += [f"{name} is {theirs[name]}, not {kind}" for name, kind in ours.items() if theirs.get(name, kind) != kind]
    return f"Its columns are not the {len(ours)} of the schema: {'; '.join(differing[:5]) or 'they stand in another order'}."
