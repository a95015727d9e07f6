"""Comparison of a stored row with the row that was sent: an independent inverse of the decoding, written from the contract.

A column that no release has yet is known only by its path.
Every value that was sent must come out of its column or of `extra`, and nothing may come out that wasn't sent.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ticket_events_pipeline.decoding.decode import EventBatch, decode_rows
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.released import newer_columns

JSON_COLUMNS = {"child_events", "system", "metadata", "merged_ticket_ids"}
COLUMNS = {
    "ticket_metric_events": {"id", "ticket_id", "metric", "instance_id", "type", "deleted"},
    "ticket_events": {
        *("id", "ticket_id", "metric", "instance_id", "type", "deleted", "updater_id", "via", "event_type"),
        *("via_reference_id", *JSON_COLUMNS),
    },
}
METRIC_NAMES = {"metric", "instance_id", "type", "deleted", "sla", "group_sla", "status"}
TIMES = {"ticket_events": ["timestamp", "created_at", "time"], "ticket_metric_events": ["time", "timestamp", "created_at"]}
NESTED = {
    "target": "sla_target_minutes",
    "target_in_seconds": "sla_target_seconds",
    "business_hours": "sla_business_hours",
    "policy.id": "sla_policy_id",
    "policy.title": "sla_policy_title",
}
STATUS = {"calendar": "status_calendar_minutes", "business": "status_business_minutes"}
INNER = {"sla": NESTED, "status": STATUS}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FIRST, LAST = (
    dt.datetime.combine(date, time, dt.UTC) - EPOCH for date, time in ((dt.date.min, dt.time.min), (dt.date.max, dt.time.max))
)


def through_parquet(stream: str, rows: list[Any]) -> tuple[list[dict[str, Any]], EventBatch]:
    """The rows as read from a file, times in epoch milliseconds; and the batch that they were written from."""
    batch = decode_rows(stream, rows)
    batch.table.validate(full=True)
    sink = io.BytesIO()
    pq.write_table(batch.table, sink, compression="zstd")
    table = pq.read_table(sink)
    assert table.equals(batch.table)
    for name in ("time", "created_at"):
        if name in table.column_names:
            index = table.column_names.index(name)
            table = table.set_column(index, name, table[name].cast(pa.int64()))
    return table.to_pylist(), batch


def differences(stream: str, sent: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """The values of the sent row that the stored row lacks, and values that were never sent; empty if there is none."""
    return _Comparison(stream, sent, stored).run()


class _Comparison:
    def __init__(self, stream: str, sent: dict[str, Any], stored: dict[str, Any]) -> None:
        self.stream, self.sent, self.stored = stream, sent, stored
        self.extra = json.loads(stored["extra"] or "{}")
        self.invented = set(self.extra)
        self.problems: list[str] = []
        newer = {str(column.path): column.name for column in newer_columns(TABLES[stream])}
        self.columns = {name: name for name in COLUMNS[stream]} | newer
        self.inner = {field: {**columns, **_inside(field, newer)} for field, columns in INNER.items()}

    def run(self) -> list[str]:
        is_audit = "child_events" in self.sent
        for name, value in self.sent.items():
            if is_audit and self.stream == "ticket_metric_events":
                self._expect_left(_outer(name), value)
            elif name in ("sla", "group_sla", "status") and not is_audit and isinstance(value, dict):
                self._object(name, value)
            elif name in TIMES[self.stream]:
                self._time(name, value)
            elif is_audit and name in METRIC_NAMES:
                self._expect_left(_outer(name), value)
            else:
                self._field(name, value)
        return self.problems + [f"{path} was never sent" for path in sorted(self.invented)]

    def _left(self, path: str, value: Any) -> bool:
        """Whether `extra` has the path; if so, it must have the same value."""
        if path not in self.extra:
            return False
        self.invented.discard(path)
        if _canonical(self.extra[path]) != _canonical(value):
            self.problems.append(f"{path} is {self.extra[path]!r} in extra, sent was {value!r}")
        return True

    def _expect_left(self, path: str, value: Any) -> None:
        if not self._left(path, value):
            self.problems.append(f"{path} is lost: {value!r}")

    def _field(self, name: str, value: Any) -> None:
        if self._left(_outer(name), value):
            return
        if name in JSON_COLUMNS & COLUMNS[self.stream]:
            text = self.stored[name]
            is_held = value is None if text is None else _canonical(json.loads(text)) == _canonical(value)
            self.problems += [] if is_held else [f"{name} is {text!r}, sent was {value!r}"]
        elif name in self.columns:
            self._column(self.columns[name], name, value)
        elif not (name in ("sla", "group_sla", "status") and value is None):
            self.problems.append(f"{name} is lost: {value!r}")

    def _column(self, column: str, path: str, value: Any) -> None:
        shown = self.stored[column]
        if value is None:
            is_held = shown is None or (column == "deleted" and shown is False)
        elif isinstance(value, bool) or isinstance(shown, bool):
            is_held = shown is value
        else:
            is_held = shown == value or (column == "sla_policy_id" and shown == str(value))
        self.problems += [] if is_held else [f"{path} is {shown!r}, sent was {value!r}"]

    def _object(self, name: str, sent: dict[str, Any]) -> None:
        if self._left(name, sent):  # of two policies, the one that doesn't fill the columns
            return
        columns = self.inner["status" if name == "status" else "sla"]
        for inner, value in sent.items():
            if name != "status" and inner == "policy" and isinstance(value, dict):
                for innermost, deepest in value.items():
                    self._nested(columns, name, f"policy.{_escaped(innermost)}", deepest)
            else:
                self._nested(columns, name, _escaped(inner), value, known={"policy"} if name != "status" else set())

    def _nested(self, columns: dict[str, str], name: str, path: str, value: Any, known: set[str] | None = None) -> None:
        if self._left(f"{name}.{path}", value):
            return
        if path in columns:
            self._column(columns[path], f"{name}.{path}", value)
        elif not (path in (known or set()) and value is None):
            self.problems.append(f"{name}.{path} is lost: {value!r}")

    def _time(self, name: str, value: Any) -> None:
        if self._left(_outer(name), value):
            return
        moments = {self.stored["time"]}
        if name == "created_at" and self.stream == "ticket_events":
            moments = {self.stored["created_at"]}
        if value is None:
            self.problems += [] if moments == {None} else [f"{name} was null and is lost"]
        elif moment(value) not in moments:
            self.problems.append(f"{name} is lost: {value!r}")


def moment(value: Any) -> int | None:
    """Epoch milliseconds, if the value is a time and no finer than that."""
    if isinstance(value, str) and not value.isdigit():
        try:
            found = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
        since = (found if found.tzinfo else found.replace(tzinfo=dt.UTC)) - EPOCH
        fits = since.microseconds % 1000 == 0 and FIRST <= since <= LAST
        return since // dt.timedelta(milliseconds=1) if fits else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST.total_seconds():
        return None
    return int(value * 1000) if (value * 1000) == int(value * 1000) else None


def _inside(field: str, columns: dict[str, str]) -> dict[str, str]:
    """The columns whose paths lead into that field, by the rest of the path."""
    return {path.removeprefix(f"{field}."): column for path, column in columns.items() if path.startswith(f"{field}.")}


def _outer(name: str) -> str:
    return _escaped(name) if re.match(r"(?:sla|group_sla|status)[.\\]", name) else name


def _escaped(name: str) -> str:
    return re.sub(r"[.\\]", lambda found: "\\" + found.group(), name)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
