"""What Zendesk sends that the schema doesn't know: fields, metrics and types without a column, and values of another type.

None of it is lost: it is in `extra`, or in its column as it came. But a number that is missing from its column (a target that
became text) makes SLA tables poorer. Names and ids are reported, never values: they are customers' data.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import fits
from ticket_events_pipeline.decoding.json_values import as_deleted
from ticket_events_pipeline.decoding.row_times import as_epoch_ms
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.forgotten.kept import FORGOTTEN
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import TIMESTAMP, Column, Table
from ticket_events_pipeline.tables.ticket_metric_events import (
    METRIC_EVENT_COLUMNS,
    METRIC_FIELDS,
    METRIC_SHAPE,
    POLICY_DESCRIPTION,
    POLICY_FIELDS,
    TICKET_METRIC_EVENTS_TABLE,
    json_fields,
    json_paths,
    metric_shaped,
)
from ticket_events_pipeline.text import plural

TYPE_CHANGED, UNKNOWN = "type changed", "unknown"

_MOST_NAMES = 100
"""A field whose name is made of data has no end of names."""

_CHILDREN = "child_event_count"

DELETED = "deleted"
"""Without a readable one, a metric event takes no part in the SLA tables. Spelled otherwise (`1`, `"true"`), it is readable."""


@dataclass(frozen=True)
class Oddity:
    """Something that the schema doesn't know.

    Attributes:
        kind: TYPE_CHANGED or UNKNOWN.
        name: the field's dotted path, or `metric …`, `type …`, `event_type …` with the value.
        count: rows that have it.
        example_id: id of one of them.
        day: of that one.
    """

    kind: str
    name: str
    count: int
    example_id: int
    day: Day

    def __str__(self) -> str:
        return f"{self.name}: {plural(self.count, 'row')}, for example id {self.example_id} of {self.day}"


def find_oddities(store: Store, stream: str, days: Iterable[Day]) -> list[Oddity]:
    """Everything odd in the stored `days`, by kind and name; files that can't be read are left out."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    examples: dict[tuple[str, str], tuple[int, Day]] = {}
    for day in days:
        for kind, name, row_id, count in _of_day(store, stream, day):
            key = (kind, name) if (kind, name) in counts or len(counts) < _MOST_NAMES else (kind, "fields of other names")
            counts[key] += count
            examples.setdefault(key, (row_id, day))
    return [Oddity(*key, count, *examples[key]) for key, count in sorted(counts.items())]


_Found = tuple[str, str, int, int]
"""Kind, name, the id of a row that has it, and how many of them there are."""


def _of_day(store: Store, stream: str, day: Day) -> Iterator[_Found]:
    known = _known_of(TABLES[stream])
    try:
        with opened_partition(store, stream, day) as file:
            if file is None:
                return
            for batch in file.batches(known.columns_read):
                rows = pa.Table.from_batches([batch])
                yield from _unknown_values(known, rows)
                yield from _of_leftovers(known, rows)
    except DamagedFileError:
        return


@dataclass(frozen=True, eq=False)
class _Known:
    """What the columns of a raw table say is known of its rows."""

    table: Table

    @cached_property
    def listed(self) -> list[Column]:
        """The columns with a list of known values."""
        return [column for column in self.table if column.known is not None]

    @cached_property
    def columns_read(self) -> list[str]:
        """The columns that can show oddities."""
        wanted = {"id", *METRIC_SHAPE, *(column.name for column in self.listed), _CHILDREN, "extra"}
        return [column.name for column in self.table if column.name in wanted]

    @cached_property
    def by_path(self) -> Mapping[str, Column]:
        """The column that a path in `extra` should have filled."""
        return {path: column for column in self.table for path in json_paths(column)}

    @cached_property
    def objects(self) -> frozenset[str]:
        """The fields of a row that are objects."""
        return json_fields(column for column in self.table if len(column.steps) > 1)

    @cached_property
    def inner_objects(self) -> frozenset[str]:
        """The paths of objects inside those."""
        steps = [path.split(".") for path in self.by_path]
        return frozenset(".".join(names[:depth]) for names in steps for depth in range(2, len(names)))

    @cached_property
    def times(self) -> frozenset[str]:
        """The fields that are times. A metric event has its own, in either stream."""
        paths = {column.path for column in self.table if column.type == TIMESTAMP and column.path}
        return frozenset(paths | set(TICKET_METRIC_EVENTS_TABLE.time_fields[:1]))

    def kind(self, path: str, value: Any, *, is_audit: bool) -> str | None:
        """What a value in `extra` means; None where it is there as a matter of course."""
        if path in _WITHOUT_COLUMN - self.by_path.keys():
            return None
        if is_audit and path in METRIC_FIELDS:
            return UNKNOWN
        if path in self.times:
            return TYPE_CHANGED if as_epoch_ms(value) is None else None  # left over for its microseconds
        if path in self.objects:
            return None if isinstance(value, dict) else TYPE_CHANGED  # of two policies in one row, one is left over
        if path in self.inner_objects:
            return TYPE_CHANGED
        if path not in self.by_path:
            return UNKNOWN
        # A value that fits is from before its column, or text left over for the exact spelling of what UTF-8 can't hold.
        return None if fits(self.by_path[path], value) else TYPE_CHANGED


_WITHOUT_COLUMN = {".".join((field, *POLICY_DESCRIPTION.split(".")[1:])) for field in POLICY_FIELDS}


@lru_cache(maxsize=16)
def _known_of(table: Table) -> _Known:
    return _Known(table)


def _unknown_values(known: _Known, rows: pa.Table) -> Iterator[_Found]:
    metric_rows = rows.filter(metric_shaped(rows))
    for column in known.listed:
        table = metric_rows if column in METRIC_EVENT_COLUMNS else rows
        for counted in pc.value_counts(table[column.name].drop_null()).to_pylist():
            if counted["values"] not in (column.known or ()):
                first = pc.index(table[column.name], counted["values"]).as_py()
                yield UNKNOWN, f"{column.name} {counted['values']}", table["id"][first].as_py(), counted["counts"]


def _of_leftovers(known: _Known, rows: pa.Table) -> Iterator[_Found]:
    left = rows.filter(pc.is_valid(rows["extra"]))
    has_audits = _CHILDREN in known.table
    counts = left[_CHILDREN].to_pylist() if has_audits else [None] * left.num_rows
    for row_id, text, children in zip(left["id"].to_pylist(), left["extra"].to_pylist(), counts, strict=True):
        try:
            fields = json.loads(text)
        except RecursionError:  # it was written without any
            yield UNKNOWN, "fields nested too deep to be read", row_id, 1
            continue
        if not has_audits and "child_events" in fields:
            yield UNKNOWN, "audits in this stream", row_id, 1
            continue
        for path, value in fields.items():
            if path == FORGOTTEN or (path == DELETED and children is None and as_deleted(value) is not None):
                continue
            kind = known.kind(path, value, is_audit=children is not None)
            if kind is not None:
                yield kind, path, row_id, 1
