"""Who held one ticket, for its story: the changes of its fields, and who held each target when it was breached or met.

Of each file only the ticket's row groups are read beyond the column of ticket numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.ticket_story import StoryTarget, TicketStory, rows_of_ticket
from ticket_events_pipeline.storage.partition_file import opened_partition, stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.tickets import (
    SLA_TARGET_DIMENSIONS_TABLE,
    SLA_TARGET_HOLDERS_TABLE,
    TICKET_FIELD_CHANGES_TABLE,
)

CHANGES, DIMENSIONS, HOLDERS = (
    table.name for table in (TICKET_FIELD_CHANGES_TABLE, SLA_TARGET_DIMENSIONS_TABLE, SLA_TARGET_HOLDERS_TABLE)
)

TOLD_FIELDS = ("status", "priority", "group_id", "assignee_id", "schedule_id")
"""The fields whose changes are part of the story."""

Clock = tuple[str, int]
"""metric, instance_id."""


@dataclass(frozen=True)
class FieldChange:
    """A change of a field of the ticket; columns as in `ticket_field_changes`, `time` in epoch seconds.

    Attributes:
        day: the partition that holds it.
    """

    audit_id: int
    day: Day
    time: int
    position: int
    field: str
    value: str | None
    had_previous: bool
    previous_value: str | None
    is_create: bool


@dataclass(frozen=True)
class Stretch:
    """A row of `sla_target_holders`; times in epoch seconds."""

    ended_by: str
    group_id: int | None
    assignee_id: int | None
    is_known: bool
    held_from: int
    held_to: int
    calendar_seconds: int
    business_seconds: int | None


@dataclass(frozen=True)
class Held:
    """Who held the ticket at the moment of a target; columns as in `sla_target_dimensions`.

    Attributes:
        known_by: of the fields whose value isn't from an audit before; None for unknown.
        due_at: when an open target will breach, an estimate, epoch seconds.
        due_by: in which hours that was estimated: `calendar` or `business_hours`.
        schedule_id: of the ticket; None for none or unknown.
        stretches: who used its time up, in order; empty for a target that is neither breached nor met.
    """

    at_kind: str
    group_id: int | None
    assignee_id: int | None
    group_id_eod: int | None
    assignee_id_eod: int | None
    known_by: Mapping[str, str | None]
    due_at: int | None = None
    due_by: str | None = None
    schedule_id: int | None = None
    stretches: tuple[Stretch, ...] = ()


@dataclass(frozen=True)
class HolderStory:
    """What the ticket tables know of a ticket.

    Attributes:
        changes: in order.
        held: by clock of a target; a target whose day has no ticket tables is missing.
        unreadable: sentences about files that can't be read.
    """

    changes: tuple[FieldChange, ...] = ()
    held: Mapping[Clock, Held] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


def read_holders(store: Store, story: TicketStory) -> HolderStory:
    """Who held the ticket of a story, through the end of the same day.

    Raises:
        UsageError: the root can't be listed.
    """
    reader = _Reader(store, story.ticket_id)
    timezone = story.day.timezone
    stored = {day for day in stored_days(store, CHANGES, timezone) if day <= story.day}
    days = sorted(stored.intersection(_days_of(story)))
    changes = [change for day in days for change in reader.changes(day)]
    held = {(target.metric, target.instance_id): found for target in story.targets if (found := reader.held(target))}
    changes.sort(key=lambda change: (change.time, change.audit_id, change.position))
    return HolderStory(tuple(changes), held, tuple(reader.unreadable))


def _days_of(story: TicketStory) -> list[Day]:
    """From the first day of its events on; a ticket without stored events may have changes on any day that was searched."""
    first = min((event.day for event in story.events), default=None)
    if first is None:
        return list(story.searched)
    return days_between(first, story.day)


class _Reader:
    def __init__(self, store: Store, ticket_id: int) -> None:
        self._store = store
        self._ticket_id = ticket_id
        self.unreadable: list[str] = []

    def changes(self, day: Day) -> Iterator[FieldChange]:
        columns = ["audit_id", "changed_at", "position", "field", "value", "had_previous", "previous_value", "is_create"]
        for row in self._rows(CHANGES, day, columns):
            if row["field"] in TOLD_FIELDS:
                yield FieldChange(time=_seconds(row.pop("changed_at")), day=day, **row)

    def held(self, target: StoryTarget) -> Held | None:
        columns = ["metric", "instance_id", *(name for name in Held.__dataclass_fields__ if name != "stretches")]
        for row in self._rows(DIMENSIONS, target.day, columns):
            if (row.pop("metric"), row.pop("instance_id")) == (target.metric, target.instance_id):
                due_at = None if row["due_at"] is None else _seconds(row["due_at"])
                typed = {**row, "known_by": json.loads(row["known_by"]), "due_at": due_at}
                return Held(**typed, stretches=tuple(self._stretches(target)))
        return None

    def _stretches(self, target: StoryTarget) -> Iterator[Stretch]:
        moment = target.breached_at if target.breached_at is not None else target.fulfilled_at
        if moment is None:
            return
        columns = [*Stretch.__dataclass_fields__, "metric", "instance_id"]
        for row in self._rows(HOLDERS, Day.containing(moment, target.day.timezone), columns):
            if (row.pop("metric"), row.pop("instance_id")) == (target.metric, target.instance_id):
                yield Stretch(**{**row, "held_from": _seconds(row["held_from"]), "held_to": _seconds(row["held_to"])})

    def _rows(self, asset: str, day: Day, columns: Sequence[str]) -> list[dict[str, Any]]:
        try:
            with opened_partition(self._store, asset, day) as file:
                parts = [] if file is None else list(rows_of_ticket(file, self._ticket_id, list(columns)))
        except DamagedFileError as error:
            self.unreadable.append(str(error))
            return []
        return pa.concat_tables(parts).to_pylist() if parts else []


def _seconds(moment: Any) -> int:
    return int(moment.timestamp())
