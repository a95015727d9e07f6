"""What an audit's child events change in its ticket: TICKETS part 1.

A `Create` or `Change` sets fields, most often one; a `ScheduleAssignment` sets the ticket's schedule. Comments, notifications
and the like set none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.tables.table import TIMESTAMP
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD, STRINGS, TICKET_FIELD_CHANGES_TABLE
from ticket_events_pipeline.text import valid_unicode

AUDIT_COLUMNS = ["id", "ticket_id", "time", "updater_id", "via", "child_events"]
"""The columns that changes are read from."""

NO_FIELDS = frozenset(
    {
        "id",
        "event_type",
        "type",
        "via",
        "via_reference_id",
        "previous_value",
        "added_tags",
        "removed_tags",
        "created_at",
    }
)
"""What a child event says besides the fields that it sets. `type` is both, see TICKET_TYPES."""

TICKET_TYPES = ("question", "incident", "problem", "task", "", None)
"""The values of `type` that are the ticket's. Any other, such as Change, says what kind of event the child is."""

CUSTOM_FIELDS, TAGS, SCHEDULE = "custom_ticket_fields", "tags", "schedule_id"

_SETS_SOMETHING = r'"(?:event_type":"(?:Create|Change|ScheduleAssignment)")'
"""Appears unescaped in the JSON of every audit that changes something; inside a text its quotes would be escaped."""


@dataclass(frozen=True)
class FieldChanges:
    """What the audits of a day changed.

    Attributes:
        rows: as in `ticket_field_changes`, sorted by its key.
        unreadable: how many audits have child events that can't be read.
    """

    rows: pa.Table
    unreadable: int


def field_changes(audits: Iterable[pa.RecordBatch]) -> FieldChanges:
    """Every change of a field in the audits.

    Args:
        audits: rows of raw `ticket_events` with `AUDIT_COLUMNS`, unique by id; rows that are no audits have no child events.
    """
    found = [_changes_in(batch) for batch in audits]
    schema = TICKET_FIELD_CHANGES_TABLE.schema
    rows = pa.concat_tables([schema.empty_table(), *(changes.rows for changes in found if changes.rows.num_rows)])
    ordered = rows.sort_by([(name, "ascending") for name in TICKET_FIELD_CHANGES_TABLE.key])
    return FieldChanges(ordered, sum(changes.unreadable for changes in found))


def value_text(value: Any) -> str | None:
    """A field's value as the tables hold it, from decoded JSON: text as it is, everything else as TICKETS part 1 says."""
    if value is None:
        return None
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, float):
        return _decimal(value)
    return compact_json(value)


def tags_text(tags: Any) -> str | None:
    """A value of `tags` as the tables hold it: a list of texts sorted by code point; anything else like other fields."""
    return compact_json(sorted(tags)) if _is_texts(tags) else value_text(tags)


def _decimal(number: float) -> str:
    """60.0 → `60`, 1e22 → `10000000000000000000000`: JSON doesn't tell 60.0 from 60."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


class _Columns:
    """The columns of the changes, filled one by one; `rows` are the numbers of their audits."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.field: list[str] = []
        self.value: list[str | None] = []
        self.had_previous: list[bool] = []
        self.previous_value: list[str | None] = []
        self.tags_added: list[list[str] | None] = []
        self.tags_removed: list[list[str] | None] = []
        self.position: list[int] = []
        self.is_create: list[bool] = []

    def add(self, row: int, position: int, child: Any) -> None:
        """Take in what a child event sets."""
        kind = child.get("event_type") if isinstance(child, dict) else None
        if kind == "ScheduleAssignment":
            previous = "previous_schedule_id"
            had_previous = previous in child
            self._append(row, position, SCHEDULE, child.get("new_schedule_id"), child.get(previous), had_previous, kind)
        elif kind in ("Create", "Change"):
            for name, value in child.items():
                if name not in NO_FIELDS or (name == "type" and value in TICKET_TYPES):
                    self._add_field(row, position, name, value, child)

    def _add_field(self, row: int, position: int, name: str, value: Any, child: dict[str, Any]) -> None:
        kind, previous, had_previous = child["event_type"], child.get("previous_value"), "previous_value" in child
        if name == CUSTOM_FIELDS and isinstance(value, dict):
            for number, single in value.items():
                before = previous.get(number) if isinstance(previous, dict) else previous
                self._append(row, position, CUSTOM_FIELD + number, single, before, had_previous, kind)
            return
        self._append(row, position, name, value, previous, had_previous, kind)
        if name == TAGS:
            self.tags_added[-1] = _texts(child.get("added_tags"))
            self.tags_removed[-1] = _texts(child.get("removed_tags"))

    def _append(self, row: int, position: int, field: str, value: Any, previous: Any, had_previous: bool, kind: str) -> None:
        text = tags_text if field == TAGS else value_text
        self.rows.append(row)
        self.position.append(position)
        self.field.append(valid_unicode(field))
        self.value.append(text(value))
        self.previous_value.append(text(previous))
        self.had_previous.append(had_previous)
        self.tags_added.append(None)
        self.tags_removed.append(None)
        self.is_create.append(kind == "Create")

    def table(self, audits: pa.RecordBatch) -> pa.Table:
        """The changes, with what their audits say of them."""
        of_audit = audits.take(pa.array(self.rows, pa.int64()))
        columns = {
            "ticket_id": of_audit["ticket_id"],
            "field": pa.array(self.field, pa.string()),
            "value": pa.array(self.value, pa.string()),
            "had_previous": pa.array(self.had_previous, pa.bool_()),
            "previous_value": pa.array(self.previous_value, pa.string()),
            "tags_added": pa.array(self.tags_added, STRINGS),
            "tags_removed": pa.array(self.tags_removed, STRINGS),
            "changed_at": of_audit["time"].cast(TIMESTAMP),
            "audit_id": of_audit["id"],
            "position": pa.array(self.position, pa.int32()),
            "updater_id": of_audit["updater_id"],
            "via": of_audit["via"],
            "is_create": pa.array(self.is_create, pa.bool_()),
        }
        return pa.table(columns, schema=TICKET_FIELD_CHANGES_TABLE.schema)


def _texts(value: Any) -> list[str] | None:
    return [valid_unicode(item) for item in value] if _is_texts(value) else None


def _changes_in(audits: pa.RecordBatch) -> FieldChanges:
    audits = audits.filter(pc.and_(pc.is_valid(audits["child_events"]), pc.is_valid(audits["ticket_id"])))
    columns, unreadable = _Columns(), 0
    for row, text in enumerate(audits["child_events"].to_pylist()):
        children = _children(text)
        if children is None:
            unreadable += 1
            continue
        for position, child in enumerate(children):
            columns.add(row, position, child)
    return FieldChanges(columns.table(audits), unreadable)


def _children(text: str) -> list[Any] | None:
    try:
        children = json.loads(text)
    except (RecursionError, ValueError):  # nested deeper, or with longer numbers, than any audit of Zendesk's
        return None
    return children if isinstance(children, list) else None
