"""What one child event of an audit sets in its ticket: TICKETS part 1.

A `Create` or `Change` sets fields, most often one; a `ScheduleAssignment` sets the ticket's schedule. Comments, notifications
and the like set none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from ticket_events_pipeline.decoding.json_values import compact_json
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD
from ticket_events_pipeline.text import valid_unicode

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
"""What a child event says besides the fields that it sets. `type` may be either, see TICKET_TYPES."""

TICKET_TYPES = ("question", "incident", "problem", "task", "", None)
"""The values of `type` that are the ticket's. Any other, such as Change, says what kind of event the child is."""

CREATE, CHANGE, SCHEDULE_ASSIGNMENT = "Create", "Change", "ScheduleAssignment"

CUSTOM_FIELDS, TAGS, SCHEDULE = "custom_ticket_fields", "tags", "schedule_id"

TAG_CHANGES = ("added_tags", "removed_tags")


class FieldChange(NamedTuple):
    """What a child event sets one field to; the values are as in `ticket_field_changes`."""

    field: str
    value: str | None
    had_previous: bool
    previous_value: str | None
    tags_added: list[str] | None = None
    tags_removed: list[str] | None = None
    is_create: bool = False


def children_of(text: str) -> list[Any] | None:
    """The child events of an audit, from their JSON; None where it can't be read or is no list."""
    children = json_of(text)
    return children if isinstance(children, list) else None


def json_of(text: str) -> Any:
    """The decoded JSON; None where it can't be read."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):  # nested deeper, or with longer numbers, than any audit of Zendesk's
        return None


def fields_set(child: Any) -> list[FieldChange]:
    """The fields that a child event sets, by name; none for one that sets nothing or is no object."""
    kind = child.get("event_type") if isinstance(child, dict) else None
    if kind == SCHEDULE_ASSIGNMENT:
        new, previous = child.get("new_schedule_id"), child.get("previous_schedule_id")
        return [FieldChange(SCHEDULE, value_text(new), "previous_schedule_id" in child, value_text(previous))]
    if kind not in (CREATE, CHANGE):
        return []
    if TAGS not in child and any(_texts(child.get(key)) for key in TAG_CHANGES):
        child = {**child, TAGS: None}  # says only what changed
    changes = [change for name, value in child.items() if _is_field(name, value) for change in _changes_of(name, value, child)]
    # A custom field's entry could have the name of another key.
    return sorted({change.field: change for change in changes}.values(), key=lambda change: change.field)


def value_text(value: Any) -> str | None:
    """A field's value as the tables hold it, from decoded JSON: text as it is, numbers in decimal, all else as JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, float):
        return _decimal(value)
    return compact_json(value)


def tags_text(tags: Any) -> str | None:
    """A value of `tags` as the tables hold it: a list of texts sorted by code point; anything else like other fields."""
    texts = _texts(tags)
    return value_text(tags) if texts is None else compact_json(sorted(texts))


def _decimal(number: float) -> str:
    """60.0 → `60`, 1e22 → `10000000000000000000000`: JSON doesn't tell 60.0 from 60."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_field(name: str, value: Any) -> bool:
    return value in TICKET_TYPES if name == "type" else name not in NO_FIELDS


def _changes_of(name: str, value: Any, child: dict[str, Any]) -> Iterator[FieldChange]:
    """One for each custom field of a child; for any other name one."""
    previous, says_previous, is_create = child.get("previous_value"), "previous_value" in child, child["event_type"] == CREATE
    if name == CUSTOM_FIELDS and isinstance(value, dict):
        for number, single in value.items():
            before = previous.get(number) if isinstance(previous, dict) else previous
            field = valid_unicode(CUSTOM_FIELD + number)
            yield FieldChange(field, value_text(single), says_previous, value_text(before), is_create=is_create)
    elif name == TAGS:
        added, removed = (_texts(child.get(key)) for key in TAG_CHANGES)
        yield FieldChange(TAGS, tags_text(value), says_previous, tags_text(previous), added, removed, is_create)
    else:
        yield FieldChange(valid_unicode(name), value_text(value), says_previous, value_text(previous), is_create=is_create)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _texts(value: Any) -> list[str] | None:
    return [valid_unicode(item) for item in value] if _is_texts(value) else None
