"""A stored table as one value: its columns and, per column, the type, the meaning, the JSON field and the version.

How a table changes:

- **A column is added** by adding a `Column` where it belongs, with the next schema version as its `since`. It is nullable.
  Schema evolution: every reader of this package sees NULL in older files. No stored file is fetched or made again, and its
  content hash still holds.
- **A column is removed, moved, renamed or gets another type** or meaning: no reader can conform older files to that. Such a
  release needs the next schema version, code that reads the older files (or a command that rewrites them), and a change log
  entry that says how to migrate. `test_released_columns` fails until its frozen list of released columns is changed on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import pyarrow as pa

INT64, INT32, INT8 = pa.int64(), pa.int32(), pa.int8()
FLOAT64, BOOL, STRING, DATE = pa.float64(), pa.bool_(), pa.string(), pa.date32()
TIMESTAMP = pa.timestamp("ms", tz="UTC")
DICTIONARY_STRING = pa.dictionary(pa.int32(), pa.string())
"""Few values, many rows."""

EVENT_KEY = ("time", "id")
"""What raw files are sorted by. Hardly a value comes twice."""


class Sent(Enum):
    """How Zendesk sends the value of a column."""

    AS_TYPE = "JSON of the column's own type"
    ID = "an id, a number in one object and text in another; stored as text"
    FLAG = "true or false, in any spelling; a metric event without it means false"
    ANY = "any JSON; stored as JSON text"


@dataclass(frozen=True)
class Column:
    """A column of a stored table.

    Attributes:
        name: unique in the table.
        type: of its values.
        doc: one sentence: what it means, its unit, and what NULL says.
        path: the JSON field that fills it, as a dotted path; None for a column that is computed.
        since: the first schema version with the column; 0 where it was there from the beginning.
        sent: how the field is sent.
        known: the values that are known; None where any will do.
        made_from: the columns of the upstream tables that decide a value of this one. Leave out columns that only select or
            group rows (the types of SLA rule 1, `as_of`, the policy of a figure), unless this column shows exactly that value.
    """

    name: str
    type: pa.DataType
    doc: str
    path: str | None = None
    since: int = 0
    sent: Sent = Sent.AS_TYPE
    known: frozenset[str] | None = None
    made_from: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The names along its path; none without one."""
        return () if self.path is None else tuple(self.path.split("."))


@dataclass(frozen=True, eq=False)
class Table:
    """A stored table: one Parquet file a day.

    No column `date` stands in the files: the folder `date=YYYY-MM-DD` carries it.

    Attributes:
        name: the asset's name.
        columns: in order, as they are written now.
        key: the columns that its rows are sorted by.
        made_from: the tables one asset upstream.
        time_fields: of a raw table, the JSON fields that may hold a row's time; the stream's own comes first.
        is_internal: whether its columns are no contract with readers.
        extra_columns: how the names of further columns begin that a file may have, as text, after the declared ones; empty if
            it may have none.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    made_from: tuple[Table, ...] = ()
    time_fields: tuple[str, ...] = ()
    is_internal: bool = False
    extra_columns: str = ""

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns, in order."""
        return schema_of(self.columns)

    def at(self, version: int) -> pa.Schema:
        """The columns that files of a schema version have, in order."""
        return schema_of(tuple(column for column in self.columns if column.since <= version))

    def extras_in(self, schema: pa.Schema) -> list[pa.Field]:
        """The columns of a file's schema that the table allows and doesn't declare."""
        if not self.extra_columns:
            return []
        return [pa.field(name, STRING) for name in schema.names if name.startswith(self.extra_columns)]

    @cached_property
    def added(self) -> frozenset[str]:
        """The columns added after version 1: the content hash leaves them out while they are NULL everywhere."""
        return frozenset(column.name for column in self.columns if column.since > 1)

    @property
    def version(self) -> int:
        """The first schema version with all of its columns."""
        return max(column.since for column in self.columns)

    @cached_property
    def lineage(self) -> dict[str, list[tuple[str, str]]]:
        """By column, the columns one asset upstream that it is made from, as (asset, column)."""
        return {
            column.name: [(table.name, name) for table in self.made_from for name in column.made_from if name in table]
            for column in self.columns
        }

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """The columns as Arrow has them."""
    return pa.schema([(column.name, column.type) for column in columns])


def repetitive_columns(schema: pa.Schema) -> list[str]:
    """The columns whose values a dictionary is worth."""
    return [name for name in schema.names if name not in EVENT_KEY]
