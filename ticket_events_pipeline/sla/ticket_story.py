"""One ticket's story from the stored files: the events of its SLA clocks in order, and its targets with what decided them.

Of each file only the ticket's row groups are read beyond the column of ticket numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.decode import deleted_as_it_came
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.rules.events import RANK_BY_TYPE, as_seconds
from ticket_events_pipeline.sla.sources import RAW_COLUMNS
from ticket_events_pipeline.storage.partition_file import opened_partition, stored_days
from ticket_events_pipeline.storage.raw_footer import RawFooter, opened_raw_day
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.storage.stored_file import StoredFile
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import SLA_STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import DELETED_IS_READ_SINCE, metric_shaped

_TARGET_COLUMNS = [
    "metric",
    "instance_id",
    "sla_metric",
    "policy_id",
    "policy_title",
    "target_seconds",
    "business_hours",
    "outcome",
    "superseded",
    "is_paused",
    "activated_at",
    "applied_at",
    "breached_at",
    "fulfilled_at",
    "closed_at",
    "due_at",
    "overdue_seconds",
    "as_of",
]
_TIMES = [column.name for column in SLA_TARGETS_TABLE.columns if column.name in _TARGET_COLUMNS and column.name.endswith("_at")]

_Clock = tuple[str, int]
"""metric, instance_id."""

_LAST = len(RANK_BY_TYPE)
"""The place of an unknown type among events of one second."""


@dataclass(frozen=True)
class StoryEvent:
    """A metric event of the ticket, as it is stored; what the event doesn't carry is None.

    Attributes:
        day: the partition that holds it.
        time: epoch seconds.
        deleted: whether Zendesk has taken it back.
        is_group: whether it carries a group SLA; None if it carries no policy: an apply without one takes the policy away.
        calendar_minutes, business_minutes: how long the clock has run, says Zendesk.
    """

    id: int
    day: Day
    time: int
    type: str
    metric: str
    instance_id: int
    deleted: bool | None
    is_group: bool | None
    policy_id: str | None
    policy_title: str | None
    target_seconds: int | None
    business_hours: bool | None
    calendar_minutes: int | None
    business_minutes: int | None

    @property
    def order(self) -> tuple[int, int, int]:
        """Its place in the story: by time, and within a second as the SLA rules have it."""
        return self.time, RANK_BY_TYPE.get(self.type, _LAST), self.id


@dataclass(frozen=True)
class StoryTarget:
    """A target of the ticket, from the newest day of `sla_targets` that holds it; columns as there, times in epoch seconds.

    Attributes:
        day: that day: a target that closed earlier is in no later one.
        breached_by: ids of the breach events at `breached_at`; none if they aren't stored, or there is none.
        closed_by: ids of the events that closed it at `closed_at`: fulfills, or applies that took the policy away.
    """

    day: Day
    metric: str
    instance_id: int
    sla_metric: str
    policy_id: str | None
    policy_title: str | None
    target_seconds: int | None
    business_hours: bool | None
    outcome: str
    superseded: bool
    is_paused: bool
    activated_at: int | None
    applied_at: int | None
    breached_at: int | None
    fulfilled_at: int | None
    closed_at: int | None
    due_at: int | None
    overdue_seconds: int | None
    as_of: int
    breached_by: tuple[int, ...]
    closed_by: tuple[int, ...]


@dataclass(frozen=True)
class TicketStory:
    """What the stored files know of a ticket's SLA clocks.

    Attributes:
        day: the story goes through the end of it.
        events: in order.
        targets: in the order in which they opened.
        searched: the days whose events are stored, and were searched.
        unreadable: sentences about files that can't be read.
    """

    ticket_id: int
    day: Day
    events: tuple[StoryEvent, ...]
    targets: tuple[StoryTarget, ...]
    searched: tuple[Day, ...]
    unreadable: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the ticket."""
        return not self.events and not self.targets


def read_story(store: Store, ticket_id: int, day: Day) -> TicketStory:
    """The ticket's story through the end of `day`, from every stored day up to it.

    Raises:
        ForeignRootError: the stored days are of another timezone.
    """
    landed = {found for stream in SLA_STREAMS for found in stored_days(store, stream, day.timezone) if found <= day}
    searched = sorted(landed)
    unreadable: list[str] = []
    events = sorted(_events(store, ticket_id, searched, unreadable), key=lambda event: event.order)
    first = min((event.day for event in events), default=day)
    targets = _targets(store, ticket_id, (first, day), events, unreadable)
    return TicketStory(ticket_id, day, tuple(events), tuple(targets), tuple(searched), tuple(unreadable))


def newest_targets_day(store: Store, timezone: str) -> Day | None:
    """The newest day whose targets are stored."""
    return max(stored_days(store, TARGETS, timezone), default=None)


def _events(store: Store, ticket_id: int, days: Sequence[Day], unreadable: list[str]) -> Iterable[StoryEvent]:
    """One for each id: an event that was delivered in both streams counts as it was fetched last."""
    by_id: dict[int, tuple[tuple[int, str], StoryEvent]] = {}
    for day in days:
        for stream in SLA_STREAMS:
            try:
                for version, event in _stream_events(store, stream, ticket_id, day):
                    if event.id not in by_id or by_id[event.id][0] <= version:
                        by_id[event.id] = version, event
            except DamagedFileError as error:
                unreadable.append(str(error))
    return [event for _, event in by_id.values()]


def _stream_events(store: Store, stream: str, ticket_id: int, day: Day) -> Iterator[tuple[tuple[int, str], StoryEvent]]:
    with opened_raw_day(store, stream, day) as opened:
        if opened is None:
            return
        file, footer = opened
        for rows in rows_of_ticket(file, ticket_id, RAW_COLUMNS) if footer.metric_rows != 0 else ():
            yield from ((_version(footer), event) for event in _as_events(rows, day))


def _version(footer: RawFooter) -> tuple[int, str]:
    """Of two deliveries of an event the greater counts, as for the SLA tables."""
    return footer.fetched_at, footer.stream


def rows_of_ticket(file: StoredFile, ticket_id: int, columns: list[str]) -> Iterator[pa.Table]:
    """The ticket's rows, a row group at a time; of a group without any only the ticket numbers are read, or less."""
    place = file.own_schema.get_field_index("ticket_id")
    for group in range(file.num_row_groups):
        statistics = file.row_group(group).column(place).statistics
        if statistics is not None and statistics.has_min_max and not statistics.min <= ticket_id <= statistics.max:
            continue
        is_ours = pc.fill_null(pc.equal(file.read_row_groups([group], ["ticket_id"])["ticket_id"], ticket_id), False)
        if pc.any(is_ours).as_py():
            rows = file.read_row_groups([group], columns)
            if "deleted" in columns and file.version < DELETED_IS_READ_SINCE:
                deleted = deleted_as_it_came(rows["deleted"], file.read_row_groups([group], ["extra"])["extra"])
                rows = rows.set_column(columns.index("deleted"), "deleted", deleted)
            yield rows.filter(is_ours)


def _as_events(raw: pa.Table, day: Day) -> Iterator[StoryEvent]:
    rows = raw.filter(metric_shaped(raw))
    rows = rows.set_column(
        rows.column_names.index("sla_target_seconds"),
        "sla_target_seconds",
        pc.coalesce(rows["sla_target_seconds"], as_seconds(rows["sla_target_minutes"])),
    )
    for row in _in_seconds(rows, ["time"]).to_pylist():
        yield StoryEvent(
            id=row["id"],
            day=day,
            time=row["time"],
            type=row["type"] or "",
            metric=row["metric"],
            instance_id=row["instance_id"],
            deleted=row["deleted"],
            is_group=row["sla_is_group"],
            policy_id=row["sla_policy_id"],
            policy_title=row["sla_policy_title"],
            target_seconds=row["sla_target_seconds"],
            business_hours=row["sla_business_hours"],
            calendar_minutes=row["status_calendar_minutes"],
            business_minutes=row["status_business_minutes"],
        )


def _targets(
    store: Store, ticket_id: int, span: tuple[Day, Day], events: Sequence[StoryEvent], unreadable: list[str]
) -> list[StoryTarget]:
    """The ticket's targets, each from the newest day of the span that holds it."""
    first, last = span
    found: dict[_Clock, StoryTarget] = {}
    awaited = {(event.metric, event.instance_id) for event in events}
    for day in reversed([day for day in stored_days(store, TARGETS, last.timezone) if first <= day <= last]):
        try:
            for target in _day_targets(store, ticket_id, day, events):
                found.setdefault((target.metric, target.instance_id), target)
        except DamagedFileError as error:
            unreadable.append(str(error))
        if awaited and awaited <= found.keys():
            break
    return sorted(found.values(), key=lambda target: (target.applied_at or target.breached_at or 0, target.sla_metric))


def _day_targets(store: Store, ticket_id: int, day: Day, events: Sequence[StoryEvent]) -> Iterator[StoryTarget]:
    with opened_partition(store, TARGETS, day) as file:
        if file is None:
            return
        for rows in rows_of_ticket(file, ticket_id, _TARGET_COLUMNS):
            for row in _in_seconds(rows, [*_TIMES, "as_of"]).to_pylist():
                clock = [event for event in events if (event.metric, event.instance_id) == (row["metric"], row["instance_id"])]
                yield StoryTarget(**row, day=day, breached_by=_breaches(clock, row), closed_by=_closings(clock, row))


def _breaches(clock: Sequence[StoryEvent], target: dict[str, Any]) -> tuple[int, ...]:
    return tuple(event.id for event in clock if event.type == "breach" and _counts_at(event, target["breached_at"]))


def _closings(clock: Sequence[StoryEvent], target: dict[str, Any]) -> tuple[int, ...]:
    """A deletion of the ticket closes a target as well; that is in the audits, and no event of a clock."""
    if target["outcome"] == "deleted":
        return ()
    is_cancelled = target["outcome"] == "cancelled"
    return tuple(
        event.id
        for event in clock
        if _counts_at(event, target["closed_at"])
        and (event.type.startswith("apply") and event.is_group is None if is_cancelled else event.type == "fulfill")
    )


def _counts_at(event: StoryEvent, time: int | None) -> bool:
    return event.time == time and event.deleted is False


def _in_seconds(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    for name in columns:
        milliseconds = rows[name].cast(pa.int64())
        rows = rows.set_column(
            rows.column_names.index(name), name, pc.floor(pc.divide(milliseconds.cast(pa.float64()), 1000)).cast(pa.int64())
        )
    return rows
