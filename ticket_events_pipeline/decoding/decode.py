"""Rows of a page into a table of the stream's columns; nothing of a row is lost.

The columns of the table say which JSON field fills which of them. A page that came in columns takes the fast lane. The rows of
any other page are converted here: whole columns at once, and a value at a time only where one doesn't fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ticket_events_pipeline.decoding import fast_lane
from ticket_events_pipeline.decoding.child_events import AUDIT_FIELD, child_event_columns, child_facts
from ticket_events_pipeline.decoding.fast_lane import ColumnarRows
from ticket_events_pipeline.decoding.json_values import as_deleted, as_id, as_int64, compact_json, has_microseconds
from ticket_events_pipeline.decoding.leftovers import Leftovers, Row, convert_values, converter, dig, escaped, keep_rest
from ticket_events_pipeline.decoding.row_times import NEWEST_EPOCH_SECOND, OLDEST_MS, as_epoch_ms, row_time_ms
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.table import TIMESTAMP, Column, Sent, Table
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_FIELDS, METRIC_SHAPE, POLICY_FIELDS, json_fields


@dataclass(frozen=True)
class RejectedRow:
    """A row without an id or a readable time: which, and why."""

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
    table = TABLES[stream]
    if isinstance(rows, ColumnarRows) and (whole := fast_lane.table_of(rows.columns, table)) is not None:
        return EventBatch(whole, [])
    accepted, ids, times, rejected = _accepted(table, rows)
    leftovers = Leftovers()
    reading = _Reading(_fields_of(table), _audits_reduced(table, accepted, leftovers), leftovers)
    columns = {"id": ids, "time": times}
    columns |= {column.name: reading.column(column) for column in table if column.path and column.name not in columns}
    columns |= reading.computed()
    columns["extra"] = leftovers.column(len(accepted))
    return EventBatch(pa.table([columns[name] for name in table.schema.names], schema=table.schema), rejected)


def fits(column: Column, value: Any) -> bool:
    """Whether a JSON value fills the column, exactly or at least readably; null does."""
    if value is None or column.sent is Sent.ANY:
        return True
    if column.sent is Sent.FLAG:
        return as_deleted(value) is not None
    if column.type == TIMESTAMP:
        return as_epoch_ms(value) is not None
    return converter(as_id if column.sent is Sent.ID else column.type)(value) is not None


def row_seconds(stream: str, rows: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
    """Epoch seconds of the rows of a page that have a readable time, in the page's order."""
    if isinstance(rows, ColumnarRows):
        times_ms = rows.columns.field("time").cast(pa.int64()).drop_null().to_numpy()
    else:
        found = (row_time_ms(row, TABLES[stream]) for row in rows)
        times_ms = np.array([time_ms for time_ms in found if time_ms is not None], dtype=np.int64)
    shown = (times_ms >= OLDEST_MS) & (times_ms < (NEWEST_EPOCH_SECOND + 1) * 1000)
    seconds: NDArray[np.int64] = np.floor_divide(times_ms[shown], 1000)
    return seconds


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


def _accepted(table: Table, rows: Sequence[Any]) -> tuple[list[Row], pa.Array, pa.Array, list[RejectedRow]]:
    kept: list[Row] = []
    ids: list[int] = []
    times: list[int] = []
    rejected: list[RejectedRow] = []
    for row in rows:
        if not isinstance(row, dict):
            rejected.append(RejectedRow("the row is no JSON object", row))
            continue
        row_id = as_int64(row.get("id"))
        time_ms = row_time_ms(row, table)
        if row_id is None:
            rejected.append(RejectedRow("no id that is a 64-bit integer", row))
        elif time_ms is None:
            rejected.append(RejectedRow(f"no readable time in {', '.join(table.time_fields)}", row))
        else:
            kept.append(row)
            ids.append(row_id)
            times.append(time_ms)
    return kept, pa.array(ids, pa.int64()), pa.array(times, pa.int64()).cast(TIMESTAMP), rejected


def _audits_reduced(table: Table, rows: list[Row], leftovers: Leftovers) -> list[Row]:
    """The rows, the audits among them without what has no column of theirs: that is kept in `extra`.

    Where audits have columns, those of metric events stay NULL; elsewhere an audit goes whole into `extra`, and only its id
    and ticket fill their columns, too.
    """
    is_at_home = AUDIT_FIELD in table
    outer_path = _fields_of(table).outer_path
    reduced = []
    for index, row in enumerate(rows):
        if AUDIT_FIELD in row:
            aside = row.keys() & METRIC_FIELDS if is_at_home else row.keys()
            for name in aside:
                leftovers.keep(index, outer_path(name), row[name])
            row = {name: value for name, value in row.items() if name not in aside or name in ("id", "ticket_id")}
        reduced.append(row)
    return reduced


@dataclass(frozen=True, eq=False)
class _Fields:
    """Which fields of a row's JSON the columns of a table take."""

    table: Table

    @cached_property
    def known(self) -> frozenset[str]:
        """The fields that fill columns, but for the row's time."""
        return json_fields(column for column in self.table if column.name != "time")

    @cached_property
    def objects(self) -> Mapping[str, list[tuple[str, ...]]]:
        """The fields that are objects, and the paths inside them that fill columns."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for field, *inner in (column.steps for column in self.table if len(column.steps) > 1):
            found.setdefault(field, []).append(tuple(inner))
        return found

    def outer_path(self, name: str) -> str:
        """Where a field of the row itself is kept: under its name, unless that could be a path into an object."""
        first = name.replace("\\", ".").partition(".")[0]
        return escaped(name) if first != name and first in self._object_names else name

    @cached_property
    def _object_names(self) -> frozenset[str]:
        return json_fields(column for column in self.table if len(column.steps) > 1)


@lru_cache(maxsize=16)
def _fields_of(table: Table) -> _Fields:
    return _Fields(table)


@dataclass(frozen=True)
class _Objects:
    """One object of each row: the name of its field, and what it holds; None where a row has none."""

    names: list[str | None]
    values: list[Row | None]


class _Reading:
    """The columns of some rows in the making."""

    def __init__(self, fields: _Fields, rows: list[Row], leftovers: Leftovers) -> None:
        self._fields = fields
        self._rows = rows
        self._leftovers = leftovers
        self._objects = {name: self._taken_apart(name, paths) for name, paths in fields.objects.items()}
        self._keep_unknown_fields()

    def column(self, column: Column) -> pa.Array:
        """The column of the field at its path."""
        field, *inner = column.steps
        if not inner:
            values, path_of = [row.get(field) for row in self._rows], lambda _: field
        else:
            of = self._objects[field]
            values = [None if value is None else dig(value, tuple(inner)) for value in of.values]
            path_of = lambda index: ".".join((str(of.names[index]), *inner))  # noqa: E731  # a def would be as long again
        if column.sent is Sent.FLAG:
            return self._flags(values, path_of)
        if column.sent is Sent.ANY:
            return pa.array([None if value is None else compact_json(value) for value in values], pa.string())
        if column.type == TIMESTAMP:
            return self._times(values, path_of)
        return convert_values(values, as_id if column.sent is Sent.ID else column.type, path_of, self._leftovers)

    def computed(self) -> dict[str, pa.Array]:
        """The columns that no single field fills."""
        columns = {}
        if AUDIT_FIELD in self._fields.table:
            columns = child_event_columns([child_facts(row.get(AUDIT_FIELD)) for row in self._rows])
        if "sla" in self._objects:
            names = self._objects["sla"].names
            is_group = [None if name is None else name == "group_sla" for name in names]
            columns["sla_is_group"] = pa.array(is_group, pa.bool_())
        return columns

    def _taken_apart(self, field: str, paths: list[tuple[str, ...]]) -> _Objects:
        """The object of each row under `field`; what of it has no column is kept.

        `sla` and `group_sla` share their columns; where a row has both, the one that fits its type fills them.
        """
        found = _Objects([], [])
        either = POLICY_FIELDS if field in POLICY_FIELDS else (field,)
        for index, row in enumerate(self._rows):
            if row.keys().isdisjoint(either):  # an audit has none
                found.names.append(None)
                found.values.append(None)
                continue
            names = _in_turn(field, row)
            name = next((name for name in names if isinstance(row.get(name), dict)), None)
            found.names.append(name)
            found.values.append(None if name is None else row[name])
            for other in names:
                if other != name and row.get(other) is not None:
                    self._leftovers.keep(index, other, row[other])
            if name is not None:
                keep_rest(index, row[name], name, paths, self._leftovers)
        return found

    def _flags(self, values: list[Any], path_of: Callable[[int], str]) -> pa.Array:
        """NULL in a metric event: it can't be read. What isn't a plain true or false stays in `extra` as it came."""
        column: list[bool | None] = []
        for index, value in enumerate(values):
            if value is None:
                column.append(False if _is_metric_shaped(self._rows[index]) else None)
                continue
            if not isinstance(value, bool):
                self._leftovers.keep(index, path_of(index), value)
            column.append(as_deleted(value))
        return pa.array(column, pa.bool_())

    def _times(self, values: list[Any], path_of: Callable[[int], str]) -> pa.Array:
        """Moments; the original stays in `extra` where the column can't hold it to the last digit."""
        for index, value in enumerate(values):
            if value is not None and (as_epoch_ms(value) is None or has_microseconds(value)):
                self._leftovers.keep(index, path_of(index), value)
        return pa.array([as_epoch_ms(value) for value in values], pa.int64()).cast(TIMESTAMP)

    def _keep_unknown_fields(self) -> None:
        known, table = self._fields.known, self._fields.table
        for index, row in enumerate(self._rows):
            if row.keys() <= known:
                continue
            for name in row.keys() - known:
                if not (name in table.time_fields and _time_holds_it(row, name, table)):
                    self._leftovers.keep(index, self._fields.outer_path(name), row[name])


def _in_turn(field: str, row: Row) -> tuple[str, ...]:
    """The fields of a row that may hold the object, the preferred one first."""
    if field not in POLICY_FIELDS:
        return (field,)
    return POLICY_FIELDS[::-1] if row.get("type") == "apply_group_sla" else POLICY_FIELDS


def _is_metric_shaped(row: Row) -> bool:
    """Whether a row has the metric-event shape, once audits have been reduced."""
    return all(name in row for name in METRIC_SHAPE)


def _time_holds_it(row: Row, name: str, table: Table) -> bool:
    """Whether the column `time` holds this field's value to the last digit."""
    if has_microseconds(row[name]):
        return False
    is_source = name == table.time_fields[0] and as_epoch_ms(row[name]) is not None
    return is_source or as_epoch_ms(row[name]) == row_time_ms(row, table)
