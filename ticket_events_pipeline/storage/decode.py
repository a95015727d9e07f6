"""Rows of a page, as decoded JSON, into a table of the stream's schema; nothing of a row is lost on the way.

Which column a field fills, and what happens to a value that doesn't fit, is decided here and nowhere else. What rows mean
(which day, which of two deliveries, which breach) is not.

Rows that came in columns go straight into the table. Of others whole columns are converted at once; a value at a time only
where a column refuses, since nearly every page is clean.

Fields: https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/ and
https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.storage import documented_rows
from ticket_events_pipeline.storage.audit_columns import AUDIT_FIELDS, audit_columns
from ticket_events_pipeline.storage.column import Leftovers, Row, column_of, convert_values, dig, escaped, keep_rest
from ticket_events_pipeline.storage.json_values import as_deleted, as_int64, as_policy_id, has_microseconds
from ticket_events_pipeline.tables.schemas import RAW_SCHEMAS, TIMESTAMP
from ticket_events_pipeline.zendesk.columnar import ColumnarRows
from ticket_events_pipeline.zendesk.row_times import TIME_FIELDS, as_epoch_ms, row_time_ms

DELETED_IS_READ_SINCE = 2
"""The schema version since which `deleted` is read in every spelling, and NULL in a metric event where it can't be read."""

METRIC_FIELDS = {"metric", "instance_id", "type", "deleted", "sla", "group_sla", "status"}

SLA_PATHS: dict[str, tuple[str, ...]] = {
    "sla_target_minutes": ("target",),
    "sla_target_seconds": ("target_in_seconds",),
    "sla_business_hours": ("business_hours",),
    "sla_policy_id": ("policy", "id"),
    "sla_policy_title": ("policy", "title"),
}
STATUS_PATHS: dict[str, tuple[str, ...]] = {"status_calendar_minutes": ("calendar",), "status_business_minutes": ("business",)}
_LOOKS_LIKE_A_PATH = re.compile(r"(sla|group_sla|status)[.\\]")


@dataclass(frozen=True)
class RejectedRow:
    """A row that can't be placed: which, and why."""

    reason: str
    row: Any


@dataclass(frozen=True)
class EventBatch:
    """The rows of one page: `table` in the stream's schema and the order of delivery, `rejected` the rest."""

    table: pa.Table
    rejected: list[RejectedRow]


def decode_rows(stream: str, rows: Sequence[Any]) -> EventBatch:
    """Convert the rows of a page of `stream` (an asset's name) to its schema.

    A row needs an integer `id` and a readable time, or it is rejected with the reason. Any other field that has no column,
    or a value of another type than its column, is kept in `extra` under its path.
    """
    if isinstance(rows, ColumnarRows) and (table := documented_rows.table_of(rows.columns)) is not None:
        return EventBatch(table, [])
    placeable, ids, times, rejected = _placeable(stream, rows)
    leftovers = Leftovers()
    columns: dict[str, pa.Array] = {"id": ids, "time": times}
    placeable = _audits_reduced(stream, placeable, leftovers)
    if stream == "ticket_events":
        columns |= audit_columns(placeable, leftovers)
    columns |= _metric_event_columns(placeable, leftovers)
    _keep_unknown_fields(stream, placeable, leftovers)
    columns["extra"] = leftovers.column(len(placeable))
    schema = RAW_SCHEMAS[stream]
    return EventBatch(pa.table([columns[name] for name in schema.names], schema=schema), rejected)


def _placeable(stream: str, rows: Sequence[Any]) -> tuple[list[Row], pa.Array, pa.Array, list[RejectedRow]]:
    kept: list[Row] = []
    ids: list[int] = []
    times: list[int] = []
    rejected: list[RejectedRow] = []
    for row in rows:
        if not isinstance(row, dict):
            rejected.append(RejectedRow("the row is no JSON object", row))
            continue
        row_id = as_int64(row.get("id"))
        time_ms = row_time_ms(row, stream)
        if row_id is None:
            rejected.append(RejectedRow("no id that is a 64-bit integer", row))
        elif time_ms is None:
            rejected.append(RejectedRow(f"no readable time in {', '.join(TIME_FIELDS[stream])}", row))
        else:
            kept.append(row)
            ids.append(row_id)
            times.append(time_ms)
    return kept, pa.array(ids, pa.int64()), pa.array(times, pa.int64()).cast(TIMESTAMP), rejected


def _audits_reduced(stream: str, rows: list[Row], leftovers: Leftovers) -> list[Row]:
    """The rows, the audits among them without what has no column of theirs: that is kept in `extra`.

    A row with child events is an audit, whatever else it has: in `ticket_events` its metric columns stay NULL, and in the
    metric stream it goes whole into `extra`, its id and ticket beside it.
    """
    reduced = []
    for index, row in enumerate(rows):
        if "child_events" in row:
            aside = row.keys() & METRIC_FIELDS if stream == "ticket_events" else row.keys()
            for name in aside:
                leftovers.keep(index, _outer_path(name), row[name])
            row = {name: value for name, value in row.items() if name not in aside or name in ("id", "ticket_id")}
        reduced.append(row)
    return reduced


def _metric_event_columns(rows: list[Row], leftovers: Leftovers) -> dict[str, pa.Array]:
    columns = {
        "ticket_id": column_of(rows, "ticket_id", pa.int64(), leftovers),
        "metric": column_of(rows, "metric", pa.string(), leftovers),
        "instance_id": column_of(rows, "instance_id", pa.int64(), leftovers),
        "type": column_of(rows, "type", pa.string(), leftovers),
        "deleted": _deleted_column(rows, leftovers),
    }
    return columns | _sla_columns(rows, leftovers) | _nested_columns(rows, "status", STATUS_PATHS, leftovers)


def _deleted_column(rows: list[Row], leftovers: Leftovers) -> pa.Array:
    """A metric event without `deleted` is not deleted; an audit has no such thing.

    Null in a metric event: it can't be read. What isn't a plain true or false stays in `extra` as it came.
    """
    column: list[bool | None] = []
    for index, row in enumerate(rows):
        value = row.get("deleted")
        if value is None:
            column.append(False if _is_metric_shaped(row) else None)
            continue
        if not isinstance(value, bool):
            leftovers.keep(index, "deleted", value)
        column.append(as_deleted(value))
    return pa.array(column, pa.bool_())


def deleted_as_it_came(deleted: pa.ChunkedArray, extra: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column `deleted` of a file from before `DELETED_IS_READ_SINCE` as it would be read now.

    Such a file holds false where a metric event's `deleted` was no plain true or false, and in `extra` what came.
    """
    is_odd = pc.fill_null(pc.and_(pc.is_valid(deleted), pc.match_substring(extra, '"deleted":')), False)
    odd = pc.indices_nonzero(is_odd).to_pylist()
    if not odd:
        return deleted
    values = deleted.to_pylist()
    for row in odd:
        came = json.loads(extra[row].as_py())
        if "deleted" in came:
            values[row] = as_deleted(came["deleted"])
    return pa.chunked_array([pa.array(values, pa.bool_())])


def _is_metric_shaped(row: Row) -> bool:
    """Whether a row has the metric-event shape, once audits have been reduced."""
    return "metric" in row and "instance_id" in row


def _sla_columns(rows: list[Row], leftovers: Leftovers) -> dict[str, pa.Array]:
    """`sla` and `group_sla` share their columns; where a row has both, the one its type speaks of fills them."""
    is_group: list[bool | None] = []
    chosen: list[Row | None] = []
    for index, row in enumerate(rows):
        name = _policy_field(row)
        is_group.append(None if name is None else name == "group_sla")
        chosen.append(None if name is None else row[name])
        for other in ("sla", "group_sla"):
            if other != name and row.get(other) is not None:
                leftovers.keep(index, other, row[other])
    columns = {}
    for column, path in SLA_PATHS.items():
        values = [None if policy is None else dig(policy, path) for policy in chosen]
        columns[column] = convert_values(values, _policy_converter(column), _under_policy(is_group, path), leftovers)
    for index, policy in enumerate(chosen):
        if policy is not None:
            keep_rest(index, policy, ("group_sla" if is_group[index] else "sla"), list(SLA_PATHS.values()), leftovers)
    return {**columns, "sla_is_group": pa.array(is_group, pa.bool_())}


def _policy_field(row: Row) -> str | None:
    names = ("group_sla", "sla") if row.get("type") == "apply_group_sla" else ("sla", "group_sla")
    for name in names:
        if isinstance(row.get(name), dict):
            return name
    return None


def _policy_converter(column: str) -> pa.DataType | Callable[[Any], Any]:
    return {
        "sla_target_minutes": pa.int64(),
        "sla_target_seconds": pa.int64(),
        "sla_business_hours": pa.bool_(),
        "sla_policy_id": as_policy_id,
        "sla_policy_title": pa.string(),
    }[column]


def _under_policy(is_group: list[bool | None], path: tuple[str, ...]) -> Callable[[int], str]:
    return lambda index: ".".join(("group_sla" if is_group[index] else "sla", *path))


def _constant(path: str) -> Callable[[int], str]:
    return lambda _: path


def _nested_columns(rows: list[Row], name: str, paths: dict[str, tuple[str, ...]], leftovers: Leftovers) -> dict[str, pa.Array]:
    objects = [row.get(name) for row in rows]
    columns = {}
    for column, path in paths.items():
        values = [dig(value, path) if isinstance(value, dict) else None for value in objects]
        columns[column] = convert_values(values, pa.int64(), _constant(".".join((name, *path))), leftovers)
    for index, value in enumerate(objects):
        if isinstance(value, dict):
            keep_rest(index, value, name, list(paths.values()), leftovers)
        elif value is not None:
            leftovers.keep(index, name, value)
    return columns


def _keep_unknown_fields(stream: str, rows: list[Row], leftovers: Leftovers) -> None:
    known = {"id", "ticket_id", *METRIC_FIELDS}
    known |= AUDIT_FIELDS if stream == "ticket_events" else set()
    time_fields = TIME_FIELDS[stream]
    for index, row in enumerate(rows):
        if row.keys() <= known:
            continue
        for name in row.keys() - known:
            if not (name in time_fields and _column_tells_it(row, name, stream)):
                leftovers.keep(index, _outer_path(name), row[name])


def _outer_path(name: str) -> str:
    """Where an unknown field of the row itself is kept: under its name, unless that could be a path into a known object."""
    return escaped(name) if _LOOKS_LIKE_A_PATH.match(name) else name


def _column_tells_it(row: Row, name: str, stream: str) -> bool:
    """Whether the column `time` holds this field's value to the last digit."""
    if has_microseconds(row[name]):
        return False
    is_source = name == TIME_FIELDS[stream][0] and as_epoch_ms(row[name]) is not None
    return is_source or as_epoch_ms(row[name]) == row_time_ms(row, stream)
