"""What Zendesk sends that the schema doesn't know: fields, metrics and types without a column, and values of another type.

None of it is lost: it lies in `extra`, or in its column as it came. But a number that isn't there any more (a target that
became text) makes SLA tables poorer, and somebody should know. Names and ids are told, never values: they are customers' data.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.rules.events import RANK_BY_TYPE
from ticket_events_pipeline.storage.decode import METRIC_FIELDS, SLA_PATHS, STATUS_PATHS
from ticket_events_pipeline.storage.json_values import as_deleted
from ticket_events_pipeline.storage.partition_file import opened_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.schemas import metric_shaped
from ticket_events_pipeline.zendesk.row_times import TIME_FIELDS, as_epoch_ms

TYPE_CHANGED, UNKNOWN = "type changed", "unknown"

KNOWN_METRICS = {
    "agent_work_time",
    "group_ownership_time",
    "pausable_update_time",
    "periodic_update_time",
    "reply_time",
    "requester_wait_time",
    "resolution_time",
}
KNOWN_TYPES = {*RANK_BY_TYPE, "measure"}
KNOWN_EVENT_TYPES = {"Audit"}

_POLICY_FIELDS = ("sla", "group_sla")
_OBJECT_FIELDS = {*_POLICY_FIELDS, "status"}
_WITHOUT_COLUMN = {f"{field}.policy.description" for field in _POLICY_FIELDS}  # documented, and kept in `extra` on purpose
_TEXT_PATHS = {"metric", "type", "via", "event_type", *(f"{field}.policy.title" for field in _POLICY_FIELDS)}
_PATHS = {
    *("ticket_id", "instance_id", "deleted"),
    *(".".join((field, *path)) for field in _POLICY_FIELDS for path in SLA_PATHS.values()),
    *(f"{field}.policy" for field in _POLICY_FIELDS),
    *(".".join(("status", *path)) for path in STATUS_PATHS.values()),
    *_TEXT_PATHS,
}
_AUDIT_PATHS = {"via", "event_type", "updater_id", "via_reference_id"}
_OWN_TIMES = {"ticket_events": set(TIME_FIELDS["ticket_events"]), "ticket_metric_events": {"time"}}

_MOST_NAMES = 100
"""A field whose name is made of data has no end of names."""

_COLUMNS = {
    "ticket_events": ["id", "metric", "instance_id", "type", "event_type", "child_event_count", "extra"],
    "ticket_metric_events": ["id", "metric", "instance_id", "type", "extra"],
}

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
        return f"{self.name}: {self.count} rows, for example id {self.example_id} of {self.day}"


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
    try:
        with opened_partition(store, stream, day) as file:
            if file is None:
                return
            for batch in file.batches(_COLUMNS[stream]):
                rows = pa.Table.from_batches([batch])
                yield from _unknown_values(rows)
                yield from _of_leftovers(stream, rows)
    except DamagedFileError:
        return


def _unknown_values(rows: pa.Table) -> Iterator[_Found]:
    metric_rows = rows.filter(metric_shaped(rows))
    for table, column, known in (
        (metric_rows, "metric", KNOWN_METRICS),
        (metric_rows, "type", KNOWN_TYPES),
        (rows, "event_type", KNOWN_EVENT_TYPES),
    ):
        if column not in table.column_names:
            continue
        for counted in pc.value_counts(table[column].drop_null()).to_pylist():
            if counted["values"] not in known:
                first = pc.index(table[column], counted["values"]).as_py()
                yield UNKNOWN, f"{column} {counted['values']}", table["id"][first].as_py(), counted["counts"]


def _of_leftovers(stream: str, rows: pa.Table) -> Iterator[_Found]:
    left = rows.filter(pc.is_valid(rows["extra"]))
    counts = left["child_event_count"].to_pylist() if stream == "ticket_events" else [None] * left.num_rows
    for row_id, text, children in zip(left["id"].to_pylist(), left["extra"].to_pylist(), counts, strict=True):
        try:
            fields = json.loads(text)
        except RecursionError:  # it was written without any
            yield UNKNOWN, "fields nested too deep to be looked at", row_id, 1
            continue
        if stream == "ticket_metric_events" and "child_events" in fields:
            yield UNKNOWN, "audits in this stream", row_id, 1
            continue
        for path, value in fields.items():
            if path == DELETED and children is None and as_deleted(value) is not None:
                continue
            kind = _kind(stream, path, value, is_audit=children is not None)
            if kind is not None:
                yield kind, path, row_id, 1


def _kind(stream: str, path: str, value: Any, *, is_audit: bool) -> str | None:
    """What a value in `extra` means; None where it is there as a matter of course."""
    if path in _WITHOUT_COLUMN:
        return None
    if is_audit and path in METRIC_FIELDS:
        return UNKNOWN
    if path in _OWN_TIMES[stream]:
        return TYPE_CHANGED if as_epoch_ms(value) is None else None  # left over for its microseconds
    if path in _OBJECT_FIELDS:
        return None if isinstance(value, dict) else TYPE_CHANGED  # of two policies in one row, one is left over
    known = _PATHS | _AUDIT_PATHS if stream == "ticket_events" else _PATHS - _AUDIT_PATHS
    if path not in known:
        return UNKNOWN
    # Text is left over only for the exact spelling of what UTF-8 can't hold.
    return None if path in _TEXT_PATHS and isinstance(value, str) else TYPE_CHANGED
